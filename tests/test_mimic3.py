"""MIMIC-III: tiny hand-written tables, an independent computation in pandas, and broken tables."""

import csv
import gzip
import os
import re
import shutil
import subprocess
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from rdpd_nb import files
from rdpd_nb.data import csv_stream, mimic3
from rdpd_nb.errors import UserError

CHANNELS = mimic3.SPEC.channels
HR, RR, MEAN, SYSTOLIC, DIASTOLIC, SPO2 = range(6)
COLUMNS = {
    "PATIENTS": ("ROW_ID", "SUBJECT_ID", "GENDER"),
    "ICUSTAYS": ("ROW_ID", "SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "DBSOURCE", "INTIME"),
    "DIAGNOSES_ICD": ("ROW_ID", "SUBJECT_ID", "HADM_ID", "SEQ_NUM", "ICD9_CODE"),
    "CHARTEVENTS": ("ROW_ID", "ICUSTAY_ID", "ITEMID", "CHARTTIME", "VALUE", "VALUENUM", "ERROR"),
}
ONE_PATIENT = {
    "PATIENTS": [(1, 7, "F")],
    "ICUSTAYS": [(1, 7, 70, 700, "metavision", "2130-05-01 06:30:15")],
    "DIAGNOSES_ICD": [(1, 7, 70, 1, "0389")],
}
HEART_RATE = 220045  # MetaVision item
IMPLAUSIBLE = "implausible values removed"


def write(folder, tables, *, lower=False, zipped=False):
    """Write the tables in one of the four ways they are distributed."""
    for table, rows in tables.items():
        name = f"{table.lower() if lower else table}.csv"
        columns = [column.lower() if lower else column for column in COLUMNS[table]]
        with gzip.open(folder / f"{name}.gz", "wt") if zipped else (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
    return folder


def chart(*events, stay=700):
    """CHARTEVENTS rows out of (item, time, value) or (item, time, value, error)."""
    return [
        (i, stay, item, time, value, value, *(error or [""])) for i, (item, time, value, *error) in enumerate(events, 1)
    ]


def read(folder):
    return mimic3.read(folder, lambda line: None)


def hours(folder):
    """(stays, 48, 6) hourly values."""
    return read(folder).series.reshape(-1, 48, 6)


def refusal(folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    message = str(caught.value)
    assert str(folder) in message
    for noise in ("Traceback", "duckdb", "read_csv", "LINE ", "SELECT", "CAST", "null_padding", "all_varchar"):
        assert noise not in message
    assert "\n" not in message
    return message


# ---------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_every_way_the_tables_are_distributed(tmp_path, lower, zipped):
    events = chart((HEART_RATE, "2130-05-01 07:00:00", 80), (220210, "2130-05-01 08:00:00", 20))
    r = read(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}, lower=lower, zipped=zipped))
    assert r.series.dtype == np.float32 and r.series.shape == (48, 6)
    assert r.subject.tolist() == [7] and mimic3.SPEC.classes[r.label[0]] == "septicaemia"
    assert (r.start.tolist(), r.stop.tolist()) == ([0], [48])
    assert (r.series[:, HR] == 80).all()
    assert np.isnan(r.series[0, RR]) and (r.series[1:, RR] == 20).all()


def test_first_stay_is_the_one_with_the_first_intime(tmp_path):
    tables = {
        "PATIENTS": [(1, 7, "F"), (2, 8, "M")],
        "ICUSTAYS": [  # neither the first row nor the lowest number
            (1, 7, 70, 700, "carevue", "2130-05-03 00:00:00"),
            (2, 7, 71, 701, "carevue", "2130-05-01 00:00:00"),
            (3, 8, 80, 800, "carevue", "2101-01-01 00:00:00"),
        ],
        "DIAGNOSES_ICD": [(1, 7, 70, 1, "431"), (2, 7, 71, 1, "41071"), (3, 8, 80, 1, "4241")],
        "CHARTEVENTS": [
            *chart((211, "2130-05-03 01:00:00", 100)),
            *chart((211, "2130-05-01 01:00:00", 60), stay=701),
            *chart((211, "2101-01-01 00:00:00", 70), stay=800),
        ],
    }
    r = read(write(tmp_path, tables))
    assert r.subject.tolist() == [7, 8]
    assert [mimic3.SPEC.classes[i] for i in r.label] == ["acute myocardial infarction", "endocardium disease"]
    assert r.series[47, HR] == 60 and r.series[48, HR] == 70


def test_only_the_primary_diagnosis_counts(tmp_path):
    tables = {
        "PATIENTS": [(1, 7, "F"), (2, 8, "M"), (3, 9, "M")],
        "ICUSTAYS": [(i, s, 10 * s, 100 * s, "carevue", "2130-05-01 00:00:00") for i, s in enumerate([7, 8, 9], 1)],
        "DIAGNOSES_ICD": [
            (1, 7, 70, 2, "41071"),
            (2, 7, 70, 1, "51881"),  # the second in order stands first
            (3, 8, 80, 1, "4019"),
            (4, 8, 80, 2, "4280"),  # primary diagnosis is none of the eight
        ],  # and subject 9 has none
        "CHARTEVENTS": [row for s in (7, 8, 9) for row in chart((211, "2130-05-01 01:00:00", 60), stay=100 * s)],
    }
    r = read(write(tmp_path, tables))
    assert r.subject.tolist() == [7] and mimic3.SPEC.classes[r.label[0]] == "lung disease"
    ledger = {row["step"]: row for row in r.ledger.rows}
    assert ledger["patients"]["subjects"] == 3
    assert ledger["patients with an ICU stay (the first is used)"]["subjects"] == 3
    assert ledger["other primary diagnoses removed"]["subjects"] == -2


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("41071", "acute myocardial infarction"),
        ("41401", "chronic ischaemic heart disease"),
        ("4280", "heart failure"),
        ("431", "intracerebral haemorrhage"),
        ("99662", "specified procedure complications"),
        ("51881", "lung disease"),
        ("4241", "endocardium disease"),
        ("0389", "septicaemia"),
    ],
)
def test_icd9_codes(tmp_path, code, name):
    diagnoses = {"DIAGNOSES_ICD": [(1, 7, 70, 1, code)]}
    events = {"CHARTEVENTS": chart((HEART_RATE, "2130-05-01 07:00:00", 80))}
    r = read(write(tmp_path, ONE_PATIENT | diagnoses | events))
    assert mimic3.SPEC.classes[r.label[0]] == name


