"""How good the answers are on inputs like those trained on, and whether errors look unsure."""

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
from bench.scenarios.base import Scenario, Views, answers, applicable, judged, scored
from bench.scores import Score
from bench.store.rows import Row


class Clean(Scenario):
    """Accuracy, likelihood, calibration and misclassification on the official test part."""

    name = "clean"
    source = "Wu et al. 2021, tables 1 and 4a"
    question = "Is it right, does it know how often, and is it less sure where it is wrong?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "audio", "calibration", "paper"})

    def views(self, evaluator: Evaluator) -> Views:
        return Views([], {})

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        said, y = evaluator.predict(evaluator.clean), evaluator.test.y
        for name, probs in answers(said).items():
            floor = {"ece_noise_floor": ece_noise_floor(probs)}
            yield Row("clean", name, judged(probs, y) | floor, len(y))
        errors = self._errors(evaluator, said, y)
        for score in applicable(said):
            found = selective.misclassification(by_target(score, said), errors)
            defined = {name: value for name, value in found.items() if value is not None}
            yield Row("clean", score.name, defined, len(y))

    @staticmethod
    def _errors(evaluator: Evaluator, said: Prediction, y: Tensor) -> Tensor:
        probs = answers(said)[evaluator.method.point_prediction]
        return (probs.argmax(dim=-1) != y).T.flatten()


def by_target(score: Score, said: Prediction) -> Tensor:
    """Return the uncertainty about each target of each input, target by target, (T * N,).

    A score of features says the same of all targets of an input.
    """
    targets = said.probs.shape[2]
    if targets == 1 or score.needs == "features":
        return scored(score, said).repeat(targets)
    logits = said.logits
    parts = [
        Prediction(said.probs[:, :, [t]], None if logits is None else logits[:, [t]])
        for t in range(targets)
    ]
    return torch.cat([scored(score, part) for part in parts])
