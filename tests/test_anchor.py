"""Logistic regression beside the networks: its features by hand, its scores on problems with known answers."""

import warnings

import numpy as np
import pytest
from made_up import make_windows

from rdpd_nb import anchor
from rdpd_nb.data import SPECS, Windows, split
from rdpd_nb.evaluation import scores

NAN = np.nan
SPEC = SPECS["uci_har"]  # nine channels, 128 samples, six classes, an official test part


def windows_of(x: np.ndarray, label: np.ndarray, subject: np.ndarray | None = None) -> Windows:
    subject = np.arange(len(x)) if subject is None else subject
    part = np.where(subject % 3, "train", "test")
    return Windows.from_arrays(SPEC, x, label, subject, part=part)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, SPEC.length, len(SPEC.channels))).astype(np.float32)


def given_away(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise, and labels: class c has another level in channel c, which few test windows can hide."""
    label = np.random.default_rng(1).permutation(np.arange(n) % 6)
    x = noise(n)
    x[..., :6] += label[:, None, None] == np.arange(6)
    return x, label


def test_features_of_a_channel_by_hand():
    x = np.zeros((2, SPEC.length, len(SPEC.channels)), np.float32)
    x[0, :, 0] = 5
    x[0, :4, 0] = [1, 3, 0, 5]  # steps of 2, 3, 5, and none after
    x[1, :, 1] = NAN
    x[1, [2, 3, 9], 1] = [4, 1, 7]  # one step between neighbours, 3; then nothing
    x[1, :, 2] = NAN
    found = anchor.features(windows_of(x, np.zeros(2, int)))
    assert found.shape == (2, 9, 7) and found.dtype == np.float32
    mean = (9 + 124 * 5) / 128
    deviation = np.sqrt(((1 - mean) ** 2 + (3 - mean) ** 2 + mean**2 + 125 * (5 - mean) ** 2) / 128)
    np.testing.assert_allclose(found[0, 0], [mean, deviation, 0, 5, 5, 10 / 127, 0], rtol=1e-5)
    np.testing.assert_allclose(found[1, 1], [4, np.sqrt(6), 1, 7, 7, 3, 125 / 128], rtol=1e-5)
    np.testing.assert_array_equal(found[1, 2], [NAN] * 6 + [1])


def test_what_is_never_missing_has_no_share_missing():
    windows = windows_of(noise(3), np.zeros(3, int))
    assert anchor.features(windows).shape == (3, 9, 6)


def test_many_windows_have_the_features_of_each():
    windows = windows_of(noise(1100), np.zeros(1100, int))
    found = anchor.features(windows)
    assert len(found) == 1100
    x = windows[np.array([0, 511, 512, 1099])]
    np.testing.assert_allclose(found[[0, 511, 512, 1099], :, 0], x.mean(1), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found[[0, 511, 512, 1099], :, 4], x[:, -1])


def test_classes_that_channels_give_away_are_found_and_shuffled_labels_are_not():
    x, label = given_away(600)
    seeds = {seed: split(windows_of(x, label), seed) for seed in (0, 1)}
    for entry in anchor.fit_anchor(windows_of(x, label), seeds):
        assert min(entry[name] for name in ("roc_auc", "pr_auc", "macro_f1", "macro_f1_argmax")) > 0.97
    shuffled = windows_of(x, np.random.default_rng(2).permutation(label))
    for entry in anchor.fit_anchor(shuffled, seeds):
        assert entry["roc_auc"] == pytest.approx(0.5, abs=0.08)


def test_only_the_view_that_has_the_channel_finds_the_class_and_every_view_is_there():
    label = np.random.default_rng(1).permutation(np.arange(600) % 6)
    x, gyro = noise(600), list(SPEC.views["gyro"])
    x[..., gyro] *= 1 + (label[:, None, None] % 3 == np.arange(3)) + 3 * (label[:, None, None] > 2)  # deviations alone
    windows = windows_of(x, label)
    seeds = {0: split(windows, 0)}
    found = anchor.fit_views(windows, seeds)
    assert list(found) == list(SPEC.views)
    assert found["all"][0]["roc_auc"] > 0.97 and found["gyro"][0]["roc_auc"] > 0.97
    assert found["acc"][0]["roc_auc"] == pytest.approx(0.5, abs=0.08)
    for view, entries in found.items():
        assert entries == anchor.fit_anchor(windows.select(view), seeds)


def test_an_entry_holds_what_a_record_needs_and_what_was_scored_is_the_test_part():
    (x, label), subject = given_away(300), np.arange(300) // 2
    label[subject % 3 == 0] = 5 - label[subject % 3 == 0]  # the tested people's labels are the other way round
    windows = windows_of(x, label, subject)
    parts = split(windows, 4)
    (entry,) = anchor.fit_anchor(windows, {4: parts})
    assert set(entry) >= {"seed", "classes_absent", "C", "counts", *scores(np.full((6, 6), 1 / 6), np.arange(6))}
    assert entry["seed"] == 4 and entry["counts"] == parts.counts() and entry["C"] in anchor.STRENGTHS
    assert entry["roc_auc"] < 0.4, "of validation or training windows it would be near 1"


def test_people_of_one_class_and_many_windows_are_scored_too():
    subject = np.repeat(np.arange(120), 4)
    x = noise(480)
    label = subject // 3 % 6
    x[..., :6] += 0.15 * (label[:, None, None] == np.arange(6))
    windows = windows_of(x, label, subject)
    (entry,) = anchor.fit_anchor(windows, {0: split(windows, 0)})
    assert entry["person_roc_auc"] > entry["roc_auc"] + 0.02


def test_missing_features_are_the_training_mean_and_a_channel_nobody_has_changes_nothing():
    x, label = given_away(300)
    x[5, :, 0] = NAN
    seeds = {0: split(windows_of(x, label), 0)}
    without = x.copy()
    x[..., 8] = NAN
    without[..., 8] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (never,) = anchor.fit_anchor(windows_of(x, label), seeds)
        (zero,) = anchor.fit_anchor(windows_of(without, label), seeds)
    assert never["roc_auc"] == pytest.approx(zero["roc_auc"], abs=2e-3) and never["roc_auc"] > 0.97


def test_a_class_that_training_lacks_has_no_probability():
    _, label = given_away(300)
    train = np.flatnonzero(label != 2)[:100]
    probability = anchor._fit(np.zeros((300, 4), np.float32), label, train, 6, 1.0)
    assert not probability[:, 2].any() and probability[:, 3].all()
    np.testing.assert_allclose(probability.sum(1), 1, rtol=1e-6)


def test_made_up_windows_of_any_data_set_have_an_anchor():
    windows = make_windows("mimic3", n=120)
    found = anchor.fit_views(windows, {0: split(windows, 0)})
    assert {view: len(entries) for view, entries in found.items()} == dict.fromkeys(windows.spec.views, 1)
    assert found["all"][0]["roc_auc"] > 0.95