# ---------------------------------------------------------------------------------------------------- hours and values


def test_hours_count_from_the_minute_of_entry(tmp_path):
    """INTIME is 06:30:15 on 1 May."""
    events = chart(
        (HEART_RATE, "2130-05-01 06:30:14", 111),  # before
        (HEART_RATE, "2130-05-01 06:30:15", 60),  # the first second: hour 0
        (HEART_RATE, "2130-05-01 07:30:14", 62),  # the last second of hour 0
        (HEART_RATE, "2130-05-01 07:30:15", 70),  # hour 1
        (HEART_RATE, "2130-05-03 06:30:14", 90),  # 47:59:59: hour 47
        (HEART_RATE, "2130-05-03 06:30:15", 222),  # 48:00:00: out
    )
    heart_rate = hours(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))[0, :, HR]
    assert heart_rate.tolist() == [61, *[70] * 46, 90]


def test_hourly_mean_forward_fill_and_leading_hours(tmp_path):
    events = chart(
        (HEART_RATE, "2130-05-01 09:00:00", 60),
        (HEART_RATE, "2130-05-01 09:10:00", 61),
        (HEART_RATE, "2130-05-01 09:20:00", 65),
        (HEART_RATE, "2130-05-01 12:00:00", 90),
    )
    r = read(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))
    np.testing.assert_array_equal(r.series[:8, HR], [np.nan, np.nan, 62, 62, 62, 90, 90, 90])
    assert np.isnan(r.series[:, 1:]).all()  # never charted: left to the training mean
    ledger = {row["step"]: row.get("values") for row in r.ledger.rows}
    assert ledger["vital signs charted in the first 48 h"] == 4
    assert ledger["hourly values measured"] == 2
    assert ledger["hourly values carried forward"] == 44
    assert ledger["hourly values left to the training mean"] == 2 + 5 * 48


def test_values_are_not_carried_from_one_stay_to_the_next(tmp_path):
    tables = {
        "PATIENTS": [(1, 7, "F"), (2, 8, "M")],
        "ICUSTAYS": [(i, s, 10 * s, 100 * s, "carevue", "2130-05-01 00:00:00") for i, s in enumerate([7, 8], 1)],
        "DIAGNOSES_ICD": [(1, 7, 70, 1, "431"), (2, 8, 80, 1, "431")],
        "CHARTEVENTS": chart((211, "2130-05-02 23:00:00", 60)) + chart((211, "2130-05-01 02:00:00", 90), stay=800),
    }
    heart_rate = hours(write(tmp_path, tables))[..., HR]
    np.testing.assert_array_equal(heart_rate[0], [np.nan] * 47 + [60])
    np.testing.assert_array_equal(heart_rate[1], [np.nan] * 2 + [90] * 46)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        *((value, "implausible") for value in (0, -1, 300, 999, 9_999_999, "1e39", "nan", "inf", "-inf")),
        *((value, "missing") for value in ("", "high", "80 bpm", "80,5")),
    ],
)
def test_implausible_and_missing_values_are_dropped(tmp_path, value, reason):
    events = chart((HEART_RATE, "2130-05-01 07:00:00", 80), (HEART_RATE, "2130-05-01 07:05:00", value))
    r = read(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))
    assert r.series[0, HR] == 80
    ledger = {row["step"]: row.get("values") for row in r.ledger.rows}
    other = {"implausible": "missing", "missing": "implausible"}[reason]
    assert ledger[f"{reason} values removed"] == -1
    assert ledger[f"{other} values removed"] == ledger["marked as an error removed"] == 0


