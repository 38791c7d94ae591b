"""Compositions of corruptions, by methods that have seen each corruption alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import Dataset, View, fingerprint, generator
from bench.datasets.elemental import ELEMENTAL, Elemental, chain
from bench.datasets.named import Value
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.metrics.classification import judged
from bench.metrics.detection import detection
from bench.scenarios.base import ShiftScenario, Views, answers, applicable, detect, scored
from bench.scenarios.corruption import Recorded, libraries, recorded
from bench.store.code import code_digest
from bench.store.schema import PROBED, Headline, Row

NUMBERS = ("no corruption", "one corruption", "two corruptions", "three corruptions")
ALL = "all together"  # the view of what is measured over all views
THEN = " then "

Order = tuple[str, ...]


class Composed(ShiftScenario):
    """Fits on images plain and under each of six corruptions; tests on two and three in turn.

    Inliers are the plain test images, as everywhere. One corruption is of a kind that training
    has shown; two and three are new. `standard` is the paper's ERM here. A method that can be told
    the order of the corruptions, such as `modular`, is told it.

    `growth` is Spearman's correlation of the uncertainty of an input with the number of its
    corruptions, nought to three. `invariance` is the mean cosine of the features of an image under
    the corruptions with those of the same image without, the mean of all plain images subtracted.

    Args:
        images: most training images, each seen in seven versions.
        pairs: ordered pairs of corruptions, drawn by a seed made from names; there are 30.
        triples: the same of triples; there are 120.
    """

    name = "composed"
    source = "Mason et al. 2023, arXiv:2306.09005"
    question = "Is it right, or at least less sure, when corruptions that it knows come together?"
    tags: ClassVar[frozenset[str]] = frozenset({"neighbours"})
    asked_for = "it makes a fit on corrupted images"
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {
        "smoke": {"images": 200, "pairs": 1, "triples": 1},
        "paper": {"images": 100_000, "pairs": 30, "triples": 120},
    }
    minimum: ClassVar[Mapping[str, float]] = {"images": 20, "pairs": 0, "triples": 0}

    def __init__(
        self, *, images: int = 5000, pairs: int = 8, triples: int = 8, **inherited: Any
    ) -> None:
        super().__init__(**inherited)
        self.images = images
        self.pairs = pairs
        self.triples = triples

    def headlines(self) -> Sequence[Headline]:
        new = NUMBERS[2:]
        return [
            *(Headline(f"accuracy, {n}", "accuracy", group=n, order=44) for n in new),
            *(Headline(n, group=n, order=45) for n in new),
            Headline("growth", "growth", view=ALL, order=46),
        ]

    def skip(self, data: Dataset) -> str | None:
        if data.modality != "image":
            return "these are corruptions of images"
        if type(data).splits is not Dataset.splits:
            return f"the validation part of {data.name} is its own"
        return None

    def training(self, data: Dataset) -> Sequence[Dataset]:
        return [Elemental(data, self.images)]

    def views(self, evaluator: Evaluator) -> Views:
        rows = self._rows(evaluator)
        originals = recorded(evaluator.data, evaluator.test)
        orders = self._orders(evaluator.data)
        return Views([self._view(order, originals, rows) for order in orders], {})

    def _rows(self, evaluator: Evaluator) -> Tensor:
        # The same images under every composition, so that views differ in nothing else.
        n = len(evaluator.test)
        return self.drawn(n, n, evaluator.data.name, self.name)

    def _orders(self, data: Dataset) -> list[Order]:
        """Return each corruption alone, and the pairs and triples that are drawn, in order."""
        found: list[Order] = [(name,) for name in ELEMENTAL]
        for number, most in ((2, self.pairs), (3, self.triples)):
            every = list(permutations(ELEMENTAL, number))
            draw = generator("composed", number)
            chosen = torch.randperm(len(every), generator=draw)[:most].sort().values
            found += [every[i] for i in chosen.tolist()]
        return found

    def _view(self, order: Order, originals: Recorded, rows: Tensor) -> View:
        data, test = originals.data, originals.test
        code = code_digest("bench.datasets.elemental", "bench.datasets.corruptions")

        def load() -> Tensor:
            return data.transform(chain(originals.load()[rows], order, data.name, "test"))

        return View(
            THEN.join(order), fingerprint(originals.fingerprint, rows, order, code, libraries()),
            len(rows), load, test.y[rows], float(len(order)), NUMBERS[len(order)],
        )  # fmt: skip

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        plain = evaluator.predict(evaluator.clean)
        said = {view.name: told(evaluator, view) for view in views}
        labels = evaluator.test.y[self._rows(evaluator)]
        for view in views:
            for score in applicable(plain):
                metrics = detect(score, plain, said[view.name], evaluator.label, view)
                metrics["mean_uncertainty"] = float(scored(score, said[view.name]).mean())
                yield self._row(view, score.name, metrics)
            for name, probs in answers(said[view.name]).items():
                yield self._row(view, name, judged(probs, labels))
        yield from self._together(plain, views, said)
        yield from self._invariance(evaluator, plain, views, said)

    def _together(
        self, plain: Prediction, views: Sequence[View], said: Mapping[str, Prediction]
    ) -> Iterator[Row]:
        """Yield detection over all views, and how uncertainty goes with the number."""
        from scipy.stats import spearmanr  # most of a second that a listing does not need

        sizes = [len(plain.probs), *(view.n for view in views)]
        numbers = np.repeat([0.0, *(view.severity for view in views)], sizes)
        for score in applicable(plain):
            inliers = scored(score, plain)
            outliers = torch.cat([scored(score, said[view.name]) for view in views])
            metrics = detection(inliers, outliers)
            unsure = torch.cat([inliers, outliers])
            if unsure.min() < unsure.max():  # of equal numbers there is no correlation
                metrics["growth"] = float(spearmanr(numbers, unsure.numpy()).statistic)
            yield Row(ALL, len(outliers), metrics, score.name, family=self.name)

    def _invariance(
        self, evaluator: Evaluator, plain: Prediction, views: Sequence[View],
        said: Mapping[str, Prediction],
    ) -> Iterator[Row]:  # fmt: skip
        """Yield how alike the features of an image are with and without corruptions."""
        if plain.features is None:
            return
        rows = self._rows(evaluator)
        for view in views:
            features = said[view.name].features
            assert features is not None
            value = invariance(plain.features, rows, features)
            yield self._row(view, PROBED, {"invariance": value})


def told(evaluator: Evaluator, view: View) -> Prediction:
    """Return the prediction of a view by a method that is told the order, if it can be."""
    method = evaluator.method
    if "order" not in method.predict_only or method.params().get("select") == "auto":
        return evaluator.predict(view)
    return evaluator.told(order=tuple(view.name.split(THEN))).predict(view)


def invariance(plain: Tensor, rows: Tensor, changed: Tensor) -> float:
    """Return the mean cosine of features (n, F) with those of the same plain images.

    Args:
        plain: features of all plain images (N, F); their mean is subtracted from both.
        rows: which of them were changed, (n,).
        changed: features of the changed images.
    """
    mean = plain.double().mean(0)
    a, b = plain[rows].double() - mean, changed.double() - mean
    return float(torch.nn.functional.cosine_similarity(a, b, dim=1).mean())
