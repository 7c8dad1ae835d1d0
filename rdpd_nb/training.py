"""Training all members of a run at once, and the knowledge a teacher hands over.

A member is one model to train: its seed, its method, its windows. What a member becomes depends on nothing but
itself: its weights, batch order and dropout masks come from its seed alone, so that two methods of one seed share them.
"""

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

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
    return torch.device(device)


def _keep_freed_memory() -> None:
    """Let glibc hand out again what a step has freed, in place of returning it to the system after every step.

    Steps allocate and free the same few large arrays; fresh ones cost a page fault each 4 KiB, about a quarter of a
    CPU step. Elsewhere than on glibc nothing happens.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
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


def extract_knowledge(
    teacher: RCNN, windows: Windows, member: "Member", train: np.ndarray, device: str = "auto"
) -> Knowledge:
    """One pass of the kept teacher, in evaluation mode, over the training windows `train`."""
    temperature = windows.spec.temperature
    log_attention, logits = forward([teacher], windows, [member], [train], device)[0]
    return Knowledge(
        window=np.asarray(train),
        soft_labels=F.softmax(logits.double() / temperature, -1).float().numpy(),
        attention=log_attention.double().exp().float().numpy(),
        temperature=temperature,
        fingerprint=knowledge_fingerprint(windows, train),
    )


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


class _Inputs:
    """Windows of a stack's members on the device: gathered by index, standardised, with their noise."""

    def __init__(self, windows: Windows, members: list[Member], device: torch.device):
        self.series = torch.from_numpy(windows.series).to(device)  # (N, D)
        self.start = torch.from_numpy(windows.start).to(device)
        self.steps = torch.arange(windows.spec.length, device=device)
        self.mean = torch.from_numpy(np.stack([m.mean for m in members])).to(device)[:, None, None]  # (E, 1, 1, D)
        self.scale = torch.from_numpy(1 / np.stack([m.std for m in members])).to(device)[:, None, None]
        self.amplitude = torch.tensor([m.noise for m in members], device=device)
        self.noise, self.noise_of = None, None
        if any(m.noise for m in members):
            # One noise series a seed, shared by its members: levels and methods differ by amplitude, not by draw.
            kinds = sorted({(m.seed, m.noise_kind) for m in members})
            self.noise = torch.stack([noise_series(windows.series.shape, *kind) for kind in kinds]).to(device)
            self.noise_of = torch.tensor([kinds.index((m.seed, m.noise_kind)) for m in members], device=device)

    def batch(self, index: Tensor) -> Tensor:
        """Windows (k, B, l, D) of the first k members for indices (k, B)."""
        k = len(index)
        rows = self.start[index].unsqueeze(-1) + self.steps  # (k, B, l)
        x = self.series[rows].sub_(self.mean[:k]).mul_(self.scale[:k]).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)
        if self.noise is not None:
            x += self.amplitude[:k, None, None, None] * self.noise[self.noise_of[:k, None, None], rows]
        return x


def noise_series(shape: tuple[int, int], seed: int, kind: str) -> Tensor:
    """Noise (N, D) to be added to the standardised series: 'normal' (standard normal) or 'uniform' (-1 to 1)."""
    generator = torch.Generator().manual_seed(seed + 1_000_003)  # not the seed that orders the batches
    if kind == "uniform":
        return torch.rand(shape, generator=generator) * 2 - 1
    if kind == "normal":
        return torch.randn(shape, generator=generator)
    raise UserError(f"noise kind '{kind}' is unknown; use 'normal' or 'uniform'.")


