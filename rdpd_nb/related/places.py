"""Where raw files of other systems lie.

Apart from what else they share, which knows every data set: a system is not run again because the reader of a data set
has changed that it does not read.
"""

from pathlib import Path

from ..errors import UserError
from ..files import raw_root, root
from ..privacy import keep_from_git


def raw_folder(name: str, raw: str, how: str) -> Path:
    """The folder of a task's raw files, `raw`/<name> as for data sets; UserError that says `how` to get them."""
    folder = raw_root(raw) / name
    if not folder.is_dir():
        raise UserError(f"no raw files in {folder}; {how}")
    keep_from_git(folder)
    return folder


def embedded_folder(name: str) -> Path:
    """data/open/<name>, which comes with the repository."""
    return root() / "data" / "open" / name
