"""One record a run, written whole or not at all, predictions and weights beside it; read as one tidy frame.

Everything in `tables` and `figures` is made from the frames of `read_scores` and `read_sweep`.
"""

import os
import platform
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import save_file

from .data import SPECS, Split, Windows
from .engine import checkpoints
from .engine.device import resolve_device
from .errors import UserError
from .evaluation import RESAMPLED, people_resampled, person_scores, scores
from .files import replace_file, root, sort_marks, sum_of, write_json
from .paper import ANCHOR, METRICS, STUDENT_METHODS
from .record_file import AGAIN, LEVELS, OF_ONE_RUN, SCORES, read_record
from .run import RELATED, Run
from .training import Fitted, predict

if TYPE_CHECKING:  # slow to import, and a training needs none
    import pandas as pd

PACKAGES = ("torch", "numpy", "pandas", "scikit-learn", "scipy", "wfdb", "duckdb", "papermill")
BY_PERSON = tuple(f"person_{name}" for name in RESAMPLED)  # and where a person has one class and several windows


# ------------------------------------------------------------------------------------------------------ writing


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


def common(run: Run, windows: Windows) -> dict:
    """What every record says of its run; `seconds` are those since its parameters were checked."""
    return {
        "notebook": run.notebook,
        "dataset": run.dataset,
        "view": run.view,
        "profile": run.profile,
        "source": run.source,
        "parameters": run.parameters,
        "fingerprint": windows.fingerprint,
        "subjects_are_blocks": windows.subjects_are_blocks,
        # Preprocessing trains nothing: a cluster gives it a node without a GPU, whatever the others are to have.
        **environment("cpu" if run.notebook == "01_preprocessing" else run.device),
        "seconds": round(time.perf_counter() - run.began, 2),
    }


def seed_entry(fitted: Fitted, probability: np.ndarray, windows: Windows, split: Split) -> dict:
    """One seed's scores on its test windows, by window and by person, its best epoch and the counts of its split."""
    label = windows.label[split.test]
    return {
        "seed": fitted.member.seed,
        **scores(probability, label),
        **(person_scores(probability, label, windows.subject[split.test]) or {}),
        "best_epoch": fitted.best_epoch,
        "epochs": len(fitted.history["train_loss"]),  # trained
        "allowed": fitted.allowed,
        "selected_by": fitted.selected_by,
        "counts": split.counts(),
    }


def save(
    run: Run,
    method: str,
    fitted: list[Fitted],
    windows: Windows,
    splits: dict[int, Split],
) -> dict:
    """Predict the test windows, write weights, predictions and, last, the record of one table row; return the record.

    The record is there only when everything else is.
    """
    probabilities = predict(fitted, windows, [splits[f.member.seed].test for f in fitted], run.device)
    folder = run.path(method).parent
    weights, arrays, seeds = {}, {}, []
    for f, probability in zip(fitted, probabilities, strict=True):
        seed, split = f.member.seed, splits[f.member.seed]
        weights |= {f"{seed}/{name}": tensor for name, tensor in f.model.state_dict().items()}
        weights |= {
            f"{seed}/input.mean": torch.from_numpy(f.member.mean),
            f"{seed}/input.std": torch.from_numpy(f.member.std),
        }
        arrays |= {f"{seed}/test_window": split.test, f"{seed}/probability": probability.astype(np.float32)}
        arrays |= {f"{seed}/test_label": windows.label[split.test], f"{seed}/test_subject": windows.subject[split.test]}
        arrays |= {f"{seed}/train_window": f.member.train, f"{seed}/validation_window": f.member.validation}
        arrays |= {f"{seed}/{name}": np.array(curve) for name, curve in f.history.items()}
        seeds.append(seed_entry(f, probability, windows, split))
    with replace_file(folder / f"{method}.safetensors") as path:
        save_file(weights, path, {"fingerprint": windows.fingerprint, "view": windows.view})
        sort_marks(path)
    with replace_file(folder / f"{method}.npz") as path:
        np.savez_compressed(path, **arrays)
    tested = [splits[f.member.seed].test for f in fitted]
    written = [path for path in sorted(folder.glob(f"{method}.*")) if path.suffix in (".npz", ".safetensors")]
    record = {
        **common(run, windows),
        "method": method,
        "files": {path.name: sum_of(path) for path in written},  # a teacher's knowledge among them
        "model_parameters": fitted[0].model.count(),
        "counts": seeds[0]["counts"],  # of the first seed; each seed has its own
        "seeds": seeds,
        "people": people_resampled(
            probabilities, [windows.label[i] for i in tested], [windows.subject[i] for i in tested]
        ),
    }
    write_record(run, method, record)
    return record


def entries(run: Run, fitted: list[Fitted], windows: Windows, splits: dict[int, Split]) -> list[dict]:
    """Each model's method and scores on its test windows, for a record of many models."""
    tests = [splits[f.member.seed].test for f in fitted]
    found = zip(fitted, predict(fitted, windows, tests, run.device), strict=True)
    return [{"method": f.member.method, **seed_entry(f, p, windows, splits[f.member.seed])} for f, p in found]


