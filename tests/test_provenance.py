"""The manifest names, for every table and figure, records that exist."""

import json
from pathlib import Path

import pytest

from rdpd_nb import params, provenance
from rdpd_nb.paper import METHODS, SPECS

ROOT = Path(__file__).resolve().parents[1]
RECORD = {
    "notebook": "03_direct", "dataset": "uci_har", "view": "gyro", "source": "simulated", "profile": "mine",
    "parameters": {"seeds": [0]}, "fingerprint": "abc", "versions": {"torch": "2"}, "git_commit": "1234",
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
    files = [p for folder in (ROOT / "figures").iterdir() for p in folder.iterdir() if p.name != "manifest.json"]
    assert len(files) > 100
    for path in files:
        assert isinstance(provenance.sources(path.stem), list), path


def test_a_file_that_no_notebook_writes_has_none():
    with pytest.raises(KeyError):
        provenance.sources("holiday")


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
    for name in ("table_uci_har.csv", "uci_har_scores.png", "table5.md"):
        (run.figures_folder / name).write_text("")
    made = provenance.write_manifest(run)
    assert made == json.loads((run.figures_folder / "manifest.json").read_text())
    assert made["tables"] == {"table5.md": [], "table_uci_har.csv": ["uci_har/gyro/direct.json"]}
    assert made["figures"] == {"uci_har_scores.png": ["uci_har/gyro/direct.json"]}
    (record,) = made["records"].values()
    assert record == {"executed_notebook": "uci_har/gyro/direct.ipynb", **{k: RECORD[k] for k in provenance.WHAT}}
    before = (run.figures_folder / "manifest.json").read_bytes()
    provenance.write_manifest(run)
    assert (run.figures_folder / "manifest.json").read_bytes() == before
