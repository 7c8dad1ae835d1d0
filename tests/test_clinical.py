"""What a clinician asks: against scikit-learn, numbers worked out by hand, and brute force."""

import math

import matplotlib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score, roc_curve

from rdpd_nb import clinical
from rdpd_nb.errors import UserError
from rdpd_nb.evaluation import people_resampled, scores
from rdpd_nb.figures import COLOURS, SHOWN, set_style, shown_points
from rdpd_nb.paper import METHODS
from rdpd_nb.statistics import people_interval


def two(positive: list | np.ndarray) -> np.ndarray:
    """Probabilities (n, 2) from those of class 1."""
    return np.stack([1 - np.array(positive), np.array(positive)], 1)


def made_up(n: int = 300, people: int = 60, classes: int = 2, seed: int = 0, sharp: float = 1.0) -> tuple:
    """Probabilities (n, classes), of use, labels and subjects; each person is of one class. sharp: above 1 too sure."""
    rng = np.random.default_rng(seed)
    subject = np.arange(n) % people
    y = rng.permutation(np.arange(people) % classes)[subject]
    logits = rng.normal(size=(people, classes))[subject] + rng.normal(size=(n, classes)) / 2
    logits[np.arange(n), y] += 1.2
    p = np.exp(sharp * logits)
    return p / p.sum(1, keepdims=True), y, subject


# --------------------------------------------------------------------------------------------------- calibration


@pytest.mark.parametrize("bins", [1, 4, 10, 37])
def test_reliability_has_the_bins_of_scikit_learn(bins):
    p, y, _ = made_up()
    table = clinical.reliability(p, y, bins)
    observed, predicted = calibration_curve(y, p[:, 1], n_bins=bins, strategy="quantile")
    np.testing.assert_allclose(table["observed"], observed)
    np.testing.assert_allclose(table["predicted"], predicted)
    assert table["count"].sum() == len(y) and np.ptp(table["count"]) <= 1  # no two probabilities are equal
    assert set(table["of"]) == {"class 1"}


def test_reliability_by_hand():
    table = clinical.reliability(two([0.1, 0.2, 0.3, 0.6, 0.8, 0.9]), [0, 1, 0, 1, 0, 1], bins=2)
    np.testing.assert_allclose(table["predicted"], [0.2, (0.6 + 0.8 + 0.9) / 3])
    np.testing.assert_allclose(table["observed"], [1 / 3, 2 / 3])
    assert list(table["count"]) == [3, 3]
    assert clinical.ece(two([0.1, 0.2, 0.3, 0.6, 0.8, 0.9]), [0, 1, 0, 1, 0, 1], bins=2) == pytest.approx(
        0.5 * (1 / 3 - 0.2) + 0.5 * (2.3 / 3 - 2 / 3)
    )


def test_reliability_s_interval_is_wilson_s():
    table = clinical.reliability(*made_up()[:2], bins=5)
    z = stats.norm.ppf(0.975)
    for p, n, low, high in table[["observed", "count", "low", "high"]].itertuples(index=False):
        middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
        assert (low, high) == pytest.approx(((middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)))


def test_equal_probabilities_share_a_bin():
    table = clinical.reliability(two([0.3] * 7 + [0.8]), [0, 1, 0, 1, 0, 1, 0, 1], bins=4)
    assert list(table["count"]) == [7, 1] and table["predicted"].tolist() == pytest.approx([0.3, 0.8])


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=2, max_size=40),
       st.integers(1, 12))  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_bins_keep_the_means_and_the_error_lies_between_bias_and_1(rows, bins):
    score, y = np.array(rows, float).T
    if len(set(y)) < 2:
        return
    table = clinical.reliability(two(score), y, bins)
    assert np.average(table["predicted"], weights=table["count"]) == pytest.approx(score.mean())
    assert np.average(table["observed"], weights=table["count"]) == pytest.approx(y.mean())
    assert ((table["low"] <= table["observed"] + 1e-9) & (table["observed"] <= table["high"] + 1e-9)).all()
    found = clinical.ece(two(score), y, bins)
    assert abs(score.mean() - y.mean()) - 1e-9 <= found <= 1


def test_of_several_classes_calibration_is_of_the_class_called_or_of_the_one_chosen():
    p, y, _ = made_up(classes=4)
    called = clinical.reliability(p, y, bins=5)
    observed, predicted = calibration_curve(p.argmax(1) == y, p.max(1), n_bins=5, strategy="quantile")
    np.testing.assert_allclose(called[["observed", "predicted"]].T, [observed, predicted])
    chosen = clinical.reliability(p, y, bins=5, positive=2)
    observed, predicted = calibration_curve(y == 2, p[:, 2], n_bins=5, strategy="quantile")
    np.testing.assert_allclose(chosen[["observed", "predicted"]].T, [observed, predicted])
    assert (called["of"][0], chosen["of"][0]) == (clinical.CALLED, "class 2")
    assert clinical.ece(p, y, 5) != clinical.ece(p, y, 5, positive=2)


