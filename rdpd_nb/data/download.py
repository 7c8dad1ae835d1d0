"""Fetching the raw data sets that may be fetched without an account: `python -m rdpd_nb.data [names]`.

A zip is unpacked and checked by the data set's own `check_download`; files that a source lists by name are kept as they
are and compared with the size and the SHA-256 sum stated there. Where a check fails, nothing is kept.
"""

import http.client
import os
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ..errors import UserError
from ..files import replace_file, replace_folder
from . import DATASETS, Source, archives, find, raw_root
from .checks import check_sums, require_files


def fetch(dataset: str, raw: Path, address: str = "") -> Path:
    """Download and check one data set into raw/<dataset>; a set that is already there is left alone.

    `address` overrides the published one (a mirror, a file:// path): of the zip, or of the folder that holds the
    files. Raises UserError when a check fails; then nothing is kept.
    """
    module = find(dataset)
    source, title, folder = module.SOURCE, module.SPEC.title, raw / dataset
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(f"{folder} is no folder; take it out or name another for the raw data.")
    if folder.is_dir() and any(folder.iterdir()):
        print(f"{title}: already in {folder}", flush=True)
        return folder
    if not source.can_be_fetched:
        raise UserError(f"{title} cannot be fetched automatically. {source.how_to_get(folder)}")
    if source.files:
        _fetch_files(source, title, folder, address)
    else:
        _fetch_archive(module, folder, address or source.archive)
    print(f"{title}: all of it is in {folder}", flush=True)
    return folder


def _fetch_files(source: Source, title: str, folder: Path, address: str) -> None:
    with replace_folder(folder) as new:
        for file in source.files:
            there = f"{address.rstrip('/')}/{file.name}" if address else file.address
            print(f"{title}: downloading {there} ({source.licence}) ...", flush=True)
            _download(there, new / file.name)
            size = (new / file.name).stat().st_size
            if file.size and size != file.size:
                raise UserError(
                    f"{there} has {size:,} bytes and not {file.size:,}; nothing was kept, run the download again."
                )
        check_sums(new, {file.name: file.sha256 for file in source.files})


def _fetch_archive(module: ModuleType, folder: Path, address: str) -> None:
    source, zip_path = module.SOURCE, folder.with_name(f"{folder.name}.zip")
    if os.path.lexists(zip_path):
        require_files([zip_path])
    else:
        print(f"{module.SPEC.title}: downloading {source.size} from {address} ({source.licence}) ...", flush=True)
        with replace_file(zip_path) as temporary:
            _download(address, temporary)
    with replace_folder(folder) as new:
        try:
            _unpack(zip_path, new)
            inside = sorted(new.rglob(source.strip)) if source.strip else []
            inner = next((path for path in inside if path.is_dir()), new)
            if hasattr(module, "check_download"):
                module.check_download(inner)
        except UserError:  # the fault is the file's; where the disk was full it is taken up again
            zip_path.unlink(missing_ok=True)
            raise
        if inner != new:
            for path in list(inner.iterdir()):
                path.rename(new / path.name)
            inner.rmdir()
    zip_path.unlink()


def _download(address: str, path: Path) -> None:
    """Write what an address gives into a file; a fault of the disk is left to those who named the file."""
    with _asking(address):
        response = urllib.request.urlopen(address, timeout=60)
        size, done, said = int(response.headers.get("Content-Length") or 0), 0, 0
    with response, path.open("wb") as file:
        while True:
            with _asking(address):
                piece = response.read(1 << 20)
            if not piece:
                break
            file.write(piece)
            done += len(piece)
            if done - said >= max(size / 10, 50e6):
                said = done
                print(f"  {done / 1e6:,.0f} MB{f' of {size / 1e6:,.0f} MB' if size else ''}", flush=True)
        with _asking(address):
            if done < size:
                raise OSError(f"it broke off after {done:,} of {size:,} bytes")


@contextmanager
def _asking(address: str) -> Iterator[None]:
    """What a server or the way to it does wrong, as one sentence."""
    try:
        yield
    except (OSError, ValueError, http.client.HTTPException) as error:  # the last: of chunks that are cut
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{address} could not be downloaded ({why}); check the connection and try again.") from None


def _unpack(zip_path: Path, folder: Path) -> None:
    """Unpack, and what was zipped inside it too (UCI wraps its own zip in another)."""
    try:
        with zipfile.ZipFile(zip_path) as archive:
            archive.extractall(folder)
            names = [folder / name for name in archive.namelist() if name.endswith(".zip")]
    except (*archives.DAMAGE, archives.REFUSAL) as error:
        if getattr(error, "errno", None):  # of the disk, not of the file
            raise
        raise UserError(f"{zip_path} is not a whole zip file and was removed; run the download again.") from None
    for inner in names:
        _unpack(inner, inner.parent)
        inner.unlink()


def main(names: list[str]) -> int:
    """Fetch the named data sets, by default all that may be fetched, into the raw root."""
    names = names or [name for name, module in DATASETS.items() if module.SOURCE.can_be_fetched]
    try:
        for name in names:  # a mistyped one is named before anything is fetched
            find(name)
        for name in names:
            fetch(name, raw_root())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