def test_rows_marked_as_errors_are_dropped(tmp_path):
    events = chart(
        (HEART_RATE, "2130-05-01 07:00:00", 80, 0),
        (HEART_RATE, "2130-05-01 07:05:00", 40, 1),
        (HEART_RATE, "2130-05-01 07:10:00", 999, 1),
        (HEART_RATE, "2130-05-01 07:15:00", 82),
    )
    r = read(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))
    assert r.series[0, HR] == 81
    ledger = {row["step"]: row.get("values") for row in r.ledger.rows}
    assert ledger["marked as an error removed"] == -2
    assert ledger["missing values removed"] == ledger["implausible values removed"] == 0


def items():
    with resources.files("rdpd_nb.data").joinpath("mimic3_items.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("item", items(), ids=lambda item: item["itemid"])
def test_every_item_lands_in_its_channel(tmp_path, item):
    """CareVue and MetaVision number the same vital sign differently."""
    events = chart((item["itemid"], "2130-05-01 07:00:00", 55))
    measured = np.isfinite(hours(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))[0, 0])
    assert [CHANNELS[d] for d in np.flatnonzero(measured)] == [item["channel"]]


def test_both_systems_are_averaged_together(tmp_path):
    events = chart(
        (455, "2130-05-01 07:00:00", 120),
        (220050, "2130-05-01 07:20:00", 130),
        (51, "2130-05-01 07:21:00", 125),
        (198, "2130-05-01 07:00:00", 15),  # an item that is no vital sign
    )
    first = hours(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))[0, 0]
    np.testing.assert_array_equal(first, [np.nan] * SYSTOLIC + [125] + [np.nan] * 2)


