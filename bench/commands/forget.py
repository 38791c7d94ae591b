"""``bench forget``: what an experiment left in a results folder, and its removal.

Rows say which experiment they belong to. A cached fit goes with them if no other row was made
with it, be it as a prerequisite; what was predicted with that fit goes too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.store import records
from bench.store.files import row_path
from bench.store.packed import is_packed
from bench.store.schema import Record


@dataclass(frozen=True)
class _Entry:
    """A file of the cache by its description."""

    path: Path
    digest: str
    spec: Mapping[str, Any]

    def made(self, record: Record) -> bool:
        """Tell whether this is the fit that a record was made with."""
        place = record.method_name, record.dataset, record.seed
        mine = self.spec.get("method"), self.spec.get("dataset"), self.spec.get("seed")
        params = json.loads(json.dumps(self.spec.get("params", {})))
        return place == mine and params.items() <= record.params.items()

    def needs(self) -> set[str]:
        """Return the digests of its prerequisites."""
        words = (v for k, v in self.spec.items() if k.startswith("prerequisite"))
        return {digest for digests in words for digest in digests}


def leftovers(
    results: Path, *, methods: str = "*", datasets: str = "*", scenarios: str = "*"
) -> dict[str, list[Path]]:
    """Return the files of every record whose method, data set and scenario match, by kind.

    Raises:
        UsageError: some are packed.
    """
    wanted = {"method": methods, "dataset": datasets, "scenario": scenarios}
    known = records.read_all(results / "rows")[0]
    gone = [r for r in known if all(_matches(getattr(r, k), w) for k, w in wanted.items())]
    kept = [r for r in known if r not in gone]
    places = [(r.dataset, r.scenario, r.method, r.seed) for r in gone]
    fits, made = _cached(results / "cache", gone, kept)
    paths = {
        "rows": [row_path(results / "rows", *place) for place in places],
        "curves": [row_path(results / "curves", *place) for place in places],
        "fits": _files(fits),
        "predictions": _files(made),
    }
    there = {kind: [p for p in listed if p.is_file()] for kind, listed in paths.items()}
    if any(map(is_packed, paths["rows"])):
        raise UsageError(
            f"rows under {results} are packed; first: python -m bench pack --undo "
            f"--results {results}"
        )
    return {kind: listed for kind, listed in there.items() if listed}


def remove(paths: Mapping[str, Iterable[Path]]) -> None:
    """Remove files, rows last: a command that is stopped can be given again."""
    for kind in sorted(paths, key=lambda kind: kind == "rows"):
        for path in paths[kind]:
            path.unlink(missing_ok=True)


def _matches(label: str, words: str) -> bool:
    """Tell whether a label, or the name it is a setting of, is among names and globs."""
    names = {label, _base(label)}
    patterns = [word.strip() for word in re.split(r",(?![^,:]*=)", words)]
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns if pattern)


def _base(label: str) -> str:
    return re.split("[:~]", label)[0]


def _cached(
    cache: Path, gone: list[Record], kept: list[Record]
) -> tuple[list[_Entry], list[_Entry]]:
    """Return the fits that only the records ``gone`` used, and what was predicted with them."""
    entries = list(_entries(cache)) if gone else []
    fits = {entry.digest: entry for entry in entries if "fits" in entry.path.parts}
    used = _closure(fits, kept)
    alone = {digest: fits[digest] for digest in _closure(fits, gone) - used}
    return list(alone.values()), [e for e in entries if e.spec.get("fit") in alone]


def _closure(fits: Mapping[str, _Entry], records: Iterable[Record]) -> set[str]:
    """Return the digests of the fits that records were made with, prerequisites included."""
    reached: set[str] = set()
    ahead = {d for d, fit in fits.items() if any(fit.made(record) for record in records)}
    while ahead:
        reached |= ahead
        ahead = {n for digest in ahead for n in fits[digest].needs() if n in fits} - reached
    return reached


def _entries(cache: Path) -> Iterable[_Entry]:
    for path in sorted(cache.rglob("*.json")):
        try:
            spec = json.loads(path.read_text("utf-8"))["key"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(spec, dict):
            yield _Entry(path, path.stem.rpartition("-")[2], spec)


def _files(entries: Iterable[_Entry]) -> list[Path]:
    return [e.path.with_suffix(suffix) for e in entries for suffix in (".json", ".pt", ".lock")]
