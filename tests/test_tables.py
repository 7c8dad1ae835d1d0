"""Tables and sentences from records alone."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from made_up import make_windows
from made_up_records import (
    ABOVE,
    CROSSED,
    change,
    draws_about,
    make_run,
    of_seeds,
    of_view,
    of_wrist,
    real_run,
    simulated_run,
    two_class_run,
    with_dataset,
    write,
    write_anchor,
    write_noise_sweep,
    write_scores,
    write_size_sweep,
)

from rdpd_nb import figures, paper, params, records, render, sentences, tables
from rdpd_nb.data import SPECS
from rdpd_nb.data.windows import Ledger
from rdpd_nb.errors import UserError
from rdpd_nb.statistics import corrected_interval, corrected_p, interval, people_interval, rule, verdicts
from rdpd_nb.training import Fitted


@pytest.fixture
def run(tmp_path) -> params.Run:
    return simulated_run(tmp_path)


@pytest.fixture
def real(tmp_path) -> params.Run:
    return real_run(tmp_path)


@pytest.fixture
def two_classes(tmp_path, monkeypatch) -> params.Run:
    return two_class_run(tmp_path, monkeypatch)


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
    assert pd.isna(rdpd["low"]) and rdpd["seeds"] == 2, "two seeds have no interval"
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


def test_verdicts_of_real_data_have_their_interval_and_what_they_could_have_seen(real):
    table = tables.scores(real, "pamap2")
    words = [text.partition(" ")[0] for text in table.printed["ROC-AUC, verdict"]]
    assert words[1:6] == ["agrees", "higher", "–", "–", "lower"]
    judged = table.numbers[table.numbers["p"].notna()]
    published = {(row.method, row.metric): (row.published, row.published_sd) for row in judged.itertuples()}
    frame = records.read_scores(real, "pamap2")
    cells = [
        (frame.loc[(frame["method"] == method) & (frame["metric"] == metric), "score"].tolist(), *paper)
        for (method, metric), paper in published.items()
    ]
    assert len(cells) == 9, "three methods by three metrics, corrected together"
    for row, expected in zip(judged.to_dict("records"), verdicts(cells), strict=True):
        assert {name: row[name] for name in expected} == expected
    kd = wrist(judged, method="kd", metric="roc_auc")
    low, high, seen = (f"{kd[name]:{sign}.3f}" for name, sign in (("less_low", "+"), ("less_high", "+"), ("seen", "")))
    assert table.printed["ROC-AUC, verdict"][2] == f"higher [{low}, {high}], sees {seen}"
    assert table.note == rule(9, 114) and "simulated" not in table.caption


def test_a_verdict_that_chance_explains_is_none(tmp_path):
    """Beside one other cell a difference with p = 0.03 agrees, as Holm's correction has it."""
    run = make_run(tmp_path, "real", 10)
    z = (np.arange(10) - 4.5) / np.std(np.arange(10), ddof=1)
    write_scores(run, "direct", "wrist", tuple(0.824 + 0.014 * z))  # the paper: 0.800 with a deviation of 0.032
    row = wrist(tables.scores(run, "pamap2").numbers, method="direct", metric="roc_auc")
    assert 0.03 < row["p"] < 0.05 and row["p_holm"] == row["p"] > 0.03, "the largest of three p"
    write_scores(run, "kd", "wrist", (0.825,) * 10)  # as published: p = 1
    row = wrist(tables.scores(run, "pamap2").numbers, method="direct", metric="roc_auc")
    assert row["p_holm"] == pytest.approx(2 * row["p"], rel=0.01) and row["verdict"] == "agrees"
    assert row["less_low"] > 0, "its interval alone would leave 0 out"


def test_a_class_that_a_test_part_lacks_takes_the_verdict(real):
    change(real.record_path("kd", "wrist", "pamap2"), classes_absent=[4])
    printed = tables.scores(real, "pamap2").printed
    assert printed["ROC-AUC, verdict"][2] == "class missing" and printed["ROC-AUC, verdict"][1].startswith("agrees")
    assert tables.scores(real, "pamap2").note == rule(6, 114)


def test_one_seed_has_no_verdict(tmp_path):
    run = make_run(tmp_path, "real", 1)
    write_scores(run, "rdpd", "wrist", (0.9,))
    table = tables.scores(run, "pamap2")
    assert table.printed["ROC-AUC, verdict"][5] == "one seed" and table.printed["ROC-AUC"][5] == "0.900"
    assert pd.isna(wrist(table.numbers, method="rdpd", metric="roc_auc")["low"])


def test_a_test_part_of_a_few_windows_gets_no_verdict(real):
    path = real.record_path("kd", "wrist", "pamap2")
    change(path, counts={"windows": {"train": 9, "test": 4}})  # as the MIMIC-III demo's
    printed = tables.scores(real, "pamap2").printed
    words = [text.partition(",")[0].partition(" [")[0] for text in printed["ROC-AUC, verdict"][1:6]]
    assert words == ["agrees", "few windows", "–", "–", "lower"]


