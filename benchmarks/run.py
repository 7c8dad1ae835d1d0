"""`make bench`: times training and reading; prints tables, writes results.json and results.png beside this file."""

import argparse
import json
import os
import time
from pathlib import Path

import plot
import projection
import readers
import training

from rdpd_nb.files import replace_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="read PAMAP2 at paper size too (1.3 GB, about 2 minutes)")
    full = parser.parse_args().full
    began = time.perf_counter()
    load = os.getloadavg()[0]
    if load > 0.7:  # threads that wait for each other suffer most: the ratios would be wrong, not just the times
        raise SystemExit(
            f"the machine is busy (load {load:.1f}); times and ratios would mean nothing: wait, then try again"
        )
    result = training.benchmark()
    result["projection"] = projection.project(result["rows"])
    result["readers"] = readers.benchmark(full)
    result["load_at_start"] = load
    first = ("machine", "sgemm_gflops", "geometric_means", "readers")
    result = {name: result[name] for name in (*first, *(name for name in result if name not in first))}
    folder = Path(__file__).parent
    with replace_file(folder / "results.json") as path:
        path.write_text(json.dumps(result, indent=1) + "\n")
    plot.save(result, folder / "results.png")
    print(f"\n{(time.perf_counter() - began) / 60:.1f} min; wrote {folder / 'results.json'} and results.png")


if __name__ == "__main__":
    main()
