"""``bench run --dry-run``: the plan, and how long it takes by what the same took before.

Times come from the records of the results folder, and from the reference where that has none:
those are scaled by how fast this machine was at what both have timed. What nobody timed is named.
Memory comes from the records of the results folder alone. A run that cannot have the memory it
needs is refused before it starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import torch

from bench.commands.experiment import Experiment
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.fits import Fitter
from bench.methods.base import Method
from bench.methods.training import SMALL_BATCH, batch_size
from bench.running import memory
from bench.running.cluster import is_address
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for
from bench.scenarios.base import Scenario
from bench.store import records
from bench.store.schema import Record

WORTH = 30.0  # seconds of fits for which it pays to start worker processes
MANY = 1_000_000  # inputs; where as many would fit, no data is read to count them
Place = tuple[str, str, str]  # data set, method, scenario; of a fit, the scenario is empty


@dataclass
class Estimate:
    """Seconds of work ahead, and what was never timed."""

    fits: float = 0.0
    measuring: float = 0.0
    unknown: dict[str, None] = field(default_factory=dict)  # names in order, each once

    def words(self, jobs: int, workers: int) -> str:
        """Return one line: how long, of what, and what is not in it."""
        parts = []
        if self.fits or self.measuring:
            both = f"fits {duration(self.fits)}, measuring {duration(self.measuring)}"
            parts.append(f"about {duration(self.fits + self.measuring)} of work ({both})")
        if self.unknown:
            names = list(self.unknown)
            rest = f" and {len(names) - 5} more" if len(names) > 5 else ""
            parts.append(f"time unknown, never timed: {', '.join(names[:5])}{rest}")
        if not parts:
            parts.append("nothing to fit or to measure by what is there")
        shared = f", on {counted(workers, 'worker')}" if workers > 1 else ""
        return f"{counted(jobs, 'job')}{shared}: {'; '.join(parts)}; start and report not counted"


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: "1 job", "2 jobs"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def duration(seconds: float) -> str:
    """Return a time as people say it: "8 s", "2 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def overview(jobs: Sequence[Job]) -> str:
    """Return the plan in a few words: data sets, methods, scenarios, seeds."""
    data = {job.data.label: None for job in jobs}
    labels = {job.label for job in jobs}
    scenarios = {s.label: None for job in jobs for s in job.scenarios}
    seeds = {job.seed for job in jobs}
    return (
        f"{', '.join(data)} · {counted(len(labels), 'method')} · {', '.join(scenarios)} · "
        f"{counted(len(seeds), 'seed')}"
    )


def plan_lines(jobs: Sequence[Job], settings: Settings) -> Iterator[str]:
    """Yield the plan, a line a job, and an estimate of the whole from earlier runs."""
    known = timings(settings)
    console = Console(quiet=True)
    whole = Estimate()
    for job in jobs:
        cached = fitter_for(job, settings, console).is_cached(job.method, job.seed)
        fit = "fitted" if cached and not settings.force else _fit(job, known, whole)
        rows = _measuring(job, settings, known, whole, fitted=fit == "fitted")
        names = ", ".join(s.label for s in job.scenarios)
        yield (
            f"{job.data.label:<10} {job.label:<24} seed {job.seed}  {fit:<14} {rows:<20} {names}"
        ).rstrip()
    yield whole.words(len(jobs), settings.jobs)
    yield memory_words(jobs, settings)


def side_by_side(
    asked: Experiment, jobs: Sequence[Job], settings: Settings, console: Console
) -> Settings:
    """Return settings with as many jobs side by side as pay, where nobody said how many.

    A fit on small batches uses one thread whatever the number, so that another beside it changes no
    number: then one a core. Where batches are larger it is one in all: they use all cores, and by
    the number of threads sums are grouped.
    """
    threads = torch.get_num_threads()
    if asked.jobs or asked.cluster or settings.device.type != "cpu" or threads == 1:
        return settings
    try:
        to_fit = _to_fit(jobs, settings, console)
    except Exception:  # a job that cannot be looked at fails when it is run, with its reason
        return settings
    if to_fit is None or len(to_fit) < 2:
        return settings
    known = timings(settings)
    if sum(known.get(place, 0.0) for place in to_fit) < WORTH:
        return settings
    room = int(memory.free() / _of_a_worker(jobs, settings))
    return replace(settings, jobs=max(1, min(threads, len(to_fit), room)))


def _to_fit(jobs: Sequence[Job], settings: Settings, console: Console) -> list[Place] | None:
    """Return what is to be fitted, or None where a fit uses more than one thread."""
    places = []
    for job in jobs:
        fitter = fitter_for(job, settings, console)
        if not fits_on_one_thread(fitter, job.method, job.seed):
            return None
        if settings.force or not fitter.is_cached(job.method, job.seed):
            places.append((job.data.label, job.label, ""))
    return places


def must_have_memory(jobs: Sequence[Job], settings: Settings, console: Console) -> None:
    """Check that the machine has the memory that is needed at the least; call it with data read.

    That is for each worker what this process holds, or what one held when the same was measured
    here before; and the probabilities (N, S, T, K) of the test part. Workers elsewhere are not
    asked.

    Raises:
        UsageError: it has not; the message says how much is needed and free.
    """
    free, workers = memory.free(), _processes(settings, len(jobs))
    for job in jobs if workers else ():
        if (needed := _of_answers(job, settings, console, free)) > free:
            raise UsageError(
                f"{job.label} needs {_size(needed)} for its answers to the test part of "
                f"{job.data.label}, and {_size(free)} are free; ask for fewer samples"
            )
    if workers > 1 and (needed := workers * _of_a_worker(jobs, settings)) > free:
        raise UsageError(
            f"{workers} workers need {_size(needed)}, and {_size(free)} are free; ask for fewer "
            "with --jobs or --cluster local:N"
        )


