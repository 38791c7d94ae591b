"""How differently a binary prediction serves two groups of inputs.

Throughout: ``p`` (N,) probabilities of the positive class, ``y`` (N,) labels 0 or 1, and
``weights`` (R, N), how often each input counts in each of R resamples; ones give the plain number.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve
from sklearn.neighbors import NearestNeighbors

from bench.metrics.calibration import BINS

Vector = NDArray[np.float64]
LEVEL = 0.95


class Binary(NamedTuple):
    """What is said of some inputs, and what is true."""

    p: Vector
    y: Vector


def f1(said: Binary, weights: Vector, threshold: float = 0.5) -> Vector:
    """F1 of the positive class, said above a threshold, (R,); 0 where it is never said nor true."""
    positive = said.p > threshold
    hits = weights @ (positive & (said.y == 1))
    total = weights @ (positive.astype(float) + said.y)
    return np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)


def best_threshold(said: Binary) -> float:
    """Return the threshold above which to say the positive class for the best F1."""
    if not said.y.any():
        return 0.5
    precision, recall, thresholds = precision_recall_curve(said.y, said.p)
    score = precision * recall / np.maximum(precision + recall, 1e-12)  # half of F1
    return float(np.nextafter(thresholds[score[:-1].argmax()], 0))  # it counts as above


def average_precision(said: Binary, weights: Vector) -> Vector:
    """Precision at each positive, averaged, (R,); tied inputs are taken together."""
    order = np.argsort(-said.p, kind="stable")
    ranked = -said.p[order]
    last = np.searchsorted(ranked, ranked, side="right") - 1  # the end of each run of ties
    weights, positives = weights[:, order], weights[:, order] * said.y[order]
    found, seen = positives.cumsum(1)[:, last], weights.cumsum(1)[:, last]
    precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
    total = positives.sum(1)
    area = (precision * positives).sum(1)
    return np.divide(area, total, out=np.zeros_like(total), where=total > 0)


def ece(said: Binary, weights: Vector) -> Vector:
    """Expected calibration error of the likelier class in 15 equal-width bins, a fraction, (R,)."""
    confidence = np.maximum(said.p, 1 - said.p)
    right = (said.p > 0.5) == (said.y == 1)
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.eye(BINS)[bin_of] * (confidence - right)[:, None]
    return np.abs(weights @ gaps).sum(1) / weights.sum(1)


METRICS = {"f1": f1, "average_precision": average_precision, "ece": ece}


def by_group(said: Binary) -> dict[str, float]:
    """Every metric of one group."""
    ones = np.ones((1, len(said.y)))
    return {name: float(metric(said, ones)[0]) for name, metric in METRICS.items()}


def gaps(members: Binary, others: Binary, weights: tuple[Vector, Vector]) -> dict[str, Vector]:
    """By how much members are served worse than others, (R,) for each metric."""
    found = {}
    for name, metric in METRICS.items():
        gap = metric(others, weights[1]) - metric(members, weights[0])
        found[name] = -gap if name == "ece" else gap  # a lower calibration error is better
    return found


def resamples(sizes: tuple[int, int], *, seed: int, repeats: int = 1000) -> tuple[Vector, Vector]:
    """Draw how often each input of two groups counts: a bootstrap within each, (R, N) twice."""
    draw = np.random.default_rng(seed)
    members, others = (draw.multinomial(n, np.full(n, 1 / n), size=repeats) for n in sizes)
    return members.astype(float), others.astype(float)


def interval(values: Vector) -> tuple[float, float]:
    """The middle 95 % of resampled numbers."""
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def discrimination(p: Vector, member: NDArray[np.bool_]) -> float:
    """How far the shares of positive answers lie apart, |mean over members - mean over others|.

    Raff and Sylvester 2018, arXiv:1807.00199, with answers of 0 and 1.
    """
    positive = p > 0.5
    return float(abs(positive[member].mean() - positive[~member].mean()))


def consistency(p: Vector, neighbours: NDArray[np.int64]) -> float:
    """One minus how far answers lie, on average, from the mean answer of the nearest inputs.

    Zemel et al. 2013; ``neighbours`` (N, k) holds their rows.
    """
    positive = (p > 0.5).astype(float)
    return float(1 - np.abs(positive - positive[neighbours].mean(1)).mean())


def nearest(x: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Rows of the k nearest other inputs of each, by Euclidean distance, (N, F) -> (N, k)."""
    found = NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x, return_distance=False)
    own = found == np.arange(len(x))[:, None]
    own[~own.any(1), -1] = True  # a twin came first: drop the farthest instead
    return found[~own].reshape(len(x), k)
