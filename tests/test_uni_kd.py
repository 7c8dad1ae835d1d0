"""UNI-KD: its networks' sizes, the sign of the reversal, weights, schedules and losses by hand, its tasks."""

import math
import re

import numpy as np
import pytest
import torch
from made_up import make_windows

from rdpd_nb import data, params, related, simulate
from rdpd_nb.data import uci_har
from rdpd_nb.errors import UserError
from rdpd_nb.related import uni_kd, uni_kd_tasks
from rdpd_nb.related.uni_kd import HAR, SETS, STUDENT, TEACHER, Network
from rdpd_nb.related.uni_kd_tasks import CHOICES, RELEASED, Person

pytestmark = pytest.mark.usefixtures("one_thread")

LN9 = math.log(9)


@pytest.mark.parametrize("name", SETS)
def test_networks_have_the_parameters_that_the_paper_counts(name):
    counted = [uni_kd.parameters(Network(SETS[name], width)) for width in (TEACHER, STUDENT)]
    assert counted == related.published("uni_kd")["parameters"][name]


def test_what_the_last_block_gives_by_hand():
    """128 steps, padded convolutions of 5 (2 a side) and of 8 (4 a side: one step more), pools of 2 padded by 1."""
    lengths, length = [], 128
    for kernel, padding in ((5, 2), (8, 4), (8, 4)):
        length = (length + 2 * padding - kernel + 1 + 2) // 2
        lengths.append(length)
    x, found = torch.zeros(2, 9, 128), []
    for layer in Network(HAR, STUDENT).layers:
        x = layer(x)
        found += [x.shape[-1]] * isinstance(layer, torch.nn.MaxPool1d)
    assert found == lengths == [65, 34, 18]


def test_the_students_parameters_counted_by_hand():
    layers = 9 * 16 * 5 + 2 * 16, 16 * 32 * 8 + 2 * 32, 32 * 32 * 8 + 2 * 32, 32 * 6 + 6
    assert sum(layers) == uni_kd.parameters(Network(HAR, STUDENT)) == 13_366


@pytest.mark.parametrize("name", SETS)
def test_a_network_gives_features_and_logits_of_a_window(name):
    of = SETS[name]
    features, logits = Network(of, STUDENT)(torch.zeros(2, of.channels, of.length))
    assert features.shape == (2, 32) and logits.shape == (2, of.classes)


def test_discriminators_are_as_wide_as_said():
    assert uni_kd.parameters(uni_kd.discriminator(128, 64, 1)) == 128 * 64 + 64 + 64 * 64 + 64 + 64 + 1
    assert uni_kd.parameters(uni_kd.discriminator(32, 100, 2)) == 32 * 100 + 100 + 100 * 100 + 100 + 200 + 2


# ------------------------------------------------------------------------------------------------------ reversal


def test_the_reversed_gradient_has_the_other_sign_and_the_strength():
    x = torch.tensor([3.0, -1.0], requires_grad=True)
    y = uni_kd.reverse(x, 0.25)
    assert torch.equal(y, x)
    (2 * y).sum().backward()
    assert x.grad.tolist() == [-0.5, -0.5]


def test_the_discriminator_descends_where_the_features_climb():
    """One step along the gradients: D_d tells better, and the features are harder to tell."""
    torch.manual_seed(0)
    tell = uni_kd.discriminator(32, 64, 2)
    source, target = (torch.randn(8, 32, requires_grad=True) for _ in range(2))

    def loss(a: float) -> torch.Tensor:
        return uni_kd.domain_loss(tell(uni_kd.reverse(source, a)), tell(uni_kd.reverse(target, a)))

    before = loss(1.0)
    before.backward()
    with torch.no_grad():
        moved = [x - 0.1 * x.grad for x in (source, target)]
        assert uni_kd.domain_loss(*map(tell, moved)) > before, "the features lose"
        for p in tell.parameters():
            p -= 0.01 * p.grad
        assert loss(1.0) < before, "the discriminator wins"


