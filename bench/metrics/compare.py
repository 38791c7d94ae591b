"""Whether two methods differ on one view by more than its test inputs explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.metrics.detection import Counts, as_vector

if TYPE_CHECKING:
    from torch import Tensor


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval."""

    estimate: float
    low: float
    high: float

    def holds_zero(self) -> bool:
        """Whether no difference at all is compatible with the data."""
        return self.low <= 0.0 <= self.high


def paired_bootstrap(
    inliers_a: Tensor | NDArray,
    outliers_a: Tensor | NDArray,
    inliers_b: Tensor | NDArray,
    outliers_b: Tensor | NDArray,
    *,
    repeats: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """AUROC of method a minus that of b on one view, with its percentile bootstrap interval.

    Row i of ``inliers_a`` and ``inliers_b`` (N,) must be the same input, and so for the outliers
    (M,). Each repeat draws N inliers and M outliers with replacement, the same ones for both
    methods, and takes both AUROCs of the draw exactly (ties half). It covers the choice of test
    inputs, not that of training seeds. Efron & Tibshirani 1993.

    Raises:
        ValueError: the two methods scored different numbers of inputs, or scores are not finite.
    """
    a, b = Resampled(inliers_a, outliers_a), Resampled(inliers_b, outliers_b)
    if (a.n, a.m) != (b.n, b.m):
        raise ValueError(f"not paired: {a.n} and {b.n} inliers, {a.m} and {b.m} outliers")
    draw = np.random.default_rng(seed)
    differences = np.empty(repeats)
    for i in range(repeats):
        inliers = np.bincount(draw.integers(a.n, size=a.n), minlength=a.n)
        outliers = np.bincount(draw.integers(a.m, size=a.m), minlength=a.m)
        differences[i] = a.auroc(inliers, outliers) - b.auroc(inliers, outliers)
    estimate = a.auroc(*a.once()) - b.auroc(*b.once())
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


class Resampled:
    """Scores of one method, sorted once; then the AUROC of any resample costs O(N + M)."""

    def __init__(self, inlier_scores: Tensor | NDArray, outlier_scores: Tensor | NDArray) -> None:
        inliers = as_vector(inlier_scores, "inlier scores")
        outliers = as_vector(outlier_scores, "outlier scores")
        self.n, self.m = len(inliers), len(outliers)
        self.order = inliers.argsort()
        ranked = inliers[self.order]
        self.below = np.searchsorted(ranked, outliers, side="left")
        self.up_to = np.searchsorted(ranked, outliers, side="right")

    def once(self) -> tuple[Counts, Counts]:
        """How often each input is drawn (N,), (M,) when the resample is the data itself."""
        return np.ones(self.n, dtype=np.int64), np.ones(self.m, dtype=np.int64)

    def auroc(self, inliers: Counts, outliers: Counts) -> float:
        """AUROC when inlier i counts ``inliers[i]`` times and outlier j ``outliers[j]`` times."""
        passed = np.concatenate([[0], inliers[self.order].cumsum()])
        wins = int(outliers @ (passed[self.below] + passed[self.up_to]))
        return wins / (2 * self.n * self.m)
