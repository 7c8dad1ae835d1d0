"""Notebook parameters: every wrong value is refused in one sentence; where a run's files go; profiles."""

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from rdpd_nb import data, jobs, params
from rdpd_nb.data import SPECS
from rdpd_nb.errors import UserError, short
from rdpd_nb.paper import METHODS, Protocol

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
GOOD = {
    "dataset": "pamap2",
    "view": "wrist",
    "raw": "",
    "scale": 0.1,
    "profile": "demo",
    "source": "simulated",
    "seeds": [0, 1],
    "epochs": 20,
    "patience": 0,
    "updates": [],
    "labelled": 1.0,
    "device": "auto",
    "results": "results",
    "switches": {},
}
FRACTIONS = {**GOOD, "fractions": [0.1, 0.5, 1.0], "fraction_of": "rich"}
NOISE = {**GOOD, "amplitudes": [0.0, 0.5], "noise_kind": "normal"}
OWN = {name: GOOD[name] for name in params.OWN}
TABLES = {
    "datasets": {"pamap2": OWN, "mimic3": OWN},
    **{name: GOOD[name] for name in ("profile", "device", "results", "switches")},
}


def refusal(notebook, given):
    with pytest.raises(UserError) as caught:
        params.check(notebook, given)
    message = str(caught.value)
    assert message.startswith(f"{notebook}: ")
    return message


# ---------------------------------------------------------------------------------------------------- plain dicts


@pytest.mark.parametrize(
    ("notebook", "given"),
    [
        ("01_preprocessing", {**GOOD, "view": "all"}),
        ("02_teacher", {**GOOD, "view": "all"}),
        ("03_direct", GOOD),
        ("04_knowledge_distillation", GOOD),
        ("05_rdpd_r1", GOOD),
        ("06_rdpd_r2", GOOD),
        ("07_rdpd", GOOD),
        ("08_rich_data_size", FRACTIONS),
        ("09_noise_robustness", NOISE),
        ("10_tables_and_figures", TABLES),
        ("11_paper_and_released_code", {**GOOD, "switches": {"attention_kl": "teacher_student"}}),
    ],
)
def test_good_parameters(notebook, given):
    run = params.check(notebook, given)
    assert run.notebook == notebook and run.parameters == given
    for name, value in given.items():
        assert f"{name}={value!r}" in str(run)
        assert getattr(run, name) == (list(value) if name == "datasets" else value)
    assert {name: run.of(run.datasets[0])[name] for name in params.OWN} == OWN
    with pytest.raises(AttributeError):
        run.nothing_of_that_name  # noqa: B018


def test_every_parameter_of_every_notebook_is_known():
    for notebook, names in params.NOTEBOOKS.items():
        assert len(set(names)) == len(names)
        assert set(names) <= set(params.KINDS), notebook
    assert {method.notebook for method in METHODS.values()} <= set(params.NOTEBOOKS)


@pytest.mark.parametrize("dataset", SPECS)
def test_every_view_of_every_data_set(dataset):
    for view in SPECS[dataset].poor_views:
        assert params.check("07_rdpd", {**GOOD, "dataset": dataset, "view": view}).spec is SPECS[dataset]
    assert params.check("02_teacher", {**GOOD, "dataset": dataset, "view": "all"}).view == "all"


LAUGHS: list = ["lol"]  # nine lists of nine, nine times over: a billion words if a message writes them out
for _ in range(9):
    LAUGHS = [LAUGHS] * 9


