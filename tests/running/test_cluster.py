"""Jobs on a cluster: a worker that dies costs its job, which is run again; others are refused."""

import errno
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import filelock
import pytest
import torch

import bench
from bench.errors import UsageError
from bench.running import cluster
from bench.store import locks
from tests.running.test_workers import finish, start, statuses, write_method

CPU = torch.device("cpu")
COUNTS = """
class Counts(Linear):
    name, source = "counts", "here"
    predict_only = Linear.predict_only | {{"times"}}
    def __init__(self, *, times: int = 1, **inherited):
        super().__init__(**inherited)
        self.times = times
    def fit(self, *args, **given):
        with Path({marker!r}).open("a") as file:
            file.write("x")
        time.sleep(1)
        return super().fit(*args, **given)
"""


def given(**changes) -> cluster.Orders:
    return replace(cluster.orders(["bench.methods.linear"], CPU), **changes)


class Fake:
    """A client whose workers answer what they are told to."""

    def __init__(self, answers, threads=1):
        self.answers, self.threads = answers, threads

    def wait_for_workers(self, n, timeout):
        if not self.answers:
            raise TimeoutError

    def nthreads(self):
        return dict.fromkeys(self.answers, self.threads)

    def run(self, *args, on_error):
        return self.answers


def worker(host="a", gpu="", problem="") -> cluster.Worker:
    return cluster.Worker(host, gpu, problem)


def test_workers_are_counted_by_machine(tmp_path):
    answers = {"1": worker("a"), "2": worker("a"), "3": worker("b")}
    assert cluster._checked(Fake(answers), given(), tmp_path).neighbours == {"a": 2, "b": 1}
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (Fake({}), "the cluster has no worker after 60 s"),
        (Fake({"w": worker()}, threads=2), "worker w runs 2 jobs in one process"),
        (Fake({"w": worker(problem="has no data")}), "worker w has no data"),
        (Fake({"w": ModuleNotFoundError("no bench")}), "worker w has not the code of bench"),
        (Fake({"v": worker(gpu="1"), "w": worker(gpu="1")}), "workers v and w share one GPU"),
    ],
)
def test_workers_that_cannot_be_used_are_refused_in_one_line(client, message, tmp_path):
    with pytest.raises(UsageError, match=message) as caught:
        cluster._checked(client, given(), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_late_worker_with_other_code_is_refused_with_both_versions_named():
    other = "bench at abc (code 123), torch 2.11.0, Python 3.11"
    with pytest.raises(UsageError, match=r"has bench.* \(code \w{16}\).*this run has bench at abc"):
        cluster._work(given(version=other), b"")


def test_the_commit_alone_makes_no_other_version():
    code = "(code 1), torch 2.11.0, Python 3.11"
    assert cluster.same(f"bench at a {code}", f"bench {code}")
    assert not cluster.same(f"bench {code}", f"bench {code}".replace("3.11", "3.12"))
    assert not cluster.same(f"bench {code}", f"bench {code}".replace("code 1", "code 2"))


def test_a_job_is_done_with_the_machines_share_of_threads(monkeypatch):
    monkeypatch.setattr(cluster, "cpu_count", lambda: 8)
    host = cluster.socket.gethostname()
    parcel = cluster.pickle.dumps((_threads, None))
    before = torch.get_num_threads()
    try:
        assert cluster._work(given(neighbours={host: 4}), parcel) == 2
    finally:
        torch.set_num_threads(before)


def _threads(job) -> int:
    return torch.get_num_threads()


def test_without_the_package_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"needs distributed; pip install bench\[cluster\]"):
        next(cluster.on_cluster([1], print, died=print, words="local:1", given=given(),
                                results=tmp_path))  # fmt: skip


@pytest.mark.parametrize(("device", "gpus"), [("cuda", 1), ("cuda:0", 2)])
def test_more_workers_than_gpus_are_refused(device, gpus, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(UsageError, match="local:2 wants a GPU a worker"):
        cluster._local(2, device)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_folder_without_locks_is_refused(number, monkeypatch, tmp_path):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)
    with pytest.raises(UsageError, match="has no locks"), locks.probe(tmp_path):
        pass


