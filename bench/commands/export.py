"""``bench export``: every row as one table in one file, for pandas, R or a spreadsheet.

A line for each record, view and score, a column for each metric: docs/schema.md says what each
holds. Nothing is averaged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UsageError
from bench.report.frames import load
from bench.store.files import draft, write
from bench.store.rows import SCHEMA

RECORD = [
    "schema", "dataset", "scenario", "method", "seed", "preset", "device", "status", "reason",
    "params", "scenario_params", "answer", "headline", "key", "fit_seconds", "threads", "commit",
    "time",
]  # fmt: skip
VIEW = ["view", "group", "severity", "n", "score"]
WRITE: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": lambda table, path: write(path, table.to_csv(index=False)),
    ".json": lambda table, path: write(path, table.to_json(orient="records")),
    ".parquet": lambda table, path: _parquet(table, path),
}


def export(folders: Sequence[Path], out: Path) -> tuple[int, list[str]]:
    """Write all rows of results folders to ``out``; return how many lines, and what was left out.

    Raises:
        UsageError: the name ends in no known format, or a package for it is not installed.
        BenchError: there are no rows.
    """
    if out.suffix not in WRITE:
        raise UsageError(f"'{out}' does not say in what format; end it in {', '.join(WRITE)}")
    records, problems = load(*folders)
    table = wide(records)
    WRITE[out.suffix](table, out)
    return len(table), problems


def wide(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """A line for each record, view and score; a record without rows has one line without view.

    A metric of the name of another column is that column: the seconds of a fit, in ``cost``.
    """
    lines = [
        row.get("metrics", {}) | _about(record) | {name: row.get(name) for name in VIEW}
        for record in records
        for row in _rows(record)
    ]
    table = pd.DataFrame(lines)
    metrics = sorted(set(table) - set(RECORD) - set(VIEW))
    return table[[*RECORD, *VIEW, *metrics]].astype({"n": "Int64", "seed": "Int64"})


def _about(record: Mapping[str, Any]) -> dict[str, Any]:
    """What all lines of a record share; parameters are one JSON string."""
    found = {name: record.get(name) for name in RECORD} | {"schema": SCHEMA}
    found["headline"] = record.get("score")
    for name in ("params", "scenario_params"):
        found[name] = json.dumps(record.get(name) or {}, sort_keys=True)
    return found


def _rows(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of a record with what they leave out for being empty; one without a view if none."""
    usual = {"group": "", "severity": 0.0, "score": ""}
    return [usual | row for row in record["rows"]] or [{}]


def _parquet(table: pd.DataFrame, path: Path) -> None:
    try:
        with draft(path) as unfinished:
            table.to_parquet(unfinished, engine="pyarrow", index=False)
    except ImportError:  # it is optional
        raise UsageError("a Parquet file needs pyarrow: pip install pyarrow") from None
