"""Generalised distillation for small time series: the integrator, the rows, the fits, the choice, LuPTS, bad input."""

import lzma
import runpy

import nbformat
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit

from rdpd_nb import params
from rdpd_nb.errors import UserError
from rdpd_nb.files import root, sum_of
from rdpd_nb.related import generalised, published
from rdpd_nb.related import generalised_tasks as tasks
from rdpd_nb.related.generalised import Outcome
from rdpd_nb.related.generalised_tasks import TASKS, Choices, Rows

RNG = np.random.default_rng(0)


# ----------------------------------------------------------------------------------------------------- Mackey-Glass


def by_another_solver(start: float, delays: int) -> np.ndarray:
    """x at every tenth of a unit of time, by SciPy's eighth-order method, one delay after another."""
    history, values = lambda t: np.full_like(t, start), [np.array([start])]
    for i in range(delays):
        times = np.linspace(17 * i, 17 * (i + 1), 171)
        slope = lambda t, x, past=history: tasks.production(past(np.asarray(t - 17))) - 0.1 * x  # noqa: E731
        found = solve_ivp(slope, times[[0, -1]], values[-1][-1:], "DOP853", dense_output=True, rtol=1e-12, atol=1e-13)
        history = lambda t, sol=found.sol: sol(t)[0]  # noqa: E731
        values.append(history(times[1:]))
    return np.concatenate(values)


def test_the_integrator_agrees_with_another_solver():
    x = tasks.mackey_glass(np.array([1.2, 0.6]), 5 * 17)
    assert x.shape == (851, 2) and tasks.mackey_glass(np.array([1.2]), 20).shape == (201, 1), "not whole delays"
    for column, start in zip(x.T, (1.2, 0.6), strict=True):
        np.testing.assert_allclose(column, by_another_solver(start, 5), rtol=0, atol=2e-7)


def test_the_integrators_error_falls_with_the_fourth_power_of_its_step():
    fine = tasks.mackey_glass(np.array([0.9]), 170, 17 / 5440)[::32]
    coarse, finer = (tasks.mackey_glass(np.array([0.9]), 170, h) for h in (0.1 * 2, 0.1))
    at = np.arange(0, 171, 17)  # where a delay ends, all have a value
    exact = fine[np.round(at / 0.1).astype(int)]
    errors = [np.abs(x[np.round(at / h).astype(int)] - exact).max() for x, h in ((coarse, 0.2), (finer, 0.1))]
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.3)


def test_the_filter_is_the_step_written_out():
    h, n = 0.5, 34
    found = tasks.mackey_glass(np.array([0.7]), 17, h)[:, 0]
    x, g = [0.7], tasks.production(0.7)  # constant during the first delay
    for _ in range(n):
        x.append(tasks.rk4_step(x[-1], g, g, g, h))
    np.testing.assert_allclose(found, x, rtol=1e-12)
    np.testing.assert_allclose(found[-1], 10 * g + (0.7 - 10 * g) * np.exp(-1.7), rtol=1e-6)  # its closed form


def test_a_draws_series_is_its_own_and_the_same_among_more_draws():
    few, many = (tasks.mackey_glass_series(draws, 1.0) for draws in (2, 3))
    assert len(few) >= sum(TASKS["mackey_glass"].rows) + 3 + 8
    np.testing.assert_array_equal(few, many[:, :2])
    assert np.abs(few[:, 0] - few[:, 1]).max() > 0.5
    assert 0.2 < few.min() < few.max() < 1.5


# ------------------------------------------------------------------------------------------------------------- rows


def test_the_file_of_pm25():
    x = tasks.read_pm25()
    assert x.shape == (43824, 11)
    assert np.isnan(x).sum() == np.isnan(x[:, 0]).sum() == 2067
    assert (x[:, 7:].sum(1) == 1).all()
    np.testing.assert_array_equal(x[24], [129, -16, -4, 1020, 1.79, 0, 0, 0, 0, 1, 0])  # 2010-01-02, 0:00, wind SE


def test_a_changed_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / f"{tasks.PM25_FILE}.xz"
    monkeypatch.setattr(tasks, "files", lambda task, raw: [path])
    tasks.read_pm25.cache_clear()
    for content in (lzma.compress(b"No,year\n1,2010\n"), b"no archive"):
        path.write_bytes(content)
        with pytest.raises(UserError, match="xz: its sum is not that of its README.md; take it"):
            tasks.read_pm25()
    assert tasks.read_pm25.cache_info().currsize == 0


