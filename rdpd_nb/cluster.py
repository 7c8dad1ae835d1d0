"""Notebooks as jobs of a cluster (CLUSTER=slurm) in place of processes of this machine: docs/cluster.md."""

import hashlib
import shutil
import subprocess
import threading
import time
from importlib.util import find_spec
from pathlib import Path

import yaml

from .errors import UserError
from .files import root

QUIET = 600  # seconds: longer than Snakemake takes to see that jobs have ended, and to submit the next


def options(cluster: str, folder: Path) -> tuple[list[str], str]:
    """Snakemake's options for profiles/<cluster> and results in `folder`, and its jobs' name in SLURM (elsewhere '').

    Raises UserError where it cannot begin.
    """
    profiles = {path.parent.name: path for path in (root() / "profiles").glob("*/config.yaml")}
    if cluster not in profiles:
        raise UserError(f"CLUSTER is '{cluster}'; it should be one of {', '.join(sorted(profiles))}.")
    executor = yaml.safe_load(profiles[cluster].read_text())["executor"]
    if not find_spec(f"snakemake_executor_plugin_{executor.replace('-', '_')}"):
        raise UserError(
            f"Snakemake's executor for {executor} is not installed; `make reproduce CLUSTER={cluster}` installs it, or "
            f"`pip install -r profiles/{cluster}/requirements.txt`."
        )
    found = ["--workflow-profile", str(profiles[cluster].parent)]
    if executor != "slurm":
        return found, ""
    # Jobs outlive a Snakemake that is killed; by this name the next one knows them.
    name = f"rdpd-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"
    if left := queued(name):
        raise UserError(
            f"jobs of a reproduction that was killed still write to {folder}; wait for them, or stop them: "
            f"scancel {' '.join(left)}"
        )
    return [*found, "--slurm-jobname-prefix", name], name


def queued(name: str) -> list[str]:
    """Ids of one's own jobs of this name that SLURM has not ended yet."""
    if not shutil.which("squeue"):
        raise UserError("there is no squeue on PATH; run this where jobs are submitted to SLURM, on a login node.")
    command = ["squeue", "--me", "--noheader", "--format", "%i %j"]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode:
        raise UserError(f"SLURM does not answer: {' '.join(listed.stderr.split())}.")
    jobs = (line.partition(" ") for line in listed.stdout.splitlines())
    return [number for number, _, of in jobs if of.startswith(f"{name}_")]


def kill_if_lost(snakemake: subprocess.Popen, name: str, lost: threading.Event) -> None:
    """Wait until Snakemake ends; kill it, and say so in `lost`, if SLURM has had none of its jobs for `QUIET` seconds.

    Where slurmctld has been away, or has forgotten jobs, Snakemake's executor (2.8.0) can wait for ever for jobs that
    have ended. Started again, it finds what they have made.
    """
    seen = time.monotonic()
    while snakemake.poll() is None:
        time.sleep(QUIET / 20)
        try:
            busy = bool(queued(name))
        except UserError:  # SLURM does not answer: nobody knows
            busy = True
        if busy:
            seen = time.monotonic()
        elif time.monotonic() - seen > QUIET:
            lost.set()
            snakemake.kill()
