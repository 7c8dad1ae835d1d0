"""A campaign of bad input over PTBDB, Brugada-HUCA, CinC 2012 and a user's own files.

What can happen to any file happens to a file of every kind of every set; then come the fields of headers and tables,
one by one, and what can be wrong with a set as a whole. Each damage is done to a copy of a small set.
"""

import gzip
import hashlib
import os
import shutil
import signal
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
    """The folder of a whole set, and what is read from it, by name; made once."""
    made = {}

    def give(name: str):
        if name not in made:
            folder = tmp_path_factory.mktemp("whole") / "raw"
            folder.mkdir()
            MAKERS[name](folder)
            made[name] = folder, read(name, folder)
        return made[name]

    return give


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
