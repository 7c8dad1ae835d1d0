"""Intervals, tests and verdicts, against SciPy's and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rdpd_nb.statistics import (
    corrected_interval,
    corrected_p,
    holm,
    interval,
    mean_and_deviation,
    paired,
    people_interval,
    rule,
    signed_rank_p,
    smallest_seen,
    verdicts,
    welch_interval,
    welch_p,
)

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


# ------------------------------------------------------------------------------------- splits that are drawn by seed


def test_the_corrected_interval_and_p_by_hand():
    # Mean 0.02, deviation 0.02, J = 4, test a quarter of train: error 0.02 * sqrt(1/4 + 1/4) = 0.0141421; with 3
    # degrees of freedom t is 3.182446 at 97.5 %, and 0.02 / 0.0141421 = 1.414214 has a p of 0.252.
    values = [0.0, 0.04, 0.01, 0.03]
    deviation = np.std(values, ddof=1)
    error = deviation * math.sqrt(0.5)
    assert corrected_interval(values, 0.25) == pytest.approx((0.02 - 3.182446 * error, 0.02 + 3.182446 * error))
    assert corrected_p(values, 0.25) == pytest.approx(2 * stats.t.sf(0.02 / error, 3))


@settings(deadline=None)  # other programs may hold the cores
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12), st.floats(0, 1))
def test_without_a_test_part_the_correction_is_students_t_and_it_widens_by_a_known_factor(values, ratio):
    if np.std(values) < 1e-6:
        return
    plain = stats.ttest_1samp(values, 0)
    assert corrected_p(values, 0.0) == pytest.approx(plain.pvalue)
    assert corrected_interval(values, 0.0) == pytest.approx(tuple(plain.confidence_interval()))
    (low, high), (wide_low, wide_high) = corrected_interval(values, 0.0), corrected_interval(values, ratio)
    assert (wide_high - wide_low) / (high - low) == pytest.approx(math.sqrt(1 + len(values) * ratio))


def test_the_correction_holds_its_level_where_splits_share_their_data():
    """Means of random halves of 40 numbers less the truth: the plain interval misses it far too often."""
    rng, missed = np.random.default_rng(0), {0.0: 0, 1.0: 0}
    for _ in range(400):
        data = rng.normal(size=40)
        means = [data[rng.permutation(40)[:20]].mean() for _ in range(10)]
        for ratio in missed:
            low, high = corrected_interval(means, ratio)
            missed[ratio] += not low <= 0 <= high
    assert missed[0.0] > 0.3 * 400 and missed[1.0] < 0.08 * 400


def test_the_correction_of_equal_values_is_a_point_and_of_one_value_none():
    assert corrected_interval([0.1] * 6, 0.3) == (0.1, 0.1) and corrected_p([0.1] * 6, 0.3) == 0.0
    assert corrected_p([0.0] * 6, 0.3) == 1.0
    assert corrected_interval([0.1], 0.3) is corrected_p([0.1, None], 0.3) is corrected_p([], 0.3) is None


def test_an_interval_is_students_of_fixed_test_parts_and_none_of_five_seeds():
    six = [0.1, 0.2, 0.4, 0.5, 0.7, 0.9]
    assert interval(six) == pytest.approx(tuple(stats.ttest_1samp(six, 0).confidence_interval()))
    assert interval([*six, None]) == interval(six) and interval(six, 0.25) == corrected_interval(six, 0.25)
    assert interval(six[:5]) is interval([*six[:5], None], 0.25) is None


@pytest.mark.parametrize("seeds", [6, 8, 10])
def test_an_interval_of_few_seeds_misses_the_truth_as_seldom_as_it_says(seeds):
    """A bootstrap of percentiles, which stood here, misses it in 8 to 13 of 100."""
    draws = np.random.default_rng(0).normal(size=(2000, seeds))
    missed = sum(not low <= 0 <= high for low, high in map(interval, draws))
    assert missed / 2000 == pytest.approx(0.05, abs=0.015)


# ------------------------------------------------------------------------------------------------------- people


def test_the_interval_over_people_is_of_percentiles_of_the_draws_or_of_their_differences():
    rng = np.random.default_rng(0)
    ours = rng.normal(0.8, 0.05, 500)
    other = ours - 0.02 + rng.normal(0, 0.001, 500)
    assert people_interval(ours.tolist()) == pytest.approx(tuple(np.percentile(ours, [2.5, 97.5])))
    low, high = people_interval(ours.tolist(), other.tolist())
    assert (low, high) == pytest.approx(tuple(np.percentile(ours - other, [2.5, 97.5])))
    assert high - low < 0.01, "draw by draw, not of two intervals"


def test_draws_without_a_score_are_left_out_and_too_many_of_them_leave_no_interval():
    assert people_interval([None, 0.5, 0.5, float("nan")]) == (0.5, 0.5)
    assert people_interval([0.7, 0.6, None], [None, 0.5, 0.4]) is None
    assert people_interval([None, None, 0.5]) is people_interval([]) is None


# -------------------------------------------------------------------------------------------------------- paired

NONE = dict.fromkeys(("low", "high", "people_low", "people_high", "p"))


def test_paired_takes_the_seeds_that_both_methods_have_a_score_of():
    ours = [0.9, 0.8, None, 0.7, 0.9, 0.8, 0.7, 0.6]
    other = [0.8, 0.6, 0.5, None, 0.7, 0.8, 0.6, 0.7]
    differences = [0.1, 0.2, 0.2, 0.0, 0.1, -0.1]
    got = paired(ours, other)
    assert got["seeds"] == 6 and got["difference"] == pytest.approx(np.mean(differences))
    assert (got["low"], got["high"]) == pytest.approx(interval(differences))
    assert got["p"] == signed_rank_p(differences) and got["people_low"] is None


def test_paired_of_splits_drawn_by_seed_is_corrected():
    ours, other = [0.8, 0.7, 0.9, 0.75, 0.85, 0.8], [0.7, 0.72, 0.8, 0.7, 0.8, 0.81]
    differences = [a - b for a, b in zip(ours, other, strict=True)]
    got = paired(ours, other, ratio=1 / 3)
    assert (got["low"], got["high"]) == corrected_interval(differences, 1 / 3)
    assert got["p"] == corrected_p(differences, 1 / 3)
    assert got["high"] - got["low"] > paired(ours, other)["high"] - paired(ours, other)["low"]


def test_paired_has_the_interval_over_people_whatever_the_number_of_seeds():
    draws = [0.8, 0.7, 0.9], [0.7, 0.7, 0.7]
    got = paired([0.9], [0.8], draws=draws)
    assert (got["people_low"], got["people_high"]) == people_interval(*draws) and got["low"] is got["p"] is None


def test_paired_of_few_seeds_has_a_difference_only_and_of_none_nothing():
    assert paired([0.9, None], [0.8, 0.1]) == {"seeds": 1, "difference": pytest.approx(0.1)} | NONE
    assert paired([0.9] * 5, [0.8] * 5) == {"seeds": 5, "difference": pytest.approx(0.1)} | NONE
    assert paired([0.9] * 5, [0.8] * 5, ratio=0.25)["p"] is None, "no p under six seeds, whatever the test"
    assert paired([None], [0.8]) == {"seeds": 0, "difference": None} | NONE
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


@settings(deadline=None)
@given(st.lists(st.none() | st.floats(0, 1), max_size=12))
def test_holm_is_between_no_correction_and_bonferronis_and_keeps_the_order(p):
    got = holm(p)
    there = [i for i, value in enumerate(p) if value is not None]
    assert [value is None for value in got] == [value is None for value in p]
    for i in there:
        assert p[i] <= got[i] <= min(1.0, len(there) * p[i]) or got[i] == pytest.approx(p[i])
        assert all(got[i] <= got[j] for j in there if p[i] <= p[j])


# ------------------------------------------------------------------------------------------------------ verdicts


def ours_with(mean: float, deviation: float, n: int = 10) -> list[float]:
    """n scores of exactly this mean and sample deviation, up to rounding."""
    z = np.arange(n) - (n - 1) / 2
    return list(mean + deviation * z / z.std(ddof=1))


def judge(ours: list, mean: float, deviation: float, n: int = 10) -> str | None:
    """The verdict on one cell alone, which Holm's correction leaves as it is."""
    (cell,) = verdicts([(ours, mean, deviation)], n)
    return cell and cell["verdict"]


