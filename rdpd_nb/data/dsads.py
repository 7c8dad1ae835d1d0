"""Daily and Sports Activities (UCI 256): 9,120 text files of 5 s, 45 channels at 25 Hz, 19 activities, 8 people.

The paper does not have it; it is the open twin of PAMAP2. Five Xsens MTx units (torso, arms, legs), each with an
accelerometer, a gyroscope and a magnetometer.

The publisher cut 5 minutes of a person and activity into 60 segments. A segment is a recording of its own here, since
not all follow one another without a gap: from the last sample of one to the first of the next the signals step 1.0 to
1.3 times as far as inside a segment for 17 activities, but 4.4 and 3.0 times for the stairs. Neighbours are
still of one performance, so a split is by person, never by segment.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np

from ..errors import UserError
from .archives import walk
from .checks import one_archive, require_files, require_folder
from .spec import Size, Source, Spec
from .text import numbers
from .windows import Ledger, Recordings

UNITS = ("torso", "right_arm", "left_arm", "right_leg", "left_leg")
SENSORS = ("acc", "gyro", "mag")
CHANNELS = tuple(f"{unit}_{sensor}_{axis}" for unit in UNITS for sensor in SENSORS for axis in "xyz")
SPEC = Spec(
    name="dsads",
    title="DSADS",
    rate="25 Hz",
    channels=CHANNELS,
    units="m/s2, rad/s, and magnetic field normalised to Earth's",  # MTx manual, 'calibrated data'
    classes=(
        "sitting",
        "standing",
        "lying on back",
        "lying on right side",
        "ascending stairs",
        "descending stairs",
        "standing in elevator",
        "moving in elevator",
        "walking in parking lot",
        "walking on treadmill",
        "walking on inclined treadmill",
        "running on treadmill",
        "stepper",
        "cross trainer",
        "cycling horizontally",
        "cycling vertically",
        "rowing",
        "jumping",
        "basketball",
    ),
    views={
        "all": tuple(range(45)),
        "torso": tuple(range(9)),
        "right_arm": tuple(range(9, 18)),
        "right_leg": tuple(range(27, 36)),
        "watch": (9, 10, 11),
    },
    view_titles={
        "all": "All",
        "torso": "Torso",
        "right_arm": "Right arm",
        "right_leg": "Right leg",
        "watch": "Arm accelerometer",
    },
    length=125,
    segment=25,
    hop=125,
    kernel=8,
    stride=4,
    teacher=Size((64,), 32, phantom=128),
    student=Size((16,), 8, phantom=32),
    temperature=5.0,
    split="folds",
)
PEOPLE, SEGMENTS = 8, 60  # segments of a person and activity
SOURCE = Source(
    page="https://archive.ics.uci.edu/dataset/256/daily+and+sports+activities",
    size="about 163 MB",
    licence="CC BY 4.0",
    archive="https://archive.ics.uci.edu/static/public/256/daily+and+sports+activities.zip",
    windows=len(SPEC.classes) * PEOPLE * SEGMENTS,
)

NAME = re.compile(r"(?:data/)?(a\d+/p\d+/s\d+)\.txt")
# Full scales of an MTx: 18 g, 1,200 degrees/s, 75 uT (over the 47 uT of Earth's field in Ankara).
# The largest values (121 m/s2, 28 rad/s, 4.0) show that a sensor gives more than it promises.
LIMITS = {"acc": 18 * 9.80665, "gyro": np.deg2rad(1200), "mag": 75 / 47}
IMPOSSIBLE = 4  # times its full scale no sensor says: a file with such a value is damaged
SCALES = np.array([LIMITS[channel.split("_")[-2]] for channel in CHANNELS])
BATCH = 480  # files parsed at once


def _expected() -> list[str]:
    """aNN/pN/sNN of all files, by activity, person and segment."""
    parts = (range(1, len(SPEC.classes) + 1), range(1, PEOPLE + 1), range(1, SEGMENTS + 1))
    return [f"a{a:02}/p{p}/s{s:02}" for a, p, s in product(*parts)]


def check_download(folder: Path) -> None:
    """Compare the names of the files with the known ones (no sums are published); UserError where one is missing."""
    path = _where(folder)
    _require_all({_name(name) for batch in _batches(path) for name, _ in batch}, path)


def _require_all(names: set[str], path: Path) -> None:
    expected = _expected()
    if missing := [name for name in expected if name not in names]:
        raise UserError(
            f"{path}: {len(missing):,} of the {len(expected):,} files of DSADS are missing, the first of them "
            f"{missing[0]}.txt; download it again."
        )


def files(folder: Path) -> list[Path]:
    """The published archive (a .zip), or the text files aNN/pN/sNN.txt, which may lie in the archive's own `data/`."""
    require_folder(folder, "daily+and+sports+activities.zip, or its data/a01/p1/s01.txt and so on")
    if archive := one_archive(folder):
        return [archive]
    found = [path for path in folder.rglob("*.txt") if path.parent != folder]
    require_files(found)
    if not found:
        raise UserError(f"{folder} holds no archive and no aNN/pN/sNN.txt; it should hold DSADS as published.")
    return found