def test_a_data_set_that_is_not_in_the_paper_has_no_column_of_it(tmp_path):
    table = tables.scores(make_run(tmp_path, "real", dataset="uci_har"), "uci_har")
    assert list(table.printed.columns) == ["Data", "Method", "ROC-AUC", "PR-AUC", "macro-F1", "Seeds"]
    assert table.note == "" and "not in the paper" in table.caption and table.name == "table_uci_har"


def test_one_switch_sets_macro_f1_by_argmax_beside_the_published_one(real):
    by_threshold = tables.scores(real, "pamap2").numbers
    path = real.record_path("direct", "wrist", "pamap2")
    other = make_run(real.results_root.parent, "real", 10, macro_f1="argmax")
    record = json.loads(path.read_text())
    record["parameters"]["switches"] = other.parameters["switches"]
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
    few = {"windows": {"train": 9, "test": 4}}
    change(run.record_path("rdpd", "wrist", "pamap2"), counts=few, classes_absent=[4])
    caption = tables.scores(run, "pamap2").caption
    assert "A test part has 4 windows" in caption and "no window of it: running." in caption


# ------------------------------------------------------------------------------ intervals, marks and the anchor


def test_the_interval_over_seeds_is_students_where_the_test_part_is_fixed(real):
    row = wrist(tables.scores(real, "pamap2").numbers, method="kd", metric="roc_auc")
    values = json.loads(real.record_path("kd", "wrist", "pamap2").read_text())["seeds"]
    assert (row["low"], row["high"]) == pytest.approx(interval([e["roc_auc"] for e in values]))
    table = tables.scores(real, "pamap2")
    assert table.printed["95 % interval of ROC-AUC, over seeds"][2] == f"[{row['low']:.3f}, {row['high']:.3f}]"
    assert "over seeds by Student's t." in table.caption
    assert "same person (101)" in table.caption and "nothing of other people" in table.caption
    assert not [c for c in table.printed if "over people" in c], "one person has no draws"
    assert not [c for c in table.ours if c.startswith("95 %")]


def test_splits_drawn_by_seed_have_the_corrected_interval_with_the_windows_of_the_records(tmp_path):
    run, values = make_run(tmp_path, "real", 8, "ptbdb"), tuple(0.7 + 0.02 * np.sin(np.arange(8)))
    counts = {"windows": {"train": 300, "validation": 40, "test": 60}}
    draws = draws_about(0.7)
    write_scores(run, "rdpd", "lead_i", values, people=draws, counts=counts)
    write_scores(run, "direct", "lead_i", tuple(v - 0.01 * i for i, v in enumerate(values)), counts=counts)
    table = tables.scores(run, "ptbdb")
    (row,) = (r for r in table.numbers.to_dict("records") if (r["method"], r["metric"]) == ("rdpd", "pr_auc"))
    assert (row["low"], row["high"]) == pytest.approx(corrected_interval(values, 60 / 300))
    assert (row["people_low"], row["people_high"]) == pytest.approx(people_interval(draws["pr_auc"]))
    assert (
        "Nadeau and Bengio" in table.caption
        and "over people by drawing the tested people anew (bootstrap)" in table.caption
    )
    paired = tables.paired(run, "ptbdb")
    (row,) = (r for r in paired.numbers.to_dict("records") if (r["against"], r["metric"]) == ("direct", "roc_auc"))
    differences = [0.01 * i for i in range(8)]
    assert (row["low"], row["high"], row["p"]) == pytest.approx(
        (*corrected_interval(differences, 0.2), corrected_p(differences, 0.2))
    )
    assert pd.isna(row["people_low"]), "Direct has no draws"
    assert "corrected resampled t test" in paired.caption and "smallest possible" not in paired.caption
    said = sentences.compared(of_view(run, "lead_i"), "rdpd")
    assert f"95 % interval {row['low']:+.3f} to {row['high']:+.3f})." in said


def test_an_interval_of_a_score_stays_between_0_and_1(tmp_path):
    run = make_run(tmp_path, "real", 6, "ptbdb")
    write_scores(run, "rdpd", "lead_i", (0.9, 1.0, 1.0, 1.0, 1.0, 1.0))
    numbers = tables.scores(run, "ptbdb").numbers
    assert numbers["high"].max() == 1.0 and corrected_interval((0.9, *[1.0] * 5), 40 / 90)[1] > 1