@pytest.mark.parametrize(
    ("name", "value"),
    [("seeds", LAUGHS), ("scale", 10**400), ("epochs", 10**30), ("seeds", list(range(1001))), ("raw", "a\nb"),
     ("raw", "a\0b"), ("results", "x" * 300), ("profile", "x" * 5000), ("profile", "../x"), ("device", "cuda:999")],
)  # fmt: skip
def test_a_value_that_is_out_of_all_bounds_is_refused_in_a_short_line(name, value):
    message = refusal("03_direct", {**GOOD, name: value})
    assert f"parameter '{name}' is {short(value)}; it should be" in message and len(message) < 500
    assert message.isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs: 1\nseeds: [0]\nepochs: 2\n", ", line 3 is not readable as YAML ('epochs' is there twice)"),
        ("epochs: 2001-99-99\n", " is not readable as YAML (month must be in 1..12)"),
        ("[" * 2000 + "]" * 2000, " is not readable as YAML (maximum recursion depth exceeded)"),
        ("5", " holds no settings; it should hold settings."),
    ],
)
def test_settings_that_yaml_would_take_or_end_in_a_traceback_for(tmp_path, text, words):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        params.read_yaml(path, "it should hold settings")
    assert str(caught.value).startswith(f"{path}{words}")


GOOD_VALUES = [
    ("scale", 0),
    ("scale", 1),
    ("scale", 1.0),
    ("seeds", [7]),
    ("epochs", 1),
    ("device", "cpu"),
    ("device", "cuda"),
    ("device", "cuda:1"),
    ("source", "real"),
    ("source", "embedded"),
    ("updates", [0, 1]),
    ("updates", [1000, 1000]),
    ("labelled", 0.3),
    ("raw", "../shared/data"),
    ("results", "/tmp/elsewhere"),
    ("profile", "my-own_2"),
]


@pytest.mark.parametrize(("name", "value"), GOOD_VALUES)
def test_good_values(name, value):
    given = {**GOOD, "profile": "paper", name: value}
    assert params.check("03_direct", given).parameters[name] == value


def test_the_demo_profile_takes_no_real_data_since_its_figures_are_committed():
    with pytest.raises(UserError, match="profile 'demo' is for data that come with the repository.* pamap2 would be"):
        params.check("03_direct", {**GOOD, "source": "real"})


WRONG_VALUES = {
    "dataset": ["pamap", "PAMAP2", "", None, 2, ["pamap2"], {"pamap2": 1}],
    "view": [None, 1, ["wrist"], True],
    "profile": ["", "a/b", "..", "a b", "demo\n", "../demo", None, 1, ["demo"]],
    "source": ["fake", "Real", "", None, True, ["real"]],
    "raw": [None, 1, ["data"]],
    "scale": ["0.1", -0.1, 1.1, None, True, float("nan"), float("inf"), [0.1]],
    "seeds": [0, "[0, 1]", [], [-1], [0.5], ["0"], [True], [0, 0], [[0]], [None], None, (0, 1), {"0": 1}],
    "epochs": [0, -1, 2.0, "20", None, True, [20], float("inf")],
    "device": ["gpu", "cuda:", "cuda:x", "CPU", "", None, 0, ["cpu"], "cpu\n"],
    "results": ["", None, 1, ["results"]],
    "patience": [-1, 1.5, True, "3", None],
    "labelled": [0, 0.0, -0.1, 1.1, "0.3", None, True, [0.3], float("nan")],
    "updates": [[1], [2, 1], [0, 0], [-1, 5], [1.0, 2.0], (1, 2), [True, 2], "[1, 2]", None, 5],
    "switches": [{"nonsense": "once"}, {"batch_order": "twice"}, {"batch_order": ["once"]}, [], None, "once"],
}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name, values in WRONG_VALUES.items() for v in values])
def test_a_wrong_value_is_named_with_what_it_should_be(name, value):
    message = refusal("03_direct", {**GOOD, name: value})
    assert f"parameter '{name}' is {short(value)}; it should be {params.KINDS[name][1]}" in message


WRONG_SWEEP_VALUES = [
    *[
        ("08_rich_data_size", "fractions", value)
        for value in (
            0.5,
            "[0.5]",
            [],
            [0],
            [-0.1],
            [1.1],
            [True],
            ["0.5"],
            [0.5, 0.5],
            [float("nan")],
            [[0.5]],
            None,
        )
    ],
    *[
        ("09_noise_robustness", "amplitudes", value)
        for value in (
            1,
            "[1]",
            [],
            [-0.1],
            [True],
            ["1"],
            [1, 1.0],
            [float("nan")],
            [0, float("inf")],
            [[1]],
            None,
        )
    ],
    *[("09_noise_robustness", "noise_kind", value) for value in ("gauss", "Normal", "", None, ["normal"])],
    *[
        ("10_tables_and_figures", "datasets", value)
        for value in (
            "pamap2",
            [],
            {"pamap": OWN},
            ["pamap2"],
            {"pamap2": None},
            {"pamap2": ["simulated"]},
            {1: OWN},
            {},
            None,
            "['pamap2']",
        )
    ],
]


