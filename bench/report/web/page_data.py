"""The values of the leaderboard page: a sheet for each metric by each score.

Every mean, deviation, rank and best method is worked out here, as for the Markdown leaderboard.
Numbers are integers in the unit of their last printed digit, so the page prints what tables print.

    Cells      the values of a board: (methods, seeds, cells) of each scenario, for each sheet
    a sheet    one metric by one score ("" = each method's own): mean, std and best of each column,
               mean ranks of each scenario and of all ("")
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.report import formats, stats
from bench.report.frames import headline_scores, seeds
from bench.report.leaderboard import DETECTION, Better, shifts

PLACE = ["scenario", "view", "severity"]  # what names a cell
OWN = ""  # the sheet by each method's own score, or of its own answer
WHOLE = ""  # the ranks over all scenarios


@dataclass(frozen=True)
class Metric:
    """How a metric is called, printed and read."""

    label: str
    better: Better = "lower"
    digits: int = 3
    scale: float = 1.0


DETECTED = {  # of a score
    DETECTION: Metric("AUROC", "higher"),
    "fpr95_id": Metric("FPR at 95 % TPR"),
    "aupr_out_balanced": Metric("AUPR at 1:1", "higher"),
}
ANSWERED = {  # of a method's answer
    "accuracy": Metric("accuracy", "higher"),
    "ece": Metric("ECE %", digits=1, scale=100.0),
    "nll": Metric("NLL"),
    "brier": Metric("Brier"),
}
METRICS = DETECTED | ANSWERED
SHOUTED = {word.lower(): word for word in ("ECE", "AUROC", "AURC", "AUGRC", "F1", "AP", "E")}
HIGHER = {"accuracy", "f1", "ap", "misclassification_auroc", "consistency"}
LOWER = {"nll", "brier", "ece", "ece_equal_mass", "aurc", "e_aurc", "augrc", "risk_at_80"}

Sheet = dict[str, Any]
Values = dict[str, NDArray[np.float64]]  # scenario -> (methods, seeds, cells)


@dataclass(frozen=True)
class Group:
    """Cells of one scenario whose mean is a column, by their places in `Cells.cells`."""

    label: str
    scenario: str
    cells: tuple[int, ...]
    kind: str  # "summary": as in the leaderboard; "mean": of a scenario; "view": of severities


class Cells:
    """The values of one board, and what may be averaged over them.

    Args:
        frame: the lines of the board.
        methods: in the order that arrays have.
    """

    def __init__(self, frame: pd.DataFrame, methods: list[str]) -> None:
        self.frame, self.methods = frame, methods
        self.lines = _counting(frame)
        places = self.lines.assign(whole=self.lines["variant"] == "").groupby(PLACE, as_index=False)
        self.cells = places.agg({"group": "first", "n": "first", "whole": "any"})
        self.of = {
            str(name): [int(i) for i in found]
            for name, found in self.cells.groupby("scenario").groups.items()
        }
        self.seeds = {name: seeds(frame, name) for name in self.of}

    @cached_property
    def sheets(self) -> dict[tuple[str, str], Values]:
        """Values of each (metric, score), the methods' own score included; NaN where absent."""
        keys = self.lines.groupby(["metric", "score"])
        array = scatter(self.lines, self.methods, keys.ngroup(), self.lines.groupby(PLACE).ngroup())
        everyone = sorted(self.lines["seed"].unique())
        found: dict[tuple[str, str], Values] = {key: {} for key in keys.groups}
        for scenario, places in self.of.items():
            owed = pd.Index(everyone).get_indexer(self.seeds[scenario])
            for key, values in zip(found, array[:, :, :, places], strict=True):
                if not np.isnan(values).all():
                    # -1: a seed that gave no number at all
                    found[key][scenario] = np.where(owed[:, None] < 0, np.nan, values[:, owed])
        own = {(metric, OWN): self._own(metric, found) for metric in DETECTED}
        return found | {key: values for key, values in own.items() if values}

    def _own(self, metric: str, found: Mapping[tuple[str, str], Values]) -> Values:
        """Each method's values under its own score."""
        own: Values = {}
        for row, score in enumerate(headline_scores(self.frame)[self.methods]):
            for (name, by), values in found.items():
                for scenario, array in values.items() if name == metric else ():
                    whole = own.setdefault(scenario, np.full_like(array, np.nan))
                    whole[row] = array[row] if by == score else whole[row]
        return own

    @cached_property
    def groups(self) -> list[Group]:
        """Columns of several cells: the leaderboard's, each scenario's mean, views by severity."""
        places = {tuple(place): i for i, place in enumerate(self.cells[PLACE].to_numpy())}
        found = self.lines[self.lines["metric"] == DETECTION].drop_duplicates(PLACE)
        every = found.assign(headline=found["score"])  # a column has the cells of any score
        chosen = []
        for column in shifts(self.frame):
            lines = column.lines(every)[PLACE].drop_duplicates()
            cells = sorted(places[tuple(place)] for place in lines.to_numpy())
            chosen += [Group(column.label, column.scenario, tuple(cells), "summary")]
        for scenario in self.of:
            chosen += [Group("mean", scenario, tuple(self.of[scenario]), "mean")]
            part = self.cells.loc[self.of[scenario]]
            for view, same in part.groupby("view").groups.items():
                chosen += [Group(str(view), scenario, tuple(map(int, same)), "view")]
        return [g for g in chosen if len(g.cells) > (0 if g.kind == "summary" else 1)]


