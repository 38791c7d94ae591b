"""Jobs side by side in processes: one that kills its process fails, and the others go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import torch

from bench import plugins
from bench.store import code

Job = TypeVar("Job")
Done = TypeVar("Done")


def side_by_side(
    jobs: Iterable[Job], work: Callable[[Job], Done], *, died: Callable[[Job], Done], workers: int
) -> Iterator[Done]:
    """Yield what ``work`` makes of each job, in the order in which they end.

    Args:
        jobs: the jobs; handed out in their order.
        work: called in a worker process; a function of a module, or a partial of one.
        died: called here in its place for a job that ended its process.
        workers: number of processes.
    """
    waiting = deque(jobs)
    threads = max(1, (os.cpu_count() or 1) // workers)
    while waiting:
        suspects = yield from _until_broken(waiting, work, workers, threads)
        for job in suspects:  # one of them killed its process: alone, each answers for itself
            if (yield from _until_broken(deque([job]), work, 1, threads)):
                yield died(job)


def _until_broken(
    waiting: deque[Job], work: Callable[[Job], Done], workers: int, threads: int
) -> Generator[Done, None, list[Job]]:
    """Run jobs, taken off ``waiting``, until none is left or a worker dies; return the unfinished.

    No more jobs are handed out than there are workers, so that few are in question then.
    """
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _start_worker, (threads, code.sources())
    )
    running: dict[Future[Done], Job] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                future = pool.submit(work, waiting[0])  # raises if a worker has died meanwhile
                running[future] = waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                done = future.result()
                del running[future]
                yield done
    except BrokenProcessPool:
        _end_workers()  # the pool would wait for ever for one started while it broke
        return list(running.values())
    except BaseException:  # such as Ctrl-C: nobody waits for what the workers are at
        _end_workers()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
    return []


def _end_workers() -> None:
    for process in multiprocessing.active_children():
        process.terminate()


def _start_worker(threads: int, sources: Mapping[Path, str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    plugins.modules()
    code.adopt(sources)
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """End this process as soon as its parent has ended, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
