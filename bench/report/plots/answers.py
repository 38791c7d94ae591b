"""From curves: reliability of the probabilities, and risk against coverage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from bench.report import stats, style
from bench.report.frames import seeds
from bench.report.leaderboard import Column
from bench.report.plots import Drawing, Material

ECE = Column("ECE", "clean", "ece")
FLOOR = 1e-4  # where no answer is wrong, on an axis of powers of ten


def draw(given: Material) -> Iterator[Drawing]:
    """Both figures, for the methods with a curve of every seed."""
    owed = len(seeds(given.frame, "clean"))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in style.legible(given.methods)}
    for record in given.curves:
        if "risk" in record and record["method"] in found and "~" not in record["dataset"]:
            found[record["method"]].append(record)
    if whole := {name: records for name, records in found.items() if 0 < len(records) == owed}:
        yield _risk(given, whole)
        yield _reliability(given, whole)


def _risk(given: Material, found: dict[str, list[dict[str, Any]]]) -> Drawing:
    figure = style.canvas(2.9)
    axis = figure.subplots()
    for i, (name, records) in enumerate(found.items()):
        risk = np.mean([record["risk"] for record in records], axis=0) / 1e5
        coverage = np.arange(1, len(risk) + 1) / len(risk)
        how = style.line(name, list(found), given.colours)
        axis.plot(coverage, np.maximum(risk, FLOOR), markevery=(2 + 3 * i, 25), **how)
    axis.set(
        yscale="log", xlabel="share of inputs answered, most certain first", ylabel="share wrong"
    )
    axis.set(xlim=(0, 1), ylim=(FLOOR, 1))
    figure.legend(loc="outside lower center", ncols=3)
    caption = (
        "Risk and coverage: errors among the answers a method is most certain of, by its own "
        f"score, mean over seeds; {FLOOR:g} stands for none."
    )
    return Drawing("risk_coverage", figure, caption)


def _reliability(given: Material, found: dict[str, list[dict[str, Any]]]) -> Drawing:
    """Small multiples: a dot for each bin, its area the share of answers in it."""
    lines = ECE.lines(given.frame)
    ece = stats.over_cells(stats.grid(lines, list(found), seeds(given.frame, "clean"))).mean(axis=1)
    rows = -(-len(found) // 3)
    figure = style.canvas(0.4 + 1.1 * rows)
    axes = style.panels(figure, len(found), 3, "confidence", "share right")
    for axis, (name, records) in zip(axes, found.items(), strict=True):
        bins = pooled([record["reliability"] for record in records])
        axis.plot([0, 1], [0, 1], color="0.7", linewidth=0.6)
        axis.plot(bins["confidence"], bins["accuracy"], color=given.colours[name], linewidth=0.4)
        axis.scatter(bins["confidence"], bins["accuracy"], color=given.colours[name],
                     s=3 + 30 * bins["n"] / bins["n"].sum())  # fmt: skip
        axis.text(1, 0.05, f"ECE {100 * ece[name]:.1f} %", fontsize=6, ha="right")
        axis.set_title(style.heading(name), fontsize=6, pad=2)
        axis.set(xlim=(0, 1.03), ylim=(0, 1.05), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    caption = (
        "Reliability of each method's answer on clean inputs: share right against confidence in "
        "15 equal bins, seeds pooled; area: share of answers. Below the line: too certain."
    )
    return Drawing("reliability", figure, caption)


def pooled(seeds_: list[list[list[int]]]) -> pd.DataFrame:
    """The bins that are not empty, over all seeds: n, confidence and accuracy as shares."""
    bins = np.array(seeds_, dtype=float)  # (seeds, bins, 3)
    n = bins[:, :, 0]
    means = (bins[:, :, 1:] * n[:, :, None]).sum(0) / np.maximum(n.sum(0), 1)[:, None] / 1000
    table = pd.DataFrame({"n": n.sum(0), "confidence": means[:, 0], "accuracy": means[:, 1]})
    return table[table["n"] > 0]
