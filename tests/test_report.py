"""Tables and figures from records alone."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rdpd_nb import params, report
from rdpd_nb.errors import UserError
from rdpd_nb.evaluation import RULE
from rdpd_nb.models import RCNN
from rdpd_nb.paper import STUDENT_METHODS, published_score

SCORES = {"direct": (0.80, 0.84), "kd": (0.82, 0.83), "rdpd": (0.85, 0.87)}


def make_run(folder: Path, source: str = "simulated", seeds: int = 2, **switches: str) -> params.Run:
    """Notebook 10's run, with no record yet."""
    given = {"datasets": ["pamap2"], "profile": "made_up", "source": source, "seeds": list(range(seeds)), "epochs": 5}
    given |= {"patience": 0, "device": "cpu", "results": str(folder), "switches": switches}
    return params.check("10_tables_and_figures", given)


def write(run: params.Run, name: str, view: str, **content) -> Path:
    """A record with what every record has."""
    path = run.record_path(name, view, "pamap2")
    path.parent.mkdir(parents=True, exist_ok=True)
    common = {"dataset": "pamap2", "view": view, "source": run.source, "profile": run.profile, "fingerprint": "f"}
    common |= {"parameters": run.parameters, "versions": {}, "git_commit": None, "device": "cpu", "seconds": 1.0}
    path.write_text(json.dumps(common | content))
    return path


def write_scores(run: params.Run, method: str, view: str, values: tuple[float, ...], argmax: float = 0.0) -> Path:
    """A record of one method with the same score by every metric, macro-F1 by argmax higher by `argmax`."""
    seeds = [
        {
            "seed": i,
            **dict.fromkeys(("roc_auc", "pr_auc", "macro_f1"), v),
            "macro_f1_argmax": v + argmax,
            "classes_absent": [],
            "counts": {"windows": {"train": 90, "validation": 40, "test": 40}},
        }
        for i, v in enumerate(values)
    ]
    return write(run, method, view, seeds=seeds)


@pytest.fixture
def run(tmp_path) -> params.Run:
    """A results folder with records of three methods of one view and the teacher, made up, as from simulated data."""
    run = make_run(tmp_path)
    write_scores(run, "teacher", "all", (0.9, 0.92))
    for method, values in SCORES.items():
        write_scores(run, method, "wrist", values)
    return run


@pytest.fixture
def real(tmp_path) -> params.Run:
    """As if from real data, 10 seeds: Direct like the paper's, KD far above, RDPD far below it and above Direct."""
    run = make_run(tmp_path, "real", 10)
    noise = np.linspace(-0.01, 0.01, 10)
    for method, mean in {"direct": 0.8, "kd": 0.9, "rdpd": 0.81}.items():
        write_scores(run, method, "wrist", tuple(mean + noise + (0.001 * noise if method == "rdpd" else 0)), 0.05)
    return run


def wrist(numbers: pd.DataFrame, **where: str) -> pd.Series:
    """The one row of view wrist with these values."""
    where = {"view": "wrist", **where}
    (row,) = [r for _, r in numbers.iterrows() if all(r[k] == v for k, v in where.items())]
    return row


def test_the_table_has_the_papers_rows_in_its_order_ours_beside_the_published(run):
    numbers, printed = report.score_table(run, "pamap2")
    assert list(printed["Data"]) == ["All", *["Wrist"] * 5, *["Chest"] * 5, *["Ankle"] * 5]
    titles = [method.strip("[").split("]")[0] for method in printed["Method"]]
    assert titles[:6] == ["Teacher", "Direct", "Distill", "RDPDr1", "RDPDr2", "RDPD"]
    rdpd = wrist(numbers, method="rdpd", metric="roc_auc")
    assert rdpd["mean"] == pytest.approx(0.86) and rdpd["sd"] == pytest.approx(np.std([0.85, 0.87], ddof=1))
    assert (rdpd["low"], rdpd["high"], rdpd["seeds"]) == pytest.approx((0.85, 0.87, 2))
    assert (rdpd["published"], rdpd["published_sd"]) == (0.838, 0.012)
    assert rdpd["source"] == "simulated" and rdpd["notebook"].endswith("pamap2/wrist/rdpd.ipynb")
    assert len(numbers) == 16 * 4, "a row a metric, both macro-F1 among them"


