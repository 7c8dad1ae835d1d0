"""RCNNStack against RCNN, member by member; its convolution and LSTM against PyTorch's and finite differences."""

import pytest
import torch
from made_up_models import FORMS, make_masks, make_model, make_windows, rdpd_loss, segments

from rdpd_nb.engine.kernels import Convolution, lstm
from rdpd_nb.engine.stack import RCNNStack
from rdpd_nb.models import RCNN

pytestmark = pytest.mark.usefixtures("one_thread")

every_form = pytest.mark.parametrize(("dataset", "view"), FORMS)


def make_stack(dataset: str, view: str, dtype: torch.dtype = torch.float64, members: int = 3):
    models = [make_model(dataset, view, seed, dtype) for seed in range(members)]
    return models, RCNNStack(models)


def windows_off_the_kinks(model: RCNN, dataset: str, view: str, masks: list[torch.Tensor] | None) -> torch.Tensor:
    """Two windows, the same in single and double precision, for which no ReLU is within rounding of its kink."""
    nearest = []
    hooks = [
        conv.register_forward_hook(lambda _, inputs, output: nearest.append(output.abs().min())) for conv in model.convs
    ]
    for seed in range(100):
        x = make_windows(dataset, view, 2, seed=seed).float().double()
        nearest.clear()
        with torch.no_grad():
            model(x, masks)
        if min(nearest) > 1e-5:
            break
    for hook in hooks:
        hook.remove()
    return x


@pytest.fixture(params=["one by one", "batched"])
def convolution(request, monkeypatch) -> str:
    """The stack's convolution: that of the CPU, and that of CUDA, which computes the same anywhere."""
    if request.param == "batched":
        monkeypatch.setattr(RCNNStack, "_convolve", RCNNStack._convolve_batched)
    return request.param


def check_against_members(dataset, view, with_masks, dtype, tolerance):
    """Outputs, loss and gradients of a stack against its members in float64; tolerance is relative to the largest."""
    models, stack = make_stack(dataset, view, dtype, members=2)
    models = [model.double().eval() for model in models]
    masks = make_masks(dataset, view, 2, 2) if with_masks else None
    masks_of = [[mask[e] for mask in masks] if with_masks else None for e in range(2)]
    x = [windows_off_the_kinks(models[e], dataset, view, masks_of[e]) for e in range(2)]

    flat = stack.flat.clone().requires_grad_()
    w = stack.unflatten(flat)
    by_member = [list(mask) for mask in masks] if with_masks else None
    log_a, logits = stack.forward(w, [segments(dataset, one).to(dtype) for one in x], by_member)
    loss = rdpd_loss(dataset, log_a, logits, w["combine"])
    gradients = stack.unflatten(torch.autograd.grad(loss.sum(), flat)[0])

    for e, model in enumerate(models):
        alone_log_a, alone_logits = model(x[e], masks_of[e])
        alone_loss = rdpd_loss(dataset, alone_log_a, alone_logits, model.combine)
        alone_loss.backward()
        for got, expected in ((log_a, alone_log_a), (logits, alone_logits), (loss, alone_loss)):
            largest = expected.detach().abs().max().item()
            torch.testing.assert_close(got[e].double(), expected, rtol=0, atol=tolerance * largest)
        alone = {name: model.get_parameter(name).grad for name in stack.names}
        largest = max(gradient.abs().max().item() for gradient in alone.values())
        together = {name: gradients[name][e].double() for name in stack.names}
        torch.testing.assert_close(together, alone, rtol=0, atol=tolerance * largest)


@every_form
@pytest.mark.parametrize("with_masks", [False, True], ids=["evaluation", "masks"])
def test_stack_equals_its_members_in_outputs_loss_and_gradients(dataset, view, with_masks, convolution):
    check_against_members(dataset, view, with_masks, torch.float64, tolerance=1e-10)


@every_form
@pytest.mark.parametrize("with_masks", [False, True], ids=["evaluation", "masks"])
def test_stack_in_single_precision_differs_by_rounding_only(dataset, view, with_masks, convolution):
    check_against_members(dataset, view, with_masks, torch.float32, tolerance=1e-5)


@pytest.mark.parametrize(("dataset", "view"), [("mimic3", "hr"), ("ptbdb", "lead_i"), ("uci_har", "acc")])
def test_samples_that_are_never_read_may_be_missing(dataset, view, convolution):
    _, stack = make_stack(dataset, view)
    x, masks = segments(dataset, make_windows(dataset, view, 3, 2)), make_masks(dataset, view, 3, 2)
    w = stack.unflatten(stack.flat)
    short = x[..., : stack.samples[0], :]
    for whole, part in zip(stack.forward(w, x, masks), stack.forward(w, short, masks), strict=True):
        assert torch.equal(whole, part)


def test_members_may_share_windows_and_masks(convolution):
    _, stack = make_stack("ptbdb", "lead_i")
    x, masks = segments("ptbdb", make_windows("ptbdb", "lead_i", 2)), make_masks("ptbdb", "lead_i", 2)

    def run(copy) -> list[torch.Tensor]:
        flat = stack.flat.clone().requires_grad_()
        log_a, logits = stack.forward(
            stack.unflatten(flat), [copy(x) for _ in range(3)], [[copy(mask) for _ in range(3)] for mask in masks]
        )
        return [log_a, logits, torch.autograd.grad(logits.sum(), flat)[0]]

    assert all(map(torch.equal, run(lambda tensor: tensor), run(torch.clone)))


