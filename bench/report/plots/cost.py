"""Cost against quality: how long a method trains, and how well it detects."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from bench.report import style
from bench.report.leaderboard import columns
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATIO = "ratio_to_standard"  # seconds of an epoch as multiples of the standard network's
CAPTION = (
    "Mean AUROC over every view by each method's ranking score, against cost; mean over seeds. "
    "Only methods that are complete; up and to the left is better."
)


@figure(place="paper")
def cost(material: Material) -> Iterator[Drawing]:
    """Give mean AUROC over all cells against the ratio to `standard`, or else seconds to fit."""
    quality = material.quality
    ratios = [c for c in columns(material.group, board=False) if c.spec.name == RATIO]
    if ratios:
        values, label = ratios[0].values(material.group).mean(axis=(1, 2)), ratios[0].label
        prices = material.table(values)[0]
    else:
        prices = material.group.fit_seconds.mean(axis=1, skipna=False)
        label = "seconds to fit"
    kept = [name for name in style.legible(material.methods) if name in quality]
    prices = prices[kept]
    prices = prices[prices > 0]
    if len(prices) > 1:
        draw = partial(_draw, prices, quality[prices.index], label, material.palette(prices.index))
        yield Drawing("cost_quality", CAPTION, draw)


def _draw(prices: pd.Series, quality: pd.Series, label: str, colours: style.Palette) -> Figure:
    from matplotlib.ticker import LogLocator

    drawn = style.canvas(2.6)
    axis = drawn.subplots()
    handles = {}
    for name in prices.index:
        how = style.line(name, list(prices.index), colours) | {"linestyle": "", "markersize": 5}
        (handles[name],) = axis.plot(prices[name], quality[name], **how)
    axis.set(xlabel=label, ylabel="mean AUROC")
    axis.set_xscale("log", subs=[])
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.margins(0.08)
    style.despine(axis)
    style.legend(drawn, handles)
    return drawn
