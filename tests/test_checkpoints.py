"""Training that is killed and run again: to the same bits, or from the beginning where a checkpoint does not fit."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import (
    BIT_EQUAL,
    CLOSE_IN_DOUBLE,
    Killed,
    kill_after,
    make_knowledge,
    make_windows,
    mixed_members,
    quietly,
    same,
    select,
    student,
    threads,
)
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rdpd_nb import engine, stamps
from rdpd_nb.data.windows import Windows, split
from rdpd_nb.engine import checkpoints, setup
from rdpd_nb.errors import UserError
from rdpd_nb.training import Fitted, make_member

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch):
    """A checkpoint and a line of progress after every epoch."""
    monkeypatch.setattr(checkpoints, "SECONDS", 0)
    monkeypatch.setattr(engine, "QUIET_SECONDS", -1)


def killed(members, windows, epochs: int, folder: Path, after: int, **options) -> None:
    """Train until the progress line of epoch `after`."""
    with pytest.raises(Killed):
        quietly(members, windows, epochs, checkpoints=folder, progress=kill_after(after), **options)


def resumed(members, windows, epochs: int, folder: Path, **options) -> tuple[list[Fitted], list[str]]:
    """What comes of it when run again, and the lines of progress."""
    lines = []
    return quietly(members, windows, epochs, checkpoints=folder, progress=lines.append, **options), lines


def all_same(got: list[Fitted], expected: list[Fitted], **tolerance) -> None:
    for a, b in zip(got, expected, strict=True):
        assert {name: len(curve) for name, curve in a.history.items()} == {n: len(c) for n, c in b.history.items()}
        assert a.selected_by == b.selected_by
        same(a, b, **tolerance)


def files(folder: Path) -> list[Path]:
    """All files, hidden ones too."""
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []


# -------------------------------------------------------------------------------------------- the same bits again


@pytest.mark.parametrize("count", [1, 2], ids=["one thread", "two threads"])
def test_training_killed_and_run_again_comes_to_the_same_bits(count, poor, tmp_path):
    members = mixed_members(poor)
    with threads(count):
        expected = quietly(members, poor, 4)
        for after in (1, 3, 4):
            folder = tmp_path / str(after)
            killed(members, poor, 4, folder, after)
            got, lines = resumed(members, poor, 4, folder)
            all_same(got, expected, **BIT_EQUAL)
            (path,) = files(folder)
            said = f"going on after epoch {after} of 4" if after < 4 else "trained before, taken over"
            assert lines[0] == f"{said}, from {folder.name}/{path.name}", "no folder of this machine in a notebook"
            assert [line[:10] for line in lines if line.startswith("epoch")] == [
                f"epoch {epoch:3d} " for epoch in range(after + 1, 5)
            ]


# 4: one member has stopped, in its share still; 8: shares have been dealt out anew; 15: again; 23: few still train.
@pytest.mark.parametrize(("count", "epochs"), [(1, (4, 15)), (2, (4, 8, 23))], ids=["one thread", "two threads"])
def test_training_with_patience_killed_and_run_again_comes_to_the_same_bits(count, epochs, poor, tmp_path):
    members = mixed_members(poor)
    with threads(count):
        expected = quietly(members, poor, 24, patience=2)
        ends = [len(f.history["train_loss"]) for f in expected]
        assert min(ends) < 4 and sum(end < 8 for end in ends) >= 3 and max(ends) == 24
        for after in epochs:
            folder = tmp_path / str(after)
            killed(members, poor, 24, folder, after, patience=2)
            got, lines = resumed(members, poor, 24, folder, patience=2)
            assert lines[0].startswith(f"going on after epoch {after} of 24")
            all_same(got, expected, **BIT_EQUAL)


def test_training_that_was_killed_when_all_had_stopped_has_nothing_left_to_do(poor, tmp_path):
    members = [student(poor, "direct", seed) for seed in (0, 1)]
    expected = quietly(members, poor, 200, patience=1)
    last = max(len(f.history["train_loss"]) for f in expected)
    killed(members, poor, 200, tmp_path, last, patience=1)
    got, lines = resumed(members, poor, 200, tmp_path, patience=1)
    all_same(got, expected, **BIT_EQUAL)
    assert len(lines) == 1


@pytest.mark.parametrize(("epochs", "patience"), [(2, 0), (200, 1)], ids=["all epochs", "all have stopped"])
def test_an_end_that_is_to_be_kept_is_taken_over_by_the_next(epochs, patience, poor, tmp_path, monkeypatch):
    """Figure 2's teachers, which every view takes over; none of its checkpoints is due before."""
    monkeypatch.setattr(checkpoints, "SECONDS", 1e9)
    members = [student(poor, "direct")]
    expected = quietly(members, poor, epochs, checkpoints=tmp_path, patience=patience, keep=True)
    got, lines = resumed(members, poor, epochs, tmp_path, patience=patience, keep=True)
    all_same(got, expected, **BIT_EQUAL)
    assert len(lines) == 1 and lines[0].startswith("trained before, taken over")


