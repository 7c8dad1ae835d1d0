"""PTB Diagnostic ECG Database (PhysioNet ptbdb 1.0.0): WFDB records at 1000 Hz -> 15 leads at 200 Hz."""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import UserError
from ..paper import published
from .checks import check_sum, check_sums, entries, listed_sums, require_files, require_folder, without_copies
from .format16 import MISSING, Header, check_size, read_header, read_units
from .spec import Size, Source, Spec
from .windows import Ledger, Recordings

LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6", "vx", "vy", "vz")
SPEC = Spec(
    name="ptbdb",
    title="PTBDB",
    rate="200 Hz",
    channels=LEADS,
    units="mV",
    classes=(
        "myocardial infarction",
        "healthy control",
        "cardiomyopathy or heart failure",
        "bundle branch block",
        "dysrhythmia",
        "hypertrophy",
    ),
    views={"all": tuple(range(15)), "lead_i": (0,)},
    view_titles={"all": "All", "lead_i": "Lead I"},
    length=2000,
    segment=500,
    hop=1000,
    kernel=32,
    stride=8,
    teacher=Size((64, 128), 32),
    student=Size((16, 32), 8),
    temperature=5.0,
    split="random",
    table="table3_ptbdb",
)
SOURCE = Source(
    page="https://physionet.org/content/ptbdb/1.0.0/",
    size="about 1.7 GB",
    licence="ODC-By 1.0",
    archive="https://physionet.org/content/ptbdb/get-zip/1.0.0/",
    strip="ptb-diagnostic-ecg-database-1.0.0",
)

RATE, RAW_RATE, STEP = 200, 1000, 5  # Hz of the windows, Hz of the records, how many samples of theirs make one
GAIN = 2000  # units a mV, of every record: the converter's 16 bits reach 16.384 mV to each side
STANDARD_LEADS, FRANK_LEADS = LEADS[:12], LEADS[12:]  # in .dat, in .xyz
GROUPS = tuple(tuple(name.split(" or ")) for name in SPEC.classes)  # how a class's 'Reason for admission' may begin
IS_FILE = re.compile(r"s.*\.(hea|dat|xyz)").fullmatch
IS_RECORD = re.compile(r"patient\d{3}/s\d{4}[a-z_]re\.(hea|dat|xyz)", re.ASCII).search
SUMS = "SHA256SUMS.txt"
THREADS = 8  # at most: each holds a record, some 50 MB


def check_download(folder: Path) -> None:
    """Compare all files with the sums of the release's own list; UserError where one is missing or differs."""
    if not (folder / SUMS).is_file():
        raise UserError(f"{folder}: no {SUMS} in the download; nothing was kept, run the download again.")
    check_sums(folder, listed_sums(folder / SUMS))


