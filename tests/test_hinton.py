"""Hinton's distillation: its loss, nets, training and bias against hand-computed cases and brute force; idx files."""

import gzip
import math
import shutil
import struct
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rdpd_nb import losses, params, related, stamps
from rdpd_nb.engine import checkpoints
from rdpd_nb.errors import UserError
from rdpd_nb.files import root
from rdpd_nb.related import hinton, mnist

pytestmark = pytest.mark.usefixtures("one_thread")

PLAIN = hinton.Recipe(10, 3e-3)
SIZES = (64, 7, 6, 10)


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def digits() -> hinton.Images:
    return hinton.read("digits", "")


# ------------------------------------------------------------------------------------------------ loss and nets


def test_published_numbers_of_parameters():
    printed, task = related.published("hinton"), hinton.TASKS["mnist"]
    assert hinton.parameters(task.teacher) == printed["parameters"]["teacher"] == 2_395_210
    assert hinton.parameters(task.student) == printed["parameters"]["student"] == 1_276_810
    assert round(1_276_810 / 2_395_210, 3) == printed["ratio"]


def test_the_notebook_tells_the_published_numbers():
    cells = nbformat.read(root() / "notebooks/13_hinton_distillation.ipynb", 4).cells
    text = " ".join(" ".join(cell.source for cell in cells if cell.cell_type == "markdown").split())
    printed = related.published("hinton")
    errors, threes = printed["errors"], printed["errors_on_threes"]
    assert "{teacher}, {alone} and {soft} errors were published".format(**errors) in text
    assert f"{printed['bias']}, **chosen on the test images**" in text
    assert f"{errors['unseen_bias']} errors, {threes['unseen_bias']} of them on 3s" in text


@pytest.mark.parametrize("task", hinton.TASKS.values(), ids=lambda task: task.title)
def test_nets_have_the_parameters_that_are_counted(task):
    for sizes in (task.narrow, task.student):
        assert sum(p.numel() for layer in hinton.start(sizes, [0]) for p in layer) == hinton.parameters(sizes)


def test_loss_by_hand():
    z_s, z_t, y = torch.tensor([2.0, 1, 0]), torch.tensor([4.0, 2, 0]), torch.tensor(0)
    e = math.e
    hard = -math.log(e**2 / (e**2 + e + 1))
    below = e + math.sqrt(e) + 1  # of the student's softmax at T = 2; the teacher's there is the student's at 1
    shares = [e**2 / (e**2 + e + 1), e / (e**2 + e + 1), 1 / (e**2 + e + 1)]
    soft = -4 * sum(t * math.log(s / below) for t, s in zip(shares, (e, math.sqrt(e), 1), strict=True))
    for alpha in (0.0, 0.3, 1.0):
        assert hinton.loss(z_s, y, z_t, 2, alpha).item() == pytest.approx((1 - alpha) * hard + alpha * soft, rel=1e-5)


def test_loss_is_that_of_distill_in_both_parts_with_a_temperature_a_net():
    rng = torch.Generator().manual_seed(0)
    z_s, z_t = torch.randn(3, 4, 10, generator=rng), torch.randn(3, 4, 10, generator=rng)
    y, alpha, temperature = torch.randint(10, (3, 4), generator=rng), torch.tensor([[0.0], [0.4], [1.0]]), [1.0, 5, 20]
    value = hinton.loss(z_s, y, z_t, torch.tensor(temperature)[:, None], alpha)
    for i, t in enumerate(temperature):
        soft = losses.soft_loss(z_s[i], losses.soft_predictions(z_t[i], t), t)
        torch.testing.assert_close(value[i], (1 - alpha[i]) * losses.hard_loss(z_s[i], y[i]) + alpha[i] * soft)


def test_the_gradient_of_the_soft_loss_tends_to_the_difference_of_the_logits():
    z_s, z_t = torch.tensor([2.0, 1, 0], dtype=torch.float64, requires_grad=True), torch.tensor([4.0, 2, 0]).double()
    hinton.loss(z_s, torch.tensor(0), z_t, 1e4, 1.0).backward()
    assert z_s.grad.tolist() == pytest.approx([-1 / 3, 0, 1 / 3], abs=1e-3)


