"""figures/<profile>/manifest.json: which records, and so which executed notebooks, each table and figure came from.

The records themselves are copied beside it, so that the tables can be rebuilt where results/ is not.
"""

import re
from pathlib import Path

from .paper import METHODS, SPECS
from .params import Run
from .results import belongs, read_record, write_json

# What follows the data set (and view) in a figure's name -> the record of the notebook that draws it.
OF_A_DATA_SET = {
    "raw_signals": "preprocessing",
    "split": "preprocessing",
    "teacher_confusion": "teacher",
    "teacher_attention": "teacher",
}
OF_A_VIEW = {"soft_labels": "kd", "combined_loss": "rdpd_r1", "attention": "rdpd_r2"}
SWEEPS = {
    "figure2": "rich_data_size",
    "figure3": "noise_robustness",
    "presets": "presets",
    "causes": "presets",
}
WHAT = ("notebook", "parameters", "git_commit", "fingerprint", "versions", "device", "seconds")


def sources(stem: str) -> list[str] | None:
    """Records (as '<data set>/<view>/<name>') that a table or figure may come from, by its name without ending.

    Table 5 comes from the code alone: no record. None for a file that no notebook writes.
    """
    stem = stem.removesuffix("_paired").removesuffix("_latency")
    if stem == "table1":
        return [f"{dataset}/all/preprocessing" for dataset in SPECS]
    if stem == "table5":
        return []
    for dataset, spec in SPECS.items():
        scores = {view: [f"{dataset}/{view}/{method}" for method in METHODS] for view in spec.views}
        if stem in (spec.table_file, f"{dataset}_scores"):
            return sum(scores.values(), [])
        for name, record in OF_A_DATA_SET.items():
            if stem == f"{dataset}_{name}":
                return [f"{dataset}/all/{record}"]
        for name, record in SWEEPS.items():
            if stem == f"{name}_{dataset}":
                return [f"{dataset}/{view}/{record}" for view in spec.poor_views]
        for view in spec.poor_views:
            if stem == f"{dataset}_{view}_scores":
                return [*scores["all"], *scores[view]]
            for name, record in OF_A_VIEW.items():
                if stem == f"{dataset}_{view}_{name}":
                    return [f"{dataset}/{view}/{record}"]
            for name, record in SWEEPS.items():
                if stem == f"{name}_{dataset}_{view}":
                    return [f"{dataset}/{view}/{record}"]
    return None


def _record(run: Run, name: str) -> dict | None:
    """A record of this run without the folders of this machine, None where there is none."""
    path = Path(f"{run.results_root / name}.json")
    record = read_record(path) if path.is_file() else None
    if record is None or not belongs(run, record):
        return None
    return {**record, "parameters": {**record["parameters"], "raw": "", "results": "results"}}


def manifest(run: Run) -> dict:
    """Tables and figures of a profile with their records; for each record its notebook, parameters, commit, data
    fingerprint, versions, device and seconds. Paths count from the results folder of the profile."""
    made: dict[str, dict[str, list[str]]] = {"tables": {}, "figures": {}}
    records = {}
    for path in sorted(p for p in run.figures_folder.glob("*") if p.suffix in (".csv", ".md", ".tex", ".png")):
        there = []
        for name in sources(path.stem) or ():
            record = _record(run, name) if name.split("/")[0] in run.datasets else None
            if record:
                there.append(f"{name}.json")
                executed = f"{name}.ipynb" if Path(f"{run.results_root / name}.ipynb").is_file() else None
                records[f"{name}.json"] = {"executed_notebook": executed, **{key: record.get(key) for key in WHAT}}
        if sources(path.stem) is not None:
            made["tables" if re.match("table", path.name) else "figures"][path.name] = there
    return {"profile": run.profile, "source": run.source, **made, "records": dict(sorted(records.items()))}


def write_manifest(run: Run) -> dict:
    """Write the manifest and copies of its records beside the tables and figures; return the manifest."""
    made = manifest(run)
    copies = run.figures_folder / "records"
    for old in copies.rglob("*.json"):
        if str(old.relative_to(copies)) not in made["records"]:
            old.unlink()
    for name in made["records"]:
        write_json(copies / name, _record(run, name.removesuffix(".json")))
    write_json(run.figures_folder / "manifest.json", made)
    return made
