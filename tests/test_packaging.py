"""The lists of packages, the lock, the commands that pages name, and the settings of public CI are in step."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rdpd_nb"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
LOCK_TOOL = module_from_spec(spec_from_file_location("lock", ROOT / ".ci/lock.py"))
LOCK_TOOL.__spec__.loader.exec_module(LOCK_TOOL)
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


def pinned(kind: str = "", everywhere: bool = False) -> dict[str, str]:
    """By name the version that a lock has for this system (or for any)."""
    found = [Requirement(entry) for entry in LOCK_TOOL.entries((ROOT / f"requirements{kind}.lock").read_text())]
    found = [r for r in found if everywhere or r.marker is None or r.marker.evaluate()]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in found}


def wanted() -> list[str]:
    """The project's own dependencies and those of its extras."""
    return [*PROJECT["dependencies"], *(entry for extra in EXTRAS.values() for entry in extra)]


def needed() -> dict[str, SpecifierSet]:
    """What the project and its extras need, and what that needs, as the installed packages say: names and versions."""
    found, waiting, seen = {}, [Requirement(entry) for entry in wanted()], set()
    while waiting:
        requirement = waiting.pop()
        called = canonicalize_name(requirement.name)
        found[called] = found.get(called, SpecifierSet()) & requirement.specifier
        for extra in {"", *requirement.extras} - {extra for name, extra in seen if name == called}:
            seen.add((called, extra))
            inner = map(Requirement, distribution(called).requires or [])
            waiting += [r for r in inner if r.marker is None or r.marker.evaluate({"extra": extra})]
    return found


def test_lock_pins_every_dependency_and_torch():
    assert {name(entry) for entry in wanted()} <= set(pinned())
    assert pinned()["torch"] == "2.13.0" and set(pinned("-cpu").values()) <= {"2.13.0+cpu"}
    assert pinned("-cuda", everywhere=True) and not set(pinned("-cuda", everywhere=True)) & set(pinned(everywhere=True))


@pytest.mark.parametrize("kind", ["", "-cuda", "-cpu"])
def test_a_lock_is_versions_and_sums_alone(kind):
    """No address either: pip asks where it is set up to ask."""
    text = (ROOT / f"requirements{kind}.lock").read_text()
    entries = LOCK_TOOL.entries(text)
    assert "".join(entries.values()) == re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    for entry in entries.values():
        first, *sums = entry.rstrip().split(" \\\n    ")
        assert re.fullmatch(r"[\w.-]+==[\w.+]+( ; .+)?", first)
        assert sums and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", one) for one in sums), first


def test_lock_is_all_that_is_needed_and_no_more():
    """make setup installs what it names without asking what that needs."""
    here = pinned()
    try:
        apart = {name for name, version in here.items() if distribution(name).version.split("+")[0] != version}
    except PackageNotFoundError as error:
        apart = {str(error)}
    if apart:
        pytest.skip(f"this environment was not made from requirements.lock: {', '.join(sorted(apart)[:5])}")
    cuda = pinned("-cuda") if "nvidia" in str(distribution("torch").requires) else {}
    found = needed()
    for called, versions in found.items():
        version = (here | cuda).get(called)
        assert version and versions.contains(version, prereleases=True), f"{called}{versions}, not {version}"
    assert set(here) <= set(found)


def test_make_setup_installs_nothing_without_a_sum():
    said = subprocess.run(
        ["make", "--dry-run", "--always-make", "setup"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ")
    installs = [part for line in said.splitlines() for part in re.split(r"\||;", line) if "pip install" in part]
    assert len(installs) == 5
    own = [line for line in installs if line.split()[-2:] == ["-e", "."]]
    assert len(own) == 1 and "--no-deps --no-build-isolation" in own[0], "which builds it with the lock's setuptools"
    assert all("--require-hashes --no-deps --no-build-isolation" in line for line in installs if line not in own)


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
    for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]:
        if repo["repo"] == "local":  # our own script, of no version
            assert all((ROOT / hook["entry"]).is_file() for hook in repo["hooks"])
            continue
        tool = repo["repo"].rsplit("/", 1)[1].removesuffix("-pre-commit")
        assert pinned()[tool] == repo["rev"].removeprefix("v")


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


# ------------------------------------------------------------------------------------------------- make audit


def audited(folder: Path, *, says: str = "", complains: str = "", status: int = 0) -> tuple[int, str]:
    """Exit status and words of `.ci/audit.py` where pip-audit says this."""
    python, tool = folder / "python", folder / "pip-audit"
    python.symlink_to(sys.executable)
    tool.write_text(f"#!/bin/sh\ncat <<'E'\n{says}\nE\necho '{complains}' >&2\nexit {status}\n")
    tool.chmod(0o755)
    done = subprocess.run([python, ROOT / ".ci/audit.py"], capture_output=True, text=True)
    assert not done.stderr
    return done.returncode, done.stdout


KNOWN = {"name": "six", "version": "1.17.0", "vulns": []}
NOBODY = {"name": "six", "skip_reason": "Dependency not found"}
FAULTY = KNOWN | {"vulns": [{"id": "PYSEC-1", "fix_versions": ["1.18.0"]}]}


def test_audit_names_what_is_known_to_be_faulty_and_fails(tmp_path):
    code, said = audited(tmp_path, says=json.dumps({"dependencies": [KNOWN, FAULTY, NOBODY]}), status=1)
    assert code == 1 and "six 1.17.0: PYSEC-1, mended in 1.18.0\n" in said
    assert "2 packages asked about, 1 known vulnerabilities, 1 not known there" in said


def test_audit_passes_where_nothing_is_known(tmp_path):
    assert audited(tmp_path, says=json.dumps({"dependencies": [KNOWN]})) == (
        0,
        "1 packages asked about, 0 known vulnerabilities\n",
    )


@pytest.mark.parametrize(
    "answer",
    [{"says": json.dumps({"dependencies": [NOBODY]})}, {"complains": "Traceback\nFailed to resolve", "status": 1}],
    ids=["an index that knows of none", "no network"],
)
def test_audit_is_skipped_in_one_sentence_where_nobody_can_be_asked(tmp_path, answer):
    code, said = audited(tmp_path, **answer)
    assert code == 0 and said.count("\n") == 1 and re.search(r"^skipped: .*\((Dependency not|Failed to)", said)
