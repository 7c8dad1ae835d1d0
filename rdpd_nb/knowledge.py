"""What crosses from the rich side to the poor one: for each training window one row of soft labels, one of attention.

Nothing else does. Shapes: n windows, C classes, M segments.
"""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from .data.windows import Windows, fingerprint
from .engine import forward
from .errors import UserError
from .files import replace_file, sort_marks
from .paper import PAPER, Protocol

ARRAYS = ("window", "soft_labels", "attention")
MARKS = {"temperature": float, "fingerprint": str, "protocol": str, "best_epoch": int, "labelled": float}
DIGEST = "digest"
ONE = 1e-4  # how far from 1 a row of float32 probabilities may sum
OF_STUDENTS = (
    "attention_kl",
    "short_batch",
    "noise_on",
    "macro_f1",
    "soft_scale",
    "few_rich",
)  # no teacher knows these


def of_teachers(protocol: Protocol) -> str:
    """What of a protocol a teacher knows of, where it differs from the text's: 'batch_order=once, ...'."""
    differ = {f.name: v for f in fields(protocol) if (v := getattr(protocol, f.name)) != f.default}
    return ", ".join(f"{name}={value}" for name, value in differ.items() if name not in OF_STUDENTS)


@dataclass(frozen=True)
class Knowledge:
    """What one teacher says of its training windows.

    window (n,) indices into the windows of the data set; soft_labels (n, C) = P_{r,T} of Eq. 7; attention (n, M) =
    A_r of Eq. 2. `fingerprint` is of the windows and of which ones these are; `labelled` is the share of them whose
    label the teacher saw in its training.
    """

    window: np.ndarray
    soft_labels: np.ndarray
    attention: np.ndarray
    temperature: float
    fingerprint: str
    protocol: str = of_teachers(PAPER)  # what of the protocol its teacher was trained under
    best_epoch: int = 0  # of its teacher; 0 where nobody says
    labelled: float = 1.0
    path: str = "memory"  # where it was read from, for messages

    def __post_init__(self):
        if fault := self._fault():
            raise UserError(f"the knowledge in {self.path} cannot be believed: {fault}; run 02_teacher again.")

    def _fault(self) -> str:
        """What is wrong with it, whatever it is about; '' for nothing."""
        if self.window.ndim != 1 or not np.issubdtype(self.window.dtype, np.integer):
            return f"its windows are {self.window.dtype} of shape {self.window.shape}, not whole numbers in one row"
        if self.window.min(initial=0) < 0 or len(np.unique(self.window)) < len(self.window):
            return "a window is there twice, or below 0"
        for name, rows in {"soft labels": self.soft_labels, "attention": self.attention}.items():
            if rows.dtype != np.float32 or rows.ndim != 2 or len(rows) != len(self.window):
                expected = f"a row of float32 for each of its {len(self.window):,} windows"
                return f"its {name} are {rows.dtype} of shape {rows.shape}, not {expected}"
            total = rows.sum(1, dtype=np.float64)
            # Read from a file they sum to 1. In memory, notebook 11 gives the soft loss another factor, one for all.
            one = total[0] if self.path == "memory" and name == "soft labels" and len(total) else 1
            wrong = ~((rows >= 0).all(1) & (abs(total - one) < ONE))  # NaN is neither
            if wrong.any():
                first, row = self.window[wrong][0], rows[wrong][0]
                where = f"in {wrong.sum():,} of {len(rows):,} windows"
                of = f"(window {first}: they sum to {row.sum():g}, the least is {row.min(initial=1):g})"
                return f"its {name} are no probabilities that sum to 1 {where} {of}"
        if not 0 < self.temperature < float("inf"):
            return f"its temperature is {self.temperature:g}"
        if not 0 < self.labelled <= 1 or self.best_epoch < 0:
            return f"its teacher saw {self.labelled:g} of the labels and was kept after epoch {self.best_epoch}"
        return ""

    def check(self, windows: Windows, train: np.ndarray, labelled: float = 1.0) -> None:
        """Refuse knowledge made from other windows, about windows the student does not train on, or by a teacher that
        saw the labels of another share of them than the student does."""
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
        columns, spec = (self.soft_labels.shape[1], self.attention.shape[1]), windows.spec
        if columns != (len(spec.classes), spec.segments):
            raise UserError(
                f"the knowledge in {self.path} is of {columns[0]} classes and {columns[1]} segments, {spec.title} has "
                f"{len(spec.classes)} and {spec.segments}; {again}"
            )
        if self.protocol != (here := of_teachers(windows.protocol)):
            differ = f"under {self.protocol or 'the text'}, the student's is {here or 'the text'}"
            raise UserError(f"the teacher in {self.path} was trained by another protocol ({differ}); {again}")
        if abs(self.labelled - labelled) > 1e-9:
            raise UserError(
                f"the teacher in {self.path} saw the labels of {self.labelled:.1%} of its windows, the student sees "
                f"those of {labelled:.1%}; {again[:-1]} and `labelled`."
            )
        if self.temperature != windows.spec.temperature:
            raise UserError(
                f"the knowledge in {self.path} is for T = {self.temperature:g}, the student's is "
                f"{windows.spec.temperature:g}; {again}"
            )

    def rows(self, windows: int) -> tuple[Tensor, Tensor]:
        """Soft labels (windows, C) and attention (windows, M) by window; zeros where the teacher said nothing."""
        rows = []
        for said in (self.soft_labels, self.attention):
            rows.append(torch.zeros(windows, said.shape[1], dtype=torch.float32))
            rows[-1][self.window] = torch.from_numpy(said)
        return rows[0], rows[1]


