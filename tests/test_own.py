"""A user's own files: what is read, beside hand-made numbers, wfdb and Brugada's own reader; and a sentence a fault."""

import gzip
import io
import os
import re
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from rdpd_nb.data import brugada
from rdpd_nb.data.own import read_own
from rdpd_nb.errors import UserError

EMBEDDED = Path(__file__).parents[1] / "data/open/brugada"
NAMES = ["r1", "r2", "r10", "r11"]  # in the order that numbers have
LABELS = "recording,subject,label,age,sex\nr10,7,1,50,f\nr2,7,0,,m\nr1,12,0,61.5,\nr11,3,1,40,m\n"
CLASSES = {"well": ["0"], "ill": ["1"]}


def make(name: str, rows: int = 6) -> np.ndarray:
    """Signal (rows, 3) of a recording: noise of its own, in hundredths, which CSV holds exactly."""
    rng = np.random.default_rng(NAMES.index(name))
    return rng.integers(-500, 500, (rows, 3)) / 100


def csv_of(signal: np.ndarray, header: str = "I,II,V1") -> str:
    return header + "\n" + "".join(",".join("" if np.isnan(v) else f"{v:g}" for v in row) + "\n" for row in signal)


def write_wfdb(folder: Path, name: str, signal: np.ndarray, rate: float = 100, **more) -> None:
    names, count = ["I", "II", "V1"], signal.shape[1]
    more = {"fmt": ["16"] * count, "adc_gain": [100.0] * count, "baseline": [0] * count} | more
    wfdb.wrsamp(name, rate, more.pop("units", ["mV"] * count), names, signal, write_dir=str(folder), **more)


def write_npz(path: Path, **changes) -> Path:
    """All recordings as `x`; an array of None is left out."""
    arrays = {"x": np.stack([make(n) for n in NAMES]), "channels": ["I", "II", "V1"], "rate": 100,
              "y": [0, 0, 1, 1], "subject": [12, 7, 7, 3]} | changes  # fmt: skip
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
    return path


def make_folder(folder: Path, kind: str = "csv", labels: str = LABELS) -> Path:
    """A folder with `signals/`, the four recordings, and `labels.csv` beside it."""
    signals = folder / "signals"
    signals.mkdir(parents=True)
    (folder / "labels.csv").write_text(labels)
    for name in NAMES:
        if kind == "csv":
            (signals / f"{name}.csv").write_text(csv_of(make(name)))
        elif kind == "csv.gz":
            (signals / f"{name}.csv.gz").write_bytes(gzip.compress(csv_of(make(name)).encode()))
        elif kind == "parquet":
            pd.DataFrame(make(name), columns=["I", "II", "V1"]).to_parquet(signals / f"{name}.parquet")
        else:
            write_wfdb(signals, name, make(name))
    return folder


def read(folder: Path, **changes):
    given = {"signals": folder / "signals", "labels": folder / "labels.csv", "rich": ["V1", "I"], "poor": ["II"],
             "classes": CLASSES, "rate": 100, "progress": lambda line: None}  # fmt: skip
    return read_own(**given | changes)


def counts(own, step: str) -> dict:
    """The numbers of the ledger's one line that begins so."""
    (row,) = [row for row in own.ledger.rows if row["step"].startswith(step)]
    return {name: value for name, value in row.items() if name not in ("step", "Table 1")}


def pack(folder: Path, path: Path, junk: bool = False) -> Path:
    files = {f"mine/{p.name}": p.read_bytes() for p in sorted(folder.iterdir())}
    files |= {"__MACOSX/mine/._r1.csv": b"x", "mine/.DS_Store": b"x"} if junk else {}
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:xz") as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return path


# ---------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet", "wfdb", "zip of csv", "zip of wfdb", "tar.xz of parquet"])
def test_signals_labels_and_people(tmp_path, kind):
    archive, _, inside = kind.rpartition(" of ")
    folder = make_folder(tmp_path, inside)
    changes = {"signals": pack(folder / "signals", folder / f"mine.{archive}", junk=True)} if archive else {}
    own = read(folder, **changes)
    assert own.channels == ("V1", "I", "II") and own.classes == ("well", "ill") and own.rate == 100
    for signal, name in zip(own.signals, NAMES, strict=True):
        assert signal.dtype == np.float32
        np.testing.assert_array_equal(signal, make(name)[:, [2, 0, 1]].astype(np.float32))
    assert own.label.tolist() == [0, 0, 1, 1] and own.label.dtype == np.int64
    assert own.subject.tolist() == [12, 7, 7, 3] and own.subject.dtype == np.int64
    assert own.units == (("mV",) * 3 if inside == "wfdb" else ("",) * 3)
    assert own.table["recording"].tolist() == NAMES
    np.testing.assert_array_equal(own.table["age"], [61.5, np.nan, 50, 40])  # a column of numbers
    assert own.table["sex"].tolist()[1:] == ["m", "f", "m"] and pd.isna(own.table["sex"][0])
    assert counts(own, "recordings kept") == {"rows": 24, "records": 4, "subjects": 3}
    assert counts(own, "- ill") == {"records": 2, "subjects": 2}
    assert len(own.ledger.rows) == 4  # nothing was removed


@pytest.mark.parametrize("form", ["x", "x with a table", "names"])
def test_npz(tmp_path, form):
    make_folder(tmp_path)
    path, changes = tmp_path / "mine.npz", {"labels": None}
    if form == "names":
        write_npz(path, x=None, **{name: make(name) for name in NAMES})
    else:
        write_npz(path)
    if form == "x with a table":
        (tmp_path / "labels.csv").write_text("recording,subject,label\n0,a,0\n1,b,0\n2,c,1\n3,d,0\n")
        changes = {}
    own = read(tmp_path, signals=path, rate=None, **changes)
    for signal, name in zip(own.signals, NAMES, strict=True):
        np.testing.assert_array_equal(signal, make(name)[:, [2, 0, 1]].astype(np.float32))
    by_table = form == "x with a table"
    assert own.rate == 100 and own.label.tolist() == ([0, 0, 1, 0] if by_table else [0, 0, 1, 1])
    assert own.subject.tolist() == (["a", "b", "c", "d"] if by_table else [12, 7, 7, 3])
    assert any("y and subject" in row["step"] for row in own.ledger.rows) == by_table


@pytest.mark.parametrize("y", [[0, 1, -1, 1], [0.0, 1.0, np.nan, 1.0]])
def test_npz_without_some_labels(tmp_path, y):
    own = read(tmp_path, signals=write_npz(tmp_path / "a.npz", y=y), labels=None)
    assert own.label.tolist() == [0, 1, -1, 1]
    assert counts(own, "- unlabelled") == {"records": 1, "subjects": 1}
    if y[2] == -1:  # unless it is a class
        own = read(tmp_path, signals=tmp_path / "a.npz", labels=None, classes={"a": [-1, 0], "b": 1})
        assert own.label.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("packed", [True, False])
