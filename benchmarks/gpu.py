"""`python benchmarks/gpu.py`: all that is to be known of a GPU, in one command of under 8 minutes.

It needs PyTorch, NumPy, SciPy, scikit-learn and safetensors, nothing else and no package index. It runs the tests
marked `gpu`, times the three forms of the convolution and stacks of 10, 50 and 500 members of the six models, and
trains one table row of paper size; prints tables and writes gpu.json. On a machine without CUDA, `--device cpu
--seconds 60` tries the script itself.
"""

import argparse
import importlib.util
import json
import os
import platform
import sys
import tempfile
import time
import traceback
import types
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import training as bench  # noqa: E402

from rdpd_nb import training  # noqa: E402
from rdpd_nb.data import SPECS  # noqa: E402
from rdpd_nb.draws import dropout_masks, mask_shapes  # noqa: E402
from rdpd_nb.engine.stack import RCNNStack  # noqa: E402
from rdpd_nb.models import RCNN  # noqa: E402
from rdpd_nb.paper import BATCH_SIZE, DROPOUT  # noqa: E402

SIX = [(dataset, view) for dataset, view, _ in bench.MODELS]
ROW = {"dataset": "pamap2", "view": "wrist", "method": "rdpd", "seeds": 10, "epochs": 200, "windows": 13_695}


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


# ------------------------------------------------------------------------------------------------------- tests


def run_tests(device: str) -> dict[str, str]:
    """Outcome of every test marked gpu: by pytest where it is installed, else by the few lines below."""
    if device != "cuda":
        return {}
    if importlib.util.find_spec("pytest"):
        import pytest

        class Outcomes:
            def __init__(self):
                self.found = {}

            def pytest_runtest_logreport(self, report):
                if report.when == "call" or report.outcome != "passed":
                    self.found[report.nodeid.split("::")[-1]] = report.outcome

        plugin = Outcomes()
        pytest.main(["-q", "-m", "gpu", "-p", "no:cacheprovider", str(ROOT / "tests" / "test_gpu.py")], [plugin])
        return plugin.found
    sys.modules["pytest"] = stand_in()
    import test_gpu

    outcomes = {}
    for name, test in list(vars(test_gpu).items()):
        if not name.startswith("test_") or "gpu" not in getattr(test, "marks", ()):
            continue
        for case in getattr(test, "cases", [{}]):
            label = f"{name}[{'-'.join(map(str, case.values()))}]" if case else name
            try:
                with tempfile.TemporaryDirectory() as folder, patches() as patch:
                    given = {"poor": lambda: FIXTURES["poor"](), "monkeypatch": lambda: patch}  # noqa: B023
                    given["tmp_path"] = lambda: Path(folder)  # noqa: B023
                    wanted = test.__code__.co_varnames[: test.__code__.co_argcount]
                    test(**{n: case[n] if n in case else given[n]() for n in wanted})
                outcomes[label] = "passed"
            except Exception:
                traceback.print_exc()
                outcomes[label] = "failed"
            print(f"  {outcomes[label]}  {label}", flush=True)
    return outcomes


FIXTURES: dict = {}


def stand_in() -> types.ModuleType:
    """As much of pytest as tests/test_gpu.py uses."""

    class Mark:
        def __getattr__(self, name):
            def mark(*arguments, **_):
                def on(test):
                    test.marks = (*getattr(test, "marks", ()), name)
                    if name == "parametrize":
                        names, values = arguments
                        names = [names] if isinstance(names, str) else names
                        rows = [value if len(names) > 1 else (value,) for value in values]
                        test.cases = [dict(zip(names, row, strict=True)) for row in rows]
                    return test

                return on(arguments[0]) if arguments and callable(arguments[0]) else on

            return mark

    @contextmanager
    def raises(kind):
        try:
            yield
        except kind:
            return
        raise AssertionError(f"no {kind.__name__}")

    def fixture(*arguments, **_):
        def on(function):
            FIXTURES[function.__name__] = function
            return function

        return on(arguments[0]) if arguments else on

    class Near:
        def __init__(self, value, abs=1e-6):
            self.value, self.tolerance = value, abs

        def __eq__(self, other):
            return abs(other - self.value) <= self.tolerance

    module = types.ModuleType("pytest")
    module.mark, module.raises, module.fixture, module.approx = Mark(), raises, fixture, Near
    return module


@contextmanager
def patches():
    """A monkeypatch whose changes are taken back at the end."""

    class Patch:
        def __init__(self):
            self.before = []

        def setattr(self, owner, name, value):
            self.before.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)

        @contextmanager
        def context(self):
            with patches() as inner:
                yield inner

    patch = Patch()
    try:
        yield patch
    finally:
        for owner, name, value in reversed(patch.before):
            setattr(owner, name, value)


# ------------------------------------------------------------------------------------------------- convolutions


def grouped(stack: RCNNStack, w: dict, x, masks) -> torch.Tensor:
    """The third form: one library convolution with a group a member. Windows (E, B, M, S, D) -> (E, B*M, K)."""
    e, b, m, s, d = x.shape
    h = x.permute(1, 2, 0, 4, 3).reshape(b * m, e * d, s)
    for i in range(len(stack.samples) - 1):
        weight, bias = w[f"convs.{i}.weight"], w[f"convs.{i}.bias"]  # (E, K, D, kernel)
        h = F.relu(F.conv1d(h, weight.flatten(0, 1), bias.flatten(), stack.stride, groups=e))  # (B*M, E*K, S')
        mask = masks[i].permute(1, 2, 0, 4, 3).reshape(b * m, -1, masks[i].shape[3])
        h = h[..., : mask.shape[-1]] * mask / (1 - DROPOUT)
    return h.mean(-1).view(b * m, e, -1).transpose(0, 1)


