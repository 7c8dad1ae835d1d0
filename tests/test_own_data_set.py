"""A data set that someone adds: one file with SPEC, SOURCE, `files` and `read`, no simulator; nothing else knows it.

The file is as small as one can be. It stands here as text, is put into a temporary folder, and registered.
"""

import importlib.util
import zipfile

import numpy as np
import pytest

from rdpd_nb import data, params, reproduce
from rdpd_nb.data import DATASETS, SPECS, download
from rdpd_nb.errors import UserError
from rdpd_nb.paper import METHODS, METRICS, SWITCHES, Protocol, published_score

TINY = '''
"""Three sensors on a bicycle, one CSV file a rider."""

import numpy as np

from rdpd_nb.data import Recordings, Size, Source, Spec

SPEC = Spec(
    name="tiny", title="Tiny", rate="10 Hz", channels=("saddle", "fork", "wrist"), units="g",
    classes=("road", "gravel"), views={"all": (0, 1, 2), "wrist": (2,)}, view_titles={"all": "All", "wrist": "Wrist"},
    length=16, segment=8, hop=16, kernel=4, stride=2, teacher=Size((8,), 4), student=Size((4,), 2),
    temperature=5.0, split="random",
)
SOURCE = Source(page="https://example.org/tiny", size="2 kB", licence="CC0 1.0")


def files(folder):
    return list(folder.glob("rider*.csv"))


def read(folder, progress=print):
    tables = [np.loadtxt(path, delimiter=",", dtype=np.float32) for path in sorted(files(folder))]
    signals, labels = [table[:, :3] for table in tables], [int(table[0, 3]) for table in tables]
    return Recordings.join(signals, range(len(tables)), labels)
'''


def write_raw(folder, riders=12):
    """Raw files: 40 rows a rider, three channels and the class."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(riders):
        rows = np.c_[rng.normal(i % 2, 1, (40, 3)), np.full(40, i % 2)]
        np.savetxt(folder / f"rider{i:02d}.csv", rows, delimiter=",")
    return folder


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The data set's file, registered, and its raw files in `tmp_path`/raw."""
    path = tmp_path / "tiny.py"
    path.write_text(TINY)
    found = importlib.util.spec_from_file_location("tiny", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    monkeypatch.setitem(DATASETS, "tiny", module)
    monkeypatch.setitem(SPECS, "tiny", module.SPEC)
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RDPD_RAW", str(tmp_path / "raw"))
    write_raw(tmp_path / "raw" / "tiny")
    return module


def load(view="all", progress=lambda line: None):
    return data.load("tiny", view, "real", progress=progress)


def test_its_windows_come_out_of_its_raw_files(tiny, tmp_path):
    windows, poor = load(), load("wrist")
    assert (len(windows), windows.spec, windows.source) == (24, tiny.SPEC, "real")
    first = np.loadtxt(tmp_path / "raw" / "tiny" / "rider00.csv", delimiter=",", dtype=np.float32)
    np.testing.assert_array_equal(windows[np.array([0, 1])], first[:32, :3].reshape(2, 16, 3))
    np.testing.assert_array_equal(poor.series, windows.series[:, [2]])
    assert poor.channels == ("wrist",) and poor.fingerprint == windows.fingerprint
    assert data.split(windows, 0).counts()["subjects"] == {"train": 8, "validation": 2, "test": 2}
    assert windows.statistics == {"subjects": 12, "classes": 2, "attributes": 3, "total_length": 480}


def test_it_is_read_once_and_again_when_its_own_file_has_changed(tiny, tmp_path):
    lines = []
    load(progress=lines.append)
    load("wrist", lines.append)
    assert lines == ["reading 12 raw files of Tiny (real) ..."]
    (tmp_path / "tiny.py").write_text(TINY + "\nSCALE = 2\n")
    load(progress=lines.append)
    assert len(lines) == 2


def test_without_a_simulator_it_cannot_be_simulated(tiny):
    with pytest.raises(UserError, match="^Tiny has no simulator, so there is no simulated Tiny; use source='real'.$"):
        data.load("tiny", source="simulated")


def test_missing_raw_files_and_wrong_names_are_one_sentence(tiny, tmp_path):
    with pytest.raises(UserError, match=r"Tiny: no raw files in .* Download it from https://example.org/tiny \(2 kB, "):
        data.load("tiny", source="real", raw=str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match="Tiny has no view 'hand'; use one of all, wrist"):
        load("hand")
    with pytest.raises(UserError, match="there is no data set 'tny'; use one of pamap2, .*, tiny"):
        data.load("tny")


def test_a_download_without_a_check_is_unpacked(tiny, tmp_path, monkeypatch):
    with pytest.raises(UserError, match="Tiny cannot be fetched automatically"):
        download.fetch("tiny", tmp_path / "fetched")
    archive = tmp_path / "tiny.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((tmp_path / "raw" / "tiny").iterdir()):
            file.write(path, path.name)
    source = data.Source("https://example.org/tiny", "2 kB", "CC0 1.0", archive=archive.as_uri())
    monkeypatch.setattr(tiny, "SOURCE", source)
    folder = download.fetch("tiny", tmp_path / "fetched")
    assert len(list(folder.iterdir())) == 12
    monkeypatch.setenv("RDPD_RAW", str(tmp_path / "fetched"))
    assert len(load()) == 24


# ------------------------------------------------------------------------------- what the rest of the package looks up


def settings():
    """A profile of the tiny set alone."""
    chosen = reproduce.read_settings("tiny", {"datasets": ["tiny"], "source": "real"})
    sweeps = {**chosen["sweeps"], "views": {"tiny": ["wrist"]}, "presets": {"tiny": ["wrist"]}}
    return {**chosen, "sweeps": sweeps, "profile": "own"}


def test_it_has_a_place_in_the_plan_and_every_notebook_takes_it(tiny):
    jobs = {job.name: job for job in reproduce.plan(settings())}
    assert {"tiny/all/teacher", "tiny/wrist/rdpd", "tiny/wrist/presets", "tables"} <= jobs.keys()
    assert "table_tiny.csv" in jobs["tables"].figures and "table_tiny_paired.csv" in jobs["tables"].figures
    run = params.check("07_rdpd", jobs["tiny/wrist/rdpd"].parameters)
    assert run.spec is tiny.SPEC and run.note() == "Tiny, Wrist, real data"
    assert len(run.load()) == 24
    with pytest.raises(UserError, match="data set 'tiny' has no view 'bp' here; use 'wrist'"):
        params.check("07_rdpd", {**jobs["tiny/wrist/rdpd"].parameters, "view": "bp"})


def test_it_has_no_published_score_and_every_switch_leaves_it_alone(tiny):
    assert {published_score(tiny.SPEC, v, m, s) for v in tiny.SPEC.views for m in METHODS for s in METRICS} == {None}
    for name, values in SWITCHES.items():
        for value in values:
            adapted = Protocol(**{name: value}).adapt(tiny.SPEC)
            assert adapted == tiny.SPEC  # its temperature is 5 already


def test_its_tables_have_a_title_and_no_published_number(tiny):
    from rdpd_nb import tables

    job = reproduce.plan(settings())[-1]
    table = tables.table1(params.check(job.notebook, job.parameters), ["tiny"])
    assert set(table.printed["Data set"]) == {"Tiny"} and table.numbers["published"].isna().all()
