"""What may be averaged, ranked, and called different.

A grid holds one metric: rows (method, seed), columns the cells (view, severity). It has
every method and every seed of the scenario, so what is absent shows as NaN, and NaN is never
skipped: a method that lacks anything has no average.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

LEVEL = 0.05


def grid(lines: pd.DataFrame, methods: Iterable[str], seeds: Iterable[int]) -> pd.DataFrame:
    """Values, rows (method, seed) and columns (view, severity); NaN where there is none."""
    values = lines.groupby(["method", "seed", "view", "severity"])["value"].mean()
    rows = pd.MultiIndex.from_product([methods, seeds], names=["method", "seed"])
    return values.unstack(["view", "severity"]).reindex(rows)


def over_cells(values: pd.DataFrame) -> pd.DataFrame:
    """Mean over the cells within a seed, (methods, seeds)."""
    table = values.mean(axis=1, skipna=False).unstack("seed")
    return table.reindex(values.index.unique("method"))  # unstack sorts; callers keep their order


def over_seeds(values: pd.DataFrame) -> pd.DataFrame:
    """Mean over the seeds of each cell, (methods, cells)."""
    return values.groupby("method", sort=False).mean(skipna=False)


def mean_and_std(per_seed: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Mean and sample standard deviation (ddof = 1) over the seeds; NaN for a partial method."""
    return per_seed.mean(axis=1, skipna=False), per_seed.std(axis=1, ddof=1, skipna=False)


def cell_ranks(cells: pd.DataFrame) -> pd.DataFrame:
    """Rank in each cell, 1 = highest and ties averaged, of the methods that have every cell."""
    whole = cells.dropna()
    return whole.round(9).rank(ascending=False)  # rounded: 0.1 + 0.2 ties with 0.3


def friedman(ranks: pd.DataFrame) -> float:
    """The p-value of "all methods rank alike"; NaN below 3 methods or 2 cells."""
    from scipy.stats import friedmanchisquare

    methods, cells = ranks.shape
    if methods < 3 or cells < 2:
        return float("nan")
    if (ranks.nunique() == 1).all():  # every cell is one big tie: 0 / 0 in the statistic
        return 1.0
    return float(friedmanchisquare(*ranks.to_numpy()).pvalue)


def critical_difference(methods: int, cells: int) -> float:
    """The difference of two mean ranks that Nemenyi's test calls real at 5 % (Demšar 2006)."""
    if methods < 3 or cells < 2:
        return float("nan")
    return _studentized_range(methods) * math.sqrt(methods * (methods + 1) / (12 * cells))


@lru_cache  # 30 ms a time, and a page of a leaderboard asks a thousand times
def _studentized_range(methods: int) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - LEVEL, methods, np.inf))


def paired_p(differences: np.ndarray) -> float:
    """Two-sided p-value of the paired t-test, from the differences of the pairs."""
    from scipy.stats import t

    spread = differences.std(ddof=1)
    if spread == 0:  # scipy's own test warns and gives NaN
        return float(differences[0] == 0)
    statistic = differences.mean() / (spread / np.sqrt(len(differences)))
    return float(2 * t.sf(abs(statistic), len(differences) - 1))


def best(per_seed: pd.DataFrame, *, higher: bool) -> set[str]:
    """The best method and those not distinguishable from it.

    Each method is tested on its own: with the few seeds there are, a correction for many would
    leave nothing distinguishable. With one seed there is no test, and only the best is named.
    """
    whole = per_seed.dropna() * (1 if higher else -1)
    if whole.empty:
        return set()
    means = whole.mean(axis=1)
    top = str(means.idxmax())
    if whole.shape[1] < 2:
        return set(means.index[means == means[top]])
    gaps = (whole.loc[top] - whole).drop(index=top)
    return {top, *(str(n) for n, gap in gaps.iterrows() if paired_p(gap.to_numpy()) > LEVEL)}
