"""The web site of a profile, `python -m rdpd_nb.site`: what is stored is shown, nothing is executed.

Sphinx with MyST-NB renders it (docs/conf.py). This module only gathers Sphinx's sources in a temporary folder: the
executed notebooks, the committed ones, the figures, and pages of tables from the records, made by `report`.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pandas as pd
import yaml

from . import params, report, reproduce
from .errors import UserError
from .files import replace_folder, root
from .paper import METHODS, SPECS
from .params import Run
from .results import read_record

TABLES = "10_tables_and_figures"
WORDS = {  # of notebooks that are no method
    "01_preprocessing": "Preprocessing",
    "08_rich_data_size": "Rich data size (Figure 2)",
    "09_noise_robustness": "Noise robustness (Figure 3)",
    "11_paper_and_released_code": "The text and the released code",
    TABLES: "Tables 1-5",
    **{method.notebook: method.title for method in METHODS.values()},
}
FIGURES = {  # by the first word of a file's name
    "figure2": "Figure 2. Scores against the share of the rich training data",
    "figure3": "Figure 3. Scores against noise on the poor data",
    "presets": "The text's settings, the released code's, and each difference alone",
    "causes": "Why imitation can do harm: Direct beside imitation with one part changed",
}
SIMULATED = "Numbers and plots of ours show that the pipeline works; they say nothing about the paper's numbers."
CREDENTIALED = "These pages show what is derived from MIMIC-III. If yours is not the open demo, keep them to yourself."
NOTES = ("What the paper leaves open, and what is done here:", "## Performance")  # around these in the README


@dataclass(frozen=True)
class Stored:
    """What a profile's last reproduction left: its jobs, those with an executed notebook, and where they are."""

    run: Run
    jobs: dict[str, reproduce.Job]

    @classmethod
    def read(cls, profile: str, results: str = "") -> "Stored":
        """Raises UserError where nothing has been run."""
        settings = reproduce.read_settings(profile, {"results": results or None})
        folder = _tables_run(settings).results_root
        last = folder / "settings.yaml"
        if last.is_file():  # the run may have been told other data sets, seeds, ... than the profile's
            told = yaml.safe_load(last.read_text())
            sweeps = {**(settings["sweeps"] or {}), **(told["sweeps"] or {})} or None  # one may be new since that run
            settings |= {**told, "sweeps": sweeps, "results": settings["results"]}
        jobs = {job.name: job for job in reproduce.plan(settings) if (folder / f"{job.name}.ipynb").is_file()}
        if not jobs:
            raise UserError(f"no executed notebook in {folder}; run `make reproduce PROFILE={profile}` first.")
        return cls(_tables_run(settings), jobs)

    def notebook(self, name: str) -> Path:
        return self.run.results_root / f"{name}.ipynb"

    def record(self, name: str) -> dict | None:
        path = self.notebook(name).with_suffix(".json")
        return read_record(path) if path.is_file() else None


def _tables_run(settings: dict) -> Run:
    return params.check(TABLES, next(job.parameters for job in reproduce.plan(settings) if job.notebook == TABLES))


# ------------------------------------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class Table:
    """A table as `report` makes it, and for each row the job its numbers come from."""

    name: str  # 'table2'
    numbers: pd.DataFrame
    printed: pd.DataFrame
    jobs: list[str]

    @property
    def ours(self) -> list[str]:
        """The columns that hold numbers of ours."""
        words = ("Data", "Data set", "Statistic", "Method", "Model", "RDPD against", "Seeds")
        theirs = ("published", "paper", "verdict")
        return [c for c in self.printed if c not in words and not c.lower().endswith(theirs)]

    @property
    def of_scores(self) -> bool:
        """Whether each row is one notebook's own."""
        return self.name in {spec.table_file for spec in SPECS.values()}

    def markdown(self, stored: Stored) -> str:
        """The table with each number of ours a link to the executed notebook that made it."""
        linked = self.printed.astype(str)
        for row, job in enumerate(self.jobs):
            for column in self.ours if job in stored.jobs else ():
                if (text := linked.at[row, column]) not in ("", "–"):
                    linked.at[row, column] = f"[{text}](runs/{job}.ipynb)"
        linked.columns = [column.replace(", ", ",<br>") for column in linked]
        return linked.to_markdown(index=False, disable_numparse=True)


