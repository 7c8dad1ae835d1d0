"""The committed notebooks: their form, and, with nbval, that the checked cells still print what is stored."""

import ast
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import offline
import pytest

from rdpd_nb import params
from rdpd_nb.paper import METHODS, STUDENT_METHODS, SWITCHES
from rdpd_nb.systems import SYSTEMS, of_notebook

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
OF_STUDENTS = [FOLDER / f"{METHODS[name].notebook}.ipynb" for name in STUDENT_METHODS]
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
every_students = pytest.mark.parametrize("path", OF_STUDENTS, ids=lambda path: path.stem)
INTERNAL = re.compile(r"\b(roc_auc|pr_auc|macro_f1|kd|rdpd_r1|rdpd_r2|batch_order|validation_roc_auc)\b")


def cells_of(path: Path) -> list:
    return nbformat.read(path, as_version=4).cells


def code_cells(path: Path) -> list:
    return [cell for cell in cells_of(path) if cell.cell_type == "code"]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def checks(cell) -> bool:
    return "params.check(" in cell.source


def own_cells(path: Path) -> list:
    """Code cells without the one of parameters and the one that checks them."""
    return [cell for cell in code_cells(path) if "parameters" not in tags(cell) and not checks(cell)]


def lines(cells: list) -> list[str]:
    """Lines of code, without blank ones and comments."""
    every = [line.strip() for cell in cells for line in cell.source.splitlines()]
    return [line for line in every if line and not line.startswith("#")]


def names(cells: list, context: type) -> set[str]:
    """Names that the cells read (`ast.Load`) or give a value to (`ast.Store`)."""
    nodes = [node for cell in cells for node in ast.walk(ast.parse(cell.source))]
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)}


def said(cell) -> str:
    """What a cell's outputs show as text."""
    shown = [[o.get("text", ""), *(o.get("data", {}).get(f"text/{kind}", "") for kind in ("html", "markdown"))]
             for o in cell.outputs]  # fmt: skip
    return "\n".join("".join(part) for output in shown for part in output)


def test_every_notebook_of_the_design_is_there():
    assert [path.stem for path in NOTEBOOKS] == sorted(params.NOTEBOOKS)


@every_notebook
def test_parameters_are_literals_and_checked_in_the_next_cell(path):
    cells = code_cells(path)
    (position,) = [i for i, cell in enumerate(cells) if "parameters" in tags(cell)]
    statements = ast.parse(cells[position].source).body
    given = {s.targets[0].id: ast.literal_eval(s.value) for s in statements}
    assert set(given) == set(params.NOTEBOOKS[path.stem])
    assert f'params.check("{path.stem}", globals())' in cells[position + 1].source
    params.check(path.stem, given)
    if "profile" not in given:  # a notebook for files of one's own
        return
    assert given["profile"] == "demo"
    if "task" in given:  # of another system: its first, which needs no download
        tasks = SYSTEMS[of_notebook(path.stem)].tasks
        assert given["task"] == next(iter(tasks)) and tasks[given["task"]] != "real"
        return
    of = given.get("datasets", {None: given})  # notebook 10 has the paper's three besides, which are simulated
    assert {own["source"] for own in of.values()} - ({"simulated"} if "datasets" in given else set()) == {"embedded"}


@every_notebook
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


@every_notebook
def test_outputs_name_no_folder_of_the_machine_that_made_them(path):
    for cell in code_cells(path):
        texts = [output.get("text", "") + str(output.get("data", {}).get("text/html", "")) for output in cell.outputs]
        assert not re.findall(r"(?<![\w.])/(?:home|root|Users|tmp|work|var)/\S*", " ".join(texts))


@every_notebook
def test_cells_are_short(path):
    assert max(len(cell.source.splitlines()) for cell in code_cells(path)) <= 30


@every_notebook
def test_leads_to_the_notebook_before_and_the_one_after(path):
    position = NOTEBOOKS.index(path)
    before, after = NOTEBOOKS[max(position - 1, 0) : position], NOTEBOOKS[position + 1 : position + 2]
    title, *_ = cells_of(path)
    assert title.cell_type == "markdown" and title.source.startswith(f"# {position + 1}. ")
    arrows = re.findall(r"\[(←|)[^]]*?(→|)\]\((\w+)\.ipynb\)", title.source)
    assert [to for left, _, to in arrows if left] == [p.stem for p in before]
    assert [to for _, right, to in arrows if right] == [p.stem for p in after]


@every_notebook
def test_cells_that_set_up_or_plot_are_folded(path):
    for cell in own_cells(path):
        imports = any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(cell.source).body)
        plots = re.search(r"\b(plt|figures)\.\w+\(", cell.source)
        hidden = "hide-input" in tags(cell)
        assert hidden or not (imports or plots), f"not folded:\n{cell.source}"
        assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == hidden, "in JupyterLab as on the site"


