"""One notebook run: its checked parameters, the places of its files, and what its cells start from.

No other module knows paths. Made by `params.check`.
"""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import data
from .errors import UserError
from .files import place, root
from .paper import Protocol

RELATED = "related"  # stands in the place of a data set where a run is another system's: results/<profile>/related/...
# What each data set may have its own way.
OWN = ("source", "raw", "scale", "seeds", "epochs", "patience", "updates", "labelled")


@dataclass(frozen=True)
class Run:
    """The checked parameters of one notebook run (`run.seeds`, `run.epochs`, ...) and what follows from them."""

    notebook: str
    parameters: dict[str, Any]
    began: float = field(default_factory=time.perf_counter, compare=False, repr=False)  # seconds, when it was checked

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["parameters"][name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def datasets(self) -> list[str]:
        """The run's data sets; of a notebook of one data set, that one; none where it is of another system's task."""
        if "task" in self.parameters:
            return []
        return list(self.parameters.get("datasets") or [self.parameters["dataset"]])

    def of(self, dataset: str) -> dict[str, Any]:
        """How a data set is read and its models are trained: `OWN` and the switches of the protocol."""
        own = self.parameters["datasets"][dataset] if "datasets" in self.parameters else self.parameters
        return {**{name: own[name] for name in OWN}, "switches": self.parameters["switches"]}

    @property
    def protocol(self) -> Protocol:
        return Protocol(**self.parameters["switches"])

    @property
    def spec(self) -> data.Spec:
        return self.protocol.adapt(data.SPECS[self.parameters["dataset"]])

    @property
    def results_root(self) -> Path:
        """results/<profile>, where `files.place` has `results`."""
        return place(self.parameters["results"]) / self.parameters["profile"]

    @property
    def figures_folder(self) -> Path:
        """figures/<profile>; inside the results folder where that is not the project's own."""
        base = self.results_root.parent
        return (root() if base == root() / "results" else base) / "figures" / self.parameters["profile"]

    def path(self, name: str, view: str | None = None, dataset: str | None = None) -> Path:
        """results/<profile>/<dataset>/<view>/<name>; of another system results/<profile>/related/<task>/<name>."""
        if "task" in self.parameters:
            dataset, view = RELATED, self.task
        return self.results_root / (dataset or self.dataset) / (view or self.view) / name

    def record_path(self, name: str, view: str | None = None, dataset: str | None = None) -> Path:
        """The record of a method (or of 'preprocessing', a sweep) of one view."""
        return self.path(f"{name}.json", view, dataset)

    @property
    def checkpoints(self) -> Path:
        """Where trainings of this notebook keep their state until the record is written."""
        return self.path(f"{self.notebook}.checkpoints")

    @property
    def teachers(self) -> Path:
        """Where 08_rich_data_size keeps its teachers, which are the same for every poor view."""
        return self.path("rich_data_size.teachers", "all")

    @property
    def knowledge_path(self) -> Path:
        """What the teacher of this data set handed over."""
        return self.path("teacher.knowledge.safetensors", "all")

    @property
    def training(self) -> dict[str, Any]:
        """How this run trains: `fit(members, windows, **run.training)`."""
        given = {name: self.parameters[name] for name in ("epochs", "device", "patience", "updates")}
        return {**given, "checkpoints": self.checkpoints}

    def load(self, view: str | None = None, protocol: Protocol | None = None) -> data.Windows:
        """Windows of the run's view (or another one) of its data set, under the run's protocol (or another one)."""
        p = self.parameters
        windows = data.load(p["dataset"], view or p["view"], p["source"], p["raw"], float(p["scale"]))
        return windows.under(protocol or self.protocol)

    def splits(self, windows: data.Windows) -> dict[int, data.Split]:
        """The split of each of the run's seeds. Raises UserError for a fold beyond the last person."""
        people = len(set(windows.subject.tolist()))
        beyond = [seed for seed in self.parameters["seeds"] if seed >= people]
        if windows.spec.split == "folds" and beyond:  # it would be an earlier one again, counted twice
            raise UserError(
                f"{windows.spec.title}: a seed is a fold here, one of {people} people left out, and {beyond} are none; "
                f"use seeds below {people}, e.g. in the profile's `datasets` as its own."
            )
        return {seed: data.split(windows, seed) for seed in self.parameters["seeds"]}

    def note(self, with_view: bool = True) -> str:
        """What every title says of the data: 'PAMAP2, Wrist, simulated data'. All channels need no mention."""
        view = self.parameters["view"]
        shown = [self.spec.view_titles[view]] if with_view and view != "all" else []
        source = "simulated" if self.parameters["source"] == "simulated" else "real"
        share = self.parameters["labelled"]
        few = [] if share == 1 else [f"labels of {share:.0%} of the people"]
        return ", ".join([self.spec.title, *shown, f"{source} data", *few])

    def __str__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
