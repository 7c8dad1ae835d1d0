"""The members dealt out to threads, and an epoch of a shard: the steps of Adam, the score, who is best, who stops."""

import threading

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.adam import adam

from ..errors import UserError
from ..evaluation import macro_roc_auc
from ..losses import member_loss
from ..paper import BATCH_SIZE, LEARNING_RATE
from .batches import Inputs, Masks, epoch_batches
from .graphs import CapturedSteps
from .setup import Setup
from .stack import RCNNStack

SHARD_BYTES = {"cpu": 400 << 20, "cuda": 16 << 30}  # what a step of one shard may keep for its gradient


def deal_out(setup: Setup, state: dict[str, Tensor], stop: threading.Event) -> tuple[dict[str, Tensor], list["Shard"]]:
    """Deal the members that still train out to shards; return the state with its rows in that order.

    Members of a seed stay together (they share batches and masks). On a CPU a shard is all that one thread trains,
    unless that takes too much memory at once: then there are more shards than threads.
    """
    stopped = state["stopped"].tolist()
    member = state["member"].tolist()
    active = [row for row, s in enumerate(stopped) if not s]
    active.sort(key=lambda row: (setup.members[member[row]].seed, member[row]))
    most = max(1, SHARD_BYTES[setup.device.type] // _bytes_of_a_member(setup))
    threads = torch.get_num_threads() if setup.device.type == "cpu" else 1
    count = max(min(threads, len(active)), -(-len(active) // most))
    groups = [sorted(g.tolist(), key=lambda row: -setup.steps[member[row]]) for g in np.array_split(active, count)]
    rows = [row for group in groups for row in group] + [row for row, s in enumerate(stopped) if s]
    state = {name: tensor[rows] for name, tensor in state.items()}
    ends = np.cumsum([len(group) for group in groups]).tolist()
    return state, [
        Shard(setup, {name: t[end - len(group) : end] for name, t in state.items()}, stop)
        for group, end in zip(groups, ends, strict=True)
    ]


def _bytes_of_a_member(setup: Setup) -> int:
    windows = setup.inputs.samples * setup.spec.segments * setup.windows.series.shape[1]
    return BATCH_SIZE * 4 * (windows + 2 * sum(int(np.prod(shape)) for shape in setup.shapes))


class Shard:
    """The members that one thread trains: rows of the state, changed in place, by falling number of steps."""

    def __init__(self, setup: Setup, state: dict[str, Tensor], stop: threading.Event):
        self.setup, self.state, self.stop = setup, state, stop
        self.which = state["member"].tolist()
        self.members = [setup.members[e] for e in self.which]
        steps = [setup.steps[e] for e in self.which]
        self.sizes = [sum(s > step for s in steps) for step in range(steps[0])]  # how many members each step has
        self.seeds = [m.seed for m in self.members]
        self.uses = setup.uses[self.which]
        self.share = setup.share[self.which]
        self.teacher_of = setup.teacher_of[self.which] if setup.taught else None
        self.hidden = None if setup.hidden is None else setup.hidden[self.which]
        self.labelled = None if setup.hidden is None else setup.labelled[self.which]
        self.train_rows = torch.tensor([len(m.train) for m in self.members], device=setup.device)
        self.captured = CapturedSteps(self) if setup.device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self.which)

    def release(self) -> None:
        """Give graphs and their memory back now; a shard and its graphs know each other, so they would wait for the
        garbage collector."""
        self.captured = None

    def epoch(self, epoch: int) -> None:
        """One epoch (from 0) of training, its score on the validation windows, and who is best or stops."""
        device = self.setup.device
        order = epoch if self.setup.protocol.batch_order == "each_epoch" else 0
        index, weight = epoch_batches([m.train for m in self.members], self.seeds, order)
        rows = torch.from_numpy((weight > 0).sum(-1)).to(device)
        index, weight = torch.from_numpy(index).to(device), torch.from_numpy(weight).to(device)
        masks = Masks(self.seeds, epoch, self.setup.shapes)
        step = self.captured.begin(masks) if self.captured else None
        total = torch.zeros(len(self), device=device)
        for i, k in enumerate(self.sizes):
            if self.stop.is_set():
                return
            if step:
                loss = step(i, k, index[:k, i], weight[:k, i])
            else:
                loss = self.step(index[:k, i], weight[:k, i], masks.draw(self.seeds[:k]))
            total[:k] += loss * rows[:k, i]
        self._keep_best(epoch, total / self.train_rows)

    def step(self, index: Tensor, weight: Tensor, masks: list) -> Tensor:
        """One step of Adam for the first k members on windows (k, B); their losses (k,)."""
        s, k, state = self.setup, len(index), self.state
        flat = state["weights"][:k].detach().requires_grad_()
        w = s.stack.unflatten(flat)
        log_a, logits = s.stack.forward(w, s.inputs.batch(self.which[:k], index, s.same_train), masks)
        loss = member_loss(
            s.terms,
            log_a,
            logits,
            s.label[index] if self.hidden is None else s.label[index].masked_fill(self.hidden[:k].gather(1, index), -1),
            combine=w["combine"],
            temperature=s.spec.temperature,
            taught=[rows[self.teacher_of[:k, None], index] for rows in s.taught] if s.taught else None,
            weight=weight,
            share=self.share[:k],
            labelled=None if self.hidden is None else self.labelled[:k],
            uses=self.uses[:k],
            protocol=s.protocol,
        )
        if "soft" in state:
            self._note_what_is_said(index, weight > 0, log_a.detach(), logits.detach())
        (gradient,) = torch.autograd.grad(loss.sum(), flat)
        names = ("weights", "mean", "square", "steps")
        weights, mean, square, steps = (list(state[name][:k].unbind()) for name in names)
        adam(
            weights, list(gradient.unbind()), mean, square, [], steps, fused=True, amsgrad=False, maximize=False,
            lr=LEARNING_RATE, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0,
        )  # fmt: skip
        return loss.detach()

    def _note_what_is_said(self, index: Tensor, there: Tensor, log_attention: Tensor, logits: Tensor) -> None:
        """Keep what teachers say of windows (k, B) in training mode, which the released code takes for knowledge.

        Padding goes to the row after the last.
        """
        e = torch.arange(len(index), device=index.device).unsqueeze(1)
        i = torch.where(there, index, len(self.setup.windows))
        self.state["soft"][e, i] = F.softmax(logits / self.setup.spec.temperature, -1)
        self.state["attention"][e, i] = log_attention.exp()

    @torch.no_grad()
    def _keep_best(self, epoch: int, train_loss: Tensor) -> None:
        auc, loss = self._validate()
        state = self.state
        trains = state["stopped"] == 0
        if not loss[trains].isfinite().all():
            raise UserError(f"training diverged in epoch {epoch + 1}: the loss is not a number; check the raw values.")
        # Where no class of the validation split can be scored, the lowest validation loss takes its place.
        score = torch.where(auc.isnan(), -loss, auc)
        better = (score > state["best_score"]) & trains
        state["best"][better] = state["weights"][better]
        state["best_score"][better] = score[better]
        state["best_epoch"][better] = epoch + 1
        for name in ("soft", "attention"):
            if name in state:
                state[f"best_{name}"][better] = state[name][better]
        state["history"][:, epoch] = torch.stack([train_loss.double(), loss, auc], -1)
        least, most = self.setup.least[self.which], self.setup.most[self.which]
        ends = (most <= epoch + 1) & (most < self.setup.epochs)
        if patience := self.setup.patience:
            ends |= epoch + 1 >= torch.maximum(least, state["best_epoch"] + patience)
        state["stopped"][trains & ends] = epoch + 1

    def _validate(self) -> tuple[Tensor, Tensor]:
        """Macro ROC-AUC (k,) and cross-entropy (k,) in nats, at temperature 1, of all members in one pass."""
        s = self.setup
        index, valid = s.validation[self.which], s.valid[self.which]
        _, logits = forward_all(s.stack, self.state["weights"], s.inputs, self.which, index, s.same_validation)
        log_p = F.log_softmax(logits.double(), -1)
        label = s.label[index]
        loss = -log_p.gather(-1, label.unsqueeze(-1)).squeeze(-1)
        return macro_roc_auc(log_p.exp(), label, valid), (loss * valid).sum(1) / valid.sum(1)


def forward_all(
    stack: RCNNStack, weights: Tensor, inputs: Inputs, which: list[int], index: Tensor, same: list
) -> tuple[Tensor, Tensor]:
    """Log attention (k, n, M) and logits (k, n, C) for window indices (k, n), in evaluation mode, piece by piece."""
    w = stack.unflatten(weights)
    pieces = [stack.forward(w, inputs.batch(which, part, same)) for part in index.split(BATCH_SIZE, 1)]
    return tuple(torch.cat(parts, 1) for parts in zip(*pieces, strict=True))