def _counting(frame: pd.DataFrame) -> pd.DataFrame:
    """The lines with a number of `METRICS`; those of an answer have the score `OWN`."""
    lines = frame[frame["metric"].isin(METRICS)].dropna(subset="value")
    answered = lines["metric"].isin(ANSWERED)
    whose = lines["score"].fillna(OWN)
    keep = ~answered | (whose == lines["answer"]) | (whose == OWN)
    return lines.assign(score=whose.where(~answered, OWN))[keep]


def scatter(
    lines: pd.DataFrame, methods: list[str], kinds: pd.Series, cells: pd.Series
) -> NDArray[np.float64]:
    """Values as (kinds, methods, seeds, cells), the seeds sorted; NaN where there is no line.

    What `stats.grid` gives for each kind, a hundred times faster for all of them together.
    """
    row = pd.Index(methods).get_indexer(lines["method"])
    seed = lines["seed"].rank(method="dense").astype(int) - 1
    places = kinds.to_numpy(), row, seed.to_numpy(), cells.to_numpy()
    shape = [int(place.max()) + 1 if len(place) else 0 for place in places]
    shape[1] = len(methods)
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, places, lines["value"].to_numpy(float))
    np.add.at(count, places, 1)
    return np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)


def sheet(cells: Cells, metric: str, score: str) -> Sheet:
    """Mean, deviation, best and ranks of all columns under one metric and score.

    ``columns`` are places in `Cells.cells`, then those of `Cells.groups` counted on from there.
    """
    values, about = cells.sheets[metric, score], METRICS[metric]
    columns, parts = [], []
    for scenario, array in values.items():
        first = cells.of[scenario][0]  # the cells of a scenario lie side by side
        groups = [(i, group) for i, group in enumerate(cells.groups) if group.scenario == scenario]
        means = [array[:, :, np.array(g.cells) - first].mean(axis=2) for _, g in groups]
        columns += [*cells.of[scenario], *(len(cells.cells) + i for i, _ in groups)]
        parts.append(summary(np.dstack([array, *means]), [about] * (array.shape[2] + len(means))))
    scopes = {scenario: array.mean(axis=1) for scenario, array in values.items()}
    # a variant made for training has other fits, made for few methods
    fair = cells.cells.loc[[i for name in scopes for i in cells.of[name]], "whole"].to_numpy()
    scopes[WHOLE] = np.hstack(list(scopes.values()))[:, fair]
    return {
        "columns": columns,
        **{key: [one for part in parts for one in part[key]] for key in parts[0]},
        "partial": _partial(cells, values, about),
        "ranks": {name: ranks(found, cells.methods, about) for name, found in scopes.items()},
    }


def summary(values: NDArray[np.float64], metrics: Sequence[Metric]) -> dict[str, list[Any]]:
    """Mean, sample deviation and best methods of (methods, seeds, columns), column by column."""
    scaled = values * [metric.scale for metric in metrics]
    mean = scaled.mean(axis=1).T
    # numpy warns of a deviation of one number
    std = scaled.std(axis=1, ddof=1).T if values.shape[1] > 1 else np.full_like(mean, np.nan)
    return {
        "mean": [whole(row, m.digits) for row, m in zip(mean, metrics, strict=True)],
        "std": [whole(row, m.digits) for row, m in zip(std, metrics, strict=True)],
        "best": best(scaled, metrics),
    }


def whole(values: Iterable[float], digits: int) -> list[int | None] | None:
    """Numbers as integers in the unit of the last digit printed, None for NaN or for nothing.

    Rounded as printing rounds: `round` and a format agree to the last bit, numpy's does not.
    """
    found = [
        None if math.isnan(value) else round(round(value, digits) * 10**digits)
        for value in map(float, values)
    ]
    return found if any(value is not None for value in found) else None


