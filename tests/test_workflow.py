"""The real workflow on a profile of its own, `tiny`: everything once, then reruns, a kill, and bad input."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rdpd_nb import params, reproduce
from rdpd_nb.errors import UserError

ROOT = Path(__file__).parents[1]


def run(folder: Path, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "rdpd_nb.reproduce", "--results", str(folder / "results"), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, timeout=timeout)


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "RDPD_DATA": str(folder / "data")}


def times(folder: Path) -> dict[str, float]:
    """When each record was written; the manifest and its copies of records follow them."""
    paths = sorted(p for p in folder.rglob("*.json") if "figures" not in p.relative_to(folder).parts)
    return {str(p.relative_to(folder)): p.stat().st_mtime for p in paths}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A folder in which the tiny profile has run, killed once on the way."""
    folder = tmp_path_factory.mktemp("workflow")
    command = [sys.executable, "-m", "rdpd_nb.reproduce", "--profile", "tiny", "--results", str(folder / "results")]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    teacher = folder / "results/tiny/ptbdb/all/teacher.json"
    deadline = time.time() + 300
    while not teacher.exists() and process.poll() is None and time.time() < deadline:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = run(folder, "--profile", "tiny")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "left" in finished.stdout, "no progress with the time left"
    return folder


def test_writes_a_record_and_a_notebook_for_every_job_and_all_tables(done):
    results = done / "results/tiny"
    for job in reproduce.plan(reproduce.read_settings("tiny", {"results": str(done / "results")})):
        assert (results / f"{job.name}.ipynb").is_file()
        for ending in job.makes:
            assert (results / f"{job.name}{ending}").is_file()
    for name in ("table1", "table3", "table5"):
        for ending in ("csv", "md", "tex"):
            text = (done / "results/figures/tiny" / f"{name}.{ending}").read_text()
            assert "simulated" in text or (name, ending) == ("table5", "csv")
    assert not list(results.rglob("*.part.ipynb")) and not list(results.rglob(".*.json"))


def test_a_record_says_what_was_run(done):
    record = json.loads((done / "results/tiny/ptbdb/lead_i/rdpd.json").read_text())
    assert record["source"] == "simulated" and record["parameters"]["epochs"] == 1
    assert record["model_parameters"] == {"allocated": 19753, "live": 19753}
    (seed,) = record["seeds"]
    assert seed["seed"] == 0 and {"roc_auc", "pr_auc", "macro_f1", "macro_f1_argmax", "best_epoch"} <= set(seed)
    assert set(record["counts"]["windows"]) == {"train", "validation", "test"}
    assert {"versions", "git_commit", "device", "seconds", "fingerprint"} <= set(record)


def test_done_work_is_not_redone_but_a_lost_record_and_one_with_other_parameters_are(done):
    before = times(done / "results")
    assert run(done, "--profile", "tiny").returncode == 0
    assert times(done / "results") == before
    lost, foreign = "tiny/ptbdb/lead_i/direct.json", "tiny/ptbdb/lead_i/kd.json"
    (done / "results" / lost).unlink()
    record = json.loads((done / "results" / foreign).read_text())
    record["parameters"]["epochs"] = 7  # as a notebook run by hand would leave it
    (done / "results" / foreign).write_text(json.dumps(record))
    assert run(done, "--profile", "tiny").returncode == 0
    after = times(done / "results")
    assert {name for name in before if before[name] != after[name]} == {lost, foreign}


def test_other_parameters_make_everything_stale_and_a_dry_run_touches_no_record(done):
    before = times(done / "results")
    assert run(done, "--profile", "tiny", "--epochs", "2", "--dry-run").returncode == 0
    log = (done / "results/tiny/snakemake.log").read_text()
    jobs = {job.name for job in reproduce.plan(reproduce.read_settings("tiny"))}
    sweeps = {"ptbdb/lead_i/rich_data_size", "ptbdb/lead_i/noise_robustness"}  # of one epoch, whatever EPOCHS says
    assert set(re.findall(r"^Job \d+: (\S+)", log, re.MULTILINE)) | sweeps == jobs
    assert times(done / "results") == before


