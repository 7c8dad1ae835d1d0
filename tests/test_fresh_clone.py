"""Notebook 10 in a fresh clone, where nothing has been run: it shows what is committed and writes nothing."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = "notebooks/10_tables_and_figures.ipynb"


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The files that git holds, in a folder of their own."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout, so nothing says which files are committed")
    folder = tmp_path_factory.mktemp("clone")
    for file in filter(None, done.stdout.split("\0")):
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, folder / file)
    return folder


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """What each file holds, and when it was written; not what Python keeps of modules."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in files
    }


@pytest.mark.parametrize("elsewhere", [False, True], ids=["results of the clone", "results elsewhere"])
def test_notebook_10_shows_what_is_committed_and_changes_no_file(clone, tmp_path, elsewhere):
    before, results = snapshot(clone), tmp_path / "results"
    results.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(clone), "RDPD_RESULTS": str(results) if elsewhere else ""}
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", str(tmp_path)]
    done = subprocess.run([*command, NOTEBOOK], cwd=clone, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    assert snapshot(clone) == before and not list(results.iterdir())

    cells = json.loads((tmp_path / Path(NOTEBOOK).name).read_text(encoding="utf-8"))["cells"]
    shown = [output["data"] for cell in cells for output in cell.get("outputs", []) if "data" in output]
    text = "\n".join("".join(data.get("text/markdown", "")) for data in shown)
    tables = sorted((clone / "figures/demo").glob("table*.md"))
    assert len(tables) >= 10
    for path in tables:
        assert path.read_text(encoding="utf-8").strip() in text, f"{path.name} is not shown"
    for figure in ("pamap2_scores", "brugada_scores", "figure2_cinc2012", "figure3_brugada"):
        assert f"`{figure}.png`: " in text
    assert not [data for data in shown if "image/png" in data], "no figure of nothing"
