"""A notebook's parameters, and a profile's settings: typed, checked, unknown names refused.

A notebook calls `run = params.check("03_direct", globals())` in the cell after its `parameters` cell.
"""

import ast
import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from . import privacy
from .data import SOURCES, SPECS
from .errors import UserError, short
from .files import place, root
from .paper import METHODS, SWITCHES
from .run import OWN, Run

# More is a mistyped number, whose training nobody lives to see.
MOST_SEEDS, MOST_EPOCHS, MOST_UPDATES = 1000, 100_000, 10**9
_LONGEST = 1000  # characters of a text
_NO_TEXT = re.compile("[\0-\x1f\x7f\u2028\u2029\ud800-\udfff]")  # ends a line, or cannot be written or shown


def _is_text(value: Any, pattern: str = ".*") -> bool:
    return (
        isinstance(value, str)
        and len(value) <= _LONGEST
        and not _NO_TEXT.search(value)
        and bool(re.fullmatch(pattern, value))
    )


def _is_path(value: Any, pattern: str = ".*") -> bool:
    """Whether a system can have such a name: each part is at most 255 bytes long."""
    return _is_text(value, pattern) and all(len(part.encode()) < 256 for part in value.split("/"))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any, most: float = 1e300) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= most  # so not NaN


def _is_label(value: Any) -> bool:
    return _is_text(value) or isinstance(value, bool) or _is_number(value)


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(of, value)) and len(set(value)) == len(value)


def _is_pair(value: Any) -> bool:
    return _is_list(value, _is_int) and len(value) == 2


def _are_bounds(least: int, most: int) -> bool:
    return 0 <= least <= most and 0 < most <= MOST_UPDATES


def _are_labels(classes: dict | list) -> bool:
    """Whether what stands in the table for each class is a label, or a list of them."""
    each = classes.values() if isinstance(classes, dict) else classes
    return all(all(map(_is_label, own)) if isinstance(own, list) else _is_label(own) for own in each)


def _of_sensors() -> dict[str, tuple[Callable[[Any], bool], str]]:
    """What the parameters of notebook 12 must be; what its files hold is checked where they are read."""
    names = dict.fromkeys(("rich", "poor"), "a list of different names of channels")
    names |= {"methods": "a list of methods, e.g. ['direct', 'rdpd']"}
    seconds = dict.fromkeys(("window", "hop", "segment"), "a number of seconds, above 0, up to a million")
    texts = {
        "title": "what the data are called",
        **dict.fromkeys(("recording", "subject", "label"), "the name of a column of the table of labels"),
        "ship": "one of the methods",
    }
    return {
        **{name: (lambda v: _is_text(v, ".*\\S.*"), words) for name, words in texts.items()},
        **{name: (lambda v: _is_list(v, _is_text), words) for name, words in names.items()},
        **{name: (lambda v: _is_number(v, 1e6) and v > 0, words) for name, words in seconds.items()},
        "signals": (lambda v: _is_path(v, ".*\\S.*"), "a folder, an archive or an .npz file, as text"),
        "labels": (_is_path, "a .csv or .parquet file, as text, '' where an .npz holds y and subject"),
        "rate": (lambda v: _is_number(v, 1e9) and v >= 0, "a number of Hz, 0 where the files say it"),
        "classes": (
            lambda v: isinstance(v, dict | list) and len(v) > 1 and all(map(_is_label, v)) and _are_labels(v),
            "a dict of each class's title with its labels in the table, or a list of labels",
        ),
        "temperature": (lambda v: _is_number(v, 1000) and v >= 0.01, "a number from 0.01 to 1000"),
        "held_out": (lambda v: _is_number(v) and 0 < v < 0.5, "a number between 0 and 0.5"),
        "folds": (lambda v: isinstance(v, bool), "True or False"),
        "positive": (_is_text, "the title of a class, '' for none"),
        "specificity": (lambda v: _is_number(v) and 0 < v < 1, "a number between 0 and 1"),
        "subgroups": (lambda v: v == [] or _is_list(v, _is_text), "a list of columns of the table of labels"),
    }


