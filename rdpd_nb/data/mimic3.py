"""MIMIC-III v1.4 tables -> 48 hourly values of six vital signs for each subject's first ICU stay.

DuckDB streams CHARTEVENTS (33 GB in the full set), so memory holds only the hourly means. Which item ids make up a
vital sign, and which values are plausible, stands in mimic3_items.csv.
"""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError, require_folder
from ..paper import published
from .spec import Size, Source, Spec
from .windows import Ledger, Recordings

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

SPEC = Spec(
    name="mimic3",
    title="MIMIC-III",
    rate="1 per hour",
    channels=("heart_rate", "respiratory_rate", "bp_mean", "bp_systolic", "bp_diastolic", "spo2"),
    units="bpm, 1/min, mmHg, %",
    classes=(
        "acute myocardial infarction",
        "chronic ischaemic heart disease",
        "heart failure",
        "intracerebral haemorrhage",
        "specified procedure complications",
        "lung disease",
        "endocardium disease",
        "septicaemia",
    ),
    views={"all": tuple(range(6)), "bp": (3, 4), "hr": (0,), "rr": (1,)},
    view_titles={"all": "All", "bp": "BP", "hr": "HR", "rr": "RR"},
    length=48,
    segment=12,
    hop=48,
    kernel=4,
    stride=2,
    teacher=Size((64,), 32, phantom=128),
    student=Size((16,), 8, phantom=32),
    temperature=2.5,
    split="random",
    table="table4_mimic3",
)
SOURCE = Source(
    page="https://physionet.org/content/mimiciii/1.4/",
    size="about 6 GB compressed",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    note="It needs a PhysioNet account with credentialed access and is never downloaded automatically; the open "
    "demo (100 patients, ODbL 1.0) is at https://physionet.org/content/mimiciii-demo/1.4/.",
)

HOURS = SPEC.length
ICD9 = ("410", "414", "428", "431", "996", "518", "424", "038")  # first digits, in the order of the spec's classes
TABLES = {  # the columns the reader needs
    "PATIENTS": ("SUBJECT_ID",),
    "ICUSTAYS": ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "INTIME"),
    "DIAGNOSES_ICD": ("HADM_ID", "SEQ_NUM", "ICD9_CODE"),
    "CHARTEVENTS": ("ICUSTAY_ID", "ITEMID", "CHARTTIME", "VALUENUM", "ERROR"),
}


def table_path(folder: Path, table: str) -> Path:
    """The file of a table: upper or lower case name, .csv or .csv.gz."""
    for path in folder.iterdir():
        if path.is_file() and path.name.lower() in (f"{table.lower()}.csv", f"{table.lower()}.csv.gz"):
            return path
    raise UserError(f"{folder} holds no {table}.csv or {table}.csv.gz; it should hold the MIMIC-III v1.4 tables.")


def files(folder: Path) -> list[Path]:
    require_folder(folder, "the MIMIC-III v1.4 tables as .csv or .csv.gz")
    return [table_path(folder, table) for table in TABLES]


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """One recording of 48 hours for each subject with one of the eight primary diagnoses."""
    import duckdb
    import pandas as pd

    statistics = published()["table1"]["mimic3"]
    files(folder)
    ledger = Ledger()
    with duckdb.connect() as db:
        for table, columns in TABLES.items():
            _open(db, table_path(folder, table), table, columns)
        _check_types(db, folder)
        stays = _first_stays(db, ledger)
        progress(f"  {len(stays):,} first ICU stays with one of the eight diagnoses; reading CHARTEVENTS ...")
        hourly = _hourly_means(db, folder, stays, ledger)
    stays = stays[stays.icustay_id.isin(hourly.icustay_id)].reset_index(drop=True)
    if stays.empty:
        raise UserError(f"{folder}: no subject has both one of the eight diagnoses and a charted vital sign.")
    ledger.add(
        "subjects with at least one charted value", subjects=len(stays), table1=f"{statistics['subjects']:,} subjects"
    )

    row_of = pd.Series(stays.index, stays.icustay_id)
    series = np.full((len(stays), HOURS, len(SPEC.channels)), np.nan, np.float32)
    channel = hourly.channel.map({name: i for i, name in enumerate(SPEC.channels)})
    series[row_of[hourly.icustay_id].to_numpy(), hourly.hour.to_numpy(), channel.to_numpy()] = hourly["mean"]
    measured = int(np.isfinite(series).sum())
    series = _forward_fill(series)
    ledger.add(
        "hourly rows", rows=len(stays) * HOURS, subjects=len(stays), table1=f"{statistics['total_length']:,} rows"
    )
    ledger.add("hourly values measured", values=measured)
    ledger.add("hourly values carried forward", values=np.isfinite(series).sum() - measured)
    ledger.add("hourly values left to the training mean", values=np.isnan(series).sum())
    start = np.arange(len(stays)) * HOURS
    return Recordings(
        series=series.reshape(-1, len(SPEC.channels)),
        start=start,
        stop=start + HOURS,
        subject=stays.subject_id.to_numpy(),
        label=stays.label.to_numpy(),
        ledger=ledger,
        statistics={"subjects": len(stays), "total_length": len(stays) * HOURS},
    )


