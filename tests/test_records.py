"""Records and files: written whole or not at all, read with one sentence about what is wrong, no pickle anywhere."""

import errno
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rdpd_nb import data, params, records
from rdpd_nb.errors import UserError
from rdpd_nb.files import replace_file, replace_folder, root
from rdpd_nb.models import RCNN
from rdpd_nb.training import Fitted, Member, make_members, predict

REPOSITORY = Path(__file__).resolve().parents[1]
RECORD = {name: None for name in records.NEEDED} | {"dataset": "mimic3", "seeds": [{"roc_auc": 0.5}]}
NO_SPACE = OSError(errno.ENOSPC, "No space left on device")
FAILURES = [(NO_SPACE, UserError), (RuntimeError("a bug"), RuntimeError), (KeyboardInterrupt(), KeyboardInterrupt)]


# ---------------------------------------------------------------------------------------------------- one file


def test_replace_file_writes_a_new_file_and_makes_its_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "a.json"
    with replace_file(path) as temporary:
        assert temporary.parent == path.parent and temporary.suffix == path.suffix and temporary != path
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


def test_replace_file_keeps_the_rights_of_an_ordinary_file(tmp_path):
    (tmp_path / "ordinary").write_text("")
    with replace_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("old", ["an older file", None])
@pytest.mark.parametrize(("error", "shown"), FAILURES)
def test_replace_file_leaves_nothing_and_keeps_the_old_file(tmp_path, error, shown, old):
    path = tmp_path / "a.txt"
    if old:
        path.write_text(old)
    with pytest.raises(shown) as caught, replace_file(path) as temporary:
        temporary.write_text("half")
        raise error
    assert [p.read_text() for p in tmp_path.iterdir()] == ([old] if old else [])
    if shown is UserError:
        assert str(caught.value) == f"{path} could not be written: No space left on device."


def test_replace_file_where_the_last_step_fails(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("old")

    def fails(*arguments):
        raise NO_SPACE

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(UserError, match="could not be written"), replace_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


def test_replace_file_in_a_folder_that_cannot_be_made(tmp_path):
    """A file stands in its way; a read-only results folder ends in the same place."""
    (tmp_path / "results").write_text("a file")
    path = tmp_path / "results" / "demo" / "a.json"
    with pytest.raises(UserError, match=re.escape(f"{path} could not be written")), replace_file(path):
        pass


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"
    with replace_file(path) as first:
        first.write_text("first")
        with replace_file(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first" and len(list(tmp_path.iterdir())) == 1


# ---------------------------------------------------------------------------------------------------- one folder


def test_replace_folder(tmp_path):
    with replace_folder(tmp_path / "new" / "set") as temporary:
        (temporary / "a.txt").write_text("whole")
        assert not (tmp_path / "new" / "set").exists()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["set"]
    assert (tmp_path / "new" / "set" / "a.txt").read_text() == "whole"


@pytest.mark.parametrize(("error", "shown"), FAILURES)
def test_replace_folder_leaves_nothing(tmp_path, error, shown):
    with pytest.raises(shown), replace_folder(tmp_path / "set") as temporary:
        (temporary / "below").mkdir()
        (temporary / "below" / "a.txt").write_text("half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_replace_folder_keeps_what_another_process_finished_first(tmp_path):
    with replace_folder(tmp_path / "set") as temporary:
        (temporary / "a.txt").write_text("mine")
        with replace_folder(tmp_path / "set") as other:
            (other / "a.txt").write_text("theirs")
    assert (tmp_path / "set" / "a.txt").read_text() == "theirs" and len(list(tmp_path.iterdir())) == 1


def test_replace_folder_where_it_cannot_be_made(tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match="could not be written"), replace_folder(tmp_path / "data" / "cache" / "set"):
        pass


# ---------------------------------------------------------------------------------------------------- the root


def test_root_is_found_from_any_folder_inside_the_project(tmp_path, monkeypatch):
    for name in ("notebooks", "profiles", "notebooks/deeper"):
        (tmp_path / name).mkdir()
    for folder in (tmp_path, tmp_path / "notebooks", tmp_path / "notebooks" / "deeper"):
        monkeypatch.chdir(folder)
        assert root() == tmp_path


def test_root_outside_a_project_is_the_packages_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert root() == Path(records.__file__).resolve().parents[1]


# ---------------------------------------------------------------------------------------------------- records


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "demo" / "mimic3" / "bp" / "kd.json"
    records.write_json(path, RECORD)
    assert records.read_record(path) == RECORD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), [{"roc_auc": float("nan")}]])
