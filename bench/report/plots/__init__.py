"""The paper's figures, one module a kind: `draw(material)` gives drawings, or a reason for none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.report.frames import Board, seeds
from bench.report.leaderboard import Column, shifts
from bench.report.stats import grid, over_seeds
from bench.report.style import Palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """A figure, the start of its file's name, and what it shows."""

    name: str
    figure: Figure
    caption: str


@dataclass(frozen=True)
class Material:
    """What there is to draw of one board.

    Args:
        params: of each method, by name.
        curves: the records of `bench.curves` that belong to its rows.
    """

    board: Board
    colours: Palette
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    curves: list[dict[str, Any]] = field(default_factory=list)

    @property
    def frame(self) -> pd.DataFrame:
        """The lines of the board."""
        return self.board.frame

    @property
    def methods(self) -> list[str]:
        """Every method that ran, sorted, without the points of a sweep: those have a curve."""
        points = {name for points in self.sweeps.values() for name in points.values()}
        plain = {name for name in points if ":" not in name}
        return sorted(set(self.frame["method"]) - (points - plain))

    @cached_property
    def sweeps(self) -> dict[tuple[str, str], dict[float, str]]:
        """(method, parameter) -> {value: method as labelled}, of three values or more."""
        found: dict[tuple[str, str], dict[float, str]] = {}
        for label in sorted(self.frame["method"].unique()):
            name, _, choice = label.partition(":")
            key, _, text = choice.partition("=")
            if (value := _number(text)) is not None:
                found.setdefault((name, key), {})[value] = label
        for (name, key), points in found.items():
            default = self.params.get(name, {}).get(key)
            if isinstance(default, int | float):
                points[float(default)] = name
        return {key: dict(sorted(p.items())) for key, p in found.items() if len(p) > 2}

    @property
    def shifts(self) -> list[Column]:
        """What is detected on this board: the leaderboard's columns."""
        return shifts(self.frame)

    @property
    def cells(self) -> pd.DataFrame:
        """AUROC of every method, (methods, cells of all scenarios), mean over seeds."""
        methods = sorted(self.frame["method"].unique())
        found = {
            scenario: over_seeds(grid(lines, methods, seeds(self.frame, scenario)))
            for scenario in self.board.scenarios
            if len(lines := Column("", scenario).lines(self.frame))
        }
        return pd.concat(found, axis=1) if found else pd.DataFrame(index=methods)


Draw = Callable[[Material], Iterator[Drawing]]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
