"""The model of the paper (Eq. 1-5): `RCNN`, to be read, and `RCNNStack`, many RCNNs trained at once.

Shapes: B windows, M segments of S samples, D channels, K filters, U hidden units per direction, C classes,
E members of a stack.
"""

import copy

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

        masks: what dropout keeps after each convolution, (B, M, S', K) of 0 and 1; without them dropout draws its
        own in training mode.
        """
        b, length, d = x.shape
        m = length // self.segment
        h = x.reshape(b * m, self.segment, d).transpose(1, 2)  # (B*M, D, S)
        for i, conv in enumerate(self.convs):
            h = F.relu(conv(h))  # (B*M, K, S')
            if masks is None:
                h = F.dropout(h, DROPOUT, self.training)
            else:
                h = h * masks[i].flatten(0, 1).transpose(1, 2) / (1 - DROPOUT)
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


def mask_shapes(spec: Spec, view: str) -> list[tuple[int, int, int]]:
    """Shape (M, S', K) of one window's dropout mask after each convolution."""
    shapes, samples = [], spec.segment
    for filters in spec.size(view).filters:
        samples = (samples - spec.kernel) // spec.stride + 1
        shapes.append((spec.segments, samples, filters))
    return shapes


class _ShiftSum(torch.autograd.Function):
    """y[..., t, :] = sum over j of P[..., t + j, j, :], the second half of a strided convolution.

    Autograd would allocate one zero-filled gradient of P for each shift; this writes each entry once.
    """

    @staticmethod
    def forward(ctx, p: Tensor) -> Tensor:  # (E, N, blocks, r, K) -> (E, N, S', K)
        blocks, r = p.shape[-3], p.shape[-2]
        ctx.out = out = blocks - r + 1
        y = p[..., :out, 0, :].clone()
        for j in range(1, r):
            y += p[..., j : j + out, j, :]
        ctx.shape = p.shape
        return y

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        r = ctx.shape[-2]
        g = grad.new_zeros(ctx.shape) if r > 1 else grad.new_empty(ctx.shape)
        for j in range(r):
            g[..., j : j + ctx.out, j, :] = grad
        return g


class RCNNStack:
    """E RCNNs of one shape with a leading member axis: the same mathematics, trained in one pass.

    All live weights are columns of one matrix `flat` (E, P), so that an optimiser step is a few operations on it.
    """

    def __init__(self, models: list[RCNN], device: torch.device | str = "cpu"):
        self.templates = models
        self.segment = models[0].segment
        self.stride = models[0].convs[0].stride[0]
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

    def forward(self, w: dict[str, Tensor], x: Tensor, masks: list[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Windows x (E, B, l, D) -> log attention (E, B, M) and logits (E, B, C); w as `unflatten` gives.

        masks: after each convolution what dropout keeps, (E, B, M, S', K) of 0 and 1; None for evaluation.
        """
        e, b, length, d = x.shape
        m = length // self.segment
        h = x.reshape(e, b * m, self.segment, d)
        gain = 1.0 if masks is None else 1 / (1 - DROPOUT)  # dropout's 1/(1-p), put where the tensors are small
        for i in range(len(self.templates[0].convs)):
            weight = w[f"convs.{i}.weight"] * (gain if i else 1.0)
            h = F.relu(self._conv(h, weight, w[f"convs.{i}.bias"]))  # (E, B*M, S', K)
            if masks is not None:
                h = h * masks[i].reshape(h.shape)
        h = h.mean(2) * gain  # (E, B*M, K), Eq. 1
        q = self._bilstm(h.reshape(e, b, m, -1), w)  # (E, B, M, 2U)
        log_a = F.log_softmax((q @ w["attention.weight"].unsqueeze(1).mT).squeeze(-1), dim=-1)  # Eq. 2
        g = (log_a.exp().unsqueeze(-1) * q).sum(2)  # (E, B, 2U), Eq. 3
        return log_a, torch.baddbmm(w["dense.bias"].unsqueeze(1), g, w["dense.weight"].mT)  # Eq. 4

    def _conv(self, h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Strided convolution (E, N, S, D) -> (E, N, S', K) as one product of blocks and a sum of shifts.

        The kernel is a whole number r of strides, so a window of the kernel is r neighbouring blocks of `stride`
        samples: every block is multiplied once with all r pieces of the kernel, then pieces are added shifted.
        """
        e, n, samples, d = h.shape
        k, kernel = weight.shape[1], weight.shape[-1]
        s, r = self.stride, kernel // self.stride
        blocks = (samples - kernel) // s + r
        pieces = weight.reshape(e, k, d, r, s).permute(0, 4, 2, 3, 1).reshape(e, s * d, r * k)
        h = h[:, :, : blocks * s].reshape(e, n * blocks, s * d)
        p = torch.bmm(h, pieces).view(e, n, blocks, r, k)
        return _ShiftSum.apply(p) + bias[:, None, None]

    def _bilstm(self, h: Tensor, w: dict[str, Tensor]) -> Tensor:
        """(E, B, M, K) -> (E, B, M, 2U): both directions step together, the second on reversed time."""
        e, b, m, k = h.shape
        both = [
            (w[f"lstm.{n}_l0"], w[f"lstm.{n}_l0_reverse"]) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        w_ih, w_hh, b_ih, b_hh = (torch.stack(pair, 1) for pair in both)  # each (E, 2, 4U, ...)
        u = w_hh.shape[-1]
        w_ih, w_hh = w_ih.flatten(0, 1), w_hh.flatten(0, 1).mT  # (2E, 4U, K), (2E, U, 4U)
        h = torch.stack([h, h.flip(2)], 1).reshape(2 * e, b * m, k)
        gates = torch.baddbmm((b_ih + b_hh).reshape(2 * e, 1, 4 * u), h, w_ih.mT).view(2 * e, b, m, 4 * u)
        state = cell = None
        states = []
        for gate in gates.unbind(2):  # (2E, B, 4U), one segment after the other
            if state is not None:
                gate = torch.baddbmm(gate, state, w_hh)
            i, f, g, o = gate.chunk(4, dim=-1)
            cell = i.sigmoid() * g.tanh() if cell is None else f.sigmoid() * cell + i.sigmoid() * g.tanh()
            state = o.sigmoid() * cell.tanh()
            states.append(state)
        q = torch.stack(states, 2).view(e, 2, b, m, u)
        return torch.cat([q[:, 0], q[:, 1].flip(2)], dim=-1)