@pytest.mark.parametrize(("notebook", "name", "value"), WRONG_SWEEP_VALUES)
def test_a_wrong_value_of_a_sweep_or_a_list_of_data_sets(notebook, name, value):
    good = {"08_rich_data_size": FRACTIONS, "09_noise_robustness": NOISE, "10_tables_and_figures": TABLES}[notebook]
    assert f"parameter '{name}' is {short(value)}; it should be {params.KINDS[name][1]}" in refusal(
        notebook, {**good, name: value}
    )


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({**OWN, "seeds": []}, "seeds of 'mimic3' is []; it should be a list of different whole numbers"),
        ({**OWN, "source": "fake"}, "source of 'mimic3' is 'fake'"),
        ({**OWN, "folds": 8}, "'mimic3' in datasets: folds unknown or missing; it has source, raw, scale"),
        (
            {"source": "real"},
            "'mimic3' in datasets: epochs, labelled, patience, raw, scale, seeds, updates unknown or missing",
        ),
    ],
)
def test_a_wrong_setting_of_one_data_set_of_the_tables(own, words):
    given = {**TABLES, "datasets": {"pamap2": OWN, "mimic3": own}}
    assert words in refusal("10_tables_and_figures", given)


@pytest.mark.parametrize(("name", "value"), [("seeds", "[0, 1]"), ("epochs", "20"), ("scale", "0.1")])
def test_text_from_papermills_p_option_is_explained(name, value):
    message = refusal("03_direct", {**GOOD, name: value})
    assert "papermill's -p makes text of lists and numbers: use a YAML file with -f" in message


@pytest.mark.parametrize(
    ("notebook", "given", "name", "value"),
    [
        ("03_direct", GOOD, "dataset", "pamap"),
        ("03_direct", GOOD, "source", "fake"),
        ("03_direct", GOOD, "device", "gpu"),
        ("03_direct", GOOD, "profile", "a/b"),
        ("03_direct", GOOD, "results", ""),
        ("09_noise_robustness", NOISE, "noise_kind", "gauss"),
    ],
)
def test_the_p_option_is_not_blamed_for_text_that_should_be_text(notebook, given, name, value):
    assert "papermill" not in refusal(notebook, {**given, name: value})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("seed", "seeds"),
        ("epoch", "epochs"),
        ("data_set", "dataset"),
        ("devise", "device"),
        ("Seeds", "seeds"),
    ],
)
def test_an_unknown_name_is_refused_with_a_suggestion(name, meant):
    message = refusal("03_direct", {**GOOD, name: 1})
    assert f"unknown parameter '{name}'; did you mean '{meant}'?" in message


def test_an_unknown_name_like_no_other_is_refused_with_all_names():
    message = refusal("03_direct", {**GOOD, "learning_rate": 0.1})
    assert "unknown parameter 'learning_rate'; the parameters are" in message
    assert all(name in message for name in GOOD)


@pytest.mark.parametrize(
    ("notebook", "name", "value"),
    [
        ("03_direct", "amplitudes", [0.0]),
        ("03_direct", "datasets", ["pamap2"]),
        ("10_tables_and_figures", "dataset", "pamap2"),
    ],
)
def test_a_parameter_of_another_notebook_is_unknown(notebook, name, value):
    good = TABLES if notebook == "10_tables_and_figures" else GOOD
    assert f"unknown parameter '{name}'" in refusal(notebook, {**good, name: value})


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_name(name):
    given = {other: value for other, value in GOOD.items() if other != name}
    message = refusal("03_direct", given)
    assert f"parameter '{name}' is missing; it should be {params.KINDS[name][1]}" in message


