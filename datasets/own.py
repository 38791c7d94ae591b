"""What the data sets of a user's own have in common: parts, checks, names, and the transform."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .base import (
    Dataset,
    Kind,
    Raw,
    Split,
    SplitName,
    Splits,
    Task,
    as_bytes,
    fingerprint,
)
from .errors import DataError
from .images import grey, in_chunks, resize
from .placed import Placed

PART_NAMES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
TEST_SHARE = 1 / 5
CHUNK_BYTES = 2**28  # of float32 images that are transformed at once

Picture = Literal["photo", "glyph", "object", "face"]


@dataclass(frozen=True)
class Labels:
    """The class of each input, (N,), the classes by name, and the part of each input.

    ``parts`` holds "train", "val" or "test" for each input.
    """

    y: Tensor
    classes: tuple[str, ...]
    parts: tuple[str, ...]

    def rows(self, part: str) -> Tensor:
        """Return the places of the inputs of one part, in order."""
        return torch.tensor([i for i, of in enumerate(self.parts) if of == part], dtype=torch.long)


class OwnData(Placed, Dataset):
    """Labelled pictures of the user's own. A subclass writes `read_labels` and `read_images`.

    Without a test part a fifth is cut off, the same for every seed; without a validation part a
    twelfth of the training part is, by seed. Both cuts are stratified.

    Args:
        path: where the data lies.
        kind: what the pictures show: outlier sources of the same kind are near, others are far.
        holds: words for the classes, such as digit+letter. A source that holds one of them is no
            outlier set for this data; without words every source is one.
        called: the name in results; by default that of the file or folder.
    """

    hidden = ("kind", "holds")
    source = "the user's own files"
    kind: Kind = "photo"
    content = frozenset({"own pictures"})
    needs_path = True
    fetched_unasked = False
    by_hand = "name it with its place, as in --datasets folder:path=DIR"
    asked_for = "it needs path="

    def __init__(
        self,
        *,
        path: str = "",
        kind: Picture = "photo",
        holds: tuple[str, ...] = (),
        called: str = "",
    ) -> None:
        self.path = path
        self.kind = kind
        self.holds = holds
        self.called = called
        if holds:
            self.content = frozenset(holds)

    @abstractmethod
    def read_labels(self) -> Labels:
        """Return the classes and parts of all inputs.

        Raises:
            DataError: there are none, or they are not of the expected form.
        """

    @abstractmethod
    def read_images(self) -> Tensor:
        """Return all inputs as bytes of the task's shape, (N, C, H, W)."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an input."""

    @property
    def task(self) -> Task:  # type: ignore[override]
        """One target with the classes of the data; without a path there are none yet."""
        if not self.path:
            return Task((1, 1, 1), ("class",), ())
        return Task(self.shape, ("class",), self.labels.classes)

    @cached_property
    def labels(self) -> Labels:
        """The classes and parts, every part whole: the test part is cut off if there is none."""
        labels = self.read_labels()
        self._check(labels)
        if "test" in labels.parts:
            return labels
        rows = labels.rows("train")
        _, test = self.cut(labels.y[rows], TEST_SHARE, "test")
        parts = np.array(labels.parts)
        parts[rows[test]] = "test"
        return Labels(labels.y, labels.classes, tuple(parts.tolist()))

    def place(self) -> Path:
        """Return the path that was given.

        Raises:
            DataError: none was given, or there is nothing.
        """
        if not self.path:
            raise DataError(f"{self.name}: say where the data is, as in {self.name}:path=PLACE")
        place = Path(self.path).expanduser()
        if not place.exists():
            raise DataError(f"{self.name}: {place} does not exist; check path=")
        return place

    def files(self) -> Sequence[Path]:
        return [] if self.where() is None else [self.place()]

    def where(self) -> str | None:
        return self.path if self.path and Path(self.path).expanduser().exists() else None

    def download(self) -> None:
        self.place()

    def raw(self, which: SplitName) -> Raw:
        rows = self.labels.rows(which)
        return Raw(self.read_images()[rows], self.labels.y[rows, None])

    def transform(self, x: Tensor) -> Tensor:
        return fitted_to(x, self.task.shape)

    def splits(self, seed: int) -> Splits:
        x, labels = self.read_images(), self.labels
        train, val = labels.rows("train"), labels.rows("val")
        if not len(val):
            parts = self.cut(labels.y[train], self.val_share, "val", seed)
            train, val = (train[part] for part in parts)
        return Splits(self._part(x, train), self._part(x, val), self._test(x))

    def test(self) -> Split:
        return self._test(self.read_images())

    def _test(self, x: Tensor) -> Split:
        return self._part(x, self.labels.rows("test"))

    def _part(self, x: Tensor, rows: Tensor) -> Split:
        x, y = x[rows], self.labels.y[rows, None]
        digest = fingerprint(self.name, self.version, *self.task.classes, x, y)
        return Split(x, y, self.task, digest)

    def _check(self, labels: Labels) -> None:
        """Raise if there is nothing to learn: one class, a class without training inputs."""
        where, known = f"{self.name}: {self.path}", len(labels.classes)
        if known < 2:
            classes = f"one class alone ('{labels.classes[0]}')" if known else "no class"
            raise DataError(f"{where} has {classes}; a classifier needs two or more")
        train = labels.y[labels.rows("train")]
        counts = train.bincount(minlength=known).tolist()
        cut = sorted({"val", "test"} - {*labels.parts})
        fewest = 1 + len(cut)  # one for each part
        for name, count in zip(labels.classes, counts, strict=True):
            if count == 0:
                raise DataError(f"{where}: class '{name}' is missing from the training part")
            if count < fewest:
                raise DataError(
                    f"{where}: class '{name}' has {count} training inputs, and {fewest} are needed "
                    f"to cut off a {' and a '.join(cut)} part; add some, or leave the class out"
                )


def fitted_to(x: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return images (N, c, h, w) as bytes of ``shape`` (C, H, W), resized with antialiasing."""
    channels, height, width = shape
    if x.dtype == torch.uint8 and x.shape[1:] == shape:
        return x

    def step(part: Tensor) -> Tensor:
        coloured = grey(part) if channels == 1 else part.expand(-1, channels, -1, -1)
        return as_bytes(resize(coloured, height, width))

    largest = max(math.prod(x.shape[1:]), math.prod(shape))
    return in_chunks(step, x, max(1, CHUNK_BYTES // (4 * largest)))
