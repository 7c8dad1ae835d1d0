"""Writing whole or not at all: to a temporary name beside the target, then renamed. JSON that is read back has a
digest.

What is written is on the disk before it is renamed (fsync), and the new name after: a power cut leaves the old file or
the new one, whole. On a shared file system (NFS) a rename is as whole, but another machine may see the old file for
some seconds yet; who waits for a file there (Snakemake: `--latency-wait`) waits a little longer.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path

from safetensors import SafetensorError

from .errors import UserError
from .processes import runs


def _machine() -> str:
    """Eight hex digits for where a process's number says which it is: this computer until it starts anew, and there the
    container, since containers of one host name, on one computer or on several, count their processes each for itself.
    """
    known = [platform.node()]
    for read in (Path("/proc/sys/kernel/random/boot_id").read_text, partial(os.readlink, "/proc/self/ns/pid")):
        with suppress(OSError):  # no such thing on other systems than Linux, nor in some containers
            known.append(read())
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


MACHINE = _machine()
# Temporaries are `.rdpd-<machine>-<process>-<random>.<name>`, which .gitignore knows.
TEMPORARY = re.compile(r"\.rdpd-([0-9a-f]{8})-(\d+)-")
REPLACED = ".replaced"  # ends the name of a temporary folder that keeps what is about to be replaced
ABANDONED = 24 * 3600  # seconds after which another machine's temporary has nobody who writes to it
DIGEST = "sha256"  # the last key of JSON that is read back


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


def raw_root(raw: str = "") -> Path:
    """The folder that holds one folder a data set, as published: `raw`, $RDPD_RAW, or data/raw."""
    chosen = raw or os.environ.get("RDPD_RAW", "")
    return (root() / chosen) if chosen else data_folder() / "raw"


def place(path: str) -> Path:
    """A file or folder that a parameter names: `~` is the user's own, a relative one counts from the project's, and
    `results` may be $RDPD_RESULTS."""
    named, elsewhere = Path(path).expanduser(), os.environ.get("RDPD_RESULTS")
    if elsewhere and named.parts[:1] == ("results",):
        named = Path(elsewhere, *named.parts[1:])
    return root() / named


# ------------------------------------------------------------------------------------------------------ writing


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` and rename it to `path` if the block ends well; else leave nothing."""
    temporary = None
    try:
        with _in_words(path):
            prefix, suffix = _beside(path)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # mkstemp makes files for the owner alone
            _sync(temporary)
            os.replace(temporary, path)
            _sync(path.parent)
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def sort_marks(path: Path) -> None:
    """Put the marks of a new safetensors file in order. They are written in an order by chance, so that files of one
    content would have two digests."""
    with path.open("r+b") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
        said = json.loads(header)
        said["__metadata__"] = dict(sorted(said["__metadata__"].items()))
        file.seek(8)
        file.write(json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode().ljust(len(header)))


@contextmanager
def replace_folder(path: Path, over: bool = False) -> Iterator[Path]:
    """As `replace_file`, for a folder. What is there already (another process finished meanwhile) is kept, or with
    `over` replaced, with nothing at that name for a moment. Ended in that moment, the old one comes back: at once;
    after a `kill -9` when someone next writes beside it; after a power cut when someone does a day later."""
    temporary = aside = None
    try:
        with _in_words(path):
            prefix, suffix = _beside(path)
            temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix, suffix=suffix))
            yield temporary
            temporary.chmod(0o755)
            for inside in (*temporary.rglob("*"), temporary):
                _sync(inside)
            if over and os.path.lexists(path):
                aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix, suffix=REPLACED))
                os.rename(path, aside / path.name)
            try:
                os.rename(temporary, path)
            except OSError:
                if not path.is_dir():
                    raise
            _sync(path.parent)
    finally:
        if aside:
            _put_back(aside)
        for left in filter(None, (temporary, aside)):
            shutil.rmtree(left, ignore_errors=True)


