"""Checkpoints of a training in progress: written whole or not at all, taken up only by the very same training, and only
with their digest."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..data.windows import fingerprint
from ..errors import UserError, short
from ..files import replace_file, sort_marks


def _seconds(text: str) -> float:
    try:
        if 0 <= (seconds := float(text)) < 1e9:
            return seconds
    except ValueError:
        pass
    raise UserError(f"RDPD_CHECKPOINT_SECONDS is {short(text)}; it should be a number of seconds, from 0.")


SECONDS = _seconds(os.environ.get("RDPD_CHECKPOINT_SECONDS") or "20")  # least time from one checkpoint to the next


class Checkpoints:
    """The checkpoint of one training: `key` says everything it depends on, so that no other takes it up.

    A folder of None writes and finds nothing. With `keep` the state after the last epoch is always written.
    """

    def __init__(self, folder: Path | None, key: str, progress: Callable[[str], None], keep: bool = False):
        self.path = folder / f"{key}.safetensors" if folder else None
        self.progress, self.keep = progress, keep
        self.written = time.monotonic()

    def read(self, start: dict[str, Tensor]) -> tuple[int, dict[str, Tensor]] | None:
        """Epochs done and the state after them, of the form of `start`; None where there is none. What is damaged is
        said and passed over."""
        if not self.path or not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                marks = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            if {n: (t.shape, t.dtype) for n, t in state.items()} != {n: (t.shape, t.dtype) for n, t in start.items()}:
                raise ValueError("other tensors than this training's")
            if marks.get("digest") != self._digest(epochs := marks.get("epochs", ""), state):
                raise ValueError("its digest is another's")
            return int(epochs), state
        except (SafetensorError, ValueError, OSError) as error:
            self.progress(f"{self.path} is damaged ({error}); training starts from the beginning")
            return None

    def _digest(self, epochs: str, state: dict[str, Tensor]) -> str:
        """Of all that a checkpoint says, and of the training that says it."""
        return fingerprint(self.path.stem, epochs, *(x for n in sorted(state) for x in (n, state[n].numpy())))

    def write(self, epochs: int, state: dict[str, Tensor], last: bool) -> None:
        """Write the state after `epochs` epochs, if the last time is `SECONDS` ago or these are the `last` ones.

        Training goes on where the disk is full: a checkpoint is a help, not a result.
        """
        if not self.path or (
            time.monotonic() - self.written < SECONDS and not (last and (self.keep or self.path.exists()))
        ):
            return
        try:
            state = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
            marks = {"epochs": str(epochs), "digest": self._digest(str(epochs), state)}
            with replace_file(self.path) as path:
                save_file(state, path, marks)
                sort_marks(path)
            if last and self.keep:  # what was kept for other code or parameters has had its time
                for old in self.path.parent.glob(f"{'[0-9a-f]' * len(self.path.stem)}.safetensors"):
                    if old != self.path:
                        old.unlink()
        except (UserError, OSError) as error:
            self.progress(f"no checkpoint: {error}")
        self.written = time.monotonic()


def remove(folder: Path) -> None:
    """Delete the checkpoints of a run whose record is written."""
    shutil.rmtree(folder, ignore_errors=True)
