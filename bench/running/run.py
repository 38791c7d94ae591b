"""``bench run``: plan, fit or load, predict each view once, score, write rows."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import torch

from bench.datasets.base import Dataset, View
from bench.datasets.outlier_folder import own_outliers
from bench.datasets.single_attribute import single_attribute
from bench.errors import CodeChangedError, MethodError, SkippedError, UsageError, WriteError
from bench.fitting.console import Console
from bench.fitting.device import describe, environment, keep_buffers, threads
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter, must_be_unchanged
from bench.methods.base import Method
from bench.metrics import registry
from bench.running import cluster, curves, memory
from bench.running.plan import Job
from bench.running.workers import side_by_side
from bench.scenarios.base import Scenario, Views, unavailable
from bench.scores import all_scores
from bench.scores.own import own_score
from bench.store import records
from bench.store.cache import Cache, Key
from bench.store.code import code_digest, commit
from bench.store.files import remove_old_drafts, row_path
from bench.store.schema import RANKED_BY, Claim, Headline, Outcome, Record


@dataclass(frozen=True)
class Settings:
    """How to run, as opposed to what: none of it changes a number but the device."""

    results: Path
    preset: str
    device: torch.device
    jobs: int = field(default=1, compare=False)  # a fitter is the same whatever their number
    force: bool = False
    cluster: str | None = None
    # Decompositions in scores round differently with another number of threads than the run's own.
    score_threads: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Done:
    """The outcome of one job in words and counts, and the messages of the process that ran it."""

    line: str
    failed: int
    measured: int
    notes: tuple[str, ...] = ()


def prepare(jobs: Sequence[Job], settings: Settings) -> list[str]:
    """Raise now, before any training, what would stop every job later; return remarks.

    Raises:
        UsageError: the results folder cannot be written to.
        BenchError: a method lacks what its fit needs, such as a file.
        DataError: a data set is neither found nor downloadable, or is damaged, or has no
            attribute of a name that a method needs.
    """
    _must_be_writable(settings.results)
    remove_old_drafts(settings.results)
    for data in {id(job.data): job.data for job in jobs}.values():
        data.test()
        data.raw("train")
        for source in own_outliers(data):
            source.images()
    for job in jobs:
        for name in job.method.attributes():
            single_attribute(job.data, name)
    distinct = {(job.label, job.data.label): job for job in jobs}
    remarks = (job.method.prepare(job.data.task) for job in distinct.values())
    return list(dict.fromkeys(filter(None, remarks)))


def run(jobs: Sequence[Job], settings: Settings, console: Console) -> list[Done]:
    """Work through the plan; a failing method is a result with a reason and stops no other.

    Raises:
        WriteError: a result cannot be written, such as on a full disk.
    """
    _read_code(jobs)
    console.expect(len(jobs))
    outcomes = []
    for done in _each(jobs, settings, console):
        for note in done.notes:
            console.say(note)
        console.finished(done.line)
        outcomes.append(done)
    return outcomes


def _read_code(jobs: Sequence[Job]) -> None:
    """Take every digest of code now: an edit during the run is not what runs."""
    for job in jobs:
        code_digest(*job.method.code_modules())
        for scenario in job.scenarios:
            code_digest(*_modules(scenario))


def _each(jobs: Sequence[Job], settings: Settings, console: Console) -> Iterator[Done]:
    if settings.jobs == 1 and settings.cluster is None:
        return (run_job(job, settings, console) for job in jobs)

    def died(job: Job) -> Done:
        error = MethodError(
            f"the process that ran {job.label} died (os._exit, a crash in native code, "
            "or killed, as for want of memory)"
        )
        return run_job(job, settings, console, problem=Outcome.failed(error))

    results = settings.results.absolute()
    here = replace(settings, results=results, score_threads=torch.get_num_threads())
    work = partial(_in_worker, settings=here)
    if settings.cluster is None:
        return side_by_side(jobs, work, died=died, workers=settings.jobs)
    modules = {name for job in jobs for name in _all_modules(job)}
    given = cluster.orders(modules, settings.device)
    return cluster.on_cluster(
        jobs, work, died=died, words=settings.cluster, given=given, results=results
    )


def _in_worker(job: Job, settings: Settings) -> Done:
    console, problem = _quiet_console(), None
    try:  # a worker imports what is on the disk, and takes digests from the parent's texts
        must_be_unchanged(job.label, _all_modules(job))
    except CodeChangedError as error:
        problem = Outcome.failed(error)
    done = run_job(job, settings, console, problem)
    notes, console.notes = console.notes, []
    return replace(done, notes=tuple(notes))


@lru_cache
def _quiet_console() -> Console:
    """Return one console a worker, so that it keeps its data from job to job."""
    return Console(quiet=True)


def run_job(job: Job, settings: Settings, console: Console, problem: Outcome | None = None) -> Done:
    """Fit or load one model, measure every scenario that is not up to date, and save its rows.

    With a ``problem`` nothing is run: it is recorded for every scenario that is not up to date.
    """
    keep_buffers()
    evaluator = Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))
    try:
        plans = {s: s.views(evaluator) for s in job.scenarios}
        keys = {s: row_key(evaluator, s, views.found) for s, views in plans.items()}
    except (KeyboardInterrupt, WriteError):
        raise
    except BaseException as error:  # no key is known: nothing of this job can be up to date
        plans = dict.fromkeys(job.scenarios, Views((), {}))
        keys = dict.fromkeys(job.scenarios, Key({}))
        problem = Outcome.failed(error)
    stale = [
        s
        for s in job.scenarios
        if settings.force or not records.is_current(job.path(settings.results, s), keys[s].digest)
    ]
    if stale and problem is None:
        problem = _fit(evaluator)
    for scenario in stale:
        start = time.perf_counter()
        outcome = _for_others(
            problem or _attempt(scenario, evaluator, plans[scenario], settings), job.data
        )
        about = _about(
            job, evaluator, scenario, keys[scenario], settings, failed=problem is not None
        )
        if problem is None:
            about["measure_seconds"] = round(time.perf_counter() - start, 3)
        records.save(job.path(settings.results, scenario), outcome, about)
    for scenario in job.scenarios:
        _keep_curves(job, evaluator, scenario, plans[scenario].found, keys[scenario], settings)
    return _summary(job, settings, measured=len(stale))


@lru_cache(maxsize=1)  # jobs come data set by data set, seed by seed
def _fitter(data: Dataset, seed: int, settings: Settings, console: Console) -> Fitter:
    cache = Cache(settings.results / "cache", console.say)
    return Fitter(data, seed, settings.preset, settings.device, cache, console, settings.force)


def fitter_for(job: Job, settings: Settings, console: Console) -> Fitter:
    """Return the fitter of the job's data; the last one is kept with its data."""
    return _fitter(job.data, job.seed, settings, console)


