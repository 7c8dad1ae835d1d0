"""The tiny profile on a real SLURM, with jobs, daemons and the submitting side killed half-way: `make test-slurm`.

As root on Debian or Ubuntu, where it installs slurm-wlm and munge if they are not there; elsewhere it skips.
It starts a cluster of one node on the loopback host, without accounting and cgroups. What a reproduction ends with
there is what it ends with on this machine alone.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
ETC = Path("/etc/slurm")  # Debian's; Snakemake's executor hides $SLURM_CONF from the srun inside a job
CONF = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
SlurmctldDebug=verbose
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=100000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=side Nodes=ALL MaxTime=INFINITE State=UP
"""
SAID = "submit_batch_job|_job_complete|KILL_JOB|equeu|ecover|Allocate|_start_job|Terminate|not responding"
RESULTS = "results of $(touch pwned) `touch pwned`"  # no shell on the way may read this
QUIET = 90  # seconds, in place of ten minutes: no job is as long here
MAIN = f"""
import sys
from rdpd_nb import cluster, reproduce
cluster.QUIET = {QUIET}
sys.exit(reproduce.main(sys.argv[1:]))
"""
ON_SLURM = ("--cluster", "slurm", "--slurm-init-seconds-before-status-checks", "2")
OTHERWISE = ("seconds", "git_commit", "sha256")  # of a record: of the moment, and the digest over all of it


def until(condition: Callable, seconds: float = 60):
    """What the condition says, as soon as it says something."""
    deadline = time.monotonic() + seconds
    while not (said := condition()):
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)
    return said


def ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def queue() -> list[str]:
    return ask("squeue", "--noheader", "--format", "%i").split()


def all_submitted() -> bool:
    """Whether no job has been added for five seconds: without slurmctld `sbatch` blocks, and Snakemake with it."""
    latest = ["squeue", "--noheader", "--format", "%i", "--states", "all", "--sort", "-i"]
    before = ask(*latest).split()[:1]
    time.sleep(5)
    return before == ask(*latest).split()[:1]


