"""Bars: one figure for each scenario, one colour for each method in all of them.

Methods are named at the axis, so colour is never the only key.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING

import pandas as pd

from bench.report import stats
from bench.report.frames import seeds
from bench.report.leaderboard import COLUMNS, DETECTION, Column

if TYPE_CHECKING:  # seaborn takes two seconds: a report without figures does not wait for it
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Palette = dict[str, tuple[float, float, float]]  # method -> colour

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


def palette(methods: Iterable[str]) -> Palette:
    """Colour of each method, the same in every figure of a report; 20 before one comes again."""
    import seaborn as sns

    colours = sns.color_palette("colorblind")
    dark = [sns.dark_palette(colour, 3)[1] for colour in colours]  # lightness is seen by everyone
    return dict(zip(sorted(methods), cycle([*colours, *dark]), strict=False))


def draw(frame: pd.DataFrame, scenario: str, colours: Palette) -> dict[str, bytes]:
    """The figure of one scenario as {"png": …, "pdf": …}; empty if there is nothing to draw."""
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.figure import Figure  # not pyplot: no window, no global state

    wanted = MEASURED.get(scenario) or [c for c in COLUMNS if c.scenario == scenario]
    panels = [c for c in wanted or [Column(scenario, scenario)] if len(c.lines(frame))]
    if not panels:
        return {}
    look = sns.axes_style("whitegrid") | sns.plotting_context("paper", font_scale=0.75)
    with mpl.rc_context(look | {"grid.linewidth": 0.4, "pdf.fonttype": 42}):
        height = 0.75 + 0.17 * frame["method"].nunique()
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        alike = panels[0].metric == DETECTION  # lengths can be compared across these panels
        axes = figure.subplots(1, len(panels), sharex=alike, sharey=True, squeeze=False)[0]
        for axis, column in zip(axes, panels, strict=True):
            _bars(axis, column, frame, colours)
        return {kind: _saved(figure, kind) for kind in ("png", "pdf")}


def _bars(axis: Axes, column: Column, frame: pd.DataFrame, colours: Palette) -> None:
    """Draw one panel; a method that lacks anything has a dash instead of a bar."""
    import seaborn as sns

    methods = sorted(frame["method"].unique())
    start = CHANCE if column.metric == DETECTION else 0.0  # a bar is what is gained over chance
    values = stats.grid(column.lines(frame), methods, seeds(frame, column.scenario)) - start
    per_seed = stats.over_cells(values)
    place = {"x": "value", "y": "method", "order": methods, "ax": axis}
    sns.barplot(
        _tidy(per_seed.dropna()), **place, hue="method", palette=colours, saturation=1,
        linewidth=0, errorbar="sd", capsize=0.3, err_kws={"linewidth": 0.8, "color": "black"},
    )  # fmt: skip
    if values.shape[1] > 1:
        views = _tidy(stats.over_seeds(values))  # jitter would be random: other bytes each time
        sns.stripplot(
            views, **place, jitter=False, size=2, color="white", edgecolor="black", linewidth=0.4
        )
    for name in per_seed.index[per_seed.isna().any(axis=1)]:
        axis.text(0, name, " –", va="center")
    axis.axvline(0, color="black", linewidth=0.6)
    axis.set(title=column.label, xlabel="AUROC" if column.metric == DETECTION else "", ylabel="")
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter(lambda gain, _: f"{start + gain:g}")
    sns.despine(ax=axis, left=True)


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """One line for each number of a table of methods."""
    return table.melt(ignore_index=False).reset_index()


def _saved(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    # no date inside: the same rows give the same file
    metadata = {"CreationDate": None} if kind == "pdf" else {"Software": None}
    figure.savefig(buffer, format=kind, dpi=200, metadata=metadata)
    return buffer.getvalue()
