"""Where each raw data set comes from; `python -m rdpd_nb.data` fetches those that may be fetched.

PAMAP2's files are checked against published SHA-256 sums, PTBDB's against the SHA256SUMS.txt of its own release, and
UCI HAR, which publishes no sums, against its known window counts. MIMIC-III is never downloaded: it needs
credentialed access.
"""

import hashlib
import re
import sys
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..files import replace_file, replace_folder


@dataclass(frozen=True)
class Source:
    title: str
    page: str
    size: str
    licence: str
    archive: str = ""  # a zip that may be fetched without an account
    strip: str = ""  # the folder inside the zip that is the raw folder
    note: str = ""

    def how_to_get(self, folder: Path) -> str:
        how = f"Run `make data` or download it from {self.page}" if self.archive else f"Download it from {self.page}"
        note = f" {self.note}" if self.note else ""
        return f"{how} ({self.size}, licence {self.licence}) into {folder}.{note}"


SOURCES = {
    "pamap2": Source(
        "PAMAP2",
        "https://archive.ics.uci.edu/dataset/231/pamap2+physical+activity+monitoring",
        "about 650 MB, 1.3 GB of protocol files in it",
        "CC BY 4.0",
        archive="https://archive.ics.uci.edu/static/public/231/pamap2+physical+activity+monitoring.zip",
        strip="PAMAP2_Dataset",
    ),
    "ptbdb": Source(
        "PTBDB",
        "https://physionet.org/content/ptbdb/1.0.0/",
        "about 1.7 GB",
        "ODC-By 1.0",
        archive="https://physionet.org/content/ptbdb/get-zip/1.0.0/",
        strip="ptb-diagnostic-ecg-database-1.0.0",
    ),
    "mimic3": Source(
        "MIMIC-III",
        "https://physionet.org/content/mimiciii/1.4/",
        "about 6 GB compressed",
        "PhysioNet Credentialed Health Data License 1.5.0",
        note="It needs a PhysioNet account with credentialed access and is never downloaded automatically; the open "
        "demo (100 patients, ODbL 1.0) is at https://physionet.org/content/mimiciii-demo/1.4/.",
    ),
    "uci_har": Source(
        "UCI HAR",
        "https://archive.ics.uci.edu/dataset/240/human+activity+recognition+using+smartphones",
        "about 60 MB",
        "CC BY 4.0",
        archive="https://archive.ics.uci.edu/static/public/240/human+activity+recognition+using+smartphones.zip",
        strip="UCI HAR Dataset",
    ),
}

# UCI publishes no sums for PAMAP2's protocol files; these are of the files as distributed in 2012 and since.
PAMAP2_SHA256 = {
    "subject101.dat": "80b3fffd089c236ae88098df3b906b8d3c67a858023fe4f75045d78612147266",
    "subject102.dat": "468f3c6ba3e6e961f383783665265afbcddbbd33a3a84bba0386b7d0d4e3c632",
    "subject103.dat": "5be64631d085e3efc700728395516da3512ff9de17dab30d253508441a98d3f0",
    "subject104.dat": "7eb272213cbfe11d9e466a2163b6c9c2ed8d2542fc6f08283fd1bf222cac8994",
    "subject105.dat": "7837cfede57fe45ec20d553c6c2b0c498ab324daae23bfd202c0ffea9f71a7f6",
    "subject106.dat": "0da1dda3fa56d75d6413fc9198949d3ebc2102d77574cb5fe0739674687609f2",
    "subject107.dat": "a02195e9599eb249f79103912d27eb4f62d8a0f59e4763b0dd8250fee5f3f020",
    "subject108.dat": "81ce6b21b9c1e01dc02099c4f9387699547b08b28b387d09a56e0cb0a8af22fc",
    "subject109.dat": "5109d5cd8334769566b4ae602adf3e5f4bb7b9ee8ca678f0c481d333114b07c7",
}
UCI_HAR_WINDOWS = {"train": 7352, "test": 2947}


