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
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.store.schema import MetricSpec

LEVEL = 0.05
POWER = 0.8
RESAMPLES = 500
MOST_SEEDS = 100
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
    """Ranks of methods within families of cells, of those that have every cell.

    Fifteen corruptions are not fifteen votes: ranks are averaged within each family first, and
    families are what is counted and tested.

    Args:
        mean: mean over families of each method's ranks, 1 the best, (M,); NaN for a method that
            lacks a cell.
        low: lower end of its 95 % interval over resampled families and seeds, (M,); NaN where
            there is one of both.
        high: upper end.
        ranks: of the complete methods alone, mean within each family, (complete, families).
        cells: how many cells the ranks are over.
    """

    mean: Array
    low: Array
    high: Array
    ranks: Array
    cells: int

    @property
    def methods(self) -> int:
        """How many methods are ranked."""
        return len(self.ranks)

    @property
    def families(self) -> int:
        """How many families of cells the ranks are over."""
        return self.ranks.shape[1]

    @property
    def p(self) -> float:
        """The p-value of Friedman's test; NaN below 3 methods or 2 families."""
        return friedman(self.ranks)

    @property
    def difference(self) -> float:
        """The difference of mean ranks that Nemenyi's test calls real; NaN likewise."""
        return critical_difference(self.methods, self.families)

    @property
    def best(self) -> Mask:
        """The lowest mean rank and those within the critical difference of it, (M,)."""
        if not self.methods:
            return np.zeros(len(self.mean), dtype=bool)
        limit = np.nanmin(self.mean) + np.nan_to_num(self.difference)
        return self.mean <= limit  # NaN is not


def ranking(
    parts: Sequence[Array], families: Sequence[str] | None = None, *, higher: bool = True
) -> Ranking:
    """Rank methods in each cell, ties averaged; average within families, then over them.

    Args:
        parts: values of each scenario, (M, S, C); M is the same for all.
        families: of every cell, part after part; by default each part is one.
        higher: whether more is better.
    """
    if families is None:
        families = [str(i) for i, part in enumerate(parts) for _ in range(part.shape[2])]
    methods = len(parts[0]) if parts else 0
    complete = np.full(methods, bool(families))
    for part in parts:
        complete &= ~np.isnan(part).any(axis=(1, 2)) & bool(part.shape[1])
    mean, low, high = (np.full(methods, np.nan) for _ in range(3))
    _, of = np.unique(families, return_inverse=True)
    member = (np.arange(of.max(initial=-1) + 1) == of[:, None]).astype(float)  # (C, families)
    member /= np.maximum(member.sum(axis=0), 1)
    values = [(1 if higher else -1) * part[complete] for part in parts]
    if not complete.any():
        return Ranking(mean, low, high, np.empty((0, member.shape[1])), len(families))
    ranks = _ranks(np.concatenate([part.mean(axis=1) for part in values], axis=1)) @ member
    mean[complete] = ranks.mean(axis=1)
    low[complete], high[complete] = _resampled(values, member)
    # The last bits are the processor's: without them a rank of 4.925 is printed alike everywhere.
    mean, low, high = (each.round(9) for each in (mean, low, high))
    return Ranking(mean, low, high, ranks, len(families))


def _ranks(values: Array) -> Array:
    """Ranks of the methods, the largest 1, ties averaged; (..., M, C) alike."""
    values = np.round(values, 9)  # 0.1 + 0.2 ties with 0.3
    others, own = values[..., :, None, :], values[..., None, :, :]
    return (others > own).sum(axis=-3) + ((others == own).sum(axis=-3) + 1) / 2


def _resampled(values: Sequence[Array], member: Array) -> tuple[Array, Array]:
    """Ends of the 95 % intervals of mean ranks, (M,), over families and seeds drawn again.

    Scenarios of equally many seeds share their draws, for their seeds share a fit. The percentile
    bootstrap of so few is rough: it is a picture of the spread, and tests nothing.
    """
    families, sizes = member.shape[1], tuple(sorted({part.shape[1] for part in values}))
    if families < 2 and sizes == (1,):
        nothing = np.full(len(values[0]), np.nan)
        return nothing, nothing
    weights, at, shares = _draws(sizes, families)
    drawn = [np.tensordot(weights[part.shape[1]], part, (1, 1)) for part in values]  # (U, M, C)
    ranks = _ranks(np.concatenate(drawn, axis=2)) @ member  # (U, M, families)
    means = (ranks[at] * shares[:, None]).sum(axis=2)  # (resamples, M)
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return low, high


