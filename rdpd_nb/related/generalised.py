"""Generalised distillation for small time series: what happens between now and the time to be predicted teaches.

Hayashi, Tanimoto and Kashima, IJCNN 2019, as seed document 003 ("Related work (2)") gives it. Does a series rise within
k steps, v(t + k) > v(t)? The student reads the last L steps up to t. The teacher reads two steps between t and t + k:
privileged, there for every training row, and unknown when the question is asked. Both are logistic regressions. Beside
them stands LuPTS (Karlsson et al., AISTATS 2022), which makes a chain of linear models of the time between.

The fits are convex and exact: chance is in the draw of rows alone, which a seed decides. The rows are those of
`generalised_tasks`. Shapes: n rows; d inputs of a model, L D of the student; m targets fitted at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import expit  # the logistic function, sigma

from ..errors import UserError
from .generalised_tasks import Rows, files  # noqa: F401  files: what `jobs` asks of a system


def logits(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """f(x), (m, n), of m models (m, d + 1), whose last weight is the intercept."""
    return weights[:, :-1] @ x.T + weights[:, -1:]


def mixed_targets(y: np.ndarray, s: np.ndarray, imitation: float) -> np.ndarray:
    """(1 - lambda) y + lambda s. The cross-entropy is linear in its target: one fit to this is the fit to
    (1 - lambda) l(y, f) + lambda l(s, f)."""
    if not 0 <= imitation <= 1:
        raise UserError(f"lambda is {imitation:g}; it should be from 0 (hard labels alone) to 1 (soft ones alone).")
    return (1 - imitation) * y + imitation * s


def cross_entropy(f: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """l(t, f) = -t log sigma(f) - (1 - t) log(1 - sigma(f)) = log(1 + e^f) - t f, elementwise."""
    return np.logaddexp(0, f) - targets * f


def objective(weights: np.ndarray, x: np.ndarray, targets: np.ndarray, strength: float) -> np.ndarray:
    """What is minimised, (m,): C times the summed cross-entropy, and half the squared weights but for the intercept, as
    in scikit-learn; of models (m, d + 1), rows (n, d) and targets (m, n) from 0 to 1."""
    f = logits(weights, x)
    return strength * cross_entropy(f, targets).sum(1) + (weights[:, :-1] ** 2).sum(1) / 2


def fit(x: np.ndarray, targets: np.ndarray, strength: float, most: int = 200) -> np.ndarray:
    """The m logistic regressions (m, d + 1) that minimise `objective`, to a gradient below 1e-8 (1 + C): Newton's
    method for all at once, each step halved until it does not raise the objective."""
    if (targets.max(1) <= 0).any() or (targets.min(1) >= 1).any():
        raise UserError("all training rows of a draw have one label, so that nothing can be fitted; use other rows.")
    ones = np.column_stack([x, np.ones(len(x))])
    penalty = np.append(np.ones(x.shape[1]), 0)
    products = (ones[:, :, None] * ones[:, None, :]).reshape(len(x), -1)  # of every two inputs, row by row
    weights = np.zeros((len(targets), len(penalty)))
    for _ in range(most):
        p = expit(logits(weights, x))
        gradient = strength * (p - targets) @ ones + penalty * weights
        left = np.flatnonzero(np.abs(gradient).max(1) > 1e-8 * (1 + strength))
        if not len(left):
            return weights
        curvature = strength * ((p * (1 - p))[left] @ products).reshape(len(left), *2 * [len(penalty)])
        step = np.linalg.solve(curvature + np.diag(penalty), gradient[left, :, None])[..., 0]
        now, tried, size = objective(weights[left], x, targets[left], strength), weights[left] - step, 1.0
        while size > 1e-6:
            worse = objective(tried, x, targets[left], strength) > now * (1 + 1e-12)
            if not worse.any():
                break
            size /= 2
            tried[worse] = weights[left[worse]] - size * step[worse]
        weights[left] = tried
    raise RuntimeError(f"{len(left)} of {len(targets)} fits had not converged after {most} steps")


def accuracy(f: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The share of rows whose label is whether f > 0, over the last axis."""
    return ((f > 0) == label).mean(-1)


class Outcome(NamedTuple):
    """Of one draw. A grid has a row a temperature and a column a lambda."""

    test: np.ndarray  # accuracy of the students of the grid on the test rows
    validation: np.ndarray  # their accuracy on the validation rows
    validation_loss: np.ndarray  # and their mean cross-entropy there, of the hard labels
    beside: dict[str, float]  # accuracy of `BESIDE` on the test rows


BESIDE = ("Baseline", "T = 1, λ = 1", "Teacher", "LuPTS", "LuPTS, one A")
RULES = ("accuracy", "accuracy_last", "loss")


def distil(rows: Rows, temperatures: Sequence[float], imitation: Sequence[float], strength: float) -> Outcome:
    """Of one draw: a teacher, a student for each (T, lambda), and what stands beside them."""
    train, validation, test = rows.parts
    y = rows.label.astype(float)
    teacher = logits(fit(rows.teacher[train], y[None, train], strength), rows.teacher)[0]
    soft = [expit(teacher[train] / t) for t in temperatures]  # s = sigma(f_T / T)
    targets = [y[train], expit(teacher[train])]  # the baseline's, and those of T = 1, lambda = 1
    targets += [mixed_targets(y[train], s, share) for s in soft for share in imitation]
    f = logits(fit(rows.student[train], np.array(targets), strength), rows.student)
    others = [teacher, lupts(rows, strength, stationary=False), lupts(rows, strength, stationary=True)]
    scores = accuracy(np.array([*f[:2, test], *(other[test] for other in others)]), rows.label[test])
    grid, of = (len(temperatures), len(imitation)), f[2:]
    return Outcome(
        accuracy(of[:, test], rows.label[test]).reshape(grid),
        accuracy(of[:, validation], rows.label[validation]).reshape(grid),
        cross_entropy(of[:, validation], y[validation]).mean(1).reshape(grid),
        dict(zip(BESIDE, scores.tolist(), strict=True)),
    )


def choose(outcome: Outcome, rule: str) -> tuple[int, int]:
    """The place of the (T, lambda) that validation prefers: by 'accuracy', of equal ones the first in the order given;
    'accuracy_last', the last, which imitates most; by 'loss'."""
    score = -outcome.validation_loss if rule == "loss" else outcome.validation
    best = np.flatnonzero(score == score.max())[-1 if rule == "accuracy_last" else 0]
    return divmod(int(best), score.shape[1])


# ------------------------------------------------------------------------------------------------------------ LuPTS


def linear_map(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A (d + 1, e) by least squares, the last row an intercept: z ~ [x, 1] A; the smallest where several fit alike."""
    return np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), z, rcond=None)[0]


def lupts(rows: Rows, strength: float, stationary: bool) -> np.ndarray:
    """f of all rows by beta(A_{J-1} ... A_1 x_1): A_j takes the chain's state j into state j + 1, and beta, a logistic
    regression, the last state into the label. Stationary: one A for all j."""
    train, *_ = rows.parts
    chain = rows.chain[train]
    pairs = [(chain[:, j], chain[:, j + 1]) for j in range(chain.shape[1] - 1)]
    maps = [linear_map(*map(np.vstack, zip(*pairs, strict=True)))] * len(pairs) if stationary else None
    state = rows.student
    for each in maps or [linear_map(*pair) for pair in pairs]:
        state = state @ each[:-1] + each[-1]
    beta = fit(np.hstack([chain[:, -1], rows.now[train]]), rows.label[None, train].astype(float), strength)
    return logits(beta, np.hstack([state, rows.now]))[0]
