"""A user's own files -> recordings of rich and poor channels, each with label and subject, for notebook 12.

Files are read in `own_files`; here, the table of labels, and what is done with the recordings.
"""

import csv
import hashlib
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import UserError
from . import own_files as files
from .own_files import as_numbers, checked_rate, doubled, listed, name_of, text_of
from .text import LARGEST
from .windows import Ledger

if TYPE_CHECKING:
    import pandas as pd

UNLABELLED = ("", "na", "nan")  # what an empty field may be written as, in any case of letters
SAME_RATE = 0.001  # rates of recordings agree to 0.1 %
SAME_COUNT = 1e-6  # a count of samples is whole, for its size
CODE = re.compile(r"-?9{3,}(\.9+)?").fullmatch  # numbers that many write for missing ones
FAR = 1000  # times the range of all other values lies no value that was measured
LIKE_OTHERS = 100  # times more or less a channel spreads in a recording than in others, or its gain or unit is another


@dataclass(frozen=True)
class Own:
    """Recordings of a user, sorted by name, numbers in names as numbers."""

    signals: list[np.ndarray]  # of each recording (rows, D) float32, raw units, NaN where missing
    channels: tuple[str, ...]  # D names: the rich ones, then the poor ones that are not rich
    label: np.ndarray  # (R,) int64, index into classes; -1 where the table gives none
    subject: np.ndarray  # (R,) int64 where all ids are whole numbers, so that they sort as numbers, else str
    classes: tuple[str, ...]
    rate: float  # Hz, of every recording
    table: "pd.DataFrame"  # R rows of the table of labels; numbers where a column is all numbers
    ledger: Ledger
    units: tuple[str, ...]  # D units where the files say them (WFDB), else ''

    def require(self, subgroups: Iterable[str], positive: str = "") -> None:
        """Raise UserError where `clinical.subgroups` could not be made of these columns of the table, or `positive` is
        neither a class nor ''."""
        from ..clinical import parts_of  # slow to import

        for name in map(str, _names("subgroups", subgroups, "column", "['sex']")):
            if name not in self.table:
                there = files.hint(name, self.table, "its columns are")
                raise UserError(f"subgroups: the table has no column '{name}'; {there}")
            parts_of(self.table[name])
        if positive and positive not in self.classes:
            there = files.hint(str(positive), self.classes, "the classes are")
            raise UserError(f"positive is '{positive}', which is no class; {there}")

    def samples(self, name: str, seconds: float) -> int:
        """The samples in so many seconds, a whole number to 1e-6; UserError, which calls them `name`, where not."""
        count = seconds * self.rate if files.is_positive(seconds) else math.nan
        if not math.isfinite(count):
            raise UserError(f"{name} is {seconds!r} where seconds are needed, as a number above 0.")
        whole = round(count)
        if whole and abs(count - whole) <= SAME_COUNT * count:
            return whole
        if count < 1:
            raise UserError(
                f"{name} of {seconds:.10g} s is less than one sample at {self.rate:.10g} Hz; make it longer."
            )
        low, high = (f"{edge / self.rate:.10g}" for edge in (math.floor(count), math.ceil(count)))
        raise UserError(
            f"{name} of {seconds:.10g} s is no whole number of samples at {self.rate:.10g} Hz; use {low} or {high}."
        )


class _Row(NamedTuple):
    """What the table says of a recording: the row's index, who, and the class (-1 unlabelled)."""

    index: int
    who: int | str
    label: int


