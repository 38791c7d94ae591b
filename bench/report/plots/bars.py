"""One figure a scenario: AUROC of each kind of shift as bars, other quantities as dots."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from bench.report import stats, style
from bench.report.leaderboard import Column, columns
from bench.report.plots import Drawing, Material, figure, split
from bench.store.schema import MetricSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 0.15  # inches a method
FAR = 3.0  # interquartile ranges below the quartile: off the axis
RATIO = 8  # a range of costs as wide as this has a logarithmic axis
NOUGHT = 1e4  # a value this many times smaller than most is nought
ACROSS = 4  # panels side by side


class Panel(NamedTuple):
    """What one panel shows: mean and deviation over seeds, and single views, by method."""

    label: str
    spec: MetricSpec
    mean: pd.Series
    std: pd.Series
    views: pd.DataFrame  # (methods, views)

    @property
    def detection(self) -> bool:
        """Whether something is detected: then bars show the gain over chance."""
        return self.spec.kind == "detection" and self.spec.chance is not None


@figure
def bars(material: Material) -> Iterator[Drawing]:
    """Give one figure for each scenario and, where they ran, one of variants with their bases."""
    for scenario in material.group.scenarios:
        own = [c for c in columns(material.group, board=False) if c.scenario == scenario]
        if any(column.spec.kind == "fairness" for column in own):
            continue  # groups of people have a figure of their own
        panels = [_panel(material, column) for column in own]
        known = [name for name in material.order if _any(panels, name)]
        for ending, methods in split(known):
            shown = [_only(panel, methods) for panel in panels if _known(panel, methods)]
            draw = partial(_draw, shown, material.palette(methods))
            yield Drawing(f"{scenario}{ending}", _caption(scenario, panels, ending), draw)


def _panel(material: Material, column: Column) -> Panel:
    values = column.values(material.group, material.score) * column.spec.scale
    mean, std = stats.mean_and_std(values.mean(axis=2, keepdims=True))
    mean, std = (material.table(table)[0] for table in (mean, std))
    return Panel(column.label, column.spec, mean, std, material.table(values.mean(axis=1)))


def _any(panels: list[Panel], method: str) -> bool:
    return any(not math.isnan(panel.mean[method]) for panel in panels)


def _known(panel: Panel, methods: list[str]) -> bool:
    return bool(panel.mean[methods].notna().any())


def _only(panel: Panel, methods: list[str]) -> Panel:
    return panel._replace(
        mean=panel.mean[methods], std=panel.std[methods], views=panel.views.loc[methods]
    )


def _caption(scenario: str, panels: list[Panel], ending: str) -> str:
    text = f"{scenario.replace('_', ' ').capitalize()}"
    text += ", variants beside their methods: " if ending else ": "
    if any(panel.detection for panel in panels):
        text += "AUROC as gain over chance (0.5), mean over views and seeds; dots: single views. "
    else:
        text += "mean over seeds; a number at the edge lies beyond the axis. "
    return text + (
        "Lines: standard deviation over seeds. Best rank on the board first; "
        "a dash: not complete; methods without any number are left out."
    )


def _draw(panels: list[Panel], colours: style.Palette) -> Figure:
    methods = list(colours)
    across = min(len(panels), ACROSS)
    rows = -(-len(panels) // across)
    width = style.PAGE if across > 2 else style.wide_enough(methods)
    drawn = style.canvas(rows * (0.6 + HEIGHT * len(methods)), width=width)
    alike = all(panel.detection for panel in panels)  # lengths can be compared across these panels
    grid = drawn.subplots(rows, across, sharex=alike, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    axes = axes[: len(panels)]
    for axis, panel in zip(axes, panels, strict=True):
        (_bars if panel.detection else _dots)(axis, panel, colours)
        for place, value in enumerate(panel.mean):
            if math.isnan(value):
                axis.text(0.02, place, "–", va="center", transform=axis.get_yaxis_transform())
        axis.set(title=panel.label, yticks=range(len(methods)), yticklabels=methods)
        axis.set_ylim(len(methods) - 0.4, -0.6)
        axis.grid(visible=False, axis="y")
        style.despine(axis, "left")
    return drawn


def _bars(axis: Axes, panel: Panel, colours: style.Palette) -> None:
    """Draw what is gained over chance; the views as dots."""
    chance, places = panel.spec.chance or 0.0, range(len(panel.mean))
    axis.barh(places, panel.mean - chance, left=chance, height=0.75, color=list(colours.values()))
    _deviation(axis, panel)
    if panel.views.shape[1] > 1:
        for place, views in enumerate(panel.views.to_numpy()):
            axis.scatter(views, [place] * len(views), s=4, color="white", edgecolor="black",
                         linewidth=0.4, zorder=3)  # fmt: skip
    axis.axvline(chance, color="black", linewidth=0.6)
    axis.locator_params(axis="x", nbins=4)
    axis.set_xlabel(panel.spec.label)
    axis.xaxis.set_major_formatter("{x:g}")


def _dots(axis: Axes, panel: Panel, colours: style.Palette) -> None:
    """Draw a dot for each method, on an axis that begins just beyond the last that matters."""
    low, high = window(panel.mean, panel.spec)
    inside = panel.mean.between(low, high)
    spread = panel.std.fillna(0)[inside]
    low, high = (panel.mean[inside] - spread).min(), (panel.mean[inside] + spread).max()
    wide = low > 0 and high / low > RATIO and panel.spec.kind == "cost"
    if not wide and (panel.spec.better == "lower" or panel.spec.kind == "cost"):
        low = 0.0  # the ideal is on the axis
    for place, (name, value) in enumerate(panel.mean.items()):
        if inside[name]:
            axis.plot(value, place, "o", color=colours[str(name)], markersize=4, zorder=3)
        elif not math.isnan(value):
            right, number = value > high, f"{value:,.{panel.spec.digits}f}"
            axis.annotate(
                f"{number} ▸" if right else f"◂ {number}",
                (float(right), place), xycoords=axis.get_yaxis_transform(), va="center",
                ha="right" if right else "left", fontsize=style.SMALL,
            )  # fmt: skip
    _deviation(axis, panel._replace(mean=panel.mean.where(inside)))
    axis.hlines(range(len(panel.mean)), 0, 1, color="0.9", linewidth=0.4, zorder=0,
                transform=axis.get_yaxis_transform())  # fmt: skip
    if wide:
        room = (high / low) ** 0.06
        axis.set_xscale("log")
        axis.set_xlim(low / room, high * room)
        axis.minorticks_off()
    else:
        room = 0.06 * (high - low) or 0.05
        axis.set_xlim(low - room / (1 if low else 2), high + room)
        axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter("{x:,g}")


def _deviation(axis: Axes, panel: Panel) -> None:
    known = panel.mean.notna().to_numpy() & panel.std.notna().to_numpy()
    places = known.nonzero()[0]
    axis.errorbar(panel.mean[known], places, xerr=panel.std[known], fmt="none", color="black",
                  linewidth=0.8, capsize=1.5, capthick=0.8, zorder=2.5)  # fmt: skip


def window(values: pd.Series, spec: MetricSpec) -> tuple[float, float]:
    """Return the ends of the axis: a value much worse than most, or a cost of nought, is beyond."""
    known = values.dropna()
    low, high = float(known.min()), float(known.max())
    first, third = known.quantile(0.25), known.quantile(0.75)
    reach = FAR * max(third - first, 0.02 * abs(third))
    if spec.better == "higher":
        low = float(known[known >= first - reach].min())
    if spec.kind == "cost":
        return float(known[known >= third / NOUGHT].min()), high
    if spec.better == "lower":
        high = float(known[known <= third + reach].max())
    return low, high