def save_sweep(
    run: Run, figure: str, levels: list[float | None], fitted: list[Fitted], windows: Windows, splits: dict[int, Split]
) -> None:
    """Write the record of 'figure2' or 'figure3': each model's scores at its level (None: holds for every level)."""
    sweep = SWEEPS[figure]
    scored = zip(levels, entries(run, fitted, windows, splits), strict=True)
    content = {"entries": [{sweep.level: level, **entry} for level, entry in scored]}
    write_record(run, sweep.record, {**common(run, windows), **content})


def write_record(run: Run, name: str, record: dict) -> None:
    """Write the record `name` of a run; its checkpoints have done their part then."""
    write_json(run.record_path(name), record)
    checkpoints.remove(run.checkpoints)


def public(record: dict) -> dict:
    """What of a record is the same in every run of the same code: no commit, versions, device, seconds, folders, and
    no digest of weights, which another machine rounds otherwise."""
    parameters = {k: v for k, v in record["parameters"].items() if k not in ("device", "raw", "results")}
    return {k: v for k, v in record.items() if k not in (*OF_ONE_RUN, "files")} | {"parameters": parameters}


# ------------------------------------------------------------------------------------------------------ reading


def belongs(run: Run, record: dict) -> bool:
    """Whether a record is of the run's source and switches, and has no more seeds and epochs (sweeps: fewer); another
    system's is of its profile alone."""
    if record["dataset"] == RELATED:
        return record["profile"] == run.profile
    if record["dataset"] not in run.datasets:
        return False
    has, wanted = record["parameters"], run.of(record["dataset"])
    fewer = set(has["seeds"]) <= set(wanted["seeds"]) and has["epochs"] <= wanted["epochs"]
    return fewer and made_as(record, {name: wanted[name] for name in ("source", "raw", "scale", "switches")})


def made_as(record: dict, wanted: dict) -> bool:
    """Whether a record's parameters are these; a public copy does not say all, one of an older version neither."""
    return all(record["parameters"].get(name, value) == value for name, value in wanted.items())


def any_of(run: Run, *datasets: str) -> bool:
    """Whether there is any record of this run, or of some of its data sets (RELATED: of other systems); in a fresh
    clone there is none, and nothing is to be written."""
    among = datasets or run.datasets or [RELATED]
    paths = (path for dataset in among for path in sorted((run.results_root / dataset).glob("*/*.json")))
    return any(belongs(run, read_record(path)) for path in paths)


def _counted(run: Run, dataset: str) -> dict | None:
    """Notebook 1's record of the windows that the run's other records should be made from; None where there is none."""
    path = run.record_path("preprocessing", "all", dataset)
    record = read_record(path) if os.path.lexists(path) else None
    read_as = {name: run.of(dataset)[name] for name in ("source", "raw", "scale")}
    return record if record and made_as(record, read_as) else None


def _of_the_same_windows(record: dict, counted: dict | None, path: Path) -> bool:
    """Whether a record was made from the windows `_counted`; one of other raw files is left out, and that is said."""
    if counted is None or counted["fingerprint"] == record["fingerprint"]:
        return True
    _say_once(f"left out: {path} was made from other windows than notebook 1 read; run the older of the two again.")
    return False


@cache
def _say_once(line: str) -> None:
    print(line)


def read_records(run: Run, methods: tuple[str, ...] | list[str], view: str, dataset: str) -> dict[str, dict]:
    """The records there are of the given methods of one view, in that order.

    Those made otherwise than the run (source, raw folder, scale, seeds, epochs, patience, updates, switches) are left
    out: a table never mixes. So are those of other windows than notebook 1's, which is said.
    """
    wanted, counted, records = run.of(dataset), _counted(run, dataset), {}
    for method in methods:
        path = run.record_path(method, view, dataset)
        record = read_record(path) if os.path.lexists(path) else None
        if record and made_as(record, wanted) and _of_the_same_windows(record, counted, path):
            records[method] = record
    return records


def read_scores(run: Run, dataset: str = "") -> "pd.DataFrame":
    """The scores of all methods that have a record of this run, a row a (dataset, view, method, seed, metric).

    Columns besides these: `score` (NaN where no class can be scored), train_windows, test_windows, classes_absent
    (titles, '; ' between them), at_end (the best epoch lies in the last tenth of a training that was not ended by
    patience), source. In each view the anchor of notebook 1 comes first. In the order of the paper's tables; of one
    data set, or of all of the run's.
    """
    import pandas as pd

    rows = []
    for name in [dataset] if dataset else run.datasets:
        spec, first = SPECS[name], read_records(run, ["preprocessing"], "all", name).get("preprocessing", {})
        for view in spec.views:
            anchor = first.get("anchor", {}).get(view)
            trained = read_records(run, ("teacher",) if view == "all" else STUDENT_METHODS, view, name)
            for method, record in (({ANCHOR.name: first | {"seeds": anchor}} if anchor else {}) | trained).items():
                for entry in record["seeds"]:
                    windows = entry["counts"]["windows"]
                    absent = "; ".join(spec.classes[c] for c in entry["classes_absent"])
                    rest = windows["train"], windows["test"], absent, _at_end(entry), record["source"]
                    there = (metric for metric in (*SCORES, *BY_PERSON) if metric in entry)
                    rows += [(name, view, method, entry["seed"], metric, entry[metric], *rest) for metric in there]
    keys = ["dataset", "view", "method", "seed", "metric", "score"]
    columns = [*keys, "train_windows", "test_windows", "classes_absent", "at_end", "source"]
    return pd.DataFrame(rows, columns=columns).astype({"score": float, "at_end": bool})


