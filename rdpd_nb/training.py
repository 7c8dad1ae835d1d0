"""Training all members of a run at once, and the knowledge a teacher hands over.

A member is one model to train: its seed, its method, its windows. What a member becomes depends on nothing but
itself: its weights, batch order and dropout masks come from its seed alone, so that two methods of one seed share them.
"""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor
from torch.optim.adam import adam

from .batches import DropoutMasks, Inputs, epoch_batches
from .checkpoints import Checkpoints, code_mark
from .data.windows import Split, Windows, fingerprint, standardiser
from .errors import UserError
from .evaluation import macro_roc_auc
from .files import replace_file
from .losses import loss_terms
from .models import RCNN, RCNNStack, mask_shapes
from .paper import BATCH_SIZE, LEARNING_RATE, METHODS

QUIET_SECONDS = 30  # longest time without a line of progress
EVALUATION_BATCH = 1024  # windows a pass when nothing is trained


def resolve_device(device: str = "auto") -> torch.device:
    """'auto' is CUDA where there is one, else the CPU."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device '{device}': this machine has no CUDA device; use 'auto' or 'cpu'.")
    place = torch.device(device)
    if place.type == "cuda":
        if (place.index or 0) >= torch.cuda.device_count():
            raise UserError(
                f"device '{device}': this machine has {torch.cuda.device_count()} CUDA devices; use 'cuda'."
            )
        torch.cuda.set_device(place)  # streams and graphs are made on the current device
    return place


def _keep_freed_memory() -> None:
    """Let glibc hand out again what a step has freed, in place of returning it to the system after every step.

    Steps allocate and free the same few large arrays; fresh ones cost a page fault each 4 KiB, about a quarter of a
    CPU step. Elsewhere than on glibc nothing happens.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        if libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) or libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20):  # old glibc: 32 MiB
            libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)
    except (OSError, AttributeError):
        pass


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


# ---------------------------------------------------------------------------------------------------- knowledge


@dataclass(frozen=True)
class Knowledge:
    """All that crosses from the rich side to the poor one: for each training window one soft label and one attention.

    window (n,) indices into the windows of the data set; soft_labels (n, C) = P_{r,T} of Eq. 7; attention (n, M) =
    A_r of Eq. 2. `fingerprint` is of the windows and of which ones the teacher was trained on.
    """

    window: np.ndarray
    soft_labels: np.ndarray
    attention: np.ndarray
    temperature: float
    fingerprint: str
    path: str = "memory"  # where it was read from, for messages

    def check(self, windows: Windows, train: np.ndarray) -> None:
        """Refuse knowledge made from other windows, or about windows the student does not train on."""
        expected = knowledge_fingerprint(windows, self.window)
        again = "run 02_teacher again with the same data, source and seeds."
        if self.fingerprint != expected:
            raise UserError(
                f"the knowledge in {self.path} was made from other windows (fingerprint {self.fingerprint}) than these "
                f"of {windows.spec.title} (fingerprint {expected}); {again}"
            )
        if not np.isin(self.window, train).all():
            raise UserError(
                f"the knowledge in {self.path} is about windows outside the student's training split; {again}"
            )
        if self.temperature != windows.spec.temperature:
            raise UserError(
                f"the knowledge in {self.path} is for T = {self.temperature:g}, the student's is "
                f"{windows.spec.temperature:g}; {again}"
            )

    def rows(self, windows: int) -> tuple[np.ndarray, np.ndarray]:
        """Soft labels (windows, C) and attention (windows, M) by window; zeros where the teacher said nothing.

        Zeros switch the soft loss off by themselves; `fit` does the same for the attention loss.
        """
        soft = np.zeros((windows, self.soft_labels.shape[1]), np.float32)
        attention = np.zeros((windows, self.attention.shape[1]), np.float32)
        soft[self.window], attention[self.window] = self.soft_labels, self.attention
        return soft, attention


def knowledge_fingerprint(windows: Windows, train: np.ndarray) -> str:
    """Says which windows of which data the knowledge is about."""
    return fingerprint(windows.fingerprint, np.sort(train).astype(np.int64))


