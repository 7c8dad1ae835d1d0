"""The paper's tables with ours beside them, and sentences, from the frames of `records` alone: nothing is trained."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from . import cost, render
from .data import DATASETS, SPECS, Windows
from .files import replace_file, root
from .models import RCNN
from .paper import METHODS, METRICS, STUDENT_METHODS, SWITCHES, published, published_score
from .records import SCORES, SWEEP_METRICS, any_of, names, read_record, read_records, read_scores
from .run import Run
from .statistics import RULE, bootstrap_interval, holm, mean_and_deviation, verdict
from .statistics import paired as compare_pairs

FEW_WINDOWS = 30  # below this a caption warns and there is no verdict
BESIDES = ("Data", "Data set", "Statistic", "Method", "Model", "RDPD against", "Seeds")  # columns of no numbers


@dataclass(frozen=True, repr=False)
class Table:
    """A table as numbers (for .csv) and as printed text, whose first `keys` columns name a row."""

    name: str  # 'table2', of its files under figures/<profile>/
    title: str
    caption: str  # with the source of the numbers
    numbers: pd.DataFrame
    printed: pd.DataFrame
    rows: list[str]  # of each printed row the record its numbers are from, '' where it is not one alone
    records: list[str] = field(default_factory=list)  # those there are, of the whole table
    note: str = ""  # what stands under it
    keys: int = 2

    @property
    def ours(self) -> list[str]:
        """The printed columns that hold numbers of ours."""
        return [
            c for c in self.printed if c not in BESIDES and not c.lower().endswith(("published", "paper", "verdict"))
        ]

    def __repr__(self) -> str:
        return self.caption

    def _repr_html_(self) -> str:
        return render.html(self)


def source_note(source: str) -> str:
    """What a caption says of where the data came from."""
    return "simulated data" if source == "simulated" else "real data"


def _sources(sources: pd.Series) -> str:
    run = [s for s in dict.fromkeys(sources) if s != "not run"]
    return " and ".join(map(source_note, run)) or "nothing run"


def _warning(sources: pd.Series) -> str:
    return " Numbers from simulated data say nothing about the paper's." if "simulated" in set(sources) else ""


# ------------------------------------------------------------------------------------------------------- scores


def shown_metrics(run: Run) -> dict[str, str]:
    """Title of each metric that is shown and set beside the paper's, by its name in a record.

    The only place that chooses between the two macro-F1: threshold 0.5 (the text), or argmax with the switch.
    """
    if run.protocol.macro_f1 == "threshold":
        return METRICS
    return {"roc_auc": METRICS["roc_auc"], "pr_auc": METRICS["pr_auc"], "macro_f1_argmax": "macro-F1 (argmax)"}


def summary(run: Run, dataset: str) -> pd.DataFrame:
    """A row a (view, method, metric) in the paper's order: mean, sd, the bootstrap interval low to high of the mean,
    number of seeds with a score, the published mean and sd where shown, verdict, and where it came from."""
    spec, frame = SPECS[dataset], read_scores(run, dataset)
    there = dict(iter(frame.groupby(["view", "method", "metric"])))
    published_as, rows = dict(zip(shown_metrics(run), METRICS, strict=True)), []
    for view in spec.views:
        for method in ("teacher",) if view == "all" else STUDENT_METHODS:
            for metric in SCORES:
                ours = there.get((view, method, metric), frame[:0])
                values, few = ours["score"].tolist(), ours["test_windows"].min() < FEW_WINDOWS
                mean, deviation = mean_and_deviation(values) or (None, None)
                low, high = bootstrap_interval(values) or (None, None)
                source = "not run" if ours.empty else ours["source"].iloc[0]
                name = published_as.get(metric)
                paper = (name and published_score(spec, view, method, name)) or (None, None)
                judged = None
                if source == "real" and mean is not None and paper[0] is not None:
                    judged = "few windows" if few else verdict(values, *paper) or "one seed"
                rows.append(
                    {
                        **{"dataset": dataset, "view": view, "method": method, "metric": metric},
                        **{"mean": mean, "sd": deviation, "low": low, "high": high},
                        "seeds": int(ours["score"].notna().sum()),
                        **{"published": paper[0], "published_sd": paper[1], "verdict": judged},
                        "test_windows": None if ours.empty else ours["test_windows"].min(),
                        "classes_absent": _absent(ours),
                        "source": source,
                        "notebook": "" if ours.empty else _notebook(run, dataset, view, method),
                    }
                )
    return pd.DataFrame(rows)


def _absent(frame: pd.DataFrame) -> str:
    """Titles of the classes without a window in some test part, '; ' between them."""
    return "; ".join(sorted({title for text in frame["classes_absent"] for title in text.split("; ") if title}))


def _notebook(run: Run, dataset: str, view: str, method: str) -> str:
    path = run.record_path(method, view, dataset).with_suffix(".ipynb")
    return str(path.relative_to(root())) if path.is_relative_to(root()) else str(path)


def _cell(mean: float | None, deviation: float | None) -> str:
    """'0.838 ± 0.012'; without a deviation where there is one seed, a dash without any."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.3f}" if pd.isna(deviation) else f"{mean:.3f} ± {deviation:.3f}"


