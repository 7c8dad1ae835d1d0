"""Made-up records of a run, as small as tables and figures can be made from."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from rdpd_nb import data, params

SCORES = {"direct": (0.80, 0.84), "kd": (0.82, 0.83), "rdpd": (0.85, 0.87)}


def make_run(
    folder: Path,
    source: str = "simulated",
    seeds: int = 2,
    dataset: str = "pamap2",
    profile: str = "made_up",
    **switches,
) -> params.Run:
    """Notebook 10's run of one data set, with no record yet."""
    own = {"source": source, "raw": "", "scale": 0.0, "seeds": list(range(seeds)), "epochs": 5, "patience": 0}
    given = {
        "datasets": {dataset: own | {"updates": [], "labelled": 1.0}},
        "profile": profile,
        "device": "cpu",
        "results": str(folder),
    }
    return params.check("10_tables_and_figures", given | {"switches": switches})


def with_dataset(run: params.Run, dataset: str, source: str) -> params.Run:
    """The same run with one more data set, of another source."""
    own = {**run.of(run.datasets[0]), "source": source}
    own.pop("switches")
    return params.check(run.notebook, run.parameters | {"datasets": run.parameters["datasets"] | {dataset: own}})


def of_view(run: params.Run, view: str, notebook: str = "07_rdpd", dataset: str = "") -> params.Run:
    """The run of a method's notebook (or of another one of one view) whose records are the given run's."""
    dataset = dataset or run.datasets[0]
    given = {name: value for name, value in run.parameters.items() if name != "datasets"} | run.of(dataset)
    own = {"08_rich_data_size": {"fractions": [0.5, 1.0], "fraction_of": "rich"}}.get(notebook, {})
    return params.check(notebook, given | {"dataset": dataset, "view": view} | own)


def of_wrist(run: params.Run, notebook: str = "07_rdpd") -> params.Run:
    return of_view(run, "wrist", notebook)


