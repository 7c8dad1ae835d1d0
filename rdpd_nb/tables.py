"""The paper's tables with ours beside them, and sentences, from the frames of `records` alone: nothing is trained."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch

from . import captions, cost, render
from .captions import FEW_WINDOWS, MARK, seeds_word, source_note
from .data import SPECS, Spec, Windows
from .files import replace_file, root
from .models import RCNN
from .paper import ANCHOR, METHODS, METRICS, STUDENT_METHODS, SWITCHES, published, published_score
from .records import (
    BY_PERSON,
    SCORES,
    SWEEP_METRICS,
    any_of,
    names,
    read_people,
    read_record,
    read_records,
    read_scores,
)
from .run import Run
from .statistics import holm, interval, mean_and_deviation, people_interval, rule, verdicts
from .statistics import paired as compare_pairs

STILL_RISING = 0.2  # share of the seeds with their best epoch at the end, above which a row is marked
PUBLISHED_CELLS = sum(
    len(cell)
    for name, table in published().items()
    if name.startswith(("table2", "table3", "table4"))
    for view in table.values()
    for cell in view.values()
)
TITLES = {method.name: method.title for method in (ANCHOR, *METHODS.values())}
BESIDES = ("Data", "Data set", "Statistic", "Method", "Model", "RDPD against", "Seeds", "Folds")  # no numbers of ours


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
            c
            for c in self.printed
            if c not in BESIDES
            and not c.lower().endswith(("published", "paper", "verdict"))
            and not c.startswith("95 %")
        ]

    def __repr__(self) -> str:
        return self.caption

    def _repr_html_(self) -> str:
        return render.html(self)


# ------------------------------------------------------------------------------------------------------- scores


def shown_metrics(run: Run, dataset: str) -> dict[str, str]:
    """Title of each metric that is shown and set beside the paper's, by its name in a record.

    The only place that chooses between the two macro-F1: threshold 0.5 (the text), or argmax with the switch; of two
    classes it is the F1 of the positive one.
    """
    f1 = "F1" if len(SPECS[dataset].classes) == 2 else METRICS["macro_f1"]
    by_threshold = run.protocol.macro_f1 == "threshold"
    own = {"macro_f1": f1} if by_threshold else {"macro_f1_argmax": f"{f1} (argmax)"}
    return {"roc_auc": METRICS["roc_auc"], "pr_auc": METRICS["pr_auc"], **own}


def split_ratio(spec: Spec, train: Iterable[int], test: Iterable[int]) -> float | None:
    """Test windows a training window, which intervals over seeds are corrected with; None where the split is not drawn
    by seed. train, test: windows of the seeds' splits, in the same order."""
    return sum(test) / sum(train) if spec.split == "random" else None


def _ratio(frame: pd.DataFrame) -> float | None:
    """`split_ratio` of a frame of `read_scores`."""
    if frame.empty:
        return None
    return split_ratio(SPECS[frame["dataset"].iloc[0]], frame["train_windows"], frame["test_windows"])


def people_draws(run: Run, dataset: str) -> dict[tuple[str, str, str], list[float]]:
    """Scores over draws of test people by (view, method, metric)."""
    frame = read_people(run, dataset).sort_values("draw")
    return {key: rows["score"].tolist() for key, rows in frame.groupby(["view", "method", "metric"], sort=False)}


