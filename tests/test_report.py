"""`make own`: parameters from a file, notebook 12 on a user's own CSV files, one report; a fault is one sentence."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from rdpd_nb import report
from rdpd_nb.student import load_student

ROOT = Path(__file__).parents[1]


@pytest.fixture
def mine(tmp_path, monkeypatch) -> dict:
    """Parameters of a small experiment on files under tmp_path: 40 people, two recordings each."""
    monkeypatch.chdir(ROOT)
    rng = np.random.default_rng(0)
    (tmp_path / "signals").mkdir()
    rows = []
    for i in range(80):
        person, fast = i // 2, i // 2 % 2
        time = np.arange(160) / 20
        wave = np.sin(2 * np.pi * (1 + fast) * time + rng.uniform(0, 6))
        frame = pd.DataFrame({"chest": wave + 0.2 * rng.normal(size=160), "wrist": wave + rng.normal(size=160)})
        frame.to_csv(tmp_path / "signals" / f"r{i}.csv", index=False)
        rows.append(
            {"file": f"r{i}", "who": f"person {person}", "gait": ["walk", "run"][fast], "sex": "fm"[person % 3 % 2]}
        )
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    return {
        "title": "Gait", "signals": str(tmp_path / "signals"), "labels": str(tmp_path / "table.csv"),
        "recording": "file", "subject": "who", "label": "gait", "classes": ["walk", "run"], "rich": ["chest"],
        "poor": ["wrist"], "rate": 20, "window": 4.0, "hop": 2.0, "segment": 1.0, "seeds": [0], "epochs": 6,
        "methods": ["direct", "rdpd"], "subgroups": ["sex"], "device": "cpu", "results": str(tmp_path / "out"),
    }  # fmt: skip


def write(mine: dict, folder: Path) -> str:
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(mine))
    return str(path)


def test_csv_files_become_a_report_figures_tables_and_a_student(mine, tmp_path, capfd):
    assert report.main(["--parameters", write(mine, tmp_path)]) == 0
    out = tmp_path / "out"
    assert f"report: {out / 'report.html'}" in capfd.readouterr().out
    page = (out / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and "Gait: test scores" in page and page.count("data:image/png") >= 6
    assert "<h1>Gait: a student of few channels</h1>" in page and "embedded Brugada" not in page
    assert "fit_students(" not in page  # the report is for reading; the notebook beside it has the code
    assert {path.name for path in out.glob("*.png")} == {
        *("scores.png", "reliability.png", "decision_curve.png", "subgroups.png", "attention.png", "cases.png")
    }
    scores = pd.read_csv(out / "scores.csv", index_col=[0, 1])
    assert scores.loc[("Teacher", "roc_auc"), "mean"] > 0.6
    student = load_student(out / "student")
    assert student.channels == ("wrist",) and student.rate == 20 and student.spec.classes == ("walk", "run")
    found = student.predict(pd.read_csv(tmp_path / "signals" / "r0.csv")[["wrist"]], rate=20)
    assert found.probability.shape == (3, 2)
    assert set(pd.read_csv(out / "subgroups.csv")["value"].dropna()) == {"f", "m"}
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rte": 20}, "unknown parameter 'rte'; did you mean 'rate'?"),
        ({"rate": "20"}, "parameter 'rate' is '20'; it should be a number of Hz, 0 where the files say it"),
        ({"ship": "kd"}, "ship is 'kd', which is not among methods, direct, rdpd; add it there."),
        ({"specificity": 1}, "parameter 'specificity' is 1; it should be a number between 0 and 1"),
        ({"poor": "wrist"}, "parameter 'poor' is 'wrist'; it should be a list of different names of channels"),
        ({"folds": 0}, "parameter 'folds' is 0; it should be True or False"),
        ({"title": " "}, "parameter 'title' is ' '; it should be what the data are called"),
        ({"rich": ..., "poor": ...}, "does not say rich, poor; own files need signals, labels, recording"),
    ],
)
def test_a_wrong_parameter_is_one_sentence_before_anything_runs(change, words, mine, tmp_path, capfd):
    given = {name: value for name, value in (mine | change).items() if value is not ...}
    assert report.main(["--parameters", write(given, tmp_path)]) == 2
    said = capfd.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and not said.out and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read (No such file or directory); name a YAML file"),
        ("rate: [20", "is not readable as YAML"),
        ("just words", "holds no settings; it should hold parameters of notebook 12"),
        ("1: 2", "unknown parameter 1; the parameters are title"),
        ("\udcff", "is not readable as YAML"),
    ],
)
def test_a_file_of_parameters_that_is_none(text, words, tmp_path, capfd):
    path = tmp_path / "mine.yaml"
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    assert report.main(["--parameters", str(path)]) == 2
    said = capfd.readouterr().err
    assert words in said and said.count("\n") == 1


def test_what_does_not_fit_the_files_is_said_before_anything_is_trained_and_an_earlier_report_is_gone(
    mine, tmp_path, capfd
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.html").write_text("earlier")
    assert report.main(["--parameters", write(mine | {"window": 4.01}, tmp_path)]) == 2
    said = capfd.readouterr()
    (sentence,) = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert "window of 4.01 s is no whole number of samples at 20 Hz" in sentence
    assert "Traceback" not in said.err and "trained at once" not in said.out
    assert not (tmp_path / "out" / "report.html").exists()


def test_what_the_notebook_finds_wrong_comes_out_as_its_sentence(mine, tmp_path, capfd):
    shutil.rmtree(mine["signals"])
    assert report.main(["--parameters", write(mine, tmp_path)]) == 2
    said = capfd.readouterr()
    assert f"error: {tmp_path / 'signals'}" in said.err and "Traceback" not in said.err + said.out
    assert not list((tmp_path / "out").iterdir())  # nothing half-written


def test_results_go_to_a_folder_of_the_files_name(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = tmp_path / "clinic.yaml"
    path.write_text("rate: 100\n")
    assert report.parameters(str(path))["results"] == "results/clinic"
    assert report.parameters("")["results"] == "results/own"
