"""The web site, built once from made-up results of the tiny profile: links, numbers, no outside request, a click."""

import base64
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

import matplotlib.pyplot as plt
import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from rdpd_nb import params, report, reproduce, results, site
from rdpd_nb.errors import UserError
from rdpd_nb.paper import METRICS, STUDENT_METHODS

LEAD_I = "ptbdb/lead_i/rdpd"


def png() -> bytes:
    figure, axis = plt.subplots(figsize=(1, 1))
    axis.plot([0, 1])
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return file.getvalue()


def score(job: reproduce.Job) -> float:
    """Another one for each method, so that a number leads to one notebook only."""
    return 0.6 + 0.05 * ["teacher", *STUDENT_METHODS].index(job.name.split("/")[-1])


def write_results(folder: Path, skip: tuple[str, ...] = ()) -> None:
    """What `make reproduce PROFILE=tiny RESULTS=folder` leaves, made up, but for the jobs named in `skip`."""
    settings = reproduce.read_settings("tiny", {"results": str(folder)})
    picture = png()
    for job in reproduce.plan(settings):
        if job.name in skip:
            continue
        record = {
            **dict.fromkeys(results.NEEDED, "made up"),
            "notebook": job.notebook,
            "source": "simulated",
            "parameters": job.parameters,
            "versions": {"python": "3"},
        }
        shown = "nothing"
        if job.notebook in {m.notebook for m in params.METHODS.values()}:
            metrics = dict.fromkeys((*METRICS, "macro_f1_argmax"), score(job))
            counts = {"windows": {"train": 40, "validation": 40, "test": 40}}
            record["seeds"] = [{"seed": 0, "counts": counts, "classes_absent": [], **metrics}]
            shown = f"<table><tr><td>{score(job):.3f}</td></tr></table>"
        elif job.notebook == "01_preprocessing":
            record["statistics"] = {"subjects": 12, "classes": 6, "attributes": 15, "total_length": 123456}
            shown = "<p>12 6 15 123,456</p>"
        elif job.name == "tables":
            run = params.check(job.notebook, job.parameters)
            scores = report.score_table(run, "ptbdb")  # with links as from the results folder
            shown = report.table5()[1].to_html() + report.paired_table(run, "ptbdb")[1].to_html()
            shown += report.styled(run, "table3", *scores).to_html()
        plot = new_output("display_data", {"image/png": base64.b64encode(picture).decode()})
        cells = [
            new_markdown_cell(f"# {job.notebook}\n\nA method.\n\n$$L = \\sum_i p_i \\log q_i$$"),
            new_code_cell("show()", outputs=[new_output("execute_result", {"text/html": shown}), plot]),
        ]
        path = folder / "tiny" / f"{job.name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        if job.name != "tables":
            path.with_suffix(".json").write_text(json.dumps(record))
        for name in job.figures:
            (folder / "figures/tiny").mkdir(parents=True, exist_ok=True)
            (folder / "figures/tiny" / name).write_bytes(picture if name.endswith(".png") else b"a,b\n1,2\n")
    manifest = {"tables": {"table3.csv": [f"{LEAD_I}.json"], "table5.csv": []}, "figures": {}}
    (folder / "figures/tiny/manifest.json").write_text(json.dumps(manifest))


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
    for job in reproduce.plan(reproduce.read_settings("tiny")):
        assert (out / f"runs/{job.name}.html").is_file() == (job.name != "ptbdb/lead_i/kd")
    for path in (site.root() / "notebooks").glob("*.ipynb"):
        assert (out / f"notebooks/{path.stem}.html").is_file()


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


def test_each_number_of_ours_links_to_the_notebook_that_shows_it(built, pages):
    index = pages[built[0] / "index.html"]
    followed = set()
    for cell in index.select("table td a"):
        page = pages[(built[0] / cell["href"]).resolve()]
        outputs = " ".join(tag.get_text(" ") for tag in page.select(".cell_output"))
        assert cell.get_text() in outputs and cell["href"].startswith("runs/")
        followed.add(cell["href"])
    assert followed == {
        *("runs/tables.html", "runs/ptbdb/all/preprocessing.html", "runs/ptbdb/all/teacher.html"),
        *(f"runs/ptbdb/lead_i/{method}.html" for method in STUDENT_METHODS if method != "kd"),
    }
    rows = [[cell.get_text() for cell in row.select("td")] for row in index.select("tbody tr")]
    distill = next(row for row in rows if row[:2] == ["Lead I", "Distill"])
    assert distill[2] == "–" and "±" in distill[3], "not run: a dash, beside the published"


def test_simulated_is_said_first_on_every_page(built, pages):
    for page, soup in pages.items():
        assert "Simulated data" in soup.select_one(".announcement").get_text(), page
    first = pages[built[0] / "index.html"].select_one("h1").find_next(class_="admonition")
    assert "say nothing about the paper" in first.get_text()


def test_a_run_has_its_equation_plot_record_and_downloads(built, pages):
    page = pages[built[0] / f"runs/{LEAD_I}.html"]
    assert r"\sum_i p_i" in page.select_one(".math").get_text()
    assert page.select_one(".cell_output img") and page.find("meta", attrs={"name": "viewport"})
    assert {"rdpd.ipynb", "rdpd.json"} <= {Path(a["href"]).name for a in page.select("a.download")}
    tables = pages[built[0] / "runs/tables.html"]
    assert tables.select_one(f'.cell_output a[href="../runs/{LEAD_I}.html"]'), (
        "a link between notebooks is one between pages"
    )
    assert "0.850" in page.select_one("#the-record-beside-this-notebook").get_text()


def test_figures_have_captions_that_link_their_notebook_and_numbers(built, pages):
    captions = [tag.get_text() for tag in pages[built[0] / "index.html"].select("figure figcaption")]
    for words in ("Figure 2", "Figure 3", "Scores of all methods"):
        (caption,) = [text for text in captions if words in text]
        assert "simulated data" in caption and "notebook" in caption and ".csv" in caption


def test_the_notes_and_the_provenance_are_there(built, pages):
    assert "split by subject" in pages[built[0] / "index.html"].select_one("#notes").get_text()
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
    (tmp_path / f"results/tiny/{LEAD_I}.ipynb").write_text('{"cells": [')
    with pytest.raises(UserError, match="rdpd.ipynb is not a readable notebook"):
        site.build("tiny", str(tmp_path / "results"), tmp_path / "out")


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


def test_a_click_on_a_number_opens_its_notebook_from_disk_on_a_phone_in_the_dark(built, browser):
    browser.call("/url", {"url": (built[0] / "index.html").as_uri()})
    assert browser.run("document.documentElement.scrollWidth") <= 390, "the page itself does not scroll sideways"
    assert sum(map(int, re.findall(r"\d+", browser.run("getComputedStyle(document.body).backgroundColor"))[:3])) < 150
    number = f'td a[href="runs/{LEAD_I}.html"]'
    text = browser.run(f"document.querySelector('{number}').innerText")
    browser.click(number)
    assert browser.run("location.href") == urljoin(built[0].as_uri() + "/", f"runs/{LEAD_I}.html")
    assert text == "0.850" and text in browser.run("document.querySelector('.cell_output').innerText")
    for _ in range(50):  # MathJax draws when all is loaded
        if browser.run("document.querySelectorAll('.math mjx-container svg').length"):
            break
        time.sleep(0.1)
    else:
        pytest.fail("no equation was drawn")
    assert browser.run("document.querySelector('.cell_output img').naturalWidth") > 0
    loaded = browser.requests()
    assert loaded and not [url for url in loaded if urlsplit(url).scheme not in ("file", "data")]
