"""Brugada-HUCA: hand-written records, the embedded set beside wfdb, and a sentence each for bad files."""

import hashlib
import io
import re
import runpy
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import wfdb

from rdpd_nb.data import Windows, archives, brugada, split
from rdpd_nb.data.brugada import LEADS
from rdpd_nb.errors import UserError

ROOT = Path(__file__).parents[1]
EMBEDDED = ROOT / "data/open/brugada"
LABELS = {7: 0, 30: 1, 4: 2, 12: 0}  # patient_id -> brugada, in the order of metadata.csv
METADATA = "patient_id,basal_pattern,sudden_death,brugada\n" + "".join(f"{p},0,0,{b}\n" for p, b in LABELS.items())


def make_units(person, samples=1200, leads=12):
    """Whole units of a record: noise of its own around 100 times the lead."""
    rng = np.random.default_rng(person)
    return (rng.integers(-900, 900, (samples, leads)) + 100 * np.arange(leads)).astype("<i2")


def header(person, units, names=LEADS, rate=100, gain="1000.0", baseline=0, units_name="mV", kind="16"):
    sums = units.sum(0, dtype=np.int64) % 65536
    lines = [
        f"{person}.dat {kind} {gain}({baseline})/{units_name} 16 0 {first} {total} 0 {name}"
        for first, total, name in zip(units[0], sums, names, strict=False)
    ]
    return "\n".join([f"{person} {len(lines)} {rate} {len(units)}", *lines]) + "\n"


def contents(person, units=None, **rest):
    units = make_units(person) if units is None else units
    return {f"files/{person}/{person}.hea": header(person, units, **rest).encode(),
            f"files/{person}/{person}.dat": units.tobytes()}  # fmt: skip


def write(folder, changes=None, metadata=METADATA, sums=None, packed=False):
    """The small set. changes: {name: content, or None to leave it out}, with right sums; sums: others by name."""
    folder.mkdir(exist_ok=True)
    files = {name: content for person in LABELS for name, content in contents(person).items()} | (changes or {})
    files = {name: content for name, content in files.items() if content is not None}
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    listed |= {"metadata.csv": hashlib.sha256(metadata.encode()).hexdigest()} | (sums or {})
    (folder / "metadata.csv").write_bytes(metadata.encode())
    (folder / "SHA256SUMS.txt").write_text("".join(f"{total} {name}\n" for name, total in listed.items() if total))
    if packed:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        (folder / "files.zip").write_bytes(buffer.getvalue())
    for name, content in {} if packed else files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def read(folder):
    return brugada.read(folder, lambda line: None)


def refusal(folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message and message.endswith(".")
    return message


# ---------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("packed", [True, False])
def test_records_labels_and_people(tmp_path, packed):
    r = read(write(tmp_path, packed=packed))
    assert r.series.shape == (4 * 1200, 12) and r.series.dtype == np.float32
    assert r.subject.tolist() == [4, 7, 12, 30] and r.label.tolist() == [1, 0, 0, 1]
    for person, signal in zip(r.subject, r.series.reshape(4, 1200, 12), strict=True):
        np.testing.assert_allclose(signal, make_units(person) / 1000, atol=1e-6)  # mV
    assert [row["records"] for row in r.ledger.rows if "records" in row] == [4, 2, 1, 1, 0]
    assert r.ledger.rows[-1] == {"step": "values missing in the others", "values": 0, "Table 1": ""}
    windows = Windows.from_recordings(brugada.SPEC, r)
    assert len(windows.start) == 4 * 5 and (np.diff(windows.start[:5]) == 200).all()


def test_files_are_those_that_are_read(tmp_path):
    packed, plain = write(tmp_path / "packed", packed=True), write(tmp_path / "plain")
    assert [p.name for p in brugada.files(packed)] == ["metadata.csv", "SHA256SUMS.txt", "files.zip"]
    assert len(brugada.files(plain)) == 2 + 2 * 4


def test_leads_in_another_order(tmp_path):
    order = list(reversed(range(12)))
    units = make_units(7)
    changed = contents(7, units[:, order], names=[LEADS[d] for d in order])
    signal = read(write(tmp_path, changed)).series.reshape(4, 1200, 12)[1]
    np.testing.assert_allclose(signal, units / 1000, atol=1e-5)


def test_the_value_for_missing_is_missing(tmp_path):
    units = make_units(7)
    units[5:9, 3] = -32768
    r = read(write(tmp_path, contents(7, units)))
    signal = r.series.reshape(4, 1200, 12)[1]
    assert r.ledger.rows[-1]["values"] == 4
    assert np.argwhere(np.isnan(signal)).tolist() == [[t, 3] for t in range(5, 9)]


def test_what_a_mac_leaves_is_passed_over(tmp_path):
    junk = {"__MACOSX/files/7/._7.hea": b"resource fork", "files/.DS_Store": b"folder"}
    assert len(read(write(tmp_path, junk, packed=True)).start) == 4


def test_of_people_with_the_same_signals_the_first_is_kept(tmp_path):
    """12 has 7's signals: were both kept, one could train and the other test."""
    r = read(write(tmp_path, contents(12, make_units(7))))
    assert r.subject.tolist() == [4, 7, 30] and r.label.tolist() == [1, 0, 1] and len(r.series) == 3 * 1200
    assert r.ledger.rows[-2]["records"] == r.ledger.rows[-2]["subjects"] == -1


# ---------------------------------------------------------------------------------------------------- bad files


@pytest.mark.parametrize("name", ["metadata.csv", "SHA256SUMS.txt", "files.zip"])
def test_a_file_is_missing(tmp_path, name):
    (write(tmp_path, packed=True) / name).unlink()
    assert name in refusal(tmp_path)


def test_an_empty_folder(tmp_path):
    assert "is empty" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_truncated_archive(tmp_path, share):
    path = write(tmp_path, packed=True) / "files.zip"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "files.zip is truncated" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("files/7/7.dat", "7.dat differs from the published file"),
        ("files/30/30.hea", "30.hea differs from the published file"),
        ("metadata.csv", "metadata.csv differs from the published file"),
    ],
)
def test_sums_differ(tmp_path, name, words):
    assert words in refusal(write(tmp_path, sums={name: "0" * 64}))


