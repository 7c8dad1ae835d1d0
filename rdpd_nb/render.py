"""A table as Markdown, LaTeX and HTML, and as files under figures/<profile>/; the site renders with the same functions.

In a table's printed cells `**...**` is bold; 'ROC-AUC, paper' is the column 'paper' under the heading 'ROC-AUC'.
"""

import html as markup
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from pandas.io.formats.style import Styler

from . import manifest
from .files import replace_file
from .records import any_of
from .run import Run

if TYPE_CHECKING:
    from .tables import Table

VERDICT_COLOURS = {"agrees": "#009E73", "higher": "#0072B2", "lower": "#D55E00"}
LONG = 30  # characters: the words of a table with one longer heading of a row may go on in a second line
_TEX = {"&": r"\&", "%": r"\%", "_": r"\_", "±": r"$\pm$", "–": "--", "<": "$<$", "†": r"$\dagger$"}
_TEX |= {"\\": r"\textbackslash{}", **{character: f"\\{character}" for character in "#${}"}}


def _headings(printed: pd.DataFrame) -> list[tuple[str, str]]:
    """'ROC-AUC, paper' -> ('ROC-AUC', 'paper'); 'ROC-AUC', which has such a neighbour, -> ('ROC-AUC', 'ours')."""
    split = [column.partition(", ")[::2] for column in printed.columns]
    shared = {group for group, own in split if own}
    return [(group, own or ("ours" if group in shared else "")) for group, own in split]


def _columns(headings: list[tuple[str, str]]) -> pd.Index:
    """One line of headings, or two where columns share one."""
    grouped = any(own for _, own in headings)
    return pd.MultiIndex.from_tuples(headings) if grouped else pd.Index([group for group, _ in headings])


def _new_group(printed: pd.DataFrame) -> list[int]:
    """Rows whose first cell is not that of the row above: a rule goes over them."""
    first = printed.iloc[:, 0].tolist()
    return [i for i in range(1, len(first)) if first[i] != first[i - 1]]


def markdown(table: "Table") -> str:
    """Caption, table and what stands under it."""
    printed = table.printed.map(lambda value: " ".join(str(value).split()).replace("|", "\\|"))
    body = printed.to_markdown(index=False, disable_numparse=True)
    return _no_tags("\n\n".join(filter(None, (table.caption, body, table.note))) + "\n")


def _no_tags(text: str) -> str:
    """Markdown in which nothing is HTML: a name out of a record or of a user's table could be a script."""
    return text.replace("<", "&lt;")


def _tex(value: object) -> str:
    text = "".join(_TEX.get(character, character) for character in str(value).strip("*"))
    return rf"\textbf{{{text}}}" if str(value).startswith("**") else text


def latex(table: "Table") -> str:
    r"""A table environment for \usepackage{booktabs}, with a rule between views."""
    printed = table.printed.map(_tex)
    printed.columns = _columns([(_tex(group), _tex(own)) for group, own in _headings(table.printed)])
    look = Styler(printed).hide(axis="index").format(str)
    lines = look.to_latex(hrules=True, column_format="l" * printed.shape[1], multicol_align="l").splitlines()
    body = lines.index(r"\midrule") + 1
    for i in reversed(_new_group(printed)):
        lines.insert(body + i, r"\midrule")
    small = [r"\scriptsize", r"\setlength{\tabcolsep}{3pt}"] if printed.shape[1] > 8 else []
    note = [rf"\par\footnotesize {_tex(table.note)}"] if table.note else []
    caption = rf"\caption{{{_tex(table.caption)}}}\label{{tab:{table.name}}}"
    return "\n".join([r"\begin{table}", r"\centering", *small, caption, *lines, *note, r"\end{table}", ""])


def _is_count(value: object) -> bool:
    """Whether a printed cell is a number alone, a dash, or blank: a column of these stands to the right."""
    return bool(re.fullmatch(r"[-+]?[\d,]*(\.\d+)?|–", str(value)))


