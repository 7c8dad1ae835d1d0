"""Eq. 6-15 against numbers worked out by hand, finite differences, and each other."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up import loss_rows

from rdpd_nb import losses
from rdpd_nb.data import SPECS
from rdpd_nb.losses import member_loss
from rdpd_nb.paper import METHODS, Protocol

pytestmark = pytest.mark.usefixtures("one_thread")

T = 2.0
# With T = 2, logits of logarithms of squares give simple fractions: S(x, 1) = (9, 4, 1) / 14, S(x, 2) = (3, 2, 1) / 6.
LOGITS = torch.tensor([math.log(9), math.log(4), 0.0], dtype=torch.float64)
P_1 = [9 / 14, 4 / 14, 1 / 14]
P_T = [3 / 6, 2 / 6, 1 / 6]
P_TEACHER = [0.7, 0.2, 0.1]
PUBLISHED_COMBINE = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)


def every_label() -> tuple[torch.Tensor, torch.Tensor]:
    """The same logits three times, once with each label: (3, C) and (3,)."""
    return LOGITS.repeat(3, 1), torch.arange(3)


def float64(values: list) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- values by hand


def test_soft_predictions_are_the_tempered_softmax_of_eq_6_and_7():
    torch.testing.assert_close(losses.soft_predictions(LOGITS[None], 1.0), float64([P_1]))
    torch.testing.assert_close(losses.soft_predictions(LOGITS[None], T), float64([P_T]))
    torch.testing.assert_close(losses.log_softmax_t(LOGITS[None], T), float64([P_T]).log())


def test_teacher_loss_is_the_cross_entropy_at_temperature_T_of_eq_8():
    logits, y = every_label()
    torch.testing.assert_close(losses.teacher_loss(logits, y, T), float64([math.log(2), math.log(3), math.log(6)]))


def test_attention_loss_is_the_kullback_leibler_divergence_of_eq_10():
    a_student, a_teacher = [0.5, 0.25, 0.25], [0.8, 0.1, 0.1]
    by_hand = 0.5 * math.log(0.5 / 0.8) + 2 * 0.25 * math.log(0.25 / 0.1)
    got = losses.attention_loss(float64([a_student]).log(), float64([a_teacher]))
    torch.testing.assert_close(got, float64([by_hand]))


def test_hard_loss_is_the_cross_entropy_at_temperature_1_of_eq_11():
    logits, y = every_label()
    by_hand = [math.log(14 / 9), math.log(14 / 4), math.log(14)]
    torch.testing.assert_close(losses.hard_loss(logits, y), float64(by_hand))


def test_soft_loss_is_T_squared_times_the_cross_entropy_with_the_teacher_of_eq_12():
    by_hand = T**2 * (0.7 * math.log(2) + 0.2 * math.log(3) + 0.1 * math.log(6))
    got = losses.soft_loss(LOGITS[None], float64([P_TEACHER]), T)
    torch.testing.assert_close(got, float64([by_hand]))


def test_combined_predictions_are_the_softmax_over_the_weighted_probabilities_of_eq_13():
    w1, w2, b = 0.3, 1.2, -0.4
    mixture = [w1 * p1 + w2 * pt + b for p1, pt in zip(P_1, P_T, strict=True)]
    total = sum(math.exp(value) for value in mixture)
    got = losses.combined_log_predictions(LOGITS[None], float64([w1, w2, b]), T).exp()
    torch.testing.assert_close(got, float64([[math.exp(value) / total for value in mixture]]))


def test_combined_loss_is_the_cross_entropy_of_the_combined_predictions_of_eq_14():
    mixture = [48 / 84, 26 / 84, 10 / 84]  # half of P_1 and half of P_T, over a common denominator
    total = sum(math.exp(value) for value in mixture)
    logits, y = every_label()
    got = losses.combined_loss(logits, PUBLISHED_COMBINE, y, T)
    torch.testing.assert_close(got, float64([math.log(total) - value for value in mixture]))


def test_two_classes_by_hand_give_every_term_of_eq_15_and_their_sum():
    logits, y = float64([[math.log(4), 0.0]]), torch.tensor([1])  # S(x, 1) = (4, 1) / 5, S(x, 2) = (2, 1) / 3
    p_teacher, a_student, a_teacher = [0.9, 0.1], [0.5, 0.5], [0.9, 0.1]
    by_hand = {
        "hard": math.log(5),
        "soft": 4 * (0.9 * math.log(3 / 2) + 0.1 * math.log(3)),
        "combined": math.log(1 + math.exp(11 / 15 - 4 / 15)),
        "attention": 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1),
    }
    got = loss_rows(
        METHODS["rdpd"].terms,
        logits=logits,
        log_attention=float64([a_student]).log(),
        combine=PUBLISHED_COMBINE,
        y=y,
        temperature=T,
        p_teacher=float64([p_teacher]),
        a_teacher=float64([a_teacher]),
    )
    assert {name: value.item() for name, value in got.items()} == pytest.approx(by_hand)
    assert sum(got.values()).item() == pytest.approx(sum(by_hand.values()))


@pytest.mark.parametrize(
    ("method", "terms"),
    [
        ("teacher", {"teacher"}),
        ("direct", {"hard"}),
        ("kd", {"hard", "soft"}),
        ("rdpd_r1", {"hard", "soft", "combined"}),
        ("rdpd_r2", {"hard", "soft", "attention"}),
        ("rdpd", {"hard", "soft", "combined", "attention"}),
    ],
)
def test_each_method_sums_the_terms_the_paper_names(method, terms):
    assert set(METHODS[method].terms) == terms
    assert len(METHODS[method].terms) == len(terms)


def test_terms_of_methods_without_a_teacher_need_no_knowledge():
    logits, y = every_label()
    given_to_all = {"logits": logits, "log_attention": logits, "combine": PUBLISHED_COMBINE, "y": y, "temperature": T}
    assert list(loss_rows(("hard",), **given_to_all)) == ["hard"]
    assert list(loss_rows(("teacher",), **given_to_all)) == ["teacher"]


# ---------------------------------------------------------------------------------------------------- log space


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_extreme_logits_give_exact_finite_losses_and_finite_gradients(size, temperature):
    logits = torch.tensor([[size, 0.0, -size]], requires_grad=True)  # float32: exp overflows from 89 on
    combine = torch.tensor([0.5, 0.5, 0.0], requires_grad=True)
    y = torch.tensor([2])
    log_attention = torch.log_softmax(logits, -1)
    terms = loss_rows(
        ("teacher", "hard", "soft", "combined", "attention"),
        logits=logits,
        log_attention=log_attention,
        combine=combine,
        y=y,
        temperature=temperature,
        p_teacher=torch.tensor([[0.0, 0.0, 1.0]]),
        a_teacher=torch.tensor([[0.0, 0.0, 1.0]]),
    )
    expected = {"teacher": 2 * size / temperature, "hard": 2 * size, "soft": temperature * 2 * size}
    assert {name: terms[name].item() for name in expected} == pytest.approx(expected, rel=1e-6)
    for name, term in terms.items():
        assert term.isfinite().all(), name
        gradients = torch.autograd.grad(term.sum(), (logits, combine), retain_graph=True, allow_unused=True)
        assert all(g.isfinite().all() for g in gradients if g is not None), name


def test_attention_loss_is_finite_where_the_teacher_or_the_student_ignores_a_segment():
    log_a = torch.log_softmax(torch.tensor([[0.0, -1e4], [-1e4, 0.0]]), -1).requires_grad_()
    loss = losses.attention_loss(log_a, torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    assert loss.tolist() == pytest.approx([-math.log(torch.finfo(torch.float32).tiny), 0.0])  # large, not infinite
    assert torch.autograd.grad(loss.sum(), log_a)[0].isfinite().all()


# ---------------------------------------------------------------------------------------------------- gradients


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def test_gradients_of_every_loss_equal_finite_differences():
    y = torch.tensor([0, 3, 1, 3])
    logits, segments = draw(4, 4).requires_grad_(), draw(4, 3, seed=1).requires_grad_()
    combine = float64([0.7, 0.2, 0.1]).requires_grad_()
    p_teacher, a_teacher = draw(4, 4, seed=2).softmax(-1), draw(4, 3, seed=3).softmax(-1)

    def check(function, *inputs):
        assert torch.autograd.gradcheck(function, inputs)

    check(lambda x: losses.teacher_loss(x, y, 5.0), logits)
    check(lambda x: losses.hard_loss(x, y), logits)
    check(lambda x: losses.soft_loss(x, p_teacher, 5.0), logits)
    check(lambda x, w: losses.combined_loss(x, w, y, 5.0), logits, combine)
    check(lambda x: losses.attention_loss(x.log_softmax(-1), a_teacher), segments)


@pytest.mark.parametrize("temperature", [1.0, 2.5, 5.0, 1e4])
def test_soft_loss_gradient_is_T_times_the_difference_of_soft_labels(temperature):
    """d/dx of T^2 CE(P_r, S(x, T)) is T (S(x, T) - P_r): T^2 makes up for the two factors 1/T."""
    logits, teacher_logits = draw(3, 5).requires_grad_(), draw(3, 5, seed=1)
    p_teacher = losses.soft_predictions(teacher_logits, temperature)
    (gradient,) = torch.autograd.grad(losses.soft_loss(logits, p_teacher, temperature).sum(), logits)
    expected = temperature * ((logits / temperature).softmax(-1) - p_teacher)
    torch.testing.assert_close(gradient, expected.detach())
    if temperature == 1e4:  # Hinton et al.: in the limit the gradient matches centred logits, free of T
        centred = [x - x.mean(-1, keepdim=True) for x in (logits.detach(), teacher_logits)]
        torch.testing.assert_close(gradient, (centred[0] - centred[1]) / 5, rtol=1e-3, atol=1e-3)


def test_b_of_eq_13_has_no_effect_and_no_gradient():
    logits, y = draw(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    combine = float64([0.5, 0.5, 0.0]).requires_grad_()
    loss = losses.combined_loss(logits, combine, y, T)
    (gradient,) = torch.autograd.grad(loss.sum(), combine)
    assert gradient[2].abs() < 1e-14
    assert gradient[:2].abs().min() > 1e-3  # while w1 and w2 do learn
    torch.testing.assert_close(losses.combined_loss(logits, float64([0.5, 0.5, 7.0]), y, T), loss.detach())


# --------------------------------------------------------------------------------------------- floor, KL, shapes


@pytest.mark.parametrize(("dataset", "floor"), [("ptbdb", 1.04), ("mimic3", 1.27), ("pamap2", 1.62)])
def test_combined_loss_of_a_perfect_student_is_the_floor_that_protocol_names(dataset, floor):
    classes = len(SPECS[dataset].classes)
    y = torch.arange(classes)
    perfect = 1e4 * torch.eye(classes, dtype=torch.float64)
    loss = losses.combined_loss(perfect, PUBLISHED_COMBINE, y, SPECS[dataset].temperature)
    assert loss.tolist() == pytest.approx([math.log(1 + (classes - 1) / math.e)] * classes)
    assert loss[0].item() == pytest.approx(floor, abs=0.005)


@settings(deadline=None)
@given(logits=st.lists(st.floats(-50, 50), min_size=6, max_size=6), y=st.integers(0, 5), temperature=st.floats(0.5, 10))
def test_combined_loss_is_never_below_its_floor(logits, y, temperature):
    loss = losses.combined_loss(float64([logits]), PUBLISHED_COMBINE, torch.tensor([y]), temperature)
    assert loss.item() >= math.log(1 + 5 / math.e) - 1e-12


def test_attention_loss_is_zero_with_zero_gradient_where_the_student_equals_the_teacher():
    scores = draw(5, 4).requires_grad_()
    loss = losses.attention_loss(scores.log_softmax(-1), scores.detach().softmax(-1))
    (gradient,) = torch.autograd.grad(loss.sum(), scores)
    torch.testing.assert_close(loss, torch.zeros_like(loss), rtol=0, atol=1e-15)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-15)


def test_attention_loss_is_kl_of_student_from_teacher_and_not_the_other_way_round():
    p, r = float64([[0.5, 0.5]]), float64([[0.9, 0.1]])
    student_from_teacher = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)  # 0.511, what Eq. 10 says
    teacher_from_student = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)  # 0.368, what the released code has
    assert losses.attention_loss(p.log(), r).item() == pytest.approx(student_from_teacher)
    assert losses.attention_loss(r.log(), p).item() == pytest.approx(teacher_from_student)


@settings(deadline=None)
@given(scores=st.lists(st.lists(st.floats(-20, 20), min_size=4, max_size=4), min_size=2, max_size=2))
def test_attention_loss_is_never_negative(scores):
    student, teacher = float64(scores)
    assert losses.attention_loss(student.log_softmax(-1), teacher.softmax(-1)).item() >= -1e-12


# ------------------------------------------------------------------------------------- what a member minimises

TERMS = ("teacher", "hard", "soft", "combined", "attention")


def a_batch(members: int, rows: int = 5) -> dict:
    """Made-up outputs, labels and knowledge of several members, as `member_loss` takes them."""
    return {
        "log_attention": draw(members, rows, 6, seed=1).log_softmax(-1),
        "logits": draw(members, rows, 4),
        "y": torch.randint(4, (members, rows), generator=torch.Generator().manual_seed(3)),
        "combine": draw(members, 3, seed=2),
        "taught": (draw(members, rows, 4, seed=4).softmax(-1), draw(members, rows, 6, seed=5).softmax(-1)),
    }


def of_member(batch: dict, e: int, rows: slice = slice(None)) -> dict:
    """The same of one member, and of some rows alone."""
    one = {name: value[e][rows] for name, value in batch.items() if name not in ("combine", "taught")}
    return {**one, "combine": batch["combine"][e], "taught": tuple(t[e][rows] for t in batch["taught"])}


def test_the_loss_is_the_mean_over_rows_of_the_sum_of_the_terms_of_the_equations():
    one = of_member(a_batch(1), 0)
    log_a, logits, y, (p_teacher, a_teacher) = (one[name] for name in ("log_attention", "logits", "y", "taught"))
    by_equation = {
        "teacher": losses.teacher_loss(logits, y, 2.5),
        "hard": losses.hard_loss(logits, y),
        "soft": losses.soft_loss(logits, p_teacher, 2.5),
        "combined": losses.combined_loss(logits, one["combine"], y, 2.5),
        "attention": losses.attention_loss(log_a, a_teacher),
    }
    for method in METHODS.values():
        expected = sum(by_equation[term] for term in method.terms).mean()
        torch.testing.assert_close(member_loss(method.terms, **one, temperature=2.5), expected)


@pytest.mark.parametrize("protocol", [Protocol(), Protocol(short_batch="over_128")], ids=["text", "code"])
def test_the_loss_of_a_stack_is_that_of_its_members_one_by_one_whatever_terms_each_has(protocol):
    batch, uses = a_batch(3), torch.tensor([[0, 1, 1, 0, 1], [1, 0, 0, 0, 0], [0, 1, 0, 1, 0.0]])
    settings = {"temperature": 2.5, "protocol": protocol}
    together = member_loss(TERMS, **batch, uses=uses, **settings)
    for e in range(3):
        terms = [term for term, used in zip(TERMS, uses[e], strict=True) if used]
        alone = member_loss(terms, **of_member(batch, e), **settings)
        torch.testing.assert_close(together[e], alone, rtol=1e-12, atol=1e-12)


def test_padding_has_no_weight_and_a_short_batch_is_the_mean_over_its_rows():
    batch = of_member(a_batch(1), 0)
    weight = float64([1 / 3, 1 / 3, 1 / 3, 0, 0])
    padded = member_loss(TERMS, **batch, temperature=2.5, weight=weight)
    short = member_loss(TERMS, **of_member(a_batch(1), 0, slice(3)), temperature=2.5)
    torch.testing.assert_close(padded, short)


@pytest.mark.parametrize(("scale", "power"), [("T2", 2), ("T", 1), ("1", 0), ("1/T", -1), ("1/T2", -2)])
def test_the_soft_loss_is_scaled_by_a_power_of_T_and_no_other_term_is(scale, power):
    cross_entropy = 0.7 * math.log(2) + 0.2 * math.log(3) + 0.1 * math.log(6)
    a_student, a_teacher = float64([[0.5, 0.5]]), float64([[0.9, 0.1]])
    settings = {"combine": PUBLISHED_COMBINE, "temperature": T, "protocol": Protocol(soft_scale=scale)}
    one = {"log_attention": a_student.log(), "logits": LOGITS[None], "y": torch.tensor([1])}
    taught = float64([P_TEACHER]), a_teacher
    got = {
        term: member_loss((term,), **one, taught=taught, **settings).item() for term in ("hard", "soft", "attention")
    }
    assert got["soft"] == pytest.approx(T**power * cross_entropy)
    assert got["hard"] == pytest.approx(math.log(14 / 4))
    assert got["attention"] == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))


def test_soft_labels_times_a_power_of_T_do_what_the_switch_does():
    """By this notebook 11 trains students of all weights in one stack."""
    batch = of_member(a_batch(1), 0)
    p_teacher, a_teacher = batch["taught"]
    for scale, power in losses.POWERS.items():
        switched = member_loss(METHODS["rdpd"].terms, **batch, temperature=2.5, protocol=Protocol(soft_scale=scale))
        scaled = batch | {"taught": (p_teacher * 2.5 ** (power - 2), a_teacher)}
        torch.testing.assert_close(member_loss(METHODS["rdpd"].terms, **scaled, temperature=2.5), switched)


@pytest.mark.parametrize(("few_rich", "soft"), [("taught", 5.0), ("all", 5.0 / 4)])
def test_imitation_is_the_mean_over_the_windows_with_knowledge_or_over_all(few_rich, soft):
    """Four windows, one of them with knowledge: by hand. The hard loss is the mean over the four either way."""
    logits = LOGITS.repeat(4, 1)
    p_teacher, a_teacher = torch.zeros(4, 3, dtype=torch.float64), torch.zeros(4, 2, dtype=torch.float64)
    p_teacher[2], a_teacher[2] = float64(P_TEACHER), float64([0.9, 0.1])
    one = {"log_attention": float64([[0.5, 0.5]]).log().repeat(4, 1), "logits": logits, "y": torch.tensor([0, 1, 2, 2])}
    settings = {"combine": PUBLISHED_COMBINE, "temperature": T, "protocol": Protocol(few_rich=few_rich)}

    def of(term: str) -> float:
        return member_loss((term,), **one, taught=(p_teacher, a_teacher), share=1 / 4, **settings).item()

    of_the_one = T**2 * (0.7 * math.log(2) + 0.2 * math.log(3) + 0.1 * math.log(6))
    attention_of_it = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert of("soft") == pytest.approx(of_the_one * soft / 5)
    assert of("attention") == pytest.approx(attention_of_it * soft / 5)
    assert of("hard") == pytest.approx((math.log(14 / 9) + math.log(14 / 4) + 2 * math.log(14)) / 4)


@pytest.mark.parametrize("protocol", [Protocol(), Protocol(short_batch="over_128")], ids=["text", "code"])
def test_over_the_batches_of_an_epoch_imitation_weighs_what_it_does_where_all_windows_have_knowledge(protocol):
    """Whatever batch the taught windows fall into: the plain sum of the batches' soft losses is that of the taught."""
    batch = of_member(a_batch(1, 8), 0)
    known = torch.tensor([1, 0, 0, 1, 0, 0, 0, 1], dtype=torch.bool)
    for rows in batch["taught"]:
        rows[~known] = 0
    halves = [{n: v[h] for n, v in batch.items() if n not in ("combine", "taught")} for h in (slice(4), slice(4, 8))]
    for half, h in zip(halves, (slice(4), slice(4, 8)), strict=True):
        half |= {"combine": batch["combine"], "taught": tuple(t[h] for t in batch["taught"])}
    settings = {"temperature": 2.5, "protocol": protocol}
    p_teacher = batch["taught"][0][known]
    expected = losses.soft_loss(batch["logits"][known], p_teacher, 2.5).mean()
    if protocol.short_batch == "over_128":
        expected = expected * 4 / 128
    got = sum(member_loss(("soft",), **half, share=3 / 8, **settings) for half in halves) / 2
    torch.testing.assert_close(got, expected)


