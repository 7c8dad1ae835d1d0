"""PTBDB: records against wfdb's own reading, resampling, diagnoses, and one sentence about each broken record."""

import csv
import hashlib
import re
import shutil
import tracemalloc
from collections import Counter

import numpy as np
import pytest
import wfdb
from scipy.signal import resample_poly

from rdpd_nb import data
from rdpd_nb.data import ptbdb
from rdpd_nb.data.ptbdb import LEADS
from rdpd_nb.errors import UserError

UNITS_PER_MV = 2000
QUANTISATION = 4 / UNITS_PER_MV  # mV; the real files break II = I + III by up to four units


def write_record(folder, units, reason="Healthy control", names=LEADS, xyz=True, stem="patient001/s0001lre"):
    """Write a record of (samples, 15) whole units at 1000 Hz; return its header's path."""
    path = folder / f"{stem}.hea"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{path.stem} {len(names)} 1000 {len(units)}"]
    for d, name in enumerate(names):
        ending = "xyz" if name.startswith(("vx", "vy", "vz")) else "dat"
        checksum = np.int64(units[:, d].sum()).astype(np.int16)
        lines.append(f"{path.stem}.{ending} 16 {UNITS_PER_MV} 16 0 {units[0, d]} {checksum} 0 {name}")
    path.write_text("\n".join([*lines, "# age: 60", f"# Reason for admission: {reason}"]) + "\n")
    frank = np.array([name.startswith("v") and name[1] in "xyz" for name in names])
    path.with_suffix(".dat").write_bytes(units[:, ~frank].astype("<i2").tobytes())
    if xyz:
        path.with_suffix(".xyz").write_bytes(units[:, frank].astype("<i2").tobytes())
    return path


def random_units(samples=3000, seed=0):
    return np.random.default_rng(seed).integers(-2000, 2000, (samples, 15))


def read(folder):
    return ptbdb.read(folder, lambda line: None)


