"""Training and prediction on CUDA against the CPU, and its captured steps against the same steps launched one by one.

The steps that are captured, as far as they need no GPU, are tested on the CPU.
"""

import copy
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import (
    BIT_EQUAL,
    Killed,
    kill_after,
    make_windows,
    mixed_members,
    quietly,
    same,
    select,
    student,
    threads,
)

from rdpd_nb.data.windows import Split, Windows, split
from rdpd_nb.engine import checkpoints, deal_out, forward, shards
from rdpd_nb.engine.batches import Masks
from rdpd_nb.engine.setup import Setup
from rdpd_nb.engine.stack import RCNNStack
from rdpd_nb.knowledge import extract_knowledge
from rdpd_nb.models import RCNN
from rdpd_nb.training import Fitted, Member, make_member, predict

needs_cuda = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]


def on_cuda(test):
    for mark in needs_cuda:
        test = mark(test)
    return test


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threads(1):
        yield


@pytest.fixture
def poor() -> Windows:
    return select(make_windows(), "hr")


class Eager:
    """In place of a CUDA graph: the same step, launched operation by operation."""

    def __init__(self, captured, static, loss):
        self.captured, self.static, self.loss = captured, static, loss

    def replay(self) -> None:
        self.loss.copy_(self.captured.eager(*self.static))


def capture_nothing(captured, inputs) -> tuple:
    static = tuple(tensor.clone() for tensor in inputs)
    loss = torch.zeros(len(static[0]), device=static[0].device)
    return Eager(captured, static, loss), static, loss


def teachers(windows: Windows) -> list[Member]:
    return [make_member(windows, split(windows, seed), seed, "teacher") for seed in (0, 1)]


def close(got: list[Fitted], expected: list[Fitted]) -> None:
    """Equal but for rounding, which Adam makes larger, and which may swap two windows in an ROC-AUC.

    Where by that another epoch was kept there are no weights to compare: of one in five models, not more.
    """
    compared = 0
    for a, b in zip(got, expected, strict=True):
        for name, atol in (("train_loss", 2e-3), ("validation_loss", 2e-3), ("validation_roc_auc", 0.02)):
            np.testing.assert_allclose(a.history[name], b.history[name], rtol=1e-3, atol=atol)
        if a.best_epoch != b.best_epoch:  # then the two scores are as good as equal
            curve = b.history["validation_roc_auc"]
            assert curve[a.best_epoch - 1] == pytest.approx(curve[b.best_epoch - 1], abs=0.02)
            continue
        compared += 1
        for name, weight in a.model.named_parameters():
            other = b.model.get_parameter(name)
            used = slice(2) if name == "combine" else slice(None)  # b has no gradient but rounding
            difference = (weight[used] - other[used]).abs()
            # A weight whose gradient is next to nothing may take a step of Adam's the other way.
            assert difference.median() < 1e-4 and difference.max() < 1e-2, name
    assert compared >= 0.8 * len(expected), f"of {len(expected)} models {compared} kept the same epoch"


# ---------------------------------------------------------------------------------------------- without a GPU


def test_what_is_held_against_the_cpu_is_refused_where_it_differs(poor):
    """Of another training, of another epoch though the scores are equal, and of weights a little off."""
    (one,), (other,) = (quietly([student(poor, "rdpd", seed)], poor, 3) for seed in (0, 1))
    close([one], [one])
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        close([one], [other])
    curve = one.history | {"validation_roc_auc": [0.5] * 3}
    alike = [replace(one, history=curve, best_epoch=epoch) for epoch in (1, 2)]
    with pytest.raises(AssertionError, match="of 1 models 0 kept the same epoch"):
        close(alike[:1], alike[1:])
    off = replace(one, model=copy.deepcopy(one.model))
    with torch.no_grad():
        off.model.get_parameter("dense.weight")[0, 0] += 0.02
    with pytest.raises(AssertionError, match="dense.weight"):
        close([off], [one])


def test_steps_made_ready_for_capture_equal_those_of_the_cpu(poor, monkeypatch):
    """Mask bits of a whole epoch drawn ahead and unpacked on the device; members with fewer steps than others."""
    members = mixed_members(poor)
    expected = quietly(members, poor, 3, patience=2)
    begun = []

    class Ready(shards.CapturedSteps):
        def begin(self, masks):
            begun.append(len(self.shard))
            return super().begin(masks)

    init = shards.Shard.__init__

    def with_steps(shard, *arguments) -> None:
        init(shard, *arguments)
        shard.captured = Ready(shard)

    monkeypatch.setattr(shards.CapturedSteps, "_capture", capture_nothing)
    monkeypatch.setattr(shards.Shard, "__init__", with_steps)
    for a, b in zip(quietly(members, poor, 3, patience=2), expected, strict=True):
        same(a, b, **BIT_EQUAL)
    assert begun == [10, 10, 10]


# ------------------------------------------------------------------------------------------------- with a GPU


@on_cuda
def test_students_trained_on_cuda_equal_those_trained_on_the_cpu(poor):
    members = mixed_members(poor)
    close(quietly(members, poor, 3, device="cuda"), quietly(members, poor, 3))


@on_cuda
def test_teachers_trained_on_cuda_equal_those_trained_on_the_cpu():
    rich = make_windows()
    close(quietly(teachers(rich), rich, 3, device="cuda"), quietly(teachers(rich), rich, 3))


