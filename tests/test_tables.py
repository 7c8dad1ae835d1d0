"""Tables and sentences from records alone."""

import json

import numpy as np
import pandas as pd
import pytest
from made_up import make_windows
from made_up_records import (
    ABOVE,
    CROSSED,
    change,
    make_run,
    of_wrist,
    real_run,
    simulated_run,
    write,
    write_noise_sweep,
    write_scores,
    write_size_sweep,
)

from rdpd_nb import paper, params, records, render, sentences, tables
from rdpd_nb.data.windows import Ledger
from rdpd_nb.errors import UserError
from rdpd_nb.statistics import RULE
from rdpd_nb.training import Fitted


@pytest.fixture
def run(tmp_path) -> params.Run:
    return simulated_run(tmp_path)


@pytest.fixture
def real(tmp_path) -> params.Run:
    return real_run(tmp_path)


def wrist(numbers: pd.DataFrame, **where: str) -> pd.Series:
    """The one row of view wrist with these values."""
    where = {"view": "wrist", **where}
    (row,) = [r for _, r in numbers.iterrows() if all(r[k] == v for k, v in where.items())]
    return row


def test_the_table_has_the_papers_rows_in_its_order_ours_beside_the_published(run):
    table = tables.scores(run, "pamap2")
    assert list(table.printed["Data"]) == ["All", *["Wrist"] * 5, *["Chest"] * 5, *["Ankle"] * 5]
    assert list(table.printed["Method"][:6]) == ["Teacher", "Direct", "Distill", "RDPDr1", "RDPDr2", "RDPD"]
    rdpd = wrist(table.numbers, method="rdpd", metric="roc_auc")
    assert rdpd["mean"] == pytest.approx(0.86) and rdpd["sd"] == pytest.approx(np.std([0.85, 0.87], ddof=1))
    assert (rdpd["low"], rdpd["high"], rdpd["seeds"]) == pytest.approx((0.85, 0.87, 2))
    assert (rdpd["published"], rdpd["published_sd"]) == (0.838, 0.012)
    assert rdpd["source"] == "simulated" and rdpd["notebook"].endswith("pamap2/wrist/rdpd.ipynb")
    assert len(table.numbers) == 16 * 4, "a row a metric, both macro-F1 among them"


def test_the_best_method_of_a_view_is_bold_and_a_missing_run_is_a_dash(run):
    printed = tables.scores(run, "pamap2").printed
    rows = printed[printed["Data"] == "Wrist"]
    ours = dict(zip(["Direct", "Distill", "RDPDr1", "RDPDr2", "RDPD"], rows["ROC-AUC"], strict=True))
    assert ours["RDPD"] == "**0.860 ± 0.014**" and ours["Direct"] == "0.820 ± 0.028" and ours["RDPDr1"] == "–"
    published = list(rows["PR-AUC, paper"])
    assert published[2:] == ["**0.491 ± 0.037**", "0.478 ± 0.038", "**0.491 ± 0.045**"], "two share the best"
    assert printed.iloc[0]["ROC-AUC"] == "0.910 ± 0.014", "the teacher is no rival of the poor views"


def test_each_row_names_its_record_and_the_table_those_there_are(run):
    table = tables.scores(run, "pamap2")
    assert table.rows[5] == "pamap2/wrist/rdpd" and len(table.rows) == 16
    assert table.records == ["pamap2/all/teacher", *(f"pamap2/wrist/{m}" for m in ("direct", "kd", "rdpd"))]
    assert run.results_root / f"{table.rows[5]}.json" == run.record_path("rdpd", "wrist", "pamap2")
    assert "ROC-AUC" in table.ours and not {"Method", "Seeds", "ROC-AUC, paper"} & set(table.ours)


# ------------------------------------------------------------------------------------------------------ verdicts


def test_simulated_data_have_no_verdict_and_no_column_of_it(run):
    table = tables.scores(run, "pamap2")
    assert not [c for c in table.printed if "verdict" in c] and table.numbers["verdict"].isna().all()
    assert "Numbers from simulated data say nothing about the paper's." in table.caption and table.note == ""


def test_verdicts_of_real_data(real):
    table = tables.scores(real, "pamap2")
    assert list(table.printed["ROC-AUC, verdict"][1:6]) == ["agrees", "higher", "–", "–", "lower"]
    assert wrist(table.numbers, method="kd", metric="roc_auc")["verdict"] == "higher"
    assert table.note == RULE and "simulated" not in table.caption


