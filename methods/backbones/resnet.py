"""Residual blocks."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bench.datasets.base import Task

from ..conv import (
    HIDDEN,
    Nonlinearity,
    ResidualBlock,
    Stem,
    Summary,
    ToFloat32,
    map_shape,
    norm,
)
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
    shape, width = map_shape(task, features), HIDDEN * features
    return kind(
        task,
        stem=nn.Sequential(Stem(task, features, activation, layers), ToFloat32()),
        blocks=[
            block(features, activation=activation, rate=rate, layers=layers) for _ in range(blocks)
        ],
        shape=shape,
        summary=nn.Sequential(
            norm(features), Nonlinearity(activation), Summary(shape, width, activation, layers)
        ),
        rate=rate,
        layers=layers,
        width=width,
    )
