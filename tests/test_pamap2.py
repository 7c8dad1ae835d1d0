"""PAMAP2: bouts out of tiny hand-written files, and one sentence about each way a file can be broken."""

import numpy as np
import pytest

from rdpd_nb.data import pamap2
from rdpd_nb.errors import UserError

WALKING, LYING, ROPE = 4, 1, 24
CLASSES = pamap2.SPEC.classes


def row(time, activity, heart_rate="NaN", value=1.0):
    """One line: every IMU column is `value`, but the last, which is 10 * value."""
    return " ".join([f"{time:.2f}", str(activity), str(heart_rate), *[f"{value:g}"] * 50, f"{10 * value:g}"])


def rows(activities, start=0.0):
    """A line each 10 ms; column values count the lines from 0."""
    return [row(start + i / 100, activity, value=i) for i, activity in enumerate(activities)]


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
    assert r.series[:, 1].tolist() == [2.5, 4.5, 10.5, 12.5]  # means of rows (2, 3), (4, 5), (10, 11), (12, 13)
    assert r.series[:, 51].tolist() == [25, 45, 105, 125]  # the last of the 54 columns is the last channel
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


def test_heart_rate_is_carried_on_and_starts_missing(tmp_path):
    beats = ["NaN", "NaN", 100, "NaN", "NaN", 110, "NaN", "NaN"]
    write(tmp_path / "Protocol", [row(i / 100, WALKING, beat) for i, beat in enumerate(beats)])
    heart_rate = read(tmp_path).series[:, 0]
    np.testing.assert_array_equal(heart_rate, [np.nan, 100, 105, 110])


def lost(line):
    """The line of a packet that was lost: time and activity, no value."""
    return " ".join(line.split()[:2] + ["NaN"] * 52)


def test_lost_packets_take_the_last_values(tmp_path):
    lines = rows([WALKING] * 4)
    lines[2] = lost(lines[2])
    write(tmp_path / "Protocol", lines)
    assert read(tmp_path).series[:, 1].tolist() == [0.5, 2.0]  # (0 + 1) / 2, (1 + 3) / 2


def test_a_value_is_carried_for_a_second_and_no_longer(tmp_path):
    lines = rows([WALKING] * 220)
    lines[2:] = [*map(lost, lines[2:-2]), *lines[-2:]]
    write(tmp_path / "Protocol", lines)
    series = read(tmp_path).series[:, 1]
    np.testing.assert_array_equal(series, [0.5, *[1] * 50, *[np.nan] * 58, 218.5])  # rows 2 to 101 have row 1's


def test_a_pair_of_which_one_is_missing_is_missing(tmp_path):
    lines = rows([WALKING] * 104)
    lines[1:103] = map(lost, lines[1:103])
    write(tmp_path / "Protocol", lines)
    series = read(tmp_path).series[:, 1]
    np.testing.assert_array_equal(series, [*[0] * 50, np.nan, np.nan])  # row 0 is carried up to row 100


@pytest.mark.parametrize("between", [[], [0], [9]], ids=["nothing", "transient", "another"])
def test_no_value_is_carried_into_another_activity(tmp_path, between):
    lines = rows([*[WALKING] * 4, *between, *[LYING] * 4])
    lines[-4:-2] = map(lost, lines[-4:-2])
    write(tmp_path / "Protocol", lines)
    last = 7 + len(between)
    np.testing.assert_array_equal(read(tmp_path).series[:, 1], [0.5, 2.5, np.nan, last - 0.5])


def test_no_value_is_carried_over_a_jump_in_time(tmp_path):
    lines = rows([WALKING] * 2) + rows([WALKING] * 2, start=3)
    lines[2] = lost(lines[2])
    write(tmp_path / "Protocol", lines)
    np.testing.assert_array_equal(read(tmp_path).series[:, 1], [0.5, np.nan])


def test_the_ledger_counts_what_was_measured_carried_and_left(tmp_path):
    lines = rows([0, *[WALKING] * 6, 0, *[LYING] * 2])  # heart rate is never there: 8 values of it
    for i in (0, 3, 4, 8):  # a transient row, two that are carried over, one with nothing before it
        lines[i] = lost(lines[i])
    write(tmp_path / "Protocol", lines)
    ledger = {row["step"]: row.get("values") for row in read(tmp_path).ledger.rows}
    assert ledger["values measured in them"] == 5 * 51
    assert ledger["values carried forward, for 1 s at most and inside a bout"] == 2 * 51
    assert ledger["values left to the training mean"] == 51 + 8


@pytest.mark.parametrize(("step", "bouts"), [(0.01, 1), (0.4, 1), (0.7, 2), (-3.0, 2)])
def test_a_time_jump_ends_a_bout(tmp_path, step, bouts):
    write(tmp_path / "Protocol", rows([WALKING] * 4, start=5) + rows([WALKING] * 4, start=5.03 + step))
    r = read(tmp_path)
    assert (r.stop - r.start).tolist() == ([4] if bouts == 1 else [2, 2])


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


# ---------------------------------------------------------------------------------------------------- broken files


def broken(lines, number, change):
    """The lines with line `number` (from 1) changed."""
    return [*lines[: number - 1], change(lines[number - 1]), *lines[number:]]


def swap(old, new):
    return lambda line: line.replace(old, new, 1)


GOOD = rows([WALKING] * 20)
BROKEN = {
    "a truncated last line": (GOOD + [GOOD[0][:40]], "line 21: 18 columns where 54 are expected"),
    "a column too many": (broken(GOOD, 6, swap(" 5 ", " 5 5 ")), "line 6: 55 columns where 54 are expected"),
    "a column too few": (broken(GOOD, 6, swap(" 5 ", " ")), "line 6: 53 columns where 54 are expected"),
    "a word for a number": (broken(GOOD, 6, swap(" 5 ", " five ")), "line 6, column 4: 'five' is not a number"),
    "a word for an activity": (
        broken(GOOD, 9, swap(" 4 ", " walk ")),
        "line 9, column 2: 'walk' is not a whole number",
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
