"""A student as one ONNX file, which runs where there is no PyTorch and no rdpd_nb, and what that saves.

Shapes: n windows of l samples, d channels, C classes, M segments. What a device does with the file, and a recording
`signal` (rows, d) at the student's rate:

    import json

    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession("student.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["student.json"])  # channels, rate, units, ...
    length, hop = about["length"], about["hop"]
    windows = [signal[start : start + length] for start in range(0, len(signal) - length + 1, hop)]
    probability, attention = session.run(None, {"windows": np.stack(windows).astype(np.float32)})
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from .cost import multiply_adds
from .errors import UserError
from .evaluation import scores
from .files import replace_file
from .student import ABOUT, AT_ONCE, Student

if TYPE_CHECKING:  # of the extra `export`, or slow to import
    import onnx
    import pandas as pd

# Operators with weights: which of their inputs these are, and their axis of outputs, which share no scale. Not the
# MatMul of the attention, of 2U weights: ONNX Runtime would round what they are multiplied with, too.
WEIGHTS = {"Conv": ((1,), 0), "Gemm": ((1,), 0), "LSTM": ((1, 2), 1)}


class Deployed(nn.Module):
    """A student's whole way from raw windows (n, l, d), NaN missing, to probability (n, C) and attention (n, M)."""

    def __init__(self, student: Student):
        super().__init__()
        self.model = student.model
        self.register_buffer("mean", torch.from_numpy(student.mean))
        self.register_buffer("std", torch.from_numpy(student.std))

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        z = (windows - self.mean) / self.std
        log_a, logits = self.model(torch.where(torch.isfinite(z), z, 0.0))  # missing: the training mean
        return logits.softmax(-1), log_a.exp()


def to_onnx(student: Student, path: str | Path) -> None:
    """Write the student as one ONNX file, whole or not at all.

    Input `windows` (batch, l, d) float32: raw, at the student's rate, NaN where nothing was measured; one at least, and
    any number. Outputs `probability` (batch, C) and `attention` (batch, M). The file's metadata hold the text of
    student.json and, in words, what goes in and comes out. Raises UserError without the packages of the extra `export`,
    for a path that does not end in .onnx, or one that cannot be written.
    """
    _write(lambda: _graph(student), path)


def to_onnx_int8(student: Student, path: str | Path) -> None:
    """As `to_onnx`, with 8-bit weights, which pays where weights are most of the file.

    Each output of a layer has its own scale, max |w| / 127, both directions of the LSTM the same. Biases, attention
    and all that is computed stay float32. (The dynamic quantisation that comes with ONNX Runtime makes activations
    8-bit too, within the range of a whole batch: a window's probability then depends on the others. Tried on Brugada's
    lead I its file was larger and slower, and probabilities were off by up to 0.06 where here they are by 0.02.)
    """
    _write(lambda: _in_8_bits(_graph(student)), path)


def costs(student: Student, x: np.ndarray, y: np.ndarray, repeats: int = 1000) -> "pd.DataFrame":
    """What a student costs in PyTorch, in ONNX Runtime, and there with 8-bit weights: a row each.

    x (n, l, d) raw windows, y (n,) classes. Columns: `bytes` of the file, `multiply_adds` of a window (see
    `cost.multiply_adds`), `median_ms` and `p99_ms` of one window's way from raw values to probability on one core,
    over `repeats` of them in turn, `roc_auc` (None where it cannot be scored), `difference`: the largest of any
    probability to PyTorch's. Raises UserError without the packages of the extra `export`, and where x or y do not fit.
    """
    import pandas as pd

    _require("onnx", "onnxscript", "onnxruntime")
    expected, classes = student.outputs(x)[0], len(student.spec.classes)
    x, y = np.asarray(x, np.float32), np.asarray(y)
    if y.shape != (len(x),) or y.dtype.kind not in "iu" or not len(y) or y.min() < 0 or y.max() >= classes:
        raise UserError(f"y should be a whole number from 0 to {classes - 1} for each of the {len(x):,} windows.")
    graph = _graph(student)
    full, small = graph.SerializeToString(), _in_8_bits(graph).SerializeToString()
    ways = {
        "PyTorch, float32": (len(student.packed()), _in_torch(student)),
        "ONNX Runtime, float32": (len(full), _in_onnxruntime(full)),
        "ONNX Runtime, 8-bit weights": (len(small), _in_onnxruntime(small)),
    }
    rows = []
    with _one_thread():
        for size, call in ways.values():
            probability = np.concatenate([call(x[i : i + AT_ONCE]) for i in range(0, len(x), AT_ONCE)])
            median, p99 = _milliseconds(call, x, repeats)
            difference = float(np.abs(probability - expected).max())
            rows.append((size, median, p99, scores(probability, y)["roc_auc"], difference))
    columns = ["bytes", "median_ms", "p99_ms", "roc_auc", "difference"]
    table = pd.DataFrame(rows, index=pd.Index(ways, name="runtime"), columns=columns)
    table.insert(1, "multiply_adds", multiply_adds(student.spec, student.view))
    return table