def test_intervals_over_people_stand_beside_those_over_seeds(tmp_path):
    run = make_run(tmp_path, "real", 10, "hapt")
    scored = {"direct": 0.80, "rdpd": 0.85}
    for method, mean in scored.items():
        own = draws_about(mean, 0.05, 0.002 if method == "rdpd" else 0.0)
        write_scores(run, method, "gyro", tuple(mean + 0.001 * np.arange(10)), people=own)
    table = tables.paired(run, "hapt")
    (row,) = (r for r in table.numbers.to_dict("records") if r["against"] == "direct" and r["metric"] == "roc_auc"
              and r["view"] == "gyro")  # fmt: skip
    ours, other = (draws_about(*of)["roc_auc"] for of in ((0.85, 0.05, 0.002), (0.80, 0.05, 0.0)))
    assert (row["people_low"], row["people_high"]) == pytest.approx(people_interval(ours, other))
    text = f"[{row['people_low']:+.3f}, {row['people_high']:+.3f}]"
    assert text in table.printed["ROC-AUC, over people"].tolist()
    said = sentences.compared(of_view(run, "gyro"), "rdpd")
    assert said.endswith(f"; over people {row['people_low']:+.3f} to {row['people_high']:+.3f}).")
    first = sentences.pairs(run, "hapt")[0]
    assert first.endswith("in 1 (higher); over people the 95 % interval leaves 0 out in 1 (higher).")
    assert not [c for c in table.printed if c.startswith("95 %")]


def test_folds_are_people_and_have_one_interval_by_their_name(tmp_path):
    run = make_run(tmp_path, "real", 8, "dsads")
    for method, mean in {"direct": 0.80, "rdpd": 0.85}.items():
        write_scores(run, method, "watch", tuple(mean + 0.01 * np.cos(np.arange(8))), people=draws_about(mean))
    table, paired = tables.scores(run, "dsads"), tables.paired(run, "dsads")
    for made in (table, paired):
        assert "over folds by Student's t (each fold tests another person)" in made.caption and "Folds" in made.printed
        assert not [c for c in made.printed if "people" in c] and "Seeds" not in made.printed
        assert made.numbers["people_low"].notna().any(), "in the numbers they are"
        assert "over seeds" not in made.caption
    assert "95 % interval of ROC-AUC, over folds" in table.printed and "Folds" not in table.ours
    assert "over 8 folds (95 % interval" in sentences.compared(of_view(run, "watch"), "rdpd")
    assert sentences.reached(of_view(run, "watch"), "rdpd").endswith("(mean of 8 folds, 0.840 to 0.860).")
    one = make_run(tmp_path / "one", "real", 1, "dsads")
    write_scores(one, "rdpd", "watch", (0.8,))
    assert "(one fold)" in sentences.reached(of_view(one, "watch"), "rdpd")


def test_few_seeds_have_no_interval_and_a_caption_says_so(run):
    table, paired = tables.scores(run, "pamap2"), tables.paired(run, "pamap2")
    assert not [c for c in table.printed if c.startswith("95 %")]
    assert "Under 6 seeds there is no interval over seeds." in table.caption
    assert "Under 6 seeds there is no interval or test over seeds." in paired.caption
    assert paired.printed["ROC-AUC, difference"][0] == "+0.040" and paired.numbers["p"].isna().all()
    assert not [c for c in paired.printed if "p" in c.split()] and "Holm" not in paired.caption, "all would be dashes"


def test_a_caption_of_few_seeds_denies_no_interval_that_is_printed(tmp_path):
    run = make_run(tmp_path, "real", 2, "hapt")
    for method, mean in {"direct": 0.80, "rdpd": 0.85}.items():
        write_scores(run, method, "gyro", (mean, mean), people=draws_about(mean))
    for made in (tables.scores(run, "hapt"), tables.paired(run, "hapt")):
        assert [c for c in made.printed if c.endswith("over people")]
        assert "95 % interval over people by drawing the tested people anew (bootstrap)" in made.caption
        assert re.search("there is no interval( or test)? over seeds", made.caption)
        assert "no interval." not in made.caption


def test_a_caption_says_where_a_test_of_few_folds_cannot_find_anything(tmp_path):
    run, rng = make_run(tmp_path, "real", 8, "dsads"), np.random.default_rng(0)
    for view in SPECS["dsads"].poor_views:
        for method in paper.STUDENT_METHODS:
            write_scores(run, method, view, tuple(0.8 + 0.01 * rng.random(8) + 0.1 * (method == "rdpd")))
    table = tables.paired(run, "dsads")
    assert "the smallest possible one is 0.12, so that none can be bold." in table.caption
    assert set(table.printed["ROC-AUC, Holm p"]) == {"0.125"}
    said = sentences.pairs(run, "dsads")
    assert len(said) == 4 and all(
        line.endswith("; 8 folds are too few for p < 0.05 after Holm's correction.") for line in said
    )


def test_a_difference_that_rounds_to_nothing_has_no_minus(run):
    write_scores(run, "rdpd", "wrist", (0.82, 0.8399))
    write_scores(run, "direct", "wrist", (0.82, 0.84))
    assert tables.paired(run, "pamap2").printed["ROC-AUC, difference"][0] == "+0.000"


