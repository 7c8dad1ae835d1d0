"""Files that nobody checked before -> their signals: folders or archives of CSV, Parquet or WFDB files, or one .npz.

Each fault is one sentence with the file, the line or row, and what to do. `own` says what is done with the signals.
"""

import csv
import difflib
import gzip
import io
import numbers
import os
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from . import archives
from .checks import file_fault

if TYPE_CHECKING:
    import pandas as pd

KINDS = {".csv": "CSV", ".csv.gz": "CSV", ".parquet": "Parquet", ".hea": "WFDB"}  # ending of a recording's file
WFDB_BYTES = {"8": 1, "16": 2, "24": 3, "32": 4, "80": 1, "160": 2}  # of a sample, by format
SAME_STEP = 0.01  # steps of a column `time` agree to 1 %
OPEN_QUOTE = ': a quotation mark (") in it goes over the end of a line; take it out.'
SHOWN = 8  # names in a sentence, at most


@dataclass(frozen=True)
class Signal:
    """What is in one recording: values (rows, D) of any kind of number; rate in Hz where the file says it."""

    values: np.ndarray
    rate: float | None
    units: tuple[str, ...]
    row: str = "row"  # what a row is called in a sentence
    first: int = 1  # number of the first row


Reads = dict[str, tuple[str, Callable[[], Signal]]]  # recording -> its file for a sentence, and how to read it


