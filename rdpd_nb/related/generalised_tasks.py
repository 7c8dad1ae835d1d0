"""The tasks of generalised distillation: will a series be higher in k steps than it is now?

Mackey-Glass's equation, integrated, and five years of Beijing PM2.5 (data/open/beijing_pm25), as seed document 003
("Related work (2)") names them; what it leaves open is in `Choices`. Shapes: N steps of D values, n rows.
"""

import io
import lzma
import math
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import signal

from ..data.checks import require_files
from ..errors import UserError
from ..files import sum_of
from .places import embedded_folder


class Task(NamedTuple):
    """A line of the document's table: what the student reads, how far it looks, and how many rows there are."""

    title: str
    length: int  # L
    horizon: int  # k
    rows: tuple[int, int, int]  # training, validation, test


TASKS = {
    "mackey_glass": Task("Mackey-Glass", 4, 8, (100, 100, 10_000)),
    "pm25_a": Task("PM2.5-a", 3, 15, (110, 100, 184)),
    "pm25_b": Task("PM2.5-b", 7, 15, (110, 100, 184)),
}


class Choices(NamedTuple):
    """What the document does not say."""

    teacher_steps: tuple[int, ...]  # after t
    reads_now: bool = False  # whether the teacher, and LuPTS in the end, read step t besides
    strength: float = 1.0  # scikit-learn's C: the larger, the less regularised
    sampling: float = 2.0  # of Mackey-Glass: units of time from step to step
    rows: str = "block"  # of PM2.5: see `choose_rows`
    hours: int = 1  # of PM2.5: from step to step


def files(task: str, raw: str) -> list[Path]:
    """The one file that is read, of the repository: Mackey-Glass is an equation."""
    return require_files([embedded_folder("beijing_pm25") / f"{PM25_FILE}.xz"])


# ----------------------------------------------------------------------------------------------------- Mackey-Glass

GAIN, DECAY, POWER, DELAY = 0.2, 0.1, 10, 17.0  # the usual constants, and those of a chaotic series; not given
STEP = 0.1  # of the integrator, in units of time
TRANSIENT = 1000.0  # units of time that are left out: until then it matters how the series began


def production(x: np.ndarray) -> np.ndarray:
    """g(x) = 0.2 x / (1 + x^10), of the value a delay ago."""
    return GAIN * x / (1 + x**POWER)


