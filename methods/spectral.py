"""Layers of bounded stretch: the largest singular value of their weights is at most a constant."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

from .nets import Classifier, Layers
from .neural import DeepMethod, Net

FIRST_STEPS = 15  # of the power iteration, on the initial weights


class Bounded(nn.Module):
    """Weights times min(1, bound / sigma), sigma their largest singular value.

    sigma is u^T W v; one step of the power iteration an update keeps u and v (Miyato et al. 2018,
    arXiv:1802.05957). The kernel of a convolution counts as the matrix (outputs, inputs 3 3).
    """

    def __init__(self, weight: Tensor, bound: float) -> None:
        super().__init__()
        self.bound = bound
        matrix = weight.detach().flatten(1)
        self.left: Tensor
        self.right: Tensor
        self.register_buffer("left", functional.normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("right", torch.zeros(matrix.shape[1]))
        for _ in range(FIRST_STEPS):
            self._iterate(matrix)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training:
                self._iterate(matrix)
            largest = self.left.clone() @ matrix @ self.right.clone()
            return weight * (self.bound / largest).clamp(max=1)

    @torch.no_grad()
    def _iterate(self, matrix: Tensor) -> None:
        self.right.copy_(functional.normalize(matrix.mT @ self.left, dim=0))
        self.left.copy_(functional.normalize(matrix @ self.right, dim=0))


class BoundedLinear(nn.Linear):
    """A linear layer of bounded stretch."""

    def __init__(self, inputs: int, outputs: int, *, bound: float) -> None:
        super().__init__(inputs, outputs)
        self.bounded = Bounded(self.weight, bound)

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.bounded(self.weight), self.bias)


class BoundedConvolution(nn.Conv2d):
    """A convolution 3 x 3, which keeps the size of maps, of bounded stretch."""

    def __init__(self, inputs: int, outputs: int, *, bound: float) -> None:
        super().__init__(inputs, outputs, 3, padding=1)
        self.bounded = Bounded(self.weight, bound)

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(x, self.bounded(self.weight), self.bias, padding=1)


def bounded_classifier(method: DeepMethod[Net], task: Task, bound: float) -> Classifier:
    """Return the untrained classifier of a method, every layer but the head of bounded stretch."""
    layers = Layers(partial(BoundedLinear, bound=bound), partial(BoundedConvolution, bound=bound))
    net = method.classifier(task, layers=layers)
    net.head = nn.Linear(net.width, math.prod(net.outputs))
    return net
