"""What the other systems share: records of one score a row, tables against published numbers, their jobs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rdpd_nb import jobs, manifest, params, related, render, systems
from rdpd_nb.errors import UserError
from rdpd_nb.files import root, write_json
from rdpd_nb.record_file import read_record
from rdpd_nb.systems import System

REAL = root() / "figures/real"
ROWS = pd.DataFrame(
    {
        "method": ["student", "student", "teacher", "teacher"],
        "temperature": [1.0, 1.0, 20.0, 20.0],
        "seed": [0, 1, 0, 1],
        "score": [0.5, 0.75, 0.875, 0.875],
    }
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    tasks = {"small": "embedded", "large": "real", "twin": "simulated"}
    monkeypatch.setitem(systems.SYSTEMS, "made_up", System("19_made_up", tasks, ("seeds",), ("curve",)))
    monkeypatch.setitem(params.NOTEBOOKS, "19_made_up", ("task", "raw", "seeds", "profile", "results"))
    return params.check("19_made_up", given(results=str(tmp_path / "results")))


def given(**other):
    return {"task": "small", "raw": "", "seeds": [0, 1], "profile": "tiny", "results": "results"} | other


def test_a_record_is_read_as_it_was_saved_and_is_where_the_manifest_looks(run):
    saved = related.save(run, ROWS, "a name", np.arange(3.0))
    path = run.results_root / f"{related.record_name(run)}.json"
    assert related.record_name(run) == "related/small/made_up" and saved["notebook"] == "19_made_up"
    assert {k: v for k, v in read_record(path).items() if k != "sha256"} == saved
    assert pd.DataFrame(read_record(path)["rows"]).equals(ROWS)
    again = related.save(run, ROWS, "a name", np.arange(3.0) + 1)
    assert again["fingerprint"] != saved["fingerprint"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "not a record of scores"),
        ({"score": 1}, "not a record of scores"),
        ([{"method": "a", "score": 1.0}], "a method, a seed and a score"),
        ([{"method": "a", "seed": -1, "score": 1.0}], "a method, a seed and a score"),
        ([{"method": "a", "seed": 0, "score": None}], "a score is None"),
        ([{"method": "a", "seed": 0, "score": True}], "words and numbers"),
        ([{"method": "a", "seed": 0, "score": 1.0, "at": [1]}], "words and numbers"),
        ([{"method": "a", "seed": 0, "score": 1.0}] * 2, "a score twice"),
    ],
)
def test_a_record_that_no_run_can_have_left(run, rows, words):
    record = related.save(run, ROWS)
    path = run.record_path("made_up")
    write_json(path, {**record, "rows": rows})
    with pytest.raises(UserError, match=words):
        read_record(path)


def test_ours_beside_the_published_numbers(run):
    table = related.compare(run, ROWS, ["method", "temperature"], {("student", 1.0): 0.7}, "Made up", digits=2)
    assert table.name == "made_up_small" and table.records == ["related/small/made_up"] and table.note == ""
    assert table.printed.to_dict("records") == [
        {"Method": "student", "Temperature": "1.0", "Published": "0.70", "Ours": "0.62 ± 0.18",
         "Less published": "-0.07", "Seeds": "2"},
        {"Method": "teacher", "Temperature": "20.0", "Published": "", "Ours": "0.88 ± 0.00", "Less published": "",
         "Seeds": "2"},
    ]  # fmt: skip
    first, other = table.numbers.to_dict("records")
    assert first == pytest.approx(
        {"method": "student", "temperature": 1.0, "published": 0.7, "mean": 0.625, "sd": 0.25 / 2**0.5, "low": np.nan,
         "high": np.nan, "seeds": 2, "source": "embedded"}, nan_ok=True,
    )  # fmt: skip
    assert (other["mean"], other["sd"]) == (0.875, 0) and np.isnan(other["published"])
    turned = related.compare(run, ROWS[::-1], ["method"], {}, "Made up")
    assert turned.printed["Method"].tolist() == ["teacher", "student"], "in the order they come"
    rows = ROWS.assign(source=["simulated"] * 2 + ["embedded"] * 2)
    one_seed = related.compare(run, rows[rows["seed"] == 1], ["method"], {}, "Made up")
    assert one_seed.numbers["source"].tolist() == ["simulated", "embedded"]
    assert one_seed.printed["Ours"].tolist() == ["0.750", "0.875"]
    alone = related.compare(run, rows, ["method"], {}, "Made up", repeats="draws")
    assert list(alone.printed) == ["Method", "Ours", "Draws"], "nothing is published"
    assert alone.caption.endswith("over draws.") and alone.numbers["source"].tolist() == ["simulated", "embedded"]


def test_from_six_seeds_on_a_mean_has_its_interval(run):
    six = pd.DataFrame({"method": "a", "seed": range(6), "score": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    table = related.compare(run, six, ["method"], {}, "Made up")
    (row,) = table.numbers.to_dict("records")
    half = 2.570582 * 1.870829 / 6**0.5  # t(0.975, 5), the sample deviation
    assert (row["low"], row["high"]) == pytest.approx((3.5 - half, 3.5 + half), abs=1e-5)
    assert table.printed["95 % interval"].tolist() == ["1.537 to 5.463"]
    both = related.compare(run, pd.concat([six, six[:2].assign(method="b")]), ["method"], {}, "Made up")
    assert both.printed["95 % interval"].tolist() == ["1.537 to 5.463", ""], "none of two seeds"


def test_a_table_is_written_beside_the_others_and_named_in_the_manifest(run):
    related.save(run, ROWS)
    table = related.compare(run, ROWS, ["method"], {}, "Made up")
    assert render.show(run, table) is table
    assert "embedded in the repository" in (run.figures_folder / "made_up_small.md").read_text()
    made = manifest.write(run)
    assert made["tables"] == {"made_up_small": ["related/small/made_up"]}
    copy = read_record(run.figures_folder / "records/related/small/made_up.json")
    assert copy["rows"] == ROWS.to_dict("records") and "seconds" not in copy


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"task": "smal"}, "no task 'smal' here; use 'small' or 'large' or 'twin'"),
        ({"task": "large", "profile": "demo"}, "'demo' is for data that come with the repository"),
        ({"task": "twin", "profile": "real"}, "'real' is for real data"),
        ({"seed": [1]}, "did you mean 'seeds'"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(run, other, words):
    with pytest.raises(UserError, match=words):
        params.check("19_made_up", given(**other))


@pytest.mark.parametrize(
    ("of_profile", "words"),
    [
        (None, "related is None"),
        ({"made_upp": {}}, "related has 'made_upp'"),
        ({"made_up": {"task": "small"}}, "related.made_up: seeds unknown or missing"),
        ({"made_up": 3}, "should give settings"),
        (
            {"made_up": {"task": ["small"], "seeds": [1]}},
            r"task is \['small'\]; it should be the name of a task",
        ),
    ],
)
def test_what_a_profile_says_of_them_is_checked(run, of_profile, words):
    with pytest.raises(UserError, match=words):
        params.check_related("profiles/odd.yaml", of_profile)


def test_their_jobs_stand_before_the_tables_and_only_where_no_data_set_is_named(run, monkeypatch):
    tiny = params.read_profile("tiny") | {"related": {"made_up": {"task": "large", "seeds": [3]}}}
    monkeypatch.setattr(params, "read_profile", lambda name: {**tiny, "datasets": dict(tiny["datasets"])})
    *_, job, tables = jobs.plan(jobs.read_settings("tiny", {"raw": "/elsewhere"}))
    assert (job.name, job.notebook, tables.name) == ("related/large/made_up", "19_made_up", "tables")
    assert job.parameters["raw"] == "/elsewhere" and job.parameters["seeds"] == [3]
    assert job.figures == ("made_up_large.csv", "made_up_large.md", "made_up_large.tex", "curve_large.png",
                           "curve_large.csv")  # fmt: skip
    named = jobs.plan(jobs.read_settings("tiny", {"datasets": ["ptbdb"]}))
    assert not [job for job in named if job.name.startswith("related/")]


def test_settings_of_an_older_version_and_a_record_without_settings_are_one_sentence(run):
    settings = jobs.read_settings("tiny")
    del settings["related"]
    with pytest.raises(UserError, match="lack related: an older version wrote them; run `make reproduce` again"):
        jobs.plan(settings)
    related.save(run, ROWS)
    path = run.record_path("made_up")
    write_json(path, {**read_record(path), "parameters": []})
    with pytest.raises(UserError, match="parameters is .* where settings by name should be"):
        read_record(path)


def test_a_corrected_published_number_makes_its_system_be_run_again(monkeypatch):
    job = next(job for job in jobs.plan(jobs.read_settings("demo")) if job.name == "related/digits/hinton")
    before, printed = jobs.marks(job), related.published("hinton")
    monkeypatch.setattr(jobs, "read_json", lambda path, again: {"hinton": printed | {"temperature": 21}})
    after = jobs.marks(job)
    assert {name for name in before if before[name] != after[name]} == {"published"}


def test_a_job_in_a_project_of_the_users_own(tmp_path, monkeypatch):
    """One that has notebooks and profiles, and not the package: its published numbers come with the package."""
    job = next(job for job in jobs.plan(jobs.read_settings("demo")) if job.name == "related/digits/hinton")
    before, project = jobs.marks(job), root()
    for name in ("notebooks", "profiles"):
        (tmp_path / name).symlink_to(project / name)
    monkeypatch.chdir(tmp_path)
    assert root() == tmp_path and jobs.marks(job) == before


def test_raw_files_that_are_not_there(run, tmp_path):
    with pytest.raises(UserError, match=r"no raw files in .*/mnist; get them\."):
        related.raw_folder("mnist", str(tmp_path), "get them.")


def test_the_tables_of_the_page_are_lines_of_the_committed_ones():
    def rows(path: Path) -> set[tuple[str, ...]]:
        lines = (line for line in path.read_text(encoding="utf-8").splitlines() if re.match(r"\| *[^ :|\[-]", line))
        return {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines}

    tables = {name: list(REAL.glob(f"{name}_*.md")) for name in systems.SYSTEMS}
    shown = rows(root() / "docs/related.md")  # the first table's rows begin with links
    assert not shown - set.union(*(rows(path) for paths in tables.values() for path in paths))
    for name, paths in tables.items():
        assert shown & set.union(*map(rows, paths)), f"the page shows nothing of {name}"
