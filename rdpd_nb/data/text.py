"""Text files of numbers out of an archive: many at once by a fast parser, and which line of which file is wrong."""

import io
import re
from collections.abc import Sequence

import numpy as np

from ..errors import UserError

LARGEST = float(np.finfo(np.float32).max)
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)  # what the fast parser takes


def numbers(texts: Sequence[tuple[str, bytes]], columns: int, separator: str) -> tuple[np.ndarray, np.ndarray]:
    """Files [(name, content)] of `columns` numbers a line -> (all rows, columns) float32 and rows of each (files,).

    Raises UserError, with file, line and what is wrong, for a line of other columns, for what is no finite number,
    and for a file without a line.
    """
    import pyarrow as pa
    import pyarrow.csv as csv

    names = [str(i) for i in range(columns)]
    contents = [content.strip() for _, content in texts]
    rows = np.array([content.count(b"\n") + 1 if content else 0 for content in contents])
    why = ""
    try:
        table = csv.read_csv(
            io.BytesIO(b"\n".join(contents)),
            read_options=csv.ReadOptions(column_names=names),
            parse_options=csv.ParseOptions(delimiter=separator, quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.float32()), null_values=[]),
        )
        values = np.stack([column.to_numpy() for column in table.columns], 1)
        if len(values) == rows.sum() and rows.all() and np.isfinite(values).all():
            return values, rows
    except pa.ArrowInvalid as error:
        why = str(error)
    for (name, _), content in zip(texts, contents, strict=True):
        if fault := _fault(content, columns, separator):
            raise UserError(f"{name}{fault}; download it again.")
    raise UserError(f"{texts[0][0]} or one of the {len(texts) - 1} files after it: {why}; download it again.")


def _fault(content: bytes, columns: int, separator: str) -> str:
    """What is wrong in the first line that is not `columns` finite numbers; '' where none is."""
    if not content:
        return " is empty"
    for number, line in enumerate(content.decode(errors="replace").split("\n"), 1):
        values = line.rstrip("\r").split(separator)
        if len(values) != columns:
            return f", line {number}: {len(values)} columns where {columns} are expected"
        for column, value in enumerate(values, 1):
            if not NUMBER.fullmatch(value) or abs(float(value)) > LARGEST:
                return f", line {number}, column {column}: '{value}' is no number"
    return ""
