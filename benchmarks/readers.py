"""Seconds and memory of reading raw files, against their size.

Raw sets of growing size are simulated into a temporary folder, untimed. Each is then read by `data.load` in a fresh
process with an empty cache: parsing, cutting, writing the cache and reading it back are all in the time, importing is
not. The files have just been written, so they come from the system's page cache: this times the reader, not the disk.
"""

import importlib
import json
import math
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCALES = {  # of the simulators: 1 is paper-sized; PTBDB's records grow from scale 0.3 on, below that their number does
    "pamap2": (0.05, 0.1, 0.2, 0.4),
    "ptbdb": (0.0, 0.1, 0.29, 0.35),
    "mimic3": (0.2, 0.4, 0.8, 1.6),
    "uci_har": (0.2, 0.4, 0.8, 1.6),
}
FULL = {"pamap2": (1.0,)}  # 1.3 GB, a minute to write
ENOUGH_SECONDS, REPEATS = 2.0, 3  # a short reading is repeated, and the median taken


def peak_mb() -> float:
    """Most memory this process has ever held, in MB.

    ru_maxrss is not it on Linux: a child begins there with what its parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    bytes_a_unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * bytes_a_unit / 1e6


def read_here(dataset: str, raw: str) -> dict:
    """Read one raw set in this process, which should have done nothing before."""
    # Here, not above: the parent needs none of it. The readers import their parsers when they first read.
    for module in ("duckdb", "pandas", "pyarrow.csv", "scipy.signal", "wfdb"):
        importlib.import_module(module)
    from rdpd_nb import data

    imports = peak_mb()
    said: list[str] = []
    began, cpu_began = time.perf_counter(), time.process_time()
    windows = data.load(dataset, source="real", raw=raw, progress=said.append)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    if not any(line.startswith("reading ") for line in said):
        raise SystemExit(f"{dataset}: the windows came from a cache")
    return {
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "windows": len(windows),
        "peak_mb": peak_mb(),
        "imports_mb": imports,
    }


def read_afresh(dataset: str, raw: Path) -> dict:
    """The same in a process of its own, with an empty folder for the cache; median seconds of a few readings."""
    readings = []
    while len(readings) < REPEATS and sum(r["seconds"] for r in readings) < ENOUGH_SECONDS:
        with tempfile.TemporaryDirectory(prefix="rdpd-bench-cache-") as cache:
            done = subprocess.run(
                [sys.executable, __file__, "--read", dataset, str(raw)],
                env={**os.environ, "RDPD_DATA": cache},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
        readings.append(json.loads(done.stdout))
    return readings[0] | {
        **{name: statistics.median(r[name] for r in readings) for name in ("seconds", "cpu_seconds")},
        "peak_mb": max(r["peak_mb"] for r in readings),
    }


def slope(rows: list[dict]) -> float:
    """Of log(seconds) against log(size), by least squares: about 1 where time is linear in size."""
    return statistics.linear_regression([math.log(r["mb"]) for r in rows], [math.log(r["seconds"]) for r in rows]).slope


def benchmark(full: bool = False) -> dict:
    """Measure every reader, say a line a raw set, and return rows and slope by data set."""
    from rdpd_nb import simulate
    from rdpd_nb.data import SPECS, raw_files

    print("\nreading simulated raw files: the whole of data.load with an empty cache, a fresh process each")
    print("data set       scale        MB   seconds      MB/s   peak MB   (imports)   windows", flush=True)
    results = {}
    for dataset, scales in SCALES.items():
        rows = []
        for scale in (*scales, *(FULL.get(dataset, ()) if full else ())):
            raw = Path(tempfile.mkdtemp(prefix="rdpd-bench-raw-"))
            try:
                (raw / dataset).mkdir()
                simulate.write(dataset, raw / dataset, scale)
                mb = sum(path.stat().st_size for path in raw_files(dataset, raw / dataset)) / 1e6
                row = {"scale": scale, "mb": mb, **read_afresh(dataset, raw)}
            finally:
                shutil.rmtree(raw, ignore_errors=True)
            row["mb_per_second"] = mb / row["seconds"]
            rows.append(row)
            print(
                f"{SPECS[dataset].title:12s} {scale:7g} {mb:9.1f} {row['seconds']:9.2f} {row['mb_per_second']:9.0f}"
                f" {row['peak_mb']:9.0f} {row['imports_mb']:11.0f} {row['windows']:9,d}",
                flush=True,
            )
        results[dataset] = {"rows": rows, "slope": slope(rows)}
        print(f"{'':12s} seconds grow as size to the power {results[dataset]['slope']:.2f}", flush=True)
    return results


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        print(json.dumps(read_here(*sys.argv[2:])))
    else:
        benchmark("--full" in sys.argv)