def _bold_best(rows: pd.DataFrame, mean: str, deviation: str) -> list[str]:
    """Cells of one metric; in each poor view the highest mean is bold if another is lower."""
    cells = []
    for _, view in rows.groupby("view", sort=False):
        best = view[mean].max() if view[mean].max() > view[mean].min() and view["view"].iloc[0] != "all" else None
        for row in view.to_dict("records"):
            text = _cell(row[mean], row[deviation])
            cells.append(f"**{text}**" if best is not None and row[mean] == best else text)
    return cells


def scores(run: Run, dataset: str) -> Table:
    """The paper's table of this data set, ours beside it; rows not run are dashes, real data have a verdict.

    The best method of each poor view is bold, by ours and by the paper's. The numbers have a row a (view, method,
    metric), both macro-F1 among them.
    """
    spec, numbers = SPECS[dataset], summary(run, dataset)
    each = numbers[numbers["metric"] == "roc_auc"]
    printed = {"Data": each["view"].map(spec.view_titles), "Method": [METHODS[m].title for m in each["method"]]}
    for metric, title in shown_metrics(run).items():
        rows = numbers[numbers["metric"] == metric].astype({"mean": float, "published": float})
        printed[title] = _bold_best(rows, "mean", "sd")
        if spec.table:
            printed[f"{title}, paper"] = _bold_best(rows, "published", "published_sd")
        if rows["verdict"].notna().any():
            printed[f"{title}, verdict"] = rows["verdict"].fillna("–").tolist()
    printed = pd.DataFrame({name: list(column) for name, column in printed.items()} | {"Seeds": each["seeds"].tolist()})
    numbers["windows"] = pd.array([_windows(run, dataset)] * len(numbers), "Int64")
    title = f"Performance on {spec.title}{'' if spec.table else ' (not in the paper)'}"
    made_from = names(each[each["source"] != "not run"])
    caption = f"{title}: {_sources(numbers['source'])}."
    caption += " Mean ± standard deviation over seeds; best method of each view in bold."
    caption += _share_words(dataset, numbers) + _warning(numbers["source"]) + _test_part_words(numbers)
    note = RULE if numbers["verdict"].notna().any() else ""
    return Table(spec.table_file, title, caption, numbers, printed, names(each), made_from, note)


def _windows(run: Run, dataset: str) -> int | None:
    """How many windows were read, as the record of notebook 1 says."""
    path = run.record_path("preprocessing", "all", dataset)
    return read_record(path).get("windows") if path.is_file() else None


def _share_words(dataset: str, numbers: pd.DataFrame) -> str:
    """Where real data are but a part of the data set, which its publisher's count of windows shows."""
    whole, windows = DATASETS[dataset].SOURCE.windows, numbers["windows"].max()
    if not whole or "real" not in set(numbers["source"]) or pd.isna(windows) or windows >= whole:
        return ""
    return f" The data are {windows:,} of the data set's {whole:,} windows."


def _test_part_words(numbers: pd.DataFrame) -> str:
    text, few, absent = "", numbers["test_windows"].min(), _absent(numbers)
    if few < FEW_WINDOWS:
        text += f" A test part has {few:.0f} windows: its scores prove that the pipeline runs, and nothing else."
    if absent:
        text += f" Left out of the mean where a seed's test part has no window of it: {absent.replace('; ', ', ')}."
    return text


def compare(run: Run, method: str) -> Table:
    """For a method's notebook: scores of the run's view by all methods up to this one that have a record."""
    spec, upto = SPECS[run.dataset], list(METHODS)[: list(METHODS).index(method) + 1]
    table = scores(run, run.dataset)
    each = table.numbers.drop_duplicates(["view", "method"]).reset_index(drop=True)
    kept = each["method"].isin(upto) & each["view"].isin(["all", run.view]) & (each["source"] != "not run")
    printed = table.printed[kept.tolist()].drop(columns="Data").reset_index(drop=True)
    printed = printed[[c for c in printed if not c.endswith(", verdict")]].map(lambda v: str(v).strip("*"))
    title = f"{spec.title}, {spec.view_titles[run.view]}"
    caption = f"{title}, {source_note(run.source)}: mean ± standard deviation over seeds."
    made_from = names(each[kept])
    return Table("compare", title, caption, table.numbers, printed, made_from, made_from, keys=1)


