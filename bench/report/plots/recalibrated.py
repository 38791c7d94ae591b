"""From curves: reliability before and after calibration on validation data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.report import style
from bench.report.plots import Drawing, Material, figure
from bench.report.plots.answers import panel, pooled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 6  # methods
CAPTION = (
    "Reliability on clean inputs before and after calibration on validation data: share right "
    "against confidence in 15 equal bins, seeds pooled; area: share of answers. Below the line: "
    "too certain."
)


@figure(place="paper")
def recalibrated(material: Material) -> Iterator[Drawing]:
    """Give a row of panels for each of the best methods with curves: one panel a calibration."""
    found: dict[str, dict[str, list[Any]]] = {}
    for file in material.curves:
        for name, bins in file.recalibrated.items() if "~" not in file.dataset else ():
            found.setdefault(file.method, {}).setdefault(name, []).append(bins)
    methods = [name for name in style.legible(material.methods) if name in found][:MOST]
    if methods:
        pools = {m: {name: pooled(of) for name, of in found[m].items()} for m in methods}
        draw = partial(_draw, pools, material.palette(methods))
        yield Drawing("reliability_calibrated", CAPTION, draw)


def _draw(pools: dict[str, dict[str, pd.DataFrame]], colours: style.Palette) -> Figure:
    names = list(dict.fromkeys(name for of in pools.values() for name in of))
    drawn = style.canvas(0.5 + 1.3 * len(pools), width=style.PAGE)
    axes = style.panels(drawn, len(pools) * len(names), len(names), "confidence", "share right")
    places = [(method, name) for method in pools for name in names]
    for axis, (method, name) in zip(axes, places, strict=True):
        of = pools[method].get(name, pd.DataFrame({"n": [], "confidence": [], "accuracy": []}))
        panel(axis, of, colours[method], f"{method}, {name.replace('_', ' ')}")
    return drawn