def test_gradients_of_a_stack_equal_finite_differences(convolution):
    models, stack = make_stack("mimic3", "hr", members=2)
    x, masks = segments("mimic3", make_windows("mimic3", "hr", 2, 2)), make_masks("mimic3", "hr", 2, 2)

    def loss(flat: torch.Tensor) -> torch.Tensor:
        w = stack.unflatten(flat)
        return rdpd_loss("mimic3", *stack.forward(w, x, masks), w["combine"])

    flat = stack.flat.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (flat,), fast_mode=True)


def test_a_members_loss_has_no_gradient_in_the_weights_of_the_others():
    models, stack = make_stack("mimic3", "hr")
    flat = stack.flat.clone().requires_grad_()
    w = stack.unflatten(flat)
    loss = rdpd_loss("mimic3", *stack.forward(w, segments("mimic3", make_windows("mimic3", "hr", 3, 2))), w["combine"])
    (gradient,) = torch.autograd.grad(loss[1], flat)
    assert gradient.abs().amax(1).gt(0).tolist() == [False, True, False]


@every_form
def test_taking_a_member_out_of_a_stack_gives_the_model_that_went_in(dataset, view):
    models, stack = make_stack(dataset, view, torch.float32)
    assert len(stack) == len(models)
    for e, model in enumerate(models):
        got = stack[e]
        assert got is not model
        torch.testing.assert_close(got.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_a_member_taken_out_has_the_weights_of_the_stack_and_not_those_that_went_in():
    models, stack = make_stack("mimic3", "hr")
    before = models[1].state_dict()["dense.weight"].clone()
    stack.flat[1] += 1
    torch.testing.assert_close(stack[1].dense.weight.detach(), before + 1)
    assert torch.equal(models[1].dense.weight, before)
    taken = stack[1]
    with torch.no_grad():
        taken.dense.weight.zero_()
    torch.testing.assert_close(stack[1].dense.weight.detach(), before + 1)  # a copy, not a view


# ------------------------------------------------------------------------------ operations with a backward of their own


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("pool", [False, True], ids=["samples", "pooled"])
@pytest.mark.parametrize("with_mask", [False, True], ids=["evaluation", "mask"])
@pytest.mark.parametrize("with_input", [False, True], ids=["weights alone", "and input"])
def test_the_convolutions_gradient_equals_finite_differences(pool, with_mask, with_input):
    h = normal(3, 6, 4).requires_grad_(with_input)
    weight, bias = normal(5, 4, 1, 2, seed=1).requires_grad_(), normal(5, seed=2).requires_grad_()
    mask = (normal(3, 5, 5, seed=3) > 0).to(torch.uint8) if with_mask else None
    assert torch.autograd.gradcheck(lambda *inputs: Convolution.apply(*inputs, mask, pool), (h, weight, bias))


def test_the_convolution_is_that_of_torch_with_relu_mask_and_mean():
    h, weight, bias = normal(3, 6, 4), normal(5, 4, 1, 2, seed=1), normal(5, seed=2)
    mask = (normal(3, 5, 5, seed=3) > 0).to(torch.uint8)
    expected = torch.nn.functional.conv1d(h.mT, weight.squeeze(2), bias).mT.relu()
    torch.testing.assert_close(Convolution.apply(h, weight, bias, None, False), expected)
    torch.testing.assert_close(Convolution.apply(h, weight, bias, mask, False), expected * mask)
    torch.testing.assert_close(Convolution.apply(h, weight, bias, mask, True), (expected * mask).mean(1))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_lstms_gradient_equals_finite_differences(steps):
    sets, rows, width, units = 2, 3, 4, 2
    shapes = [(steps, sets, width, rows), (sets, 4 * units, width), (sets, 4 * units, units), (sets, 4 * units)]
    inputs = [normal(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]
    assert torch.autograd.gradcheck(lstm, inputs)


def test_the_lstm_is_that_of_torch_in_states_and_gradients():
    sets, steps, rows, width, units = 2, 4, 3, 5, 2
    x, seen = normal(steps, sets, width, rows).requires_grad_(), normal(steps, sets, units, rows, seed=1)
    torches = [torch.nn.LSTM(width, units).double() for _ in range(sets)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for one in torches:
            for p in one.parameters():
                torch.nn.init.normal_(p)
    expected = torch.stack([one(x[:, i].mT)[0].mT for i, one in enumerate(torches)], 1)  # (M, N, U, B)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    leaves = [torch.stack([one.get_parameter(name).detach() for one in torches]).requires_grad_() for name in names]
    w_ih, w_hh, b_ih, b_hh = leaves
    states = lstm(x, w_ih, w_hh, b_ih + b_hh)
    torch.testing.assert_close(states, expected)

    got_x, *got = torch.autograd.grad((states * seen).sum(), [x, *leaves])
    (expected_x,) = torch.autograd.grad((expected * seen).sum(), x, retain_graph=True)
    torch.testing.assert_close(got_x, expected_x)
    (expected * seen).sum().backward()
    for name, gradient in zip(names, got, strict=True):
        of_torch = torch.stack([one.get_parameter(name).grad for one in torches])
        torch.testing.assert_close(gradient, of_torch, msg=lambda text, n=name: f"{n}: {text}")
