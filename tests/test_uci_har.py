"""UCI HAR: a small hand-written set, the real subset, and one sentence about each broken file."""

import shutil

import numpy as np
import pytest

from rdpd_nb import data
from rdpd_nb.data import uci_har
from rdpd_nb.errors import UserError

CHANNELS = uci_har.SPEC.channels
LABELS = {"train": [5, 5, 1, 6], "test": [2, 4, 3]}
SUBJECTS = {"train": [1, 1, 3, 3], "test": [2, 4, 4]}


def value(part, channel, window):
    """Every step of a window holds this value, in channel order: readable off an array."""
    return (1 if part == "test" else 0) + channel / 10 + window / 100


def write(folder, subjects=True):
    base = folder / "UCI HAR Dataset"
    for part, labels in LABELS.items():
        (base / part / "Inertial Signals").mkdir(parents=True)
        for d, channel in enumerate(CHANNELS):
            lines = [" ".join([f"{value(part, d, w): .7e}"] * 128) for w in range(len(labels))]
            (base / part / "Inertial Signals" / f"{channel}_{part}.txt").write_text("\n".join(lines) + "\n")
        (base / part / f"y_{part}.txt").write_text("".join(f"{label}\n" for label in labels))
        if subjects:
            (base / part / f"subject_{part}.txt").write_text("".join(f"{s}\n" for s in SUBJECTS[part]))
    return base


def read(folder):
    return uci_har.read(folder, lambda line: None)


