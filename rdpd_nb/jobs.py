"""The notebooks of a reproduction, each with its parameters. What waits for what stands in the Snakefile."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from . import data, params, stamps
from .data import SPECS
from .errors import UserError
from .files import read_json, replace_file, root
from .paper import METHODS, STUDENT_METHODS
from .run import OWN, RELATED
from .systems import SYSTEMS

# What a notebook of one view draws, by the name of its record; the Snakefile fills in the same names.
DRAWS = {
    "rich_data_size": ("figure2_{dataset}_{view}",),
    "noise_robustness": ("figure3_{dataset}_{view}",),
    "presets": ("presets_{dataset}_{view}", "causes_{dataset}_{view}"),
}


@dataclass(frozen=True)
class Job:
    """One notebook execution."""

    name: str  # e.g. 'pamap2/wrist/rdpd'; files are results/<profile>/<name>.*
    notebook: str
    parameters: dict[str, Any]
    figures: tuple[str, ...]  # files under figures/<profile>/, tables among them


def read_settings(profile: str, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """A profile with overrides; what is not overridden (None) stays the profile's. `datasets` may be a list of names.

    Afterwards each data set has all of `OWN` of its own. One that the profile does not name comes embedded where it is,
    else as the profile's others if it has a simulator, else from the raw folder. The other systems of `related` have
    the settings that the profile gives them, and are left out where data sets are named.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    settings = {"results": "results", **params.read_profile(profile)}
    named, common = settings["datasets"], {name: settings.pop(name) for name in OWN}
    params.check_given(given)
    datasets: dict[str, dict] = {}
    for dataset in given.pop("datasets", named):
        data.find(dataset)
        own = (named[dataset] or {}) if dataset in named else {"source": data.nearest_source(dataset, common["source"])}
        own = common | own | {name: given[name] for name in OWN if name in given}
        # $RDPD_RAW may be another folder tomorrow.
        datasets[dataset] = own | {"raw": str(data.raw_root(own["raw"])) if own["source"] == "real" else ""}
    rest = {name: value for name, value in given.items() if name not in OWN}
    related = {} if "datasets" in (overrides or {}) and overrides["datasets"] is not None else settings["related"]
    raw = str(data.raw_root(given.get("raw", common["raw"])))
    related = {name: {**own, "raw": raw if _source_of(name, own) == "real" else ""} for name, own in related.items()}
    return {**settings, **rest, "datasets": datasets, "related": related, "profile": profile}


def _source_of(system: str, own: dict[str, Any]) -> str:
    return SYSTEMS[system].tasks.get(own["task"], "")


def plan(settings: dict[str, Any]) -> list[Job]:
    """All jobs of a profile's settings, the tables last. Raises UserError for a bad setting."""
    params.check_settings(settings)
    jobs: list[Job] = []

    def add(name: str, notebook: str, figures: Iterable[str] = (), **own: Any) -> None:
        given = settings | own
        run = params.check(notebook, {parameter: given[parameter] for parameter in params.NOTEBOOKS[notebook]})
        jobs.append(Job(name, notebook, run.parameters, tuple(figures)))

    def add_view(dataset: str, view: str, name: str, notebook: str, **own: Any) -> None:
        figures = (figure.format(dataset=dataset, view=view) for figure in drawn(name))
        own = settings["datasets"][dataset] | own
        add(f"{dataset}/{view}/{name}", notebook, figures, dataset=dataset, view=view, **own)

    sweeps = settings["sweeps"] or {"views": {}, "presets": {}, "own": {}}
    for dataset, common in settings["datasets"].items():
        add_view(dataset, "all", "preprocessing", "01_preprocessing")
        add_view(dataset, "all", "teacher", METHODS["teacher"].notebook)
        for view in SPECS[dataset].poor_views:
            for method in STUDENT_METHODS:
                add_view(dataset, view, method, METHODS[method].notebook)
        own = dict(sweeps["own"].get(dataset, {}))  # no more than the tables have, whatever these were set to
        own |= {"seeds": [s for s in own.get("seeds", []) if s in common["seeds"]] or common["seeds"]}
        own |= {"epochs": min(own.get("epochs", common["epochs"]), common["epochs"])}
        if own.get("updates") and common["updates"]:
            own["updates"] = [min(pair) for pair in zip(own["updates"], common["updates"], strict=True)]
        swept = {
            name: sweeps[name] for name in params.SWEEPS if name not in ("views", "presets", "own") and name in sweeps
        }
        for view in sweeps["views"].get(dataset, []):
            add_view(dataset, view, "rich_data_size", "08_rich_data_size", **swept, **own)
            add_view(dataset, view, "noise_robustness", "09_noise_robustness", **swept, **own)
        for view in sweeps["presets"].get(dataset, []):
            add_view(dataset, view, "presets", "11_paper_and_released_code", **own)
    for name, own in settings["related"].items():
        add(f"{RELATED}/{own['task']}/{name}", SYSTEMS[name].notebook, related_files(name, own["task"]), **own)
    swept = [dataset for dataset in settings["datasets"] if sweeps["views"].get(dataset)]
    add("tables", "10_tables_and_figures", of_the_tables(list(settings["datasets"]), swept))
    return jobs