def tables(run: Run) -> list[Table]:
    """Tables 1-5, then those of data sets that are not in the paper; after each table of scores its comparisons."""
    numbers, printed = report.table1(run, run.datasets)
    made = [Table("table1", numbers, printed, [f"{dataset}/all/preprocessing" for dataset in numbers["dataset"]])]
    numbers, printed = report.table5()
    made.append(Table("table5", numbers, printed, ["tables"] * len(printed)))
    for dataset in run.datasets:
        numbers, printed = report.score_table(run, dataset)
        rows = numbers[["view", "method"]].drop_duplicates()  # numbers has a row a metric
        printed = printed.assign(Method=[METHODS[method].title for method in rows["method"]])  # links to files
        jobs = [f"{dataset}/{row.view}/{row.method}" for row in rows.itertuples()]
        made.append(Table(SPECS[dataset].table_file, numbers, printed, jobs))
    for dataset in report.datasets_run(run, run.datasets):
        numbers, printed = report.paired_table(run, dataset)
        made.append(Table(f"{SPECS[dataset].table_file}_paired", numbers, printed, ["tables"] * len(printed)))
    return sorted(made, key=lambda table: table.name)  # 'table_uci_har' comes after 'table5'


# -------------------------------------------------------------------------------------------------------- pages


def _warnings(run: Run) -> str:
    title, text = "Simulated data", SIMULATED
    if run.source != "simulated":
        title, text = ("Credentialed data", CREDENTIALED) if "mimic3" in run.datasets else ("", "")
    return f":::{{admonition}} {title}\n:class: warning\n\n{text}\n:::\n\n" if title else ""


def _title(job: reproduce.Job) -> str:
    """'Wrist: RDPD', as the lists of pages say it."""
    what, p = WORDS.get(job.notebook, job.notebook), job.parameters
    return f"{SPECS[p['dataset']].view_titles[p['view']]}: {what}" if "view" in p else what


def _download(source: Path, file: Path, name: str) -> str:
    """Put a file among the site's downloads; the role that links to it."""
    target = source / "downloads" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)
    return f"{{download}}`{Path(name).name} </downloads/{name}>`"


def _relinked(html: str, stored: Stored, notebook: Path, up: str) -> str:
    """A table's links to executed notebooks as links to their pages; those to notebooks that are not shown as text."""
    runs = {stored.notebook(name).resolve(): name for name in stored.jobs}

    def link(match: re.Match) -> str:
        name = runs.get((notebook.parent / match[1]).resolve())
        return f'<a href="{up}runs/{name}.html">{match[2]}</a>' if name else match[2]

    return re.sub(r'<a href="([^":]+\.ipynb)">(.*?)</a>', link, html)


def _page(
    stored: Stored, notebook: Path, target: Path, head: str, tail: str = "", of: str = "", up: str = "../"
) -> None:
    """Copy a notebook with `of` after its title, a cell under it and one at the end; `up` leads to the index."""
    try:
        nb = nbformat.read(notebook, as_version=4)
        title = nb.cells[0].source
    except Exception as error:  # nbformat raises what JSON, its schema or its own reader raises
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{notebook} is not a readable notebook ({problem}); delete it and run it again.") from None
    first, _, rest = title.partition("\n")
    nb.cells[0].source = f"{first}{of}\n{rest}"
    nb.cells.insert(1, nbformat.v4.new_markdown_cell(head, id="site-head"))
    if tail:
        nb.cells.append(nbformat.v4.new_markdown_cell(tail, id="site-tail"))
    for output in (o for cell in nb.cells for o in cell.get("outputs", ())):
        if html := output.get("data", {}).get("text/html"):
            output["data"]["text/html"] = _relinked(html, stored, notebook, up)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, target)


def _record_section(record: dict, job: str, table: Table | None, up: str) -> str:
    """What a run's record says of it, and the table row it gives."""
    facts = {
        "data": report.source_note(record["source"]),
        "git commit": record["git_commit"] or "unknown",
        "device": record["device"],
        "seconds": record["seconds"],
        "windows' fingerprint": record["fingerprint"],
        **record["versions"],
    }
    text = "## The record beside this notebook\n\n"
    if table:
        row = table.printed.iloc[table.jobs.index(job)]
        title = report.TITLES[table.name]
        text += f"Its row of [{_number(table.name)}{title}]({up}index.md#{table.name}):\n\n"
        text += row.rename("").to_frame().to_markdown(disable_numparse=True) + "\n\n"
    return text + pd.Series(facts, name="", dtype=object).to_frame().to_markdown(disable_numparse=True) + "\n"


def _number(name: str) -> str:
    """'Table 2. ', nothing where it is not the paper's."""
    return f"Table {name.removeprefix('table')}. " if name[-1].isdigit() else ""


