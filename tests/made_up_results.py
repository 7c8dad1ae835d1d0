"""Made-up results of the tiny profile, as `make reproduce` leaves them: executed notebooks, records, figures."""

import base64
import io
import json
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rdpd_nb import files, jobs, params, record_file, records, render, tables
from rdpd_nb.paper import METHODS, METRICS, STUDENT_METHODS

LEAD_I = "ptbdb/lead_i/rdpd"
ANCHOR = {"all": 0.56, "lead_i": 0.46}  # scores of logistic regression


def png() -> bytes:
    figure, axis = plt.subplots(figsize=(1, 1))
    axis.plot([0, 1])
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()


def score(job: jobs.Job) -> float:
    """Another one for each method, so that a number leads to one notebook only."""
    return 0.6 + 0.05 * ["teacher", *STUDENT_METHODS].index(job.name.split("/")[-1])


def made_up_notebook(job: jobs.Job, shown: str, picture: bytes) -> nbformat.NotebookNode:
    """Cells as an executed notebook has them; one saves a figure, and the numbers stand in their section.

    Papermill's times and places are in it, as those that a warning names.
    """
    results = job.parameters["results"]
    plot = new_output("display_data", {"image/png": base64.b64encode(picture).decode()})
    printed = new_output("stream", name="stdout", text=f"seeds=[0], profile='tiny', results='{results}'")
    warned = f"{files.root()}/rdpd_nb/tables.py:5: a warning, see {Path.home()}/.config/matplotlib and /usr/bin/env\n"
    warning = new_output("stream", name="stderr", text=warned)
    links = "[Before](06_rdpd_r2.ipynb#Training) and [all](10_tables_and_figures.ipynb); [more](../README.md); "
    links += "![The idea\nin short](../docs/idea.svg) [open](../docs/protocol.md#how-numbers-are-compared)"
    said = "Notebook [last](11_paper_and_released_code.ipynb) takes apart why."
    section = "The ledger" if job.notebook == "01_preprocessing" else "Scores of all methods"
    cells = [
        new_markdown_cell(f"# {job.notebook[:2]}. Notebook {job.notebook[3:]}\n\n{links}"),
        new_code_cell("seeds = [0, 1, 2]", metadata={"tags": ["parameters"]}),
        new_code_cell(f'# Parameters\nseeds = [0]\nresults = "{results}"', metadata={"tags": ["injected-parameters"]}),
        new_code_cell("run = params.check('x', globals())\nprint(run)", outputs=[printed]),
        new_code_cell("import time", metadata={"tags": ["hide-input"]}),
        new_markdown_cell("## Training\n\n$$L = \\sum_i p_i \\log q_i$$"),
        new_code_cell('save_figure(run, f"{run.dataset}_{view}_scores", *drawn)', outputs=[plot]),
        new_markdown_cell(f"## {section}\n\nWhat to look for."),
        new_code_cell("show()", outputs=[warning, new_output("execute_result", {"text/html": shown})]),
        new_code_cell("said", outputs=[new_output("display_data", {"text/markdown": said})]),
        new_markdown_cell("## Summary"),
    ]  # fmt: skip
    for cell in cells:
        cell.metadata |= {"papermill": {"start_time": "2026-01-02"}, "execution": {"iopub.status.busy": "2026-01-02"}}
    kernel = {"name": "python3", "display_name": "Python of mine", "language": "python"}
    papermill = {"parameters": job.parameters, "output_path": f"{results}/x.part.ipynb", "start_time": "2026-01-02"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "papermill": papermill})


def entry(value: float) -> dict:
    """A seed's entry with the same score by every metric."""
    return {
        "seed": 0,
        **dict.fromkeys((*METRICS, "macro_f1_argmax"), value),
        "classes_absent": [],
        "best_epoch": 2,
        "epochs": 5,
        "allowed": 5,
        "selected_by": "validation ROC-AUC",
        "counts": {"windows": {"train": 40, "validation": 40, "test": 40}},
    }


def write_results(folder: Path, skip: tuple[str, ...] = ()) -> None:
    """What `make reproduce PROFILE=tiny RESULTS=folder` leaves, made up, but for the jobs named in `skip`."""
    settings = jobs.read_settings("tiny", {"results": str(folder)})
    picture, titles = png(), {}
    for job in jobs.plan(settings):
        if job.name in skip:
            continue
        record = {
            **dict.fromkeys(record_file.NEEDED, "made up"),
            "notebook": job.notebook,
            **{name: job.parameters.get(name) for name in ("dataset", "view")},
            "source": "simulated",
            "parameters": job.parameters,
            "versions": {"<script>alert('a key')</script>": "3", "torch": "<script>alert('a record')</script>"},
            "git_commit": "<script>alert('a commit')</script>",
            "fingerprint": "<script>alert('a fingerprint')</script>",
            "device": "a `{device}` | with *marks*",
        }
        shown = "nothing"
        if job.notebook in {m.notebook for m in METHODS.values()}:
            record |= {"seeds": [entry(score(job))], "people": {}}
            shown = f"<table><tr><td>{score(job):.3f}</td></tr></table>"
            titles[f"{job.parameters['dataset']}_{job.parameters['view']}_scores"] = (
                f"Declared: <script>alert()</script>{job.name}"
            )
        elif job.notebook == "01_preprocessing":
            record["statistics"] = {"subjects": 12, "classes": 6, "attributes": 15, "total_length": 123456}
            record["anchor"] = {view: [entry(value)] for view, value in ANCHOR.items()}
            shown = f"<p>12 6 15 123,456 {' '.join(f'{value:.3f}' for value in ANCHOR.values())}</p>"
        elif job.name.rpartition("/")[2] in record_file.LEVELS:
            record["entries"] = []
        elif job.name == "tables":
            shown = "".join(map(render.html, tables.all_of(params.check(job.notebook, job.parameters))))
        path = folder / "tiny" / f"{job.name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(made_up_notebook(job, shown, picture), path)
        if job.name != "tables":
            path.with_suffix(".json").write_text(json.dumps(record))
        for name in job.figures:
            (folder / "figures/tiny").mkdir(parents=True, exist_ok=True)
            (folder / "figures/tiny" / name).write_bytes(picture if name.endswith(".png") else b"a,b\n1,2\n")
            if name.endswith(".png"):
                titles[Path(name).stem] = f"PTBDB, simulated data: declared title of {Path(name).stem}"
    manifest = {"tables": {"table3": [LEAD_I], "table5": []}, "figures": {}, "titles": titles, "records": {}}
    if (folder / "figures/tiny").is_dir():
        (folder / "figures/tiny/manifest.json").write_text(json.dumps(manifest))


def commit_records(folder: Path) -> None:
    """Copies of all records beside the figures, as notebook 10 makes them of those that tables are made from."""
    for path in (folder / "tiny").glob("*/*/*.json"):
        copy = folder / "figures/tiny/records" / path.relative_to(folder / "tiny")
        files.write_json(copy, records.public(json.loads(path.read_text())))
