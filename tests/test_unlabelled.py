"""Windows that nobody labelled: the teacher speaks there, and every term that needs a label is silent."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import make_knowledge, make_windows, quietly

from rdpd_nb.data import Recordings, Windows, split
from rdpd_nb.errors import UserError
from rdpd_nb.knowledge import extract_knowledge, load_by_seed, save_knowledge
from rdpd_nb.losses import member_loss
from rdpd_nb.paper import METHODS, Protocol
from rdpd_nb.training import make_member, make_members

pytestmark = pytest.mark.usefixtures("one_thread")


def test_rows_without_a_label_have_the_soft_and_the_attention_loss_alone():
    """Four rows, one of them labelled: by hand, each term's mean over the rows that have it."""
    logits = torch.tensor([[math.log(3), 0.0]], dtype=torch.float64).repeat(4, 1)  # probabilities 3/4, 1/4
    settings = {
        "log_attention": torch.full((4, 2), math.log(0.5), dtype=torch.float64),
        "logits": logits,
        "y": torch.tensor([-1, 1, -1, -1]),
        "combine": torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64),
        "temperature": 1.0,
        "taught": (torch.full_like(logits, 0.5), torch.tensor([[0.9, 0.1]], dtype=torch.float64).repeat(4, 1)),
        "labelled": 1 / 4,
    }
    got = {term: member_loss((term,), **settings).item() for term in ("hard", "soft", "combined", "attention")}
    assert got["hard"] == pytest.approx(math.log(4))
    assert got["combined"] == pytest.approx(math.log(1 + math.exp(1 / 2)))  # a softmax of 3/4 and 1/4
    assert got["soft"] == pytest.approx(0.5 * math.log(4 / 3) + 0.5 * math.log(4))
    assert got["attention"] == pytest.approx(0.5 * math.log(5 / 9) + 0.5 * math.log(5))
    every = member_loss(METHODS["rdpd"].terms, **settings)
    assert every.item() == pytest.approx(sum(got.values()))


def some_labels(n: int = 300, share: float = 0.4) -> tuple[Windows, np.ndarray]:
    """Windows of which a share has a label, and the labels that are not in them."""
    windows = make_windows(n=n)
    hidden = windows.label.copy()
    return replace(windows, label=np.where(np.random.default_rng(1).random(n) < share, hidden, -1)), hidden


def test_windows_without_a_label_train_and_neither_validate_nor_are_tested():
    windows, _ = some_labels()
    for seed in range(5):
        parts = split(windows, seed)
        together = np.concatenate([parts.train, parts.validation, parts.test])
        assert (windows.label[np.concatenate([parts.validation, parts.test])] >= 0).all()
        assert (windows.label[parts.train] < 0).sum() == (windows.label < 0).sum()
        assert sorted(together) == list(range(len(windows)))
        for part in (parts.validation, parts.test):  # drawn of those with a label, stratified as ever
            assert set(windows.label[part]) == set(range(len(windows.spec.classes)))


def test_windows_of_a_tested_person_that_have_no_label_are_in_no_part():
    windows, _ = some_labels()
    windows.recording_subject[:] = windows.recording_subject // 3  # three windows a person
    parts = split(windows, 0)
    together = np.concatenate([parts.train, parts.validation, parts.test])
    left_out = np.setdiff1d(np.arange(len(windows)), together)
    assert len(left_out) and (windows.label[left_out] == -1).all()
    held_out = np.concatenate([parts.subjects["validation"], parts.subjects["test"]])
    assert np.isin(windows.subject[left_out], held_out).all()
    assert not np.isin(windows.subject[parts.train], held_out).any()


def test_recordings_may_have_no_label_and_arrays_say_so_otherwise():
    spec = make_windows().spec
    x = np.zeros((3, spec.length, len(spec.channels)), np.float32)
    windows = Windows.from_recordings(spec, Recordings.join(x, [1, 2, 3], [0, -1, 2]))
    assert windows.label.tolist() == [0, -1, 2] and windows.statistics["classes"] == 2
    with pytest.raises(UserError, match="labels run from -1 to 2"):
        Windows.from_arrays(spec, x, np.array([0, -1, 2]), np.arange(3))


