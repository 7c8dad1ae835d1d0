"""Tables and figures from records alone: nothing here opens data or trains."""

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from .data.download import UCI_HAR_WINDOWS
from .errors import UserError
from .evaluation import RULE, bootstrap_interval, holm, latency_ms, mean_and_deviation, paired, verdict
from .files import replace_file, root
from .models import RCNN
from .paper import METHODS, METRICS, SPECS, STUDENT_METHODS, Spec, published, published_score
from .params import Run
from .results import belongs, read_record, read_records

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


ALL_METRICS = (*METRICS, "macro_f1_argmax")  # what a record holds of each seed


def shown_metrics(run: Run) -> dict[str, str]:
    """Title of each metric that is shown and set beside the paper's, by its name in a record.

    The only place that chooses between the two macro-F1: threshold 0.5 (the text), or argmax with the switch.
    """
    if run.protocol.macro_f1 == "threshold":
        return METRICS
    return {"roc_auc": METRICS["roc_auc"], "pr_auc": METRICS["pr_auc"], "macro_f1_argmax": "macro-F1 (argmax)"}


def score_rows(run: Run, dataset: str) -> list[dict]:
    """One dict a row of the paper's table for this data set, in its order; ours None where not run.

    For each metric its mean and deviation over seeds, `<metric>_published` for those shown, and under `scores` the
    seeds' own: {metric: {seed: score}}.
    """
    spec, rows, published_names = SPECS[dataset], [], dict(zip(shown_metrics(run), METRICS, strict=True))
    for view in spec.views:
        methods = ("teacher",) if view == "all" else STUDENT_METHODS
        records = read_records(run, methods, view, dataset)
        for method in methods:
            record = records.get(method)
            seeds = record["seeds"] if record else []
            row = {"dataset": dataset, "view": view, "method": method}
            row["seeds"] = sum(seed["roc_auc"] is not None for seed in seeds)  # with a score: those the mean is over
            row["scores"] = {metric: {s["seed"]: s[metric] for s in seeds} for metric in ALL_METRICS}
            for metric in ALL_METRICS:
                row[metric] = mean_and_deviation(list(row["scores"][metric].values()))
            for metric, name in published_names.items():
                row[f"{metric}_published"] = published_score(dataset, view, method, name)
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
            for metric, title in shown_metrics(run).items():
                line[title] = _cell(row[metric])
                line[f"{title}, published"] = _cell(row[f"{metric}_published"])
            table.append(line)
    return pd.DataFrame(table).set_index("Method")


