"""Your own sensors: from arrays of rich and poor channels to students that can be scored, saved and used.

    study = fit_students(x_rich, x_poor, y, subject, classes=["no LVH", "LVH"], rate=200, segment=250)
    study.scores(); study.paired("rdpd", "direct"); study.plot()
    study.save("student/", method="rdpd")

The road of notebooks 1 to 7 in memory, with the same models, losses, splits and seeds: on the same recordings it gives
the same numbers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import statistics, training
from .anchor import fit_anchor
from .captions import seeds_word, shows_people
from .clinical import FEW_PEOPLE
from .data.pairs import pair
from .data.windows import Split, Windows, split
from .errors import UserError
from .evaluation import people_resampled
from .knowledge import extract_knowledge
from .paper import ANCHOR, METRICS, STUDENT_METHODS, Protocol, terms_of, title_of
from .params import KINDS
from .records import BY_PERSON, seed_entry
from .student import Student
from .tables import split_ratio
from .training import Fitted

if TYPE_CHECKING:  # slow to import
    import pandas as pd
    from matplotlib.figure import Figure

TERMS = ("hard", "soft", "combined", "attention")  # of a student
PARTS = ("train", "validation", "test")
CHECKED = ("seeds", "epochs", "patience", "updates", "labelled", "device", "switches")  # as a notebook's parameters


def fit_students(
    x_rich: Any,
    x_poor: Any,
    y: Sequence,
    subject: Sequence,
    *,
    classes: Sequence[str],
    rate: float,
    segment: int,
    length: int | None = None,
    hop: int | None = None,
    methods: Sequence[str] = ("direct", "kd", "rdpd"),
    seeds: Sequence[int] = range(6),
    rich_channels: Sequence[str] | None = None,
    poor_channels: Sequence[str] | None = None,
    units: str = "",
    temperature: float = 5.0,
    labelled: float = 1.0,
    folds: bool = False,
    held_out: float = 0.2,
    epochs: int = 2000,
    patience: int = 20,
    updates: Sequence[int] = (500, 5000),
    switches: dict[str, str] | None = None,
    device: str = "auto",
    title: str = "own data",
    checkpoints: str | Path | None = None,
    progress: Callable[[str], None] | None = print,
    **sizes: Any,
) -> "Study":
    """Train a teacher on rich channels and students on poor ones, for several seeds, to a plateau, and test them.

    x_rich (n, l, D) and x_poor (n, l, d): windows, row for row of the same instants, in raw units, NaN where nothing
    was measured; or two lists of n recordings (rows, D) and (rows, d) of any length, cut into windows of `length`
    samples every `hop`. x_poor may also be a list of those `rich_channels` that the student sees. y (n,): each one's
    class, as a number from 0 or by name, None or NaN where nobody labelled it: there the teacher alone speaks.
    subject (n,): whose it is; nobody is in two parts of a split. rate: in Hz; segment: in samples, a part of a window.

    methods: of 'direct', 'kd', 'rdpd_r1', 'rdpd_r2', 'rdpd', or loss terms spelled out, 'hard+attention'. A share
    `held_out` of the subjects validates and as many are tested, drawn by seed and stratified; with `folds` a seed is
    the number of the subject that is left out. labelled: as the notebooks' parameter, to see what fewer labels do.
    A model trains until its validation ROC-AUC has not risen for `patience` epochs, within `updates`, the least and the
    most steps of Adam. switches: of `paper.Protocol`. sizes: kernel, stride, teacher and student (`data.spec.Size`),
    else the paper's by the length of a segment. checkpoints: a folder, where a training that was killed goes on.

    Raises UserError, in one sentence, for whatever does not fit.
    """
    seeds, updates = _list(seeds), _list(updates)
    given = {"seeds": seeds, "epochs": epochs, "patience": patience, "updates": updates, "labelled": labelled}
    given |= {"device": device, "switches": switches or {}}
    for name in CHECKED:
        fits, words = KINDS[name]
        if not _fits(fits, given[name]):
            raise UserError(f"{name} is {given[name]!r}; it should be {words}.")
    methods, progress = _methods(methods), progress or (lambda line: None)
    if checkpoints is not None and not isinstance(checkpoints, str | Path):
        raise UserError(f"checkpoints is {checkpoints!r}; it should be a folder.")
    if not isinstance(folds, bool):
        raise UserError(f"folds is {folds!r}; it should be True or False.")
    if unknown := sorted(set(sizes) - {"kernel", "stride", "teacher", "student"}):
        raise UserError(f"fit_students has no argument '{unknown[0]}'; sizes are kernel, stride, teacher and student.")
    names = {"rich_channels": rich_channels, "poor_channels": poor_channels, "units": units, "title": title}
    windows = {"classes": classes, "rate": rate, "segment": segment, "length": length, "hop": hop}
    people = {"split": "folds" if folds else "random", "held_out": held_out, "temperature": temperature}
    rich, poor = pair(x_rich, x_poor, y, subject, **windows, **names, **people, **sizes)
    protocol = Protocol(**given["switches"])
    rich, poor = rich.under(protocol), poor.under(protocol)
    splits = _splits(poor, seeds)
    progress(_summary(rich, poor, splits, methods))
    how = {"epochs": epochs, "device": device, "patience": patience, "updates": updates, "progress": progress}
    fitted = _fit(rich, poor, splits, methods, labelled, Path(checkpoints) if checkpoints else None, how)
    settings = given | {"methods": list(methods)}
    return Study(rich, poor, splits, fitted, float(rate), settings)


def _fit(
    rich: Windows,
    poor: Windows,
    splits: dict[int, Split],
    methods: Sequence[str],
    labelled: float,
    checkpoints: Path | None,
    how: dict,
) -> dict[str, list[Fitted]]:
    """The teachers, and the students of all methods in one stack: for each method a model a seed."""
    say = how["progress"]
    kept = [{"checkpoints": checkpoints and checkpoints / of, "keep": True} for of in ("teachers", "students")]
    say("teachers, on the rich channels:")
    teachers = training.fit(training.make_members(rich, splits, "teacher", labelled=labelled), rich, **how, **kept[0])
    said = extract_knowledge(teachers, rich, how["device"], [part.train for part in splits.values()])
    taught = dict(zip(splits, said, strict=True))
    say("students, on the poor channels:")
    members = [m for method in methods for m in training.make_members(poor, splits, method, taught, labelled)]
    students = iter(training.fit(members, poor, **how, **kept[1]))
    return {"teacher": teachers} | {method: [next(students) for _ in splits] for method in methods}


@dataclass(frozen=True)
class Study:
    """What `fit_students` found: windows of both views, the split of each seed, and for each method a model a seed."""

    rich: Windows = field(repr=False)
    poor: Windows = field(repr=False)
    splits: dict[int, Split] = field(repr=False)
    fitted: dict[str, list[Fitted]] = field(repr=False)  # 'teacher' and the students' methods
    rate: float
    settings: dict[str, Any]

    # --------------------------------------------------------------------------------------------------- scores

    def probability(self, method: str, part: str = "test") -> list[np.ndarray]:
        """S(O, 1), Eq. 6, of each seed's model on the windows of a part ('train', 'validation', 'test'): (n, C)."""
        windows = self._windows(method)
        if part not in PARTS:
            raise UserError(f"there is no part {part!r}; use {', '.join(PARTS)}.")
        if part == "test":
            return self._tested[method]
        index = [getattr(self.splits[f.member.seed], part) for f in self.fitted[method]]
        return training.predict(self.fitted[method], windows, index, self.settings["device"])

    @cached_property
    def _tested(self) -> dict[str, list[np.ndarray]]:
        tests, device = [part.test for part in self.splits.values()], self.settings["device"]
        return {m: training.predict(f, self._windows(m), tests, device) for m, f in self.fitted.items()}

    @cached_property
    def entries(self) -> dict[str, list[dict]]:
        """By method an entry a seed, as a record has them: scores by window and person, kept epoch, counts.

        Two are of logistic regression, which the networks are held against: 'logistic' on the poor channels, and
        'Logistic regression, rich' on the rich ones.
        """
        found = {
            method: [
                seed_entry(f, p, self._windows(method), self.splits[f.member.seed])
                for f, p in zip(fitted, self.probability(method), strict=True)
            ]
            for method, fitted in self.fitted.items()
        }
        seen = {
            seed: replace(part, train=self.fitted["teacher"][i].member.train)  # those with a label
            for i, (seed, part) in enumerate(self.splits.items())
        }
        anchors = {f"{ANCHOR.title}, rich": self.rich, ANCHOR.name: self.poor}
        return {name: fit_anchor(windows, seen) for name, windows in anchors.items()} | found

    @cached_property
    def people(self) -> dict[str, dict[str, list]]:
        """By method and metric the mean score over seeds for other test people: a bootstrap of people.

        Nothing of fewer than FEW_PEOPLE, and where folds are people: then seeds are people already.
        """
        everyone = np.unique(np.concatenate([self.poor.subject[part.test] for part in self.splits.values()]))
        if len(everyone) < FEW_PEOPLE or not shows_people(self.poor.spec):
            return {method: {} for method in self.fitted}
        tests = [part.test for part in self.splits.values()]
        label, subject = ([of[i] for i in tests] for of in (self.poor.label, self.poor.subject))
        return {method: people_resampled(self.probability(method), label, subject) for method in self.fitted}

    @property
    def metrics(self) -> dict[str, str]:
        """What each metric is called: of two classes all are the positive one's, so that the macro-F1 is its F1."""
        return METRICS | ({"macro_f1": "F1"} if len(self.poor.spec.classes) == 2 else {})

    @property
    def ratio(self) -> float | None:
        """Test windows a training window, which intervals over drawn splits are corrected with."""
        counts = [part.counts()["windows"] for part in self.splits.values()]
        return split_ratio(self.poor.spec, *([count[part] for count in counts] for part in ("train", "test")))

    def scores(self) -> "pd.DataFrame":
        """A row a method and metric: mean and sd over seeds, 95 % intervals of the mean over seeds (low, high; none
        under six) and over people (people_low, people_high), and the number of seeds."""
        import pandas as pd

        rows = {}
        for method, entries in self.entries.items():
            for metric in (*METRICS, *(name for name in BY_PERSON if name in entries[0])):
                values = [entry[metric] for entry in entries]
                mean, deviation = statistics.mean_and_deviation(values) or (None, None)
                low, high = statistics.interval(values, self.ratio) or (None, None)
                draws = self.people.get(method, {}).get(metric, [])
                people_low, people_high = statistics.people_interval(draws) or (None, None)
                rows[title_of(method), metric] = {
                    **{"mean": mean, "sd": deviation, "low": low, "high": high},
                    **{"people_low": people_low, "people_high": people_high},
                    "seeds": sum(value is not None for value in values),
                }
        frame = pd.DataFrame.from_dict(rows, "index").rename_axis(["method", "metric"])
        bounds = ["low", "high", "people_low", "people_high"]
        frame[bounds] = frame[bounds].astype(float).clip(0, 1)
        return frame

    def paired(self, method: str, against: str, metric: str = "roc_auc") -> "pd.Series":
        """One method less another, seed by seed: difference, its 95 % intervals over seeds and over people, p (see
        `statistics.paired`; no interval over seeds and no p under six)."""
        import pandas as pd

        for name in (method, against):
            if name not in self.entries:
                raise UserError(f"this study has no method '{name}'; it has {', '.join(self.entries)}.")
        if metric not in self.entries[method][0]:
            raise UserError(f"there is no metric '{metric}'; use one of {', '.join(METRICS)}.")
        ours, other = ([entry[metric] for entry in self.entries[name]] for name in (method, against))
        draws = [self.people.get(name, {}).get(metric) for name in (method, against)]
        found = statistics.paired(ours, other, self.ratio, None if None in draws else tuple(draws))
        return pd.Series(found, name=f"{title_of(method)} less {title_of(against)}, {metric}")

    def plot(self) -> "Figure":
        """Scores of all methods by metric: mean, and the seeds (under six) or the 95 % interval over them."""
        from .figures import methods_scores  # slow to import

        entries = {title_of(method): (method, of) for method, of in self.entries.items()}
        words = f"{self.poor.spec.title}: test scores of {len(self.splits)} {seeds_word(self.poor.spec)}"
        return methods_scores(entries, self.metrics, words, self.ratio, seeds_word(self.poor.spec))

    # ------------------------------------------------------------------------------------------------- students

    def best_seed(self, method: str) -> int:
        """The seed whose model has the best validation score."""
        self._require(method)

        def best(f: Fitted) -> float:
            at, history = f.best_epoch - 1, f.history
            score = history["validation_roc_auc"][at]
            return -history["validation_loss"][at] if np.isnan(score) else score

        return max(self.fitted[method], key=best).member.seed

    def student(self, method: str = "rdpd", seed: int | None = None) -> Student:
        """The trained student of a seed (where none is named, the best by its validation score), to use or to save."""
        windows = self._windows(method)
        seed = self.best_seed(method) if seed is None else seed
        if seed not in self.splits:
            raise UserError(f"there is no seed {seed!r}; seeds are {', '.join(map(str, self.splits))}.")
        at, part = list(self.splits).index(seed), self.splits[seed]
        chosen = self.fitted[method][at]
        said, label, people = self.probability(method)[at], windows.label[part.test], windows.subject[part.test]
        drawn = people_resampled([said], [label], [people]) if len(np.unique(people)) >= FEW_PEOPLE else {}
        entry, scores = self.entries[method][at], {}
        for metric in (name for name in (*METRICS, *BY_PERSON) if name in entry):
            low, high = statistics.people_interval(drawn.get(metric, [])) or (None, None)
            scores[metric] = {"score": entry[metric], "low": low, "high": high}
        mean = statistics.mean_and_deviation([entry["roc_auc"] for entry in self.entries[method]])
        notes = [f"Models of {len(self.splits)} seeds have a ROC-AUC of {mean[0]:.3f} on average."] if mean else []
        if len(chosen.member.labelled) < len(part.train):
            notes.append(f"Of {len(part.train):,} training windows {len(chosen.member.labelled):,} had a label.")
        about = {"scores": scores, "counts": part.counts(), "notes": notes}
        return Student.of(chosen, windows, self.rate, self.poor.spec.units, about)

    def save(self, folder: str | Path, method: str = "rdpd", seed: int | None = None) -> Student:
        """Write that student's folder: weights, all that is needed to use it, and a model card. Returns the student."""
        student = self.student(method, seed)
        student.save(folder)
        return student

    def _windows(self, method: str) -> Windows:
        self._require(method)
        return self.rich if method == "teacher" else self.poor

    def _require(self, method: str) -> None:
        if method not in self.fitted:
            raise UserError(f"this study has no method '{method}'; it has {', '.join(self.fitted)}.")


