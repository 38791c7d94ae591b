"""Fitted models and predictions on disk, named after everything that could change them.

Beside each file lies a JSON file with the key in words, the file's checksum, and notes such as
the seconds it took. The JSON file is written last: without it the entry does not exist. Files
are read without executing code (``weights_only``), and a damaged one is set aside, not trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from filelock import FileLock

from bench.store.files import slug, write_json

LAYOUT = 1  # raise when the format of the cache itself changes


@dataclass(frozen=True)
class Key:
    """A description in words and the digest computed from it."""

    spec: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits of the SHA-256 of the canonical JSON."""
        text = json.dumps(self.spec, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(f"{LAYOUT}{text}".encode()).hexdigest()[:16]

    def why_not(self, other: Mapping[str, Any]) -> list[str]:
        """List the fields in which ``other`` differs, for the "refitting because" line."""
        names = sorted(self.spec.keys() | other.keys())
        return [
            f"{name} {_short(other.get(name))} -> {_short(self.spec.get(name))}"
            for name in names
            if _plain(self.spec.get(name)) != _plain(other.get(name))
        ]


class Entry(NamedTuple):
    """What was found: the tensors, numbers and strings kept, and the notes beside them."""

    payload: Any
    note: dict[str, Any]


class Cache:
    """A folder of entries: ``<folder>/<kind>/<name>-<digest>.pt`` and ``.json``."""

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self.folder = folder
        self.say = say

    def path(self, kind: str, name: str, key: Key) -> Path:
        """Return where an entry's tensors lie."""
        place = self.folder.joinpath(*(slug(part) for part in kind.split("/")))
        return place / f"{slug(name)}-{key.digest}.pt"

    def load(self, kind: str, name: str, key: Key) -> Entry | None:
        """Return an entry, or None if there is none; a damaged one is set aside, aloud."""
        path = self.path(kind, name, key)
        beside = path.with_suffix(".json")
        if not beside.exists():
            return None
        try:
            about = json.loads(beside.read_text("utf-8"))
            if about["sha256"] != _checksum(path):
                raise ValueError("its checksum is wrong")
            return Entry(torch.load(path, map_location="cpu", weights_only=True), about["note"])
        except Exception as error:  # whatever is wrong with the file, it can be made again
            self._set_aside(path, beside, error)
            return None

    def keep(self, kind: str, name: str, key: Key, payload: Any, **note: Any) -> None:
        """Write an entry, whole or not at all."""
        path = self.path(kind, name, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        torch.save(payload, draft)
        digest = _checksum(draft)
        draft.replace(path)
        write_json(path.with_suffix(".json"), {"key": key.spec, "sha256": digest, "note": note})

    def has(self, kind: str, name: str, key: Key) -> bool:
        """Tell whether there is such an entry, without reading it."""
        return self.path(kind, name, key).with_suffix(".json").exists()

    def nearest_miss(self, kind: str, name: str, key: Key, same: tuple[str, ...]) -> list[str]:
        """Say how ``key`` differs from the newest entry that agrees with it on ``same``."""
        place = self.path(kind, name, key).parent
        older = sorted(place.glob(f"{slug(name)}-*.json"), key=lambda p: -p.stat().st_mtime)
        for path in older:
            try:
                spec = json.loads(path.read_text("utf-8"))["key"]
            except (OSError, ValueError, KeyError):
                continue
            if all(_plain(spec.get(field)) == _plain(key.spec.get(field)) for field in same):
                return key.why_not(spec)
        return []

    @contextmanager
    def lock(self, kind: str, name: str, key: Key) -> Iterator[None]:
        """Hold an entry while it is made, so that two runs at once make it only once.

        The system drops the lock of a process that was killed.
        """
        path = self.path(kind, name, key).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path):
            yield

    def _set_aside(self, path: Path, beside: Path, error: Exception) -> None:
        aside = path.with_suffix(".damaged")
        if path.exists():
            path.replace(aside)
        beside.unlink(missing_ok=True)
        reason = " ".join(str(error).split())[:120]
        self.say(f"damaged cache file set aside as {aside} ({reason}); it is made again")


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back: tuples as lists."""
    return json.loads(json.dumps(value))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