def read_own(
    signals: str | Path,
    labels: str | Path | None,
    rich: Iterable[str],
    poor: Iterable[str],
    classes: Mapping[str, Iterable] | Iterable,
    rate: float | None = None,
    recording: str = "recording",
    subject: str = "subject",
    label: str = "label",
    progress: Callable[[str], None] = print,
) -> Own:
    """Recordings of the channels `rich` and `poor`, each with the label and the subject that a table gives it.

    signals: a folder of .csv, .csv.gz or .parquet files (one a recording: named columns, a row a sample, empty where
    missing) or of WFDB records; a .zip or compressed .tar of such a folder; or one .npz with `channels` (D,) names and
    `x` (n, l, D), whose recordings are called 0 to n-1, or one array (rows, D) a recording under its name, and `rate`,
    `y`, `subject` if you like. Folders inside are searched too; what begins with a dot is passed over.

    labels: a .csv or .parquet table. Its columns `recording` (name of the file, with or without ending), `subject` and
    `label` may be called otherwise; `subject` may be the column of recordings, where each is of another person. An
    empty label, or NA, is an unlabelled recording. Recordings without a row are left out. None: an .npz says them by
    `y` (-1 or NaN: unlabelled) and `subject`.

    classes: {title: values of `label`}, or a list of values that are titles too. rate: Hz; not needed where the files
    say it: WFDB headers, .npz, or a column `time` in seconds in CSV and Parquet files, with steps equal to 1 %.

    Infinite values count as missing. Of people with the same signals the first is kept, a labelled one before others:
    one could train and another test. Everything removed or changed is in the ledger. Raises UserError, with file, line
    or row, for all that does not fit.
    """
    rich, poor = _channels("rich", rich), _channels("poor", poor)
    channels = tuple(dict.fromkeys(rich + poor))
    titles, class_of = _classes(classes)
    rate = checked_rate(rate, "rate")
    signals, labels = _path("signals", signals), _path("labels", labels) if labels else None
    shown, ledger = labels or signals, Ledger()
    frame, where = _table(labels) if labels else (None, [])
    with files.found(signals, labels, channels) as (reads, own_table):
        if frame is None:
            if own_table is None:
                raise UserError(f"{signals}: only an .npz with y and subject needs no table of labels; name the table.")
            frame, where = own_table, [f"row {i}" for i in range(len(own_table))]
            class_of = {"-1": -1} | class_of
            recording, subject, label = frame.columns
        rows = _rows(frame, where, (recording, subject, label), class_of, shown)
        names = sorted(reads.keys() & rows.keys(), key=as_numbers)
        if not names:
            raise UserError(
                f"{shown}: none of its recordings ({listed(rows)}) is in {signals} ({listed(reads)}); column "
                f"'{recording}' should hold the names of the files."
            )
        ledger.add("recordings found", records=len(reads))
        _note(ledger, "removed: not in the table of labels", records=len(names) - len(reads))
        _note(ledger, "rows of the table without a recording, not used", records=len(rows) - len(names))
        if own_table is not None and labels:
            ledger.add("y and subject of the .npz not used: the table says them", records=len(reads))
        kept, rate, units = _read_all({name: reads[name] for name in names}, channels, rate, ledger, progress)
    for d, channel in enumerate(channels):
        if all(np.isnan(values[:, d]).all() for values in kept.values()):
            raise UserError(f"{signals}: channel '{channel}' has no value in any recording; do not name it.")
    names = _without_twins(kept, rows, signals, ledger)
    rows = {name: rows[name] for name in names}
    _check_people_and_classes(rows, titles, shown, subject)
    frame = frame.iloc[[row.index for row in rows.values()]].reset_index(drop=True)
    own = Own(
        signals=[kept[name] for name in names],
        channels=channels,
        label=np.array([row.label for row in rows.values()], np.int64),
        subject=np.array([row.who for row in rows.values()]),
        classes=titles,
        rate=rate,
        table=_typed(frame, (recording, subject, label)),
        ledger=ledger,
        units=units,
    )
    _count(own)
    return own


# ---------------------------------------------------------------------------------------------------- parameters


def _path(what: str, path: Any) -> Path:
    if not isinstance(path, str | Path) or not str(path).strip():
        raise UserError(f"{what} is {path!r} where the name of a file or folder is needed.")
    return Path(path).expanduser()


def _names(what: str, names: Iterable[str], kind: str, example: str) -> list[str]:
    """A list of names, each there once."""
    if isinstance(names, str | Mapping) or not isinstance(names, Iterable):
        raise UserError(f"{what} is {names!r} where a list of {kind} names is needed, as {example}.")
    names = list(names)
    if twice := doubled(map(text_of, names)):
        raise UserError(f"{what} names the {kind} '{twice}' twice; name it once.")
    return names


