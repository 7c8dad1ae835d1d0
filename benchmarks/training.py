"""Milliseconds per model and step: an ordinary PyTorch loop against `training.fit`, interleaved in one run.

Data are random numbers in memory: only time matters. The plain loop trains one `RCNN` with its own dropout and
torch.optim.Adam. It is measured as people run it: alone on all threads, and, which is harder to beat, one loop on each
core with one thread. `fit` is measured likewise: one call on all threads, and one call on each core with one thread, as
`make reproduce` runs notebooks. The comparison leans to the plain loop: its windows lie standardised and ready in
memory, it neither validates nor keeps the best weights (the stack's time has both).

`share_of_sgemm` is the useful work of the convolutions in a step, over the stack's time, over the rate of a large
torch.mm in this run: what the stack would reach if it did nothing but convolve. Useful are the forward product and
the gradient of the weights of every convolution, and the gradient of the input of the second one only; outputs that
nothing reads do not count. A share above 1 is possible: on some CPUs oneDNN's convolutions use wider vectors (AVX-512)
than the machine's sgemm (MKL) does, so sgemm is a yardstick and not a ceiling.
"""

import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

from rdpd_nb import training
from rdpd_nb.data import SPECS, Spec, Windows
from rdpd_nb.draws import read_samples
from rdpd_nb.engine.kernels import Convolution
from rdpd_nb.knowledge import Knowledge, knowledge_fingerprint
from rdpd_nb.losses import member_loss
from rdpd_nb.models import RCNN
from rdpd_nb.paper import BATCH_SIZE, LEARNING_RATE, METHODS

MODELS = (
    ("pamap2", "all", (10,)), ("pamap2", "wrist", (10, 50)),
    ("ptbdb", "all", (10,)), ("ptbdb", "lead_i", (10, 50)),
    ("mimic3", "all", (10,)), ("mimic3", "hr", (10, 50)),
)  # fmt: skip
STEPS, VALIDATION = 12, 128  # a real run has 60 to 110 steps an epoch, and a validation window for about 12 to train on
EPOCHS = {"pamap2": 2, "ptbdb": 1, "mimic3": 6}  # timed at a stretch: fewer where a step is long
REPEATS = 5
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def random_windows(spec: Spec, view: str, count: int) -> Windows:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((count, spec.length, len(spec.views[view])), np.float32)
    return Windows.from_arrays(
        spec, x, rng.integers(0, len(spec.classes), count), np.arange(count), view=view, source="simulated"
    )


def made_up(dataset: str, view: str) -> tuple[Windows, np.ndarray, Knowledge | None]:
    """Windows, those to train on, and, for a student, what a teacher might have said of them."""
    spec, rng = SPECS[dataset], np.random.default_rng(1)
    train = np.arange(STEPS * BATCH_SIZE)
    windows = random_windows(spec, view, len(train) + VALIDATION)
    if view == "all":
        return windows, train, None
    soft, attention = (
        rng.dirichlet(np.ones(n), len(train)).astype(np.float32) for n in (len(spec.classes), spec.segments)
    )
    return windows, train, Knowledge(train, soft, attention, spec.temperature, knowledge_fingerprint(windows, train))


def plain_steps(windows: Windows, train: np.ndarray, knowledge: Knowledge | None, epochs: int) -> Callable[[], float]:
    """A function that trains one model for `epochs` passes over `train` and returns milliseconds a step."""
    x, y = torch.from_numpy(windows[train]), torch.from_numpy(windows.label[train])
    taught = [torch.from_numpy(k) for k in (knowledge.soft_labels, knowledge.attention)] if knowledge else None
    model, terms = RCNN(windows.spec, windows.view).train(), METHODS["rdpd" if knowledge else "teacher"].terms
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE)  # foreach and fused as PyTorch chooses
    settings = {"combine": model.combine, "temperature": windows.spec.temperature}

    def some_passes() -> float:
        began = time.perf_counter()
        for _ in range(epochs):
            for batch in torch.randperm(len(train)).split(BATCH_SIZE):
                log_a, logits = model(x[batch])
                known = [rows[batch] for rows in taught] if taught else None
                loss = member_loss(terms, log_a, logits, y[batch], taught=known, **settings)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return (time.perf_counter() - began) / (epochs * STEPS) * 1e3

    return some_passes


def stack_steps(
    windows: Windows, train: np.ndarray, knowledge: Knowledge | None, epochs: int, members: int, device: str = "cpu"
) -> Callable[[], float]:
    """The same for `fit`: milliseconds a step and member, of the epochs after each fit's first."""
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

        training.fit(team, windows, 1 + epochs, device, progress=note)
        return (marks[-1] - marks[0]) / (epochs * STEPS * members) * 1e3

    return one_fit


