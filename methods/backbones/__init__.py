"""Backbones of the classifier f, one file each: the file is the registration.

A backbone is a function of a task and of keyword arguments: ``blocks``, ``features`` (of a vector,
or channels of a map), ``activation``, ``rate`` of dropout, and ``layers``.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.datasets.base import Task

from ..nets import PLAIN, Activation, Classifier, Layers
from ..registry import Registry

BACKBONES: Registry[Callable[..., Classifier]] = Registry(__name__, "backbone")
backbone = BACKBONES.register


def make_classifier(
    task: Task,
    *,
    backbone: str,
    blocks: int,
    width: int,
    channels: int,
    activation: Activation,
    rate: float = 0.0,
    layers: Layers = PLAIN,
) -> Classifier:
    """Return an untrained classifier on vectors of ``width`` or on maps of ``channels``."""
    chosen = BACKBONES[backbone]
    return chosen.make(
        task,
        blocks=blocks,
        features=channels if chosen.on_maps else width,
        activation=activation,
        rate=rate,
        layers=layers,
    )