def _check_types(db: "duckdb.DuckDBPyConnection", folder: Path) -> None:
    """Refuse a table whose keys or times are not what they should be; a reading that is no number is just missing."""
    for table, column, kind in (
        ("ICUSTAYS", "SUBJECT_ID", "BIGINT"),
        ("ICUSTAYS", "ICUSTAY_ID", "BIGINT"),
        ("ICUSTAYS", "INTIME", "TIMESTAMP"),
        ("DIAGNOSES_ICD", "SEQ_NUM", "INTEGER"),
    ):
        is_bad = f"{column} IS NOT NULL AND TRY_CAST({column} AS {kind}) IS NULL"
        bad = db.execute(f"SELECT {column} FROM {table} WHERE {is_bad} LIMIT 1").fetchone()
        if bad:
            raise UserError(f"{table_path(folder, table)}: '{bad[0]}' in column {column}; download it again.")


def _open(db: "duckdb.DuckDBPyConnection", path: Path, table: str, needed: tuple[str, ...]) -> None:
    """Make `path` a view named `table`, every column as text: types are cast, and failures counted, where used."""
    import duckdb

    quoted = str(path).replace("'", "''")
    try:
        # The dialect is stated: DuckDB would guess it from the first rows, where CHARTEVENTS has no quoted text.
        db.execute(
            f"CREATE VIEW {table} AS SELECT * FROM "
            f"read_csv('{quoted}', header=true, all_varchar=true, delim=',', quote='\"', escape='\"')"
        )
        there = [row[0].upper() for row in db.execute(f"DESCRIBE {table}").fetchall()]
    except duckdb.Error as error:
        raise UserError(f"{path}: not readable as CSV ({_brief(error)}); download it again.") from None
    missing = [column for column in needed if column not in there]
    if missing:
        raise UserError(f"{path}: no column {', '.join(missing)}; the columns are {', '.join(there)}.")


def _first_stays(db: "duckdb.DuckDBPyConnection", ledger: Ledger) -> "pd.DataFrame":
    """subject_id, icustay_id, intime and label of each subject's first ICU stay, of the eight diagnoses only."""
    patients = db.execute("SELECT count(DISTINCT SUBJECT_ID) FROM PATIENTS").fetchone()[0]
    ledger.add("patients", subjects=patients)
    first = db.execute("""
        SELECT subject_id, icustay_id, intime, icd9 FROM (
            SELECT CAST(s.SUBJECT_ID AS BIGINT) AS subject_id, CAST(s.ICUSTAY_ID AS BIGINT) AS icustay_id,
                   CAST(s.INTIME AS TIMESTAMP) AS intime, d.ICD9_CODE AS icd9,
                   row_number() OVER (
                       PARTITION BY s.SUBJECT_ID
                       ORDER BY CAST(s.INTIME AS TIMESTAMP), CAST(s.ICUSTAY_ID AS BIGINT), d.ICD9_CODE) AS n
            FROM ICUSTAYS s LEFT JOIN DIAGNOSES_ICD d ON s.HADM_ID = d.HADM_ID AND CAST(d.SEQ_NUM AS INTEGER) = 1
            WHERE s.INTIME IS NOT NULL)
        WHERE n = 1 ORDER BY subject_id""").df()
    ledger.add("patients with an ICU stay (the first is used)", subjects=len(first))
    label = first.icd9.fillna("").str[:3].map({code: i for i, code in enumerate(ICD9)})
    stays = first[label.notna()].assign(label=label.dropna().astype(np.int64)).drop(columns="icd9")
    ledger.add("other primary diagnoses removed", subjects=len(stays) - len(first))
    for i, name in enumerate(SPEC.classes):
        ledger.add(f"- {name} (ICD-9 {ICD9[i]})", subjects=(stays.label == i).sum())
    return stays.reset_index(drop=True)


