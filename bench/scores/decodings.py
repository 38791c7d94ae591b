"""What the decodings of an input say: scores of methods with a decoder alone.

A decoder g turns each activation h_l of the classifier f back into an input.
"""

from __future__ import annotations

from torch import Tensor

from bench.scores.base import Evidence, score
from bench.scores.posthoc import log_rest

WU = "after Wu, Goodman & Ermon 2021, arXiv:2106.00769"


@score(label="decoding error", source=WU, needs="decoding_error")
def decoding_error(evidence: Evidence, fitted: None) -> Tensor:
    """Squared error of the first decodings, Σ over pixels, mean over layers; (N, L) -> (N,)."""
    return evidence.extras["decoding_error"].mean(1)


@score(label="decoding disagreement", source=WU, needs="decoding_logits")
def decoding_disagreement(evidence: Evidence, fitted: None) -> Tensor:
    """Chance that f(x) and f(g(h_l)) name different labels, in [0, 1]; (N, L, T, K) -> (N,).

    1 - Σ_k p_k(x) p_k(g(h_l)), mean over layers l and targets.
    """
    return disagreement(evidence.logits, evidence.extras["decoding_logits"]).mean(1)


@score(label="disagreement with depth", source=WU, needs="recursion_logits")
def decoding_drift(evidence: Evidence, fitted: None) -> Tensor:
    """Rise of the disagreement from the first to the fourth decoding; (N, D, T, K) -> (N,).

    Of x_d = g(h_L(x_{d-1})), the decoding of the last activation of the decoding before.
    """
    by_depth = disagreement(evidence.logits, evidence.extras["recursion_logits"])
    return by_depth[:, -1] - by_depth[:, 0]


def disagreement(logits: Tensor, others: Tensor) -> Tensor:
    """Chance that labels drawn by both differ; (N, T, K) and (N, D, T, K) -> (N, D)."""
    both = logits.log_softmax(-1)[:, None] + log_rest(others)
    return both.exp().sum(-1).mean(-1)
