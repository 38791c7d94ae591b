"""The kinds of figures: one file each, here or in a plug-in, found by itself.

A kind is a function under `figure` that gives the drawings of one group of results:

    @figure
    def seconds(material: Material) -> Iterator[Drawing]:
        values = material.group.fit_seconds.mean(axis=1)
        yield Drawing("seconds", "Seconds to fit.", partial(_seconds, values, material.colours))

It works the numbers out; the function that it hands on draws them, perhaps in another process, and
is not called at all if the file there was drawn from the same numbers.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from bench import plugins
from bench.report.frames import Array, ResultGroup
from bench.report.leaderboard import Column, leaderboard, ranked_cells, shifts
from bench.report.style import Palette, base
from bench.store.curves import CurveFile
from bench.store.schema import RANKED_BY, choices_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Place = Literal["report", "paper"]


@dataclass(frozen=True)
class Drawing:
    """A figure that can be drawn.

    Args:
        name: start of its file's name.
        caption: what it shows, in sentences.
        draw: draws it; a module's function with its arguments, for another process must find it.
    """

    name: str
    caption: str
    draw: partial[Figure]


@dataclass(frozen=True, eq=False)
class Material:
    """What there is to draw of one group of results.

    Args:
        group: the results.
        colours: of every method of the report.
        score: inputs are ranked by it; `OWN`: by each method's own.
        curves: the files of `bench.store.curves` that belong to its records.
    """

    group: ResultGroup
    colours: Palette
    score: str = RANKED_BY
    curves: list[CurveFile] = field(default_factory=list)

    @cached_property
    def order(self) -> list[str]:
        """Every method that ran, as on the board: by rank, then by name and numbers in it."""
        rank = leaderboard(self.group, self.score).rank
        return sorted(map(str, rank.index), key=lambda name: (_last(rank[name]), _natural(name)))

    @property
    def methods(self) -> list[str]:
        """`order` without the points of a sweep, which has a figure of its own."""
        points = {name for points in self.sweeps.values() for name in points.values()}
        return [name for name in self.order if name not in points or ":" not in name]

    def table(self, values: Array) -> pd.DataFrame:
        """Values (M, …) of the group's methods as a frame in the order of the board."""
        return pd.DataFrame(values, self.group.methods).loc[self.order]

    @cached_property
    def sweeps(self) -> dict[tuple[str, str], dict[float, str]]:
        """(method, parameter) -> {value: method as labelled}, of three values or more."""
        sweeps: dict[tuple[str, str], dict[float, str]] = {}
        defaults = {r.method: r.params for r in self.group.records if not r.choices}
        for label in self.group.methods:
            choices = choices_of(label)
            for key, text in choices.items() if len(choices) == 1 else ():
                if (value := _number(text)) is not None:
                    sweeps.setdefault((base(label), key), {})[value] = label
        for (name, key), points in sweeps.items():
            default = defaults.get(name, {}).get(key)
            if isinstance(default, int | float):
                points[float(default)] = name
        return {key: dict(sorted(p.items())) for key, p in sweeps.items() if len(p) > 2}

    def palette(self, methods: Iterable[str]) -> Palette:
        """The colours of some methods, in their order: what a drawing needs, and no more."""
        return {name: self.colours[name] for name in methods}

    @cached_property
    def shifts(self) -> list[Column]:
        """What is detected: the leaderboard's columns."""
        return shifts(self.group)

    @cached_property
    def quality(self) -> pd.Series:
        """Mean AUROC over the cells that ranks are over, of each method that has all of them."""
        cells = [values.mean(axis=1) for values in ranked_cells(self.group, self.score).values()]
        if not cells:
            return pd.Series(dtype=float)
        return self.table(np.hstack(cells)).mean(axis=1, skipna=False).dropna()


Draw = Callable[[Material], Iterator[Drawing]]


@dataclass(frozen=True)
class Kind:
    """One kind of figures; those for the "paper" are drawn with ``--paper`` alone."""

    name: str
    place: Place
    draw: Draw


_KINDS: dict[str, Kind] = {}


def figure(draw: Draw | None = None, *, place: Place = "report") -> Any:
    """Register a function as a kind of figures, shown in the report or on the paper's page."""
    if draw is None:
        return partial(figure, place=place)
    name = f"{draw.__module__}.{draw.__qualname__}"
    _KINDS[name] = Kind(name, place, draw)
    return draw


def kinds() -> list[Kind]:
    """Return every kind of this package and of the plug-ins, sorted by name."""
    known = {module.__name__ for module in plugins.members(sys.modules[__name__])}
    return [kind for _, kind in sorted(_KINDS.items()) if kind.draw.__module__ in known]


def split(methods: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (ending of the name, methods): those without parameters, and variants with theirs."""
    variants = [name for name in methods if ":" in name]
    plain = [name for name in methods if ":" not in name]
    bases = {base(name) for name in variants}
    if plain or variants:
        yield "", plain or variants
    if plain and variants:
        yield "_variants", [name for name in methods if name in bases or ":" in name]


def _last(rank: float) -> float:
    return math.inf if math.isnan(rank) else rank


def _natural(name: str) -> list[tuple[int, float, str]]:
    """A key by which "samples=4" comes before "samples=16"."""
    parts = re.split(r"(\d+\.?\d*)", name)
    return [(1, float(p), "") if i % 2 else (0, 0.0, p) for i, p in enumerate(parts)]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
