"""A campaign of bad input over PAMAP2, UCI HAR, DSADS and HAPT.

What can happen to any file happens to a file of every kind of every set; then come single values, columns and rows, and
what can be wrong with a set as a whole. Each damage is done to a copy of a small set.

Not here, since nothing in the files can show it and no sums are published: a number changed into another that the
sensor could have said; in UCI HAR, DSADS and HAPT, which have no times, also rows in another order.
"""

import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import outcome
import pytest
from test_ecg_icu import COUNTED, FORMS, HARMLESS, NO_FILE, OTHER_CONTENT, REFUSED, edit, flip

from rdpd_nb import data
from rdpd_nb.data import dsads, hapt, uci_har

Damage = Callable[[Path], object]

# ------------------------------------------------------------------------------------------------- small whole sets


def lines_of(values: np.ndarray, form: str = "%.6g", separator: str = " ") -> str:
    row = separator.join([form] * values.shape[1]) + "\n"
    return (row * len(values) % tuple(values.ravel().tolist())).replace("nan", "NaN")


def make_pamap2(folder: Path) -> None:
    """Three people: something, walking, something, lying; heart rate in every ninth row. The last row is of a bout."""
    (folder / "Protocol").mkdir()
    for subject in (101, 102, 105):
        rng = np.random.default_rng(subject)
        activity = np.repeat([0, 4, 0, 1], [50, 540, 40, 530])
        time = 8.3 + np.arange(len(activity)) / 100
        rate = np.where(np.arange(len(time)) % 9 == 4, 75 + rng.integers(0, 20, len(time)), np.nan)
        imus = rng.normal(0, 0.2, (len(time), 3, 17)) + np.repeat([33, 4, 2, 1, 20, 0.3], [1, 3, 3, 3, 3, 4])
        values = np.column_stack([np.round(time, 2), activity, rate, imus.reshape(len(time), -1)])
        (folder / "Protocol" / f"subject{subject}.dat").write_text(lines_of(values))


def make_uci_har(folder: Path) -> None:
    """Three windows each of three people in the training part, and of two in the test part."""
    for part, people in (("train", (1, 3, 5)), ("test", (2, 4))):
        base = folder / "UCI HAR Dataset" / part
        (base / "Inertial Signals").mkdir(parents=True)
        rng, count = np.random.default_rng(people[0]), 3 * len(people)
        for name in uci_har.SPEC.channels:
            values = rng.normal(0.5 * (name == "total_acc_z"), 0.2, (count, 128))
            (base / "Inertial Signals" / f"{name}_{part}.txt").write_text(lines_of(values, "%.7e"))
        (base / f"y_{part}.txt").write_text("".join(f"{i % 6 + 1}\n" for i in range(count)))
        (base / f"subject_{part}.txt").write_text("".join(f"{who}\n" for who in people for _ in range(3)))


def make_dsads(folder: Path) -> None:
    """Two people, one segment of each activity."""
    rng = np.random.default_rng(0)
    for name in dsads._expected():
        path = folder / "data" / f"{name}.txt"
        path.parent.mkdir(parents=True)
        path.write_text(lines_of(rng.normal(0, 0.3, (125, 45)), "%.5g", ","))


def make_hapt(folder: Path) -> None:
    """Four recordings of three people, two stretches and a transition in each."""
    (folder / "RawData").mkdir()
    labels = []
    for experiment, user in ((1, 1), (2, 1), (3, 2), (4, 3)):
        for sensor in ("acc", "gyro"):
            values = np.random.default_rng([experiment, sensor == "acc"]).normal(0, 0.3, (450, 3))
            (folder / "RawData" / f"{sensor}_exp{experiment:02}_user{user:02}.txt").write_text(lines_of(values, "%.8f"))
        for activity, first, last in ((experiment, 10, 200), (7, 201, 240), (6, 260, 450)):
            labels.append([experiment, user, activity, first, last])
    (folder / "RawData" / "labels.txt").write_text(lines_of(np.array(labels), "%d"))


def packed(make: Damage, name: str) -> Damage:
    def pack(folder: Path) -> None:
        make(folder)
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*.txt")):
                archive.write(path, path.relative_to(folder))
        for path in list(folder.glob("*/")):
            shutil.rmtree(path)

    return pack


MAKERS: dict[str, Damage] = {
    "pamap2": make_pamap2,
    "uci_har": make_uci_har,
    "dsads": make_dsads,
    "dsads zipped": packed(make_dsads, "dsads.zip"),
    "hapt": make_hapt,
    "hapt zipped": packed(make_hapt, "HAPT Data Set.zip"),
}


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dsads, "PEOPLE", 2)
        patch.setattr(dsads, "SEGMENTS", 1)
        patch.setattr(dsads, "BATCH", 20)
        patch.setattr(hapt, "RECORDINGS", 4)
        patch.setattr(hapt, "PEOPLE", 3)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return outcome.made_once(tmp_path_factory, MAKERS, lambda name, folder: outcome.read(name.split()[0], folder))


