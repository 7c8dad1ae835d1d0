"""Exported students against PyTorch, in a process without it, and every wrong input with its sentence."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from test_student import SPEC, make_fitted, make_signal, make_student
from torch.utils.flop_counter import FlopCounterMode

from rdpd_nb import export
from rdpd_nb.data import SPECS, Windows
from rdpd_nb.errors import UserError
from rdpd_nb.student import Student, load_student

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def student(one_thread) -> Student:
    return make_student()


@pytest.fixture(scope="module")
def files(one_thread, student, tmp_path_factory):
    """student.onnx and student8.onnx in a folder."""
    folder = tmp_path_factory.mktemp("exported")
    export.to_onnx(student, folder / "student.onnx")
    export.to_onnx_int8(student, str(folder / "student8.onnx"))
    return folder


def make_windows(n: int, missing: bool = True) -> np.ndarray:
    """Raw windows (n, 60, 2), some values missing, in one window a whole channel."""
    x = make_signal(60 * n, seed=3).reshape(n, 60, 2)
    if missing:
        x[np.random.default_rng(4).random(x.shape) < 0.1] = np.nan
        x[0, :, 1], x[1, 5, 0] = np.nan, np.inf
    return x


def run(path, x: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["probability", "attention"], {"windows": x})


# ------------------------------------------------------------------------------------------------ the same numbers


def test_onnx_runtime_equals_pytorch_on_a_thousand_windows(student, files):
    x = make_windows(1000)
    for found, expected in zip(run(files / "student.onnx", x), student.outputs(x), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)
    assert student.outputs(x)[0][:, 1].std() > 0.01  # they differ from each other


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_any_batch(student, files, batch):
    x = make_windows(1000)[:batch]
    probability, attention = run(files / "student.onnx", x)
    np.testing.assert_allclose(probability, student.outputs(x)[0], atol=1e-5)
    assert attention.shape == (batch, SPEC.segments)


@pytest.mark.parametrize("dataset, view", [("brugada", "lead_i"), ("dsads", "all")])
def test_students_of_the_projects_sizes(tmp_path, dataset, view):
    spec, rng = SPECS[dataset], np.random.default_rng(0)
    count = 20 * len(spec.classes)
    x = 80 + 12 * rng.normal(size=(count, spec.length, len(spec.channels)))
    label, who = np.arange(count) % len(spec.classes), np.arange(count) // 2
    free = replace(spec, split="random", validation_subjects=(), test_subjects=())
    windows = Windows.from_arrays(free, x, label, who).select(view)
    student = Student.of(make_fitted(windows), windows, 100)
    export.to_onnx(student, tmp_path / "student.onnx")
    every = windows[np.arange(count)]
    for found, expected in zip(run(tmp_path / "student.onnx", every), student.outputs(every), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_window_of_one_segment(tmp_path):
    spec = replace(SPEC, segment=60)
    windows = Windows.from_arrays(spec, np.zeros((40, 60, 3)), np.arange(40) % 2, np.arange(40)).select("two")
    student = Student.of(make_fitted(windows), windows, 50)
    export.to_onnx(student, tmp_path / "student.onnx")
    x = make_windows(5)
    probability, attention = run(tmp_path / "student.onnx", x)
    np.testing.assert_allclose(probability, student.outputs(x)[0], atol=1e-5)
    np.testing.assert_array_equal(attention, np.ones((5, 1)))


def device_code() -> str:
    """The commands of the module's docstring."""
    return textwrap.dedent(export.__doc__.split(":\n\n", 1)[1])


