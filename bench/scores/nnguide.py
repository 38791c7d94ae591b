"""Energy guided by the nearest training inputs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bench.scores.base import Evidence, Unavailable, score
from bench.scores.features import energy, largest

K = 10  # neighbours, as in the paper
BANK = 2000  # training inputs they are taken from; the paper takes 1 % of ImageNet


def bank(training: Evidence) -> Tensor:
    """Return training features of length 1, each times its energy, (M, F).

    Raises:
        Unavailable: there are fewer training inputs than neighbours.
    """
    n = len(training.features)
    if n < K:
        raise Unavailable(f"it takes {K} neighbours, and there are {n} training inputs")
    rows = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:BANK].sort().values
    return (
        functional.normalize(training.features[rows], dim=1)
        * -energy(training.logits[rows])[:, None]
    )


@score(
    label="NNGuide", source="Park et al. 2023, arXiv:2309.14888", needs="features", fit=bank,
    tuned="by hand",
)  # fmt: skip
def nnguide(evidence: Evidence, known: Tensor) -> Tensor:
    """Energy times the similarity to ten training inputs; (N, F) -> (N,).

    -E(f) · 1/10 Σ_i E(f_i) <f/|f|, f_i/|f_i|> over the ten largest terms among 2000 drawn training
    inputs, with E(f) = log Σ_k exp(logit_k), mean over targets.
    """
    products = functional.normalize(evidence.features, dim=1) @ known.T
    return energy(evidence.logits) * largest(products, K)[0].mean(1)
