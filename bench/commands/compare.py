"""``bench compare``: do two methods differ on a view by more than its inputs and seeds explain?

Of one seed, two models are compared, over the test inputs alone. Of several, two methods are: over
seeds and inputs together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from bench.commands.chosen import check_score, score_of
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.metrics.compare import (
    Differences,
    Interval,
    over_inputs,
    over_seeds_and_inputs,
    resampled_differences,
)
from bench.report import stats
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for
from bench.scenarios.base import Scenario, scored
from bench.store.schema import RANKED_BY


class Difference(NamedTuple):
    """AUROC of the first method minus that of the second, on one view.

    Args:
        data: the data set.
        seeds: one, where two models are compared; several, where two methods are.
        scenario: its label.
        view: its name and severity.
        interval: over inputs, or over seeds and inputs.
        told: whether the two are told apart; of those told apart among the views compared
            together, at most 5 % are so by chance (Benjamini and Hochberg 1995).
    """

    data: str
    seeds: tuple[int, ...]
    scenario: str
    view: str
    interval: Interval
    told: bool = False

    @property
    def could_see(self) -> float:
        """The smallest difference that this many seeds and inputs show with a power of 80 %."""
        inputs = stats.smallest_difference(math.inf) * self.interval.inputs
        seeds = stats.smallest_difference(self.interval.freedom) * self.interval.seeds
        return math.hypot(inputs, seeds)


def differences(
    jobs: Sequence[Job], settings: Settings, console: Console, score: str = RANKED_BY
) -> Iterator[Difference]:
    """Yield a difference for each view that both methods of the plan were shown.

    Those of each seed come first; of several seeds, those of all seeds follow.

    Both are judged by ``score``, or each by its own ("own"). Views made against one method
    alone, such as white-box attacks, are not paired and are left out.

    Raises:
        UsageError: the plan does not hold exactly two methods, or a method has no such score.
        UnknownNameError: there is no such score.
    """
    check_score(score)
    labels = list(dict.fromkeys(job.label for job in jobs))
    if len(labels) != 2:
        raise UsageError(f"compare takes two methods, not {len(labels)}: {', '.join(labels)}")
    for data in dict.fromkeys(job.data for job in jobs):
        known: dict[tuple[str, str], dict[int, Differences]] = {}
        for seed in dict.fromkeys(job.seed for job in jobs if job.data == data):
            pair = [job for job in jobs if (job.data, job.seed) == (data, seed)]
            evaluators = [_evaluator(job, settings, console) for job in pair]
            found = []
            for scenario in pair[0].scenarios:
                for view, drawn in _on(scenario, evaluators, score):
                    place = data.label, (seed,), scenario.label, view
                    found.append(Difference(*place, over_inputs(drawn)))
                    known.setdefault((scenario.label, view), {})[seed] = drawn
            yield from _told(found)
        yield from _told(_of_all_seeds(data.label, known))


def _of_all_seeds(
    data: str, known: Mapping[tuple[str, str], Mapping[int, Differences]]
) -> Iterator[Difference]:
    """Yield the difference of the methods on each view that two seeds or more have in common."""
    for (scenario, view), by_seed in known.items():
        drawn = list(by_seed.values())
        if len(drawn) > 1 and len({one.sizes for one in drawn}) == 1:
            interval = over_seeds_and_inputs(drawn)
            yield Difference(data, tuple(by_seed), scenario, view, interval)


def _told(found: Iterable[Difference]) -> list[Difference]:
    """Say which of the differences that are compared together are told from none."""
    found = list(found)
    p = np.array([[one.interval.p] for one in found])
    told = stats.false_discoveries(p, np.ones_like(p, dtype=bool)) if found else p
    return [one._replace(told=bool(yes)) for one, yes in zip(found, told, strict=True)]


def _evaluator(job: Job, settings: Settings, console: Console) -> Evaluator:
    return Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))


def _on(
    scenario: Scenario, evaluators: Sequence[Evaluator], name: str
) -> Iterator[tuple[str, Differences]]:
    first, second = (scenario.views(evaluator).found for evaluator in evaluators)
    scores = [score_of(evaluator, name) for evaluator in evaluators]
    shown_to_both = {(view.name, view.fingerprint) for view in second}
    for view in first:
        if (view.name, view.fingerprint) in shown_to_both:
            sides = [
                scored(score, evaluator.predict(which))
                for evaluator, score in zip(evaluators, scores, strict=True)
                for which in (evaluator.clean, view)
            ]
            label = f"{view.name} {view.severity:g}" if view.severity else view.name
            yield label, resampled_differences(*sides)
