"""Writing that survives a power cut, a full disk and a kill; JSON that is believed only with its digest."""

import errno
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from rdpd_nb import files
from rdpd_nb.errors import UserError
from rdpd_nb.files import read_json, replace_file, replace_folder, write_json

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def first_write(monkeypatch):
    """As in a process that has written nothing yet."""
    files._sweep.cache_clear()


@contextmanager
def largest_file(size: int):
    """No file may grow beyond so many bytes: what a full disk is to a program, without a disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# ---------------------------------------------------------------------------------------------------- power cuts


@pytest.fixture
def calls(monkeypatch):
    """Names of what is synced and renamed, in order."""
    done, sync, rename = [], os.fsync, {name: getattr(os, name) for name in ("replace", "rename")}
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.readlink(f"/proc/self/fd/{handle}")), sync(handle)))
    for name in rename:
        monkeypatch.setattr(os, name, lambda old, new, n=name: (done.append(n), rename[n](old, new)))
    return done


def test_a_file_is_on_the_disk_before_it_is_renamed_and_its_name_after(tmp_path, calls):
    with replace_file(tmp_path / "a.json") as temporary:
        temporary.write_text("whole")
    assert calls == [str(temporary), "replace", str(tmp_path)]


def test_so_is_all_of_a_folder(tmp_path, calls):
    with replace_folder(tmp_path / "set") as temporary:
        (temporary / "below").mkdir()
        (temporary / "below/a.txt").write_text("whole")
    inside = [str(temporary / name) for name in ("below", "below/a.txt")]
    assert calls == [*inside, str(temporary), "rename", str(tmp_path)]


def test_a_file_system_that_syncs_no_folders_is_written_to(tmp_path, monkeypatch):
    sync = os.fsync

    def only_files(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        sync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_json(tmp_path / "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json", "") == {"a": 1}


def test_a_disk_that_is_full_only_when_it_syncs_leaves_the_old_file(tmp_path, monkeypatch):
    """As NFS says it."""
    write_json(tmp_path / "a.json", {"a": 1})

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="a.json could not be written: No space left on device"):
            write_json(tmp_path / "a.json", {"a": 2})
    assert read_json(tmp_path / "a.json", "") == {"a": 1} and len(list(tmp_path.iterdir())) == 1


# ---------------------------------------------------------------------------------------------------- full disks

WRITERS = {
    "text": lambda path: path.write_text("x" * 100_000),
    "npz": lambda path: np.savez_compressed(path, a=np.random.default_rng(0).random(20_000)),
    "npy": lambda path: np.save(path, np.zeros(20_000), allow_pickle=False),
    "safetensors": lambda path: save_file({"a": np.zeros(20_000)}, path),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_disk_that_fills_up_is_one_sentence_and_the_old_file_stays(tmp_path, write):
    path = tmp_path / f"a.{next(name for name in WRITERS if WRITERS[name] is write)}"
    path.write_text("old")
    with pytest.raises(UserError) as caught, largest_file(50_000), replace_file(path) as temporary:
        write(temporary)
    assert str(caught.value).startswith(f"{path} could not be written: ") and "\n" not in str(caught.value)
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_what_another_file_did_is_not_laid_at_this_ones_door(tmp_path):
    missing = tmp_path / "elsewhere" / "b.csv"
    with pytest.raises(UserError) as caught, replace_file(tmp_path / "a.csv") as temporary:
        shutil.copyfile(missing, temporary)
    assert str(caught.value) == f"{missing}: No such file or directory; so {tmp_path / 'a.csv'} was not written."
    with pytest.raises(BrokenPipeError), replace_folder(tmp_path / "a"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")  # of a `print`, say
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_a_files_place_is_one_sentence(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(UserError, match="a.json could not be written: Is a directory"):
        write_json(tmp_path / "a.json", {})
    with pytest.raises(UserError, match="a.json could not be read .Is a directory.; delete it"):
        read_json(tmp_path / "a.json", "delete it")


def test_a_name_nearly_as_long_as_names_can_be_is_written(tmp_path):
    path = tmp_path / f"{'a' * 245}.json"
    write_json(path, {"a": 1})
    assert read_json(path, "") == {"a": 1}


# ----------------------------------------------------------------------------------------------------- leftovers


def killed_in_the_middle(path: Path) -> Path:
    """Kill -9 a process in the middle of a file and a folder; the leftovers' folder."""
    code = f"""
from pathlib import Path
from rdpd_nb.files import replace_file, replace_folder
with replace_file(Path({str(path / "a.json")!r})) as file, replace_folder(Path({str(path / "set")!r})) as folder:
    file.write_text("half")
    (folder / "a.txt").write_text("half")
    print("now", flush=True)
    input()
"""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)
    return path


def test_what_a_killed_process_left_is_swept_where_the_next_writes(tmp_path):
    killed_in_the_middle(tmp_path)
    assert len(list(tmp_path.glob(".rdpd-*"))) == 2
    write_json(tmp_path / "b.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def temporary(folder: Path, machine: str, process: int, age: float = 0) -> Path:
    path = folder / f".rdpd-{machine}-{process}-x1y2z3.a.json"
    path.write_text("half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_nothing_that_someone_may_still_write_is_swept(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    kept = [
        temporary(tmp_path, files.MACHINE, os.getpid(), 9e9),
        temporary(tmp_path, files.MACHINE, 1, 9e9),  # another user's, where this one is not root
        temporary(tmp_path, "0123abcd", ended.pid, 23 * 3600),  # another machine's, of a shared folder
        tmp_path / ".rdpd-notes.txt",
        tmp_path / ".a.12345678.json",
    ]
    for path in kept[3:]:
        path.write_text("my own")
    swept = [temporary(tmp_path, files.MACHINE, ended.pid), temporary(tmp_path, "4567abcd", os.getpid(), 25 * 3600)]
    swept.append(temporary(tmp_path, files.MACHINE, 2**70))
    write_json(tmp_path / "b.json", {})
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "b.json"]) and not any(p.exists() for p in swept)


