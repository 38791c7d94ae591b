"""What a plan will take, from what the same fits took before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from bench.fitting.console import Console
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for
from bench.store import records


def overview(jobs: Sequence[Job]) -> str:
    """Return the plan in a few words: data sets, methods, scenarios, seeds."""
    data = {job.data.label: None for job in jobs}
    labels = {job.label for job in jobs}
    scenarios = {s.label: None for job in jobs for s in job.scenarios}
    seeds = {job.seed for job in jobs}
    return (
        f"{', '.join(data)} · {len(labels)} methods · {', '.join(scenarios)} · "
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
    )


def plan_lines(jobs: Sequence[Job], settings: Settings) -> Iterator[str]:
    """Yield the plan, a line a job, and an estimate of the whole from earlier runs."""
    known = _seconds(settings)
    console = Console(quiet=True)
    total, unknown = 0.0, 0
    for job in jobs:
        cached = fitter_for(job, settings, console).is_cached(job.method, job.seed)
        seconds = known.get((job.data.label, job.label))
        state = "fitted" if cached else "to fit" + ("" if seconds is None else f", {seconds:.0f} s")
        total += 0 if cached else seconds or 0.0
        unknown += not cached and seconds is None
        names = ", ".join(s.label for s in job.scenarios)
        yield f"{job.data.label:<10} {job.label:<24} seed {job.seed}  {state:<14} {names}"
    rest = f"; {unknown} fits never timed here" if unknown else ""
    yield f"{len(jobs)} jobs, fits about {total / 60:.1f} minutes{rest}"


def _seconds(settings: Settings) -> dict[tuple[str, str], float]:
    """Return the median seconds of a fit, by data set and method, at this preset."""
    found: dict[tuple[str, str], list[float]] = {}
    for folder in (records.REFERENCE / "rows", settings.results / "rows"):
        for record in _records(folder):
            if record.preset == settings.preset and record.fit_seconds is not None:
                place = record.dataset, record.method
                found.setdefault(place, []).append(record.fit_seconds)
    return {place: median(values) for place, values in found.items()}


def _records(folder: Path) -> list[records.Record]:
    return records.read_all(folder)[0] if folder.exists() else []
