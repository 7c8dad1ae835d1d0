"""Fetching raw data from local zip files: checked, unpacked whole or not at all, nothing left over after a failure."""

import hashlib
import io
import resource
import socket
import struct
import threading
import zipfile
from pathlib import Path

import pytest

from rdpd_nb.data import DATASETS, brugada, cinc2012, download, pamap2, uci_har
from rdpd_nb.data.spec import File, Source
from rdpd_nb.errors import UserError

PUBLISHED = dict(pamap2.SHA256)
SIGNAL = b"5.0 1 NaN 1 2 3\n" * 1000


def zipped(files):
    """The bytes of a zip with these {name: content}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


PAMAP2 = {"PAMAP2_Dataset/Protocol/subject101.dat": SIGNAL, "PAMAP2_Dataset/readme.pdf": b"%PDF"}
RECORD = {"patient001/s0010_re.hea": b"header\n", "patient001/s0010_re.dat": b"\x00\x01"}
SUMS = "".join(f"{sha256(content)} {name}\n" for name, content in RECORD.items()).encode()
PTBDB = {f"ptb-diagnostic-ecg-database-1.0.0/{name}": c for name, c in {**RECORD, "SHA256SUMS.txt": SUMS}.items()}
UCI_HAR = {
    "UCI HAR Dataset/train/y_train.txt": b"1\n2\n3\n",
    "UCI HAR Dataset/test/y_test.txt": b"1\n2\n",
    "__MACOSX/UCI HAR Dataset/._test": b"what a Mac leaves",
}
WHOLE = {"pamap2": PAMAP2, "ptbdb": PTBDB, "uci_har": UCI_HAR}


@pytest.fixture(autouse=True)
def small_sets(monkeypatch):
    """Sums and counts of the small sets above in place of the published ones."""
    monkeypatch.setattr(pamap2, "SHA256", {"subject101.dat": sha256(SIGNAL)})
    monkeypatch.setattr(uci_har, "WINDOWS", {"train": 3, "test": 2})


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


@pytest.fixture
def publish(tmp_path):
    """Put a file where it can be fetched from; its address."""

    def put(content):
        path = tmp_path / "published.zip"
        path.write_bytes(content)
        return path.as_uri()

    return put


def names(folder):
    """All files below a folder, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def refusal(dataset, raw, address, left=()):
    """The sentence; nothing else may be left in the raw folder, or the next try would stumble over it."""
    with pytest.raises(UserError) as caught:
        download.fetch(dataset, raw, address)
    assert [path.name for path in raw.glob("*")] == list(left)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------- what works


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("pamap2", ["Protocol/subject101.dat", "readme.pdf"]),
        ("ptbdb", ["SHA256SUMS.txt", "patient001/s0010_re.dat", "patient001/s0010_re.hea"]),
        ("uci_har", sorted(UCI_HAR)),
    ],
)
def test_a_whole_download_is_unpacked_into_the_layout_the_readers_expect(raw, publish, capsys, dataset, expected):
    assert download.fetch(dataset, raw, publish(zipped(WHOLE[dataset]))) == raw / dataset
    assert names(raw / dataset) == expected
    assert [path.name for path in raw.iterdir()] == [dataset]  # the zip file is gone
    said = capsys.readouterr().out
    source = DATASETS[dataset].SOURCE
    assert source.size in said and source.licence in said


@pytest.mark.parametrize(("dataset", "inner"), [("pamap2", "PAMAP2_Dataset.zip"), ("uci_har", "UCI HAR Dataset.zip")])
def test_a_zip_in_a_zip_as_uci_serves_them(raw, publish, dataset, inner):
    content = zipped({inner: zipped(WHOLE[dataset]), "names.txt": b"hello"})
    download.fetch(dataset, raw, publish(content))
    found = names(raw / dataset)
    assert not [name for name in found if name.endswith(".zip")]
    assert ("Protocol/subject101.dat" if dataset == "pamap2" else "UCI HAR Dataset/train/y_train.txt") in found
    assert [path.name for path in raw.iterdir()] == [dataset]