def _of_other_systems() -> dict[str, tuple[Callable[[Any], bool], str]]:
    """What the parameters of notebooks 13 to 17 must be that the others do not have."""
    return {
        "task": (_is_text, "the name of a task"),
        "temperatures": (
            lambda v: _is_list(v, lambda t: _is_number(t, 1000) and t >= 0.01),
            "a list of different numbers from 0.01 to 1000",
        ),
        "alpha": (lambda v: _is_number(v) and 0 <= v <= 1, "a number from 0 to 1: the weight of the soft labels"),
        "teacher_epochs": (lambda v: _is_int(v) and 1 <= v <= MOST_EPOCHS, f"a whole number from 1 to {MOST_EPOCHS:,}"),
        "unlabelled": (
            lambda v: _is_list(v, lambda u: _is_int(u) and 0 <= u <= 10**6),
            "a list of different whole numbers of rows a class, from 0",
        ),
        "shots": (
            lambda v: _is_list(v, lambda k: _is_int(k) and 1 <= k <= 10**6),
            "a list of different whole numbers of rows a class, from 1",
        ),
        "sources": (lambda v: _is_int(v) and 1 <= v <= 5, "a whole number of sources, from 1 to 5"),
        "C": (lambda v: _is_number(v, 1e9) and v >= 1e-9, "a number from 1e-9 to 1e9"),
        "scenarios": (
            lambda v: isinstance(v, list) and all(map(_is_pair, v)) and _is_list([tuple(pair) for pair in v], bool),
            "a list of different pairs [source person, target person], e.g. [[2, 11], [7, 13]]",
        ),
        "alternatives": (
            lambda v: v == [] or _is_list(v, _is_text),
            "a list of names from the table of alternatives in notebook 16, [] for none",
        ),
        **_of_small_series(),
    }


def _of_small_series() -> dict[str, tuple[Callable[[Any], bool], str]]:
    """What the parameters of notebook 14 must be that no other has."""
    series = ("mackey_glass", "pm25_a", "pm25_b")
    draws = (lambda v: _is_int(v) and 6 <= v <= MOST_SEEDS, f"a whole number from 6 to {MOST_SEEDS:,}")
    return {
        "draws": draws,
        "draws_of_choices": draws,
        "imitation": (
            lambda v: _is_list(v, lambda share: _is_number(share) and 0 <= share <= 1),
            "a list of different numbers from 0 to 1",
        ),
        "teacher_steps": (
            lambda v: (
                isinstance(v, dict)
                and set(v) == set(series)
                and all(_is_list(steps, lambda step: _is_int(step) and 1 <= step <= 1000) for steps in v.values())
            ),
            f"a dict that gives each of {', '.join(series)} a list of different steps after t, e.g. [5, 10]",
        ),
        "teacher_reads_now": (lambda v: isinstance(v, bool), "True or False"),
        "strength": (lambda v: _is_number(v, 1e6) and v >= 1e-6, "a number from 0.000001 to 1,000,000"),
        "choose": (
            lambda v: v in ("accuracy", "accuracy_last", "loss"),
            "'accuracy' (of equal ones the first), 'accuracy_last' (the last) or 'loss'",
        ),
        "sampling": (lambda v: _is_number(v, 50) and v >= 0.1, "a number of units of time from 0.1 to 50"),
        "pm25_rows": (lambda v: v in ("random", "spaced", "block"), "'random', 'spaced' or 'block'"),
        "pm25_hours": (lambda v: _is_int(v) and 1 <= v <= 48, "a whole number of hours from 1 to 48"),
    }


