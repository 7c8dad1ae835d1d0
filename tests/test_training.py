"""Training: `fit_one` against an independent loop, `fit` against `fit_one`, which epoch is kept, prediction."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_up import (
    BIT_EQUAL,
    make_knowledge,
    make_windows,
    mixed_members,
    quietly,
    same,
    select,
    student,
)

from rdpd_nb.data.windows import Windows, split, standardise, standardiser
from rdpd_nb.draws import dropout_masks, epoch_order, mask_shapes
from rdpd_nb.engine.device import resolve_device
from rdpd_nb.errors import UserError
from rdpd_nb.evaluation import scores
from rdpd_nb.models import RCNN
from rdpd_nb.paper import STUDENT_METHODS, SWITCHES, Protocol
from rdpd_nb.training import Fitted, Member, fit, fit_one, make_member, predict

pytestmark = pytest.mark.usefixtures("one_thread")

# Adam makes the rounding of a gradient that is next to nothing larger; a step is 1e-3.
CLOSE_AFTER_ADAM = {"rtol": 1e-6, "atol": 1e-6}
# Switches that say what is read, split or scored, and not how a member is trained.
OF_DATA_OR_SCORE = ("pamap2_held_out", "mimic3_split", "noise_on", "macro_f1", "detail")


# -------------------------------------------------------------------------- what training is, by an independent loop


def plain_loss(member: Member, spec, batch, log_a, logits, combine, y) -> torch.Tensor:
    """Eq. 8 or 15 with torch's own losses; windows the teacher said nothing about have hard and combined loss only,
    those without a label neither."""
    temperature = spec.temperature
    seen = ~np.isin(batch, member.unlabelled)
    labelled = len(batch) * (~np.isin(member.train, member.unlabelled)).mean()  # in an epoch: a mean over the labelled

    def cross_entropy(scores):
        return F.cross_entropy(scores[seen], y[seen], reduction="sum") / labelled

    if member.method == "teacher":
        return cross_entropy(logits / temperature)
    loss = cross_entropy(logits)
    if member.method in ("rdpd", "rdpd_r1"):
        w1, w2, b = combine
        mixture = w1 * F.softmax(logits, -1) + w2 * F.softmax(logits / temperature, -1) + b
        loss = loss + cross_entropy(mixture)
    if member.method == "direct":
        return loss
    every = len(batch) * len(member.knowledge.window) / len(member.train)  # in an epoch: a mean over those it knows
    for row, window in enumerate(batch):
        for known in np.flatnonzero(member.knowledge.window == window):
            p_teacher = torch.from_numpy(member.knowledge.soft_labels[known]).to(logits)
            a_teacher = torch.from_numpy(member.knowledge.attention[known]).to(logits)
            soft = temperature**2 * F.cross_entropy(logits[row] / temperature, p_teacher)
            attention = F.kl_div(a_teacher.log(), log_a[row], reduction="sum", log_target=True)  # KL(A_p || A_r)
            loss = loss + soft / every
            if member.method in ("rdpd", "rdpd_r2"):
                loss = loss + attention / every
    return loss


def plain_loop(member: Member, windows: Windows, epochs: int) -> tuple[list[RCNN], dict[str, list[float]]]:
    """One RCNN trained as in any PyTorch tutorial: the model after each epoch, and the history."""
    spec = windows.spec
    model = RCNN(spec, windows.view, seed=member.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

    def inputs(index):
        return torch.from_numpy(standardise(windows[index], member.mean, member.std))

    models, history = [], {"train_loss": [], "validation_loss": [], "validation_roc_auc": []}
    for epoch in range(epochs):
        order, total = epoch_order(member.train, member.seed, epoch), 0.0
        step_masks = dropout_masks(member.seed, epoch, mask_shapes(spec, windows.view))
        for first in range(0, len(order), 128):
            batch = order[first : first + 128]
            log_a, logits = model(inputs(batch), [mask[: len(batch)] for mask in next(step_masks)])
            y = torch.from_numpy(windows.label[batch])
            loss = plain_loss(member, spec, batch, log_a, logits, model.combine, y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        model.eval()
        y = torch.from_numpy(windows.label[member.validation])
        with torch.no_grad():
            _, logits = model(inputs(member.validation))
        model.train()
        models.append(copy.deepcopy(model))
        history["train_loss"].append(total / len(member.train))
        history["validation_loss"].append(F.cross_entropy(logits, y).item())
        history["validation_roc_auc"].append(scores(logits.double().softmax(-1).numpy(), y.numpy())["roc_auc"])
    return models, history


def close_to(fitted: Fitted, expected: RCNN, windows: Windows, tolerance: float) -> None:
    """The kept model has the expected weights, and all of them have been trained."""
    start = RCNN(windows.spec, windows.view, seed=fitted.member.seed)
    for name, parameter in fitted.model.named_parameters():
        if name.startswith("phantom") or (name == "combine" and "combined" not in fitted.member.terms):
            assert torch.equal(parameter, start.get_parameter(name))
            continue
        # b has no effect and a gradient of rounding size, which Adam makes a step of: its value means nothing.
        used = slice(2) if name == "combine" else slice(None)
        got, wanted = parameter.detach()[used], expected.get_parameter(name).detach()[used]
        moved = (wanted - start.get_parameter(name)[used]).abs().max()
        assert moved > (1e-5 if name == "combine" else 1e-3)  # it has been trained; w1 and w2 turn with the batches
        torch.testing.assert_close(got, wanted, rtol=0, atol=tolerance, msg=lambda text, n=name: f"{n}: {text}")


def check_definition(member: Member, windows: Windows, tolerance: float) -> None:
    """`fit_one` against the loop above, and `fit` against `fit_one`."""
    assert len(member.train) % 128  # the last batch is short
    models, history = plain_loop(member, windows, 2)
    for fitted in (fit_one(member, windows, 2), quietly([member], windows, 2)[0]):
        close_to(fitted, models[fitted.best_epoch - 1], windows, tolerance)
        assert fitted.best_epoch == 1 + int(np.argmax(history["validation_roc_auc"]))
        for name, curve in history.items():
            assert fitted.history[name] == pytest.approx(curve, rel=100 * tolerance), name


@pytest.mark.parametrize("method", ["teacher", *STUDENT_METHODS])
def test_training_is_what_a_plain_pytorch_loop_does(method, poor_double):
    windows = make_windows(dtype=np.float64) if method == "teacher" else poor_double
    check_definition(student(windows, method, seed=1), windows, tolerance=1e-6)


@pytest.mark.parametrize("method", ["direct", "rdpd"])
def test_training_is_what_a_plain_pytorch_loop_does_with_two_convolutions(method, double):
    windows = select(make_windows("ptbdb", n=165, dtype=np.float64), "lead_i")
    check_definition(student(windows, method), windows, tolerance=1e-6)


def test_training_is_what_a_plain_pytorch_loop_does_where_the_teacher_knows_only_some_windows(poor_double):
    parts = split(poor_double, 0)
    member = make_member(poor_double, parts, 0, "rdpd", make_knowledge(poor_double, parts.train[::3]))
    check_definition(member, poor_double, tolerance=1e-6)


@pytest.mark.parametrize("method", ["kd", "rdpd"])
def test_training_is_what_a_plain_pytorch_loop_does_where_some_windows_have_no_label(method, poor_double):
    parts = split(poor_double, 0)
    unlabelled = parts.train[np.random.default_rng(3).random(len(parts.train)) < 0.6]
    knowledge = replace(make_knowledge(poor_double, parts.train), labelled=1 - len(unlabelled) / len(parts.train))
    member = make_member(poor_double, parts, 0, method, knowledge, unlabelled=unlabelled)
    check_definition(member, poor_double, tolerance=1e-6)
    blind = replace(poor_double, label=poor_double.label.copy())
    blind.label[unlabelled] = -1  # labels that nobody gave, and those it must not see, are the same
    ours, other = quietly([member, make_member(blind, parts, 0, method, knowledge)], blind)
    same(ours, other, **BIT_EQUAL)


@pytest.mark.parametrize("method", ["teacher", "direct", "rdpd"])
def test_training_in_single_precision_is_what_a_plain_pytorch_loop_does_to_rounding(method, poor):
    windows = make_windows() if method == "teacher" else poor
    check_definition(student(windows, method), windows, tolerance=1e-4)


# --------------------------------------------------------------------------- many at once are what each is alone


def equal_to_one(
    members: list[Member], windows: Windows, epochs: int, patience: int = 0, updates: tuple[int, ...] = ()
) -> list[Fitted]:
    """`fit` of all, each held to its own `fit_one`; returns the former."""
    together = quietly(members, windows, epochs, patience=patience, updates=updates)
    for member, fitted in zip(members, together, strict=True):
        alone = fit_one(member, windows, epochs, patience, updates)
        assert (fitted.selected_by, fitted.allowed) == (alone.selected_by, alone.allowed)
        same(fitted, alone, free=["combine"], **CLOSE_AFTER_ADAM)
        torch.testing.assert_close(fitted.model.combine[:2], alone.model.combine[:2], **CLOSE_AFTER_ADAM)
    return together


def test_fit_is_fit_one_for_every_member(poor_double):
    """Ten members: all methods, noise, fewer windows, validation by loss."""
    together = equal_to_one(mixed_members(poor_double), poor_double, 4)
    assert {f.selected_by for f in together} == {"validation loss", "validation ROC-AUC"}


def test_fit_is_fit_one_where_some_members_see_few_labels(poor_double):
    """Beside members that see all, and one whose teacher knows but some windows."""
    parts, members = split(poor_double, 2), mixed_members(poor_double)
    unlabelled = parts.train[::3]
    for about in (parts.train, parts.train[::2]):
        knowledge = replace(make_knowledge(poor_double, about), labelled=1 - len(unlabelled) / len(parts.train))
        members.append(make_member(poor_double, parts, 2, "rdpd", knowledge, unlabelled=unlabelled))
    members.append(make_member(poor_double, parts, 2, "direct", unlabelled=unlabelled))
    assert len(members[-1].train) == len(parts.train) - len(unlabelled)  # nothing to learn where nobody speaks
    together = equal_to_one(members, poor_double, 3)
    for ours, alone in zip(quietly(members[:10], poor_double, 3), together, strict=False):
        same(ours, alone, **BIT_EQUAL)  # those who see all labels are as they were


def test_fit_is_fit_one_where_members_stop(poor_double):
    together = equal_to_one(mixed_members(poor_double), poor_double, 12, patience=1)
    assert len({len(f.history["train_loss"]) for f in together}) > 2


def test_updates_are_bounds_that_patience_waits_for_and_nothing_goes_beyond(poor_double):
    members = mixed_members(poor_double)
    steps = [-(-len(m.train) // 128) for m in members]
    assert len(set(steps)) > 1  # members of few windows have more epochs for the same number of steps
    least, most = 3 * max(steps), 5 * max(steps)
    together = equal_to_one(members, poor_double, 40, patience=1, updates=(least, most))
    for n, fitted in zip(steps, together, strict=True):
        trained = len(fitted.history["train_loss"])
        assert fitted.allowed == -(-most // n)
        assert -(-least // n) <= trained <= fitted.allowed
    assert any(len(f.history["train_loss"]) == -(-least // n) for n, f in zip(steps, together, strict=True))
    without = quietly(members, poor_double, 40, updates=(least, most))
    assert [len(f.history["train_loss"]) for f in without] == [f.allowed for f in without]
    assert {f.allowed for f in quietly(members, poor_double, 2, updates=(least, most))} == {2}  # epochs bound too


@pytest.mark.parametrize(
    "switch",
    [{name: value} for name, values in SWITCHES.items() for value in values[1:] if name not in OF_DATA_OR_SCORE],
    ids=str,
)
def test_fit_is_fit_one_under_every_switch(switch, double):
    rich = make_windows(dtype=np.float64).under(Protocol(**switch))
    teachers = equal_to_one([student(rich, "teacher", seed) for seed in (0, 1)], rich, 3)
    if "knowledge" in switch:
        for member, fitted in zip([f.member for f in teachers], teachers, strict=True):
            alone = fit_one(member, rich, 3)
            for got, expected in zip(fitted.said_in_training, alone.said_in_training, strict=True):
                np.testing.assert_allclose(got, expected, atol=1e-6)
                assert got.any()
    poor = select(rich, "hr")
    equal_to_one([student(poor, "rdpd"), student(poor, "kd", 1)], poor, 3)


# ------------------------------------------------------------------------------- (h), (j) which epoch is kept


def with_validation(member: Member, windows: Windows, classes: list[int]) -> Member:
    """The member, validated on those windows alone that are of the given classes."""
    return replace(member, validation=np.flatnonzero(np.isin(windows.label, classes))[:40])


def test_validation_of_a_single_class_falls_back_to_the_validation_loss_and_says_so(poor):
    usual = student(poor, "direct")
    single = with_validation(usual, poor, classes=[2])
    fitted, beside = quietly([single, usual], poor, epochs=4)
    assert fitted.selected_by == "validation loss"
    assert np.isnan(fitted.history["validation_roc_auc"]).all()
    loss = fitted.history["validation_loss"]
    assert fitted.best_epoch == 1 + int(np.argmin(loss))
    (probability,) = predict([fitted], poor, [single.validation], "cpu")
    assert -np.log(probability[:, 2]).mean() == pytest.approx(min(loss), rel=1e-4)
    assert beside.selected_by == "validation ROC-AUC"


def test_validation_that_lacks_some_classes_still_goes_by_roc_auc(poor):
    member = with_validation(student(poor, "direct"), poor, classes=[0, 5])
    (fitted,) = quietly([member], poor)
    assert fitted.selected_by == "validation ROC-AUC"
    assert np.isfinite(fitted.history["validation_roc_auc"]).all()


def test_the_model_of_the_epoch_with_the_best_validation_roc_auc_is_kept(poor):
    members = [student(poor, method, seed) for seed in (0, 1, 2) for method in ("direct", "rdpd")]
    fitted = quietly(members, poor, epochs=8)
    probabilities = predict(fitted, poor, [f.member.validation for f in fitted], "cpu")
    for one, probability in zip(fitted, probabilities, strict=True):
        history = one.history["validation_roc_auc"]
        assert len(history) == 8
        assert scores(probability, poor.label[one.member.validation])["roc_auc"] == pytest.approx(max(history))
        assert one.best_epoch == 1 + int(np.argmax(history))  # the first of equals
    assert any(f.best_epoch < 8 for f in fitted)  # so that keeping the last epoch's would have failed


def test_training_finds_what_can_be_learned_and_beats_chance():
    rich = make_windows()
    (teacher,) = quietly([make_member(rich, split(rich, 0), 0, "teacher")], rich, epochs=15)
    test = split(rich, 0).test
    (probability,) = predict([teacher], rich, [test], "cpu")
    assert scores(probability, rich.label[test])["roc_auc"] > 0.8
    assert teacher.history["train_loss"][-1] < teacher.history["train_loss"][0]


# --------------------------------------------------------------------------------------------- (i) missing values


def test_a_missing_value_counts_as_the_training_mean(poor):
    series = poor.series.copy()
    gone = np.random.default_rng(0).random(series.shape) < 0.2
    series[gone] = np.nan
    missing = replace(poor, series=series)
    member = student(missing)
    filled = replace(poor, series=np.where(gone, member.mean, series))
    (a,), (b,) = quietly([member], missing), quietly([member], filled)
    same(a, b, **BIT_EQUAL)
    assert np.isfinite(a.history["train_loss"]).all()


# ---------------------------------------------------------------------------------------- prediction, the device


def test_predictions_are_the_softmax_at_temperature_1_for_index_lists_of_any_length(poor):
    members = [student(poor, "rdpd", seed) for seed in (0, 1)]
    fitted = quietly(members, poor)
    indices = [split(poor, 0).test, np.arange(77)]
    for one, index, probability in zip(fitted, indices, predict(fitted, poor, indices, "cpu"), strict=True):
        x = torch.from_numpy(standardise(poor[index], one.member.mean, one.member.std))
        with torch.no_grad():
            _, logits = one.model.eval()(x)
        assert probability.shape == (len(index), 8)
        np.testing.assert_allclose(probability, logits.softmax(-1), atol=1e-6)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_on_a_machine_without_it_is_a_user_error(device, poor, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"device '{device}'.*use 'auto' or 'cpu'"):
        fit([student(poor)], poor, 1, device=device)
    assert resolve_device("auto") == torch.device("cpu")


def test_a_loss_that_is_not_a_number_is_a_user_error(poor):
    with pytest.raises(UserError, match="diverged in epoch 1"):
        quietly([student(poor, "direct"), student(poor, "direct", noise=3e38)], poor)


def test_members_are_standardised_by_the_windows_they_train_on(poor):
    parts = split(poor, 0)
    for train in (parts.train, parts.train[:50]):
        member = make_member(poor, parts, 0, "direct", train=train)
        np.testing.assert_array_equal(member.train, train)
        np.testing.assert_array_equal((member.mean, member.std), standardiser(poor, train))


def test_a_teacher_keeps_what_it_said_in_training_only_where_that_is_its_knowledge():
    rich = make_windows()
    member = make_member(rich, split(rich, 0), 0, "teacher")
    assert fit_one(member, rich, 1).said_in_training is quietly([member], rich, 1)[0].said_in_training is None
