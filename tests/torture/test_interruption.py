"""A reproduction that is killed, stopped, cut off from its disk or run twice, then run again: the same numbers."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from outcome import COUNTS
from safetensors.numpy import load_file

from rdpd_nb.record_file import OF_ONE_RUN

ROOT = Path(__file__).resolve().parents[2]
PROFILE = """
source: simulated
datasets: {ptbdb: {}}
raw: ""
scale: 0.0
seeds: [0, 1]
epochs: 60
patience: 0
updates: []
labelled: 1.0
device: cpu
switches: {}
sweeps:
related: {hinton: {task: digits, seeds: [0], epochs: 12, teacher_epochs: 12, temperatures: [20], alpha: 0.9}}
"""


def heed_all() -> None:
    """Where the tests run in the background, a shell has Ctrl-C ignored, and nohup SIGHUP."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Project:
    """A project with a profile of its own, whose trainings are long enough that kills find checkpoints."""

    def __init__(self, folder: Path):
        self.folder, self.results = folder, folder / "kept"  # a name that is not the default takes the figures along
        for name in ("notebooks", "Snakefile"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "profiles").mkdir()
        (folder / "profiles/long.yaml").write_text(PROFILE)
        self.log = self.results / "long/snakemake.log"
        began = time.monotonic()
        status, out, err = self.run()
        assert status == 0, out + err
        self.seconds = time.monotonic() - began  # of a run without a stop
        self.reference = self.results.rename(folder / "reference")

    def start(self) -> subprocess.Popen:
        command = [sys.executable, "-m", "rdpd_nb.reproduce", "--profile", "long", "--results", str(self.results)]
        own = {"RDPD_DATA": str(self.folder / "data"), "RDPD_CHECKPOINT_SECONDS": "0.2", "PYTHONPATH": str(ROOT)}
        return subprocess.Popen(
            [*command, "--cores", "2"], cwd=self.folder, env=os.environ | own, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_all,
        )  # fmt: skip

    def run(self) -> tuple[int, str, str]:
        process = self.start()
        out, err = process.communicate(timeout=900)
        return process.returncode, out, err

    def again(self, *lost: str) -> None:
        """The whole results, less some files: patterns as '**/lead_i/rdpd.*'."""
        shutil.rmtree(self.results, ignore_errors=True)
        shutil.copytree(self.reference, self.results)
        for path in [path for pattern in lost for path in self.results.glob(pattern) if path.is_file()]:
            path.unlink()

    def checkpoints(self, since: float = 0) -> list[Path]:
        """Those there are, written after a time; one that is gone meanwhile is not."""
        found = []
        for path in self.results.glob("long/**/*.checkpoints/**/*.safetensors"):
            with suppress(FileNotFoundError):
                found += [path] * (path.stat().st_mtime > since)
        return found

    def stage(self, began: float) -> str:
        """What a reproduction that began then is at, by its checkpoints and by Snakemake's log. A checkpoint goes when
        the scores are there."""
        if self.checkpoints(began):
            return "training"
        text = self.log.read_text() if self.log.exists() else ""
        ended = re.findall(r"^Finished jobid: (\d+)", text, re.MULTILINE)
        names = [name for number, name in re.findall(r"^Job (\d+): (\S+)", text, re.MULTILINE) if number not in ended]
        for stage in ("preprocessing", "tables"):
            if any(name.endswith(stage) for name in names):
                return stage
        return "before or after a training" if names else "no notebook"

    def finish_and_compare(self) -> None:
        status, out, err = self.run()
        assert status == 0, out + err
        compare(self.results, self.reference)
        left = [path for path in self.folder.rglob("*") if re.search(r"^\.rdpd-|\.part\.|\.checkpoints$", path.name)]
        assert not left


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """A project whose reference has run without a stop."""
    return Project(tmp_path_factory.mktemp("interruption"))


