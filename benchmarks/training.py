"""Milliseconds per model and step: an ordinary PyTorch loop against the stack, interleaved in one run.

Data are random numbers in memory: only time matters. The plain loop trains one model with nn.Conv1d, nn.LSTM,
nn.Dropout and torch.optim.Adam, on all threads. The stack trains E members at once with rdpd_nb.training.fit. The
comparison leans to the plain loop: its windows lie standardised and ready in memory, it neither validates nor keeps
the best weights (the stack's time has both), and it gains from the allocator setting that `fit` leaves behind.

`share_of_sgemm` is the useful work of the convolutions in a step, over the stack's time, over the rate of a large
torch.mm in this run: what the stack would reach if it did nothing but convolve. Useful are the forward product and
the gradient of the weights of every convolution, and the gradient of the input of the second one only; outputs that
nothing reads do not count. A share above 1 is possible: on some CPUs oneDNN's convolutions use wider vectors (AVX-512)
than the machine's sgemm (MKL) does, so sgemm is a yardstick and not a ceiling.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from rdpd_nb import losses, training
from rdpd_nb.data import SPECS, Spec, Windows
from rdpd_nb.models import _Convolution, read_samples
from rdpd_nb.paper import BATCH_SIZE, DROPOUT, LEARNING_RATE, METHODS

MODELS = (
    ("pamap2", "all", (10,)), ("pamap2", "wrist", (10, 50)),
    ("ptbdb", "all", (10,)), ("ptbdb", "lead_i", (10, 50)),
    ("mimic3", "all", (10,)), ("mimic3", "hr", (10, 50)),
)  # fmt: skip
STEPS, VALIDATION = 12, 128  # a real run has 60 to 110 steps an epoch, and a validation window for about 12 to train on
EPOCHS = {"pamap2": 2, "ptbdb": 1, "mimic3": 6}  # timed at a stretch: fewer where a step is long
REPEATS = 5


class PlainRCNN(nn.Module):
    """The model as one would write it without a thought for speed or for stacks."""

    def __init__(self, spec: Spec, view: str):
        super().__init__()
        size, channels = spec.size(view), len(spec.views[view])
        layers: list[nn.Module] = []
        for filters in size.filters:
            layers += [nn.Conv1d(channels, filters, spec.kernel, spec.stride), nn.ReLU(), nn.Dropout(DROPOUT)]
            channels = filters
        self.segments, self.segment = spec.segments, spec.segment
        self.convolutions = nn.Sequential(*layers)
        self.lstm = nn.LSTM(channels, size.hidden, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(2 * size.hidden, 1, bias=False)
        self.dense = nn.Linear(2 * size.hidden, len(spec.classes))
        self.combine = nn.Parameter(torch.tensor([0.5, 0.5, 0.0]))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (B, M, D, S) -> (B, M), (B, C)
        h = self.convolutions(x.flatten(0, 1)).mean(-1).view(len(x), self.segments, -1)
        q, _ = self.lstm(h)
        log_a = self.attention(q).squeeze(-1).log_softmax(-1)
        return log_a, self.dense((log_a.exp().unsqueeze(-1) * q).sum(1))


def random_windows(spec: Spec, view: str, count: int) -> Windows:
    rng = np.random.default_rng(0)
    rows = count * spec.hop + spec.length
    return Windows(
        spec, "simulated", view,
        series=rng.standard_normal((rows, len(spec.views[view])), np.float32),
        start=np.arange(count) * spec.hop, label=rng.integers(0, len(spec.classes), count),
        recording=np.zeros(count, np.int64), recording_rows=np.array([[0, rows]]), recording_subject=np.array([1]),
        recording_part=np.array([""]), ledger=[], statistics={}, fingerprint="random",
    )  # fmt: skip


def plain_steps(
    spec: Spec, view: str, windows: Windows, train: np.ndarray, knowledge: training.Knowledge | None, epochs: int
) -> Callable[[], float]:
    """A function that trains a plain model for `epochs` passes over `train` and returns milliseconds a step."""
    x = torch.from_numpy(windows[train]).view(len(train), spec.segments, spec.segment, -1).transpose(2, 3).contiguous()
    y, model = torch.from_numpy(windows.label[train]), PlainRCNN(spec, view)
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE)  # foreach and fused as PyTorch chooses
    terms = METHODS["rdpd" if knowledge else "teacher"].terms
    soft, attention = (
        (torch.from_numpy(k) for k in (knowledge.soft_labels, knowledge.attention)) if knowledge else (None, None)
    )

    def some_passes() -> float:
        began = time.perf_counter()
        for _ in range(epochs):
            for batch in torch.randperm(len(train)).split(BATCH_SIZE):
                log_a, logits = model(x[batch])
                known = {"p_teacher": soft[batch], "a_teacher": attention[batch]} if knowledge else {}
                rows = losses.loss_terms(
                    terms,
                    logits=logits,
                    log_attention=log_a,
                    combine=model.combine,
                    y=y[batch],
                    temperature=spec.temperature,
                    **known,
                )
                optimiser.zero_grad()
                sum(rows.values()).mean().backward()
                optimiser.step()
        return (time.perf_counter() - began) / (epochs * STEPS) * 1e3

    return some_passes


def stack_steps(
    windows: Windows, train: np.ndarray, members: int, knowledge: training.Knowledge | None, epochs: int
) -> Callable[[], float]:
    """The same for a stack: milliseconds a step and member, of the epochs after each fit's first."""
    validation = np.arange(len(train), len(train) + VALIDATION)
    channels = len(windows.channels)
    mean, std = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    method = "rdpd" if knowledge else "teacher"
    team = [training.Member(seed, method, train, validation, mean, std, knowledge) for seed in range(members)]

    def one_fit() -> float:
        marks: list[float] = []

        def note(line: str) -> None:  # `fit` says a line after the first epoch and after the last
            if line.startswith("epoch "):
                marks.append(time.perf_counter())

        training.fit(team, windows, 1 + epochs, "cpu", progress=note)
        return (marks[-1] - marks[0]) / (epochs * STEPS * members) * 1e3

    return one_fit


