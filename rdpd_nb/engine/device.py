"""Where training runs, and how it uses the machine there: device, threads, freed memory."""

import ctypes
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

from ..errors import UserError


def resolve_device(name: str = "auto") -> torch.device:
    """'auto' is CUDA where there is one, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device '{name}': this machine has no CUDA device; use 'auto' or 'cpu'.")
    device = torch.device(name)
    if device.type == "cuda":
        if (device.index or 0) >= torch.cuda.device_count():
            raise UserError(f"device '{name}': this machine has {torch.cuda.device_count()} CUDA devices; use 'cuda'.")
        torch.cuda.set_device(device)  # streams and graphs are made on the current device
    return device


@contextmanager
def workers(device: torch.device, members: int) -> Iterator[Callable]:
    """A function that calls another on every shard: on a CPU in threads of one core each, side by side.

    Two threads that train five small models each are quicker than ten models whose every operation is split in two.
    """
    threads = torch.get_num_threads()
    count = min(threads, members)
    if device.type != "cpu" or count == 1:
        yield lambda function, shards: [function(shard) for shard in shards]
        return
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(threads // count,)) as pool:
        try:
            yield (
                lambda function, shards: (
                    list(pool.map(function, shards)) if len(shards) > 1 else [function(shard) for shard in shards]
                )
            )
        finally:
            torch.set_num_threads(threads)  # PyTorch remembers the last call for threads to come


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Let glibc hand out again what a step has freed, in place of returning it to the system after every step.

    Steps allocate and free the same few large arrays; fresh ones cost a page fault each 4 KiB, about a quarter of a
    CPU step. Elsewhere than on glibc nothing happens.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        if libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30) or libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20):  # old glibc: 32 MiB
            libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)
    except (OSError, AttributeError):
        pass
