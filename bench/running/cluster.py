"""Jobs on the workers of a Dask cluster: one that dies costs its job, which is run again.

Dask's own client is used and not joblib's backend for Dask: there one job that cannot be run ends
the whole call, and nothing comes back before all are done.
"""

from __future__ import annotations

import logging
import os
import pickle
import platform
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from joblib import cpu_count

from bench import plugins
from bench.datasets import outlier_folder
from bench.errors import BenchError, UsageError
from bench.fitting.device import resolve
from bench.store import locks
from bench.store.code import code_digest, commit

if TYPE_CHECKING:
    from distributed import Client, Future

Job = TypeVar("Job")
Done = TypeVar("Done")
PATIENCE = 10.0  # seconds until a scheduler that does not answer is not there
WORKERS_WITHIN = 60.0  # seconds that a cluster may have no worker
KEPT = "; what is done is kept, and the same command again makes the rest"
# Variables that decide what a job is, and where its data lies.
HANDED_ON = (plugins.VARIABLE, outlier_folder.VARIABLE, "BENCH_DATA", "BENCH_DATA_EXTRA")


@dataclass(frozen=True)
class Orders:
    """What a worker is told beside its job: what it must know, and be.

    Args:
        environment: variables that the jobs depend on.
        modules: the modules whose code decides the numbers.
        version: of code, torch and Python where the run was started.
        device: where networks run.
        neighbours: workers on a machine, by its name; they share its cores.
    """

    environment: Mapping[str, str]
    modules: tuple[str, ...]
    version: str
    device: str
    neighbours: Mapping[str, int]


@dataclass(frozen=True)
class Worker:
    """What a worker says of itself; ``problem`` is why it cannot be used, or ""."""

    host: str
    gpu: str
    problem: str


def is_address(words: str) -> bool:
    """Return whether ``--cluster`` names a scheduler, and not workers on this machine."""
    return not words.startswith("local:")


def orders(modules: Iterable[str], device: torch.device) -> Orders:
    """Return what every worker must know and be for jobs of these modules."""
    names = tuple(sorted({*modules, "bench.running"}))
    environment = {name: os.environ.get(name, "") for name in HANDED_ON}
    return Orders(environment, names, version(names), str(device), {})


def version(modules: Sequence[str]) -> str:
    """Return in words all that must be the same where a job is planned and where it runs.

    The commit is named for people; the digest decides, see `same`.
    """
    at = f" at {commit()}" if commit() else ""
    python = ".".join(platform.python_version_tuple()[:2])
    return (
        f"bench{at} (code {code_digest(*modules)}), "
        f"torch {torch.__version__.partition('+')[0]}, Python {python}"
    )


def same(one: str, other: str) -> bool:
    """Return whether two versions are the same but for the commits they stand at."""
    return one.partition("(")[2] == other.partition("(")[2]


def on_cluster(
    jobs: Iterable[Job], work: Callable[[Job], Done], *, died: Callable[[Job], Done], words: str,
    given: Orders, results: Path,
) -> Iterator[Done]:  # fmt: skip
    """Yield what ``work`` makes of each job, in the order in which they end.

    A worker that dies costs its job, which Dask hands to another worker; a job whose workers die
    again and again is left.

    Args:
        jobs: the jobs; handed out in their order, no more at once than there are workers.
        work: called in a worker; a function of a module, or a partial of one.
        died: called here in its place for a job that ended worker after worker.
        words: ``local:N``, or the address of a scheduler.
        given: what every worker must know and be.
        results: a folder that all workers share.

    Raises:
        UsageError: there is no such cluster, or one of its workers cannot be used.
    """
    try:
        from distributed import KilledWorker
    except ImportError:
        raise UsageError("--cluster needs distributed; pip install bench[cluster]") from None

    waiting: deque[Job] = deque(jobs)
    running: dict[Future, Job] = {}
    with _connected(words, given.device) as client:
        given = _checked(client, given, results)
        try:
            while waiting or running:
                while waiting and len(running) < max(1, len(client.nthreads())):
                    parcel = pickle.dumps((work, waiting[0]))
                    running[client.submit(_work, given, parcel, pure=False)] = waiting.popleft()
                for future in _finished(client, running):
                    job = running.pop(future)
                    try:
                        done = future.result()
                    except KilledWorker:
                        done = died(job)
                    yield done
        except BaseException:  # such as Ctrl-C: nobody waits for what the workers are at
            client.cancel([*running])
            raise


@contextmanager
def _connected(words: str, device: str) -> Iterator[Client]:
    """Yield a client of the cluster; workers of this machine are started, and ended with it."""
    from dask import config
    from distributed import Client

    with ExitStack() as closing:
        if is_address(words):
            target: Any = words if "://" in words else f"tcp://{words}"
        else:
            closing.enter_context(config.set({"distributed.scheduler.allowed-failures": 1}))
            target = closing.enter_context(_local(int(words.partition(":")[2]), device))
        try:
            client = Client(target, timeout=PATIENCE)
        except (OSError, ValueError, TimeoutError) as error:
            raise UsageError(
                f"no cluster answers at {words} within {PATIENCE:.0f} s ({_short(error)}); start "
                "one with `dask scheduler`, or use --cluster local:N"
            ) from None
        yield closing.enter_context(client)