def test_brier_is_scikit_learn_s():
    p, y, _ = made_up()
    assert clinical.brier(p, y) == pytest.approx(np.mean((p[:, 1] - y) ** 2))
    assert clinical.brier(p, y, positive=0) == pytest.approx(clinical.brier(p, y))
    p, y, _ = made_up(classes=3)
    assert clinical.brier(p, y) == pytest.approx(
        np.mean([(np.eye(3)[c] - q) @ (np.eye(3)[c] - q) for q, c in zip(p, y, strict=True)])
    )
    assert clinical.brier(p, y, positive=2) == pytest.approx(brier_score_loss(y == 2, p[:, 2]))


@pytest.mark.parametrize(("classes", "sharp"), [(2, 3.0), (2, 0.3), (5, 2.0)])
def test_the_temperature_is_the_best_of_a_grid(classes, sharp):
    p, y, _ = made_up(classes=classes, sharp=sharp)
    found = clinical.fit_temperature(np.log(p), y)
    grid = np.geomspace(0.06, 19, 401)
    loss = [log_loss(y, clinical.calibrated(p, t)) for t in grid]
    assert found == pytest.approx(grid[np.argmin(loss)], rel=0.01)
    assert log_loss(y, clinical.calibrated(p, found)) <= min(loss) + 1e-9


def test_a_temperature_undoes_the_one_before():
    """Probabilities of T = 1 made three times as sure: the temperature is three times as large."""
    p, y, _ = made_up()
    one = clinical.fit_temperature(np.log(p), y)
    assert clinical.fit_temperature(3 * np.log(p), y) == pytest.approx(3 * one, rel=1e-4)
    assert clinical.fit_temperature(np.log(p) + 7, y) == pytest.approx(one, rel=1e-4)  # logits: a constant is nothing


def test_probabilities_drawn_as_said_need_no_temperature():
    rng = np.random.default_rng(1)
    p = rng.uniform(0.02, 0.98, 20_000)
    y = (rng.random(20_000) < p).astype(int)
    assert clinical.fit_temperature(np.log(two(p)), y) == pytest.approx(1, abs=0.05)
    assert clinical.ece(two(p), y) < 0.02


@given(st.lists(st.tuples(st.floats(-30, 30), st.booleans()), min_size=2, max_size=30))
@settings(max_examples=60, deadline=None)
def test_fitting_never_makes_validation_worse(rows):
    margin, y = np.array(rows, float).T
    if len(set(y)) < 2:
        return
    logits = np.stack([np.zeros_like(margin), margin], 1)
    found = clinical.fit_temperature(logits, y)
    price = np.logaddexp(0, -np.where(y == 1, margin, -margin) / np.array([[1.0], [found]])).mean(1)
    assert price[1] <= price[0] + 1e-12 and clinical.COOLEST <= found <= clinical.HOTTEST


def test_where_all_is_right_the_temperature_stays_1():
    assert clinical.fit_temperature(np.log(two([0.1, 0.2, 0.7])), [0, 0, 1]) == 1.0


def test_a_probability_of_0_does_not_break_the_fit():
    with np.errstate(divide="ignore"):
        log_p = np.log(two([0.0, 1.0, 0.2, 0.9, 0.0]))
    assert 1 < clinical.fit_temperature(log_p, [0, 1, 1, 1, 1]) <= clinical.HOTTEST


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.floats(0.05, 20))
@settings(max_examples=60, deadline=None)
def test_calibrating_keeps_ranks_and_sums(positive, temperature):
    p = two(positive)
    found = clinical.calibrated(p, temperature)
    np.testing.assert_allclose(found.sum(1), 1)
    assert ((found > 0.5) <= (p >= 0.5)).all() and (np.diff(found[np.argsort(p[:, 1]), 1]) >= -1e-12).all()
    np.testing.assert_allclose(clinical.calibrated(p, 1), p, atol=1e-12)


def test_calibrated_by_hand():
    """At T = 2 the odds are the root: 9 to 1 becomes 3 to 1."""
    np.testing.assert_allclose(clinical.calibrated([[0.1, 0.9], [0, 1]], 2), [[0.25, 0.75], [0, 1]])


# ---------------------------------------------------------------------------------------------- operating points


@given(st.lists(st.tuples(st.sampled_from(np.round(np.linspace(0, 1, 21), 2).tolist()), st.booleans()), min_size=2,
                max_size=60), st.sampled_from([0.07, 0.5, 0.57, 0.8, 0.9, 0.95]))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_the_threshold_is_the_lowest_with_that_specificity(rows, asked):
    score, y = np.array(rows, float).T
    if len(set(y)) < 2:
        return
    point = clinical.operating_point(two(score), y, two(score), y, np.arange(len(y)), asked)
    reached = [t for t in np.unique(score) if np.mean(score[y == 0] <= t) >= asked - 1e-12]
    fpr, tpr, _ = roc_curve(y, score, drop_intermediate=False)
    assert (score > point.threshold).tolist() == (score > min(reached)).tolist()
    assert point.scores["validation"]["specificity"] >= asked - 1e-12
    assert point.scores["validation"]["sensitivity"] == pytest.approx(tpr[1 - fpr >= asked - 1e-9].max())


