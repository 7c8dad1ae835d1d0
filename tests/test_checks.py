"""What readers share: each fault of a raw file in one sentence."""

import os
from pathlib import Path

import numpy as np
import pytest

from rdpd_nb.data import checks
from rdpd_nb.errors import UserError


def refused(call, *given):
    with pytest.raises(UserError) as caught:
        call(*given)
    return str(caught.value)


def folder(path):
    path.mkdir()


def dangling(path):
    path.symlink_to(path.with_name("nowhere"))


def loop(path):
    path.symlink_to(path)


def pipe(path):
    """Opening it would wait for ever."""
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "words"),
    [(folder, "is a folder"), (dangling, "a link that"), (loop, "a link that"), (pipe, "no plain file")],
)
def test_what_stands_in_place_of_a_file(tmp_path, make, words):
    (tmp_path / "good").write_text("1")
    checks.require_files([tmp_path / "good"])
    make(tmp_path / "bad")
    message = refused(checks.require_files, [tmp_path / "good", tmp_path / "bad"])
    assert str(tmp_path / "bad") in message and words in message


def test_what_may_not_be_read(tmp_path, monkeypatch):
    """As root all may be read, so the refusal is made up."""

    def refuse(path, *_):
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "file").write_text("1")
    monkeypatch.setattr(Path, "open", refuse)
    assert "file cannot be read (Permission denied)" in refused(checks.require_files, [tmp_path / "file"])
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert f"{tmp_path} cannot be read (Permission denied)" in refused(checks.require_folder, tmp_path, "files")


def test_what_no_sensor_can_say_becomes_missing():
    values = np.array([[0, -41.0], [np.inf, 85], [np.nan, 1e30], [-1, -np.inf]], np.float32)
    assert checks.make_missing(values, (-0.5, -40), (2, 85)) == 5
    np.testing.assert_array_equal(values, [[0, np.nan], [np.nan, 85], [np.nan, np.nan], [np.nan, np.nan]])