def test_a_record_with_nan_is_refused_and_the_old_one_kept(tmp_path, value):
    path = tmp_path / "kd.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.write_json(path, {**RECORD, "seeds": value})
    assert list(tmp_path.iterdir()) == []
    records.write_json(path, RECORD)
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.write_json(path, {**RECORD, "seeds": value})
    assert records.read_record(path) == RECORD and list(tmp_path.iterdir()) == [path]


def test_a_missing_record(tmp_path):
    with pytest.raises(UserError) as caught:
        records.read_record(tmp_path / "kd.json")
    assert f"no record at {tmp_path / 'kd.json'}; run its notebook first" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", json.dumps(RECORD)[:-20].encode(), b"\xff\xfe\x00", b"not a record"])
def test_a_damaged_record(tmp_path, content):
    path = tmp_path / "kd.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        records.read_record(path)
    assert f"{path} is not readable as JSON" in str(caught.value) and "delete it" in str(caught.value)


@pytest.mark.parametrize("content", [{}, {"cells": [], "nbformat": 4}, [], [1, 2], "text", 3, None, True])
def test_foreign_json(tmp_path, content):
    path = tmp_path / "kd.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        records.read_record(path)
    assert f"{path} is not a record" in str(caught.value)


@pytest.mark.parametrize("name", records.NEEDED)
def test_a_record_that_lacks_a_field(tmp_path, name):
    path = tmp_path / "kd.json"
    path.write_text(json.dumps({other: value for other, value in RECORD.items() if other != name}))
    with pytest.raises(UserError, match=f"is not a record: it lacks {name};"):
        records.read_record(path)


def test_a_copy_of_a_record_needs_nothing_of_the_one_run(tmp_path):
    path = tmp_path / "kd.json"
    parameters = {"epochs": 2, "device": "cuda", "raw": "/mine", "results": "elsewhere"}
    records.write_json(path, records.public({**RECORD, "parameters": parameters}))
    copy = records.read_record(path)
    assert set(copy) == set(RECORD) - {"versions", "git_commit", "device", "seconds"}
    assert copy["parameters"] == {"epochs": 2}


def test_a_record_has_a_line_an_entry_and_not_one_a_number(tmp_path):
    seeds = [{"seed": seed, "roc_auc": 0.5, "counts": {"windows": {"train": 3, "test": 4}}} for seed in range(10)]
    nested = {f"step {i}": {"rows": i, "names": ["a", "b"]} for i in range(20)}
    for content in ({**RECORD, "seeds": seeds}, {**RECORD, "nested": nested, "empty": [], "none": {}}):
        records.write_json(tmp_path / "a.json", content)
        text = (tmp_path / "a.json").read_text()
        assert json.loads(text) == content and list(json.loads(text)) == list(content)
        entries = max(len(seeds) if "nested" not in content else 0, len(content.get("nested", ())))
        assert len(text.splitlines()) == len(content) + entries + 3


# ---------------------------------------------------------------------------------------------------- a run's record


@dataclass
class Model:
    """As much of a model as saving it takes."""

    weight: float

    def state_dict(self):
        return {"weight": torch.tensor([self.weight])}

    def count(self):
        return {"allocated": 1, "live": 1}


@pytest.fixture
def run(monkeypatch, tmp_path, simulated):
    monkeypatch.setenv("RDPD_RESULTS", str(tmp_path / "results"))
    return params.check(
        "04_knowledge_distillation",
        {
            "dataset": "mimic3",
            "view": "bp",
            "profile": "demo",
            "source": "simulated",
            "raw": "",
            "scale": 0.0,
            "seeds": [0, 1],
            "epochs": 2,
            "patience": 0,
            "updates": [],
            "labelled": 1.0,
            "device": "cpu",
            "results": "results",
            "switches": {},
        },
    )


def save(run):
    """Save a table row of two seeds; (record, windows, splits, probabilities)."""
    windows = run.load()
    splits = {seed: data.split(windows, seed) for seed in run.seeds}
    fitted, probabilities = [], []
    for seed, split in splits.items():
        member = Member(seed, "direct", split.train, split.validation, *data.standardiser(windows, split.train))
        fitted.append(Fitted(member, Model(seed + 0.5), 2, "validation ROC-AUC", 2, {"train_loss": [1.0, 0.5]}))
        random = np.random.default_rng(seed).random((len(split.test), 8))
        probabilities.append(random / random.sum(1, keepdims=True))
    with pytest.MonkeyPatch.context() as patch:  # the models are no models
        patch.setattr(records, "predict", lambda *arguments: probabilities)
        return records.save(run, "kd", fitted, windows, splits), windows, splits, probabilities