def refusal(folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------- one record


def test_values_are_mv_at_200_hz_in_the_order_of_the_leads(tmp_path):
    """A record whose header lists the leads in another order; lead d is constant at d / 10 mV."""
    order = [3, 0, 7, 1, 11, 2, 4, 5, 6, 8, 9, 10, 14, 12, 13]  # signals of one file stand together
    units = np.tile(np.array(order) * UNITS_PER_MV // 10, (3000, 1))
    path = write_record(tmp_path, units, names=[LEADS[d] for d in order])
    signal = ptbdb.read_record(path).signal
    assert signal.dtype == np.float32 and signal.shape == (600, 15)
    np.testing.assert_allclose(signal, np.tile(np.arange(15) / 10, (600, 1)), atol=1e-3)


def tone(frequency, samples=20_000):
    """A record of 1 mV at `frequency` Hz in every lead."""
    wave = np.sin(2 * np.pi * frequency * np.arange(samples) / 1000 + 0.3)
    return np.rint(np.tile(wave[:, None], (1, 15)) * UNITS_PER_MV).astype(int)


@pytest.mark.parametrize("frequency", [1, 10, 40, 75])
def test_tones_of_a_heart_pass_in_place(tmp_path, frequency):
    signal = ptbdb.read_record(write_record(tmp_path, tone(frequency))).signal
    expected = np.sin(2 * np.pi * frequency * np.arange(len(signal)) / 200 + 0.3)
    inside = slice(50, -50)
    np.testing.assert_allclose(signal[inside], np.tile(expected[inside, None], (1, 15)), atol=0.01)


@pytest.mark.parametrize("frequency", [125, 150, 190, 210, 250, 390, 410])
def test_tones_above_the_new_nyquist_frequency_are_suppressed(tmp_path, frequency):
    """Without a filter a tone of 210 Hz would come out at 10 Hz in full strength."""
    signal = ptbdb.read_record(write_record(tmp_path, tone(frequency))).signal
    assert np.abs(signal[50:-50]).max() < 0.01


@pytest.mark.parametrize(("frequency", "most"), [(90, 1), (95, 0.9), (100, 0.55), (105, 0.3), (110, 0.1), (115, 0.02)])
def test_the_filter_closes_around_the_new_nyquist_frequency(tmp_path, frequency, most):
    """Nothing there is amplified, and what could fold back is weaker the farther it folds."""
    signal = ptbdb.read_record(write_record(tmp_path, tone(frequency))).signal
    assert np.abs(signal[50:-50]).max() <= most


def test_a_record_without_xyz_has_missing_frank_leads(tmp_path):
    signal = ptbdb.read_record(write_record(tmp_path, random_units(), xyz=False)).signal
    assert np.isnan(signal[:, 12:]).all() and np.isfinite(signal[:, :12]).all()
    ledger = {row["step"]: row for row in read(tmp_path).ledger.rows}
    assert ledger["of these without .xyz: the Frank leads count as missing"]["records"] == 1


def test_header_without_checksums_is_read(tmp_path):
    path = write_record(tmp_path, random_units())
    lines = path.read_text().splitlines()
    zeros = [" ".join([*w[:6], "0", *w[7:]]) if len(w := line.split()) == 9 else line for line in lines]
    path.write_text("\n".join(zeros) + "\n")
    ptbdb.read_record(path)


def test_memory_grows_by_the_result_and_not_by_what_is_read(tmp_path, monkeypatch):
    """A record at 1000 Hz takes twenty times its result in memory, as doubles: one at a time may be there."""
    monkeypatch.setattr(ptbdb, "THREADS", 1)
    peaks, results = [], []
    for count in (3, 12):
        for i in range(count):
            write_record(tmp_path / str(count), random_units(10_000, seed=i), stem=f"patient{i:03d}/s0001lre")
        tracemalloc.start()
        results.append(read(tmp_path / str(count)).series.nbytes)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / (results[1] - results[0]) < 1.2


# ---------------------------------------------------------------------------------------------------- diagnoses


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("Myocardial infarction", 0),
        ("MYOCARDIAL INFARCTION", 0),
        ("Healthy control", 1),
        ("Cardiomyopathy", 2),
        ("Heart failure (NYHA 2)", 2),
        ("Heart failure (NYHA 3)", 2),
        ("Heart failure (NYHA 4)", 2),
        ("Bundle branch block", 3),
        ("Dysrhythmia", 4),
        ("Hypertrophy", 5),
        ("n/a", None),
        ("", None),
        ("Myocarditis", None),
        ("Valvular heart disease", None),
        ("Stable angina", None),
        ("Unstable angina", None),
        ("Palpitation", None),
    ],
)
def test_group(reason, label):
    assert ptbdb.group(reason) == label


def test_groups_fit_the_classes():
    assert len(ptbdb.GROUPS) == len(ptbdb.SPEC.classes)
    for name, beginnings in zip(ptbdb.SPEC.classes, ptbdb.GROUPS, strict=True):
        assert all(beginning in name for beginning in beginnings)


@pytest.mark.real("ptbdb")
def test_group_counts_all_290_patients_as_published(real_root):
    with (real_root / "ptbdb" / "patients.csv").open(newline="") as file:
        groups = Counter(ptbdb.group(row["Reason for admission"]) for row in csv.DictReader(file))
    assert groups == {0: 148, 1: 52, 2: 18, 3: 15, 4: 14, 5: 7, None: 36}