def test_a_container_of_the_same_host_name_is_another_machine(monkeypatch):
    """Its processes have numbers of their own: by those a live writer on a shared disk would be taken for dead."""
    here = files._machine()
    assert here == files._machine() == files.MACHINE
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "readlink", lambda path: "pid:[1]")
        another_container = files._machine()
    with monkeypatch.context() as patch:
        patch.setattr(files.Path, "read_text", lambda path: "another boot")
        another_computer = files._machine()
    with monkeypatch.context() as patch:  # neither is there
        patch.setattr(files.Path, "read_text", lambda path: os.stat("/nowhere"))
        patch.setattr(files.os, "readlink", lambda path: os.stat("/nowhere"))
        by_name = files._machine()
        patch.setattr(files.platform, "node", lambda: "another name")
        assert len({here, another_container, another_computer, by_name, files._machine()}) == 5


def test_so_is_a_real_one():
    inside = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if not shutil.which("unshare") or subprocess.run([*inside, "true"], capture_output=True).returncode:
        pytest.skip("no namespaces may be made here")
    say = [sys.executable, "-c", "import platform; from rdpd_nb import files; print(platform.node(), files.MACHINE)"]
    said = [
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for command in (say, say, [*inside, *say])
    ]
    assert said[0] == said[1] and said[2][0] == said[0][0] and said[2][1] != said[0][1]


def test_a_folder_is_swept_once_a_process(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    write_json(tmp_path / "a.json", {})
    left = temporary(tmp_path, files.MACHINE, ended.pid)
    write_json(tmp_path / "b.json", {})
    assert left.exists()


@pytest.mark.parametrize("place", ["figures/demo", "data/open", "notebooks", "tests", "."])
def test_git_takes_no_temporary(place, tmp_path):
    if not shutil.which("git") or subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("no git, or not a clone")
    with replace_file(tmp_path / "teacher.json") as temporary:
        name = f"{place}/{temporary.name}"
    assert subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT).returncode == 0


# -------------------------------------------------------------------------------------------- a folder in its place


def test_a_folder_is_replaced_where_that_is_asked_for(tmp_path):
    for there in ("nothing", "a folder", "a file"):
        path = tmp_path / there
        if there == "a folder":
            path.mkdir()
            (path / "old.txt").write_text("old")
        elif there == "a file":
            path.write_text("old")
        with replace_folder(path, over=True) as temporary:
            (temporary / "new.txt").write_text("new")
        assert [p.name for p in path.iterdir()] == ["new.txt"]
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("how", [KeyboardInterrupt, OSError(28, "No space left on device"), "kill -9"], ids=str)
def test_what_is_about_to_be_replaced_comes_back_where_the_new_one_does_not_come(tmp_path, monkeypatch, how):
    path, rename = tmp_path / "student", os.rename
    path.mkdir()
    (path / "old.txt").write_text("old")

    def ended(old, new):
        if Path(new) == path and Path(old).parent == tmp_path:  # the new one, not the old one that comes back
            if how == "kill -9":
                os._exit(9)
            raise how
        rename(old, new)

    def write():
        monkeypatch.setattr(files.os, "rename", ended)
        with replace_folder(path, over=True) as temporary:
            (temporary / "new.txt").write_text("new")

    if how == "kill -9":
        process = multiprocessing.get_context("fork").Process(target=write)
        process.start()
        process.join()
        assert process.exitcode == 9 and not path.exists()
        files._sweep.cache_clear()
        write_json(tmp_path / "beside.json", {})
        assert sorted(p.name for p in tmp_path.iterdir()) == ["beside.json", "student"]
    else:
        with pytest.raises((KeyboardInterrupt, UserError)):
            write()
        assert [p.name for p in tmp_path.iterdir()] == ["student"]
    assert (path / "old.txt").read_text() == "old" and not (path / "new.txt").exists()


# ---------------------------------------------------------------------------------------------------------- JSON


CONTENT = {"seeds": [{"seed": i, "roc_auc": i / 7} for i in range(40)], "text": "ä", "none": None, 3: {"b": 1e-300}}


def test_json_is_read_as_it_was_written_and_may_be_laid_out_anew(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, CONTENT)
    as_json = json.loads(json.dumps(CONTENT))
    assert read_json(path, "") == as_json
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True))
    assert read_json(path, "") == as_json
    path.write_text(json.dumps(as_json))
    assert read_json(path, "") == as_json, "an older file has no digest"


def test_a_number_changed_by_hand_is_noticed(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, CONTENT)
    path.write_text(path.read_text().replace("1e-300", "2e-300"))
    with pytest.raises(UserError, match="a.json was changed after it was written .*; make it again"):
        read_json(path, "make it again")


NO_JSON = {"NaN": '{"a": NaN}', "infinity": '{"a": -Infinity}', "deep": '{"a": ' + "[" * 100_000, "digits": "1" * 5000}


@pytest.mark.parametrize("text", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_json_is_one_sentence(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UserError, match="a.json is not readable as JSON .*; delete it"):
        read_json(path, "delete it")
