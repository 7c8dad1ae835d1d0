"""CinC 2012: a small hand-written set, the embedded one beside a slow computation, a sentence for each bad file."""

import gzip
import hashlib
import io
import re
import runpy
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rdpd_nb.data import Windows, archives, cinc2012
from rdpd_nb.errors import UserError

ROOT = Path(__file__).parents[1]
EMBEDDED = ROOT / "data/open/cinc2012"
CHANNELS = cinc2012.SPEC.channels
HR, TEMP, WEIGHT, VENT = (CHANNELS.index(name) for name in ("HR", "Temp", "Weight", "MechVent"))
# RecordID -> (died, rows after the descriptors)
SETS = {
    "a": {11: (0, "00:10,HR,80\n00:50,HR,90\n02:00,HR,100\n"), 12: (1, "05:00,Temp,38.5\n")},
    "b": {21: (1, "00:00,HR,70\n")},
    "c": {31: (0, ""), 32: (0, "47:59,HR,60\n48:00,HR,200\n")},
}
HEADER = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n"


def stay(record, rows, weight=-1, header="Time,Parameter,Value"):
    descriptors = {"RecordID": record, "Age": 54, "Gender": 0, "Height": -1, "ICUType": 4, "Weight": weight}
    return "\n".join([header, *(f"00:00,{name},{value}" for name, value in descriptors.items())]) + f"\n{rows}"


