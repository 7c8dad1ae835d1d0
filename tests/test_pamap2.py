"""PAMAP2: bouts out of tiny hand-written files, and one sentence about each way a file can be broken."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rdpd_nb.data import pamap2
from rdpd_nb.errors import UserError
from rdpd_nb.files import sum_of

WALKING, LYING, ROPE = 4, 1, 24
CLASSES = pamap2.SPEC.classes


def row(time, activity, heart_rate=70, value=1.0):
    """One line: every IMU column is `value` thousandths, but the last, which is twice that."""
    values = [*[f"{value / 1000:g}"] * 50, f"{value / 500:g}"]
    return " ".join([f"{time:.2f}", str(activity), str(heart_rate), *values])


def rows(activities, start=0.0, first=0):
    """A line each 10 ms; column values count the lines from `first`."""
    return [row(start + i / 100, activity, value=first + i) for i, activity in enumerate(activities)]


def counted(recordings, channel=1):
    """What `rows` counted, as averaged: of a channel of an IMU, the temperature of the hand unless told."""
    return (recordings.series[:, channel].astype(float) * 1000).round(3)


def write(folder, lines, name="subject101.dat", end="\n"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("\n".join(lines) + end)
    return path


def read(folder):
    return pamap2.read(folder, lambda line: None)


def refusal(folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------- bouts


def test_bouts_are_averaged_in_pairs_and_transient_and_other_rows_are_dropped(tmp_path):
    # 2 transient, 5 walking (one is left over), 3 of an activity outside the twelve, 4 lying
    write(tmp_path / "Protocol", rows([0, 0, *[WALKING] * 5, 9, 9, 9, *[LYING] * 4]))
    r = read(tmp_path)
    assert r.series.dtype == np.float32 and r.series.shape == (4, 52)
    assert counted(r).tolist() == [2.5, 4.5, 10.5, 12.5]  # means of rows (2, 3), (4, 5), (10, 11), (12, 13)
    assert counted(r, 51).tolist() == [5, 9, 21, 25]  # the last of the 54 columns is the last channel
    assert r.start.tolist() == [0, 2] and r.stop.tolist() == [2, 4]
    assert [CLASSES[i] for i in r.label] == ["walking", "lying"]
    assert r.subject.tolist() == [101, 101] and r.part is None


def test_ledger_counts_what_came_in_and_what_each_step_removed(tmp_path):
    write(tmp_path / "Protocol", rows([0, 0, *[WALKING] * 5, 9, 9, 9, *[LYING] * 4]))
    write(tmp_path / "Protocol", rows([0, *[ROPE] * 6]), "subject109.dat")
    ledger = {row["step"]: row for row in read(tmp_path).ledger.rows}
    read_in = ledger["rows read at 100 Hz"]
    assert (read_in["rows"], read_in["subjects"]) == (21, 2)
    assert read_in["Table 1"] == "9 subjects, 2,872,533 rows"
    assert ledger["transient rows (activity 0) removed"]["rows"] == -3
    assert ledger["rows of activities outside the protocol's twelve removed"]["rows"] == -3
    kept = ledger["rows of the twelve activities"]
    assert (kept["rows"], kept["records"], kept["subjects"]) == (15, 3, 2)
    assert ledger["averaged in pairs to 50 Hz"]["rows"] == 7
    assert ledger["files of subjects 102, 103, 104, 105, 106, 107, 108 are not there"]["subjects"] == -7


def test_heart_rate_is_carried_on_and_starts_missing(tmp_path):
    beats = ["NaN", "NaN", 100, "NaN", "NaN", 110, "NaN", "NaN"]
    write(tmp_path / "Protocol", [row(i / 100, WALKING, beat) for i, beat in enumerate(beats)])
    heart_rate = read(tmp_path).series[:, 0]
    np.testing.assert_array_equal(heart_rate, [np.nan, 100, 105, 110])


def lost(line):
    """The line of a packet that was lost: time and activity, no value."""
    return " ".join(line.split()[:2] + ["NaN"] * 52)


def spoilt(line, column, value):
    """The line with a value (columns from 0: time, activity, heart rate, IMUs) replaced."""
    values = line.split()
    values[column] = str(value)
    return " ".join(values)


def test_lost_packets_take_the_last_values(tmp_path):
    lines = rows([WALKING] * 4)
    lines[2] = lost(lines[2])
    write(tmp_path / "Protocol", lines)
    assert counted(read(tmp_path)).tolist() == [0.5, 2.0]  # (0 + 1) / 2, (1 + 3) / 2


def test_a_value_is_carried_for_a_second_and_no_longer(tmp_path):
    lines = rows([WALKING] * 220)
    lines[2:] = [*map(lost, lines[2:-2]), *lines[-2:]]
    write(tmp_path / "Protocol", lines)
    series = counted(read(tmp_path))
    np.testing.assert_array_equal(series, [0.5, *[1] * 50, *[np.nan] * 58, 218.5])  # rows 2 to 101 have row 1's


def test_a_pair_of_which_one_is_missing_is_missing(tmp_path):
    lines = rows([WALKING] * 104)
    lines[1:103] = map(lost, lines[1:103])
    write(tmp_path / "Protocol", lines)
    series = counted(read(tmp_path))
    np.testing.assert_array_equal(series, [*[0] * 50, np.nan, np.nan])  # row 0 is carried up to row 100


@pytest.mark.parametrize("between", [[], [0], [9]], ids=["nothing", "transient", "another"])
def test_no_value_is_carried_into_another_activity(tmp_path, between):
    lines = rows([*[WALKING] * 4, *between, *[LYING] * 4])
    lines[-4:-2] = map(lost, lines[-4:-2])
    write(tmp_path / "Protocol", lines)
    last = 7 + len(between)
    np.testing.assert_array_equal(counted(read(tmp_path)), [0.5, 2.5, np.nan, last - 0.5])


def test_no_value_is_carried_over_a_jump_in_time(tmp_path):
    lines = rows([WALKING] * 2) + rows([WALKING] * 2, start=3)
    lines[2] = lost(lines[2])
    write(tmp_path / "Protocol", lines)
    np.testing.assert_array_equal(counted(read(tmp_path)), [0.5, np.nan])


def test_the_ledger_counts_what_was_measured_carried_and_left(tmp_path):
    lines = rows([0, *[WALKING] * 6, 0, *[LYING] * 2])
    lines[1:] = [spoilt(line, 2, "NaN") for line in lines[1:]]  # heart rate: the first of these lines alone has it
    lines[1] = spoilt(lines[1], 2, 70)
    for i in (0, 3, 4, 8):  # a transient row, two that are carried over, one with nothing before it
        lines[i] = lost(lines[i])
    write(tmp_path / "Protocol", lines)
    ledger = {row["step"]: row.get("values") for row in read(tmp_path).ledger.rows}
    assert ledger["values measured in them"] == 5 * 51 + 1
    assert ledger["values carried forward, for 1 s at most and inside a bout"] == 2 * 51 + 5
    assert ledger["values left to the training mean"] == 51 + 2


@pytest.mark.parametrize(("step", "bouts"), [(0.01, [4]), (0.4, [23]), (0.7, [2, 2])])
def test_a_time_jump_ends_a_bout_and_a_short_one_is_filled(tmp_path, step, bouts):
    write(tmp_path / "Protocol", rows([WALKING] * 4, start=5) + rows([WALKING] * 4, 5.03 + step, 4))
    r = read(tmp_path)
    assert (r.stop - r.start).tolist() == bouts


def test_rows_lost_inside_a_bout_are_put_back_and_counted(tmp_path):
    lines = rows([0, *[WALKING] * 300])
    del lines[5:8], lines[100:250]  # rows 5 to 7, then 150 rows: a longer gap, which ends the bout
    write(tmp_path / "Protocol", lines)
    r = read(tmp_path)
    assert (r.stop - r.start).tolist() == [51, 24]
    assert counted(r)[:5].tolist() == [1.5, 3.5, 4, 6, 9.5]  # rows 5 to 7 have what row 4 had: (4 + 4), (4 + 8)
    ledger = {row["step"]: row for row in r.ledger.rows}
    assert ledger["rows lost inside a bout, put back without values"]["rows"] == 3
    assert ledger["rows of the twelve activities"]["rows"] == 300 - 150
    assert ledger["values carried forward, for 1 s at most and inside a bout"]["values"] == 3 * 52
    assert ledger["values left to the training mean"]["values"] == 0


def test_all_twelve_activity_ids_have_their_class(tmp_path):
    ids = [1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 24]
    write(tmp_path / "Protocol", rows(np.repeat(ids, 2)))
    assert [CLASSES[i] for i in read(tmp_path).label] == [
        "lying",
        "sitting",
        "standing",
        "walking",
        "running",
        "cycling",
        "Nordic walking",
        "ascending stairs",
        "descending stairs",
        "vacuum cleaning",
        "ironing",
        "rope jumping",
    ]


def test_layout_of_the_zip_file_reads_alike(tmp_path):
    lines = rows([WALKING] * 6)
    write(tmp_path / "flat" / "Protocol", lines)
    write(tmp_path / "zip" / "PAMAP2_Dataset" / "Protocol", lines)
    write(tmp_path / "zip" / "PAMAP2_Dataset" / "Optional", rows([WALKING] * 40))  # not protocol: not read
    flat, zipped = read(tmp_path / "flat"), read(tmp_path / "zip")
    np.testing.assert_array_equal(flat.series, zipped.series)
    assert zipped.subject.tolist() == [101]


def test_line_ends(tmp_path):
    """The last line may lack its end, and a file that went through Windows reads alike."""
    lines = rows([WALKING] * 6)
    for name, text_end, line_end in (("unix", "\n", ""), ("no_end", "", ""), ("windows", "\n", "\r")):
        write(tmp_path / name / "Protocol", [line + line_end for line in lines], end=text_end)
    expected = read(tmp_path / "unix").series
    np.testing.assert_array_equal(read(tmp_path / "no_end").series, expected)
    np.testing.assert_array_equal(read(tmp_path / "windows").series, expected)


def broken(lines, number, change):
    """The lines with line `number` (from 1) changed."""
    return [*lines[: number - 1], change(lines[number - 1]), *lines[number:]]


def swap(old, new):
    return lambda line: line.replace(old, new, 1)


GOOD = rows([WALKING] * 20)


# ---------------------------------------------------------------------------------------------------- memory

PEAK = """
import sys
from pathlib import Path
import pyarrow.csv
from rdpd_nb.data import pamap2

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) * 1024