def test_the_best_method_of_a_view_is_bold_and_a_missing_run_is_a_dash(run):
    _, printed = report.score_table(run, "pamap2")
    rows = printed[printed["Data"] == "Wrist"]
    ours = dict(zip(["Direct", "Distill", "RDPDr1", "RDPDr2", "RDPD"], rows["ROC-AUC"], strict=True))
    assert ours["RDPD"] == "**0.860 ± 0.014**" and ours["Direct"] == "0.820 ± 0.028" and ours["RDPDr1"] == "–"
    published = list(rows["PR-AUC, paper"])
    assert published[2:] == ["**0.491 ± 0.037**", "0.478 ± 0.038", "**0.491 ± 0.045**"], "two share the best"
    assert printed.iloc[0]["ROC-AUC"] == "0.910 ± 0.014", "the teacher is no rival of the poor views"


def test_each_method_is_linked_to_its_notebook_where_there_is_one(run):
    _, printed = report.score_table(run, "pamap2")
    assert printed["Method"][5] == "[RDPD](../../made_up/pamap2/wrist/rdpd.ipynb)" and printed["Method"][3] == "RDPDr1"
    target = run.figures_folder / "../../made_up/pamap2/wrist/rdpd.json"
    assert target.resolve() == run.record_path("rdpd", "wrist", "pamap2")
    html = report.styled(run, "table2", *report.score_table(run, "pamap2")).to_html()
    assert '<a href="pamap2/wrist/rdpd.ipynb">RDPD</a>' in html, "from results/<profile>/, where the notebook is put"


# ------------------------------------------------------------------------------------------------------ verdicts


def test_simulated_data_have_no_verdict_and_the_caption_says_so(run):
    numbers, printed = report.score_table(run, "pamap2")
    assert set(printed["ROC-AUC, verdict"]) == {"–"} and numbers["verdict"].isna().all()
    assert "simulated data: no verdict" in report.caption("table2", numbers)


def test_verdicts_of_real_data(real):
    numbers, printed = report.score_table(real, "pamap2")
    assert list(printed["ROC-AUC, verdict"][1:6]) == ["agrees", "higher", "–", "–", "lower"]
    assert wrist(numbers, method="kd", metric="roc_auc")["verdict"] == "higher"
    assert "no verdict" not in report.caption("table2", numbers)
    path = report.write_table(real, "table2", numbers, printed)
    assert RULE in path.read_text() and "95 \\% Welch" in path.with_suffix(".tex").read_text()
    html = report.styled(real, "table2", numbers, printed).to_html()
    assert report.VERDICT_COLOURS["lower"] in html and "<b>0.900 ± 0.007</b>" in html


def test_one_seed_has_no_verdict(tmp_path):
    run = make_run(tmp_path, "real", 1)
    write_scores(run, "rdpd", "wrist", (0.9,))
    numbers, printed = report.score_table(run, "pamap2")
    assert printed["ROC-AUC, verdict"][5] == "one seed" and printed["ROC-AUC"][5] == "0.900"
    assert pd.isna(wrist(numbers, method="rdpd", metric="roc_auc")["low"])


def test_a_test_part_of_a_few_windows_gets_no_verdict(real):
    path = real.record_path("kd", "wrist", "pamap2")
    record = json.loads(path.read_text())
    for seed in record["seeds"]:
        seed["counts"]["windows"]["test"] = 4  # as the MIMIC-III demo's
    path.write_text(json.dumps(record))
    _, printed = report.score_table(real, "pamap2")
    assert list(printed["ROC-AUC, verdict"][1:6]) == ["agrees", "few windows", "–", "–", "lower"]


def test_a_data_set_that_is_not_in_the_paper_has_no_column_of_it(run):
    numbers, printed = report.score_table(run, "uci_har")
    assert list(printed.columns) == ["Data", "Method", "ROC-AUC", "PR-AUC", "macro-F1", "Seeds"]
    assert report.note(numbers) == "" and "not in the paper" in report.caption("table_uci_har", numbers)