def test_records_of_other_diagnoses_are_left_out_and_counted(tmp_path):
    for patient, reason in enumerate(["Hypertrophy", "n/a", "Myocarditis", "n/a", "Dysrhythmia"], 1):
        write_record(tmp_path, random_units(seed=patient), reason, stem=f"patient{patient:03d}/s{patient:04d}lre")
    write_record(tmp_path, random_units(2000), "Dysrhythmia", stem="patient005/s0006lre")
    r = read(tmp_path)
    assert r.subject.tolist() == [1, 5, 5] and r.label.tolist() == [5, 4, 4]
    assert (r.stop - r.start).tolist() == [600, 600, 400]
    ledger = {row["step"]: row for row in r.ledger.rows}
    assert (ledger["records read"]["records"], ledger["records read"]["subjects"]) == (6, 5)
    assert ledger["removed: 'n/a' is none of the six groups"]["records"] == -2
    assert ledger["removed: 'Myocarditis' is none of the six groups"]["records"] == -1
    kept = ledger["records of the six groups at 1000 Hz"]
    assert (kept["rows"], kept["records"], kept["subjects"]) == (8000, 3, 2)
    assert ledger["resampled to 200 Hz"]["rows"] == 1600


def test_only_other_diagnoses(tmp_path):
    write_record(tmp_path, random_units(), "n/a")
    assert "none of the 1 records belongs to one of the six groups" in refusal(tmp_path)


# ---------------------------------------------------------------------------------------------------- real records


ODD = ("s0202are", "s0202bre", "s0021bre", "s0021are", "s0020are", "s0020bre", "s0204bre", "s0204are", "s0024bre")
ODD = (*ODD, "s0024are", "s0018cre", "s0010_re", "s0014lre")


def test_every_name_of_the_release_is_one(tmp_path):
    """Beside s0010_re and s0014lre it has eleven of other letters: several recordings of one visit."""
    for stem in ODD:
        write_record(tmp_path, random_units(2000), stem=f"patient001/{stem}")
    assert len(ptbdb.files(tmp_path)) == 3 * len(ODD)


@pytest.mark.real("ptbdb")
def test_all_549_names_are_ones_of_the_release(real_root):
    listed = (real_root / "ptbdb" / "records_by_patient.json").read_text()
    names = re.findall(r"s\d{4}\w+(?=\.hea)", listed)
    assert len(names) == 549
    assert all(ptbdb.IS_RECORD(f"patient001/{name}.hea") for name in names)


@pytest.mark.real("ptbdb")
def test_s0010_re_agrees_with_wfdb(real_root):
    path = real_root / "ptbdb" / "patient001" / "s0010_re.hea"
    reference = wfdb.rdrecord(str(path.with_suffix("")), physical=True)
    assert tuple(reference.sig_name) == LEADS and set(reference.units) == {"mV"}
    signal = ptbdb.read_record(path).signal
    assert len(reference.p_signal) == 38_400
    expected = resample_poly(reference.p_signal, 1, 5, axis=0, padtype="line")
    np.testing.assert_allclose(signal, expected, atol=1e-5)


@pytest.mark.real("ptbdb")
def test_the_six_real_records_read_and_resample(real_root):
    folder = real_root / "ptbdb"
    headers = sorted(folder.glob("patient*/s*.hea"))
    assert len(headers) == 6
    for path in headers:
        signal = ptbdb.read_record(path).signal
        assert len(signal) == wfdb.rdheader(str(path.with_suffix(""))).sig_len // 5
        assert np.isfinite(signal[:, :12]).all()
        assert (np.isfinite(signal[:, 12:]) == path.with_suffix(".xyz").exists()).all()
        assert ptbdb.diagnosis(path) == "Myocardial infarction"
        assert 0.01 < signal[:, :12].std() < 2  # mV


@pytest.mark.real("ptbdb")
def test_the_six_real_records_become_windows(real_root):
    windows = data.load("ptbdb", "all", "real", str(real_root), progress=lambda line: None)
    assert len(windows) == 6 + 5 * 22  # 38.4 s and five of 115.2 s, 10 s every 5 s
    assert sorted(set(windows.subject.tolist())) == [1, 2, 3, 12]
    x = windows[np.arange(len(windows))]
    assert x.shape == (116, 2000, 15) and np.isfinite(x[..., :12]).all()
    np.testing.assert_array_equal(windows[1][:1000], windows[0][1000:])  # half of a window is the next one's