def test_brugada_as_its_own_reader_reads_it(tmp_path, packed):
    expected = brugada.read(EMBEDDED, lambda line: None)
    signals, labels, count = EMBEDDED / "files.tar.xz", EMBEDDED / "metadata.csv", 359
    if not packed:  # the first 30 people, and the table among their files
        signals, labels, count = tmp_path, tmp_path / "metadata.csv", 30
        labels.write_bytes((EMBEDDED / "metadata.csv").read_bytes())
        people = {str(person) for person in expected.subject[:count]}
        with tarfile.open(EMBEDDED / "files.tar.xz") as archive:
            members = [member for member in archive if Path(member.name).stem in people]
            archive.extractall(tmp_path, members, filter="data")
    own = read(
        tmp_path,
        signals=signals,
        labels=labels,
        rich=brugada.LEADS,
        poor=["I"],
        classes={"no Brugada": ["0"], "Brugada": ["1", "2"]},
        rate=None,
        recording="patient_id",
        subject="patient_id",
        label="brugada",
    )
    np.testing.assert_array_equal(np.concatenate(own.signals), expected.series[: count * brugada.SAMPLES])
    np.testing.assert_array_equal(own.subject, expected.subject[:count])
    np.testing.assert_array_equal(own.label, expected.label[:count])
    assert own.channels == brugada.LEADS and own.rate == 100 and set(own.units) == {"mV"}
    assert counts(own, "recordings kept")["records"] == count == len(own.table)
    if packed:
        assert counts(own, "recordings found") == {"records": 363}
        assert counts(own, "removed: the same signals") == {"records": -4}


def test_what_is_passed_over(tmp_path):
    """Hidden files, the table among the signals, other files, channels nobody named; endings in the table."""
    folder = make_folder(tmp_path)
    for name in (".DS_Store", "._r1.csv", "notes.txt", "signals.md"):
        (folder / "signals" / name).write_text("x")
    (folder / "signals/.git").mkdir()
    (folder / "signals/.git/r2.csv").write_text("x")
    (folder / "signals/again").symlink_to(folder / "signals")
    header, note = "V1,note,II,I", ",two words"
    r1 = "".join(f"{v1:g}{note},{ii:g},{i:g}\n" for i, ii, v1 in make("r1"))
    (folder / "signals/r1.csv").write_text(f"{header}\n{r1}")
    table = folder / "signals/labels.csv"
    table.write_text(re.sub(r"^(r\d+)", r"sub/\1.csv", LABELS, flags=re.M))
    own = read(folder, labels=table)
    np.testing.assert_array_equal(own.signals[0], make("r1")[:, [2, 0, 1]].astype(np.float32))
    assert len(own.signals) == 4 and len(own.ledger.rows) == 4


def test_recordings_without_a_row_and_rows_without_a_recording(tmp_path):
    folder = make_folder(tmp_path, labels=LABELS.replace("r2,", "r5,") + "r6,1,0,2,f\n")
    own = read(folder)
    assert own.table["recording"].tolist() == ["r1", "r10", "r11"]
    assert counts(own, "removed: not in the table") == {"records": -1}
    assert counts(own, "rows of the table without") == {"records": 2}


@pytest.mark.parametrize("empty", ["", "NA", "nan"])
def test_unlabelled(tmp_path, empty):
    own = read(make_folder(tmp_path, labels=LABELS.replace("r2,7,0", f"r2,7,{empty}")))
    assert own.label.tolist() == [0, -1, 1, 1]
    assert counts(own, "- unlabelled") == {"records": 1, "subjects": 1}


def test_a_value_called_na_may_be_a_class(tmp_path):
    own = read(make_folder(tmp_path, labels=LABELS.replace("r2,7,0", "r2,7,NA")), classes=["0", 1.0, "NA"])
    assert own.label.tolist() == [0, 2, 1, 1] and own.classes == ("0", "1", "NA")


@pytest.mark.parametrize("label", [[1, 0, 0, 1], [1.0, None, 0.0, 1.0], [True, False, False, True]])
def test_a_parquet_table(tmp_path, label):
    """Whole numbers in a column with gaps come as 1.0; people are text here."""
    folder = make_folder(tmp_path)
    frame = pd.DataFrame({"file": ["r10", "r2", "r1", "r11"], "who": ["b", "b", "c", "01"], "label": label})
    frame.to_parquet(folder / "labels.parquet")
    classes = {"well": "False", "ill": "True"} if label[0] is True else CLASSES
    own = read(folder, labels=folder / "labels.parquet", recording="file", subject="who", classes=classes)
    assert own.label.tolist() == [0, -1 if label[1] is None else 0, 1, 1]
    assert own.subject.tolist() == ["c", "b", "b", "01"]


def test_whole_numbers_are_people_whatever_their_zeros(tmp_path):
    own = read(make_folder(tmp_path, labels=LABELS.replace("r2,7", "r2,007").replace("r10,7", "r10,7.0")))
    assert own.subject.tolist() == [12, 7, 7, 3]


def test_each_recording_its_own_person(tmp_path):
    own = read(make_folder(tmp_path), subject="recording")
    assert own.subject.tolist() == NAMES


@pytest.mark.parametrize("form", ["byte-order mark", "CRLF", "CR", "no last line end", "quotes", "spaces"])
def test_forms_of_csv(tmp_path, form):
    folder = make_folder(tmp_path)
    for path in [*(folder / "signals").iterdir(), folder / "labels.csv"]:
        text = path.read_text()
        change = {
            "byte-order mark": lambda t: "\ufeff" + t,
            "CRLF": lambda t: t.replace("\n", "\r\n"),
            "CR": lambda t: t.replace("\n", "\r"),
            "no last line end": str.rstrip,
            "quotes": lambda t: re.sub(r"([^,\n]+)", r'"\1"', t),
            "spaces": lambda t: t.replace(",", ", "),
        }[form]
        path.write_bytes(change(text).encode())
    own = read(folder)
    for signal, name in zip(own.signals, NAMES, strict=True):
        np.testing.assert_array_equal(signal, make(name)[:, [2, 0, 1]].astype(np.float32))
    assert own.label.tolist() == [0, 0, 1, 1]