@pytest.mark.parametrize(
    ("notebook", "dataset", "view", "offered"),
    [
        ("03_direct", "pamap2", "hand", "'wrist' or 'chest' or 'ankle'"),
        ("03_direct", "pamap2", "all", "'wrist' or 'chest' or 'ankle'"),  # a student never sees all
        ("03_direct", "ptbdb", "wrist", "'lead_i'"),
        ("08_rich_data_size", "mimic3", "", "'bp' or 'hr' or 'rr'"),
        ("02_teacher", "pamap2", "wrist", "'all'"),
        ("01_preprocessing", "uci_har", "acc", "'all'"),
    ],
)
def test_a_view_the_notebook_cannot_use(notebook, dataset, view, offered):
    good = FRACTIONS if notebook == "08_rich_data_size" else GOOD
    message = refusal(notebook, {**good, "dataset": dataset, "view": view})
    assert f"data set '{dataset}' has no view '{view}' here; use {offered}." in message


# ---------------------------------------------------------------------------------------------------- in a notebook

CELL = "\n".join(f"{name} = {value!r}" for name, value in GOOD.items()) + "\n"
CHECK = 'from rdpd_nb import params\n\nrun = params.check("03_direct", globals())\n'
LATER = [
    "import numpy as np\n",
    "%matplotlib inline\nx = 1",
    "windows = run.load()\nnote = 'hello'",
    "total = 0\nfor i in range(3):\n    total += i",
    "seed = 0\ncolour = 'red'",
    "print(view)",
]


def in_notebook(cells, **variables):
    """The globals of a kernel that has run these cells, as far as check() looks at them."""
    return {**GOOD, "In": ["", *cells], "__name__": "__main__", "_": None, "exit": exit, **variables}


def test_defaults_of_a_notebook():
    run = params.check("03_direct", in_notebook([CELL, CHECK], params=params))
    assert run.parameters == GOOD


def test_a_parameter_put_in_by_papermill():
    injected = "# Parameters\nepochs = 3\nseeds = [5]\n"
    run = params.check("03_direct", in_notebook([CELL, injected, CHECK], epochs=3, seeds=[5]))
    assert run.parameters == {**GOOD, "epochs": 3, "seeds": [5]}


@pytest.mark.parametrize(("name", "hint"), [("seed", "did you mean 'seeds'?"), ("learning_rate", "the parameters are")])
def test_an_unknown_parameter_put_in_by_papermill_is_refused(name, hint):
    injected = f"# Parameters\n{name} = 3\n"
    message = refusal("03_direct", in_notebook([CELL, injected, CHECK], **{name: 3}))
    assert f"unknown parameter '{name}'; {hint}" in message


def test_an_unknown_parameter_in_the_notebooks_own_cell_is_refused():
    cell = CELL + "learning_rate = 0.1\n"
    assert "unknown parameter 'learning_rate'" in refusal("03_direct", in_notebook([cell, CHECK], learning_rate=0.1))


def test_a_wrong_value_in_a_notebook_is_refused():
    assert "parameter 'epochs' is '3'" in refusal("03_direct", in_notebook([CELL, CHECK], epochs="3"))


def test_other_variables_of_a_notebook_that_is_run_again_are_ignored():
    cells = [CELL, CHECK, *LATER, CELL, CHECK, *LATER]
    variables = {"run": None, "windows": 1, "note": "hello", "seed": 0, "colour": "red", "total": 3, "i": 2, "x": 1}
    assert params.check("03_direct", in_notebook(cells, **variables)).parameters == GOOD


