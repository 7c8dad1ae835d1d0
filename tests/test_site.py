"""The web site, built once from made-up results of the tiny profile: links, numbers, no outside request, a click."""

import contextlib
import io
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import website as site
from bs4 import BeautifulSoup
from made_up_results import LEAD_I, write_results

from rdpd_nb import data, jobs, render, tables
from rdpd_nb.errors import UserError
from rdpd_nb.files import write_json
from rdpd_nb.paper import STUDENT_METHODS


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, str]:
    """The site's folder, and what the build said."""
    folder = tmp_path_factory.mktemp("site")
    write_results(folder / "results", skip=("ptbdb/lead_i/kd",))
    with contextlib.redirect_stderr(io.StringIO()) as said:
        out = site.build("tiny", str(folder / "results"), folder / "out")
    return out, said.getvalue()


@pytest.fixture(scope="module")
def pages(built) -> dict[Path, BeautifulSoup]:
    return {path: BeautifulSoup(path.read_text(), "html.parser") for path in built[0].rglob("*.html")}


def test_sphinx_has_nothing_to_complain_of_and_every_notebook_is_a_page(built):
    out, said = built
    assert said == ""
    for job in jobs.plan(jobs.read_settings("tiny")):  # the page of the tables' notebook is the first one
        assert (out / f"runs/{job.name}.html").is_file() == (job.name not in ("ptbdb/lead_i/kd", "tables"))
    for path in (site.root() / "notebooks").glob("*.ipynb"):
        assert (out / f"notebooks/{path.stem}.html").is_file() == (path.stem != site.TABLES)
    for path in (site.root() / "docs").glob("*.md"):
        assert (out / f"docs/{path.stem}.html").is_file()


def test_a_page_warns_of_its_own_data_set_and_the_first_page_of_all():
    settings = jobs.read_settings("demo", {"datasets": ["cinc2012", "ptbdb"]})
    shown = site.Site(site.executed.tables_run(settings), {}, {})
    assert shown.warnings("cinc2012") == ""
    assert shown.warnings("ptbdb") == shown.warnings() != "" and "Simulated data: PTBDB" in shown.warnings()


def test_every_link_leads_somewhere(pages):
    broken = []
    ids = {page: {tag["id"] for tag in soup.find_all(id=True)} for page, soup in pages.items()}
    for page, soup in pages.items():
        for tag in soup.find_all(["a", "link", "script", "img", "form"]):
            link = next((tag[name] for name in ("href", "src", "action") if tag.get(name)), "")
            parts = urlsplit(link)
            if not link or parts.scheme:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in ids.get(target, ())):
                broken.append((page.name, link))
    assert not broken
    assert len(pages) > 20


def test_no_page_loads_anything_from_elsewhere(built, pages):
    outside = re.compile(r"^(\w+:)?//")
    for page, soup in pages.items():
        loads = [tag["src"] for tag in soup.find_all(src=True)] + [tag["href"] for tag in soup.find_all("link")]
        assert not [link for link in loads if outside.match(link) and not link.startswith("data:")], page
        assert "cdn" not in str(soup.find_all("script"))
    for sheet in built[0].rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(\w+:)?//", sheet.read_text()), sheet


def test_each_number_of_ours_links_to_the_place_that_shows_it(built, pages):
    index = pages[built[0] / "index.html"]
    followed = set()
    for cell in index.select("table td a"):
        address, _, anchor = cell["href"].partition("#")
        below = pages[(built[0] / address).resolve()].find(id=anchor).find_all_next(class_="cell_output")
        assert cell.get_text() in " ".join(tag.get_text(" ") for tag in below) and address.startswith("runs/")
        followed.add(address)
    assert followed == {
        *("runs/ptbdb/all/preprocessing.html", "runs/ptbdb/all/teacher.html"),
        *(f"runs/ptbdb/lead_i/{method}.html" for method in STUDENT_METHODS if method != "kd"),
    }
    rows = [[cell.get_text() for cell in row.select("th, td")] for row in index.select("tbody tr")]
    distill = next(row for row in rows if row[0] == "Distill")
    assert distill[1] == "–" and "±" in distill[2], "not run: a dash, beside the published"


