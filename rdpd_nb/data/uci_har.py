"""UCI HAR inertial signals (UCI 240): windows of 128 samples at 50 Hz, nine channels, six activities.

The paper does not have it; it is here because anyone can fetch it.
The publisher cut the windows, half overlapping; each is a recording of its own here.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import UserError
from .checks import first_bad_line, require_folder
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
    held_out=0.2,
)
WINDOWS = {"train": 7352, "test": 2947}  # there are no published sums to check a download against
SOURCE = Source(
    page="https://archive.ics.uci.edu/dataset/240/human+activity+recognition+using+smartphones",
    size="about 60 MB",
    licence="CC BY 4.0",
    archive="https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip",
    windows=sum(WINDOWS.values()),
)

BLOCK = 60  # windows that stand in for a subject where the subject files are missing


def check_download(folder: Path) -> None:
    """Compare the number of labels with the known number of windows; UserError where it differs."""
    for part, expected in WINDOWS.items():
        path = _path(folder, part, "y")
        count = len(path.read_text().split()) if path.is_file() else 0
        if count != expected:
            raise UserError(f"{path}: {count} windows where UCI HAR has {expected}; nothing was kept.")


def _path(folder: Path, part: str, name: str) -> Path:
    """The file of 'y' (labels), 'subject' or a channel of one part; the folder may be the set or hold it."""
    inner = folder / "UCI HAR Dataset"
    base = (inner if inner.is_dir() else folder) / part
    return (base / "Inertial Signals" if name in SPEC.channels else base) / f"{name}_{part}.txt"


def files(folder: Path) -> list[Path]:
    """The signal, label and (where they are there) subject files of both parts."""
    require_folder(folder, "'UCI HAR Dataset/' as published")
    needed = [_path(folder, part, name) for part in WINDOWS for name in (*SPEC.channels, "y")]
    for path in needed:
        if not path.is_file():
            raise UserError(f"{path} is missing; {folder} should hold 'UCI HAR Dataset/' as published.")
    return needed + [path for part in WINDOWS if (path := _path(folder, part, "subject")).is_file()]


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """Both parts as recordings of one window each. Without subject files, blocks of windows stand for subjects."""
    files(folder)  # one that is missing is named before anything is read
    by_blocks = not all(_path(folder, part, "subject").is_file() for part in WINDOWS)
    signals, subjects, labels, ledger = [], [], [], Ledger()
    for part in WINDOWS:
        label_path = _path(folder, part, "y")
        label = _numbers(label_path, int)[:, 0] - 1
        if not np.isin(label, range(len(SPEC.classes))).all():
            raise UserError(f"{label_path}: labels should be 1 to {len(SPEC.classes)}.")
        labels.append(label)
        channels = [_numbers(_path(folder, part, name), float, SPEC.length, label) for name in SPEC.channels]
        signals.append(np.stack(channels, -1).astype(np.float32))
        if by_blocks:
            subjects.append(1000 * len(labels) + np.arange(len(label)) // BLOCK)
        else:
            subjects.append(_numbers(_path(folder, part, "subject"), int, 1, label)[:, 0])
        who = {"blocks" if by_blocks else "subjects": len(np.unique(subjects[-1]))}
        ledger.add(f"windows read, {part} part", rows=len(label) * SPEC.length, records=len(label), **who)
        progress(f"  {part}: {len(label):,} windows")
    if by_blocks:
        ledger.add(f"no subject files: blocks of {BLOCK} windows stand for subjects", records=sum(map(len, labels)))
    return Recordings.join(
        np.concatenate(signals),
        np.concatenate(subjects),
        np.concatenate(labels),
        part=np.repeat(list(WINDOWS), [len(label) for label in labels]),
        ledger=ledger,
        statistics={"subjects": None} if by_blocks else {},
        subjects_are_blocks=by_blocks,
    )


def _numbers(path: Path, kind: type, columns: int = 1, label: np.ndarray | None = None) -> np.ndarray:
    """A text file of `columns` numbers a line, `int` or `float`, as (lines, columns); a line for each label."""
    rows = [line.split() for line in path.read_text(errors="replace").splitlines()]
    try:
        values = np.array(rows, kind)
    except ValueError:
        values = np.empty(0)
    if not rows or values.shape != (len(rows), columns):
        whole = (0,) if kind is int else ()
        raise UserError(first_bad_line(path, None, columns, whole) or f"{path} is empty; download it again.")
    if label is not None and len(rows) != len(label):
        labels = f"y_{path.stem.rpartition('_')[2]}.txt has {len(label):,} labels"
        raise UserError(f"{path}: {len(rows):,} windows, but {labels}; download them again.")
    return values