def row_key(evaluator: Evaluator, scenario: Scenario, views: Sequence[View]) -> Key:
    """Return everything a scenario's numbers depend on, in words."""
    spec: dict[str, Any] = {
        "fit": evaluator.key().digest,
        "params": evaluator.method.params(),
        "scenario": scenario.name,
        "scenario_params": scenario.params(),
        "code": code_digest(*_modules(scenario)),
        "clean": evaluator.clean.fingerprint,
        "views": [[v.name, v.severity, v.group, v.fingerprint] for v in views],
        "references": [evaluator.reference(name).key().digest for name in scenario.references],
    }
    return Key(spec)


def _all_modules(job: Job) -> set[str]:
    """Return the modules whose code decides any number of a job."""
    scenarios = {name for scenario in job.scenarios for name in _modules(scenario)}
    return {*job.method.code_modules(), "bench.fitting.prediction", *scenarios}


def _modules(scenario: Scenario) -> list[str]:
    """Return the modules whose code decides a scenario's numbers, those of plug-ins included."""
    scores = {score.function.__module__ for score in all_scores().values()}
    metrics = {one.function.__module__ for one in registry.metrics().values() if one.function}
    shared = ("bench.fitting.training_evidence", "bench.metrics", "bench.scores")
    return sorted({type(scenario).__module__, *shared, *scores, *metrics})


def _fit(evaluator: Evaluator) -> Outcome | None:
    try:
        evaluator.fitted()
    except (KeyboardInterrupt, WriteError):
        raise
    except BaseException as error:  # one broken baseline must not stop the others
        return Outcome.failed(error)
    return None


def _attempt(scenario: Scenario, evaluator: Evaluator, views: Views, settings: Settings) -> Outcome:
    console = evaluator.fitter.console
    total = len(views.found) + 1
    try:
        with console.predicting(f"{evaluator.label} {scenario.name}", total) as count:
            for view, _ in zip([evaluator.clean, *views.found], count, strict=True):
                evaluator.predict(view)
        with threads(settings.score_threads):
            measured = tuple(scenario.measure(evaluator, views.found))
            by_score = any(row.score in all_scores() for row in measured)
            left_out = unavailable(evaluator.predict(evaluator.clean)) if by_score else {}
    except (KeyboardInterrupt, WriteError):
        raise
    except SkippedError as error:
        return Outcome("skipped", str(error))
    except BaseException as error:  # whatever a method or scenario does is a result with a reason
        return Outcome.failed(error)
    return Outcome("ok", "", measured, views.missing, left_out)


