"""What scores from features share: classes, energies, distances and neighbours, all in float64.

Sizes: N inputs, M training inputs, T targets, K classes, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.scores.base import Unavailable

ROUNDING = torch.finfo(torch.float32).eps  # of the features, which networks give in float32
SPARE = 8  # neighbours on both sides of the k-th that are compared in float64
GROUPS = 16  # parts of the training inputs whose best are compared first


def energy(logits: Tensor) -> Tensor:
    """Free energy -log Σ_k exp(logit_k), in nats, mean over targets; (N, T, K) -> (N,)."""
    return -logits.logsumexp(-1).mean(-1)


def class_means(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Means of the classes that occur, and the place of each input's class among them.

    (M, F) and (M,) -> (C, F) and (M,).
    """
    classes, place = labels.unique(return_inverse=True)
    counts = torch.bincount(place, minlength=len(classes)).unsqueeze(1)
    sums = features.new_zeros(len(classes), features.shape[1]).index_add_(0, place, features)
    return sums / counts, place


def at_least_two(labels: Tensor) -> None:
    """Refuse labels (M,) of a single class.

    Raises:
        Unavailable: there is nothing to tell apart.
    """
    if len(labels.unique()) < 2:
        raise Unavailable("the training part has one class only")


def whitening(centred: Tensor) -> Tensor:
    """Map (F, R) after which centred features (M, F) have the covariance 1.

    Its square is the pseudo-inverse of the covariance, as in the reference code of the
    Mahalanobis scores: directions in which float32 features do not vary by more than rounding
    count for nothing. There are R others, fewer than F where units are dead or inputs few.

    Raises:
        Unavailable: no feature varies.
    """
    variance, directions = torch.linalg.eigh(centred.T @ centred / len(centred))
    kept = variance > variance[-1] * (len(variance) * ROUNDING) ** 2
    if not kept.any():
        raise Unavailable("the features of the training part do not vary")
    return directions[:, kept] * variance[kept].rsqrt()


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Squared Euclidean distances of rows, never negative; (N, F) and (C, F) -> (N, C)."""
    both = a.square().sum(1, keepdim=True) + b.square().sum(1)
    return torch.addmm(both, a, b.T, alpha=-2).clamp_min_(0)


def largest(products: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest of each row in order, and their places; (N, M) -> two of (N, k).

    The columns fall into groups. The k largest numbers lie in the k groups with the largest
    maxima, so that few numbers are sorted.
    """
    n, m = products.shape
    size = m // GROUPS  # number of groups of GROUPS columns each, stride apart
    if size < 2 * k:
        return products.topk(min(k, m))
    whole = products[:, : size * GROUPS].view(n, GROUPS, size)
    groups = whole.amax(1).topk(k).indices  # (N, k)
    steps = torch.arange(0, size * GROUPS, size)[:, None]
    places = (groups[:, None] + steps).flatten(1)  # (N, GROUPS k)
    rest = torch.arange(size * GROUPS, m).expand(n, -1)
    places = torch.cat([places, rest], dim=1)
    values, best = products.gather(1, places).topk(k)
    return values, places.gather(1, best)


def kth_similarity(queries: Tensor, known: Tensor, known32: Tensor, k: int) -> Tensor:
    """Return the k-th largest inner product of each row of queries with rows of ``known``, (N,).

    Products are ranked in float32 and those around the k-th compared in float64: exact but where
    more than `SPARE` neighbours lie within the rounding of float32.

    Args:
        queries: (N, F), float64.
        known: (M, F), float64.
        known32: the same in float32.
        k: at most M.
    """
    last = min(k + SPARE, len(known))
    first = max(k - SPARE - 1, 0)
    places = largest(queries.float() @ known32.T, last)[1][:, first:]
    near = torch.einsum("nf,nrf->nr", queries, known[places])
    return near.topk(k - first).values[:, -1]
