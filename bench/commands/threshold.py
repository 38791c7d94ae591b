"""``bench threshold``: the value at which a product raises the alarm, and what to expect of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.commands.chosen import check_score, score_of
from bench.errors import BenchError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.metrics.detection import as_vector
from bench.metrics.operating import Threshold, check_rate, share
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for
from bench.scenarios.base import scored
from bench.scenarios.operating import fixed_threshold


class Alarm(NamedTuple):
    """A threshold of one fitted method, and what it flags of test inliers.

    Args:
        data: the data set.
        method: its label.
        seed: of the fit.
        score: what is compared with the threshold.
        rate: the false-alarm rate asked for.
        at: the threshold.
        n: number of test inliers.
        flagged: share of them that is flagged, with both ends of its 95 % interval.
    """

    data: str
    method: str
    seed: int
    score: str
    rate: float
    at: Threshold
    n: int
    flagged: tuple[float, float, float]

    def lines(self) -> Iterator[str]:
        """Yield what to put into a product, and what stands behind it."""
        flagged, low, high = (100 * x for x in self.flagged)
        least, most = (100 * x for x in self.at.chance(self.n))
        where = f"{self.data} {self.method} seed {self.seed}"
        yield f"{where}: alarm if {self.score} > {self.at.value!r}"
        yield (
            f"  at most {100 * self.rate:g} % false alarms expected: number {self.at.rank} of "
            f"{self.at.n} validation inliers, least uncertain first"
        )
        yield (
            f"  of {self.n} test inliers it flags {flagged:.1f} % [{low:.1f}, {high:.1f}]; in 95 % "
            f"of draws of both parts that is {least:.1f} to {most:.1f} %"
        )


def alarms(
    jobs: Sequence[Job], settings: Settings, console: Console, *, rate: float, score: str
) -> Iterator[Alarm]:
    """Yield the threshold of each job's method, fitting it if need be.

    Raises:
        UnknownNameError: there is no such score.
        BenchError: a method lacks it, it is not finite, or there are too few validation inliers.
    """
    check_score(score)
    for job in jobs:
        fitter = fitter_for(job, settings, console)
        check_rate(rate, len(fitter.splits.val))  # before anything is fitted
        yield _alarm(Evaluator(job.label, job.method, job.seed, fitter), rate, score)


def _alarm(evaluator: Evaluator, rate: float, name: str) -> Alarm:
    chosen = score_of(evaluator, name)
    try:
        at = fixed_threshold(evaluator, chosen, rate)
        unsure = as_vector(scored(chosen, evaluator.predict(evaluator.clean)), "test uncertainties")
    except ValueError as error:
        raise BenchError(f"{evaluator.label}, {chosen.name}: {error}") from error
    return Alarm(
        evaluator.data.label, evaluator.label, evaluator.seed, chosen.name, rate, at, len(unsure),
        share(unsure > at.value),
    )  # fmt: skip
