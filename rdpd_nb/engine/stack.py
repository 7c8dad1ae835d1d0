"""Many RCNNs of one shape as one: the same mathematics as `models.RCNN`, with a leading member axis.

Shapes: E members, B windows, M segments of S samples, D channels, K filters, U hidden units per direction, C classes.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..draws import read_samples
from ..models import RCNN
from ..paper import DROPOUT
from .kernels import Convolution, lstm


class RCNNStack:
    """E RCNNs of one shape with a leading member axis: the same mathematics, trained in one pass.

    All live weights are columns of one matrix `flat` (E, P), so that an optimiser step is a few operations on it.
    """

    def __init__(self, models: list[RCNN], device: torch.device | str = "cpu"):
        self.templates = models
        self.segment = models[0].segment
        (kernel,), (self.stride,) = models[0].convs[0].kernel_size, models[0].convs[0].stride
        self.samples = read_samples(self.segment, kernel, self.stride, len(models[0].convs))
        named = [dict(m.named_parameters()) for m in models]
        self.names = [name for name in named[0] if not name.startswith("phantom")]
        self.shapes = [named[0][name].shape for name in self.names]
        self.flat = torch.stack([torch.cat([p[name].detach().flatten() for name in self.names]) for p in named]).to(
            device
        )

    def __len__(self) -> int:
        return len(self.templates)

    def __getitem__(self, i: int) -> RCNN:
        """Member i as an RCNN of its own, on the CPU."""
        return self.member(i, self.flat[i])

    def member(self, i: int, weights: Tensor) -> RCNN:
        """An RCNN like member i with the given row of `flat`."""
        model = copy.deepcopy(self.templates[i]).cpu()
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            pieces = weights.detach().cpu().split([s.numel() for s in self.shapes])
            for name, piece in zip(self.names, pieces, strict=True):
                parameters[name].copy_(piece.view_as(parameters[name]))
        return model

    def unflatten(self, flat: Tensor) -> dict[str, Tensor]:
        """Named weights (E, *shape) from `flat` (E, P); differentiable."""
        pieces = flat.split([s.numel() for s in self.shapes], dim=1)
        return {n: p.reshape(-1, *s) for n, p, s in zip(self.names, pieces, self.shapes, strict=True)}

    def forward(
        self, w: dict[str, Tensor], x: Sequence[Tensor], masks: list[Sequence[Tensor]] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Windows x, (B, M, S, D) for each of E members -> log attention (E, B, M), logits (E, B, C); w of `unflatten`.

        masks: after each convolution and for each member what dropout keeps, (B, M, S', K) of 0 and 1 with S' as
        `mask_shapes` gives; None for evaluation. Members may share a tensor of x or of masks. Segments may come
        without the samples that are never read (`read_samples`).
        """
        b, m = x[0].shape[:2]
        convolve = self._convolve if x[0].is_cpu else self._convolve_batched
        h = convolve(w, x, masks)  # (E, B*M, K), Eq. 1
        # From here on windows come last: there are more of them than units, classes or segments, and the library is
        # quick along a long last axis.
        h = h.view(len(h), b, m, -1).permute(2, 0, 3, 1)  # (M, E, K, B)
        q = self._bilstm(h, w)  # (M, E, 2U, B)
        log_a = F.log_softmax((w["attention.weight"].mT * q).sum(2), dim=0)  # (M, E, B), Eq. 2
        g = (log_a.exp().unsqueeze(2) * q).sum(0)  # (E, 2U, B), Eq. 3
        logits = torch.baddbmm(w["dense.bias"].unsqueeze(-1), w["dense.weight"], g)  # (E, C, B), Eq. 4
        return log_a.permute(1, 2, 0), logits.mT

    def _blocks(self, h: Tensor, samples: int) -> Tensor:
        """(..., N, S, D) -> (..., N, samples/stride, stride*D): neighbouring samples side by side.

        The kernel is a whole number r of strides, so the strided convolution is one of kernel r and stride 1 on these.
        """
        return h[..., :samples, :].reshape(*h.shape[:-2], samples // self.stride, self.stride * h.shape[-1])

    def _kernels(self, w: dict[str, Tensor], i: int, gain: float) -> Tensor:
        """Weights of convolution i for blocks, (E, K, r, stride*D)."""
        weight = w[f"convs.{i}.weight"] * gain if i else w[f"convs.{i}.weight"]  # (E, K, D, r*stride)
        e, k, d, kernel = weight.shape
        return weight.view(e, k, d, -1, self.stride).permute(0, 1, 3, 4, 2).reshape(e, k, kernel // self.stride, -1)

    def _convolve(self, w: dict[str, Tensor], x: Sequence[Tensor], masks: list[Sequence[Tensor]] | None) -> Tensor:
        """All convolutions and the mean over time, (E, B*M, K), one member after the other.

        On a CPU the library's convolution (channels last, blocks in place of strides) is far quicker than batched
        products, and one member's arrays stay in the cache from one pass to the next; see benchmarks/.
        """
        gain = 1.0 if masks is None else 1 / (1 - DROPOUT)  # dropout's 1/(1-p), put where the tensors are small
        last = len(self.samples) - 2
        kernels = [self._kernels(w, i, gain).unsqueeze(2).permute(0, 1, 4, 2, 3).unbind() for i in range(last + 1)]
        biases = [w[f"convs.{i}.bias"].unbind() for i in range(last + 1)]
        pooled = []
        for e, h in enumerate(x):
            h = h.flatten(0, 1)  # (B*M, S, D)
            for i in range(last + 1):
                mask = None if masks is None else masks[i][e]
                h = self._blocks(h, self.samples[i])
                h = Convolution.apply(h, kernels[i][e], biases[i][e], mask, i == last)
            pooled.append(h)
        return torch.stack(pooled) * gain

    def _convolve_batched(
        self, w: dict[str, Tensor], x: Sequence[Tensor], masks: list[Sequence[Tensor]] | None
    ) -> Tensor:
        """The same as `_convolve` with all members in one product: few kernels to launch, as a GPU likes it."""
        gain = 1.0 if masks is None else 1 / (1 - DROPOUT)
        h = x if isinstance(x, Tensor) else torch.stack(list(x))
        h = h.flatten(1, 2)  # (E, B*M, S, D)
        for i in range(len(self.samples) - 1):
            kernels = self._kernels(w, i, gain)  # (E, K, r, stride*D)
            e, k, r, d = kernels.shape
            h = self._blocks(h, self.samples[i])  # (E, N, blocks, stride*D)
            out = h.shape[2] - r + 1
            # Each block times all r pieces of the kernel in one product, then the pieces shifted and added.
            pieces = (h.flatten(1, 2) @ kernels.permute(0, 3, 2, 1).flatten(2)).view(*h.shape[:3], r, k)
            h = sum(pieces[:, :, j : j + out, j] for j in range(r)) + w[f"convs.{i}.bias"][:, None, None]
            h = F.relu(h)  # (E, N, S', K)
            if masks is not None:
                mask = masks[i] if isinstance(masks[i], Tensor) else torch.stack(list(masks[i]))
                h = h * mask.view(h.shape)
        return h.mean(2) * gain

    def _bilstm(self, h: Tensor, w: dict[str, Tensor]) -> Tensor:
        """(M, E, K, B) -> (M, E, 2U, B): both directions step together, the second on reversed time."""
        w_ih, w_hh, b_ih, b_hh = (
            torch.stack([w[f"lstm.{name}_l0"], w[f"lstm.{name}_l0_reverse"]]).flatten(0, 1)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )  # each (2E, 4U, ...)
        both = torch.stack([h, h.flip(0)], 1).flatten(1, 2)  # (M, 2E, K, B)
        states = lstm(both, w_ih, w_hh, b_ih + b_hh).unflatten(1, (2, -1))  # (M, 2, E, U, B)
        return torch.cat([states[:, 0], states[:, 1].flip(0)], 2)