def test_the_verdict_of_one_cell_flips_where_welchs_interval_leaves_0():
    # Equal deviations of 0.02, n = 10 each: 18 degrees of freedom, half width 2.100922 * 0.02 * sqrt(2 / 10).
    half = 2.100922 * 0.02 * math.sqrt(0.2)
    assert welch_interval(0.8, 0.02, 10, 0.8, 0.02, 10) == pytest.approx((-half, half), abs=1e-8)
    assert judge(ours_with(0.8 + half - 1e-6, 0.02), 0.8, 0.02) == "agrees"
    assert judge(ours_with(0.8 + half + 1e-6, 0.02), 0.8, 0.02) == "higher"
    assert judge(ours_with(0.8 - half + 1e-6, 0.02), 0.8, 0.02) == "agrees"
    assert judge(ours_with(0.8 - half - 1e-6, 0.02), 0.8, 0.02) == "lower"


@settings(deadline=None)
@given(
    *(st.floats(0, 1), st.floats(0.001, 0.3), st.integers(2, 12)),
    *(st.floats(0, 1), st.floats(0.001, 0.3), st.integers(2, 12)),
)
def test_interval_and_p_of_a_verdict_are_scipys_welch_test(mean, deviation, n, published, published_sd, published_n):
    ours = ours_with(mean, deviation, n)
    there = mean_and_deviation(ours)
    p = stats.ttest_ind_from_stats(*there, n, published, published_sd, published_n, equal_var=False).pvalue
    assert welch_p(*there, n, published, published_sd, published_n) == pytest.approx(p)
    if abs(p - 0.05) > 1e-9:
        low, high = welch_interval(*there, n, published, published_sd, published_n)
        assert (low <= 0 <= high) == (p > 0.05)
        expected = "agrees" if p > 0.05 else "higher" if there[0] > published else "lower"
        assert judge(ours, published, published_sd, published_n) == expected
    low, high = welch_interval(*there, n, published, published_sd, published_n)
    mirrored = welch_interval(published, published_sd, published_n, *there, n)
    assert mirrored == pytest.approx((-high, -low))


