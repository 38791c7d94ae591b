"""From curves: ROC of each kind of shift, and the uncertainty of inliers and outliers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bench.report import style
from bench.report.leaderboard import Column, by_words
from bench.report.plots import Drawing, Material, figure
from bench.store.curves import CurveFile, ScoreCurves, ViewCurves
from bench.store.schema import OWN

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

Curves = dict[str, NDArray[np.float64]]  # method -> mean curve
Views = list[tuple[ViewCurves, ScoreCurves]]  # of one method


@figure(place="paper")
def shift(material: Material) -> Iterator[Drawing]:
    """Give the ROC curves of a group and its histograms, where there are curves."""
    methods = style.legible(material.methods)
    score = score_of(material)
    labels = {column.label: _views(material, column, score) for column in material.shifts}
    panels = {label: _mean(views, "tpr", methods) for label, views in labels.items()}
    if not (panels := {label: curves for label, curves in panels.items() if curves}):
        return
    by = by_words(score)
    yield Drawing(
        "roc", ROC.format(by=by), partial(_roc, panels, methods, material.palette(methods))
    )
    shifts = {label: _mean(views, "outliers", methods) for label, views in labels.items()}
    inliers = [_mean(views, "inliers", methods) for views in labels.values()]
    known = {
        name: np.mean([curves[name] for curves in inliers if name in curves], axis=0)
        for name in methods
        if any(name in curves for curves in shifts.values())
    }
    yield Drawing("histograms", HISTOGRAMS.format(by=by), partial(_histograms, known, shifts))


ROC = (
    "ROC by {by}: share of outliers flagged at each share of inliers "
    "flagged, mean over views and seeds. The grey line is chance."
)
HISTOGRAMS = (
    "How unsure each method is of inliers (grey) and of shifted inputs (lines), by "
    "{by} as a share of the score's largest value; mean over views and seeds."
)


def score_of(material: Material) -> str:
    """Return the score that there are curves by: the report's, or else each method's own."""
    there = any(curves.of(material.score) for curves in material.curves)
    return material.score if there else OWN


def curves_by(material: Material, score: str) -> Iterator[tuple[CurveFile, ScoreCurves]]:
    """Yield each file with its curves by a score."""
    for file in material.curves:
        of = file.of(material.group.own[file.method] if score == OWN else score)
        if of is not None:
            yield file, of


def _views(material: Material, column: Column, score: str) -> dict[str, Views]:
    """Return the curves of a column's views by every seed, of the methods that have all."""
    part = material.group.measurements[column.scenario]
    wanted = {part.cells[i][:2] for i in column.cells(part)}
    views: dict[str, Views] = {}
    for file, curves in curves_by(material, score):
        if file.scenario == column.scenario and file.seed in part.seeds:
            views.setdefault(file.method, []).extend(
                (view, curves) for view in curves.views if (view.view, view.severity) in wanted
            )
    expected = len(column.cells(part)) * len(part.seeds)
    return {name: found for name, found in views.items() if len(found) == expected}


def _mean(views: dict[str, Views], what: str, methods: list[str]) -> Curves:
    """Return the mean curve of each method, in [0, 1]."""
    vectors = {
        name: [(of if what == "inliers" else view, what) for view, of in views[name]]
        for name in methods if name in views
    }  # fmt: skip
    return {
        name: np.mean([getattr(*pair) for pair in pairs], axis=0) / 1000
        for name, pairs in vectors.items()
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
