"""The teacher's knowledge: its file, what it is, whose it may be; it is all a student needs of the rich side."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_up import (
    BIT_EQUAL,
    CLOSE_IN_DOUBLE,
    make_knowledge,
    make_windows,
    quietly,
    same,
    select,
    student,
)
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from rdpd_nb.data.windows import split, standardise
from rdpd_nb.errors import UserError
from rdpd_nb.knowledge import coarser, extract_knowledge, load_by_seed, load_knowledge, of_teachers, save_knowledge
from rdpd_nb.paper import STUDENT_METHODS, SWITCHES, Protocol
from rdpd_nb.training import make_member, make_members, predict

pytestmark = pytest.mark.usefixtures("one_thread")


# ------------------------------------------------------------------------------------------------- (d) knowledge


def test_knowledge_comes_back_from_its_file_as_it_was(poor, tmp_path):
    path = tmp_path / "new folder" / "teacher.knowledge.safetensors"
    by_seed = {seed: make_knowledge(poor, split(poor, seed).train, seed) for seed in (0, 7)}
    save_knowledge(path, by_seed)
    for seed, knowledge in by_seed.items():
        loaded = load_knowledge(path, seed)
        for name in ("window", "soft_labels", "attention"):
            saved = getattr(knowledge, name)
            np.testing.assert_array_equal(getattr(loaded, name), saved)
            assert getattr(loaded, name).dtype == saved.dtype
        assert (loaded.temperature, loaded.fingerprint) == (knowledge.temperature, knowledge.fingerprint)
        loaded.check(poor, split(poor, seed).train)
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file is left


def test_each_seed_gets_its_own_split_and_its_own_knowledge(poor, tmp_path):
    path, splits = tmp_path / "teacher.knowledge.safetensors", {seed: split(poor, seed) for seed in (7, 0)}
    save_knowledge(path, {seed: make_knowledge(poor, part.train, seed) for seed, part in splits.items()})
    taught = load_by_seed(path, [7, 0])
    members = make_members(poor, splits, "kd", taught)
    assert [member.seed for member in members] == [7, 0] and {member.method for member in members} == {"kd"}
    for member in members:
        np.testing.assert_array_equal(member.train, splits[member.seed].train)
        assert member.knowledge is taught[member.seed]
    assert [member.knowledge for member in make_members(poor, splits, "direct")] == [None, None]
    with pytest.raises(UserError, match="holds no knowledge for seed 1"):
        load_by_seed(path, [0, 1])


def test_knowledge_is_the_kept_teachers_soft_labels_and_attention_in_evaluation_mode():
    rich = make_windows()
    parts = split(rich, 0)
    (teacher,) = quietly([make_member(rich, parts, 0, "teacher")], rich)
    (knowledge,) = extract_knowledge([teacher], rich, "cpu")
    x = torch.from_numpy(standardise(rich[parts.train], teacher.member.mean, teacher.member.std))
    with torch.no_grad():
        log_a, logits = teacher.model.eval()(x)
    np.testing.assert_array_equal(knowledge.window, parts.train)
    np.testing.assert_allclose(knowledge.soft_labels, F.softmax(logits / 2.5, -1), rtol=1e-4)
    np.testing.assert_allclose(knowledge.attention, log_a.exp(), rtol=1e-4)
    assert knowledge.temperature == 2.5
    knowledge.check(select(rich, "hr"), parts.train)  # the poor view of the same windows is accepted


def test_knowledge_of_other_windows_is_refused(poor):
    knowledge = make_knowledge(poor, split(poor, 0).train)
    other = select(make_windows(seed=1), "hr")
    with pytest.raises(UserError, match=f"made from other windows.*{knowledge.fingerprint}.*run 02_teacher again"):
        make_member(other, split(other, 0), 0, "kd", knowledge)


def test_knowledge_whose_list_of_windows_was_changed_is_refused(poor):
    parts = split(poor, 0)
    whole = make_knowledge(poor, parts.train)
    rows = {"soft_labels": whole.soft_labels[1:], "attention": whole.attention[1:]}
    knowledge = replace(whole, window=np.roll(parts.train, 1)[1:], **rows)
    with pytest.raises(UserError, match="made from other windows"):
        knowledge.check(poor, parts.train)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_knowledge_about_windows_outside_the_students_training_split_is_refused(part, poor):
    parts = split(poor, 0)
    about = np.append(parts.train, getattr(parts, part)[0])
    with pytest.raises(UserError, match="outside the student's training split.*run 02_teacher again"):
        make_member(poor, parts, 0, "rdpd", make_knowledge(poor, about))


def test_knowledge_of_another_seeds_split_is_refused(poor):
    with pytest.raises(UserError, match="outside the student's training split"):
        make_member(poor, split(poor, 0), 0, "rdpd", make_knowledge(poor, split(poor, 1).train))


@pytest.mark.parametrize("method", ["kd", "rdpd_r1", "rdpd_r2", "rdpd"])
def test_methods_that_imitate_refuse_to_go_without_knowledge(method, poor):
    with pytest.raises(UserError, match=f"'{method}' needs the teacher's knowledge"):
        make_member(poor, split(poor, 0), 0, method)


def test_refused_knowledge_names_its_file(poor, tmp_path):
    """So that a user with several profiles and data sets sees which file to make again."""
    path = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(path, {0: make_knowledge(poor, split(poor, 1).train)})
    with pytest.raises(UserError) as outside:
        load_knowledge(path, 0).check(poor, split(poor, 0).train)
    with pytest.raises(UserError) as other:
        load_knowledge(path, 0).check(select(make_windows(seed=1), "hr"), split(poor, 1).train)
    for error in (outside, other):
        assert str(path) in str(error.value)


def test_a_missing_knowledge_file_is_named(tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    with pytest.raises(UserError) as error:
        load_knowledge(path, 0)
    assert str(path) in str(error.value)


def test_a_missing_seed_is_named_with_the_file(poor, tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(path, {0: make_knowledge(poor, split(poor, 0).train)})
    with pytest.raises(UserError, match="seed 1") as error:
        load_knowledge(path, 1)
    assert str(path) in str(error.value)


def without_marks(path) -> None:
    save_file(load_file(path), path)


def without_attention(path) -> None:
    arrays = load_file(path)
    del arrays["0/attention"]
    save_file(arrays, path)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "other format": lambda path: path.write_text("<html>404 Not Found</html>"),
    "header cut off": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "data cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "no attention": without_attention,
    "no marks": without_marks,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_knowledge_file_is_named(damage, poor, tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(path, {0: make_knowledge(poor, split(poor, 0).train)})
    damage(path)
    with pytest.raises(UserError, match="is damaged") as error:
        load_knowledge(path, 0)
    assert str(path) in str(error.value)


def test_the_same_knowledge_is_the_same_file(poor, tmp_path):
    """Its digest stands in the teacher's record."""
    by_seed = {seed: make_knowledge(poor, split(poor, seed).train) for seed in (0, 1)}
    for name in ("a", "b"):
        save_knowledge(tmp_path / name, by_seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert load_knowledge(tmp_path / "a", 1).fingerprint == by_seed[1].fingerprint


def two_rows_exchanged(path) -> None:
    """What fits, and is not what was written; tests/torture has many more."""
    with safe_open(path, "np") as file:
        marks = file.metadata()
    arrays = load_file(path)
    arrays["0/soft_labels"][[0, 1]] = arrays["0/soft_labels"][[1, 0]]
    save_file(arrays, path, marks)


def test_knowledge_that_was_changed_after_it_was_written_is_refused(poor, tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(path, {0: make_knowledge(poor, split(poor, 0).train)})
    two_rows_exchanged(path)
    with pytest.raises(UserError, match=r"is damaged \(what it holds of seed 0 was changed.*run 02_teacher again"):
        load_knowledge(path, 0)


FAULTS = {
    "below 0": ("soft_labels", lambda v: v * [3] + [-2] / np.float32(8), "they sum to 1, the least is -0"),
    "sum 7": ("attention", lambda v: v * 7, "attention are no .* in 240 of 240 windows.* sum to 7"),
    "NaN": ("attention", lambda v: v * np.nan, "attention are no"),
    "rows": ("soft_labels", lambda v: v[1:], r"shape \(239, 8\)"),
    "double": ("attention", lambda v: v.astype(float), "float64"),
    "twice": ("window", lambda v: v[[0, 0, *range(2, len(v))]], "twice"),
    "point": ("window", lambda v: v.astype(float), "float64"),
    "temperature": ("temperature", lambda v: float("nan"), "nan"),
    "labelled": ("labelled", lambda v: float("nan"), "nan"),
}


@pytest.mark.parametrize(("name", "change", "words"), FAULTS.values(), ids=FAULTS)
def test_knowledge_that_no_teacher_can_have_is_refused(name, change, words, poor):
    whole = make_knowledge(poor, split(poor, 0).train)
    changed = change(getattr(whole, name))
    changed = changed.astype(np.float32) if name == "soft_labels" else changed
    with pytest.raises(UserError, match=f"the knowledge in memory cannot be believed: .*{words}.*run 02_teacher again"):
        replace(whole, **{name: changed})


def test_knowledge_of_other_classes_or_segments_is_refused(poor):
    whole = make_knowledge(poor, split(poor, 0).train)
    for name in ("soft_labels", "attention"):
        wider = np.repeat(getattr(whole, name) / 2, 2, axis=1)
        with pytest.raises(
            UserError, match=r"is of \d+ classes and \d+ segments, MIMIC-III has 8 and 4; run 02_teacher"
        ):
            replace(whole, **{name: wider}).check(poor, split(poor, 0).train)


# ------------------------------------------------------------------------------------------- less of each window

SOFT = np.array([[0.61, 0.39], [0.004, 0.996], [0.7, 0.3], [0.2, 0.8]], np.float32)
ATTENTION = np.array([[0.2, 0.2, 0.6], [0.02, 0.03, 0.95], [0.4, 0.4, 0.2], [0.3, 0.3, 0.4]], np.float32)


def test_rounded_knowledge_by_hand():
    soft, attention = coarser("1_decimal", SOFT, ATTENTION, np.zeros(4, int))
    np.testing.assert_allclose(soft[0], [0.6, 0.4], rtol=1e-6)
    np.testing.assert_allclose(soft[1], [0.05 / 1.05, 1 / 1.05], rtol=1e-6)  # 0 is half a step, and both sum to 1 again
    np.testing.assert_allclose(attention[1], np.array([0.05, 0.05, 1.0]) / 1.1, rtol=1e-6)
    soft, _ = coarser("2_decimals", SOFT, ATTENTION, np.zeros(4, int))
    np.testing.assert_allclose(soft[:2], [[0.61, 0.39], [0.005 / 1.005, 1 / 1.005]], rtol=1e-6)
    even = np.full((1, 30), 1 / 30, np.float32)  # every value rounds to 0
    np.testing.assert_allclose(coarser("1_decimal", even, even, np.zeros(1, int)), [even, even], rtol=1e-6)


def test_class_means_by_hand():
    """The third window has no label: the teacher finds class 0 likeliest."""
    soft, attention = coarser("class_means", SOFT, ATTENTION, np.array([1, 1, -1, 0]))
    np.testing.assert_allclose(soft, [[0.307, 0.693], [0.307, 0.693], [0.45, 0.55], [0.45, 0.55]], rtol=1e-5)
    np.testing.assert_allclose(attention[0], [0.11, 0.115, 0.775], rtol=1e-5)
    np.testing.assert_array_equal(attention[0], attention[1])


@pytest.mark.parametrize("detail", SWITCHES["detail"])
def test_a_student_learns_from_knowledge_of_any_detail_and_says_so_in_its_file(detail, tmp_path):
    rich = make_windows().under(Protocol(detail=detail))
    parts = split(rich, 0)
    (teacher,) = quietly([make_member(rich, parts, 0, "teacher", unlabelled=parts.train[:40])], rich)
    (said,) = extract_knowledge([teacher], rich, "cpu", [parts.train])
    rows = len(np.unique(said.soft_labels, axis=0))
    assert rows == 240 if detail == "full" else rows < 240 and (detail != "class_means" or rows <= 8)
    path = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(path, {0: said})
    poor, taught = select(rich, "hr"), load_knowledge(path, 0)
    (fitted,) = quietly([make_member(poor, parts, 0, "rdpd", taught, unlabelled=parts.train[:40])], poor)
    assert np.isfinite(fitted.history["train_loss"]).all()
    if detail != "full":
        with pytest.raises(UserError, match=f"another protocol .*detail={detail}"):
            make_member(select(make_windows(), "hr"), parts, 0, "rdpd", taught, unlabelled=parts.train[:40])


def test_class_means_use_no_label_that_the_teacher_did_not_see():
    rich = make_windows().under(Protocol(detail="class_means"))
    parts = split(rich, 0)
    hidden = parts.train[:100]
    said = []
    for label in (rich.label, np.where(np.isin(np.arange(len(rich)), hidden), 7 - rich.label, rich.label)):
        windows = replace(rich, label=label, fingerprint="same")
        (teacher,) = quietly([make_member(windows, parts, 0, "teacher", unlabelled=hidden)], windows)
        said += extract_knowledge([teacher], windows, "cpu", [parts.train])
    np.testing.assert_array_equal(said[0].soft_labels, said[1].soft_labels)
    np.testing.assert_array_equal(said[0].attention, said[1].attention)


# ---------------------------------------------------------------------- (e) a student never needs the rich channels


@pytest.mark.parametrize("method", STUDENT_METHODS)
def test_a_student_becomes_the_same_whatever_is_in_the_rich_channels(method):
    rich = make_windows()
    wiped = rich.series.copy()
    wiped[:, [c for c in range(6) if c not in rich.spec.views["bp"]]] = np.nan
    fitted = []
    for windows in (select(rich, "bp"), select(replace(rich, series=wiped), "bp")):
        assert windows.series.shape[1] == 2
        (one,) = quietly([student(windows, method)], windows)
        fitted.append((one, predict([one], windows, [split(windows, 0).test], "cpu")[0]))
    same(fitted[0][0], fitted[1][0], **BIT_EQUAL)
    np.testing.assert_array_equal(fitted[0][1], fitted[1][1])


def test_poor_windows_and_a_knowledge_file_suffice_to_train_a_student(tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    rich = make_windows()
    parts = split(rich, 0)
    save_knowledge(path, {0: make_knowledge(rich, parts.train)})
    poor = select(rich, "rr")
    del rich
    (fitted,) = quietly([make_member(poor, split(poor, 0), 0, "rdpd", load_knowledge(path, 0))], poor)
    assert fitted.model.convs[0].in_channels == 1
    assert np.isfinite(fitted.history["train_loss"]).all()


# ------------------------------------------------------------------------------------------ (f) partial knowledge


@pytest.mark.parametrize("method", ["kd", "rdpd_r2"])
def test_knowledge_about_no_window_leaves_the_hard_loss_alone(method, poor_double):
    parts = split(poor_double, 0)
    nothing = make_knowledge(poor_double, parts.train[:0])
    direct = make_member(poor_double, parts, 0, "direct")
    imitating = make_member(poor_double, parts, 0, method, nothing)
    same(quietly([imitating], poor_double)[0], quietly([direct], poor_double)[0], **CLOSE_IN_DOUBLE)


@pytest.mark.parametrize("method", ["kd", "rdpd_r2", "rdpd"])
def test_knowledge_about_some_windows_does_have_an_effect(method, poor_double):
    parts = split(poor_double, 0)
    some, none = (
        make_member(poor_double, parts, 0, method, make_knowledge(poor_double, parts.train[:size])) for size in (60, 0)
    )
    with_some, with_none = quietly([some, none], poor_double)
    assert abs(with_some.history["train_loss"][0] - with_none.history["train_loss"][0]) > 1e-3


def test_members_of_one_seed_each_keep_to_their_own_knowledge(poor_double):
    """Partial knowledge is not filled up from what another member's teacher said about the other windows."""
    parts = split(poor_double, 0)
    members = [
        make_member(poor_double, parts, 0, "rdpd", make_knowledge(poor_double, parts.train[:size], seed=size))
        for size in (80, 240, 0)
    ]
    for member, fitted in zip(members, quietly(members, poor_double), strict=True):
        same(fitted, quietly([member], poor_double)[0], **CLOSE_IN_DOUBLE)


def test_a_teacher_of_another_protocol_is_refused_and_one_that_differs_for_students_alone_is_not(poor):
    parts = split(poor, 0)
    taught = make_knowledge(poor, parts.train)
    assert taught.protocol == "" and of_teachers(Protocol(soft_scale="1", attention_kl="teacher_student")) == ""
    make_member(poor.under(Protocol(soft_scale="1")), parts, 0, "kd", taught)
    once = poor.under(Protocol(batch_order="once"))
    with pytest.raises(UserError, match=r"another protocol \(under the text, the student's is batch_order=once\)"):
        make_member(once, parts, 0, "kd", taught)
    make_member(once, parts, 0, "kd", replace(taught, protocol="batch_order=once"))


def test_a_teacher_knows_of_every_switch_but_those_of_students_alone():
    of_students = {"attention_kl", "short_batch", "noise_on", "macro_f1", "soft_scale", "few_rich"}
    for name, (usual, *others) in SWITCHES.items():
        for value in others:
            told = "" if name in of_students else f"{name}={value}"
            assert of_teachers(Protocol(**{name: value})) == told and of_teachers(Protocol(**{name: usual})) == ""
    switched = of_teachers(Protocol(batch_order="once", short_batch="over_128", mimic3_split="90_5_5"))
    assert sorted(switched.split(", ")) == ["batch_order=once", "mimic3_split=90_5_5"]
