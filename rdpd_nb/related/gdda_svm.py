"""GDDA-SVM: a least-squares SVM on a mix of hard labels and source models' soft ones, which finds the weights itself.

S. Ao, "Distilling" (a note of 2016); numbers of equations and sections are the note's. Few rows of a target domain have
a label, the others none (label -1); models of other domains give a soft label to each. Class scores are linear in the
labels, and so is the score of a row left out: the leave-one-out loss is convex in the weights lambda, and one Cholesky
factor serves every class and every lambda.

The note lacks two things that are here: gradient steps are projected onto the simplex, and rows without a label have no
part in lambda's loss. Its lambda weighs the HARD labels (first entry) and each source; in generalised distillation
(notebook 14) lambda is the weight of the SOFT labels.

Shapes: L rows of d features, N classes, M slices of labels: the hard ones, then those of M - 1 sources.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dtrtri
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import UserError, short
from .gdda_tasks import files, load, teacher  # noqa: F401  a notebook takes these from here

LOSSES = ("cross_entropy", "hinge")
SHARPNESS = (1.0, 10.0, 100.0, 1e3, 1e4)  # of the softmax that becomes the hinge's maximum


class InputError(UserError, ValueError):
    """A UserError that scikit-learn's tools know as the ValueError they expect."""


# ------------------------------------------------------------------------------------------------------ equations


def factor(x: np.ndarray, C: float) -> tuple[np.ndarray, bool]:
    """Cholesky factor of Omega = X X^T + I / (2 C), the M of Eq. 8; x (L, d)."""
    return cho_factor(x @ x.T + np.eye(len(x)) / (2 * C), lower=True)


def left_out(slices: np.ndarray, omega: tuple[np.ndarray, bool]) -> tuple[np.ndarray, np.ndarray]:
    """Of slices (M, L, N), each alone: eta = Omega^-1 S, and mu = S - eta / diag(Omega^-1), the scores that a row gets
    from all the others (section 2.1). Of a mix they are sum_i lambda_i mu_i, whatever lambda is."""
    m, rows, n = slices.shape
    eta = cho_solve(omega, slices.transpose(1, 0, 2).reshape(rows, m * n)).reshape(rows, m, n).transpose(1, 0, 2)
    inverse = np.tril(dtrtri(omega[0], lower=1)[0])  # of the factor: Omega^-1 = inverse^T inverse
    return eta, slices - eta / (inverse**2).sum(0)[:, None]


def loss_and_gradient(
    weights: np.ndarray, mu: np.ndarray, y: np.ndarray, loss: str, sharpness: float | None = None
) -> tuple[float, np.ndarray]:
    """Mean loss of scores sum_i lambda_i mu_i, and its gradient (M,) by lambda; mu (M, rows, N), y (rows,) indices.

    Cross-entropy: Eq. 9; with a sharpness s that of softmax(s yhat), divided by s. Hinge: Eq. 10 and 11; with a
    sharpness its maximum is softened to logsumexp(s ...) / s, at most log(N) / s more.
    """
    rows = np.arange(len(y))
    scores = np.tensordot(weights, mu, 1)  # yhat, (rows, N)
    scores -= scores[rows, y][:, None]
    if loss == "hinge":
        scores += np.arange(scores.shape[1]) != y[:, None]  # 1 - eps
    if loss == "hinge" and sharpness is None:
        values, p = scores.max(1), np.eye(scores.shape[1])[scores.argmax(1)]
    else:
        scores *= sharpness or 1
        values, p = logsumexp(scores, 1) / (sharpness or 1), softmax(scores, 1)
    p[rows, y] -= 1  # P - Y
    return float(values.mean()), np.tensordot(mu, p, 2) / len(y)


def on_simplex(v: np.ndarray) -> np.ndarray:
    """The nearest point with entries from 0 to 1 that sum to 1."""
    down = np.sort(v)[::-1]
    over = (np.cumsum(down) - 1) / np.arange(1, len(v) + 1)
    return np.maximum(v - over[down > over][-1], 0)


def least(of: Callable[[np.ndarray], tuple[float, np.ndarray]], start: np.ndarray, steps: int = 500) -> np.ndarray:
    """Where a convex function on the simplex is least, by projected gradient; `of` gives its value and gradient.

    A step is as long as the change of the last two gradients says (Barzilai and Borwein), and halved until the function
    falls enough (Armijo).
    """
    at, length = start, 1.0
    value, gradient = of(at)
    for _ in range(steps):
        towards = on_simplex(at - length * gradient) - at
        slope, share = gradient @ towards, 1.0
        if slope > -1e-14:
            break
        while (new := of(at + share * towards))[0] > value + 1e-4 * share * slope and share > 1e-12:
            share /= 2
        bend = (new[1] - gradient) @ towards
        length = min(max(share * (towards @ towards) / bend, 1e-6), 1e6) if bend > 0 else 1e6
        at, (value, gradient) = at + share * towards, new
    return at


def find_weights(mu: np.ndarray, y: np.ndarray, loss: str = "cross_entropy", sharpness: float = 1.0) -> np.ndarray:
    """lambda (M,) of the least leave-one-out loss; mu (M, rows, N) and y (rows,) of labelled rows alone. sharpness: of
    the cross-entropy's softmax, 1 in the note. The hinge's maximum is softened less and less, each time from where the
    last one ended."""
    weights = np.full(len(mu), 1 / len(mu))
    for s in SHARPNESS if loss == "hinge" else (sharpness,):
        weights = least(lambda at, s=s: loss_and_gradient(at, mu, y, loss, s), weights)
    return weights


