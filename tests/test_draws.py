"""What a seed draws: the order of the training windows, and noise; dropout masks are in test_batches.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import make_windows, quietly, select, student

from rdpd_nb.draws import MaskBits, epoch_order, noise_series, some_recordings
from rdpd_nb.errors import UserError

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_epoch_shuffles_the_training_windows_anew_and_seeds_shuffle_differently():
    train = np.arange(100, 400, 3)
    orders = [epoch_order(train, seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), train)
    assert len({order.tobytes() for order in orders}) == 6
    np.testing.assert_array_equal(epoch_order(train, 1, 2), orders[-1])


# --------------------------------------------------------------------------------------------- rich data, Figure 2

LONG = np.repeat(np.arange(40), np.arange(1, 41))  # recordings of 1 to 40 windows
SINGLE = np.arange(600)  # each window a recording of its own, as in CinC 2012
# Each recording's class: of the long ones eight of each of five; of the single ones 10, 60, 230 and 300 of four.
KINDS = {
    "long": (LONG, (np.arange(40) % 5)[LONG]),
    "single": (SINGLE, np.random.default_rng(0).permutation(np.repeat(np.arange(4), (10, 60, 230, 300)))),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def one_by_one(recording, label, train, fraction, seed) -> set[int]:
    """The recordings taken, by the rule in words: next is one of the class of which the least share is taken."""
    found = list(np.random.default_rng(seed).permutation(np.unique(recording[train])))
    of = {r: label[recording == r][0] for r in found}
    size = {r: int((recording[train] == r).sum()) for r in found}
    whole = {c: sum(size[r] for r in found if of[r] == c) for c in of.values()}
    taken = []
    while sum(size[r] for r in taken) < fraction * len(train) - 0.5 or {of[r] for r in taken} != set(whole):
        share = {c: sum(size[r] for r in taken if of[r] == c) / whole[c] for c in whole}
        left = [r for r in found if r not in taken]
        taken.append(min(left, key=lambda r: (share[of[r]], left.index(r))))
    return set(taken)


@every_kind
@pytest.mark.parametrize("seed", range(3))
def test_the_recordings_taken_are_those_of_the_rule_in_words(kind, seed):
    recording, label = KINDS[kind]
    train = np.flatnonzero(recording % 4 != 0)
    for fraction in (0.001, 0.05, 0.3, 0.9):
        kept = some_recordings(recording, label, train, fraction, seed)
        assert set(recording[kept]) == one_by_one(recording, label, train, fraction, seed)


@every_kind
@pytest.mark.parametrize("seed", range(3))
def test_a_fraction_of_the_training_windows_is_of_whole_recordings_and_part_of_every_larger_one(kind, seed):
    recording, label = KINDS[kind]
    train = np.flatnonzero(recording % 4 != 0)
    longest = np.bincount(recording[train]).max()
    sets = [some_recordings(recording, label, train, fraction, seed) for fraction in (0.1, 0.4, 0.8, 1.0)]
    for fraction, kept in zip((0.1, 0.4, 0.8, 1.0), sets, strict=True):
        np.testing.assert_array_equal(kept, train[np.isin(recording[train], recording[kept])])
        every_class_once = len(np.unique(label[train])) * longest if fraction == 0.1 else 0
        assert -0.5 <= len(kept) - fraction * len(train) < max(longest, every_class_once) + 0.5, "not one more"
    assert all(set(one) < set(two) for one, two in zip(sets, sets[1:], strict=False))
    np.testing.assert_array_equal(sets[-1], train)


@every_kind
@pytest.mark.parametrize("fraction", [1e-6, 0.01, 0.1, 0.3])
def test_every_class_is_kept_at_every_fraction(kind, fraction):
    recording, label = KINDS[kind]
    train = np.flatnonzero(recording % 4 != 0)
    classes = np.unique(label[train])
    for seed in range(20):
        kept = some_recordings(recording, label, train, fraction, seed)
        np.testing.assert_array_equal(np.unique(label[kept]), classes)
        if fraction == 1e-6:
            assert len(np.unique(recording[kept])) == len(classes), "one recording of each"


def test_classes_keep_their_proportions_where_each_window_is_a_recording():
    recording, label = KINDS["single"]
    train = np.flatnonzero(recording % 4 != 0)
    whole = np.bincount(label[train])
    for fraction in (0.05, 0.2, 0.5, 0.8):
        of_class = np.bincount(label[some_recordings(recording, label, train, fraction, 1)])
        assert (abs(of_class - fraction * whole) <= 1.5).all(), (of_class, fraction * whole)


def test_what_lies_outside_the_training_windows_changes_nothing():
    recording, label = (np.concatenate([a, a]) for a in KINDS["single"])
    recording[600:] += 600
    train = np.arange(0, 600, 2)
    kept = some_recordings(recording, label, train, 0.2, 0)
    label[600:] = 3
    np.testing.assert_array_equal(some_recordings(recording, label, train, 0.2, 0), kept)
    np.testing.assert_array_equal(some_recordings(recording[:600], label[:600], train, 0.2, 0), kept)


def test_seeds_take_other_recordings():
    recording, label = np.repeat(np.arange(20), 5), np.repeat(np.arange(20) % 2, 5)
    assert len({some_recordings(recording, label, np.arange(100), 0.3, seed).tobytes() for seed in range(4)}) == 4


# ------------------------------------------------------------------------------------------------------ (g) noise


def test_uniform_noise_fills_minus_one_to_one_and_normal_noise_has_deviation_one():
    windows = replace(select(make_windows(), "bp"), series=np.zeros((50_000, 2), np.float32))
    uniform, normal = (noise_series(windows, 3, kind) for kind in ("uniform", "normal"))
    assert uniform.abs().max() <= 1
    assert (uniform.min(), uniform.max()) == (pytest.approx(-1, abs=1e-3), pytest.approx(1, abs=1e-3))
    assert uniform.std().item() == pytest.approx(3**-0.5, abs=0.01)
    assert normal.std().item() == pytest.approx(1, abs=0.01)
    assert normal.abs().max() > 3
    for noise in (uniform, normal):
        assert noise.mean().item() == pytest.approx(0, abs=0.01)


def test_noise_is_drawn_by_seed():
    windows = make_windows()
    first, again, other = (noise_series(windows, seed, "normal") for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert (first - other).abs().mean(0).min() > 1  # of two independent normals: 1.13


def test_a_channel_has_the_same_noise_in_every_view_and_each_its_own():
    rich = make_windows()
    noise = noise_series(rich, 3, "normal")
    for view, channels in rich.spec.views.items():
        assert torch.equal(noise_series(select(rich, view), 3, "normal"), noise[:, list(channels)])
    assert (noise.T.corrcoef() - torch.eye(noise.shape[1])).abs().max() < 0.1


def test_an_unknown_kind_of_noise_is_refused(poor):
    with pytest.raises(UserError, match="'pink' is unknown; use 'normal' or 'uniform'"):
        noise_series(poor, 0, "pink")
    with pytest.raises(UserError, match="'pink' is unknown"):
        quietly([student(poor, noise=0.5, noise_kind="pink")], poor)


# ----------------------------------------------------------------------------------------- the same seeds for ever


def test_what_a_seed_draws_are_these_numbers():
    """Other ones would make all committed results another draw's; who changes them says so in CHANGELOG.md."""
    assert epoch_order(np.arange(10), 3, 1).tolist() == [6, 1, 2, 8, 7, 5, 4, 3, 9, 0]
    bits = MaskBits(3, 1, [(2, 4, 8)])
    bits.draw()
    assert bits.draw()[0][:6].tolist() == [149, 113, 137, 66, 134, 197]
    windows = make_windows()
    normal, uniform = (noise_series(windows, 3, kind)[0, :3].tolist() for kind in ("normal", "uniform"))
    assert normal == pytest.approx([2.299113, 1.372375, -1.152099], abs=1e-6)
    assert uniform == pytest.approx([0.904642, 0.263916, 0.536278], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_classes_of_the_same_share_are_taken_in_the_order_drawn_however_many_there_are(seed):
    """Forty classes of three recordings each: most shares are equal, and only a stable sort keeps the order."""
    recording = np.arange(120)
    kept = some_recordings(recording, recording // 3, recording, 0.5, seed)
    assert set(kept) == one_by_one(recording, recording // 3, recording, 0.5, seed)
