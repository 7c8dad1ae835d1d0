"""PAMAP2 protocol files (UCI 231): nine text files of 54 columns at 100 Hz -> bouts of 52 channels at 50 Hz.

Heart rate comes about nine times a second, and the IMUs lose packets. A missing value takes the last measured one of
its channel, of the same bout and at most CARRIED seconds old; what is older stays missing, and becomes the training
mean when it is standardised. Then rows are averaged two by two, which is 50 Hz. Of a frequency f that lets through
cos(pi f / 100 Hz), 71 % at 25 Hz and nothing at 50 Hz: of what lies between, that part is folded below. A pair of which
one is missing is missing. So is, from the start, a value that no sensor can say.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from ..files import sum_of
from ..paper import published
from .checks import check_sums, make_missing, require_files, require_folder
from .spec import Size, Source, Spec
from .text import fault_in, line_number, numbered_lines
from .windows import Ledger, Recordings

if TYPE_CHECKING:
    import pyarrow as pa

ACTIVITIES = {  # of the protocol: id in the files, name
    1: "lying",
    2: "sitting",
    3: "standing",
    4: "walking",
    5: "running",
    6: "cycling",
    7: "Nordic walking",
    12: "ascending stairs",
    13: "descending stairs",
    16: "vacuum cleaning",
    17: "ironing",
    24: "rope jumping",
}
IDS = tuple(ACTIVITIES)
TRANSIENT = 0  # id of what is between the activities
IMU_CHANNELS = (
    "temperature",
    *(f"{sensor}_{axis}" for sensor in ("acc16", "acc6", "gyro", "mag") for axis in "xyz"),
    *(f"orientation_{i}" for i in range(4)),
)
SPEC = Spec(
    name="pamap2",
    title="PAMAP2",
    rate="50 Hz",
    channels=("heart_rate", *(f"{s}_{c}" for s in ("hand", "chest", "ankle") for c in IMU_CHANNELS)),
    units="raw units",
    classes=tuple(ACTIVITIES.values()),
    views={
        "all": tuple(range(52)),
        "wrist": tuple(range(1, 18)),
        "chest": tuple(range(18, 35)),
        "ankle": tuple(range(35, 52)),
    },
    view_titles={"all": "All", "wrist": "Wrist", "chest": "Chest", "ankle": "Ankle"},
    length=256,
    segment=64,
    hop=50,
    kernel=8,
    stride=4,
    teacher=Size((64,), 32, phantom=128),
    student=Size((16,), 8, phantom=32),
    temperature=5.0,
    split="subjects",
    validation_subjects=(105,),
    test_subjects=(101,),
    table="table2_pamap2",
)
SOURCE = Source(
    page="https://archive.ics.uci.edu/dataset/231/pamap2+physical+activity+monitoring",
    size="about 650 MB, 1.3 GB of protocol files in it",
    licence="CC BY 4.0",
    archive="https://archive.ics.uci.edu/static/public/231/pamap2+physical+activity+monitoring.zip",
    strip="PAMAP2_Dataset",
)

# UCI publishes no sums for PAMAP2's protocol files; these are of the files as distributed in 2012 and since.
SHA256 = {
    "subject101.dat": "80b3fffd089c236ae88098df3b906b8d3c67a858023fe4f75045d78612147266",
    "subject102.dat": "468f3c6ba3e6e961f383783665265afbcddbbd33a3a84bba0386b7d0d4e3c632",
    "subject103.dat": "5be64631d085e3efc700728395516da3512ff9de17dab30d253508441a98d3f0",
    "subject104.dat": "7eb272213cbfe11d9e466a2163b6c9c2ed8d2542fc6f08283fd1bf222cac8994",
    "subject105.dat": "7837cfede57fe45ec20d553c6c2b0c498ab324daae23bfd202c0ffea9f71a7f6",
    "subject106.dat": "0da1dda3fa56d75d6413fc9198949d3ebc2102d77574cb5fe0739674687609f2",
    "subject107.dat": "a02195e9599eb249f79103912d27eb4f62d8a0f59e4763b0dd8250fee5f3f020",
    "subject108.dat": "81ce6b21b9c1e01dc02099c4f9387699547b08b28b387d09a56e0cb0a8af22fc",
    "subject109.dat": "5109d5cd8334769566b4ae602adf3e5f4bb7b9ee8ca678f0c481d333114b07c7",
}

COLUMNS = 54  # time [s], activity id, heart rate, 3 IMUs of 17 columns
SUBJECTS = range(101, 110)
OTHERS = (TRANSIENT, 9, 10, 11, 18, 19, 20)  # ids of the files that are no activity of the protocol
RATE = 100  # Hz, of the files
DECIMATE = 2  # 100 Hz -> 50 Hz
LONGEST_STEP = 0.5  # s; a longer step between two rows ends a bout, in a shorter one rows were lost
CARRIED = 1.0  # s for which a value is carried forward: nine readings of the heart rate, 100 rows
# What no sensor can say, in the files' units. Heart rate: a chest belt counts 30 to 240 beats a minute. Acceleration:
# twice the scales of 16 g and 6 g of the data set's readme, since a calibrated value may go beyond. It states no scale
# of the other sensors of the unit (Trivisio Colibri): temperature as electronics stand it; 4,000 degrees/s and 16 gauss
# are the largest scales that sensors of the kind have; a component of an orientation (invalid here, says the readme)
# is at most 1.
LIMITS = {
    "rate": (20, 300),
    "temperature": (-40, 85),
    "acc16": (-32 * 9.80665, 32 * 9.80665),
    "acc6": (-12 * 9.80665, 12 * 9.80665),
    "gyro": (-np.deg2rad(4000), np.deg2rad(4000)),
    "mag": (-1600, 1600),
    "orientation": (-2, 2),
}


def check_download(folder: Path) -> None:
    """Compare the protocol files with their sums; UserError where one is missing or differs."""
    check_sums(folder / "Protocol", SHA256)


def files(folder: Path) -> list[Path]:
    """subject1NN.dat of `Protocol/`, which may lie in the zip file's own `PAMAP2_Dataset/`."""
    require_folder(folder, "Protocol/subject101.dat ... subject109.dat of PAMAP2")
    name = "Protocol/subject1[0-9][0-9].dat"
    found = list(folder.glob(name)) or list(folder.glob(f"PAMAP2_Dataset/{name}"))
    if not found:
        raise UserError(f"{folder} holds no Protocol/subject1NN.dat; it should hold PAMAP2 as published.")
    require_files(found)
    if unknown := [path for path in found if _subject(path) not in SUBJECTS]:
        raise UserError(f"{unknown[0]}: PAMAP2's subjects are {SUBJECTS[0]} to {SUBJECTS[-1]}; take the file out.")
    return found