def test_arterial_and_cuff_pressures_of_an_hour_are_averaged(tmp_path):
    """Weighted by how often each was read: here three arterial readings (220050) and one by the cuff (220179)."""
    times = [f"2130-05-01 07:{minute}:00" for minute in (0, 10, 20, 25)]
    read_off = zip((220050, 220050, 220050, 220179), times, (120, 122, 124, 138), strict=True)
    got = hours(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": chart(*read_off)}))
    assert got[0, 0, SYSTOLIC] == 126


@pytest.mark.real("mimic3")
def test_items_have_the_labels_of_the_real_dictionary(real_root):
    dictionary = pd.read_csv(real_root / "mimic3" / "D_ITEMS.csv.gz").set_index("itemid")
    for item in items():
        row = dictionary.loc[int(item["itemid"])]
        assert (row.label, row.dbsource, row.linksto) == (item["label"], item["system"], "chartevents")


def test_subject_without_a_charted_value_is_left_out(tmp_path):
    tables = ONE_PATIENT | {
        "PATIENTS": [*ONE_PATIENT["PATIENTS"], (2, 8, "M")],
        "ICUSTAYS": [*ONE_PATIENT["ICUSTAYS"], (2, 8, 80, 800, "carevue", "2130-05-01 00:00:00")],
        "DIAGNOSES_ICD": [*ONE_PATIENT["DIAGNOSES_ICD"], (2, 8, 80, 1, "431")],
        "CHARTEVENTS": chart((HEART_RATE, "2130-05-01 07:00:00", 80)) + chart((211, "2130-05-09 00:00", 80), stay=800),
    }
    assert read(write(tmp_path, tables)).subject.tolist() == [7]


# ---------------------------------------------------------------------------------------------------- against pandas


def in_pandas(folder):
    """(subjects, labels, (stays, 48, 6) values) computed without DuckDB, a stay at a time."""

    def table(name):
        path = next(p for p in folder.iterdir() if p.name.lower().startswith(f"{name}.csv"))
        needed = {column for columns in mimic3.TABLES[name.upper()] for column in columns}
        return pd.read_csv(
            path,
            low_memory=False,
            usecols=lambda column: column.upper() in needed,
            dtype={"ICD9_CODE": str, "icd9_code": str},
        ).rename(columns=str.lower)

    stays = table("icustays").assign(intime=lambda t: pd.to_datetime(t.intime))
    stays = stays.sort_values("intime").groupby("subject_id", as_index=False).first()
    diagnoses = table("diagnoses_icd").query("seq_num == 1").set_index("hadm_id").icd9_code
    events = table("chartevents").assign(
        charttime=lambda t: pd.to_datetime(t.charttime), valuenum=lambda t: pd.to_numeric(t.valuenum, errors="coerce")
    )
    known = pd.read_csv(resources.files("rdpd_nb.data").joinpath("mimic3_items.csv")).set_index("itemid")
    events = events[events.itemid.isin(known.index) & ~events.error.eq(1)]
    low, high = (events.itemid.map(known[bound]) for bound in ("low", "high"))
    events = events[(events.valuenum > low) & (events.valuenum < high)]
    codes = ["410", "414", "428", "431", "996", "518", "424", "038"]
    subjects, labels, values = [], [], []
    for stay in stays.sort_values("subject_id").itertuples():
        code = diagnoses.get(stay.hadm_id, "")[:3]
        own = events[events.icustay_id == stay.icustay_id]
        hour = np.floor((own.charttime - stay.intime) / pd.Timedelta(hours=1))
        own = own.assign(hour=hour, channel=own.itemid.map(known.channel))[hour.between(0, 47)]
        if code in codes and len(own):
            means = own.pivot_table(index="hour", columns="channel", values="valuenum", aggfunc="mean")
            values.append(means.reindex(index=range(48), columns=list(CHANNELS)).ffill().to_numpy())
            subjects.append(stay.subject_id)
            labels.append(codes.index(code))
    return subjects, labels, np.stack(values)


def assert_equal_in_pandas(folder):
    r = read(folder)
    subjects, labels, values = in_pandas(folder)
    assert r.subject.tolist() == subjects and r.label.tolist() == labels
    np.testing.assert_allclose(r.series.reshape(values.shape), values, atol=1e-3)
    return r


def test_simulated_tables_equal_pandas(simulated):
    r = assert_equal_in_pandas(simulated["mimic3"])
    ledger = {row["step"]: row.get("values") for row in r.ledger.rows}
    assert all(ledger[step] < 0 for step in ("marked as an error removed", "missing values removed", IMPLAUSIBLE))
    hourly = ("measured", "carried forward", "left to the training mean")
    assert sum(ledger[f"hourly values {what}"] for what in hourly) == r.series.size


@pytest.mark.real("mimic3")
def test_the_real_demo_equals_pandas(real_root):
    r = assert_equal_in_pandas(real_root / "mimic3")
    assert len(r.subject) == 35
    assert np.nanmin(r.series) > 0 and np.nanmax(r.series[:, SPO2]) <= 100
    ledger = {row["step"]: row for row in r.ledger.rows}
    assert ledger["patients"]["subjects"] == 100


# ---------------------------------------------------------------------------------------------------- broken tables


@pytest.fixture
def tables(simulated, tmp_path):
    """A copy of the simulated tables, to be broken."""
    return shutil.copytree(simulated["mimic3"], tmp_path / "mimic3")


@pytest.mark.parametrize("table", mimic3.TABLES)
def test_missing_table(tables, table):
    (tables / f"{table}.csv").unlink()
    assert f"no {table}.csv or {table}.csv.gz" in refusal(tables)


@pytest.mark.parametrize(
    ("table", "column"),
    [(table, column) for table, kinds in mimic3.TABLES.items() for kind in kinds for column in kind],
)
def test_missing_column(tables, table, column):
    path = tables / f"{table}.csv"
    path.write_text(path.read_text().replace(column, "SOMETHING_ELSE", 1))
    message = refusal(tables)
    assert str(path) in message and f"no column {column}" in message and "SOMETHING_ELSE" in message


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("table", mimic3.TABLES)
def test_truncated_gzip(tables, table, share):
    path = tables / f"{table}.csv"
    content = gzip.compress(path.read_bytes(), 1)
    path.unlink()
    path = tables / f"{table}.csv.gz"
    path.write_bytes(content[: int(share * len(content))])
    message = refusal(tables)
    assert str(path) in message and "download it again" in message


@pytest.mark.parametrize("table", mimic3.TABLES)
def test_a_file_that_is_no_gzip(tables, table):
    (tables / f"{table}.csv").unlink()
    path = tables / f"{table}.csv.gz"
    path.write_text("<html><body>404 Not Found</body></html>")
    assert str(path) in refusal(tables)


@pytest.mark.parametrize("table", mimic3.TABLES)
def test_truncated_text(tables, table):
    path = tables / f"{table}.csv"
    path.write_text(path.read_text().rstrip()[:-20].rsplit(",", 1)[0])
    assert str(path) in refusal(tables)


@pytest.mark.parametrize("table", mimic3.TABLES)
def test_empty_file(tables, table):
    path = tables / f"{table}.csv"
    path.write_text("")
    assert str(path) in refusal(tables)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("ICUSTAYS", "SUBJECT_ID"),
        ("ICUSTAYS", "ICUSTAY_ID"),
        ("ICUSTAYS", "INTIME"),
        ("DIAGNOSES_ICD", "SEQ_NUM"),
    ],
)
def test_a_word_where_the_reader_needs_a_number_or_time(tmp_path, table, column):
    rows = ONE_PATIENT | {"CHARTEVENTS": chart((HEART_RATE, "2130-05-01 07:00:00", 80))}
    place = COLUMNS[table].index(column)
    rows[table] = [(*row[:place], "oops", *row[place + 1 :]) for row in rows[table]]
    write(tmp_path, rows)
    assert str(tmp_path / f"{table}.csv") in refusal(tmp_path)


CHART = chart((HEART_RATE, "2130-05-01 07:00:00", 80))
OTHERS = "0 first ICU stays have the diagnosis"


