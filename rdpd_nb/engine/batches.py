"""What a stack of models is fed: batches of window indices, standardised windows with their noise, dropout masks.

What each is comes from `draws`, by seed, epoch and step; here what members have in common (a batch, a mask) is made
once and shared.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.windows import Windows
from ..draws import MaskBits, epoch_order, noise_series, read_samples, unpack
from ..paper import BATCH_SIZE

STANDARDISED_BYTES = 1 << 30  # room for series standardised ahead; beyond it every batch is standardised by itself


def epoch_batches(trains: Sequence[np.ndarray], seeds: Sequence[int], epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Window indices (E, steps, B) in the order of an epoch, and each one's weight in its batch's mean (0: padding)."""
    steps = max(-(-len(train) // BATCH_SIZE) for train in trains)
    index = np.zeros((len(trains), steps, BATCH_SIZE), np.int64)
    weight = np.zeros(index.shape, np.float32)
    for e, (train, seed) in enumerate(zip(trains, seeds, strict=True)):
        n = len(train)
        flat_index, flat_weight = index[e].reshape(-1), weight[e].reshape(-1)
        flat_index[:n] = epoch_order(train, seed, epoch)
        flat_weight[:n] = 1 / BATCH_SIZE
        if n % BATCH_SIZE:
            flat_weight[n - n % BATCH_SIZE : n] = 1 / (n % BATCH_SIZE)  # the short last batch: the mean over its rows
    return index, weight


class Inputs:
    """Batches of windows on the device: gathered by index, standardised by the member's training subjects, noisy.

    members give mean, std (D,), seed, noise and noise_kind.
    """

    def __init__(self, windows: Windows, members: Sequence, device: torch.device):
        spec = windows.spec
        kernel, stride, convolutions = spec.kernel, spec.stride, len(spec.size(windows.view).filters)
        self.samples = read_samples(spec.segment, kernel, stride, convolutions)[0]
        self.segments = spec.segments
        self.start = torch.from_numpy(windows.start).to(device)
        self.offset = torch.arange(spec.segments, device=device) * spec.segment

        keys = [m.mean.tobytes() + m.std.tobytes() for m in members]
        distinct = list(dict.fromkeys(keys))
        self.standardiser = [distinct.index(key) for key in keys]
        first = [members[keys.index(key)] for key in distinct]
        scales = [(torch.from_numpy(m.mean).to(device), torch.from_numpy(1 / m.std).to(device)) for m in first]
        series = torch.from_numpy(np.ascontiguousarray(windows.series)).to(device)  # (N, D)
        ahead = len(distinct) * series.nbytes <= STANDARDISED_BYTES
        self.series = [_standardise_(series.clone(), *s) if ahead else series for s in scales]
        self.scales = None if ahead else scales

        self.noise = {}
        for m in members:
            # One noise series a seed, shared by its members: levels and methods differ by amplitude, not by draw.
            if m.noise and (m.seed, m.noise_kind) not in self.noise:
                self.noise[m.seed, m.noise_kind] = noise_series(windows, m.seed, m.noise_kind).to(device)
        self.members = members
        # Members with the same of these see the same windows.
        self.kind = [
            (s, (m.noise, m.seed, m.noise_kind) if m.noise else ())
            for s, m in zip(self.standardiser, members, strict=True)
        ]

    def batch(self, which: Sequence[int], index: Tensor, same: Sequence) -> list[Tensor]:
        """Windows (B, M, S, D) for each member of `which`, for window indices (len(which), B).

        S: the samples of a segment that are read. `same` has one entry for each member there is; where two are equal,
        so are their indices, and if standardiser and noise are too, the two get one tensor between them.
        """
        begins = (self.start[index].unsqueeze(-1) + self.offset).flatten(1)  # (k, B*M), first row of each segment
        keys = [(self.kind[e], same[e]) for e in which]
        made: dict = {}
        for e, key, rows in zip(which, keys, begins.unbind(), strict=True):
            if key not in made:
                made[key] = self._windows(e, rows)
        return [made[key] for key in keys]

    def _windows(self, e: int, rows: Tensor) -> Tensor:
        """Windows (B, M, S, D) of member e whose segments begin at rows (B*M,)."""
        x = self._gather(self.series[self.standardiser[e]], rows)
        if self.scales:
            _standardise_(x, *self.scales[self.standardiser[e]])
        m = self.members[e]
        return x.add_(self._gather(self.noise[m.seed, m.noise_kind], rows), alpha=m.noise) if m.noise else x

    def _gather(self, series: Tensor, rows: Tensor) -> Tensor:
        """Segments (B, M, S, D) that begin at the given rows: whole stretches of memory, not samples one by one."""
        n, d = series.shape
        stretches = series.as_strided((n - self.samples + 1, self.samples * d), (d, 1))  # every stretch; no copy
        return stretches.index_select(0, rows).view(-1, self.segments, self.samples, d)


def _standardise_(x: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return x.sub_(mean).mul_(scale).nan_to_num_(nan=0.0, posinf=0.0, neginf=0.0)


class Masks:
    """Dropout masks of one epoch for the members of a shard: those of one seed are made once."""

    def __init__(self, seeds: Sequence[int], epoch: int, shapes: Sequence[tuple[int, int, int]]):
        self.shapes = shapes
        self.bits = {seed: MaskBits(seed, epoch, shapes) for seed in seeds}

    def draw(self, seeds: Sequence[int]) -> list[list[Tensor]]:
        """After each convolution and for each of `seeds` what dropout keeps next, (B, M, S', K) of 0 and 1."""
        made = {seed: unpack(self.bits[seed].draw(), self.shapes) for seed in dict.fromkeys(seeds)}
        return [[made[seed][i] for seed in seeds] for i in range(len(self.shapes))]
