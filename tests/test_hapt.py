"""HAPT: a small set of the published layout, the real one beside UCI HAR's windows, one sentence a broken file."""

import random
import shutil
import zipfile
from functools import lru_cache
from pathlib import PurePosixPath

import numpy as np
import pytest

from rdpd_nb.data import hapt, uci_har
from rdpd_nb.data.archives import walk
from rdpd_nb.data.text import numbers
from rdpd_nb.data.windows import Windows, split
from rdpd_nb.errors import UserError

ARCHIVE = "HAPT Data Set.zip"
USERS = {1: 1, 2: 1, 3: 2, 4: 3}  # experiment -> user; user 2 is one of the test people
ROWS = {1: 700, 2: 400, 3: 600, 4: 500}
STRETCHES = [  # experiment, user, activity, first and last sample
    (1, 1, 5, 1, 250),
    (1, 1, 7, 251, 300),
    (1, 1, 1, 310, 700),
    (2, 1, 6, 101, 228),
    (3, 2, 2, 50, 305),
    (3, 2, 12, 306, 400),
    (3, 2, 4, 401, 500),
    (4, 3, 3, 20, 211),
]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(hapt, "RECORDINGS", len(USERS))
    monkeypatch.setattr(hapt, "PEOPLE", 3)


def signal_name(sensor, experiment):
    return f"{sensor}_exp{experiment:02}_user{USERS[experiment]:02}.txt"


@lru_cache
def raw(sensor, experiment):
    """(rows, 3), as it stands in the file."""
    rng = np.random.default_rng([sensor == "acc", experiment])
    return np.round(rng.normal(size=(ROWS[experiment], 3)).cumsum(0) / 10, 6)


def table(rows, pattern="%g"):
    return "".join(" ".join(pattern % v for v in row) + "\n" for row in rows)


@pytest.fixture
def texts():
    """Name -> text of all files, to be changed and written."""
    signals = {signal_name(s, e): table(raw(s, e), "%.6f") for e in USERS for s in ("acc", "gyro")}
    return signals | {"labels.txt": table(STRETCHES, "%d")}


def unpacked(folder, texts, inner="RawData"):
    for name, said in texts.items():
        path = folder / inner / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(said)
    return folder


def packed(folder, texts, inner="RawData"):
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, said in texts.items():
            archive.writestr(f"{inner}/{name}", said)
    return folder


def read(folder):
    return hapt.read(folder, lambda line: None)