def test_an_operating_point_by_hand():
    validation, truth = two([0.1, 0.2, 0.3, 0.4, 0.5, 0.45, 0.6]), [0, 0, 0, 0, 0, 1, 1]
    test, y = two([0.1, 0.9, 0.41, 0.3, 0.7, 0.2]), [0, 0, 1, 1, 1, 0]
    point = clinical.operating_point(validation, truth, test, y, list("abcdef"), 0.8)
    assert point.threshold == pytest.approx(0.4)  # 4 of 5 negatives at or below
    assert point.scores["validation"].to_dict() == pytest.approx(
        {"sensitivity": 1, "specificity": 0.8, "ppv": 2 / 3, "npv": 1}
    )
    assert point.scores["test"].to_dict() == pytest.approx(
        {"sensitivity": 2 / 3, "specificity": 2 / 3, "ppv": 2 / 3, "npv": 2 / 3}
    )
    assert point.scores["windows"].tolist() == [3, 3, 3, 3]


def test_intervals_are_over_draws_of_people_by_brute_force():
    p, y, subject = made_up(n=90, people=30)
    point = clinical.operating_point(p, y, p, y, subject, 0.8)
    called, people = p[:, 1] > point.threshold, np.unique(subject)
    times = np.random.default_rng(0).multinomial(len(people), np.full(len(people), 1 / len(people)), clinical.DRAWS)
    found = []
    for drawn in times:
        rows = np.concatenate(
            [np.repeat(np.flatnonzero(subject == who), n) for who, n in zip(people, drawn, strict=True)]
        )
        rows = rows.astype(int)
        found.append([called[rows][y[rows] == 1].mean(), (~called[rows])[y[rows] == 0].mean()])
    for name, column in zip(("sensitivity", "specificity"), np.array(found).T, strict=True):
        expected = np.quantile(column, [0.025, 0.975])
        np.testing.assert_allclose(point.scores.loc[name, ["low", "high"]].astype(float), expected)
        assert point.scores.loc[name, "people"] == 15


def test_draws_of_people_are_those_of_evaluation():
    """The draws by which scores are given: a window a person, F1 at 0.5 from sensitivity and ppv, draw by draw."""
    p, y, subject = made_up(n=40, people=40)
    people = np.unique(subject)
    times = np.random.default_rng(0).multinomial(len(people), np.full(len(people), 1 / len(people)), clinical.DRAWS)
    called = p[:, 1] > 0.5
    f1 = 2 * times @ (called & (y == 1)) / (times @ called + times @ (y == 1))
    np.testing.assert_allclose(people_resampled([p], [y], [subject])["macro_f1"], f1, atol=1e-5)


def test_a_score_of_1_has_wilson_s_interval_of_people_not_of_windows():
    p = two(np.tile([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95], 4))
    y, subject = (p[:, 1] > 0.5).astype(int), np.tile(np.arange(9), 4)
    found = clinical.operating_point(p, y, p, y, subject).scores
    expected = stats.binomtest(5, 5).proportion_ci(method="wilson")
    assert found.loc["sensitivity", "test":].tolist() == [1, expected.low, expected.high, 20, 5]
    few = found.loc["specificity"]  # of 4 people
    assert (few["test"], few["people"]) == (1, 4) and few[["low", "high"]].isna().all()


def test_few_people_of_a_kind_have_no_interval_whatever_their_windows():
    p, y, subject = made_up(n=600, people=60)
    without = clinical.operating_point(p, y, p, y, np.where(y == 0, subject % 4, subject)).scores
    assert without.loc["specificity", "people"] == 4 and without.loc["specificity", ["low", "high"]].isna().all()
    assert without.loc["specificity", "test"] < 1 and without.loc["sensitivity", ["low", "high"]].notna().all()
    enough = clinical.operating_point(p, y, p, y, np.where(y == 0, subject % 5, subject)).scores
    assert enough.loc["specificity", "people"] == 5 and enough.loc["specificity", ["low", "high"]].notna().all()


def test_what_nobody_is_called_has_no_share():
    point = clinical.operating_point(two([0.9, 0.1]), [0, 1], two([0.5, 0.2]), [1, 0], [1, 2])
    assert point.threshold == 0.9 and point.scores.loc["ppv", ["test", "low", "high"]].isna().all()
    assert point.scores.loc["sensitivity", "test"] == 0 and point.scores.loc["specificity", "test"] == 1


def test_one_person_has_no_interval():
    p, y, _ = made_up()
    assert clinical.operating_point(p, y, p, y, np.zeros(len(y))).scores[["low", "high"]].isna().all(axis=None)


def test_an_operating_point_of_one_class_of_several_is_that_of_two():
    p, y, subject = made_up(classes=3)
    got = clinical.operating_point(p, y, p, y, subject, positive=2)
    expected = clinical.operating_point(two(p[:, 2]), y == 2, two(p[:, 2]), y == 2, subject)
    assert got.threshold == expected.threshold
    pd.testing.assert_frame_equal(got.scores, expected.scores)