# What each parameter must be: a test, and the words of the message when it fails.
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dataset": (lambda v: v in SPECS, f"one of {', '.join(SPECS)}"),
    "datasets": (
        lambda v: isinstance(v, dict) and bool(v) and all(d in SPECS and isinstance(own, dict) for d, own in v.items()),
        f"a dict that gives each data set, of {', '.join(SPECS)}, its own settings",
    ),
    "view": (_is_text, "the name of a view"),
    "profile": (lambda v: _is_text(v, "[A-Za-z0-9_-]{1,100}"), "a name of letters and digits, at most 100"),
    "source": (lambda v: v in SOURCES, f"one of {', '.join(map(repr, SOURCES))}"),
    "raw": (_is_path, "a folder, as text ('' means $RDPD_RAW or data/raw)"),
    "scale": (lambda v: _is_number(v) and 0 <= v <= 1, "a number from 0 (smallest) to 1 (paper-sized)"),
    "seeds": (
        lambda v: _is_list(v, lambda s: _is_int(s) and 0 <= s < 2**32) and len(v) <= MOST_SEEDS,
        f"a list of different whole numbers from 0 (to 2^32), at most {MOST_SEEDS:,} of them",
    ),
    "epochs": (lambda v: _is_int(v) and 1 <= v <= MOST_EPOCHS, f"a whole number from 1 to {MOST_EPOCHS:,}"),
    "device": (lambda v: _is_text(v, r"auto|cpu|cuda(:\d{1,2})?"), "'auto', 'cpu' or 'cuda'"),
    "results": (lambda v: _is_path(v, ".+"), "a folder, as text"),
    "fractions": (
        lambda v: _is_list(v, lambda f: _is_number(f) and 0 < f <= 1),
        "a list of different numbers above 0, up to 1",
    ),
    "amplitudes": (
        lambda v: _is_list(v, lambda a: _is_number(a) and 0 <= a <= 1000),
        "a list of different numbers from 0 to 1000",
    ),
    "noise_kind": (lambda v: v in ("normal", "uniform"), "'normal' or 'uniform'"),
    "fraction_of": (lambda v: v in ("rich", "both"), "'rich' or 'both'"),
    "patience": (
        lambda v: _is_int(v) and 0 <= v <= MOST_EPOCHS,
        f"a whole number of epochs, at most {MOST_EPOCHS:,} (0: never stop early)",
    ),
    "updates": (
        lambda v: v == [] or (isinstance(v, list) and len(v) == 2 and all(map(_is_int, v)) and _are_bounds(*v)),
        "[] or [least, most], the bounds of a training in steps of Adam (to 10^9), e.g. [1000, 20000]",
    ),
    "labelled": (
        lambda v: _is_number(v) and 0 < v <= 1,
        "a number above 0, up to 1: the fraction of the training people whose windows have a label",
    ),
    "switches": (
        lambda v: isinstance(v, dict) and all(v[name] in SWITCHES[name] for name in v),
        "a dict of switches of paper.Protocol with their values (notebook 11 lists them), e.g. {'batch_order': 'once'}",
    ),
} | _of_sensors()
KINDS |= _of_other_systems()
_MANY = ("datasets", "seeds", "fractions", "amplitudes", "updates", "switches", "temperatures", "unlabelled", "shots")
_NUMBERS = ("scale", "epochs", "teacher_epochs", "patience", "labelled", "alpha", "sources", "C")
_SENSORS = ("rate", "window", "hop", "segment", "temperature", "held_out", "folds", "specificity")
_SERIES = (
    *("draws", "draws_of_choices", "imitation", "strength", "teacher_steps", "teacher_reads_now", "sampling"),
    "pm25_hours",
)
NOT_TEXT = (*_MANY, *_NUMBERS, *_SENSORS, *_SERIES, "classes", "rich", "poor", "methods", "subgroups")
NOT_TEXT = (*NOT_TEXT, "scenarios", "alternatives")
_ALWAYS = ("profile", "device", "results", "switches")
_ONE_VIEW = ("dataset", "view", *OWN, *_ALWAYS)
NOTEBOOKS: dict[str, tuple[str, ...]] = {
    "01_preprocessing": _ONE_VIEW,
    **{method.notebook: _ONE_VIEW for method in METHODS.values()},
    "08_rich_data_size": (*_ONE_VIEW, "fractions", "fraction_of"),
    "09_noise_robustness": (*_ONE_VIEW, "amplitudes", "noise_kind"),
    "10_tables_and_figures": ("datasets", *_ALWAYS),
    "11_paper_and_released_code": _ONE_VIEW,
    "12_your_own_sensors": (
        *("title", "signals", "labels", "recording", "subject", "label", "classes", "rich", "poor", "rate"),
        *("window", "hop", "segment", "methods", "ship", "seeds", "temperature", "held_out", "folds", "labelled"),
        *("epochs", "patience", "updates", "positive", "specificity", "subgroups", "device", "results"),
    ),
}
# Other systems than RDPD, each a module of `related`: its notebook, its tasks with the source of each, and what its
# notebook takes besides.
SYSTEMS: dict[str, str] = {
    "hinton": "13_hinton_distillation",
    "generalised": "14_generalised_distillation",
    "gdda_svm": "15_gdda_svm",
    "uni_kd": "16_uni_kd",
}
TASKS: dict[str, dict[str, str]] = {
    "hinton": {"digits": "embedded", "mnist": "real"},
    "generalised": {"three_series": "embedded"},
    "gdda_svm": {"digits": "embedded", "hapt": "real", "dsads": "real", "office31": "real"},
    "uni_kd": {"twin": "simulated", "hapt": "real", "uci_har": "real"},
}
TAKES: dict[str, tuple[str, ...]] = {
    "hinton": ("seeds", "epochs", "teacher_epochs", "temperatures", "alpha"),
    "generalised": (*_SERIES, "temperatures", "choose", "pm25_rows"),
    "gdda_svm": ("seeds", "unlabelled", "shots", "sources", "temperatures", "temperature", "C"),
    "uni_kd": ("scenarios", "seeds", "epochs", "alternatives"),
}
NOTEBOOKS |= {SYSTEMS[name]: ("task", "raw", *TAKES[name], "profile", "results") for name in SYSTEMS}
# What a profile holds; sweeps may be empty. `datasets` gives each data set those of OWN that differ from the common
# ones, `sweeps.own` those of OWN_OF_SWEEPS that its sweeps have otherwise than its tables.
PROFILE = ("datasets", *OWN, "device", "switches", "sweeps", "related")
SWEEPS = ("views", "presets", "own", "fractions", "fraction_of", "amplitudes", "noise_kind")
OWN_OF_SWEEPS = ("seeds", "epochs", "patience", "updates")  # of other data they would stand beside no table


