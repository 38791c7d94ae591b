"""How far probabilities can be taken at their word after they were calibrated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from torch import Tensor

from bench.datasets.base import View
from bench.fitting.evaluator import Evaluator
from bench.fitting.recalibration import (
    FITS,
    Recalibration,
    TemperatureScaling,
    recalibrations,
)
from bench.metrics.calibration import ece_noise_floor
from bench.metrics.classification import judged
from bench.scenarios.shifted import CLEAN, Shifted, point
from bench.store.schema import Headline, Row

BEFORE = "before"


class Recalibrated(Shifted):
    """Answers before and after temperature, vector scaling and isotonic regression.

    Each is fitted on the answers to the validation part, and applied to the test part and to every
    shifted view that has labels.
    """

    name = "recalibration"
    source = "Guo et al. 2017, arXiv:1706.04599; Zadrozny and Elkan 2002"
    question = "Does it know how often it is right once that was put right on validation data?"
    tags: ClassVar[frozenset[str]] = frozenset({"calibration", "product"})
    labelled_only = True

    def headlines(self) -> Sequence[Headline]:
        return [
            Headline(
                f"{label}: {name.replace('_', ' ')}, {where.replace('_', ' ')}", metric,
                group=where, score=name, board=False, order=82,
            )
            for where in (CLEAN, "corruption", "speech_corruption")
            for metric, label in (("ece", "ECE"), ("nll", "NLL"))
            for name in (BEFORE, *FITS)
        ]  # fmt: skip

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        maps = fitted_maps(evaluator)
        for view, prediction in self.each(evaluator, views):
            if view.y is None:
                continue
            for name, probs in calibrated(maps, point(evaluator, prediction)).items():
                metrics = judged(probs, view.y)
                if view.name == CLEAN:
                    metrics["ece_noise_floor"] = ece_noise_floor(probs)
                if view.name == CLEAN and isinstance(at := maps.get(name), TemperatureScaling):
                    metrics["temperature"] = at.at
                yield Row(view.name, view.n, metrics, name, view.severity, view.group)


def fitted_maps(evaluator: Evaluator) -> dict[str, Recalibration]:
    """Return the maps by name, fitted on a method's answers to the validation part.

    Raises:
        BenchError: the validation labels of a target are all of one class.
    """
    validation = evaluator.validation
    answers = point(evaluator, evaluator.predict(validation))
    return recalibrations(answers, evaluator.fitter.splits.val.y)


def calibrated(maps: dict[str, Recalibration], probs: Tensor) -> dict[str, Tensor]:
    """Return answers (N, T, K) as they are, "before", and through each map, by its name."""
    return {BEFORE: probs} | {name: one(probs) for name, one in maps.items()}
