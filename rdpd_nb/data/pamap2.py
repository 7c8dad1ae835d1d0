"""PAMAP2 protocol files (UCI 231): nine text files of 54 columns at 100 Hz -> bouts of 52 channels at 50 Hz.

Heart rate comes about nine times a second, and the IMUs lose packets. A missing value takes the last measured one of
its channel, of the same bout and at most CARRIED seconds old; what is older stays missing, and becomes the training
mean when it is standardised. Then rows are averaged two by two, which is 50 Hz. Of a frequency f that lets through
cos(pi f / 100 Hz), 71 % at 25 Hz and nothing at 50 Hz: of what lies between, that part is folded below. A pair of which
one is missing is missing.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from ..paper import published
from .checks import check_sums, first_bad_line, require_folder
from .spec import Size, Source, Spec
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
LONGEST_STEP = 0.5  # s; a longer step between two rows ends a bout
CARRIED = 1.0  # s for which a value is carried forward: nine readings of the heart rate, 100 rows
RATE = 100  # Hz, of the files
DECIMATE = 2  # 100 Hz -> 50 Hz


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
    return found


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """All bouts of the twelve protocol activities, one after another; transient rows are dropped."""
    paths = {int(path.stem.removeprefix("subject")): path for path in sorted(files(folder))}
    signals, subjects, labels, counts = [], [], [], Counter()
    for subject, path in paths.items():
        bouts, counts_of_file = read_subject(path)
        signals += [signal for signal, _ in bouts]
        labels += [label for _, label in bouts]
        subjects += [subject] * len(bouts)
        counts.update(counts_of_file)
        progress(f"  {path.name}: {counts_of_file['rows']:,} rows, {len(bouts)} bouts")
    if not signals:
        raise UserError(f"{folder}: none of the {len(paths)} files holds a row of a protocol activity.")
    table1, ledger = published()["table1"]["pamap2"], Ledger()
    ledger.add(
        "rows read at 100 Hz",
        rows=counts["rows"],
        subjects=len(paths),
        table1=f"{table1['subjects']} subjects, {table1['total_length']:,} rows",
    )
    if missing := sorted(set(SUBJECTS) - set(paths)):
        who = ", ".join(map(str, missing))
        progress(f"  no file of subject {who}: PAMAP2 has nine subjects")
        ledger.add(f"files of subjects {who} are not there", subjects=-len(missing))
    ledger.add("transient rows (activity 0) removed", rows=-counts["transient"])
    ledger.add("rows of activities outside the protocol's twelve removed", rows=-counts["other"])
    kept = counts["rows"] - counts["transient"] - counts["other"]
    ledger.add("rows of the twelve activities", rows=kept, records=len(signals), subjects=len(set(subjects)))
    ledger.add("values measured in them", values=counts["measured"])
    ledger.add(f"values carried forward, for {CARRIED:g} s at most and inside a bout", values=counts["carried"])
    ledger.add(
        "values left to the training mean", values=kept * len(SPEC.channels) - counts["measured"] - counts["carried"]
    )
    ledger.add("averaged in pairs to 50 Hz", rows=sum(map(len, signals)), records=len(signals))
    statistics = {"subjects": len(paths), "total_length": counts["rows"]}
    return Recordings.join(signals, subjects, labels, ledger=ledger, statistics=statistics)


def read_subject(path: Path) -> tuple[list[tuple[np.ndarray, int]], dict[str, int]]:
    """Bouts [(signal (rows, 52) float32 at 50 Hz, class index)] and counts: rows read and left out, values of bouts."""
    import pandas as pd

    table = _parse(path)
    time, activity = table[0].to_numpy(), table[1].to_numpy()
    raw = np.column_stack([column.to_numpy() for column in table.columns[2:]])  # (rows, 52)
    begins = np.append(True, (np.diff(activity) != 0) | (np.abs(np.diff(time)) > LONGEST_STEP))
    signal = pd.DataFrame(raw).groupby(begins.cumsum()).ffill(limit=round(CARRIED * RATE)).to_numpy()

    bouts, edges = [], np.flatnonzero(begins)
    for start, stop in zip(edges, [*edges[1:], len(activity)], strict=True):
        pairs = (stop - start) // DECIMATE
        if activity[start] in IDS and pairs:
            bout = signal[start : start + pairs * DECIMATE].reshape(pairs, DECIMATE, -1).mean(1, dtype=np.float32)
            bouts.append((bout, IDS.index(activity[start])))
    left_out = {"transient": activity == TRANSIENT, "other": ~np.isin(activity, (TRANSIENT, *IDS))}
    ours = np.isin(activity, IDS)
    measured, there = (int(np.isfinite(values[ours]).sum()) for values in (raw, signal))
    counts = {"rows": len(activity), "measured": measured, "carried": there - measured}
    return bouts, counts | {name: int(rows.sum()) for name, rows in left_out.items()}


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
        raise UserError(first_bad_line(path, " ", COLUMNS, whole=(1,)) or f"{path}: {error}") from None
    if table.num_rows == 0 or table[0].null_count or table[1].null_count:
        raise UserError(f"{path}: a row without time or activity id; download the file again.")
    return table