class _DropoutMasks:
    """Dropout masks of each distinct seed, so that members of one seed get the same."""

    def __init__(self, members: list[Member], shapes: list[tuple[int, int, int]], device: torch.device):
        self.seeds = sorted({m.seed for m in members})
        self.of = torch.tensor([self.seeds.index(m.seed) for m in members], device=device)
        self.shapes = shapes
        self.device = device

    def begin(self, epoch: int) -> None:
        """Start an epoch: its masks depend on nothing but seed, epoch and step, whoever trains beside a member."""
        self.rng = [np.random.Generator(np.random.SFC64([seed, 1, epoch])) for seed in self.seeds]

    def draw(self, members: int) -> list[Tensor]:
        """What dropout keeps, after each convolution, (members, B, M, S', K) of 0 and 1, for the first members."""
        of = self.of[:members]
        needed = np.unique(of.cpu().numpy())
        position = torch.full((len(self.seeds),), -1, device=self.device)
        position[torch.from_numpy(needed).to(self.device)] = torch.arange(len(needed), device=self.device)
        masks = []
        for shape in self.shapes:
            size = BATCH_SIZE * int(np.prod(shape))
            # Every bit of a random byte is one fair coin: an eighth of the random numbers that p = 0.5 seems to need.
            bits = np.stack([np.unpackbits(np.frombuffer(self.rng[s].bytes(size // 8), np.uint8)) for s in needed])
            mask = torch.from_numpy(bits).view(len(needed), BATCH_SIZE, *shape).to(self.device)
            masks.append(mask[position[of]])
        return masks


def epoch_order(train: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The training windows in the order of one epoch: a new shuffle each, fixed by seed and epoch."""
    return np.random.default_rng([seed, 2, epoch]).permutation(train)


def _batches(members: list[Member], epoch: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Indices (E, steps, B), the weight 1/rows of each row (0 where padded), and how many members each step has.

    Members must come by falling number of steps: those of a step are then the first ones.
    """
    steps = [-(-len(m.train) // BATCH_SIZE) for m in members]
    index = np.zeros((len(members), steps[0], BATCH_SIZE), np.int64)
    weight = np.zeros(index.shape, np.float32)
    for e, m in enumerate(members):
        n = len(m.train)
        flat_index, flat_weight = index[e].reshape(-1), weight[e].reshape(-1)
        flat_index[:n] = epoch_order(m.train, m.seed, epoch)
        flat_weight[:n] = 1 / BATCH_SIZE
        if n % BATCH_SIZE:
            flat_weight[n - n % BATCH_SIZE : n] = 1 / (n % BATCH_SIZE)  # the short last batch: the mean over its rows
    return index, weight, [sum(s > step for s in steps) for step in range(steps[0])]


class _Adam:
    """Adam (Kingma and Ba, 2014) on the rows of a matrix, each row with a step count of its own."""

    def __init__(self, weights: Tensor, learning_rate: float = LEARNING_RATE):
        self.weights, self.learning_rate = weights, learning_rate
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)
        self.count = torch.zeros(len(weights), 1, dtype=torch.float64, device=weights.device)

    @torch.no_grad()
    def step(self, gradient: Tensor) -> None:
        """Update the first len(gradient) rows."""
        k = len(gradient)
        self.count[:k] += 1
        mean = self.mean[:k].mul_(0.9).add_(gradient, alpha=0.1)
        square = self.square[:k].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        rate = (self.learning_rate / (1 - 0.9 ** self.count[:k])).to(mean.dtype)
        correction = (1 - 0.999 ** self.count[:k]).sqrt().to(mean.dtype)
        self.weights[:k].addcdiv_(mean * rate, square.sqrt().div_(correction).add_(1e-8), value=-1)


# --------------------------------------------------------------------------------------------------------- fit


def fit(
    members: list[Member],
    windows: Windows,
    epochs: int = 200,
    device: str = "auto",
    progress: Callable[[str], None] = print,
) -> list[Fitted]:
    """Train all members together, each as if alone; return them in the order given, each with its best epoch's model.

    Every epoch each member sees its training windows once in batches of 128, and is scored on its validation
    windows; the weights with the best validation ROC-AUC are kept.
    """
    _keep_freed_memory()
    place = resolve_device(device)
    spec, view = windows.spec, windows.view
    by_steps = sorted(range(len(members)), key=lambda i: -len(members[i].train))
    team = [members[i] for i in by_steps]
    stack = RCNNStack([RCNN(spec, view, seed=m.seed) for m in team], place)
    inputs = _Inputs(windows, team, place)
    masks = _DropoutMasks(team, mask_shapes(spec, view), place)
    adam = _Adam(stack.flat)
    label = torch.from_numpy(windows.label).to(place)
    validation = _Validation(team, label)
    terms = sorted({term for m in team for term in m.terms})
    uses = torch.tensor([[term in m.terms for term in terms] for m in team], dtype=torch.float32, device=place)
    soft, attention = _knowledge_rows(team, len(windows), place)

    best = stack.flat.clone()
    best_score = torch.full((len(team),), -torch.inf, dtype=torch.float64, device=place)
    best_epoch = torch.zeros(len(team), dtype=torch.int64, device=place)
    history = []
    began = said = time.perf_counter()
    for epoch in range(epochs):
        index, weight, sizes = _batches(team, epoch)
        index, weight = torch.from_numpy(index).to(place), torch.from_numpy(weight).to(place)
        masks.begin(epoch)
        epoch_loss = torch.zeros(len(team), device=place)
        for step, k in enumerate(sizes):
            i = index[:k, step]  # (k, B)
            flat = stack.flat[:k].detach().requires_grad_()
            w = stack.unflatten(flat)
            log_a, logits = stack.forward(w, inputs.batch(i), masks.draw(k))
            rows = loss_terms(
                tuple(terms),
                logits=logits,
                log_attention=log_a,
                combine=w["combine"],
                y=label[i],
                temperature=spec.temperature,
                p_teacher=None if soft is None else soft[0][soft[1][:k, None], i],
                a_teacher=None if attention is None else attention[0][attention[1][:k, None], i],
            )
            if attention is not None and "attention" in rows:
                rows["attention"] = rows["attention"] * (attention[0][attention[1][:k, None], i].sum(-1) > 0)
            per_row = sum(uses[:k, t, None] * rows[term] for t, term in enumerate(terms))  # (k, B)
            loss = (per_row * weight[:k, step]).sum(1)  # (k,), mean over a member's rows
            (gradient,) = torch.autograd.grad(loss.sum(), flat)
            adam.step(gradient)
            epoch_loss[:k] += loss.detach() * (weight[:k, step] > 0).sum(1)
        auc, validation_loss = validation.score(stack, inputs)
        if not validation_loss.isfinite().all():
            raise UserError(f"training diverged in epoch {epoch + 1}: the loss is not a number; check the raw values.")
        # Where no class of the validation split can be scored, the lowest validation loss takes its place.
        score = torch.where(auc.isnan(), -validation_loss, auc)
        better = score > best_score
        best[better], best_score[better], best_epoch[better] = stack.flat[better], score[better], epoch + 1
        train_rows = torch.tensor([len(m.train) for m in team], device=place)
        history.append(torch.stack([(epoch_loss / train_rows).double(), validation_loss, auc]).cpu())
        due = epoch in (0, epochs - 1) or (epoch + 1) % max(1, epochs // 5) == 0
        if due or time.perf_counter() - said > QUIET_SECONDS:
            said = time.perf_counter()
            progress(_progress_line(epoch + 1, epochs, auc, said - began))

    curves = torch.stack(history, -1)  # (3, E, epochs)
    fitted: dict[int, Fitted] = {}
    for e, i in enumerate(by_steps):
        names = ("train_loss", "validation_loss", "validation_roc_auc")
        fitted[i] = Fitted(
            team[e],
            stack.member(e, best[e]).eval(),
            int(best_epoch[e]),
            "validation loss" if bool(curves[2, e].isnan().any()) else "validation ROC-AUC",
            {name: curve[e].tolist() for name, curve in zip(names, curves, strict=True)},
        )
    return [fitted[i] for i in range(len(members))]


def _progress_line(epoch: int, epochs: int, auc: Tensor, spent: float) -> str:
    left = spent / epoch * (epochs - epoch)
    return (
        f"epoch {epoch:3d} of {epochs}  validation ROC-AUC {auc.nanmean():.3f} (mean of {len(auc)} models)"
        f"  {spent:.0f} s, about {left:.0f} s left"
    )


def _knowledge_rows(team: list[Member], windows: int, place: torch.device):
    """Soft labels and attention by window of each distinct Knowledge, and which of them each member has."""
    distinct = list({id(m.knowledge): m.knowledge for m in team if m.knowledge is not None}.values())
    if not distinct:
        return None, None
    of = torch.tensor([next((j for j, k in enumerate(distinct) if k is m.knowledge), 0) for m in team], device=place)
    soft, attention = zip(*(k.rows(windows) for k in distinct), strict=True)
    return tuple((torch.from_numpy(np.stack(rows)).to(place), of) for rows in (soft, attention))


class _Validation:
    """The validation windows of all members, padded to one length, scored in one pass."""

    def __init__(self, team: list[Member], label: Tensor):
        longest = max(len(m.validation) for m in team)
        index = np.zeros((len(team), longest), np.int64)
        valid = np.zeros(index.shape, bool)
        for e, m in enumerate(team):
            index[e, : len(m.validation)], valid[e, : len(m.validation)] = m.validation, True
        self.index = torch.from_numpy(index).to(label.device)
        self.valid = torch.from_numpy(valid).to(label.device)
        self.label = label[self.index]

    @torch.no_grad()
    def score(self, stack: RCNNStack, inputs: _Inputs) -> tuple[Tensor, Tensor]:
        """Macro ROC-AUC (E,) and cross-entropy (E,) in nats, at temperature 1."""
        _, logits = _forward_all(stack, inputs, self.index)
        log_p = F.log_softmax(logits.double(), -1)
        loss = -log_p.gather(-1, self.label.unsqueeze(-1)).squeeze(-1)
        loss = (loss * self.valid).sum(1) / self.valid.sum(1)
        return macro_roc_auc(log_p.exp(), self.label, self.valid), loss


def _forward_all(stack: RCNNStack, inputs: _Inputs, index: Tensor) -> tuple[Tensor, Tensor]:
    """Log attention (E, n, M) and logits (E, n, C) for window indices (E, n), in evaluation mode, piece by piece."""
    piece = max(1, EVALUATION_BATCH // len(stack))
    w = stack.unflatten(stack.flat)
    pieces = [stack.forward(w, inputs.batch(i)) for i in index.split(piece, 1)]
    return tuple(torch.cat(parts, 1) for parts in zip(*pieces, strict=True))


@torch.no_grad()
def forward(
    models: list[RCNN], windows: Windows, members: list[Member], indices: list[np.ndarray], device: str = "auto"
) -> list[tuple[Tensor, Tensor]]:
    """Log attention (n, M) and logits (n, C) of each model on its own windows, on the CPU, in evaluation mode.

    Members give standardisation and noise; all models must be of one shape.
    """
    place = resolve_device(device)
    stack, inputs = RCNNStack(models, place), _Inputs(windows, members, place)
    longest = max(map(len, indices))
    index = np.stack([np.pad(i, (0, longest - len(i))) for i in indices])
    log_a, logits = _forward_all(stack, inputs, torch.from_numpy(index).to(place))
    return [(log_a[e, : len(i)].cpu(), logits[e, : len(i)].cpu()) for e, i in enumerate(indices)]


def predict(
    fitted: list[Fitted], windows: Windows, indices: list[np.ndarray], device: str = "auto"
) -> list[np.ndarray]:
    """S(O, 1), Eq. 6, of each fitted member on its own windows: probabilities (n, C)."""
    outputs = forward([f.model for f in fitted], windows, [f.member for f in fitted], indices, device)
    return [F.softmax(logits.double(), -1).numpy() for _, logits in outputs]