def add_runs(stored: Stored, source: Path, made: list[Table]) -> None:
    """A page for each executed notebook, a list of them for each data set."""
    of_row = {job: table for table in made if table.of_scores for job in table.jobs}
    for name, job in stored.jobs.items():
        path, up = stored.notebook(name), "../" * (name.count("/") + 1)
        links = _download(source, path, f"{name}.ipynb")
        record = stored.record(name)
        if record:
            links += f" and its record {_download(source, path.with_suffix('.json'), f'{name}.json')}"
        head = _warnings(stored.run) + f"Executed by `make reproduce`, profile `{stored.run.profile}`: {links}.\n"
        dataset = job.parameters.get("dataset")
        of = f": {SPECS[dataset].title}, {SPECS[dataset].view_titles[job.parameters['view']]}" if dataset else ""
        tail = _record_section(record, name, of_row.get(name), up) if record else ""
        _page(stored, path, source / "runs" / f"{name}.ipynb", head, tail, of, up)
    for dataset in stored.run.datasets:
        entries = [f"{_title(job)} <{name.removeprefix(f'{dataset}/')}>" for name, job in stored.jobs.items()
                   if name.startswith(f"{dataset}/")]  # fmt: skip
        if entries:
            text = f"# {SPECS[dataset].title}\n\n{_warnings(stored.run)}The executed notebooks of this data set.\n\n"
            (source / "runs" / dataset / "index.md").write_text(text + _toctree(entries))


def add_committed(stored: Stored, source: Path) -> list[str]:
    """The notebooks of the repository as committed; returns their names."""
    names = []
    for path in sorted((root() / "notebooks").glob("*.ipynb")):
        link = _download(source, path, f"notebooks/{path.name}")
        head = f"As committed, executed with its defaults, on simulated data: {link}.\n"
        _page(stored, path, source / "notebooks" / path.name, head)
        names.append(path.stem)
    return names


def _toctree(entries: list[str], options: str = "") -> str:
    return f":::{{toctree}}\n{options}\n" + "\n".join(entries) + "\n:::\n\n"


def _drawn(stored: Stored) -> dict[Path, str]:
    """Each figure of the first page, with the job that drew it."""
    folder = stored.run.figures_folder
    drawn = {folder / file: name for name, job in stored.jobs.items() for file in job.figures if file.endswith(".png")}
    for figure in ("figure2", "figure3") if "tables" in stored.jobs else ():
        for dataset in stored.run.datasets:  # of all views in one: instead of those of one view
            if (path := folder / f"{figure}_{dataset}.png").is_file():
                drawn = {p: name for p, name in drawn.items() if not p.stem.startswith(f"{path.stem}_")}
                drawn[path] = "tables"
    order = {name: i for i, name in enumerate(FIGURES)}
    first = sorted(drawn, key=lambda path: (order.get(path.stem.split("_")[0], 1.5), path.stem))  # scores after figure3
    return {path: drawn[path] for path in first if path.is_file()}


def _figures(stored: Stored, source: Path) -> str:
    """Figures 2 and 3 and the plots of scores, each with its notebook and its numbers."""
    text, note = "", report.source_note(stored.run.source)
    for path, name in _drawn(stored).items():
        p = stored.jobs[name].parameters
        dataset = p.get("dataset") or next((d for d in SPECS if d in path.stem), "")
        title = SPECS[dataset].title if dataset else path.stem
        view = f", {SPECS[dataset].view_titles[p['view']]}" if "view" in p else ""
        what = FIGURES.get(path.stem.split("_")[0], "Scores of all methods, ours filled, the paper's hollow")
        caption = f"{what}; {title}{view}, {note}"
        links = f"[its notebook](runs/{name}.ipynb)"
        if path.with_suffix(".csv").is_file():
            links += f", plotted numbers: {_download(source, path.with_suffix('.csv'), f'figures/{path.stem}.csv')}"
        (source / "figures").mkdir(exist_ok=True)
        shutil.copyfile(path, source / "figures" / path.name)
        text += f":::{{figure}} figures/{path.name}\n:alt: {caption}\n\n{caption} ({links}).\n:::\n\n"
    return text


def _provenance(stored: Stored, source: Path) -> str:
    """figures/<profile>/manifest.json as a page: which records and notebooks each table and figure is made of."""
    path = stored.run.figures_folder / "manifest.json"
    if not path.is_file():
        return ""
    try:
        manifest = json.loads(path.read_text())
        made = manifest["tables"] | manifest["figures"]  # {file: [record, ...]}
        records = {Path(file).stem: there for file, there in made.items()}  # a table's three files come from the same
        lines = []
        for name, there in records.items():
            jobs = [record.removesuffix(".json") for record in there]
            links = [f"[{job}](runs/{job}.ipynb)" if job in stored.jobs else job for job in jobs]
            lines.append(f"- `{name}`: {', '.join(links) or 'no record, made from the code alone'}")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is not a readable manifest; make the tables again with `make reproduce`.") from None
    link = _download(source, path, "manifest.json")
    return f"# What each table and figure was made from\n\nWith parameters and versions: {link}.\n\n" + "\n".join(lines)