def _subject(path: Path) -> int:
    return int(path.stem.removeprefix("subject"))


@dataclass
class Bouts:
    """What one file gives: its bouts, one after another."""

    series: np.ndarray  # (rows at 50 Hz, 52) float32
    length: np.ndarray  # rows of each bout
    label: np.ndarray  # class of each
    row: np.ndarray  # of the file, from 0, with which each begins
    measured: np.ndarray  # (52,) values of each channel, in rows of the twelve activities
    counts: dict[str, int]


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """All bouts of the twelve protocol activities, one after another; transient rows are dropped.

    In memory are the text and the values of one file at a time, and the one array that is handed over.
    """
    paths, counts, ledger = sorted(files(folder), key=_subject), Counter(), Ledger()
    series, measured = np.empty((0, len(SPEC.channels)), np.float32), np.zeros(len(SPEC.channels), int)
    length, subjects, labels, silent = [], [], [], {}
    seen: dict[bytes, tuple[Path, int]] = {}  # sum of a bout -> where it begins
    for path in paths:
        bouts = read_subject(path)
        for stop, rows, row in zip(bouts.length.cumsum(), bouts.length, bouts.row, strict=True):
            signal = bouts.series[stop - rows : stop]
            twin = seen.setdefault(hashlib.sha256(signal).digest(), (path, row))
            if twin != (path, row) and np.isfinite(signal).any():
                here, there = (f"{file}, line {line_number(file, row)}" for file, row in ((path, row), twin))
                raise UserError(f"{here}: what follows is the same as from {there} on; download both again.")
        series.resize((len(series) + len(bouts.series), series.shape[1]), refcheck=False)  # in place: never held twice
        series[len(series) - len(bouts.series) :] = bouts.series
        length += bouts.length.tolist()
        labels += bouts.label.tolist()
        subjects += [_subject(path)] * len(bouts.length)
        counts.update(bouts.counts)
        measured += bouts.measured
        progress(f"  {path.name}: {bouts.counts['rows']:,} rows, {len(bouts.length)} bouts")
        if len(bouts.length) and not bouts.measured.all():
            silent[path] = f"no value of {_named(bouts.measured == 0)}"
            progress(f"  {path.name}: {silent[path]}")
    if not length:
        raise UserError(f"{folder}: none of the {len(paths)} files holds a row of a protocol activity.")
    if not measured.all():
        raise UserError(
            f"{folder}: none of the {len(paths)} files holds a value of {_named(measured == 0)} that a sensor can say; "
            "download them again."
        )
    table1 = published()["table1"]["pamap2"]
    ledger.add(
        "rows read at 100 Hz",
        rows=counts["rows"],
        subjects=len(paths),
        table1=f"{table1['subjects']} subjects, {table1['total_length']:,} rows",
    )
    if missing := sorted(set(SUBJECTS) - set(map(_subject, paths))):
        who = ", ".join(map(str, missing))
        progress(f"  no file of subject {who}: PAMAP2 has nine subjects")
        ledger.add(f"files of subjects {who} are not there", subjects=-len(missing))
    if counts["cut"]:
        ledger.add("files whose last line has no end: cut short?", files=counts["cut"])
    if counts["back"]:
        ledger.add("rows whose time does not go on, in a file as published: each begins a bout", rows=counts["back"])
    ledger.add("transient rows (activity 0) removed", rows=-counts["transient"])
    ledger.add("rows of activities outside the protocol's twelve removed", rows=-counts["other"])
    ledger.add("rows lost inside a bout, put back without values", rows=counts["lost"])
    kept = counts["rows"] - counts["transient"] - counts["other"] + counts["lost"]
    ledger.add("rows of the twelve activities", rows=kept, records=len(length), subjects=len(set(subjects)))
    for path, what in silent.items():
        ledger.add(f"{path.name}: {what}", values=0)
    ledger.add("values that no sensor can say, taken as missing", values=-counts["impossible"])
    ledger.add("values measured in them", values=measured.sum())
    ledger.add(f"values carried forward, for {CARRIED:g} s at most and inside a bout", values=counts["carried"])
    left = kept * len(SPEC.channels) - measured.sum() - counts["carried"]
    ledger.add("values left to the training mean", values=left)
    ledger.add("averaged in pairs to 50 Hz", rows=len(series), records=len(length))
    stop = np.cumsum(length)
    return Recordings(
        series,
        stop - length,
        stop,
        np.array(subjects),
        np.array(labels),
        ledger=ledger,
        statistics={"subjects": len(paths), "total_length": counts["rows"]},
    )


