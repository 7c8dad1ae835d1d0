"""What a reproduction runs, and `python -m rdpd_nb.reproduce`, which checks it all before anything is trained.

Snakemake decides what is done already and what runs next; this module only says which notebook makes which record with
which parameters, and turns Snakemake's log into a line a job.
"""

import argparse
import fcntl
import json
import os
import re
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import data, params
from .data.windows import fingerprint
from .errors import UserError
from .files import replace_file, root
from .paper import METHODS, SPECS, STUDENT_METHODS


@dataclass(frozen=True)
class Job:
    """One notebook execution: what it is called, its parameters, the records it waits for and those it makes."""

    name: str  # e.g. 'pamap2/wrist/rdpd'; files are results/<profile>/<name>.*
    notebook: str
    parameters: dict[str, Any]
    after: tuple[str, ...] = ()  # names of jobs
    makes: tuple[str, ...] = (".json",)  # endings of the files it writes, beside its own .ipynb; the record last
    figures: tuple[str, ...] = ()  # files under figures/<profile>/


def read_settings(profile: str, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """A profile with overrides; what is not overridden (None) stays the profile's."""
    settings = params.read_profile(profile)
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    settings = {"results": "results", **settings, **given, "profile": profile}
    if settings["source"] == "real":
        settings["raw"] = str(data.raw_root(settings["raw"]))  # $RDPD_RAW may be another folder tomorrow
    return settings


def plan(settings: dict[str, Any]) -> list[Job]:
    """All jobs of a reproduction in an order in which they can run. Raises UserError for a bad setting."""
    names = ("profile", "source", "seeds", "epochs", "patience", "device", "results", "switches")
    common = {name: settings[name] for name in names}
    jobs: list[Job] = []

    def add(name: str, notebook: str, extra: dict[str, Any], **rest: Any) -> str:
        parameters = {**common, **extra}
        params.check(notebook, parameters)
        jobs.append(Job(name, notebook, parameters, **rest))
        return name

    if not params.KINDS["datasets"][0](settings["datasets"]):
        raise UserError(f"DATASETS is {settings['datasets']!r}; it should be {params.KINDS['datasets'][1]}.")
    sweeps = settings["sweeps"] or {"views": {}, "presets": {}}
    for name in ("views", "presets"):
        if not isinstance(sweeps[name], dict) or set(sweeps[name]) - set(SPECS):
            raise UserError(
                f"sweeps.{name} is {sweeps[name]!r}; it should name views by data set, of {', '.join(SPECS)}."
            )
    if not isinstance(sweeps.get("epochs", 1), int):
        raise UserError(f"sweeps.epochs is {sweeps['epochs']!r}; it should be {params.KINDS['epochs'][1]}.")
    trained = (".npz", ".safetensors", ".json")
    for dataset in settings["datasets"]:
        one = {"dataset": dataset, "view": "all", "raw": settings["raw"], "scale": settings["scale"]}
        read = add(f"{dataset}/all/preprocessing", "01_preprocessing", one)
        teacher = add(
            f"{dataset}/all/teacher",
            METHODS["teacher"].notebook,
            one,
            after=(read,),
            makes=(".npz", ".safetensors", ".knowledge.safetensors", ".json"),
        )
        for view in SPECS[dataset].poor_views:
            for method in STUDENT_METHODS:
                name, notebook = f"{dataset}/{view}/{method}", METHODS[method].notebook
                add(name, notebook, {**one, "view": view}, after=(teacher,), makes=trained)
        first = None
        for view in sweeps["views"].get(dataset, []):
            for name, figure, notebook, after, own in (
                ("rich_data_size", "figure2", "08_rich_data_size", first or read, ("fractions", "fraction_of")),
                ("noise_robustness", "figure3", "09_noise_robustness", teacher, ("amplitudes", "noise_kind")),
            ):
                extra = {
                    **one,
                    "view": view,
                    "epochs": min(sweeps["epochs"], settings["epochs"]),
                    **{k: sweeps[k] for k in own},
                }
                files = tuple(f"{figure}_{dataset}_{view}.{ending}" for ending in ("png", "csv"))
                job = add(f"{dataset}/{view}/{name}", notebook, extra, after=(after,), figures=files)
                if name == "rich_data_size":
                    first = first or job  # whose teachers the other views take over
        for view in sweeps["presets"].get(dataset, []):
            files = tuple(f"{f}_{dataset}_{view}.{ending}" for f in ("presets", "causes") for ending in ("png", "csv"))
            extra = {**one, "view": view}
            add(f"{dataset}/{view}/presets", "11_paper_and_released_code", extra, after=(read,), figures=files)
    scores = [SPECS[d].table_file for d in settings["datasets"]]
    tables = ["table1", "table5", *scores, *(f"{table}_paired" for table in scores)]
    swept = [
        f"{figure}_{d}" for d in settings["datasets"] if sweeps["views"].get(d) for figure in ("figure2", "figure3")
    ]
    add(
        "tables",
        "10_tables_and_figures",
        {"datasets": settings["datasets"]},
        after=tuple(job.name for job in jobs),
        makes=(),
        figures=(
            *(f"{table}.{ending}" for table in tables for ending in ("csv", "md", "tex")),
            *(f"{dataset}_scores.{ending}" for dataset in settings["datasets"] for ending in ("png", "csv")),
            *(f"{name}.{ending}" for name in swept for ending in ("png", "csv")),
            "manifest.json",
        ),
    )
    return jobs


def check_raw(settings: dict[str, Any]) -> None:
    """Stop with one sentence a data set if real raw files are missing, before anything is read or trained."""
    if settings["source"] != "real":
        return
    problems = []
    for dataset in settings["datasets"]:
        try:
            data.raw_files(dataset, data.locate(dataset, "real", settings["raw"]))
        except UserError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n       ".join(problems))


# What decides a number: a change in one of these makes finished work stale. How results are shown is not among them.
CODE = (
    *("paper.py", "losses.py", "models.py", "batches.py", "training.py", "evaluation.py"),
    *("data/__init__.py", "data/windows.py", "simulate/*.py", *(f"data/{name}*" for name in SPECS)),
)


def write_parameters(job: Job, folder: Path) -> Path:
    """The YAML file papermill reads. Its comments name the notebook's code, the package's and the raw files.

    Its time changes only when its content does, so that done work stays done, and work done otherwise does not.
    """
    path = folder / f"{job.name}.parameters.yaml"
    cells = json.loads((root() / "notebooks" / f"{job.notebook}.ipynb").read_text())["cells"]
    marks = {"notebook": fingerprint(*("".join(cell["source"]) for cell in cells)), "package": data.code_stamp(*CODE)}
    if job.parameters["source"] == "real" and "dataset" in job.parameters:
        dataset = job.parameters["dataset"]
        marks["raw files"] = data.raw_stamp(dataset, data.locate(dataset, "real", job.parameters["raw"]))
    comments = "".join(f"# {name}: {mark}\n" for name, mark in marks.items())
    text = comments + yaml.safe_dump(job.parameters, sort_keys=False)
    if not path.is_file() or path.read_text() != text:
        with replace_file(path) as temporary:
            temporary.write_text(text)
    return path


def remove_foreign_records(jobs: list[Job], folder: Path) -> None:
    """Remove records that are damaged, or that a notebook run by hand has left with other parameters than the job's."""
    for job in jobs:
        path = folder / f"{job.name}.json"
        if path.is_file():
            try:
                parameters = json.loads(path.read_text())["parameters"]
            except (ValueError, KeyError, TypeError):
                parameters = None
            if parameters != job.parameters:
                path.unlink()


def run(settings: dict[str, Any], cores: int, extra: list[str]) -> int:
    """Run the workflow with Snakemake; print a line a finished job with the time left. Returns the exit status."""
    jobs = plan(settings)  # checks every setting, the names of the data sets among them
    check_raw(settings)
    if settings["device"].startswith("cuda"):
        from .training import resolve_device  # torch takes seconds to import, and nothing else here needs it

        resolve_device(settings["device"])
    folder = params.check("10_tables_and_figures", jobs[-1].parameters).results_root
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system even if this process is killed
        except BlockingIOError:
            raise UserError(f"another reproduction is writing to {folder}; wait for it, or set RESULTS.") from None
        return _run_locked(settings, jobs, folder, cores, extra, lock.fileno())


def _run_locked(
    settings: dict[str, Any], jobs: list[Job], folder: Path, cores: int, extra: list[str], lock: int
) -> int:
    if not {"-n", "--dry-run"} & set(extra):
        remove_foreign_records(jobs, folder)
    config = folder / "settings.yaml"
    with replace_file(config) as temporary:
        temporary.write_text(yaml.safe_dump(settings, sort_keys=False))
    print(
        f"profile {settings['profile']}: {settings['source']} data, {', '.join(settings['datasets'])}, "
        f"{len(settings['seeds'])} seeds, {settings['epochs']} epochs, {len(jobs)} notebooks, {cores} cores",
        flush=True,
    )
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", root() / "Snakefile", "--directory", root()),
        *("--configfile", config, "--cores", str(cores), "--rerun-incomplete", "--keep-going"),
        *("--rerun-triggers", "mtime", "--nolock", *extra),
    ]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    began, lines = time.time(), deque(maxlen=40)
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=(lock,),  # if this process alone is killed, Snakemake goes on, and so does the lock
    )
    with process, (folder / "snakemake.log").open("w") as log:
        names: dict[str, str] = {}
        finished = ""
        for line in process.stdout:
            log.write(line)
            log.flush()
            lines.append(line)
            if match := re.match(r"Job (\d+): (\S+)", line):
                names[match[1]] = match[2]
            elif match := re.match(r"Finished job(?:id)?:? (\d+)", line):
                finished = names.get(match[1], "")
            elif (match := re.match(r"(\d+) of (\d+) steps", line)) and finished:
                _progress(
                    int(match[1]), int(match[2]) - 1, finished, time.time() - began
                )  # less Snakemake's rule 'all'
    if process.returncode == 0:
        where = params.check("10_tables_and_figures", jobs[-1].parameters).figures_folder
        print(f"done in {_minutes(time.time() - began)}: tables and figures are in {where}", flush=True)
    else:
        _explain(jobs, folder, began, "".join(lines))
    return process.returncode


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _progress(done: int, of: int, name: str, seconds: float) -> None:
    left = seconds / done * (of - done)
    print(f"  {done:3d} of {of}  {name:32s} {_minutes(seconds)}, about {_minutes(left)} left", flush=True)