def add_index(stored: Stored, source: Path, made: list[Table], committed: list[str]) -> None:
    """The first page: what this is, tables, figures, notes; and the lists of all pages."""
    run = stored.run
    text = f"# RDPD, reproduced: profile {run.profile}\n\n{_warnings(run)}"
    text += (
        "*Rich Data Helps Poor Data via Imitation* (Hong et al., IJCAI 2019) trains a teacher on many channels and a "
        "small student on few, which imitates the teacher's soft labels and attention. These pages show a "
        "reproduction: every table has the paper's published number beside ours, and **each number of ours is a link "
        f"to the executed notebook that made it**. Shown: {report.source_note(run.source)}, "
        f"{', '.join(SPECS[d].title for d in run.datasets)}, seeds: {len(run.seeds)}, epochs: at most {run.epochs}, "
        f"executed notebooks: {len(stored.jobs)}.\n\n## Tables\n\n"
    )
    for table in made:
        text += f"({table.name})=\n### {_number(table.name)}{report.TITLES[table.name]}\n\n"
        text += f"{report.caption(table.name, table.numbers)}\n\n{table.markdown(stored)}\n\n"
        text += f"{report.note(table.numbers)}\n\n"
        files = [run.figures_folder / f"{table.name}.{ending}" for ending in ("csv", "tex")]
        links = [_download(source, file, f"tables/{file.name}") for file in files if file.is_file()]
        text += f"As files: {', '.join(links)}.\n\n" if links else ""
    if figures := _figures(stored, source):
        text += f"## Figures\n\n{figures}"
    readme = root() / "README.md"
    if readme.is_file() and all(mark in readme.read_text() for mark in NOTES):
        _download(source, readme, "README.md")
        text += "## Notes\n\nWhat the paper leaves open, and what is done here:\n\n"
        text += f':::{{include}} downloads/README.md\n:start-after: "{NOTES[0]}"\n:end-before: "{NOTES[1]}"\n:::\n\n'
    top = ["Tables 1-5 <runs/tables>"] if "tables" in stored.jobs else []
    top += [f"runs/{d}/index" for d in run.datasets if (source / "runs" / d / "index.md").is_file()]
    if provenance := _provenance(stored, source):
        (source / "provenance.md").write_text(provenance)
        text += "## Provenance\n\n[What each table and figure was made from](provenance.md).\n\n"
        top.append("Provenance <provenance>")
    text += _toctree(top, ":hidden:\n:caption: Executed by this profile\n")
    text += _toctree([f"notebooks/{name}" for name in committed], ":hidden:\n:caption: The notebooks as committed\n")
    (source / "index.md").write_text(text)


# -------------------------------------------------------------------------------------------------------- build


def unshown(stored: Stored, made: list[Table]) -> list[str]:
    """Jobs whose notebook does not show the first score of their record: run again since, one without the other."""
    missing = []
    for table in made:
        for row, job in enumerate(table.jobs):
            if not table.of_scores or job not in stored.jobs:
                continue
            text = str(table.printed.at[row, table.ours[0]]).strip("*")
            if text != "–" and text not in json.dumps(json.loads(stored.notebook(job).read_text()), ensure_ascii=False):
                missing.append(job)
    return missing


def build(profile: str, results: str = "", out: Path | None = None) -> Path:
    """Write a profile's site, whole or not at all, in the place of an earlier one; returns its folder."""
    stored = Stored.read(profile, results)
    out = out or root() / "build" / "site" / profile
    out.parent.mkdir(parents=True, exist_ok=True)
    made = tables(stored.run)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as temporary, replace_folder(out) as target:
        source = Path(temporary) / "source"
        source.mkdir()
        add_runs(stored, source, made)
        add_index(stored, source, made, add_committed(stored, source))
        for job in unshown(stored, made):
            print(f"warning: {stored.notebook(job)} does not show its record's score; run it again", file=sys.stderr)
        _sphinx(source, Path(temporary) / "doctrees", target, stored.run)
        if out.is_dir():  # the rename that follows needs the place
            out.rename(Path(temporary) / "old")
    return out


def _sphinx(source: Path, doctrees: Path, target: Path, run: Run) -> None:
    command = [
        *(sys.executable, "-m", "sphinx", "-q", "-b", "html", "-c", root() / "docs", "-d", doctrees),
        *("-j", str(len(os.sched_getaffinity(0))), "-D", f"html_title=RDPD notebooks: {run.profile}"),
        *(["-D", "html_theme_options.announcement=Simulated data"] if run.source == "simulated" else []),
        *(source, target),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stderr, end="", file=sys.stderr)
    if done.returncode:
        raise UserError("Sphinx failed, as said above; the site is unchanged.")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m rdpd_nb.site", description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="demo")
    parser.add_argument("--results", default="")
    known = parser.parse_args(arguments)
    try:
        print(f"the site is {build(known.profile, known.results) / 'index.html'}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
