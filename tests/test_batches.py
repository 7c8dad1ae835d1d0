"""What a stack is fed: windows against `standardise` and slicing, who shares a tensor with whom, dropout masks."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import make_windows, select

from rdpd_nb.data import SPECS
from rdpd_nb.data.windows import Windows, standardise
from rdpd_nb.draws import MaskBits, dropout_masks, epoch_order, mask_shapes, noise_series, read_samples
from rdpd_nb.engine import batches
from rdpd_nb.engine.batches import Inputs, Masks, epoch_batches

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")


def holed(dataset: str, view: str) -> Windows:
    """Windows with missing and infinite values, and 7 rows before the first window."""
    windows = select(make_windows(dataset, n=30), view)
    series = np.concatenate([np.full((7, windows.series.shape[1]), 1e6, np.float32), windows.series])
    rng = np.random.default_rng(0)
    series[rng.random(series.shape) < 0.1] = np.nan
    series[rng.random(series.shape) < 0.01] = np.inf
    return replace(windows, series=series, start=windows.start + 7)


# Two convolutions of which the first leaves samples unread; one convolution, one channel; one convolution, more.
MADE = {view: holed(dataset, view) for dataset, view in (("ptbdb", "lead_i"), ("mimic3", "hr"), ("uci_har", "acc"))}


def make_member(windows: Windows, scale: int = 0, seed: int = 0, noise: float = 0.0, kind: str = "normal"):
    d = windows.series.shape[1]
    mean, std = (np.float32(base + scale + np.arange(d)) for base in (80, 12))
    return SimpleNamespace(mean=mean, std=std, seed=seed, noise=noise, noise_kind=kind)


def expected_batch(windows: Windows, member, index: np.ndarray) -> np.ndarray:
    """Segments (B, M, S, D) as far as they are read: standardised, plus amplitude times noise."""
    spec = windows.spec
    x = standardise(windows[index], member.mean, member.std)
    if member.noise:
        rows = windows.start[index][:, None] + np.arange(spec.length)
        x = x + np.float32(member.noise) * noise_series(windows, member.seed, member.noise_kind).numpy()[rows]
    read = read_samples(spec.segment, spec.kernel, spec.stride, len(spec.size(windows.view).filters))[0]
    return x.reshape(len(index), spec.segments, spec.segment, -1)[:, :, :read]


a_member = st.builds(
    dict,
    scale=st.integers(0, 1),
    seed=st.integers(0, 2),
    noise=st.sampled_from([0.0, 0.5, 2.0]),
    kind=st.sampled_from(["normal", "uniform"]),
)


@settings(max_examples=60, deadline=None)
@given(
    view=st.sampled_from(list(MADE)),
    options=st.lists(a_member, min_size=1, max_size=4),
    ahead=st.booleans(),
    rows=st.integers(1, 9),
    data=st.data(),
)
def test_batches_are_the_standardised_noisy_windows_cut_into_segments(view, options, ahead, rows, data):
    windows = MADE[view]
    members = [make_member(windows, **option) for option in options]
    which = data.draw(st.lists(st.integers(0, len(members) - 1), min_size=1, max_size=5))
    same = [data.draw(st.integers(0, 1)) for _ in members]
    orders = np.random.default_rng(rows).integers(len(windows), size=(2, rows))
    index = np.stack([orders[same[e]] for e in which])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "STANDARDISED_BYTES", 1 << 30 if ahead else 0)
        inputs = Inputs(windows, members, CPU)
    assert (inputs.scales is None) == ahead
    before = windows.series.copy()
    got = inputs.batch(which, torch.from_numpy(index), same)
    for e, x, i in zip(which, got, index, strict=True):
        expected = expected_batch(windows, members[e], i)
        assert x.shape == expected.shape
        np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-5)
    for a, first in zip(which, got, strict=True):  # one tensor where all is equal, else two
        for b, second in zip(which, got, strict=True):
            mine, yours = options[a], options[b]
            alike = same[a] == same[b] and mine["scale"] == yours["scale"] and mine["noise"] == yours["noise"]
            if mine["noise"]:
                alike = alike and (mine["seed"], mine["kind"]) == (yours["seed"], yours["kind"])
            assert (first is second) == alike
    np.testing.assert_array_equal(windows.series, before)  # the caller's values are left as they are


@pytest.mark.parametrize("room", [1 << 30, 0], ids=["ahead", "each batch by itself"])
def test_what_is_not_a_number_counts_as_the_mean(room, monkeypatch):
    monkeypatch.setattr(batches, "STANDARDISED_BYTES", room)
    windows = MADE["hr"]
    (x,) = Inputs(windows, [make_member(windows)], CPU).batch([0], torch.arange(30)[None], [0])
    gone = ~np.isfinite(windows[np.arange(30)])
    assert 0.05 < gone.mean() < 0.2
    assert (x.flatten(1, 2).numpy()[gone] == 0).all()


def test_there_is_room_ahead_for_as_many_standardised_series_as_are_distinct(monkeypatch):
    windows = MADE["hr"]
    one, other = make_member(windows), make_member(windows, scale=1)
    monkeypatch.setattr(batches, "STANDARDISED_BYTES", windows.series.nbytes)
    assert Inputs(windows, [one, one, one], CPU).scales is None
    assert Inputs(windows, [one, other], CPU).scales is not None


@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=4), epoch=st.integers(0, 3), seed=st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_an_epoch_has_every_training_window_once_and_weights_that_make_means(sizes, epoch, seed):
    trains = [np.arange(size) * 3 + 1 for size in sizes]
    seeds = [seed + e for e in range(len(sizes))]
    index, weight = epoch_batches(trains, seeds, epoch)
    assert index.shape == weight.shape == (len(sizes), -(-max(sizes) // 128), 128)
    for train, s, i, w in zip(trains, seeds, index, weight, strict=True):
        np.testing.assert_array_equal(i[w > 0], epoch_order(train, s, epoch))
        sums = w.sum(1)
        steps = -(-len(train) // 128)
        np.testing.assert_allclose(sums, [1.0] * steps + [0.0] * (len(sums) - steps), rtol=1e-5)
        assert all(len(set(row[row > 0])) <= 1 for row in w)


# ------------------------------------------------------------------------------------------------------- masks

SHAPES = mask_shapes(SPECS["ptbdb"], "lead_i")


def test_masks_are_the_unpacked_bits():
    masks, alone = Masks([3, 5], 2, SHAPES), {seed: dropout_masks(seed, 2, SHAPES) for seed in (3, 5)}
    bits = {seed: MaskBits(seed, 2, SHAPES) for seed in (3, 5)}
    for _ in range(2):
        drawn = masks.draw([3, 5, 3])
        for e, seed in enumerate((3, 5)):
            rows = zip(drawn, bits[seed].draw(), next(alone[seed]), SHAPES, strict=True)
            for mask, packed, of_one, shape in rows:
                np.testing.assert_array_equal(mask[e], np.unpackbits(packed).reshape(128, *shape))
                assert torch.equal(mask[e], of_one)  # what one model alone is given
        assert all(mask[0] is mask[2] for mask in drawn)


def test_masks_keep_half_in_every_place():
    masks = Masks([0], 0, SHAPES)
    for (mask,) in masks.draw([0]):
        assert mask.float().mean().item() == pytest.approx(0.5, abs=0.01)
        # 128 coins or more a place: six deviations from a half are 0.27 at most.
        for axis in range(4):
            others = tuple(a for a in range(4) if a != axis)
            assert (mask.float().mean(others) - 0.5).abs().max() < 0.27


def test_a_seeds_masks_depend_on_seed_epoch_and_step_alone():
    together, alone = Masks([2, 0, 1], 4, SHAPES), Masks([1], 4, SHAPES)
    for seeds in ([2, 0, 1], [0, 1], [1, 2], [1]):  # as where others have fewer steps, or more
        for mask, expected in zip(together.draw(seeds), alone.draw([1]), strict=True):
            assert torch.equal(mask[seeds.index(1)], expected[0])


def test_masks_of_other_seeds_epochs_and_steps_are_other_masks():
    drawn = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1)):
        masks = Masks([seed], epoch, SHAPES)
        drawn += [masks.draw([seed])[0][0].float() for _ in range(2)]
    for i, mask in enumerate(drawn):
        for other in drawn[:i]:
            assert (mask == other).float().mean().item() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("room", [1 << 30, 0], ids=["ahead", "each batch by itself"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_infinite_on_either_side_counts_as_the_mean(room, value, monkeypatch):
    monkeypatch.setattr(batches, "STANDARDISED_BYTES", room)
    windows = replace(MADE["hr"], series=np.full_like(MADE["hr"].series, value))
    (x,) = Inputs(windows, [make_member(windows)], CPU).batch([0], torch.arange(3)[None], [0])
    assert (x == 0).all()
