"""The commands of docs/example_icu.md run as they stand, with trainings cut short."""

import re
from pathlib import Path

import numpy as np
import pytest

from rdpd_nb import data, study

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs/example_icu.md").read_text(), re.DOTALL)


@pytest.mark.usefixtures("one_thread")
def test_every_command_of_the_icu_example_runs(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)  # so that build/ is not the project's
    fit = study.fit_students
    short = {"seeds": [0], "epochs": 1, "device": "cpu", "progress": lambda line: None}
    monkeypatch.setattr(study, "fit_students", lambda *arrays, **given: fit(*arrays, **given | short))
    names: dict = {}
    for block in BLOCKS:
        exec(compile(block, "docs/example_icu.md", "exec"), names)
    said = capsys.readouterr().out
    assert "4,000 stays" in said and "554 deaths" in said
    student = names["student"]
    np.testing.assert_allclose(names["probability"], student.outputs(names["heart_rate"])[0], atol=1e-5)
    assert (tmp_path / "build/icu_student/README.md").is_file()

    # The arrays are what the project's reader makes, but for values that are out of range, which it leaves out.
    windows = data.load("cinc2012", "all", "embedded", progress=lambda line: None)
    ours = windows[np.flatnonzero(np.isin(windows.subject, names["stays"]))]
    order = [names["channels"].index(name) for name in windows.channels]
    theirs = names["x_rich"][:, :, order].astype(np.float32)
    same = np.isclose(ours, theirs, rtol=1e-5, equal_nan=True)
    assert same.mean() > 0.98  # a value out of range is carried forward here
