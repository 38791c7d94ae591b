"""How much of the features lies outside the space that training features fill."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bench.scores.base import Evidence, Unavailable, score
from bench.scores.features import ROUNDING

WANG = "Wang et al. 2022, arXiv:2203.10807"


class Outside(NamedTuple):
    """The directions outside the principal space, and the scale of the virtual logit.

    Args:
        origin: where all logits are 0, as far as that is possible, (F,).
        directions: orthonormal, (F, R).
        scale: of each target, (T,).
    """

    origin: Tensor
    directions: Tensor
    scale: Tensor

    def residual(self, features: Tensor) -> Tensor:
        """Length of what lies outside; (N, F) -> (N,)."""
        return ((features - self.origin) @ self.directions).norm(dim=1)


def principal(features: int) -> int:
    """Return the dimension of the principal space for F features.

    The reference code's 1000 for 2048 features or more and 512 for 768 or more; half for fewer.
    """
    return 1000 if features >= 2048 else 512 if features >= 768 else features // 2


def outside(training: Evidence) -> Outside:
    """Return the directions in which training features vary least, and the virtual logit's scale.

    The origin is -W⁺b. The scale makes the virtual logit as large as the largest logit, on average.
    """
    head, features = training.head, training.features
    weight, bias = head.weight.flatten(0, 1), head.bias.flatten()
    origin = -torch.linalg.pinv(weight, rtol=ROUNDING * max(weight.shape)) @ bias
    centred = features - origin
    directions = torch.linalg.eigh(centred.T @ centred / len(centred)).eigenvectors
    found = Outside(origin, directions[:, : features.shape[1] - principal(features.shape[1])], bias)
    lengths = found.residual(features)
    if lengths.mean() <= ROUNDING * centred.norm(dim=1).mean():
        raise Unavailable("no training features lie outside their principal space")
    return found._replace(scale=training.logits.amax(-1).mean(0) / lengths.mean())


@score(label="residual", source=WANG, needs="features", fit=outside, tuned="published")
def residual(evidence: Evidence, fitted: Outside) -> Tensor:
    """Length of the features outside the principal space; (N, F) -> (N,).

    |(1 - PP') (f - o)|, with P the main directions of training features around the origin o at
    which the logits vanish.
    """
    return fitted.residual(evidence.features)


@score(label="ViM", source=WANG, needs="features", fit=outside, tuned="published")
def vim(evidence: Evidence, fitted: Outside) -> Tensor:
    """Virtual logit minus the log-sum-exp of the others; (N, F) -> (N,).

    α |(1 - PP') (f - o)| - log Σ_k exp(logit_k), see `residual`; mean over targets.
    """
    virtual = fitted.residual(evidence.features)[:, None] * fitted.scale
    return (virtual - evidence.logits.logsumexp(-1)).mean(-1)