def test_bold_marks_what_is_equal_as_printed(run):
    write_scores(run, "rdpd", "wrist", (0.8600, 0.8604))
    write_scores(run, "kd", "wrist", (0.8603, 0.8600))
    write_scores(run, "direct", "wrist", (0.8590, 0.8594))
    cells = tables.scores(run, "pamap2").printed["ROC-AUC"][1:6].tolist()
    assert [cell.startswith("**0.860") for cell in cells] == [False, True, False, False, True]
    write_scores(run, "direct", "wrist", (0.0005, 0.0005))  # printed as 0.001: in binary a little above the half
    write_scores(run, "kd", "wrist", (0.0010, 0.0010))
    write_scores(run, "rdpd", "wrist", (0.0, 0.0))
    cells = tables.scores(run, "pamap2").printed["ROC-AUC"][1:6].tolist()
    assert [cell.startswith("**0.001") for cell in cells] == [True, True, False, False, False]
    for method in ("direct", "kd", "rdpd"):
        write_scores(run, method, "wrist", (0.8603, 0.8600))
    cells = tables.scores(run, "pamap2").printed["ROC-AUC"][1:6].tolist()
    assert not [cell for cell in cells if "**" in cell], "none is best where all that ran are equal"


@pytest.mark.parametrize(("rising", "marked"), [(2, False), (3, True)])
def test_a_row_that_still_rose_in_over_a_fifth_of_the_seeds_is_marked(tmp_path, rising, marked):
    run = make_run(tmp_path, "real", 10)
    path = write_scores(run, "rdpd", "wrist", tuple(np.linspace(0.8, 0.9, 10)), epochs=20, allowed=20)
    record = json.loads(path.read_text())
    for entry in record["seeds"][:rising]:
        entry["best_epoch"] = 19
    path.write_text(json.dumps(record))
    table = tables.scores(run, "pamap2")
    assert table.printed["Method"][5] == ("RDPD †" if marked else "RDPD")
    assert ("last tenth of the training" in table.note) == marked
    assert set(table.numbers.loc[table.numbers["method"] == "rdpd", "at_end"].dropna()) == {rising / 10}
    compared = tables.compare(of_wrist(run), "rdpd")
    assert (compared.printed["Method"][0] == "RDPD †") == marked == bool(compared.note)


def test_logistic_regression_is_a_row_of_each_view_never_bold_nor_compared(tmp_path):
    run = real_run(tmp_path)
    write_anchor(run, {view: tuple(0.95 + 0.001 * np.arange(10)) for view in SPECS["pamap2"].views})
    table = tables.scores(run, "pamap2")
    rows = table.printed[table.printed["Method"] == "Logistic regression"]
    assert list(rows["Data"]) == ["All", "Wrist", "Chest", "Ankle"]
    assert set(rows["ROC-AUC"]) == {"0.954 ± 0.003"} and set(rows["ROC-AUC, paper"]) == {"–"}
    assert set(rows["ROC-AUC, verdict"]) == {"–"}
    assert "**0.900 ± 0.007**" in table.printed["ROC-AUC"].tolist(), "the best network is bold all the same"
    assert table.rows[rows.index[1]] == "pamap2/all/preprocessing" and len(table.rows) == len(table.printed)
    assert "pamap2/all/preprocessing" in table.records and "Logistic regression" in table.caption
    assert "logistic" not in set(tables.paired(run, "pamap2").numbers["against"])
    assert "pamap2/all/preprocessing" not in tables.paired(run, "pamap2").records
    compared = tables.compare(of_wrist(run), "rdpd")
    assert list(compared.printed["Method"][:2]) == ["Logistic regression, all channels", "Logistic regression"]
    assert compared.rows[:2] == ["pamap2/all/preprocessing"] * 2
    assert "Logistic regression" not in tables.scores(real_run(tmp_path / "without"), "pamap2").caption


def test_of_two_classes_the_scored_one_is_said_and_its_f1_is_no_mean(two_classes):
    table, paired = tables.scores(two_classes, "two"), tables.paired(two_classes, "two")
    for made in (table, paired):
        assert "every score is that of 'ill', the positive one" in made.caption
        assert [c for c in made.printed if c.startswith("F1")] and not [c for c in made.printed if "macro" in c]
    assert "in F1 over 8 seeds" in sentences.compared(
        of_view(two_classes, "gyro", dataset="two"), "rdpd", metric="macro_f1"
    )
    labels = [axis.get_xlabel() for axis in figures.scores(two_classes, "two").figure.axes]
    assert labels == ["ROC-AUC", "PR-AUC", "F1"]
    argmax = params.check(two_classes.notebook, two_classes.parameters | {"switches": {"macro_f1": "argmax"}})
    assert tables.shown_metrics(argmax, "two")["macro_f1_argmax"] == "F1 (argmax)"


def test_scores_by_person_have_a_column_where_records_have_them(two_classes, real):
    table = tables.scores(two_classes, "two")
    (gyro,) = table.printed.index[(table.printed["Data"] == "Gyroscope") & (table.printed["Method"] == "RDPD")]
    assert table.printed["ROC-AUC by person"][gyro] == "**0.910 ± 0.000**"
    assert {"person_roc_auc", "person_pr_auc", "person_macro_f1"} < set(table.numbers["metric"])
    assert "ROC-AUC by person" not in tables.scores(real, "pamap2").printed


