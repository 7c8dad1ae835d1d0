"""Raw files -> windows. Nothing outside this folder reads a raw format.

`load` finds the raw files (or has them simulated), reads them once into a compact cache, and returns one view.

A data set is one file here, and one word in DATASETS below. In it are, in this order:
SPEC                    what a window and its models look like
SOURCE                  where to get it
check_download(folder)  only where a download can be checked
files(folder)           the raw files it would read
read(folder, progress)  those files -> Recordings (`Recordings.join` makes them out of a list of signals)
"""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from .. import stamps
from ..errors import UserError, short
from ..files import data_folder, raw_root, replace_folder, root
from ..privacy import keep_from_git
from . import brugada, cache, cinc2012, dsads, hapt, mimic3, pamap2, ptbdb, uci_har
from .spec import Size, Source, Spec  # noqa: F401  these and the next are what others take from here
from .windows import SOURCES, Recordings, Split, Windows, cut, fingerprint, split, standardise, standardiser  # noqa: F401

DATASETS = {module.SPEC.name: module for module in (pamap2, ptbdb, mimic3, dsads, cinc2012, brugada, hapt, uci_har)}
HANDED_OVER = "windows"  # in a raw folder: windows of one view in place of raw files (see `hand_over`)
SPECS = {name: module.SPEC for name, module in DATASETS.items()}


def find(dataset: str) -> ModuleType:
    """The file of a data set; UserError for a name that is not there."""
    if dataset not in DATASETS:
        raise UserError(f"there is no data set {short(dataset)}; use one of {', '.join(DATASETS)}.")
    return DATASETS[dataset]


def embedded(dataset: str) -> Path:
    """Where the raw files of a data set lie that comes with the repository; not there for others."""
    return root() / "data" / "open" / dataset


def nearest_source(dataset: str, wanted: str) -> str:
    """The source of a data set of which nobody said one: embedded where it is, `wanted` where that can be had."""
    from .. import simulate

    if embedded(dataset).is_dir():
        return "embedded"
    return wanted if wanted == "simulated" and dataset in simulate.WRITERS else "real"


def locate(
    dataset: str, source: str, raw: str = "", scale: float = 0.1, progress: Callable[[str], None] = print
) -> Path:
    """Folder of the raw files of one data set, of a source of `SOURCES`; simulated ones are written on first use.

    Raises UserError, with what to get, where, how large and under which licence, where real files are missing.
    """
    module = find(dataset)
    title = module.SPEC.title
    if source == "simulated":
        from .. import simulate  # not needed for real data

        if dataset not in simulate.WRITERS:
            source = nearest_source(dataset, "real")
            raise UserError(f"{title} has no simulator, so there is no simulated {title}; use source='{source}'.")
        folder = data_folder() / "simulated" / f"v{simulate.VERSION}-scale-{scale:g}" / dataset
        if not folder.is_dir():
            keep_from_git(data_folder())
            progress(f"writing simulated {title} files (scale {scale:g}) ...")
            with replace_folder(folder) as new:
                simulate.write(dataset, new, scale)
        return folder
    if source == "embedded":
        if not embedded(dataset).is_dir():
            here = ", ".join(sorted(folder.name for folder in embedded("").glob("*/")))
            raise UserError(f"{title} does not come with the repository, as {here or 'none'} do; use another source.")
        return embedded(dataset)
    folder = raw_root(raw) / dataset
    if not folder.is_dir() or not any(folder.iterdir()):
        raise UserError(f"{title}: no raw files in {folder}. {module.SOURCE.how_to_get(folder)}")
    keep_from_git(folder)
    return folder


def raw_files(dataset: str, folder: Path) -> list[Path]:
    """The raw files the reader would open, sorted."""
    given = folder / HANDED_OVER
    return sorted(given.iterdir() if given.is_dir() else find(dataset).files(folder))


def raw_stamp(dataset: str, folder: Path) -> str:
    """Says whether the raw files are the same ones."""
    return stamps.raw(folder, raw_files(dataset, folder))


def load(
    dataset: str,
    view: str = "all",
    source: str = "simulated",
    raw: str = "",
    scale: float = 0.1,
    progress: Callable[[str], None] = print,
) -> Windows:
    """Windows of one view of a data set, from the cache when the raw files are the ones read before.

    Only the view's channels are read from the cache: a student never opens the rich ones. A cache that is not what was
    written is said, and made again.
    """
    module = find(dataset)
    module.SPEC.require_view(view)
    folder = locate(dataset, source, raw, scale, progress)
    if (given := folder / HANDED_OVER).is_dir():
        try:
            return cache.read(given, module.SPEC, view, source)
        except cache.Damaged as why:
            raise UserError(f"{given} cannot be taken for raw files ({why}); have it handed over again.") from None
    files = raw_files(dataset, folder)
    if module.__name__.startswith(f"{__name__}."):
        code = stamps.code(module.__name__, f"{__name__}.cache")
    else:  # registered from outside
        code = stamps.code(f"{__name__}.cache") + Path(module.__file__).read_text()
    stamp = fingerprint(stamps.raw(folder, files), code)
    cached = data_folder() / "cache" / f"{dataset}-{source}-{stamp}"
    damaged = os.path.lexists(cached)
    if damaged:
        try:
            return cache.read(cached, module.SPEC, view, source)
        except cache.Damaged as why:
            progress(f"{cached} is damaged ({why}): it is made again")
    keep_from_git(data_folder())
    progress(f"reading {len(files)} raw files of {module.SPEC.title} ({source}) ...")
    _fill(cached, module, folder, source, progress, over=damaged)
    try:
        return cache.read(cached, module.SPEC, view, source)
    except cache.Damaged as why:
        raise UserError(f"{cached} is damaged as soon as it is written ({why}); is the disk sound?") from None


def _fill(cached: Path, module: ModuleType, raw: Path, source: str, progress: Callable, over: bool) -> None:
    windows = Windows.from_recordings(module.SPEC, module.read(raw, progress), source)
    with replace_folder(cached, over) as new:
        cache.write(new, windows, cached.name)


def hand_over(
    dataset: str,
    view: str,
    folder: Path,
    source: str = "real",
    raw: str = "",
    scale: float = 0.1,
    progress: Callable[[str], None] = print,
) -> Path:
    """Write the windows of one view, and nothing of another channel, to `folder`, which is a raw folder from then on:
    `load(dataset, view, "real", folder)` gives the very same windows. With the teacher's knowledge it is all that a
    student needs; labels and subjects are in it. Returns where it is.
    """
    windows = load(dataset, view, source, raw, scale, progress)
    given = Path(folder) / dataset / HANDED_OVER
    with replace_folder(given, over=True) as new:
        cache.write(new, windows, given.name)
    return given
