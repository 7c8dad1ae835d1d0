"""The two layers that take a step's time, held equal to PyTorch's by tests.

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


def lstm(x: Tensor, w_ih: Tensor, w_hh: Tensor, bias: Tensor) -> Tensor:
    """One LSTM layer for N sets of weights at once: (M, N, K, B) -> hidden states (M, N, U, B).

    w_ih (N, 4U, K), w_hh (N, 4U, U), bias (N, 4U), gates in PyTorch's order i, f, g, o: c_t = f c_{t-1} + i g,
    h_t = o tanh(c_t). One sigmoid does for all four gates, since tanh(z) = 2 sigmoid(2z) - 1; the library's tanh takes
    ten times as long as its sigmoid.
    """
    units = w_hh.shape[-1]
    double = torch.ones(4 * units, 1, dtype=x.dtype, device=x.device)
    double[2 * units : 3 * units] = 2  # the rows of g
    w_ih, w_hh, bias = w_ih * double, w_hh * double, bias.unsqueeze(-1) * double
    states, cell = [], None
    for step in x:
        z = torch.baddbmm(bias, w_ih, step)  # (N, 4U, B)
        if states:
            z = torch.baddbmm(z, w_hh, states[-1])
        i, f, g, o = z.sigmoid().chunk(4, 1)  # (N, U, B) each
        cell = i * (2 * g - 1) + (f * cell if states else 0)
        states.append(o * (2 * (2 * cell).sigmoid() - 1))
    return torch.stack(states)