def test_one_seed_has_no_verdict(tmp_path):
    run = make_run(tmp_path, "real", 1)
    write_scores(run, "rdpd", "wrist", (0.9,))
    table = tables.scores(run, "pamap2")
    assert table.printed["ROC-AUC, verdict"][5] == "one seed" and table.printed["ROC-AUC"][5] == "0.900"
    assert pd.isna(wrist(table.numbers, method="rdpd", metric="roc_auc")["low"])


def test_a_test_part_of_a_few_windows_gets_no_verdict(real):
    path = real.record_path("kd", "wrist", "pamap2")
    change(path, counts={"windows": {"test": 4}})  # as the MIMIC-III demo's
    printed = tables.scores(real, "pamap2").printed
    assert list(printed["ROC-AUC, verdict"][1:6]) == ["agrees", "few windows", "–", "–", "lower"]


def test_a_data_set_that_is_not_in_the_paper_has_no_column_of_it(run):
    table = tables.scores(run, "uci_har")
    assert list(table.printed.columns) == ["Data", "Method", "ROC-AUC", "PR-AUC", "macro-F1", "Seeds"]
    assert table.note == "" and "not in the paper" in table.caption and table.name == "table_uci_har"


def test_one_switch_sets_macro_f1_by_argmax_beside_the_published_one(real):
    by_threshold = tables.scores(real, "pamap2").numbers
    path = real.record_path("direct", "wrist", "pamap2")
    other = make_run(real.results_root.parent, "real", 10, macro_f1="argmax")
    record = json.loads(path.read_text())
    record["parameters"] = other.parameters
    path.write_text(json.dumps(record))
    by_argmax = tables.scores(other, "pamap2")
    assert by_argmax.printed["macro-F1 (argmax)"][1] == "0.850 ± 0.007"
    for numbers, chosen, left in (
        (by_threshold, "macro_f1", "macro_f1_argmax"),
        (by_argmax.numbers, "macro_f1_argmax", "macro_f1"),
    ):
        assert wrist(numbers, method="direct", metric=chosen)["published"] == 0.376
        assert pd.isna(wrist(numbers, method="direct", metric=left)["published"])
    assert wrist(by_argmax.numbers, method="direct", metric="macro_f1")["mean"] == pytest.approx(0.8)


def test_a_caption_warns_of_a_test_part_too_small_to_mean_anything(run):
    assert "prove that the pipeline runs" not in tables.scores(run, "pamap2").caption
    change(run.record_path("rdpd", "wrist", "pamap2"), counts={"windows": {"test": 4}}, classes_absent=[4])
    caption = tables.scores(run, "pamap2").caption
    assert "A test part has 4 windows" in caption and "no window of it: running." in caption


# ------------------------------------------------------------------------------------------------- paired table


def test_the_paired_table_compares_rdpd_with_each_other_method_over_common_seeds(real):
    table = tables.paired(real, "pamap2")
    numbers, printed = table.numbers, table.printed
    row = wrist(numbers, against="kd", metric="pr_auc")
    assert row["seeds"] == 10 and row["difference"] == pytest.approx(-0.09)
    assert row["low"] == pytest.approx(-0.09, abs=1e-4) and row["p"] == 2 / 2**10
    assert row["p_holm_metric"] == pytest.approx(2 * 2 / 2**10), "two comparisons by each metric"
    assert row["p_holm"] == pytest.approx(6 * 2 / 2**10), "six in the table"
    assert pd.isna(wrist(numbers, against="rdpd_r1", metric="roc_auc")["p"])
    assert printed.loc[0, "ROC-AUC, difference"] == "+0.010 [+0.010, +0.010]"
    assert printed.loc[0, "ROC-AUC, p"] == "0.002" and printed.loc[0, "ROC-AUC, Holm p"] == "**0.004**"
    assert printed.loc[2, "ROC-AUC, difference"] == "–" and len(printed) == 12
    assert "real data" in table.caption
    assert "2 comparisons of 10 seeds the smallest possible one is 0.0039" in table.caption
    assert table.records == [f"pamap2/wrist/{m}" for m in ("direct", "kd", "rdpd")]


def test_the_paired_table_of_nothing_is_dashes(tmp_path):
    table = tables.paired(make_run(tmp_path), "pamap2")
    assert set(table.printed["ROC-AUC, p"]) == {"–"} and "nothing run" in table.caption