def summary(run: Run, dataset: str) -> pd.DataFrame:
    """A row a (view, method, metric) in the paper's order, logistic regression first where there is one.

    Mean, sd, the 95 % intervals of the mean over seeds (low, high) and over people (people_low, people_high), number of
    seeds with a score, share of them whose best epoch lies at the end of training; the published mean and sd where
    shown, and `statistics.verdicts` on it; where it came from. Scores by person are there where records have them.
    """
    spec, frame = SPECS[dataset], read_scores(run, dataset)
    there, drawn = dict(iter(frame.groupby(["view", "method", "metric"]))), people_draws(run, dataset)
    published_as = dict(zip(shown_metrics(run, dataset), METRICS, strict=True))
    metrics = [*SCORES, *(name for name in BY_PERSON if name in set(frame["metric"]))]
    anchor = [ANCHOR.name] if ANCHOR.name in set(frame["method"]) else []
    ratio, rows, cells = _ratio(frame), [], []
    for view in spec.views:
        for method in (*anchor, *(("teacher",) if view == "all" else STUDENT_METHODS)):
            for metric in metrics:
                ours = there.get((view, method, metric), frame[:0])
                values = ours["score"].tolist()
                mean, deviation = mean_and_deviation(values) or (None, None)
                low, high = _within_1(interval(values, ratio))
                people_low, people_high = people_interval(drawn.get((view, method, metric), [])) or (None, None)
                name = published_as.get(metric) if method in METHODS else None
                paper = (name and published_score(spec, view, method, name)) or (None, None)
                rows.append(
                    {
                        **{"dataset": dataset, "view": view, "method": method, "metric": metric},
                        **{"mean": mean, "sd": deviation, "low": low, "high": high},
                        **{"people_low": people_low, "people_high": people_high},
                        "seeds": int(ours["score"].notna().sum()),
                        "at_end": None if ours.empty else ours["at_end"].mean(),
                        **{"published": paper[0], "published_sd": paper[1]},
                        "test_windows": None if ours.empty else ours["test_windows"].min(),
                        "classes_absent": captions.absent(ours),
                        "source": "not run" if ours.empty else ours["source"].iloc[0],
                        "notebook": "" if ours.empty else _notebook(run, *_record_of(dataset, view, method)),
                    }
                )
                cells.append((values, *paper))
    return _with_verdicts(pd.DataFrame(rows), cells)


def _within_1(ends: tuple[float, float] | None) -> tuple[float | None, float | None]:
    """An interval of a score, which a t may take beyond 0 or 1."""
    return (max(0.0, ends[0]), min(1.0, ends[1])) if ends else (None, None)


def _with_verdicts(numbers: pd.DataFrame, cells: list[tuple]) -> pd.DataFrame:
    """The columns of `statistics.verdicts`, of real data beside a published number; else a word why there is none."""
    beside = numbers["source"].isin(["real", "embedded"]) & numbers["mean"].notna() & numbers["published"].notna()
    few = numbers["test_windows"] < FEW_WINDOWS
    why = np.where(few, "few windows", np.where(numbers["classes_absent"] != "", "class missing", ""))
    fit = (beside & (why == "")).tolist()
    found = verdicts([cell if judged else None for cell, judged in zip(cells, fit, strict=True)])
    for name in ("verdict", "less_low", "less_high", "p", "p_holm", "seen"):
        numbers[name] = [cell and cell[name] for cell in found]
    why = pd.Series(np.where(why == "", "one seed", why))
    numbers["verdict"] = numbers["verdict"].where(numbers["verdict"].notna() | ~beside, why)
    return numbers


def _record_of(dataset: str, view: str, method: str) -> tuple[str, str, str]:
    """Data set, view and name of the record that holds a method's scores: of logistic regression, notebook 1's."""
    return (dataset, "all", "preprocessing") if method == ANCHOR.name else (dataset, view, method)


def _notebook(run: Run, dataset: str, view: str, name: str) -> str:
    path = run.record_path(name, view, dataset).with_suffix(".ipynb")
    return str(path.relative_to(root())) if path.is_relative_to(root()) else str(path)


def _cell(mean: float | None, deviation: float | None) -> str:
    """'0.838 ± 0.012'; without a deviation where there is one seed, a dash without any."""
    if pd.isna(mean):
        return "–"
    return f"{mean:.3f}" if pd.isna(deviation) else f"{mean:.3f} ± {deviation:.3f}"


def _span(low: float, high: float, sign: str = "") -> str:
    """'[0.820, 0.850]', a dash without an interval."""
    return "–" if np.isnan(low) else f"[{low:{sign}z.3f}, {high:{sign}z.3f}]"