def compare(one: Path, other: Path, so_far: bool = False) -> None:
    """Tables, figures, records and tensors are equal, but for when and where they were made; `so_far`: those there."""
    names, there = ({path.relative_to(f) for path in f.rglob("*") if path.suffix in READ} for f in (other, one))
    names, there = names - TIMES, there - TIMES
    assert {name.suffix for name in names} == READ.keys() and Path("figures/long/table3.csv") in names
    assert so_far or names == there
    for name in sorted(names & there):
        a, b = (READ[name.suffix](folder / name) for folder in (one, other))
        if name.suffix in (".npz", ".safetensors"):
            assert a.keys() == b.keys(), name
            assert all(np.array_equal(a[key], b[key], equal_nan=a[key].dtype.kind == "f") for key in a), name
        else:
            assert a == b, name


def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def timeless(path: Path) -> dict:
    """JSON without what may differ from run to run, and the digests over it."""

    def less(value):
        if isinstance(value, dict):
            return {k: less(v) for k, v in value.items() if k not in (*OF_ONE_RUN, "sha256", "files")}
        return [less(item) for item in value] if isinstance(value, list) else value

    return less(json.loads(path.read_text()))


READ: dict[str, Callable] = {
    ".csv": Path.read_bytes, ".md": Path.read_bytes, ".tex": Path.read_bytes, ".png": Path.read_bytes,
    ".json": timeless, ".npz": arrays, ".safetensors": load_file,
}  # fmt: skip
TIMES = {Path("long/table5_latency.csv")}  # milliseconds, measured anew


# ------------------------------------------------------------------------------------------------------ processes


def descendants(pid: int) -> set[int]:
    """All that a process has started, in whichever session."""
    parent = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = set(), {pid}
    while new:
        found |= new
        new = {child for child, of in parent.items() if of in new} - found
    return found - {pid}


def alive(pids: set[int]) -> set[int]:
    """Those that have not ended; a zombie has."""
    found = set()
    for pid in pids:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX":
                found.add(pid)
        except OSError:
            continue
    return found


def kill(process: subprocess.Popen, whole: bool) -> None:
    """Kill -9 a reproduction: it alone, or all it has started too, as when the power fails. Then nothing is left."""
    started = descendants(process.pid)
    for pid in [process.pid, *(started if whole else ())]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.communicate()
    ended = until(lambda: not alive(started), 30)
    assert ended, f"still there: {alive(started)}"