# ------------------------------------------------------------------------------------- for a method's notebook


def test_a_methods_notebook_compares_it_with_the_methods_before_it(run):
    table = tables.compare(of_wrist(run, "04_knowledge_distillation"), "kd")
    assert list(table.printed["Method"]) == ["Teacher", "Direct", "Distill"]
    assert table.printed["ROC-AUC"][1] == "0.820 ± 0.028" and table.printed["ROC-AUC, paper"][1] == "0.800 ± 0.032"
    assert table.caption == "PAMAP2, Wrist, simulated data: mean ± standard deviation over seeds."
    assert "<th" in table._repr_html_() and repr(table) == table.caption


@pytest.mark.parametrize(("of", "against", "said"), [
    ("rdpd", "kd", "RDPD is 0.090 below Distill in ROC-AUC over 10 seeds (95 % interval -0.090 to -0.090)."),
    ("kd", "direct", "Distill is 0.100 above Direct in ROC-AUC over 10 seeds (95 % interval +0.100 to +0.100)."),
    ("rdpd_r1", "direct", "RDPDr1 and Direct have no score of a common seed with these settings."),
])  # fmt: skip
def test_a_sentence_says_how_a_method_stands_against_another(real, of, against, said):
    assert sentences.compared(of_wrist(real), of, against) == said


def test_the_sentence_of_the_committed_real_results(tmp_path):
    run = make_run(tmp_path, "real", 10)
    write_scores(run, "direct", "wrist", tuple(np.linspace(0.9, 0.99, 10)))
    write_scores(run, "rdpd", "wrist", tuple(np.linspace(0.88, 0.95, 10)))
    said = sentences.compared(of_wrist(run), "rdpd", metric="pr_auc")
    assert said.startswith("RDPD is 0.030 below Direct in PR-AUC over 10 seeds (95 % interval -0.0")


def test_a_sentence_of_few_seeds_has_their_range_and_no_interval(run, tmp_path):
    said = sentences.compared(of_wrist(run), "rdpd")
    assert said == "RDPD is 0.040 above Direct in ROC-AUC over 2 seeds (by seed from +0.030 to +0.050)."
    assert sentences.compared(of_wrist(run), "kd", "teacher").startswith("Distill is 0.085 below Teacher")
    one = make_run(tmp_path / "one", seeds=1)
    for method, value in (("direct", 0.8), ("rdpd", 0.8001)):
        write_scores(one, method, "wrist", (value,))
    assert sentences.compared(of_wrist(one), "rdpd") == "RDPD is within 0.001 of Direct in ROC-AUC with one seed."


def test_sentences_of_a_data_set_count_the_views_and_say_what_is_more_than_chance(real):
    said = sentences.pairs(real, "pamap2")
    assert len(said) == 2 and said[0].startswith("PAMAP2, ROC-AUC: RDPD is above Direct in 1 of 1 view (+0.010); after")
    assert said[0].endswith("p < 0.05 in 1.") and "above Distill in 0 of 1 view (-0.090)" in said[1]
    assert sentences.pairs(real, "uci_har") == []


def test_with_two_seeds_nothing_is_more_than_chance(run):
    assert sentences.pairs(run, "pamap2")[0].endswith("(+0.040); after Holm's correction p < 0.05 in none.")


def test_sentences_of_a_sweep_say_where_each_method_begins_and_ends(run):
    write_noise_sweep(run, "wrist", ABOVE)
    assert sentences.sweep_changes(run, "figure3", "pamap2", "wrist") == [
        "Direct: ROC-AUC 0.850 at amplitude 0, 0.700 at 1 (-0.150).",
        "RDPD: ROC-AUC 0.900 at amplitude 0, 0.800 at 1 (-0.100).",
    ]


# ------------------------------------------------------------------------------------------------ for notebooks


def test_the_table_of_switches_says_every_difference_in_words():
    assert set(tables.SWITCH_WORDS) == set(paper.SWITCHES) - set(paper.NOT_RELEASED)
    printed = tables.switches().printed
    assert "batch_order: once" in printed.iloc[:, -1].tolist()
    assert not printed.iloc[:, :-1].map(lambda text: "_" in text).any(axis=None), "words, no internal names"


