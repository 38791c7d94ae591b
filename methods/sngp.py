"""SNGP: a Gaussian process on features that keep distances between inputs."""

from __future__ import annotations

import math
from typing import ClassVar, Self, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Split, Task

from .nets import Classifier
from .neural import DeepParams, Prerequisites
from .spectral import bounded_classifier
from .standard import Standard

ROWS = 1000  # inputs at once


class GaussianProcess(nn.Module):
    """The last layer: logits B phi(h) of D random Fourier features, B ~ N(0, 1) a priori.

    phi(h) = sqrt(2 / D) cos(A h' + b), h' the features standardised over an input, with A and b
    fixed at random, stands for the kernel exp(-|h - h'|^2 / (2 F length^2)). Given the training
    inputs, a weight of phi has the covariance (I + sum phi phi^T)^-1, the same for every class.
    """

    def __init__(self, features: int, outputs: int, *, size: int, length: float) -> None:
        super().__init__()
        self.frequencies: Tensor
        self.phases: Tensor
        self.whitening: Tensor  # L^-1 with L L^T the precision, (D, D)
        self.register_buffer("frequencies", torch.randn(size, features) / (length * features**0.5))
        self.register_buffer("phases", 2 * math.pi * torch.rand(size))
        self.register_buffer("whitening", torch.eye(size))
        self.linear = nn.Linear(size, outputs, bias=False)

    def forward(self, h: Tensor) -> Tensor:
        return self.linear(self.random_features(h))

    def random_features(self, h: Tensor) -> Tensor:
        """Return phi, (n, D), of features (n, F)."""
        with torch.autocast(h.device.type, enabled=False):
            level = functional.layer_norm(h.float(), h.shape[-1:])
            angle = functional.linear(level, self.frequencies, self.phases)
            return angle.cos() * math.sqrt(2 / len(self.phases))

    def learn(self, precision: Tensor) -> None:
        """Take the precision (D, D) of the weights of phi."""
        lower = torch.linalg.cholesky(precision)
        identity = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
        self.whitening = torch.linalg.solve_triangular(lower, identity, upper=False).float()

    def variance(self, h: Tensor) -> Tensor:
        """Return the variance of a logit, (n,), from features (n, F)."""
        return functional.linear(self.random_features(h), self.whitening).square().sum(-1)


class Sngp(Standard):
    """A Gaussian process as last layer: p(y|x) = softmax(g(x) / sqrt(1 + factor v(x))).

    g is the mean and v the variance of the logits; layers before the last are of bounded stretch,
    so that inputs far from the training part have features far from theirs, and a large v.
    Training minimises the cross entropy of g; the variance is then computed from one pass over
    the training part, for a Gaussian likelihood, as in the authors' code (the paper has one
    covariance a class). D = 1024 is theirs.

    On the validation part of digits (seed 0, 300 updates) lengths of 0.3 and 1 gave a negative log
    likelihood of 0.25 and 0.38, and 118 and 119 of 120 right; the bound is that of `ddu`.

    Claim of the paper: competitive with deep ensembles in accuracy, calibration and telling
    outliers, and better than other single networks (abstract).

    Args:
        bound: largest singular value of a layer's weights.
        size: number D of random features.
        length: length scale of the kernel, in the root mean square of the features.
        factor: weight of the variance; pi / 8 approximates the mean of a sigmoid.
    """

    name = "sngp"
    source = "Liu et al. 2020, arXiv:2006.10108"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "by hand"
    claims = (
        {"text": "tells outliers better than the one network"},
        {"text": "tells outliers as well as an ensemble", "than": "ensemble", "least": -0.01},
        {"text": "is better calibrated than the one network", "metric": "ece", "scenario": "clean"},
    )
    predict_only = frozenset({"factor"})
    presets: ClassVar = {"smoke": {"size": 64}}
    minimum: ClassVar = {"bound": 0, "size": 1, "length": 1e-3, "factor": 0}

    def __init__(
        self,
        *,
        bound: float = 3.0,
        size: int = 1024,
        length: float = 1.0,
        factor: float = math.pi / 8,
        **inherited: Unpack[DeepParams],
    ) -> None:
        super().__init__(**inherited)
        self.bound = bound
        self.size = size
        self.length = length
        self.factor = factor

    def build(self, task: Task) -> Classifier:
        net = bounded_classifier(self, task, self.bound)
        outputs = net.outputs[0] * net.outputs[1]
        net.head = GaussianProcess(net.width, outputs, size=self.size, length=self.length)
        return net

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        self.fit_net(train, val, seed)
        self._learn_variance(train)
        return self

    @torch.no_grad()
    def _learn_variance(self, train: Split) -> None:
        device, head = train.x.device, cast(GaussianProcess, self.fitted(self.net).head)
        precision = torch.eye(self.size, dtype=torch.float64, device=device)
        for rows in torch.arange(len(train), device=device).split(ROWS):
            _, features = self.logits_and_features(train.floats(rows))
            phi = head.random_features(features)
            precision += (phi.mT @ phi).double()
        head.learn(precision)

    def linear_head(self) -> None:
        """Return nothing: the logits are no linear function of the features."""

    def predict_proba(self, x: Tensor) -> Tensor:
        logits, features = self.logits_and_features(x)
        variance = cast(GaussianProcess, self.fitted(self.net).head).variance(features)
        scaled = logits / (1 + self.factor * variance).sqrt()[:, None, None]
        return scaled.softmax(-1).unsqueeze(1)
