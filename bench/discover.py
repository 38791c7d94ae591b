"""Find every concrete subclass in a folder, and pick some of them by name.

A file in the folder that defines a concrete subclass is the registration: there is no list.
A choice on the command line is ``name``, ``name:key=value,key=value``, ``name:variant``, a
glob, a tag, or ``all``; choices are separated by commas, and ``key=1,2,3`` is a sweep.
Several names for one parameter are joined: ``key=Bald+Male``.
"""

from __future__ import annotations

import inspect
import itertools
import re
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from bench import plugins
from bench.datasets.named import Named, Value
from bench.errors import BenchError, UnknownNameError, UsageError

N = TypeVar("N", bound=Named)


@dataclass(frozen=True)
class Choice:
    """A class picked by name, the parameters to build it with, and how it is called in tables."""

    cls: type[Named]
    label: str
    params: Mapping[str, Value]
    named: bool  # asked for by its own name, not through a glob, a tag or "all"


def subclasses(package: ModuleType, base: type[N]) -> dict[str, type[N]]:
    """Map `name` to concrete subclass, sorted by name: those of a package and of plug-ins.

    A module that cannot be imported is left out and is among `plugins.problems`.

    Raises:
        BenchError: two classes have one name; the message names both files.
    """
    classes: dict[str, type[N]] = {}
    for module in plugins.members(package):
        for cls in vars(module).values():
            own = (
                inspect.isclass(cls) and cls.__module__ == module.__name__ and hasattr(cls, "name")
            )
            if not (own and issubclass(cls, base) and not inspect.isabstract(cls)):
                continue
            other = classes.setdefault(cls.name, cls)
            if other is not cls:
                raise BenchError(
                    f"two classes are named '{cls.name}': {_place(other)} and {_place(cls)}; "
                    "rename one"
                )
    return dict(sorted(classes.items()))


def _place(cls: type[Named]) -> str:
    return f"{cls.__name__} in {inspect.getsourcefile(cls)}"


def choose(
    kind: str,
    wanted: str,
    known: Mapping[str, type[Named]],
    preset: str | None = None,
    overrides: Mapping[str, Value] | None = None,
) -> list[Choice]:
    """Turn words into choices, in their order and each once.

    ``overrides`` are parameters for every class that has them, unless the words set them.

    Raises:
        UnknownNameError: a name, variant or parameter does not exist; the message suggests one.
        UsageError: a value is of the wrong type, or nothing was asked for.
    """
    choices: dict[str, Choice] = {}
    for name, words in _split(wanted):
        for cls in _matching(kind, name, known):
            common = {k: v for k, v in (overrides or {}).items() if k in cls.defaults()}
            for params in _settings(cls, words, wildcard=name not in known):
                choice = _choice(cls, common | dict(params), preset, named=name in known)
                other = choices.get(choice.label, choice)
                if (other.cls, other.params) != (choice.cls, choice.params):
                    raise UsageError(
                        f"two {kind}s would both be called '{choice.label}' in the results; "
                        "name one of them with called="
                    )
                if choice.named or choice.label not in choices:
                    choices[choice.label] = choice
    if not choices:
        raise UsageError(f"no {kind} was asked for; `python -m bench list` shows them")
    return list(choices.values())


def names(wanted: str) -> list[str]:
    """Return the names, globs and tags among the words, without parameters."""
    return [name for name, _ in _split(wanted)]


def _split(wanted: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, words after the colon); a word that is no name belongs to the one before."""
    name = ""
    words: list[str] = []
    for piece in filter(None, (p.strip() for p in wanted.split(","))):
        continues = "=" in piece.partition(":")[0] or (words and _is_number(piece))
        if continues and name:
            words.append(piece)
            continue
        if name:
            yield name, words
        name, _, rest = piece.partition(":")
        words = [rest] if rest else []
    if name:
        yield name, words


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", text) is not None


def _matching(kind: str, name: str, known: Mapping[str, type[N]]) -> list[type[N]]:
    pattern = "*" if name == "all" else name
    classes = [
        cls
        for key, cls in known.items()
        if (fnmatchcase(key, pattern) or name in cls.tags) and not (name == "all" and cls.asked_for)
    ]
    if not classes:
        tags = {tag for cls in known.values() for tag in cls.tags}
        raise unknown(kind, name, sorted({*known, *tags}))
    return classes


def unknown(kind: str, name: str, known: Sequence[str]) -> UnknownNameError:
    """Return the error for a name that does not exist, with the nearest that does.

    Where a file of that name could not be imported, that is the message.
    """
    for path, reason in plugins.problems().items():
        if Path(path).stem == name:
            return UnknownNameError(f"{kind} '{name}': {path} cannot be imported ({reason})")
    close = get_close_matches(name, known, n=1)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    return UnknownNameError(f"unknown {kind} '{name}'. {hint}Known: {', '.join(known)}.")


def _settings(
    cls: type[Named], words: Sequence[str], *, wildcard: bool
) -> list[Mapping[str, Value]]:
    """Return one parameter map for each setting asked for: variants, overrides, sweeps."""
    if not words:
        return [{}, *cls.variants.values()] if wildcard else [{}]
    fixed: dict[str, Value] = {}
    swept: dict[str, list[str]] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if equals:
            swept[key] = [text]
        elif swept and _is_number(word):
            swept[next(reversed(swept))].append(word)
        elif word in cls.variants:
            fixed |= cls.variants[word]
        else:
            raise unknown(f"variant of {cls.name}", word, list(cls.variants))
    options = [_options(cls, key, texts) for key, texts in swept.items()]
    return [fixed | dict(zip(swept, values, strict=True)) for values in itertools.product(*options)]


def _options(cls: type[Named], key: str, texts: Sequence[str]) -> list[Value]:
    defaults = cls.defaults()
    if key not in defaults:
        raise unknown(f"parameter of {cls.name}", key, list(defaults))
    like = defaults[key]
    if isinstance(like, tuple):
        first = like[0] if like else ""
        pieces = [p for t in texts for p in (t.split("+") if isinstance(first, str) else [t])]
        return [tuple(_value(cls, key, p, first) for p in pieces)]
    return [_value(cls, key, t, like) for t in texts]


def _value(cls: type[Named], key: str, text: str, like: Value) -> Value:
    """Read ``text`` as the type of the default ``like``."""
    if isinstance(like, str):
        if (known := cls.choices(key)) and text not in known:
            raise unknown(f"{key} of {cls.name}", text, known)
        return text
    try:
        value = literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(like, float) and type(value) is int:
        value = float(value)
    if like is not None and type(value) is not type(like):
        raise UsageError(
            f"{cls.name}: parameter '{key}' takes {_article(type(like).__name__)}, not '{text}'"
        )
    least = cls.minima().get(key)
    if least is not None and isinstance(value, int | float) and not value >= least:
        raise UsageError(f"{cls.name}: parameter '{key}' is at least {least:g}, not {text}")
    return value


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"


def _choice(
    cls: type[Named], params: Mapping[str, Value], preset: str | None, *, named: bool
) -> Choice:
    defaults = cls.defaults(preset)
    changed = {k: written(v) for k, v in sorted(params.items()) if v != defaults[k]}
    return Choice(cls, cls.label_of(changed), defaults | dict(params), named)


def written(value: Value) -> str:
    """Return a value as it is typed on the command line."""
    if not isinstance(value, tuple):
        return str(value)
    return ("+" if value and isinstance(value[0], str) else ",").join(map(str, value))
