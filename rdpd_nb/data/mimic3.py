"""MIMIC-III v1.4 tables -> 48 hourly values of six vital signs for each subject's first ICU stay.

DuckDB streams CHARTEVENTS (33 GB in the full set), so memory holds only the hourly means. Which item ids make up a
vital sign, and which values are plausible, stands in mimic3_items.csv.

Two things the paper does not say, and what is done. A vital sign that is charted under several item ids in one hour is
the mean of all their values, whatever they were measured with: where a blood pressure has arterial and cuff readings,
which differ by some mmHg, the hour has something between. And nobody is left out by age: newborns and children are in
where they have one of the eight diagnoses.
"""

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from ..paper import published
from .checks import require_folder
from .spec import Size, Source, Spec
from .windows import Ledger, Recordings

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

DIAGNOSES = {  # first digits of the ICD-9 code, name
    "410": "acute myocardial infarction",
    "414": "chronic ischaemic heart disease",
    "428": "heart failure",
    "431": "intracerebral haemorrhage",
    "996": "specified procedure complications",
    "518": "lung disease",
    "424": "endocardium disease",
    "038": "septicaemia",
}
SPEC = Spec(
    name="mimic3",
    title="MIMIC-III",
    rate="1 per hour",
    channels=("heart_rate", "respiratory_rate", "bp_mean", "bp_systolic", "bp_diastolic", "spo2"),
    units="bpm, 1/min, mmHg, %",
    classes=tuple(DIAGNOSES.values()),
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
TABLES = {  # the columns the reader needs, and the type of those that must not hold anything else
    "PATIENTS": {"SUBJECT_ID": ""},
    "ICUSTAYS": {"SUBJECT_ID": "BIGINT", "HADM_ID": "", "ICUSTAY_ID": "BIGINT", "INTIME": "TIMESTAMP"},
    "DIAGNOSES_ICD": {"HADM_ID": "", "SEQ_NUM": "INTEGER", "ICD9_CODE": ""},
    "CHARTEVENTS": {"ICUSTAY_ID": "", "ITEMID": "", "CHARTTIME": "", "VALUENUM": "", "ERROR": ""},
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

    files(folder)  # one that is missing is named before anything is read
    table1, ledger = published()["table1"]["mimic3"], Ledger()
    with duckdb.connect() as db:
        for table in TABLES:
            _open(db, folder, table)
        stays = _first_stays(db, ledger)
        progress(f"  {len(stays):,} first ICU stays with one of the eight diagnoses; reading CHARTEVENTS ...")
        hourly = _hourly_means(db, folder, stays, ledger)
    stays = stays[stays.icustay_id.isin(hourly.icustay_id)].reset_index(drop=True)
    if stays.empty:
        raise UserError(f"{folder}: no subject has both one of the eight diagnoses and a charted vital sign.")
    count, said = len(stays), f"{table1['subjects']:,} subjects"
    ledger.add("subjects with at least one charted value", subjects=count, table1=said)

    stay = pd.Index(stays.icustay_id).get_indexer(hourly.icustay_id)
    channel = pd.Index(SPEC.channels).get_indexer(hourly.channel)
    series = np.full((count, HOURS, len(SPEC.channels)), np.nan, np.float32)
    series[stay, hourly.hour.to_numpy(), channel] = hourly["mean"]
    measured = int(np.isfinite(series).sum())
    rows = pd.DataFrame(series.reshape(-1, len(SPEC.channels)))
    series = rows.groupby(rows.index // HOURS).ffill().to_numpy().reshape(series.shape)  # within each stay
    ledger.add("hourly rows", rows=count * HOURS, subjects=count, table1=f"{table1['total_length']:,} rows")
    ledger.add("hourly values measured", values=measured)
    ledger.add("hourly values carried forward", values=np.isfinite(series).sum() - measured)
    ledger.add("hourly values left to the training mean", values=np.isnan(series).sum())
    return Recordings.join(series, stays.subject_id.to_numpy(), stays.label.to_numpy(), ledger=ledger)


def _open(db: "duckdb.DuckDBPyConnection", folder: Path, table: str) -> None:
    """Make a table's file a view of the same name, every column as text: it is cast where it is used.

    A key or time that is none is refused; a reading that is no number is just missing.
    """
    import duckdb

    path, needed = table_path(folder, table), TABLES[table]
    quoted = str(path).replace("'", "''")
    try:
        # The dialect is stated: DuckDB would guess it from the first rows, where CHARTEVENTS has no quoted text.
        db.execute(
            f"CREATE VIEW {table} AS SELECT * FROM "
            f"read_csv('{quoted}', header=true, all_varchar=true, delim=',', quote='\"', escape='\"')"
        )
        there = [row[0].upper() for row in db.execute(f"DESCRIBE {table}").fetchall()]
        if missing := [column for column in needed if column not in there]:
            raise UserError(f"{path}: no column {', '.join(missing)}; the columns are {', '.join(there)}.")
        for column, kind in needed.items():
            is_bad = f"{column} IS NOT NULL AND TRY_CAST({column} AS {kind}) IS NULL"
            if kind and (bad := db.execute(f"SELECT {column} FROM {table} WHERE {is_bad} LIMIT 1").fetchone()):
                raise UserError(f"{path}: '{bad[0]}' in column {column}; download it again.")
    except duckdb.Error as error:
        raise UserError(f"{path}: not readable as CSV ({_brief(error)}); download it again.") from None


def _first_stays(db: "duckdb.DuckDBPyConnection", ledger: Ledger) -> "pd.DataFrame":
    """subject_id, icustay_id, intime and label of each subject's first ICU stay, of the eight diagnoses only."""
    ledger.add("patients", subjects=db.execute("SELECT count(DISTINCT SUBJECT_ID) FROM PATIENTS").fetchone()[0])
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
    label = first.icd9.fillna("").str[:3].map({code: i for i, code in enumerate(DIAGNOSES)})
    stays = first[label.notna()].assign(label=label.dropna().astype(np.int64)).drop(columns="icd9")
    ledger.add("other primary diagnoses removed", subjects=len(stays) - len(first))
    for i, (code, name) in enumerate(DIAGNOSES.items()):
        ledger.add(f"- {name} (ICD-9 {code})", subjects=(stays.label == i).sum())
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
    value, time = "TRY_CAST(c.VALUENUM AS DOUBLE)", "TRY_CAST(c.CHARTTIME AS TIMESTAMP)"
    plausible = f"c.ERROR IS DISTINCT FROM '1' AND {value} > items.low AND {value} < items.high"
    try:
        db.execute(f"""
            CREATE TEMP TABLE charted AS
            SELECT stays.icustay_id, items.channel, date_diff('second', stays.intime, {time}) // 3600 AS hour,
                   count(*) AS charted, count(*) FILTER (WHERE c.ERROR = '1') AS erroneous,
                   count(*) FILTER (WHERE {plausible}) AS kept, avg({value}) FILTER (WHERE {plausible}) AS mean
            FROM CHARTEVENTS c
            JOIN items ON TRY_CAST(c.ITEMID AS BIGINT) = items.itemid
            JOIN stays ON TRY_CAST(c.ICUSTAY_ID AS BIGINT) = stays.icustay_id
            WHERE {time} >= stays.intime AND {time} < stays.intime + INTERVAL {HOURS} HOUR
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


def _brief(error: Exception) -> str:
    """What DuckDB says of a bad file, without its advice on options."""
    lines = str(error).strip().splitlines()
    return "; ".join(lines[:1] + [line for line in lines[1:] if line.startswith("Expected")])
