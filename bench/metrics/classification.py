"""How often the top label is right. Probabilities are (N, T, K), labels (N, T) int64."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bench.metrics.registry import metric, of_kind

if TYPE_CHECKING:
    from torch import Tensor


class TopLabel(NamedTuple):
    """The most probable class of every target and its probability (float64), both (N, T)."""

    confidence: Tensor
    label: Tensor


def top_label(probs: Tensor) -> TopLabel:
    """Most probable class (ties: the lowest) and its probability; (N, T, K) -> two of (N, T)."""
    label = probs.argmax(-1)
    return TopLabel(probs.gather(-1, label[..., None])[..., 0].double(), label)


def errors(probs: Tensor, y: Tensor) -> Tensor:
    """Whether the top label is wrong, as bool; (N, T, K) and (N, T) -> (N, T)."""
    check_labels(probs, y)
    return top_label(probs).label != y


@metric(label="accuracy", better="higher", kind="answer")
def accuracy(probs: Tensor, y: Tensor) -> float:
    """Share of right top labels, in [0, 1]: the mean over inputs and targets."""
    return 1.0 - errors(probs, y).double().mean().item()


def judged(probs: Tensor, y: Tensor) -> dict[str, float]:
    """Every metric of a point prediction by name, plug-ins included; (N, T, K) and (N, T)."""
    found = {name: metric(probs, y) for name, metric in of_kind("answer").items()}
    return {name: value for name, value in found.items() if value is not None}


def check_labels(probs: Tensor, y: Tensor) -> None:
    """Refuse empty or non-finite probabilities, and labels of another shape or without a class.

    Raises:
        ValueError: says which; an outlier's label, -1, is no class.
    """
    if probs.ndim != 3 or probs.shape[:2] != y.shape or not y.numel():
        raise ValueError(
            f"probabilities {tuple(probs.shape)} and labels {tuple(y.shape)} "
            "are not (N, T, K) and (N, T)"
        )
    if bad := int((~probs.isfinite()).sum()):
        raise ValueError(f"{bad} of {probs.numel()} probabilities are NaN or infinite")
    if bad := int(((y < 0) | (y >= probs.shape[-1])).sum()):
        raise ValueError(f"{bad} of {y.numel()} labels are not among the {probs.shape[-1]} classes")
