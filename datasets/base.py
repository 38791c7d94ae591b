"""What every data set and every outlier source in this folder provides.

Sizes used throughout the project: N inputs, S samples of the predictive distribution,
T targets predicted at once, K classes of each target, L hidden blocks, F features.
Images are (N, C, H, W), as bytes or as float32 in [0, 1].
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor

from .errors import DataError
from .named import Named
from .store import Store

SplitName = Literal["train", "test"]
Kind = Literal["glyph", "object", "photo", "noise", "face", "speech"]


def derive_seed(*parts: object) -> int:
    """Hash names into a 32-bit seed, so that adding a method or a view never reseeds the others."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def generator(*parts: object) -> torch.Generator:
    """Return a CPU generator seeded from names."""
    return torch.Generator().manual_seed(derive_seed(*parts))


def fingerprint(*parts: object) -> str:
    """Return sixteen hex digits that stand for the given tensors, arrays and names."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            part = part.detach().cpu().contiguous().numpy()
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(f"|{part}".encode())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Task:
    """What is predicted: T targets of K classes each, from inputs of shape (C, H, W)."""

    shape: tuple[int, int, int]
    targets: tuple[str, ...]
    classes: tuple[str, ...]


class Raw(NamedTuple):
    """Images as the source has them, before any transform: bytes (N, C, h, w), labels (N, T)."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs ``x`` (N, C, H, W), labels ``y`` (N, T) and the task they belong to.

    ``x`` holds bytes or float32 in [0, 1]; `floats` gives either as float32 in [0, 1].
    ``attributes`` (N, A), where there are any, say more about each input than the task asks;
    ``attribute_names`` are their A names.
    """

    x: Tensor
    y: Tensor
    task: Task
    fingerprint: str
    attributes: Tensor | None = None
    attribute_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def floats(self, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return the chosen inputs as float32 in [0, 1]."""
        return as_floats(self.x[rows])

    def attribute(self, name: str) -> Tensor:
        """Return one attribute of every input, (N,), 0 or 1: told beside the targets, or a target.

        Raises:
            DataError: the data says nothing of it.
        """
        values = self.y if self.attributes is None else self.attributes
        column, turned = attribute_place(name, self.attribute_names or self.task.targets)
        return 1 - values[:, column] if turned else values[:, column]


def attribute_place(name: str, known: tuple[str, ...]) -> tuple[int, bool]:
    """Return where an attribute is among those known, and whether it stands there turned around.

    "Beard" is known where "No_Beard" is.

    Raises:
        DataError: there is none of that name.
    """
    if name in known:
        return known.index(name), False
    if f"No_{name}" in known:
        return known.index(f"No_{name}"), True
    close = get_close_matches(name, known, n=1)
    hint = f"Did you mean '{close[0]}'? " if close else ""
    raise DataError(f"the data has no attribute '{name}'. {hint}Known: {', '.join(known)}.")


def as_floats(x: Tensor) -> Tensor:
    """Return images as float32 in [0, 1]; bytes are divided by 255."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def as_bytes(x: Tensor) -> Tensor:
    """Round images with values in [0, 1] to bytes."""
    return x if x.dtype == torch.uint8 else x.mul(255).round_().clamp_(0, 255).byte()


class Splits(NamedTuple):
    """The three parts of a data set for one seed."""

    train: Split
    val: Split
    test: Split


@dataclass(frozen=True, eq=False)
class View:
    """One set of test inputs: what it is, how strong, and how to get it when it is needed.

    ``fingerprint`` is known before ``load`` is called, so a cached prediction costs no data.

    Args:
        name: such as "clean", "letters" or "fog".
        fingerprint: changes whenever the inputs do.
        n: the number of inputs.
        load: returns the inputs (N, C, H, W), as bytes or as float32 in [0, 1].
        y: labels (N, T), or None where no class applies.
        severity: strength of the shift, 0 where it has none.
        group: a part of its scenario, such as "near" and "far".
    """

    name: str
    fingerprint: str
    n: int
    load: Callable[[], Tensor]
    y: Tensor | None = None
    severity: float = 0.0
    group: str = ""


class Source(Named, ABC):
    """A named collection of images: anything that can stand in for "other data".

    A subclass writes `name`, `source`, `kind`, `content` and `raw`. ``content`` names the classes
    it holds in words ("digit", "letter"); a source is an outlier set only for data sets
    with which it shares none. ``kind`` decides near (the same kind) or far.
    """

    kind: ClassVar[Kind]
    content: ClassVar[frozenset[str]]
    embedded: ClassVar[bool] = False  # True: needs no file and no download
    needs_path: ClassVar[bool] = False  # True: the user's own files, nothing without `path`
    fetched_unasked: ClassVar[bool] = True  # False: `data download` fetches it, a run does not
    by_hand: ClassVar[str] = ""  # how to get data that has no open download

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[type, str, Store]:
        return type(self), self.label, self.store

    @cached_property
    def store(self) -> Store:
        """Where files are looked for; the command line sets it, else the environment does."""
        return Store.from_environment()

    @abstractmethod
    def raw(self, which: SplitName) -> Raw:
        """Return the official training or test images; an outlier-only source has "test" alone.

        Raises:
            DataError: the files are neither found nor downloadable, or are damaged.
        """

    def is_near(self, data: Source) -> bool:
        """Return whether it is a near outlier set for ``data``: one of the same kind."""
        return self.kind == data.kind

    def where(self) -> str | None:
        """Say where the data was found ("embedded", or a path), or None."""
        return "embedded" if self.embedded else None

    def download(self) -> None:
        """Fetch what is missing into the data root; embedded sources need nothing."""


class Dataset(Source):
    """A classification problem: a source with a task and the transform all its inputs go through.

    ``transform`` takes images of any source and of any size and returns bytes of the task's
    shape, so that inliers, outliers and corrupted images go through exactly the same steps.
    """

    task: ClassVar[Task]
    val_share: ClassVar[float] = 1 / 12

    @abstractmethod
    def transform(self, x: Tensor) -> Tensor:
        """Turn images (N, c, h, w), bytes or float in [0, 1], into bytes (N, C, H, W)."""

    def splits(self, seed: int) -> Splits:
        """Return training, validation and test parts.

        The validation part is cut from the official training part, by seed and stratified by the
        first target; the test part is the official one whatever the seed.
        """
        raw = self.raw("train")
        x, y = self.transform(raw.x), raw.y
        mark = fingerprint(self.name, self.version, x, y)
        rows = np.arange(len(x))
        state = derive_seed(self.name, "val", seed)
        train, val = train_test_split(
            rows, test_size=self.val_share, random_state=state, stratify=y[:, 0].numpy()
        )
        parts = {"train": torch.from_numpy(np.sort(train)), "val": torch.from_numpy(np.sort(val))}
        made = {
            part: Split(x[i], y[i], self.task, fingerprint(mark, part, seed))
            for part, i in parts.items()
        }
        return Splits(made["train"], made["val"], self.test())

    def test(self) -> Split:
        """Return the official test part."""
        raw = self.raw("test")
        x = self.transform(raw.x)
        return Split(x, raw.y, self.task, fingerprint(self.name, self.version, x, raw.y))

    def outlier_split(self, images: Tensor) -> Split:
        """Put foreign images (N, c, h, w) through this data set's transform; labels are -1."""
        x = self.transform(images)
        y = torch.full((len(x), len(self.task.targets)), -1)
        return Split(x, y, self.task, fingerprint(self.name, self.version, x))
