"""Classes chosen by name on the command line: data sets, methods and scenarios."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

Value = int | float | str | bool | None | tuple["Value", ...]


class Named:
    """A class with a name, a source, and keyword-only parameters that are stored unchanged.

    A constructor stores each parameter under its own name and does nothing else, so that
    parameters can be listed, overridden on the command line, and written into cache keys.
    A subclass may take ``**inherited`` and pass it on: its parameters are then its own
    followed by those of the class above. `inspect.signature` and ``help`` show all of them.

    ``tags`` are words that choose all classes that have them; ``variants`` are named parameters,
    which a glob runs as well. ``minimum`` holds the least value of a numeric parameter. "all"
    leaves out a class with ``asked_for``, which says why.
    """

    name: str
    source: str
    version: int = 1
    tags: ClassVar[frozenset[str]] = frozenset()
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {}
    variants: ClassVar[Mapping[str, Mapping[str, Value]]] = {}
    minimum: ClassVar[Mapping[str, float]] = {}
    asked_for: ClassVar[str] = ""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.__signature__ = inspect.Signature(_parameters(cls))  # type: ignore[attr-defined]

    _asked: str = ""

    @property
    def label(self) -> str:
        """The name in tables, paths and keys, with the parameters that were asked for."""
        return self._asked or self.name

    @label.setter
    def label(self, asked: str) -> None:
        self._asked = asked

    @classmethod
    def label_of(cls, changed: Mapping[str, str]) -> str:
        """Return the label under the parameters that were asked for, each as it is typed."""
        words = ",".join(f"{key}={text}" for key, text in changed.items())
        return f"{cls.name}:{words}" if words else cls.name

    @classmethod
    def defaults(cls, preset: str | None = None) -> dict[str, Value]:
        """Return every parameter with its default, or with the default that ``preset`` sets."""
        parameters = _parameters(cls)
        values = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        if preset is not None:
            for owner in reversed(cls.__mro__):
                chosen = vars(owner).get("presets", {}).get(preset, {})
                values.update({k: v for k, v in chosen.items() if k in values})
        return values

    @classmethod
    def minima(cls) -> dict[str, float]:
        """Return the least value of each parameter that has one, those of base classes too."""
        least: dict[str, float] = {}
        for owner in reversed(cls.__mro__):
            least |= vars(owner).get("minimum", {})
        return least

    @classmethod
    def choices(cls, parameter: str) -> tuple[str, ...]:
        """Return the values of a parameter whose type is a `Literal` of words; () for any other."""
        for owner in cls.__mro__:
            hints = get_type_hints(vars(owner).get("__init__", lambda: None))
            if parameter in hints:
                hint = hints[parameter]
                return get_args(hint) if get_origin(hint) is Literal else ()
        return ()

    def params(self) -> dict[str, Value]:
        """Return the constructor's arguments as they are now."""
        return {name: getattr(self, name) for name in self.defaults()}


def _parameters(cls: type) -> list[inspect.Parameter]:
    """Return the parameters of a constructor, and of those above that ``**`` passes them on to."""
    merged: dict[str, inspect.Parameter] = {}
    for owner in cls.__mro__:
        if owner is object or "__init__" not in vars(owner):
            continue
        own = list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]
        for parameter in own:
            if parameter.kind is not parameter.VAR_KEYWORD:
                merged.setdefault(parameter.name, parameter)
        if not any(p.kind is p.VAR_KEYWORD for p in own):
            break
    return sorted(merged.values(), key=lambda p: p.kind)
