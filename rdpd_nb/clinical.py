"""What a clinician would ask of a trained model: is its probability right, what does it find at a given rate of false
alarms, for whom does it work, is it worth acting on, and where did it look. Numbers and figures; nothing is trained.

probability (n, C) rows that sum to 1, y (n,) class indices, subject (n,) who each row is of: a row is a window, or a
person, as given. Of two classes all is about the positive one, 1; of more about `positive` against the rest. Whatever
does not fit is a `UserError`.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from numbers import Real
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from .errors import UserError
from .evaluation import RESAMPLED, people_resampled, scores
from .figures import COLOURS, MARKERS, WIDTH
from .paper import METRICS, title_of
from .statistics import LEVEL, people_interval

COOLEST, HOTTEST = 0.05, 20.0  # temperatures that are tried
DRAWS = 500  # of people, as `evaluation.people_resampled`
FEW_PEOPLE = 5  # fewer of a kind say nothing of others: no interval over people
FEW_VALUES = 5  # numbers with no more different values than these are not cut
MANY_VALUES = 20  # a column with more is no subgroup
ATTENTION = LinearSegmentedColormap.from_list("attention", ["white", COLOURS["kd"]])  # a black line reads on it
OTHER_COLOUR, OTHER_MARKERS = "#0072B2", "<>*h"  # of methods that the paper does not have
CALLED = "the class called"  # what `reliability` is about where no class is chosen


# --------------------------------------------------------------------------------------------------------- input


def _numbers(values: ArrayLike, what: str) -> np.ndarray:
    try:
        return np.asarray(values, float)
    except (TypeError, ValueError):
        raise UserError(f"{what} is no array of numbers; give one, all of its rows of one length.") from None


def _inside(value: float, low: float, high: float) -> bool:
    return isinstance(value, Real) and low < value < high


def _checked(probability: ArrayLike, y: ArrayLike, subject: ArrayLike, part: str = "") -> tuple:
    """probability (n, C) float64, y (n,) int64 and subject (n,), or a UserError; part: 'validation' or 'test'."""
    at = f"{part}: " if part else ""
    p, label, who = _numbers(probability, f"{at}probability"), _numbers(y, f"{at}y"), np.asarray(subject)
    if p.ndim != 2 or p.shape[1] < 2 or not len(p):
        fault = f"probability has the shape {p.shape}; give one row a window and one column a class: (n, C), C > 1"
    elif label.shape != p.shape[:1]:
        fault = f"y has the shape {label.shape}; give one class for each of the {len(p)} rows of probability"
    elif who.shape != label.shape:
        fault = f"subject has the shape {who.shape}; give one person for each of the {len(p)} rows of probability"
    elif len(bad := np.flatnonzero(~((p >= 0) & (p <= 1)).all(1))):
        fault = f"row {bad[0]} of probability is {p[bad[0]]}; give numbers from 0 to 1 (are they logits? use softmax)"
    elif len(bad := np.flatnonzero(np.abs(p.sum(1) - 1) > 1e-3)):
        fault = f"row {bad[0]} of probability sums to {p[bad[0]].sum():.4g}; give rows that sum to 1"
    elif len(bad := np.flatnonzero(~np.isin(label, range(p.shape[1])))):
        fault = f"row {bad[0]} of y is {label[bad[0]]:g}; give class indices from 0 to {p.shape[1] - 1}"
    elif len(bad := np.flatnonzero(pd.isna(who))):
        fault = f"row {bad[0]} of subject is empty; say who it is of"
    else:
        return p, label.astype(np.int64), who.astype(str) if who.dtype == object else who
    raise UserError(f"{at}{fault}.")


def _against_rest(p: np.ndarray, y: np.ndarray, positive: int | None, part: str = "", called: bool = False) -> tuple:
    """Probability (n,) and truth (n,) bool of one class, and its name; of the class called where none is chosen and
    `called` allows it: then the truth is whether that is right."""
    at, classes = f"{part}: " if part else "", p.shape[1]
    if positive is None and classes == 2:
        positive = 1
    if positive is None and called:
        return p.max(1), p.argmax(1) == y, CALLED
    if positive not in range(classes):
        raise UserError(f"{at}positive is {positive}; choose one of the {classes} classes, 0 to {classes - 1}.")
    truth = y == positive
    if truth.all() or not truth.any():
        share = "all" if truth.all() else "none"
        raise UserError(f"{at}{share} of the {len(y)} rows are of class {positive}; give rows of it and of others.")
    return p[:, int(positive)], truth, f"class {positive}"


def _wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share, by Wilson."""
    found = stats.binomtest(int(hits), int(of)).proportion_ci(LEVEL, "wilson")
    return float(found.low), float(found.high)


