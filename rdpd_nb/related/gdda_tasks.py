"""The tasks of GDDA-SVM: rows of several domains, of which one is a student's and others its sources'.

Office-31 is the note's (S. Ao, "Distilling", 2016); its features may not be passed on, so that the others stand in for
it: scikit-learn's digits, shifted, and people who carry sensors.
"""

import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from .. import anchor, data
from ..data.checks import file_fault
from ..errors import UserError
from .places import raw_folder

OFFICE = {"amazon": 2817, "webcam": 795, "dslr": 498}  # rows
SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of an image of a digit
    "turned": lambda image: ndimage.rotate(image, 20, reshape=False, order=1),
    "thick": lambda image: ndimage.grey_dilation(image, (2, 2)),
    "turned back": lambda image: ndimage.rotate(image, -20, reshape=False, order=1),
    "small": lambda image: ndimage.affine_transform(image, np.eye(2) * 1.35, 3.5 - 3.5 * 1.35, order=1),
}


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
            raise UserError(
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
        raise UserError(f"{path} is no .npz file with {', '.join(wanted)}; write it with numpy.savez.") from None
    for name, rows in OFFICE.items():
        x, y = found[f"{name}_x"], found[f"{name}_y"]
        if x.shape != (rows, found["amazon_x"].shape[-1]) or x.dtype.kind != "f" or not np.isfinite(x).all():
            raise UserError(f"{path}: {name}_x is not {rows} rows of finite features, as many as amazon_x; correct it.")
        if y.shape != (rows,) or y.dtype.kind not in "iu" or set(y.tolist()) != set(range(31)):
            raise UserError(f"{path}: {name}_y is not {rows} whole numbers, with all of 0 to 30; correct it.")
    x, y = (np.concatenate([found[f"{name}_{what}"] for name in OFFICE]) for what in "xy")
    domain, classes = np.repeat(range(3), list(OFFICE.values())), tuple(map(str, range(31)))
    pool = np.random.default_rng(0).random(len(y)) < 0.5
    return Domains("Office-31", classes, tuple(OFFICE), x.astype(float), y.astype(int), domain, pool, (0,), (2, 1))


def teacher(x: np.ndarray, y: np.ndarray) -> Pipeline:
    """A source model: "MLP on the whole source dataset" (section 3.1); its size and training are open."""
    with warnings.catch_warnings(action="ignore"):  # 100 epochs do not converge, and are enough
        return make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=100, random_state=0)).fit(x, y)
