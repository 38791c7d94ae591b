"""A parameter against accuracy and detection, such as depth (table 4b) or sampled paths."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd

from bench.report import style
from bench.report.leaderboard import Column, columns
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOG = 8  # a range as wide as this is drawn in powers of two

Line: TypeAlias = pd.DataFrame  # (values of the parameter, seeds)


@figure(place="paper")
def sweep(material: Material) -> Iterator[Drawing]:
    """Give one figure for each (method, parameter) with three values or more."""
    for (name, key), points in material.sweeps.items():
        shifts = {c.label: _values(material, c, points) for c in material.shifts}
        shifts = {label: values for label, values in shifts.items() if len(values)}
        answers = [c for c in columns(material.group) if c.spec.name == "accuracy"]
        accuracy = _values(material, answers[0], points) if answers else pd.DataFrame()
        if len(accuracy) or shifts:
            caption = (
                f"{name} at different {key}: accuracy, and AUROC by shift, mean and standard "
                "deviation over seeds. What is not complete is not drawn."
            )
            colour = material.colours.get(name, style.BLACK)
            draw = partial(_draw, key, accuracy, shifts, colour)
            yield Drawing(f"sweep_{name}_{key}", caption, draw)


def _values(material: Material, column: Column, points: dict[float, str]) -> Line:
    """Return the values of the methods that are complete, if there are two or more."""
    values = material.table(column.values(material.group, material.score).mean(axis=2))
    whole = values.loc[list(points.values())].set_axis(list(points)).dropna()
    return whole if len(whole) > 1 else pd.DataFrame()


def _draw(key: str, accuracy: Line, shifts: dict[str, Line], colour: style.Colour) -> Figure:
    drawn = style.canvas(2.1 if shifts else 1.8)
    both = [("accuracy", {"": accuracy}), ("AUROC", shifts)]
    kept = [(title, lines) for title, lines in both if any(map(len, lines.values()))]
    axes = drawn.subplots(1, len(kept), squeeze=False)[0]
    ticks = sorted({at for _, lines in kept for values in lines.values() for at in values.index})
    for axis, (title, lines) in zip(axes, kept, strict=True):
        for i, (label, values) in enumerate(lines.items()):
            axis.errorbar(
                values.index, values.mean(axis=1), yerr=_deviation(values), label=label,
                color=style.COLOURS[i] if label else colour, marker=style.MARKERS[i],
                linestyle=style.DASHES[i % len(style.DASHES)], markersize=3, elinewidth=0.8,
            )  # fmt: skip
        _axis(axis, title, key, ticks)
    if shifts:
        handles, labels = axes[-1].get_legend_handles_labels()
        style.legend(drawn, dict(zip(labels, handles, strict=True)))
    return drawn


def _deviation(values: Line) -> pd.Series:
    return values.std(axis=1, ddof=1).fillna(0) if values.shape[1] > 1 else 0 * values.sum(axis=1)


def _axis(axis: Axes, title: str, key: str, ticks: list[float]) -> None:
    if ticks[0] > 0 and ticks[-1] / ticks[0] >= LOG:
        axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, _labels(ticks, crowded=axis.get_xscale() == "log"))
    axis.minorticks_off()
    axis.set(title=title, xlabel=key)
    style.despine(axis)


def _labels(ticks: list[float], *, crowded: bool) -> list[str]:
    """Return the label of each tick: "" where, on a scale of powers of 2, the last is too near."""
    labels, last = [], 0.0
    for tick in ticks:
        near = crowded and last > 0 and tick / last < 1.5
        labels.append("" if near else f"{tick:g}")
        last = last if near else tick
    return labels