def test_a_set_that_is_there_is_left_alone(raw, capsys):
    (raw / "pamap2").mkdir(parents=True)
    (raw / "pamap2" / "mine.txt").write_text("mine")
    assert download.fetch("pamap2", raw, "file:///nowhere.zip") == raw / "pamap2"
    assert names(raw) == ["pamap2/mine.txt"] and "already" in capsys.readouterr().out


def test_an_empty_folder_in_its_place_is_filled(raw, publish):
    (raw / "pamap2").mkdir(parents=True)
    download.fetch("pamap2", raw, publish(zipped(PAMAP2)))
    assert "Protocol/subject101.dat" in names(raw / "pamap2")


# ---------------------------------------------------------------------------------------------------- what does not


def test_pamap2_with_a_wrong_checksum(raw, publish):
    changed = {**PAMAP2, "PAMAP2_Dataset/Protocol/subject101.dat": SIGNAL[:-1]}
    message = refusal("pamap2", raw, publish(zipped(changed)))
    assert "subject101.dat" in message and "SHA-256" in message


def test_pamap2_with_a_missing_file(raw, publish):
    message = refusal("pamap2", raw, publish(zipped({"PAMAP2_Dataset/Protocol/subject102.dat": b"1"})))
    assert "subject101.dat is not in the download" in message


def test_ptbdb_with_a_wrong_checksum(raw, publish):
    changed = {**PTBDB, "ptb-diagnostic-ecg-database-1.0.0/patient001/s0010_re.dat": b"\x00\x02"}
    message = refusal("ptbdb", raw, publish(zipped(changed)))
    assert "s0010_re.dat" in message and "SHA-256" in message


@pytest.mark.parametrize("listing", [b"", b"404 Not Found\n", b"one_word_in_a_line\n"])
def test_ptbdb_with_a_useless_list_of_sums(raw, publish, listing):
    refusal("ptbdb", raw, publish(zipped({**PTBDB, "ptb-diagnostic-ecg-database-1.0.0/SHA256SUMS.txt": listing})))


def test_ptbdb_without_its_list_of_sums(raw, publish):
    some = {name: content for name, content in PTBDB.items() if not name.endswith("SUMS.txt")}
    assert "no SHA256SUMS.txt in the download" in refusal("ptbdb", raw, publish(zipped(some)))


@pytest.mark.parametrize("test_labels", [b"1\n", b"", None])
def test_uci_har_with_another_number_of_windows(raw, publish, test_labels):
    changed = {**UCI_HAR, "UCI HAR Dataset/test/y_test.txt": test_labels}
    changed = {name: content for name, content in changed.items() if content is not None}
    message = refusal("uci_har", raw, publish(zipped(changed)))
    assert "y_test.txt" in message and "where UCI HAR has 2" in message


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>404 Not Found</html>", zipped(PAMAP2)[:-30], zipped(PAMAP2)[:100]],
    ids=["empty", "a page", "its end is gone", "its beginning"],
)
def test_not_a_whole_zip(raw, publish, content):
    assert "not a whole zip file" in refusal("pamap2", raw, publish(content))


def test_a_damaged_zip(raw, publish):
    """A flipped byte in the packed data itself: the zip's list of files is whole."""
    content = bytearray(zipped(PAMAP2))
    place = content.index(b"subject101.dat") + len("subject101.dat")
    content[place + 1] ^= 0xFF
    refusal("pamap2", raw, publish(bytes(content)))


def test_a_damaged_zip_in_a_zip(raw, publish):
    refusal("pamap2", raw, publish(zipped({"PAMAP2_Dataset.zip": b"not a zip"})))