def refusal(folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("part", LABELS)
def test_a_download_has_as_many_windows_as_published(base, tmp_path, part):
    for of, windows in (("train", 7352), ("test", 2947)):
        (base / of / f"y_{of}.txt").write_text("1\n" * windows)
    uci_har.check_download(tmp_path)
    path = base / part / f"y_{part}.txt"
    path.write_text(path.read_text()[:-2])
    with pytest.raises(UserError, match=r"y_.*: [\d,]+ windows where UCI HAR has \d+; nothing was kept"):
        uci_har.check_download(tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=": 0 windows where"):
        uci_har.check_download(tmp_path)


def test_windows_labels_subjects_and_parts(tmp_path):
    write(tmp_path)
    r = read(tmp_path)
    assert r.series.dtype == np.float32 and r.series.shape == (7 * 128, 9)
    x = r.series.reshape(7, 128, 9)
    for d in range(9):
        expected = [value("train", d, w) for w in range(4)] + [value("test", d, w) for w in range(3)]
        np.testing.assert_allclose(x[..., d], np.repeat(expected, 128).reshape(7, 128), rtol=1e-6)
    assert r.label.tolist() == [4, 4, 0, 5, 1, 3, 2]
    assert r.subject.tolist() == [1, 1, 3, 3, 2, 4, 4] and not r.subjects_are_blocks
    assert r.part.tolist() == ["train"] * 4 + ["test"] * 3
    assert r.start.tolist() == [128 * i for i in range(7)] and (r.stop - r.start == 128).all()


def test_the_folder_may_be_the_set_itself(tmp_path):
    base = write(tmp_path)
    np.testing.assert_array_equal(read(base).series, read(tmp_path).series)


def test_ledger_with_subjects(tmp_path):
    write(tmp_path)
    rows = [{k: v for k, v in row.items() if k != "Table 1"} for row in read(tmp_path).ledger.rows]
    assert rows == [
        {"step": "windows read, train part", "rows": 4 * 128, "records": 4, "subjects": 2},
        {"step": "windows read, test part", "rows": 3 * 128, "records": 3, "subjects": 2},
        {"step": "values missing or carried forward (a file with one is refused)", "values": 0},
    ]


def test_without_subject_files_blocks_of_windows_stand_for_subjects(tmp_path, monkeypatch):
    monkeypatch.setattr(uci_har, "BLOCK", 2)
    write(tmp_path, subjects=False)
    r = read(tmp_path)
    assert r.subjects_are_blocks
    blocks = r.subject.tolist()
    assert blocks[0] == blocks[1] != blocks[2] == blocks[3] and blocks[4] == blocks[5] != blocks[6]
    assert not set(blocks[:4]) & set(blocks[4:])  # no block is in both parts
    assert r.ledger.rows[0]["blocks"] == 2 and "subjects" not in r.ledger.rows[0]
    assert any("blocks of 2 windows stand for subjects" in row["step"] for row in r.ledger.rows)


@pytest.mark.real("uci_har")
def test_the_real_subset(real_root):
    windows = data.load("uci_har", "all", "real", str(real_root), progress=lambda line: None)
    part = windows.recording_part[windows.recording]
    assert ((part == "train").sum(), (part == "test").sum()) == (2400, 950)
    assert sorted(set(windows.label.tolist())) == list(range(6))
    assert windows.subjects_are_blocks and len(set(windows.subject.tolist())) == 40 + 16
    x = windows[np.arange(len(windows))]
    assert x.shape == (3350, 128, 9) and np.isfinite(x).all()
    standing = x[windows.label == uci_har.SPEC.classes.index("standing")]
    gravity = np.linalg.norm(standing[..., 6:].mean(1), axis=-1)
    assert np.abs(gravity - 1).max() < 0.1  # total acceleration at rest is 1 g
    split = data.split(windows, 0)
    assert set(np.unique(part[split.test])) == {"test"} and len(split.test) == 950
    assert np.abs(split.train[:, None] - split.validation).min() > 1  # neighbours share half their samples


@pytest.mark.real("uci_har")
def test_real_windows_share_samples_with_their_neighbours_only(real_root):
    """Why no training window may stand beside a validation window, and why leaving out the neighbours is enough."""
    x = read(real_root / "uci_har").series.reshape(-1, 128, 9)[:2400]
    shared = {apart: (x[apart:, :64] == x[:-apart, 64:]).all((1, 2)).mean() for apart in (1, 2, 3)}
    assert shared[1] > 0.2 and shared[2] == shared[3] == 0


# ---------------------------------------------------------------------------------------------------- broken files


@pytest.fixture
def base(tmp_path):
    return write(tmp_path)


def signal(base, part="train", channel="body_gyro_y"):
    return base / part / "Inertial Signals" / f"{channel}_{part}.txt"


def edit_line(path, number, change):
    lines = path.read_text().splitlines()
    lines[number - 1] = change(lines[number - 1])
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda line: line + " 1.0", 129),
        (lambda line: line.rsplit(" ", 1)[0], 127),
        (lambda line: "", 1),
    ],
)
def test_wrong_number_of_values_in_a_line(tmp_path, base, change, count):
    edit_line(signal(base), 3, change)
    assert f"{signal(base)}, line 3: {count} columns where 128 are expected" in refusal(tmp_path)


def test_a_line_cut_in_the_wrong_place(tmp_path, base):
    """As many values in all as there should be, but a line has one more and the next one less."""
    path = signal(base)
    lines = [line.split() for line in path.read_text().splitlines()]
    lines[2].insert(0, lines[1].pop())
    path.write_text("\n".join(map(" ".join, lines)) + "\n")
    assert f"{path}, line 2: 127 columns where 128 are expected" in refusal(tmp_path)


def test_truncated_file(tmp_path, base):
    path = signal(base)
    path.write_text(path.read_text()[:-1000])
    assert f"{path}, line 4" in refusal(tmp_path)


def test_row_counts_that_disagree(tmp_path, base):
    path = signal(base, "test")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    message = refusal(tmp_path)
    assert str(path) in message and "2 windows" in message and "y_test.txt has 3 labels" in message


def test_subjects_and_labels_that_disagree(tmp_path, base):
    path = base / "train" / "subject_train.txt"
    path.write_text("1\n1\n3\n")
    message = refusal(tmp_path)
    assert str(path) in message and "3 windows" in message and "y_train.txt has 4" in message