def soft_labels(model: object, x: np.ndarray, classes: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(f(x) / T) of a fitted classifier (Eq. 2), (L, N), 0 for a class that it does not know. f are its log
    probabilities (a network's logits up to a constant), else its decision function."""
    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError):
        raise InputError(
            f"source {short(type(model).__name__)} is not a fitted classifier; fit it first, and put it in "
            "sklearn.frozen.FrozenEstimator where this estimator will be cloned."
        ) from None
    if hasattr(model, "predict_proba"):
        with np.errstate(divide="ignore"):
            f = np.log(model.predict_proba(x))
    else:
        f = model.decision_function(x)
        f = np.stack([-f / 2, f / 2], 1) if f.ndim == 1 else f
    found = np.zeros((len(x), len(classes)))
    found[:, np.searchsorted(classes, model.classes_)] = softmax(f / temperature, 1)
    return found


# ------------------------------------------------------------------------------------------------------ estimator


class GDDASVM(ClassifierMixin, BaseEstimator):
    """One-vs-all least-squares SVMs, linear, without bias, on sum_i lambda_i S_i (Eq. 4); without sources on the hard
    labels, and then a plain one.

    sources: fitted classifiers of other domains. weights: lambda, the hard labels' first; None: the least leave-one-out
    `loss`, with `sharpness` as in `find_weights`. unlabelled: the label of rows that have none (None: all have one);
    such a row is 0 in the slice of hard labels and has no part in the loss. Fitted: classes_, weights_ (M,), mu_
    (M, L, N), slice_coef_ (M, N, d) of each slice alone, coef_ (N, d).
    """

    def __init__(
        self,
        sources=None,
        C=1.0,
        temperature=1.0,
        loss="cross_entropy",
        sharpness=1.0,
        weights=None,
        unlabelled=-1,
    ):
        self.sources = sources
        self.C = C
        self.temperature = temperature
        self.loss = loss
        self.sharpness = sharpness
        self.weights = weights
        self.unlabelled = unlabelled

    def fit(self, X, y, soft=()):
        """soft: arrays (L, N) of more sources' soft labels of these rows, a column for each class in their order."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self._check_parameters()
        known = np.ones(len(y), bool) if self.unlabelled is None else np.asarray(y != self.unlabelled)
        if not known.any():
            raise InputError("no row of the target has a label; give one to at least one row of each of two classes.")
        sources = list(self.sources or [])
        self.classes_ = np.unique(np.concatenate([y[known], *(getattr(m, "classes_", y[:0]) for m in sources)]))
        if len(self.classes_) < 2:
            raise InputError(f"there is one class only, {self.classes_[0]}; give rows of at least two classes.")
        truth = np.searchsorted(self.classes_, y[known])
        hard = np.zeros((len(y), len(self.classes_)))
        hard[known, truth] = 1
        of_sources = [soft_labels(model, X, self.classes_, self.temperature) for model in sources]
        slices = np.stack([hard, *of_sources, *(_probabilities(array, hard.shape) for array in soft)])
        eta, self.mu_ = left_out(slices, factor(X, self.C))
        self.slice_coef_ = eta.transpose(0, 2, 1) @ X  # w = X^T eta
        if self.weights is None:
            self.weights_ = find_weights(self.mu_[:, known], truth, self.loss, self.sharpness)
        else:
            self.weights_ = _checked_weights(self.weights, len(slices))
        self.coef_ = np.tensordot(self.weights_, self.slice_coef_, 1)
        return self

    def _check_parameters(self):
        for name in ("C", "temperature", "sharpness"):
            value = getattr(self, name)
            if not isinstance(value, int | float | np.number) or not 0 < value < np.inf:
                raise InputError(f"{name} is {short(value)}; it should be a number above 0.")
        if self.loss not in LOSSES:
            raise InputError(f"loss is {short(self.loss)}; it should be {' or '.join(map(repr, LOSSES))}.")

    def _scores(self, X):
        """(n, N)."""
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False) @ self.coef_.T

    def decision_function(self, X):
        """Scores (n, N); of two classes the second's less the first's, (n,), as scikit-learn has it."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X):
        scores = self._scores(X)
        return self.classes_[scores.argmax(1)]


def _probabilities(soft: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    soft = np.asarray(soft, float)
    if soft.shape != shape:
        raise InputError(f"soft labels are of shape {soft.shape}; it should be {shape}, the target's rows and classes.")
    if not (soft >= 0).all() or not (soft <= 1).all():
        raise InputError("soft labels are not all from 0 to 1; give probabilities.")
    return soft


def _checked_weights(weights: Sequence[float], slices: int) -> np.ndarray:
    found = np.asarray(weights, float)
    if found.shape != (slices,) or not (found >= 0).all() or not (found <= 1).all() or abs(found.sum() - 1) > 1e-9:
        raise InputError(
            f"weights are {short(np.ravel(found).tolist())}; they should be {slices} numbers from 0 to 1 that sum "
            "to 1, the hard labels' first."
        )
    return found
