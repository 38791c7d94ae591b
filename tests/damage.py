"""Damage done to files, by kind: what disks, copies and people do to them."""

import builtins
import copy
import io
import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ABSENT = object()
DEEP = "@deep@"  # replaced by nesting that no parser follows
KINDS = {
    "absent": ABSENT, "null": None, "true": True, "text": "x", "empty text": "", "number": 7,
    "negative": -1, "fraction": 0.5, "huge": 10**400, "large": 10**30, "infinite": float("inf"),
    "not a number": float("nan"), "list": [], "list of lists": [[[]]], "list of null": [None],
    "map": {}, "map of maps": {"a": {"b": {}}}, "null byte": "a\0b", "escape": "\x1b[2J",
    "up": "../../X", "absolute": "/tmp/X", "long": "x" * 5000, "bidirectional": "\u202etxt",
    "markup": "<script>alert(1)</script>", "formula": "=cmd|'/C calc'!A0", "latex": r"\input{x}",
    "line": "a\nb", "deep": DEEP,
}  # fmt: skip
BLOCK = 64  # bytes that are lost together; files of results are too small for a disk's 512


def changed(content: bytes, draw: random.Random, times: int) -> Iterator[tuple[str, bytes]]:
    """Yield a file's content damaged, with the kind of damage; never the content itself."""
    for _ in range(times):
        place = draw.randrange(len(content))
        turned = bytes([content[place] ^ 1 << draw.randrange(8)])
        yield "bit turned", content[:place] + turned + content[place + 1 :]
        yield "cut", content[:place]
        start = place // BLOCK * BLOCK
        block = content[start : start + BLOCK]
        if any(block):
            yield "block zeroed", content[:start] + bytes(len(block)) + content[start + BLOCK :]
    yield "empty", b""
    yield "twice", content * 2


def instead(path: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what can take a file's place that is none; the file is gone when it is called."""
    yield "gone", lambda: None
    yield "folder instead", path.mkdir
    yield "full folder instead", lambda: (path / "x").mkdir(parents=True)
    yield "dangling link instead", lambda: path.symlink_to("nowhere")
    yield "circle instead", lambda: path.symlink_to(path.name)
    yield "pipe instead", lambda: os.mkfifo(path)


def remove(path: Path) -> None:
    """Remove whatever lies there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def not_allowed(path: Path) -> Iterator[None]:
    """Let nobody read a file, not even root, whom no permission keeps from it."""
    known = builtins.open

    def refuse(file: object, *words: object, **named: object) -> object:
        mode = str(words[0] if words else named.get("mode", "r"))
        if isinstance(file, str | os.PathLike) and Path(file) == path and "r" in mode:
            raise PermissionError(13, "Permission denied", str(path))
        return known(file, *words, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", refuse)
        patch.setattr(io, "open", refuse)
        yield


# JSON by field


def places(value, path=()):
    """Yield the path of every field, of lists the first entry alone."""
    if path:
        yield path
    entries = value.items() if isinstance(value, dict) else ()
    entries = list(enumerate(value))[:1] if isinstance(value, list) else entries
    for key, part in entries:
        yield from places(part, (*path, key))


def damaged(record, path, kind):
    """Return a record as JSON with one field replaced or taken out."""
    record = copy.deepcopy(record)
    place = record
    for key in path[:-1]:
        place = place[key]
    if KINDS[kind] is ABSENT:
        del place[path[-1]]
    else:
        place[path[-1]] = KINDS[kind]
    return json.dumps(record).replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000)