def _channels(what: str, names: Iterable[str]) -> tuple[str, ...]:
    texts = tuple(map(text_of, _names(what, names, "channel", "['I', 'II']")))
    if not texts or "" in texts:
        raise UserError(f"{what} names no channel, or an empty one; list the channels as ['I', 'II'].")
    if any(name.lower() == "time" for name in texts):
        raise UserError(f"{what} names 'time', which is no channel: it says when a row was measured; take it out.")
    return texts


def _classes(classes: Mapping[str, Iterable] | Iterable) -> tuple[tuple[str, ...], dict[str, int]]:
    """Titles, and the class of each value of the label."""
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        raise UserError(f"classes is {classes!r} where a list of label values, or {{title: [values]}}, is needed.")
    pairs = list(classes.items()) if isinstance(classes, Mapping) else [(c, c) for c in classes]
    titles = tuple(text_of(title) for title, _ in pairs)
    class_of: dict[str, int] = {}
    for i, (title, values) in enumerate(pairs):
        values = list(values) if isinstance(values, list | tuple | set) else [values]
        if truths := [value for value in (title, *values) if isinstance(value, bool | np.bool_)]:
            raise UserError(
                f"classes: {truths[0]} is no text; quote titles and label values, as 'yes', 'no', 'True' or 'False' "
                "(YAML reads yes and no without quotes as True and False)."
            )
        texts = [text_of(value) for value in values]
        if not titles[i] or not texts or "" in texts:
            raise UserError(f"classes: '{titles[i]}' has no title, no value of the label, or an empty one; list them.")
        for text in texts:
            if class_of.setdefault(text, i) != i:
                raise UserError(f"classes: the label value '{text}' is there for two classes; leave it in one.")
    if len(titles) < 2 or doubled(titles):
        raise UserError(f"classes are {listed(titles) or 'none'}; name two at least, all different.")
    return titles, class_of


# --------------------------------------------------------------------------------------------- the table of labels


def _table(path: Path) -> tuple["pd.DataFrame", list[str]]:
    """The table, as text where it is a CSV, and where each row stands in it."""
    import pandas as pd

    if not path.name.lower().endswith((".csv", ".csv.gz", ".parquet")):
        files.content_of(path, path, 1)  # first: whether it is there
        raise UserError(f"{path}: a table of labels is a .csv or .parquet file; save it as one.")
    if path.name.lower().endswith(".parquet"):
        frame = files.parquet_table(path, path, as_frame=True)
        where = [f"row {i}" for i in range(1, len(frame) + 1)]
        header = [str(name) for name in frame.columns]
    else:
        reader = csv.reader(io.StringIO(files.utf8(files.csv_text(path, path), path), newline=""), strict=True)
        try:
            lines = [(f"line {reader.line_num}", row) for row in reader if row]
        except csv.Error as error:
            raise UserError(
                f"{path}, line {reader.line_num}: it cannot be read as CSV ({error}); correct it."
            ) from None
        header = [name.strip() for name in lines[0][1]] if lines else []
        for line, row in lines:
            if len(row) != len(header):
                raise UserError(f"{path}, {line}: {len(row)} values where the header names {len(header)}; correct it.")
        where, frame = [line for line, _ in lines[1:]], pd.DataFrame([row for _, row in lines[1:]], columns=header)
    if twice := doubled(header):
        raise UserError(f"{path}: '{twice}' is the name of two columns; rename one.")
    if not where:
        raise UserError(f"{path} has no rows; it should hold one for each recording.")
    return frame.set_axis(header, axis=1), where