def test_one_switch_sets_macro_f1_by_argmax_beside_the_published_one(real):
    by_threshold, _ = report.score_table(real, "pamap2")
    path = real.record_path("direct", "wrist", "pamap2")
    other = make_run(real.results_root.parent, "real", 10, macro_f1="argmax")
    record = json.loads(path.read_text())
    record["parameters"] = other.parameters
    path.write_text(json.dumps(record))
    by_argmax, printed = report.score_table(other, "pamap2")
    assert printed["macro-F1 (argmax)"][1] == "0.850 ± 0.007"
    for numbers, chosen, left in (
        (by_threshold, "macro_f1", "macro_f1_argmax"),
        (by_argmax, "macro_f1_argmax", "macro_f1"),
    ):
        assert wrist(numbers, method="direct", metric=chosen)["published"] == 0.376
        assert pd.isna(wrist(numbers, method="direct", metric=left)["published"])
    assert wrist(by_argmax, method="direct", metric="macro_f1")["mean"] == pytest.approx(0.8)


# ------------------------------------------------------------------------------------------------- paired table


def test_the_paired_table_compares_rdpd_with_each_other_method_over_common_seeds(real):
    numbers, printed = report.paired_table(real, "pamap2")
    row = wrist(numbers, against="kd", metric="pr_auc")
    assert row["seeds"] == 10 and row["difference"] == pytest.approx(-0.09)
    assert row["low"] == pytest.approx(-0.09, abs=1e-4) and row["p"] == 2 / 2**10
    assert row["p_holm_metric"] == pytest.approx(2 * 2 / 2**10), "two comparisons by each metric"
    assert row["p_holm"] == pytest.approx(6 * 2 / 2**10), "six in the table"
    assert pd.isna(wrist(numbers, against="rdpd_r1", metric="roc_auc")["p"])
    assert printed.loc[0, "ROC-AUC, difference"] == "+0.010 [+0.010, +0.010]"
    assert printed.loc[0, "ROC-AUC, p"] == "0.002" and printed.loc[0, "ROC-AUC, Holm p"] == "**0.004**"
    assert printed.loc[2, "ROC-AUC, difference"] == "–" and len(printed) == 12
    caption = report.caption("table2_paired", numbers)
    assert "real data" in caption and "2 comparisons of 10 seeds the smallest possible one is 0.0039" in caption
    assert "0.0039" in report.write_table(real, "table2_paired", numbers, printed).read_text()


def test_the_paired_table_of_nothing_is_dashes(tmp_path):
    numbers, printed = report.paired_table(make_run(tmp_path), "pamap2")
    assert set(printed["ROC-AUC, p"]) == {"–"} and "nothing run" in report.caption("table2_paired", numbers)


# -------------------------------------------------------------------------------------------------------- files


def test_files_say_simulated_and_latex_is_escaped(run):
    path = report.write_table(run, "table2", *report.score_table(run, "pamap2"))
    assert "simulated data" in path.read_text()
    latex = path.with_suffix(".tex").read_text()
    assert "simulated data" in latex and r"\textbf{0.860 $\pm$ 0.014}" in latex and "–" not in latex
    table = pd.read_csv(path.with_suffix(".csv"))
    assert set(table["source"]) == {"simulated", "not run"}


def test_latex_has_a_heading_a_metric_no_links_and_balanced_columns(real):
    latex = report.write_table(real, "table2", *report.score_table(real, "pamap2")).with_suffix(".tex").read_text()
    assert r"\multicolumn{3}{l}{ROC-AUC}" in latex and "ipynb" not in latex and "](" not in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(rows) == 17 and {line.count("&") for line in rows} == {11}