@every_notebook
def test_parameters_are_named_run_x_after_they_are_checked(path):
    cells = own_cells(path)
    of_functions = {n.arg for cell in cells for n in ast.walk(ast.parse(cell.source)) if isinstance(n, ast.arg)}
    bare = names(cells, ast.Load) & set(params.NOTEBOOKS[path.stem])
    assert not bare - names(cells, ast.Store) - of_functions, "read as they were given"


@every_notebook
def test_every_name_that_gets_a_value_is_read(path):
    given, read = (names(own_cells(path), context) for context in (ast.Store, ast.Load))
    assert not {name for name in given - read if name.strip("_")}


@every_notebook
def test_ends_with_what_came_out(path):
    cells = cells_of(path)
    (position,) = [i for i, cell in enumerate(cells) if cell.source.startswith("## Summary")]
    shown = [cell for cell in cells[position:] if cell.cell_type == "code"]
    assert shown and any(re.search(r"\d", said(cell)) for cell in shown), "numbers of this run"
    assert not [cell for cell in cells[position + 1 :] if cell.source.startswith("## ")]


@every_notebook
def test_no_internal_name_is_shown_where_a_person_reads(path):
    typed = rf"\b({'|'.join(SWITCHES)}): \w+"  # in the table of notebook 11: what to write to get it
    for cell in own_cells(path):
        assert not INTERNAL.search(re.sub(rf"<[^>]*>|{typed}", " ", said(cell))), said(cell)
    for cell in cells_of(path):
        if cell.cell_type == "markdown":
            assert not INTERNAL.search(re.sub(r"`[^`]*`|\([^)]*\)", " ", cell.source)), cell.source


@every_students
def test_a_students_notebook_is_short(path):
    assert len(lines([cell for cell in code_cells(path) if "parameters" not in tags(cell)])) < 55


@every_students
def test_less_than_a_quarter_of_a_students_notebook_stands_in_another(path):
    def own_lines(path: Path) -> list[str]:
        return [line for line in lines(own_cells(path)) if not line.startswith(("import ", "from "))]

    elsewhere = {line for other in OF_STUDENTS if other != path for line in own_lines(other)}
    shared = [line for line in own_lines(path) if line in elsewhere]
    assert len(shared) < len(own_lines(path)) / 4, shared


@pytest.mark.parametrize("method", ["teacher", "rdpd"])
def test_one_epoch_is_written_out_and_held_against_fit(method):
    cells = code_cells(FOLDER / f"{METHODS[method].notebook}.ipynb")
    (loop,) = [i for i, cell in enumerate(cells) if "training.steps_of(" in cell.source]
    assert "torch.optim.Adam(" in cells[loop].source and ".backward()" in cells[loop].source
    assert "member_loss" not in cells[loop].source and "engine" not in cells[loop].source
    held = cells[loop + 1]
    assert "nbval-check-output" in tags(held) and "training.fit(" in held.source
    assert held.source.count("torch.testing.assert_close(") >= 2, "predictions, and weights"


def test_notebook_2_shows_the_idea():
    title = cells_of(FOLDER / "02_teacher.ipynb")[0].source
    assert re.search(r"!\[[^]]{40,}\]\(\.\./docs/idea\.svg\)", title), "with words for who cannot see it"


def test_checked_cells_print_what_is_stored(tmp_path):
    """All notebooks, with their defaults, into folders of their own, without a network where one can be cut off.

    In order, but for those that need no other and take longest, which run beside them: a core for each of the two.
    """
    environment = {**os.environ, "RDPD_RESULTS": str(tmp_path / "results"), "OMP_NUM_THREADS": "1"}
    environment.pop("RDPD_DATA", None)  # the project's data/, which `make reproduce` has filled or will use
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    command += ["--nbval-cell-timeout=600", "--nbval-sanitize-with", str(Path(__file__).with_name("nbval.cfg"))]
    beside = [path for path in NOTEBOOKS if path.name[:2] in ("08", "11", "12")]
    started = [
        subprocess.Popen(
            offline.offline([*command, *map(str, paths)]),
            env=environment,
            cwd=FOLDER.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for paths in ([path for path in NOTEBOOKS if path not in beside], beside)
    ]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(text[-6000:] for text in said)
    assert (tmp_path / "results" / "figures" / "demo" / "table2.md").is_file()


def test_the_notebooks_above_had_no_network(tmp_path):
    """Nothing beyond this machine is reached, not even a listener outside, and what a kernel needs is there."""
    if reason := offline.why_not():
        pytest.skip(f"the notebooks were run with the network there is: {reason}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reach = [sys.executable, "-c", f"import socket; socket.create_connection({listener.getsockname()}, 5)"]
        assert subprocess.run(reach).returncode == 0
        done = subprocess.run(offline.offline(reach), capture_output=True, text=True)
        assert "ConnectionRefusedError" in done.stderr, "the loopback is up, and it is another one"
    beyond = [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 5)"]
    assert "Network is unreachable" in subprocess.run(offline.offline(beyond), capture_output=True, text=True).stderr