def test_missing_infinite_and_constant(tmp_path):
    folder = make_folder(tmp_path)
    (folder / "signals/r1.csv").write_text("I,II,V1\n1,,5\ninf,NaN,5\n-Inf,NA,5\n4,8,\n")
    own = read(folder)
    np.testing.assert_array_equal(own.signals[0].T, [[5, 5, 5, np.nan], [1, np.nan, np.nan, 4], [np.nan] * 3 + [8]])
    assert counts(own, "infinite") == {"values": 2} and counts(own, "missing values") == {"values": 6}
    assert counts(own, "channels of a recording that never change") == {"channels": 2}  # V1, and II with one value


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_a_column_of_one_channel_keeps_its_gaps(tmp_path, kind):
    folder = make_folder(tmp_path)
    values = [1, np.nan, 3, 4.5]
    if kind == "npz":
        x = np.array(values)[None, :, None] + np.arange(4)[:, None, None]
        own = read(
            folder, signals=write_npz(folder / "a.npz", x=x, channels=["I"]), labels=None, rich=["I"], poor=["I"]
        )
    else:
        for i, name in enumerate(NAMES):
            frame = pd.DataFrame({"I": np.array(values) + i})
            if kind == "csv":
                (folder / f"signals/{name}.csv").write_text(f"I\n{1 + i}\n\n{3 + i}\n{4.5 + i}\n")
            else:
                frame.to_parquet(folder / f"signals/{name}.{kind}")
                (folder / f"signals/{name}.csv").unlink()
        own = read(folder, rich=["I"], poor=["I"])
    np.testing.assert_array_equal(own.signals[3][:, 0], np.array(values) + 3)


def test_a_recording_without_any_value_is_removed(tmp_path):
    folder = make_folder(tmp_path)
    (folder / "signals/r2.csv").write_text("I,II,V1\n,,\n,,\n")
    own = read(folder)
    assert own.table["recording"].tolist() == ["r1", "r10", "r11"]
    assert counts(own, "removed: without a value") == {"records": -1}


def test_of_people_with_the_same_signals_the_first_is_kept(tmp_path):
    folder = make_folder(tmp_path, labels=LABELS + "r12,5,0,1,f\nr13,12,0,1,f\n")
    for twin in "r12", "r13":  # r1 is of 12: r13 is the same person's again
        (folder / f"signals/{twin}.csv").write_text(csv_of(make("r1")))
    own = read(folder)
    assert own.table["recording"].tolist() == [*NAMES, "r13"]
    assert counts(own, "removed: the same signals") == {"records": -1}


def test_of_people_with_the_same_signals_a_labelled_one_is_kept(tmp_path):
    folder = make_folder(tmp_path, labels=LABELS.replace("r1,12,0", "r1,12,") + "r12,5,0,1,f\n")
    (folder / "signals/r12.csv").write_text(csv_of(make("r1")))
    own = read(folder)
    assert own.table["recording"].tolist() == ["r2", "r10", "r11", "r12"] and (own.label >= 0).all()


@pytest.mark.parametrize(("step", "rate"), [(0.01, 100), (1 / 128, 128), (0.5, 2), (1 / 3, 3), (300, 1 / 300)])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_of_times_says_the_rate(tmp_path, step, rate, kind):
    folder = make_folder(tmp_path, kind)
    for name in NAMES:
        frame = pd.DataFrame(make(name), columns=["I", "II", "V1"])
        frame.insert(0, "Time", 5 + step * np.arange(len(frame)))
        path = folder / f"signals/{name}.{kind}"
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    own = read(folder, rate=None)
    assert own.rate == rate and own.signals[0].shape == (6, 3)
    assert read(folder, rate=rate).rate == rate


@pytest.mark.parametrize("fmt", ["16", "24", "32", "80", "212"])
def test_wfdb_in_other_formats_with_gaps_and_offsets(tmp_path, fmt):
    folder = make_folder(tmp_path, "wfdb")
    signal = make("r1", 501)
    signal[3:7, 1] = np.nan
    units, gain = ["mV", "uV", "mV"], [20.0, 10.0, 10.0]
    write_wfdb(folder / "signals", "r1", signal, fmt=[fmt] * 3, adc_gain=gain, baseline=[-3, 5, 0], units=units)
    for name in NAMES[1:]:
        write_wfdb(folder / "signals", name, make(name, 9), units=units)
    own = read(folder, rate=None)
    assert own.units == ("mV", "mV", "uV") and [len(s) for s in own.signals] == [501, 9, 9, 9]
    np.testing.assert_array_equal(np.isnan(own.signals[0]), np.isnan(signal[:, [2, 0, 1]]))
    np.testing.assert_allclose(own.signals[0], signal[:, [2, 0, 1]], atol=0.051)  # half a unit of 1/10


@pytest.mark.parametrize(
    ("fmt", "stored"),
    [
        ("8", lambda units: np.diff(units, axis=0, prepend=units[:1]).astype(np.int8)),
        ("160", lambda units: (units + 2**15).astype("<u2")),
    ],
)
def test_wfdb_in_formats_that_nobody_writes_any_more(tmp_path, fmt, stored):
    folder = make_folder(tmp_path, "wfdb")
    units = np.random.default_rng(0).integers(-60, 60, (500, 3))
    write_wfdb(folder / "signals", "r1", units / 100)
    header = folder / "signals/r1.hea"
    header.write_text(header.read_text().replace("r1.dat 16 ", f"r1.dat {fmt} "))
    (folder / "signals/r1.dat").write_bytes(stored(units).tobytes())
    np.testing.assert_allclose(read(folder).signals[0], units[:, [2, 0, 1]] / 100, atol=1e-6)
    (folder / "signals/r1.dat").write_bytes(stored(units)[:-1].tobytes())
    with pytest.raises(UserError, match=r"r1\.dat has .* bytes where its header r1\.hea says"):
        read(folder)


# ------------------------------------------------------------------------------ what is asked of what was read


@pytest.fixture
def own(tmp_path):
    """The four recordings at 100 Hz; a table of a number and two texts."""
    return replace(read(make_folder(tmp_path)), table=pd.DataFrame({"recording": NAMES, "age": 1.5, "sex": "f"}))


def test_subgroups_and_a_positive_class_that_are_there(own):
    own.require([])
    own.require(["age", "sex", "recording"], "ill")
    twenty = pd.DataFrame({"site": [f"s{i}" for i in range(20)] + ["", None], "age": np.arange(22.0)})
    replace(own, table=twenty).require(("site", "age"), "")


REQUIRED = {
    "no such column": ((["age", "gender"],), "subgroups: the table has no column 'gender'; its columns are recording,"),
    "a mistyped column": ((["Sex"],), "subgroups: the table has no column 'Sex'; did you mean 'sex'?"),
    "a number for a column": (([3],), "subgroups: the table has no column '3'; its columns are recording, age, sex."),
    "one text": (("sex",), "subgroups is 'sex' where a list of column names is needed, as ['sex']."),
    "a column twice": ((["sex", "sex"],), "subgroups names the column 'sex' twice; name it once."),
    "no such class": (([], "healthy"), "positive is 'healthy', which is no class; the classes are well, ill."),
    "a mistyped class": (([], "Ill"), "positive is 'Ill', which is no class; did you mean 'ill'?"),
    "a class by number": (([], 1), "positive is '1', which is no class; the classes are well, ill."),
}


