"""MIMIC-III: tiny hand-written tables, an independent computation in pandas, and broken tables."""

import csv
import gzip
import shutil
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from rdpd_nb.data import mimic3
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


@pytest.mark.parametrize("value", [0, -1, 300, 999, 9_999_999, "", "high", "nan", "inf", "80 bpm"])
def test_implausible_and_missing_values_are_dropped(tmp_path, value):
    events = chart((HEART_RATE, "2130-05-01 07:00:00", 80), (HEART_RATE, "2130-05-01 07:05:00", value))
    r = read(write(tmp_path, ONE_PATIENT | {"CHARTEVENTS": events}))
    assert r.series[0, HR] == 80
    ledger = {row["step"]: row.get("values") for row in r.ledger.rows}
    assert ledger["missing or implausible removed"] == -1
    assert ledger["marked as an error removed"] == 0


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
    assert ledger["missing or implausible removed"] == 0


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
        return pd.read_csv(path, low_memory=False, dtype={"ICD9_CODE": str, "icd9_code": str}).rename(columns=str.lower)

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
    assert ledger["marked as an error removed"] < 0 and ledger["missing or implausible removed"] < 0
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


@pytest.mark.parametrize(("table", "column"), [(t, c) for t, columns in mimic3.TABLES.items() for c in columns])
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


def test_no_subject_with_one_of_the_eight_diagnoses(tmp_path):
    rows = ONE_PATIENT | {"DIAGNOSES_ICD": [], "CHARTEVENTS": chart((HEART_RATE, "2130-05-01 07:00:00", 80))}
    assert "no subject has" in refusal(write(tmp_path, rows))


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