def test_a_small_frame_has_thousands_digits_and_blanks():
    frame = pd.DataFrame({"ROC-AUC, RDPD": [0.12345, np.nan], "rows": pd.array([1234567, None], "Int64")}, ["a", "b"])
    table = tables.from_frame(frame, "A title")
    assert table.printed.to_numpy().tolist() == [["a", "0.123", "1,234,567"], ["b", "", ""]]
    html = render.html(table)
    assert "<b>A title</b>" in html and ">RDPD<" in html and "nan" not in html.lower()


def test_the_ledger_says_each_step_once_with_blanks_where_nothing_is_counted():
    windows, ledger = make_windows(), Ledger()
    ledger.add("read", rows=283078, subjects=9, table1="2,872,533 rows")
    ledger.add("removed", rows=-91675)
    windows.ledger[:] = ledger.rows
    printed = tables.ledger(windows).printed
    assert printed.to_numpy().tolist() == [["read", "283,078", "9", "2,872,533 rows"], ["removed", "-91,675", "", ""]]


def test_a_sentence_says_what_a_method_reaches(run, tmp_path):
    assert sentences.reached(of_wrist(run), "rdpd") == (
        "RDPD reaches 0.860 in ROC-AUC on the test windows (mean of 2 seeds, 0.850 to 0.870)."
    )
    assert sentences.reached(of_wrist(run), "teacher", "pr_auc").startswith("Teacher reaches 0.910 in PR-AUC")
    assert sentences.reached(of_wrist(run), "rdpd_r1").startswith("RDPDr1 has no ROC-AUC")
    one = make_run(tmp_path / "one", seeds=1)
    write_scores(one, "kd", "wrist", (0.8,))
    assert sentences.reached(of_wrist(one), "kd") == "Distill reaches 0.800 in ROC-AUC on the test windows (one seed)."


@pytest.mark.parametrize(
    ("epochs", "said"),
    [
        ([3], "Kept: epoch 3 of 5, with a validation ROC-AUC of 0.800."),
        ([4, 2], "Kept: epochs 2 and 4 of 5, with a validation ROC-AUC of 0.800 on average."),
        ([4, 2, 5], "Kept: epochs 2 to 5 of 5, with a validation ROC-AUC of 0.800 on average."),
        ([4, 4], "Kept: epoch 4 of 5, with a validation ROC-AUC of 0.800 on average."),
    ],
)
def test_a_sentence_says_which_epochs_were_kept(epochs, said):
    history = {"train_loss": [1.0] * 5, "validation_roc_auc": [0.8] * 5}
    fitted = [Fitted(None, None, epoch, "validation ROC-AUC", history) for epoch in epochs]
    assert sentences.trained(fitted) == said
    by_loss = [Fitted(None, None, 2, "validation loss", {**history, "validation_roc_auc": [np.nan] * 5})]
    assert sentences.trained(by_loss) == "Kept: epoch 2 of 5, by the validation loss."


# -------------------------------------------------------------------------------------------------------- others


def test_records_of_another_source_or_of_other_seeds_are_not_mixed_in(run):
    for name, value in (("source", "real"), ("seeds", [0]), ("epochs", 9)):
        other = params.Run(run.notebook, {**run.parameters, name: value})
        assert not records.datasets_run(other)
    assert records.datasets_run(run) == ["pamap2"]


def test_data_sets_not_run_are_dashes_in_table_1(run):
    table = tables.table1(run, ["pamap2", "mimic3"])
    assert set(table.printed["Ours"]) == {"–"} and set(table.numbers["source"]) == {"not run"}
    assert table.records == [] and table.rows[0] == "pamap2/all/preprocessing"


def test_table_1_sets_what_was_read_beside_the_papers(run):
    statistics = {"subjects": 9, "classes": 12, "attributes": 52, "total_length": 1000}
    write(run, "preprocessing", "all", statistics=statistics, windows=7)
    table = tables.table1(run, ["pamap2"])
    assert list(table.printed["Ours"]) == ["9", "12", "52", "1,000"] and "simulated data" in table.caption
    assert set(tables.scores(run, "pamap2").numbers["windows"]) == {7}


def test_table5_equals_the_published_counts():
    table = tables.table5()
    numbers = table.numbers
    assert list(numbers.columns) == ["dataset", "model", "published", "allocated", "live", "multiply_adds"]
    assert numbers["allocated"].tolist() == [118287, 8207, 334985, 19753, 60171, 3979]
    assert numbers["live"].tolist() == [52623, 4079, 334985, 19753, 27275, 1899]
    assert [f"{n / 1000:.1f}k" for n in numbers["allocated"]] == numbers["published"].tolist()
    assert table.printed["Parameters, live"][0] == "52,623" and table.records == []


