"""PAMAP2 protocol files (UCI 231): nine text files of 54 columns at 100 Hz -> bouts of 52 channels at 50 Hz."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv

from ..errors import UserError, require_folder
from ..paper import SPECS, published
from .windows import Ledger, Recordings

COLUMNS = 54  # time [s], activity id, heart rate, 3 IMUs of 17 columns
ACTIVITY_IDS = (1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 24)  # in the order of the spec's classes
TRANSIENT = 0
SUBJECTS = range(101, 110)
LONGEST_STEP = 0.5  # s; a longer step between two rows ends a bout
DECIMATE = 2  # 100 Hz -> 50 Hz


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


def _parse(path: Path) -> pa.Table:
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


assert len(ACTIVITY_IDS) == len(SPECS["pamap2"].classes)