def _bold_best(rows: pd.DataFrame, mean: str, deviation: str) -> list[str]:
    """Cells of one metric; in each poor view the students with the highest mean, as printed, are bold if another's is
    lower."""
    cells = [_cell(*ends) for ends in zip(rows[mean], rows[deviation], strict=True)]
    printed = rows[mean].map("{:.3f}".format).astype(float).where(rows["method"].isin(STUDENT_METHODS))
    of_view = printed.groupby(rows["view"])
    best = (printed == of_view.transform("max")) & (printed > of_view.transform("min"))
    return [f"**{cell}**" if bold else cell for cell, bold in zip(cells, best, strict=True)]


def scores(run: Run, dataset: str) -> Table:
    """The paper's table of this data set, ours beside it; rows not run are dashes, real data have a verdict.

    The best methods of each poor view are bold, by ours and by the paper's; intervals are printed of ROC-AUC, and in
    the numbers of all, which have a row a (view, method, metric), both macro-F1 among them.
    """
    spec, numbers = SPECS[dataset], summary(run, dataset)
    each = numbers[numbers["metric"] == "roc_auc"]
    marks = np.where(each["at_end"].fillna(0) > STILL_RISING, f" {MARK}", "")
    printed = {"Data": each["view"].map(spec.view_titles), "Method": each["method"].map(TITLES) + marks}
    for metric, title in shown_metrics(run, dataset).items():
        rows = numbers[numbers["metric"] == metric].astype({"mean": float, "published": float})
        printed[title] = _bold_best(rows, "mean", "sd")
        if rows["published"].notna().any():
            printed[f"{title}, paper"] = _bold_best(rows, "published", "published_sd")
        if rows["verdict"].notna().any():
            printed[f"{title}, verdict"] = [_verdict(row) for row in rows.to_dict("records")]
    by_person = numbers[numbers["metric"] == "person_roc_auc"].astype({"mean": float})
    if by_person["mean"].notna().any():
        printed["ROC-AUC by person"] = _bold_best(by_person, "mean", "sd")
    for name, *ends in captions.intervals(spec, each):
        printed[f"95 % interval of ROC-AUC, {name}"] = [_span(*row) for row in each[ends].to_numpy(float)]
    printed[seeds_word(spec).capitalize()] = each["seeds"]
    printed = pd.DataFrame({name: list(column) for name, column in printed.items()})
    numbers["windows"] = pd.array([_windows(run, dataset)] * len(numbers), "Int64")
    title = f"Performance on {spec.title}{'' if spec.table else ' (not in the paper)'}"
    caption = f"{title}: {captions.sources(numbers)}."
    caption += f" Mean ± standard deviation over {seeds_word(spec)}; best student of each view in bold."
    caption += captions.class_words(spec) + captions.anchor_words(each) + captions.interval_words(spec, each)
    caption += captions.labels_words(run, dataset) + captions.people_words(run, dataset)
    caption += captions.share_words(dataset, numbers) + captions.warning(numbers)
    caption += captions.test_part_words(numbers)
    judged = int(numbers["p"].notna().sum())
    note = (rule(judged, PUBLISHED_CELLS) if judged else "") + captions.mark_words(printed["Method"], spec)
    rows = ["/".join(_record_of(dataset, row.view, row.method)) for row in each.itertuples()]
    made_from = names(each[each["source"] != "not run"])
    return Table(spec.table_file, title, caption, numbers, printed, rows, made_from, note.strip())


def _verdict(row: dict) -> str:
    """'agrees [-0.018, +0.030], sees 0.041', a word alone where there is no verdict."""
    if pd.isna(row["p"]):
        return "–" if pd.isna(row["verdict"]) else row["verdict"]
    return f"{row['verdict']} {_span(row['less_low'], row['less_high'], '+')}, sees {row['seen']:.3f}"


