"""What names data and networks of the user's own: the file or folder, but not where it lies."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from .base import Source


class Placed(Source):
    """Data at a place that the user names with the parameter ``path``.

    All of its parameters decide what is read. Those of ``hidden`` are left out of its label.
    """

    hidden: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def label_of(cls, changed: Mapping[str, str]) -> str:
        return own_label(cls.name, changed, hidden=cls.hidden)

    @cached_property
    def label(self) -> str:
        """The kind of data and the name of the file or folder."""
        words = {k: str(v) for k, v in self.params().items() if v != self.defaults()[k]}
        return self.label_of(dict(sorted(words.items())))

    def _identity(self) -> tuple[object, ...]:  # type: ignore[override]
        return (*super()._identity(), *self.params().values())


def own_label(name: str, changed: Mapping[str, str], hidden: tuple[str, ...] = ()) -> str:
    """Return a short name for results: what it is, the stem of its path, other parameters.

    The folder is left out, because results are read on other machines.
    """
    words = dict(changed)
    path, called = words.pop("path", ""), words.pop("called", "")
    stem = called or Path(path).expanduser().absolute().stem if path else called
    plain = re.sub(r"[^\w.-]+", "_", stem)
    rest = ",".join(f"{key}={text}" for key, text in words.items() if key not in hidden)
    return (f"{name}-{plain}" if plain else name) + (f":{rest}" if rest else "")
