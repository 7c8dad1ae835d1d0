"""Wrong parameters, profiles, settings and command lines: each is one sentence, and nothing is trained."""

import datetime
from pathlib import Path

import pytest
import yaml
from outcome import said
from website import Site

from rdpd_nb import params, report, reproduce
from rdpd_nb.errors import UserError
from rdpd_nb.systems import SYSTEMS

ROOT = Path(__file__).parents[2]
NAN, INF = float("nan"), float("inf")
RECURSIVE: list = []
RECURSIVE.append(RECURSIVE)
BOMB: list = ["lol"]  # nine lists of nine: a billion words if anybody writes it out
for _ in range(9):
    BOMB = [BOMB] * 9

ONE_VIEW = {
    "dataset": "pamap2", "view": "wrist", "raw": "", "scale": 0.1, "profile": "paper", "source": "simulated",
    "seeds": [0, 1], "epochs": 20, "patience": 0, "updates": [], "labelled": 1.0, "device": "auto",
    "results": "results", "switches": {}, "fractions": [0.1, 1.0], "fraction_of": "rich", "amplitudes": [0.0, 0.5],
    "noise_kind": "normal",
}  # fmt: skip
ONE_VIEW["datasets"] = {"pamap2": {name: ONE_VIEW[name] for name in params.OWN}}

# What no parameter may be, whatever its type.
NEVER = {
    "null": None, "a huge number": 10**400, "minus a huge number": -(10**400), "not a number": NAN, "infinite": INF,
    "a list in itself": RECURSIVE, "a billion words": BOMB, "a date": datetime.date(2019, 8, 10), "bytes": b"\x80",
    "a set": {1, 2}, "5,000 letters": "x" * 5000, "a null character": "a\0b", "two lines": "a\nb",
    "half a character": "\udc80", "a dict of a dict": {"a": {"b": [1]}}, "a number as a key": {1: 2},
}  # fmt: skip

# What one may not be; `what` they are says the message.
WRONG = {
    "dataset": ["", "PAMAP2", "pamap2 ", "mimic4", "../pamap2", 3, ["pamap2"], True],
    "view": ["", "all", "nose", "Wrist", 0, ["wrist"], False],
    "raw": [0, False, ["raw"], {"pamap2": "raw"}, "x" * 300, "/".join(["x" * 200] * 30)],
    "scale": ["", "0.1", "false", -0.1, 1.5, 1e9, -INF, [0.1], True],
    "profile": ["", "..", "../x", "a/b", "a b", ".hidden", "demo\n", "ünicode", "x" * 101, 5, ["demo"]],
    "source": ["", "Real", "simulated ", "both", True, ["real"]],
    "seeds": [0, "0", [], [0, 0], [-1], [2**32], [2**64], [1.0], [True], ["0"], [[0]], [None], [NAN], [0, 1, 0],
              list(range(1001)), {"a": 1}],
    "epochs": [0, -1, 1.0, 1.5, "20", "", True, 10**6, 10**30, [20]],
    "patience": [-1, 0.5, "0", True, 10**30, []],
    "updates": [0, [1], [1, 2, 3], [2, 1], [0, 0], [-1, 5], [1.0, 2.0], ["1", "2"], [True, 2], [0, 10**30], "[1, 2]"],
    "labelled": [0, 0.0, -0.5, 1.0001, "1", True, [1.0]],
    "device": ["", "mps", "gpu", "CUDA", "cuda:", "cuda:-1", "cuda:x", "cuda:99999999999999999999", "cpu:0", "cpu\n",
               0, True],
    "results": ["", 5, ["results"], "x" * 300, "/".join(["x" * 200] * 30), False],
    "switches": ["", [], ["knowledge"], {"knowledge": "x"}, {"knowlege": "training"}, {"temperature": 5},
                 {"knowledge": ["training"]}, {"knowledge": None}, 0],
    "fractions": [1.0, [], [0.0], [-0.1], [1.1], [0.5, 0.5], ["0.5"], [True], [[0.5]], [NAN], [INF]],
    "fraction_of": ["", "Rich", "poor", 1, ["rich"]],
    "amplitudes": [0.0, [], [-1.0], [0.5, 0.5], ["1"], [NAN], [INF], [1e300], [True]],
    "noise_kind": ["", "gauss", "Normal", 0, ["normal"]],
    "datasets": [[], {}, ["pamap2"], "pamap2", {"mimic4": {}}, {"pamap2": {}}, {"pamap2": None}, {"pamap2": 5},
                 {"pamap2": {"epochs": 1}}, {5: {}}],
}  # fmt: skip
NOTEBOOK_OF = {
    "fractions": "08_rich_data_size", "fraction_of": "08_rich_data_size", "amplitudes": "09_noise_robustness",
    "noise_kind": "09_noise_robustness", "datasets": "10_tables_and_figures",
}  # fmt: skip


