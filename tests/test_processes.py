"""What a reproduction has started ends with it, whichever way it is ended: here a shell in place of Snakemake."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rdpd_nb import processes, reproduce

# Starts a shell with a child of its own, as Snakemake has, says that shell's number, and waits for it.
PARENT = """
import sys
from rdpd_nb import processes
processes.stop_on_signals()
try:
    with processes.ending_with_us(["sh", "-c", "sleep 100 | sleep 100"]) as process:
        print(process.pid, flush=True)
        process.wait()
except KeyboardInterrupt as error:
    sys.exit(processes.exit_status(error))
"""


def group(leader: int) -> list[int]:
    """Processes of a group that have not ended; one that nobody has waited for yet has."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # gone meanwhile
            continue
        found += [int(status.parent.name)] * (int(of) == leader and state not in "ZX")
    return found


def until(condition, seconds=20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(held)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "status", "ignored"),
    [
        (signal.SIGINT, 130, False),
        (signal.SIGTERM, 143, False),
        (signal.SIGTERM, 143, True),  # Ctrl-C, as where a script has started the parent with &
        (signal.SIGHUP, 129, False),
        (signal.SIGKILL, -signal.SIGKILL, False),
    ],
)
def test_what_was_started_ends_with_the_process_that_started_it(number, status, ignored):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL),
    )
    leader = int(parent.stdout.readline())
    assert until(lambda: len(group(leader)) == 3)
    parent.send_signal(number)
    assert parent.wait(20) == status
    assert until(lambda: not group(leader)), "it is still there"
    parent.stdout.close()


def test_what_does_not_heed_ctrl_c_is_ended_for_good(monkeypatch):
    monkeypatch.setattr(processes, "_GUARD", processes._GUARD.replace("seq 50", "seq 2"))
    with processes.ending_with_us(["sh", "-c", "trap '' INT; echo; sleep 100"], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
    assert process.returncode == -signal.SIGKILL and not group(process.pid)


def test_what_ends_by_itself_leaves_its_status_and_no_guard():
    before = time.monotonic()
    with processes.ending_with_us(["sh", "-c", "exit 3"]) as process:
        process.wait()
    assert process.returncode == 3 and time.monotonic() - before < 5


def test_a_run_that_is_ending_is_waited_for_and_one_that_goes_on_is_named(tmp_path, monkeypatch):
    ended = subprocess.Popen(["true"])
    ended.wait()
    with reproduce._locked(tmp_path):
        with pytest.raises(reproduce.UserError, match=rf"another reproduction \(process {os.getpid()} on .* writes to"):
            with reproduce._locked(tmp_path):
                pass
        host, machine = (tmp_path / ".lock").read_text().partition(" on ")[2].split("\n")
        (tmp_path / ".lock").write_text(f"{ended.pid} on {host}\nanother pod of that name")
        with pytest.raises(reproduce.UserError, match=rf"another reproduction \(process {ended.pid} on {host}\)"):
            with reproduce._locked(tmp_path):
                pass
        (tmp_path / ".lock").write_text(f"{ended.pid} on {host}\n{machine}")  # killed, and its Snakemake not gone yet
        monkeypatch.setattr(reproduce, "ENDING", 0.1)
        with pytest.raises(reproduce.UserError, match=rf"what a killed reproduction has started \(process {ended.pid}"):
            with reproduce._locked(tmp_path):
                pass
    hold = "import fcntl, sys, time; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True)"
    command = [sys.executable, "-c", f"{hold}; time.sleep(0.5)", str(tmp_path / ".lock")]
    held = subprocess.Popen(command, stdout=subprocess.PIPE)
    held.stdout.readline()
    (tmp_path / ".lock").write_text(f"{ended.pid} on {host}\n{machine}")
    monkeypatch.setattr(reproduce, "ENDING", 20)
    with reproduce._locked(tmp_path):
        assert held.poll() is not None or held.wait(2) == 0
    held.stdout.close()


def test_whether_a_process_runs():
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert processes.runs(os.getpid()) and processes.runs(1)
    assert not processes.runs(ended.pid) and not processes.runs(2**70)
