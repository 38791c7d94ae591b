"""Energy of features that are sharpened by how peaked they are."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.scores.base import Evidence, Head, Unavailable, score
from bench.scores.features import energy

ASH_SHARE, SCALE_SHARE = 0.9, 0.85  # of the features that are the small ones, as published


def head_on_activations(training: Evidence) -> Head:
    """Return the last layer.

    Raises:
        Unavailable: features are negative, which no share of a sum can be.
    """
    if training.features.amin() < 0:
        raise Unavailable("it shares out the sum of features, and some are negative")
    return training.head


def peaks(features: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Return the large features, others 0, and exp(sum of all / sum of the large ones).

    (N, F) -> (N, F) and (N, 1).
    """
    n = features.shape[1]
    large = features.topk(max(n - round(n * share), 1), dim=1)
    kept = torch.zeros_like(features).scatter(1, large.indices, large.values)
    tiny = torch.finfo(features.dtype).tiny
    ratio = features.sum(1, keepdim=True) / kept.sum(1, keepdim=True).clamp_min(tiny)
    return kept, ratio.exp()


@score(
    label="ASH", source="Djurisic et al. 2023, arXiv:2209.09858", needs="features",
    fit=head_on_activations, tuned="published",
)  # fmt: skip
def ash(evidence: Evidence, head: Head) -> Tensor:
    """Energy of the largest tenth of the features, sharpened; (N, F) -> (N,).

    ASH-S: those features times exp(sum of all features / sum of those).
    """
    kept, sharper = peaks(evidence.features, ASH_SHARE)
    return energy(head(kept * sharper))


@score(
    label="SCALE", source="Xu et al. 2024, arXiv:2310.00227", needs="features",
    fit=head_on_activations, tuned="published",
)  # fmt: skip
def scale(evidence: Evidence, head: Head) -> Tensor:
    """Energy of the features, sharpened; (N, F) -> (N,).

    All features times exp(sum of all / sum of the largest 15 %).
    """
    _, sharper = peaks(evidence.features, SCALE_SHARE)
    return energy(head(evidence.features * sharper))
