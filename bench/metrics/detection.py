"""How well a score tells outliers from inliers.

Outliers are the positives and a higher score means more outlying. Every metric is a function of
one `Ranking`, which is the only place where scores are sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.metrics.registry import metric, of_kind

if TYPE_CHECKING:
    from torch import Tensor

Counts = NDArray[np.int64]
Vector = NDArray[np.float64]


def as_vector(values: Tensor | NDArray, name: str) -> Vector:
    """Return finite numbers as a float64 vector (N,).

    Raises:
        ValueError: there are none, they are no vector, or some are NaN or infinite.
    """
    if not isinstance(values, np.ndarray):
        values = values.detach().double().cpu().numpy()
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{name} have shape {vector.shape}, not (N,)")
    if not len(vector):
        raise ValueError(f"{name} are empty")
    if bad := np.count_nonzero(~np.isfinite(vector)):
        raise ValueError(f"{bad} of {len(vector)} {name} are NaN or infinite")
    return vector


@dataclass(frozen=True, eq=False)
class Ranking:
    """The numbers of inliers and of outliers at each distinct score, lowest score first.

    Metrics are worked from these counts, so ties need no special case and the order in which
    equal scores arrive cannot matter.
    """

    inliers: Counts
    outliers: Counts

    @classmethod
    def of(cls, inlier_scores: Tensor | NDArray, outlier_scores: Tensor | NDArray) -> Ranking:
        """Return the ranking of two vectors of scores (N,) and (M,), in one sort.

        Raises:
            ValueError: a side is empty, is no vector, or holds NaN or infinite scores.
        """
        inside = as_vector(inlier_scores, "inlier scores")
        outside = as_vector(outlier_scores, "outlier scores")
        levels, level = np.unique(np.concatenate([inside, outside]), return_inverse=True)
        inliers = np.bincount(level[: len(inside)], minlength=len(levels))
        outliers = np.bincount(level[len(inside) :], minlength=len(levels))
        return cls(inliers, outliers)


@metric(label="AUROC", better="higher", kind="detection", chance=0.5)
def auroc(ranking: Ranking) -> float:
    """Area under the ROC curve, in [0, 1]: an outlier scores above an inlier, ties counted half.

    Constant scores give exactly 0.5.
    """
    twice_below = 2 * ranking.inliers.cumsum() - ranking.inliers
    # In integers up to the division, so that constant scores give exactly 0.5.
    wins = int(ranking.outliers @ twice_below)
    return wins / (2 * int(ranking.inliers.sum()) * int(ranking.outliers.sum()))


@metric(label="AUPR, outliers positive", better="higher", kind="detection")
def aupr_out(ranking: Ranking) -> float:
    """Average precision, in [0, 1], with outliers as positives; depends on the set sizes."""
    return average_precision(ranking.outliers[::-1], ranking.inliers[::-1], balanced=False)


@metric(label="AUPR, inliers positive", better="higher", kind="detection")
def aupr_in(ranking: Ranking) -> float:
    """Average precision, in [0, 1], with inliers as positives; depends on the set sizes."""
    return average_precision(ranking.inliers, ranking.outliers, balanced=False)


@metric(label="AUPR at 1:1", better="higher", kind="detection", chance=0.5)
def aupr_out_balanced(ranking: Ranking) -> float:
    """Average precision, in [0, 1], with outliers as positives, the classes weighted to 1:1."""
    return average_precision(ranking.outliers[::-1], ranking.inliers[::-1], balanced=True)


@metric(label="AUPR at 1:1, inliers positive", better="higher", kind="detection", chance=0.5)
def aupr_in_balanced(ranking: Ranking) -> float:
    """Average precision, in [0, 1], with inliers as positives, the classes weighted to 1:1."""
    return average_precision(ranking.inliers, ranking.outliers, balanced=True)


@metric(label="FPR at 95 % TPR", better="lower", kind="detection", chance=0.95)
def fpr95_id(ranking: Ranking) -> float:
    """Share of outliers accepted at the lowest threshold that accepts at least 95 % of inliers.

    The convention of ODIN (arXiv:1706.02690) and of most papers since. Scores equal to the
    threshold are accepted.
    """
    return share_let_in(ranking.inliers, ranking.outliers)


@metric(label="inliers flagged at 95 % of outliers", better="lower", kind="detection", chance=0.95)
def fpr95_ood(ranking: Ranking) -> float:
    """Share of inliers flagged at the highest threshold that flags at least 95 % of outliers.

    Outliers are the positives here, as in OpenOOD (arXiv:2306.09301). Scores equal to the
    threshold are flagged.
    """
    return share_let_in(ranking.outliers[::-1], ranking.inliers[::-1])


def detection(
    inlier_scores: Tensor | NDArray, outlier_scores: Tensor | NDArray
) -> dict[str, float]:
    """Every detection metric by name, plug-ins included, as fractions, from one sort.

    Raises:
        ValueError: a side is empty, is no vector, or holds NaN or infinite scores.
    """
    ranking = Ranking.of(inlier_scores, outlier_scores)
    found = {name: metric(ranking) for name, metric in of_kind("detection").items()}
    return {name: value for name, value in found.items() if value is not None}


def average_precision(positives: Counts, negatives: Counts, *, balanced: bool) -> float:
    """Sum over levels of (rise in recall) x precision, from counts per level, most positive first.

    The definition of `sklearn.metrics.average_precision_score`: no interpolation. ``balanced``
    weights the two classes as if there were equally many, because precision, unlike AUROC,
    moves with nothing but the sizes of the two sets.
    """
    weight = positives.sum() / negatives.sum() if balanced else 1.0
    hits = positives.cumsum()
    precision = hits / (hits + weight * negatives.cumsum())
    return float(positives @ precision / positives.sum())


def share_let_in(wanted: Counts, others: Counts) -> float:
    """Share of ``others`` let in by the first threshold that lets in 95 % of ``wanted``.

    Counts per level, in the order in which a moving threshold lets them in; a level comes in
    whole. 95 % is 19 of 20 in integers: no rounding, and never less than 95 %.
    """
    level = np.argmax(20 * wanted.cumsum() >= 19 * wanted.sum())
    return float(others[: level + 1].sum() / others.sum())
