"""`python -m rdpd_nb.reproduce`: checks a profile, writes each notebook's parameters, calls Snakemake, prints progress.

Which notebooks there are, with which parameters, says `jobs.plan`; what waits for what, the Snakefile.
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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from . import cluster as clusters
from . import params
from .errors import UserError
from .files import replace_file, root
from .jobs import Job, check_data, plan, read_settings, write_parameters


def remove_foreign_records(jobs: list[Job], folder: Path) -> None:
    """Remove records that are damaged, or that a notebook run by hand has left with other parameters than the job's."""
    for job in jobs:
        path = folder / f"{job.name}.json"
        if path.is_file():
            parameters = None
            with suppress(ValueError, KeyError, TypeError):
                parameters = json.loads(path.read_text())["parameters"]
            if parameters != job.parameters:
                path.unlink()


def run(settings: dict[str, Any], cores: int, extra: list[str], cluster: str = "") -> int:
    """Run the workflow with Snakemake; print a line a finished job with the time left. Returns the exit status.

    cores: how many at once, of the cluster if one is named; 0 (of a cluster alone): as many as its profile says.
    extra: options for Snakemake. A dry run leaves every file as it was, but for Snakemake's log.
    """
    jobs = plan(settings)  # checks every setting, the names of the data sets among them
    check_data(settings)
    if settings["device"].startswith("cuda") and not cluster:  # there the nodes have them
        from .engine.device import resolve_device  # torch takes seconds to import, and nothing else here needs it

        resolve_device(settings["device"])
    tables = params.check(jobs[-1].notebook, jobs[-1].parameters)
    folder = tables.results_root
    folder.mkdir(parents=True, exist_ok=True)
    where = [cluster] * bool(cluster) + [f"{cores} cores"] * bool(cores)
    print(f"profile {settings['profile']}: {len(jobs)} notebooks, {', '.join(where)}", flush=True)
    for dataset, own in settings["datasets"].items():
        seeds = f"{len(own['seeds'])} seed{'s' * (len(own['seeds']) > 1)}"
        print(f"  {dataset}: {own['source']} data, {seeds}, {own['epochs']} epochs at most", flush=True)
    config, dry, began = folder / "settings.yaml", bool({"-n", "--dry-run"} & set(extra)), time.time()
    written = [config, *(folder / f"{job.name}.parameters.yaml" for job in jobs)]
    with _locked(folder) as lock, _put_back(written if dry else []):
        chosen = ["--cores", str(cores)] * bool(cores) + (clusters.options(cluster, folder) if cluster else [])
        with replace_file(config) as temporary:
            temporary.write_text(yaml.safe_dump(settings, sort_keys=False))
        for job in jobs:
            write_parameters(job, folder)
        if not dry:
            remove_foreign_records(jobs, folder)
        failed, tail = _snakemake(config, [*chosen, *extra], folder / "snakemake.log", lock)
    if failed:
        _explain(jobs, folder, began, tail)
    elif dry:
        print(f"nothing was run; {folder / 'snakemake.log'} says what would be")
    else:
        print(f"done in {_minutes(time.time() - began)}: tables and figures are in {tables.figures_folder}", flush=True)
    return failed


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Yield the lock of a results folder; UserError if another reproduction has it."""
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system even if this process is killed
        except BlockingIOError:
            raise UserError(f"another reproduction is writing to {folder}; wait for it, or set RESULTS.") from None
        yield lock.fileno()


@contextmanager
def _put_back(paths: list[Path]) -> Iterator[None]:
    """Leave these files as they were before, with their times."""
    before = {path: (path.read_bytes(), path.stat()) if path.is_file() else None for path in paths}
    try:
        yield
    finally:
        for path, was in before.items():
            if was is None:
                path.unlink(missing_ok=True)
            elif path.read_bytes() != was[0]:
                path.write_bytes(was[0])
            if was:
                os.utime(path, ns=(was[1].st_atime_ns, was[1].st_mtime_ns))


def _snakemake(config: Path, options: list[str], log: Path, lock: int) -> tuple[int, str]:
    """Run Snakemake with a line of ours a finished job; return its exit status and the end of what it said."""
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", root() / "Snakefile", "--directory", root()),
        *("--configfile", config, "--rerun-incomplete", "--keep-going"),
        *("--rerun-triggers", "mtime", "--nolock", *options),
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=(lock,),  # if this process alone is killed, Snakemake goes on, and so does the lock
    )
    began, tail, names, finished = time.time(), deque(maxlen=40), {}, ""
    with process, log.open("w") as file:
        for line in process.stdout:
            file.write(line)
            file.flush()
            tail.append(line)
            if match := re.match(r"Job (\d+): (\S+)", line):
                names[match[1]] = match[2]
            elif match := re.match(r"Finished job(?:id)?:? (\d+)", line):
                finished = names.get(match[1], "")
            elif (match := re.match(r"(\d+) of (\d+) steps", line)) and finished:
                done, of, seconds = int(match[1]), int(match[2]) - 1, time.time() - began  # less Snakemake's rule 'all'
                left = f"{_minutes(seconds)}, about {_minutes(seconds / done * (of - done))} left"
                print(f"  {done:3d} of {of}  {finished:32s} {left}", flush=True)
    return process.returncode, "".join(tail)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _explain(jobs: list[Job], folder: Path, began: float, tail: str) -> None:
    """Say for each failed notebook what it said: its UserError, or the end of its log."""
    said = False
    for job in jobs:
        log = folder / f"{job.name}.log"
        if not log.is_file() or log.stat().st_mtime < began - 1 or (folder / f"{job.name}.ipynb").is_file():
            continue
        sentences = re.findall(r"^(?:\w+\.)*UserError: (.+)", log.read_text(errors="replace"), re.MULTILINE)
        print(f"error: {job.name}: {sentences[-1] if sentences else f'failed; see {log}'}", file=sys.stderr)
        said = True
    if not said:
        print(f"error: Snakemake failed; see {folder / 'snakemake.log'}\n{tail}", file=sys.stderr)


# What the command line may set in place of the profile, and how its text is read.
OPTIONS = {
    "datasets": str.split,  # names separated by spaces
    "source": str,
    "raw": lambda text: str(Path(text).resolve()),
    "seeds": lambda text: list(range(int(text))),  # how many, counted from 0
    "epochs": int,
    "scale": float,
    "device": str,
    "results": str,
    "cores": int,
    "cluster": str,  # a folder under profiles/
}


def main(arguments: list[str]) -> int:
    """Exit status: Snakemake's, 2 for a setting that is wrong, 130 where it was stopped."""
    parser = argparse.ArgumentParser(prog="python -m rdpd_nb.reproduce", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo")
    for name in OPTIONS:
        parser.add_argument(f"--{name}", default="", help="in place of the profile's; see `make help`")
    known, extra = parser.parse_known_args(arguments)
    try:
        given = {name: _read(name, text) for name in OPTIONS if (text := getattr(known, name).strip())}
        cluster, cores = given.pop("cluster", ""), given.pop("cores", None)
        if cores is not None and cores < 1:
            raise UserError(f"CORES is {cores}; it should be at least 1.")
        cores = cores or (0 if cluster else usable_cores())
        return run(read_settings(known.profile, given), cores, extra, cluster)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130


def usable_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(name: str, text: str) -> Any:
    words = {"seeds": "how many seeds, a whole number from 1", "scale": "a number"}.get(name, "a whole number")
    with suppress(ValueError):
        if (value := OPTIONS[name](text)) != []:
            return value
    raise UserError(f"{name.upper()} is '{text}'; it should be {words}.")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
