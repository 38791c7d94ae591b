"""Corruption by corruption: AUROC of every method, as in appendix A.4 of the paper."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.report import stats, style
from bench.report.frames import seeds
from bench.report.leaderboard import Column
from bench.report.plots import Drawing, Material

SCENARIOS = ("corruption", "speech_corruption")


def draw(given: Material) -> Iterator[Drawing]:
    """One heat map for each scenario of corruptions, the hardest corruption first."""
    for scenario in SCENARIOS:
        lines = Column("", scenario).lines(given.frame)
        if len(lines):
            yield _drawing(given, scenario, lines)


def _drawing(given: Material, scenario: str, lines: pd.DataFrame) -> Drawing:
    methods = style.legible(given.methods, most=30)
    cells = stats.over_seeds(stats.grid(lines, methods, seeds(given.frame, scenario)))
    cells.columns = [f"{v} {s:g}" if s else v for v, s in cells.columns]
    table = cells.T.loc[cells.mean().sort_values().index]
    table.index = [str(name).replace("_", " ") for name in table.index]
    table.loc["mean"] = cells.mean(axis=1, skipna=False)
    wide = min(max(style.WIDTH, 1.1 + 0.2 * len(methods)), style.PAGE)
    figure = style.canvas(1.2 + 0.125 * len(table), width=wide)
    _heat(figure.subplots(), table)
    caption = (
        "AUROC of each corruption by each method's own score, mean over seeds; hardest first. "
        "White is chance. A dash: not complete."
    )
    return Drawing(f"heatmap_{scenario}", figure, caption)


def _heat(axis, table: pd.DataFrame) -> None:  # type: ignore[no-untyped-def]
    import seaborn as sns

    texts = table.map(lambda v: "–" if pd.isna(v) else f"{v:.2f}".replace("0.", ".", 1))
    sns.heatmap(
        table, ax=axis, cmap="PuOr", vmin=0, vmax=1, annot=texts.to_numpy(), fmt="",
        annot_kws={"size": 5.5}, linewidths=0.3,
        cbar_kws={"shrink": 0.5, "aspect": 25, "pad": 0.01, "label": "AUROC"},
    )  # fmt: skip
    for place in zip(*table.isna().to_numpy().nonzero(), strict=True):  # no colour, no number
        axis.text(place[1] + 0.5, place[0] + 0.5, "–", ha="center", va="center")
    axis.axhline(len(table) - 1, color="black", linewidth=0.8)
    axis.tick_params(length=0, pad=1, labelsize=6)
    axis.set(xlabel="", ylabel="")
    axis.set_xticklabels(axis.get_xticklabels(), rotation=90)
