"""Every test starts from one thread, an empty data folder and no results."""

import os

import pytest
import torch

import bench  # noqa: F401  (puts the clone first on the path)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)  # toy nets are faster on one


@pytest.fixture(autouse=True, scope="session")
def _no_data_of_this_machine(tmp_path_factory):
    os.environ["BENCH_DATA"] = str(tmp_path_factory.mktemp("data"))
    os.environ.pop("BENCH_DATA_EXTRA", None)