def check(notebook: str, given: dict[str, Any]) -> Run:
    """Check a notebook's parameters and return its Run.

    given: the notebook's globals(), or a plain dict of parameters. Raises UserError for an unknown or missing
    name, a wrong type or value, an unknown data set or view.
    """
    expected = NOTEBOOKS[notebook]
    names = _assigned(given, expected) if "In" in given else set(given)
    for name in sorted(names - set(expected), key=str):
        close = difflib.get_close_matches(str(name), expected, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"the parameters are {', '.join(expected)}."
        raise UserError(f"{notebook}: unknown parameter {short(name)}; {hint}")
    for name in expected:
        if name not in given:
            raise UserError(f"{notebook}: parameter '{name}' is missing; it should be {KINDS[name][1]}.")
        as_text = " (papermill's -p makes text of lists and numbers: use a YAML file with -f)"
        hint = as_text if isinstance(given[name], str) and name in NOT_TEXT else ""
        _require(f"{notebook}: parameter '{name}'", name, given[name], hint)
    for dataset, own in given["datasets"].items() if "datasets" in expected else ():
        if wrong := _listed(set(own) ^ set(OWN)):
            raise UserError(
                f"{notebook}: '{dataset}' in datasets: {wrong} unknown or missing; it has {', '.join(OWN)}."
            )
        for name in OWN:
            _require(f"{notebook}: {name} of '{dataset}'", name, own[name])
    run = Run(notebook, {name: given[name] for name in expected})
    for fault in _faults(run):
        raise UserError(f"{notebook}: {fault}")
    if "In" in given:  # a notebook, which will write there
        privacy.keep_from_git(place(run.results))
        if _credentialed(run):
            print(privacy.SHOWN)
    return run


def system_of(run: Run) -> str:
    """The name in SYSTEMS of the notebook that runs."""
    return next(name for name, notebook in SYSTEMS.items() if notebook == run.notebook)


def _credentialed(run: Run) -> bool:
    own_sensors = "signals" in run.parameters
    return not own_sensors and "mimic3" in run.datasets and run.of("mimic3")["source"] == "real"


def _require(what: str, kind: str, value: Any, hint: str = "") -> None:
    """Raises UserError where a value is not of its kind."""
    fits, words = KINDS[kind]
    try:
        if fits(value):
            return
    except (TypeError, KeyError):  # an unhashable value looked up in a dict, or an unknown name
        pass
    raise UserError(f"{what} is {short(value)}; it should be {words}{hint}.")


def _listed(names: Iterable[Any]) -> str:
    """Names, sorted; those that are odd as a value is shown."""
    return ", ".join(name if re.fullmatch(r"[\w.-]{1,80}", name) else short(name) for name in sorted(map(str, names)))


def _faults(run: Run) -> Iterator[str]:
    """What does not fit together in parameters that are right by themselves."""
    given = run.parameters
    if "signals" in given:  # notebook 12
        if run.ship not in run.methods:
            yield f"ship is {short(run.ship)}, which is not among methods, {', '.join(run.methods)}; add it there."
        return
    profile = run.profile.lower()
    sources = {dataset: run.of(dataset)["source"] for dataset in run.datasets}
    if "task" in given:
        tasks = TASKS[system_of(run)]
        if run.task not in tasks:
            yield f"there is no task {short(run.task)} here; use {' or '.join(map(repr, tasks))}."
            return
        sources = {run.task: tasks[run.task]}
    if _credentialed(run):  # git must not take what comes of it
        if profile in ("demo", "real"):
            yield (
                f"the figures of profile '{run.profile}' are committed; name another profile (e.g. profile='paper') "
                "for MIMIC-III, which must not be passed on."
            )
        folder, project = run.results_root.resolve(), root().resolve()
        if folder.is_relative_to(project) and not folder.is_relative_to(project / "results"):
            yield (
                f"results of MIMIC-III, which must not be passed on, would go to {folder}, where git could take them; "
                f"leave `results` as it is, or name a folder under {project / 'results'} or outside the project."
            )
    if "view" in given and run.labelled < 1 and run.notebook[:2] in ("08", "09", "11"):
        yield (
            f"labelled is {run.labelled:g}, and this notebook trains on all labels; use 02 to 07, and `sweeps: {{}}` "
            "in a profile."
        )
    of = {source: ", ".join(d for d in sources if sources[d] == source) for source in sources.values()}
    if profile == "demo" and "real" in of:
        yield (
            f"profile 'demo' is for data that come with the repository, and its figures are committed; {of['real']} "
            "would be read from a folder of your own: name another profile (e.g. profile='paper')."
        )
    if profile == "real" and "simulated" in of:
        yield (
            f"profile 'real' is for real data, and its figures are committed; {of['simulated']} would be simulated: "
            "name another profile (e.g. profile='demo')."
        )
    if "view" in given:
        rich = run.notebook in ("01_preprocessing", METHODS["teacher"].notebook)
        views = ("all",) if rich else SPECS[run.dataset].poor_views
        if run.view not in views:
            offered = " or ".join(map(repr, views))
            yield f"data set '{run.dataset}' has no view {short(run.view)} here; use {offered}."


def _assigned(given: dict[str, Any], expected: tuple[str, ...]) -> set[str]:
    """Names assigned in the parameter cells run so far: the notebook's own, and the one papermill put in."""
    names: set[str] = set()
    for source in given["In"]:
        try:
            statements = ast.parse(source).body
        except SyntaxError:  # a cell with an IPython command
            continue
        targets = {t.id for s in statements if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)}
        only_assigns = all(isinstance(s, ast.Assign) for s in statements)
        if only_assigns and source.startswith("# Parameters"):
            names |= targets
        elif only_assigns and targets & set(expected):
            names = targets  # run again: what an earlier version of the cell assigned is forgotten
    return names


