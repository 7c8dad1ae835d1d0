"""`training.fit_one`, many at once; equal by test.

The contract of this folder: `train` gives every member what `fit_one` gives it alone (to rounding), whoever trains
beside it, on however many threads, interrupted or not. Nobody needs it to read the method: what is minimised stands
in `losses.member_loss`, what a seed draws in `draws`, the model in `models`. Here is only what makes it fast:

setup        what stays the same while a training runs
shards       members dealt out to threads; an epoch of a shard
stack        many RCNNs as one; kernels: its convolution and LSTM
batches      windows, standardised, noisy, made once for members that share them
graphs       steps as CUDA graphs
checkpoints  a training that was killed goes on
device       CPU or CUDA, threads, memory
"""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..data.windows import Windows
from ..models import RCNN
from .batches import Inputs
from .checkpoints import Checkpoints
from .device import keep_freed_memory, resolve_device, workers
from .setup import HISTORY, Setup, padded
from .shards import Shard, deal_out, forward_all
from .stack import RCNNStack

QUIET_SECONDS = 30  # longest time without a line of progress
FULL = {"cpu": 0.99, "cuda": 0.75}  # of the members dealt out: if as few train on, deal anew (captured steps cost time)


def train(
    members: Sequence,
    windows: Windows,
    epochs: int,
    device: str,
    patience: int,
    updates: Sequence[int],
    checkpoints: Path | None,
    progress: Callable[[str], None],
    keep: bool,
) -> list[dict]:
    """Train all members at once; for each the fields of `training.Fitted`. Arguments as in `training.fit`."""
    keep_freed_memory()
    setup = Setup(members, windows, resolve_device(device), epochs, patience, updates)
    epochs = setup.epochs  # of the member that may train longest
    saved = Checkpoints(checkpoints, setup.key(), progress, keep)
    start = setup.start()
    done, state = saved.read(start) or (0, start)
    if done:  # the file's name only: what a notebook prints is kept, and may be published
        over = done == epochs or bool(state["stopped"].all())
        what = "trained before, taken over" if over else f"going on after epoch {done} of {epochs}"
        progress(f"{what}, from {saved.path.parent.name}/{saved.path.name}")
    state = {name: tensor.to(setup.device) for name, tensor in state.items()}
    shards: list[Shard] = []
    began = said = time.perf_counter()
    first = done
    stop = threading.Event()
    with workers(setup.device, len(members)) as each:
        try:
            while done < epochs and not state["stopped"].all():
                active = int((state["stopped"] == 0).sum())
                if not shards or active <= FULL[setup.device.type] * sum(map(len, shards)):  # close the ranks
                    _release(shards)
                    state, shards = deal_out(setup, state, stop)
                each(lambda shard, epoch=done: shard.epoch(epoch), shards)
                done += 1
                saved.write(done, state, last=done == epochs or bool(state["stopped"].all()))
                due = done in (1, epochs) or done % max(1, epochs // 5) == 0
                if due or time.perf_counter() - said > QUIET_SECONDS:
                    said = time.perf_counter()
                    most = "at most " if patience else "about "
                    progress(_progress_line(done, epochs, state, (said - began) / (done - first), most))
        finally:
            stop.set()
            _release(shards)
    seconds = time.perf_counter() - began
    if first < done:
        stopped = f", the last stopped after epoch {done}" if done < epochs else ""
        progress(f"{len(members)} models trained at once in {seconds:.1f} s{stopped}")
    return setup.results(state, done)


@torch.no_grad()
def forward(
    models: Sequence[RCNN], windows: Windows, members: Sequence, indices: Sequence[np.ndarray], device: str
) -> list[tuple[Tensor, Tensor]]:
    """Log attention (n, M) and logits (n, C) of each model on its own windows, on the CPU, in evaluation mode.

    Members give standardisation and noise; all models must be of one shape.
    """
    place = resolve_device(device)
    stack, inputs = RCNNStack(list(models), place), Inputs(windows, members, place)
    index = torch.from_numpy(padded(indices)).to(place)
    same = [hash(i.tobytes()) for i in indices]
    log_a, logits = forward_all(stack, stack.flat, inputs, list(range(len(models))), index, same)
    return [(log_a[e, : len(i)].cpu(), logits[e, : len(i)].cpu()) for e, i in enumerate(indices)]


def _release(shards: list[Shard]) -> None:
    for shard in shards:
        shard.release()


def _progress_line(done: int, epochs: int, state: dict[str, Tensor], seconds: float, most: str) -> str:
    trains = state["stopped"] == 0
    auc = state["history"][:, done - 1, HISTORY.index("validation_roc_auc")]
    auc = auc[trains] if trains.any() else auc[state["stopped"] == done]
    left = seconds * (epochs - done)
    rest = f", {len(trains) - int(trains.sum())} stopped" if not trains.all() else ""
    return (
        f"epoch {done:3d} of {epochs}  validation ROC-AUC {auc.nanmean():.3f} (mean of {len(auc)} models{rest})"
        f"  {seconds * done:.0f} s, {most}{left:.0f} s left"
    )
