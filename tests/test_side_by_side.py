"""The systems side by side: mixed labels, privileged channels, domains and their windows, by hand; bad input."""

from dataclasses import replace
from types import SimpleNamespace

import made_up
import numpy as np
import pytest
import torch

from rdpd_nb import anchor, params, training
from rdpd_nb.data.windows import split
from rdpd_nb.errors import UserError
from rdpd_nb.files import root
from rdpd_nb.losses import member_loss
from rdpd_nb.params import read_yaml
from rdpd_nb.related import side_by_side
from rdpd_nb.systems import SYSTEMS

pytestmark = pytest.mark.usefixtures("one_thread")


def test_each_task_has_its_score():
    """Of two stays who died both are ranked before one of two who did not; of six activities four are named rightly."""
    died, y = np.array([0.9, 0.4, 0.5, 0.1]), np.array([1, 1, 0, 0])
    assert side_by_side.score("cinc2012", np.stack([1 - died, died], 1), y) == 0.75
    named = np.array([0, 1, 2, 3, 5, 4])
    assert side_by_side.score("hapt", np.eye(6)[named], np.arange(6)) == pytest.approx(4 / 6)


def test_what_a_network_says_are_probabilities():
    of, x = side_by_side.HAR, torch.randn(5, 9, 128, generator=torch.Generator().manual_seed(0))
    network = side_by_side.Network(of, 16).train()
    found = side_by_side.probability(network, x)
    z = network.eval()(x)[1].detach().double().numpy()
    assert found == pytest.approx(np.exp(z) / np.exp(z).sum(1, keepdims=True), abs=1e-6) and found.shape == (5, 6)


def test_both_tasks_have_their_windows(monkeypatch):
    """A real view of each data set, of the source that the table of systems names."""
    for name, task in side_by_side.TASKS.items():
        windows = made_up.make_windows(name, n=30)
        monkeypatch.setattr(side_by_side.data, "load", lambda *given, windows=windows: windows)
        side_by_side.load.cache_clear()
        rich, poor = side_by_side.load(name, "")
        assert rich is windows and set(poor.channels) < set(rich.channels)
        assert SYSTEMS["side_by_side"].tasks[name] == task.source
    side_by_side.load.cache_clear()


# ------------------------------------------------------------------------------------------------ (a) the same people


def test_soft_labels_are_softened_as_logits_divided_by_t_are():
    assert side_by_side.softened(np.array([[0.8, 0.2]]), 2.0) == pytest.approx(np.array([[2 / 3, 1 / 3]]))
    logits = torch.tensor([[1.0, -2.0, 0.5], [30.0, -30.0, 0.0]], dtype=torch.float64)
    for t in (1.0, 5.0):
        expected = (logits / t).softmax(-1).numpy()
        assert side_by_side.softened(logits.softmax(-1).numpy(), t) == pytest.approx(expected, abs=1e-6)


def test_one_loss_of_mixed_labels_is_the_whole_of_the_weighted_two():
    windows = made_up.make_windows(n=20)
    windows = replace(windows, spec=replace(windows.spec, temperature=1.0))
    said = made_up.make_knowledge(windows, np.arange(3, 11))
    mix = side_by_side.mixed(said, windows.label, 2.0, 0.3)
    logits, y = torch.randn(8, len(windows.spec.classes)), torch.from_numpy(windows.label[3:11])
    log_a = torch.zeros(8, windows.spec.segments)

    def loss(term: str, soft: np.ndarray) -> float:
        taught = torch.from_numpy(soft.astype("f4")), torch.ones(8, windows.spec.segments)
        return member_loss((term,), log_a, logits, y, combine=torch.zeros(3), temperature=1.0, taught=taught).item()

    s = side_by_side.softened(said.soft_labels, 2.0)
    assert loss("soft", mix.soft_labels) == pytest.approx(0.7 * loss("hard", s) + 0.3 * loss("soft", s), abs=1e-5)


