"""Figures: the numbers they plot, the words on them, and how large their text is where it is read."""

import re
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from made_up import make_knowledge, make_windows
from made_up_records import (
    ABOVE,
    CROSSED,
    make_run,
    of_seeds,
    of_wrist,
    real_run,
    simulated_run,
    two_class_run,
    with_dataset,
    write_anchor,
    write_noise_sweep,
    write_scores,
    write_size_sweep,
)
from matplotlib.text import Text

from rdpd_nb import figures, params
from rdpd_nb.data import SPECS
from rdpd_nb.errors import UserError
from rdpd_nb.paper import ANCHOR, METHODS

INTERNAL = re.compile(r"\b(roc_auc|pr_auc|macro_f1|kd|rdpd_r1|rdpd_r2|batch_order|lead_i|\w+_\w+)\b")


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        figures.set_style()
        yield
    plt.close("all")


@pytest.fixture
def run(tmp_path) -> params.Run:
    return simulated_run(tmp_path)


def fitted(seeds: int, epochs: int = 12, method: str = "kd") -> list:
    """As much of fitted members as their curves take; one stopped early."""
    rng = np.random.default_rng(0)
    made = []
    for seed in range(seeds):
        length = epochs - (seed == 1) * 4
        history = {"train_loss": rng.random(length).tolist(), "validation_roc_auc": rng.random(length).tolist()}
        made.append(SimpleNamespace(member=SimpleNamespace(method=method, seed=seed), history=history, best_epoch=3))
    return made


def presets(seeds: int) -> plt.Figure:
    frame = pd.DataFrame(
        {"group": group, "method": method, "roc_auc": 0.7 + 0.01 * seed}
        for group in figures.PROTOCOLS.values()
        for method in ("direct", "kd", "rdpd")
        for seed in range(seeds)
    )
    figure, axes = plt.subplots(1, 2, figsize=(figures.WIDTH, 6), sharey=True)
    for axis in axes:
        figures.dots(axis, frame, list(figures.PROTOCOLS.values()))
    figures.method_legend(figure, ["direct", "kd", "rdpd"])
    return figure


def test_a_deviation_goes_no_further_than_a_score_can():
    assert figures._within_1(0.05, 0.2) == [[0.05], [0.2]]
    assert figures._within_1(0.9, 0.2)[0] == [0.2] and np.isclose(figures._within_1(0.9, 0.2)[1], 0.1).all()


def heatmap() -> plt.Figure:
    figure, axis = plt.subplots(figsize=(7.5, 5.5))
    values = pd.DataFrame(np.eye(3), ["one", "two", "three"], ["one", "two", "three"])
    figures.heatmap(axis, values, values.astype(int), "share of the true class")
    axis.set(xlabel="predicted class", ylabel="true class")
    return figure


def of_knowledge(folder) -> dict[str, figures.Drawn]:
    """What the notebooks of the methods draw, of made-up attention and soft labels."""
    run, windows = of_wrist(simulated_run(folder)), make_windows("pamap2", 60)
    teacher, student = torch.rand(2, 30, 4).softmax(-1)
    looks = {"before training": student.log(), "after training": teacher.log()}
    return {
        "soft labels": figures.soft_labels(run, windows, make_knowledge(windows, np.arange(40))),
        "attention": figures.attention(run, "rdpd_r2", teacher, looks),
        "combined loss": figures.combined_loss(run),
    }


def every_kind(folder) -> dict[str, plt.Figure]:
    """One figure of each kind, few seeds and many, one view and all."""
    made = {"curves of two": figures.curves(fitted(2), "a title"), "curves of ten": figures.curves(fitted(10), "t")}
    made |= {"presets of two": presets(2), "presets of ten": presets(10), "heat map": heatmap()}
    made |= {kind: drawn.figure for kind, drawn in of_knowledge(folder / "knowledge").items()}
    for words, run in (("simulated", simulated_run(folder / "simulated")), ("real", real_run(folder / "real"))):
        for view in ("wrist", "chest", "ankle"):
            write_noise_sweep(run, view, ABOVE)
            write_size_sweep(run, view)
        for view in ("", "wrist"):
            made[f"scores {words} {view}"] = figures.scores(run, "pamap2", view).figure
            for figure in ("figure2", "figure3"):
                made[f"{figure} {words} {view}"] = figures.sweep(run, figure, "pamap2", view).figure
    return made


def words_of(figure: plt.Figure) -> list[str]:
    figure.canvas.draw()
    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]


