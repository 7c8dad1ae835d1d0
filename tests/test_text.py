"""Files of numbers: what is taken to the last digit, and which line of which file is named where it is not."""

import numpy as np
import pytest

from rdpd_nb.data import text
from rdpd_nb.errors import UserError


def refusal(*contents, limit=text.LARGEST):
    with pytest.raises(UserError) as caught:
        text.numbers([(f"file{i}", content) for i, content in enumerate(contents, 1)], 2, " ", limit)
    return str(caught.value)


def test_rows_of_each_file_in_order():
    values, rows = text.numbers([("a", b"1 2\n3 4\n"), ("b", b"-5e-1 +.5\n")], 2, " ")
    assert values.dtype == np.float32 and values.tolist() == [[1, 2], [3, 4], [-0.5, 0.5]] and rows.tolist() == [2, 1]


def test_a_limit_itself_is_possible_and_what_is_beyond_is_not():
    values, _ = text.numbers([("a", b"-8 3\n8 -3\n")], 2, " ", [8, 3])
    assert values.tolist() == [[-8, 3], [8, -3]]
    assert "file1, line 2, column 2: '-3.01' is beyond 3, the most" in refusal(b"-8 3\n8 -3.01\n", limit=[8, 3])
    assert "'1e39' is no number of 32 bits" in refusal(b"1 1e39\n")


GOOD = b"1 2\n"


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ([b""], "file1 is empty; download"),
        ([b"", GOOD], "file1 is empty; download"),
        ([GOOD, b"\n", GOOD], "file2 is empty; download"),
        ([GOOD, GOOD, b" \n"], "file3 is empty; download"),
        ([GOOD, b"1 2\n3 4"], "file2, line 2: the last line has no end"),
        ([GOOD, b"1 2", GOOD], "file2, line 1: the last line has no end"),
        ([GOOD, b"1 2\n\n3 4\n"], "file2, line 2: 1 columns where 2"),
        ([b"1 2 3\n"], "file1, line 1: 3 columns where 2"),
        ([GOOD, b"1 NA\n"], "file2, line 1, column 2: 'NA' is no number"),
        ([b"1 2\nnan 2\n"], "file1, line 2, column 1: 'nan' is no number"),
        ([b"1 -inf\n"], "file1, line 1, column 2: '-inf' is no number"),
        ([b"1 \n"], "file1, line 1: 1 columns where 2"),
    ],
)
def test_the_file_and_the_line_are_named(contents, said):
    assert refusal(*contents).startswith(said)


def test_whole_numbers_to_the_last_that_float32_tells_apart():
    assert text.whole_numbers("a", b"16777215\n-16777215\n")[:, 0].tolist() == [2**24 - 1, 1 - 2**24]
    for content in (b"16777216\n", b"16777217\n", b"-16777217\n"):  # the second would be read as the first
        with pytest.raises(UserError, match="^a, line 1, column 1: .* is beyond"):
            text.whole_numbers("a", content)
    with pytest.raises(UserError, match="^a, line 3: no whole number"):
        text.whole_numbers("a", b"1\n2\n2.5\n")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("0.5 7", ""),
        ("NaN -7", ""),
        ("-INF 7", ""),
        ("0.5 7.0", ", line 9, column 2: '7.0' is no whole number"),
        ("0.5 1234567890123456789", ", line 9, column 2: '1234567890123456789' is no whole number"),
        ("none 7", ", line 9, column 1: 'none' is no number"),
        ("1_0 7", ", line 9, column 1: '1_0' is no number"),
        ("4 7", ""),
        ("-4.5 7", ", line 9, column 1: '-4.5' is beyond 4, the most that is possible there"),
        ("0.5", ", line 9: 1 columns where 2 are expected"),
    ],
)
def test_fault_in(line, fault):
    assert text.fault_in([(8, "1 2"), (9, line + "\r\n")], 2, " ", [4, 9], whole=(1,), words=("nan", "inf")) == fault


def test_a_row_is_found_though_lines_are_empty(tmp_path):
    path = tmp_path / "rows.txt"
    path.write_bytes(b"\nrow 0\r\n\r\n\nrow 1\nrow 2")
    assert [text.line_number(path, row) for row in range(3)] == [2, 5, 6]
