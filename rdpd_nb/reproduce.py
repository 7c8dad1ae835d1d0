"""`python -m rdpd_nb.reproduce`: checks a profile, writes each notebook's parameters, calls Snakemake, prints progress.

Which notebooks there are, with which parameters, says `jobs.plan`; what waits for what, the Snakefile.
"""

import argparse
import errno
import fcntl
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import yaml

from . import cluster as clusters
from . import params, processes
from .errors import UserError, short
from .files import MACHINE, loads, replace_file, root
from .jobs import Job, check_data, plan, read_settings, write_parameters
from .kinds import KINDS, MOST_SEEDS
from .record_file import other_files, read_record

MOST = 1024  # cores
ADDRESSES = 2_500_000_000  # bytes a notebook's process must be able to ask for (ulimit -v): PyTorch takes most of them
RESTARTS = 3  # of a Snakemake that loses sight of its jobs, one after another without a notebook done
ENDING = 20  # seconds within which a killed run's processes are gone


def remove_foreign_records(jobs: list[Job], folder: Path, dry: bool = False) -> list[Path]:
    """Remove records, with a word, that cannot be believed or whose weights and predictions are not theirs any more;
    and those that a notebook run by hand has left with other parameters than the job's. Also executed notebooks that a
    power cut has left empty or cut: papermill does not wait until what it writes is on the disk. Returns which they
    are; `dry` leaves them."""
    foreign = []
    for job in jobs:
        path, notebook = folder / f"{job.name}.json", folder / f"{job.name}.ipynb"
        if notebook.is_file():
            try:
                loads(notebook, "it is made again")
            except UserError as error:
                print(f"  {error}", flush=True)
                foreign.append(notebook)
        if path.is_dir():
            raise UserError(f"{path} is a folder where a record should be; move it away.")
        if os.path.lexists(path):
            parameters = None
            try:
                record = read_record(path, "it is made again")
                other_files(path, record, "it is made again")
                parameters = record["parameters"]
            except UserError as error:
                print(f"  {error}", flush=True)
            if parameters != job.parameters:
                foreign.append(path)
    for path in foreign if not dry else []:
        path.unlink()
    return foreign


def run(settings: dict[str, Any], cores: int, extra: list[str], cluster: str = "", dry: bool = False) -> int:
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
    _check_place(folder)
    where = [cluster] * bool(cluster) + [f"{cores} cores"] * bool(cores)
    print(f"profile {settings['profile']}: {len(jobs)} notebooks, {', '.join(where)}", flush=True)
    for dataset, own in settings["datasets"].items():
        seeds = f"{len(own['seeds'])} seed{'s' * (len(own['seeds']) > 1)}"
        print(f"  {dataset}: {own['source']} data, {seeds}, {own['epochs']} epochs at most", flush=True)
    for system, own in settings["related"].items():
        print(f"  {system}: {own['task']}, as the profile has it", flush=True)
    config, began = folder / "settings.yaml", time.time()
    written = [config, *(folder / f"{job.name}.parameters.yaml" for job in jobs)]
    with _locked(folder) as lock, _put_back(written if dry else []):
        there, name = clusters.options(cluster, folder) if cluster else ([], "")
        with replace_file(config) as temporary:
            temporary.write_text(yaml.safe_dump(settings, sort_keys=False))
        if not dry:
            _end_the_future(folder, config.stat().st_mtime)
        for job in jobs:
            write_parameters(job, folder)
        foreign = remove_foreign_records(jobs, folder, dry)
        options = ["--cores", str(cores)] * bool(cores) + there + extra
        if dry:
            options += ["--forcerun", *map(str, foreign)] * bool(foreign) + ["--dry-run"]
        status, failed = _snakemake(config, options, folder, lock, name)
    if status and failed:
        print(f"not done: {', '.join(sorted(failed))} failed; the same command goes on where it was", flush=True)
    elif status:
        print(f"error: Snakemake failed: {_cause(folder / 'snakemake.log', {})}", file=sys.stderr)
    elif dry:
        print(f"nothing was run; {folder / 'snakemake.log'} says what would be")
    else:
        print(f"done in {_minutes(time.time() - began)}: tables and figures are in {tables.figures_folder}", flush=True)
    return status


