"""Tables as .csv or .csv.gz of any size, a block at a time: columns by name, faults as one sentence with the row.

Memory is that of a few blocks. Of a .csv.gz the checksum and length at its end are checked on the way. Rows count as in
a spreadsheet: the header is row 1, empty lines are not counted, and text in quotes may go over several lines.
"""

import csv
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 1 << 20  # bytes, of which some are held at once; no row may be longer
LARGEST_ID = 2**53  # from there on neighbouring whole numbers are no longer told apart
IS_ID = r"^ *\d{1,15}(\.0*)? *$"
WHOLE = "a whole number"
SAY_EVERY = 10.0  # seconds between two lines of progress
AGAIN = "download it again"
SHOWN = 40  # characters of a wrong value


def batches(
    path: Path, ids: tuple[str, ...], texts: tuple[str, ...], progress: Callable[[str], None] = lambda line: None
) -> Iterator[tuple[int, "pa.RecordBatch"]]:
    """Number of the first row, and a record batch of the named columns, block after block.

    The header may be in any case. `ids` are whole numbers from 0, also written as 7.0 (int64), `texts` anything; both
    null where empty. Says through `progress` how far it is and how long it will take. Raises UserError with the row.
    """
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    started = said = time.monotonic()
    first, wanted, header = 2, (*ids, *texts), []
    with _faults(path, header), path.open("rb", buffering=0) as file:
        header += _header(path)
        named = _columns(path, header, wanted)
        kinds = {named[column]: pa.float64() if column in ids else pa.string() for column in wanted}
        size = _checked_size(file, path)
        file.seek(0)
        reader = arrow_csv.open_csv(
            _unpacked(file, path),
            # With threads no fault would have its row.
            read_options=arrow_csv.ReadOptions(block_size=BLOCK, use_threads=False),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                include_columns=[*named.values()], column_types=kinds, null_values=[""], strings_can_be_null=True
            ),
        )
        for batch in reader:
            columns = dict(zip(wanted, batch.columns, strict=True))
            columns |= {column: _whole(path, first, column, columns[column]) for column in ids}
            yield first, pa.RecordBatch.from_pydict(columns)
            first += len(batch)
            if (now := time.monotonic()) - said > SAY_EVERY:
                said, share = now, file.tell() / size
                left = _duration((now - started) * (1 - share) / share)
                progress(f"  {path.name}: {100 * share:.0f} % read, about {left} left")


def table(path: Path, ids: tuple[str, ...], texts: tuple[str, ...] = ()) -> "pa.Table":
    """The same for a table that fits into memory, with a column `row`; UserError where it has none.

    An id with an exponent (2.8E+05) may have lost digits, so that two become one: it is refused.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    numbered = []
    for first, batch in batches(path, (), (*ids, *texts)):
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        for column in ids:
            place = pc.index(pc.match_substring_regex(columns[column], IS_ID), False).as_py()
            if place >= 0:
                raise UserError(not_expected(path, first + place, column, columns[column][place].as_py(), WHOLE))
            columns[column] = pc.cast(pc.utf8_trim(columns[column], " "), pa.float64()).cast(pa.int64())
        columns["row"] = pa.array(np.arange(first, first + len(batch)))
        numbered.append(pa.RecordBatch.from_pydict(columns))
    if not numbered:
        raise UserError(f"{path} has a header and no row; {AGAIN}.")
    return pa.Table.from_batches(numbered)


def _unpacked(file: BinaryIO, path: Path) -> "pa.NativeFile":
    import pyarrow as pa

    return pa.input_stream(file, compression="gzip" if path.name.lower().endswith(".gz") else None)


def _header(path: Path) -> list[str]:
    with path.open("rb") as file:
        start = _unpacked(file, path).read(BLOCK)
    line, *_ = start.decode("utf-8-sig", errors="replace").splitlines() or [""]
    try:
        return next(csv.reader([line]))
    except csv.Error:  # too long for names
        raise UserError(f"{path}: no names of columns in the first line; {AGAIN}.") from None


def _columns(path: Path, header: list[str], wanted: tuple[str, ...]) -> dict[str, str]:
    """How the file writes the names of the wanted columns."""
    there = [name.upper() for name in header]
    if missing := [column for column in wanted if column not in there]:
        shown = ", ".join(header)
        shown = shown if len(shown) < 300 else f"{shown[:300]} ..."
        raise UserError(f"{path}: no column {', '.join(missing)}; the columns are {shown}.")
    if twice := [column for column in wanted if there.count(column) > 1]:
        raise UserError(f"{path}: column {twice[0]} is there twice; {AGAIN}.")
    return {column: header[there.index(column)] for column in wanted}


def _checked_size(file: BinaryIO, path: Path) -> int:
    """Bytes of the file. One that ends inside a line was cut; of a .gz the end has its own check."""
    size = file.seek(-1, 2) + 1
    if file.read(1) not in b"\r\n" and not path.name.lower().endswith(".gz"):
        raise UserError(f"{path}: its last line has no end, so it was cut; {AGAIN}.")
    return size


def _whole(path: Path, first: int, column: str, values: "pa.Array") -> "pa.Array":
    """Floats as int64; UserError where one is not a whole number from 0."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        whole = values.cast(pa.int64())
        limits = pc.min_max(whole).as_py()
        if limits["min"] is None or (limits["min"] >= 0 and limits["max"] < LARGEST_ID):
            return whole
    except pa.ArrowInvalid:  # a fraction, or not finite
        pass
    is_id = pc.and_(pc.equal(pc.floor(values), values), pc.and_(pc.greater_equal(values, 0), pc.less(values, 2.0**53)))
    place = pc.index(is_id, False).as_py()
    raise UserError(not_expected(path, first + place, column, f"{values[place].as_py():g}", WHOLE))


def not_expected(path: Path, row: int, column: str, value: str | None, expected: str) -> str:
    """The sentence about a value that is something else than expected."""
    said = f"is '{value[:SHOWN]}'" if value else "is empty"
    return f"{path}, row {row}: {column} {said} where {expected} is expected; {AGAIN}."


@contextmanager
def _faults(path: Path, header: list[str]) -> Iterator[None]:
    """What the parser and the system say of a bad file, as one sentence."""
    import pyarrow as pa

    try:
        yield
    except pa.ArrowInvalid as error:
        raise UserError(_parsers_fault(path, header, str(error))) from None
    except OSError as error:  # also of the unpacking
        said = error.strerror or str(error).splitlines()[0]
        raise UserError(f"{path} could not be read ({said}); {AGAIN}.") from None


def _parsers_fault(path: Path, header: list[str], said: str) -> str:
    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", said):
        row, expected, there = found.groups()
        return f"{path}, row {row}: {there} columns where {expected} are expected; {AGAIN}."
    if found := re.search(r"column #(\d+): Row #(\d+): .* invalid value '(.*)'", said, re.S):
        column, row, value = found.groups()
        return not_expected(path, int(row), header[int(column)], value, WHOLE)
    if found := re.search(r"Row #(\d+): .*UTF8", said):
        return f"{path}, row {found[1]}: no text in UTF-8; {AGAIN}."
    if "straddling" in said:
        return f"{path}: a row of more than {BLOCK >> 20} MB, or a quotation mark that nothing closes; {AGAIN}."
    return f"{path}: not readable as CSV ({said.splitlines()[0][:200]}); {AGAIN}."


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
