"""Metrics of Section 3.1, macro one-vs-rest; of two classes the positive one's alone. By window, by person, and over
draws of people. A class absent from a split is left out of the mean and named."""

import numpy as np
import torch
from torch import Tensor

RESAMPLED = ("roc_auc", "pr_auc", "macro_f1")  # by person, and over draws of people
DIGITS = 5  # of a draw's score


def present_classes(y: np.ndarray, classes: int) -> list[int]:
    """Classes with at least one window in y (n,), and one without: only for these a score is defined."""
    count = np.bincount(y, minlength=classes)
    return [c for c in range(classes) if 0 < count[c] < len(y)]


def scored_classes(classes: int) -> list[int]:
    """The classes over which scores are means: all, but of two the positive one, 1, alone."""
    return [1] if classes == 2 else list(range(classes))


def scores(probability: np.ndarray, y: np.ndarray) -> dict:
    """roc_auc, pr_auc, macro_f1 (threshold 0.5 on each class's probability) and macro_f1_argmax, each in [0, 1].

    probability (n, C), y (n,) class indices. PR-AUC is the average precision. With two classes all are those of class
    1, so that `macro_f1` is its F1. `classes_absent` lists the classes that cannot be scored; scores are None where
    none can.
    """
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score  # slow to import, and needed last

    n_classes = probability.shape[1]
    present = present_classes(y, n_classes)
    absent = [c for c in range(n_classes) if c not in present]
    if not present:
        return {"roc_auc": None, "pr_auc": None, "macro_f1": None, "macro_f1_argmax": None, "classes_absent": absent}
    winner = probability.argmax(1)
    per_class = [
        (
            roc_auc_score(y == c, probability[:, c]),
            average_precision_score(y == c, probability[:, c]),
            f1_score(y == c, probability[:, c] > 0.5, zero_division=0),
            f1_score(y == c, winner == c, zero_division=0),
        )
        for c in scored_classes(n_classes)
        if c in present
    ]
    mean = np.mean(per_class, axis=0)
    names = ("roc_auc", "pr_auc", "macro_f1", "macro_f1_argmax")
    return {**{name: float(value) for name, value in zip(names, mean, strict=True)}, "classes_absent": absent}


# ------------------------------------------------------------------------------------------------------- people


def person_scores(probability: np.ndarray, y: np.ndarray, subject: np.ndarray) -> dict | None:
    """person_roc_auc, person_pr_auc, person_macro_f1: as `scores`, of each person's mean probability over windows.

    probability (n, C), y (n,), subject (n,). None where a person has windows of several classes, and where nobody has
    more than one window: then they are the scores by window.
    """
    people, first, person = np.unique(subject, return_index=True, return_inverse=True)
    if len(people) == len(y) or (y != y[first][person]).any():
        return None
    total = np.zeros((len(people), probability.shape[1]))
    np.add.at(total, person, probability)
    found = scores(total / np.bincount(person)[:, None], y[first])
    return {f"person_{name}": found[name] for name in RESAMPLED}


def people_resampled(
    probability: list[np.ndarray], y: list[np.ndarray], subject: list[np.ndarray], draws: int = 500
) -> dict[str, list[float | None]]:
    """The mean over seeds of each score of RESAMPLED for other test people: a bootstrap of people.

    Entry i is of the i-th seed's test windows: probability (n, C), y (n,), subject (n,). The people of all test parts
    are drawn with replacement, alike for every method tested on the same people. A window counts as often as its
    person was drawn, and a seed as many times as people of its test part were: a fold whose person was not drawn drops
    out. Gives `draws` values a metric, rounded to DIGITS, None where no class can be scored; {} for fewer than two
    people.
    """
    people = np.unique(np.concatenate(subject))
    if len(people) < 2:
        return {}
    times = np.random.default_rng(0).multinomial(len(people), np.full(len(people), 1 / len(people)), draws)
    total, weight = np.zeros((len(RESAMPLED), draws)), np.zeros((len(RESAMPLED), draws))
    for p, truth, ids in zip(probability, y, subject, strict=True):
        there, person = np.unique(ids, return_inverse=True)
        drawn = times[:, np.searchsorted(people, there)]  # (draws, people of this test part)
        found = resampled_scores(p, truth, person, drawn)
        counted = np.where(np.isnan(found), 0, drawn.sum(1))
        total += counted * np.nan_to_num(found)
        weight += counted
    mean = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)
    return {
        name: [None if np.isnan(value) else round(float(value), DIGITS) for value in row]
        for name, row in zip(RESAMPLED, mean, strict=True)
    }


