"""Likelihoods of inputs from other data sets, and what their means and variances foretell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from torch import Tensor

from bench.datasets.base import View, as_floats
from bench.errors import BenchError
from bench.fitting.evaluator import Evaluator
from bench.scenarios.cross_dataset import CrossDataset
from bench.store.schema import Headline, Row

BITS = "bits_per_dim"  # the evidence that a method needs


class Likelihoods(CrossDataset):
    """The views of `cross_dataset` by methods that model the inputs, with bits and variances.

    `variance_gap` is sum Var(outliers) / sum Var(inliers) - 1, sums over pixels. By the source's
    second-order formula, for a flow of constant volume with a normal z and images of one channel
    with the same mean, E log p(outliers) - E log p(inliers) is proportional to minus it: where it
    is negative, outliers get the higher likelihood.
    """

    name = "likelihoods"
    source = "Nalisnick et al. 2019, arXiv:1810.09136, eq. 5"
    question = "Does a model of the inputs give those of another world a higher likelihood?"
    tags: ClassVar[frozenset[str]] = frozenset({"neighbours"})
    asked_for = "it is about methods that model the inputs"

    def headlines(self) -> Sequence[Headline]:
        scores = {
            "likelihood": "likelihood", "complexity_corrected": "less PNG",
            "likelihood_ratio": "ratio", "atypicality": "typicality", "waic": "WAIC",
        }  # fmt: skip
        return [
            Headline(f"{label}, {group}", group=group, score=score, board=False, order=48)
            for score, label in scores.items()
            for group in ("near", "far")
        ]

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        clean = evaluator.clean
        if BITS not in evaluator.predict(clean).extras:
            raise BenchError(
                f"{evaluator.label} has no likelihood; methods that do: --methods likelihoods"
            )
        yield from super().measure(evaluator, views)
        known = float(evaluator.predict(clean).extras[BITS].double().mean())
        inliers = variance(clean.load())
        for view in views:
            gap = variance(view.load()) / inliers - 1
            bits = float(evaluator.predict(view).extras[BITS].double().mean())
            metrics = {BITS: bits, "bits_inliers": known, "variance_gap": gap}
            yield self._row(view, "", metrics)


def variance(x: Tensor) -> float:
    """Return the variance over inputs (N, C, H, W), summed over pixels of values in [0, 1]."""
    return float(as_floats(x).flatten(1).double().var(0, correction=0).sum())
