"""Windows as an index into the series, splits by subject, standardisation by training subjects.

Shapes: N samples in all recordings together, D channels, R recordings, n windows of l samples.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import UserError
from ..paper import PAPER, Protocol
from .spec import Spec

SOURCES = ("simulated", "embedded", "real")  # embedded: real data in the repository
PARTS = ("", "train", "test")


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

    series (N, D) float32 in raw units, NaN where nothing was measured; recording r is rows start[r]:stop[r], of one
    subject and one class, -1 where nobody labelled it. part is 'train' or 'test' where the publisher fixed it, else ''.
    Raises UserError with what does not fit together: a reader made them, so the sentence is for its author.
    """

    series: np.ndarray
    start: np.ndarray  # (R,)
    stop: np.ndarray  # (R,)
    subject: np.ndarray  # (R,)
    label: np.ndarray  # (R,)
    ledger: Ledger = field(default_factory=Ledger)
    statistics: dict[str, int | None] = field(default_factory=dict)  # subjects, total_length for Table 1, if others
    part: np.ndarray | None = None  # (R,)
    subjects_are_blocks: bool = False  # no subject ids in the files: 'subjects' are blocks of neighbouring windows

    def __post_init__(self) -> None:
        count = len(self.start)
        parts = [] if self.part is None else [self.part]
        if self.series.ndim != 2 or self.series.dtype != np.float32:
            fault = f"series is {self.series.shape} {self.series.dtype} where (samples, channels) float32 is needed"
        elif any(np.shape(a) != (count,) for a in (self.start, self.stop, self.subject, self.label, *parts)):
            fault = f"start, stop, subject, label and part need one entry for each of the {count} recordings"
        elif count and ((self.start > self.stop).any() or self.start[0] < 0 or self.stop.max() > len(self.series)):
            fault = f"a recording begins after its end or outside the {len(self.series):,} rows of the series"
        elif (self.start[1:] < self.stop[:-1]).any():
            fault = "recordings overlap, or do not follow one another in the series"
        elif not np.issubdtype(self.label.dtype, np.integer) or self.label.min(initial=0) < -1:
            fault = "labels should be whole numbers from 0, or -1 where there is none"
        elif not np.isin(parts, PARTS).all():
            fault = "part should be 'train', 'test' or ''"
        else:
            return
        raise UserError(f"recordings: {fault}; correct what `read` of the data set returns.")

    @classmethod
    def join(cls, signals: Sequence[np.ndarray], subject: Sequence, label: Sequence[int], **rest) -> "Recordings":
        """Out of the signal (rows, D) of each recording, its subject and its class; `rest` as above."""
        length = np.array([len(signal) for signal in signals])
        stop = length.cumsum()
        return cls(np.concatenate(signals), stop - length, stop, np.asarray(subject), np.asarray(label), **rest)


def _label_fault(label: np.ndarray, spec: Spec) -> str:
    """What is wrong with labels that are not all 0 to C-1."""
    classes = len(spec.classes)
    from_one = " (labels start at 1? subtract 1)" if (label.min(), label.max()) == (1, classes) else ""
    return f"labels run from {label.min()} to {label.max()}, but {classes} classes are 0 to {classes - 1}{from_one}"


