"""What readers share: each fault of a raw file in one sentence."""

import hashlib
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


def test_a_folder_that_holds_nothing(tmp_path):
    said = refused(checks.require_folder, tmp_path, "a file")
    assert said == f"{tmp_path} is empty; it should hold a file."
    (tmp_path / "b").touch(), (tmp_path / "a").touch()
    checks.require_folder(tmp_path, "a file")
    assert [path.name for path in checks.entries(tmp_path)] == ["a", "b"]
    assert refused(checks.require_folder, tmp_path / "b", "a file").endswith(
        "b is not a folder; it should hold a file."
    )


def test_sums_of_a_release(tmp_path):
    total = hashlib.sha256(b"content").hexdigest()
    path = tmp_path / "SHA256SUMS.txt"
    path.write_text(f"{total} a file\r\n{total} *b/c.dat\n{total}  d\n{total[:-1]} short\n\n")
    assert checks.listed_sums(path) == dict.fromkeys(("a file", "b/c.dat", "d"), total)
    checks.check_sum(b"content", total, "d")
    assert refused(checks.check_sum, b"contents", total, "d").startswith("d differs from the published file")
    assert refused(checks.check_sum, b"content", None, "e").startswith("e is not in SHA256SUMS.txt")
    for content in (b"<html>404</html>", b"\x1f\x8b\xff no text"):
        path.write_bytes(content)
        assert refused(checks.listed_sums, path) == f"{path} lists no SHA-256 sums; download it again."
    (tmp_path / "d").write_bytes(b"content")
    checks.check_sums(tmp_path, {"d": total})
    assert "d differs from the published file" in refused(checks.check_sums, tmp_path, {"d": total[::-1]})
    assert f"{tmp_path / 'e'} is not in the download" in refused(checks.check_sums, tmp_path, {"d": total, "e": total})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": no column id, label; the columns are ."),
        ("id,other\n1,yes\n", ": no column label; the columns are id,other."),
        ("id,label,id\n1,yes,2\n", ": two columns id; the columns are id,label,id."),
        ("id,label\n1,yes\n2\n", ", line 3: 1 columns where 2 are expected"),
        ("id,label\n1,yes\n\n1.0,no\n", ", line 4: id '1.0' and label 'no' where a number and yes, no are expected"),
        ("id,label\n-1,yes\n", ", line 2: id '-1' and label 'yes' where a number"),
        ("id,label\n1,Yes\n", ", line 2: id '1' and label 'Yes' where a number"),
        (f"id,label\n{10**18},yes\n", f", line 2: id '{10**18}' and"),
        ("id,label\n1,yes\n2,no\n01,no\n", ", line 4: 01 is there twice"),
    ],
)
def test_labels_that_cannot_be_believed(tmp_path, text, said):
    (tmp_path / "labels.csv").write_text(text)
    assert refused(checks.read_labels, tmp_path / "labels.csv", "id", "label", ("yes", "no")).startswith(
        f"{tmp_path / 'labels.csv'}{said}"
    )


LARGEST = 10**18 - 1


def test_labels_by_number_in_their_order(tmp_path):
    (tmp_path / "labels.csv").write_bytes(
        b"\xef\xbb\xbfx,label,id\r\n,no,10\r\n\r\n,yes,9\r\n,no,%d\r\n" % (10**18 - 1)
    )
    found = checks.read_labels(tmp_path / "labels.csv", "id", "label", ("yes", "no"))
    assert list(found.items()) == [(9, "yes"), (10, "no"), (LARGEST, "no")]


def test_of_copies_the_first_is_kept(tmp_path):
    digests = [b"a", b"b", b"a", b"c", b"a"]
    assert checks.without_copies(digests, [0, 1, 0, 1, 0], "vwxyz", tmp_path).tolist() == [
        True,
        True,
        False,
        True,
        False,
    ]
    said = refused(checks.without_copies, digests, [0, 1, 0, 1, 1], "vwxyz", tmp_path)
    assert said == f"{tmp_path}: v and z hold the same signals and different labels; correct one."


def test_one_archive_at_most(tmp_path):
    assert checks.one_archive(tmp_path) is None
    (tmp_path / "b.zip").write_text("b")
    assert checks.one_archive(tmp_path) == tmp_path / "b.zip"
    (tmp_path / "a.zip").write_text("a")
    assert refused(checks.one_archive, tmp_path) == f"{tmp_path} holds a.zip and b.zip; keep the one to be read."
