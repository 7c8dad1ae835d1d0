"""UCI HAR inertial signals (UCI 240): windows of 128 samples at 50 Hz, nine channels, six activities.

The paper does not have it; it is here because anyone can fetch it.
The publisher cut the windows, half overlapping; each is a recording of its own here.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import UserError, require_folder
from .spec import Size, Source, Spec
from .windows import Ledger, Recordings

SPEC = Spec(
    name="uci_har",
    title="UCI HAR",
    rate="50 Hz",
    channels=tuple(f"{signal}_{axis}" for signal in ("body_acc", "body_gyro", "total_acc") for axis in "xyz"),
    units="g and rad/s",
    classes=("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying"),
    views={"all": tuple(range(9)), "gyro": (3, 4, 5), "acc": (6, 7, 8)},
    view_titles={"all": "All", "gyro": "Gyroscope", "acc": "Accelerometer"},
    length=128,
    segment=32,
    hop=128,
    kernel=8,
    stride=4,
    teacher=Size((64,), 32, phantom=128),
    student=Size((16,), 8, phantom=32),
    temperature=5.0,
    split="official",
)
WINDOWS = {"train": 7352, "test": 2947}  # there are no published sums to check a download against
SOURCE = Source(
    page="https://archive.ics.uci.edu/dataset/240/human+activity+recognition+using+smartphones",
    size="about 60 MB",
    licence="CC BY 4.0",
    archive="https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip",
    windows=sum(WINDOWS.values()),
)

PARTS = ("train", "test")
BLOCK = 60  # windows that stand in for a subject where the subject files are missing


def base(folder: Path) -> Path:
    inner = folder / "UCI HAR Dataset"
    return inner if inner.is_dir() else folder


def check_download(folder: Path) -> None:
    """Compare the number of labels with the known number of windows; UserError where it differs."""
    for part, expected in WINDOWS.items():
        path = base(folder) / part / f"y_{part}.txt"
        count = len(path.read_text().split()) if path.is_file() else 0
        if count != expected:
            raise UserError(f"{path}: {count} windows where UCI HAR has {expected}; nothing was kept.")


def _signal_path(folder: Path, part: str, channel: str) -> Path:
    return base(folder) / part / "Inertial Signals" / f"{channel}_{part}.txt"


def files(folder: Path) -> list[Path]:
    """The signal, label and (where they are there) subject files of both parts."""
    require_folder(folder, "'UCI HAR Dataset/' as published")
    found = []
    for part in PARTS:
        needed = [_signal_path(folder, part, c) for c in SPEC.channels] + [base(folder) / part / f"y_{part}.txt"]
        for path in needed:
            if not path.is_file():
                raise UserError(f"{path} is missing; {folder} should hold 'UCI HAR Dataset/' as published.")
        found += needed
        subjects = base(folder) / part / f"subject_{part}.txt"
        found += [subjects] if subjects.is_file() else []
    return found


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """Both parts as recordings of one window each. Without subject files, blocks of windows stand for subjects."""
    files(folder)
    series, subjects, labels, parts = [], [], [], []
    by_blocks = False
    for p, part in enumerate(PARTS):
        label = _whole(base(folder) / part / f"y_{part}.txt") - 1
        if label.min() < 0 or label.max() >= len(SPEC.classes):
            raise UserError(f"{base(folder) / part / f'y_{part}.txt'}: labels should be 1 to {len(SPEC.classes)}.")
        signal = np.empty((len(label), SPEC.length, len(SPEC.channels)), np.float32)
        for d, channel in enumerate(SPEC.channels):
            path = _signal_path(folder, part, channel)
            values = _numbers(path, SPEC.length)
            if len(values) != len(label):
                raise UserError(f"{path}: {len(values):,} windows, but y_{part}.txt has {len(label):,} labels.")
            signal[:, :, d] = values
        subject_path = base(folder) / part / f"subject_{part}.txt"
        if subject_path.is_file():
            subject = _whole(subject_path)
            if len(subject) != len(label):
                raise UserError(f"{subject_path}: {len(subject):,} rows, but y_{part}.txt has {len(label):,}.")
        else:
            by_blocks = True
            subject = 1000 * (p + 1) + np.arange(len(label)) // BLOCK
        series.append(signal.reshape(-1, len(SPEC.channels)))
        subjects.append(subject)
        labels.append(label)
        parts += [part] * len(label)
        progress(f"  {part}: {len(label):,} windows")
    ledger = Ledger()
    for part, label, subject in zip(PARTS, labels, subjects, strict=True):
        who = {"blocks": len(np.unique(subject))} if by_blocks else {"subjects": len(np.unique(subject))}
        ledger.add(f"windows read, {part} part", rows=len(label) * SPEC.length, records=len(label), **who)
    if by_blocks:
        ledger.add(f"no subject files: blocks of {BLOCK} windows stand for subjects", records=sum(map(len, labels)))
    start = np.arange(len(parts)) * SPEC.length
    return Recordings(
        series=np.concatenate(series),
        start=start,
        stop=start + SPEC.length,
        subject=np.concatenate(subjects),
        label=np.concatenate(labels),
        part=np.array(parts),
        ledger=ledger,
        statistics={
            "subjects": None if by_blocks else len(np.unique(np.concatenate(subjects))),
            "total_length": len(parts) * SPEC.length,
        },
        subjects_are_blocks=by_blocks,
    )


def _whole(path: Path) -> np.ndarray:
    """A text file of one whole number a line, as (lines,)."""
    values = _numbers(path, 1)[:, 0]
    if (values % 1 != 0).any():
        raise UserError(f"{path}: holds a number that is not whole; download it again.")
    return values.astype(np.int64)


def _numbers(path: Path, columns: int) -> np.ndarray:
    """A text file of `columns` numbers a line, as (lines, columns)."""
    text = path.read_text(errors="replace")
    lines = text.count("\n") + (not text.endswith("\n") and bool(text))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how fromstring says that it met something else
        try:
            values = np.fromstring(text, sep=" ", dtype=np.float64)
        except (DeprecationWarning, ValueError):
            values = np.empty(0)
    if not lines or values.size != lines * columns or any(len(x.split()) != columns for x in text.splitlines()):
        for number, line in enumerate(text.splitlines(), 1):
            if len(line.split()) != columns:
                raise UserError(f"{path}, line {number}: {len(line.split())} numbers where {columns} are expected.")
        raise UserError(f"{path}: holds something that is not a number, or nothing; download it again.")
    return values.reshape(lines, columns)