# ------------------------------------------------------------------------------------------------------- checks


def _list(values: Any) -> Any:
    """A range, array or tuple as the list that a notebook's parameter would be; whatever else as it is."""
    return np.asarray(values).tolist() if isinstance(values, range | tuple | np.ndarray) else values


def _fits(fits: Callable[[Any], bool], value: Any) -> bool:
    try:
        return fits(value)
    except (TypeError, KeyError):
        return False


def _methods(methods: Sequence[str]) -> tuple[str, ...]:
    if isinstance(methods, str) or not isinstance(methods, Sequence) or not methods:
        raise UserError(f"methods is {methods!r}; it should be a list, e.g. ['direct', 'rdpd'].")
    for method in methods:
        terms = terms_of(method) if isinstance(method, str) else ()
        if method == "teacher" or not set(terms) <= set(TERMS) or not terms or len(set(terms)) < len(terms):
            raise UserError(
                f"there is no method {method!r}; use {', '.join(STUDENT_METHODS)}, or terms of {', '.join(TERMS)} with "
                "+ between them, as in 'hard+attention' (the teacher is always trained)."
            )
    if len(set(methods)) < len(methods):
        raise UserError("methods names one twice.")
    return tuple(methods)


def _splits(windows: Windows, seeds: list[int]) -> dict[int, Split]:
    """The split of each seed; every part of it holds every class."""
    people = len(np.unique(windows.subject[windows.label >= 0]))
    if windows.spec.split == "folds" and (beyond := [seed for seed in seeds if seed >= people]):
        raise UserError(f"with folds a seed is one of {people} subjects; {beyond[0]} is none: use 0 to {people - 1}.")
    splits = {seed: split(windows, seed) for seed in seeds}
    for seed, parts in splits.items():
        if windows.spec.split == "folds":
            for part in ("validation", "test"):
                if len(np.unique(windows.label[getattr(parts, part)])) < 2:
                    raise UserError(
                        "with folds every subject needs windows of two classes at least; "
                        f"{parts.subjects[part][0]} has one, and nothing could be scored: leave folds."
                    )
        for part in PARTS[:1] if windows.spec.split == "folds" else PARTS:
            there = windows.label[getattr(parts, part)]
            if absent := [name for c, name in enumerate(windows.spec.classes) if c not in there]:
                raise UserError(
                    f"the {part} part of seed {seed} has no window of class '{absent[0]}'; add people who have it, or "
                    "leave that seed out."
                )
    return splits


def _summary(rich: Windows, poor: Windows, splits: dict[int, Split], methods: Sequence[str]) -> str:
    counts = next(iter(splits.values())).counts()["windows"]
    parts = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    unlabelled = int((rich.label < 0).sum())
    no_label = f", {unlabelled:,} without a label" if unlabelled else ""
    seeds = f"{len(splits)} seed{'s' * (len(splits) > 1)}"
    return (
        f"{len(rich):,} windows of {len(np.unique(rich.subject)):,} subjects{no_label} ({parts} with seed "
        f"{next(iter(splits))}); {len(rich.channels)} rich and {len(poor.channels)} poor channels; a teacher and "
        f"{', '.join(map(title_of, methods))} for {seeds}"
    )
