"""Choices by name, each made in a file of its own."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Generic, NamedTuple, TypeVar

from bench.datasets.errors import BenchError

F = TypeVar("F", bound=Callable[..., Any])


class Entry(NamedTuple, Generic[F]):
    """A function that makes a network, and the module it is written in."""

    make: F
    module: str
    on_maps: bool


class Registry(Generic[F]):
    """The functions that the files of one package register by a decorator.

    All files of the package are imported when a name is first looked up. A plug-in registers
    when it is imported. No file imports the others, so a new one changes no other's digest.
    """

    def __init__(self, package: str, kind: str) -> None:
        self.package = package
        self.kind = kind
        self._entries: dict[str, Entry[F]] = {}

    def register(self, name: str, *, on_maps: bool = False) -> Callable[[F], F]:
        """Return the decorator that enters a function under ``name``.

        Args:
            name: the choice on the command line.
            on_maps: whether activations are maps (F, h, w) and not vectors (F,).
        """

        def enter(make: F) -> F:
            entry = Entry(make, make.__module__, on_maps)
            other = self._entries.setdefault(name, entry)
            if other.module != entry.module:
                raise BenchError(
                    f"two files register the {self.kind} '{name}': {other.module} and "
                    f"{entry.module}; rename one"
                )
            return make

        return enter

    def __getitem__(self, name: str) -> Entry[F]:
        known = self.names()
        if name not in known:
            raise BenchError(f"unknown {self.kind} '{name}'. Known: {', '.join(known)}.")
        return self._entries[name]

    def names(self) -> tuple[str, ...]:
        """Return all names in alphabetical order."""
        for module in pkgutil.iter_modules(sys.modules[self.package].__path__):
            import_module(f"{self.package}.{module.name}")
        return tuple(sorted(self._entries))