def test_each_member_of_a_stack_has_its_own_share():
    batch, share = a_batch(3), float64([1.0, 0.5, 0.1])
    together = member_loss(METHODS["rdpd"].terms, **batch, temperature=2.5, share=share)
    for e in range(3):
        alone = member_loss(METHODS["rdpd"].terms, **of_member(batch, e), temperature=2.5, share=share[e].item())
        torch.testing.assert_close(together[e], alone, rtol=1e-12, atol=1e-12)
    direct = [member_loss(("hard", "combined"), **batch, temperature=2.5, share=s) for s in (share, 1.0)]
    torch.testing.assert_close(*direct, rtol=0, atol=0)


def test_a_window_the_teacher_said_nothing_about_has_neither_soft_nor_attention_loss():
    batch = of_member(a_batch(1), 0)
    for rows in batch["taught"]:
        rows[2] = 0
    silent, rest = of_member(a_batch(1), 0, slice(2, 3)), [0, 1, 3, 4]
    spoken = {n: v[rest] for n, v in batch.items() if n not in ("combine", "taught")}
    spoken |= {"combine": batch["combine"], "taught": tuple(t[rest] for t in batch["taught"])}
    for method in ("kd", "rdpd_r2", "rdpd"):
        without = [term for term in METHODS[method].terms if term not in ("soft", "attention")]
        expected = 4 / 5 * member_loss(METHODS[method].terms, **spoken, temperature=2.5)
        expected = expected + 1 / 5 * member_loss(without, **silent, temperature=2.5)
        torch.testing.assert_close(member_loss(METHODS[method].terms, **batch, temperature=2.5), expected)


def test_attention_loss_of_the_released_code_is_the_teachers_divergence_from_the_student_row_by_row():
    student, teacher = float64([[0.5, 0.5], [0.8, 0.2]]), float64([[0.9, 0.1], [1.0, 0.0]])
    expected = float64([0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5), math.log(1 / 0.8)])
    torch.testing.assert_close(losses.attention_loss_reversed(student.log(), teacher), expected)


def test_any_class_is_a_label_where_some_rows_have_none():
    """Class 0 too: its row is the only labelled one of three."""
    one = {"log_attention": torch.zeros(3, 1), "logits": LOGITS.repeat(3, 1), "combine": PUBLISHED_COMBINE}
    for c, of_class in enumerate((9, 4, 1)):
        y = torch.tensor([-1, c, -1])
        got = member_loss(("hard",), **one, y=y, temperature=T, labelled=1 / 3)
        assert got.item() == pytest.approx(math.log(14 / of_class))
