"""Statistics over seeds: intervals, tests, and the verdict on a published number.

Seeds without a score (None, NaN) are left out.
"""

import math

import numpy as np
from scipy import stats

LEVEL = 0.95  # of every interval; tests are at 1 - LEVEL
RESAMPLES = 9999  # of a bootstrap
ENUMERATED = 13  # up to so many differences with ties Wilcoxon's test goes through all 2^n signs

RULE = (
    "Verdict: 'agrees' where the 95 % Welch interval of the difference of means, ours less the paper's (mean and "
    "standard deviation over 10 seeds), holds 0, 'higher' or 'lower' where it lies above or below; the fewer the "
    "seeds, the wider the interval and the less 'agrees' says."
)


def _there(values: list[float | None]) -> np.ndarray:
    there = np.array([v for v in values if v is not None], float)
    return there[~np.isnan(there)]  # a data frame's None


def mean_and_deviation(values: list[float | None]) -> tuple[float, float] | None:
    """Mean and sample standard deviation over seeds, as the paper prints them; seeds without a score are left out.

    None without any score; the deviation of one score is NaN, of equal ones 0.
    """
    there = _there(values)
    if not len(there):
        return None
    if np.ptp(there) == 0:  # exactly, not up to rounding
        return float(there[0]), 0.0 if len(there) > 1 else float("nan")
    return float(np.mean(there)), float(np.std(there, ddof=1))


def bootstrap_interval(values: list[float | None]) -> tuple[float, float] | None:
    """95 % bootstrap interval of the mean over seeds; the same numbers give the same interval, whenever asked.

    The percentile interval: BCa is undefined for equal values and rests on a jackknife that means little for a handful
    of seeds. It is a little narrow for few seeds (by about sqrt((n - 1) / n)); for two it is the two values themselves.
    Equal values give an interval of no width, fewer than two values None.
    """
    there = _there(values)
    if len(there) < 2:
        return None
    if np.ptp(there) == 0:
        return float(there[0]), float(there[0])
    found = stats.bootstrap(
        (np.sort(there),),  # whatever the order of the seeds
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def paired(ours: list[float | None], other: list[float | None]) -> dict:
    """One method less another, seed by seed: both lists in the same order of seeds, ValueError for unequal lengths.

    The same seed shares initial weights, batch order and dropout, so that the difference is the method's; where the
    test subjects are the same for every seed (PAMAP2, UCI HAR), interval and p are about seeds, not about other people.

    Gives `seeds` with both scores, the mean `difference`, its 95 % bootstrap interval `low`, `high` and Wilcoxon's
    signed-rank `p`; None where undefined: all without a common seed, interval and p with one.
    """
    pairs = zip(ours, other, strict=True)
    difference = _there([a - b for a, b in pairs if a is not None and b is not None]).tolist()
    low, high = bootstrap_interval(difference) or (None, None)
    mean = float(np.mean(difference)) if difference else None
    return {"seeds": len(difference), "difference": mean, "low": low, "high": high, "p": signed_rank_p(difference)}


def signed_rank_p(differences: list[float]) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test that the differences lie symmetrically about 0.

    Exact for up to 50 differences, of which with ties up to 13 (all signs are gone through); zeros are dropped
    (Wilcoxon's way), and nothing but zeros gives 1. Fewer than two differences give None. The smallest p of n
    differences is 2^(1-n): 0.5 for two seeds, 0.002 for ten.
    """
    if len(differences) < 2:
        return None
    d = np.round(differences, 12)  # scores of 0.1 and 0.3, 0.5 and 0.7 differ by the same
    d = d[d != 0]
    if not len(d):
        return 1.0
    ties = len(np.unique(np.abs(d))) < len(d)
    method = stats.PermutationMethod(n_resamples=np.inf) if ties and len(d) <= ENUMERATED else "auto"
    return float(stats.wilcoxon(d, method=method).pvalue)


def holm(p: list[float | None]) -> list[float | None]:
    """p values after Holm's step-down correction for their number, in the given order; None stays and counts not."""
    order = sorted((i for i, value in enumerate(p) if value is not None), key=lambda i: p[i])
    corrected, largest = list(p), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p[i]))
        corrected[i] = largest
    return corrected


def welch_interval(
    mean: float, deviation: float, n: int, other_mean: float, other_deviation: float, other_n: int
) -> tuple[float, float]:
    """95 % interval of mean - other_mean from two means and sample deviations, variances not taken to be equal.

    Degrees of freedom by Welch and Satterthwaite; n and other_n at least 2. Without any deviation the interval is the
    difference alone, 0 where it is rounding (below 1e-9).
    """
    difference, variance, other_variance = mean - other_mean, deviation**2 / n, other_deviation**2 / other_n
    if variance + other_variance == 0:
        difference = 0.0 if abs(difference) < 1e-9 else difference
        return difference, difference
    share = variance / (variance + other_variance)
    freedom = 1 / (share**2 / (n - 1) + (1 - share) ** 2 / (other_n - 1))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * math.sqrt(variance + other_variance)
    return difference - half, difference + half


def verdict(ours: list[float | None], published_mean: float, published_std: float, published_n: int = 10) -> str | None:
    """'agrees', 'higher' or 'lower': our seeds against a published mean and sample standard deviation, as `RULE` says.

    The same as Welch's t-test at 5 %. None for fewer than two scores of ours: they have no deviation.
    """
    there = _there(ours)
    if len(there) < 2:
        return None
    low, high = welch_interval(*mean_and_deviation(ours), len(there), published_mean, published_std, published_n)
    return "higher" if low > 0 else "lower" if high < 0 else "agrees"