def test_a_folder_is_shared_if_its_locks_are(tmp_path):
    say = "from bench.store.locks import *; print(why_not_shared(Path({!r})))"

    def other_process(path) -> str:
        return subprocess.run(
            [sys.executable, "-c", say.format(str(path))],
            capture_output=True, text=True, check=True, cwd=bench.ROOT,
        ).stdout.strip()  # fmt: skip

    with locks.probe(tmp_path) as path:
        assert other_process(path) == ""
        assert "does not see the folder" in other_process(tmp_path / "other" / path.name)
    with filelock.FileLock(tmp_path / "unlocked"):
        pass
    assert "does not see the locks of others" in locks.why_not_shared(tmp_path / "unlocked")


@pytest.mark.slow
def test_a_job_whose_worker_is_killed_is_run_again_and_no_model_is_trained_twice(tmp_path):
    killed, counted = tmp_path / "killed", tmp_path / "counted"
    body = f"p = Path({str(killed)!r}); p.open('a').write('x')\n"
    body += "        if p.read_text() == 'x': os.kill(os.getpid(), signal.SIGKILL)"
    path = write_method(tmp_path / "p", "killed_once", body)
    text = path.read_text().partition("class")[0] + COUNTS.format(marker=str(counted))
    (tmp_path / "p" / "counts.py").write_text(text)
    methods = "chance,killed_once,counts:times=1,2,3,linear"
    words = ["--cluster", "local:2"]
    output = finish(start(methods, tmp_path / "r", tmp_path / "p", *words), 0)
    assert "6 scenarios measured, 0 failed" in output
    assert set(statuses(tmp_path / "r").values()) == {"ok"}
    assert killed.read_text() == "xx"
    assert counted.read_text() == "x"
    assert "0 scenarios measured" in finish(
        start(methods, tmp_path / "r", tmp_path / "p", *words), 0
    )


@pytest.mark.slow
def test_a_job_that_ends_every_worker_fails_and_the_others_go_on(tmp_path):
    write_method(tmp_path / "p", "exits", "os._exit(1)")
    words = ["--cluster", "local:2"]
    output = finish(start("chance,exits,linear", tmp_path / "r", tmp_path / "p", *words), 1)
    assert "the process that ran exits died" in output
    assert statuses(tmp_path / "r") == {"chance": "ok", "linear": "ok", "exits": "failed"}


@contextmanager
def foreign(folder, code, *words):
    """A scheduler with one worker that runs the code of another folder; yields its file."""
    file = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    environment = {**os.environ, "PYTHONPATH": str(code)}
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    commands = [scheduler, ["worker", "--no-nanny", *words]]
    with ExitStack() as running:
        for command in commands:
            process = running.enter_context(subprocess.Popen(
                [sys.executable, "-m", "dask", *command, "--scheduler-file", str(file)],
                env=environment, **quiet,
            ))  # fmt: skip
            running.callback(process.terminate)
        while not (file.exists() and file.read_text().endswith("}")):  # it is being written
            assert process.poll() is None
        yield json.loads(file.read_text())["address"]


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused(tmp_path):
    code = tmp_path / "code"
    for room in ("bench", "methods", "datasets"):
        shutil.copytree(bench.ROOT / room, code / room)
    source = code / "methods" / "chance.py"
    source.write_text(source.read_text() + "\nEDITED = True\n")
    plugins = write_method(tmp_path / "p", "other", "pass")
    with foreign(tmp_path, code, "--nthreads", "1") as address:
        for methods, end in (("chance", 2), ("linear", 0)):  # `linear` is the same code
            process = start(methods, tmp_path / "r", plugins, "--cluster", address)
            output = finish(process, end)
            assert ("and this run has bench" in output) == bool(end)


@pytest.mark.slow
def test_an_unreachable_cluster_is_one_line(tmp_path):
    plugins = write_method(tmp_path / "p", "other", "pass")
    process = start("chance", tmp_path / "r", plugins, "--cluster", "tcp://127.0.0.1:9", "-q")
    assert "no cluster answers at tcp://127.0.0.1:9 within 10 s" in finish(process, 2)
