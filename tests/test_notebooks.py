"""The committed notebooks: their form, and, with nbval, that the checked cells still print what is stored."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from rdpd_nb import params

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def code_cells(path: Path) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def test_every_notebook_of_the_design_is_there():
    assert [path.stem for path in NOTEBOOKS] == sorted(params.NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_parameters_are_literals_and_checked_in_the_next_cell(path):
    cells = code_cells(path)
    (position,) = [i for i, cell in enumerate(cells) if "parameters" in tags(cell)]
    statements = ast.parse(cells[position].source).body
    given = {s.targets[0].id: ast.literal_eval(s.value) for s in statements}
    assert set(given) == set(params.NOTEBOOKS[path.stem])
    assert f'params.check("{path.stem}", globals())' in cells[position + 1].source
    params.check(path.stem, given)
    assert given["profile"] == "demo" and given["source"] == "simulated"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_committed_executed_and_its_checked_cells_have_outputs(path):
    cells = code_cells(path)
    checked = [cell for cell in cells if "nbval-check-output" in tags(cell)]
    assert checked, "no cell is checked"
    assert all(cell.outputs for cell in checked), "a checked cell has no stored output, so nbval would pass vacuously"
    assert all(cell.execution_count for cell in cells), "a cell was not executed"
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert [o for o in outputs if "image/png" in o.get("data", {})], "no figure"
    assert not [o for o in outputs if o.get("name") == "stderr"], "a warning or a progress bar is stored"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_name_no_folder_of_the_machine_that_made_them(path):
    for cell in code_cells(path):
        texts = [output.get("text", "") + str(output.get("data", {}).get("text/html", "")) for output in cell.outputs]
        assert not re.findall(r"(?<![\w.])/(?:home|root|Users|tmp|work|var)/\S*", " ".join(texts))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short(path):
    assert max(len(cell.source.splitlines()) for cell in code_cells(path)) <= 30


def test_checked_cells_print_what_is_stored(tmp_path):
    """All notebooks in order, with their defaults, into folders of their own."""
    environment = {**os.environ, "RDPD_RESULTS": str(tmp_path / "results")}
    environment.pop("RDPD_DATA", None)  # the project's data/, which `make reproduce` has filled or will use
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=600", "--nbval-sanitize-with", str(Path(__file__).with_name("nbval.cfg"))]
    done = subprocess.run(
        [*command, *map(str, NOTEBOOKS)], env=environment, cwd=FOLDER.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert (tmp_path / "results" / "figures" / "demo" / "table2.md").is_file()
