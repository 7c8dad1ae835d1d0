"""The executed notebooks behind a profile's committed tables, as small archives: `python docs/executed.py`.

A notebook whose record is the one copied under figures/<profile>/records is packed in
figures/<profile>/notebooks/<data set>_<view>.tar.xz, that of the tables in tables.tar.xz, without what is of the
machine that ran it. In a fresh clone, where results/ is empty, website.py reads these.
"""

import argparse
import base64
import hashlib
import io
import json
import lzma
import os
import re
import socket
import sys
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import nbformat

from rdpd_nb import data, jobs, params, tables
from rdpd_nb.data.archives import walk
from rdpd_nb.errors import UserError, short
from rdpd_nb.files import replace_file, root
from rdpd_nb.jobs import Job
from rdpd_nb.records import made_as, public, read_record
from rdpd_nb.run import Run

TABLES = "10_tables_and_figures"
LIMIT = 2_000_000  # bytes an archive must stay below
MARK = "rdpd_record"  # among a packed notebook's metadata: the mark of the record it wrote
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def settings_of(profile: str, results: str = "") -> dict[str, Any]:
    """A profile's settings, or those that its last reproduction was told: other data sets, seeds, ..."""
    settings = jobs.read_settings(profile, {"results": results or None})
    last = tables_run(settings).results_root / "settings.yaml"
    if os.path.lexists(last):
        again = "delete it, and run `make reproduce` again"
        told = params.read_yaml(last, again)
        if told.get("profile") != profile:
            raise UserError(f"{last} is of profile {short(told.get('profile'))}, not of '{profile}'; {again}.")
        sweeps = told.get("sweeps") or {}
        if isinstance(sweeps, dict):
            sweeps = {**(settings["sweeps"] or {}), **sweeps} or None  # one may be new since that run
        settings |= {**told, "sweeps": sweeps, "results": settings["results"]}
        try:
            jobs.plan(settings)
        except UserError as error:
            raise UserError(f"{last}: {error}") from None
    return settings


def tables_run(settings: dict[str, Any]) -> Run:
    return params.check(TABLES, next(job.parameters for job in jobs.plan(settings) if job.notebook == TABLES))


def archive(run: Run, name: str) -> Path:
    """The archive that a job's notebook belongs in."""
    return run.figures_folder / "notebooks" / f"{'_'.join(name.split('/')[:2])}.tar.xz"


def committed(run: Run, name: str) -> Path:
    """The copy of a job's record."""
    return run.figures_folder / "records" / f"{name}.json"


def committed_names(run: Run) -> list[str]:
    """The jobs with a record that tables and figures were made from."""
    folder = run.figures_folder / "records"
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.json"))