@pytest.mark.parametrize("case", REQUIRED)
def test_subgroups_and_classes_that_are_not_there(own, case):
    given, sentence = REQUIRED[case]
    with pytest.raises(UserError) as caught:
        own.require(*given)
    assert str(caught.value).startswith(sentence)


def test_a_subgroup_of_too_many_texts_is_refused_as_clinical_does(own):
    many = replace(own, table=pd.DataFrame({"site": [f"s{i}" for i in range(21)]}))
    with pytest.raises(UserError) as caught:
        many.require(["site"])
    assert str(caught.value) == "column 'site' has 21 values, more than 20; leave it out of `subgroups`."


@pytest.mark.parametrize(
    ("rate", "seconds", "samples"),
    [(100, 4, 400), (100, 0.29, 29), (100, 4.01, 401), (360, 1 / 3, 120), (1 / 300, 3600, 12), (128, 4.0000001, 512)],
)
def test_seconds_as_samples(own, rate, seconds, samples):
    found = replace(own, rate=rate).samples("window", seconds)
    assert found == samples and isinstance(found, int)


SECONDS = {
    "a part of a sample": (100, 4.014, "window of 4.014 s is no whole number of samples at 100 Hz; use 4.01 or 4.02."),
    "another rate": (128, 1.3, "window of 1.3 s is no whole number of samples at 128 Hz; use 1.296875 or 1.3046875."),
    "nearly whole": (100, 4.0001, "window of 4.0001 s is no whole number of samples at 100 Hz; use 4 or 4.01."),
    "less than a sample": (100, 0.001, "window of 0.001 s is less than one sample at 100 Hz; make it longer."),
    "most of a sample": (100, 0.008, "window of 0.008 s is less than one sample at 100 Hz; make it longer."),
    "none": (100, 0, "window is 0 where seconds are needed, as a number above 0."),
    "below 0": (100, -2.5, "window is -2.5 where"),
    "NaN": (100, float("nan"), "window is nan where"),
    "infinite": (100, float("inf"), "window is inf where"),
    "beyond floats": (100, 10**400, "window is 1000"),
    "too many": (100, 1e308, "window is 1e+308 where"),
    "text": (100, "4 s", "window is '4 s' where"),
    "true": (100, True, "window is True where"),
    "nothing": (100, None, "window is None where"),
}


@pytest.mark.parametrize("case", SECONDS)
def test_seconds_that_are_no_samples(own, case):
    rate, seconds, sentence = SECONDS[case]
    with pytest.raises(UserError) as caught:
        replace(own, rate=rate).samples("window", seconds)
    assert str(caught.value).startswith(sentence)


# ------------------------------------------------------------------------------------------------- wrong files


def refusal(folder: Path, **changes) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, **changes)
    message = str(caught.value)
    assert "\n" not in message and message[-1] in ".?" and len(message) < 400, message
    return message


def in_r2(text: str, labels: str = LABELS):
    """r2.csv with other content."""

    def change(folder):
        (folder / "signals/r2.csv").write_bytes(text.encode())

    return change


def table(text: str):
    return lambda folder: (folder / "labels.csv").write_bytes(text.encode())


def rewrite(pattern: str, by: str):
    """The table of labels, changed."""
    return table(re.sub(pattern, by, LABELS))


def without(*names: str):
    def change(folder):
        for name in names:
            (folder / name).unlink()

    return change


def copy_of_r1(labels: str):
    def change(folder):
        (folder / "signals/r12.csv").write_text(csv_of(make("r1")))
        table(labels)(folder)

    return change


def empty_channel(folder):
    for name in NAMES:
        (folder / f"signals/{name}.csv").write_text("I,II,V1\n1,,3\n4,,6\n")


def loop(folder):
    (folder / "signals/r5.csv").symlink_to(folder / "signals/r6.csv")
    (folder / "signals/r6.csv").symlink_to(folder / "signals/r5.csv")
    rewrite("r1,", "r5,")(folder)


def times(*values):
    return in_r2("time,I,II,V1\n" + "".join(f"{t},1,2,{i}\n" for i, t in enumerate(values)))


