"""A campaign of bad input over MIMIC-III's tables: what can happen to a file, a column, one cell, a row, the folder.

Each damage is done to a copy of the simulated tables, and each case says how reading has to end.
"""

import csv
import gzip
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import outcome
import pandas as pd
import pytest

from rdpd_nb import simulate
from rdpd_nb.data import mimic3
from rdpd_nb.data.windows import Windows

REFUSED, COUNTED, HARMLESS = "refused", "counted", "harmless"
SECONDS = 60  # a reader that waits for longer hangs
TABLES = tuple(mimic3.TABLES)
EVENTS = "CHARTEVENTS"
Rows = list[list[str]]


@pytest.fixture(scope="module")
def whole(simulated) -> tuple[Path, Windows]:
    return simulated["mimic3"], outcome.read("mimic3", simulated["mimic3"])


@pytest.fixture(scope="module")
def used(whole) -> int:
    """A row of CHARTEVENTS, counted from 0 behind the header, of which the windows need the value."""
    folder, _ = whole
    events, stays, diagnoses = (
        pd.read_csv(folder / f"{table}.csv", dtype={"ICD9_CODE": str})
        for table in (EVENTS, "ICUSTAYS", "DIAGNOSES_ICD")
    )
    primary = diagnoses[(diagnoses.SEQ_NUM == 1) & diagnoses.ICD9_CODE.str[:3].isin(mimic3.DIAGNOSES)].HADM_ID
    first = stays.sort_values("INTIME").drop_duplicates("SUBJECT_ID")
    first = first[first.HADM_ID.isin(primary)].set_index("ICUSTAY_ID").INTIME
    hours = (pd.to_datetime(events.CHARTTIME) - pd.to_datetime(events.ICUSTAY_ID.map(first))) / pd.Timedelta(hours=1)
    items = [int(item["itemid"]) for item in mimic3.ITEMS]
    wanted = events.ITEMID.isin(items) & hours.between(2, 40) & events.VALUENUM.between(20, 60) & ~events.ERROR.eq(1)
    return int(np.flatnonzero(wanted)[100])


@pytest.fixture
def end(whole, tmp_path):
    """How reading ends after a damage to a copy of the tables."""

    def hang(*_):
        pytest.fail(f"it hangs for more than {SECONDS} s")  # a BaseException: no reader catches it

    def give(damage: Callable[[Path], object], name: str = "raw") -> str:
        folder = tmp_path / name
        shutil.copytree(whole[0], folder)
        damage(folder)
        signal.signal(signal.SIGALRM, hang)
        signal.alarm(SECONDS)
        try:
            return outcome.judge("mimic3", folder, whole[1], names=str(folder))
        finally:
            signal.alarm(0)

    return give


# ---------------------------------------------------------------------------------------------------- a file


def instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.unlink()
        make(path)

    return damage


