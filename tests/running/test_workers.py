"""Worker processes: one that dies fails its own job, and all end with their parent."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import bench
from bench.datasets.store import Store
from bench.running import run as running
from bench.running.plan import make_plan
from bench.store import code

WORDS = ["--preset", "smoke", "--seeds", "0", "--scenarios", "clean"]
METHOD = '''
"""A method made for a test."""
import ctypes, os, signal, sys, time
from pathlib import Path
from bench.methods.linear import Linear

class {title}(Linear):
    """It {name}."""
    name, source = "{name}", "here"
    def fit(self, *args, **given):
        {body}
        return super().fit(*args, **given)
'''
DEATHS = {
    "exits": "os._exit(1)",
    "crashes": "ctypes.string_at(0)",
    "is_killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


def write_method(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(METHOD.format(title=name.title().replace("_", ""), name=name, body=body))
    return path


def start(methods: str, results: Path, plugins: Path, *words: str) -> subprocess.Popen:
    environment = {
        **os.environ, "OMP_NUM_THREADS": "1", "BENCH_PLUGINS": str(plugins),
        "PYTHONPATH": str(bench.ROOT),
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "bench", "run", "--methods", methods, *WORDS, *words,
         "--results", str(results)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd=results.parent,
    )  # fmt: skip


def finish(process: subprocess.Popen, code: int) -> str:
    output, _ = process.communicate()
    assert process.returncode == code, output
    return output


def statuses(results: Path) -> dict[str, str]:
    paths = (results / "rows").rglob("*.json")
    records = [json.loads(path.read_text()) for path in paths]
    return {record["method"]: record["status"] for record in records}


@pytest.mark.slow
@pytest.mark.parametrize("death", DEATHS)
def test_a_worker_that_dies_fails_its_job_and_the_others_go_on(tmp_path, death):
    plugins = tmp_path / "plugins"
    write_method(plugins, death, DEATHS[death])
    methods = f"chance,{death},linear,standard"
    for _ in range(2):  # the same command does not die there again
        output = finish(start(methods, tmp_path / "r", plugins, "--jobs", "2"), 1)
        assert "1 failed" in output
    assert statuses(tmp_path / "r") == {
        "chance": "ok", "linear": "ok", "standard": "ok", death: "failed",
    }  # fmt: skip
    (path,) = (tmp_path / "r/rows").rglob(f"{death}-s0.json")
    assert f"the process that ran {death} died" in json.loads(path.read_text())["reason"]


def test_scores_are_computed_with_the_threads_of_the_run_whatever_the_worker_has(tmp_path):
    (job,) = make_plan(
        methods_="chance", datasets_="digits", scenarios="clean", seeds=[0], preset="smoke",
        store=Store.from_environment(),
    )  # fmt: skip
    seen, before = [], torch.get_num_threads()
    scenario = job.scenarios[0]
    measure = scenario.measure

    def measured(*given):
        seen.append(torch.get_num_threads())
        return measure(*given)

    scenario.measure = measured
    settings = running.Settings(tmp_path, "smoke", torch.device("cpu"), score_threads=before + 1)
    done = running.run_job(job, settings, running._quiet_console())
    assert (done.failed, done.measured) == (0, 1)
    assert seen == [before + 1]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_sys_exit_in_a_method_is_a_failure_and_not_the_end(tmp_path, jobs):
    write_method(tmp_path / "p", "leaves", "sys.exit(0)")
    output = finish(start("leaves,chance", tmp_path / "r", tmp_path / "p", "--jobs", jobs), 1)
    assert "leaves tried to end the process (SystemExit: 0)" in output
    assert statuses(tmp_path / "r") == {"leaves": "failed", "chance": "ok"}


def alive(marker: Path) -> bool:
    before = marker.read_text()
    time.sleep(1)
    return marker.read_text() != before


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("words", [("--jobs", "2"), ("--cluster", "local:2")], ids=" ".join)
def test_workers_end_with_their_parent(tmp_path, number, words):
    marker = tmp_path / "marker"
    body = f"while True: Path({str(marker)!r}).write_text(str(time.time())); time.sleep(0.05)"
    write_method(tmp_path / "p", "goes_on", body)
    process = start("goes_on,chance", tmp_path / "r", tmp_path / "p", *words)
    while not marker.exists():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    process.send_signal(number)
    process.communicate(timeout=60)  # ends when nobody holds the other end of the pipe any more
    assert not alive(marker)


@pytest.mark.slow
def test_source_edited_in_mid_run_is_not_filed_under_the_new_codes_key(tmp_path):
    plugins, results = tmp_path / "p", tmp_path / "r"
    path = write_method(plugins, "edited", "self.lr = 0.0")
    body = f"p = Path({str(path)!r}); p.write_text(p.read_text().replace('0.0', '0.5'))"
    write_method(plugins, "edits", body)
    output = finish(start("edits,edited", results, plugins), 1)
    assert "edited: its source changed during the run (edited.py); run again" in output
    assert statuses(results) == {"edits": "ok", "edited": "failed"}
    assert not list((results / "cache/fits/digits").glob("edited-*.pt"))
    finish(start("edited", results, plugins), 0)
    assert statuses(results)["edited"] == "ok"


def test_a_worker_does_not_file_edited_code_under_the_key_of_the_former(tmp_path, monkeypatch):
    (job,) = make_plan(
        methods_="chance", datasets_="digits", scenarios="clean", seeds=[0], preset="smoke",
        store=Store.from_environment(),
    )  # fmt: skip
    source = bench.HERE / "scenarios" / "clean.py"
    code.code_digest("bench.scenarios.clean")
    edited = {**code.sources(), source: source.read_text().replace("ece", "eee")}
    monkeypatch.setattr(code, "_sources", edited)
    code.code_digest.cache_clear()
    settings = running.Settings(tmp_path, "smoke", torch.device("cpu"))
    done = running._in_worker(job, settings)
    code.code_digest.cache_clear()
    assert done.failed == 1
    (path,) = (tmp_path / "rows").rglob("*.json")
    assert "chance: its source changed during the run (clean.py)" in path.read_text()
    assert not list((tmp_path / "cache").rglob("*.pt"))
