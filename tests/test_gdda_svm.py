"""GDDA-SVM: its equations against brute force and other solvers, the estimator, the tasks, and bad input."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import make_windows
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.utils.estimator_checks import check_estimator

from rdpd_nb import data
from rdpd_nb.errors import UserError
from rdpd_nb.related import gdda_svm, gdda_tasks
from rdpd_nb.related.gdda_svm import GDDASVM, factor, find_weights, least, left_out, loss_and_gradient, on_simplex

ROWS, FEATURES, CLASSES = 15, 4, 3


def problem(slices=4, seed=0):
    """x, label slices (M, L, N) the first of which are hard, and class indices: five labelled rows of each class."""
    rng = np.random.default_rng(seed)
    y = np.repeat(range(CLASSES), ROWS // CLASSES)
    x = rng.normal(size=(ROWS, FEATURES)) + np.eye(CLASSES, FEATURES)[y]
    soft = rng.dirichlet(np.ones(CLASSES), (slices - 1, ROWS))
    return x, np.concatenate([np.eye(CLASSES)[y][None], soft]), y


def some_weights(slices, count, seed=1):
    return np.random.default_rng(seed).dirichlet(np.ones(slices), count)


# ------------------------------------------------------------------------------------------------------ equations


def test_two_rows_by_hand():
    """Omega = [[2, 2], [2, 5]], its inverse [[5, -2], [-2, 2]] / 6; each row left out, the other alone remains."""
    x, s = np.array([[1.0], [2.0]]), np.array([[[1.0], [0.0]]])
    eta, mu = left_out(s, factor(x, 0.5))
    np.testing.assert_allclose(eta[0, :, 0], [5 / 6, -1 / 3])
    np.testing.assert_allclose(mu[0, :, 0], [0, 1], atol=1e-15)
    model = GDDASVM(C=0.5).fit(x, [7, 3])  # class 7 is the second
    np.testing.assert_allclose(model.coef_, [[1 * -2 / 6 + 2 * 2 / 6], [1 / 6]])


def test_left_out_scores_equal_brute_force():
    x, slices, _ = problem()
    weights, c = some_weights(len(slices), 1)[0], 0.7
    _, mu = left_out(slices, factor(x, c))
    mixed = np.tensordot(weights, slices, 1)
    for j in range(ROWS):
        rest = np.arange(ROWS) != j
        eta = np.linalg.solve(x[rest] @ x[rest].T + np.eye(ROWS - 1) / (2 * c), mixed[rest])
        np.testing.assert_allclose(np.tensordot(weights, mu[:, j], 1), x[j] @ x[rest].T @ eta, atol=1e-8)


def test_the_fit_is_where_equation_4_is_least():
    x, slices, y = problem()
    weights, c = some_weights(len(slices), 1)[0], 0.3
    w = GDDASVM(C=c, weights=weights).fit(x, y, slices[1:]).coef_
    errors = slices - x @ w.T  # e_ijn
    gradient = w - 2 * c * np.einsum("i,ijn,jd->nd", weights, errors, x)
    np.testing.assert_allclose(gradient, 0, atol=1e-12)


def test_with_one_row_a_class_hard_labels_give_a_left_out_row_nothing_of_its_own_class():
    x, slices, y = problem()
    few = [0, 5, 10]  # one of each class, the others unlabelled
    slices[0, np.setdiff1d(range(ROWS), few)] = 0
    _, mu = left_out(slices, factor(x, 2.0))
    np.testing.assert_allclose(mu[0, few, y[few]], 0, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "sharpness"), [("cross_entropy", None), ("cross_entropy", 20.0), ("hinge", None), ("hinge", 30.0)]
)
def test_gradient_and_convexity_of_the_loss(loss, sharpness):
    x, slices, y = problem()
    _, mu = left_out(slices, factor(x, 1.0))

    def value(at):
        return loss_and_gradient(at, mu, y, loss, sharpness)[0]

    for at, other in zip(some_weights(4, 20), some_weights(4, 20, 2), strict=True):
        steps = np.eye(4) * 1e-6
        numeric = [(value(at + step) - value(at - step)) / 2e-6 for step in steps]
        gradient = loss_and_gradient(at, mu, y, loss, sharpness)[1]
        np.testing.assert_allclose(gradient, numeric, atol=1e-7)
        assert value((at + other) / 2) <= (value(at) + value(other)) / 2 + 1e-12
        assert value(other) >= value(at) + gradient @ (other - at) - 1e-12, "the hinge's is a subgradient"


def test_losses_by_hand():
    mu = np.array([[[0.0, 1.0, 0.5]]])  # one slice, one row
    value, gradient = loss_and_gradient(np.ones(1), mu, np.array([0]), "cross_entropy")
    p = np.exp([0, 1, 0.5]) / np.exp([0, 1, 0.5]).sum()
    assert value == pytest.approx(-np.log(p[0])) and gradient == pytest.approx(p[1] * 1 + p[2] * 0.5)
    value, gradient = loss_and_gradient(np.ones(1), mu, np.array([0]), "hinge")
    assert (value, gradient.tolist()) == (2.0, [1.0])  # 1 + 1 - 0, mu_r - mu_y
    assert loss_and_gradient(np.ones(1), mu * [-9, 1, 1], np.array([0]), "hinge")[0] == 2.0
    assert loss_and_gradient(np.ones(1), mu + [[[9, 0, 0]]], np.array([0]), "hinge")[0] == 0.0


@pytest.mark.parametrize("slices", [1, 2, 5])
def test_projection_is_the_nearest_point_of_the_simplex(slices):
    rng = np.random.default_rng(0)
    for v in rng.normal(0, 2, (20, slices)):
        found = on_simplex(v)
        assert found.min() >= 0 and found.sum() == pytest.approx(1)
        others = rng.dirichlet(np.ones(slices), 500)
        assert ((others - v) ** 2).sum(1).min() >= ((found - v) ** 2).sum() - 1e-12
    np.testing.assert_allclose(on_simplex(np.array([2.0, 0.0])), [1, 0])
    np.testing.assert_allclose(on_simplex(np.array([0.25, 0.5])), [0.375, 0.625])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("loss", "near"), [("cross_entropy", 1e-8), ("hinge", 2e-4)])
def test_one_source_as_a_fine_grid(loss, near, seed):
    x, slices, y = problem(2, seed)
    _, mu = left_out(slices, factor(x, 1.0))
    found = find_weights(mu, y, loss)
    of_grid = [loss_and_gradient(np.array([a, 1 - a]), mu, y, loss)[0] for a in np.linspace(0, 1, 1001)]
    assert loss_and_gradient(found, mu, y, loss)[0] <= min(of_grid) + near
    assert found.sum() == pytest.approx(1) and found.min() >= 0


@pytest.mark.parametrize("seed", range(3))
def test_several_sources_as_slsqp(seed):
    x, slices, y = problem(4, seed)
    _, mu = left_out(slices, factor(x, 1.0))
    whole = {"type": "eq", "fun": lambda v: v[:4].sum() - 1}
    ends, start = [(0, 1)] * 4, np.full(4, 0.25)

    def entropy(at):
        return loss_and_gradient(at, mu, y, "cross_entropy")

    theirs = minimize(entropy, start, jac=True, bounds=ends, constraints=whole, method="SLSQP", tol=1e-14)
    found = find_weights(mu, y)
    assert entropy(found)[0] == pytest.approx(theirs.fun, abs=1e-8)
    np.testing.assert_allclose(found, theirs.x, atol=1e-3)

    margins = mu - mu[:, range(ROWS), y][..., None]  # the hinge as the least mean of t_j, all t_j >= what is in it
    above = {"type": "ineq", "fun": lambda v: (v[4:, None] - np.tensordot(v[:4], margins, 1) - (1 - slices[0])).ravel()}
    start = np.concatenate([start, np.full(ROWS, 5.0)])
    theirs = minimize(lambda v: v[4:].mean(), start, bounds=[*ends, *[(0, None)] * ROWS],
                      constraints=[whole, above], method="SLSQP", options={"maxiter": 500})  # fmt: skip
    assert theirs.success
    assert loss_and_gradient(find_weights(mu, y, "hinge"), mu, y, "hinge")[0] == pytest.approx(theirs.fun, abs=2e-4)


def test_least_stays_where_it_is_least_already():
    np.testing.assert_array_equal(least(lambda at: (float(at @ at), 2 * at), np.array([0.5, 0.5])), [0.5, 0.5])
    np.testing.assert_allclose(least(lambda at: (float(at[0]), np.array([1.0, 0.0])), np.array([0.9, 0.1])), [0, 1])


# ------------------------------------------------------------------------------------------------------ estimator


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("unlabelled", [None, -1])
def test_scikit_learns_own_checks(unlabelled):
    """-1 is a class in one of them; scikit-learn spares its own semi-supervised classifiers that, by name."""
    spared = {"check_classifiers_classes": "-1 is no label here"} if unlabelled == -1 else {}
    found = check_estimator(GDDASVM(unlabelled=unlabelled), expected_failed_checks=spared, on_skip=None)
    assert {check["check_name"] for check in found if check["status"] == "xfail"} == set(spared)
    assert sum(check["status"] == "passed" for check in found) > 50


def domains():
    """A source model of three blobs, and a target beside them: x, y with -1, and all labels."""
    x, y = make_blobs(90, centers=[[0, 2], [2, -1], [-2, -1]], random_state=0)
    source = LogisticRegression().fit(x[:45] + [0.5, 0], y[:45])
    few = y[45:].copy()
    for c in range(3):
        few[np.flatnonzero(y[45:] == c)[2:]] = -1
    return source, x[45:], few, y[45:]


def test_unlabelled_rows_are_no_class_and_have_no_part_in_the_loss():
    source, x, few, y = domains()
    model = GDDASVM([source], temperature=50.0, loss="hinge").fit(x, few)
    assert model.classes_.tolist() == [0, 1, 2] and (few == -1).sum() > 30
    known = few != -1
    np.testing.assert_array_equal(model.weights_, find_weights(model.mu_[:, known], few[known], "hinge"))
    assert not np.allclose(model.weights_, find_weights(model.mu_, y, "hinge"), atol=0.01), (
        "others, were all labels known"
    )
    assert model.score(x, y) > 0.8


def test_sources_as_classifiers_and_as_arrays_are_the_same():
    source, x, few, _ = domains()
    one = GDDASVM([source, source], temperature=3.0).fit(x, few)
    soft = gdda_svm.soft_labels(source, x, one.classes_, 3.0)
    other = GDDASVM(temperature=3.0).fit(x, few, [soft, soft])
    np.testing.assert_array_equal(one.coef_, other.coef_)
    assert one.weights_.shape == (3,) and one.slice_coef_.shape == (3, 3, 2)


def test_soft_labels_by_hand_and_of_a_class_that_a_source_does_not_know():
    source, x, *_ = domains()
    z = source.decision_function(x) / 4
    expected = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    found = gdda_svm.soft_labels(source, x, np.arange(4), 4.0)
    np.testing.assert_allclose(found[:, :3], expected)
    assert (found[:, 3] == 0).all()
    skewed = GaussianNB().fit(x, np.arange(len(x)) % 2)  # probabilities alone: their logarithms are the logits
    p = np.sqrt(skewed.predict_proba(x))
    np.testing.assert_allclose(gdda_svm.soft_labels(skewed, x, skewed.classes_, 2.0), p / p.sum(1, keepdims=True))
    half = Perceptron().fit(x, x[:, 0] > 0)  # no probabilities, and two classes
    found = gdda_svm.soft_labels(half, x, half.classes_, 2.0)
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-half.decision_function(x) / 2)))


def test_a_class_without_a_labelled_row_is_learned_from_the_source():
    source, x, few, y = domains()
    few[few == 2] = -1
    model = GDDASVM([source], weights=[0.3, 0.7]).fit(x, few)
    assert model.classes_.tolist() == [0, 1, 2] and (model.predict(x)[y == 2] == 2).mean() > 0.8


def test_one_cholesky_factor_serves_all_classes_and_lambdas(monkeypatch):
    source, x, few, _ = domains()
    calls, real = [], gdda_svm.cho_factor
    monkeypatch.setattr(gdda_svm, "cho_factor", lambda *args, **rest: calls.append(1) or real(*args, **rest))
    model = GDDASVM([source, source], loss="hinge").fit(x, few)
    again = GDDASVM([source, source], weights=[0.2, 0.5, 0.3]).fit(x, few)
    assert len(calls) == 2
    np.testing.assert_allclose(np.tensordot([0.2, 0.5, 0.3], model.slice_coef_, 1), again.coef_)


def test_cloned_with_frozen_sources_it_can_be_cross_validated():
    source, x, _, y = domains()
    model = GDDASVM([FrozenEstimator(source)], unlabelled=None)
    assert np.mean(cross_val_score(model, x, y)) > 0.8
    with pytest.raises(ValueError, match="'LogisticRegression' is not a fitted classifier.*FrozenEstimator"):
        clone(GDDASVM([source])).fit(x, y)


@pytest.mark.parametrize(
    ("parameters", "labels", "soft", "words"),
    [
        ({}, [-1, -1, -1, -1], [], "no row of the target has a label"),
        ({}, [4, 4, -1, -1], [], "there is one class only, 4"),
        ({"weights": [1.5, -0.5]}, [0, 1, -1, -1], [[[0.5, 0.5]] * 4], "2 numbers from 0 to 1 that sum to 1"),
        ({"weights": [0.5, 0.4]}, [0, 1, -1, -1], [[[0.5, 0.5]] * 4], r"weights are \[0.5, 0.4\]"),
        ({"weights": [1.0]}, [0, 1, -1, -1], [[[0.5, 0.5]] * 4], "they should be 2 numbers"),
        ({"weights": [np.nan, 1.0]}, [0, 1, -1, -1], [[[0.5, 0.5]] * 4], r"weights are \[nan, 1.0\]"),
        ({}, [0, 1, -1, -1], [[[0.5, 0.5]] * 3], r"of shape \(3, 2\); it should be \(4, 2\)"),
        ({}, [0, 1, -1, -1], [[[1.5, -0.5]] * 4], "not all from 0 to 1"),
        ({}, [0, 1, -1, -1], [[[np.nan, 0.5]] * 4], "not all from 0 to 1"),
        ({}, [0, 1, -1, -1], [[[0.5, 0.5]] * 3 + [[1.5, 0.5]]], "not all from 0 to 1"),
        ({}, [0, 1, -1, -1], [[[0.5, 0.5]] * 3 + [[-0.1, 0.5]]], "not all from 0 to 1"),
        ({"C": 0}, [0, 1, -1, -1], [], "C is 0; it should be a number above 0"),
        ({"temperature": "5"}, [0, 1, -1, -1], [], "temperature is '5'"),
        ({"loss": "mse"}, [0, 1, -1, -1], [], "loss is 'mse'; it should be 'cross_entropy' or 'hinge'"),
        ({"sources": ["a"]}, [0, 1, -1, -1], [], "source 'str' is not a fitted classifier"),
    ],
)
def test_bad_input_is_one_sentence(parameters, labels, soft, words):
    with pytest.raises(UserError, match=words) as caught:
        GDDASVM(**parameters).fit(np.eye(4), labels, soft)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


# ---------------------------------------------------------------------------------------------------------- tasks


def test_digits_have_one_target_and_shifted_sources_of_other_images():
    domains = gdda_svm.load("digits", "")
    target, sources = domains.roles(3)
    assert domains.title == "Digits"
    assert domains.names[target] == "upright" and [domains.names[s] for s in sources] == list(gdda_tasks.SHIFTS)
    assert np.bincount(domains.domain).tolist() == [898] * 4 + [899]
    rows, y, test = domains.draw(target, 0, 1, 5)
    assert len(y) == 60 and (y == -1).sum() == 50 and sorted(y[:10]) == list(range(10))
    assert len(test) == 449 and not set(rows) & set(test)
    np.testing.assert_array_equal(domains.y[rows[:10]], y[:10])
    more, of_more, same = domains.draw(target, 0, 1, 20)
    np.testing.assert_array_equal(more[:60], rows), np.testing.assert_array_equal(same, test)
    np.testing.assert_array_equal(of_more[:60], y)
    assert set(domains.draw(target, 1, 1, 5)[0]) != set(rows)
    assert len(domains.draw(target, 0, 1, 44)[0]) == 450, "all there are"
    with pytest.raises(UserError, match="upright has 450 rows to draw from, too few for 1 labelled and 45 unlabelled"):
        domains.draw(target, 0, 1, 45)


def test_people_are_targets_in_turn_and_tested_on_recordings_of_their_own(monkeypatch):
    windows = make_windows()
    windows = replace(windows, recording_subject=np.arange(len(windows)) // 60)
    monkeypatch.setattr(data, "load", lambda *given: windows)
    domains = gdda_svm.load("hapt", "")
    people = 5
    assert domains.names == tuple(f"person {p}" for p in range(people)) and np.isfinite(domains.x).all()
    targets = [domains.roles(seed)[0] for seed in range(people)]
    assert sorted(targets) == list(range(people)) and domains.roles(people)[0] == targets[0]
    target, sources = domains.roles(0)
    assert sorted([target, *sources]) == list(range(people))
    shared = set(windows.recording[domains.pool]) & set(windows.recording[~domains.pool])
    assert not shared and 0.4 < domains.pool.mean() < 0.5
    rows, y, test = domains.draw(target, 0, 1, 1)
    assert set(domains.domain[[*rows, *test]]) == {target} and (y >= 0).sum() == len(domains.classes)


def test_the_raw_files_of_people_are_their_readers(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "locate", lambda task, source, raw: tmp_path / raw / source / task)
    monkeypatch.setattr(data, "raw_files", lambda task, folder: [folder / "signals.txt"])
    assert gdda_svm.files("hapt", "there") == [tmp_path / "there/real/hapt/signals.txt"]
    assert gdda_svm.files("digits", "there") == []


def office(path, **other):
    rng = np.random.default_rng(0)
    arrays = {}
    for name, rows in gdda_tasks.OFFICE.items():
        arrays |= {f"{name}_x": rng.normal(size=(rows, 5)).astype("f4"), f"{name}_y": np.arange(rows) % 31}
    arrays |= other
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def test_features_of_office31(tmp_path):
    with pytest.raises(UserError, match="put an office31.npz of your own there"):
        gdda_svm.files("office31", str(tmp_path))
    (tmp_path / "office31").mkdir()
    path = tmp_path / "office31" / "office31.npz"
    with pytest.raises(UserError, match=r"office31.npz is not there; the features may not be passed on"):
        gdda_svm.files("office31", str(tmp_path))
    office(path)
    assert gdda_svm.files("office31", str(tmp_path)) == [path]
    domains = gdda_svm.load("office31", str(tmp_path))
    target, sources = domains.roles(0)
    assert domains.names[target] == "amazon" and [domains.names[s] for s in sources] == ["dslr", "webcam"]
    assert len(domains.x) == sum(gdda_tasks.OFFICE.values()) and len(domains.draw(target, 9, 1, 20)[0]) == 21 * 31


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"dslr_y": None}, "is no .npz file with amazon_x, amazon_y"),
        ({"dslr_y": np.array([None] * 498)}, "is no .npz file with"),
        ({"webcam_x": np.ones((794, 5))}, "webcam_x is not 795 rows"),
        ({"webcam_x": np.ones((795, 6))}, "as many as amazon_x"),
        ({"amazon_x": np.full((2817, 5), np.nan)}, "amazon_x is not 2817 rows of finite features"),
        ({"webcam_x": np.where(np.eye(795, 5), np.inf, 0.0)}, "webcam_x is not 795 rows of finite features"),
        ({"dslr_y": np.arange(498) % 30}, "dslr_y is not 498 whole numbers, with all of 0 to 30"),
        ({"dslr_y": np.arange(498) % 31 + 1.0}, "dslr_y is not 498 whole numbers"),
    ],
)
def test_features_that_are_not_office31s(tmp_path, other, words):
    (tmp_path / "office31").mkdir()
    path = tmp_path / "office31" / "office31.npz"
    office(path, **other)
    with pytest.raises(UserError, match=words):
        gdda_svm.load("office31", str(tmp_path))
    path.write_text("no archive")
    with pytest.raises(UserError, match="is no .npz file"):
        gdda_svm.load("office31", str(tmp_path))