@dataclass(frozen=True)
class Windows:
    """All windows of one view of a data set. The label is beside the series, never a column of it."""

    spec: Spec  # under `protocol`
    source: str  # one of SOURCES
    view: str
    series: np.ndarray  # (N, D) float32, raw units, the view's channels only
    start: np.ndarray  # (n,) first row of each window
    label: np.ndarray  # (n,), -1 where nobody gave one
    recording: np.ndarray  # (n,) index into the arrays below
    recording_rows: np.ndarray  # (R, 2) first row and the one after the last
    recording_subject: np.ndarray  # (R,)
    recording_part: np.ndarray  # (R,) 'train', 'test' or ''
    ledger: list[dict]
    statistics: dict[str, int | None]  # subjects, classes, attributes, total_length as Table 1 counts them
    fingerprint: str  # of the full data set, the same for every view
    subjects_are_blocks: bool = False
    protocol: Protocol = PAPER

    @classmethod
    def from_recordings(cls, spec: Spec, r: Recordings, source: str = "real", view: str = "all") -> "Windows":
        """All windows of recordings, which hold the view's channels; a last line goes into their ledger.

        Raises UserError where channels or labels are not the spec's, or no recording is as long as a window.
        """
        channels, expected = r.series.shape[1], len(spec.views[view])
        if channels != expected:
            raise UserError(f"{spec.title}: recordings of {channels} channels, but its spec has {expected}.")
        if r.label.max(initial=0) >= len(spec.classes):
            raise UserError(f"{spec.title}: {_label_fault(r.label, spec)}.")
        start, recording = cut(r.start, r.stop, spec.length, spec.hop)
        if not len(start):
            raise UserError(
                f"{spec.title}: no recording is as long as one window ({spec.length} samples at {spec.rate}); "
                f"{len(r.start)} recordings were read."
            )
        label, subject = r.label[recording], r.subject[recording]
        classes = len(np.unique(label[label >= 0]))
        who = {"blocks" if r.subjects_are_blocks else "subjects": len(np.unique(subject))}
        r.ledger.add(f"windows of {spec.length} samples at {spec.rate}", windows=len(start), **who, classes=classes)
        return cls(
            spec=spec,
            source=source,
            view=view,
            series=r.series,
            start=start,
            label=label,
            recording=recording,
            recording_rows=np.stack([r.start, r.stop], 1),
            recording_subject=r.subject,
            recording_part=np.full(len(r.start), "", "U5") if r.part is None else r.part.astype("U5"),
            ledger=r.ledger.rows,
            statistics={
                "subjects": len(np.unique(r.subject)),
                "classes": classes,
                "attributes": len(spec.channels),
                "total_length": len(r.series),
                **r.statistics,
            },
            fingerprint=fingerprint(spec.name, *spec.channels, r.series, r.start, r.stop, start, label, subject),
            subjects_are_blocks=r.subjects_are_blocks,
        )

    @classmethod
    def from_arrays(
        cls,
        spec: Spec,
        x: np.ndarray,
        y: np.ndarray,
        subject: np.ndarray,
        view: str = "all",
        source: str = "real",
        part: np.ndarray | None = None,
    ) -> "Windows":
        """Windows out of arrays, each window a recording of its own.

        x (n, l, D) in raw units with the view's D channels, NaN where nothing was measured; it becomes float32, and
        is not copied where it is. y (n,) labels 0..C-1; subject (n,) whole numbers or names; part (n,) 'train' or
        'test', needed where the spec's split is 'official'. Raises UserError where something does not fit the spec.

        Knowledge crosses between views of the same windows: make view 'all' here and take the poor ones by `select`.
        """
        spec.require_view(view)
        given = {"x": x, "y": y, "subject": subject} | ({} if part is None else {"part": part})
        for name, array in given.items():
            try:
                given[name] = np.asarray(array)
            except ValueError:
                raise UserError(f"{spec.title}: {name} is ragged; its rows should be of one length.") from None
        fault = _array_fault(spec, view, **given)
        if source not in SOURCES:
            fault = f"source is {source!r}; it should be one of {', '.join(map(repr, SOURCES))}"
        if fault:
            raise UserError(f"{spec.title}: {fault}.")
        x, y, subject = (given[name] for name in ("x", "y", "subject"))
        with np.errstate(over="ignore"):
            series = np.ascontiguousarray(x, np.float32).reshape(-1, x.shape[2])
        if np.isinf(series).sum() > np.isinf(x).sum():
            raise UserError(f"{spec.title}: x holds numbers beyond float32's 3.4e38; scale the channel they are in.")
        subject = subject if subject.dtype.kind == "U" else subject.astype(np.int64)
        start = np.arange(len(x)) * spec.length
        stop, label = start + spec.length, y.astype(np.int64)
        recordings = Recordings(series, start, stop, subject, label, part=given.get("part"))
        return cls.from_recordings(spec, recordings, source, view)

    @property
    def dataset(self) -> str:
        return self.spec.name

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.spec.channels[i] for i in self.spec.views[self.view])

    @property
    def subject(self) -> np.ndarray:
        """(n,) subject of each window."""
        return self.recording_subject[self.recording]

    def under(self, protocol: Protocol) -> "Windows":
        """The same windows under another protocol than the text's: its temperature, its held-out subjects."""
        if protocol == self.protocol:
            return self
        if self.protocol != PAPER:
            raise UserError(f"{self.spec.title}: these windows are under a protocol already; begin with `data.load`.")
        return replace(self, spec=protocol.adapt(self.spec), protocol=protocol)

    def select(self, view: str) -> "Windows":
        """The same windows with the channels of a poorer view only, as `data.load` gives them."""
        self.spec.require_view(view)
        here, wanted = self.spec.views[self.view], self.spec.views[view]
        if not set(wanted) <= set(here):
            raise UserError(f"{self.spec.title}: view '{self.view}' lacks channels of '{view}'; take it from 'all'.")
        columns = [here.index(channel) for channel in wanted]
        return replace(self, view=view, series=np.ascontiguousarray(self.series[:, columns]))

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """Windows (len(index), l, D), copied out of the series."""
        return self.series[np.asarray(self.start[index])[..., None] + np.arange(self.spec.length)]


