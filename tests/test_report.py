"""Tables and figures from records alone."""

import json

import numpy as np
import pandas as pd
import pytest

from rdpd_nb import params, report
from rdpd_nb.errors import UserError
from rdpd_nb.evaluation import mean_and_deviation
from rdpd_nb.paper import STUDENT_METHODS, published_score

SCORES = {"direct": (0.80, 0.84), "kd": (0.82, 0.83), "rdpd": (0.85, 0.87)}


@pytest.fixture
def run(tmp_path) -> params.Run:
    """A results folder with records of three methods of one view and the teacher, made up."""
    given = {"datasets": ["pamap2"], "profile": "demo", "source": "simulated", "seeds": [0, 1], "epochs": 1}
    run = params.check("10_tables_and_figures", {**given, "device": "cpu", "results": str(tmp_path)})
    for method, values in {**SCORES, "teacher": (0.9, 0.92)}.items():
        view = "all" if method == "teacher" else "wrist"
        path = run.record_path(method, view, "pamap2")
        path.parent.mkdir(parents=True, exist_ok=True)
        seeds = [
            {
                "seed": i,
                **dict.fromkeys(("roc_auc", "pr_auc", "macro_f1", "macro_f1_argmax"), v),
                "classes_absent": [],
                "counts": {"windows": {"train": 90, "validation": 40, "test": 40}},
            }
            for i, v in enumerate(values)
        ]
        path.write_text(
            json.dumps(
                {
                    "dataset": "pamap2",
                    "view": view,
                    "source": "simulated",
                    "profile": "demo",
                    "parameters": given,
                    "fingerprint": "f",
                    "versions": {},
                    "git_commit": None,
                    "device": "cpu",
                    "seconds": 1.0,
                    "seeds": seeds,
                }
            )
        )
    return run


def test_the_table_has_the_papers_rows_in_its_order_ours_beside_the_published(run):
    numbers, printed = report.score_table(run, "pamap2")
    assert list(printed["Data"]) == ["All", *["Wrist"] * 5, *["Chest"] * 5, *["Ankle"] * 5]
    assert list(printed["Method"])[:6] == ["Teacher", "Direct", "Distill", "RDPDr1", "RDPDr2", "RDPD"]
    rdpd = numbers[(numbers["view"] == "wrist") & (numbers["method"] == "rdpd")].iloc[0]
    assert rdpd["roc_auc"] == pytest.approx(0.86) and rdpd["roc_auc_sd"] == pytest.approx(np.std([0.85, 0.87], ddof=1))
    assert rdpd["roc_auc_published"] == 0.838 and rdpd["roc_auc_published_sd"] == 0.012
    assert rdpd["source"] == "simulated" and rdpd["notebook"].endswith("pamap2/wrist/rdpd.ipynb")


def test_the_best_method_of_a_view_is_bold_and_a_missing_run_is_a_dash(run):
    _, printed = report.score_table(run, "pamap2")
    wrist = printed[printed["Data"] == "Wrist"].set_index("Method")["ROC-AUC"]
    assert wrist["RDPD"] == "**0.860 ± 0.014**" and wrist["Direct"] == "0.820 ± 0.028" and wrist["RDPDr1"] == "–"
    assert printed.iloc[0]["ROC-AUC"] == "0.910 ± 0.014", "the teacher is no rival of the poor views"


def test_files_say_simulated_and_latex_is_escaped(run):
    path = report.write_table(run, "table2", *report.score_table(run, "pamap2"))
    assert "simulated data" in path.read_text()
    latex = path.with_suffix(".tex").read_text()
    assert "simulated data" in latex and r"\textbf{0.860 $\pm$ 0.014}" in latex and "–" not in latex
    table = pd.read_csv(path.with_suffix(".csv"))
    assert set(table["source"]) == {"simulated", "not run"}


def test_a_caption_warns_of_a_test_part_too_small_to_mean_anything(run):
    assert "prove that the pipeline runs" not in report.caption("table2", report.score_table(run, "pamap2")[0])
    path = run.record_path("rdpd", "wrist", "pamap2")
    record = json.loads(path.read_text())
    record["seeds"][1]["counts"]["windows"]["test"] = 4
    record["seeds"][1]["classes_absent"] = [4]
    path.write_text(json.dumps(record))
    caption = report.caption("table2", report.score_table(run, "pamap2")[0])
    assert "A test part has 4 windows" in caption and "no window of it: running." in caption


def test_records_of_another_source_or_of_other_seeds_are_not_mixed_in(run):
    for name, value in (("source", "real"), ("seeds", [0]), ("epochs", 9)):
        other = params.Run(run.notebook, {**run.parameters, name: value})
        assert not report.datasets_run(other, ["pamap2"])
    assert report.datasets_run(run, ["pamap2"]) == ["pamap2"]


def test_data_sets_not_run_are_dashes_in_table_1(run):
    numbers, printed = report.table1(run, ["pamap2", "mimic3"])
    assert set(printed["Ours"]) == {"–"} and set(numbers["source"]) == {"not run"}
    assert report.datasets_run(run, ["pamap2", "mimic3"]) == ["pamap2"]


def test_table5_equals_the_published_counts():
    table = report.table5()
    assert list(table.columns) == ["dataset", "model", "published", "allocated", "live"]
    assert table["allocated"].tolist() == [118287, 8207, 334985, 19753, 60171, 3979]
    assert table["live"].tolist() == [52623, 4079, 334985, 19753, 27275, 1899]
    assert [f"{n / 1000:.1f}k" for n in table["allocated"]] == table["published"].tolist()


def test_published_tables_have_114_cells():
    cells = [
        published_score(name, view, method, metric)
        for name, spec in report.SPECS.items()
        for view in spec.views
        for method in ("teacher", *STUDENT_METHODS)
        for metric in report.METRICS
    ]
    assert sum(cell is not None for cell in cells) == 114


def test_the_figure_plots_the_numbers_it_saves(run):
    figure, numbers = report.plot_scores(run, "pamap2")
    report.save_figure(run, "scores", figure, numbers)
    saved = pd.read_csv(run.figures_folder / "scores.csv")
    ours = saved[(saved["of"] == "simulated") & (saved["method"] == "rdpd") & (saved["metric"] == "roc_auc")]
    assert ours["mean"].tolist() == [0.86]
    assert "simulated data" in figure.get_suptitle()


def test_no_record_at_all_is_one_sentence(run):
    with pytest.raises(UserError, match="no record of PTBDB"):
        report.plot_scores(run, "ptbdb")


def test_mean_and_deviation_leave_out_seeds_without_a_score():
    assert mean_and_deviation([None, None]) is None
    assert mean_and_deviation([0.5, None, 0.7]) == pytest.approx((0.6, 0.1414214))
