"""Brugada-HUCA (PhysioNet brugada-huca 1.0.0): 12-lead ECG of 363 people, 12 s at 100 Hz; Brugada syndrome or not.

The paper does not have it; it is the open counterpart of its PTBDB. Records are WFDB, format 16.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..errors import UserError
from . import archives
from .checks import check_sum, listed_sums, read_labels, require_files, require_folder, without_copies
from .format16 import MISSING, read_header, read_units
from .spec import File, Size, Source, Spec
from .windows import Ledger, Recordings

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
SPEC = Spec(
    name="brugada",
    title="Brugada-HUCA",
    rate="100 Hz",
    channels=LEADS,
    units="mV",
    classes=("no Brugada", "Brugada"),
    views={"all": tuple(range(12)), "lead_i": (0,), "lead_ii": (1,)},
    view_titles={"all": "All", "lead_i": "Lead I", "lead_ii": "Lead II"},
    length=400,
    segment=100,
    hop=200,
    kernel=16,
    stride=4,
    teacher=Size((64, 128), 32),
    student=Size((16, 32), 8),
    temperature=5.0,
    split="random",
    held_out=0.2,
)
ADDRESS = "https://physionet.org/files/brugada-huca/1.0.0/"
SOURCE = Source(
    page="https://physionet.org/content/brugada-huca/1.0.0/",
    size="about 7 MB",
    licence="CC BY-SA 4.0",
    files=(  # sums as in SHA256SUMS.txt; the size of files.zip is not known here
        File(f"{ADDRESS}LICENSE.txt", 16344, "e96e89b8862cbc9cd83a1689947ab359614fba6f82f680fc06fefda583c1f485"),
        File(f"{ADDRESS}SHA256SUMS.txt", 66090, "e97ed22632bc69330080ed26afbda923da94467b60dd84350aac4f4406c8fe43"),
        File(f"{ADDRESS}files.zip", 0, "2ae15fa3449fc4c266406e539c8c460a08b0f7646fde284acb5f6ed5ece1f710"),
        File(f"{ADDRESS}metadata.csv", 4997, "2ae5e0c11e86f1675ebc3e1efb5a7a9ff6b6abdce75796a4013020fe46b11ef8"),
    ),
)

RATE, SAMPLES, GAIN = 100, 1200, 1000  # Hz; samples of a record; units a mV: 16 bits reach 32.768 mV to each side
STEPS = {  # value of column `brugada`, what it says; all but the first are Brugada here
    "0": "people without Brugada syndrome (0)",
    "1": "people with Brugada syndrome (1)",
    "2": "people with another, atypical Brugada pattern (2), counted as Brugada",
}
IS_RECORD = re.compile(r"(?:.*/)?(\d+)\.(hea|dat)").fullmatch


def _records_path(folder: Path) -> Path:
    if path := archives.find(folder, "files"):
        return path
    raise UserError(f"{folder} holds no files/ and no files.zip; it should hold Brugada-HUCA as published.")


def files(folder: Path) -> list[Path]:
    """Labels, sums, and the archive or the header and signal files of all records."""
    require_folder(folder, "files.zip or files/, metadata.csv and SHA256SUMS.txt of Brugada-HUCA")
    path, beside = _records_path(folder), [folder / "metadata.csv", folder / "SHA256SUMS.txt"]
    return require_files(beside + ([p for p in path.rglob("*") if IS_RECORD(p.name)] if path.is_dir() else [path]))


def read(folder: Path, progress: Callable[[str], None] = print) -> Recordings:
    """The record of each person, in the order of the ids; of people with the same signals, the first.

    Every file is compared with its SHA-256 sum.
    """
    files(folder)  # one that is missing is named before anything is read
    sums, labels_path, path = listed_sums(folder / "SHA256SUMS.txt"), folder / "metadata.csv", _records_path(folder)
    check_sum(labels_path.read_bytes(), sums.get("metadata.csv"), str(labels_path))
    labels = read_labels(labels_path, "patient_id", "brugada", STEPS)
    contents: dict[str, dict[int, bytes]] = {"hea": {}, "dat": {}}
    for name, content in archives.walk(path, IS_RECORD):
        person, ending = IS_RECORD(name).groups()
        if int(person) in contents[ending]:
            raise UserError(f"{path}: {person}.{ending} is there twice; download it again.")
        check_sum(content, sums.get(f"files/{person}/{person}.{ending}"), f"{path}: {name}")
        contents[ending][int(person)] = content
    for ending, there in contents.items():
        if missing := sorted(labels.keys() - there):
            raise UserError(
                f"{path}: no {missing[0]}.{ending}; {len(missing)} of the {len(labels)} people of metadata.csv have no "
                "such file: download it again."
            )
        if unknown := sorted(there.keys() - labels):
            raise UserError(f"{path}: {unknown[0]} has a record and is not in {labels_path}; download both again.")
    signals = [
        record(contents["hea"][person], contents["dat"][person], person, f"{path}: {person}") for person in labels
    ]
    progress(f"  {len(signals)} records, {2 * len(signals) + 1} SHA-256 sums right")
    digests = [hashlib.sha256(contents["dat"][person]).digest() for person in labels]
    is_kept = without_copies(digests, [*labels.values()], [*labels], path)

    ledger = Ledger()
    ledger.add("records read, sums right", rows=len(signals) * SAMPLES, records=len(signals), subjects=len(signals))
    for value, step in STEPS.items():
        count = sum(label == value for label in labels.values())
        ledger.add(f"- {step}", records=count, subjects=count)
    # Four pairs of people have the same signals: one could train and the other test.
    ledger.add("removed: the same signals as another person's", records=-(~is_kept).sum(), subjects=-(~is_kept).sum())
    signals = [signal for signal, keep in zip(signals, is_kept, strict=True) if keep]
    ledger.add("values missing in the others", values=sum(int(np.isnan(signal).sum()) for signal in signals))
    people, classes = np.array([*labels]), np.array([int(label != "0") for label in labels.values()])
    return Recordings.join(signals, people[is_kept], classes[is_kept], ledger=ledger)


def record(header: bytes, samples: bytes, person: int, what: str) -> np.ndarray:
    """Signal of a record (1200, 12) float32 in mV, leads as LEADS, out of its header and its signal file.

    `what` names it in a UserError: where the header says anything else than the release's do, or the file differs.
    """
    said = read_header(header, str(person), LEADS, RATE, GAIN, what)
    files = ", ".join(dict.fromkeys(said.files))
    if (said.samples, files) != (SAMPLES, f"{person}.dat"):
        raise UserError(
            f"{what}: its header says {said.samples} samples in {files} where {SAMPLES} in {person}.dat are expected; "
            "download it again."
        )
    units = read_units(samples, said, f"{person}.dat", what)
    signal = np.where(units == MISSING, np.nan, units / GAIN).astype(np.float32)
    return signal[:, [said.leads.index(lead) for lead in LEADS]]
