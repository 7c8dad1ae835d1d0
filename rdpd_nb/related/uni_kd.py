"""UNI-KD (Xu and others, IJCAI 2023, arXiv 2307.03347; seed document 001): a big teacher's knowledge for a small
student that is to work for another person than the one whose labels it saw.

There are labelled windows of a source person s and windows without labels of a target person t. The teacher F_T, C_T is
adapted from s to t by an adversary (DANN) and then frozen. The student F_S, C_S is a quarter as wide, and minimises

    L = L_CE(s) + (1 - beta) w_d L_DC + beta L_JKD + L_FD

Shapes: B windows of l samples on C_in channels, width m, C classes, h hidden units of a discriminator. `choices` are
names of CHOICES, of what the released code does otherwise.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import UserError
from ..evaluation import scores
from .uni_kd_tasks import Person, files  # noqa: F401  files: what `jobs` asks of a system

# ------------------------------------------------------------------------------------------------------ networks

TEACHER, STUDENT = 64, 16  # widths m


class Set(NamedTuple):
    """What one of the paper's data sets fixes."""

    channels: int  # C_in
    length: int  # l
    classes: int
    kernel: int  # of the first convolution
    stride: int
    dropout: float
    batch: int
    hidden: int  # h
    domain_weight: float  # w_d


SETS = {
    "HAR": Set(9, 128, 6, 5, 1, 0.5, 32, 64, 1.0),
    "HHAR": Set(3, 128, 6, 5, 1, 0.5, 32, 64, 1.0),
    "FD": Set(1, 5120, 3, 32, 6, 0.5, 32, 64, 1.0),
    "SSC": Set(1, 3000, 5, 25, 6, 0.2, 128, 100, 0.01),
}
HAR = SETS["HAR"]


