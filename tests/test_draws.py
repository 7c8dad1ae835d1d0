"""What a seed draws: the order of the training windows, and noise; dropout masks are in test_batches.py."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from made_up import make_windows, quietly, select, student

from rdpd_nb.draws import epoch_order, noise_series, some_recordings
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


@pytest.mark.parametrize("seed", range(3))
def test_a_fraction_of_the_training_windows_is_of_whole_recordings_and_part_of_every_larger_one(seed):
    recording = np.repeat(np.arange(40), np.arange(1, 41))  # the first has one window, the last 40
    train = np.flatnonzero(recording % 4 != 0)
    sets = [some_recordings(recording, train, fraction, seed) for fraction in (0.1, 0.4, 0.8, 1.0)]
    for fraction, kept in zip((0.1, 0.4, 0.8, 1.0), sets, strict=True):
        np.testing.assert_array_equal(kept, train[np.isin(recording[train], recording[kept])])
        assert 0 <= len(kept) - fraction * len(train) < 40.5, "enough, and not a recording more"
    assert all(set(one) < set(two) for one, two in zip(sets, sets[1:], strict=False))
    np.testing.assert_array_equal(sets[-1], train)


def test_seeds_take_other_recordings():
    recording = np.repeat(np.arange(20), 5)
    assert len({some_recordings(recording, np.arange(100), 0.3, seed).tobytes() for seed in range(4)}) == 4


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
