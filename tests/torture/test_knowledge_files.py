"""Damaged knowledge: every fault of a teacher's file is one sentence that names it and says what to do, at load or when
it meets the student's windows. Each fault of content is tried twice: as damage leaves it (its digest is another's), and
as a program that writes such a file would leave it (with the right digest).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up import make_knowledge, make_windows, select
from outcome import COUNTS, said
from safetensors import safe_open
from safetensors.numpy import save_file

from rdpd_nb import knowledge
from rdpd_nb.data.windows import split
from rdpd_nb.knowledge import load_by_seed, save_knowledge
from rdpd_nb.training import make_members

SEEDS = (0, 1)
POOR = select(make_windows(), "hr")
SPLITS = {seed: split(POOR, seed) for seed in SEEDS}


@pytest.fixture
def path(tmp_path) -> Path:
    file = tmp_path / "teacher.knowledge.safetensors"
    save_knowledge(file, {seed: make_knowledge(POOR, part.train, seed) for seed, part in SPLITS.items()})
    return file


def use(path: Path) -> None:
    """What a student's notebook does with it."""
    make_members(POOR, SPLITS, "rdpd", load_by_seed(path, list(SEEDS)))


def rewrite(path: Path, change: Callable[[dict, dict], None], signed: bool) -> None:
    """The same file with other arrays and marks of seed 0, and with the digest that is right for them if `signed`."""
    with safe_open(path, "np") as file:
        arrays, marks = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    change(arrays, marks)
    if signed:
        of = {name: arrays[f"0/{name}"] for name in knowledge.ARRAYS if f"0/{name}" in arrays}
        said_of = {name: marks[f"0/{name}"] for name in knowledge.MARKS if f"0/{name}" in marks}
        marks["0/digest"] = knowledge.digest(0, of, said_of)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path, marks)


def array(name: str, of: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict, dict], None]:
    return lambda arrays, marks: arrays.update({f"0/{name}": of(arrays[f"0/{name}"].copy())})


def mark(name: str, value: str) -> Callable[[dict, dict], None]:
    return lambda arrays, marks: marks.update({f"0/{name}": value})


def put(value: float, at: tuple = (3, 1)) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        values[at] = value
        return values

    return change


def negative_of_one(values: np.ndarray) -> np.ndarray:
    """A row of sum 1 with a value below 0."""
    values[3] = 0
    values[3, :2] = -0.5, 1.5
    return values


def windows_twice(values: np.ndarray) -> np.ndarray:
    values[5] = values[6]
    return values


