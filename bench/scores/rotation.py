"""How badly a network that must recognise rotations recognises those of an input."""

from __future__ import annotations

import math

from torch import Tensor

from bench.scores.base import Evidence, score


@score(
    label="rotation loss", source="Hendrycks et al. 2019, arXiv:1906.12340", needs="rotation_loss"
)
def rotation_loss(evidence: Evidence, fitted: None) -> Tensor:
    """Loss of the rotations less KL(U | p), in nats; (N,) -> (N,).

    1/4 Σ_r CE(turn(x turned by r), r) - KL(U | p) with U the uniform distribution over the classes
    and p the softmax, mean over targets: a certain softmax and turns that are recognised count
    against an outlier.
    """
    log_p = evidence.logits.log_softmax(-1)
    divergence = -math.log(log_p.shape[-1]) - log_p.mean(-1)
    return evidence.extras["rotation_loss"] - divergence.mean(-1)
