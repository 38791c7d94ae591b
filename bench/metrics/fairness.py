"""How differently a binary prediction serves two groups of inputs.

Throughout: ``p`` (N,) probabilities of the positive class, ``y`` (N,) labels 0 or 1, and
``weights`` (R, N), how often each input counts in each of R resamples; ones give the plain number.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.metrics.calibration import BINS
from bench.metrics.registry import Metric, declared

Vector = NDArray[np.float64]
LEVEL = 0.95


class Binary(NamedTuple):
    """Predicted probabilities of the positive class and labels of some inputs."""

    p: Vector
    y: Vector


def f1(predicted: Binary, weights: Vector, threshold: float = 0.5) -> Vector:
    """F1 of the positive class, (R,), predicted above ``threshold``; 0 where there is none."""
    positive = predicted.p > threshold
    hits = weights @ (positive & (predicted.y == 1))
    total = weights @ (positive.astype(float) + predicted.y)
    return np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)


def best_threshold(predicted: Binary) -> float:
    """Return the threshold of the best F1: above it the positive class is predicted."""
    from sklearn.metrics import precision_recall_curve

    if not predicted.y.any():
        return 0.5
    precision, recall, thresholds = precision_recall_curve(predicted.y, predicted.p)
    score = precision * recall / np.maximum(precision + recall, 1e-12)  # half of F1
    return float(np.nextafter(thresholds[score[:-1].argmax()], 0))  # it counts as above


def average_precision(predicted: Binary, weights: Vector) -> Vector:
    """Precision at each positive, averaged, (R,); tied inputs are taken together."""
    order = np.argsort(-predicted.p, kind="stable")
    ranked = -predicted.p[order]
    last = np.searchsorted(ranked, ranked, side="right") - 1  # the end of each run of ties
    weights, positives = weights[:, order], weights[:, order] * predicted.y[order]
    hits, seen = positives.cumsum(1)[:, last], weights.cumsum(1)[:, last]
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    total = positives.sum(1)
    area = (precision * positives).sum(1)
    return np.divide(area, total, out=np.zeros_like(total), where=total > 0)


def ece(predicted: Binary, weights: Vector) -> Vector:
    """Expected calibration error of the likelier class in 15 equal-width bins, a fraction, (R,)."""
    confidence = np.maximum(predicted.p, 1 - predicted.p)
    right = (predicted.p > 0.5) == (predicted.y == 1)
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.eye(BINS)[bin_of] * (confidence - right)[:, None]
    return np.abs(weights @ gaps).sum(1) / weights.sum(1)


METRICS = {"f1": f1, "average_precision": average_precision, "ece": ece}
LABELS = {"f1": "F1", "average_precision": "AP", "ece": "ECE"}
ENDS = {"": "", "_low": ", low end", "_high": ", high end"}  # of an interval


def _gap(metric: str, change: str, end: str) -> Metric:
    of = " against standard" if change else ""
    percent: dict[str, Any] = {"unit": "%", "digits": 1, "scale": 100.0}
    return declared(  # no direction: a gap below 0 serves the others worse
        f"{metric}_gap{change}{end}", f"{LABELS[metric]} gap{of}{ENDS[end]}",
        kind="fairness", **(percent if metric == "ece" else {}),
    )  # fmt: skip


DECLARED = (
    declared("f1", "F1", kind="fairness", better="higher"),
    declared("average_precision", "AP", kind="fairness", better="higher"),
    declared("positives", "share positive", kind="fairness"),
    declared("answered_positive", "share predicted positive", kind="fairness"),
    declared("consistency", "consistency", kind="fairness", better="higher"),
    declared("discrimination", "discrimination", kind="fairness", better="lower"),
    declared("accuracy_minus_discrimination", "accuracy - discrimination", kind="fairness",
             better="higher"),
    declared("threshold", "threshold", kind="fairness"),
    *(_gap(*parts) for parts in product(METRICS, ("", "_change"), ENDS)),
)  # fmt: skip


def by_group(predicted: Binary) -> dict[str, float]:
    """Return F1, average precision and ECE of one group, by name."""
    ones = np.ones((1, len(predicted.y)))
    return {name: float(metric(predicted, ones)[0]) for name, metric in METRICS.items()}


def gaps(members: Binary, others: Binary, weights: tuple[Vector, Vector]) -> dict[str, Vector]:
    """By how much members are served worse than others, (R,) for each metric."""
    worse = {}
    for name, metric in METRICS.items():
        gap = metric(others, weights[1]) - metric(members, weights[0])
        worse[name] = -gap if name == "ece" else gap  # a lower calibration error is better
    return worse


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
    from sklearn.neighbors import NearestNeighbors

    rows = NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x, return_distance=False)
    own = rows == np.arange(len(x))[:, None]
    own[~own.any(1), -1] = True  # a twin came first: drop the farthest instead
    return rows[~own].reshape(len(x), k)