FILES = {  # what is done to the CSV files or their table -> the sentence
    "empty folder": (
        without(*(f"signals/{n}.csv" for n in NAMES)),
        r"signals holds nothing; it should hold recordings",
    ),
    "other files only": (
        lambda f: (without(*(f"signals/{n}.csv" for n in NAMES))(f), (f / "signals/a.edf").touch()),
        r"signals holds only a\.edf; it should hold recordings \(\.csv, \.csv\.gz, \.parquet, \.hea\)\.",
    ),
    "mixed kinds": (
        lambda f: pd.DataFrame({"I": [1]}).to_parquet(f / "signals/r5.parquet"),
        r"signals mixes CSV \(r\d+\.csv\), Parquet \(r5\.parquet\); name a folder with recordings of one kind\.",
    ),
    "a recording twice": (
        lambda f: (f / "signals/r1.csv.gz").write_bytes(gzip.compress(b"I\n1")),
        r"signals/r1\.csv\.gz and .*r1\.csv are both recording 'r1'; take one out\.",
    ),
    "channel missing": (in_r2("I,Lead II,V1\n1,2,3\n"), r"r2\.csv: no channel 'II'; did you mean 'Lead II'\?"),
    "channel in other case": (in_r2("I,ii,V1\n1,2,3\n"), r"r2\.csv: no channel 'II'; did you mean 'ii'\?"),
    "channels of another file": (in_r2("x,yy\n1,2\n"), r"r2\.csv: no channel 'V1'; it has x, yy\."),
    "doubled column": (in_r2("I,II,V1,I\n1,2,3,4\n"), r"r2\.csv: 'I' is the name of two channels; rename one\."),
    "no header": (in_r2("0.1,0.2,-3e4\n1,2,3\n"), r"r2\.csv: its first line is numbers; write the names"),
    "text": (in_r2("I,II,V1\n1,2,3\n1,high,3\n"), r"r2\.csv, line 3, column 'II': 'high' is no number; correct it"),
    "no rows": (in_r2("I,II,V1\n"), r"r2\.csv has no rows, only its header; take it out or write it again\."),
    "empty file": (in_r2(""), r"r2\.csv is empty; write it again\."),
    "short row": (in_r2("I,II,V1\n1,2,3\n1,2\n"), r"r2\.csv, line 3: 2 values where the header names 3 columns; corr"),
    "long row": (in_r2("I,II,V1\n1,2,3,4\n1,2,3\n"), r"r2\.csv, line 2: 4 values where the header names 3 columns; c"),
    "empty line": (in_r2("I,II,V1\n1,2,3\n\n1,2,3\n"), r"r2\.csv, line 3: it is empty; take it out, or write its com"),
    "huge value": (in_r2("I,II,V1\n1,2,3\n1,1e39,3\n"), r"r2\.csv, line 3: 1e\+39 in 'II' is beyond 3\.4e\+38, the la"),
    "open quote": (in_r2('I,II,V1\n1,2,3\n1,2,"3\n1,2,3\n'), r"r2\.csv: a quotation mark \(\"\) in it goes over"),
    "semicolons": (in_r2("I;II;V1\n1,5;2;3\n"), r"r2\.csv: its columns are parted by semicolons; write commas, an"),
    "tabs": (in_r2("I\tII\tV1\n1\t2\t3\n"), r"r2\.csv: its columns are parted by tabs; write commas"),
    "decimal commas": (in_r2("I,II,V1\n1,5,2,5,3,5\n"), r"line 2: 6 values where the header names 3 .*decimal commas"),
    "decimal commas in quotes": (in_r2('I,II,V1\n"1,5",2,3\n'), r"line 2, column 'I': '1,5' is no number; write a dec"),
    "UTF-16": (
        lambda f: (f / "signals/r2.csv").write_bytes("I,II,V1\n1,2,3".encode("utf-16")),
        r"r2\.csv is UTF-16 or no text; save it as CSV in UTF-8\.",
    ),
    "Latin-1": (
        lambda f: (f / "signals/r2.csv").write_bytes("I,II,µ\n1,2,3".encode("latin-1")),
        r"r2\.csv, line 1: its text is not UTF-8; save it as CSV in UTF-8\.",
    ),
    "Parquet called CSV": (
        lambda f: pd.DataFrame({"I": [1]}).to_parquet(f / "signals/r2.csv"),
        r"r2\.csv is UTF-16 or no text",
    ),
    "one endless line": (in_r2("I" * 200_000), r"r2\.csv, line 1: it cannot be read as CSV \(field larger"),
    "folder for a file": (
        lambda f: (without("signals/r2.csv")(f), (f / "signals/r2.csv").mkdir()),
        r"r2\.csv is a folder where a file is expected; take it out or name another\.",
    ),
    "loop of links": (loop, r"r5\.csv is a link that leads nowhere; correct its name\."),
    "channel nowhere": (empty_channel, r"signals: channel 'II' has no value in any recording; do not name it\."),
    "nothing anywhere": (
        lambda f: [(f / f"signals/{n}.csv").write_text("I,II,V1\n,,\n") for n in NAMES],
        r"signals: channel 'V1' has no value in any recording",
    ),
    "time not increasing": (times(0, 0.01, 0.01), r"r2\.csv, line 4: its time does not increase; write a row for eac"),
    "time going back": (times(2, 1, 0), r"r2\.csv, line 3: its time does not increase"),
    "time with a gap": (times(0, 0.01, 0.02, 0.04), r"r2\.csv, line 5: its time does not step by 0\.01 s as elsewher"),
    "time missing": (times(0, 0.01, "", 0.03), r"r2\.csv, line 4: its time is missing"),
    "time missing first": (times("", 0.01, 0.02), r"r2\.csv, line 2: its time is missing"),
    "time of a day": (times("2024-01-01", 1), r"r2\.csv, line 2: time '2024-01-01' is no number; write seconds, or t"),
    "one time": (times(0), r"r2\.csv: its one row says no rate; take the column time out and give the rate\."),
    "time against the rate": (times(0, 0.1, 0.2), r"r2\.csv: 10 Hz where `rate` says 100; correct the rate"),
    "table missing": (without("labels.csv"), r"labels\.csv is not there; correct its name\."),
    "table empty": (table(""), r"labels\.csv is empty; write it again\."),
    "table without rows": (table("recording,subject,label\n"), r"labels\.csv has no rows; it should hold one for eac"),
    "table without column": (rewrite("label,", "labels,"), r"labels\.csv: no column 'label'; did you mean 'labels'\?"),
    "table of semicolons": (rewrite(",", ";"), r"labels\.csv: its columns are parted by semicolons"),
    "table doubles a column": (rewrite("age", "label"), r"labels\.csv: 'label' is the name of two columns; rename"),
    "table ragged": (rewrite("r1,12,0", "r1,12,0,0"), r"labels\.csv, line 4: 6 values where the header names 5; cor"),
    "table with an open quote": (
        rewrite("r1,", '"r1,'),
        r"line 5: it cannot be read as CSV \(unexpected end of data\); correct",
    ),
    "table not UTF-8": (
        lambda f: (f / "labels.csv").write_bytes(LABELS.replace("f\n", "ö\n").encode("latin-1")),
        r"labels\.csv, line 2: its text is not UTF-8",
    ),
    "recording twice in the table": (rewrite("r2,", "r10.csv,"), r"labels\.csv, line 3: recording 'r10' is in line 2 "),
    "recording empty": (rewrite("r2,", ","), r"labels\.csv, line 3: its recording is empty; fill it in"),
    "subject empty": (rewrite("r1,12", "r1, "), r"labels\.csv, line 4: its subject is empty; fill it in, or take"),
    "no recording matched": (
        rewrite(r"r(?=\d)", "rec"),
        r"none of its recordings \(rec10, rec2, rec1, rec11\) is in .*signals \(r1, r10, r11, r2\); column 'recording'",
    ),
    "unknown label": (rewrite("r2,7,0", "r2,7,2"), r"line 3: label '2' is in no class \(0, 1\); name it in classes"),
    "class without recording": (rewrite(r"(?<=,)1(?=,)", "0"), r"no recording is of class 'ill'; correct its values"),
    "one person": (rewrite(r"(r\d+),\d+", r"\1,4"), r"all 4 recordings are of one subject; training and test need"),
    "twins with different labels": (
        copy_of_r1(LABELS + "r12,5,1,1,f\n"),
        r"signals: r1 and r12 hold the same signals and different labels; correct one\.",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_wrong_files(tmp_path, case):
    change, sentence = FILES[case]
    folder = make_folder(tmp_path)
    change(folder)
    message = refusal(folder)
    assert re.search(sentence, message), message
    assert str(tmp_path) in message


PARAMETERS = {
    "missing folder": ({"signals": "no/such/folder"}, r"^no/such/folder is not there; correct its name\.$"),
    "no signals": ({"signals": ""}, r"^signals is '' where the name of a file or folder is needed\.$"),
    "signals a number": ({"signals": 3}, r"^signals is 3 where the name"),
    "impossible name": ({"signals": "a" * 300}, r"^a{300} is not there; correct its name\.$"),
    "one file": ({"signals": __file__}, r"test_own\.py is one file; name the folder of the recordings, an archive \("),
    "no table": (
        {"labels": None},
        r"signals: only an \.npz with y and subject needs no table of labels; name the tabl",
    ),
    "table a list": ({"labels": ["a.csv"]}, r"^labels is \['a\.csv'\] where the name of a file or folder is needed"),
    "table a folder": ({"labels": Path(__file__).parent}, r"tests is a folder where a file is expected"),
    "table of another kind": ({"labels": __file__}, r"test_own\.py: a table of labels is a \.csv or \.parquet file; s"),
    "a link to itself": ({"signals": "LOOP"}, r"loop is a link that leads nowhere; correct its name\.$"),
    "rich empty": ({"rich": []}, r"^rich names no channel, or an empty one; list the channels as \['I', 'II'\]\.$"),
    "poor empty": ({"poor": []}, r"^poor names no channel"),
    "an empty name": ({"poor": ["I", None]}, r"^poor names no channel, or an empty one"),
    "rich one string": ({"rich": "I,II"}, r"^rich is 'I,II' where a list of channel names is needed, as \['I', 'II'\]"),
    "rich a number": ({"rich": 3}, r"^rich is 3 where a list of channel names is needed"),
    "rich doubled": ({"rich": ["I", "II", "I"]}, r"^rich names the channel 'I' twice; name it once\.$"),
    "time a channel": ({"poor": ["time"]}, r"^poor names 'time', which is no channel"),
    "rate missing": ({"rate": None}, r"signals/r1\.csv does not say its rate; give `rate` in Hz, or a column `time`"),
    "rate zero": ({"rate": 0}, r"^rate is 0 where samples a second are needed, as a number above 0\.$"),
    "rate negative": ({"rate": -100.0}, r"^rate is -100\.0 where"),
    "rate text": ({"rate": "100 Hz"}, r"^rate is '100 Hz' where samples a second are needed"),
    "rate infinite": ({"rate": float("inf")}, r"^rate is inf where"),
    "rate true": ({"rate": True}, r"^rate is True where"),
    "classes one string": ({"classes": "0,1"}, r"^classes is '0,1' where a list of label values, or \{title: \[val"),
    "classes a number": ({"classes": 2}, r"^classes is 2 where"),
    "one class": ({"classes": ["0"]}, r"^classes are 0; name two at least, all different\.$"),
    "no class": ({"classes": {}}, r"^classes are none; name two at least"),
    "a value of two classes": ({"classes": {"a": [0, 1], "b": [1]}}, r"^classes: the label value '1' is there for two"),
    "yes and no of YAML": (
        {"classes": {"ill": [True], "well": [False]}},
        r"^classes: True is no text; quote titles and label values, as 'yes', 'no', 'True' or 'False' \(YAML reads yes",
    ),
    "no of YAML, a title": ({"classes": {False: ["0"], "ill": ["1"]}}, r"^classes: False is no text; quote titles"),
    "yes of YAML, in a list": ({"classes": ["0", True]}, r"^classes: True is no text; quote titles"),
    "an empty value of a class": ({"classes": {"a": [0, ""], "b": [1]}}, r"^classes: 'a' has no title, .* or an empty"),
    "a class without value": ({"classes": {"a": [], "b": [1]}}, r"^classes: 'a' has no title, no value of the label"),
    "no such column": ({"subject": "age "}, r"labels\.csv: no column 'age '; did you mean 'age'\?"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_wrong_parameters(tmp_path, case):
    changes, sentence = PARAMETERS[case]
    if changes.get("signals") == "LOOP":
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        changes = {"signals": tmp_path / "loop"}
    message = refusal(make_folder(tmp_path), **changes)
    assert re.search(sentence, message), message


CUT = gzip.compress(csv_of(make("r1")).encode(), mtime=0)[:-12]


@pytest.mark.parametrize("content", [CUT, b"I,II,V1\n1,2,3\n"], ids=["cut", "no gzip"])
def test_a_damaged_gzip_file(tmp_path, content):
    folder = make_folder(tmp_path, "csv.gz")
    (folder / "signals/r2.csv.gz").write_bytes(content)
    assert re.search(r"r2\.csv\.gz is no gzip file, or damaged \(.+\); pack it again\.$", refusal(folder))


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file that even root cannot read")
def test_a_file_that_cannot_be_read(tmp_path):
    folder = make_folder(tmp_path)
    (folder / "signals/r2.csv").unlink()
    (folder / "signals/r2.csv").symlink_to("/proc/self/mem")
    assert re.search(r"r2\.csv cannot be read \(.+\); correct its permissions\.$", refusal(folder))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    folder = make_folder(tmp_path)
    (folder / "signals/r2.csv").chmod(0)
    assert re.search(r"r2\.csv cannot be read \(Permission denied\)", refusal(folder))


PARQUET = {
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-40]), r"r2\.parquet is no Parquet file, or damaged \(.+\);"),
    "text in place of Parquet": (lambda p: p.write_text("I,II,V1\n"), r"r2\.parquet is no Parquet file, or damaged"),
    "text column": (
        lambda p: pd.DataFrame({"I": ["a"], "II": [1], "V1": [1]}).to_parquet(p),
        r"r2\.parquet: column 'I' holds (large_)?string where numbers are needed; write numbers\.",
    ),
    "dates": (
        lambda p: pd.DataFrame({"time": pd.to_datetime(["2024"]), "I": 1, "II": 1, "V1": 1}).to_parquet(p),
        r"r2\.parquet: column 'time' holds timestamp\[.*\] where seconds are needed; write numbers\.",
    ),
    "no rows": (lambda p: pd.DataFrame({"I": [], "II": [], "V1": []}).to_parquet(p), r"r2\.parquet has no rows"),
    "channel missing": (lambda p: pd.DataFrame({"I": [1]}).to_parquet(p), r"r2\.parquet: no channel 'V1'; it has I\."),
    "huge value": (
        lambda p: pd.DataFrame({"I": [1, -1e300], "II": 1, "V1": 1}).to_parquet(p),
        r"r2\.parquet, row 2: -1e\+300 in 'I' is beyond 3\.4e\+38",
    ),
}


@pytest.mark.parametrize("case", PARQUET)
def test_wrong_parquet(tmp_path, case):
    change, sentence = PARQUET[case]
    folder = make_folder(tmp_path, "parquet")
    change(folder / "signals/r2.parquet")
    message = refusal(folder)
    assert re.search(sentence, message), message


def test_a_parquet_column_of_nothing_is_missing(tmp_path):
    folder = make_folder(tmp_path, "parquet")
    pd.DataFrame({"I": [1, 2], "II": [None, None], "V1": [3, 4]}).to_parquet(folder / "signals/r1.parquet")
    np.testing.assert_array_equal(read(folder).signals[0].T, [[3, 4], [1, 2], [np.nan, np.nan]])


def test_a_damaged_page_of_parquet(tmp_path):
    folder = make_folder(tmp_path, "parquet")
    path = folder / "signals/r2.parquet"
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(255 - b for b in content[4:60])
    path.write_bytes(content)
    assert re.search(r"r2\.parquet is no Parquet file, or damaged \(.+\); write it again\.$", refusal(folder))


def test_a_damaged_parquet_table(tmp_path):
    folder = make_folder(tmp_path)
    path = folder / "labels.parquet"
    frame = pd.DataFrame({"recording": NAMES, "subject": NAMES, "label": [0, 1, 0, 1]})
    frame.to_parquet(path, compression="none", use_dictionary=False)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"r10", b"r\xff0"))  # text that is not UTF-8
    assert re.search(r"labels\.parquet is no Parquet file, or damaged \(.+\); write", refusal(folder, labels=path))
    frame.to_parquet(path, compression="none", use_dictionary=False, write_page_checksum=True)
    path.write_bytes(path.read_bytes().replace(b"r10", b"r90", 1))
    assert re.search(r"labels\.parquet is no Parquet file, or damaged \(.+\); write", refusal(folder, labels=path))
    path.write_bytes(content)
    frame.drop(columns="label").to_parquet(path)
    assert "labels.parquet: no column 'label'; its columns are recording, subject." in refusal(folder, labels=path)


