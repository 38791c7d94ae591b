"""Compositions of corruptions: accuracy and uncertainty by the number of corruptions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from bench.report import style
from bench.report.frames import Array, Measurements
from bench.report.leaderboard import by_words
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROWTH = "growth"  # a metric that compositions alone have
PANELS = {"accuracy": "accuracy (%)", "auroc": "AUROC against plain"}
SCALES = {"accuracy": 100.0, "auroc": 1.0}
CAPTION = (
    "Corruptions one after the other ({scenario}): accuracy, and how well the inputs are told from "
    "plain ones by {by}, by the number of corruptions; only one was seen in training. Mean over "
    "views and seeds; bars: standard deviation over seeds."
)


@figure
def composed(material: Material) -> Iterator[Drawing]:
    """Give a line for each method, for each scenario with compositions of corruptions."""
    for scenario, part in material.group.measurements.items():
        if GROWTH not in part.metrics:
            continue
        lines = {name: _lines(material, part, name) for name in PANELS}
        known = [m for m in style.legible(material.methods) if m in lines["auroc"]]
        if known:
            shown = {name: {m: lines[name][m] for m in known} for name in PANELS}
            caption = CAPTION.format(scenario=scenario, by=by_words(material.score))
            draw = partial(_draw, _numbers(part), shown, material.palette(known))
            yield Drawing(f"compositions_{scenario}", caption, draw)


def _numbers(part: Measurements) -> list[float]:
    """Return the numbers of corruptions that there are, in order."""
    return sorted({cell.severity for cell in part.cells if cell.severity})


def _lines(material: Material, part: Measurements, metric: str) -> dict[str, Array]:
    """Return mean and deviation over seeds by number, (2, numbers), of each complete method."""
    values = part.values(material.group.specs[metric], material.score) * SCALES[metric]
    found = {}
    for method, seeds in zip(material.group.methods, values, strict=True):  # (seeds, cells)
        by_number = np.stack([
            seeds[:, [c.severity == n for c in part.cells]].mean(axis=1) for n in _numbers(part)
        ])  # fmt: skip
        if not np.isnan(by_number).any():
            many = by_number.shape[1] > 1
            spread = by_number.std(axis=1, ddof=1) if many else np.zeros(len(by_number))
            found[method] = np.stack([by_number.mean(axis=1), spread])
    return found


def _draw(
    numbers: list[float], panels: dict[str, dict[str, Array]], colours: style.Palette
) -> Figure:
    drawn = style.canvas(2.9, width=style.PAGE)
    axes = drawn.subplots(1, len(panels))
    handles = {}
    for axis, (name, lines) in zip(axes, panels.items(), strict=True):
        for method, (mean, spread) in lines.items():
            how = style.line(method, list(lines), colours)
            handles[method] = axis.errorbar(numbers, mean, spread, capsize=2, **how)
        axis.set(xlabel="number of corruptions", ylabel=PANELS[name], xticks=numbers)
        style.despine(axis)
    style.legend(drawn, handles)
    return drawn
