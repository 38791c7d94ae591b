"""Records as arrays, one group for each (data set, preset, device): these are never mixed.

Sizes: M methods and S seeds of a scenario, C cells (a view at a severity).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.errors import BenchError
from bench.metrics.registry import spec_of, specs
from bench.store.files import slug
from bench.store.merging import merge
from bench.store.packed import has_files
from bench.store.records import read_all
from bench.store.schema import OWN, Headline, MetricSpec, Record, declared, family

Array = NDArray[np.float64]


class Cell(NamedTuple):
    """One view at one severity, of fits on the data set itself or on a variant of it."""

    view: str
    severity: float
    variant: str
    group: str
    n: int
    family: str = ""  # ranks are averaged within it first

    @property
    def label(self) -> str:
        """View and severity."""
        return f"{self.view} {self.severity:g}" if self.severity else self.view


class Measurements:
    """Every number of one scenario in a group.

    Args:
        name: of the scenario, with its parameters.
        methods: of the group, sorted; M of them.
        records: of the scenario.
        own: each method's own score.
    """

    def __init__(
        self, name: str, methods: Sequence[str], records: Sequence[Record], own: dict[str, str]
    ) -> None:
        self.name, self.methods, self.records, self.own = name, list(methods), records, own
        self.detects = any(record.detects for record in records)
        self.answer = {r.method: r.answer or "" for r in records}
        self.ran = {(r.method, r.seed) for r in records if r.status != "skipped"}
        self.all_seeds = sorted({seed for _, seed in self.ran})
        about: dict[tuple[str, float, str], Cell] = {}
        for record in records:
            for row in record.rows:
                place = row.view, row.severity, record.variant
                if place not in about:
                    about[place] = Cell(*place, row.group, row.n, family(record, row))
        self.cells = [about[place] for place in sorted(about)]
        self.scores = sorted({row.score for r in records for row in r.rows})
        # Rows have few different sets of metrics: what is done once for each of these is cheap.
        self._patterns = {tuple(row.metrics): None for r in records for row in r.rows}
        self.metrics = list(dict.fromkeys(name for names in self._patterns for name in names))

    @cached_property
    def seeds(self) -> list[int]:
        """The seeds that a method is expected to have: at least half of those that ran, did."""
        kinds = {method.partition(":")[0] for method, _ in self.ran}
        by_seed = {(method.partition(":")[0], seed) for method, seed in self.ran}
        often = Counter(seed for _, seed in by_seed)
        return [seed for seed in self.all_seeds if 2 * often[seed] >= len(kinds)]

    @cached_property
    def array(self) -> Array:
        """Every number, (scores, metrics, M, all seeds, C); NaN where there is none."""
        shape = [len(x) for x in (self.scores, self.metrics, self.methods, self.all_seeds,
                                  self.cells)]  # fmt: skip
        score_at, metric_at, method_at, seed_at = (
            {name: i for i, name in enumerate(names)}
            for names in (self.scores, self.metrics, self.methods, self.all_seeds)
        )
        cell_at = {cell[:3]: i for i, cell in enumerate(self.cells)}
        steps = [int(np.prod(shape[i + 1 :])) for i in range(5)]
        starts: dict[tuple[str, ...], list[int]] = {names: [] for names in self._patterns}
        numbers: dict[tuple[str, ...], list[float]] = {names: [] for names in self._patterns}
        for record in self.records:
            start = method_at[record.method] * steps[2] + seed_at.get(record.seed, 0) * steps[3]
            for row in record.rows:
                cell = cell_at[row.view, row.severity, record.variant]
                names = tuple(row.metrics)
                starts[names].append(start + score_at[row.score] * steps[0] + cell)
                numbers[names] += row.metrics.values()
        places = [
            np.add.outer(firsts, [metric_at[name] * steps[1] for name in names]).ravel()
            for names, firsts in starts.items()
        ]
        if not any(map(len, places)):
            return np.full(shape, np.nan)
        at = np.concatenate(places).astype(int)
        values = np.fromiter((v for part in numbers.values() for v in part), float)
        size = int(np.prod(shape))
        total = np.bincount(at, values, size)
        count = np.bincount(at, minlength=size)
        return np.divide(total, count, out=np.full(size, np.nan), where=count > 0).reshape(shape)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Whether a method has any number in a cell, (M, C)."""
        return np.any(~np.isnan(self.array), axis=(0, 1, 3))

    @cached_property
    def common(self) -> NDArray[np.bool_]:
        """Which cells are compared, (C,): those that at least half of the methods have."""
        return shared(self.methods, self.present)

    def values(
        self, spec: MetricSpec, score: str, *, only: str = "", every_seed: bool = False
    ) -> Array:
        """Values of a metric, (M, S, C); NaN where there is none.

        Args:
            spec: the metric.
            score: ranks the inputs, where the metric belongs to a score; `OWN`: each method's own.
            only: the rows' score, whatever the metric belongs to.
            every_seed: every seed that ran, instead of the expected ones.
        """
        seeds = self.all_seeds if every_seed else self.seeds
        if spec.name not in self.metrics:
            return np.full((len(self.methods), len(seeds), len(self.cells)), np.nan)
        array = self.array[:, self.metrics.index(spec.name)]
        at = {name: i for i, name in enumerate(self.scores)}
        wanted = [only or self._score(method, spec, score) for method in self.methods]
        rows = np.array([at.get(name, at.get("", -1)) for name in wanted])  # a cost has no score
        values = array[rows, np.arange(len(rows))]
        values[rows < 0] = np.nan
        return values if every_seed else values[:, [self.all_seeds.index(s) for s in seeds]]

    def _score(self, method: str, spec: MetricSpec, score: str) -> str:
        if not spec.of_score:
            return self.answer.get(method, "")
        return self.own[method] if score == OWN else score

    def record(self, method: str, seed: int) -> Record | None:
        """Return the record that says most of why there is no number: a failed one first."""
        records = self._by_place.get((method, seed), [])
        return min(records, key=lambda record: record.status == "ok", default=None)

    @cached_property
    def _by_place(self) -> dict[tuple[str, int], list[Record]]:
        places: dict[tuple[str, int], list[Record]] = {}
        for record in self.records:
            places.setdefault((record.method, record.seed), []).append(record)
        return places


