"""The two layers that take a step's time, each with a gradient of its own: held equal to PyTorch's by tests.

Shapes: N rows or sets of weights, L samples, D channels, K filters, M steps, B windows, U hidden units per direction.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


class Convolution(torch.autograd.Function):
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


class LSTM(torch.autograd.Function):
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


def sigmoids_first(weight: Tensor) -> Tensor:
    """(2E, 4U, ...) with PyTorch's gates i, f, g, o in the order i, f, o, g, so that one sigmoid does for three."""
    i, f, g, o = weight.chunk(4, 1)
    return torch.cat([i, f, o, g], 1)
