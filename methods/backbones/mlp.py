"""A multilayer perceptron on pixels."""

from __future__ import annotations

import math

from torch import Tensor, nn

from bench.datasets.base import Task

from ..nets import ACTIVATIONS, PLAIN, Activation, Classifier, Drop, Layers
from . import backbone


class Block(nn.Module):
    """Linear, LayerNorm, nonlinearity and dropout: (n, inputs) to (n, F)."""

    def __init__(
        self, inputs: int, features: int, *, activation: Activation, rate: float, layers: Layers
    ) -> None:
        super().__init__()
        self.linear = layers.linear(inputs, features)
        self.norm = nn.LayerNorm(features)
        self.activation = ACTIVATIONS[activation]
        self.drop = Drop(rate)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.drop(self.activation(self.norm(self.linear(x))), mask)


@backbone("mlp")
def mlp(
    task: Task,
    *,
    blocks: int,
    features: int,
    activation: Activation = "relu",
    rate: float = 0.0,
    layers: Layers = PLAIN,
) -> Classifier:
    """Return a classifier on pixels whose activations are vectors (F,)."""
    sizes = [math.prod(task.shape)] + [features] * (blocks - 1)
    return Classifier(
        task,
        stem=nn.Flatten(),
        blocks=[Block(n, features, activation=activation, rate=rate, layers=layers) for n in sizes],
        shape=(features,),
        summary=nn.Identity(),
        rate=rate,
        layers=layers,
    )
