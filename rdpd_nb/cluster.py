"""Notebooks as jobs of a cluster (CLUSTER=slurm) in place of processes of this machine: docs/cluster.md."""

import hashlib
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import yaml

from .errors import UserError
from .files import root


def options(cluster: str, folder: Path) -> list[str]:
    """Snakemake's options for profiles/<cluster> and results in `folder`. Raises UserError where it cannot begin."""
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
    if executor == "slurm":
        # Jobs outlive a Snakemake that is killed; by this name the next one knows them.
        name = f"rdpd-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"
        if left := queued(name):
            raise UserError(
                f"jobs of a reproduction that was killed still write to {folder}; wait for them, or stop them: "
                f"scancel {' '.join(left)}"
            )
        found += ["--slurm-jobname-prefix", name]
    return found


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