def _check_place(folder: Path) -> None:
    """Make the folder of results. Raises UserError for a place where they cannot be."""
    if re.search(r"[{}]", str(folder)):
        raise UserError(f"RESULTS: {folder} has {{ or }} in it, Snakemake's mark of a wildcard; name another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"RESULTS: {folder} cannot be written ({error.strerror}); name another folder.") from None


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Yield the lock of a results folder, which says who has it; UserError if another reproduction has."""
    path, patient = folder / ".lock", time.monotonic() + ENDING
    try:
        lock = path.open("a+")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}); delete it, or set RESULTS.") from None
    with lock:
        while not _lock(lock):
            lock.seek(0)
            who, _, machine = lock.read().strip().partition("\n")
            pid, _, host = who.partition(" on ")
            killed = machine == MACHINE and pid.isdecimal() and not processes.runs(int(pid))
            if not killed or time.monotonic() > patient:
                what = "what a killed reproduction has started" if killed else "another reproduction"
                raise UserError(f"{what} (process {pid} on {host}) writes to {folder}; wait for it, or set RESULTS.")
            time.sleep(0.2)  # what it has started is about to end
        lock.truncate(0)
        lock.write(f"{os.getpid()} on {socket.gethostname()}\n{MACHINE}")
        lock.flush()
        yield lock.fileno()


def _lock(file: IO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system even if this process is killed
    except BlockingIOError:
        return False
    except OSError as error:  # a shared file system that is mounted without locks
        if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        print(f"  {file.name}: no locks here ({error.strerror}); see to it that no other reproduction writes there")
    return True


def _end_the_future(folder: Path, now: float) -> None:
    """Give files whose time is yet to come, from a clock that was ahead, a time just before now: what is made from them
    would look too old to Snakemake and be thrown away, and they themselves too new to be made again."""
    ahead = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mtime > now]
    for path in ahead:
        os.utime(path, (now - 2, now - 2))  # before what is written next, also where times are whole seconds
    if ahead:
        print(f"  {len(ahead)} files in {folder} were of the future, by a clock that was ahead; now they are of today")


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


def _snakemake(
    config: Path, options: list[str], folder: Path, lock: int, slurm: str = "", in_vain: int = 0
) -> tuple[int, set[str]]:
    """Run Snakemake with a line of ours a finished or failed job; return its exit status and the failed jobs' names.

    slurm: what its jobs there are called; it is started again where it has lost sight of them. in_vain: how often it
    was, and did nothing. Raises UserError where that has no end.
    """
    command = [
        *(sys.executable, "-m", "snakemake", "--snakefile", root() / "Snakefile", "--directory", root()),
        *("--configfile", config, "--rerun-incomplete", "--keep-going"),
        *("--rerun-triggers", "mtime", "--nolock", *options),
    ]
    how = {
        "env": {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"},
        "pass_fds": (lock,),  # if this process is killed, the lock is there for as long as Snakemake
    }
    began, names, finished, failed, ended, lost = time.time(), {}, "", set(), "", threading.Event()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.log")}  # a node's clock need not be this one's
    with (folder / "snakemake.log").open("w") as file, processes.ending_with_us(command, **how) as process:
        if slurm:
            threading.Thread(target=clusters.kill_if_lost, args=(process, slurm, lost), daemon=True).start()
        for line in process.stdout:
            file.write(line)
            file.flush()
            if match := re.match(r"Job (\d+): (\S+)", line):
                names[match[1]] = match[2]
            elif match := re.match(r"Finished job(?:id)?:? (\d+)", line):
                finished = names.get(match[1], "")
                failed.discard(finished)  # a cluster's jobs are tried again
            elif match := re.match(r"    message: SLURM-job .* SLURM status is: '(\w+)'", line):
                ended = match[1].replace("FAILED", "")  # else TIMEOUT, CANCELLED, NODE_FAIL, ...
            elif match := re.match(r"    jobid: (\d+)", line):  # of an error
                name = names.get(match[1])
                if name and name not in failed:
                    why = f"SLURM ended its job ({ended})" if ended else _cause(folder / f"{name}.log", before)
                    print(f"error: {name}: {why}", file=sys.stderr, flush=True)
                    failed.add(name)
                ended = ""
            elif (match := re.match(r"(\d+) of (\d+) steps", line)) and finished:
                done, of, seconds = int(match[1]), int(match[2]) - 1, time.time() - began  # less Snakemake's rule 'all'
                left = f"{_minutes(seconds)}, about {_minutes(seconds / done * (of - done))} left"
                print(f"  {done:3d} of {of}  {finished:32s} {left}", flush=True)
    if lost.is_set():
        in_vain = 0 if finished else in_vain + 1
        if in_vain > RESTARTS:
            raise UserError(
                f"SLURM's queue shows none of the jobs Snakemake has submitted, {in_vain} times one after another; "
                f"see {folder / 'snakemake.log'}, and whether `squeue --me` lists jobs of yours."
            )
        print("SLURM has none of the jobs that Snakemake waits for; it is started again", flush=True)
        return _snakemake(config, options, folder, lock, slurm, in_vain)
    return process.returncode, failed


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _cause(log: Path, before: dict[Path, int]) -> str:
    """What a program that failed has said: a UserError's sentence, else the last error in its log, if that is not one
    of those from before."""
    said = log.is_file() and log.stat().st_mtime_ns != before.get(log)
    text = log.read_text(errors="replace") if said else ""
    if sentences := re.findall(r"^(?:\w+\.)*UserError: (.+)", text, re.MULTILINE):
        return sentences[-1]
    errors = re.findall(r"^(?:\S+: )?((?:[\w.]*(?:Error|Exception)|error):\s+.+)", text, re.MULTILINE)
    last = " ".join(errors[-1].split()).rstrip(".") if errors else "it ended without a word"
    memory = ", most often because memory was short: set CORES lower" if "Kernel died" in last else ""
    return f"{last}{memory}; see {log}."


# What the command line may set in place of the profile, and how its text is read.
OPTIONS = {
    "datasets": str.split,  # names separated by spaces
    "source": str,
    "raw": lambda text: str(Path(text).resolve()),
    "seeds": lambda text: list(range(min(int(text), MOST_SEEDS + 1))),  # how many, counted from 0
    "epochs": int,
    "scale": float,
    "device": str,
    "results": str,
    "cores": int,
    "cluster": str,  # a folder under profiles/
}


def main(arguments: list[str]) -> int:
    """Exit status: Snakemake's, 2 for a setting that is wrong, 130 where it was stopped (SIGTERM: 143, SIGHUP: 129)."""
    parser = argparse.ArgumentParser(prog="python -m rdpd_nb.reproduce", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo")
    for name in OPTIONS:
        parser.add_argument(f"--{name}", default="", help="in place of the profile's; see `make help`")
    parser.add_argument("-n", "--dry-run", "--dryrun", action="store_true", help="only say what would be run")
    known, extra = parser.parse_known_args(arguments)
    try:
        _check_memory()
        given = {name: _read(name, text) for name in OPTIONS if (text := getattr(known, name).strip())}
        cluster, cores = given.pop("cluster", ""), given.pop("cores", None)
        if cores is not None and not 1 <= cores <= MOST:
            raise UserError(f"CORES is {short(cores)}; it should be from 1 to {MOST}.")
        cores = cores or (0 if cluster else usable_cores())
        return run(read_settings(known.profile, given), cores, extra, cluster, known.dry_run)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # of a log or what is printed, e.g. because the disk is full
        what = error.filename or "its log, or what it prints, could not be written"
        print(f"error: {what}: {error.strerror}; the same command goes on", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return processes.exit_status(error)


def _check_memory() -> None:
    """Raises UserError where `ulimit -v` is too low for a notebook, which would end at its first import."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < ADDRESSES:
        raise UserError(
            f"this shell allows a process {limit / 1e6:.0f} MB of memory (ulimit -v), and a notebook needs "
            f"{ADDRESSES / 1e6:.0f}; allow more, or `ulimit -v unlimited`."
        )


def usable_cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _read(name: str, text: str) -> Any:
    words = {"seeds": "how many seeds, a whole number from 1", "scale": "a number", "raw": KINDS["raw"][1]}
    with suppress(ValueError, OverflowError):
        if (value := OPTIONS[name](text)) != []:
            return value
    raise UserError(f"{name.upper()} is {short(text)}; it should be {words.get(name, 'a whole number')}.")


if __name__ == "__main__":
    processes.stop_on_signals()
    raise SystemExit(main(sys.argv[1:]))