def test_a_saved_row_can_be_recomputed_from_its_files(run):
    record, windows, splits, probabilities = save(run)
    folder = run.path("kd").parent
    assert sorted(path.name for path in folder.iterdir()) == ["kd.json", "kd.npz", "kd.safetensors"]
    assert records.read_record(run.record_path("kd")) == record == json.loads(json.dumps(record))
    assert (record["method"], record["view"], record["source"]) == ("kd", "bp", "simulated")
    assert record["parameters"] == run.parameters and record["fingerprint"] == windows.fingerprint
    assert [entry["seed"] for entry in record["seeds"]] == [0, 1]
    weights = load_file(folder / "kd.safetensors")
    with np.load(folder / "kd.npz", allow_pickle=False) as tables:
        for seed, split in splits.items():
            np.testing.assert_array_equal(tables[f"{seed}/test_window"], split.test)
            np.testing.assert_array_equal(tables[f"{seed}/test_subject"], windows.subject[split.test])
            np.testing.assert_array_equal(tables[f"{seed}/test_label"], windows.label[split.test])
            np.testing.assert_array_equal(tables[f"{seed}/train_window"], split.train)
            np.testing.assert_array_equal(tables[f"{seed}/validation_window"], split.validation)
            np.testing.assert_allclose(tables[f"{seed}/probability"], probabilities[seed], rtol=1e-6)
            assert tables[f"{seed}/train_loss"].tolist() == [1.0, 0.5]
            assert weights[f"{seed}/weight"].item() == seed + 0.5
            mean, std = data.standardiser(windows, split.train)
            np.testing.assert_array_equal(weights[f"{seed}/input.mean"].numpy(), mean)
            np.testing.assert_array_equal(weights[f"{seed}/input.std"].numpy(), std)
            assert record["seeds"][seed]["counts"] == split.counts()


def test_the_record_is_there_only_when_everything_else_is(run, monkeypatch):
    def fails(*arguments, **keywords):
        raise NO_SPACE

    monkeypatch.setattr(np, "savez_compressed", fails)
    with pytest.raises(UserError, match="No space left on device"):
        save(run)
    assert [path.name for path in run.path("kd").parent.iterdir()] == ["kd.safetensors"]


def test_records_there_are_in_the_order_asked_for(run):
    save(run)
    found = records.read_records(run, ("direct", "rdpd", "kd"), "bp", "mimic3")
    assert list(found) == ["kd"] and found["kd"]["method"] == "kd"
    assert records.read_records(run, ("kd",), "hr", "mimic3") == {}


def test_scores_are_read_as_one_row_a_seed_and_metric(run):
    record, *_ = save(run)
    frame = records.read_scores(run)
    assert list(frame.columns[:6]) == ["dataset", "view", "method", "seed", "metric", "score"]
    assert len(frame) == 2 * 4 and records.names(frame) == ["mimic3/bp/kd"] and set(frame["source"]) == {"simulated"}
    for row in frame.itertuples():
        assert row.score == record["seeds"][row.seed][row.metric]
        assert row.test_windows == record["seeds"][row.seed]["counts"]["windows"]["test"]
    assert set(frame["train_windows"]) == {entry["counts"]["windows"]["train"] for entry in record["seeds"]}
    assert frame["at_end"].all()  # two epochs of two, and the second was the best
    assert records.read_scores(run, "ptbdb").empty and records.datasets_run(run) == ["mimic3"]


def test_a_record_of_another_data_set_does_not_belong(run):
    record, *_ = save(run)
    assert records.belongs(run, record) and not records.belongs(run, {**record, "dataset": "ptbdb"})


def test_a_row_has_its_draws_of_people(run):
    record, *_ = save(run)
    frame = records.read_people(run, "mimic3")
    assert set(frame["metric"]) == set(record["people"]) == {"roc_auc", "pr_auc", "macro_f1"}
    for metric, drawn in record["people"].items():
        mine = frame[frame["metric"] == metric]
        assert mine["draw"].tolist() == list(range(500)) and (mine["view"] == "bp").all()
        np.testing.assert_array_equal(mine["score"].to_numpy(), np.array(drawn, float))


