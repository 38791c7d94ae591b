"""``bench run --dry-run``: the plan, and how long it takes by what the same took before.

Times come from the records of the results folder, and from the reference where that has none:
those are scaled by how fast this machine was at what both have timed. What nobody timed is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.fitting.console import Console
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for
from bench.scenarios.base import Scenario
from bench.store import records
from bench.store.records import Record

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
    return records.read_all(folder)[0] if folder.exists() else []
