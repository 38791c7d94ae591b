"""The density of features under one Gaussian for each class."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bench.scores.base import Evidence, score

RIDGE = 1e-6  # of the mean variance of a feature, so that every covariance can be inverted


class Mixture(NamedTuple):
    """One Gaussian for each of C classes of a target.

    Args:
        means: (C, F).
        white: maps (C, F, F) to features of covariance 1.
        constants: logarithm of weight and normalisation, (C,), in nats.
    """

    means: Tensor
    white: Tensor
    constants: Tensor

    def log_density(self, features: Tensor) -> Tensor:
        """Log Σ_c π_c N(f; μ_c, Σ_c) in nats; (N, F) -> (N,)."""
        squares = [
            ((features - mean) @ white).square().sum(1)
            for mean, white in zip(self.means, self.white, strict=True)
        ]
        return (self.constants - torch.stack(squares, dim=1) / 2).logsumexp(1)


def one_gaussian_a_class(training: Evidence) -> list[Mixture]:
    """Return the Gaussians of each target."""
    features = training.features
    ridge = RIDGE * features.var(0, correction=0).mean().clamp_min(RIDGE)
    return [_mixture(features, labels, float(ridge)) for labels in training.known.T]


def _mixture(features: Tensor, labels: Tensor, ridge: float) -> Mixture:
    size = features.shape[1]
    means, maps, constants = [], [], []
    for label in labels.unique():
        own = features[labels == label]
        mean = own.mean(0)
        covariance = (own - mean).T @ (own - mean) / len(own)
        covariance.diagonal().add_(ridge)
        lower = torch.linalg.cholesky(covariance)
        identity = torch.eye(size, dtype=lower.dtype)
        means.append(mean)
        maps.append(torch.linalg.solve_triangular(lower, identity, upper=False).T)
        log_root = lower.diagonal().log().sum()
        constants.append(
            math.log(len(own) / len(features)) - log_root - size / 2 * math.log(2 * math.pi)
        )
    return Mixture(torch.stack(means), torch.stack(maps), torch.stack(constants))


@score(
    label="class density (DDU)", source="Mukhoti et al. 2023, arXiv:2102.11582", needs="features",
    fit=one_gaussian_a_class, tuned="by hand",
)  # fmt: skip
def class_density(evidence: Evidence, targets: list[Mixture]) -> Tensor:
    """Minus the log density of the features, in nats; (N, F) -> (N,).

    -log Σ_c π_c N(f; μ_c, Σ_c), a Gaussian for each class with its own covariance, to whose
    diagonal 1e-6 of the mean variance is added; mean over targets. The paper adds the least that
    allows a factorisation, which differs from machine to machine.
    """
    return -torch.stack([one.log_density(evidence.features) for one in targets]).mean(0)