def test_without_imitation_it_is_direct():
    windows = made_up.make_windows(n=200)
    poor = windows.select(windows.spec.poor_views[0])
    splits = {0: split(poor, 0), 1: split(poor, 1)}
    flat = replace(windows, spec=replace(windows.spec, temperature=1.0))
    said = {seed: made_up.make_knowledge(flat, part.train) for seed, part in splits.items()}
    tried = side_by_side.fit_generalised(poor, splits, said, [(1.0, 0.0), (2.0, 1.0)], 2)
    direct = made_up.quietly(training.make_members(poor, splits, "direct"), poor)
    tests = [part.test for part in splits.values()]
    ours, imitated, plain = (training.predict(f, poor, tests, "cpu") for f in (*tried.values(), direct))
    for i in range(2):
        assert ours[i] == pytest.approx(plain[i], abs=1e-4)
        assert np.abs(imitated[i] - plain[i]).max() > 1e-3


def test_privileged_are_the_channels_that_the_student_lacks():
    rich = made_up.make_windows("hapt", n=30)
    poor = rich.select("acc")
    lacking = side_by_side.privileged(rich, poor)
    assert lacking.channels == rich.channels[:6] and poor.channels == rich.channels[6:]
    assert np.array_equal(lacking[np.arange(4)], rich[np.arange(4)][..., :6])
    assert lacking.fingerprint == poor.fingerprint and lacking.spec.temperature == 1.0
    assert lacking.spec.size(lacking.view) == rich.spec.teacher


# ---------------------------------------------------------------------------------------------- (b) another domain


@pytest.fixture
def stays(tmp_path, monkeypatch):
    """A folder of three stays of three sets, and their windows."""
    for name, stay, icu in (("a", 7, 2), ("b", 3, 4), ("c", 9, 2)):
        (tmp_path / f"set-{name}").mkdir()
        text = f"Time,Parameter,Value\n00:00,RecordID,{stay}\n00:00,ICUType,{icu}\n00:07,HR,73\n"
        (tmp_path / f"set-{name}" / f"{stay}.txt").write_text(text)
    windows = SimpleNamespace(
        subject=np.array([3, 7, 9]), recording=np.arange(3), recording_part=np.array(["train", "train", "test"])
    )
    monkeypatch.setattr(side_by_side, "load", lambda task, raw: (None, windows))
    monkeypatch.setattr(side_by_side.data, "locate", lambda *_: tmp_path)
    side_by_side.domain_of.cache_clear()
    yield tmp_path
    side_by_side.domain_of.cache_clear()


def test_the_unit_of_a_stay_is_what_its_file_says(stays):
    assert side_by_side.domain_of("cinc2012", "").tolist() == [4, 2, 2]
    source, target, test = side_by_side.scenario("cinc2012", "", 4, 2)
    assert (source.tolist(), target.tolist(), test.tolist()) == ([0], [1], [2])


def test_a_stay_without_a_unit(stays):
    (stays / "set-c" / "9.txt").write_text("Time,Parameter,Value\n00:00,RecordID,9\n00:00,ICUType,-1\n")
    with pytest.raises(UserError, match="set-c, 9.txt: no ICUType from 1 to 4; download it again"):
        side_by_side.domain_of("cinc2012", "")


def test_every_other_recording_of_a_class_is_there_to_learn_from(monkeypatch):
    windows = SimpleNamespace(
        subject=np.array([1, 1, 1, 1, 1, 2, 2]),
        label=np.array([0, 0, 0, 0, 1, 0, 0]),
        recording=np.array([4, 4, 6, 7, 5, 8, 9]),
    )
    monkeypatch.setattr(side_by_side, "load", lambda task, raw: (None, windows))
    assert side_by_side.pool("hapt", "").tolist() == [True, True, False, True, True, True, False]


def test_few_labels_are_so_many_a_class_and_fewer_are_among_more():
    y = np.repeat([0, 2], [30, 10])
    two, five = (side_by_side.few_labels(y, shots, seed=4) for shots in (2, 5))
    assert [(two == c).sum() for c in (-1, 0, 2)] == [36, 2, 2]
    assert (two[two >= 0] == y[two >= 0]).all() and (five[two >= 0] == two[two >= 0]).all()
    assert not np.array_equal(two, side_by_side.few_labels(y, 2, seed=5))