# ----------------------------------------------------------------------------------------- schedules and losses


def test_the_strength_rises_from_0_to_almost_1():
    assert uni_kd.strength(0) == 0
    assert uni_kd.strength(LN9 / 10) == pytest.approx(0.8)  # 2 / (1 + 1/9) - 1
    assert 0.9999 < uni_kd.strength(1) < 1


def test_progress_is_the_share_of_the_training_behind_a_step():
    every = [uni_kd.progress(epoch, step, 4, 5) for epoch in range(1, 6) for step in range(4)]
    assert every == pytest.approx(np.arange(20) / 20)
    assert uni_kd.progress(1, 0, 4, 5, ("progress",)) == pytest.approx(4 / 5 + 1 / 4)  # as typed: 0 + 1 * 4 over 5


def test_beta_rises_to_nine_tenths_and_with_log10_to_a_quarter():
    assert uni_kd.balance(0, 10) == pytest.approx(0.1)
    assert uni_kd.balance(5, 10) == pytest.approx(0.3)  # 0.1 sqrt(9)
    assert uni_kd.balance(10, 10) == pytest.approx(0.9)
    assert uni_kd.balance(10, 10, ("log10",)) == pytest.approx(0.1 * 9 ** (1 / math.log(10)))


def test_joint_weights_by_hand():
    """Softmax (1/2, 1/2), (9/10, 1/10), (1/10, 9/10)."""
    logits = torch.tensor([[2.0, 2.0], [LN9, 0.0], [0.0, LN9]])
    assert uni_kd.joint_weights(logits).tolist() == pytest.approx([1, 0.2, 0.2])


def test_divergence_by_hand():
    """At T = 2 the logits 2 ln 3, 0 are (3/4, 1/4); against (1/2, 1/2)."""
    teacher, student = torch.tensor([[2 * math.log(3), 0.0]] * 2), torch.tensor([[0.0, 0.0], [2 * math.log(3), 0.0]])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert uni_kd.divergence(teacher, student, 2).tolist() == pytest.approx([expected, 0], abs=1e-7)


def test_domain_loss_by_hand():
    """The source is 1: the first is told right with 9/10, the target with 1/2."""
    source, target = torch.tensor([[0.0, LN9]]), torch.tensor([[0.0, 0.0]])
    assert uni_kd.domain_loss(source, target).item() == pytest.approx(-math.log(0.9) - math.log(0.5))


def test_losses_of_the_universal_knowledge_by_hand():
    told, imitated = torch.tensor([[LN9]]), torch.tensor([[-LN9], [0.0]])  # D_f is 0.9; 0.1 and 0.5
    expected = -math.log(0.9) - (math.log(0.9) + math.log(0.5)) / 2
    assert uni_kd.telling_loss(told, imitated).item() == pytest.approx(expected)
    adapted, taught = (torch.zeros(1, 2), torch.ones(1, 2)), (torch.full((1, 2), 0.5), torch.tensor([[1.0, 3.0]]))
    expected = -(math.log(0.1) + math.log(0.5)) / 2 + 0.5 + 1
    assert uni_kd.universal_loss(imitated, adapted, taught).item() == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------------ training


@pytest.fixture(scope="module")
def two():
    """Two people whose classes differ by a mean, which is shifted from one to the other."""
    rng, people = np.random.default_rng(0), []
    y = np.arange(66) % 6
    for shift in (0.0, 0.3):
        x = rng.normal(0, 0.3, (66, 9, 128)).astype(np.float32)
        x[np.arange(66), y] += 2
        x[:, 6:] += shift
        people.append(Person(*map(torch.from_numpy, (x, y, x, y))))
    return people


@pytest.fixture(scope="module")
def teacher(two):
    return uni_kd.fit_dann(*two, HAR, 0, 2, TEACHER)