def given(notebook: str, **change) -> dict:
    return {name: ONE_VIEW[name] for name in params.NOTEBOOKS[notebook]} | change


def cases(wrong: dict[str, list]) -> list:
    found = []
    for name, values in wrong.items():
        found += (pytest.param(name, value, id=f"{name} is {str(value)[:40]!r}") for value in values)
        found += (pytest.param(name, value, id=f"{name} is {what}") for what, value in NEVER.items())
    return found


@pytest.mark.parametrize(("name", "value"), cases(WRONG))
def test_a_notebooks_parameter(name, value):
    notebook = NOTEBOOK_OF.get(name, "03_direct")
    params.check(notebook, given(notebook))
    sentence = said(lambda: params.check(notebook, given(notebook, **{name: value})), "parameters", names=name)
    one_line(sentence, notebook)


OF_SENSORS = {
    "title": ["", " ", 5], "signals": ["", 5, ["a"]], "labels": [5, ["a"]], "recording": ["", 5], "subject": ["", 5],
    "label": ["", 5], "classes": [{}, [], ["one"], {"one": 1}, "two", 2],
    "rich": [[], "II", [1], ["II", "II"], [["II"]]],
    "poor": [[], "II", [1], ["II", "II"]], "rate": [-1, "200", True, [200], 1e300],
    "window": [0, -1.0, "12", True, 1e300], "hop": [0, -1.0, "12", True, 1e300], "segment": [0, -1.0, 1e300],
    "methods": [[], "rdpd", ["rdpd", "rdpd"], [1]], "ship": ["", "rdp", 5], "seeds": WRONG["seeds"],
    "temperature": [0, -1, "5", True, 1e300, 1e-300], "held_out": [0, 0.5, 1, -0.1, "0.2", True],
    "folds": [0, 1, "false", ""],
    "labelled": WRONG["labelled"], "epochs": WRONG["epochs"], "patience": WRONG["patience"],
    "updates": WRONG["updates"], "positive": [5, ["LVH"]], "specificity": [0, 1, "0.9", True],
    "subgroups": ["sex", [5], ["a", "a"]],
    "device": WRONG["device"], "results": WRONG["results"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), cases(OF_SENSORS))
def test_a_parameter_of_own_sensors(name, value):
    good = report.parameters("")
    sentence = said(lambda: params.check(report.NOTEBOOK, good | {name: value}), "own sensors", names=name)
    one_line(sentence, report.NOTEBOOK)


OTHERS = {  # the parameters of other systems' notebooks, as the demo has them
    SYSTEMS[name].notebook: own | {"raw": "", "profile": "demo", "results": "results"}
    for name, own in params.read_profile("demo")["related"].items()
}
OF_OTHERS = {
    "task": ["", "Digits", "digit", "../digits", 5, ["digits"], True],
    "raw": WRONG["raw"], "profile": WRONG["profile"], "results": WRONG["results"], "seeds": WRONG["seeds"],
    **dict.fromkeys(("epochs", "teacher_epochs", "adaptation_epochs"), WRONG["epochs"]),
    "temperatures": [1, [], [0], [-1.0], ["1"], [1, 1], [True], [1e300], [NAN], [INF]],
    **dict.fromkeys(("alpha", "C", "strength", "sampling"), [-0.1, "0.5", True, [0.5], 1e300, {}]),
    "imitation": [0.5, [], [-0.1], [1.1], ["0"], [0, 0], [NAN], [True]],
    "unlabelled": [5, [], [-1], [0.5], ["5"], [5, 5], [True], [10**30]],
    "shots": [5, [], [0], [0.5], ["5"], [5, 5], [True], [10**30]], "sources": [0, 6, 1.5, "4", True, [4]],
    "temperature": OF_SENSORS["temperature"],
    "scenarios": [[], [2, 11], [[2]], [[2, 11, 3]], [[2, 2]], [["2", "11"]], [[2, 11], [2, 11]], "2 to 11", [[2.0, 3]],
                  [5]],
    "alternatives": ["detached", [5], ["detached", "detached"], [["detached"]], {"detached": True}],
    **dict.fromkeys(("draws", "draws_of_choices"), [5, 0, -1, 10**6, 7.5, "100", True, [100]]),
    "teacher_steps": [[], {}, [3, 5], {"mackey_glass": [3, 5]}, "3"], "teacher_reads_now": [0, 1, "False", []],
    "choose": ["", "Accuracy", 5, ["accuracy"]], "pm25_rows": ["", "Block", 5, ["block"]],
    "pm25_hours": [0, 49, 1.5, "1", True, [1]],
}  # fmt: skip


