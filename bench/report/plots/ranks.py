"""Mean ranks with Nemenyi bars: a critical-difference diagram (Demšar 2006), one line a method."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from bench.report import style
from bench.report.leaderboard import leaderboard
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEIGHT = 0.145  # inches a method


@figure(place="paper")
def ranks(material: Material) -> Iterator[Drawing]:
    """Give one diagram of all methods that have every cell, ranked as in the leaderboard."""
    table = leaderboard(material.group, material.score)
    found, difference = table.ranking, table.ranking.difference
    if math.isnan(difference):
        return  # too few to test
    means = table.rank.dropna()
    caption = (
        f"Mean rank by AUROC in {found.cells} (view, severity) cells, averaged within "
        f"{found.families} families first; lines: 95 % intervals over families and seeds drawn "
        "again. Methods joined by a bar are not told apart by Nemenyi's test over the families at "
        f"5 % (critical difference {difference:.2f})."
    )
    yield Drawing(
        "ranks",
        caption,
        partial(_draw, means, table.span, difference, material.palette(means.index)),
    )


def cliques(means: pd.Series, difference: float) -> list[tuple[int, int]]:
    """Return first and last place of each largest run of sorted means within the difference."""
    runs: list[tuple[int, int]] = []
    for first, mean in enumerate(means):
        last = int((means <= mean + difference).sum()) - 1
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def _draw(
    means: pd.Series, span: pd.DataFrame, difference: float, colours: style.Palette
) -> Figure:
    runs = cliques(means, difference)
    drawn = style.canvas(0.75 + HEIGHT * len(means), width=style.wide_enough(means.index))
    axis, beside = drawn.subplots(1, 2, sharey=True, width_ratios=[1, 0.04 + 0.05 * len(runs)])
    places = range(len(means))
    axis.hlines(places, 1, means, color="0.8", linewidth=0.6)
    ends = span.loc[means.index]
    axis.hlines(places, ends.low, ends.high, [colours[name] for name in means.index], linewidth=2)
    axis.scatter(means, places, c=[colours[name] for name in means.index], s=16, zorder=3)
    text = {"textcoords": "offset points", "va": "center", "fontsize": style.SMALL}
    for place, mean, end in zip(places, means, ends.high.fillna(means), strict=True):
        axis.annotate(f"{mean:.2f}", (max(mean, end), place), xytext=(4, 0), **text)
    axis.plot([1, 1 + difference], [-1.3, -1.3], color="black", linewidth=1, marker="|",
              markersize=4)  # fmt: skip
    axis.annotate("critical difference", (1 + difference, -1.3), xytext=(4, 0), **text)
    span = max(means.max(), 1 + difference) - 1
    axis.set(xlim=(1 - 0.03 * span, 1 + 1.18 * span), ylim=(len(means) - 0.4, -1.9))
    axis.set(xlabel="mean rank (1 is best)", yticks=places, yticklabels=means.index)
    axis.grid(visible=False, axis="y")
    style.despine(axis, "left")
    for at, (first, last) in enumerate(runs):
        beside.plot([at, at], [first - 0.25, last + 0.25], color="black", linewidth=1.5,
                    solid_capstyle="butt")  # fmt: skip
    beside.set_xlim(-0.6, len(runs) - 0.4)
    beside.set_axis_off()
    return drawn