def _explain(jobs: list[Job], folder: Path, began: float, tail: str) -> None:
    """Say for each failed notebook what it said: its UserError, or the end of its log."""
    said = False
    for job in jobs:
        log = folder / f"{job.name}.log"
        if not log.is_file() or log.stat().st_mtime < began - 1 or (folder / f"{job.name}.ipynb").is_file():
            continue
        text = log.read_text(errors="replace")
        sentences = re.findall(r"^(?:\w+\.)*UserError: (.+)", text, re.MULTILINE)
        print(f"error: {job.name}: {sentences[-1] if sentences else f'failed; see {log}'}", file=sys.stderr)
        said = True
    if not said:
        print(f"error: Snakemake failed; see {folder / 'snakemake.log'}\n{tail}", file=sys.stderr)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m rdpd_nb.reproduce", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--datasets", default="", help="names separated by spaces")
    parser.add_argument("--source", default="")
    parser.add_argument("--raw", default="")
    parser.add_argument("--seeds", default="", help="how many, counted from 0")
    parser.add_argument("--epochs", default="")
    parser.add_argument("--scale", default="")
    parser.add_argument("--device", default="")
    parser.add_argument("--results", default="")
    parser.add_argument("--cores", default="")
    known, extra = parser.parse_known_args(arguments)
    try:
        settings = read_settings(
            known.profile,
            {
                "datasets": known.datasets.split() or None,
                "source": known.source or None,
                "raw": str(Path(known.raw).resolve()) if known.raw else None,
                "seeds": list(range(_number("SEEDS", known.seeds))) if known.seeds else None,
                "epochs": _number("EPOCHS", known.epochs) if known.epochs else None,
                "scale": _number("SCALE", known.scale, float) if known.scale else None,
                "device": known.device or None,
                "results": known.results or None,
            },
        )
        cores = _number("CORES", known.cores) if known.cores else len(os.sched_getaffinity(0))
        if cores < 1:
            raise UserError(f"CORES is {cores}; it should be at least 1.")
        return run(settings, cores, extra)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130


def _number(name: str, text: str, kind: type = int) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise UserError(f"{name} is '{text}'; it should be a number.") from None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
