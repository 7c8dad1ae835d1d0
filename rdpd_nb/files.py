"""Writing whole or not at all: to a temporary name beside the target, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UserError


def root() -> Path:
    """The project's folder: the nearest one at or above the working folder that holds `notebooks/` and `profiles/`,
    else the one this package stands in."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "profiles").is_dir():
            return folder
    return Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """Where simulated raw files and the cache live, and what a reader spills: `data/`, or $RDPD_DATA."""
    return Path(os.environ.get("RDPD_DATA") or root() / "data")


def place(path: str) -> Path:
    """A file or folder that a parameter names: `~` is the user's own, a relative one counts from the project's, and
    `results` may be $RDPD_RESULTS."""
    named, elsewhere = Path(path).expanduser(), os.environ.get("RDPD_RESULTS")
    if elsewhere and named.parts[:1] == ("results",):
        named = Path(elsewhere, *named.parts[1:])
    return root() / named


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` if the block ends well; else leave nothing."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files for the owner alone
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """As `replace_file`, for a folder; one that another process finished meanwhile is kept."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        yield temporary
        temporary.chmod(0o755)
        try:
            os.rename(temporary, path)
        except OSError:
            if not path.is_dir():
                raise
    except OSError as error:
        raise UserError(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)