class Network(nn.Module):
    """Three convolutions, the mean over time and a linear layer: (B, C_in, l) -> features (B, 2m), logits (B, C)."""

    def __init__(self, of: Set, width: int):
        super().__init__()
        self.layers = nn.Sequential(
            *_block(of.channels, width, of.kernel, of.stride, of.kernel // 2),
            nn.Dropout(of.dropout),
            *_block(width, 2 * width, 8, 1, 4),
            *_block(2 * width, 2 * width, 8, 1, 4),
        )
        self.classify = nn.Linear(2 * width, of.classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.layers(x).mean(-1)
        return features, self.classify(features)


def _block(inputs: int, outputs: int, kernel: int, stride: int, padding: int) -> list[nn.Module]:
    convolution = nn.Conv1d(inputs, outputs, kernel, stride, padding, bias=False)
    return [convolution, nn.BatchNorm1d(outputs), nn.ReLU(), nn.MaxPool1d(2, 2, padding=1)]


def discriminator(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """inputs-h-h-outputs; what it gives are logits. D_f has one output, D_d and the teacher's two."""
    return nn.Sequential(
        *(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
    )


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(context, x: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradient, None


def reverse(x: Tensor, strength: float) -> Tensor:
    """GRL_a: x itself; its gradient is -a times what comes back."""
    return _Reverse.apply(x, strength)


# -------------------------------------------------------------------------------------------- schedules and losses


def strength(p: float) -> float:
    """a = 2 / (1 + exp(-10 p)) - 1, of the progress p from 0 to 1."""
    return 2 / (1 + math.exp(-10 * p)) - 1


def progress(epoch: int, step: int, steps: int, epochs: int, choices: Sequence[str] = ()) -> float:
    """p of a step (from 0) of an epoch (from 1): the share of the training that lies behind it."""
    if "progress" in choices:
        return (step + epoch * steps) / epochs + 1 / steps
    return (step + (epoch - 1) * steps) / (epochs * steps)


def balance(epoch: int, epochs: int, choices: Sequence[str] = ()) -> float:
    """beta of an epoch (from 1): 0.1 * 9^(epoch / epochs), which ends at 0.9."""
    log = math.log10 if "log10" in choices else math.log
    return 0.1 * math.exp(log(0.9 / 0.1) * epoch / epochs)


def telling_loss(told: Tensor, imitated: Tensor) -> Tensor:
    """What D_f minimises: -E log D_f(F_T(x)) - E log(1 - D_f(A F_S(x))). Both are its logits (B, 1)."""
    return -(F.logsigmoid(told).mean() + F.logsigmoid(-imitated).mean())


def universal_loss(imitated: Tensor, adapted: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
    """L_FD: -E log D_f(A F_S(x)), of D_f's logits `imitated` (B, 1), and the mean |A F_S(x) - F_T(x)| of the source and
    of the target, each (B, 128)."""
    return -F.logsigmoid(imitated).mean() + sum(F.l1_loss(a, t) for a, t in zip(adapted, taught, strict=True))


def domain_loss(source: Tensor, target: Tensor) -> Tensor:
    """L_DC: cross-entropy of D_d's logits (B, 2); the source is 1 and the target 0."""
    one, zero = (torch.full((len(logits),), label) for logits, label in ((source, 1), (target, 0)))
    return F.cross_entropy(source, one) + F.cross_entropy(target, zero)


def joint_weights(domain: Tensor) -> Tensor:
    """w (B,) = 1 - |softmax(D_d)_0 - softmax(D_d)_1|: 1 where nobody can tell whose the window is, 0 where all can."""
    told = F.softmax(domain, -1)
    return 1 - (told[:, 0] - told[:, 1]).abs()


def divergence(teacher: Tensor, student: Tensor, temperature: float) -> Tensor:
    """KL(q_T || q_S) (B,) in nats, of softmax(logits / temperature)."""
    q_t, q_s = (F.log_softmax(logits / temperature, -1) for logits in (teacher, student))
    return (q_t.exp() * (q_t - q_s)).sum(-1)


# ------------------------------------------------------------------------------------------------------- training

LEARNING_RATE, BETAS, WEIGHT_DECAY, TEMPERATURE = 1e-2, (0.5, 0.99), 1e-4, 4.0
TERMS = ("source labels", "domain", "joint knowledge", "universal knowledge", "mean weight")  # of fit_uni_kd's history


def adam(*networks: nn.Module) -> torch.optim.Adam:
    every = [p for network in networks for p in network.parameters()]
    return torch.optim.Adam(every, LEARNING_RATE, BETAS, weight_decay=WEIGHT_DECAY)


def descend(loss: Tensor, *optimisers: torch.optim.Adam) -> None:
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss.backward()
    for optimiser in optimisers:
        optimiser.step()


@torch.no_grad()
def ask(network: Network, x: Tensor) -> tuple[Tensor, Tensor]:
    """Features and logits of a network that is frozen: no dropout, no gradient."""
    return network.eval()(x)


def batches(source: Person, target: Person, of: Set, seed: int, epochs: int) -> Iterator[tuple]:
    """Of each step: the epoch (from 1), the step (from 0), how many an epoch has, and which windows (B,) of source and
    target. Whole batches, as many as the shorter of the two fills, in a new order each epoch, which is the seed's
    whatever the method."""
    rng = np.random.default_rng(seed)
    steps = min(len(source.x), len(target.x)) // of.batch
    if not steps:
        raise UserError(f"a person has fewer than {of.batch} training windows, a batch; name others in scenarios.")
    for epoch in range(1, epochs + 1):
        order_s, order_t = (torch.from_numpy(rng.permutation(len(person.x))) for person in (source, target))
        for step in range(steps):
            these = slice(step * of.batch, (step + 1) * of.batch)
            yield epoch, step, steps, order_s[these], order_t[these]


def fit_alone(source: Person, target: Person, of: Set, seed: int, epochs: int, width: int = STUDENT) -> Network:
    """A network that learns from the source's labels alone."""
    torch.manual_seed(seed)
    network = Network(of, width)
    optimiser = adam(network)
    for *_, s, _ in batches(source, target, of, seed, epochs):
        _, z = network(source.x[s])
        descend(F.cross_entropy(z, source.y[s]), optimiser)
    return network


def fit_distilled(
    source: Person, target: Person, of: Set, seed: int, epochs: int, teacher: Network, both: bool = False
) -> Network:
    """Plain distillation: the source's labels and the teacher's soft ones of the same windows; with `both` also those
    of the target's. Both losses weigh 1, the soft one times T^2."""
    torch.manual_seed(seed)
    student = Network(of, STUDENT)
    optimiser = adam(student)
    (_, q_s), (_, q_t) = ask(teacher, source.x), ask(teacher, target.x)
    for *_, s, t in batches(source, target, of, seed, epochs):
        _, z_s = student(source.x[s])
        soft = divergence(q_s[s], z_s, TEMPERATURE).mean()
        if both:
            _, z_t = student(target.x[t])
            soft = soft + divergence(q_t[t], z_t, TEMPERATURE).mean()
        descend(F.cross_entropy(z_s, source.y[s]) + TEMPERATURE**2 * soft, optimiser)
    return student


def fit_dann(
    source: Person, target: Person, of: Set, seed: int, epochs: int, width: int, choices: Sequence[str] = ()
) -> Network:
    """DANN: features that tell the source's classes, and from which a discriminator cannot tell source from target."""
    torch.manual_seed(seed)
    network = Network(of, width)
    tell = discriminator(2 * width, of.hidden, 2)
    of_network, of_tell = adam(network), adam(tell)
    for epoch, step, steps, s, t in batches(source, target, of, seed, epochs):
        a = strength(progress(epoch, step, steps, epochs, choices))
        (f_s, z_s), (f_t, _) = network(source.x[s]), network(target.x[t])
        domain = domain_loss(tell(reverse(f_s, a)), tell(reverse(f_t, a)))
        descend(F.cross_entropy(z_s, source.y[s]) + domain, of_network, of_tell)
    return network


def fit_uni_kd(
    source: Person, target: Person, of: Set, seed: int, epochs: int, teacher: Network, choices: Sequence[str] = ()
) -> tuple[Network, np.ndarray]:
    """The student, and the mean of each of TERMS in each epoch (epochs, 5)."""
    torch.manual_seed(seed)
    student = Network(of, STUDENT)
    adapt = nn.Linear(2 * STUDENT, 2 * TEACHER)  # A
    tell_features, tell_domain = discriminator(2 * TEACHER, of.hidden, 1), discriminator(2 * STUDENT, of.hidden, 2)
    of_student, of_features, of_domain = adam(student, adapt), adam(tell_features), adam(tell_domain)
    (g_s, q_s), (g_t, q_t) = ask(teacher, source.x), ask(teacher, target.x)  # it is frozen: once is enough
    history = [[] for _ in range(epochs)]
    for epoch, step, steps, s, t in batches(source, target, of, seed, epochs):
        a = strength(progress(epoch, step, steps, epochs, choices))
        beta = balance(epoch, epochs, choices)
        (f_s, z_s), (f_t, z_t) = student(source.x[s]), student(target.x[t])

        # Universal knowledge: D_f learns to tell the teacher's features, then the student to pass for him.
        adapted, taught = (adapt(f_s), adapt(f_t)), (g_s[s], g_t[t])
        imitated = torch.cat(adapted)
        descend(telling_loss(tell_features(torch.cat(taught)), tell_features(imitated.detach())), of_features)
        if "detached" in choices:
            imitated = imitated.detach()
        universal = universal_loss(tell_features(imitated), adapted, taught)

        # Joint knowledge: soft labels, those first of windows of which nobody can tell whose they are.
        d_s, d_t = tell_domain(reverse(f_s, a)), tell_domain(reverse(f_t, a))
        domain, w_s, w_t = domain_loss(d_s, d_t), joint_weights(d_s), joint_weights(d_t)
        if "weights" not in choices:
            w_s, w_t = w_s.detach(), w_t.detach()
        soft_s = divergence(q_s[s], z_s, TEMPERATURE)
        soft_t = soft_s if "source_twice" in choices else divergence(q_t[t], z_t, TEMPERATURE)
        joint = TEMPERATURE**2 * ((w_s * soft_s).mean() + (w_t * soft_t).mean())

        labels = F.cross_entropy(z_s, source.y[s])
        descend(labels + (1 - beta) * of.domain_weight * domain + beta * joint + universal, of_student, of_domain)
        history[epoch - 1].append([v.item() for v in (labels, domain, joint, universal, (w_s + w_t).mean() / 2)])
    return student, np.mean(history, axis=1)


def macro_f1(network: Network, person: Person) -> float:
    """In percent, of the person's windows that are scored."""
    _, logits = ask(network, person.test_x)
    return 100 * scores(logits.double().softmax(-1).numpy(), person.test_y.numpy())["macro_f1_argmax"]