def _local(count: int, device: str) -> Any:
    """Return a cluster of ``count`` processes on this machine, on a GPU only one each."""
    from distributed import Nanny, Scheduler, SpecCluster

    gpus = torch.cuda.device_count() if device == "cuda" else count
    if count > gpus or (device.startswith("cuda:") and count > 1):
        raise UsageError(f"local:{count} wants a GPU a worker, and {device} is {max(gpus, 1)}")
    quiet = {"silence_logs": logging.CRITICAL}
    options = {"nthreads": 1, "memory_limit": 0, **quiet}
    alone = [{"CUDA_VISIBLE_DEVICES": str(i)} if device == "cuda" else {} for i in range(count)]
    return SpecCluster(
        {i: {"cls": Nanny, "options": options | {"env": env}} for i, env in enumerate(alone)},
        {"cls": Scheduler, "options": {"dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}},
        **quiet,
    )


def _checked(client: Client, given: Orders, results: Path) -> Orders:
    """Return the orders with the neighbours of each worker.

    Raises:
        UsageError: there is no worker, or one cannot be used; the message names it.
    """
    try:
        client.wait_for_workers(1, timeout=WORKERS_WITHIN)
    except TimeoutError:
        raise UsageError(f"the cluster has no worker after {WORKERS_WITHIN:.0f} s") from None
    for address, threads in client.nthreads().items():
        if threads != 1:
            raise UsageError(
                f"worker {address} runs {threads} jobs in one process, which share torch's "
                "settings; start workers with --nthreads 1"
            )
    with locks.probe(results) as path:
        answers = client.run(_about, given, path, on_error="return")
    users: dict[tuple[str, str], str] = {}
    for address, worker in answers.items():
        if not isinstance(worker, Worker):  # an exception: it does not know this module
            raise UsageError(
                f"worker {address} has not the code of {given.version} ({_short(worker)})"
            )
        if worker.problem:
            raise UsageError(f"worker {address} {worker.problem}")
        other = users.setdefault((worker.host, worker.gpu or address), address)
        if other != address:
            raise UsageError(
                f"workers {other} and {address} share one GPU; give each its own by "
                "CUDA_VISIBLE_DEVICES"
            )
    return replace(given, neighbours=Counter(worker.host for worker in answers.values()))


def _finished(client: Client, running: Mapping[Future, Any]) -> list[Future]:
    """Wait until jobs have ended, and return them.

    Raises:
        UsageError: the scheduler is gone, or the cluster has had no worker for long.
    """
    from distributed import wait

    lonely = 0.0
    while True:
        try:
            done = [*wait([*running], timeout=PATIENCE, return_when="FIRST_COMPLETED").done]
        except TimeoutError:
            lonely = 0.0 if client.nthreads() else lonely + PATIENCE
            if lonely >= WORKERS_WITHIN:
                raise UsageError(
                    f"the cluster has had no worker for {lonely:.0f} s{KEPT}"
                ) from None
            continue
        except (OSError, CancelledError):
            done = []
        if not done or client.status != "running" or any(f.cancelled() for f in done):
            raise UsageError(f"the cluster's scheduler is gone{KEPT}")
        return done


def _about(given: Orders, path: Path) -> Worker:
    """Return what a worker says of itself; called there."""
    problem = _why_not(given) or locks.why_not_shared(path)
    gpu = ""
    if given.device.startswith("cuda") and not problem:
        gpu = str(torch.cuda.get_device_properties(torch.device(given.device)).uuid)
    return Worker(socket.gethostname(), gpu, problem)


def _why_not(given: Orders) -> str:
    """Return why this worker cannot work on jobs of a run, or ""."""
    os.environ.update(given.environment)
    try:
        plugins.modules()
        mine = version(given.modules)
        resolve(given.device)
    except (BenchError, LookupError) as error:
        return f"cannot run these jobs: {error}"
    if same(mine, given.version):
        return ""
    return f"has {mine}, and this run has {given.version}; start it anew with the same code"


def _work(given: Orders, parcel: bytes) -> Any:
    """Do one job; called in a worker, which may have started after the others were checked."""
    if problem := _why_not(given):
        raise UsageError(f"a worker on {socket.gethostname()} {problem}")
    neighbours = given.neighbours.get(socket.gethostname(), 1)
    torch.set_num_threads(max(1, cpu_count() // neighbours))
    work, job = pickle.loads(parcel)  # only now: plug-ins are imported
    return work(job)


def _short(error: object) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]
