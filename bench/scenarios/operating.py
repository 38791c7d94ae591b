"""At which value to raise the alarm, and what that threshold flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from bench.datasets.base import View
from bench.fitting.evaluator import Evaluator
from bench.metrics.operating import RATES, Threshold, alarms, needed, threshold
from bench.scenarios.base import Views, scored
from bench.scenarios.shifted import CLEAN, ShiftedByScore, wrong
from bench.scores import Score
from bench.store.schema import Headline, Row

SHOWN = 5  # per cent: the rate that tables show


class Operating(ShiftedByScore):
    """Thresholds for 1, 5 and 10 % false alarms, fixed on validation inliers.

    What each flags of the test part and of every shifted view, and of the answers there that are
    still right and that are wrong; with the intervals of Clopper and Pearson. On the test part
    also the range in which the share flagged lies in 95 % of draws of validation and test part.
    """

    name = "operating"
    source = "Vovk et al. 2005; Clopper and Pearson 1934"
    question = "At which value should the alarm be raised, and what does it then flag?"
    tags: ClassVar[frozenset[str]] = frozenset({"product"})

    def headlines(self) -> Sequence[Headline]:
        all_of, right = f"flagged_{SHOWN}", f"right_flagged_{SHOWN}"
        kinds = ("near", "far", "corruption", "speech_corruption", "attack")
        return [
            Headline("flagged: test", all_of, view=CLEAN, board=False, order=60),
            *(Headline(f"flagged: {kind.replace('_', ' ')}", all_of, group=kind, board=False,
                       order=60) for kind in kinds),
            *(Headline(f"flagged and right: {kind.replace('_', ' ')}", right, group=kind,
                       board=False, order=61) for kind in kinds[2:4]),
        ]  # fmt: skip

    def views(self, evaluator: Evaluator) -> Views:
        found, missing = super().views(evaluator)
        return Views(found, {**missing, **_too_few(evaluator.validation.n)})

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        for score in self.chosen(evaluator.predict(evaluator.clean)):
            fixed = thresholds(evaluator, score)
            for view, prediction in self.each(evaluator, views):
                unsure, errors = scored(score, prediction), wrong(evaluator, prediction, view)
                metrics: dict[str, float] = {}
                for rate, at in fixed.items():
                    metrics |= alarms(at, rate, unsure, errors)
                    if view.name == CLEAN:
                        metrics |= _fixed(rate, at, view.n)
                yield Row(view.name, view.n, metrics, score.name, view.severity, view.group)


def thresholds(evaluator: Evaluator, score: Score) -> dict[int, Threshold]:
    """Return the threshold of each rate that there are validation inliers enough for."""
    return {
        rate: fixed_threshold(evaluator, score, rate / 100)
        for rate in RATES
        if evaluator.validation.n >= needed(rate / 100)
    }


def fixed_threshold(evaluator: Evaluator, score: Score, rate: float) -> Threshold:
    """Return the threshold of a score for a false-alarm rate, fixed on the validation part.

    Raises:
        ValueError: an uncertainty is NaN or infinite; names the method and the score.
        BenchError: there are too few validation inliers.
    """
    unsure = scored(score, evaluator.predict(evaluator.validation))
    try:
        return threshold(unsure, rate)
    except ValueError as error:
        raise ValueError(f"{evaluator.label}, {score.name}: {error}") from error


def _fixed(rate: int, at: Threshold, n: int) -> dict[str, float]:
    low, high = at.chance(n)
    return {f"threshold_{rate}": at.value, f"chance_{rate}_low": low, f"chance_{rate}_high": high}


def _too_few(n: int) -> dict[str, str]:
    """Return why there is no threshold for a rate, by the rate."""
    return {
        f"{rate} % false alarms": f"needs {needed(rate / 100)} validation inliers; there are {n}"
        for rate in RATES
        if n < needed(rate / 100)
    }
