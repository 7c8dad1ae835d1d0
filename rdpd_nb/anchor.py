"""What the networks are held against: logistic regression on summaries of each window, about a second a fit.

Shapes: n windows of l samples, D channels, F features a channel, C classes.
"""

import warnings

import numpy as np

from .data.windows import Split, Windows, standardise
from .evaluation import person_scores, scores

STRENGTHS = (0.01, 0.1, 1.0)  # C of scikit-learn, chosen by validation: the larger, the less regularised
FEATURES = ("mean", "standard deviation", "least", "greatest", "last", "mean absolute difference", "share missing")


def features(windows: Windows) -> np.ndarray:
    """FEATURES of each channel over a window's measured values, (n, D, F) float32; NaN where there are none.

    The difference is between neighbouring samples. The share missing is left out where nothing is missing anywhere.
    """
    pieces = np.array_split(np.arange(len(windows)), len(windows) // 512 + 1)  # so that copies stay small
    found = np.concatenate([_summaries(windows[piece]) for piece in pieces])
    return found if found[..., -1].any() else found[..., :-1]


def _summaries(x: np.ndarray) -> np.ndarray:
    """All FEATURES, (n, D, F), of windows (n, l, D)."""
    there = np.isfinite(x)
    last = x.shape[1] - 1 - there[:, ::-1].argmax(1)  # (n, D)
    x = np.where(there, x, np.nan)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of nothing: NaN is what is wanted
        found = [of(x, axis=1) for of in (np.nanmean, np.nanstd, np.nanmin, np.nanmax)]
        change = np.nanmean(np.abs(np.diff(x, axis=1)), axis=1)
    return np.stack([*found, np.take_along_axis(x, last[:, None], 1)[:, 0], change, 1 - there.mean(1)], -1, dtype="f4")


def fit_anchor(windows: Windows, splits: dict[int, Split], found: np.ndarray | None = None) -> list[dict]:
    """An entry a seed: scores and counts of its test windows as a method's record has them, and C, by validation.

    Features are standardised by the training windows, missing ones 0 then. Of STRENGTHS the one with the best
    validation ROC-AUC is kept, as of a network's epochs. found: the windows' `features`, where they are there already.
    """
    x, y = (features(windows) if found is None else found).reshape(len(windows), -1), windows.label
    entries = []
    for seed, split in splits.items():
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of a channel that nobody has
            mean, std = (of(x[split.train], 0, dtype=np.float64) for of in (np.nanmean, np.nanstd))
        z = standardise(x, mean, np.where(std > 1e-8, std, 1)).astype("f4")
        tried = {c: _fit(z, y, split.train, len(windows.spec.classes), c) for c in STRENGTHS}
        auc = {c: scores(p[split.validation], y[split.validation])["roc_auc"] for c, p in tried.items()}
        best = max(STRENGTHS, key=lambda c: auc[c] or 0)
        test = tried[best][split.test], y[split.test]
        people = person_scores(*test, windows.subject[split.test]) or {}
        entries.append({"seed": seed, **scores(*test), **people, "C": best, "counts": split.counts()})
    return entries


def _fit(x: np.ndarray, y: np.ndarray, train: np.ndarray, classes: int, strength: float) -> np.ndarray:
    """Probabilities (n, C) of all windows by a model of the training windows; 0 for a class that these lack."""
    from sklearn.linear_model import LogisticRegression  # slow to import

    with warnings.catch_warnings(action="ignore"):  # not converged: after 200 steps the third digit is what moves
        model = LogisticRegression(C=strength, max_iter=200).fit(x[train], y[train])
    probability = np.zeros((len(x), classes))
    probability[:, model.classes_] = model.predict_proba(x)
    return probability


def fit_views(windows: Windows, splits: dict[int, Split]) -> dict[str, list[dict]]:
    """`fit_anchor` of every view, out of windows of all channels, whose features are made once."""
    found, views = features(windows), windows.spec.views
    return {view: fit_anchor(windows.select(view), splits, found[:, list(of)]) for view, of in views.items()}