def memory_words(jobs: Sequence[Job], settings: Settings) -> str:
    """Return one line: how much memory a run takes by earlier ones, and how much is free."""
    free, workers = _size(memory.free()), _processes(settings, len(jobs))
    if (one := _recorded(jobs, settings)) is None:
        return f"memory unknown, never recorded here; {free} are free"
    if workers == 0:
        return f"about {_size(one)} of memory for each worker"
    shared = f" for {counted(workers, 'worker')}" if workers > 1 else ""
    return f"about {_size(one * workers)} of memory{shared}; {free} are free"


def _processes(settings: Settings, jobs: int) -> int:
    """Return how many processes of this machine work on jobs."""
    if settings.cluster is None:
        return min(settings.jobs, jobs)
    return 0 if is_address(settings.cluster) else int(settings.cluster.partition(":")[2])


def _of_a_worker(jobs: Sequence[Job], settings: Settings) -> float:
    return _recorded(jobs, settings) or memory.held()


def _recorded(jobs: Sequence[Job], settings: Settings) -> float | None:
    """Return the MB that a process held while the largest of these methods was measured here.

    Of a method's records the least counts: a process may have held more before it came to it.
    """
    wanted = {(job.data.label, job.label) for job in jobs}
    peaks: dict[tuple[str, str], float] = {}
    for record in _records(settings.results / "rows"):
        place, peak = (record.dataset, record.method), record.peak_memory
        if peak and place in wanted and record.preset == settings.preset:
            peaks[place] = min(peak, peaks.get(place, peak))
    return max(peaks.values(), default=None)


def _of_answers(job: Job, settings: Settings, console: Console, free: float) -> float:
    """Return the MB of the test part's probabilities, in batches and joined; 0 if it is little."""
    samples, task = job.method.params().get("samples"), job.data.task
    one = 2 * 4 * len(task.targets) * len(task.classes) / memory.MB  # float32, twice
    if not isinstance(samples, int) or MANY * samples * one < free:
        return 0.0
    return len(fitter_for(job, settings, console).splits.test) * samples * one


def _size(megabytes: float) -> str:
    """Return memory as people say it: "300 MB", "1.2 GB"."""
    return f"{megabytes:.0f} MB" if megabytes < 1000 else f"{megabytes / 1000:.1f} GB"


def fits_on_one_thread(fitter: Fitter, method: Method, seed: int) -> bool:
    """Return whether a fit, and those of its prerequisites, train on batches of one thread."""
    largest = method.params().get("batch")
    if isinstance(largest, int) and batch_size(largest, len(fitter.splits.train)) > SMALL_BATCH:
        return False
    return all(
        fits_on_one_thread(fitter.about(wanted.target), fitter.build(wanted), wanted.seeds[0])
        for wanted in method.prerequisites(seed).values()
    )


def _fit(job: Job, known: dict[Place, float], whole: Estimate) -> str:
    seconds = known.get((job.data.label, job.label, ""))
    if seconds is None:
        whole.unknown[f"fit of {job.label} on {job.data.label}"] = None
        return "fit unknown"
    whole.fits += seconds
    return f"fit {duration(seconds)}"


def _measuring(
    job: Job, settings: Settings, known: dict[Place, float], whole: Estimate, *, fitted: bool
) -> str:
    """Count the scenarios without rows, or all where the fit is to be made."""
    seconds, unknown = 0.0, False
    to_do = [s for s in job.scenarios if not (fitted and _has_rows(job, settings, s))]
    for scenario in to_do:
        one = known.get((job.data.label, job.label, scenario.label))
        if one is None:
            unknown = True
            whole.unknown[f"measuring {scenario.label} on {job.data.label}"] = None
        seconds += one or 0.0
    whole.measuring += seconds
    if not to_do:
        return "rows are there"
    return "measure unknown" if unknown else f"measure {duration(seconds)}"


def _has_rows(job: Job, settings: Settings, scenario: Scenario) -> bool:
    record = records.read(job.path(settings.results, scenario))
    return record is not None and record.status == "ok" and record.preset == settings.preset


def timings(settings: Settings) -> dict[Place, float]:
    """Return the median seconds of every fit and scenario that was timed at this preset."""
    here = _medians(_records(settings.results / "rows"), settings.preset)
    there = _medians(_records(records.REFERENCE / "rows"), settings.preset)
    ratios = [here[place] / there[place] for place in here.keys() & there.keys() if there[place]]
    pace = median(ratios) if ratios else 1.0
    return {place: seconds * pace for place, seconds in there.items()} | here


def _medians(known: Iterable[Record], preset: str) -> dict[Place, float]:
    times: dict[Place, list[float]] = {}
    for record in known:
        if record.preset != preset:
            continue
        for scenario, seconds in (
            ("", record.fit_seconds), (record.scenario, record.measure_seconds)
        ):  # fmt: skip
            if seconds is not None:
                times.setdefault((record.dataset, record.method, scenario), []).append(seconds)
    return {place: median(values) for place, values in times.items()}


def _records(folder: Path) -> list[Record]:
    return records.read_all(folder)[0]
