"""Training of a stack against a plain PyTorch loop, the independence of its members, and the teacher's knowledge."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from made_up import (
    BIT_EQUAL,
    CLOSE_IN_DOUBLE,
    make_knowledge,
    make_windows,
    mixed_members,
    quietly,
    same,
    select,
    student,
    threads,
)
from safetensors.numpy import load_file, save_file

from rdpd_nb import training
from rdpd_nb.batches import epoch_order, noise_series
from rdpd_nb.data.windows import Windows, split, standardise, standardiser
from rdpd_nb.errors import UserError
from rdpd_nb.evaluation import scores
from rdpd_nb.models import RCNN, RCNNStack, mask_shapes
from rdpd_nb.paper import STUDENT_METHODS
from rdpd_nb.training import (
    Fitted,
    Member,
    extract_knowledge,
    fit,
    load_knowledge,
    make_member,
    predict,
    save_knowledge,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Tensors are tiny here: a second thread gains nothing, and waits for long where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def poor() -> Windows:
    """Heart rate alone: 240 training windows, so that the second and last batch has 112 rows."""
    return select(make_windows(), "hr")


@pytest.fixture
def double():
    """New models are in double precision, so that rounding, which Adam makes larger, cannot hide a mistake."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def poor_double(double) -> Windows:
    return select(make_windows(dtype=np.float64), "hr")


@pytest.fixture
def stacks(monkeypatch) -> list[RCNNStack]:
    """Every stack that is made during the test.

    Each with what its training steps were given (weights, windows, masks), and the weights it was validated with last.
    """
    made = []

    class Recorded(RCNNStack):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.steps = []
            made.append(self)

        def forward(self, w, x, masks=None):
            flat = torch.cat([weight.detach().flatten(1) for weight in w.values()], 1)
            if masks is None:
                self.last = flat
            else:
                self.steps.append((flat, x, masks))
            return super().forward(w, x, masks)

    monkeypatch.setattr(training, "RCNNStack", Recorded)
    return made


# ------------------------------------------------------------------------------- (a) against a plain PyTorch loop


def plain_loss(member: Member, spec, batch, log_a, logits, combine, y) -> torch.Tensor:
    """Eq. 8 or 15 with torch's own losses; windows the teacher said nothing about have hard and combined loss only."""
    temperature = spec.temperature
    if member.method == "teacher":
        return F.cross_entropy(logits / temperature, y)
    loss = F.cross_entropy(logits, y)
    if member.method in ("rdpd", "rdpd_r1"):
        w1, w2, b = combine
        mixture = w1 * F.softmax(logits, -1) + w2 * F.softmax(logits / temperature, -1) + b
        loss = loss + F.cross_entropy(mixture, y)
    if member.method == "direct":
        return loss
    for row, window in enumerate(batch):
        for known in np.flatnonzero(member.knowledge.window == window):
            p_teacher = torch.from_numpy(member.knowledge.soft_labels[known]).to(logits)
            a_teacher = torch.from_numpy(member.knowledge.attention[known]).to(logits)
            soft = temperature**2 * F.cross_entropy(logits[row] / temperature, p_teacher)
            attention = F.kl_div(a_teacher.log(), log_a[row], reduction="sum", log_target=True)  # KL(A_p || A_r)
            loss = loss + soft / len(batch)
            if member.method in ("rdpd", "rdpd_r2"):
                loss = loss + attention / len(batch)
    return loss


