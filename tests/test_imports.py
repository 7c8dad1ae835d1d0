"""Light to import: data bring no parser, the method brings PyTorch and what counts, and neither brings a plot."""

import subprocess
import sys

import pytest

HEAVY = {"duckdb", "wfdb", "pyarrow", "pandas", "matplotlib", "seaborn", "IPython", "papermill", "snakemake", "yaml"}
METHOD = ("models", "losses", "draws", "knowledge", "training", "evaluation", "engine", "paper", "data.windows")


def imported_by(*modules: str) -> set[str]:
    """Top-level packages that a fresh Python holds after these imports."""
    code = f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_data_bring_no_parser_and_no_model():
    found = imported_by("rdpd_nb.data", "rdpd_nb.data.download")
    assert found & (HEAVY | {"torch", "scipy", "sklearn"}) == set()


def test_the_method_brings_no_parser_and_no_plot():
    found = imported_by(*(f"rdpd_nb.{name}" for name in METHOD))
    assert "torch" in found and found & HEAVY == set()


@pytest.mark.parametrize("module", ["rdpd_nb", "rdpd_nb.stamps", "rdpd_nb.run"])
def test_what_everything_begins_with_is_lighter_still(module):
    assert imported_by(module) & (HEAVY | {"torch", "scipy", "sklearn"}) == set()