def cases_of_others() -> list:
    wrong = {notebook: {name: OF_OTHERS[name] for name in own} for notebook, own in OTHERS.items()}
    return [pytest.param(notebook, *case.values, id=f"{notebook[:2]}: {case.id}")
            for notebook in wrong for case in cases(wrong[notebook])]  # fmt: skip


@pytest.mark.parametrize(("notebook", "name", "value"), cases_of_others())
def test_a_parameter_of_another_system(notebook, name, value):
    wrong = OTHERS[notebook] | {name: value}
    one_line(said(lambda: params.check(notebook, wrong), "other systems", names=name), notebook)


def test_every_parameter_of_other_systems_is_tried():
    assert set().union(*OTHERS.values()) == set(OF_OTHERS)


def good_of(notebook: str) -> dict:
    if notebook in OTHERS:
        return OTHERS[notebook]
    return report.parameters("") if notebook == report.NOTEBOOK else given(notebook)


@pytest.mark.parametrize("notebook", params.NOTEBOOKS)
@pytest.mark.parametrize("name", ["epoch", "", "x" * 5000, "a\nb", "__class__", "Epochs", 5, None, "ünicode"])
def test_a_name_that_is_no_parameter(notebook, name):
    good = good_of(notebook)
    if "view" in good and notebook in ("01_preprocessing", "02_teacher"):
        good["view"] = "all"
    params.check(notebook, good)
    one_line(said(lambda: params.check(notebook, good | {name: 1}), "parameters"), notebook)


@pytest.mark.parametrize("notebook", params.NOTEBOOKS)
def test_a_parameter_that_is_missing(notebook):
    good = good_of(notebook)
    for name in good:
        less = {other: value for other, value in good.items() if other != name}
        said(lambda less=less: params.check(notebook, less), "parameters", names=f"'{name}' is missing")


# ------------------------------------------------------------------------------------------------------- profiles

TINY = (ROOT / "profiles/tiny.yaml").read_text()
DEEP = "[" * 2000 + "]" * 2000
LAUGHS = "a0: &a0 [lol]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))

