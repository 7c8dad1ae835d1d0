"""Files of a folder or of an archive, one after another, without unpacking anything to disk."""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from ..errors import UserError
from .checks import require_files

# A plain .tar is not among them: it has no sum over its content, so damage in one would go unseen.
OPENERS = {".tar.gz": gzip.open, ".tgz": gzip.open, ".tar.xz": lzma.open, ".tar.bz2": bz2.open}
ENDINGS = (".zip", *OPENERS)
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)
REFUSAL = RuntimeError  # what zipfile raises for an encrypted member or, as NotImplementedError, an unknown method


def walk(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Name, with '/' between its parts, and content of each wanted file of a folder, a .zip or a compressed .tar.

    Names are relative to the folder or the archive's top; an archive's own order is kept, a folder is sorted.
    Folders and links inside an archive are passed over. Raises UserError where the archive is truncated, damaged,
    encrypted or no archive, where a name leads out of it, and where a wanted name stands in it twice. A compressed
    tar's sum stands at its end, so what was yielded before that error is not to be used.
    """
    names: set[str] = set()
    try:
        for name, content in _members(path):
            if name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise UserError(f"{path}: '{name}' leads out of the archive; download it again from its publisher.")
            if not wanted(name := str(PurePosixPath(name))):  # './a//b' is a/b
                continue
            if name in names:
                raise UserError(f"{path}: {name} is there twice; download it again from its publisher.")
            names.add(name)
            yield name, content()
    except DAMAGE as error:
        raise UserError(f"{path} is truncated, damaged or no archive ({error}); download it again.") from None
    except REFUSAL as error:
        raise UserError(f"{path} cannot be read ({error}); download it again from its publisher.") from None


def find(folder: Path, stem: str) -> Path | None:
    """The archive in a folder that is called `stem`, or else the folder of that name; None where neither is there.

    Raises UserError where there are two archives, or one that nothing can be read from.
    """
    found = require_files(path for ending in ENDINGS if os.path.lexists(path := folder / f"{stem}{ending}"))
    if len(found) > 1:
        raise UserError(f"{folder} holds {found[0].name} and {found[1].name}; take one out.")
    # An archive first: it says whether it is whole.
    return found[0] if found else folder / stem if (folder / stem).is_dir() else None


def _members(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Name and a function that reads it, for each regular file; read before the next one is asked for."""
    if path.is_dir():
        for file in sorted(file for file in path.rglob("*") if file.is_file()):
            yield file.relative_to(path).as_posix(), file.read_bytes
    elif path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16):
                    yield info.filename, lambda info=info: archive.read(info)  # it compares the member's CRC
    else:
        opener = next((opener for ending, opener in OPENERS.items() if path.name.lower().endswith(ending)), None)
        if opener is None:
            raise UserError(f"{path} is no folder and none of {', '.join(ENDINGS)}; name one of these.")
        with opener(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for info in archive:
                if info.isreg():
                    yield info.name, lambda info=info: archive.extractfile(info).read()
            while stream.read(1 << 20):  # tarfile stops at its end mark, or at damage: the sum comes after
                pass
