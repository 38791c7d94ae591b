"""Which score is a method's own."""

from __future__ import annotations

from torch import Tensor


def own_score(probs: Tensor) -> str:
    """Return the score of the paper for predictions (N, S, T, K): eq. 6, or 1 - max p.

    Vote entropy needs votes: one sample has a single one, so that it is 0 everywhere.
    """
    return "vote_entropy" if probs.shape[1] > 1 else "one_minus_max_mean_prob"