def test_parameters_are_written_again_only_when_something_has_changed(tmp_path, monkeypatch):
    (job, *_) = reproduce.plan(reproduce.read_settings("tiny"))
    path = reproduce.write_parameters(job, tmp_path)
    before = path.stat().st_mtime_ns
    assert reproduce.write_parameters(job, tmp_path).stat().st_mtime_ns == before
    monkeypatch.setattr(reproduce.data, "code_stamp", lambda *patterns: "another package")
    assert "another package" in reproduce.write_parameters(job, tmp_path).read_text()


def test_a_broken_raw_file_stops_with_one_sentence_and_leaves_no_record(done, tmp_path):
    (tmp_path / "data/simulated").mkdir(parents=True)
    (source,) = (done / "data/simulated").glob("*-scale-0/ptbdb")
    target = tmp_path / "raw/ptbdb"
    subprocess.run(["cp", "-r", source, target.parent.mkdir() or target], check=True)
    broken = sorted(target.glob("patient*/s*.dat"))[0]
    broken.write_bytes(broken.read_bytes()[:1000])
    failed = run(tmp_path, "--profile", "tiny", "--source", "real", "--raw", str(tmp_path / "raw"))
    assert failed.returncode != 0
    lines = [line for line in failed.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and str(broken) in lines[0] and "truncated" in lines[0], failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list((tmp_path / "results/tiny").rglob("*.json"))
    assert not list((tmp_path / "data").rglob("meta.json"))


def test_missing_raw_sets_stop_the_run_before_any_training(tmp_path):
    failed = run(tmp_path, "--profile", "paper", "--raw", str(tmp_path / "nothing"))
    assert failed.returncode == 2
    for word in ("PAMAP2", "PTBDB", "MIMIC-III", "credentialed", "licence", "https://"):
        assert word in failed.stderr
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--profile", "nope"], "no profile 'nope'"),
        (["--datasets", "mimic4"], "mimic4"),
        (["--profile", "paper", "--datasets", "mimic4"], "mimic4"),
        (["--seeds", "three"], "SEEDS is 'three'"),
        (["--source", "reel"], "'simulated' or 'real'"),
        (["--epochs", "0"], "'epochs' is 0"),
    ],
)
def test_a_mistyped_setting_is_one_sentence(tmp_path, arguments, words):
    failed = run(tmp_path, *arguments)
    assert failed.returncode == 2 and words in failed.stderr and failed.stderr.count("\n") == 1


def test_papermill_with_an_unknown_parameter_shows_one_sentence(tmp_path):
    """Papermill itself only warns; the checking cell refuses, and IPython shows no traceback."""
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("epoch: 3\n")
    out = tmp_path / "out.ipynb"
    command = [str(Path(sys.executable).parent / "papermill"), "--no-progress-bar", "-f", str(parameters)]
    failed = subprocess.run(
        [*command, "notebooks/03_direct.ipynb", str(out)],
        cwd=ROOT,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
    )
    assert failed.returncode != 0
    (sentence,) = [line for line in failed.stderr.splitlines() if line.startswith("UserError")]
    assert "unknown parameter 'epoch'; did you mean 'epochs'?" in sentence


def test_plan_covers_every_row_of_tables_2_to_4():
    jobs = reproduce.plan(reproduce.read_settings("paper"))
    rows = [job for job in jobs if job.notebook in {m.notebook for m in params.METHODS.values()}]
    assert len(rows) == 38
    assert all(job.parameters["epochs"] == 200 and len(job.parameters["seeds"]) == 10 for job in rows)


def test_a_profile_with_an_unknown_setting_is_refused(tmp_path, monkeypatch):
    (tmp_path / "profiles").mkdir()
    (tmp_path / "notebooks").mkdir()
    text = (ROOT / "profiles/tiny.yaml").read_text()
    (tmp_path / "profiles/mine.yaml").write_text(text.replace("epochs: 1\npatience", "epoch: 1\npatience"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="epoch, epochs unknown or missing"):
        reproduce.read_settings("mine")


@pytest.mark.parametrize("views", [None, 3, ["wrist"], {"pamap": ["wrist"]}, {"pamap2": ["nose"]}])
def test_sweeps_of_no_known_view_are_refused(views):
    settings = reproduce.read_settings("demo")
    settings["sweeps"] = {**settings["sweeps"], "views": views}
    with pytest.raises(UserError):
        reproduce.plan(settings)
