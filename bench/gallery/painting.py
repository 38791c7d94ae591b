"""Images side by side, each with its class and probability below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from bench.datasets.base import Dataset
from bench.gallery.decodings import Shown
from bench.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ATTRIBUTES = ("Smiling", "Male", "Eyeglasses")  # shown of faces, where the data tells them
SAME, OTHER = "#0065a3", "#b84a00"  # the class that f gives the input itself, or another one


def grid(
    rows: int, columns: int, lines: int, *, width: float = style.PAGE, gap: float = 0.06
) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """An empty figure of square pictures with room for ``lines`` of text below each."""
    side = width / columns
    figure = style.canvas(rows * (side + 0.11 * lines + gap) + 0.15, width=width)
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.02, wspace=0.03, hspace=gap / 4)
    return figure, axes.tolist()


def row(axes: Sequence[Axes], strip: Sequence[Shown], data: Dataset) -> None:
    """Draw pictures side by side, each with its class and probability below."""
    original = strip[0].probs.argmax(-1)
    for axis, shown in zip(axes, strip, strict=False):
        picture(axis, shown.image, data)
        same = bool((shown.probs.argmax(-1) == original)[: len(_targets(data))].all())
        axis.set_xlabel(
            words(shown.probs, data), labelpad=2, linespacing=1.1,
            color=SAME if same else OTHER, fontweight="normal" if same else "bold",
        )  # fmt: skip


def picture(axis: Axes, image: Tensor, data: Dataset) -> None:
    """Draw an image (C, H, W) in [0, 1] without axes."""
    values = image.permute(1, 2, 0).squeeze(-1).numpy()
    colours = "magma" if data.modality == "sound" else "gray"
    axis.imshow(values, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.grid(visible=False)
    for spine in axis.spines.values():
        spine.set_visible(False)


def words(probs: Tensor, data: Dataset) -> str:
    """Return the class and its probability; of many targets, the probabilities of a few."""
    task = data.task
    if len(task.targets) == 1:
        p, k = probs[0].max(-1)
        return f"{task.classes[int(k)]}  {number(float(p))}"
    return "\n".join(
        f"{task.targets[t].replace('_', ' ')} {number(float(probs[t, -1]))}" for t in _targets(data)
    )


def _targets(data: Dataset) -> list[int]:
    """Return the targets whose probabilities are printed."""
    names = data.task.targets
    known = [names.index(name) for name in ATTRIBUTES if name in names]
    return known or list(range(len(names)))[:3]


def lines(data: Dataset) -> int:
    """How many lines `words` has."""
    return len(_targets(data))


def number(p: float) -> str:
    """A probability, as printed: ".07"."""
    return ">.99" if p >= 0.995 else f"{p:.2f}".removeprefix("0")
