"""The tables of one scenario: every number for a program, the main ones for a paper."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bench.report import stats
from bench.report.formats import number
from bench.report.frames import Array, Measurements, ResultGroup
from bench.report.leaderboard import Column, columns
from bench.store.schema import DETECTION, RANKED_BY, Headline, MetricSpec

KEYS = ["method", "variant", "score", "view", "group", "severity"]


@dataclass(frozen=True)
class Quantity:
    """One column of a scenario's own table.

    Args:
        label: its heading.
        view: what it is of, where the scenario has several views.
        spec: how it is printed.
        n: the number of inputs.
        values: (M, S) in the unit of the rows, NaN where there is none.
        interval: both ends of its confidence interval, (M, S) each, where it has one.
    """

    label: str
    view: str
    spec: MetricSpec
    n: int | None
    values: Array
    interval: tuple[Array, Array] | None = None

    @property
    def printed(self) -> list[str]:
        """One text a method: mean ± deviation over the seeds, and the mean ends of the interval."""
        mean, std = self.summary
        if not self.spec.digits and not std.any():  # a count that no seed changes
            std = np.full_like(std, np.nan)
        texts = [number(*pair, self.spec.digits) for pair in zip(mean, std, strict=True)]
        if self.interval is None:
            return texts
        ends = [end.mean(axis=1) * self.spec.scale for end in self.interval]
        digits = self.spec.digits
        return [
            text if math.isnan(low + high) else f"{text} [{low:.{digits}f}, {high:.{digits}f}]"
            for text, low, high in zip(texts, *ends, strict=True)
        ]

    @property
    def summary(self) -> tuple[Array, Array]:
        """Mean and standard deviation over the seeds in the printed unit, (M,) each."""
        mean, std = stats.mean_and_std(self.values[:, :, None] * self.spec.scale)
        return mean[:, 0], std[:, 0]


def quantities(group: ResultGroup, scenario: str, score: str = RANKED_BY) -> list[Quantity]:
    """What a scenario that detects nothing measured.

    Of several views, as for groups of inputs, its headlines; else every metric of the one view.
    Metrics that belong to a score are by ``score``, all others of the point prediction.
    """
    part = group.measurements[scenario]
    own = [c for c in columns(group, board=False) if c.scenario == scenario]
    if len(part.cells) > 1 and own:
        return [_of_headline(column, group, score) for column in own]
    found = []
    for name in part.metrics:
        spec = group.specs[name]
        values = part.values(spec, score)
        for i, cell in enumerate(part.cells):
            if not np.isnan(values[:, :, i]).all():
                view = cell.label if len(part.cells) > 1 else ""
                found.append(Quantity(spec.heading, view, spec, cell.n, values[:, :, i]))
    return found


def _of_headline(column: Column, group: ResultGroup, score: str) -> Quantity:
    part = group.measurements[column.scenario]
    cells = column.cells(part)
    ends = [
        part.values(group.specs[name], score, only=column.headline.score)[:, :, cells].mean(axis=2)
        for name in (f"{column.spec.name}_low", f"{column.spec.name}_high")
        if name in group.specs
    ]
    single = len(cells) == 1  # a mean of intervals is not the interval of a mean
    n = part.cells[cells[0]].n if single else None
    values = column.values(group, score).mean(axis=2)
    view = column.headline.view
    interval = (ends[0], ends[1]) if single and len(ends) == 2 else None
    return Quantity(column.label, view, column.spec, n, values, interval)


def everything(group: ResultGroup, scenario: str) -> pd.DataFrame:
    """Each number of a scenario, a line for each method, score and view, two columns a metric.

    ``auroc`` is the mean over ``seeds`` seeds and ``auroc_std`` the standard deviation
    (ddof = 1); both are empty where one of these seeds lacks the metric.
    """
    part = group.measurements[scenario]
    array = part.array.transpose(2, 0, 4, 1, 3)  # methods, scores, cells, metrics, seeds
    there = ~np.isnan(array)
    seeds = there.any(axis=3).sum(axis=-1)  # methods, scores, cells
    places = np.argwhere(seeds > 0)
    if not len(places):
        return pd.DataFrame(columns=KEYS)
    at = tuple(places.T)
    values, count = array[at], seeds[at]  # lines, metrics, seeds
    held = there[at]
    number = held.sum(axis=-1)
    whole = number == count[:, None]
    total = np.where(held, values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = total.sum(axis=-1) / number
        spread = np.where(held, values - mean[..., None], 0.0)
        std = np.sqrt((spread**2).sum(axis=-1) / (number - 1))
    mean = np.where(whole, mean, np.nan)
    std = np.where(whole & (number > 1), std, np.nan)
    return _frame(part, places, count, mean, std)


def _frame(
    part: Measurements, places: np.ndarray, count: np.ndarray, mean: Array, std: Array
) -> pd.DataFrame:
    """Lines of `everything`, sorted by `KEYS`; places are (method, score, cell)."""
    cells, base = [part.cells[c] for _, _, c in places], part.records[0].base
    table: dict[str, Any] = {
        "method": [part.methods[m] for m, _, _ in places],
        "variant": [f"{base}~{cell.variant}" if cell.variant else "" for cell in cells],
        "score": [part.scores[s] for _, s, _ in places],
        "view": [cell.view for cell in cells],
        "group": [cell.group for cell in cells],
        "severity": [cell.severity for cell in cells],
        "n": [cell.n for cell in cells],
        "seeds": count,
    }
    for name in sorted(part.metrics):
        i = part.metrics.index(name)
        for label, values in ((name, mean[:, i]), (f"{name}_std", std[:, i])):
            if not np.isnan(values).all():
                table[label] = np.round(values, 6)  # rows have six digits too
    return pd.DataFrame(table).sort_values(KEYS, kind="stable", ignore_index=True)


def overview(group: ResultGroup, scenario: str, score: str = RANKED_BY) -> pd.DataFrame:
    """Methods x AUROC of each view, with mean and deviation over them, for what is detected."""
    part = group.measurements[scenario]
    methods = [name for name in group.methods if any(r.method == name for r in part.records)]
    column = Column(scenario, Headline(scenario), group.specs[DETECTION])
    values = column.values(group, score)
    table = pd.DataFrame(
        values.mean(axis=1), group.methods, [part.cells[i].label for i in column.cells(part)]
    )
    if len(table.columns) > 1:  # the paper's "Corrupt (stdev)": within a seed, then over seeds
        table["mean"] = values.mean(axis=(1, 2))
        table["stdev"] = values.std(axis=2, ddof=1).mean(axis=1)
    return table.loc[methods].rename_axis(columns="view")


def printed(group: ResultGroup, scenario: str, score: str = RANKED_BY) -> pd.DataFrame:
    """The main numbers of a scenario as strings, the longer side downwards to fit a page."""
    part = group.measurements[scenario]
    if part.detects and DETECTION in part.metrics:
        table = overview(group, scenario, score).map(number)
    else:
        found = quantities(group, scenario, score)
        labels = [_unique(q, found) for q in found]
        cells = {label: q.printed for label, q in zip(labels, found, strict=True)}
        table = pd.DataFrame(cells, group.methods).rename_axis(columns="metric")
        ran = {record.method for record in part.records}
        table = table.loc[[name for name in group.methods if name in ran]]
    upright = table if len(table.columns) <= len(table) else table.T
    upright.insert(0, "method" if upright is table else table.columns.name, upright.index)
    return upright


def _unique(quantity: Quantity, others: list[Quantity]) -> str:
    """The label, with the view where another quantity has the same."""
    same = [q for q in others if q.label == quantity.label]
    return f"{quantity.label}, {quantity.view}" if len(same) > 1 else quantity.label