def test_files_made_again_from_the_same_records_are_the_same_bytes(real):
    def make() -> dict[str, bytes]:
        report.write_table(real, "table2", *report.score_table(real, "pamap2"))
        report.write_table(real, "table2_paired", *report.paired_table(real, "pamap2"))
        report.save_figure(real, "figure3_pamap2", *report.sweep_figure(real, "figure3", "pamap2")[:2])
        return {path.name: path.read_bytes() for path in sorted(real.figures_folder.iterdir())}

    write_noise_sweep(real, "wrist")
    first, html = make(), report.styled(real, "table2", *report.score_table(real, "pamap2")).to_html()
    assert len(first) == 8 and make() == first
    assert report.styled(real, "table2", *report.score_table(real, "pamap2")).to_html() == html


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
    table, printed = report.table5()
    assert list(table.columns) == ["dataset", "model", "published", "allocated", "live", "multiply_adds"]
    assert table["allocated"].tolist() == [118287, 8207, 334985, 19753, 60171, 3979]
    assert table["live"].tolist() == [52623, 4079, 334985, 19753, 27275, 1899]
    assert [f"{n / 1000:.1f}k" for n in table["allocated"]] == table["published"].tolist()
    assert printed["Parameters, live"][0] == "52,623"


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("dataset", report.SPECS)
def test_multiply_adds_are_those_pytorch_counts(dataset):
    spec = report.SPECS[dataset]
    for view in spec.views:
        counter = FlopCounterMode(display=False)
        with torch.backends.mkldnn.flags(enabled=False), counter:  # oneDNN's LSTM is one operation, not counted
            RCNN(spec, view).eval()(torch.zeros(1, spec.length, len(spec.views[view])))
        assert counter.get_total_flops() == 2 * report.multiply_adds(spec, view)


def test_multiply_adds_by_hand():
    # One channel, 48 samples in 4 segments of 12, kernel 4, stride 2: 5 outputs of 16 filters; U = 8, 8 classes.
    convolution, lstm, attention, dense = 4 * 5 * 16 * 4, 2 * 4 * 4 * 8 * (16 + 8), 2 * 4 * 16, 16 * 8
    assert report.multiply_adds(report.SPECS["mimic3"], "hr") == convolution + lstm + attention + dense


def test_latency_names_the_machine_and_stays_out_of_the_figures(run):
    table = report.latency_table(run)
    assert len(table) == 6 and (table["latency_ms"] > 0).all() and set(table["machine"]) == {report.machine()}
    assert (run.results_root / "table5_latency.csv").is_file() and not run.figures_folder.exists()


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


# ------------------------------------------------------------------------------------------------------- sweeps


def noise_entries(rdpd: dict[float, float], direct: dict[float, float]) -> list[dict]:
    """Two seeds a point, 0.01 above and below the given mean by amplitude; PR-AUC is half of ROC-AUC."""
    return [
        {"method": method, "amplitude": level, "seed": seed, "roc_auc": mean + shift, "pr_auc": (mean + shift) / 2}
        for method, curve in (("direct", direct), ("rdpd", rdpd))
        for level, mean in curve.items()
        for seed, shift in enumerate((-0.01, 0.01))
    ]


ABOVE = noise_entries({0.0: 0.9, 1.0: 0.8}, {0.0: 0.85, 1.0: 0.7})
CROSSED = noise_entries({0.0: 0.9, 1.0: 0.7}, {0.0: 0.85, 1.0: 0.7})  # equal at 1.0 is not above


def write_noise_sweep(run: params.Run, view: str, entries: list[dict] = ABOVE, **changed) -> None:
    write(run, "noise_robustness", view, entries=entries, parameters={**run.parameters, "view": view, **changed})


def test_claims_are_true_where_rdpd_is_above_at_every_level_and_false_where_it_is_not_once(run):
    write_noise_sweep(run, "wrist", ABOVE)
    write_noise_sweep(run, "chest", CROSSED)
    claims = report.sweep_claims(report.sweep_curves(run, "figure3", "pamap2"), "amplitude")
    assert list(claims.columns[:4]) == ["view", "metric", "against", "holds"] and set(claims["against"]) == {"direct"}
    by_view = claims.set_index(["view", "metric"])
    assert by_view.loc[("wrist", "roc_auc"), ["holds", "levels_above", "levels", "at"]].tolist() == [True, 2, 2, 0.0]
    assert by_view.loc[("wrist", "pr_auc"), "smallest_difference"] == pytest.approx(0.025)
    assert by_view.loc[("chest", "roc_auc"), ["holds", "levels_above", "levels", "at"]].tolist() == [False, 1, 2, 1.0]


