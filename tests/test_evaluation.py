"""Metrics against scikit-learn's and against numbers worked out by hand."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.preprocessing import label_binarize

from rdpd_nb.evaluation import (
    bootstrap_interval,
    holm,
    latency_ms,
    macro_roc_auc,
    mean_and_deviation,
    paired,
    present_classes,
    scores,
    signed_rank_p,
    verdict,
    welch_interval,
)
from rdpd_nb.models import RCNN
from rdpd_nb.paper import SPECS

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


# ------------------------------------------------------------------------------------------- mean_and_deviation


def test_mean_and_deviation_are_over_seeds_with_the_sample_deviation():
    assert mean_and_deviation([0.5, 0.7, 0.9]) == pytest.approx((0.7, 0.2))


def test_mean_and_deviation_leave_out_seeds_without_a_score():
    assert mean_and_deviation([0.5, None, 0.7, 0.9, None]) == pytest.approx((0.7, 0.2))
    assert mean_and_deviation([None, None]) is None
    assert mean_and_deviation([]) is None


def test_the_deviation_of_one_seed_is_not_a_number():
    mean, deviation = mean_and_deviation([0.6])
    assert mean == 0.6
    assert math.isnan(deviation)


def test_equal_scores_have_no_deviation_at_all_not_even_of_rounding():
    assert mean_and_deviation([0.1] * 10) == (0.1, 0.0)


# ------------------------------------------------------------------------------------------- bootstrap_interval

some_scores = st.lists(st.floats(0, 1), min_size=2, max_size=10)


def test_the_bootstrap_interval_is_scipys_percentile_interval():
    values = np.random.default_rng(1).normal(0.8, 0.05, 10)
    of_scipy = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20000, rng=np.random.default_rng(7))
    assert bootstrap_interval(list(values)) == pytest.approx(tuple(of_scipy.confidence_interval), abs=0.002)


def test_the_bootstrap_interval_of_one_value_is_none_of_two_both_and_of_equal_ones_a_point():
    assert bootstrap_interval([]) is bootstrap_interval([0.7]) is bootstrap_interval([None, 0.7]) is None
    assert bootstrap_interval([0.9, None, 0.5]) == (0.5, 0.9)
    assert bootstrap_interval([0.1] * 10) == (0.1, 0.1)


@settings(deadline=None, max_examples=40)
@given(some_scores, st.randoms())
def test_the_bootstrap_interval_holds_the_mean_and_is_the_same_in_any_order_and_on_any_call(values, random):
    low, high = bootstrap_interval(values)
    assert min(values) - 1e-12 <= low <= np.mean(values) + 1e-12 and np.mean(values) - 1e-12 <= high
    assert high <= max(values) + 1e-12
    shuffled = random.sample(values, len(values))
    assert bootstrap_interval(shuffled) == (low, high)


# -------------------------------------------------------------------------------------------------------- paired


def test_paired_takes_the_seeds_that_both_methods_have_a_score_of():
    got = paired([0.9, 0.8, None, 0.7], [0.8, 0.6, 0.5, None])
    assert got["seeds"] == 2 and got["difference"] == pytest.approx(0.15)
    assert (got["low"], got["high"]) == pytest.approx((0.1, 0.2)) and got["p"] == 0.5


def test_paired_of_one_seed_has_a_difference_only_and_of_none_nothing():
    assert paired([0.9, None], [0.8, 0.1]) == {
        "seeds": 1,
        "difference": pytest.approx(0.1),
        "low": None,
        "high": None,
        "p": None,
    }
    assert paired([None], [0.8]) == {"seeds": 0, "difference": None, "low": None, "high": None, "p": None}
    with pytest.raises(ValueError):
        paired([0.9], [0.8, 0.7])


def test_signed_rank_p_is_scipys_exact_one():
    rng = np.random.default_rng(0)
    for n in (2, 5, 10, 20):
        d = rng.normal(0.3, 1, n)
        assert signed_rank_p(list(d)) == pytest.approx(stats.wilcoxon(d, method="exact").pvalue)
    assert signed_rank_p([0.01 * i for i in range(1, 11)]) == 2 / 2**10, "all of ten seeds on one side"


def test_signed_rank_p_by_hand_with_zeros_and_ties():
    assert signed_rank_p([0.0, 0.0, 0.0]) == 1.0
    assert signed_rank_p([0.2]) is signed_rank_p([]) is None
    # Three ranks of 2, positive ones sum to 4: of the 8 signs 4 give as much or more, so p = min(1, 2 * 4 / 8).
    assert signed_rank_p([0.1, 0.1, -0.1, 0.0]) == 1.0
    assert signed_rank_p([0.1, 0.1, 0.1]) == 2 / 8
    # As numbers these differ in the last bit; as differences of scores they are ties.
    assert signed_rank_p([0.3 - 0.2, 0.2 - 0.1, 0.1 - 0.2]) == 1.0


def test_holm_by_hand():
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == [] and holm([None]) == [None]


@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_holm_is_between_no_correction_and_bonferronis_and_keeps_the_order(p):
    got = holm(p)
    there = [i for i, value in enumerate(p) if value is not None]
    assert [value is None for value in got] == [value is None for value in p]
    for i in there:
        assert p[i] <= got[i] <= min(1.0, len(there) * p[i]) or got[i] == pytest.approx(p[i])
        assert all(got[i] <= got[j] for j in there if p[i] <= p[j])


# ------------------------------------------------------------------------------------------------------- verdict


def ours_with(mean: float, deviation: float, n: int = 10) -> list[float]:
    """n scores of exactly this mean and sample deviation, up to rounding."""
    z = np.arange(n) - (n - 1) / 2
    return list(mean + deviation * z / z.std(ddof=1))


def test_the_verdict_flips_where_welchs_interval_leaves_0():
    # Equal deviations of 0.02, n = 10 each: 18 degrees of freedom, half width 2.100922 * 0.02 * sqrt(2 / 10).
    half = 2.100922 * 0.02 * math.sqrt(0.2)
    assert welch_interval(0.8, 0.02, 10, 0.8, 0.02, 10) == pytest.approx((-half, half), abs=1e-8)
    assert verdict(ours_with(0.8 + half - 1e-6, 0.02), 0.8, 0.02) == "agrees"
    assert verdict(ours_with(0.8 + half + 1e-6, 0.02), 0.8, 0.02) == "higher"
    assert verdict(ours_with(0.8 - half + 1e-6, 0.02), 0.8, 0.02) == "agrees"
    assert verdict(ours_with(0.8 - half - 1e-6, 0.02), 0.8, 0.02) == "lower"


@given(
    *(st.floats(0, 1), st.floats(0.001, 0.3), st.integers(2, 12)),
    *(st.floats(0, 1), st.floats(0.001, 0.3), st.integers(2, 12)),
)
def test_the_verdict_is_scipys_welch_test_at_5_percent(mean, deviation, n, published, published_sd, published_n):
    ours = ours_with(mean, deviation, n)
    there = mean_and_deviation(ours)
    p = stats.ttest_ind_from_stats(*there, n, published, published_sd, published_n, equal_var=False).pvalue
    got = verdict(ours, published, published_sd, published_n)
    if abs(p - 0.05) > 1e-9:
        assert got == ("agrees" if p > 0.05 else "higher" if there[0] > published else "lower")
    low, high = welch_interval(*there, n, published, published_sd, published_n)
    mirrored = welch_interval(published, published_sd, published_n, *there, n)
    assert mirrored == pytest.approx((-high, -low))


def test_the_verdict_at_its_edges():
    assert verdict([], 0.8, 0.02) is verdict([0.8], 0.8, 0.02) is verdict([0.8, None], 0.8, 0.02) is None
    assert verdict([0.8, 0.8, 0.8], 0.8, 0.0) == "agrees", "no deviation on either side: the means are compared"
    assert verdict([0.1 + 0.2] * 3, 0.3, 0.0) == "agrees", "equal up to rounding"
    assert verdict([0.801] * 3, 0.8, 0.0) == "higher" and verdict([0.799] * 3, 0.8, 0.0) == "lower"
    # A deviation on one side only: 9 degrees of freedom, half width 2.262157 * 0.02 / sqrt(10) = 0.014307.
    assert verdict([0.8143] * 2, 0.8, 0.02) == "agrees" and verdict([0.8144] * 2, 0.8, 0.02) == "higher"


def test_latency_is_a_time_of_the_model_in_evaluation_mode():
    model = RCNN(SPECS["mimic3"], "hr").train()
    assert 0 < latency_ms(model, (48, 1), repeats=3) < 1000 and not model.training
