"""How many jobs run side by side where nobody says, and what memory they are refused for."""

import msgspec
import pytest
import torch

from bench.commands import estimate
from bench.commands.experiment import Experiment
from bench.commands.measure import carry_out, plan
from bench.datasets.digits import Digits
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.running import memory
from bench.store import records
from bench.store.files import row_path
from bench.store.schema import Outcome, Record

SEEDS = (0, 1, 2)


@pytest.fixture
def four_cores(monkeypatch, tmp_path):
    """A machine of four cores and much memory on which each fit of `linear` took 100 s."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    monkeypatch.setattr(estimate.memory, "free", lambda: 1e6)
    monkeypatch.setattr(estimate, "timings", lambda settings: {("digits", "linear", ""): 100.0})


def jobs_for(tmp_path, **asked) -> int:
    values = {"methods": "linear", "scenarios": "clean", "preset": "smoke", "seeds": SEEDS}
    experiment = Experiment.of(values | {"results": tmp_path, "device": "cpu"} | asked)
    jobs, settings = plan(experiment)
    return estimate.side_by_side(experiment, jobs, settings, Console(quiet=True)).jobs


@pytest.mark.usefixtures("four_cores")
def test_fits_of_one_thread_run_side_by_side(tmp_path):
    assert jobs_for(tmp_path) == 3
    assert jobs_for(tmp_path, seeds=range(9)) == 4
    assert jobs_for(tmp_path, jobs=2) == 2
    assert jobs_for(tmp_path, seeds=[0]) == 1


@pytest.mark.usefixtures("four_cores")
def test_fits_that_use_all_cores_run_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "SMALL_BATCH", 32)  # digits trains on batches of 64
    assert jobs_for(tmp_path) == 1
    assert jobs_for(tmp_path, methods="chance,ensemble") == 1  # by its prerequisites


@pytest.mark.usefixtures("four_cores")
def test_workers_are_not_started_for_little_work(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate, "timings", lambda settings: {("digits", "linear", ""): 5.0})
    assert jobs_for(tmp_path) == 1
    monkeypatch.setattr(estimate, "timings", lambda settings: {})
    assert jobs_for(tmp_path) == 1


@pytest.mark.usefixtures("four_cores")
def test_no_more_workers_are_started_than_have_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate.memory, "held", lambda: 1000.0)
    monkeypatch.setattr(estimate.memory, "free", lambda: 2500.0)
    assert jobs_for(tmp_path) == 2


def refused(tmp_path, **asked) -> str:
    experiment = Experiment.of({"scenarios": "clean", "results": tmp_path, "device": "cpu"} | asked)
    with pytest.raises(UsageError) as caught:
        carry_out(experiment, *plan(experiment), Console(quiet=True))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "rows").exists()
    return str(caught.value)


def test_more_workers_than_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate.memory, "held", lambda: 1000.0)
    monkeypatch.setattr(estimate.memory, "free", lambda: 2500.0)
    said = "3 workers need 3.0 GB, and 2.5 GB are free"
    assert said in refused(tmp_path, methods="linear", jobs=3)
    assert said in refused(tmp_path, methods="linear", jobs=9)  # of which three have a job
    assert said in refused(tmp_path, methods="linear", cluster="local:3")


def test_more_samples_than_memory_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate.memory, "free", lambda: 2500.0)
    n = len(Digits().test())
    size = f"{2 * 4 * n * 10 * 10**6 / 1e9:.1f} GB"
    said = refused(tmp_path, methods="mc_dropout:samples=1000000")
    assert f"mc_dropout:samples=1000000 needs {size} for its answers" in said


def test_memory_is_estimated_from_the_records_of_this_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(estimate.memory, "free", lambda: 2500.0)
    experiment = Experiment.of(
        {"methods": "linear", "scenarios": "clean", "preset": "smoke", "seeds": [0, 1],
         "results": tmp_path, "jobs": 2}
    )  # fmt: skip
    jobs, settings = plan(experiment)
    assert "never recorded here; 2.5 GB" in estimate.memory_words(jobs, settings)
    for seed, peak in ((5, 800.0), (6, 900.0)):  # the second came later in the same process
        about = {"method": "linear", "dataset": "digits", "scenario": "clean", "seed": seed,
                 "preset": "smoke", "peak_memory": peak}  # fmt: skip
        path = row_path(tmp_path / "rows", "digits", "clean", "linear", seed)
        records.save(path, Outcome("ok"), about)
    assert estimate.memory_words(jobs, settings) == (
        "about 1.6 GB of memory for 2 workers; 2.5 GB are free"
    )


def test_a_record_says_how_much_memory_there_was(tmp_path):
    experiment = Experiment.of(
        {"methods": "chance", "scenarios": "clean", "preset": "smoke", "seeds": [0],
         "results": tmp_path}
    )  # fmt: skip
    carry_out(experiment, *plan(experiment), Console(quiet=True))
    (path,) = (tmp_path / "rows").rglob("*.json")
    record = msgspec.json.decode(path.read_bytes(), type=Record)
    assert 50 < record.peak_memory < 1e5


def test_what_the_system_keeps_of_files_counts_as_free_in_a_container(tmp_path, monkeypatch):
    for name, text in (
        ("LIMIT", "9000000"),
        ("USED", "8000000"),
        ("PARTS", "anon 5\ninactive_file 6000000\n"),
    ):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(memory, name, tmp_path / name)
    assert memory.free() == 7.0
    (tmp_path / "LIMIT").write_text("max\n")
    assert memory.free() > 7.0
