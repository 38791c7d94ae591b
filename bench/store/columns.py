"""Records in an archive, with their rows as columns: a seventh smaller when compressed.

In a file ``rows`` is a list of objects that all have the same names in the same order; here it is
one object of lists, in which null stands for what a row lacks. The bytes of the file come back.
"""

from __future__ import annotations

from typing import Any

import msgspec

METRICS = "metrics"  # an object in each row, and columns of its own
MARK = b'"rows":{'  # in a string its quotes would be escaped


def by_columns(content: bytes) -> bytes:
    """Return a record with its rows as columns, or as it is if it would not come back the same."""
    try:
        record = msgspec.json.decode(content)
        turned = _encoded(record | {"rows": _columns(record["rows"])})
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, RecursionError):
        return content
    return turned if by_rows(turned) == content else content


def by_rows(content: bytes) -> bytes:
    """Return the file that `by_columns` was given; what it did not make comes back as it is."""
    if MARK not in content:
        return content
    try:
        record = msgspec.json.decode(content)
        return _encoded(record | {"rows": _rows(record["rows"])})
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return content  # damaged; whoever reads it as a record says so


def _encoded(record: dict[str, Any]) -> bytes:
    return msgspec.json.encode(record) + b"\n"


def _columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for row in rows for name in row)
    columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in names}
    if METRICS in columns:
        columns[METRICS] = _columns(columns[METRICS])
    return columns


def _rows(columns: dict[str, Any]) -> list[dict[str, Any]]:
    lists = {name: _rows(part) if name == METRICS else part for name, part in columns.items()}
    return [
        {name: value for name, value in zip(lists, row, strict=True) if value is not None}
        for row in zip(*lists.values(), strict=True)
    ]