def knowledge_fingerprint(windows: Windows, train: np.ndarray) -> str:
    """Says which windows of which data the knowledge is about."""
    return fingerprint(windows.fingerprint, np.sort(train).astype(np.int64))


def extract_knowledge(
    teachers: list, windows: Windows, device: str = "auto", of: list[np.ndarray] | None = None
) -> list[Knowledge]:
    """What each fitted teacher says of its training windows: one pass of the kept model in evaluation mode.

    Under `Protocol.knowledge` 'training' it is what it said in training mode, in its best epoch; `Protocol.detail` says
    how much of it crosses. `of`: for each teacher the windows it speaks of, where they are more than it was trained on:
    those that nobody labelled.
    """
    temperature, by = windows.spec.temperature, of_teachers(windows.protocol)
    trains = [f.member.train for f in teachers]
    of = of or trains
    if windows.protocol.knowledge == "training":
        if any(len(w) != len(t) for w, t in zip(of, trains, strict=True)):
            raise UserError(
                "the switch knowledge='training' has no word about windows that the teacher was not trained on; leave "
                "it, or label all windows."
            )
        said = [tuple(rows[t] for rows in f.said_in_training) for f, t in zip(teachers, trains, strict=True)]
    else:
        outputs = forward([f.model for f in teachers], windows, [f.member for f in teachers], of, device)
        said = [
            (F.softmax(logits.double() / temperature, -1).float().numpy(), log_a.double().exp().float().numpy())
            for log_a, logits in outputs
        ]
    found = []
    for f, window, arrays in zip(teachers, of, said, strict=True):
        label = np.where(np.isin(window, f.member.train), windows.label[window], -1)  # no other did the teacher see
        arrays = coarser(windows.protocol.detail, *arrays, label)
        mark = knowledge_fingerprint(windows, window)
        share = len(f.member.train) / len(window)
        found.append(Knowledge(window, *arrays, temperature, mark, by, f.best_epoch, share))
    return found


def coarser(detail: str, soft_labels: np.ndarray, attention: np.ndarray, label: np.ndarray) -> list[np.ndarray]:
    """Soft labels (n, C) and attention (n, M) with as much of each window in them as `Protocol.detail` says.

    Rounded: a value that would be 0 is half a step, for Eq. 10 takes its logarithm; each row sums to 1 again. Class
    means: of the windows of the same label (n,); one without (-1) is of the class that the teacher finds likeliest.
    """
    if detail == "full":
        return [soft_labels, attention]
    if detail == "class_means":
        group = np.where(label >= 0, label, soft_labels.argmax(1))
        _, at = np.unique(group, return_inverse=True)
        said = [np.stack([rows[at == g].mean(0, dtype=np.float64) for g in range(at.max() + 1)])[at]
                for rows in (soft_labels, attention)]  # fmt: skip
    else:
        step = 0.1 ** int(detail[0])
        said = [np.maximum((rows / step).round() * step, step / 2) for rows in (soft_labels, attention)]
    return [(rows / rows.sum(1, keepdims=True)).astype(np.float32) for rows in said]


def digest(seed: int, arrays: dict[str, np.ndarray], marks: dict[str, str]) -> str:
    """Says whether a seed's arrays and marks in a file are as they were written."""
    return fingerprint(
        f"seed {seed}", *(part for of in (marks, arrays) for item in sorted(of.items()) for part in item)
    )


def save_knowledge(path: Path, by_seed: dict[int, Knowledge]) -> None:
    """Write the knowledge of all seeds to one safetensors file, with a digest a seed."""
    arrays, marks = {}, {}
    for seed, k in by_seed.items():
        of = {name: np.ascontiguousarray(getattr(k, name)) for name in ARRAYS}
        said = {name: str(getattr(k, name)) for name in MARKS}
        arrays |= {f"{seed}/{name}": array for name, array in of.items()}
        marks |= {f"{seed}/{name}": text for name, text in (said | {DIGEST: digest(seed, of, said)}).items()}
    with replace_file(path) as temporary:
        save_file(arrays, temporary, marks)
        sort_marks(temporary)


def load_knowledge(path: Path, seed: int) -> Knowledge:
    """The knowledge of one seed. Raises UserError where it is missing, damaged, or not what was written."""
    if not path.exists():
        raise UserError(
            f"no teacher's knowledge at {path}; run 02_teacher with the same profile, data set and seeds first."
        )
    try:
        with safe_open(path, "np") as file:
            marks = file.metadata() or {}
            if f"{seed}/window" not in file.keys():  # noqa: SIM118 (not a dict)
                raise UserError(f"{path} holds no knowledge for seed {seed}; run 02_teacher with that seed.")
            arrays = {name: file.get_tensor(f"{seed}/{name}") for name in ARRAYS}
        texts = {name: marks[f"{seed}/{name}"] for name in MARKS}
        said = {name: kind(texts[name]) for name, kind in MARKS.items()}
        if marks[f"{seed}/{DIGEST}"] != digest(seed, arrays, texts):
            raise ValueError(f"what it holds of seed {seed} was changed after it was written")
        if not len(arrays["window"]):
            raise ValueError(f"seed {seed} has no window")
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it and run 02_teacher again.") from None
    return Knowledge(**arrays, **said, path=str(path))


def load_by_seed(path: Path, seeds: list[int]) -> dict[int, Knowledge]:
    """The knowledge of each seed, as `save_knowledge` wrote it."""
    return {seed: load_knowledge(path, seed) for seed in seeds}