def files(folder: Path) -> list[Path]:
    """Headers and signal files of all records patientNNN/s*, and the list of their sums where it is there."""
    require_folder(folder, "patient001/s0010_re.hea and the other records of PTBDB")
    patients = [path for path in entries(folder) if path.name.startswith("patient") and not path.is_file()]
    found = [path for patient in patients for path in entries(patient) if IS_FILE(path.name)]
    headers = {path for path in found if path.suffix == ".hea"}
    if not headers:
        raise UserError(f"{folder} holds no patientNNN/s*.hea; it should hold PTBDB as published.")
    for path in found:
        if not IS_RECORD(path.as_posix()):
            raise UserError(
                f"{path} is no file of PTBDB, whose names are as patient001/s0010_re.hea; take it out: a copy would "
                "count as another person."
            )
        if (header := path.with_suffix(".hea")) not in headers:
            raise UserError(f"{path}: its header {header.name} is not beside it; download the record again.")
    return require_files([*found, *(path for path in entries(folder) if path.name == SUMS)])


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """All records of the six groups at 200 Hz, one after another; of those with the same signals, the first.

    Every file is compared with its SHA-256 sum where the release's list of them is there.
    """
    paths = sorted(path for path in files(folder) if path.suffix == ".hea")
    sums = listed_sums(folder / SUMS) if (folder / SUMS).is_file() else None
    headers = [_header(path, sums) for path in paths]
    reasons = [diagnosis(path, header) for path, header in zip(paths, headers, strict=True)]
    chosen = [i for i, reason in enumerate(reasons) if group(reason) is not None]
    if not chosen:
        raise UserError(f"{folder}: none of the {len(paths)} records belongs to one of the six groups.")
    labels = np.array([group(reasons[i]) for i in chosen])
    subjects = np.array([int(paths[i].parent.name.removeprefix("patient")) for i in chosen])

    for i in chosen:  # before there is room made for what a header says
        file = _dat(paths[i])
        check_size(file.stat().st_size, headers[i], file.name, str(file))
    # Each record goes straight to its place: there is never more than the result, and a record for each thread.
    stop = np.cumsum([-(-headers[i].samples // STEP) for i in chosen])
    start = stop - np.diff(stop, prepend=0)
    series = np.empty((stop[-1], len(LEADS)), np.float32)

    def fill(i: int, first: int, last: int) -> tuple[bytes, bool, int, int]:
        signal, digest, has_frank, steady = read_record(paths[i], headers[i], sums)
        series[first:last] = signal
        return digest, has_frank, steady, int(np.isnan(signal).sum())

    found = []
    with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:  # reading and filtering leave Python's lock
        for done, said in enumerate(pool.map(fill, chosen, start, stop), 1):
            found.append(said)
            if done % 100 == 0 or done == len(chosen):
                progress(f"  {done} of {len(chosen)} records")
    digests, has_frank, steady, missing = map(np.array, zip(*found, strict=True))

    statistics = {"subjects": len({p.parent for p in paths}), "total_length": sum(header.samples for header in headers)}
    table1, ledger = published()["table1"]["ptbdb"], Ledger()
    ledger.add(
        "records read",
        rows=statistics["total_length"],
        records=len(paths),
        subjects=statistics["subjects"],
        table1=f"{table1['subjects']} subjects, {table1['total_length']:,} rows",
    )
    for reason, count in Counter(reason for reason in reasons if group(reason) is None).most_common():
        ledger.add(f"removed: '{reason}' is none of the six groups", records=-count)
    rows = sum(headers[i].samples for i in chosen)
    ledger.add("records of the six groups at 1000 Hz", rows=rows, records=len(chosen), subjects=len(set(subjects)))
    if unsure := sum(not headers[i].has_checksums for i in chosen) if sums is None else 0:
        ledger.add(f"of these nothing says whether a file is damaged (no {SUMS}, no checksums)", records=unsure)
    if not has_frank.all():
        ledger.add("of these without .xyz: the Frank leads count as missing", records=(~has_frank).sum())
    keep = without_copies(digests, labels, [f"{paths[i].parent.name}/{paths[i].stem}" for i in chosen], folder)
    if not keep.all():
        ledger.add("removed: the same signals as another record's", records=-(~keep).sum())
    is_empty = keep & (missing == (stop - start) * len(LEADS))
    if is_empty.any():
        ledger.add("removed: no sample in any lead", records=-is_empty.sum())
        keep &= ~is_empty
    if not keep.any():
        raise UserError(f"{folder}: its records hold no sample; download them again.")
    if not keep.all():
        series = np.concatenate([series[a:b] for a, b in zip(start[keep], stop[keep], strict=True)])
        stop = (stop - start)[keep].cumsum()
        start = stop - np.diff(stop, prepend=0)
    ledger.add("resampled to 200 Hz", rows=len(series), records=keep.sum())
    if steady[keep].any():
        ledger.add("leads of a record that never change, kept", leads=steady[keep].sum())
    ledger.add("values missing in these (no .xyz, or WFDB's code for no sample)", values=missing[keep].sum())
    return Recordings(series, start, stop, subjects[keep], labels[keep], ledger, statistics)


def _header(path: Path, sums: dict[str, str] | None = None) -> Header:
    return read_header(_content(path, sums), path.stem, LEADS, RAW_RATE, GAIN, str(path))


def _dat(path: Path) -> Path:
    """The signal file of a header's twelve leads."""
    file = path.with_suffix(".dat")
    if not file.exists():
        raise UserError(f"{path}: its signal file {file.name} is not beside it; download the record again.")
    return file


def _content(path: Path, sums: dict[str, str] | None) -> bytes:
    """A file of the release, whole where there are sums."""
    content = path.read_bytes()
    if sums is not None:
        check_sum(content, sums.get(f"{path.parent.name}/{path.name}"), str(path))
    return content


def diagnosis(path: Path, header: Header | None = None) -> str:
    """'Reason for admission' of a record, from the comments of its header."""
    comments = [comment.partition(":") for comment in (header or _header(path)).comments]
    said = [value.strip() for name, _, value in comments if name.strip().lower() == "reason for admission"]
    if not said:
        raise UserError(
            f"{path}: no 'Reason for admission' among the header's comments, so no diagnosis; download it again."
        )
    if len(set(said)) > 1:
        raise UserError(f"{path}: its 'Reason for admission' is '{said[0]}' and '{said[1]}'; download it again.")
    return said[0]


def group(reason: str) -> int | None:
    """Class index of a reason for admission, None where it is none of the six."""
    return next((i for i, beginnings in enumerate(GROUPS) if reason.lower().startswith(beginnings)), None)


class Record(NamedTuple):
    signal: np.ndarray  # (samples at 200 Hz, 15) float32 in mV, NaN where missing
    digest: bytes  # of its files' samples
    has_frank: bool
    steady: int  # leads that never change


def read_record(path: Path, header: Header | None = None, sums: dict[str, str] | None = None) -> Record:
    """The record of a header. Frank leads are missing where the .xyz file is not there.

    Its files are compared with the sizes and the checksums of the header, and with their SHA-256 sums if given.
    """
    header = header or _header(path, sums)
    digest, steady = hashlib.sha256(), 0
    signal = np.full((-(-header.samples // STEP), len(LEADS)), np.nan, np.float32)
    for ending, leads in {".dat": STANDARD_LEADS, ".xyz": FRANK_LEADS}.items():
        file = _dat(path).with_suffix(ending)
        inside = [lead for lead, name in zip(header.leads, header.files, strict=True) if name == file.name]
        if sorted(inside) != sorted(leads):
            raise UserError(f"{path}: leads {', '.join(leads)} should be those of {file.name}; download it again.")
        if ending == ".xyz" and not file.exists():
            return Record(signal, digest.digest(), False, steady)
        content = _content(file, sums)
        digest.update(content)
        units = read_units(content, header, file.name, str(file))
        steady += int(((units == units[0]).all(0) & (units[0] != MISSING)).sum())
        signal[:, [LEADS.index(lead) for lead in inside]] = _at_200_hz(units)
    return Record(signal, digest.digest(), True, steady)


def _at_200_hz(units: np.ndarray) -> np.ndarray:
    """Units (samples at 1000 Hz, leads) -> mV at 200 Hz, NaN where the nearest sample is missing.

    The filter sees a straight line over missing samples: one NaN would spread over twenty of its outputs.
    """
    from scipy.signal import resample_poly

    values, missing = units / GAIN, units == MISSING
    for lead in np.flatnonzero(missing.any(0)):
        gone = missing[:, lead]
        there = np.flatnonzero(~gone)
        values[gone, lead] = np.interp(np.flatnonzero(gone), there, values[there, lead]) if len(there) else 0
    signal = resample_poly(values, 1, STEP, axis=0, padtype="line")
    sample, lead = np.nonzero(missing)
    signal[np.minimum((sample + STEP // 2) // STEP, len(signal) - 1), lead] = np.nan
    return signal