@pytest.mark.parametrize("name", ["files/7/7.dat", "metadata.csv"])
def test_a_file_without_a_sum(tmp_path, name):
    assert f"{name.split('/')[-1]} is not in SHA256SUMS.txt" in refusal(write(tmp_path, sums={name: ""}))


@pytest.mark.parametrize("text", [b"404 Not Found\n", b"7.dat\n", b"\xff\xfe\x00\x81" * 99])
def test_a_list_without_sums(tmp_path, text):
    (write(tmp_path) / "SHA256SUMS.txt").write_bytes(text)
    assert "lists no SHA-256 sums" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files/7/7.hea": None}, "no 7.hea; 1 of the 4 people"),
        ({"files/7/7.dat": None}, "no 7.dat; 1 of the 4 people"),
        ({f"files/{p}/{p}.{e}": None for p in (4, 30) for e in ("hea", "dat")}, "no 4.hea; 2 of the 4 people"),
        (contents(8), "8 has a record and is not in"),
        (contents(12, make_units(30)), "12 and 30 hold the same signals and different labels"),
        (contents(7, rate=1000), "its header begins '7 12 1000 1200' where '7 12 100'"),
        (contents(7, make_units(7, samples=1000)), "its header says 1000 samples in 7.dat where 1200"),
        (contents(7, make_units(7, leads=8)), "its header begins '7 8 100 1200'"),
        (contents(7, names=[*LEADS[:11], "V7"]), "its leads are I, II, .* V5, V7 where I, II"),
        (contents(7, names=[*LEADS[:11], "V5"]), "its leads are I, II, .* V5, V5 where"),
        *(
            (contents(7, **wrong), "its header says '7.dat .* where format 16 with 1000 units a mV is expected")
            for wrong in (
                *({"units_name": name} for name in ("uV", "V", "", "mv")),
                *({"kind": kind} for kind in ("212", "16x2", "16:5", "16+8", "24", "32", "8", "160")),
                *({"gain": gain} for gain in ("0.0", "-1000.0", "200", "1e3", "nan", "inf", "1" + 400 * "0", "")),
                *({"baseline": baseline} for baseline in (-50, 32768, 10**30)),
            )
        ),
        ({"files/7/7.hea": b""}, "its header begins ''"),
        ({"files/7/7.hea": b"\xff\xfe\x00 1 2 3\n"}, "its header begins"),
        ({"files/7/7.hea": contents(12)["files/12/12.hea"]}, "begins '12 12 100 1200' where '7 12"),
        ({"files/7/7.dat": contents(12)["files/12/12.dat"]}, "lead I does not match its checksum"),
        ({"files/7/7.hea": contents(7)["files/7/7.hea"].replace(b"7.dat", b"8.dat")}, "1200 samples in 8.dat where"),
        ({"files/7/7.hea": contents(7)["files/7/7.hea"].rsplit(b"\n", 2)[0]}, "its leads are .* V5 where"),
        ({"files/7/7.hea": contents(7)["files/7/7.hea"] + b"7.dat 16 1000(0)/mV 16 0 0 0 0 V6\n"}, "V6, V6 where"),
        ({"files/7/7.dat": make_units(7).tobytes()[:-1]}, "7 is truncated: it has 28,799 bytes and should have 28,800"),
        ({"files/7/7.dat": make_units(7).tobytes() + b"0"}, "longer than its header says: it has 28,801 bytes"),
        ({"files/7/7.dat": make_units(7).astype(">i2").tobytes()}, "lead I does not match its checksum"),
        ({"files/7/7.dat": np.roll(make_units(7), 1, 1).tobytes()}, "lead I does not match its checksum"),
    ],
)
def test_a_bad_record(tmp_path, changes, words):
    """All with right SHA-256 sums: the sums are not what notices them."""
    message = refusal(write(tmp_path, changes, packed=True))
    assert re.search(words, message)


