"""Distillation on images of digits, as Hinton, Vinyals and Dean (2015, arXiv 1503.02531) did it and seed document 003
retells it: a student learns a teacher's soft labels beside the true ones.

What neither gives is in TASKS: images a step, rate, shares of dropout, the limit of the norm. The optimiser is Adam.
Shapes: E nets that train at once, n images of `side` x `side` pixels (D of them), B images a batch, C = 10 classes.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.windows import fingerprint
from ..engine.checkpoints import Checkpoints
from ..engine.device import keep_freed_memory
from ..stamps import code
from . import mnist


class Recipe(NamedTuple):
    """How a net is trained, and regularised where it is: all but `jitter` is (open)."""

    batch: int  # images a step
    rate: float  # Adam's at the first step; it falls in a line to 0 after the last
    jitter: float = 0  # pixels that an image is moved by at most, up or down and left or right
    dropout: tuple[float, float] = (0.0, 0.0)  # share of the pixels and of the hidden units that are left out
    norm: float = math.inf  # the most that the weights into one hidden unit may have


class Task(NamedTuple):
    """What is trained on some images; nets as numbers of units."""

    title: str
    teacher: tuple[int, ...]
    student: tuple[int, ...]
    narrow: tuple[int, ...]  # a second student, with few units
    regularised: Recipe  # the teacher's
    plain: Recipe  # the students'
    validation: int  # images held out of the training images, drawn by seed


TASKS = {  # nets and, roughly, jitter are to the digits' pixels what they are to MNIST's, but for the narrow net
    "digits": Task(
        "Digits", (64, 98, 98, 10), (64, 65, 65, 10), (64, 10, 10, 10), Recipe(20, 3e-3, 0.5, (0.0, 0.1), 3.9),
        Recipe(20, 3e-3), 200,
    ),
    "mnist": Task(
        "MNIST", (784, 1200, 1200, 10), (784, 800, 800, 10), (784, 30, 30, 10), Recipe(250, 1e-3, 2, (0.0, 0.25), 3.9),
        Recipe(250, 1e-3), 5000,
    ),
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------- images

DIGITS_TRAIN = 1200  # the first of 1,797; images of one writer follow each other, so that others wrote most of the rest


class Images(NamedTuple):
    """Images (n, side, side) with values from 0 to 1, and labels (n,): to train on, and to test."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


def files(task: str, raw: str) -> list[Path]:
    """The raw files of a task: MNIST's four, none of scikit-learn's digits."""
    return mnist.files(raw) if task == "mnist" else []


def read(task: str, raw: str) -> Images:
    """The images of a task. Raises UserError for a file that is not as it should be."""
    if task == "mnist":
        x, y, x_test, y_test = (torch.from_numpy(array) for array in mnist.read(raw))
        return Images(x.float() / 255, y.long(), x_test.float() / 255, y_test.long())
    from sklearn.datasets import load_digits  # slow to import

    digits = load_digits()
    x, y = torch.tensor(digits.images, dtype=torch.float32) / 16, torch.tensor(digits.target)
    return Images(x[:DIGITS_TRAIN], y[:DIGITS_TRAIN], x[DIGITS_TRAIN:], y[DIGITS_TRAIN:])


