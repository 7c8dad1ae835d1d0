"""What was read from raw files, kept in a compact form: one row a channel, so that a view is read alone."""

import json
from pathlib import Path

import numpy as np

from .spec import Spec
from .windows import Windows

INDEX = ("start", "label", "recording", "recording_rows", "recording_subject", "recording_part")
META = ("fingerprint", "ledger", "statistics", "subjects_are_blocks")


def write(folder: Path, windows: Windows) -> None:
    """Write windows of all channels into the empty `folder`; meta.json last."""
    np.save(folder / "series.npy", np.ascontiguousarray(windows.series.T), allow_pickle=False)
    np.savez(folder / "index.npz", **{name: getattr(windows, name) for name in INDEX})
    (folder / "meta.json").write_text(json.dumps({name: getattr(windows, name) for name in META}))


def read(folder: Path, spec: Spec, view: str, source: str) -> Windows:
    """Windows of one view; only its channels are read."""
    meta = json.loads((folder / "meta.json").read_text())
    by_channel = np.load(folder / "series.npy", mmap_mode="r", allow_pickle=False)  # (D, N)
    series = np.ascontiguousarray(by_channel[list(spec.views[view])].T)  # (N, D of the view)
    with np.load(folder / "index.npz", allow_pickle=False) as index:
        return Windows(spec=spec, source=source, view=view, series=series, **index, **meta)
