"""Energy by the weights that contribute most."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.scores.base import Evidence, Head, score
from bench.scores.features import energy

SHARE = 0.9  # of the weights that are left out, as in the paper on CIFAR


def sparse(training: Evidence) -> Head:
    """Return the last layer with only the weights that contribute most to the logits."""
    head = training.head
    contribution = head.weight * training.features.mean(0)
    # Target by target: each has a layer of its own.
    least = contribution.flatten(1).quantile(SHARE, dim=1)[:, None, None]
    return Head(torch.where(contribution > least, head.weight, 0.0), head.bias)


@score(
    label="DICE", source="Sun & Li 2022, arXiv:2111.09805", needs="features", fit=sparse,
    tuned="published",
)  # fmt: skip
def dice(evidence: Evidence, head: Head) -> Tensor:
    """Energy of the logits by a tenth of the weights; (N, F) -> (N,).

    Those are kept that contribute most to logits: weight times mean training feature.
    """
    return energy(head(evidence.features))
