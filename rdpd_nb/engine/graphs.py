"""A shard's steps as CUDA graphs: one launch a step in place of hundreds."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ..paper import BATCH_SIZE
from .batches import Masks


class CapturedSteps:
    """One graph for each number of members that a step has.

    Nothing in an epoch waits for the host: indices, weights and mask bits of all its steps go over at its beginning.
    """

    def __init__(self, shard):
        self.shard = shard
        self.graphs: dict[int, tuple] = {}
        self.pool = None  # of memory, one for all graphs: no two of them run at a time
        self.seeds = list(dict.fromkeys(shard.seeds))
        device = shard.setup.device
        self.seed_of = torch.tensor([self.seeds.index(seed) for seed in shard.seeds], device=device)
        self.shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=device)

    def begin(self, masks: Masks) -> Callable[[int, int, Tensor, Tensor], Tensor]:
        """The step function of one epoch: (step, members, index, weight) -> losses."""
        drawn = [[masks.bits[seed].draw() for seed in self.seeds] for _ in self.shard.sizes]
        bits = [
            torch.from_numpy(np.stack([np.stack([seed[i] for seed in step]) for step in drawn])).to(
                self.shard.setup.device
            )
            for i in range(len(masks.shapes))
        ]  # each (steps, seeds, bytes)

        def step(i: int, k: int, index: Tensor, weight: Tensor) -> Tensor:
            inputs = (index, weight, *(b[i] for b in bits))
            if k not in self.graphs:
                self.graphs[k] = self._capture(inputs)
            graph, static, loss = self.graphs[k]
            for mine, new in zip(static, inputs, strict=True):
                mine.copy_(new)
            graph.replay()
            return loss

        return step

    def eager(self, index: Tensor, weight: Tensor, *bits: Tensor) -> Tensor:
        """The same step without a graph."""
        k = len(index)
        unpacked = [
            (b.unsqueeze(-1) >> self.shifts & 1).view(-1, BATCH_SIZE, *shape)
            for b, shape in zip(bits, self.shard.setup.shapes, strict=True)
        ]
        return self.shard.step(index, weight, [m[self.seed_of[:k]] for m in unpacked])

    def _capture(self, inputs: tuple[Tensor, ...]) -> tuple:
        state = self.shard.state
        before = {name: state[name].clone() for name in ("weights", "mean", "square", "steps")}
        static = tuple(tensor.clone() for tensor in inputs)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries set themselves up before the capture
            for _ in range(3):
                self.eager(*static)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        self.pool = self.pool or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self.pool):
            loss = self.eager(*static)
        for name, tensor in before.items():  # as if the warm-up had not been
            state[name].copy_(tensor)
        return graph, static, loss
