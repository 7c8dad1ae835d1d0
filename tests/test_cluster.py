"""What is said before a reproduction goes to a cluster, and what Snakemake is asked. With a real SLURM: tests/slurm."""

import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from rdpd_nb import cluster, reproduce
from rdpd_nb.errors import UserError

ROOT = Path(__file__).parents[1]
PROFILE = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """A squeue that says what the test has it say."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(cluster, "find_spec", lambda name: True)

    def says(text: str, status: int = 0) -> None:
        (tmp_path / "squeue").write_text(f"#!/bin/sh\necho '{text}'\necho '{text}' >&2\nexit {status}\n")
        (tmp_path / "squeue").chmod(0o755)

    says("")
    return says


def test_jobs_that_a_killed_reproduction_left_are_named_and_those_of_other_folders_are_not_minded(squeue, tmp_path):
    here, there = (cluster.options("slurm", tmp_path / name)[1] for name in ("here", "there"))
    squeue("7 rdpd-00000000_a\n8 somebody elses\n9 ")
    assert cluster.options("slurm", tmp_path / "here")[1] == here != there
    squeue(f"7 rdpd-00000000_a\n12 {here}_uuid\n13 {here}_uuid")
    with pytest.raises(UserError, match=r"killed still write to .*here; .*: scancel 12 13$"):
        cluster.options("slurm", tmp_path / "here")
    cluster.options("slurm", tmp_path / "there")


def test_a_cluster_that_cannot_be_used_is_one_sentence(squeue, tmp_path, monkeypatch):
    squeue("slurm_load_jobs error: Unable to contact slurm controller", 1)
    with pytest.raises(UserError, match="SLURM does not answer: slurm_load_jobs error: Unable to contact"):
        cluster.options("slurm", tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="there is no squeue on PATH; .* login node"):
        cluster.options("slurm", tmp_path)
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="executor for slurm is not installed; `make reproduce CLUSTER=slurm` installs"):
        cluster.options("slurm", tmp_path)
    with pytest.raises(UserError, match="CLUSTER is 'slrum'; it should be one of slurm"):
        cluster.options("slrum", tmp_path)


def test_the_profile_gives_every_rule_its_time_and_memory_and_the_makefile_installs_the_executor():
    rules = re.findall(r"^ *(?:rule |name: )(\w+)(?::$|$)", (ROOT / "Snakefile").read_text(), re.MULTILINE)
    assert set(PROFILE["set-resources"]) == set(rules) - {"all"}
    assert all(set(asked) == {"runtime", "mem_mb"} for asked in PROFILE["set-resources"].values())
    pinned = (ROOT / "profiles/slurm/requirements.txt").read_text()
    assert len(re.findall(r"==[\d.]+ \\\n +--hash=sha256:\w{64}$", pinned, re.MULTILINE)) == 2


@pytest.mark.parametrize(("arguments", "cores"), [([], []), (["--cores", "50"], ["--cores", "50"])])
def test_on_a_cluster_nothing_is_asked_of_this_machine(squeue, tmp_path, monkeypatch, arguments, cores):
    """Neither its cores, which Snakemake would take for the cluster's, nor a GPU, which is the nodes'."""
    asked = []
    monkeypatch.setattr(reproduce, "_snakemake", lambda config, options, *rest: asked.append(options) or (0, set()))
    given = ["--profile", "tiny", "--results", str(tmp_path), "--device", "cuda", "--cluster", "slurm", *arguments]
    assert reproduce.main([*given, "--dry-run"]) == 0
    ((*start, profile, _, _, dry),) = asked
    assert start[: len(cores)] == cores and profile == str(ROOT / "profiles/slurm") and dry == "--dry-run"
    assert ("--cores" in asked[0]) == bool(cores)


def test_a_snakemake_whose_jobs_slurm_does_not_have_is_killed_and_one_of_which_nothing_is_known_is_not(
    squeue, monkeypatch
):
    monkeypatch.setattr(cluster, "QUIET", 0.2)

    def killed() -> bool:
        snakemake, lost = subprocess.Popen(["sleep", "1"]), threading.Event()
        cluster.kill_if_lost(snakemake, "rdpd-here", lost)
        assert snakemake.wait() == (-signal.SIGKILL if lost.is_set() else 0)
        return lost.is_set()

    squeue("12 rdpd-there_uuid")
    assert killed()
    squeue("12 rdpd-here_uuid")
    assert not killed()
    squeue("slurm_load_jobs error: Unable to contact slurm controller", 1)
    assert not killed()


def test_a_snakemake_that_was_killed_because_it_lost_its_jobs_is_started_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "root", lambda: tmp_path)
    commands = iter(
        [["sleep", "100"], ["echo", "Job 1: ptbdb/all/teacher\nFinished jobid: 1\n1 of 2 steps (50%) done"]]
    )
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **how: popen(next(commands) if "snakemake" in command else command, **how)
    )

    def lose(process, name, lost):
        assert name == "rdpd-here"
        if process.args == ["sleep", "100"]:
            lost.set()
            process.kill()

    monkeypatch.setattr(cluster, "kill_if_lost", lose)
    with (tmp_path / "lock").open("w") as lock:
        status, _ = reproduce._snakemake(tmp_path, [], tmp_path, lock.fileno(), "rdpd-here")
    lines = capsys.readouterr().out.splitlines()
    assert status == 0 and "started again" in lines[0] and "ptbdb/all/teacher" in lines[1]


def test_a_snakemake_that_loses_its_jobs_again_and_again_is_given_up_unless_it_gets_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(reproduce, "root", lambda: tmp_path)
    done = "Job 1: ptbdb/all/teacher\nFinished jobid: 1\n1 of 9 steps (11%) done"
    said = ["nothing", "nothing", done, *["nothing"] * 9]
    commands, popen = iter(said), subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **how: popen(["echo", next(commands)] if "snakemake" in command else command, **how),
    )

    class AtOnce:  # each of them has lost its jobs
        def __init__(self, target, args, daemon):
            args[2].set()

        def start(self):
            pass

    monkeypatch.setattr(reproduce.threading, "Thread", AtOnce)
    with (tmp_path / "lock").open("w") as lock, pytest.raises(UserError, match="none of the jobs .* 4 times one after"):
        reproduce._snakemake(tmp_path, [], tmp_path, lock.fileno(), "rdpd-here")
    assert len(list(commands)) == len(said) - 3 - 4, "two in vain, one that got on, four in vain"
    assert capsys.readouterr().out.count("started again") == 6


def test_what_slurm_ended_is_said_in_its_word_and_a_failed_notebook_in_its_own(tmp_path, monkeypatch, capfd):
    message = "    message: SLURM-job '{}' failed, SLURM status is: '{}'. Detailed failure reason unavailable."
    lines = ["Job 1: ptbdb/all/teacher", "Job 2: ptbdb/all/direct", message.format(7, "TIMEOUT"), "    jobid: 1"]
    lines += [message.format(8, "FAILED"), "    jobid: 2"]
    popen = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **how: popen(["echo", "\n".join(lines)] if "snakemake" in command else command, **how),
    )
    monkeypatch.setattr(reproduce, "_cause", lambda log, before: f"said in {log.name}")
    with (tmp_path / "lock").open("w") as lock:
        _, failed = reproduce._snakemake(tmp_path, [], tmp_path, lock.fileno())
    assert failed == {"ptbdb/all/teacher", "ptbdb/all/direct"}
    first, second = capfd.readouterr().err.splitlines()
    assert first == "error: ptbdb/all/teacher: SLURM ended its job (TIMEOUT)"
    assert second == "error: ptbdb/all/direct: said in direct.log"
