"""RCNN against a forward pass written out in numpy; its counts, its seeds, its dropout masks."""

import numpy as np
import pytest
import torch
from made_up_models import FORMS, make_masks, make_model, make_windows, rdpd_loss, segments

from rdpd_nb.data import SPECS
from rdpd_nb.draws import mask_shapes, read_samples
from rdpd_nb.engine.stack import RCNNStack
from rdpd_nb.models import RCNN

pytestmark = pytest.mark.usefixtures("one_thread")

every_form = pytest.mark.parametrize(("dataset", "view"), FORMS)


# --------------------------------------------------------------------------- Eq. 1-5, written out once more in numpy


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """(samples, D) -> (steps, K) with weight (K, D, kernel), no padding."""
    kernel = weight.shape[-1]
    steps = range(0, len(x) - kernel + 1, stride)
    return np.stack([np.einsum("td,kdt->k", x[t : t + kernel], weight) + bias for t in steps])


def run_lstm(h: np.ndarray, w_ih: np.ndarray, w_hh: np.ndarray, b_ih: np.ndarray, b_hh: np.ndarray) -> np.ndarray:
    """(M, K) -> (M, U), one direction; gates stand in the order i, f, g, o."""
    units = w_hh.shape[1]
    state, cell, states = np.zeros(units), np.zeros(units), []
    for step in h:
        gates = w_ih @ step + b_ih + w_hh @ state + b_hh
        i, f, g, o = (gates[n * units : (n + 1) * units] for n in range(4))
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell)
        states.append(state)
    return np.stack(states)


def numpy_rcnn(w: dict[str, np.ndarray], window: np.ndarray, segments: int, convs: int, stride: int):
    """One window (l, D) -> attention (M,) and logits (C,)."""
    h = []
    for segment in np.split(window, segments):
        for i in range(convs):
            segment = np.maximum(convolve(segment, w[f"convs.{i}.weight"], w[f"convs.{i}.bias"], stride), 0)
        h.append(segment.mean(0))
    h = np.stack(h)  # (M, K)
    parts = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    ahead = run_lstm(h, *(w[f"lstm.{part}"] for part in parts))
    back = run_lstm(h[::-1], *(w[f"lstm.{part}_reverse"] for part in parts))[::-1]
    q = np.concatenate([ahead, back], axis=1)  # (M, 2U)
    energy = np.exp(q @ w["attention.weight"][0])
    attention = energy / energy.sum()
    g = sum(a * row for a, row in zip(attention, q, strict=True))
    return attention, w["dense.weight"] @ g + w["dense.bias"]


@every_form
def test_forward_pass_equals_the_equations_written_out_in_numpy(dataset, view):
    spec = SPECS[dataset]
    model, x = make_model(dataset, view).eval(), make_windows(dataset, view, 2)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    log_a, logits = model(x)
    for b in range(len(x)):
        attention, expected = numpy_rcnn(
            weights, x[b].numpy(), spec.segments, len(spec.size(view).filters), spec.stride
        )
        np.testing.assert_allclose(log_a[b].exp().detach(), attention, rtol=1e-10)
        np.testing.assert_allclose(logits[b].detach(), expected, rtol=1e-10, atol=1e-12)


def test_segments_are_consecutive_stretches_of_the_window():
    """A change in one segment reaches the pooled features of that segment alone."""
    spec, model = SPECS["mimic3"], make_model("mimic3", "all").eval()
    x = make_windows("mimic3", "all", 1)
    pooled = []
    model.lstm.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0].detach()))
    model(x)
    x[:, 2 * spec.segment : 3 * spec.segment] += 1
    model(x)
    changed = (pooled[0] != pooled[1]).any(-1)[0]
    assert changed.tolist() == [False, False, True, False]


@every_form
def test_attention_is_a_distribution_over_segments(dataset, view):
    spec = SPECS[dataset]
    log_a, logits = make_model(dataset, view).eval()(make_windows(dataset, view, 3))
    assert log_a.shape == (3, spec.segments)
    assert logits.shape == (3, len(spec.classes))
    torch.testing.assert_close(log_a.exp().sum(-1), torch.ones(3, dtype=torch.float64))


# ------------------------------------------------------------------------------------------------ dropout masks


def test_mask_shapes_are_the_sizes_worked_out_by_hand():
    assert mask_shapes(SPECS["pamap2"], "all") == [(4, 15, 64)]  # (64 - 8) / 4 + 1
    assert mask_shapes(SPECS["pamap2"], "wrist") == [(4, 15, 16)]
    assert mask_shapes(SPECS["ptbdb"], "all") == [(4, 56, 64), (4, 4, 128)]  # 59 computed, 3 * 8 + 32 of them read
    assert mask_shapes(SPECS["ptbdb"], "lead_i") == [(4, 56, 16), (4, 4, 32)]
    assert mask_shapes(SPECS["mimic3"], "bp") == [(4, 5, 16)]  # (12 - 4) / 2 + 1


def test_read_samples_are_the_numbers_worked_out_by_hand():
    assert read_samples(500, 32, 8, 2) == [472, 56, 4]  # 55 * 8 + 32, 3 * 8 + 32, (56 - 32) / 8 + 1
    assert read_samples(500, 32, 8, 1) == [496, 59]
    assert read_samples(12, 4, 2, 1) == [12, 5]


