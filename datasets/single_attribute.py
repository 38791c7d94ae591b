"""A data set with one of its attributes as the only target."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from .base import Dataset, Raw, Split, SplitName, Splits, Task, attribute_place, fingerprint
from .errors import DataError
from .variant import Variant


class SingleAttribute(Variant):
    """The inputs of ``base`` with the single target ``target``.

    All targets of the base become attributes of every split.

    Raises:
        DataError: the base has no such attribute, or none at all.
    """

    def __init__(self, base: Dataset, target: str) -> None:
        if len(base.task.targets) < 2 or len(base.task.classes) != 2:
            raise DataError(f"{base.label} has no attributes, so none called '{target}'")
        super().__init__(base, f"target={target}")
        self.target = target
        self.column, self.inverted = attribute_place(target, base.task.targets)

    @property
    def task(self) -> Task:  # type: ignore[override]
        """One binary target."""
        return replace(
            self.base.task, targets=(self.target,), classes=(f"not {self.target}", self.target)
        )

    def raw(self, which: SplitName) -> Raw:
        raw = self.base.raw(which)
        return Raw(raw.x, self._labels(raw.y))

    def splits(self, seed: int) -> Splits:
        return Splits(*(self._single(part) for part in self.base.splits(seed)))

    def test(self) -> Split:
        return self._single(self.base.test())

    def _single(self, part: Split) -> Split:
        return Split(
            part.x,
            self._labels(part.y),
            self.task,
            fingerprint(part.fingerprint, "target", self.target),
            attributes=part.y,
            attribute_names=part.task.targets,
        )

    def _labels(self, y: Tensor) -> Tensor:
        label = y[:, [self.column]]
        return 1 - label if self.inverted else label


def single_attribute(data: Dataset, target: str) -> SingleAttribute:
    """Return the inputs of ``data`` with ``target`` in place of its targets.

    Raises:
        DataError: it has no such attribute, or predicts it already.
    """
    if not isinstance(data, SingleAttribute):
        return SingleAttribute(data, target)
    single = SingleAttribute(data.base, target)
    if single.column == data.column:
        raise DataError(f"'{target}' is what {data.label} predicts; protect another attribute")
    return single