# ------------------------------------------------------------------------------------------------------- in pairs


def pairs(frame: pd.DataFrame, ours: tuple[str, str], other: tuple[str, str], metric: str) -> tuple[list, list]:
    """Scores of two (view, method) by the seeds both have, in the first's order."""
    frame = frame[frame["metric"] == metric]
    one, two = (frame[(frame["view"] == v) & (frame["method"] == m)][["seed", "score"]] for v, m in (ours, other))
    both = one.merge(two, on="seed")
    return both["score_x"].tolist(), both["score_y"].tolist()


def paired(run: Run, dataset: str) -> Table:
    """RDPD less each other method of the same view over the seeds both have.

    p_holm_metric, which is printed, is corrected for the table's comparisons by one metric, p_holm for all of them.
    On PAMAP2 these are 36: even if RDPD won in all of 10 seeds, p_holm would be 36 / 512 = 0.07.
    """
    spec, frame, rows = SPECS[dataset], read_scores(run, dataset), []
    for view in spec.poor_views:
        for against in STUDENT_METHODS[:-1]:
            for metric in shown_metrics(run):
                found = compare_pairs(*pairs(frame, (view, "rdpd"), (view, against), metric))
                keys = {"dataset": dataset, "view": view, "method": "rdpd", "against": against, "metric": metric}
                rows.append(keys | found | {"source": frame["source"].iloc[0] if found["seeds"] else "not run"})
    numbers = pd.DataFrame(rows)
    numbers["p_holm_metric"] = numbers.groupby("metric")["p"].transform(_holm)
    numbers["p_holm"] = _holm(numbers["p"])
    numeric = ["difference", "low", "high", "p", "p_holm_metric", "p_holm"]
    numbers[numeric] = numbers[numeric].astype(float)
    title = f"RDPD against the other methods, {spec.title}"
    caption = f"{title}: {_sources(numbers['source'])}.{_paired_words(numbers)}{_warning(numbers['source'])}"
    printed = _paired_text(run, dataset, numbers)
    made_from = names(frame[frame["view"] != "all"])
    return Table(f"{spec.table_file}_paired", title, caption, numbers, printed, [""] * len(printed), made_from)


def _holm(p: pd.Series) -> np.ndarray:
    return np.array(holm([None if pd.isna(v) else v for v in p]), float)


def _paired_text(run: Run, dataset: str, numbers: pd.DataFrame) -> pd.DataFrame:
    """A row a (view, rival): difference with its interval, p and corrected p of each metric."""
    printed, metrics = [], shown_metrics(run)
    for (view, method), rows in numbers.groupby(["view", "against"], sort=False):
        text = {"Data": SPECS[dataset].view_titles[view], "RDPD against": METHODS[method].title}
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


# -------------------------------------------------------------------------------------------------------- sweeps


def sweep_summary(frame: pd.DataFrame) -> pd.DataFrame:
    """What a sweep's figure shows, a row a point: mean over seeds and its 95 % bootstrap interval (low, high).

    frame: of `read_sweep`. rdpd_above: whether RDPD's mean is above this method's at this level; none for RDPD itself.
    """
    keys, points = ["dataset", "view", "method", "level"], []
    for metric in SWEEP_METRICS:
        for key, rows in frame[frame["metric"] == metric].groupby(keys, sort=False):
            there = rows["score"].dropna().tolist()
            low, high = bootstrap_interval(there) or (None, None)
            mean = np.mean(there) if there else None
            numbers = {"metric": metric, "mean": mean, "low": low, "high": high, "seeds": len(there)}
            points.append(dict(zip(keys, key, strict=True)) | numbers)
    points = pd.DataFrame(points).astype(dict.fromkeys(("mean", "low", "high"), float))
    at = ["dataset", "view", "level", "metric"]
    rdpd = points[points["method"] == "rdpd"].set_index(at)["mean"]
    rdpd = rdpd.reindex(pd.MultiIndex.from_frame(points[at])).to_numpy()
    unknown = (points["method"] == "rdpd") | points["mean"].isna() | np.isnan(rdpd)
    points["rdpd_above"] = pd.array(rdpd > points["mean"], "boolean")
    points.loc[unknown, "rdpd_above"] = pd.NA
    return points.assign(source=frame["source"].iloc[0])


