"""Mean ranks with Nemenyi bars: a critical-difference diagram (Demšar 2006), one line a method."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.report import stats, style
from bench.report.plots import Drawing, Material


def draw(given: Material) -> Iterator[Drawing]:
    """One diagram of all methods that have every cell, ranked as in the leaderboard."""
    ranks = stats.cell_ranks(given.cells)
    methods, cells = ranks.shape
    if methods < 3 or cells < 2:
        return  # too few to test
    difference = stats.critical_difference(methods, cells)
    means = ranks.mean(axis=1).sort_values(kind="stable")
    figure = style.canvas(0.7 + 0.155 * methods)
    _diagram(figure.subplots(), means, difference, given.colours)
    caption = (
        f"Mean rank over {cells} (view, severity) cells by AUROC. Methods joined by a bar are not "
        f"told apart by Nemenyi's test at 5 % (critical difference {difference:.2f})."
    )
    yield Drawing("ranks", figure, caption)


def cliques(means: pd.Series, difference: float) -> list[tuple[int, int]]:
    """First and last place of each largest run of sorted means within the difference."""
    found: list[tuple[int, int]] = []
    for first, mean in enumerate(means):
        last = int((means <= mean + difference).sum()) - 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _diagram(axis, means: pd.Series, difference: float, colours: style.Palette) -> None:  # type: ignore[no-untyped-def]
    import seaborn as sns

    places = range(len(means))
    axis.hlines(places, 1, means, color="0.85", linewidth=0.6)
    axis.scatter(means, places, c=[colours[name] for name in means.index], s=16, zorder=3)
    beside = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 6}
    for place, mean in zip(places, means, strict=True):
        axis.annotate(f"{mean:.2f}", (mean, place), **beside)
    groups, span = cliques(means, difference), means.max() - 1
    for i, (first, last) in enumerate(groups):
        at = means.max() + (0.2 + 0.035 * i) * span
        axis.plot([at, at], [first - 0.2, last + 0.2], color="black", linewidth=2,
                  solid_capstyle="butt")  # fmt: skip
    axis.plot([1, 1 + difference], [-1, -1], color="black", linewidth=1, marker="|", markersize=4)
    above = beside | {"xytext": (0, 3), "ha": "center", "va": "bottom"}
    axis.annotate(f"critical difference {difference:.2f}", (1 + difference / 2, -1), **above)
    right = max(means.max() + (0.2 + 0.035 * len(groups)) * span, 1 + difference)
    axis.set(xlim=(1 - 0.03 * span, right + 0.03 * span), ylim=(len(means) - 0.4, -2.2))
    axis.set(xlabel="mean rank (1 is best)", yticks=places, yticklabels=means.index)
    axis.grid(visible=False, axis="y")
    sns.despine(ax=axis, left=True)