# ------------------------------------------------------------------------------------------------------- sweeps


def claims_of(run, figure="figure3"):
    return tables.sweep_claims(tables.sweep_summary(records.read_sweep(run, figure, "pamap2")))


def test_claims_are_true_where_rdpd_is_above_at_every_level_and_false_where_it_is_not_once(run):
    write_noise_sweep(run, "wrist", ABOVE)
    write_noise_sweep(run, "chest", CROSSED)
    claims = claims_of(run)
    assert list(claims.columns[:4]) == ["view", "metric", "against", "holds"] and set(claims["against"]) == {"direct"}
    by_view = claims.set_index(["view", "metric"])
    assert by_view.loc[("wrist", "roc_auc"), ["holds", "levels_above", "levels", "at"]].tolist() == [True, 2, 2, 0.0]
    assert by_view.loc[("wrist", "pr_auc"), "smallest_difference"] == pytest.approx(0.025)
    assert by_view.loc[("chest", "roc_auc"), ["holds", "levels_above", "levels", "at"]].tolist() == [False, 1, 2, 1.0]


def test_a_claim_with_a_missing_level_does_not_hold(run):
    lacking = [e for e in ABOVE if (e["method"], e["amplitude"]) != ("rdpd", 1.0)]
    write_noise_sweep(run, "wrist", lacking)
    claims = claims_of(run)
    assert not claims["holds"].any() and set(claims["levels_above"]) == {1}
    unscored = [e | ({"roc_auc": None} if e["amplitude"] else {}) for e in ABOVE]
    write_noise_sweep(run, "wrist", unscored)
    claims = claims_of(run)
    assert dict(zip(claims["metric"], claims["holds"], strict=True)) == {"roc_auc": False, "pr_auc": True}


def test_sentences_of_a_sweep_say_the_papers_words_and_what_came_out(run):
    assert sentences.sweep(run, "figure3", "pamap2") == []
    write_noise_sweep(run, "wrist", ABOVE)
    write_noise_sweep(run, "chest", CROSSED)
    said = sentences.sweep(run, "figure3", "pamap2")
    assert said[0] == "The paper: both fall with the amplitude, and RDPD stays above Direct."
    assert "Wrist, ROC-AUC: RDPD is above Direct at all 2 amplitudes (least at 0: +0.050)." in said
    assert "Chest, ROC-AUC: RDPD is above Direct at 1 of 2 amplitudes (least at 1: +0.000)." in said
    assert len(said) == 5
    assert len(sentences.sweep(of_wrist(run, "07_rdpd"), "figure3", "pamap2", "wrist")) == 3
    write_size_sweep(run)
    said = sentences.sweep(run, "figure2", "pamap2")
    assert "above Direct at 0 of 2 fractions (least at 0.5: +0.000), above Distill at 0 of 2 fractions" in said[1]


def test_direct_of_figure_2_is_the_same_at_every_fraction(run):
    write_size_sweep(run)
    frame = records.read_sweep(run, "figure2", "pamap2")
    direct = frame[(frame["method"] == "direct") & (frame["metric"] == "roc_auc")]
    assert direct["level"].tolist() == [0.5, 1.0, 0.5, 1.0]
    claims = claims_of(run, "figure2")
    assert set(claims["against"]) == {"direct", "kd"} and not claims["holds"].any(), "equal is not above"


def test_sweeps_of_other_settings_are_not_mixed_in(run):
    assert records.read_sweep(run, "figure3", "pamap2").empty
    write_noise_sweep(run, "wrist", epochs=3)  # a sweep may be shorter than the tables
    write_noise_sweep(run, "chest", epochs=2)  # but not another view's
    write_noise_sweep(run, "ankle", epochs=3, source="real")
    assert set(records.read_sweep(run, "figure3", "pamap2")["view"]) == {"wrist"}
    write_noise_sweep(run, "wrist", epochs=9)
    write_noise_sweep(run, "chest", epochs=3, seeds=[0])
    assert records.read_sweep(run, "figure3", "pamap2").empty


def test_a_record_that_is_no_sweep_is_one_sentence(run):
    write(run, "noise_robustness", "wrist")
    with pytest.raises(UserError, match="not a record of a sweep"):
        records.read_sweep(run, "figure3", "pamap2")
