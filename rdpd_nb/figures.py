"""Figures of scores and of training, in one look; what a figure was made from is said where it is saved."""

import itertools
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from torch import Tensor

from . import losses, manifest
from .data import SPECS
from .data.windows import Windows
from .errors import UserError
from .files import replace_file
from .knowledge import Knowledge
from .paper import ANCHOR, METHODS, METRICS
from .records import SWEEP_METRICS, SWEEPS, names, read_scores, read_sweep, sweep_records
from .run import Run
from .statistics import FEW_SEEDS, interval
from .tables import TITLES, seeds_word, shown_metrics, source_note, summary, sweep_ratio, sweep_shorter, sweep_summary
from .training import Fitted

# Okabe and Ito's colours, told apart by colour-blind readers; the same colour and marker for a method everywhere.
COLOURS = {
    "teacher": "#000000",
    "direct": "#999999",
    "kd": "#E69F00",
    "rdpd_r1": "#56B4E9",
    "rdpd_r2": "#009E73",
    "rdpd": "#D55E00",
    ANCHOR.name: "#CC79A7",
}
MARKERS = {"teacher": "D", "direct": "o", "kd": "s", "rdpd_r1": "^", "rdpd_r2": "v", "rdpd": "P", ANCHOR.name: "X"}
PROTOCOLS = {  # of notebook 11: the text's, the code's, and one switch of paper.Protocol alone
    "paper": "as in the text",
    "knowledge": "knowledge of training mode",
    "batch_order": "one order of batches",
    "attention_kl": "KL the other way round",
    "short_batch": "short batch over 128",
    "temperature": "temperature 5",
    "pamap2_held_out": "101 validates, 105 tests",
    "mimic3_split": "split 90/5/5",
    "macro_f1": "macro-F1 by argmax",
    "released": "as in the released code",
}
PARTS = {"rich": "rich", "both": "rich and poor"}  # notebook 8's fraction_of, on an axis
WIDTH = 9.2  # inches of the widest figure
SHOWN = 900 / 96  # inches a page gives a figure: a wider one is made smaller, and its text with it