def kind(method: str) -> str:
    """The method without its choices: the points of one sweep count as one method."""
    return method.partition(":")[0]


def shared(methods: Sequence[str], present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which cells at least half of the methods have, of those that have any; (M, C) -> (C,).

    Choices of one method count once: a sweep of ten depths is no majority.
    """
    kinds: dict[str, NDArray[np.bool_]] = {}
    for method, row in zip(methods, present, strict=True):
        if row.any():
            kinds[kind(method)] = kinds.get(kind(method), np.False_) | row
    if not kinds:
        return np.zeros(present.shape[1], dtype=bool)
    return 2 * np.sum(list(kinds.values()), axis=0) >= len(kinds)


@dataclass(frozen=True, eq=False)
class ResultGroup:
    """The records that may stand in one table, and what to call it.

    Args:
        dataset: without variants: those made for training are in the group of their data set.
        ambiguous: whether the data set was also run with another preset or on another device.
    """

    dataset: str
    preset: str
    device: str
    ambiguous: bool
    records: tuple[Record, ...]

    @property
    def stem(self) -> str:
        """End of the file names."""
        parts = [self.dataset, *([self.preset, self.device] if self.ambiguous else [])]
        return slug("-".join(re.sub(r"[^\w.=]+", "-", part) for part in parts))

    @property
    def title(self) -> str:
        """What the numbers were measured on."""
        return f"{self.dataset} (preset {self.preset}; {self.device})"

    @cached_property
    def methods(self) -> list[str]:
        """Every method with a record, sorted."""
        return sorted({record.method for record in self.records})

    @cached_property
    def own(self) -> dict[str, str]:
        """Each method's own score; empty where all of its records failed."""
        named = {record.method: record.score for record in self.records if record.score}
        return {method: named.get(method) or "" for method in self.methods}

    @cached_property
    def tuned(self) -> dict[str, str]:
        """How each method was tuned; empty where its records are older than that."""
        said = {record.method: record.tuned for record in self.records if record.tuned}
        return {method: said.get(method, "") for method in self.methods}

    @cached_property
    def scores(self) -> list[str]:
        """Every score that something is detected by, sorted."""
        rows = (row for record in self.records if record.detects for row in record.rows)
        answers = {record.answer for record in self.records} | {"samples", "single", ""}
        return sorted({row.score for row in rows} - answers)

    @cached_property
    def specs(self) -> dict[str, MetricSpec]:
        """How every metric is printed; metrics of plug-ins are described by the records."""
        told = {spec.name: spec for record in self.records for spec in record.metric_specs}
        names = {name for part in self.measurements.values() for name in part.metrics}
        known = told | specs()
        return {name: spec_of(name, known) for name in sorted(names)}

    @cached_property
    def scenarios(self) -> list[str]:
        """Scenarios that gave at least one number, in alphabetical order."""
        return sorted(
            name for name, part in self.measurements.items()
            if part.metrics
        )  # fmt: skip

    @property
    def detecting(self) -> list[str]:
        """The scenarios among them that detect something."""
        return [name for name in self.scenarios if self.measurements[name].detects]

    @cached_property
    def measurements(self) -> dict[str, Measurements]:
        """The numbers of each scenario."""
        parts: dict[str, list[Record]] = {}
        for record in self.records:
            parts.setdefault(record.scenario, []).append(record)
        return {
            name: Measurements(name, self.methods, part, self.own) for name, part in parts.items()
        }

    @cached_property
    def headlines(self) -> list[tuple[str, Headline]]:
        """(scenario, headline) of the scenarios with numbers, in the order of their columns."""
        return [pair for pair in declared(self.records) if pair[0] in self.scenarios]

    @cached_property
    def fit_seconds(self) -> pd.DataFrame:
        """Seconds of each fit on the data set itself, (methods, seeds)."""
        found = {
            (r.method, r.seed): r.fit_seconds
            for r in self.records if not r.variant and r.fit_seconds is not None
        }  # fmt: skip
        seeds = sorted({r.seed for r in self.records if not r.variant})
        rows = [[found.get((name, seed), np.nan) for seed in seeds] for name in self.methods]
        return pd.DataFrame(rows, index=self.methods, columns=seeds, dtype=float)


def load(*folders: Path) -> tuple[list[Record], list[str]]:
    """Return the records of results folders, and one line for each thing left out.

    Of several folders the first goes first where they contradict each other:
    `bench.store.merging.merge`.

    Raises:
        BenchError: a folder is not there, or none holds a usable record.
    """
    by_folder, problems = {}, []
    for folder in dict.fromkeys(folders):
        if not has_files(folder / "rows"):
            raise BenchError(f"no results under {folder}; start with `python -m bench run`")
        by_folder[folder], unread = read_all(folder / "rows")
        problems += unread
    records, conflicts = merge(by_folder)
    if not records:
        where, why = ", ".join(map(str, by_folder)), f" ({problems[0]})" if problems else ""
        raise BenchError(f"no results under {where}{why}; start with `python -m bench run`")
    return records, [*problems, *conflicts]


def result_groups(records: Iterable[Record]) -> list[ResultGroup]:
    """Return one group for each data set, preset and device, in this order."""
    places: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        places.setdefault(record.place, []).append(record)
    counts = Counter(dataset for dataset, _, _ in places)
    return [
        ResultGroup(*place, counts[place[0]] > 1, tuple(part))
        for place, part in sorted(places.items())
    ]


def gaps(part: Measurements, values: Array, cells: Sequence[int]) -> list[tuple[str, str, str]]:
    """Why numbers of a scenario are absent: (method, reason, where) with the seeds in ``where``.

    Args:
        part: the scenario.
        values: (M, S, cells), NaN where a number is absent.
        cells: places of the cells in ``part.cells``.
    """
    absent = np.isnan(values) if len(cells) else np.ones((*values.shape[:2], 1), dtype=bool)
    seeds_of: dict[tuple[str, str], list[str]] = {}
    for i, j in np.argwhere(absent.any(axis=2)):
        method, seed = part.methods[i], part.seeds[j]
        places = np.flatnonzero(absent[i, j]).tolist() if cells else []
        views = [part.cells[cells[place]].view for place in places]
        why = _gap(part.record(method, seed), views)
        seeds_of.setdefault((method, why), []).append(str(seed))
    return [(*key, f"{part.name} seed {', '.join(of)}") for key, of in seeds_of.items()]


def _gap(record: Record | None, views: Iterable[str]) -> str:
    if record is None:
        return "not run"
    if record.status != "ok":
        return f"{record.status}: {record.reason}"
    return f"lacks {', '.join(dict.fromkeys(views))}"