def extract_knowledge(teachers: list["Fitted"], windows: Windows, device: str = "auto") -> list[Knowledge]:
    """What each teacher says of its training windows: one pass of the kept model in evaluation mode.

    Under `Protocol.knowledge` 'training' it is what it said in training mode, in its best epoch.
    """
    temperature = windows.spec.temperature
    trains = [f.member.train for f in teachers]
    if windows.protocol.knowledge == "training":
        said = [(f.heard["soft"][t], f.heard["attention"][t]) for f, t in zip(teachers, trains, strict=True)]
    else:
        outputs = forward([f.model for f in teachers], windows, [f.member for f in teachers], trains, device)
        said = [
            (F.softmax(logits.double() / temperature, -1).float().numpy(), log_a.double().exp().float().numpy())
            for log_a, logits in outputs
        ]
    return [
        Knowledge(np.asarray(train), soft, attention, temperature, knowledge_fingerprint(windows, train))
        for train, (soft, attention) in zip(trains, said, strict=True)
    ]


def save_knowledge(path: Path, by_seed: dict[int, Knowledge]) -> None:
    """Write the knowledge of all seeds to one safetensors file."""
    arrays = {
        f"{seed}/{name}": np.ascontiguousarray(getattr(k, name))
        for seed, k in by_seed.items()
        for name in ("window", "soft_labels", "attention")
    }
    marks = {
        f"{seed}/{name}": str(getattr(k, name))
        for seed, k in by_seed.items()
        for name in ("temperature", "fingerprint")
    }
    with replace_file(path) as temporary:
        save_file(arrays, temporary, marks)


def load_knowledge(path: Path, seed: int) -> Knowledge:
    """The knowledge of one seed. Raises UserError where it is missing or damaged."""
    if not path.exists():
        raise UserError(
            f"no teacher's knowledge at {path}; run 02_teacher with the same profile, data set and seeds first."
        )
    try:
        with safe_open(path, "np") as file:
            marks = file.metadata() or {}
            if f"{seed}/window" not in file.keys():  # noqa: SIM118 (not a dict)
                raise UserError(f"{path} holds no knowledge for seed {seed}; run 02_teacher with that seed.")
            arrays = {name: file.get_tensor(f"{seed}/{name}") for name in ("window", "soft_labels", "attention")}
        temperature, mark = float(marks[f"{seed}/temperature"]), marks[f"{seed}/fingerprint"]
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and run 02_teacher again.") from None
    return Knowledge(**arrays, temperature=temperature, fingerprint=mark, path=str(path))


# ------------------------------------------------------------------------------------------------------ members


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

    def __post_init__(self):
        if self.knowledge is None and {"soft", "attention"} & set(self.terms):
            raise UserError(f"method '{self.method}' needs the teacher's knowledge.")

    @property
    def terms(self) -> tuple[str, ...]:
        return METHODS[self.method].terms


def make_member(
    windows: Windows, split: Split, seed: int, method: str, knowledge: Knowledge | None = None, **options
) -> Member:
    """A member trained on the split's training windows; options are Member's noise, noise_kind, and train.

    A member that trains on fewer windows is standardised by those. Raises UserError where a method needs knowledge
    and has none, or has another data set's.
    """
    if knowledge is not None:
        knowledge.check(windows, split.train)
    mean, std = standardiser(windows, options.get("train", split.train))
    return Member(
        seed,
        method,
        **{"train": split.train, **options},
        validation=split.validation,
        mean=mean,
        std=std,
        knowledge=knowledge,
    )


@dataclass(frozen=True)
class Fitted:
    """A trained member: the model of its best epoch (from 1), and one history entry an epoch."""

    member: Member
    model: RCNN
    best_epoch: int
    selected_by: str  # 'validation ROC-AUC', or 'validation loss' where no class of the validation split can be scored
    history: dict[str, list[float]] = field(repr=False)
    heard: dict[str, np.ndarray] | None = field(default=None, repr=False)  # knowledge by window, in training mode


