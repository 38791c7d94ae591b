"""What every scenario provides, and what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from bench.datasets.base import Dataset, View, generator
from bench.datasets.named import Named, Value
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.metrics.classification import judged
from bench.metrics.detection import detection
from bench.scores import Evidence, Score, all_scores
from bench.store.records import Headline, Row


class Views(NamedTuple):
    """The views a scenario measures, and those it could not get, with reasons."""

    found: Sequence[View]
    missing: Mapping[str, str]


class Scenario(Named, ABC):
    """A question with numbers for an answer.

    A new scenario is one new file: a subclass with `name`, `source`, `question`, `tags`,
    `views` and `measure`, and where the defaults do not fit `detects` and `headlines`. Adding a
    score or a view never runs a network on inputs it has seen.
    """

    question: ClassVar[str]
    detects: ClassVar[bool] = False  # whether its views are outliers that a score should flag
    references: ClassVar[tuple[str, ...]] = ()  # other methods whose fits it needs

    def headlines(self) -> Sequence[Headline]:
        """Return the quantities that sum it up: columns of the leaderboard and of its own table."""
        return [Headline(self.name.replace("_", " "))] if self.detects else []

    def skip(self, data: Dataset) -> str | None:
        """Return why the question makes no sense for ``data``, or None."""
        return None

    def named_only(self, data: Dataset) -> bool:
        """Return whether a tag does not mean it for ``data``: then it is run where it is named."""
        return False

    def training(self, data: Dataset) -> Sequence[Dataset]:
        """Return the data sets to fit on: ``data`` itself, or versions with parts held out."""
        return [data]

    @abstractmethod
    def views(self, evaluator: Evaluator) -> Views:
        """List the views beside the clean one; nothing is computed before a view is loaded."""

    @abstractmethod
    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        """Yield every number for one fitted method."""


class ShiftScenario(Scenario):
    """A scenario that compares shifted inputs with the clean test part.

    Args:
        cap: most inputs of any one view, drawn by a seed made from names.
    """

    detects = True
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "smoke": {"cap": 64},
        "laptop": {"cap": 2000},
        "paper": {"cap": 10_000},
    }
    minimum: ClassVar[Mapping[str, float]] = {"cap": 1}

    def __init__(self, *, cap: int = 2000) -> None:
        self.cap = cap

    def drawn(self, n: int, test_size: int, *names: object) -> Tensor:
        """Return which of ``n`` inputs to use, in order: at most ``cap`` and the test's size."""
        size = min(n, self.cap, test_size)
        return torch.randperm(n, generator=generator("drawn", *names))[:size].sort().values

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        """Yield detection for every view and score, and accuracy where labels still hold."""
        inliers = evaluator.predict(evaluator.clean)
        for view in views:
            yield from shift_rows(inliers, evaluator.predict(view), view, evaluator.label)


def shift_rows(inliers: Prediction, outliers: Prediction, view: View, label: str) -> Iterator[Row]:
    """Yield detection of a view by every score, and accuracy where its labels still hold."""
    for score in applicable(inliers):
        yield _row(view, score.name, detect(score, inliers, outliers, label, view))
    if view.y is not None:
        for name, probs in answers(outliers).items():
            yield _row(view, name, judged(probs, view.y))


def applicable(prediction: Prediction) -> list[Score]:
    """Return the scores that can be computed from a prediction."""
    return [s for s in all_scores().values() if _values(s, prediction) is not None]


def scored(score: Score, prediction: Prediction) -> Tensor:
    """Return the uncertainty of each input, (N,), float64; computed once a prediction."""
    if score.name not in prediction.scores:
        values = _values(score, prediction)
        if values is None:
            raise ValueError(f"score {score.name} needs {score.needs}, and the method gives none")
        fitted = prediction.fit_score(score) if score.fit and prediction.fit_score else None
        prediction.scores[score.name] = score(values, fitted)
    return prediction.scores[score.name]


def _values(score: Score, prediction: Prediction) -> Tensor | Evidence | None:
    """Return the part of a prediction that a score takes, or None where there is none."""
    if score.needs == "samples":
        return prediction.probs
    if score.needs == "logits":
        return prediction.logits
    features, logits = prediction.features, prediction.logits
    if features is None or logits is None or (score.fit and prediction.fit_score is None):
        return None
    return Evidence(features.double(), logits.double())


def detect(
    score: Score, inliers: Prediction, outliers: Prediction, label: str, view: View
) -> dict[str, float]:
    """Return every detection metric of one score on one view."""
    try:
        return detection(scored(score, inliers), scored(score, outliers))
    except ValueError as error:
        raise ValueError(f"{label}, {score.name} on {view.name}: {error}") from error


def answers(prediction: Prediction) -> dict[str, Tensor]:
    """Return the probabilities (N, T, K) that can be a method's point prediction, by name."""
    single = prediction.by_single
    found = {"samples": prediction.by_samples}
    return found if single is None else found | {"single": single}


def _row(view: View, score: str, metrics: dict[str, float]) -> Row:
    return Row(view.name, view.n, metrics, score, view.severity, view.group)