def tar(files):
    """The bytes of a .tar.gz with these {name: text}."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return gzip.compress(buffer.getvalue())


def write(folder, changes=None, outcomes=None, packed=True):
    """The small set. changes: {set: {name: text, or None to leave it out}}; outcomes: {set: text}."""
    folder.mkdir(exist_ok=True)
    for name, stays in SETS.items():
        texts = {f"{record}.txt": stay(record, rows) for record, (_, rows) in stays.items()}
        texts |= (changes or {}).get(name, {})
        texts = {file: text for file, text in texts.items() if text is not None}
        if packed:
            (folder / f"set-{name}.tar.gz").write_bytes(tar({f"set-{name}/{file}": t for file, t in texts.items()}))
        else:
            (folder / f"set-{name}").mkdir()
            for file, text in texts.items():
                (folder / f"set-{name}" / file).write_bytes(text.encode())
        lines = [f"{record},6,1,5,-1,{died}\n" for record, (died, _) in stays.items()]
        (folder / f"Outcomes-{name}.txt").write_text((outcomes or {}).get(name, HEADER + "".join(lines)))
    return folder


def one(folder, rows, **rest):
    """The small set with stay 11 of other rows, and the 48 hours of that stay."""
    r = read(write(folder, {"a": {"11.txt": stay(11, rows, **rest)}}))
    return r.series[:48], {row["step"]: row for row in r.ledger.rows}


def read(folder):
    return cinc2012.read(folder, lambda line: None)


def refusal(folder):
    with pytest.raises(UserError) as caught:
        read(folder)
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message and message.endswith(".")
    for noise in ("pandas", "Traceback", "read_csv", "tokeniz"):
        assert noise not in message
    return message


# ---------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("packed", [True, False])
def test_stays_labels_and_parts(tmp_path, packed):
    r = read(write(tmp_path, packed=packed))
    assert r.series.shape == (5 * 48, 37) and r.series.dtype == np.float32
    assert r.subject.tolist() == [11, 12, 21, 31, 32] and r.label.tolist() == [0, 1, 1, 0, 0]
    assert r.part.tolist() == ["train"] * 3 + ["test"] * 2
    assert r.start.tolist() == [0, 48, 96, 144, 192] and (r.stop - r.start == 48).all()
    hr = r.series.reshape(5, 48, 37)[..., HR]
    assert hr[0].tolist() == [85, 85] + [100] * 46  # the mean of 80 and 90, carried forward, then 100
    assert np.isnan(hr[4, :47]).all() and hr[4, 47] == 60  # 200 at 48:00 belongs to no hour
    assert np.isnan(np.delete(r.series.reshape(5, 48, 37)[3], VENT, 1)).all()  # a stay without values is kept
    windows = Windows.from_recordings(cinc2012.SPEC, r)
    assert len(windows.start) == 5 and windows.statistics["classes"] == 2


def test_the_order_of_archive_and_outcomes_does_not_matter(tmp_path):
    expected = read(write(tmp_path / "sorted"))
    folder = write(tmp_path / "other", outcomes={"a": HEADER + "12,0,0,0,0,1\n11,0,0,0,0,0\n"})
    texts = {f"{record}.txt": stay(record, SETS["a"][record][1]) for record in (12, 11)}
    (folder / "set-a.tar.gz").write_bytes(tar(texts))
    r = read(folder)
    assert np.array_equal(r.series, expected.series, equal_nan=True)
    assert r.subject.tolist() == expected.subject.tolist() and r.label.tolist() == expected.label.tolist()


def test_files_are_those_that_are_read(tmp_path):
    packed, plain = write(tmp_path / "packed"), write(tmp_path / "plain", packed=False)
    assert [p.name for p in cinc2012.files(packed)][:2] == ["Outcomes-a.txt", "set-a.tar.gz"]
    assert {p.name for p in cinc2012.files(plain)} >= {"11.txt", "32.txt", "Outcomes-c.txt"}
    assert len(cinc2012.files(packed)) == 6 and len(cinc2012.files(plain)) == 3 + 5


def test_what_a_file_system_leaves_among_the_stays_is_passed_over(tmp_path):
    folder = write(tmp_path, {"a": {"._11.txt": "a Mac's", "README.txt": "words", "12.txt~": "an editor's"}})
    assert read(folder).subject.tolist() == [11, 12, 21, 31, 32]


def test_lines_may_end_as_on_windows_and_the_last_without_an_end(tmp_path):
    text = stay(11, "00:10,HR,80\n00:50,HR,90\n02:00,HR,100").replace("\n", "\r\n")
    series = read(write(tmp_path, {"a": {"11.txt": text}})).series[:48]
    assert series[:, HR].tolist() == [85, 85] + [100] * 46


def test_every_hour_and_its_borders(tmp_path):
    rows = "00:59,HR,10\n01:00,HR,20\n01:59,HR,40\n23:30,HR,50\n47:00,HR,70\n48:00,HR,99\n"
    series, ledger = one(tmp_path, rows)
    assert series[:, HR].tolist() == [10] + [30] * 22 + [50] * 24 + [70]
    assert ledger["values at 48:00 removed: the hour that begins there is the next one"]["rows"] == -2


def test_missing_implausible_and_unnamed_values_are_removed_and_counted(tmp_path):
    rows = (
        "00:10,HR,-1\n00:20,HR,0\n00:30,HR,999\n00:40,Temp,-17.8\n00:50,pH,735\n01:00,,2.9\n01:10,,-1\n"
        "02:00,HR,60\n02:00,Weight,-1\n48:00,,3\n"
    )
    series, ledger = one(tmp_path, rows, weight=81.5)
    assert np.isnan(series[:2, HR]).all() and (series[2:, HR] == 60).all()
    assert np.isnan(series[:, TEMP]).all() and (series[:, WEIGHT] == 81.5).all()  # the descriptor is a value of 00:00
    assert ledger["rows without the name of a parameter removed"]["rows"] == -3
    assert ledger["missing values (-1) removed"]["rows"] == -(2 + 4)  # and the weights of the other stays
    assert ledger["implausible values removed"]["rows"] == -4
    assert ledger["static descriptors, not used (RecordID, Age, Gender, Height, ICUType)"]["rows"] == -25


def test_the_limits_themselves_are_plausible(tmp_path):
    limits = {v["name"]: (float(v["low"]), float(v["high"])) for v in cinc2012.VARIABLES}
    rows = "".join(f"00:10,{name},{low}\n01:10,{name},{high}\n" for name, (low, high) in limits.items())
    series, ledger = one(tmp_path, rows)
    np.testing.assert_allclose(series[:2].T, list(limits.values()), rtol=1e-6)
    assert ledger["implausible values removed"]["rows"] == 0
    for name, (low, high) in limits.items():
        assert low < high, name


def test_ventilation_is_zero_until_it_is_written(tmp_path):
    series, ledger = one(tmp_path, "03:00,MechVent,1\n")
    assert series[:, VENT].tolist() == [0] * 3 + [1] * 45
    assert ledger["hours before the first MechVent taken for 0"]["values"] == 3 + 4 * 48


def test_ledger_adds_up(tmp_path):
    ledger = read(write(tmp_path)).ledger.rows
    (hourly,) = [row for row in ledger if row["step"] == "hourly rows"]
    assert hourly["rows"] == 48 * hourly["subjects"] == 48 * sum(row["records"] for row in ledger[:3])
    rows = {row["step"]: row["rows"] for row in ledger if "rows" in row and row is not hourly}
    values = {row["step"]: row["values"] for row in ledger if "values" in row}
    assert sum(rows.values()) == values.pop("values of the variables in the first 48 h") == 6
    assert sum(values.values()) == 5 * 48 * 37
    assert [row["deaths"] for row in ledger if "deaths" in row] == [1, 1, 0]


# ---------------------------------------------------------------------------------------------------- bad files


def test_a_set_is_missing(tmp_path):
    (write(tmp_path) / "set-b.tar.gz").unlink()
    assert "set-b" in refusal(tmp_path)


def test_outcomes_are_missing(tmp_path):
    (write(tmp_path) / "Outcomes-c.txt").unlink()
    assert "Outcomes-c.txt is not there" in refusal(tmp_path)


def test_an_empty_folder(tmp_path):
    assert "is empty" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.1, 0.7, 0.99])
def test_a_truncated_set(tmp_path, share):
    path = write(tmp_path) / "set-c.tar.gz"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "truncated" in refusal(tmp_path) and "set-c.tar.gz" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"a": {"12.txt": None}}, r"set-a.*: no file of 1 stays, the first is 12"),
        ({"a": {"13.txt": stay(13, "")}}, r"no outcome of 1 stays, the first is 13"),
        ({"a": {"again/11.txt": stay(11, "")}}, r"stay 11 is there twice"),
        ({"a": {"012.txt": stay(12, "")}}, r"stay 12 is there twice"),
        ({"a": {"11.txt": ""}}, r"11\.txt: its columns are ''"),
        ({"a": {"11.txt": stay(11, "", header="Time,Parameter")}}, r"its columns are 'Time,Parameter' where"),
        ({"a": {"11.txt": stay(11, "", header="Hour,Name,Number")}}, r"its columns are 'Hour,Name,Number' where"),
        ({"a": {"11.txt": "Time,Parameter,Value\n"}}, r"11\.txt: its RecordID is not 11; it is empty"),
        ({"a": {"11.txt": stay(12, "")}}, r"11\.txt: its RecordID is not 11"),
        ({"b": {"21.txt": stay(21, "00:00,RecordID,21\n")}}, r"21\.txt: its RecordID is not 21"),
        ({"a": {"12.txt": stay(12, "00:10,HR,80\n00:20,SpO2,97\n")}}, r"12\.txt: parameter 'SpO2' where one of the 37"),
        ({"a": {"12.txt": stay(12, "00:10,hr,80\n")}}, r"12\.txt: parameter 'hr'"),
        ({"c": {"31.txt": stay(31, "48:01,HR,80\n")}}, r"31\.txt: time '48:01' where a time from 00:00 to 48:00"),
        ({"c": {"31.txt": stay(31, "1:01,HR,80\n")}}, r"31\.txt: time '1:01'"),
        ({"c": {"31.txt": stay(31, "00:60,HR,80\n")}}, r"31\.txt: time '00:60'"),
        ({"c": {"31.txt": stay(31, ",HR,80\n")}}, r"31\.txt: time ''"),
        ({"c": {"31.txt": stay(31, "00:10,HR,\n")}}, r"31\.txt, line 8: '00:10,HR,' is no Time,Parameter,Value"),
        ({"c": {"31.txt": stay(31, "00:10,HR,80\n00:20,HR,8o\n")}}, r"31\.txt, line 9: '00:20,HR,8o'"),
        ({"c": {"31.txt": stay(31, "00:10,HR,nan\n")}}, r"line 8: '00:10,HR,nan'"),
        ({"c": {"31.txt": stay(31, "00:10,HR,inf\n")}}, r"line 8: '00:10,HR,inf'"),
        ({"c": {"31.txt": stay(31, "00:10,HR\n")}}, r"line 8: '00:10,HR' is"),
        ({"c": {"31.txt": stay(31, "00:10,HR,80,1\n")}}, r"line 8: '00:10,HR,80,1' is"),
        ({"c": {"31.txt": stay(31, "00:10,HR\n00:20,HR,80,1\n")}}, r"line 8: '00:10,HR' is"),
        ({"c": {"31.txt": stay(31, "\n00:10,HR,80\n")}}, r"line 8: '' is"),
        ({"a": {"11.txt": stay(11, '00:10,"HR,80\n00:20,HR",80\n')}}, r"""parameter '"HR'"""),
        ({"a": {"11.txt": stay(11, "00:10,HR,80\n00:1")}}, r"line 9: '00:1' is"),
    ],
)
def test_a_bad_set(tmp_path, changes, words):
    assert re.search(words, refusal(write(tmp_path, changes)))


@pytest.mark.parametrize("at", range(3))
def test_a_row_of_four_fields_is_noticed_where_ever_it_stands(tmp_path, at):
    """Four fields in the first row of all would make a parser take the first one of every row for an index."""
    lines = stay(11, "00:10,HR,80\n").splitlines()
    lines[1 + at] += ",1"
    assert f"line {2 + at}: " in refusal(write(tmp_path, {"a": {"11.txt": "\n".join(lines) + "\n"}}))


def test_every_row_of_every_stay_has_four_fields(tmp_path):
    changes = {
        name: {
            f"{record}.txt": stay(record, rows).replace("\n", ",1\n").replace("Value,1", "Value")
            for record, (_, rows) in stays.items()
        }
        for name, stays in SETS.items()
    }
    assert "11.txt, line 2: '00:00,RecordID,11,1' is" in refusal(write(tmp_path, changes))


def test_bytes_that_are_no_text(tmp_path):
    folder = write(tmp_path, packed=False)
    (folder / "set-a" / "11.txt").write_bytes(stay(11, "").encode() + b"00:10,H\xff\xfe,80\n")
    assert "11.txt: parameter 'H" in refusal(folder)


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        (HEADER + "11,6,1,5,-1,2\n12,6,1,5,-1,0\n", "line 2: RecordID '11' and In-hospital_death '2' where"),
        (HEADER + "11,6,1,5,-1,0\n12,6,1,5,-1,\n", "line 3: RecordID '12' and In-hospital_death ''"),
        (HEADER + "11,6,1,5,-1,0\n12,6\n", "line 3: 2 columns where 6 are"),
        (HEADER + "x,6,1,5,-1,0\n12,6,1,5,-1,0\n", "line 2: RecordID 'x'"),
        (HEADER + "11,6,1,5,-1,0\n11,6,1,5,-1,0\n", "line 3: 11 is there twice"),
        (HEADER + f"{10**20},6,1,5,-1,0\n12,6,1,5,-1,0\n", "line 2: RecordID '100000000000000000000'"),
        (HEADER + "11,6,1,5,-1,0\n", "no outcome of 1 stays, the first is 12"),
        (HEADER, "no outcome of 2 stays, the first is 11"),
        ("RecordID,Survival\n11,1\n", "no column In-hospital_death; the columns are"),
        ("\n", "no column RecordID, In-hospital_death"),
        (HEADER.replace("SOFA", "RecordID"), "two columns RecordID; the columns are RecordID,SAPS-I,RecordID"),
        (HEADER + "11,6,1,5,-1,0,1\n12,6,1,5,-1,0\n", "line 2: 7 columns where 6 are"),
        (HEADER + "21,6,1,5,-1,0\n", "stay 21 is in the outcomes of two sets"),
    ],
)
def test_bad_outcomes(tmp_path, outcomes, words):
    assert words in refusal(write(tmp_path, outcomes={"a": outcomes}))


@pytest.mark.parametrize("name", ["Outcomes-b.txt", "set-b.tar.gz"])
def test_a_folder_or_a_link_in_place_of_a_file(tmp_path, name):
    path = write(tmp_path) / name
    path.unlink()
    (path / "inside").mkdir(parents=True)
    assert f"{path} is a folder where a file is expected" in refusal(tmp_path)
    (path / "inside").rmdir()
    path.rmdir()
    path.symlink_to(name)
    assert f"{path} is a link that leads nowhere" in refusal(tmp_path)
    path.unlink()
    path.symlink_to("/proc/self/mem")  # as of a file without permission, which root could read
    assert f"{path} cannot be read (" in refusal(tmp_path)


def test_two_archives_of_a_set(tmp_path):
    path = write(tmp_path) / "set-a.tar.gz"
    path.with_name("set-a.tgz").write_bytes(path.read_bytes())
    assert "holds set-a.tar.gz and set-a.tgz; take one out" in refusal(tmp_path)


# ---------------------------------------------------------------------------------------------------- the real set


@pytest.fixture(scope="module")
def embedded():
    return read(EMBEDDED)


def test_ledger_of_the_embedded_set(embedded):
    ledger = {row["step"]: row for row in embedded.ledger.rows}
    for name, deaths in {"a": 554, "b": 568, "c": 585}.items():
        row = ledger[f"stays of set {name}, {cinc2012.SETS[name]} part"]
        assert (row["records"], row["deaths"]) == (4000, deaths)
    assert ledger["rows without the name of a parameter removed"]["rows"] == -2403
    assert ledger["static descriptors, not used (RecordID, Age, Gender, Height, ICUType)"]["rows"] == -5 * 12_000
    assert embedded.series.shape == (12_000 * 48, 37) and len(np.unique(embedded.subject)) == 12_000
    assert np.bincount(embedded.label).tolist() == [12_000 - 1707, 1707]


def test_hours_of_the_embedded_set_beside_a_slow_computation(embedded):
    """Twelve stays by pandas, one by one."""
    limits = {v["name"]: (float(v["low"]), float(v["high"])) for v in cinc2012.VARIABLES}
    wanted = {int(s) for s in embedded.subject[::1000]}
    seen = 0
    for name in cinc2012.SETS:
        path = EMBEDDED / f"set-{name}.tar.xz"
        for member, content in archives.walk(path, lambda m: m.endswith(".txt") and int(Path(m).stem) in wanted):
            rows = pd.read_csv(io.BytesIO(content))
            rows = rows[rows.Parameter.isin(limits) & (rows.Time != "48:00")]
            low, high = rows.Parameter.map(lambda p: limits[p][0]), rows.Parameter.map(lambda p: limits[p][1])
            rows = rows[rows.Value.ge(low) & rows.Value.le(high)]  # -1 is below every limit
            hourly = rows.groupby([rows.Time.str[:2].astype(int), "Parameter"]).Value.mean().unstack()
            hourly = hourly.reindex(index=range(48), columns=CHANNELS).ffill()
            hourly["MechVent"] = hourly.MechVent.fillna(0)
            at = int(np.flatnonzero(embedded.subject == int(Path(member).stem))[0])
            np.testing.assert_allclose(embedded.series[48 * at : 48 * at + 48], hourly.to_numpy(), rtol=1e-6)
            seen += 1
    assert seen == len(wanted) == 12


def test_values_are_those_of_patients(embedded):
    middle = {CHANNELS[d]: np.nanmedian(embedded.series[:, d]) for d in range(37)}
    assert 80 < middle["HR"] < 90 and 36.5 < middle["Temp"] < 37.5 and 7.3 < middle["pH"] < 7.5
    assert 110 < middle["NISysABP"] < 125 and middle["NISysABP"] > middle["NIMAP"] > middle["NIDiasABP"]


@pytest.mark.real("cinc2012")
def test_what_is_packed_again_is_what_is_at_hand(real_root, embedded):
    r = read(real_root / "cinc2012")
    assert np.array_equal(r.series, embedded.series, equal_nan=True) and r.ledger.rows == embedded.ledger.rows
    assert np.array_equal(r.subject, embedded.subject) and np.array_equal(r.label, embedded.label)


def test_outcomes_have_the_published_sums_and_sizes():
    for file in cinc2012.SOURCE.files:
        if (path := EMBEDDED / file.name).exists():
            assert path.stat().st_size == file.size
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256
    assert sum(f.name.startswith("Outcomes") for f in cinc2012.SOURCE.files) == 3 == len(list(EMBEDDED.glob("Out*")))


@pytest.mark.parametrize("dataset", ["cinc2012", "brugada"])
def test_readme_lists_the_sums_of_what_lies_beside_it(dataset):
    folder = ROOT / "data/open" / dataset
    listed = re.findall(r"^\| `(\S+)` \| ([\d,]+) \| `([0-9a-f]{64})` \|$", (folder / "README.md").read_text(), re.M)
    there = sorted(path for path in folder.iterdir() if path.name != "README.md")
    assert listed == [(p.name, f"{p.stat().st_size:,}", hashlib.sha256(p.read_bytes()).hexdigest()) for p in there]


def test_packing_keeps_the_files_and_depends_on_nothing_else(tmp_path):
    """Other order, times and kind of archive; the packed one is the same, byte by byte, and reads the same."""
    pack = runpy.run_path(str(ROOT / "data/open/pack.py"))["pack"]
    packed, plain = write(tmp_path / "packed"), write(tmp_path / "plain", packed=False)
    made = []
    for raw in (packed, plain):
        target = tmp_path / f"of {raw.name}.tar.xz"
        pack(archives.find(raw, "set-a"), target, cinc2012.IS_STAY, "set-a/{}.txt", [{"id": 0x21, "preset": 0}])
        made.append(target.read_bytes())
    assert made[0] == made[1]
    expected = [(f"set-a/{record}.txt", stay(record, rows).encode()) for record, (_, rows) in SETS["a"].items()]
    assert list(archives.walk(target, lambda name: True)) == expected
