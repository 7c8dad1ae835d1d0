"""`data.load` and `data.locate`: raw files are read once, written whole or not at all, and a view sees its channels."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from rdpd_nb import data, simulate
from rdpd_nb.data import DATASETS, SPECS, mimic3, pamap2, ptbdb
from rdpd_nb.errors import UserError
from rdpd_nb.files import root

FILES = ("series.npy", "index.npz", "meta.json")  # of a cache


def silent(line):
    pass


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder of the test's own, empty."""
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def raw(simulated, tmp_path):
    """A raw root of the test's own, as real data would lie: raw/mimic3 is a copy of the simulated tables."""
    shutil.copytree(simulated["mimic3"], tmp_path / "raw" / "mimic3")
    return tmp_path / "raw"


def load(raw, view="all"):
    return data.load("mimic3", view, "real", str(raw), progress=silent)


def everything_under(folder):
    """All files and folders, hidden ones too; empty where the folder itself is not there."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) if folder.exists() else []


@pytest.fixture
def reads(monkeypatch):
    """How often the MIMIC-III reader was called: len(reads)."""
    calls, read = [], mimic3.read

    def counted(folder, progress):
        calls.append(folder)
        return read(folder, progress)

    monkeypatch.setattr(mimic3, "read", counted)
    return calls


# ---------------------------------------------------------------------------------------------------- reading once


def test_raw_files_are_read_once(home, raw, reads):
    first, again = load(raw), load(raw)
    assert len(reads) == 1
    assert first.fingerprint == again.fingerprint
    np.testing.assert_array_equal(first.series, again.series)
    load(raw, "bp")
    assert len(reads) == 1


def test_progress_is_told_on_the_first_load_only(home, raw):
    lines = []
    data.load("mimic3", "all", "real", str(raw), progress=lines.append)
    assert lines[0] == "reading 4 raw files of MIMIC-III (real) ..."
    told = len(lines)
    data.load("mimic3", "all", "real", str(raw), progress=lines.append)
    assert len(lines) == told


def test_a_changed_raw_file_is_read_again(home, raw, reads):
    before = load(raw)
    path = raw / "mimic3" / "CHARTEVENTS.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))
    after = load(raw)
    assert len(reads) == 2
    assert before.fingerprint != after.fingerprint


def test_a_raw_file_of_the_same_size_but_another_time_is_read_again(home, raw, reads):
    load(raw)
    os.utime(raw / "mimic3" / "PATIENTS.csv", (1e9, 1e9))
    load(raw)
    assert len(reads) == 2


def test_another_file_beside_the_raw_ones_changes_nothing(home, raw, reads):
    load(raw)
    (raw / "mimic3" / "NOTEEVENTS.csv").write_text("not read\n")
    load(raw)
    assert len(reads) == 1


def test_an_added_record_is_read(home, simulated, tmp_path):
    folder = tmp_path / "raw" / "ptbdb"
    shutil.copytree(simulated["ptbdb"], folder)
    headers = sorted(folder.glob("patient*/s*.hea"))
    patient = next(path.parent for path in headers if ptbdb.group(ptbdb.diagnosis(path)) is not None)
    kept = shutil.move(patient, tmp_path / patient.name)
    without = data.load("ptbdb", "all", "real", str(folder.parent), progress=silent)
    shutil.move(kept, patient)
    whole = data.load("ptbdb", "all", "real", str(folder.parent), progress=silent)
    assert len(whole) > len(without)


def test_another_process_may_finish_the_same_cache_first(home, raw, monkeypatch):
    read = mimic3.read

    def slow(folder, progress):
        monkeypatch.setattr(mimic3, "read", read)
        load(raw)  # meanwhile, elsewhere
        return read(folder, progress)

    monkeypatch.setattr(mimic3, "read", slow)
    assert len(load(raw)) == len(load(raw))
    assert len(everything_under(home / "cache")) == 4  # one folder, three files


# ---------------------------------------------------------------------------------------------------- views


@pytest.mark.parametrize("dataset", simulate.WRITERS)
def test_a_view_is_the_same_columns_of_all(simulated, dataset):
    whole = data.load(dataset, "all", scale=0.0, progress=silent)
    assert whole.channels == SPECS[dataset].channels
    for view in SPECS[dataset].poor_views:
        poor = data.load(dataset, view, scale=0.0, progress=silent)
        columns = list(SPECS[dataset].views[view])
        assert poor.series.shape[1] == len(columns) < whole.series.shape[1]
        np.testing.assert_array_equal(poor.series, whole.series[:, columns])
        assert poor.channels == tuple(SPECS[dataset].channels[d] for d in columns)
        assert (poor.view, poor.fingerprint) == (view, whole.fingerprint)
        for name in ("start", "label", "recording", "recording_rows", "recording_subject", "recording_part"):
            np.testing.assert_array_equal(getattr(poor, name), getattr(whole, name))


def test_a_view_does_not_touch_the_other_channels(home, raw, reads):
    """With all channels but two wiped from the cache, the view of those two is what it was."""
    before, hr = load(raw, "bp"), load(raw, "hr")
    (path,) = home.glob("cache/*/series.npy")
    series = np.load(path, allow_pickle=False)  # (channels, rows)
    series[[d for d in range(6) if d not in SPECS["mimic3"].views["bp"]]] = -1
    np.save(path, series, allow_pickle=False)
    after = load(raw, "bp")
    np.testing.assert_array_equal(before.series, after.series)
    assert type(after.series) is np.ndarray  # read into memory, no map of the whole file
    assert len(reads) == 1
    np.testing.assert_array_equal(load(raw, "hr").series, hr.series)
    assert len(reads) == 2, "what is wiped is read again"


def test_data_sets_sources_and_seeds_have_fingerprints_of_their_own(home, raw, simulated, tmp_path):
    marks = {data.load(dataset, scale=0.0, progress=silent).fingerprint for dataset in ("mimic3", "ptbdb")}
    other = tmp_path / "other" / "mimic3"
    other.mkdir(parents=True)
    simulate.write("mimic3", other, 0.0, seed=7)
    marks.add(load(other.parent).fingerprint)
    assert len(marks) == 3
    assert load(raw).fingerprint in marks  # the same files in another place


# ---------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize("dataset", simulate.WRITERS)
def test_windows_are_the_readers_signal(simulated, dataset):
    windows = data.load(dataset, scale=0.0, progress=silent)
    r, spec = DATASETS[dataset].read(simulated[dataset], silent), SPECS[dataset]
    assert (windows.dataset, windows.source, windows.view) == (dataset, "simulated", "all")
    np.testing.assert_array_equal(windows.series, r.series)
    np.testing.assert_array_equal(windows.label, r.label[windows.recording])
    np.testing.assert_array_equal(windows.subject, r.subject[windows.recording])
    first, last = windows.recording_rows[windows.recording].T
    assert (windows.start >= first).all() and (windows.start + spec.length <= last).all()
    index = np.arange(0, len(windows), 7)
    x = windows[index]
    assert x.shape == (len(index), spec.length, len(spec.channels))
    np.testing.assert_array_equal(x[-1], r.series[windows.start[index[-1]] :][: spec.length])
    assert windows.ledger[:-1] == r.ledger.rows
    assert windows.ledger[-1]["windows"] == len(windows)
    assert windows.ledger[-1]["classes"] == len(spec.classes)


def test_recordings_shorter_than_a_window_are_refused_and_nothing_is_kept(home, tmp_path):
    protocol = tmp_path / "raw" / "pamap2" / "Protocol"
    protocol.mkdir(parents=True)
    (protocol / "subject101.dat").write_text("".join(f"{i / 100} 4 70 {'1 ' * 50}1\n" for i in range(500)))
    with pytest.raises(UserError, match="no recording is as long as one window .256 samples at 50 Hz"):
        data.load("pamap2", "all", "real", str(tmp_path / "raw"), progress=silent)
    assert everything_under(home / "cache") == []


# ---------------------------------------------------------------------------------------------------- failing halfway

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


def raising(error, after=0):
    """A function that raises at its call number `after` (from 0)."""
    calls = []

    def function(*arguments, **keywords):
        calls.append(arguments)
        if len(calls) > after:
            raise error

    return function


@pytest.mark.parametrize("function", ["save", "savez"])
def test_full_disk_while_the_cache_is_written(home, raw, monkeypatch, function):
    with monkeypatch.context() as patch:
        patch.setattr(np, function, raising(NO_SPACE))
        with pytest.raises(UserError, match="could not be written: No space left on device") as caught:
            load(raw)
    assert str(home / "cache") in str(caught.value)
    assert everything_under(home / "cache") == []
    assert len(load(raw))  # and later it works


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_any_other_failure_leaves_no_partial_cache(home, raw, monkeypatch, error):
    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", raising(error))
        with pytest.raises(type(error)):
            load(raw)
    assert everything_under(home / "cache") == []
    assert len(load(raw))


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (NO_SPACE, UserError),
        (RuntimeError("a bug"), RuntimeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_a_failure_leaves_no_partial_simulated_folder(home, monkeypatch, error, shown):
    def fails(dataset, folder, scale):
        (folder / "PATIENTS.csv").write_text("half")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(simulate, "write", fails)
        with pytest.raises(shown):
            data.load("mimic3", scale=0.0, progress=silent)
    assert everything_under(home / "simulated" / f"v{simulate.VERSION}-scale-0") == []
    assert len(data.load("mimic3", scale=0.0, progress=silent))


def test_a_data_folder_that_cannot_be_made(tmp_path, monkeypatch):
    """Here a file stands in its way; a full disk or a lack of rights ends in the same place."""
    (tmp_path / "data").write_text("a file")
    monkeypatch.setenv("RDPD_DATA", str(tmp_path / "data"))
    with pytest.raises(UserError, match="could not be written"):
        data.load("mimic3", scale=0.0, progress=silent)


def test_a_cache_without_its_description_is_made_again(home, raw):
    """It is the last file written; a cache without it counts as not there."""
    before = load(raw)
    (path,) = home.glob("cache/*/meta.json")
    path.unlink()
    np.testing.assert_array_equal(load(raw).series, before.series)


# ---------------------------------------------------------------------------------------------------- damage


def other_labels(folder):
    with np.load(folder / "index.npz", allow_pickle=False) as index:
        np.savez(folder / "index.npz", **{**index, "label": index["label"][::-1]})


def other_series(change):
    def damage(folder):
        np.save(folder / "series.npy", change(np.load(folder / "series.npy", allow_pickle=False)), allow_pickle=False)

    return damage


def one_bit(name):
    def damage(folder):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 4
        (folder / name).write_bytes(content)

    return damage


def cut(name):
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: (folder / name).stat().st_size // 2]
    )


def a_copy(folder):
    windows = data.cache.read(folder, SPECS["mimic3"], "all", "real")
    shutil.rmtree(folder)
    folder.mkdir()
    data.cache.write(folder, windows, "mimic3-real-of-other-raw-files")


def a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("a file")


def folder_in_place(name):
    def damage(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


DAMAGE = {
    **{f"{name} {how.__name__}": how(name) for how in (one_bit, cut, folder_in_place) for name in FILES},
    **{f"{name} empty": lambda folder, name=name: (folder / name).write_bytes(b"") for name in FILES},
    **{f"{name} gone": lambda folder, name=name: (folder / name).unlink() for name in FILES},
    "labels reversed": other_labels,
    "float64": other_series(lambda series: series.astype(np.float64)),
    "a channel less": other_series(lambda series: series[1:]),
    "a row less": other_series(lambda series: series[:, 1:]),
    "channels swapped": other_series(lambda series: series[::-1]),
    "turned": other_series(lambda series: np.asfortranarray(series)),
    "no digest": lambda folder: (folder / "meta.json").write_text("{}"),
    "another's folder": a_copy,
    "a file in its place": a_file,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_cache_is_said_in_one_line_and_made_again(home, raw, reads, damage):
    before, lines = load(raw), []
    (cached,) = home.glob("cache/*")
    damage(cached)
    after = data.load("mimic3", "all", "real", str(raw), progress=lines.append)
    assert lines[0].startswith(f"{cached} is damaged (") and lines[0].endswith("): it is made again")
    assert "\n" not in lines[0] and lines[1].startswith("reading 4 raw files")
    assert len(reads) == 2 and after.fingerprint == before.fingerprint
    np.testing.assert_array_equal(after.series, before.series)
    for name in ("start", "label", "recording", "subject"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    load(raw)
    assert len(reads) == 2, "the one made again is whole"
    assert not list(home.glob("cache/.*"))


def test_only_a_damaged_header_is_no_damage(home, raw, reads):
    """What it says stands in meta.json too."""
    before = load(raw)
    (path,) = home.glob("cache/*/series.npy")
    with path.open("r+b") as file:
        file.write(b"?" * 100)
    np.testing.assert_array_equal(load(raw).series, before.series)
    assert len(reads) == 1


@pytest.mark.parametrize("there", [False, True])
def test_a_disk_that_damages_what_it_is_given_is_one_sentence(home, raw, reads, monkeypatch, there):
    """And the raw files, which may take minutes, are not read once more for it."""
    write = data.cache.write
    if there:
        load(raw)
        (cached,) = home.glob("cache/*")
        (cached / "index.npz").write_bytes(b"")

    def damaging(folder, *rest):
        write(folder, *rest)
        one_bit("series.npy")(folder)

    monkeypatch.setattr(data.cache, "write", damaging)
    before = len(reads)
    with pytest.raises(UserError, match="is damaged as soon as it is written .*; is the disk sound?"):
        load(raw)
    assert len(reads) == before + 1


def test_two_processes_may_make_a_damaged_cache_again_at_once(home, raw, monkeypatch):
    before, read = load(raw), mimic3.read
    (cached,) = home.glob("cache/*")
    (cached / "index.npz").write_bytes(b"")

    def slow(folder, progress):
        monkeypatch.setattr(mimic3, "read", read)
        load(raw)  # meanwhile, elsewhere
        return read(folder, progress)

    monkeypatch.setattr(mimic3, "read", slow)
    np.testing.assert_array_equal(load(raw).series, before.series)
    assert len(everything_under(home / "cache")) == 4


# ---------------------------------------------------------------------------------------------------- raw files


@pytest.fixture
def writes(monkeypatch):
    """Which simulated data sets were written: (dataset, scale)."""
    calls, write = [], simulate.write

    def counted(dataset, folder, scale):
        calls.append((dataset, scale))
        write(dataset, folder, scale)

    monkeypatch.setattr(simulate, "write", counted)
    return calls


def test_simulated_files_are_written_on_first_use_only(home, writes, capsys):
    folder = data.locate("mimic3", "simulated", scale=0.0)
    assert writes == [("mimic3", 0.0)] and "simulated" in capsys.readouterr().out
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert data.locate("mimic3", "simulated", scale=0.0) == folder
    assert len(writes) == 1 and {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert capsys.readouterr().out == ""
    assert home in folder.parents and os.stat(folder).st_mode & 0o055 == 0o055  # others of the machine may read


def test_each_scale_has_files_of_its_own(home, writes):
    assert data.locate("mimic3", "simulated", scale=0.0) != data.locate("mimic3", "simulated", scale=0.02)
    assert writes == [("mimic3", 0.0), ("mimic3", 0.02)]


def test_simulated_files_never_come_from_the_raw_root(home, raw, writes):
    folder = data.locate("mimic3", "simulated", str(raw), 0.0)
    assert raw not in folder.parents and len(writes) == 1


def test_raw_root_is_the_argument_then_the_environment_then_the_data_folder(home, raw, monkeypatch):
    assert data.raw_root() == home / "raw"
    monkeypatch.setenv("RDPD_RAW", str(raw))
    assert data.raw_root() == raw
    assert data.locate("mimic3", "real") == raw / "mimic3"
    assert data.raw_root("/somewhere/else") == Path("/somewhere/else")
    assert data.raw_root("shared") == root() / "shared"  # relative to the project


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("there", ["nothing", "an empty folder"])
def test_missing_real_data_says_where_to_get_it_how_large_and_under_which_licence(home, tmp_path, dataset, there):
    folder = tmp_path / "raw" / dataset
    if there == "an empty folder":
        folder.mkdir(parents=True)
    with pytest.raises(UserError) as caught:
        data.load(dataset, "all", "real", str(tmp_path / "raw"), progress=silent)
    message, source = str(caught.value), DATASETS[dataset].SOURCE
    for words in (SPECS[dataset].title, str(folder), source.page, source.size, source.licence):
        assert words in message
    assert source.page.startswith("https://")
    assert ("make data" in message) == bool(source.can_be_fetched)
    assert source.note in message
    assert everything_under(home) == []


def test_only_mimic3_needs_an_account():
    assert [name for name in ("pamap2", "ptbdb", "mimic3", "uci_har") if not DATASETS[name].SOURCE.archive] == [
        "mimic3"
    ]
    assert "credentialed" in mimic3.SOURCE.note


def test_how_to_get_pamap2_is_said_in_full():
    assert pamap2.SOURCE.how_to_get(Path("data/raw/pamap2")) == (
        "Run `make data` or download it from "
        "https://archive.ics.uci.edu/dataset/231/pamap2+physical+activity+monitoring "
        "(about 650 MB, 1.3 GB of protocol files in it, licence CC BY 4.0) into data/raw/pamap2."
    )


def test_raw_files_are_the_ones_the_reader_opens(simulated):
    names = {dataset: [path.name for path in data.raw_files(dataset, simulated[dataset])] for dataset in simulated}
    assert names["pamap2"] == [f"subject{number}.dat" for number in range(101, 110)]
    assert names["mimic3"] == ["CHARTEVENTS.csv", "DIAGNOSES_ICD.csv", "ICUSTAYS.csv", "PATIENTS.csv"]
    assert {Path(name).suffix for name in names["ptbdb"]} == {".hea", ".dat", ".xyz"} and len(names["ptbdb"]) == 60
    assert len(names["uci_har"]) == 2 * (9 + 2)


def test_a_broken_raw_file_leaves_no_cache(home, tmp_path):
    protocol = tmp_path / "raw" / "pamap2" / "Protocol"
    protocol.mkdir(parents=True)
    (protocol / "subject101.dat").write_text("1 2 3\n")
    with pytest.raises(UserError, match="line 1: 3 columns"):
        data.load("pamap2", "all", "real", str(tmp_path / "raw"), progress=silent)
    assert everything_under(home / "cache") == []
    assert pamap2.files(tmp_path / "raw" / "pamap2") == [protocol / "subject101.dat"]


def test_simulated_windows_that_are_handed_over_are_not_taken_for_real_ones(simulated, tmp_path):
    data.hand_over("uci_har", "acc", tmp_path, "simulated", scale=0.0)
    with pytest.raises(UserError, match="was made from simulated data, not from real data.*handed over again"):
        data.load("uci_har", "acc", "real", str(tmp_path))