def test_the_verdicts_of_a_table_are_corrected_together():
    # Equal deviations of 0.02 and 18 degrees of freedom: a difference of 0.0215 has p = 0.027, half of what two need.
    near = (ours_with(0.8215, 0.02), 0.8, 0.02)
    far = (ours_with(0.7, 0.02), 0.8, 0.02)
    p = stats.ttest_ind_from_stats(0.8215, 0.02, 10, 0.8, 0.02, 10, equal_var=False).pvalue
    assert 0.025 < p < 0.05
    (alone,) = verdicts([near])
    assert alone["verdict"] == "higher" and alone["p_holm"] == alone["p"] == pytest.approx(p)
    one, none, two = verdicts([near, None, near])
    assert none is None and one["verdict"] == two["verdict"] == "agrees" and one["p_holm"] == pytest.approx(2 * p)
    assert one["less_low"] > 0, "its own interval leaves 0 out, which the table's number of verdicts explains"
    one, two = verdicts([near, far])
    assert (one["verdict"], two["verdict"]) == ("higher", "lower"), "step down: the second one stands alone"
    assert one["seen"] > alone["seen"], "a stricter level sees less"


def test_cells_without_two_seeds_are_not_judged_and_do_not_count():
    one, two, three = verdicts([([0.8], 0.7, 0.02), (ours_with(0.8, 0.02), 0.8, 0.02), ([0.8, None], 0.8, 0.02)])
    assert one is three is None and two["p_holm"] == two["p"]
    assert verdicts([]) == [] and verdicts([None, None]) == [None, None]


def test_the_verdict_at_its_edges():
    assert judge([], 0.8, 0.02) is judge([0.8], 0.8, 0.02) is judge([0.8, None], 0.8, 0.02) is None
    assert judge([0.8, 0.8, 0.8], 0.8, 0.0) == "agrees", "no deviation on either side: the means are compared"
    assert judge([0.1 + 0.2] * 3, 0.3, 0.0) == "agrees", "equal up to rounding"
    assert judge([0.801] * 3, 0.8, 0.0) == "higher" and judge([0.799] * 3, 0.8, 0.0) == "lower"
    # A deviation on one side only: 9 degrees of freedom, half width 2.262157 * 0.02 / sqrt(10) = 0.014307.
    assert judge([0.8143] * 2, 0.8, 0.02) == "agrees" and judge([0.8144] * 2, 0.8, 0.02) == "higher"


@pytest.mark.parametrize(("deviation", "n", "level"), [(0.02, 10, 0.05), (0.05, 10, 0.05 / 36), (0.02, 3, 0.05)])
def test_the_smallest_difference_seen_has_the_power_that_scipys_noncentral_t_gives(deviation, n, level):
    seen = smallest_seen(deviation, n, 0.02, 10, level)
    a, b = deviation**2 / n, 0.02**2 / 10
    freedom = (a + b) ** 2 / (a**2 / (n - 1) + b**2 / 9)
    edge, d = stats.t.isf(level / 2, freedom), seen / math.sqrt(a + b)
    assert stats.nct.sf(edge, freedom, d) + stats.nct.cdf(-edge, freedom, d) == pytest.approx(0.8, abs=1e-3)


def test_the_smallest_difference_seen_by_simulation_and_at_its_edges():
    seen, rng = smallest_seen(0.02, 10, 0.02, 10), np.random.default_rng(0)
    ours, theirs = rng.normal(0.8 + seen, 0.02, (4000, 10)), rng.normal(0.8, 0.02, (4000, 10))
    found = stats.ttest_ind(ours, theirs, axis=1, equal_var=False).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.02)
    assert smallest_seen(0.0, 10, 0.0, 10) == 0.0
    assert 0.02 < smallest_seen(0.02, 10, 0.02, 10) < smallest_seen(0.02, 2, 0.02, 10, 0.001) < 10


def test_the_words_under_the_verdicts_count_what_chance_alone_gives():
    text = rule(48, 114)
    assert "2.4 of these 48" in text and "(5.7 of the 114 cells of Tables 2-4)" in text
    assert "not equality" in text and "Holm" in text and "80 %" in text


def test_a_verdict_has_both_ends_of_its_interval():
    ours = ours_with(0.83, 0.02)
    (cell,) = verdicts([(ours, 0.8, 0.03)])
    low, high = welch_interval(0.83, 0.02, 10, 0.8, 0.03, 10)
    assert (cell["less_low"], cell["less_high"]) == pytest.approx((low, high)) and low < 0.03 < high