def test_text_is_8_points_at_the_least_where_it_is_shown_and_has_no_internal_name(tmp_path):
    for kind, figure in every_kind(tmp_path).items():
        assert figures.shown_points(figure) >= 8, kind
        assert not [text for text in words_of(figure) if INTERNAL.search(text)], kind
        labelled = [a.get_xlabel() for a in figure.axes if a.get_subplotspec() and a.get_subplotspec().is_last_row()]
        assert any(labelled), f"{kind}: an axis says what it is"


def test_the_measure_of_text_counts_the_width_it_is_shown_at():
    figure, axis = plt.subplots(figsize=(18.75, 3))
    axis.set_title("wide")
    assert figures.shown_points(figure) == pytest.approx(4.5), "twice as wide as a page, so half of 9 points"
    axis.set_xlabel("small", fontsize=5)
    assert figures.shown_points(figure) == pytest.approx(2.5)


def check_texts(kind: str, figure: plt.Figure) -> None:
    """No text lies on another, or goes beyond the figure."""
    figure.canvas.draw()
    boxes = [(t.get_text(), t.get_window_extent()) for t in figure.findobj(Text) if t.get_text().strip()]
    boxes = [(text, box) for text, box in boxes if box.width and box.height]
    ticks = {t for axis in figure.axes for t in (*axis.get_xticklabels(), *axis.get_yticklabels())}
    inside = {t.get_text() for t in ticks}  # of a shared axis, hidden ones keep a place
    large = [(text, box) for text, box in boxes if text not in inside]
    for i, (text, box) in enumerate(large):
        for other, its in large[i + 1 :]:
            assert not box.overlaps(its), f"{kind}: '{text}' on '{other}'"
        assert box.x0 >= -1 and box.x1 <= figure.bbox.width + 1, f"{kind}: '{text}' is cut"


def test_no_text_lies_on_another_or_is_cut(tmp_path):
    for kind, figure in every_kind(tmp_path).items():
        check_texts(kind, figure)


def test_one_colour_and_one_marker_a_method():
    for looks in (figures.COLOURS, figures.MARKERS):
        assert list(looks) == [*METHODS, ANCHOR.name] and len(set(looks.values())) == len(looks)


# ---------------------------------------------------------------------------------------------------- knowledge


def test_soft_labels_are_the_knowledges_with_the_true_class_named(tmp_path):
    windows = make_windows("pamap2", 60)
    knowledge = make_knowledge(windows, np.arange(40))
    numbers = of_knowledge(tmp_path)["soft labels"].numbers.set_index("class")
    assert 1 <= numbers.shape[1] <= 3 and list(numbers.index) == list(windows.spec.classes)
    for title, labels in numbers.items():
        (first, *_) = np.flatnonzero([windows.spec.classes[c] == title[7:] for c in windows.label[knowledge.window]])
        np.testing.assert_array_equal(labels, knowledge.soft_labels[first])


def test_attention_that_is_the_teachers_lies_on_the_diagonal_and_loses_nothing(tmp_path):
    drawn = of_knowledge(tmp_path)["attention"]
    np.testing.assert_allclose(drawn.numbers["after training"], drawn.numbers["teacher"], rtol=1e-5)
    assert drawn.figure.axes[1].get_title() == "after training: mean $L_{att}$ = 0.000 nats"
    assert drawn.records == ["pamap2/all/teacher", "pamap2/wrist/rdpd_r2"]


def test_the_combined_loss_stays_above_its_floor_and_the_hard_one_does_not(tmp_path):
    drawn = of_knowledge(tmp_path)["combined loss"]
    assert drawn.numbers["combined"].min() == pytest.approx(1.62, abs=0.05) and drawn.numbers["hard"].min() < 1e-6
    at_chance = drawn.numbers.set_index("margin").loc[0.0]
    np.testing.assert_allclose(at_chance, np.log(12), rtol=1e-5)
    assert drawn.records == [], "of the loss alone"


# ------------------------------------------------------------------------------------------------------- curves


@pytest.mark.parametrize(("seeds", "thick"), [(1, 0), (2, 1), (10, 1)])
def test_curves_are_thin_lines_a_thick_mean_and_small_marks_without_a_legend(seeds, thick):
    figure = figures.curves(fitted(seeds), "Wrist: Distill")
    loss, auc = figure.axes
    lines = loss.get_lines()
    assert len(lines) == seeds + thick and sum(line.get_linewidth() > 2 for line in lines) == thick
    marks = [line for line in auc.get_lines() if line.get_marker() == figures.MARKERS["kd"]]
    assert len(marks) == seeds and auc.get_legend() is None and not figure.legends
    assert figure.get_suptitle().startswith("Wrist: Distill\n")
    assert ("mean" in figure.get_suptitle()) == bool(thick)
    if thick:  # as far as every seed went
        (mean,) = [line for line in lines if line.get_linewidth() > 2]
        assert len(mean.get_ydata()) == 8
        expected = np.mean([f.history["train_loss"][:8] for f in fitted(seeds)], axis=0)
        np.testing.assert_allclose(mean.get_ydata(), expected)


