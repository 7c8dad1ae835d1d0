"""Metrics against scikit-learn's, against numbers worked out by hand, and over draws of people by brute force."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from sklearn.preprocessing import label_binarize

from rdpd_nb.evaluation import (
    RESAMPLED,
    macro_roc_auc,
    people_resampled,
    person_scores,
    present_classes,
    resampled_scores,
    scores,
)

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


# -------------------------------------------------------------------------------------------------- two classes


def test_of_two_classes_the_positive_ones_scores_alone_count():
    p, y = predictions(n=150, classes=2)
    got = scores(p, y)
    assert got["roc_auc"] == pytest.approx(roc_auc_score(y, p[:, 1]))
    assert got["pr_auc"] == pytest.approx(average_precision_score(y, p[:, 1]))
    assert got["macro_f1"] == pytest.approx(f1_score(y, p[:, 1] > 0.5))
    assert got["macro_f1_argmax"] == pytest.approx(f1_score(y, p.argmax(1)))
    assert got["pr_auc"] != pytest.approx(average_precision_score(1 - y, p[:, 0])), "the negative class's is another"


def test_two_classes_by_hand():
    y = np.array([0, 0, 0, 1, 1])
    positive = np.array([0.1, 0.2, 0.7, 0.6, 0.9])
    got = scores(np.stack([1 - positive, positive], 1), y)
    # Of 6 pairs one is upside down (0.6 below 0.7); named: 0.7, 0.6, 0.9, of which two are right.
    assert got["roc_auc"] == pytest.approx(5 / 6)
    assert got["pr_auc"] == pytest.approx((1 + 2 / 3) / 2)
    assert got["macro_f1"] == pytest.approx(2 * (2 / 3) / (2 / 3 + 1))


def test_two_classes_of_which_one_is_there_have_no_scores():
    p, _ = predictions(n=20, classes=2)
    for only in (0, 1):
        got = scores(p, np.full(20, only))
        assert got["roc_auc"] is got["macro_f1"] is None and got["classes_absent"] == [0, 1]


# ------------------------------------------------------------------------------------------------------- people


def of_people(rng: np.random.Generator, n: int, classes: int, people: int, levels: int = 0) -> tuple:
    """Probability (n, classes), with ties where `levels` is given, label (n,) and person (n,), everybody there."""
    y = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[y]
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    person = rng.permutation(np.append(np.arange(people), rng.integers(0, people, n - people)))
    return np.round(p * levels) / levels if levels else p, y, person


def weighted_by_scikit_learn(p: np.ndarray, y: np.ndarray, weight: np.ndarray) -> list[float]:
    """The three scores of windows with these weights, macro over the classes that have weight in and out."""
    per_class = [
        (
            roc_auc_score(y == c, p[:, c], sample_weight=weight),
            average_precision_score(y == c, p[:, c], sample_weight=weight),
            f1_score(y == c, p[:, c] > 0.5, sample_weight=weight, zero_division=0),
        )
        for c in ([1] if p.shape[1] == 2 else range(p.shape[1]))
        if 0 < weight[y == c].sum() < weight.sum()
    ]
    return np.mean(per_class, axis=0).tolist() if per_class else [math.nan] * 3


@settings(deadline=None, max_examples=60)
@given(
    *(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(1, 6)),
    *(st.integers(6, 30), st.sampled_from([0, 1, 3]), st.integers(0, 3)),
)
def test_scores_of_people_drawn_are_scikit_learns_with_weights(seed, classes, people, n, levels, most):
    rng = np.random.default_rng(seed)
    p, y, person = of_people(rng, n, classes, people, levels)
    times = rng.integers(0, most + 1, (4, people))
    got = resampled_scores(p, y, person, times)
    expected = [weighted_by_scikit_learn(p, y, drawn[person].astype(float)) for drawn in times]
    np.testing.assert_allclose(got.T, expected, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.sampled_from([0, 2]))
def test_everybody_once_gives_the_scores_and_twice_the_same(seed, classes, levels):
    p, y, person = of_people(np.random.default_rng(seed), 25, classes, 5, levels)
    expected = [math.nan if scores(p, y)[name] is None else scores(p, y)[name] for name in RESAMPLED]
    got = resampled_scores(p, y, person, np.array([[1] * 5, [2] * 5]))
    np.testing.assert_allclose(got.T, [expected] * 2, atol=1e-12)


def test_people_drawn_are_scored_as_windows_repeated():
    p, y, person = of_people(np.random.default_rng(3), 60, 3, 6)
    times = np.array([[2, 0, 1, 3, 0, 0]])
    repeated = np.repeat(np.arange(60), times[0][person])
    by_hand = scores(p[repeated], y[repeated])
    assert resampled_scores(p, y, person, times)[:, 0] == pytest.approx([by_hand[name] for name in RESAMPLED])


def test_draws_of_one_test_part_are_scores_of_people_drawn_with_replacement():
    p, y, person = of_people(np.random.default_rng(0), 80, 3, 10)
    ids = 100 + 7 * person  # whatever people are called
    got = people_resampled([p, p], [y, y], [ids, ids], draws=300)
    assert list(got) == list(RESAMPLED) and {len(values) for values in got.values()} == {300}
    assert all(value == round(value, 5) for value in got["roc_auc"])
    assert got == people_resampled([p], [y], [ids], draws=300), "two seeds of the same predictions are as one"
    rng = np.random.default_rng(1)
    by_hand = []
    for _ in range(300):
        drawn = np.concatenate([np.flatnonzero(person == who) for who in rng.integers(0, 10, 10)])
        by_hand.append(scores(p[drawn], y[drawn])["roc_auc"])
    assert np.mean(got["roc_auc"]) == pytest.approx(np.mean(by_hand), abs=0.01)
    assert np.std(got["roc_auc"]) == pytest.approx(np.std(by_hand), rel=0.2)


def test_other_predictions_of_the_same_people_have_the_same_draws():
    p, y, person = of_people(np.random.default_rng(0), 80, 3, 10)
    worse = 0.7 * p + 0.3 * np.random.default_rng(1).dirichlet([1, 1, 1], 80)
    one, two = (np.array(people_resampled([q], [y], [person])["roc_auc"]) for q in (p, worse))
    assert np.corrcoef(one, two)[0, 1] > 0.5, "so that differences are of one draw"


def test_folds_count_as_often_as_their_person_was_drawn():
    rng = np.random.default_rng(0)
    folds = [of_people(rng, 40, 3, 1) for _ in range(4)]
    p, y = [fold[0] for fold in folds], [fold[1] for fold in folds]
    got = people_resampled(p, y, [np.full(40, who) for who in range(4)], draws=50)
    times = np.random.default_rng(0).multinomial(4, [0.25] * 4, 50)  # as documented: generator 0
    each = np.array([scores(*fold)["pr_auc"] for fold in zip(p, y, strict=True)])
    np.testing.assert_allclose(got["pr_auc"], times @ each / 4, atol=1e-5)


def test_a_draw_without_any_class_to_score_is_none_and_one_person_has_no_draws():
    p, y, person = of_people(np.random.default_rng(0), 12, 2, 2)
    y = person.copy()  # one is ill, one is not: both must be drawn
    got = people_resampled([p], [y], [person], draws=100)
    both = (np.random.default_rng(0).multinomial(2, [0.5, 0.5], 100) == 1).all(1)
    assert [value is None for value in got["roc_auc"]] == (~both).tolist() and 0 < both.sum() < 100
    assert people_resampled([p], [y], [np.zeros(12, int)]) == {}


def test_scores_by_person_are_those_of_the_mean_probability():
    p, _, person = of_people(np.random.default_rng(0), 60, 3, 9)
    y = np.arange(9)[person] % 3
    mean = np.array([p[person == who].mean(0) for who in range(9)])
    by_hand = scores(mean, np.arange(9) % 3)
    got = person_scores(p, y, person + 50)
    assert got == pytest.approx({f"person_{name}": by_hand[name] for name in ("roc_auc", "pr_auc", "macro_f1")})


def test_there_are_no_scores_by_person_where_a_person_is_of_two_classes_or_has_one_window():
    p, y, person = of_people(np.random.default_rng(0), 60, 3, 9)
    assert person_scores(p, y, person) is None
    assert person_scores(p, y, np.arange(60)) is None
    assert person_scores(p, np.zeros(60, int), person)["person_roc_auc"] is None, "all people of one class"


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


# ------------------------------------------------------------------------------------------------ edges of draws


def test_a_draw_counts_though_only_one_of_its_people_can_be_scored():
    """Of two folds the second has a single class and no score: every draw that holds the first person has its score."""
    p, y, _ = of_people(np.random.default_rng(0), 40, 3, 1)
    got = people_resampled([p, p], [y, np.zeros(40, int)], [np.zeros(40, int), np.ones(40, int)])
    times = np.random.default_rng(0).multinomial(2, [0.5, 0.5], 500)[:, 0]
    once = round(scores(p, y)["roc_auc"], 5)
    assert got["roc_auc"] == [once if drawn else None for drawn in times] and 1 in times


def test_draws_are_500_of_five_digits():
    p, y, person = of_people(np.random.default_rng(0), 30, 3, 6)
    for values in people_resampled([p], [y], [person]).values():
        digits = {len(str(value).split(".")[1]) for value in values}
        assert len(values) == 500 and max(digits) == 5
