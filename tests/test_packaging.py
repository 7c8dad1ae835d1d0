"""The lists of packages, the lock, and the README's commands are in step."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def name_and_bound(requirement: str) -> str:
    return requirement.split("#")[0].replace(" ", "")


def test_environment_yml_lists_what_pyproject_lists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    plain = [entry for entry in conda if isinstance(entry, str)]
    by_pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    listed = {name_and_bound(entry) for entry in plain + by_pip} - {"pip", "-e.", f"python{project['requires-python']}"}
    assert listed == {name_and_bound(entry) for entry in project["dependencies"]}


def test_lock_pins_every_dependency_and_torch():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text().lower()
    assert "torch==2.13.0\n" in lock
    pinned = {line.split("==")[0].replace("_", "-") for line in lock.splitlines() if "==" in line}
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert {re.match(r"[\w-]+", entry)[0].lower() for entry in wanted} <= pinned
    assert "://" not in lock


def test_readme_names_the_commands_that_the_makefile_has():
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", readme, re.MULTILINE))
    assert {"reproduce", "test", "lab", "data", "help"} <= named <= targets