# --------------------------------------------------------------------------------------------------- calibration


def reliability(probability: ArrayLike, y: ArrayLike, bins: int = 10, positive: int | None = None) -> pd.DataFrame:
    """How often what is said with a probability is so: a row a bin, in [0, 1].

    Columns predicted (mean probability), observed (share), low and high (95 % Wilson interval of that share, as if rows
    were independent: windows of one person are not), count, and of (what it is about). Bins are of equal count, between
    quantiles; equal probabilities stay together, so that there may be fewer. With more than two classes and no
    `positive` it is about the class called: its probability, and whether it is right.
    """
    if not isinstance(bins, int | np.integer) or bins < 1:
        raise UserError(f"bins is {bins}; give a whole number from 1.")
    score, truth, of = _against_rest(*_checked(probability, y, y)[:2], positive, called=True)
    place = np.searchsorted(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]), score)  # (n,), as scikit-learn
    rows = []
    for here in (place == i for i in np.unique(place)):
        low, high = _wilson(truth[here].sum(), here.sum())
        rows.append((score[here].mean(), truth[here].mean(), low, high, int(here.sum()), of))
    return pd.DataFrame(rows, columns=["predicted", "observed", "low", "high", "count", "of"])


def _gap(table: pd.DataFrame) -> float:
    return float(np.average((table["predicted"] - table["observed"]).abs(), weights=table["count"]))


def ece(probability: ArrayLike, y: ArrayLike, bins: int = 10, positive: int | None = None) -> float:
    """Expected calibration error: the mean over rows of |predicted - observed| of their bin, as `reliability` has them.

    Of few rows it is above 0 even where every probability is right.
    """
    return _gap(reliability(probability, y, bins, positive))


def brier(probability: ArrayLike, y: ArrayLike, positive: int | None = None) -> float:
    """Brier score: mean squared error of one class's probability, in [0, 1]. With more than two classes and no
    `positive` the sum of it over all classes, in [0, 2], as Brier (1950)."""
    from sklearn.metrics import brier_score_loss  # slow to import

    p, label, _ = _checked(probability, y, y)
    if positive is None and p.shape[1] > 2:
        return float(((p - np.eye(p.shape[1])[label]) ** 2).sum(1).mean())
    score, truth, _ = _against_rest(p, label, positive)
    return float(brier_score_loss(truth, score))


def fit_temperature(log_probability: ArrayLike, y: ArrayLike) -> float:
    """The temperature T by which logits or log probabilities (n, C) of validation rows are divided so that the true
    classes y (n,) are the most likely (Guo et al., 2017), from COOLEST to HOTTEST; on these rows never worse than 1.

    1 where every row is right: then they do not say how often the model is wrong, and T would be 0.
    """
    logits = _numbers(log_probability, "validation: log_probability")
    if np.isnan(logits).any() or (logits == np.inf).any():
        raise UserError("validation: the logits hold NaN or inf; the model's training went wrong, train it again.")
    said = special.softmax(logits, -1) if logits.size else logits
    _, label, _ = _checked(said, y, y, "validation")
    if len(np.unique(label)) < 2:
        raise UserError(f"validation: all {len(label)} rows are of class {label[0]}; give rows of two or more classes.")
    if (logits.argmax(1) == label).all():
        return 1.0
    logits = np.maximum(logits - logits.max(1, keepdims=True), -700)  # a probability of 0 has a finite price

    def loss(log_t: float) -> float:
        return -float(special.log_softmax(logits / np.exp(log_t), 1)[np.arange(len(label)), label].mean())

    # Convex in 1 / T, so that there is one minimum.
    found = optimize.minimize_scalar(loss, bounds=np.log((COOLEST, HOTTEST)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x)) if found.fun < loss(0) else 1.0


