"""PhysioNet/CinC Challenge 2012: hourly means of 37 variables, first 48 hours of 12,000 ICU stays; death in hospital.

The paper does not have it; it is the open counterpart of its MIMIC-III. A stay is a text file of rows Time,Parameter,
Value (HH:MM since admission; -1 means missing). Names, units and plausible ranges of the variables stand in
cinc2012_variables.csv. Sets a and b are the training part, set c is the test part.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from . import archives
from .checks import read_labels, require_files, require_folder
from .spec import File, Size, Source, Spec
from .windows import Ledger, Recordings

if TYPE_CHECKING:
    import pandas as pd

VARIABLES = list(csv.DictReader(resources.files(__package__).joinpath("cinc2012_variables.csv").open(encoding="utf-8")))
CHANNELS = tuple(variable["name"] for variable in VARIABLES)
CUFF = ("NISysABP", "NIDiasABP", "NIMAP")
SPEC = Spec(
    name="cinc2012",
    title="CinC 2012",
    rate="1 per hour",
    channels=CHANNELS,
    units="raw units",
    classes=("survived", "died in hospital"),
    views={
        "all": tuple(range(len(CHANNELS))),
        "bedside": tuple(CHANNELS.index(name) for name in ("HR", "RespRate", "Temp", *CUFF)),
        "cuff": tuple(CHANNELS.index(name) for name in CUFF),
        "hr": (CHANNELS.index("HR"),),
    },
    view_titles={"all": "All", "bedside": "Bedside vitals", "cuff": "Cuff pressures", "hr": "HR"},
    length=48,
    segment=12,
    hop=48,
    kernel=4,
    stride=2,
    teacher=Size((64,), 32, phantom=128),
    student=Size((16,), 8, phantom=32),
    temperature=2.5,
    split="official",
    held_out=0.1,
)
ADDRESS = "https://physionet.org/files/challenge-2012/1.0.0/"
SOURCE = Source(
    page="https://physionet.org/content/challenge-2012/1.0.0/",
    size="about 20 MB",
    licence="ODC-By 1.0",
    # Sums and sizes as medical_ts_datasets (github.com/ExpectationMax) recorded them from PhysioNet in 2020; the
    # outcomes under data/open/ have the same.
    files=(
        File(f"{ADDRESS}Outcomes-a.txt", 79219, "2613ea60ccda29f87571a7d6b09ad130858a8ccd66325bd073365925026883c2"),
        File(f"{ADDRESS}Outcomes-b.txt", 79149, "1305f29734da374a809483229a99f33a9230aa8d4fa74b1a2d6ad788136423d5"),
        File(f"{ADDRESS}Outcomes-c.txt", 79191, "0b32dcb7753c0f18f2f5fde498a28618b8879c5e527ce0dae8ad120dd7e205c9"),
        File(f"{ADDRESS}set-a.tar.gz", 6632372, "8cb250f179cd0952b4b9ebcf8954b63d70383131670fac1cfee13deaa13ca920"),
        File(f"{ADDRESS}set-b.tar.gz", 6652690, "b1637a2a423a8e76f8f087896cfc5fdf28f88519e1f4e874fbda69b2a64dac30"),
        File(f"{ADDRESS}set-c.tar.gz", 6600293, "a4a56b95bcee4d50a3874fe298bf2998f2ed0dd98a676579573dc10419329ee1"),
    ),
)

SETS = {"a": "train", "b": "train", "c": "test"}
HOURS = SPEC.length
HEADER = "Time,Parameter,Value"
OUTCOME = "In-hospital_death"
IS_STAY = re.compile(r"(?:.*/)?(\d+)\.txt").fullmatch
IS_TIME = re.compile(r"(\d\d):([0-5]\d)").fullmatch
DESCRIPTORS = ("RecordID", "Age", "Gender", "Height", "ICUType")  # of the whole stay, at 00:00
# Only 1 is ever written for it: left to the training mean, also 1, a stay without it would look the same.
FLAGS = ("MechVent",)
REMOVED = {  # why a row is not a value of an hour, in the order of the questions
    "unnamed": "rows without the name of a parameter removed",
    "descriptor": f"static descriptors, not used ({', '.join(DESCRIPTORS)})",
    "late": f"values at {HOURS}:00 removed: the hour that begins there is the next one",
    "missing": "missing values (-1) removed",
    "implausible": "implausible values removed",
}


def _outcomes_path(folder: Path, name: str) -> Path:
    return folder / f"Outcomes-{name}.txt"


def _set_path(folder: Path, name: str) -> Path:
    if path := archives.find(folder, f"set-{name}"):
        return path
    raise UserError(f"{folder} holds no set-{name}.tar.gz and no set-{name}/; it should hold sets a, b and c.")


def files(folder: Path) -> list[Path]:
    """Outcomes of the three sets, and the archive or the text files of each."""
    require_folder(folder, "set-a.tar.gz, Outcomes-a.txt and the other files of CinC 2012 as published")
    paths = []
    for name in SETS:
        path, outcomes = _set_path(folder, name), _outcomes_path(folder, name)
        stays = [p for p in path.rglob("*.txt") if IS_STAY(p.name)] if path.is_dir() else [path]
        paths += [outcomes, *stays]
    return require_files(paths)


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """One recording of 48 hours for each stay: set by set, in the order of RecordID."""
    files(folder)  # one that is missing is named before anything is read
    died = {name: read_labels(_outcomes_path(folder, name), "RecordID", OUTCOME, ("0", "1")) for name in SETS}
    stays = np.array([stay for outcomes in died.values() for stay in outcomes])
    if len(twice := _repeated(stays)):
        raise UserError(f"{folder}: stay {twice[0]} is in the outcomes of two sets; download them again.")
    ledger, counts, series = Ledger(), Counter(), []
    for name, part in SETS.items():
        hourly, counted = _hourly_means(_set_path(folder, name), np.array([*died[name]], np.int64))
        counts += counted
        counts["measured"] += np.isfinite(hourly).sum()
        counts["unmeasured stays"] += np.isnan(hourly).all((1, 2)).sum()
        series.append(_carried_forward(hourly))
        number, deaths = len(hourly), [*died[name].values()].count("1")
        ledger.add(f"stays of set {name}, {part} part", records=number, subjects=number, deaths=deaths)
        progress(f"  set {name}: {number:,} stays, {deaths:,} deaths")
    series = np.concatenate(series)  # (stays, 48, 37)

    ledger.add("rows of all stays", rows=counts["rows"])
    for reason, step in REMOVED.items():
        ledger.add(step, rows=-counts[reason])
    ledger.add(f"values of the variables in the first {HOURS} h", values=counts["values"])
    ledger.add("stays without any value, kept", records=counts["unmeasured stays"])
    ledger.add("hourly rows", rows=len(series) * HOURS, subjects=len(series))
    ledger.add("hourly values measured", values=counts["measured"])
    ledger.add("hourly values carried forward", values=np.isfinite(series).sum() - counts["measured"])
    for flag in FLAGS:
        column = series[..., CHANNELS.index(flag)]
        ledger.add(f"hours before the first {flag} taken for 0", values=np.isnan(column).sum())
        column[np.isnan(column)] = 0
    ledger.add("hourly values left to the training mean", values=np.isnan(series).sum())

    labels = np.array([int(label) for outcomes in died.values() for label in outcomes.values()])
    parts = np.repeat(list(SETS.values()), [len(outcomes) for outcomes in died.values()])
    return Recordings.join(series, stays, labels, part=parts, ledger=ledger)


def _repeated(numbers: np.ndarray) -> np.ndarray:
    values, count = np.unique(numbers, return_counts=True)
    return values[count > 1]


def _hourly_means(path: Path, stays: np.ndarray) -> tuple[np.ndarray, Counter]:
    """Hourly means of one set's stays, (stays, 48, 37) float32 with NaN where nothing was measured, and counts."""
    rows = _rows(path, _texts(path, stays))
    times, names = rows.time.cat.categories, rows.parameter.cat.categories
    minute = np.array([60 * int(m[1]) + int(m[2]) if (m := IS_TIME(time)) else -1 for time in times], np.int64)
    _refuse(path, rows, ~((0 <= minute) & (minute <= 60 * HOURS)), "time", f"a time from 00:00 to {HOURS}:00")
    known = {name: i for i, name in enumerate(CHANNELS)} | dict.fromkeys(DESCRIPTORS, -1) | {"": -2}
    kind = np.array([known.get(name, -3) for name in names], np.int64)
    _refuse(path, rows, kind == -3, "parameter", "one of the 37 variables or five descriptors")

    minute, channel = minute[rows.time.cat.codes], kind[rows.parameter.cat.codes]
    stay, value = rows.stay.to_numpy(), rows.value.to_numpy()
    is_id = (rows.parameter == "RecordID").to_numpy()
    given = Counter(zip(stay[is_id].tolist(), value[is_id].tolist(), strict=True))
    expected = Counter((s, s) for s in stays.tolist())
    if differ := (given - expected) | (expected - given):
        first = min(differ)[0]
        raise UserError(f"{path}, {first}.txt: its RecordID is not {first}; it is empty or another stay's file.")

    low, high = (np.array([float(variable[end]) for variable in VARIABLES]) for end in ("low", "high"))
    left, counts = np.ones(len(rows), bool), Counter(rows=len(rows))
    for reason, applies in {
        "unnamed": channel == -2,
        "descriptor": channel == -1,
        "late": minute == 60 * HOURS,
        "missing": value == -1,
        "implausible": (value < low[channel]) | (value > high[channel]),
    }.items():
        counts[reason] = int((left & applies).sum())
        left &= ~applies
    counts["values"] = int(left.sum())

    place = np.searchsorted(stays, stay[left]), minute[left] // 60, channel[left]
    shape = len(stays), HOURS, len(CHANNELS)
    cell = np.ravel_multi_index(place, shape)
    total, count = (np.bincount(cell, weights, np.prod(shape)) for weights in (value[left], None))
    with np.errstate(invalid="ignore"):  # 0 / 0: nothing was measured
        return (total / count).reshape(shape).astype(np.float32), counts


