"""The web site of a profile, `python docs/website.py`: what is stored is shown, nothing is executed.

Sphinx with MyST-NB renders it (docs/conf.py). This module gathers Sphinx's sources in a temporary folder: the executed
notebooks, the committed ones, the pages of docs/, and as first page what notebook 10 makes: the tables of `tables`, as
`render` writes them, and the figures. What results/ has not is taken from what is committed: the records under
figures/<profile>/records, and the notebooks in executed.py's archives.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from urllib.parse import urldefrag

import executed
import yaml
from executed import TABLES

from rdpd_nb import jobs, manifest, render, tables
from rdpd_nb.data import DATASETS, SPECS
from rdpd_nb.errors import UserError
from rdpd_nb.files import replace_folder, root
from rdpd_nb.jobs import Job
from rdpd_nb.records import read_record
from rdpd_nb.reproduce import usable_cores
from rdpd_nb.run import RELATED, Run
from rdpd_nb.systems import SYSTEMS

LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s]+)")  # of Markdown, to a file
SHOWN_BY = re.compile(r"^#+ +(Scores|The ledger)", re.MULTILINE)  # the section that has a table's numbers
SAVED = re.compile(r"save_figure\(\s*run,\s*f?\"([^\"]+)\"")  # by a cell
FACTS = ("source", "git_commit", "device", "seconds", "fingerprint")  # of a record, beside the versions
OTHERS = "Other systems, in the same harness"
SIMULATED = "Numbers and plots of ours show that the pipeline works; they say nothing about the paper's numbers."
SIMULATED_TASK = ":::{admonition} Simulated data\n:class: warning\n\n" + SIMULATED + "\n:::\n\n"
CREDENTIALED = "These pages show what is derived from MIMIC-III. If yours is not the open demo, keep them to yourself."


def _text(value: object) -> str:
    """Any value, on one line, as Markdown that shows it as it is: no markup of its own gets through."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(str(value).split()))


def _raw(html: str) -> str:
    """HTML as it is, on one line, which nothing in it can end."""
    return f"```{{raw}} html\n{' '.join(html.split())}\n```\n\n"


def _toctree(entries: list[str], options: str = "") -> str:
    return f":::{{toctree}}\n{options}\n" + "\n".join(entries) + "\n:::\n\n"


def _number(table: tables.Table) -> str:
    """'Table 2. Performance on PAMAP2', without a number where it is not the paper's."""
    number = re.fullmatch(r"table(\d)", table.name)
    return f"Table {number[1]}. {table.title}" if number else table.title