def sweep_claims(points: pd.DataFrame) -> pd.DataFrame:
    """Whether RDPD stays above each other method at every level, a row a (view, metric, rival); by means over seeds.

    points: of `sweep_summary`. `holds` is false where one level fails or cannot be told; `levels_above` counts those
    that hold, and `smallest_difference` is RDPD's mean less the rival's at the level, `at`, where that is least.
    """
    on = ["view", "level", "metric"]
    rdpd = points[points["method"] == "rdpd"]
    rivals = points[points["method"] != "rdpd"].rename(columns={"method": "against"})
    rivals = rivals.merge(rdpd[[*on, "mean"]], on=on, how="left", suffixes=("", "_rdpd"))
    claims = []
    for (view, metric, against), rows in rivals.groupby(["view", "metric", "against"], sort=False):
        difference = rows["mean_rdpd"] - rows["mean"]
        least = difference.idxmin() if difference.notna().any() else None
        above = rows["rdpd_above"].fillna(False)
        claims.append(
            {
                **{"view": view, "metric": metric, "against": against},
                **{"holds": bool(above.all()), "levels_above": int(above.sum()), "levels": len(rows)},
                "smallest_difference": None if least is None else difference[least],
                "at": None if least is None else rows["level"][least],
            }
        )
    return pd.DataFrame(claims)


# ------------------------------------------------------------------------------------------------ Tables 1 and 5

STATISTICS = {
    "subjects": "subjects",
    "classes": "classes",
    "attributes": "attributes (channels)",
    "total_length": "length of all time series (rows)",
}


def table1(run: Run, datasets: list[str]) -> Table:
    """Statistics of the data sets as read, beside Table 1."""
    rows, made_from = [], []
    for dataset in datasets:
        record = read_records(run, ["preprocessing"], "all", dataset).get("preprocessing")
        ours, paper = record["statistics"] if record else {}, published()["table1"].get(dataset, {})
        source = record["source"] if record else "not run"
        rows += [(dataset, name, paper.get(name), ours.get(name), source) for name in STATISTICS]
        made_from += [f"{dataset}/all/preprocessing"] if record else []
    numbers = pd.DataFrame(rows, columns=["dataset", "statistic", "published", "ours", "source"])
    numbers = numbers.astype({"published": "Int64", "ours": "Int64"})
    printed = pd.DataFrame(
        {
            "Data set": [SPECS[d].title for d in numbers["dataset"]],
            "Statistic": numbers["statistic"].map(STATISTICS),
            **{c.title(): [f"{v:,}" if pd.notna(v) else "–" for v in numbers[c]] for c in ("published", "ours")},
        }
    )
    title = "Statistics of the data sets"
    caption = f"{title}: {_sources(numbers['source'])}.{_warning(numbers['source'])}"
    of_row = [f"{dataset}/all/preprocessing" for dataset in numbers["dataset"]]
    return Table("table1", title, caption, numbers, printed, of_row, made_from)


def table5() -> Table:
    """Parameters of teacher and student: published, allocated (a second convolution counted), live (used); work."""
    numbers = pd.DataFrame(
        {
            "dataset": spec.name,
            "model": model,
            "published": published()["table5_parameters"][spec.name][model],
            **cost.parameters(spec, view),
            "multiply_adds": cost.multiply_adds(spec, view),
        }
        for spec, model, view in cost.table5_models()
    )
    printed = pd.DataFrame(
        {
            "Data": [SPECS[d].title for d in numbers["dataset"]],
            "Model": numbers["model"],
            "Parameters, published": numbers["published"],
            **{f"Parameters, {c}": [f"{n:,}" for n in numbers[c]] for c in ("allocated", "live")},
            "Multiply-adds, one window": [f"{n:,}" for n in numbers["multiply_adds"]],
        }
    )
    title = "Size and work of each model"
    caption = (
        f"{title}. Allocated parameters are those the paper counts, live ones are used in the forward pass; "
        "multiply-adds are those of one window's forward pass; all are of the models alone, the same for simulated "
        "data and real."
    )
    return Table("table5", title, caption, numbers, printed, [""] * len(printed))


