"""What the whole paper costs on this machine: the measured milliseconds times the steps there are.

All that is assumed stands in ASSUMPTIONS and in the numbers below; `project` prints it.
"""

from math import ceil

import yaml

from rdpd_nb.data import SPECS
from rdpd_nb.files import root
from rdpd_nb.paper import BATCH_SIZE, STUDENT_METHODS, published

# PAMAP2: windows of the nine subjects as simulated at scale 1, of which 101 (test) and 105 (validation) hold about the
# share that they have of the labelled rows in the real files.
PAMAP2_WINDOWS, PAMAP2_ROWS, PAMAP2_HELD_OUT = 18_731, 1_942_872, {"101": 249_957, "105": 272_442}
# PTBDB: records of the six groups, of 549; their mean length from Table 1's rows at 1000 Hz.
PTBDB_RECORDS, PTBDB_SECONDS = 508, published()["table1"]["ptbdb"]["total_length"] / 549 / 1000
TRAIN_SHARE = 0.8  # of the subjects, PTBDB and MIMIC-III

TRAIN_WINDOWS = {
    "pamap2": round(PAMAP2_WINDOWS * (1 - sum(PAMAP2_HELD_OUT.values()) / PAMAP2_ROWS)),
    "ptbdb": round(PTBDB_RECORDS * ((PTBDB_SECONDS - 10) // 5 + 1) * TRAIN_SHARE),  # 10 s every 5 s
    "mimic3": round(published()["table1"]["mimic3"]["subjects"] * TRAIN_SHARE),  # one window a subject
}
MEASURED_VIEW = {"pamap2": "wrist", "ptbdb": "lead_i", "mimic3": "hr"}  # whose time stands for every poor view
FIGURE2_METHODS, FIGURE3_METHODS = ("kd", "rdpd"), ("direct", "rdpd")  # Figure 2's Direct is one a seed

ASSUMPTIONS = (
    f"training windows: PAMAP2 {TRAIN_WINDOWS['pamap2']:,} ({PAMAP2_WINDOWS:,} less subjects 101 and 105); "
    f"PTBDB {TRAIN_WINDOWS['ptbdb']:,} ({PTBDB_RECORDS} records of the six groups, {PTBDB_SECONDS:.0f} s each, 10 s "
    f"every 5 s, 80 %); MIMIC-III {TRAIN_WINDOWS['mimic3']:,} (80 % of the subjects)",
    "every model trains all epochs: no early stop",
    "every poor view and method costs what the measured view of its data set costs with all four losses of RDPD",
    "plain loop: one model after another on each core, validation free",
    "stack: with validation (1/12 of the training windows)",
    "stack: a table row is one stack of 10 (seeds), a figure's students one stack at the rate of 50, its teachers at "
    "that of 10; the teachers of Figure 2 train on their fraction of the windows, once for all views",
    "not counted: reading, starting notebooks, knowledge, test scores, plots",
)


def model_steps() -> list[tuple[str, str, str, int, int, int]]:
    """(part of the paper, data set, measured view, members of the measured stack, models, model-steps) of all there is.

    Seeds, epochs, views and levels are those of profiles/paper.yaml.
    """
    profile = yaml.safe_load((root() / "profiles" / "paper.yaml").read_text())
    seeds, epochs, sweeps = len(profile["seeds"]), profile["epochs"], profile["sweeps"]

    def steps(dataset: str, fraction: float = 1.0, of_epochs: int = epochs) -> int:
        return of_epochs * ceil(fraction * TRAIN_WINDOWS[dataset] / BATCH_SIZE)

    parts = []
    for dataset in TRAIN_WINDOWS:
        table, poor = f"{SPECS[dataset].table_file.replace('table', 'Table ')}", MEASURED_VIEW[dataset]
        parts.append((table, dataset, "all", 10, seeds, seeds * steps(dataset)))
        students = seeds * len(STUDENT_METHODS) * len(SPECS[dataset].poor_views)
        parts.append((table, dataset, poor, 10, students, students * steps(dataset)))
    for dataset, views in sweeps["views"].items():
        poor, full = MEASURED_VIEW[dataset], steps(dataset, 1.0, sweeps["epochs"])
        fractions, levels = sweeps["fractions"], len(sweeps["amplitudes"])
        teaching = seeds * sum(steps(dataset, f, sweeps["epochs"]) for f in fractions)
        parts.append(("Figure 2", dataset, "all", 10, seeds * len(fractions), teaching))  # the same for every view
        for _ in views:
            students = seeds * (1 + len(FIGURE2_METHODS) * len(fractions))
            parts.append(("Figure 2", dataset, poor, 50, students, students * full))
            students = seeds * len(FIGURE3_METHODS) * levels
            parts.append(("Figure 3", dataset, poor, 50, students, students * full))
    return parts


def project(rows: list[dict]) -> dict:
    """Hours of the plain loop and of the stack for the whole paper, printed and returned."""
    measured = {(r["dataset"], r["view"], r["members"]): r for r in rows}
    hours: dict[str, dict] = {}
    for part, dataset, view, members, models, steps in model_steps():
        row = measured[dataset, view, members]
        for name in (part, "total"):
            sums = hours.setdefault(name, {"models": 0, "plain_hours": 0.0, "stack_hours": 0.0})
            sums["models"] += models
            sums["plain_hours"] += row["plain_per_core_ms"] * steps / 3.6e6
            sums["stack_hours"] += row["stack_ms"] * steps / 3.6e6
    hours["total"] = hours.pop("total")  # last
    table_rows = sum(1 + len(STUDENT_METHODS) * len(SPECS[d].poor_views) for d in TRAIN_WINDOWS)
    print(f"\nthe whole paper ({table_rows} table rows and Figures 2, 3), hours of training, projected")
    print("            models   plain loop     stack    ratio")
    for name, sums in hours.items():
        sums["ratio"] = sums["plain_hours"] / sums["stack_hours"]
        print(
            f"{name:10s} {sums['models']:7d} {sums['plain_hours']:10.1f} h {sums['stack_hours']:7.1f} h"
            f" {sums['ratio']:7.2f}x"
        )
    print("assumed:", *(f"- {line}" for line in ASSUMPTIONS), sep="\n  ", flush=True)
    return {
        "hours": hours,
        "table_rows": table_rows,
        "training_windows": TRAIN_WINDOWS,
        "assumptions": list(ASSUMPTIONS),
    }
