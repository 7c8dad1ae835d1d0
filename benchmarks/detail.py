"""What it costs to say less of each window: students of knowledge that is rounded, or the mean of its class.

`python benchmarks/detail.py` trains teachers and students of every detail on the embedded data and
writes detail.csv: test ROC-AUC, and what it is less that of the full knowledge and less Direct's, with 95 % intervals.
"""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd

from rdpd_nb import data, records, statistics, training
from rdpd_nb.evaluation import people_resampled
from rdpd_nb.files import replace_file, root
from rdpd_nb.knowledge import Knowledge, coarser, extract_knowledge
from rdpd_nb.paper import SWITCHES

OF = {"brugada": "lead_ii", "cinc2012": "bedside"}  # data set and poor view
METHODS = ("kd", "rdpd")
HOW = {"epochs": 2000, "patience": 20, "updates": [500, 5000]}
ENDS = ("difference", "low", "high", "people_low", "people_high")


def with_detail(said: Knowledge, windows: data.Windows, detail: str) -> Knowledge:
    soft_labels, attention = coarser(detail, said.soft_labels, said.attention, windows.label[said.window])
    return replace(said, soft_labels=soft_labels, attention=attention)


def study(dataset: str, view: str, seeds: list[int]) -> list[dict]:
    """A row a detail and method. All students train at once, and share weights, batches and masks by seed."""
    rich = data.load(dataset, "all", "embedded")
    poor, splits = rich.select(view), {seed: data.split(rich, seed) for seed in seeds}
    teachers = training.fit(training.make_members(rich, splits, "teacher"), rich, **HOW)
    said = dict(zip(seeds, extract_knowledge(teachers, rich), strict=True))
    tasks = [("", "direct"), *((detail, method) for detail in SWITCHES["detail"] for method in METHODS)]
    members = [
        member
        for detail, method in tasks
        for member in training.make_members(
            poor, splits, method, {s: with_detail(k, rich, detail) for s, k in said.items()} if detail else None
        )
    ]
    fitted = training.fit(members, poor, **HOW)
    tests = [splits[f.member.seed].test for f in fitted]
    probability = training.predict(fitted, poor, tests)
    found = {}
    for i, task in enumerate(tasks):
        of = slice(i * len(seeds), (i + 1) * len(seeds))
        trios = zip(fitted[of], probability[of], strict=True)
        auc = [records.seed_entry(f, p, poor, splits[f.member.seed])["roc_auc"] for f, p in trios]
        label, subject = ([values[test] for test in tests[of]] for values in (poor.label, poor.subject))
        found[task] = auc, people_resampled(probability[of], label, subject)["roc_auc"]
    return [row(dataset, view, found, *task) for task in tasks]


def row(dataset: str, view: str, found: dict, detail: str, method: str) -> dict:
    auc, draws = found[detail, method]
    mean, deviation = statistics.mean_and_deviation(auc)
    numbers = {"dataset": dataset, "view": view, "method": method, "detail": detail, "seeds": len(auc)}
    numbers |= {"mean": mean, "sd": deviation}
    against = {"less_direct": found["", "direct"]} | ({"less_full": found["full", method]} if detail else {})
    for name, (other, other_draws) in against.items():
        less = statistics.paired(auc, other, draws=(draws, other_draws))
        numbers |= {f"{name}_{end}": less[end] for end in ENDS}
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--datasets", nargs="+", default=list(OF))
    given = parser.parse_args()
    rows = [row for dataset in given.datasets for row in study(dataset, OF[dataset], list(range(given.seeds)))]
    with replace_file(root() / "benchmarks/detail.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4f")
    print(pd.DataFrame(rows).to_string(float_format=lambda v: f"{v:.4f}" if np.isfinite(v) else ""))


if __name__ == "__main__":
    main()