@dataclass(frozen=True)
class Site:
    """What a profile's last reproduction left: its run of notebook 10, and its jobs with an executed notebook."""

    run: Run
    jobs: dict[str, Job]
    titles: dict[str, str]  # of tables and figures, as declared where they were saved
    archived: dict[str, str] = field(default_factory=dict)  # by job, the notebooks that results/ has not
    source: Path = Path()  # Sphinx's sources

    @classmethod
    def read(cls, profile: str, results: str = "") -> "Site":
        """Raises UserError where nothing has been run."""
        settings = executed.settings_of(profile, results)
        run, planned = executed.tables_run(settings), jobs.plan(settings)
        folder = run.results_root
        own = {job.name for job in planned if os.path.lexists(folder / f"{job.name}.ipynb")}
        lacking = [job for job in planned if job.name not in own]
        archived = executed.read(run, [job for job in lacking if job.notebook != TABLES or not own])
        there = {job.name: job for job in planned if job.name in own | set(archived)}
        if not there:
            raise UserError(f"no executed notebook in {folder}; run `make reproduce PROFILE={profile}` first.")
        made = {name: content["title"] for name, content in manifest.declared(run).items()}
        return cls(run, there, manifest.read(run)["titles"] | made, archived)

    def notebook(self, name: str) -> str:
        """The text of a job's executed notebook."""
        if name in self.archived:
            return self.archived[name]
        try:
            return self.place(name).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(f"{self.place(name)} is not a readable notebook ({error}); run it again.") from None

    def place(self, name: str) -> Path:
        """Where that stands."""
        return executed.archive(self.run, name) if name in self.archived else self.run.results_root / f"{name}.ipynb"

    def record_path(self, name: str) -> Path:
        """A job's record, of an archived notebook the committed copy; it need not be there."""
        own = self.run.results_root / f"{name}.json"
        return executed.committed(self.run, name) if name in self.archived and not own.is_file() else own

    def all_tables(self, folder: Path) -> list[tables.Table]:
        """All tables. Those records that results/ lacks are the committed ones; `folder` is for both side by side."""
        own, copies = self.run.results_root, self.run.figures_folder / "records"
        there = {f.relative_to(top): f for top in (copies, own) for f in top.glob("*/*/*.json")}  # ours, where both are
        if all(file.is_relative_to(own) for file in there.values()):
            return list(tables.all_of(self.run))
        run = replace(self.run, parameters=self.run.parameters | {"results": str(folder.resolve())})
        for name, file in there.items():
            (run.results_root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, run.results_root / name)
        return list(tables.all_of(run))

    @property
    def pages(self) -> dict[str, str]:
        """Address of the page of each job that has one, from the first page."""
        return {name: f"runs/{name}.html" for name, job in self.jobs.items() if job.notebook != TABLES}

    def warnings(self, dataset: str = "") -> str:
        """What a reader must know first: of all data sets, or of the one that a page is of."""
        of = [dataset] if dataset else self.run.datasets
        simulated = [SPECS[dataset].title for dataset in of if self.sources.get(dataset) == "simulated"]
        said = [(f"Simulated data: {', '.join(simulated)}", SIMULATED)] if simulated else []
        said += [("Credentialed data", CREDENTIALED)] if self.sources.get("mimic3") == "real" else []
        return "".join(f":::{{admonition}} {title}\n:class: warning\n\n{text}\n:::\n\n" for title, text in said)

    @property
    def sources(self) -> dict[str, str]:
        return {dataset: self.run.of(dataset)["source"] for dataset in self.run.datasets}

    def shown(self) -> list[str]:
        """In words, of each data set: where it is from, and how many models were trained for how long."""
        said = []
        for dataset, source in self.sources.items():
            own = self.run.of(dataset)
            folds = "folds" if SPECS[dataset].split == "folds" else "seeds"
            most = f"at most {own['updates'][1]:,} updates" if own["updates"] else f"at most {own['epochs']} epochs"
            said.append(f"{SPECS[dataset].title} ({tables.source_note(source)}, {len(own['seeds'])} {folds}, {most})")
        return said

    def copy(self, file: Path | str, name: str) -> str:
        """Put a file, or a text, among the sources; its address there."""
        target = self.source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes() if isinstance(file, Path) else file.encode())
        return f"/{name}"

    def download(self, file: Path | str, name: str) -> str:
        """The role that links to a file, or a text, among the site's downloads."""
        return f"{{download}}`{Path(name).name} <{self.copy(file, f'downloads/{name}')}>`"

    def relinked(self, text: str, folder: str, job: Job | None = None) -> str:
        """Markdown of a file in `folder` of the project with its links as links to pages, or to copies of files.

        A link to a notebook leads to the one of the same view (or of the teacher) where that has been executed.
        """
        near = ()
        if job:
            dataset, view, _ = job.name.split("/")
            near = tuple(f"{dataset}/{name}/" for name in ("all", view))
        executed = {other.notebook: name for name, other in self.jobs.items() if name.startswith(near)}

        def address(match: re.Match) -> str:
            path, heading = urldefrag(match[1])
            at = "#" + re.sub(r"[^\w-]", "", heading.lower()) if heading else ""  # Jupyter's anchor as the site's
            file = (root() / folder / path).resolve()
            if file.name in (f"{TABLES}.ipynb", "README.md"):
                return "/index.md"
            if file.stem in executed:
                return f"/runs/{executed[file.stem]}.ipynb{at}"
            if not file.is_file() or not file.is_relative_to(root()):
                return match[1]
            place = file.relative_to(root()).as_posix()
            if re.fullmatch(r"docs/\w+\.md|notebooks/\w+\.ipynb", place):
                return f"/{place}{at}"
            return self.copy(file, f"downloads/{place}")

        text = re.sub(r"!\[[^]]*\]", lambda alt: " ".join(alt[0].split()), text)  # a line's end would be lost in it
        return LINK.sub(address, text)

    # ------------------------------------------------------------------------------------------------ notebooks

    def page(self, text: str, place: Path, target: str, head: str, tail: str = "", job: Job | None = None) -> str:
        """A notebook, whose text stands in `place`, as a page with `head` under its title and `tail` at its end.

        Returns the title. Of an executed one: the parameters once, as they were given; the anchor `score` where the
        numbers are.
        """
        try:
            nb = executed.readable(text)
            cells = [{**cell, "source": "".join(cell["source"])} for cell in nb["cells"]]
            title, _, rest = cells[0]["source"].partition("\n")
        except (ValueError, LookupError) as error:
            raise UserError(f"{place} is not a readable notebook ({error}); delete it and run it again.") from None
        if job and "view" in job.parameters:
            spec, view = SPECS[job.parameters["dataset"]], job.parameters["view"]
            title += f": {spec.title}" + (f", {spec.view_titles[view]}" if view != "all" else "")
        cells[0]["source"] = f"{title}\n{rest}"
        tags = [set(cell["metadata"].get("tags", ())) for cell in cells]
        if any("injected-parameters" in these for these in tags):
            cells = [cell for cell, these in zip(cells, tags, strict=True) if "parameters" not in these]
        heading, anchor = "", '<div id="score"></div>\n\n'
        for cell in cells:
            if cell["cell_type"] == "code":
                self._show_code(cell, heading, job)
                continue
            cell["source"] = self.relinked(cell["source"], "notebooks", job)
            heading = ([heading] + re.findall(r"^#+ +(.+)", cell["source"], re.MULTILINE))[-1]
            if SHOWN_BY.search(cell["source"]):
                cell["source"], anchor = SHOWN_BY.sub(f"{anchor}\\g<0>", cell["source"], count=1), ""  # the first only
        head, tail = (
            [{"cell_type": "markdown", "id": f"site-{i}", "metadata": {}, "source": text}] if text else []
            for i, text in enumerate((head, tail))
        )
        path = self.source / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(nb | {"cells": [cells[0], *head, *cells[1:], *tail]}))
        return title

    def _show_code(self, cell: dict, heading: str, job: Job | None) -> None:
        """Fold what is set-up, lead links in what is displayed to pages, say what a plot is."""
        if {"parameters", "injected-parameters"} & set(cell["metadata"].get("tags", ())):
            cell["metadata"] = {"tags": ["hide-input"], "mystnb": {"code_prompt_show": "Parameters"}}
            return
        if "params.check(" in cell["source"]:  # prints the parameters again
            cell |= {"outputs": [], "metadata": {"tags": ["hide-input"]}}
        for output in cell["outputs"]:
            if words := output.get("data", {}).get("text/markdown"):
                output["data"]["text/markdown"] = self.relinked("".join(words), "notebooks", job)
        figure, given = "".join(SAVED.findall(cell["source"])[:1]), job.parameters if job else {}
        figure = re.sub(r"{(\w+\.)?(\w+)}", lambda name: str(given.get(name[2])), figure)  # '{run.dataset}_scores'
        cell["metadata"]["mystnb"] = {"image": {"alt": self.titles.get(figure, f"Plot: {heading}")}}

    def record(self, name: str, table: tables.Table | None) -> str:
        """What a run's record says of it, and the table row it gives, whose score the notebook should show."""
        record = read_record(self.record_path(name))
        text = "## The record beside this notebook\n\n"
        if table:
            if executed.missing_score(name, self.notebook(name), [table]):
                print(f"warning: {self.place(name)} does not show its record's score; run it again", file=sys.stderr)
            at = [i for i, row in enumerate(table.rows) if row == name]
            rows = table.printed.iloc[at].reset_index(drop=True)
            text += f"Its row of [{_text(_number(table))}](/index.md#{table.name}):\n\n"
            text += _raw(render.html(replace(table, printed=rows, rows=[""] * len(at), note=""), caption=False))
        facts = {key.replace("_", " "): record[key] for key in FACTS if key in record} | record.get("versions", {})
        lines = (f"<tr><th>{escape(key)}</th><td>{escape(str(value))}</td></tr>" for key, value in facts.items())
        return text + _raw(f'<table class="rdpd-record">{"".join(lines)}</table>')

    def add_runs(self, made: list[tables.Table]) -> list[str]:
        """A page for each executed notebook but that of the tables, and for each data set one that lists them;
        returns the addresses of these."""
        of_row = {row: table for table in made for row in table.rows if table.name != "table1"}
        entries: dict[str, list[str]] = {}
        for name in self.pages:
            job, text, place, tail = self.jobs[name], self.notebook(name), self.place(name), ""
            links = self.download(text, f"{name}.ipynb")
            if (record := self.record_path(name)).is_file():
                links += f" and its record {self.download(record, f'{name}.json')}"
                tail = self.record(name, of_row.get(name))
            dataset, view, last = name.split("/")
            twin = dataset == RELATED and SYSTEMS[last].tasks.get(view) == "simulated"
            head = (SIMULATED_TASK if twin else "") + self.warnings(dataset)
            head += f"Executed by `make reproduce`, profile `{self.run.profile}`: {links}"
            head += f", as committed in {place.name}.\n" if name in self.archived else ".\n"
            title = self.page(text, place, f"runs/{name}.ipynb", head, tail, job)  # '# 7. RDPD: PAMAP2, Wrist'
            words = re.sub("^[#0-9. ]+|: [^:]*$", "", title)
            words = f"{words}: {view}" if dataset == RELATED else f"{SPECS[dataset].view_titles[view]}: {words}"
            entries.setdefault(dataset, []).append(f"{words} <{view}/{last}>")
        for dataset, pages in entries.items():
            if dataset == RELATED:
                text = f"# {OTHERS}\n\nThe executed notebooks.\n\n{_toctree(pages)}"
                (self.source / "runs" / dataset / "index.md").write_text(text)
                continue
            source = DATASETS[dataset].SOURCE
            text = f"# {SPECS[dataset].title}\n\n{self.warnings(dataset)}The executed notebooks. The real data: "
            text += f"[{_text(source.page)}]({source.page}), licence {_text(source.licence)}.\n\n{_toctree(pages)}"
            (self.source / "runs" / dataset / "index.md").write_text(text)
        return [f"runs/{dataset}/index" for dataset in entries]

    def add_committed(self) -> list[str]:
        """The notebooks of the repository as committed; returns the addresses of their pages."""
        names = []
        for path in sorted((root() / "notebooks").glob("*.ipynb")):
            link = self.download(path, f"notebooks/{path.name}")
            if path.stem != TABLES:
                names.append(f"notebooks/{path.stem}")
                head = f"As committed, executed with its defaults: {link}.\n"
                self.page(path.read_text(), path, f"{names[-1]}.ipynb", head)
        return names

    def add_docs(self) -> list[str]:
        """The pages of docs/; returns their addresses."""
        (self.source / "docs").mkdir()
        for path in (root() / "docs").glob("*.md"):
            (self.source / "docs" / path.name).write_text(self.relinked(path.read_text(), "docs"))
        return sorted(f"docs/{path.stem}" for path in (root() / "docs").glob("*.md"))

    # ------------------------------------------------------------------------------------------- the first page

    def figures(self) -> str:
        """Figures 2 and 3, the plots of scores and those of notebook 11, each with its notebook and its numbers."""
        folder, text = self.run.figures_folder, ""
        drawn = {
            Path(file).stem: name
            for name, job in self.jobs.items()
            for file in job.figures
            if file.endswith(".png") and (folder / file).is_file()
        }
        whole = tuple(f"{figure}_" for figure, name in drawn.items() if name not in self.pages)  # of all views
        for figure in sorted(drawn, key=lambda figure: (not figure.startswith("figure"), drawn[figure] in self.pages)):
            if figure.startswith(whole):  # of one view, shown already
                continue
            title = self.titles.get(figure, figure)
            number = re.match(r"figure(\d)", figure)
            words = f"Figure {number[1]}. {_text(title)}" if number else _text(title)
            links = [f"[its notebook](/runs/{drawn[figure]}.ipynb)"] if drawn[figure] in self.pages else []
            if (numbers := folder / f"{figure}.csv").is_file():
                links.append(f"plotted numbers: {self.download(numbers, f'figures/{numbers.name}')}")
            picture = self.copy(folder / f"{figure}.png", f"downloads/figures/{figure}.png")
            text += f"::::{{figure}} {picture}\n:alt: {json.dumps(title)}\n\n{words} ({', '.join(links)}).\n::::\n\n"
        return text

    def others(self) -> str:
        """The tables of other systems than RDPD, each with a link to the notebook that made it."""
        text = ""
        for name in (name for name in self.pages if name.startswith(f"{RELATED}/")):
            _, task, system = name.split("/")
            path = self.run.figures_folder / f"{system}_{task}.md"
            if path.is_file():
                text += f"{path.read_text()}\n[Its notebook](/runs/{name}.ipynb).\n\n"
        return f"## {OTHERS}\n\n{text}" if text else ""

    def add_provenance(self) -> str:
        """figures/<profile>/manifest.json as a page, whose address is returned: which records and notebooks each table
        and figure is made of."""
        made, path = manifest.read(self.run), self.run.figures_folder / "manifest.json"
        text = "# What each table and figure was made from\n\n"
        text += f"With parameters: {self.download(path, 'manifest.json')}.\n\n" if path.is_file() else ""
        for name, there in (made["tables"] | made["figures"]).items():
            links = [f"[{_text(r)}](/runs/{r}.ipynb)" if r in self.pages else _text(r) for r in there]
            text += f"- **{_text(name)}**: {', '.join(links) or 'no record, made from the code alone'}\n"
        (self.source / "provenance.md").write_text(text)
        return "provenance"

    def add_index(self, made: list[tables.Table], lists: dict[str, list[str]]) -> None:
        """The first page: what this is, tables and figures; `lists` are the addresses of all pages by heading."""
        run, about = self.run, yaml.safe_load((root() / "CITATION.cff").read_text())
        idea = self.copy(root() / "docs/idea.svg", "downloads/docs/idea.svg")
        code = f" The code is [here]({about['repository-code']})." if "repository-code" in about else ""
        text = (
            f"# RDPD, reproduced: profile {run.profile}\n\n{self.warnings()}"
            f"[*Rich Data Helps Poor Data via Imitation*](https://doi.org/{about['preferred-citation']['doi']}) (Hong "
            "et al., IJCAI 2019) trains a teacher on many channels and a small student on few, which imitates the "
            "teacher's soft labels and attention. These pages show a reproduction: tables have the paper's published "
            "number beside ours, and **each number of ours is a link to the executed notebook that made it**. Shown: "
            f"{'; '.join(self.shown())}; executed notebooks: {len(self.jobs)}.{code}\n\n"
            f"![The teacher of many channels leaves soft labels and attention; the student imitates them]({idea})\n\n"
            "## Tables\n\n"
        )
        links = {name: f"{page}#score" for name, page in self.pages.items()}
        for table in made:
            caption = table.caption.removeprefix(table.title).lstrip(":. ")  # after the heading, which is the title
            text += f"({table.name})=\n### {_text(_number(table))}\n\n{_text(caption[:1].upper() + caption[1:])}\n\n"
            text += _raw(render.html(table, links, caption=False))
            files = [run.figures_folder / f"{table.name}.{ending}" for ending in ("csv", "md", "tex")]
            files = [self.download(file, f"tables/{file.name}") for file in files if file.is_file()]
            text += f"As files: {', '.join(files)}.\n\n" if files else ""
        text += self.others()
        if figures := self.figures():
            text += f"## Figures\n\n{figures}"
        text += "## Notes\n\n[What the paper leaves open](/docs/protocol.md), and what is done here; "
        text += "[where the data come from](/docs/data.md); [what each table and figure was made from](/provenance.md)"
        if "tables" in self.jobs:
            text += f"; these tables as a notebook: {self.download(self.notebook('tables'), 'tables.ipynb')}"
        text += ".\n\n"
        text += "".join(_toctree(pages, f":hidden:\n:caption: {words}\n") for words, pages in lists.items())
        (self.source / "index.md").write_text(text)