def weights(network: Network) -> torch.Tensor:
    return torch.cat([p.detach().ravel() for p in network.parameters()])


def test_every_method_learns_what_is_easy(two, teacher):
    fits = [
        lambda: uni_kd.fit_alone(*two, HAR, 0, 12),
        lambda: uni_kd.fit_distilled(*two, HAR, 0, 12, teacher, both=True),
    ]
    fits += [
        lambda: uni_kd.fit_dann(*two, HAR, 0, 12, STUDENT),
        lambda: uni_kd.fit_uni_kd(*two, HAR, 0, 12, teacher)[0],
    ]
    assert [round(uni_kd.macro_f1(fit(), two[0])) for fit in fits] == [100] * 4


def test_a_seed_gives_the_same_student_again_and_the_teacher_stays_as_it_was(two, teacher):
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    (one, history), (again, _) = (uni_kd.fit_uni_kd(*two, HAR, 3, 1, teacher) for _ in range(2))
    assert torch.equal(weights(one), weights(again)) and history.shape == (1, len(uni_kd.TERMS))
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())
    other, _ = uni_kd.fit_uni_kd(*two, HAR, 4, 1, teacher)
    assert not torch.equal(weights(one), weights(other))


def test_no_label_of_the_target_is_seen(two, teacher):
    source, target = two
    hidden = target._replace(y=(target.y + 1) % 6)
    for fit in (
        lambda t: uni_kd.fit_uni_kd(source, t, HAR, 0, 1, teacher)[0],
        lambda t: uni_kd.fit_dann(source, t, HAR, 0, 1, STUDENT),
        lambda t: uni_kd.fit_distilled(source, t, HAR, 0, 1, teacher, both=True),
        lambda t: uni_kd.fit_alone(source, t, HAR, 0, 1),
    ):
        assert torch.equal(weights(fit(target)), weights(fit(hidden)))


@pytest.fixture
def double(two):
    """The two people, and all that is made meanwhile, in double precision: rounding is not what a test looks at."""
    torch.set_default_dtype(torch.float64)
    yield [Person(p.x.double(), p.y, p.test_x.double(), p.test_y) for p in two]
    torch.set_default_dtype(torch.float32)


def adam(*networks: torch.nn.Module) -> torch.optim.Adam:
    """As the paper has it, of all parameters of some networks."""
    return torch.optim.Adam(torch.nn.ModuleList(networks).parameters(), lr=0.01, betas=(0.5, 0.99), weight_decay=1e-4)


def step_by(optimiser: torch.optim.Adam, loss: torch.Tensor) -> None:
    """A step of these parameters by this loss alone, and of no other's."""
    every = optimiser.param_groups[0]["params"]
    for p, gradient in zip(every, torch.autograd.grad(loss, every, retain_graph=True), strict=True):
        p.grad = gradient
    optimiser.step()