@pytest.fixture
def end(whole, tmp_path):
    """How reading ends after a damage to a copy of a set."""

    def give(name: str, damage: Damage) -> str:
        original, expected = whole(name)
        folder = tmp_path / "raw"
        shutil.copytree(original, folder)
        damage(folder)
        return outcome.judge(name.split()[0], folder, expected, name, names=str(folder))

    return give


# ---------------------------------------------------------------------------------------------------- any file

SIGNALS = "UCI HAR Dataset/train/Inertial Signals"
ONE_OF = {  # set -> a file of each kind
    "pamap2": ["Protocol/subject102.dat"],
    "uci_har": [
        f"{SIGNALS}/body_gyro_y_train.txt",
        "UCI HAR Dataset/test/y_test.txt",
        "UCI HAR Dataset/train/subject_train.txt",
    ],
    "dsads": ["data/a07/p2/s01.txt"],
    "dsads zipped": ["dsads.zip"],
    "hapt": ["RawData/acc_exp02_user01.txt", "RawData/gyro_exp03_user02.txt", "RawData/labels.txt"],
    "hapt zipped": ["HAPT Data Set.zip"],
}
CUTS = {
    f"cut at {share:.0%}": edit(lambda content, s=share: content[: int(len(content) * s)])
    for share in (0.03, 0.6, 0.98)
}
ANY = [
    pytest.param(name, file, what, damage, id=f"{name}-{file.split('/')[-1]}-{what}")
    for name, files in ONE_OF.items()
    for file in files
    for what, damage in (NO_FILE | OTHER_CONTENT | CUTS | (FORMS if "zipped" not in name else {})).items()
]


@pytest.mark.parametrize(("name", "file", "what", "damage"), ANY)
def test_any_file(end, name, file, what, damage):
    found = end(name, lambda folder: damage(folder / file))
    if what in FORMS and what != "no last line end":
        assert found in ([HARMLESS] if what == "CRLF" else [HARMLESS, REFUSED])
    elif "zipped" in name and what in ("a byte more", "twice"):
        assert found in (HARMLESS, REFUSED)  # a zip file's end says where it begins
    elif name == "pamap2" and what in ("missing", "two bytes less", "a byte less", "no last line end"):
        # a person may be missing; the published files could not be read here, so their last line may lack its end
        assert found == (COUNTED if what in ("missing", "two bytes less") else HARMLESS)
    else:
        assert found == REFUSED


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["dsads zipped", "hapt zipped"])
def test_a_flipped_bit_of_an_archive(end, name, seed):
    assert end(name, lambda folder: flip(seed)(folder / ONE_OF[name][0])) in (REFUSED, HARMLESS)


@pytest.mark.parametrize("what", NO_FILE)
@pytest.mark.parametrize(("name", "file"), [(name, files[0]) for name, files in ONE_OF.items()])
def test_any_file_in_the_way_that_a_notebook_loads_it(whole, tmp_path, monkeypatch, name, file, what):
    """`data.load` looks at the raw files' sizes and times before it reads them."""
    if name == "pamap2" and what == "missing":
        pytest.skip("a person may be missing")
    dataset = name.split()[0]
    shutil.copytree(whole(name)[0], tmp_path / "raw" / dataset)
    NO_FILE[what](tmp_path / "raw" / dataset / file)
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "data"))
    said = lambda: data.load(dataset, source="real", raw=str(tmp_path / "raw"), progress=lambda line: None)  # noqa: E731
    outcome.said(said, f"{name}, loaded", names=str(tmp_path / "raw" / dataset))
    assert not (tmp_path / "data" / "cache").exists() or not os.listdir(tmp_path / "data" / "cache")


# ---------------------------------------------------------------------------------------------------- one value

NO_NUMBER = ["NA", "", "1,5", "0x1F", "--1", "1_0", "x", "1e", "１"]
NO_VALUE = ["nan", "NaN", "-nan", "inf", "-inf", "1e30", "-99999", "1e39", "-1e999"]
PLACES = {  # set, what the value is -> file, separator, column
    **{("pamap2", kind): ("Protocol/subject102.dat", " ", column)
       for kind, column in {"time": 0, "activity": 1, "heart rate": 2, "temperature": 3, "acc16": 21, "acc6": 24,
                            "gyro": 44, "mag": 47, "orientation": 53}.items()},
    ("uci_har", "body_acc"): (f"{SIGNALS}/body_acc_z_train.txt", " ", 1),
    ("uci_har", "body_gyro"): (f"{SIGNALS}/body_gyro_z_train.txt", " ", 127),
    ("uci_har", "total_acc"): (f"{SIGNALS}/total_acc_z_train.txt", " ", 60),
    ("uci_har", "label"): ("UCI HAR Dataset/test/y_test.txt", " ", 0),
    ("uci_har", "subject"): ("UCI HAR Dataset/test/subject_test.txt", " ", 0),
    ("dsads", "acc"): ("data/a07/p2/s01.txt", ",", 0),
    ("dsads", "gyro"): ("data/a07/p2/s01.txt", ",", 14),
    ("dsads", "mag"): ("data/a07/p2/s01.txt", ",", 44),
    ("hapt", "acc"): ("RawData/acc_exp02_user01.txt", " ", 2),
    ("hapt", "gyro"): ("RawData/gyro_exp03_user02.txt", " ", 0),
    ("hapt", "label"): ("RawData/labels.txt", " ", 3),
}  # fmt: skip


