"""A variational autoencoder: a bound of the likelihood of an input, from a code that decodes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.datasets.base import Task

from .generative import Density, Generative, discretised_logistic

LEAST = 1e-6  # of uniform numbers that become normal ones


class Coded(Density):
    """Normal codes z (n, Z) whose decoder gives a logistic density of every byte.

    Args:
        task: gives the shape of images.
        codes: number Z of values of a code.
        width: values of the hidden layers.
    """

    def __init__(self, task: Task, *, codes: int, width: int) -> None:
        super().__init__()
        size = math.prod(task.shape)
        self.width = codes
        self.noise = (1, codes)
        layers = hidden(size, width)
        self.encoder = nn.Sequential(nn.Flatten(), *layers, nn.Linear(width, 2 * codes))
        self.decoder = nn.Sequential(*hidden(codes, width), nn.Linear(width, 2 * size))

    def forward(self, x: Tensor, u: Tensor | None) -> tuple[Tensor, Tensor]:
        mean, log_std = self.encoder(x).float().chunk(2, dim=1)
        log_std = log_std.clamp(-7, 7)
        if u is None:
            return self._log_p(x, mean.unsqueeze(1)).squeeze(1), mean
        e = 2**0.5 * torch.erfinv(2 * u.clamp(LEAST, 1 - LEAST) - 1)
        z = mean.unsqueeze(1) + log_std.exp().unsqueeze(1) * e  # (n, K, Z)
        prior = -0.5 * z.square().sum(-1)
        posterior = -0.5 * e.square().sum(-1) - log_std.sum(1, keepdim=True)
        weights = self._log_p(x, z) + prior - posterior
        return weights.logsumexp(1) - math.log(weights.shape[1]), mean

    def _log_p(self, x: Tensor, z: Tensor) -> Tensor:
        """Return log p(x|z) in nats, (n, K), of codes (n, K, Z)."""
        mean, log_scale = self.decoder(z).float().chunk(2, dim=-1)
        pixels = x.flatten(1).unsqueeze(1)
        return discretised_logistic(pixels, mean.sigmoid(), (log_scale - 3).clamp(-7, 3)).sum(-1)


def hidden(inputs: int, width: int) -> list[nn.Module]:
    """Return two hidden layers."""
    return [
        nn.Linear(inputs, width), nn.LayerNorm(width), nn.ReLU(),
        nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(),
    ]  # fmt: skip


class VAE(Generative):
    """log p(x) >= E log 1/K sum_k p(x|z_k) p(z_k) / q(z_k|x), with K codes from the encoder q.

    K is 1 in training, as in the original, and ``samples`` in prediction (the bound of Burda et al.
    2016, arXiv:1509.00519). The features are the mean of q.

    Claim (Nalisnick et al. 2019, arXiv:1810.09136): like flows it gives inputs of simpler sets the
    higher likelihood.

    Args:
        codes: values of a code.
        width: values of a hidden layer.
        samples: codes that are weighted in prediction.
    """

    name = "vae"
    source = "Kingma and Welling 2014, arXiv:1312.6114"
    predict_only = frozenset({"samples"})
    minimum: ClassVar = {"codes": 1, "width": 1, "samples": 1}
    presets: ClassVar = {"smoke": {"codes": 4, "width": 32, "samples": 2}}

    def __init__(
        self, *, codes: int = 32, width: int = 512, samples: int = 16, epochs: int = 25,
        **inherited: Any,
    ) -> None:  # fmt: skip
        super().__init__(epochs=epochs, **inherited)
        self.codes = codes
        self.width = width
        self.samples = samples

    def density(self, task: Task) -> Coded:
        return Coded(task, codes=self.codes, width=self.width)

    def noise(self, density: Density) -> tuple[int, ...]:
        return self.samples, self.codes