def _windows(run: Run, dataset: str) -> int | None:
    """How many windows were read, as the record of notebook 1 says."""
    path = run.record_path("preprocessing", "all", dataset)
    return read_record(path).get("windows") if os.path.lexists(path) else None


def compare(run: Run, method: str) -> Table:
    """For a method's notebook: scores of the run's view by all methods up to this one that have a record."""
    spec, upto = SPECS[run.dataset], [ANCHOR.name, *list(METHODS)[: list(METHODS).index(method) + 1]]
    table = scores(run, run.dataset)
    each = table.numbers.drop_duplicates(["view", "method"])
    kept = (each["method"].isin(upto) & each["view"].isin(["all", run.view]) & (each["source"] != "not run")).to_numpy()
    shown = [c for c in table.printed if c != "Data" and not c.endswith(", verdict") and not c.startswith("95 %")]
    printed = table.printed.loc[kept, shown].map(lambda v: str(v).strip("*")).reset_index(drop=True)
    rich = ((each["method"] == ANCHOR.name) & (each["view"] == "all"))[kept]
    printed["Method"] += np.where(rich, ", all channels", "")
    title = f"{spec.title}, {spec.view_titles[run.view]}"
    caption = f"{title}, {source_note(run.of(run.dataset)['source'])}: mean ± standard deviation over "
    caption += f"{seeds_word(spec)}.{captions.class_words(spec)}{captions.labels_words(run, run.dataset)}"
    rows, note = np.array(table.rows)[kept].tolist(), captions.mark_words(printed["Method"], spec).strip()
    return Table("compare", title, caption, table.numbers, printed, rows, names(each[kept]), note, keys=1)


# ------------------------------------------------------------------------------------------------------- in pairs


def pairs(frame: pd.DataFrame, ours: tuple[str, str], other: tuple[str, str], metric: str) -> tuple[list, list]:
    """Scores of two (view, method) by the seeds both have, in the first's order."""
    frame = frame[frame["metric"] == metric]
    return by_seed(*(frame[(frame["view"] == v) & (frame["method"] == m)] for v, m in (ours, other)))


def by_seed(one: pd.DataFrame, two: pd.DataFrame) -> tuple[list, list]:
    """Scores of two frames by the seeds both have."""
    both = one[["seed", "score"]].merge(two[["seed", "score"]], on="seed")
    return both["score_x"].tolist(), both["score_y"].tolist()


def difference(frame: pd.DataFrame, drawn: dict, ours: tuple[str, str], other: tuple[str, str], metric: str) -> dict:
    """`statistics.paired` of two (view, method): one less the other, over seeds and over people.

    frame: of `read_scores`, of one data set; drawn: its `people_draws`.
    """
    draws = tuple(drawn.get((*which, metric)) for which in (ours, other))
    return compare_pairs(*pairs(frame, ours, other, metric), _ratio(frame), None if None in draws else draws)


def paired(run: Run, dataset: str) -> Table:
    """RDPD less each other method of the same view over the seeds both have.

    Of its p only p_holm_metric is printed, corrected for the comparisons by one metric; p_holm is for all of the table.
    On PAMAP2 these are 36: even if RDPD won in all of 10 seeds, p_holm would be 36 / 512 = 0.07.
    """
    spec, frame, rows = SPECS[dataset], read_scores(run, dataset), []
    drawn = people_draws(run, dataset)
    for view in spec.poor_views:
        for against in STUDENT_METHODS[:-1]:
            for metric in shown_metrics(run, dataset):
                found = difference(frame, drawn, (view, "rdpd"), (view, against), metric)
                keys = {"dataset": dataset, "view": view, "method": "rdpd", "against": against, "metric": metric}
                rows.append(keys | found | {"source": frame["source"].iloc[0] if found["seeds"] else "not run"})
    numbers = pd.DataFrame(rows)
    numbers["p_holm_metric"] = numbers.groupby("metric")["p"].transform(_holm)
    numbers["p_holm"] = _holm(numbers["p"])
    numeric = ["difference", "low", "high", "people_low", "people_high", "p", "p_holm_metric", "p_holm"]
    numbers[numeric] = numbers[numeric].astype(float)
    title = f"RDPD against the other methods, {spec.title}"
    caption = f"{title}: {captions.sources(numbers)}.{captions.paired_words(spec, numbers)}"
    caption += captions.labels_words(run, dataset) + captions.people_words(run, dataset) + captions.class_words(spec)
    caption += captions.warning(numbers)
    printed = _paired_text(run, dataset, numbers)
    made_from = names(frame[(frame["view"] != "all") & (frame["method"] != ANCHOR.name)])
    return Table(f"{spec.table_file}_paired", title, caption, numbers, printed, [""] * len(printed), made_from)


