"""Scores from samples of the predictive distribution: probabilities (N, S, T, K) -> (N,).

In float64, and on probabilities averaged over samples, never on averaged logits. Entropies are
in nats.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.scores.base import score

GAL = "Gal 2016, Uncertainty in Deep Learning"


@score(label="vote entropy", source="Wu, Goodman & Ermon 2021, eq. 6", needs="samples")
def vote_entropy(probs: Tensor) -> Tensor:
    """Entropy of the votes, in nats; (N, S, T, K) -> (N,).

    -Σ_c p̂_c log p̂_c with p̂_c the share of the S samples whose top label is c.
    """
    shares = vote_counts(probs).double() / probs.shape[1]
    # Sorted, so that 5:3:2 and 2:5:3 are summed alike and tie to the last bit.
    return entropy(shares.sort(-1).values).mean(-1)


@score(label="variation ratio", source="Freeman 1965; " + GAL, needs="samples")
def variation_ratio(probs: Tensor) -> Tensor:
    """Share of the votes that are not for the winner, in [0, 1); (N, S, T, K) -> (N,)."""
    against = probs.shape[1] - vote_counts(probs).amax(-1)
    return against.double().mean(-1) / probs.shape[1]


@score(label="predictive entropy", source=GAL, needs="samples")
def predictive_entropy(probs: Tensor) -> Tensor:
    """Entropy of the mean prediction (total), in nats; (N, S, T, K) -> (N,)."""
    return entropy(mean_prediction(probs)).mean(-1)


@score(label="expected entropy", source=GAL, needs="samples")
def expected_entropy(probs: Tensor) -> Tensor:
    """Mean entropy of the samples (aleatoric), in nats; (N, S, T, K) -> (N,)."""
    return entropy(probs.double()).mean(1).mean(-1)


@score(label="mutual information", source="Houlsby et al. 2011, arXiv:1112.5745", needs="samples")
def mutual_information(probs: Tensor) -> Tensor:
    """Predictive minus expected entropy (epistemic, BALD), in nats; (N, S, T, K) -> (N,)."""
    gain = entropy(mean_prediction(probs)) - entropy(probs.double()).mean(1)
    return gain.clamp_min(0).mean(-1)  # never negative, but rounding may say so


@score(
    label="1 - max mean probability",
    source="Hendrycks & Gimpel 2017, arXiv:1610.02136",
    needs="samples",
)
def one_minus_max_mean_prob(probs: Tensor) -> Tensor:
    """Mean probability of all classes but the top one, in [0, 1); (N, S, T, K) -> (N,)."""
    return all_but_top(mean_prediction(probs)).sum(-1).mean(-1)


def mean_prediction(probs: Tensor) -> Tensor:
    """Mean over the samples, float64; (N, S, T, K) -> (N, T, K)."""
    return probs.mean(1, dtype=torch.float64)


def vote_counts(probs: Tensor) -> Tensor:
    """Number of samples with each class on top, ties to the lowest; (N, S, T, K) -> (N, T, K)."""
    n, _, targets, classes = probs.shape
    votes = probs.argmax(-1).transpose(1, 2)
    counts = votes.new_zeros(n, targets, classes)
    return counts.scatter_add_(-1, votes, torch.ones_like(votes))


def all_but_top(probs: Tensor) -> Tensor:
    """Probabilities (..., K) with the largest set to zero.

    What is left sums to 1 - max without the subtraction: a confident float32 network says
    1.0 for the top class of many inputs, and only the others still tell them apart.
    """
    return probs.scatter(-1, probs.argmax(-1, keepdim=True), 0.0)


def entropy(probs: Tensor) -> Tensor:
    """Entropy in nats of float64 probabilities; (..., K) -> (...).

    The top class counts as one minus the others, for the reason given in `all_but_top`.
    """
    others = all_but_top(probs)
    rest = others.sum(-1)
    return torch.special.entr(others).sum(-1) - (1 - rest) * torch.log1p(-rest)