def test_a_claim_with_a_missing_level_does_not_hold(run):
    lacking = [e for e in ABOVE if (e["method"], e["amplitude"]) != ("rdpd", 1.0)]
    write_noise_sweep(run, "wrist", lacking)
    claims = report.sweep_claims(report.sweep_curves(run, "figure3", "pamap2"), "amplitude")
    assert not claims["holds"].any() and set(claims["levels_above"]) == {1}
    unscored = [e | ({"roc_auc": None} if e["amplitude"] else {}) for e in ABOVE]
    write_noise_sweep(run, "wrist", unscored)
    claims = report.sweep_claims(report.sweep_curves(run, "figure3", "pamap2"), "amplitude")
    assert dict(zip(claims["metric"], claims["holds"], strict=True)) == {"roc_auc": False, "pr_auc": True}


def test_a_sweep_figure_has_a_column_of_panels_a_view_and_saves_what_it_plots(run):
    write_noise_sweep(run, "wrist")
    write_noise_sweep(run, "ankle", CROSSED)
    figure, numbers, _ = report.sweep_figure(run, "figure3", "pamap2")
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:2] == [
        "Wrist\nRDPD above Direct at 2 of 2 levels",
        "Ankle\nRDPD above Direct at 1 of 2 levels",
    ]
    assert "simulated data" in figure.get_suptitle() and "95 % bootstrap" in figure.get_suptitle()
    report.save_figure(run, "figure3_pamap2", figure, numbers)
    saved = pd.read_csv(run.figures_folder / "figure3_pamap2.csv")
    assert len(saved) == 2 * 2 * 2 * 2 and set(saved["source"]) == {"simulated"}
    point = saved[(saved["view"] == "wrist") & (saved["method"] == "rdpd") & (saved["metric"] == "roc_auc")].iloc[0]
    assert point[["amplitude", "mean", "low", "high", "seeds"]].tolist() == [0.0, 0.9, 0.89, 0.91, 2]
    line = figure.axes[0].get_lines()[1]
    assert line.get_ydata().tolist() == pytest.approx([0.9, 0.8])


def test_direct_of_figure_2_is_the_same_at_every_fraction(run):
    entries = [
        {"method": m, "fraction": f, "seed": s, "roc_auc": 0.8, "pr_auc": 0.5}
        for m, f in (("direct", None), ("kd", 0.5), ("kd", 1.0), ("rdpd", 0.5), ("rdpd", 1.0))
        for s in (0, 1)
    ]
    write(run, "rich_data_size", "wrist", entries=entries)
    curves = report.sweep_curves(run, "figure2", "pamap2")
    assert curves[curves["method"] == "direct"]["fraction"].tolist() == [0.5, 1.0, 0.5, 1.0]
    figure, _, claims = report.sweep_figure(run, "figure2", "pamap2")
    assert set(claims["against"]) == {"direct", "kd"} and not claims["holds"].any(), "equal is not above"
    assert len(figure.axes) == 2 and "Wrist" in figure.get_suptitle()


def test_sweeps_of_other_settings_are_not_mixed_in(run):
    assert report.sweep_figure(run, "figure3", "pamap2") is None
    write_noise_sweep(run, "wrist", epochs=3)  # a sweep may be shorter than the tables
    write_noise_sweep(run, "chest", epochs=2)  # but not another view's
    write_noise_sweep(run, "ankle", epochs=3, source="real")
    assert set(report.sweep_curves(run, "figure3", "pamap2")["view"]) == {"wrist"}
    write_noise_sweep(run, "wrist", epochs=9)
    write_noise_sweep(run, "chest", epochs=3, seeds=[0])
    assert report.sweep_curves(run, "figure3", "pamap2") is None


def test_a_record_that_is_no_sweep_is_one_sentence(run):
    write(run, "noise_robustness", "wrist")
    with pytest.raises(UserError, match="not a record of a sweep"):
        report.sweep_curves(run, "figure3", "pamap2")


def test_one_view_alone_is_drawn_without_naming_it_as_notebooks_8_and_9_do(run):
    curves = pd.DataFrame(ABOVE)
    figure = report.plot_sweep(curves, "amplitude", "noise amplitude", "a title")
    assert [axis.get_ylabel() for axis in figure.axes] == ["ROC-AUC", "PR-AUC"]
    one_seed = report.plot_sweep(curves[curves["seed"] == 0], "amplitude", "noise amplitude", "a title")
    assert one_seed.get_suptitle() == "a title (one seed)"
