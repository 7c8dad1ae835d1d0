"""What a run leaves, damaged: each file that is read back, by each way in which files go wrong. It may end in one
sentence that names the file, or in the very same numbers, made again where they are lost. Full disks and lost renames
too."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import executed
import numpy as np
import pytest
import yaml
from made_up import make_windows, quietly
from made_up import student as make_member
from made_up_records import simulated_run, write_anchor, write_noise_sweep, write_scores
from made_up_results import LEAD_I, write_results
from outcome import COUNTS, well_said
from safetensors.numpy import load_file, save_file
from test_student import make_signal, make_student
from website import Site

from rdpd_nb import data, engine, jobs, manifest, records, reproduce
from rdpd_nb.engine import checkpoints
from rdpd_nb.errors import UserError
from rdpd_nb.files import replace_file
from rdpd_nb.student import load_student

pytestmark = pytest.mark.usefixtures("one_thread")
CAMPAIGN = "artefacts"
PLACE = "pamap2/wrist/direct"


def silent(line: str) -> None:
    pass


# ------------------------------------------------------------------------------------------------- the artefacts
# Each is made in a folder; then `use` reads it as a run does, and gives the numbers that come of it.

Use = Callable[[Callable[[str], None]], object]


def cache(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    patch.setenv("RDPD_DATA", str(folder / "data"))

    def use(progress):
        windows = data.load("mimic3", "all", "real", str(raw), progress=progress)
        return windows.fingerprint, windows.series, windows.label, windows.start, windows.subject

    use(silent)
    (cached,) = (folder / "data/cache").iterdir()
    return cached, use


def handed_over(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    """What a student's side has in place of raw files, so that nothing can be made again."""
    patch.setenv("RDPD_DATA", str(folder / "data"))
    given = data.hand_over("mimic3", "hr", folder / "given", "real", str(raw), progress=silent)

    def use(progress):
        windows = data.load("mimic3", "hr", "real", str(folder / "given"), progress=progress)
        return windows.fingerprint, windows.series, windows.label, windows.start, windows.subject

    return given, use


def all_records(folder: Path):
    """A run with a record of every form, each with its digest."""
    run = simulated_run(folder)
    write_anchor(run, {"wrist": (0.7, 0.72)})
    write_noise_sweep(run, "wrist")
    for path in run.results_root.rglob("*.json"):
        own = {} if path.stem in ("preprocessing", "noise_robustness") else {"method": path.stem}
        records.write_json(path, json.loads(path.read_text()) | own)
    return run


def scores(run) -> list:
    return [
        records.read_scores(run).to_numpy().tolist(),
        records.read_sweep(run, "figure3", "pamap2").to_numpy().tolist(),
    ]


