"""How far two attribution maps agree, and what the scenario `attribution` works out of it."""

from __future__ import annotations

import math

import numpy as np

from bench.metrics.detection import Vector
from bench.metrics.registry import declared

DECLARED = (
    declared("tau", "Kendall's tau", kind="other", better="higher"),
    declared("overlap", "top pixels shared", kind="other", better="higher", unit="%", scale=100,
             digits=1),
    declared("completeness_gap", "completeness missed by", kind="other", better="lower", unit="%",
             scale=100, digits=1),
    declared("ace_rank_correlation", "rank correlation with brute force", kind="other",
             better="higher"),
)  # fmt: skip


def kendall(first: Vector, second: Vector) -> Vector:
    """Return Kendall's tau-b of each pair of maps (n, P), in [-1, 1], (n,).

    A map of equal values ranks nothing: with it tau is 0.
    """
    from scipy.stats import kendalltau  # most of a second that a listing does not need

    pairs = zip(first, second, strict=True)
    return np.nan_to_num(np.array([kendalltau(a, b).statistic for a, b in pairs]))


def top_overlap(first: Vector, second: Vector, share: float) -> Vector:
    """Return which share of the top pixels of one map is among those of the other, (n,).

    Args:
        first: maps (n, P).
        second: maps (n, P).
        share: of pixels that are the top, rounded up, at least one of them; among equal ones the
            first count.
    """
    k = min(max(1, math.ceil(share * first.shape[1])), first.shape[1])
    ones = [np.argsort(-maps, axis=1, kind="stable")[:, :k] for maps in (first, second)]
    shared = [np.intersect1d(a, b).size for a, b in zip(*ones, strict=True)]
    return np.array(shared) / k