def _holm(p: pd.Series) -> np.ndarray:
    return np.array(holm([None if pd.isna(v) else v for v in p]), float)


def _paired_text(run: Run, dataset: str, numbers: pd.DataFrame) -> pd.DataFrame:
    """A row a (view, rival): of each metric the difference, its intervals and, where any is tested, its corrected p."""
    spec, metrics, printed = SPECS[dataset], shown_metrics(run, dataset), []
    people = "over people" in [name for name, *_ in captions.intervals(spec, numbers)]
    tested = numbers["p"].notna().any()
    for (view, method), rows in numbers.groupby(["view", "against"], sort=False):
        text = {"Data": spec.view_titles[view], "RDPD against": METHODS[method].title}
        for row in rows.itertuples():
            title = metrics[row.metric]
            seeds = "" if np.isnan(row.low) else f" {_span(row.low, row.high, '+')}"
            text[f"{title}, difference"] = "–" if np.isnan(row.difference) else f"{row.difference:+z.3f}{seeds}"
            if people:
                text[f"{title}, over people"] = _span(row.people_low, row.people_high, "+")
            if tested:
                p = _p(row.p_holm_metric)
                text[f"{title}, Holm p"] = f"**{p}**" if row.p_holm_metric < 0.05 else p
        printed.append(text | {seeds_word(spec).capitalize(): rows["seeds"].max()})
    return pd.DataFrame(printed)


def _p(p: float) -> str:
    return "–" if np.isnan(p) else f"{p:.3f}" if p >= 0.0005 else "<0.001"


# -------------------------------------------------------------------------------------------------------- sweeps


def sweep_ratio(dataset: str, records: list[dict]) -> float | None:
    """`split_ratio` of a sweep's records."""
    windows = [entry["counts"]["windows"] for record in records for entry in record["entries"]]
    train, test = ([count[part] for count in windows] for part in ("train", "test"))
    return split_ratio(SPECS[dataset], train, test)


def sweep_shorter(run: Run, dataset: str, record: dict) -> str:
    """In what a sweep had less than the run's tables: 'at most 50 epochs, 4 of 8 folds', '' for the same."""
    of_tables, has, said = run.of(dataset), record["parameters"], []
    if has["epochs"] < of_tables["epochs"]:
        said.append(f"at most {has['epochs']} epochs")
    if has.get("updates") and has["updates"] != of_tables["updates"]:
        said.append(f"at most {has['updates'][1]:,} updates")
    if len(has["seeds"]) < len(of_tables["seeds"]):
        said.append(f"{len(has['seeds'])} of {len(of_tables['seeds'])} {seeds_word(SPECS[dataset])}")
    return ", ".join(said)