def _texts(path: Path, stays: np.ndarray) -> dict[int, bytes]:
    """Content of a set's text files by RecordID; UserError where they are not those of the outcomes."""
    named = [(int(IS_STAY(name)[1]), content) for name, content in archives.walk(path, IS_STAY)]
    there = np.array([stay for stay, _ in named], np.int64)
    if len(twice := _repeated(there)):
        raise UserError(f"{path}: stay {twice[0]} is there twice; download it again.")
    for what, missing in (("file", np.setdiff1d(stays, there)), ("outcome", np.setdiff1d(there, stays))):
        if len(missing):
            raise UserError(
                f"{path}: no {what} of {len(missing):,} stays, the first is {missing[0]}; the set or its outcomes are "
                "not whole, or of another release: download both again."
            )
    return dict(named)


def _rows(path: Path, texts: dict[int, bytes]) -> "pd.DataFrame":
    """Rows of all stays one after another: stay, time and parameter (categories), value.

    All texts are parsed at once: one by one, 12,000 of them would take a minute.
    """
    import pandas as pd

    bodies = []
    for stay, text in texts.items():
        header, _, body = text.partition(b"\n")
        if header.strip() != HEADER.encode():
            said = header[:60].decode(errors="replace").strip()
            raise UserError(
                f"{path}, {stay}.txt: its columns are '{said}' where {HEADER} is expected; download it again."
            )
        bodies.append(body if body.endswith(b"\n") or not body else body + b"\n")
    lines = [body.count(b"\n") for body in bodies]
    try:
        rows = pd.read_csv(
            io.BytesIO(b"".join(bodies)),
            names=["time", "parameter", "value"],
            dtype={"time": "category", "parameter": "category", "value": np.float64},
            encoding_errors="replace",
            lineterminator="\n",
            na_filter=False,
            quoting=csv.QUOTE_NONE,
        )
        whole = len(rows) == sum(lines) and np.isfinite(rows.value).all()
    except ValueError:  # also of pandas' parser, which counts lines of the joined texts
        whole = False
    if not whole or any(body.count(b",") != 2 * count for body, count in zip(bodies, lines, strict=True)):
        raise UserError(_first_bad_row(path, texts))
    return rows.assign(stay=np.repeat(list(texts), lines))


