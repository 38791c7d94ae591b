"""Slow: runs killed at random moments lose nothing, double nothing and leave nothing by halves.

A run is `bench run` in a fork of this process, which has made one such run itself and so imported
all of it: a kill costs a fraction of a second. ``BENCH_FUZZ_KILLS`` is the number of kills (default
40), shared by the kinds below; a few are made with workers that are started afresh, as users have
them. ``BENCH_FUZZ_SEED`` chooses the moments.
"""

import contextlib
import hashlib
import itertools
import json
import multiprocessing
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import bench
import bench.commands.summary
import bench.commands.verify
import bench.report.figures
import bench.running.run
from bench.cli import main
from bench.datasets.store import Store
from bench.running import run as running
from bench.running.plan import Job, make_plan

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(6 * 3600)]
DRAW = random.Random(int(os.environ.get("BENCH_FUZZ_SEED", "0")))
KILLS = int(os.environ.get("BENCH_FUZZ_KILLS", "40"))
METHODS, SCENARIOS = "chance,linear,standard,ensemble", "clean,corruption"
WORDS = ["run", "--methods", METHODS, "--scenarios", SCENARIOS, "--preset", "smoke", "--seeds", "0",
         "-q"]  # fmt: skip
DAY = 24 * 3600
PATIENCE = 3600  # seconds in which a run's processes must have ended, however busy the machine is


def words(folder: Path, jobs: int) -> list[str]:
    place = ["--results", str(folder / "results"), "--data", str(folder / "data")]
    return [*WORDS, *place, "--jobs", str(jobs)]


def planned() -> list[Job]:
    return make_plan(
        methods_=METHODS, datasets_="digits", scenarios=SCENARIOS, seeds=[0], preset="smoke",
        store=Store.from_environment(),
    )  # fmt: skip


@dataclass
class Process:
    """A run, and the reading end of a pipe that all its processes write to."""

    pid: int
    output: int

    def children(self) -> list[int]:
        """Return the worker processes it has at this moment."""
        found: list[int] = []
        with contextlib.suppress(OSError):  # it has ended
            for thread in Path(f"/proc/{self.pid}/task").iterdir():
                found += map(int, (thread / "children").read_text().split())
        return found

    def ended_by(self, seconds: float) -> bool:
        """Wait until it and its workers have computed so long; return whether they ended before.

        Seconds of computing, because those of a clock are too short on a machine that is busy.
        """
        start = self._computed() if self.children() else 0.0
        while self._computed() - start < seconds:
            if self.ended_within(0.01):
                return True
        return False

    def _computed(self) -> float:
        ticks = 0
        for pid in (self.pid, *self.children()):
            with contextlib.suppress(OSError):  # it has ended
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().split()[13:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def ended_within(self, seconds: float) -> bool:
        """Wait for it and all its workers to end: then nobody holds the pipe."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if select.select([self.output], [], [], left)[0] and not self._read():
                return True
        return False

    def _read(self) -> bytes:
        self.text = getattr(self, "text", b"") + (part := os.read(self.output, 1 << 16))
        return part

    def finish(self) -> int:
        """Return its exit code once all its processes have ended."""
        assert self.ended_within(PATIENCE), "a process outlives its run"
        os.close(self.output)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def forked(folder: Path, jobs: int = 1, dies_at: int = 0) -> Process:
    """Start a run in a fork of this process; its workers are forks as well.

    It kills itself in the middle of its write number ``dies_at``.
    """
    reading, writing = os.pipe()
    if child := os.fork():
        os.close(writing)
        return Process(child, reading)
    status = 1
    try:
        os.close(reading)
        sys.stdout = sys.stderr = open(writing, "w", buffering=1, closefd=False)  # noqa: SIM115
        fork = multiprocessing.get_context("fork")
        multiprocessing.get_context = lambda method=None: fork
        os.environ["LOKY_MAX_CPU_COUNT"] = "1"  # figures are drawn here, and not by others
        if dies_at:
            die_in_a_write(dies_at)
        main(words(folder, jobs), standalone_mode=False)
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def die_in_a_write(number: int) -> None:
    """Kill this process in its n-th write: with half of a file written, or before a rename."""
    writes = itertools.count(1)

    def dying(place: object, name: str, half: Callable[..., object]) -> None:
        original = getattr(place, name)

        def write(*args, **given):
            if next(writes) == number:
                half(*args)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **given)

        setattr(place, name, write)

    whole = Path.write_bytes
    dying(Path, "write_bytes", lambda path, content: whole(path, content[: len(content) // 2]))
    dying(Path, "replace", lambda *_: None)
    dying(np, "save", lambda file, array: file.write(array.tobytes()[: array.nbytes // 2]))


def started(folder: Path, jobs: int) -> Process:
    """Start a run as users do, in a new Python, whose workers are new Pythons as well."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *words(folder, jobs)], cwd=bench.ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=writing, stderr=writing,
    )  # fmt: skip
    process.returncode = 0  # waited for by number
    os.close(writing)
    return Process(process.pid, reading)


