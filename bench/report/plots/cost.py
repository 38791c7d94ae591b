"""Cost against quality: what a method takes to train, and how well it detects."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report import stats, style
from bench.report.frames import fit_seconds, seeds
from bench.report.leaderboard import Column
from bench.report.plots import Drawing, Material

RATIO = Column("seconds an epoch / standard", "cost", "ratio_to_standard")


def draw(given: Material) -> Iterator[Drawing]:
    """Mean AUROC over all cells against the ratio to `standard`, or else seconds to fit."""
    quality = given.cells.mean(axis=1, skipna=False).dropna()
    methods = [name for name in style.legible(given.methods) if name in quality]
    lines = RATIO.lines(given.frame)
    if len(lines):
        values = stats.grid(lines, methods, seeds(given.frame, "cost"))
        cost, label = stats.over_cells(values).mean(axis=1, skipna=False), RATIO.label
    else:
        cost = fit_seconds(given.frame, methods).mean(axis=1, skipna=False)
        label = "seconds to fit"
    cost = cost[cost > 0]
    if len(cost) < 2:
        return
    from matplotlib.ticker import LogLocator

    figure = style.canvas(2.6)
    axis = figure.subplots()
    for name in cost.index:
        how = style.line(name, methods, given.colours) | {"linestyle": "", "markersize": 5}
        axis.plot(cost[name], quality[name], **how)
    axis.set(xlabel=label, ylabel="mean AUROC")
    axis.set_xscale("log", subs=[])
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter("{x:g}")
    figure.legend(loc="outside lower center", ncols=3, handletextpad=0.2, columnspacing=1)
    caption = (
        "Mean AUROC over every view by each method's own score, against cost; mean over seeds. "
        "Only methods that are complete; up and to the left is better."
    )
    yield Drawing("cost_quality", figure, caption)
