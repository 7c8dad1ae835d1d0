"""Archives read where they lie: what comes out, in which order, and one sentence about each one that is not whole."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from rdpd_nb.data import archives
from rdpd_nb.errors import UserError

FILES = {"set/b.txt": b"second letter\n" * 500, "set/a.txt": b"first letter\n" * 500, "set/notes.md": b"not asked for"}
MEMBERS = tuple(FILES.items())
PACKERS = {".tar.gz": gzip.compress, ".tgz": gzip.compress, ".tar.xz": lzma.compress, ".tar.bz2": bz2.compress}
ENDINGS = (*PACKERS, ".zip")


def tarred(files, edit=lambda tar: None):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        edit(tar)
    return buffer.getvalue()


def zipped(files, edit=lambda archive: None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
        edit(archive)
    return buffer.getvalue()


def write(folder, ending, files=MEMBERS):
    path = folder / f"set{ending}"
    path.write_bytes(zipped(files) if ending == ".zip" else PACKERS[ending](tarred(files)))
    return path


def texts(path):
    return list(archives.walk(path, lambda name: name.endswith(".txt")))


def refusal(path):
    with pytest.raises(UserError) as caught:
        texts(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    return message


# ---------------------------------------------------------------------------------------------------- what works


@pytest.mark.parametrize("ending", ENDINGS)
def test_wanted_files_in_the_order_of_the_archive(tmp_path, ending):
    path = write(tmp_path, ending)
    assert texts(path) == [(name, FILES[name]) for name in ("set/b.txt", "set/a.txt")]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing was unpacked


def test_a_folder_is_sorted_and_names_are_relative_to_it(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "set/folder.txt").mkdir()
    assert texts(tmp_path) == [(name, FILES[name]) for name in ("set/a.txt", "set/b.txt")]
    assert [name for name, _ in texts(tmp_path / "set")] == ["a.txt", "b.txt"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_names_are_tidied(tmp_path, ending):
    assert texts(write(tmp_path, ending, [("./set//a.txt", b"1")])) == [("set/a.txt", b"1")]


def test_links_and_folders_in_a_tar_are_passed_over(tmp_path):
    def edit(tar):
        for name, kind in (("link.txt", tarfile.SYMTYPE), ("hard.txt", tarfile.LNKTYPE), ("d.txt", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "set/a.txt"
            tar.addfile(info)

    path = tmp_path / "set.tar.gz"
    path.write_bytes(gzip.compress(tarred(MEMBERS, edit)))
    assert [name for name, _ in texts(path)] == ["set/b.txt", "set/a.txt"]


def test_links_and_folders_in_a_zip_are_passed_over(tmp_path):
    def edit(archive):
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "set/a.txt")
        archive.writestr("folder.txt/", b"")

    path = tmp_path / "set.zip"
    path.write_bytes(zipped(MEMBERS, edit))
    assert [name for name, _ in texts(path)] == ["set/b.txt", "set/a.txt"]


def test_find_prefers_an_archive_since_it_says_whether_it_is_whole(tmp_path):
    assert archives.find(tmp_path, "set") is None
    (tmp_path / "set").mkdir()
    assert archives.find(tmp_path, "set") == tmp_path / "set"
    for ending in ENDINGS:
        path = write(tmp_path, ending)
        assert archives.find(tmp_path, "set") == path
        path.unlink()


def test_of_two_archives_none_is_preferred(tmp_path):
    """One of them was read without a word, whichever was the newer."""
    for ending in (".tar.xz", ".zip"):
        write(tmp_path, ending)
    with pytest.raises(UserError, match=r"holds set\.zip and set\.tar\.xz; take one out"):
        archives.find(tmp_path, "set")


# ---------------------------------------------------------------------------------------------------- what does not


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_truncated_archive(tmp_path, ending, share):
    path = write(tmp_path, ending)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "truncated, damaged or no archive" in refusal(path)


@pytest.mark.parametrize("ending", PACKERS)
def test_a_tar_that_lost_only_its_last_bytes(tmp_path, ending):
    """All members are there; what is missing is (part of) the sum over them."""
    path = write(tmp_path, ending)
    path.write_bytes(path.read_bytes()[:-3])
    refusal(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_any_flipped_byte_of_the_packed_data_is_noticed(tmp_path, ending):
    path = write(tmp_path, ending)
    content = bytearray(path.read_bytes())
    place = content.index(b"set/b.txt") + 20 if ending == ".zip" else len(content) // 2
    content[place] ^= 0x10
    path.write_bytes(content)
    refusal(path)


def test_a_wrong_sum_over_a_tar(tmp_path):
    """The packed data is whole and the sum that follows it is another's: tarfile alone would not look at it."""
    path = write(tmp_path, ".tar.gz")
    content = bytearray(path.read_bytes())
    content[-8] ^= 0xFF  # CRC-32, before the length
    path.write_bytes(content)
    assert "CRC" in refusal(path)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"<html>404 Not Found</html>", b"\0" * 2000])
def test_no_archive(tmp_path, ending, content):
    (tmp_path / f"set{ending}").write_bytes(content)
    refusal(tmp_path / f"set{ending}")


@pytest.mark.parametrize("ending", PACKERS)
def test_a_packed_file_that_is_no_tar(tmp_path, ending):
    (tmp_path / f"set{ending}").write_bytes(PACKERS[ending](b"just a text\n" * 200))
    refusal(tmp_path / f"set{ending}")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["../a.txt", "set/../../a.txt", "/etc/a.txt"])
def test_a_name_that_leads_out(tmp_path, ending, name):
    assert "leads out of the archive" in refusal(write(tmp_path, ending, [("set/b.txt", b"1"), (name, b"2")]))


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("again", ["set/a.txt", "./set/a.txt"])
def test_a_name_that_is_there_twice(tmp_path, ending, again):
    files = [("set/a.txt", b"1"), ("set/b.txt", b"2"), (again, b"3")]
    assert "set/a.txt is there twice" in refusal(write(tmp_path, ending, files))


def test_an_encrypted_zip(tmp_path):
    path = write(tmp_path, ".zip")
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flag of encryption, in both lists
        at = content.index(signature)
        content[at + offset] |= 1
    path.write_bytes(content)
    assert "encrypted" in refusal(path)


def test_what_is_not_there_and_what_is_of_another_kind(tmp_path):
    assert "No such file" in refusal(tmp_path / "set.zip")
    (tmp_path / "set.tar").write_bytes(tarred(MEMBERS))
    assert ".tar.gz" in refusal(tmp_path / "set.tar")
