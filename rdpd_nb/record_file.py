"""A record as a file: what must hold in it before a number of it is believed. Reads without PyTorch."""

import os
from collections.abc import Iterator
from pathlib import Path

from .data import SPECS
from .errors import UserError, short
from .files import read_json, sum_of
from .paper import METHODS, METRICS
from .run import RELATED

SAME = ("dataset", "view", "source", "profile", "parameters", "fingerprint")  # whenever and wherever it is run
OF_ONE_RUN = ("versions", "git_commit", "device", "seconds")
NEEDED = (*SAME, *OF_ONE_RUN)
SCORES = (*METRICS, "macro_f1_argmax")  # what a record holds of each seed
LEVELS = {"rich_data_size": "fraction", "noise_robustness": "amplitude"}  # what a sweep's entries are at
AGAIN = "delete it and run its notebook again"


def read_record(path: Path, again: str = AGAIN) -> dict:
    """A record, or a `public` copy of one. Raises UserError, with what to do `again`, where it is missing, damaged, not
    of its place (<data set>/<view>/<name>.json), or says what no run can have said."""
    if not os.path.lexists(path):  # a folder or a dead link in its place is no run that has yet to be
        raise UserError(f"no record at {path}; run its notebook first (`make reproduce` runs them all).")
    record = read_json(path, again)
    missing = [name for name in (NEEDED if set(record) & set(OF_ONE_RUN) else SAME) if name not in record]
    if missing:
        raise UserError(f"{path} is not a record: it lacks {', '.join(missing)}; {again}.")
    if fault := next(_faults(record, path), None):
        raise UserError(f"{path}: {fault}; {again}.")
    return record


def other_files(path: Path, record: dict, again: str = AGAIN) -> None:
    """UserError where a file beside a record (weights, predictions, knowledge) is not the one it was written with."""
    for name, digest in record.get("files", {}).items():
        beside = path.with_name(name)
        try:
            same = sum_of(beside) == digest
        except OSError:
            same = False
        if not same:
            raise UserError(f"{beside} is not the file that {path.name} was written with; {again}.")


def _faults(record: dict, path: Path) -> Iterator[str]:
    """What is wrong with the fields of a record, the first thing first."""
    name, parameters = path.stem, record["parameters"]
    of = [record["dataset"], record["view"], record.get("method", name)]
    if of != [*path.parts[-3:-1], name]:
        yield f"it is of {'/'.join(map(str, of))[:100]}, which is not its place"
    for field in ("source", "profile", "fingerprint"):
        if not isinstance(record[field], str):
            yield f"{field} is {short(record[field])} where a text should be"
    if of[0] == RELATED:
        if not isinstance(parameters, dict):
            yield f"parameters is {short(parameters)} where settings by name should be"
        yield from _faults_of_rows(record.get("rows"))
        return
    if not isinstance(parameters, dict) or not _wholes(parameters.get("seeds")) or not _whole(parameters.get("epochs")):
        yield "its parameters name no seeds and epochs"
    classes, seeds = len(SPECS[of[0]].classes) if of[0] in SPECS else 0, parameters["seeds"]
    if name in METHODS:
        yield from _faults_of_seeds("seeds", record.get("seeds"), classes, seeds)
        yield from _faults_of_draws(record.get("people"))
    elif name == "preprocessing":
        yield from _faults_of_numbers("statistics", record.get("statistics"))
        yield from _faults_of_numbers("", {"windows": record.get("windows")})
        anchor = record.get("anchor", {})
        if not isinstance(anchor, dict):
            yield f"anchor is {short(anchor)} where scores by view should be"
        for view, entries in anchor.items():
            yield from _faults_of_seeds(f"anchor of {view}", entries, classes, seeds)
    elif name in LEVELS:
        yield from _faults_of_sweep(LEVELS[name], record.get("entries"), classes)


