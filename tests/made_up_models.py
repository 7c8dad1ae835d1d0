"""Made-up models, windows of any data set and their masks, and a loss: what tests of RCNN and of its stack share."""

import torch

from rdpd_nb.data import SPECS
from rdpd_nb.draws import mask_shapes
from rdpd_nb.losses import member_loss
from rdpd_nb.models import RCNN

# Every data set with every number of channels it is seen through.
FORMS = [
    (dataset, view)
    for dataset, spec in SPECS.items()
    for view in {len(channels): view for view, channels in spec.views.items()}.values()
]


def make_model(dataset: str, view: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> RCNN:
    """An RCNN as it might be in mid-training: no weight, bias or w1, w2, b is at its initial value."""
    model = RCNN(SPECS[dataset], view, seed).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(dtype)
    return model


def make_windows(dataset: str, view: str, *shape: int, seed: int = 0) -> torch.Tensor:
    """Random windows (*shape, l, D)."""
    spec = SPECS[dataset]
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, spec.length, len(spec.views[view]), generator=generator, dtype=torch.float64)


def segments(dataset: str, x: torch.Tensor) -> torch.Tensor:
    """Windows (..., l, D) as segments (..., M, S, D), as a stack wants them."""
    return x.unflatten(-2, (-1, SPECS[dataset].segment))


def make_masks(dataset: str, view: str, *shape: int, seed: int = 0) -> list[torch.Tensor]:
    """Random dropout masks (*shape, M, S', K) of 0 and 1, one a convolution."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(2, (*shape, *one), generator=generator, dtype=torch.uint8)
        for one in mask_shapes(SPECS[dataset], view)
    ]


def rdpd_loss(dataset: str, log_a: torch.Tensor, logits: torch.Tensor, combine: torch.Tensor) -> torch.Tensor:
    """Loss of RDPD with made-up labels and knowledge, the same for every member."""
    spec, rows = SPECS[dataset], logits.shape[-2]
    generator = torch.Generator().manual_seed(7)
    y = torch.randint(len(spec.classes), (rows,), generator=generator).expand(logits.shape[:-1])
    p_teacher = torch.randn(rows, len(spec.classes), generator=generator).softmax(-1).to(logits)
    a_teacher = torch.randn(rows, spec.segments, generator=generator).softmax(-1).to(logits)
    return member_loss(
        ("hard", "soft", "combined", "attention"),
        log_a,
        logits,
        y,
        combine=combine,
        temperature=spec.temperature,
        taught=(p_teacher.expand_as(logits), a_teacher.expand_as(log_a)),
    )