class Slurm:
    """A cluster of this machine; its daemons are children of this process."""

    def __init__(self):
        self.daemons: dict[str, subprocess.Popen] = {}
        self.folder = folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        folder.chmod(0o755)  # munged wants its socket where everybody may go
        host = socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            (folder / name).mkdir()
        (folder / "key").write_bytes(os.urandom(128))
        (folder / "key").chmod(0o600)
        ETC.mkdir(exist_ok=True)
        (ETC / "slurm.conf").write_text(CONF.format(host=host, folder=folder))
        (ETC / "gres.conf").write_text("Name=gpu File=/dev/null\n")  # a GPU in name alone
        munge = {"socket": "munge.socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        self._begin("munged", "--foreground", *(f"--{option}={folder / name}" for option, name in munge.items()))

    def _begin(self, name: str, *options: str) -> None:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.daemons[name] = subprocess.Popen([shutil.which(name), *options], **quiet)

    def begin(self) -> None:
        until(lambda: (self.folder / "munge.socket").exists())
        for name in ("slurmctld", "slurmd"):
            self._begin(name, "-D")
        until(lambda: re.match("idle|mix|alloc", ask("sinfo", "--noheader", "--format", "%T")))

    def end(self, number: int = signal.SIGKILL) -> None:
        """The daemons that run jobs; not the one by which they trust each other."""
        for name in ("slurmctld", "slurmd"):
            if name in self.daemons:
                self.daemons[name].send_signal(number)
                self.daemons[name].wait(60)

    def remove(self) -> None:
        if queue():
            ask("scancel", "--user", "root")
            until(lambda: not queue())
        self.end(signal.SIGTERM)
        self.daemons["munged"].terminate()
        self.daemons["munged"].wait(60)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink()
        shutil.rmtree(self.folder)

    def log(self) -> str:
        lines = (self.folder / "slurmctld.log").read_text().splitlines()
        return "\n".join(line for line in lines if re.search(SAID, line))


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    if os.geteuid():
        pytest.skip("needs root, to install SLURM and to start its daemons")
    if (ETC / "slurm.conf").exists():
        pytest.skip(f"{ETC / 'slurm.conf'} is there: this machine has a SLURM of its own")
    if not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))):
        if not shutil.which("apt-get"):
            pytest.skip("there is no apt-get, to install slurm-wlm and munge")
        for command in (["update"], ["install", "-y", "--no-install-recommends", "slurm-wlm", "munge"]):
            env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            done = subprocess.run(["apt-get", "-qq", *command], env=env, capture_output=True, text=True, timeout=600)
            if done.returncode:
                pytest.skip(f"slurm-wlm and munge cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    cluster = Slurm()
    try:
        cluster.begin()
        yield cluster
    finally:
        print(cluster.log())
        cluster.remove()


# ------------------------------------------------------------------------------------------------ reproductions


@pytest.fixture
def reproduce(slurm, tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Begins a reproduction; what of it still runs when the test has ended is stopped."""
    begun = []

    def begin(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-c", MAIN, "--profile", "tiny", "--results", tmp_path / RESULTS, *arguments]
        env = {**os.environ, "RDPD_DATA": str(tmp_path / "data")}
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        heard = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 (in the background a shell has it ignored)
        begun.append(subprocess.Popen(command, cwd=ROOT, env=env, preexec_fn=heard, **how))
        return begun[-1]

    yield begin
    for run in begun:
        run.terminate()
        run.wait()
    shutil.rmtree(tmp_path)


def said(run: subprocess.Popen) -> str:
    text, _ = run.communicate(timeout=1200)
    print(text)
    return text


def running(run: subprocess.Popen, *names: str) -> tuple[str, psutil.Process, str]:
    """The first of these notebooks of the run whose kernel has begun: its name, its papermill, its job of SLURM's."""

    def look() -> tuple[str, psutil.Process, str] | None:
        assert run.poll() is None, said(run)
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # it has ended
                command = " ".join(process.cmdline())
                named = [name for name in names if f"/{name}.part.ipynb" in command]
                if named and (job := process.environ().get("SLURM_JOB_ID")) and process.children():
                    return named[0], process, job

    return until(look, 900)


def made(folder: Path) -> dict[str, object]:
    """What is in every file that a reproduction has left; of those that tell of the moment, that they are there."""
    found = {}
    for path in filter(Path.is_file, folder.rglob("*")):
        name, told = str(path.relative_to(folder)), "latency" in path.name or path.name == ".lock"
        if path.suffix == ".json":
            inside = {key: value for key, value in json.loads(path.read_text()).items() if key not in OTHERWISE}
        else:
            inside = None if told or path.suffix in (".ipynb", ".log") else path.read_bytes()
        found[name] = inside
    return found


STUDENTS = [f"lead_i/{method}" for method in ("direct", "kd", "rdpd_r1", "rdpd_r2", "rdpd")]


def test_a_run_on_slurm_with_all_sorts_killed_leaves_what_a_run_on_this_machine_leaves(slurm, reproduce, tmp_path):
    began = time.monotonic()
    alone = reproduce("--cores", "2")
    assert "done in" in said(alone) and alone.returncode == 0
    expected = made(tmp_path / RESULTS)
    shutil.rmtree(tmp_path / RESULTS)
    shutil.rmtree(tmp_path / "data")
    print(f"on this machine alone: {time.monotonic() - began:.0f} s")
    kinds = Counter(Path(name).suffix for name, inside in expected.items() if inside is not None)
    print(f"{kinds.total()} files to compare: {', '.join(f'{kinds[kind]} {kind}' for kind in sorted(kinds))}")
    assert set(kinds) == {".csv", ".json", ".md", ".npz", ".png", ".safetensors", ".tex", ".yaml"}

    began = time.monotonic()
    run = reproduce(*ON_SLURM)
    *_, job = running(run, "all/preprocessing")
    print(f"job {job}, the preprocessing, is cancelled by scancel")
    ask("scancel", job)
    _, papermill, job = running(run, "all/teacher")
    print(f"job {job}, the teacher: its kernel is killed by kill -9")
    papermill.children()[0].kill()
    running(run, *STUDENTS)
    until(all_submitted)
    first, _, job = running(run, *STUDENTS)
    print(f"job {job}, {first}, runs; slurmctld and slurmd are killed by kill -9 until Snakemake has asked in vain")
    slurm.end()
    asking = ["scontrol", "show", "config"]
    until(lambda: asking in [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])], 240)
    time.sleep(20)
    slurm.begin()
    second, _, job = running(run, *(name for name in STUDENTS if name != first))
    print(f"job {job}, {second}, is put back into the queue by scontrol requeue")
    ask("scontrol", "requeue", job)
    *_, job = running(run, "tiny/tables")
    print(f"job {job}, the tables, runs; all that submits is killed by kill -9, as where the login node goes down")
    for process in (*psutil.Process(run.pid).children(), run):
        process.kill()
    text = said(run)
    assert re.search(r"\d+ of \d+ +ptbdb/all/teacher .* left", text), "no progress with the time left"
    assert "SLURM ended its job (CANCELLED)" in text and "started again" in text
    refused = reproduce(*ON_SLURM)
    (command,) = re.findall(r"scancel [\d ]+$", said(refused), re.MULTILINE)
    assert refused.returncode == 2 and job in command.split()
    ask(*command.split())
    until(lambda: not queue())
    again = reproduce(*ON_SLURM)
    assert "done in" in said(again) and again.returncode == 0
    print(f"on SLURM: {time.monotonic() - began:.0f} s")

    found = made(tmp_path / RESULTS)
    assert set(found) == set(expected)
    assert [name for name in found if found[name] != expected[name]] == []
    assert not list(ROOT.glob("pwned")) and not list(tmp_path.rglob("pwned"))


def test_a_gpu_is_asked_for_where_it_trains_in_a_partition_of_ones_own_and_ctrl_c_takes_the_jobs_back(
    reproduce, tmp_path, monkeypatch
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.yaml").write_text("default-resources: {slurm_partition: side}\n")
    monkeypatch.setenv("SNAKEMAKE_PROFILE", str(tmp_path / "mine"))
    run = reproduce(*ON_SLURM, "--device", "cuda")
    asked = {}
    for name in ("all/preprocessing", "all/teacher"):
        *_, job = running(run, name)
        asked[name] = dict(re.findall(r"(Partition|TresPerJob|TimeLimit)=(\S+)", ask("scontrol", "show", "job", job)))
    run.send_signal(signal.SIGINT)
    said(run)
    assert run.returncode == 130 and until(lambda: not queue())
    assert asked["all/preprocessing"] == {"Partition": "side", "TimeLimit": "02:00:00"}
    assert asked["all/teacher"] == {"Partition": "side", "TimeLimit": "08:00:00", "TresPerJob": "gres:gpu:1"}
