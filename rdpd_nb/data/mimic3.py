"""MIMIC-III v1.4 tables -> 48 hourly values of six vital signs for each subject's first ICU stay.

CHARTEVENTS (33 GB in the full set) is read a block at a time; what it says of the chosen stays goes into DuckDB, which
holds at most $RDPD_MEMORY (2GB) in memory, the rest on disk. Which item ids make up a vital sign, and which values are
plausible, stands in mimic3_items.csv.

Two things the paper does not say, and what is done. A vital sign that is charted under several item ids in one hour is
the mean of all their values, whatever they were measured with: where a blood pressure has arterial and cuff readings,
which differ by some mmHg, the hour has something between. And nobody is left out by age: newborns and children are in
where they have one of the eight diagnoses.
"""

import csv
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from ..files import data_folder, temporary_folder
from ..paper import published
from . import csv_stream
from .checks import entries, require_files, require_folder
from .spec import Size, Source, Spec
from .windows import Ledger, Recordings

if TYPE_CHECKING:
    import duckdb

ITEMS = list(csv.DictReader(resources.files(__package__).joinpath("mimic3_items.csv").open(encoding="utf-8")))
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
TABLES = {  # the columns the reader needs: whole numbers, texts
    "PATIENTS": (("SUBJECT_ID",), ()),
    "ICUSTAYS": (("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID"), ("INTIME",)),
    "DIAGNOSES_ICD": (("HADM_ID", "SEQ_NUM"), ("ICD9_CODE",)),
    "CHARTEVENTS": (("ICUSTAY_ID", "ITEMID"), ("CHARTTIME", "VALUENUM", "ERROR")),
}
MEMORY = "2GB"  # of DuckDB, where $RDPD_MEMORY names no other
ROWS_AT_ONCE, STAYS_AT_ONCE = 100_000, 1000  # of CHARTEVENTS that go into DuckDB together; whose means are taken
IS_TIME = r"[12]\d{3}-\d\d?-\d\d?[ T]\d\d?:\d\d?(:\d\d?(\.\d+)?)?"
IS_CODE = r"[0-9EV]\d\d[.\d]{0,3}"
A_TIME = "a time like 2130-05-01 07:00:00"
ERROR, NO_ERROR = "'1', '1.0', 'true'", "'0', '0.0', 'false'"
CODES_ENOUGH = 1000  # diagnoses; one in 20 begins with 0


def table_path(folder: Path, table: str) -> Path:
    """The file of a table: upper or lower case name, .csv or .csv.gz."""
    names = (f"{table.lower()}.csv", f"{table.lower()}.csv.gz")
    found = [path for path in entries(folder) if path.name.lower() in names]
    if not found:
        raise UserError(f"{folder} holds no {table}.csv or {table}.csv.gz; it should hold the MIMIC-III v1.4 tables.")
    if len(found) > 1:
        raise UserError(f"{folder} holds {found[0].name} and {found[1].name}; leave only the one to be read.")
    return found[0]