def _where(folder: Path) -> Path:
    """What there is to walk through: the archive, or else the folder."""
    first = files(folder)[0]
    return first if first.suffix == ".zip" else folder


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """All segments, by activity, person and number; a recording each. All 9,120 have to be there."""
    path = _where(folder)
    place = {name: i for i, name in enumerate(_expected())}
    series = np.empty((len(place), SPEC.length, len(CHANNELS)), np.float32)
    seen, sums = set(), {}  # names; sum of a segment -> its name
    for batch in _batches(path):
        where = []
        for long_name, _ in batch:
            name = _name(long_name)
            if name not in place:
                raise UserError(
                    f"{path}: {long_name} is none of DSADS's a01 to a{len(SPEC.classes)}, p1 to p{PEOPLE}, "
                    f"s01 to s{SEGMENTS}; take out what is not of the published data set."
                )
            if name in seen:
                raise UserError(f"{path}: {name}.txt is there twice; keep one copy of the data set.")
            seen.add(name)
            where.append(place[name])
        texts = [(f"{path}: {name}", content) for name, content in batch]
        values, rows = numbers(texts, len(CHANNELS), ",", IMPOSSIBLE * SCALES)
        if (rows != SPEC.length).any():
            first = int(np.argmax(rows != SPEC.length))
            raise UserError(
                f"{path}: {batch[first][0]} has {rows[first]} rows where {SPEC.length} are expected; download it again."
            )
        series[where] = segments = values.reshape(len(batch), SPEC.length, -1)
        for segment, (long_name, _) in zip(segments, batch, strict=True):
            name = _name(long_name)
            if (twin := sums.setdefault(hashlib.sha256(segment).digest(), name)) != name:
                raise UserError(f"{path}: {name}.txt and {twin}.txt hold the same numbers; download it again.")
        progress(f"  {len(seen):,} of {len(place):,} files")
    _require_all(seen, path)

    label, subject, _ = np.indices((len(SPEC.classes), PEOPLE, SEGMENTS)).reshape(3, -1)
    start = np.arange(len(place)) * SPEC.length
    ledger = Ledger()
    ledger.add(
        "files read, 5 s each",
        rows=len(place) * SPEC.length,
        records=len(place),
        subjects=PEOPLE,
        classes=len(SPEC.classes),
    )
    beyond = _beyond(series)
    for sensor, limit in LIMITS.items():
        ledger.add(f"values of {sensor} beyond its full scale of {limit:.4g}, kept", values=beyond[sensor])
    ledger.add("values missing or carried forward (a file with one is refused)", values=0)
    return Recordings(series.reshape(-1, len(CHANNELS)), start, start + SPEC.length, subject + 1, label, ledger=ledger)


def _name(path: str) -> str:
    """aNN/pN/sNN of a file's path in archive or folder; '' where it is none."""
    match = NAME.fullmatch(path)
    return match[1] if match else ""


def _batches(path: Path) -> Iterator[list[tuple[str, bytes]]]:
    """[(name, content)] of the text files inside folders, BATCH at a time."""
    batch = []
    for member in walk(path, lambda name: name.endswith(".txt") and "/" in name):
        batch.append(member)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _beyond(series: np.ndarray) -> dict[str, int]:
    """How many values (of any shape (..., 45)) of each kind of sensor are beyond its full scale."""
    kind = np.array([channel.split("_")[-2] for channel in CHANNELS])
    count = sum((np.abs(part) > np.float32(SCALES)).sum((0, 1)) for part in np.array_split(series, 19))
    return {sensor: int(count[kind == sensor].sum()) for sensor in SENSORS}
