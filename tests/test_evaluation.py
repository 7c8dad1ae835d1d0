"""Metrics against scikit-learn's and against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.preprocessing import label_binarize

from rdpd_nb.evaluation import macro_roc_auc, present_classes, scores

CLASSES = 5


def predictions(n: int = 200, classes: int = CLASSES, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (n, classes), better than chance, and labels (n,) in which every class occurs."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(n) % classes)
    logits = 2 * rng.normal(size=(n, classes))
    logits[np.arange(n), y] += 1.5
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True), y


# ------------------------------------------------------------------------------------------------------- scores


def test_scores_equal_the_macro_averages_of_scikit_learn():
    p, y = predictions()
    truth = label_binarize(y, classes=range(CLASSES))
    got = scores(p, y)
    assert got["roc_auc"] == pytest.approx(roc_auc_score(y, p, multi_class="ovr", average="macro"))
    assert got["pr_auc"] == pytest.approx(average_precision_score(truth, p, average="macro"))
    assert got["macro_f1"] == pytest.approx(f1_score(truth, p > 0.5, average="macro", zero_division=0))
    assert got["macro_f1_argmax"] == pytest.approx(f1_score(y, p.argmax(1), average="macro"))
    assert got["classes_absent"] == []


def test_scores_leave_absent_classes_out_of_the_mean_and_name_them():
    p, y = predictions()
    kept = ~np.isin(y, [1, 4])
    p, y = p[kept], y[kept]
    present = [0, 2, 3]
    got = scores(p, y)
    assert got["classes_absent"] == [1, 4]
    assert got["roc_auc"] == pytest.approx(np.mean([roc_auc_score(y == c, p[:, c]) for c in present]))
    assert got["pr_auc"] == pytest.approx(np.mean([average_precision_score(y == c, p[:, c]) for c in present]))
    by_threshold = [f1_score(y == c, p[:, c] > 0.5, zero_division=0) for c in present]
    assert got["macro_f1"] == pytest.approx(np.mean(by_threshold))
    by_argmax = f1_score(y, p.argmax(1), labels=present, average="macro", zero_division=0)
    assert got["macro_f1_argmax"] == pytest.approx(by_argmax)


def test_scores_are_none_where_all_windows_are_of_one_class():
    p, _ = predictions()
    got = scores(p, np.full(len(p), 2))
    assert got == {
        "roc_auc": None,
        "pr_auc": None,
        "macro_f1": None,
        "macro_f1_argmax": None,
        "classes_absent": [0, 1, 2, 3, 4],
    }


def test_present_classes_are_those_with_a_window_in_and_a_window_out():
    assert present_classes(np.array([0, 0, 3]), 5) == [0, 3]
    assert present_classes(np.array([3, 3, 3]), 5) == []


def test_perfect_predictions_score_one_everywhere():
    y = np.array([0, 1, 2, 2, 1, 0])
    got = scores(np.eye(3)[y], y)
    assert [got[name] for name in ("roc_auc", "pr_auc", "macro_f1", "macro_f1_argmax")] == [1.0] * 4


def test_macro_f1_takes_threshold_one_half_while_its_neighbour_takes_the_most_probable_class():
    y = np.array([0, 1, 2])
    p = np.array([[0.4, 0.3, 0.3], [0.1, 0.6, 0.3], [0.7, 0.1, 0.2]])
    got = scores(p, y)
    # Above 0.5: nothing, class 1, class 0. Class 0 has one false alarm, class 1 is right, class 2 is never named.
    assert got["macro_f1"] == pytest.approx((0 + 1 + 0) / 3)
    # Most probable: 0, 1, 0. Class 0 has precision 1/2 and recall 1, so F1 = 2/3.
    assert got["macro_f1_argmax"] == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_threshold_and_argmax_f1_agree_where_one_class_always_has_more_than_half():
    p, y = predictions()
    p = 0.4 * p + 0.6 * np.eye(CLASSES)[p.argmax(1)]
    assert scores(p, y)["macro_f1"] == scores(p, y)["macro_f1_argmax"]


# ------------------------------------------------------------------------------------------------ macro_roc_auc


def by_scikit_learn(score: np.ndarray, y: np.ndarray) -> float:
    """Macro one-vs-rest ROC-AUC over the classes that are there, NaN where there is none."""
    with_score = [c for c in range(score.shape[1]) if 0 < (y == c).sum() < len(y)]
    return float(np.mean([roc_auc_score(y == c, score[:, c]) for c in with_score])) if with_score else math.nan


def check_stack(score: np.ndarray, y: np.ndarray, valid: np.ndarray) -> None:
    got = macro_roc_auc(torch.from_numpy(score), torch.from_numpy(y), torch.from_numpy(valid))
    expected = [by_scikit_learn(s[v], t[v]) for s, t, v in zip(score, y, valid, strict=True)]
    assert got.tolist() == pytest.approx(expected, nan_ok=True, abs=1e-12)


def test_stack_roc_auc_equals_scores_of_each_member():
    members = [predictions(seed=seed) for seed in range(3)]
    p, y = (np.stack(parts) for parts in zip(*members, strict=True))
    got = macro_roc_auc(torch.from_numpy(p), torch.from_numpy(y), torch.ones(y.shape, dtype=torch.bool))
    assert got.tolist() == pytest.approx([scores(*member)["roc_auc"] for member in members])


def test_stack_roc_auc_counts_ties_half():
    score = torch.tensor([[[0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.1, 0.9]]])
    y = torch.tensor([[0, 0, 1, 1]])
    # Of the four pairs (class 0, class 1) three are ordered and one is a tie: 3.5 / 4.
    assert macro_roc_auc(score, y, torch.ones(1, 4, dtype=torch.bool)).tolist() == [0.875]


def test_stack_roc_auc_ignores_padding_whatever_it_holds():
    p, y = predictions(n=50)
    p, y = np.stack([p, p, p]), np.stack([y, y, y])
    valid = np.ones((3, 50), bool)
    valid[1, 20:] = valid[2, 37:] = False
    check_stack(p, y, valid)
    before = macro_roc_auc(*map(torch.from_numpy, (p, y, valid)))
    p[~valid], y[~valid] = 0.0, 0
    assert torch.equal(macro_roc_auc(*map(torch.from_numpy, (p, y, valid))), before)


def test_stack_roc_auc_leaves_absent_classes_out_and_is_nan_where_none_can_be_scored():
    p, y = predictions(n=60)
    y_absent, y_single = np.where(y == 2, 0, y), np.full_like(y, 3)
    stack = np.stack([y, y_absent, y_single])
    check_stack(np.stack([p, p, p]), stack, np.ones(stack.shape, bool))
    got = macro_roc_auc(torch.from_numpy(np.stack([p] * 3)), torch.from_numpy(stack), torch.ones(3, 60).bool())
    assert got.isnan().tolist() == [False, False, True]


@st.composite
def stacks(draw):
    """Scores with many ties, labels with absent classes, validity masks, of up to 3 members, 12 windows, 4 classes."""
    e, n, c = draw(st.integers(1, 3)), draw(st.integers(1, 12)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.integers(1, 6))
    score = rng.integers(0, levels, (e, n, c)) / levels
    return score, rng.integers(0, draw(st.integers(1, c)), (e, n)), rng.random((e, n)) < draw(st.sampled_from([0.5, 1]))


@settings(deadline=None)
@given(stacks())
def test_stack_roc_auc_equals_scikit_learn_on_any_stack(stack):
    check_stack(*stack)
