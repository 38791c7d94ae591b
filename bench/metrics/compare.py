"""Whether two methods differ on one view by more than its test inputs, and seeds, explain.

Two fitted models differ or not: their test inputs are resampled, in pairs. Two methods differ or
not: seeds are drawn as well, each a pair of fits on the same inputs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.metrics.detection import Counts, as_vector

if TYPE_CHECKING:
    from torch import Tensor


TINY = 1e-16  # the smallest p-value worth telling


class Interval(NamedTuple):
    """An estimate, the ends of its confidence interval, and how far chance may take it.

    ``inputs`` is the standard error over test inputs, ``seeds`` that over seeds, with ``freedom``
    degrees of freedom.
    """

    estimate: float
    low: float
    high: float
    inputs: float = math.nan
    seeds: float = 0.0
    freedom: int = 1

    def holds_zero(self) -> bool:
        """Whether no difference at all is compatible with the data."""
        return self.low <= 0.0 <= self.high

    def reach(self, tail: float) -> float:
        """Half of the interval that leaves out ``tail`` at either end."""
        from scipy.special import stdtrit

        over_seeds = stdtrit(self.freedom, tail) if self.seeds else 0.0
        return math.hypot(stdtrit(math.inf, tail) * self.inputs, over_seeds * self.seeds)

    @property
    def p(self) -> float:
        """Two-sided p-value of "no difference": the interval of level 1 - p ends at 0."""
        from scipy.optimize import brentq

        distance = abs(self.estimate)
        if distance == 0 or self.reach(TINY) <= distance:
            return float(distance == 0)
        return 2 * brentq(lambda tail: self.reach(tail) - distance, TINY, 0.5)


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
    found = resampled_differences(
        inliers_a, outliers_a, inliers_b, outliers_b, repeats=repeats, seed=seed
    )
    return over_inputs(found, level)


class Differences(NamedTuple):
    """A difference of two AUROCs, and the same on every resample of the inputs, (repeats,).

    The inputs drawn depend on ``sizes`` alone, the numbers of inliers and outliers, so that
    resamples of several seeds can be averaged one by one.
    """

    estimate: float
    drawn: NDArray[np.float64]
    sizes: tuple[int, int]


def resampled_differences(
    inliers_a: Tensor | NDArray,
    outliers_a: Tensor | NDArray,
    inliers_b: Tensor | NDArray,
    outliers_b: Tensor | NDArray,
    *,
    repeats: int = 1000,
    seed: int = 0,
) -> Differences:
    """AUROC of method a minus that of b, and on every draw of `paired_bootstrap`."""
    a, b = Resampled(inliers_a, outliers_a), Resampled(inliers_b, outliers_b)
    if (a.n, a.m) != (b.n, b.m):
        raise ValueError(f"not paired: {a.n} and {b.n} inliers, {a.m} and {b.m} outliers")
    draw = np.random.default_rng(seed)
    differences = np.empty(repeats)
    for i in range(repeats):
        inliers = np.bincount(draw.integers(a.n, size=a.n), minlength=a.n)
        outliers = np.bincount(draw.integers(a.m, size=a.m), minlength=a.m)
        differences[i] = a.auroc(inliers, outliers) - b.auroc(inliers, outliers)
    return Differences(a.auroc(*a.once()) - b.auroc(*b.once()), differences, (a.n, a.m))


def over_inputs(found: Differences, level: float = 0.95) -> Interval:
    """The percentile interval over test inputs: of two fitted models, whatever their seed."""
    low, high = np.quantile(found.drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(found.estimate, float(low), float(high), float(found.drawn.std(ddof=1)))


def over_seeds_and_inputs(found: Sequence[Differences], level: float = 0.95) -> Interval:
    """The interval of the mean over seeds that covers other seeds and other test inputs.

    All seeds meet the same inputs. Two errors are added in squares, each at its own quantile: of
    the seeds, s / sqrt(S) at Student's t, and of the mean over resamples of the inputs, at the
    normal distribution. In simulations with 2 to 5 seeds it covers 95 to 99 % whichever varies
    more; one quantile with Satterthwaite's degrees of freedom covered 88 to 95 %.

    Raises:
        ValueError: there is one seed, or seeds differ in the number of their inputs.
    """
    if len(found) < 2 or len({one.sizes for one in found}) > 1:
        raise ValueError("an interval over seeds takes two or more, of as many inputs each")
    estimates = np.array([one.estimate for one in found])
    mean, seeds = float(estimates.mean()), float(estimates.std(ddof=1)) / math.sqrt(len(found))
    inputs = float(np.mean([one.drawn for one in found], axis=0).std(ddof=1))
    whole = Interval(mean, mean, mean, inputs, seeds, len(found) - 1)
    half = whole.reach((1 - level) / 2)
    return whole._replace(low=max(mean - half, -1.0), high=min(mean + half, 1.0))


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
