"""What came out, in words: sentences for notebooks, computed from the same frames as the tables."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from . import tables
from .data import SPECS
from .paper import METHODS, METRICS
from .records import SWEEP_METRICS, SWEEPS, read_scores, read_sweep
from .run import Run
from .statistics import paired

if TYPE_CHECKING:
    from .training import Fitted

FEW_SEEDS = 6  # below this a sentence gives no interval: not even six equal signs are unlikely enough


def compared(run: Run, method: str, against: str = "direct", metric: str = "roc_auc") -> str:
    """How a method of the run's view stands against another one, in words.

    'RDPD is 0.036 below Direct in ROC-AUC over 10 seeds (95 % interval -0.046 to -0.025)'; fewer than six seeds have
    the range of their differences in place of the interval.
    """
    views = ["all" if name == "teacher" else run.view for name in (method, against)]
    ours, other = tables.pairs(read_scores(run, run.dataset), (views[0], method), (views[1], against), metric)
    found = paired(ours, other)
    one, two = METHODS[method].title, METHODS[against].title
    if not found["seeds"]:
        return f"{one} and {two} have no score of a common seed with these settings."
    count, difference = found["seeds"], found["difference"]
    seeds = f"over {count} seeds" if count > 1 else "with one seed"
    text = f"{one} is {_above_or_below(difference)} {two} in {(METRICS | tables.shown_metrics(run))[metric]} {seeds}"
    return f"{text} ({spread(ours, other)})." if count > 1 else f"{text}."


def spread(ours: list[float], other: list[float]) -> str:
    """How far the differences go: '95 % interval -0.046 to -0.025', under six seeds 'by seed from -0.05 to +0.01'."""
    found = paired(ours, other)
    if found["seeds"] >= FEW_SEEDS:
        return f"95 % interval {found['low']:+.3f} to {found['high']:+.3f}"
    each = [a - b for a, b in zip(ours, other, strict=True) if not np.isnan(a - b)]
    return f"by seed from {min(each):+.3f} to {max(each):+.3f}" if each else "no common seed"


def _above_or_below(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "within 0.001 of"
    return f"{abs(difference):.3f} {'above' if difference > 0 else 'below'}"


def reached(run: Run, method: str, metric: str = "roc_auc") -> str:
    """What a method of the run's view scores on the test windows, in words.

    'RDPD reaches 0.849 in ROC-AUC on the test windows (mean of 2 seeds, 0.841 to 0.857).'
    """
    title, name = METHODS[method].title, (METRICS | tables.shown_metrics(run))[metric]
    frame, view = read_scores(run, run.dataset), "all" if method == "teacher" else run.view
    each = frame.loc[(frame[["view", "method", "metric"]] == [view, method, metric]).all(axis=1), "score"].dropna()
    if each.empty:
        return f"{title} has no {name} with these settings: no class of the test windows can be scored."
    seeds = f"mean of {len(each)} seeds, {each.min():.3f} to {each.max():.3f}" if len(each) > 1 else "one seed"
    return f"{title} reaches {each.mean():.3f} in {name} on the test windows ({seeds})."


def trained(fitted: "list[Fitted]") -> str:
    """Which epochs were kept, in words.

    'Kept: epochs 41 and 60 of 60, with a validation ROC-AUC of 0.862 on average.'
    """
    best, epochs = sorted(f.best_epoch for f in fitted), max(len(f.history["train_loss"]) for f in fitted)
    ends = list(dict.fromkeys((best[0], best[-1])))  # one, where all are the same
    kept = f"epoch{'s' * (len(ends) > 1)} {(' to ' if len(best) > 2 else ' and ').join(map(str, ends))}"
    auc = [f.history["validation_roc_auc"][f.best_epoch - 1] for f in fitted if f.selected_by != "validation loss"]
    average = " on average" if len(auc) > 1 else ""
    by = f"with a validation ROC-AUC of {np.mean(auc):.3f}{average}" if auc else "by the validation loss"
    return f"Kept: {kept} of {epochs}, {by}."


def pairs(run: Run, dataset: str, metric: str = "roc_auc") -> list[str]:
    """A sentence a rival: in how many views RDPD is above it, how far, and where that is more than chance.

    'PAMAP2, ROC-AUC: RDPD is above Direct in 1 of 3 views (-0.036 to +0.002), after Holm's correction p < 0.05 in 0.'
    """
    numbers, said = tables.paired(run, dataset).numbers, []
    numbers = numbers[(numbers["metric"] == metric) & numbers["difference"].notna()]
    what = f"{SPECS[dataset].title}, {(METRICS | tables.shown_metrics(run))[metric]}"
    for against, rows in numbers.groupby("against", sort=False):
        d, views = rows["difference"], f"{len(rows)} view{'s' if len(rows) > 1 else ''}"
        span = f"{d.min():+.3f} to {d.max():+.3f}" if len(rows) > 1 else f"{d.iloc[0]:+.3f}"
        text = f"{what}: RDPD is above {METHODS[against].title} in {(d > 0).sum()} of {views} ({span})"
        found = (rows["p_holm_metric"] < 0.05).sum()
        said.append(f"{text}; after Holm's correction p < 0.05 in {found or 'none'}.")
    return said


def sweep_changes(run: Run, figure: str, dataset: str, view: str, metric: str = "roc_auc") -> list[str]:
    """A sentence a method: its mean score at the least and at the greatest level of Figure 2 or 3."""
    points = tables.sweep_summary(read_sweep(run, figure, dataset, view))
    kind, said = SWEEPS[figure], []
    for method, rows in points[points["metric"] == metric].sort_values("level").groupby("method", sort=False):
        first, last = rows.iloc[0], rows.iloc[-1]
        begins = (
            f"{METHODS[method].title}: {SWEEP_METRICS[metric]} {first['mean']:.3f} at {kind.level} {first['level']:g}"
        )
        change = last["mean"] - first["mean"]
        said.append(f"{begins}, {last['mean']:.3f} at {last['level']:g} ({change:+.3f}).")
    return said


def sweep(run: Run, figure: str, dataset: str, view: str = "") -> list[str]:
    """What the paper says of Figure 2 or 3, then what came out, a sentence a view and metric; [] without a record.

    'Wrist, ROC-AUC: RDPD is above Direct at 1 of 3 fractions (least at 0.4: -0.031), above Distill at all 3 ...'
    """
    frame, kind = read_sweep(run, figure, dataset, view), SWEEPS[figure]
    if frame.empty:
        return []
    said = [f"The paper: {kind.claim}."]
    claims = tables.sweep_claims(tables.sweep_summary(frame))
    for (name, metric), rows in claims.groupby(["view", "metric"], sort=False):
        parts = []
        for claim in rows.itertuples():
            count = f"all {claim.levels}" if claim.holds else f"{claim.levels_above} of {claim.levels}"
            least = "" if pd.isna(claim.at) else f" (least at {claim.at:g}: {claim.smallest_difference:+.3f})"
            parts.append(f"above {METHODS[claim.against].title} at {count} {kind.levels}{least}")
        where = f"{SPECS[dataset].view_titles[name]}, {SWEEP_METRICS[metric]}"
        said.append(f"{where}: RDPD is {', '.join(parts)}.")
    return said
