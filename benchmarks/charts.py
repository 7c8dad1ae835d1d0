"""Memory and seconds of reading MIMIC-III tables of 0.5, 2 and 8 GB, .csv and .csv.gz, and what 33 GB would take.

    python benchmarks/charts.py [folder for 10 GB of tables]

CHARTEVENTS of the real set is mostly what the reader does not want: other items, other stays. So a simulated set with
as many chosen stays a gigabyte as the real one is filled up with copies of its rows under other items and other stays.
Each set is read by `data.load` in a fresh process (see readers.py), the smallest also by pandas. How much memory the
chosen stays need is measured on a simulated set with as many of them as the real one, unfilled. Writes charts.json.
Seconds of a core (cpu_seconds) are less disturbed by whatever else the machine does than the others.
"""

import gzip
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import readers

from rdpd_nb import simulate
from rdpd_nb.data import mimic3
from rdpd_nb.files import replace_file

SIZES = (0.5, 2.0, 8.0)  # GB of CHARTEVENTS
FULL = 33.0  # GB, v1.4
EVERY = 8  # of so many copies one has other stays, the rest other items
ROWS = 20_000  # in a stretch that is copied: too long for gzip to find it again


def write(folder: Path, gigabytes: float) -> None:
    """Write a simulated MIMIC-III with a CHARTEVENTS.csv of this size into the empty folder."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.csv as csv

    simulate.write("mimic3", folder, gigabytes / FULL)
    path = folder / "CHARTEVENTS.csv"
    names = path.open().readline().strip().replace('"', "").split(",")
    texts = csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()))
    table = csv.read_csv(path, convert_options=texts)
    copies = round(gigabytes * 1e9 / path.stat().st_size) - 1
    with csv.CSVWriter(path, table.schema, write_options=csv.WriteOptions(quoting_style="none")) as writer:
        for batch in table.to_batches(ROWS):
            writer.write_batch(batch)
            for copy in range(copies):
                changed = names.index("ICUSTAY_ID" if copy % EVERY == 0 else "ITEMID")
                numbers = pc.binary_join_element_wise(batch.column(changed), str(copy), "")  # 211 -> 21117
                writer.write_batch(batch.set_column(changed, names[changed], numbers))


def pack(folder: Path) -> None:
    """CHARTEVENTS.csv -> CHARTEVENTS.csv.gz"""
    path = folder / "CHARTEVENTS.csv"
    with path.open("rb") as plain, gzip.open(f"{path}.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed, 1 << 20)
    path.unlink()


def measured(root: Path, kind: str, memory: str = mimic3.MEMORY) -> dict:
    os.environ["RDPD_MEMORY"] = memory
    path = next((root / "mimic3").glob("CHARTEVENTS*"))
    row = {"memory": memory, "file_mb": path.stat().st_size / 1e6, **readers.read_afresh("mimic3", root)}
    print(
        f"{kind:24s} {row['file_mb']:8.0f} MB {row['seconds']:7.1f} s ({row['cpu_seconds']:6.1f} s of a core)"
        f" {row['peak_mb']:6.0f} MB of memory {row['windows']:7,d} stays",
        flush=True,
    )
    return row


def equals_pandas(folder: Path) -> bool:
    """Whether the reader gives what an independent computation in pandas does; AssertionError where not."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from test_mimic3 import assert_equal_in_pandas

    assert_equal_in_pandas(folder)
    return True


def at_full_size(rows: list[dict], value: str) -> float:
    """On the line through what was measured, by least squares."""
    fitted = statistics.linear_regression([row["gb"] for row in rows], [row[value] for row in rows])
    return fitted.intercept + FULL * fitted.slope


def main(within: Path) -> None:
    rows, equal = {"csv": [], "csv.gz": []}, False
    for gigabytes in (0, *SIZES):  # 0: only the chosen stays, as many as in the real set
        root = Path(tempfile.mkdtemp(dir=within, prefix="rdpd-charts-"))
        folder = root / "mimic3"
        folder.mkdir()
        try:
            if not gigabytes:
                simulate.write("mimic3", folder, 1.0)
                stays = [measured(root, f"all chosen stays, {memory}", memory) for memory in (mimic3.MEMORY, "50MB")]
                continue
            write(folder, gigabytes)
            rows["csv"].append({"gb": gigabytes, **measured(root, f"{gigabytes:g} GB .csv")})
            equal = equal or equals_pandas(folder)
            pack(folder)
            rows["csv.gz"].append({"gb": gigabytes, **measured(root, f"{gigabytes:g} GB .csv.gz")})
        finally:
            shutil.rmtree(root)
    projected = {}
    for kind, of_kind in rows.items():
        projected[kind] = {value: at_full_size(of_kind, value) for value in ("seconds", "cpu_seconds")}
        projected[kind]["power"] = readers.slope([{"mb": row["gb"], "seconds": row["cpu_seconds"]} for row in of_kind])
        print(
            "projected, {:g} GB .{}: {seconds:.0f} s ({cpu_seconds:.0f} s of a core, which grow as size to "
            "the power {power:.2f})".format(FULL, kind, **projected[kind])
        )
    result = {"rows": rows, "all_chosen_stays": stays, "equals_pandas": equal, f"projected_{FULL:g}_gb": projected}
    with replace_file(Path(__file__).with_suffix(".json")) as path:
        path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if sys.argv[1:] else tempfile.gettempdir()))
