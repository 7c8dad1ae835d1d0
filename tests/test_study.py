"""`fit_students`: a problem with a known answer, the pipeline's numbers, and every wrong input in one sentence."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rdpd_nb import data, training
from rdpd_nb.data.pairs import pair, sizes
from rdpd_nb.data.spec import Size
from rdpd_nb.errors import UserError
from rdpd_nb.evaluation import scores
from rdpd_nb.knowledge import extract_knowledge
from rdpd_nb.statistics import FEW_SEEDS, paired
from rdpd_nb.student import load_student
from rdpd_nb.study import Study, fit_students

pytestmark = pytest.mark.usefixtures("one_thread")

N, LENGTH, RATE = 60, 32, 16
QUIET = {"progress": lambda line: None, "device": "cpu"}
HOW = {"classes": ["calm", "fast"], "rate": RATE, "segment": 8}
SHORT = {**HOW, **QUIET, "seeds": [0], "epochs": 1, "methods": ["direct", "rdpd"]}


def made(n: int = N, seed: int = 0) -> dict:
    """Windows of two people each: the first rich channel tells the classes, the second and the poor one a little."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) // 2 % 2
    x = rng.normal(size=(n, LENGTH, 3))
    x[:, :, 0] += 2 * y[:, None]
    x[:, :, 2] += 0.3 * y[:, None]
    return {"x_rich": x[:, :, :2], "x_poor": x[:, :, 2:], "y": y, "subject": np.arange(n) // 2}


# ------------------------------------------------------------------------------------------------- known answers


@pytest.fixture(scope="module")
def study() -> Study:
    torch.set_num_threads(1)
    given = {"methods": ["direct", "kd", "rdpd", "hard+attention"], "seeds": range(2), "epochs": 15, "patience": 0}
    return fit_students(**made(240), **HOW, **QUIET, **given, updates=[])


def test_the_rich_channels_tell_the_classes_and_the_poor_ones_a_little(study):
    mean = study.scores()["mean"].unstack("metric")["roc_auc"]
    assert list(mean.index.unique()) and mean["Teacher"] > 0.95 and mean["Logistic regression, rich"] > 0.95
    for method in ("Direct", "Distill", "RDPD", "hard+attention", "Logistic regression"):
        assert 0.6 < mean[method] < 0.95, method


def test_scores_are_those_of_the_stored_probabilities(study):
    for method in ("teacher", "rdpd"):
        by_hand = [
            scores(p, study.poor.label[part.test])["roc_auc"]
            for p, part in zip(study.probability(method), study.splits.values(), strict=True)
        ]
        title = {"teacher": "Teacher", "rdpd": "RDPD"}[method]
        row = study.scores().loc[title, "roc_auc"]
        assert row["mean"] == pytest.approx(np.mean(by_hand)) and row["sd"] == pytest.approx(np.std(by_hand, ddof=1))
        assert row["seeds"] == 2 and np.isnan(row["low"])  # no interval over two seeds
        assert row["people_low"] <= row["mean"] <= row["people_high"]


def test_paired_is_what_statistics_says_of_the_same_seeds(study):
    found = study.paired("rdpd", "direct")
    ours, other = ([entry["roc_auc"] for entry in study.entries[method]] for method in ("rdpd", "direct"))
    ratio = len(study.splits[0].test) / len(study.splits[0].train)
    expected = paired(ours, other, ratio, (study.people["rdpd"]["roc_auc"], study.people["direct"]["roc_auc"]))
    assert found["difference"] == expected["difference"] == pytest.approx(np.mean(np.subtract(ours, other)))
    assert (found["people_low"], found["people_high"]) == (expected["people_low"], expected["people_high"])
    assert found["p"] is None or np.isnan(found["p"])


def test_nobody_is_in_two_parts_and_every_part_has_every_class(study):
    for part in study.splits.values():
        who = [set(study.poor.subject[getattr(part, name)]) for name in ("train", "validation", "test")]
        assert not (who[0] & who[1] or who[0] & who[2] or who[1] & who[2])
        assert all(set(study.poor.label[getattr(part, name)]) == {0, 1} for name in ("train", "validation", "test"))


def test_a_picture_of_the_scores_has_every_method_and_metric(study):
    figure = study.plot()
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["Logistic regression, rich", "Logistic regression", "Teacher", "Direct", "Distill", "RDPD",
                      "hard+attention"]  # fmt: skip
    assert [axis.get_xlabel() for axis in figure.axes] == ["test ROC-AUC", "test PR-AUC", "test F1"]


def test_the_student_of_the_best_seed_comes_back_from_its_folder_with_the_studys_probabilities(study, tmp_path):
    best = max(study.fitted["rdpd"], key=lambda f: max(f.history["validation_roc_auc"])).member.seed
    assert study.best_seed("rdpd") == best
    study.save(tmp_path / "student", "rdpd")
    student = load_student(tmp_path / "student")
    assert student.about["seed"] == best
    stored = study.probability("rdpd")[list(study.splits).index(best)]
    test = study.splits[best].test
    np.testing.assert_allclose(student.outputs(study.poor[test])[0], stored, atol=1e-6)
    one = student.predict(study.poor[test[:1]][0], rate=RATE)
    np.testing.assert_allclose(one.probability[0], stored[0], atol=1e-6)
    said = student.about["scores"]["roc_auc"]
    assert said["score"] == scores(stored, study.poor.label[test])["roc_auc"]


def test_a_named_seed_and_unknown_ones(study, tmp_path):
    assert study.student("direct", seed=1).about["seed"] == 1
    for given, words in [
        ({"method": "direct", "seed": 7}, "no seed 7; seeds are 0, 1"),
        ({"method": "rdpd_r1"}, "no method 'rdpd_r1'; it has teacher, direct, kd, rdpd, hard+attention"),
    ]:
        with pytest.raises(UserError, match=re.escape(words)):
            study.student(**given)
    with pytest.raises(UserError, match="no metric 'auc'"):
        study.paired("rdpd", "direct", "auc")


def test_six_seeds_have_an_interval_over_seeds():
    study = fit_students(**made(), **{**SHORT, "methods": ["direct"], "seeds": range(FEW_SEEDS)})
    assert study.scores()[["low", "high"]].notna().all(axis=None)


def test_a_killed_study_goes_on_from_its_checkpoints(tmp_path):
    said = []
    given = {**SHORT, "checkpoints": tmp_path, "progress": said.append}
    first, again = (fit_students(**made(), **given) for _ in range(2))
    assert sum("taken over" in line for line in said) == 2  # teachers and students
    for a, b in zip(first.probability("rdpd"), again.probability("rdpd"), strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------------------------- the pipeline's numbers


def test_the_same_recordings_give_the_numbers_of_the_notebooks():
    """Brugada, two epochs: as notebooks 2 and 7 train, and by fit_students from the bare recordings."""
    windows, seeds = data.load("brugada", "all", "embedded", progress=lambda line: None), [0, 3]
    splits = {seed: data.split(windows, seed) for seed in seeds}
    how = {"epochs": 2, "device": "cpu", "progress": lambda line: None}
    teachers = training.fit(training.make_members(windows, splits, "teacher"), windows, **how)
    taught = dict(zip(seeds, extract_knowledge(teachers, windows, "cpu"), strict=True))
    poor = windows.select("lead_i")
    fitted = training.fit(training.make_members(poor, splits, "rdpd", taught), poor, **how)
    expected = training.predict(fitted, poor, [part.test for part in splits.values()], "cpu")

    recordings = [windows.series[first:last] for first, last in windows.recording_rows]
    label = windows.label[[np.flatnonzero(windows.recording == r)[0] for r in range(len(recordings))]]
    study = fit_students(
        recordings, ["I"], label, windows.recording_subject, classes=windows.spec.classes, rate=100, segment=100,
        length=400, hop=200, rich_channels=windows.channels, methods=["rdpd"], seeds=seeds, epochs=2, patience=0,
        updates=[], **QUIET,
    )  # fmt: skip
    assert (study.poor.spec.kernel, study.poor.spec.stride) == (windows.spec.kernel, windows.spec.stride)
    for ours, theirs in zip(study.probability("rdpd"), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dataset", list(data.SPECS))
def test_sizes_by_rule_are_the_papers(dataset):
    spec = data.SPECS[dataset]
    by_rule = sizes(spec.segment)
    assert (by_rule["kernel"], by_rule["stride"]) == (spec.kernel, spec.stride)
    for role in ("teacher", "student"):
        own = getattr(spec, role)
        assert by_rule[role] == Size(own.filters, own.hidden)  # but for what is never used


def test_sizes_by_rule_always_fit():
    for segment in [*range(4, 40), *range(40, 700, 7), 95, 96, 287, 288]:
        x = np.random.default_rng(0).normal(size=(12, 2 * segment, 2))
        who = {"y": np.arange(12) % 2, "subject": np.arange(12), "classes": ["a", "b"], "rate": 1.5}
        rich, _ = pair(x, x[..., :1] + 1, **who, segment=segment)
        assert rich.spec.segments == 2 and rich.spec.rate == "1.5 Hz"


# ------------------------------------------------------------------------------------------------- forms of input


def test_one_window_many_ways():
    """Float64, float32, lists, whole numbers, names of classes, subjects as text: the same windows."""
    given = made(12)
    x, poor = (np.round(given[name] * 8) for name in ("x_rich", "x_poor"))
    forms = [
        {},
        {"x_rich": x.astype(np.float32), "x_poor": poor.astype(np.int16)},
        {"x_rich": list(x), "x_poor": [p.tolist() for p in poor]},
        {"x_rich": x.tolist(), "x_poor": poor[..., 0]},  # (n, l) of one channel
        {"x_rich": torch.from_numpy(x), "x_poor": torch.from_numpy(poor)},
        {"y": [["calm", "fast"][c] for c in given["y"]]},
        {"y": given["y"].astype(bool), "subject": [str(s) for s in given["subject"]]},
        {"y": pd.Series(given["y"]), "subject": given["subject"].astype(float)},
        {"x_rich": np.concatenate([x, poor], 2), "rich_channels": list("abc"), "x_poor": ["c"]},
    ]
    first = pair(**{**given, "x_rich": x, "x_poor": poor}, **HOW)
    for form in forms:
        rich, ours = pair(**{**given, "x_rich": x, "x_poor": poor, **form}, **HOW)
        np.testing.assert_array_equal(ours.series, first[1].series)
        np.testing.assert_array_equal(rich.label, first[0].label)
        np.testing.assert_array_equal(rich.subject, first[0].subject)
        assert rich.fingerprint == ours.fingerprint


def test_recordings_of_any_length_are_cut_and_those_too_short_are_counted():
    rng = np.random.default_rng(0)
    rows = [100, 64, 10, 32, 70, 33, 32]
    rich, poor = ([rng.normal(size=(n, d)) for n in rows] for d in (3, 1))
    windows, _ = pair(rich, poor, [0, 1, 0, 1, 0, 1, None], [0, 1, 2, 3, 4, 5, 5], **HOW, length=32, hop=16)
    assert np.bincount(windows.recording, minlength=7).tolist() == [5, 3, 0, 1, 3, 1, 1]
    counted = [[row.get(of) for of in ("records", "subjects", "unlabelled")] for row in windows.ledger[:2]]
    assert counted == [[7, 6, 1], [-1, None, None]]


def test_missing_values_and_missing_labels():
    given = made(12)
    given["x_rich"][0, :5, 0] = np.nan
    for missing in (None, np.nan):
        y = [missing, *given["y"][1:].tolist()]
        rich, _ = pair(**{**given, "y": y}, **HOW)
        assert rich.label.tolist() == [-1, *given["y"][1:]] and np.isnan(rich.series[:5, 0]).all()


def test_pairs_nobody_labelled_are_heard_from_the_teacher_alone():
    given = made(240)
    y = np.where(np.arange(240) // 2 % 4 == 3, np.nan, given["y"])
    study = fit_students(**{**given, "y": y}, **{**SHORT, "epochs": 2})
    part = study.splits[0]
    assert np.isnan(y[part.train]).sum() == np.isnan(y).sum()
    rdpd, direct = (study.fitted[method][0].member for method in ("rdpd", "direct"))
    assert len(rdpd.train) == len(part.train) and len(direct.train) == (~np.isnan(y[part.train])).sum()
    assert study.scores().loc[("Logistic regression", "roc_auc"), "seeds"] == 1
    fewer = fit_students(**given, **SHORT, labelled=0.25)
    assert len(fewer.fitted["direct"][0].member.train) == pytest.approx(len(fewer.splits[0].train) / 4, abs=2)


def test_folds_leave_one_person_out():
    given = made(40)
    given["subject"] = np.arange(40) % 5
    study = fit_students(**given, **{**SHORT, "seeds": range(5)}, folds=True)
    assert [set(study.poor.subject[part.test]) for part in study.splits.values()] == [{i} for i in range(5)]
    assert study.ratio is None


# ---------------------------------------------------------------------------------------------------- wrong inputs


def put(value, *where):
    def change(x):
        x = np.array(x, object if isinstance(value, str | type(None)) else float)
        x[where] = value
        return x

    return change


WRONG = [
    ("x_rich", lambda x: x[:, :, 0], "x_rich has shape (60, 32); it should be (windows, samples, channels)"),
    ("x_rich", lambda x: x[:0], "x_rich is empty; give recordings of 3 people at least"),
    ("x_rich", lambda x: x.astype(complex), "recording 0 of x_rich holds complex128 where numbers are needed"),
    ("x_rich", lambda x: x.astype(str), "recording 0 of x_rich holds <U32 where numbers are needed"),
    ("x_rich", put("high", 3, 4, 1), "recording 3 of x_rich holds object where numbers are needed"),
    ("x_rich", put(np.inf, 7, 5, 1), "recording 7 of x_rich holds inf in row 5, channel 1; write NaN for missing"),
    ("x_rich", put(1e39, 7, 5, 1), "recording 7 of x_rich holds 1e+39 in row 5, channel 1"),
    ("x_rich", put(np.nan, slice(None), slice(None), 1), "channel 1 of x_rich has no value in any recording"),
    ("x_rich", "signals.npy", "x_rich is text; give an array (windows, samples, channels)"),
    ("x_rich", pd.DataFrame({"a": [1.0]}), "x_rich is one table; give an array"),
    ("x_rich", 5, "x_rich is int; give an array"),
    ("x_rich", None, "x_rich is NoneType; give an array"),
    ("x_rich", {}, "x_rich is dict; give an array"),
    ("x_rich", lambda x: (one for one in x), "x_rich is generator; give an array"),
    ("x_rich", lambda x: torch.from_numpy(x).requires_grad_(), "x_rich cannot be read as arrays (Can't call numpy()"),
    ("x_rich", lambda x: [*x[:-1], x[-1][:, :1]], "recording 59 of x_rich has 1 channels and recording 0 has 2"),
    (
        "x_rich",
        lambda x: [*x[:-1], x[-1][:0]],
        "recording 59 of x_rich has shape (0, 2); it should be (rows, channels)",
    ),
    ("x_rich", lambda x: x[:-1], "x_rich has 59 recordings and x_poor 60; they should be pairs"),
    ("x_poor", lambda x: x[:, :16], "recording 0 has 32 rows in x_rich and 16 in x_poor"),
    ("x_poor", ["a"], "x_poor names channels; say rich_channels too"),
    ("x_poor", [], "x_poor is empty"),
    ("y", lambda y: y[:-1], "y has shape (59,); it should have one label for each of the 60 recordings"),
    ("y", lambda y: y + 1, "labels run from 1 to 2, but 2 classes are 0 to 1; subtract 1"),
    ("y", lambda y: 2 * y - 1, "labels run from -1 to 1, but 2 classes are 0 to 1; None or NaN stands for a missing"),
    ("y", lambda y: y * 0.5, "y holds 0.5; labels are whole numbers from 0 to 1"),
    ("y", lambda y: y * 0, "no recording is of class 'fast'; leave it out of classes, or add some"),
    ("y", ["calm"] * 59 + ["slow"], "y holds 'slow', which is no class; classes are calm, fast"),
    ("y", ["calm"] * 59 + [1], "y holds 'calm' where numbers from 0 or names of classes are needed"),
    ("y", [None] * 60, "y holds no label at all; a teacher needs some"),
    ("y", "calm", "y is 'calm'; it should have one label a recording"),
    ("y", lambda y: np.eye(2)[y], "y has shape (60, 2); it should have one label"),
    ("y", lambda y: np.r_[1, 1, np.zeros(58)], "class 'fast' is of 1 subject, and 3 at least are needed, one each to"),
    ("subject", lambda s: s[:5], "subject has shape (5,); it should have one subject for each of the 60 recordings"),
    ("subject", lambda s: s * 0, "labels are of 1 subject; 3 at least are needed"),
    ("subject", lambda s: s % 2, "labels are of 2 subjects; 3 at least are needed"),
    ("subject", put(None, 4), "recording 4 has no subject; without one nobody can tell who trains and who tests"),
    ("subject", put(np.nan, 4), "recording 4 has no subject"),
    ("subject", put("", 4), "recording 4 has no subject"),
    ("subject", put("Ann", 4), "subject mixes numbers and names; use one of them"),
    ("subject", lambda s: s + 0.5, "subject holds 0.5; subjects are whole numbers or names"),
    ("subject", lambda s: np.random.default_rng(0).random((60, 2)), "subject has shape (60, 2)"),
    ("classes", {"calm", "fast"}, "it should be a list of the classes' names, two at least, in order"),
    ("classes", None, "classes is None; it should be a list"),
    ("classes", ["calm", " "], "classes is ['calm', ' ']"),
    ("title", None, "title is None; it should be what the data are called"),
    ("title", "", "title is ''"),
    ("units", 5, "units is 5; it should be the unit of the poor channels"),
    ("folds", "yes", "folds is 'yes'; it should be True or False"),
    ("checkpoints", 5, "checkpoints is 5; it should be a folder"),
    ("held_out", "0.2", "held_out is '0.2'; it should be a share, a number above 0"),
    ("temperature", float("inf"), "temperature is inf"),
    ("student", (16, 32), "student is (16, 32); it should be a Size, e.g. Size((16, 32), 8)"),
    ("teacher", Size(16, 8), "it should be a Size, e.g. Size((16, 32), 8)"),
    ("rich_channels", 5, "rich_channels is 5"),
    ("rich_channels", ["a", ""], "rich_channels is ['a', '']"),
    ("seeds", [2**70], "it should be a list of different whole numbers from 0 (to 2^32)"),
    ("classes", "calm", "classes is 'calm'; it should be a list of the classes' names, two at least"),
    ("classes", ["calm"], "classes is ['calm']; it should be a list of the classes' names, two at least"),
    ("classes", ["calm", "calm"], "classes is ['calm', 'calm']"),
    ("classes", [0, 1], "classes is [0, 1]"),
    ("classes", ["calm", "fast", "faster"], "no recording is of class 'faster'"),
    ("rate", 0, "rate is 0; it should be the sampling rate in Hz, a number above 0"),
    ("rate", "16 Hz", "rate is '16 Hz'; it should be the sampling rate in Hz"),
    ("rate", float("nan"), "rate is nan"),
    ("segment", 7, "a window of 32 samples is no whole number of segments of 7; 4 or 8 would fit"),
    ("segment", 2.5, "segment is 2.5; it should be the number of samples in a segment, a whole number"),
    ("segment", 2, "a segment of 2 samples is too short: use 4 at least"),
    ("segment", True, "segment is True"),
    ("length", 64, "no recording is as long as one window (64 samples at 16 Hz); 60 recordings were read"),
    ("length", 0, "length is 0; it should be the number of samples in a window"),
    ("hop", -1, "hop is -1; it should be the number of samples from one window to the next"),
    ("temperature", 0, "temperature is 0"),
    ("held_out", 0.7, "held_out is 0.7; it is held out twice, so use a share between 0 and 0.5"),
    ("rich_channels", ["a"], "rich_channels is ['a']; it should give the 2 channels of x_rich different names"),
    ("rich_channels", "ab", "rich_channels is 'ab'"),
    ("poor_channels", ["a", "b"], "poor_channels is ['a', 'b']; it should give the 1 channels of x_poor"),
    ("methods", [], "methods is []; it should be a list"),
    ("methods", "rdpd", "methods is 'rdpd'; it should be a list"),
    ("methods", ["rpdp"], "there is no method 'rpdp'; use direct, kd, rdpd_r1, rdpd_r2, rdpd, or terms of hard, soft"),
    ("methods", ["teacher"], "there is no method 'teacher'"),
    ("methods", ["hard+hard"], "there is no method 'hard+hard'"),
    ("methods", ["rdpd", "rdpd"], "methods names one twice"),
    ("seeds", [], "seeds is []; it should be a list of different whole numbers from 0"),
    ("seeds", 3, "seeds is 3"),
    ("seeds", [0, 0], "seeds is [0, 0]"),
    ("epochs", 0, "epochs is 0; it should be a whole number from 1"),
    ("patience", -1, "patience is -1"),
    ("updates", [5], "updates is [5]; it should be [] or [least, most]"),
    ("labelled", 0, "labelled is 0"),
    ("switches", {"soft_scale": "T3"}, "switches is {'soft_scale': 'T3'}"),
    ("device", "gpu", "device is 'gpu'; it should be 'auto', 'cpu' or 'cuda'"),
    ("kernel", 5, "kernel 5 is no multiple of stride 2"),
    ("kernels", 6, "fit_students has no argument 'kernels'"),
]


@pytest.mark.parametrize(("name", "change", "words"), WRONG, ids=[words[:60] for *_, words in WRONG])
def test_a_wrong_input_is_one_sentence(name, change, words):
    given = {**made(), **SHORT}
    given[name] = change(given[name]) if callable(change) else change
    with pytest.raises(UserError) as caught:
        fit_students(**given)
    message = str(caught.value)
    assert words in message and "\n" not in message


def test_the_same_signals_under_two_subjects_are_refused():
    given = made()
    given["x_rich"][5] = given["x_rich"][20]
    with pytest.raises(UserError, match="recordings 5 and 20 hold the same signals, of subjects 2 and 10"):
        pair(**given, **HOW)
    given["subject"][20] = given["subject"][5]
    pair(**given, **HOW)  # of one person it may be


def test_rich_and_poor_in_another_order_are_found_by_a_channel_of_both():
    given = made()
    given["x_poor"] = given["x_rich"][:, :, :1]
    names = {"rich_channels": ["a", "b"], "poor_channels": ["a"]}
    pair(**given, **HOW, **names)
    given["x_poor"] = given["x_poor"][::-1]
    with pytest.raises(UserError, match="channel 'a' of recording 0 differs between x_rich and x_poor"):
        pair(**given, **HOW, **names)


def test_data_frames_give_their_names_and_should_agree_on_their_order():
    given = made(12)
    frames = [pd.DataFrame(x, columns=["a", "b"]) for x in given["x_rich"]]
    rich, poor = pair(**given | {"x_rich": frames, "x_poor": ["b"]}, **HOW)
    assert rich.channels == ("a", "b") and poor.channels == ("b",)
    frames[4] = frames[4][["b", "a"]]
    with pytest.raises(UserError, match="recording 4 of x_rich has columns b, a and recording 0 has a, b"):
        pair(**given | {"x_rich": frames}, **HOW)


def test_names_of_people_with_blanks_are_one_person_and_pandas_gaps_are_missing_labels():
    given = made(12)
    who = [f"p{s}" + " " * (i % 2) for i, s in enumerate(given["subject"])]
    y = pd.array([None, *given["y"][1:]], "Int64")
    for labels in (
        y,
        pd.Series(["fast" if c == 1 else "calm" if c == 0 else None for c in y.fillna(9)], dtype="string"),
    ):
        rich, _ = pair(**given | {"subject": who, "y": labels}, **HOW)
        assert len(set(rich.subject)) == 6 and rich.label.tolist() == [-1, *given["y"][1:]]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x_poor": ["a"], "poor_channels": ["x"]}, "x_poor names channels already; leave out poor_channels"),
        ({"x_poor": ["c"]}, "x_poor names 'c', which x_rich has not; it has a, b"),
        ({"x_poor": ["a", "a"]}, "x_poor names a channel twice"),
    ],
)
def test_poor_channels_by_name(given, words):
    with pytest.raises(UserError, match=words):
        pair(**{**made(), **given}, **HOW, rich_channels=["a", "b"])


def test_recordings_of_many_lengths_need_a_length():
    given = made()
    for name in ("x_rich", "x_poor"):
        given[name] = [x[: 20 + i % 12] for i, x in enumerate(given[name])]
    with pytest.raises(UserError, match="recordings differ in length; say `length` and `hop`"):
        pair(**given, **HOW)


def test_a_fold_beyond_the_last_person():
    with pytest.raises(UserError, match="with folds a seed is one of 30 subjects; 30 is none: use 0 to 29"):
        fit_students(**made(), **{**SHORT, "seeds": [30]}, folds=True)


def test_folds_of_people_with_one_class_each_are_refused():
    with pytest.raises(UserError, match="with folds every subject needs windows of two classes at least; 1 has one"):
        fit_students(**made(), **SHORT, folds=True)


def test_the_first_recording_may_be_the_one_without_a_label():
    """Window 0 is also what pads batches."""
    given = made(70)
    y = [None, None, *given["y"][2:]]
    study = fit_students(**given | {"y": y}, **{**SHORT, "epochs": 2})
    other = fit_students(**given | {"y": y}, **{**SHORT, "epochs": 2})
    assert 0 in study.fitted["rdpd"][0].member.unlabelled
    np.testing.assert_array_equal(study.probability("rdpd")[0], other.probability("rdpd")[0])


@pytest.mark.parametrize("change", [{"temperature": 1.0}, {"segment": 16}, {"student": Size((8,), 4)}], ids=str)
def test_checkpoints_of_another_setting_are_not_taken_over(change, tmp_path):
    given = made()
    fit_students(**given, **SHORT, checkpoints=tmp_path)
    said = []
    again = fit_students(**given, **{**SHORT, **change, "progress": said.append}, checkpoints=tmp_path)
    fresh = fit_students(**given, **{**SHORT, **change})
    np.testing.assert_array_equal(again.probability("rdpd")[0], fresh.probability("rdpd")[0])
    assert not [line for line in said if "taken over" in line]


def test_few_people_have_no_interval_over_people():
    given = made(40)
    given |= {"subject": np.arange(40) % 4, "y": np.arange(40) // 4 % 2}
    study = fit_students(**given, **SHORT)
    assert study.scores()[["people_low", "people_high"]].isna().all(axis=None)
    assert study.student("rdpd").about["scores"]["roc_auc"]["low"] is None


def test_the_card_is_about_the_student_that_is_shipped():
    study = fit_students(**made(240), **{**SHORT, "seeds": [0, 1]}, labelled=0.25)
    student = study.student("rdpd", 1)
    entry = study.entries["rdpd"][1]
    assert student.about["scores"]["roc_auc"]["score"] == entry["roc_auc"]
    mean = np.mean([each["roc_auc"] for each in study.entries["rdpd"]])
    assert student.about["notes"][0] == f"Models of 2 seeds have a ROC-AUC of {mean:.3f} on average."
    assert re.fullmatch(r"Of 144 training windows 3\d had a label.", student.about["notes"][1])


def test_paired_with_logistic_regression_and_wrong_names():
    study = fit_students(**made(), **SHORT)
    assert study.paired("rdpd", "logistic")["seeds"] == 1
    for call, words in [
        (lambda: study.paired("rdpd", "kd"), "no method 'kd'; it has Logistic regression, rich, logistic, teacher"),
        (lambda: study.probability("rdpd", "valid"), "no part 'valid'; use train, validation, test"),
        (lambda: study.student("nope", 0), "no method 'nope'"),
    ]:
        with pytest.raises(UserError, match=words):
            call()


def test_the_module_names_no_notebook_and_no_folder_of_the_project():
    source = Path(__file__).parents[1].joinpath("rdpd_nb/study.py").read_text()
    assert "papermill" not in source and "root()" not in source