def test_a_failed_check_does_not_spoil_the_next_try(raw, publish):
    with pytest.raises(UserError):
        download.fetch("pamap2", raw, publish(zipped({**PAMAP2, "PAMAP2_Dataset/Protocol/subject101.dat": b"x"})))
    download.fetch("pamap2", raw, publish(zipped(PAMAP2)))
    assert "Protocol/subject101.dat" in names(raw / "pamap2")


def test_nothing_at_the_address(raw, tmp_path):
    address = (tmp_path / "nowhere.zip").as_uri()
    message = refusal("pamap2", raw, address)
    assert address in message and "could not be downloaded" in message


def test_nobody_answers(raw):
    with socket.socket() as free:  # a port that was free a moment ago
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = refusal("ptbdb", raw, f"http://127.0.0.1:{port}/ptbdb.zip")
    assert f"127.0.0.1:{port}" in message and "check the connection" in message


def test_something_that_is_no_address(raw):
    assert "data/pamap2.zip" in refusal("pamap2", raw, "data/pamap2.zip")


def test_a_raw_folder_that_cannot_be_made(tmp_path, publish):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError):
        download.fetch("pamap2", tmp_path / "file" / "raw", publish(zipped(PAMAP2)))


def test_a_file_or_a_link_in_place_of_the_folder(raw, publish):
    """It was found out after the download."""
    raw.mkdir()
    for make in (Path.touch, lambda path: path.symlink_to("nowhere"), lambda path: path.symlink_to("pamap2")):
        make(raw / "pamap2")
        with pytest.raises(UserError, match="pamap2 is no folder; take it out"):
            download.fetch("pamap2", raw, publish(zipped(PAMAP2)))
        (raw / "pamap2").unlink()


def test_a_folder_in_place_of_the_zip(raw, publish):
    (raw / "pamap2.zip").mkdir(parents=True)
    with pytest.raises(UserError, match="pamap2.zip is a folder where a file is expected"):
        download.fetch("pamap2", raw, publish(zipped(PAMAP2)))
    assert [path.name for path in raw.iterdir()] == ["pamap2.zip"]


@pytest.fixture
def serve():
    """Answer one request with these bytes, to the letter, then close or reset the connection; the address."""
    sockets = []

    def answer(payload, reset=False):
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def run():
            connection, _ = listener.accept()
            connection.recv(1 << 16)
            connection.sendall(payload)
            if reset:  # RST in place of FIN
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/set.zip"

    yield answer
    for listener in sockets:
        listener.close()