def test_training_killed_again_and_again_comes_to_the_same_bits(poor, tmp_path):
    members = mixed_members(poor)
    expected = quietly(members, poor, 5)
    for after in (1, 2, 4):
        killed(members, poor, 5, tmp_path, after)
    got, lines = resumed(members, poor, 5, tmp_path)
    assert lines[0].startswith("going on after epoch 4 ")
    all_same(got, expected, **BIT_EQUAL)


def test_training_goes_on_with_another_number_of_threads(tmp_path):
    torch.set_default_dtype(torch.float64)
    try:
        poor = select(make_windows(dtype=np.float64), "hr")
        members = mixed_members(poor)
        expected = quietly(members, poor, 4)
        killed(members, poor, 4, tmp_path, 2)
        with threads(2):
            got, lines = resumed(members, poor, 4, tmp_path)
        assert lines[0].startswith("going on after epoch 2 ")
        all_same(got, expected, **CLOSE_IN_DOUBLE)
    finally:
        torch.set_default_dtype(torch.float32)


def test_checkpoints_alone_change_nothing(poor, tmp_path):
    members = mixed_members(poor)
    got, _ = resumed(members, poor, 3, tmp_path)
    all_same(got, quietly(members, poor, 3), **BIT_EQUAL)


def test_the_process_killed_by_the_system_and_run_again_comes_to_the_same_bits(poor, tmp_path):
    """At whatever it is doing: with a checkpoint an epoch that is as likely as not in the middle of one."""
    script = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch
