"""A notebook's parameters, and a profile's settings: typed, checked, unknown names refused.

A notebook calls `run = params.check("03_direct", globals())` in the cell after its `parameters` cell.
"""

import ast
import difflib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from .data import SPECS
from .errors import UserError
from .files import root
from .paper import METHODS, SWITCHES
from .run import Run


def _is_text(value: Any, pattern: str = ".*") -> bool:
    return isinstance(value, str) and bool(re.fullmatch(pattern, value, re.DOTALL))


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_list(value: Any, of: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and bool(value) and all(map(of, value)) and len(set(value)) == len(value)


# What each parameter must be: a test, and the words of the message when it fails.
KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "dataset": (lambda v: v in SPECS, f"one of {', '.join(SPECS)}"),
    "datasets": (lambda v: _is_list(v, lambda d: d in SPECS), f"a list of data sets out of {', '.join(SPECS)}"),
    "view": (_is_text, "the name of a view"),
    "profile": (lambda v: _is_text(v, "[A-Za-z0-9_-]+"), "a name of letters and digits"),
    "source": (lambda v: v in ("simulated", "real"), "'simulated' or 'real'"),
    "raw": (_is_text, "a folder, as text ('' means $RDPD_RAW or data/raw)"),
    "scale": (lambda v: _is_number(v) and 0 <= v <= 1, "a number from 0 (smallest) to 1 (paper-sized)"),
    "seeds": (lambda v: _is_list(v, lambda s: _is_int(s) and s >= 0), "a list of different whole numbers from 0"),
    "epochs": (lambda v: _is_int(v) and v >= 1, "a whole number from 1"),
    "device": (lambda v: _is_text(v, r"auto|cpu|cuda(:\d+)?"), "'auto', 'cpu' or 'cuda'"),
    "results": (lambda v: _is_text(v, ".+"), "a folder, as text"),
    "fractions": (
        lambda v: _is_list(v, lambda f: _is_number(f) and 0 < f <= 1),
        "a list of different numbers above 0, up to 1",
    ),
    "amplitudes": (lambda v: _is_list(v, lambda a: _is_number(a) and a >= 0), "a list of different numbers from 0"),
    "noise_kind": (lambda v: v in ("normal", "uniform"), "'normal' or 'uniform'"),
    "fraction_of": (lambda v: v in ("rich", "both"), "'rich' or 'both'"),
    "patience": (lambda v: _is_int(v) and v >= 0, "a whole number of epochs (0: never stop early)"),
    "switches": (
        lambda v: isinstance(v, dict) and all(v[name] in SWITCHES[name] for name in v),
        "a dict of switches of paper.Protocol with their values (notebook 11 lists them), e.g. {'batch_order': 'once'}",
    ),
}
NOT_TEXT = ("datasets", "scale", "seeds", "epochs", "fractions", "amplitudes", "patience", "switches")
_ALWAYS = ("profile", "source", "seeds", "epochs", "patience", "device", "results", "switches")
_ONE_VIEW = ("dataset", "view", "raw", "scale", *_ALWAYS)
NOTEBOOKS: dict[str, tuple[str, ...]] = {
    "01_preprocessing": _ONE_VIEW,
    **{method.notebook: _ONE_VIEW for method in METHODS.values()},
    "08_rich_data_size": (*_ONE_VIEW, "fractions", "fraction_of"),
    "09_noise_robustness": (*_ONE_VIEW, "amplitudes", "noise_kind"),
    "10_tables_and_figures": ("datasets", *_ALWAYS),
    "11_paper_and_released_code": _ONE_VIEW,
}
# What a profile holds; sweeps may be empty.
PROFILE = ("source", "datasets", "raw", "scale", "seeds", "epochs", "patience", "device", "switches", "sweeps")
SWEEPS = ("views", "presets", "epochs", "fractions", "fraction_of", "amplitudes", "noise_kind")


