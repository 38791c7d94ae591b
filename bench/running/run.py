"""``bench run``: plan, fit or load, predict each view once, score, write rows."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import joblib
import torch

from bench.datasets.base import Dataset, View
from bench.datasets.single_attribute import single_attribute
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.device import describe
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.running import curves
from bench.running.plan import Job
from bench.scenarios.base import Scenario, Views
from bench.store import rows
from bench.store.cache import Cache, Key
from bench.store.code import code_digest, commit
from bench.store.rows import Outcome


@dataclass(frozen=True)
class Settings:
    """How to run, as opposed to what: none of it changes a number but the device."""

    results: Path
    preset: str
    device: torch.device
    jobs: int = 1
    force: bool = False


@dataclass(frozen=True)
class Done:
    """What came of one job, in words and as counts."""

    line: str
    failed: int
    measured: int


def prepare(jobs: Sequence[Job], settings: Settings) -> None:
    """Raise now, before any training, what would stop every job later.

    Raises:
        UsageError: the results folder cannot be written to.
        DataError: a data set is neither found nor downloadable, or is damaged, or says nothing
            of an attribute that a method needs.
    """
    _must_be_writable(settings.results)
    for data in {id(job.data): job.data for job in jobs}.values():
        data.test()
        data.raw("train")
    for job in jobs:
        for name in job.method.attributes():
            single_attribute(job.data, name)


def run(jobs: Sequence[Job], settings: Settings, console: Console) -> list[Done]:
    """Work through the plan; a failing method is a result with a reason and stops no other."""
    console.expect(len(jobs))
    found = []
    for done in _each(jobs, settings, console):
        console.finished(done.line)
        found.append(done)
    return found


def _each(jobs: Sequence[Job], settings: Settings, console: Console) -> Iterator[Done]:
    if settings.jobs == 1:
        yield from (run_job(job, settings, console) for job in jobs)
        return
    threads = max(1, (os.cpu_count() or 1) // settings.jobs)
    pool = joblib.Parallel(n_jobs=settings.jobs, return_as="generator_unordered")
    yield from pool(joblib.delayed(_in_worker)(job, settings, threads) for job in jobs)


def _in_worker(job: Job, settings: Settings, threads: int) -> Done:
    torch.set_num_threads(threads)
    return run_job(job, settings, _silence())


@lru_cache
def _silence() -> Console:
    """One console a worker, so that it keeps its data from job to job."""
    return Console(quiet=True)


def run_job(job: Job, settings: Settings, console: Console) -> Done:
    """Fit or load one model, measure every scenario that is not up to date, and save its rows."""
    evaluator = Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))
    try:
        plans = {s: s.views(evaluator) for s in job.scenarios}
        keys = {s: row_key(evaluator, s, views.found) for s, views in plans.items()}
    except Exception as error:  # before any key is known: nothing of this job can be up to date
        plans = dict.fromkeys(job.scenarios, Views((), {}))
        keys = dict.fromkeys(job.scenarios, Key({}))
        problem: Outcome | None = Outcome.failed(error)
    else:
        problem = None
    stale = [
        s
        for s in job.scenarios
        if settings.force or not rows.is_current(job.path(settings.results, s), keys[s].digest)
    ]
    if stale and problem is None:
        problem = _fit(evaluator)
    for scenario in stale:
        outcome = _for_others(problem or _attempt(scenario, evaluator, plans[scenario]), job.data)
        about = _about(
            job, evaluator, scenario, keys[scenario], settings, failed=problem is not None
        )
        rows.save(job.path(settings.results, scenario), outcome, about)
    for scenario in job.scenarios:
        _keep_curves(job, evaluator, scenario, plans[scenario].found, keys[scenario], settings)
    return _summary(job, settings, measured=len(stale))


@lru_cache(maxsize=1)  # jobs come data set by data set, seed by seed
def _fitter(data: Dataset, seed: int, settings: Settings, console: Console) -> Fitter:
    cache = Cache(settings.results / "cache", console.say)
    return Fitter(data, seed, settings.preset, settings.device, cache, console, settings.force)


def fitter_for(job: Job, settings: Settings, console: Console) -> Fitter:
    """Return what fits methods on the job's data; the last one is kept with its data."""
    return _fitter(job.data, job.seed, settings, console)


def row_key(evaluator: Evaluator, scenario: Scenario, views: Sequence[View]) -> Key:
    """Return everything a scenario's numbers depend on, in words."""
    spec: dict[str, Any] = {
        "fit": evaluator.key().digest,
        "params": evaluator.method.params(),
        "scenario": scenario.name,
        "scenario_params": scenario.params(),
        "code": code_digest(type(scenario).__module__, "bench.scores", "bench.metrics"),
        "clean": evaluator.clean.fingerprint,
        "views": [[v.name, v.severity, v.group, v.fingerprint] for v in views],
        "references": [evaluator.reference(name).key().digest for name in scenario.references],
    }
    return Key(spec)