# ------------------------------------------------------------------------------------------------- which data


def test_a_caption_of_two_sources_says_which_data_sets_are_of_which(run):
    both = with_dataset(run, "hapt", "real")
    counted = {"subjects": 9, "classes": 12, "attributes": 52, "total_length": 1000}
    write(both, "preprocessing", "all", statistics=counted, windows=7)
    write(both, "preprocessing", "all", "hapt", statistics=counted, windows=7)
    caption = tables.table1(both, both.datasets).caption
    assert "simulated data: PAMAP2; real data: HAPT." in caption and "Numbers from simulated data" in caption


def test_embedded_data_are_real_data_and_have_verdicts_of_none(two_classes):
    for made in (tables.scores(two_classes, "two"), tables.paired(two_classes, "two")):
        assert "real data, embedded in the repository" in made.caption and "simulated" not in made.caption
    assert "embedded in the repository" in figures.scores(two_classes, "two").figure.get_suptitle()
    assert tables.source_note("real") == "real data" and tables.source_note("simulated") == "simulated data"


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
    assert printed.loc[0, "ROC-AUC, Holm p"] == "**0.004**" and "ROC-AUC, p" not in printed, "one p is printed"
    assert printed.loc[2, "ROC-AUC, difference"] == "–" and len(printed) == 12
    assert "real data" in table.caption
    assert "2 comparisons of 10 seeds the smallest possible one is 0.0039" in table.caption
    assert table.records == [f"pamap2/wrist/{m}" for m in ("direct", "kd", "rdpd")]


def test_the_paired_table_of_nothing_is_dashes(tmp_path):
    table = tables.paired(make_run(tmp_path), "pamap2")
    assert set(table.printed["ROC-AUC, difference"]) == {"–"} and "nothing run" in table.caption


# ------------------------------------------------------------------------------------- for a method's notebook


def test_a_methods_notebook_compares_it_with_the_methods_before_it(run):
    table = tables.compare(of_wrist(run, "04_knowledge_distillation"), "kd")
    assert list(table.printed["Method"]) == ["Teacher", "Direct", "Distill"]
    assert table.printed["ROC-AUC"][1] == "0.820 ± 0.028" and table.printed["ROC-AUC, paper"][1] == "0.800 ± 0.032"
    assert table.caption == "PAMAP2, Wrist, simulated data: mean ± standard deviation over seeds."
    assert not [c for c in table.printed if c.startswith("95 %") or "verdict" in c]
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


def test_a_spread_of_splits_drawn_by_seed_is_corrected():
    differences = [0.01, 0.02, 0.04, 0.0, 0.03, 0.02]
    ours, other = [0.8 + d for d in differences], [0.8] * 6
    low, high = corrected_interval(differences, 0.25)
    assert sentences.spread(ours, other, 0.25) == f"95 % interval {low:+.3f} to {high:+.3f}"
    low, high = interval(differences)
    assert sentences.spread(ours, other) == f"95 % interval {low:+.3f} to {high:+.3f}"
    assert sentences.spread(ours[:2], other[:2]) == "by seed from +0.010 to +0.020"


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
    assert said == [
        "PAMAP2, ROC-AUC: RDPD is above Direct in 1 of 1 view (+0.010); over seeds p < 0.05 after Holm's correction "
        "in 1 (higher).",
        "PAMAP2, ROC-AUC: RDPD is above Distill in 0 of 1 view (-0.090); over seeds p < 0.05 after Holm's correction "
        "in 1 (lower).",
    ]
    assert sentences.pairs(make_run(real.results_root.parent / "none", dataset="ptbdb"), "ptbdb") == []


def test_with_two_seeds_nothing_is_tested(run):
    assert sentences.pairs(run, "pamap2")[0].endswith("(+0.040); 2 seeds, too few for a test.")