def test_tables_are_those_of_render_once_and_the_method_stays(built, pages):
    index = pages[built[0] / "index.html"]
    run = site.Site.read("tiny", str(built[0].parent / "results")).run
    shown = [table["id"] for table in index.select("table")]
    assert shown == [f"T_{table.name}" for table in tables.all_of(run)]
    scores = index.select_one("#T_table3")
    assert [len(row.select("th")) > 1 for row in scores.select("thead tr")] == [True, True], "headings on two lines"
    assert [cell.get_text() for cell in scores.select("tbody th.rdpd-stays")][1::2][:2] == ["Teacher", "Direct"]
    assert "verdict" not in scores.get_text(), "simulated data are not judged"
    expected = BeautifulSoup(render.html(tables.scores(run, "ptbdb"), caption=False), "html.parser")
    words = [cell.get_text(strip=True) for cell in expected.select("tbody td")]
    assert words == [cell.get_text(strip=True) for cell in scores.select("tbody td")]
    assert not list(built[0].glob("runs/tables*")), "shown once"


def test_simulated_is_said_first_on_every_page(built, pages):
    for page, soup in pages.items():
        assert "Simulated data" in soup.select_one(".announcement").get_text(), page
    first = pages[built[0] / "index.html"].select_one("h1").find_next(class_="admonition")
    assert "say nothing about the paper" in first.get_text()


def test_a_run_has_its_equation_plot_record_and_downloads(built, pages):
    page = pages[built[0] / f"runs/{LEAD_I}.html"]
    assert page.select_one("h1").get_text().startswith("07. Notebook rdpd: PTBDB, Lead I")
    assert r"\sum_i p_i" in page.select_one(".math").get_text()
    assert page.select_one(".cell_output img") and page.find("meta", attrs={"name": "viewport"})
    assert {"rdpd.ipynb", "rdpd.json"} <= {Path(a["href"]).name for a in page.select("a.download")}
    record = page.select_one("#the-record-beside-this-notebook")
    assert "0.850" in record.get_text() and "0.700" not in record.get_text(), "its own row"
    assert record.select_one('a[href="../../../index.html#table3"]')


def test_the_parameters_are_there_once_and_folded_with_the_set_up(built, pages):
    page = pages[built[0] / f"runs/{LEAD_I}.html"]
    assert "seeds = [0]" in page.get_text() and "seeds = [0, 1, 2]" not in page.get_text()
    assert "seeds=[0]" not in page.get_text(), "not printed again"
    folded = [fold.get_text() for fold in page.select("details")]
    assert [any(words in text for text in folded) for words in ("seeds = [0]", "import time", "show()")] == [1, 1, 0]
    committed = pages[built[0] / "notebooks/07_rdpd.html"]
    (fold,) = [fold for fold in committed.select("details") if "view = " in fold.get_text()]
    assert "Parameters" in fold.summary.get_text()


def test_links_between_notebooks_are_links_between_pages(built, pages):
    page = pages[built[0] / f"runs/{LEAD_I}.html"]
    links = {tag.get_text(): tag["href"] for tag in page.select("article p a")}
    up = "../../../"
    assert (links["Before"], links["all"]) == ("rdpd_r2.html#training", f"{up}index.html")
    assert (links["open"], links["more"]) == (f"{up}docs/protocol.html#how-numbers-are-compared", f"{up}index.html")
    assert links["last"] == "presets.html", "in what a cell displays, too"
    teacher = pages[built[0] / "runs/ptbdb/all/teacher.html"]
    assert teacher.find("a", string="Before")["href"] == "../../../notebooks/06_rdpd_r2.html#training", (
        "as committed, at least"
    )


def test_what_a_record_says_is_text(built, pages):
    for page, soup in pages.items():
        assert not [script for script in soup.find_all("script") if "alert(" in script.get_text()], page
    facts = pages[built[0] / f"runs/{LEAD_I}.html"].select("table.rdpd-record td")
    assert [facts[-1].get_text(), facts[2].get_text()] == [
        "<script>alert('a record')</script>",
        "a `{device}` | with *marks*",
    ]
    assert site._text("<b> *a*\n:::\n`{raw}`") == r"\<b\> \*a\* \:\:\: \`\{raw\}\`"


def test_each_picture_opens_in_full_size_and_says_what_it_is(built, pages):
    declared = pages[built[0] / f"runs/{LEAD_I}.html"].select_one(".cell_output img")
    assert declared["alt"] == f"Declared: <script>alert()</script>{LEAD_I}"
    assert pages[built[0] / f"runs/{LEAD_I}.html"].select_one("article img[src$='.svg']")["alt"] == "The idea in short"
    for page, soup in pages.items():
        for image in soup.select("article img"):
            assert image.parent.name == "a" and image.parent["href"] == image["src"], page
            assert len(image.get("alt", "")) > 8 and "/" not in image["alt"].split(":")[0], (page, image)
    for figure in pages[built[0] / "index.html"].select("figure"):
        assert "declared title" in figure.img["alt"] and figure.img["alt"] in figure.figcaption.get_text()


