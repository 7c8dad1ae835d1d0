"""What each parameter of a notebook must be: a test, and the words of the message when it fails."""

import re
from collections.abc import Callable
from typing import Any

from .data import SOURCES, SPECS
from .paper import SWITCHES

Kinds = dict[str, tuple[Callable[[Any], bool], str]]

# More is a mistyped number, whose training nobody lives to see.
MOST_SEEDS, MOST_EPOCHS, MOST_UPDATES = 1000, 100_000, 10**9
_LONGEST = 1000  # characters of a text
_NO_TEXT = re.compile("[\0-\x1f\x7f\u2028\u2029\ud800-\udfff]")  # ends a line, or cannot be written or shown


def is_text(value: Any, pattern: str = ".*") -> bool:
    return (
        isinstance(value, str)
        and len(value) <= _LONGEST
        and not _NO_TEXT.search(value)
        and bool(re.fullmatch(pattern, value))
    )


def _is_path(value: Any, pattern: str = ".*") -> bool:
    """Whether a system can have such a name: each part is at most 255 bytes long."""
    return is_text(value, pattern) and all(len(part.encode()) < 256 for part in value.split("/"))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any, most: float = 1e300) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= most  # so not NaN


def _is_label(value: Any) -> bool:
    return is_text(value) or isinstance(value, bool) or _is_number(value)


def is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(of, value)) and len(set(value)) == len(value)


def _is_pair(value: Any) -> bool:
    return is_list(value, _is_int) and len(value) == 2


def _are_bounds(least: int, most: int) -> bool:
    return 0 <= least <= most and 0 < most <= MOST_UPDATES


def _are_labels(classes: dict | list) -> bool:
    """Whether what stands in the table for each class is a label, or a list of them."""
    each = classes.values() if isinstance(classes, dict) else classes
    return all(all(map(_is_label, own)) if isinstance(own, list) else _is_label(own) for own in each)


def _of_sensors() -> Kinds:
    """What the parameters of notebook 12 must be; what its files hold is checked where they are read."""
    names = dict.fromkeys(("rich", "poor"), "a list of different names of channels")
    names |= {"methods": "a list of methods, e.g. ['direct', 'rdpd']"}
    seconds = dict.fromkeys(("window", "hop", "segment"), "a number of seconds, above 0, up to a million")
    texts = {
        "title": "what the data are called",
        **dict.fromkeys(("recording", "subject", "label"), "the name of a column of the table of labels"),
        "ship": "one of the methods",
    }
    return {
        **{name: (lambda v: is_text(v, ".*\\S.*"), words) for name, words in texts.items()},
        **{name: (lambda v: is_list(v, is_text), words) for name, words in names.items()},
        **{name: (lambda v: _is_number(v, 1e6) and v > 0, words) for name, words in seconds.items()},
        "signals": (lambda v: _is_path(v, ".*\\S.*"), "a folder, an archive or an .npz file, as text"),
        "labels": (_is_path, "a .csv or .parquet file, as text, '' where an .npz holds y and subject"),
        "rate": (lambda v: _is_number(v, 1e9) and v >= 0, "a number of Hz, 0 where the files say it"),
        "classes": (
            lambda v: isinstance(v, dict | list) and len(v) > 1 and all(map(_is_label, v)) and _are_labels(v),
            "a dict of each class's title with its labels in the table, or a list of labels",
        ),
        "temperature": (lambda v: _is_number(v, 1000) and v >= 0.01, "a number from 0.01 to 1000"),
        "held_out": (lambda v: _is_number(v) and 0 < v < 0.5, "a number between 0 and 0.5"),
        "folds": (lambda v: isinstance(v, bool), "True or False"),
        "positive": (is_text, "the title of a class, '' for none"),
        "specificity": (lambda v: _is_number(v) and 0 < v < 1, "a number between 0 and 1"),
        "subgroups": (lambda v: v == [] or is_list(v, is_text), "a list of columns of the table of labels"),
    }


def _of_other_systems() -> Kinds:
    """What the parameters of notebooks 13 to 17 must be that the others do not have."""
    return {
        "task": (is_text, "the name of a task"),
        "temperatures": (
            lambda v: is_list(v, lambda t: _is_number(t, 1000) and t >= 0.01),
            "a list of different numbers from 0.01 to 1000",
        ),
        "alpha": (lambda v: _is_number(v) and 0 <= v <= 1, "a number from 0 to 1: the weight of the soft labels"),
        **dict.fromkeys(
            ("teacher_epochs", "adaptation_epochs"),
            (lambda v: _is_int(v) and 1 <= v <= MOST_EPOCHS, f"a whole number from 1 to {MOST_EPOCHS:,}"),
        ),
        "unlabelled": (
            lambda v: is_list(v, lambda u: _is_int(u) and 0 <= u <= 10**6),
            "a list of different whole numbers of rows a class, from 0",
        ),
        "shots": (
            lambda v: is_list(v, lambda k: _is_int(k) and 1 <= k <= 10**6),
            "a list of different whole numbers of rows a class, from 1",
        ),
        "sources": (lambda v: _is_int(v) and 1 <= v <= 5, "a whole number of sources, from 1 to 5"),
        "C": (lambda v: _is_number(v, 1e9) and v >= 1e-9, "a number from 1e-9 to 1e9"),
        "scenarios": (
            lambda v: isinstance(v, list) and all(map(_is_pair, v)) and is_list([tuple(pair) for pair in v], bool),
            "a list of different pairs [source, target] of people or other domains, e.g. [[2, 11], [7, 13]]",
        ),
        "alternatives": (
            lambda v: v == [] or is_list(v, is_text),
            "a list of names from the table of alternatives in notebook 16, [] for none",
        ),
    }