def set_value(file: str, separator: str, column: int, word: str, share: float = 0.5) -> Damage:
    """A value of one line, at this share of the lines, replaced by a word."""

    def damage(folder: Path) -> None:
        lines = (folder / file).read_text().splitlines()
        number = int(share * (len(lines) - 1))
        values = lines[number].split(separator)
        values[column] = word
        lines[number] = separator.join(values)
        (folder / file).write_text("\n".join(lines) + "\n")

    return damage


@pytest.mark.parametrize("word", NO_NUMBER + NO_VALUE)
@pytest.mark.parametrize("place", PLACES, ids="-".join)
def test_one_value(end, place, word):
    name, kind = place
    share = 0.2365 if kind == "heart rate" else 0.3  # a row that has one
    found = end(name, set_value(*PLACES[place], word, share))
    measured = name == "pamap2" and kind not in ("time", "activity")
    assert found == (COUNTED if measured and word in NO_VALUE else REFUSED)


@pytest.mark.parametrize("line", [1, 40, 41, 60, 589, 590, 1000, 1160])
def test_a_wild_value_anywhere_in_pamap2(end, line):
    """In a row that is used it is counted, in another it does no harm."""

    def damage(folder: Path) -> None:
        path = folder / "Protocol" / "subject102.dat"
        lines = path.read_text().splitlines()
        lines[line - 1] = " ".join([*lines[line - 1].split()[:3], *["-1e30"] * 51])
        path.write_text("\n".join(lines) + "\n")

    assert end("pamap2", damage) == (COUNTED if line > 50 and not 590 < line <= 630 else HARMLESS)


# ---------------------------------------------------------------------------------------------------- rows and columns


def table(change: Callable[[list[list[str]]], list[list[str]]], separator: str = " ", write: str = "") -> Damage:
    """A change to the rows of a file, each a list of its values; written with another separator if one is given."""

    def damage(path: Path) -> None:
        rows = [line.split(separator) for line in path.read_text().splitlines()]
        path.write_text("".join((write or separator).join(row) + "\n" for row in change(rows)))

    return damage


def each(change: Callable[[list[str]], list[str]], separator: str = " ", write: str = "") -> Damage:
    return table(lambda rows: [change(row) for row in rows], separator, write)


def one(change: Callable[[list[str]], list[str]], separator: str = " ") -> Damage:
    return table(lambda rows: [*rows[:5], change(rows[5]), *rows[6:]], separator)


def forms(separator: str) -> dict[str, Damage]:
    """What makes another table of one of numbers."""
    other = {"tab": "\t", "semicolon": ";", "bar": "|", "comma": ",", "two": 2 * separator}
    return {
        "a column less": each(lambda row: row[:-1], separator),
        "a column more": each(lambda row: [*row, "1"], separator),
        "a column twice": each(lambda row: [row[0], *row], separator),
        "a value less in a line": one(lambda row: row[:-1], separator),
        "a value more in a line": one(lambda row: [*row, "1"], separator),
        "a line of 100,000 columns": one(lambda row: ["1"] * 100_000, separator),
        "a line of 3 MB": one(lambda row: ["1" * 3_000_000, *row[1:]], separator),
        "a line of spaces": one(lambda row: ["   "], separator),
        "a header": table(lambda rows: [[f"c{i}" for i in range(len(rows[0]))], *rows], separator),
        "quoted": each(lambda row: [f'"{value}"' for value in row], separator),
        "an index before each line": table(lambda rows: [[str(i), *row] for i, row in enumerate(rows)], separator),
        "decimal commas": each(lambda row: [value.replace(".", ",") for value in row], separator, write="\t"),
        "a line twice": table(lambda rows: [*rows[:6], rows[5], *rows[6:]], separator),
        "the first line is missing": table(lambda rows: rows[1:], separator),
        **{f"separator {what}": each(lambda row: row, separator, write=char) for what, char in other.items()
           if char != separator},
    }  # fmt: skip


