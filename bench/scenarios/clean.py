"""How good the answers are on inputs like those trained on, and whether errors look unsure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from bench.metrics import selective
from bench.metrics.calibration import ece_noise_floor
from bench.prediction import Prediction
from bench.rows import Row
from bench.scores import Score
from bench.subject import Subject
from datasets.base import View

from .base import Scenario, Views, answers, applicable, judged, scored


class Clean(Scenario):
    """Accuracy, likelihood, calibration and misclassification on the official test part."""

    name = "clean"
    source = "Wu et al. 2021, tables 1 and 4a"
    question = "Is it right, does it know how often, and is it less sure where it is wrong?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "audio", "calibration", "paper"})

    def views(self, subject: Subject) -> Views:
        return Views([], {})

    def measure(self, subject: Subject, views: Sequence[View]) -> Iterator[Row]:
        said, y = subject.predict(subject.clean), subject.test.y
        for name, probs in answers(said).items():
            floor = {"ece_noise_floor": ece_noise_floor(probs)}
            yield Row("clean", name, judged(probs, y) | floor, len(y))
        errors = self._errors(subject, said, y)
        for score in applicable(said):
            found = selective.misclassification(by_target(score, said), errors)
            defined = {name: value for name, value in found.items() if value is not None}
            yield Row("clean", score.name, defined, len(y))

    @staticmethod
    def _errors(subject: Subject, said: Prediction, y: Tensor) -> Tensor:
        probs = answers(said)[subject.method.answers_with]
        return (probs.argmax(dim=-1) != y).T.flatten()


def by_target(score: Score, said: Prediction) -> Tensor:
    """Return the uncertainty about each target of each input, target by target, (T * N,)."""
    targets = said.probs.shape[2]
    if targets == 1:
        return scored(score, said)
    logits = said.logits
    parts = [
        Prediction(said.probs[:, :, [t]], None if logits is None else logits[:, [t]])
        for t in range(targets)
    ]
    return torch.cat([scored(score, part) for part in parts])