def record(name: str):
    def make(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
        run = all_records(folder)
        return run.results_root / f"{name}.json", lambda progress: scores(run)

    return make


def copy_of_a_record(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    """As committed beside the figures, where results/ has it no more."""
    run = all_records(folder)
    draw(run, "holiday")
    manifest.write(run)
    run.record_path("direct", "wrist", "pamap2").unlink()
    copy = run.figures_folder / f"records/{PLACE}.json"

    def use(progress):
        manifest.write(run)
        return records.read_record(copy)

    return copy, use


def weights_and_predictions(name: str):
    def make(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
        """Beside a record; a reproduction takes away the record of what is not whole, so that it is made again."""
        job = jobs.Job(PLACE, "", {"seeds": [0, 1], "epochs": 5}, ())
        run = simulated_run(folder)
        path = run.record_path("direct", "wrist", "pamap2")
        beside = path.with_name(f"direct.{name}")
        beside.write_bytes(np.random.default_rng(0).bytes(5000))
        content = json.loads(path.read_text()) | {"parameters": job.parameters}
        digest = subprocess.run(["sha256sum", beside], capture_output=True, text=True, check=True).stdout[:64]
        records.write_json(path, content | {"files": {beside.name: digest}})
        kept, whole = path.read_bytes(), beside.read_bytes()

        def use(progress):
            reproduce.remove_foreign_records([job], run.results_root)
            if not path.exists():  # as the notebook that runs again
                progress("made again")
                shutil.rmtree(beside) if beside.is_dir() else beside.unlink(missing_ok=True)
                beside.write_bytes(whole)
                path.write_bytes(kept)
            return beside.read_bytes(), path.read_bytes()

        return beside, use

    return make


def checkpoint(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    patch.setattr(checkpoints, "SECONDS", 0)
    patch.setattr(engine, "QUIET_SECONDS", -1)
    poor = make_windows().select("hr")
    members = [make_member(poor, "direct")]

    def stop(line):
        if line.startswith("epoch   2 of"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quietly(members, poor, 4, checkpoints=folder / "own", progress=stop)
    with pytest.raises(KeyboardInterrupt):
        quietly([make_member(poor, "direct", 1)], poor, 4, checkpoints=folder / "other", progress=stop)
    kept = {path.name: path.read_bytes() for path in (folder / "own").iterdir()}

    def use(progress):
        (fitted,) = quietly(members, poor, 4, checkpoints=folder / "own", progress=progress)
        for name, content in kept.items():  # as it was, for the next
            if (folder / "own" / name).is_file():
                (folder / "own" / name).write_bytes(content)
        return fitted.best_epoch, fitted.history, [p.tolist() for p in fitted.model.parameters()]

    (path,) = (folder / "own").iterdir()
    return path, use


def draw(run, name: str) -> None:
    run.figures_folder.mkdir(parents=True, exist_ok=True)
    (run.figures_folder / f"{name}.png").write_bytes(b"")
    manifest.declare(run, "figures", name, [PLACE, PLACE.replace("direct", "rdpd")], f"A {name}")


def declaration(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    """results/<profile>/made/<name>.json, which the notebook that drew it writes anew."""
    run = simulated_run(folder)
    draw(run, "other")

    def use(progress):
        if "holiday" not in manifest.write(run)["figures"]:
            progress("left out, and declared again")
        draw(run, "holiday")
        return manifest.write(run)

    use(silent)
    return run.results_root / "made/holiday.json", use


def a_manifest(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    declaration(folder, raw, patch)[1](silent)
    run = simulated_run(folder)

    def use(progress):
        return {part: manifest.read(run)[part] for part in ("tables", "figures", "titles", "records")}

    return run.figures_folder / "manifest.json", use


def student_folder(name: str):
    def make(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
        make_student().save(folder / "shipped")
        make_student(1).save(folder / "other")

        def use(progress):
            student = load_student(folder / "shipped")
            return student.predict(make_signal()).probability, student.fields()

        return folder / "shipped" / name, use

    return make


def parameters(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    job = jobs.plan(jobs.read_settings("tiny", {"results": str(folder)}))[0]
    path = jobs.write_parameters(job, folder)
    return path, lambda progress: jobs.write_parameters(job, folder).read_bytes()


def settings(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    """What the last reproduction was told, which the site and the archives go by. It has no digest, for a person may
    change it: what it says is checked, and records of other settings are left out."""
    path = folder / "tiny/settings.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(jobs.read_settings("tiny", {"results": str(folder), "epochs": 7})))
    return path, lambda progress: executed.tables_run(executed.settings_of("tiny", str(folder))).profile


def executed_notebook(folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    """As a page of the site, which shows what the notebook says: it has no digest, its record has."""
    write_results(folder / "results")

    def use(progress):
        site = replace(Site.read("tiny", str(folder / "results")), source=folder / "source")
        site.add_runs([])
        return sorted(site.pages), len(list(site.source.rglob("*.ipynb")))

    return folder / f"results/tiny/{LEAD_I}.ipynb", use


CACHED = ("series.npy", "index.npz", "meta.json")
ARTEFACTS = {
    **{name: (cache, name) for name in CACHED},
    **{f"handed-over {name}": (handed_over, name) for name in CACHED},
    "record.json": (record(PLACE), ""),
    "preprocessing.json": (record("pamap2/all/preprocessing"), ""),
    "sweep.json": (record("pamap2/wrist/noise_robustness"), ""),
    "copy of a record.json": (copy_of_a_record, ""),
    "npz": (weights_and_predictions("npz"), ""),
    "safetensors": (weights_and_predictions("safetensors"), ""),
    "checkpoint": (checkpoint, ""),
    "made.json": (declaration, ""),
    "manifest.json": (a_manifest, ""),
    "student.json": (student_folder("student.json"), ""),
    "student's weights": (student_folder("weights.safetensors"), ""),
    "parameters.yaml": (parameters, ""),
    "settings.yaml": (settings, ""),
    "notebook.ipynb": (executed_notebook, ""),
}

# ------------------------------------------------------------------------------------------------ what befalls them


def cut(share: float):
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def in_place(put: Callable[[Path], object]):
    def damage(path: Path) -> None:
        path.unlink()
        put(path)

    return damage


def of_another(path: Path) -> None:
    """The file of the same name of another run, whole as it is."""
    others = {"shipped": path.parents[1] / "other" / path.name, "own": next(path.parents[1].glob("other/*"), path)}
    if path.parent.name in others:
        shutil.copyfile(others[path.parent.name], path)
    elif path.name == "direct.json":
        shutil.copyfile(path.with_name("rdpd.json"), path)
    else:
        path.write_bytes(path.read_bytes()[::-1])


DAMAGE = {
    **{f"cut at {share:.1%}": cut(share) for share in (0, 0.01, 0.5, 0.9, 0.999)},
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "random": lambda path: path.write_bytes(np.random.default_rng(1).bytes(path.stat().st_size)),
    "a page of HTML": lambda path: path.write_text("<html>404 Not Found</html>"),
    "another's, or backwards": of_another,
    "a folder": in_place(lambda path: path.mkdir()),
    "a link to nothing": in_place(lambda path: path.symlink_to("nowhere")),
    "a link to itself": in_place(lambda path: path.symlink_to(path.name)),
}
OF_JSON = {
    "NaN": lambda text: text.replace(": ", ": NaN, ", 1),
    "1e400": lambda text: text.replace("0.8", "1e400").replace(": 2", ": 1e400", 1),
    "deep": lambda text: "[" * 200_000,
    "a list": lambda text: json.dumps([json.loads(text)]),
    "nothing": lambda text: "null",
    "a key less": lambda text: json.dumps(dict(list(json.loads(text).items())[1:])),
    "a key more": lambda text: json.dumps({"more": 1} | json.loads(text)),
    "words for values": lambda text: json.dumps({name: "word" for name in json.loads(text)}),
    "nothing for values": lambda text: json.dumps(dict.fromkeys(json.loads(text))),
    "lists for values": lambda text: json.dumps({name: [value] for name, value in json.loads(text).items()}),
}


def rewritten(change: Callable[[str], str]):
    return lambda path: path.write_text(change(path.read_text()))


CASES = [(name, how, damage) for name in ARTEFACTS for how, damage in DAMAGE.items()]
OBJECTS = [name for name in ARTEFACTS if name.endswith((".json", ".ipynb"))]
CASES += [(name, how, rewritten(change)) for name in OBJECTS for how, change in OF_JSON.items()]


@pytest.fixture(scope="module")
def raw(simulated, tmp_path_factory):
    """Raw tables of MIMIC-III, small: a damaged cache is read from them again."""
    folder = tmp_path_factory.mktemp("raw")
    shutil.copytree(simulated["mimic3"], folder / "mimic3")
    return folder


def made(name: str, folder: Path, raw: Path, patch) -> tuple[Path, Use]:
    make, inside = ARTEFACTS[name]
    path, use = make(folder, raw, patch)
    return path / inside if inside else path, use


def judged(path: Path, use: Use, whole: object) -> None:
    said = []
    try:
        found = use(said.append)
    except UserError as error:
        well_said(str(error), str(path.parent if path.parent.name in ("windows", "shipped") else path))
        outcome = "refused"
    else:
        np.testing.assert_equal(found, whole)
        outcome = "said and made again" if any("damaged" in line or "again" in line for line in said) else "harmless"
    COUNTS[CAMPAIGN, outcome] += 1


@pytest.mark.parametrize(("name", "how", "damage"), CASES, ids=[f"{name}: {how}" for name, how, _ in CASES])
def test_a_damaged_artefact(name, how, damage, raw, tmp_path, monkeypatch):
    path, use = made(name, tmp_path, raw, monkeypatch)
    whole = use(silent)
    damage(path)
    judged(path, use, whole)


SLOW = {"checkpoint", "notebook.ipynb", *CACHED}  # to make again, or to show


@pytest.mark.parametrize("name", ARTEFACTS)
def test_any_flipped_bit(name, raw, tmp_path, monkeypatch):
    """At random places."""
    path, use = made(name, tmp_path, raw, monkeypatch)
    whole, content, rng = use(silent), path.read_bytes(), np.random.default_rng(0)
    for place in rng.integers(len(content), size=15 if name in SLOW else 60):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(flipped)
        judged(path, use, whole)


# ------------------------------------------------------------------------------------------ full disks, lost renames


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, of 300 kB, nearly full; `enlarge` makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def enlarge(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=50m", folder], check=True)


def fill_cache(folder: Path, raw: Path, patch) -> object:
    patch.setenv("RDPD_DATA", str(folder))
    return data.load("mimic3", "all", "real", str(raw), progress=silent).series


def fill_student(folder: Path, raw: Path, patch) -> object:
    make_student().save(folder / "shipped")
    return load_student(folder / "shipped").predict(make_signal()).probability


def fill_json(folder: Path, raw: Path, patch) -> object:
    records.write_json(folder / "a.json", {"a": list(range(100_000))})
    return np.array(json.loads((folder / "a.json").read_text())["a"])


def fill_tensors(folder: Path, raw: Path, patch) -> object:
    with replace_file(folder / "a.safetensors") as path:
        save_file({"a": np.arange(200_000)}, path)
    return load_file(folder / "a.safetensors")["a"]


def fill_npz(folder: Path, raw: Path, patch) -> object:
    with replace_file(folder / "a.npz") as path:
        np.savez_compressed(path, a=np.random.default_rng(0).random(200_000))
    with np.load(folder / "a.npz", allow_pickle=False) as file:
        return file["a"]


WRITERS = {f.__name__: f for f in (fill_cache, fill_student, fill_json, fill_tensors, fill_npz)}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_is_one_sentence_and_enlarged_again_the_same_call_goes_on(write, disk, raw, tmp_path, monkeypatch):
    (disk / "ballast").write_bytes(bytes(300_000))
    with pytest.raises(UserError) as caught:
        write(disk, raw, monkeypatch)
    well_said(str(caught.value), "could not be written")
    assert not list(disk.rglob(".rdpd-*")), "nothing half written is left"
    enlarge(disk)
    found = write(disk, raw, monkeypatch)
    np.testing.assert_equal(found, write(tmp_path, raw, monkeypatch))
    COUNTS[CAMPAIGN, "full disk: refused, then whole"] += 1


def lost(path: Path, content: bytes | None) -> None:
    """What a power cut leaves of a rename that never reached the disk: the file before it, or none."""
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def test_a_lost_rename_of_a_record_leaves_the_older_scores_or_none(tmp_path):
    run = simulated_run(tmp_path)
    path = run.record_path("direct", "wrist", "pamap2")
    records.write_json(path, json.loads(path.read_text()))
    older, before = path.read_bytes(), scores(run)
    write_scores(run, "direct", "wrist", (0.1, 0.2))
    lost(path, older)
    assert scores(run) == before
    lost(path, None)
    assert "direct" not in str(scores(run))
    COUNTS[CAMPAIGN, "lost rename: as before it"] += 2


def test_a_lost_rename_of_a_cache_is_read_again(raw, tmp_path, monkeypatch):
    cached, use = cache(tmp_path, raw, monkeypatch)
    whole = use(silent)
    shutil.rmtree(cached)
    np.testing.assert_equal(use(silent), whole)
    COUNTS[CAMPAIGN, "lost rename: made again"] += 1


def test_weights_renamed_but_not_their_record_are_told_from_those_of_the_record(tmp_path, monkeypatch, raw):
    """New weights beside an old record."""
    beside, use = weights_and_predictions("safetensors")(tmp_path, raw, monkeypatch)
    whole, said = use(silent), []
    beside.write_bytes(np.random.default_rng(9).bytes(5000))
    np.testing.assert_equal(use(said.append), whole)
    assert said == ["made again"]
    COUNTS[CAMPAIGN, "lost rename: made again"] += 1


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENAMETOOLONG])
def test_a_place_that_cannot_be_written_is_one_sentence(error, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(UserError) as caught:
        records.write_json(tmp_path / "a.json", {})
    well_said(str(caught.value), f"a.json could not be written: {os.strerror(error)}")
    COUNTS[CAMPAIGN, "refused"] += 1