def einthoven(signal):
    """By how much (mV, at the most) a record breaks II = I + III and aVR = -(I + II) / 2."""
    i, ii, iii, avr = signal[:, :4].T
    return np.abs(ii - i - iii).max(), np.abs(avr + (i + ii) / 2).max()


@pytest.mark.real("ptbdb")
def test_leads_of_the_real_records_fulfil_einthovens_law(real_root):
    for path in sorted((real_root / "ptbdb").glob("patient*/s*.hea")):
        first, second = einthoven(wfdb.rdrecord(str(path.with_suffix("")), channels=list(range(12))).p_signal)
        assert first < QUANTISATION * 1.001 and second < QUANTISATION * 1.001
        first, second = einthoven(ptbdb.read_record(path).signal)
        assert first < QUANTISATION and second < QUANTISATION  # the filter smooths rounding away


def test_leads_of_simulated_records_fulfil_einthovens_law(simulated):
    for path in sorted(simulated["ptbdb"].glob("patient*/s*.hea")):
        first, second = einthoven(ptbdb.read_record(path).signal)
        assert first < 1e-5 and second < 1 / UNITS_PER_MV


# ---------------------------------------------------------------------------------------------------- broken records


def test_missing_signal_file(tmp_path):
    path = write_record(tmp_path, random_units())
    path.with_suffix(".dat").unlink()
    message = refusal(tmp_path)
    assert str(path) in message and "s0001lre.dat is not beside it" in message


@pytest.mark.parametrize("ending", [".dat", ".xyz"])
def test_truncated_signal_file(tmp_path, ending):
    path = write_record(tmp_path, random_units()).with_suffix(ending)
    path.write_bytes(path.read_bytes()[:-2])
    message = refusal(tmp_path)
    assert str(path) in message and "truncated" in message and f"{path.stat().st_size:,} bytes" in message


@pytest.mark.parametrize(
    ("ending", "place", "lead"), [(".dat", 24 * 1000, "i"), (".dat", 24 * 1000 + 22, "v6"), (".xyz", 2, "vy")]
)
def test_flipped_byte_breaks_the_checksum(tmp_path, ending, place, lead):
    path = write_record(tmp_path, random_units())
    content = bytearray(path.with_suffix(ending).read_bytes())
    content[place] ^= 0x10
    path.with_suffix(ending).write_bytes(content)
    message = refusal(tmp_path)
    assert str(path.with_suffix(ending)) in message and f"lead {lead} does not match its checksum" in message


@pytest.mark.real("ptbdb")
def test_flipped_byte_in_a_real_record(real_root, tmp_path):
    for file in (real_root / "ptbdb" / "patient001").glob("s0010_re.*"):
        shutil.copyfile(file, tmp_path / file.name)
    content = bytearray((tmp_path / "s0010_re.dat").read_bytes())
    content[500_000] ^= 1
    (tmp_path / "s0010_re.dat").write_bytes(content)
    with pytest.raises(UserError, match="does not match its checksum"):
        ptbdb.read_record(tmp_path / "s0010_re.hea")


def test_header_without_diagnosis(tmp_path):
    path = write_record(tmp_path, random_units())
    path.write_text(path.read_text().replace("Reason for admission", "Reason"))
    message = refusal(tmp_path)
    assert str(path) in message and "no 'Reason for admission'" in message


def test_header_without_a_lead(tmp_path):
    path = write_record(tmp_path, random_units(), names=[*LEADS[:5], "pulse", *LEADS[6:]])
    message = refusal(tmp_path)
    assert str(path) in message and "its leads are i, ii, iii, avr, avl, pulse, v1" in message


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"garbage\n",
        b"<html><body>404 Not Found</body></html>\n",
        bytes(range(256)),
        b"s0001lre 15 1000 3000\nno signal line\n# Reason for admission: Hypertrophy\n",
        b"s0001lre 15 1000 3000\n# Reason for admission: Hypertrophy\n",
        b"s0001lre 0 1000 3000\n# Reason for admission: Hypertrophy\n",
    ],
)
def test_garbage_header(tmp_path, header):
    path = write_record(tmp_path, random_units())
    path.write_bytes(header)
    assert str(path) in refusal(tmp_path)


