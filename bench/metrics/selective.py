"""Whether a score knows which answers are wrong: misclassification and selective prediction.

A model may refuse its least certain answers. Coverage is the share it answers, selective risk
the mean error of those. Errors lie in [0, 1]; with several targets, flatten them (N * T) for
right or wrong answers, or take the share of wrong targets of each input. Among equal
uncertainties every order is as likely, and each number here is the expected value over them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.metrics.detection import Ranking, Vector, as_vector, auroc
from bench.metrics.registry import declared, metric, of_kind

if TYPE_CHECKING:
    from torch import Tensor

RISKS = (1, 5)  # per cent
DECLARED = tuple(
    declared(f"coverage_at_{risk}", f"coverage at {risk} % risk", kind="misclassification",
             better="higher")
    for risk in RISKS
)  # fmt: skip


def misclassification(uncertainty: Tensor | NDArray, errors: Tensor | NDArray) -> dict[str, float]:
    """Every misclassification metric by name, plug-ins included; undefined ones are left out."""
    found = {
        name: metric(uncertainty, errors) for name, metric in of_kind("misclassification").items()
    }
    return {name: value for name, value in found.items() if value is not None}


@metric(label="AUROC of wrong answers", better="higher", kind="misclassification", chance=0.5)
def misclassification_auroc(
    uncertainty: Tensor | NDArray, errors: Tensor | NDArray
) -> float | None:
    """Chance that a wrong answer is less certain than a right one, ties half; both (N,).

    None where it is undefined: no answer is wrong, or all are.

    Raises:
        ValueError: an error is neither 0 nor 1.
    """
    unsure, wrong = _checked(uncertainty, errors)
    if not np.isin(wrong, (0.0, 1.0)).all():
        raise ValueError("misclassification_auroc needs errors of 0 or 1; flatten the targets")
    if wrong.min() == wrong.max():
        return None
    return auroc(Ranking.of(unsure[wrong == 0], unsure[wrong == 1]))


@metric(label="AURC", better="lower", kind="misclassification")
def aurc(uncertainty: Tensor | NDArray, errors: Tensor | NDArray) -> float:
    """Area under the risk-coverage curve, in [0, 1], lower is better; both (N,).

    1/N Σ_i (1/i Σ_{j≤i} error_j), most certain first. The curve: Geifman & El-Yaniv
    (arXiv:1705.08500); its area: Geifman et al. (arXiv:1805.08206).
    """
    return _area(_ranked_errors(uncertainty, errors))


@metric(label="excess AURC", better="lower", kind="misclassification")
def e_aurc(uncertainty: Tensor | NDArray, errors: Tensor | NDArray) -> float:
    """AURC in excess of that of the best ranking of the same errors; 0 is perfect; both (N,).

    Geifman et al. (arXiv:1805.08206), with the exact area of the best ranking in place of its
    approximation r + (1 - r) ln(1 - r).
    """
    ranked = _ranked_errors(uncertainty, errors)
    best = np.sort(as_vector(errors, "errors"))
    return _area(ranked) - _area(best)


@metric(label="AUGRC", better="lower", kind="misclassification")
def augrc(uncertainty: Tensor | NDArray, errors: Tensor | NDArray) -> float:
    """Area under the generalised risk-coverage curve, in [0, 0.5], lower is better; both (N,).

    Generalised risk is the error among the i most certain divided by N: the risk that an input
    is answered, and wrongly. Trapezoids from coverage 0 make it exactly
    (1 - AUROC) acc (1 - acc) + (1 - acc)²/2, as in Traub et al. (arXiv:2407.01032).
    """
    ranked = _ranked_errors(uncertainty, errors)
    n = len(ranked)
    return float((ranked.cumsum() - ranked / 2).sum() / n**2)


@metric(label="risk at 80 % coverage", better="lower", kind="misclassification")
def risk_at_80(uncertainty: Tensor | NDArray, errors: Tensor | NDArray) -> float:
    """Mean error of the most certain 80 % of inputs (rounded up), in [0, 1]; both (N,)."""
    ranked = _ranked_errors(uncertainty, errors)
    kept = -(-4 * len(ranked) // 5)  # ceil, in integers
    return float(ranked[:kept].mean())


def coverage_at(uncertainty: Tensor | NDArray, errors: Tensor | NDArray, risk: float) -> float:
    """Largest coverage at which the mean error is at most ``risk``, in [0, 1]; both (N,).

    Known only afterwards: to fix a threshold that keeps a risk takes validation data.
    """
    ranked = _ranked_errors(uncertainty, errors)
    kept = np.flatnonzero(ranked.cumsum() <= risk * np.arange(1, len(ranked) + 1) + 1e-9)
    return float(kept[-1] + 1) / len(ranked) if len(kept) else 0.0


def _checked(uncertainty: Tensor | NDArray, errors: Tensor | NDArray) -> tuple[Vector, Vector]:
    """Uncertainty and errors as float64 vectors of one length, errors in [0, 1]."""
    unsure, wrong = as_vector(uncertainty, "uncertainties"), as_vector(errors, "errors")
    if len(unsure) != len(wrong):
        raise ValueError(f"{len(unsure)} uncertainties for {len(wrong)} errors")
    if wrong.min() < 0 or wrong.max() > 1:
        raise ValueError("errors lie outside [0, 1]")
    return unsure, wrong


def _ranked_errors(uncertainty: Tensor | NDArray, errors: Tensor | NDArray) -> Vector:
    """Errors (N,), most certain first, each replaced by the mean of those it ties with.

    Every metric here is linear in the ranked errors, so this gives its expected value.
    """
    unsure, wrong = _checked(uncertainty, errors)
    _, level, size = np.unique(unsure, return_inverse=True, return_counts=True)
    return np.repeat(np.bincount(level, weights=wrong) / size, size)


def _area(ranked: Vector) -> float:
    """Mean over coverages of the selective risk of errors ranked most certain first."""
    return float((ranked.cumsum() / np.arange(1, len(ranked) + 1)).mean())
