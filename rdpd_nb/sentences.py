"""What came out, in words: sentences for notebooks, computed from the same frames as the tables."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from . import captions, tables
from .data import SPECS
from .paper import METHODS, METRICS
from .records import SWEEP_METRICS, SWEEPS, read_scores, read_sweep, sweep_records
from .run import Run
from .statistics import paired

if TYPE_CHECKING:
    from .training import Fitted


def compared(run: Run, method: str, against: str = "direct", metric: str = "roc_auc") -> str:
    """How a method of the run's view stands against another one, in words.

    'RDPD is 0.036 below Direct in ROC-AUC over 10 seeds (95 % interval -0.046 to -0.025; over people -0.060 to
    -0.012)'; fewer than six seeds have the range of their differences in place of the interval over them.
    """
    frame, drawn = read_scores(run, run.dataset), tables.people_draws(run, run.dataset)
    which = [("all" if m == "teacher" else run.view, m) for m in (method, against)]
    found = tables.difference(frame, drawn, *which, metric)
    one, two = METHODS[method].title, METHODS[against].title
    if not found["seeds"]:
        return f"{one} and {two} have no score of a common seed with these settings."
    count, name = found["seeds"], _metric(run, run.dataset, metric)
    kind = tables.seeds_word(SPECS[run.dataset])
    seeds = f"over {count} {kind}" if count > 1 else f"with one {kind[:-1]}"
    text = f"{one} is {_above_or_below(found['difference'])} {two} in {name} {seeds}"
    said = [_spread(found, *tables.pairs(frame, *which, metric))] if count > 1 else []
    if found["people_low"] is not None and captions.shows_people(SPECS[run.dataset]):
        said.append(f"{'' if said else '95 % interval '}over people {_to(found['people_low'], found['people_high'])}")
    return f"{text} ({'; '.join(said)})." if said else f"{text}."


def spread(ours: list[float], other: list[float], ratio: float | None = None) -> str:
    """How far the differences go: '95 % interval -0.046 to -0.025', under six seeds 'by seed from -0.05 to +0.01'.

    ratio: as `tables.split_ratio` gives it.
    """
    return _spread(paired(ours, other, ratio), ours, other)


def _spread(found: dict, ours: list[float], other: list[float]) -> str:
    if found["low"] is not None:
        return f"95 % interval {_to(found['low'], found['high'])}"
    each = [a - b for a, b in zip(ours, other, strict=True) if not np.isnan(a - b)]
    return f"by seed from {_to(min(each), max(each))}" if each else "no common seed"


def _to(low: float, high: float) -> str:
    return f"{low:+.3f} to {high:+.3f}"


def _metric(run: Run, dataset: str, metric: str) -> str:
    return (METRICS | tables.shown_metrics(run, dataset))[metric]


def _above_or_below(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "within 0.001 of"
    return f"{abs(difference):.3f} {'above' if difference > 0 else 'below'}"


def reached(run: Run, method: str, metric: str = "roc_auc") -> str:
    """What a method of the run's view scores on the test windows, in words.

    'RDPD reaches 0.849 in ROC-AUC on the test windows (mean of 2 seeds, 0.841 to 0.857).'
    """
    title, name = METHODS[method].title, _metric(run, run.dataset, metric)
    frame, view = read_scores(run, run.dataset), "all" if method == "teacher" else run.view
    each = frame.loc[(frame[["view", "method", "metric"]] == [view, method, metric]).all(axis=1), "score"].dropna()
    if each.empty:
        return f"{title} has no {name} with these settings: no class of the test windows can be scored."
    kind = tables.seeds_word(SPECS[run.dataset])
    many = f"mean of {len(each)} {kind}, {each.min():.3f} to {each.max():.3f}"
    seeds = many if len(each) > 1 else f"one {kind[:-1]}"
    return f"{title} reaches {each.mean():.3f} in {name} on the test windows ({seeds})."


def rounded(run: Run, method: str) -> str:
    """Mean scores of a method of the run's view to one decimal, which stay from machine to machine; nbval checks them.

    'RDPD on the test windows, to one decimal: ROC-AUC 0.8, PR-AUC 0.3, macro-F1 0.2.'
    """
    frame, view = read_scores(run, run.dataset), "all" if method == "teacher" else run.view
    means = frame[(frame["view"] == view) & (frame["method"] == method)].groupby("metric")["score"].mean()
    each = [
        f"{title} {means.get(metric, np.nan):.1f}" for metric, title in tables.shown_metrics(run, run.dataset).items()
    ]
    return f"{METHODS[method].title} on the test windows, to one decimal: {', '.join(each)}."


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

    'PAMAP2, ROC-AUC: RDPD is above Direct in 1 of 3 views (-0.036 to +0.002); over seeds p < 0.05 after Holm's
    correction in 1 (lower); over people the 95 % interval leaves 0 out in 2 (1 higher, 1 lower).'
    """
    numbers, said = tables.paired(run, dataset).numbers, []
    numbers = numbers[(numbers["metric"] == metric) & numbers["difference"].notna()]
    kind, what = tables.seeds_word(SPECS[dataset]), f"{SPECS[dataset].title}, {_metric(run, dataset, metric)}"
    for against, rows in numbers.groupby("against", sort=False):
        d, views = rows["difference"], f"{len(rows)} view{'s' if len(rows) > 1 else ''}"
        span = _to(d.min(), d.max()) if len(rows) > 1 else f"{d.iloc[0]:+.3f}"
        text = f"{what}: RDPD is above {METHODS[against].title} in {(d > 0).sum()} of {views} ({span})"
        if rows["p"].isna().all():
            text += f"; {rows['seeds'].max()} {kind if rows['seeds'].max() > 1 else kind[:-1]}, too few for a test"
        elif captions.least_p(SPECS[dataset], numbers) >= 0.05:
            text += f"; {rows['seeds'].max()} {kind} are too few for p < 0.05 after Holm's correction"
        else:
            text += f"; over {kind} p < 0.05 after Holm's correction in {_signs(d[rows['p_holm_metric'] < 0.05])}"
        if rows["people_low"].notna().any() and captions.shows_people(SPECS[dataset]):
            clear = (rows["people_low"] > 0) | (rows["people_high"] < 0)
            text += f"; over people the 95 % interval leaves 0 out in {_signs(d[clear])}"
        said.append(f"{text}.")
    return said