def plain_loop(member: Member, windows: Windows, epochs: int, masks: list) -> tuple[RCNN, dict[str, list[float]]]:
    """One RCNN trained as in any PyTorch tutorial: the model after the last epoch, and the history.

    masks: the dropout masks of each step, (B, M, S', K) after each convolution.
    """
    spec = windows.spec
    model = RCNN(spec, windows.view, seed=member.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    step_masks = iter(masks)

    def inputs(index):
        return torch.from_numpy(standardise(windows[index], member.mean, member.std))

    history = {"train_loss": [], "validation_loss": [], "validation_roc_auc": []}
    for epoch in range(epochs):
        order, total = epoch_order(member.train, member.seed, epoch), 0.0
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
        history["train_loss"].append(total / len(member.train))
        history["validation_loss"].append(F.cross_entropy(logits, y).item())
        history["validation_roc_auc"].append(scores(logits.double().softmax(-1).numpy(), y.numpy())["roc_auc"])
    return model, history


def check_against_plain_loop(member: Member, windows: Windows, stacks: list, tolerance: float) -> None:
    (fitted,) = quietly([member], windows, epochs=2)
    (stack,) = stacks
    assert len(member.train) % 128  # the last batch is short
    assert len(stack.steps) == 2 * -(-len(member.train) // 128)
    masks = [[mask[0] for mask in after_each_convolution] for _, _, after_each_convolution in stack.steps]
    model, history = plain_loop(member, windows, 2, masks)
    weights = stack.member(0, stack.last[0])  # after the last epoch, whichever was kept
    start = RCNN(windows.spec, windows.view, seed=member.seed)
    for name in stack.names:
        if name == "combine" and not {"combined"} & set(member.terms):
            assert torch.equal(weights.combine, start.combine)
            continue
        # b has no effect and a gradient of rounding size, which Adam makes a step of: its value means nothing.
        used = slice(2) if name == "combine" else slice(None)
        got, expected = weights.get_parameter(name).detach()[used], model.get_parameter(name).detach()[used]
        moved = (expected - start.get_parameter(name)[used]).abs().max()
        assert moved > (1e-4 if name == "combine" else 1e-3)  # it has been trained; w1 and w2 turn with the batches
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance, msg=lambda text, n=name: f"{n}: {text}")
    for name, curve in history.items():
        assert fitted.history[name] == pytest.approx(curve, rel=100 * tolerance), name


@pytest.mark.parametrize("method", ["teacher", *STUDENT_METHODS])
def test_fit_equals_a_plain_pytorch_loop(method, poor_double, stacks):
    windows = make_windows(dtype=np.float64) if method == "teacher" else poor_double
    check_against_plain_loop(student(windows, method, seed=1), windows, stacks, tolerance=1e-6)


@pytest.mark.parametrize("method", ["direct", "rdpd"])
def test_fit_equals_a_plain_pytorch_loop_with_two_convolutions(method, double, stacks):
    windows = select(make_windows("ptbdb", n=165, dtype=np.float64), "lead_i")
    check_against_plain_loop(student(windows, method), windows, stacks, tolerance=1e-6)


def test_fit_equals_a_plain_pytorch_loop_where_the_teacher_knows_only_some_windows(poor_double, stacks):
    parts = split(poor_double, 0)
    member = make_member(poor_double, parts, 0, "rdpd", make_knowledge(poor_double, parts.train[::3]))
    check_against_plain_loop(member, poor_double, stacks, tolerance=1e-6)


@pytest.mark.parametrize("method", ["teacher", "direct", "rdpd"])
def test_fit_in_single_precision_equals_a_plain_pytorch_loop_to_rounding(method, poor, stacks):
    windows = make_windows() if method == "teacher" else poor
    check_against_plain_loop(student(windows, method), windows, stacks, tolerance=1e-4)


def test_every_epoch_shuffles_the_training_windows_anew_and_seeds_shuffle_differently():
    train = np.arange(100, 400, 3)
    orders = [epoch_order(train, seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), train)
    assert len({order.tobytes() for order in orders}) == 6
    np.testing.assert_array_equal(epoch_order(train, 1, 2), orders[-1])


def test_masks_are_fair_coins_that_differ_by_step_epoch_and_seed(poor, stacks):
    quietly([student(poor, "direct", seed) for seed in (0, 1)], poor, epochs=2)
    steps = [masks for _, _, masks in stacks[0].steps]
    assert len(steps) == 4  # two an epoch
    shapes = mask_shapes(poor.spec, "hr")
    drawn = []
    for masks in steps:
        for mask, shape in zip(masks, shapes, strict=True):
            assert [one.shape for one in mask] == [(128, *shape)] * 2
            drawn += [one.float() for one in mask]
            assert all(set(one.unique().tolist()) == {0, 1} for one in mask)
    for i, mask in enumerate(drawn):
        assert mask.mean().item() == pytest.approx(0.5, abs=0.01)
        for other in drawn[:i]:
            assert (mask == other).float().mean().item() == pytest.approx(0.5, abs=0.01)


# ------------------------------------------------------------------------------------ (b) members are independent


def test_the_same_call_twice_gives_the_same_bits(poor):
    members = [student(poor, method, seed) for seed in (0, 1) for method in ("direct", "rdpd")]
    for a, b in zip(quietly(members, poor), quietly(members, poor), strict=True):
        same(a, b, **BIT_EQUAL)


def test_a_member_becomes_the_same_whoever_trains_beside_it(poor_double):
    member = student(poor_double, "kd", seed=1)
    others = [student(poor_double, method, seed) for seed in (0, 1, 2) for method in ("direct", "rdpd")]
    others.append(student(poor_double, "rdpd_r2", seed=1, noise=1.0))
    (alone,) = quietly([member], poor_double)
    same(quietly([member, *others], poor_double)[0], alone, **CLOSE_IN_DOUBLE)


def test_a_member_becomes_the_same_in_whatever_place_it_stands(poor_double):
    members = [student(poor_double, method, seed) for seed in (1, 0) for method in ("direct", "kd")]
    forwards = quietly(members, poor_double)
    backwards = quietly(members[::-1], poor_double)[::-1]
    for member, a, b in zip(members, forwards, backwards, strict=True):
        assert a.member is b.member is member
        same(a, b, **CLOSE_IN_DOUBLE)


@pytest.mark.parametrize("seed_of_others", [0, 1], ids=["other seed", "same seed"])
def test_a_member_becomes_the_same_whatever_the_training_set_sizes_beside_it(seed_of_others, poor_double):
    """As in Figure 2, where members of one seed train on 10 to 100 percent of the windows."""
    parts = split(poor_double, 1)
    member = make_member(poor_double, parts, 1, "direct", train=parts.train[:100])
    others = [
        make_member(poor_double, split(poor_double, seed_of_others), seed_of_others, "direct", train=parts.train[:size])
        for size in (30, 140, 240)
    ]
    (alone,) = quietly([member], poor_double)
    together = quietly([others[0], member, *others[1:]], poor_double)
    assert [len(f.member.train) for f in together] == [30, 100, 140, 240]  # in the order given
    same(together[1], alone, **CLOSE_IN_DOUBLE)


def test_a_members_validation_is_the_same_whatever_the_validation_set_sizes_beside_it(poor_double):
    members = [replace(student(poor_double, "direct"), validation=np.arange(n)) for n in (20, 75, 48)]
    for member, fitted in zip(members, quietly(members, poor_double), strict=True):
        same(fitted, quietly([member], poor_double)[0], **CLOSE_IN_DOUBLE)


@pytest.fixture
def shares(monkeypatch) -> list[list[int]]:
    """How many members each share has, at every dealing out."""
    dealt, share_out = [], training._share_out

    def recorded(*arguments):
        state, made = share_out(*arguments)
        dealt.append([len(share) for share in made])
        return state, made

    monkeypatch.setattr(training, "_share_out", recorded)
    return dealt


@pytest.mark.parametrize(
    ("count", "room", "dealt"),
    [(1, None, [10]), (2, None, [5, 5]), (1, 3, [3, 3, 2, 2]), (2, 1, [1] * 10), (16, None, [1] * 10)],
    ids=["one thread", "two threads", "small shares", "a share a member", "more threads than members"],
)
def test_a_member_becomes_the_same_however_members_are_shared_out(count, room, dealt, poor_double, shares, monkeypatch):
    members = mixed_members(poor_double)
    if room:
        course = training._Course(members, poor_double, torch.device("cpu"), 0)
        monkeypatch.setitem(training.SHARE_BYTES, "cpu", room * training._bytes_of_a_member(course))
    with threads(count):
        together = quietly(members, poor_double)
        backwards = quietly(members[::-1], poor_double)[::-1]
    assert shares == [dealt, dealt]
    for member, a, b in zip(members, together, backwards, strict=True):
        assert a.member is b.member is member
        (alone,) = quietly([member], poor_double)
        same(a, alone, **CLOSE_IN_DOUBLE)
        same(b, alone, **CLOSE_IN_DOUBLE)


def test_room_for_not_even_one_member_still_trains_them_one_by_one(poor, shares, monkeypatch):
    monkeypatch.setitem(training.SHARE_BYTES, "cpu", 1)
    quietly([student(poor, "direct", seed) for seed in (0, 1)], poor, epochs=1)
    assert shares == [[1, 1]]


def test_the_same_call_twice_gives_the_same_bits_with_two_threads(poor):
    members = mixed_members(poor)
    with threads(2):
        for a, b in zip(quietly(members, poor, 4), quietly(members, poor, 4), strict=True):
            same(a, b, **BIT_EQUAL)


@pytest.mark.parametrize("count", [1, 2])
def test_pytorchs_number_of_threads_is_the_same_after_training_and_after_a_failure(count, poor):
    good, bad = student(poor, "direct"), student(poor, "direct", noise=3e38)
    with threads(count), ThreadPoolExecutor(1) as pool:
        quietly([good, good], poor, epochs=1)
        assert torch.get_num_threads() == count
        with pytest.raises(UserError):
            quietly([good, bad], poor, epochs=1)
        assert torch.get_num_threads() == count
        assert pool.submit(torch.get_num_threads).result() == count  # a thread that is new takes it up too


@pytest.mark.parametrize("place", [0, 1], ids=["first share", "second share"])
def test_an_error_in_one_thread_stops_the_others_and_comes_out_once(place, poor):
    members = [student(poor, "direct", seed=seed) for seed in (0, 1)]
    members[place] = replace(members[place], noise=3e38)
    errors = []

    def train() -> None:
        try:
            with threads(2):
                quietly(members, poor, epochs=3)
        except UserError as error:
            errors.append(str(error))

    apart = threading.Thread(target=train, daemon=True)  # so that a fit that hangs fails the test alone
    apart.start()
    apart.join(60)
    assert not apart.is_alive()
    assert len(errors) == 1
    assert "diverged in epoch 1" in errors[0]


# ------------------------------------------------------------------------------------------- stopping by patience


def by_hand(fitted: Fitted, patience: int) -> tuple[int, int]:
    """Best epoch and last epoch (from 1) that a full history gives under patience."""
    by_loss = fitted.selected_by == "validation loss"
    curve = [-loss for loss in fitted.history["validation_loss"]] if by_loss else fitted.history["validation_roc_auc"]
    best, best_epoch = -np.inf, 0
    for epoch, score in enumerate(curve, 1):
        if score > best:
            best, best_epoch = score, epoch
        if epoch - best_epoch >= patience:
            return best_epoch, epoch
    return best_epoch, len(curve)


@pytest.mark.parametrize("count", [1, 2])
def test_who_stops_by_patience_keeps_its_best_and_leaves_its_neighbours_alone(count, poor_double, shares):
    members, epochs, patience = mixed_members(poor_double), 22, 2
    full = quietly(members, poor_double, epochs)
    shares.clear()
    with threads(count):
        early = quietly(members, poor_double, epochs, patience=patience)
    dealt, ends = list(shares), []
    for member, whole, part in zip(members, full, early, strict=True):
        best, end = by_hand(whole, patience)
        ends.append(end)
        assert part.best_epoch == best
        for name, curve in whole.history.items():
            assert len(part.history[name]) == end
            np.testing.assert_allclose(part.history[name], curve[:end], rtol=1e-9)
        # Without patience, up to that epoch: keeps the best of the same epochs.
        same(part, whole if end == epochs else quietly([member], poor_double, end)[0], **CLOSE_IN_DOUBLE)
    assert sum(end < epochs for end in ends) >= 5  # so many have stopped ...
    assert max(ends) == epochs  # ... while others went on ...
    assert len(dealt) > 1 and sum(dealt[-1]) < len(members)  # ... after the ranks were closed
    assert len(set(ends)) > 3


def test_training_ends_when_all_have_stopped(poor, monkeypatch):
    monkeypatch.setattr(training, "QUIET_SECONDS", -1)  # a line an epoch
    lines = []
    fitted = quietly(mixed_members(poor), poor, 200, patience=1, progress=lines.append)
    last = max(len(f.history["train_loss"]) for f in fitted)
    assert last < 100
    assert len([line for line in lines if line.startswith("epoch")]) == last
    assert lines[-1].endswith(f"the last stopped after epoch {last}")
    assert all(len(f.history["train_loss"]) == f.best_epoch + 1 for f in fitted)


def test_progress_gives_the_mean_score_of_the_members_that_still_train(poor, monkeypatch):
    """Of those that trained last, where none does any longer."""
    monkeypatch.setattr(training, "QUIET_SECONDS", -1)
    lines = []
    members = mixed_members(poor)[:-1]  # without the one whose score is not an ROC-AUC
    curves = [f.history["validation_roc_auc"] for f in quietly(members, poor, 200, patience=2, progress=lines.append)]
    for epoch, line in enumerate(lines[:-1], 1):
        training_on = [curve[epoch - 1] for curve in curves if len(curve) > epoch]
        there = training_on or [curve[epoch - 1] for curve in curves if len(curve) == epoch]
        shown = float(line.split("validation ROC-AUC")[1].split()[0])
        assert shown == pytest.approx(np.mean(there), abs=0.0006), line


# ---------------------------------------------------------------------------------------- (c) common random numbers


def test_all_methods_of_a_seed_share_initial_weights_batches_and_masks(poor, stacks):
    members = [student(poor, method, seed) for seed in (0, 1) for method in STUDENT_METHODS]
    quietly(members, poor)
    (stack,) = stacks
    flat = stack.steps[0][0].view(2, len(STUDENT_METHODS), -1)
    assert (flat == flat[:, :1]).all()
    assert (flat[0] != flat[1]).any()
    for _, x, masks in stack.steps:
        for by_member in (x, *masks):
            one_seed, other = by_member[: len(STUDENT_METHODS)], by_member[len(STUDENT_METHODS) :]
            for of_a_seed in (one_seed, other):
                assert all(tensor is of_a_seed[0] for tensor in of_a_seed)  # made once, not only equal
            assert (one_seed[0] != other[0]).any()


def test_methods_of_a_seed_share_them_in_runs_of_their_own_too(poor, stacks):
    for method in ("direct", "rdpd"):
        quietly([student(poor, method, seed=3)], poor)
    direct, rdpd = stacks
    assert torch.equal(direct.steps[0][0], rdpd.steps[0][0])
    for (_, x, masks), (_, other_x, other_masks) in zip(direct.steps, rdpd.steps, strict=True):
        assert torch.equal(x[0], other_x[0])
        assert all(torch.equal(mask[0], other[0]) for mask, other in zip(masks, other_masks, strict=True))


# ------------------------------------------------------------------------------------------------- (d) knowledge


def test_knowledge_comes_back_from_its_file_as_it_was(poor, tmp_path):
    path = tmp_path / "new folder" / "teacher.knowledge.safetensors"
    by_seed = {seed: make_knowledge(poor, split(poor, seed).train, seed) for seed in (0, 7)}
    save_knowledge(path, by_seed)
    for seed, knowledge in by_seed.items():
        loaded = load_knowledge(path, seed)
        for name in ("window", "soft_labels", "attention"):
            saved = getattr(knowledge, name)
            np.testing.assert_array_equal(getattr(loaded, name), saved)
            assert getattr(loaded, name).dtype == saved.dtype
        assert (loaded.temperature, loaded.fingerprint) == (knowledge.temperature, knowledge.fingerprint)
        loaded.check(poor, split(poor, seed).train)
    assert [p.name for p in path.parent.iterdir()] == [path.name]  # no temporary file is left


def test_knowledge_is_the_kept_teachers_soft_labels_and_attention_in_evaluation_mode():
    rich = make_windows()
    parts = split(rich, 0)
    (teacher,) = quietly([make_member(rich, parts, 0, "teacher")], rich)
    (knowledge,) = extract_knowledge([teacher], rich, "cpu")
    x = torch.from_numpy(standardise(rich[parts.train], teacher.member.mean, teacher.member.std))
    with torch.no_grad():
        log_a, logits = teacher.model.eval()(x)
    np.testing.assert_array_equal(knowledge.window, parts.train)
    np.testing.assert_allclose(knowledge.soft_labels, F.softmax(logits / 2.5, -1), rtol=1e-4)
    np.testing.assert_allclose(knowledge.attention, log_a.exp(), rtol=1e-4)
    assert knowledge.temperature == 2.5
    knowledge.check(select(rich, "hr"), parts.train)  # the poor view of the same windows is accepted


def test_knowledge_of_other_windows_is_refused(poor):
    knowledge = make_knowledge(poor, split(poor, 0).train)
    other = select(make_windows(seed=1), "hr")
    with pytest.raises(UserError, match=f"made from other windows.*{knowledge.fingerprint}.*run 02_teacher again"):
        make_member(other, split(other, 0), 0, "kd", knowledge)


def test_knowledge_whose_list_of_windows_was_changed_is_refused(poor):
    parts = split(poor, 0)
    knowledge = replace(make_knowledge(poor, parts.train), window=np.roll(parts.train, 1)[1:])
    with pytest.raises(UserError, match="made from other windows"):
        knowledge.check(poor, parts.train)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_knowledge_about_windows_outside_the_students_training_split_is_refused(part, poor):
    parts = split(poor, 0)
    about = np.append(parts.train, getattr(parts, part)[0])
    with pytest.raises(UserError, match="outside the student's training split.*run 02_teacher again"):
        make_member(poor, parts, 0, "rdpd", make_knowledge(poor, about))


def test_knowledge_of_another_seeds_split_is_refused(poor):
    with pytest.raises(UserError, match="outside the student's training split"):
        make_member(poor, split(poor, 0), 0, "rdpd", make_knowledge(poor, split(poor, 1).train))


@pytest.mark.parametrize("method", ["kd", "rdpd_r1", "rdpd_r2", "rdpd"])
def test_methods_that_imitate_refuse_to_go_without_knowledge(method, poor):
    with pytest.raises(UserError, match=f"'{method}' needs the teacher's knowledge"):
        make_member(poor, split(poor, 0), 0, method)


def test_refused_knowledge_names_its_file(poor, tmp_path):
    """So that a user with several profiles and data sets sees which file to make again."""
    path = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(path, {0: make_knowledge(poor, split(poor, 1).train)})
    with pytest.raises(UserError) as outside:
        load_knowledge(path, 0).check(poor, split(poor, 0).train)
    with pytest.raises(UserError) as other:
        load_knowledge(path, 0).check(select(make_windows(seed=1), "hr"), split(poor, 1).train)
    for error in (outside, other):
        assert str(path) in str(error.value)


def test_a_missing_knowledge_file_is_named(tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    with pytest.raises(UserError) as error:
        load_knowledge(path, 0)
    assert str(path) in str(error.value)


def test_a_missing_seed_is_named_with_the_file(poor, tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(path, {0: make_knowledge(poor, split(poor, 0).train)})
    with pytest.raises(UserError, match="seed 1") as error:
        load_knowledge(path, 1)
    assert str(path) in str(error.value)


def without_marks(path) -> None:
    save_file(load_file(path), path)


def without_attention(path) -> None:
    arrays = load_file(path)
    del arrays["0/attention"]
    save_file(arrays, path)


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "other format": lambda path: path.write_text("<html>404 Not Found</html>"),
    "header cut off": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "data cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "no attention": without_attention,
    "no marks": without_marks,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_knowledge_file_is_named(damage, poor, tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(path, {0: make_knowledge(poor, split(poor, 0).train)})
    damage(path)
    with pytest.raises(UserError, match="is damaged") as error:
        load_knowledge(path, 0)
    assert str(path) in str(error.value)


# ---------------------------------------------------------------------- (e) a student never needs the rich channels


@pytest.mark.parametrize("method", STUDENT_METHODS)
def test_a_student_becomes_the_same_whatever_is_in_the_rich_channels(method):
    rich = make_windows()
    wiped = rich.series.copy()
    wiped[:, [c for c in range(6) if c not in rich.spec.views["bp"]]] = np.nan
    fitted = []
    for windows in (select(rich, "bp"), select(replace(rich, series=wiped), "bp")):
        assert windows.series.shape[1] == 2
        (one,) = quietly([student(windows, method)], windows)
        fitted.append((one, predict([one], windows, [split(windows, 0).test], "cpu")[0]))
    same(fitted[0][0], fitted[1][0], **BIT_EQUAL)
    np.testing.assert_array_equal(fitted[0][1], fitted[1][1])


def test_poor_windows_and_a_knowledge_file_suffice_to_train_a_student(tmp_path):
    path = tmp_path / "teacher.knowledge.safetensors"
    rich = make_windows()
    parts = split(rich, 0)
    save_knowledge(path, {0: make_knowledge(rich, parts.train)})
    poor = select(rich, "rr")
    del rich
    (fitted,) = quietly([make_member(poor, split(poor, 0), 0, "rdpd", load_knowledge(path, 0))], poor)
    assert fitted.model.convs[0].in_channels == 1
    assert np.isfinite(fitted.history["train_loss"]).all()


# ------------------------------------------------------------------------------------------ (f) partial knowledge


@pytest.mark.parametrize("method", ["kd", "rdpd_r2"])
def test_knowledge_about_no_window_leaves_the_hard_loss_alone(method, poor_double):
    parts = split(poor_double, 0)
    nothing = make_knowledge(poor_double, parts.train[:0])
    direct = make_member(poor_double, parts, 0, "direct")
    imitating = make_member(poor_double, parts, 0, method, nothing)
    same(quietly([imitating], poor_double)[0], quietly([direct], poor_double)[0], **CLOSE_IN_DOUBLE)


@pytest.mark.parametrize("method", ["kd", "rdpd_r2", "rdpd"])
def test_knowledge_about_some_windows_does_have_an_effect(method, poor_double):
    parts = split(poor_double, 0)
    some, none = (
        make_member(poor_double, parts, 0, method, make_knowledge(poor_double, parts.train[:size])) for size in (60, 0)
    )
    with_some, with_none = quietly([some, none], poor_double)
    assert abs(with_some.history["train_loss"][0] - with_none.history["train_loss"][0]) > 1e-3


def test_members_of_one_seed_each_keep_to_their_own_knowledge(poor_double):
    """Partial knowledge is not filled up from what another member's teacher said about the other windows."""
    parts = split(poor_double, 0)
    members = [
        make_member(poor_double, parts, 0, "rdpd", make_knowledge(poor_double, parts.train[:size], seed=size))
        for size in (80, 240, 0)
    ]
    for member, fitted in zip(members, quietly(members, poor_double), strict=True):
        same(fitted, quietly([member], poor_double)[0], **CLOSE_IN_DOUBLE)


# ------------------------------------------------------------------------------------------------------ (g) noise


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_noise_of_amplitude_zero_is_no_noise(kind, poor):
    plain, silent = student(poor), student(poor, noise=0.0, noise_kind=kind)
    (a,), (b,) = quietly([plain], poor), quietly([silent], poor)
    same(a, b, **BIT_EQUAL)
    loud = student(poor, noise=1.0, noise_kind=kind)
    same(quietly([silent, loud], poor)[0], quietly([plain, plain], poor)[0], **BIT_EQUAL)


def test_uniform_noise_fills_minus_one_to_one_and_normal_noise_has_deviation_one():
    windows = replace(select(make_windows(), "bp"), series=np.zeros((50_000, 2), np.float32))
    uniform, normal = (noise_series(windows, 3, kind) for kind in ("uniform", "normal"))
    assert uniform.abs().max() <= 1
    assert (uniform.min(), uniform.max()) == (pytest.approx(-1, abs=1e-3), pytest.approx(1, abs=1e-3))
    assert uniform.std().item() == pytest.approx(3**-0.5, abs=0.01)
    assert normal.std().item() == pytest.approx(1, abs=0.01)
    assert normal.abs().max() > 3
    for noise in (uniform, normal):
        assert noise.mean().item() == pytest.approx(0, abs=0.01)


def test_noise_is_drawn_by_seed():
    windows = make_windows()
    first, again, other = (noise_series(windows, seed, "normal") for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert (first - other).abs().mean(0).min() > 1  # of two independent normals: 1.13


def test_a_channel_has_the_same_noise_in_every_view_and_each_its_own():
    rich = make_windows()
    noise = noise_series(rich, 3, "normal")
    for view, channels in rich.spec.views.items():
        assert torch.equal(noise_series(select(rich, view), 3, "normal"), noise[:, list(channels)])
    assert (noise.T.corrcoef() - torch.eye(noise.shape[1])).abs().max() < 0.1


@pytest.mark.parametrize("kind", ["normal", "uniform"])
def test_noise_is_added_to_standardised_values_in_training_and_prediction(kind, poor, stacks):
    """Levels of one seed share one draw: x' = x + amplitude * noise."""
    members = [student(poor, "direct", noise=amplitude, noise_kind=kind) for amplitude in (0.0, 0.5, 2.0)]
    fitted = quietly(members, poor, epochs=1)
    noise = noise_series(poor, 0, kind).numpy()
    batch = epoch_order(members[0].train, 0, 0)[:128]
    rows = poor.start[batch][:, None] + np.arange(poor.spec.length)
    clean = standardise(poor[batch], members[0].mean, members[0].std)
    _, x, _ = stacks[0].steps[0]
    for e, member in enumerate(members):
        got = x[e].flatten(1, 2)  # (B, l, D): every sample of a segment is read here
        np.testing.assert_allclose(got, clean + member.noise * noise[rows], rtol=0, atol=1e-5)

    test = split(poor, 0).test
    got = predict(fitted, poor, [test] * 3, "cpu")
    rows = poor.start[test][:, None] + np.arange(poor.spec.length)
    clean = standardise(poor[test], members[0].mean, members[0].std)
    for one, probability in zip(fitted, got, strict=True):
        with torch.no_grad():
            _, logits = one.model(torch.from_numpy(clean + np.float32(one.member.noise) * noise[rows]))
        np.testing.assert_allclose(probability, logits.softmax(-1), atol=1e-5)


def test_an_unknown_kind_of_noise_is_refused(poor):
    with pytest.raises(UserError, match="'pink' is unknown; use 'normal' or 'uniform'"):
        noise_series(poor, 0, "pink")
    with pytest.raises(UserError, match="'pink' is unknown"):
        quietly([student(poor, noise=0.5, noise_kind="pink")], poor)


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


def test_inputs_of_training_are_what_standardise_gives(poor, stacks):
    series = poor.series.copy()
    series[::7] = np.nan
    missing = replace(poor, series=series)
    member = student(missing, "direct")
    quietly([member], missing, epochs=1)
    batch = epoch_order(member.train, 0, 0)[:128]
    _, x, _ = stacks[0].steps[0]
    expected, got = standardise(missing[batch], member.mean, member.std), x[0].flatten(1, 2).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)
    assert (expected == 0).any()
    assert (got == 0)[np.isnan(missing[batch])].all()


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
    assert training.resolve_device("auto") == torch.device("cpu")


def test_a_loss_that_is_not_a_number_is_a_user_error(poor):
    with pytest.raises(UserError, match="diverged in epoch 1"):
        quietly([student(poor, "direct"), student(poor, "direct", noise=3e38)], poor)


def test_members_are_standardised_by_the_windows_they_train_on(poor):
    parts = split(poor, 0)
    for train in (parts.train, parts.train[:50]):
        member = make_member(poor, parts, 0, "direct", train=train)
        np.testing.assert_array_equal(member.train, train)
        np.testing.assert_array_equal((member.mean, member.std), standardiser(poor, train))


def test_masks_follow_the_seed_whatever_the_order_of_the_seeds(poor):
    """Each seed once, in falling order, and with training sets that change the order inside the stack."""
    parts = split(poor, 0)
    tasks = [(2, parts.train), (0, parts.train[:100]), (1, parts.train[:150])]
    members = [make_member(poor, parts, seed, "direct", train=train) for seed, train in tasks]
    together = quietly(members, poor, epochs=1)
    for fitted, member in zip(together, members, strict=True):
        (alone,) = quietly([member], poor, epochs=1)
        assert fitted.history["train_loss"] == pytest.approx(alone.history["train_loss"], rel=1e-5)
