"""A user's own arrays -> windows of the rich channels and of the poor ones, row for row of the same instants.

Shapes: n recordings (or windows), rows of one, D rich and d poor channels.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import UserError
from .spec import Size, Spec
from .windows import Ledger, Recordings, Windows, fingerprint

# From so many samples a segment on: kernel, stride, convolutions; as the paper has them for segments of 12, 64 and 500.
BY_SEGMENT = ((288, 32, 8, 2), (96, 16, 4, 2), (16, 8, 4, 1), (4, 4, 2, 1))
FILTERS = {"teacher": (64, 128), "student": (16, 32)}  # of the first and, where there is one, the second convolution
HIDDEN = {"teacher": 32, "student": 8}
PARTS = 3  # people of a class: one to train on, one to validate, one to test


def sizes(segment: int) -> dict[str, Any]:
    """Kernel, stride, teacher and student as the paper sizes them, by the number of samples a segment."""
    for least, kernel, stride, convolutions in BY_SEGMENT:
        if segment >= least:
            size = {role: Size(FILTERS[role][:convolutions], HIDDEN[role]) for role in FILTERS}
            return {"kernel": kernel, "stride": stride, **size}
    raise UserError(f"a segment of {segment} samples is too short: use {BY_SEGMENT[-1][0]} at least.")


def pair(
    x_rich: Any,
    x_poor: Any,
    y: Sequence,
    subject: Sequence,
    *,
    classes: Sequence[str],
    rate: float,
    segment: int,
    length: int | None = None,
    hop: int | None = None,
    rich_channels: Sequence[str] | None = None,
    poor_channels: Sequence[str] | None = None,
    units: str = "",
    temperature: float = 5.0,
    split: str = "random",
    held_out: float = 0.2,
    title: str = "own data",
    **own_sizes: Any,
) -> tuple[Windows, Windows]:
    """Windows of the rich channels (view 'all') and of the poor ones (view 'poor'); arguments as `study.fit_students`.

    Both have one fingerprint, so that what a teacher says of the first is known of the second. Raises UserError, in one
    sentence, for whatever does not fit.
    """
    if not isinstance(title, str) or not title.strip():
        raise UserError(f"title is {title!r}; it should be what the data are called.")
    if not isinstance(units, str):
        raise UserError(f"units is {units!r}; it should be the unit of the poor channels, as text, '' where unknown.")
    rich_channels = _columns_of(x_rich, "x_rich") if rich_channels is None else rich_channels
    poor_channels = _columns_of(x_poor, "x_poor") if poor_channels is None else poor_channels
    rich = _signals(x_rich, "x_rich")
    rich_names = _names(rich_channels, rich[0].shape[1], "rich")
    if _is_text(x_poor):
        if poor_channels is not None:
            raise UserError("x_poor names channels already; leave out poor_channels.")
        poor, poor_names = _columns(rich, rich_names, x_poor, rich_channels is None), tuple(x_poor)
    else:
        poor = _signals(x_poor, "x_poor")
        poor_names = _names(poor_channels, poor[0].shape[1], "poor")
    _require_pairs(rich, poor, rich_names, poor_names)
    classes = _classes(classes)
    label, subject = _labels(y, classes, len(rich)), _subjects(subject, len(rich))
    _require_people(label, subject, classes, split)
    _require_different(rich, subject)
    rate = _number(rate, "rate", "the sampling rate in Hz")
    segment = _whole(segment, "segment", "the number of samples in a segment")
    if length is None and len({len(signal) for signal in rich}) > 1:
        raise UserError("recordings differ in length; say `length` and `hop`, the samples of a window and to the next.")
    length = len(rich[0]) if length is None else _whole(length, "length", "the number of samples in a window")
    hop = length if hop is None else _whole(hop, "hop", "the number of samples from one window to the next")
    _require_segments(length, segment)
    for role in ("teacher", "student"):
        size = own_sizes.get(role)
        if size is not None and not (isinstance(size, Size) and isinstance(size.filters, tuple)):
            raise UserError(f"{role} is {size!r}; it should be a Size, e.g. Size((16, 32), 8) of rdpd_nb.data.spec.")
    for name in {"kernel", "stride"} & set(own_sizes):
        own_sizes[name] = _whole(own_sizes[name], name, "a number of samples")
    temperature, held_out = _number(temperature, "temperature", "T"), _number(held_out, "held_out", "a share")
    shape = {"length": length, "segment": segment, "hop": hop, **sizes(segment), **own_sizes}
    shared = {"rate": f"{rate:g} Hz", "units": units, "classes": classes, "temperature": temperature, "split": split}
    windows = []
    for view, signals, names in (("all", rich, rich_names), ("poor", poor, poor_names)):
        views = {name: tuple(range(len(names))) for name in ("all", "poor")}
        titles = {"all": "rich channels", "poor": "poor channels"}
        spec = Spec("own", title, channels=names, views=views, view_titles=titles, held_out=held_out, **shared, **shape)
        ledger = Ledger()
        ledger.add("recordings", records=len(rich), subjects=len(np.unique(subject)), unlabelled=(label < 0).sum())
        short = sum(len(signal) < length for signal in signals)
        ledger.add(f"shorter than a window of {length} samples", records=-short)
        recordings = Recordings.join(signals, subject, label, ledger=ledger)
        windows.append(Windows.from_recordings(spec, recordings, view=view))
    both = fingerprint(*(of.fingerprint for of in windows))
    return replace(windows[0], fingerprint=both), replace(windows[1], fingerprint=both)


def _is_text(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(v, str) for v in value)


def _are_names(value: Any) -> bool:
    """Whether it is a list of different names, none of them empty; a set has no order, so that it is none."""
    return _is_text(value) and all(v.strip() for v in value) and len(set(value)) == len(value)


# -------------------------------------------------------------------------------------------------------- signals


def _signals(x: Any, name: str) -> list[np.ndarray]:
    """Each recording as (rows, channels) float32, NaN where nothing was measured."""
    if not isinstance(x, list | tuple) and (hasattr(x, "columns") or not hasattr(x, "__array__")):
        what = "one table" if hasattr(x, "columns") else "text" if isinstance(x, str) else type(x).__name__
        raise UserError(f"{name} is {what}; give an array (windows, samples, channels) or a list of (rows, channels).")
    try:
        x = list(x) if isinstance(x, list | tuple) else np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:  # the last: a tensor that wants its gradient
        raise UserError(f"{name} cannot be read as arrays ({str(error).splitlines()[0]}).") from None
    if not isinstance(x, list) and x.dtype != object:
        if x.ndim == 2 and name == "x_poor":  # (windows, samples) of one channel
            x = x[..., None]
        if x.ndim != 3:
            raise UserError(
                f"{name} has shape {x.shape}; it should be (windows, samples, channels), or a list of recordings "
                "(rows, channels)."
            )
    signals = [_signal(one, f"recording {i} of {name}") for i, one in enumerate(x)]
    if not signals:
        raise UserError(f"{name} is empty; give recordings of {PARTS} people at least.")
    widths = [signal.shape[1] for signal in signals]
    if len(set(widths)) > 1:
        other = next(i for i, width in enumerate(widths) if width != widths[0])
        raise UserError(f"recording {other} of {name} has {widths[other]} channels and recording 0 has {widths[0]}.")
    for channel in range(widths[0]):
        if not any(np.isfinite(signal[:, channel]).any() for signal in signals):
            raise UserError(f"channel {channel} of {name} has no value in any recording; leave it out.")
    return signals


def _signal(one: Any, what: str) -> np.ndarray:
    try:
        one = np.asarray(one)
        found = one.astype(np.float64) if one.dtype.kind in "fiubO" else None
    except (TypeError, ValueError, RuntimeError):
        found = None
    if found is None or np.iscomplexobj(one):
        kind = getattr(one, "dtype", type(one).__name__)
        raise UserError(f"{what} holds {kind} where numbers are needed, NaN where one is missing.")
    if found.ndim == 1:
        found = found[:, None]
    if found.ndim != 2 or not found.size:
        raise UserError(f"{what} has shape {one.shape}; it should be (rows, channels), with a row at least.")
    with np.errstate(over="ignore"):
        signal = found.astype(np.float32)
    if np.isinf(signal).any():
        row, channel = np.argwhere(np.isinf(signal))[0]
        raise UserError(f"{what} holds {found[row, channel]:g} in row {row}, channel {channel}; write NaN for missing.")
    return signal


def _columns(rich: list[np.ndarray], names: Sequence[str], wanted: Sequence[str], unnamed: bool) -> list[np.ndarray]:
    """The channels `wanted` of the rich ones."""
    if unnamed:
        raise UserError("x_poor names channels; say rich_channels too, the names of those of x_rich in order.")
    if unknown := [name for name in wanted if name not in names]:
        raise UserError(f"x_poor names '{unknown[0]}', which x_rich has not; it has {', '.join(names)}.")
    if len(set(wanted)) < len(wanted):
        raise UserError("x_poor names a channel twice.")
    columns = [list(names).index(name) for name in wanted]
    return [np.ascontiguousarray(signal[:, columns]) for signal in rich]


def _columns_of(x: Any, name: str) -> list[str] | None:
    """What a list of data frames calls its columns, where it is one; all should have the same in the same order."""
    if not isinstance(x, list | tuple) or not x or not all(hasattr(one, "columns") for one in x):
        return None
    first = [str(column) for column in x[0].columns]
    for i, one in enumerate(x):
        if [str(column) for column in one.columns] != first:
            raise UserError(
                f"recording {i} of {name} has columns {', '.join(map(str, one.columns))} and recording 0 has "
                f"{', '.join(first)}; bring them into one order."
            )
    return first


def _names(names: Sequence[str] | None, count: int, side: str) -> tuple[str, ...]:
    """Names of the channels of one side: those given, else numbered."""
    if names is None:
        return tuple(f"{side} {i}" for i in range(count))
    if not _are_names(names) or len(names) != count:
        raise UserError(
            f"{side}_channels is {names!r}; it should give the {count} channels of x_{side} different names."
        )
    return tuple(names)


def _require_pairs(
    rich: list[np.ndarray], poor: list[np.ndarray], rich_names: Sequence[str], poor_names: Sequence[str]
) -> None:
    """Both sides have the same recordings, in the same order, sampled at the same instants."""
    if len(rich) != len(poor):
        raise UserError(f"x_rich has {len(rich)} recordings and x_poor {len(poor)}; they should be pairs.")
    for i, (one, other) in enumerate(zip(rich, poor, strict=True)):
        if len(one) != len(other):
            raise UserError(
                f"recording {i} has {len(one):,} rows in x_rich and {len(other):,} in x_poor; both need a row for the "
                "same instants: resample one to the other's rate (or transpose both, if rows are channels)."
            )
    for name in set(rich_names) & set(poor_names):
        for i, (one, other) in enumerate(zip(rich, poor, strict=True)):
            both = one[:, list(rich_names).index(name)], other[:, list(poor_names).index(name)]
            if not np.array_equal(*both, equal_nan=True):
                raise UserError(
                    f"channel '{name}' of recording {i} differs between x_rich and x_poor; are they in the same order? "
                    "A channel of another sensor needs another name."
                )


def _require_different(signals: list[np.ndarray], subject: np.ndarray) -> None:
    """No recording is there twice under two subjects: one would train and the other test."""
    first: dict[bytes, int] = {}
    for i, signal in enumerate(signals):
        values = signal[np.isfinite(signal)]
        if len(values) and values.min() < values.max():  # not of one value throughout
            other = first.setdefault(hashlib.sha256(np.ascontiguousarray(signal)).digest(), i)
            if subject[other] != subject[i]:
                raise UserError(
                    f"recordings {other} and {i} hold the same signals, of subjects {subject[other]} and {subject[i]}: "
                    "one might train and the other test; leave one out."
                )


# --------------------------------------------------------------------------------------------- labels and subjects


def _classes(classes: Sequence[str]) -> tuple[str, ...]:
    if not _are_names(classes) or len(classes) < 2:
        raise UserError(f"classes is {classes!r}; it should be a list of the classes' names, two at least, in order.")
    return tuple(classes)


def _labels(y: Sequence, classes: tuple[str, ...], count: int) -> np.ndarray:
    """Index of each recording's class (n,), -1 where there is none (None, NaN)."""
    y = _entries(y, "y", count, "label")
    missing = np.array([_is_missing(value) for value in y])
    given = [value for value, gone in zip(y, missing, strict=True) if not gone]
    if not given:
        raise UserError("y holds no label at all; a teacher needs some.")
    if all(isinstance(value, str) for value in given):
        if unknown := [value for value in given if value not in classes]:
            raise UserError(f"y holds '{unknown[0]}', which is no class; classes are {', '.join(classes)}.")
        given = [classes.index(value) for value in given]
    try:
        found = np.array(given, np.float64)
    except (TypeError, ValueError):
        raise UserError(f"y holds {given[0]!r} where numbers from 0 or names of classes are needed.") from None
    top = len(classes) - 1
    if (found % 1 != 0).any():
        raise UserError(f"y holds {found[found % 1 != 0][0]:g}; labels are whole numbers from 0 to {top}.")
    low, high = int(found.min()), int(found.max())
    if low < 0 or high > top:
        hint = "; subtract 1" if (low, high) == (1, top + 1) else ""
        hint = "; None or NaN stands for a missing label" if low == -1 else hint
        raise UserError(f"labels run from {low} to {high}, but {top + 1} classes are 0 to {top}{hint}.")
    label = np.full(count, -1)
    label[~missing] = found.astype(int)
    if absent := [name for c, name in enumerate(classes) if c not in label]:
        raise UserError(f"no recording is of class '{absent[0]}'; leave it out of classes, or add some.")
    return label


