"""One record a run, written whole or not at all; predictions and weights beside it."""

import json
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from . import checkpoints
from .data.windows import Split, Windows
from .errors import UserError
from .evaluation import scores
from .files import replace_file, root
from .paper import METHODS
from .params import Run
from .training import Fitted, resolve_device

PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "scipy", "wfdb", "duckdb", "papermill")
NEEDED = (
    "dataset",
    "view",
    "source",
    "profile",
    "parameters",
    "fingerprint",
    "versions",
    "git_commit",
    "device",
    "seconds",
)


def environment(device: str) -> dict:
    """Versions, git commit (with '+' where files differ from it) and device of this run."""
    versions = {"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}}
    place = resolve_device(device)
    name = torch.cuda.get_device_name(place) if place.type == "cuda" else "cpu"
    return {"versions": versions, "git_commit": _git_commit(), "device": name}


def _git_commit() -> str | None:
    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", root(), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):  # no git, or not a clone
        return None


def common(run: Run, windows: Windows, seconds: float) -> dict:
    """What every record says of its run."""
    return {
        "notebook": run.notebook,
        "dataset": run.dataset,
        "view": run.view,
        "profile": run.profile,
        "source": run.source,
        "parameters": run.parameters,
        "fingerprint": windows.fingerprint,
        "subjects_are_blocks": windows.subjects_are_blocks,
        **environment(run.device),
        "seconds": round(seconds, 2),
    }


def seed_entry(fitted: Fitted, probability: np.ndarray, windows: Windows, split: Split) -> dict:
    """One seed's scores on its test windows, with its best epoch and the counts of its split."""
    return {
        "seed": fitted.member.seed,
        **scores(probability, windows.label[split.test]),
        "best_epoch": fitted.best_epoch,
        "selected_by": fitted.selected_by,
        "counts": split.counts(),
    }


def save(
    run: Run,
    method: str,
    fitted: list[Fitted],
    probabilities: list[np.ndarray],
    windows: Windows,
    splits: dict[int, Split],
    seconds: float,
) -> dict:
    """Write weights, predictions and, last, the record of one table row; return the record.

    probabilities: one (test windows, C) a seed. The record is there only when everything else is.
    """
    folder = run.path(method).parent
    weights, tables = {}, {}
    for f, probability in zip(fitted, probabilities, strict=True):
        seed, split = f.member.seed, splits[f.member.seed]
        weights |= {f"{seed}/{name}": tensor for name, tensor in f.model.state_dict().items()}
        weights |= {
            f"{seed}/input.mean": torch.from_numpy(f.member.mean),
            f"{seed}/input.std": torch.from_numpy(f.member.std),
        }
        tables |= {f"{seed}/test_window": split.test, f"{seed}/probability": probability.astype(np.float32)}
        tables |= {f"{seed}/{part}_subject": ids for part, ids in split.subjects.items()}
        tables |= {f"{seed}/{name}": np.array(curve) for name, curve in f.history.items()}
    with replace_file(folder / f"{method}.safetensors") as path:
        save_file(weights, path, {"fingerprint": windows.fingerprint, "view": windows.view})
    with replace_file(folder / f"{method}.npz") as path:
        np.savez_compressed(path, **tables)
    seeds = [seed_entry(f, p, windows, splits[f.member.seed]) for f, p in zip(fitted, probabilities, strict=True)]
    record = {
        **common(run, windows, seconds),
        "method": method,
        "model_parameters": fitted[0].model.count(),
        "counts": seeds[0]["counts"],  # of the first seed; each seed has its own
        "seeds": seeds,
    }
    write_record(run, method, record)
    return record


def write_record(run: Run, name: str, record: dict) -> None:
    """Write the record `name` of a run; its checkpoints have done their part then."""
    write_json(run.record_path(name), record)
    checkpoints.remove(run.checkpoints)


def write_json(path: Path, content: dict) -> None:
    """Write JSON whole or not at all, NaN refused."""
    with replace_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_record(path: Path) -> dict:
    """A record. Raises UserError where it is missing, damaged or not a record."""
    if not path.is_file():
        raise UserError(f"no record at {path}; run its notebook first (`make reproduce` runs them all).")
    try:
        record = json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not readable as JSON ({error}); delete it and run its notebook again.") from None
    missing = [name for name in NEEDED if not isinstance(record, dict) or name not in record]
    if missing:
        raise UserError(f"{path} is not a record: it lacks {', '.join(missing)}; delete it and run its notebook again.")
    return record


def belongs(run: Run, record: dict) -> bool:
    """Whether a record is of the run's source, seeds, patience and switches, and has no more epochs (sweeps: fewer)."""
    has = record["parameters"]
    same = all(has.get(name) == run.parameters[name] for name in ("source", "seeds", "patience", "switches"))
    return same and has["epochs"] <= run.parameters["epochs"]


def read_records(run: Run, methods: tuple[str, ...] | list[str], view: str, dataset: str) -> dict[str, dict]:
    """The records there are of the given methods of one view, in that order.

    Those made otherwise than the run (source, seeds, epochs, patience, scale, raw folder, switches) are left out: a
    table never mixes.
    """
    paths = {method: run.record_path(method, view, dataset) for method in methods}
    records = {method: read_record(path) for method, path in paths.items() if path.is_file()}
    same = [
        name for name in ("source", "seeds", "epochs", "patience", "scale", "raw", "switches") if name in run.parameters
    ]
    for method, record in records.items():
        if method in METHODS and "seeds" not in record:
            raise UserError(f"{paths[method]} is not a record of scores; delete it and run its notebook again.")
    return {
        method: record
        for method, record in records.items()
        if all(record["parameters"].get(name) == run.parameters[name] for name in same)
    }
