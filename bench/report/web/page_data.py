"""The values of the leaderboard page: a sheet for each metric by each score.

Every mean, deviation, rank and best method is worked out by `stats`, as for the Markdown
leaderboard. Numbers are integers in the unit of their last printed digit, so the page prints what
tables print.

    Cells      what is detected on a board: cells, and groups of them that are averaged
    a sheet    one metric by one score ("" = each method's own): mean, std and best of each column,
               mean ranks of each scenario and of all ("")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bench.report import stats
from bench.report.frames import Array, ResultGroup
from bench.report.leaderboard import accurate, ranked_cells, ranked_families, shifts
from bench.report.scenarios import Quantity, quantities
from bench.report.stats import Ranking
from bench.store.schema import OWN, MetricSpec

MINE = ""  # the sheet by each method's own score, or of its point prediction
WHOLE = ""  # the ranks over all scenarios
# What can be chosen for the views of a board, where plug-ins add nothing.
CHOICES = ("auroc", "fpr95_id", "aupr_out_balanced", "accuracy", "ece", "nll", "brier")

Sheet = dict[str, Any]


@dataclass(frozen=True)
class Group:
    """Cells of one scenario whose mean is a column, by their places in `Cells.cells`."""

    label: str
    scenario: str
    cells: tuple[int, ...]
    kind: str  # "summary": as in the leaderboard; "mean": of a scenario; "view": of severities


class Cells:
    """The cells of one group of results, and what may be averaged over them.

    Args:
        group: the results. Scenarios that detect something are laid out by cell, one after another.
    """

    def __init__(self, group: ResultGroup) -> None:
        self.group = group
        self.scenarios = [
            name for name in group.scenarios
            if group.measurements[name].detects or len(group.measurements[name].cells) == 1
        ]  # fmt: skip
        self.cells: list[list[Any]] = []
        self.first: dict[str, int] = {}  # scenario -> place of its first cell
        for name in self.scenarios:
            self.first[name] = len(self.cells)
            for cell in group.measurements[name].cells:
                self.cells.append([name, cell.view, cell.severity, cell.group, cell.n])

    @cached_property
    def sheets(self) -> list[tuple[MetricSpec, str]]:
        """Every (metric, score) with a number; `MINE` for each method's own score or prediction."""
        group = self.group
        added = [s.name for r in group.records for s in r.metric_specs]
        found = []
        for name in dict.fromkeys([*CHOICES, *added]):
            if name in group.specs and any(self._has(of, name) for of in self.scenarios):
                spec = group.specs[name]
                scores = [MINE, *group.scores] if spec.kind == "detection" else [MINE]
                found += [(spec, score) for score in scores]
        return [pair for pair in found if self.values(*pair)]

    def _has(self, scenario: str, metric: str) -> bool:
        return metric in self.group.measurements[scenario].metrics

    def values(self, spec: MetricSpec, score: str) -> dict[str, Array]:
        """Values by scenario, (methods, seeds, cells), of the scenarios that have any."""
        found = {}
        for name in self.scenarios:
            if self._has(name, spec.name):
                values = self.group.measurements[name].values(spec, score or OWN)
                if not np.isnan(values).all():
                    found[name] = values
        return found

    @cached_property
    def groups(self) -> list[Group]:
        """Columns of several cells: the leaderboard's, each scenario's mean, views by severity."""
        chosen = []
        for column in shifts(self.group):
            start = self.first[column.scenario]
            cells = column.cells(self.group.measurements[column.scenario])
            places = tuple(start + i for i in cells)
            chosen += [Group(column.label, column.scenario, places, "summary")]
        for name, start in self.first.items():
            part = self.group.measurements[name]
            common = [start + i for i in np.flatnonzero(part.common)]
            chosen += [Group("mean", name, tuple(map(int, common)), "mean")]
            views: dict[str, list[int]] = {}
            for i, cell in enumerate(part.cells):
                views.setdefault(cell.view, []).append(start + i)
            chosen += [Group(view, name, tuple(of), "view") for view, of in views.items()]
        return [g for g in chosen if len(g.cells) > (0 if g.kind == "summary" else 1)]


def sheet(cells: Cells, spec: MetricSpec, score: str) -> Sheet:
    """Mean, deviation, best and ranks of all columns under one metric and score.

    ``columns`` are places in `Cells.cells`, then those of `Cells.groups` counted on from there.
    """
    group, values = cells.group, cells.values(spec, score)
    eligible = accurate(group) if spec.kind == "answer" and spec.name != "accuracy" else None
    columns: list[int] = []
    parts = []
    for scenario, array in values.items():
        first = cells.first[scenario]
        groups = [(i, g) for i, g in enumerate(cells.groups) if g.scenario == scenario]
        means = [array[:, :, np.array(g.cells) - first].mean(axis=2) for _, g in groups]
        columns += [first + i for i in range(array.shape[2])]
        columns += [len(cells.cells) + i for i, _ in groups]
        parts.append(summary(np.dstack([array, *means]), spec, eligible))
    higher = spec.better != "lower"
    scopes = {}
    for scenario, array in values.items():
        part = group.measurements[scenario]
        families = [c.family for c, of in zip(part.cells, part.common, strict=True) if of]
        scopes[scenario] = stats.ranking([array[:, :, part.common]], families, higher=higher)
    ranked = ranked_cells(group, score or OWN, spec.name)
    every = {name: ranked[name] for name in ranked if name in values}
    if every:
        families = ranked_families(group, every)
        scopes[WHOLE] = stats.ranking(list(every.values()), families, higher=higher)
    return {
        "columns": columns,
        **{key: [one for part in parts for one in part[key]] for key in parts[0]},
        "partial": _partial(cells, values, spec),
        "ranks": {name: ranks(found, group.methods) for name, found in scopes.items()},
    }