def test_forward_is_layers_with_relu_between(digits):
    net = hinton.start(SIZES, [3, 4])
    z = hinton.predict(net, digits.x_test)
    x = digits.x_test.flatten(1)
    for weight, bias in net[:2]:
        x = F.relu(x @ weight[1] + bias[1])
    torch.testing.assert_close(z[1], x @ net[2][0][1] + net[2][1][1])
    assert hinton.errors(z, digits.y_test)[1] == (z[1].argmax(1) != digits.y_test).sum()


def test_initial_weights_are_of_the_seed_alone():
    alone, beside = hinton.start(SIZES, [5]), hinton.start(SIZES, [9, 5])
    assert all(torch.equal(one[0][0], two[0][1]) for one, two in zip(alone, beside, strict=True))
    assert alone[0][0].std() == pytest.approx(math.sqrt(2 / 64), rel=0.1)


# ----------------------------------------------------------------------------------------------------- training


def test_fit_is_a_plain_loop_of_each_member_whatever_trains_beside(digits):
    rows, taught = np.arange(100, 223), torch.randn(len(digits.y), 10, generator=torch.Generator().manual_seed(1))
    members = [hinton.Member(7, rows), hinton.Member(7, rows, taught, 4.0, 0.9), hinton.Member(8, rows[::-1].copy())]
    fitted = hinton.fit(members, SIZES, digits, PLAIN, 2, progress=quiet)
    start = hinton.start(SIZES, [7])
    net = torch.nn.Sequential(
        *(part for layer in pairwise(SIZES) for part in (torch.nn.Linear(*layer), torch.nn.ReLU()))
    )
    for linear, (weight, bias) in zip(net[::2], start, strict=True):
        linear.weight.data, linear.bias.data = weight[0].T.clone(), bias[0, 0].clone()
    optimiser, steps = torch.optim.Adam(net.parameters()), 12
    for epoch in range(2):
        rng = hinton.draws_of(7, epoch)
        order = rng.permutation(rows)
        for step in range(steps):
            index = torch.from_numpy(order[step * 10 : step * 10 + 10])
            optimiser.param_groups[0]["lr"] = 3e-3 * (1 - (epoch * steps + step) / (2 * steps))
            z = net[:-1](digits.x[index].flatten(1))
            hard, soft = losses.hard_loss(z, digits.y[index]), losses.soft_predictions(taught[index], 4.0)
            optimiser.zero_grad()
            (0.1 * hard + 0.9 * losses.soft_loss(z, soft, 4.0)).mean().backward()
            optimiser.step()
    with torch.no_grad():
        by_hand = net[:-1](digits.x_test.flatten(1))
    torch.testing.assert_close(hinton.predict(fitted, digits.x_test)[1], by_hand, rtol=1e-3, atol=1e-4)


