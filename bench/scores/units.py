"""How many units of the last hidden layer are outside the range that training has shown."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from bench.scores.base import Evidence, score

TAIL = 0.005  # share of training inputs on either side of a unit's range


class Ranges(NamedTuple):
    """The range of each unit in training and its weight, (F,) each."""

    low: Tensor
    high: Tensor
    weight: Tensor


def ranges(training: Evidence) -> Ranges:
    """Return the range that holds 99 % of the training inputs, for each unit.

    A unit weighs as much as it moves the logits: its standard deviation times the sum of its
    absolute weights in the last layer, or without them where that is not linear.
    """
    features = training.features
    by_unit = features.T.contiguous()  # numbers of one unit side by side: sixteen times as fast
    beyond = int(TAIL * len(features)) + 1
    low = by_unit.topk(beyond, largest=False).values[:, -1]
    high = by_unit.topk(beyond).values[:, -1]
    spread = features.std(0, correction=0)
    head = training.linear
    weight = spread if head is None else spread * head.weight.abs().sum((0, 1))
    return Ranges(low, high, weight / weight.sum().clamp_min(1e-12))


def outside(features: Tensor, known: Ranges) -> Tensor:
    """Return which units are outside their range, (N, F)."""
    return (features < known.low) | (features > known.high)


@score(
    label="units outside", source="after Sarkar et al. 2023, arXiv:2303.11912", needs="features",
    fit=ranges, tuned="by hand",
)  # fmt: skip
def units_outside(evidence: Evidence, known: Ranges) -> Tensor:
    """Weighted share of units outside the range of 99 % of training inputs; (N, F) -> (N,)."""
    return outside(evidence.features, known).double() @ known.weight.double()