@pytest.mark.parametrize(
    ("table", "rows", "cause"),
    [
        ("DIAGNOSES_ICD", [(1, 7, 70, 1, "4019")], OTHERS),
        ("DIAGNOSES_ICD", [(1, 7, 71, 1, "0389")], OTHERS),  # of another admission
        ("DIAGNOSES_ICD", [(1, 7, 70, 2, "0389")], OTHERS),
        ("CHARTEVENTS", [], "of 0 rows of CHARTEVENTS"),
        ("CHARTEVENTS", chart((198, "2130-05-01 07:00:00", 15)), "of 1 rows of CHARTEVENTS 0 are vital signs"),
        ("CHARTEVENTS", chart((HEART_RATE, "2130-05-01 07:00:00", 80), stay=701), "1 are vital signs, 0 of them of"),
        (
            "CHARTEVENTS",
            chart((HEART_RATE, "2130-05-04 07:00:00", 80)),
            "1 of them of these stays, 0 in the first 48 h",
        ),
        ("CHARTEVENTS", chart((HEART_RATE, "", 80)), "1 of them of these stays, 0 in the first 48 h"),
        ("CHARTEVENTS", chart((HEART_RATE, "2130-05-01 07:00:00", 999)), "1 in the first 48 h, 0 plausible numbers"),
    ],
)
def test_no_subject_is_left_and_why(tmp_path, table, rows, cause):
    said = refusal(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": CHART} | {table: rows}))
    assert "no subject has" in said and cause in said


@pytest.mark.parametrize("table", ["PATIENTS", "ICUSTAYS", "DIAGNOSES_ICD"])
def test_a_table_without_rows(tmp_path, table):
    said = refusal(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": CHART} | {table: []}))
    assert said.startswith(f"{tmp_path / table}.csv has a header and no row")


def test_missing_and_empty_folders(tmp_path):
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert "is empty" in refusal(tmp_path)


def test_a_quote_in_the_folder_name(tmp_path):
    folder = tmp_path / "Anna's data"
    folder.mkdir()
    rows = ONE_PATIENT | {"CHARTEVENTS": chart((HEART_RATE, "2130-05-01 07:00:00", 80))}
    assert read(write(folder, rows)).subject.tolist() == [7]


def test_quoted_text_with_commas_far_down_the_table(tmp_path):
    """CHARTEVENTS has quoted text in some of its 330 million rows, and none in the first thousands."""
    events = chart(*[(HEART_RATE, "2130-05-01 07:00:00", 80)] * 25_000)
    events.append((25_001, 700, HEART_RATE, "2130-05-01 08:00:00", 'about 90, "irregular"\nsecond line', 90, ""))
    heart_rate = hours(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))[0, :, HR]
    assert heart_rate[0] == 80 and heart_rate[1] == 90


# ---------------------------------------------------------------------------------------------------- another file


@pytest.mark.parametrize("name", ["g*b", "g?b", "g[xy]b", "{gxb,gyb}"])
def test_a_folder_name_is_no_pattern(tmp_path, name):
    for folder, value in (("gxb", 88), (name, 80)):
        (tmp_path / folder).mkdir()
        events = {"CHARTEVENTS": chart((HEART_RATE, "2130-05-01 07:00:00", value))}
        write(tmp_path / folder, ONE_PATIENT | events)
    assert hours(tmp_path / name)[0, 0, HR] == 80


@pytest.mark.parametrize("table", mimic3.TABLES)
@pytest.mark.parametrize("lower", [False, True])
def test_a_table_that_is_there_twice(tmp_path, table, lower):
    write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": CHART})
    write(tmp_path, {table: (ONE_PATIENT | {"CHARTEVENTS": CHART})[table]}, lower=lower, zipped=True)
    said = refusal(tmp_path)
    assert f"{table}.csv" in said and f"{table.lower() if lower else table}.csv.gz" in said and "only the one" in said


@pytest.mark.parametrize("table", mimic3.TABLES)
@pytest.mark.parametrize("place", [-8, -1], ids=["checksum", "length"])
def test_a_gzip_whose_end_says_otherwise(tmp_path, table, place):
    path = write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": CHART}, zipped=True) / f"{table}.csv.gz"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert refusal(tmp_path).startswith(f"{path} could not be read")


@pytest.mark.parametrize("table", mimic3.TABLES)
@pytest.mark.parametrize("kind", ["folder", "link", "empty"])
def test_something_else_in_place_of_a_table(tmp_path, table, kind):
    path = write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": CHART}) / f"{table}.csv"
    path.unlink()
    {"folder": path.mkdir, "link": lambda: path.symlink_to("nowhere"), "empty": path.touch}[kind]()
    assert re.match(f"{path} is (a )?{kind}", refusal(tmp_path))


# ---------------------------------------------------------------------------------------------------- wrong rows


def changed(folder, table, column, value, *, row=2):
    """Write the tables of one patient with one other value, and five rows in CHARTEVENTS."""
    tables = ONE_PATIENT | {
        "CHARTEVENTS": chart(*((HEART_RATE, f"2130-05-01 07:{m}:00", 80) for m in range(10, 60, 10)))
    }
    rows = [list(cells) for cells in tables[table]]
    rows[row - 2][COLUMNS[table].index(column)] = value
    return write(folder, tables | {table: rows})


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        *(("ICUSTAYS", "INTIME", value) for value in ("infinity", "-infinity", "0044-05-01 (BC) 06:30:15", "epoch")),
        *(("ICUSTAYS", "INTIME", value) for value in ("2130-05-01", "21300-05-01 06:30:15", "01/05/2130 06:30", "nan")),
        *(("ICUSTAYS", "INTIME", value) for value in ("2130-13-01 06:30:15", "2130-05-01 06:30:15+02", "4692918615")),
        *(("CHARTEVENTS", "CHARTTIME", value) for value in ("05/01/2130 7:10", "infinity", "2130-05-01", "yesterday")),
        *(("CHARTEVENTS", "ITEMID", value) for value in ("Heart Rate", "220045x", "220045.5", "-220045", "inf", "nan")),
        *(("CHARTEVENTS", "ICUSTAY_ID", value) for value in ("seven hundred", "700.5", "-700", "NULL")),
        *(("CHARTEVENTS", "ERROR", value) for value in ("maybe", "2", "-1")),
        *(("DIAGNOSES_ICD", "SEQ_NUM", value) for value in (1.4, "first", -1)),
        *(("DIAGNOSES_ICD", "HADM_ID", value) for value in ("x70", 70.2)),
        *(("DIAGNOSES_ICD", "ICD9_CODE", value) for value in ("sepsis", "38", "A41.9", "0389, 4280")),
        *(("ICUSTAYS", "SUBJECT_ID", value) for value in ("", "x7", 7.5, 8, "7E+00", "1e400")),
        *(("ICUSTAYS", "ICUSTAY_ID", value) for value in ("", "x", -700, 2**53)),
        *(("PATIENTS", "SUBJECT_ID", value) for value in ("", "x")),
    ],
)
def test_a_wrong_value_is_named_with_its_row(tmp_path, table, column, value):
    row = 5 if table == "CHARTEVENTS" else 2
    said = refusal(changed(tmp_path, table, column, value, row=row))
    assert said.startswith(f"{tmp_path / table}.csv, row {row}: {column} ")
    assert "is empty where a number is expected;" in said if value == "" else " where " in said
    assert "download it again" in said