def _faults_of_rows(rows: object) -> Iterator[str]:
    """Of another system's scores: one score a row, and in words or numbers what it is a score of."""
    if not isinstance(rows, list) or not rows:
        yield f"it is not a record of scores: rows is {short(rows)} where a list should be"
    there = set()
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("method"), str) or not _whole(row.get("seed")):
            yield f"rows holds {short(row)} where a method, a seed and a score should be"
        if not all(value is None or isinstance(value, str) or _number(value) for value in row.values()):
            yield f"rows holds {short(row)} where words and numbers should be"
        if not _number(row.get("score")):
            yield f"rows: a score is {short(row.get('score'))} where a number should be"
        there.add(tuple(value for name, value in row.items() if name != "score"))
    if len(there) < len(rows):
        yield "rows holds a score twice"


def _faults_of_seeds(what: str, entries: object, classes: int, seeds: list[int]) -> Iterator[str]:
    if not isinstance(entries, list) or not entries:
        yield f"it is not a record of scores: {what} is {short(entries)} where an entry a seed should be"
    for entry in entries:
        yield from _faults_of_entry(what, entry, classes)
    if sorted(entry["seed"] for entry in entries) != sorted(seeds):
        yield f"{what} are {[entry['seed'] for entry in entries]}, its parameters say {seeds}"


def _faults_of_sweep(level: str, entries: object, classes: int) -> Iterator[str]:
    if not isinstance(entries, list):
        yield f"it is not a record of a sweep: entries is {short(entries)} where a list should be"
    there = set()
    for entry in entries:
        yield from _faults_of_entry("entries", entry, classes)
        at, method, seed = entry.get(level, "missing"), entry.get("method"), entry["seed"]
        if at is not None and not _number(at):
            yield f"entries: {level} is {short(at)} where a number should be"
        if not isinstance(method, str) or method not in METHODS:
            yield f"entries: method is {short(method)}; there is none of that name"
        if (at, method, seed) in there:
            yield f"entries: seed {seed} of {method} is there twice at {level} {at}"
        there.add((at, method, seed))


def _faults_of_entry(what: str, entry: object, classes: int) -> Iterator[str]:
    """Of the scores of one seed."""
    if not isinstance(entry, dict):
        yield f"{what} holds {short(entry)} where scores of a seed should be"
    if not _whole(entry.get("seed")):
        yield f"{what}: seed is {short(entry.get('seed'))} where a whole number should be"
    what = f"{what}, seed {entry['seed']}"
    for name in (*SCORES, *(name for name in entry if name.startswith("person_"))):
        if not _score(entry.get(name, "missing")):
            yield f"{what}: {name} is {short(entry.get(name, 'missing'))} where 0 to 1, or null, should be"
    absent = entry.get("classes_absent")
    if not _wholes(absent) or any(c >= classes for c in absent):
        yield f"{what}: classes_absent is {short(absent)} where some of {classes} classes should be"
    counts = entry.get("counts")
    windows = counts.get("windows") if isinstance(counts, dict) else None
    if not isinstance(windows, dict) or not {"train", "test"} <= set(windows) or not all(map(_whole, windows.values())):
        yield f"{what}: counts is {short(counts)} where windows by part should be"
    best = entry.get("best_epoch", None if "allowed" in entry else 0)  # logistic regression has no epochs
    epochs = [best, *(entry.get(name, 0) for name in ("epochs", "allowed"))]
    if not _wholes(epochs) or epochs != sorted(epochs):
        yield f"{what}: epoch {short(epochs[0])} of {short(epochs[1])}, {short(epochs[2])} allowed, cannot be"


def _faults_of_draws(people: object) -> Iterator[str]:
    if not isinstance(people, dict) or not all(isinstance(drawn, list) for drawn in people.values()):
        yield f"people is {short(people)} where draws by metric should be"
    for metric, drawn in people.items():
        if wrong := [v for v in drawn if not (type(v) is float and 0 <= v <= 1) and not _score(v)]:  # 500 of a metric
            yield f"people: {metric} holds {short(wrong[0])} where 0 to 1, or null, should be"


def _faults_of_numbers(what: str, numbers: object) -> Iterator[str]:
    if not isinstance(numbers, dict):
        yield f"{what} is {short(numbers)} where numbers by name should be"
    for name, value in numbers.items():
        if value is not None and not _whole(value):
            yield f"{what} {name} is {short(value)} where a whole number should be".strip()


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _wholes(values: object) -> bool:
    return isinstance(values, list) and all(map(_whole, values))


def _score(value: object) -> bool:
    return value is None or (_number(value) and 0 <= value <= 1)
