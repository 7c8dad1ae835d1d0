"""Windows as an index into the series, splits by subject, standardisation by training subjects.

Shapes: N samples in all recordings together, D channels, R recordings, n windows of l samples.
"""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from ..errors import UserError
from ..paper import PAPER, Protocol, Spec


@dataclass
class Ledger:
    """What came in, what each step removed, what came out; printed in the notebook and kept in the record."""

    rows: list[dict] = field(default_factory=list)

    def add(self, step: str, *, table1: str = "", **counts: int) -> None:
        """Note a step with its counts (e.g. rows=, records=, subjects=), and what Table 1 says where it does."""
        self.rows.append({"step": step, **{k: int(v) for k, v in counts.items()}, "Table 1": table1})


@dataclass
class Recordings:
    """What a reader hands over: continuous stretches of signal one after another in one array.

    series (N, D) float32 in raw units, NaN where nothing was measured; recording r is rows start[r]:stop[r], of
    one subject and one class. part is 'train' or 'test' where the publisher fixed it, else ''.
    """

    series: np.ndarray
    start: np.ndarray  # (R,)
    stop: np.ndarray  # (R,)
    subject: np.ndarray  # (R,)
    label: np.ndarray  # (R,)
    ledger: Ledger
    statistics: dict[str, int | None]  # of what was read, for Table 1: subjects and total_length
    part: np.ndarray | None = None  # (R,)
    subjects_are_blocks: bool = False  # no subject ids in the files: 'subjects' are blocks of neighbouring windows


@dataclass(frozen=True)
class Windows:
    """All windows of one view of a data set. The label is beside the series, never a column of it."""

    dataset: str
    source: str  # 'simulated' or 'real'
    view: str
    series: np.ndarray  # (N, D) float32, raw units, the view's channels only
    start: np.ndarray  # (n,) first row of each window
    label: np.ndarray  # (n,)
    recording: np.ndarray  # (n,) index into the arrays below
    recording_rows: np.ndarray  # (R, 2) first row and the one after the last
    recording_subject: np.ndarray  # (R,)
    recording_part: np.ndarray  # (R,) 'train', 'test' or ''
    ledger: list[dict]
    statistics: dict[str, int | None]  # subjects, classes, attributes, total_length as Table 1 counts them
    fingerprint: str  # of the full data set, the same for every view
    subjects_are_blocks: bool = False
    protocol: Protocol = PAPER

    @property
    def spec(self) -> Spec:
        return self.protocol.spec(self.dataset)

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.spec.channels[i] for i in self.spec.views[self.view])

    @property
    def subject(self) -> np.ndarray:
        """(n,) subject of each window."""
        return self.recording_subject[self.recording]

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """Windows (len(index), l, D), copied out of the series."""
        return self.series[np.asarray(self.start[index])[..., None] + np.arange(self.spec.length)]


@dataclass(frozen=True)
class Split:
    """Indices of the training, validation and test windows, and who fell where."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    subjects: dict[str, np.ndarray]

    def counts(self) -> dict[str, dict[str, int]]:
        return {
            "windows": {part: len(getattr(self, part)) for part in ("train", "validation", "test")},
            "subjects": {part: len(ids) for part, ids in self.subjects.items()},
        }


def cut(start: np.ndarray, stop: np.ndarray, length: int, hop: int) -> tuple[np.ndarray, np.ndarray]:
    """First rows (n,) and recordings (n,) of all windows of `length` rows, every `hop` rows, inside a recording.

    A recording shorter than `length` gives none; rows left over at its end are not used.
    """
    count = np.maximum((stop - start - length) // hop + 1, 0)  # windows of each recording
    recording = np.repeat(np.arange(len(start)), count)
    position = np.arange(count.sum()) - np.repeat(count.cumsum() - count, count)
    return start[recording] + hop * position, recording


def fingerprint(*parts: str | np.ndarray) -> str:
    """SHA-256 over names and arrays, shortened: says whether two runs saw the same windows."""
    digest = hashlib.sha256()
    for part in parts:
        name = part if isinstance(part, str) else f"{part.dtype}{part.shape}"
        digest.update(f"{len(name)} {name} ".encode())  # so that ("ab", "c") and ("a", "bc") differ
        if isinstance(part, np.ndarray):
            digest.update(np.ascontiguousarray(part).view(np.uint8).data)
    return digest.hexdigest()[:16]


def split(windows: Windows, seed: int) -> Split:
    """Training, validation and test windows, by subject (Section 3.1); the data set's spec says which way.

    'subjects': fixed (PAMAP2). 'random': 80/10/10 of the subjects, drawn by seed (PTBDB, MIMIC-III). 'official':
    the publisher's test part, and a fifth of the training subjects, drawn by seed, for validation (UCI HAR).
    """
    spec = windows.spec
    subjects = np.unique(windows.subject)
    rng = np.random.default_rng(seed)
    if spec.split == "subjects":
        validation, test = np.array(spec.validation_subjects), np.array(spec.test_subjects)
    elif spec.split == "random":
        shuffled = rng.permutation(subjects)
        share = max(1, round(len(subjects) * spec.held_out))
        validation, test = shuffled[:share], shuffled[share : 2 * share]
    else:
        test = np.unique(windows.recording_subject[windows.recording_part == "test"])
        rest = np.setdiff1d(subjects, test)
        validation = rng.permutation(rest)[: max(1, round(len(rest) / 5))]
    train = np.setdiff1d(subjects, np.concatenate([validation, test]))
    who = {"train": train, "validation": np.sort(validation), "test": np.sort(test)}
    index = {part: np.flatnonzero(np.isin(windows.subject, ids)) for part, ids in who.items()}
    if windows.subjects_are_blocks:
        # Neighbouring windows share half their samples: a training window beside a validation window would leak.
        beside = np.union1d(index["validation"] - 1, index["validation"] + 1)
        index["train"] = np.setdiff1d(index["train"], beside)
    for part, windows_of_part in index.items():
        if not len(windows_of_part):
            raise UserError(
                f"{spec.title}: the {part} split has no window (subjects {who[part].tolist() or 'none'}); "
                f"the data holds subjects {subjects[:20].tolist()}; add recordings of the missing subjects."
            )
    return Split(**index, subjects=who)


def standardiser(windows: Windows, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (D,) of each channel over the recordings of the training windows `train`.

    NaN is left out; a channel that never varies, or is never measured, gets standard deviation 1.
    """
    mask = np.zeros(len(windows.series), bool)
    for first, last in windows.recording_rows[np.unique(windows.recording[train])]:
        mask[first:last] = True
    rows = windows.series if mask.all() else windows.series[mask]
    mean, std = np.empty((2, rows.shape[1]))
    for d, channel in enumerate(rows.T):
        channel = channel[np.isfinite(channel)].astype(np.float64)
        mean[d], std[d] = (channel.mean(), channel.std()) if len(channel) else (0.0, 1.0)
    return mean.astype(np.float32), np.where(std > 1e-8, std, 1.0).astype(np.float32)


def standardise(x: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """(x - mean) / std; a missing value becomes 0, the training mean."""
    return np.nan_to_num((x - mean) / std, nan=0.0, posinf=0.0, neginf=0.0)
