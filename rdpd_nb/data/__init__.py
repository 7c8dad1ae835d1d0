"""Raw files -> windows. Nothing outside this folder reads a raw format.

`load` finds the raw files (or has them simulated), reads them once into a compact cache, and returns one view.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import UserError
from ..files import replace_folder, root
from ..paper import SPECS
from . import mimic3, pamap2, ptbdb, simulate, uci_har
from .download import SOURCES
from .windows import Recordings, Split, Windows, cut, fingerprint, split, standardise, standardiser

__all__ = ["Recordings", "Split", "Windows", "load", "locate", "raw_files", "split", "standardise", "standardiser"]

READERS = {"pamap2": pamap2, "ptbdb": ptbdb, "mimic3": mimic3, "uci_har": uci_har}


def data_folder() -> Path:
    """Where simulated raw files and the cache live: `data/`, or $RDPD_DATA."""
    return Path(os.environ.get("RDPD_DATA") or root() / "data")


def raw_root(raw: str = "") -> Path | None:
    """The folder that holds pamap2/ ptbdb/ mimic3/ uci_har/ as published: `raw`, $RDPD_RAW, or data/raw."""
    chosen = raw or os.environ.get("RDPD_RAW", "")
    return (root() / chosen) if chosen else data_folder() / "raw"


def locate(
    dataset: str, source: str, raw: str = "", scale: float = 0.1, progress: Callable[[str], None] = print
) -> Path:
    """Folder of the raw files of one data set; simulated ones are written on first use.

    Raises UserError, with what to get, where, how large and under which licence, where real files are missing.
    """
    if source == "simulated":
        folder = data_folder() / "simulated" / f"v{simulate.VERSION}-scale-{scale:g}" / dataset
        if not folder.is_dir():
            progress(f"writing simulated {SPECS[dataset].title} files (scale {scale:g}) ...")
            with replace_folder(folder) as new:
                simulate.write(dataset, new, scale)
        return folder
    folder = raw_root(raw) / dataset
    if not folder.is_dir() or not any(folder.iterdir()):
        raise UserError(f"{SPECS[dataset].title}: no raw files in {folder}. {SOURCES[dataset].how_to_get(folder)}")
    return folder


def raw_files(dataset: str, folder: Path) -> list[Path]:
    """The raw files the reader would open, sorted."""
    return sorted(READERS[dataset].files(folder))


def raw_stamp(dataset: str, folder: Path) -> str:
    """Says whether the raw files are the same ones. Name, size and time stand for the content: hashing 33 GB at each
    start would cost minutes."""
    status = [(path.relative_to(folder), path.stat()) for path in raw_files(dataset, folder)]
    return fingerprint(*(f"{name} {s.st_size} {s.st_mtime_ns}" for name, s in status))


def code_stamp(*patterns: str) -> str:
    """Says whether these files of the package are the same ones."""
    package = Path(__file__).parents[1]
    paths = sorted({path for pattern in patterns for path in package.glob(pattern) if path.is_file()})
    return fingerprint(*(path.read_text() for path in paths))


def load(
    dataset: str,
    view: str = "all",
    source: str = "simulated",
    raw: str = "",
    scale: float = 0.1,
    progress: Callable[[str], None] = print,
) -> Windows:
    """Windows of one view of a data set, from the cache when the raw files are the ones read before.

    Only the view's channels are read from the cache: a student never opens the rich ones.
    """
    spec = SPECS[dataset]
    folder = locate(dataset, source, raw, scale, progress)
    files = raw_files(dataset, folder)
    stamp = fingerprint(
        source, raw_stamp(dataset, folder), code_stamp("paper.py", f"data/{dataset}*", "data/windows.py")
    )
    cached = data_folder() / "cache" / f"{dataset}-{source}-{stamp}"
    if not (cached / "meta.json").exists():
        progress(f"reading {len(files)} raw files of {spec.title} ({source}) ...")
        shutil.rmtree(cached, ignore_errors=True)  # without meta.json it is not whole
        recordings = READERS[dataset].read(folder, progress)
        with replace_folder(cached) as new:
            _write_cache(new, recordings, dataset)
    return _read_cache(cached, dataset, view, source)


def _write_cache(folder: Path, recordings: Recordings, dataset: str) -> None:
    spec = SPECS[dataset]
    r = recordings
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
    mark = fingerprint(dataset, *spec.channels, r.series, r.start, r.stop, start, label, r.subject[recording])
    # One row a channel, so that a view is read without touching the other channels.
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


def _read_cache(folder: Path, dataset: str, view: str, source: str) -> Windows:
    meta = json.loads((folder / "meta.json").read_text())
    by_channel = np.load(folder / "series.npy", mmap_mode="r", allow_pickle=False)  # (D, N)
    series = np.ascontiguousarray(by_channel[list(SPECS[dataset].views[view])].T)  # (N, D of the view)
    with np.load(folder / "index.npz", allow_pickle=False) as index:
        return Windows(dataset=dataset, source=source, view=view, series=series, **index, **meta)
