"""``bench list``: what there is, from a copy that is kept as long as no file of ours changes.

Importing every method, data set and scenario takes seconds, and this module imports none of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from platformdirs import user_cache_path

import bench
from bench import datasets, methods, plugins
from bench.commands.listing import Entry, Parameter, console, table
from bench.discover import unknown
from bench.errors import WriteError
from bench.store.files import write

TUNED = ("methods", "scores")  # kinds that say how their settings were chosen
KINDS = ("methods", "datasets", "sources", "scenarios", "scores", "metrics", "presets")


class _Kept(msgspec.Struct):
    digest: str
    entries: list[Entry]


def show(words: Sequence[str]) -> None:
    """Print the lists that are asked for, or all of them; of a name, all that is known.

    Raises:
        UnknownNameError: a word is neither a list nor a name.
    """
    known = load()
    names = {entry.name for entry in known}
    for word in words:
        if word not in KINDS and word not in names:
            raise unknown("list or name", word, [*KINDS, *sorted(names)])
    for kind in words or [kind for kind in KINDS if kind != "sources"]:
        if kind in KINDS:
            _list(kind, [entry for entry in known if entry.kind == kind])
        else:
            _explain([entry for entry in known if entry.name == kind])


def load() -> list[Entry]:
    """Return every entry: from the copy if no file changed since, else from the classes."""
    path, digest = _place(), _digest()
    with suppress(OSError, msgspec.MsgspecError):
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        if digest and kept.digest == digest:
            return kept.entries
    from bench.commands.inventory import entries

    current = entries()
    if digest and not plugins.problems():
        with suppress(WriteError):  # a folder that cannot be written to only costs time
            write(path, msgspec.json.encode(_Kept(digest, current)))
    return current


def _place() -> Path:
    root = os.environ.get("BENCH_DATA") or user_cache_path("bench", appauthor=False)
    return Path(root, "derived", "catalogue.json")


def _digest() -> str:
    """Return a digest of every file that may declare a name; "" where packages declare some."""
    if plugins.installed():
        return ""
    folders = [Path(folder) for folder in (*methods.__path__, *datasets.__path__)]
    folders.append(bench.HERE)
    named = plugins.named(os.environ.get(plugins.VARIABLE, ""))
    folders += [path if path.is_dir() else path.parent for path in named]
    files = sorted({file for folder in folders for file in folder.rglob("*.py")})
    digest = hashlib.sha256("\n".join(map(str, named)).encode())
    for file in files:
        digest.update(f"\n{file}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _list(kind: str, entries: Iterable[Entry]) -> None:
    lines = []
    for entry in entries:
        named = {"": (entry.name, entry.line)}
        for variant, values in entry.variants.items():
            named[variant] = f"{entry.name}:{variant}", f"the same with {values}"
        for variant, about in named.items():
            tuned = [entry.tuned[variant]] if entry.tuned else []
            lines.append((*about, *tuned, entry.source))
    tuned = ["tuned by"] if kind in TUNED else []
    table(kind, ("name", "what it is", *tuned, "source"), lines)


def _explain(entries: Sequence[Entry]) -> None:
    """Print one name; a data set is listed as a source too, and is explained once."""
    entry = entries[0]
    output = console()
    output.print(f"{entry.name}, one of the {entry.kind}\n\n{entry.text or entry.line}\n")
    if entry.source:
        output.print(f"Source: {entry.source}\n")
    if entry.tuned:
        output.print(f"Tuned by: {entry.tuned['']}\n")
    lines = [(p.name, p.default, _sizes(p), _meaning(p)) for p in entry.parameters]
    if lines:
        table("parameters", ("name", "default", "with a preset", "meaning"), lines)
    for variant, values in entry.variants.items():
        output.print(f"{entry.name}:{variant} is {entry.name} with {values}")


def _sizes(parameter: Parameter) -> str:
    return ", ".join(f"{preset} {value}" for preset, value in parameter.presets.items())


def _meaning(parameter: Parameter) -> str:
    words = [parameter.meaning] if parameter.meaning else []
    if parameter.choices:
        words.append(f"One of {', '.join(parameter.choices)}.")
    if parameter.minimum is not None:
        words.append(f"At least {parameter.minimum:g}.")
    return " ".join(words)
