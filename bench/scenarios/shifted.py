"""What asks more of the views of other scenarios: of every one that detects a shift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

import bench.scenarios
from bench.datasets.base import View
from bench.discover import subclasses, unknown
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.metrics import classification
from bench.scenarios.base import Scenario, ShiftScenario, Views, answers, why_not
from bench.scores import Score, all_scores
from bench.scores.own import own_score
from bench.store.schema import RANKED_BY

TAG = "ood"  # of the scenarios whose views are taken
CLEAN = "clean"


class Shifted(Scenario):
    """A scenario over the test part and the views of all scenarios under ``ood`` that detect.

    The views are the very ones of those scenarios, so that what is predicted for one serves the
    other. Their families, such as near, far, corruption and attack, are the groups here.

    Args:
        cap: most inputs of any one view, as in those scenarios.
    """

    presets: ClassVar = ShiftScenario.presets
    minimum: ClassVar = ShiftScenario.minimum
    labelled_only: ClassVar[bool] = False  # whether views without labels are left out

    def __init__(self, *, cap: int = 2000) -> None:
        self.cap = cap

    def views(self, evaluator: Evaluator) -> Views:
        found: dict[tuple[str, float], View] = {}
        missing: dict[str, str] = {}
        for scenario in self._shifts(evaluator):
            views = scenario.views(evaluator)
            missing |= views.missing
            for view in views.found:
                if view.y is None and self.labelled_only:
                    continue
                taken = (view.name, view.severity) in found
                name = f"{scenario.name} {view.name}" if taken else view.name
                found[name, view.severity] = replace(view, name=name, group=scenario.family(view))
        return Views([*found.values()], missing)

    def _shifts(self, evaluator: Evaluator) -> Iterator[ShiftScenario]:
        for cls in subclasses(bench.scenarios, ShiftScenario).values():
            if TAG in cls.tags:
                params: dict[str, Any] = {**cls.defaults(evaluator.fitter.preset), "cap": self.cap}
                scenario = cls(**params)
                if scenario.skip(evaluator.data) is None:
                    yield scenario

    def each(
        self, evaluator: Evaluator, views: Sequence[View]
    ) -> Iterator[tuple[View, Prediction]]:
        """Yield the test part, as the group "clean", and each view with its prediction."""
        for view in (replace(evaluator.clean, group=CLEAN), *views):
            yield view, evaluator.predict(view)


class ShiftedByScore(Shifted):
    """The same, for what depends on the score: predictive entropy, the method's own, and others.

    Args:
        scores: further scores, such as energy+knn.
    """

    def __init__(self, *, scores: tuple[str, ...] = (), **inherited: Any) -> None:
        super().__init__(**inherited)
        self.scores = scores

    def views(self, evaluator: Evaluator) -> Views:
        for name in self.scores:
            if name not in all_scores():
                raise unknown("score", name, [*all_scores()])
        return super().views(evaluator)

    def chosen(self, prediction: Prediction) -> list[Score]:
        """Return the scores that are asked for and that a prediction has."""
        names = dict.fromkeys([RANKED_BY, own_score(prediction.probs), *self.scores])
        scores = [all_scores()[name] for name in names]
        return [score for score in scores if why_not(score, prediction) is None]


def point(evaluator: Evaluator, prediction: Prediction) -> Tensor:
    """Return the probabilities (N, T, K) that are the method's answers; float64."""
    return answers(prediction)[evaluator.method.point_prediction]


def wrong(evaluator: Evaluator, prediction: Prediction, view: View) -> Tensor | None:
    """Return whether any answer to an input is wrong, (N,), or None for inputs of no class."""
    if view.y is None:
        return None
    return classification.errors(point(evaluator, prediction), view.y).any(-1)