def _named(which: np.ndarray) -> str:
    """The first of these channels, and how many more."""
    names = [channel for channel, one in zip(SPEC.channels, which, strict=True) if one]
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} other channels"


def read_subject(path: Path) -> Bouts:
    """The bouts of one file; rows lost inside a bout are put back without values, so that all rows are 10 ms apart."""
    table = _parse(path)
    activity = table[1].to_numpy()
    step = _steps(path, table[0].to_numpy())
    if (odd := ~np.isin(activity, (*IDS, *OTHERS))).any():
        line = line_number(path, odd.argmax())
        raise UserError(f"{path}, line {line}: activity {activity[odd][0]} is none of PAMAP2's; download it again.")
    new = np.append(True, (np.diff(activity) != 0) | (step > LONGEST_STEP * RATE))  # begins a bout
    kept = np.flatnonzero(np.isin(activity, IDS))
    ahead = np.where(new, 1, np.append(1, step))[kept]  # rows from the one before, with those that were lost
    source = np.full(ahead.sum(), -1)  # row of the file, -1 where it was lost
    source[ahead.cumsum() - 1] = kept
    first = np.flatnonzero(np.isin(source, kept[new[kept]]))  # of each bout
    rows = np.diff(first, append=len(source))
    here = np.arange(len(source))
    oldest = np.maximum(np.repeat(first, rows), here - round(CARRIED * RATE))  # from where a value may be carried here
    pairs = rows // DECIMATE
    pair = np.concatenate([np.arange(f, f + 2 * n, 2) for f, n in zip(first, pairs, strict=True)] or [first])

    series = np.empty((len(pair), len(SPEC.channels)), np.float32)
    measured, there, impossible = np.zeros(len(SPEC.channels), int), 0, 0
    for d, (channel, column) in enumerate(zip(SPEC.channels, table.columns[2:], strict=True)):
        value = column.to_numpy()[source]
        value[source < 0] = np.nan
        impossible += make_missing(value, *LIMITS[channel.split("_")[1]])
        known = ~np.isnan(value)
        measured[d] = known.sum()
        last = np.maximum.accumulate(np.where(known, here, -1))
        value = np.where(last >= oldest, value[last], np.float32(np.nan))
        there += len(value) - np.isnan(value).sum()
        series[:, d] = (value[pair] + value[pair + 1]) / 2
    counts = {
        "rows": len(activity),
        "transient": (activity == TRANSIENT).sum(),
        "other": np.isin(activity, OTHERS[1:]).sum(),
        "lost": len(source) - len(kept),
        "back": (np.diff(table[0].to_numpy()) <= 0.5 / RATE).sum(),  # only of a file as published
        "impossible": impossible,
        "carried": there - measured.sum(),
        "cut": not _ends(path),
    }
    whole = pairs > 0  # a bout of one row gives none
    label = np.searchsorted(IDS, activity[source[first[whole]]])
    return Bouts(series, pairs[whole], label, source[first[whole]], measured, counts)