def mark(run: Run, name: str) -> str:
    """16 hex digits of a job's committed record; of the tables' notebook those of all."""
    names = committed_names(run) if name == "tables" else [name]
    text = json.dumps([read_record(committed(run, name)) for name in names], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def readable(content: bytes | str) -> dict:
    """A notebook out of its JSON. Raises ValueError where it is none."""
    try:
        notebook = json.loads(content)
        nbformat.validate(notebook)
    except (nbformat.ValidationError, AssertionError, AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(str(error).partition("\n")[0] or "it lacks what a notebook has") from None
    return notebook


def missing_score(name: str, text: str, made: Iterable[tables.Table]) -> str:
    """The first score of a job's row in the tables that its notebook does not show; '' where there is none.

    The tables' notebook should show all of them.
    """
    for table in made:
        ours = table.printed[table.ours].astype(str).map(lambda cell: cell.strip("*"))
        scores = [ours.iloc[i, 0] for i, row in enumerate(table.rows) if row == name]
        if table.name == "table1":  # whose statistics a notebook shows one by one
            continue
        if name == "tables":
            scores = ours[[row != "" for row in table.rows]].to_numpy().ravel().tolist()
        elif name.endswith("/preprocessing"):  # it shows the means of logistic regression
            scores = [score.partition(" ")[0] for score in scores]
        if absent := [score for score in scores if score != "–" and score not in text]:
            return absent[0]
    return ""


# --------------------------------------------------------------------------------------------------------- reading


def read(run: Run, wanted: Iterable[Job]) -> dict[str, str]:
    """The packed notebooks of these jobs, as JSON text by name; jobs that none is of are left out.

    A notebook is of a job where its record is the committed one, made with the job's parameters. Raises UserError for
    a damaged archive; warns of one whose records are not those committed.
    """
    return _read(run, [job.name for job in wanted if _is_of(run, job)])


def _is_of(run: Run, job: Job) -> bool:
    if job.notebook == TABLES:
        return bool(committed_names(run))
    path = committed(run, job.name)
    return path.is_file() and made_as(read_record(path), public({"parameters": job.parameters})["parameters"])


def _read(run: Run, names: Iterable[str]) -> dict[str, str]:
    of_archive, found = defaultdict(dict), {}
    for name in names:
        of_archive[archive(run, name)][f"{name}.ipynb"] = name
    for path, wanted in of_archive.items():
        if not path.is_file():
            continue
        try:
            texts = {wanted[file]: content.decode() for file, content in list(walk(path, wanted.__contains__))}
            marks = {name: json.loads(text)["metadata"][MARK] for name, text in texts.items()}
        except (UserError, ValueError, LookupError, TypeError):
            raise UserError(
                f"{path} is damaged or no archive of notebooks; get it back with git, or delete it and make it again "
                f"with `make archive PROFILE={run.profile}`."
            ) from None
        own = [name for name in texts if marks[name] == mark(run, name)]
        if foreign := sorted(set(texts) - set(own)):
            print(f"warning: {path} has other runs than those committed: {', '.join(foreign)}", file=sys.stderr)
        found |= {name: texts[name] for name in own}
    return found


# --------------------------------------------------------------------------------------------------------- cleaning


def cleaned(notebook: dict, run: Run, name: str) -> dict:
    """An executed notebook without what is of its machine and its time of day; with the mark of its record.

    Folders are words: `$RDPD_RAW`, `.` (the project's), `~`, `results`, `data`, `.venv`; of the path of any other place
    the last part is left.
    """
    worded, cells = in_words(run, notebook["metadata"]["papermill"]["parameters"]), []
    for cell in notebook["cells"]:
        given = cell["metadata"]
        kept = {key: given[key] for key in ("jupyter", "tags") if given.get(key)}  # no times
        injected = "injected-parameters" in kept.get("tags", ())
        changed = {key: worded(cell[key]) for key in ("outputs", *(["source"] if injected else [])) if key in cell}
        cells.append({**cell, **changed, "metadata": kept})
    return {**notebook, "cells": cells, "metadata": {"kernelspec": KERNEL, MARK: mark(run, name)}}


def in_words(run: Run, parameters: dict) -> Callable[[Any], Any]:
    """A function that puts words for this machine's places in all strings of what it is given, but for pictures."""
    given = parameters["datasets"].values() if "datasets" in parameters else [parameters]
    words = [(folder, "$RDPD_RAW") for folder in (*(own["raw"] for own in given), data.raw_root()) if folder]
    words += [(run.results_root.parent, "results"), (data.data_folder(), "data"), (sys.prefix, ".venv")]
    words += [(root(), "."), (Path.home(), "~")]
    of = {str(path): word for folder, word in reversed(words) for path in (Path(folder), Path(folder).resolve())}
    of = {path: word for path, word in of.items() if len(Path(path).parts) > 1 and Path(path).is_absolute()}
    host = socket.gethostname()
    # A host whose name is one word cannot be told from that word, and the word tells nothing of it.
    of |= {part: "host" for part in (host, host.partition(".")[0]) if re.search(r"[\d.-]", part)}
    longest = sorted(of, key=len, reverse=True)  # a folder before the one it lies in
    known = re.compile(rf"(?<![\w.~$])({'|'.join(map(re.escape, longest))})(?![\w-]|\.\w)")
    tops = "|".join(sorted(re.escape(path.name) for path in Path("/").iterdir()))
    other = re.compile(rf"(?<![\w.~$*-])/(?:{tops})/[^\s\"'<>:,;()\[\]]*")

    def worded(value: Any) -> Any:
        if isinstance(value, str):
            value = known.sub(lambda match: of[match[1]], value)
            return other.sub(lambda match: f"…/{match[0].rstrip('/').rpartition('/')[2]}", value)
        if isinstance(value, list):
            return [worded(entry) for entry in value]
        if isinstance(value, dict):
            return {k: v if k in ("image/png", "image/jpeg") else worded(v) for k, v in value.items()}
        return value

    return worded


def fewer_colours(text: str) -> str:
    """The JSON of a notebook, its pictures in 256 colours: 0.4 of the size, and to the eye the same."""
    from PIL import Image  # matplotlib's

    notebook = json.loads(text)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            if encoded := output.get("data", {}).get("image/png"):
                picture, small = Image.open(io.BytesIO(base64.b64decode("".join(encoded)))), io.BytesIO()
                if picture.convert("RGBA").getextrema()[3][0] < 255:  # see-through: not for this method
                    continue
                few = picture.convert("RGB").quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
                few.save(small, "png", optimize=True)
                output["data"]["image/png"] = base64.b64encode(small.getvalue()).decode()
    return _json(notebook)


def _json(notebook: dict) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


# --------------------------------------------------------------------------------------------------------- packing


def packed(texts: dict[str, str]) -> bytes:
    """A .tar.xz of notebooks by the job's name; the same notebooks give the same bytes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in sorted(texts.items()):
            entry, content = tarfile.TarInfo(f"{name}.ipynb"), text.encode()  # no owner, of the year 1970
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return lzma.compress(stream.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def pack(profile: str, results: str = "") -> list[Path]:
    """Write all archives of a profile, and delete those that are no longer of it; returns their paths.

    Raises UserError, and writes nothing, where the notebook of a committed record is missing or of another run, where
    an archive would be too large, and for real files of MIMIC-III, from which nothing may be passed on. A notebook that
    results/ has no more is taken from the archive there is.
    """
    settings = settings_of(profile, results)
    run, names = tables_run(settings), committed_names(tables_run(settings))
    again = f"run `make reproduce PROFILE={profile}`, then pack again"
    if not names:
        raise UserError(f"no record in {run.figures_folder / 'records'} to pack the notebooks of; {again}.")
    records = [read_record(committed(run, name)) for name in names]
    sources = {(record["dataset"], record["source"]) for record in records}
    if ("mimic3", "real") in sources | {(dataset, run.of(dataset)["source"]) for dataset in run.datasets}:
        raise UserError(f"profile '{profile}' is of MIMIC-III's real files, which must not be passed on: not packed.")
    names, made, earlier = [*names, "tables"], list(tables.all_of(run)), {}
    faults = {name: fault for name in names if (fault := _fault(run, name, settings, made))}
    if faults:  # a repair of one run must not cost the others'
        earlier = _read(run, faults)
        faults = {name: fault for name, fault in faults.items() if name not in earlier}
    if faults:
        first, fault = next(iter(faults.items()))
        others = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise UserError(f"{first}{others} {fault}, so nothing was packed; {again}.")
    of_archive = defaultdict(dict)
    for name in names:
        text = earlier.get(name) or _json(cleaned(_notebook(run, name), run, name))
        of_archive[archive(run, name)][name] = text
    contents = {path: _small_enough(path, texts) for path, texts in of_archive.items()}
    for path, content in contents.items():
        with replace_file(path) as temporary:
            temporary.write_bytes(content)
    for path in set((run.figures_folder / "notebooks").glob("*.tar.xz")) - set(contents):
        path.unlink()
    if left := [job.name for job in jobs.plan(settings) if job.name not in names]:
        print(f"left out, as no table or figure is made from them: {', '.join(left)}", file=sys.stderr)
    return list(contents)


def _small_enough(path: Path, texts: dict[str, str]) -> bytes:
    content = packed(texts)
    if len(content) >= LIMIT:
        content = packed({name: fewer_colours(text) for name, text in texts.items()})
    if len(content) >= LIMIT:
        raise UserError(
            f"{path} would have {len(content):,} bytes, pictures in 256 colours, and should stay below {LIMIT:,}; have "
            f"its {len(texts)} notebooks show fewer or smaller pictures, or raise LIMIT in docs/executed.py."
        )
    return content


def _notebook(run: Run, name: str) -> dict:
    """The executed notebook in results/; {} where there is none that can be read."""
    path = run.results_root / f"{name}.ipynb"
    try:
        return readable(path.read_bytes())
    except (OSError, ValueError):
        return {}


def _fault(run: Run, name: str, settings: dict, made: list[tables.Table]) -> str:
    """Why the notebook in results/ is not that of the committed record; '' where it is."""
    notebook, path = _notebook(run, name), run.results_root / f"{name}.json"
    if not notebook:
        return f"has no readable notebook in {run.results_root}"
    if name == "tables":
        parameters = tables_run(settings).parameters
    elif not path.is_file() or public(record := read_record(path)) != read_record(committed(run, name)):
        return f"is of another run than its record in {run.figures_folder / 'records'}"
    else:
        parameters = record["parameters"]
    if notebook["metadata"].get("papermill", {}).get("parameters") != parameters:
        return "was executed with other parameters than its record says"
    if score := missing_score(name, json.dumps(notebook, ensure_ascii=False), made):
        return f"does not show its record's {score}"
    return ""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python docs/executed.py", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--results", default="")
    known = parser.parse_args(arguments)
    try:
        for path in pack(known.profile, known.results):
            print(f"{path.stat().st_size:9,} bytes  {path}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