def read_profile(name: str) -> dict[str, Any]:
    """profiles/<name>.yaml, checked: what the Snakefile and the command line run with."""
    _require("PROFILE", "profile", name)
    folder = root() / "profiles"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise UserError(f"there is no profile '{name}' in {folder}; profiles are {known}.")
    profile = read_yaml(path, f"it should hold {', '.join(PROFILE)}")
    sweeps = profile.get("sweeps")
    if not isinstance(sweeps, dict | None):
        raise UserError(f"{path}: sweeps is {short(sweeps)}; it should hold {', '.join(SWEEPS)}, or nothing.")
    for what, there, wanted in (("", profile, PROFILE), ("sweeps.", sweeps or dict.fromkeys(SWEEPS), SWEEPS)):
        if wrong := _listed(f"{what}{setting}" for setting in set(there) ^ set(wanted)):
            raise UserError(f"{path}: {wrong} unknown or missing; settings are {', '.join(wanted)}.")
    check_related(str(path), profile["related"])
    if not isinstance(profile["datasets"], dict):
        raise UserError(f"{path}: datasets is {short(profile['datasets'])}; it should be {KINDS['datasets'][1]}.")
    check_own(str(path), {name: profile[name] for name in OWN})
    for dataset, own in profile["datasets"].items():
        check_own(f"{path}: datasets.{_listed([dataset])}", {} if own is None else own)
    return profile