@on_cuda
def test_two_convolutions_trained_on_cuda_equal_those_trained_on_the_cpu():
    windows = select(make_windows("ptbdb", n=165), "lead_i")
    members = [student(windows, method) for method in ("direct", "rdpd")]
    close(quietly(members, windows, 2, device="cuda"), quietly(members, windows, 2))


@on_cuda
@pytest.mark.parametrize("what", ["students", "teachers"])
def test_captured_steps_equal_eager_ones(what, poor, monkeypatch):
    windows = poor if what == "students" else make_windows()
    members = mixed_members(poor) if what == "students" else teachers(windows)
    replays, replay = [], torch.cuda.CUDAGraph.replay
    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", lambda graph: (replays.append(graph), replay(graph))[1])
    captured = quietly(members, windows, 3, device="cuda")
    assert len(replays) == 6  # of three epochs of two steps
    with monkeypatch.context() as patch:
        patch.setattr(shards.CapturedSteps, "_capture", capture_nothing)
        eager = quietly(members, windows, 3, device="cuda")
    assert len(replays) == 6
    close(captured, eager)


@on_cuda
def test_what_is_done_before_a_capture_leaves_no_trace(poor):
    """Steps before the capture warm the libraries up; weights, moments and counts must be as if they had not been."""
    members = [student(poor, "rdpd"), student(poor, "direct", 1)]
    setup = Setup(members, poor, torch.device("cuda"), 0)
    state = {name: tensor.to(setup.device) for name, tensor in setup.start(1).items()}
    state, (shard,) = deal_out(setup, state, threading.Event())
    before = {name: tensor.clone() for name, tensor in shard.state.items()}
    index = torch.arange(128, device=setup.device).expand(2, -1).contiguous()
    weight = torch.full((2, 128), 1 / 128, device=setup.device)
    masks = Masks(shard.seeds, 0, setup.shapes)
    bits = [
        torch.from_numpy(np.stack(of_seeds)).to(setup.device)
        for of_seeds in zip(*(masks.bits[seed].draw() for seed in shard.captured.seeds), strict=True)
    ]
    graph, _, _ = shard.captured._capture((index, weight, *bits))
    for name, tensor in before.items():
        assert torch.equal(shard.state[name], tensor), name
    graph.replay()
    assert not torch.equal(shard.state["weights"], before["weights"])
    assert shard.state["steps"].tolist() == [1, 1]


@on_cuda
def test_members_that_stop_on_cuda_leave_their_neighbours_alone(poor):
    """Steps are captured anew where the ranks are closed."""
    members = mixed_members(poor)
    full = quietly(members, poor, 24, device="cuda")
    early = quietly(members, poor, 24, device="cuda", patience=2)
    ends = [len(part.history["train_loss"]) for part in early]
    assert min(ends) < 10 and len(set(ends)) > 2
    for part, whole, end in zip(early, full, ends, strict=True):
        assert part.best_epoch == end - 2 or end == 24
        np.testing.assert_allclose(part.history["train_loss"], whole.history["train_loss"][:end], rtol=0.02)


@on_cuda
def test_training_on_cuda_killed_and_run_again_comes_to_the_same(poor, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    members, lines = mixed_members(poor), []
    with pytest.raises(Killed):
        quietly(members, poor, 4, device="cuda", checkpoints=tmp_path, progress=kill_after(2))
    got = quietly(members, poor, 4, device="cuda", checkpoints=tmp_path, progress=lines.append)
    assert lines[0].startswith("going on after epoch 2 of 4")
    close(got, quietly(members, poor, 4, device="cuda"))


@on_cuda
@pytest.mark.parametrize(("dataset", "view"), [("mimic3", "all"), ("ptbdb", "lead_i"), ("uci_har", "acc")])
def test_forward_pass_and_predictions_on_cuda_equal_those_of_the_cpu(dataset, view, monkeypatch):
    windows = select(make_windows(dataset, n=150), view)
    member = make_member(windows, split_by_rows(windows), 0, "direct", noise=0.5)
    models = [RCNN(windows.spec, view, seed=seed).eval() for seed in (0, 1)]
    batched, convolve = [], RCNNStack._convolve_batched

    def recorded(stack, *arguments):
        batched.append(stack)
        return convolve(stack, *arguments)

    monkeypatch.setattr(RCNNStack, "_convolve_batched", recorded)
    indices = [np.arange(150), np.arange(20, 97)]
    expected = forward(models, windows, [member] * 2, indices, "cpu")
    assert not batched
    got = forward(models, windows, [member] * 2, indices, "cuda")
    assert batched  # the one that CUDA likes
    for a, b in zip(got, expected, strict=True):
        assert a[0].is_cpu and a[1].is_cpu
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    fitted = [Fitted(member, model, 1, "validation ROC-AUC", {}) for model in models]
    for a, b in zip(predict(fitted, windows, indices, "cuda"), predict(fitted, windows, indices, "cpu"), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def split_by_rows(windows: Windows):
    """Made-up windows of UCI HAR have no official test part to split by."""
    return Split(*(np.arange(first, first + 40) for first in (0, 40, 80)))


@on_cuda
def test_knowledge_extracted_on_cuda_equals_that_of_the_cpu():
    rich = make_windows()
    fitted = quietly(teachers(rich), rich, 1)
    pairs = zip(extract_knowledge(fitted, rich, "cuda"), extract_knowledge(fitted, rich, "cpu"), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a.soft_labels, b.soft_labels, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(a.attention, b.attention, rtol=1e-4, atol=1e-5)
        assert a.fingerprint == b.fingerprint
