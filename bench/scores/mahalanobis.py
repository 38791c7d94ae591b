"""Distances to class means in units of the features' covariance."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from bench.scores.base import Evidence, score
from bench.scores.features import (
    ROUNDING,
    at_least_two,
    class_means,
    squared_distances,
    whitening,
)


class Classes(NamedTuple):
    """Gaussians of one covariance for the classes of one target, in the `White` axes.

    There the covariance within classes is 1 but along A axes in which class means differ.

    Args:
        means: of the classes that occur, (C, R).
        axes: orthonormal, (R, A).
        gains: what squares along these axes count beyond 1, (A,): -1, so that they count for
            nothing, where no class varies.
    """

    means: Tensor
    axes: Tensor
    gains: Tensor

    def distances(self, white: Tensor) -> Tensor:
        """Squared Mahalanobis distances (N, C) of white features (N, R)."""
        along = (white @ self.axes)[:, None] - self.means @ self.axes  # (N, C, A)
        return squared_distances(white, self.means) + along.square() @ self.gains


class White(NamedTuple):
    """Axes in which the features of all training inputs have the mean 0 and the covariance 1.

    One product brings features there, for every target.

    Args:
        middle: mean of all training features, (F,).
        axes: map (F, R).
        targets: the classes of each.
    """

    middle: Tensor
    axes: Tensor
    targets: list[Classes]

    def __call__(self, features: Tensor) -> Tensor:
        """Return features (N, F) in these axes, (N, R)."""
        return (features - self.middle) @ self.axes

    def nearest(self, white: Tensor) -> Tensor:
        """Squared distance to the nearest class, mean over targets; (N, R) -> (N,)."""
        first, *others = (one.distances(white).amin(1) for one in self.targets)
        return sum(others, first) / len(self.targets)


def shared_covariance(training: Evidence) -> White:
    """Return the Gaussians of each target."""
    middle = training.features.mean(0)
    found = White(middle, whitening(training.features - middle), [])
    features = found(training.features)
    for labels in training.known.T:
        means, place = class_means(features, labels)
        shares = torch.bincount(place).double() / len(place)
        axes, between, _ = torch.linalg.svd(means.T * shares.sqrt(), full_matrices=False)
        within = 1 - between.square()  # covariance along the axes
        varies = within > (len(middle) * ROUNDING) ** 2
        gains = torch.where(varies, 1 / within, 0) - 1
        found.targets.append(Classes(means, axes, gains))
    return found


@score(
    label="Mahalanobis", source="Lee et al. 2018, arXiv:1807.03888", needs="features",
    fit=shared_covariance,
)  # fmt: skip
def mahalanobis(evidence: Evidence, white: White) -> Tensor:
    """Squared Mahalanobis distance to the nearest class mean; features (N, F) -> (N,).

    min_c (f - μ_c)' Σ⁺ (f - μ_c), with Σ the covariance within classes and Σ⁺ its pseudo-inverse;
    mean over targets. Of the last features, without the paper's other layers and its change of
    the input.
    """
    return white.nearest(white(evidence.features))


def with_background(training: Evidence) -> White:
    """Return the Gaussians of each target, which has more than one class."""
    for labels in training.known.T:
        at_least_two(labels)
    return shared_covariance(training)


@score(
    label="relative Mahalanobis", source="Ren et al. 2021, arXiv:2106.09022", needs="features",
    fit=with_background,
)  # fmt: skip
def relative_mahalanobis(evidence: Evidence, white: White) -> Tensor:
    """Mahalanobis distance to the nearest class minus that to all inputs; (N, F) -> (N,).

    min_c (f - μ_c)' Σ⁺ (f - μ_c) - (f - μ)' Σ₀⁺ (f - μ), with Σ₀ the covariance of all features;
    mean over targets.
    """
    features = white(evidence.features)
    return white.nearest(features) - features.square().sum(1)