def drawn(name: str) -> list[str]:
    """Files under figures/<profile>/ of one view's notebook, with {dataset} and {view} to be filled in."""
    return [f"{figure}.{ending}" for figure in DRAWS.get(name, ()) for ending in ("png", "csv")]


def related_files(system: str, task: str) -> list[str]:
    """Files under figures/<profile>/ of another system's notebook on a task: a table and its figures."""
    figures = [f"{figure}_{task}.{ending}" for figure in SYSTEMS[system].figures for ending in ("png", "csv")]
    return [*(f"{system}_{task}.{ending}" for ending in ("csv", "md", "tex")), *figures]


def of_the_tables(datasets: list[str], swept: list[str]) -> list[str]:
    """Files under figures/<profile>/ of the tables' notebook; `swept` are the data sets with Figures 2 and 3."""
    scores = [SPECS[dataset].table_file for dataset in datasets]
    tables = ["table1", "table5", *scores, *(f"{table}_paired" for table in scores)]
    figures = [f"{dataset}_scores" for dataset in datasets]
    figures += [f"{figure}_{dataset}" for dataset in swept for figure in ("figure2", "figure3")]
    files = [f"{table}.{ending}" for table in tables for ending in ("csv", "md", "tex")]
    return [*files, *(f"{figure}.{ending}" for figure in figures for ending in ("png", "csv")), "manifest.json"]


def check_data(settings: dict[str, Any]) -> None:
    """Stop with one sentence a data set, before anything is trained, if raw files are missing or cannot be made up."""
    problems = []
    for dataset, own in settings["datasets"].items():
        try:
            _origin(dataset, own["source"], own["raw"])
        except UserError as error:
            problems.append(str(error))
    for name, own in settings["related"].items():
        try:
            _raw_of(name, own["task"], own["raw"])
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n       ".join(problems))


def _origin(dataset: str, source: str, raw: str) -> tuple[str, list[str]]:
    """A mark of the raw files, and the modules that write them where they are simulated."""
    if source != "simulated":
        return data.raw_stamp(dataset, data.locate(dataset, source, raw)), []
    from . import simulate  # slow to import, and not needed for real data

    if dataset not in simulate.WRITERS:
        title = SPECS[dataset].title
        source = data.nearest_source(dataset, "real")
        raise UserError(f"{title} has no simulator; give SOURCE={source}, or leave '{dataset}' out of DATASETS.")
    return f"simulated, version {simulate.VERSION}", [simulate.WRITERS[dataset].__module__]


def _raw_of(system: str, task: str, raw: str) -> str:
    """A mark of the files that another system reads of a task."""
    module = import_module(f"{__package__}.{RELATED}.{system}")
    return data.fingerprint(*(f"{f.name} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in module.files(task, raw)))


def marks(job: Job) -> dict[str, str]:
    """What a job's numbers depend on beside its parameters and other jobs' records.

    How results are shown is not among it, but for the tables, which are quick to make again.
    """
    notebook, p = root() / "notebooks" / f"{job.notebook}.ipynb", job.parameters
    if job.name == "tables":
        return {"notebook": stamps.notebook(notebook), "package": stamps.code(*stamps.imported(notebook))}
    if job.name.startswith(f"{RELATED}/"):
        system = job.name.rpartition("/")[2]
        printed = read_json(Path(__file__).with_name(RELATED) / "published.json", "take it back with git").get(system)
        return {
            "notebook": stamps.notebook(notebook),
            "package": stamps.code(f"rdpd_nb.related.{system}"),
            "raw files": _raw_of(system, p["task"], p["raw"]),
            "published": data.fingerprint(json.dumps(printed)),
        }
    raw_files, writers = _origin(p["dataset"], p["source"], p["raw"])
    modules = [data.DATASETS[p["dataset"]].__name__, "rdpd_nb.data.cache", *writers]
    reads = job.notebook == "01_preprocessing"  # and fits logistic regression
    modules += ["rdpd_nb.anchor"] if reads else ["rdpd_nb.training", "rdpd_nb.evaluation"]
    return {"notebook": stamps.notebook(notebook), "package": stamps.code(*modules), "raw files": raw_files}


def write_parameters(job: Job, folder: Path) -> Path:
    """The YAML file papermill reads, with the job's marks as comments.

    Its time changes only when its content does, so that done work stays done, and work done otherwise does not.
    """
    path = folder / f"{job.name}.parameters.yaml"
    comments = "".join(f"# {name}: {mark}\n" for name, mark in marks(job).items())
    text = comments + yaml.safe_dump(job.parameters, sort_keys=False)
    if not path.is_file() or path.read_bytes() != text.encode():
        with replace_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return path