FAULTY_TEXTS = {
    "empty": "", "a word": "demo", "a list": "- epochs\n- seeds\n", "a number": "5", "null": "null",
    "unbalanced": TINY + "x: [1, 2\n", "a tab": TINY + "\tx: 1\n", "not UTF-8": "source: \xff\xfe", "binary": "\0\1\2",
    "an object": TINY + "x: !!python/object/apply:os.system ['touch pwned']\n", "nested deeply": TINY + f"x: {DEEP}\n",
    "a billion laughs": TINY + LAUGHS, "laughs as seeds": LAUGHS + TINY.replace("[0]", "*a9"),
    "an undefined alias": TINY.replace("[0]", "*nowhere"), "a list in itself": TINY.replace("[0]", "&me [*me]"),
    "an impossible date": TINY.replace("epochs: 1\n", "epochs: 2001-99-99\n", 1),
    "a number of 5,000 digits": TINY.replace("epochs: 1\n", f"epochs: {'9' * 5000}\n", 1),
    "two documents": TINY + "---\n" + TINY, "epochs twice": TINY + "epochs: 3\n",
    "a data set twice": TINY.replace("{ptbdb: {}}", "{ptbdb: {}, ptbdb: {epochs: 3}}"),
    "a key that is a list": TINY + "? [a, b]\n: 3\n", "a mapping as a key": TINY + "? {a: b}\n: 3\n",
}  # fmt: skip


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own whose one profile is the text given."""
    for name in ("profiles", "notebooks"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)

    def profile(text: str) -> Path:
        path = tmp_path / "profiles/mine.yaml"
        path.write_bytes(text.encode("latin-1"))
        return path

    return profile


def of_profile() -> None:
    reproduce.plan(reproduce.read_settings("mine"))


def test_the_profile_that_is_damaged_below_is_a_good_one(project):
    project(TINY)
    of_profile()


@pytest.mark.parametrize("what", FAULTY_TEXTS)
def test_a_profile_that_is_no_good_yaml(project, tmp_path, what):
    project(FAULTY_TEXTS[what])
    one_line(said(of_profile, "profiles", names="mine.yaml"))
    assert not list(tmp_path.rglob("pwned"))


def faulty_settings():
    whole = yaml.safe_load(TINY)
    for name in whole:
        yield f"without {name}", {key: value for key, value in whole.items() if key != name}
    for name in whole["sweeps"]:
        yield f"without sweeps.{name}", whole | {"sweeps": {k: v for k, v in whole["sweeps"].items() if k != name}}
    for name in params.OWN:
        for value in WRONG[name]:
            yield f"{name}: {str(value)[:30]!r}", whole | {name: value}
            yield f"datasets.ptbdb.{name}: {str(value)[:30]!r}", whole | {"datasets": {"ptbdb": {name: value}}}
    for name in ("device", "switches"):
        for value in WRONG[name]:
            yield f"{name}: {str(value)[:30]!r}", whole | {name: value}
    for name in ("fractions", "fraction_of", "amplitudes", "noise_kind"):
        for value in WRONG[name]:
            yield f"sweeps.{name}: {str(value)[:30]!r}", whole | {"sweeps": whole["sweeps"] | {name: value}}
    for value in (5, "none", [], ["views"], True, 0, False, ""):
        yield f"sweeps: {value!r}", whole | {"sweeps": value}
    for value in (None, 5, ["lead_i"], {"ptb": ["lead_i"]}, {"ptbdb": "lead_i"}, {"ptbdb": ["nose"]}, {"ptbdb": [5]},
                  {"ptbdb": [["lead_i"]]}, {"ptbdb": ["lead_i", "lead_i"]}, {"ptbdb": None}):  # fmt: skip
        yield f"sweeps.views: {value!r}", whole | {"sweeps": whole["sweeps"] | {"views": value}}
        yield f"sweeps.presets: {value!r}", whole | {"sweeps": whole["sweeps"] | {"presets": value}}
    for value in (None, 5, {"ptbdb": 5}, {"ptbdb": {"epochs": 0}}, {"ptbdb": {"scale": 0.1}}, {"ptb": {}}):
        yield f"sweeps.own: {value!r}", whole | {"sweeps": whole["sweeps"] | {"own": value}}
    for value in (None, [], {}, "ptbdb", 5, {"ptb": {}}, {"ptbdb": 5}, {"ptbdb": []}, {"ptbdb": {"epoch": 1}}, {5: {}}):
        yield f"datasets: {value!r}", whole | {"datasets": value}


@pytest.mark.parametrize("settings", [pytest.param(s, id=what) for what, s in faulty_settings()])
def test_a_profile_of_wrong_settings(project, settings):
    project(yaml.safe_dump(settings))
    one_line(said(of_profile, "profiles"))


# --------------------------------------------------------------------------------------------------- command lines

COMMANDS = [
    *(["--profile", name] for name in ("nope", "..", "../x", "../profiles/tiny", "x" * 5000, "a\0b", "demo\n.", "")),
    *(["--datasets", names] for names in ("mimic4", "ptbdb,pamap2", "x" * 5000, "../ptbdb")),
    *(["--source", name] for name in ("reel", "x" * 5000)),
    *(["--seeds", n] for n in ("0", "-1", "1.5", "nan", "three", "[0]", "1001", str(2**64), "9" * 5000, "1e3")),
    *(["--epochs", n] for n in ("0", "-3", "1.5", "nan", "x", str(10**30), "9" * 5000)),
    *([f"--scale={x}"] for x in ("nan", "inf", "-inf", "1e9", "-0.1", "1,5", "0x1", "9" * 5000)),
    *(["--cores", n] for n in ("0", "-1", "1.5", "x", str(10**9), "9" * 5000)),
    *(["--device", name] for name in ("mps", "gpu", "cuda", "cuda:7", "cuda:99999999999999999999", "cpu0")),
    *(["--source", "real", "--raw", raw] for raw in ("nowhere", "a\nb", "x" * 5000, "a\0b", "ünicode")),
    *(["--results", place] for place in ("a{b}c", "x" * 300, "a\nb", "a\0b", "/proc/nowhere", "/dev/null/x")),
]  # fmt: skip


@pytest.fixture
def untrained(monkeypatch, tmp_path):
    """Snakemake is not reached, and the graphics card not there."""

    def reached(*given):
        raise AssertionError("it was taken without a word")

    monkeypatch.setattr(reproduce, "_snakemake", reached)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "data"))


def refuse(arguments: list[str], capsys, expected: int = 2) -> None:
    """Raise what a command line says before it ends with the expected status, as a UserError."""
    status = reproduce.main(arguments)
    said = capsys.readouterr().err
    assert status == expected and said.startswith("error: ") and said.endswith("\n")
    raise UserError(said.removeprefix("error: ").removesuffix("\n"))


@pytest.mark.parametrize(
    "arguments", COMMANDS, ids=lambda arguments: " ".join(arguments)[:60].encode("unicode_escape").decode()
)
def test_a_command_line(untrained, tmp_path, capsys, arguments):
    arguments = [*arguments, *([] if "--results" in arguments else ["--results", str(tmp_path / "results")])]
    arguments = [*arguments, *([] if "--profile" in arguments else ["--profile", "tiny"])]
    one_line(said(lambda: refuse(arguments, capsys), "command lines"))


@pytest.mark.parametrize("what", ["file", "dangling link", "link to itself", "lock is a folder", "file above"])
def test_a_place_where_no_results_can_be(untrained, tmp_path, capsys, what):
    results = tmp_path / "results"
    if what == "file":
        results.write_text("")
    elif what == "dangling link":
        results.symlink_to("/proc/nowhere")
    elif what == "link to itself":
        results.symlink_to(results)
    elif what == "lock is a folder":
        (results / "tiny/.lock").mkdir(parents=True)
    else:
        (tmp_path / "above").write_text("")
        results = tmp_path / "above/results"
    said(lambda: refuse(["--profile", "tiny", "--results", str(results)], capsys), "command lines", names=str(tmp_path))


@pytest.mark.parametrize("what", [".snakemake is a file", "no place for its marks", "an option that nobody has"])
def test_what_snakemake_alone_refuses(tmp_path, monkeypatch, capsys, what):
    """It is reached, and says so before anything is trained."""
    for name in ("notebooks", "profiles", "Snakefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    if what == ".snakemake is a file":
        (tmp_path / ".snakemake").write_text("")
    elif what == "no place for its marks":
        (tmp_path / ".snakemake").mkdir()
        (tmp_path / ".snakemake/metadata").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "data"))
    arguments = ["--profile", "tiny", "--results", str(tmp_path / "results"), *["--sedes=3"] * ("option" in what)]
    status = 2 if "option" in what else 1
    one_line(said(lambda: refuse(arguments, capsys, status), "command lines", names="snakemake"))
    assert not list((tmp_path / "results").rglob("*.json"))


# ------------------------------------------------------------------------------------- make own, and what is left


@pytest.mark.parametrize("what", [*FAULTY_TEXTS, "a folder", "nothing"])
def test_parameters_of_make_own(tmp_path, monkeypatch, what):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "mine.yaml"
    if what in FAULTY_TEXTS:
        path.write_bytes(FAULTY_TEXTS[what].encode("latin-1"))
    elif what == "a folder":
        path.mkdir()
    sentence = said(lambda: report.parameters(str(path)), "own sensors")
    one_line(sentence)


LEFT = {what: text for what, text in FAULTY_TEXTS.items() if "laughs" not in what and "itself" not in what} | {
    "sweeps is a number": "sweeps: 5\n", "no data set": "datasets: {}\n",
    "data sets of an older version": "datasets: {ptbdb: {epochs: 5}}\n",
    "laughs as data sets": LAUGHS + "datasets: *a9\n",
}  # fmt: skip


@pytest.mark.parametrize("what", LEFT)
def test_settings_that_a_reproduction_left(tmp_path, what):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/settings.yaml").write_bytes(LEFT[what].encode("latin-1"))
    sentence = said(lambda: Site.read("tiny", str(tmp_path)), "settings")
    one_line(sentence)
    assert "no executed notebook" not in sentence, "they were taken"


def one_line(sentence: str, start: str = "") -> None:
    assert sentence.startswith(start) and "\n" not in sentence and sentence.isprintable(), sentence
