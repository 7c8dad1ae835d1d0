"""What the paper fixes: the methods with their loss terms, the protocol with its switches, the published tables.

What it fixes of each data set stands in that data set's file under `rdpd_nb/data/`.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Literal, get_args, get_type_hints

if TYPE_CHECKING:  # `data` imports this module
    from .data.spec import Spec

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
DROPOUT = 0.5


@dataclass(frozen=True)
class Protocol:
    """What the paper's text leaves open or the released code does otherwise: one switch each, the text's by default.

    The last four are neither: with three of them notebooks 8 and 11 take apart why imitation can do harm; the last is
    for knowledge that leaves the house.
    """

    # Where the teacher's knowledge comes from: one pass of the kept checkpoint in evaluation mode, or what came out
    # batch by batch, dropout on and weights moving, in the epoch with the best validation ROC-AUC.
    knowledge: Literal["checkpoint", "training"] = "checkpoint"
    batch_order: Literal["each_epoch", "once"] = "each_epoch"  # when the training windows are shuffled
    attention_kl: Literal["student_teacher", "teacher_student"] = "student_teacher"  # KL(A_p || A_r), or the other way
    short_batch: Literal["mean", "over_128"] = "mean"  # L_soft and L_att of the short last batch: divided by what
    temperature: Literal["by_data_set", "5"] = "by_data_set"
    pamap2_held_out: Literal["105_101", "101_105"] = "105_101"  # validation and test subject
    mimic3_split: Literal["80_10_10", "90_5_5"] = "80_10_10"
    noise_on: Literal["poor_view", "all_channels"] = "poor_view"  # all channels: the teacher is noisy too
    macro_f1: Literal["threshold", "argmax"] = "threshold"
    teacher_temperature: Literal["T", "1"] = "T"  # in the teacher's training, Eq. 8
    soft_scale: Literal["T2", "T", "1", "1/T", "1/T2"] = "T2"  # factor of L_soft, Eq. 12
    # Where the teacher knows but some of the training windows (Figure 2): L_soft and L_att are means over these, so
    # that their weight stays, or over all windows, so that it falls with the fraction.
    few_rich: Literal["taught", "all"] = "taught"
    # How much of each window is in the knowledge: all that the teacher says, rounded, or the mean of its class.
    detail: Literal["full", "2_decimals", "1_decimal", "class_means"] = "full"

    def adapt(self, spec: "Spec") -> "Spec":
        """A data set's spec under this protocol."""
        if self.temperature == "5":
            spec = replace(spec, temperature=5.0)
        if spec.name == "pamap2" and self.pamap2_held_out == "101_105":
            spec = replace(spec, validation_subjects=(101,), test_subjects=(105,))
        if spec.name == "mimic3" and self.mimic3_split == "90_5_5":
            spec = replace(spec, held_out=0.05)
        return spec


PAPER = Protocol()  # the text's
SWITCHES = {name: get_args(hint) for name, hint in get_type_hints(Protocol).items()}  # allowed values, the text's first
NOT_RELEASED = (
    "teacher_temperature",
    "soft_scale",
    "few_rich",
    "detail",
)  # switches that the released code has as the text


@dataclass(frozen=True)
class Method:
    """A row of Tables 2-4: its printed name and the loss terms whose unweighted sum it minimises."""

    name: str
    title: str
    terms: tuple[str, ...]  # names of functions in rdpd_nb.losses, without '_loss'
    notebook: str


METHODS = {
    method.name: method
    for method in (
        Method("teacher", "Teacher", ("teacher",), "02_teacher"),
        Method("direct", "Direct", ("hard",), "03_direct"),
        Method("kd", "Distill", ("hard", "soft"), "04_knowledge_distillation"),
        Method("rdpd_r1", "RDPDr1", ("hard", "soft", "combined"), "05_rdpd_r1"),
        Method("rdpd_r2", "RDPDr2", ("hard", "soft", "attention"), "06_rdpd_r2"),
        Method("rdpd", "RDPD", ("hard", "soft", "combined", "attention"), "07_rdpd"),
    )
}
STUDENT_METHODS = tuple(name for name in METHODS if name != "teacher")
ANCHOR = Method("logistic", "Logistic regression", (), "01_preprocessing")  # what the networks are held against
METRICS = {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC", "macro_f1": "macro-F1"}


def terms_of(method: str) -> tuple[str, ...]:
    """The loss terms of a method of METHODS, or of one that spells them out: 'hard+attention'."""
    return METHODS[method].terms if method in METHODS else tuple(method.split("+"))


def title_of(method: str) -> str:
    """What tables call a method; one that spells out its terms has no other name."""
    return next((known.title for known in (*METHODS.values(), ANCHOR) if known.name == method), method)


@cache
def published() -> dict:
    """Tables 1-5 as printed: nested dicts, each score `[mean, standard deviation]` over 10 seeds."""
    return json.loads(resources.files("rdpd_nb").joinpath("published.json").read_text())


def published_score(spec: "Spec", view: str, method: str, metric: str) -> tuple[float, float] | None:
    """Mean and standard deviation the paper prints for one cell, None where it prints none."""
    if not spec.table:
        return None
    cell = published()[spec.table].get(spec.view_titles[view], {}).get(METHODS[method].title)
    return tuple(cell[metric]) if cell else None
