"""Metrics of Section 3.1, macro one-vs-rest. A class absent from a split is left out of the mean and named."""

import numpy as np
import torch
from torch import Tensor


def present_classes(y: np.ndarray, classes: int) -> list[int]:
    """Classes with at least one window in y (n,), and one without: only for these a score is defined."""
    count = np.bincount(y, minlength=classes)
    return [c for c in range(classes) if 0 < count[c] < len(y)]


def scores(probability: np.ndarray, y: np.ndarray) -> dict:
    """roc_auc, pr_auc, macro_f1 (threshold 0.5 on each class's probability) and macro_f1_argmax, each in [0, 1].

    probability (n, C), y (n,) class indices. PR-AUC is the average precision. `classes_absent` lists the classes
    left out; scores are None where no class can be scored.
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
        for c in present
    ]
    mean = np.mean(per_class, axis=0)
    names = ("roc_auc", "pr_auc", "macro_f1", "macro_f1_argmax")
    return {**{name: float(value) for name, value in zip(names, mean, strict=True)}, "classes_absent": absent}


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
