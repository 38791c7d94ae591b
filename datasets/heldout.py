"""A data set without one of its classes or attributes, whose inputs are the outliers."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from .base import Dataset, Raw, Split, SplitName, Splits, Task, fingerprint
from .errors import DataError
from .variant import Variant

FEWEST = 30  # outliers; with fewer, an AUROC has an error of about 0.1


class HeldOut(Variant):
    """``base`` without every input of one class, or with one attribute.

    With one target, ``what`` is a class: its inputs are left out and the others numbered anew.
    With several it is an attribute: its positives are left out, and so is the target, which would
    be constant. All three parts lack these inputs; `outliers` are those of the test part.
    """

    def __init__(self, base: Dataset, what: str) -> None:
        super().__init__(base, f"without={what}")
        self.what = what

    @property
    def task(self) -> Task:  # type: ignore[override]
        """The task of the base without that target, or without that class."""
        task = self.base.task
        if _is_multiple(task):
            return replace(task, targets=tuple(t for t in task.targets if t != self.what))
        return replace(task, classes=tuple(c for c in task.classes if c != self.what))

    def raw(self, which: SplitName) -> Raw:
        raw = self.base.raw(which)
        rows = ~self._has(raw.y)
        return Raw(raw.x[rows], self._relabelled(raw.y[rows]))

    def splits(self, seed: int) -> Splits:
        """Return the base's parts for this seed, each without the inputs held out."""
        train, val, test = self.base.splits(seed)
        return Splits(self._without(train), self._without(val), self._tested(test))

    def test(self) -> Split:
        """Return the rest of the test part.

        Raises:
            DataError: it has too few outliers to measure anything.
        """
        return self._tested(self.base.test())

    def outliers(self) -> Split:
        """Return the inputs held out of the test part; labels are -1."""
        part = self.base.test()
        rows = self._has(part.y)
        y = torch.full((int(rows.sum()), len(self.task.targets)), -1)
        return Split(part.x[rows], y, self.task, fingerprint(part.fingerprint, "only", self.what))

    def _tested(self, part: Split) -> Split:
        outliers = int(self._has(part.y).sum())
        if outliers < FEWEST:
            raise DataError(
                f"{self.base.label}: only {outliers} of {len(part)} test inputs have "
                f"'{self.what}', too few outliers to measure; hold out something that "
                f"{FEWEST} or more have"
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
        """Return which inputs are held out; labels (N, T) -> bool (N,)."""
        task = self.base.task
        if _is_multiple(task):
            return y[:, task.targets.index(self.what)] == 1
        return y[:, 0] == task.classes.index(self.what)

    def _relabelled(self, y: Tensor) -> Tensor:
        """Turn the base's labels of the other inputs into this task's."""
        task = self.base.task
        if _is_multiple(task):
            return y[:, [t for t, name in enumerate(task.targets) if name != self.what]]
        return y - (y > task.classes.index(self.what)).long()


def holdable(task: Task) -> tuple[str, ...]:
    """Return the names that can be held out: several targets, else the classes."""
    return task.targets if _is_multiple(task) else task.classes


def _is_multiple(task: Task) -> bool:
    return len(task.targets) > 1
