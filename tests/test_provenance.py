"""The manifest names, for every table and figure, records that exist."""

import json
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from rdpd_nb import params, provenance, report
from rdpd_nb.paper import METHODS, SPECS

ROOT = Path(__file__).resolve().parents[1]
COMMITTED = ("demo", "real")
RECORD = {
    "notebook": "03_direct", "dataset": "uci_har", "view": "gyro", "source": "simulated", "profile": "mine",
    "parameters": {
        "seeds": [0], "epochs": 1, "patience": 0, "source": "simulated", "switches": {}, "raw": "/me", "results": "r",
    }, "fingerprint": "abc", "versions": {"torch": "2"}, "git_commit": "1234",
    "device": "cpu", "seconds": 1.5, "seeds": [],
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    given = {
        "datasets": ["uci_har"], "profile": "mine", "source": "simulated", "seeds": [0], "epochs": 1, "patience": 0,
        "device": "cpu", "results": str(tmp_path / "results"), "switches": {},
    }  # fmt: skip
    return params.check("10_tables_and_figures", given)


def test_every_committed_table_and_figure_has_a_known_origin():
    folders = [ROOT / "figures" / name for name in COMMITTED]
    files = [p for folder in folders for p in folder.iterdir() if p.is_file() and p.name != "manifest.json"]
    assert len(files) > 100
    for path in files:
        assert isinstance(provenance.sources(path.stem), list), path


def test_a_file_that_no_notebook_writes_has_none():
    assert provenance.sources("holiday") is None


def test_sources_by_name():
    assert provenance.sources("figure2_pamap2_wrist") == ["pamap2/wrist/rich_data_size"]
    assert provenance.sources("figure3_pamap2") == [f"pamap2/{v}/noise_robustness" for v in ("wrist", "chest", "ankle")]
    assert provenance.sources("uci_har_gyro_attention") == ["uci_har/gyro/rdpd_r2"]
    assert provenance.sources("pamap2_teacher_attention") == ["pamap2/all/teacher"]
    assert provenance.sources("table3_paired") == provenance.sources("table3") == provenance.sources("ptbdb_scores")
    assert len(provenance.sources("table2")) == len(SPECS["pamap2"].views) * len(METHODS)
    assert provenance.sources("table5") == []


def test_the_manifest_names_the_records_there_are_with_their_run(run):
    folder = run.results_root / "uci_har" / "gyro"
    folder.mkdir(parents=True)
    (folder / "direct.json").write_text(json.dumps(RECORD))
    (folder / "direct.ipynb").write_text("{}")
    run.figures_folder.mkdir(parents=True)
    (folder / "kd.json").write_text(json.dumps({**RECORD, "parameters": {**RECORD["parameters"], "seeds": [0, 1]}}))
    for name in ("table_uci_har.csv", "uci_har_scores.png", "table5.md", "holiday.png"):
        (run.figures_folder / name).write_text("")
    made = provenance.write_manifest(run)
    assert made == json.loads((run.figures_folder / "manifest.json").read_text())
    assert made["tables"] == {"table5.md": [], "table_uci_har.csv": ["uci_har/gyro/direct.json"]}
    assert made["figures"] == {"uci_har_scores.png": ["uci_har/gyro/direct.json"]}
    (record,) = made["records"].values()
    public = {**RECORD, "parameters": {**RECORD["parameters"], "raw": "", "results": "results"}}
    assert record == {"executed_notebook": "uci_har/gyro/direct.ipynb", **{k: public[k] for k in provenance.WHAT}}
    assert json.loads((run.figures_folder / "records/uci_har/gyro/direct.json").read_text()) == public
    before = (run.figures_folder / "manifest.json").read_bytes()
    provenance.write_manifest(run)
    assert (run.figures_folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("profile", COMMITTED)
def test_the_committed_tables_and_figures_are_rebuilt_from_the_committed_records(profile, tmp_path, monkeypatch):
    """Without data or training, to the same bytes; of the figures their numbers."""
    settings = params.read_profile(profile) | {"profile": profile, "results": "results"}
    for name in ("notebooks", "profiles"):
        (tmp_path / name).mkdir()
    committed = ROOT / "figures" / profile
    shutil.copytree(committed / "records", tmp_path / "results" / profile)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RDPD_RESULTS", raising=False)
    expected = params.NOTEBOOKS["10_tables_and_figures"]
    run = params.check("10_tables_and_figures", {name: settings[name] for name in expected})
    for dataset in run.datasets:
        name = SPECS[dataset].table_file
        report.write_table(run, name, *report.score_table(run, dataset))
        report.write_table(run, f"{name}_paired", *report.paired_table(run, dataset))
        figure, numbers = report.plot_scores(run, dataset)
        report.save_figure(run, f"{dataset}_scores", figure, numbers)
        for kind in report.SWEEPS:
            swept = report.sweep_figure(run, kind, dataset)
            if swept:
                report.save_figure(run, f"{kind}_{dataset}", *swept[:2])
    report.write_table(run, "table1", *report.table1(run, run.datasets))
    report.write_table(run, "table5", *report.table5())
    plt.close("all")
    made = [p for p in run.figures_folder.iterdir() if p.suffix in (".csv", ".md", ".tex")]
    tables = [p for p in committed.iterdir() if p.name.startswith("table")]
    assert {p.name for p in tables} <= {p.name for p in made}
    for path in made:
        assert path.read_bytes() == (committed / path.name).read_bytes(), path.name