@lru_cache  # few boards differ in it, and a page asks a thousand times
def _draws(sizes: tuple[int, ...], families: int) -> tuple[dict[int, Array], Any, Array]:
    """Weights of seeds in each different resample, (U, S) by S; which one each is; of families."""
    draw = np.random.default_rng(0)
    often = [draw.multinomial(size, np.full(size, 1 / size), RESAMPLES) for size in sizes]
    different, at = np.unique(np.hstack(often), axis=0, return_inverse=True)
    parts = np.split(different, np.cumsum(sizes)[:-1], axis=1)
    weights = {size: part / size for size, part in zip(sizes, parts, strict=True)}
    shares = draw.multinomial(families, np.full(families, 1 / families), RESAMPLES) / families
    return weights, at.ravel(), shares


def friedman(blocks: Array) -> float:
    """The p-value of "all methods rank alike", (M, blocks); NaN below 3 methods or 2 blocks.

    Friedman 1937, corrected for ties.
    """
    from scipy.stats import friedmanchisquare  # half a second: only where it is needed

    methods, count = blocks.shape
    if methods < 3 or count < 2:
        return float("nan")
    blocks = np.round(blocks, 9)
    if (blocks == blocks[0]).all():  # every block is one big tie
        return 1.0
    return float(friedmanchisquare(*blocks).pvalue)


def critical_difference(methods: int, blocks: int) -> float:
    """The difference of two mean ranks that Nemenyi's test calls real at 5 % (Demšar 2006)."""
    if methods < 3 or blocks < 2:
        return float("nan")
    return _studentized_range(methods) * math.sqrt(methods * (methods + 1) / (12 * blocks))


@lru_cache  # a page of a leaderboard asks a thousand times
def _studentized_range(methods: int) -> float:
    from scipy.stats import studentized_range

    return float(studentized_range.ppf(1 - LEVEL, methods, np.inf))


def t_above(statistic: float, freedom: int) -> float:
    """The chance that Student's t exceeds a number."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -statistic))


def t_quantile(share: float, freedom: float) -> float:
    """The number that Student's t stays below in a share of cases."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, share))


