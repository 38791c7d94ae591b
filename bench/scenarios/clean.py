"""How good predictions are on inputs like those trained on, and whether errors look unsure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from bench.datasets.base import View
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.metrics import selective
from bench.metrics.calibration import ece_noise_floor
from bench.metrics.classification import errors, judged
from bench.scenarios.base import Scenario, Views, answers, applicable, scored
from bench.scores import Score
from bench.store.schema import Headline, Row


class Clean(Scenario):
    """Accuracy, likelihood, calibration and misclassification on the official test part."""

    name = "clean"
    source = "Wu et al. 2021, tables 1 and 4a"
    question = "Is it right, does it know how often, and is it less sure where it is wrong?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "audio", "calibration", "paper"})

    def headlines(self) -> Sequence[Headline]:
        return [Headline("accuracy", "accuracy", order=80), Headline("ECE", "ece", order=80)]

    def views(self, evaluator: Evaluator) -> Views:
        return Views([], {})

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        prediction = evaluator.predict(evaluator.clean)
        yield from clean_rows(prediction, evaluator.test.y, evaluator.method.point_prediction)


def clean_rows(prediction: Prediction, y: Tensor, answer: str) -> Iterator[Row]:
    """Yield quality by each answer, and by each score whether errors of ``answer`` look unsure."""
    for name, probs in answers(prediction).items():
        floor = {"ece_noise_floor": ece_noise_floor(probs)}
        yield Row("clean", len(y), judged(probs, y) | floor, name)
    wrong = errors(answers(prediction)[answer], y).T.flatten()
    for score in applicable(prediction):
        metrics = selective.misclassification(by_target(score, prediction), wrong)
        yield Row("clean", len(y), metrics, score.name)


def by_target(score: Score, prediction: Prediction) -> Tensor:
    """Return the uncertainty about each target of each input, target by target, (T * N,).

    A score that is not made of samples or logits alone says the same of all targets of an input,
    and so does one that has learned from all of them together.
    """
    targets = prediction.probs.shape[2]
    apart = score.needs in ("samples", "logits") and (score.fit is None or score.each_target)
    if targets == 1 or not apart:
        return scored(score, prediction).repeat(targets)
    logits, fit_score = prediction.logits, prediction.fit_score
    parts = [
        Prediction(
            prediction.probs[:, :, [t]], None if logits is None else logits[:, [t]],
            fit_score=fit_score,
        )
        for t in range(targets)
    ]  # fmt: skip
    return torch.cat([scored(score, part) for part in parts])