def measure(dataset: str, view: str, sizes: tuple[int, ...]) -> list[dict]:
    """Both loops on one model, one after the other, REPEATS times; medians, and a row for each size of stack."""
    spec, epochs, rng = SPECS[dataset], EPOCHS[dataset], np.random.default_rng(1)
    train = np.arange(STEPS * BATCH_SIZE)
    windows = random_windows(spec, view, len(train) + VALIDATION)
    knowledge = None
    if view != "all":
        soft, attention = (
            rng.dirichlet(np.ones(n), len(train)).astype(np.float32) for n in (len(spec.classes), spec.segments)
        )
        mark = training.knowledge_fingerprint(windows, train)
        knowledge = training.Knowledge(train, soft, attention, spec.temperature, mark)
    runs = [plain_steps(spec, view, windows, train, knowledge, epochs)]
    runs += [stack_steps(windows, train, size, knowledge, epochs) for size in sizes]
    runs[0]()  # warm up; `fit` is measured from its second epoch on
    times = np.array([[run() for run in runs] for _ in range(REPEATS)])  # interleaved: drift hits all alike
    plain, *stacked = (statistics.median(column) for column in times.T)
    work = sum(convolution_flops(spec, view)) / 1e9
    return [
        {"dataset": dataset, "view": view, "members": size, "plain_ms": plain, "stack_ms": ms, "ratio": plain / ms,
         "convolution_gflop": work}
        for size, ms in zip(sizes, stacked, strict=True)
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------- against the machine


def convolution_flops(spec: Spec, view: str) -> list[int]:
    """Useful floating-point operations of each convolution in a training step of one model."""
    filters = spec.size(view).filters
    widths = (len(spec.views[view]), *filters)
    samples = read_samples(spec.segment, spec.kernel, spec.stride, len(filters))
    flops = []
    for i, k in enumerate(filters):
        product = 2 * BATCH_SIZE * spec.segments * samples[i + 1] * k * widths[i] * spec.kernel
        flops.append(product * (3 if i else 2))  # forward, weights' gradient; the input has a gradient only inside
    return flops


def fastest(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest of some runs, after one to warm up: a peak is what the machine can do undisturbed."""
    run()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)


def sgemm_gflops(n: int = 2048) -> float:
    """This machine's rate in a large single-precision matrix product."""
    a, b = torch.randn(n, n), torch.randn(n, n)
    return 2 * n**3 / fastest(lambda: torch.mm(a, b), 8) / 1e9


def one_thread_convolution(dataset: str = "pamap2", view: str = "all") -> dict:
    """The stack's first convolution alone, of one member in one thread as in `fit`: its rate beside sgemm's there.

    Forward and backward of models._Convolution; ReLU and the mean over time are in the time, not in the work.
    """
    spec = SPECS[dataset]
    kernel, stride, filters = spec.kernel // spec.stride, spec.stride, spec.size(view).filters
    width, last = stride * len(spec.views[view]), len(filters) == 1
    samples = read_samples(spec.segment, spec.kernel, stride, len(filters))
    h = torch.randn(BATCH_SIZE * spec.segments, samples[0] // stride, width)
    weight = torch.randn(filters[0], kernel, 1, width).permute(0, 3, 2, 1).requires_grad_()  # channels last
    bias = torch.zeros(filters[0], requires_grad=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        shape = _Convolution.apply(h, weight, bias, None, last).shape
        grad = torch.randn(shape)

        def step() -> None:
            torch.autograd.grad(_Convolution.apply(h, weight, bias, None, last), (weight, bias), grad)

        rate = convolution_flops(spec, view)[0] / fastest(step, 40) / 1e9
        sgemm = sgemm_gflops()
    finally:
        torch.set_num_threads(threads)
    return {"dataset": dataset, "view": view, "gflops": rate, "sgemm_gflops": sgemm, "share_of_sgemm": rate / sgemm}


# ---------------------------------------------------------------------------------------------------- everything


def label(row: dict) -> str:
    spec = SPECS[row["dataset"]]
    return f"{spec.title} {'teacher' if row['view'] == 'all' else spec.view_titles[row['view']]}"


def benchmark() -> dict:
    """Measure everything, say a line a row, and return what goes into results.json."""
    sgemm = sgemm_gflops()
    alone = one_thread_convolution()
    print(f"matrix product (sgemm): {sgemm:.0f} GFLOP/s on all threads, {alone['sgemm_gflops']:.0f} on one")
    print(
        f"{label(alone)}, convolution alone on one thread: {alone['gflops']:.0f} GFLOP/s,"
        f" {alone['share_of_sgemm']:.2f} of sgemm there\n"
    )
    print("ms per model and step   members   plain loop     stack    ratio   share of sgemm", flush=True)
    rows = []
    for model in MODELS:
        for row in measure(*model):
            row["share_of_sgemm"] = row["convolution_gflop"] / (row["stack_ms"] / 1e3) / sgemm
            rows.append(row)
            print(
                f"{label(row):21s} {row['members']:9d} {row['plain_ms']:12.2f} {row['stack_ms']:9.2f}"
                f" {row['ratio']:7.2f}x {row['share_of_sgemm']:16.2f}",
                flush=True,
            )
    ratios = {f"{r['dataset']}/{r['view']}": r["ratio"] for r in rows if r["members"] == 10}
    mean = statistics.geometric_mean(ratios.values())
    print(f"geometric mean of the six models with 10 members: {mean:.2f}x")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}",
        "sgemm_gflops": sgemm,
        "ratios": ratios,
        "geometric_mean_ratio": mean,
        "one_thread_convolution": alone,
        "rows": rows,
    }


if __name__ == "__main__":
    benchmark()
