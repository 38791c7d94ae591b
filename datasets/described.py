"""Inputs whose number and fingerprint are known before they are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from .base import Split
from .errors import DataError
from .store import Store, draft


@dataclass(frozen=True)
class Described:
    """A split that is read when it is needed.

    Args:
        fingerprint: of the split.
        n: its number of inputs.
        read: reads it.
        note: the file that keeps fingerprint and number, or None.
    """

    fingerprint: str
    n: int
    read: Callable[[], Split]
    note: Path | None

    def load(self) -> Split:
        """Return the split.

        Raises:
            DataError: it is not the one described: its files changed without a change of their
                sizes and times, or the note is wrong. The next run describes it anew.
        """
        split = self.read()
        if (split.fingerprint, len(split)) != (self.fingerprint, self.n):
            if self.note is not None:
                with suppress(OSError):
                    self.note.unlink(missing_ok=True)
            raise DataError(f"the inputs are not those that {self.note} describes; run again")
        return split


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of packages whose code makes or changes images."""
    return {package: version(package) for package in packages}


def described(store: Store, name: str, key: str, read: Callable[[], Split]) -> Described:
    """Return the split of ``read`` with its description, kept as ``derived/<name>/<key>.json``.

    It is read now only if no description is kept. The key must contain everything that the split
    depends on.
    """
    note = store.root / "derived" / name / f"{key}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # absent or damaged: made again
        # To open a named pipe would wait for ever.
        known = json.loads(note.read_text("utf-8") if note.is_file() else "")
        if known["key"] == key and type(known["n"]) is int and known["n"] >= 0:
            return Described(str(known["fingerprint"]), known["n"], read, note)
    split = read()
    content = {"key": key, "fingerprint": split.fingerprint, "n": len(split)}
    with suppress(OSError), draft(note) as unfinished:
        unfinished.write_text(json.dumps(content), "utf-8")
    return Described(split.fingerprint, len(split), read, note)


def undescribed(read: Callable[[], Split]) -> Described:
    """Return the split of ``read``, read now: nothing tells whether its files have changed."""
    split = read()
    return Described(split.fingerprint, len(split), lambda: split, None)
