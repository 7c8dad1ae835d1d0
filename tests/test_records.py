"""Records and files: written whole or not at all, read with one sentence about what is wrong, no pickle anywhere."""

import errno
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import make_windows
from made_up_records import entry
from safetensors.torch import load_file, save_file

from rdpd_nb import data, jobs, params, record_file, records, reproduce
from rdpd_nb.errors import UserError
from rdpd_nb.files import read_json, replace_file, replace_folder, root, sum_of, write_json
from rdpd_nb.models import RCNN
from rdpd_nb.run import RELATED
from rdpd_nb.training import Fitted, Member, make_members, predict

REPOSITORY = Path(__file__).resolve().parents[1]
PLACE = "mimic3/bp/kd.json"
RECORD = {
    **{"dataset": "mimic3", "view": "bp", "method": "kd", "source": "simulated", "profile": "demo", "fingerprint": "f"},
    **{"parameters": {"seeds": [0, 1], "epochs": 5}, "seeds": [entry(0, 0.5), entry(1, 0.6)], "people": {}},
    **{"versions": {}, "git_commit": None, "device": "cpu", "seconds": 1.0},
}
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
    path = tmp_path / "demo" / PLACE
    write_json(path, RECORD)
    assert records.read_record(path) == RECORD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), [{"roc_auc": float("nan")}]])
def test_a_record_with_nan_is_refused_and_the_old_one_kept(tmp_path, value):
    path = tmp_path / PLACE
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {**RECORD, "seeds": value})
    assert list(tmp_path.iterdir()) == []
    write_json(path, RECORD)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {**RECORD, "seeds": value})
    assert records.read_record(path) == RECORD and list(path.parent.iterdir()) == [path]


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
    assert re.match(f"{path} (is not a record|holds no fields)", str(caught.value))


@pytest.mark.parametrize("name", record_file.NEEDED)
def test_a_record_that_lacks_a_field(tmp_path, name):
    path = tmp_path / "kd.json"
    path.write_text(json.dumps({other: value for other, value in RECORD.items() if other != name}))
    with pytest.raises(UserError, match=f"is not a record: it lacks {name};"):
        records.read_record(path)


def test_a_copy_of_a_record_needs_nothing_of_the_one_run(tmp_path):
    path = tmp_path / PLACE
    parameters = RECORD["parameters"] | {"device": "cuda", "raw": "/mine", "results": "elsewhere"}
    write_json(path, records.public({**RECORD, "parameters": parameters, "files": {"kd.npz": "1"}}))
    copy = records.read_record(path)
    assert set(copy) == set(RECORD) - {"versions", "git_commit", "device", "seconds"}
    assert copy["parameters"] == RECORD["parameters"]


def test_a_record_has_a_line_an_entry_and_not_one_a_number(tmp_path):
    seeds = [{"seed": seed, "roc_auc": 0.5, "counts": {"windows": {"train": 3, "test": 4}}} for seed in range(10)]
    nested = {f"step {i}": {"rows": i, "names": ["a", "b"]} for i in range(20)}
    for content in ({**RECORD, "seeds": seeds}, {**RECORD, "nested": nested, "empty": [], "none": {}}):
        write_json(tmp_path / "a.json", content)
        text, entries = (tmp_path / "a.json").read_text(), 0
        assert read_json(tmp_path / "a.json", "") == content and list(json.loads(text)) == [*content, "sha256"]
        for value in content.values():
            entries += len(value) + 1 if isinstance(value, list | dict) and len(json.dumps(value)) > 200 else 0
        assert len(text.splitlines()) == len(content) + entries + 3


def seed(**changed):
    """The record with other fields in its second seed's entry."""
    return {"seeds": [entry(0, 0.5), entry(1, 0.6) | changed]}


