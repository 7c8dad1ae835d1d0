"""The whole road on problems whose answer is known: raw files -> notebooks -> records -> tables.

Two beacons, one of which says the class. A score turned round, an epoch chosen by the test windows, a label that slips:
each would show here, though every part alone may be right. The notebooks' own cells run, in this process.
"""

import importlib.util
import json
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from rdpd_nb import data, params, records, reproduce, tables
from rdpd_nb.data import DATASETS, SPECS
from rdpd_nb.errors import UserError
from rdpd_nb.models import RCNN
from rdpd_nb.paper import METHODS

pytestmark = pytest.mark.usefixtures("one_thread")

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
BEACONS = '''
"""Two beacons, a CSV file a ship: the colour is the class."""

import numpy as np

from rdpd_nb.data import Recordings, Size, Source, Spec

SPEC = Spec(
    name="NAME", title="Beacons", rate="10 Hz", channels=("port", "starboard", "swell"), units="cd",
    classes=CLASSES, views={"all": (0, 1, 2), "port": (0,), "swell": (2,)},
    view_titles={"all": "All", "port": "Port", "swell": "Swell"}, length=16, segment=8, hop=16, kernel=4, stride=2,
    teacher=Size((8,), 4), student=Size((4,), 2), temperature=2.0, split="random", held_out=0.25,
)
SOURCE = Source(page="https://example.org/beacons", size="1 MB", licence="CC0 1.0")


def files(folder):
    return list(folder.glob("ship*.csv"))


def read(folder, progress=print):
    signals, ships, labels = [], [], []
    for path in sorted(files(folder)):
        rows = np.loadtxt(path, delimiter=",", dtype=np.float32)
        for watch in np.split(rows, len(rows) // 16):  # 16 rows of one colour
            signals.append(watch[:, :3])
            ships.append(int(path.stem[4:]))
            labels.append(int(watch[0, 3]))
    return Recordings.join(signals, ships, labels)
'''
SHIPS, WATCHES = 24, 30


def write_raw(folder: Path, classes: int, shuffled: bool) -> None:
    """The port beacon's mean says the class, unless the labels are shuffled; the swell says nothing."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    for ship in range(SHIPS):
        label = rng.integers(classes, size=WATCHES)
        x = rng.normal(size=(WATCHES, 16, 3))
        x[..., 0] += 3.0 * (rng.integers(classes, size=WATCHES) if shuffled else label)[:, None]
        rows = np.concatenate([x, np.broadcast_to(label[:, None, None], (WATCHES, 16, 1))], -1).reshape(-1, 4)
        np.savetxt(folder / f"ship{ship:02d}.csv", rows, delimiter=",", fmt="%.5f")


def execute(notebook: str, parameters: dict) -> None:
    """Run a notebook's code cells here, as papermill would in a kernel of its own."""
    cells = [c for c in json.loads((NOTEBOOKS / f"{notebook}.ipynb").read_text())["cells"] if c["cell_type"] == "code"]
    space = {"In": [""], **parameters}
    for cell in cells:
        source = "".join(cell["source"])
        if "parameters" not in cell["metadata"].get("tags", []):
            exec(source, space)
    plt.close("all")


def run_road(folder: Path, classes: int = 2, shuffled: bool = False) -> dict[str, params.Run]:
    """All of notebooks 1, 2, 3 and 7 on the beacons; the run of each job by its name."""
    name = "fog" if shuffled else "beacons"
    path = folder / f"{name}.py"
    path.write_text(BEACONS.replace("CLASSES", str(("red", "green", "white")[:classes])).replace("NAME", name))
    found = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, name, module)
        patch.setitem(SPECS, name, module.SPEC)
        patch.setenv("RDPD_DATA", str(folder / "data"))
        write_raw(folder / "raw" / name, classes, shuffled)
        given = {"datasets": [name], "source": "real", "raw": str(folder / "raw"), "seeds": [0, 1], "epochs": 60}
        given |= {"patience": 0, "updates": [], "labelled": 1.0, "device": "cpu", "results": str(folder / "results")}
        settings = reproduce.read_settings("tiny", given) | {"sweeps": {}}
        jobs = {job.name: job for job in reproduce.plan(settings)}
        for job_name, job in jobs.items():
            if job_name.endswith(("preprocessing", "teacher", "direct", "rdpd")):
                execute(job.notebook, job.parameters)
        yield {job_name: params.check(job.notebook, job.parameters) for job_name, job in jobs.items()}


@pytest.fixture(scope="module")
def clear(one_thread, tmp_path_factory):
    """The road where the port beacon says which of three classes it is."""
    yield from run_road(tmp_path_factory.mktemp("clear"), classes=3)


