"""From curves: ROC of each kind of shift, and the uncertainty of inliers and outliers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report import style
from bench.report.frames import seeds
from bench.report.leaderboard import Column
from bench.report.plots import Drawing, Material, figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

Curves = dict[str, NDArray[np.float64]]  # method -> mean curve


@figure(place="paper")
def shift(material: Material) -> Iterator[Drawing]:
    """Give the ROC curves of a board and its histograms, where there are curves."""
    views = _views(material)
    if views.empty:
        return
    methods = style.legible(material.methods)
    panels = {c.label: _mean(material, views, c, "tpr", methods) for c in material.shifts}
    if not (panels := {label: curves for label, curves in panels.items() if curves}):
        return
    yield Drawing("roc", ROC, partial(_roc, panels, methods, material.palette(methods)))
    shifts = {c.label: _mean(material, views, c, "outliers", methods) for c in material.shifts}
    inliers = [_mean(material, views, c, "inliers", methods) for c in material.shifts]
    known = {
        name: np.mean([curves[name] for curves in inliers if name in curves], axis=0)
        for name in methods
        if any(name in curves for curves in shifts.values())
    }
    yield Drawing("histograms", HISTOGRAMS, partial(_histograms, known, shifts))


ROC = (
    "ROC by each method's ranking score: share of outliers flagged at each share of inliers "
    "flagged, mean over views and seeds. The grey line is chance."
)
HISTOGRAMS = (
    "How unsure each method is of inliers (grey) and of shifted inputs (lines), by its ranking "
    "score as a share of the score's largest value; mean over views and seeds."
)


def _views(material: Material) -> pd.DataFrame:
    """Return one line for each view of each record, its curves as vectors in [0, 1]."""
    lines = [
        {name: record[name] for name in ("scenario", "method", "seed")}
        | {name: view[name] for name in ("view", "severity", "group")}
        | {name: np.array(view[name]) / 1000 for name in ("tpr", "outliers")}
        | {"inliers": np.array(record["inliers"]) / 1000}
        for record in material.curves
        for view in record.get("views", [])
    ]
    return pd.DataFrame(lines)


def _mean(
    material: Material, views: pd.DataFrame, column: Column, what: str, methods: list[str]
) -> Curves:
    """Return the mean curve over views and seeds of the methods that have every one of them."""
    part = views[views["scenario"] == column.scenario]
    for name in ("group", "view"):
        if value := getattr(column, name):
            part = part[part[name] == value]
    cells = len(column.lines(material.frame).drop_duplicates(["view", "severity"]))
    expected = cells * len(seeds(material.frame, column.scenario))
    curves = {str(name): list(group[what]) for name, group in part.groupby("method")}
    return {
        name: np.mean(np.stack(curves[name]), axis=0)
        for name in methods
        if len(curves.get(name, [])) == expected
    }


def _roc(panels: dict[str, Curves], methods: list[str], colours: style.Palette) -> Figure:
    rows = -(-len(panels) // 2)
    across = min(2, len(panels))
    drawn = style.canvas(0.9 + 1.45 * rows if across > 1 else 3.4)
    axes = style.panels(drawn, len(panels), across, "inliers flagged", "outliers flagged")
    handles: dict[str, Artist] = {}
    for axis, (label, curves) in zip(axes, panels.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.6)
        for i, (name, curve) in enumerate(curves.items()):
            how = style.line(name, methods, colours)
            at = np.linspace(0, 1, len(curve))
            (handles[name],) = axis.plot(at, curve, markevery=(3 + 3 * i, 40), **how)
        axis.set(title=label, xlim=(0, 1), ylim=(0, 1.01))
        axis.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], box_aspect=1)
    style.legend(drawn, {name: handles[name] for name in methods if name in handles})
    return drawn


def _histograms(known: Curves, shifts: dict[str, Curves]) -> Figure:
    """Draw small multiples: inliers filled, a line for each kind of shift."""
    drawn = style.canvas(0.8 + 0.95 * -(-len(known) // 3))
    axes = style.panels(drawn, len(known), 3, "uncertainty", "share of inputs")
    handles: dict[str, Artist] = {}
    for axis, (name, inliers) in zip(axes, known.items(), strict=True):
        edges = np.linspace(0, 1, len(inliers) + 1)
        handles["inliers"] = axis.stairs(inliers, edges, fill=True, color="0.75")
        for i, (label, curves) in enumerate(shifts.items()):
            if name in curves:
                some = curves[name] > 0  # a few votes have few levels: no line to nought between
                (handles[label],) = axis.plot(
                    ((edges[1:] + edges[:-1]) / 2)[some], curves[name][some],
                    color=style.COLOURS[i % len(style.COLOURS)],
                    linestyle=style.DASHES[i % len(style.DASHES)],
                    marker=style.MARKERS[i % len(style.MARKERS)], markersize=1.5,
                )  # fmt: skip
        axis.set_title(style.heading(name), fontsize=style.SMALL, pad=2)
        axis.set(yscale="log", ylim=(1e-3, 1.5), xlim=(0, 1), xticks=[0, 0.5, 1])
        axis.minorticks_off()
    style.legend(drawn, handles)
    return drawn
