"""From curves: ROC of each kind of shift, and the uncertainty of inliers and outliers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bench.report import style
from bench.report.frames import seeds
from bench.report.leaderboard import Column
from bench.report.plots import Drawing, Material

if TYPE_CHECKING:
    from matplotlib.artist import Artist

Curves = dict[str, np.ndarray]  # method -> mean curve


def draw(given: Material) -> Iterator[Drawing]:
    """The ROC curves of a board and its histograms, where there are curves."""
    views = _views(given)
    if views.empty:
        return
    methods = style.legible(given.methods)
    panels = {c.label: _mean(given, views, c, "tpr", methods) for c in given.shifts}
    if panels := {label: curves for label, curves in panels.items() if curves}:
        yield _roc(given, panels, methods)
        yield _histograms(given, views, methods)


def _views(given: Material) -> pd.DataFrame:
    """One line for each view of each record, its curves as vectors in [0, 1]."""
    found = [
        {name: record[name] for name in ("scenario", "method", "seed")}
        | {name: view[name] for name in ("view", "severity", "group")}
        | {name: np.array(view[name]) / 1000 for name in ("tpr", "outliers")}
        | {"inliers": np.array(record["inliers"]) / 1000}
        for record in given.curves
        for view in record.get("views", [])
    ]
    return pd.DataFrame(found)


def _mean(
    given: Material, views: pd.DataFrame, column: Column, what: str, methods: list[str]
) -> Curves:
    """Mean curve over views and seeds of the methods that have every one of them."""
    part = views[views["scenario"] == column.scenario]
    for name in ("group", "view"):
        if value := getattr(column, name):
            part = part[part[name] == value]
    lines = column.lines(given.frame)
    cells = len(lines.drop_duplicates(["view", "severity"]))
    owed = cells * len(seeds(given.frame, column.scenario))
    groups = {name: group for name, group in part.groupby("method") if name in methods}
    return {
        str(name): np.mean(np.stack(list(group[what])), axis=0)
        for name, group in groups.items()
        if len(group) == owed
    }


def _roc(given: Material, panels: dict[str, Curves], methods: list[str]) -> Drawing:
    rows = -(-len(panels) // 2)
    figure = style.canvas(0.9 + 1.45 * rows)
    axes = style.panels(figure, len(panels), 2, "inliers flagged", "outliers flagged")
    handles = {}
    for axis, (label, curves) in zip(axes, panels.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.6)
        for i, (name, curve) in enumerate(curves.items()):
            how = style.line(name, methods, given.colours)
            at = np.linspace(0, 1, len(curve))
            (handles[name],) = axis.plot(at, curve, markevery=(3 + 3 * i, 40), **how)
        axis.set(title=label, xlim=(0, 1), ylim=(0, 1.01))
        axis.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], box_aspect=1)
    names = sorted(handles)
    figure.legend([handles[n] for n in names], names, loc="outside lower center", ncols=3)
    caption = (
        "ROC by each method's own score: share of outliers flagged at each share of inliers "
        "flagged, mean over views and seeds. The grey line is chance."
    )
    return Drawing("roc", figure, caption)


def _histograms(given: Material, views: pd.DataFrame, methods: list[str]) -> Drawing:
    """Small multiples: inliers filled, a line for each kind of shift."""
    import seaborn as sns

    shifts = {c.label: _mean(given, views, c, "outliers", methods) for c in given.shifts}
    inliers = [_mean(given, views, c, "inliers", methods) for c in given.shifts]
    drawn = [name for name in methods if any(name in curves for curves in shifts.values())]
    figure = style.canvas(0.8 + 0.95 * -(-len(drawn) // 3))
    axes = style.panels(figure, len(drawn), 3, "uncertainty", "share of inputs")
    colours = sns.color_palette("colorblind")
    handles: dict[str, Artist] = {}
    for axis, name in zip(axes, drawn, strict=True):
        known = np.mean([curves[name] for curves in inliers if name in curves], axis=0)
        edges = np.linspace(0, 1, len(known) + 1)
        handles["inliers"] = axis.stairs(known, edges, fill=True, color="0.75")
        for i, (label, curves) in enumerate(shifts.items()):
            if name in curves:
                some = curves[name] > 0  # a few votes have few levels: no line to nought between
                (handles[label],) = axis.plot(
                    ((edges[1:] + edges[:-1]) / 2)[some], curves[name][some], color=colours[i],
                    linestyle=style.DASHES[i % 4], marker=style.MARKERS[i], markersize=1.5,
                )  # fmt: skip
        axis.set_title(style.heading(name), fontsize=6, pad=2)
        axis.set(yscale="log", ylim=(1e-3, 1.5), xlim=(0, 1), xticks=[0, 0.5, 1])
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3)
    caption = (
        "How unsure each method is of inliers (grey) and of shifted inputs (lines), by its own "
        "score as a share of the score's largest value; mean over views and seeds."
    )
    return Drawing("histograms", figure, caption)
