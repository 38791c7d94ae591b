"""Results on disk: one JSON file for each (data set, scenario, method, seed), and its reader.

`parsed` checks every type, size and name of a file, and that no one changed it (`store.seal`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench import ROOT
from bench.store.files import write
from bench.store.packed import AGAIN, json_files, read_regular
from bench.store.schema import SCHEMA, Outcome, Record, Row
from bench.store.schema1 import upgraded
from bench.store.seal import check_seal, sealed

REFERENCE = ROOT / "results" / "reference"  # what the project itself measured


def save(path: Path, outcome: Outcome, about: Mapping[str, Any]) -> None:
    """Write the record of one scenario; values keep six digits.

    Raises:
        ValueError: a value is NaN or infinite.
        WriteError: the disk is full, or the folder cannot be written to.
    """
    record = Record(
        **about, status=outcome.status, reason=outcome.reason, missing=dict(outcome.missing),
        left_out=dict(outcome.left_out), rows=tuple(map(_rounded, outcome.rows)),
    )  # fmt: skip
    _check(record)
    write(path, sealed(msgspec.json.encode(record)))


def _rounded(row: Row) -> Row:
    metrics = {name: round(float(value), 6) for name, value in row.metrics.items()}
    for name, value in metrics.items():
        if not math.isfinite(value):  # JSON would hold null
            raise ValueError(f"{name} of view {row.view} is {value} by {row.score or 'no score'}")
    return msgspec.structs.replace(row, metrics=metrics)


def read(path: Path) -> Record | None:
    """Return one record, or None if the file is absent, damaged, or of another schema."""
    try:
        return parsed(path)
    except (OSError, ValueError):
        return None


def is_current(path: Path, key: str) -> bool:
    """Tell whether ``path`` already holds finished results for ``key``."""
    record = read(path)
    return record is not None and record.key == key and record.status != "failed"


def read_all(folder: Path) -> tuple[list[Record], list[str]]:
    """Return every readable record under ``folder`` and one line for each file left out."""
    records, problems = [], []
    for path in json_files(folder):
        try:
            records.append(parsed(path))
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {_in_words(error)}")
    return records, problems


def parsed(path: Path) -> Record:
    """Return one record, brought up to the present schema.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged or of another schema; says which, and what to do.
    """
    content = read_regular(path)
    try:
        record = _DECODER.decode(content)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(_why_damaged(content, error)) from None
    if record.schema not in (1, SCHEMA):
        raise ValueError(_other_schema(record.schema))
    try:
        check_seal(content)
        record = upgraded(record) if record.schema == 1 else record
        _check(record)
    except ValueError as error:
        raise ValueError(f"damaged ({error}); left out ({AGAIN})") from None
    return record


class _Head(Struct):
    schema: Any


_DECODER = msgspec.json.Decoder(Record)
_HEAD = msgspec.json.Decoder(_Head)


def _why_damaged(content: bytes, error: Exception) -> str:
    try:
        schema = _HEAD.decode(content).schema
    except (msgspec.MsgspecError, RecursionError):
        schema = 1
    if schema not in (1, SCHEMA) or isinstance(schema, bool | float):
        return _other_schema(schema)
    return f"damaged ({str(error)[:200]}); left out ({AGAIN})"


def _other_schema(schema: object) -> str:
    if isinstance(schema, int) and not isinstance(schema, bool) and schema > SCHEMA:
        return f"schema {schema} is newer than the {SCHEMA} read here; left out (update)"
    return f"schema {str(schema)[:50]!r} is unknown; left out ({AGAIN})"


def _in_words(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}; left out"
    return str(error)


_SOUND: set[str] = {""}  # names that passed the check: a folder has a hundred in a million places


def _check(record: Record) -> None:
    """Refuse names that no program gives: those end up in paths, terminals and tables.

    Raises:
        ValueError: says which.
    """
    names = {
        record.method, record.dataset, record.scenario, record.preset, record.device,
        record.answer or "", record.score or "", record.key, record.commit, record.time,
        record.precision, record.cpu_capability,
        *record.params, *record.scenario_params, *record.missing,
        record.tuned, *record.left_out,
    }  # fmt: skip
    for row in record.rows:
        names |= {row.view, row.score, row.group, row.family, *row.metrics}
    for headline in record.headlines:
        names |= {headline.label, headline.metric, headline.view, headline.group, headline.score}
    for claim in record.claims:
        names |= {claim.text, claim.metric, claim.scenario, claim.group, claim.score, claim.than,
                  claim.than_score}  # fmt: skip
    for spec in record.metric_specs:
        names |= {spec.name, spec.label, spec.unit}
    for name in names - _SOUND:
        parts = name.replace("\\", "/").split("/")
        if not name.isprintable() or name != name.strip() or ".." in parts:
            raise ValueError(f"{name[:50]!r} is no name")
        _SOUND.add(name)
