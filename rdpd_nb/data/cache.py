"""What was read from raw files, kept in a compact form: one row a channel, so that a view is read alone. Each part
has a digest, and none is believed without it."""

import io
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import read_json, sum_of, write_json
from .spec import Spec
from .windows import Windows, fingerprint

INDEX = ("start", "label", "recording", "recording_rows", "recording_subject", "recording_part")
META = ("fingerprint", "ledger", "statistics", "subjects_are_blocks")
AT_ONCE = 1 << 17  # rows that are turned from one a channel to one a sample


class Damaged(Exception):
    """A cache is not what was written; says in words why."""


def write(folder: Path, windows: Windows, name: str) -> None:
    """Write windows of a view, of all channels or of fewer, into the empty `folder`, which will be called `name`."""
    by_channel = np.ascontiguousarray(windows.series.T)
    np.save(folder / "series.npy", by_channel, allow_pickle=False)
    np.savez(folder / "index.npz", **{name: getattr(windows, name) for name in INDEX})
    digests = {"channels": [fingerprint(row) for row in by_channel], "index": sum_of(folder / "index.npz")}
    meta = {name: getattr(windows, name) for name in META}
    of = {"name": name, "dataset": windows.spec.name, "view": windows.view, "source": windows.source}
    write_json(folder / "meta.json", {**of, "rows": by_channel.shape[1], **digests, "windows": meta})


def read(folder: Path, spec: Spec, view: str, source: str) -> Windows:
    """Windows of one view; only its channels are read. Raises `Damaged`."""
    try:
        meta = read_json(folder / "meta.json", "", older=False)
        packed = (folder / "index.npz").read_bytes()
        size, shape = (folder / "series.npy").stat().st_size, (len(meta["channels"]), meta["rows"])
        # The header says the shape too, and is not believed: what could be wrong with it has no end.
        header = size - 4 * shape[0] * shape[1]
        if header < 0:
            raise Damaged("series.npy is cut short")
        by_channel = np.memmap(folder / "series.npy", np.float32, "r", header, shape)
    except (UserError, OSError) as error:
        raise Damaged(str(error).rstrip(" ;.")) from None
    if meta["name"] != folder.name:
        raise Damaged(f"it is a copy of {meta['name']}")
    if sum_of(packed) != meta["index"]:
        raise Damaged("index.npz has another digest")
    there = spec.views.get(meta["view"], ())
    if meta["dataset"] != spec.name or not set(spec.views[view]) <= set(there):
        raise Damaged(f"it holds {meta['dataset']}, view '{meta['view']}', and not {spec.name}, view '{view}'")
    if (meta["source"] == "simulated") != (source == "simulated"):
        raise Damaged(f"it was made from {meta['source']} data, not from {source} data")
    channels = [there.index(d) for d in spec.views[view]]
    for d in channels:
        if fingerprint(by_channel[d]) != meta["channels"][d]:
            raise Damaged(f"channel {spec.channels[there[d]]} of series.npy has another digest")
    series = np.empty((shape[1], len(channels)), np.float32)  # training takes whole stretches of rows
    for first in range(0, len(series), AT_ONCE):
        rows = slice(first, first + AT_ONCE)
        series[rows] = by_channel[channels, rows].T
    with np.load(io.BytesIO(packed), allow_pickle=False) as index:
        return Windows(spec=spec, source=source, view=view, series=series, **index, **meta["windows"])
