"""Other systems than RDPD, of the same seed documents, in the same harness: a module and a notebook each.

A module has `files(task, raw)`, the raw files it would read of a task, and below it what the system is, with the
numbers of its equations. Tasks, notebooks and parameters are named in `systems`. What the notebooks
share is here: the record (one score a row), the table against published numbers, the folder of raw files. Nothing of
RDPD's road from raw files to tables imports a module of this package.
"""

import json
import time
from collections.abc import Hashable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from .. import data, records, statistics
from ..captions import source_note
from ..run import RELATED, Run
from ..systems import SYSTEMS, of_notebook
from ..tables import Table
from .places import embedded_folder, raw_folder  # noqa: F401  a notebook takes them from here

PUBLISHED = Path(__file__).with_name("published.json")


@cache
def published(system: str) -> dict:
    """The numbers printed in the system's document or paper, as `published.json` gives them with their source."""
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))[system]


def system_of(run: Run) -> str:
    """The name of the system whose notebook runs."""
    return of_notebook(run.notebook)


def record_name(run: Run) -> str:
    """Of the run's record, as `manifest` names it: 'related/mnist/hinton'."""
    return f"{RELATED}/{run.task}/{system_of(run)}"


def source_of(run: Run) -> str:
    """Of the run's task: 'embedded', 'packaged', 'simulated' or 'real'."""
    return SYSTEMS[system_of(run)].tasks[run.task]


def note(run: Run, title: str) -> str:
    """What a figure's title says of the data: 'MNIST, real data'."""
    return f"{title}, {source_note(source_of(run))}"


def save(run: Run, rows: pd.DataFrame, *read: str | np.ndarray) -> dict:
    """Write the run's record: `rows` with a method, a seed, a score and whatever else says what it is a score of (words
    or numbers), a score a row. read: the arrays it was made from, for the fingerprint. Returns the record."""
    system = system_of(run)
    record = {
        "notebook": run.notebook,
        "dataset": RELATED,
        "view": run.task,
        "method": system,
        "profile": run.profile,
        "source": source_of(run),
        "parameters": run.parameters,
        "fingerprint": data.fingerprint(*read),
        **records.environment("cpu"),
        "seconds": round(time.perf_counter() - run.began, 2),
        "rows": json.loads(rows.to_json(orient="records", double_precision=15)),
    }
    records.write_record(run, system, record)
    return record


def compare(
    run: Run,
    rows: pd.DataFrame,
    by: list[str],
    published: Mapping[Hashable, float],
    title: str,
    digits: int = 3,
    heading: str = "Published",
    note: str = "",
    repeats: str = "seeds",
) -> Table:
    """Scores beside the published ones: of each combination of the columns `by`, in the order they come, mean and
    sample deviation over seeds, the 95 % interval of the mean (from six seeds on), and what it is less the published
    number.

    published: by the value of `by`, a tuple where that is several columns; combinations it does not name have none.
    heading: of its column, which says where the published numbers are of other data. repeats: what is repeated.
    A column `source` in `rows` says where parts of a task have another one than the task.
    """
    numbers, printed = [], []
    for key, group in rows.groupby(by, sort=False):
        names = key if isinstance(key, tuple) else (key,)
        theirs = published.get(names[0] if len(names) == 1 else names)
        mean, deviation = statistics.mean_and_deviation(group["score"]) or (np.nan, np.nan)
        low, high = statistics.interval(group["score"]) or (np.nan, np.nan)
        named = dict(zip(by, names, strict=True))
        source = group["source"].iloc[0] if "source" in group else source_of(run)
        numbers.append(named | {"published": theirs, "mean": mean, "sd": deviation, "low": low, "high": high}
                       | {"seeds": len(group), "source": source})  # fmt: skip

        def text(value: float | None, sign: str = "") -> str:
            return "" if value is None or np.isnan(value) else f"{value:{sign}z.{digits}f}"

        printed.append({name.capitalize(): str(value) for name, value in named.items()} | {
            heading: text(theirs),
            "Ours": text(mean) + ("" if np.isnan(deviation) else f" ± {text(deviation)}"),
            "95 % interval": "" if np.isnan(low) else f"{text(low)} to {text(high)}",
            "Less published": text(None if theirs is None else mean - theirs, "+"),
            repeats.capitalize(): str(len(group)),
        })  # fmt: skip
    frame, shown = pd.DataFrame(numbers), pd.DataFrame(printed, dtype=object)
    if not published:
        shown = shown.drop(columns=[heading, "Less published"])
    if frame["low"].isna().all():
        shown = shown.drop(columns="95 % interval")
    name = record_name(run)
    caption = f"{title}, {source_note(source_of(run))}: mean and sample deviation over {repeats}."
    table = f"{system_of(run)}_{run.task}"
    return Table(table, title, caption, frame, shown, [name] * len(frame), [name], note, keys=len(by))