from made_up import make_windows, mixed_members, quietly, select
from rdpd_nb import engine
from rdpd_nb.engine import checkpoints
torch.set_num_threads(1)
checkpoints.SECONDS, engine.QUIET_SECONDS = 0, -1
poor = select(make_windows(), "hr")
quietly(mixed_members(poor), poor, 50, checkpoints=Path({str(tmp_path)!r}), progress=lambda s: print(s, flush=True))
"""
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root) as process:
        for line in process.stdout:
            if line.startswith("epoch   5"):
                process.kill()
                break
        process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    members = mixed_members(poor)
    got, lines = resumed(members, poor, 50, tmp_path)
    assert "going on after epoch" in lines[0]
    assert 5 <= int(lines[0].split("epoch ")[1].split()[0]) < 50
    all_same(got, quietly(members, poor, 50), **BIT_EQUAL)
    checkpoints.remove(tmp_path)
    assert not tmp_path.exists()


# ------------------------------------------------------------------------------------- only the very same training


def other(windows: Windows, **options):
    parts = split(windows, 0)
    knowledge = make_knowledge(windows, parts.train, options.pop("knowledge", 0))
    return make_member(windows, parts, 0, options.pop("method", "rdpd"), knowledge, **options)


OTHERS = {
    "seed": lambda w: [student(w, "rdpd", 1)],
    "method": lambda w: [other(w, method="kd")],
    "knowledge": lambda w: [other(w, knowledge=1)],
    "noise": lambda w: [other(w, noise=0.5)],
    "kind of noise": lambda w: [other(w, noise=0.5, noise_kind="uniform")],
    "training windows": lambda w: [other(w, train=split(w, 0).train[:-1])],
    "validation windows": lambda w: [replace(other(w), validation=split(w, 0).validation[:-1])],
    "mean": lambda w: [replace(other(w), mean=other(w).mean + 1)],
    "one member more": lambda w: [other(w), other(w)],
}


@pytest.mark.parametrize("members", OTHERS.values(), ids=OTHERS)
def test_other_members_start_from_the_beginning(members, poor, tmp_path):
    first = [other(poor, noise=0.5)] if members is OTHERS["kind of noise"] else [other(poor)]
    killed(first, poor, 4, tmp_path, 2)
    assert len(files(tmp_path)) == 1
    got, lines = resumed(members(poor), poor, 4, tmp_path)
    assert not any("going on" in line for line in lines)
    all_same(got, quietly(members(poor), poor, 4), **BIT_EQUAL)
    _, lines = resumed(first, poor, 4, tmp_path)  # whose own is still there
    assert "going on after epoch 2" in lines[0]


def test_other_epochs_patience_data_or_protocol_start_from_the_beginning(poor, tmp_path):
    members = [student(poor, "direct")]
    killed(members, poor, 4, tmp_path, 2)
    other_data = replace(poor, fingerprint="other")
    other_protocol = replace(poor, protocol=replace(poor.protocol, batch_order="once"))
    for windows, epochs, patience in (
        (poor, 5, 0),
        (poor, 4, 3),
        (other_data, 4, 0),
        (select(make_windows(), "rr"), 4, 0),
        (other_protocol, 4, 0),
    ):
        _, lines = resumed(members, windows, epochs, tmp_path, patience=patience)
        assert not any("going on" in line for line in lines)


def test_other_code_or_another_pytorch_starts_from_the_beginning(poor, tmp_path, monkeypatch):
    """What counts as other code is `stamps.code`'s to say (test_stamps.py); that it counts is said here."""
    members = [student(poor, "direct")]
    killed(members, poor, 4, tmp_path, 2)
    monkeypatch.setattr(setup, "code", lambda *modules: f"other code of {modules}")
    _, lines = resumed(members, poor, 4, tmp_path)
    assert not any("going on" in line for line in lines)
    monkeypatch.undo()
    monkeypatch.setattr(torch, "__version__", "0")
    _, lines = resumed(members, poor, 4, tmp_path)
    assert not any("going on" in line for line in lines)