# ------------------------------------------------------------------------------------------------------- scores


def test_the_figure_plots_the_numbers_it_saves(run):
    drawn = figures.scores(run, "pamap2")
    figures.save_figure(run, "scores", *drawn)
    saved = pd.read_csv(run.figures_folder / "scores.csv")
    ours = saved[(saved["of"] == "simulated") & (saved["method"] == "rdpd") & (saved["metric"] == "roc_auc")]
    assert ours["mean"].tolist() == [0.86]
    assert "simulated data" in drawn.figure.get_suptitle() and "simulated data" in drawn.title
    assert drawn.records == ["pamap2/all/teacher", *(f"pamap2/wrist/{m}" for m in ("direct", "kd", "rdpd"))]


def test_under_six_seeds_there_is_a_dot_a_seed_and_no_bar(run, tmp_path):
    axis = figures.scores(run, "pamap2").figure.axes[0]
    dots = [line for line in axis.get_lines() if line.get_marker() == "."]
    assert sorted(dots[-1].get_xdata()) == [0.85, 0.87] and len(dots) == 4
    many = figures.scores(real_run(tmp_path / "real"), "pamap2").figure
    assert not [line for line in many.axes[0].get_lines() if line.get_marker() == "."]
    assert "standard deviation over 10 seeds" in many.get_suptitle()
    one = make_run(tmp_path / "one", seeds=1)
    write_scores(one, "rdpd", "wrist", (0.9,))
    assert "one seed" in figures.scores(one, "pamap2").figure.get_suptitle()


def test_no_record_at_all_is_one_sentence(run):
    with pytest.raises(UserError, match="no record of PTBDB"):
        figures.scores(with_dataset(run, "ptbdb", "simulated"), "ptbdb")


@pytest.mark.parametrize("seeds", [2, 10])
def test_dots_of_groups_have_the_methods_marker_and_an_interval_only_of_many_seeds(seeds):
    axis = presets(seeds).axes[0]
    markers = {line.get_marker() for line in axis.get_lines()}
    assert markers == {figures.MARKERS[m] for m in ("direct", "kd", "rdpd")} | {"." if seeds == 2 else "None"}


# ------------------------------------------------------------------------------------------------------- sweeps


def test_a_sweep_figure_has_a_column_of_panels_a_view_and_saves_what_it_plots(run):
    write_noise_sweep(run, "wrist")
    write_noise_sweep(run, "ankle", CROSSED)
    drawn = figures.sweep(run, "figure3", "pamap2")
    assert [axis.get_title() for axis in drawn.figure.axes] == ["Wrist", "Ankle", "", ""]
    said = drawn.figure.get_suptitle()
    assert "simulated data" in said and "dots: the 2 seeds" in said and "95 %" not in said
    assert drawn.records == ["pamap2/wrist/noise_robustness", "pamap2/ankle/noise_robustness"]
    figures.save_figure(run, "figure3_pamap2", *drawn)
    saved = pd.read_csv(run.figures_folder / "figure3_pamap2.csv")
    assert len(saved) == 2 * 2 * 2 * 2 and set(saved["source"]) == {"simulated"}
    point = saved[(saved["view"] == "wrist") & (saved["method"] == "rdpd") & (saved["metric"] == "roc_auc")].iloc[0]
    assert point[["amplitude", "mean", "seeds", "rdpd_less"]].fillna("none").tolist() == [0.0, 0.9, 2, "none"]
    direct = saved[(saved["view"] == "wrist") & (saved["method"] == "direct") & (saved["metric"] == "roc_auc")].iloc[0]
    assert direct["rdpd_less"] == 0.05 and saved[["low", "high"]].isna().all(axis=None), "two seeds have no interval"
    means = {line.get_marker(): line.get_ydata().tolist() for line in drawn.figure.axes[0].get_lines()}
    assert means[figures.MARKERS["rdpd"]] == pytest.approx([0.9, 0.8])
    assert means["."] == pytest.approx([0.89, 0.91, 0.79, 0.81])


