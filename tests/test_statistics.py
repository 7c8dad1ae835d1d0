"""Statistics over seeds, against SciPy's and against numbers worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rdpd_nb.statistics import (
    bootstrap_interval,
    holm,
    mean_and_deviation,
    paired,
    signed_rank_p,
    verdict,
    welch_interval,
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
