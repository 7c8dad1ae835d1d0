"""A student to ship: one trained model with all that is needed to use it, in memory and as a folder.

The folder holds `weights.safetensors`, `student.json` (everything else that using it takes) and `README.md`, its model
card. Shapes: w windows of l samples, d channels, M segments, C classes.
"""

import copy
import difflib
import json
import math
import os
import platform
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from importlib import metadata
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as from_bytes
from safetensors.torch import save as to_bytes

from . import __version__
from .data.spec import Size, Spec
from .data.windows import Windows, standardise
from .errors import UserError
from .files import DIGEST, digest_of, replace_folder, sum_of
from .model_card import card
from .models import RCNN
from .paper import title_of
from .training import Fitted

FORMAT = 2  # of student.json; raised by whoever changes its fields
OLDER = (1,)  # formats that are read as well: the same fields, but nothing tells whether one was changed
WEIGHTS, ABOUT, CARD = "weights.safetensors", "student.json", "README.md"
AGAIN = "copy the folder again, or save the student again"
AT_ONCE = 512  # windows in one pass of the model: bounds memory
FAR = 20  # standard deviations from the training data's mean: half a channel beyond is in another unit
SMALL = 300  # times less than in training: a channel that varies so little, near 0, is in another unit (V for mV)
RATES_APART = 100  # times, of two rates in Hz; more is a slip (kHz, a period in place of a rate)


@dataclass(frozen=True)
class Prediction:
    """What a student says of a recording, window by window."""

    start: np.ndarray  # (w,) of each window, in seconds from the beginning of the recording
    probability: np.ndarray  # (w, C) at temperature 1
    attention: np.ndarray  # (w, M) of each window's segments
    mean: np.ndarray  # (C,) mean of the windows' probabilities


