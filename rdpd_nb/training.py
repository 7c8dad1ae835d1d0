"""Training: a `Member` is one model to train, `fit_one` says what training is, `fit` does it for many at once.

What a member becomes depends on nothing but itself: weights, batch order and dropout masks come from its seed alone
(`draws`), so that two methods of one seed share them. Shapes: B windows of l samples, D channels, M segments, C
classes.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import engine
from .data.windows import Split, Windows, standardise, standardiser
from .draws import dropout_masks, epoch_order, mask_shapes, noise_series, some_recordings
from .errors import UserError
from .evaluation import macro_roc_auc
from .knowledge import Knowledge
from .losses import IMITATION, member_loss
from .models import RCNN
from .paper import BATCH_SIZE, LEARNING_RATE, terms_of

NONE = np.empty(0, np.int64)  # no windows


def imitates(method: str) -> bool:
    """Whether a method needs a teacher."""
    return bool(set(IMITATION) & set(terms_of(method)))


@dataclass(frozen=True)
class Member:
    """One model to train. mean and std (D,) are of its training subjects; noise is an amplitude in their units."""

    seed: int
    method: str
    train: np.ndarray
    validation: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    knowledge: Knowledge | None = None
    noise: float = 0.0
    noise_kind: str = "normal"
    unlabelled: np.ndarray = field(default_factory=lambda: NONE)  # windows whose label it must not see

    def __post_init__(self):
        if self.knowledge is None and imitates(self.method):
            raise UserError(f"method '{self.method}' needs the teacher's knowledge.")

    @property
    def terms(self) -> tuple[str, ...]:
        """The loss terms of its method, as `losses.member_loss` names them."""
        return terms_of(self.method)

    @property
    def share(self) -> float:
        """Share of its training windows of which its teacher says something; 1 where it says nothing at all."""
        return float(np.isin(self.train, self.knowledge.window).mean() if self.knowledge else 0) or 1.0

    @property
    def labelled(self) -> np.ndarray:
        """Those of its training windows whose label it sees."""
        return self.train[~np.isin(self.train, self.unlabelled)]

    @property
    def labelled_share(self) -> float | None:
        """Share of its training windows whose label it sees; None for all."""
        return None if (share := len(self.labelled) / len(self.train)) == 1 else share

    def bounds(self, epochs: int, updates: Sequence[int] = ()) -> tuple[int, int]:
        """Least and most epochs it trains, where `updates` are the least and most steps of Adam; at most `epochs`."""
        steps = -(-len(self.train) // BATCH_SIZE)
        least, most = (min(epochs, -(-update // steps)) for update in updates or (0, epochs * steps))
        return least, most


def make_member(
    windows: Windows, split: Split, seed: int, method: str, knowledge: Knowledge | None = None, **options
) -> Member:
    """A member trained on the split's training windows; options are Member's noise, noise_kind, train and unlabelled.

    A member that trains on fewer windows is standardised by those. Of a window without a label (`unlabelled`, or of
    label -1) only a method that imitates learns; the others do without it. Raises UserError where a method needs
    knowledge and has none, or has another data set's, and where no window has a label.
    """
    train = options.pop("train", split.train)
    mean, std = standardiser(windows, train)
    unlabelled = np.union1d(options.pop("unlabelled", NONE), train[windows.label[train] < 0])
    labelled = train[~np.isin(train, unlabelled)]
    if not len(labelled):
        raise UserError(f"{windows.spec.title}: no training window of seed {seed} has a label.")
    if knowledge is not None:
        knowledge.check(windows, split.train, len(labelled) / len(train))
    if not imitates(method):
        train, unlabelled = labelled, NONE
    rest = {"mean": mean, "std": std, "knowledge": knowledge, "unlabelled": unlabelled}
    return Member(seed, method, train, split.validation, **rest, **options)


def make_members(
    windows: Windows,
    splits: dict[int, Split],
    method: str,
    taught: dict[int, Knowledge] | None = None,
    labelled: float = 1.0,
) -> list[Member]:
    """One member a seed; taught: each seed's knowledge, where the method needs it; labelled: the fraction of the
    training windows that have a label, by whole subjects, drawn by seed (`draws.some_recordings`)."""
    members = []
    for seed, split in splits.items():
        seen = split.train
        if labelled < 1:
            seen = some_recordings(windows.subject, windows.label, split.train, labelled, seed)
        unlabelled = np.setdiff1d(split.train, seen)
        members.append(make_member(windows, split, seed, method, (taught or {}).get(seed), unlabelled=unlabelled))
    return members


@dataclass(frozen=True)
class Fitted:
    """A trained member: the model of its best epoch (from 1), and one history entry an epoch."""

    member: Member
    model: RCNN
    best_epoch: int
    selected_by: str  # 'validation ROC-AUC', or 'validation loss' where no class of the validation split can be scored
    allowed: int  # epochs that it might have had
    history: dict[str, list[float]] = field(repr=False)  # train_loss, validation_loss (nats), validation_roc_auc
    # Soft labels (windows, C) and attention (windows, M) of the best epoch's steps, where Protocol.knowledge says so.
    said_in_training: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)


# ------------------------------------------------------------------------------------------- what training is


class Batch(NamedTuple):
    """What a member learns from some windows."""

    x: Tensor  # (B, l, D), standardised, with the member's noise
    y: Tensor  # (B,), -1 where the member sees no label
    taught: tuple[Tensor, Tensor] | None  # the teacher's soft labels (B, C) and attention (B, M); zeros: none


def batch_of(member: Member, windows: Windows, index: np.ndarray) -> Batch:
    """The windows `index` (B,) as the member sees them."""
    x = torch.from_numpy(standardise(windows[index], member.mean, member.std))
    if member.noise:
        rows = windows.start[index][:, None] + np.arange(windows.spec.length)  # (B, l)
        x = x + member.noise * noise_series(windows, member.seed, member.noise_kind)[rows]
    taught = tuple(rows[index] for rows in member.knowledge.rows(len(windows))) if member.knowledge else None
    y = np.where(np.isin(index, member.unlabelled), -1, windows.label[index])
    return Batch(x, torch.from_numpy(y), taught)


def steps_of(member: Member, windows: Windows, epoch: int) -> Iterator[tuple[np.ndarray, list[Tensor]]]:
    """Window indices (B,) and dropout masks of each step of an epoch (from 0): B is 128, or fewer in the last step."""
    order = epoch_order(member.train, member.seed, epoch if windows.protocol.batch_order == "each_epoch" else 0)
    masks = dropout_masks(member.seed, epoch, mask_shapes(windows.spec, windows.view))
    for first in range(0, len(order), BATCH_SIZE):
        index = order[first : first + BATCH_SIZE]
        yield index, [mask[: len(index)] for mask in next(masks)]


def fit_one(
    member: Member, windows: Windows, epochs: int = 200, patience: int = 0, updates: Sequence[int] = ()
) -> Fitted:
    """Train one model. This is what training *is*; `fit` is this for many members at once, equal by test, and faster.

    Every epoch the member sees its training windows once in batches of 128, and is scored on its validation windows;
    the model with the best validation ROC-AUC is kept, or, where no class can be scored, with the lowest loss. With
    `patience` it stops when the score has not risen for that many epochs. `updates`, if given, are the least and the
    most steps of Adam: patience waits for the least, and nothing goes beyond the most (see `Member.bounds`).
    """
    spec, protocol = windows.spec, windows.protocol
    model = RCNN(spec, windows.view, member.seed)
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    settings = {"combine": model.combine, "temperature": spec.temperature, "protocol": protocol, "share": member.share}
    settings |= {"labelled": member.labelled_share}
    least, most = member.bounds(epochs, updates)
    history = {"train_loss": [], "validation_loss": [], "validation_roc_auc": []}
    best, best_score = Fitted(member, model, 0, "", most, history), -float("inf")
    speaks = member.method == "teacher" and protocol.knowledge == "training"  # as the released code's teachers do
    said = torch.zeros(len(windows), len(spec.classes)), torch.zeros(len(windows), spec.segments)
    for epoch in range(most):
        model.train()
        total = 0.0
        for index, masks in steps_of(member, windows, epoch):
            x, y, taught = batch_of(member, windows, index)
            log_a, logits = model(x, masks)  # Eq. 5
            loss = member_loss(member.terms, log_a, logits, y, taught=taught, **settings)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(index)
            if speaks:
                said[0][index], said[1][index] = F.softmax(logits.detach() / spec.temperature, -1), log_a.detach().exp()
        validation_loss, auc = _validate(model.eval(), member, windows)
        for name, value in zip(history, (total / len(member.train), validation_loss, auc), strict=True):
            history[name].append(value)
        by, score = ("validation loss", -validation_loss) if np.isnan(auc) else ("validation ROC-AUC", auc)
        if score > best_score:
            best_score = score
            kept = tuple(rows.numpy().copy() for rows in said) if speaks else None
            best = Fitted(member, copy.deepcopy(model), epoch + 1, by, most, history, kept)
        if patience and epoch + 1 >= max(least, best.best_epoch + patience):
            break
    return best


@torch.no_grad()
def _validate(model: RCNN, member: Member, windows: Windows) -> tuple[float, float]:
    """Cross-entropy in nats and macro ROC-AUC of the validation windows, at temperature 1."""
    x, y, _ = batch_of(member, windows, member.validation)
    logits = model(x)[1].double()
    auc = macro_roc_auc(logits.softmax(-1)[None], y[None], torch.ones_like(y, dtype=torch.bool)[None])
    return F.cross_entropy(logits, y).item(), auc.item()


# ------------------------------------------------------------------------------------------------ many at once


def fit(
    members: list[Member],
    windows: Windows,
    epochs: int = 200,
    device: str = "auto",
    patience: int = 0,
    updates: Sequence[int] = (),
    checkpoints: Path | None = None,
    progress: Callable[[str], None] = print,
    keep: bool = False,
) -> list[Fitted]:
    """`fit_one` for all members at once, each as if alone; returned in the order given.

    `checkpoints` is a folder where the state is kept every so often: the same training, started again after it was
    killed, goes on from there to the same result. With `keep` the end is kept there too, for another notebook that
    needs the very same models. `progress` is called with a line now and then.
    """
    found = engine.train(members, windows, epochs, device, patience, updates, checkpoints, progress, keep)
    return [Fitted(member, **fields) for member, fields in zip(members, found, strict=True)]


def predict(
    fitted: list[Fitted], windows: Windows, indices: list[np.ndarray], device: str = "auto"
) -> list[np.ndarray]:
    """S(O, 1), Eq. 6, of each fitted member on its own windows: probabilities (n, C)."""
    outputs = engine.forward([f.model for f in fitted], windows, [f.member for f in fitted], indices, device)
    return [F.softmax(logits.double(), -1).numpy() for _, logits in outputs]
