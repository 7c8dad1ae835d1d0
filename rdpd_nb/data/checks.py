"""What readers share to check their files. Each fault is one sentence: what, where, what to do."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import sum_of


def require_folder(folder: Path, holds: str) -> None:
    """Raises UserError, with what the folder should hold, where it is not there or empty."""
    if not folder.is_dir() or not entries(folder):
        raise UserError(f"{folder} is {'empty' if folder.is_dir() else 'not a folder'}; it should hold {holds}.")


def file_fault(path: Path, missing: str = "correct its name", empty: str = "write it again") -> str:
    """Why nothing can be read from a file, and what to do, in words that follow its name; '' where something can."""
    if os.path.isdir(path):  # unlike Path's, these raise nothing
        return "is a folder where a file is expected; take it out or name another."
    if not os.path.isfile(path):
        if os.path.islink(path):
            return "is a link that leads nowhere; correct its name."
        return "is no plain file; take it out or name another." if os.path.exists(path) else f"is not there; {missing}."
    try:
        with path.open("rb") as file:
            return "" if file.read(1) else f"is empty; {empty}."
    except OSError as error:
        return f"cannot be read ({error.strerror or error}); correct its permissions."


def require_files(paths: Iterable[Path]) -> list[Path]:
    """These raw files as a list; UserError where one is a folder, empty, a link that leads nowhere, or not readable."""
    paths = list(paths)
    for path in paths:
        if fault := file_fault(path, *2 * ["download it again"]):
            raise UserError(f"{path} {fault}")
    return paths


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; glob passes over a folder that it may not read."""
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{folder} cannot be read ({error.strerror or error}); correct it, or take it out.") from None


def check_sum(content: bytes, expected: str | None, what: str) -> None:
    """Compare the content of a file with its sum in the release's SHA256SUMS.txt, None where it has none there."""
    if expected is None:
        raise UserError(f"{what} is not in SHA256SUMS.txt; it is not of this release: take it out.")
    if sum_of(content) != expected:
        raise UserError(f"{what} differs from the published file (SHA-256 in SHA256SUMS.txt); download it again.")


def check_sums(folder: Path, sums: dict[str, str]) -> None:
    """Compare files of a download with their SHA-256 sums {name: sum}; for a data set's `check_download`."""
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is not in the download; nothing was kept, run the download again.")
        if sum_of(path) != expected:
            raise UserError(f"{path} differs from the published file (SHA-256); nothing was kept, download again.")


def listed_sums(path: Path) -> dict[str, str]:
    """SHA-256 of each file by its name, out of a release's SHA256SUMS.txt; UserError where it lists none."""
    pairs = re.findall(r"^([0-9a-f]{64}) [ *]?(\S.*?)\r?$", path.read_text(errors="replace"), re.M)
    if not pairs:
        raise UserError(f"{path} lists no SHA-256 sums; download it again.")
    return {name: total for total, name in pairs}


def read_labels(path: Path, key: str, column: str, allowed: Collection[str]) -> dict[int, str]:
    """What a CSV says in a column, by the whole number in another, sorted by it.

    Raises UserError, with the line, where a number is there twice, or what is said is none of those allowed.
    """
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines() or [""]
    header = lines[0].split(",")
    if wrong := [name for name in (key, column) if header.count(name) != 1]:
        many = "two columns" if wrong[0] in header else "no column"
        raise UserError(f"{path}: {many} {', '.join(wrong)}; the columns are {lines[0][:200]}.")
    found: dict[int, str] = {}
    for line, text in enumerate(lines[1:], 2):
        row, where = text.split(","), f"{path}, line {line}"
        if row == [""]:
            continue
        if len(row) != len(header):
            raise UserError(f"{where}: {len(row)} columns where {len(header)} are expected; download it again.")
        number, value = row[header.index(key)], row[header.index(column)]
        if not re.fullmatch(r"[0-9]{1,18}", number) or value not in allowed:
            raise UserError(
                f"{where}: {key} '{number[:40]}' and {column} '{value[:40]}' where a number and "
                f"{', '.join(allowed)} are expected; download it again."
            )
        if int(number) in found:
            raise UserError(f"{where}: {number} is there twice; download it again.")
        found[int(number)] = value
    return dict(sorted(found.items()))


def without_copies(digests: Sequence[bytes], labels: Sequence, names: Sequence, where: Path) -> np.ndarray:
    """Which recordings to keep, of those with the same digest the first; UserError where their labels differ.

    A copy under another person's name could train while the first one tests.
    """
    first: dict[bytes, int] = {}
    keep = np.empty(len(digests), bool)
    for i, digest in enumerate(digests):
        keep[i] = (other := first.setdefault(digest, i)) == i
        if labels[i] != labels[other]:
            raise UserError(
                f"{where}: {names[other]} and {names[i]} hold the same signals and different labels; correct one."
            )
    return keep


def one_archive(folder: Path) -> Path | None:
    """The .zip of a folder; None where there is none, UserError where there are two, or it cannot be read."""
    archives = require_files(sorted(folder.glob("*.zip")))
    if len(archives) > 1:
        raise UserError(f"{folder} holds {' and '.join(path.name for path in archives)}; keep the one to be read.")
    return archives[0] if archives else None


def make_missing(values: np.ndarray, low: Sequence[float], high: Sequence[float]) -> int:
    """Set to NaN, in place, what no sensor can say: infinite values, and those outside low to high of their channel.

    values (rows, D) floating; low, high (D,), in raw units. Returns how many; what was NaN before is not counted.
    """
    with np.errstate(invalid="ignore"):
        wrong = (values < low) | (values > high) | np.isinf(values)
    values[wrong] = np.nan
    return int(wrong.sum())