@dataclass(frozen=True)
class Student:
    """A trained model with all that is needed to use it; no teacher, no data.

    `spec` is the student's own: its channels are those that the model sees, in order, and both its sizes the model's.
    mean and std (d,) float32 standardise; `rate` is in Hz; `units` has one name a channel, "" where unknown; `about`
    holds the fields of FIELDS that say where it comes from. Raises UserError where these do not fit together.
    """

    model: RCNN
    spec: Spec
    view: str  # of the data set, that it was trained on
    mean: np.ndarray
    std: np.ndarray
    rate: float
    units: tuple[str, ...]
    about: dict

    def __post_init__(self) -> None:
        fault = _fault(self.fields())
        if broken := [name for name, tensor in self.weights().items() if not tensor.isfinite().all()]:
            fault = f"its weights {broken[0]} hold NaN or infinity; train it again"
        if fault:
            raise UserError(f"student of {self.spec.title}: {fault}.")
        self.model.eval()  # no dropout

    @classmethod
    def of(
        cls,
        fitted: Fitted,
        windows: Windows,
        rate: float,
        units: str | Sequence[str] = "",
        about: dict | None = None,
    ) -> "Student":
        """The student in a trained member, of the windows it was trained on; the model is copied, in float32.

        rate: of the windows, in Hz. units: one for all channels, or one a channel; "" for unknown. about: `scores`, by
        name, {"roc_auc": {"score": 0.9, "low": 0.8, "high": 0.95}}, of this model on its own test part, None where
        there is no number; `counts`, as `Split.counts` (without it, of training and validation); `use`, what it is
        meant for; `notes`, its limits, a sentence each. The other fields of FIELDS are filled in here.
        """
        old, view, member = windows.spec, windows.view, fitted.member
        about = _plain(_origin(fitted, windows) | (about or {}))
        size, rate = old.size(view), _number(rate)
        same = {name: getattr(old, name) for name in SAME}
        title, channels = old.view_titles[view], windows.channels
        spec = _own_spec(
            **same, view=view, view_title=title, rate=rate, channels=channels, filters=size.filters, hidden=size.hidden
        )
        model = copy.deepcopy(fitted.model).float().cpu()
        model.phantom = None  # never used, and only there to be counted
        mean, std = (np.asarray(array, np.float32) for array in (member.mean, member.std))
        units = tuple(_several("" if units is None else units, len(channels), "units"))
        return cls(model, spec, view, mean, std, rate, units, about)

    def __repr__(self) -> str:
        about = self.about
        return (
            f"Student({self.spec.title}, view {self.view}: {title_of(about['method'])}, seed {about['seed']}; "
            f"{_names(self.channels)} at {self.rate:g} Hz)"
        )

    @property
    def channels(self) -> tuple[str, ...]:
        return self.spec.channels

    def weights(self) -> dict[str, torch.Tensor]:
        """The model's tensors by name."""
        return self.model.state_dict()

    def fields(self) -> dict:
        """What student.json holds, but for the sums over the weights and over itself."""
        spec, size = self.spec, self.spec.size(self.view)
        own = {
            **{name: getattr(spec, name) for name in (*SAME, "channels")},
            "view_title": spec.view_titles[self.view],
            "filters": size.filters,
            "hidden": size.hidden,
            **{name: getattr(self, name) for name in ("view", "rate", "units")},
        }
        own = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
        numbers = {name: np.asarray(getattr(self, name)).tolist() for name in ("mean", "std")}
        return {"format": FORMAT, **own, **numbers, **self.about}

    def json(self) -> str:
        """The text of student.json, a line a field."""
        fields = {**self.fields(), "weights_sha256": sum_of(self.packed())}
        fields |= {DIGEST: digest_of(fields)}
        lines = (f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items())
        return "{\n" + ",\n".join(lines) + "\n}\n"

    def packed(self) -> bytes:
        """The bytes of weights.safetensors."""
        return to_bytes({name: tensor.contiguous() for name, tensor in self.weights().items()})

    def save(self, folder: str | Path) -> None:
        """Write the student's folder whole or not at all; a student that is there already is replaced.

        Raises UserError where `folder` is a file or holds anything else, or cannot be written.
        """
        folder = Path(os.path.realpath(_folder(folder)))
        if folder.is_file():
            raise UserError(f"{folder} is a file; name a folder for the student.")
        with replace_folder(folder, over=True) as temporary:
            there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
            if other := [name for name in there if name not in (WEIGHTS, ABOUT, CARD) and not name.endswith(".onnx")]:
                raise UserError(f"{folder} holds '{other[0]}', which is no part of a student; name another folder.")
            (temporary / WEIGHTS).write_bytes(self.packed())
            (temporary / ABOUT).write_text(self.json(), encoding="utf-8")
            (temporary / CARD).write_text(card(self), encoding="utf-8")

    # ------------------------------------------------------------------------------------------------- using it

    def outputs(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability (n, C) and attention (n, M), float64, of windows x (n, l, d) in raw units at the student's rate.

        NaN where nothing was measured. Raises UserError where x has another shape or holds no numbers.
        """
        x, expected = _numbers(x, "x"), (self.spec.length, len(self.channels))
        if x.ndim != 3 or x.shape[1:] != expected:
            raise UserError(f"x has shape {x.shape}; it should be (windows, {expected[0]}, {expected[1]}).")
        found = np.zeros((len(x), len(self.spec.classes))), np.zeros((len(x), self.spec.segments))
        with torch.no_grad():
            for first in range(0, len(x), AT_ONCE):
                part = slice(first, first + AT_ONCE)
                log_a, logits = self.model(torch.from_numpy(standardise(_float32(x[part]), self.mean, self.std)))
                found[0][part], found[1][part] = logits.double().softmax(-1), log_a.double().exp()
        return found

    def predict(
        self,
        signal: np.ndarray,
        rate: float | None = None,
        channels: str | Sequence[str] | None = None,
        units: str | Sequence[str] | None = None,
    ) -> Prediction:
        """What the student says of a recording: signal (rows, d) of numbers, or (rows,) of one channel; NaN is missing.

        rate: of the signal, in Hz; without it, the student's own. At another rate it is resampled, see `resample`.
        channels: names of the columns, where known (a data frame says its own); they should be the student's, in its
        order. units: one for all, or one a channel; where both sides name one, they should be the same.

        Windows begin every `hop` samples from the first on; what is left over at the end is not used. Raises UserError
        for a signal of another form, of other channels or units, too short, without any value of a channel, with more
        than half of a channel beyond FAR standard deviations of the training data, or with a channel that varies, but
        over SMALL times less than the training data and as near to 0 as they would be in a unit so much larger.
        """
        if channels is None and all(isinstance(name, str) for name in getattr(signal, "columns", [0])):
            channels = list(signal.columns)
        x = self._recording(signal)
        self._require_channels(channels)
        self._require_units(units)
        ratio, length, hop = self._ratio(rate), self.spec.length, self.spec.hop
        if math.ceil(len(x) * ratio) < length:
            raise UserError(
                f"the signal has {len(x):,} rows, and one window of {length / self.rate:g} seconds needs "
                f"{math.floor((length - 1) / ratio) + 1:,} at {float(self.rate / ratio):g} Hz; give a longer one."
            )
        self._require_range(x)
        windows = np.lib.stride_tricks.sliding_window_view(resample(x, ratio), length, axis=0)[::hop]  # no copy
        probability, attention = self.outputs(windows.swapaxes(1, 2))
        return Prediction(np.arange(len(windows)) * hop / self.rate, probability, attention, probability.mean(0))

    def _recording(self, signal: np.ndarray) -> np.ndarray:
        """The signal as (rows, d) float32, NaN where nothing was measured."""
        signal, d = _numbers(signal, "the signal"), len(self.channels)
        if signal.ndim == 1 and d == 1:
            signal = signal[:, None]
        if signal.ndim != 2:
            instead = "; windows go to `outputs`" if signal.ndim == 3 else ""
            raise UserError(f"the signal has shape {signal.shape}; it should be (rows, {d} channels){instead}.")
        if not len(signal):
            raise UserError("the signal is empty; give a recording as long as one window at least.")
        if signal.shape[1] != d:
            turned = "; transpose it" if signal.shape[0] == d else ""
            raise UserError(
                f"the signal has {signal.shape[1]:,} columns where this student needs {d}, "
                f"{_names(self.channels)}{turned}."
            )
        x = _float32(signal)
        if np.isinf(x).sum() > np.isinf(signal).sum():
            raise UserError("the signal holds numbers beyond float32's 3.4e38; give it in the training data's units.")
        return np.where(np.isfinite(x), x, np.float32(np.nan))

    def _require_channels(self, names: str | Sequence[str] | None) -> None:
        if names is None:
            return
        names, own = _several(names, 1, "channels"), self.channels
        if unknown := [name for name in names if name not in own]:
            close = difflib.get_close_matches(str(unknown[0]), own, 1, 0.5)
            hint = f"did you mean '{close[0]}'? It" if close else "it"
            raise UserError(f"this student has no channel '{unknown[0]}'; {hint} needs {_names(own)}.")
        if sorted(names) != sorted(own):
            raise UserError(f"the channels given are {_names(names)}; this student needs {_names(own)}.")
        if tuple(names) != own:
            raise UserError(f"the channels are in another order than this student's; bring them into {_names(own)}.")

    def _require_units(self, units: str | Sequence[str] | None) -> None:
        given = _several("" if units is None else units, len(self.channels), "units")
        if len(given) != len(self.channels) or not all(isinstance(unit, str) for unit in given):
            raise UserError(f"units are {units!r}; give one, or one for each of the {len(self.channels)} channels.")
        for channel, unit, own in zip(self.channels, given, self.units, strict=True):
            if unit and own and _unit(unit) != _unit(own):
                raise UserError(f"channel '{channel}' is in {unit} where this student needs {own}; convert it.")

    def _ratio(self, rate: float | None) -> Fraction:
        """Samples of the student's for each of the signal's."""
        value = self.rate if rate is None else _number(rate)
        if not _positive(value):
            raise UserError(f"rate is {rate!r}; it should be the signal's sampling rate in Hz, a number above 0.")
        ratio = Fraction(self.rate) / Fraction(value)
        if not Fraction(1, RATES_APART) <= ratio <= RATES_APART:
            raise UserError(
                f"rate is {value:g} Hz and the student's is {self.rate:g} Hz, more than {RATES_APART} times apart; say "
                "it in Hz."
            )
        return ratio.limit_denominator(10_000)  # off by 1 part in 10,000 at most

    def _require_range(self, x: np.ndarray) -> None:
        for channel, values, mean, std, unit in zip(self.channels, x.T, self.mean, self.std, self.units, strict=True):
            values = values[np.isfinite(values)].astype(np.float64)
            if not len(values):
                raise UserError(f"channel '{channel}' is missing throughout the signal; give a recording that has it.")
            far = (np.abs(values - mean) > FAR * std).mean() > 0.5
            # A steady channel, at the level that it had in training, is none of these.
            near_0 = np.median(np.abs(values)) * SMALL < abs(mean) + FAR * std
            if far or (near_0 and np.ptp(values) > 0 and values.std() * SMALL < std):
                raise UserError(
                    f"channel '{channel}' has a median of {np.median(values):.4g} and a deviation of "
                    f"{values.std():.4g} where the training data had a mean of {mean:.4g} and a deviation of {std:.4g} "
                    f"({unit or 'unit unknown'}); is it in another unit?"
                )


def resample(x: np.ndarray, ratio: Fraction) -> np.ndarray:
    """Signal x (rows, d) float32 with `ratio` samples for each of its own: (ceil(rows * ratio), d) float32.

    By `scipy.signal.resample_poly`: a polyphase FIR low-pass (Kaiser window, beta 5) that cuts at half the lower of
    both rates, so that nothing folds back (no aliasing). Beyond its ends the signal is taken to go on as the line
    through them. Missing values (NaN) are interpolated for the filter and put back: a sample is missing where nothing
    was measured within half a step, the longer of the old and the new (after the last row, where that is missing). A
    higher rate adds no information.
    """
    if ratio == 1:
        return x
    from scipy.signal import resample_poly  # slow to import

    rows, measured = np.arange(len(x)), np.isfinite(x)
    filled = np.zeros(x.shape)
    for column, values, there in zip(filled.T, x.T, measured.T, strict=True):
        if there.any():
            column[:] = np.interp(rows, rows[there], values[there])
    out = resample_poly(filled, ratio.numerator, ratio.denominator, axis=0, padtype="line")
    position, half = np.arange(len(out)) / float(ratio), max(1, 1 / float(ratio)) / 2  # in steps of x
    low = np.clip(np.ceil(position - half - 1e-9), 0, len(x) - 1).astype(int)
    high = np.clip(np.floor(position + half + 1e-9), 0, len(x) - 1).astype(int)
    upto = np.concatenate([np.zeros((1, x.shape[1]), int), measured.cumsum(0)])  # measured rows above each
    out[upto[high + 1] == upto[low]] = np.nan
    return out.astype(np.float32)


# ------------------------------------------------------------------------------------------------------ reading


def load_student(folder: str | Path) -> Student:
    """The student in a folder that `Student.save` wrote.

    Raises UserError where the folder or a file of it is missing, a field of student.json is missing, unknown, changed
    since or not what it should be, the format is another version's, or the weights are damaged or another model's.
    """
    folder = _folder(folder)
    if not folder.is_dir():
        raise UserError(
            f"no student at {folder}: {'that is a file' if folder.exists() else 'there is no such folder'}."
        )
    fields, weights = _read_fields(folder / ABOUT), _read(folder / WEIGHTS)
    if sum_of(weights) != fields.pop("weights_sha256"):
        raise UserError(f"{folder / WEIGHTS} is not the file that {ABOUT} was written with (other SHA-256); {AGAIN}.")
    try:
        spec = _own_spec(**{name: fields[name] for name in OF_SPEC})
        model = _model(spec, fields["view"], weights)
        mean, std = (_float32(np.array(fields[name])) for name in ("mean", "std"))
        about = {name: fields[name] for name in fields if name in ORIGIN}
        return Student(model, spec, fields["view"], mean, std, fields["rate"], tuple(fields["units"]), about)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from None


def _folder(name: str | Path) -> Path:
    if not isinstance(name, str | os.PathLike) or not str(name).strip():
        raise UserError(f"the folder is {name!r}; name the one of the student.")
    return Path(name)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}); {AGAIN}.") from None


def _read_fields(path: Path) -> dict:
    """The fields of student.json, each what it should be."""
    try:
        fields = json.loads(_read(path).decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable as JSON ({error}); {AGAIN}.") from None
    if not isinstance(fields, dict) or "format" not in fields:
        raise UserError(f"{path} is no student's: it does not say its format; name a folder that `Student.save` wrote.")
    if fields["format"] not in (FORMAT, *OLDER):
        raise UserError(
            f"{path} is of format {repr(fields['format'])[:20]}, and rdpd_nb {__version__} reads format {FORMAT}; use "
            "the version that wrote it, or save the student again."
        )
    if not isinstance(fields.get("weights_sha256"), str):
        raise UserError(f"{path}: weights_sha256 is missing or no text; {AGAIN}.")
    digest = fields.pop(DIGEST, None) if fields["format"] == FORMAT else digest_of(fields)
    if fault := _fault({name: value for name, value in fields.items() if name != "weights_sha256"}):
        raise UserError(f"{path}: {fault}.")
    if digest != digest_of(fields):
        raise UserError(f"{path} was changed after it was written (its {DIGEST} is another's); {AGAIN}.")
    return fields


def _model(spec: Spec, view: str, weights: bytes) -> RCNN:
    """The model of that spec with these weights, which should be all of its tensors and no others."""
    try:
        tensors = from_bytes(weights)
    except SafetensorError as error:
        raise UserError(f"{WEIGHTS} is not readable as safetensors ({error}); {AGAIN}.") from None
    with torch.device("meta"):  # nothing is allocated before the shapes are known to be right
        model = RCNN(spec, view)
    wanted = model.state_dict()
    if differ := sorted(set(wanted) ^ set(tensors)):
        how = "lacks" if differ[0] in wanted else "holds, beyond what the model has,"
        raise UserError(f"{WEIGHTS} {how} the tensor '{differ[0]}'; {AGAIN}.")
    for name, tensor in wanted.items():
        if (found := tensors[name]).shape != tensor.shape or found.dtype != torch.float32:
            raise UserError(
                f"{WEIGHTS}: tensor '{name}' is {tuple(found.shape)} {found.dtype} where, by {ABOUT}, "
                f"{tuple(tensor.shape)} torch.float32 is needed; {AGAIN}."
            )
    model.load_state_dict(tensors, assign=True)
    return model


# ---------------------------------------------------------------------------------------------------- its fields

SAME = ("name", "title", "classes", "length", "segment", "hop", "kernel", "stride", "temperature")  # as the data set's
OF_SPEC = (*SAME, "channels", "view", "view_title", "rate", "filters", "hidden")


def _own_spec(
    *, view: str, view_title: str, rate: float, channels: Sequence[str], filters: Sequence[int], hidden: int, **same
) -> Spec:
    """A spec in which the student's channels are all there are, and its size is the only one."""
    views = {name: tuple(range(len(channels))) for name in ("all", view)}
    size = Size(tuple(filters), hidden)
    same["classes"] = tuple(same["classes"])
    return Spec(
        **same,
        channels=tuple(channels),
        rate=f"{rate} Hz",
        units="",
        views=views,
        view_titles=dict.fromkeys(views, view_title),
        teacher=size,
        student=size,
        split="random",
    )


def _origin(fitted: Fitted, windows: Windows) -> dict:
    """The fields that say where a student comes from, as far as its training knows them."""
    parts = {"train": fitted.member.train, "validation": fitted.member.validation}
    who = {part: np.unique(windows.subject[index]) for part, index in parts.items()}
    packages = {name: metadata.version(name) for name in ("torch", "numpy")}
    return {
        "method": fitted.member.method,
        "seed": fitted.member.seed,
        "best_epoch": fitted.best_epoch,
        "source": windows.source,
        "fingerprint": windows.fingerprint,
        "protocol": {name: str(value) for name, value in asdict(windows.protocol).items()},
        "counts": {
            "windows": {part: len(index) for part, index in parts.items()},
            "blocks" if windows.subjects_are_blocks else "subjects": {part: len(ids) for part, ids in who.items()},
        },
        "scores": {},
        "use": "",
        "notes": [],
        "versions": {"rdpd_nb": __version__, "python": platform.python_version(), **packages},
    }


def _real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _positive(value: object) -> bool:
    return _real(value) and value > 0


def _whole(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _string(value: object) -> bool:
    return isinstance(value, str)


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _list(entry: Callable[[object], bool], least: int = 1) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and len(value) >= least and all(map(entry, value))


def _dict(entry: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(entry, value.values()))


def _score(value: object) -> bool:
    numbers = _dict(lambda number: number is None or _real(number))
    return numbers(value) and set(value) == {"score", "low", "high"}


_COUNT = _whole(0, 2**63)
_SIZE = (_whole(1, 10**6), "a whole number from 1 to 1,000,000")
_TEXT, _TEXTS = (_text, "a text"), (_list(_text), "a list of texts")
# Where a student comes from: its `about`.
ORIGIN = {
    "method": _TEXT,
    "seed": (_COUNT, "a whole number from 0"),
    "best_epoch": (_COUNT, "a whole number from 0"),
    "source": _TEXT,  # of the data: simulated, embedded, real
    "fingerprint": _TEXT,  # of the windows it was trained on
    "protocol": (_dict(_string), "texts by name"),
    "counts": (_dict(_dict(_COUNT)), "whole numbers by part, by name"),
    "scores": (_dict(_score), "by name, score, low and high: a number or null"),
    "use": (_string, "a text"),
    "notes": (_list(_text, 0), "a list of texts"),
    "versions": (_dict(_text), "texts by name"),
}
# The fields of student.json: what may stand there, and that in words.
FIELDS = {
    "format": _SIZE,
    "name": _TEXT,
    "title": _TEXT,
    "classes": _TEXTS,
    "length": _SIZE,  # of a window, in samples; so are segment, hop, kernel and stride
    "segment": _SIZE,
    "hop": _SIZE,
    "kernel": _SIZE,
    "stride": _SIZE,
    "temperature": (_positive, "a number above 0"),
    "channels": _TEXTS,
    "view": _TEXT,
    "view_title": _TEXT,
    "filters": (_list(_SIZE[0]), "a list of whole numbers from 1 to 1,000,000"),
    "hidden": _SIZE,
    "rate": (_positive, "the sampling rate in Hz, a number above 0,"),
    "units": (_list(_string), "a list of texts"),
    "mean": (_list(_real), "a list of numbers"),
    "std": (_list(_positive), "a list of numbers above 0"),
    **ORIGIN,
}


def _fault(fields: dict) -> str | None:
    """What is wrong with the fields of a student; None where each is what it should be."""
    if missing := [name for name in FIELDS if name not in fields]:
        return f"the field '{missing[0]}' is missing; save the student again"
    if unknown := [name for name in fields if name not in FIELDS]:
        return f"the field '{unknown[0]}' is unknown; a student has {', '.join(FIELDS)}"
    for name, (may_be, words) in FIELDS.items():
        if not may_be(fields[name]):
            return f"{name} is {repr(fields[name])[:60]} where {words} should be"
    d = len(fields["channels"])
    for name in ("units", "mean", "std"):
        if len(fields[name]) != d:
            return f"{name} has {len(fields[name])} entries and there are {d} channels; give one for each"
    return None


def _plain(about: dict) -> dict:
    """`about` as it will be when it has been written and read; NumPy's numbers become Python's."""
    try:
        return json.loads(json.dumps(about, allow_nan=False, default=lambda value: value.item()))
    except (TypeError, ValueError, AttributeError, RecursionError):
        raise UserError(
            "about holds something other than texts, finite numbers, lists and dicts; take it out."
        ) from None


def _number(value: object) -> object:
    """A number of any kind as a float; anything else as it is, for a check to refuse."""
    try:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else value
    except OverflowError:
        return value


def _several(value: object, count: int, what: str) -> list:
    """A list as it is, a text `count` times."""
    try:
        return [value] * count if isinstance(value, str) else list(value)
    except TypeError:
        raise UserError(f"{what} are {value!r}; give a list of texts.") from None


def _numbers(x: object, name: str) -> np.ndarray:
    try:
        x = np.asarray(x)
    except ValueError:
        raise UserError(f"{name} is ragged; its rows should be of one length.") from None
    if x.dtype.kind not in "fiub":
        raise UserError(f"{name} holds {x.dtype}; it should hold real numbers, NaN where nothing was measured.")
    return x


def _float32(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return x.astype(np.float32)


def _unit(name: str) -> str:
    return re.sub("[\u00b5\u03bc]", "u", name.strip())  # both signs that are used for micro


def _names(names: Sequence[str]) -> str:
    """Names for a message, the first twelve of many."""
    return ", ".join(map(str, names[:12])) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