def split(task: str, images: Images, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training images: those to train on, and the seed's own for validation. The test images are given."""
    drawn = np.random.default_rng([seed, 0]).permutation(len(images.y))
    held_out = TASKS[task].validation
    return np.sort(drawn[held_out:]), np.sort(drawn[:held_out])


# ----------------------------------------------------------------------------------------------------------- nets

Net = list[tuple[Tensor, Tensor]]  # weights (E, units in, units out) and biases (E, 1, units out), a layer each


def parameters(sizes: Sequence[int]) -> int:
    """How many weights and biases a net of these units has."""
    return sum((before + 1) * after for before, after in pairwise(sizes))


def start(sizes: Sequence[int], seeds: Sequence[int]) -> Net:
    """Initial nets, one a seed: biases 0, weights normal with variance 2 / units in (He et al., 2015)."""
    draws = [np.random.default_rng([seed, 1]) for seed in seeds]
    net = []
    for before, after in pairwise(sizes):
        drawn = np.stack([rng.standard_normal((before, after), np.float32) for rng in draws])
        net.append((torch.from_numpy(drawn * np.float32(math.sqrt(2 / before))), torch.zeros(len(seeds), 1, after)))
    return net


def forward(net: Net, x: Tensor, masks: Sequence[Tensor | None] = (None, None, None)) -> Tensor:
    """Logits z (E, B, C) of images x (E, B, D); masks: what dropout multiplies the input of each layer by."""
    for layer, ((weight, bias), mask) in enumerate(zip(net, masks, strict=True)):
        x = torch.baddbmm(bias, x if mask is None else x * mask, weight)
        x = x.relu() if layer < len(net) - 1 else x
    return x


@torch.no_grad()
def predict(net: Net, x: Tensor) -> Tensor:
    """Logits (E, n, C) of images x (n, side, side), moved by nothing."""
    return torch.cat([forward(net, part.flatten(1).expand(len(net[0][0]), -1, -1)) for part in x.split(2000)], 1)


def errors(logits: Tensor, y: Tensor) -> Tensor:
    """How many of the images each net names wrongly, (E,)."""
    return (logits.argmax(-1) != y).sum(-1)


def errors_by_bias(logits: Tensor, y: Tensor, of: int, added: Tensor) -> tuple[Tensor, Tensor]:
    """Errors (E, G) on all images, and on those of class `of`, of nets whose bias of that class is raised by each of
    `added` (G,), which raises their logits (E, n, C) of the class as much."""
    raised, every, own = logits.clone(), [], []
    for rise in added:
        raised[..., of] = logits[..., of] + rise
        every.append(errors(raised, y))
        own.append(errors(raised[:, y == of], y[y == of]))
    return torch.stack(every, 1), torch.stack(own, 1)


# ------------------------------------------------------------------------------------------------------- training


def loss(z_s: Tensor, y: Tensor, z_t: Tensor, temperature: Tensor | float, alpha: Tensor | float) -> Tensor:
    """(1 - alpha) CE(y, softmax(z_s)) + alpha T^2 CE(softmax(z_t / T), softmax(z_s / T)) of each image, (...), from
    logits of student and teacher (..., C) and labels (...)."""
    temperature = torch.as_tensor(temperature)
    hard = -F.log_softmax(z_s, -1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
    said, ours = F.softmax(z_t / temperature[..., None], -1), F.log_softmax(z_s / temperature[..., None], -1)
    return (1 - alpha) * hard + alpha * temperature**2 * -(said * ours).sum(-1)


@dataclass(frozen=True)
class Member:
    """One net to train on `rows` of the training images; a student with the teacher's logits (n, C) of all of them."""

    seed: int
    rows: np.ndarray
    taught: Tensor | None = None
    temperature: float = 1.0
    alpha: float = 0.0  # weight of the soft labels, less than 1 that of the true ones


def fit(
    members: Sequence[Member],
    sizes: Sequence[int],
    images: Images,
    recipe: Recipe,
    epochs: int,
    checkpoints: Path | None = None,
    progress: Callable[[str], None] = print,
) -> Net:
    """Train a net a member, all at once and each as if alone: its loss and its draws are its own.

    Members of one seed share initial weights, the order of the images, and what their recipe draws. Where members have
    other numbers of images, an epoch has the steps of the smallest. The nets of the last step are returned. A training
    that was killed goes on from what is in the folder `checkpoints`; a line a minute says how long it takes.
    """
    keep_freed_memory()
    net = start(sizes, [member.seed for member in members])
    optimiser = torch.optim.Adam([p.requires_grad_() for layer in net for p in layer], recipe.rate, fused=True)
    untaught = torch.zeros(len(images.y), sizes[-1])
    taught = torch.stack([untaught if member.taught is None else member.taught for member in members])  # (E, n, C)
    alpha = torch.tensor([[member.alpha] for member in members])
    temperature = torch.tensor([[member.temperature] for member in members])
    moved, each = every_move(images.x, recipe.jitter), torch.arange(len(members))[:, None]
    steps = min(len(member.rows) for member in members) // recipe.batch
    saved = Checkpoints(checkpoints, key(members, sizes, images, recipe, epochs), progress, keep=True)
    done, state = resume(saved, optimiser)
    began = told = time.perf_counter()
    for epoch in range(done, epochs):
        draws = [draws_of(member.seed, epoch) for member in members]
        order = [rng.permutation(m.rows)[: steps * recipe.batch] for m, rng in zip(members, draws, strict=True)]
        for step, index in enumerate(torch.from_numpy(np.stack(order)).split(recipe.batch, 1)):  # (E, B)
            x, masks = as_seen(moved, index, sizes, recipe, draws)
            z = forward(net, x, masks)
            value = loss(z, images.y[index], taught[each, index], temperature, alpha)
            optimiser.param_groups[0]["lr"] = recipe.rate * (1 - (epoch + step / steps) / epochs)
            optimiser.zero_grad()
            value.mean(1).sum().backward()
            optimiser.step()
            limit_norms(net, recipe.norm)
        saved.write(epoch + 1, state, last=epoch + 1 == epochs)
        if (now := time.perf_counter()) - told > 60 or epoch + 1 == epochs:
            left, told = (now - began) * (epochs - epoch - 1) / (epoch + 1 - done), now
            progress(f"{len(members)} nets, epoch {epoch + 1} of {epochs}: {now - began:.0f} s, {left:.0f} s left")
    return [(weight.detach(), bias.detach()) for weight, bias in net]


def key(members: Sequence[Member], sizes: Sequence[int], images: Images, recipe: Recipe, epochs: int) -> str:
    """Changes with all that a training depends on."""
    parts: list = [torch.__version__, code(__name__), f"{sizes} {recipe} {epochs}", images.x.numpy(), images.y.numpy()]
    for m in members:
        parts += [f"{m.seed} {m.temperature} {m.alpha}", m.rows, *([] if m.taught is None else [m.taught.numpy()])]
    return fingerprint(*parts)


def resume(saved: Checkpoints, optimiser: torch.optim.Adam) -> tuple[int, dict[str, Tensor]]:
    """Epochs that are done, and by name all that changes in a training, as it was saved if it was: weights and biases,
    and Adam's means, which are set to 0 here."""
    state = {}
    for i, p in enumerate(optimiser.param_groups[0]["params"]):
        means = {"exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p), "step": torch.zeros(())}
        optimiser.state[p] = means
        state |= {f"{i}": p.detach()} | {f"{i}.{name}": tensor for name, tensor in means.items()}
    done, values = saved.read(state) or (0, {})
    for name, value in values.items():
        state[name].copy_(value)
    return done, state


def draws_of(seed: int, epoch: int) -> np.random.Generator:
    """What an epoch (from 0) draws: the order of the images, then each step how they are moved and dropped."""
    return np.random.Generator(np.random.SFC64([seed, 2, epoch]))


def every_move(x: Tensor, jitter: float) -> Tensor:
    """Images x (n, side, side) moved by -jitter to jitter down and right, (n, moves, moves, side, side), in steps of a
    pixel, or of half a pixel where `jitter` has a half: a value between two pixels is on the line between theirs. What
    comes in is blank. Whole steps are no copy."""
    side, margin, parts = x.shape[-1], math.ceil(jitter), 1 if float(jitter).is_integer() else 2
    x = F.pad(x, [margin] * 4)
    if parts > 1:
        size = [2 * s - 1 for s in x.shape[1:]]
        x = F.interpolate(x[:, None], size, mode="bilinear", align_corners=True)[:, 0, 1:-1, 1:-1]
    span = parts * (side - 1) + 1
    return x.unfold(1, span, 1)[..., ::parts].unfold(2, span, 1)[..., ::parts]


def as_seen(
    moved: Tensor, index: Tensor, sizes: Sequence[int], recipe: Recipe, draws: Sequence[np.random.Generator]
) -> tuple[Tensor, list[Tensor | None]]:
    """Images `index` (E, B) as the nets see them in training, (E, B, D), and masks of dropout for each layer."""
    moves, batch = moved.shape[1], index.shape[1]
    down, right = torch.from_numpy(np.stack([rng.integers(moves, size=(2, batch)) for rng in draws], 1))
    masks: list[Tensor | None] = []
    for layer, units in enumerate(sizes[:-1]):
        share = recipe.dropout[min(layer, 1)]
        kept = [rng.random((batch, units), np.float32) >= share for rng in draws] if share else []
        masks.append(torch.from_numpy(np.stack(kept)) / (1 - share) if share else None)
    return moved[index, down, right].flatten(2), masks


@torch.no_grad()
def limit_norms(net: Net, most: float) -> None:
    """Max-norm, in place: weights into a hidden unit whose Euclidean norm is beyond `most` are shrunk to it."""
    for weight, _ in net[:-1] if most < math.inf else []:
        norms = torch.linalg.vector_norm(weight, dim=1, keepdim=True)  # (E, 1, units out)
        weight.mul_(most / norms.clamp_min(most))
