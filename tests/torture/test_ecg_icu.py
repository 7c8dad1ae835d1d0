"""A campaign of bad input over PTBDB, Brugada-HUCA, CinC 2012 and a user's own files.

What can happen to any file happens to a file of every kind of every set; then come the fields of headers and tables,
one by one, and what can be wrong with a set as a whole. Each damage is done to a copy of a small set.
"""

import gzip
import hashlib
import io
import os
import re
import shutil
import signal
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import outcome
import pandas as pd
import pytest
import test_brugada
import test_cinc2012
import test_own
import test_ptbdb

from rdpd_nb.data import fingerprint
from rdpd_nb.data.own import read_own

Damage = Callable[[Path], object]
REFUSED, COUNTED, HARMLESS = "refused", "counted", "harmless"
SECONDS = 60  # a reader that waits for longer hangs

# ------------------------------------------------------------------------------------------------- small whole sets


def make_ptbdb(folder: Path, sums: bool = False) -> None:
    for number, reason in enumerate(("Healthy control", "Myocardial infarction", "Dysrhythmia", "n/a"), 1):
        units = test_ptbdb.random_units(samples=10_000, seed=number)
        test_ptbdb.write_record(folder, units, reason, stem=f"patient{number:03d}/s{number:04d}lre")
    test_ptbdb.write_record(folder, test_ptbdb.random_units(10_000, seed=9), "Dysrhythmia", stem="patient003/s0009_re")
    if sums:
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder).as_posix()}\n"
                 for path in sorted(folder.glob("patient*/*"))]  # fmt: skip
        (folder / "SHA256SUMS.txt").write_text("".join(lines))


def make_own(folder: Path, kind: str) -> None:
    """Four recordings of 60 rows in files of their own, or in one .zip or .npz."""
    rows = {name: test_own.make(name, 60) for name in test_own.NAMES}
    if kind == "npz":
        (folder / "labels.csv").write_text("recording,subject,label\n0,a,0\n1,b,0\n2,c,1\n3,d,0\n")
        test_own.write_npz(folder / "signals.npz", x=np.stack([*rows.values()]))
        return
    (folder / "signals").mkdir(parents=True)
    (folder / "labels.csv").write_text(test_own.LABELS)
    for name, values in rows.items():
        path = folder / "signals" / f"{name}.{kind}"
        if kind == "wfdb":
            test_own.write_wfdb(path.parent, name, values)
        elif kind == "parquet":
            pd.DataFrame(values, columns=["I", "II", "V1"]).to_parquet(path)
        else:
            text = test_own.csv_of(values).encode()
            path.with_name(path.name.replace("zip", "csv")).write_bytes(gzip.compress(text) if ".gz" in kind else text)
    if kind == "zip":
        test_own.pack(folder / "signals", folder / "signals.zip")
        shutil.rmtree(folder / "signals")


MAKERS: dict[str, Damage] = {
    "ptbdb": make_ptbdb,
    "ptbdb with sums": lambda folder: make_ptbdb(folder, sums=True),
    "brugada": test_brugada.write,
    "brugada zipped": lambda folder: test_brugada.write(folder, packed=True),
    "cinc2012": lambda folder: test_cinc2012.write(folder, packed=False),
    "cinc2012 packed": test_cinc2012.write,
    **{f"own {kind}": lambda folder, kind=kind: make_own(folder, kind)
       for kind in ("csv", "csv.gz", "parquet", "wfdb", "zip", "npz")},
}  # fmt: skip


def read(name: str, folder: Path):
    """Windows of a set; of own files what stands for them."""
    if not name.startswith("own"):
        return outcome.read(name.split()[0], folder)
    paths = [folder / f"signals{ending}" for ending in (".zip", ".npz", "")]
    path = next(path for path in paths if os.path.lexists(path) or path == paths[-1])
    rate = None if name == "own wfdb" else 100  # its headers say it
    own = read_own(path, folder / "labels.csv", ["V1", "I"], ["II"], test_own.CLASSES, rate, progress=lambda line: None)
    series = np.concatenate(own.signals)
    lengths = np.array([len(values) for values in own.signals])
    mark = fingerprint(*own.channels, *own.classes, *own.units, str(own.rate), series, lengths, own.label, own.subject)
    return SimpleNamespace(series=series, fingerprint=mark, ledger=own.ledger.rows)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return outcome.made_once(tmp_path_factory, MAKERS, read)


