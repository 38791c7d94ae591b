"""A Gaussian posterior of the last layer's weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from bench.scores.base import Evidence, score
from bench.scores.sampled import entropy


class Posterior(NamedTuple):
    """The posterior of each target's weights, in the axes in which they have no correlations.

    Args:
        inputs: axes of the features and the constant 1, the same for all targets, (F + 1, F + 1).
        outputs: axes of the logits, (K, K) for each target.
        variance: of each weight in these axes, (F + 1, K) for each target.
    """

    inputs: Tensor
    outputs: list[Tensor]
    variance: list[Tensor]

    def spread(self, features: Tensor) -> Iterator[Tensor]:
        """Yield the variance of each target's logits; (N, F) -> (N, K)."""
        along = (_with_one(features) @ self.inputs).square()
        for outputs, variance in zip(self.outputs, self.variance, strict=True):
            yield along @ variance @ outputs.square().T


def posterior(training: Evidence) -> Posterior:
    """Return the posterior of each target, with the prior that makes its labels likeliest."""
    training.head  # noqa: B018 (it raises where there is no last layer)
    inputs = _with_one(training.features)
    lengths, axes = torch.linalg.eigh(inputs.T @ inputs)
    found = Posterior(axes, [], [])
    for t, logits in enumerate(training.logits.unbind(1)):
        p = logits.softmax(-1)
        curvature = torch.diag(p.mean(0)) - p.T @ p / len(p)
        sizes, outputs = torch.linalg.eigh(curvature)
        hessian = lengths.clamp_min(0)[:, None] * sizes.clamp_min(0)
        weight, bias = training.head.weight[t], training.head.bias[t]
        square = float(weight.square().sum() + bias.square().sum())
        precision = hessian + prior_precision(hessian, square)
        found.outputs.append(outputs)
        found.variance.append(1 / precision)
    return found


def prior_precision(hessian: Tensor, square: float) -> float:
    """Return the prior precision δ of the largest marginal likelihood, from 1e-4 to 1e4.

    log p(D | δ) = const + 1/2 (P log δ - δ |w|² - Σ log(h + δ)) for P weights w of curvature h.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_precision: float) -> float:
        precision = math.exp(log_precision)
        volume = hessian.numel() * log_precision - (hessian + precision).log().sum().item()
        return -(volume - precision * square) / 2

    most = math.log(1e4)
    found = minimize_scalar(loss, bounds=(-most, most), method="bounded", options={"xatol": 1e-6})
    return math.exp(found.x)


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


@score(
    label="last-layer Laplace", source="Daxberger et al. 2021, arXiv:2106.14806", needs="features",
    fit=posterior,
)  # fmt: skip
def laplace(evidence: Evidence, weights: Posterior) -> Tensor:
    """Entropy of the prediction averaged over last layers, in nats; (N, F) -> (N,).

    A Gaussian posterior of the weights around those trained, its covariance a Kronecker product
    (Ritter et al. 2018), its prior that of the largest marginal likelihood; the mean softmax is
    that of logits / sqrt(1 + π/8 variance) (MacKay 1992). Mean over targets.
    """
    found = []
    spread = weights.spread(evidence.features)
    for logits, variance in zip(evidence.logits.unbind(1), spread, strict=True):
        found.append(entropy((logits / (1 + math.pi / 8 * variance).sqrt()).softmax(-1)))
    return torch.stack(found).mean(0)
