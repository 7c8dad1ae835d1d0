"""The model of the paper (Eq. 1-5): `RCNN`, to be read, and `RCNNStack`, many RCNNs trained at once.

Shapes: B windows, M segments of S samples, D channels, K filters, U hidden units per direction, C classes,
E members of a stack.
"""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .paper import DROPOUT, Spec


class RCNN(nn.Module):
    """Convolution on each segment, BiLSTM over segments, attention, dense (Eq. 1-5).

    `size.phantom` allocates a second convolution that the forward pass never uses: only so do the parameter counts
    equal Table 5. `combine` holds w1, w2, b of Eq. 13. The same seed gives the same weights.
    """

    def __init__(self, spec: Spec, view: str, seed: int = 0):
        super().__init__()
        size = spec.size(view)
        self.segment = spec.segment
        widths = (len(spec.views[view]), *size.filters)
        with torch.random.fork_rng(devices=[]):  # leave the caller's random numbers (of the CPU) as they are
            torch.manual_seed(seed)
            self.convs = nn.ModuleList(
                nn.Conv1d(d, k, spec.kernel, spec.stride) for d, k in zip(widths, widths[1:], strict=False)
            )
            self.lstm = nn.LSTM(widths[-1], size.hidden, batch_first=True, bidirectional=True)
            self.attention = nn.Linear(2 * size.hidden, 1, bias=False)  # W of Eq. 2
            self.dense = nn.Linear(2 * size.hidden, len(spec.classes))  # W_d of Eq. 4, with bias
            self.combine = nn.Parameter(torch.tensor([0.5, 0.5, 0.0]))  # w1, w2, b of Eq. 13
            self.phantom = nn.Conv1d(widths[-1], size.phantom, spec.kernel) if size.phantom else None
            for layer in (*self.convs, self.attention, self.dense):
                nn.init.xavier_uniform_(layer.weight)
            for conv in self.convs:
                nn.init.zeros_(conv.bias)

    def forward(self, x: Tensor, masks: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Windows x (B, l, D) -> log attention (B, M) and logits (B, C): Eq. 5 with log A for A.

        masks: what dropout keeps after each convolution, (B, M, S', K) of 0 and 1 (`mask_shapes`); without them
        dropout draws its own in training mode.
        """
        b, length, d = x.shape
        m = length // self.segment
        h = x.reshape(b * m, self.segment, d).transpose(1, 2)  # (B*M, D, S)
        for i, conv in enumerate(self.convs):
            h = F.relu(conv(h))  # (B*M, K, S')
            if masks is None:
                h = F.dropout(h, DROPOUT, self.training)
            else:
                mask = masks[i].flatten(0, 1).transpose(1, 2)  # (B*M, K, S'), without samples that nothing reads
                h = h[..., : mask.shape[-1]] * mask / (1 - DROPOUT)
        h = h.mean(-1).reshape(b, m, -1)  # (B, M, K), mean pooling: Eq. 1
        q, _ = self.lstm(h)  # (B, M, 2U)
        log_a = F.log_softmax(self.attention(q).squeeze(-1), dim=-1)  # (B, M), Eq. 2
        g = torch.einsum("bm,bmu->bu", log_a.exp(), q)  # (B, 2U), Eq. 3
        return log_a, self.dense(g)  # Eq. 4

    def count(self) -> dict[str, int]:
        """Parameters allocated (Table 5) and live (used in the forward pass or the loss)."""
        allocated = sum(p.numel() for p in self.parameters())
        unused = sum(p.numel() for p in self.phantom.parameters()) if self.phantom else 0
        return {"allocated": allocated, "live": allocated - unused}


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


class _Convolution(torch.autograd.Function):
    """Convolution, ReLU and dropout of one member, channels last, and the mean over time where `pool`.

    The same as autograd's, with fewer passes over memory: ReLU and dropout work in place, and one comparison with
    their result (0 wherever either was 0) is the gradient of both.
    """

    @staticmethod
    def forward(ctx, h: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None, pool: bool) -> Tensor:
        # h (N, blocks, D), weight (K, D, 1, r) -> (N, S', K), or (N, K) where pooled
        y = F.conv2d(_image(h), weight, bias).squeeze(2).mT.relu_()  # (N, S', K)
        if mask is not None:
            y.mul_(mask.view(y.shape))
        ctx.save_for_backward(h, weight, y)
        ctx.pool = pool
        return y.mean(1) if pool else y

    @staticmethod
    def backward(ctx, grad: Tensor):
        h, weight, y = ctx.saved_tensors
        if ctx.pool:
            grad = (grad / y.shape[1]).unsqueeze(1).expand_as(y)
        inner = torch.empty_like(y)
        torch.ops.aten.threshold_backward(grad, y, 0, grad_input=inner)
        grad_h, grad_weight, grad_bias = torch.ops.aten.convolution_backward(
            _image(inner), _image(h), weight, [len(weight)], [1, 1], [0, 0], [1, 1], False, [0, 0], 1,
            [ctx.needs_input_grad[0], True, True],
        )  # fmt: skip
        return grad_h.squeeze(2).mT if ctx.needs_input_grad[0] else None, grad_weight, grad_bias, None, None


def _image(h: Tensor) -> Tensor:
    """(N, L, D) as the (N, D, 1, L) image, channels last, that two-dimensional convolutions work on; no copy."""
    return h.mT.unsqueeze(2)


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
        q = self._bilstm(h.view(len(h), b, m, -1), w)  # (E, B, M, 2U)
        log_a = F.log_softmax((q @ w["attention.weight"].unsqueeze(1).mT).squeeze(-1), dim=-1)  # Eq. 2
        g = (log_a.exp().unsqueeze(-1) * q).sum(2)  # (E, B, 2U), Eq. 3
        return log_a, torch.baddbmm(w["dense.bias"].unsqueeze(1), g, w["dense.weight"].mT)  # Eq. 4

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
                h = _Convolution.apply(h, kernels[i][e], biases[i][e], mask, i == last)
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
        """(E, B, M, K) -> (E, B, M, 2U): both directions step together, the second on reversed time."""
        e = len(h)
        w_ih, w_hh, b_ih, b_hh = (
            _sigmoids_first(torch.stack([w[f"lstm.{name}_l0"], w[f"lstm.{name}_l0_reverse"]], 1).flatten(0, 1))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )  # each (2E, 4U, ...)
        time_first = h.transpose(1, 2)  # (E, M, B, K)
        both = torch.stack([time_first, time_first.flip(1)], 1).flatten(0, 1)  # (2E, M, B, K)
        states = _LSTM.apply(both, w_ih, w_hh, (b_ih + b_hh).unsqueeze(1)).unflatten(0, (e, 2))  # (E, 2, M, B, U)
        return torch.cat([states[:, 0], states[:, 1].flip(1)], -1).transpose(1, 2)


def _sigmoids_first(weight: Tensor) -> Tensor:
    """(2E, 4U, ...) with PyTorch's gates i, f, g, o in the order i, f, o, g, so that one sigmoid does for three."""
    i, f, g, o = weight.chunk(4, 1)
    return torch.cat([i, f, o, g], 1)


class _LSTM(torch.autograd.Function):
    """One LSTM layer over M steps for N sets of weights at once: (N, M, B, K) -> hidden states (N, M, B, U).

    Gates in the order i, f, o, g: c_t = f c_{t-1} + i g, h_t = o tanh(c_t). Written out because autograd would
    launch three times as many operations for these four small steps.
    """

    @staticmethod
    def forward(ctx, x: Tensor, w_ih: Tensor, w_hh: Tensor, bias: Tensor) -> Tensor:
        # x (N, M, B, K), w_ih (N, 4U, K), w_hh (N, 4U, U), bias (N, 1, 4U)
        n, steps, b, _ = x.shape
        u = w_hh.shape[-1]
        gates = torch.baddbmm(bias, x.flatten(1, 2), w_ih.mT).view(n, steps, b, 4 * u)
        cell, squashed, state = (x.new_empty(n, steps, b, u) for _ in range(3))  # c, tanh(c), h
        for t in range(steps):
            if t:
                gates[:, t].baddbmm_(state[:, t - 1], w_hh.mT)
            gates[:, t, :, : 3 * u].sigmoid_()
            gates[:, t, :, 3 * u :].tanh_()
            i, f, o, g = gates[:, t].chunk(4, -1)  # (N, B, U) each
            torch.mul(i, g, out=cell[:, t])
            if t:
                cell[:, t].addcmul_(f, cell[:, t - 1])
            torch.tanh(cell[:, t], out=squashed[:, t])
            torch.mul(o, squashed[:, t], out=state[:, t])
        ctx.save_for_backward(x, w_ih, w_hh, gates, cell, squashed, state)
        return state

    @staticmethod
    def backward(ctx, grad_state: Tensor):
        x, w_ih, w_hh, gates, cell, squashed, state = ctx.saved_tensors
        n, steps, b, u = state.shape
        grad = torch.empty_like(gates)  # of the gates before sigmoid and tanh
        later = None  # what the cell of step t gets from that of step t + 1
        for t in reversed(range(steps)):
            i, f, o, g = gates[:, t].chunk(4, -1)
            dh = grad_state[:, t]
            if t + 1 < steps:
                dh = torch.baddbmm(dh, grad[:, t + 1], w_hh)
            dc = torch.ops.aten.tanh_backward(dh * o, squashed[:, t])
            if later is not None:
                dc += later
            later = dc * f
            di, df, do, dg = grad[:, t].chunk(4, -1)
            torch.mul(dc, g, out=di)
            torch.mul(dc, cell[:, t - 1], out=df) if t else df.zero_()
            torch.mul(dh, squashed[:, t], out=do)
            torch.mul(dc, i, out=dg)
            sigmoids, inner = gates[:, t, :, : 3 * u], grad[:, t, :, : 3 * u]
            torch.ops.aten.sigmoid_backward(inner, sigmoids, grad_input=inner)
            torch.ops.aten.tanh_backward(dg, g, grad_input=dg)
        rows = grad.flatten(1, 2)  # (N, M*B, 4U)
        return (
            (rows @ w_ih).view_as(x),
            rows.mT @ x.flatten(1, 2),
            rows[:, b:].mT @ state.flatten(1, 2)[:, :-b],  # gates of step t with the state of t - 1
            rows.sum(1, keepdim=True),
        )
