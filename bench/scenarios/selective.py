"""Answers that may be refused, under shift, and among inputs of no class at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from bench.datasets.base import View, generator
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.metrics import selective
from bench.metrics.classification import errors
from bench.metrics.selective import RISKS
from bench.scenarios.base import scored
from bench.scenarios.clean import by_target
from bench.scenarios.shifted import CLEAN, ShiftedByScore, point
from bench.scores import Score
from bench.store.schema import Headline, Row

KINDS = {
    CLEAN: "test", "corruption": "corruption", "speech_corruption": "speech corruption",
    "near": "wrong or near", "far": "wrong or far",
}  # fmt: skip


class Selective(ShiftedByScore):
    """Risk and coverage on the test part and every shifted view, and of wrong answers and outliers.

    A view with labels is judged by itself: the risk is the share of wrong answers. Outliers are
    joined by as many test inputs, drawn by a seed made from names, and the risk is the share of
    what is wrong or an outlier (SCOD): both should be refused.
    """

    name = "selective"
    source = "Geifman and El-Yaniv 2017, arXiv:1705.08500; Xia and Bouganis 2022, arXiv:2207.07506"
    question = "Does it refuse the answers that are wrong, and the inputs that have none?"
    tags: ClassVar[frozenset[str]] = frozenset({"product"})

    def headlines(self) -> Sequence[Headline]:
        labels = {"aurc": "AURC", "augrc": "AUGRC", "coverage_at_5": "coverage at 5 % risk"}
        return [
            Headline(f"{label}: {kind}", metric, group=group, board=False, order=84)
            for metric, label in labels.items()
            for group, kind in KINDS.items()
        ]

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        for score in self.chosen(evaluator.predict(evaluator.clean)):
            for view, prediction in self.each(evaluator, views):
                unsure, refused = asked(evaluator, score, view, prediction)
                metrics = selective.misclassification(unsure, refused)
                for risk in RISKS:
                    covered = selective.coverage_at(unsure, refused, risk / 100)
                    metrics[f"coverage_at_{risk}"] = covered
                n = view.n if view.y is not None else 2 * view.n
                yield Row(view.name, n, metrics, score.name, view.severity, view.group)


def asked(
    evaluator: Evaluator, score: Score, view: View, prediction: Prediction
) -> tuple[Tensor, Tensor]:
    """Return uncertainties and what should be refused, (M,) each, of one view.

    With labels they are of each target of each input, and wrong answers should be refused. Without,
    they are of each outlier and of as many test inputs, and outliers and wrong answers should.
    """
    if view.y is not None:
        refused = errors(point(evaluator, prediction), view.y).T.flatten()
        return by_target(score, prediction), refused
    inliers, rows = evaluator.predict(evaluator.clean), _drawn(evaluator, view)
    mistaken = errors(point(evaluator, inliers), evaluator.test.y).any(-1)
    unsure = torch.cat([scored(score, inliers)[rows], scored(score, prediction)])
    return unsure, torch.cat([mistaken[rows], torch.ones(view.n, dtype=torch.bool)])


def _drawn(evaluator: Evaluator, view: View) -> Tensor:
    """Return as many test inputs as a view has outliers; a view never has more than the test."""
    draw = generator("wrong or outlier", evaluator.data.label, view.name)
    return torch.randperm(evaluator.clean.n, generator=draw)[: view.n].sort().values