def _subjects(subject: Sequence, count: int) -> np.ndarray:
    """Whole numbers or names (n,); numbers written as text count as numbers."""
    subject = _entries(subject, "subject", count, "subject")
    for i, value in enumerate(subject):
        if _is_missing(value) or value == "":
            raise UserError(f"recording {i} has no subject; without one nobody can tell who trains and who tests.")
    subject = [value.strip() if isinstance(value, str) else value for value in subject]  # 'p0 ' and 'p0' are one
    if all(isinstance(value, str) for value in subject) and not all(value.isdecimal() for value in subject):
        return np.array(subject)
    try:
        found = np.array([float(value) for value in subject])
    except (TypeError, ValueError):
        raise UserError("subject mixes numbers and names; use one of them.") from None
    if (found % 1 != 0).any():
        raise UserError(f"subject holds {found[found % 1 != 0][0]:g}; subjects are whole numbers or names.")
    whole = [int(value) for value in subject]
    return np.array(whole if max(map(abs, whole)) < 2**62 else [str(value) for value in whole])


def _is_missing(value: Any) -> bool:
    """None, NaN, or pandas' NA, which is neither true nor false."""
    try:
        return value is None or bool(value != value)
    except (TypeError, ValueError):
        return True


def _entries(values: Sequence, name: str, count: int, of: str) -> list:
    if isinstance(values, str) or not hasattr(values, "__len__"):
        raise UserError(f"{name} is {values!r}; it should have one {of} a recording.")
    values = np.asarray(values, object) if isinstance(values, list | tuple) else np.asarray(values)
    if values.shape != (count,):
        raise UserError(f"{name} has shape {values.shape}; it should have one {of} for each of the {count} recordings.")
    return values.tolist()


