"""Simulated raw files: the same bytes again, the formats of the real ones, every class, no label among the inputs."""

import csv
import gzip
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import wfdb

from rdpd_nb import data, simulate
from rdpd_nb.data import DATASETS, SPECS, ptbdb
from rdpd_nb.data.ptbdb import LEADS
from rdpd_nb.simulate import ecg


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def recordings(simulated):
    return {name: DATASETS[name].read(folder, lambda line: None) for name, folder in simulated.items()}


@pytest.mark.parametrize("dataset", simulate.WRITERS)
def test_same_scale_and_seed_give_the_same_bytes(simulated, tmp_path, dataset):
    simulate.write(dataset, tmp_path, 0.0)
    first, again = contents(simulated[dataset]), contents(tmp_path)
    assert first.keys() == again.keys()
    assert [name for name in first if first[name] != again[name]] == []


@pytest.mark.parametrize("dataset", simulate.WRITERS)
def test_another_seed_gives_other_signals(simulated, tmp_path, dataset):
    simulate.write(dataset, tmp_path, 0.0, seed=2020)
    first = DATASETS[dataset].read(simulated[dataset], lambda line: None).series
    other = DATASETS[dataset].read(tmp_path, lambda line: None).series
    rows = min(len(first), len(other))
    same = (first[:rows] == other[:rows]).mean()
    assert same < 0.1  # whole numbers of heart rate and the like fall together now and then


@pytest.mark.parametrize("dataset", simulate.WRITERS)
def test_every_reader_reads_all_channels_and_all_classes(recordings, dataset):
    spec, r = SPECS[dataset], recordings[dataset]
    assert r.series.dtype == np.float32 and r.series.shape[1] == len(spec.channels)
    assert sorted(set(r.label.tolist())) == list(range(len(spec.classes)))
    assert np.isfinite(r.series).any(axis=0).all()
    assert not np.isinf(r.series).any()
    assert (r.stop[:-1] == r.start[1:]).all() and r.start[0] == 0 and r.stop[-1] == len(r.series)
    assert (r.stop - r.start >= spec.length).all()


@pytest.mark.parametrize("dataset", simulate.WRITERS)
def test_every_part_of_the_split_has_every_class(simulated, dataset):
    windows = data.load(dataset, scale=0.0, progress=lambda line: None)
    split = data.split(windows, 0)
    every = set(range(len(windows.spec.classes)))
    for part in (split.train, split.validation, split.test):
        assert set(windows.label[part].tolist()) == every


@pytest.mark.parametrize("dataset", simulate.WRITERS)
def test_the_label_is_not_among_the_inputs(recordings, dataset):
    """No channel is a constant of the class: each varies inside the recordings of every class."""
    r = recordings[dataset]
    for d, channel in enumerate(r.series.T):
        for label in set(r.label.tolist()):
            pieces = [channel[r.start[i] : r.stop[i]] for i in np.flatnonzero(r.label == label)]
            values = np.unique(np.concatenate(pieces))
            assert np.isfinite(values).sum() > 1, f"{SPECS[dataset].channels[d]} of class {label}"


# ---------------------------------------------------------------------------------------------------- PAMAP2


@pytest.fixture(scope="module")
def pamap2_lines(simulated):
    """The lines of subject 101's file, split into their 54 texts."""
    text = (simulated["pamap2"] / "Protocol" / "subject101.dat").read_text()
    return [line.split(" ") for line in text.splitlines()]


def test_pamap2_has_the_nine_files(simulated):
    names = sorted(contents(simulated["pamap2"]))
    assert names == [f"Protocol/subject{number}.dat" for number in range(101, 110)]


@pytest.mark.parametrize("subject", [101, 105])
def test_pamap2_subjects_of_validation_and_test_hold_all_twelve_activities(recordings, subject):
    r = recordings["pamap2"]
    assert sorted(set(r.label[r.subject == subject].tolist())) == list(range(12))


def test_pamap2_subject_109_did_rope_jumping_only(recordings):
    r = recordings["pamap2"]
    assert r.label[r.subject == 109].tolist() == [SPECS["pamap2"].classes.index("rope jumping")]


def test_pamap2_lines_are_54_texts_with_missing_values_spelled_as_published(pamap2_lines):
    assert {len(line) for line in pamap2_lines} == {54}
    words = {text for line in pamap2_lines for text in line if not text[-1].isdigit()}
    assert words == {"NaN"}
    assert {line[1] for line in pamap2_lines} == {str(i) for i in (0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 24)}


def test_pamap2_time_is_100_hz_and_heart_rate_about_9_hz(pamap2_lines):
    time = np.array([float(line[0]) for line in pamap2_lines])
    np.testing.assert_allclose(np.diff(time), 0.01, atol=1e-6)
    beats = np.array([i for i, line in enumerate(pamap2_lines) if line[2] != "NaN"])
    assert len(pamap2_lines) / 12 < len(beats) < len(pamap2_lines) / 10
    assert np.median(np.diff(beats)) == 11
    rates = np.array([float(pamap2_lines[i][2]) for i in beats])
    assert rates.min() > 40 and rates.max() < 220


def test_pamap2_sensors_lose_packets_and_measure_gravity(recordings):
    accelerations = recordings["pamap2"].series[:, 2:5]
    assert np.isfinite(accelerations).mean() > 0.99  # lost packets are filled by the reader
    strength = np.sqrt((accelerations**2).sum(1))
    assert 9 < np.nanmedian(strength) < 11  # m/s^2