def _of_small_series() -> Kinds:
    """What the parameters of notebook 14 must be that no other has."""
    series = ("mackey_glass", "pm25_a", "pm25_b")
    draws = (lambda v: _is_int(v) and 6 <= v <= MOST_SEEDS, f"a whole number from 6 to {MOST_SEEDS:,}")
    return {
        "draws": draws,
        "draws_of_choices": draws,
        "imitation": (
            lambda v: is_list(v, lambda share: _is_number(share) and 0 <= share <= 1),
            "a list of different numbers from 0 to 1",
        ),
        "teacher_steps": (
            lambda v: (
                isinstance(v, dict)
                and set(v) == set(series)
                and all(is_list(steps, lambda step: _is_int(step) and 1 <= step <= 1000) for steps in v.values())
            ),
            f"a dict that gives each of {', '.join(series)} a list of different steps after t, e.g. [5, 10]",
        ),
        "teacher_reads_now": (lambda v: isinstance(v, bool), "True or False"),
        "strength": (lambda v: _is_number(v, 1e6) and v >= 1e-6, "a number from 0.000001 to 1,000,000"),
        "choose": (
            lambda v: v in ("accuracy", "accuracy_last", "loss"),
            "'accuracy' (of equal ones the first), 'accuracy_last' (the last) or 'loss'",
        ),
        "sampling": (lambda v: _is_number(v, 50) and v >= 0.1, "a number of units of time from 0.1 to 50"),
        "pm25_rows": (lambda v: v in ("random", "spaced", "block"), "'random', 'spaced' or 'block'"),
        "pm25_hours": (lambda v: _is_int(v) and 1 <= v <= 48, "a whole number of hours from 1 to 48"),
    }


# What each parameter must be: a test, and the words of the message when it fails.
KINDS: Kinds = (
    {
        "dataset": (lambda v: v in SPECS, f"one of {', '.join(SPECS)}"),
        "datasets": (
            lambda v: (
                isinstance(v, dict) and bool(v) and all(d in SPECS and isinstance(own, dict) for d, own in v.items())
            ),
            f"a dict that gives each data set, of {', '.join(SPECS)}, its own settings",
        ),
        "view": (is_text, "the name of a view"),
        "profile": (lambda v: is_text(v, "[A-Za-z0-9_-]{1,100}"), "a name of letters and digits, at most 100"),
        "source": (lambda v: v in SOURCES, f"one of {', '.join(map(repr, SOURCES))}"),
        "raw": (_is_path, "a folder, as text ('' means $RDPD_RAW or data/raw)"),
        "scale": (lambda v: _is_number(v) and 0 <= v <= 1, "a number from 0 (smallest) to 1 (paper-sized)"),
        "seeds": (
            lambda v: is_list(v, lambda s: _is_int(s) and 0 <= s < 2**32) and len(v) <= MOST_SEEDS,
            f"a list of different whole numbers from 0 (to 2^32), at most {MOST_SEEDS:,} of them",
        ),
        "epochs": (lambda v: _is_int(v) and 1 <= v <= MOST_EPOCHS, f"a whole number from 1 to {MOST_EPOCHS:,}"),
        "device": (lambda v: is_text(v, r"auto|cpu|cuda(:\d{1,2})?"), "'auto', 'cpu' or 'cuda'"),
        "results": (lambda v: _is_path(v, ".+"), "a folder, as text"),
        "fractions": (
            lambda v: is_list(v, lambda f: _is_number(f) and 0 < f <= 1),
            "a list of different numbers above 0, up to 1",
        ),
        "amplitudes": (
            lambda v: is_list(v, lambda a: _is_number(a) and 0 <= a <= 1000),
            "a list of different numbers from 0 to 1000",
        ),
        "noise_kind": (lambda v: v in ("normal", "uniform"), "'normal' or 'uniform'"),
        "fraction_of": (lambda v: v in ("rich", "both"), "'rich' or 'both'"),
        "patience": (
            lambda v: _is_int(v) and 0 <= v <= MOST_EPOCHS,
            f"a whole number of epochs, at most {MOST_EPOCHS:,} (0: never stop early)",
        ),
        "updates": (
            lambda v: v == [] or (isinstance(v, list) and len(v) == 2 and all(map(_is_int, v)) and _are_bounds(*v)),
            "[] or [least, most], the bounds of a training in steps of Adam (to 10^9), e.g. [1000, 20000]",
        ),
        "labelled": (
            lambda v: _is_number(v) and 0 < v <= 1,
            "a number above 0, up to 1: the fraction of the training people whose windows have a label",
        ),
        "switches": (
            lambda v: isinstance(v, dict) and all(v[name] in SWITCHES[name] for name in v),
            "a dict of switches of paper.Protocol with values (notebook 11 lists them), e.g. {'batch_order': 'once'}",
        ),
    }
    | _of_sensors()
    | _of_other_systems()
    | _of_small_series()
)
# What papermill's -p can give; of all others it makes a text, whatever they should be.
TEXTS = (
    *("dataset", "view", "profile", "source", "raw", "device", "results", "noise_kind", "fraction_of", "task"),
    *("title", "recording", "subject", "label", "ship", "signals", "labels", "positive", "choose", "pm25_rows"),
)
