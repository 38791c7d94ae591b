"""The distance to the nearest prototype: a score of methods with prototypes alone."""

from __future__ import annotations

from torch import Tensor

from bench.scores.base import Evidence, score


@score(
    label="nearest prototype", source="after Li et al. 2018, arXiv:1710.04806",
    needs="prototype_distances",
)  # fmt: skip
def nearest_prototype(evidence: Evidence, fitted: None) -> Tensor:
    """Squared distance of the code of x to the nearest prototype; (N, P) -> (N,)."""
    return evidence.extras["prototype_distances"].amin(1)
