"""Networks by name: the backbone of a classifier, and the decoder of its activations."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

from bench.datasets.base import Task

from .conv import cnn, resnet, resnet_decoder, small_decoder
from .nets import PLAIN, Activation, Classifier, Decoder, Layers, mlp
from .revnet import revnet

Backbone = Literal["mlp", "cnn", "resnet", "revnet"]
DecoderName = Literal["auto", "mlp", "conv", "resnet"]
CONVOLUTIONAL = {"cnn": cnn, "resnet": resnet, "revnet": revnet}


def make_classifier(
    task: Task,
    *,
    backbone: Backbone,
    blocks: int,
    width: int,
    channels: int,
    activation: Activation,
    rate: float = 0.0,
    layers: Layers = PLAIN,
) -> Classifier:
    """Return an untrained classifier: an MLP of ``width``, or a net of ``channels``."""
    if backbone == "mlp":
        return mlp(
            task, blocks=blocks, width=width, activation=activation, rate=rate, layers=layers
        )
    return CONVOLUTIONAL[backbone](
        task, blocks=blocks, channels=channels, activation=activation, rate=rate, layers=layers
    )


def make_decoder(
    task: Task, *, decoder: DecoderName, inputs: tuple[int, ...], width: int
) -> Decoder:
    """Return an untrained decoder of activations of the shape ``inputs``, (F,) or (F, h, w)."""
    if decoder == "auto":
        decoder = "mlp" if len(inputs) == 1 else "conv"
    make = {"mlp": mlp_decoder, "conv": small_decoder, "resnet": resnet_decoder}[decoder]
    return Decoder(task, inputs=inputs, layers=make(task, inputs, width))


def mlp_decoder(task: Task, inputs: tuple[int, ...], width: int) -> nn.Sequential:
    """Return one hidden layer of ``width`` features, from all values of an activation."""
    return nn.Sequential(
        *([nn.Flatten()] if len(inputs) > 1 else []),
        nn.Linear(math.prod(inputs), width),
        nn.LayerNorm(width),
        nn.ReLU(),
        nn.Linear(width, math.prod(task.shape)),
    )
