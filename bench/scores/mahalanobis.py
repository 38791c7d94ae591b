"""Distances to class means in units of the features' covariance."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from bench.scores.base import Evidence, score
from bench.scores.features import at_least_two, class_means, squared_distances, whitening


class Gaussians(NamedTuple):
    """Gaussians of one covariance for the classes of one target, as whitened features.

    Args:
        middle: mean of all training features, (F,).
        white: map (F, R) to features whose covariance within classes is 1.
        means: of the classes that occur, (C, R).
    """

    middle: Tensor
    white: Tensor
    means: Tensor

    def distances(self, features: Tensor) -> Tensor:
        """Squared Mahalanobis distances (N, C) of features (N, F)."""
        return squared_distances((features - self.middle) @ self.white, self.means)


def shared_covariance(training: Evidence) -> list[Gaussians]:
    """Return the Gaussians of each target."""
    features, middle = training.features, training.features.mean(0)
    found = []
    for labels in training.known.T:
        means, place = class_means(features, labels)
        white = whitening(features - means[place])
        found.append(Gaussians(middle, white, (means - middle) @ white))
    return found


@score(
    label="Mahalanobis", source="Lee et al. 2018, arXiv:1807.03888", needs="features",
    fit=shared_covariance,
)  # fmt: skip
def mahalanobis(evidence: Evidence, targets: list[Gaussians]) -> Tensor:
    """Squared Mahalanobis distance to the nearest class mean; features (N, F) -> (N,).

    min_c (f - μ_c)' Σ⁺ (f - μ_c), with Σ the covariance within classes and Σ⁺ its pseudo-inverse;
    mean over targets. Of the last features, without the paper's other layers and its change of
    the input.
    """
    return sum_of_smallest(targets, evidence.features) / len(targets)


def sum_of_smallest(targets: list[Gaussians], features: Tensor) -> Tensor:
    """Sum over targets of the distance to the nearest class; (N, F) -> (N,)."""
    first, *others = (one.distances(features).amin(1) for one in targets)
    return sum(others, first)


def with_background(training: Evidence) -> tuple[list[Gaussians], Gaussians]:
    """Return the Gaussians of each target, and the one of all inputs whatever their class."""
    for labels in training.known.T:
        at_least_two(labels)
    middle = training.features.mean(0)
    white = whitening(training.features - middle)
    return shared_covariance(training), Gaussians(middle, white, white.new_zeros(1, white.shape[1]))


@score(
    label="relative Mahalanobis", source="Ren et al. 2021, arXiv:2106.09022", needs="features",
    fit=with_background,
)  # fmt: skip
def relative_mahalanobis(evidence: Evidence, fitted: tuple[list[Gaussians], Gaussians]) -> Tensor:
    """Mahalanobis distance to the nearest class minus that to all inputs; (N, F) -> (N,).

    min_c (f - μ_c)' Σ⁺ (f - μ_c) - (f - μ)' Σ₀⁺ (f - μ), with Σ₀ the covariance of all features;
    mean over targets.
    """
    targets, background = fitted
    near = sum_of_smallest(targets, evidence.features) / len(targets)
    return near - background.distances(evidence.features)[:, 0]