WINDOWS = {"train": 9, "validation": 4, "test": 4}
# What no run can have said, and words of the sentence that says so; the digest is right.
FAULTS = {
    "other data set": ({"dataset": "pamap2"}, "it is of pamap2/bp/kd, which is not its place"),
    "other view": ({"view": "hr"}, "it is of mimic3/hr/kd"),
    "other method": ({"method": "rdpd"}, "it is of mimic3/bp/rdpd"),
    "a list for a name": ({"dataset": ["mimic3"]}, "which is not its place"),
    "no source": ({"source": None}, "source is None"),
    "fingerprint a number": ({"fingerprint": 7}, "fingerprint is 7"),
    "parameters a list": ({"parameters": []}, "name no seeds and epochs"),
    "seeds in words": ({"parameters": {"seeds": ["0"], "epochs": 5}}, "name no seeds and epochs"),
    "no scores": ({"seeds": None}, "not a record of scores: seeds is None"),
    "no seed": ({"seeds": []}, "not a record of scores"),
    "a seed twice": ({"seeds": [entry(0, 0.5), entry(0, 0.6)]}, r"seeds are \[0, 0\], its parameters say \[0, 1\]"),
    "another seed": ({"seeds": [entry(0, 0.5), entry(7, 0.6)]}, r"seeds are \[0, 7\]"),
    "a seed too few": ({"seeds": [entry(0, 0.5)]}, r"seeds are \[0\]"),
    "an entry a number": ({"seeds": [entry(0, 0.5), 3]}, "seeds holds 3"),
    "ROC-AUC 7.5": (seed(roc_auc=7.5), "seeds, seed 1: roc_auc is 7.5 where 0 to 1, or null, should be"),
    "below 0": (seed(pr_auc=-0.1), "pr_auc is -0.1"),
    "a word": (seed(macro_f1="high"), "macro_f1 is 'high'"),
    "true": (seed(macro_f1_argmax=True), "macro_f1_argmax is True"),
    "a list": (seed(person_roc_auc=[0.5]), r"person_roc_auc is \[0.5\]"),
    "a class too many": (seed(classes_absent=[8]), "classes_absent is .* where some of 8 classes"),
    "no classes": (seed(classes_absent=None), "classes_absent is None"),
    "no counts": (seed(counts={}), "counts is {}"),
    "fewer than no windows": (seed(counts={"windows": WINDOWS | {"test": -1}}), "counts is"),
    "half a window": (seed(counts={"windows": WINDOWS | {"test": 0.5}}), "counts is"),
    "epoch 9 of 5": (seed(best_epoch=9), "epoch 9 of 5, 5 allowed, cannot be"),
    "no best epoch": (
        {"seeds": [{k: v for k, v in entry(seed, 0.5).items() if k != "best_epoch"} for seed in (0, 1)]},
        "epoch None of 5, 5 allowed",
    ),
    "more epochs than allowed": (seed(epochs=6), "epoch 3 of 6, 5 allowed"),
    "no draws": ({"people": None}, "people is None"),
    "draws beyond 1": ({"people": {"roc_auc": [0.5, None, 1.5]}}, "people: roc_auc holds 1.5"),
}


@pytest.mark.parametrize(("changed", "words"), FAULTS.values(), ids=FAULTS)
def test_a_record_that_says_what_no_run_can_say(tmp_path, changed, words):
    path = tmp_path / PLACE
    write_json(path, RECORD | changed)
    with pytest.raises(UserError, match=f"^{path}: .*{words}.*; delete it and run its notebook again.$") as caught:
        records.read_record(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    write_json(path, RECORD)
    assert records.read_record(path) == RECORD


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 300])
def test_a_number_beyond_all_numbers_is_no_score(tmp_path, number):
    path = tmp_path / PLACE
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(RECORD).replace('"roc_auc": 0.6', f'"roc_auc": {number}'))
    with pytest.raises(UserError, match="roc_auc is "):
        records.read_record(path)