def test_a_code_of_another_form_beside_the_primary_diagnosis(tmp_path):
    """Only the primary diagnosis of an admission is used: another cannot keep all of MIMIC-III from being read."""
    others = [(2, 7, 70, 2, "A41.9"), (3, 7, 70, 3, "sepsis"), (4, 7, 70, "", "38"), (5, 7, 70, 4, "")]
    tables = ONE_PATIENT | {"CHARTEVENTS": CHART}
    alone = read(write(tmp_path, tables))
    r = read(write(tmp_path, tables | {"DIAGNOSES_ICD": tables["DIAGNOSES_ICD"] + others}))
    assert r.label.tolist() == alone.label.tolist() and r.ledger.rows == alone.ledger.rows


@pytest.mark.parametrize("value", ["700.0", "700.", " 700", "0700"])
def test_numbers_that_a_program_has_saved_again(tmp_path, value):
    assert (hours(changed(tmp_path, "CHARTEVENTS", "ICUSTAY_ID", value))[0, 1:, HR] == 80).all()


def test_two_subjects_without_a_number_are_not_one(tmp_path):
    stays = [("", 70, 700), ("", 80, 800)]
    rows = {"ICUSTAYS": [(i, *ids, "carevue", "2130-05-01 00:00:00") for i, ids in enumerate(stays)]}
    assert "row 2: SUBJECT_ID is empty" in refusal(write(tmp_path, ONE_PATIENT | rows | {"CHARTEVENTS": CHART}))


@pytest.mark.parametrize(("stay", "column"), [((8, 80, 700), "ICUSTAY_ID"), ((8, 70, 800), "HADM_ID")])
def test_a_number_that_two_subjects_share(tmp_path, stay, column):
    rows = {
        "PATIENTS": [(1, 7, "F"), (2, 8, "M")],
        "ICUSTAYS": [*ONE_PATIENT["ICUSTAYS"], (2, *stay, "carevue", "2130-06-01 00:00:00")],
    }
    assert f"ICUSTAYS.csv, row 2: {column} " in refusal(write(tmp_path, ONE_PATIENT | rows | {"CHARTEVENTS": CHART}))


@pytest.mark.parametrize("value", ["1", "1.0", "true", "True", " 1"])
def test_every_way_to_mark_an_error(tmp_path, value):
    events = chart((HEART_RATE, "2130-05-01 07:00:00", 80, ""), (HEART_RATE, "2130-05-01 07:05:00", 40, value))
    r = read(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))
    assert r.series[0, HR] == 80
    assert {row["step"]: row.get("values") for row in r.ledger.rows}["marked as an error removed"] == -1


def steps(folder):
    return {row["step"]: row for row in read(folder).ledger.rows}


def test_several_primary_diagnoses_leave_a_subject_out(tmp_path):
    tables = {
        "PATIENTS": [(i, i, "F") for i in (7, 8, 9)],
        "ICUSTAYS": [(i, i, 10 * i, 100 * i, "carevue", "2130-05-01 00:00:00") for i in (7, 8, 9)],
        "DIAGNOSES_ICD": [
            *((1, 7, 70, 1, code) for code in ("41071", "0389")),  # which one?
            *((1, 8, 80, 1, code) for code in ("41071", "41041")),  # of one class
            *((1, 9, 90, 1, code) for code in ("431", "431")),
        ],
        "CHARTEVENTS": [row for s in (7, 8, 9) for row in chart((211, "2130-05-01 01:00:00", 60), stay=100 * s)],
    }
    assert read(write(tmp_path, tables)).subject.tolist() == [8, 9]
    ledger = steps(tmp_path)
    assert ledger["several different primary diagnoses removed"]["subjects"] == -1
    assert ledger["other primary diagnoses removed"]["subjects"] == 0