TABLES = {
    "pamap2": ("Protocol/subject102.dat", " "),
    "uci_har": (f"{SIGNALS}/total_acc_x_train.txt", " "),
    "dsads": ("data/a07/p2/s01.txt", ","),
    "hapt": ("RawData/acc_exp02_user01.txt", " "),
}


@pytest.mark.parametrize("what", forms(" "))
@pytest.mark.parametrize("name", TABLES)
def test_another_table(end, name, what):
    file, separator = TABLES[name]
    if what not in (damages := forms(separator)):
        pytest.skip("its own separator")
    found = end(name, lambda folder: damages[what](folder / file))
    if name == "uci_har" and what in ("separator tab", "separator two"):
        assert found == HARMLESS  # the publisher has one or two spaces
    elif name == "pamap2" and what == "the first line is missing":
        assert found == HARMLESS  # it is of no activity
    else:
        assert found == REFUSED


def shuffled(rows: list, seed: int = 0) -> list:
    return [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]


def times(change: Callable[[float, int], float]) -> Damage:
    """Another time in each row, from its time and number."""
    return table(lambda rows: [[f"{change(float(row[0]), i):.14g}", *row[1:]] for i, row in enumerate(rows)])


def column(number: int, change: Callable[[str], str]) -> Damage:
    return each(lambda row: [*row[:number], change(row[number]), *row[number + 1 :]])


def swap(one: int, other: int) -> Damage:
    def change(row: list[str]) -> list[str]:
        row[one], row[other] = row[other], row[one]
        return row

    return each(change)


SUBJECT = "Protocol/subject102.dat"
PAMAP2 = {  # of one file -> how it ends
    "rows reversed": (table(lambda rows: rows[::-1]), REFUSED),
    "rows shuffled": (table(shuffled), REFUSED),
    "rows of a bout shuffled": (table(lambda rows: [*rows[:60], *shuffled(rows[60:500]), *rows[500:]]), REFUSED),
    "two rows exchanged": (table(lambda rows: [*rows[:99], rows[100], rows[99], *rows[101:]]), REFUSED),
    "halves exchanged": (table(lambda rows: rows[600:] + rows[:600]), REFUSED),
    "each row twice": (table(lambda rows: [row for row in rows for _ in "12"]), REFUSED),
    "every second row": (table(lambda rows: rows[::2]), REFUSED),
    "every third row": (table(lambda rows: rows[::3]), REFUSED),
    "a row lost in a bout": (table(lambda rows: rows[:300] + rows[301:]), COUNTED),
    "a fifth of a second lost": (table(lambda rows: rows[:300] + rows[320:]), COUNTED),
    "three seconds lost": (table(lambda rows: rows[:200] + rows[500:]), COUNTED),
    "a tenth of the rows lost": (table(lambda rows: [row for i, row in enumerate(rows) if i * 7 % 10]), COUNTED),
    "cut between two lines": (table(lambda rows: rows[:900]), COUNTED),
    "equal times": (times(lambda t, i: 8.3), REFUSED),
    "milliseconds": (times(lambda t, i: 1000 * t), REFUSED),
    "microseconds": (times(lambda t, i: 1e6 * t), REFUSED),
    "minutes": (times(lambda t, i: t / 60), REFUSED),
    "row numbers": (times(lambda t, i: i), REFUSED),
    "times of 50 Hz": (times(lambda t, i: 8 + i / 50), REFUSED),
    "times before 0": (times(lambda t, i: t - 10), REFUSED),
    "times that run back": (times(lambda t, i: 100 - t), REFUSED),
    "a clock set back": (times(lambda t, i: t - 5 * (i > 600)), REFUSED),
    "a clock set back outside a bout": (times(lambda t, i: t - 5 * (i > 610)), REFUSED),
    "infinite at the end": (times(lambda t, i: np.inf if i == 1159 else t), REFUSED),
    "far off at the end": (times(lambda t, i: 1e300 if i == 1159 else t), COUNTED),
    "seconds since 1970": (times(lambda t, i: t + 1.6e9), HARMLESS),
    "times a millisecond off": (times(lambda t, i: t + i % 2 / 1000), HARMLESS),
    "time and activity exchanged": (swap(0, 1), REFUSED),
    "activity and heart rate exchanged": (swap(1, 2), REFUSED),
    "no activity": (column(1, lambda v: "0"), COUNTED),
    "activities of the optional files": (column(1, lambda v: "9"), COUNTED),
    "an unknown activity": (column(1, lambda v: {"4": "8"}.get(v, v)), REFUSED),
    "activity 1000": (column(1, lambda v: {"4": "1000"}.get(v, v)), REFUSED),
    "activity -1": (column(1, lambda v: {"4": "-1"}.get(v, v)), REFUSED),
    "activities as decimals": (column(1, lambda v: f"{v}.0"), REFUSED),
    "no heart rate": (column(2, lambda v: "NaN"), COUNTED),
    "heart rate 0 where it is missing": (column(2, lambda v: v.replace("NaN", "0")), HARMLESS),
    "heart rate a second": (column(2, lambda v: f"{float(v) / 60:g}"), COUNTED),
    "no accelerometer": (each(lambda row: [*row[:21], *["NaN"] * 3, *row[24:]]), COUNTED),
    "no chest": (each(lambda row: [*row[:20], *["NaN"] * 17, *row[37:]]), COUNTED),
    "nothing measured": (each(lambda row: [*row[:2], *["NaN"] * 52]), COUNTED),
    "temperature in kelvin": (column(3, lambda v: f"{float(v) + 273.15:g}"), COUNTED),
    "acceleration in mm/s2": (column(21, lambda v: f"{1000 * float(v):g}"), COUNTED),
    "magnetic field in nT": (column(30, lambda v: f"{1000 * float(v):g}"), COUNTED),
    "-999 for missing": (column(4, lambda v: "-999" if float(v) > 4.3 else v), COUNTED),
    "infinite everywhere": (each(lambda row: [*row[:2], *["inf"] * 52]), COUNTED),
    "empty lines": (table(lambda rows: [r for row in rows for r in (row, [""])]), HARMLESS),
}


