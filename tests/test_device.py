"""Where training runs: the device that a name means, and threads that are given back."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from made_up import threads

from rdpd_nb.engine import device
from rdpd_nb.errors import UserError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("there", "name", "means"),
    [
        (0, "auto", "cpu"),
        (0, "cpu", "cpu"),
        (2, "auto", "cuda"),
        (2, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
        (2, "cpu", "cpu"),
    ],
)
def test_what_a_name_means(monkeypatch, there, name, means):
    """As if the machine had so many CUDA devices."""
    current = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    found = device.resolve_device(name) if name != "auto" else device.resolve_device()
    assert str(found) == means and current == ([found] if means != "cpu" else [])


@pytest.mark.parametrize(
    ("there", "name", "said"),
    [
        (0, "cuda", "has no CUDA device; use 'auto' or 'cpu'"),
        (0, "cuda:1", "no CUDA"),
        (2, "cuda:2", "has 2 CUDA devices"),
    ],
)
def test_a_device_that_is_not_there(monkeypatch, there, name, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    with pytest.raises(UserError, match=f"^device '{name}': this machine .*{said}"):
        device.resolve_device(name)


@pytest.mark.parametrize(
    ("place", "of", "members", "shards", "each"),
    [
        (CPU, 4, 2, 2, {2}),  # two threads of two cores
        (CPU, 3, 9, 5, {1}),
        (CPU, 3, 9, 1, {3}),  # one shard alone stays in the caller's thread
        (CPU, 3, 1, 1, {3}),
        (CPU, 1, 9, 3, {1}),
        (torch.device("meta"), 3, 9, 3, {3}),  # on no CPU threads wait only
    ],
)
def test_shards_side_by_side_in_threads_that_share_the_cores(place, of, members, shards, each):
    with threads(of):
        with device.workers(place, members) as run:
            got = run(lambda shard: (shard, torch.get_num_threads()), list(range(shards)))
        assert [shard for shard, _ in got] == list(range(shards)) and {count for _, count in got} == each
        assert torch.get_num_threads() == of
        with pytest.raises(ValueError, match="one shard"), device.workers(place, members) as run:
            run(lambda shard: (_ for _ in ()).throw(ValueError("one shard")), list(range(shards)))
        assert torch.get_num_threads() == of
        with ThreadPoolExecutor(1) as later:  # in a thread that begins afterwards
            assert later.submit(torch.get_num_threads).result() == of


@pytest.mark.parametrize(
    ("takes", "calls"),
    [
        ({1 << 30}, [(-3, 1 << 30), (-1, 1 << 30)]),
        ({32 << 20}, [(-3, 1 << 30), (-3, 32 << 20), (-1, 1 << 30)]),
        (set(), [(-3, 1 << 30), (-3, 32 << 20)]),
    ],
)
def test_what_glibc_is_asked(monkeypatch, takes, calls):
    """Old ones refuse more than 32 MiB."""
    asked = []

    class Glibc:
        def mallopt(self, what, size):
            asked.append((what, size))
            return int(size in takes)

    monkeypatch.setattr(ctypes, "CDLL", lambda name: {"libc.so.6": Glibc()}[name])
    device.keep_freed_memory()
    assert asked == calls


@pytest.mark.parametrize("error", [OSError("no such library"), AttributeError("mallopt")])
def test_without_glibc_nothing_happens(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    device.keep_freed_memory()
