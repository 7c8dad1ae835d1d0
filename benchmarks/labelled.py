"""What pairs without a label are worth: CinC 2012, by the fraction of stays that have a label.

`python benchmarks/labelled.py` trains a teacher and students for every fraction (half an hour on one core; what is done
is kept under results/labelled, and taken over) and writes labelled_cinc2012_hr.csv and .png; --view says which.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from rdpd_nb import data, figures, records, statistics, training
from rdpd_nb.evaluation import people_resampled
from rdpd_nb.files import replace_file, root
from rdpd_nb.knowledge import extract_knowledge
from rdpd_nb.paper import METHODS

FRACTIONS, METHODS_SHOWN = (0.1, 0.3, 1.0), ("direct", "kd", "rdpd")
HOW = {"epochs": 2000, "patience": 40, "updates": [3000, 10000]}


def study(fraction: float, seeds: list[int], folder: Path, view: str) -> dict:
    """Scores by seed and over draws of people of every method, with labels of a fraction of the stays."""
    path = folder / f"{view}_{fraction:g}_{len(seeds)}.json"
    if path.is_file():
        return json.loads(path.read_text())
    rich = data.load("cinc2012", "all", "embedded")
    poor, splits = rich.select(view), {seed: data.split(rich, seed) for seed in seeds}
    tests = [part.test for part in splits.values()]
    label, subject = ([of[i] for i in tests] for of in (rich.label, rich.subject))
    teachers = training.fit(training.make_members(rich, splits, "teacher", labelled=fraction), rich, **HOW)
    said = extract_knowledge(teachers, rich, of=[part.train for part in splits.values()])
    taught, found = dict(zip(seeds, said, strict=True)), {}
    for method in METHODS_SHOWN:
        fitted = training.fit(training.make_members(poor, splits, method, taught, fraction), poor, **HOW)
        probability = training.predict(fitted, poor, tests)
        entries = [
            records.seed_entry(f, p, poor, splits[f.member.seed]) for f, p in zip(fitted, probability, strict=True)
        ]
        found[method] = {
            "roc_auc": [entry["roc_auc"] for entry in entries],
            "people": people_resampled(probability, label, subject)["roc_auc"],
            "labelled": [len(f.member.labelled) for f in fitted],
        }
    records.write_json(path, found)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--view", default="hr")
    given = parser.parse_args()
    seeds, view = list(range(given.seeds)), given.view
    rows = []
    for fraction in FRACTIONS:
        found = study(fraction, seeds, root() / "results/labelled", view)
        for method, of in found.items():
            mean, sd = statistics.mean_and_deviation(of["roc_auc"])
            low, high = statistics.interval(of["roc_auc"]) or (None, None)
            people = statistics.people_interval(of["people"]) or (None, None)
            direct = found["direct"]
            less = statistics.paired(of["roc_auc"], direct["roc_auc"], draws=(of["people"], direct["people"]))
            row = {"fraction": fraction, "labelled": round(np.mean(of["labelled"])), "method": method}
            row |= {"mean": mean, "sd": sd, "low": low, "high": high, "people_low": people[0], "people_high": people[1]}
            ends = ("difference", "low", "high", "people_low", "people_high")
            rows.append(row | {f"less_direct_{name}": less[name] for name in ends})
    frame = pd.DataFrame(rows)
    draw(frame, view, len(seeds))


def draw(frame: pd.DataFrame, view: str, seeds: int) -> None:
    """The curve, its numbers beside it."""
    figures.set_style()
    title, folder = data.SPECS["cinc2012"].view_titles[view], root() / "benchmarks"
    figure, axes = plt.subplots(1, 2, figsize=(figures.WIDTH, 3.4))
    for j, (method, of) in enumerate(frame.groupby("method", sort=False)):
        look = {"color": figures.COLOURS[method], "marker": figures.MARKERS[method], "label": METHODS[method].title}
        x = of["labelled"] * 1.03 ** (j - 1)  # beside one another
        axes[0].errorbar(x, of["mean"], [of["mean"] - of["low"], of["high"] - of["mean"]], linewidth=1.2, **look)
        if method != "direct":
            mean = of["less_direct_difference"]
            for ends, width in (("", 2.4), ("people_", 0.9)):
                low, high = of[f"less_direct_{ends}low"], of[f"less_direct_{ends}high"]
                axes[1].vlines(x * (1.02 if ends else 1), low, high, color=figures.COLOURS[method], linewidth=width)
            axes[1].plot(x, mean, linewidth=1.2, **look)
    axes[1].axhline(0, color="grey", linestyle=":")
    axes[0].set(ylabel="test ROC-AUC", title=f"mean and 95 % interval over {seeds} seeds")
    axes[1].set(ylabel="test ROC-AUC less Direct's", title="thick: 95 % interval over seeds; thin: over people")
    ticks = sorted(set(frame["labelled"]))
    for axis in axes:
        axis.set(xscale="log", xlabel="training stays with a label")
        axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axis.minorticks_off()
    axes[0].legend(loc="lower right")
    figure.suptitle(f"CinC 2012, {title}, real data: the teacher also speaks of the stays that nobody labelled")
    figures.save(figure, folder / f"labelled_cinc2012_{view}.png")
    with replace_file(folder / f"labelled_cinc2012_{view}.csv") as path:
        frame.to_csv(path, index=False, float_format="%.4f")
    plt.close(figure)


if __name__ == "__main__":
    main()
