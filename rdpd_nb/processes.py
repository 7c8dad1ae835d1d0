"""A program that ends when this process does, however that be, and signals that stop a run as Ctrl-C does."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Waits until its input ends, which is when this process lets go of it or is no more, be it by kill -9. Then it ends a
# process group: as Ctrl-C would, on which Snakemake takes a cluster's jobs back and papermill ends its kernel, after
# ten seconds for good. A kernel stands outside the group, and ends by itself a second after its papermill.
_GUARD = """
cat > /dev/null
kill -s INT -- "-$0" || exit
for _ in $(seq 50); do sleep 0.2; kill -s 0 -- "-$0" || exit; done
kill -s KILL -- "-$0"
"""


class Stopped(KeyboardInterrupt):
    """A signal that asks this process to end; its number is the argument."""


def stop_on_signals() -> None:
    """Let the signals that end a process raise `Stopped`, unless they are ignored (nohup)."""

    def stop(number: int, frame: object) -> None:
        raise Stopped(number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, stop)


def exit_status(stopped: KeyboardInterrupt) -> int:
    """What a shell gives a process that a signal has ended: 130 for Ctrl-C."""
    return 128 + (stopped.args[0] if stopped.args else signal.SIGINT)


@contextmanager
def ending_with_us(command: list[Any], **options: Any) -> Iterator[subprocess.Popen]:
    """Run a program in a process group of its own, which ends with this block, and with this process."""
    process = subprocess.Popen(
        command,
        start_new_session=True,  # so Ctrl-C reaches it through us alone
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # in the background a shell has it ignored
        **options,
    )
    guard = subprocess.Popen(
        ["sh", "-c", _GUARD, str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        guard.stdin.close()
        process.wait()
        guard.wait()


def runs(pid: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no process has so large a number
        return False
    except PermissionError:  # another user's
        pass
    return True
