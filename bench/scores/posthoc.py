"""Scores from the logits of one deterministic pass: (N, T, K) -> (N,).

Softmax is taken in float64 and as differences of log-sum-exps: in float32 the top probability of
a confident network rounds to 1, and inputs that differ tie.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.scores.base import score


@score(label="MSP", source="Hendrycks & Gimpel 2017, arXiv:1610.02136", needs="logits")
def msp(logits: Tensor) -> Tensor:
    """One minus the maximum softmax probability, in [0, 1); (N, T, K) -> (N,)."""
    return log_rest(logits.double()).exp().amin(-1).mean(-1)


@score(label="max logit", source="Hendrycks et al. 2022, arXiv:1911.11132", needs="logits")
def max_logit(logits: Tensor) -> Tensor:
    """Minus the largest logit; (N, T, K) -> (N,)."""
    return -logits.double().amax(-1).mean(-1)


@score(label="energy", source="Liu et al. 2020, arXiv:2010.03759", needs="logits")
def energy(logits: Tensor) -> Tensor:
    """Free energy at temperature 1, -log Σ_k exp(logit_k), in nats; (N, T, K) -> (N,)."""
    return -logits.double().logsumexp(-1).mean(-1)


@score(label="GEN", source="Liu, Lochman & Zach, CVPR 2023", needs="logits", tuned="published")
def gen(logits: Tensor) -> Tensor:
    """Generalised entropy Σ_k (p_k (1 - p_k))^γ of the 100 likeliest classes; (N, T, K) -> (N,).

    γ = 0.1 and M = 100, as the paper sets them for ImageNet; the paper's own score is minus this.
    """
    logits = logits.double()
    log_p, log_q = logits.log_softmax(-1), log_rest(logits)
    terms = (0.1 * (log_p + log_q)).exp()  # p (1 - p) is largest where p is
    return terms.topk(min(100, logits.shape[-1])).values.sum(-1).mean(-1)


def log_rest(logits: Tensor) -> Tensor:
    """log(1 - softmax) of float64 logits, class by class; (..., K) -> (..., K).

    The top class takes the log-sum-exp of the others minus that of all, which is exact where
    1 - p would round to 0; no other class has more than half of the probability.
    """
    top = logits.argmax(-1, keepdim=True)
    others = logits.scatter(-1, top, -torch.inf).logsumexp(-1, keepdim=True)
    rest = torch.log1p(-logits.softmax(-1).clamp_max(0.5))
    return rest.scatter(-1, top, others - logits.logsumexp(-1, keepdim=True))
