"""The real workflow on a profile of its own, `tiny`: everything once, then reruns, a kill, and bad input."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

from rdpd_nb import jobs, params, reproduce, simulate, stamps
from rdpd_nb.errors import UserError
from rdpd_nb.paper import STUDENT_METHODS

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


def files_of(folder: Path, pattern: str = "*") -> dict[str, tuple[bytes, int]]:
    """Content and time of each file."""
    paths = (path for path in folder.rglob(pattern) if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """A folder in which the tiny profile has run, killed once on the way: the main process alone, by kill -9."""
    folder = tmp_path_factory.mktemp("workflow")
    command = [sys.executable, "-m", "rdpd_nb.reproduce", "--profile", "tiny", "--results", str(folder / "results")]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    teacher = folder / "results/tiny/ptbdb/all/teacher.json"
    deadline = time.time() + 300
    while not teacher.exists() and process.poll() is None and time.time() < deadline:
        time.sleep(0.2)
    process.kill()
    process.wait()
    finished = run(folder, "--profile", "tiny")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "left" in finished.stdout, "no progress with the time left"
    return folder


def test_writes_a_record_and_a_notebook_for_every_job_and_all_tables(done):
    results = done / "results/tiny"
    for job in reproduce.plan(reproduce.read_settings("tiny", {"results": str(done / "results")})):
        assert (results / f"{job.name}.ipynb").is_file()
        assert (results / f"{job.name}.json").is_file() == (job.name != "tables")
        assert all((done / "results/figures/tiny" / name).is_file() for name in job.figures)
    for name in ("all/teacher", *(f"lead_i/{method}" for method in STUDENT_METHODS)):
        for ending in (".npz", ".safetensors"):
            assert (results / f"ptbdb/{name}{ending}").is_file()
    assert (results / "ptbdb/all/teacher.knowledge.safetensors").is_file()
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
    before, drawn = times(done / "results"), files_of(done / "results/figures")
    assert run(done, "--profile", "tiny").returncode == 0
    assert times(done / "results") == before and files_of(done / "results/figures") == drawn
    lost, foreign, last = (f"tiny/ptbdb/lead_i/{name}.json" for name in ("direct", "kd", STUDENT_METHODS[-1]))
    (done / "results" / lost).unlink()
    record = json.loads((done / "results" / foreign).read_text())
    record["parameters"]["epochs"] = 7  # as a notebook run by hand would leave it
    (done / "results" / foreign).write_text(json.dumps(record))
    assert run(done, "--profile", "tiny").returncode == 0
    after = times(done / "results")
    assert {name for name in before if before[name] != after[name]} == {lost, foreign, last}, "the last draws them all"


def test_a_dry_run_lists_what_cannot_be_believed_and_leaves_it(done):
    results = done / "results/tiny/ptbdb/lead_i"
    notebook, record = results / "direct.ipynb", results / "kd.json"
    whole = {path: (path.read_bytes(), path.stat()) for path in (notebook, record)}
    for path, (content, stat) in whole.items():
        path.write_bytes(content[: len(content) // 2])
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    before = files_of(done / "results", "*[bn]")
    try:
        said = run(done, "--profile", "tiny", "--dry-run")
        assert files_of(done / "results", "*[bn]") == before and said.returncode == 0
    finally:
        for path, (content, stat) in whole.items():
            path.write_bytes(content)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert said.stdout.count("; it is made again.") == 2
    log = (done / "results/tiny/snakemake.log").read_text()
    again = {f"ptbdb/lead_i/{name}" for name in ("direct", "kd", STUDENT_METHODS[-1])} | {"tables"}
    assert set(re.findall(r"^Job \d+: (\S+)", log, re.MULTILINE)) == again


def test_other_parameters_make_everything_stale_and_a_dry_run_touches_no_record(done):
    before, written = times(done / "results"), files_of(done, "*.yaml")
    assert run(done, "--profile", "tiny", "--epochs", "2", "--dry-run").returncode == 0
    assert files_of(done, "*.yaml") == written, "a dry run's own settings are left"
    log = (done / "results/tiny/snakemake.log").read_text()
    names = {job.name for job in reproduce.plan(reproduce.read_settings("tiny"))}
    assert set(re.findall(r"^Job \d+: (\S+)", log, re.MULTILINE)) == names
    assert times(done / "results") == before


@pytest.mark.parametrize("option", ["-n", "--dry-run", "--dryrun"])
def test_a_dry_run_does_not_say_done(tmp_path, monkeypatch, capsys, option):
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(reproduce, "_snakemake", lambda *given: (told.append(given[1][-1]), (0, set()))[1])
    told = []
    assert reproduce.main(["--profile", "tiny", "--results", str(tmp_path / "results"), option]) == 0
    assert told == ["--dry-run"]
    said = capsys.readouterr().out
    assert "nothing was run" in said and "done" not in said
    assert not list(tmp_path.rglob("*.yaml"))


def test_parameters_are_written_again_only_when_something_has_changed(tmp_path, monkeypatch):
    (job, *_) = reproduce.plan(reproduce.read_settings("tiny"))
    path = jobs.write_parameters(job, tmp_path)
    before = path.stat().st_mtime_ns
    assert jobs.write_parameters(job, tmp_path).stat().st_mtime_ns == before
    monkeypatch.setattr(jobs.stamps, "code", lambda *modules: "another package")
    assert "another package" in jobs.write_parameters(job, tmp_path).read_text()
    path.write_bytes(b"\xff\xfe" + path.read_bytes())
    assert "another package" in jobs.write_parameters(job, tmp_path).read_text(), "what is no text is written anew"


@pytest.fixture
def marks_after(tmp_path, monkeypatch):
    """Jobs of the demo whose marks are others after code is added to a file of the package (a copy of it)."""
    package = tmp_path / "rdpd_nb"
    shutil.copytree(stamps.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(jobs.stamps, "code", partial(stamps.code, package=package))
    monkeypatch.setattr(jobs.stamps, "imported", partial(stamps.imported, package=package))
    every = reproduce.plan(reproduce.read_settings("demo"))
    plan = [job for job in every if not job.name.startswith("related/")]  # other systems have other code

    def change(name: str, text: str = "\nchanged = 1\n") -> set[str]:
        before = {job.name: jobs.marks(job) for job in plan}
        with (package / name).open("a") as file:
            file.write(text)
        return {job.name for job in plan if jobs.marks(job) != before[job.name]}

    return change, {job.name for job in plan}


def test_a_changed_reader_makes_the_work_of_its_own_data_set_stale(marks_after):
    change, names = marks_after
    of_mimic3 = {name for name in names if name.startswith("mimic3/")}
    assert change("data/mimic3.py") - {"tables"} == of_mimic3
    assert change("data/mimic3_items.csv", "9,another\n") - {"tables"} == of_mimic3
    assert change("simulate/ecg.py") - {"tables"} == {name for name in names if name.startswith("ptbdb/")}
    assert change("data/windows.py") == names


def test_a_changed_training_makes_stale_all_but_what_is_read(marks_after):
    change, names = marks_after
    read = {name for name in names if name.endswith("/preprocessing")}
    for name in ("training.py", "losses.py", "models.py"):
        assert change(name) | {"tables"} == names - read
    assert change("anchor.py") - {"tables"} == read
    assert change("evaluation.py") == names
    assert change("reproduce.py") == set()
    assert change("losses.py", "# a comment\n") == set()


def test_work_of_a_clock_that_was_ahead_is_seen_as_older_than_what_is_written_now(tmp_path, monkeypatch, capsys):
    """Else a record from tomorrow would look up to date whatever changes today, and a parameter file from tomorrow
    would make Snakemake throw away whatever is made from it today."""
    monkeypatch.setattr(reproduce, "_snakemake", lambda *given: (0, set()))
    record, teacher = tmp_path / "tiny/ptbdb/all/preprocessing.ipynb", tmp_path / "tiny/ptbdb/all/teacher.ipynb"
    parameters = record.with_name("preprocessing.parameters.yaml")
    assert reproduce.main(["--profile", "tiny", "--results", str(tmp_path)]) == 0
    for path in (record, teacher):
        path.write_text("{}")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    tomorrow = time.time() + 86_400
    for path in (record, record.with_name("teacher.parameters.yaml")):
        os.utime(path, (tomorrow, tomorrow))
    assert reproduce.main(["--profile", "tiny", "--results", str(tmp_path), "--dry-run"]) == 0
    assert record.stat().st_mtime == pytest.approx(tomorrow), "a dry run changes nothing"
    monkeypatch.setattr(jobs.stamps, "code", lambda *modules: "another package")
    assert reproduce.main(["--profile", "tiny", "--results", str(tmp_path)]) == 0
    assert record.stat().st_mtime < parameters.stat().st_mtime < time.time() + 1
    assert teacher.stat().st_mtime_ns == before[teacher] and "2 files in" in capsys.readouterr().out


def test_a_file_system_without_locks_is_said_and_worked_on(tmp_path, monkeypatch, capsys):
    def refuse(number: int):
        def flock(file, how):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(reproduce.fcntl, "flock", flock)

    for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
        refuse(number)
        with reproduce._locked(tmp_path):
            assert f"no locks here ({os.strerror(number)}); see to it" in capsys.readouterr().out
    refuse(errno.EIO)
    with pytest.raises(OSError), reproduce._locked(tmp_path):
        pass


def test_a_data_set_without_simulator_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.delitem(simulate.WRITERS, "ptbdb")
    settings = reproduce.read_settings("tiny", {"results": str(tmp_path)})
    with pytest.raises(UserError) as caught:
        reproduce.run(settings, 1, [])
    assert str(caught.value) == "PTBDB has no simulator; give SOURCE=real, or leave 'ptbdb' out of DATASETS."
    assert not list(tmp_path.iterdir())


def test_the_snakefile_states_the_notebooks_order_and_who_waits_for_figure_2s_teachers(tmp_path):
    assert run(tmp_path, "--profile", "demo", "--dry-run").returncode == 0
    log = (tmp_path / "results/demo/snakemake.log").read_text()
    waits = {}
    for name, reason in re.findall(r"^Job \d+: (\S+)\nReason: .*?Input files updated by another job: (.*)$", log, re.M):
        waits[name] = {path.split("results/demo/")[1].removesuffix(".json") for path in reason.split(", ")}
    first = "cinc2012/bedside/rich_data_size"
    assert waits[first] == {"cinc2012/all/preprocessing"}
    assert waits["cinc2012/cuff/rich_data_size"] == {first}
    assert waits["cinc2012/all/teacher"] == {"cinc2012/all/preprocessing"}
    for name in ("direct", "rdpd", "noise_robustness"):
        assert "cinc2012/all/teacher" in waits[f"cinc2012/cuff/{name}"]
    began = re.findall(r"^Job \d+: cinc2012/cuff/(\w+)$", log, re.MULTILINE)
    *others, last = STUDENT_METHODS
    assert max(map(began.index, others)) < began.index(last), "its figure shows all of them"
    plan = reproduce.plan(reproduce.read_settings("demo"))
    assert waits["tables"] == {job.name for job in plan} - {"tables"}
    text = (ROOT / "Snakefile").read_text()
    stated = re.findall(r"notebooks/(\d\d)_\w+\.ipynb\"\)(?:(?!\nrule).)*?priority: (\d+)", text, re.DOTALL)
    priorities = {int(number): int(priority) for number, priority in stated}
    assert priorities.pop(11) == 97  # begins early: it takes longest
    assert len(priorities) >= 4 and all(number + priority == 100 for number, priority in priorities.items())


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
        (["--seeds", "0"], "SEEDS is '0'; it should be how many seeds"),
        (["--seeds", "-1"], "SEEDS is '-1'"),
        (["--source", "reel"], "SOURCE is 'reel'; it should be one of 'simulated', 'embedded', 'real'"),
        (["--source", "simulated", "--datasets", "cinc2012"], "CinC 2012 has no simulator; give SOURCE=embedded"),
        (["--epochs", "0"], "EPOCHS is 0"),
        (["--epochs", "1.5"], "EPOCHS is '1.5'; it should be a whole number"),
        (["--scale", "2"], "SCALE is 2.0"),
        (["--datasets", "hapt"], "hapt would be read from a folder of your own"),
    ],
)
def test_a_mistyped_setting_is_one_sentence(tmp_path, arguments, words):
    failed = run(tmp_path, *arguments)
    assert failed.returncode == 2 and words in failed.stderr and failed.stderr.count("\n") == 1


def test_a_shell_that_allows_too_little_memory_is_one_sentence_at_once(tmp_path):
    command = f"ulimit -v 600000; exec {sys.executable} -m rdpd_nb.reproduce --profile tiny --results {tmp_path}"
    failed = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert failed.returncode == 2 and failed.stderr.count("\n") == 1
    assert "614 MB of memory (ulimit -v), and a notebook needs 2500" in failed.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (
            "rdpd_nb.errors.UserError: raw/s1.dat is truncated; get it again.\n",
            "raw/s1.dat is truncated; get it again.",
        ),
        (
            "    raise DeadKernelError\nnbclient.exceptions.DeadKernelError: Kernel died\n",
            "memory was short: set CORES",
        ),
        (
            "Traceback\nOSError: [Errno 28] No space left on device\n",
            "OSError: [Errno 28] No space left on device; see",
        ),
        (
            "WorkflowError:\nAt least one job did not end well.\n",
            "WorkflowError: At least one job did not end well; see",
        ),
        ("__main__.py: error: unrecognized arguments: --sedes 3\n", "error: unrecognized arguments: --sedes 3; see"),
        ("a line\n", "it ended without a word; see"),
        ("", "it ended without a word; see"),
    ],
)
def test_what_a_failed_program_said_last_is_one_sentence(tmp_path, log, said):
    path = tmp_path / "rdpd.log"
    path.write_text(log)
    os.utime(path, (0, 0))  # by the clock of another machine, far behind
    cause = reproduce._cause(path, {})
    assert said in cause and "\n" not in cause
    assert "without a word" in reproduce._cause(path, {path: path.stat().st_mtime_ns}), "said by an earlier run"


def test_a_failed_notebook_is_said_when_it_fails_and_named_at_the_end(tmp_path, monkeypatch, capfd):
    """A stand-in for Snakemake fails one notebook, and finishes another a second later."""
    lines = ["Job 3: pamap2/wrist/kd", "Job 4: pamap2/wrist/rdpd", "Error in rule kd:", "    jobid: 3"]
    rest = ["Finished job 4.", "1 of 4 steps (25%) done"]
    code = f"import time; print({chr(10).join(lines)!r}, flush=True); time.sleep(1); print({chr(10).join(rest)!r})"
    began, popen = time.time(), subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, **how: popen(
            [sys.executable, "-c", code + "; raise SystemExit(1)"] if "snakemake" in command else command, **how
        )
    )  # fmt: skip
    log = tmp_path / "tiny/pamap2/wrist/kd.log"
    said = {}
    monkeypatch.setattr(reproduce, "_cause", lambda path, before: said.setdefault(path, time.time()) and "it failed.")
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "data"))
    assert reproduce.main(["--profile", "tiny", "--results", str(tmp_path)]) == 1
    ended = time.time()
    out, err = capfd.readouterr()
    assert err == "error: pamap2/wrist/kd: it failed.\n"
    assert began < said[log] < ended - 0.9
    assert out.splitlines()[-1] == "not done: pamap2/wrist/kd failed; the same command goes on where it was"
    assert "pamap2/wrist/rdpd" in out.splitlines()[-2]


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


def test_a_student_of_another_protocol_than_the_texts_takes_its_own_teachers_knowledge(tmp_path):
    """Notebook 7 writes out an epoch of the text's losses, whatever the protocol that its teacher was trained by."""
    given = {"dataset": "ptbdb", "source": "simulated", "scale": 0.0, "seeds": [0], "epochs": 1, "device": "cpu"}
    given |= {"results": str(tmp_path / "results"), "switches": params.read_profile("released")["switches"]}
    for name, view in (("02_teacher", "all"), ("07_rdpd", "lead_i")):
        parameters = tmp_path / f"{name}.yaml"
        parameters.write_text(yaml.safe_dump({**given, "view": view}))
        command = [str(Path(sys.executable).parent / "papermill"), "--no-progress-bar", "-f", str(parameters)]
        command += [f"notebooks/{name}.ipynb", str(tmp_path / "out.ipynb")]
        made = subprocess.run(command, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-1000:]
    record = json.loads((tmp_path / "results/demo/ptbdb/lead_i/rdpd.json").read_text())
    assert record["parameters"]["switches"] == given["switches"]


def test_plan_covers_every_row_of_tables_2_to_4():
    plan = reproduce.plan(reproduce.read_settings("paper"))
    rows = [job for job in plan if job.notebook in {m.notebook for m in params.METHODS.values()}]
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


@pytest.mark.parametrize("views", [None, 3, ["wrist"], {"pamap": ["wrist"]}, {"pamap2": ["nose"]}, {"pamap2": 3}])
def test_sweeps_of_no_known_view_are_refused(views):
    settings = reproduce.read_settings("demo")
    settings["sweeps"] = {**settings["sweeps"], "views": views}
    with pytest.raises(UserError):
        reproduce.plan(settings)
