"""Every switch of paper.Protocol has an effect, and the one it should have."""

import json
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import yaml
from made_up import loss_rows, make_knowledge, make_windows, select
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from scipy.special import rel_entr

from rdpd_nb.data import SPECS, split, standardise
from rdpd_nb.draws import dropout_masks, epoch_order, mask_shapes
from rdpd_nb.engine import shards
from rdpd_nb.knowledge import extract_knowledge
from rdpd_nb.models import RCNN
from rdpd_nb.paper import NOT_RELEASED, SWITCHES, Protocol
from rdpd_nb.training import fit, make_member

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[1]


def train(windows, method="rdpd", epochs=1, rows=None, **switches):
    """One member of seed 0 trained under a protocol."""
    windows = windows.under(Protocol(**switches))
    parts = split(windows, 0)
    train = parts.train[:rows]
    knowledge = make_knowledge(windows, train) if method not in ("teacher", "direct") else None
    member = make_member(windows, replace(parts, train=train), 0, method, knowledge)
    return fit([member], windows, epochs, device="cpu", progress=lambda line: None)[0], windows


@pytest.fixture(scope="module")
def poor():
    return select(make_windows(), "hr")


def test_the_profile_named_released_sets_every_switch_of_the_code():
    profile = yaml.safe_load((ROOT / "profiles" / "released.yaml").read_text())
    assert profile["switches"] == {name: v[1] for name, v in SWITCHES.items() if name not in NOT_RELEASED}
    assert Protocol(**profile["switches"]) != Protocol()
    assert (profile["epochs"], len(profile["seeds"]), profile["sweeps"]["noise_kind"]) == (10, 1, "uniform")


def test_knowledge_of_training_mode_is_what_the_teacher_said_with_dropout_on():
    rich = make_windows()
    fitted, windows = train(rich, "teacher", knowledge="training")
    (knowledge,) = extract_knowledge([fitted], windows, "cpu")
    np.testing.assert_allclose(knowledge.soft_labels.sum(1), 1, atol=1e-5)

    # The first batch of the first epoch, by hand: initial weights, the first masks of the seed.
    batch = epoch_order(fitted.member.train, 0, 0)[:128]
    x = torch.from_numpy(standardise(windows[batch], fitted.member.mean, fitted.member.std))
    masks = next(dropout_masks(0, 0, mask_shapes(windows.spec, "all")))
    log_a, logits = RCNN(windows.spec, "all", seed=0)(x, masks)
    row = {window: i for i, window in enumerate(knowledge.window)}
    at = [row[window] for window in batch]
    np.testing.assert_allclose(knowledge.soft_labels[at], (logits / 2.5).softmax(-1).detach(), atol=1e-5)
    np.testing.assert_allclose(knowledge.attention[at], log_a.exp().detach(), atol=1e-5)

    (clean,) = extract_knowledge([replace(fitted, said_in_training=None)], rich, "cpu")
    assert np.abs(clean.soft_labels - knowledge.soft_labels).max() > 1e-3


def test_knowledge_of_training_mode_is_of_the_best_epoch():
    rich = make_windows()
    longer, windows = train(rich, "teacher", epochs=6, knowledge="training")
    until_best, _ = train(rich, "teacher", epochs=longer.best_epoch, knowledge="training")
    a, b = (extract_knowledge([f], windows, "cpu")[0] for f in (longer, until_best))
    np.testing.assert_array_equal(a.soft_labels, b.soft_labels)


@pytest.mark.parametrize(("order", "epochs"), [("each_epoch", [0, 1, 2]), ("once", [0, 0, 0])])
def test_batches_are_shuffled_each_epoch_or_once(poor, monkeypatch, order, epochs):
    seen = []
    original = shards.epoch_batches
    monkeypatch.setattr(shards, "epoch_batches", lambda *a: seen.append(a[-1]) or original(*a))
    train(poor, "direct", epochs=3, batch_order=order)
    assert seen == epochs


def test_attention_divergence_runs_either_way():
    rng = np.random.default_rng(0)
    a_student, a_teacher = rng.dirichlet(np.ones(4), (2, 5))
    given = {
        "logits": torch.zeros(5, 3),
        "log_attention": torch.from_numpy(a_student).log(),
        "combine": torch.tensor([0.5, 0.5, 0.0]),
        "y": torch.zeros(5, dtype=torch.long),
        "temperature": 5.0,
        "a_teacher": torch.from_numpy(a_teacher),
    }
    there = loss_rows(("attention",), **given)["attention"]
    back = loss_rows(("attention",), **given, protocol=Protocol(attention_kl="teacher_student"))["attention"]
    np.testing.assert_allclose(there, rel_entr(a_student, a_teacher).sum(1))
    np.testing.assert_allclose(back, rel_entr(a_teacher, a_student).sum(1))