def test_a_mistyped_name_that_was_put_right_is_forgotten():
    """In a running kernel: the cell with the typing error stays in the history, its variable in the globals."""
    cells = [CELL + "sedes = [0]\n", CHECK, CELL, CHECK]
    assert params.check("03_direct", in_notebook(cells, sedes=[0])).parameters == GOOD


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_of_the_project_can_be_run_again(path):
    """Its parameters cell holds good parameters, and none of its later cells is taken for one."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    (parameters,) = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    given = {}
    exec(parameters, given)
    sources = ["".join(cell["source"]) for cell in cells]
    assert params.check(path.stem, {**given, "In": ["", *sources, *sources]}).notebook == path.stem


OF_THE_DEMO = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if "profile" in params.NOTEBOOKS[path.stem]]


@pytest.mark.parametrize("path", OF_THE_DEMO, ids=lambda path: path.stem)
def test_a_notebook_run_by_hand_makes_what_the_demo_makes(path, monkeypatch):
    """So that notebook 10 finds the records of those run before it."""
    monkeypatch.chdir(NOTEBOOKS)
    (cell,) = [c for c in json.loads(path.read_text())["cells"] if "parameters" in c["metadata"].get("tags", [])]
    given = {}
    exec("".join(cell["source"]), given)
    del given["__builtins__"]
    assert given in [job.parameters for job in jobs.plan(jobs.read_settings("demo")) if job.notebook == path.stem]


# ---------------------------------------------------------------------------------------------------- a run's places


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder of the test's own, and the working folder inside it."""
    for name in ("notebooks", "profiles"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.delenv("RDPD_RESULTS")
    return tmp_path


def test_places_of_a_run(project):
    run = params.check("07_rdpd", GOOD)
    assert run.results_root == project / "results" / "demo"
    assert run.path("rdpd.npz") == project / "results" / "demo" / "pamap2" / "wrist" / "rdpd.npz"
    assert run.record_path("rdpd") == project / "results" / "demo" / "pamap2" / "wrist" / "rdpd.json"
    assert run.record_path("kd", "bp", "mimic3") == project / "results" / "demo" / "mimic3" / "bp" / "kd.json"
    assert run.knowledge_path == project / "results" / "demo" / "pamap2" / "all" / "teacher.knowledge.safetensors"
    assert run.figures_folder == project / "figures" / "demo"


def test_results_elsewhere_take_their_figures_along(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    run = params.check("07_rdpd", {**GOOD, "results": str(elsewhere)})
    assert run.results_root == elsewhere / "demo" and run.figures_folder == elsewhere / "figures" / "demo"
    run = params.check("07_rdpd", {**GOOD, "results": "results-2"})
    assert run.results_root == project / "results-2" / "demo"
    assert run.figures_folder == project / "results-2" / "figures" / "demo"


def test_the_environment_moves_the_default_results_only(project, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("RDPD_RESULTS", str(elsewhere))
    assert params.check("07_rdpd", GOOD).results_root == elsewhere / "demo"
    assert params.check("07_rdpd", GOOD).figures_folder == elsewhere / "figures" / "demo"
    assert params.check("07_rdpd", {**GOOD, "results": "other"}).results_root == project / "other" / "demo"


def test_places_do_not_depend_on_the_folder_inside_the_project(project, monkeypatch):
    run = params.check("07_rdpd", GOOD)
    before = run.results_root
    monkeypatch.chdir(project)
    assert run.results_root == before


def test_figures_of_the_tables_notebook(project):
    run = params.check("10_tables_and_figures", TABLES)
    assert run.figures_folder == project / "figures" / "demo"
    assert run.record_path("rdpd", "wrist", "pamap2") == project / "results" / "demo" / "pamap2" / "wrist" / "rdpd.json"


def test_a_run_loads_its_own_view_or_another(simulated, monkeypatch):
    run = params.check("07_rdpd", {**GOOD, "dataset": "mimic3", "view": "bp", "scale": 0})
    assert run.load().channels == ("bp_systolic", "bp_diastolic")
    assert run.load("all").view == "all"
    calls, windows = [], run.load()
    monkeypatch.setattr(data, "load", lambda *arguments: calls.append(arguments) or windows)
    real = {"profile": "paper", "raw": "somewhere", "source": "real", "scale": 1, "switches": {"batch_order": "once"}}
    loaded = params.check("07_rdpd", {**GOOD, **real}).load()
    assert calls == [("pamap2", "wrist", "real", "somewhere", 1.0)]
    assert loaded.protocol == Protocol(batch_order="once")


def test_a_run_loads_under_another_protocol(simulated):
    given = {**GOOD, "dataset": "pamap2", "scale": 0, "switches": {"pamap2_held_out": "101_105"}}
    run = params.check("11_paper_and_released_code", given)
    assert run.spec.test_subjects == run.load().spec.test_subjects == (105,)
    assert run.load(protocol=Protocol()).spec is SPECS["pamap2"]
    assert run.load("all", Protocol(temperature="5")).protocol == Protocol(temperature="5")


def test_splits_of_a_run(simulated):
    run = params.check("07_rdpd", {**GOOD, "dataset": "ptbdb", "view": "lead_i", "scale": 0, "seeds": [3, 1]})
    windows = run.load()
    splits = run.splits(windows)
    assert list(splits) == [3, 1]
    for seed, split in splits.items():
        assert split.test.tolist() == data.split(windows, seed).test.tolist()


def test_a_fold_beyond_the_last_person_is_refused(simulated):
    """Fold 9 of 8 people would be fold 1 again, and count twice."""
    run = params.check("07_rdpd", {**GOOD, "dataset": "ptbdb", "view": "lead_i", "scale": 0, "seeds": [0, 10**6]})
    windows = run.load()
    assert list(run.splits(windows)) == run.seeds  # elsewhere a seed is any number
    windows = replace(windows, spec=replace(windows.spec, split="folds"))
    people = len(np.unique(windows.subject))
    with pytest.raises(
        UserError, match=rf"{people} people left out, and \[1000000\] are none; use seeds below {people}"
    ):
        run.splits(windows)
    last = replace(run, parameters={**run.parameters, "seeds": [people - 1]})
    assert last.splits(windows)[people - 1].subjects["test"].tolist() == [windows.subject.max()]


def test_how_a_run_trains(project):
    run = params.check("07_rdpd", {**GOOD, "epochs": 7, "patience": 2, "device": "cpu"})
    checkpoints = project / "results" / "demo" / "pamap2" / "wrist" / "07_rdpd.checkpoints"
    wanted = {"epochs": 7, "patience": 2, "updates": [], "device": "cpu", "checkpoints": checkpoints}
    assert run.training == wanted


def test_what_titles_say_of_the_data():
    run = params.check("07_rdpd", GOOD)
    assert run.note() == "PAMAP2, Wrist, simulated data"
    assert run.note(with_view=False) == "PAMAP2, simulated data"
    assert params.check("02_teacher", {**GOOD, "view": "all"}).note() == "PAMAP2, simulated data"
    real = {"dataset": "mimic3", "view": "bp", "source": "real", "profile": "paper"}
    assert params.check("07_rdpd", {**GOOD, **real}).note() == "MIMIC-III, BP, real data"
    embedded = {"dataset": "dsads", "view": "watch", "source": "embedded"}
    assert params.check("07_rdpd", {**GOOD, **embedded}).note().endswith(", real data")


def test_a_run_knows_when_it_began():
    before = time.perf_counter()
    run = params.check("07_rdpd", GOOD)
    assert before <= run.began <= time.perf_counter()
    assert run == params.Run("07_rdpd", GOOD)  # whenever that was


def test_parameters_are_checked_before_anything_slow_is_imported():
    """Snakemake reads its Snakefile, and so this package, once a job."""
    slow = "{'torch', 'pandas', 'matplotlib', 'scipy', 'sklearn', 'pyarrow', 'duckdb', 'wfdb'}"
    code = (
        f"import sys; import rdpd_nb.params, rdpd_nb.run, rdpd_nb.reproduce; print(sorted({slow} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=NOTEBOOKS.parent, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "given",
    [
        {**GOOD, "dataset": "mimic3", "view": "bp", "source": "real"},
        {**TABLES, "datasets": {"pamap2": OWN, "mimic3": {**OWN, "source": "real"}}},
    ],
)
@pytest.mark.parametrize(
    "place", [{"profile": "real"}, {"profile": "Demo"}, {"results": "figures/real"}, {"results": "out"}]
)
def test_credentialed_data_have_no_place_that_git_may_take(given, place):
    notebook = "07_rdpd" if "view" in given else "10_tables_and_figures"
    assert "MIMIC-III" in refusal(notebook, {**given, "profile": "paper", **place})


def test_credentialed_data_may_go_to_ignored_folders_and_out_of_the_project(tmp_path):
    given = {**GOOD, "dataset": "mimic3", "view": "bp", "profile": "paper", "source": "real"}
    for results in ("results", "results/mine", str(tmp_path)):
        assert params.check("07_rdpd", {**given, "results": results})


def test_simulated_data_do_not_go_where_real_figures_are_committed():
    assert "profile 'real'" in refusal("07_rdpd", {**GOOD, "profile": "real", "source": "simulated"})


# ---------------------------------------------------------------------------------------------------- profiles


PROFILES = NOTEBOOKS.parent / "profiles"


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_profiles_of_the_project(path, monkeypatch):
    monkeypatch.chdir(PROFILES.parent)
    profile = params.read_profile(path.stem)
    assert set(profile) == set(params.PROFILE)
    settings = jobs.read_settings(path.stem)
    assert list(settings["datasets"]) == list(profile["datasets"])
    assert {job.notebook for job in jobs.plan(settings)} >= {"01_preprocessing", "10_tables_and_figures"}


PROFILE = yaml.safe_load((PROFILES / "demo.yaml").read_text())


def write_profile(project, profile):
    path = project / "profiles" / "odd.yaml"
    path.write_text(yaml.safe_dump(profile))
    return path


def test_read_profile(project):
    write_profile(project, PROFILE)
    assert params.read_profile("odd") == PROFILE


@pytest.mark.parametrize("name", PROFILE)
def test_a_profile_without_a_setting_is_refused(project, name):
    path = write_profile(project, {other: value for other, value in PROFILE.items() if other != name})
    with pytest.raises(UserError) as caught:
        params.read_profile("odd")
    assert str(path) in str(caught.value) and name in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"epoch": 3}, "epoch "),
        ({"sweeps": {**PROFILE["sweeps"], "amplitude": [1.0]}}, "sweeps.amplitude "),
        ({"sweeps": {"views": {}}}, "sweeps.fractions"),
        ({"sweeps": 3}, "sweeps"),
    ],
)
def test_a_profile_with_an_unknown_setting_is_refused(project, changed, named):
    path = write_profile(project, {**PROFILE, **changed})
    with pytest.raises(UserError) as caught:
        params.read_profile("odd")
    assert str(path) in str(caught.value) and named in str(caught.value)