def test_sentences_of_a_sweep_say_where_each_method_begins_and_ends(run):
    write_noise_sweep(run, "wrist", ABOVE)
    assert sentences.sweep_changes(run, "figure3", "pamap2", "wrist") == [
        "Direct: ROC-AUC 0.850 at amplitude 0, 0.700 at 1 (-0.150, by seed from -0.150 to -0.150).",
        "RDPD: ROC-AUC 0.900 at amplitude 0, 0.800 at 1 (-0.100, by seed from -0.100 to -0.100).",
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
    fitted = [Fitted(None, None, epoch, "validation ROC-AUC", 5, history) for epoch in epochs]
    assert sentences.trained(fitted) == said
    by_loss = [Fitted(None, None, 2, "validation loss", 5, {**history, "validation_roc_auc": [np.nan] * 5})]
    assert sentences.trained(by_loss) == "Kept: epoch 2 of 5, by the validation loss."


# -------------------------------------------------------------------------------------------------------- others


@pytest.mark.parametrize(("name", "value"), [("source", "real"), ("seeds", [0]), ("epochs", 9)])
def test_records_of_another_source_or_of_other_seeds_are_not_mixed_in(run, name, value):
    assert records.datasets_run(run) == ["pamap2"]
    own = run.parameters["datasets"]["pamap2"] | {name: value}
    assert not records.datasets_run(params.Run(run.notebook, {**run.parameters, "datasets": {"pamap2": own}}))


def test_data_sets_not_run_are_dashes_in_table_1(run):
    both = with_dataset(run, "mimic3", "simulated")
    table = tables.table1(both, both.datasets)
    assert set(table.printed["Ours"]) == {"–"} and set(table.numbers["source"]) == {"not run"}
    assert table.records == [] and table.rows[0] == "pamap2/all/preprocessing"


def test_table_1_has_published_numbers_only_where_there_are_some(tmp_path):
    run = make_run(tmp_path, "real", dataset="hapt")
    assert list(tables.table1(run, ["hapt"]).printed) == ["Data set", "Statistic", "Ours"]
    table = tables.table1(with_dataset(run, "pamap2", "real"), ["hapt", "pamap2"])
    assert list(table.printed["Published"][:4]) == ["–"] * 4 and table.printed["Published"][5] == "12"


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


def ten(folder) -> params.Run:
    """A run of ten seeds: on the wrist RDPD is above Direct at both levels, on the chest not at the second."""
    run = make_run(folder, seeds=10)
    write_noise_sweep(run, "wrist", of_seeds(ABOVE, 5))
    write_noise_sweep(run, "chest", of_seeds(CROSSED, 5))
    return run


def test_claims_hold_where_the_paired_interval_lies_above_0_at_every_level(tmp_path):
    claims = claims_of(ten(tmp_path))
    assert list(claims.columns[:4]) == ["view", "metric", "against", "holds"] and set(claims["against"]) == {"direct"}
    by_view = claims.set_index(["view", "metric"])
    columns = ["holds", "levels_above", "levels_clear", "levels", "at"]
    assert by_view.loc[("wrist", "roc_auc"), columns].tolist() == [True, 2, 2, 2, 0.0]
    assert by_view.loc[("wrist", "pr_auc"), "smallest_difference"] == pytest.approx(0.025)
    assert by_view.loc[("chest", "roc_auc"), columns].tolist() == [False, 1, 1, 2, 1.0]


def test_a_mean_that_is_above_by_chance_is_no_claim_that_holds(tmp_path):
    run, rng = make_run(tmp_path, seeds=10), np.random.default_rng(0)
    own = rng.normal(0, 0.03, 10)
    entries = [e | {"roc_auc": e["roc_auc"] + (own[e["seed"]] - own.mean()) * (e["method"] == "rdpd")}
               for e in of_seeds(ABOVE, 5)]  # fmt: skip
    entries = [e | ({"roc_auc": e["roc_auc"] - 0.045} if e["method"] == "rdpd" and not e["amplitude"] else {})
               for e in entries]  # fmt: skip
    write_noise_sweep(run, "wrist", entries)
    claim = claims_of(run).set_index("metric").loc["roc_auc"]
    assert (claim["levels_above"], claim["levels_clear"], claim["holds"]) == (2, 1, False)
    frame = records.read_sweep(run, "figure3", "pamap2").query("metric == 'roc_auc' and level == 0")
    by_seed = frame.pivot(index="seed", columns="method", values="score")
    expected = interval((by_seed["rdpd"] - by_seed["direct"]).tolist())
    assert (claim["low"], claim["high"]) == pytest.approx(expected) and claim["low"] < 0 < claim["smallest_difference"]


def test_the_band_of_a_sweep_stays_between_0_and_1(tmp_path):
    run = make_run(tmp_path, seeds=10)
    near_1 = [e | {"roc_auc": 1.0 - 0.09 * (e["seed"] == 0)} for e in of_seeds(ABOVE, 5)]
    write_noise_sweep(run, "wrist", near_1)
    points = tables.sweep_summary(records.read_sweep(run, "figure3", "pamap2")).query("metric == 'roc_auc'")
    assert interval([0.91] + [1.0] * 9)[1] > 1 and set(points["high"]) == {1.0}


def test_few_seeds_prove_no_claim(run):
    write_noise_sweep(run, "wrist", ABOVE)
    claims = claims_of(run)
    assert set(claims["levels_above"]) == {2} and set(claims["levels_clear"]) == {0} and not claims["holds"].any()


def test_sweeps_of_splits_drawn_by_seed_are_corrected(tmp_path):
    run = make_run(tmp_path, seeds=10, dataset="ptbdb")
    write_noise_sweep(run, "lead_i", of_seeds(ABOVE, 5))
    found = records.sweep_records(run, "figure3", "ptbdb")
    ratio = tables.sweep_ratio("ptbdb", found)
    assert ratio == pytest.approx(40 / 90) and tables.sweep_ratio("pamap2", found) is None
    frame = records.read_sweep(run, "figure3", "ptbdb")
    points = tables.sweep_summary(frame, ratio).set_index(["method", "level", "metric"])
    scores = frame.query("method == 'rdpd' and level == 0 and metric == 'roc_auc'")["score"]
    assert tuple(points.loc[("rdpd", 0.0, "roc_auc"), ["low", "high"]]) == pytest.approx(
        corrected_interval(scores, ratio)
    )
    drawn = figures.sweep(run, "figure3", "ptbdb").numbers.set_index(["method", "amplitude", "metric"])
    assert drawn.loc[("rdpd", 0.0, "roc_auc"), "low"] == points.loc[("rdpd", 0.0, "roc_auc"), "low"]


def test_a_claim_with_a_missing_level_does_not_hold(tmp_path):
    run = ten(tmp_path)
    lacking = [e for e in of_seeds(ABOVE, 5) if (e["method"], e["amplitude"]) != ("rdpd", 1.0)]
    write_noise_sweep(run, "wrist", lacking)
    claims = claims_of(run).query("view == 'wrist'")
    assert not claims["holds"].any() and set(claims["levels_above"]) == {1}
    unscored = [e | ({"roc_auc": None} if e["amplitude"] else {}) for e in of_seeds(ABOVE, 5)]
    write_noise_sweep(run, "wrist", unscored)
    claims = claims_of(run).query("view == 'wrist'")
    assert dict(zip(claims["metric"], claims["holds"], strict=True)) == {"roc_auc": False, "pr_auc": True}


def test_falls_are_tested_seed_by_seed(tmp_path):
    run = ten(tmp_path)
    rising = [
        e | {"roc_auc": e["roc_auc"] - 0.3 + (0.3 if e["seed"] < 8 else -0.2) * e["amplitude"]}
        for e in of_seeds(ABOVE, 5)
    ]
    write_noise_sweep(run, "ankle", rising)
    falls = tables.sweep_falls(records.read_sweep(run, "figure3", "pamap2")).set_index(["view", "metric", "method"])
    row = falls.loc[("wrist", "roc_auc", "direct")]
    assert row["difference"] == pytest.approx(-0.15) and row["falls"] and (row["first"], row["last"]) == (0.0, 1.0)
    row, changes = falls.loc[("ankle", "roc_auc", "direct")], [0.15] * 8 + [-0.35] * 2
    assert row["difference"] == pytest.approx(np.mean(changes)) and not row["falls"]
    assert (row["low"], row["high"]) == pytest.approx(interval(changes))
    few = make_run(tmp_path / "few")
    write_noise_sweep(few, "wrist", ABOVE)
    assert not tables.sweep_falls(records.read_sweep(few, "figure3", "pamap2"))["falls"].any(), "of two seeds none can"


def test_sentences_of_a_sweep_say_the_papers_words_and_what_came_out(run, tmp_path):
    assert sentences.sweep(run, "figure3", "pamap2") == []
    write_noise_sweep(run, "wrist", ABOVE)
    write_noise_sweep(run, "chest", CROSSED)
    said = sentences.sweep(run, "figure3", "pamap2")
    assert said[0] == "The paper: both fall with the amplitude, and RDPD stays above Direct."
    wrist = (
        "Wrist, ROC-AUC: RDPD is above Direct at all 2 amplitudes (least at 0: +0.050, by seed from +0.050 to +0.050)."
    )
    assert wrist in said
    assert any(
        line.startswith("Chest, ROC-AUC: RDPD is above Direct at 1 of 2 amplitudes (least at 1: +0.000")
        for line in said
    )
    assert said[2].startswith("Wrist, ROC-AUC, from amplitude 0 to 1: Direct changes by -0.150, by seed from -0.150")
    assert len(said) == 9 and len(sentences.sweep(of_wrist(run, "07_rdpd"), "figure3", "pamap2", "wrist")) == 5
    write_size_sweep(run)
    said = sentences.sweep(run, "figure2", "pamap2")
    assert (
        "above Direct at 0 of 2 fractions (least at 0.5: +0.000, by seed from +0.000 to +0.000), above Distill"
        in said[1]
    )
    many = sentences.sweep(ten(tmp_path / "ten"), "figure3", "pamap2")
    assert "Direct at all 2 amplitudes, clearly at all (least at 0: +0.050, 95 % interval +0.050 to +0.050)." in many[1]
    assert "Direct changes by -0.150, 95 % interval -0.150 to -0.150; RDPD changes by" in many[2]
    assert any("Direct at 1 of 2 amplitudes, clearly at 1 (least at 1: +0.000, 95 %" in line for line in many)


def test_a_sentence_counts_where_the_claim_of_a_sweep_holds(run, tmp_path):
    assert "no record" in sentences.sweep_held(run, "figure3", "pamap2")
    write_noise_sweep(run, "wrist", ABOVE)
    assert sentences.sweep_held(run, "figure3", "pamap2", "wrist") == (
        "RDPD's mean is above at every amplitude in 2 of 2 comparisons; 2 seeds, too few for an interval."
    )
    assert sentences.sweep_held(ten(tmp_path / "ten"), "figure3", "pamap2") == (
        "RDPD's mean is above at every amplitude in 2 of 4 comparisons, and the paired 95 % interval over 10 seeds "
        "lies above 0 at every one in 2."
    )


def test_direct_of_figure_2_is_the_same_at_every_fraction(run):
    write_size_sweep(run)
    frame = records.read_sweep(run, "figure2", "pamap2")
    direct = frame[(frame["method"] == "direct") & (frame["metric"] == "roc_auc")]
    assert direct["level"].tolist() == [0.5, 1.0, 0.5, 1.0]
    points = tables.sweep_summary(frame).query("method == 'direct'")
    assert (points["rdpd_less"] == 0).all() and points["rdpd_less_low"].isna().all(), "paired at each of them"
    claims = claims_of(run, "figure2")
    assert set(claims["against"]) == {"direct", "kd"} and not claims["holds"].any(), "equal is not above"


def test_sweeps_of_other_settings_are_not_mixed_in(run):
    assert records.read_sweep(run, "figure3", "pamap2").empty
    write_noise_sweep(run, "wrist", epochs=3)  # a sweep may be shorter than the tables
    write_noise_sweep(run, "chest", epochs=2)  # but not another view's
    write_noise_sweep(run, "ankle", epochs=3, source="real")
    assert set(records.read_sweep(run, "figure3", "pamap2")["view"]) == {"wrist"}
    write_noise_sweep(run, "wrist", epochs=9)
    write_noise_sweep(run, "chest", epochs=3, seeds=[0])  # nor fewer seeds
    write_noise_sweep(run, "ankle", epochs=3, seeds=[0, 7])  # but not seeds that the tables lack
    assert set(records.read_sweep(run, "figure3", "pamap2")["view"]) == {"chest"}
    write_noise_sweep(run, "chest", epochs=3, source="real")
    assert records.read_sweep(run, "figure3", "pamap2").empty


def test_a_record_that_is_no_sweep_is_one_sentence(run):
    write(run, "noise_robustness", "wrist")
    with pytest.raises(UserError, match="not a record of a sweep"):
        records.read_sweep(run, "figure3", "pamap2")


# --------------------------------------------------------------------------------------------- what nothing checked


def test_a_p_below_half_of_the_last_digit_is_printed_as_less():
    assert [tables._p(p) for p in (np.nan, 0.0004, 0.0006, 0.0123)] == ["–", "<0.001", "0.001", "0.012"]


def test_in_what_a_sweep_had_less_than_the_tables(run):
    of_tables = run.of("pamap2")
    has = of_tables | {"epochs": 3, "updates": [1, 2000], "seeds": [0]}
    said = tables.sweep_shorter(run, "pamap2", {"parameters": has})
    assert said == "at most 3 epochs, at most 2,000 updates, 1 of 2 seeds"
    assert tables.sweep_shorter(run, "pamap2", {"parameters": of_tables}) == ""


def test_a_claim_names_its_least_difference_though_another_level_has_none(tmp_path):
    run = ten(tmp_path)
    write_noise_sweep(run, "wrist", [e for e in of_seeds(ABOVE, 5) if (e["method"], e["amplitude"]) != ("rdpd", 1.0)])
    claims = claims_of(run).query("view == 'wrist' and metric == 'roc_auc'")
    assert claims["smallest_difference"].tolist() == pytest.approx([0.05]) and claims["at"].tolist() == [0.0]


def test_tables_are_called_what_their_files_are(run, tmp_path):
    assert (tables.table5().name, tables.switches().name) == ("table5", "switches")
    assert tables.from_frame(pd.DataFrame({"n": [1]}), "Of Two Words").name == "of-two-words"
    assert "Parameters, published" in tables.table5().printed
    compared = tables.compare(of_wrist(run, "04_knowledge_distillation"), "kd")
    assert compared.name == "compare" and compared.keys == 1
    assert set(tables.paired(run, "pamap2").numbers["method"]) == {"rdpd"}
    more = with_dataset(run, "uci_har", "simulated")
    own = SPECS["uci_har"].table_file
    published = ["table1", "table2", "table2_paired", "table5"]
    assert [table.name for table in tables.all_of(more)] == [*published, own, f"{own}_paired"]


def test_times_of_a_window_are_written_with_four_digits_and_only_beside_a_record(run, tmp_path, monkeypatch):
    monkeypatch.setattr(tables.cost, "latency_ms", lambda model, shape: 1.23456)
    tables.latency(run)
    with open(run.results_root / "table5_latency.csv") as file:
        assert set(pd.read_csv(file)["latency_ms"]) == {1.2346}
    nothing = make_run(tmp_path / "nothing")
    tables.latency(nothing)
    assert not (nothing.results_root / "table5_latency.csv").exists()
