"""Bars: one figure for each scenario, one colour for each method in all of them.

Methods are named at the axis, so colour is never the only key.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pandas as pd

from bench.report import stats
from bench.report.frames import seeds
from bench.report.leaderboard import COLUMNS, DETECTION, Column

if TYPE_CHECKING:  # matplotlib takes a second: a report without figures does not wait for it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Styles = dict[str, tuple[str, str]]  # method -> colour, hatch

WIDTH = 3.4  # inches: one column of a two-column paper
CHANCE = 0.5
CAPTION = (
    "Bars: mean over views and seeds, AUROC as gain over chance (0.5); lines: standard deviation "
    "over seeds; dots: single views. A dash: not complete.\n"
)
MEASURED = {  # what to draw where nothing is detected
    "clean": [Column("accuracy", "clean", "accuracy"), Column("ECE", "clean", "ece")],
    "cost": [
        Column("fit, seconds", "cost", "fit_seconds"),
        Column("cost / standard", "cost", "ratio_to_standard"),
    ],
}
# Okabe and Ito's colours, told apart by colour-blind readers; black and yellow left out.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#7F7F7F"]
HATCHES = ["", "////", "....", "xxxx"]


def styles(methods: list[str]) -> Styles:
    """Colour and hatch of each method, the same in every figure of a report."""
    return {
        name: (COLOURS[i % len(COLOURS)], HATCHES[i // len(COLOURS) % len(HATCHES)])
        for i, name in enumerate(sorted(methods))
    }


def draw(frame: pd.DataFrame, scenario: str, style: Styles) -> dict[str, bytes]:
    """The figure of one scenario as {"png": …, "pdf": …}; empty if there is nothing to draw."""
    import matplotlib as mpl
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    panels = [column for column in _panels(frame, scenario) if len(column.lines(frame))]
    if not panels:
        return {}
    methods = sorted(frame["method"].unique(), reverse=True)  # bars are stacked upwards
    with mpl.rc_context({"font.size": 7, "hatch.linewidth": 0.5, "pdf.fonttype": 42}):
        figure = Figure(figsize=(WIDTH, 0.75 + 0.17 * len(methods)), layout="constrained")
        alike = panels[0].metric == DETECTION  # lengths can be compared across these panels
        axes = figure.subplots(1, len(panels), sharex=alike, sharey=True, squeeze=False)[0]
        for axis, column in zip(axes, panels, strict=True):
            _bars(axis, column, frame, methods, style)
        return {kind: _saved(figure, kind) for kind in ("png", "pdf")}


def _panels(frame: pd.DataFrame, scenario: str) -> list[Column]:
    """What is drawn side by side: the leaderboard's columns of a scenario, or its measurements."""
    if scenario in MEASURED:
        return MEASURED[scenario]
    known = [column for column in COLUMNS if column.scenario == scenario]
    return known or [Column(scenario, scenario)]


def _bars(
    axis: Axes,
    column: Column,
    frame: pd.DataFrame,
    methods: list[str],
    style: Styles,
) -> None:
    """Draw one panel; a method that lacks anything has no bar."""
    values = stats.grid(column.lines(frame), methods, seeds(frame, column.scenario))
    mean, std = stats.mean_and_std(stats.over_cells(values))
    start = CHANCE if column.metric == DETECTION else 0.0  # a bar is what is gained over chance
    drawn = axis.barh(
        methods, mean - start, left=start, xerr=std, height=0.72,
        error_kw={"elinewidth": 0.8, "capsize": 1.5}, zorder=2,
    )  # fmt: skip
    for bar, name in zip(drawn, methods, strict=True):
        bar.set(facecolor=style[name][0], hatch=style[name][1], edgecolor="white", linewidth=0)
    for name in mean.index[mean.isna()]:
        axis.text(start, name, " –", va="center")
    if values.shape[1] > 1:
        for _, cell in stats.over_seeds(values).items():
            axis.plot(cell, methods, ".", color="black", markersize=2, alpha=0.45, zorder=3)
    axis.axvline(start, color="black", linewidth=0.6, zorder=4)
    axis.set_ylim(-0.6, len(methods) - 0.4)  # a row for a method without a bar too
    axis.set(title=column.label, xlabel="AUROC" if column.metric == DETECTION else "")
    axis.grid(axis="x", linewidth=0.4, alpha=0.5)
    axis.tick_params(axis="y", length=0)
    axis.locator_params(axis="x", nbins=4)
    axis.spines[["top", "right", "left"]].set_visible(False)


def _saved(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    # no date inside: the same rows give the same file
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
    return buffer.getvalue()