OTHER_FAULTS = {
    "preprocessing": {
        "no statistics": ({"statistics": None}, "statistics is None"),
        "subjects in words": ({"statistics": {"subjects": "nine"}}, "statistics subjects is 'nine'"),
        "windows": ({"windows": -1}, "windows is -1"),
        "anchor a list": ({"anchor": [1]}, r"anchor is \[1\]"),
        "anchor of another seed": ({"anchor": {"bp": [entry(0, 0.5)]}}, r"anchor of bp are \[0\]"),
        "anchor's score": ({"anchor": {"bp": [entry(0, 1.5)]}}, "anchor of bp, seed 0: roc_auc is 1.5"),
    },
    "noise_robustness": {
        "no entries": ({}, "not a record of a sweep: entries is None"),
        "a level in words": ({"entries": [{"amplitude": "1", "method": "kd"} | entry(0, 0.5)]}, "amplitude is '1'"),
        "Figure 2's": ({"entries": [{"fraction": 1.0, "method": "kd"} | entry(0, 0.5)]}, "amplitude is 'missing'"),
        "no method": ({"entries": [{"amplitude": 1.0, "method": "?"} | entry(0, 0.5)]}, "method is '?'"),
        "twice": ({"entries": [{"amplitude": 1.0, "method": "kd"} | entry(0, 0.5)] * 2}, "seed 0 of kd is there twice"),
        "score": ({"entries": [{"amplitude": 1.0, "method": "kd"} | entry(0, 7.5)]}, "seed 0: roc_auc is 7.5"),
    },
}


@pytest.mark.parametrize(
    ("name", "changed", "words"),
    [(name, *fault) for name, faults in OTHER_FAULTS.items() for fault in faults.values()],
    ids=[fault for faults in OTHER_FAULTS.values() for fault in faults],
)
def test_other_records_that_say_what_no_run_can_say(tmp_path, name, changed, words):
    path = tmp_path / f"mimic3/bp/{name}.json"
    content = {key: value for key, value in RECORD.items() if key not in ("method", "seeds", "people")}
    write_json(path, content | {"statistics": {}} | changed)
    with pytest.raises(UserError, match=re.escape(str(path)) + f": .*{words}"):
        records.read_record(path)


@pytest.mark.parametrize("profile", ["demo", "real"])
def test_the_committed_copies_are_read_and_all_of_a_data_set_are_of_the_same_windows(profile):
    marks = {}
    for path in (REPOSITORY / "figures" / profile / "records").rglob("*.json"):
        record = records.read_record(path)
        if record["dataset"] != RELATED:  # another system's is of its task
            marks.setdefault(record["dataset"], set()).add(record["fingerprint"])
    assert len(marks) >= 4 and {len(found) for found in marks.values()} == {1}


def test_files_that_are_not_those_of_their_record_are_named(tmp_path):
    path = tmp_path / PLACE
    weights = path.with_name("kd.safetensors")
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    record = RECORD | {"files": {weights.name: sum_of(weights)}}
    record_file.other_files(path, record)
    record_file.other_files(path, RECORD)  # of an older version
    for damage in (lambda: weights.write_bytes(b"Weights"), weights.unlink, weights.mkdir):
        damage()
        with pytest.raises(UserError, match=f"{weights} is not the file that kd.json was written with; delete it"):
            record_file.other_files(path, record)


