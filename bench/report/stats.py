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
    mean = values.mean(axis=1) if values.shape[1] else np.full_like(values[:, 0], np.nan)
    if values.shape[1] < 2:
        return mean, np.full_like(mean, np.nan)
    return mean, values.std(axis=1, ddof=1)


@dataclass(frozen=True)
class Ranking:
    """Mean ranks over cells of the methods that have every one of them.

    Args:
        mean: of each method, 1 the best, (M,); NaN for a method that lacks a cell.
        cells: how many.
        p: of Friedman's test that all methods rank alike; NaN below 3 methods or 2 cells.
        difference: of two mean ranks that Nemenyi's test calls real at 5 %; NaN likewise.
    """

    mean: Array
    cells: int
    p: float
    difference: float

    @property
    def methods(self) -> int:
        """How many methods are ranked."""
        return int((~np.isnan(self.mean)).sum())

    @property
    def best(self) -> Mask:
        """The lowest mean rank and those within the critical difference of it, (M,)."""
        if not self.methods:
            return np.zeros(len(self.mean), dtype=bool)
        limit = np.nanmin(self.mean) + np.nan_to_num(self.difference)
        return self.mean <= limit  # NaN is not


def ranking(cells: Array, *, higher: bool = True) -> Ranking:
    """Rank methods in each cell of (M, C), ties averaged, and average the ranks."""
    from scipy.stats import rankdata

    mean = np.full(len(cells), np.nan)
    complete = np.flatnonzero(~np.isnan(cells).any(axis=1)) if cells.shape[1] else np.array([], int)
    # Rounded, so that 0.1 + 0.2 ties with 0.3.
    ranks = rankdata(np.round((-1 if higher else 1) * cells[complete], 9), axis=0)
    if len(complete):
        mean[complete] = ranks.mean(axis=1)
    shape = len(complete), cells.shape[1]
    return Ranking(mean, cells.shape[1], friedman(ranks), critical_difference(*shape))


def friedman(ranks: Array) -> float:
    """The p-value of "all methods rank alike", (M, C); NaN below 3 methods or 2 cells."""
    from scipy.stats import friedmanchisquare

    methods, cells = ranks.shape
    if methods < 3 or cells < 2:
        return float("nan")
    if (ranks == ranks[0]).all():  # every cell is one big tie: 0 / 0 in the statistic
        return 1.0
    return float(friedmanchisquare(*ranks).pvalue)


def critical_difference(methods: int, cells: int) -> float:
    """The difference of two mean ranks that Nemenyi's test calls real at 5 % (Demšar 2006)."""
    if methods < 3 or cells < 2:
        return float("nan")
    return _studentized_range(methods) * math.sqrt(methods * (methods + 1) / (12 * cells))


@lru_cache  # 30 ms a time, and a page of a leaderboard asks a thousand times
def _studentized_range(methods: int) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - LEVEL, methods, np.inf))


def paired_p(differences: Array) -> float:
    """Two-sided p-value of the paired t-test, from the differences of the pairs, (S,)."""
    from scipy.stats import t

    spread = differences.std(ddof=1)
    if spread == 0:  # scipy's own test warns and gives NaN
        return float(differences[0] == 0)
    statistic = differences.mean() / (spread / np.sqrt(len(differences)))
    return float(2 * t.sf(abs(statistic), len(differences) - 1))


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
        return np.where(spread == 0, gaps[:, 0] != 0, statistic >= _critical(seeds - 1))


@lru_cache
def _critical(freedom: int) -> float:
    """The statistic above which a paired t-test calls a difference real."""
    from scipy.stats import t

    return float(t.ppf(1 - LEVEL / 2, freedom))
