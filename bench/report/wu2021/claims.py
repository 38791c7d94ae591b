"""The paper's statements, as weighted sums of its tables' cells: ``claims.json`` lists them.

Each check is a sum that must lie in a range; a claim holds if every one of its checks does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

from bench.report.wu2021.observed import METRICS
from bench.report.wu2021.published import columns, values
from bench.report.wu2021.tables import metric_name

FILE = Path(__file__).with_name("claims.json")


@dataclass(frozen=True)
class Check:
    """A sum over rows and columns, by weight, that must lie between ``low`` and ``high``."""

    rows: Mapping[str, float]
    columns: Mapping[str, float]  # by key
    low: float
    high: float
    absolute: bool  # each row's sum over columns counts without its sign

    def of(self, find: Callable[[str, str], Any]) -> Any:
        """The sum, of whatever ``find`` gives for (row, key of a column)."""
        total = 0.0
        for row, weight in self.rows.items():
            inner = sum(by * find(row, key) for key, by in self.columns.items())
            total = total + weight * (abs(inner) if self.absolute else inner)
        return total

    @property
    def what(self) -> str:
        """What is summed up, in words."""
        keys = [_column_name(key) for key in self.columns]
        mean = len(set(self.columns.values())) == 1 and len(keys) > 1
        among = f"mean of {', '.join(keys)}" if mean else " − ".join(keys)
        return f"{'gap of ' if self.absolute else ''}{among}: {_sum(self.rows)}"

    @property
    def range(self) -> str:
        """What the sum must be, in words."""
        if math.isinf(self.low):
            return f"< {self.high:g}"
        if math.isinf(self.high):
            return f"> {self.low:g}"
        return f"{self.low:g} to {self.high:g}"

    @property
    def digits(self) -> int:
        """How many digits its numbers are printed with."""
        return max(2, *(METRICS[columns()[key].metric].digits for key in self.columns))


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, who set the margin of its range, and the checks it stands for."""

    id: str
    section: str
    margin: str
    text: str
    checks: tuple[Check, ...]


def claims() -> list[Claim]:
    """Every claim, its patterns spelt out into checks."""
    listed = json.loads(FILE.read_text("utf-8"))["claims"]
    return [
        Claim(
            c["id"],
            c["section"],
            c["margin"],
            c["text"],
            tuple(x for s in c["checks"] for x in _checks(s)),
        )
        for c in listed
    ]


def _checks(spec: Mapping[str, Any]) -> Iterator[Check]:
    """Yield a check for each choice of rows and each column, or one for a map of columns."""
    low, high = spec.get("low", -math.inf), spec.get("high", math.inf)
    options = [[(name, weight) for name in row.split("|")] for row, weight in spec["rows"].items()]
    for rows in map(dict, product(*options)):
        for keys in _columns(spec["columns"], list(rows)):
            yield Check(rows, keys, low, high, spec.get("absolute", False))


def _columns(wanted: list[str] | dict[str, float], rows: list[str]) -> list[dict[str, float]]:
    """The columns to add up, or one for each that has every row and fits a pattern."""
    if isinstance(wanted, dict):
        return [wanted]
    return [
        {key: 1.0}
        for key in columns()
        if any(fnmatchcase(key, pattern) for pattern in wanted)
        and all((row, key) in values() for row in rows)
    ]


def _column_name(key: str) -> str:
    column = columns()[key]
    return f"{column.dataset} {metric_name(column)}"


def _sum(rows: Mapping[str, float]) -> str:
    """A weighted sum of methods, in words: "redecnn − standard"."""
    parts = []
    for row, weight in rows.items():
        times = "" if abs(weight) == 1 else f"{abs(weight):g} × "
        sign = "−" if weight < 0 else "+"
        parts.append(f"{sign} {times}{row}")
    return " ".join(parts).removeprefix("+ ")