@pytest.mark.parametrize("what", PAMAP2)
def test_rows_and_columns_of_pamap2(end, what):
    damage, expected = PAMAP2[what]
    assert end("pamap2", lambda folder: damage(folder / SUBJECT)) == expected


# ---------------------------------------------------------------------------------------------------- a set as a whole


def every(pattern: str, damage: Damage) -> Damage:
    def all_of_them(folder: Path) -> None:
        assert (paths := sorted(folder.rglob(pattern)))
        for path in paths:
            damage(path)

    return all_of_them


def copy(one: str, other: str) -> Damage:
    def damage(folder: Path) -> None:
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / one, folder / other)

    return damage


def move(one: str, other: str) -> Damage:
    return lambda folder: (folder / one).rename(folder / other)


def exchange(one: str, other: str) -> Damage:
    def damage(folder: Path) -> None:
        first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(second)
        (folder / other).write_bytes(first)

    return damage


def of(file: str, damage: Damage) -> Damage:
    return lambda folder: damage(folder / file)


def both(*damages: Damage) -> Damage:
    return lambda folder: [damage(folder) for damage in damages]


def set_lines(**lines: str) -> Damage:
    """In a file of one value a line: line numbers from 1 as n1, n2, ..., -1 as n_1, to their new words."""

    def damage(path: Path) -> None:
        rows = path.read_text().splitlines()
        for name, word in lines.items():
            number = int(name[1:].replace("_", "-"))
            rows[number - (number > 0)] = word
        path.write_text("\n".join(rows) + "\n")

    return damage


HAR = "UCI HAR Dataset"
LAST = f"{HAR}/test/Inertial Signals"


def copy_part(folder: Path, keep_subjects: bool = True) -> None:
    """The test part becomes the training part, its subjects may stay of the test part."""
    for path in (folder / HAR / "train").rglob("*_train.txt"):
        below = str(path.relative_to(folder)).replace("train", "test")
        if not (keep_subjects and path.name.startswith("subject")):
            shutil.copy(path, folder / below)
    if keep_subjects:
        (folder / HAR / "test" / "subject_test.txt").write_text("2\n" * 9)


def one_window_of_the_other_part(folder: Path) -> None:
    for path in (folder / LAST).iterdir():
        line = path.read_text().splitlines()[0]
        set_lines(n2=line)(folder / SIGNALS / path.name.replace("test", "train"))


def signals(damage: Damage, part: str = "*") -> Damage:
    return every(f"*_[xyz]_{part}.txt", damage)


