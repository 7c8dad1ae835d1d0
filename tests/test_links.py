"""Every relative link in committed Markdown, notebooks and stored tables leads to a committed file and heading."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]


def committed() -> set[str]:
    """Paths of the files in git's index, '/' between folders."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return set()
    return set(done.stdout.split("\0")) - {""}


FILES = committed()
PAGES = sorted(file for file in FILES if file.endswith((".md", ".ipynb")) and (ROOT / file).is_file())


# ------------------------------------------------------------------------------------------- reading links


class Tags(HTMLParser):
    """The links, pictures and ids of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [given[name] for name in ("href", "src") if given.get(name)]
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}


def prose(markdown: str) -> str:
    """Markdown without its code, in which brackets are no links."""
    markdown = re.sub(r"^( *)(```+|~~~+)[^\n]*\n.*?^\1\2 *$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "`code`", markdown)


def markdown_links(markdown: str) -> list[str]:
    """Targets of [text](target "title"), [name]: target, and of HTML among the text."""
    text = prose(markdown)
    links = re.findall(r"\]\(\s*<?([^\s()<>]+(?:\([^\s()]*\)[^\s()]*)*)>?(?:\s+[\"'(][^)]*)?\s*\)", text)
    return links + re.findall(r"^ {0,3}\[[^\]^]+\]:\s*<?(\S+?)>?(?:\s|$)", text, re.MULTILINE) + Tags(text).links


def headings(markdown: str) -> list[str]:
    text = re.sub(r"^( *)(```+|~~~+)[^\n]*\n.*?^\1\2 *$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    return [match.strip(" #") for match in re.findall(r"^ {0,3}#{1,6} +(.+)$", text, re.MULTILINE)]


def slug(heading: str) -> str:
    """The anchor a web page gives to a heading: small letters, no punctuation, '-' for each blank."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def notebook_texts(path: Path) -> tuple[list[str], list[str]]:
    """Markdown (cells and stored outputs) and stored HTML of a notebook."""
    markdown, html = [], []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            markdown.append("".join(cell["source"]))
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            markdown.append("".join(data.get("text/markdown", "")))
            html.append("".join(data.get("text/html", "")))
    return markdown, html


def texts(file: str) -> tuple[list[str], list[str]]:
    """Markdown and HTML of a page."""
    path = ROOT / file
    return notebook_texts(path) if file.endswith(".ipynb") else ([path.read_text(encoding="utf-8")], [])


def links(file: str) -> list[str]:
    markdown, html = texts(file)
    return [link for text in markdown for link in markdown_links(text)] + [link for h in html for link in Tags(h).links]


def anchors(file: str) -> set[str]:
    """What may follow '#': a page's headings, as web pages and as JupyterLab write them, and the ids of its HTML."""
    markdown, html = texts(file)
    found = set().union(*(Tags(text).ids for text in (*map(prose, markdown), *html)))
    for text in markdown:
        for heading in headings(text):
            found |= {slug(heading), heading.replace(" ", "-")}
    return found


def fault(file: str, link: str) -> str:
    """What is wrong with a link that stands in a file; '' where nothing is, or where it leads out."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    target = normpath(join(dirname(file), unquote(parts.path))) if parts.path else file
    folder = "" if target == "." else f"{target}/"
    if target not in FILES and not any(known.startswith(folder) for known in FILES):
        return f"{file}: {link} leads to no committed file"
    anchor = unquote(parts.fragment)
    if anchor and target.endswith((".md", ".ipynb")) and anchor not in anchors(target):
        return f"{file}: {link} leads to no heading"
    return ""


# --------------------------------------------------------------------------------------------------- tests


def test_there_are_pages_to_look_at():
    if not FILES:
        pytest.skip("this is no git checkout, so nothing says which files are committed")
    assert {"README.md", "CONTRIBUTING.md", "notebooks/02_teacher.ipynb"} <= set(PAGES)


@pytest.mark.parametrize("file", PAGES)
def test_relative_links_lead_to_committed_files_and_their_headings(file):
    faults = [text for link in links(file) if (text := fault(file, link))]
    assert not faults, "\n".join(faults)


def test_links_are_found_where_they_stand_and_not_in_code():
    text = """# A *heading*, it's 1
[one](a.md#b "title") ![two](<b c.png>) [three][3] `[no](no.md)` [four](x_(y).md)
<a href="five.md">five</a>

```
[no](no.md)
```
[3]: three.md
"""
    assert markdown_links(text.replace("b c", "bc")) == ["a.md#b", "bc.png", "x_(y).md", "three.md", "five.md"]
    assert [slug(heading) for heading in headings(text)] == ["a-heading-its-1"]


@pytest.mark.parametrize(
    ("link", "wrong"),
    [
        ("README.md", ""),
        ("https://doi.org/10.24963/ijcai.2019/817", ""),
        ("mailto:a@b", ""),
        ("notebooks", ""),
        ("notebooks/02_teacher.ipynb", ""),
        ("results/demo/pamap2/all/teacher.ipynb", "no committed file"),
        ("READ.md", "no committed file"),
        ("../outside.md", "no committed file"),
        ("README.md#no-such-heading", "no heading"),
        ("#no-such-heading", "no heading"),
    ],
)
def test_a_link_is_judged_by_what_git_has(link, wrong):
    if not FILES:
        pytest.skip("this is no git checkout, so nothing says which files are committed")
    said = fault("CITATION.cff" if link != "#no-such-heading" else "README.md", link)
    assert wrong in said and bool(wrong) == bool(said)