def test_who_was_still_learning_at_the_end(run):
    at_end = {
        (100, 100, 91): True,
        (100, 100, 90): False,
        (100, 300, 95): False,  # ended by patience
        (1, 1, 1): True,
    }
    for (epochs, allowed, best), expected in at_end.items():
        assert records._at_end({"epochs": epochs, "allowed": allowed, "best_epoch": best}) is expected


def test_a_row_made_otherwise_is_not_read(run):
    save(run)
    for name, value in {
        "epochs": 3,
        "patience": 1,
        "updates": [1, 2],
        "labelled": 0.5,
        "seeds": [0],
        "scale": 0.5,
        "switches": {"batch_order": "once"},
    }.items():
        other = params.Run(run.notebook, {**run.parameters, name: value})
        assert records.read_scores(other, "mimic3").empty, name


def test_whether_there_is_any_record_of_a_run(run):
    assert not records.any_of(run)
    save(run)
    assert records.any_of(run)
    assert not records.any_of(params.Run(run.notebook, {**run.parameters, "seeds": [7]}))


def test_what_is_predicted_are_the_test_windows(run, monkeypatch):
    asked = []

    def predict(fitted, windows, indices, device):
        asked.append([len(i) for i in indices])
        return [np.full((len(i), 8), 1 / 8) for i in indices]

    monkeypatch.setattr(records, "predict", predict)
    windows = run.load()
    splits = {0: data.split(windows, 0)}
    member = Member(0, "direct", splits[0].train, splits[0].validation, *data.standardiser(windows, splits[0].train))
    record = records.save(run, "kd", [Fitted(member, Model(0.5), 1, "", 1, {"train_loss": [1.0]})], windows, splits)
    assert asked == [[len(splits[0].test)]] and record["seeds"][0]["roc_auc"] == 0.5


def test_a_sweep_is_one_record_with_a_level_and_scores_a_model(run):
    windows = run.load()
    splits = run.splits(windows)
    members = make_members(windows, splits, "direct")
    fitted = [
        Fitted(member, RCNN(windows.spec, "bp", member.seed), 1, "", 1, {"train_loss": [1.0]}) for member in members
    ]
    records.save_sweep(run, "figure3", [0.5, None], fitted, windows, splits)
    record = records.read_record(run.record_path("noise_robustness"))
    probabilities = predict(fitted, windows, [split.test for split in splits.values()])
    for entry, level, f, p in zip(record["entries"], (0.5, None), fitted, probabilities, strict=True):
        expected = records.seed_entry(f, p, windows, splits[f.member.seed])
        assert entry == {"amplitude": level, "method": "direct", **expected}
    frame = records.read_sweep(run, "figure3", "mimic3")
    assert len(frame) == 2 * 2 and set(frame["level"]) == {0.5}, "no level: holds for every one"


def test_environment_names_versions_and_device():
    described = records.environment("cpu")
    assert described["device"] == "cpu" and described["versions"]["torch"] == torch.__version__
    assert described["git_commit"] is None or re.fullmatch(r"[0-9a-f]{40}\+?", described["git_commit"])


def test_no_git_is_no_failure(tmp_path, monkeypatch):
    for name in ("notebooks", "profiles"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)  # no clone
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert records.environment("cpu")["git_commit"] is None
    monkeypatch.setenv("PATH", "")  # no git
    assert records.environment("cpu")["git_commit"] is None


# ---------------------------------------------------------------------------------------------------- the source itself

FORBIDDEN = re.compile(
    r"\b(import|from) +(pickle|cPickle|joblib|dill|shelve)\b|allow_pickle=True|torch\.(load|save)\(|\.cuda\(\)"
)


def source_lines():
    """(place, line) of every line of code of the project, but this file's."""
    for folder in ("rdpd_nb", "tests", "notebooks", "benchmarks"):
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in (".py", ".ipynb") and path != Path(__file__) and ".ipynb_checkpoints" not in path.parts:
                for number, line in enumerate(path.read_text().splitlines(), 1):
                    yield f"{path}:{number}", line


def test_no_pickle_and_no_cuda_call_in_the_source():
    lines = list(source_lines())
    assert len(lines) > 3000
    assert [f"{place}: {line.strip()}" for place, line in lines if FORBIDDEN.search(line)] == []


def test_every_numpy_file_is_read_without_pickles():
    assert [place for place, line in source_lines() if "np.load(" in line and "allow_pickle=False" not in line] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import dump",
        "np.load(path, allow_pickle=True)",
        "torch.load(path)",
        "model.cuda()",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    assert FORBIDDEN.search(line)
