"""What the paper fixes: a spec for each data set, the methods with their loss terms, the published tables.

Sizes are those that reproduce Table 5 exactly. UCI HAR is not in the paper; it is here because anyone can fetch it.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Literal, get_args, get_type_hints

BATCH_SIZE = 128
LEARNING_RATE = 1e-3
DROPOUT = 0.5


@dataclass(frozen=True)
class Size:
    """Size of one RCNN (Section 3.1): filters of each convolution, hidden units per direction of the BiLSTM."""

    filters: tuple[int, ...]  # one entry a convolution that is used
    hidden: int  # U, per direction
    phantom: int = 0  # filters of a second convolution that is allocated but never used (Table 5 counts it)


@dataclass(frozen=True)
class Spec:
    """One data set as the paper uses it.

    `length`, `segment` and `hop` count samples at `rate`; `views` maps a view to the channels it sees.
    """

    name: str
    title: str
    rate: str  # sampling rate of the windows, in words
    channels: tuple[str, ...]
    units: str
    classes: tuple[str, ...]
    views: dict[str, tuple[int, ...]]
    view_titles: dict[str, str]  # as the paper's tables print them
    length: int  # l, samples a window
    segment: int  # S, samples a segment
    hop: int  # samples from one window to the next inside a recording
    kernel: int
    stride: int
    teacher: Size
    student: Size
    temperature: float  # T
    split: str  # 'subjects' (fixed), 'random' (80/10/10 of the subjects, drawn by seed) or 'official' (test given)
    validation_subjects: tuple[int, ...] = ()
    test_subjects: tuple[int, ...] = ()
    held_out: float = 0.1  # of a random split: share of the subjects for validation, and again for test
    table: str = ""  # key of its table in published.json

    @property
    def segments(self) -> int:
        """M, segments a window."""
        return self.length // self.segment

    @property
    def table_file(self) -> str:
        """Name of its table of scores under figures/<profile>/: 'table2', or 'table_<name>' beside the paper's."""
        return self.table.split("_")[0] if self.table else f"table_{self.name}"

    @property
    def poor_views(self) -> tuple[str, ...]:
        return tuple(view for view in self.views if view != "all")

    def size(self, view: str) -> Size:
        return self.teacher if view == "all" else self.student


IMU_CHANNELS = (
    "temperature",
    *(f"acc16_{axis}" for axis in "xyz"),
    *(f"acc6_{axis}" for axis in "xyz"),
    *(f"gyro_{axis}" for axis in "xyz"),
    *(f"mag_{axis}" for axis in "xyz"),
    *(f"orientation_{i}" for i in range(4)),
)
LEADS = ("i", "ii", "iii", "avr", "avl", "avf", "v1", "v2", "v3", "v4", "v5", "v6", "vx", "vy", "vz")