def header_of(pattern: str, by: str):
    def change(signals):
        path = signals / "r2.hea"
        changed = re.sub(pattern, by, path.read_text(), flags=re.M)
        assert changed != path.read_text()
        path.write_text(changed)

    return change


def flip(signals):
    content = bytearray((signals / "r2.dat").read_bytes())
    content[8] ^= 1
    (signals / "r2.dat").write_bytes(content)


def segments(signals):
    (signals / "r2.hea").write_text("r2/2 3 100 12\nr1 6\nr10 6\n")


WFDB = {
    "truncated": (
        lambda s: (s / "r2.dat").write_bytes((s / "r2.dat").read_bytes()[:-6]),
        r"r2\.dat has 30 bytes where its header r2\.hea says 36; get or write the record again\.",
    ),
    "too long": (
        lambda s: (s / "r2.dat").write_bytes((s / "r2.dat").read_bytes() * 2),
        r"r2\.dat has 72 bytes where its header r2\.hea says 36",
    ),
    "checksum": (flip, r"r2\.hea: channel II does not match its checksum; get or write the record again\."),
    "no signal file": (lambda s: (s / "r2.dat").unlink(), r"signals/r2\.dat is not there; correct its name\."),
    "header nonsense": (lambda s: (s / "r2.hea").write_text("hello\n"), r"r2\.hea is no readable WFDB header \(.+\);"),
    "header empty": (lambda s: (s / "r2.hea").write_text(""), r"r2\.hea is empty; write it again\."),
    "header binary": (
        lambda s: (s / "r2.hea").write_bytes(bytes(range(128, 256))),
        r"r2\.hea is no readable WFDB header \(.+\); write it again\.",
    ),
    "other rate": (header_of("^r2 3 100", "r2 3 50"), r"r2\.hea: 50 Hz where .*r1\.hea says 100; correct the rate, or"),
    "other units": (header_of("/mV(.* V1)", r"/uV\1"), r"r2\.hea: channel 'V1' is in uV where others are in mV; conv"),
    "channel missing": (header_of("V1$", "V2"), r"r2\.hea: no channel 'V1'; it has I, II, V2\."),
    "channel twice": (header_of("V1$", "I"), r"r2\.hea: 'I' is the name of two channels; rename one\."),
    "signal file elsewhere": (
        header_of(r"^r2\.dat", "../r2.dat"),
        r"r2\.hea is no readable WFDB header \(.+\); write it",
    ),
    "unknown format": (header_of(r"\.dat 16", ".dat 999"), r"r2\.hea: its signals cannot be read \(.+\); write them a"),
    "several segments": (segments, r"r2\.hea is a record of several segments; write each as a record of its own\."),
}


