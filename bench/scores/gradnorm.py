"""The gradient of the last layer's weights."""

from __future__ import annotations

from torch import Tensor

from bench.scores.base import Evidence, score


@score(label="GradNorm", source="Huang et al. 2021, arXiv:2110.00218", needs="features")
def gradnorm(evidence: Evidence, fitted: None) -> Tensor:
    """Minus the L1 norm of the gradient of KL(uniform | softmax), last layer; (N, F) -> (N,).

    In closed form -|f|_1 Σ_k |p_k - 1/K|: the gradient is an outer product; mean over targets.
    """
    p = evidence.logits.softmax(-1)
    spread = (p - 1 / p.shape[-1]).abs().sum(-1).mean(-1)
    return -(evidence.features.abs().sum(1) * spread)
