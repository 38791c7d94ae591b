"""``bench compare``: do two methods differ on a view by more than its test inputs explain?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.metrics.compare import Interval, paired_bootstrap
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for, headline_score
from bench.scenarios.base import Scenario, scored
from bench.scores import all_scores


class Difference(NamedTuple):
    """AUROC of the first method minus that of the second, on one view within one seed."""

    seed: int
    scenario: str
    view: str
    interval: Interval


def differences(
    jobs: Sequence[Job], settings: Settings, console: Console
) -> Iterator[tuple[str, Difference]]:
    """Yield (data set, difference) for each view that both methods of the plan were shown.

    Each method is judged by its own headline score. Views made against one method alone, such
    as white-box attacks, are not paired and are left out.

    Raises:
        UsageError: the plan does not hold exactly two methods.
    """
    labels = list(dict.fromkeys(job.label for job in jobs))
    if len(labels) != 2:
        raise UsageError(f"compare takes two methods, not {len(labels)}: {', '.join(labels)}")
    places = dict.fromkeys((job.data, job.seed) for job in jobs)
    for data, seed in places:
        pair = [job for job in jobs if (job.data, job.seed) == (data, seed)]
        evaluators = [_evaluator(job, settings, console) for job in pair]
        for scenario in pair[0].scenarios:
            for one in _on(scenario, evaluators):
                yield data.label, one


def _evaluator(job: Job, settings: Settings, console: Console) -> Evaluator:
    return Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))


def _on(scenario: Scenario, evaluators: Sequence[Evaluator]) -> Iterator[Difference]:
    first, second = (scenario.views(evaluator).found for evaluator in evaluators)
    scores = [all_scores()[headline_score(evaluator) or "vote_entropy"] for evaluator in evaluators]
    shown_to_both = {(view.name, view.fingerprint) for view in second}
    for view in first:
        if (view.name, view.fingerprint) in shown_to_both:
            sides = [
                scored(score, evaluator.predict(which))
                for evaluator, score in zip(evaluators, scores, strict=True)
                for which in (evaluator.clean, view)
            ]
            name = f"{view.name} {view.severity:g}" if view.severity else view.name
            yield Difference(evaluators[0].seed, scenario.name, name, paired_bootstrap(*sides))
