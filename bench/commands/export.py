"""``bench export``: every row as one table in one file, for pandas, R or a spreadsheet.

A line for each record, view and score, a column for each metric: docs/schema.md says what each
holds. Nothing is averaged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.errors import UsageError
from bench.report import formats
from bench.report.frames import load
from bench.store.files import draft, write
from bench.store.schema import Record, Row, family

RECORD = [
    "schema", "dataset", "scenario", "method", "seed", "preset", "device", "status", "reason",
    "params", "scenario_params", "answer", "headline", "detects", "key", "fit_seconds",
    "measure_seconds", "updates", "examples_seen", "precision", "cpu_capability",
    "threads", "peak_memory", "commit", "time",
]  # fmt: skip
VIEW = ["view", "group", "family", "severity", "n", "score"]
WRITE: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": lambda table, path: write(path, formats.csv(table)),
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


def wide(records: Sequence[Record]) -> pd.DataFrame:
    """A line for each record, view and score; a record without rows has one line without view.

    A metric of the name of another column is that column: the seconds of a fit, in ``cost``.
    """
    lines = []
    for record in records:
        about = _about(record)
        lines += [row.metrics | about | _place(record, row) for row in record.rows]
        lines += [] if record.rows else [about | dict.fromkeys(VIEW)]
    table = pd.DataFrame(lines)
    metrics = sorted(set(table) - set(RECORD) - set(VIEW))
    return table[[*RECORD, *VIEW, *metrics]].astype({"n": "Int64", "seed": "Int64"})


def _about(record: Record) -> dict[str, Any]:
    """What all lines of a record share; parameters are one JSON string."""
    about = {name: getattr(record, name, None) for name in RECORD} | {"headline": record.score}
    for name in ("params", "scenario_params"):
        about[name] = json.dumps(getattr(record, name), sort_keys=True)
    return about


def _place(record: Record, row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in VIEW} | {"family": family(record, row)}


def _parquet(table: pd.DataFrame, path: Path) -> None:
    try:
        with draft(path) as unfinished:
            table.to_parquet(unfinished, engine="pyarrow", index=False)
    except ImportError:  # it is optional
        raise UsageError("a Parquet file needs pyarrow: pip install pyarrow") from None
