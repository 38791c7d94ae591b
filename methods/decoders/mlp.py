"""A decoder with one hidden layer."""

from __future__ import annotations

import math

from torch import nn

from bench.datasets.base import Task

from . import decoder


@decoder("mlp")
def mlp_decoder(task: Task, inputs: tuple[int, ...], width: int) -> nn.Sequential:
    """Return one hidden layer of ``width`` features, from all values of an activation."""
    return nn.Sequential(
        *([nn.Flatten()] if len(inputs) > 1 else []),
        nn.Linear(math.prod(inputs), width),
        nn.LayerNorm(width),
        nn.ReLU(),
        nn.Linear(width, math.prod(task.shape)),
    )