OK, CHUNKED = b"HTTP/1.1 200 OK\r\n", b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE_ZIP = zipped(PAMAP2)
CHUNK = b"%x\r\n%s\r\n" % (len(WHOLE_ZIP), WHOLE_ZIP)
ANSWERS = {
    "cut inside a chunk": OK + CHUNKED + CHUNK[:300],
    "cut between chunks": OK + CHUNKED + CHUNK,
    "cut in the length of a chunk": OK + CHUNKED + CHUNK + b"1f",
    "a chunk of no length": OK + CHUNKED + b"x\r\n" + WHOLE_ZIP,
    "cut, its length said": OK + b"Content-Length: 9999\r\n\r\n" + WHOLE_ZIP,
    "cut, its length not said": OK + b"\r\n" + WHOLE_ZIP[:-30],
    "cut in the header": b"HTTP/1.1 200",
    "a length that is none": OK + b"Content-Length: many\r\n\r\n" + WHOLE_ZIP,
    "no answer": b"",
    "no HTTP": b"220 ftp.example.org ready\r\n",
    "an endless header": OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
    "not found": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_is_not_whole(raw, serve, answer):
    message = refusal("pamap2", raw, serve(answer))
    assert "could not be downloaded (" in message or "is not a whole zip file" in message
    assert "\n" not in message and message.endswith(".")


@pytest.mark.parametrize("answer", [OK + CHUNKED + CHUNK[:300], OK + b"Content-Length: 9999\r\n\r\nPK"])
def test_a_connection_that_is_reset(raw, serve, answer):
    assert "could not be downloaded (" in refusal("pamap2", raw, serve(answer, reset=True))


@pytest.mark.parametrize("answer", [OK + CHUNKED + CHUNK + b"0\r\n\r\n", OK + b"\r\n" + WHOLE_ZIP])
def test_a_whole_answer_without_a_length(raw, serve, answer):
    download.fetch("pamap2", raw, serve(answer))
    assert names(raw / "pamap2") == ["Protocol/subject101.dat", "readme.pdf"]


@pytest.fixture
def disk():
    """A disk on which no file can be larger than so many bytes, as near to a full one as a test may come."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("stage", ["while it is downloaded", "while it is unpacked"])
def test_a_disk_that_is_full(raw, publish, disk, stage):
    small = zipped(PAMAP2)  # which makes 16 kB
    content = small if stage == "while it is unpacked" else small.rjust(9000, b"\0")
    address = publish(content)
    disk(4000)
    whole = ["pamap2.zip"] if stage == "while it is unpacked" else []  # hours of a download, which is taken up again
    message = refusal("pamap2", raw, address, whole)
    assert "could not be written: File too large" in message and "connection" not in message
    disk(resource.RLIM_INFINITY)
    assert download.fetch("pamap2", raw, "file:///nowhere.zip" if whole else publish(small)) == raw / "pamap2"
    assert [path.name for path in raw.iterdir()] == ["pamap2"]


def test_a_disk_that_is_full_of_listed_files(raw, place, disk):
    disk(500)
    assert "could not be written: File too large" in refusal("cinc2012", raw, "")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_a_zip_of_another_method(raw, publish, method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("Protocol/subject101.dat", SIGNAL)
    content = bytearray(buffer.getvalue())
    content[60:70] = b"\xff" * 10
    assert "not a whole zip file" in refusal("pamap2", raw, publish(bytes(content)))


@pytest.mark.parametrize(
    "listing", [b"\x89PNG\r\n\x1a\n\0\xff\xfe", "\ufeff404".encode("utf-16"), b"\xff" * 64 + b" a\n"]
)
def test_a_list_of_sums_that_is_no_text(raw, publish, listing):
    name = "ptb-diagnostic-ecg-database-1.0.0/SHA256SUMS.txt"
    assert "SHA256SUMS.txt lists no SHA-256 sums" in refusal("ptbdb", raw, publish(zipped(PTBDB | {name: listing})))


def test_mimic3_is_never_fetched(raw):
    message = refusal("mimic3", raw, "")
    assert "credentialed access" in message and "never downloaded automatically" in message
    assert "https://physionet.org/content/mimiciii/1.4/" in message and str(raw / "mimic3") in message


def test_mimic3_is_not_fetched_from_another_address_either(raw, publish):
    """Its licence does not allow mirrors; there is no check that could tell what was fetched."""
    refusal("mimic3", raw, publish(zipped({"PATIENTS.csv": b"SUBJECT_ID\n"})))


# -------------------------------------------------------------------------------------------- files kept as they are

KEPT = {"set-a.tar.gz": b"packed" * 100, "Outcomes-a.txt": b"RecordID\n"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder of published files, which CinC 2012's source lists with their sizes and sums; its address."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, content in KEPT.items():
        (folder / name).write_bytes(content)
    files = tuple(File((folder / name).as_uri(), len(content), sha256(content)) for name, content in KEPT.items())
    source = Source(page="https://example.org", size="1 kB", licence="CC0 1.0", files=files)
    monkeypatch.setattr(cinc2012, "SOURCE", source)
    return folder


def test_listed_files_are_kept_as_they_are(raw, place, capsys):
    assert download.fetch("cinc2012", raw) == raw / "cinc2012"
    assert {name: (raw / "cinc2012" / name).read_bytes() for name in names(raw / "cinc2012")} == KEPT
    assert [path.name for path in raw.iterdir()] == ["cinc2012"]
    assert "CC0 1.0" in capsys.readouterr().out


@pytest.mark.parametrize("slash", ["", "/"])
def test_listed_files_from_a_mirror(raw, place, slash):
    mirror = place.rename(place.with_name("mirror"))
    download.fetch("cinc2012", raw, mirror.as_uri() + slash)
    assert names(raw / "cinc2012") == sorted(KEPT)


def test_a_listed_file_of_another_size(raw, place):
    (place / "Outcomes-a.txt").write_bytes(b"RecordID\n1\n")
    assert "Outcomes-a.txt has 11 bytes and not 9" in refusal("cinc2012", raw, "")


def test_a_listed_file_of_the_same_size_and_another_sum(raw, place):
    (place / "Outcomes-a.txt").write_bytes(b"recordID\n")
    message = refusal("cinc2012", raw, "")
    assert "Outcomes-a.txt" in message and "SHA-256" in message


def test_a_listed_file_that_is_not_there(raw, place):
    (place / "Outcomes-a.txt").unlink()
    message = refusal("cinc2012", raw, "")
    assert "Outcomes-a.txt could not be downloaded" in message


def test_a_size_that_is_not_known_is_not_compared(raw, place, monkeypatch):
    files = tuple(File(file.address, 0, file.sha256) for file in cinc2012.SOURCE.files)
    monkeypatch.setattr(cinc2012, "SOURCE", Source(page="", size="", licence="", files=files))
    download.fetch("cinc2012", raw)
    assert names(raw / "cinc2012") == sorted(KEPT)


@pytest.mark.parametrize("module", [cinc2012, brugada])
def test_listed_files_of_the_real_sources(module):
    files = module.SOURCE.files
    assert len({file.name for file in files}) == len(files) == len({file.sha256 for file in files})
    for file in files:
        assert file.address == f"{module.ADDRESS}{file.name}" and file.address.startswith("https://physionet.org/")
        assert len(file.sha256) == 64 and int(file.sha256, 16) and file.size >= 0


# ---------------------------------------------------------------------------------------------------- command line


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """What main() would fetch, and nothing is: [(data set, raw root)]."""
    calls = []
    monkeypatch.setenv("RDPD_RAW", str(tmp_path / "raw"))
    monkeypatch.setattr(download, "fetch", lambda dataset, raw: calls.append((dataset, raw)))
    return calls


def test_main_fetches_what_may_be_fetched(fetched, tmp_path):
    assert download.main([]) == 0
    assert {call[0] for call in fetched} == set(DATASETS) - {"mimic3"}
    assert {call[1] for call in fetched} == {tmp_path / "raw"} and len(fetched) == len(DATASETS) - 1


def test_main_fetches_what_is_named(fetched, tmp_path):
    assert download.main(["uci_har"]) == 0
    assert fetched == [("uci_har", tmp_path / "raw")]


def test_main_refuses_an_unknown_name_before_anything_is_fetched(fetched, capsys):
    assert download.main(["uci_har", "pamap"]) == 1
    said = capsys.readouterr().err
    assert fetched == [] and "no data set 'pamap';" in said and ", ".join(DATASETS) in said


def test_main_says_in_one_line_what_failed(raw, monkeypatch, capsys):
    monkeypatch.setenv("RDPD_RAW", str(raw))
    assert download.main(["mimic3"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: MIMIC-III cannot be fetched automatically") and said.count("\n") == 1


# ---------------------------------------------------------------------------------------------------- published sums


def test_sums_of_the_nine_pamap2_files():
    assert sorted(PUBLISHED) == [f"subject{number}.dat" for number in range(101, 110)]
    assert all(len(total) == 64 and int(total, 16) for total in PUBLISHED.values())
    assert len(set(PUBLISHED.values())) == 9


def test_sums_are_those_at_hand(real_root):
    path = real_root / "pamap2" / "protocol_sha256_size.txt"
    if not path.exists():
        pytest.skip(f"no {path}")
    text = path.read_text()
    assert all(total in text for total in PUBLISHED.values())