def outputs_of_the_convolutions(model: RCNN, x: torch.Tensor) -> list[torch.Tensor]:
    outputs = []
    hooks = [conv.register_forward_hook(lambda _, inputs, output: outputs.append(output)) for conv in model.convs]
    model(x)
    for hook in hooks:
        hook.remove()
    return outputs


@every_form
def test_mask_shapes_are_those_of_the_convolutions_outputs_as_far_as_they_are_read(dataset, view):
    model, x = make_model(dataset, view), make_windows(dataset, view, 3)
    for i, (output, (m, samples, filters)) in enumerate(
        zip(outputs_of_the_convolutions(model, x), mask_shapes(SPECS[dataset], view), strict=True)
    ):
        assert output.shape[:2] == (3 * m, filters)
        assert output.shape[2] == ({"ptbdb": 59, "brugada": 22}.get(dataset, samples) if i == 0 else samples)


@every_form
def test_samples_read_are_all_that_matter_and_each_of_them_does(dataset, view):
    spec, model = SPECS[dataset], make_model(dataset, view).eval()
    read = read_samples(spec.segment, spec.kernel, spec.stride, len(model.convs))[0]
    x = segments(dataset, make_windows(dataset, view, 2)).requires_grad_()
    model(x.flatten(1, 2))[1].sum().backward()
    matters = (x.grad != 0).flatten(0, 1).any(0).any(-1)  # (S,)
    assert matters.tolist() == [True] * read + [False] * (spec.segment - read)


@pytest.mark.parametrize(("dataset", "view"), [("mimic3", "hr"), ("ptbdb", "lead_i")])
def test_given_masks_act_as_the_dropout_of_torch(dataset, view, monkeypatch):
    model, x = make_model(dataset, view), make_windows(dataset, view, 3)
    masks = make_masks(dataset, view, 3)
    given = model.eval()(x, masks)

    to_draw = iter(masks)

    def dropout(h: torch.Tensor, p: float, training: bool) -> torch.Tensor:  # what F.dropout does, with these draws
        assert (p, training) == (0.5, True)
        keep = next(to_draw).flatten(0, 1).transpose(1, 2)
        unread = torch.ones(*h.shape[:2], h.shape[2] - keep.shape[2], dtype=keep.dtype)
        return h * torch.cat([keep, unread], -1) / (1 - p)

    monkeypatch.setattr("torch.nn.functional.dropout", dropout)
    drawn = model.train()(x)
    torch.testing.assert_close(given, drawn, rtol=1e-12, atol=1e-12)


def test_dropout_draws_in_training_mode_only():
    model, x = make_model("mimic3", "hr"), make_windows("mimic3", "hr", 3)
    model.train()
    assert not torch.equal(model(x)[1], model(x)[1])
    model.eval()
    assert torch.equal(model(x)[1], model(x)[1])


# ------------------------------------------------------------------------------------------------ counts, seeds


@pytest.mark.parametrize(
    ("dataset", "view", "allocated", "live"),
    [
        ("pamap2", "all", 118_287, 52_623),
        ("pamap2", "wrist", 8_207, 4_079),
        ("pamap2", "chest", 8_207, 4_079),
        ("pamap2", "ankle", 8_207, 4_079),
        ("ptbdb", "all", 334_985, 334_985),
        ("ptbdb", "lead_i", 19_753, 19_753),
        ("mimic3", "all", 60_171, 27_275),
        ("mimic3", "hr", 3_979, 1_899),
        ("mimic3", "rr", 3_979, 1_899),
    ],
)
def test_parameter_counts_are_those_of_table_5(dataset, view, allocated, live):
    model = RCNN(SPECS[dataset], view)
    assert model.count() == {"allocated": allocated, "live": live}
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == allocated
    assert RCNNStack([model]).flat.shape == (1, live)


@every_form
def test_live_parameters_are_exactly_those_that_the_loss_reaches(dataset, view):
    model = make_model(dataset, view)
    rdpd_loss(dataset, *model(make_windows(dataset, view, 2)), model.combine).backward()
    reached = sum(p.numel() for p in model.parameters() if p.grad is not None)
    assert model.count()["live"] == reached


@every_form
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(dataset, view):
    first, again, other = (RCNN(SPECS[dataset], view, seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    same_from_any_seed = {"combine"} | {name for name in first if name.startswith("convs") and name.endswith("bias")}
    for name in first:
        assert torch.equal(first[name], other[name]) == (name in same_from_any_seed), name


def test_weights_start_as_the_released_code_has_them():
    model = RCNN(SPECS["ptbdb"], "all", seed=1)
    for conv in model.convs:
        assert not conv.bias.any()
    for layer in (*model.convs, model.attention, model.dense):  # Xavier-uniform: within +-bound, and filling it
        fan_in, fan_out = torch.nn.init._calculate_fan_in_and_fan_out(layer.weight)
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert 0.85 * bound < layer.weight.abs().max() <= bound
    assert model.attention.bias is None
    assert model.combine.tolist() == [0.5, 0.5, 0.0]


def test_making_a_model_leaves_the_random_state_of_torch_untouched():
    before = torch.get_rng_state()
    RCNN(SPECS["mimic3"], "all", seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_do_not_depend_on_the_random_state_of_torch():
    torch.manual_seed(0)
    first = RCNN(SPECS["mimic3"], "all", seed=5).state_dict()
    torch.manual_seed(1)
    second = RCNN(SPECS["mimic3"], "all", seed=5).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
