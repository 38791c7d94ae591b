"""``bench.run`` and ``bench run``: from an experiment to jobs, and from jobs to records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import bench.running.run as running
from bench.commands.estimate import must_have_memory
from bench.commands.experiment import Experiment, read, store
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.device import resolve
from bench.running.cluster import is_address
from bench.running.plan import Job, make_plan
from bench.running.run import Done, Settings

if TYPE_CHECKING:
    from bench.commands.results import Results

Words = str | Sequence[str]


def run(
    file: str | Path | None = None, *, methods: Words | None = None, datasets: Words | None = None,
    scenarios: Words | None = None, seeds: int | str | Sequence[int] | None = None,
    preset: str | None = None, device: str | None = None, limit: int | None = None,
    jobs: int | None = None, cluster: str | None = None, force: bool | None = None,
    results: str | Path | None = None, data: str | Path | None = None,
    outliers: Words | None = None, plugins: Words | None = None, quiet: bool = True,
) -> Results:  # fmt: skip
    """Return the results of methods on data sets under scenarios, measured where they are not yet.

    It is `bench run`: the same names, the same cache, the same records, without the report.
    A method that fails is a result with a reason (`Results.failures`) and stops no other.

    Args:
        file: a run as a file; the arguments override it.
        methods: names, globs, name:key=value; "all" by default.
        datasets: data sets to train on; "digits" by default.
        scenarios: names, globs or tags; "ood" by default.
        seeds: of the fits: a number, several, or text such as "0-9"; 0, 1 and 2 by default.
        preset: smoke, laptop (default) or paper.
        device: auto (default), cpu, cuda, cuda:1 … or mps.
        limit: most inputs a view.
        jobs: fits side by side, 1 by default; a script that asks for more needs a main guard.
        cluster: workers to run on instead: local:N, or the address of a Dask scheduler.
        force: fit and measure again even if nothing changed.
        results: folder of records and cache; "results" by default.
        data: folder with data sets.
        outliers: folders of pictures as outliers, as near=DIR or far=DIR.
        plugins: files or folders with methods, data sets or scenarios of your own.
        quiet: print no progress.

    Raises:
        BenchError: something asked for does not exist, or cannot be done.
    """
    asked = {name: value for name, value in locals().items() if name not in ("file", "quiet")}
    values = read(Path(file)) if file is not None else {}
    experiment = Experiment.of(values | {k: v for k, v in asked.items() if v is not None})
    with experiment.environment(), Console(quiet=quiet) as console:
        planned, settings = plan(experiment)
        carry_out(experiment, planned, settings, console)
    return results_of(planned, settings)


def plan(experiment: Experiment) -> tuple[list[Job], Settings]:
    """Return the jobs of an experiment, and how they are run.

    Raises:
        BenchError: something asked for does not exist.
    """
    made = make_plan(
        methods_=experiment.methods, datasets_=experiment.datasets,
        scenarios=experiment.scenarios, seeds=experiment.seeds, preset=experiment.preset,
        store=store(experiment.data), limit=experiment.limit,
    )  # fmt: skip
    return made, settings_of(experiment)


def settings_of(experiment: Experiment) -> Settings:
    """Return how an experiment is run.

    A device that is named for a cluster elsewhere need not be here: its workers look for it.

    Raises:
        UsageError: the device is not usable, or both a cluster and a number of jobs are asked for.
    """
    if experiment.cluster and experiment.jobs:
        raise UsageError(
            "--jobs and --cluster say both how many fits run at once; a cluster has its workers"
        )
    elsewhere = experiment.cluster is not None and is_address(experiment.cluster)
    named = elsewhere and experiment.device != "auto"
    return Settings(
        experiment.results, experiment.preset,
        torch.device(experiment.device) if named else resolve(experiment.device),
        experiment.jobs or 1, experiment.force, experiment.cluster,
    )  # fmt: skip


def carry_out(
    experiment: Experiment | None, jobs: Sequence[Job], settings: Settings, console: Console,
    begin: Callable[[list[str]], None] = lambda remarks: None,
) -> list[Done]:  # fmt: skip
    """Check what would stop every job, keep the experiment as a file, and work through the jobs.

    Args:
        experiment: is kept; None where no file can hold it.
        jobs: of its plan.
        settings: of its plan.
        console: shows progress.
        begin: called with the remarks of the methods when nothing stands in the way.

    Raises:
        BenchError: something would stop every job.
    """
    remarks = running.prepare(jobs, settings)
    must_have_memory(jobs, settings, console)
    if experiment is not None:
        experiment.keep()
    begin(remarks)
    return running.run(jobs, settings, console)


def results_of(jobs: Sequence[Job], settings: Settings) -> Results:
    """Return the results on the data sets of some jobs."""
    from bench.commands.results import Results  # pandas, which the console may do without

    names = dict.fromkeys(job.data.label.partition("~")[0] for job in jobs)
    return Results(settings.results, datasets=[*names], preset=settings.preset)