def test_a_reproduction_makes_again_what_cannot_be_believed_and_says_so(tmp_path, capsys):
    names = ("kd", "direct", "rdpd", "rdpd_r1", "rdpd_r2")
    planned = [jobs.Job(f"mimic3/bp/{name}", "", RECORD["parameters"], ()) for name in (*names, "not_run")]
    weights = tmp_path / "mimic3/bp/kd.safetensors"
    for name in names:
        write_json(tmp_path / f"mimic3/bp/{name}.json", RECORD | {"method": name, "files": {}})
    weights.write_bytes(b"changed")
    write_json(tmp_path / PLACE, RECORD | {"files": {weights.name: "1234"}})
    (tmp_path / "mimic3/bp/direct.json").write_text("{")
    write_json(tmp_path / "mimic3/bp/rdpd.json", RECORD | {"method": "rdpd"} | seed(roc_auc=7.5))
    other = {"parameters": RECORD["parameters"] | {"epochs": 9}, "method": "rdpd_r1"}
    write_json(tmp_path / "mimic3/bp/rdpd_r1.json", RECORD | other)  # of a notebook run by hand
    reproduce.remove_foreign_records(planned, tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*.json")) == ["rdpd_r2.json"]
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and all(line.endswith("; it is made again.") for line in said)
    for name, line in zip(("kd.safetensors", "direct.json", "rdpd.json"), said, strict=True):
        assert f"mimic3/bp/{name}" in line


@pytest.mark.parametrize("kept", [0, 0.5, None], ids=["empty", "cut", "zeros"])
def test_an_executed_notebook_as_a_power_cut_leaves_it_is_made_again(tmp_path, capsys, kept):
    whole, lost = (tmp_path / f"mimic3/bp/{name}.ipynb" for name in ("kd", "rdpd"))
    whole.parent.mkdir(parents=True)
    whole.write_text('{"cells": [], "metadata": {}}\n')
    lost.write_bytes(bytes(20) if kept is None else whole.read_bytes()[: int(20 * kept)])
    planned = [jobs.Job(f"mimic3/bp/{name}", "", RECORD["parameters"], ()) for name in ("kd", "rdpd")]
    reproduce.remove_foreign_records(planned, tmp_path)
    assert [*tmp_path.rglob("*.ipynb")] == [whole]
    (said,) = capsys.readouterr().out.splitlines()
    assert str(lost) in said and said.endswith("; it is made again.")


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


def test_what_is_saved_twice_is_the_same_file_twice(run, monkeypatch):
    """Else a record, which has their digests, would be another whenever it is made again."""
    more = {str(i): "" for i in range(9)}  # two marks alone are in the same order by chance
    monkeypatch.setattr(records, "save_file", lambda tensors, path, marks: save_file(tensors, path, marks | more))
    assert save(run)[0]["files"] == save(run)[0]["files"]


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


@pytest.mark.parametrize("method", ["kd", "rdpd"])
def test_draws_of_people_that_are_not_of_the_same_people_are_refused(run, method):
    """One metric has fewer than the others, or one method fewer than another."""
    record, *_ = save(run)
    path = run.record_path("rdpd")
    people = {name: drawn[1:] for name, drawn in record["people"].items() if method == "rdpd" or name == "pr_auc"}
    write_json(path, record | {"method": "rdpd", "people": record["people"] | people})
    count = len(record["people"]["pr_auc"])
    with pytest.raises(UserError, match=f"{path} has {count - 1} draws of people for .*, not {count}; delete it"):
        records.read_people(run, "mimic3")


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


@pytest.mark.parametrize("put", [Path.mkdir, lambda path: path.symlink_to("nowhere")], ids=["folder", "dead link"])
def test_what_is_no_file_in_a_records_place_is_said_and_not_taken_for_not_run(run, put):
    save(run)
    path = run.record_path("kd")
    path.unlink()
    assert records.read_scores(run).empty
    put(path)
    with pytest.raises(UserError, match=f"{path} could not be read"):
        records.read_scores(run)


def test_a_folder_in_a_records_place_stops_a_reproduction_in_one_sentence(tmp_path):
    (tmp_path / PLACE).mkdir(parents=True)
    job = jobs.Job(PLACE.removesuffix(".json"), "", {}, ())
    with pytest.raises(UserError, match="kd.json is a folder where a record should be; move it away"):
        reproduce.remove_foreign_records([job], tmp_path)
    (tmp_path / PLACE).rmdir()
    (tmp_path / PLACE).symlink_to("nowhere")
    reproduce.remove_foreign_records([job], tmp_path)
    assert not (tmp_path / PLACE).is_symlink()


def test_a_row_of_other_windows_is_left_out_and_that_is_said_once(run, capsys):
    record, *_ = save(run)
    first = run.record_path("preprocessing", "all")
    content = record | {"view": "all", "method": "preprocessing", "statistics": {}}
    write_json(first, content)
    assert not records.read_scores(run).empty
    write_json(first, content | {"fingerprint": "of other raw files"})
    records._say_once.cache_clear()
    for _ in range(2):
        assert records.read_scores(run).empty and records.read_people(run, "mimic3").empty
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"left out: {run.record_path('kd')} was made from other windows")
    write_json(first, content | {"fingerprint": "of another raw folder", "parameters": run.parameters | {"raw": "/x"}})
    assert not records.read_scores(run).empty, "notebook 1 was run on something else"


