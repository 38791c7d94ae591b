"""A Gaussian posterior of the last layer's weights."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from bench.scores.base import Evidence, score
from bench.scores.sampled import entropy


class Posterior(NamedTuple):
    """The posterior of the weights of one target, in the axes in which it has no correlations.

    Args:
        inputs: axes of the features and the constant 1, (F + 1, F + 1).
        outputs: axes of the logits, (K, K).
        variance: of each weight in these axes, (F + 1, K).
    """

    inputs: Tensor
    outputs: Tensor
    variance: Tensor

    def spread(self, features: Tensor) -> Tensor:
        """Variance of the logits; (N, F) -> (N, K)."""
        along = (_with_one(features) @ self.inputs).square() @ self.variance
        return along @ self.outputs.square().T


def posterior(training: Evidence) -> list[Posterior]:
    """Return the posterior of each target, with the prior that makes the labels likeliest."""
    training.head  # noqa: B018 (it raises where there is no last layer)
    inputs = _with_one(training.features)
    lengths, axes = torch.linalg.eigh(inputs.T @ inputs)
    found = []
    for t, logits in enumerate(training.logits.unbind(1)):
        p = logits.softmax(-1)
        curvature = torch.diag(p.mean(0)) - p.T @ p / len(p)
        sizes, outputs = torch.linalg.eigh(curvature)
        hessian = lengths.clamp_min(0)[:, None] * sizes.clamp_min(0)
        weight, bias = training.head.weight[t], training.head.bias[t]
        square = float(weight.square().sum() + bias.square().sum())
        precision = hessian + prior_precision(hessian, square)
        found.append(Posterior(axes, outputs, 1 / precision))
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
def laplace(evidence: Evidence, targets: list[Posterior]) -> Tensor:
    """Entropy of the prediction averaged over last layers, in nats; (N, F) -> (N,).

    A Gaussian posterior of the weights around those trained, its covariance a Kronecker product
    (Ritter et al. 2018), its prior that of the largest marginal likelihood; the mean softmax is
    that of logits / sqrt(1 + π/8 variance) (MacKay 1992). Mean over targets.
    """
    found = []
    for logits, one in zip(evidence.logits.unbind(1), targets, strict=True):
        variance = one.spread(evidence.features)
        found.append(entropy((logits / (1 + math.pi / 8 * variance).sqrt()).softmax(-1)))
    return torch.stack(found).mean(0)
