"""Plain convolutional blocks."""

from __future__ import annotations

from torch import Tensor, nn

from bench.datasets.base import Task

from ..conv import HIDDEN, Nonlinearity, Stem, Summary, map_shape, norm
from ..nets import ACTIVATIONS, Activation, Classifier, Drop, Layers
from . import backbone


class ConvBlock(nn.Module):
    """Convolution 3 x 3, norm, nonlinearity and dropout of channels."""

    def __init__(
        self, channels: int, *, activation: Activation, rate: float, layers: Layers
    ) -> None:
        super().__init__()
        self.convolution = layers.convolution(channels, channels)
        self.norm = norm(channels)
        self.activation = ACTIVATIONS[activation]
        self.drop = Drop(rate)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.drop(self.activation(self.norm(self.convolution(x))), mask)


@backbone("cnn", on_maps=True)
def cnn(
    task: Task, *, blocks: int, features: int, activation: Activation, rate: float, layers: Layers
) -> Classifier:
    """Return a classifier of convolutional blocks with ``features`` channels."""
    shape, width = map_shape(task, features), HIDDEN * features
    stem = nn.Sequential(
        Stem(task, features, activation, layers), norm(features), Nonlinearity(activation)
    )
    return Classifier(
        task,
        stem=stem,
        blocks=[
            ConvBlock(features, activation=activation, rate=rate, layers=layers)
            for _ in range(blocks)
        ],
        shape=shape,
        summary=Summary(shape, width, activation, layers),
        rate=rate,
        layers=layers,
        width=width,
    )