def _at_end(entry: dict) -> bool:
    """Whether the best epoch lies in the last tenth of a training that ended by its bound, not by patience."""
    return entry.get("epochs", 0) == entry.get("allowed") and entry["best_epoch"] > 0.9 * entry["allowed"]


def read_people(run: Run, dataset: str) -> "pd.DataFrame":
    """The scores of all methods over draws of test people, a row a (dataset, view, method, metric, draw): `score`.

    Draw i has the same people for every method of a data set, so that differences are of the same draw.
    """
    import pandas as pd

    rows, count = [], 0
    for view in SPECS[dataset].views:
        for method, record in read_records(
            run, ("teacher",) if view == "all" else STUDENT_METHODS, view, dataset
        ).items():
            for metric, drawn in record["people"].items():
                count = count or len(drawn)
                if len(drawn) != count:
                    path = run.record_path(method, view, dataset)
                    raise UserError(f"{path} has {len(drawn)} draws of people for {metric}, not {count}; {AGAIN}.")
                rows += [(dataset, view, method, metric, draw, score) for draw, score in enumerate(drawn)]
    return pd.DataFrame(rows, columns=["dataset", "view", "method", "metric", "draw", "score"]).astype({"score": float})


def datasets_run(run: Run) -> list[str]:
    """Those of the run's data sets that have a score."""
    frame = read_scores(run)
    return list(dict.fromkeys(frame.loc[frame["score"].notna(), "dataset"]))


def names(frame: "pd.DataFrame") -> list[str]:
    """The records that a frame of scores was read from: 'pamap2/wrist/rdpd'."""
    found = frame["dataset"] + "/" + frame["view"] + "/" + frame["method"]
    return list(dict.fromkeys(found.mask(frame["method"] == ANCHOR.name, frame["dataset"] + "/all/preprocessing")))


# ------------------------------------------------------------------------------------------------------- sweeps


@dataclass(frozen=True)
class Sweep:
    """One of Figures 2 and 3: the notebook's record, the parameter that is swept, and what the paper says of it."""

    record: str
    levels: str  # in words
    xlabel: str
    claim: str

    @property
    def level(self) -> str:
        """Name of the swept quantity in an entry of the record."""
        return LEVELS[self.record]


SWEEPS = {
    "figure2": Sweep(
        "rich_data_size",
        "fractions",
        "fraction of the {fraction_of} training windows",
        "RDPD outperforms the baselines even with few rich data",
    ),
    "figure3": Sweep(
        "noise_robustness",
        "amplitudes",
        "noise amplitude (standard deviations of the channel)",
        "both fall with the amplitude, and RDPD stays above Direct",
    ),
}
SWEEP_METRICS = {name: METRICS[name] for name in ("roc_auc", "pr_auc")}


def sweep_records(run: Run, figure: str, dataset: str, view: str = "") -> list[dict]:
    """The records of 'figure2' or 'figure3' of all views of a data set, in its order, or of one view.

    Left out are those of another source, raw folder, scale or switches than the run's, those of other seeds or of more
    epochs (a sweep may have fewer than the tables), those whose sweep is not that of the first view's, and those of
    other windows than notebook 1's.
    """
    counted, kept = _counted(run, dataset), []
    for name in [view] if view else SPECS[dataset].poor_views:
        path = run.record_path(SWEEPS[figure].record, name, dataset)
        record = read_record(path) if os.path.lexists(path) else None
        if record and belongs(run, record) and (not kept or _same_but_view(record, kept[0])):
            kept += [record] if _of_the_same_windows(record, counted, path) else []
    return kept


def _same_but_view(record: dict, other: dict) -> bool:
    one, two = ({**r["parameters"], "view": "", "device": ""} for r in (record, other))
    return one == two


def read_sweep(run: Run, figure: str, dataset: str, view: str = "") -> "pd.DataFrame":
    """Scores of Figure 2 or 3, a row a (dataset, view, method, level, seed, metric), with `score` and source.

    An entry without a level (Direct, in Figure 2) holds for every one. Empty where there is no record.
    """
    import pandas as pd

    rows, name = [], SWEEPS[figure].level
    for record in sweep_records(run, figure, dataset, view):
        every = sorted({e[name] for e in record["entries"] if e[name] is not None})
        rows += [
            (dataset, record["view"], e["method"], level, e["seed"], metric, e[metric], record["source"])
            for e in record["entries"]
            for level in (every if e[name] is None else [e[name]])
            for metric in SWEEP_METRICS
        ]
    columns = ["dataset", "view", "method", "level", "seed", "metric", "score", "source"]
    return pd.DataFrame(rows, columns=columns).astype({"score": float, "level": float})
