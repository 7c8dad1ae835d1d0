"""What all tests share: folders of their own, the simulated raw files, the real ones where they are there."""

import os
from pathlib import Path

import pytest

from rdpd_nb import simulate

REPOSITORY = Path(__file__).resolve().parents[1]
RAW = REPOSITORY / (os.environ.get("RDPD_RAW") or "../shared/data")
# A file or folder that is there only if a real data set is.
SIGN = {
    "pamap2": "Protocol/subject101.dat",
    "ptbdb": "patient001/s0010_re.hea",
    "mimic3": "CHARTEVENTS.csv.gz",
    "uci_har": "UCI HAR Dataset/train",
    "dsads": "daily+and+sports+activities.zip",
    "cinc2012": "set-a.tar.gz",
    "brugada": "metadata.csv",
    "hapt": "HAPT Data Set.zip",
}


@pytest.fixture(scope="session", autouse=True)
def data_home(tmp_path_factory):
    """$RDPD_DATA and $RDPD_RESULTS in temporary folders, $RDPD_RAW unset: no test touches the repository's own."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RDPD_DATA", str(home / "data"))
        patch.setenv("RDPD_RESULTS", str(home / "results"))
        patch.delenv("RDPD_RAW", raising=False)
        yield home / "data"


@pytest.fixture(scope="session")
def simulated(data_home):
    """Raw folder of each data set with a simulator, at scale 0, by name; where `data.load(..., scale=0.0)` looks.

    Shared by all tests: to be read, not changed.
    """
    folders = {}
    for dataset in simulate.WRITERS:
        folders[dataset] = data_home / "simulated" / f"v{simulate.VERSION}-scale-0" / dataset
        folders[dataset].mkdir(parents=True, exist_ok=True)
        if not any(folders[dataset].iterdir()):  # else a test has had them written already
            simulate.write(dataset, folders[dataset], 0.0)
    return folders


@pytest.fixture
def real_root(request):
    """The folder of the real data sets. A test says which one it needs: `@pytest.mark.real("ptbdb")`."""
    marker = request.node.get_closest_marker("real")
    for dataset in marker.args if marker else ():
        if not (RAW / dataset / SIGN[dataset]).exists():
            pytest.skip(f"no real {dataset} in {RAW}; set RDPD_RAW to a folder that holds it")
    if not RAW.is_dir():
        pytest.skip(f"no real data: {RAW} is not a folder; set RDPD_RAW")
    return RAW


# ----------------------------------------------------------------------------------------- small models and windows


@pytest.fixture(scope="module")
def one_thread():
    """Tensors are tiny in tests: a second thread gains nothing, and waits for long where the cores are busy."""
    from made_up import threads

    with threads(1):
        yield


@pytest.fixture
def poor():
    """Heart rate alone: 240 training windows, so that the second and last batch has 112 rows."""
    from made_up import make_windows

    return make_windows().select("hr")


@pytest.fixture
def double():
    """New models are in double precision, so that rounding, which Adam makes larger, cannot hide a mistake."""
    import torch

    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def poor_double(double):
    import numpy as np
    from made_up import make_windows

    return make_windows(dtype=np.float64).select("hr")