def _rows(
    frame: "pd.DataFrame", where: list[str], columns: tuple[str, str, str], class_of: dict[str, int], shown: Path
) -> dict[str, _Row]:
    """What the table says of each recording, by name; `columns` are those of recording, subject and label."""
    for column in columns:
        if column not in frame:
            files.refuse_separator(list(frame), shown)
            raise UserError(f"{shown}: no column '{column}'; {files.hint(column, frame, 'its columns are')}")
    recording, people, labels = ([text_of(value) for value in frame[column]] for column in columns)
    whole = all(who.isascii() and who.isdecimal() and len(who) < 19 for who in people)
    rows: dict[str, _Row] = {}
    for i, (file, who, label) in enumerate(zip(recording, people, labels, strict=True)):
        name, at = name_of(file), f"{shown}, {where[i]}"
        if not name or who.lower() in UNLABELLED:
            raise UserError(
                f"{at}: its {columns[1] if name else columns[0]} is empty; fill it in, or take the row out."
            )
        if name in rows:
            raise UserError(f"{at}: recording '{name}' is in {where[rows[name].index]} too; keep one of them.")
        if label not in class_of and label.lower() not in UNLABELLED:
            raise UserError(
                f"{at}: label '{label}' is in no class ({listed(class_of)}); name it in classes, empty the field if it "
                "is unknown, or take the row out."
            )
        rows[name] = _Row(i, int(who) if whole else who, class_of.get(label, -1))
    return rows


def _typed(frame: "pd.DataFrame", as_they_are: tuple[str, ...]) -> "pd.DataFrame":
    """Columns of text that are numbers, or empty, as numbers."""
    import pandas as pd

    changed = {}
    for name in frame.columns.difference(as_they_are):
        if not pd.api.types.is_numeric_dtype(frame[name]):
            text = frame[name].map(text_of)
            text = text.mask(text.str.lower().isin(UNLABELLED), None)
            number = pd.to_numeric(text, errors="coerce")
            changed[name] = number if (number.isna() == text.isna()).all() else text
    return frame.assign(**changed)


# -------------------------------------------------------------------------------------------------- the recordings


def _read_all(
    reads: files.Reads, channels: tuple[str, ...], rate: float | None, ledger: Ledger, progress: Callable[[str], None]
) -> tuple[dict[str, np.ndarray], float, tuple[str, ...]]:
    """Signal of each recording in which anything was measured; the rate and the units, in which all agree."""
    kept, where, rates, units, infinite = {}, {}, [], (), 0
    for done, (name, (shown, read)) in enumerate(reads.items(), 1):
        signal = read()
        values, count = _float32(signal, channels, shown)
        infinite += count
        if signal.rate is None and rate is None:
            raise UserError(f"{shown} does not say its rate; give `rate` in Hz, or a column `time` in seconds.")
        rates.append(rate if signal.rate is None else signal.rate)
        said = rate or rates[0]
        if abs(rates[-1] - said) > SAME_RATE * said:
            other = "`rate`" if rate else next(iter(reads.values()))[0]
            raise UserError(
                f"{shown}: {rates[-1]:g} Hz where {other} says {said:g}; correct the rate, or resample all to one."
            )
        units = units or signal.units
        if differ := [i for i, unit in enumerate(signal.units) if unit != units[i]]:
            unit, other, name = (of[differ[0]] or "no unit" for of in (signal.units, units, channels))
            raise UserError(f"{shown}: channel '{name}' is in {unit} where others are in {other}; convert it.")
        if not np.isnan(values).all():
            kept[name], where[name] = values, (shown, signal.row, signal.first)
        if done % 500 == 0 or done == len(reads):
            progress(f"  {done:,} of {len(reads):,} recordings read")
    for d, channel in enumerate(channels):
        _refuse_codes({name: values[:, d] for name, values in kept.items()}, channel, where)
    _note(ledger, "removed: without a value in any channel", records=len(kept) - len(reads))
    _note(ledger, "infinite values, counted as missing", values=infinite)
    return kept, rate or float(np.median(rates)), units


