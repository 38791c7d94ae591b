"""Decoders of activations to images, one file each: the file is the registration.

A decoder is a function of a task, of the shape of an activation, (F,) or (F, h, w), and of a
width. It returns layers whose outputs `Decoder` squashes into [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from bench.datasets.base import Task

from ..nets import Decoder
from ..registry import Registry

AUTO = "auto"
DECODERS: Registry[Callable[[Task, tuple[int, ...], int], nn.Module]] = Registry(
    __name__, "decoder"
)
decoder = DECODERS.register


def resolve(name: str, *, on_maps: bool) -> str:
    """Return the decoder that "auto" stands for: "conv" for maps and "mlp" for vectors."""
    if name != AUTO:
        return name
    return "conv" if on_maps else "mlp"


def make_decoder(task: Task, *, decoder: str, inputs: tuple[int, ...], width: int) -> Decoder:
    """Return an untrained decoder of activations of the shape ``inputs``, (F,) or (F, h, w)."""
    name = resolve(decoder, on_maps=len(inputs) > 1)
    return Decoder(task, inputs=inputs, layers=DECODERS[name].make(task, inputs, width))