@pytest.mark.parametrize("seeds", [4, 6])
def test_a_sweep_of_six_seeds_has_a_band(run, seeds):
    write_noise_sweep(run, "wrist", of_seeds(ABOVE, seeds // 2))
    drawn = figures.sweep(run, "figure3", "pamap2")
    said, dots = drawn.figure.get_suptitle(), [li for li in drawn.figure.axes[0].get_lines() if li.get_marker() == "."]
    assert ("95 % interval over 6 seeds" in said) == (len(drawn.figure.axes[0].collections) == 2) == (seeds == 6)
    assert ("dots: the 4 seeds" in said) == bool(dots) == (seeds == 4)


def test_a_band_is_the_interval_of_the_numbers(run):
    write_noise_sweep(run, "wrist", of_seeds(ABOVE, 5))
    drawn = figures.sweep(run, "figure3", "pamap2")
    numbers = drawn.numbers.query("metric == 'roc_auc' and method == 'direct'").sort_values("amplitude")
    band = drawn.figure.axes[0].collections[0].get_paths()[0].vertices
    assert {round(y, 6) for _, y in band} >= {round(y, 6) for y in (*numbers["low"], *numbers["high"])}


def test_figures_of_data_sets_with_one_to_four_views_and_folds(tmp_path, monkeypatch):
    """Of those that are not the paper's: what they say, and that nothing lies on anything else."""
    for dataset, seeds in (("dsads", 8), ("hapt", 3), ("ptbdb", 10)):
        run = make_run(tmp_path / dataset, "real", seeds, dataset)
        views = SPECS[dataset].poor_views
        for view in views:
            write_noise_sweep(run, view, of_seeds(ABOVE, 4))
            write_size_sweep(run, view)
            for method in ("direct", "rdpd"):
                write_scores(run, method, view, tuple(np.linspace(0.8, 0.9, seeds)))
        write_anchor(run, {view: tuple(np.linspace(0.7, 0.8, seeds)) for view in SPECS[dataset].views})
        made = {"scores": figures.scores(run, dataset)} | {
            f: figures.sweep(run, f, dataset) for f in ("figure2", "figure3")
        }
        for kind, drawn in made.items():
            assert "real data" in drawn.figure.get_suptitle()
            check_texts(f"{dataset} {kind}", drawn.figure)
        axes = made["figure3"].figure.axes
        assert len(axes) == 2 * len(views) and sum(bool(a.get_xlabel()) for a in axes) == (1 if len(views) > 2 else 2)
        word = "folds" if dataset == "dsads" else "seeds"
        assert f"95 % interval over 8 {word}" in made["figure3"].figure.get_suptitle()
        labels = [label.get_text() for label in made["scores"].figure.axes[0].get_yticklabels()]
        assert "All: Logistic regression" in labels and len(labels) == 3 * len(views) + 1
    two = figures.scores(two_class_run(tmp_path / "two", monkeypatch), "two").figure
    check_texts("two classes", two)
    assert "embedded" in two.get_suptitle()


def test_one_view_alone_has_its_metrics_side_by_side_as_notebooks_8_and_9_do(run):
    assert figures.sweep(run, "figure3", "pamap2") is None
    write_noise_sweep(run, "wrist")
    drawn = figures.sweep(run, "figure3", "pamap2", "wrist")
    assert [axis.get_ylabel() for axis in drawn.figure.axes] == ["ROC-AUC", "PR-AUC"]
    assert "Wrist" in drawn.figure.get_suptitle()
    write_noise_sweep(run, "wrist", [e for e in ABOVE if e["seed"] == 0])
    one = figures.sweep(run, "figure3", "pamap2", "wrist").figure
    assert one.get_suptitle().endswith("one seed")


def test_a_sweep_that_is_less_than_the_tables_says_so(tmp_path):
    run = make_run(tmp_path, seeds=10)
    write_noise_sweep(run, "wrist", of_seeds(ABOVE, 3))
    assert "tables" not in figures.sweep(run, "figure3", "pamap2").figure.get_suptitle()
    write_noise_sweep(run, "wrist", of_seeds(ABOVE, 3), epochs=3, seeds=list(range(6)))
    drawn = figures.sweep(run, "figure3", "pamap2")
    for said in (drawn.figure.get_suptitle(), drawn.title):
        assert said.endswith("; less than in the tables: at most 3 epochs, 6 of 10 seeds")
    check_texts("less", drawn.figure)


def test_figure_2_names_the_fraction(run):
    write_size_sweep(run)
    drawn = figures.sweep(run, "figure2", "pamap2")
    assert drawn.figure.axes[0].get_xlabel() == "fraction of the rich training windows"
    assert "fraction" in drawn.numbers and "level" not in drawn.numbers
    write_size_sweep(run, fraction_of="both")
    label = figures.sweep(run, "figure2", "pamap2").figure.axes[0].get_xlabel()
    assert label == "fraction of the rich and poor training windows"