# What may stand in the header of patient001/s0001lre in place of its first line and of the line of lead i, here with
# checksums and 3,000 samples.
FIRST, LEAD = "s0001lre 15 1000 3000", "s0001lre.dat 16 2000 16 0 {first} {checksum} 0 i"
RATES = "0", "500", "997", "-1000", "1e9", "1000000000", "", "nan"
LENGTHS = "0", "-3000", "2999", "3001", "1e3", "9" * 11, "9" * 30, ""
COUNTS = "0", "-1", "14", "16", "99999999999", "x"
FORMATS = "8", "24", "32", "61", "80", "160", "212", "310", "16x2", "16:9", "16+2", "0", "-16", ""
GAINS = "0", "NaN", "-2000", "200", "2000.5", "1e9", "inf", "2000(1000)", "2000(0)/uV", "2000/V", "2000/", "x"
LIES = {
    **{f"fs {rate}": (FIRST, f"s0001lre 15 {rate} 3000") for rate in RATES},
    **{f"length {length}": (FIRST, f"s0001lre 15 1000 {length}") for length in LENGTHS},
    **{f"{count} signals": (FIRST, f"s0001lre {count} 1000 3000") for count in COUNTS},
    **{f"record {name}": (FIRST, f"{name} 15 1000 3000") for name in ("s0002lre", "../s0001lre", "s0001lre/2")},
    **{f"format {kind}": (" 16 2000 ", f" {kind} 2000 ") for kind in FORMATS},
    **{f"gain {gain}": (" 16 2000 ", f" 16 {gain} ") for gain in GAINS},
    "resolution": (" 2000 16 ", " 2000 12 "),
    "zero of the converter": (" 2000 16 0 ", " 2000 16 512 "),
    "a lead twice": (" 0 ii\n", " 0 i\n"),
    "no name": (" 0 ii\n", " 0\n"),
    "another record's file": ("s0001lre.dat", "s0002lre.dat"),
    "a file elsewhere": ("s0001lre.dat", "/etc/passwd"),
    "all leads in one file": ("s0001lre.xyz", "s0001lre.dat"),
    "a checksum": (LEAD, LEAD.replace("{checksum}", "1")),
    "two reasons": ("# Reason for admission", "# Reason for admission: Dysrhythmia\n# Reason for admission"),
}


@pytest.mark.parametrize(("right", "wrong"), LIES.values(), ids=LIES)
def test_a_header_that_says_anything_else_than_the_release_is_refused(tmp_path, right, wrong):
    path, units = write_record(tmp_path, random_units()), random_units()
    numbers = {"first": units[0, 0], "checksum": np.int64(units[:, 0].sum()).astype(np.int16)}
    right, wrong, text = right.format(**numbers), wrong.format(**numbers), path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong))
    (tmp_path / "patient001" / "s0002lre.dat").symlink_to(path.with_suffix(".dat"))
    (tmp_path / "patient001" / "s0002lre.hea").write_text(text.replace("s0001", "s0002"))
    message = refusal(tmp_path)
    assert str(path.with_suffix("")) in message and message.endswith(".") and "\n" not in message


def test_the_same_reason_twice_is_one(tmp_path):
    path = write_record(tmp_path, random_units())
    path.write_text(path.read_text() + "# Reason for admission:  Healthy control\n")
    assert read(tmp_path).label.tolist() == [1]