def test_the_first_page_leads_out_to_the_paper_and_each_data_set_to_its_source(built, pages):
    index = pages[built[0] / "index.html"]
    assert index.select_one('a[href="https://doi.org/10.24963/ijcai.2019/817"]')
    assert index.select_one("img[src$='idea.svg']")
    source = data.DATASETS["ptbdb"].SOURCE
    assert pages[built[0] / "runs/ptbdb/index.html"].select_one(f'article a[href="{source.page}"]')


def test_figures_have_captions_that_link_their_notebook_and_numbers(built, pages):
    captions = [tag.get_text() for tag in pages[built[0] / "index.html"].select("figure figcaption")]
    for words, drawn_by_itself in (
        ("Figure 2", False),
        ("Figure 3", False),
        ("ptbdb_scores", False),
        ("presets", True),
    ):
        (caption,) = [text for text in captions if words in text]
        assert "simulated data" in caption and ".csv" in caption
        assert ("notebook" in caption) == drawn_by_itself, "that of the tables is this page"


def test_the_notes_and_the_provenance_are_there(built, pages):
    notes = pages[built[0] / "index.html"].select_one("#notes")
    assert {"docs/protocol.html", "docs/data.html", "provenance.html"} <= {a["href"] for a in notes.select("a")}
    assert notes.select_one("a.download[href$='tables.ipynb']")
    assert "split by subject" in pages[built[0] / "docs/protocol.html"].get_text()
    table3, table5 = pages[built[0] / "provenance.html"].select("article li")
    assert table3.a["href"] == f"runs/{LEAD_I}.html" and "no record" in table5.get_text()


def test_nothing_run_or_no_such_profile_is_one_sentence(tmp_path, capsys):
    with pytest.raises(UserError, match="no executed notebook .* run `make reproduce PROFILE=tiny` first"):
        site.build("tiny", str(tmp_path / "results"), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert site.main(["--profile", "nope", "--results", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: there is no profile 'nope'") and said.count("\n") == 1


def test_a_site_is_replaced_whole_or_stays(tmp_path, monkeypatch, capsys):
    write_results(tmp_path / "results")
    monkeypatch.setattr(site, "_sphinx", lambda source, doctrees, target, run: (target / "new.html").touch())
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old.html").touch()
    site.build("tiny", str(tmp_path / "results"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new.html"]

    monkeypatch.undo()
    monkeypatch.setattr(site.sys, "executable", "/bin/false")
    with pytest.raises(UserError, match="Sphinx failed"):
        site.build("tiny", str(tmp_path / "results"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "results"], "no temporary folder stays"


def test_a_notebook_that_does_not_show_its_records_score_is_named(tmp_path, monkeypatch, capsys):
    write_results(tmp_path / "results")
    path = tmp_path / f"results/tiny/{LEAD_I}.json"
    path.write_text(path.read_text().replace("0.85", "0.95"))
    monkeypatch.setattr(site, "_sphinx", lambda *arguments: None)
    site.build("tiny", str(tmp_path / "results"), tmp_path / "out")
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"{LEAD_I}.ipynb does not show" in said


def test_a_damaged_notebook_is_one_sentence(tmp_path):
    write_results(tmp_path / "results")
    path = tmp_path / f"results/tiny/{LEAD_I}.ipynb"
    no_kind = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"id": "a", "source": "# Title"}]}
    for content in (
        b'{"cells": [',
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"cells": [{"id": "a", "source": "# Title"}]}',
        json.dumps(no_kind).encode(),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"{path} is not a readable notebook") as caught:
            site.build("tiny", str(tmp_path / "results"), tmp_path / "out")
        assert "\n" not in str(caught.value)
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(UserError, match=f"{path} is not a readable notebook"):
        site.build("tiny", str(tmp_path / "results"), tmp_path / "out")


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "figures"}'])
def test_a_damaged_declaration_is_left_out_and_said(content, tmp_path, capsys):
    write_results(tmp_path / "results")
    path = tmp_path / "results/tiny/made/holiday.json"
    write_json(path, {"kind": "figures", "title": "A holiday", "records": []})
    whole = site.Site.read("tiny", str(tmp_path / "results")).titles
    path.write_text(content)
    assert whole == site.Site.read("tiny", str(tmp_path / "results")).titles | {"holiday": "A holiday"}
    assert capsys.readouterr().out.startswith(f"left out: {path}")


# ------------------------------------------------------------------------------------------------- in a browser


class Browser:
    """Headless Chromium through chromedriver: as much of the W3C's WebDriver protocol as a click takes."""

    def __init__(self, profile: Path, *, width: int, dark: bool):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url = f"http://127.0.0.1:{port}/session"
        switches = ["headless", "no-sandbox", "disable-gpu", "disable-background-networking"]
        chrome = {
            "args": [*switches, f"user-data-dir={profile}", f"blink-settings=preferredColorScheme={0 if dark else 1}"],
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": 844, "pixelRatio": 1, "touch": False}},
        }
        wanted = {"goog:chromeOptions": chrome, "goog:loggingPrefs": {"performance": "ALL"}}
        for _ in range(50):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.1)
        self.url += "/" + self.call("", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]

    def call(self, path: str, data: dict | None = None, method: str | None = None):
        body = json.dumps(data).encode() if data is not None else None
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {json.load(error)['value']['message']}") from None

    def run(self, script: str):
        return self.call("/execute/sync", {"script": f"return {script}", "args": []})

    def click(self, css: str) -> None:
        """Scroll there at once, since the theme does it slowly, and click."""
        self.run(f"document.querySelector('{css}').scrollIntoView({{block: 'center', behavior: 'instant'}})")
        (element,) = self.call("/element", {"using": "css selector", "value": css}).values()
        self.call(f"/element/{element}/click", {})

    def requests(self) -> list[str]:
        """Addresses of all that pages from disk (not the browser's own first page) have loaded."""
        messages = [json.loads(line["message"])["message"] for line in self.call("/se/log", {"type": "performance"})]
        sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
        return [p["request"]["url"] for p in sent if p["documentURL"].startswith("file:")]

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.call("", method="DELETE")
        self.driver.terminate()
        self.driver.wait()