def test_the_file_is_the_one_its_readme_names_and_packing_keeps_it(tmp_path):
    (path,) = tasks.files("three_series", "")
    readme, packed = (path.parent / "README.md").read_text(), tmp_path / path.name
    assert sum_of(path) in readme and tasks.PM25_SUM in readme and f"{path.stat().st_size:,}" in readme
    (tmp_path / tasks.PM25_FILE).write_bytes(content := lzma.decompress(path.read_bytes())[:50_000])
    runpy.run_path(str(root() / "data/open/pack.py"))["pack_file"](tmp_path / tasks.PM25_FILE, packed)
    assert lzma.decompress(packed.read_bytes()) == content


def test_rows_by_hand():
    series = np.arange(20.0)[:, None] ** 2
    series[12:] = series[12:][::-1]
    rows = tasks.make_rows(series, np.arange(3, 9), TASKS["mackey_glass"]._replace(rows=(3, 1, 2)), Choices((2, 4)))
    last = np.array([[0, 1, 4, 9], [1, 4, 9, 16], [4, 9, 16, 25]])  # of t = 3, 4, 5, which train
    np.testing.assert_allclose(rows.student[:3], (last - last.mean(0)) / last.std(0))
    np.testing.assert_allclose(rows.teacher[:, 0].argsort(), range(6))
    assert rows.teacher.shape == (6, 2) and rows.chain.shape == (6, 3, 4) and rows.now.shape == (6, 0)
    np.testing.assert_allclose(rows.chain[0, 1], ([4, 9, 16, 25] - last.mean(0)) / last.std(0))
    np.testing.assert_array_equal(rows.label, series[11:17, 0] > series[3:9, 0])
    assert [(part.start, part.stop) for part in rows.parts] == [(0, 3), (3, 4), (4, 6)]


