"""figures/<profile>/manifest.json: which records each table and figure was made from, as declared where it was saved.

The records themselves are copied beside it, so that the tables can be rebuilt where results/ is not. What is
committed here holds only what is the same in every run.
"""

import os
from pathlib import Path

from .errors import UserError
from .files import read_json, root, write_json
from .record_file import read_record
from .records import any_of, belongs, public
from .run import RELATED, Run

ENDINGS = (".csv", ".md", ".tex", ".png")
ABOUT = ("notebook", "parameters", "fingerprint")  # of each record


def declare(run: Run, kind: str, name: str, records: list[str], title: str) -> None:
    """Keep, under results/<profile>/made/, what a file of figures/<profile>/ was made from, for `write` to collect.

    kind: 'tables' or 'figures'; name without ending; records like 'pamap2/wrist/rdpd', [] for what the code alone
    gives; the title is what is said in place of a picture.
    """
    if wrong := [r for r in records if r.count("/") != 2 or r.endswith(".json")]:
        raise UserError(f"{name}: '{wrong[0]}' is no record's name; one is '<data set>/<view>/<name>'.")
    path = run.results_root / "made" / f"{name}.json"
    content = {"kind": kind, "title": title, "records": list(records)}
    if _declared(path) != content:  # an unchanged file keeps its time
        write_json(path, content)


def _declared(path: Path) -> dict | str:
    """What `declare` wrote; what is wrong with it, where it cannot be believed."""
    try:
        content = read_json(path, "run the notebook that makes it again")
    except UserError as error:
        return str(error)
    kind, title, records = (content.get(name) for name in ("kind", "title", "records"))
    if kind in ("tables", "figures") and isinstance(title, str) and _names(records):
        return content
    return f"{path} does not say of what kind it is, its title and its records; run the notebook that makes it again."


def declared(run: Run) -> dict[str, dict]:
    """What was declared, by name: kind, title, records. What cannot be believed is left out, and said."""
    found = {path.stem: _declared(path) for path in sorted((run.results_root / "made").glob("*.json"))}
    for content in found.values():
        if isinstance(content, str):
            print(f"left out: {content}")
    return {name: content for name, content in found.items() if not isinstance(content, str)}


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def committed(run: Run) -> Path:
    """The folder of the profile's committed files, wherever this run's own go."""
    return root() / "figures" / run.profile


def read(run: Run, folder: Path | None = None) -> dict:
    """The manifest in the run's folder of figures (or another), an empty one where there is none.

    {tables, figures, titles, records}.
    """
    path = (folder or run.figures_folder) / "manifest.json"
    empty = {"tables": {}, "figures": {}, "titles": {}, "records": {}}
    if not os.path.lexists(path):
        return empty
    again = "take it back with git, or delete it and make the tables again with `make reproduce`"
    made = empty | read_json(path, again)
    if all(isinstance(made[part], dict) for part in empty) and all(
        map(_names, (made["tables"] | made["figures"]).values())
    ):
        return made
    raise UserError(f"{path} is no manifest: it should hold records by table and by figure, and titles; {again}.")


def _record(run: Run, name: str, there: set[str]) -> dict | None:
    """What is public of a record of this run, from results/ or else from the copy; None where there is neither. The
    copy of a data set that is not `there`, in results/, is an earlier run's and stays as it is."""
    path, copy = (Path(f"{folder / name}.json") for folder in (run.results_root, run.figures_folder / "records"))
    if os.path.lexists(path) and belongs(run, record := read_record(path)):
        return public(record)
    kept = os.path.lexists(copy) and (belongs(run, record := read_record(copy)) or name.partition("/")[0] not in there)
    return public(record) if kept else None


def write(run: Run) -> dict:
    """Collect what was declared into the manifest, and copy the records it names beside it; return the manifest.

    tables and figures {name: [record, ...]} in the order of their names, titles {name: title}, records {name: its
    notebook, parameters, fingerprint of the windows}. A file that was declared by an earlier run and is still there
    stays, and so do the records of data sets of which this run has none; a declaration that cannot be believed is left
    out, and said. Where there is no record of this run at all (a fresh clone), nothing is written or deleted.
    """
    there = {dataset for dataset in [*run.datasets, RELATED] if any_of(run, dataset)}
    if not there:
        return read(run)
    earlier, made = read(run), {"tables": {}, "figures": {}, "titles": {}}
    entries = {name: (kind, earlier["titles"].get(name, ""), of) for kind in ("tables", "figures")
               for name, of in earlier[kind].items()}  # fmt: skip
    for name, content in declared(run).items():
        entries[name] = (content["kind"], content["title"], content["records"])
    records: dict[str, dict | None] = {}
    for name, (kind, title, of) in sorted(entries.items()):
        if any((run.figures_folder / f"{name}{ending}").is_file() for ending in ENDINGS):
            records |= {record: _record(run, record, there) for record in of if record not in records}
            made[kind][name] = [record for record in of if records[record]]
            made["titles"][name] = title
    copies = {name: record for name, record in sorted(records.items()) if record}
    about = {name: {key: record.get(key) for key in ABOUT} for name, record in copies.items()}
    kept = {name.partition("/")[0]: record["source"] for name, record in copies.items()}
    sources = {name: source for name, source in kept.items() if name not in (RELATED, *run.datasets)}
    sources |= {dataset: run.of(dataset)["source"] for dataset in run.datasets}
    made = {"profile": run.profile, "sources": sources, **made, "records": about}
    folder = run.figures_folder / "records"
    for name, record in copies.items():
        write_json(folder / f"{name}.json", record)
    for path in folder.rglob("*.json"):
        if path.relative_to(folder).with_suffix("").as_posix() not in copies:
            path.unlink()
    write_json(run.figures_folder / "manifest.json", made)
    return made