@pytest.mark.parametrize("case", WFDB)
def test_wrong_wfdb(tmp_path, case):
    change, sentence = WFDB[case]
    folder = make_folder(tmp_path, "wfdb")
    change(folder / "signals")
    message = refusal(folder, rate=None)
    assert re.search(sentence, message), message


def test_wfdb_at_another_rate_than_said(tmp_path):
    folder = make_folder(tmp_path, "wfdb")
    assert re.search(r"r1\.hea: 100 Hz where `rate` says 250; correct the rate", refusal(folder, rate=250))


def test_wfdb_of_several_samples_a_frame(tmp_path):
    folder = make_folder(tmp_path, "wfdb")
    (folder / "signals/r2.dat").write_bytes(bytes(2 * 6 * 4))
    header_of(r"\.dat 16(.* V1)", r".dat 16x2\1")(folder / "signals")
    assert "r2.hea: its channels have several samples a frame" in refusal(folder)


def test_wfdb_without_checksums(tmp_path):
    """Headers with zeros in place of sums, as many in PTBDB, are taken."""
    folder = make_folder(tmp_path, "wfdb")
    header_of(r"(/mV 16 0 -?\d+) -?\d+", r"\1 0")(folder / "signals")
    np.testing.assert_array_equal(read(folder).signals[1], make("r2")[:, [2, 0, 1]].astype(np.float32))


class Pickled:
    pass


NPZ = {
    "text in place of npz": (
        lambda p: p.write_text("hello"),
        r"a\.npz is no npz file, or damaged; write it again by n",
    ),
    "truncated": (lambda p: p.write_bytes(p.read_bytes()[:-60]), r"a\.npz is no npz file, or damaged"),
    "one array": (lambda p: np.save(p.open("wb"), np.zeros(3)), r"a\.npz is no npz file, or damaged"),
    "pickled": (
        lambda p: write_npz(p, x=np.array([Pickled()], dtype=object)),
        r"a\.npz holds Python objects, which are not read; write numbers and text only\.",
    ),
    "pickled names": (
        lambda p: write_npz(p, channels=np.array(["I", "II", "V1"], object)),
        r"a\.npz holds Python objects",
    ),
    "no channels": (lambda p: write_npz(p, channels=None), r"a\.npz: no `channels`; add the names of the columns as a"),
    "too few channels": (
        lambda p: write_npz(p, channels=["I", "II", "V1", "V2"]),
        r"a\.npz: 0 has shape \(6, 3\) where \(rows, 4\) is needed\.",
    ),
    "channel missing": (lambda p: write_npz(p, channels=["I", "II", "v1"]), r"a\.npz: no channel 'V1'; did you mean"),
    "no recording": (lambda p: write_npz(p, x=None), r"a\.npz holds no recording; it should hold x \(n, l, D\), or an"),
    "x and more": (lambda p: write_npz(p, r1=make("r1")), r"a\.npz holds x and r1; it should hold x or an array a rec"),
    "one dimension": (lambda p: write_npz(p, x=None, r1=np.zeros(4)), r"a\.npz: r1 has shape \(4,\) where \(rows, 3\)"),
    "no samples": (lambda p: write_npz(p, x=np.zeros((4, 0, 3))), r"a\.npz: 0 has shape \(0, 3\) where \(rows, 3\)"),
    "text": (lambda p: write_npz(p, x=np.full((4, 6, 3), "a")), r"a\.npz: 0 holds <U1 where numbers are needed\."),
    "complex": (lambda p: write_npz(p, x=np.ones((4, 6, 3), complex)), r"a\.npz: 0 holds complex128 where numbers are"),
    "rate zero": (lambda p: write_npz(p, rate=0), r"a\.npz: rate is 0 where samples a second are needed"),
    "rate text": (lambda p: write_npz(p, rate="fast"), r"a\.npz: rate is 'fast' where samples a second are needed"),
    "two rates": (lambda p: write_npz(p, rate=[100, 50]), r"a\.npz: rate has shape \(2,\) where one number is needed"),
    "other rate": (lambda p: write_npz(p, rate=50), r"a\.npz: 0: 50 Hz where `rate` says 100; correct the rate, or re"),
    "y of another length": (lambda p: write_npz(p, y=[0, 1]), r"a\.npz: y has shape \(2,\) where \(4,\) is needed\."),
    "no subject": (lambda p: write_npz(p, subject=None), r"a\.npz: only an \.npz with y and subject needs no table of"),
    "unknown label": (lambda p: write_npz(p, y=[0, 1, 2, 0]), r"a\.npz, row 2: label '2' is in no class \("),
    "subject missing": (lambda p: write_npz(p, subject=[1, np.nan, 2, 3]), r"a\.npz, row 1: its subject is empty"),
    "doubled name": (
        lambda p: write_npz(p, x=None, y=None, **{"a/r1": make("r1"), "b/r1": make("r2")}),
        r"a\.npz: r1 is the name of two recordings; rename one\.",
    ),
}