def test_lines_may_end_as_on_windows_and_words_be_of_any_encoding(tmp_path):
    path = write_record(tmp_path, random_units())
    expected = ptbdb.read_record(path).signal
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + b"# Additional diagnoses: M\xfcller\r\n")
    assert np.array_equal(ptbdb.read_record(path).signal, expected)


def test_the_code_for_no_sample_is_missing_and_counted_and_does_not_spread(tmp_path):
    """-32768 taken for a number is -16.4 mV, and the filter would smear it over its neighbours."""
    units = random_units()
    whole = ptbdb.read_record(write_record(tmp_path / "whole", units)).signal
    units[1000:1010, 3] = units[:, 5] = units[0, 14] = units[2998:, 14] = -32768
    r = read(write_record(tmp_path / "gaps", units).parents[1])
    missing = np.isnan(r.series)
    assert np.flatnonzero(missing[:, 3]).tolist() == [200, 201, 202]  # samples 1000, 1005, and 1010: 1008 is nearest it
    assert missing[:, 5].all() and np.flatnonzero(missing[:, 14]).tolist() == [0, 599]
    assert missing.sum() == 3 + 600 + 2 == r.ledger.rows[-1]["values"]
    far = np.abs(np.arange(600) - 200) > 12  # the filter reaches 10 samples to each side
    assert np.array_equal(r.series[far, :4], whole[far, :4])
    assert np.nanmax(np.abs(r.series)) < 2000 / UNITS_PER_MV * 1.5


def test_a_record_without_a_sample_is_removed_and_a_lead_that_never_changes_counted(tmp_path):
    for patient, seed in enumerate([1, 2, 3], 1):
        units = random_units(seed=seed)
        if patient == 2:
            units[:] = -32768
        if patient == 3:
            units[:, 7] = 4
        write_record(tmp_path, units, "Hypertrophy", stem=f"patient{patient:03d}/s{patient:04d}lre")
    r = read(tmp_path)
    assert r.subject.tolist() == [1, 3] and r.series.shape == (1200, 15) and r.start.tolist() == [0, 600]
    ledger = {row["step"]: row for row in r.ledger.rows}
    assert ledger["removed: no sample in any lead"]["records"] == -1
    assert ledger["leads of a record that never change, kept"]["leads"] == 1
    for path in tmp_path.glob("patient00[13]/*"):
        path.unlink()
    assert "its records hold no sample" in refusal(tmp_path)


# ---------------------------------------------------------------------------------------------- copies, names, sums


def test_a_copied_record_counts_once(tmp_path):
    """Under another person's name it could train while the first one tests."""
    for patient, seed in enumerate([1, 2, 1], 1):
        write_record(tmp_path, random_units(seed=seed), "Hypertrophy", stem=f"patient{patient:03d}/s{patient:04d}lre")
    r = read(tmp_path)
    assert r.subject.tolist() == [1, 2] and np.array_equal(r.series[:600], read(tmp_path).series[:600])
    assert r.series.shape == (1200, 15) and r.stop.tolist() == [600, 1200]
    ledger = {row["step"]: row for row in r.ledger.rows}
    assert ledger["removed: the same signals as another record's"]["records"] == -1


def test_a_copied_record_with_another_diagnosis(tmp_path):
    write_record(tmp_path, random_units(), "Hypertrophy")
    write_record(tmp_path, random_units(), "Dysrhythmia", stem="patient002/s0002lre")
    assert "patient001/s0001lre and patient002/s0002lre hold the same signals and different" in refusal(tmp_path)


ODD_FOLDERS = "patient001 (copy)", "patient1", "patient0001", "patient-01", "patientx", "patient\u066101"
ODD_NAMES = "s0001lre (1)", "s1", "s0001lre.bak", "s0001LRE"


