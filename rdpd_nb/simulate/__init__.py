"""Raw files of the published formats, made up: the pipeline reads them with the readers of the real ones.

What is learnt from them says nothing about the paper; every table and figure made from them says so.
"""

from pathlib import Path

from .ecg import write_ptbdb
from .icu import write_mimic3
from .motion import write_pamap2, write_uci_har

VERSION = 2  # raise when a simulator changes what it writes: files of an older one are then left alone
WRITERS = {"pamap2": write_pamap2, "ptbdb": write_ptbdb, "mimic3": write_mimic3, "uci_har": write_uci_har}


def write(dataset: str, folder: Path, scale: float, seed: int = 2019) -> None:
    """Write one data set's raw files into the empty `folder`; scale 1 is paper-sized, 0 the smallest that works.

    The same scale and seed give the same bytes.
    """
    WRITERS[dataset](folder, scale, seed)
