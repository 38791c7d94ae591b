"""Residual blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bench.datasets.base import Task

from ..conv import GlobalAvgPool, Nonlinearity, ResidualBlock, Stem, ToFloat32, map_shape, norm
from ..nets import Activation, Classifier, Layers
from . import backbone


@backbone("resnet", on_maps=True)
def resnet(
    task: Task,
    *,
    blocks: int,
    features: int,
    activation: Activation,
    rate: float,
    layers: Layers,
    block: Callable[..., nn.Module] = ResidualBlock,
    kind: type[Classifier] = Classifier,
) -> Classifier:
    """Return a classifier whose blocks add to one stream of maps with ``features`` channels."""
    return kind(
        task,
        stem=nn.Sequential(Stem(task, features, layers), ToFloat32()),
        blocks=[
            block(features, activation=activation, rate=rate, layers=layers) for _ in range(blocks)
        ],
        shape=map_shape(task, features),
        summary=nn.Sequential(norm(features), Nonlinearity(activation), GlobalAvgPool()),
        rate=rate,
        layers=layers,
    )