def rk4_step(x: float, g0: float, g_half: float, g1: float, h: float) -> float:
    """x(t + h) from x(t) by Runge and Kutta's fourth-order step of dx/dt = g(t) - 0.1 x, where g0, g_half and g1 are g
    at t, t + h/2 and t + h."""
    k1 = g0 - DECAY * x
    k2 = g_half - DECAY * (x + h / 2 * k1)
    k3 = g_half - DECAY * (x + h / 2 * k2)
    k4 = g1 - DECAY * (x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def mackey_glass(start: np.ndarray, until: float, h: float = STEP) -> np.ndarray:
    """dx/dt = g(x(t - 17)) - 0.1 x of series that were `start` (s,) at all times up to 0; (1 + until / h, s) from 0 on.

    By Runge and Kutta's step, one delay after another: during a delay, what is g is known, so that the steps are a
    linear recursion x' = a x + b0 g0 + b_half g_half + b1 g1, which is a filter. The values half a step on are those of
    Hermite's cubic, of the same order as the step. h must divide 17.
    """
    a, *b = (rk4_step(*unit, h) for unit in np.eye(4).tolist())
    n = round(DELAY / h)
    x = [np.tile(np.asarray(start, float), (n + 1, 1))]
    slope = np.zeros_like(x[0])  # of x in the delay before
    for _ in range(math.ceil(round(until / h) / n)):
        past = x[-1]
        half = (past[:-1] + past[1:]) / 2 + h / 8 * (slope[:-1] - slope[1:])
        g, g_half = production(past), production(half)
        added = b[0] * g[:-1] + b[1] * g_half + b[2] * g[1:]
        after = signal.lfilter([1.0], [1.0, -a], added, axis=0, zi=a * past[-1:])[0]
        x.append(np.concatenate([past[-1:], after]))
        slope = g - DECAY * x[-1]
    whole = np.concatenate([x[1][:1], *(part[1:] for part in x[1:])])
    return whole[: round(until / h) + 1]


@cache
def mackey_glass_series(draws: int, sampling: float) -> np.ndarray:
    """A series a draw, with as many steps as its rows need, `sampling` units of time apart: (N, draws). Draw i begins
    with a constant that depends on i alone. UserError where a step of the integrator does not end at each."""
    every = round(sampling / STEP)
    if every < 1 or not math.isclose(every * STEP, sampling):
        raise UserError(f"sampling is {sampling:g}; it should be a multiple of {STEP:g}, the step of the integrator.")
    task = TASKS["mackey_glass"]
    steps = sum(task.rows) + task.length + task.horizon
    start = [np.random.default_rng(i).uniform(0.5, 1.5) for i in range(draws)]
    return mackey_glass(np.array(start), TRANSIENT + steps * sampling)[round(TRANSIENT / STEP) :: every]


PM25_FILE = "PRSA_data_2010.1.1-2014.12.31.csv"
PM25_SUM = "4127f868775e31b3956522adc0ec75af8937dde6a3896e8beed3a376c6d27f1c"  # of the file unpacked
NUMBERS = ("pm2.5", "DEWP", "TEMP", "PRES", "Iws", "Is", "Ir")
WINDS = ("NE", "NW", "SE", "cv")  # cv: calm and variable


@cache
def read_pm25() -> np.ndarray:
    """43,824 hours from 2010 to 2014, (N, 11): `NUMBERS`, of which the first is NaN where it was not measured, and a
    column of ones and zeros for each of `WINDS`. UserError where the file is not the one that was put here."""
    (path,) = files("three_series", "")
    try:
        content = lzma.decompress(path.read_bytes())
    except lzma.LZMAError:
        content = b""
    if sum_of(content) != PM25_SUM:
        raise UserError(f"{path}: its sum is not that of its README.md; take it from the repository again.")
    hours = pd.read_csv(io.BytesIO(content))
    winds = [hours["cbwd"] == wind for wind in WINDS]
    return np.column_stack([*(hours[name] for name in NUMBERS), *winds]).astype(float)


# ------------------------------------------------------------------------------------------------------------- rows


class Rows(NamedTuple):
    """Rows of a task: training, validation, test, one after the other. Inputs are standardised by the training rows."""

    student: np.ndarray  # (n, L D): the last L steps up to t
    teacher: np.ndarray  # (n, 2 D): two steps after t
    chain: np.ndarray  # (n, J, L D): what the student would read at t and later, up to the teacher's last step
    now: np.ndarray  # (n, D): step t again where the teacher reads it, else (n, 0)
    label: np.ndarray  # (n,) of bool: v(t + k) > v(t)
    parts: tuple[slice, slice, slice]


def chain_times(steps: Sequence[int]) -> range:
    """Times of the chain, in steps after t: from 0 to the teacher's last step, as far apart as all its steps allow."""
    return range(0, max(steps) + 1, math.gcd(*steps))


def usable_rows(series: np.ndarray, length: int, horizon: int) -> np.ndarray:
    """Times t of a series (N, D) for which nothing is missing from the first step read, t - L + 1, to t + k."""
    missing = np.concatenate([[0], np.cumsum(np.isnan(series).any(1))])
    t = np.arange(length - 1, len(series) - horizon)
    return t[missing[t + horizon + 1] == missing[t - length + 1]]


def choose_rows(usable: np.ndarray, count: int, how: str, seed: int) -> np.ndarray:
    """`count` of the usable times, by a draw: 'random', anywhere and in any order; 'spaced', at equal distances and in
    order from a beginning that is drawn; 'block', one after the other from a beginning that is drawn."""
    if len(usable) < count:
        raise UserError(f"there are {len(usable)} usable rows where {count} are needed; take fewer hours a step.")
    draws = np.random.default_rng(seed)
    if how == "random":
        return draws.permutation(usable)[:count]
    every = len(usable) // count if how == "spaced" else 1
    first = draws.integers(len(usable) - every * (count - 1))
    return usable[first : first + every * (count - 1) + 1 : every]


def make_rows(series: np.ndarray, t: np.ndarray, task: Task, choices: Choices) -> Rows:
    """Rows of the times t of a series (N, D) whose first column is v; UserError for a teacher's step that is not
    between t and t + k."""
    steps = choices.teacher_steps
    if not all(0 < step < task.horizon for step in steps):
        said, most = ", ".join(map(str, steps)), task.horizon - 1
        raise UserError(f"the teacher of {task.title} reads the steps {said} after t; they should be from 1 to {most}.")
    ends = np.cumsum(task.rows)
    train, *_ = parts = tuple(slice(end - rows, end) for end, rows in zip(ends, task.rows, strict=True))

    def read(t: np.ndarray, steps: Sequence[int]) -> np.ndarray:
        return series[t[..., None] + np.array(steps)].reshape(*t.shape, -1)

    def standardised(x: np.ndarray, by: np.ndarray) -> np.ndarray:
        deviation = by[train].std(0)
        return (x - by[train].mean(0)) / np.where(deviation > 1e-9, deviation, 1)

    last = range(1 - task.length, 1)
    inputs, teacher, now = read(t, last), read(t, steps), read(t, [0])[:, : None if choices.reads_now else 0]
    chain = standardised(read(t[:, None] + np.array(chain_times(steps)), last), inputs)
    teacher, now = standardised(teacher, teacher), standardised(now, now)
    label = series[t + task.horizon, 0] > series[t, 0]
    return Rows(chain[:, 0], np.hstack([teacher, now]), chain, now, label, parts)


def all_rows(name: str, choices: Choices, draws: int) -> Iterator[Rows]:
    """The rows of each draw of a task of `TASKS`. Of Mackey-Glass each draw is a series of its own, with its rows in
    order; of PM2.5, rows of the one series that there is, every `hours`-th hour of it."""
    task = TASKS[name]
    for draw in range(draws):
        if name == "mackey_glass":
            series = mackey_glass_series(draws, choices.sampling)[:, [draw]]
            t = usable_rows(series, task.length, task.horizon)[: sum(task.rows)]
        else:
            series = read_pm25()[draw % choices.hours :: choices.hours]
            t = choose_rows(usable_rows(series, task.length, task.horizon), sum(task.rows), choices.rows, draw)
        yield make_rows(series, t, task, choices)
