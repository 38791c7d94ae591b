"""Slow: real processes on real digits at the smoke preset, killed, doubled and extended."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import bench
from bench.store.records import read_all

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WORDS = ["-m", "bench", "run", "--preset", "smoke", "--seeds", "0", "--scenarios", "ood,cost"]
METHODS = ["--methods", "chance,linear,standard,mc_dropout,ensemble,redecnn"]


def start(*words: str, cwd=bench.ROOT, results) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *WORDS, *words, "--results", str(results)],
        cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def contents(folder) -> dict[tuple, list]:
    records, problems = read_all(folder / "rows")
    assert not problems
    places = [(r.scenario, r.method, r.seed) for r in records]
    assert len(set(places)) == len(places)
    return {
        place: r.rows for place, r in zip(places, records, strict=True) if place[0] != "cost"
    }  # seconds differ between runs


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    finish(start(*METHODS, results=folder))
    return contents(folder)


def test_a_run_killed_at_any_moment_continues_to_the_same_rows(whole, tmp_path):
    for seconds in (3, 4, 5, 6, 7):
        process = start(*METHODS, results=tmp_path)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finish(start(*METHODS, results=tmp_path))
    assert contents(tmp_path) == whole
    again = finish(start(*METHODS, results=tmp_path))
    assert "0 scenarios measured, 0 failed" in again


def test_two_runs_at_once_end_well_with_rows_as_from_one(whole, tmp_path):
    both = [start(*METHODS, results=tmp_path) for _ in range(2)]
    for process in both:
        finish(process)
    assert contents(tmp_path) == whole


def test_the_baseline_of_the_contributing_guide_is_one_new_file(tmp_path):
    clone = tmp_path / "clone"
    for room in ("bench", "methods", "datasets"):
        shutil.copytree(bench.ROOT / room, clone / room, ignore=shutil.ignore_patterns("__py*"))
    guide = (bench.ROOT / "CONTRIBUTING.md").read_text()
    code = re.search(r"```python\n(.*?)```", guide, re.S)[1]
    text = "\n".join(line.removeprefix("   ") for line in code.splitlines()) + "\n"
    assert len(text.splitlines()) <= 40
    (clone / "methods" / "label_smoothing.py").write_text(text)

    def say(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "bench", *words], cwd=clone, capture_output=True, text=True,
            check=True,
        ).stdout  # fmt: skip

    assert "label_smoothing" in say("list", "methods")
    assert "FAILED" not in say("check", "label_smoothing")
    finish(start("--methods", "chance,label_smoothing", cwd=clone, results=tmp_path / "r"))
    board = (tmp_path / "r" / "README.md").read_text()
    assert re.search(r"\|.*\d.*\| label\\?_smoothing", board)


def test_the_installed_command_works_from_another_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "bench", "list", "presets"], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(bench.ROOT)}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "laptop" in done.stdout