def until(condition: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(held)


@pytest.fixture
def training(project) -> Iterator[subprocess.Popen]:
    """A reproduction that is just training its last method, of which a checkpoint is there."""
    project.again("**/lead_i/rdpd.*")
    process = project.start()
    assert until(lambda: project.checkpoints() or process.poll() is not None, 300) and process.poll() is None
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


# ---------------------------------------------------------------------------------------------------------- tests


# What is lost, and the kills that follow one another: some time after the start, or after the first checkpoint.
ROUNDS = {
    "**/*": 6 * ["start", "checkpoint"],
    "**/lead_i/rdpd.*": 2 * ["start", "checkpoint"],
    "**/digits/hinton.*": 2 * ["start", "checkpoint"],
    "**/tables.ipynb": 4 * ["start"],
}


def test_killed_at_random_moments_it_goes_on_to_the_same_numbers(project):
    """Every second pair of times with all it has started. Times are those of a seed and of the length of a whole run;
    what runs then is up to the machine."""
    shutil.rmtree(project.folder / "data")
    drawn, killed, trained, resumed = random.Random(20260101), 0, 0, 0
    for lost, kills in ROUNDS.items():
        project.again(lost)
        while kills:
            project.log.unlink(missing_ok=True)
            began, process, most = time.time(), project.start(), project.seconds / 8
            if kills[0] == "checkpoint":
                until(lambda: process.poll() is not None or project.checkpoints(began), 300)  # noqa: B023
                most = project.seconds / 60
            try:
                out, err = process.communicate(timeout=drawn.uniform(0, most))
            except subprocess.TimeoutExpired:
                stage = project.stage(began)
                kill(process, whole=killed % 4 >= 2)
                killed, kills, trained = killed + 1, kills[1:], trained + (stage == "training")
                COUNTS["kills", stage] += 1
                compare(project.results, project.reference, so_far=True)
            else:
                assert process.returncode == 0, out + err
                project.again(lost)  # it was done before: something to do for the next one
        project.finish_and_compare()
        said = [path.read_text() for path in project.results.rglob("*.ipynb")]
        resumed += sum("going on after epoch" in text or "trained before, taken over" in text for text in said)
    assert trained >= 4 and resumed >= 2, f"{trained} kills have hit a training, {resumed} trainings were taken up"
    COUNTS["interruption", "trainings taken up from their last checkpoint"] += resumed


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_it_says_so_leaves_nothing_and_goes_on(project, training, number, status):
    started = descendants(training.pid)
    training.send_signal(number)
    _, err = training.communicate(timeout=60)
    assert training.returncode == status and err == "stopped; the same command goes on where it was\n"
    assert until(lambda: not alive(started), 30), f"still there: {alive(started)}"
    assert project.checkpoints()
    project.finish_and_compare()
    COUNTS["interruption", "stopped by a signal, then the same numbers"] += 1


def test_a_second_one_in_the_same_folder_is_refused_and_the_first_goes_on(project, training):
    status, _, err = project.run()
    assert status == 2 and err.count("\n") == 1, err
    assert f"another reproduction (process {training.pid} on " in err and str(project.results) in err
    out, err = training.communicate(timeout=900)
    assert training.returncode == 0, out + err
    compare(project.results, project.reference)
    COUNTS["interruption", "second one refused"] += 1


def test_what_a_power_cut_leaves_of_files_is_made_again(project, training):
    """A rename that the disk has not seen (the file is missing), or its content (the file is empty, or cut)."""
    kill(training, whole=True)
    ours = project.results / "long/ptbdb/lead_i"
    damaged = [
        *cut(0.5, *project.checkpoints(), ours / "rdpd_r1.ipynb"),
        *cut(0, project.results / "long/settings.yaml", project.results / "long/tables.parameters.yaml"),
        *cut(0, *(path for path in (project.folder / ".snakemake").rglob("*") if path.is_file())),
    ]
    (ours / "kd.safetensors").unlink()
    before = {path: path.stat().st_mtime for path in project.results.rglob("*.json")}
    project.finish_and_compare()
    for name in ("all/preprocessing", "all/teacher", "lead_i/direct", "lead_i/rdpd_r2"):
        path = project.results / f"long/ptbdb/{name}.json"
        assert path.stat().st_mtime == before[path], "what was whole is made again, too"
    json.loads((ours / "rdpd_r1.ipynb").read_text())
    COUNTS["interruption", "files lost or cut, then the same numbers"] += len(damaged) + 1


def cut(part: float, *paths: Path) -> tuple[Path, ...]:
    """Keep the first part of these files, with their times."""
    for path in paths:
        status = path.stat()
        os.truncate(path, int(status.st_size * part))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return paths


def test_a_full_disk_is_said_and_enlarged_it_goes_on(project):
    """Results on a small disk of its own (tmpfs), with room for a record and no weights."""

    def mount(*options: str) -> bool:
        return subprocess.run(["mount", *options, project.results], capture_output=True).returncode == 0

    shutil.rmtree(project.results, ignore_errors=True)
    project.results.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=64m", "rdpd"):
        pytest.skip("no disk can be mounted here: it takes root")
    try:
        shutil.copytree(project.reference, project.results, dirs_exist_ok=True)
        for path in (project.results / "long/ptbdb/lead_i").glob("rdpd.*"):
            path.unlink()
        used = sum(path.stat().st_blocks * 512 for path in project.results.rglob("*"))
        assert mount("-o", f"remount,size={used // 1024 + 96}k")
        status, out, err = project.run()
        said = err.splitlines()  # of the notebook; and of the command, whose log is on the same disk
        assert status != 0 and 1 <= len(said) <= 2, err
        assert all(re.match(r"error: .+ could not be written.*No space left on device", line) for line in said), err
        assert mount("-o", "remount,size=64m")
        project.finish_and_compare()
    finally:
        subprocess.run(["umount", project.results], check=True)
    COUNTS["interruption", "disk full, then the same numbers"] += 1
