"""What one threshold flags, view by view, and how many of the answers there were right."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from bench.report import style
from bench.report.frames import Measurements
from bench.report.leaderboard import by_words
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATE = 5  # per cent of validation inliers, as asked
PANELS = {f"flagged_{RATE}": "flagged", f"right_flagged_{RATE}": "flagged, of right answers"}
HEIGHT = 0.13  # inches a view
CAPTION = (
    "Alarms by {by} at a threshold for {rate} % false alarms, fixed on validation inliers: share "
    "flagged of each view, and of the answers there that are right (corrupted inputs that are "
    "still understood; none where there is no class). Line: the rate asked for. Mean over seeds."
)


@figure
def operating(material: Material) -> Iterator[Drawing]:
    """Give a dot for each view and method, for each scenario that fixes thresholds."""
    for scenario, part in material.group.measurements.items():
        if not part.metrics or not set(PANELS) <= set(part.metrics):
            continue
        tables = {name: _table(material, part, name) for name in PANELS}
        first = tables[f"flagged_{RATE}"].dropna(how="all")
        methods = [name for name in style.legible(material.methods) if name in first.index]
        if methods:
            shown = {name: 100 * table.loc[methods] for name, table in tables.items()}
            draw = partial(_draw, shown, material.palette(methods))
            caption = CAPTION.format(by=by_words(material.score), rate=RATE)
            yield Drawing(f"alarms_{scenario}", caption, draw)


def _table(material: Material, part: Measurements, name: str) -> pd.DataFrame:
    """Return shares, (methods, views): the test part first, then group by group."""
    values = part.values(material.group.specs[name], material.score).mean(axis=1)
    order = sorted(range(len(part.cells)), key=lambda i: _place(part.cells[i].group, i))
    table = material.table(values[:, order])
    table.columns = [part.cells[i].label.replace("_", " ") for i in order]
    return table


def _place(group: str, place: int) -> tuple[bool, str, int]:
    return group != "clean", group, place


def _draw(tables: dict[str, pd.DataFrame], colours: style.Palette) -> Figure:
    views = list(next(iter(tables.values())).columns)
    drawn = style.canvas(0.7 + HEIGHT * len(views), width=style.PAGE)
    axes = drawn.subplots(1, len(tables), sharex=True, sharey=True)
    handles = {}
    for axis, (name, table) in zip(axes, tables.items(), strict=True):
        for method, values in table.iterrows():
            how = style.line(str(method), list(colours), colours) | {"linestyle": ""}
            (handles[str(method)],) = axis.plot(
                values, range(len(views)), **how | {"markersize": 3}
            )
        axis.axvline(RATE, color="black", linewidth=0.6)
        axis.set(xlabel=f"{PANELS[name]} (%)", xlim=(-2, 102), ylim=(len(views) - 0.5, -0.5))
        axis.set_yticks(range(len(views)), views, fontsize=style.SMALL)
        style.despine(axis)
    style.legend(drawn, handles)
    return drawn