def test_what_only_labels_teach_trains_on_the_labelled_windows_and_is_standardised_by_all():
    windows, _ = some_labels()
    parts = split(windows, 0)
    labelled = parts.train[windows.label[parts.train] >= 0]
    everyone = make_member(replace(windows, label=np.abs(windows.label)), parts, 0, "direct")
    for method in ("teacher", "direct"):
        member = make_member(windows, parts, 0, method)
        np.testing.assert_array_equal(member.train, labelled)
        np.testing.assert_array_equal(member.mean, everyone.mean)
        assert member.labelled_share is None  # of the windows it trains on
    knowledge = replace(make_knowledge(windows, parts.train), labelled=len(labelled) / len(parts.train))
    student = make_member(windows, parts, 0, "rdpd", knowledge)
    np.testing.assert_array_equal(student.train, parts.train)
    np.testing.assert_array_equal(student.labelled, labelled)
    assert student.labelled_share == len(labelled) / len(parts.train)


def test_a_split_without_any_label_in_training_is_one_sentence():
    windows, _ = some_labels()
    parts = split(windows, 0)
    windows.label[parts.train] = -1
    with pytest.raises(UserError, match="no training window of seed 0 has a label"):
        make_member(windows, parts, 0, "direct")


def test_a_fraction_of_the_labels_goes_by_whole_subjects_and_a_larger_one_holds_a_smaller():
    windows = make_windows()
    windows.recording_subject[:] = np.arange(len(windows)) // 3
    splits = {seed: split(windows, seed) for seed in (0, 1)}
    before = dict.fromkeys(splits, np.empty(0, int))
    for fraction in (0.1, 0.3, 0.8, 1.0):
        for member in make_members(windows, splits, "direct", labelled=fraction):
            whole = splits[member.seed].train
            assert len(member.train) / len(whole) == pytest.approx(fraction, abs=0.05)
            rest = np.setdiff1d(whole, member.train)
            assert not set(windows.subject[member.train]) & set(windows.subject[rest])
            assert np.isin(before[member.seed], member.train).all()
            before[member.seed] = member.train


def test_a_teacher_speaks_of_windows_nobody_labelled_and_a_student_learns_from_it_there(tmp_path):
    """Its labels come from a tenth of the people; the student that hears it of all does better than one that hears
    it of that tenth. The hidden labels decide the scores alone."""
    windows, path = make_windows(n=1000), tmp_path / "teacher.knowledge.safetensors"
    splits = {0: split(windows, 0)}
    (teacher,) = quietly(make_members(windows, splits, "teacher", labelled=0.1), windows, 20)
    assert len(teacher.member.train) == 80
    (said,) = extract_knowledge([teacher], windows, "cpu", [splits[0].train])
    np.testing.assert_array_equal(said.window, splits[0].train)
    assert said.labelled == 0.1
    few = extract_knowledge([teacher], windows, "cpu")[0]
    np.testing.assert_allclose(few.soft_labels, said.soft_labels[np.isin(said.window, few.window)], atol=1e-6)

    poor = windows.select("hr")
    save_knowledge(path, {0: said})
    taught = load_by_seed(path, [0])
    (member,) = make_members(poor, splits, "rdpd", taught, labelled=0.1)
    assert len(member.train) == 800 and len(member.labelled) == 80
    with pytest.raises(UserError, match=r"saw the labels of 10.0% of its windows, the student sees those of 100.0%"):
        make_members(poor, splits, "rdpd", taught)
    changed = replace(poor, label=poor.label.copy())
    changed.label[member.train[np.isin(member.train, member.unlabelled)]] = 0
    ours, other = (quietly([replace(member)], w, 2)[0] for w in (poor, changed))
    for a, b in zip(ours.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_a_teacher_said_in_training_covers_no_unlabelled_window():
    windows = make_windows().under(Protocol(knowledge="training"))
    splits = {0: split(windows, 0)}
    fitted = quietly(make_members(windows, splits, "teacher", labelled=0.5), windows, 1)
    with pytest.raises(UserError, match="knowledge='training' has no word about windows"):
        extract_knowledge(fitted, windows, "cpu", [splits[0].train])
    assert extract_knowledge(fitted, windows, "cpu")[0].labelled == 1.0