OF_ROWS = {
    "a negative value in a row of sum 1": negative_of_one,
    "a negative value": put(-0.25),
    "a row that sums to 7": lambda v: np.where(np.arange(len(v))[:, None] == 3, v * 7, v),
    "every row sums to 7": lambda v: v * 7,
    "a row of zeros": put(0.0, (3,)),
    "NaN": put(np.nan),
    "infinity": put(np.inf),
    "1e30": put(1e30),
    "a column less": lambda v: v[:, :-1],
    "a column more": lambda v: np.concatenate([v / 2, v / 2], 1),
    "one column of ones": lambda v: np.ones((len(v), 1), np.float32),
    "no column": lambda v: v[:, :0],
    "a row less": lambda v: v[:-1],
    "a row more": lambda v: np.concatenate([v, v[:1]]),
    "no row": lambda v: v[:0],
    "one dimension": lambda v: v[:, 0],
    "three dimensions": lambda v: v[..., None],
    "turned on its side": lambda v: v.T,
    "double precision": lambda v: v.astype(np.float64),
    "half precision": lambda v: v.astype(np.float16),
    "whole numbers": lambda v: (v > 0.5).astype(np.int64),
}
OF_WINDOWS = {
    "a window twice": windows_twice,
    "a negative window": put(-1, (3,)),
    "a window beyond the last": put(10**6, (3,)),
    "a window of the test part": put(SPLITS[0].test[0], (3,)),
    "windows in two dimensions": lambda v: v[:, None],
    "windows as numbers with a point": lambda v: v.astype(np.float64),
    "windows as text of bytes": lambda v: v.astype(np.uint8),
    "windows of nobody": lambda v: v[:0],
    "one number": lambda v: v[0],
}
OF_MARKS = {
    **{f"temperature {v}": ("temperature", v) for v in ("nan", "inf", "-2.5", "0", "warm", "", "3")},
    **{f"labelled {v}": ("labelled", v) for v in ("nan", "-1", "0", "7", "0.5", "all")},
    **{f"best epoch {v}": ("best_epoch", v) for v in ("-3", "2.5", "last", "")},
    **{f"fingerprint {v!r}": ("fingerprint", v) for v in ("", "0" * 16, "another")},
    **{f"protocol {v!r}": ("protocol", v) for v in ("?", "batch_order=once")},
}
CHANGES = {
    **{f"{name}: {fault}": array(name, of) for name in ("soft_labels", "attention") for fault, of in OF_ROWS.items()},
    **{fault: array("window", of) for fault, of in OF_WINDOWS.items()},
    **{fault: mark(*of) for fault, of in OF_MARKS.items()},
    "no windows, no rows": lambda arrays, marks: arrays.update(
        {f"0/{name}": arrays[f"0/{name}"][:0] for name in knowledge.ARRAYS}
    ),
    "other seeds' rows": lambda arrays, marks: arrays.update(
        {f"0/{name}": arrays[f"1/{name}"] for name in knowledge.ARRAYS}
    ),
    **{f"no {name}": lambda arrays, marks, name=name: arrays.pop(f"0/{name}") for name in knowledge.ARRAYS},
    **{f"no mark of {name}": lambda arrays, marks, name=name: marks.pop(f"0/{name}") for name in knowledge.MARKS},
    "no marks": lambda arrays, marks: marks.clear(),
}
# Damage that only a digest can show: everything fits, and it is not what was written.
SWAPPED = {
    "soft labels of two windows exchanged": array("soft_labels", lambda v: v[[1, 0, *range(2, len(v))]]),
    "attention backwards": array("attention", lambda v: v[:, ::-1]),
    "classes exchanged": array("soft_labels", lambda v: v[:, ::-1]),
    "windows in another order": array("window", lambda v: v[::-1]),
    "best epoch of another": mark("best_epoch", "12"),
    "no digest": lambda arrays, marks: marks.pop("0/digest", None),
}


@pytest.mark.parametrize("signed", [False, True], ids=["as damage leaves it", "with the right digest"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_fault_of_content_is_one_sentence(change, signed, path):
    rewrite(path, change, signed)
    assert "02_teacher" in said(lambda: use(path), "knowledge", names=path.name)


@pytest.mark.parametrize("change", SWAPPED.values(), ids=SWAPPED)
def test_what_was_changed_after_it_was_written_is_refused(change, path):
    rewrite(path, change, signed=False)
    assert "02_teacher" in said(lambda: use(path), "knowledge", names=path.name)


@pytest.mark.parametrize("share", [0, 1, 2, 5, 10, 25, 50, 75, 90, 99, 99.9])
def test_a_cut_file_is_one_sentence(share, path):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share / 100)])
    said(lambda: use(path), "knowledge, cut", names=path.name)


def test_any_flipped_bit_is_one_sentence(path):
    """200 at random places, all over the header of names and marks, and in the numbers."""
    whole, rng = bytearray(path.read_bytes()), np.random.default_rng(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    places = [*rng.integers(header, size=100), *rng.integers(header, len(whole), size=100)]
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        said(lambda: use(path), "knowledge, a bit", names=path.name)


PLACES = {
    "a folder": lambda path: path.mkdir(),
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to a folder": lambda path: path.symlink_to(path.parent),
    "nothing": lambda path: None,
    "text": lambda path: path.write_text("<html>404 Not Found</html>" * 10),
    "zeros": lambda path: path.write_bytes(bytes(5000)),
    "a header of 2^60 bytes": lambda path: path.write_bytes((2**60).to_bytes(8, "little") + b"{}"),
    "a header that is no JSON": lambda path: path.write_bytes((4).to_bytes(8, "little") + b"\xff\xfe{}"),
    "no tensors": lambda path: save_file({}, path),
    "weights of a model": lambda path: save_file({"convs.0.weight": np.zeros((4, 3), np.float32)}, path),
    "an npz": lambda path: np.savez(path.open("wb"), window=np.arange(3)),
}


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
def test_what_is_no_file_of_knowledge_is_one_sentence(make, path):
    path.unlink()
    make(path)
    assert "02_teacher" in said(lambda: use(path), "knowledge", names=path.name)


def test_the_file_itself_is_taken(path):
    use(path)
    rewrite(path, lambda arrays, marks: None, signed=True)
    use(path)
    COUNTS["knowledge", "whole file taken"] += 1