def _array_fault(
    spec: Spec, view: str, x: np.ndarray, y: np.ndarray, subject: np.ndarray, part: np.ndarray | None = None
) -> str | None:
    """What does not fit the spec in the arrays of `Windows.from_arrays`, with what to do; None where all does."""
    if x.ndim != 3 or not len(x):
        return f"x has shape {x.shape}; it should be (windows, samples, channels), with one window at least"
    if x.dtype.kind not in "fiub":
        return f"x holds {x.dtype}; it should hold real numbers, NaN where nothing was measured"
    if x.shape[1] != spec.length:
        return f"windows of {x.shape[1]} samples; the spec's length is {spec.length}, so cut them anew or change it"
    if x.shape[2] != len(spec.views[view]):
        return f"windows of {x.shape[2]} channels, but view '{view}' has {len(spec.views[view])}"
    part = np.full(len(x), "") if part is None else part
    for name, array in (("y", y), ("subject", subject), ("part", part)):
        if array.shape != (len(x),):
            return f"{name} has shape {array.shape}; it should have one entry for each of the {len(x):,} windows"
    if not _whole(y):
        return f"y holds {y.dtype} where labels are whole numbers from 0; number the classes as the spec names them"
    if y.min() < 0 or y.max() >= len(spec.classes):
        return _label_fault(y, spec)
    if not _whole(subject) and subject.dtype.kind != "U":
        return f"subject holds {subject.dtype}; subjects are whole numbers or names"
    if part.dtype.kind != "U" or not np.isin(part, PARTS).all():
        return "part should be 'train', 'test' or ''"
    if spec.split == "official" and (part == "").any():
        return "its split is 'official', so part should say 'train' or 'test' of every window"
    return None


def _whole(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" or (array.dtype.kind == "f" and bool((array % 1 == 0).all()))


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

    'subjects': fixed (PAMAP2). 'random': a share of the subjects validates and as many are tested, drawn by seed
    (PTBDB, MIMIC-III: 80/10/10). 'official': the publisher's test part; a share of the others, drawn by seed,
    validates. 'folds': fold `seed` tests one subject, the next one validates. What is drawn is stratified: see `_draw`.
    Windows without a label train: they neither validate nor are tested.
    """
    spec, labelled = windows.spec, windows.label >= 0
    everyone, subjects = (np.unique(windows.subject[rows]) for rows in (slice(None), labelled))
    rng = np.random.default_rng(seed)
    if spec.split == "subjects":
        validation, test = np.array(spec.validation_subjects), np.array(spec.test_subjects)
    elif spec.split == "folds":
        validation, test = (subjects[[(seed + next_one) % len(subjects)]] for next_one in (1, 0))
    elif spec.split == "random":
        validation, test = _draw(windows, rng.permutation(subjects), spec.held_out, 2)
    else:
        test = np.unique(windows.recording_subject[windows.recording_part == "test"])
        (validation,) = _draw(windows, rng.permutation(np.setdiff1d(subjects, test)), spec.held_out, 1)
    train = np.setdiff1d(everyone, np.concatenate([validation, test]))
    who = {"train": train, "validation": np.sort(validation), "test": np.sort(test)}
    index = {part: np.flatnonzero(np.isin(windows.subject, ids)) for part, ids in who.items()}
    index |= {part: index[part][labelled[index[part]]] for part in ("validation", "test")}
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


def _draw(windows: Windows, shuffled: np.ndarray, share: float, parts: int) -> list[np.ndarray]:
    """`parts` times a share of the subjects `shuffled`, stratified, so that every part holds every class where it can.

    A subject's stratum is the rarest of its classes. Each stratum gives its share to each part, one subject at least;
    one with too few subjects to leave any for training gives none.
    """
    labelled = windows.label >= 0
    everyone, who = np.unique(windows.subject, return_inverse=True)
    has = np.zeros((len(everyone), len(windows.spec.classes)), bool)
    has[who[labelled], windows.label[labelled]] = True
    has = has[np.searchsorted(everyone, shuffled)]  # (subjects, C)
    rarest = np.where(has, has.sum(0), len(shuffled) + 1).argmin(1)
    strata = [shuffled[rarest == c] for c in np.unique(rarest)]
    sizes, total = np.array([len(stratum) for stratum in strata]), max(1, round(len(shuffled) * share))
    count = (sizes * share).astype(int)
    count[np.argsort(count - sizes * share, kind="stable")[: max(0, total - count.sum())]] += 1  # largest remainders
    count = np.where(sizes > parts, np.maximum(count, 1), 0)
    if not count.any():  # every class has too few subjects: any of them
        strata, count = [shuffled], [total]
    counted = list(zip(strata, count, strict=True))
    return [np.concatenate([stratum[i * n : (i + 1) * n] for stratum, n in counted]) for i in range(parts)]


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