def _require_people(label: np.ndarray, subject: np.ndarray, classes: tuple[str, ...], split: str) -> None:
    """Every class has enough people for all parts of a split."""
    least = PARTS if split == "random" else 2
    everyone = len(np.unique(subject[label >= 0]))
    if everyone < PARTS:
        raise UserError(f"labels are of {everyone} subject{'s' * (everyone > 1)}; {PARTS} at least are needed.")
    for c, name in enumerate(classes):
        people = len(np.unique(subject[label == c]))
        if people < least:
            parts = "one each to train, to validate and to test" if least == PARTS else "one to train and one to test"
            one = f"{people} subject{'s' * (people > 1)}"
            raise UserError(f"class '{name}' is of {one}, and {least} at least are needed, {parts}.")


# --------------------------------------------------------------------------------------------------------- numbers


def _number(value: Any, name: str, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
        raise UserError(f"{name} is {value!r}; it should be {what}, a number above 0.")
    return float(value)


def _whole(value: Any, name: str, what: str) -> int:
    if _number(value, name, what) % 1:
        raise UserError(f"{name} is {value!r}; it should be {what}, a whole number.")
    return int(value)


def _require_segments(length: int, segment: int) -> None:
    if length % segment:
        fit = [s for s in range(1, length + 1) if length % s == 0 and s >= BY_SEGMENT[-1][0]]
        near = sorted(sorted(fit, key=lambda s: abs(s - segment))[:2])
        hint = f"; {' or '.join(map(str, near))} would fit" if near else ""
        raise UserError(f"a window of {length} samples is no whole number of segments of {segment}{hint}.")