# ---------------------------------------------------------------------------------------------------- the graph


def _graph(student: Student) -> "onnx.ModelProto":
    """The ONNX graph with its metadata, and without what the exporter notes of this machine's code."""
    import onnx

    example = torch.zeros(2, student.spec.length, len(student.channels))  # of one window, the batch would be fixed to 1
    with _quiet():
        program = torch.onnx.export(
            Deployed(student).eval(),
            (example,),
            dynamo=True,
            input_names=["windows"],
            output_names=["probability", "attention"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    model = program.model_proto
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer, graph):
        del part.metadata_props[:]
    del graph.value_info[:]  # shapes in between, which any reader infers
    onnx.helper.set_model_props(model, _metadata(student))
    onnx.checker.check_model(model)
    return model


def _metadata(student: Student) -> dict[str, str]:
    spec, units = student.spec, zip(student.channels, student.units, strict=True)
    columns = ", ".join(f"{name} ({unit or 'unit unknown'})" for name, unit in units)
    return {
        "title": f"{spec.title}: {spec.view_titles[student.view]}",
        "windows": f"(batch, {spec.length}, {len(student.channels)}) float32, raw values at {student.rate:g} Hz, NaN "
        f"where nothing was measured; channels: {columns}",
        "probability": f"(batch, {len(spec.classes)}) float32; classes: {', '.join(spec.classes)}",
        "attention": f"(batch, {spec.segments}) float32; segments of {spec.segment} samples",
        ABOUT: student.json(),
    }


def _in_8_bits(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """A copy whose weights are 8-bit integers with a scale an output."""
    import onnx
    from onnx import helper, numpy_helper

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    axes = {node.input[i]: WEIGHTS[node.op_type][1] for node in graph.node for i in WEIGHTS.get(node.op_type, ((),))[0]}
    for name, axis in axes.items():
        weight = numpy_helper.to_array(tensors[name])
        rest = tuple(i for i in range(weight.ndim) if i != axis)
        largest = np.abs(weight).max(rest, keepdims=True)
        scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
        whole = np.rint(weight / scale).astype(np.int8)
        graph.initializer.remove(tensors[name])
        graph.initializer.append(numpy_helper.from_array(whole, f"{name}.int8"))
        graph.initializer.append(numpy_helper.from_array(scale.ravel(), f"{name}.scale"))
        dequantise = helper.make_node("DequantizeLinear", [f"{name}.int8", f"{name}.scale"], [name], axis=axis)
        graph.node.insert(0, dequantise)
    onnx.checker.check_model(copy)
    return copy


def _write(graph: Callable[[], "onnx.ModelProto"], path: str | Path) -> None:
    path = Path(path)
    if path.suffix != ".onnx" or path.is_dir():
        fault = "is a folder" if path.is_dir() else "does not end in .onnx"
        raise UserError(f"{path} {fault}; name a file like student.onnx.")
    _require("onnx", "onnxscript")
    made = graph().SerializeToString()
    with replace_file(path) as temporary:
        temporary.write_bytes(made)


def _require(*packages: str) -> None:
    if missing := [package for package in packages if find_spec(package) is None]:
        raise UserError(
            f"exporting needs {', '.join(missing)}, which this Python has not; run `make setup`, or, in the project's "
            'folder, `pip install -e ".[export]"`.'
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of its own working: deprecated calls, optional packages that are not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


# ------------------------------------------------------------------------------------------------------- timing


def _in_torch(student: Student) -> Callable[[np.ndarray], np.ndarray]:
    deployed = Deployed(student).eval()

    @torch.no_grad()
    def call(x: np.ndarray) -> np.ndarray:
        return deployed(torch.from_numpy(x))[0].numpy()

    return call


def _in_onnxruntime(model: bytes) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["probability"], {"windows": x})[0]


def _milliseconds(call: Callable[[np.ndarray], np.ndarray], x: np.ndarray, repeats: int) -> tuple[float, float]:
    """Median and 99th percentile of calls with one window, taken in turn."""
    times = []
    for i in range(repeats + 20):
        one = np.ascontiguousarray(x[i % len(x)][None])
        began = time.perf_counter()
        call(one)
        times.append(1000 * (time.perf_counter() - began))
    median, p99 = np.percentile(times[20:], [50, 99])  # the first ones warm up
    return float(median), float(p99)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
