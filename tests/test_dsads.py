"""DSADS: a small set of the published layout, the real one, and one sentence about each broken file."""

import random
import shutil
import zipfile
from functools import lru_cache

import numpy as np
import pytest

from rdpd_nb.data import dsads, text
from rdpd_nb.data.windows import Windows, split
from rdpd_nb.errors import UserError

ROWS, CHANNELS, ACTIVITIES = 125, 45, 19
ARCHIVE = "daily+and+sports+activities.zip"
NAMES = [f"data/a{a:02}/p{p}/s{s:02}.txt" for a in range(1, ACTIVITIES + 1) for p in (1, 2) for s in (1, 2)]


def value(file, row, channel):
    """Different in every file, row and channel."""
    return (file / 10 + row / 1000 + channel) / 10


@lru_cache
def content(file):
    lines = [",".join(f"{value(file, row, channel):.4g}" for channel in range(CHANNELS)) for row in range(ROWS)]
    return "\n".join(lines) + "\n"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Two people and two segments: 76 files."""
    monkeypatch.setattr(dsads, "PEOPLE", 2)
    monkeypatch.setattr(dsads, "SEGMENTS", 2)
    monkeypatch.setattr(dsads, "BATCH", 10)


@pytest.fixture
def texts():
    """Name -> text of all files, to be changed and written."""
    return {name: content(i) for i, name in enumerate(NAMES)}


def unpacked(folder, texts):
    for name, said in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(said)
    return folder


def packed(folder, texts, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(folder / ARCHIVE, "w", method) as archive:
        for name, said in texts.items():
            archive.writestr(name, said)
    return folder


def read(folder):
    return dsads.read(folder, lambda line: None)


def refusal(folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------- reading


def test_the_spec_names_what_the_columns_hold():
    spec = dsads.SPEC
    assert len(spec.channels) == CHANNELS and len(spec.classes) == ACTIVITIES
    assert (spec.channels[0], spec.channels[13], spec.channels[44]) == (
        "torso_acc_x",
        "right_arm_gyro_y",
        "left_leg_mag_z",
    )
    for view in ("torso", "right_arm", "right_leg"):
        assert [spec.channels[i].startswith(f"{view}_") for i in spec.views[view]] == [True] * 9
    assert [spec.channels[i] for i in spec.views["watch"]] == [f"right_arm_acc_{axis}" for axis in "xyz"]
    assert dsads.SOURCE.windows == 9120


def test_segments_labels_and_people(tmp_path, texts):
    r = read(packed(tmp_path, texts))
    expected = value(*np.ogrid[: len(NAMES), :ROWS, :CHANNELS]).reshape(-1, CHANNELS)
    assert r.series.dtype == np.float32
    np.testing.assert_allclose(r.series, expected, rtol=1e-3)
    assert r.label.tolist() == [int(name[6:8]) - 1 for name in NAMES]
    assert r.subject.tolist() == [int(name[10]) for name in NAMES]
    assert r.start.tolist() == [ROWS * i for i in range(len(NAMES))] and (r.stop - r.start == ROWS).all()
    assert r.part is None


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_archive_and_folder_read_alike_in_any_order(tmp_path, texts, method):
    shuffled = dict(random.Random(0).sample(list(texts.items()), len(texts)))
    (tmp_path / "zip").mkdir()
    from_archive = read(packed(tmp_path / "zip", shuffled, method))
    folder = unpacked(tmp_path / "folder", texts)
    for inner in (folder, folder / "data"):
        r = read(inner)
        np.testing.assert_array_equal(r.series, from_archive.series)
        np.testing.assert_array_equal(r.label, from_archive.label)
        np.testing.assert_array_equal(r.subject, from_archive.subject)


def test_files_are_the_archive_or_the_texts(tmp_path, texts):
    folder = unpacked(tmp_path, texts)
    (folder / "note.txt").write_text("mine")
    assert sorted(p.relative_to(folder).as_posix() for p in dsads.files(folder)) == sorted(NAMES)
    assert len(read(folder).start) == len(NAMES)
    packed(folder, texts)
    assert dsads.files(folder) == [folder / ARCHIVE]


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_line_ends(tmp_path, texts, end):
    plain = read(unpacked(tmp_path / "plain", texts))
    other = {name: said.replace("\n", end) + end for name, said in texts.items()}
    (tmp_path / "zip").mkdir()
    np.testing.assert_array_equal(read(packed(tmp_path / "zip", other)).series, plain.series)


def test_ledger_counts_what_was_read_and_what_is_beyond_the_sensors(tmp_path, texts):
    for i, name in enumerate(NAMES):
        texts[name] = "\n".join([",".join([f"0.{i:03}"] * CHANNELS)] * ROWS) + "\n"
    within = read(unpacked(tmp_path, texts)).ledger.rows
    values = ["0"] * CHANNELS
    values[0], values[12], values[13], values[44] = "-176.6", "-20.95", "20.9", "1.7"  # acc, gyro, gyro, mag
    texts[NAMES[3]] = line_changed(texts[NAMES[3]], ROWS, lambda line: ",".join(values))
    r = read(unpacked(tmp_path, texts))
    counts = {"rows": 76 * ROWS, "records": 76, "subjects": 2, "classes": 19}
    assert counts.items() <= within[0].items() and within[0] == r.ledger.rows[0]
    assert [row["values"] for row in within[1:]] == [0, 0, 0, 0]
    assert [row["values"] for row in r.ledger.rows[1:]] == [1, 1, 1, 0]
    assert [row["step"].split()[2] for row in r.ledger.rows[1:4]] == ["acc", "gyro", "mag"]
    assert r.ledger.rows[4]["step"] == "values missing or carried forward (a file with one is refused)"
    assert r.series.min() == np.float32(-176.6)  # kept as it is


def test_one_window_a_segment_and_a_fold_a_person(tmp_path, texts):
    third = {name.replace("/p1/", "/p3/"): f"9{said}" for name, said in texts.items() if "/p1/" in name}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dsads, "PEOPLE", 3)
        windows = Windows.from_recordings(dsads.SPEC, read(unpacked(tmp_path, texts | third)))
    assert len(windows) == 19 * 3 * 2
    for fold in range(3):
        parts = split(windows, fold)
        assert parts.subjects["test"].tolist() == [fold + 1]
        assert parts.subjects["validation"].tolist() == [(fold + 1) % 3 + 1]
        assert {len(np.unique(windows.label[p])) for p in (parts.train, parts.validation, parts.test)} == {19}


# ---------------------------------------------------------------------------------------------------- bad input


def line_changed(said, number, change):
    lines = said.splitlines()
    lines[number - 1] = change(lines[number - 1])
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda line: line + ",1.0", 46),
        (lambda line: line.rsplit(",", 1)[0], 44),
        (lambda line: "", 1),
        (lambda line: line.replace(",", ";"), 1),
    ],
)
@pytest.mark.parametrize("write", [packed, unpacked])
def test_wrong_columns(tmp_path, texts, change, count, write):
    texts[NAMES[37]] = line_changed(texts[NAMES[37]], 9, change)
    message = refusal(write(tmp_path, texts))
    assert f"{NAMES[37]}, line 9: {count} columns where 45 are expected" in message


@pytest.mark.parametrize("rows", [1, 124, 126, 250])
def test_wrong_number_of_rows(tmp_path, texts, rows):
    lines = texts[NAMES[5]].splitlines()
    texts[NAMES[5]] = "\n".join((lines * 2)[:rows]) + "\n"
    assert f"{NAMES[5]} has {rows} rows where 125 are expected" in refusal(packed(tmp_path, texts))


def test_rows_that_moved_from_one_file_to_the_next(tmp_path, texts):
    """As many rows in all as there should be."""
    first, second = (texts[name].splitlines() for name in NAMES[:2])
    texts[NAMES[0]], texts[NAMES[1]] = "\n".join([*first, second[0], ""]), "\n".join([*second[1:], ""])
    assert f"{NAMES[0]} has 126 rows" in refusal(packed(tmp_path, texts))


@pytest.mark.parametrize("word", ["x", "", "1.0.0", "--3", "nan", "inf", "1e999", "1_0", "0x1", "NA", "1e", "٣"])
def test_what_is_no_number(tmp_path, texts, word):
    changed = line_changed(texts[NAMES[75]], 125, lambda line: ",".join([*line.split(",")[:44], f"{word}"]))
    texts[NAMES[75]] = changed
    assert f"{NAMES[75]}, line 125, column 45: '{word}' is no number" in refusal(unpacked(tmp_path, texts))


@pytest.mark.parametrize(
    ("column", "value", "limit"), [(0, "1e30", "706.1"), (3, "-99999", "83.78"), (44, "7", "6.383")]
)
def test_what_no_such_sensor_can_say(tmp_path, texts, column, value, limit):
    """Four times its full scale; what is less is counted and kept."""

    def change(line):
        values = line.split(",")
        values[column] = value
        return ",".join(values)

    texts[NAMES[9]] = line_changed(texts[NAMES[9]], 7, change)
    expected = f"{NAMES[9]}, line 7, column {column + 1}: '{value}' is beyond {limit}, the most that is possible there"
    assert expected in refusal(packed(tmp_path, texts))


def test_a_file_cut_inside_its_last_number(tmp_path, texts):
    texts[NAMES[9]] = texts[NAMES[9]][:-2]  # of 4.532 it leaves 4.53: all numbers are there
    assert f"{NAMES[9]}, line 125: the last line has no end" in refusal(unpacked(tmp_path, texts))


def test_the_same_numbers_written_otherwise(tmp_path, texts):
    texts[NAMES[50]] = texts[NAMES[3]].replace("\n", "\r\n")
    assert "hold the same numbers" in refusal(packed(tmp_path, texts))


def test_two_archives(tmp_path, texts):
    packed(tmp_path, texts)
    shutil.copy(tmp_path / ARCHIVE, tmp_path / "activities (1).zip")
    assert f"{tmp_path} holds activities (1).zip and {ARCHIVE}; keep the one" in refusal(tmp_path)


@pytest.mark.parametrize("said", ["", "\n\n", "  \n"])
def test_an_empty_file(tmp_path, texts, said):
    texts[NAMES[11]] = said
    assert f"{NAMES[11]} is empty" in refusal(packed(tmp_path, texts))


@pytest.mark.parametrize(
    ("gone", "count"),
    [("data/a07/p2/s02.txt", 1), ("data/a07/p2/", 2), ("/p2/", 38), ("data/a19/", 4), ("/s02.txt", 38)],
)
def test_missing_people_segments_or_activities(tmp_path, texts, gone, count):
    kept = {name: said for name, said in texts.items() if gone not in name}
    first = next(name for name in NAMES if gone in name).removeprefix("data/")
    for make in (packed, unpacked):
        folder = tmp_path / make.__name__
        folder.mkdir()
        message = refusal(make(folder, kept))
        assert f"{count} of the 76 files of DSADS are missing, the first of them {first}" in message
        with pytest.raises(UserError, match=f"{count} of the 76 files"):
            dsads.check_download(folder)


@pytest.mark.parametrize(
    "name", ["data/a20/p1/s01.txt", "data/a01/p3/s01.txt", "data/a01/p1/s03.txt", "data/x/readme.txt"]
)
def test_an_unknown_folder_or_file(tmp_path, texts, name):
    texts[name] = texts[NAMES[0]].replace("0.", "1.")
    assert f"{name} is none of DSADS's a01 to a19, p1 to p2, s01 to s2" in refusal(packed(tmp_path, texts))


def test_the_same_numbers_in_two_files(tmp_path, texts):
    texts[NAMES[50]] = texts[NAMES[3]]
    later, earlier = (NAMES[i].removeprefix("data/") for i in (50, 3))
    assert f"{later} and {earlier} hold the same numbers" in refusal(packed(tmp_path, texts))


def test_a_copy_of_the_set_beside_it(tmp_path, texts):
    unpacked(tmp_path, texts)
    shutil.move(tmp_path / "data" / "a03", tmp_path / "a03")
    assert len(read(tmp_path).start) == 76  # either place, but not both
    shutil.copytree(tmp_path / "a03", tmp_path / "data" / "a03")
    assert "a03/p1/s01.txt is there twice" in refusal(tmp_path)


def test_truncated_archives(tmp_path, texts):
    whole = (packed(tmp_path, texts) / ARCHIVE).read_bytes()
    for length in (0, 1, 100, len(whole) // 3, len(whole) // 2, len(whole) - 1000, len(whole) - 1):
        (tmp_path / ARCHIVE).write_bytes(whole[:length])
        assert ARCHIVE in refusal(tmp_path)
    (tmp_path / ARCHIVE).write_bytes(whole)
    assert len(read(tmp_path).start) == 76


def test_damaged_archives_are_refused_or_read_as_they_were(tmp_path, texts):
    whole = (packed(tmp_path, texts) / ARCHIVE).read_bytes()
    before, refused, random_ = read(tmp_path).series, 0, random.Random(1)
    for _ in range(20):
        damaged = bytearray(whole)
        damaged[random_.randrange(len(whole))] ^= 1 << random_.randrange(8)
        (tmp_path / ARCHIVE).write_bytes(damaged)
        try:
            np.testing.assert_array_equal(read(tmp_path).series, before)
        except UserError as error:
            assert ARCHIVE in str(error)
            refused += 1
    assert refused >= 15


def test_missing_and_empty_folders(tmp_path):
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert "is empty" in refusal(tmp_path)
    (tmp_path / "note.txt").write_text("mine")
    assert "no archive and no aNN/pN/sNN.txt" in refusal(tmp_path)


def test_check_download(tmp_path, texts):
    unpacked(tmp_path / "folder", texts)
    (tmp_path / "zip").mkdir()
    packed(tmp_path / "zip", texts)
    for folder in (tmp_path / "folder", tmp_path / "zip"):
        dsads.check_download(folder)


# ---------------------------------------------------------------------------------------------------- numbers


def test_numbers_are_those_that_python_reads():
    random_ = random.Random(2)
    said = [
        [f"{random_.gauss(0, 10 ** random_.uniform(-20, 20)):.{random_.randrange(9)}g}" for _ in range(3)]
        for _ in range(200)
    ]
    content = "".join(" ".join(line) + "\n" for line in said).encode()
    values, rows = text.numbers([("a", content[: content.index(b"\n") + 1]), ("b", content)], 3, " ")
    assert rows.tolist() == [1, 200] and values.dtype == np.float32
    np.testing.assert_array_equal(values, np.array([said[0], *said], np.float64).astype(np.float32))


def test_numbers_out_of_any_bytes_are_finite_or_refused_by_name():
    """Bytes put in at random: never a value that is not in the text, never another error."""
    random_, refused = random.Random(3), 0
    good = b"1.5 -2 3e1\n4 5 6\n"
    for _ in range(1500):
        bad = bytearray(good)
        for _ in range(random_.randrange(1, 4)):
            at = random_.randrange(len(bad) + 1)
            bad[at : at + random_.randrange(2)] = bytes([random_.choice(b' \n\r\t,.eE+-_09nainf\x00\xff"#')])
        try:
            values, rows = text.numbers([("good", good), ("bad", bytes(bad)), ("good too", good)], 3, " ")
        except UserError as error:
            assert str(error).startswith("bad"), (bytes(bad), str(error))
            refused += 1
        else:
            expected = [
                [float(v) for v in line.split(b" ")] for line in bytes(bad).strip().replace(b"\r", b"").split(b"\n")
            ]
            assert rows.tolist() == [2, len(expected), 2]
            np.testing.assert_array_equal(values[2:-2], np.array(expected, np.float32))
    assert 500 < refused < 1500


# ---------------------------------------------------------------------------------------------------- the real one


@lru_cache
def whole(folder):
    return dsads.read(folder, lambda line: None)


@pytest.fixture(scope="module", autouse=True)
def forget():
    """205 MB that no other test needs."""
    yield
    whole.cache_clear()


@pytest.fixture
def real(real_root, monkeypatch):
    """All of the real recordings; read once."""
    if not (real_root / "dsads" / ARCHIVE).is_file():
        pytest.skip(f"no real dsads in {real_root}; set RDPD_RAW to a folder that holds it")
    monkeypatch.setattr(dsads, "PEOPLE", 8)
    monkeypatch.setattr(dsads, "SEGMENTS", 60)
    monkeypatch.setattr(dsads, "BATCH", 480)
    return whole(real_root / "dsads")


def test_the_real_set(real):
    assert {k: real.ledger.rows[0][k] for k in ("records", "rows", "subjects", "classes")} == {
        "records": 9120,
        "rows": 1_140_000,
        "subjects": 8,
        "classes": 19,
    }
    assert [row["values"] for row in real.ledger.rows[1:5]] == [0, 41, 11_120, 0]
    assert real.series.shape == (1_140_000, 45) and np.isfinite(real.series).all()
    np.testing.assert_allclose(real.series[0, [0, 3, 44]], [8.1305, -0.009461, -0.05773], rtol=1e-6)  # its first line
    assert (np.bincount(real.label) == 480).all() and (np.bincount(real.subject)[1:] == 1140).all()
    assert len(Windows.from_recordings(dsads.SPEC, real)) == 9120


def test_units_of_the_real_set_are_those_of_the_spec(real):
    """At rest an accelerometer measures 9.8 m/s2, nothing turns, and Earth's field is near 1."""
    kind = np.array([channel.split("_")[-2] for channel in dsads.CHANNELS])
    x = real.series.reshape(9120, 125, 45)[np.isin(real.label, [0, 1, 2, 3])]
    size = {
        sensor: np.linalg.norm(x[..., kind == sensor].reshape(*x.shape[:2], 5, 3), axis=-1) for sensor in dsads.SENSORS
    }
    assert abs(np.median(size["acc"]) - 9.8) < 0.15
    assert np.median(size["gyro"]) < 0.05
    assert 0.6 < np.median(size["mag"]) < 1.1


def test_only_the_stairs_have_gaps_between_their_segments(real):
    """Why a segment is a recording: some do not follow one another."""
    x = real.series.reshape(19, 8, 60, 125, 45)
    between = np.abs(x[:, :, 1:, 0] - x[:, :, :-1, -1]).mean((1, 2))
    inside = np.abs(np.diff(x, axis=3)).mean((1, 2, 3))
    ratio = np.median(between / inside, axis=-1)
    assert [dsads.SPEC.classes[i] for i in np.flatnonzero(ratio > 2)] == ["ascending stairs", "descending stairs"]
    assert np.delete(ratio, [4, 5]).max() < 1.35