def test_the_same_record_in_two_places(tmp_path):
    changes = {"copy/7.hea": contents(7)["files/7/7.hea"]}
    assert "7.hea is there twice" in refusal(write(tmp_path, changes, packed=True))


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (METADATA.replace("7,0,0,0", "7,0,0,3"), "line 2: patient_id '7' and brugada '3' where a number and 0, 1, 2"),
        (METADATA.replace("7,0,0,0", "7,0,0,"), "line 2: patient_id '7' and brugada ''"),
        (METADATA.replace("7,0,0,0", "7,0"), "line 2: 2 columns where 4 are expected"),
        (METADATA.replace("7,0,0,0", "x,0,0,0"), "line 2: patient_id 'x'"),
        (METADATA.replace("7,0,0,0", "12,0,0,0"), "line 5: 12 is there twice"),
        (METADATA.replace("7,0,0,0\n", ""), "7 has a record and is not in"),
        (METADATA + "99,0,0,0\n", "no 99.hea; 1 of the 5 people"),
        (METADATA.replace("brugada", "diagnosis"), "no column brugada; the columns are"),
        ("\n", "no column patient_id, brugada"),
        ("", "metadata.csv is empty"),
    ],
)
def test_bad_metadata(tmp_path, metadata, words):
    assert words in refusal(write(tmp_path, metadata=metadata))


# ---------------------------------------------------------------------------------------------------- the real set


@pytest.fixture(scope="module")
def embedded():
    return read(EMBEDDED)


def test_ledger_of_the_embedded_set(embedded):
    counts = [(row["records"], row["subjects"]) for row in embedded.ledger.rows[:-1]]
    assert counts == [(363, 363), (287, 287), (69, 69), (7, 7), (-4, -4)]
    assert embedded.ledger.rows[-1]["values"] == 0  # missing
    assert embedded.series.shape == (359 * 1200, 12) and len(np.unique(embedded.subject)) == 359
    assert Counter(embedded.label.tolist()) == {0: 287 - 3, 1: 76 - 1}
    assert np.isfinite(embedded.series).all()


def test_values_are_those_that_wfdb_reads(tmp_path, embedded):
    wanted = {str(person) for person in embedded.subject[::30]}
    for name, content in archives.walk(EMBEDDED / "files.tar.xz", lambda name: Path(name).stem in wanted):
        (tmp_path / Path(name).name).write_bytes(content)
    for person in wanted:
        signal = embedded.series.reshape(-1, 1200, 12)[embedded.subject == int(person)][0]
        record = wfdb.rdrecord(str(tmp_path / person))
        assert tuple(record.sig_name) == LEADS and record.fs == 100 and set(record.units) == {"mV"}
        assert np.array_equal(record.p_signal.astype(np.float32), signal)
    assert len(wanted) == 12


def test_no_two_people_of_the_embedded_set_have_the_same_signals(embedded):
    assert len({signal.tobytes() for signal in embedded.series.reshape(-1, 1200, 12)}) == 359


@pytest.mark.parametrize("seed", range(3))
def test_split_of_the_embedded_set_keeps_people_apart_and_shares_of_classes(embedded, seed):
    windows = Windows.from_recordings(brugada.SPEC, embedded)
    parts = split(windows, seed)
    people = {name: set(windows.subject[getattr(parts, name)]) for name in ("train", "validation", "test")}
    assert sum(map(len, people.values())) == len(set.union(*people.values())) == 359
    assert 70 <= len(people["test"]) <= 73 and 70 <= len(people["validation"]) <= 73
    for name in people:
        assert windows.label[getattr(parts, name)].mean() == pytest.approx(75 / 359, abs=0.01)


@pytest.mark.real("brugada")
def test_what_is_packed_again_is_what_is_at_hand(real_root, embedded):
    r = read(real_root / "brugada")
    assert np.array_equal(r.series, embedded.series) and np.array_equal(r.label, embedded.label)


def test_sums_of_the_release_are_those_in_the_source():
    listed = dict(reversed(line.split()) for line in (EMBEDDED / "SHA256SUMS.txt").read_text().splitlines())
    for file in brugada.SOURCE.files:
        if file.name in listed:
            assert file.sha256 == listed[file.name]
        if (path := EMBEDDED / file.name).exists():
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
            assert path.stat().st_size == file.size
    assert {file.name for file in brugada.SOURCE.files} - listed.keys() == {"SHA256SUMS.txt"}


def test_packing_keeps_the_files_and_depends_on_nothing_else(tmp_path):
    names = runpy.run_path(str(ROOT / "data/open/pack.py"))
    made = []
    for packed in (True, False):
        folder = write(tmp_path / f"raw{packed}", packed=packed)
        target = tmp_path / f"of{packed}" / "files.tar.xz"
        names["pack"](archives.find(folder, "files"), target, brugada.IS_RECORD, "files/{0}/{0}.{1}", names["ECG"])
        made.append(target.read_bytes())
    assert made[0] == made[1]
    expected = {name: content for person in LABELS for name, content in contents(person).items()}
    assert dict(archives.walk(target, lambda name: True)) == expected