def check_related(what: str, related: Any, common: tuple[str, ...] = ("task",)) -> None:
    """Check what a profile, or `what` else, says of the other systems: each has what is `common` to all, and what else
    its notebook takes. Raises UserError."""
    if not isinstance(related, dict) or not all(isinstance(own, dict) for own in related.values()):
        known = ", ".join(SYSTEMS)
        raise UserError(f"{what}: related is {short(related)}; it should give settings to some of {known}, or be {{}}.")
    for name, own in related.items():
        if name not in SYSTEMS:
            raise UserError(f"{what}: related has {short(name)}; the other systems are {', '.join(SYSTEMS)}.")
        wanted = (*common, *TAKES[name])
        if wrong := _listed(set(own) ^ set(wanted)):
            raise UserError(f"{what}: related.{name}: {wrong} unknown or missing; it has {', '.join(wanted)}.")


class _Strict(yaml.SafeLoader):
    """Of two settings of one name YAML would keep the second without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        there: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in there:
                problem = f"{short(key.value)} is there twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            there.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """The settings in a YAML file; `what` says what it should hold. Raises UserError."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _Strict)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); name a YAML file.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # no UTF-8; an impossible date; nested too deeply
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        words = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise UserError(f"{path}{where} is not readable as YAML ({words}); {what}.") from None
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no settings; {what}.")
    return found


def check_own(what: str, own: Any, names: tuple[str, ...] = OWN) -> None:
    """Check settings of a data set that may be some of `names`; `what` says where they stand. Raises UserError."""
    if not isinstance(own, dict):
        raise UserError(f"{what} is {short(own)}; it should hold some of {', '.join(names)}.")
    if wrong := _listed(set(own) - set(names)):
        raise UserError(f"{what}: {wrong} unknown; use some of {', '.join(names)}.")
    for name, value in own.items():
        _require(f"{what}: {name}", name, value)


def check_given(given: dict[str, Any]) -> None:
    """Check what of OWN the command line sets in place of a profile's, named as there. Raises UserError."""
    for name in OWN:
        if name in given:
            _require(name.upper(), name, given[name])


def check_settings(settings: dict[str, Any]) -> None:
    """Check what the list of jobs is made from; each job's parameters are checked by themselves. Raises UserError."""
    _require("DATASETS", "datasets", settings["datasets"])
    for dataset, own in settings["datasets"].items():
        if missing := ", ".join(name for name in OWN if name not in own):
            raise UserError(
                f"the settings of '{dataset}' lack {missing}: an older version wrote them; run `make reproduce` again."
            )
    check_related("the settings", settings.get("related"), ("task", "raw"))
    sweeps = settings["sweeps"]
    if not isinstance(sweeps, dict | None):
        raise UserError(f"sweeps is {short(sweeps)}; it should hold {', '.join(SWEEPS)}, or nothing.")
    if sweeps:
        for name, of_each in (("views", list), ("presets", list), ("own", dict)):
            given, what = sweeps[name], "settings" if name == "own" else "different views"
            if not isinstance(given, dict) or not all(
                d in SPECS and isinstance(v, of_each) and (name == "own" or not v or _is_list(v, _is_text))
                for d, v in given.items()
            ):
                known = ", ".join(SPECS)
                raise UserError(f"sweeps.{name} is {short(given)}; it should list {what} by data set, of {known}.")
        for dataset, own in sweeps["own"].items():
            check_own(f"sweeps.own.{dataset}", own, OWN_OF_SWEEPS)