def calibrated(probability: ArrayLike, temperature: float) -> np.ndarray:
    """probability (n, C) at another temperature: softmax(log probability / temperature), float64; ranks stay."""
    nobody = np.zeros(len(np.atleast_1d(_numbers(probability, "probability"))))
    p, *_ = _checked(probability, nobody, nobody)
    if not _inside(temperature, 0, np.inf):
        raise UserError(f"the temperature is {temperature}; give a positive number.")
    with np.errstate(divide="ignore"):  # 0 stays 0
        return special.softmax(np.log(p) / temperature, 1)


# --------------------------------------------------------------------------------------------- operating points


class OperatingPoint(NamedTuple):
    """A row is called positive where its probability is above the threshold.

    scores: rows sensitivity, specificity, ppv and npv (what is called positive or negative and is so); columns
    validation and test in [0, 1], low and high (95 % over people, of test), windows and people (the score is of).
    """

    threshold: float
    scores: pd.DataFrame


def operating_point(
    probability_validation: ArrayLike, y_validation: ArrayLike, probability_test: ArrayLike, y_test: ArrayLike,
    subject_test: ArrayLike, specificity: float = 0.9, positive: int | None = None,
) -> OperatingPoint:  # fmt: skip
    """The lowest threshold with that specificity on validation rows, and what it does on test rows.

    Intervals are percentiles over draws of test people, those of `evaluation.people_resampled`. A score of 0 or 1 is so
    in every draw: then Wilson's, of as many cases as people. NaN where the score is of under FEW_PEOPLE people.
    """
    if not _inside(specificity, 0, 1):
        raise UserError(f"specificity is {specificity}; give a number between 0 and 1, like 0.9.")
    p, y, _ = _checked(probability_validation, y_validation, y_validation, "validation")
    score, truth, _ = _against_rest(p, y, positive, "validation")
    # The lowest negative with at least that share of them at or below it; 0.07 * 100 is above 7 in floating point.
    threshold = float(np.quantile(score[~truth], specificity - 1e-12, method="inverted_cdf"))
    before = _kinds(score > threshold, truth)
    p, y, subject = _checked(probability_test, y_test, subject_test, "test")
    score, truth, _ = _against_rest(p, y, positive, "test")
    after = _kinds(score > threshold, truth)
    people, person = np.unique(subject, return_inverse=True)
    times = np.random.default_rng(0).multinomial(len(people), np.full(len(people), 1 / len(people)), DRAWS)
    rows = {name: (_share(*before[name]), *_share_over_people(*after[name], person, times)) for name in after}
    columns = ["validation", "test", "low", "high", "windows", "people"]
    return OperatingPoint(threshold, pd.DataFrame.from_dict(rows, orient="index", columns=columns))