def test_inputs_are_as_wide_as_the_document_says():
    for name, (student, teacher) in {"mackey_glass": (4, 2), "pm25_a": (33, 22), "pm25_b": (77, 22)}.items():
        steps = (3, 5) if name == "mackey_glass" else (5, 10)
        (rows,) = tasks.all_rows(name, Choices(steps, sampling=1.0), 1)
        assert (rows.student.shape[1], rows.teacher.shape[1]) == (student, teacher)
        assert len(rows.label) == sum(TASKS[name].rows)
        (more,) = tasks.all_rows(name, Choices(steps, True, sampling=1.0), 1)
        assert more.teacher.shape[1] == teacher * 3 // 2
        np.testing.assert_allclose(more.teacher[:, teacher:], rows.student[:, -teacher // 2 :])


def test_rows_with_something_missing_are_left_out():
    series = np.ones((30, 2))
    series[17, 1] = np.nan
    assert tasks.usable_rows(series, 3, 5).tolist() == [*range(2, 12), *range(20, 25)]


def test_how_rows_are_chosen():
    usable = np.arange(100, 1000)
    random, spaced, block = (tasks.choose_rows(usable, 80, how, 3) for how in ("random", "spaced", "block"))
    assert set(np.diff(block)) == {1} and set(np.diff(spaced)) == {11}
    assert len(set(random.tolist())) == 80 and (np.diff(random) < 0).any()
    for how in ("random", "spaced", "block"):
        taken = [tasks.choose_rows(usable[:5], 4, how, seed) for seed in range(40)]
        assert {int(t) for rows in taken for t in rows} == set(range(100, 105)), "the last one too"
        assert all(len(set(rows.tolist())) == 4 for rows in taken)


def test_the_chain_goes_up_to_the_teachers_last_step():
    assert [*tasks.chain_times((3, 5))] == [0, 1, 2, 3, 4, 5]
    assert [*tasks.chain_times((5, 10))] == [0, 5, 10]
    assert [*tasks.chain_times((6, 4))] == [0, 2, 4, 6]


# ------------------------------------------------------------------------------------------------------- the models


@pytest.mark.parametrize("strength", [0.01, 1.0, 1000.0])
def test_fits_are_scikit_learns(strength):
    from sklearn.linear_model import LogisticRegression

    x, n = RNG.normal(size=(60, 5)), 60
    targets = np.stack([(x[:, 0] + RNG.normal(size=n) > 0).astype(float), RNG.random(n), expit(x[:, 1] / 5)])
    found = generalised.fit(x, targets, strength)
    for weights, target in zip(found, targets, strict=True):  # a soft target is both labels, with weights
        model = LogisticRegression(C=strength, tol=1e-10, max_iter=10_000)
        model.fit(np.tile(x, (2, 1)), np.repeat([1, 0], n), np.concatenate([target, 1 - target]))
        np.testing.assert_allclose(weights, [*model.coef_[0], *model.intercept_], atol=2e-5)


def test_fits_of_separable_rows_end():
    x = RNG.normal(size=(30, 40))
    y = (RNG.random((5, 30)) > 0.5).astype(float)
    weights = generalised.fit(x, y, 1e5)
    assert (generalised.accuracy(generalised.logits(weights, x), y > 0.5) == 1).all()


def test_no_other_weights_are_better():
    x, targets = RNG.normal(size=(40, 3)), RNG.random((2, 40))
    weights = generalised.fit(x, targets, 2.0)
    least = generalised.objective(weights, x, targets, 2.0)
    for _ in range(20):
        other = weights + 1e-3 * RNG.normal(size=weights.shape)
        assert (generalised.objective(other, x, targets, 2.0) > least).all()


def test_a_mixed_target_is_the_two_losses_mixed():
    f, y, s = np.array([0.3, -2.0]), np.array([1.0, 0.0]), np.array([0.6, 0.2])
    target = generalised.mixed_targets(y, s, 0.3)
    np.testing.assert_allclose(target, [0.88, 0.06])
    p = expit(f)
    hard, soft = (-(t * np.log(p) + (1 - t) * np.log(1 - p)) for t in (y, s))
    np.testing.assert_allclose(generalised.cross_entropy(f, target), 0.7 * hard + 0.3 * soft)


def made_up(n: int = 400, seed: int = 0) -> Rows:
    """Rows whose label depends on what happens between alone, which follows from the student's inputs with noise."""
    draws = np.random.default_rng(seed)
    chain = [draws.normal(size=(n, 3))]
    for _ in range(2):
        chain.append(
            chain[-1] @ np.array([[0.9, 0.3, 0], [-0.3, 0.9, 0], [0, 0.5, 0.5]]) + 0.3 * draws.normal(size=(n, 3))
        )
    states = np.stack(chain, 1)
    label = states[:, -1, 0] + 0.5 * draws.normal(size=n) > 0
    parts = slice(0, 60), slice(60, 120), slice(120, n)
    return Rows(states[:, 0], states[:, 1:].reshape(n, -1), states, np.empty((n, 0)), label, parts)


def test_ends_of_the_grid():
    outcome = generalised.distil(made_up(), [1, 5], [0.0, 0.5, 1.0], 1.0)
    assert outcome.test.shape == outcome.validation.shape == outcome.validation_loss.shape == (2, 3)
    assert (outcome.test[:, 0] == outcome.beside["Baseline"]).all(), "lambda 0 knows no teacher, at any temperature"
    assert outcome.test[0, 2] == outcome.beside["T = 1, λ = 1"]
    assert list(outcome.beside) == list(generalised.BESIDE)
    rows = made_up()
    test = rows.parts[2]
    for name, stationary in {"LuPTS": False, "LuPTS, one A": True}.items():
        right = (generalised.lupts(rows, 1.0, stationary) > 0) == rows.label
        assert outcome.beside[name] == right[test].mean()
    assert outcome.beside["LuPTS"] != outcome.beside["LuPTS, one A"]
    train, y = rows.parts[0], rows.label.astype(float)
    teacher = generalised.logits(generalised.fit(rows.teacher[train], y[None, train], 1.0), rows.teacher)[0]
    assert outcome.beside["Teacher"] == ((teacher > 0) == rows.label)[test].mean()


def test_a_label_of_the_test_rows_changes_no_fit():
    rows = made_up()
    other = rows.label.copy()
    other[rows.parts[2]] ^= True
    one, two = (generalised.distil(r, [1], [0.0, 1.0], 1.0) for r in (rows, rows._replace(label=other)))
    np.testing.assert_allclose(one.test, 1 - two.test)
    np.testing.assert_array_equal(one.validation_loss, two.validation_loss)


def test_how_validation_chooses():
    accuracy = np.array([[0.7, 0.8, 0.8], [0.7, 0.6, 0.8]])
    loss = np.array([[0.5, 0.6, 0.7], [0.5, 0.4, 0.9]])
    outcome = Outcome(np.zeros((2, 3)), accuracy, loss, {})
    assert [generalised.choose(outcome, rule) for rule in generalised.RULES] == [(0, 1), (1, 2), (1, 1)]


# ------------------------------------------------------------------------------------------------------------ LuPTS


def test_lupts_is_the_product_of_its_maps():
    rows = made_up()
    train = rows.parts[0]
    x = [np.column_stack([rows.chain[:, j], np.ones(len(rows.label))]) for j in range(3)]
    a1, a2 = (np.linalg.lstsq(x[j][train], rows.chain[train, j + 1], rcond=None)[0] for j in range(2))
    beta = generalised.fit(rows.chain[train, 2], rows.label[None, train].astype(float), 1.0)[0]
    two, three = (np.column_stack([a, [0, 0, 0, 1]]) for a in (a1, a2))  # the intercept goes on as a one
    np.testing.assert_allclose(generalised.lupts(rows, 1.0, False), x[0] @ two @ three @ beta)
    a = np.linalg.lstsq(np.vstack([x[0][train], x[1][train]]), rows.chain[train, 1:].transpose(1, 0, 2).reshape(-1, 3))[
        0
    ]
    a = np.column_stack([a, [0, 0, 0, 1]])
    np.testing.assert_allclose(generalised.lupts(rows, 1.0, True), x[0] @ a @ a @ beta)


def test_where_its_assumptions_hold_lupts_gains_from_what_happens_between():
    few = slice(0, 12), slice(12, 24), slice(24, 2000)
    gain = []
    for seed in range(30):
        beside = generalised.distil(made_up(2000, seed)._replace(parts=few), [1], [1.0], 100.0).beside
        gain.append(beside["LuPTS, one A"] - beside["Baseline"])
    assert np.mean(gain) > 3 * np.std(gain) / np.sqrt(len(gain)), np.mean(gain)


# ------------------------------------------------------------------------------------------------------- bad input


def test_what_cannot_be_done_is_said_in_a_sentence():
    y, series = np.array([0.0, 1.0]), np.ones((40, 1))
    with pytest.raises(UserError, match=r"^lambda is 1.5; it should be from 0 \(hard labels alone\) to 1"):
        generalised.mixed_targets(y, y, 1.5)
    with pytest.raises(UserError, match=r"^sampling is 0.25; it should be a multiple of 0.1, the step"):
        tasks.mackey_glass_series(1, 0.25)
    with pytest.raises(
        UserError, match=r"^the teacher of Mackey-Glass reads the steps 3, 8 after t; .* from 1 to 7\.$"
    ):
        tasks.make_rows(series, np.arange(5, 20), TASKS["mackey_glass"], Choices((3, 8)))
    with pytest.raises(UserError, match=r"reads the steps 0, 3 after t"):
        tasks.make_rows(series, np.arange(5, 20), TASKS["mackey_glass"], Choices((0, 3)))
    with pytest.raises(UserError, match=r"^there are 3 usable rows where 4 are needed; take fewer hours a step\.$"):
        tasks.choose_rows(np.arange(3), 4, "block", 0)
    for label in (0.0, 1.0):
        with pytest.raises(UserError, match=r"^all training rows of a draw have one label, so that nothing can be"):
            generalised.fit(np.ones((3, 1)), np.array([[0.0, 1.0, 1.0], [label] * 3]), 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"imitation": [0.0, 1.1]},
        {"teacher_steps": {"mackey_glass": [3, 5]}},
        {"teacher_steps": {"mackey_glass": [3, 3], "pm25_a": [5], "pm25_b": [5]}},
        {"draws": 5},
        {"choose": "best"},
        {"pm25_rows": "any"},
        {"task": "stocks"},
    ],
)
def test_wrong_parameters_are_named(wrong):
    given = params.read_profile("demo")["related"]["generalised"] | {"profile": "demo", "raw": "", "results": "results"}
    params.check("14_generalised_distillation", given)
    with pytest.raises(UserError, match=next(iter(wrong))):
        params.check("14_generalised_distillation", given | wrong)


def test_published_numbers_are_the_documents():
    document = root() / "rdpd_nb/related/published.json"
    assert document.is_file()
    numbers = published("generalised")
    assert [tuple(numbers[name].values()) for name in TASKS] == [(0.971, 0.932), (0.679, 0.654), (0.690, 0.716)]
    assert "IJCNN 2019" in numbers["source"]
    title = nbformat.read(root() / "notebooks/14_generalised_distillation.ipynb", 4).cells[0].source
    for name, task in TASKS.items():
        (line,) = [line for line in title.splitlines() if line.startswith(f"| {task.title} |")]
        assert line.endswith(" | {Baseline:.3f} → {Proposed:.3f} |".format(**numbers[name]))
        assert f" {task.length} steps of " in line and " / ".join(f"{n:,}" for n in task.rows) in line
