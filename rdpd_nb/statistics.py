"""Intervals, tests and verdicts: over seeds (or folds), over people, and against a published number.

Seeds without a score (None, NaN) are left out.

Two things are uncertain. Another seed has other initial weights, another order of batches, and where the split is drawn
by seed other people; where folds are people, another fold is another person. And other test people would have given
other scores, which draws of people (`evaluation.people_resampled`) show. Neither interval holds the other.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import optimize, stats

LEVEL = 0.95  # of every interval; tests are at 1 - LEVEL
POWER = 0.8  # with which a test would have found what it is said to see
ENUMERATED = 13  # up to so many differences with ties Wilcoxon's test goes through all 2^n signs
FEW_SEEDS = 6  # fewer have no interval and no paired p: not even six equal signs are unlikely enough

Values = Sequence[float | None]  # a score a seed


def _there(values: Values) -> np.ndarray:
    there = np.array([v for v in values if v is not None], float)
    return there[~np.isnan(there)]  # a data frame's None


def mean_and_deviation(values: Values) -> tuple[float, float] | None:
    """Mean and sample standard deviation over seeds, as the paper prints them; seeds without a score are left out.

    None without any score; the deviation of one score is NaN, of equal ones 0.
    """
    there = _there(values)
    if not len(there):
        return None
    if np.ptp(there) == 0:  # exactly, not up to rounding
        return float(there[0]), 0.0 if len(there) > 1 else float("nan")
    return float(np.mean(there)), float(np.std(there, ddof=1))


def corrected_interval(values: Values, ratio: float) -> tuple[float, float] | None:
    """95 % interval of a mean over splits drawn by seed, of a score or of a difference: the corrected resampled t.

    ratio: test windows a training window. Such splits share most of their training data, so that the variance of the
    mean is not s^2 / J but s^2 (1 / J + ratio) for J seeds, with J - 1 degrees of freedom (Nadeau and Bengio, 2003);
    a ratio of 0 is Student's t. None for fewer than two values.
    """
    found = _corrected(values, ratio)
    return _t_interval(*found) if found else None


def corrected_p(differences: Values, ratio: float) -> float | None:
    """Two-sided p that differences over splits drawn by seed are 0 on average; as `corrected_interval`."""
    found = _corrected(differences, ratio)
    return _t_p(*found) if found else None


def _corrected(values: Values, ratio: float) -> tuple[float, float, int] | None:
    """Mean, its standard error and degrees of freedom."""
    mean, deviation = mean_and_deviation(values) or (0.0, math.nan)
    n = len(_there(values))
    return None if math.isnan(deviation) else (mean, deviation * math.sqrt(1 / n + ratio), n - 1)


def _t_interval(difference: float, error: float, freedom: float) -> tuple[float, float]:
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * error
    return difference - half, difference + half


def _t_p(difference: float, error: float, freedom: float) -> float:
    """Two-sided p of Student's t; without any deviation 1 for no difference (up to rounding), else 0."""
    if error < 1e-12:
        return 1.0 if abs(difference) < 1e-9 else 0.0
    return 2 * float(stats.t.sf(abs(difference) / error, freedom))


def interval(values: Values, ratio: float | None = None) -> tuple[float, float] | None:
    """95 % interval over seeds of a mean: Student's t where every seed has the same test part or folds are people,
    corrected where splits are drawn by seed (then with their `ratio`). None for fewer than FEW_SEEDS.

    No bootstrap: of eight seeds its percentile interval misses the mean 13 times in 100.
    """
    return None if len(_there(values)) < FEW_SEEDS else corrected_interval(values, ratio or 0.0)