# ------------------------------------------------------------------------------------------------------ subgroups


def groups_of(table: pd.DataFrame, column: str) -> list:
    return table.loc[table["column"] == column, "value"].tolist()


def test_subgroups_have_the_scores_and_the_intervals_of_their_rows():
    p, y, subject = made_up(n=400, people=80)
    sex = np.where(subject % 3 == 0, "F", "M")
    table = clinical.subgroups(p, y, subject, pd.DataFrame({"sex": sex}))
    assert list(zip(table["column"], table["value"], strict=True)) == [("all", ""), ("sex", "F"), ("sex", "M")]
    for row, there in zip(table.to_dict("records"), (sex != "", sex == "F", sex == "M"), strict=True):
        assert row["roc_auc"] == pytest.approx(roc_auc_score(y[there], p[there, 1]))
        assert row["macro_f1"] == scores(p[there], y[there])["macro_f1"]
        draws = people_resampled([p[there]], [y[there]], [subject[there]])
        assert (row["pr_auc_low"], row["pr_auc_high"]) == people_interval(draws["pr_auc"])
        assert (row["windows"], row["people"]) == (there.sum(), len(set(subject[there])))
        assert row["positive"] == pytest.approx(y[there].mean()) and row["note"] == ""


def test_too_few_of_a_class_have_no_interval_and_none_no_score():
    p, y, subject = made_up(n=60, people=60)
    site = np.where(y == 0, "many", "none of 1")
    site[np.flatnonzero(y == 1)[:4]] = "many"
    site = np.where((y == 0) & (subject % 2 == 0), "none of 1", site)
    site[(y == 1) & (site == "none of 1")] = "all 1"
    table = clinical.subgroups(p, y, subject, pd.DataFrame({"site": site})).set_index("value")
    assert table.loc["many", "note"] == "too few of class 1: 4 people"
    assert pd.notna(table.loc["many", "roc_auc"]) and pd.isna(table.loc["many", "roc_auc_low"])
    assert table.loc["none of 1", "note"] == "too few of class 1: 0 people" and pd.isna(
        table.loc["none of 1", "roc_auc"]
    )
    assert table.loc["all 1", "note"] == "too few of class 0: 0 people" and table.loc["all 1", "positive"] == 1
    named = clinical.subgroups(p, y, subject, pd.DataFrame({"site": site}), classes=("no Brugada", "Brugada"))
    assert named.set_index("value").loc[["many", "all 1"], "note"].tolist() == [
        "too few of Brugada: 4 people",
        "too few of no Brugada: 0 people",
    ]


def test_numbers_are_cut_at_the_median_or_where_said():
    p, y, subject = made_up(n=100, people=100)
    age = np.arange(100.0)
    age[[3, 5]] = np.nan, np.inf
    frame = pd.DataFrame({"age": age})
    table = clinical.subgroups(p, y, subject, frame)
    assert groups_of(table, "age") == ["to 50.5", "above 50.5", "missing"]
    assert table["windows"].tolist() == [100, 49, 49, 2]
    table = clinical.subgroups(p, y, subject, frame, {"age": [10, 60]})
    assert groups_of(table, "age") == ["to 10", "above 10, to 60", "above 60", "missing"]
    assert table["windows"].tolist() == [100, 9, 50, 39, 2]


def test_few_values_are_groups_of_their_own_and_a_median_at_the_top_is_cut_below():
    p, y, subject = made_up(n=100, people=100)
    frame = pd.DataFrame(
        {
            "stage": pd.array([1, 2, None, 1] * 25, dtype="Int64"),
            "score": [0, 1, 2, 3, 4] + [5] * 95,
            "grade": subject % 5,
            "known": subject % 2 == 0,
            "site": ["A", "", None, "missing"] * 25,
        }
    )
    table = clinical.subgroups(p, y, subject, frame)
    assert groups_of(table, "stage") == ["1", "2", "missing"]
    assert groups_of(table, "score") == ["to 4", "above 4"]
    assert groups_of(table, "grade") == ["0", "1", "2", "3", "4"]
    assert groups_of(table, "known") == ["False", "True"]
    assert groups_of(table, "site") == ["A", "missing"] and table["windows"].iloc[-1] == 75


@given(st.lists(st.one_of(st.none(), st.integers(-8, 8).map(float), st.just(math.inf)), min_size=12, max_size=40),
       st.one_of(st.none(), st.lists(st.integers(-9, 9), min_size=1, max_size=4, unique=True).map(sorted)))  # fmt: skip
@settings(max_examples=25, deadline=None)
def test_every_row_is_in_one_group_of_a_column(values, cuts):
    p, y, subject = made_up(n=len(values), people=len(values))
    table = clinical.subgroups(p, y, subject, pd.DataFrame({"x": np.array(values, float)}), cuts and {"x": cuts})
    assert table["windows"].iloc[1:].sum() == table["windows"].iloc[0] == len(values)
    assert len(set(groups_of(table, "x"))) == len(table) - 1