def test_a_missing_profile_is_refused_with_the_names_there_are(project):
    for name in ("demo", "paper"):
        (project / "profiles" / f"{name}.yaml").write_text("epochs: 2\n")
    with pytest.raises(UserError, match="there is no profile 'dmeo' in .*; profiles are demo, paper."):
        params.read_profile("dmeo")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"datasets": ["brugada"]}, "datasets is ['brugada']; it should be a dict"),
        ({"datasets": None}, "datasets is None; it should be a dict"),
        ({"datasets": {"brugada": "embedded"}}, "datasets.brugada is 'embedded'; it should hold some of source"),
        ({"datasets": {"brugada": [1]}}, "datasets.brugada is [1]; it should hold some of source"),
        ({"datasets": {"brugada": {"sorce": "real"}}}, "datasets.brugada: sorce unknown; use some of source"),
        ({"datasets": {"brugada": {1: 2}}}, "datasets.brugada: 1 unknown"),
        ({"datasets": {"hapt": {"raw": 3}}}, "datasets.hapt: raw is 3; it should be a folder"),
        ({"datasets": {"hapt": {"seeds": 3}}}, "datasets.hapt: seeds is 3; it should be a list"),
        ({"datasets": {"hapt": {"updates": [5]}}}, "datasets.hapt: updates is [5]; it should be [] or [least, most]"),
        ({"raw": 3}, "raw is 3; it should be a folder"),
        ({"source": ["real"]}, "source is ['real']; it should be one of 'simulated', 'embedded', 'real'"),
        ({"epochs": None}, "epochs is None; it should be a whole number from 1"),
        ({1: 2}, "1 unknown or missing"),
    ],
)
def test_a_wrong_value_in_a_profile_is_named_where_it_stands(project, changed, words):
    path = write_profile(project, {**PROFILE, **changed})
    with pytest.raises(UserError) as caught:
        jobs.read_settings("odd")
    assert str(caught.value).startswith(f"{path}: ") and words in str(caught.value)


