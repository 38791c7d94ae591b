"""The paper's decoder: a ResNet-18 with upsampling."""

from __future__ import annotations

import math

from torch import nn

from bench.datasets.base import Task

from ..conv import ResidualBlock, norm, to_map
from ..nets import convolution
from . import decoder


@decoder("resnet", on_maps=True)
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
        outputs = max(1, min(width, width // 8 * 2**left))
        layers.append(nn.Conv2d(channels, outputs, 1))
        if left < doublings:
            layers.append(nn.Upsample((math.ceil(height / 2**left), math.ceil(across / 2**left))))
        layers += [ResidualBlock(outputs), ResidualBlock(outputs)]
        channels = outputs
    return nn.Sequential(*layers, norm(channels), nn.ReLU(), convolution(channels, colours))