@pytest.fixture(scope="module")
def shuffled(one_thread, tmp_path_factory):
    """The road where nothing says the class."""
    yield from run_road(tmp_path_factory.mktemp("shuffled"), shuffled=True)


def of_table(runs: dict[str, params.Run], metric: str) -> dict[tuple[str, str], float]:
    """What the table prints of one metric, by view and method."""
    numbers = tables.scores(runs["tables"], *runs["tables"].datasets).numbers
    rows = numbers[(numbers["metric"] == metric) & numbers["mean"].notna()]
    return {(row.view, row.method): row.mean for row in rows.itertuples()}


def test_a_class_that_a_channel_says_is_found_and_one_that_it_does_not_say_is_not(clear):
    found = of_table(clear, "roc_auc")
    assert set(found) >= {("all", "teacher"), *((v, m) for v in ("port", "swell") for m in ("direct", "rdpd"))}
    for (view, method), auc in found.items():
        if view == "swell":
            assert 0.4 < auc < 0.6, (view, method)
        else:
            assert auc > 0.95, (view, method)
    argmax = of_table(clear, "macro_f1_argmax")
    assert argmax["all", "teacher"] > argmax["swell", "rdpd"] + 0.15


def test_shuffled_labels_are_found_by_nobody(shuffled):
    found = of_table(shuffled, "roc_auc")
    assert len(found) >= 5 and all(0.4 < auc < 0.6 for auc in found.values()), found


@pytest.mark.parametrize("row", ["all/teacher", "port/direct", "port/rdpd", "swell/direct"])
def test_scores_of_a_record_are_those_of_its_stored_predictions_and_of_the_raw_labels(clear, row):
    run = clear[f"beacons/{row}"]
    record = json.loads(run.record_path(row.split("/")[1]).read_text())
    stored = np.load(run.path(f"{row.split('/')[1]}.npz"), allow_pickle=False)
    raw = [np.loadtxt(path, delimiter=",") for path in sorted((Path(run.raw) / "beacons").glob("*.csv"))]
    label = np.concatenate([table[::16, 3] for table in raw]).astype(int)  # of all windows, in the files' order
    ship = np.repeat(np.arange(SHIPS), WATCHES)
    for entry in record["seeds"]:
        of = {name: stored[f"{entry['seed']}/{name}"] for name in ("test_window", "probability", "test_subject")}
        truth, p = label[of["test_window"]], of["probability"].astype(float)
        assert set(truth) == {0, 1, 2} and (of["test_subject"] == ship[of["test_window"]]).all()
        each = [(truth == c, p[:, c]) for c in range(3)]
        expected = {
            "roc_auc": [roc_auc_score(y, score) for y, score in each],
            "pr_auc": [average_precision_score(y, score) for y, score in each],
            "macro_f1": [f1_score(y, score > 0.5, zero_division=0) for y, score in each],
            "macro_f1_argmax": [f1_score(y, p.argmax(1) == c, zero_division=0) for c, (y, _) in enumerate(each)],
        }
        for name, values in expected.items():
            assert entry[name] == pytest.approx(np.mean(values), abs=1e-6), name
    mean = np.mean([entry["roc_auc"] for entry in record["seeds"]])
    assert of_table(clear, "roc_auc")[tuple(row.split("/"))] == pytest.approx(mean)


@pytest.mark.parametrize("row", ["all/teacher", "port/rdpd", "swell/direct"])
def test_the_epoch_was_chosen_by_the_validation_subjects_and_by_nobody_who_is_tested(clear, row):
    view, method = row.split("/")
    run = clear[f"beacons/{row}"]
    stored, windows = np.load(run.path(f"{method}.npz"), allow_pickle=False), run.load()
    weights = load_file(run.path(f"{method}.safetensors"))
    for entry in json.loads(run.record_path(method).read_text())["seeds"]:
        seed, expected = entry["seed"], data.split(windows, entry["seed"])
        chose, test, train = (stored[f"{seed}/{part}_window"] for part in ("validation", "test", "train"))
        ships = [set(windows.subject[part]) for part in (chose, test, train)]
        assert ships[0] == set(expected.subjects["validation"]) and ships[1] == set(expected.subjects["test"])
        assert not ships[0] & ships[1] and not ships[2] & (ships[0] | ships[1]) and len(set.union(*ships)) == SHIPS
        # The kept model scores on these very windows what the history says of the best epoch, and no epoch says more.
        model = RCNN(run.spec, view, seed).eval()
        given = {name.removeprefix(f"{seed}/"): value for name, value in weights.items() if name.startswith(f"{seed}/")}
        model.load_state_dict({name: value for name, value in given.items() if not name.startswith("input.")})
        x = torch.from_numpy((windows[chose] - given["input.mean"].numpy()) / given["input.std"].numpy())
        with torch.no_grad():
            p = model(x)[1].double().softmax(-1).numpy()
        auc = np.mean([roc_auc_score(windows.label[chose] == c, p[:, c]) for c in range(3)])
        history = stored[f"{seed}/validation_roc_auc"]
        assert auc == pytest.approx(history[entry["best_epoch"] - 1], abs=1e-6)
        assert history.max() == history[entry["best_epoch"] - 1] and len(history) == entry["epochs"]
        np.testing.assert_allclose(given["input.mean"].numpy(), windows[train].mean((0, 1)), atol=1e-4)


