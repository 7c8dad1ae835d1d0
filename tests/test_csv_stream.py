"""Tables a block at a time: the row that a spreadsheet would show is named, whatever is wrong with it."""

import gzip
import re

import pytest

from rdpd_nb.data import csv_stream
from rdpd_nb.errors import UserError

HEADER = b"id,NOTE,Other\n"
ROWS = [b"%d,note %d,-\n" % (i, i) for i in range(1000)]  # row 2 of the file is the first of them


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(csv_stream, "BLOCK", 4096)


def write(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    return path


def changed(row, line):
    """The table with row `row`, as a spreadsheet counts, of other content."""
    return HEADER + b"".join([*ROWS[: row - 2], line, *ROWS[row - 1 :]])


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "TABLE.CSV.GZ"])
def test_blocks_are_the_table_in_order_and_numbered(tmp_path, name):
    path = write(tmp_path, HEADER + b"".join(ROWS), name.lower()).rename(tmp_path / name)
    blocks = list(csv_stream.batches(path, ("ID",), ("NOTE",)))
    assert len(blocks) > 3
    row = 2
    for first, batch in blocks:
        assert first == row and batch.schema.names == ["ID", "NOTE"] and str(batch.schema.types[0]) == "int64"
        ids = range(first - 2, first - 2 + len(batch))
        assert batch.to_pydict() == {"ID": list(ids), "NOTE": [f"note {i}" for i in ids]}
        row += len(batch)
    assert row == 1002
    whole = csv_stream.table(path, ("ID",), ("NOTE",))
    assert whole["row"].to_pylist() == list(range(2, 1002)) and whole["ID"].to_pylist() == list(range(1000))


def test_what_is_empty_is_null_and_words_are_not(tmp_path):
    path = write(tmp_path, HEADER + b'7.0,,x\n,NA,x\n 0012 ,"a\nb",x\n')
    wanted = {"ID": [7, None, 12], "NOTE": [None, "NA", "a\nb"]}
    ((first, batch),) = csv_stream.batches(path, ("ID",), ("NOTE",))
    assert first == 2 and batch.to_pydict() == wanted
    assert csv_stream.table(path, ("ID",), ("NOTE",)).to_pydict() == wanted | {"row": [2, 3, 4]}


@pytest.mark.parametrize("row", [2, 901])
@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"-1,x,x\n", "ID is '-1' where a whole number is expected"),
        (b"1.5,x,x\n", "ID is '1.5' where a whole number is expected"),
        (b"9007199254740992,x,x\n", "ID is '9.0072e+15' where"),  # 2^53
        (b"inf,x,x\n", "ID is 'inf' where"),
        (b"x%s,x,x\n" % (b"y" * 50), f"id is 'x{'y' * 39}' where a whole number is expected"),
        (b"1,x\n", "2 columns where 3 are expected"),
    ],
)
def test_the_row_is_named(tmp_path, row, line, said):
    path = write(tmp_path, changed(row, line))
    with pytest.raises(UserError) as caught:
        list(csv_stream.batches(path, ("ID",), ("NOTE",)))
    assert str(caught.value).startswith(f"{path}, row {row}: {said}") and str(caught.value).endswith("again.")


@pytest.mark.parametrize("value", ["2.8E+05", "1234567890123456", "-3", "x"])
def test_an_id_of_a_table_has_all_its_digits(tmp_path, value):
    path = write(tmp_path, changed(800, f"{value},x,x\n".encode()))
    with pytest.raises(UserError, match=re.escape(f"row 800: ID is '{value}' where a whole number is expected")):
        csv_stream.table(path, ("ID",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEADER, ""),  # a table has a row
        (b"", ": no column ID, NOTE; the columns are ."),
        (b"id,%s\n" % (b"x" * 400), f": no column NOTE; the columns are id, {'x' * 296} ...."),
        (b"id,note,ID\n1,2,3\n", ": column ID is there twice;"),
        (HEADER + b"1,x,x", ": its last line has no end, so it was cut;"),
        (HEADER + b"1,\xff,x\n", ", row 2: no text in UTF-8;"),
        (b"\xff\xfe" + HEADER, ": no column ID;"),
        (HEADER + b'1,"%s\n' % (b"x\n" * 9999), ": a row of more than"),
    ],
)
def test_a_file_that_is_no_such_table(tmp_path, content, said):
    path = write(tmp_path, content)
    with pytest.raises(UserError) as caught:
        csv_stream.table(path, ("ID",), ("NOTE",))
    assert str(caught.value).startswith(f"{path}{said}")


def test_a_gz_is_read_to_its_checksum(tmp_path):
    path = write(tmp_path, HEADER + b"".join(ROWS), "table.csv.gz")
    content = bytearray(path.read_bytes())
    for place, less in ((-8, 0), (-4, 0), (0, 4)):
        damaged = content[: len(content) - less]
        damaged[place] ^= 1 if not less else 0
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="could not be read"):
            list(csv_stream.batches(path, ("ID",), ()))


def test_progress_says_how_much_and_how_long(tmp_path, monkeypatch):
    clock = iter(range(100, 10_000))  # a second a block
    monkeypatch.setattr(csv_stream.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(csv_stream, "SAY_EVERY", 2.0)
    said = []
    list(csv_stream.batches(write(tmp_path, HEADER + b"".join(ROWS * 20)), ("ID",), (), said.append))
    assert len(said) > 20
    for times, line in enumerate(said, 1):
        share, left = map(int, re.fullmatch(r"  table\.csv: (\d+) % read, about (\d+) s left", line).groups())
        assert 30 < share <= 100  # of a file this small a large part is read ahead
        assert left == pytest.approx(3 * times * (100 - share) / share, abs=1.5)
    assert csv_stream._duration(89.4) == "89 s" and csv_stream._duration(90) == "2 min"