SPECS = {
    spec.name: spec
    for spec in (
        Spec(
            name="pamap2",
            title="PAMAP2",
            rate="50 Hz",
            channels=("heart_rate", *(f"{s}_{c}" for s in ("hand", "chest", "ankle") for c in IMU_CHANNELS)),
            units="raw units",
            classes=(
                "lying",
                "sitting",
                "standing",
                "walking",
                "running",
                "cycling",
                "Nordic walking",
                "ascending stairs",
                "descending stairs",
                "vacuum cleaning",
                "ironing",
                "rope jumping",
            ),
            views={
                "all": tuple(range(52)),
                "wrist": tuple(range(1, 18)),
                "chest": tuple(range(18, 35)),
                "ankle": tuple(range(35, 52)),
            },
            view_titles={"all": "All", "wrist": "Wrist", "chest": "Chest", "ankle": "Ankle"},
            length=256,
            segment=64,
            hop=50,
            kernel=8,
            stride=4,
            teacher=Size((64,), 32, phantom=128),
            student=Size((16,), 8, phantom=32),
            temperature=5.0,
            split="subjects",
            validation_subjects=(105,),
            test_subjects=(101,),
            table="table2_pamap2",
        ),
        Spec(
            name="ptbdb",
            title="PTBDB",
            rate="200 Hz",
            channels=LEADS,
            units="mV",
            classes=(
                "myocardial infarction",
                "healthy control",
                "cardiomyopathy or heart failure",
                "bundle branch block",
                "dysrhythmia",
                "hypertrophy",
            ),
            views={"all": tuple(range(15)), "lead_i": (0,)},
            view_titles={"all": "All", "lead_i": "Lead I"},
            length=2000,
            segment=500,
            hop=1000,
            kernel=32,
            stride=8,
            teacher=Size((64, 128), 32),
            student=Size((16, 32), 8),
            temperature=5.0,
            split="random",
            table="table3_ptbdb",
        ),
        Spec(
            name="mimic3",
            title="MIMIC-III",
            rate="1 per hour",
            channels=("heart_rate", "respiratory_rate", "bp_mean", "bp_systolic", "bp_diastolic", "spo2"),
            units="bpm, 1/min, mmHg, %",
            classes=(
                "acute myocardial infarction",
                "chronic ischaemic heart disease",
                "heart failure",
                "intracerebral haemorrhage",
                "specified procedure complications",
                "lung disease",
                "endocardium disease",
                "septicaemia",
            ),
            views={"all": tuple(range(6)), "bp": (3, 4), "hr": (0,), "rr": (1,)},
            view_titles={"all": "All", "bp": "BP", "hr": "HR", "rr": "RR"},
            length=48,
            segment=12,
            hop=48,
            kernel=4,
            stride=2,
            teacher=Size((64,), 32, phantom=128),
            student=Size((16,), 8, phantom=32),
            temperature=2.5,
            split="random",
            table="table4_mimic3",
        ),
        Spec(
            name="uci_har",
            title="UCI HAR",
            rate="50 Hz",
            channels=tuple(f"{signal}_{axis}" for signal in ("body_acc", "body_gyro", "total_acc") for axis in "xyz"),
            units="g and rad/s",
            classes=("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying"),
            views={"all": tuple(range(9)), "gyro": (3, 4, 5), "acc": (6, 7, 8)},
            view_titles={"all": "All", "gyro": "Gyroscope", "acc": "Accelerometer"},
            length=128,
            segment=32,
            hop=128,
            kernel=8,
            stride=4,
            teacher=Size((64,), 32, phantom=128),
            student=Size((16,), 8, phantom=32),
            temperature=5.0,
            split="official",
        ),
    )
}


@dataclass(frozen=True)
class Protocol:
    """What the paper's text leaves open or the released code does otherwise: one switch each, the text's by default.

    The last two are neither: with them notebook 11 takes apart why imitation can do harm.
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
    soft_scale: Literal["T2", "1"] = "T2"  # factor of L_soft, Eq. 12

    def spec(self, dataset: str) -> Spec:
        """The data set's spec under this protocol."""
        spec = SPECS[dataset]
        if self.temperature == "5":
            spec = replace(spec, temperature=5.0)
        if dataset == "pamap2" and self.pamap2_held_out == "101_105":
            spec = replace(spec, validation_subjects=(101,), test_subjects=(105,))
        if dataset == "mimic3" and self.mimic3_split == "90_5_5":
            spec = replace(spec, held_out=0.05)
        return spec


PAPER = Protocol()  # the text's
SWITCHES = {name: get_args(hint) for name, hint in get_type_hints(Protocol).items()}  # allowed values, the text's first
NOT_RELEASED = ("teacher_temperature", "soft_scale")  # switches that the released code has as the text


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
METRICS = {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC", "macro_f1": "macro-F1"}


@cache
def published() -> dict:
    """Tables 1-5 as printed: nested dicts, each score `[mean, standard deviation]` over 10 seeds."""
    return json.loads(resources.files("rdpd_nb").joinpath("published.json").read_text())


def published_score(dataset: str, view: str, method: str, metric: str) -> tuple[float, float] | None:
    """Mean and standard deviation the paper prints for one cell, None where it prints none."""
    spec = SPECS[dataset]
    if not spec.table:
        return None
    cell = published()[spec.table].get(spec.view_titles[view], {}).get(METHODS[method].title)
    return tuple(cell[metric]) if cell else None
