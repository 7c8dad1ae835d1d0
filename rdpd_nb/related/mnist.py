"""MNIST's four idx files, checked: 60,000 images to train on and 10,000 to test, of 28 x 28 pixels from 0 to 255."""

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from ..errors import UserError
from .places import raw_folder

FILES = {  # name, with .gz or without: magic number and sizes
    "train-images-idx3-ubyte": (2051, (60000, 28, 28)),
    "train-labels-idx1-ubyte": (2049, (60000,)),
    "t10k-images-idx3-ubyte": (2051, (10000, 28, 28)),
    "t10k-labels-idx1-ubyte": (2049, (10000,)),
}
CLASSES = 10
AGAIN = "download it again"


def files(raw: str) -> list[Path]:
    """The four files under <raw>/mnist. Raises UserError where one is missing, or is there twice."""
    folder = raw_folder("mnist", raw, f"put MNIST's four files there: {', '.join(FILES)}, each with .gz or without.")
    found = {name: [p for ending in (".gz", "") if os.path.lexists(p := folder / f"{name}{ending}")] for name in FILES}
    for name, there in found.items():
        if len(there) != 1:
            fault = "it is there twice, with .gz and without; take one out" if there else f"it is missing; {AGAIN}"
            raise UserError(f"{folder / name}: {fault}.")
    return [path for (path,) in found.values()]


def read(raw: str) -> list[np.ndarray]:
    """Images (n, 28, 28) and labels (n,) to train on, and to test. Raises UserError for a file not as it should be."""
    return [read_idx(path, *FILES[path.name.removesuffix(".gz")]) for path in files(raw)]


def read_idx(path: Path, magic: int, sizes: tuple[int, ...]) -> np.ndarray:
    """The bytes of an idx file, of these sizes: a magic number and a size a dimension, each of four bytes, high byte
    first, then the values. Raises UserError for another file, for one cut off or too long, for a label beyond 9."""
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as stream:
            content = stream.read()  # to the end of gzip, where its sum is
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is cut off, damaged or cannot be read ({error}); {AGAIN}.") from None
    header, values = content[: 4 + 4 * len(sizes)], content[4 + 4 * len(sizes) :]
    if len(header) < 4 + 4 * len(sizes):
        raise UserError(f"{path} ends within its header, after {len(header)} bytes; {AGAIN}.")
    began, *found = np.frombuffer(header, ">u4").tolist()
    if began != magic:
        what = "images" if len(sizes) > 1 else "labels"
        raise UserError(f"{path} begins with {began} where an idx file of {what} begins with {magic}; {AGAIN}.")
    if tuple(found) != sizes:
        there, wanted = (" x ".join(map(str, each)) for each in (found, sizes))
        raise UserError(f"{path} says that it holds {there} values where MNIST's has {wanted}; {AGAIN}.")
    if len(values) != math.prod(sizes):
        raise UserError(f"{path} holds {len(values):,} values where its header says {math.prod(sizes):,}; {AGAIN}.")
    array = np.frombuffer(bytearray(values), np.uint8).reshape(sizes)
    if len(sizes) == 1 and array.max() >= CLASSES:
        first = int((array >= CLASSES).argmax())
        raise UserError(f"{path}: label {first + 1} is {array[first]} where one from 0 to 9 should be; {AGAIN}.")
    return array