def latency(run: Run) -> Table:
    """Time of one window on this machine's CPU (ms) by the six models of Table 5, measured now.

    Written as results/<profile>/table5_latency.csv, not among the figures: it differs by machine and from run to run;
    without any record of the run nothing is written.
    """
    numbers = pd.DataFrame(
        {
            "dataset": spec.name,
            "model": model,
            "latency_ms": cost.latency_ms(RCNN(spec, view), (spec.length, len(spec.views[view]))),
            "machine": cost.machine(),
            "threads": torch.get_num_threads(),
        }
        for spec, model, view in cost.table5_models()
    )
    if any_of(run):
        with replace_file(run.results_root / "table5_latency.csv") as path:
            numbers.to_csv(path, index=False, float_format="%.4f")
    titles = [SPECS[d].title for d in numbers["dataset"]]
    printed = pd.DataFrame(
        {"Data": titles, "Model": numbers["model"], "ms": numbers["latency_ms"].map("{:.2f}".format)}
    )
    title = "One window at a time"
    caption = f"{title}: median time on {cost.machine()}, {torch.get_num_threads()} threads."
    return Table("table5_latency", title, caption, numbers, printed, [""] * len(printed))


def all_of(run: Run) -> Iterator[Table]:
    """Tables 1-5, then those of data sets that are not in the paper; after each table of scores its comparisons."""
    datasets = sorted(run.datasets, key=lambda d: SPECS[d].table_file)  # 'table_uci_har' comes after 'table5'
    yield table1(run, run.datasets)
    for dataset in (d for d in datasets if SPECS[d].table):
        yield from (scores(run, dataset), paired(run, dataset))
    yield table5()
    for dataset in (d for d in datasets if not SPECS[d].table):
        yield from (scores(run, dataset), paired(run, dataset))


# ----------------------------------------------------------------------------------------- to be shown in notebooks

# What is decided, the text's way, the released code's way; a test holds it to paper.SWITCHES.
SWITCH_WORDS = {
    "knowledge": (
        "the teacher's knowledge",
        "one pass of the kept teacher, dropout off",
        "collected batch by batch in its best epoch, dropout on",
    ),
    "batch_order": ("order of the batches", "a new shuffle each epoch", "shuffled once"),
    "attention_kl": ("attention loss, Eq. 10", "KL(student ‖ teacher)", "KL(teacher ‖ student)"),
    "short_batch": (
        "soft and attention loss of the short last batch",
        "mean over its rows",
        "sum over its rows, divided by 128",
    ),
    "temperature": ("temperature", "by data set: 5, 5, 2.5", "5 everywhere"),
    "pamap2_held_out": ("PAMAP2's validation and test subject", "105 and 101", "101 and 105"),
    "mimic3_split": ("MIMIC-III's split", "80/10/10 % of the subjects", "90/5/5 %"),
    "noise_on": ("noise of Figure 3", "on the student's channels", "on all channels, the teacher's too"),
    "macro_f1": ("macro-F1", "threshold 0.5 for each class", "the most probable class"),
}


def switches() -> Table:
    """Where the released code does otherwise than the text, in words, and the switch that says so."""
    rows = [(*words, f"{name}: {SWITCHES[name][1]}") for name, words in SWITCH_WORDS.items()]
    numbers = pd.DataFrame(rows, columns=["What", "The text", "The released code", "Switch"])
    title = "The text and the released code"
    return Table("switches", title, f"{title}.", numbers, numbers, [""] * len(rows), keys=1)


def from_frame(frame: pd.DataFrame, title: str, digits: int = 3) -> Table:
    """A small frame to be displayed in a notebook; its index names the rows, numbers have so many digits.

    Columns named 'group, own' share the heading 'group'. Missing values are blank.
    """

    def text(value: object) -> str:
        if not isinstance(value, str) and pd.isna(value):
            return ""
        return (
            f"{value:z.{digits}f}"
            if isinstance(value, float)
            else f"{value:,}"
            if isinstance(value, int)
            else str(value)
        )

    keys = frame.index.nlevels
    frame = frame.rename_axis([name or "" for name in frame.index.names]).reset_index()
    printed = pd.DataFrame({c: [text(v) for v in frame[c].astype(object)] for c in frame}, dtype=object)
    name = "-".join(re.findall(r"\w+", title.lower()))
    return Table(name, title, f"{title}.", frame, printed, [""] * len(frame), keys=keys)


def ledger(windows: Windows) -> Table:
    """What came in, what each step of reading removed (negative), what came out, and what Table 1 says."""
    numbers = pd.DataFrame(windows.ledger).set_index("step")
    counts = numbers.drop(columns="Table 1").astype("Int64")
    title = f"From raw files to windows, {windows.spec.title}, {source_note(windows.source)}"
    return from_frame(counts.assign(**{"Table 1": numbers["Table 1"]}).rename_axis("step"), title)