def _steps(path: Path, time: np.ndarray) -> np.ndarray:
    """Rows from each row to the next, 1 where none was lost; UserError where times are not in order, 10 ms apart.

    A file that is as published is not refused for that: there a row whose time does not go on begins another bout.
    """
    if (odd := ~((time >= 0) & np.isfinite(time))).any():
        line = line_number(path, odd.argmax())
        raise UserError(f"{path}, line {line}: time {time[odd][0]:g} s, where 0 s or later can be; download it again.")
    step = np.diff(time)
    other_rate = len(step) and not 0.9 < np.median(step) * RATE < 1.1
    odd = step <= (0 if other_rate else 0.5 / RATE)
    if odd.any() and sum_of(path) == SHA256.get(path.name):
        step[odd] = 2 * LONGEST_STEP
    elif odd.any():
        row = int(odd.argmax())
        raise UserError(
            f"{path}, line {line_number(path, row + 1)}: time {time[row + 1]:.10g} s after {time[row]:.10g} s; rows "
            f"should be in order of time, {1 / RATE:g} s apart, each once: download it again."
        )
    if other_rate:
        raise UserError(
            f"{path}: its rows are {np.median(step):.4g} s apart where PAMAP2's are {1 / RATE:g} s; they were "
            "resampled, or times are in another unit: download it again."
        )
    return np.rint(np.minimum(step, 2 * LONGEST_STEP) * RATE).astype(int)


def _parse(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.csv as csv

    names = [str(i) for i in range(COLUMNS)]
    types = {name: pa.float32() for name in names} | {"0": pa.float64(), "1": pa.int64()}
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(delimiter=" ", quote_char=False),
            convert_options=csv.ConvertOptions(column_types=types, null_values=["NaN", "nan"]),
        )
    except pa.ArrowInvalid as error:  # from many threads at once, it does not say which line it was
        fault = fault_in(numbered_lines(path), COLUMNS, " ", [np.inf] * COLUMNS, whole=(1,), words=("nan", "inf"))
        raise UserError(f"{path}{fault or f': {error}'}; download it again.") from None
    for column in (0, 1):
        if table[column].null_count:
            line = line_number(path, table[column].is_null().to_numpy().argmax())
            raise UserError(f"{path}, line {line}: a row without time or activity id; download the file again.")
    return table


def _ends(path: Path) -> bool:
    """Whether the last line of a file that is not empty has its end."""
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