@pytest.mark.parametrize(
    "stem", [*(f"{folder}/s0001lre" for folder in ODD_FOLDERS), *(f"patient001/{name}" for name in ODD_NAMES)]
)
def test_other_names_than_those_of_the_release(tmp_path, stem):
    """They were a ValueError of int(), or one more person."""
    write_record(tmp_path, random_units())
    folder, name = stem.split("/")
    (tmp_path / folder).mkdir(exist_ok=True)
    for ending in (".hea", ".dat", ".xyz"):
        shutil.copyfile(tmp_path / f"patient001/s0001lre{ending}", tmp_path / folder / f"{name}{ending}")
    assert f"{tmp_path / folder / name}" in (message := refusal(tmp_path)) and "is no file of PTBDB" in message


@pytest.mark.parametrize("ending", [".hea", ".dat", ".xyz"])
def test_a_folder_a_dangling_link_or_a_loop_in_place_of_a_file(tmp_path, ending):
    path = write_record(tmp_path, random_units()).with_suffix(ending)
    path.unlink()
    path.mkdir()
    assert f"{path} is a folder where a file is expected" in refusal(tmp_path)
    path.rmdir()
    for target in ("nowhere", path.name):
        path.symlink_to(target)
        assert f"{path} is a link that leads nowhere" in refusal(tmp_path)
        path.unlink()
    path.touch()
    assert f"{path} is empty" in refusal(tmp_path)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # as of a file without permission, which root could read
    assert f"{path} cannot be read (" in refusal(tmp_path)


def test_a_patients_folder_that_cannot_be_read(tmp_path):
    write_record(tmp_path, random_units())
    (tmp_path / "patient002").symlink_to("patient002")
    assert f"{tmp_path / 'patient002'} cannot be read (" in refusal(tmp_path)


def test_signals_without_their_header(tmp_path):
    write_record(tmp_path, random_units())
    path = write_record(tmp_path, random_units(seed=1), stem="patient002/s0002lre")
    path.unlink()
    assert "its header s0002lre.hea is not beside it" in refusal(tmp_path)


def listing(folder, **other):
    """SHA256SUMS.txt of a folder's records, but for `other` lines of files by ending."""
    lines = {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
             for path in folder.glob("patient*/*")}  # fmt: skip
    lines = {name: other.get(name[-3:], total) for name, total in lines.items()}
    (folder / "SHA256SUMS.txt").write_text("".join(f"{total} {name}\n" for name, total in lines.items() if total))


@pytest.mark.parametrize("ending", ["hea", "dat", "xyz"])
def test_files_are_compared_with_the_sums_of_the_release(tmp_path, ending):
    """Most headers hold zeros in place of checksums."""
    path = write_record(tmp_path, random_units()).with_suffix(f".{ending}")
    listing(tmp_path)
    assert read(tmp_path).label.tolist() == [1]
    listing(tmp_path, **{ending: "0" * 64})
    assert f"{path} differs from the published file (SHA-256" in refusal(tmp_path)
    listing(tmp_path, **{ending: ""})
    assert f"{path} is not in SHA256SUMS.txt" in refusal(tmp_path)


def test_records_that_nothing_can_check_are_counted(tmp_path):
    step = "of these nothing says whether a file is damaged (no SHA256SUMS.txt, no checksums)"
    write_record(tmp_path, random_units())
    path = write_record(tmp_path, random_units(seed=1), stem="patient002/s0002lre")
    assert step not in [row["step"] for row in read(tmp_path).ledger.rows]
    path.write_text(re.sub(r"-?\d+ 0 (?=\w+$)", "0 0 ", path.read_text(), flags=re.M))
    assert {row["step"]: row for row in read(tmp_path).ledger.rows}[step]["records"] == 1
    listing(tmp_path)
    assert step not in [row["step"] for row in read(tmp_path).ledger.rows]


def test_missing_and_empty_folders(tmp_path):
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert f"{tmp_path} is empty" in refusal(tmp_path)
    (tmp_path / "RECORDS").write_text("patient001/s0010_re\n")
    assert f"{tmp_path} holds no patientNNN/s*.hea" in refusal(tmp_path)