def sweep_summary(frame: pd.DataFrame, ratio: float | None = None) -> pd.DataFrame:
    """What a sweep's figure shows, a row a point: mean over seeds and its 95 % interval (low, high).

    frame: of `read_sweep`; ratio: of `sweep_ratio`. Beside it stands RDPD less this method at this level: the mean over
    seeds with both (rdpd_less) and its paired 95 % interval (rdpd_less_low, rdpd_less_high); none for RDPD itself.
    """
    keys, points = ["dataset", "view", "method", "level"], []
    for metric in SWEEP_METRICS:
        of = {key: rows for key, rows in frame[frame["metric"] == metric].groupby(keys, sort=False)}
        for key, rows in of.items():
            there = rows["score"].dropna().tolist()
            low, high = _within_1(interval(there, ratio))
            mean = np.mean(there) if there else None
            numbers = {"metric": metric, "mean": mean, "low": low, "high": high, "seeds": len(there)}
            rdpd = of.get((*key[:2], "rdpd", key[3]), frame[:0])
            less = compare_pairs(*by_seed(frame[:0] if key[2] == "rdpd" else rdpd, rows), ratio)
            numbers |= {"rdpd_less": less["difference"], "rdpd_less_low": less["low"], "rdpd_less_high": less["high"]}
            points.append(dict(zip(keys, key, strict=True)) | numbers)
    numeric = ("mean", "low", "high", "rdpd_less", "rdpd_less_low", "rdpd_less_high")
    return pd.DataFrame(points).astype(dict.fromkeys(numeric, float)).assign(source=frame["source"].iloc[0])


def sweep_claims(points: pd.DataFrame) -> pd.DataFrame:
    """Whether RDPD stays above each other method at every level, a row a (view, metric, rival).

    points: of `sweep_summary`. Of the `levels`, `levels_above` have RDPD's mean above the rival's, and at
    `levels_clear` the paired 95 % interval over seeds lies above 0 too; the claim `holds` where it does at all of them.
    At the level `at` RDPD less the rival is least: smallest_difference, and its interval low to high. Few seeds have no
    interval, and no claim holds of them.
    """
    claims = []
    rivals = points[points["method"] != "rdpd"]
    for (view, metric, against), rows in rivals.groupby(["view", "metric", "method"], sort=False):
        least = rows["rdpd_less"].idxmin() if rows["rdpd_less"].notna().any() else None
        at = rows.loc[least] if least is not None else pd.Series(dtype=float)
        clear = int((rows["rdpd_less_low"] > 0).sum())
        claims.append(
            {
                **{"view": view, "metric": metric, "against": against, "holds": clear == len(rows)},
                **{"levels_above": int((rows["rdpd_less"] > 0).sum()), "levels_clear": clear, "levels": len(rows)},
                "smallest_difference": at.get("rdpd_less"),
                **{"low": at.get("rdpd_less_low"), "high": at.get("rdpd_less_high"), "at": at.get("level")},
            }
        )
    return pd.DataFrame(claims)


def sweep_falls(frame: pd.DataFrame, ratio: float | None = None) -> pd.DataFrame:
    """Whether each method falls from the least level to the greatest, a row a (view, metric, method).

    frame: of `read_sweep`; ratio: of `sweep_ratio`. Means at the level `first` and at `last`, and `statistics.paired`
    of the last less the first, seed by seed; `falls` where its 95 % interval lies below 0.
    """
    rows, ends = [], (frame["level"].min(), frame["level"].max())
    for (view, metric, method), of in frame.groupby(["view", "metric", "method"], sort=False):
        first, last = (of[of["level"] == level] for level in ends)
        found = compare_pairs(*by_seed(last, first), ratio)
        means = {"mean_first": first["score"].mean(), "mean_last": last["score"].mean()}
        key = {"view": view, "metric": metric, "method": method, "first": ends[0], "last": ends[1]}
        rows.append(key | means | found | {"falls": found["high"] is not None and found["high"] < 0})
    return pd.DataFrame(rows)


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
    shown = [c for c in ("published", "ours") if c == "ours" or numbers[c].notna().any()]
    printed = pd.DataFrame(
        {
            "Data set": [SPECS[d].title for d in numbers["dataset"]],
            "Statistic": numbers["statistic"].map(STATISTICS),
            **{c.title(): [f"{v:,}" if pd.notna(v) else "–" for v in numbers[c]] for c in shown},
        }
    )
    title = "Statistics of the data sets"
    caption = f"{title}: {captions.sources(numbers)}.{captions.warning(numbers)}"
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
