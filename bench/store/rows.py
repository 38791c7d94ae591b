"""The results: one JSON file for each (data set, scenario, method, seed), and its reader.

A file says what was run (``method``, ``params``, ``preset``, ``key`` …), what came of it
(``status``: ok, skipped or failed, with a ``reason``) and, in ``rows``, one entry for each
view and score with a map of metrics. `tidy` turns many of them into one frame, `merge` the records
of several folders into one list. This module never imports torch, so that a report starts at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bench import ROOT
from bench.store.files import slug, write_json

if TYPE_CHECKING:  # pandas takes half a second: only a report needs it
    import pandas as pd

SCHEMA = 1
REFERENCE = ROOT / "results" / "reference"  # what the project itself measured
ABOUT = [
    "dataset", "scenario", "method", "seed", "preset", "status", "reason", "answer", "device",
    "fit_seconds",
]  # fmt: skip
IDENTITY = ["dataset", "scenario", "method", "seed", "preset", "device"]  # told apart by these
COLUMNS = [*ABOUT, "view", "group", "severity", "n", "score", "metric", "value"]
AGAIN = "the same `bench run` again replaces it"
Status = Literal["ok", "skipped", "failed"]


@dataclass(frozen=True)
class Row:
    """The metrics of one view under one score.

    Args:
        view: what was predicted, such as "clean", "letters" or "fog".
        score: the uncertainty score, or which probabilities ("samples", "single").
        metrics: name to value; an undefined one is left out.
        n: the number of inputs of the view.
        severity: strength of the shift, 0 where it has none.
        group: a part of the scenario, such as "near" and "far".
    """

    view: str
    score: str
    metrics: Mapping[str, float]
    n: int
    severity: float = 0.0
    group: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of one scenario: rows, a reason it does not apply, or an error."""

    status: Status
    reason: str = ""
    rows: tuple[Row, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def failed(cls, error: BaseException) -> Outcome:
        """Record an exception, in one line."""
        return cls("failed", " ".join(f"{type(error).__name__}: {error}".split()))


def row_path(folder: Path, dataset: str, scenario: str, method: str, seed: int) -> Path:
    """Return where the numbers of one (data set, scenario, method, seed) go."""
    return folder / slug(dataset) / slug(scenario) / f"{slug(method)}-s{seed}.json"


def save(path: Path, outcome: Outcome, about: Mapping[str, Any]) -> None:
    """Write the record of one scenario."""
    rows = [_compact(row) for row in outcome.rows]
    found = {"status": outcome.status, "reason": outcome.reason, "missing": dict(outcome.missing)}
    write_json(path, {"schema": SCHEMA, **about, **found, "rows": rows})


def _compact(row: Row) -> dict[str, Any]:
    metrics = {name: round(float(value), 6) for name, value in row.metrics.items()}
    return {k: v for k, v in asdict(row).items() if v not in ("", 0.0)} | {"metrics": metrics}


def read(path: Path) -> dict[str, Any] | None:
    """Return one record, or None if the file is absent, damaged, or of another schema."""
    try:
        return _parsed(path)
    except (OSError, ValueError):
        return None


def _parsed(path: Path) -> dict[str, Any]:
    """Return one record.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged or of another schema; says which, and what to do.
    """
    try:
        record = json.loads(path.read_text("utf-8"))
        schema = record["schema"]
    except (ValueError, TypeError, KeyError):
        raise ValueError(f"damaged; left out ({AGAIN})") from None
    if schema == SCHEMA:
        return record
    if isinstance(schema, int) and schema > SCHEMA:
        raise ValueError(f"schema {schema} is newer than the {SCHEMA} read here; left out (update)")
    raise ValueError(f"schema {schema!r} is unknown; left out ({AGAIN})")


def is_current(path: Path, key: str) -> bool:
    """Tell whether ``path`` already holds finished results for ``key``."""
    record = read(path)
    return record is not None and record["key"] == key and record["status"] != "failed"


def read_all(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return every readable record under ``folder`` and one line for each file left out."""
    records, problems = [], []
    for path in sorted(folder.rglob("[!.]*.json")):
        try:
            records.append(_parsed(path))
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {error}")
    return records, problems


def merge(
    folders: Mapping[Path, Iterable[dict[str, Any]]],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the records of several folders as one list, and a line for each contradiction.

    Where two records are of the same `IDENTITY`, the one with numbers is kept, and of two with
    numbers the one that was met first: nothing is averaged. Equal numbers are one record without
    a word; different ones are named, a line for each data set, scenario and pair of folders.
    """
    kept: dict[tuple[Any, ...], tuple[Path, dict[str, Any]]] = {}
    twice: dict[tuple[str, str, str, str], list[str]] = {}
    for folder, records in folders.items():
        for record in records:
            identity = tuple(record.get(name) for name in IDENTITY)
            first, known = kept.get(identity, (folder, record))
            both = known is not record and known["rows"] and record["rows"]
            if both and _numbers(known) != _numbers(record):
                where = (record["dataset"], record["scenario"], str(first), str(folder))
                twice.setdefault(where, []).append(f"{record['method']} seed {record['seed']}")
            if identity not in kept or (record["rows"] and not known["rows"]):
                kept[identity] = folder, record
    return [record for _, record in kept.values()], [_conflict(*k, v) for k, v in twice.items()]


def _numbers(record: Mapping[str, Any]) -> list[str]:
    """Return the rows of a record in a form that two records can be compared by."""
    return sorted(json.dumps(row, sort_keys=True) for row in record["rows"])


def _conflict(dataset: str, scenario: str, first: str, second: str, who: list[str]) -> str:
    named = ", ".join(who[:3]) + (f" and {len(who) - 3} more" if len(who) > 3 else "")
    places = f"{second} contradicts {first}" if first != second else f"two files in {first} differ"
    return f"{dataset}, {scenario}: {places} ({named}); the numbers met first are used"


def tidy(
    records: Iterable[Mapping[str, Any]], metrics: Collection[str] | None = None
) -> pd.DataFrame:
    """Return one line for each metric, with `COLUMNS`; a scenario without rows gives one line.

    Where ``metrics`` are named, no others have a line, and nothing else has.
    """
    import pandas as pd

    lines = []
    for record in records:
        about = [record.get(name) for name in ABOUT]
        for row in record["rows"] or [{}]:
            place = [row.get("view"), row.get("group", ""), row.get("severity", 0.0)]
            for metric, value in (row.get("metrics") or {None: None}).items():
                if metrics is None or metric in metrics:
                    lines.append([*about, *place, row.get("n"), row.get("score"), metric, value])
    return pd.DataFrame(lines, columns=COLUMNS)
