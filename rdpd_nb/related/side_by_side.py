"""RDPD and the other systems on one task: the same windows, the same poor channels when a model is used.

Two questions, kept apart:

(a) the same people: rich channels of the training windows teach a student of the poor ones, RDPD's harness's own;
(b) another domain: windows of one ICU (or person) have labels, those of another few or none; poor channels alone.

Generalised distillation here is Lopez-Paz and others' (ICLR 2016, arXiv 1511.03643) with the harness's networks.
Shapes: n windows of l samples, D channels, F features, C classes.
"""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from .. import anchor, data, training
from ..data.archives import find, walk
from ..data.cinc2012 import IS_STAY, SETS
from ..data.windows import Split, Windows, standardise, standardiser
from ..errors import UserError, short
from ..evaluation import scores
from ..knowledge import Knowledge
from .uni_kd import HAR, Network, Set, ask
from .uni_kd_tasks import Person


class Task(NamedTuple):
    """What is fixed of a data set."""

    source: str
    view: str  # the poor channels
    metric: str  # of `evaluation.scores`
    domain: str  # what a domain is called
    domains: dict[int, str]  # and their names


ICUS = {1: "coronary care", 2: "cardiac surgery", 3: "medical", 4: "surgical"}
PEOPLE = {person: f"person {person}" for person in range(1, 31)}
TASKS = {
    "cinc2012": Task("embedded", "bedside", "roc_auc", "ICU", ICUS),  # few die: named by a threshold, nobody does
    "hapt": Task("real", "acc", "macro_f1_argmax", "person", PEOPLE),
}
METRICS = {"roc_auc": "ROC-AUC", "macro_f1_argmax": "macro-F1"}
IS_ICU = re.compile(rb"^00:00,ICUType,([1-4])\s*$", re.MULTILINE)


def files(task: str, raw: str) -> list[Path]:
    """The raw files it reads."""
    return data.raw_files(task, data.locate(task, TASKS[task].source, raw))


@cache
def load(task: str, raw: str) -> tuple[Windows, Windows]:
    """Windows of the rich channels and of the poor ones."""
    rich = data.load(task, "all", TASKS[task].source, raw)
    return rich, rich.select(TASKS[task].view)


def score(task: str, probability: np.ndarray, y: np.ndarray) -> float:
    """The task's metric of probabilities (n, C)."""
    return scores(probability, y)[TASKS[task].metric]


# ------------------------------------------------------------------------------------------------ (a) the same people


def privileged(rich: Windows, poor: Windows) -> Windows:
    """x*: the channels that the poor view lacks, as rich channels of their own, of the same windows."""
    columns = [i for i, name in enumerate(rich.channels) if name not in poor.channels]
    names, every = tuple(rich.channels[i] for i in columns), tuple(range(len(columns)))
    spec = replace(rich.spec, channels=names, views={"all": every}, view_titles={"all": "privileged"}, temperature=1.0)
    return replace(rich, spec=spec, series=np.ascontiguousarray(rich.series[:, columns]))