def _signs(differences: pd.Series) -> str:
    """'none', '2 (higher)', '3 (1 higher, 2 lower)'."""
    counts = {"higher": int((differences > 0).sum()), "lower": int((differences < 0).sum())}
    there = [word for word in counts if counts[word]]
    which = ", ".join(f"{counts[word]} {word}" if len(there) > 1 else word for word in there)
    return f"{len(differences)} ({which})" if len(differences) else "none"


# ------------------------------------------------------------------------------------------------------- sweeps


def sweep_changes(run: Run, figure: str, dataset: str, view: str, metric: str = "roc_auc") -> list[str]:
    """A sentence a method: its mean score at the least and at the greatest level of Figure 2 or 3, and how far seeds
    differ in the change."""
    frame, kind = read_sweep(run, figure, dataset, view), SWEEPS[figure]
    return [
        f"{METHODS[row.method].title}: {SWEEP_METRICS[metric]} {row.mean_first:.3f} at {kind.level} {row.first:g}, "
        f"{row.mean_last:.3f} at {row.last:g} ({_change(row._asdict(), frame)})."
        for row in _falls(run, figure, dataset, view).itertuples()
        if row.metric == metric
    ]


def _falls(run: Run, figure: str, dataset: str, view: str) -> pd.DataFrame:
    ratio = tables.sweep_ratio(dataset, sweep_records(run, figure, dataset, view))
    return tables.sweep_falls(read_sweep(run, figure, dataset, view), ratio)


def _change(row: dict, frame: pd.DataFrame) -> str:
    """'-0.150, 95 % interval -0.190 to -0.110': of a row of `tables.sweep_falls`."""
    if not row["seeds"] or row["difference"] is None:
        return "no score"
    if row["seeds"] == 1:
        return f"{row['difference']:+.3f}"
    of = frame[(frame[["view", "metric", "method"]] == [row["view"], row["metric"], row["method"]]).all(axis=1)]
    last, first = (of[of["level"] == row[end]] for end in ("last", "first"))
    return f"{row['difference']:+.3f}, {_spread(_clean(row), *tables.by_seed(last, first))}"