def test_windows_are_standardised_by_whom_is_said():
    windows = made_up.make_windows("hapt", n=60)
    series = windows.series.copy()
    series[0, 0] = np.nan
    windows = replace(windows, series=series)
    half, rest = np.arange(30), np.arange(30, 60)
    person = side_by_side.as_person(windows, half, rest, half)
    assert person.x.shape == (30, 9, 128) and person.test_y.tolist() == windows.label[rest].tolist()
    assert person.x.mean((0, 2)).abs().max() < 1e-3 and (person.x.std((0, 2)) - 1).abs().max() < 1e-2
    assert person.x[0, 0, 0] == 0, "what was not measured is the mean"
    mean, deviation = np.nanmean(windows[half][..., 3]), np.nanstd(windows[half][..., 3])
    assert person.test_x[2, 3, 5].item() == pytest.approx((windows[rest][2, 5, 3] - mean) / deviation, abs=1e-4)


def test_features_are_standardised_by_whom_is_said(monkeypatch):
    found = np.array([[8.0, 1.0], [12.0, np.nan], [20.0, 1.0]])
    monkeypatch.setattr(side_by_side, "summaries", lambda task, raw: found)
    x = side_by_side.features("hapt", "", np.array([1, 2]), np.array([0, 1]))
    assert x.tolist() == [[1.0, 0.0], [5.0, 0.0]]
    found[2, 1] = 4.0  # in a column that is the same in all of `by`: its distance, in its own unit
    assert side_by_side.features("hapt", "", np.array([2]), np.array([0, 1])).tolist() == [[5.0, 3.0]]


def test_summaries_are_those_of_the_anchor_a_row_a_window(monkeypatch):
    poor = made_up.make_windows("hapt", n=30).select("acc")
    monkeypatch.setattr(side_by_side, "load", lambda task, raw: (None, poor))
    side_by_side.summaries.cache_clear()
    found = side_by_side.summaries("hapt", "")
    side_by_side.summaries.cache_clear()
    assert found.shape == (len(poor), anchor.features(poor)[0].size) and found.dtype == np.float64
    np.testing.assert_allclose(found[4], anchor.features(poor)[4].ravel())


def test_networks_are_unikds_for_other_windows():
    of = side_by_side.set_of(made_up.make_windows("hapt", n=30))
    assert of == side_by_side.HAR
    poor = side_by_side.set_of(made_up.make_windows("cinc2012", n=30).select("bedside"))
    assert (poor.channels, poor.length, poor.classes, poor.batch) == (6, 48, 2, 32)


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: side_by_side.scenario("cinc2012", "", 2, 5), "there is no ICU 5; scenarios are pairs of 1, 2, 3, 4"),
        (lambda: side_by_side.scenario("hapt", "", 2, 31), "there is no person 31; scenarios are pairs of 1 to 30"),
        (lambda: side_by_side.few_labels(np.array([0, 0, 1]), 2, 0), "has 1 windows of class 1 to label.*asks for 2"),
        (lambda: side_by_side.files("hapt", "/nowhere"), "no raw files in /nowhere/hapt"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(monkeypatch, call, words):
    monkeypatch.setattr(side_by_side, "domain_of", lambda task, raw: np.array([1]))
    with pytest.raises(UserError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("adaptation_epochs", 0),
        ("adaptation_epochs", True),
        ("scenarios", [[1, 1]]),
        ("imitation", [1.5]),
        ("shots", [0]),
    ],
)
def test_a_parameter_that_cannot_be_is_named(name, value):
    given = read_yaml(root() / "profiles" / "demo.yaml", "settings")["related"]["side_by_side"]
    given |= {"raw": "", "profile": "demo", "results": "results"}
    assert set(given) - {"task", "raw", "profile", "results"} == set(SYSTEMS["side_by_side"].takes)
    params.check("17_systems_side_by_side", given)
    with pytest.raises(UserError, match=f"parameter '{name}' is .*; it should be"):
        params.check("17_systems_side_by_side", given | {name: value})
