"""Made-up windows, knowledge and members, as small as training can go, and what compares its results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from rdpd_nb.data import SPECS, Windows, split
from rdpd_nb.knowledge import Knowledge, knowledge_fingerprint, of_teachers
from rdpd_nb.losses import member_loss
from rdpd_nb.training import Fitted, Member, fit, make_member


def select(windows: Windows, view: str) -> Windows:
    """The same windows with the channels of a poorer view only, as `data.load` gives them."""
    return windows.select(view)


def make_windows(dataset: str = "mimic3", n: int = 300, dtype: type = np.float32, seed: int = 0) -> Windows:
    """View 'all' of n windows, one a subject. Each class has its own level in each channel, under noise."""
    spec = SPECS[dataset]
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.arange(n) % len(spec.classes))
    levels = rng.normal(size=(len(spec.classes), 1, len(spec.channels)))
    signal = levels[label] + rng.normal(size=(n, spec.length, len(spec.channels)))
    x = (80 + 12 * signal).astype(dtype)
    part = np.where(np.arange(n) % 5, "train", "test") if spec.split == "official" else None
    windows = Windows.from_arrays(spec, x, label, np.arange(n), source="simulated", part=part)
    return replace(windows, series=x.reshape(-1, len(spec.channels)))  # float64 where a test asks for it


def make_knowledge(windows: Windows, about: np.ndarray, seed: int = 0) -> Knowledge:
    """What some teacher might say about the windows `about`."""
    spec, rng = windows.spec, np.random.default_rng(seed)
    return Knowledge(
        window=about,
        soft_labels=rng.dirichlet(np.ones(len(spec.classes)), len(about)).astype(np.float32),
        attention=rng.dirichlet(np.ones(spec.segments), len(about)).astype(np.float32),
        temperature=spec.temperature,
        fingerprint=knowledge_fingerprint(windows, about),
        protocol=of_teachers(windows.protocol),
    )


def student(windows: Windows, method: str = "rdpd", seed: int = 0, **options) -> Member:
    """A member with made-up knowledge about all its training windows."""
    parts = split(windows, seed)
    return make_member(windows, parts, seed, method, make_knowledge(windows, parts.train, seed), **options)


def mixed_members(windows: Windows) -> list[Member]:
    """Ten members of three seeds: all student methods, noise, one to two steps an epoch, validation by loss."""
    tasks = [(1, "rdpd"), (0, "direct"), (2, "kd"), (1, "direct"), (0, "rdpd_r1"), (2, "rdpd_r2"), (1, "kd")]
    members = [student(windows, method, seed) for seed, method in tasks]
    few = {seed: split(windows, seed).train[:100] for seed in (0, 2)}
    members.insert(1, student(windows, "direct", 0, train=few[0]))
    members.insert(4, student(windows, "rdpd", 2, train=few[2], noise=0.5))
    one_class = replace(student(windows, "direct", 1), validation=np.flatnonzero(windows.label == 2)[:20])
    return [*members, one_class]


def quietly(members: list[Member], windows: Windows, epochs: int = 2, **options) -> list[Fitted]:
    return fit(members, windows, epochs, **{"device": "cpu", "progress": lambda line: None, **options})


@contextmanager
def threads(count: int) -> Iterator[None]:
    """That many threads for PyTorch, and the number there was afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def loss_rows(names: tuple[str, ...], *, logits, log_attention, combine, y, temperature, **rest) -> dict:
    """Each named term of `member_loss` by itself, one value a row: every row is taken for a member of one window."""
    n = len(y)
    taught = rest.pop("p_teacher", None), rest.pop("a_teacher", None)
    if taught == (None, None):
        taught = None
    else:  # a window of which one is not asked for still needs the other
        p, a = (torch.ones(n, 1) if t is None else t for t in taught)
        taught = p[:, None], a[:, None]
    rows = log_attention[:, None], logits[:, None], y[:, None]
    shared = {"combine": combine.expand(n, 3), "temperature": temperature, "taught": taught, **rest}
    return {name: member_loss((name,), *rows, **shared) for name in names}


class Killed(BaseException):
    """What ends a training in the middle."""


def kill_after(epoch: int) -> Callable[[str], None]:
    """Progress that kills at the line of that epoch; with `engine.QUIET_SECONDS` of -1 every epoch has one."""

    def progress(line: str) -> None:
        if line.startswith(f"epoch {epoch:3d} of"):
            raise Killed

    return progress


def same(a: Fitted, b: Fitted, free: tuple[str, ...] = (), **tolerance) -> None:
    """Two fitted members have the same weights (but for those named in `free`), best epoch and history."""
    assert a.best_epoch == b.best_epoch
    weights = [{n: p for n, p in f.model.named_parameters() if n not in free} for f in (a, b)]
    torch.testing.assert_close(*weights, **tolerance)
    for name in a.history:
        np.testing.assert_allclose(
            a.history[name], b.history[name], rtol=tolerance.get("rtol", 1e-7), atol=tolerance.get("atol", 0)
        )


BIT_EQUAL = {"rtol": 0, "atol": 0}
CLOSE_IN_DOUBLE = {"rtol": 1e-9, "atol": 1e-9}