def test_short_batch_over_128_weighs_soft_and_attention_less_and_nothing_else(poor):
    rows = 100  # one batch, a short one: the training loss is of the initial weights
    loss = {
        (method, short): train(poor, method, rows=rows, short_batch=short)[0].history["train_loss"][0]
        for method in ("direct", "kd", "rdpd_r1", "rdpd_r2")
        for short in ("mean", "over_128")
    }
    assert loss["direct", "mean"] == pytest.approx(loss["direct", "over_128"], rel=1e-6)
    soft = loss["kd", "mean"] - loss["direct", "mean"]
    attention = loss["rdpd_r2", "mean"] - loss["kd", "mean"]
    combined = loss["rdpd_r1", "mean"] - loss["kd", "mean"]
    over = {method: loss[method, "over_128"] - loss["direct", "mean"] for method in ("kd", "rdpd_r1", "rdpd_r2")}
    assert over["kd"] == pytest.approx(soft * rows / 128, rel=1e-4)
    assert over["rdpd_r2"] == pytest.approx((soft + attention) * rows / 128, rel=1e-4)
    assert over["rdpd_r1"] == pytest.approx(soft * rows / 128 + combined, rel=1e-4)


def test_a_full_batch_is_the_same_either_way(poor):
    same = [train(poor, "rdpd", rows=128, short_batch=s)[0].history["train_loss"] for s in ("mean", "over_128")]
    assert same[0] == pytest.approx(same[1], rel=1e-6)


def test_temperature_of_the_code_is_5_everywhere():
    assert {d: Protocol(temperature="5").adapt(s).temperature for d, s in SPECS.items()} == dict.fromkeys(SPECS, 5.0)
    assert Protocol().adapt(SPECS["mimic3"]).temperature == 2.5


def test_pamap2_validates_and_tests_on_the_other_subject():
    one, other = (Protocol(pamap2_held_out=v).adapt(SPECS["pamap2"]) for v in SWITCHES["pamap2_held_out"])
    assert (one.validation_subjects, one.test_subjects) == ((105,), (101,))
    assert (other.validation_subjects, other.test_subjects) == ((101,), (105,))


def test_mimic3_split_holds_out_a_tenth_or_a_twentieth_of_the_subjects():
    windows = make_windows(n=200)
    for value, count in (("80_10_10", 20), ("90_5_5", 10)):
        parts = split(windows.under(Protocol(mimic3_split=value)), 0)
        assert [len(parts.subjects[p]) for p in ("validation", "test")] == [count, count]
        assert len(parts.subjects["train"]) == 200 - 2 * count


def test_teacher_temperature_is_in_the_loss_of_eq_8_or_not():
    logits, y = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([1])
    given = {"logits": logits, "log_attention": logits, "combine": logits[0], "y": y, "temperature": 5.0}
    at_t = loss_rows(("teacher",), **given)["teacher"]
    at_1 = loss_rows(("teacher",), **given, protocol=Protocol(teacher_temperature="1"))["teacher"]
    torch.testing.assert_close(at_t, -(logits / 5).log_softmax(-1)[:, 1])
    torch.testing.assert_close(at_1, -logits.log_softmax(-1)[:, 1])


def test_soft_scale_takes_the_factor_of_eq_12_away():
    logits, p = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([[0.5, 0.3, 0.2]])
    given = {"logits": logits, "log_attention": logits, "combine": logits[0], "y": torch.tensor([1]), "p_teacher": p}
    scaled = loss_rows(("soft",), **given, temperature=5.0)["soft"]
    plain = loss_rows(("soft",), **given, temperature=5.0, protocol=Protocol(soft_scale="1"))["soft"]
    torch.testing.assert_close(scaled, 25 * plain)
    torch.testing.assert_close(plain, -(p * (logits / 5).log_softmax(-1)).sum(-1))


@pytest.mark.parametrize("noise_on", SWITCHES["noise_on"])
def test_noise_on_all_channels_trains_noisy_teachers_where_the_text_takes_the_clean_one(tmp_path, noise_on, data_home):
    """No teacher has been run: the text's protocol says so, the code's trains one for each level."""
    book = nbformat.read(ROOT / "notebooks" / "09_noise_robustness.ipynb", 4)
    chosen = {
        "dataset": "ptbdb",
        "view": "lead_i",
        "source": "simulated",
        "scale": 0.0,
        "seeds": [0],
        "epochs": 1,
        "patience": 0,
    }
    chosen |= {"amplitudes": [0.0, 1.0], "results": str(tmp_path), "profile": "test", "device": "cpu"}
    chosen |= {"switches": {"noise_on": noise_on}}
    cell = next(c for c in book.cells if "parameters" in c.metadata.get("tags", []))
    cell.source += "".join(f"\n{name} = {value!r}" for name, value in chosen.items())
    client = NotebookClient(book, timeout=120, kernel_name="python3", resources={"metadata": {"path": ROOT}})
    if noise_on == "poor_view":
        with pytest.raises(CellExecutionError, match="no teacher's knowledge"):
            client.execute()
        return
    client.execute()
    record = json.loads((tmp_path / "test/ptbdb/lead_i/noise_robustness.json").read_text())
    assert len(record["entries"]) == 4
