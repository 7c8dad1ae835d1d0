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

import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.special import logsumexp, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import anchor, data
from ..data.checks import file_fault
from ..errors import UserError, short
from . import raw_folder

LOSSES = ("cross_entropy", "hinge")
SHARPNESS = (1.0, 10.0, 100.0, 1e3, 1e4)  # of the softmax that becomes the hinge's maximum
OFFICE = {"amazon": 2817, "webcam": 795, "dslr": 498}  # rows
SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of an image of a digit
    "turned": lambda image: ndimage.rotate(image, 20, reshape=False, order=1),
    "thick": lambda image: ndimage.grey_dilation(image, (2, 2)),
    "turned back": lambda image: ndimage.rotate(image, -20, reshape=False, order=1),
    "small": lambda image: ndimage.affine_transform(image, np.eye(2) * 1.35, 3.5 - 3.5 * 1.35, order=1),
}


class InputError(UserError, ValueError):
    """A UserError that scikit-learn's tools know as the ValueError they expect."""


# ---------------------------------------------------------------------------------------------------------- tasks


@dataclass(frozen=True)
class Domains:
    """Rows of several domains, and which of them a student may be given.

    x (n, d), y (n,) class indices, domain (n,) indices into `names`, pool (n,): rows to draw a student's from; the
    others of its domain test it. targets, sources: which domains may be which.
    """

    title: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    domain: np.ndarray
    pool: np.ndarray
    targets: tuple[int, ...]
    sources: tuple[int, ...]

    def roles(self, seed: int) -> tuple[int, list[int]]:
        """The target of a repeat and its sources, in the order in which they are taken: as listed where there is one
        target; of people another one each seed (until all were it), the sources in an order drawn by seed."""
        if len(self.targets) == 1:
            return self.targets[0], list(self.sources)
        target = int(np.random.default_rng(0).permutation(self.targets)[seed % len(self.targets)])
        others = [source for source in self.sources if source != target]
        return target, np.random.default_rng(seed).permutation(others).tolist()

    def draw(self, target: int, seed: int, labelled: int, unlabelled: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`labelled` rows of each class and, whatever their class, `unlabelled` times N more, from the target's pool:
        indices of both, their labels with -1, and indices of all its test rows.

        Of one seed fewer rows are the first ones of more.
        """
        order = np.random.default_rng([seed, 1]).permutation(np.flatnonzero((self.domain == target) & self.pool))
        n = len(self.classes)
        first = [order[self.y[order] == c][:labelled] for c in range(n)]
        if min(map(len, first)) < labelled or len(order) < n * (labelled + unlabelled):
            raise InputError(
                f"{self.title}: {self.names[target]} has {len(order)} rows to draw from, too few for {labelled} "
                f"labelled and {unlabelled} unlabelled rows a class; use smaller numbers."
            )
        known = np.concatenate(first)
        others = order[~np.isin(order, known)][: unlabelled * n]
        y = np.concatenate([self.y[known], np.full(len(others), -1)])
        return np.concatenate([known, others]), y, np.flatnonzero((self.domain == target) & ~self.pool)


def files(task: str, raw: str) -> list[Path]:
    """The raw files of a task."""
    if task == "digits":
        return []
    if task != "office31":
        return data.raw_files(task, data.locate(task, "real", raw))
    how = "the features may not be passed on: put an office31.npz of your own there, as notebook 15 says."
    path = raw_folder(task, raw, how) / "office31.npz"
    if fault := file_fault(path, how):
        raise UserError(f"{path} {fault}")
    return [path]


def load(task: str, raw: str) -> Domains:
    """The domains of a task."""
    if task == "digits":
        return _digits()
    return _office(files(task, raw)[0]) if task == "office31" else _people(task, raw)


def _digits() -> Domains:
    """scikit-learn's 1,797 digits of 8 x 8 pixels: the first half, shifted, are the sources, the second the target,
    whose first half is the pool."""
    digits, n = load_digits(), len(SHIFTS)
    half, rest = np.split(np.arange(len(digits.target)), [len(digits.target) // 2])
    x = np.stack([shift(digits.images[i]) for shift in SHIFTS.values() for i in half] + list(digits.images[rest]))
    y = np.concatenate([*[digits.target[half]] * n, digits.target[rest]])
    domain = np.repeat(range(n + 1), [len(half)] * n + [len(rest)])
    pool = np.arange(len(y)) < len(y) - len(rest) // 2
    classes = tuple(map(str, range(10)))
    return Domains("Digits", classes, (*SHIFTS, "upright"), x.reshape(-1, 64), y, domain, pool, (n,), tuple(range(n)))


def _people(task: str, raw: str) -> Domains:
    """Features of all windows, by person; the pool are the first half of the recordings of each class."""
    windows = data.load(task, "all", "real", raw)
    x, y = anchor.features(windows).reshape(len(windows), -1).astype(float), windows.label
    names, domain = np.unique(windows.subject, return_inverse=True)
    pool = np.zeros(len(y), bool)
    for person, c in np.unique(np.stack([domain, y], 1), axis=0):
        rows = np.flatnonzero((domain == person) & (y == c))
        recordings = np.unique(windows.recording[rows])
        pool[rows] = windows.recording[rows] < recordings[len(recordings) // 2]
    everyone = tuple(range(len(names)))
    people = tuple(f"person {name}" for name in names)
    return Domains(windows.spec.title, windows.spec.classes, people, x, y, domain, pool, everyone, everyone)


def _office(path: Path) -> Domains:
    """Office-31's features: of each of OFFICE `<name>_x` (rows, d) and `<name>_y` (rows,) of 0 to 30. Amazon is the
    target, half of it the pool; DSLR the first source, Webcam the second."""
    wanted = [f"{name}_{what}" for name in OFFICE for what in "xy"]
    try:
        with np.load(path, allow_pickle=False) as there:
            found = {name: there[name] for name in wanted}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        raise InputError(f"{path} is no .npz file with {', '.join(wanted)}; write it with numpy.savez.") from None
    for name, rows in OFFICE.items():
        x, y = found[f"{name}_x"], found[f"{name}_y"]
        if x.shape != (rows, found["amazon_x"].shape[-1]) or x.dtype.kind != "f" or not np.isfinite(x).all():
            raise InputError(
                f"{path}: {name}_x is not {rows} rows of finite features, as many as amazon_x; correct it."
            )
        if y.shape != (rows,) or y.dtype.kind not in "iu" or set(y.tolist()) != set(range(31)):
            raise InputError(f"{path}: {name}_y is not {rows} whole numbers, with all of 0 to 30; correct it.")
    x, y = (np.concatenate([found[f"{name}_{what}"] for name in OFFICE]) for what in "xy")
    domain, classes = np.repeat(range(3), list(OFFICE.values())), tuple(map(str, range(31)))
    pool = np.random.default_rng(0).random(len(y)) < 0.5
    return Domains("Office-31", classes, tuple(OFFICE), x.astype(float), y.astype(int), domain, pool, (0,), (2, 1))


def teacher(x: np.ndarray, y: np.ndarray) -> Pipeline:
    """A source model: "MLP on the whole source dataset" (section 3.1); its size and training are open."""
    with warnings.catch_warnings(action="ignore"):  # 100 epochs do not converge, and are enough
        return make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=100, random_state=0)).fit(x, y)


# ------------------------------------------------------------------------------------------------------ equations


def factor(x: np.ndarray, C: float) -> tuple[np.ndarray, bool]:
    """Cholesky factor of Omega = X X^T + I / (2 C), the M of Eq. 8; x (L, d)."""
    return cho_factor(x @ x.T + np.eye(len(x)) / (2 * C), lower=True)


def left_out(slices: np.ndarray, omega: tuple[np.ndarray, bool]) -> tuple[np.ndarray, np.ndarray]:
    """Of slices (M, L, N), each alone: eta = Omega^-1 S, and mu = S - eta / diag(Omega^-1), the scores that a row gets
    from all the others (section 2.1). Of a mix they are sum_i lambda_i mu_i, whatever lambda is."""
    m, rows, n = slices.shape
    eta = cho_solve(omega, slices.transpose(1, 0, 2).reshape(rows, m * n)).reshape(rows, m, n).transpose(1, 0, 2)
    inverse = solve_triangular(omega[0], np.eye(rows), lower=True)  # Omega^-1 = inverse^T inverse
    return eta, slices - eta / (inverse**2).sum(0)[:, None]


def loss_and_gradient(
    weights: np.ndarray, mu: np.ndarray, y: np.ndarray, loss: str, sharpness: float | None = None
) -> tuple[float, np.ndarray]:
    """Mean loss of scores sum_i lambda_i mu_i, and its gradient (M,) by lambda; mu (M, rows, N), y (rows,) indices.

    Cross-entropy: Eq. 9. Hinge: Eq. 10 and 11; with a sharpness s its maximum is softened, to logsumexp(s ...) / s,
    which is at most log(N) / s more.
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


def find_weights(mu: np.ndarray, y: np.ndarray, loss: str = "cross_entropy") -> np.ndarray:
    """lambda (M,) of the least leave-one-out loss; mu (M, rows, N) and y (rows,) of labelled rows alone. The hinge's
    maximum is softened less and less, each time from where the last one ended."""
    weights = np.full(len(mu), 1 / len(mu))
    for sharpness in SHARPNESS if loss == "hinge" else (None,):
        weights = least(lambda at, s=sharpness: loss_and_gradient(at, mu, y, loss, s), weights)
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
    `loss`. unlabelled: the label of rows that have none (None: all have one); such a row is 0 in the slice of hard
    labels and has no part in the loss. Fitted: classes_, weights_ (M,), mu_ (M, L, N), slice_coef_ (M, N, d) of each
    slice alone, coef_ (N, d).
    """

    def __init__(self, sources=None, C=1.0, temperature=1.0, loss="cross_entropy", weights=None, unlabelled=-1):
        self.sources = sources
        self.C = C
        self.temperature = temperature
        self.loss = loss
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
        found = find_weights(self.mu_[:, known], truth, self.loss) if self.weights is None else self.weights
        self.weights_ = _checked_weights(found, len(slices))
        self.coef_ = np.tensordot(self.weights_, self.slice_coef_, 1)
        return self

    def _check_parameters(self):
        for name in ("C", "temperature"):
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
