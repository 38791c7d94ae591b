"""A parameter against accuracy and detection, such as depth (table 4b) or sampled paths."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.report import stats, style
from bench.report.frames import seeds
from bench.report.leaderboard import COLUMNS, Column
from bench.report.plots import Drawing, Material

ACCURACY = next(column for column in COLUMNS if column.label == "accuracy")
LOG = 8  # a range as wide as this is drawn in powers of two


def draw(given: Material) -> Iterator[Drawing]:
    """One figure for each (method, parameter) with three values or more."""
    for (name, key), points in given.sweeps.items():
        shifts = {c.label: _values(given, c, points) for c in given.shifts}
        shifts = {label: lines for label, lines in shifts.items() if len(lines)}
        right = _values(given, ACCURACY, points)
        if len(right) or shifts:
            yield _drawing(given, name, key, right, shifts)


def _values(given: Material, column: Column, points: dict[float, str]) -> pd.DataFrame:
    """One line for each value and seed of the methods that are complete."""
    lines = column.lines(given.frame)
    if lines.empty:
        return pd.DataFrame()
    values = stats.grid(lines, points.values(), seeds(given.frame, column.scenario))
    whole = stats.over_cells(values).dropna().T
    whole.columns = [at for at, label in points.items() if label in whole]
    return (
        whole.melt(var_name="at", value_name="value") if len(whole.columns) > 1 else pd.DataFrame()
    )


def _drawing(
    given: Material, name: str, key: str, right: pd.DataFrame, shifts: dict[str, pd.DataFrame]
) -> Drawing:
    import seaborn as sns

    figure = style.canvas(2.1)
    left, other = figure.subplots(1, 2)
    how = {"x": "at", "y": "value", "errorbar": "sd", "err_style": "bars", "markersize": 4}
    if len(right):
        sns.lineplot(right, ax=left, color=given.colours.get(name, style.BLACK), marker="o", **how)
    colours = sns.color_palette("colorblind")
    for i, (label, lines) in enumerate(shifts.items()):
        sns.lineplot(
            lines, ax=other, color=colours[i], marker=style.MARKERS[i], label=label,
            linestyle=style.DASHES[i % len(style.DASHES)], **how,
        )  # fmt: skip
    for axis, title in ((left, "accuracy"), (other, "AUROC")):
        _axis(
            axis, title, key, [*right.get("at", []), *(a for s in shifts.values() for a in s["at"])]
        )
    if shifts:
        figure.legend(*other.get_legend_handles_labels(), loc="outside lower center",
                      ncols=3)  # fmt: skip
        other.get_legend().remove()
    caption = (
        f"{name} at different {key}: accuracy, and AUROC by shift, mean and standard deviation "
        "over seeds. What is not complete is not drawn."
    )
    return Drawing(f"sweep_{name}_{key}", figure, caption)


def _axis(axis, title: str, key: str, at: list[float]) -> None:  # type: ignore[no-untyped-def]
    import seaborn as sns

    ticks = sorted(set(at))
    if ticks and ticks[0] > 0 and ticks[-1] / ticks[0] >= LOG:
        axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, _labels(ticks, crowded=axis.get_xscale() == "log"))
    axis.minorticks_off()
    axis.set(title=title, xlabel=key, ylabel="")
    sns.despine(ax=axis)


def _labels(ticks: list[float], *, crowded: bool) -> list[str]:
    """What stands at each tick; nothing where, on a scale of powers of 2, the last is too near."""
    found, last = [], 0.0
    for tick in ticks:
        near = crowded and last > 0 and tick / last < 1.5
        found.append("" if near else f"{tick:g}")
        last = last if near else tick
    return found