def refusal(folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def same(one, other):
    for name in ("series", "start", "stop", "subject", "label", "part"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


# ---------------------------------------------------------------------------------------------------- reading


def test_stretches_of_the_six_activities_are_cut_out_of_the_filtered_recordings(tmp_path, texts):
    r = read(packed(tmp_path, texts))
    kept = [stretch for stretch in STRETCHES if stretch[2] <= 6]
    assert r.subject.tolist() == [user for _, user, *_ in kept]
    assert [hapt.SPEC.classes[i] for i in r.label] == [
        *("standing", "walking", "laying", "walking upstairs", "sitting", "walking downstairs")
    ]
    assert r.part.tolist() == ["train", "train", "train", "test", "test", "train"]
    assert (r.stop - r.start).tolist() == [last - first + 1 for *_, first, last in kept]
    for start, stop, (experiment, _, _, first, last) in zip(r.start, r.stop, kept, strict=True):
        whole = hapt.channels(raw("acc", experiment), raw("gyro", experiment))
        np.testing.assert_allclose(r.series[start:stop], whole[first - 1 : last], atol=1e-6)


def test_ledger_counts_what_was_read_and_left_out(tmp_path, texts):
    r = read(packed(tmp_path, texts))
    rows = [{k: v for k, v in row.items() if k not in ("step", "Table 1")} for row in r.ledger.rows]
    length = {stretch: stretch[4] - stretch[3] + 1 for stretch in STRETCHES}
    labelled, transitions = sum(length.values()), 50 + 95
    assert rows == [
        {"rows": 2200, "records": 4, "subjects": 3},
        {"rows": labelled - 2200},
        {"rows": labelled, "records": 8},
        {"rows": -transitions, "records": -2},
        {"rows": labelled - transitions, "records": 6, "subjects": 3},
        {"values": 0},
    ]
    assert "10,299" in r.ledger.rows[-2]["step"]
    windows = Windows.from_recordings(hapt.SPEC, r)
    assert windows.ledger[-1]["windows"] == len(windows) == 2 + 5 + 1 + 3 + 0 + 2  # 128 every 64 inside a stretch
    assert windows.statistics["total_length"] == 2200


def test_archive_and_folder_read_alike_in_any_order(tmp_path, texts):
    (tmp_path / "zip").mkdir()
    shuffled = dict(random.Random(0).sample(list(texts.items()), len(texts)))
    shuffled["labels.txt"] = table(random.Random(1).sample(STRETCHES, len(STRETCHES)), "%d")
    archive = read(packed(tmp_path / "zip", shuffled, "HAPT Data Set/RawData"))
    for i, inner in enumerate(("RawData", "Raw-Data", "HAPT Data Set/RawData", ".")):
        folder = unpacked(tmp_path / f"folder{i}", texts, inner)
        same(read(folder), archive)
        assert len(hapt.files(folder)) == 9


def test_other_files_of_the_set_are_left_alone(tmp_path, texts):
    folder = unpacked(tmp_path, texts)
    for name in ("Train/X_train.txt", "activity_labels.txt", "RawData/notes.txt", "features.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("words")
    before = read(folder)
    (tmp_path / "zip").mkdir()
    same(before, read(packed(tmp_path / "zip", texts | {"README.txt": "words"})))


# ---------------------------------------------------------------------------------------------------- filters

SECONDS = np.arange(6000) / 50  # two minutes


def filtered(acc=0.0, gyro=0.0):
    """The nine channels (rows, 9) where every axis holds the same signal."""
    both = [np.tile(np.broadcast_to(np.asarray(x, float), SECONDS.shape)[:, None], 3) for x in (acc, gyro)]
    return hapt.channels(*both)


def wave(hertz):
    return np.sin(2 * np.pi * hertz * SECONDS)


def size(x):
    """Root mean square of the second minute: filters begin from zero."""
    return np.sqrt((x[3000:] ** 2).mean(0))


def test_gravity_and_drift_are_taken_out_and_total_acceleration_keeps_it():
    made = filtered(acc=1.0, gyro=0.3)
    assert made.dtype == np.float32 and made.shape == (6000, 9)
    np.testing.assert_allclose(made[3000:, 6:], 1, atol=1e-6)
    np.testing.assert_allclose(made[3000:, :6], 0, atol=1e-4)


@pytest.mark.parametrize(
    ("hertz", "body_acc", "body_gyro", "total"),
    [(0.01, 0, 0, 1), (1.5, 1, 1, 1), (5.0, 1, 1, 1), (24.0, 0, 0, 0)],
)
def test_what_each_channel_lets_pass(hertz, body_acc, body_gyro, total):
    """Share of a sine that is left: between 0.3 and 20 Hz in body_acc, 0.1 and 20 in body_gyro, below 20 in total."""
    left = size(filtered(wave(hertz), wave(hertz))) * np.sqrt(2)
    expected = np.repeat([body_acc, body_gyro, total], 3)
    assert np.abs(left - expected).max() < 0.2, left  # the median shortens the peaks of a fast sine


@pytest.mark.parametrize(
    ("corner", "order", "channels"), [(0.3, 3, slice(0, 3)), (0.1, 2, slice(3, 6))], ids=["gravity", "drift"]
)
@pytest.mark.parametrize("times", [0.5, 1, 2])
def test_corner_and_order_of_what_is_taken_out(corner, order, channels, times):
    """By the share of a sine that is taken out. The median leaves slow ones alone."""
    made = filtered(wave(corner * times), wave(corner * times))
    there = made[:, 6:]  # of the angular velocity there is no total; it was given the same
    expected = (1 + times ** (2 * order)) ** -0.5
    np.testing.assert_allclose(size(there - made[:, channels]) * np.sqrt(2), expected, rtol=0.02)


def test_the_corner_of_the_noise_filter():
    """20 Hz, of 10th order: half the power at 20 Hz, nothing 3 Hz above, all 3 Hz below. Steps outlive the median."""
    impulse = np.zeros((6000, 3))
    impulse[3000:] = 1  # a step; its difference is an impulse, which the median would remove
    response = np.diff(hapt.channels(impulse, impulse)[:, 6], prepend=0)
    power = np.abs(np.fft.rfft(response[2990:], 500)) ** 2
    power_at = dict(zip(np.fft.rfftfreq(500, 1 / 50).round(1), power, strict=True))
    assert abs(power_at[20.0] - 0.5) < 0.02
    assert power_at[17.0] > 0.97 and power_at[23.0] < 0.001


def test_a_single_wild_sample_is_removed():
    spike = np.zeros(6000)
    spike[4000] = 50
    assert np.abs(filtered(spike, spike)).max() == 0
    spike[4001] = 50  # two are a signal
    assert np.abs(filtered(spike, spike)).max() > 10


def test_nothing_depends_on_what_comes_later_but_for_the_next_sample():
    rng = np.random.default_rng(0)
    acc, gyro = rng.normal(size=(2, 500, 3))
    before = hapt.channels(acc, gyro)
    acc[300:], gyro[300:] = 7, -7
    after = hapt.channels(acc, gyro)
    np.testing.assert_array_equal(before[:299], after[:299])
    assert (before[300] != after[300]).all()


# ---------------------------------------------------------------------------------------------------- bad input


@pytest.fixture
def folder(tmp_path, texts):
    return unpacked(tmp_path, texts)


def edit(folder, name, change):
    path = folder / "RawData" / name
    lines = path.read_text().splitlines()
    change(lines)
    path.write_text("\n".join(lines) + "\n")


def label_line(folder, number, line):
    def change(lines):
        lines[number - 1] = line

    edit(folder, "labels.txt", change)
    return refusal(folder)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("3 2 2 0 305", "samples 0 to 305: the recording has samples 1 to 600"),
        ("3 2 2 -5 305", "samples -5 to 305: the recording has samples 1 to 600"),
        ("3 2 2 550 601", "samples 550 to 601: the recording has samples 1 to 600"),
        ("3 2 2 305 50", "samples 305 to 50: the recording has samples 1 to 600"),
        ("3 2 13 50 305", "activity 13 is unknown"),
        ("3 2 0 50 305", "activity 0 is unknown"),
        ("3 1 2 50 305", "user 1 has no recording of that number"),
        ("3 31 2 50 305", "user 31 has no recording of that number"),
        ("9 2 2 50 305", "experiment 9, samples 50 to 305: user 2 has no recording of that number"),
        ("3 2 2 50 306", "samples 306 to 400: it overlaps the stretch before it"),
        ("3 2 2 401 500", "samples 401 to 500: it overlaps the stretch before it"),
        ("3 2 2 50", "labels.txt, line 5: 4 columns where 5 are expected"),
        ("3 2 2 50 305 1", "labels.txt, line 5: 6 columns where 5 are expected"),
        ("3 2 2.5 50 305", "labels.txt, line 5: no whole number"),
        ("3 2 walking 50 305", "labels.txt, line 5, column 3: 'walking' is no number"),
    ],
)
def test_labels_that_cannot_be(folder, line, words):
    assert words in label_line(folder, 5, line)


def test_an_experiment_without_labels(folder):
    edit(folder, "labels.txt", lambda lines: lines.pop())
    assert "says nothing of experiment 4" in refusal(folder)


def test_transitions_alone(folder, texts):
    (folder / "RawData" / "labels.txt").write_text("".join(f"{e} {u} 8 1 200\n" for e, u in USERS.items()))
    assert "no stretch of the six activities" in refusal(folder)


@pytest.mark.parametrize("name", ["labels.txt", "acc_exp02_user01.txt", "gyro_exp03_user02.txt"])
@pytest.mark.parametrize("write", [packed, unpacked])
def test_a_missing_file(tmp_path, texts, name, write):
    del texts[name]
    assert f"{name} is missing" in refusal(write(tmp_path, texts))
    with pytest.raises(UserError, match=f"{name} is missing"):
        hapt.check_download(tmp_path)


def test_a_missing_recording(tmp_path, texts):
    for sensor in ("acc", "gyro"):
        del texts[signal_name(sensor, 3)]
    assert "acc_exp03_userNN.txt is missing" in refusal(packed(tmp_path, texts))


def test_a_user_who_is_another_in_the_other_file(folder):
    (folder / "RawData" / "gyro_exp03_user02.txt").rename(folder / "RawData" / "gyro_exp03_user03.txt")
    assert "exp03" in (message := refusal(folder)) and "is missing" in message


def test_people_who_are_not_all_there(folder):
    for sensor in ("acc", "gyro"):
        (folder / "RawData" / signal_name(sensor, 4)).rename(folder / "RawData" / f"{sensor}_exp04_user02.txt")
    assert "users are not 1 to 3, see 3" in refusal(folder)


@pytest.mark.parametrize("name", ["acc_exp05_user02.txt", "acc_exp00_user02.txt", "gyro_exp01_user02.txt"])
def test_a_recording_too_many(tmp_path, texts, name):
    texts[name] = texts[signal_name("acc", 1)]
    assert f"{name} is not of HAPT's experiments 1 to 4, or a second one" in refusal(packed(tmp_path, texts))


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("acc_exp01_user01.txt", "9.81 0 0", "column 1: '9.81' is beyond 8,"),
        ("acc_exp04_user03.txt", "0 0 -1e30", "column 3: '-1e30' is beyond 8,"),
        ("gyro_exp02_user01.txt", "0 57.3 0", "column 2: '57.3' is beyond 34.91,"),
    ],
)
def test_what_no_such_sensor_can_say(folder, name, line, words):
    """m/s2 for g, degrees for rad: a filter would smear it over the rows that follow."""
    edit(folder, name, lambda lines: lines.__setitem__(99, line))
    message = refusal(folder)
    assert f"{name}, line 100, {words}" in message


