"""People as source and target of UNI-KD, what its paper and its released code do otherwise than here, and its tasks.

'twin' is simulated: each person of the simulator has a cadence and a strength of his own and wears the phone turned his
own way, and has one bout of each activity, in a posture of its own. That is shift enough: no other is added. 'hapt' are
UCI HAR's channels made anew from the recordings they were cut from, 'uci_har' its own files.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import data
from ..errors import UserError, short
from ..simulate.motion import HAR_SUBJECTS, har_person

TITLES = {"twin": "UCI HAR's twin", "hapt": "UCI HAR from HAPT's recordings", "uci_har": "UCI HAR"}
HELD_OUT = 0.3  # of each person's windows
TWIN_SCALE, TWIN_SEED = 1.0, 2019  # of `simulate.write`: as many windows of a person as UCI HAR has


class Person(NamedTuple):
    """Windows (n, C_in, l), standardised, and their classes (n,): to train on, and to score."""

    x: Tensor
    y: Tensor
    test_x: Tensor
    test_y: Tensor


def files(task: str, raw: str) -> list[Path]:
    """The raw files it reads."""
    return [] if task == "twin" else data.raw_files(task, data.locate(task, "real", raw))


@cache
def recorded(task: str, raw: str) -> data.Windows:
    """All windows of a data set that says which person each is of."""
    windows = data.load(task, "all", "real", raw)
    if windows.subjects_are_blocks:
        raise UserError(
            f"{data.raw_root(raw) / task} has no subject_train.txt and subject_test.txt, and scenarios are people; "
            "download it whole, or use task='hapt'."
        )
    return windows


@cache
def windows_of(task: str, raw: str, person: int) -> tuple[np.ndarray, np.ndarray]:
    """A person's windows (n, C_in, l) in raw units, in order of time within a class, and their classes (n,)."""
    if not 1 <= person <= HAR_SUBJECTS:
        raise UserError(f"there is no person {short(person)}; scenarios are pairs of people from 1 to {HAR_SUBJECTS}.")
    if task != "twin":
        windows = recorded(task, raw)
        index = np.flatnonzero(windows.subject == person)
        return windows[index].transpose(0, 2, 1), windows.label[index]
    numbers, bouts = zip(*har_person(person, TWIN_SCALE, TWIN_SEED), strict=True)
    x = [np.stack([bout[name] for name in data.SPECS["uci_har"].channels], 1) for bout in bouts]
    return np.concatenate(x).astype(np.float32), np.repeat(numbers, [len(own) for own in x]) - 1


def held_out(y: np.ndarray, person: int, choices: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Which windows train, and which are scored: 30 % of each class, drawn once for a person; see 'by_time'."""
    rng, train, test = np.random.default_rng(person), [], []
    for c in np.unique(y):
        own = np.flatnonzero(y == c)
        own = own if "by_time" in choices else rng.permutation(own)
        count = round(HELD_OUT * len(own))
        test.append(own[len(own) - count :])
        train.append(own[: len(own) - count - ("by_time" in choices)])
    return np.sort(np.concatenate(train)), np.sort(np.concatenate(test))


def scenario(task: str, raw: str, source: int, target: int, choices: Sequence[str] = ()) -> tuple[Person, Person]:
    """Source and target; the target's labels are there to be scored with, and to hold out as many of each class. See
    'one_scale', 'as_recorded', 'by_time'."""
    people, scale = [], (0, 1) if "as_recorded" in choices else None
    for who in (source, target):
        x, y = windows_of(task, raw, who)
        train, test = held_out(y, who, choices)
        if scale is None or not {"one_scale", "as_recorded"} & {*choices}:
            scale = x[train].mean((0, 2))[:, None], x[train].std((0, 2))[:, None]
        x = (x - scale[0]) / scale[1]
        people.append(Person(*map(torch.from_numpy, (x[train], y[train], x[test], y[test]))))
    return people[0], people[1]


# ------------------------------------------------------------------------------------------------------- choices


class Choice(NamedTuple):
    """What can be done otherwise: the 'released code' deviates so from the paper, 'open' is what neither says."""

    why: str
    title: str
    here: str
    otherwise: str


CHOICES = {
    "detached": Choice("released code", "generator's term on detached features",
                       "-E log D_f(A F_S(x)) moves student and adapter", "it moves neither"),
    "source_twice": Choice("released code", "logits of the source for the target's",
                           "L_JKD compares teacher and student on target windows too",
                           "on source windows again, with the w of the target's"),
    "progress": Choice("released code", "p without brackets", "p from 0 to 1: steps behind / all steps",
                       "steps behind / epochs + 1 / steps of an epoch, so that a is about 1 at once"),
    "log10": Choice("released code", "log10 for ln", "beta = 0.1 exp(e/E ln 9), which ends at 0.9",
                    "log10 9 in place of ln 9: it ends at 0.26"),
    "weights": Choice("released code", "gradient through w", "w is a factor, detached",
                      "the student can lower the loss by a smaller w"),
    "one_scale": Choice("open", "one scale for both people", "each person standardised by his own training windows",
                        "both by the source's"),
    "as_recorded": Choice("open", "windows as recorded", "each person standardised by his own training windows",
                          "by nobody's: g and rad/s"),
    "by_time": Choice("open", "last windows held out", "30 % of each class held out at random, once for a person",
                      "its last 30 %, and none of training that overlaps them"),
    "best_teacher": Choice("open", "the best of the seeds' teachers", "a seed's own teacher",
                           "the best one on the target's held-out windows, whose labels that takes"),
}  # fmt: skip
RELEASED = tuple(name for name, choice in CHOICES.items() if choice.why == "released code")


def check_choices(names: Sequence[str]) -> None:
    """UserError for a name that CHOICES has not."""
    for name in names:
        if name not in CHOICES:
            raise UserError(f"there is no alternative {short(name)}; use some of {', '.join(CHOICES)}.")
