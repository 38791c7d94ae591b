"""From curves: what each epoch of training brought."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.report import style
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CAPTION = (
    "Training: error and cross entropy of the single classifier on the validation part after each "
    "epoch, mean over seeds. An ensemble shows one of its members."
)


@figure(place="paper")
def training(material: Material) -> Iterator[Drawing]:
    """Give the curves of the methods whose every seed has epochs of the same number."""
    of: dict[str, list[list[tuple[float, float, float]]]] = {}
    for file in material.curves:
        if len(file.training) > 1 and "~" not in file.dataset:
            of.setdefault(file.method, []).append(file.training)
    means = {
        name: np.mean(of[name], axis=0)  # (epochs, 3)
        for name in style.legible(material.methods)
        if len({len(epochs) for epochs in of.get(name, ())}) == 1
    }
    if means:
        yield Drawing("training", CAPTION, partial(_draw, means, material.palette(means)))


def _draw(means: dict[str, NDArray[np.float64]], colours: style.Palette) -> Figure:
    drawn = style.canvas(2.6)
    errors, losses = drawn.subplots(1, 2)
    handles = {}
    for name, epochs in means.items():
        how = style.line(name, list(means), colours) | {"marker": ""}
        x = np.arange(1, len(epochs) + 1)
        errors.plot(x, 1 - epochs[:, 2], **how)
        (handles[name],) = losses.plot(x, epochs[:, 1], **how)
    errors.set(ylabel="share wrong", yscale="log", xlabel="epoch")
    losses.set(ylabel="cross entropy, nats", yscale="log", xlabel="epoch")
    for axis in (errors, losses):
        style.despine(axis)
    style.legend(drawn, handles)
    return drawn