@pytest.mark.parametrize("one", ["acc_exp01_user01.txt", "gyro_exp03_user02.txt"])
def test_a_signal_that_is_a_copy(folder, one):
    other = "gyro_exp04_user03.txt"
    shutil.copy(folder / "RawData" / one, folder / "RawData" / other)
    message = refusal(folder)
    assert one in message and other in message and "hold the same numbers" in message


def test_a_file_cut_inside_its_last_number(folder):
    path = folder / "RawData" / "acc_exp01_user01.txt"
    path.write_text(path.read_text()[:-2])
    assert "acc_exp01_user01.txt, line 700: the last line has no end" in refusal(folder)


def test_two_copies(folder):
    shutil.copytree(folder / "RawData", folder / "Raw-Data")
    assert "is there 2 times" in refusal(folder)


def test_lengths_that_differ(folder):
    edit(folder, "gyro_exp02_user01.txt", lambda lines: lines.pop())
    assert "experiment 2 has 400 rows of acceleration and 399 of angular velocity" in refusal(folder)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 2", "2 columns where 3 are expected"),
        ("1 2 3 4", "4 columns where 3 are expected"),
        ("", "1 columns where 3 are expected"),
        ("1,2,3", "1 columns where 3 are expected"),
        ("1 x 3", "column 2: 'x' is no number"),
        ("1 nan 3", "column 2: 'nan' is no number"),
        ("1 2 inf", "column 3: 'inf' is no number"),
    ],
)
@pytest.mark.parametrize("name", ["acc_exp01_user01.txt", "gyro_exp04_user03.txt"])
def test_a_line_of_a_signal_that_is_not_three_numbers(folder, name, line, words):
    edit(folder, name, lambda lines: lines.__setitem__(99, line))
    message = refusal(folder)
    assert f"{name}, line 100" in message and words in message


