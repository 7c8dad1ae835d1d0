"""Write the locks: exact versions with the hashes of all their files (`make lock`).

Versions that still fit pyproject.toml stay; newer ones are taken with e.g. `make lock ARGS="--upgrade-package numpy"`
or `ARGS=--upgrade`. Two files are apart from requirements.lock, for nobody else should get their gigabytes, or can:
requirements-cuda.lock, what torch needs where it is a build for NVIDIA's GPUs (PyPI's for Linux is), and
requirements-cpu.lock, a build of torch for CPUs, if pip finds one on the machine where the locks are written.
Needs uv, which `make lock` installs in build/tools.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK, CUDA_LOCK, CPU_LOCK = (ROOT / f"requirements{kind}.lock" for kind in ("", "-cuda", "-cpu"))
OF_CUDA = re.compile(r"(nvidia|cuda|triton)\b")
HEADS = {
    LOCK: """\
# What make setup installs: exact versions of the dependencies of pyproject.toml, of its extras, and of theirs, with the
# hashes of all their files. Tried on Python 3.11, 3.12 and 3.13. Written by make lock.
""",
    CUDA_LOCK: "# What else torch needs if it is a build for NVIDIA's GPUs: make setup looks. Written by make lock.\n",
    CPU_LOCK: "# torch for CPUs alone: make setup takes it where pip finds it. Written by make lock.\n",
}


def entries(text: str) -> dict[str, str]:
    """By 'name==version ; marker' the whole entry of a lock, with its hashes."""
    return {found[0].split(" \\")[0].strip(): found[0] for found in re.finditer(r"^[a-zA-Z](.*\\\n)*.*\n", text, re.M)}


def compiled(arguments: list[str]) -> dict[str, str]:
    """What uv finds, with the versions of the locks that are there."""
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-annotate", "--no-header"]
    uv += ["--universal", "--python-version", "3.11", "--all-extras", "--generate-hashes", str(ROOT / "pyproject.toml")]
    with tempfile.TemporaryDirectory() as folder:
        new = Path(folder, "requirements.lock")
        new.write_text("".join(lock.read_text() for lock in (LOCK, CUDA_LOCK) if lock.exists()))
        subprocess.run([*uv, "--output-file", new, *arguments], check=True, stdout=subprocess.DEVNULL)
        return entries(new.read_text())


def for_cpus(torch: str) -> str:
    """The entry of torch's build for CPUs: the one that pip takes on this machine, or that the lock has already."""
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    report = subprocess.run([*pip, "--report", "-", torch], check=True, capture_output=True, text=True).stdout
    (found,) = json.loads(report)["install"]
    name, digest = f"torch=={found['metadata']['version']}", found["download_info"]["archive_info"]["hashes"]["sha256"]
    before = entries(CPU_LOCK.read_text()) if CPU_LOCK.exists() else {}
    before = {name: entry for name, entry in before.items() if name.startswith(f"{torch}+")}
    if name.startswith(f"{torch}+") and digest not in before.get(name, ""):
        before[name] = " \\\n    ".join([before.get(name, name).rstrip(), f"--hash=sha256:{digest}"]) + "\n"
    return "".join(before.values())


def main() -> None:
    found = compiled(sys.argv[1:])
    cuda = {name: entry for name, entry in found.items() if OF_CUDA.match(name)}
    torch = next(name for name in found if name.startswith("torch=="))
    written = {LOCK: "".join(entry for name, entry in found.items() if name not in cuda)}
    written |= {CUDA_LOCK: "".join(cuda.values()), CPU_LOCK: for_cpus(torch)}
    for lock, text in written.items():
        lock.write_text(HEADS[lock] + text)


if __name__ == "__main__":
    main()
