"""The model of the paper (Eq. 1-5). `engine.stack` trains many at once; it is held equal to this one by tests.

Shapes: B windows, M segments of S samples, D channels, K filters, U hidden units per direction, C classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .data.spec import Spec
from .paper import DROPOUT


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
