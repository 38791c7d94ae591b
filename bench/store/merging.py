"""Records of several results folders as those of one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.store.schema import Record


def merge(folders: Mapping[Path, Iterable[Record]]) -> tuple[list[Record], list[str]]:
    """Return the records of several folders as one list, and a line for each contradiction.

    Of two records of one identity, the one with more numbers is kept, and of two with equally
    many the one that was met first: nothing is averaged. They contradict each other where a
    number that both have differs; each data set, scenario and pair of folders is named in a line,
    and then the one met first is kept.
    """
    kept: dict[tuple[Any, ...], tuple[Path, Record]] = {}
    twice: dict[tuple[str, str, str, str], list[str]] = {}
    for folder, records in folders.items():
        for record in records:
            first, known = kept.setdefault(record.identity, (folder, record))
            if known is record:
                continue
            ours, theirs = numbers(known), numbers(record)
            if any(ours[place] != theirs[place] for place in ours.keys() & theirs.keys()):
                where = (record.dataset, record.scenario, str(first), str(folder))
                twice.setdefault(where, []).append(f"{record.method} seed {record.seed}")
            elif len(theirs) > len(ours):
                kept[record.identity] = folder, record
    return [record for _, record in kept.values()], [_conflict(*k, v) for k, v in twice.items()]


def numbers(record: Record) -> dict[tuple[Any, ...], float]:
    """Return every number of a record by where it stands, as both files would hold it."""
    return {
        (row.view, row.group, row.severity, row.score, name): round(value, 6)
        for row in record.rows
        for name, value in row.metrics.items()
    }


def _conflict(dataset: str, scenario: str, first: str, second: str, who: list[str]) -> str:
    named = ", ".join(who[:3]) + (f" and {len(who) - 3} more" if len(who) > 3 else "")
    places = f"{second} contradicts {first}" if first != second else f"two files in {first} differ"
    return f"{dataset}, {scenario}: {places} ({named}); the numbers met first are used"