def _fit(evaluator: Evaluator) -> Outcome | None:
    try:
        evaluator.fitted()
    except Exception as error:  # one broken baseline must not stop the others
        return Outcome.failed(error)
    return None


def _attempt(scenario: Scenario, evaluator: Evaluator, views: Views) -> Outcome:
    console = evaluator.fitter.console
    total = len(views.found) + 1
    try:
        with console.predicting(f"{evaluator.label} {scenario.name}", total) as count:
            for view, _ in zip([evaluator.clean, *views.found], count, strict=True):
                evaluator.predict(view)
        measured = tuple(scenario.measure(evaluator, views.found))
    except Exception as error:  # whatever a method or scenario does is a result with a reason
        return Outcome.failed(error)
    return Outcome("ok", "", measured, views.missing)


def _for_others(outcome: Outcome, data: Dataset) -> Outcome:
    """Return an outcome whose words name no folder of this machine."""
    told = data.store.without_places
    missing = {view: told(why) for view, why in outcome.missing.items()}
    return replace(outcome, reason=told(outcome.reason), missing=missing)


def _keep_curves(
    job: Job, evaluator: Evaluator, scenario: Scenario, views: Sequence[View], key: Key,
    settings: Settings,
) -> None:  # fmt: skip
    """Write the curves of finished rows, if they are not there; nothing is fitted for them."""
    place = (job.data.label, scenario.label, job.label, job.seed)
    path = rows.row_path(settings.results / "curves", *place)
    if not rows.is_current(job.path(settings.results, scenario), key.digest):
        return
    if curves.is_current(path, key) and not settings.force:
        return
    try:
        if all(evaluator.has_answered(view) for view in [evaluator.clean, *views]):
            curves.save(path, evaluator, scenario, views, key)
    except Exception as error:  # the rows are there: a curve less is no reason to stop
        evaluator.fitter.console.say(f"no curves of {' '.join(map(str, place))}: {error}")


def _about(
    job: Job,
    evaluator: Evaluator,
    scenario: Scenario,
    key: Key,
    settings: Settings,
    *,
    failed: bool,
) -> dict[str, Any]:
    fitted = None if failed else evaluator.fitted()
    return {
        "method": job.label,
        "dataset": job.data.label,
        "scenario": scenario.label,
        "seed": job.seed,
        "preset": settings.preset,
        "params": job.method.params(),
        "scenario_params": scenario.params(),
        "answer": job.method.point_prediction,
        "score": None if failed else headline_score(evaluator),
        "key": key.digest,
        "fit_seconds": None if fitted is None else round(fitted.seconds, 3),
        "device": describe(settings.device),
        "threads": torch.get_num_threads(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
        },
        "commit": commit(),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def headline_score(evaluator: Evaluator) -> str | None:
    """Return the score a method is ranked by: vote entropy, or for one sample 1 - max p."""
    try:
        return curves.headline(evaluator.predict(evaluator.clean))
    except Exception:  # said already, as the reason of the failed scenario
        return None


def _summary(job: Job, settings: Settings, *, measured: int) -> Done:
    records = [(s, rows.read(job.path(settings.results, s))) for s in job.scenarios]
    parts, failed = [], 0
    for scenario, record in records:
        if record is None or record["status"] == "failed":
            failed += 1
            parts.append(f"{scenario.label} failed ({'' if record is None else record['reason']})")
        elif (value := _headline(record)) is not None:
            parts.append(f"{scenario.label} {value:.3f}")
    seconds = next((r["fit_seconds"] for _, r in records if r and r["fit_seconds"]), None)
    fit = "" if seconds is None else f"fit {seconds:.1f} s"
    state = "" if measured else "  (up to date)"
    where = f"{job.data.label:<8} {job.label:<22} seed {job.seed}"
    return Done(f"{where}  {fit:<12} {'  '.join(parts)}{state}", failed, measured)


def _headline(record: dict[str, Any]) -> float | None:
    """Return the mean AUROC over views, or the accuracy, of one record."""
    by = {"auroc": record["score"], "accuracy": record["answer"]}
    for metric, score in by.items():
        found = [r["metrics"][metric] for r in record["rows"] if r.get("score") == score
                 and metric in r["metrics"]]  # fmt: skip
        if found:
            return sum(found) / len(found)
    return None


def _must_be_writable(results: Path) -> None:
    try:
        results.mkdir(parents=True, exist_ok=True)
        probe = results / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(
            f"cannot write to the results folder {results} ({error.strerror}); "
            "choose another with --results"
        ) from None
