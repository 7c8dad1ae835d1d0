"""UCI HAR inertial signals (UCI 240): windows of 128 samples at 50 Hz, nine channels, six activities.

The paper does not have it; it is here because anyone can fetch it.
The publisher cut the windows, half overlapping; each is a recording of its own here.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from .checks import require_files, require_folder
from .spec import Size, Source, Spec
from .text import numbers, whole_numbers
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

PEOPLE = 30
TEST_PEOPLE = (2, 4, 9, 10, 12, 13, 18, 20, 24)  # as published; the training part has the other 21
# Four times the accelerometer's scale of 2 g (HAPT's raw values of the same phones end at 2.01 g), and 2,000 degrees/s,
# the largest scale of a phone's gyroscope (theirs end at 573): filters do not add so much.
LIMITS = {"acc": 8.0, "gyro": float(np.deg2rad(2000))}
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
    subjects = [_path(folder, part, "subject") for part in WINDOWS]
    if any(path.is_symlink() or path.exists() for path in subjects):
        needed += subjects
    for path in needed:
        if not path.is_symlink() and not path.exists():
            raise UserError(f"{path} is missing; {folder} should hold 'UCI HAR Dataset/' as published.")
    require_files(needed)
    return needed


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """Both parts as recordings of one window each. Without subject files, blocks of windows stand for subjects."""
    by_blocks = _path(folder, "train", "subject") not in files(folder)
    signals, subjects, labels, ledger = [], [], [], Ledger()
    lines: dict[bytes, tuple[str, str, int]] = {}  # numbers of a line -> part, channel, window where they stand first
    equal: Counter[tuple] = Counter()  # pairs of signal files, and of windows: how many lines they share
    for part in WINDOWS:
        label = _whole(_path(folder, part, "y"), "label", range(1, len(SPEC.classes) + 1)) - 1
        labels.append(label)
        signals.append(np.empty((len(label), SPEC.length, len(SPEC.channels)), np.float32))
        for d, name in enumerate(SPEC.channels):
            path = _path(folder, part, name)
            values = _signal(path, LIMITS[name.split("_")[1]])
            _require_count(path, values, label)
            for number, line in enumerate(values, 1):
                twin = lines.setdefault(line.tobytes(), (part, name, number))
                if twin != (part, name, number):
                    equal[("file", part, name), ("file", *twin[:2])] += 1
                    equal[("window", part, number), ("window", twin[0], twin[2])] += 1
            signals[-1][:, :, d] = values
        if by_blocks:
            subjects.append(1000 * len(labels) + np.arange(len(label)) // BLOCK)
        else:
            path = _path(folder, part, "subject")
            people = [who for who in range(1, PEOPLE + 1) if (who in TEST_PEOPLE) == (part == "test")]
            subjects.append(_whole(path, "subject", people))
            _require_count(path, subjects[-1], label)
        who = {"blocks" if by_blocks else "subjects": len(np.unique(subjects[-1]))}
        ledger.add(f"windows read, {part} part", rows=len(label) * SPEC.length, records=len(label), **who)
        progress(f"  {part}: {len(label):,} windows")
    _require_no_copy(folder, equal, dict(zip(WINDOWS, map(len, labels), strict=True)))
    if twice := sum(count for (one, _), count in equal.items() if one[0] == "file"):
        ledger.add("lines of a signal that are the same as another's, kept", values=twice * SPEC.length)
    ledger.add("values missing or carried forward (a file with one is refused)", values=0)
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


def _require_no_copy(folder: Path, equal: Counter[tuple], windows: dict[str, int]) -> None:
    """UserError where more than half of a file, or of a window's nine signals, are another's.

    A window that is there twice could train and test. A line alone may be so by chance: a sensor can stand still.
    """
    for ((kind, part, which), (_, other_part, other)), count in equal.items():
        if kind == "file" and 2 * count > windows[part]:
            one, twin = _path(folder, part, which), _path(folder, other_part, other)
            shared = f"{count:,} of its {windows[part]:,} lines"
            raise UserError(f"{one}: {shared} are those of {twin}; download them again.")
        if kind == "window" and 2 * count > len(SPEC.channels):
            one, twin = _path(folder, part, SPEC.channels[0]), _path(folder, other_part, SPEC.channels[0])
            raise UserError(
                f"{one}, line {which}: {count} of the nine signals of this window are those of {twin}, line {other}; "
                "download them again."
            )


def _signal(path: Path, limit: float) -> np.ndarray:
    """A file of signals as (windows, l); as published, one or two spaces stand before each number."""
    content = path.read_bytes()
    try:
        return numbers([(str(path), content.replace(b"  ", b" ").replace(b"\n ", b"\n"))], SPEC.length, " ", limit)[0]
    except UserError:  # of another layout, which takes longer, or wrong
        return numbers([(str(path), _tidy(content))], SPEC.length, " ", limit)[0]


def _tidy(content: bytes) -> bytes:
    """One space between the values of a line, none before or after them."""
    return b"\n".join(b" ".join(line.split()) for line in content.split(b"\n"))


def _whole(path: Path, what: str, allowed: Sequence[int]) -> np.ndarray:
    """A file of one whole number a line, (windows,); UserError, with its line, for one that is not allowed."""
    values = whole_numbers(str(path), _tidy(path.read_bytes()))[:, 0]
    if (odd := ~np.isin(values, allowed)).any():
        line = int(odd.argmax())
        these = f"{allowed[0]} to {allowed[-1]}" if isinstance(allowed, range) else ", ".join(map(str, allowed))
        raise UserError(f"{path}, line {line + 1}: {what} {values[line]}, where {these} can be; download it again.")
    return values


def _require_count(path: Path, values: np.ndarray, label: np.ndarray) -> None:
    if len(values) != len(label):
        labels = f"y_{path.stem.rpartition('_')[2]}.txt has {len(label):,} labels"
        raise UserError(f"{path}: {len(values):,} windows, but {labels}; download them again.")
