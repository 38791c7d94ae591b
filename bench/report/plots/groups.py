"""Groups of people: a quantity in each group, and the gap between them with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from bench.report import style
from bench.report.plots import Drawing, Material, figure
from bench.report.scenarios import Quantity, quantities
from bench.store.schema import MetricSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAP = "gap "  # the view of an attribute's gaps is called "gap Bald", its groups "Bald", "not Bald"
ENDING = "_gap"
HEIGHT = 0.17  # inches a method
IN, OUT = "#d55e00", "#0173b2"  # members of the group, and all others


class Compared(NamedTuple):
    """One metric in both groups, printed as ``spec`` says; (methods, quantities)."""

    spec: MetricSpec
    table: pd.DataFrame  # columns "in", "out", "gap", "low", "high"


@figure
def groups(material: Material) -> Iterator[Drawing]:
    """Give one figure for each scenario and attribute whose groups were compared."""
    for scenario in material.group.scenarios:
        if material.group.measurements[scenario].detects:
            continue
        own = quantities(material.group, scenario, material.score)
        by_place = {(q.view, q.spec.name): q for q in own}
        for view in dict.fromkeys(q.view for q in own if q.view.startswith(GAP)):
            attribute = view.removeprefix(GAP)
            gaps = [q for q in own if q.view == view and q.interval]
            found = (_compared(material, by_place, gap, attribute) for gap in gaps)
            compared = [one for one in found if one is not None]
            methods = [n for n in material.order if any(n in c.table.index for c in compared)]
            if methods:
                draw = partial(_draw, attribute, methods, compared)
                name = f"{scenario}_{attribute}"
                yield Drawing(name, CAPTION.format(scenario.capitalize(), attribute), draw)


CAPTION = (
    "{}: quality for {} and for everyone else, and the gap between them with its 95 % interval "
    "(bootstrap within the groups); mean over seeds. A gap whose interval holds 0 may be chance."
)


def _compared(
    material: Material, by_place: Mapping[tuple[str, str], Quantity], gap: Quantity, attribute: str
) -> Compared | None:
    """Return the metric of members and of others beside its gap; None where there is only a gap."""
    metric = gap.spec.name.removesuffix(ENDING)
    members = by_place.get((attribute, metric))
    others = by_place.get((f"not {attribute}", metric))
    if members is None or others is None:
        return None
    low, high = gap.interval or (gap.values, gap.values)
    named = {
        "in": members.values, "out": others.values, "gap": gap.values, "low": low, "high": high
    }  # fmt: skip
    means = np.stack([values.mean(axis=1) for values in named.values()], axis=1)
    table = material.table(means * members.spec.scale).set_axis(list(named), axis=1)
    return Compared(members.spec, table.dropna())


def _draw(attribute: str, methods: list[str], compared: list[Compared]) -> Figure:
    drawn = style.canvas(1.1 + 2 * HEIGHT * len(methods), width=style.PAGE)
    axes = drawn.subplots(2, len(compared), sharey=True, squeeze=False)
    for (above, below), (spec, table) in zip(axes.T, compared, strict=True):
        handles = _values(above, methods, table)
        _gaps(below, methods, table)
        above.set_title(f"{spec.heading} {ARROWS[spec.better]}".strip())
        below.set_xlabel(f"gap; above 0: worse for {attribute}")
    for axis in axes[:, 0]:
        axis.set(yticks=range(len(methods)), yticklabels=methods, ylim=(len(methods) - 0.4, -0.6))
    style.legend(drawn, dict(zip((attribute, f"not {attribute}"), handles, strict=True)))
    return drawn


ARROWS = {"higher": "↑", "lower": "↓", "": ""}


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
