"""What keeps git from taking what was given in confidence: raw files, and what is derived from MIMIC-III."""

import subprocess
from functools import cache
from pathlib import Path

from .errors import UserError
from .files import root

# A notebook that reads MIMIC-III prints it; by its words .ci/pre-commit knows the notebook, executed, and refuses it.
SHOWN = "What this notebook shows is derived from MIMIC-III files of your own: neither commit it nor pass it on."


@cache
def keep_from_git(folder: Path) -> None:
    """Have git pass over a folder with data: one inside the project that git would take gets a .gitignore of its own.

    Raises UserError where that cannot be.
    """
    here, project = folder.resolve(), root().resolve()
    if not here.is_relative_to(project) or not _would_take(here, project):
        return
    why = "is the project itself"
    if here != project:
        try:
            here.mkdir(parents=True, exist_ok=True)
            (here / ".gitignore").write_text("# Data: git takes nothing of this folder.\n*\n")
            return
        except OSError as error:
            why = f"is inside the project, and no .gitignore can be written there ({error.strerror})"
    raise UserError(f"{folder} {why}, so that git could take the data in it; name a folder outside the project.")


def _would_take(folder: Path, project: Path) -> bool:
    """Whether git, where there is one and the project is a clone, would take a file of that folder."""
    command = ["git", "-C", project, "check-ignore", "--quiet", folder / "data"]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 1  # 128: no clone
    except OSError:
        return False
