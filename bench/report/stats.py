"""What may be averaged, ranked, and called different.

Sizes: M methods, S seeds, C cells or columns. What is absent is NaN, and NaN is never skipped: a
method that lacks anything has no average.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.store.records import MetricSpec

LEVEL = 0.05
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def over_cells(values: pd.DataFrame) -> pd.DataFrame:
    """Mean over the cells within a seed: rows (method, seed) x cells -> (methods, seeds)."""
    table = values.mean(axis=1, skipna=False).unstack("seed")
    return table.reindex(values.index.unique("method"))  # unstack sorts; callers keep their order


def over_seeds(values: pd.DataFrame) -> pd.DataFrame:
    """Mean over the seeds of each cell: rows (method, seed) x cells -> (methods, cells)."""
    return values.groupby("method", sort=False).mean(skipna=False)


def mean_and_std(values: Array) -> tuple[Array, Array]:
    """Mean and sample standard deviation (ddof = 1) over the seeds; (M, S, C) -> two of (M, C).

    The deviation of one seed is NaN.
    """
    methods, seeds, columns = values.shape
    nothing = np.full((methods, columns), np.nan)
    mean = values.mean(axis=1) if seeds else nothing
    return mean, values.std(axis=1, ddof=1) if seeds > 1 else nothing


@dataclass(frozen=True, eq=False)
class Ranking:
    """Ranks of methods in each cell, of those that have every cell.

    Args:
        mean: mean rank of each method, 1 the best, (M,); NaN for a method that lacks a cell.
        ranks: of the complete methods alone, (complete, C).
    """

    mean: Array
    ranks: Array

    @property
    def methods(self) -> int:
        """How many methods are ranked."""
        return len(self.ranks)

    @property
    def cells(self) -> int:
        """How many cells the ranks are over."""
        return self.ranks.shape[1]

    @property
    def p(self) -> float:
        """The p-value of Friedman's test; NaN below 3 methods or 2 cells."""
        return friedman(self.ranks)

    @property
    def difference(self) -> float:
        """The difference of mean ranks that Nemenyi's test calls real; NaN likewise."""
        return critical_difference(self.methods, self.cells)

    @property
    def best(self) -> Mask:
        """The lowest mean rank and those within the critical difference of it, (M,)."""
        if not self.methods:
            return np.zeros(len(self.mean), dtype=bool)
        limit = np.nanmin(self.mean) + np.nan_to_num(self.difference)
        return self.mean <= limit  # NaN is not


def ranking(cells: Array, *, higher: bool = True) -> Ranking:
    """Rank methods in each cell of (M, C), ties averaged, and average the ranks."""
    mean = np.full(len(cells), np.nan)
    complete = ~np.isnan(cells).any(axis=1) & bool(cells.shape[1])
    values = np.round((1 if higher else -1) * cells[complete], 9)  # 0.1 + 0.2 ties with 0.3
    above = (values[:, None] < values).sum(axis=1)
    tied = (values[:, None] == values).sum(axis=1)
    ranks = above + (tied + 1) / 2
    if complete.any():
        mean[complete] = ranks.mean(axis=1)
    return Ranking(mean, ranks)


def friedman(ranks: Array) -> float:
    """The p-value of "all methods rank alike" from ranks (M, C); NaN below 3 methods or 2 cells.

    Friedman 1937, with the usual correction for ties: the mean ranks' sum of squares over that of
    all ranks.
    """
    from scipy.special import chdtrc  # all of scipy.stats takes half a second to import

    methods, cells = ranks.shape
    if methods < 3 or cells < 2:
        return float("nan")
    middle = (methods + 1) / 2
    spread = ((ranks - middle) ** 2).sum()
    if spread == 0:  # every cell is one big tie
        return 1.0
    between = ((ranks - middle).sum(axis=1) ** 2).sum()
    return float(chdtrc(methods - 1, (methods - 1) * between / spread))


def critical_difference(methods: int, cells: int) -> float:
    """The difference of two mean ranks that Nemenyi's test calls real at 5 % (Demšar 2006)."""
    if methods < 3 or cells < 2:
        return float("nan")
    return _studentized_range(methods) * math.sqrt(methods * (methods + 1) / (12 * cells))


@lru_cache  # a page of a leaderboard asks a thousand times
def _studentized_range(methods: int) -> float:
    """The 95 % quantile of the range of normal numbers, as many as there are methods."""
    from scipy.special import ndtr

    z = np.linspace(-9, 9, 2001)  # of the smallest of them
    density = methods * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)

    low, high = 0.0, 20.0
    for _ in range(60):  # halves the interval each time; scipy.stats would take half a second
        width = (low + high) / 2
        within = (ndtr(z + width) - ndtr(z)) ** (methods - 1)
        if np.trapezoid(density * within, z) < 1 - LEVEL:
            low = width
        else:
            high = width
    return high


def t_above(statistic: float, freedom: int) -> float:
    """The chance that Student's t exceeds a number."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -statistic))


def t_quantile(share: float, freedom: int) -> float:
    """The number that Student's t stays below in a share of cases."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


def paired_p(differences: Array) -> float:
    """Two-sided p-value of the paired t-test, from the differences of the pairs, (S,)."""
    spread = differences.std(ddof=1)
    if spread == 0:
        return float(differences[0] == 0)
    statistic = differences.mean() / (spread / np.sqrt(len(differences)))
    return 2 * t_above(abs(statistic), len(differences) - 1)


def best(values: Array, specs: Sequence[MetricSpec], eligible: Mask | None = None) -> Mask:
    """The best methods of each column and those not distinguishable from them; -> (M, C).

    A method is tested against the best by a paired t-test over the seeds, each on its own: with
    the few seeds there are, a correction for many would leave nothing distinguishable. With one
    seed there is no test, and only the best is named. Where a metric says what chance gives,
    nobody is best who is not better than that, by the same test.

    Args:
        values: (M, S, C) in the unit of the rows.
        specs: of each column; one without direction has no best.
        eligible: the methods that may be best in each column, (M, C).
    """
    signs = [{"higher": 1.0, "lower": -1.0, "": math.nan}[spec.better] for spec in specs]
    values = values * signs
    chance = np.array([math.nan if s.chance is None else s.chance for s in specs]) * signs
    means = np.where(np.isnan(values).any(axis=1), -np.inf, values.mean(axis=1))
    beaten = np.isnan(chance) | (_differs(values - chance) & (means > chance))
    allowed = (means > -np.inf) & beaten
    if eligible is not None:
        allowed &= eligible
    means = np.where(allowed, means, -np.inf)
    top = means.argmax(axis=0)
    if values.shape[1] < 2:
        return allowed & (means == means.max(axis=0))
    gaps = values[top, :, np.arange(values.shape[2])].T - values
    same = ~_differs(gaps) | (np.arange(len(values))[:, None] == top)
    return allowed & same


def _differs(gaps: Array) -> Mask:
    """Whether the mean of paired differences is not 0, (M, S, C) -> (M, C); of one seed, any is."""
    seeds = gaps.shape[1]
    if seeds < 2:
        return ~np.isnan(gaps).any(axis=1) & (gaps != 0).any(axis=1)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        spread = gaps.std(axis=1, ddof=1)
        statistic = np.abs(gaps.mean(axis=1)) / (spread / math.sqrt(seeds))
        return np.where(
            spread == 0, gaps[:, 0] != 0, statistic >= t_quantile(1 - LEVEL / 2, seeds - 1)
        )
