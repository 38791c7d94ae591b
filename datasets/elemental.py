"""A data set whose training part shows each image plain and under each of six corruptions."""

from __future__ import annotations

import torch
from torch import Tensor

from .base import (
    Dataset,
    Raw,
    Split,
    SplitName,
    Splits,
    Task,
    fingerprint,
    generator,
)
from .corruptions import corrupt
from .variant import Variant

# One of noise, of blur, two of geometry, one of light, one drawn over: none undoes another.
ELEMENTAL = ("impulse_noise", "motion_blur", "rotate", "scale", "stripe", "zigzag")
PLAIN = 0  # version of an image without a corruption; version i + 1 is ELEMENTAL[i]
NAMES = ("version", "image")  # attributes of every input: which corruption, of which image


class Elemental(Variant):
    """``base`` with seven versions of each training image, six of them corrupted once.

    Inputs come version by version: input v * n + i is version v of image i, for n images, and the
    attributes of each input are v and i. The test part is the base's own, without corruptions.

    Args:
        base: a data set whose validation part is cut from its training part.
        images: most training images, drawn by a seed made from names.
    """

    def __init__(self, base: Dataset, images: int) -> None:
        super().__init__(base, f"elemental={images}")
        self.images = images

    @property
    def task(self) -> Task:  # type: ignore[override]
        """The base's."""
        return self.base.task

    def raw(self, which: SplitName) -> Raw:
        return self.base.raw(which)

    def splits(self, seed: int) -> Splits:
        """Return the versions of the base's training and validation images, and its test part."""
        raw = self.base.raw("train")
        parts = self.base.cut(raw.y[:, 0], self.val_share, "val", seed)
        train, val = (
            self._versions(Raw(raw.x[rows], raw.y[rows]), name, seed)
            for name, rows in zip(("train", "val"), map(self._drawn, parts), strict=True)
        )
        return Splits(train, val, self.test())

    def test(self) -> Split:
        return self.base.test()

    def code_modules(self) -> tuple[str, ...]:
        return (*super().code_modules(), "bench.datasets.corruptions")

    def _drawn(self, rows: Tensor) -> Tensor:
        order = torch.randperm(len(rows), generator=generator("elemental", self.base.name))
        return rows[order[: self.images].sort().values]

    def _versions(self, raw: Raw, part: str, seed: int) -> Split:
        x = torch.cat([self.transform(chain(raw.x, o, self.base.name, part)) for o in SINGLE])
        n, copies = len(raw.x), len(SINGLE)
        versions = torch.arange(copies).repeat_interleave(n)
        attributes = torch.stack([versions, torch.arange(n).repeat(copies)], dim=1)
        y = raw.y.repeat(copies, 1)
        mark = fingerprint(self.name, self.version, x, y, part, seed)
        return Split(x, y, self.task, mark, attributes, NAMES)


SINGLE: tuple[tuple[str, ...], ...] = ((), *((name,) for name in ELEMENTAL))


def chain(x: Tensor, order: tuple[str, ...], *key: object) -> Tensor:
    """Return images (N, c, h, w), as recorded, corrupted by each of ``order`` in turn.

    What is random is seeded from ``key``, the place in the order and the name of the corruption.
    """
    for place, name in enumerate(order):
        x = corrupt(name, x, *key, "elemental", place)
    return x


def versions(split: Split) -> tuple[Tensor, Tensor] | None:
    """Return version and image of each input, (N,) each, or None where there are no versions."""
    if split.attributes is None or split.attribute_names != NAMES:
        return None
    return split.attributes[:, 0], split.attributes[:, 1]