def is_positive(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def checked_rate(rate: Any, what: str) -> float | None:
    if rate is None:
        return None
    if not is_positive(rate):
        raise UserError(f"{what} is {rate!r} where samples a second are needed, as a number above 0.")
    return float(rate)


# ---------------------------------------------------------------------------------------------------- names


def text_of(value: Any) -> str:
    """A value of a table as text: '' where missing, and no '.0' behind a whole number, which a column of numbers gets
    where a value is missing."""
    missing = value is None or value != value
    return "" if missing else re.sub(r"^(-?\d+)\.0+$", r"\1", " ".join(str(value).split()))


def name_of(path: str) -> str:
    """A recording's name: that of its file, without folders and ending."""
    name = re.split(r"[/\\]", path)[-1]
    return text_of(name[: len(name) - len(_ending(name, (*KINDS, ".dat")))])


def as_numbers(name: str) -> list:
    """A key that sorts numbers inside names as numbers."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"(\d+)", name))]


def doubled(names: Iterable[str]) -> str:
    """The first name that is there a second time, or ''."""
    seen: set[str] = set()
    return next((name for name in names if name in seen or seen.add(name)), "")


def listed(names: Iterable[str]) -> str:
    names = [str(name) for name in names]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


# --------------------------------------------------------------------------------------------- files of any kind


@contextmanager
def found(
    signals: Path, labels: Path | None, channels: tuple[str, ...]
) -> Iterator[tuple[Reads, "pd.DataFrame | None"]]:
    """The recordings of a folder, archive or .npz, and the table that an .npz may hold; read inside the block."""
    name = signals.name.lower()
    if os.path.isdir(signals):  # unlike Path's, these raise nothing
        yield _folder(signals, signals, labels, channels), None
    elif name.endswith(".npz"):
        yield _npz(signals, channels)
    elif name.endswith(archives.ENDINGS):
        content_of(signals, signals, 1)  # says that it is not there, empty or cannot be read
        with tempfile.TemporaryDirectory() as unpacked:  # wfdb reads unpacked files only
            for member, content in archives.walk(signals, lambda member: not _is_hidden(member)):
                try:
                    (Path(unpacked) / member).parent.mkdir(parents=True, exist_ok=True)
                    (Path(unpacked) / member).write_bytes(content)
                except OSError as error:
                    raise UserError(f"{signals}: {member} could not be unpacked ({error.strerror}).") from None
            yield _folder(Path(unpacked), signals, labels, channels), None
    else:
        content_of(signals, signals, 1)
        raise UserError(
            f"{signals} is one file; name the folder of the recordings, an archive "
            f"({', '.join(archives.ENDINGS)}), or an .npz."
        )


def _folder(folder: Path, shown: Path, labels: Path | None, channels: tuple[str, ...]) -> Reads:
    """The recordings of a folder that a sentence calls `shown`; the table of labels may lie among them."""
    table = os.path.realpath(labels) if labels else ""
    files = [file.relative_to(folder) for file in folder.rglob("*") if os.path.realpath(file) != table]
    files = sorted(file for file in files if not _is_hidden(file.as_posix()))
    found = {file: ending for file in files if (ending := _ending(file.name))}
    if not found:
        holds = f"only {listed(file.name for file in files)}" if files else "nothing"
        raise UserError(f"{shown} holds {holds}; it should hold recordings ({', '.join(KINDS)}).")
    kinds = {KINDS[ending]: file for file, ending in found.items()}
    if len(kinds) > 1:
        mixed = ", ".join(f"{kind} ({file})" for kind, file in sorted(kinds.items()))
        raise UserError(f"{shown} mixes {mixed}; name a folder with recordings of one kind.")
    read = {"CSV": _csv, "Parquet": _parquet, "WFDB": _wfdb}[next(iter(kinds))]
    reads: Reads = {}
    for file in found:
        name = name_of(file.name)
        if name in reads:
            raise UserError(f"{shown / file} and {reads[name][0]} are both recording '{name}'; take one out.")
        reads[name] = str(shown / file), partial(read, folder / file, shown / file, channels)
    return reads


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in PurePosixPath(path).parts)


def _ending(name: str, endings: Iterable[str] = KINDS) -> str:
    return next((ending for ending in endings if name.lower().endswith(ending)), "")


def content_of(path: Path, shown: Path, most: int = -1) -> bytes:
    """The bytes of a file, or the first `most`; UserError where it is none, empty or cannot be read."""
    if fault := file_fault(path):
        raise UserError(f"{shown} {fault}")
    with path.open("rb") as file:
        return file.read(most)


def _pick(channels: tuple[str, ...], there: list[str], shown: Path) -> list[int]:
    """Where the channels are among the names of a file."""
    if twice := doubled(name for name in there if name):
        raise UserError(f"{shown}: '{twice}' is the name of two channels; rename one.")
    if missing := [channel for channel in channels if channel not in there]:
        refuse_separator(there, shown)
        if all(re.fullmatch(r"[-+.\deE]+", name) for name in there):
            raise UserError(f"{shown}: its first line is numbers; write the names of the channels there.")
        raise UserError(f"{shown}: no channel '{missing[0]}'; {hint(missing[0], there, 'it has', channels)}")
    return [there.index(channel) for channel in channels]


def refuse_separator(header: list[str], shown: Path) -> None:
    """A header of one column with semicolons or tabs in its name."""
    for mark, name in (";", "semicolons"), ("\t", "tabs"):
        if mark in header[0]:
            raise UserError(f"{shown}: its columns are parted by {name}; write commas, and points in numbers.")


def hint(name: str, there: Iterable[str], otherwise: str, taken: Iterable[str] = ()) -> str:
    """Which of the names that are there and not taken may be meant, as 'Lead II' by 'ii'; else all of them."""
    folded = {known.casefold(): known for known in there if known and known not in taken}
    close = difflib.get_close_matches(name.casefold(), folded, 1)
    close += [known for known in folded if name.casefold() in re.split(r"[\W_]+", known)]
    return f"did you mean '{folded[close[0]]}'?" if close else f"{otherwise} {listed(filter(None, there)) or 'none'}."


# ----------------------------------------------------------------------------------------------- CSV and Parquet


def csv_text(path: Path, shown: Path) -> bytes:
    """A CSV file, unpacked, as UTF-8 without byte-order mark and its lines ended by \\n, but the last."""
    content = content_of(path, shown)
    if path.name.lower().endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{shown} is no gzip file, or damaged ({error}); pack it again.") from None
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content[:1000]:
        raise UserError(f"{shown} is UTF-16 or no text; save it as CSV in UTF-8.")
    content = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return content.rstrip(b"\n")


def utf8(content: bytes, shown: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(f"{shown}, line {line}: its text is not UTF-8; save it as CSV in UTF-8.") from None


def _csv(path: Path, shown: Path, channels: tuple[str, ...]) -> Signal:
    import pyarrow as pa
    import pyarrow.csv as arrow

    content = csv_text(path, shown)
    line, _, rest = content.partition(b"\n")
    try:
        header = [name.strip() for name in next(csv.reader([utf8(line, shown)]))] or [""]
    except csv.Error as error:
        raise UserError(f"{shown}, line 1: it cannot be read as CSV ({error}); write it again.") from None
    columns = _pick(channels, header, shown)
    if not rest:
        raise UserError(f"{shown} has no rows, only its header; take it out or write it again.")
    if len(header) > 1 and b"\n\n" in content:  # of one column, an empty line is a missing value
        line_number = content[: content.index(b"\n\n")].count(b"\n") + 2
        raise UserError(f"{shown}, line {line_number}: it is empty; take it out, or write its commas.")
    time = _time_column(header)
    wanted = [str(i) for i in columns + time]
    try:
        table = arrow.read_csv(
            io.BytesIO(rest),
            # One thread, or a fault would come without its row.
            read_options=arrow.ReadOptions(column_names=[str(i) for i in range(len(header))], use_threads=False),
            parse_options=arrow.ParseOptions(ignore_empty_lines=False),
            convert_options=arrow.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.float64())
            ),
        )
    except pa.ArrowInvalid as error:
        raise UserError(f"{shown}{_csv_fault(str(error), header)}") from None
    if table.num_rows != rest.count(b"\n") + 1:
        raise UserError(f"{shown}{OPEN_QUOTE}")
    return _of_columns([column.to_numpy() for column in table.columns], bool(time), shown, "line", 2)


def _csv_fault(error: str, header: list[str]) -> str:
    """What pyarrow stumbled over, in words; its rows are from 1, without the header."""
    row = re.search(r"Row #(\d+)", error)
    where = f", line {int(row[1]) + 1}" if row else ""
    if found := re.search(r"column #(\d+).*invalid value '(.*)'$", error, re.S):
        name, value = header[int(found[1])], found[2].strip()[:40]
        if "\n" in value:
            return OPEN_QUOTE
        comma = re.fullmatch(r"[-+]?\d*,\d+", value)
        if name.lower() == "time":
            return f"{where}: time '{value}' is no number; write seconds, or take the column out and give the rate."
        advice = "write a decimal point for its comma" if comma else "correct it, or leave it empty if it is missing"
        return f"{where}, column '{name}': '{value}' is no number; {advice}."
    if found := re.search(r"Expected (\d+) columns, got (\d+)", error):
        comma = " (are there decimal commas? write points)" if int(found[2]) == 2 * int(found[1]) else ""
        return f"{where}: {found[2]} values where the header names {found[1]} columns{comma}; correct it."
    return f"{where}: it cannot be read as CSV ({error.splitlines()[0]}); write it again."


def _parquet(path: Path, shown: Path, channels: tuple[str, ...]) -> Signal:
    import pyarrow as pa

    table = parquet_table(path, shown)
    columns = _pick(channels, table.column_names, shown)
    time = _time_column(table.column_names)
    found = []
    for i in columns + time:
        kind, name = table.schema.types[i], table.column_names[i]
        if not any(is_one(kind) for is_one in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)):
            needed = "seconds" if i in time else "numbers"
            if kind != pa.null():
                raise UserError(f"{shown}: column '{name}' holds {kind} where {needed} are needed; write numbers.")
        found.append(table.column(i).cast(pa.float64(), safe=False).to_numpy())
    if not table.num_rows:
        raise UserError(f"{shown} has no rows; take it out or write it again.")
    return _of_columns(found, bool(time), shown, "row", 1)


def parquet_table(path: Path, shown: Path, as_frame: bool = False) -> Any:
    """What is in a Parquet file, as pyarrow's table or as a data frame, its index as a column."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.BufferReader(content_of(path, shown))
    try:
        table = pq.read_table(content, page_checksum_verification=True)
        table.validate(full=True)  # text is UTF-8
        return table.to_pandas(ignore_metadata=True) if as_frame else table
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: pandas' own, of names and JSON in it
        raise UserError(f"{shown} is no Parquet file, or damaged ({_one_line(error)}); write it again.") from None


def _time_column(header: list[str]) -> list[int]:
    return [i for i, name in enumerate(header) if name.lower() == "time"][:1]


def _of_columns(columns: list[np.ndarray], timed: bool, shown: Path, row: str, first: int) -> Signal:
    rate = _rate_of(columns.pop(), shown, row, first) if timed else None
    return Signal(np.stack(columns, 1), rate, ("",) * len(columns), row, first)


def _rate_of(time: np.ndarray, shown: Path, row: str, first: int) -> float:
    """Samples a second of times in seconds that have to be equally spaced; it or its step is rounded to six digits."""
    if len(time) < 2:
        raise UserError(f"{shown}: its one row says no rate; take the column time out and give the rate.")
    step = np.diff(time)
    usual = np.median(step[np.isfinite(step)]) if np.isfinite(step).any() else np.nan
    for is_fault, what in (
        (~np.isfinite(step), "is missing"),
        (step <= 0, "does not increase"),
        (np.abs(step - usual) > SAME_STEP * usual, f"does not step by {usual:.6g} s as elsewhere"),
    ):
        if is_fault.any():
            at = int(np.argmax(is_fault)) + first + int(np.isfinite(time[np.argmax(is_fault)]))
            raise UserError(
                f"{shown}, {row} {at}: its time {what}; write a row for each sample, or take the column out and give "
                "the rate."
            )
    rate = (len(time) - 1) / (time[-1] - time[0])
    return min(float(f"{rate:.6g}"), 1 / float(f"{1 / rate:.6g}"), key=lambda rounded: abs(rounded - rate))


# ----------------------------------------------------------------------------------------------------------- WFDB


def _wfdb(path: Path, shown: Path, channels: tuple[str, ...]) -> Signal:
    import wfdb

    lines = [line.split() for line in content_of(path, shown).decode("latin-1").splitlines()]
    lines = [line for line in lines if line and not line[0].startswith("#")][1:]  # of the signals
    for name in dict.fromkeys(line[0] for line in lines):
        if os.path.lexists(path.parent / name):  # wfdb waits at a pipe for ever
            content_of(path.parent / name, shown.parent / name, 1)
    stem, record, physical, why = str(path.with_suffix("")), None, None, ""
    try:  # the header once more only where this fails: wfdb takes 10 ms to parse one
        record = wfdb.rdrecord(stem, physical=False, smooth_frames=False, m2s=False)
        physical = record.dac(expanded=True)
    except Exception as error:  # wfdb raises whatever its parser stumbles over
        why = _one_line(error)
    header = _wfdb_header(stem, shown) if record is None else record
    if isinstance(header, wfdb.MultiRecord):
        raise UserError(f"{shown} is a record of several segments; write each as a record of its own.")
    columns = _pick(channels, [(name or "").strip() for name in header.sig_name or [""]], shown)
    _check_wfdb_files(path, shown, header)
    if any(header.samps_per_frame[i] != 1 for i in columns):
        raise UserError(f"{shown}: its channels have several samples a frame; write them at one rate, one a frame.")
    if physical is None:
        raise UserError(f"{shown}: its signals cannot be read ({why}); write them again.")
    given = any(record.checksum or [])  # many headers hold zeros in place of checksums, or nothing
    for i, name in zip(columns, channels, strict=True):
        _check_gain(lines[i], f"{shown}: channel {name}")
        if given and record.init_value[i] not in (None, record.e_d_signal[i][0]):
            raise UserError(
                f"{shown}: channel {name} does not begin as its header says; get or write the record again."
            )
        difference = int(record.e_d_signal[i].sum(dtype=np.int64)) - int(record.checksum[i] or 0)
        if given and difference % 65536:
            raise UserError(f"{shown}: channel {name} does not match its checksum; get or write the record again.")
    units = tuple(record.units[i] or "" for i in columns)
    return Signal(np.stack([physical[i] for i in columns], 1), float(record.fs), units)


def _check_gain(line: list[str], what: str) -> None:
    """Raise UserError for a gain of which wfdb makes 200, or a number, and a baseline that is none of 32 bits."""
    said = re.fullmatch(r"([-+.\deE]*)(?:\((-?\d+)\))?(?:/.*)?", line[2] if len(line) > 2 else "", re.ASCII)
    try:
        gain = float(said[1])
    except (TypeError, ValueError):
        gain = 0.0
    if not is_positive(gain) or abs(int(said[2] or 0)) >= 2**31:
        raise UserError(
            f"{what} has gain and baseline '{' '.join(line[2:3])}' in its header where units of the converter are "
            "needed that make one of its unit, above 0; correct the header."
        )


def _wfdb_header(stem: str, shown: Path) -> Any:
    import wfdb

    try:
        return wfdb.rdheader(stem)
    except Exception as error:
        raise UserError(f"{shown} is no readable WFDB header ({_one_line(error)}); write it again.") from None


def _check_wfdb_files(path: Path, shown: Path, header: Any) -> None:
    """Signal files are beside the header and, in formats that allow to tell, as large as it says."""
    for name in dict.fromkeys(header.file_name):  # no folders in it: wfdb refuses these
        content_of(path.parent / name, shown.parent / name, 1)
        mine = [i for i, file in enumerate(header.file_name) if file == name]
        if header.sig_len and all(header.fmt[i] in WFDB_BYTES for i in mine):
            samples = header.sig_len * sum(header.samps_per_frame[i] for i in mine)
            expected = samples * WFDB_BYTES[header.fmt[mine[0]]] + (header.byte_offset[mine[0]] or 0)
            if (size := (path.parent / name).stat().st_size) != expected:
                raise UserError(
                    f"{shown.parent / name} has {size:,} bytes where its header {path.name} says {expected:,}; "
                    "get or write the record again."
                )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:100]


