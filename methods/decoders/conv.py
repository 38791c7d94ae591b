"""A decoder of two convolutions."""

from __future__ import annotations

from torch import nn

from bench.datasets.base import Task

from ..conv import Unpatchify, map_shape, norm, patch, to_map
from ..nets import convolution
from . import decoder


@decoder("conv", on_maps=True)
def small_decoder(task: Task, inputs: tuple[int, ...], width: int) -> nn.Sequential:
    """Return two convolutions; the second draws whole patches of pixels.

    Args:
        task: gives the shape of images.
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