def test_subgroups_of_several_classes_have_the_macro_scores():
    p, y, subject = made_up(n=300, people=90, classes=3)
    table = clinical.subgroups(p, y, subject, pd.DataFrame({"half": subject % 2}))
    assert "positive" not in table
    assert table["roc_auc"].iloc[1] == scores(p[subject % 2 == 0], y[subject % 2 == 0])["roc_auc"]


# ----------------------------------------------------------------------------------------------- decisions, cases


def test_net_benefit_by_hand():
    """Of 10 rows 4 are positive. At 0.25, 3 of them and 2 others are acted on: 3/10 - 2/10 * (0.25 / 0.75)."""
    p = two([0.9, 0.6, 0.25, 0.1, 0.7, 0.3, 0.2, 0.1, 0.05, 0.0])
    y = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    (row,) = clinical.decision_curve(p, y, [0.25]).itertuples()
    assert row.model == pytest.approx(0.3 - 0.2 / 3) and row.all == pytest.approx(0.4 - 0.6 / 3) and row.none == 0


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.99]), st.booleans()), min_size=2, max_size=30))
@settings(max_examples=50, deadline=None)
def test_net_benefit_by_brute_force(rows):
    score, y = np.array(rows, float).T
    if len(set(y)) < 2:
        return
    thresholds = [0, 0.1, 0.3, 0.42, 0.9, 0.999]
    curve = clinical.decision_curve(two(score), y, thresholds)
    for t, model in zip(thresholds, curve["model"], strict=True):
        gain = sum((1 if true else -t / (1 - t)) for said, true in rows if said >= t)
        assert model == pytest.approx(gain / len(rows))
    assert curve["model"][0] == curve["all"][0] == pytest.approx(y.mean())  # at 0 everybody is acted on
    assert (curve["model"] <= y.mean() + 1e-12).all()


def test_a_perfect_model_is_worth_the_prevalence_at_every_threshold():
    curve = clinical.decision_curve(two([0.0, 1.0, 0.0, 0.0]), [0, 1, 0, 0])
    assert len(curve) == 99 and curve["model"].tolist() == pytest.approx([0.25] * 99)


def test_cases_are_the_most_certain_of_each_class_in_turn_and_all_of_different_people():
    #             right 0                wrong, 0 called 1   right 1     wrong, 1 called 0
    positive = [0.01, 0.02, 0.03, 0.3, 0.9, 0.95, 0.6, 0.97, 0.8, 0.1, 0.4]
    y = [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    subject = ["a", "a", "b", "c", "d", "d", "e", "f", "g", "h", "h"]
    cases = clinical.pick_cases(two(positive), y, subject)
    # Right: of class 0 the surest, of 1 the surest, again of 0 (not a's other). Wrong: d's surer one, h's, then e's.
    assert cases["row"].tolist() == [0, 7, 2, 5, 9, 6]
    assert cases["right"].tolist() == [True] * 3 + [False] * 3
    assert cases["called"].tolist() == [0, 1, 0, 1, 0, 1]
    assert cases["probability"].tolist() == pytest.approx([0.99, 0.97, 0.97, 0.95, 0.9, 0.6])


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_cases_are_as_said(seed, classes, count):
    p, y, subject = made_up(n=40, people=12, classes=classes, seed=seed)
    cases = clinical.pick_cases(p, y, subject, count)
    assert cases["subject"].is_unique and cases.groupby("right").size().max() <= count
    assert (subject[cases["row"]] == cases["subject"]).all() and (y[cases["row"]] == cases["truth"]).all()
    assert ((p.argmax(1) == y)[cases["row"]] == cases["right"]).all()
    wrong = np.flatnonzero(p.argmax(1) != y)
    assert (~cases["right"]).sum() == min(count, len(set(subject[wrong])))
    if len(wrong):  # the surest wrong row of all is among them
        assert wrong[p[wrong].max(1).argmax()] in cases["row"].tolist()


# --------------------------------------------------------------------------------------------------------- figures


@pytest.fixture
def drawn(monkeypatch):
    """All figures in the project's look; closed at the end."""
    with matplotlib.rc_context():
        set_style()
        yield
    matplotlib.pyplot.close("all")


def signals(n: int = 4, length: int = 80, channels: int = 2, segments: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, length, channels)), rng.dirichlet(np.ones(segments), n)


def texts(figure: Figure) -> str:
    figure.canvas.draw()
    return "\n".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def readable(figure: Figure) -> bool:
    return figure.get_figwidth() <= SHOWN and shown_points(figure) >= 8.5


def test_reliability_is_drawn_as_its_tables_are(drawn):
    p, y, _ = made_up(sharp=3)
    tables = [clinical.reliability(q, y) for q in (p, clinical.calibrated(p, 3))]
    figure = clinical.draw_reliability(*tables, "ECG", "Brugada")
    before, after = figure.axes[0].lines[1:]
    np.testing.assert_allclose(before.get_xydata(), tables[0][["predicted", "observed"]])
    np.testing.assert_allclose(after.get_xydata(), tables[1][["predicted", "observed"]])
    said = texts(figure)
    assert f"as trained: ECE {clinical.ece(p, y):.3f}" in said and "share that is Brugada" in said
    assert "10 bins of 30 rows" in said and readable(figure)
    assert len(clinical.draw_reliability(tables[0]).axes[0].lines) == 2


