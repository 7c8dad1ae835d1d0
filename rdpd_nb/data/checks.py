"""What readers share to check their files. Each fault is one sentence: what, where, what to do."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError


def require_folder(folder: Path, holds: str) -> None:
    """Raises UserError, with what the folder should hold, where it is not there or empty."""
    if not folder.is_dir() or not any(folder.iterdir()):
        raise UserError(f"{folder} is {'empty' if folder.is_dir() else 'not a folder'}; it should hold {holds}.")


def check_sums(folder: Path, sums: dict[str, str]) -> None:
    """Compare files of a download with their SHA-256 sums {name: sum}; for a data set's `check_download`."""
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is not in the download; nothing was kept, run the download again.")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise UserError(f"{path} differs from the published file (SHA-256); nothing was kept, download again.")


def listed_sums(path: Path) -> dict[str, str]:
    """SHA-256 of each file by its name, out of a release's SHA256SUMS.txt; UserError where it lists none."""
    pairs = re.findall(r"^([0-9a-f]{64}) [ *]?(\S.*?)\r?$", path.read_text(errors="replace"), re.M)
    if not pairs:
        raise UserError(f"{path} lists no SHA-256 sums; download it again.")
    return {name: total for total, name in pairs}


def first_bad_line(path: Path, separator: str | None, columns: int, whole: tuple[int, ...] = ()) -> str | None:
    """What is wrong in the first line of a text file that is not `columns` numbers; a fast parser does not say where.

    whole: columns, from 0, of whole numbers. With a separator an empty line is no fault.
    """
    with path.open(errors="replace") as file:
        for number, line in enumerate(file, 1):
            values = line.rstrip("\n").split(separator)
            if values == [""]:
                continue
            if len(values) != columns:
                return (
                    f"{path}, line {number}: {len(values)} columns where {columns} are expected; "
                    "the file is truncated or of another kind: download it again."
                )
            for column, value in enumerate(values):
                try:
                    (int if column in whole else float)(value)
                except ValueError:
                    kind = "whole number" if column in whole else "number"
                    return f"{path}, line {number}, column {column + 1}: '{value}' is not a {kind}; download it again."
    return None


def make_missing(values: np.ndarray, low: Sequence[float], high: Sequence[float]) -> int:
    """Set to NaN, in place, what no sensor can say: infinite values, and those outside low to high of their channel.

    values (rows, D) floating; low, high (D,), in raw units. Returns how many; what was NaN before is not counted.
    """
    with np.errstate(invalid="ignore"):
        wrong = (values < low) | (values > high) | np.isinf(values)
    values[wrong] = np.nan
    return int(wrong.sum())
