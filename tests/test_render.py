"""One table as Markdown, LaTeX and HTML, and as files; without a record nothing is written."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from made_up_records import make_run, of_wrist, real_run, simulated_run, write_noise_sweep, write_scores

from rdpd_nb import figures, jobs, manifest, params, render, tables
from rdpd_nb.files import read_json
from rdpd_nb.statistics import rule

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def run(tmp_path) -> params.Run:
    return simulated_run(tmp_path)


@pytest.fixture
def real(tmp_path) -> params.Run:
    return real_run(tmp_path)


def test_files_say_simulated_and_latex_is_escaped(run):
    path = render.write(run, tables.scores(run, "pamap2"))
    assert "simulated data" in path.read_text() and "verdict" not in path.read_text()
    latex = path.with_suffix(".tex").read_text()
    assert "simulated data" in latex and r"\textbf{0.860 $\pm$ 0.014}" in latex and "–" not in latex
    table = pd.read_csv(path.with_suffix(".csv"))
    assert set(table["source"]) == {"simulated", "not run"}


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"


def test_a_script_in_a_name_is_text_in_every_format(run):
    table = tables.scores(run, "pamap2")
    printed = table.printed.rename(columns={table.printed.columns[-1]: f"{HOSTILE}, ours"})
    printed.iloc[0, 0] = f"{HOSTILE} a | b\nc"
    table = replace(table, title=HOSTILE, caption=f"{HOSTILE} of", note=HOSTILE, printed=printed)
    for text in (render.html(table), render.markdown(table), render.bullets([HOSTILE])._repr_markdown_()):
        assert "&lt;script" in text and "<script" not in text and "<img" not in text
    row = next(line for line in render.markdown(table).splitlines() if "a \\| b c" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == len(table.printed.columns) + 1


def test_latex_runs_no_command_out_of_a_name(run):
    table = replace(tables.scores(run, "pamap2"), caption=r"\input{/etc/passwd} #1 $x$ 5 % a_b")
    assert r"\caption{\textbackslash{}input\{/etc/passwd\} \#1 \$x\$ 5 \% a\_b}" in render.latex(table)


def test_files_link_to_nothing_that_git_does_not_hold(run):
    path = render.write(run, tables.scores(run, "pamap2"))
    assert "](" not in path.read_text() and "href" not in render.html(tables.scores(run, "pamap2"))


def test_the_rule_of_the_verdicts_stands_under_them(real):
    path = render.write(real, tables.scores(real, "pamap2"))
    assert rule(9, 114) in path.read_text() and "95 \\% Welch" in path.with_suffix(".tex").read_text()
    paired = render.write(real, tables.paired(real, "pamap2"))
    assert "0.0039" in paired.read_text()


def test_latex_has_a_heading_a_metric_no_links_and_balanced_columns(real):
    latex = render.latex(tables.scores(real, "pamap2"))
    assert r"\multicolumn{3}{l}{ROC-AUC}" in latex and "ipynb" not in latex and "](" not in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert len(rows) == 17 and {line.count("&") for line in rows} == {12}
    assert latex.count(r"\midrule") == 4, "under the headings and between the four views"


def test_html_has_two_lines_of_headings_and_the_method_stays(real):
    html = render.html(tables.scores(real, "pamap2"))
    assert html.startswith("<p><b>Performance on PAMAP2</b>: real data.") and 'class="rdpd"' in html
    assert html.index('<div class="rdpd-table" style="overflow-x: auto"') < html.index("<table")
    assert render.html(tables.scores(real, "pamap2"), caption=False).startswith('<div class="rdpd-table"')
    head = html.split("<thead>")[1].split("</thead>")[0]
    assert head.count("<tr>") == 2 and re.findall(r">(Data|Method)<", head) == ["Data", "Method"]
    assert re.search(r'colspan="3"[^>]*>ROC-AUC<', head) and ">verdict<" in head
    stays = re.findall(r'<th[^>]*class="[^"]*rdpd-stays[^"]*"[^>]*>([^<]*)<', html)
    assert stays == ["Teacher", *["Direct", "Distill", "RDPDr1", "RDPDr2", "RDPD"] * 3]
    assert "position: sticky" in html
    assert (
        render.VERDICT_COLOURS["lower"] in html
        and "<b>0.900 ± 0.007</b>" in html
        and rule(9, 114).split("'")[0] in html
    )


def test_a_verdict_has_the_colour_of_its_first_word(real):
    html = render.html(tables.scores(real, "pamap2"))
    for word in ("agrees", "higher", "lower"):
        (of, *_) = re.findall(rf'<td id="[^"]*" class="data (row\d+ col\d+)" >{word} \[', html)
        row, column = of.split()
        assert re.search(rf"_{row}_{column}\b[^{{]*{{\s*color: var\(--rdpd-{word}", html), word


def test_a_mark_is_latex_and_stays_in_markdown(tmp_path):
    run = make_run(tmp_path, "real", 2)
    write_scores(run, "rdpd", "wrist", (0.8, 0.9), best_epoch=5)
    table = tables.scores(run, "pamap2")
    assert r"RDPD $\dagger$" in render.latex(table) and "| RDPD † " in render.markdown(table)
    assert "†: in more than a fifth" in render.html(table)


def test_a_number_of_ours_is_a_link_where_its_record_has_an_address(run):
    links = {"pamap2/wrist/rdpd": "runs/pamap2/wrist/rdpd.html#scores"}
    html = render.html(tables.scores(run, "pamap2"), links)
    linked = re.findall(r'<a href="([^"]*)">(.*?)</a>', html)
    assert [text for _, text in linked] == ["<b>0.860 ± 0.014</b>"] * 3
    assert {address for address, _ in linked} == set(links.values())


def test_html_of_words_that_are_no_markup(run):
    table = tables.scores(run, "pamap2")
    table.printed.loc[0, "Method"] = "a < b & c"
    assert "a &lt; b &amp; c" in render.html(table)


@pytest.mark.parametrize("make", [tables.scores, tables.paired, lambda run, dataset: tables.table1(run, [dataset])])
def test_html_of_every_table_has_a_cell_for_each_printed_one(real, make):
    table = make(real, "pamap2")
    html = render.html(table)
    assert html.count("<td") == len(table.printed) * (table.printed.shape[1] - table.keys)


def test_files_made_again_from_the_same_records_are_the_same_bytes(real):
    def make() -> dict[str, bytes]:
        render.write(real, tables.scores(real, "pamap2"))
        render.write(real, tables.paired(real, "pamap2"))
        figures.save_figure(real, "figure3_pamap2", *figures.sweep(real, "figure3", "pamap2"))
        manifest.write(real)
        return {path.name: path.read_bytes() for path in sorted(real.figures_folder.rglob("*")) if path.is_file()}

    write_noise_sweep(real, "wrist")
    first, html = make(), render.html(tables.scores(real, "pamap2"))
    assert len(first) == 9 + 4 and make() == first
    assert render.html(tables.scores(real, "pamap2")) == html


# --------------------------------------------------------------------------------------------------- fresh clone


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


def of_demo(results: str) -> params.Run:
    """Notebook 10's run of the default profile, with its results elsewhere."""
    settings = jobs.read_settings("demo", {"results": results})
    return params.check("10_tables_and_figures", {n: settings[n] for n in params.NOTEBOOKS["10_tables_and_figures"]})


