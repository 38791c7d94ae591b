"""Layers with a distribution over their weights (Blundell et al. 2015, arXiv:1505.05424).

A weight has the posterior N(mu, sigma^2) with sigma = log(1 + exp(rho)), and the scale-mixture
prior pi N(0, sigma_1^2) + (1 - pi) N(0, sigma_2^2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

HALF_LOG_2_PI = math.log(2 * math.pi) / 2


class WeightDistribution(nn.Module):
    """A tensor of weights, each with its own Gaussian posterior."""

    def __init__(
        self,
        *shape: int,
        spread: float,
        posterior_mu_init: float,
        posterior_rho_init: float,
    ) -> None:
        super().__init__()
        self.mu = nn.Parameter(posterior_mu_init + spread * (2 * torch.rand(*shape) - 1))
        self.rho = nn.Parameter(torch.full(shape, posterior_rho_init))

    def draw(self, prior: ScaleMixture) -> tuple[Tensor, Tensor]:
        """Return weights w = mu + sigma eps, and their complexity log q(w) - log p(w) in nats."""
        sigma = functional.softplus(self.rho)
        noise = torch.randn_like(self.mu)
        weights = self.mu + sigma * noise
        if not self.training:  # prediction needs no complexity
            return weights, weights.new_zeros(())
        log_posterior = -(sigma.log() + noise.square() / 2 + HALF_LOG_2_PI).sum()
        return weights, log_posterior - prior.log_density(weights)


class ScaleMixture:
    """The prior of every weight: pi N(0, sigma_1^2) + (1 - pi) N(0, sigma_2^2)."""

    def __init__(self, *, prior_sigma_1: float, prior_sigma_2: float, prior_pi: float) -> None:
        self.prior_sigma_1 = prior_sigma_1
        self.prior_sigma_2 = prior_sigma_2
        self.prior_pi = prior_pi

    def log_density(self, weights: Tensor) -> Tensor:
        """Return log p(w) in nats, summed over all weights."""
        squares = weights.square()
        parts = [
            math.log(share) - math.log(sigma) - HALF_LOG_2_PI - squares / (2 * sigma**2)
            for share, sigma in (
                (self.prior_pi, self.prior_sigma_1),
                (1 - self.prior_pi, self.prior_sigma_2),
            )
            if share > 0
        ]
        return (parts[0] if len(parts) == 1 else torch.logaddexp(*parts)).sum()


class BayesLayer(nn.Module):
    """A layer that draws weights once a call, or uses their posterior means.

    After a call with drawn weights ``complexity`` holds their sampled Kullback-Leibler
    divergence from the prior. A subclass writes `apply_weights`.

    Args:
        shape: of the weights, (outputs, inputs, …).
        prior_sigma_1: see `ScaleMixture`.
        prior_sigma_2: see `ScaleMixture`.
        prior_pi: see `ScaleMixture`.
        posterior_mu_init: initial mean, to which uniform noise of up to 1 / sqrt(inputs of an
            output) is added, as in torch's own layers.
        posterior_rho_init: initial rho.
    """

    def __init__(
        self,
        *shape: int,
        prior_sigma_1: float,
        prior_sigma_2: float,
        prior_pi: float,
        posterior_mu_init: float,
        posterior_rho_init: float,
    ) -> None:
        super().__init__()
        self.prior = ScaleMixture(
            prior_sigma_1=prior_sigma_1, prior_sigma_2=prior_sigma_2, prior_pi=prior_pi
        )
        start = partial(
            WeightDistribution,
            spread=1 / math.sqrt(math.prod(shape[1:])),
            posterior_mu_init=posterior_mu_init,
            posterior_rho_init=posterior_rho_init,
        )
        self.weight = start(*shape)
        self.bias = start(shape[0])
        self.drawing = False
        self.complexity: Tensor = torch.zeros(())

    def apply_weights(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the layer's output with these weights."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        if not self.drawing:
            return self.apply_weights(x, self.weight.mu, self.bias.mu)
        weight, weight_cost = self.weight.draw(self.prior)
        bias, bias_cost = self.bias.draw(self.prior)
        self.complexity = weight_cost + bias_cost
        return self.apply_weights(x, weight, bias)


class BayesLinear(BayesLayer):
    """A linear layer with a distribution over its weights."""

    def __init__(self, inputs: int, outputs: int, **settings: float) -> None:
        super().__init__(outputs, inputs, **settings)

    def apply_weights(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.linear(x, weight, bias)


class BayesConvolution(BayesLayer):
    """A convolution 3 x 3 that keeps the size of maps, with a distribution over its weights."""

    def __init__(self, inputs: int, outputs: int, **settings: float) -> None:
        super().__init__(outputs, inputs, 3, 3, **settings)

    def apply_weights(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return functional.conv2d(x, weight, bias, padding=1)


def bayes_layers(net: nn.Module) -> list[BayesLayer]:
    """Return all layers of ``net`` that hold a distribution."""
    return [layer for layer in net.modules() if isinstance(layer, BayesLayer)]


@contextmanager
def drawn_weights(net: nn.Module) -> Iterator[None]:
    """Let calls of ``net`` draw new weights within the block, and use posterior means after it."""
    layers = bayes_layers(net)
    for layer in layers:
        layer.drawing = True
    try:
        yield
    finally:
        for layer in layers:
            layer.drawing = False


def complexity(net: nn.Module) -> Tensor:
    """Return the sampled Kullback-Leibler divergence from prior to posterior of the last call."""
    return torch.stack([layer.complexity for layer in bayes_layers(net)]).sum()