def best(values: NDArray[np.float64], metrics: Sequence[Metric]) -> list[list[int]]:
    """`stats.best` of each column of (methods, seeds, columns) at once, as places of methods."""
    signs = [{"higher": 1.0, "lower": -1.0, "": math.nan}[metric.better] for metric in metrics]
    values = values * signs
    means = np.where(np.isnan(values).any(axis=1), -np.inf, values.mean(axis=1))
    top = means.argmax(axis=0)
    complete = means > -np.inf
    many = values.shape[1]
    if many < 2:
        chosen = complete & (means == means.max(axis=0))
    else:
        gaps = values[top, :, np.arange(values.shape[2])].T - values
        spread = gaps.std(axis=1, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.abs(gaps.mean(axis=1)) / (spread / math.sqrt(many))
        same = np.where(spread == 0, gaps[:, 0] == 0, statistic < _critical(many - 1))
        chosen = complete & (same | (np.arange(len(values))[:, None] == top))
    return [np.flatnonzero(column).tolist() for column in chosen.T]


@lru_cache
def _critical(freedom: int) -> float:
    """The statistic above which a paired t-test calls a difference real."""
    from scipy.stats import t

    return float(t.ppf(1 - stats.LEVEL / 2, freedom))


def ranks(cells: NDArray[np.float64], methods: list[str], metric: Metric) -> dict[str, Any]:
    """Mean ranks over (methods, cells) of the complete methods, and Nemenyi's difference.

    ``order`` is the complete methods by rank and, of equals, by name, as in the leaderboard.

    The ranks are those of `stats.cell_ranks`, without the half second that frames would take.
    """
    from scipy.stats import rankdata

    complete = np.flatnonzero(~np.isnan(cells).any(axis=1))
    sign = -1 if metric.better == "higher" else 1
    found = rankdata(np.round(sign * cells[complete], 9), axis=0)
    mean = np.full(len(cells), np.nan)
    if found.size:
        mean[complete] = found.mean(axis=1)
    difference = stats.critical_difference(*found.shape)
    limit = mean[complete].min(initial=np.inf) + np.nan_to_num(difference)
    return {
        "mean": whole(mean, 2),
        "order": sorted(complete.tolist(), key=lambda i: (mean[i], methods[i])),
        "best": np.flatnonzero(mean <= limit).tolist(),
        "methods": len(complete),
        "cells": cells.shape[1],
        "difference": None if math.isnan(difference) else round(difference, 2),
    }


def _partial(cells: Cells, values: Values, metric: Metric) -> dict[str, list[list[Any]]]:
    """The seeds of cells that lack some: "column,method" -> [[seed, value], ...]."""
    found = {}
    for scenario, array in values.items():
        absent = np.isnan(array)
        for row, column in np.argwhere(absent.any(axis=1) & ~absent.all(axis=1)):
            of = np.flatnonzero(~absent[row, :, column])
            numbers = whole(array[row, of, column] * metric.scale, metric.digits) or []
            names = [int(cells.seeds[scenario][i]) for i in of]
            place = f"{cells.of[scenario][column]},{row}"
            found[place] = [list(pair) for pair in zip(names, numbers, strict=True)]
    return found


def measured(frame: pd.DataFrame, scenario: str, methods: list[str]) -> Sheet:
    """The sheet of a scenario where nothing is detected: its columns are metrics of its views."""
    part = frame[frame["scenario"] == scenario].dropna(subset="value")
    score = part["score"].fillna(OWN)
    own = (score == part["answer"]) | (score == part["headline"]) | (score == OWN)
    part = part[own]
    keys = part.groupby(["view", "severity", "metric"], sort=False)
    columns = [[*key, count(lines["n"])] for key, lines in keys]
    abouts = [_about(key[2], lines["value"]) for key, lines in keys]
    found = scatter(part, methods, pd.Series(0, part.index), keys.ngroup())[0]
    owed = pd.Index(sorted(part["seed"].unique())).get_indexer(seeds(frame, scenario))
    values = np.where(owed[:, None] < 0, np.nan, found[:, owed])
    about = [[m.label, m.better, m.digits] for m in abouts]
    return {
        "columns": [[*key, *words] for key, words in zip(columns, about, strict=True)],
        **summary(values, abouts),
    }


def _about(metric: str, values: pd.Series) -> Metric:
    """How a metric that is not one of `METRICS` is printed: counts as such, else three digits."""
    if metric in METRICS:
        return METRICS[metric]
    better: Better = "higher" if metric in HIGHER else "lower" if metric in LOWER else ""
    counts = (values % 1 == 0).all() and values.max() > 1
    words = [SHOUTED.get(word, word) for word in formats.in_words(metric).split()]
    return Metric(" ".join(words), better, 0 if counts else 3)


def count(values: pd.Series) -> int | None:
    """How many inputs a cell has, where it is said."""
    known = values.dropna()
    return int(known.iloc[0]) if len(known) else None