def test_what_is_left_out_is_counted(tmp_path):
    tables = ONE_PATIENT | {
        "ICUSTAYS": [*ONE_PATIENT["ICUSTAYS"], (2, 7, 71, 701, "carevue", "")],
        "CHARTEVENTS": [
            *chart((HEART_RATE, "2130-05-01 07:00:00", 80)) * 3,  # one row three times
            *chart(("", "2130-05-01 07:00:00", 1), (HEART_RATE, "", 2), (198, "2130-05-01 07:00:00", 3)),
            *chart((HEART_RATE, "2130-05-01 07:01:00", 4), stay=701),
            *chart((HEART_RATE, "2130-05-01 07:01:00", 5), stay=""),
            *chart((HEART_RATE, "2130-05-01 06:00:00", 6), (HEART_RATE, "2131-05-01 06:00:00", 7)),
            *chart((HEART_RATE, "2130-05-01 07:30:00", 100, 1)),
        ],
    }
    assert hours(write(tmp_path, tables))[0, 0, HR] == 80
    ledger = steps(tmp_path)
    assert ledger["ICU stays"]["records"] == 2 and ledger["ICU stays without a time of entry removed"]["records"] == -1
    assert ledger["rows of CHARTEVENTS"]["rows"] == 11
    assert ledger["rows without an item removed"]["rows"] == -1
    assert ledger["other items removed"]["rows"] == -1
    assert ledger["other stays, or none, removed"]["rows"] == -2
    assert ledger["rows without a time removed"]["rows"] == -1
    assert ledger["other hours removed"]["rows"] == -2
    assert ledger["vital signs charted in the first 48 h"]["values"] == 4
    assert ledger["the same once more (stay, item, time, value) removed"]["values"] == -2
    assert ledger["marked as an error removed"]["values"] == -1


def test_a_subject_that_is_left_without_a_value_is_counted(tmp_path):
    tables = ONE_PATIENT | {
        "PATIENTS": [*ONE_PATIENT["PATIENTS"], (2, 8, "M")],
        "ICUSTAYS": [*ONE_PATIENT["ICUSTAYS"], (2, 8, 80, 800, "carevue", "1930-05-01 00:00:00")],  # another century
        "DIAGNOSES_ICD": [*ONE_PATIENT["DIAGNOSES_ICD"], (2, 8, 80, 1, "431")],
        "CHARTEVENTS": CHART + chart((211, "2130-05-01 01:00:00", 80), stay=800),
    }
    ledger = steps(write(tmp_path, tables))
    assert ledger["subjects without a charted value removed"]["subjects"] == -1
    assert ledger["other hours removed"]["rows"] == -1


def test_codes_that_lost_their_zeros(tmp_path):
    """A program that takes '0389' for a number saves 389, which is an ear disease."""
    many = [(i, 7, 70, i, "4019") for i in range(2, 1002)]
    tables = ONE_PATIENT | {"CHARTEVENTS": CHART}
    assert read(write(tmp_path, tables | {"DIAGNOSES_ICD": [(1, 7, 70, 1, "0389"), *many]})).subject.tolist() == [7]
    said = refusal(write(tmp_path, tables | {"DIAGNOSES_ICD": [(1, 7, 70, 1, "41071"), *many]}))
    assert "DIAGNOSES_ICD.csv: none of 1,001 ICD-9 codes begins with 0" in said


@pytest.mark.parametrize("table", mimic3.TABLES)
def test_a_last_line_that_was_cut(tables, table):
    """Behind the last comma every row has the right number of columns."""
    path = tables / f"{table}.csv"
    path.write_text(path.read_text()[:-2])
    assert refusal(tables) == f"{path}: its last line has no end, so it was cut; download it again."


def test_a_column_that_is_there_twice(tables):
    path = tables / "CHARTEVENTS.csv"
    path.write_text(path.read_text().replace("STORETIME", "itemid", 1))
    assert "column ITEMID is there twice" in refusal(tables)


# ---------------------------------------------------------------------------------------------------- block by block


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(csv_stream, "BLOCK", 4096)
    monkeypatch.setattr(mimic3, "ROWS_AT_ONCE", 500)
    monkeypatch.setattr(mimic3, "STAYS_AT_ONCE", 7)


def test_blocks_change_nothing(simulated, small_blocks):
    assert_equal_in_pandas(simulated["mimic3"])