def test_a_sweep_of_other_windows_is_left_out(run, capsys):
    record, *_ = save(run)
    entries = [{"amplitude": 0.5, "method": "kd"} | e for e in record["seeds"]]
    write_json(run.record_path("noise_robustness"), record | {"method": "noise_robustness", "entries": entries})
    first = run.record_path("preprocessing", "all")
    content = record | {"view": "all", "method": "preprocessing", "statistics": {}}
    write_json(first, content)
    assert not records.read_sweep(run, "figure3", "mimic3").empty
    write_json(first, content | {"fingerprint": "of other raw files"})
    assert records.read_sweep(run, "figure3", "mimic3").empty
    assert "noise_robustness.json was made from other windows" in capsys.readouterr().out


def test_a_record_has_the_digests_of_the_files_it_was_written_with(run):
    knowledge = run.path("kd.knowledge.safetensors")
    knowledge.parent.mkdir(parents=True)
    knowledge.write_bytes(b"as a teacher's")
    run.path("kd.notes.txt").write_text("mine")
    record, *_ = save(run)
    path = run.record_path("kd")
    assert set(record["files"]) == {"kd.knowledge.safetensors", "kd.npz", "kd.safetensors"}
    record_file.other_files(path, records.read_record(path))
    assert "files" not in records.public(record)


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
    for made, level, f, p in zip(record["entries"], (0.5, None), fitted, probabilities, strict=True):
        expected = records.seed_entry(f, p, windows, splits[f.member.seed])
        assert made == {"amplitude": level, "method": "direct", **expected}
    frame = records.read_sweep(run, "figure3", "mimic3")
    assert len(frame) == 2 * 2 and set(frame["level"]) == {0.5}, "no level: holds for every one"


def test_environment_names_versions_and_device():
    described = records.environment("cpu")
    assert described["device"] == "cpu" and described["versions"]["torch"] == torch.__version__
    assert described["git_commit"] is None or re.fullmatch(r"[0-9a-f]{40}\+?", described["git_commit"])


def test_preprocessing_needs_no_gpu_where_the_trainings_are_to_have_one(run, monkeypatch):
    """On a cluster only notebooks that train ask for one, so this one runs where there is none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    given = run.parameters | {"view": "all", "device": "cuda"}
    windows = make_windows()
    assert records.common(params.check("01_preprocessing", given), windows)["device"] == "cpu"
    with pytest.raises(UserError, match="no CUDA device"):
        records.common(params.check("02_teacher", given), windows)


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


# --------------------------------------------------------------------------------------------- what nothing checked


def test_a_commit_with_changed_files_has_a_plus(tmp_path, monkeypatch):
    for name in ("notebooks", "profiles"):
        (tmp_path / name).mkdir()
    code = tmp_path / "notebooks" / "code.py"
    code.write_text("1")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.chdir(tmp_path)
    clean = records._git_commit()
    (tmp_path / "notebooks" / "new.py").write_text("not of the clone")
    assert re.fullmatch("[0-9a-f]{40}", clean) and records._git_commit() == clean
    code.write_text("2")
    assert records._git_commit() == f"{clean}+"


def test_a_record_says_which_notebook_made_it_in_how_many_seconds_and_which_epochs_were_kept(run):
    object.__setattr__(run, "began", time.perf_counter() - 100)
    record, *_ = save(run)
    assert record["notebook"] == "04_knowledge_distillation" and 100 <= record["seconds"] < 400
    assert [(e["best_epoch"], e["epochs"], e["allowed"]) for e in record["seeds"]] == [(2, 2, 2)] * 2
    assert {e["selected_by"] for e in record["seeds"]} == {"validation ROC-AUC"}


def test_a_record_is_made_as_wanted_only_in_every_parameter():
    wanted = {"epochs": 5, "seeds": [0, 1], "patience": 3}
    assert records.made_as({"parameters": wanted | {"view": "bp"}}, wanted)
    for name in wanted:
        assert not records.made_as({"parameters": wanted | {name: 7}}, wanted)
        assert records.made_as({"parameters": {k: v for k, v in wanted.items() if k != name}}, wanted)


def test_sweeps_of_two_views_may_be_of_other_devices_and_of_nothing_else():
    one = {"parameters": {"view": "bp", "device": "cpu", "epochs": 3}}
    assert records._same_but_view(one, {"parameters": {"view": "hr", "device": "cuda", "epochs": 3}})
    assert not records._same_but_view(one, {"parameters": {"view": "hr", "device": "cpu", "epochs": 4}})