def test_with_no_record_the_committed_tables_are_shown_and_nothing_is_written_or_deleted(tmp_path, monkeypatch):
    """As notebook 10 does in a fresh clone."""
    for name in ("notebooks", "profiles"):
        (tmp_path / name).mkdir()
    shutil.copytree(ROOT / "figures/demo", tmp_path / "figures/demo")
    given = of_demo("results").parameters
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RDPD_RESULTS", raising=False)
    run = params.Run("10_tables_and_figures", given)
    before = snapshot(tmp_path)
    for table in tables.all_of(run):
        shown = render.show(run, table)._repr_markdown_()
        assert "no record of this run" in shown and (run.figures_folder / f"{table.name}.md").read_text() in shown
    tables.latency(run)
    made = manifest.write(run)
    assert made == read_json(ROOT / "figures/demo/manifest.json", "") and "table1" in made["tables"]
    assert snapshot(tmp_path) == before


def test_the_committed_tables_and_figures_are_shown_wherever_results_go(tmp_path):
    run = of_demo(str(tmp_path))
    assert (ROOT / "figures/demo/table5.md").read_text() in render.committed(run, "table5").text
    there = read_json(ROOT / "figures/demo/manifest.json", "")
    name = next(name for name in there["figures"] if name.startswith("figure2"))
    text = render.committed_figures(run, [name, "figure2_none"]).text
    assert "no record of this run" in text and f"- `{name}.png`: {there['titles'][name]}" in text
    assert "figure2_none" not in text
    assert "None is committed" in render.committed_figures(run, ["figure9"]).text
    assert list(tmp_path.iterdir()) == []


def test_numbers_stand_to_the_right_and_long_row_headings_go_on_in_a_second_line():
    frame = pd.DataFrame({"count": [1, -2], "text": ["a", "1"]}, ["short", "a step with very many words in it"])
    html = render.html(tables.from_frame(frame, "t"))
    assert re.search(r"td.col0[^{]*{\s*text-align: right", html) and not re.search(r"td.col1[^{]*{\s*text-align", html)
    assert "white-space: normal" in html
    assert "white-space: normal" not in render.html(tables.from_frame(frame.rename(index=str.upper).head(1), "t"))


def test_with_a_record_a_table_is_written_and_shown(run):
    table = tables.scores(run, "pamap2")
    assert render.show(run, table) is table and (run.figures_folder / "table2.md").is_file()


def test_what_is_not_committed_is_said(tmp_path):
    run = make_run(tmp_path)
    assert "No table5 is committed" in render.show(run, tables.table5())._repr_markdown_()
    assert list(tmp_path.iterdir()) == []


def test_a_methods_small_table_has_one_heading_a_row(run):
    html = render.html(tables.compare(of_wrist(run), "rdpd"))
    assert html.count("rdpd-stays") == 4 and ">paper<" in html
