"""The lists of packages, the lock, the commands that pages name, and the settings of public CI are in step."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rdpd_nb"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())


def name_and_bound(requirement: str) -> str:
    return requirement.split("#")[0].replace(" ", "")


def name(requirement: str) -> str:
    return re.match(r"[\w-]+", requirement)[0].lower().replace("_", "-")


def imported(source: str) -> set[str]:
    """Top names of what a piece of Python imports from outside, anywhere in it."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"rdpd_nb"}


def notebook_code(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


# ------------------------------------------------------------------------------------------------ packages


def test_environment_yml_lists_what_pyproject_lists():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    plain = [entry for entry in conda if isinstance(entry, str)]
    by_pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    listed = {name_and_bound(entry) for entry in plain + by_pip} - {"pip", "-e.", f"python{PROJECT['requires-python']}"}
    assert listed == {name_and_bound(entry) for entry in PROJECT["dependencies"]}


def test_lock_pins_every_dependency_and_torch():
    lock = (ROOT / "requirements.lock").read_text().lower()
    assert "torch==2.13.0\n" in lock
    pinned = {line.split("==")[0].replace("_", "-") for line in lock.splitlines() if "==" in line}
    wanted = [*PROJECT["dependencies"], *(entry for extra in EXTRAS.values() for entry in extra)]
    assert {name(entry) for entry in wanted} <= pinned
    assert "://" not in lock


def test_what_notebooks_and_package_import_is_a_dependency_and_the_site_has_an_extra_of_its_own():
    sources = [path.read_text() for path in PACKAGE.rglob("*.py")]
    sources += [notebook_code(path) for path in (ROOT / "notebooks").glob("*.ipynb")]
    dependencies = {name(entry) for entry in PROJECT["dependencies"]}
    origins = packages_distributions()
    by_others = {"IPython", "nbformat", "nbclient", "nbconvert", "traitlets"}  # parts of JupyterLab and papermill
    there = dependencies | {name(entry) for entry in EXTRAS["export"]}
    for module in set().union(*map(imported, sources)) - by_others:
        assert there & {name(origin) for origin in origins[module]}, f"{module} is imported and not listed"
    assert {"sphinx", "furo", "myst-nb", "sphinx-mathjax-offline"} <= {name(entry) for entry in EXTRAS["site"]}
    assert not dependencies & {name(entry) for extra in EXTRAS.values() for entry in extra}


def test_every_folder_of_the_package_and_its_data_are_installed():
    setuptools = PYPROJECT["tool"]["setuptools"]
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in PACKAGE.rglob("__init__.py")}
    assert set(setuptools["packages"]) == folders
    named = {PACKAGE.parent / package.replace(".", "/") / file
             for package, files in setuptools["package-data"].items() for file in files}  # fmt: skip
    there = {path for path in PACKAGE.rglob("*") if path.suffix in (".csv", ".json", ".yaml", ".css", ".html", ".svg")}
    assert there == named


def test_pre_commit_checks_with_the_tools_of_the_lock():
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]:
        tool = repo["repo"].rsplit("/", 1)[1].removesuffix("-pre-commit")
        assert f"{tool}=={repo['rev'].removeprefix('v')}" in lock


# ------------------------------------------------------------------------------------------------ commands


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))])
def test_pages_name_commands_that_the_makefile_has(page):
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))
    wanted = {"README.md": {"reproduce", "test", "lab", "help"}, "docs/data.md": {"data"}}
    assert wanted.get(page, set()) <= named <= TARGETS


def test_make_help_lists_every_target():
    said = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in said.split("\n\n")[0].splitlines()} == TARGETS


# --------------------------------------------------------------------------------------------------- CI


def test_public_ci_tests_the_versions_that_pyproject_names_on_linux_and_macos():
    matrix = WORKFLOW["jobs"]["test"]["strategy"]["matrix"]
    versions = [entry.rsplit(" ", 1)[1] for entry in PROJECT["classifiers"] if "Python :: 3." in entry]
    assert matrix["python"] == versions and PROJECT["requires-python"] == f">={versions[0]}"
    assert {system.split("-")[0] for system in matrix["system"]} == {"ubuntu", "macos"}


def test_public_ci_runs_targets_that_are_there_with_actions_of_a_named_major_version():
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    commands = [step["run"].split() for step in steps if "run" in step]
    assert ["make", "test"] in commands and ["make", "site"] in commands
    assert all(command[0] == "make" and command[1] in TARGETS for command in commands)
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"]) for step in steps if "uses" in step)


def test_devcontainer_sets_up_with_make():
    settings = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert settings["image"].startswith("python:3.") and settings["postCreateCommand"].endswith("make setup")


def ci(folder: Path, **commands: str) -> str:
    """What `.ci/run` says where nothing is there but bash and the named commands (as shell scripts)."""
    (folder / ".ci").mkdir()
    script, bin_ = folder / ".ci" / "run", folder / "bin"
    script.write_text((ROOT / ".ci/run").read_text())
    bin_.mkdir()
    for real in ("bash", "dirname", "tail"):
        (bin_ / real).symlink_to(Path("/bin") / real if (Path("/bin") / real).exists() else Path("/usr/bin") / real)
    for command, text in commands.items():
        (bin_ / command).write_text(f"#!{bin_ / 'bash'}\n{text}\n")
        (bin_ / command).chmod(0o755)
    done = subprocess.run(
        [bin_ / "bash", script], env={**os.environ, "PATH": str(bin_)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MAKE = {"make": "echo made $1"}
APT = {"apt-get": "echo no", "timeout": 'shift; "$@"', "env": 'shift; "$@"'}


def test_ci_leaves_a_browser_that_is_there_alone(tmp_path):
    assert ci(tmp_path, **MAKE, chromium="", chromedriver="") == "made test\n"


def test_ci_goes_on_without_a_browser_and_says_why(tmp_path):
    said = ci(tmp_path, **MAKE)
    assert "browser tests will be skipped: there is no apt-get" in said and said.endswith("made test\n")


def test_ci_goes_on_where_installing_is_not_allowed_and_says_why(tmp_path):
    failing = {**APT, "apt-get": "echo 'Permission denied' >&2; exit 100"}
    said = ci(tmp_path, **MAKE, **failing, id="echo 0")
    assert "will be skipped: Permission denied" in said and said.endswith("made test\n")


def test_ci_installs_the_browser_as_root_or_through_sudo(tmp_path):
    for user, expected in (("0", ["update", "install"]), ("1000", ["sudo update", "sudo install"])):
        log = tmp_path / f"log{user}"
        apt = f'for a in "$@"; do case $a in update|install) echo "$ROOT_BY$a" >> {log};; esac; done'
        sudo = 'shift; ROOT_BY="sudo " "$@"'
        (tmp_path / user).mkdir()
        said = ci(tmp_path / user, **MAKE, **{**APT, "apt-get": apt}, id=f"echo {user}", sudo=sudo)
        assert "skipped" not in said and log.read_text().splitlines() == expected
