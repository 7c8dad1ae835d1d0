"""The manifest names, for every table and figure, the records it was declared to be made from."""

import json
import re
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from made_up_records import SCORES, make_run, simulated_run, write_noise_sweep, write_scores

from rdpd_nb import figures, jobs, manifest, params, related, render, tables
from rdpd_nb.data import SPECS
from rdpd_nb.errors import UserError
from rdpd_nb.files import write_json
from rdpd_nb.records import OF_ONE_RUN, SWEEPS

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ("demo", "real")
DIRECT = "pamap2/wrist/direct"


@pytest.fixture
def run(tmp_path) -> params.Run:
    return simulated_run(tmp_path)


def draw(run: params.Run, name: str, records: list[str], title: str | None = None) -> None:
    figure, axis = plt.subplots(figsize=(2, 2))
    axis.set_title("what\nit shows")
    figures.save_figure(run, name, figure, records, title=title)
    plt.close(figure)


def test_what_is_declared_is_collected_with_copies_of_the_records_that_are_there(run):
    render.write(run, tables.scores(run, "pamap2"))
    render.write(run, tables.table5())
    draw(run, "holiday", [DIRECT, "pamap2/chest/direct"])
    draw(run, "words", [DIRECT], title="a title of its own")
    (run.figures_folder / "undeclared.png").write_text("")
    made = manifest.write(run)
    assert made == manifest.read(run) and (run.figures_folder / "manifest.json").is_file()
    there = ["pamap2/all/teacher", *(f"pamap2/wrist/{method}" for method in SCORES)]
    assert made["tables"] == {"table2": there, "table5": []}
    assert made["figures"] == {"holiday": [DIRECT], "words": [DIRECT]}, "a record that is not there is not named"
    assert made["titles"]["holiday"] == "what it shows" and made["titles"]["words"] == "a title of its own"
    assert set(made["records"]) == set(there)
    copies = run.figures_folder / "records"
    assert sorted(str(p.relative_to(copies)) for p in copies.rglob("*.json")) == sorted(f"{r}.json" for r in there)


def test_what_is_collected_is_the_same_in_every_run(run):
    def collect() -> dict[str, bytes]:
        draw(run, "holiday", [DIRECT])
        manifest.write(run)
        return {str(p): p.read_bytes() for p in run.figures_folder.rglob("*.json")}

    before = collect()
    path = run.record_path("direct", "wrist", "pamap2")
    record = json.loads(path.read_text())
    parameters = record["parameters"] | {"device": "cuda", "raw": "/me", "results": "/elsewhere"}
    here = {
        "versions": {"torch": "3"},
        "git_commit": "1234",
        "device": "a GPU",
        "seconds": 99,
        "parameters": parameters,
    }
    path.write_text(json.dumps(record | here))
    assert collect() == before
    for content in map(bytes.decode, before.values()):
        assert not [word for word in (*OF_ONE_RUN, "results", "raw") if f'"{word}"' in content]


def test_an_unchanged_declaration_keeps_its_time(run):
    draw(run, "holiday", [DIRECT])
    (path,) = (run.results_root / "made").iterdir()
    before = path.stat().st_mtime_ns
    draw(run, "holiday", [DIRECT])
    assert path.stat().st_mtime_ns == before
    draw(run, "holiday", [])
    assert path.stat().st_mtime_ns != before


def test_a_figure_that_is_gone_is_not_named_and_its_records_copy_goes(run):
    draw(run, "holiday", [DIRECT])
    draw(run, "other", ["pamap2/wrist/kd"])
    manifest.write(run)
    (run.figures_folder / "holiday.png").unlink()
    made = manifest.write(run)
    assert set(made["figures"]) == {"other"} and set(made["records"]) == {"pamap2/wrist/kd"}
    assert not (run.figures_folder / f"records/{DIRECT}.json").exists()


def test_what_an_earlier_run_declared_stays_while_its_file_and_records_are_there(run):
    draw(run, "holiday", [DIRECT])
    before = manifest.write(run)
    shutil.rmtree(run.results_root)  # a clone, in which one notebook is run
    write_scores(run, "kd", "wrist", SCORES["kd"])
    draw(run, "other", ["pamap2/wrist/kd"])
    made = manifest.write(run)
    assert made["figures"] == {"holiday": [DIRECT], "other": ["pamap2/wrist/kd"]}
    assert made["records"][DIRECT] == before["records"][DIRECT]
    assert (run.figures_folder / f"records/{DIRECT}.json").is_file()