def test_the_decision_curve_is_drawn_with_both_bounds(drawn):
    p, y, _ = made_up()
    curves = {name: clinical.decision_curve(clinical.calibrated(p, t), y) for name, t in (("direct", 4), ("rdpd", 1))}
    figure = clinical.draw_decision_curve(curves, "ECG", "Brugada")
    everybody, nobody, direct, rdpd = figure.axes[0].lines
    np.testing.assert_allclose(rdpd.get_ydata(), curves["rdpd"]["model"])
    np.testing.assert_allclose(direct.get_ydata(), curves["direct"]["model"])
    np.testing.assert_allclose(everybody.get_ydata(), curves["rdpd"]["all"])
    assert not nobody.get_ydata().any() and rdpd.get_color() == COLOURS["rdpd"]
    assert "probability of Brugada" in texts(figure) and readable(figure)


def test_every_method_has_a_colour_for_its_curve(drawn):
    curve = clinical.decision_curve(*made_up()[:2])
    assert len(clinical.draw_decision_curve(dict.fromkeys(METHODS, curve)).axes[0].lines) == 2 + len(METHODS)


def test_a_method_that_spells_out_its_terms_has_a_curve_too(drawn):
    curve = clinical.decision_curve(*made_up()[:2])
    names = ["rdpd", "hard+soft", "hard+attention", "logistic"]
    lines = clinical.draw_decision_curve(dict.fromkeys(names, curve)).axes[0].lines[2:]
    assert [line.get_label() for line in lines] == ["RDPD", "hard+soft", "hard+attention", "Logistic regression"]
    assert len({line.get_marker() for line in lines}) == 4
    assert lines[1].get_color() not in COLOURS.values() and lines[3].get_color() == COLOURS["logistic"]


def test_subgroups_are_drawn_a_row_each_with_why_one_is_missing(drawn):
    p, y, subject = made_up()
    table = clinical.subgroups(p, y, subject, pd.DataFrame({"site": np.where((y == 0) & (subject < 30), "A", "B")}))
    figure = clinical.draw_subgroups(table, title="ECG")
    bars, dots = figure.axes[0].lines[0:6:2], figure.axes[0].lines[1:6:2]
    np.testing.assert_allclose([bar.get_xdata() for bar in bars], table[["roc_auc_low", "roc_auc_high"]])
    np.testing.assert_allclose([dot.get_xdata()[0] for dot in dots], table["roc_auc"])
    said = texts(figure)
    assert "site: A (" in said and "too few of class 1: 0 people" in said and readable(figure)
    assert "\nF1" in texts(clinical.draw_subgroups(table, "macro_f1"))


def test_attention_shades_its_segments(drawn):
    x, attention = signals()
    figure = clinical.draw_attention(x[0], ["I (mV)", "II"], 10, attention[0], "where it looks")
    first, second, bar = figure.axes
    np.testing.assert_allclose(second.lines[0].get_xydata(), np.stack([np.arange(80) / 10, x[0, :, 1]], 1))
    edges = [(patch.get_x(), patch.get_width()) for patch in first.patches]
    np.testing.assert_allclose(edges, [(0, 2), (2, 2), (4, 2), (6, 2)])
    shade = [1 - patch.get_facecolor()[2] for patch in first.patches]  # from white to orange: ever less blue
    assert np.argsort(shade).tolist() == np.argsort(attention[0]).tolist()
    even = clinical.draw_attention(x[0], ["I", "II"], 10, [0.25] * 4).axes[0].patches[0]
    np.testing.assert_allclose(even.get_facecolor(), clinical.ATTENTION(0.5))  # half way, and all that is more darker
    most = clinical.draw_attention(x[0], ["I", "II"], 10, [0.7, 0.1, 0.1, 0.1]).axes[0].patches[0]
    np.testing.assert_allclose(most.get_facecolor(), clinical.ATTENTION(1.0))
    said = texts(figure)
    assert f"{100 * attention[0][0]:.0f} %" in said and "I\n(mV)" in said and "time (s)" in said
    assert bar.get_ylabel() == "attention (%)" and readable(figure)


def test_cases_are_drawn_right_ones_on_the_left(drawn):
    p, y, subject = made_up(n=40, people=20)
    x, attention = signals(40)
    cases = clinical.pick_cases(p, y, subject)
    rows = cases["row"]
    figure = clinical.draw_cases(cases, x[rows, :, 0], "I (mV)", 10, attention[rows], ["no", "yes"], "six cases")
    titles = [axis.get_title() for axis in figure.axes[:6]]
    assert [title.split(":")[0] for title in titles[::2]] == [f"right, person {who}" for who in cases["subject"][:3]]
    assert [title.split(":")[0] for title in titles[1::2]] == [f"WRONG, person {who}" for who in cases["subject"][3:]]
    for axis, row in zip(figure.axes[:6:2], rows[:3], strict=True):
        np.testing.assert_allclose(axis.lines[0].get_ydata(), x[row, :, 0])
    assert readable(figure)


