"""Layers on maps, shared by convolutional backbones and decoders.

All blocks of a backbone work on maps of one size, about 8 x 8 for images of any size, and of one
number of channels. So activations of all layers stack, and one decoder reads them all, as in the
paper. Norms are over the channels and places of one input; there are no batch statistics.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

from .nets import ACTIVATIONS, PLAIN, Activation, Drop, Layers

HIDDEN = 4  # features of the last hidden layer for each channel of a map
SIDE = 8  # approximate side of a map: a bigger image is cut into bigger patches


def patch(task: Task) -> int:
    """Return the side of the square of pixels that makes one place of a map."""
    return max(1, min(task.shape[1:]) // SIDE)


def map_shape(task: Task, channels: int) -> tuple[int, int, int]:
    """Return the shape (channels, h, w) of the activations of a convolutional classifier."""
    _, height, width = task.shape
    side = patch(task)
    return channels, math.ceil(height / side), math.ceil(width / side)


def norm(channels: int) -> nn.GroupNorm:
    """Return a norm over all channels and places of each input."""
    return nn.GroupNorm(1, channels)


class Nonlinearity(nn.Module):
    """An activation function by its name."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.function = ACTIVATIONS[activation]

    def forward(self, h: Tensor) -> Tensor:
        return self.function(h)


class Summary(nn.Module):
    """The last hidden layer: maps (n, F, h, w) to features (n, width), on which the head is linear.

    It reads every place by itself. The mean over places forgets where a stroke was: in the trials
    of `Stem`, with stride 2, it gives an accuracy of 0.804, the map flattened 0.879, this layer
    0.886. Its features stay few enough for scores that compare inputs.
    """

    def __init__(
        self, shape: tuple[int, int, int], width: int, activation: Activation, layers: Layers
    ) -> None:
        super().__init__()
        self.linear = layers.linear(math.prod(shape), width)
        self.norm = nn.LayerNorm(width)
        self.activation = Nonlinearity(activation)

    def forward(self, h: Tensor) -> Tensor:
        return self.activation(self.norm(self.linear(h.flatten(1))))


class Residual(nn.Module):
    """The sum's second term in a residual block: twice norm, nonlinearity, convolution."""

    def __init__(
        self,
        channels: int,
        *,
        activation: Activation = "relu",
        rate: float = 0.0,
        layers: Layers = PLAIN,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            norm(channels),
            Nonlinearity(activation),
            layers.convolution(channels, channels),
            norm(channels),
            Nonlinearity(activation),
            layers.convolution(channels, channels),
        )
        self.drop = Drop(rate)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.drop(self.layers(x), mask)


class ResidualBlock(nn.Module):
    """y = x + F(x), with norms before the convolutions (He et al. 2016, arXiv:1603.05027).

    Dropout drops channels of F(x): dropped from y, they would be lost to all later blocks.
    """

    def __init__(
        self,
        channels: int,
        *,
        activation: Activation = "relu",
        rate: float = 0.0,
        layers: Layers = PLAIN,
    ) -> None:
        super().__init__()
        self.residual = Residual(channels, activation=activation, rate=rate, layers=layers)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        return x + self.residual(x, mask)


class Stem(nn.Module):
    """Two convolutions 3 x 3, each followed by a maximum over squares: images to maps.

    The sides of the squares multiply to `patch`. Trained on 20 480 inputs of Fashion-MNIST (4
    epochs, norms before the maxima, no augmentation), accuracy on the validation part is 0.896;
    with two convolutions with stride 2 0.879, two over patches 0.888, one over patches 0.883.
    """

    def __init__(self, task: Task, channels: int, activation: Activation, layers: Layers) -> None:
        super().__init__()
        half = max(1, channels // 2)
        first, second = factors(patch(task))
        stem = nn.Sequential(
            layers.convolution(task.shape[0], half),
            Nonlinearity(activation),
            nn.MaxPool2d(first, ceil_mode=True),
            layers.convolution(half, channels),
            nn.MaxPool2d(second, ceil_mode=True),
        )
        # All that follows inherits the order of values and takes half the time on a CPU.
        self.layers = stem.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def factors(side: int) -> tuple[int, int]:
    """Return two factors of ``side``, as equal as can be, the larger first."""
    second = max(d for d in range(1, math.isqrt(side) + 1) if side % d == 0)
    return side // second, second


class Unpatchify(nn.Module):
    """Turn maps (n, C side^2, h, w) into images (n, C, H, W), the inverse of cutting patches."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.side = patch(task)
        self.size = task.shape[1:]

    def forward(self, h: Tensor) -> Tensor:
        height, width = self.size
        return functional.pixel_shuffle(h, self.side)[..., :height, :width]


class ToFloat32(nn.Module):
    """Raise maps to single precision at least, because many blocks add to them."""

    def forward(self, h: Tensor) -> Tensor:
        return h.to(torch.promote_types(h.dtype, torch.float32))


def to_map(inputs: tuple[int, ...], shape: tuple[int, int, int]) -> list[nn.Module]:
    """Return the layers from features (F,) to a map of ``shape``; none for activations on maps."""
    if len(inputs) == 3:
        return []
    return [nn.Linear(inputs[0], math.prod(shape)), nn.Unflatten(1, shape)]
