"""``bench compare``: do two methods differ on a view by more than its test inputs explain?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.discover import unknown
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.metrics.compare import Interval, paired_bootstrap
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for, headline_score
from bench.scenarios.base import Scenario, scored, why_not
from bench.scores import Score, all_scores
from bench.store.records import OWN, RANKED_BY


class Difference(NamedTuple):
    """AUROC of the first method minus that of the second, on one view within one seed."""

    seed: int
    scenario: str
    view: str
    interval: Interval


def differences(
    jobs: Sequence[Job], settings: Settings, console: Console, score: str = RANKED_BY
) -> Iterator[tuple[str, Difference]]:
    """Yield (data set, difference) for each view that both methods of the plan were shown.

    Both are judged by ``score``, or each by its own ("own"). Views made against one method
    alone, such as white-box attacks, are not paired and are left out.

    Raises:
        UsageError: the plan does not hold exactly two methods, or a method has no such score.
        UnknownNameError: there is no such score.
    """
    if score not in (known := all_scores()) and score != OWN:
        raise unknown("score", score, [*known, OWN])
    labels = list(dict.fromkeys(job.label for job in jobs))
    if len(labels) != 2:
        raise UsageError(f"compare takes two methods, not {len(labels)}: {', '.join(labels)}")
    places = dict.fromkeys((job.data, job.seed) for job in jobs)
    for data, seed in places:
        pair = [job for job in jobs if (job.data, job.seed) == (data, seed)]
        evaluators = [_evaluator(job, settings, console) for job in pair]
        for scenario in pair[0].scenarios:
            for one in _on(scenario, evaluators, score):
                yield data.label, one


def _evaluator(job: Job, settings: Settings, console: Console) -> Evaluator:
    return Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))


def _score(evaluator: Evaluator, name: str) -> Score:
    if name == OWN:
        name = headline_score(evaluator) or RANKED_BY
    score = all_scores()[name]
    if reason := why_not(score, evaluator.predict(evaluator.clean)):
        raise UsageError(f"{evaluator.label} has no {name}, which {reason}; choose another with --score")
    return score


def _on(scenario: Scenario, evaluators: Sequence[Evaluator], name: str) -> Iterator[Difference]:
    first, second = (scenario.views(evaluator).found for evaluator in evaluators)
    scores = [_score(evaluator, name) for evaluator in evaluators]
    shown_to_both = {(view.name, view.fingerprint) for view in second}
    for view in first:
        if (view.name, view.fingerprint) in shown_to_both:
            sides = [
                scored(score, evaluator.predict(which))
                for evaluator, score in zip(evaluators, scores, strict=True)
                for which in (evaluator.clean, view)
            ]
            label = f"{view.name} {view.severity:g}" if view.severity else view.name
            yield Difference(evaluators[0].seed, scenario.name, label, paired_bootstrap(*sides))
