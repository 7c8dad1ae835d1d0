"""A small road from teachers to students in a process of its own: `python tests/determinism.py out.npz stack 3`.

How the library computes is said by the environment it is started in (`OMP_NUM_THREADS`, `ATEN_CPU_CAPABILITY`).
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

SEEDS, METHODS = (0, 1, 2), ("direct", "kd", "rdpd")


def start(out: Path, how: str = "stack", epochs: int = 3, threads: int = 1, capability: str = "") -> subprocess.Popen:
    """Begin a run; `how`: all models of a kind in one 'stack', or each 'alone'. Capability '' is the machine's own."""
    environment = {k: v for k, v in os.environ.items() if k != "ATEN_CPU_CAPABILITY"} | {
        "OMP_NUM_THREADS": str(threads)
    }
    environment |= {"ATEN_CPU_CAPABILITY": capability} if capability else {}
    command = [sys.executable, __file__, str(out), how, str(epochs)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def result(out: Path, run: subprocess.Popen) -> dict[str, np.ndarray]:
    """What a run left: by kind ('weights', 'losses', 'scores', 'knowledge', 'probability') all its numbers."""
    said, _ = run.communicate()
    assert run.returncode == 0, said[-3000:]
    with np.load(out, allow_pickle=False) as arrays:
        return dict(arrays)


def apart(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """The largest difference of each kind."""
    assert one.keys() == other.keys()
    return {kind: float(np.nanmax(abs(one[kind] - other[kind]))) for kind in one if kind != "capability"}


def main(out: str, how: str, epochs: str) -> None:
    import torch
    from made_up import make_windows, quietly

    from rdpd_nb.data import split
    from rdpd_nb.knowledge import extract_knowledge
    from rdpd_nb.training import make_member, predict

    def fit(members: list, windows) -> list:
        together = [members] if how == "stack" else [[member] for member in members]
        return [fitted for group in together for fitted in quietly(group, windows, int(epochs))]

    rich = make_windows()
    poor, parts = rich.select("hr"), {seed: split(rich, seed) for seed in SEEDS}
    teachers = fit([make_member(rich, part, seed, "teacher") for seed, part in parts.items()], rich)
    said = dict(zip(SEEDS, extract_knowledge(teachers, rich, "cpu"), strict=True))
    students = [
        make_member(poor, part, seed, method, said[seed] if method != "direct" else None)
        for method in METHODS
        for seed, part in parts.items()
    ]
    students = fit(students, poor)
    fitted = [*teachers, *students]
    probability = predict(students, poor, [parts[f.member.seed].test for f in students], "cpu")
    losses = [f.history[name] for f in fitted for name in ("train_loss", "validation_loss")]
    found = {
        "weights": [p.numpy().ravel() for f in fitted for p in f.model.state_dict().values()],
        "losses": losses,
        "scores": [f.history["validation_roc_auc"] for f in fitted],
        "knowledge": [rows.ravel() for k in said.values() for rows in (k.soft_labels, k.attention)],
        "probability": [p.ravel() for p in probability],
    }
    arrays = {kind: np.concatenate(parts).astype(np.float64) for kind, parts in found.items()}
    np.savez(out, capability=np.array(torch.backends.cpu.get_cpu_capability()), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