WHOLE = {
    # ------------------------------------------------------------------------------------------------ PAMAP2
    ("pamap2", "a person copied"): (copy("Protocol/subject101.dat", SUBJECT), REFUSED),
    ("pamap2", "a person copied as a new one"): (copy(SUBJECT, "Protocol/subject109.dat"), REFUSED),
    ("pamap2", "a person copied, ten seconds later"): (
        both(copy("Protocol/subject101.dat", SUBJECT), of(SUBJECT, times(lambda t, i: t + 10))), REFUSED),
    ("pamap2", "a person copied, its beginning cut"): (
        both(copy("Protocol/subject101.dat", SUBJECT), of(SUBJECT, table(lambda rows: rows[200:]))), REFUSED),
    ("pamap2", "a bout of another"): (
        lambda folder: of(SUBJECT, table(lambda rows: [*rows[:590], *[
            [row[0], *line.split()[1:]] for row, line in zip(
                rows[590:], (folder / "Protocol/subject105.dat").read_text().splitlines()[590:], strict=True)
        ]]))(folder), REFUSED),
    ("pamap2", "subject 199"): (move(SUBJECT, "Protocol/subject199.dat"), REFUSED),
    ("pamap2", "subject 100"): (copy(SUBJECT, "Protocol/subject100.dat"), REFUSED),
    ("pamap2", "a browser's second download"): (copy(SUBJECT, "Protocol/subject102 (1).dat"), HARMLESS),
    ("pamap2", "files in capitals"): (every("*.dat", lambda path: path.rename(path.with_suffix(".DAT"))), REFUSED),
    ("pamap2", "files beside the folder"): (
        lambda folder: [path.rename(folder / path.name) for path in folder.glob("Protocol/*")], REFUSED),
    ("pamap2", "Protocol is a file"): (
        both(lambda folder: shutil.rmtree(folder / "Protocol"), lambda folder: (folder / "Protocol").touch()), REFUSED),
    ("pamap2", "Protocol is a link to itself"): (
        both(lambda folder: shutil.rmtree(folder / "Protocol"),
             lambda folder: (folder / "Protocol").symlink_to("Protocol")), REFUSED),
    ("pamap2", "in the zip file's folder"): (
        both(lambda folder: (folder / "PAMAP2_Dataset").mkdir(), move("Protocol", "PAMAP2_Dataset/Protocol")),
        HARMLESS),
    ("pamap2", "nobody has a heart rate"): (every("*.dat", column(2, lambda v: "NaN")), REFUSED),
    ("pamap2", "everybody's heart rate in another unit"): (
        every("*.dat", column(2, lambda v: f"{float(v) / 60:g}")), REFUSED),
    ("pamap2", "nobody has a chest"): (
        every("*.dat", each(lambda row: [*row[:20], *["NaN"] * 17, *row[37:]])), REFUSED),
    ("pamap2", "nothing measured"): (every("*.dat", each(lambda row: [*row[:2], *["NaN"] * 52])), REFUSED),
    ("pamap2", "infinite everywhere"): (every("*.dat", each(lambda row: [*row[:2], *["inf"] * 52])), REFUSED),
    ("pamap2", "no activity"): (every("*.dat", column(1, lambda v: "0")), REFUSED),
    ("pamap2", "all at 50 Hz"): (every("*.dat", table(lambda rows: rows[::2])), REFUSED),
    # ------------------------------------------------------------------------------------------------ UCI HAR
    ("uci_har", "a test subject's id in the training part"): (
        of(f"{HAR}/train/subject_train.txt", set_lines(n4="2")), REFUSED),
    ("uci_har", "a training subject's id in the test part"): (
        of(f"{HAR}/test/subject_test.txt", set_lines(n_1="3")), REFUSED),
    **{("uci_har", f"subject {who}"): (of(f"{HAR}/train/subject_train.txt", set_lines(n4=who)), REFUSED)
       for who in ("0", "-1", "31", "2000", "1.5", "1e300")},
    ("uci_har", "subjects exchanged"): (
        exchange(f"{HAR}/train/subject_train.txt", f"{HAR}/test/subject_test.txt"), REFUSED),
    ("uci_har", "parts exchanged"): (
        both(move(f"{HAR}/train", f"{HAR}/old"), move(f"{HAR}/test", f"{HAR}/train"),
             move(f"{HAR}/old", f"{HAR}/test")), REFUSED),
    ("uci_har", "identical parts"): (lambda folder: copy_part(folder, keep_subjects=False), REFUSED),
    ("uci_har", "identical parts, other subjects"): (copy_part, REFUSED),
    ("uci_har", "identical parts without subjects"): (
        both(copy_part, every("subject_*.txt", Path.unlink)), REFUSED),
    ("uci_har", "a window of the test part in the training part"): (one_window_of_the_other_part, REFUSED),
    ("uci_har", "a window twice"): (
        every("*_train.txt", table(lambda rows: [*rows[:3], rows[2], *rows[3:]], "\n")), REFUSED),
    ("uci_har", "a line twice in one channel"): (
        of(f"{LAST}/total_acc_z_test.txt", table(lambda rows: [rows[0], rows[0], *rows[2:]], "\n")), COUNTED),
    ("uci_har", "a window less in one channel"): (
        of(f"{LAST}/total_acc_z_test.txt", table(lambda rows: rows[1:])), REFUSED),
    ("uci_har", "a channel twice"): (copy(f"{LAST}/body_acc_x_test.txt", f"{LAST}/total_acc_x_test.txt"), REFUSED),
    ("uci_har", "a channel of the other part"): (
        copy(f"{SIGNALS}/body_acc_x_train.txt", f"{LAST}/body_acc_x_test.txt"), REFUSED),
    ("uci_har", "labels from 0"): (
        every("y_*.txt", each(lambda row: [str(int(row[0]) - 1)])), REFUSED),
    ("uci_har", "labels by name"): (every("y_*.txt", each(lambda row: ["WALKING"])), REFUSED),
    ("uci_har", "label 7"): (of(f"{HAR}/test/y_test.txt", set_lines(n_1="7")), REFUSED),
    ("uci_har", "labels and subjects exchanged"): (
        exchange(f"{HAR}/train/y_train.txt", f"{HAR}/train/subject_train.txt"), REFUSED),
    ("uci_har", "acceleration in m/s2, hundredths"): (
        signals(each(lambda row: [f"{100 * float(v):g}" for v in row if v])), REFUSED),
    ("uci_har", "no subjects in one part"): (of(f"{HAR}/test/subject_test.txt", Path.unlink), REFUSED),
    ("uci_har", "no subjects"): (every("subject_*.txt", Path.unlink), COUNTED),
    ("uci_har", "no test part"): (lambda folder: shutil.rmtree(folder / HAR / "test"), REFUSED),
    ("uci_har", "no signals"): (lambda folder: shutil.rmtree(folder / SIGNALS), REFUSED),
    ("uci_har", "signals of half a window"): (signals(each(lambda row: row[: len(row) // 2])), REFUSED),
    ("uci_har", "a line for each sample"): (
        signals(table(lambda rows: [[value] for row in rows for value in row if value])), REFUSED),
    ("uci_har", "the set itself"): (
        both(lambda folder: [path.rename(folder / path.name) for path in [*(folder / HAR).iterdir()]],
             lambda folder: (folder / HAR).rmdir()), HARMLESS),
    # ------------------------------------------------------------------------------------------------ DSADS
    ("dsads", "a segment copied"): (copy("data/a01/p1/s01.txt", "data/a07/p2/s01.txt"), REFUSED),
    ("dsads", "a segment copied, other line ends"): (
        both(copy("data/a01/p1/s01.txt", "data/a07/p2/s01.txt"), of("data/a07/p2/s01.txt", FORMS["CRLF"])), REFUSED),
    ("dsads", "a person copied"): (
        lambda folder: [shutil.copy(path, path.parents[1] / "p2") for path in folder.rglob("p1/*.txt")], REFUSED),
    ("dsads", "a person less"): (lambda folder: [shutil.rmtree(path) for path in [*folder.rglob("p2")]], REFUSED),
    ("dsads", "a person more"): (copy("data/a01/p1/s01.txt", "data/a01/p3/s01.txt"), REFUSED),
    ("dsads", "an activity less"): (lambda folder: shutil.rmtree(folder / "data/a19"), REFUSED),
    ("dsads", "an activity more"): (move("data/a19", "data/a20"), REFUSED),
    ("dsads", "activity 00"): (move("data/a19", "data/a00"), REFUSED),
    ("dsads", "names in capitals"): (move("data/a19/p2/s01.txt", "data/a19/p2/S01.TXT"), REFUSED),
    ("dsads", "a copy of the set beside it"): (
        lambda folder: shutil.copytree(folder / "data", folder / "copy"), REFUSED),
    ("dsads", "a note inside"): (copy("data/a01/p1/s01.txt", "data/notes/mine.txt"), REFUSED),
    ("dsads", "a note beside"): (copy("data/a01/p1/s01.txt", "mine.txt"), HARMLESS),
    ("dsads", "in thousandths"): (
        every("s01.txt", each(lambda row: [f"{10_000 * float(v):g}" for v in row], ",")), REFUSED),
    ("dsads", "a row moved to the next file"): (
        both(of("data/a01/p1/s01.txt", table(lambda rows: rows[:-1])),
             of("data/a01/p2/s01.txt", table(lambda rows: [*rows, rows[0]]))), REFUSED),
    ("dsads", "nothing but an archive of another set"): (
        both(lambda folder: shutil.rmtree(folder / "data"), packed(make_hapt, "dsads.zip")), REFUSED),
    ("dsads zipped", "two archives"): (copy("dsads.zip", "dsads (1).zip"), REFUSED),
    ("dsads zipped", "a text file called .zip"): (of("dsads.zip", lambda path: path.write_text("1,2,3\n")), REFUSED),
    # ------------------------------------------------------------------------------------------------ HAPT
    ("hapt", "a signal copied"): (copy("RawData/acc_exp02_user01.txt", "RawData/acc_exp01_user01.txt"), REFUSED),
    ("hapt", "a signal copied, other line ends"): (
        both(copy("RawData/acc_exp02_user01.txt", "RawData/acc_exp01_user01.txt"),
             of("RawData/acc_exp01_user01.txt", FORMS["CRLF"])), REFUSED),
    ("hapt", "acceleration in both files"): (
        copy("RawData/acc_exp03_user02.txt", "RawData/gyro_exp03_user02.txt"), REFUSED),
    ("hapt", "a recording copied to another person"): (
        both(copy("RawData/acc_exp03_user02.txt", "RawData/acc_exp04_user03.txt"),
             copy("RawData/gyro_exp03_user02.txt", "RawData/gyro_exp04_user03.txt")), REFUSED),
    ("hapt", "a recording of another user"): (
        both(move("RawData/acc_exp02_user01.txt", "RawData/acc_exp02_user02.txt"),
             move("RawData/gyro_exp02_user01.txt", "RawData/gyro_exp02_user02.txt")), REFUSED),
    ("hapt", "one of its files of another user"): (
        move("RawData/acc_exp02_user01.txt", "RawData/acc_exp02_user02.txt"), REFUSED),
    ("hapt", "experiment 0"): (move("RawData/acc_exp01_user01.txt", "RawData/acc_exp00_user01.txt"), REFUSED),
    ("hapt", "user 4"): (
        both(move("RawData/acc_exp04_user03.txt", "RawData/acc_exp04_user04.txt"),
             move("RawData/gyro_exp04_user03.txt", "RawData/gyro_exp04_user04.txt"),
             of("RawData/labels.txt", column(1, lambda v: v.replace("3", "4")))), REFUSED),
    ("hapt", "a copy of the set beside it"): (
        lambda folder: shutil.copytree(folder / "RawData", folder / "Raw-Data"), REFUSED),
    ("hapt", "degrees a second"): (
        every("gyro_*.txt", each(lambda row: [f"{100 * float(v):g}" for v in row])), REFUSED),
    ("hapt", "acceleration in m/s2, tenths"): (
        every("acc_*.txt", each(lambda row: [f"{98.1 * float(v):g}" for v in row])), REFUSED),
    ("hapt", "a row less"): (of("RawData/gyro_exp03_user02.txt", table(lambda rows: rows[1:])), REFUSED),
    ("hapt", "half a recording"): (
        both(*(of(f"RawData/{sensor}_exp03_user02.txt", table(lambda rows: rows[:225])) for sensor in ("acc", "gyro"))),
        REFUSED),
    **{("hapt", f"labels: {what}"): (of("RawData/labels.txt", damage), REFUSED) for what, damage in {
        "counted from 0": each(lambda row: [str(int(v) - 1) for v in row]),
        "activity 13": column(2, lambda v: v.replace("7", "13")),
        "activity 0": column(2, lambda v: v.replace("7", "0")),
        "transitions alone": column(2, lambda v: "7"),
        "first and last exchanged": swap(3, 4),
        "experiment and user exchanged": swap(0, 1),
        "twice": table(lambda rows: rows + rows),
        "beyond the end": column(4, lambda v: v.replace("450", "451")),
        "in seconds": each(lambda row: [*row[:3], *[f"{int(v) / 50:g}" for v in row[3:]]]),
        "overlapping": column(3, lambda v: v.replace("260", "240")),
        "an experiment less": table(lambda rows: rows[3:]),
        "a far sample": column(4, lambda v: v.replace("450", "99999999")),
        "no number": column(4, lambda v: v.replace("450", "end")),
    }.items()},
    ("hapt zipped", "two archives"): (copy("HAPT Data Set.zip", "HAPT.zip"), REFUSED),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE, ids=": ".join)
def test_a_set_as_a_whole(end, case):
    damage, expected = WHOLE[case]
    assert end(case[0], damage) == expected


def test_bouts_shorter_than_a_window(whole, tmp_path):
    shutil.copytree(whole("pamap2")[0], tmp_path / "raw")
    every("*.dat", table(lambda rows: rows[300:800]))(tmp_path / "raw")
    outcome.said(lambda: outcome.read("pamap2", tmp_path / "raw"), "pamap2", names="no recording is as long as")


@pytest.mark.parametrize("name", MAKERS)
def test_a_folder_that_may_not_be_read(whole, tmp_path, monkeypatch, name):
    """Root may read all, so the refusal is made up."""
    shutil.copytree(whole(name)[0], tmp_path / "raw")

    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    sentence = outcome.said(lambda: outcome.read(name.split()[0], tmp_path / "raw"), name, names=str(tmp_path / "raw"))
    assert "Permission denied" in sentence


@pytest.mark.parametrize(("name", "file"), [(name, file) for name, files in ONE_OF.items() for file in files])
def test_a_file_that_may_not_be_read(whole, tmp_path, monkeypatch, name, file):
    shutil.copytree(whole(name)[0], tmp_path / "raw")
    whole_open = Path.open

    def refuse(path, *given, **more):
        if path == tmp_path / "raw" / file:
            raise PermissionError(13, "Permission denied", str(path))
        return whole_open(path, *given, **more)

    monkeypatch.setattr(Path, "open", refuse)
    sentence = outcome.said(lambda: outcome.read(name.split()[0], tmp_path / "raw"), name, names=file)
    assert "Permission denied" in sentence