def _put_back(aside: Path) -> None:
    """What was put aside to be replaced, where nothing has taken its place."""
    for old in aside.iterdir():
        if not os.path.lexists(place := aside.with_name(old.name)):
            os.rename(old, place)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` that is removed afterwards; if this process is killed, by the next one."""
    with _in_words(path):
        prefix, suffix = _beside(path)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=prefix, suffix=suffix))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Say in one sentence what keeps `path` from being written. What came of another file, or of no file, is not
    laid at its door."""
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except (OSError, SafetensorError) as error:  # safetensors has an error of its own for a full disk
        why, named = getattr(error, "strerror", None) or error, getattr(error, "filename", None)
        other = Path(os.path.abspath(os.fsdecode(named))) if isinstance(named, str | bytes | os.PathLike) else path
        own = Path(os.path.abspath(path))
        if not (TEMPORARY.search(str(other)) or own.is_relative_to(other) or other.is_relative_to(own)):
            raise UserError(f"{other}: {why}; so {path} was not written.") from error
        raise UserError(f"{path} could not be written: {why}.") from error


def _beside(path: Path) -> tuple[str, str]:
    """The beginning and the end of a temporary's name, in a folder that is there and swept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent.resolve())
    return f".rdpd-{MACHINE}-{os.getpid()}-", f".{path.name[-80:]}"  # the end alone of a name that is long


@cache
def _sweep(folder: Path) -> None:
    """Delete the temporaries of killed runs in a folder, where this process first writes to it."""
    for path in folder.glob(".rdpd-*"):
        with suppress(OSError):  # gone already, or not ours to delete
            if (match := TEMPORARY.match(path.name)) and not _in_use(path, match[1], int(match[2])):
                if path.is_dir() and path.name.endswith(REPLACED):
                    _put_back(path)
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _in_use(temporary: Path, machine: str, process: int) -> bool:
    """Whether someone may still write to a temporary: its process lives; of another machine's, it is a day old."""
    if machine != MACHINE:
        return time.time() - temporary.lstat().st_mtime < ABANDONED
    return runs(process)


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # not every file system knows it of a folder
            raise
    finally:
        os.close(handle)


# --------------------------------------------------------------------------------------------- JSON with a digest


def write_json(path: Path, content: dict) -> None:
    """Write JSON whole or not at all, NaN refused: a line a key, and a line an entry of what is long; a digest last."""
    lines = [f'"{key}": {_compact(value)}' for key, value in content.items()]
    as_read = json.loads("{" + ",".join(lines) + "}")
    lines.append(f'"{DIGEST}": "{digest_of(as_read)}"')
    with replace_file(path) as temporary:
        temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _compact(value: object) -> str:
    """A value on one line, or where that is long its entries on one each."""
    whole = json.dumps(value, allow_nan=False)
    if len(whole) <= 200 or not isinstance(value, dict | list):
        return whole
    if isinstance(value, list):
        return "[\n " + ",\n ".join(json.dumps(entry) for entry in value) + "\n]"
    return "{\n " + ",\n ".join(f"{json.dumps(key)}: {json.dumps(entry)}" for key, entry in value.items()) + "\n}"


def read_json(path: Path, again: str, older: bool = True) -> dict:
    """The object that `write_json` wrote, without its digest, which `older` files lack. Raises UserError, with what to
    do `again`, where it is unreadable, holds something else, or was changed since."""
    content = loads(path, again)
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no fields; {again}.")
    digest = content.pop(DIGEST, None)
    if digest != digest_of(content) and not (older and digest is None):
        raise UserError(f"{path} was changed after it was written (its {DIGEST} is another's); {again}.")
    return content


def loads(path: Path, again: str) -> object:
    """What a JSON file holds; UserError where it is not, or has NaN."""
    try:
        return json.loads(path.read_bytes(), parse_constant=_no_number)
    except OSError as error:
        raise UserError(f"{path} could not be read ({error.strerror}); {again}.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable as JSON ({error}); {again}.") from None


def _no_number(name: str) -> None:
    raise ValueError(f"JSON has no {name}")


def sum_of(file: Path | bytes) -> str:
    """SHA-256 of a file, or of what was read from it."""
    if isinstance(file, bytes):
        return hashlib.sha256(file).hexdigest()
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of(content: object) -> str:
    """SHA-256 over what JSON says, however it is laid out."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
