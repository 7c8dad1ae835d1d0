"""benchmarks/results.png from what is in results.json."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import training
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from rdpd_nb.data import SPECS
from rdpd_nb.figures import set_style
from rdpd_nb.files import replace_file

# Okabe and Ito's colours, as in the figures of the paper.
DATASET_COLOURS = {"pamap2": "#0072B2", "ptbdb": "#D55E00", "mimic3": "#009E73", "uci_har": "#CC79A7"}
MARKERS = {"pamap2": "o", "ptbdb": "s", "mimic3": "^", "uci_har": "D"}
PLAIN, STACK = "#999999", "#0072B2"
PLAIN_NUMBER = FuncFormatter(lambda value, _: f"{value:g}")


def save(result: dict, path: Path) -> None:
    set_style()
    figure, axes = plt.subplots(1, 3, figsize=(13.5, 4.2), width_ratios=(1.25, 1.1, 1))
    _ratios(axes[0], result["rows"], result["geometric_means"])
    _readers(axes[1], result["readers"])
    _hours(axes[2], result["projection"]["hours"])
    with replace_file(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})
    plt.close(figure)


def _ratios(axis: Axes, rows: list[dict], means: dict[str, float]) -> None:
    """For each of the six models, 10 members at once: against one plain loop, and against a plain loop on each core."""
    rows = [row for row in rows if row["members"] == 10]
    looks = {"ratio": (-0.2, 0.45, "one plain loop on all threads"), "ratio_per_core": (0.2, 1, "a plain loop a core")}
    for x, row in enumerate(rows):
        for name, (shift, alpha, _) in looks.items():
            colour = DATASET_COLOURS[row["dataset"]]
            axis.bar(x + shift, row[name], 0.38, color=colour, alpha=alpha, edgecolor=colour, linewidth=0.8)
            axis.annotate(
                f"{row[name]:.1f}", (x + shift, row[name]), (0, 2), textcoords="offset points", ha="center",
                fontsize="small",
            )  # fmt: skip
    axis.axhline(1, color="black", linewidth=1.2)
    axis.set_xlim(-0.6, len(rows) - 0.4)
    axis.set_xticks(range(len(rows)), [training.label(row).replace(" ", "\n", 1) for row in rows], fontsize="small")
    axis.set_ylim(0, 1.25 * max(row[name] for row in rows for name in looks))
    axis.grid(False, axis="x")
    axis.set(title="Training 10 models at once: how many times quicker than", ylabel="ratio of time per model and step")
    axis.legend(
        handles=[
            Patch(color="#555555", alpha=alpha, label=f"{words} (geometric mean {means[name]:.1f})")
            for name, (_, alpha, words) in looks.items()
        ],
        loc="upper left",
        fontsize="small",
    )


def _readers(axis: Axes, readers: dict) -> None:
    """Seconds against size, both logarithmic, with a guide of slope 1."""
    for dataset, entry in readers.items():
        axis.plot(
            [row["mb"] for row in entry["rows"]],
            [row["seconds"] for row in entry["rows"]],
            marker=MARKERS[dataset],
            color=DATASET_COLOURS[dataset],
            label=f"{SPECS[dataset].title} (slope {entry['slope']:.2f})",
        )
    rows = [row for entry in readers.values() for row in entry["rows"]]
    sizes = np.array([min(row["mb"] for row in rows), max(row["mb"] for row in rows)])
    rate = max(row["mb_per_second"] for row in rows) * 1.6  # below all the curves
    axis.plot(sizes, sizes / rate, color="black", linestyle=":", linewidth=1.2, label="linear (slope 1)")
    axis.set(
        xscale="log",
        yscale="log",
        title="Reading raw files (simulated)\nwith an empty cache",
        xlabel="raw files (MB)",
        ylabel="seconds",
    )
    axis.set_xticks([t for t in (10, 20, 50, 100, 200, 500, 1000, 2000) if sizes[0] * 0.8 < t < sizes[1] * 1.2])
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_formatter(PLAIN_NUMBER)
        one.set_minor_formatter(NullFormatter())
    axis.legend(loc="upper left", fontsize="small")
    low, high = axis.get_ylim()
    axis.set_ylim(low, high * 4)  # room for the legend


def _hours(axis: Axes, hours: dict) -> None:
    """Hours of the whole paper, plain and stacked, part by part."""
    names = list(hours)
    y = np.arange(len(names))
    for offset, key, colour, text in (
        (-0.2, "plain_hours", PLAIN, "plain loop a core"),
        (0.2, "stack_hours", STACK, "stack"),
    ):
        values = [hours[name][key] for name in names]
        bars = axis.barh(y + offset, values, 0.38, color=colour, label=text)
        axis.bar_label(bars, fmt=lambda value: f"{value:.1f}", padding=2, fontsize="small")
    axis.set_yticks(y, [name.replace("total", "whole paper") for name in names])
    axis.invert_yaxis()
    axis.grid(False, axis="y")
    axis.set_xlim(0, 1.15 * max(entry["plain_hours"] for entry in hours.values()))
    axis.set(title="The paper's training on this machine\n(projected: 10 seeds, 200 epochs)", xlabel="hours")
    axis.legend(loc="upper right", fontsize="small")