def convolution_forms(dataset: str, view: str, members: int, device: str) -> dict[str, float]:
    """Milliseconds of forward and backward of each form for a whole stack, after checking that all agree."""
    spec = SPECS[dataset]
    stack = RCNNStack([RCNN(spec, view, seed) for seed in range(members)], device)
    flat = stack.flat.clone().requires_grad_()
    x = torch.randn(members, BATCH_SIZE, spec.segments, stack.samples[0], len(spec.views[view]), device=device)
    masks = [m.to(device).expand(members, *m.shape) for m in next(dropout_masks(0, 0, mask_shapes(spec, view)))]
    forms = {
        "one by one": lambda w: stack._convolve(w, list(x), [list(m) for m in masks]),
        "batched": lambda w: stack._convolve_batched(w, x, masks),
        "grouped": lambda w: grouped(stack, w, x, masks),
    }
    expected, times = None, {}
    for name, form in forms.items():

        def step(form=form):
            out = form(stack.unflatten(flat))
            return out, torch.autograd.grad(out.square().sum(), flat)[0]

        got = step()
        expected = expected or got
        for a, b in zip(got, expected, strict=True):
            apart = ((a - b).norm() / b.norm()).item()  # not one by one: rounding can put a sample across ReLU's kink
            assert apart < 1e-2, f"{name} differs from one by one by {apart:.1e}"
        synchronise(device)
        began, count = time.perf_counter(), 0
        while count < 3 or (time.perf_counter() - began < 0.5 and count < 200):
            step()
            synchronise(device)
            count += 1
        times[name] = (time.perf_counter() - began) / count * 1e3
    return times


# ------------------------------------------------------------------------------------------------ stacks, a row


def stack_ms(dataset: str, view: str, members: int, device: str) -> dict[str, float]:
    """Milliseconds per model and step of `fit`, and for 10 members those of the plain loop on the same device."""
    windows, train, knowledge = bench.made_up(dataset, view)
    return {"stack_ms": bench.stack_steps(windows, train, knowledge, 2, members, device)()}


def table_row(device: str, seconds: float) -> dict:
    """One row of Table 2 at paper size, on random windows: as many epochs as fit into the time, projected to all."""
    spec, rng = SPECS[ROW["dataset"]], np.random.default_rng(0)
    train = np.arange(ROW["windows"])
    windows = bench.random_windows(spec, ROW["view"], len(train) + 1000)
    soft, attention = (
        rng.dirichlet(np.ones(n), len(train)).astype(np.float32) for n in (len(spec.classes), spec.segments)
    )
    mark = bench.knowledge_fingerprint(windows, train)
    knowledge = bench.Knowledge(train, soft, attention, spec.temperature, mark)
    d = len(windows.channels)
    mean, std = np.zeros(d, np.float32), np.ones(d, np.float32)
    validation = np.arange(len(train), len(windows))
    team = [
        training.Member(seed, ROW["method"], train, validation, mean, std, knowledge) for seed in range(ROW["seeds"])
    ]
    began = time.perf_counter()
    training.fit(team, windows, 2, device)
    per_epoch = (time.perf_counter() - began) / 2
    epochs = int(max(1, min(ROW["epochs"], seconds / per_epoch)))
    began = time.perf_counter()
    training.fit(team, windows, epochs, device)
    spent = time.perf_counter() - began
    return {**ROW, "epochs_run": epochs, "seconds": spent, "seconds_of_all_epochs": spent / epochs * ROW["epochs"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--seconds", type=float, default=440, help="time for everything (default 440)")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")) / "gpu.json")
    given = parser.parse_args()
    if given.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("no CUDA device here; `--device cpu --seconds 60` tries the script itself")
    began = time.perf_counter()

    def left() -> float:
        return given.seconds - (time.perf_counter() - began)

    name = torch.cuda.get_device_name() if given.device == "cuda" else platform.machine()
    result = {"device": name, "torch": torch.__version__, "stacks": [], "convolutions": []}
    print(f"{name}, PyTorch {torch.__version__}\n\ntests marked gpu", flush=True)
    result["tests"] = run_tests(given.device)
    print(f"\nconvolution of a stack, forward and backward, ms{'':20s}one by one   batched   grouped", flush=True)
    for dataset, view in SIX:
        for members in (10, 50):
            if left() < 0.55 * given.seconds:
                break
            times = convolution_forms(dataset, view, members, given.device)
            result["convolutions"].append({"dataset": dataset, "view": view, "members": members, **times})
            row = bench.label({"dataset": dataset, "view": view})
            print(
                f"  {row:24s} {members:4d} members {'':23s}" + "".join(f"{ms:10.2f}" for ms in times.values()),
                flush=True,
            )
    print("\nfit, ms per model and step", flush=True)
    for members in (10, 50, 500):
        for dataset, view in SIX:
            if left() < 0.25 * given.seconds:
                break
            row = {"dataset": dataset, "view": view, "members": members}
            row |= stack_ms(dataset, view, members, given.device)
            result["stacks"].append(row)
            print(f"  {bench.label(row):24s} {members:4d} members {row['stack_ms']:10.3f}", flush=True)
    print("\none row of Table 2 at paper size", flush=True)
    result["table_row"] = row = table_row(given.device, max(1.0, left() - 0.05 * given.seconds))
    whole = f"{row['seconds_of_all_epochs']:.0f} s for all {ROW['epochs']}"
    print(f"  {row['seconds']:.0f} s for {row['epochs_run']} epochs, so {whole}", flush=True)
    result["seconds"] = time.perf_counter() - began
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    failed = [test for test, outcome in result["tests"].items() if outcome == "failed"]
    print(f"\n{result['seconds']:.0f} s; wrote {given.out}" + (f"; FAILED: {', '.join(failed)}" if failed else ""))
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
