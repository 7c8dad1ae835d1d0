"""PAMAP2 protocol files (UCI 231): nine text files of 54 columns at 100 Hz -> bouts of 52 channels at 50 Hz."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError, require_folder
from ..paper import published
from .spec import Size, Source, Spec, check_sums
from .windows import Ledger, Recordings

if TYPE_CHECKING:
    import pyarrow as pa

IMU_CHANNELS = (
    "temperature",
    *(f"acc16_{axis}" for axis in "xyz"),
    *(f"acc6_{axis}" for axis in "xyz"),
    *(f"gyro_{axis}" for axis in "xyz"),
    *(f"mag_{axis}" for axis in "xyz"),
    *(f"orientation_{i}" for i in range(4)),
)
SPEC = Spec(
    name="pamap2",
    title="PAMAP2",
    rate="50 Hz",
    channels=("heart_rate", *(f"{s}_{c}" for s in ("hand", "chest", "ankle") for c in IMU_CHANNELS)),
    units="raw units",
    classes=(
        "lying",
        "sitting",
        "standing",
        "walking",
        "running",
        "cycling",
        "Nordic walking",
        "ascending stairs",
        "descending stairs",
        "vacuum cleaning",
        "ironing",
        "rope jumping",
    ),
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
ACTIVITY_IDS = (1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 24)  # in the order of the spec's classes
TRANSIENT = 0
SUBJECTS = range(101, 110)
LONGEST_STEP = 0.5  # s; a longer step between two rows ends a bout
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
    statistics = published()["table1"]["pamap2"]
    ledger = Ledger()
    bouts, subjects = [], []
    counts = {"rows": 0, "transient": 0, "other": 0}
    paths = sorted(files(folder))
    for path in paths:
        bouts_of_file, counted = read_subject(path)
        bouts += bouts_of_file
        subjects += [int(path.stem.removeprefix("subject"))] * len(bouts_of_file)
        counts = {name: n + counted[name] for name, n in counts.items()}
        progress(f"  {path.name}: {counted['rows']:,} rows, {len(bouts_of_file)} bouts")
    if not bouts:
        raise UserError(f"{folder}: none of the {len(paths)} files holds a row of a protocol activity.")
    missing = sorted(set(SUBJECTS) - {int(path.stem.removeprefix("subject")) for path in paths})
    labelled = counts["rows"] - counts["transient"] - counts["other"]
    length = np.array([len(signal) for signal, _ in bouts])
    ledger.add(
        "rows read at 100 Hz",
        rows=counts["rows"],
        subjects=len(paths),
        table1=f"{statistics['subjects']} subjects, {statistics['total_length']:,} rows",
    )
    if missing:
        progress(f"  no file of subject {', '.join(map(str, missing))}: PAMAP2 has nine subjects")
        ledger.add(f"files of subjects {', '.join(map(str, missing))} are not there", subjects=-len(missing))
    ledger.add("transient rows (activity 0) removed", rows=-counts["transient"])
    ledger.add("rows of activities outside the protocol's twelve removed", rows=-counts["other"])
    ledger.add("rows of the twelve activities", rows=labelled, records=len(bouts), subjects=len(set(subjects)))
    ledger.add("averaged in pairs to 50 Hz", rows=length.sum(), records=len(bouts))
    stop = length.cumsum()
    return Recordings(
        series=np.concatenate([signal for signal, _ in bouts]),
        start=stop - length,
        stop=stop,
        subject=np.array(subjects),
        label=np.array([label for _, label in bouts]),
        ledger=ledger,
        statistics={"subjects": len(paths), "total_length": counts["rows"]},
    )


def read_subject(path: Path) -> tuple[list[tuple[np.ndarray, int]], dict[str, int]]:
    """Bouts [(signal (rows, 52) float32 at 50 Hz, class index)] and counts of the rows read and left out."""
    import pandas as pd

    table = _parse(path)
    time = table[0].to_numpy()
    activity = table[1].to_numpy()
    signal = np.column_stack([column.to_numpy() for column in table.columns[2:]])  # (rows, 52)
    # Heart rate comes at 9 Hz and IMUs lose packets: carry the last measured value on.
    signal = pd.DataFrame(signal).ffill().to_numpy()

    edge = (np.diff(activity) != 0) | (np.abs(np.diff(time)) > LONGEST_STEP)
    starts = np.r_[0, np.flatnonzero(edge) + 1]
    stops = np.r_[starts[1:], len(activity)]
    bouts = []
    for start, stop in zip(starts, stops, strict=True):
        pairs = (stop - start) // DECIMATE
        if activity[start] in ACTIVITY_IDS and pairs:
            bout = signal[start : start + pairs * DECIMATE].reshape(pairs, DECIMATE, -1).mean(1, dtype=np.float32)
            bouts.append((bout, ACTIVITY_IDS.index(activity[start])))
    transient = int((activity == TRANSIENT).sum())
    other = int((~np.isin(activity, (TRANSIENT, *ACTIVITY_IDS))).sum())
    return bouts, {"rows": len(activity), "transient": transient, "other": other}


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
    except pa.ArrowInvalid as error:
        with path.open("rb") as file:
            raise UserError(_first_bad_line(path, file) or f"{path}: {error}") from None
    if table.num_rows == 0 or table[0].null_count or table[1].null_count:
        raise UserError(f"{path}: a row without time or activity id; download the file again.")
    return table


def _first_bad_line(path: Path, lines: Iterable[bytes]) -> str | None:
    """What is wrong in the first line that is not 54 numbers; the parallel parser does not say where it was."""
    for number, line in enumerate(lines, 1):
        values = line.strip(b"\r\n").split(b" ")
        if values == [b""]:  # the parser skips an empty line
            continue
        if len(values) != COLUMNS:
            return (
                f"{path}, line {number}: {len(values)} columns where PAMAP2 has {COLUMNS}; "
                "the file is truncated or of another kind: download it again."
            )
        for column, value in enumerate(values, 1):
            try:
                (int if column == 2 else float)(value)
            except ValueError:
                return f"{path}, line {number}, column {column}: '{value.decode(errors='replace')}' is not a number."
    return None