def test_records_of_another_run_are_not_named(run):
    draw(run, "holiday", [DIRECT, "pamap2/wrist/kd"])
    write_scores(make_run(run.results_root.parent, seeds=3), "kd", "wrist", (0.8, 0.8, 0.8))
    assert manifest.write(run)["figures"] == {"holiday": [DIRECT]}


def test_without_a_record_of_the_run_nothing_is_written_or_deleted(run):
    draw(run, "holiday", [DIRECT])
    made = manifest.write(run)
    other = params.Run(run.notebook, {**run.parameters, "seeds": [5]})
    before = {p: p.read_bytes() for p in run.figures_folder.rglob("*") if p.is_file()}
    assert manifest.write(other) == made
    assert {p: p.read_bytes() for p in run.figures_folder.rglob("*") if p.is_file()} == before


def test_records_of_data_sets_and_systems_that_this_run_has_none_of_stay(run):
    """A clone in which one notebook of another system is run, and then the tables."""
    draw(run, "holiday", [DIRECT])
    before = manifest.write(run)
    shutil.rmtree(run.results_root)
    hinton = params.check("13_hinton_distillation", {
        "task": "digits", "raw": "", "seeds": [0], "epochs": 1, "teacher_epochs": 1, "temperatures": [1], "alpha": 0.5,
        "profile": run.profile, "results": run.results,
    })  # fmt: skip
    related.save(hinton, pd.DataFrame({"method": ["student"], "seed": [0], "score": [0.5]}))
    draw(hinton, "curve", ["related/digits/hinton"])
    other = params.Run(run.notebook, {**run.parameters, "datasets": {"ptbdb": run.of("pamap2")}})
    for of_tables in (run, other):
        made = manifest.write(of_tables)
        assert made["figures"] == {"curve": ["related/digits/hinton"], "holiday": [DIRECT]}
        assert made["records"][DIRECT] == before["records"][DIRECT] and made["sources"]["pamap2"] == "simulated"
        assert (run.figures_folder / f"records/{DIRECT}.json").is_file()


@pytest.mark.parametrize("name", ["direct", "pamap2/wrist/direct.json", "/results/pamap2/wrist/direct"])
def test_a_name_that_is_no_records_is_refused(run, name):
    with pytest.raises(UserError, match="is no record's name"):
        draw(run, "holiday", [name])


def test_a_damaged_manifest_is_one_sentence(run):
    run.figures_folder.mkdir(parents=True)
    (run.figures_folder / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="is not readable as JSON .* make the tables again"):
        manifest.read(run)


@pytest.mark.parametrize("put", [Path.mkdir, lambda path: path.symlink_to("nowhere")], ids=["folder", "dead link"])
def test_what_is_no_file_in_its_place_is_said_and_not_taken_for_an_empty_manifest(run, put):
    run.figures_folder.mkdir(parents=True)
    assert manifest.read(run)["tables"] == {}
    put(run.figures_folder / "manifest.json")
    with pytest.raises(UserError, match="manifest.json could not be read"):
        manifest.read(run)


@pytest.mark.parametrize("content", [{"tables": []}, {"figures": {"a": "pamap2/wrist/kd"}}, {"titles": None}])
def test_what_is_no_manifest_is_one_sentence(run, content):
    write_json(run.figures_folder / "manifest.json", content)
    with pytest.raises(UserError, match="manifest.json is no manifest: .* make the tables again"):
        manifest.read(run)


MADE = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "changed": lambda path: path.write_text(path.read_text().replace("direct", "rdpd")),
    "no fields": lambda path: path.write_text("[]"),
    "of no kind": lambda path: write_json(path, {"kind": "poems", "title": "", "records": []}),
    "no records": lambda path: write_json(path, {"kind": "figures", "title": ""}),
}


@pytest.mark.parametrize("damage", MADE.values(), ids=MADE)
def test_a_declaration_that_cannot_be_believed_is_left_out_and_said_and_written_anew(run, damage, capsys):
    draw(run, "holiday", [DIRECT])
    draw(run, "other", [DIRECT])
    path = run.results_root / "made/holiday.json"
    before = path.read_bytes()
    damage(path)
    assert set(manifest.write(run)["figures"]) == {"other"}
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"left out: {path}") and line.endswith("; run the notebook that makes it again.")
    draw(run, "holiday", [DIRECT])
    assert path.read_bytes() == before


# ---------------------------------------------------------------------------------------------------- committed


