"""The one exception for what a user can put right: a bad file, a missing data set, a mistyped parameter."""

from pathlib import Path


class UserError(Exception):
    """Says in one sentence what is wrong, where, and what to do.

    A notebook shows the sentence alone: IPython calls `_render_traceback_` in place of its own traceback.
    """

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def require_folder(folder: Path, holds: str) -> Path:
    """Return `folder` if it is there and not empty, else say what it should hold."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; it should hold {holds}.")
    if not any(folder.iterdir()):
        raise UserError(f"{folder} is empty; it should hold {holds}.")
    return folder