before = peak()
r = pamap2.read(Path(sys.argv[1]), lambda line: None)
print(peak() - before, r.series.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from Linux's /proc")
def test_memory_grows_with_what_is_handed_over_and_not_with_the_text(tmp_path):
    """Three sets: one person, all nine, and nine of whom only one does anything; each read three times, since a busy
    machine adds to a peak and never takes from it.

    Measured: 1.3 to 1.5 times the array and 19 MB; a reader that joins arrays at the end 2.5 times, one that keeps the
    text 2.5 times and 63 MB, one that keeps the values 3.8 times and 122 MB.
    """
    count, peaks, given = 60_000, {}, {}
    time = [f"{8 + i / 100:.2f}" for i in range(count)]
    for name, people, active in (("one", 1, 1), ("nine", 9, 9), ("idle", 9, 1)):
        for i in range(people):
            rest = f" {WALKING if i < active else 0} 7{i}{' 1' * 51}\n"
            write(tmp_path / name / "Protocol", [rest.join(time) + rest], f"subject{101 + i}.dat", end="")
        command = [sys.executable, "-c", PEAK, tmp_path / name]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
        peaks[name], given[name] = map(min, zip(*(map(int, run) for run in runs), strict=True))
    assert given["one"] == given["idle"] == given["nine"] / 9
    assert peaks["nine"] - peaks["one"] < 2 * (given["nine"] - given["one"])  # 1 is the array itself
    assert peaks["idle"] - peaks["one"] < 40e6  # the other eight files are 53 MB of text, 104 MB of values


# --------------------------------------------------------------------------------------------- what no sensor can say

KINDS = {
    "rate": 2,
    "temperature": 3,
    "acc16": 21,
    "acc6": 24,
    "gyro": 44,
    "mag": 47,
    "orientation": 53,
}  # a column each


@pytest.mark.parametrize("value", ["1e30", "-99999", "inf", "-inf", "1e39", "-nan"])
@pytest.mark.parametrize("kind", pamap2.LIMITS)
def test_what_no_sensor_can_say_is_as_if_it_were_missing(tmp_path, kind, value):
    lines = rows([WALKING] * 200)
    for folder, said in (("wild", value), ("missing", "NaN")):
        changed = [spoilt(line, KINDS[kind], said) if 20 <= i < 150 else line for i, line in enumerate(lines)]
        write(tmp_path / folder / "Protocol", changed)
    wild, missing = read(tmp_path / "wild"), read(tmp_path / "missing")
    np.testing.assert_array_equal(wild.series, missing.series)
    assert np.isnan(wild.series).sum() == 15  # of 65 pairs, 50 are carried over
    ledgers = [{row["step"]: row.get("values") for row in r.ledger.rows} for r in (wild, missing)]
    step = "values that no sensor can say, taken as missing"
    assert [ledger.pop(step) for ledger in ledgers] == [0 if value == "-nan" else -130, 0]
    assert ledgers[0] == ledgers[1]
    assert ledgers[0]["values carried forward, for 1 s at most and inside a bout"] == 100
    assert ledgers[0]["values left to the training mean"] == 30


@pytest.mark.parametrize("kind", pamap2.LIMITS)
def test_what_a_sensor_says_at_the_end_of_its_scale_is_kept(tmp_path, kind):
    """The readme's scales, and the resting and highest heart rates of its people with room to spare."""
    ends = {"rate": (40, 220), "temperature": (20, 40), "acc16": (-157, 157), "acc6": (-61, 61)}
    ends |= {"gyro": (-35, 35), "mag": (-800, 800), "orientation": (-1, 1)}
    lines = [spoilt(line, KINDS[kind], ends[kind][i % 2]) for i, line in enumerate(rows([WALKING] * 20))]
    write(tmp_path / "Protocol", lines)
    r = read(tmp_path)
    assert np.isfinite(r.series).all() and (r.series[:, KINDS[kind] - 2] == sum(ends[kind]) / 2).all()


def without(lines, column, but=()):
    return [line if i in but else spoilt(line, column, "NaN") for i, line in enumerate(lines)]


def test_a_channel_without_any_value_is_refused(tmp_path):
    for i, name in enumerate(("subject101.dat", "subject102.dat")):
        write(tmp_path / "Protocol", without(rows([0] + [WALKING] * 20, first=i), 9, but=[0]), name)  # a transient one
    message = refusal(tmp_path)
    assert f"{tmp_path}: none of the 2 files holds a value of hand_acc6_z that a sensor can say" in message
    write(tmp_path / "Protocol", [spoilt(line, 9, 1e30) for line in rows([WALKING] * 20, first=9)], "subject102.dat")
    assert "hand_acc6_z" in refusal(tmp_path)


def test_a_person_without_any_value_of_a_channel_is_said(tmp_path):
    write(tmp_path / "Protocol", GOOD)
    write(tmp_path / "Protocol", without(without(rows([WALKING] * 20, first=1), 2), 5), "subject104.dat")
    write(tmp_path / "Protocol", without(rows([LYING] * 20, first=2), 2), "subject107.dat")
    write(tmp_path / "Protocol", without(rows([0] * 20), 2), "subject109.dat")  # nothing of it is used
    lines = []
    r = pamap2.read(tmp_path, lines.append)
    said = ["subject104.dat: no value of heart_rate and 1 other channels", "subject107.dat: no value of heart_rate"]
    assert [line.strip() for line in lines if "no value" in line] == said
    assert [row["step"] for row in r.ledger.rows if "no value" in row["step"]] == said
    assert np.isnan(r.series).sum(0)[:5].tolist() == [20, 0, 0, 10, 0]


# ---------------------------------------------------------------------------------------------------- time


def timed(times, activities=None):
    return [
        row(t, a, value=i) for i, (t, a) in enumerate(zip(times, activities or [WALKING] * len(times), strict=True))
    ]


TIMES = [8 + i / 100 for i in range(40)]
ORDER = "rows should be in order of time, 0.01 s apart, each once"
WRONG_TIMES = {
    "reversed": (timed(TIMES)[::-1], "line 2: time 8.38 s after 8.39 s", ORDER),
    "shuffled": ([timed(TIMES)[i * 7 % 40] for i in range(40)], "line 7: time 8.02 s after 8.35 s", ORDER),
    "two exchanged": (timed([*TIMES[:9], TIMES[10], TIMES[9], *TIMES[11:]]), "line 11: time 8.09 s after 8.1 s", ORDER),
    "each row twice": ([line for line in timed(TIMES) for _ in (1, 2)], "line 2: time 8 s after 8 s", ORDER),
    "a row twice": (timed([*TIMES[:30], *TIMES[29:]]), "line 31: time 8.29 s after 8.29 s", ORDER),
    "the file twice": (timed(TIMES) * 2, "line 41: time 8 s after 8.39 s", ORDER),
    "all equal": (timed([8] * 40), "line 2: time 8 s after 8 s", ORDER),
    "a step back in transient rows": (
        timed([*TIMES, *TIMES], [0] * 10 + [WALKING] * 25 + [0] * 10 + [LYING] * 25 + [0] * 10),
        "line 41: time 8 s after 8.39 s",
        ORDER,
    ),
    "minutes": (timed(np.array(TIMES) / 60), "line 2: time 0.13 s after 0.13 s", ORDER),
    "negative": (timed(np.array(TIMES) - 8.2), "line 1: time -0.2 s, where 0 s or later can be", ""),
    "infinite": (timed([*TIMES[:-1], np.inf]), "line 40: time inf s, where 0 s or later can be", ""),
    "milliseconds": (timed(np.array(TIMES) * 1000), "its rows are 10 s apart where PAMAP2's are 0.01 s", ""),
    "at 50 Hz": (timed(np.array(TIMES) * 2), "its rows are 0.02 s apart where PAMAP2's are 0.01 s", ""),
    "at 200 Hz": (
        [spoilt(line, 0, f"{8 + i / 200:.3f}") for i, line in enumerate(timed(TIMES))],
        "its rows are 0.005 s apart where PAMAP2's are 0.01 s",
        "",
    ),
}


@pytest.mark.parametrize("case", WRONG_TIMES)
def test_times_that_are_not_of_a_file_as_published(tmp_path, case):
    lines, *expected = WRONG_TIMES[case]
    path = write(tmp_path / "Protocol", lines)
    message = refusal(tmp_path)
    assert all(words in message for words in (str(path), *expected)), message


def test_a_file_as_published_is_read_whatever_its_times(tmp_path, monkeypatch):
    """Its sum says that it is the publisher's: what this reader expects of times cannot be held against it."""
    lines = timed([*TIMES[:20], *TIMES[18:38]], [WALKING] * 40)
    path = write(tmp_path / "Protocol", lines)
    monkeypatch.setitem(pamap2.SHA256, "subject102.dat", sum_of(path))
    assert ORDER in refusal(tmp_path)  # under another's name
    monkeypatch.setitem(pamap2.SHA256, "subject101.dat", sum_of(path))
    r = read(tmp_path)
    assert counted(r).tolist() == [i + 0.5 for i in range(0, 40, 2)] and r.stop.tolist() == [10, 20]
    ledger = {row["step"]: row for row in r.ledger.rows}
    assert ledger["rows whose time does not go on, in a file as published: each begins a bout"]["rows"] == 1


def test_times_may_be_rounded_otherwise(tmp_path):
    """Time stands for the row: 8.4 or 8.40, and a millisecond off."""
    lines = rows([WALKING] * 40, start=8)
    write(tmp_path / "Protocol", lines)
    expected = read(tmp_path)
    off = [spoilt(line, 0, f"{8 + i / 100 + i % 3 / 1000:g}") for i, line in enumerate(lines)]
    write(tmp_path / "Protocol", off)
    np.testing.assert_array_equal(read(tmp_path).series, expected.series)


@pytest.mark.parametrize("number", [100, 110, 199])
def test_a_subject_who_is_none_of_the_nine(tmp_path, number):
    write(tmp_path / "Protocol", GOOD)
    path = write(tmp_path / "Protocol", rows([WALKING] * 20, first=1), f"subject{number}.dat")
    assert f"{path}: PAMAP2's subjects are 101 to 109" in refusal(tmp_path)


@pytest.mark.parametrize("activity", [-1, 8, 14, 25, 255])
def test_an_activity_that_is_none(tmp_path, activity):
    path = write(tmp_path / "Protocol", ["", *broken(GOOD, 9, swap(f" {WALKING} ", f" {activity} "))])
    assert f"{path}, line 10: activity {activity} is none of PAMAP2's" in refusal(tmp_path)


def test_a_file_that_is_another_subject_s(tmp_path):
    lines = rows([0, 0, *[WALKING] * 6, 0, *[LYING] * 6])
    one = write(tmp_path / "Protocol", lines)
    other = write(tmp_path / "Protocol", lines, "subject102.dat")
    assert f"{other}, line 3: what follows is the same as from {one}, line 3 on" in refusal(tmp_path)
    write(tmp_path / "Protocol", lines[9:], "subject102.dat")  # its last bout alone
    assert f"{other}, line 1: what follows is the same as from {one}, line 10 on" in refusal(tmp_path)


def test_a_bout_that_is_there_twice(tmp_path):
    lines = rows([0, *[WALKING] * 6, 0, *[LYING] * 6, 0])
    again = [spoilt(line, 0, f"{1 + i / 100:.2f}") for i, line in enumerate(lines)]
    path = write(tmp_path / "Protocol", [*lines, *again])
    assert f"{path}, line 17: what follows is the same as from {path}, line 2 on" in refusal(tmp_path)


def test_bouts_of_two_people_without_any_value_are_no_copies(tmp_path):
    silent = [lost(line) for line in rows([LYING] * 6)]
    for i, name in enumerate(("subject101.dat", "subject102.dat")):
        write(tmp_path / "Protocol", [*silent, *rows([WALKING] * 6, 0.06, first=i)], name)
    assert read(tmp_path).subject.tolist() == [101, 101, 102, 102]


# ---------------------------------------------------------------------------------------------------- broken files


BROKEN = {
    "a truncated last line": (GOOD + [GOOD[0][:38]], "line 21: 18 columns where 54 are expected"),
    "a column too many": (broken(GOOD, 6, swap(" 0.005 ", " 0.005 5 ")), "line 6: 55 columns where 54 are expected"),
    "a column too few": (broken(GOOD, 6, swap(" 0.005 ", " ")), "line 6: 53 columns where 54 are expected"),
    "a word for a number": (broken(GOOD, 6, swap(" 0.005 ", " five ")), "line 6, column 4: 'five' is no number"),
    "a word for an activity": (
        broken(GOOD, 9, swap(" 4 ", " walk ")),
        "line 9, column 2: 'walk' is no whole number",
    ),
    "another kind of file": (["<html><body>404 Not Found</body></html>"], "line 1: 3 columns where 54 are expected"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_its_line(tmp_path, case):
    lines, expected = BROKEN[case]
    path = write(tmp_path / "Protocol", lines, end="")
    assert f"{path}, {expected}" in refusal(tmp_path)


def test_the_broken_one_of_several_files_is_named(tmp_path):
    write(tmp_path / "Protocol", GOOD)
    path = write(tmp_path / "Protocol", GOOD[:3] + ["1 2 3"], "subject102.dat")
    assert f"{path}, line 4: 3 columns" in refusal(tmp_path)


def test_a_doubled_space_is_named_with_its_line(tmp_path):
    path = write(tmp_path / "Protocol", broken(GOOD, 6, swap(" ", "  ")))
    assert f"{path}, line 6" in refusal(tmp_path)


def test_blank_lines_are_not_blamed(tmp_path):
    """The reader skips a blank line, so the first bad line is the one after it."""
    path = write(tmp_path / "Protocol", [*GOOD[:5], "", *GOOD[5:8], "1 2 3"])
    assert f"{path}, line 10: 3 columns" in refusal(tmp_path)


@pytest.mark.parametrize("column", [0, 1])
def test_a_missing_time_or_activity_is_refused(tmp_path, column):
    def forget(line):
        values = line.split()
        values[column] = "NaN"
        return " ".join(values)

    path = write(tmp_path / "Protocol", broken(GOOD, 6, forget))
    message = refusal(tmp_path)
    assert str(path) in message and "without time or activity id" in message


def test_an_empty_file_is_named(tmp_path):
    path = write(tmp_path / "Protocol", [], end="")
    assert str(path) in refusal(tmp_path)


def test_only_transient_rows(tmp_path):
    write(tmp_path / "Protocol", rows([0] * 20))
    message = refusal(tmp_path)
    assert str(tmp_path) in message and "none of the 1 files holds a row of a protocol activity" in message


def test_a_file_of_only_transient_rows_among_others_gives_no_bout(tmp_path):
    write(tmp_path / "Protocol", GOOD)
    write(tmp_path / "Protocol", rows([0] * 20), "subject102.dat")
    r = read(tmp_path)
    assert r.subject.tolist() == [101]


def test_missing_and_empty_folders(tmp_path):
    assert f"{tmp_path / 'nowhere'} is not a folder" in refusal(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert f"{tmp_path / 'empty'} is empty" in refusal(tmp_path / "empty")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "readme.txt").write_text("hello")
    message = refusal(tmp_path / "other")
    assert str(tmp_path / "other") in message and "Protocol/subject1NN.dat" in message


def test_a_copy_of_a_file_beside_it_is_not_read(tmp_path):
    """'subject101 (1).dat', as a browser names a second download."""
    write(tmp_path / "Protocol", GOOD)
    write(tmp_path / "Protocol", GOOD, "subject101 (1).dat")
    r = read(tmp_path)
    assert r.subject.tolist() == [101] and len(r.series) == len(GOOD) // 2


def test_where_both_layouts_are_there_the_folder_s_own_is_read(tmp_path):
    write(tmp_path / "Protocol", GOOD)
    write(tmp_path / "PAMAP2_Dataset" / "Protocol", GOOD + GOOD)
    assert len(read(tmp_path).series) == len(GOOD) // 2


@pytest.mark.parametrize(("end", "files"), [("\n", []), ("", [1])])
def test_a_file_whose_last_line_has_no_end_is_counted(tmp_path, end, files):
    write(tmp_path / "Protocol", rows([LYING] * 6), end=end)
    said = [line for line in read(tmp_path).ledger.rows if line["step"].endswith("cut short?")]
    assert [line["files"] for line in said] == files


def test_the_nine_files_have_sums_and_every_id_of_the_readme_is_known():
    assert sorted(pamap2.SHA256) == [f"subject{number}.dat" for number in range(101, 110)]
    assert sorted({*pamap2.IDS, *pamap2.OTHERS}) == [*range(8), 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 24]