def test_the_anchor_finds_what_a_channel_says_too(clear):
    found = of_table(clear, "roc_auc")
    assert (
        found["all", "logistic"] > 0.95 and found["port", "logistic"] > 0.95 and 0.4 < found["swell", "logistic"] < 0.6
    )


def test_every_method_of_the_paper_but_those_left_out_here_has_a_record(clear):
    left_out = {"kd", "rdpd_r1", "rdpd_r2"}
    for view in ("port", "swell"):
        for method in set(METHODS) - left_out - {"teacher"}:
            assert clear[f"beacons/{view}/{method}"].record_path(method).is_file()


# ------------------------------------------------------------------------------- knowledge is all that crosses


@pytest.fixture(scope="module")
def partner(clear, tmp_path_factory):
    """Another machine: the port channel as it was handed over, the teacher's knowledge, and nothing else. While it is
    in use there are no raw files, no cache and no results of the rich side."""
    rich, here = clear["beacons/port/rdpd"], tmp_path_factory.mktemp("partner")
    home = Path(rich.raw).parent
    data.hand_over("beacons", "port", here / "raw", "real", rich.raw)
    given = {"raw": str(here / "raw"), "results": str(here / "results")}
    to = here / "results" / "tiny" / "beacons" / "all"
    to.mkdir(parents=True)
    shutil.copy(rich.knowledge_path, to)
    away = home.with_name(f"{home.name}-away")
    home.rename(away)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RDPD_DATA", str(here / "data"))
        yield away, given
    away.rename(home)


@pytest.mark.parametrize("method", ["direct", "rdpd"])
def test_a_student_of_poor_channels_and_knowledge_alone_is_the_same_bit_for_bit(clear, partner, method):
    (away, given), job = partner, clear[f"beacons/port/{method}"]
    assert not Path(job.raw).exists() and not job.knowledge_path.exists()
    execute(job.notebook, job.parameters | given)
    alone = params.check(job.notebook, job.parameters | given)
    before = away / job.results_root.relative_to(Path(job.raw).parent) / "beacons" / "port"
    ours, theirs = (load_file(folder / f"{method}.safetensors") for folder in (alone.path("x").parent, before))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    ours, theirs = (
        np.load(folder / f"{method}.npz", allow_pickle=False) for folder in (alone.path("x").parent, before)
    )
    assert ours.files == theirs.files
    for name in ours.files:
        np.testing.assert_array_equal(ours[name], theirs[name])
    ours, theirs = (records.read_record(folder / f"{method}.json") for folder in (alone.path("x").parent, before))
    assert records.public(ours) == records.public(theirs)
    assert not (Path(given["results"]).parent / "data" / "cache").exists()


def test_what_is_handed_over_has_nothing_of_the_other_channels(clear, partner):
    away, given = partner
    ship = np.loadtxt(next(iter(sorted((away / "raw" / "beacons").glob("*.csv")))), delimiter=",", dtype=np.float32)
    files = [path.read_bytes() for path in sorted(Path(given["raw"]).rglob("*")) if path.is_file()]
    found = [any(ship[:16, channel].tobytes() in content for content in files) for channel in range(3)]
    assert found == [True, False, False]
    with pytest.raises(UserError, match="holds beacons, view 'port', and not beacons, view 'swell'"):
        data.load("beacons", "swell", "real", given["raw"])
    with pytest.raises(UserError, match="view 'all'"):
        data.load("beacons", "all", "real", given["raw"])


def test_what_is_handed_over_is_refused_when_it_is_damaged(clear, partner, tmp_path):
    folder = tmp_path / "raw"
    shutil.copytree(partner[1]["raw"], folder)
    series = next(folder.rglob("series.npy"))
    content = bytearray(series.read_bytes())
    content[-3] ^= 1
    series.write_bytes(content)
    with pytest.raises(UserError, match=r"windows cannot be taken for raw files \(channel port .*handed over again"):
        data.load("beacons", "port", "real", str(folder))
