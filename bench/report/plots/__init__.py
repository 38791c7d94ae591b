"""The kinds of figures: one file each, here or in a plug-in, found by itself.

A kind is a function under `figure` that gives the drawings of one board:

    @figure
    def seconds(material: Material) -> Iterator[Drawing]:
        values = fit_seconds(material.frame, material.methods).mean(axis=1)
        yield Drawing("seconds", "Seconds to fit.", partial(_seconds, values, material.colours))

It works the numbers out; the function that it hands on draws them, perhaps in another process, and
is not called at all if the file there was drawn from the same numbers.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from bench import plugins
from bench.report.frames import Board, seeds
from bench.report.leaderboard import Column, shifts
from bench.report.stats import grid, over_seeds
from bench.report.style import Palette

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


@dataclass(frozen=True)
class Material:
    """What there is to draw of one board.

    Args:
        ranks: mean rank of each method on the board, best first; NaN for one without a rank.
        params: parameters of each method, by name.
        curves: the records of `bench.running.curves` that belong to its rows.
    """

    board: Board
    colours: Palette
    ranks: pd.Series
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    curves: list[dict[str, Any]] = field(default_factory=list)

    @property
    def frame(self) -> pd.DataFrame:
        """The lines of the board."""
        return self.board.frame

    @property
    def order(self) -> list[str]:
        """Every method that ran, in the order of the board."""
        return [str(name) for name in self.ranks.index]

    @property
    def methods(self) -> list[str]:
        """`order` without the points of a sweep, which has a figure of its own."""
        points = {name for points in self.sweeps.values() for name in points.values()}
        return [name for name in self.order if name not in points or ":" not in name]

    @cached_property
    def sweeps(self) -> dict[tuple[str, str], dict[float, str]]:
        """(method, parameter) -> {value: method as labelled}, of three values or more."""
        sweeps: dict[tuple[str, str], dict[float, str]] = {}
        for label in sorted(self.frame["method"].unique()):
            name, _, choice = label.partition(":")
            key, _, text = choice.partition("=")
            if (value := _number(text)) is not None:
                sweeps.setdefault((name, key), {})[value] = label
        for (name, key), points in sweeps.items():
            default = self.params.get(name, {}).get(key)
            if isinstance(default, int | float):
                points[float(default)] = name
        return {key: dict(sorted(p.items())) for key, p in sweeps.items() if len(p) > 2}

    def palette(self, methods: Iterable[str]) -> Palette:
        """The colours of some methods, in their order: what a drawing needs, and no more."""
        return {name: self.colours[name] for name in methods}

    @property
    def shifts(self) -> list[Column]:
        """What is detected on this board: the leaderboard's columns."""
        return shifts(self.frame)

    @cached_property
    def cells(self) -> pd.DataFrame:
        """AUROC of every method, (methods, cells of all scenarios), mean over seeds."""
        tables = {
            scenario: over_seeds(grid(lines, self.order, seeds(self.frame, scenario)))
            for scenario in self.board.scenarios
            if len(lines := Column("", scenario).lines(self.frame))
        }
        return pd.concat(tables, axis=1) if tables else pd.DataFrame(index=self.order)


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
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    plugins.modules()
    return [_KINDS[name] for name in sorted(_KINDS)]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
