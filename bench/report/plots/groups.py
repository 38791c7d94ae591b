"""Groups of people: a quantity in each group, and the gap between them with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from bench.report import stats, style
from bench.report.frames import seeds
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = "gap "  # the view of an attribute's gaps is called "gap Bald", its groups "Bald", "not Bald"
ENDING = "_gap"
HEIGHT = 0.17  # inches a method
IN, OUT = "#d55e00", "#0173b2"  # members of the group, and all others

Tables = dict[str, pd.DataFrame]  # metric -> (methods, quantities), mean over seeds


@figure
def groups(material: Material) -> Iterator[Drawing]:
    """Give one figure for each scenario and attribute whose groups were compared."""
    lines = material.frame[material.frame["view"].astype(str).str.startswith(GAP)]
    lines = lines.dropna(subset="value")
    for (scenario, view), part in lines.groupby(["scenario", "view"]):
        attribute = str(view).removeprefix(GAP)
        compared = [
            name for name in part["metric"].unique() if f"{name}_low" in set(part["metric"])
        ]
        metrics = [name.removesuffix(ENDING) for name in compared if name.endswith(ENDING)]
        tables = {metric: _table(material, str(scenario), attribute, metric) for metric in metrics}
        methods = [name for name in material.order if any(name in t.index for t in tables.values())]
        if methods:
            caption = (
                f"{str(scenario).capitalize()}: quality for {attribute} and for everyone else, "
                "and the gap between them with its 95 % interval (bootstrap within the groups); "
                "mean over seeds. A gap whose interval holds 0 may be chance."
            )
            draw = partial(_draw, attribute, methods, tables)
            yield Drawing(f"{scenario}_{attribute}", caption, draw)


def _table(material: Material, scenario: str, attribute: str, metric: str) -> pd.DataFrame:
    """Return "in", "out", "gap", "low", "high" of each method that has every seed."""
    frame = material.frame[material.frame["scenario"] == scenario]
    gap, view = f"{metric}{ENDING}", f"{GAP}{attribute}"
    wanted = {
        "in": (attribute, metric), "out": (f"not {attribute}", metric),
        "gap": (view, gap), "low": (view, f"{gap}_low"), "high": (view, f"{gap}_high"),
    }  # fmt: skip
    columns = {}
    for name, (where, what) in wanted.items():
        lines = frame[(frame["view"] == where) & (frame["metric"] == what)]
        values = stats.grid(lines, material.order, seeds(material.frame, scenario))
        columns[name] = stats.over_cells(values).mean(axis=1, skipna=False)
    return pd.DataFrame(columns).dropna()


def _draw(attribute: str, methods: list[str], tables: Tables) -> Figure:
    drawn = style.canvas(1.1 + 2 * HEIGHT * len(methods), width=style.PAGE)
    axes = drawn.subplots(2, len(tables), sharey=True, squeeze=False)
    for (above, below), (metric, table) in zip(axes.T, tables.items(), strict=True):
        handles = _values(above, methods, table)
        _gaps(below, methods, table)
        above.set_title(LABELS.get(metric, metric.replace("_", " ")))
        below.set_xlabel(f"gap; above 0: worse for {attribute}")
    for axis in axes[:, 0]:
        axis.set(yticks=range(len(methods)), yticklabels=methods, ylim=(len(methods) - 0.4, -0.6))
    style.legend(drawn, dict(zip((attribute, f"not {attribute}"), handles, strict=True)))
    return drawn


LABELS = {"f1": "F1 ↑", "average_precision": "AP ↑", "ece": "ECE ↓"}


def _values(axis: Axes, methods: list[str], table: pd.DataFrame) -> list[object]:
    """Draw both groups' values, joined by a line; return what the legend shows."""
    known = table.reindex(methods)
    places = range(len(methods))
    axis.hlines(places, known["in"], known["out"], color="0.6", linewidth=1.2)
    handles: list[object] = [
        axis.scatter(known[name], places, color=colour, marker=marker, s=16, zorder=3)
        for name, colour, marker in (("in", IN, "o"), ("out", OUT, "D"))
    ]
    _finish(axis)
    return handles


def _gaps(axis: Axes, methods: list[str], table: pd.DataFrame) -> None:
    known = table.reindex(methods)
    places = range(len(methods))
    axis.hlines(places, known["low"], known["high"], color="0.35", linewidth=1.2)
    axis.scatter(known["gap"], places, color="0.15", s=14, zorder=3)
    axis.axvline(0, color="black", linewidth=0.6, zorder=1)
    _finish(axis)


def _finish(axis: Axes) -> None:
    axis.grid(visible=False, axis="y")
    axis.margins(x=0.08)
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter("{x:g}")
    style.despine(axis, "left")