def softened(probability: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(f / T) (n, C) of softmax(f): p^(1/T), normalised."""
    p = np.maximum(probability.astype(np.float64), 1e-30) ** (1 / temperature)
    return p / p.sum(1, keepdims=True)


def mixed(said: Knowledge, label: np.ndarray, temperature: float, imitation: float) -> Knowledge:
    """(1 - lambda) y + lambda s of what a teacher said at T = 1; label (n,) of all windows.

    Cross-entropy is linear in its target, so that one soft loss at T = 1 with this is the whole of
    (1 - lambda) l(y, f) + lambda l(s, f).
    """
    s = softened(said.soft_labels, temperature)
    target = (1 - imitation) * np.eye(s.shape[1])[label[said.window]] + imitation * s
    return replace(said, soft_labels=target.astype(np.float32))


def fit_generalised(
    poor: Windows, splits: dict[int, Split], said: dict[int, Knowledge], grid: list[tuple[float, float]], epochs: int
) -> dict[tuple[float, float], list[training.Fitted]]:
    """Students of every (T, lambda) of a grid, all in one stack: for each a model a seed. said: by seed, at T = 1."""
    poor = replace(poor, spec=replace(poor.spec, temperature=1.0))
    members = []
    for choice in grid:
        taught = {seed: mixed(one, poor.label, *choice) for seed, one in said.items()}
        members += training.make_members(poor, splits, "soft", taught)
    fitted = iter(training.fit(members, poor, epochs, "cpu", progress=lambda line: None))
    return {choice: [next(fitted) for _ in splits] for choice in grid}


# ----------------------------------------------------------------------------------------------- (b) another domain


@cache
def domain_of(task: str, raw: str) -> np.ndarray:
    """The domain (n,) of each window: who wears the phone, or the ICU, which CinC 2012's files say and no channel."""
    _, windows = load(task, raw)
    if task == "hapt":
        return windows.subject
    folder, icu = data.locate(task, TASKS[task].source, raw), {}
    for path in (find(folder, f"set-{name}") for name in SETS):
        for name, text in walk(path, IS_STAY):
            if not (said := IS_ICU.search(text)):
                raise UserError(f"{path}, {name}: no ICUType from 1 to 4; download it again.")
            icu[int(IS_STAY(name)[1])] = int(said[1])
    return np.array([icu[stay] for stay in windows.subject])


def pool(task: str, raw: str) -> np.ndarray:
    """Which windows (n,) a domain may give to a training when it is the target; its others test: CinC 2012's sets a
    and b, of a person every other recording of each class (in the second half of all the phone sat elsewhere)."""
    _, windows = load(task, raw)
    if task != "hapt":
        return windows.recording_part[windows.recording] == "train"
    found = np.zeros(len(windows.label), bool)
    for who, c in np.unique(np.stack([windows.subject, windows.label], 1), axis=0):
        rows = np.flatnonzero((windows.subject == who) & (windows.label == c))
        found[rows] = np.unique(windows.recording[rows], return_inverse=True)[1] % 2 == 0
    return found


class Scenario(NamedTuple):
    """Indices of windows: all of the source, labelled; those of the target to train with; those that are scored."""

    source: np.ndarray
    target: np.ndarray
    test: np.ndarray


def scenario(task: str, raw: str, source: int, target: int) -> Scenario:
    """Two domains by their numbers."""
    names, of = TASKS[task].domains, domain_of(task, raw)
    for number in (source, target):
        if number not in names:
            known = ", ".join(map(str, names)) if len(names) < 9 else f"{min(names)} to {max(names)}"
            raise UserError(f"there is no {TASKS[task].domain} {short(number)}; scenarios are pairs of {known}.")
    free = pool(task, raw)
    return Scenario(*map(np.flatnonzero, (of == source, (of == target) & free, (of == target) & ~free)))


def few_labels(y: np.ndarray, shots: int, seed: int) -> np.ndarray:
    """Labels (n,) of which all but `shots` of each class, drawn by seed, are -1; of one seed fewer are among more."""
    order, kept = np.random.default_rng(seed).permutation(len(y)), np.full(len(y), -1)
    for c in np.unique(y):
        drawn = order[y[order] == c][:shots]
        if len(drawn) < shots:
            raise UserError(f"a target has {len(drawn)} windows of class {c} to label, and shots asks for {shots}.")
        kept[drawn] = c
    return kept


def set_of(windows: Windows) -> Set:
    """UNI-KD's networks for these windows: HAR's, of other channels, length and classes."""
    return HAR._replace(channels=len(windows.channels), length=windows.spec.length, classes=len(windows.spec.classes))


def as_person(windows: Windows, rows: np.ndarray, test: np.ndarray, by: np.ndarray) -> Person:
    """Windows as UNI-KD takes them, (n, D, l): to train on and to score, standardised by the windows `by`."""
    scale, found = standardiser(windows, by), []
    for these in (rows, test):
        x = standardise(windows[these], *scale).transpose(0, 2, 1)
        found += [torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(windows.label[these])]
    return Person(*found)


def probability(network: Network, x: torch.Tensor) -> np.ndarray:
    """What a network of UNI-KD says of windows (n, D, l): (n, C)."""
    return ask(network, x)[1].double().softmax(-1).numpy()


@cache
def summaries(task: str, raw: str) -> np.ndarray:
    """What GDDA-SVM reads of all windows: `anchor.features` of the poor channels, (n, F), NaN where nothing was
    measured."""
    _, windows = load(task, raw)
    return anchor.features(windows).reshape(len(windows), -1).astype(float)


def features(task: str, raw: str, rows: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Summaries of the windows `rows`, standardised by those of `by`; 0 where nothing was measured."""
    found = summaries(task, raw)
    mean, deviation = np.nanmean(found[by], 0), np.nanstd(found[by], 0)
    return standardise(found[rows], mean, np.where(deviation > 1e-8, deviation, 1))