def test_a_teacher_is_what_it_is_alone(digits):
    recipe = hinton.Recipe(10, 3e-3, 0.5, (0.1, 0.5), 2.0)
    members = [hinton.Member(seed, np.arange(60)) for seed in (0, 1)]
    both = hinton.fit(members, SIZES, digits, recipe, 2, progress=quiet)
    alone = hinton.fit(members[1:], SIZES, digits, recipe, 2, progress=quiet)
    for (weight, bias), (weight_alone, bias_alone) in zip(both, alone, strict=True):
        torch.testing.assert_close(weight[1:], weight_alone, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(bias[1:], bias_alone, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(both[0][0][0], both[0][0][1])


def test_a_student_learns_and_a_soft_label_is_enough(digits):
    rows, taught = np.arange(600), 20 * F.one_hot(digits.y, 10).float()
    members = [hinton.Member(0, rows), hinton.Member(0, rows, taught, 2.0, 1.0)]
    lines = []
    fitted = hinton.fit(members, (64, 30, 30, 10), digits, PLAIN, 8, progress=lines.append)
    assert (hinton.errors(hinton.predict(fitted, digits.x_test), digits.y_test) < 150).all()
    assert len(lines) == 1 and lines[-1].startswith("2 nets, epoch 8 of 8: ") and lines[-1].endswith(" 0 s left")


def test_a_killed_training_goes_on_to_the_same_nets(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    recipe, members = hinton.Recipe(10, 3e-3, 0.5, (0.1, 0.5), 2.0), [hinton.Member(s, np.arange(60)) for s in (0, 1)]
    whole = hinton.fit(members, SIZES, digits, recipe, 4, progress=quiet)
    epochs, drawn = [], hinton.draws_of

    def killed_in_the_third(seed: int, epoch: int):
        if epoch == 2 and len(epochs) == 4:
            raise KeyboardInterrupt
        epochs.append(epoch)
        return drawn(seed, epoch)

    monkeypatch.setattr(hinton, "draws_of", killed_in_the_third)
    with pytest.raises(KeyboardInterrupt):
        hinton.fit(members, SIZES, digits, recipe, 4, tmp_path, quiet)
    epochs.clear()
    for _ in range(2):  # the second time there is nothing left to do
        resumed = hinton.fit(members, SIZES, digits, recipe, 4, tmp_path, quiet)
        assert all(torch.equal(a, b) for one, two in zip(whole, resumed, strict=True) for a, b in zip(one, two))  # noqa: B905
    assert epochs == [2, 2, 3, 3]
    others = [replace(member, temperature=2.0) for member in members]
    hinton.fit(others, SIZES, digits, recipe, 4, tmp_path, quiet)
    assert epochs[4:] == [0, 0, 1, 1, 2, 2, 3, 3], "another training takes up nothing"


def test_images_are_moved_by_whole_pixels(digits):
    moved = hinton.every_move(digits.x[:3], 2)
    assert moved.shape == (3, 5, 5, 8, 8)
    assert torch.equal(moved[:, 2, 2], digits.x[:3])
    expected = torch.zeros(3, 8, 8)
    expected[:, 2:, :-1] = digits.x[:3, :-2, 1:]  # two down and one to the left
    assert torch.equal(moved[:, 0, 3], expected)


def test_images_are_moved_by_half_a_pixel(digits):
    x, moved = digits.x[:3], hinton.every_move(digits.x[:3], 0.5)
    assert moved.shape == (3, 3, 3, 8, 8)
    torch.testing.assert_close(moved[:, 1, 1], x)
    right = (x + F.pad(x, (1, 0))[..., :-1]) / 2
    torch.testing.assert_close(moved[:, 1, 0], right)
    torch.testing.assert_close(hinton.every_move(x, 1.5)[:, 1:, 1:][:, 1:4, 1:4][:, 0, 1], moved[:, 0, 1])


def test_what_is_dropped_and_moved(digits):
    recipe, index = hinton.Recipe(50, 1e-3, 1, (0.2, 0.5)), torch.arange(400).view(2, 200)
    draws = [hinton.draws_of(seed, 0) for seed in (0, 1)]
    x, masks = hinton.as_seen(hinton.every_move(digits.x, 1), index, SIZES, recipe, draws)
    assert x.shape == (2, 200, 64) and [mask.shape[-1] for mask in masks] == [64, 7, 6]
    for mask, share in zip(masks, (0.2, 0.5, 0.5), strict=True):
        assert mask.unique().tolist() == pytest.approx([0, 1 / (1 - share)])
        assert mask.mean() == pytest.approx(1, abs=0.06)
    as_it_is = (x.view(2, 200, 8, 8) == digits.x[index]).all(-1).all(-1).float().mean()
    assert as_it_is == pytest.approx(1 / 9, abs=0.06)
    assert hinton.as_seen(hinton.every_move(digits.x, 0), index, SIZES, PLAIN, draws)[1] == [None, None, None]


def test_norms_are_limited_into_hidden_units_only():
    net = hinton.start(SIZES, [0])
    net[0][0][0, :, 0], net[2][0][0, :, 0] = 3.0, 9.0
    before = [weight.clone() for weight, _ in net]
    hinton.limit_norms(net, 2.0)
    norms = torch.linalg.vector_norm(net[0][0][0], dim=0)
    assert norms[0] == pytest.approx(2.0) and torch.allclose(net[0][0][0, :, 0], torch.tensor(2 / 8.0))
    small = torch.linalg.vector_norm(before[0][0], dim=0) < 2
    assert torch.equal(net[0][0][0][:, small], before[0][0][:, small])
    assert torch.equal(net[2][0], before[2])
    hinton.limit_norms(net, math.inf)


def test_validation_images_are_of_the_seed_and_never_train(digits):
    rows, held_out = hinton.split("digits", digits, 0)
    assert len(held_out) == 200 and sorted([*rows, *held_out]) == list(range(1200))
    assert held_out.tolist() != hinton.split("digits", digits, 1)[1].tolist()


# --------------------------------------------------------------------------------------------- bias of a class


def test_errors_by_bias_are_those_of_nets_whose_bias_is_raised(digits):
    net, y, added = hinton.start(SIZES, [2, 5]), digits.y_test, torch.arange(12) / 2
    every, own = hinton.errors_by_bias(hinton.predict(net, digits.x_test), y, 3, added)
    assert every.shape == own.shape == (2, 12) and every[0].unique().numel() > 3
    (weight, bias) = net[-1]
    for i, rise in enumerate(added):
        moved = bias.clone()
        moved[..., 3] += rise
        z = hinton.predict([*net[:-1], (weight, moved)], digits.x_test)
        assert every[:, i].tolist() == hinton.errors(z, y).tolist()
        assert own[:, i].tolist() == hinton.errors(z[:, y == 3], y[y == 3]).tolist()


# ---------------------------------------------------------------------------------------------------- idx files


def idx(magic: int, sizes: tuple[int, ...], values: bytes | None = None) -> bytes:
    values = bytes(math.prod(sizes)) if values is None else values
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + values


@pytest.fixture
def raw(tmp_path, monkeypatch) -> Path:
    """A folder of raw files with a very small MNIST, one file of four packed."""
    images, labels = "-images-idx3-ubyte", "-labels-idx1-ubyte"
    small = {f"train{images}": (2051, (3, 28, 28)), f"train{labels}": (2049, (3,))}
    small |= {f"t10k{images}": (2051, (2, 28, 28)), f"t10k{labels}": (2049, (2,))}
    monkeypatch.setattr(mnist, "FILES", small)
    (tmp_path / "mnist").mkdir()
    for name, (magic, sizes) in small.items():
        values = None if len(sizes) > 1 else bytes([7, 0, 9][: sizes[0]])
        (tmp_path / "mnist" / name).write_bytes(idx(magic, sizes, values))
    test = tmp_path / "mnist" / f"t10k{images}"
    test.write_bytes(test.read_bytes()[:-1] + b"\x33")  # 51 of 255
    packed = tmp_path / "mnist" / f"train{images}"
    content = packed.read_bytes()
    packed.with_suffix(".gz").write_bytes(gzip.compress(content[:-1] + b"\xff"))
    packed.unlink()
    return tmp_path


def test_idx_files_packed_or_not(raw):
    images = hinton.read("mnist", str(raw))
    assert images.x.shape == (3, 28, 28) and images.x[2, 27, 27] == 1 and images.x.sum() == 1
    assert images.x_test[1, 27, 27] == images.x_test.sum() == 0.2
    assert images.y.tolist() == [7, 0, 9] and images.x_test.shape == (2, 28, 28) and images.y_test.tolist() == [7, 0]
    assert len(hinton.files("mnist", str(raw))) == 4 and hinton.files("digits", str(raw)) == []


def test_mnist_has_its_sizes():
    assert [each for _, each in mnist.FILES.values()] == [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]


LABELS = "t10k-labels-idx1-ubyte"
BAD = {
    "missing": (None, "is missing"),
    "empty": (b"", "ends within its header, after 0 bytes"),
    "no sizes": (idx(2049, (), b""), "ends within its header, after 4 bytes"),
    "images for labels": (idx(2051, (2, 28, 28)), "begins with 2051 where an idx file of labels begins with 2049"),
    "another count": (idx(2049, (3,)), "says that it holds 3 values where MNIST's has 2"),
    "cut off": (idx(2049, (2,), b"\1"), "holds 1 values where its header says 2"),
    "too long": (idx(2049, (2,), b"\1\2\3"), "holds 3 values where its header says 2"),
    "a label of 10": (idx(2049, (2,), b"\1\x0a"), "label 2 is 10 where one from 0 to 9 should be"),
}


@pytest.mark.parametrize("content, said", BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_one_sentence(raw, content, said):
    path = raw / "mnist" / LABELS
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError) as refusal:
        hinton.read("mnist", str(raw))
    message = str(refusal.value)
    assert LABELS in message and said in message and "\n" not in message and message.endswith("download it again.")


def test_labels_in_the_place_of_images(raw):
    (raw / "mnist" / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(2049, (2,), bytes(9))))
    with pytest.raises(UserError, match="where an idx file of images begins with 2051"):
        hinton.read("mnist", str(raw))


DAMAGE = {
    "cut off": lambda whole: whole[:40],
    "no end": lambda whole: whole[:-8],
    "another sum": lambda whole: whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
    "no gzip": gzip.decompress,
    "more behind": lambda whole: whole + b"more",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_gzip_is_refused(raw, damage):
    path = raw / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"ubyte.gz is cut off, damaged or cannot be read \(.*\); download it again\.$"):
        hinton.read("mnist", str(raw))


def test_a_file_that_is_there_twice(raw):
    (raw / "mnist" / f"{LABELS}.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(UserError, match="is there twice, with .gz and without; take one out"):
        hinton.files("mnist", str(raw))


def test_no_folder_of_mnist(tmp_path):
    with pytest.raises(UserError, match="no raw files in .*mnist; put MNIST's four files there: train-images"):
        hinton.files("mnist", str(tmp_path))


def test_the_real_mnist(real_root):
    if not (real_root / "mnist").is_dir():
        pytest.skip(f"no real mnist in {real_root}; set RDPD_RAW to a folder that holds it")
    images = hinton.read("mnist", str(real_root))
    assert images.y.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert (images.y_test == 3).sum() == related.published("hinton")["test_threes"]


def test_another_data_sets_reader_does_not_make_it_stale(tmp_path):
    def mark() -> str:
        return stamps.code("rdpd_nb.related.hinton", package=package)

    package = tmp_path / "rdpd_nb"
    shutil.copytree(stamps.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = mark()
    for name, changes in {"data/hapt.py": False, "tables.py": False, "related/mnist.py": True}.items():
        with (package / name).open("a") as file:
            file.write("\nchanged = 1\n")
        assert (mark() != before) == changes


# --------------------------------------------------------------------------------------------------- parameters


def given(**changed: object) -> dict:
    default = {"task": "digits", "raw": "", "seeds": [0], "epochs": 1, "teacher_epochs": 1, "temperatures": [1]}
    return default | {"alpha": 0.9, "profile": "demo", "results": "results"} | changed


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"task": "letters"}, "there is no task 'letters' here; use 'digits' or 'mnist'"),
        ({"alpha": 1.5}, "'alpha' is 1.5; it should be a number from 0 to 1"),
        ({"teacher_epochs": 0}, "'teacher_epochs' is 0; it should be a whole number from 1"),
        ({"temperatures": [0]}, "'temperatures' is [0]; it should be a list of different numbers"),
    ],
)
def test_a_mistyped_parameter(changed, said):
    with pytest.raises(UserError) as refusal:
        params.check("13_hinton_distillation", given(**changed))
    assert said in str(refusal.value)
