"""Convolutional classifiers of one resolution, and decoders made of convolutions.

All blocks work on maps of one size and one number of channels, about 8 x 8 whatever the images'
size: so activations of all layers stack, and one decoder reads them all, as in the paper. Norms
are over the channels and places of one input; there are no batch statistics.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

from .nets import ACTIVATIONS, PLAIN, Activation, Classifier, Drop, Layers, convolution

SIDE = 8  # of a map, about: a bigger image is cut into bigger patches


def patch(task: Task) -> int:
    """Return how many pixels of an image, each way, make one place of a map."""
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


class GlobalAvgPool(nn.Module):
    """Average over places: maps (n, F, h, w) to features (n, F)."""

    def forward(self, h: Tensor) -> Tensor:
        return h.mean(dim=(-2, -1))


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


class Residual(nn.Module):
    """What a residual block adds: norm, nonlinearity and convolution 3 x 3, twice, and dropout."""

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
    """Images (n, C, H, W), cut into patches, through a convolution over 3 x 3 of them.

    Patches at the right and lower border are filled up with zeros. (One convolution with a
    stride does the same; on a CPU it takes seven times as long.)
    """

    def __init__(self, task: Task, channels: int, layers: Layers) -> None:
        super().__init__()
        self.side = patch(task)
        _, height, width = task.shape
        self.missing = (0, -width % self.side, 0, -height % self.side)
        self.convolution = layers.convolution(task.shape[0] * self.side**2, channels)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x, self.missing)
        return self.convolution(functional.pixel_unshuffle(padded, self.side))


class Unpatchify(nn.Module):
    """Maps (n, C side^2, h, w) to images (n, C, H, W): what `Stem` does, undone."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.side = patch(task)
        self.size = task.shape[1:]

    def forward(self, h: Tensor) -> Tensor:
        height, width = self.size
        return functional.pixel_shuffle(h, self.side)[..., :height, :width]


class ToFloat32(nn.Module):
    """At least single precision, for what blocks keep adding to."""

    def forward(self, h: Tensor) -> Tensor:
        return h.to(torch.promote_types(h.dtype, torch.float32))


def cnn(
    task: Task, *, blocks: int, channels: int, activation: Activation, rate: float, layers: Layers
) -> Classifier:
    """Return a classifier of plain convolutional blocks."""
    return Classifier(
        task,
        stem=nn.Sequential(Stem(task, channels, layers), norm(channels), Nonlinearity(activation)),
        blocks=[
            ConvBlock(channels, activation=activation, rate=rate, layers=layers)
            for _ in range(blocks)
        ],
        shape=map_shape(task, channels),
        summary=GlobalAvgPool(),
        rate=rate,
        layers=layers,
    )


def resnet(
    task: Task,
    *,
    blocks: int,
    channels: int,
    activation: Activation,
    rate: float,
    layers: Layers,
    block: Callable[..., nn.Module] = ResidualBlock,
    kind: type[Classifier] = Classifier,
) -> Classifier:
    """Return a classifier whose blocks add to one stream of maps."""
    return kind(
        task,
        stem=nn.Sequential(Stem(task, channels, layers), ToFloat32()),
        blocks=[
            block(channels, activation=activation, rate=rate, layers=layers) for _ in range(blocks)
        ],
        shape=map_shape(task, channels),
        summary=nn.Sequential(norm(channels), Nonlinearity(activation), GlobalAvgPool()),
        rate=rate,
        layers=layers,
    )


def to_map(inputs: tuple[int, ...], shape: tuple[int, int, int]) -> list[nn.Module]:
    """Return the layers that make features (F,) a map of ``shape``; none where they are one."""
    if len(inputs) == 3:
        return []
    return [nn.Linear(inputs[0], math.prod(shape)), nn.Unflatten(1, shape)]


def small_decoder(task: Task, inputs: tuple[int, ...], width: int) -> nn.Sequential:
    """Return two convolutions of which the second draws whole patches of pixels.

    Args:
        task: says the shape of images.
        inputs: shape of an activation, (F,) or (F, h, w).
        width: eight times the channels between the convolutions.
    """
    channels = max(1, width // 8)
    start = map_shape(task, channels) if len(inputs) == 1 else inputs
    return nn.Sequential(
        *to_map(inputs, map_shape(task, channels)),
        norm(start[0]),
        convolution(start[0], channels),
        norm(channels),
        nn.ReLU(),
        convolution(channels, task.shape[0] * patch(task) ** 2),
        Unpatchify(task),
    )


def resnet_decoder(task: Task, inputs: tuple[int, ...], width: int) -> nn.Sequential:
    """Return a ResNet-18 run backwards: two residual blocks a size, and nearest upsampling.

    The stages have ``width``, 1/2, 1/4 and 1/8 of it as channels, at an eighth of the image's
    size to the whole. Features (F,) start at an eighth; maps at the stage of their size.
    """
    colours, height, across = task.shape
    eighth = (width, math.ceil(height / 8), math.ceil(across / 8))
    layers = to_map(inputs, eighth)
    channels, h, w = eighth if len(inputs) == 1 else inputs
    doublings = math.ceil(math.log2(max(height / h, across / w)))
    for left in range(doublings, -1, -1):
        wanted = max(1, min(width, width // 8 * 2**left))
        layers.append(nn.Conv2d(channels, wanted, 1))
        if left < doublings:
            layers.append(nn.Upsample((math.ceil(height / 2**left), math.ceil(across / 2**left))))
        layers += [ResidualBlock(wanted), ResidualBlock(wanted)]
        channels = wanted
    return nn.Sequential(*layers, norm(channels), nn.ReLU(), convolution(channels, colours))