@pytest.mark.parametrize("case", NPZ)
def test_wrong_npz(tmp_path, case):
    change, sentence = NPZ[case]
    path = write_npz(tmp_path / "a.npz")
    change(path)
    message = refusal(tmp_path, signals=path, labels=None)
    assert re.search(sentence, message), message


def test_a_damaged_array_of_npz(tmp_path):
    path = write_npz(tmp_path / "a.npz")
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)
    assert re.search(
        r"a\.npz is no npz file, or damaged \(.+\); write it", refusal(tmp_path, signals=path, labels=None)
    )


@pytest.mark.parametrize("ending", ["zip", "tar.xz"])
def test_wrong_archives(tmp_path, ending):
    folder = make_folder(tmp_path, "wfdb")
    header_of("^r2 3 100", "r2 3 50")(folder / "signals")
    path = pack(folder / "signals", tmp_path / f"mine.{ending}")
    message = refusal(folder, signals=path, rate=None)  # names the file in the archive, not where it was unpacked
    assert message.startswith(f"{path}/mine/r2.hea: 50 Hz where {path}/mine/r1.hea says 100;")
    path.write_bytes(path.read_bytes()[:-60])
    assert re.search(r"mine\.\S+ is truncated, damaged or no archive", refusal(folder, signals=path))
    path.write_bytes(b"")
    assert f"{path} is empty" in refusal(folder, signals=path)
    path.unlink()
    assert f"{path} is not there" in refusal(folder, signals=path)


@pytest.mark.parametrize("name", ["../r1.csv", "/r1.csv"])
def test_an_archive_that_leads_out(tmp_path, name):
    folder = make_folder(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(name, "I\n1\n")
    assert "leads out of the archive" in refusal(folder, signals=tmp_path / "a.zip")


def test_an_archive_in_which_a_file_is_a_folder_too(tmp_path):
    folder = make_folder(tmp_path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("r1.csv", "I\n1\n")
        archive.writestr("r1.csv/r2.csv", "I\n1\n")
    assert re.search(
        r"a\.zip: r1\.csv/r2\.csv could not be unpacked \(.+\)\.$", refusal(folder, signals=tmp_path / "a.zip")
    )


# ------------------------------------------------------------------------------------------- values that are none


@pytest.mark.parametrize("value", ["-9999", "999", "-99999.9", "1e30", "-3.4e38", "65535"])
def test_a_code_for_missing_that_would_be_a_value(tmp_path, value):
    """One -9999 among values of -5 to 5 was the mean and the deviation of its channel."""
    folder = make_folder(tmp_path)
    for name in ("r2", "r11"):
        path = folder / f"signals/{name}.csv"
        lines = path.read_text().splitlines()
        lines[3] = f"{value},1,2"
        path.write_text("\n".join(lines) + "\n")
    message = refusal(folder)
    assert f"signals/r2.csv, line 4: {np.float32(value):.7g} in 'I', there 2 times, is far from all others" in message


@pytest.mark.parametrize("values", ["9.99,5,5", "0,0,1", "-999,0,1200", "500000,999,0", "3,3,3"])
def test_high_values_that_may_be_values(tmp_path, values):
    """-999 is not far from values of as many units; 1 is no code, and a channel of 0 and 1 is a channel."""
    folder = make_folder(tmp_path)
    for name in NAMES:
        column = np.resize(values.split(","), 6)
        others = [line.split(",", 1)[1] for line in csv_of(make(name)).splitlines()[1:]]
        text = "".join(f"{value},{other}\n" for value, other in zip(column, others, strict=True))
        (folder / f"signals/{name}.csv").write_text(f"I,II,V1\n{text}")
    assert len(read(folder).signals) == 4


@pytest.mark.parametrize("gain", ["(0)/mV", "0", "0(0)/mV", "-100", "nan", "1e999", "x", "100(9999999999)"])
def test_a_gain_of_which_wfdb_makes_another(tmp_path, gain):
    """It is 200 where none is said, and 0 is none."""
    folder = make_folder(tmp_path, "wfdb")
    path = folder / "signals" / "r2.hea"
    path.write_text(re.sub(r" 16 100\.0\(0\)/mV", f" 16 {gain}", path.read_text()))
    assert str(path) in refusal(folder)


def test_a_recording_of_another_gain_is_said(tmp_path):
    folder = make_folder(tmp_path, "wfdb")
    path = folder / "signals" / "r2.hea"
    path.write_text(path.read_text().replace("100.0(0)", "0.1(0)"))
    assert counts(read(folder, rate=None), "recordings with a channel of 100 times") == {"records": 1}


def test_a_first_value_that_is_not_the_headers(tmp_path):
    folder = make_folder(tmp_path, "wfdb")
    path = folder / "signals" / "r2.hea"
    path.write_text(re.sub(r"-?\d+ (-?\d+ 0 I)$", r"31999 \1", path.read_text(), flags=re.M))
    assert "r2.hea: channel I does not begin as its header says" in refusal(folder)


def test_a_pipe_in_place_of_a_signal_file(tmp_path):
    """wfdb would wait at it for ever."""
    folder = make_folder(tmp_path, "wfdb")
    path = folder / "signals" / "r2.dat"
    path.unlink()
    os.mkfifo(path)
    assert f"{path} is no plain file; take it out" in refusal(folder)