def summary(values: Array, spec: MetricSpec, eligible: Any = None) -> dict[str, list[Any]]:
    """Mean, sample deviation and best methods of (methods, seeds, columns), column by column."""
    mean, std = stats.mean_and_std(values * spec.scale)
    allowed = None if eligible is None else np.asarray(eligible)[:, None]
    chosen = stats.best(values, [spec] * values.shape[2], allowed)
    return {
        "mean": whole_columns(mean, spec.digits),
        "std": whole_columns(std, spec.digits),
        "best": [np.flatnonzero(column).tolist() for column in chosen.T],
    }


def whole_columns(values: Array, digits: int) -> list[list[int | None] | None]:
    """`whole` of each column of (methods, columns)."""
    return [whole(column, digits) for column in values.T]


def whole(values: ArrayLike, digits: int) -> list[int | None] | None:
    """Numbers as integers in the unit of the last digit printed, None for NaN or for nothing.

    Rounded as printing rounds: `round` and a format agree to the last bit, numpy's does not, so
    that what lies near a half is left to `round`.
    """
    numbers, unit = np.asarray(values, dtype=float), 10**digits
    known = ~np.isnan(numbers)
    if not known.any():
        return None
    units = np.where(known, numbers, 0.0) * unit
    rounded = np.rint(units).astype(int).tolist()
    for i in np.flatnonzero(np.abs(np.abs(units - np.floor(units)) - 0.5) < 1e-6):
        rounded[i] = round(round(float(numbers[i]), digits) * unit)
    return [x if there else None for x, there in zip(rounded, known.tolist(), strict=True)]


def ranks(ranking: Ranking, methods: Sequence[str]) -> dict[str, Any]:
    """Mean ranks of the complete methods with their intervals, and Nemenyi's difference.

    ``order`` is the complete methods by rank and, of equals, by name, as in the leaderboard.
    """
    mean, difference = ranking.mean, ranking.difference
    complete = np.flatnonzero(~np.isnan(mean)).tolist()
    return {
        "mean": whole(mean, 2),
        "low": whole(ranking.low, 2),
        "high": whole(ranking.high, 2),
        "order": sorted(complete, key=lambda i: (mean[i], methods[i])),
        "best": np.flatnonzero(ranking.best).tolist(),
        "methods": ranking.methods,
        "cells": ranking.cells,
        "families": ranking.families,
        "difference": None if math.isnan(difference) else round(difference, 2),
    }


def _partial(
    cells: Cells, values: dict[str, Array], spec: MetricSpec
) -> dict[str, list[list[Any]]]:
    """The seeds of cells that lack some: "column,method" -> [[seed, value], ...]."""
    found: dict[str, list[list[Any]]] = {}
    for scenario, array in values.items():
        seeds = cells.group.measurements[scenario].seeds
        absent = np.isnan(array)
        some = np.any(absent, axis=1, keepdims=True)
        places = np.argwhere(some & ~absent)
        numbers = whole(array[tuple(places.T)] * spec.scale, spec.digits) or []
        for (row, seed, column), number in zip(places.tolist(), numbers, strict=True):
            place = f"{cells.first[scenario] + column},{row}"
            found.setdefault(place, []).append([seeds[seed], number])
    return found


def measured(group: ResultGroup, scenario: str, score: str) -> Sheet:
    """The sheet of a scenario that detects nothing: its columns are quantities of its views.

    Metrics that belong to a score are by ``score``, as in the scenario's own table.
    ``low`` and ``high`` are, column by column, the mean ends of the intervals, or null.
    """
    columns, parts, ends = [], [], []
    for quantity in quantities(group, scenario, score):
        spec = quantity.spec
        place = [quantity.view, 0.0, spec.name, quantity.n]
        columns.append([*place, quantity.label, spec.better, spec.digits])
        calibrated = spec.kind == "answer" and spec.name != "accuracy"
        parts.append(
            summary(quantity.values[:, :, None], spec, accurate(group) if calibrated else None)
        )
        ends.append(_ends(quantity))
    return {
        "columns": columns,
        **{key: [part[key][0] for part in parts] for key in ("mean", "std", "best")},
        "low": [low for low, _ in ends],
        "high": [high for _, high in ends],
    }


def _ends(quantity: Quantity) -> list[list[int | None] | None]:
    if quantity.interval is None:
        return [None, None]
    scaled = [end.mean(axis=1) * quantity.spec.scale for end in quantity.interval]
    return [whole(end, quantity.spec.digits) for end in scaled]
