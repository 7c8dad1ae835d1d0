"""A command without a network: Linux gives it one of its own, of a loopback alone, which kernels of notebooks need."""

import subprocess
import sys
from functools import cache

# The loopback of a new namespace is down. 0x8914 is SIOCSIFFLAGS, 1 is IFF_UP; `ip` is not on every machine.
UP = """
import fcntl, os, socket, struct, sys
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, struct.pack("16sh14x", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def cut(command: list[str]) -> list[str]:
    """The command, cut off from the network."""
    return ["unshare", "--map-root-user", "--net", sys.executable, "-c", UP, *command]


@cache
def why_not() -> str:
    """Why a command cannot be cut off here; '' where it can."""
    try:
        done = subprocess.run(cut([sys.executable, "-c", ""]), capture_output=True, text=True)
    except FileNotFoundError:
        return "there is no `unshare`"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["unshare failed"])[-1]


def offline(command: list[str]) -> list[str]:
    """The command, cut off from the network where that can be."""
    return command if why_not() else cut(command)