def resampled_scores(probability: np.ndarray, y: np.ndarray, person: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The scores of RESAMPLED with each window counted as often as its person was drawn, (3, D); NaN where undefined.

    probability (n, C), y (n,), person (n,) from 0 to P - 1, times (D, P). Equal to `scores` of windows repeated so.
    """
    total, classes = np.zeros((len(RESAMPLED), len(times))), np.zeros(len(times))
    for c in scored_classes(probability.shape[1]):
        positive, named = y == c, probability[:, c] > 0.5
        true, false, called, hit = (
            times @ np.bincount(person[which], minlength=times.shape[1])  # (D,) windows
            for which in (positive, ~positive, named, positive & named)
        )
        there = (true > 0) & (false > 0)
        with np.errstate(invalid="ignore", divide="ignore"):  # where the class is not there
            found = *_areas(probability[:, c], positive, person, times), 2 * hit / (called + true)
        total += np.where(there, found, 0)
        classes += there
    return np.divide(total, classes, out=np.full_like(total, np.nan), where=classes > 0)


def _areas(score: np.ndarray, positive: np.ndarray, person: np.ndarray, times: np.ndarray) -> tuple:
    """ROC-AUC, ties counted half, and average precision of one class, each (D,); arguments as `resampled_scores`."""
    order = np.argsort(-score, kind="stable")
    count = np.ascontiguousarray(times.T, np.float32)[person[order]]  # (n, D); whole numbers, exact in sums to 2^24
    starts = np.flatnonzero(np.append(True, np.diff(score[order]) != 0))  # of each group of equal scores
    some = np.maximum.reduceat(positive[order], starts)  # groups without a positive window add nothing
    all_upto = _before(count, np.append(starts, len(score)))  # (groups + 1, D) windows above each group
    true_upto = _before(count * positive[order, None], np.append(starts, len(score)))
    true = np.diff(true_upto, axis=0)[some]  # (groups with a positive window, D)
    above, upto = (all_upto - true_upto)[:-1][some], (all_upto - true_upto)[1:][some]  # negative windows
    positives, negatives = true_upto[-1], all_upto[-1] - true_upto[-1]
    roc_auc = (true * (negatives - (above + upto) / 2)).sum(0) / (positives * negatives)
    precision = true_upto[1:][some] / np.maximum(all_upto[1:][some], 1)  # 0 where nothing was drawn so far
    return roc_auc, (true * precision).sum(0) / positives


def _before(count: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Sums of count (n, D) over the rows above each of `rows`, float64."""
    return np.concatenate([np.zeros_like(count[:1]), count.cumsum(0)])[rows].astype(np.float64)


def macro_roc_auc(score: Tensor, y: Tensor, valid: Tensor) -> Tensor:
    """Macro ROC-AUC of all members of a stack in one pass, (E,); NaN where no class can be scored.

    score (E, n, C), y (E, n), valid (E, n) bool. From ranks (Mann-Whitney), ties counted half; equal to scikit-learn.
    """
    score = score.masked_fill(~valid.unsqueeze(-1), torch.inf).mT.contiguous()  # (E, C, n), padding ranks last
    ordered = score.sort(-1).values
    below = torch.searchsorted(ordered, score)
    upto = torch.searchsorted(ordered, score, right=True)
    rank = (below + upto + 1).to(torch.float64) / 2  # mean rank among equals, from 1
    is_class = torch.nn.functional.one_hot(y, score.shape[1]).mT.bool() & valid.unsqueeze(1)  # (E, C, n)
    positive = is_class.sum(-1).to(torch.float64)
    negative = valid.sum(-1, keepdim=True) - positive
    auc = ((rank * is_class).sum(-1) - positive * (positive + 1) / 2) / (positive * negative)  # (E, C)
    return auc.nanmean(-1)  # 0/0 where a class is absent, or the only one
