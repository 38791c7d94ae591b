"""How far an input is from the decision boundaries."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bench.scores.base import Evidence, Unavailable, score


class Boundaries(NamedTuple):
    """The mean of the training features, (F,), and distances between weights, (T, K, K)."""

    middle: Tensor
    between: Tensor


def boundaries(training: Evidence) -> Boundaries:
    """Return the mean feature and the distance of each class's weights from each other's."""
    weight = training.head.weight
    if weight.shape[1] < 2:
        raise Unavailable("one class has no boundary")
    between = (weight[:, :, None] - weight[:, None]).norm(dim=-1)
    tiny = torch.finfo(between.dtype).tiny
    return Boundaries(training.features.mean(0), between.clamp_min(tiny))


@score(label="fDBD", source="Liu & Qin 2024, arXiv:2312.11536", needs="features", fit=boundaries)
def fdbd(evidence: Evidence, fitted: Boundaries) -> Tensor:
    """Minus the mean distance to the boundaries of the predicted class; (N, F) -> (N,).

    Distances (logit_ŷ - logit_c) / |w_ŷ - w_c|, mean over the classes c but ŷ, in units of the
    distance of the features from their training mean; mean over targets.
    """
    top, predicted = evidence.logits.max(-1, keepdim=True)
    targets = torch.arange(top.shape[1])
    between = fitted.between[targets, predicted[..., 0]]  # (N, T, K)
    distances = (top - evidence.logits) / between  # 0 for the class itself
    mean = distances.sum(-1) / (distances.shape[-1] - 1)
    length = (evidence.features - fitted.middle).norm(dim=1)
    return -(mean.mean(-1) / length.clamp_min(1e-8))