@pytest.fixture
def end(whole, tmp_path):
    """How reading ends after a damage to a copy of a set."""

    def hang(*_):
        pytest.fail(f"it hangs for more than {SECONDS} s")  # a BaseException: no reader catches it

    def give(name: str, damage: Damage) -> str:
        original, expected = whole(name)
        folder = tmp_path / "raw"
        shutil.copytree(original, folder)
        damage(folder)
        signal.signal(signal.SIGALRM, hang)
        signal.alarm(SECONDS)
        try:
            return outcome.judge(lambda place: read(name, place), folder, expected, name, names=str(folder))
        finally:
            signal.alarm(0)

    return give


# ---------------------------------------------------------------------------------------------------- any file


def instead(make: Damage) -> Damage:
    """Something else in place of a file."""

    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def edit(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def flip(seed: int) -> Damage:
    def change(content: bytes) -> bytes:
        place = int(np.random.default_rng(seed).integers(8 * len(content)))
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        return bytes(changed)

    return edit(change)


NO_FILE = {
    "missing": Path.unlink,
    "a folder": instead(Path.mkdir),
    "a link that dangles": instead(lambda path: path.symlink_to("nowhere")),
    "a link to itself": instead(lambda path: path.symlink_to(path.name)),
    "a file that fails when it is read": instead(lambda path: path.symlink_to("/proc/self/mem")),
    "a pipe": instead(os.mkfifo),
    "a device": instead(lambda path: path.symlink_to("/dev/null")),
    "empty": edit(lambda content: b""),
}
OTHER_CONTENT = {
    "two bytes less": edit(lambda content: content[:-2]),
    "half": edit(lambda content: content[: len(content) // 2]),
    "a tenth": edit(lambda content: content[: len(content) // 10]),
    "a byte less": edit(lambda content: content[:-1]),
    "a byte more": edit(lambda content: content + b"\x07"),
    "twice": edit(lambda content: 2 * content),
    "an error page": edit(lambda content: b"<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n"),
    "noise": edit(lambda content: np.random.default_rng(0).bytes(len(content))),
    "zeros": edit(lambda content: bytes(len(content))),
    "packed": edit(gzip.compress),
    "UTF-16": edit(lambda content: content.decode("latin-1").encode("utf-16")),
    "NUL inside": edit(lambda content: content[: len(content) // 2] + b"\0" + content[len(content) // 2 :]),
}
FLIPS = {f"flipped bit {seed}": flip(seed) for seed in range(3)}
FORMS = {  # of text; they say the same
    "byte-order mark": edit(lambda content: b"\xef\xbb\xbf" + content),
    "CRLF": edit(lambda content: content.replace(b"\n", b"\r\n")),
    "no last line end": edit(lambda content: content.rstrip(b"\n")),
}
# Set, a file of each kind, and what happens to it. Bits flip, and last digits go, where something can notice it: in a
# plain text, or in Parquet pages without a sum, they make other numbers.
ALL = NO_FILE | OTHER_CONTENT | FLIPS
PLAIN = {what: damage for what, damage in (NO_FILE | OTHER_CONTENT | FORMS).items() if what != "two bytes less"}
FILES = [
    ("ptbdb", "patient001/s0001lre.hea", ALL | FORMS),
    ("ptbdb", "patient001/s0001lre.dat", ALL),
    ("ptbdb", "patient001/s0001lre.xyz", ALL),
    ("ptbdb with sums", "SHA256SUMS.txt", ALL | FORMS),
    ("ptbdb with sums", "patient002/s0002lre.hea", FLIPS | FORMS),
    ("ptbdb with sums", "patient002/s0002lre.dat", FLIPS),
    ("brugada", "files/7/7.hea", ALL | FORMS),
    ("brugada", "files/7/7.dat", ALL),
    ("brugada", "metadata.csv", ALL | FORMS),
    ("brugada", "SHA256SUMS.txt", ALL | FORMS),
    ("brugada zipped", "files.zip", ALL),
    ("cinc2012", "set-a/11.txt", PLAIN),
    ("cinc2012", "Outcomes-c.txt", PLAIN),
    ("cinc2012 packed", "set-b.tar.gz", ALL),
    ("own csv", "signals/r2.csv", PLAIN),
    ("own csv", "labels.csv", PLAIN),
    ("own csv.gz", "signals/r2.csv.gz", ALL),
    ("own parquet", "signals/r2.parquet", NO_FILE | OTHER_CONTENT),
    ("own wfdb", "signals/r2.hea", PLAIN),
    ("own wfdb", "signals/r2.dat", ALL),
    ("own zip", "signals.zip", ALL),
    ("own npz", "signals.npz", ALL),
]


@pytest.mark.parametrize(
    ("name", "file", "damage"),
    [pytest.param(name, file, damage, id=f"{name}-{file}-{what}")
     for name, file, damages in FILES for what, damage in damages.items()],
)  # fmt: skip
def test_any_file(end, name, file, damage):
    found = end(name, lambda folder: damage(folder / file))
    if damage in NO_FILE.values():
        may_be_missing = name.startswith(("own", "ptbdb with sums")) or file.endswith(".xyz")
        assert found == REFUSED or (damage is Path.unlink and may_be_missing)


# ---------------------------------------------------------------------------------------------- fields, one by one


def put(file: str, old: str, new: str, count: int = 1) -> Damage:
    """Other text in a file, which has to hold the old one."""

    def damage(folder: Path) -> None:
        content = (folder / file).read_bytes()
        assert old.encode() in content
        (folder / file).write_bytes(content.replace(old.encode(), new.encode(), count))

    return damage


def summed(damage: Damage) -> Damage:
    """A damage to Brugada's files that SHA256SUMS.txt does not notice: its sums are made anew."""

    def again(folder: Path) -> None:
        damage(folder)
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.relative_to(folder).as_posix()}\n"
                 for path in [*sorted(folder.glob("files/*/*")), folder / "metadata.csv"]]  # fmt: skip
        (folder / "SHA256SUMS.txt").write_text("".join(lines))

    return again


NUMBERS = ("", "0", "-1", "NaN", "nan", "inf", "1e9", "1e39", "99999999999999999999", "0x10", "1.5", "x", "٣")


def ptbdb_fields():
    file, numbers = "patient001/s0001lre.hea", test_ptbdb.random_units(10_000, seed=1)
    first, checksum = numbers[0, 0], np.int64(numbers[:, 0].sum()).astype(np.int16)
    for what, (old, new) in test_ptbdb.LIES.items():
        old, new = (text.format(first=first, checksum=checksum) for text in (old, new))
        yield what, put(file, *(text.replace("1000 3000", "1000 10000") for text in (old, new)), count=99), REFUSED
    for number in NUMBERS:
        yield f"block size {number}", put(file, " 0 i\n", f" {number} i\n"), HARMLESS if number == "0" else REFUSED
        yield f"checksum {number}", put(file, f" {checksum} 0 i\n", f" {number} 0 i\n"), REFUSED
    yield "all checksums 0", edit_lines(file, r"-?\d+ 0 (\w+)$", r"0 0 \1"), HARMLESS
    yield "a comment without text", put(file, "# age: 60", "#"), HARMLESS
    yield "reason in capitals", put(file, "Healthy control", "HEALTHY CONTROL"), HARMLESS
    yield "reason of no group", put(file, "Healthy control", "unknown"), COUNTED
    yield "reason empty", put(file, "Healthy control", ""), COUNTED
    yield "the reason twice", put(file, "# age", "# Reason for admission: Healthy control\n# age"), HARMLESS


def edit_lines(file: str, pattern: str, new: str) -> Damage:
    return lambda folder: (folder / file).write_text(re.sub(pattern, new, (folder / file).read_text(), flags=re.M))


def brugada_fields():
    file = "files/7/7.hea"
    for number in NUMBERS:
        yield f"rate {number}", put(file, "7 12 100 ", f"7 12 {number} "), REFUSED
        yield f"samples {number}", put(file, " 1200\n", f" {number}\n"), REFUSED
        yield f"leads {number}", put(file, "7 12 ", f"7 {number} "), REFUSED
        yield f"gain {number}", put(file, " 1000.0(0)/mV", f" {number}(0)/mV"), REFUSED
        yield f"baseline {number}", put(file, "(0)/mV", f"({number})/mV"), HARMLESS if number == "0" else REFUSED
        yield f"patient {number}", put("metadata.csv", "\n7,", f"\n{number},"), REFUSED
        if number not in ("0", "1"):
            yield f"label {number}", put("metadata.csv", "7,0,0,0", f"7,0,0,{number}"), REFUSED
    for kind in test_ptbdb.FORMATS:
        yield f"format {kind}", put(file, ".dat 16 ", f".dat {kind} "), REFUSED
    for unit in ("uV", "V", "", "mv", "NU"):
        yield f"unit {unit}", put(file, "/mV", f"/{unit}"), REFUSED
    yield "another lead", put(file, " V6\n", " V7\n"), REFUSED
    yield "a lead twice", put(file, " V6\n", " V5\n"), REFUSED
    yield "another file", put(file, "7.dat", "30.dat"), REFUSED
    yield "another name", put(file, "7 12 100", "8 12 100"), REFUSED
    yield "the label of another", put("metadata.csv", "7,0,0,0", "7,0,0,1"), COUNTED
    yield "a row less", put("metadata.csv", "7,0,0,0\n", ""), REFUSED
    yield "a row twice", put("metadata.csv", "7,0,0,0\n", "7,0,0,0\n7,0,0,0\n"), REFUSED
    yield "a column less in a row", put("metadata.csv", "7,0,0,0", "7,0,0"), REFUSED
    yield "a column more in a row", put("metadata.csv", "7,0,0,0", "7,0,0,0,1"), REFUSED
    yield "two columns of labels", put("metadata.csv", "sudden_death", "brugada"), REFUSED
    yield "semicolons", put("metadata.csv", ",", ";", 99), REFUSED
    yield "an empty line", put("metadata.csv", "\n30", "\n\n30"), HARMLESS
    yield "other columns", put("metadata.csv", "patient_id", "id"), REFUSED


def cinc2012_fields():
    stay, rows = "set-a/11.txt", "00:10,HR,80"
    for time in ("99:99", "24:60", "-1:00", "", "1:00", "00:00:10", "nan", "48:01", "72:00", "00:10 ", "٠٠:١٠", "0010"):
        yield f"time {time}", put(stay, "00:10,", f"{time},"), REFUSED
    for value in (
        "",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "x",
        "--",
        "1_0",
        "0x10",
        "8O",
        '"80"',
        "80 mmHg",
        "٨",
        "1,2",
        "1e999",
    ):
        yield f"value {value}", put(stay, rows, f"00:10,HR,{value}"), REFUSED
    for value in ("0", "-1", "-5", "-80", "1e9", "1e39", "-99999", "9999", "301", "9.99"):
        yield f"value {value}", put(stay, rows, f"00:10,HR,{value}"), COUNTED
    for name in ("XX", "hr", "HR ", " HR", "H R", "HR\0", "Heart rate", "SaO"):
        yield f"parameter {name!r}", put(stay, ",HR,80", f",{name},80"), REFUSED
    yield "no parameter", put(stay, ",HR,80", ",,80"), COUNTED
    yield "another's RecordID", put(stay, "RecordID,11", "RecordID,12"), REFUSED
    yield "no RecordID", put(stay, "00:00,RecordID,11\n", ""), REFUSED
    yield "two RecordIDs", put(stay, "RecordID,11\n", "RecordID,11\n00:00,RecordID,11\n"), REFUSED
    yield "RecordID by a fraction", put(stay, "RecordID,11", "RecordID,11.5"), REFUSED
    for header in (
        "",
        "Time,Value,Parameter",
        "time,parameter,value",
        "Time;Parameter;Value",
        "Time,Parameter,Value,Unit",
    ):
        yield f"header {header}", put(stay, "Time,Parameter,Value", header), REFUSED
    yield "only a header", lambda folder: (folder / stay).write_text("Time,Parameter,Value\n"), REFUSED
    yield "a field more", put(stay, rows, f"{rows},1"), REFUSED
    yield "a field less", put(stay, rows, "00:10,HR"), REFUSED
    yield "a field more and one less", put(stay, f"{rows}\n00:50,HR,90", f"{rows},1\n00:50,HR"), REFUSED
    yield "a row twice", put(stay, rows, f"{rows}\n{rows}"), COUNTED
    yield "rows in another order", put(stay, f"{rows}\n00:50,HR,90", f"00:50,HR,90\n{rows}"), HARMLESS
    yield "an empty line", put(stay, rows, f"\n{rows}"), REFUSED
    yield "lines that end as on an old Mac", put(stay, "\n", "\r", 99), REFUSED
    outcomes = "Outcomes-a.txt"
    for number in NUMBERS:
        yield f"RecordID {number}", put(outcomes, "\n11,", f"\n{number},"), REFUSED
        if number not in ("0",):
            yield f"outcome {number}", put(outcomes, "11,6,1,5,-1,0", f"11,6,1,5,-1,{number}"), REFUSED
    yield "outcome 2", put(outcomes, "11,6,1,5,-1,0", "11,6,1,5,-1,2"), REFUSED
    yield "another outcome", put(outcomes, "11,6,1,5,-1,0", "11,6,1,5,-1,1"), COUNTED
    yield "an outcome less", put(outcomes, "11,6,1,5,-1,0\n", ""), REFUSED
    yield "an outcome twice", put(outcomes, "11,6,1,5,-1,0", "11,6,1,5,-1,0\n11,6,1,5,-1,0"), REFUSED
    yield "an outcome twice, and different", put(outcomes, "11,6,1,5,-1,0", "11,6,1,5,-1,0\n11,6,1,5,-1,1"), REFUSED
    yield "an outcome of set b", put(outcomes, "11,6,1,5,-1,0", "11,6,1,5,-1,0\n21,6,1,5,-1,1"), REFUSED
    yield "an outcome of nobody", put(outcomes, "11,6,1,5,-1,0", "11,6,1,5,-1,0\n99,6,1,5,-1,1"), REFUSED
    yield "two columns of outcomes", put(outcomes, "Survival", "In-hospital_death"), REFUSED
    yield "a column less", put(outcomes, ",In-hospital_death", ""), REFUSED
    yield "columns shifted", put(outcomes, "11,6,1,5,-1,0", "11,1,5,-1,0"), REFUSED
    yield "commas to semicolons", put(outcomes, ",", ";", 99), REFUSED


def own_fields(kind: str = "csv"):
    """Of CSV files; the same values in the others are asked in tests/test_own.py."""
    file, labels = "signals/r2.csv", "labels.csv"
    value = test_own.csv_of(test_own.make("r2", 60)).split("\n")[1].split(",")[0]  # of channel I
    row = f"I,II,V1\n{value},"
    for wrong in ("x", "0x10", "1 2", "1_0", "--", "1e999999x", "٣", "True", "1;2", "$5"):
        yield f"value {wrong}", put(file, row, f"I,II,V1\n{wrong},"), REFUSED
    for wrong in ("", "nan", "NaN", "NA", "inf", "-inf", "Infinity"):
        yield f"value {wrong}", put(file, row, f"I,II,V1\n{wrong},"), COUNTED
    for wrong in ("1e39", "-1e300", "1e30", "-99999", "-9999", "9999", "1e15"):
        yield f"value {wrong}", put(file, row, f"I,II,V1\n{wrong},"), REFUSED
    yield "a field more", put(file, f"{value},", f"{value},1,"), REFUSED
    yield "a field less", put(file, f"\n{value},", "\n"), REFUSED
    yield "a channel twice", put(file, "I,II,V1", "I,I,V1"), REFUSED
    yield "another channel", put(file, "I,II,V1", "I,III,V1"), REFUSED
    yield "no header", put(file, "I,II,V1\n", ""), REFUSED
    yield "semicolons", put(file, ",", ";", 9999), REFUSED
    yield "tabs", put(file, ",", "\t", 9999), REFUSED
    yield "decimal commas", put(file, ".", ",", 9999), REFUSED
    yield "an open quotation mark", put(file, f"\n{value}", f'\n"{value}'), REFUSED
    for label in ("2", "-1", "0.5", "x", "inf", "1e9"):
        yield f"label {label}", put(labels, "r2,7,0", f"r2,7,{label}"), REFUSED
    for label in ("", "nan", "NA"):
        yield f"label {label}", put(labels, "r2,7,0", f"r2,7,{label}"), COUNTED
    for who in ("", "nan", "NA", " "):
        yield f"subject {who!r}", put(labels, "r2,7,", f"r2,{who},"), REFUSED
    for name in ("", "r1", "r1.csv", "sub/r1"):
        yield f"recording {name!r}", put(labels, "r2,7,", f"{name},7,"), REFUSED
    yield "recording of no file", put(labels, "r2,7,", "r3,7,"), COUNTED
    yield "a label of no row", put(labels, "r2,7,0,,m\n", ""), COUNTED
    yield "all of one subject", edit_lines(labels, r"^(r\d+),\d+", r"\1,7"), REFUSED
    yield "all of one label", edit_lines(labels, r"^(r\d+,\d+),\d", r"\1,0"), REFUSED
    yield "a column twice", put(labels, "age", "label"), REFUSED
    yield "a field less in a row", put(labels, "r2,7,0,,m", "r2,7,0,m"), REFUSED


def own_wfdb_fields():
    file = "signals/r2.hea"
    for number in NUMBERS:
        if number != "1.5":  # which a gain may be
            far = COUNTED if number in ("1e9", "1e39", "99999999999999999999") else REFUSED
            yield f"gain {number}", put(file, "100.0(0)/mV", f"{number}(0)/mV"), far
        yield f"rate {number}", put(file, "r2 3 100 60", f"r2 3 {number} 60"), REFUSED
        yield f"leads {number}", put(file, "r2 3 100 60", f"r2 {number} 100 60"), REFUSED
        yield f"checksum {number}", edit_lines(file, r"(-?\d+) 0 I$", rf"{number} 0 I"), REFUSED
        if number not in ("-1", "0"):
            yield f"baseline {number}", put(file, "(0)/mV", f"({number})/mV"), REFUSED
        if number in ("0", "1e9", "1e39", "0x10", "1.5", "99999999999999999999"):
            yield f"samples {number}", put(file, "r2 3 100 60", f"r2 3 100 {number}"), REFUSED
        else:  # a header may do without
            yield f"samples {number}", put(file, "r2 3 100 60", f"r2 3 100 {number}"), HARMLESS
    for kind in test_ptbdb.FORMATS:
        yield f"format {kind}", put(file, ".dat 16 ", f".dat {kind} ", 99), REFUSED
    for unit in ("uV", "V", "mv", "NU"):
        yield f"unit {unit}", put(file, "/mV", f"/{unit}"), REFUSED
    yield "a lead twice", put(file, " 0 II\n", " 0 I\n"), REFUSED
    yield "another lead", put(file, " 0 II\n", " 0 III\n"), REFUSED
    yield "another file", put(file, "r2.dat", "r1.dat", 99), REFUSED
    yield "a file elsewhere", put(file, "r2.dat", "../r1.dat", 99), REFUSED
    yield "another name", put(file, "r2 3", "r1 3"), HARMLESS
    yield "several segments", put(file, "r2 3", "r2/2 3"), REFUSED


FIELDS = {
    "ptbdb": ptbdb_fields,
    "brugada": brugada_fields,
    "cinc2012": cinc2012_fields,
    "own csv": own_fields,
    "own wfdb": own_wfdb_fields,
}


@pytest.mark.parametrize(
    ("name", "damage", "expected"),
    [pytest.param(name, damage, expected, id=f"{name}-{what}")
     for name, fields in FIELDS.items() for what, damage, expected in fields()],
)  # fmt: skip
def test_fields(end, name, damage, expected):
    assert end(name, summed(damage) if name == "brugada" else damage) == expected


# ------------------------------------------------------------------------------------------------ a set as a whole


def swap(one: str, other: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / one).rename(folder / "between")
        (folder / other).rename(folder / one)
        (folder / "between").rename(folder / other)

    return damage


def copy(one: str, other: str, then: Damage = lambda folder: None) -> Damage:
    """A file or folder of a set under another name too."""

    def damage(folder: Path) -> None:
        if (folder / one).is_dir():
            shutil.copytree(folder / one, folder / other)
        else:
            shutil.copyfile(folder / one, folder / other)
        then(folder)

    return damage


def link(name: str, target: str) -> Damage:
    return lambda folder: (folder / name).symlink_to(target)


def no_samples(*files: str, samples: slice = slice(None), sums: bool = True) -> Damage:
    """WFDB's code for no sample in all leads of PTBDB's .dat files; headers without sums where `sums` is false."""

    def damage(folder: Path) -> None:
        for file in files:
            units = np.frombuffer((folder / file).read_bytes(), "<i2").reshape(-1, 12).copy()
            units[samples] = -32768
            (folder / file).write_bytes(units.tobytes())
            if not sums:
                edit_lines(file.replace(".dat", ".hea"), r"-?\d+ 0 (\w+)$", r"0 0 \1")(folder)

    return damage


def deeper(folder: Path) -> None:
    inside = [*folder.iterdir()]
    (folder / "ptbdb").mkdir()
    for path in inside:
        path.rename(folder / "ptbdb" / path.name)


def ptbdb_sets():
    one, two, three = "patient001/s0001lre", "patient002/s0002lre", "patient003/s0003lre"
    for folder in ("patient001 - Copy", "patient1", "patient0001", "patientNNN", "patient-1", "patient001.bak"):
        yield f"a copy {folder}", copy("patient001", folder), REFUSED
    yield "a copy as another patient", copy("patient001", "patient200"), HARMLESS  # it is removed, and counted
    other = put("patient200/s0001lre.hea", "Healthy control", "Hypertrophy")
    yield "a copy with another diagnosis", copy("patient001", "patient200", other), REFUSED
    yield "a link as another patient", link("patient200", "patient001"), HARMLESS
    yield "a link to nowhere", link("patient200", "nowhere"), REFUSED
    yield "a link to itself", link("patient200", "patient200"), REFUSED
    yield "a loop inside", link("patient001/again", ".."), HARMLESS
    yield "a patient's folder that is a file", lambda folder: (folder / "patient200").touch(), HARMLESS
    yield "a patient's folder that is empty", lambda folder: (folder / "patient200").mkdir(), HARMLESS
    yield "a patient less", lambda folder: shutil.rmtree(folder / "patient001"), COUNTED
    yield "no patient", lambda folder: [shutil.rmtree(path) for path in folder.glob("patient*")], REFUSED
    yield "one folder deeper", deeper, REFUSED
    for ending in (".dat", ".xyz", ".hea"):
        yield f"swapped {ending}", swap(one + ending, two + ending), REFUSED
    yield ".dat and .xyz swapped", swap(f"{one}.dat", f"{one}.xyz"), REFUSED
    yield "a block without samples", no_samples(f"{one}.dat", samples=slice(0, 10_000, 7), sums=False), COUNTED
    yield "a beginning without samples", no_samples(f"{one}.dat", samples=slice(0, 999), sums=False), COUNTED
    yield "no sample at all", no_samples(f"{one}.dat", f"{two}.dat", sums=False), COUNTED
    yield "samples lost, sums kept", no_samples(f"{three}.dat", samples=slice(5, 9)), REFUSED
    few = lambda folder: [shutil.rmtree(folder / patient) for patient in ("patient001", "patient002")]  # noqa: E731
    yield "all of one group", few, COUNTED


def brugada_sets():
    for ending in ("hea", "dat"):
        yield f"swapped {ending}", swap(f"files/7/7.{ending}", f"files/12/12.{ending}"), REFUSED
        yield f"swapped {ending}, with sums", summed(swap(f"files/7/7.{ending}", f"files/12/12.{ending}")), REFUSED
    yield "two people swapped", swap("files/7", "files/12"), HARMLESS  # the files' own names say who it is
    yield "a record under another name", summed(copy("files/7", "files/70")), REFUSED
    yield "a file copied by hand", copy("files/7/7.dat", "files/7/7 (1).dat"), HARMLESS
    yield "a record in two places", copy("files/7/7.dat", "files/7.dat"), REFUSED
    yield "an archive that is none", copy("metadata.csv", "files.zip"), REFUSED
    yield "a person less", lambda folder: shutil.rmtree(folder / "files/7"), REFUSED
    yield "no records", lambda folder: [shutil.rmtree(folder / "files"), (folder / "files").mkdir()], REFUSED
    yield "a loop inside", link("files/again", ".."), HARMLESS
    yield "a folder called as a record", lambda folder: (folder / "files/99.dat").mkdir(), REFUSED


Member = Callable[[tarfile.TarFile], object]


def packed(name: str, files: dict[str, bytes], more: Member = lambda archive: None) -> Damage:
    """Another archive."""

    def damage(folder: Path) -> None:
        with tarfile.open(folder / name, "w:gz") as archive:
            for member, content in files.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            more(archive)

    return damage


def member(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return lambda archive: archive.addfile(info)


def cinc2012_archives():
    name, stay = "set-b.tar.gz", test_cinc2012.stay(21, "00:00,HR,70\n").encode()
    right = {"set-b/21.txt": stay}
    yield "the same", packed(name, right), HARMLESS
    yield "another folder's name", packed(name, {"b/deep/21.txt": stay}), HARMLESS
    yield "no folder", packed(name, {"21.txt": stay}), HARMLESS
    yield "a note beside", packed(name, right | {"set-b/README": b"words"}), HARMLESS
    for wrong in ("21.csv", "x21.txt", "21.txt.gz", "stay 21.txt", "21.TXT"):
        yield f"called {wrong}", packed(name, {f"set-b/{wrong}": stay}), REFUSED
    yield "no stay", packed(name, {}), REFUSED
    yield "a stay twice", packed(name, right | {"set-b/more/21.txt": stay}), REFUSED
    yield "a stay more", packed(name, right | {"set-b/22.txt": stay}), REFUSED
    yield "a stay of set a", packed(name, right | {"set-b/11.txt": stay}), REFUSED
    yield "an empty stay", packed(name, {"set-b/21.txt": b""}), REFUSED
    yield "out of the archive", packed(name, {"../21.txt": stay}), REFUSED
    yield "at the root", packed(name, {"/21.txt": stay}), REFUSED
    for what, kind in (("link", tarfile.SYMTYPE), ("hard link", tarfile.LNKTYPE), ("folder", tarfile.DIRTYPE),
                       ("pipe", tarfile.FIFOTYPE), ("device", tarfile.CHRTYPE)):  # fmt: skip
        yield f"a stay that is a {what}", packed(name, {}, member("set-b/21.txt", kind, "/etc/passwd")), REFUSED
    yield "sets swapped", swap("set-a.tar.gz", name), REFUSED
    yield "outcomes swapped", swap("Outcomes-a.txt", "Outcomes-b.txt"), REFUSED
    yield "a set twice", copy("set-a.tar.gz", "set-a.tgz"), REFUSED
    yield "a set unpacked beside its archive", copy("Outcomes-a.txt", "set-a"), HARMLESS
    yield "a set less", lambda folder: (folder / name).unlink(), REFUSED
    yield "a folder for the archive", lambda folder: [(folder / name).unlink(), (folder / "set-b").mkdir()], REFUSED
    yield "a zip called tar.gz", copy("set-a.tar.gz", "set-a.zip"), REFUSED

    def change(done: Callable[[bytes], bytes]) -> Damage:
        return lambda folder: edit(done)(folder / name)

    yield "a tar that is not packed", change(gzip.decompress), REFUSED
    yield "packed twice", change(gzip.compress), REFUSED
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        yield f"{share:.0%} of it", change(lambda content, share=share: content[: int(share * len(content))]), REFUSED
    for seed in range(10, 20):  # some are in the header of gzip, where they say nothing
        yield f"flipped bit {seed}", lambda folder, seed=seed: flip(seed)(folder / name), (REFUSED, HARMLESS)


SETS = {
    "ptbdb": ptbdb_sets,
    "ptbdb with sums": lambda: [("two patients swapped", swap("patient001", "patient002"), REFUSED)],
    "brugada": brugada_sets,
    "cinc2012 packed": cinc2012_archives,
}


@pytest.mark.parametrize(
    ("name", "damage", "expected"),
    [pytest.param(name, damage, expected, id=f"{name}-{what}")
     for name, sets in SETS.items() for what, damage, expected in sets()],
)  # fmt: skip
def test_sets(end, name, damage, expected):
    found = end(name, damage)
    assert found == expected or found in expected
