"""WFDB records in format 16, as PTBDB and Brugada-HUCA are published: header and samples, believed only where they are
of the one form that all records of a release have.

wfdb itself takes any number that a header says, and reads unpacked files only.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import UserError

MISSING = -32768  # WFDB's code for "no sample" in this format
SIZE = 2  # bytes of a sample
# File, format, gain, perhaps baseline and unit, resolution, zero, first value, checksum, block size, lead.
IS_LEAD = re.compile(r"(\S+) 16 (\d+(?:\.\d+)?)(?:\(0\))?(?:/mV)? 16 0 (-?\d+) (-?\d+) 0 (\w+)", re.ASCII).fullmatch
IS_RECORD = re.compile(r"(\S+) (\d+) (\d+) (\d{1,12})", re.ASCII).fullmatch  # name, leads, Hz, samples


@dataclass(frozen=True)
class Header:
    """What the header of a record says."""

    samples: int
    files: tuple[str, ...]  # of each lead
    leads: tuple[str, ...]
    first: tuple[int, ...]  # unit of each lead, and
    checksums: tuple[int, ...]  # of each lead; all 0 where they were never made
    comments: tuple[str, ...]

    @property
    def has_checksums(self) -> bool:
        return any(self.checksums)


def read_header(content: bytes, record: str, leads: Sequence[str], rate: int, gain: float, what: str) -> Header:
    """The header of a record of so many Hz with these leads, in any order, of so many units a mV.

    `what` names it in a UserError: where it says another form, name, rate, gain or unit, or other leads.
    """
    lines = [line.strip() for line in content.decode("latin-1").splitlines()]
    first, *rest = [line for line in lines if line and not line.startswith("#")] or [""]
    said = IS_RECORD(first)
    if not said or (said[1], int(said[2]), int(said[3])) != (record, len(leads), rate) or not int(said[4]):
        raise UserError(
            f"{what}: its header begins '{first[:60]}' where '{record} {len(leads)} {rate}' and the number of samples "
            "are expected; download it again."
        )
    found = []
    for line in rest:
        found.append(lead := IS_LEAD(line))
        if not lead or float(lead[2]) != gain:
            raise UserError(
                f"{what}: its header says '{line[:60]}' where format 16 with {gain:g} units a mV is expected; download "
                "it again."
            )
    names = tuple(lead[5] for lead in found)
    if sorted(names) != sorted(leads):
        raise UserError(
            f"{what}: its leads are {', '.join(names) or 'none'} where {', '.join(leads)} are expected; download it "
            "again."
        )
    return Header(
        samples=int(said[4]),
        files=tuple(lead[1] for lead in found),
        leads=names,
        first=tuple(int(lead[3]) for lead in found),
        checksums=tuple(int(lead[4]) for lead in found),
        comments=tuple(line.lstrip("#").strip() for line in lines if line.startswith("#")),
    )


def check_size(size: int, header: Header, file: str, what: str) -> None:
    """Raises UserError, with `what`, where one file of a record is not as large as its header says."""
    expected = SIZE * header.samples * header.files.count(file)
    if size != expected:
        how = "is truncated" if size < expected else "is longer than its header says"
        raise UserError(f"{what} {how}: it has {size:,} bytes and should have {expected:,}; download it again.")


def read_units(content: bytes, header: Header, file: str, what: str) -> np.ndarray:
    """Units (samples, leads in this file) of one file of a record, leads in the order of the header.

    `what` names it in a UserError: where its size is another, or its sums are not the header's checksums.
    """
    check_size(len(content), header, file, what)
    inside = [i for i, name in enumerate(header.files) if name == file]
    units = np.frombuffer(content, "<i2").reshape(header.samples, len(inside))
    if header.has_checksums:
        for i, first, total in zip(inside, units[0], units.sum(0, dtype=np.int64), strict=True):
            if first != header.first[i] or (int(total) - header.checksums[i]) % 65536:
                raise UserError(
                    f"{what}: lead {header.leads[i]} does not match its checksum or first value; download it again."
                )
    return units
