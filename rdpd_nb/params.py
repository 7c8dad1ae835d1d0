"""A notebook's parameters, and a profile's settings: typed, checked, unknown names refused.

A notebook calls `run = params.check("03_direct", globals())` in the cell after its `parameters` cell.
"""

import ast
import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from . import privacy
from .data import SPECS
from .errors import UserError, short
from .files import place, root
from .kinds import KINDS, TEXTS, is_list, is_text
from .paper import METHODS
from .run import OWN, Run
from .systems import SYSTEMS, of_notebook

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
NOTEBOOKS |= {system.notebook: ("task", "raw", *system.takes, "profile", "results") for system in SYSTEMS.values()}
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
        hint = as_text if isinstance(given[name], str) and name not in TEXTS else ""
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
        tasks = SYSTEMS[of_notebook(run.notebook)].tasks
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
        wanted = (*common, *SYSTEMS[name].takes)
        if wrong := _listed(set(own) ^ set(wanted)):
            raise UserError(f"{what}: related.{name}: {wrong} unknown or missing; it has {', '.join(wanted)}.")
        _require(f"{what}: related.{name}: task", "task", own["task"])


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
    if "related" not in settings:
        raise UserError("the settings lack related: an older version wrote them; run `make reproduce` again.")
    check_related("the settings", settings["related"], ("task", "raw"))
    sweeps = settings["sweeps"]
    if not isinstance(sweeps, dict | None):
        raise UserError(f"sweeps is {short(sweeps)}; it should hold {', '.join(SWEEPS)}, or nothing.")
    if sweeps:
        for name, of_each in (("views", list), ("presets", list), ("own", dict)):
            given, what = sweeps[name], "settings" if name == "own" else "different views"
            if not isinstance(given, dict) or not all(
                d in SPECS and isinstance(v, of_each) and (name == "own" or not v or is_list(v, is_text))
                for d, v in given.items()
            ):
                known = ", ".join(SPECS)
                raise UserError(f"sweeps.{name} is {short(given)}; it should list {what} by data set, of {known}.")
        for dataset, own in sweeps["own"].items():
            check_own(f"sweeps.own.{dataset}", own, OWN_OF_SWEEPS)
