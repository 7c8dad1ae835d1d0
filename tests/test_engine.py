"""The engine: members do not depend on each other, nor on how they are dealt out; stopping; common random numbers."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import BIT_EQUAL, CLOSE_IN_DOUBLE, mixed_members, quietly, same, student, threads

from rdpd_nb import engine
from rdpd_nb.data.windows import split, standardise
from rdpd_nb.draws import epoch_order, mask_shapes, noise_series
from rdpd_nb.engine import setup, shards
from rdpd_nb.engine.stack import RCNNStack
from rdpd_nb.errors import UserError
from rdpd_nb.paper import STUDENT_METHODS
from rdpd_nb.training import Fitted, make_member, predict

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def stacks(monkeypatch) -> list[RCNNStack]:
    """Every stack that is made during the test.

    Each with what its training steps were given (weights, windows, masks), and the weights it was validated with last.
    """
    made = []

    class Recorded(RCNNStack):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.steps = []
            made.append(self)

        def forward(self, w, x, masks=None):
            flat = torch.cat([weight.detach().flatten(1) for weight in w.values()], 1)
            if masks is None:
                self.last = flat
            else:
                self.steps.append((flat, x, masks))
            return super().forward(w, x, masks)

    monkeypatch.setattr(setup, "RCNNStack", Recorded)
    return made


# ------------------------------------------------------------------------------------ (b) members are independent


def test_the_same_call_twice_gives_the_same_bits(poor):
    members = [student(poor, method, seed) for seed in (0, 1) for method in ("direct", "rdpd")]
    for a, b in zip(quietly(members, poor), quietly(members, poor), strict=True):
        same(a, b, **BIT_EQUAL)


def test_a_member_becomes_the_same_whoever_trains_beside_it(poor_double):
    member = student(poor_double, "kd", seed=1)
    others = [student(poor_double, method, seed) for seed in (0, 1, 2) for method in ("direct", "rdpd")]
    others.append(student(poor_double, "rdpd_r2", seed=1, noise=1.0))
    (alone,) = quietly([member], poor_double)
    same(quietly([member, *others], poor_double)[0], alone, **CLOSE_IN_DOUBLE)


def test_a_member_becomes_the_same_in_whatever_place_it_stands(poor_double):
    members = [student(poor_double, method, seed) for seed in (1, 0) for method in ("direct", "kd")]
    forwards = quietly(members, poor_double)
    backwards = quietly(members[::-1], poor_double)[::-1]
    for member, a, b in zip(members, forwards, backwards, strict=True):
        assert a.member is b.member is member
        same(a, b, **CLOSE_IN_DOUBLE)


@pytest.mark.parametrize("seed_of_others", [0, 1], ids=["other seed", "same seed"])
def test_a_member_becomes_the_same_whatever_the_training_set_sizes_beside_it(seed_of_others, poor_double):
    """As in Figure 2, where members of one seed train on 10 to 100 percent of the windows."""
    parts = split(poor_double, 1)
    member = make_member(poor_double, parts, 1, "direct", train=parts.train[:100])
    others = [
        make_member(poor_double, split(poor_double, seed_of_others), seed_of_others, "direct", train=parts.train[:size])
        for size in (30, 140, 240)
    ]
    (alone,) = quietly([member], poor_double)
    together = quietly([others[0], member, *others[1:]], poor_double)
    assert [len(f.member.train) for f in together] == [30, 100, 140, 240]  # in the order given
    same(together[1], alone, **CLOSE_IN_DOUBLE)


def test_a_members_validation_is_the_same_whatever_the_validation_set_sizes_beside_it(poor_double):
    members = [replace(student(poor_double, "direct"), validation=np.arange(n)) for n in (20, 75, 48)]
    for member, fitted in zip(members, quietly(members, poor_double), strict=True):
        same(fitted, quietly([member], poor_double)[0], **CLOSE_IN_DOUBLE)


@pytest.fixture
def shard_sizes(monkeypatch) -> list[list[int]]:
    """How many members each shard has, at every dealing out."""
    sizes, deal_out = [], engine.deal_out

    def recorded(*arguments):
        state, made = deal_out(*arguments)
        sizes.append([len(shard) for shard in made])
        return state, made

    monkeypatch.setattr(engine, "deal_out", recorded)
    return sizes


@pytest.mark.parametrize(
    ("count", "room", "dealt"),
    [(1, None, [10]), (2, None, [5, 5]), (1, 3, [3, 3, 2, 2]), (2, 1, [1] * 10), (16, None, [1] * 10)],
    ids=["one thread", "two threads", "small shards", "a shard a member", "more threads than members"],
)
def test_a_member_becomes_the_same_however_members_are_dealt_out(
    count, room, dealt, poor_double, shard_sizes, monkeypatch
):
    members = mixed_members(poor_double)
    if room:
        whole = setup.Setup(members, poor_double, torch.device("cpu"), 4, 0)
        monkeypatch.setitem(shards.SHARD_BYTES, "cpu", room * shards._bytes_of_a_member(whole))
    with threads(count):
        together = quietly(members, poor_double)
        backwards = quietly(members[::-1], poor_double)[::-1]
    assert shard_sizes == [dealt, dealt]
    for member, a, b in zip(members, together, backwards, strict=True):
        assert a.member is b.member is member
        (alone,) = quietly([member], poor_double)
        same(a, alone, **CLOSE_IN_DOUBLE)
        same(b, alone, **CLOSE_IN_DOUBLE)


def test_room_for_not_even_one_member_still_trains_them_one_by_one(poor, shard_sizes, monkeypatch):
    monkeypatch.setitem(shards.SHARD_BYTES, "cpu", 1)
    quietly([student(poor, "direct", seed) for seed in (0, 1)], poor, epochs=1)
    assert shard_sizes == [[1, 1]]


def test_the_same_call_twice_gives_the_same_bits_with_two_threads(poor):
    members = mixed_members(poor)
    with threads(2):
        for a, b in zip(quietly(members, poor, 4), quietly(members, poor, 4), strict=True):
            same(a, b, **BIT_EQUAL)


@pytest.mark.parametrize("count", [1, 2])
def test_pytorchs_number_of_threads_is_the_same_after_training_and_after_a_failure(count, poor):
    good, bad = student(poor, "direct"), student(poor, "direct", noise=3e38)
    with threads(count), ThreadPoolExecutor(1) as pool:
        quietly([good, good], poor, epochs=1)
        assert torch.get_num_threads() == count
        with pytest.raises(UserError):
            quietly([good, bad], poor, epochs=1)
        assert torch.get_num_threads() == count
        assert pool.submit(torch.get_num_threads).result() == count  # a thread that is new takes it up too


@pytest.mark.parametrize("place", [0, 1], ids=["first shard", "second shard"])
def test_an_error_in_one_thread_stops_the_others_and_comes_out_once(place, poor):
    members = [student(poor, "direct", seed=seed) for seed in (0, 1)]
    members[place] = replace(members[place], noise=3e38)
    errors = []

    def train() -> None:
        try:
            with threads(2):
                quietly(members, poor, epochs=3)
        except UserError as error:
            errors.append(str(error))

    apart = threading.Thread(target=train, daemon=True)  # so that a fit that hangs fails the test alone
    apart.start()
    apart.join(60)
    assert not apart.is_alive()
    assert len(errors) == 1
    assert "diverged in epoch 1" in errors[0]


# ------------------------------------------------------------------------------------------- stopping by patience


def by_hand(fitted: Fitted, patience: int) -> tuple[int, int]:
    """Best epoch and last epoch (from 1) that a full history gives under patience."""
    by_loss = fitted.selected_by == "validation loss"
    curve = [-loss for loss in fitted.history["validation_loss"]] if by_loss else fitted.history["validation_roc_auc"]
    best, best_epoch = -np.inf, 0
    for epoch, score in enumerate(curve, 1):
        if score > best:
            best, best_epoch = score, epoch
        if epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(curve)


@pytest.mark.parametrize("count", [1, 2])
def test_who_stops_by_patience_keeps_its_best_and_leaves_its_neighbours_alone(count, poor_double, shard_sizes):
    members, epochs, patience = mixed_members(poor_double), 22, 2
    full = quietly(members, poor_double, epochs)
    shard_sizes.clear()
    with threads(count):
        early = quietly(members, poor_double, epochs, patience=patience)
    dealt, ends = list(shard_sizes), []
    for member, whole, part in zip(members, full, early, strict=True):
        best, end = by_hand(whole, patience)
        ends.append(end)
        assert part.best_epoch == best
        for name, curve in whole.history.items():
            assert len(part.history[name]) == end
            np.testing.assert_allclose(part.history[name], curve[:end], rtol=1e-9)
        # Without patience, up to that epoch: keeps the best of the same epochs.
        same(part, whole if end == epochs else quietly([member], poor_double, end)[0], **CLOSE_IN_DOUBLE)
    assert sum(end < epochs for end in ends) >= 5  # so many have stopped ...
    assert max(ends) == epochs  # ... while others went on ...
    assert len(dealt) > 1 and sum(dealt[-1]) < len(members)  # ... after the ranks were closed
    assert len(set(ends)) > 3


def test_training_ends_when_all_have_stopped(poor, monkeypatch):
    monkeypatch.setattr(engine, "QUIET_SECONDS", -1)  # a line an epoch
    lines = []
    fitted = quietly(mixed_members(poor), poor, 200, patience=1, progress=lines.append)
    last = max(len(f.history["train_loss"]) for f in fitted)
    assert last < 100
    assert len([line for line in lines if re.match(r"epoch .* s, at most \d+ s left$", line)]) == last
    assert lines[-1].endswith(f"the last stopped after epoch {last}")
    assert all(len(f.history["train_loss"]) == f.best_epoch + 1 for f in fitted)


def test_progress_is_said_after_the_first_epoch_and_each_fifth_part(poor, monkeypatch):
    monkeypatch.setattr(engine, "QUIET_SECONDS", 300)
    lines = []
    quietly([student(poor, "direct")], poor, 10, progress=lines.append)
    said = [re.fullmatch(r"epoch +(\d+) of 10 .* s, about \d+ s left", line) for line in lines[:-1]]
    assert [int(match[1]) for match in said] == [1, 2, 4, 6, 8, 10]


def test_progress_gives_the_mean_score_of_the_members_that_still_train(poor, monkeypatch):
    """Of those that trained last, where none does any longer."""
    monkeypatch.setattr(engine, "QUIET_SECONDS", -1)
    lines = []
    members = mixed_members(poor)[:-1]  # without the one whose score is not an ROC-AUC
    curves = [f.history["validation_roc_auc"] for f in quietly(members, poor, 200, patience=2, progress=lines.append)]
    for epoch, line in enumerate(lines[:-1], 1):
        training_on = [curve[epoch - 1] for curve in curves if len(curve) > epoch]
        there = training_on or [curve[epoch - 1] for curve in curves if len(curve) == epoch]
        shown = float(line.split("validation ROC-AUC")[1].split()[0])
        assert shown == pytest.approx(np.mean(there), abs=0.0006), line


# ---------------------------------------------------------------------------------------- (c) common random numbers


def test_all_methods_of_a_seed_share_initial_weights_batches_and_masks(poor, stacks):
    members = [student(poor, method, seed) for seed in (0, 1) for method in STUDENT_METHODS]
    quietly(members, poor)
    (stack,) = stacks
    flat = stack.steps[0][0].view(2, len(STUDENT_METHODS), -1)
    assert (flat == flat[:, :1]).all()
    assert (flat[0] != flat[1]).any()
    for _, x, masks in stack.steps:
        for by_member in (x, *masks):
            one_seed, other = by_member[: len(STUDENT_METHODS)], by_member[len(STUDENT_METHODS) :]
            for of_a_seed in (one_seed, other):
                assert all(tensor is of_a_seed[0] for tensor in of_a_seed)  # made once, not only equal
            assert (one_seed[0] != other[0]).any()


def test_methods_of_a_seed_share_them_in_runs_of_their_own_too(poor, stacks):
    for method in ("direct", "rdpd"):
        quietly([student(poor, method, seed=3)], poor)
    direct, rdpd = stacks
    assert torch.equal(direct.steps[0][0], rdpd.steps[0][0])
    for (_, x, masks), (_, other_x, other_masks) in zip(direct.steps, rdpd.steps, strict=True):
        assert torch.equal(x[0], other_x[0])
        assert all(torch.equal(mask[0], other[0]) for mask, other in zip(masks, other_masks, strict=True))


def test_masks_are_fair_coins_that_differ_by_step_epoch_and_seed(poor, stacks):
    quietly([student(poor, "direct", seed) for seed in (0, 1)], poor, epochs=2)
    steps = [masks for _, _, masks in stacks[0].steps]
    assert len(steps) == 4  # two an epoch
    shapes = mask_shapes(poor.spec, "hr")
    drawn = []
    for masks in steps:
        for mask, shape in zip(masks, shapes, strict=True):
            assert [one.shape for one in mask] == [(128, *shape)] * 2
            drawn += [one.float() for one in mask]
            assert all(set(one.unique().tolist()) == {0, 1} for one in mask)
    for i, mask in enumerate(drawn):
        assert mask.mean().item() == pytest.approx(0.5, abs=0.01)
        for other in drawn[:i]:
            assert (mask == other).float().mean().item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_noise_of_amplitude_zero_is_no_noise(kind, poor):
    plain, silent = student(poor), student(poor, noise=0.0, noise_kind=kind)
    (a,), (b,) = quietly([plain], poor), quietly([silent], poor)
    same(a, b, **BIT_EQUAL)
    loud = student(poor, noise=1.0, noise_kind=kind)
    same(quietly([silent, loud], poor)[0], quietly([plain, plain], poor)[0], **BIT_EQUAL)


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_noise_is_added_to_standardised_values_in_training_and_prediction(kind, poor, stacks):
    """Levels of one seed share one draw: x' = x + amplitude * noise."""
    members = [student(poor, "direct", noise=amplitude, noise_kind=kind) for amplitude in (0.0, 0.5, 2.0)]
    fitted = quietly(members, poor, epochs=1)
    noise = noise_series(poor, 0, kind).numpy()
    batch = epoch_order(members[0].train, 0, 0)[:128]
    rows = poor.start[batch][:, None] + np.arange(poor.spec.length)
    clean = standardise(poor[batch], members[0].mean, members[0].std)
    _, x, _ = stacks[0].steps[0]
    for e, member in enumerate(members):
        got = x[e].flatten(1, 2)  # (B, l, D): every sample of a segment is read here
        np.testing.assert_allclose(got, clean + member.noise * noise[rows], rtol=0, atol=1e-5)

    test = split(poor, 0).test
    got = predict(fitted, poor, [test] * 3, "cpu")
    rows = poor.start[test][:, None] + np.arange(poor.spec.length)
    clean = standardise(poor[test], members[0].mean, members[0].std)
    for one, probability in zip(fitted, got, strict=True):
        with torch.no_grad():
            _, logits = one.model(torch.from_numpy(clean + np.float32(one.member.noise) * noise[rows]))
        np.testing.assert_allclose(probability, logits.softmax(-1), atol=1e-5)


def test_masks_follow_the_seed_whatever_the_order_of_the_seeds(poor):
    """Each seed once, in falling order, and with training sets that change the order inside the stack."""
    parts = split(poor, 0)
    tasks = [(2, parts.train), (0, parts.train[:100]), (1, parts.train[:150])]
    members = [make_member(poor, parts, seed, "direct", train=train) for seed, train in tasks]
    together = quietly(members, poor, epochs=1)
    for fitted, member in zip(together, members, strict=True):
        (alone,) = quietly([member], poor, epochs=1)
        assert fitted.history["train_loss"] == pytest.approx(alone.history["train_loss"], rel=1e-5)


def test_inputs_of_training_are_what_standardise_gives(poor, stacks):
    series = poor.series.copy()
    series[::7] = np.nan
    missing = replace(poor, series=series)
    member = student(missing, "direct")
    quietly([member], missing, epochs=1)
    batch = epoch_order(member.train, 0, 0)[:128]
    _, x, _ = stacks[0].steps[0]
    expected, got = standardise(missing[batch], member.mean, member.std), x[0].flatten(1, 2).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    assert (expected == 0).any()
    assert (got == 0)[np.isnan(missing[batch])].all()