@pytest.fixture
def browser(tmp_path):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium and chromedriver; Debian's: apt-get install chromium chromium-driver")
    browser = Browser(tmp_path / "profile", width=390, dark=True)
    yield browser
    browser.close()


def test_a_click_on_a_number_opens_its_place_from_disk_on_a_phone_in_the_dark(built, browser):
    browser.call("/url", {"url": (built[0] / "index.html").as_uri()})
    assert browser.run("document.documentElement.scrollWidth") <= 390, "the page itself does not scroll sideways"
    assert sum(map(int, re.findall(r"\d+", browser.run("getComputedStyle(document.body).backgroundColor"))[:3])) < 150
    number = f'td a[href="runs/{LEAD_I}.html#score"]'
    text = browser.run(f"document.querySelector('{number}').innerText")
    browser.click(number)
    assert browser.run("location.href") == urljoin(built[0].as_uri() + "/", f"runs/{LEAD_I}.html#score")
    assert text == "0.850" and text in browser.run("document.querySelector('.cell_output table').innerText")
    for _ in range(50):  # MathJax draws when all is loaded
        if browser.run("document.querySelectorAll('.math mjx-container svg').length"):
            break
        time.sleep(0.1)
    else:
        pytest.fail("no equation was drawn")
    assert browser.run("document.querySelector('.cell_output img').naturalWidth") > 0
    loaded = browser.requests()
    assert loaded and not [url for url in loaded if urlsplit(url).scheme not in ("file", "data")]


def test_on_a_phone_the_method_stays_where_a_table_scrolls(built, browser):
    browser.call("/url", {"url": (built[0] / "index.html").as_uri()})
    box, method = (
        "document.querySelector('.rdpd-table:has(#T_table3)')",
        "document.querySelector('#T_table3 th.rdpd-stays')",
    )
    assert browser.run(f"{box}.scrollWidth > {box}.clientWidth"), "too wide for a phone"
    browser.run(f"{box}.scrollTo(400, 0)")
    left = f"Math.round({method}.getBoundingClientRect().left - {box}.getBoundingClientRect().left)"
    assert browser.run(left) == 0
    opaque = browser.run(f"getComputedStyle({method}).backgroundColor")
    assert opaque == browser.run("getComputedStyle(document.body).backgroundColor")