@dataclass(frozen=True, eq=False)
class Gain:
    """How much better one is than another, paired over seeds; a t test against the least asked.

    Args:
        values: the gains, one a seed, (S,).
        least: what the gain must exceed.
    """

    values: Array
    least: float = 0.0

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return float(self.values.mean())

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN for a single seed."""
        n = len(self.values)
        return float(self.values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan

    @property
    def p(self) -> float:
        """The chance of a mean this large if the true gain is the least."""
        away = self.mean - self.least
        if math.isnan(self.error):
            return math.nan
        if self.error == 0:
            return 0.0 if away > 0 else 1.0 if away < 0 else 0.5
        return t_above(away / self.error, len(self.values) - 1)

    def text(self, digits: int, scale: float = 1.0) -> str:
        """Return the mean with its 90 % interval, as printed."""
        shown = f"{scale * self.mean:+.{digits}f}"
        if math.isnan(self.error):
            return shown
        half = t_quantile(1 - LEVEL, len(self.values) - 1) * self.error
        low, high = (scale * (self.mean + side * half) for side in (-1, 1))
        return f"{shown} [{low:+.{digits}f}, {high:+.{digits}f}]"


@lru_cache(maxsize=1024)
def smallest_difference(freedom: float, level: float = LEVEL, *, sides: int = 2) -> float:
    """The smallest true difference that a t test sees with a power of 80 %, in standard errors.

    The noncentrality at which Student's t exceeds its quantile in 80 % of cases; with two sides,
    the chance to be called different the wrong way round is left out (below 1e-4). Infinite
    ``freedom`` is the normal distribution.
    """
    from scipy.special import nctdtrinc

    return float(nctdtrinc(freedom, 1 - POWER, t_quantile(1 - level / sides, freedom)))


def seeds_needed(effect: float, level: float = LEVEL) -> float:
    """The fewest seeds with which a one-sided t test sees an effect with a power of 80 %.

    Args:
        effect: the true distance, in standard deviations between seeds.
        level: the share of false alarms that is allowed.

    Returns:
        At least 2; infinite where `MOST_SEEDS` would not do.
    """
    from scipy.special import nctdtr, stdtrit

    seeds = np.arange(2.0, MOST_SEEDS + 1)
    missed = nctdtr(seeds - 1, effect * np.sqrt(seeds), stdtrit(seeds - 1, 1 - level))
    return float(seeds[missed <= 1 - POWER].min(initial=math.inf))


@dataclass(frozen=True, eq=False)
class Compared:
    """Which methods of each column are the best, (M, C), and how small a gap could be seen.

    Args:
        best: the best, and what is not told from it.
        could_see: of those not told from it, the smallest difference from the best that would
            have been seen with a power of 80 %, in the unit of the values; NaN elsewhere.
    """

    best: Mask
    could_see: Array


def compared(values: Array, specs: Sequence[MetricSpec], eligible: Mask | None = None) -> Compared:
    """The best methods of each column and those not distinguishable from them.

    All others are tested against the best by paired t-tests over the seeds, and at most 5 % of
    those called worse are so by chance (Benjamini and Hochberg 1995). With one seed there is no
    test, and only the best is named. Where a metric says what chance gives, nobody is best who is
    not better than that, by a test of its own.

    Args:
        values: (M, S, C) in the unit of the rows.
        specs: of each column; one without direction has no best.
        eligible: the methods that may be best in each column, (M, C).
    """
    signs = [{"higher": 1.0, "lower": -1.0, "": math.nan}[spec.better] for spec in specs]
    values = values * signs
    chance = np.array([math.nan if s.chance is None else s.chance for s in specs]) * signs
    means = np.where(np.isnan(values).any(axis=1), -np.inf, values.mean(axis=1))
    beaten = np.isnan(chance) | ((paired_p(values - chance) <= LEVEL) & (means > chance))
    allowed = (means > -np.inf) & beaten
    if eligible is not None:
        allowed &= eligible
    means = np.where(allowed, means, -np.inf)
    top = means.argmax(axis=0)
    seeds = values.shape[1]
    if seeds < 2:
        return Compared(allowed & (means == means.max(axis=0)), np.full(means.shape, np.nan))
    gaps = values[top, :, np.arange(values.shape[2])].T - values
    others = allowed & (np.arange(len(values))[:, None] != top)
    worse = false_discoveries(paired_p(gaps), others)
    count, told = others.sum(axis=0), worse.sum(axis=0)
    next_level = LEVEL * (told + 1) / np.maximum(count, 1)  # what one more would have had to reach
    reach = [smallest_difference(seeds - 1, min(level, LEVEL)) for level in next_level.tolist()]
    errors = gaps.std(axis=1, ddof=1) / math.sqrt(seeds)
    could_see = np.where(others & ~worse, errors * reach, np.nan)
    return Compared(allowed & ~worse, could_see)


def best(values: Array, specs: Sequence[MetricSpec], eligible: Mask | None = None) -> Mask:
    """The best of `compared`, (M, C)."""
    return compared(values, specs, eligible).best


def paired_p(gaps: Array) -> Array:
    """Two-sided p-values of the paired t-test, from differences (M, S, C); -> (M, C).

    Of one seed, any difference is real, and so is one that all seeds agree on to the last digit.
    """
    from scipy.special import stdtr

    seeds = gaps.shape[1]
    absent = np.isnan(gaps).any(axis=1)
    if seeds < 2:
        return np.where(absent | (gaps == 0).all(axis=1), 1.0, 0.0)
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        spread = gaps.std(axis=1, ddof=1)
        statistic = np.abs(gaps.mean(axis=1)) / (spread / math.sqrt(seeds))
        p = np.where(spread == 0, (gaps[:, 0] == 0) * 1.0, 2 * stdtr(seeds - 1, -statistic))
    return np.where(absent, 1.0, p)


def false_discoveries(p: Array, tested: Mask) -> Mask:
    """Which of the tested hypotheses (M, C) fall, at most 5 % of a column's falls being false.

    scipy takes one number of hypotheses at a time; a page has ten thousand columns that differ.
    """
    ordered = np.sort(np.where(tested, p, np.inf), axis=0)
    steps = LEVEL * np.arange(1, len(p) + 1)[:, None] / np.maximum(tested.sum(axis=0), 1)
    last = np.where(ordered <= steps, ordered, -np.inf).max(axis=0, initial=-np.inf)
    return tested & (p <= last)


def fallen(p: Sequence[float]) -> list[bool]:
    """Which hypotheses fall if the chance that any falls wrongly is at most 5 % (Holm 1979).

    statsmodels, the referee in a test, collects garbage in every call: 15 s for a report.
    """
    order = sorted(range(len(p)), key=lambda i: p[i])
    stands = next((k for k, i in enumerate(order) if p[i] > LEVEL / (len(p) - k)), len(p))
    return [i in order[:stands] for i in range(len(p))]
