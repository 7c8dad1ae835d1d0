"""Tables and figures from records alone: nothing here opens data or trains."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from .errors import UserError
from .evaluation import mean_and_deviation
from .files import replace_file, root
from .models import RCNN
from .paper import METHODS, METRICS, SPECS, STUDENT_METHODS, published, published_score
from .params import Run
from .results import read_records

# Okabe and Ito's colours, told apart by colour-blind readers; the same colour for a method everywhere.
COLOURS = {
    "teacher": "#000000",
    "direct": "#999999",
    "kd": "#E69F00",
    "rdpd_r1": "#56B4E9",
    "rdpd_r2": "#009E73",
    "rdpd": "#D55E00",
}
MARKERS = {"teacher": "D", "direct": "o", "kd": "s", "rdpd_r1": "^", "rdpd_r2": "v", "rdpd": "P"}


def set_style() -> None:
    """The look of all figures."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind", font_scale=0.85)
    plt.rcParams.update(
        {"figure.dpi": 96, "savefig.dpi": 150, "axes.titlesize": "medium", "figure.constrained_layout.use": True}
    )


def source_note(source: str) -> str:
    """What a caption says of where the data came from."""
    return "simulated data" if source == "simulated" else "real data"


def save_figure(run: Run, name: str, figure: Figure, numbers: pd.DataFrame | None = None) -> None:
    """figures/<profile>/<name>.png, and the plotted numbers beside it as .csv."""
    folder = run.figures_folder
    with replace_file(folder / f"{name}.png") as path:
        figure.savefig(path, metadata={"Software": None})  # the library's version would change the bytes
    if numbers is not None:
        with replace_file(folder / f"{name}.csv") as path:
            numbers.to_csv(path, index=False, float_format="%.4f")


# ------------------------------------------------------------------------------------------------------- scores


def _cell(values: tuple[float, float] | None) -> str:
    """'0.838 ± 0.012'; without a deviation where there is one seed."""
    if values is None:
        return "–"
    mean, deviation = values
    return f"{mean:.3f}" if np.isnan(deviation) else f"{mean:.3f} ± {deviation:.3f}"


def score_rows(run: Run, dataset: str) -> list[dict]:
    """One dict a row of the paper's table for this data set, in its order; ours None where not run."""
    spec, rows = SPECS[dataset], []
    for view in spec.views:
        methods = ("teacher",) if view == "all" else STUDENT_METHODS
        records = read_records(run, methods, view, dataset)
        for method in methods:
            record = records.get(method)
            row = {"dataset": dataset, "view": view, "method": method, "seeds": 0}
            if record:  # seeds with a score: those the mean is over
                row["seeds"] = sum(seed["roc_auc"] is not None for seed in record["seeds"])
            for metric in (*METRICS, "macro_f1_argmax"):
                ours = mean_and_deviation([s[metric] for s in record["seeds"]]) if record else None
                row[metric] = ours
                if metric in METRICS:
                    row[f"{metric}_published"] = published_score(dataset, view, method, metric)
            seeds = record["seeds"] if record else []
            row["test_windows"] = min((s["counts"]["windows"]["test"] for s in seeds), default=None)  # the fewest
            row["classes_absent"] = sorted({spec.classes[c] for s in seeds for c in s["classes_absent"]})
            row["source"] = record["source"] if record else "not run"
            row["notebook"] = _relative(run.record_path(method, view, dataset).with_suffix(".ipynb")) if record else ""
            rows.append(row)
    return rows


def _relative(path: Path) -> str:
    return str(path.relative_to(root())) if path.is_relative_to(root()) else str(path)


def datasets_run(run: Run, datasets: list[str]) -> list[str]:
    """Those data sets that have a record of at least one row."""
    return [dataset for dataset in datasets if any(row["seeds"] for row in score_rows(run, dataset))]


def compare(run: Run, methods: list[str]) -> pd.DataFrame:
    """Scores of the run's view by the methods that have a record, ours beside the published ones, as printed."""
    table = []
    for row in score_rows(run, run.dataset):
        if row["method"] in methods and row["view"] in (run.view, "all") and row["seeds"]:
            line = {"Method": METHODS[row["method"]].title}
            for metric, title in METRICS.items():
                line[title] = _cell(row[metric])
                line[f"{title}, published"] = _cell(row[f"{metric}_published"])
            table.append(line)
    return pd.DataFrame(table).set_index("Method")