@cache
def digest(path: Path, time: int) -> str:
    """Return the checksum of a file that was changed at that time."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entries(folder: Path) -> dict[str, tuple[str, int]]:
    """Return checksum and time of every complete entry of the cache; each must be sound."""
    known = {}
    for path in (folder / "results" / "cache").rglob("[!.]*.json"):
        tensors = path.with_suffix(".pt")
        time = tensors.stat().st_mtime_ns
        assert json.loads(path.read_text())["sha256"] == digest(tensors, time), path
        known[str(path.relative_to(folder))] = digest(tensors, time), time
    return known


def made(folder: Path) -> dict[str, object]:
    """Return rows, curves and derived arrays by the names of their files.

    Each must be whole, and each record have come to a good end.
    """
    known: dict[str, object] = {}
    for path in (folder / "results" / "rows").rglob("[!.]*.json"):
        record = json.loads(path.read_text())
        assert record["status"] == "ok", (path, record["reason"])
        known[str(path.relative_to(folder))] = record["rows"]
    for path in (folder / "results" / "curves").rglob("[!.]*.json"):
        known[str(path.relative_to(folder))] = json.loads(path.read_text())
    for path in (folder / "data" / "derived").rglob("*.npy"):
        if not path.parent.name.startswith("."):
            known[str(path.relative_to(folder))] = digest(path, path.stat().st_mtime_ns)
    return known


def drafts(folder: Path) -> list[Path]:
    return [*folder.rglob(".draft-*"), *folder.rglob("*.damaged")]


@dataclass(frozen=True)
class Whole:
    """What a run that nobody disturbed makes."""

    files: dict[str, object]
    entries: Collection[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOKY_MAX_CPU_COUNT", "1")  # figures are drawn here, and not by others
        done = CliRunner().invoke(main, words(folder, jobs=1))
    assert done.exit_code == 0, done.output
    running._fitter.cache_clear()
    running._read_code(planned())  # its forks have the digests then
    files = made(folder)
    # rows and curves; fifteen corruptions, the digits and their cuts
    assert [sum(name.endswith(e) for name in files) for e in (".json", ".npy")] == [16, 19]
    return Whole(files, entries(folder).keys())


@dataclass
class Kind:
    """Runs of one kind, and which process is killed after how many computed seconds or writes."""

    name: str
    start: Callable[[Path, int], Process]
    jobs: int
    target: str  # "run"; "worker", some time after there are any; "write", in the middle of one
    kills: int
    mean: float


KINDS = [
    Kind("one process", forked, 1, "run", KILLS * 7 // 20, 0.15),
    Kind("in the middle of a write", forked, 1, "write", KILLS * 6 // 20, 8.0),
    Kind("two workers", forked, 2, "run", KILLS * 7 // 20, 0.15),
    Kind("one of two workers", forked, 2, "worker", KILLS // 40, 0.2),
    Kind("two new workers", started, 2, "run", KILLS // 40, 8.0),
    Kind("one of two new workers", started, 2, "worker", KILLS // 40, 5.0),
]


def check_kept(folder: Path, whole: Whole, before: dict) -> dict:
    """Check what a killed run left, and return the entries of its cache.

    What was kept before is there, and was not made again; whatever is there is right.
    """
    now = entries(folder)
    assert before.items() <= now.items()
    for name, content in made(folder).items():
        assert content == whole.files[name], name
    return now


def check_end(folder: Path, whole: Whole) -> None:
    """Check what a run that came to its end left, and that the next run finds all of it."""
    assert made(folder) == whole.files
    assert entries(folder).keys() == whole.entries
    results = folder / "results"
    for name in ("README.md", "leaderboard.html"):
        assert (results / name).stat().st_size > 1000
    for path in drafts(folder):
        os.utime(path, (time.time() - 2 * DAY,) * 2)
        for inner in path.iterdir() if path.is_dir() else ():
            os.utime(inner, (time.time() - 2 * DAY,) * 2)
    before = entries(folder)
    again = forked(folder)
    assert again.finish() == 0
    assert b"0 scenarios measured, 0 failed" in again.text
    assert entries(folder) == before
    assert drafts(results) == []


def attempt(folder: Path, kind: Kind) -> tuple[bool, bool]:
    """Run, kill a process at a random moment; return whether one was, and whether the run ended."""
    if kind.target == "write":
        run = forked(folder, dies_at=1 + int(DRAW.expovariate(1 / kind.mean)))
        code = run.finish()
        assert code in (0, -signal.SIGKILL), run.text.decode()
        return code != 0, code == 0
    run = kind.start(folder, kind.jobs)
    while kind.target == "worker" and not run.children() and not run.ended_within(0.01):
        pass  # it has no workers yet
    ended = run.ended_by(DRAW.expovariate(1 / kind.mean))
    victims = [] if ended else run.children() if kind.target == "worker" else [run.pid]
    if victims:
        with contextlib.suppress(ProcessLookupError):
            os.kill(DRAW.choice(victims), signal.SIGKILL)
    code, of_run = run.finish(), bool(victims) and kind.target == "run"
    assert code == 0 or (of_run and code == -signal.SIGKILL), run.text.decode()
    if of_run and code == 0:  # the signal came when it had ended and was not yet waited for
        return False, True
    return bool(victims), code == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_killed_runs_lose_double_and_halve_nothing(whole, tmp_path, kind, capsys):
    total = ends = 0
    while total < kind.kills:
        folder, before, ended, kills = tmp_path / f"run-{ends}", {}, False, 0
        while not ended:
            killed, ended = attempt(folder, kind)
            kills += killed
            before = check_kept(folder, whole, before)
        left = len(drafts(folder))
        check_end(folder, whole)
        with capsys.disabled():  # now, so that a session that is cut short has its count
            print(f"\n{kind.name}: {kills} kills until a run ended, {left} drafts left", end="")
        total, ends = total + kills, ends + 1
        shutil.rmtree(folder)