def write(run: params.Run, name: str, view: str, dataset: str = "", **content) -> Path:
    """A record with what every record has."""
    dataset = dataset or run.datasets[0]
    path = run.record_path(name, view, dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    own = {"dataset": dataset, "view": view, "profile": run.profile, "device": "cpu", "results": str(run.results)}
    parameters = own | run.of(dataset)
    common = {"dataset": dataset, "view": view, "source": parameters["source"], "profile": run.profile}
    common |= {"fingerprint": "f", "parameters": parameters, "versions": {}, "git_commit": None}
    path.write_text(json.dumps(common | {"device": "cpu", "seconds": 1.0} | content))
    return path


def entry(seed: int, value: float, argmax: float = 0.0, **more) -> dict:
    """A seed's entry with the same score by every metric, macro-F1 by argmax higher by `argmax`; `more` replaces."""
    return {
        "seed": seed,
        **dict.fromkeys(("roc_auc", "pr_auc", "macro_f1"), value),
        "macro_f1_argmax": value + argmax,
        "classes_absent": [],
        "best_epoch": 3,
        "epochs": 5,
        "allowed": 5,
        "selected_by": "validation ROC-AUC",
        "counts": {
            "windows": {"train": 90, "validation": 40, "test": 40},
            "subjects": {"train": 7, "validation": 1, "test": 1},
        },
    } | more


def write_scores(
    run: params.Run,
    method: str,
    view: str,
    values: tuple[float, ...],
    argmax: float = 0.0,
    people: dict | None = None,
    dataset: str = "",
    **more,
) -> Path:
    """A record of one method; people: draws by metric; `more` replaces parts of every seed's entry."""
    seeds = [entry(i, v, argmax, **more) for i, v in enumerate(values)]
    return write(run, method, view, dataset, seeds=seeds, people=people or {})


def draws_about(mean: float, spread: float = 0.05, shift: float = 0.0, count: int = 200) -> dict[str, list[float]]:
    """Draws of people of every metric: the same deviations whatever the mean, but for `shift` times other ones."""
    rng = np.random.default_rng(0)
    common, own = rng.normal(0, spread, count), np.random.default_rng(1).normal(0, 1, count)
    return dict.fromkeys(("roc_auc", "pr_auc", "macro_f1"), (mean + common + shift * own).tolist())


def write_anchor(run: params.Run, values: dict[str, tuple[float, ...]], dataset: str = "", **content) -> Path:
    """Notebook 1's record with scores of logistic regression by view."""
    kept = ("seed", "roc_auc", "pr_auc", "macro_f1", "macro_f1_argmax", "classes_absent", "counts")
    anchor = {view: [{k: entry(i, v)[k] for k in kept} for i, v in enumerate(of)] for view, of in values.items()}
    return write(run, "preprocessing", "all", dataset, statistics={}, windows=7, anchor=anchor, **content)


def simulated_run(folder: Path) -> params.Run:
    """A results folder with records of three methods of one view and the teacher, made up, as from simulated data."""
    run = make_run(folder)
    write_scores(run, "teacher", "all", (0.9, 0.92))
    for method, values in SCORES.items():
        write_scores(run, method, "wrist", values)
    return run


def real_run(folder: Path) -> params.Run:
    """As if from real data, 10 seeds: Direct like the paper's, KD far above, RDPD far below it and above Direct."""
    run = make_run(folder, "real", 10)
    noise = np.linspace(-0.01, 0.01, 10)
    for method, mean in {"direct": 0.8, "kd": 0.9, "rdpd": 0.81}.items():
        write_scores(run, method, "wrist", tuple(mean + noise + (0.001 * noise if method == "rdpd" else 0)), 0.05)
    return run


def two_class_run(folder: Path, monkeypatch) -> params.Run:
    """As if from a data set 'two' of ill and healthy people, embedded, split by seed, eight seeds, scored by person."""
    spec = replace(
        data.SPECS["uci_har"], name="two", title="Two", classes=("healthy", "ill"), split="random", held_out=0.2
    )
    monkeypatch.setitem(data.SPECS, "two", spec)
    monkeypatch.setitem(data.DATASETS, "two", SimpleNamespace(SPEC=spec, SOURCE=data.Source("", "", "")))
    run = make_run(folder, "embedded", 8, "two")
    by_person = dict.fromkeys(("person_roc_auc", "person_pr_auc", "person_macro_f1"))
    for method, mean in SCORES.items():
        higher = {name: 0.06 + np.mean(mean) - 0.01 * (method == "rdpd") for name in by_person}
        people = draws_about(np.mean(mean), 0.03, 0.01)
        write_scores(run, method, "gyro", tuple(np.mean(mean) + 0.01 * np.sin(np.arange(8))), people=people, **higher)
    return run


def noise_entries(rdpd: dict[float, float], direct: dict[float, float]) -> list[dict]:
    """Two seeds a point, 0.01 above and below the given mean by amplitude; PR-AUC is half of ROC-AUC."""
    return [
        {"method": method, "amplitude": level} | entry(seed, 0.0, roc_auc=mean + shift, pr_auc=(mean + shift) / 2)
        for method, curve in (("direct", direct), ("rdpd", rdpd))
        for level, mean in curve.items()
        for seed, shift in enumerate((-0.01, 0.01))
    ]


ABOVE = noise_entries({0.0: 0.9, 1.0: 0.8}, {0.0: 0.85, 1.0: 0.7})
CROSSED = noise_entries({0.0: 0.9, 1.0: 0.7}, {0.0: 0.85, 1.0: 0.7})  # equal at 1.0 is not above


def of_seeds(entries: list[dict], times: int) -> list[dict]:
    """Two seeds' entries of a sweep as those of so many times two, each pair a little further from its mean."""
    return [
        e | {"seed": e["seed"] + 2 * i, "roc_auc": e["roc_auc"] + (e["seed"] - 0.5) * 0.002 * i}
        for e in entries
        for i in range(times)
    ]


def _sweep_parameters(run: params.Run, view: str, dataset: str, **more) -> dict:
    dataset = dataset or run.datasets[0]
    rest = {"dataset": dataset, "view": view, "profile": run.profile, "device": "cpu", "results": str(run.results)}
    return rest | run.of(dataset) | more


def write_noise_sweep(run: params.Run, view: str, entries: list[dict] = ABOVE, dataset: str = "", **changed) -> None:
    parameters = _sweep_parameters(run, view, dataset, **changed)
    write(run, "noise_robustness", view, dataset, entries=entries, parameters=parameters)


def write_size_sweep(run: params.Run, view: str = "wrist", dataset: str = "", **changed) -> None:
    """All methods the same at every fraction; Direct's entries hold for all of them."""
    entries = [
        {"method": m, "fraction": f} | entry(s, 0.8, pr_auc=0.5)
        for m, f in (("direct", None), ("kd", 0.5), ("kd", 1.0), ("rdpd", 0.5), ("rdpd", 1.0))
        for s in (0, 1)
    ]
    parameters = _sweep_parameters(run, view, dataset, **{"fraction_of": "rich"} | changed)
    write(run, "rich_data_size", view, dataset, entries=entries, parameters=parameters)


def change(path: Path, **changed) -> None:
    """Change fields of a record's second seed."""
    record = json.loads(path.read_text())
    record["seeds"][1].update(changed)
    path.write_text(json.dumps(record))