# --------------------------------------------------------------------------------------------------------- fit


def fit(
    members: list[Member],
    windows: Windows,
    epochs: int = 200,
    device: str = "auto",
    patience: int = 0,
    checkpoints: Path | None = None,
    progress: Callable[[str], None] = print,
    keep: bool = False,
) -> list[Fitted]:
    """Train all members at once, each as if alone; return them in the order given, each with its best epoch's model.

    Every epoch each member sees its training windows once in batches of 128, and is scored on its validation
    windows; the weights with the best validation ROC-AUC are kept. A member whose score has not risen for `patience`
    epochs stops (0: never). `checkpoints` is a folder where the state is kept every so often: the same training,
    started again after it was killed, goes on from there to the same result. With `keep` the end is kept there too, for
    another notebook that needs the very same models.
    """
    _keep_freed_memory()
    course = _Course(members, windows, resolve_device(device), patience)
    saved = Checkpoints(checkpoints, course.key(epochs), progress, keep)
    done, state = saved.read() or (0, course.start(epochs))
    if done:  # the file's name only: what a notebook prints is kept, and may be published
        over = done == epochs or bool(state["stopped"].all())
        what = "trained before, taken over" if over else f"going on after epoch {done} of {epochs}"
        progress(f"{what}, from {saved.path.parent.name}/{saved.path.name}")
    state = {name: tensor.to(course.place) for name, tensor in state.items()}
    shares: list[_Share] = []
    began = said = time.perf_counter()
    first = done
    stop = threading.Event()
    with _workers(course.place, len(members)) as each:
        try:
            while done < epochs and not state["stopped"].all():
                active = int((state["stopped"] == 0).sum())
                if not shares or active <= 0.75 * sum(map(len, shares)):  # enough have stopped: close the ranks
                    _release(shares)
                    state, shares = _share_out(course, state, stop)
                each(lambda share, epoch=done: share.epoch(epoch), shares)
                done += 1
                saved.write(done, state, last=done == epochs or bool(state["stopped"].all()))
                due = done in (1, epochs) or done % max(1, epochs // 5) == 0
                if due or time.perf_counter() - said > QUIET_SECONDS:
                    said = time.perf_counter()
                    progress(_progress_line(done, epochs, state, (said - began) / (done - first)))
        finally:
            stop.set()
            _release(shares)
    seconds = time.perf_counter() - began
    if first < done:
        stopped = f", the last stopped after epoch {done}" if done < epochs else ""
        progress(f"{len(members)} models trained at once in {seconds:.1f} s{stopped}")
    return course.results(state, done)


def _release(shares: list["_Share"]) -> None:
    """Give graphs and their memory back now; a share and its graphs know each other, so they would wait for the
    garbage collector."""
    for share in shares:
        share.captured = None


class _Course:
    """What does not change in a fit: windows, members, what each learns from, how it is scored."""

    def __init__(self, members: list[Member], windows: Windows, place: torch.device, patience: int):
        self.members, self.windows, self.place, self.patience = members, windows, place, patience
        self.spec, self.protocol, view = windows.spec, windows.protocol, windows.view
        self.shapes = mask_shapes(self.spec, view)
        self.stack = RCNNStack([RCNN(self.spec, view, seed=m.seed) for m in members], place)
        self.inputs = Inputs(windows, members, place)
        self.label = torch.from_numpy(windows.label).to(place)
        self.steps = [-(-len(m.train) // BATCH_SIZE) for m in members]
        self.same_train = [(m.seed, hash(m.train.tobytes())) for m in members]  # equal: the same batches
        self.same_validation = [hash(m.validation.tobytes()) for m in members]
        self.terms = tuple(sorted({term for m in members for term in m.terms}))
        self.uses = torch.tensor([[float(t in m.terms) for t in self.terms] for m in members], device=place)
        self.soft, self.attention, self.knowledge = _knowledge_rows(members, len(windows), place)
        index = _padded([m.validation for m in members])
        valid = np.arange(index.shape[1]) < np.array([[len(m.validation)] for m in members])
        self.validation, self.valid = torch.from_numpy(index).to(place), torch.from_numpy(valid).to(place)

    def start(self, epochs: int) -> dict[str, Tensor]:
        """The state before the first epoch: one row a member, in the order of the members."""
        weights, e = self.stack.flat, len(self.members)
        n, heard = len(self.windows), {}
        if self.protocol.knowledge == "training" and "teacher" in self.terms:
            for name, width in (("soft", len(self.spec.classes)), ("attention", self.spec.segments)):
                heard |= {key: torch.zeros(e, n + 1, width) for key in (name, f"best_{name}")}
        return {
            **heard,
            "member": torch.arange(e),
            "weights": weights.clone(),
            "mean": torch.zeros_like(weights),  # Adam's moments and its count of steps
            "square": torch.zeros_like(weights),
            "steps": torch.zeros(e, dtype=torch.float32),
            "best": weights.clone(),
            "best_score": torch.full((e,), -torch.inf, dtype=torch.float64),
            "best_epoch": torch.zeros(e, dtype=torch.int64),
            "stopped": torch.zeros(e, dtype=torch.int64),  # after which epoch, 0 while it trains
            "history": torch.zeros(e, epochs, len(HISTORY), dtype=torch.float64),
        }

    def key(self, epochs: int) -> str:
        """Changes with everything that the result depends on."""
        settings = f"{epochs} {self.patience} {self.place.type} {self.protocol}"
        parts: list = [code_mark(), self.windows.fingerprint, self.windows.view, settings]
        for m in self.members:
            parts += [f"{m.seed} {m.method} {m.noise} {m.noise_kind}", m.train, m.validation, m.mean, m.std]
            if m.knowledge:
                parts += [m.knowledge.window, m.knowledge.soft_labels, m.knowledge.attention]
        return fingerprint(*parts)

    def results(self, state: dict[str, Tensor], done: int) -> list[Fitted]:
        """Every member's best model and history, in the order given."""
        fitted = {}
        for row, e in enumerate(state["member"].tolist()):
            curves = state["history"][row, : int(state["stopped"][row]) or done].T
            fitted[e] = Fitted(
                self.members[e],
                self.stack.member(e, state["best"][row]).eval(),
                int(state["best_epoch"][row]),
                "validation loss" if bool(curves[-1].isnan().any()) else "validation ROC-AUC",
                {name: curve.tolist() for name, curve in zip(HISTORY, curves, strict=True)},
                self._heard(state, row),
            )
        return [fitted[e] for e in range(len(self.members))]

    def _heard(self, state: dict[str, Tensor], row: int) -> dict[str, np.ndarray] | None:
        if "soft" not in state:
            return None
        return {name: state[f"best_{name}"][row, :-1].cpu().numpy() for name in ("soft", "attention")}


HISTORY = ("train_loss", "validation_loss", "validation_roc_auc")


def _share_out(
    course: _Course, state: dict[str, Tensor], stop: threading.Event
) -> tuple[dict[str, Tensor], list["_Share"]]:
    """Deal the members that still train out to shares; return the state with its rows in that order.

    Members of a seed stay together (they share batches and masks). On a CPU a share is all that one thread trains,
    unless that takes too much memory at once: then there are more shares than threads.
    """
    stopped = state["stopped"].tolist()
    member = state["member"].tolist()
    active = [row for row, s in enumerate(stopped) if not s]
    active.sort(key=lambda row: (course.members[member[row]].seed, member[row]))
    most = max(1, SHARE_BYTES[course.place.type] // _bytes_of_a_member(course))
    threads = torch.get_num_threads() if course.place.type == "cpu" else 1
    count = max(min(threads, len(active)), -(-len(active) // most))
    groups = [sorted(g.tolist(), key=lambda row: -course.steps[member[row]]) for g in np.array_split(active, count)]
    rows = [row for group in groups for row in group] + [row for row, s in enumerate(stopped) if s]
    state = {name: tensor[rows] for name, tensor in state.items()}
    ends = np.cumsum([len(group) for group in groups]).tolist()
    return state, [
        _Share(course, {name: t[end - len(group) : end] for name, t in state.items()}, stop)
        for group, end in zip(groups, ends, strict=True)
    ]


SHARE_BYTES = {"cpu": 400 << 20, "cuda": 16 << 30}  # what a step of one share may keep for its gradient


def _bytes_of_a_member(course: _Course) -> int:
    windows = course.inputs.samples * course.spec.segments * course.windows.series.shape[1]
    return BATCH_SIZE * 4 * (windows + 2 * sum(int(np.prod(shape)) for shape in course.shapes))


@contextmanager
def _workers(place: torch.device, members: int) -> Iterator[Callable]:
    """A function that calls another on every share: on a CPU in threads of one core each, side by side.

    Two threads that train five small models each are quicker than ten models whose every operation is split in two.
    """
    threads = torch.get_num_threads()
    count = min(threads, members)
    if place.type != "cpu" or count == 1:
        yield lambda function, shares: [function(share) for share in shares]
        return
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(threads // count,)) as pool:
        try:
            yield (
                lambda function, shares: (
                    list(pool.map(function, shares)) if len(shares) > 1 else [function(share) for share in shares]
                )
            )
        finally:
            torch.set_num_threads(threads)  # PyTorch remembers the last call for threads to come


class _Share:
    """The members that one thread trains: rows of the state, changed in place, by falling number of steps."""

    def __init__(self, course: _Course, state: dict[str, Tensor], stop: threading.Event):
        self.course, self.state, self.stop = course, state, stop
        self.which = state["member"].tolist()
        self.members = [course.members[e] for e in self.which]
        steps = [course.steps[e] for e in self.which]
        self.sizes = [sum(s > step for s in steps) for step in range(steps[0])]  # how many members each step has
        self.seeds = [m.seed for m in self.members]
        place = course.place
        self.uses = course.uses[self.which]
        self.knowledge = course.knowledge[self.which] if course.knowledge is not None else None
        self.train_rows = torch.tensor([len(m.train) for m in self.members], device=place)
        self.captured = _CapturedSteps(self) if place.type == "cuda" else None

    def __len__(self) -> int:
        return len(self.which)

    def epoch(self, epoch: int) -> None:
        """One epoch of training, its score on the validation windows, and who is best or stops."""
        place = self.course.place
        order = epoch if self.course.protocol.batch_order == "each_epoch" else 0
        index, weight = epoch_batches([m.train for m in self.members], self.seeds, order)
        rows = torch.from_numpy((weight > 0).sum(-1)).to(place)
        index, weight = torch.from_numpy(index).to(place), torch.from_numpy(weight).to(place)
        masks = DropoutMasks(self.seeds, epoch, self.course.shapes)
        step = self.captured.begin(masks) if self.captured else None
        total = torch.zeros(len(self), device=place)
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
        c, k, state = self.course, len(index), self.state
        flat = state["weights"][:k].detach().requires_grad_()
        w = c.stack.unflatten(flat)
        log_a, logits = c.stack.forward(w, c.inputs.batch(self.which[:k], index, c.same_train), masks)
        known = self.knowledge[:k, None] if self.knowledge is not None else None
        a_teacher = None if known is None else c.attention[known, index]  # (k, B, M)
        rows = loss_terms(
            c.terms,
            logits=logits,
            log_attention=log_a,
            combine=w["combine"],
            y=c.label[index],
            temperature=c.spec.temperature,
            p_teacher=None if known is None else c.soft[known, index],  # (k, B, C)
            a_teacher=a_teacher,
            protocol=c.protocol,
        )
        if "attention" in rows:
            rows["attention"] = rows["attention"] * (a_teacher.sum(-1) > 0)  # none where the teacher said nothing
        if c.protocol.short_batch == "over_128":
            for term in ("soft", "attention"):
                if term in rows:  # undo the mean over a short batch's rows
                    rows[term] = rows[term] / (weight * BATCH_SIZE).clamp_min(1)
        per_row = sum(self.uses[:k, t, None] * rows[term] for t, term in enumerate(c.terms))  # (k, B)
        loss = (per_row * weight).sum(1)  # (k,), mean over a member's rows
        if "soft" in state:  # what the released code takes for knowledge
            self.heard(index, weight > 0, log_a.detach(), logits.detach())
        (gradient,) = torch.autograd.grad(loss.sum(), flat)
        names = ("weights", "mean", "square", "steps")
        weights, mean, square, steps = (list(state[name][:k].unbind()) for name in names)
        adam(
            weights, list(gradient.unbind()), mean, square, [], steps, fused=True, amsgrad=False, maximize=False,
            lr=LEARNING_RATE, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0,
        )  # fmt: skip
        return loss.detach()

    def heard(self, index: Tensor, there: Tensor, log_attention: Tensor, logits: Tensor) -> None:
        """Note what the members say of windows (k, B) in training mode; padding goes to the row after the last."""
        e = torch.arange(len(index), device=index.device).unsqueeze(1)
        i = torch.where(there, index, len(self.course.windows))
        self.state["soft"][e, i] = F.softmax(logits / self.course.spec.temperature, -1)
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
        if self.course.patience:
            weary = trains & (epoch + 1 - state["best_epoch"] >= self.course.patience)
            state["stopped"][weary] = epoch + 1

    def _validate(self) -> tuple[Tensor, Tensor]:
        """Macro ROC-AUC (k,) and cross-entropy (k,) in nats, at temperature 1, of all members in one pass."""
        c = self.course
        index, valid = c.validation[self.which], c.valid[self.which]
        _, logits = _forward_all(c.stack, self.state["weights"], c.inputs, self.which, index, c.same_validation)
        log_p = F.log_softmax(logits.double(), -1)
        label = c.label[index]
        loss = -log_p.gather(-1, label.unsqueeze(-1)).squeeze(-1)
        return macro_roc_auc(log_p.exp(), label, valid), (loss * valid).sum(1) / valid.sum(1)


class _CapturedSteps:
    """A share's steps as CUDA graphs, one for each number of members: a step is one launch in place of hundreds.

    Nothing in an epoch waits for the host: indices, weights and mask bits of all its steps go over at its beginning.
    """

    def __init__(self, share: _Share):
        self.share = share
        self.graphs: dict[int, tuple] = {}
        self.pool = None  # of memory, one for all graphs: no two of them run at a time
        self.seeds = list(dict.fromkeys(share.seeds))
        place = share.course.place
        self.seed_of = torch.tensor([self.seeds.index(seed) for seed in share.seeds], device=place)
        self.shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=place)

    def begin(self, masks: DropoutMasks) -> Callable[[int, int, Tensor, Tensor], Tensor]:
        """The step function of one epoch: (step, members, index, weight) -> losses."""
        drawn = [[masks.bits(seed) for seed in self.seeds] for _ in self.share.sizes]
        bits = [
            torch.from_numpy(np.stack([np.stack([seed[i] for seed in step]) for step in drawn])).to(
                self.share.course.place
            )
            for i in range(len(masks.shapes))
        ]  # each (steps, seeds, bytes)

        def step(i: int, k: int, index: Tensor, weight: Tensor) -> Tensor:
            inputs = (index, weight, *(b[i] for b in bits))
            if k not in self.graphs:
                self.graphs[k] = self._capture(inputs)
            graph, static, loss = self.graphs[k]
            for mine, new in zip(static, inputs, strict=True):
                mine.copy_(new)
            graph.replay()
            return loss

        return step

    def eager(self, index: Tensor, weight: Tensor, *bits: Tensor) -> Tensor:
        """The same step without a graph."""
        k = len(index)
        shapes = self.share.course.shapes
        unpacked = [
            (b.unsqueeze(-1) >> self.shifts & 1).view(-1, BATCH_SIZE, *shape)
            for b, shape in zip(bits, shapes, strict=True)
        ]
        return self.share.step(index, weight, [m[self.seed_of[:k]] for m in unpacked])

    def _capture(self, inputs: tuple[Tensor, ...]) -> tuple:
        state = self.share.state
        before = {name: state[name].clone() for name in ("weights", "mean", "square", "steps")}
        static = tuple(tensor.clone() for tensor in inputs)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries set themselves up before the capture
            for _ in range(3):
                self.eager(*static)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self.pool):
            loss = self.eager(*static)
        for name, tensor in before.items():  # as if the warm-up had not been
            state[name].copy_(tensor)
        return graph, static, loss


def _progress_line(done: int, epochs: int, state: dict[str, Tensor], seconds: float) -> str:
    trains = state["stopped"] == 0
    auc = state["history"][:, done - 1, HISTORY.index("validation_roc_auc")]
    auc = auc[trains] if trains.any() else auc[state["stopped"] == done]
    left = seconds * (epochs - done)
    rest = f", {len(trains) - int(trains.sum())} stopped" if not trains.all() else ""
    return (
        f"epoch {done:3d} of {epochs}  validation ROC-AUC {auc.nanmean():.3f} (mean of {len(auc)} models{rest})"
        f"  {seconds * done:.0f} s, about {left:.0f} s left"
    )


def _knowledge_rows(members: list[Member], windows: int, place: torch.device):
    """Soft labels (k, windows, C) and attention (k, windows, M) of each distinct Knowledge, and which a member has."""
    distinct = list({id(m.knowledge): m.knowledge for m in members if m.knowledge is not None}.values())
    if not distinct:
        return None, None, None
    of = [next((j for j, k in enumerate(distinct) if k is m.knowledge), 0) for m in members]
    soft, attention = zip(*(k.rows(windows) for k in distinct), strict=True)
    soft, attention = (torch.from_numpy(np.stack(rows)).to(place) for rows in (soft, attention))
    return soft, attention, torch.tensor(of, device=place)


def _padded(indices: list[np.ndarray]) -> np.ndarray:
    """Index arrays of different lengths as one (E, longest), padded with window 0."""
    longest = max(map(len, indices))
    return np.stack([np.pad(i, (0, longest - len(i))) for i in indices]).astype(np.int64)


def _forward_all(
    stack: RCNNStack, weights: Tensor, inputs: Inputs, which: list[int], index: Tensor, same: list
) -> tuple[Tensor, Tensor]:
    """Log attention (k, n, M) and logits (k, n, C) for window indices (k, n), in evaluation mode, piece by piece."""
    w = stack.unflatten(weights)
    pieces = [
        stack.forward(w, inputs.batch(which, part, same))
        for part in index.split(max(1, EVALUATION_BATCH // len(which)), 1)
    ]
    return tuple(torch.cat(parts, 1) for parts in zip(*pieces, strict=True))


@torch.no_grad()
def forward(
    models: list[RCNN], windows: Windows, members: list[Member], indices: list[np.ndarray], device: str = "auto"
) -> list[tuple[Tensor, Tensor]]:
    """Log attention (n, M) and logits (n, C) of each model on its own windows, on the CPU, in evaluation mode.

    Members give standardisation and noise; all models must be of one shape.
    """
    place = resolve_device(device)
    stack, inputs = RCNNStack(models, place), Inputs(windows, members, place)
    index = torch.from_numpy(_padded(indices)).to(place)
    same = [hash(i.tobytes()) for i in indices]
    log_a, logits = _forward_all(stack, stack.flat, inputs, list(range(len(models))), index, same)
    return [(log_a[e, : len(i)].cpu(), logits[e, : len(i)].cpu()) for e, i in enumerate(indices)]


def predict(
    fitted: list[Fitted], windows: Windows, indices: list[np.ndarray], device: str = "auto"
) -> list[np.ndarray]:
    """S(O, 1), Eq. 6, of each fitted member on its own windows: probabilities (n, C)."""
    outputs = forward([f.model for f in fitted], windows, [f.member for f in fitted], indices, device)
    return [F.softmax(logits.double(), -1).numpy() for _, logits in outputs]