# ---------------------------------------------------------------------------------------------------- PTBDB


def test_ptbdb_records_are_what_wfdb_reads(simulated):
    folder = simulated["ptbdb"]
    names = (folder / "RECORDS").read_text().split()
    assert len(names) == len(list(folder.glob("patient*/s*.hea"))) == 20
    for name in names:
        record = wfdb.rdrecord(str(folder / name), physical=False)
        assert tuple(record.sig_name) == LEADS and record.fs == 1000 and record.sig_len == 25_000
        assert set(record.fmt) == {"16"} and set(record.units) == {"mV"} and set(record.adc_gain) == {2000}
        assert [total % 65536 for total in record.checksum] == record.calc_checksum()
        assert record.init_value == record.d_signal[0].tolist()
        assert any(comment.startswith("Reason for admission: ") for comment in record.comments)
        assert np.abs(record.d_signal.astype(int)).max() < 32_767


@pytest.mark.parametrize("scale", [0.02, 0.1, 0.3, 0.6, 1.0])
def test_ptbdb_has_its_groups_in_the_published_order_of_size_at_every_scale(scale):
    """Infarction, healthy, failure, bundle branch block, dysrhythmia, hypertrophy: 148, 52, 18, 15, 14, 7 people."""
    people = ecg._subjects_per_group(scale)
    named = [people[group] for group in ("mi", "healthy", "failure", "bbb", "dysrhythmia", "hypertrophy")]
    assert named == sorted(named, reverse=True)
    assert named[0] > 1.8 * named[1] > 2 * named[2] and named[-1] >= 7
    assert scale < 1 or named == [148, 52, 18, 15, 14, 7]
    records = Counter()
    for group, count in ecg._plan(scale, np.random.default_rng(0)):
        records[group] += count
    assert max(records, key=records.get) == "mi"
    assert min((group for group in records if group != "other"), key=records.get) == "hypertrophy"


def test_ptbdb_holds_diagnoses_outside_the_six_groups(simulated):
    reasons = [ptbdb.diagnosis(path) for path in simulated["ptbdb"].glob("patient*/s*.hea")]
    assert [ptbdb.group(reason) for reason in reasons].count(None) == 2


# ---------------------------------------------------------------------------------------------------- MIMIC-III


def rows_of(folder, table):
    with (folder / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_mimic3_has_the_published_tables_and_columns(simulated):
    tables = ["ADMISSIONS", "CHARTEVENTS", "DIAGNOSES_ICD", "D_ICD_DIAGNOSES", "D_ITEMS", "ICUSTAYS", "PATIENTS"]
    assert sorted(contents(simulated["mimic3"])) == [f"{table}.csv" for table in tables]


@pytest.mark.real("mimic3")
def test_mimic3_columns_are_those_of_the_real_demo(simulated, real_root):
    for path in sorted(simulated["mimic3"].glob("*.csv")):
        with gzip.open(real_root / "mimic3" / f"{path.name}.gz", "rt") as file:
            real = next(csv.reader(file))
        with path.open(newline="") as file:
            assert [name.lower() for name in next(csv.reader(file))] == real, path.name


def test_mimic3_has_the_oddities_a_reader_must_handle(simulated):
    stays, events = (rows_of(simulated["mimic3"], table) for table in ("ICUSTAYS", "CHARTEVENTS"))
    subjects = [row["SUBJECT_ID"] for row in stays]
    assert len(subjects) > len(set(subjects)), "subjects with several stays"
    order = {subject: [row["INTIME"] for row in stays if row["SUBJECT_ID"] == subject] for subject in subjects}
    assert any(times != sorted(times) for times in order.values()), "a first stay that does not stand first"
    assert {row["DBSOURCE"] for row in stays} == {"carevue", "metavision"}
    assert any(row["ERROR"] == "1" for row in events) and any(row["ERROR"] == "" for row in events)
    values = [float(row["VALUENUM"]) for row in events if row["VALUENUM"]]
    assert len(values) < len(events) and max(values) > 900 and min(values) <= 0


# ---------------------------------------------------------------------------------------------------- UCI HAR


def test_uci_har_has_the_published_files(simulated):
    base = Path("UCI HAR Dataset")
    expected = {(base / "activity_labels.txt").as_posix()}
    for part in ("train", "test"):
        expected |= {(base / part / f"{kind}_{part}.txt").as_posix() for kind in ("y", "subject")}
        signals = base / part / "Inertial Signals"
        expected |= {(signals / f"{channel}_{part}.txt").as_posix() for channel in SPECS["uci_har"].channels}
    assert set(contents(simulated["uci_har"])) == expected


def test_uci_har_numbers_are_written_as_published(simulated):
    """Sixteen characters, three digits in the exponent: `  1.8085150e-004`."""
    path = simulated["uci_har"] / "UCI HAR Dataset" / "train" / "Inertial Signals" / "body_acc_x_train.txt"
    for line in path.read_text().splitlines()[:50]:
        assert len(line) == 128 * 16
        assert all(line[i : i + 16].strip()[-5] == "e" for i in range(0, len(line), 16))


def test_uci_har_subjects_are_in_one_part_each(recordings):
    r = recordings["uci_har"]
    train, test = (set(r.subject[r.part == part].tolist()) for part in ("train", "test"))
    assert not train & test and len(train | test) == 30
    assert test == {2, 4, 9, 10, 12, 13, 18, 20, 24}