def people_interval(draws: Values, other: Values | None = None) -> tuple[float, float] | None:
    """95 % interval over people: percentiles of the draws of `evaluation.people_resampled`, or of the differences of
    one method's draws and another's. None where fewer than half of the draws have a score."""
    drawn = np.array(draws, float) - (0 if other is None else np.array(other, float))
    there = drawn[~np.isnan(drawn)]
    if not len(there) or len(there) < len(drawn) / 2:
        return None
    low, high = np.quantile(there, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired(ours: Values, other: Values, ratio: float | None = None, draws: tuple[Values, Values] | None = None) -> dict:
    """One method less another, seed by seed: both lists in the same order of seeds, ValueError for unequal lengths.

    The same seed shares split, initial weights, batch order and dropout. ratio: as `interval`; draws: of people, of
    both methods.

    Gives `seeds` with both scores, the mean `difference`, its 95 % interval over seeds `low`, `high` and over people
    `people_low`, `people_high`, and `p`, of Wilcoxon's signed-rank test or (with `ratio`) of the corrected resampled t.
    None where undefined: low, high and p for fewer than FEW_SEEDS.
    """
    pairs = zip(ours, other, strict=True)
    difference = _there([a - b for a, b in pairs if a is not None and b is not None]).tolist()
    low, high = interval(difference, ratio) or (None, None)
    people_low, people_high = (people_interval(*draws) if draws else None) or (None, None)
    p = None
    if len(difference) >= FEW_SEEDS:
        p = signed_rank_p(difference) if ratio is None else corrected_p(difference, ratio)
    return {
        "seeds": len(difference),
        "difference": float(np.mean(difference)) if difference else None,
        **{"low": low, "high": high, "people_low": people_low, "people_high": people_high, "p": p},
    }


def signed_rank_p(differences: list[float]) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test that the differences lie symmetrically about 0.

    Exact for up to 50 differences, with ties up to 13; zeros are dropped (Wilcoxon's way), and nothing but zeros gives
    1. None for fewer than two. The smallest p of n differences is 2^(1-n): 0.03 for six seeds, 0.002 for ten.
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


# ------------------------------------------------------------------------------------- against a published number


def _welch(deviation: float, n: int, other_deviation: float, other_n: int) -> tuple[float, float]:
    """Standard error of the difference of two means and its degrees of freedom, by Welch and Satterthwaite."""
    variance, other_variance = deviation**2 / n, other_deviation**2 / other_n
    both = variance + other_variance
    if both == 0:
        return 0.0, math.inf
    share = variance / both
    return math.sqrt(both), 1 / (share**2 / (n - 1) + (1 - share) ** 2 / (other_n - 1))


def welch_interval(
    mean: float, deviation: float, n: int, other_mean: float, other_deviation: float, other_n: int
) -> tuple[float, float]:
    """95 % interval of mean - other_mean from two means and sample deviations (n, other_n at least 2), variances not
    taken to be equal."""
    return _t_interval(mean - other_mean, *_welch(deviation, n, other_deviation, other_n))


def smallest_seen(deviation: float, n: int, other_deviation: float, other_n: int, level: float = 1 - LEVEL) -> float:
    """The difference of two means that Welch's two-sided test at `level` finds with POWER, were the deviations the true
    ones; 0 without deviation."""
    error, freedom = _welch(deviation, n, other_deviation, other_n)
    if error == 0:
        return 0.0
    # |Z + d| > t sqrt(V / freedom), V of chi^2, over 2,000 equally likely V: SciPy's noncentral t fails far out.
    chances = (np.arange(2000) + 0.5) / 2000
    beyond = stats.t.isf(level / 2, freedom) * np.sqrt(stats.chi2.ppf(chances, freedom) / freedom)

    def lacking(d: float) -> float:
        return float(np.mean(stats.norm.sf(beyond - d) + stats.norm.cdf(-beyond - d))) - POWER

    return error * float(optimize.brentq(lacking, 0, beyond.max() + 10))


def welch_p(mean: float, deviation: float, n: int, other_mean: float, other_deviation: float, other_n: int) -> float:
    """Two-sided p of Welch's t-test; arguments as `welch_interval`, which holds 0 where p is above 0.05."""
    return _t_p(mean - other_mean, *_welch(deviation, n, other_deviation, other_n))


def verdicts(cells: list[tuple[Values, float, float] | None], published_n: int = 10) -> list[dict | None]:
    """A table's cells, (our scores by seed, published mean, published sample deviation), against what is published.

    Each gives the 95 % Welch interval `less_low` to `less_high` of ours less the paper's, Welch's `p`, `p_holm` after
    Holm's correction for the cells given, the smallest difference the test could have `seen` at the level of Holm's
    first step, and a `verdict`: 'higher' or 'lower' where p_holm is below 0.05, else 'agrees', which is not equality.
    None for None, and for fewer than two scores of ours: they have no deviation.
    """
    found: list[tuple | None] = []  # arguments of `welch_interval`
    for cell in cells:
        there = _there(cell[0]) if cell else ()
        judged = len(there) > 1
        found.append((*mean_and_deviation(there), len(there), *cell[1:], published_n) if judged else None)
    p = [numbers and welch_p(*numbers) for numbers in found]
    level = (1 - LEVEL) / max(1, sum(numbers is not None for numbers in found))
    return [
        numbers and _verdict(numbers, before, corrected, level)
        for numbers, before, corrected in zip(found, p, holm(p), strict=True)
    ]


def _verdict(numbers: tuple, p: float, p_holm: float, level: float) -> dict:
    mean, deviation, n, other, other_deviation, other_n = numbers
    low, high = welch_interval(*numbers)
    seen = smallest_seen(deviation, n, other_deviation, other_n, level)
    word = ("higher" if mean > other else "lower") if p_holm < 1 - LEVEL else "agrees"
    return {"less_low": low, "less_high": high, "p": p, "p_holm": p_holm, "seen": seen, "verdict": word}


def rule(judged: int, cells: int) -> str:
    """What stands under a table's verdicts: `judged` of them, of `cells` published ones in all."""
    chance, of_all = (f"{(1 - LEVEL) * count:.1f}" for count in (judged, cells))
    return (
        "Verdict: in brackets the 95 % Welch interval of ours less the paper's mean (over 10 seeds). 'higher' or "
        f"'lower' where Welch's p, after Holm's correction for the table's {judged} verdicts, is below 0.05, else "
        "'agrees'. That is not equality: after 'sees' stands the smallest difference which the test, at its corrected "
        f"level, would have found with a probability of {100 * POWER:.0f} %. If nothing differed, {chance} of these "
        f"{judged} intervals would be expected to miss 0 by chance alone ({of_all} of the {cells} cells of Tables 2-4)."
    )
