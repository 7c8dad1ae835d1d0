"""RCNN against a forward pass written out in numpy, and RCNNStack against RCNN, member by member."""

import numpy as np
import pytest
import torch

from rdpd_nb.losses import loss_terms
from rdpd_nb.models import _LSTM, RCNN, RCNNStack, _Convolution, _sigmoids_first, mask_shapes, read_samples
from rdpd_nb.paper import SPECS

# Every data set with every number of channels it is seen through.
FORMS = [
    (dataset, view)
    for dataset, spec in SPECS.items()
    for view in {len(channels): view for view, channels in spec.views.items()}.values()
]
every_form = pytest.mark.parametrize(("dataset", "view"), FORMS)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tensors are tiny here: a second thread gains nothing, and waits for long where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make_model(dataset: str, view: str, seed: int = 0, dtype: torch.dtype = torch.float64) -> RCNN:
    """An RCNN as it might be in mid-training: no weight, bias or w1, w2, b is at its initial value."""
    model = RCNN(SPECS[dataset], view, seed).to(dtype)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(dtype)
    return model


def make_windows(dataset: str, view: str, *shape: int, seed: int = 0) -> torch.Tensor:
    """Random windows (*shape, l, D)."""
    spec = SPECS[dataset]
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, spec.length, len(spec.views[view]), generator=generator, dtype=torch.float64)


def segments(dataset: str, x: torch.Tensor) -> torch.Tensor:
    """Windows (..., l, D) as segments (..., M, S, D), as a stack wants them."""
    return x.unflatten(-2, (-1, SPECS[dataset].segment))


def make_masks(dataset: str, view: str, *shape: int, seed: int = 0) -> list[torch.Tensor]:
    """Random dropout masks (*shape, M, S', K) of 0 and 1, one a convolution."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randint(2, (*shape, *one), generator=generator, dtype=torch.uint8)
        for one in mask_shapes(SPECS[dataset], view)
    ]


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
        assert output.shape[2] == (59 if dataset == "ptbdb" and i == 0 else samples)


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


# -------------------------------------------------------------------------------------------------------- stack


def make_stack(dataset: str, view: str, dtype: torch.dtype = torch.float64, members: int = 3):
    models = [make_model(dataset, view, seed, dtype) for seed in range(members)]
    return models, RCNNStack(models)


def rdpd_loss(dataset: str, log_a: torch.Tensor, logits: torch.Tensor, combine: torch.Tensor) -> torch.Tensor:
    """Loss of RDPD with made-up labels and knowledge, the same for every member: one value a row."""
    spec, rows = SPECS[dataset], logits.shape[-2]
    generator = torch.Generator().manual_seed(7)
    y = torch.randint(len(spec.classes), (rows,), generator=generator).expand(logits.shape[:-1])
    p_teacher = torch.randn(rows, len(spec.classes), generator=generator).softmax(-1).to(logits)
    a_teacher = torch.randn(rows, spec.segments, generator=generator).softmax(-1).to(logits)
    terms = loss_terms(
        ("hard", "soft", "combined", "attention"),
        logits=logits,
        log_attention=log_a,
        combine=combine,
        y=y,
        temperature=spec.temperature,
        p_teacher=p_teacher.expand_as(logits),
        a_teacher=a_teacher.expand_as(log_a),
    )
    return sum(terms.values())


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
    gradients = stack.unflatten(torch.autograd.grad(loss.mean(1).sum(), flat)[0])

    for e, model in enumerate(models):
        alone_log_a, alone_logits = model(x[e], masks_of[e])
        alone_loss = rdpd_loss(dataset, alone_log_a, alone_logits, model.combine)
        alone_loss.mean().backward()
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
        return rdpd_loss("mimic3", *stack.forward(w, x, masks), w["combine"]).mean(1)

    flat = stack.flat.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (flat,), fast_mode=True)


def test_a_members_loss_has_no_gradient_in_the_weights_of_the_others():
    models, stack = make_stack("mimic3", "hr")
    flat = stack.flat.clone().requires_grad_()
    w = stack.unflatten(flat)
    loss = rdpd_loss("mimic3", *stack.forward(w, segments("mimic3", make_windows("mimic3", "hr", 3, 2))), w["combine"])
    (gradient,) = torch.autograd.grad(loss[1].sum(), flat)
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
    assert torch.autograd.gradcheck(lambda *inputs: _Convolution.apply(*inputs, mask, pool), (h, weight, bias))


def test_the_convolution_is_that_of_torch_with_relu_mask_and_mean():
    h, weight, bias = normal(3, 6, 4), normal(5, 4, 1, 2, seed=1), normal(5, seed=2)
    mask = (normal(3, 5, 5, seed=3) > 0).to(torch.uint8)
    expected = torch.nn.functional.conv1d(h.mT, weight.squeeze(2), bias).mT.relu()
    torch.testing.assert_close(_Convolution.apply(h, weight, bias, None, False), expected)
    torch.testing.assert_close(_Convolution.apply(h, weight, bias, mask, False), expected * mask)
    torch.testing.assert_close(_Convolution.apply(h, weight, bias, mask, True), (expected * mask).mean(1))


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_lstms_gradient_equals_finite_differences(steps):
    sets, rows, width, units = 2, 3, 4, 2
    shapes = [(sets, steps, rows, width), (sets, 4 * units, width), (sets, 4 * units, units), (sets, 1, 4 * units)]
    inputs = [normal(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]
    assert torch.autograd.gradcheck(_LSTM.apply, inputs)


def test_the_lstm_is_that_of_torch_in_states_and_gradients():
    sets, steps, rows, width, units = 2, 4, 3, 5, 2
    x, seen = normal(sets, steps, rows, width).requires_grad_(), normal(sets, steps, rows, units, seed=1)
    torches = [torch.nn.LSTM(width, units, batch_first=True).double() for _ in range(sets)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for lstm in torches:
            for p in lstm.parameters():
                torch.nn.init.normal_(p)
    expected = torch.stack([lstm(one.transpose(0, 1))[0].transpose(0, 1) for lstm, one in zip(torches, x, strict=True)])
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    leaves = [torch.stack([lstm.get_parameter(name).detach() for lstm in torches]).requires_grad_() for name in names]
    w_ih, w_hh, b_ih, b_hh = map(_sigmoids_first, leaves)
    states = _LSTM.apply(x, w_ih, w_hh, (b_ih + b_hh).unsqueeze(1))
    torch.testing.assert_close(states, expected)

    got_x, *got = torch.autograd.grad((states * seen).sum(), [x, *leaves])
    (expected_x,) = torch.autograd.grad((expected * seen).sum(), x, retain_graph=True)
    torch.testing.assert_close(got_x, expected_x)
    (expected * seen).sum().backward()
    for name, gradient in zip(names, got, strict=True):
        of_torch = torch.stack([lstm.get_parameter(name).grad for lstm in torches])
        torch.testing.assert_close(gradient, of_torch, msg=lambda text, n=name: f"{n}: {text}")


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
    rdpd_loss(dataset, *model(make_windows(dataset, view, 2)), model.combine).sum().backward()
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