def _hourly_means(
    db: "duckdb.DuckDBPyConnection", folder: Path, stays: "pd.DataFrame", ledger: Ledger
) -> "pd.DataFrame":
    """icustay_id, hour (0-47), channel, mean of the plausible values of that hour."""
    import duckdb
    import pandas as pd

    with resources.as_file(resources.files(__package__).joinpath("mimic3_items.csv")) as items_path:
        items = pd.read_csv(items_path)
    db.register("stays", stays)
    db.register("items", items)
    try:
        db.execute(f"""
            CREATE TEMP TABLE charted AS
            SELECT stays.icustay_id, items.channel,
                   date_diff('second', stays.intime, TRY_CAST(c.CHARTTIME AS TIMESTAMP)) // 3600 AS hour,
                   count(*) AS charted, count(*) FILTER (WHERE c.ERROR = '1') AS erroneous,
                   count(*) FILTER (WHERE {_PLAUSIBLE}) AS kept,
                   avg(TRY_CAST(c.VALUENUM AS DOUBLE)) FILTER (WHERE {_PLAUSIBLE}) AS mean
            FROM CHARTEVENTS c
            JOIN items ON TRY_CAST(c.ITEMID AS BIGINT) = items.itemid
            JOIN stays ON TRY_CAST(c.ICUSTAY_ID AS BIGINT) = stays.icustay_id
            WHERE TRY_CAST(c.CHARTTIME AS TIMESTAMP) >= stays.intime
              AND TRY_CAST(c.CHARTTIME AS TIMESTAMP) < stays.intime + INTERVAL {HOURS} HOUR
            GROUP BY ALL""")
    except duckdb.Error as error:
        raise UserError(f"{table_path(folder, 'CHARTEVENTS')}: {_brief(error)}; download it again.") from None
    charted, erroneous, kept = db.execute("SELECT sum(charted), sum(erroneous), sum(kept) FROM charted").fetchone()
    ledger.add("vital signs charted in the first 48 h", values=charted or 0)
    ledger.add("marked as an error removed", values=-(erroneous or 0))
    ledger.add("missing or implausible removed", values=(kept or 0) + (erroneous or 0) - (charted or 0))
    # Summation order is not fixed in a parallel query: rounding to float32's own digits makes reruns identical.
    hourly = db.execute("SELECT * FROM charted WHERE kept > 0 ORDER BY icustay_id, hour, channel").df()
    return hourly.assign(mean=hourly["mean"].round(4))


_PLAUSIBLE = """c.ERROR IS DISTINCT FROM '1' AND TRY_CAST(c.VALUENUM AS DOUBLE) > items.low
                AND TRY_CAST(c.VALUENUM AS DOUBLE) < items.high"""


def _forward_fill(series: np.ndarray) -> np.ndarray:
    """Carry the last measured hour on, within each stay (stays, hours, channels)."""
    hour = np.where(np.isfinite(series), np.arange(series.shape[1])[:, None], -1)
    last = np.maximum.accumulate(hour, axis=1)  # -1 until something was measured: row -1 is then still missing
    filled = np.take_along_axis(series, np.maximum(last, 0), axis=1)
    return np.where(last < 0, np.float32(np.nan), filled)


def _brief(error: Exception) -> str:
    """What DuckDB says of a bad file, without its advice on options."""
    lines = str(error).strip().splitlines()
    return "; ".join(lines[:1] + [line for line in lines[1:] if line.startswith("Expected")])
