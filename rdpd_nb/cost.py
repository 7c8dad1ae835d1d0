"""What a model costs: its parameters, the work of one window, and the time that takes on this machine."""

import platform
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from .data import SPECS, Spec
from .models import RCNN
from .paper import published


def parameters(spec: Spec, view: str) -> dict[str, int]:
    """`allocated` parameters, as Table 5 counts them, and `live` ones, which the forward pass uses."""
    return RCNN(spec, view).count()


def multiply_adds(spec: Spec, view: str) -> int:
    """Multiplications (each with its addition) in the matrix products of RCNN for one window.

    Biases, activations, pooling and the products of gates with states are not counted.

    Convolutions: M S'_i K_i K_{i-1} kernel. BiLSTM: 2 directions, M steps, 4 gates of U (K + U). Attention: a score and
    a weighted sum of M 2U. Dense: 2U C.
    """
    size, m, samples, width = spec.size(view), spec.segments, spec.segment, len(spec.views[view])
    total = 0
    for filters in size.filters:
        samples = (samples - spec.kernel) // spec.stride + 1
        total += m * samples * filters * width * spec.kernel
        width = filters
    u = size.hidden
    return total + 2 * m * 4 * u * (width + u) + 2 * m * 2 * u + 2 * u * len(spec.classes)


def latency_ms(model: torch.nn.Module, shape: tuple[int, int], repeats: int = 200) -> float:
    """Median time in ms of one forward pass of one window (l, D) on this CPU: evaluation mode, no gradients."""
    model.eval()
    x = torch.zeros(1, *shape)
    seconds = []
    with torch.no_grad():
        for _ in range(repeats + 10):
            began = time.perf_counter()
            model(x)
            seconds.append(time.perf_counter() - began)
    return 1000 * float(np.median(seconds[10:]))  # the first ones warm up


def machine() -> str:
    """The processor's name, as the system gives it."""
    try:
        names = re.findall(r"^model name\s*: (.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:  # not Linux
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def table5_models() -> Iterator[tuple[Spec, str, str]]:
    """Spec, name and view of the six models of Table 5."""
    for dataset in published()["table5_parameters"]:
        spec = SPECS[dataset]
        yield spec, "Teacher", "all"
        yield spec, "RDPD", min(spec.poor_views, key=lambda v: len(spec.views[v]))  # MIMIC-III's has one channel