def _kinds(called: np.ndarray, truth: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each score the rows it is of (n,) and those that are right (n,)."""
    right = called == truth
    of = {"sensitivity": truth, "specificity": ~truth, "ppv": called, "npv": ~called}
    return {name: (which, which & right) for name, which in of.items()}


def _share(which: np.ndarray, hit: np.ndarray) -> float:
    return float(hit.sum() / which.sum()) if which.any() else np.nan


def _share_over_people(which: np.ndarray, hit: np.ndarray, person: np.ndarray, times: np.ndarray) -> tuple:
    """Share, its interval, windows and people; person (n,) from 0, times (draws, people) each was drawn."""
    of, hits = (np.bincount(person[rows], minlength=times.shape[1]) for rows in (which, hit))
    share, people = _share(which, hit), int((of > 0).sum())
    if people < FEW_PEOPLE:
        interval = None
    elif share in (0, 1):
        interval = _wilson(share * people, people)
    else:
        with np.errstate(invalid="ignore"):  # draws without such a row
            interval = people_interval((times @ hits) / (times @ of))
    return share, *(interval or (np.nan, np.nan)), int(which.sum()), people


# ------------------------------------------------------------------------------------------------------ subgroups


def subgroups(
    probability: ArrayLike, y: ArrayLike, subject: ArrayLike, groups: pd.DataFrame,
    cuts: Mapping[str, Sequence[float]] | None = None, classes: Sequence[str] | None = None,
) -> pd.DataFrame:  # fmt: skip
    """The scores of `evaluation.scores` of all rows, then of those with each value of each column of groups (n rows).

    Numbers with more than FEW_VALUES values are cut at their median over rows, or where `cuts` says for the column:
    each cut belongs below. Empty and infinite ones are 'missing'. Columns of the result: column, value, windows,
    people, positive (share of class 1 where there are two), each score with its `_low` and `_high` (95 % over draws of
    people), and note. Without a row of some class there is no score, with under FEW_PEOPLE people of one no interval:
    the note says so, with the title of that class where `classes` has those of all C. PR-AUC and F1 rise with the
    positive share, so that groups of other shares compare by ROC-AUC.
    """
    p, label, who = _checked(probability, y, subject)
    titles = [f"class {c}" for c in range(p.shape[1])] if classes is None else classes
    if isinstance(titles, str) or len(titles) != p.shape[1]:
        raise UserError(f"classes are {classes!r}; give the titles of all {p.shape[1]} classes, in their order.")
    if not isinstance(groups, pd.DataFrame) or len(groups) != len(p):
        size = f"has {len(groups)} rows" if isinstance(groups, pd.DataFrame) else "is no data frame"
        raise UserError(f"groups {size}; give a data frame with one row for each of the {len(p)} rows of probability.")
    if not groups.columns.is_unique:
        raise UserError(f"groups has two columns '{groups.columns[groups.columns.duplicated()][0]}'; rename one.")
    if unknown := [column for column in cuts or () if column not in groups]:
        there = ", ".join(map(str, groups))
        raise UserError(f"cuts names '{unknown[0]}', which is no column of groups; its columns are {there}.")
    rows = [{"column": "all", "value": ""} | _scored(p, label, who, titles)]
    for column in groups:
        for value, there in parts_of(groups[column], (cuts or {}).get(column)).items():
            if there.any():
                rows.append({"column": column, "value": value} | _scored(p[there], label[there], who[there], titles))
    return pd.DataFrame(rows)


def parts_of(values: pd.Series, cuts: Sequence[float] | None = None) -> dict[str, np.ndarray]:
    """The rows (n,) bool of each subgroup that `subgroups` makes of a column, by its name; else UserError."""
    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values):
        number = values.to_numpy(float, na_value=np.nan)
        missing, different = ~np.isfinite(number), np.unique(number[np.isfinite(number)])
        if cuts is None and len(different) <= FEW_VALUES:
            parts = {f"{value:.10g}": number == value for value in different}
        else:
            own = cuts is None and [min(np.median(number[~missing]), different[-2])]  # two groups, none of them empty
            at = _numbers(own or cuts, f"cuts of '{values.name}'")
            if at.ndim != 1 or not len(at) or not np.isfinite(at).all() or (np.diff(at) <= 0).any():
                raise UserError(f"the cuts of '{values.name}' are {cuts}; give a list of numbers, each above the last.")
            between = (f"above {low:.10g}, to {high:.10g}" for low, high in pairwise(at))
            names = [f"to {at[0]:.10g}", *between, f"above {at[-1]:.10g}"]
            place = np.searchsorted(at, number)  # a cut itself belongs below
            parts = {name: (place == i) & ~missing for i, name in enumerate(names)}
    elif cuts is not None:
        raise UserError(f"cuts names '{values.name}', which does not hold numbers; leave it out of cuts.")
    else:
        text, missing = values.astype(str).to_numpy(object), (values.isna() | (values == "")).to_numpy(bool)
        if len(different := sorted(set(text[~missing]))) > MANY_VALUES:
            fault = f"column '{values.name}' has {len(different)} values, more than {MANY_VALUES}"
            raise UserError(f"{fault}; leave it out of `subgroups`.")
        parts = {value: (text == value) & ~missing for value in different}
    return parts | {"missing": missing | parts.get("missing", False)}


def _scored(p: np.ndarray, y: np.ndarray, subject: np.ndarray, titles: Sequence[str]) -> dict:
    """Counts, scores and intervals of some rows; titles of all classes."""
    classes = range(p.shape[1])
    people = [len(np.unique(subject[y == c])) for c in classes]
    rare = int(np.argmin(people))
    found = {"windows": len(y), "people": len(np.unique(subject))}
    if len(classes) == 2:
        found["positive"] = float(y.mean())
    values = scores(p, y) if people[rare] else {}
    draws = people_resampled([p], [y], [subject], DRAWS) if people[rare] >= FEW_PEOPLE else {}
    for name in RESAMPLED:
        low, high = (people_interval(draws[name]) if draws else None) or (np.nan, np.nan)
        found |= {name: values.get(name, np.nan), f"{name}_low": low, f"{name}_high": high}
    return found | {"note": f"too few of {titles[rare]}: {people[rare]} people" if people[rare] < FEW_PEOPLE else ""}


# ------------------------------------------------------------------------------------------------ decisions, cases


def decision_curve(
    probability: ArrayLike, y: ArrayLike, thresholds: ArrayLike | None = None, positive: int | None = None
) -> pd.DataFrame:
    """Net benefit of acting where the probability is at least the threshold (Vickers and Elkin, 2006), a row each.

    TP / n - FP / n * t / (1 - t): at t somebody finds one case missed as bad as (1 - t) / t false alarms. Columns
    threshold, model, all (acting on everybody) and none (0). thresholds in [0, 1), 0.01 to 0.99 where not given. It
    takes the probability at its word: of calibrated ones it says most.
    """
    score, truth, _ = _against_rest(*_checked(probability, y, y)[:2], positive)
    t = np.atleast_1d(np.arange(1, 100) / 100 if thresholds is None else _numbers(thresholds, "thresholds"))
    if t.ndim != 1 or not len(t) or not ((t >= 0) & (t < 1)).all():
        raise UserError("thresholds of a decision curve should be numbers from 0 to below 1; leave out the others.")
    act, odds = score >= t[:, None], t / (1 - t)
    model = (act & truth).mean(1) - (act & ~truth).mean(1) * odds
    everybody = truth.mean() - (~truth).mean() * odds
    return pd.DataFrame({"threshold": t, "model": model, "all": everybody, "none": 0.0})


def pick_cases(probability: ArrayLike, y: ArrayLike, subject: ArrayLike, count: int = 3) -> pd.DataFrame:
    """`count` right and as many wrong rows, the most certain, each of another person, the true classes in turn.

    Columns row (index into the arrays), subject, truth, called (the class of the largest probability), probability (of
    that class) and right. Wrong ones are picked first, being rarer; fewer where there are fewer people.
    """
    if not isinstance(count, int | np.integer) or count < 1:
        raise UserError(f"count is {count}; give a whole number of cases from 1.")
    p, label, who = _checked(probability, y, subject)
    rows = pd.DataFrame({"row": np.arange(len(p)), "subject": who, "truth": label, "called": p.argmax(1)})
    rows = rows.assign(probability=p.max(1), right=rows["truth"] == rows["called"])
    rows, picked = rows.sort_values("probability", ascending=False, kind="stable"), rows.iloc[:0]
    for right in (False, True):
        those = rows[(rows["right"] == right) & ~rows["subject"].isin(picked["subject"])].drop_duplicates("subject")
        turn = those.groupby("truth").cumcount().sort_values(kind="stable").index[:count]
        picked = pd.concat([those.loc[turn], picked])
    return picked.reset_index(drop=True)


# -------------------------------------------------------------------------------------------------------- figures


def draw_reliability(
    before: pd.DataFrame, after: pd.DataFrame | None = None, title: str = "", positive: str = ""
) -> Figure:
    """Tables of `reliability`, as trained and after temperature scaling, with Wilson's bars; positive: that class's
    title."""
    of, sizes = positive or before["of"].iloc[0], sorted(set(before["count"]))
    figure, axis = plt.subplots(figsize=(5.8, 5.4))
    axis.plot([0, 1], [0, 1], color="black", linestyle=":", linewidth=1, label="perfectly calibrated")
    for label, table, look in (("as trained", before, "kd"), ("after temperature scaling", after, "rdpd")):
        if table is not None:
            axis.vlines(table["predicted"], table["low"], table["high"], color=COLOURS[look], linewidth=1.2, alpha=0.7)
            axis.plot(table["predicted"], table["observed"], marker=MARKERS[look], color=COLOURS[look],
                      label=f"{label}: ECE {_gap(table):.3f}")  # fmt: skip
    axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel=f"mean predicted probability, {of}")
    axis.set_ylabel("share that is right" if of == CALLED else f"share that is {of}")
    axis.legend(loc="upper left")
    counts = " to ".join(str(n) for n in dict.fromkeys((sizes[0], sizes[-1])))
    figure.suptitle(f"{title}\n{len(before)} bins of {counts} rows; bars: 95 % interval (Wilson)".strip())
    return figure


def draw_decision_curve(curves: Mapping[str, pd.DataFrame], title: str = "", positive: str = "class 1") -> Figure:
    """Tables of `decision_curve` by method or spelled out terms, of the same rows and thresholds; positive: that
    class's title."""
    if not curves:
        raise UserError("there is no curve to draw; give one at least, by the name of its method.")
    figure, axis = plt.subplots(figsize=(WIDTH * 0.8, 4))
    first = next(iter(curves.values()))
    axis.plot(first["threshold"], first["all"], "--", color="black", linewidth=1, label="treat everybody as positive")
    axis.plot(first["threshold"], first["none"], ":", color="black", linewidth=1.5, label="treat nobody as positive")
    others = cycle(OTHER_MARKERS)
    for method, curve in curves.items():
        look = {"color": COLOURS.get(method, OTHER_COLOUR), "marker": MARKERS.get(method) or next(others)}
        axis.plot(curve["threshold"], curve["model"], linewidth=2, label=title_of(method),
                  markevery=max(1, len(curve) // 12), **look)  # fmt: skip
    top = max(0.01, *(curve[["model", "all"]].max(axis=None) for curve in curves.values()))
    axis.set(xlim=(0, 1), ylim=(-0.35 * top, 1.1 * top), ylabel="net benefit (true positives a row)")
    axis.set_xlabel(f"threshold: probability of {positive} from which one acts")
    axis.legend()
    figure.suptitle(title)
    return figure


def draw_subgroups(table: pd.DataFrame, metric: str = "roc_auc", title: str = "") -> Figure:
    """A table of `subgroups`: a row a group, one metric with its interval; dashed: all rows together."""
    if metric not in RESAMPLED:
        raise UserError(f"metric is '{metric}'; subgroups have {', '.join(RESAMPLED)}.")
    name = "F1" if metric == "macro_f1" and "positive" in table else METRICS[metric]
    figure, axis = plt.subplots(figsize=(WIDTH * 0.9, 0.32 * len(table) + 1.3))
    labels = []
    for i, row in enumerate(table.to_dict("records")):
        share = f", {100 * row['positive']:.0f} % positive" if "positive" in row else ""
        labels.append(f"{row['column']}{': ' if row['value'] else ''}{row['value']} ({row['people']} people{share})")
        axis.plot([row[f"{metric}_low"], row[f"{metric}_high"]], [i, i], color=COLOURS["rdpd"], linewidth=2)
        axis.plot(row[metric], i, MARKERS["rdpd"], color=COLOURS["rdpd"], markersize=7)
        axis.annotate(row["note"], (1.01, i), xycoords=("axes fraction", "data"), va="center", fontsize=8.5)
    axis.axvline(table[metric].iloc[0], color="black", linestyle="--", linewidth=1)
    axis.set(yticks=range(len(table)), yticklabels=labels, xlim=(0, 1.02), xlabel=name)
    axis.set_ylim(len(table) - 0.5, -0.5)  # the first on top
    figure.suptitle(f"{title}\nbars: 95 % interval over people; dashed: all of them".strip())
    return figure


def _shade(axis: Axes, values: np.ndarray, rate: float, attention: np.ndarray, most: float, words: bool) -> None:
    """One channel (l,) over seconds, its segments the darker the more attention (M,) they have, up to `most`."""
    edges = np.linspace(0, len(values) / rate, len(attention) + 1)
    for share, (start, stop) in zip(attention, pairwise(edges), strict=True):
        axis.axvspan(start, stop, color=ATTENTION(share / most), linewidth=0)
        if words:
            above = {"xytext": (0, 2), "textcoords": "offset points", "xycoords": ("data", "axes fraction")}
            axis.annotate(f"{100 * share:.0f} %", ((start + stop) / 2, 1), ha="center", fontsize=8.5, **above)
    axis.plot(np.arange(len(values)) / rate, values, color="black", linewidth=0.9)
    axis.set_xlim(0, edges[-1])
    axis.grid(False)


def _seen(signal: ArrayLike, channels: Sequence[str], rate: float, attention: ArrayLike) -> tuple:
    """signals (k, l, d) and attention (k, M) as arrays, the darkest shade's attention, and the bar that shows it."""
    x, a = _numbers(signal, "the signal"), _numbers(attention, "attention")
    if x.ndim != 3 or a.ndim != 2 or len(x) != len(a) or not a.size or x.shape[1] % a.shape[1]:
        fault = f"signals {x.shape[1:]} and attention {a.shape[1:]} do not fit; give (l, d) and (M,), l a multiple of M"
    elif len(channels) != x.shape[2] or isinstance(channels, str):
        fault = f"there are {len(channels)} names of channels for {x.shape[2]} channels; give one each"
    elif not _inside(rate, 0, np.inf):
        fault = f"the rate is {rate}; give samples a second, in Hz"
    elif not (a >= 0).all() or (np.abs(a.sum(1) - 1) > 1e-3).any():
        fault = "attention should be shares from 0 to 1 that sum to 1; give those of the model"
    else:
        most = max(a.max(), min(1, 2 / a.shape[1]))  # even attention is half dark
        return x, a, most, ScalarMappable(Normalize(0, 100 * most), ATTENTION)
    raise UserError(f"{fault}.")


def draw_attention(
    signal: ArrayLike, channels: Sequence[str], rate: float, attention: ArrayLike, title: str = ""
) -> Figure:
    """A window (l, d) at `rate` Hz, a panel a channel, its segments shaded by attention (M,), shares that sum to 1;
    channels: what stands beside each, like 'I (mV)'."""
    (x,), (a,), most, bar = _seen([signal], channels, rate, [attention])
    height = max(0.75 * x.shape[1], 1.6) + 1
    figure, axes = plt.subplots(x.shape[1], 1, figsize=(WIDTH, height), sharex=True, squeeze=False)
    for i, axis in enumerate(axes[:, 0]):
        _shade(axis, x[:, i], rate, a, most, words=i == 0 and len(a) <= 16)
        axis.set_ylabel(channels[i].replace(" (", "\n("), rotation=0, ha="right", va="center")
    axes[-1, 0].set_xlabel("time (s)")
    figure.colorbar(bar, ax=axes, label="attention (%)", aspect=30, pad=0.01)
    figure.suptitle(title)
    return figure


def draw_cases(
    cases: pd.DataFrame, signals: ArrayLike, channel: str, rate: float, attention: ArrayLike, classes: Sequence[str],
    title: str = "",
) -> Figure:  # fmt: skip
    """The k rows of `pick_cases`, right ones on the left: one channel of each (k, l), shaded by attention (k, M)."""
    x, a, most, bar = _seen(_numbers(signals, "signals")[..., None], [channel], rate, attention)
    if len(x) != len(cases) or len(classes) <= cases[["truth", "called"]].max(axis=None):
        fault = f"there are {len(cases)} cases for {len(x)} signals and {len(classes)} classes"
        raise UserError(f"{fault}; give the signal and the attention of each case, and the titles of all classes.")
    right = cases["right"].to_numpy(bool)
    size = max(right.sum(), (~right).sum())
    figure, axes = plt.subplots(size, 2, figsize=(WIDTH, 1.75 * size + 0.8), sharex=True, sharey=True, squeeze=False)
    for word, there, column in (("right", right, axes[:, 0]), ("WRONG", ~right, axes[:, 1])):
        for axis, i in zip(column, np.flatnonzero(there), strict=False):  # the other column may have more
            case = cases.iloc[i]
            _shade(axis, x[i, :, 0], rate, a[i], most, words=False)
            axis.set_title(f"{word}, person {case['subject']}: is {classes[case['truth']]},\n"
                           f"called {classes[case['called']]} ({100 * case['probability']:.0f} %)")  # fmt: skip
            axis.set_ylabel(channel)
        for axis in column[there.sum() - 1 : there.sum()]:  # the last of the column, if any
            axis.set_xlabel("time (s)")
            axis.tick_params("x", labelbottom=True)
        for axis in column[there.sum() :]:
            axis.set_axis_off()
    figure.colorbar(bar, ax=axes, label="attention (%)", aspect=30, pad=0.01)
    figure.suptitle(title)
    return figure
