"""What was read from raw files, kept in a compact form: one row a channel, so that a view is read alone."""

import json
from pathlib import Path

import numpy as np

from ..errors import UserError
from .spec import Spec
from .windows import Recordings, Windows, cut, fingerprint


def write(folder: Path, recordings: Recordings, spec: Spec) -> None:
    """Cut the recordings into windows and write both into the empty `folder`; meta.json last.

    Raises UserError where channels or labels are not the spec's, or no recording is as long as a window.
    """
    r = recordings
    r.check(spec)
    start, recording = cut(r.start, r.stop, spec.length, spec.hop)
    label = r.label[recording]
    if not len(start):
        raise UserError(
            f"{spec.title}: no recording is as long as one window ({spec.length} samples at {spec.rate}); "
            f"{len(r.start)} recordings were read."
        )
    r.ledger.add(
        f"windows of {spec.length} samples at {spec.rate}",
        windows=len(start),
        **{"blocks" if r.subjects_are_blocks else "subjects": len(np.unique(r.subject[recording]))},
        classes=len(np.unique(label)),
    )
    mark = fingerprint(spec.name, *spec.channels, r.series, r.start, r.stop, start, label, r.subject[recording])
    np.save(folder / "series.npy", np.ascontiguousarray(r.series.T), allow_pickle=False)
    np.savez(
        folder / "index.npz",
        start=start,
        label=label,
        recording=recording,
        recording_rows=np.stack([r.start, r.stop], 1),
        recording_subject=r.subject,
        recording_part=np.full(len(r.start), "", "U5") if r.part is None else r.part.astype("U5"),
    )
    meta = {
        "fingerprint": mark,
        "ledger": r.ledger.rows,
        "statistics": r.statistics | {"classes": len(np.unique(label)), "attributes": len(spec.channels)},
        "subjects_are_blocks": r.subjects_are_blocks,
    }
    (folder / "meta.json").write_text(json.dumps(meta))


def read(folder: Path, spec: Spec, view: str, source: str) -> Windows:
    """Windows of one view; only its channels are read."""
    meta = json.loads((folder / "meta.json").read_text())
    by_channel = np.load(folder / "series.npy", mmap_mode="r", allow_pickle=False)  # (D, N)
    series = np.ascontiguousarray(by_channel[list(spec.views[view])].T)  # (N, D of the view)
    with np.load(folder / "index.npz", allow_pickle=False) as index:
        return Windows(spec=spec, source=source, view=view, series=series, **index, **meta)
