"""Fitted models and predictions on disk, named after everything that could change them.

An entry is two files. ``<name>-<digest>.pt`` holds the key, the payload, and notes such as the
seconds it took. ``<name>-<digest>.json`` holds the key in words and the checksum of the first; it
is written last: without it the entry does not exist. Files are read without executing code
(``weights_only``). An entry that cannot be read, or answers another key, is set aside.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from filelock import FileLock, Timeout

from bench.store.files import slug, write, write_json

T = TypeVar("T")
LAYOUT = 2  # raise when the format of the cache itself changes
PATIENCE = 2.0  # seconds to wait for another run's lock before saying so


@dataclass(frozen=True)
class Key:
    """A description in words and the digest computed from it."""

    spec: Mapping[str, Any]

    @cached_property
    def digest(self) -> str:
        """Sixteen hex digits of the SHA-256 of the canonical JSON."""
        return hashlib.sha256(f"{LAYOUT}{self.text}".encode()).hexdigest()[:16]

    @cached_property
    def text(self) -> str:
        """The canonical JSON of the description."""
        return json.dumps(self.spec, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def why_not(self, other: Mapping[str, Any]) -> list[str]:
        """List the fields in which ``other`` differs, for the "refitting because" line."""
        names = sorted(self.spec.keys() | other.keys())
        return [
            f"{name} {_short(other.get(name))} -> {_short(self.spec.get(name))}"
            for name in names
            if _plain(self.spec.get(name)) != _plain(other.get(name))
        ]


class Cache:
    """A folder of entries: ``<folder>/<kind>/<name>-<digest>.pt`` and ``.json``."""

    def __init__(self, folder: Path, say: Callable[[str], None] = print) -> None:
        self.folder = folder
        self.say = say
        self._stuck: set[Path] = set()  # damaged entries that could not be moved

    def path(self, kind: str, name: str, key: Key) -> Path:
        """Return the path of an entry's tensors."""
        place = self.folder.joinpath(*(slug(part) for part in kind.split("/")))
        return place / f"{slug(name)}-{key.digest}.pt"

    def load(
        self, kind: str, name: str, key: Key, read: Callable[[Any, Mapping[str, Any]], T]
    ) -> T | None:
        """Return ``read(payload, note)`` of an entry, or None if there is none.

        ``read`` raises if the payload is not of the types and shapes it must have. An entry that
        cannot be read, or was made for another key, is set aside and named.
        """
        path = self.path(kind, name, key)
        beside = path.with_suffix(".json")
        if not _exists(beside) or path in self._stuck:
            return None
        try:
            about = json.loads(_content(beside))
            content = _content(path)
            digest = hashlib.sha256(content).hexdigest()
            if about["sha256"] != digest:
                raise ValueError("its checksum is wrong")
            entry = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            if entry["key"] != key.text:
                raise ValueError("it was made for another key")
            if about != _plain({"key": key.spec, "sha256": digest, "note": entry["note"]}):
                raise ValueError("its description is another entry's")
            return read(entry["payload"], entry["note"])
        except Exception as error:  # whatever is wrong with the entry, it can be made again
            self._set_aside(path, error)
            return None

    def keep(self, kind: str, name: str, key: Key, payload: Any, **note: Any) -> None:
        """Write an entry, whole or not at all.

        Raises:
            WriteError: the disk is full, or the folder cannot be written to.
        """
        path = self.path(kind, name, key)
        if path in self._stuck:
            return
        buffer = io.BytesIO()
        torch.save({"key": key.text, "payload": payload, "note": note}, buffer)
        content, beside = buffer.getvalue(), path.with_suffix(".json")
        for place in filter(Path.is_dir, (path, beside)):  # a file cannot take a folder's place
            self._move(place)
        write(path, content)
        digest = hashlib.sha256(content).hexdigest()
        write_json(beside, {"key": key.spec, "sha256": digest, "note": note})

    def has(self, kind: str, name: str, key: Key) -> bool:
        """Return whether there is such an entry, without reading it."""
        return _exists(self.path(kind, name, key).with_suffix(".json"))

    def nearest_miss(self, kind: str, name: str, key: Key, same: tuple[str, ...]) -> list[str]:
        """Say how ``key`` differs from the newest entry that agrees with it on ``same``."""
        place = self.path(kind, name, key).parent
        older = [path for path in place.glob(f"{slug(name)}-*.json") if path.is_file()]
        for path in sorted(older, key=_age):
            try:
                spec = json.loads(_content(path))["key"]
                if all(_plain(spec.get(field)) == _plain(key.spec.get(field)) for field in same):
                    return key.why_not(spec)
            except Exception:  # another entry that is damaged is no reason to fail
                continue
        return []

    @contextmanager
    def lock(self, kind: str, name: str, key: Key) -> Iterator[None]:
        """Hold an entry while it is made, so that two runs at once make it only once.

        The system drops the lock of a process that was killed.
        """
        path = self.path(kind, name, key).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        if _exists(path) and not path.is_file():
            self._move(path)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout:
            self.say(f"waiting for another run that is making {path.stem}")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Move what lies in an entry's place, or else leave that place alone from now on."""
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
        try:
            self._move(path.with_suffix(".json"))
            aside = self._move(path)
        except OSError as stuck:
            self._stuck.add(path)
            self.say(
                f"damaged cache file {path} ({reason}) cannot be moved ({stuck.strerror}); "
                "it is made again and not kept"
            )
        else:
            self.say(f"damaged cache file set aside as {aside} ({reason}); it is made again")

    def _move(self, path: Path) -> Path:
        """Rename a file, folder, link or pipe out of the way, and return its new path."""
        aside = path.with_name(f"{path.name}.damaged")
        if _exists(aside):
            aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.damaged")
        if _exists(path):
            path.rename(aside)
        return aside


def _exists(path: Path) -> bool:
    """Return whether anything has this name, a dangling link included."""
    return path.exists() or path.is_symlink()


def _content(path: Path) -> bytes:
    """Return the bytes of a regular file: to open a named pipe would wait for ever."""
    if not path.is_file():
        raise ValueError(f"{path.name} is {'no file' if _exists(path) else 'missing'}")
    return path.read_bytes()


def _age(path: Path) -> float:
    """Return the key that sorts the newest file first."""
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _plain(value: Any) -> Any:
    """Return a value as JSON gives it back: tuples as lists."""
    return json.loads(json.dumps(value))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