def _for_others(outcome: Outcome, data: Dataset) -> Outcome:
    """Return an outcome whose words name no folder of this machine."""
    without = data.store.without_places
    missing = {view: without(why) for view, why in outcome.missing.items()}
    left_out = {score: without(why) for score, why in outcome.left_out.items()}
    reason = without(outcome.reason)
    return replace(outcome, reason=reason, missing=missing, left_out=left_out)


def _keep_curves(
    job: Job, evaluator: Evaluator, scenario: Scenario, views: Sequence[View], key: Key,
    settings: Settings,
) -> None:  # fmt: skip
    """Write the curves of finished rows, if they are not there; nothing is fitted for them."""
    place = (job.data.label, scenario.label, job.label, job.seed)
    path = row_path(settings.results / "curves", *place)
    if not records.is_current(job.path(settings.results, scenario), key.digest):
        return
    if curves.is_current(path, key) and not settings.force:
        return
    try:
        if all(evaluator.has_predicted(view) for view in [evaluator.clean, *views]):
            with threads(settings.score_threads):
                curves.save(path, evaluator, scenario, views, key)
    except WriteError:
        raise
    except Exception as error:  # the rows are there: a curve less is no reason to stop
        evaluator.fitter.console.say(f"no curves of {' '.join(map(str, place))}: {error}")


def _claims(method: Method, scenario: Scenario) -> tuple[Claim, ...]:
    """Return the claims that a scenario judges."""
    claims = msgspec.convert(method.claims, tuple[Claim, ...])
    return tuple(claim for claim in claims if claim.scenario == scenario.name)


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
    log = None if fitted is None else fitted.method.log
    peak = memory.peak()
    return {
        "method": job.label,
        "dataset": job.data.label,
        "scenario": scenario.label,
        "seed": job.seed,
        "preset": settings.preset,
        "params": job.method.params(),
        "tuned": job.method.tuned,
        "claims": _claims(job.method, scenario),
        "scenario_params": scenario.params(),
        "answer": job.method.point_prediction,
        "score": None if failed else headline_score(evaluator),
        "detects": scenario.detects,
        "headlines": tuple(scenario.headlines()),
        "metric_specs": registry.added(),
        "key": key.digest,
        "fit_seconds": None if fitted is None else round(fitted.seconds, 3),
        "updates": None if log is None else log.updates,
        "examples_seen": None if log is None else log.examples_seen,
        "device": describe(settings.device),
        **environment(job.method, settings.device),
        "threads": fitted.threads if fitted else torch.get_num_threads(),
        "peak_memory": None if peak is None else round(peak, 1),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
        },
        "commit": commit(),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def headline_score(evaluator: Evaluator) -> str | None:
    """Return the method's own score, or None where it cannot predict the clean test part."""
    try:
        return own_score(evaluator.predict(evaluator.clean).probs)
    except Exception:  # the failed scenario's record has it as its reason
        return None


def _summary(job: Job, settings: Settings, *, measured: int) -> Done:
    written = [(s, records.read(job.path(settings.results, s))) for s in job.scenarios]
    parts, failed = [], 0
    for scenario, record in written:
        if record is None or record.status == "failed":
            failed += 1
            parts.append(f"{scenario.label} failed ({'' if record is None else record.reason})")
        elif record.status == "skipped":
            parts.append(f"{scenario.label} skipped ({record.reason})")
        else:
            parts += _headline(record)
    seconds = next((r.fit_seconds for _, r in written if r and r.fit_seconds), None)
    fit = "" if seconds is None else f"fit {seconds:.1f} s"
    state = "" if measured else "  (up to date)"
    where = f"{job.data.label:<8} {job.label:<22} seed {job.seed}"
    return Done(f"{where}  {fit:<12} {'  '.join(parts)}{state}", failed, measured)


def _headline(record: Record) -> list[str]:
    """Return in words what sums a record up: mean AUROC over views, or its first headline."""
    wanted = Headline(record.scenario) if record.detects else next(iter(record.headlines), None)
    if wanted is None:
        return []
    spec = registry.spec_of(wanted.metric, registry.specs())
    score = wanted.score or (RANKED_BY if spec.of_score else record.answer or "")
    values = [
        row.metrics[wanted.metric]
        for row in record.rows
        if row.score in (score, "") and wanted.metric in row.metrics
        and wanted.view in (row.view, "") and wanted.group in (row.group, "")
    ]  # fmt: skip
    if not values:
        return []
    label = spec.label if record.detects else wanted.label
    return [f"{record.scenario} {label} {spec.scale * fmean(values):.{max(spec.digits, 1)}f}"]


def _must_be_writable(results: Path) -> None:
    try:
        results.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=results):
            pass
    except OSError as error:
        raise UsageError(
            f"cannot write to the results folder {results} ({error.strerror}); "
            "choose another with --results"
        ) from None