def test_the_code_that_counts_is_the_method_and_the_engine(tmp_path):
    """A step in engine/shards.py as well as a learning rate in paper.py; not how a figure is drawn."""
    package = tmp_path / "rdpd_nb"
    shutil.copytree(stamps.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    before = stamps.code("rdpd_nb.training", package=package)
    for name in ("losses", "models", "draws", "paper", "evaluation", "engine/shards", "engine/kernels", "figures"):
        path = package / f"{name}.py"
        text = path.read_text() if path.exists() else ""
        path.write_text(text + "\nCHANGED = True\n")
        assert (stamps.code("rdpd_nb.training", package=package) != before) == (name != "figures"), name
        path.write_text(text)


def test_teachers_that_speak_while_they_train_are_taken_up_with_what_they_have_said(tmp_path):
    rich = make_windows()
    rich = replace(rich, protocol=replace(rich.protocol, knowledge="training"))
    members = [make_member(rich, split(rich, seed), seed, "teacher") for seed in (0, 1)]
    expected = quietly(members, rich, 4)
    killed(members, rich, 4, tmp_path, 2)
    got, lines = resumed(members, rich, 4, tmp_path)
    assert "going on after epoch 2" in lines[0]
    all_same(got, expected, **BIT_EQUAL)
    for a, b in zip(got, expected, strict=True):
        for mine, yours in zip(a.said_in_training, b.said_in_training, strict=True):
            np.testing.assert_array_equal(mine, yours)


# ---------------------------------------------------------------------------------- damage, full disks, leftovers


def without_marks(path: Path) -> None:
    save_file(load_file(path), path)


def with_state(change, **marks):
    """Damage by hand: the same file with other tensors or marks, its digest left as it was."""

    def damage(path: Path) -> None:
        with safe_open(path, "pt") as file:
            kept = file.metadata()
        save_file(change(load_file(path)), path, kept | marks)

    return damage


def one_bit(share: float):
    """Flip a bit at that share of the tensors' bytes."""

    def damage(path: Path) -> None:
        content = bytearray(path.read_bytes())
        begins = 8 + int.from_bytes(content[:8], "little")
        content[int(begins + share * (len(content) - 1 - begins))] ^= 1
        path.write_bytes(content)

    return damage


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "other format": lambda path: path.write_text("<html>404 Not Found</html>"),
    "random": lambda path: path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size)),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "header cut off": lambda path: path.write_bytes(path.read_bytes()[:50]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "data cut off": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "no marks": without_marks,
    "no number": lambda path: save_file(load_file(path), path, {"epochs": "two"}),
    "epoch 9 of 4": with_state(lambda state: state, epochs="9"),
    "epoch 4 of 4": with_state(lambda state: state, epochs="4"),
    "a tensor missing": with_state(lambda state: {name: t for name, t in state.items() if name != "square"}),
    "a tensor more": with_state(lambda state: state | {"more": torch.zeros(2)}),
    "misshapen": with_state(lambda state: state | {"weights": state["weights"][:, :-1].contiguous()}),
    "turned": with_state(lambda state: state | {"history": state["history"].mT.contiguous()}),
    "other numbers": with_state(lambda state: state | {"weights": state["weights"].double()}),
    "no number among them": with_state(lambda state: state | {"mean": state["mean"] * torch.nan}),
    "two tensors swapped": with_state(lambda state: state | {"mean": state["square"], "square": state["mean"]}),
    **{f"one bit at {share:.0%}": one_bit(share) for share in (0, 0.13, 0.5, 0.77, 1)},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_is_said_in_one_line_and_passed_over(damage, poor, tmp_path):
    members = [student(poor, "direct")]
    killed(members, poor, 4, tmp_path, 2)
    (path,) = files(tmp_path)
    damage(path)
    got, lines = resumed(members, poor, 4, tmp_path)
    said = [line for line in lines if "damaged" in line]
    assert said == lines[:1]
    assert str(path) in said[0] and "from the beginning" in said[0] and "\n" not in said[0]
    all_same(got, quietly(members, poor, 4), **BIT_EQUAL)
    assert files(tmp_path) == [path]
    killed(members, poor, 4, tmp_path / "new", 2)
    assert load_file(path).keys() == load_file(files(tmp_path / "new")[0]).keys()  # written over with a sound one


def test_the_checkpoint_of_another_training_is_not_taken_for_this_ones(poor, tmp_path):
    """Of the same form; copied, or renamed by hand."""
    killed([student(poor, "direct", 1)], poor, 4, tmp_path / "other", 2)
    members = [student(poor, "direct")]
    killed(members, poor, 4, tmp_path / "own", 2)
    (own,) = files(tmp_path / "own")
    shutil.copyfile(files(tmp_path / "other")[0], own)
    got, lines = resumed(members, poor, 4, tmp_path / "own")
    assert "damaged" in lines[0] and not any("going on" in line for line in lines)
    all_same(got, quietly(members, poor, 4), **BIT_EQUAL)


def full_disk(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half_written(state, path, marks) -> None:
    Path(path).write_bytes(b"half")
    full_disk()


SAVE = "rdpd_nb.engine.checkpoints.save_file"


@pytest.mark.parametrize(
    ("name", "fails"),
    [(SAVE, full_disk), (SAVE, half_written), ("os.replace", full_disk)],
    ids=["nothing written", "half written", "not renamed"],
)
def test_training_goes_on_where_the_disk_is_full(name, fails, poor, tmp_path, monkeypatch):
    members = [student(poor, "direct")]
    expected = quietly(members, poor, 3)
    monkeypatch.setattr(name, fails)
    got, lines = resumed(members, poor, 3, tmp_path)
    all_same(got, expected, **BIT_EQUAL)
    said = [line for line in lines if line.startswith("no checkpoint: ")]
    assert said and all("No space left on device" in line and str(tmp_path) in line for line in said)
    assert files(tmp_path) == []


def test_training_goes_on_where_the_folder_cannot_be_made(poor, tmp_path):
    (tmp_path / "file").touch()
    _, lines = resumed([student(poor, "direct")], poor, 3, tmp_path / "file" / "checkpoints")
    assert any(line.startswith("no checkpoint: ") for line in lines)


def test_the_last_checkpoint_outlives_one_that_fails(poor, tmp_path, monkeypatch):
    members = [student(poor, "direct")]
    killed(members, poor, 4, tmp_path, 2)
    with monkeypatch.context() as patch:
        patch.setattr(SAVE, half_written)
        killed(members, poor, 4, tmp_path, 3)
    _, lines = resumed(members, poor, 4, tmp_path)
    assert "going on after epoch 2" in lines[0]
    assert len(files(tmp_path)) == 1


def test_an_interrupted_write_leaves_nothing_half_written(poor, tmp_path, monkeypatch):
    def interrupted(state, path, marks) -> None:
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(SAVE, interrupted)
    with pytest.raises(KeyboardInterrupt):
        resumed([student(poor, "direct")], poor, 3, tmp_path)
    assert files(tmp_path) == []


def test_training_that_diverges_is_not_kept_as_a_checkpoint(poor, tmp_path):
    with pytest.raises(UserError, match="diverged in epoch 1"):
        resumed([student(poor, "direct", noise=3e38)], poor, 3, tmp_path)
    assert files(tmp_path) == []


# -------------------------------------------------------------------------------------------- when one is written


def test_short_trainings_and_those_without_a_folder_write_nothing(poor, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS", 60)
    monkeypatch.chdir(tmp_path)
    resumed([student(poor, "direct")], poor, 3, tmp_path)
    quietly([student(poor, "direct")], poor, 3)
    assert files(tmp_path) == []


def test_checkpoints_are_seconds_apart_and_the_last_epoch_has_one_if_any_has(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoints, "SECONDS", 20)
    kept = checkpoints.Checkpoints(tmp_path, "key", print)
    state = {"weights": torch.zeros(2)}
    written = []
    for epoch, second in enumerate((5, 19, 20, 39, 41, 42), 1):
        now[0] = second
        kept.write(epoch, state, last=epoch == 6)
        written.append(kept.read(state)[0] if kept.read(state) else None)
    assert written == [None, None, 3, 3, 5, 6]


def test_the_seconds_between_checkpoints_may_be_set_and_are_checked():
    assert checkpoints._seconds("0.2") == 0.2
    for text in ("often", "-1", "nan", "inf", "1e9"):
        with pytest.raises(UserError, match=f"RDPD_CHECKPOINT_SECONDS is '{text}'; it should be a number of seconds"):
            checkpoints._seconds(text)


def test_a_checkpoint_is_the_same_file_each_time(tmp_path, monkeypatch):
    """Those of Figure 2's teachers stay, and a run that was killed is compared with one that was not, file by file."""
    more = {str(i): "" for i in range(9)}  # two marks alone are in the same order by chance
    monkeypatch.setattr(checkpoints, "save_file", lambda state, path, marks: save_file(state, path, marks | more))
    for folder in (tmp_path / "a", tmp_path / "b"):
        checkpoints.Checkpoints(folder, "key", print).write(1, {"weights": torch.zeros(2)}, last=False)
    a, b = (path.read_bytes() for path in files(tmp_path))
    assert a == b


def test_with_keep_the_end_is_always_written_and_replaces_what_was_kept_before(tmp_path):
    state = {"weights": torch.zeros(2)}
    for name in ("0a9f", "0a9", "0a9f1", "notes"):
        (tmp_path / f"{name}.safetensors").touch()
    kept = checkpoints.Checkpoints(tmp_path, "beef", print, keep=True)
    kept.written += 60  # long before the next is due
    kept.write(1, state, last=False)
    assert kept.read(state) is None and len(files(tmp_path)) == 4
    kept.write(2, state, last=True)
    assert kept.read(state)[0] == 2
    assert [path.stem for path in files(tmp_path)] == ["0a9", "0a9f1", "beef", "notes"]