def medians(runs: list[Callable[[], float]], before: Callable[[], object] = lambda: None) -> list[float]:
    """Of REPEATS times of each, one after the other: drift hits all alike. `before` is called before each."""
    runs[0]()  # warm up; `fit` is measured from its second epoch on
    times = np.array([[(before(), run())[1] for run in runs] for _ in range(REPEATS)])
    return [float(statistics.median(column)) for column in times.T]


def one_core(dataset: str, view: str, barrier, results) -> None:
    """What one of the processes does that have a core each: plain loop and stack of 10, all in step."""
    torch.set_num_threads(1)
    windows, train, knowledge = made_up(dataset, view)
    settings = windows, train, knowledge, EPOCHS[dataset]
    results.put(medians([plain_steps(*settings), stack_steps(*settings, 10)], barrier.wait))


def on_each_core(dataset: str, view: str) -> tuple[float, float]:
    """Milliseconds of the machine per model and step: a plain loop on each core, and a fit of 10 on each core."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(CORES), context.Queue()
    processes = [context.Process(target=one_core, args=(dataset, view, barrier, results)) for _ in range(CORES)]
    for process in processes:
        process.start()
    plain, stack = zip(*(results.get() for _ in processes), strict=True)
    for process in processes:
        process.join()
    return statistics.mean(plain) / CORES, statistics.mean(stack) / CORES


def measure(dataset: str, view: str, sizes: tuple[int, ...]) -> list[dict]:
    """A row for each size of stack.

    `ratio` is against one plain loop on all threads, `ratio_per_core` against a plain loop on each core (the harder),
    and `ratio_of_notebooks` compares a fit on each core with a plain loop on each core.
    """
    settings = *made_up(dataset, view), EPOCHS[dataset]
    plain, *stacked = medians([plain_steps(*settings), *(stack_steps(*settings, size) for size in sizes)])
    plain_per_core, stack_per_core = on_each_core(dataset, view)
    work = sum(convolution_flops(SPECS[dataset], view)) / 1e9
    rows = []
    for size, ms in zip(sizes, stacked, strict=True):
        row = {"dataset": dataset, "view": view, "members": size, "plain_ms": plain, "stack_ms": ms}
        row |= {"ratio": plain / ms, "plain_per_core_ms": plain_per_core, "ratio_per_core": plain_per_core / ms}
        if size == 10:
            row |= {"stack_per_core_ms": stack_per_core, "ratio_of_notebooks": plain_per_core / stack_per_core}
        rows.append(row | {"convolution_gflop": work})
    return rows


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

    Forward and backward of engine.kernels.Convolution; ReLU and the mean over time are in the time, not in the work.
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
        shape = Convolution.apply(h, weight, bias, None, last).shape
        grad = torch.randn(shape)

        def step() -> None:
            torch.autograd.grad(Convolution.apply(h, weight, bias, None, last), (weight, bias), grad)

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
    print("ms per model and step   members   plain  per core   stack   ratio  per core  notebooks  sgemm", flush=True)
    rows = []
    for model in MODELS:
        for row in measure(*model):
            row["share_of_sgemm"] = row["convolution_gflop"] / (row["stack_ms"] / 1e3) / sgemm
            rows.append(row)
            notebooks = f"{row['ratio_of_notebooks']:8.2f}x" if "ratio_of_notebooks" in row else " " * 9
            print(
                f"{label(row):21s} {row['members']:9d} {row['plain_ms']:7.2f} {row['plain_per_core_ms']:9.2f}"
                f" {row['stack_ms']:7.2f} {row['ratio']:6.2f}x {row['ratio_per_core']:8.2f}x {notebooks}"
                f" {row['share_of_sgemm']:6.2f}",
                flush=True,
            )
    of_ten = [row for row in rows if row["members"] == 10]
    means = {name: statistics.geometric_mean(row[name] for row in of_ten) for name in RATIOS}
    print("geometric means of the six models with 10 members:")
    for name, words in RATIOS.items():
        print(f"  {means[name]:.2f}x  {words}")
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}",
        "sgemm_gflops": sgemm,
        "geometric_means": means,
        "one_thread_convolution": alone,
        "rows": rows,
    }


RATIOS = {
    "ratio": "one fit on all threads, against one plain loop on all threads",
    "ratio_per_core": "one fit on all threads, against a plain loop on each core",
    "ratio_of_notebooks": "a fit on each core, as `make reproduce` runs notebooks, against a plain loop on each core",
}


if __name__ == "__main__":
    benchmark()