def score_table(run: Run, dataset: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The data set's table twice: as numbers (for .csv) and as printed text, best poor-view method in bold."""
    rows = score_rows(run, dataset)
    numbers, printed = [], []
    for row in rows:
        flat = {k: row[k] for k in ("dataset", "view", "method", "seeds", "test_windows", "source", "notebook")}
        flat["classes_absent"] = "; ".join(row["classes_absent"])
        text = {"Data": SPECS[dataset].view_titles[row["view"]], "Method": METHODS[row["method"]].title}
        for metric in (*METRICS, "macro_f1_argmax"):
            for suffix in ("", "_published"):
                if f"{metric}{suffix}" not in row:
                    continue
                mean, deviation = row[f"{metric}{suffix}"] or (None, None)
                flat |= {f"{metric}{suffix}": mean, f"{metric}{suffix}_sd": deviation}
        for metric, title in METRICS.items():
            rivals = [r[metric][0] for r in rows if r["view"] == row["view"] != "all" and r[metric]]
            best = row[metric] and row["view"] != "all" and row[metric][0] == max(rivals) > min(rivals)
            text[title] = f"**{_cell(row[metric])}**" if best else _cell(row[metric])
            text[f"{title}, published"] = _cell(row[f"{metric}_published"])
        text["macro-F1, argmax"] = _cell(row["macro_f1_argmax"])
        numbers.append(flat)
        printed.append(text | {"Seeds": row["seeds"]})
    return pd.DataFrame(numbers), pd.DataFrame(printed)


def table1(run: Run, datasets: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Statistics of the data sets as read, beside Table 1."""
    rows = []
    for dataset in datasets:
        record = read_records(run, ["preprocessing"], "all", dataset).get("preprocessing")
        ours, paper = record["statistics"] if record else {}, published()["table1"].get(dataset, {})
        for name in ("subjects", "classes", "attributes", "total_length"):
            rows.append(
                {
                    "dataset": dataset,
                    "statistic": name,
                    "published": paper.get(name),
                    "ours": ours.get(name),
                    "source": record["source"] if record else "not run",
                }
            )
    numbers = pd.DataFrame(rows).astype({"published": "Int64", "ours": "Int64"})
    words = {"total_length": "length of all time series (rows)", "attributes": "attributes (channels)"}
    printed = pd.DataFrame(
        {
            "Data set": numbers.dataset.map(lambda d: SPECS[d].title),
            "Statistic": numbers.statistic.map(lambda name: words.get(name, name)),
            **{c.title(): [f"{v:,}" if pd.notna(v) else "–" for v in numbers[c]] for c in ("published", "ours")},
        }
    )
    return numbers, printed


def table5() -> pd.DataFrame:
    """Parameters of teacher and student: published, allocated (a second convolution counted), live (used)."""
    rows = []
    for dataset in ("pamap2", "ptbdb", "mimic3"):
        spec = SPECS[dataset]
        smallest = min(spec.poor_views, key=lambda v: len(spec.views[v]))  # MIMIC-III's student has one channel
        for view, model in (("all", "Teacher"), (smallest, "RDPD")):
            count = RCNN(spec, view).count()
            rows.append(
                {
                    "dataset": dataset,
                    "model": model,
                    "published": published()["table5_parameters"][dataset][model],
                    **count,
                }
            )
    return pd.DataFrame(rows)


FEW_WINDOWS = 30  # below this a caption warns

TITLES = {
    "table1": "Statistics of the data sets",
    "table5": "Number of parameters of each model",
    **{s.table_file: f"Performance on {s.title}{'' if s.table else ' (not in the paper)'}" for s in SPECS.values()},
}


def caption(name: str, numbers: pd.DataFrame) -> str:
    """The caption of a table, with the source of its numbers."""
    if name == "table5":
        return (
            f"{TITLES[name]}. Allocated parameters are those the paper counts, live ones are used in the forward pass; "
            "counts are of the models alone, the same for simulated data and real."
        )
    sources = [s for s in dict.fromkeys(numbers["source"]) if s != "not run"]
    notes = " and ".join(source_note(s) for s in sources) or "nothing run"
    simulated = " Numbers from simulated data say nothing about the paper's." if "simulated" in sources else ""
    few = min(numbers["test_windows"].dropna(), default=FEW_WINDOWS) if "test_windows" in numbers else FEW_WINDOWS
    if few < FEW_WINDOWS:
        simulated += f" A test part has {few:.0f} windows: its scores prove that the pipeline runs, and nothing else."
    absent = sorted({c for text in numbers.get("classes_absent", []) for c in text.split("; ") if c})
    if absent:
        simulated += f" Left out of the mean where a seed's test part has no window of it: {', '.join(absent)}."
    what = "" if name == "table1" else " Mean ± standard deviation over seeds; best method of each view in bold."
    return f"{TITLES[name]}: {notes}.{what}{simulated}"


def write_table(run: Run, name: str, numbers: pd.DataFrame, printed: pd.DataFrame) -> Path:
    """figures/<profile>/<name>.csv, .md and .tex; the caption stands in the last two, the source in all."""
    folder, text = run.figures_folder, caption(name, numbers)
    with replace_file(folder / f"{name}.csv") as path:
        numbers.to_csv(path, index=False, float_format="%.6g")
    with replace_file(folder / f"{name}.md") as path:
        path.write_text(f"{text}\n\n{printed.to_markdown(index=False)}\n")
    with replace_file(folder / f"{name}.tex") as path:
        path.write_text(_latex(printed, text))
    return folder / f"{name}.md"


def _latex(printed: pd.DataFrame, text: str) -> str:
    def escape(value: object) -> str:
        value = (
            str(value)
            .replace("&", r"\&")
            .replace("%", r"\%")
            .replace("_", r"\_")
            .replace("±", r"$\pm$")
            .replace("–", "--")
        )
        return rf"\textbf{{{value.strip('*')}}}" if value.startswith("**") else value

    lines = [" & ".join(map(escape, row)) + r" \\" for row in printed.itertuples(index=False)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape(text)}}}",
            rf"\begin{{tabular}}{{{'l' * printed.shape[1]}}}",
            r"\hline",
            " & ".join(map(escape, printed.columns)) + r" \\",
            r"\hline",
            *lines,
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


# -------------------------------------------------------------------------------------------------------- plots


def plot_curves(fitted: list, title: str) -> Figure:
    """Training loss and validation ROC-AUC by epoch, a thin line a seed, the kept epoch marked."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    for f in fitted:
        colour = COLOURS[f.member.method]
        epochs = np.arange(1, len(f.history["train_loss"]) + 1)
        left.plot(epochs, f.history["train_loss"], color=colour, alpha=0.7)
        right.plot(epochs, f.history["validation_roc_auc"], color=colour, alpha=0.7)
        kept = f.history["validation_roc_auc"][f.best_epoch - 1]
        right.plot(
            f.best_epoch,
            kept,
            MARKERS[f.member.method],
            color=colour,
            label=f"seed {f.member.seed}: epoch {f.best_epoch} kept",
        )
    left.set(xlabel="epoch", ylabel="training loss (nats)", title=title)
    right.set(xlabel="epoch", ylabel="validation ROC-AUC", title="the best epoch is kept")
    right.legend(fontsize="x-small")
    return figure


def plot_scores(run: Run, dataset: str, view: str = "") -> tuple[Figure, pd.DataFrame]:
    """Our scores (filled, mean and standard deviation over seeds) beside the published ones (hollow), by view.

    Of all views, or of the teacher and one.
    """
    rows = [row for row in score_rows(run, dataset) if row["seeds"] and (not view or row["view"] in ("all", view))]
    if not rows:
        raise UserError(f"no record of {SPECS[dataset].title} under {run.results_root}; run its notebooks first.")
    figure, axes = plt.subplots(1, 3, figsize=(11, 0.32 * len(rows) + 1.4), sharey=True)
    numbers = []
    labels = [f"{SPECS[dataset].view_titles[r['view']]}  {METHODS[r['method']].title}" for r in rows]
    for axis, (metric, title) in zip(axes, METRICS.items(), strict=True):
        for y, row in enumerate(rows):
            for values, shift, filled in ((row[metric], -0.12, True), (row[f"{metric}_published"], 0.16, False)):
                if values is None:
                    continue
                colour = COLOURS[row["method"]]
                axis.errorbar(
                    values[0],
                    y + shift,
                    xerr=np.nan_to_num(values[1]),
                    color=colour,
                    marker=MARKERS[row["method"]],
                    markerfacecolor=colour if filled else "white",
                    linewidth=1,
                    markersize=5,
                )
                numbers.append(
                    {
                        "view": row["view"],
                        "method": row["method"],
                        "metric": metric,
                        "mean": values[0],
                        "sd": values[1],
                        "of": row["source"] if filled else "published",
                    }
                )
        axis.set(xlabel=title)
    axes[0].set_yticks(range(len(rows)), labels)
    axes[0].invert_yaxis()
    note = source_note(rows[0]["source"])
    figure.suptitle(
        f"{SPECS[dataset].title}, {note}: ours filled, the paper's hollow; bars are standard deviations over seeds"
    )
    return figure, pd.DataFrame(numbers)


def plot_sweep(numbers: pd.DataFrame, level: str, xlabel: str, title: str) -> Figure:
    """ROC-AUC and PR-AUC against the level of a sweep: mean over seeds with the range of seeds shaded.

    numbers: columns method, seed, roc_auc, pr_auc and `level`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    for axis, metric in zip(axes, ("roc_auc", "pr_auc"), strict=True):
        for method, rows in numbers.groupby("method", sort=False):
            by_level = rows.groupby(level)[metric].agg(["mean", "min", "max"])
            axis.plot(
                by_level.index,
                by_level["mean"],
                marker=MARKERS[method],
                color=COLOURS[method],
                label=METHODS[method].title,
            )
            axis.fill_between(by_level.index, by_level["min"], by_level["max"], color=COLOURS[method], alpha=0.15)
        axis.set(xlabel=xlabel, ylabel=METRICS[metric])
    axes[0].legend()
    figure.suptitle(f"{title} (line: mean over seeds, band: lowest to highest seed)")
    return figure