@pytest.mark.parametrize("place", [1, 6000])
@pytest.mark.parametrize(
    ("column", "value"), [("ITEMID", "x"), ("ITEMID", "1.5"), ("CHARTTIME", "noon"), ("ERROR", "oops"), ("CGID", "1,2")]
)
def test_the_row_is_right_in_any_block(tmp_path, simulated, small_blocks, place, column, value):
    tables = shutil.copytree(simulated["mimic3"], tmp_path / "mimic3")
    path = tables / "CHARTEVENTS.csv"
    lines = path.read_text().split("\n")
    names = lines[0].replace('"', "").split(",")
    first = hours_charted(tables)
    place = next(i for i in range(place, len(lines)) if first[i - 1])  # of a stay and time that are read
    cells = lines[place].split(",")
    cells[names.index(column)] = value
    lines[place] = ",".join(cells)
    path.write_text("\n".join(lines))
    assert f"CHARTEVENTS.csv, row {place + 1}: " in refusal(tables)


def hours_charted(folder):
    """Which rows of CHARTEVENTS are vital signs of stays that are read."""
    events = pd.read_csv(folder / "CHARTEVENTS.csv", usecols=["ICUSTAY_ID", "ITEMID"])
    diagnoses = pd.read_csv(folder / "DIAGNOSES_ICD.csv", dtype=str).query("SEQ_NUM == '1'")
    chosen = diagnoses[diagnoses.ICD9_CODE.str[:3].isin(mimic3.DIAGNOSES)].HADM_ID.astype(int)
    stays = pd.read_csv(folder / "ICUSTAYS.csv").sort_values("INTIME").drop_duplicates("SUBJECT_ID")
    stays = stays[stays.HADM_ID.isin(chosen)].ICUSTAY_ID
    known = [int(item["itemid"]) for item in items()]
    return (events.ITEMID.isin(known) & events.ICUSTAY_ID.isin(stays)).to_numpy()


def test_a_quote_that_nothing_closes(tables, small_blocks):
    path = tables / "CHARTEVENTS.csv"
    lines = path.read_text().split("\n")
    lines[40] = lines[40].replace(",", ',"', 1)
    path.write_text("\n".join(lines))
    assert "a quotation mark that nothing closes" in refusal(tables)


def test_progress_with_the_time_left(simulated, small_blocks, monkeypatch):
    monkeypatch.setattr(csv_stream, "SAY_EVERY", 0.0)
    lines = []
    mimic3.read(simulated["mimic3"], lines.append)
    shares = [int(re.fullmatch(r"  CHARTEVENTS\.csv: (\d+) % read, about \d+ s left", line)[1]) for line in lines[1:]]
    assert len(shares) > 10 and shares == sorted(shares) and 0 < shares[0] < 20 and 90 < shares[-1] <= 100


# ---------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("limit", ["x", "2", "GB", "2 TB", "-1GB", "1e3MB", "2GB; DROP TABLE stays"])
def test_a_memory_that_is_none(simulated, monkeypatch, limit):
    monkeypatch.setenv("RDPD_MEMORY", limit)
    with pytest.raises(UserError, match="RDPD_MEMORY is '.*'; write a number and MB or GB, as in RDPD_MEMORY=4GB"):
        read(simulated["mimic3"])


def test_too_little_memory(simulated, monkeypatch, data_home):
    monkeypatch.setenv("RDPD_MEMORY", "1MB")
    with pytest.raises(UserError, match="RDPD_MEMORY=1MB is too little"):
        read(simulated["mimic3"])
    assert not list(data_home.glob(".rdpd-*"))


def test_the_limit_is_duckdbs_and_the_spill_folder_is_removed(simulated, monkeypatch, data_home):
    settings, hourly_means = {}, mimic3._hourly_means

    def looked_at(db, *rest):
        for name in ("memory_limit", "temp_directory"):
            settings[name] = db.execute(f"SELECT current_setting('{name}')").fetchone()[0]
        settings["there"] = os.path.isdir(settings["temp_directory"])
        return hourly_means(db, *rest)

    monkeypatch.setattr(mimic3, "_hourly_means", looked_at)
    for wanted, said in (("", "1.8 GiB"), ("300 MiB", "300.0 MiB")):
        monkeypatch.setenv("RDPD_MEMORY", wanted)
        read(simulated["mimic3"])
        assert settings["memory_limit"] == said and settings["there"]
        assert settings["temp_directory"].startswith(str(data_home)) and not list(data_home.glob(".rdpd-*"))


def test_the_spill_folder_is_removed_after_a_fault(tables, data_home):
    (tables / "CHARTEVENTS.csv").write_text("ICUSTAY_ID,ITEMID,CHARTTIME,VALUENUM,ERROR\nx,1,2,3,4\n")
    refusal(tables)
    assert not list(data_home.glob(".rdpd-*"))


def test_what_a_killed_reading_has_spilled_is_removed_by_the_next(simulated, tmp_path, monkeypatch):
    monkeypatch.setenv("RDPD_DATA", str(tmp_path))
    with subprocess.Popen(["true"]) as ended:
        pass
    left = tmp_path / f".rdpd-{files.MACHINE}-{ended.pid}-x.spill"
    left.mkdir()
    (left / "duckdb_temp_storage").write_text("heart rates")
    read(simulated["mimic3"])
    assert not list(tmp_path.iterdir())


def test_a_data_folder_that_cannot_be_made(simulated, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "file"))
    with pytest.raises(UserError, match="could not be written"):
        read(simulated["mimic3"])
