"""PTB Diagnostic ECG Database (PhysioNet ptbdb 1.0.0): WFDB records at 1000 Hz -> 15 leads at 200 Hz."""

import os
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from ..paper import published
from .checks import check_sums, require_folder
from .spec import Size, Source, Spec
from .windows import Ledger, Recordings

if TYPE_CHECKING:
    import wfdb

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

RATE = 200  # Hz, of the windows
STANDARD_LEADS = LEADS[:12]  # in .dat; the three Frank leads are in .xyz
GROUPS = tuple(tuple(name.split(" or ")) for name in SPEC.classes)  # how a class's 'Reason for admission' may begin


def check_download(folder: Path) -> None:
    """Compare all files with the sums of the release's own list; UserError where one is missing or differs."""
    listing = folder / "SHA256SUMS.txt"
    if not listing.is_file():
        raise UserError(f"{folder}: no SHA256SUMS.txt in the download; nothing was kept, run the download again.")
    pairs = re.findall(r"^([0-9a-f]{64})\s+(\S+)$", listing.read_text(), re.M)
    if not pairs:
        raise UserError(f"{listing}: no list of sums; nothing was kept, run the download again.")
    check_sums(folder, {name: total for total, name in pairs})


def files(folder: Path) -> list[Path]:
    """Headers and signal files of all records patientNNN/s*."""
    require_folder(folder, "patient001/s0010_re.hea and the other records of PTBDB")
    found = [p for ending in ("hea", "dat", "xyz") for p in folder.glob(f"patient*/s*.{ending}")]
    if not any(p.suffix == ".hea" for p in found):
        raise UserError(f"{folder} holds no patientNNN/s*.hea; it should hold PTBDB as published.")
    return found


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """All records of the six groups at 200 Hz, one after another."""
    paths = sorted(path for path in files(folder) if path.suffix == ".hea")
    headers = [_header(path) for path in paths]
    reasons = [diagnosis(path, header) for path, header in zip(paths, headers, strict=True)]
    labels = {path: label for path, reason in zip(paths, reasons, strict=True) if (label := group(reason)) is not None}
    if not labels:
        raise UserError(f"{folder}: none of the {len(paths)} records belongs to one of the six groups.")

    signals, rows, without_frank = [], 0, 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # reading and filtering leave Python's lock
        for done, (signal, length) in enumerate(pool.map(read_record, labels), 1):
            signals.append(signal)
            rows += length
            without_frank += bool(np.isnan(signal[0, len(STANDARD_LEADS) :]).all())
            if done % 100 == 0 or done == len(labels):
                progress(f"  {done} of {len(labels)} records")

    subjects = [int(path.parent.name.removeprefix("patient")) for path in labels]
    statistics = {"subjects": len({p.parent for p in paths}), "total_length": sum(header.sig_len for header in headers)}
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
    ledger.add("records of the six groups at 1000 Hz", rows=rows, records=len(labels), subjects=len(set(subjects)))
    if without_frank:
        ledger.add("of these without .xyz: the Frank leads count as missing", records=without_frank)
    ledger.add("resampled to 200 Hz", rows=sum(map(len, signals)), records=len(labels))
    return Recordings.join(signals, subjects, list(labels.values()), ledger=ledger, statistics=statistics)


def _header(path: Path) -> "wfdb.Record":
    import wfdb

    try:
        header = wfdb.rdheader(str(path.with_suffix("")))
        if not header.sig_name:
            raise ValueError("it describes no signal")
        return header
    except Exception as error:  # wfdb raises whatever its parser stumbles over
        raise UserError(f"{path}: not a readable WFDB header ({error}); download it again.") from None


def diagnosis(path: Path, header: "wfdb.Record | None" = None) -> str:
    """'Reason for admission' of a record, from the comments of its header."""
    for comment in (header or _header(path)).comments:
        name, _, value = comment.partition(":")
        if name.strip().lower() == "reason for admission":
            return value.strip()
    raise UserError(
        f"{path}: no 'Reason for admission' among the header's comments, so no diagnosis; download it again."
    )


def group(reason: str) -> int | None:
    """Class index of a reason for admission, None where it is none of the six."""
    return next((i for i, beginnings in enumerate(GROUPS) if reason.lower().startswith(beginnings)), None)


def read_record(path: Path) -> tuple[np.ndarray, int]:
    """One record: (samples at 200 Hz, 15) float32 in mV, and its length at the original rate.

    Frank leads are NaN where the .xyz file is not there. Checks sizes and the header's checksums.
    """
    import wfdb
    from scipy.signal import resample_poly

    header = _header(path)
    names = [name.lower() for name in header.sig_name]
    missing = [lead for lead in STANDARD_LEADS if lead not in names]
    if missing:
        raise UserError(f"{path}: no lead {', '.join(missing)}; a PTBDB record has twelve leads and three Frank leads.")
    leads = [lead for lead in LEADS if lead in names and _is_there(path, header, names.index(lead))]
    record = wfdb.rdrecord(str(path.with_suffix("")), channels=[names.index(lead) for lead in leads], physical=False)
    sums = record.d_signal.sum(0)
    given = any(record.checksum)  # many PTBDB headers hold zeros in place of checksums
    for lead, total, stored in zip(leads, sums, record.checksum, strict=True):
        if given and (int(total) - int(stored)) % 65536:
            raise UserError(f"{path}: lead {lead} does not match its checksum; download the record again.")
    physical = record.dac()  # (samples, leads) in mV
    change = Fraction(RATE, int(record.fs))
    resampled = resample_poly(physical, change.numerator, change.denominator, axis=0, padtype="line")
    signal = np.full((len(resampled), len(LEADS)), np.nan, np.float32)
    signal[:, [LEADS.index(lead) for lead in leads]] = resampled
    return signal, record.sig_len


def _is_there(path: Path, header: "wfdb.Record", channel: int) -> bool:
    """Whether a channel's file is there and whole; only the Frank leads' .xyz may be missing."""
    file = path.parent / header.file_name[channel]
    if not file.exists():
        if file.suffix == ".xyz":
            return False
        raise UserError(f"{path}: its signal file {file.name} is not beside it; download the record again.")
    expected = 2 * header.sig_len * header.file_name.count(file.name)  # format 16: two bytes a sample
    if file.stat().st_size < expected:
        raise UserError(
            f"{file}: {file.stat().st_size:,} bytes where its header promises {expected:,}; "
            "the file is truncated: download it again."
        )
    return True
