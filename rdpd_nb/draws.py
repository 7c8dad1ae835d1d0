"""What a seed draws: the order of the training windows, dropout masks, noise.

Everything here depends on the seed, the epoch and the step alone, never on who trains beside, so that two methods of
one seed see the same batches, masks and noise (common random numbers), and one model alone sees what it sees among
many. Shapes: B windows, M segments of S samples, S' samples after a convolution, K filters.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .data.spec import Spec
from .errors import UserError
from .paper import BATCH_SIZE


def epoch_order(train: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The training windows in the order of one epoch (from 0): a new shuffle each, fixed by seed and epoch."""
    return np.random.default_rng([seed, 2, epoch]).permutation(train)


def some_recordings(
    recording: np.ndarray, label: np.ndarray, train: np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """A fraction of the training windows `train`, by whole recordings, so that no window leaks (Figure 2); or, given
    subjects as `recording`, by whole subjects.

    recording, label (n,): those of each of the data set's windows; a recording has one class. Within a class the
    recordings are in an order drawn by seed; next is always one of the class of which the least share is taken, so that
    every class is there from its first recording on and keeps its proportion as far as recordings allow. They are taken
    until the fraction is reached and each class has one: what a smaller fraction takes, a larger one takes too.
    """
    found, first, size = np.unique(recording[train], return_index=True, return_counts=True)  # each (R,)
    drawn = np.random.default_rng(seed).permutation(len(found))
    size, of = size[drawn], label[train][first][drawn]
    before = np.empty(len(found))  # share of a recording's class that comes before it
    for c in np.unique(of):
        windows = size[of == c]
        before[of == c] = (windows.cumsum() - windows) / windows.sum()
    order = before.argsort(kind="stable")
    enough = np.searchsorted(size[order].cumsum(), fraction * len(train) - 0.5) + 1
    kept = found[drawn[order[: max(enough, (before == 0).sum())]]]
    return train[np.isin(recording[train], kept)]


# ------------------------------------------------------------------------------------------------ dropout masks


def read_samples(segment: int, kernel: int, stride: int, convolutions: int) -> list[int]:
    """How many samples of a segment are read: by the first convolution, by the second, ..., by the pooling.

    Where a stride does not divide what a convolution gets, the samples of the rest are never read, and those of the
    convolution before need not be computed.
    """
    samples = [segment]
    for _ in range(convolutions):
        samples.append((samples[-1] - kernel) // stride + 1)
    for i in reversed(range(convolutions)):
        samples[i] = (samples[i + 1] - 1) * stride + kernel
    return samples


def mask_shapes(spec: Spec, view: str) -> list[tuple[int, int, int]]:
    """Shape (M, S', K) of one window's dropout mask after each convolution, over the samples that are read."""
    filters = spec.size(view).filters
    samples = read_samples(spec.segment, spec.kernel, spec.stride, len(filters))
    return [(spec.segments, s, k) for s, k in zip(samples[1:], filters, strict=True)]


class MaskBits:
    """The dropout masks of one seed and epoch, step by step, eight to a byte.

    Every bit of a random byte is one fair coin: an eighth of the random numbers that p = 0.5 seems to need.
    """

    def __init__(self, seed: int, epoch: int, shapes: Sequence[tuple[int, int, int]]):
        self.rng = np.random.Generator(np.random.SFC64([seed, 1, epoch]))
        self.sizes = [BATCH_SIZE * int(np.prod(shape)) // 8 for shape in shapes]

    def draw(self) -> list[np.ndarray]:
        """The next step's masks after each convolution, packed."""
        return [np.frombuffer(self.rng.bytes(size), np.uint8) for size in self.sizes]


def unpack(bits: list[np.ndarray], shapes: Sequence[tuple[int, int, int]]) -> list[Tensor]:
    """Packed masks as tensors of 0 and 1, (128, M, S', K) after each convolution."""
    return [torch.from_numpy(np.unpackbits(b)).view(BATCH_SIZE, *s) for b, s in zip(bits, shapes, strict=True)]


def dropout_masks(seed: int, epoch: int, shapes: Sequence[tuple[int, int, int]]) -> Iterator[list[Tensor]]:
    """For step after step of an epoch what dropout keeps after each convolution, (128, M, S', K) of 0 and 1."""
    bits = MaskBits(seed, epoch, shapes)
    while True:
        yield unpack(bits.draw(), shapes)


# -------------------------------------------------------------------------------------------------------- noise


def noise_series(windows, seed: int, kind: str) -> Tensor:
    """Noise (N, D) to be added to the standardised series: 'normal' (standard normal) or 'uniform' (-1 to 1).

    Drawn by seed and channel: a channel has the same noise in every view that sees it.
    """
    draws = {"normal": torch.randn, "uniform": lambda n, generator: torch.rand(n, generator=generator) * 2 - 1}
    if kind not in draws:
        raise UserError(f"noise kind '{kind}' is unknown; use 'normal' or 'uniform'.")
    series = torch.empty(windows.series.shape)
    for column, channel in enumerate(windows.spec.views[windows.view]):
        generator = torch.Generator().manual_seed((seed << 16) + channel + 1_000_003)  # no batch's or mask's
        series[:, column] = draws[kind](len(series), generator=generator)
    return series
