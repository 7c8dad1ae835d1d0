"""What a model costs, against PyTorch's own count and by hand."""

import pytest
import torch
from made_up_records import simulated_run
from torch.utils.flop_counter import FlopCounterMode

from rdpd_nb import cost, tables
from rdpd_nb.data import SPECS
from rdpd_nb.models import RCNN


@pytest.mark.filterwarnings("ignore:TF32")
@pytest.mark.parametrize("dataset", SPECS)
def test_multiply_adds_are_those_pytorch_counts(dataset):
    spec = SPECS[dataset]
    for view in spec.views:
        counter = FlopCounterMode(display=False)
        with torch.backends.mkldnn.flags(enabled=False), counter:  # oneDNN's LSTM is one operation, not counted
            RCNN(spec, view).eval()(torch.zeros(1, spec.length, len(spec.views[view])))
        assert counter.get_total_flops() == 2 * cost.multiply_adds(spec, view)


def test_multiply_adds_by_hand():
    # One channel, 48 samples in 4 segments of 12, kernel 4, stride 2: 5 outputs of 16 filters; U = 8, 8 classes.
    convolution, lstm, attention, dense = 4 * 5 * 16 * 4, 2 * 4 * 4 * 8 * (16 + 8), 2 * 4 * 16, 16 * 8
    assert cost.multiply_adds(SPECS["mimic3"], "hr") == convolution + lstm + attention + dense


def test_latency_is_in_milliseconds_and_in_evaluation_mode():
    model = RCNN(SPECS["mimic3"], "hr").train()
    assert 0 < cost.latency_ms(model, (48, 1), repeats=3) < 1000 and not model.training


def test_latency_names_the_machine_and_stays_out_of_the_figures(tmp_path):
    run = simulated_run(tmp_path)
    table = tables.latency(run)
    numbers = table.numbers
    assert len(numbers) == 6 and (numbers["latency_ms"] > 0).all() and set(numbers["machine"]) == {cost.machine()}
    assert (run.results_root / "table5_latency.csv").is_file() and not run.figures_folder.exists()
    assert cost.machine() in table.caption
