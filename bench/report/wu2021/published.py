"""The paper's own numbers: every cell of its tables 1 to 10, from ``published.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True)
class Column:
    """One quantity on one data set, in the paper's words: ("mnist", "ood", "fashion")."""

    dataset: str
    metric: str
    view: str = ""

    @property
    def key(self) -> str:
        """What claims call it: "mnist ood fashion"."""
        return " ".join(filter(None, [self.dataset, self.metric, self.view]))


@dataclass(frozen=True)
class Cell:
    """One number of the paper, in the unit it is printed in.

    ``spread`` is its standard deviation, None where no one is given; where ``bound``, the paper
    says no more than that it is less than this.
    """

    table: str
    row: str  # a method as we label it
    column: Column
    value: float
    spread: float | None = None
    bound: bool = False


@cache
def cells() -> tuple[Cell, ...]:
    """Every cell as printed, in the order of the paper."""
    return tuple(
        Cell(
            c["table"], c["row"], Column(c["dataset"], c["metric"], c.get("view", "")),
            c["value"], c["spread"], c.get("bound", False),
        )
        for c in json.loads(FILE.read_text("utf-8"))["cells"]
    )  # fmt: skip


@cache
def with_ratios() -> tuple[Cell, ...]:
    """All cells, and seconds per epoch once more as a multiple of the standard network's."""
    seconds = {(c.row, c.column.dataset): c for c in cells() if c.column.metric == "epoch_seconds"}
    ratios = [
        Cell(
            "T10", row, Column(dataset, "cost_ratio"), c.value / seconds["standard", dataset].value
        )
        for (row, dataset), c in seconds.items()
    ]
    return *cells(), *ratios


@cache
def values() -> dict[tuple[str, str], dict[str, float]]:
    """(row, key of the column) -> table -> number: some are printed twice, with other digits."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for cell in with_ratios():
        found.setdefault((cell.row, cell.column.key), {})[cell.table] = cell.value
    return found


def together(places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """The numbers of several cells, from one table if one has them all."""
    found = {place: values()[place] for place in places}
    shared = [t for t in next(iter(found.values())) if all(t in of for of in found.values())]
    return {at: of[shared[0]] if shared else next(iter(of.values())) for at, of in found.items()}


@cache
def columns() -> dict[str, Column]:
    """Every column by its key, in the order of the paper."""
    return {cell.column.key: cell.column for cell in with_ratios()}