def edit(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def cut(share: float) -> Callable[[Path], object]:
    """Ends at a byte that is no end of a line."""

    def change(content: bytes) -> bytes:
        content = content[: int(share * len(content))].rstrip(b"\n")
        return content[:-1] if content.endswith(b",") else content

    return edit(change)


def swap_tail(content: bytes) -> bytes:
    """The second half first."""
    middle = len(content) // 2
    return content[middle:] + content[:middle]


FILE = {
    "missing": (Path.unlink, REFUSED),
    "a folder": (instead(Path.mkdir), REFUSED),
    "a link that dangles": (instead(lambda path: path.symlink_to("nowhere")), REFUSED),
    "a link to itself": (instead(lambda path: path.symlink_to(path.name)), REFUSED),
    "a file that fails when it is read": (instead(lambda path: path.symlink_to("/proc/self/mem")), REFUSED),
    "a pipe": (instead(os.mkfifo), REFUSED),
    "a device": (instead(lambda path: path.symlink_to("/dev/zero")), REFUSED),
    "empty": (edit(lambda content: b""), REFUSED),
    "a byte less": (edit(lambda content: content[:-1]), REFUSED),
    "two bytes less": (edit(lambda content: content[:-2]), REFUSED),
    "half": (cut(0.5), REFUSED),
    "a tenth": (cut(0.1), REFUSED),
    "in the header": (edit(lambda content: content[:30]), REFUSED),
    "the header alone": (edit(lambda content: content.split(b"\n")[0] + b"\n"), REFUSED),
    "without the header": (edit(lambda content: content.split(b"\n", 1)[1]), REFUSED),
    "halves swapped": (edit(swap_tail), REFUSED),
    "an error page": (edit(lambda content: b"<!DOCTYPE html>\n<html><body>404</body></html>\n"), REFUSED),
    "noise": (edit(lambda content: np.random.default_rng(0).bytes(len(content))), REFUSED),
    "zeros": (edit(lambda content: bytes(len(content))), REFUSED),
    "zeros at the end": (edit(lambda content: content[: len(content) // 2] + bytes(len(content) // 2)), REFUSED),
    "UTF-16": (edit(lambda content: content.decode().encode("utf-16")), REFUSED),
    "twice": (edit(lambda content: 2 * content), REFUSED),  # the header is a row
    "packed": (edit(gzip.compress), REFUSED),
    "semicolons": (edit(lambda content: content.replace(b",", b";")), REFUSED),
    "tabs": (edit(lambda content: content.replace(b",", b"\t")), REFUSED),
    "a comma at the end of each line": (edit(lambda content: content.replace(b"\n", b",\n")), HARMLESS),
    "a comma more in a row": (edit(lambda content: content[:-1] + b",\n"), REFUSED),
    "byte-order mark": (edit(lambda content: b"\xef\xbb\xbf" + content), HARMLESS),
    "CRLF": (edit(lambda content: content.replace(b"\n", b"\r\n")), HARMLESS),
    "CR": (edit(lambda content: content.replace(b"\n", b"\r")), HARMLESS),
    "empty lines": (edit(lambda content: content.replace(b"\n", b"\n\n")), HARMLESS),
    "an empty line first": (edit(lambda content: b"\n" + content), REFUSED),
    "blanks after commas": (edit(lambda content: content.replace(b",", b", ")), REFUSED),  # names begin with a blank
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("what", FILE)
def test_a_file(end, table, what):
    damage, expected = FILE[what]
    assert end(lambda folder: damage(folder / f"{table}.csv")) == expected


@pytest.mark.parametrize(("table", "expected"), [*zip(TABLES, [REFUSED, COUNTED, COUNTED, COUNTED], strict=True)])
def test_cut_at_the_end_of_a_line(end, table, expected):
    """Nothing in the file tells; the counts do. Of PATIENTS the others know more."""
    half = edit(lambda content: b"".join(content.splitlines(keepends=True)[: content.count(b"\n") // 2]))
    assert end(lambda folder: half(folder / f"{table}.csv")) == expected


def bit(place: int) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        changed = bytearray(content)
        changed[place] ^= 4
        return bytes(changed)

    return change


def bits(seed: int) -> Callable[[bytes], bytes]:
    return lambda content: bit(int(np.random.default_rng(seed).integers(10, len(content))))(content)


PACKED = {
    **{f"cut at {share}": (lambda content, share=share: content[: int(share * len(content))], REFUSED)
       for share in (0.001, 0.1, 0.37, 0.5, 0.9, 0.999)},
    **{f"{less} bytes less": (lambda content, less=less: content[:-less], REFUSED) for less in (1, 4, 7, 8, 9)},
    **{f"a bit flipped ({seed})": (bits(seed), REFUSED) for seed in range(8)},
    "another checksum": (bit(-8), REFUSED),
    "another length": (bit(-1), REFUSED),
    "another time in its header": (bit(5), HARMLESS),
    "another method": (bit(2), REFUSED),
    "something behind it": (lambda content: content + b"more", REFUSED),
    "two parts": (lambda content: b"".join(map(gzip.compress, (gzip.decompress(content)[:999],
                                                               gzip.decompress(content)[999:]))), HARMLESS),
    "the second part cut": (lambda content: content + gzip.compress(b"1\n")[:-3], REFUSED),
    "not packed": (gzip.decompress, REFUSED),
    "packed twice": (gzip.compress, REFUSED),
    "nothing packed": (lambda content: gzip.compress(b""), REFUSED),
    "whole": (lambda content: content, HARMLESS),
}  # fmt: skip


@pytest.mark.parametrize("table", [EVENTS, "DIAGNOSES_ICD"])
@pytest.mark.parametrize("what", PACKED)
def test_a_packed_file(end, table, what):
    change, expected = PACKED[what]

    def damage(folder: Path) -> None:
        path = folder / f"{table}.csv"
        path.with_name(f"{path.name}.gz").write_bytes(change(gzip.compress(path.read_bytes(), mtime=0)))
        path.unlink()

    assert end(damage) == expected


# ---------------------------------------------------------------------------------------------------- columns, cells


def rewrite(folder: Path, table: str, change: Callable[[Rows], Rows | None], **style) -> None:
    """Change the rows of a table, the header first; in place, or give others."""
    path = folder / f"{table}.csv"
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    rows = change(rows) or rows
    with path.open("w", newline="") as file:
        csv.writer(file, **{"lineterminator": "\n", **style}).writerows(rows)


def each(table: str, column: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    """Change every cell of a column."""

    def in_rows(rows: Rows) -> None:
        place = rows[0].index(column)
        for row in rows[1:]:
            row[place] = change(row[place])

    return lambda folder: rewrite(folder, table, in_rows)


COLUMNS = [(table, column) for table, kinds in mimic3.TABLES.items() for kind in kinds for column in kind]
HEADERS = {
    "lower case": (lambda name, column: name.lower(), HARMLESS),
    "mixed case": (lambda name, column: name.title(), HARMLESS),
    "one renamed": (lambda name, column: "X" if name == column else name, REFUSED),
    "one with a blank": (lambda name, column: f" {name}" if name == column else name, REFUSED),
    "one in quotes of another kind": (lambda name, column: f"'{name}'" if name == column else name, REFUSED),
    "another of the same name": (lambda name, column: column if name == "ROW_ID" else name, REFUSED),
    "another of the same name in lower case": (lambda name, column: column.lower() if name == "ROW_ID" else name,
                                               REFUSED),
}  # fmt: skip


@pytest.mark.parametrize(("table", "column"), [COLUMNS[0], COLUMNS[3], COLUMNS[6], *COLUMNS[-5:]])
@pytest.mark.parametrize("what", HEADERS)
def test_a_header(end, table, column, what):
    change, expected = HEADERS[what]

    def in_rows(rows: Rows) -> None:
        rows[0] = [change(name, column) for name in rows[0]]

    assert end(lambda folder: rewrite(folder, table, in_rows)) == expected


@pytest.mark.parametrize("table", TABLES)
def test_a_form_that_says_the_same(end, table):
    """Columns in another order, all cells in quotes, text over several lines in a column that is not read, rows in
    another order."""

    def change(rows: Rows) -> Rows:
        order = np.random.default_rng(0).permutation(len(rows[0]))
        unread = rows[0].index("ROW_ID")
        for row in rows[1::7]:
            row[unread] = 'two\nlines, a "quote"'
        shuffled = [rows[0], *(rows[1:][i] for i in np.random.default_rng(1).permutation(len(rows) - 1))]
        return [[row[i] for i in order] for row in shuffled]

    assert end(lambda folder: rewrite(folder, table, change, quoting=csv.QUOTE_ALL)) == HARMLESS


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_that_is_gone(end, table, column):
    def change(rows: Rows) -> Rows:
        place = rows[0].index(column)
        return [row[:place] + row[place + 1 :] for row in rows]

    assert end(lambda folder: rewrite(folder, table, change)) == REFUSED


@pytest.mark.parametrize(("table", "column"), COLUMNS)
def test_a_column_that_is_empty(end, table, column):
    counted = column == "ERROR"
    assert end(each(table, column, lambda cell: "")) == (COUNTED if counted else REFUSED)


CELLS = {  # what no id, time, number or flag can be, then what some can
    **{f"{value[:12]!r}": value
       for value in ("oops", "-1", "1.4", "nan", "inf", "-inf", "1e400", "9" * 30, "NULL", "\\N", "None", "#REF!",
                     "0x1F", "1_000", "1,000", "٣", "a\nb", 'a"b', "x" * 5000, "\x00", "'", "; DROP TABLE stays",
                     "=1+1")},
    "empty": "",
    "1E+05": "1E+05",
}  # fmt: skip
KEYS = ("SUBJECT_ID", "HADM_ID", "ICUSTAY_ID", "ITEMID", "SEQ_NUM")


@pytest.mark.parametrize(
    ("table", "column", "what"),  # 1.4 beats or mmHg is within the limits
    [(*place, what) for place in COLUMNS for what in CELLS if (place[1], what) != ("VALUENUM", "'1.4'")],
)
def test_a_cell(end, used, whole, table, column, what):
    value = CELLS[what]

    def change(rows: Rows) -> None:
        row = used if table == EVENTS else first_primary(rows) if table == "DIAGNOSES_ICD" else first_used(whole, rows)
        rows[1 + row][rows[0].index(column)] = value

    ended = end(lambda folder: rewrite(folder, table, change))
    if column == "VALUENUM" or not value:
        assert ended in (COUNTED, REFUSED, HARMLESS)  # `judge` has seen that it is not silent
    elif table == EVENTS and value == "1E+05" and column in KEYS:
        assert ended == COUNTED  # a whole number, though of no stay and no item
    else:
        assert ended == REFUSED


def first_primary(rows: Rows) -> int:
    place, code = rows[0].index("SEQ_NUM"), rows[0].index("ICD9_CODE")
    return next(i for i, row in enumerate(rows[1:]) if row[place] == "1" and row[code][:3] in mimic3.DIAGNOSES)


def first_used(whole: tuple[Path, Windows], rows: Rows) -> int:
    subjects = {str(subject) for subject in whole[1].recording_subject}
    return next(i for i, row in enumerate(rows[1:]) if row[rows[0].index("SUBJECT_ID")] in subjects)


def text_of(change: str) -> Callable[[str], str]:
    return lambda cell: change.format(cell) if cell else cell


def date(form: str) -> Callable[[str], str]:
    return lambda cell: pd.Timestamp(cell).strftime(form) if cell else cell


def leading_zeros_lost(cell: str) -> str:
    return cell.lstrip("0")


def codes_beside_the_primary(code: str) -> Callable[[Rows], None]:
    def in_rows(rows: Rows) -> None:
        place, column = rows[0].index("SEQ_NUM"), rows[0].index("ICD9_CODE")
        for row in rows[1:]:
            row[column] = row[column] if row[place] == "1" else code

    return in_rows


WHOLE_COLUMNS = {
    # As other programs save them.
    **{f"{table} {column} as 7.0": (each(table, column, text_of("{}.0")), HARMLESS)
       for table, column in COLUMNS if column in KEYS},
    **{f"{table} {column} with blanks": (each(table, column, text_of(" {} ")), HARMLESS)
       for table, column in COLUMNS if column in (*KEYS, "VALUENUM", "ERROR", "ICD9_CODE")},
    **{f"{table} {column} with zeros": (each(table, column, text_of("00{}")), HARMLESS)
       for table, column in COLUMNS if column in KEYS},
    **{f"{table} {column} with thousands": (each(table, column, lambda cell: f"{int(cell or 0):,}"), REFUSED)
       for table, column in COLUMNS if column in ("HADM_ID", "ICUSTAY_ID", "ITEMID")},
    **{f"{table} {column} in E notation": (each(table, column, lambda cell: f"{int(cell):.1E}" if cell else cell), ends)
       for (table, column), ends in {("PATIENTS", "SUBJECT_ID"): REFUSED, ("ICUSTAYS", "SUBJECT_ID"): REFUSED,
                                     ("ICUSTAYS", "ICUSTAY_ID"): REFUSED, ("DIAGNOSES_ICD", "HADM_ID"): REFUSED,
                                     (EVENTS, "ICUSTAY_ID"): REFUSED, (EVENTS, "ITEMID"): COUNTED}.items()},
    # Times.
    **{f"{table} {column} {form}": (each(table, column, date(form)), ends)
       for table, column in (("ICUSTAYS", "INTIME"), (EVENTS, "CHARTTIME"))
       for form, ends in {"%Y-%m-%dT%H:%M:%S": HARMLESS, "%Y-%m-%d %H:%M:%S.000": HARMLESS,
                          "%m/%d/%Y %H:%M:%S": REFUSED, "%d.%m.%Y %H:%M": REFUSED, "%d-%b-%y": REFUSED,
                          "%Y-%m-%d": REFUSED, "%H:%M:%S": REFUSED,
                          "%Y%m%d%H%M%S": REFUSED, "%Y-%m-%dT%H:%M:%SZ": REFUSED, "%Y-%m-%d %H:%M:%S+02:00": REFUSED,
                          "%y-%m-%d %H:%M:%S": REFUSED, "1%y-%m-%d": REFUSED, "-%Y-%m-%d %H:%M:%S": REFUSED}.items()},
    "INTIME in another century": (each("ICUSTAYS", "INTIME", lambda cell: f"19{cell[2:]}"), REFUSED),
    "CHARTTIME in another century": (each(EVENTS, "CHARTTIME", lambda cell: f"20{cell[2:]}"), REFUSED),
    "CHARTTIME two days later": (
        each(EVENTS, "CHARTTIME", lambda cell: str(pd.Timestamp(cell) + pd.Timedelta(days=2))), COUNTED),
    # Values.
    "VALUENUM with units": (each(EVENTS, "VALUENUM", text_of("{} bpm")), REFUSED),
    "VALUENUM with decimal commas": (each(EVENTS, "VALUENUM", lambda cell: cell.replace(".", ",") + ",5"), REFUSED),
    "VALUENUM negative": (each(EVENTS, "VALUENUM", text_of("-{}")), REFUSED),
    "VALUENUM infinite": (each(EVENTS, "VALUENUM", lambda cell: "inf"), REFUSED),
    "VALUENUM 1e30": (each(EVENTS, "VALUENUM", lambda cell: "1e30"), REFUSED),
    "VALUENUM in thousandths": (each(EVENTS, "VALUENUM", text_of("{}000")), REFUSED),
    "VALUENUM with exponents": (each(EVENTS, "VALUENUM", lambda cell: f"{float(cell):e}" if cell else cell), HARMLESS),
    # Flags.
    **{f"ERROR {value!r}": (each(EVENTS, "ERROR", lambda cell, value=value: value), ends)
       for value, ends in {"0": COUNTED, "0.0": COUNTED, "false": COUNTED, "FALSE": COUNTED, "1": REFUSED,
                           "1.0": REFUSED, "true": REFUSED, "True": REFUSED, "t": REFUSED, "yes": REFUSED,
                           "2": REFUSED, "-1": REFUSED,
                           "0.5": REFUSED, "NaN": REFUSED}.items()},
    **{f"ERROR as {names}": (
        each(EVENTS, "ERROR", lambda cell, names=names: cell and names[int(cell)]), ends)
       for names, ends in {("0.0", "1.0"): HARMLESS, ("false", "true"): HARMLESS, ("False", "True"): HARMLESS,
                           ("no", "yes"): REFUSED}.items()},
    # Diagnoses.
    "SEQ_NUM from 0": (each("DIAGNOSES_ICD", "SEQ_NUM", lambda cell: str(int(cell) - 1)), COUNTED),
    "SEQ_NUM all 1": (each("DIAGNOSES_ICD", "SEQ_NUM", lambda cell: "1"), REFUSED),
    "SEQ_NUM all 2": (each("DIAGNOSES_ICD", "SEQ_NUM", lambda cell: "2"), REFUSED),
    "SEQ_NUM 1.4": (each("DIAGNOSES_ICD", "SEQ_NUM", text_of("{}.4")), REFUSED),
    "codes with dots": (each("DIAGNOSES_ICD", "ICD9_CODE", lambda cell: f"{cell[:3]}.{cell[3:]}"), HARMLESS),
    "codes without zeros": (each("DIAGNOSES_ICD", "ICD9_CODE", leading_zeros_lost), COUNTED),
    "codes as numbers": (each("DIAGNOSES_ICD", "ICD9_CODE", text_of("{}.0")), REFUSED),
    "codes of ICD-10": (each("DIAGNOSES_ICD", "ICD9_CODE", lambda cell: "I21.9"), REFUSED),
    "codes of ICD-10 beside the primary": (
        lambda folder: rewrite(folder, "DIAGNOSES_ICD", codes_beside_the_primary("I21.9")), HARMLESS),
    "codes of two digits": (each("DIAGNOSES_ICD", "ICD9_CODE", lambda cell: cell[:2]), REFUSED),
    # Ids of others.
    "ICUSTAY_ID all one": (each("ICUSTAYS", "ICUSTAY_ID", lambda cell: "200001"), REFUSED),
    "HADM_ID all one": (each("ICUSTAYS", "HADM_ID", lambda cell: "100001"), REFUSED),
    "SUBJECT_ID all one": (each("ICUSTAYS", "SUBJECT_ID", lambda cell: "3"), REFUSED),
    "ITEMID of another release": (each(EVENTS, "ITEMID", lambda cell: str(int(cell) + 7)), COUNTED),
    "HADM_ID of another release": (each("DIAGNOSES_ICD", "HADM_ID", lambda cell: str(int(cell) + 500_000)), REFUSED),
}  # fmt: skip


@pytest.mark.parametrize("what", WHOLE_COLUMNS)
def test_a_whole_column(end, what):
    damage, expected = WHOLE_COLUMNS[what]
    assert end(damage) == expected


# ---------------------------------------------------------------------------------------------------- rows


def again(change: dict[str, str] | None = None, share: int = 1) -> Callable[[Rows], None]:
    """Every `share`th row once more, with other cells where `change` names them."""

    def in_rows(rows: Rows) -> None:
        for row in rows[1::share]:
            other = dict(zip(rows[0], row, strict=True)) | (change or {})
            rows.append([*other.values()])

    return in_rows


ROWS = {
    **{f"{table} doubled": (table, again(), HARMLESS) for table in TABLES},
    **{f"every 50th row of {table} doubled": (table, again(share=50), HARMLESS) for table in TABLES},
    "values charted again as others": (EVENTS, again({"VALUENUM": "61"}, 50), COUNTED),
    "values charted again as errors": (EVENTS, again({"ERROR": "1"}, 50), HARMLESS),
    "stays again with another entry": ("ICUSTAYS", again({"INTIME": "2100-01-01 00:00:00"}), REFUSED),
    "stays again with another number": ("ICUSTAYS", again({"ICUSTAY_ID": "999999"}, 5), REFUSED),
    "stays of others": ("ICUSTAYS", again({"SUBJECT_ID": "99999999"}), REFUSED),
    "diagnoses again with another code": ("DIAGNOSES_ICD", again({"ICD9_CODE": "0389"}), COUNTED),
    "one row": (EVENTS, lambda rows: rows[:2], REFUSED),
    "one patient": ("PATIENTS", lambda rows: rows[:2], REFUSED),
    "one stay": ("ICUSTAYS", lambda rows: rows[:2], COUNTED),
    "one diagnosis": ("DIAGNOSES_ICD", lambda rows: rows[:2], COUNTED),
    "every second row gone": (EVENTS, lambda rows: rows[:1] + rows[1::2], COUNTED),
    "backwards": (EVENTS, lambda rows: rows[:1] + rows[:0:-1], HARMLESS),
    "a row of another table": (EVENTS, lambda rows: [*rows, ["1", "2", "3"]], REFUSED),
    "the header in the middle": (EVENTS, lambda rows: [*rows[:500], rows[0], *rows[500:]], REFUSED),
    "cells moved by one": (EVENTS, lambda rows: rows[:1] + [row[1:] + row[:1] for row in rows[1:]], REFUSED),
}


@pytest.mark.parametrize("what", ROWS)
def test_rows(end, what):
    table, change, expected = ROWS[what]
    ended = end(lambda folder: rewrite(folder, table, change))
    assert ended == expected


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("table", TABLES)
def test_a_quote_that_nothing_closes(end, table, place):
    def change(content: bytes) -> bytes:
        lines = content.split(b"\n")
        row = int(place * len(lines))
        lines[row] = lines[row].replace(b",", b',"', 1)
        return b"\n".join(lines)

    assert end(lambda folder: edit(change)(folder / f"{table}.csv")) == REFUSED


# ---------------------------------------------------------------------------------------------------- the folder


@pytest.mark.parametrize(
    ("one", "other"), [(a, b) for i, a in enumerate(TABLES) for b in (*TABLES[:i], *TABLES[i + 1 :])]
)
def test_a_table_in_place_of_another(end, one, other):
    expected = HARMLESS if one == "PATIENTS" else REFUSED  # all have the column that is read, with the same subjects
    assert end(lambda folder: shutil.copy(folder / f"{other}.csv", folder / f"{one}.csv")) == expected


@pytest.mark.parametrize("name", ["{}.csv.gz", "{}.CSV", "lower.csv", "lower.csv.gz"])
@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_is_there_twice(end, table, name):
    name = name.format(table).replace("lower", table.lower())
    assert end(lambda folder: shutil.copy(folder / f"{table}.csv", folder / name)) == REFUSED


@pytest.mark.parametrize(
    "name", ["g*b", "g?b", "g[ab]b", "{a,b}", "a'b", 'a"b', "a b", "a;b", "a%b", "ä\nb", "~", "-r"]
)
def test_a_folder_name(end, whole, tmp_path, name):
    """Beside it lies another set, which a pattern would find."""
    for other in ("gxb", "gab", "a", "b"):
        if other != name:
            shutil.copytree(whole[0], tmp_path / other)
            rewrite(tmp_path / other, EVENTS, lambda rows: rows[:100])
    assert end(lambda folder: None, name) == HARMLESS


def test_other_files_beside_the_tables(end):
    names = ("CHARTEVENTS.csv.bak", "chartevents.csv.gz.part", "._CHARTEVENTS.csv", "CHARTEVENTS_1.csv", "README")
    assert end(lambda folder: [(folder / name).write_text("x") for name in names]) == HARMLESS


# ---------------------------------------------------------------------------------------------------- memory


def test_what_does_not_fit_is_spilled(tmp_path, monkeypatch, data_home):
    """2,846 stays with RDPD_MEMORY=20MB: DuckDB uses its folder, the windows are the same, the folder is removed."""
    simulate.write("mimic3", tmp_path, 0.3)
    whole, spilled = outcome.read("mimic3", tmp_path), []
    hourly_means = mimic3._hourly_means

    def looked_at(db, *rest):
        means = hourly_means(db, *rest)
        spilled.extend(db.execute("SELECT size FROM duckdb_temporary_files()").fetchall())
        return means

    monkeypatch.setattr(mimic3, "_hourly_means", looked_at)
    monkeypatch.setenv("RDPD_MEMORY", "20MB")
    assert outcome.judge("mimic3", tmp_path, whole) == HARMLESS
    assert sum(size for (size,) in spilled) > 1e6 and not list(data_home.glob(".rdpd-*"))
