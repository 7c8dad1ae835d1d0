"""The same numbers again: to the bit on one machine, whatever runs beside a model and trains in its stack; to a
stated tolerance where threads or the instructions of the processor differ. `tests/torture` trains for longer.
"""

import determinism
import pytest

# After three epochs; measured with AVX-512 held against no vector instructions: 2e-6, 1e-8, 6e-8.
TOLERANCE = {"losses": 1e-4, "probability": 1e-5, "knowledge": 1e-5}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """All started at once, so that they are processes beside one another."""
    folder = tmp_path_factory.mktemp("runs")
    asked = {"stack": {}, "alone": {"how": "alone"}, "two threads": {"threads": 2}, "plain": {"capability": "default"}}
    started = {name: determinism.start(folder / f"{name}.npz", **how) for name, how in asked.items()}
    return {name: determinism.result(folder / f"{name}.npz", run) for name, run in started.items()}


def test_a_model_is_the_same_to_the_bit_alone_or_stacked_in_another_process(runs):
    assert set(determinism.apart(runs["stack"], runs["alone"]).values()) == {0.0}


@pytest.mark.parametrize("other", ["two threads", "plain"])
def test_other_threads_and_instructions_change_no_more_than_is_stated(runs, other):
    found = determinism.apart(runs["stack"], runs[other])
    assert all(found[kind] <= most for kind, most in TOLERANCE.items()), found


def test_the_instructions_were_others(runs):
    native, plain = str(runs["stack"]["capability"]), str(runs["plain"]["capability"])
    if native == plain:
        pytest.skip(f"this processor has one set of instructions for PyTorch: {native}")
    assert plain in ("DEFAULT", "NO AVX")
