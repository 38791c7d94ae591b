"""Quality for cost: AUROC of each shift against each price, with the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from bench.report import style
from bench.report.leaderboard import by_words
from bench.report.pareto import Offer, offers
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

CAPTION = (
    "Quality for cost: mean AUROC of each shift by {by} against network passes of a prediction, "
    "seconds to fit and memory kept; mean over seeds. Filled and joined: the Pareto front, where "
    "no other method is at least as good for at most that price."
)


@figure
def pareto(material: Material) -> Iterator[Drawing]:
    """Give a panel for each shift and price, of methods that have both."""
    methods = style.legible(material.methods)
    found = [offer for offer in offers(material.group, material.score) if _enough(offer, methods)]
    if found:
        draw = partial(_draw, found, material.palette(methods))
        yield Drawing("pareto", CAPTION.format(by=by_words(material.score)), draw)


def _enough(offer: Offer, methods: list[str]) -> bool:
    """Whether two methods or more have both numbers, on a scale of powers of ten."""
    return int((offer.quality.notna() & (offer.cost > 0))[methods].sum()) > 1


def _draw(found: list[Offer], colours: style.Palette) -> Figure:
    from matplotlib.ticker import LogLocator

    shifts = list(dict.fromkeys(offer.shift for offer in found))
    prices = list(dict.fromkeys(offer.price for offer in found))
    drawn = style.canvas(0.7 + 1.3 * len(shifts), width=style.PAGE)
    grid = drawn.subplots(len(shifts), len(prices), sharex="col", sharey="row", squeeze=False)
    handles: dict[str, Line2D] = {}
    for axis in grid.flat:
        axis.set_axis_off()
    for offer in found:
        row, column = shifts.index(offer.shift), prices.index(offer.price)
        axis = grid[row, column]
        axis.set_axis_on()
        handles |= _panel(axis, offer, colours)
        axis.set(ylabel="" if column else f"AUROC, {offer.shift}")
        axis.set_xscale("log", subs=[])
        axis.xaxis.set_major_locator(LogLocator(subs=_subdivisions(offer.cost)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel(offer.price.heading if row == len(shifts) - 1 else "")
        axis.margins(0.08)
        style.despine(axis)
    style.legend(drawn, handles)
    return drawn


def _subdivisions(cost: pd.Series) -> tuple[float, ...]:
    """The marks within a power of ten, of a logarithmic axis: none where many have to fit in."""
    decades = math.log10(cost.max() / cost[cost > 0].min())
    return (1, 2, 5) if decades < 3 else (1,)


def _panel(axis: Axes, offer: Offer, colours: style.Palette) -> dict[str, Line2D]:
    """Draw the front, then a marker for each method, hollow where another beats it."""
    both = pd.DataFrame({"cost": offer.cost, "quality": offer.quality, "front": offer.front})
    both = both.loc[list(colours)]
    both = both[both["quality"].notna() & (both["cost"] > 0)]
    edge = both[both["front"]].sort_values("cost")
    axis.plot(edge["cost"], edge["quality"], drawstyle="steps-post", color="0.6", linewidth=0.6)
    handles = {}
    for name, line in both.iterrows():
        how = style.line(str(name), list(colours), colours) | {"linestyle": "", "markersize": 4}
        colour = how["color"] if line["front"] else "white"
        axis.plot(line["cost"], line["quality"], markerfacecolor=colour, **how)
        (handles[str(name)],) = axis.plot([], [], **how)
    return handles
