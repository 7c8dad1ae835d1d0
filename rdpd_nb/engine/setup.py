"""What does not change while a training runs: windows, members, what each learns from, how it is scored."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.windows import Windows, fingerprint
from ..draws import mask_shapes
from ..models import RCNN
from ..paper import BATCH_SIZE
from ..stamps import code
from .batches import Inputs
from .stack import RCNNStack

HISTORY = ("train_loss", "validation_loss", "validation_roc_auc")


class Setup:
    """A training as it begins; members are `training.Member`s."""

    def __init__(
        self,
        members: Sequence,
        windows: Windows,
        device: torch.device,
        epochs: int,
        patience: int,
        updates: Sequence[int] = (),
    ):
        self.members, self.windows, self.device, self.patience = members, windows, device, patience
        self.least, self.most = torch.tensor([m.bounds(epochs, updates) for m in members], device=device).T
        self.epochs = int(self.most.max())
        self.spec, self.protocol, view = windows.spec, windows.protocol, windows.view
        self.shapes = mask_shapes(self.spec, view)
        self.stack = RCNNStack([RCNN(self.spec, view, seed=m.seed) for m in members], device)
        self.inputs = Inputs(windows, members, device)
        self.label = torch.from_numpy(windows.label).clamp_min(0).to(device)  # padding may be a window without a label
        # (E, windows), where a member must not see the label, and the share (E,) that it sees; None where all see all.
        self.hidden = self.labelled = None
        if any(len(m.unlabelled) for m in members):
            hidden = np.stack([np.isin(np.arange(len(windows)), m.unlabelled) for m in members])
            self.hidden = torch.from_numpy(hidden).to(device)
            self.labelled = torch.tensor([m.labelled_share or 1.0 for m in members], device=device)
        self.steps = [-(-len(m.train) // BATCH_SIZE) for m in members]
        self.same_train = [(m.seed, hash(m.train.tobytes())) for m in members]  # equal: the same batches
        self.same_validation = [hash(m.validation.tobytes()) for m in members]
        self.terms = tuple(sorted({term for m in members for term in m.terms}))
        self.uses = torch.tensor([[float(t in m.terms) for t in self.terms] for m in members], device=device)
        # Soft labels (k, windows, C) and attention (k, windows, M) of each distinct Knowledge, and which a member has.
        distinct = list({id(m.knowledge): m.knowledge for m in members if m.knowledge is not None}.values())
        self.taught = self.teacher_of = None
        self.share = torch.tensor([m.share for m in members], device=device)
        if distinct:
            rows = zip(*(k.rows(len(windows)) for k in distinct), strict=True)
            self.taught = [torch.stack(r).to(device) for r in rows]
            of = [next((j for j, k in enumerate(distinct) if k is m.knowledge), 0) for m in members]
            self.teacher_of = torch.tensor(of, device=device)
        index = padded([m.validation for m in members])
        valid = np.arange(index.shape[1]) < np.array([[len(m.validation)] for m in members])
        self.validation, self.valid = torch.from_numpy(index).to(device), torch.from_numpy(valid).to(device)

    def start(self) -> dict[str, Tensor]:
        """The state before the first epoch: one row a member, in the order of the members."""
        weights, e = self.stack.flat, len(self.members)
        said = {}
        if self.protocol.knowledge == "training" and "teacher" in self.terms:
            for name, width in (("soft", len(self.spec.classes)), ("attention", self.spec.segments)):
                said |= {key: torch.zeros(e, len(self.windows) + 1, width) for key in (name, f"best_{name}")}
        return {
            **said,
            "member": torch.arange(e),
            "weights": weights.clone(),
            "mean": torch.zeros_like(weights),  # Adam's moments and its count of steps
            "square": torch.zeros_like(weights),
            "steps": torch.zeros(e, dtype=torch.float32),
            "best": weights.clone(),
            "best_score": torch.full((e,), -torch.inf, dtype=torch.float64),
            "best_epoch": torch.zeros(e, dtype=torch.int64),
            "stopped": torch.zeros(e, dtype=torch.int64),  # after which epoch, 0 while it trains
            "history": torch.zeros(e, self.epochs, len(HISTORY), dtype=torch.float64),
        }

    def key(self) -> str:
        """Changes with everything that the result depends on: PyTorch, code, windows, settings, members."""
        bounds = fingerprint(self.least.cpu().numpy(), self.most.cpu().numpy())
        settings = f"{bounds} {self.patience} {self.device.type} {self.protocol}"
        parts: list = [
            torch.__version__,
            code("rdpd_nb.training"),
            self.windows.fingerprint,
            self.windows.view,
            str(self.spec),
            settings,
        ]
        for m in self.members:
            parts += [f"{m.seed} {m.method} {m.noise} {m.noise_kind}", m.train, m.validation, m.mean, m.std]
            parts += [m.unlabelled] if len(m.unlabelled) else []
            if m.knowledge:
                parts += [m.knowledge.window, m.knowledge.soft_labels, m.knowledge.attention]
        return fingerprint(*parts)

    def results(self, state: dict[str, Tensor], done: int) -> list[dict]:
        """For every member, in the order given, the fields of `training.Fitted`."""
        found = {}
        for row, e in enumerate(state["member"].tolist()):
            curves = state["history"][row, : int(state["stopped"][row]) or done].T
            said = tuple(state[f"best_{n}"][row, :-1].cpu().numpy() for n in ("soft", "attention") if n in state)
            found[e] = {
                "model": self.stack.member(e, state["best"][row]).eval(),
                "best_epoch": int(state["best_epoch"][row]),
                "allowed": int(self.most[e]),
                "selected_by": "validation loss" if bool(curves[-1].isnan().any()) else "validation ROC-AUC",
                "history": {name: curve.tolist() for name, curve in zip(HISTORY, curves, strict=True)},
                "said_in_training": said or None,
            }
        return [found[e] for e in range(len(self.members))]


def padded(indices: Sequence[np.ndarray]) -> np.ndarray:
    """Index arrays of different lengths as one (E, longest), padded with window 0.

    To a multiple of 16: the library rounds differently where a row of numbers does not fill its vectors, and which
    number that meets would hang on who is evaluated beside.
    """
    longest = -(-max(map(len, indices)) // 16) * 16
    return np.stack([np.pad(i, (0, longest - len(i))) for i in indices]).astype(np.int64)
