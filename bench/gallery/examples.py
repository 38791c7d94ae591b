"""Inputs to look at: a few test inputs under every shift that is measured, and a few outliers.

None is chosen by its looks: they are the first of each class, the first mistakes, the first
outliers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

import bench.scenarios
from bench.datasets.base import Dataset, Split, View, as_bytes, fingerprint
from bench.discover import subclasses
from bench.errors import UsageError
from bench.fitting.attacks import fgsm_direction, perturbed
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.running.run import headline_score
from bench.scenarios.base import ShiftScenario
from bench.scenarios.cross_dataset import foreign, outlier_sources
from bench.scores import Score, all_scores


def must_have_pictures(data: Dataset) -> None:
    """Raise where no input can be looked at.

    Raises:
        UsageError: ``data`` is a table.
    """
    if data.modality == "table":
        raise UsageError(
            f"{data.label} is a table of answers with nothing to look at; "
            "name a data set of images or sounds"
        )


@dataclass(frozen=True)
class Examples:
    """Inputs of one group: what happened to them, and to which of the test part.

    Args:
        group: "clean", "mistakes", "corrupted", "adversarial" or "outliers".
        name: the view they come from, such as "fog", "fgsm 0.2" or "letters".
        x: bytes (n, C, H, W).
        y: labels (n, T), or None where no class applies.
        rows: which test inputs they are or were, (n,), or None.
    """

    group: str
    name: str
    x: Tensor
    y: Tensor | None = None
    rows: Tensor | None = None

    @property
    def view(self) -> View:
        """These inputs as a view that an evaluator can predict."""
        return View(self.name, fingerprint("examples", self.x), len(self.x), lambda: self.x, self.y)


def one_of_each_class(test: Split, most: int) -> Tensor:
    """Return the first test input of each class, (n,) with n <= ``most``.

    Of many targets there is no one of each: then these are the first test inputs.
    """
    if test.y.shape[1] > 1:
        return torch.arange(min(most, len(test)))
    y = test.y[:, 0]
    return torch.stack([(y == c).nonzero()[0, 0] for c in y.unique()[:most]])


def clean(test: Split, rows: Tensor, group: str = "clean") -> Examples:
    """Return test inputs as they are."""
    return Examples(group, group, as_bytes(test.x[rows]), test.y[rows], rows)


def mistakes(evaluator: Evaluator, most: int) -> Examples:
    """Return the first test inputs whose point prediction is wrong for the first target."""
    probs = point_prediction(evaluator, evaluator.predict(evaluator.clean))
    wrong = probs[:, 0].argmax(-1) != evaluator.test.y[:, 0]
    return clean(evaluator.test, wrong.nonzero()[:most, 0], "mistakes")


def point_prediction(evaluator: Evaluator, prediction: Prediction) -> Tensor:
    """Return the probabilities (N, T, K) of the method's point prediction, float64."""
    single = prediction.by_single if evaluator.method.point_prediction == "single" else None
    return prediction.by_samples if single is None else single


def headline(evaluator: Evaluator) -> Score:
    """Return the score the method is ranked by."""
    name = headline_score(evaluator)
    if name is None:
        raise UsageError(f"{evaluator.label} gave no probabilities on the clean test part")
    return all_scores()[name]


def corruption_views(evaluator: Evaluator) -> Iterator[View]:
    """Yield every corruption of the whole test part, each kind at its greatest severity."""
    strongest: dict[str, View] = {}
    for cls in subclasses(bench.scenarios, ShiftScenario).values():
        scenario = cls(**cls.defaults() | {"cap": len(evaluator.test)})  # type: ignore[arg-type]
        if "corruption" not in cls.name or scenario.skip(evaluator.data):
            continue
        for view in scenario.views(evaluator).found:
            known = strongest.get(view.name)
            if known is None or view.severity > known.severity:
                strongest[view.name] = view
    yield from (view for view in strongest.values() if view.n == len(evaluator.test))


def corrupted(evaluator: Evaluator, rows: Tensor, most: int | None = None) -> list[Examples]:
    """Return the given test inputs under every corruption, or under ``most`` of them."""
    views = list(corruption_views(evaluator))
    if most is not None and len(views) > most:
        views = [views[i * len(views) // most] for i in range(most)]
    y = evaluator.test.y[rows]
    return [Examples("corrupted", v.name, as_bytes(v.load()[rows]), y, rows) for v in views]


def adversarial(evaluator: Evaluator, rows: Tensor, strengths: tuple[float, ...]) -> list[Examples]:
    """Return the given test inputs after FGSM on the method's own classifier."""
    classifier, device = evaluator.fitted().method.single_classifier(), evaluator.fitter.device
    x, y = evaluator.test.floats(rows).contiguous(), evaluator.test.y[rows]
    direction = fgsm_direction(classifier, x.to(device), y.to(device)).cpu()
    return [
        Examples("adversarial", f"fgsm {eps:g}", as_bytes(perturbed(x, direction, eps)), y, rows)
        for eps in strengths
    ]


def outliers(evaluator: Evaluator, most: int) -> list[Examples]:
    """Return inputs spread over every outlier source; none shows a person."""
    groups = []
    for source in outlier_sources(evaluator.data):
        split = foreign(evaluator.data, source) if not source.shows_people else "shows people"
        if isinstance(split, Split):
            rows = torch.linspace(0, len(split) - 1, most + 2)[1:-1].long()
            groups.append(Examples("outliers", source.name, as_bytes(split.x[rows])))
    return groups