def test_a_column_with_fewer_cases_ends_sooner(drawn):
    cases = clinical.pick_cases(two([0.1, 0.9, 0.2, 0.8]), [0, 1, 0, 0], list("abcd"))
    x, attention = signals()
    figure = clinical.draw_cases(cases, x[:, :, 0], "I", 10, attention, ["no", "yes"])
    assert [axis.axison for axis in figure.axes[:6]] == [True, True, True, False, True, False]
    assert [axis.get_xlabel() for axis in figure.axes[:6]] == ["", "time (s)", "", "", "time (s)", ""]
    perfect = clinical.pick_cases(two([0.1, 0.9]), [0, 1], list("ab"))
    figure = clinical.draw_cases(perfect, x[:2, :, 0], "I", 10, attention[:2], ["no", "yes"])
    assert [axis.get_xlabel() for axis in figure.axes[:4]] == ["", "", "time (s)", ""]


# ----------------------------------------------------------------------------------------------------- wrong input

P, Y, WHO = made_up(n=12, people=6)
GROUPS = pd.DataFrame({"age": np.arange(12), "id": [f"no. {i}" for i in range(12)]})
X, A = signals(12)
SIX = clinical.pick_cases(P, Y, WHO)
WRONG = {
    "one column": (lambda: clinical.reliability(P[:, 1], Y), "probability has the shape (12,); give one row a window"),
    "no rows": (lambda: clinical.reliability(P[:0], Y[:0]), "probability has the shape (0, 2)"),
    "text": (lambda: clinical.brier([["a", "b"]], [0]), "probability is no array of numbers"),
    "ragged": (lambda: clinical.brier([[0.5, 0.5], [1.0]], [0, 1]), "probability is no array of numbers"),
    "other y": (lambda: clinical.ece(P, Y[:5]), "y has the shape (5,); give one class for each of the 12 rows"),
    "NaN": (lambda: clinical.ece([[0.5, 0.5], [np.nan, 0.5]], [0, 1]), "row 1 of probability is [nan 0.5]"),
    "logits": (lambda: clinical.ece([[0.5, 0.5], [2, -1]], [0, 1]), "are they logits? use softmax"),
    "sums": (lambda: clinical.brier([[0.5, 0.5], [0.5, 0.6]], [0, 1]), "row 1 of probability sums to 1.1"),
    "labels from 1": (lambda: clinical.brier(P, Y + 1), "of y is 2; give class indices from 0 to 1"),
    "half a label": (lambda: clinical.brier(P, Y + 0.5), "give class indices from 0 to 1"),
    "one class": (lambda: clinical.reliability(P, np.ones(12)), "all of the 12 rows are of class 1"),
    "class not there": (lambda: clinical.decision_curve(P, np.zeros(12)), "none of the 12 rows are of class 1"),
    "no such class": (lambda: clinical.brier(P, Y, positive=2), "positive is 2; choose one of the 2 classes"),
    "no class chosen": (
        lambda: clinical.decision_curve(*made_up(classes=3)[:2]),
        "positive is None; choose one of the 3",
    ),
    "bins": (lambda: clinical.reliability(P, Y, bins=0), "bins is 0; give a whole number from 1"),
    "half bins": (lambda: clinical.ece(P, Y, bins=2.5), "bins is 2.5"),
    "logits NaN": (lambda: clinical.fit_temperature([[0, np.nan]], [0]), "validation: the logits hold NaN or inf"),
    "logits inf": (lambda: clinical.fit_temperature([[0, np.inf]], [0]), "validation: the logits hold NaN or inf"),
    "logits (n,)": (lambda: clinical.fit_temperature([0.0, 1.0], [0, 1]), "validation: probability has the shape (2,)"),
    "no logits": (
        lambda: clinical.fit_temperature(np.zeros((0, 2)), []),
        "validation: probability has the shape (0, 2)",
    ),
    "logits, one class": (lambda: clinical.fit_temperature(np.log(P), np.ones(12)), "all 12 rows are of class 1"),
    "logits, text": (lambda: clinical.fit_temperature([["a", "b"]], [0]), "log_probability is no array of numbers"),
    "temperature": (lambda: clinical.calibrated(P, 0), "the temperature is 0; give a positive number"),
    "temperature text": (lambda: clinical.calibrated(P, "1"), "the temperature is 1; give a positive number"),
    "calibrated text": (lambda: clinical.calibrated("p", 1), "probability is no array of numbers"),
    "specificity 1": (lambda: clinical.operating_point(P, Y, P, Y, WHO, 1), "specificity is 1; give a number between"),
    "specificity 90": (lambda: clinical.operating_point(P, Y, P, Y, WHO, 90), "specificity is 90"),
    "validation": (lambda: clinical.operating_point(P, 0 * Y, P, Y, WHO), "validation: none of the 12 rows"),
    "test": (lambda: clinical.operating_point(P, Y, P, 0 * Y, WHO), "test: none of the 12 rows"),
    "people": (lambda: clinical.operating_point(P, Y, P, Y, WHO[:3]), "test: subject has the shape (3,)"),
    "nobody": (lambda: clinical.pick_cases(P, Y, None), "subject has the shape ()"),
    "a person missing": (lambda: clinical.pick_cases(P, Y, ["a"] * 11 + [None]), "row 11 of subject is empty"),
    "count": (lambda: clinical.pick_cases(P, Y, WHO, 0), "count is 0"),
    "groups": (lambda: clinical.subgroups(P, Y, WHO, GROUPS[:4]), "groups has 4 rows; give a data frame with one row"),
    "groups a dict": (lambda: clinical.subgroups(P, Y, WHO, {"sex": []}), "groups is no data frame"),
    "ids": (
        lambda: clinical.subgroups(*made_up(), pd.DataFrame({"id": [f"{i}." for i in range(300)]})),
        "column 'id' has 300 values, more than 20; leave it out of `subgroups`.",
    ),
    "class titles": (
        lambda: clinical.subgroups(P, Y, WHO, GROUPS, classes=["ill"]),
        "classes are ['ill']; give the titles of all 2 classes, in their order",
    ),
    "one class title": (lambda: clinical.subgroups(P, Y, WHO, GROUPS, classes="ab"), "classes are 'ab'; give the tit"),
    "columns": (
        lambda: clinical.subgroups(P, Y, WHO, GROUPS.set_axis(["a", "a"], axis=1)),
        "groups has two columns 'a'",
    ),
    "cut column": (
        lambda: clinical.subgroups(P, Y, WHO, GROUPS, {"Age": [3]}),
        "cuts names 'Age', which is no column of",
    ),
    "cut text": (lambda: clinical.subgroups(P, Y, WHO, GROUPS, {"id": [3]}), "'id', which does not hold numbers"),
    "cuts": (lambda: clinical.subgroups(P, Y, WHO, GROUPS, {"age": [5, 3]}), "the cuts of 'age' are [5, 3]"),
    "cuts text": (
        lambda: clinical.subgroups(P, Y, WHO, GROUPS, {"age": ["a"]}),
        "cuts of 'age' is no array of numbers",
    ),
    "no cuts": (lambda: clinical.subgroups(P, Y, WHO, GROUPS, {"age": []}), "the cuts of 'age' are []"),
    "threshold 1": (lambda: clinical.decision_curve(P, Y, [0.5, 1]), "should be numbers from 0 to below 1"),
    "no thresholds": (lambda: clinical.decision_curve(P, Y, []), "should be numbers from 0 to below 1"),
    "threshold text": (lambda: clinical.decision_curve(P, Y, ["a"]), "thresholds is no array of numbers"),
    "no curve": (lambda: clinical.draw_decision_curve({}), "there is no curve to draw; give one at least"),
    "metric": (lambda: clinical.draw_subgroups(pd.DataFrame(), "auc"), "metric is 'auc'; subgroups have roc_auc"),
    "segments": (
        lambda: clinical.draw_attention(X[0], ["I", "II"], 10, [0.2, 0.3, 0.5]),
        "signals (80, 2) and attention (3,)",
    ),
    "a window (l,)": (lambda: clinical.draw_attention(X[0, :, 0], ["I"], 10, A[0]), "signals (80,) and attention (4,)"),
    "channels": (
        lambda: clinical.draw_attention(X[0], ["I"], 10, A[0]),
        "there are 1 names of channels for 2 channels",
    ),
    "channels text": (lambda: clinical.draw_attention(X[0], "ab", 10, A[0]), "give one each"),
    "rate": (lambda: clinical.draw_attention(X[0], ["I", "II"], 0, A[0]), "the rate is 0; give samples a second"),
    "attention": (lambda: clinical.draw_attention(X[0], ["I", "II"], 10, 2 * A[0]), "attention should be shares"),
    "cases": (
        lambda: clinical.draw_cases(SIX, X[:, :, 0], "I", 10, A, ["no", "yes"]),
        f"there are {len(SIX)} cases for 12",
    ),
    "titles": (
        lambda: clinical.draw_cases(SIX, X[: len(SIX), :, 0], "I", 10, A[: len(SIX)], ["no"]),
        "signals and 1 classes",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_said_in_one_sentence(wrong):
    call, sentence = WRONG[wrong]
    with pytest.raises(UserError) as found:
        call()
    said = str(found.value)
    assert sentence in said and said.endswith(".") and "\n" not in said and ";" in said


def test_lists_tensors_and_names_do(drawn):
    torch = pytest.importorskip("torch")
    p, y = torch.tensor(P, dtype=torch.float32), torch.tensor(Y)
    names = np.array([f"p{who}" for who in WHO], object)
    assert clinical.brier(p, y) == pytest.approx(clinical.brier(P.tolist(), Y.tolist()), rel=1e-5)
    got = clinical.operating_point(p, y, p, y, names).scores
    pd.testing.assert_frame_equal(
        got, clinical.operating_point(P.astype(np.float32), Y, P.astype(np.float32), Y, WHO).scores
    )