def html(table: "Table", links: dict[str, str] | None = None, caption: bool = True) -> str:
    """A `table.rdpd` that scrolls sideways in a `div.rdpd-table`; the last heading of each row (the method) stays.
    The caption stands over it, where it does not scroll.

    links: address by record; each number of ours in a row of that record leads there. The headings that stay are
    `th.rdpd-stays`; headings of columns are in two lines where columns share one.
    """

    def cell(column: str, row: int, value: object) -> str:
        text = re.sub(r"\*\*(.+)\*\*", r"<b>\1</b>", markup.escape(str(value)))
        address = (links or {}).get(table.rows[row]) if column in table.ours and text != "–" else None
        return f'<a href="{markup.escape(address)}">{text}</a>' if address else text

    printed = pd.DataFrame({c: [cell(c, i, v) for i, v in enumerate(table.printed[c])] for c in table.printed})
    keys = list(printed.columns[: table.keys])
    shown = printed.set_index(keys)
    shown.columns = _columns([(markup.escape(group), markup.escape(own)) for group, own in _headings(shown)])
    look = Styler(shown, uuid=table.name, cell_ids=False).format(str).format_index(str, axis=0)
    colours = {word: f"color: var(--rdpd-{word}, {colour})" for word, colour in VERDICT_COLOURS.items()}
    look = look.map(lambda text: colours.get(text.partition(" ")[0], "")).hide(axis="index", names=True)
    stays = "position: sticky; left: 0; background: var(--jp-layout-color0, var(--pst-color-background, Canvas))"
    rule = "border-top: 1px solid #999"
    styles = [
        {"selector": "", "props": "border-collapse: collapse"},
        {"selector": "td, th", "props": "text-align: left; white-space: nowrap; padding: 0.15em 0.6em"},
        {"selector": "tbody > tr > *", "props": "vertical-align: top; font-weight: normal"},
        {"selector": f"tbody th.level{len(keys) - 1}", "props": stays},
        {"selector": "tbody tr:first-child > *", "props": rule},
    ]
    plain = [i for i, column in enumerate(shown) if table.printed.iloc[:, len(keys) + i].map(_is_count).all()]
    if len(keys) == 1 and table.printed[keys[0]].astype(str).str.len().max() > LONG:
        words = [f"td.col{i}" for i in range(shown.shape[1]) if i not in plain]
        styles.append({"selector": ", ".join(["tbody th", *words]), "props": "white-space: normal"})
        styles.append({"selector": "tbody th", "props": "min-width: 15em"})
    styles += [{"selector": f"td.col{i}, th.col_heading.col{i}", "props": "text-align: right"} for i in plain]
    groups = _new_group(printed) if len(keys) > 1 else []
    styles += [{"selector": f"tbody tr:nth-child({i + 1}) > *", "props": rule} for i in groups]
    look = look.set_table_styles(styles).set_table_attributes('class="rdpd"')
    rest = table.caption.removeprefix(table.title)
    said = f"<p><b>{markup.escape(table.title)}</b>{markup.escape(rest)}</p>" if caption else ""
    head, end, body = look.to_html().partition("</thead>")
    for key in reversed(keys):  # over the row headings, in the last line, pandas puts blanks
        before, _, after = head.rpartition("&nbsp;")
        head = f"{before}{markup.escape(key)}{after}"
    body = re.sub(rf'class="row_heading level{len(keys) - 1}', r"\g<0> rdpd-stays", body)
    note = f"<p>{markup.escape(table.note)}</p>" if table.note else ""
    return f'{said}<div class="rdpd-table" style="overflow-x: auto">{head}{end}{body}</div>{note}'


# ------------------------------------------------------------------------------------------------------- files


def write(run: Run, table: "Table") -> Path | None:
    """figures/<profile>/<name>.csv, .md and .tex; the caption stands in the last two, the source in all.

    The path of the Markdown; None, and nothing written, where there is no record of this run.
    """
    if not any_of(run):
        return None
    path = run.figures_folder / f"{table.name}.md"
    with replace_file(path.with_suffix(".csv")) as temporary:
        table.numbers.to_csv(temporary, index=False, float_format="%.6g")
    for target, text in ((path, markdown(table)), (path.with_suffix(".tex"), latex(table))):
        with replace_file(target) as temporary:
            temporary.write_text(text)
    manifest.declare(run, "tables", table.name, table.records, table.title)
    return path


@dataclass(frozen=True)
class Words:
    """Markdown for a notebook to display."""

    text: str

    def _repr_markdown_(self) -> str:
        return _no_tags(self.text)

    def __repr__(self) -> str:
        return self.text


def bullets(sentences: list[str]) -> Words:
    """Sentences as a list, a line each."""
    return Words("\n".join(f"- {sentence}" for sentence in sentences))


def committed(run: Run, name: str) -> Words:
    """The table of that name as committed, and words that it is not of a run that is here."""
    path = manifest.committed(run) / f"{name}.md"
    where = "There is no record of this run under `results/`; nothing is written. "
    text = f"As committed:\n\n{path.read_text()}" if path.is_file() else f"No {name} is committed for this profile."
    return Words(where + text)


def committed_figures(run: Run, names: list[str]) -> Words:
    """Which of these figures are committed, with their titles, and words that they are not of a run that is here."""
    folder = manifest.committed(run)
    titles = manifest.read(run, folder)["titles"]
    lines = [f"- `{n}.png`: {titles.get(n, n)}" for n in names if (folder / f"{n}.png").is_file()]
    where = "There is no record of this run under `results/`; nothing is drawn. "
    said = f"As committed under `figures/{run.profile}/`:\n" if lines else "None is committed for this profile."
    return Words("\n".join([where + said, *lines]))


def show(run: Run, table: "Table") -> "Table | Words":
    """Write a table's files and give it back to be displayed; without any record of the run, the committed one."""
    return table if write(run, table) else committed(run, table.name)