def check(notebook: str, given: dict[str, Any]) -> Run:
    """Check a notebook's parameters and return its Run.

    given: the notebook's globals(), or a plain dict of parameters. Raises UserError for an unknown or missing
    name, a wrong type or value, an unknown data set or view.
    """
    expected = NOTEBOOKS[notebook]
    names = _assigned(given, expected) if "In" in given else set(given)
    for name in sorted(names - set(expected)):
        close = difflib.get_close_matches(name, expected, 1)
        hint = f"did you mean '{close[0]}'?" if close else f"the parameters are {', '.join(expected)}."
        raise UserError(f"{notebook}: unknown parameter '{name}'; {hint}")
    for name in expected:
        if name not in given:
            raise UserError(f"{notebook}: parameter '{name}' is missing; it should be {KINDS[name][1]}.")
        as_text = " (papermill's -p makes text of lists and numbers: use a YAML file with -f)"
        hint = as_text if isinstance(given[name], str) and name in NOT_TEXT else ""
        _require(f"{notebook}: parameter '{name}'", name, given[name], hint)
    run = Run(notebook, {name: given[name] for name in expected})
    for fault in _faults(run):
        raise UserError(f"{notebook}: {fault}")
    return run


def _require(what: str, kind: str, value: Any, hint: str = "") -> None:
    """Raises UserError where a value is not of its kind."""
    fits, words = KINDS[kind]
    try:
        if fits(value):
            return
    except (TypeError, KeyError):  # an unhashable value looked up in a dict, or an unknown name
        pass
    raise UserError(f"{what} is {value!r}; it should be {words}{hint}.")


def _faults(run: Run) -> Iterator[str]:
    """What does not fit together in parameters that are right by themselves."""
    given, profile, real = run.parameters, run.profile.lower(), run.source == "real"
    if real and "mimic3" in (given.get("dataset"), *given.get("datasets", ())):  # git must not take what comes of it
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
    if real and profile == "demo":
        yield (
            "profile 'demo' is for simulated data, and its figures are committed; name another profile "
            "(e.g. profile='paper') for real data."
        )
    if not real and profile == "real":
        yield "profile 'real' is for real data (its figures are committed); name another one."
    if "view" in given:
        rich = run.notebook in ("01_preprocessing", METHODS["teacher"].notebook)
        views = ("all",) if rich else SPECS[run.dataset].poor_views
        if run.view not in views:
            offered = " or ".join(map(repr, views))
            yield f"data set '{run.dataset}' has no view '{run.view}' here; use {offered}."


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
    folder = root() / "profiles"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml")))
        raise UserError(f"there is no profile '{name}' in {folder}; profiles are {known}.")
    try:
        profile = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not readable as YAML ({str(error).splitlines()[0]}).") from None
    if not isinstance(profile, dict) or not isinstance(profile.get("sweeps") or {}, dict):
        raise UserError(f"{path}: holds no settings; it should hold {', '.join(PROFILE)}.")
    sweeps = profile.get("sweeps") or dict.fromkeys(SWEEPS)
    for what, there, wanted in (("", profile, PROFILE), ("sweeps.", sweeps, SWEEPS)):
        if wrong := ", ".join(what + setting for setting in sorted(set(there) ^ set(wanted))):
            raise UserError(f"{path}: {wrong} unknown or missing; settings are {', '.join(wanted)}.")
    return profile


def check_settings(settings: dict[str, Any]) -> None:
    """Check what the list of jobs is made from; each job's parameters are checked by themselves. Raises UserError."""
    _require("DATASETS", "datasets", settings["datasets"])
    _require("EPOCHS", "epochs", settings["epochs"])
    if sweeps := settings["sweeps"]:
        _require("sweeps.epochs", "epochs", sweeps["epochs"])
        for name in ("views", "presets"):
            views = sweeps[name]
            if not isinstance(views, dict) or not all(d in SPECS and isinstance(v, list) for d, v in views.items()):
                known = ", ".join(SPECS)
                raise UserError(f"sweeps.{name} is {views!r}; it should list views by data set, of {known}.")
