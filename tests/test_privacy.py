"""Git takes no data: what it ignores, folders inside the project, and notebooks that show MIMIC-III."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rdpd_nb import data, params, privacy
from rdpd_nb.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Git without the machine's own settings."""
    who = {f"GIT_{who}_{what}": "x@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **who}
    return subprocess.run(["git", "-C", folder, *arguments], env=os.environ | own, capture_output=True, text=True)


def would_be_taken(folder: Path) -> set[str]:
    return set(git(folder, "ls-files", "--others", "--exclude-standard").stdout.split())


@pytest.fixture
def clone(tmp_path, monkeypatch) -> Path:
    """A clone with nothing in it but what git ignores and the hook, in which a reader works."""
    folder = tmp_path / "clone"
    for name in ("notebooks", "profiles", "data"):
        (folder / name).mkdir(parents=True)
    git(folder, "init", "--quiet")
    shutil.copy(ROOT / ".gitignore", folder)
    shutil.copy(ROOT / ".ci/pre-commit", folder / ".git/hooks/pre-commit")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    monkeypatch.chdir(folder)
    privacy.keep_from_git.cache_clear()
    return folder


def test_git_takes_no_notebook_that_was_run_into_another_file_and_no_raw_files(clone):
    names = ["out.ipynb", "notebooks/out.ipynb", "notebooks/03_direct.html", "raw/ptbdb/a.dat", "elsewhere/raw/b.dat"]
    names += ["mimic-iii-1.4/PATIENTS.csv", "CHARTEVENTS.csv.gz", "results/paper/x.json", "figures/paper/x.png"]
    for name in [*names, "notebooks/03_direct.ipynb", "figures/demo/table1.md", "data/README.md", "data/open/a"]:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text("")
    expected = {"notebooks/03_direct.ipynb", "figures/demo/table1.md", "data/README.md", "data/open/a"}
    assert would_be_taken(clone) == expected


def test_git_ignores_nothing_that_is_committed():
    assert git(ROOT, "ls-files", "--cached", "--ignored", "--exclude-standard").stdout == ""


def test_what_is_read_and_written_inside_the_clone_is_kept_from_git(clone, simulated, monkeypatch):
    shutil.copytree(simulated["ptbdb"], clone / "mine/ptbdb")
    monkeypatch.setenv("RDPD_DATA", str(clone / "kept"))
    assert would_be_taken(clone)
    data.load("ptbdb", "lead_i", "real", "mine", progress=lambda line: None)
    assert (clone / "kept/cache").is_dir() and not would_be_taken(clone)
    data.load("ptbdb", "lead_i", "simulated", "", 0.0, progress=lambda line: None)
    assert not would_be_taken(clone)


def notebook(**given) -> dict:
    """The globals of a notebook whose parameter cell sets these."""
    return {"In": ["\n".join(f"{name} = {value!r}" for name, value in given.items())], **given}


MIMIC3 = {
    "dataset": "mimic3", "view": "hr", "source": "real", "raw": "", "scale": 1.0, "seeds": [0], "epochs": 1,
    "patience": 0, "updates": [], "labelled": 1.0, "profile": "paper", "device": "cpu", "results": "results",
    "switches": {},
}  # fmt: skip


def test_a_notebook_says_that_it_shows_mimic3_and_no_other_does(clone, capsys):
    params.check("03_direct", MIMIC3)
    params.check("03_direct", notebook(**MIMIC3 | {"source": "simulated"}))
    params.check("03_direct", notebook(**MIMIC3 | {"dataset": "ptbdb", "view": "lead_i"}))
    assert capsys.readouterr().out == ""
    params.check("03_direct", notebook(**MIMIC3))
    assert capsys.readouterr().out == f"{privacy.SHOWN}\n"
    own = {name: MIMIC3[name] for name in params.OWN}
    common = {name: MIMIC3[name] for name in ("profile", "device", "results", "switches")}
    params.check("10_tables_and_figures", notebook(datasets={"mimic3": own}, **common))
    assert capsys.readouterr().out == f"{privacy.SHOWN}\n"


def test_results_of_a_notebook_inside_the_clone_are_kept_from_git(clone):
    params.check("03_direct", notebook(**MIMIC3 | {"dataset": "ptbdb", "view": "lead_i", "results": "mine"}))
    (clone / "mine/paper").mkdir()
    (clone / "mine/paper/record.json").write_text("{}")
    assert not would_be_taken(clone)


def test_a_folder_that_cannot_be_kept_from_git_is_refused_and_one_outside_is_left_alone(clone, tmp_path):
    with pytest.raises(UserError, match="is the project itself, so that git could take the data in it; name a folder"):
        privacy.keep_from_git(clone)
    (clone / "file").write_text("")
    with pytest.raises(UserError, match=r"no \.gitignore can be written there \(.*\), so that git could take"):
        privacy.keep_from_git(clone / "file/data")
    (tmp_path / "outside").mkdir()
    privacy.keep_from_git(tmp_path / "outside")
    assert not list((tmp_path / "outside").iterdir())


def test_a_commit_of_a_notebook_that_shows_mimic3_is_refused(clone):
    text = json.loads(NOTEBOOKS[2].read_text())
    (clone / "notebooks/03_direct.ipynb").write_text(json.dumps(text))
    git(clone, "add", ".")
    assert git(clone, "commit", "-m", "as it was").returncode == 0
    (cell,) = (cell for cell in text["cells"] if "params.check(" in "".join(cell["source"]))
    cell["outputs"][0]["text"].insert(0, f"{privacy.SHOWN}\n")
    (clone / "notebooks/03_direct.ipynb").write_text(json.dumps(text))
    git(clone, "add", ".")
    refused = git(clone, "commit", "-m", "run on MIMIC-III")
    assert refused.returncode != 0 and refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("error: derived from MIMIC-III, which must not be passed on: notebooks/03_direct")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_shows_no_mimic3_and_was_run_with_what_comes_with_the_repository(path):
    text = path.read_text(encoding="utf-8")
    assert privacy.SHOWN not in text
    cells = [cell for cell in json.loads(text)["cells"] if "params.check(" in "".join(cell["source"])]
    printed = "".join("".join(output.get("text", "")) for cell in cells for output in cell["outputs"])
    assert printed, "not executed"
    assert "source='real'" not in printed and "'source': 'real'" not in printed
