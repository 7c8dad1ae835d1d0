"""What stands over and under a table, in words: which data, intervals and tests it has, and what to beware of.

Each function gives a sentence with a blank before it, or '' where there is nothing to say.
"""

import pandas as pd

from .data import DATASETS, SPECS, Spec
from .paper import ANCHOR
from .run import Run
from .statistics import FEW_SEEDS

FEW_WINDOWS = 30  # below this a caption warns and there is no verdict
MARK = "†"


def source_note(source: str) -> str:
    """What a caption says of where the data came from."""
    words = {
        "simulated": "simulated data",
        "embedded": "real data, embedded in the repository",
        "packaged": "real data, which come with scikit-learn",
    }
    return words.get(source, "real data")


def sources(numbers: pd.DataFrame) -> str:
    """Which data a table's numbers are from; of several sources, the data sets of each."""
    run = numbers[numbers["source"] != "not run"]
    of = {source: list(dict.fromkeys(rows["dataset"])) for source, rows in run.groupby("source", sort=False)}
    if len(of) < 2:
        return "".join(map(source_note, of)) or "nothing run"
    return "; ".join(f"{source_note(s)}: {', '.join(SPECS[d].title for d in there)}" for s, there in of.items())


def warning(numbers: pd.DataFrame) -> str:
    simulated = "simulated" in set(numbers["source"])
    return " Numbers from simulated data say nothing about the paper's." if simulated else ""


def labels_words(run: Run, dataset: str) -> str:
    """Of how many people the training saw labels, where not of all."""
    share = run.of(dataset)["labelled"]
    return "" if share == 1 else f" Only {share:.0%} of the training people's windows have labels."


def seeds_word(spec: Spec) -> str:
    """What a row has several of."""
    return "folds" if spec.split == "folds" else "seeds"


def shows_people(spec: Spec) -> bool:
    """Whether an interval over people is another one than that over seeds: folds are people."""
    return spec.split != "folds"


def intervals(spec: Spec, numbers: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The intervals of these numbers to be printed: 'over seeds', and the columns of its ends."""
    kinds = [(f"over {seeds_word(spec)}", "low", "high")]
    kinds += [("over people", "people_low", "people_high")] if shows_people(spec) else []
    return [kind for kind in kinds if numbers[kind[1]].notna().any()]


def interval_words(spec: Spec, numbers: pd.DataFrame, without: str = "interval") -> str:
    """How the intervals there are were made; of few seeds, that they are `without` one over seeds."""
    how = {
        "over folds": "by Student's t (each fold tests another person)",
        "over seeds": "by Student's t",
        "over people": "by drawing the tested people anew (bootstrap), networks as trained",
    }
    if spec.split == "random":
        how["over seeds"] = "by the corrected resampled t (Nadeau and Bengio), as splits share their data"
    there, word = [name for name, *_ in intervals(spec, numbers)], seeds_word(spec)
    text = f" 95 % interval {'; '.join(f'{name} {how[name]}' for name in there)}." if there else ""
    few = numbers["seeds"].max() and f"over {word}" not in there
    return text + (f" Under {FEW_SEEDS} {word} there is no {without} over {word}." if few else "")


def paired_words(spec: Spec, numbers: pd.DataFrame) -> str:
    """What the columns of a paired table are, and the least its corrected p can be."""
    word = seeds_word(spec)
    brackets = f", in brackets with its 95 % interval over {word}" if numbers["low"].notna().any() else ""
    text = f" Mean difference over common {word}{brackets}."
    text += interval_words(spec, numbers, "interval or test")
    if numbers["p"].isna().all():
        return text
    test = "the corrected resampled t test" if spec.split == "random" else "Wilcoxon's signed-rank test"
    text += (
        f" Holm p: of {test} over {word}, after Holm's correction for the table's comparisons by the same metric; bold "
        "below 0.05."
    )
    if spec.split == "random":
        return text
    least, (each, seeds) = least_p(spec, numbers), compared_by_metric(numbers)
    none = "" if least < 0.05 else ", so that none can be bold"
    return f"{text} With {each} comparisons of {seeds} {word} the smallest possible one is {least:.2g}{none}."


def compared_by_metric(numbers: pd.DataFrame) -> tuple[int, int]:
    """Of a paired table's numbers: the tests by one metric, and the most seeds of one; at least one test."""
    tested = numbers[numbers["p"].notna()]
    return tested["metric"].value_counts().max(), tested["seeds"].max()


def least_p(spec: Spec, numbers: pd.DataFrame) -> float:
    """The least that Holm's p of a paired table can be: 0 of the t test, of Wilcoxon's by the number of seeds."""
    each, seeds = compared_by_metric(numbers)
    return 0.0 if spec.split == "random" else min(1.0, each * 2.0 ** (1 - seeds))


def class_words(spec: Spec) -> str:
    two = len(spec.classes) == 2
    return f" Two classes: every score is that of '{spec.classes[1]}', the positive one." if two else ""


def anchor_words(numbers: pd.DataFrame) -> str:
    there = ANCHOR.name in set(numbers["method"])
    return f" {ANCHOR.title}, on a few summaries of each window, is what a network should not be worse than." * there


def people_words(run: Run, dataset: str) -> str:
    """What follows where the same person is tested with every seed."""
    spec = run.protocol.adapt(SPECS[dataset])
    if spec.split != "subjects" or len(spec.test_subjects) > 1:
        return ""
    return (
        f" Every seed is tested on the same person ({spec.test_subjects[0]}): deviations, intervals and tests tell of "
        "other trainings, and nothing of other people."
    )


def share_words(dataset: str, numbers: pd.DataFrame) -> str:
    """Where real data are but a part of the data set, which its publisher's count of windows shows."""
    whole, windows = DATASETS[dataset].SOURCE.windows, numbers["windows"].max()
    if not whole or "real" not in set(numbers["source"]) or pd.isna(windows) or windows >= whole:
        return ""
    return f" The data are {windows:,} of the data set's {whole:,} windows."


def test_part_words(numbers: pd.DataFrame) -> str:
    """Where a test part is very small, or lacks a class."""
    text, few, lacking = "", numbers["test_windows"].min(), absent(numbers)
    if few < FEW_WINDOWS:
        text += f" A test part has {few:.0f} windows: its scores prove that the pipeline runs, and nothing else."
    if lacking:
        text += f" Left out of the mean where a seed's test part has no window of it: {lacking.replace('; ', ', ')}."
    return text


def absent(frame: pd.DataFrame) -> str:
    """Titles of the classes without a window in some test part, '; ' between them."""
    return "; ".join(sorted({title for text in frame["classes_absent"] for title in text.split("; ") if title}))


def mark_words(methods: pd.Series, spec: Spec) -> str:
    """What a marked row means, where one of these printed methods is marked."""
    if not methods.str.endswith(MARK).any():
        return ""
    return (
        f" {MARK}: in more than a fifth of the {seeds_word(spec)} the best epoch lies in the last tenth of the "
        "training that was allowed; more training may give more."
    )
