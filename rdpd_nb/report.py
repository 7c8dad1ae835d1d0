"""`make own PARAMETERS=mine.yaml`: notebook 12 on files of your own, and its pages as one report."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import params
from .errors import UserError
from .files import place, replace_file, root

NOTEBOOK = "12_your_own_sensors"
OF_FILES = ("signals", "labels", "recording", "subject", "label", "classes", "rich", "poor")  # say what the files hold
WHAT = "it should hold parameters of notebook 12, a line each, as `rate: 200`"
LOOK = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { padding: 0.15em 0.6em; }
pre { white-space: pre-wrap; }
div.jp-OutputArea-output { overflow-x: auto; }
a.anchor-link { display: none; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } img { background: white; } }
"""


def parameters(path: str) -> dict[str, Any]:
    """The notebook's defaults with those of a YAML file in their place, checked; '' is for the defaults alone.

    A file that names signals says all of OF_FILES, of which the defaults are those of Brugada. Its name is that of the
    results' folder, and the title, where it gives no others. Raises UserError.
    """
    cells = json.loads((root() / "notebooks" / f"{NOTEBOOK}.ipynb").read_text(encoding="utf-8"))["cells"]
    (defaults,) = ("".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", ()))
    given: dict[str, Any] = {}
    exec(defaults, {}, given)  # literals of our own
    if path:
        found, name = params.read_yaml(Path(path).expanduser(), WHAT), Path(path).stem
        given |= {"results": f"results/{name}"}
        if set(OF_FILES) & set(found):
            given |= {"title": name, "rate": 0, "positive": "", "subgroups": []}
            if missing := [of for of in OF_FILES if of not in found]:
                need = ", ".join(OF_FILES)
                raise UserError(f"PARAMETERS: {path} does not say {', '.join(missing)}; own files need {need}.")
        given |= found
    params.check(NOTEBOOK, given)
    return given


def run(given: dict[str, Any]) -> Path:
    """Execute notebook 12 and write the report; its path. Raises UserError with the notebook's own sentence."""
    import papermill  # takes a second
    from papermill.exceptions import PapermillExecutionError
    from traitlets.config import Config

    folder = place(given["results"])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"results: {folder} cannot be made ({error.strerror}); name another folder.") from None
    (folder / "report.html").unlink(missing_ok=True)  # of an earlier run: beside a new student it would mislead
    print(f"{given['title']}: notebook 12, into {folder}", flush=True)
    how = {"progress_bar": False, "stdout_file": sys.stdout, "cwd": str(root())}
    if os.name == "posix":  # over TCP a kernel warns that others on this machine could listen
        how["config"] = Config({"KernelManager": {"transport": "ipc"}})
    source = root() / "notebooks" / f"{NOTEBOOK}.ipynb"
    with replace_file(folder / f"{NOTEBOOK}.ipynb") as path:
        try:
            papermill.execute_notebook(str(source), str(path), given, **how)
        except PapermillExecutionError as error:
            if error.ename == "UserError":
                raise UserError(error.evalue) from None
            raise UserError(f"notebook 12 failed: {error.ename}: {error.evalue}") from None
        page = _page(path, given["title"])
    with replace_file(folder / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    return folder / "report.html"


def _page(notebook: Path, title: str) -> str:
    """The executed notebook without its code, as one page that needs nothing else."""
    import nbformat
    from nbconvert import HTMLExporter

    name = title.replace("&", "&amp;").replace("<", "&lt;")
    nb = nbformat.read(notebook, as_version=4)
    first = next(i for i, cell in enumerate(nb.cells) if "params.check(" in cell.source)
    nb.cells = nb.cells[first + 1 :]  # what comes before is about the notebook
    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True)
    body, _ = exporter.from_notebook_node(nb)
    body = f"<h1>{name}: a student of few channels</h1>{body}"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>{LOOK}</style>'
    return f'<!DOCTYPE html><html lang="en"><head>{head}<title>{name}</title></head><body>{body}</body></html>\n'


def main(arguments: list[str]) -> int:
    """Exit status: 0, 2 where something is wrong, 130 where it was stopped."""
    parser = argparse.ArgumentParser(prog="python -m rdpd_nb.report", description=__doc__)
    parser.add_argument("--parameters", default="", help="a YAML file")
    try:
        print(f"report: {run(parameters(parser.parse_args(arguments).parameters.strip()))}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