def kl(q: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """KL of logits q from logits z at T = 4, a window a row."""
    q, z = (q / 4).softmax(-1), (z / 4).softmax(-1)
    return (q * (q / z).log()).sum(-1)


def told_apart(z_s: torch.Tensor, z_t: torch.Tensor) -> torch.Tensor:
    """What the domain discriminator minimises."""
    return -(z_s.softmax(-1)[:, 1].log().mean() + z_t.softmax(-1)[:, 0].log().mean())


def test_two_epochs_of_uni_kd_as_a_plain_loop_does_them(double):
    """Without reversal: each network has its own loss and its own gradient, the student less `a` times the domain's."""
    (source, target), T = double, 4.0
    teacher = uni_kd.fit_alone(*double, HAR, 7, 1, TEACHER)
    fitted, history = uni_kd.fit_uni_kd(*double, HAR, 5, 2, teacher)

    torch.manual_seed(5)
    student, adapt = Network(HAR, STUDENT), torch.nn.Linear(32, 128)
    tell_features, tell_domain = uni_kd.discriminator(128, 64, 1), uni_kd.discriminator(32, 64, 2)
    of_student, of_features, of_domain = adam(student, adapt), adam(tell_features), adam(tell_domain)
    terms = []
    for epoch, step, _, s, t in uni_kd.batches(source, target, HAR, 5, 2):
        p = (2 * (epoch - 1) + step) / 4
        a, beta = 2 / (1 + math.exp(-10 * p)) - 1, 0.1 * 9 ** (epoch / 2)
        with torch.no_grad():
            (g_s, q_s), (g_t, q_t) = teacher.eval()(source.x[s]), teacher(target.x[t])
        (f_s, z_s), (f_t, z_t) = student(source.x[s]), student(target.x[t])
        like_s, like_t = adapt(f_s), adapt(f_t)
        his, ours = torch.cat([g_s, g_t]), torch.cat([like_s, like_t])
        step_by(of_features, -tell_features(his).sigmoid().log().mean()
                - (1 - tell_features(ours.detach()).sigmoid()).log().mean())  # fmt: skip
        universal = -tell_features(ours).sigmoid().log().mean() + (like_s - g_s).abs().mean()
        universal = universal + (like_t - g_t).abs().mean()
        d_s, d_t = tell_domain(f_s), tell_domain(f_t)
        w_s, w_t = (1 - (d.softmax(-1)[:, 0] - d.softmax(-1)[:, 1]).abs().detach() for d in (d_s, d_t))
        joint = T**2 * ((w_s * kl(q_s, z_s)).mean() + (w_t * kl(q_t, z_t)).mean())
        labels, domain = -z_s.softmax(-1)[range(32), source.y[s]].log().mean(), told_apart(d_s, d_t)
        terms.append([x.item() for x in (labels, domain, joint, universal, torch.cat([w_s, w_t]).mean())])
        before = [p.clone() for p in tell_domain.parameters()]
        step_by(of_student, labels - a * (1 - beta) * domain + beta * joint + universal)
        assert all(map(torch.equal, before, tell_domain.parameters()))
        step_by(of_domain, (1 - beta) * domain)
    torch.testing.assert_close(weights(fitted), weights(student), rtol=0, atol=1e-9)
    assert history == pytest.approx(np.reshape(terms, (2, 2, 5)).mean(1), abs=1e-9)
    names = ("source labels", "domain", "joint knowledge", "universal knowledge", "mean weight")
    assert names == uni_kd.TERMS


@pytest.mark.parametrize("both", [False, True])
def test_two_epochs_of_plain_distillation_as_a_plain_loop_does_them(double, both):
    source, target = double
    teacher = uni_kd.fit_alone(*double, HAR, 7, 1, TEACHER).eval()
    fitted = uni_kd.fit_distilled(*double, HAR, 5, 2, teacher, both=both)
    torch.manual_seed(5)
    student = Network(HAR, STUDENT)
    optimiser = adam(student)
    for *_, s, t in uni_kd.batches(source, target, HAR, 5, 2):
        z_s = student(source.x[s])[1]
        loss = -z_s.softmax(-1)[range(32), source.y[s]].log().mean()
        loss = loss + 16 * kl(teacher(source.x[s])[1].detach(), z_s).mean()
        if both:
            loss = loss + 16 * kl(teacher(target.x[t])[1].detach(), student(target.x[t])[1]).mean()
        step_by(optimiser, loss)
    torch.testing.assert_close(weights(fitted), weights(student), rtol=0, atol=1e-9)


def test_two_epochs_of_dann_as_a_plain_loop_does_them(double):
    source, target = double
    fitted = uni_kd.fit_dann(*double, HAR, 5, 2, STUDENT)
    torch.manual_seed(5)
    network, tell = Network(HAR, STUDENT), uni_kd.discriminator(32, 64, 2)
    of_network, of_tell = adam(network), adam(tell)
    for epoch, step, _, s, t in uni_kd.batches(source, target, HAR, 5, 2):
        a = 2 / (1 + math.exp(-10 * (2 * (epoch - 1) + step) / 4)) - 1
        (f_s, z_s), (f_t, _) = network(source.x[s]), network(target.x[t])
        labels, domain = -z_s.softmax(-1)[range(32), source.y[s]].log().mean(), told_apart(tell(f_s), tell(f_t))
        step_by(of_network, labels - a * domain)
        step_by(of_tell, domain)
    torch.testing.assert_close(weights(fitted), weights(network), rtol=0, atol=1e-9)


@pytest.mark.parametrize("choice", RELEASED)
def test_each_deviation_of_the_released_code_changes_the_student(two, teacher, choice):
    ours, _ = uni_kd.fit_uni_kd(*two, HAR, 0, 1, teacher)
    theirs, _ = uni_kd.fit_uni_kd(*two, HAR, 0, 1, teacher, (choice,))
    assert not torch.equal(weights(ours), weights(theirs))


def test_the_released_teacher_has_its_progress_too(two):
    ours, theirs, other = (uni_kd.fit_dann(*two, HAR, 0, 1, STUDENT, c) for c in ((), ("progress",), ("log10",)))
    assert not torch.equal(weights(ours), weights(theirs)) and torch.equal(weights(ours), weights(other))


def test_batches_are_whole_and_the_same_for_every_method(two):
    source, target = two
    longer = Person(*(torch.cat([value, value]) for value in target))
    found = list(uni_kd.batches(source, longer, HAR, 1, 2))
    assert [(epoch, step, steps) for epoch, step, steps, _, _ in found] == [(1, 0, 2), (1, 1, 2), (2, 0, 2), (2, 1, 2)]
    assert {len(s) for *_, s, _ in found} == {len(t) for *_, t in found} == {32}
    assert len(set(torch.cat([s for *_, s, _ in found[:2]]).tolist())) == 64, "no window twice in an epoch"
    few = Person(*(value[:31] for value in source))
    with pytest.raises(UserError, match="fewer than 32 training windows"):
        next(uni_kd.batches(few, target, HAR, 0, 1))


# --------------------------------------------------------------------------------------------------------- tasks


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """A raw folder with the smallest simulated UCI HAR in its publisher's files."""
    folder = tmp_path_factory.mktemp("raw") / "uci_har"
    folder.mkdir()
    simulate.write("uci_har", folder, 0.0, uni_kd_tasks.TWIN_SEED)
    return folder.parent


def test_a_person_of_the_twin_is_the_one_in_the_simulators_files(monkeypatch, raw):
    monkeypatch.setattr(uni_kd_tasks, "TWIN_SCALE", 0.0)
    windows = data.Windows.from_recordings(uci_har.SPEC, uci_har.read(raw / "uci_har", lambda line: None))
    uni_kd_tasks.windows_of.cache_clear()
    for person in (2, 30):
        x, y = uni_kd_tasks.windows_of("twin", "", person)
        index = np.flatnonzero(windows.subject == person)
        assert np.array_equal(y, windows.label[index])
        np.testing.assert_allclose(x.transpose(0, 2, 1), windows[index], rtol=1e-6, atol=1e-7)  # rounded in the file
    uni_kd_tasks.windows_of.cache_clear()


def test_recorded_windows_are_a_persons_own_with_time_last(monkeypatch):
    windows, asked = make_windows("hapt", n=30), []
    monkeypatch.setattr(uni_kd_tasks.data, "load", lambda *given: asked.append(given) or windows)
    caches = uni_kd_tasks.windows_of, uni_kd_tasks.recorded
    [of.cache_clear() for of in caches]
    x, y = uni_kd_tasks.windows_of("hapt", "there", 1)
    [of.cache_clear() for of in caches]
    assert asked == [("hapt", "all", "real", "there")]
    own = np.flatnonzero(windows.subject == 1)
    assert 0 < len(own) < 30 and x.shape == (len(own), 9, 128) and np.array_equal(y, windows.label[own])
    assert np.array_equal(x[0, 3], windows[own][0, :, 3])


def test_thirty_of_a_hundred_windows_of_each_class_are_held_out():
    y = np.repeat([0, 1, 5], [100, 50, 10])
    train, test = uni_kd_tasks.held_out(y, 7)
    assert sorted([*train, *test]) == list(range(160))
    assert np.bincount(y[test]).tolist() == [30, 15, 0, 0, 0, 3]
    assert np.array_equal(uni_kd_tasks.held_out(y, 7)[1], test) and not np.array_equal(
        uni_kd_tasks.held_out(y, 8)[1], test
    )
    train, test = uni_kd_tasks.held_out(y, 7, ("by_time",))
    assert test.tolist() == [*range(70, 100), *range(135, 150), *range(157, 160)]
    assert train.tolist() == [*range(69), *range(100, 134), *range(150, 156)], (
        "the window beside the test part is left out"
    )


def test_whose_scale_people_are_standardised_by():
    (source, target), (_, by_source) = (uni_kd_tasks.scenario("twin", "", 2, 11, c) for c in ((), ("one_scale",)))
    for person in (source, target):
        assert person.x.mean((0, 2)).abs().max() < 1e-4 and (person.x.std((0, 2)) - 1).abs().max() < 1e-2
    assert by_source.x.mean((0, 2)).abs().max() > 0.01
    assert torch.equal(by_source.y, target.y)
    for who, person in zip((2, 11), uni_kd_tasks.scenario("twin", "", 2, 11, ("as_recorded",)), strict=True):
        x, y = uni_kd_tasks.windows_of("twin", "", who)
        train, test = uni_kd_tasks.held_out(y, who)
        assert np.array_equal(person.x, x[train]) and np.array_equal(person.test_x, x[test])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: uni_kd_tasks.windows_of("twin", "", 31), "there is no person 31; .* from 1 to 30"),
        (lambda: uni_kd_tasks.windows_of("twin", "", 0), "there is no person 0; .* from 1 to 30"),
        (lambda: uni_kd_tasks.check_choices(["log10", "log2"]), "there is no alternative 'log2'; use some of detached"),
        (lambda: uni_kd.files("hapt", "/nowhere"), "no raw files in /nowhere/hapt"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(call, words):
    with pytest.raises(UserError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_files_that_do_not_say_whose_windows_they_are(monkeypatch, raw, tmp_path):
    monkeypatch.setenv("RDPD_DATA", str(tmp_path))
    assert len(uni_kd.files("uci_har", str(raw))) == 22
    for path in raw.rglob("subject_*.txt"):
        path.unlink()
    assert len(uni_kd.files("uci_har", str(raw))) == 20
    with pytest.raises(UserError, match=re.escape("no subject_train.txt and subject_test.txt")):
        uni_kd_tasks.windows_of("uci_har", str(raw), 2)


@pytest.mark.parametrize("scenarios", [[], [[2]], [[2, 2]], [[2, 11], [2, 11]], [[2, "11"]], "2 -> 11"])
def test_scenarios_are_pairs_of_people(scenarios):
    given = {
        "task": "twin",
        "raw": "",
        "seeds": [0],
        "epochs": 1,
        "alternatives": [],
        "profile": "tiny",
        "results": "r",
    }
    with pytest.raises(UserError, match="a list of different pairs"):
        params.check("16_uni_kd", given | {"scenarios": scenarios})


def test_what_the_released_code_does_otherwise_is_five_things():
    assert RELEASED == ("detached", "source_twice", "progress", "log10", "weights")
    assert {choice.why for choice in CHOICES.values()} == {"released code", "open"}
    assert {*CHOICES} - {*RELEASED} == {"one_scale", "as_recorded", "by_time", "best_teacher"}
