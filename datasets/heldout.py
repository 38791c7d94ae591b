"""A data set without one of its classes or attributes, which are then the outliers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .base import Dataset, Raw, Split, SplitName, Splits, Task, fingerprint
from .errors import DataError
from .variant import Variant

FEWEST = 30  # outliers below which a detection says next to nothing


class HeldOut(Variant):
    """``base`` without every input that is, or has, ``what``.

    With one target, ``what`` is a class: its inputs are left out and the others numbered anew.
    With several it is an attribute: its positives are left out, and so is it as a target, which
    would be constant. All three parts are without it; `outliers` has those of the test part.
    """

    def __init__(self, base: Dataset, what: str) -> None:
        super().__init__(base, f"without={what}")
        self.what = what

    @property
    def task(self) -> Task:  # type: ignore[override]
        """The task of the base with one target, or one class, less."""
        task = self.base.task
        if _is_multiple(task):
            return replace(task, targets=tuple(t for t in task.targets if t != self.what))
        return replace(task, classes=tuple(c for c in task.classes if c != self.what))

    def raw(self, which: SplitName) -> Raw:
        raw = self.base.raw(which)
        rows = ~self._has(raw.y)
        return Raw(raw.x[rows], self._relabelled(raw.y[rows]))

    def splits(self, seed: int) -> Splits:
        """Return the base's parts for this seed, each without what is held out."""
        train, val, test = self.base.splits(seed)
        return Splits(self._without(train), self._without(val), self._tested(test))

    def test(self) -> Split:
        """Return what is left of the test part.

        Raises:
            DataError: there are too few outliers in it to measure anything.
        """
        return self._tested(self.base.test())

    def outliers(self) -> Split:
        """Return the inputs of the test part that have what is held out; labels are -1."""
        part = self.base.test()
        rows = self._has(part.y)
        y = torch.full((int(rows.sum()), len(self.task.targets)), -1)
        mark = fingerprint(part.fingerprint, "only", self.what)
        return Split(part.x[rows], y, self.task, mark)

    def _tested(self, part: Split) -> Split:
        found = int(self._has(part.y).sum())
        if found < FEWEST:
            raise DataError(
                f"{self.base.label}: only {found} of {len(part)} test inputs have '{self.what}', "
                f"too few outliers to measure; hold out something that {FEWEST} or more have"
            )
        return self._without(part)

    def _without(self, part: Split) -> Split:
        rows = ~self._has(part.y)
        return replace(
            part,
            x=part.x[rows],
            y=self._relabelled(part.y[rows]),
            task=self.task,
            fingerprint=fingerprint(part.fingerprint, "without", self.what),
            attributes=None if part.attributes is None else part.attributes[rows],
        )

    def _has(self, y: Tensor) -> Tensor:
        """Tell of each input whether it is to be left out; labels (N, T) -> bool (N,)."""
        task = self.base.task
        if _is_multiple(task):
            return y[:, task.targets.index(self.what)] == 1
        return y[:, 0] == task.classes.index(self.what)

    def _relabelled(self, y: Tensor) -> Tensor:
        """Turn the base's labels of what is left into this task's."""
        task = self.base.task
        if _is_multiple(task):
            return y[:, [t for t, name in enumerate(task.targets) if name != self.what]]
        return y - (y > task.classes.index(self.what)).long()


def holdable(task: Task) -> tuple[str, ...]:
    """Return what can be held out: the targets where there are several, else the classes."""
    return task.targets if _is_multiple(task) else task.classes


def _is_multiple(task: Task) -> bool:
    return len(task.targets) > 1