def test_a_data_set_in_a_profile_may_have_no_settings_of_its_own(project):
    write_profile(project, {**PROFILE, "datasets": {"brugada": None}, "source": "embedded"})
    assert jobs.read_settings("odd")["datasets"]["brugada"]["epochs"] == PROFILE["epochs"]


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({"cinc2012": "few"}, "sweeps.own is {'cinc2012': 'few'}; it should list settings by data set"),
        ({"cinc2012": {"seeds": 3}}, "sweeps.own.cinc2012: seeds is 3; it should be a list"),
        ({"cinc2012": {"seeds": [[1]]}}, "sweeps.own.cinc2012: seeds is [[1]]"),
        ({"cinc2012": {"epochs": "many"}}, "sweeps.own.cinc2012: epochs is 'many'"),
        ({"cinc2012": {"updates": [5]}}, "sweeps.own.cinc2012: updates is [5]"),
        ({"cinc2012": {"source": "real"}}, "sweeps.own.cinc2012: source unknown; use some of seeds, epochs, patience"),
        ({"cinc": {"epochs": 3}}, "sweeps.own is {'cinc': {'epochs': 3}}"),
    ],
)
def test_a_wrong_setting_of_a_sweep_is_one_sentence(own, words):
    settings = jobs.read_settings("demo")
    settings["sweeps"] = {**settings["sweeps"], "own": own}
    with pytest.raises(UserError) as caught:
        jobs.plan(settings)
    assert words in str(caught.value)