@pytest.mark.parametrize("missing", ["signal", "labels"])
def test_missing_file(tmp_path, base, missing):
    path = signal(base, "test", "total_acc_z") if missing == "signal" else base / "test" / "y_test.txt"
    path.unlink()
    assert f"{path} is missing" in refusal(tmp_path)


@pytest.mark.parametrize("word", ["x", "1,5", "--3", "1.0.0"])
def test_a_word_in_place_of_a_number(tmp_path, base, word):
    edit_line(signal(base), 2, lambda line: " ".join([*line.split()[:5], word, *line.split()[6:]]))
    message = refusal(tmp_path)
    assert str(signal(base)) in message and "is no number" in message


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00\x01", b"PK\x03\x04\x14\x00\x80\x90"])
def test_a_file_of_another_kind(tmp_path, base, content):
    signal(base).write_bytes(content)
    assert str(signal(base)) in refusal(tmp_path)


@pytest.mark.parametrize("label", ["0", "7", "-1"])
def test_labels_outside_the_six(tmp_path, base, label):
    path = base / "test" / "y_test.txt"
    path.write_text(f"1\n{label}\n2\n")
    assert f"{path}, line 2: label {label}, where 1 to 6 can be" in refusal(tmp_path)


@pytest.mark.parametrize("file", ["y_train.txt", "subject_train.txt"])
def test_labels_and_subjects_that_are_no_whole_numbers(tmp_path, base, file):
    path = base / "train" / file
    path.write_text("1\n1\n2.5\n3\n")
    assert str(path) in refusal(tmp_path)


# ------------------------------------------------------------------------------- what would be taken without a word


@pytest.mark.parametrize("word", ["nan", "NaN", "inf", "-inf", "1e39", "1e999"])
def test_what_is_no_finite_number(tmp_path, base, word):
    edit_line(signal(base, "test"), 3, lambda line: " ".join([word, *line.split()[1:]]))
    assert f"{signal(base, 'test')}, line 3, column 1: '{word}' is no number" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("channel", "value", "limit"),
    [("body_acc_x", "-99999", "8"), ("total_acc_y", "9.81", "8"), ("body_gyro_z", "57", "34.91")],
)
def test_what_no_such_sensor_can_say(tmp_path, base, channel, value, limit):
    """9.81 m/s2 where g are due, degrees where rad are."""
    edit_line(signal(base, channel=channel), 2, lambda line: " ".join([*line.split()[:5], value, *line.split()[6:]]))
    message = refusal(tmp_path)
    assert f"{signal(base, channel=channel)}, line 2, column 6: '{value}' is beyond {limit}, the most" in message


def test_a_value_written_with_an_underscore(tmp_path, base):
    """Python reads 1_0 as 10."""
    edit_line(signal(base), 2, lambda line: " ".join(["1_0", *line.split()[1:]]))
    assert "'1_0' is no number" in refusal(tmp_path)


def test_a_file_cut_inside_its_last_number(tmp_path, base):
    path = signal(base, "test", "total_acc_z")
    path.write_text(path.read_text()[:-6])  # of 1.8200000e+00 it leaves 1.820000: all numbers are there
    assert f"{path}, line 3: the last line has no end, so it may be cut short" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("part", "who", "allowed"),
    [
        ("train", 4, "1, 3, 5, 6,"),
        ("test", 3, "2, 4, 9, 10, 12, 13, 18, 20, 24"),
        ("train", -1, ""),
        ("train", 31, "29, 30 "),
        ("test", 99, ""),
    ],
)
def test_a_subject_who_is_not_of_that_part(tmp_path, base, part, who, allowed):
    path = base / part / f"subject_{part}.txt"
    path.write_text("".join(f"{s}\n" for s in [*SUBJECTS[part][:-1], who]))
    message = refusal(tmp_path)
    assert f"{path}, line {len(SUBJECTS[part])}: subject {who}, where " in message and allowed in message


def test_one_part_s_subjects_alone(tmp_path, base):
    path = base / "test" / "subject_test.txt"
    path.unlink()
    assert f"{path} is missing" in refusal(tmp_path)


