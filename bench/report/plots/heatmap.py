"""View by view: AUROC of every method, as for the corruptions of the paper's appendix A.4."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from bench.report import style
from bench.report.leaderboard import Column
from bench.report.plots import Drawing, Material, figure, split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY = 8  # views of a scenario without kinds that bars no longer show
CELL = 0.215  # inches: room for ".97" in the smallest type
HEIGHT = 0.16  # inches a method


@figure(place="paper")
def heatmap(material: Material) -> Iterator[Drawing]:
    """Give a heat map for each scenario of many views, and one of variants with their methods."""
    for scenario in material.group.detecting:
        own = [column for column in material.shifts if column.scenario == scenario]
        if len(own) == 1 and len(own[0].cells(material.group.measurements[scenario])) >= MANY:
            table = _table(material, own[0])
            for ending, methods in split(list(table.index)):
                draw = partial(_draw, table.loc[methods])
                yield Drawing(f"heatmap_{scenario}{ending}", CAPTION, draw)


CAPTION = (
    "AUROC of each view by each method's ranking score, mean over seeds: best rank first, hardest "
    "view first. White is chance. A dash: not complete; methods without any number are left out."
)


def _table(material: Material, column: Column) -> pd.DataFrame:
    """Return AUROC, (methods, views and their mean), the view of the lowest mean first."""
    part = material.group.measurements[column.scenario]
    values = column.values(material.group, material.score).mean(axis=1)
    cells = material.table(values).loc[material.methods].dropna(how="all")
    mean = cells.mean(axis=1, skipna=False)
    cells.columns = [part.cells[i].label.replace("_", " ") for i in column.cells(part)]
    return cells[cells.mean().sort_values().index].assign(mean=mean)


def _draw(table: pd.DataFrame) -> Figure:
    rows, columns = table.shape
    longest = max(len(name) for name in table.index)
    names = [name if longest <= 26 else name.replace(",", ",\n", 1) for name in table.index]
    left = style.LETTER * max(len(part) for name in names for part in name.split("\n"))
    tall = HEIGHT * (1.35 if any("\n" in name for name in names) else 1.0)
    width = min(max(left + CELL * columns + 0.6, style.WIDTH), style.PAGE)
    turned = style.LETTER * max(len(name) for name in table.columns)
    drawn = style.canvas(turned + 0.15 + tall * rows, width=width)
    axis = drawn.subplots()
    mesh = axis.pcolormesh(table, cmap="PuOr", vmin=0, vmax=1, edgecolor="white", linewidth=0.4)
    for row, values in enumerate(table.to_numpy()):
        for column, value in enumerate(values):
            text = "–" if pd.isna(value) else f"{value:.2f}".removeprefix("0")
            dark = abs(value - 0.5) > 0.3  # False for NaN
            axis.text(column + 0.5, row + 0.5, text, ha="center", va="center_baseline",
                      fontsize=style.SMALL, color="white" if dark else "0.15")  # fmt: skip
    axis.axvline(columns - 1, color="black", linewidth=0.8)
    axis.set(xticks=[i + 0.5 for i in range(columns)], yticks=[i + 0.5 for i in range(rows)])
    axis.set_xticklabels(table.columns, rotation=90)
    axis.set_yticklabels(names, linespacing=0.95)
    axis.invert_yaxis()
    axis.xaxis.tick_top()
    axis.grid(visible=False)
    style.despine(axis, "left", "bottom")
    drawn.colorbar(mesh, ax=axis, label="AUROC", aspect=18, pad=0.01, ticks=[0, 0.5, 1])
    return drawn