@pytest.mark.parametrize("profile", COMMITTED)
def test_every_committed_table_and_figure_has_a_known_origin(profile):
    folder = ROOT / "figures" / profile
    made = json.loads((folder / "manifest.json").read_text())
    files = [p for p in folder.iterdir() if p.is_file() and p.name != "manifest.json"]
    named = made["tables"] | made["figures"]
    assert len(files) > 25 and {p.stem for p in files} == set(named) == set(made["titles"])
    copies = {str(p.relative_to(folder / "records"))[: -len(".json")] for p in (folder / "records").rglob("*.json")}
    assert copies == set(made["records"]) == {record for there in named.values() for record in there}
    of_losses = {name for name in named if name.endswith("_combined_loss")}  # curves of Eq. 14, of no run
    assert {name for name, there in named.items() if not there} == {"table5"} | of_losses


@pytest.mark.parametrize("profile", COMMITTED)
def test_what_is_committed_holds_only_what_is_the_same_in_every_run(profile):
    for path in (ROOT / "figures" / profile).rglob("*.json"):
        content = json.loads(path.read_text())
        assert not set(content) & set(OF_ONE_RUN)
        for parameters in [r["parameters"] for r in content.get("records", {}).values()] or [content["parameters"]]:
            assert not set(parameters) & {"device", "raw", "results"}


@pytest.mark.parametrize("profile", COMMITTED)
def test_the_committed_tables_and_figures_are_rebuilt_from_the_committed_records(profile, tmp_path, monkeypatch):
    """Without data or training, to the same bytes; of the figures their numbers."""
    committed = ROOT / "figures" / profile
    named = json.loads((committed / "manifest.json").read_text())
    settings = jobs.read_settings(profile, {"datasets": list(named["sources"])})
    for name in ("notebooks", "profiles"):
        (tmp_path / name).mkdir()
    shutil.copytree(committed / "records", tmp_path / "results" / profile)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RDPD_RESULTS", raising=False)
    expected = params.NOTEBOOKS["10_tables_and_figures"]
    run = params.check("10_tables_and_figures", {name: settings[name] for name in expected})
    for table in tables.all_of(run):
        render.write(run, table)
    for dataset in run.datasets:
        for view in ("", *tables.SPECS[dataset].poor_views):
            end = f"_{view}" if view else ""
            figures.save_figure(run, f"{dataset}{end}_scores", *figures.scores(run, dataset, view))
            for figure in SWEEPS:
                if drawn := figures.sweep(run, figure, dataset, view):
                    figures.save_figure(run, f"{figure}_{dataset}{end}", *drawn)
            plt.close("all")
    made = [p for p in run.figures_folder.iterdir() if p.suffix in (".csv", ".md", ".tex")]
    written = [p for p in committed.iterdir() if p.name.startswith("table")]
    assert {p.name for p in written} <= {p.name for p in made}
    for path in made:
        assert path.read_bytes() == (committed / path.name).read_bytes(), path.name
    again = manifest.write(run)
    for kind in ("tables", "figures"):
        assert {name: named[kind][name] for name in again[kind]} == again[kind]


def test_a_sweep_is_declared_by_the_records_it_shows(run):
    write_noise_sweep(run, "chest")
    figures.save_figure(run, "figure3_pamap2", *figures.sweep(run, "figure3", "pamap2"))
    plt.close("all")
    assert manifest.write(run)["figures"] == {"figure3_pamap2": ["pamap2/chest/noise_robustness"]}


def test_the_results_in_the_readme_are_those_of_the_committed_tables():
    """Rows of ROC-AUC: '| field, view | logistic | direct | rdpd | teacher | less direct [seeds], people [] |'."""
    titles = {
        f"{spec.title}, {spec.view_titles[view]}": (name, view) for name, spec in SPECS.items() for view in spec.views
    }
    rows = [line.strip("| ").split(" | ") for line in (ROOT / "README.md").read_text().splitlines()]
    rows = {row[0]: row[1:] for row in rows if row[0] in titles}
    assert len(rows) == 11
    for title, cells in rows.items():
        dataset, view = titles[title]
        scores = pd.read_csv(ROOT / f"figures/real/table_{dataset}.csv").set_index(["view", "method", "metric"])["mean"]
        shown = [scores[view, method, "roc_auc"] for method in ("logistic", "direct", "rdpd")]
        shown.append(scores["all", "teacher", "roc_auc"])
        pairs = pd.read_csv(ROOT / f"figures/real/table_{dataset}_paired.csv").set_index(["view", "against", "metric"])
        found = pairs.loc[(view, "direct", "roc_auc")]
        less = found[["difference", "low", "high", "people_low", "people_high"]]
        assert cells[:4] == [f"{mean:.3f}" for mean in shown], title
        assert re.findall(r"[+-]\d\.\d+", cells[4]) == [f"{value:+z.3f}" for value in less], title