def fetch(dataset: str, raw: Path, archive: str = "") -> Path:
    """Download, check and unpack one data set into raw/<dataset>; a set that is already there is left alone.

    `archive` overrides the address (a mirror, a file:// path). Raises UserError when a check fails; then nothing
    is kept.
    """
    source, folder = SOURCES[dataset], raw / dataset
    if folder.is_dir() and any(folder.iterdir()):
        print(f"{source.title}: already in {folder}", flush=True)
        return folder
    archive = archive or source.archive
    if not source.archive:
        raise UserError(f"{source.title} cannot be fetched automatically. {source.how_to_get(folder)}")
    zip_path = raw / f"{dataset}.zip"
    if not zip_path.exists():
        print(f"{source.title}: downloading {source.size} from {archive} ({source.licence}) ...", flush=True)
        with replace_file(zip_path) as temporary:
            _download(archive, temporary)
    try:
        with replace_folder(folder) as new:
            _unpack(zip_path, new)
            inner = next((path for path in sorted(new.rglob(source.strip)) if path.is_dir()), None)
            CHECKS[dataset](inner or new)
            if inner and dataset != "uci_har":  # UCI HAR keeps its folder, as every other tool expects it
                for path in list(inner.iterdir()):
                    path.rename(new / path.name)
                inner.rmdir()
    finally:
        zip_path.unlink(missing_ok=True)
    print(f"{source.title}: unpacked into {folder}", flush=True)
    return folder


def _download(address: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(address, timeout=60) as response, path.open("wb") as file:
            size, done, said = int(response.headers.get("Content-Length") or 0), 0, 0
            while piece := response.read(1 << 20):
                file.write(piece)
                done += len(piece)
                if done - said >= max(size / 10, 50e6):
                    said = done
                    print(f"  {done / 1e6:,.0f} MB{f' of {size / 1e6:,.0f} MB' if size else ''}", flush=True)
            if done < size:
                raise OSError(f"it broke off after {done:,} of {size:,} bytes")
    except (OSError, ValueError) as error:
        raise UserError(f"{address} could not be downloaded ({error}); check the connection and try again.") from None


def _unpack(zip_path: Path, folder: Path) -> None:
    """Unpack, and what was zipped inside it too (UCI wraps its own zip in another)."""
    try:
        with zipfile.ZipFile(zip_path) as archive:
            archive.extractall(folder)
            names = [folder / name for name in archive.namelist() if name.endswith(".zip")]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
        raise UserError(f"{zip_path} is not a whole zip file and was removed; run the download again.") from None
    for inner in names:
        _unpack(inner, inner.parent)
        inner.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_sums(folder: Path, sums: dict[str, str]) -> None:
    for name, expected in sums.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path} is not in the download; nothing was kept, run the download again.")
        if _sha256(path) != expected:
            raise UserError(f"{path} differs from the published file (SHA-256); nothing was kept, download again.")


def _check_ptbdb(folder: Path) -> None:
    listing = folder / "SHA256SUMS.txt"
    if not listing.is_file():
        raise UserError(f"{folder}: no SHA256SUMS.txt in the download; nothing was kept, run the download again.")
    pairs = re.findall(r"^([0-9a-f]{64})\s+(\S+)$", listing.read_text(), re.M)
    if not pairs:
        raise UserError(f"{listing}: no list of sums; nothing was kept, run the download again.")
    _check_sums(folder, {name: total for total, name in pairs})


def _check_uci_har(folder: Path) -> None:
    for part, expected in UCI_HAR_WINDOWS.items():
        path = folder / part / f"y_{part}.txt"
        count = len(path.read_text().split()) if path.is_file() else 0
        if count != expected:
            raise UserError(f"{path}: {count} windows where UCI HAR has {expected}; nothing was kept.")


CHECKS = {
    "pamap2": lambda folder: _check_sums(folder / "Protocol", PAMAP2_SHA256),
    "ptbdb": _check_ptbdb,
    "uci_har": _check_uci_har,
}


def main(names: list[str]) -> int:
    """Fetch the named data sets, by default all that may be fetched, into the raw root."""
    from . import raw_root

    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        print(f"unknown data set {', '.join(unknown)}; known are {', '.join(SOURCES)}", file=sys.stderr)
        return 2
    try:
        for dataset in names or [name for name, source in SOURCES.items() if source.archive]:
            fetch(dataset, raw_root())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0
