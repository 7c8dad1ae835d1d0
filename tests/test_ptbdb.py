"""PTBDB: records against wfdb's own reading, resampling, diagnoses, and one sentence about each broken record."""

import csv
import shutil
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


def random_units(samples=3000):
    return np.random.default_rng(0).integers(-2000, 2000, (samples, 15))


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
    signal, length = ptbdb.read_record(path)
    assert signal.dtype == np.float32 and signal.shape == (600, 15) and length == 3000
    np.testing.assert_allclose(signal, np.tile(np.arange(15) / 10, (600, 1)), atol=1e-3)


def tone(frequency, samples=20_000):
    """A record of 1 mV at `frequency` Hz in every lead."""
    wave = np.sin(2 * np.pi * frequency * np.arange(samples) / 1000 + 0.3)
    return np.rint(np.tile(wave[:, None], (1, 15)) * UNITS_PER_MV).astype(int)


@pytest.mark.parametrize("frequency", [1, 10, 40, 75])
def test_tones_of_a_heart_pass_in_place(tmp_path, frequency):
    signal, _ = ptbdb.read_record(write_record(tmp_path, tone(frequency)))
    expected = np.sin(2 * np.pi * frequency * np.arange(len(signal)) / 200 + 0.3)
    inside = slice(50, -50)
    np.testing.assert_allclose(signal[inside], np.tile(expected[inside, None], (1, 15)), atol=0.01)


@pytest.mark.parametrize("frequency", [125, 150, 190, 210, 250, 390, 410])
def test_tones_above_the_new_nyquist_frequency_are_suppressed(tmp_path, frequency):
    """Without a filter a tone of 210 Hz would come out at 10 Hz in full strength."""
    signal, _ = ptbdb.read_record(write_record(tmp_path, tone(frequency)))
    assert np.abs(signal[50:-50]).max() < 0.01


@pytest.mark.parametrize(("frequency", "most"), [(90, 1), (95, 0.9), (100, 0.55), (105, 0.3), (110, 0.1), (115, 0.02)])
def test_the_filter_closes_around_the_new_nyquist_frequency(tmp_path, frequency, most):
    """Nothing there is amplified, and what could fold back is weaker the farther it folds."""
    signal, _ = ptbdb.read_record(write_record(tmp_path, tone(frequency)))
    assert np.abs(signal[50:-50]).max() <= most


def test_a_record_without_xyz_has_missing_frank_leads(tmp_path):
    signal, _ = ptbdb.read_record(write_record(tmp_path, random_units(), xyz=False))
    assert np.isnan(signal[:, 12:]).all() and np.isfinite(signal[:, :12]).all()
    ledger = {row["step"]: row for row in read(tmp_path).ledger.rows}
    assert ledger["of these without .xyz: the Frank leads count as missing"]["records"] == 1


def test_header_without_checksums_is_read(tmp_path):
    path = write_record(tmp_path, random_units())
    lines = path.read_text().splitlines()
    zeros = [" ".join([*w[:6], "0", *w[7:]]) if len(w := line.split()) == 9 else line for line in lines]
    path.write_text("\n".join(zeros) + "\n")
    ptbdb.read_record(path)


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
        write_record(tmp_path, random_units(), reason, stem=f"patient{patient:03d}/s{patient:04d}lre")
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


@pytest.mark.real("ptbdb")
def test_s0010_re_agrees_with_wfdb(real_root):
    path = real_root / "ptbdb" / "patient001" / "s0010_re.hea"
    reference = wfdb.rdrecord(str(path.with_suffix("")), physical=True)
    assert tuple(reference.sig_name) == LEADS and set(reference.units) == {"mV"}
    signal, length = ptbdb.read_record(path)
    assert length == len(reference.p_signal) == 38_400
    expected = resample_poly(reference.p_signal, 1, 5, axis=0, padtype="line")
    np.testing.assert_allclose(signal, expected, atol=1e-5)


@pytest.mark.real("ptbdb")
def test_the_six_real_records_read_and_resample(real_root):
    folder = real_root / "ptbdb"
    headers = sorted(folder.glob("patient*/s*.hea"))
    assert len(headers) == 6
    for path in headers:
        signal, length = ptbdb.read_record(path)
        assert len(signal) == length // 5
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
        first, second = einthoven(ptbdb.read_record(path)[0])
        assert first < QUANTISATION and second < QUANTISATION  # the filter smooths rounding away


def test_leads_of_simulated_records_fulfil_einthovens_law(simulated):
    for path in sorted(simulated["ptbdb"].glob("patient*/s*.hea")):
        first, second = einthoven(ptbdb.read_record(path)[0])
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
    assert str(path) in message and f"lead {lead} does not match its checksum" in message


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
    assert str(path) in message and "no lead avf" in message


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


def test_missing_and_empty_folders(tmp_path):
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert f"{tmp_path} is empty" in refusal(tmp_path)
    (tmp_path / "RECORDS").write_text("patient001/s0010_re\n")
    assert f"{tmp_path} holds no patientNNN/s*.hea" in refusal(tmp_path)
