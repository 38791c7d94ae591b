"""A class or attribute that training never saw, as outliers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import ClassVar

from bench.datasets.base import Dataset, View, fingerprint
from bench.datasets.described import Described, described, undescribed
from bench.datasets.heldout import HeldOut, holdable
from bench.datasets.named import Value
from bench.datasets.speech import WithoutSpeakers
from bench.discover import unknown
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.store.code import code_digest
from bench.store.schema import Headline

USUAL = "usual"
OF_THE_PAPER = ("Wearing_Hat", "Blond_Hair", "Bald")


class Heldout(ShiftScenario):
    """Fits without every positive of an attribute, or without a class; outliers are just those.

    Each thing held out is a fit of its own, with a training, validation and clean test part that
    lack it. A run makes many fits, so neither "ood" nor "all" contains it, and "paper" only for
    the paper's attributes: ask for it by name.

    Args:
        hold: attributes or classes, each held out in turn. "usual" stands for the paper's three
            attributes of faces, and elsewhere for every class or attribute.
        most: largest number of attributes or classes that "usual" stands for.
    """

    name = "heldout"
    source = "Wu et al. 2021, table 3"
    question = "Is it less sure of a kind of input that training left out?"
    tags: ClassVar[frozenset[str]] = frozenset({"heldout", "paper"})
    asked_for = "it makes a fit for every class or attribute held out"
    presets: ClassVar[Mapping[str, Mapping[str, Value]]] = {"smoke": {"most": 2}}

    def __init__(
        self, *, hold: tuple[str, ...] = (USUAL,), most: int = 40, **inherited: int
    ) -> None:
        super().__init__(**inherited)
        self.hold = hold
        self.most = most

    def headlines(self) -> Sequence[Headline]:
        return [Headline("held out", order=40)]

    def skip(self, data: Dataset) -> str | None:
        if len(holdable(data.task)) < 3:
            return f"{data.name} has two classes, and one alone is nothing to learn"
        return None

    def named_only(self, data: Dataset) -> bool:
        return not any(name in holdable(data.task) for name in OF_THE_PAPER)

    def training(self, data: Dataset) -> Sequence[Dataset]:
        return [HeldOut(data, what) for what in self._held(data)]

    def _held(self, data: Dataset) -> list[str]:
        """Return the classes or attributes to hold out of ``data``, each once.

        Raises:
            UnknownNameError: the data has no such class or attribute.
        """
        known = holdable(data.task)
        default = [name for name in OF_THE_PAPER if name in known] or list(known)
        held: dict[str, None] = {}
        for name in self.hold:
            if name != USUAL and name not in known:
                what = "class" if known == data.task.classes else "attribute"
                raise unknown(f"{what} of {data.name}", name, known)
            held |= dict.fromkeys(default[: self.most] if name == USUAL else [name])
        return list(held)

    def views(self, evaluator: Evaluator) -> Views:
        data = evaluator.data
        if not isinstance(data, HeldOut):
            raise TypeError(f"{data.label} has nothing held out")
        outliers = held_out(data)
        rows = self.drawn(outliers.n, len(evaluator.test), data.name, self.name)
        digest = fingerprint(outliers.fingerprint, rows)
        return Views([View(data.what, digest, len(rows), lambda: outliers.load().x[rows])], {})


@lru_cache(maxsize=4)
def held_out(data: HeldOut | WithoutSpeakers) -> Described:
    """Return the outliers of a data set with a part held out, described and not read."""
    if (identity := data.identity()) is None:
        return undescribed(data.outliers)
    key = fingerprint(data.version, code_digest(*data.code_modules()), identity)
    return described(data.store, f"held-out/{data.label}", key, cache(data.outliers))