def test_identical_parts(tmp_path, base):
    for channel in CHANNELS:
        shutil.copy(signal(base, "train", channel), signal(base, "test", channel))
    shutil.copy(base / "train" / "y_train.txt", base / "test" / "y_test.txt")
    (base / "test" / "subject_test.txt").write_text("2\n" * 4)
    first, second = (signal(base, part, CHANNELS[0]) for part in ("train", "test"))
    assert f"{second}: 4 of its 4 lines are those of {first};" in refusal(tmp_path)


def test_a_window_of_the_training_part_in_the_test_part(tmp_path, base):
    """Five of its nine signals are enough."""
    for channel in CHANNELS[4:]:
        line = signal(base, "train", channel).read_text().splitlines()[3]
        edit_line(signal(base, "test", channel), 2, lambda _, line=line: line)
    first, second = (signal(base, part, CHANNELS[0]) for part in ("train", "test"))
    said = f"{second}, line 2: 5 of the nine signals of this window are those of {first}, line 4;"
    assert said in refusal(tmp_path)


def test_equal_lines_that_are_no_copy(tmp_path, base):
    """A sensor may stand still: four of nine signals, or half of a file, are counted and read."""
    for channel in CHANNELS[5:]:
        line = signal(base, "train", channel).read_text().splitlines()[3]
        edit_line(signal(base, "test", channel), 2, lambda _, line=line: line)
    line = signal(base, "train", CHANNELS[0]).read_text().splitlines()[0]
    for number in (3, 4):
        edit_line(signal(base, "train", CHANNELS[1]), number, lambda _: line)
    r = read(tmp_path)
    assert len(r.label) == 7 and r.series.reshape(7, 128, 9)[2, 0, :2].tolist() == pytest.approx([0.02, 0])
    ledger = {row["step"]: row for row in r.ledger.rows}
    assert ledger["lines of a signal that are the same as another's, kept"]["values"] == 6 * 128


def test_a_channel_that_is_a_copy_of_another(tmp_path, base):
    """Also where one of the other part is longer or shorter."""
    one, other = signal(base, "train", CHANNELS[0]), signal(base, "train", CHANNELS[1])
    was = other.read_text()
    shutil.copy(one, other)
    assert f"{other}: 4 of its 4 lines are those of {one}; download them again." in refusal(tmp_path)
    other.write_text(was)
    test = signal(base, "test", CHANNELS[0])
    test.write_text("".join(one.read_text().splitlines(keepends=True)[:3]))
    assert f"{test}: 3 of its 3 lines are those of {one};" in refusal(tmp_path)


def test_layouts_of_spaces(tmp_path, base):
    """As published, one or two spaces stand before a number; copies have tabs, other line ends, spaces at the end."""
    before = read(tmp_path)
    for channel, change in {
        "body_acc_x": lambda text: text.replace(" ", "\t"),
        "body_acc_y": lambda text: text.replace("\n", "\r\n"),
        "body_acc_z": lambda text: text.replace("\n", "  \n"),
        "total_acc_x": lambda text: "  " + text.replace(" ", "   ").replace("\n", " \r\n   "),
    }.items():
        path = signal(base, "train", channel)
        path.write_text(change(path.read_text()).rstrip(" "), newline="")
    np.testing.assert_array_equal(read(tmp_path).series, before.series)


def test_missing_and_empty_folders(tmp_path):
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert f"{tmp_path} is empty" in refusal(tmp_path)
    (tmp_path / "UCI HAR Dataset").mkdir()
    assert "is missing" in refusal(tmp_path)


def test_a_copy_reads_alike(simulated, tmp_path):
    """With and without subject files the windows are the same."""
    shutil.copytree(simulated["uci_har"], tmp_path, dirs_exist_ok=True)
    for path in tmp_path.rglob("subject_*.txt"):
        path.unlink()
    blocks, subjects = read(tmp_path), read(simulated["uci_har"])
    np.testing.assert_array_equal(blocks.series, subjects.series)
    assert blocks.subjects_are_blocks and not subjects.subjects_are_blocks
