"""Text files of numbers: many at once by a fast parser, and which line of which file is wrong."""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from ..errors import UserError

LARGEST = float(np.finfo(np.float32).max)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)  # what the fast parser takes
WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


def numbers(
    texts: Sequence[tuple[str, bytes]], columns: int, separator: str, limit: float | Sequence[float] = LARGEST
) -> tuple[np.ndarray, np.ndarray]:
    """Files [(name, content)] of `columns` numbers a line -> (all rows, columns) float32 and rows of each (files,).

    limit, of all columns or of each: what no such sensor can say, up or down. Raises UserError, with file, line and
    what is wrong, for a line of other columns, for what is no finite number or beyond its limit, and for a file
    without a line or whose last line has no end: it may have been cut inside a number.
    """
    import pyarrow as pa
    import pyarrow.csv as csv

    names = [str(i) for i in range(columns)]
    contents = [content.strip() for _, content in texts]
    rows = np.array([content.count(b"\n") + 1 for content in contents])
    limits = np.broadcast_to(np.float32(limit), columns)
    why = ""
    try:
        table = csv.read_csv(
            io.BytesIO(b"\n".join(contents)),
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(delimiter=separator, quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float32())),
        )
        values = np.stack([column.to_numpy() for column in table.columns], 1)
        whole = len(values) == rows.sum() and all(content.endswith(b"\n") for _, content in texts)
        if whole and (np.abs(values) <= limits).all():  # what is no number is not
            return values, rows
    except pa.ArrowInvalid as error:
        why = str(error)
    for (name, given), content in zip(texts, contents, strict=True):
        lines = content.decode(errors="replace").split("\n")
        fault = fault_in(enumerate(lines, 1), columns, separator, limits) if content else " is empty"
        if not fault and not given.endswith(b"\n"):
            fault = f", line {len(lines)}: the last line has no end, so it may be cut short"
        if fault:
            raise UserError(f"{name}{fault}; download it again.")
    raise UserError(f"{texts[0][0]} or one of the {len(texts) - 1} files after it: {why}; download it again.")


def whole_numbers(name: str, content: bytes, columns: int = 1, separator: str = " ") -> np.ndarray:
    """The one file as (rows, columns) int64; UserError as of `numbers`, and where a number is not a whole one."""
    values = numbers([(name, content)], columns, separator, 2**24 - 1)[0]  # float32 takes 2^24 + 1 for 2^24
    if (odd := (values % 1 != 0).any(1)).any():
        raise UserError(f"{name}, line {odd.argmax() + 1}: no whole number; download it again.")
    return values.astype(np.int64)


def fault_in(
    lines: Iterable[tuple[int, str]],
    columns: int,
    separator: str,
    limits: Sequence[float],
    whole: Sequence[int] = (),
    words: Sequence[str] = (),
) -> str:
    """What is wrong in the first of the numbered lines that is not `columns` numbers within limits; '' where none is.

    whole: columns, from 0, of whole numbers; words: what else may stand for a number, in lower case, without sign.
    """
    for number, line in lines:
        values = line.rstrip("\r\n").split(separator)
        if len(values) != columns:
            return f", line {number}: {len(values)} columns where {columns} are expected"
        for column, value in enumerate(values):
            where = f", line {number}, column {column + 1}: '{value[:40]}'"
            if column in whole:
                if not WHOLE.fullmatch(value):
                    return f"{where} is no whole number"
            elif not NUMBER.fullmatch(value):
                if value.lstrip("+-").lower() not in words:
                    return f"{where} is no number"
            elif abs(float(value)) > LARGEST:
                return f"{where} is no number of 32 bits"
            elif abs(float(value)) > limits[column]:
                return f"{where} is beyond {limits[column]:.4g}, the most that is possible there"
    return ""


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file that are not empty, numbered from 1."""
    with path.open(errors="replace") as file:
        yield from ((number, line) for number, line in enumerate(file, 1) if line.strip("\r\n"))


def line_number(path: Path, row: int) -> int:
    """The line that holds row `row`, from 0, for a parser that passes over empty lines."""
    return next(islice(numbered_lines(path), int(row), None))[0]