def set_style() -> None:
    """The look of all figures; no text is below 8.5 points."""
    sizes = dict.fromkeys(("axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 9)
    grid = {"axes.grid": True, "grid.color": "#dddddd", "grid.linewidth": 0.7, "axes.axisbelow": True}
    plt.rcParams.update(
        {
            **{"font.size": 9.5, "axes.titlesize": 9.5, "figure.titlesize": 10.5, **sizes},
            **{**grid, "axes.edgecolor": "#bbbbbb", "legend.framealpha": 0.8, "lines.markersize": 5},
            **{"figure.dpi": 96, "savefig.dpi": 150, "figure.constrained_layout.use": True},
        }
    )


def shown_points(figure: Figure) -> float:
    """The size, in points, of a figure's smallest text where a page shows it."""
    figure.canvas.draw()  # ticks get their labels
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return min(text.get_fontsize() for text in texts) * min(1, SHOWN / figure.get_figwidth())


class Drawn(NamedTuple):
    """A figure with all that `save_figure` takes: `save_figure(run, name, *figures.scores(run, dataset))`."""

    figure: Figure
    records: list[str]
    numbers: pd.DataFrame | None = None
    title: str | None = None


def save(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all."""
    with replace_file(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})  # the library's version would change the bytes


def save_figure(
    run: Run,
    name: str,
    figure: Figure,
    records: list[str],
    numbers: pd.DataFrame | None = None,
    title: str | None = None,
) -> None:
    """figures/<profile>/<name>.png, the plotted numbers beside it as .csv, and what they were made from.

    records: like 'pamap2/wrist/rdpd', as `manifest` names them; title: what is said in place of the picture, the
    figure's own where not given.
    """
    folder = run.figures_folder
    save(figure, folder / f"{name}.png")
    if numbers is not None:
        with replace_file(folder / f"{name}.csv") as path:
            numbers.to_csv(path, index=False, float_format="%.4f")
    own = figure.get_suptitle() or next((axis.get_title() for axis in figure.axes if axis.get_title()), name)
    manifest.declare(run, "figures", name, records, title or " ".join(own.split()))


# ------------------------------------------------------------------------------------------------------ training


def curves(fitted: list[Fitted], title: str) -> Figure:
    """Training loss and validation ROC-AUC by epoch: seeds thin, their mean thick, the epochs kept marked."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.2))
    for method in dict.fromkeys(f.member.method for f in fitted):
        these = [f for f in fitted if f.member.method == method]
        colour, several = COLOURS[method], len(these) > 1
        for axis, curve in zip(axes, ("train_loss", "validation_roc_auc"), strict=True):
            values = [np.array(f.history[curve], float) for f in these]
            for each in values:
                axis.plot(np.arange(1, len(each) + 1), each, color=colour, linewidth=0.8, alpha=0.6 if several else 1)
            if several:  # as far as all seeds went
                mean = np.mean([each[: min(map(len, values))] for each in values], axis=0)
                axis.plot(np.arange(1, len(mean) + 1), mean, color=colour, linewidth=2.2)
        for f in these:
            kept = f.history["validation_roc_auc"][f.best_epoch - 1]
            edge = {"markeredgecolor": "black", "markeredgewidth": 0.7}
            axes[1].plot(f.best_epoch, kept, MARKERS[method], color=colour, zorder=3, **edge)
    axes[0].set(xlabel="epoch", ylabel="training loss (nats)")
    axes[1].set(xlabel="epoch", ylabel="validation ROC-AUC")
    seeds = len({f.member.seed for f in fitted})
    lines = "thin: a seed, thick: their mean; " if seeds > 1 else ""
    figure.suptitle(f"{title}\n{lines}{'marks: the epochs' if seeds > 1 else 'mark: the epoch'} kept")
    return figure


# ----------------------------------------------------------------------------------------------------- knowledge


def soft_labels(run: Run, windows: Windows, knowledge: Knowledge) -> Drawn:
    """What the teacher says of one training window of each of the first three classes, the hard label hatched."""
    classes, truth = run.spec.classes, windows.label[knowledge.window]
    picked = [np.flatnonzero(truth == c)[0] for c in np.unique(truth)[:3]]
    size = (WIDTH, 0.2 * len(classes) + 1.1)
    figure, axes = plt.subplots(1, len(picked), figsize=size, sharex=True, sharey=True, squeeze=False)
    numbers = pd.DataFrame({"class": classes})
    for axis, i in zip(axes[0], picked, strict=True):
        title = f"truth: {classes[truth[i]]}"
        axis.barh(classes, knowledge.soft_labels[i], color=COLOURS["kd"])[truth[i]].set_hatch("///")
        axis.set(title=title, xlabel=f"soft label, T = {knowledge.temperature:g}")
        numbers[title] = knowledge.soft_labels[i]
    axis.invert_yaxis()
    figure.suptitle(f"{run.note(with_view=False)}: what the teacher says of {len(picked)} training windows")
    return Drawn(figure, [f"{run.dataset}/all/teacher"], numbers)


def attention(run: Run, method: str, teacher: Tensor, student: dict[str, Tensor]) -> Drawn:
    """The student's attention (n, M), by when it was taken, against its teacher's on the same windows, and L_att."""
    flat = {when: log_a.exp().flatten() for when, log_a in student.items()}
    pairs = pd.DataFrame({"teacher": teacher.flatten(), **flat})
    figure, axes = plt.subplots(1, len(student), figsize=(WIDTH, 4.2), sharex=True, sharey=True, squeeze=False)
    for axis, (when, log_a) in zip(axes[0], student.items(), strict=True):
        axis.axline((0, 0), slope=1, color="black", linewidth=0.8)
        for m, marker in zip(range(run.spec.segments), itertools.cycle("os^vDP")):
            axis.plot(teacher[:, m], log_a[:, m].exp(), marker, markersize=3, alpha=0.7, label=f"segment {m + 1}")
        loss = losses.attention_loss(log_a, teacher).mean()
        axis.set(xlabel="the teacher's attention", title=f"{when}: mean $L_{{att}}$ = {loss:.3f} nats", aspect="equal")
    reach = (0, min(1.0, 1.05 * pairs.max(axis=None)))
    axes[0, 0].set(ylabel="the student's attention", xlim=reach, ylim=reach)
    axis.legend(loc="upper left")
    figure.suptitle(f"{run.note()}: {METHODS[method].title}, training windows")
    return Drawn(figure, [f"{run.dataset}/all/teacher", f"{run.dataset}/{run.view}/{method}"], pairs)


def combined_loss(run: Run) -> Drawn:
    """L_hard and L_comb (w1 = w2 = 0.5) of a student that prefers the true class more and more; made from no data."""
    spec, margin = run.spec, torch.linspace(-10, 30, 81)
    logits, truth = margin[:, None] * torch.eye(len(spec.classes))[0], torch.zeros(len(margin), dtype=torch.long)
    combined = losses.combined_loss(logits, torch.tensor([0.5, 0.5, 0.0]), truth, spec.temperature)
    numbers = pd.DataFrame({"margin": margin, "hard": losses.hard_loss(logits, truth), "combined": combined})
    figure, axis = plt.subplots(figsize=(7.6, 3.2))
    axis.plot(margin, numbers["hard"], color=COLOURS["direct"], label="$L_{hard}$")
    axis.plot(margin, combined, color=COLOURS["rdpd_r1"], label="$L_{comb}$, $w_{1} = w_{2} = 0.5$")
    axis.axhline(combined[-1], color="black", linestyle=":", label="floor of $L_{comb}$")
    axis.set(xlabel="logit of the true class above the others", ylabel="loss (nats)")
    axis.set_title(f"{spec.title}: {len(spec.classes)} classes, T = {spec.temperature:g} (the loss alone, no data)")
    axis.legend()
    return Drawn(figure, [], numbers)


# -------------------------------------------------------------------------------------------------------- scores


def _seeds_words(seeds: int, word: str) -> str:
    """What the marks of a figure of scores are; word: 'seeds' or 'folds'."""
    if seeds == 1:
        return f"one {word[:-1]}"
    return f"small dots: the {seeds} {word}" if seeds < FEW_SEEDS else f"bars: standard deviation over {seeds} {word}"


def _within_1(mean: float, deviation: float) -> list[list[float]]:
    """A bar of one deviation to each side, as far as a score can be."""
    return [[min(deviation, mean)], [min(deviation, 1 - mean)]]


def scores(run: Run, dataset: str, view: str = "") -> Drawn:
    """Our scores (filled, mean over seeds) beside the published ones (hollow), by view; of all views, or of the
    teacher and one. Under six seeds each is a small dot, else the bar is their standard deviation."""
    spec, metrics = SPECS[dataset], shown_metrics(run, dataset)
    table, frame = summary(run, dataset), read_scores(run, dataset)
    table = table[table["seeds"].gt(0) & (table["view"].isin(["all", view]) if view else True)]
    rows = list(table[["view", "method"]].drop_duplicates().itertuples(index=False))
    if not rows:
        raise UserError(f"no record of {spec.title} under {run.results_root}; run its notebooks first.")
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 0.34 * len(rows) + 1.4), sharey=True)
    numbers = []
    for axis, (metric, title) in zip(axes, metrics.items(), strict=True):
        for y, row in enumerate(rows):
            (point,) = table[(table[["view", "method", "metric"]] == [*row, metric]).all(axis=1)].itertuples()
            each = frame.loc[(frame[["view", "method", "metric"]] == [*row, metric]).all(axis=1), "score"].dropna()
            look = {"color": COLOURS[row.method], "marker": MARKERS[row.method], "linewidth": 1}
            few = len(each) < FEW_SEEDS
            above = y - 0.14 if pd.notna(point.published) else y
            axis.errorbar(point.mean, above, xerr=None if few else _within_1(point.mean, point.sd), **look)
            if 1 < len(each) and few:
                axis.plot(each, np.full(len(each), above), ".", color=COLOURS[row.method], markersize=4)
            key = {"view": row.view, "method": row.method, "metric": metric}
            numbers.append(key | {"mean": point.mean, "sd": point.sd, "of": point.source})
            if pd.notna(point.published):
                bar = _within_1(point.published, point.published_sd)
                axis.errorbar(point.published, y + 0.18, xerr=bar, markerfacecolor="white", **look)
                numbers.append(key | {"mean": point.published, "sd": point.published_sd, "of": "published"})
        for y in [y for y in range(1, len(rows)) if rows[y].view != rows[y - 1].view]:
            axis.axhline(y - 0.5, color="#bbbbbb", linewidth=0.8)
        axis.set_xlabel(title)
    labels = [f"{spec.view_titles[row.view]}: {TITLES[row.method]}" for row in rows]
    axes[0].set_yticks(range(len(rows)), labels)
    axes[0].set_ylim(len(rows) - 0.5, -0.5)  # the first on top
    what = ["filled: ours", "hollow: the paper's"] if table["published"].notna().any() else []
    of = f", {spec.view_titles[view]}" if view else ""
    title = f"{spec.title}{of}, {source_note(table['source'].iloc[0])}"
    figure.suptitle(f"{title}\n{'; '.join([*what, _seeds_words(table['seeds'].max(), seeds_word(spec))])}")
    said = f"{title}: scores of all methods{', ours beside the published' if what else ''}"
    return Drawn(figure, names(table), pd.DataFrame(numbers), said)


def dots(
    axis: Axes,
    frame: pd.DataFrame,
    groups: list[str],
    metric: str = "roc_auc",
    ratio: float | None = None,
    word: str = "seeds",
    title: str = "",
) -> None:
    """Mean over seeds of each group and method, a row a group; under six seeds with a dot each, else with the 95 %
    interval. frame: columns group, method and the metric, a row a seed (or what `word` says); ratio: of
    `tables.split_ratio`; title: what the metric is called, if not by its own name."""
    methods, seeds = [method for method in METHODS if method in set(frame["method"])], 0
    for j, method in enumerate(methods):
        shift = 0.66 * ((j + 0.5) / len(methods) - 0.5)
        for i, group in enumerate(groups):
            values = frame.loc[(frame["group"] == group) & (frame["method"] == method), metric].dropna()
            if values.empty:
                continue
            colour, y, seeds = COLOURS[method], i + shift, max(seeds, len(values))
            if len(values) < FEW_SEEDS:
                axis.plot(values, np.full(len(values), y), ".", color=colour, markersize=4)
            else:
                axis.plot(np.clip(interval(values.tolist(), ratio), 0, 1), [y, y], color=colour, linewidth=2)
            axis.plot(values.mean(), y, MARKERS[method], color=colour)
    marks = f"dots: the {seeds} {word}" if seeds < FEW_SEEDS else f"bars: 95 % interval over {seeds} {word}"
    axis.set(
        yticks=range(len(groups)),
        yticklabels=groups,
        xlabel=f"test {title or METRICS.get(metric, metric)}: mean; {marks}",
    )
    axis.set_ylim(len(groups) - 0.5, -0.5)  # the first on top


def methods_scores(
    entries: dict[str, tuple[str, list[dict]]], metrics: dict[str, str], title: str, ratio: float | None, word: str
) -> Figure:
    """Scores by metric, a row a method: its mean over seeds, under six seeds with a dot each, else with the 95 %
    interval. entries: by what a row is called its method and an entry a seed; ratio: of `tables.split_ratio`."""
    figure, axes = plt.subplots(1, len(metrics), figsize=(WIDTH, 0.34 * len(entries) + 1.4), sharey=True)
    for axis, (metric, name) in zip(axes, metrics.items(), strict=True):
        for y, (method, rows) in enumerate(entries.values()):
            values = [row[metric] for row in rows if row[metric] is not None]
            look = {"color": COLOURS.get(method, "#0072B2")}
            if len(values) < FEW_SEEDS:
                axis.plot(values, np.full(len(values), y), ".", markersize=4, **look)
            else:
                axis.plot(np.clip(interval(values, ratio), 0, 1), [y, y], linewidth=2, **look)
            axis.plot(np.mean(values), y, MARKERS.get(method, "o"), **look)
        axis.set_xlabel(f"test {name}")
    axes[0].set_yticks(range(len(entries)), entries)
    axes[0].set_ylim(len(entries) - 0.5, -0.5)  # the first on top
    few = max(len(rows) for _, rows in entries.values()) < FEW_SEEDS
    figure.suptitle(f"{title}; large: mean, {f'small: the {word}' if few else f'bars: 95 % interval over {word}'}")
    return figure


def method_legend(figure: Figure, methods: list[str], lines: bool = False) -> None:
    """One legend of methods under a figure."""
    style = "-" if lines else ""
    looks = [Line2D([], [], linestyle=style, marker=MARKERS[m], color=COLOURS[m]) for m in methods]
    figure.legend(looks, [METHODS[m].title for m in methods], loc="outside lower center", ncols=len(methods))


def heatmap(axis: Axes, values: pd.DataFrame, annotation: pd.DataFrame | np.ndarray, label: str) -> None:
    """Cells of a frame from 0 (dark) to 1 with text in them; `label`, with its unit, is that of the colour bar."""
    import seaborn  # takes half a second, and only a teacher has a heat map

    seaborn.heatmap(
        values, vmin=0, vmax=1, cmap="cividis", annot=annotation, fmt="", annot_kws={"fontsize": 8.5},
        cbar_kws={"label": label}, ax=axis,
    )  # fmt: skip
    axis.set_xticks(axis.get_xticks(), axis.get_xticklabels(), rotation=45, ha="right", rotation_mode="anchor")
    axis.tick_params("y", rotation=0)


# ------------------------------------------------------------------------------------------------------- sweeps


def sweep(run: Run, figure: str, dataset: str, view: str = "") -> Drawn | None:
    """Figure 2 or 3 ('figure2', 'figure3') of all views there are, or of one; None without a record.

    A column of panels a view, a row a metric; one view has its metrics side by side. The line is the mean over seeds;
    under six seeds each is a dot, else the band is the 95 % interval of the mean. The numbers are those of
    `tables.sweep_summary`; the paper prints none.
    """
    kind, spec, frame = SWEEPS[figure], SPECS[dataset], read_sweep(run, figure, dataset, view)
    if frame.empty:
        return None
    records = sweep_records(run, figure, dataset, view)
    points, views = sweep_summary(frame, sweep_ratio(dataset, records)), list(dict.fromkeys(frame["view"]))
    columns = views if len(views) > 1 else list(SWEEP_METRICS)
    panels = [(metric, name) for metric in SWEEP_METRICS for name in views]
    shape = (len(panels) // len(columns), len(columns))
    drawn, axes = plt.subplots(*shape, figsize=(WIDTH, 2.5 * shape[0] + 1.2), sharey="row" if len(views) > 1 else False,
                               squeeze=False)  # fmt: skip
    for axis, (metric, name) in zip(axes.flat, panels, strict=True):
        _panel(axis, *(f[(f["view"] == name) & (f["metric"] == metric)] for f in (points, frame)))
        if len(views) > 1 and metric == panels[0][0]:
            axis.set_title(spec.view_titles[name])
        axis.set_ylabel(SWEEP_METRICS[metric] if len(views) == 1 or name == views[0] else "")
    has = records[0]["parameters"]
    xlabel = kind.xlabel.format(**has | {"fraction_of": PARTS.get(has.get("fraction_of"), "")})
    for axis in axes[-1] if len(columns) == 2 else [axes[-1, (len(columns) - 1) // 2]]:  # three are too narrow for each
        axis.set_xlabel(xlabel, x=0.5 if len(columns) % 2 or len(columns) == 2 else 1.05)  # in the middle of them
    method_legend(drawn, [m for m in METHODS if m in set(frame["method"])], lines=True)
    seeds = points["seeds"].max()
    title = f"{spec.title}{', ' + spec.view_titles[views[0]] if len(views) == 1 else ''}, "
    title += source_note(frame["source"].iloc[0])
    word = seeds_word(spec)
    marks = f"dots: the {seeds} {word}" if seeds < FEW_SEEDS else f"band: 95 % interval over {seeds} {word}"
    shorter = sweep_shorter(run, dataset, records[0])
    less = f"; less than in the tables: {shorter}" if shorter else ""
    drawn.suptitle(f"{title}\n{f'one {word[:-1]}' if seeds == 1 else f'line: mean, {marks}'}{less}")
    made_from = [f"{dataset}/{record['view']}/{kind.record}" for record in records]
    said = f"{title}: scores against the {xlabel}{less}"
    return Drawn(drawn, made_from, points.rename(columns={"level": kind.level}), said)


def _panel(axis: Axes, points: pd.DataFrame, frame: pd.DataFrame) -> None:
    for method, rows in points.sort_values("level").groupby("method", sort=False):
        look = {"color": COLOURS[method], "zorder": 2 if method == "rdpd" else 1.9}
        axis.plot(rows["level"], rows["mean"], marker=MARKERS[method], **look)
        if rows["seeds"].max() >= FEW_SEEDS:
            axis.fill_between(rows["level"], rows["low"], rows["high"], alpha=0.15, linewidth=0, **look)
        elif rows["seeds"].max() > 1:
            each = frame[frame["method"] == method]
            axis.plot(each["level"], each["score"], ".", markersize=4, alpha=0.7, **look)