# ------------------------------------------------------------------------------------------------------------ npz


def _npz(path: Path, channels: tuple[str, ...]) -> tuple[Reads, "pd.DataFrame | None"]:
    """The recordings of an .npz, and its table where it has `y` and `subject`, in the order of its recordings."""
    import pandas as pd

    arrays = _arrays(path)
    about = {name: arrays.pop(name) for name in ("channels", "rate", "y", "subject") if name in arrays}
    if "channels" not in about or about["channels"].ndim != 1:
        raise UserError(f"{path}: no `channels`; add the names of the columns as a list.")
    if "x" in arrays and arrays["x"].ndim == 3:
        x = arrays.pop("x")
        if arrays:
            raise UserError(f"{path} holds x and {listed(arrays)}; it should hold x or an array a recording, not both.")
        arrays = {str(i): signal for i, signal in enumerate(x)}
    if not arrays:
        raise UserError(f"{path} holds no recording; it should hold x (n, l, D), or an array (rows, D) a recording.")
    rate = None
    if "rate" in about:
        if about["rate"].size != 1:
            raise UserError(f"{path}: rate has shape {about['rate'].shape} where one number is needed.")
        rate = checked_rate(about["rate"].item(), f"{path}: rate")
    there = [str(name).strip() for name in about["channels"]] or [""]
    columns = _pick(channels, there, path)
    for name, array in arrays.items():
        if array.ndim != 2 or array.shape[1] != len(there) or not array.size:
            raise UserError(f"{path}: {name} has shape {array.shape} where (rows, {len(there)}) is needed.")
        if array.dtype.kind not in "fiu":
            raise UserError(f"{path}: {name} holds {array.dtype} where numbers are needed.")
    reads = {
        name_of(name): (f"{path}: {name}", lambda array=array: Signal(array[:, columns], rate, ("",) * len(columns)))
        for name, array in arrays.items()
    }
    if len(reads) < len(arrays):
        raise UserError(f"{path}: {doubled(map(name_of, arrays))} is the name of two recordings; rename one.")
    if "y" not in about or "subject" not in about:
        return reads, None
    for name in ("y", "subject"):
        if about[name].shape != (len(reads),):
            raise UserError(f"{path}: {name} has shape {about[name].shape} where ({len(reads)},) is needed.")
    labels = [text_of(value) for value in about["y"]]
    return reads, pd.DataFrame({"recording": [*reads], "subject": about["subject"], "label": labels})


def _arrays(path: Path) -> dict[str, np.ndarray]:
    content_of(path, path, 1)
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no npz file, or damaged; write it again by numpy.savez.")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (*archives.DAMAGE, archives.REFUSAL, KeyError, SyntaxError, MemoryError) as error:
        if "allow_pickle" in str(error):
            raise UserError(f"{path} holds Python objects, which are not read; write numbers and text only.") from None
        raise UserError(f"{path} is no npz file, or damaged ({_one_line(error)}); write it again.") from None
