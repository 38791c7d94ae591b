"""The tables of one scenario: every number for a program, the main ones for a paper."""

from __future__ import annotations

import pandas as pd

from bench.report import stats
from bench.report.formats import number
from bench.report.frames import seeds
from bench.report.leaderboard import DETECTION, Column

KEYS = ["method", "variant", "score", "view", "group", "severity"]


def everything(frame: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """Each number of a scenario, a line for each method, score and view, two columns a metric.

    ``auroc`` is the mean over ``seeds`` seeds and ``auroc_std`` the standard deviation
    (ddof = 1); both are empty where one of these seeds lacks the metric.
    """
    lines = frame[frame["scenario"] == scenario].dropna(subset="value")
    if lines.empty:
        return pd.DataFrame(columns=KEYS)
    cells = lines.groupby(KEYS, dropna=False)
    about = cells.agg(n=("n", "first"), seeds=("seed", "nunique")).astype("Int64")
    values = lines.groupby([*KEYS, "metric"], dropna=False)["value"].agg(["mean", "std", "count"])
    values = values.unstack("metric")
    whole = values["count"].eq(cells["seed"].nunique(), axis=0)
    mean, std = values["mean"].where(whole), values["std"].where(whole).add_suffix("_std")
    order = [name for metric in mean for name in (metric, f"{metric}_std")]
    numbers = mean.join(std)[order].round(6)  # rows have six digits too
    return about.join(numbers.dropna(axis=1, how="all")).reset_index()


def overview(frame: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """Methods x AUROC of each view (with mean and stdev over them), or else x metrics."""
    part = frame[frame["scenario"] == scenario]
    methods, of = sorted(part["method"].unique()), seeds(frame, scenario)
    if (part["metric"] != DETECTION).all():
        return _metrics(part, methods, of)
    values = stats.grid(Column("", scenario).lines(part), methods, of)
    table = stats.over_seeds(values)
    table.columns = pd.Index([_label(*cell) for cell in table.columns], name="view")
    if scenario == "corruption":  # the paper's "Corrupt (stdev)": within a seed, then over seeds
        table["mean"] = stats.over_cells(values).mean(axis=1, skipna=False)
        spread = values.std(axis=1, ddof=1, skipna=False).unstack("seed")
        table["stdev"] = spread.mean(axis=1, skipna=False)
    return table


def _metrics(part: pd.DataFrame, methods: list[str], of: list[int]) -> pd.DataFrame:
    """Methods x metrics, of each method's answer and by its headline score."""
    score = part["score"].fillna("")
    own = (score == part["answer"]) | (score == part["headline"]) | (score == "")
    table = {
        name: stats.over_cells(stats.grid(lines, methods, of)).mean(axis=1, skipna=False)
        for name, lines in part[own].dropna(subset="value").groupby("metric")
    }
    return pd.DataFrame(table, index=methods).rename_axis(columns="metric")


def _label(view: str, severity: float) -> str:
    return f"{view} {severity:g}" if severity else view


def _strings(values: pd.Series) -> list[str]:
    """One column as strings: counts as such, anything else with three digits."""
    counts = (values.dropna() % 1 == 0).all() and values.max() > 1
    return [number(value, digits=0 if counts else 3) for value in values]


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """An overview as strings, its longer side downwards so that it fits a page."""
    upright = table if len(table.columns) <= len(table) else table.T
    cells = pd.DataFrame({name: _strings(upright[name]) for name in upright}, upright.index)
    cells.insert(0, "method" if upright is table else table.columns.name, cells.index)
    return cells