def _clean(row: dict) -> dict:
    """None for a data frame's NaN."""
    return {name: None if not isinstance(value, str) and pd.isna(value) else value for name, value in row.items()}


def sweep(run: Run, figure: str, dataset: str, view: str = "") -> list[str]:
    """What the paper says of Figure 2 or 3, then what came out, a sentence a view and metric; [] without a record.

    'Wrist, ROC-AUC: RDPD is above Direct at 2 of 3 fractions, clearly at 1 (least at 0.4: -0.031, 95 % interval -0.050
    to -0.012), above Distill ...'; 'clearly' where the paired 95 % interval over seeds lies above 0. Of Figure 3 also
    how far each method falls.
    """
    frame, kind = read_sweep(run, figure, dataset, view), SWEEPS[figure]
    if frame.empty:
        return []
    said = [f"The paper: {kind.claim}."]
    ratio = tables.sweep_ratio(dataset, sweep_records(run, figure, dataset, view))
    claims, falls = tables.sweep_claims(tables.sweep_summary(frame, ratio)), tables.sweep_falls(frame, ratio)
    for (name, metric), rows in claims.groupby(["view", "metric"], sort=False):
        there = frame[(frame["view"] == name) & (frame["metric"] == metric)]
        parts = [
            f"above {METHODS[c['against']].title} {_claim(c, there, kind.levels)}" for c in rows.to_dict("records")
        ]
        where = f"{SPECS[dataset].view_titles[name]}, {SWEEP_METRICS[metric]}"
        said.append(f"{where}: RDPD is {', '.join(parts)}.")
        if figure == "figure3":
            these = falls[(falls["view"] == name) & (falls["metric"] == metric)].to_dict("records")
            changes = [f"{METHODS[row['method']].title} changes by {_change(row, frame)}" for row in these]
            said.append(
                f"{where}, from {kind.level} {these[0]['first']:g} to {these[0]['last']:g}: {'; '.join(changes)}."
            )
    return said


def _claim(claim: dict, frame: pd.DataFrame, levels: str) -> str:
    """'at 2 of 3 fractions, clearly at 1 (least at 0.4: -0.031, 95 % interval -0.050 to -0.012)'."""
    above, count, clear = claim["levels_above"], claim["levels"], claim["levels_clear"]
    text = f"at {f'all {count}' if above == count else f'{above} of {count}'} {levels}"
    few = pd.isna(claim["low"])
    if above and not few:
        text += f", clearly at {'none' if not clear else 'all' if clear == count else clear}"
    if pd.isna(claim["at"]):
        return text
    text += f" (least at {claim['at']:g}: {claim['smallest_difference']:+.3f}"
    at = frame[frame["level"] == claim["at"]]
    ours, other = tables.by_seed(*(at[at["method"] == method] for method in ("rdpd", claim["against"])))
    return f"{text}, {_spread(_clean(claim), ours, other)})" if len(ours) > 1 else f"{text})"


def sweep_held(run: Run, figure: str, dataset: str, view: str = "") -> str:
    """In how many comparisons of Figure 2 or 3 RDPD is above at every level: by means, and by paired intervals.

    'RDPD's mean is above at every fraction in 3 of 4 comparisons, and the paired 95 % interval over 10 seeds in 1.'
    """
    frame, kind = read_sweep(run, figure, dataset, view), SWEEPS[figure]
    if frame.empty:
        return "There is no record of this figure with these settings."
    ratio = tables.sweep_ratio(dataset, sweep_records(run, figure, dataset, view))
    points = tables.sweep_summary(frame, ratio)
    claims, seeds = tables.sweep_claims(points), points["seeds"].max()
    by_mean = (claims["levels_above"] == claims["levels"]).sum()
    text = f"RDPD's mean is above at every {kind.level} in {by_mean} of {len(claims)} comparisons"
    words = tables.seeds_word(SPECS[dataset])
    if points["low"].isna().all():
        return f"{text}; {seeds} {words if seeds > 1 else words[:-1]}, too few for an interval."
    held = claims["holds"].sum()
    return f"{text}, and the paired 95 % interval over {seeds} {words} lies above 0 at every one in {held}."