def files(folder: Path) -> list[Path]:
    require_folder(folder, "the MIMIC-III v1.4 tables as .csv or .csv.gz")
    return require_files(table_path(folder, table) for table in TABLES)


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """One recording of 48 hours for each subject with one of the eight primary diagnoses."""
    import pandas as pd

    paths = dict(zip(TABLES, files(folder), strict=True))  # one that is missing is named before anything is read
    table1, ledger = published()["table1"]["mimic3"], Ledger()
    with _database() as db:
        stays = _first_stays(db, paths, ledger)
        first = len(stays["subject"])
        progress(f"  {first:,} first ICU stays with one of the eight diagnoses; reading CHARTEVENTS ...")
        counts = _fill_charted(db, paths["CHARTEVENTS"], progress)
        series = _hourly_means(db, first, counts, ledger)
    used = np.isfinite(series).any((1, 2))
    if not used.any():
        raise UserError(
            f"{folder}: no subject has both one of the eight diagnoses and a charted vital sign: {first:,} first ICU "
            f"stays have the diagnosis; of {counts['rows']:,} rows of CHARTEVENTS {counts['vital']:,} are vital signs, "
            f"{counts['of stays']:,} of them of these stays, {counts['in time']:,} in the first {HOURS} h, 0 plausible "
            "numbers; the tables are not whole or of different releases: download them again."
        )
    count, said, series = used.sum(), f"{table1['subjects']:,} subjects", series[used]
    ledger.add("subjects without a charted value removed", subjects=count - first)
    ledger.add("subjects with at least one charted value", subjects=count, table1=said)

    measured = int(np.isfinite(series).sum())
    rows = pd.DataFrame(series.reshape(-1, len(SPEC.channels)))
    series = rows.groupby(rows.index // HOURS).ffill().to_numpy().reshape(series.shape)  # within each stay
    ledger.add("hourly rows", rows=count * HOURS, subjects=count, table1=f"{table1['total_length']:,} rows")
    ledger.add("hourly values measured", values=measured)
    ledger.add("hourly values carried forward", values=np.isfinite(series).sum() - measured)
    ledger.add("hourly values left to the training mean", values=np.isnan(series).sum())
    return Recordings.join(series, stays["subject"][used], stays["label"][used], ledger=ledger)


@contextmanager
def _database() -> "Iterator[duckdb.DuckDBPyConnection]":
    """A DuckDB that holds at most $RDPD_MEMORY in memory, the rest in a folder of its own, removed afterwards."""
    import duckdb

    limit, home = os.environ.get("RDPD_MEMORY") or MEMORY, data_folder()
    if not re.fullmatch(r"\d+(\.\d+)? *[MG]i?B", limit, re.I | re.A):
        raise UserError(f"RDPD_MEMORY is '{limit}'; write a number and MB or GB, as in RDPD_MEMORY=4GB.")
    with temporary_folder(home / "spill") as spill:
        settings = {"memory_limit": limit, "temp_directory": str(spill), "preserve_insertion_order": False}
        try:
            with duckdb.connect(config=settings) as db:
                yield db
        except duckdb.OutOfMemoryException:
            advice = "give more, as in RDPD_MEMORY=4GB"
            raise UserError(f"RDPD_MEMORY={limit} is too little to read MIMIC-III; {advice}.") from None
        except duckdb.IOException as error:
            said = str(error).splitlines()[0]
            raise UserError(f"{home} could not be written ({said}); make room, or set RDPD_DATA.") from None


def _refuse(db: "duckdb.DuckDBPyConnection", rows: str, path: Path, column: str, wrong: str, expected: str) -> None:
    """Raises UserError with the first row of which the condition `wrong` is true."""
    found = db.execute(f"SELECT row, {column}::VARCHAR FROM {rows} WHERE {wrong} ORDER BY row LIMIT 1").fetchone()
    if found:
        raise UserError(csv_stream.not_expected(path, found[0], column, found[1], expected))


def _is_no_time(column: str) -> str:
    time = f"TRY_CAST({column} AS TIMESTAMP)"
    return f"{column} IS NOT NULL AND (NOT regexp_full_match({column}, '{IS_TIME}') OR {time} IS NULL)"


def _first_stays(db: "duckdb.DuckDBPyConnection", paths: dict[str, Path], ledger: Ledger) -> dict[str, np.ndarray]:
    """subject and label of each subject's first ICU stay, of the eight diagnoses only; table `stays` in the database.

    Raises UserError where the tables are wrong or contradict one another.
    """
    for table in ("PATIENTS", "ICUSTAYS", "DIAGNOSES_ICD"):
        db.register(table, csv_stream.table(paths[table], *TABLES[table]))
    of_several = "{0} IN (SELECT {0} FROM ICUSTAYS GROUP BY {0} HAVING count(DISTINCT {1}) > 1)".format
    for table, column, wrong, expected in (
        ("PATIENTS", "SUBJECT_ID", "SUBJECT_ID IS NULL", "a number"),
        ("ICUSTAYS", "SUBJECT_ID", "SUBJECT_ID IS NULL", "a number"),
        ("ICUSTAYS", "ICUSTAY_ID", "ICUSTAY_ID IS NULL", "a number"),
        ("ICUSTAYS", "INTIME", _is_no_time("INTIME"), A_TIME),
        ("ICUSTAYS", "SUBJECT_ID", "SUBJECT_ID NOT IN (SELECT SUBJECT_ID FROM PATIENTS)", "a subject of PATIENTS"),
        (
            "ICUSTAYS",
            "ICUSTAY_ID",
            of_several("ICUSTAY_ID", "(SUBJECT_ID, HADM_ID, INTIME)"),
            "a number that no other stay has",
        ),
        ("ICUSTAYS", "HADM_ID", of_several("HADM_ID", "SUBJECT_ID"), "an admission of nobody else"),
        (  # of the primary diagnosis, which alone is used
            "DIAGNOSES_ICD",
            "ICD9_CODE",
            f"SEQ_NUM = 1 AND NOT regexp_full_match(trim(ICD9_CODE), '{IS_CODE}')",
            "an ICD-9 code",
        ),
    ):
        _refuse(db, table, paths[table], column, wrong, expected)
    codes, with_zero = db.execute("""
        SELECT count(ICD9_CODE), count(*) FILTER (WHERE trim(ICD9_CODE) LIKE '0%') FROM DIAGNOSES_ICD""").fetchone()
    if codes >= CODES_ENOUGH and not with_zero:
        raise UserError(
            f"{paths['DIAGNOSES_ICD']}: none of {codes:,} ICD-9 codes begins with 0, so a program that takes them for "
            "numbers has saved it; download it again."
        )

    patients, stays, timeless = db.execute("""
        SELECT (SELECT count(DISTINCT SUBJECT_ID) FROM PATIENTS), count(DISTINCT ICUSTAY_ID),
               count(DISTINCT ICUSTAY_ID) FILTER (WHERE INTIME IS NULL)
        FROM ICUSTAYS""").fetchone()
    ledger.add("patients", subjects=patients)
    ledger.add("ICU stays", records=stays)
    ledger.add("ICU stays without a time of entry removed", records=-timeless)
    first = db.execute(
        """
        CREATE TABLE first_stays AS
        WITH the_primary AS (
            SELECT HADM_ID, min(trim(ICD9_CODE)[:3]) AS code, count(DISTINCT trim(ICD9_CODE)[:3]) AS codes
            FROM DIAGNOSES_ICD WHERE SEQ_NUM = 1 GROUP BY HADM_ID),
        numbered AS (
            SELECT *, row_number() OVER (PARTITION BY SUBJECT_ID ORDER BY CAST(INTIME AS TIMESTAMP), ICUSTAY_ID) AS n
            FROM ICUSTAYS WHERE INTIME IS NOT NULL)
        SELECT SUBJECT_ID AS subject, ICUSTAY_ID AS icustay, CAST(INTIME AS TIMESTAMP) AS intime,
               coalesce(codes, 0) AS codes, coalesce(list_position(?, code), 0)::BIGINT - 1 AS label
        FROM numbered LEFT JOIN the_primary USING (HADM_ID) WHERE n = 1""",
        [list(DIAGNOSES)],
    )
    db.execute("""
        CREATE TABLE stays AS
        SELECT *, row_number() OVER (ORDER BY subject) - 1 AS stay FROM first_stays WHERE codes = 1 AND label >= 0""")
    first, doubtful, kept = db.execute("""
        SELECT count(*), count(*) FILTER (WHERE codes > 1), (SELECT count(*) FROM stays) FROM first_stays""").fetchone()
    ledger.add("patients with an ICU stay (the first is used)", subjects=first)
    ledger.add("several different primary diagnoses removed", subjects=-doubtful)
    ledger.add("other primary diagnoses removed", subjects=kept + doubtful - first)
    found = db.execute("SELECT subject, label FROM stays ORDER BY stay").fetchnumpy()
    for i, (code, name) in enumerate(DIAGNOSES.items()):
        ledger.add(f"- {name} (ICD-9 {code})", subjects=(found["label"] == i).sum())
    return found


def _fill_charted(db: "duckdb.DuckDBPyConnection", path: Path, progress: Callable[[str], None]) -> Counter:
    """Put what CHARTEVENTS says of the vital signs in the first 48 hours of `stays` into a table `charted`.

    Returns how many rows there were, and how many were left after each choice.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    known = {name: pa.array([int(item[name]) for item in ITEMS]) for name in ("itemid", "low", "high")}
    db.register("items", pa.table(known | {"channel": [SPEC.channels.index(item["channel"]) for item in ITEMS]}))
    db.execute("CREATE TABLE charted (stay INTEGER, itemid BIGINT, second INTEGER, value DOUBLE, erroneous BOOLEAN)")
    stays = pa.array(db.execute("SELECT icustay FROM stays").fetchnumpy()["icustay"])
    counts, waiting = Counter(), []

    def put() -> None:
        db.register("rows", pa.Table.from_batches(waiting))
        _refuse(db, "rows", path, "CHARTTIME", _is_no_time("CHARTTIME"), A_TIME)
        _refuse(db, "rows", path, "ERROR", f"lower(trim(ERROR)) NOT IN ({ERROR}, {NO_ERROR})", "0 or 1")
        counts["untimed"] += db.execute("SELECT count(*) FROM rows WHERE CHARTTIME IS NULL").fetchone()[0]
        counts["in time"] += db.execute(f"""
            INSERT INTO charted
            SELECT stay, ITEMID, date_diff('second', intime, CAST(CHARTTIME AS TIMESTAMP)),
                   TRY_CAST(VALUENUM AS DOUBLE), coalesce(lower(trim(ERROR)) IN ({ERROR}), false)
            FROM rows JOIN stays ON ICUSTAY_ID = icustay
            WHERE CAST(CHARTTIME AS TIMESTAMP) >= intime
                  AND CAST(CHARTTIME AS TIMESTAMP) < intime + INTERVAL {HOURS} HOUR""").fetchone()[0]
        waiting.clear()

    for first, batch in csv_stream.batches(path, *TABLES["CHARTEVENTS"], progress):
        vital = np.flatnonzero(pc.is_in(batch["ITEMID"], known["itemid"]))
        chosen = vital[pc.is_in(batch["ICUSTAY_ID"].take(pa.array(vital)), stays)]
        counts.update(
            {
                "rows": len(batch),
                "unnamed": batch["ITEMID"].null_count,
                "vital": len(vital),
                "of stays": len(chosen),
            }
        )
        if len(chosen):
            waiting.append(batch.take(pa.array(chosen)).append_column("row", pa.array(first + chosen)))
        if sum(map(len, waiting)) >= ROWS_AT_ONCE:
            put()
    if waiting:
        put()
    return counts


def _hourly_means(db: "duckdb.DuckDBPyConnection", stays: int, counts: Counter, ledger: Ledger) -> np.ndarray:
    """(stays, 48, 6) mean of the plausible values of each hour, NaN where there is none."""
    plausible = "NOT erroneous AND value > low AND value < high"
    series, left = np.full((stays, HOURS, len(SPEC.channels)), np.nan, np.float32), Counter()
    for first in range(0, stays, STAYS_AT_ONCE):
        hourly = db.execute(f"""
            SELECT stay, second // 3600 AS hour, channel, count(*) AS charted,
                   count(*) FILTER (WHERE erroneous) AS erroneous,
                   count(*) FILTER (WHERE NOT erroneous AND value IS NULL) AS missing,
                   count(*) FILTER (WHERE {plausible}) AS kept, avg(value) FILTER (WHERE {plausible}) AS mean
            FROM (SELECT DISTINCT * FROM charted WHERE stay BETWEEN {first} AND {first + STAYS_AT_ONCE - 1})
            JOIN items USING (itemid) GROUP BY ALL""").fetchnumpy()
        left.update({name: hourly[name].sum() for name in ("charted", "erroneous", "missing", "kept")})
        # Summation order is not fixed in a parallel query: rounding to float32's own digits makes reruns identical.
        mean = np.ma.filled(hourly["mean"].astype(np.float64), np.nan).round(4)
        series[hourly["stay"], hourly["hour"], hourly["channel"]] = mean
    ledger.add("rows of CHARTEVENTS", rows=counts["rows"])
    ledger.add("rows without an item removed", rows=-counts["unnamed"])
    ledger.add("other items removed", rows=counts["vital"] + counts["unnamed"] - counts["rows"])
    ledger.add("other stays, or none, removed", rows=counts["of stays"] - counts["vital"])
    ledger.add("rows without a time removed", rows=-counts["untimed"])
    ledger.add("other hours removed", rows=counts["in time"] + counts["untimed"] - counts["of stays"])
    ledger.add("vital signs charted in the first 48 h", values=counts["in time"])
    ledger.add("the same once more (stay, item, time, value) removed", values=left["charted"] - counts["in time"])
    ledger.add("marked as an error removed", values=-left["erroneous"])
    ledger.add("missing values removed", values=-left["missing"])
    implausible = left["charted"] - left["erroneous"] - left["missing"] - left["kept"]
    ledger.add("implausible values removed", values=-implausible)
    return series
