"""What bad input may end in: one sentence that names the file, or a repair that the ledger counts. Never a silent wrong
window, never a bare traceback."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from rdpd_nb import data
from rdpd_nb.data.windows import Windows
from rdpd_nb.errors import UserError

COUNTS: Counter[tuple[str, str]] = Counter()  # (campaign, outcome): cases; printed at the end by conftest.py
LONGEST = 600  # characters of a sentence, the test's own folder not counted


def said(call: Callable[[], object], campaign: str, *, names: str = "") -> str:
    """The sentence with which `call` refuses; AssertionError where it does not, or says it badly."""
    try:
        call()
    except UserError as error:
        sentence = str(error)
    else:
        raise AssertionError("it was taken without a word")
    well_said(sentence, names)
    COUNTS[campaign, "refused"] += 1
    return sentence


def read(dataset: str, folder: Path) -> Windows:
    """All windows of a raw folder, without the cache."""
    module = data.DATASETS[dataset]
    return Windows.from_recordings(module.SPEC, module.read(folder, lambda line: None), "real")


def judge(
    dataset: str | Callable[[Path], Windows], folder: Path, whole: Windows, campaign: str = "", names: str = ""
) -> str:
    """Read a damaged folder: 'refused', 'counted' (other windows, and the ledger says so) or 'harmless' (the same
    windows as of the `whole` one); AssertionError for anything else. dataset: its name, or what reads a folder of it;
    names: what the sentence has to hold."""
    campaign = campaign or dataset
    try:
        found = dataset(folder) if callable(dataset) else read(dataset, folder)
    except UserError as error:
        well_said(str(error), names)
        outcome = "refused"
    else:
        if same(found, whole):
            outcome = "harmless"
        else:
            assert found.ledger != whole.ledger, "other windows, and the ledger says nothing of it"
            assert np.isfinite(found.series[~np.isnan(found.series)]).all(), "an infinite value is left"
            outcome = "counted"
    COUNTS[campaign, outcome] += 1
    return outcome


def same(one: Windows, other: Windows) -> bool:
    """Whether two sets of windows hold the same numbers, labels, subjects and parts."""
    return one.fingerprint == other.fingerprint and np.array_equal(one.series, other.series, equal_nan=True)


def well_said(sentence: str, names: str = "") -> None:
    assert names in sentence, f"it does not name {names}: {sentence}"
    assert "Traceback" not in sentence and "\n\n" not in sentence, sentence
    assert 20 < len(sentence) < LONGEST + 400, f"{len(sentence)} characters: {sentence[:2000]}"


def made_once(
    folders: pytest.TempPathFactory, makers: dict[str, Callable], read: Callable[[str, Path], Windows]
) -> Callable[[str], tuple[Path, Windows]]:
    """What gives the folder of a whole set, and what is read from it, by the set's name."""

    @cache
    def give(name: str) -> tuple[Path, Windows]:
        folder = folders.mktemp("whole") / "raw"
        folder.mkdir()
        makers[name](folder)
        return folder, read(name, folder)

    return give