def build(profile: str, results: str = "", out: Path | None = None) -> Path:
    """Write a profile's site, whole or not at all, in the place of an earlier one; returns its folder."""
    site = Site.read(profile, results)
    out = out or root() / "build" / "site" / profile
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".") as temporary, replace_folder(out) as target:
        site, made = replace(site, source=Path(temporary) / "source"), site.all_tables(Path(temporary) / "records")
        site.source.mkdir()
        lists = {"Executed by this profile": [*site.add_runs(made), site.add_provenance()]}
        lists |= {"About": site.add_docs(), "The notebooks as committed": site.add_committed()}
        site.add_index(made, lists)
        _sphinx(site.source, Path(temporary) / "doctrees", target, site)
        if out.is_dir():  # the rename that follows needs the place
            out.rename(Path(temporary) / "old")
    return out


def _sphinx(source: Path, doctrees: Path, target: Path, site: Site) -> None:
    simulated = set(site.sources.values()) == {"simulated"}
    command = [
        *(sys.executable, "-m", "sphinx", "-q", "-b", "html", "-c", root() / "docs", "-d", doctrees),
        *("-j", str(usable_cores()), "-D", f"html_title=RDPD notebooks: {site.run.profile}"),
        *(["-D", "html_theme_options.announcement=Simulated data"] if simulated else []),
        *(source, target),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    print(done.stderr, end="", file=sys.stderr)
    if done.returncode:
        raise UserError("Sphinx failed, as said above; the site is unchanged.")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python docs/website.py", description=__doc__.splitlines()[0])
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