def test_a_process_with_onnx_runtime_and_numpy_alone_predicts_a_recording(student, files, tmp_path):
    signal = make_signal(500)
    signal[100:130, 0] = np.nan
    np.save(tmp_path / "signal.npy", signal)
    (tmp_path / "student.onnx").write_bytes((files / "student.onnx").read_bytes())
    code = [
        "import sys, numpy as np",
        "signal = np.load('signal.npy', allow_pickle=False)",
        device_code(),
        "others = {'torch', 'rdpd_nb', 'onnx', 'scipy', 'pandas', 'sklearn'} & {m.split('.')[0] for m in sys.modules}",
        "assert not others, others",
        "np.savez('found.npz', probability=probability, attention=attention)",
        "print(about['channels'], about['rate'], about['classes'])",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(code)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "['wrist', 'saddle'] 50.0 ['road', 'gravel']\n"
    expected = student.predict(signal)
    with np.load(tmp_path / "found.npz", allow_pickle=False) as found:
        np.testing.assert_allclose(found["probability"], expected.probability, atol=1e-5)
        np.testing.assert_allclose(found["attention"], expected.attention, atol=1e-5)
    assert len(expected.start) == 15


# -------------------------------------------------------------------------------------------------- 8-bit weights


def round_to_8_bits(*weights: torch.Tensor) -> None:
    """Round weights whose first axis is outputs, in place: 127 steps to the largest of that output in all of them."""
    largest = torch.stack([weight.flatten(1).abs().amax(1) for weight in weights]).amax(0)
    for weight in weights:
        step = largest.reshape(-1, *[1] * (weight.ndim - 1)) / 127
        weight.copy_((weight / step).round() * step)


def test_8_bit_weights_are_rounded_weights_and_nothing_else(student, files):
    model = make_student().model
    with torch.no_grad():
        for weight in (*(conv.weight for conv in model.convs), model.dense.weight):
            round_to_8_bits(weight)
        round_to_8_bits(model.lstm.weight_ih_l0, model.lstm.weight_ih_l0_reverse)
        round_to_8_bits(model.lstm.weight_hh_l0, model.lstm.weight_hh_l0_reverse)
    x = make_windows(1000)
    expected = replace(student, model=model).outputs(x)
    for found, by_hand in zip(run(files / "student8.onnx", x), expected, strict=True):
        np.testing.assert_allclose(found, by_hand, atol=1e-5)
    off = np.abs(expected[0] - student.outputs(x)[0]).max()
    assert 1e-4 < off < 0.02  # it is not the same, and not far


def test_8_bit_weights_do_not_make_a_window_depend_on_the_others(files):
    x = make_windows(50)
    np.testing.assert_allclose(
        run(files / "student8.onnx", x)[0][:1], run(files / "student8.onnx", x[:1])[0], atol=1e-6
    )


def test_what_is_8_bit_and_what_is_not(files):
    tensors = {t.name: t for t in onnx.load(files / "student8.onnx").graph.initializer}
    whole = {name: list(t.dims) for name, t in tensors.items() if t.data_type == onnx.TensorProto.INT8}
    # Two convolutions, both LSTM weights of both directions (4 gates of 3 units), dense.
    sizes = [[2, 6], [2, 12, 3], [2, 12, 4], [4, 5, 6], [5, 2, 6]]
    assert sorted(sorted(dims) for dims in whole.values()) == sorted(sorted(dims) for dims in sizes)
    assert tensors["mean"].data_type == tensors["model.dense.bias"].data_type == onnx.TensorProto.FLOAT


def test_a_weight_of_nothing_but_zeros(files, tmp_path):
    full = onnx.load(files / "student.onnx")
    (dense,) = (tensor for tensor in full.graph.initializer if tensor.name == "model.dense.weight")
    dense.CopyFrom(onnx.numpy_helper.from_array(np.zeros((2, 6), np.float32), dense.name))
    (tmp_path / "small.onnx").write_bytes(export._in_8_bits(full).SerializeToString())
    onnx.save(full, tmp_path / "full.onnx")
    x = make_windows(5)
    np.testing.assert_allclose(run(tmp_path / "small.onnx", x)[0], run(tmp_path / "full.onnx", x)[0], atol=1e-6)


# ---------------------------------------------------------------------------------------------------- the file


def test_the_file_says_what_goes_in_and_comes_out(student, files, tmp_path):
    session = onnxruntime.InferenceSession(files / "student8.onnx")
    shapes = {node.name: (node.type, node.shape) for node in (*session.get_inputs(), *session.get_outputs())}
    assert shapes == {
        "windows": ("tensor(float)", ["batch", 60, 2]),
        "probability": ("tensor(float)", ["batch", 2]),
        "attention": ("tensor(float)", ["batch", 3]),
    }
    said = session.get_modelmeta().custom_metadata_map
    assert said["title"] == "Bicycle: Wrist and saddle"
    assert said["windows"].startswith("(batch, 60, 2) float32, raw values at 50 Hz, NaN")
    assert said["windows"].endswith("channels: wrist (mV), saddle (mV)")
    assert said["probability"].endswith("classes: road, gravel") and said["attention"].startswith("(batch, 3) float32")
    student.save(tmp_path / "shipped")
    assert said["student.json"] == (tmp_path / "shipped" / "student.json").read_text(encoding="utf-8")
    assert json.loads(said["student.json"])["fingerprint"] == student.about["fingerprint"]


def test_a_loaded_student_gives_the_same_file_which_names_no_place_and_nothing_is_printed(
    student, files, tmp_path, capfd, recwarn
):
    student.save(tmp_path / "shipped")
    export.to_onnx(load_student(tmp_path / "shipped"), tmp_path / "shipped" / "student.onnx")
    assert capfd.readouterr() == ("", "") and not recwarn.list
    written = (tmp_path / "shipped" / "student.onnx").read_bytes()
    assert written == (files / "student.onnx").read_bytes()
    for place in (b".py", b"site-packages", b"/rdpd_nb", b"stack_trace"):
        assert place not in written
    assert len(list((tmp_path / "shipped").iterdir())) == 4
    student.save(tmp_path / "shipped")  # an exported file is a part of a student's folder


# ---------------------------------------------------------------------------------------------------------- costs


@pytest.mark.filterwarnings("ignore:TF32")
def test_what_a_student_costs(student, files, tmp_path):
    x, rng = make_windows(600), np.random.default_rng(0)
    y = (student.outputs(x)[0][:, 1] + 0.02 * rng.normal(size=600) > 0.5).astype(int)
    torch.set_num_threads(2)
    table = export.costs(student, x.astype(np.float64), y, repeats=20)
    assert torch.get_num_threads() == 2
    assert list(table.index) == ["PyTorch, float32", "ONNX Runtime, float32", "ONNX Runtime, 8-bit weights"]
    assert list(table) == ["bytes", "multiply_adds", "median_ms", "p99_ms", "roc_auc", "difference"]
    student.save(tmp_path / "shipped")
    paths = [tmp_path / "shipped" / "weights.safetensors", files / "student.onnx", files / "student8.onnx"]
    assert list(table["bytes"]) == [path.stat().st_size for path in paths]
    counter = FlopCounterMode(display=False)
    with torch.backends.mkldnn.flags(enabled=False), counter:  # oneDNN's LSTM is one operation, not counted
        student.model(torch.zeros(1, 60, 2))
    assert set(2 * table["multiply_adds"]) == {counter.get_total_flops()}
    assert (table["median_ms"] > 0).all() and (table["median_ms"] <= table["p99_ms"]).all()
    for name, probability in (
        ("PyTorch, float32", student.outputs(x)[0]),
        ("ONNX Runtime, 8-bit weights", run(files / "student8.onnx", x)[0]),
    ):
        assert table.loc[name, "roc_auc"] == pytest.approx(roc_auc_score(y, probability[:, 1]), abs=1e-4)
    off = np.abs(run(files / "student8.onnx", x)[0] - student.outputs(x)[0]).max()
    np.testing.assert_allclose(table["difference"], [0, 0, off], atol=1e-6)


def test_costs_without_a_second_class_have_no_score(student, files, monkeypatch):
    monkeypatch.setattr(export, "_graph", lambda student: onnx.load(files / "student.onnx"))  # which takes seconds
    table = export.costs(student, make_windows(5), np.zeros(5, int), repeats=1)
    assert table["roc_auc"].isna().all() and isinstance(table, pd.DataFrame)


# ----------------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize("write", [export.to_onnx, export.to_onnx_int8])
def test_a_path_that_will_not_do_is_one_sentence(student, tmp_path, write):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "file").touch()
    for name, sentence in (
        ("student", "student does not end in .onnx; name a file like student.onnx"),
        ("folder.onnx", "folder.onnx is a folder; name a file"),
        ("file/student.onnx", "student.onnx could not be written: (Not a directory|File exists)"),
    ):
        with pytest.raises(UserError, match=sentence):
            write(student, tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.onnx"]


def test_without_the_extra_it_says_what_to_install(student, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    sentence = r"exporting needs onnx, onnxscript, which this Python has not; run `make setup`, or, .*\[export\]"
    with pytest.raises(UserError, match=sentence):
        export.to_onnx(student, tmp_path / "student.onnx")
    with pytest.raises(UserError, match="exporting needs onnx, onnxscript, onnxruntime, which"):
        export.costs(student, make_windows(4), np.arange(4) % 2)


def test_the_module_can_be_imported_without_the_extra():
    code = "import sys, rdpd_nb.export; print({'onnx', 'onnxscript', 'onnxruntime', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize(
    "x, y, sentence",
    [
        (make_windows(4)[:, :50], np.zeros(4, int), r"x has shape \(4, 50, 2\); it should be \(windows, 60, 2\)"),
        (make_windows(4), np.zeros(3, int), "y should be a whole number from 0 to 1 for each of the 4 windows"),
        (make_windows(4), np.array([0, 1, 2, 0]), "y should be a whole number from 0 to 1"),
        (make_windows(4), np.array([0, 1, -1, 0]), "y should be a whole number from 0 to 1"),
        (make_windows(4), np.zeros(4), "y should be a whole number from 0 to 1"),
        (make_windows(4), ["a"] * 4, "y should be a whole number from 0 to 1"),
        (make_windows(4)[:0], np.zeros(0, int), "y should be a whole number from 0 to 1 for each of the 0 windows"),
    ],
)
def test_costs_of_windows_that_will_not_do_are_one_sentence(student, x, y, sentence):
    with pytest.raises(UserError, match=sentence):
        export.costs(student, x, y)