def test_settings_of_an_older_version_are_one_sentence():
    settings = jobs.read_settings("demo")
    del settings["datasets"]["brugada"]["labelled"]
    with pytest.raises(UserError, match="the settings of 'brugada' lack labelled: an older version wrote them"):
        jobs.plan(settings)


def test_a_sweep_has_no_more_than_its_tables():
    settings = jobs.read_settings("demo", {"seeds": [0, 1, 2], "epochs": 30})
    own = {"seeds": [0, 2, 5], "epochs": 50, "updates": [9, 99]}
    settings["sweeps"] = {**settings["sweeps"], "own": {"cinc2012": own}}
    settings["datasets"]["cinc2012"] |= {"updates": [10, 50]}
    of = {job.name: job.parameters for job in jobs.plan(settings)}
    assert [of[f"cinc2012/bedside/{name}"]["seeds"] for name in ("rdpd", "presets")] == [[0, 1, 2], [0, 2]]
    assert {of[f"cinc2012/bedside/{name}"]["epochs"] for name in ("rdpd", "rich_data_size")} == {30}
    assert of["cinc2012/bedside/rich_data_size"]["updates"] == [9, 50]


@pytest.mark.parametrize("notebook", ["08_rich_data_size", "09_noise_robustness", "11_paper_and_released_code"])
def test_notebooks_that_train_on_all_labels_refuse_fewer(notebook):
    given = {"08_rich_data_size": FRACTIONS, "09_noise_robustness": NOISE}.get(notebook, GOOD) | {"labelled": 0.5}
    assert "labelled is 0.5, and this notebook trains on all labels; use 02 to 07" in refusal(notebook, given)


def test_titles_say_of_how_many_people_there_are_labels():
    assert params.check("03_direct", GOOD | {"labelled": 0.3}).note() == (
        "PAMAP2, Wrist, simulated data, labels of 30% of the people"
    )


@pytest.mark.parametrize("text", ["seeds: [0\n", "a: b: c\n", "\t- x", "", "just words\n", "[1, 2]\n", "\x00"])
def test_a_profile_that_is_no_yaml_or_no_mapping(project, text):
    path = project / "profiles" / "odd.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        params.read_profile("odd")
    assert str(path) in str(caught.value)
