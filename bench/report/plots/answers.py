"""From curves: reliability of the probabilities, and risk against coverage."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bench.report import style
from bench.report.leaderboard import Column, by_words, columns
from bench.report.plots import Drawing, Material, figure
from bench.report.plots.shift import curves_by, score_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FLOOR = 1e-4  # where no answer is wrong, on an axis of powers of ten
RISK = (
    "Risk and coverage: errors among the predictions a method is most certain of, by {by}, "
    f"mean over seeds; {FLOOR:g} stands for none."
)
RELIABILITY = (
    "Reliability of each method's point prediction on clean inputs: share right against "
    "confidence in 15 equal bins, seeds pooled; area: share of answers. Below the line: too "
    "certain."
)


@figure(place="paper")
def answers(material: Material) -> Iterator[Drawing]:
    """Give both figures, for the methods with a curve of every seed."""
    for column in columns(material.group):
        if column.spec.name == "ece":
            yield from _both(material, column)


def _both(material: Material, ece: Column) -> Iterator[Drawing]:
    part = material.group.measurements[ece.scenario]
    score, methods = score_of(material), style.legible(material.methods)
    risks: dict[str, list[Any]] = {name: [] for name in methods}
    bins: dict[str, list[Any]] = {name: [] for name in methods}
    for file, curves in curves_by(material, score):
        plain = file.scenario == ece.scenario and "~" not in file.dataset
        if plain and file.method in risks and curves.risk and file.seed in part.seeds:
            risks[file.method].append(curves.risk)
            bins[file.method].append(file.reliability)
    whole = [name for name in methods if len(risks[name]) == len(part.seeds)]
    if not whole:
        return
    colours = material.palette(whole)
    mean = {name: np.mean(risks[name], axis=0) / 1e5 for name in whole}
    yield Drawing("risk_coverage", RISK.format(by=by_words(score)), partial(_risk, mean, colours))
    pools = {name: pooled(bins[name]) for name in whole}
    values = material.table(ece.values(material.group).mean(axis=(1, 2)))[0] * ece.spec.scale
    draw = partial(_reliability, pools, values[whole], colours)
    yield Drawing("reliability", RELIABILITY, draw)


def _risk(risks: dict[str, Any], colours: style.Palette) -> Figure:
    drawn = style.canvas(2.9)
    axis = drawn.subplots()
    handles = {}
    for i, (name, risk) in enumerate(risks.items()):
        coverage = np.arange(1, len(risk) + 1) / len(risk)
        how = style.line(name, list(risks), colours)
        (handles[name],) = axis.plot(
            coverage, np.maximum(risk, FLOOR), markevery=(2 + 3 * i, 25), **how
        )
    axis.set(
        yscale="log", xlabel="share of inputs answered, most certain first", ylabel="share wrong"
    )
    axis.set(xlim=(0, 1), ylim=(FLOOR, 1))
    style.despine(axis)
    style.legend(drawn, handles)
    return drawn


def _reliability(bins: dict[str, pd.DataFrame], ece: pd.Series, colours: style.Palette) -> Figure:
    """Draw small multiples."""
    drawn = style.canvas(0.4 + 1.1 * -(-len(bins) // 3))
    axes = style.panels(drawn, len(bins), 3, "confidence", "share right")
    for axis, (name, of) in zip(axes, bins.items(), strict=True):
        panel(axis, of, colours[name], style.heading(name))
        axis.text(1, 0.05, f"ECE {ece[name]:.1f} %", fontsize=style.SMALL, ha="right")
    return drawn


def panel(axis: Axes, of: pd.DataFrame, colour: style.Colour, title: str) -> None:
    """Draw the reliability of pooled bins: a dot for each, its area the share of answers in it."""
    axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.6)
    axis.plot(of["confidence"], of["accuracy"], color=colour, linewidth=0.4)
    sizes = 3 + 30 * of["n"] / max(of["n"].sum(), 1)
    axis.scatter(of["confidence"], of["accuracy"], color=colour, s=sizes)
    axis.set_title(title, fontsize=style.SMALL, pad=2)
    axis.set(xlim=(0, 1.03), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])


def pooled(seeds_: list[list[list[int]]]) -> pd.DataFrame:
    """Return the bins that are not empty, over all seeds: n, confidence and accuracy as shares."""
    bins = np.array(seeds_, dtype=float)  # (seeds, bins, 3)
    n = bins[:, :, 0]
    means = (bins[:, :, 1:] * n[:, :, None]).sum(0) / np.maximum(n.sum(0), 1)[:, None] / 1000
    table = pd.DataFrame({"n": n.sum(0), "confidence": means[:, 0], "accuracy": means[:, 1]})
    return table[table["n"] > 0]
