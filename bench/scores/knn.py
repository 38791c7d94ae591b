"""The distance to the k-th nearest training input, by the direction of features."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor
from torch.nn import functional

from bench.scores.base import Evidence, score
from bench.scores.features import kth_similarity

K = 50  # the paper's choice for CIFAR-10


class Known(NamedTuple):
    """Features of the training part of length 1, (M, F), in float64 and in float32."""

    exact: Tensor
    rough: Tensor


def directions(training: Evidence) -> Known:
    """Return the training features, each of length 1."""
    exact = functional.normalize(training.features, dim=1)
    return Known(exact, exact.float())


@score(
    label="k nearest neighbours", source="Sun et al. 2022, arXiv:2204.06507", needs="features",
    fit=directions, tuned="published",
)  # fmt: skip
def knn(evidence: Evidence, known: Known) -> Tensor:
    """Distance to the 50th nearest training input, features of length 1; (N, F) -> (N,).

    In [0, 2]; to the farthest of fewer training inputs than 50.
    """
    queries = functional.normalize(evidence.features, dim=1)
    similarity = kth_similarity(queries, known.exact, known.rough, min(K, len(known.exact)))
    return (2 - 2 * similarity).clamp_min(0).sqrt()
