"""Made-up records of a run, as small as tables and figures can be made from."""

import json
from pathlib import Path

import numpy as np

from rdpd_nb import params

SCORES = {"direct": (0.80, 0.84), "kd": (0.82, 0.83), "rdpd": (0.85, 0.87)}


def make_run(folder: Path, source: str = "simulated", seeds: int = 2, **switches: str) -> params.Run:
    """Notebook 10's run, with no record yet."""
    given = {"datasets": ["pamap2"], "profile": "made_up", "source": source, "seeds": list(range(seeds)), "epochs": 5}
    given |= {"patience": 0, "device": "cpu", "results": str(folder), "switches": switches}
    return params.check("10_tables_and_figures", given)


def of_wrist(run: params.Run, notebook: str = "07_rdpd") -> params.Run:
    """The run of a method's notebook (or of another one of one view) whose records are the given run's."""
    given = {name: value for name, value in run.parameters.items() if name != "datasets"}
    own = {"08_rich_data_size": {"fractions": [0.5, 1.0], "fraction_of": "rich"}}.get(notebook, {})
    return params.check(notebook, given | {"dataset": "pamap2", "view": "wrist", "raw": "", "scale": 0.0} | own)


def write(run: params.Run, name: str, view: str, **content) -> Path:
    """A record with what every record has."""
    path = run.record_path(name, view, "pamap2")
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {"dataset": "pamap2", "view": view, "source": run.source, "profile": run.profile, "fingerprint": "f"}
    parameters = {"scale": 0.0, "raw": "", **run.parameters}
    common |= {"parameters": parameters, "versions": {}, "git_commit": None, "device": "cpu", "seconds": 1.0}
    path.write_text(json.dumps(common | content))
    return path


def write_scores(run: params.Run, method: str, view: str, values: tuple[float, ...], argmax: float = 0.0) -> Path:
    """A record of one method with the same score by every metric, macro-F1 by argmax higher by `argmax`."""
    seeds = [
        {
            "seed": i,
            **dict.fromkeys(("roc_auc", "pr_auc", "macro_f1"), v),
            "macro_f1_argmax": v + argmax,
            "classes_absent": [],
            "counts": {"windows": {"train": 90, "validation": 40, "test": 40}},
        }
        for i, v in enumerate(values)
    ]
    return write(run, method, view, seeds=seeds)


def simulated_run(folder: Path) -> params.Run:
    """A results folder with records of three methods of one view and the teacher, made up, as from simulated data."""
    run = make_run(folder)
    write_scores(run, "teacher", "all", (0.9, 0.92))
    for method, values in SCORES.items():
        write_scores(run, method, "wrist", values)
    return run


def real_run(folder: Path) -> params.Run:
    """As if from real data, 10 seeds: Direct like the paper's, KD far above, RDPD far below it and above Direct."""
    run = make_run(folder, "real", 10)
    noise = np.linspace(-0.01, 0.01, 10)
    for method, mean in {"direct": 0.8, "kd": 0.9, "rdpd": 0.81}.items():
        write_scores(run, method, "wrist", tuple(mean + noise + (0.001 * noise if method == "rdpd" else 0)), 0.05)
    return run


def noise_entries(rdpd: dict[float, float], direct: dict[float, float]) -> list[dict]:
    """Two seeds a point, 0.01 above and below the given mean by amplitude; PR-AUC is half of ROC-AUC."""
    return [
        {"method": method, "amplitude": level, "seed": seed, "roc_auc": mean + shift, "pr_auc": (mean + shift) / 2}
        for method, curve in (("direct", direct), ("rdpd", rdpd))
        for level, mean in curve.items()
        for seed, shift in enumerate((-0.01, 0.01))
    ]


ABOVE = noise_entries({0.0: 0.9, 1.0: 0.8}, {0.0: 0.85, 1.0: 0.7})
CROSSED = noise_entries({0.0: 0.9, 1.0: 0.7}, {0.0: 0.85, 1.0: 0.7})  # equal at 1.0 is not above


def write_noise_sweep(run: params.Run, view: str, entries: list[dict] = ABOVE, **changed) -> None:
    write(run, "noise_robustness", view, entries=entries, parameters={**run.parameters, "view": view, **changed})


def write_size_sweep(run: params.Run, view: str = "wrist") -> None:
    """All methods the same at every fraction; Direct's entries hold for all of them."""
    entries = [
        {"method": m, "fraction": f, "seed": s, "roc_auc": 0.8, "pr_auc": 0.5}
        for m, f in (("direct", None), ("kd", 0.5), ("kd", 1.0), ("rdpd", 0.5), ("rdpd", 1.0))
        for s in (0, 1)
    ]
    parameters = {**run.parameters, "view": view, "fraction_of": "rich"}
    write(run, "rich_data_size", view, entries=entries, parameters=parameters)


def change(path: Path, **changed) -> None:
    """Change fields of a record's second seed."""
    record = json.loads(path.read_text())
    record["seeds"][1].update(changed)
    path.write_text(json.dumps(record))