@pytest.mark.parametrize("name", ["labels.txt", "acc_exp01_user01.txt"])
def test_an_empty_file(folder, name):
    (folder / "RawData" / name).write_text("\n")
    assert f"{name} is empty" in refusal(folder)


def test_truncated_archives(tmp_path, texts):
    path = packed(tmp_path, texts) / ARCHIVE
    whole = path.read_bytes()
    for length in (0, 1, len(whole) // 2, len(whole) - 200, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert ARCHIVE in refusal(tmp_path)
    path.write_bytes(whole)
    assert len(read(tmp_path).start) == 6


def test_missing_and_empty_folders(tmp_path):
    assert "is not a folder" in refusal(tmp_path / "nowhere")
    assert "is empty" in refusal(tmp_path)
    (tmp_path / "note.txt").write_text("mine")
    assert "no archive and no RawData" in refusal(tmp_path)


def test_check_download(tmp_path, texts):
    hapt.check_download(unpacked(tmp_path / "folder", texts))
    (tmp_path / "zip").mkdir()
    hapt.check_download(packed(tmp_path / "zip", texts))


# ---------------------------------------------------------------------------------------------------- the real one


@pytest.fixture
def archive(real_root, monkeypatch):
    if not (path := real_root / "hapt" / ARCHIVE).is_file():
        pytest.skip(f"no real hapt in {real_root}; set RDPD_RAW to a folder that holds it")
    monkeypatch.setattr(hapt, "RECORDINGS", 61)
    monkeypatch.setattr(hapt, "PEOPLE", 30)
    return path


def test_the_real_set(archive):
    r = read(archive.parent)
    rows = [{k: v for k, v in row.items() if k not in ("step", "Table 1")} for row in r.ledger.rows]
    assert rows == [
        {"rows": 1_122_772, "records": 61, "subjects": 30},
        {"rows": -307_158},
        {"rows": 815_614, "records": 1214},
        {"rows": -67_208, "records": -358},
        {"rows": 748_406, "records": 856, "subjects": 30},
        {"values": 0},
    ]
    windows = Windows.from_recordings(hapt.SPEC, r)
    assert len(windows) == 10_411
    parts = split(windows, 0)
    assert parts.subjects["test"].tolist() == list(hapt.TEST_PEOPLE) and len(parts.test) == 2996
    assert [len(parts.subjects[part]) for part in ("train", "validation")] == [17, 4]
    assert {len(np.unique(windows.label[index])) for index in (parts.train, parts.validation, parts.test)} == {6}


@pytest.mark.real("uci_har")
def test_channels_are_those_of_uci_har(archive, real_root):
    """Windows that UCI HAR's publisher made are found in these recordings, all nine channels of them."""
    from scipy.signal import oaconvolve

    signals = {
        PurePosixPath(n).stem: numbers([(n, c)], 3, " ")[0] for n, c in walk(archive, hapt._is_raw) if "exp" in n
    }
    names = sorted(name.removeprefix("acc_") for name in signals if name.startswith("acc"))
    made = [hapt.channels(signals[f"acc_{name}"], signals[f"gyro_{name}"]) for name in names]
    ends, series = np.cumsum([len(m) for m in made]), np.concatenate(made)
    total = series[:, 6:].astype(float)
    squares = np.vstack([np.zeros(3), (total**2).cumsum(0)])
    energy = (squares[128:] - squares[:-128]).sum(1)  # of the 128 rows from each row on

    r = uci_har.read(real_root / "uci_har", lambda line: None)
    x = r.series.reshape(-1, 128, 9)
    some = np.random.default_rng(0).choice(len(x), 40, replace=False)
    place = [
        (energy - 2 * sum(oaconvolve(total[:, d], w[::-1, 6 + d], "valid") for d in range(3))).argmin() for w in x[some]
    ]
    error = series[np.array(place)[:, None] + np.arange(128)] - x[some]
    assert np.sqrt((error**2).mean((0, 1))).max() < 2.5e-4  # g and rad/s; four digits are written
    assert np.abs(error).max() < 6e-4

    user = np.array([int(name[-2:]) for name in names])[np.searchsorted(ends, place, "right")]
    assert (np.isin(user, hapt.TEST_PEOPLE) == (r.part[some] == "test")).all()