def score_table(run: Run, dataset: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The data set's table twice: as numbers (for .csv), a row a (view, method, metric), and as printed text.

    The text is Markdown: best method of each poor view in bold, by ours and by the paper's; each method linked to its
    notebook, from the folder of figures.
    """
    rows, metrics = score_rows(run, dataset), shown_metrics(run)
    numbers = [number for row in rows for number in _numbers(row)]
    printed = []
    for row in rows:
        rivals = [r for r in rows if r["view"] == row["view"] != "all"]
        text = {"Data": SPECS[dataset].view_titles[row["view"]], "Method": METHODS[row["method"]].title}
        if row["notebook"]:
            text["Method"] = f"[{text['Method']}]({os.path.relpath(root() / row['notebook'], run.figures_folder)})"
        for metric, title in metrics.items():
            text[title] = _bold_if_best(row, rivals, metric)
            if SPECS[dataset].table:
                text[f"{title}, paper"] = _bold_if_best(row, rivals, f"{metric}_published")
                text[f"{title}, verdict"] = _verdict(row, metric) or "–"
        printed.append(text | {"Seeds": row["seeds"]})
    read = run.record_path("preprocessing", "all", dataset)
    windows = read_record(read).get("windows") if read.is_file() else None
    return pd.DataFrame(numbers).assign(windows=pd.array([windows] * len(numbers), "Int64")), pd.DataFrame(printed)


def _numbers(row: dict) -> Iterator[dict]:
    """A row's line in the .csv for each metric; `low` and `high` bound the bootstrap interval of the mean."""
    for metric in ALL_METRICS:
        values = list(row["scores"][metric].values())
        mean, deviation = row[metric] or (None, None)
        low, high = bootstrap_interval(values) or (None, None)
        paper, paper_deviation = row.get(f"{metric}_published") or (None, None)
        yield {
            **{name: row[name] for name in ("dataset", "view", "method")},
            **{"metric": metric, "mean": mean, "sd": deviation, "low": low, "high": high},
            "seeds": sum(v is not None for v in values),
            **{"published": paper, "published_sd": paper_deviation, "verdict": _verdict(row, metric)},
            "test_windows": row["test_windows"],
            "classes_absent": "; ".join(row["classes_absent"]),
            **{name: row[name] for name in ("source", "notebook")},
        }


def _verdict(row: dict, metric: str) -> str | None:
    """The verdict on real data; 'one seed' or 'few windows' where a score says too little for one; else None."""
    if row["source"] != "real" or not row[metric] or not row.get(f"{metric}_published"):
        return None
    if row["test_windows"] is not None and row["test_windows"] < FEW_WINDOWS:
        return "few windows"
    return verdict(list(row["scores"][metric].values()), *row[f"{metric}_published"]) or "one seed"


def _bold_if_best(row: dict, rivals: list[dict], key: str) -> str:
    """The cell of mean and deviation under `key`, in bold if no rival has a higher mean and one a lower."""
    means = [r[key][0] for r in rivals if r[key]]
    best = row[key] and means and row[key][0] == max(means) > min(means)
    return f"**{_cell(row[key])}**" if best else _cell(row[key])


def paired_table(run: Run, dataset: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """RDPD less each other method of the same view over the seeds both have, as numbers and as printed text.

    p_holm_metric, which is printed, is corrected for the table's comparisons by one metric, p_holm for all of them.
    On PAMAP2 these are 36: even if RDPD won in all of 10 seeds, p_holm would be 36 / 512 = 0.07.
    """
    rows, metrics = score_rows(run, dataset), shown_metrics(run)
    by_name, numbers = {(row["view"], row["method"]): row for row in rows}, []
    for view in SPECS[dataset].poor_views:
        rdpd = by_name[view, "rdpd"]
        for method in STUDENT_METHODS[:-1]:
            for metric in metrics:
                ours, other = rdpd["scores"][metric], by_name[view, method]["scores"][metric]
                common = [seed for seed in ours if seed in other]
                found = paired([ours[seed] for seed in common], [other[seed] for seed in common])
                names = {"dataset": dataset, "view": view, "method": "rdpd", "against": method, "metric": metric}
                numbers.append(names | found | {"source": rdpd["source"] if found["seeds"] else "not run"})
    numbers = pd.DataFrame(numbers)
    numbers["p_holm_metric"] = None
    for metric in metrics:
        here = numbers["metric"] == metric
        numbers.loc[here, "p_holm_metric"] = _holm(numbers.loc[here, "p"])
    numbers["p_holm"] = _holm(numbers["p"])
    numeric = ["difference", "low", "high", "p", "p_holm_metric", "p_holm"]
    numbers[numeric] = numbers[numeric].astype(float)
    return numbers, _paired_text(numbers, SPECS[dataset], metrics)


def _holm(p: pd.Series) -> np.ndarray:
    return np.array(holm([None if pd.isna(v) else v for v in p]), float)


def _paired_text(numbers: pd.DataFrame, spec: Spec, metrics: dict[str, str]) -> pd.DataFrame:
    """A row a (view, rival): difference with its interval, p and corrected p of each metric."""
    printed = []
    for (view, method), rows in numbers.groupby(["view", "against"], sort=False):
        text = {"Data": spec.view_titles[view], "RDPD against": METHODS[method].title}
        for row in rows.itertuples():
            title = metrics[row.metric]
            interval = "" if np.isnan(row.low) else f" [{row.low:+.3f}, {row.high:+.3f}]"
            text[f"{title}, difference"] = "–" if np.isnan(row.difference) else f"{row.difference:+.3f}{interval}"
            text[f"{title}, p"] = _p(row.p)
            corrected = _p(row.p_holm_metric)
            text[f"{title}, Holm p"] = f"**{corrected}**" if row.p_holm_metric < 0.05 else corrected
        printed.append(text | {"Seeds": rows["seeds"].max()})
    return pd.DataFrame(printed)


def _p(p: float) -> str:
    return "–" if np.isnan(p) else f"{p:.3f}" if p >= 0.0005 else "<0.001"


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


def multiply_adds(spec: Spec, view: str) -> int:
    """Multiplications (each with its addition) in the matrix products of RCNN for one window.

    Biases, activations, pooling and the products of gates with states are not counted.

    Convolutions: M S'_i K_i K_{i-1} kernel. BiLSTM: 2 directions, M steps, 4 gates of U (K + U). Attention: a score and
    a weighted sum of M 2U. Dense: 2U C.
    """
    size, m, samples, width = spec.size(view), spec.segments, spec.segment, len(spec.views[view])
    total = 0
    for filters in size.filters:
        samples = (samples - spec.kernel) // spec.stride + 1
        total += m * samples * filters * width * spec.kernel
        width = filters
    u = size.hidden
    return total + 2 * m * 4 * u * (width + u) + 2 * m * 2 * u + 2 * u * len(spec.classes)


def _table5_models() -> Iterator[tuple[Spec, str, str]]:
    """Spec, name and view of the six models of Table 5."""
    for dataset in published()["table5_parameters"]:
        spec = SPECS[dataset]
        yield spec, "Teacher", "all"
        yield spec, "RDPD", min(spec.poor_views, key=lambda v: len(spec.views[v]))  # MIMIC-III's has one channel


def table5() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Parameters of teacher and student: published, allocated (a second convolution counted), live (used); work."""
    rows = [
        {
            "dataset": spec.name,
            "model": model,
            "published": published()["table5_parameters"][spec.name][model],
            **RCNN(spec, view).count(),
            "multiply_adds": multiply_adds(spec, view),
        }
        for spec, model, view in _table5_models()
    ]
    numbers = pd.DataFrame(rows)
    printed = pd.DataFrame(
        {
            "Data": numbers["dataset"].map(lambda d: SPECS[d].title),
            "Model": numbers["model"],
            "Parameters, published": numbers["published"],
            **{f"Parameters, {c}": [f"{n:,}" for n in numbers[c]] for c in ("allocated", "live")},
            "Multiply-adds, one window": [f"{n:,}" for n in numbers["multiply_adds"]],
        }
    )
    return numbers, printed


def latency_table(run: Run) -> pd.DataFrame:
    """Time of one window on this machine's CPU (ms) by the six models of Table 5, measured now.

    Written as results/<profile>/table5_latency.csv, not among the figures: it differs by machine and from run to run.
    """
    rows = [
        {
            "dataset": spec.name,
            "model": model,
            "latency_ms": latency_ms(RCNN(spec, view), (spec.length, len(spec.views[view]))),
            "machine": machine(),
            "threads": torch.get_num_threads(),
        }
        for spec, model, view in _table5_models()
    ]
    numbers = pd.DataFrame(rows)
    with replace_file(run.results_root / "table5_latency.csv") as path:
        numbers.to_csv(path, index=False, float_format="%.4f")
    return numbers


def machine() -> str:
    """The processor's name, as the system gives it."""
    try:
        names = re.findall(r"^model name\s*: (.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        names = []
    return names[0] if names else platform.processor() or platform.machine()


FEW_WINDOWS = 30  # below this a caption warns and there is no verdict

TITLES = {
    "table1": "Statistics of the data sets",
    "table5": "Size and work of each model",
    **{s.table_file: f"Performance on {s.title}{'' if s.table else ' (not in the paper)'}" for s in SPECS.values()},
    **{f"{s.table_file}_paired": f"RDPD against the other methods, {s.title}" for s in SPECS.values()},
}


def caption(name: str, numbers: pd.DataFrame) -> str:
    """The caption of a table, with the source of its numbers."""
    if name == "table5":
        return (
            f"{TITLES[name]}. Allocated parameters are those the paper counts, live ones are used in the forward pass; "
            "multiply-adds are those of one window's forward pass; all are of the models alone, the same for simulated "
            "data and real."
        )
    sources = [s for s in dict.fromkeys(numbers["source"]) if s != "not run"]
    notes = " and ".join(source_note(s) for s in sources) or "nothing run"
    text = f"{TITLES[name]}: {notes}."
    if name.endswith("_paired"):
        text += _paired_words(numbers)
    elif name != "table1":
        text += " Mean ± standard deviation over seeds; best method of each view in bold."
    windows, whole = numbers.get("windows"), sum(UCI_HAR_WINDOWS.values())
    if name == SPECS["uci_har"].table_file and "real" in sources and windows.notna().any() and windows.max() < whole:
        text += f" The data are {windows.max():,} of the data set's {whole:,} windows."
    if "simulated" in sources:
        text += " Numbers from simulated data say nothing about the paper's"
        text += " (simulated data: no verdict, –)." if _has_published(numbers) else "."
    few = min(numbers["test_windows"].dropna(), default=FEW_WINDOWS) if "test_windows" in numbers else FEW_WINDOWS
    if few < FEW_WINDOWS:
        text += f" A test part has {few:.0f} windows: its scores prove that the pipeline runs, and nothing else."
    absent = sorted({c for text in numbers.get("classes_absent", []) for c in text.split("; ") if c})
    if absent:
        text += f" Left out of the mean where a seed's test part has no window of it: {', '.join(absent)}."
    return text


def _has_published(numbers: pd.DataFrame) -> bool:
    """Whether a table of scores has published ones, and so verdicts."""
    return "verdict" in numbers and bool(numbers["published"].notna().any())


def _paired_words(numbers: pd.DataFrame) -> str:
    """What the columns of a paired table are, and the least its corrected p can be."""
    text = (
        " Mean difference over common seeds with its 95 % bootstrap interval; p of Wilcoxon's signed-rank test, and "
        "after Holm's correction for the table's comparisons by the same metric, in bold below 0.05."
    )
    compared = numbers[numbers["p"].notna()]
    if len(compared):
        each, seeds = compared["metric"].value_counts().max(), compared["seeds"].max()
        least = min(1.0, each * 2.0 ** (1 - seeds))
        text += f" With {each} comparisons of {seeds} seeds the smallest possible one is {least:.2g}."
    return text


def note(numbers: pd.DataFrame) -> str:
    """What stands under a table: the rule of its verdicts."""
    return RULE if _has_published(numbers) else ""


def write_table(run: Run, name: str, numbers: pd.DataFrame, printed: pd.DataFrame) -> Path:
    """figures/<profile>/<name>.csv, .md and .tex; the caption stands in the last two, the source in all."""
    folder, text, under = run.figures_folder, caption(name, numbers), note(numbers)
    with replace_file(folder / f"{name}.csv") as path:
        numbers.to_csv(path, index=False, float_format="%.6g")
    with replace_file(folder / f"{name}.md") as path:
        path.write_text(
            "\n\n".join(filter(None, (text, printed.to_markdown(index=False, disable_numparse=True), under))) + "\n"
        )
    with replace_file(folder / f"{name}.tex") as path:
        path.write_text(_latex(printed, text, under))
    return folder / f"{name}.md"


_LINK = re.compile(r"\[([^\]]*)\]\(([^)]*)\)")  # of Markdown: text, target
VERDICT_COLOURS = {"agrees": "#009E73", "higher": "#0072B2", "lower": "#D55E00"}


def styled(run: Run, name: str, numbers: pd.DataFrame, printed: pd.DataFrame) -> Styler:
    """A table for a notebook: ours, the paper's and the verdict under one heading a metric, verdicts in colour.

    Links lead from where the notebook lies: notebooks/ when run there, else results/<profile>/.
    """
    folder = Path.cwd() if Path.cwd().name == "notebooks" else run.results_root

    def html(cell: object) -> str:
        text = re.sub(r"\*\*(.+)\*\*", r"<b>\1</b>", str(cell))
        return _LINK.sub(lambda m: f'<a href="{os.path.relpath(run.figures_folder / m[2], folder)}">{m[1]}</a>', text)

    keys = list(printed.columns[:2])
    table = printed.set_index(keys)
    if grouped := any(", " in column for column in table.columns):
        table.columns = pd.MultiIndex.from_tuples([_heading(column, table.columns) for column in table.columns])
    look = Styler(table, uuid=name, cell_ids=False).format(html).format_index(html, axis=0)
    look = look.map(lambda cell: f"color: {VERDICT_COLOURS[cell]}" if cell in VERDICT_COLOURS else "")
    lines = [{"selector": "caption", "props": "caption-side: top; text-align: left; font-weight: bold"}]
    lines += [{"selector": "td, th", "props": "text-align: left; white-space: nowrap; vertical-align: top"}]
    first = [i for i in range(1, len(printed)) if printed[keys[0]][i] != printed[keys[0]][i - 1]]
    lines += [{"selector": f"tbody tr:nth-child({i + 1}) > *", "props": "border-top: 1px solid #999"} for i in first]
    if grouped:
        lines += [{"selector": "thead tr:first-child th", "props": "border-bottom: 1px solid #999"}]
    return look.set_caption(caption(name, numbers)).set_table_styles(lines)


def _heading(column: str, columns: pd.Index) -> tuple[str, str]:
    """'ROC-AUC, paper' -> ('ROC-AUC', 'paper'); 'ROC-AUC', which has such a neighbour, -> ('ROC-AUC', 'ours')."""
    group, _, own = column.partition(", ")
    return group, own or ("ours" if any(c.startswith(f"{group}, ") for c in columns) else "")


_TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "±": r"$\pm$", "–": "--", "<": "$<$"}


def _tex(value: object) -> str:
    """A cell for LaTeX: bold kept, links left out."""
    text = _LINK.sub(r"\1", str(value))
    bold = text.startswith("**")
    text = "".join(_TEX.get(character, character) for character in text.strip("*"))
    return rf"\textbf{{{text}}}" if bold else text


def _latex(printed: pd.DataFrame, text: str, under: str = "") -> str:
    """A LaTeX table with a rule between views and, where columns share a heading, two lines of headings."""
    headings = [_heading(column, printed.columns) for column in printed.columns]
    head = [" & ".join(_tex(own or group) for group, own in headings) + r" \\"]
    if any(own for _, own in headings):
        groups = [(name, list(columns)) for name, columns in groupby(headings, lambda h: h[0] if h[1] else "")]
        head.insert(0, " & ".join(rf"\multicolumn{{{len(c)}}}{{l}}{{{_tex(name)}}}" for name, c in groups) + r" \\")
    lines = []
    for i, row in enumerate(printed.itertuples(index=False)):
        if i and row[0] != printed.iloc[i - 1, 0]:
            lines.append(r"\hline")
        lines.append(" & ".join(map(_tex, row)) + r" \\")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            *([r"\scriptsize", r"\setlength{\tabcolsep}{3pt}"] if printed.shape[1] > 8 else []),
            rf"\caption{{{_tex(text)}}}",
            rf"\begin{{tabular}}{{{'l' * printed.shape[1]}}}",
            r"\hline",
            *head,
            r"\hline",
            *lines,
            r"\hline",
            r"\end{tabular}",
            *([rf"\par\footnotesize {_tex(under)}"] if under else []),
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
    for axis, (metric, title) in zip(axes, shown_metrics(run).items(), strict=True):
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


@dataclass(frozen=True)
class Sweep:
    """One of Figures 2 and 3: the notebook's record, the parameter that is swept, and what the paper says of it."""

    record: str
    level: str  # name of the swept quantity in an entry of the record
    xlabel: str
    claim: str


SWEEPS = {
    "figure2": Sweep(
        "rich_data_size",
        "fraction",
        "fraction of the training windows",
        "RDPD outperforms the baselines even with few rich data",
    ),
    "figure3": Sweep(
        "noise_robustness",
        "amplitude",
        "noise amplitude (standard deviations of the channel)",
        "both fall with the amplitude, and RDPD stays above Direct",
    ),
}
SWEEP_METRICS = {name: METRICS[name] for name in ("roc_auc", "pr_auc")}


def sweep_numbers(record: dict, level: str) -> pd.DataFrame:
    """One sweep's scores by seed: columns dataset, view, method, `level`, seed, roc_auc, pr_auc, source.

    An entry without a level (Direct, in Figure 2) holds for every one.
    """
    levels = sorted({e[level] for e in record["entries"] if e[level] is not None})
    rows = [
        {
            **{name: record[name] for name in ("dataset", "view")},
            **{"method": e["method"], level: value, "seed": e["seed"]},
            **{metric: e[metric] for metric in SWEEP_METRICS},
            "source": record["source"],
        }
        for e in record["entries"]
        for value in (levels if e[level] is None else [e[level]])
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(SWEEP_METRICS, float))


def sweep_curves(run: Run, figure: str, dataset: str) -> pd.DataFrame | None:
    """`sweep_numbers` of all views that have a record of 'figure2' or 'figure3', in the data set's order; else None.

    Records of another source, other seeds, patience or switches than the run's, or of more epochs, are left out (a
    sweep may have fewer epochs than the tables), and so are those whose sweep is not that of the first view's.
    """
    sweep, kept = SWEEPS[figure], []
    for view in SPECS[dataset].poor_views:
        path = run.record_path(sweep.record, view, dataset)
        record = read_record(path) if path.is_file() else None
        if record and "entries" not in record:
            raise UserError(f"{path} is not a record of a sweep; delete it and run its notebook again.")
        if record and belongs(run, record) and (not kept or _same_but_view(record, kept[0])):
            kept.append(record)
    return pd.concat([sweep_numbers(r, sweep.level) for r in kept], ignore_index=True) if kept else None


def _same_but_view(record: dict, other: dict) -> bool:
    one, two = ({**r["parameters"], "view": "", "device": ""} for r in (record, other))
    return one == two


def summarise_sweep(numbers: pd.DataFrame, level: str) -> pd.DataFrame:
    """What a sweep's figure shows, a row a point: mean over seeds and its 95 % bootstrap interval (low, high).

    rdpd_above: whether RDPD's mean is above this method's at this level; none for RDPD itself.
    """
    keys = [name for name in ("dataset", "view", "method", level) if name in numbers]
    points = []
    for metric in SWEEP_METRICS:
        for key, values in numbers.groupby(keys, sort=False)[metric]:
            there = values.dropna().tolist()
            low, high = bootstrap_interval(there) or (None, None)
            points.append(
                {
                    **dict(zip(keys, key, strict=True)),
                    **{"metric": metric, "mean": np.mean(there) if there else None, "low": low, "high": high},
                    "seeds": len(there),
                }
            )
    points = pd.DataFrame(points).astype(dict.fromkeys(("mean", "low", "high"), float))
    at = [name for name in (*keys, "metric") if name != "method"]
    rdpd = points[points["method"] == "rdpd"].set_index(at)["mean"]
    rdpd = rdpd.reindex(pd.MultiIndex.from_frame(points[at])).to_numpy()
    unknown = (points["method"] == "rdpd") | points["mean"].isna() | np.isnan(rdpd)
    points["rdpd_above"] = pd.array(rdpd > points["mean"], "boolean")
    points.loc[unknown, "rdpd_above"] = pd.NA
    return points.assign(source=numbers["source"].iloc[0]) if "source" in numbers else points


def sweep_claims(numbers: pd.DataFrame, level: str) -> pd.DataFrame:
    """Whether RDPD stays above each other method at every level, a row a (view, metric, rival); by means over seeds.

    `holds` is false where one level fails or cannot be told; `levels_above` counts those that hold, and
    `smallest_difference` is RDPD's mean less the rival's at the level, `at`, where that is least.
    """
    points = summarise_sweep(numbers, level)
    keys = [name for name in ("view", "metric", "against") if name in points or name == "against"]
    rdpd = points[points["method"] == "rdpd"]
    rivals = points[points["method"] != "rdpd"].rename(columns={"method": "against"})
    on = [name for name in ("view", level, "metric") if name in points]
    rivals = rivals.merge(rdpd[[*on, "mean"]], on=on, how="left", suffixes=("", "_rdpd"))
    claims = []
    for key, rows in rivals.groupby(keys, sort=False):
        difference = rows["mean_rdpd"] - rows["mean"]
        least = difference.idxmin() if difference.notna().any() else None
        above = rows["rdpd_above"].fillna(False)
        claims.append(
            {
                **dict(zip(keys, key, strict=True)),
                **{"holds": bool(above.all()), "levels_above": int(above.sum()), "levels": len(rows)},
                "smallest_difference": None if least is None else difference[least],
                "at": None if least is None else rows[level][least],
            }
        )
    return pd.DataFrame(claims)


def plot_sweep(numbers: pd.DataFrame, level: str, xlabel: str, title: str) -> Figure:
    """ROC-AUC and PR-AUC against the level of a sweep: mean over seeds in its 95 % bootstrap interval.

    numbers: columns method, seed, roc_auc, pr_auc, `level` and, for several views, dataset and view: a column of panels
    a view, a row a metric; one view has its metrics side by side. Above each panel: how often RDPD is above the others.
    """
    if "view" not in numbers:
        numbers = numbers.assign(dataset="", view="")
    points, claims = summarise_sweep(numbers, level), sweep_claims(numbers, level)
    views = list(dict.fromkeys(numbers["view"]))
    shape = (len(SWEEP_METRICS), len(views)) if len(views) > 1 else (1, len(SWEEP_METRICS))
    size = (3.4 * shape[1] + 0.6, 2.7 * shape[0] + 0.5) if len(views) > 1 else (9, 3.4)
    figure, axes = plt.subplots(*shape, figsize=size, sharey="row" if len(views) > 1 else False, squeeze=False)
    panels = [(metric, view) for metric in SWEEP_METRICS for view in views]
    for axis, (metric, view) in zip(axes.flat, panels, strict=True):
        _plot_panel(axis, points[(points["view"] == view) & (points["metric"] == metric)], level)
        there = claims[(claims["view"] == view) & (claims["metric"] == metric)]
        top = len(views) > 1 and metric == "roc_auc"
        name = SPECS[numbers["dataset"].iloc[0]].view_titles[view] if top else ""
        axis.set_title("\n".join(filter(None, (name, _claim_words(there)))), fontsize="small")
        axis.set_ylabel(SWEEP_METRICS[metric] if len(views) == 1 or view == views[0] else "")
    figure.supxlabel(xlabel, fontsize="medium")
    axes[0, 0].legend(fontsize="small")
    seeds = points["seeds"].max()
    band = f"{seeds} seeds, band: 95 % bootstrap interval" if seeds > 1 else "one seed"
    figure.suptitle(f"{title} (line: mean over {band})" if seeds > 1 else f"{title} ({band})", fontsize="medium")
    return figure


def _plot_panel(axis: plt.Axes, points: pd.DataFrame, level: str) -> None:
    for method, rows in points.sort_values(level).groupby("method", sort=False):
        axis.plot(rows[level], rows["mean"], marker=MARKERS[method], color=COLOURS[method], label=METHODS[method].title)
        axis.fill_between(rows[level], rows["low"], rows["high"], color=COLOURS[method], alpha=0.15, linewidth=0)


def _claim_words(claims: pd.DataFrame) -> str:
    """'RDPD above Direct at 3 of 3, Distill at 2 of 3 levels'."""
    words = [f"{METHODS[c.against].title} at {c.levels_above} of {c.levels}" for c in claims.itertuples()]
    return f"RDPD above {', '.join(words)} levels" if words else ""


def sweep_figure(run: Run, figure: str, dataset: str) -> tuple[Figure, pd.DataFrame, pd.DataFrame] | None:
    """Figure 2 or 3 ('figure2', 'figure3') of all views there are, the plotted numbers, the claims; None without any.

    The paper prints no numbers of these figures, only what `SWEEPS` says.
    """
    sweep, curves = SWEEPS[figure], sweep_curves(run, figure, dataset)
    if curves is None:
        return None
    source = source_note(curves["source"].iloc[0])
    if curves["view"].nunique() == 1:
        source = f"{SPECS[dataset].view_titles[curves['view'].iloc[0]]}, {source}"
    drawn = plot_sweep(curves, sweep.level, sweep.xlabel, f"{SPECS[dataset].title}, {source}")
    return drawn, summarise_sweep(curves, sweep.level), sweep_claims(curves, sweep.level)
