"""Milliseconds per model and step: an ordinary PyTorch loop against the stack, interleaved in one run.

`make bench` prints a table and writes benchmarks/results.json. Data are random numbers in memory: only time matters.
The plain loop trains one model with nn.Conv1d, nn.LSTM, nn.Dropout and torch.optim.Adam; the stack trains E members at
once with rdpd_nb.training.fit, validation (64 windows a member) and keeping the best weights included.
"""

import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rdpd_nb import losses, training
from rdpd_nb.data.windows import Windows
from rdpd_nb.files import replace_file
from rdpd_nb.paper import BATCH_SIZE, DROPOUT, LEARNING_RATE, METHODS, SPECS, Spec

MODELS = (
    ("pamap2", "all", (10,)), ("pamap2", "wrist", (10, 50)),
    ("ptbdb", "all", (10,)), ("ptbdb", "lead_i", (10, 50)),
    ("mimic3", "all", (10,)), ("mimic3", "hr", (10, 50)),
)  # fmt: skip
STEPS, EPOCHS, REPEATS, VALIDATION = 6, 3, 5, 64


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
        spec.name, "simulated", view,
        series=rng.standard_normal((rows, len(spec.views[view])), np.float32),
        start=np.arange(count) * spec.hop, label=rng.integers(0, len(spec.classes), count),
        recording=np.zeros(count, np.int64), recording_rows=np.array([[0, rows]]), recording_subject=np.array([1]),
        recording_part=np.array([""]), ledger=[], statistics={}, fingerprint="random",
    )  # fmt: skip


def plain_steps(spec: Spec, view: str, windows: Windows, train: np.ndarray, knowledge: training.Knowledge | None):
    """A function that trains a plain model for one pass over `train` and returns milliseconds a step."""
    x = torch.from_numpy(windows[train]).view(len(train), spec.segments, spec.segment, -1).transpose(2, 3).contiguous()
    y, model = torch.from_numpy(windows.label[train]), PlainRCNN(spec, view)
    optimiser = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    terms = METHODS["rdpd" if knowledge else "teacher"].terms
    soft, attention = (
        (torch.from_numpy(k) for k in (knowledge.soft_labels, knowledge.attention)) if knowledge else (None, None)
    )

    def one_pass() -> float:
        began = time.perf_counter()
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
        return (time.perf_counter() - began) / STEPS * 1e3

    return one_pass


def stack_steps(windows: Windows, train: np.ndarray, members: int, knowledge: training.Knowledge | None):
    """The same for a stack: milliseconds a step and member, without the first epoch of each fit."""
    validation = np.arange(len(train), len(train) + VALIDATION)
    channels = len(windows.channels)
    mean, std = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    method = "rdpd" if knowledge else "teacher"
    team = [training.Member(seed, method, train, validation, mean, std, knowledge) for seed in range(members)]

    def one_fit() -> float:
        marks: list[float] = []
        training.fit(team, windows, EPOCHS, "cpu", progress=lambda _: marks.append(time.perf_counter()))
        return (marks[-1] - marks[0]) / ((EPOCHS - 1) * STEPS * members) * 1e3

    return one_fit


def measure(dataset: str, view: str, sizes: tuple[int, ...]) -> list[dict]:
    spec, rng = SPECS[dataset], np.random.default_rng(1)
    train = np.arange(STEPS * BATCH_SIZE)
    windows = random_windows(spec, view, len(train) + VALIDATION)
    knowledge = None
    if view != "all":
        soft, attention = (
            rng.dirichlet(np.ones(n), len(train)).astype(np.float32) for n in (len(spec.classes), spec.segments)
        )
        mark = training.knowledge_fingerprint(windows, train)
        knowledge = training.Knowledge(train, soft, attention, spec.temperature, mark)
    runs = [plain_steps(spec, view, windows, train, knowledge)]
    runs += [stack_steps(windows, train, size, knowledge) for size in sizes]
    runs[0]()  # warm up; `fit` is measured from its second epoch on
    times = np.array([[run() for run in runs] for _ in range(REPEATS)])  # interleaved: drift hits all alike
    plain, *stacked = (statistics.median(column) for column in times.T)
    return [
        {"dataset": dataset, "view": view, "members": size, "plain_ms": plain, "stack_ms": ms, "ratio": plain / ms}
        for size, ms in zip(sizes, stacked, strict=True)
    ]


def sgemm_gflops(n: int = 2048) -> float:
    """This machine's rate in a large single-precision matrix product."""
    a = torch.randn(n, n)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - began)
    return 2 * n**3 / statistics.median(times) / 1e9


def main() -> None:
    rows = []
    print("ms per model and step          members   plain loop     stack   ratio")
    for model in MODELS:
        for row in measure(*model):
            rows.append(row)
            print(
                f"{SPECS[row['dataset']].title:10s} {row['view']:15s} {row['members']:9d}"
                f" {row['plain_ms']:12.2f} {row['stack_ms']:9.2f} {row['ratio']:6.2f}x",
                flush=True,
            )
    ratios = {f"{r['dataset']}/{r['view']}": r["ratio"] for r in rows if r["members"] == 10}
    result = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "sgemm_gflops": sgemm_gflops(),
        "ratios": ratios,
        "geometric_mean_ratio": statistics.geometric_mean(ratios.values()),
        "rows": rows,
    }
    print(f"geometric mean of the six models with 10 members: {result['geometric_mean_ratio']:.2f}x")
    with replace_file(Path(__file__).with_name("results.json")) as path:
        path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
