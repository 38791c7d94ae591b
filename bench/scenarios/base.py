"""What every scenario provides, and what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from bench.datasets.base import Dataset, View, generator
from bench.datasets.named import Named, Value
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.metrics.classification import judged
from bench.metrics.detection import detection
from bench.scores import Evidence, Score, Unavailable, all_scores
from bench.store.schema import Headline, Row


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

    def family(self, view: View) -> str:
        """Return the family of a view: ranks are averaged within families, which count once each.

        Views that would be flagged or missed together are one family, such as all corruptions.
        """
        return self.name

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
            yield from self.rows(inliers, evaluator.predict(view), view, evaluator.label)

    def rows(
        self, inliers: Prediction, outliers: Prediction, view: View, label: str
    ) -> Iterator[Row]:
        """Yield detection of a view by every score, and accuracy where its labels still hold."""
        for score in applicable(inliers):
            yield self._row(view, score.name, detect(score, inliers, outliers, label, view))
        if view.y is not None:
            for name, probs in answers(outliers).items():
                yield self._row(view, name, judged(probs, view.y))

    def _row(self, view: View, score: str, metrics: dict[str, float]) -> Row:
        return Row(view.name, view.n, metrics, score, view.severity, view.group, self.family(view))


def applicable(prediction: Prediction) -> list[Score]:
    """Return the scores that can be computed from a prediction."""
    return [score for score in all_scores().values() if why_not(score, prediction) is None]


def unavailable(prediction: Prediction) -> dict[str, str]:
    """Return why each score that cannot be computed from a prediction is left out, by name."""
    reasons = {name: why_not(score, prediction) for name, score in all_scores().items()}
    return {name: why for name, why in reasons.items() if why is not None}


def why_not(score: Score, prediction: Prediction) -> str | None:
    """Return why a score cannot be computed from a prediction, or None if it can."""
    try:
        _values(score, prediction)
        _learned(score, prediction)
    except Unavailable as error:
        return str(error)
    return None


def scored(score: Score, prediction: Prediction) -> Tensor:
    """Return the uncertainty of each input, (N,), float64; computed once a prediction.

    Raises:
        Unavailable: the prediction lacks what the score needs, or it could learn nothing.
    """
    if score.name not in prediction.scores:
        if why := why_not(score, prediction):
            raise Unavailable(f"score {score.name} {why}")
        values, learned = _values(score, prediction), _learned(score, prediction)
        prediction.scores[score.name] = score(values, learned)
    return prediction.scores[score.name]


def _values(score: Score, prediction: Prediction) -> Tensor | Evidence:
    """Return the part of a prediction that a score takes."""
    features, logits, extras = prediction.features, prediction.logits, prediction.extras
    if score.needs == "samples":
        return prediction.probs
    if score.needs == "logits" and logits is not None:
        return logits
    if features is not None and logits is not None:
        if score.needs == "features":
            return Evidence(features, logits)
        wanted = score.needs.split("+")
        if all(name in extras for name in wanted):
            return Evidence(features, logits, extras={name: extras[name] for name in wanted})
    what = score.needs.replace("_", " ").replace("+", " and ")
    raise Unavailable(f"needs {what}, and the method gives none")


def _learned(score: Score, prediction: Prediction) -> Any:
    """Return what a score learned from its part of the data; None if it learns nothing."""
    if score.fit is None:
        return None
    if prediction.fit_score is None:
        raise Unavailable("needs training data, and there is none")
    return prediction.fit_score(score)


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