def _float32(signal: files.Signal, channels: tuple[str, ...], shown: str) -> tuple[np.ndarray, int]:
    """Values as float32, infinite ones as NaN, and how many these are."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(signal.values, np.float32)
    infinite = np.isinf(values)
    if (huge := infinite & np.isfinite(signal.values)).any():
        row, channel = np.argwhere(huge)[0]
        raise UserError(
            f"{shown}, {signal.row} {row + signal.first}: {signal.values[row, channel]:g} in '{channels[channel]}' is "
            f"beyond {LARGEST:.2g}, the largest number of 32 bits; correct it, or leave it empty if it is missing."
        )
    values[infinite] = np.nan
    return values, int(infinite.sum())


def _refuse_codes(columns: dict[str, np.ndarray], channel: str, where: dict[str, tuple[str, str, int]]) -> None:
    """Raise UserError where the lowest or the highest value of a channel stands for a missing one, as -9999 may: it
    would be the mean and the deviation of the channel. `where` says file, row, and number of the first row."""
    values = np.concatenate([*columns.values()]) if columns else np.empty(0)
    for end in {np.fmin.reduce(values, initial=np.inf), np.fmax.reduce(values, initial=-np.inf)}:
        others = values[(values != end) & ~np.isnan(values)]
        if not len(others):
            continue
        low, high = float(others.min()), float(others.max())
        gap = max(low - float(end), float(end) - high)
        if gap > (1 if CODE(f"{end:.7g}") else FAR) * (high - low) and high > low:
            name = next(name for name, column in columns.items() if (column == end).any())
            shown, row, first = where[name]
            raise UserError(
                f"{shown}, {row} {int((columns[name] == end).argmax()) + first}: {end:.7g} in '{channel}', there "
                f"{(values == end).sum():,} times, is far from all others, {low:.7g} to {high:.7g}; correct it, or "
                "leave it empty if it is missing."
            )


def _without_twins(kept: dict[str, np.ndarray], rows: dict[str, _Row], shown: Path, ledger: Ledger) -> list[str]:
    """The recordings but those that equal another person's byte for byte."""
    first: dict[bytes, str] = {}
    twins = set()
    for name in sorted(kept, key=lambda name: rows[name].label < 0):  # of equal ones, a labelled one stays
        sum_of = hashlib.sha256(str(kept[name].shape).encode() + kept[name].tobytes()).digest()
        other = first.setdefault(sum_of, name)
        if rows[name].label not in (-1, rows[other].label):
            raise UserError(f"{shown}: {other} and {name} hold the same signals and different labels; correct one.")
        if rows[name].who != rows[other].who:
            twins.add(name)
    _note(ledger, "removed: the same signals as another person's", records=-len(twins))
    return [name for name in kept if name not in twins]


def _check_people_and_classes(rows: dict[str, _Row], titles: tuple[str, ...], shown: Path, subject: str) -> None:
    if len({row.who for row in rows.values()}) < 2:
        raise UserError(
            f"{shown}: all {len(rows)} recordings are of one subject; training and test need several people (is "
            f"'{subject}' the column that says who?)."
        )
    there = {row.label for row in rows.values()}
    if without := [title for i, title in enumerate(titles) if i not in there]:
        raise UserError(f"{shown}: no recording is of class '{without[0]}'; correct its values in classes, or drop it.")


def _note(ledger: Ledger, step: str, **counts: int) -> None:
    """A line of the ledger where there is anything to count."""
    if any(counts.values()):
        ledger.add(step, **counts)


def _count(own: Own) -> None:
    """What came out, as the last lines of the ledger."""
    samples, people = sum(map(len, own.signals)), len(np.unique(own.subject))
    own.ledger.add("recordings kept", rows=samples, records=len(own.signals), subjects=people)
    for i, title in [*enumerate(own.classes), (-1, "unlabelled")]:
        of_class = own.label == i
        _note(own.ledger, f"- {title}", records=of_class.sum(), subjects=len(np.unique(own.subject[of_class])))
    _note(own.ledger, "missing values in these", values=sum(np.isnan(signal).sum() for signal in own.signals))
    spread = np.stack([np.fmax.reduce(s) - np.fmin.reduce(s) for s in own.signals])  # fmax and fmin pass over NaN
    _note(own.ledger, "channels of a recording that never change, kept", channels=(spread == 0).sum())
    usual = np.array([np.median(column[column > 0]) if (column > 0).any() else 0 for column in spread.T])
    unlike = (spread > 0) & ((spread > LIKE_OTHERS * usual) | (spread < usual / LIKE_OTHERS))
    step = f"recordings with a channel of {LIKE_OTHERS} times or 1 / {LIKE_OTHERS} the usual range (wrong gain, unit?)"
    _note(own.ledger, step, records=unlike.any(1).sum())