def _first_bad_row(path: Path, texts: dict[int, bytes]) -> str:
    for stay, text in texts.items():
        for number, line in enumerate(text.decode(errors="replace").splitlines()[1:], 2):
            fields = line.split(",")
            try:
                if len(fields) == 3 and np.isfinite(float(fields[2])):
                    continue
            except ValueError:
                pass
            return f"{path}, {stay}.txt, line {number}: '{line[:60]}' is no {HEADER}; download it again."
    return f"{path}: its stays hold no rows; download it again."


def _refuse(path: Path, rows: "pd.DataFrame", is_bad: np.ndarray, column: str, expected: str) -> None:
    """Raises UserError, with the first row, where a category (of those in `is_bad`) of a column is not allowed."""
    if is_bad.any():
        first = rows.iloc[int(is_bad[rows[column].cat.codes].argmax())]
        raise UserError(
            f"{path}, {first.stay}.txt: {column} '{first[column]}' where {expected} is expected; download it again."
        )


def _carried_forward(series: np.ndarray) -> np.ndarray:
    """Missing hours (stays, 48, 37) hold the last hour's value that was measured; before the first they stay NaN."""
    last = np.where(np.isfinite(series), np.arange(HOURS)[:, None], 0)  # (stays, 48, 37)
    return np.take_along_axis(series, np.maximum.accumulate(last, axis=1), axis=1)
