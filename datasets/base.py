"""Base classes of all data sets and outlier sources.

Sizes used throughout the project: N inputs, S samples of the predictive distribution,
T targets predicted at once, K classes of each target, L hidden blocks, F features.
Images are (N, C, H, W), as bytes or as float32 in [0, 1].
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .errors import DataError
from .named import Named
from .store import Store, damaged, stamps

SplitName = Literal["train", "test"]
Kind = Literal["glyph", "object", "photo", "noise", "face", "speech", "record"]
Modality = Literal["image", "sound", "table"]


def derive_seed(*parts: object) -> int:
    """Hash names into a 32-bit seed, so that adding a method or a view never reseeds the others."""
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def generator(*parts: object) -> torch.Generator:
    """Return a CPU generator seeded from names."""
    return torch.Generator().manual_seed(derive_seed(*parts))


def stratified(y: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return sorted indices of two parts, the second with a ``share`` of every class in y (N,).

    The second has as many inputs as there are classes, at least.
    """
    from sklearn.model_selection import train_test_split  # seconds that a listing does not need

    count = max(math.ceil(share * len(y)), len(y.unique()))
    parts = train_test_split(
        np.arange(len(y)), test_size=count, random_state=seed, stratify=y.numpy()
    )
    first, second = (torch.from_numpy(np.sort(part)) for part in parts)
    return first, second


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


class Harmless(NamedTuple):
    """Changes of an input that leave its labels as they are.

    Args:
        shift: the most pixels that it may be moved, in either direction.
        flip: whether left and right may be exchanged.
    """

    shift: int = 0
    flip: bool = False


NO_CHANGE = Harmless()


@dataclass(frozen=True)
class Task:
    """The prediction problem: T targets of K classes each, from inputs of shape (C, H, W)."""

    shape: tuple[int, int, int]
    targets: tuple[str, ...]
    classes: tuple[str, ...]
    harmless: Harmless = NO_CHANGE


class Raw(NamedTuple):
    """Images of a source before any transform: bytes (N, C, h, w), and labels (N, T)."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Inputs with their labels.

    Args:
        x: inputs (N, C, H, W), bytes or float32 in [0, 1]; `floats` returns either as float32.
        y: labels (N, T).
        task: the prediction problem.
        fingerprint: changes whenever inputs or labels do.
        attributes: further attributes of each input, (N, A), or None.
        attribute_names: their A names.
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
        """Return one attribute of every input, (N,), 0 or 1: a further attribute, or a target.

        Raises:
            DataError: the data has no attribute of that name.
        """
        values = self.y if self.attributes is None else self.attributes
        column, inverted = attribute_place(name, self.attribute_names or self.task.targets)
        return 1 - values[:, column] if inverted else values[:, column]


def attribute_place(name: str, known: tuple[str, ...]) -> tuple[int, bool]:
    """Return the column of an attribute, and whether that column holds its opposite.

    "Beard" is the opposite of the column "No_Beard".

    Raises:
        DataError: there is neither.
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
    """One set of test inputs, which is loaded when it is needed.

    ``fingerprint`` is known before ``load`` is called, so a cached prediction reads no data.

    Args:
        name: for example "clean", "letters" or "fog".
        fingerprint: changes whenever the inputs do.
        n: the number of inputs.
        load: returns the inputs (N, C, H, W), as bytes or as float32 in [0, 1].
        y: labels (N, T), or None for inputs of no known class.
        severity: strength of the shift, 0 for a shift without strengths.
        group: a part of its scenario, for example "near" or "far".
    """

    name: str
    fingerprint: str
    n: int
    load: Callable[[], Tensor]
    y: Tensor | None = None
    severity: float = 0.0
    group: str = ""


class Source(Named, ABC):
    """A named collection of images, of recordings or of rows of a table.

    A subclass writes `name`, `source`, `kind`, `content` and `raw`, and for data from files
    `files`. ``content`` names the classes it holds in words ("digit", "letter"): a source is an
    outlier set only for data sets with which it shares none. Outliers of the same ``kind`` are
    near, others are far.
    """

    kind: Kind
    content: frozenset[str]
    modality: Modality = "image"
    embedded: bool = False  # True: needs no file and no download
    needs_path: bool = False  # True: the user's own files, nothing without `path`
    fetched_unasked: bool = True  # False: `data download` fetches it, a run does not
    met_unasked: bool = True  # False: outliers only where `cross_dataset:sources=` names it
    by_hand: str = ""  # how to get data that has no open download
    _store: Store | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[type, str, Store]:
        return type(self), self.label, self.store

    @property
    def label(self) -> str:
        """The name in tables, paths and keys; it says of a part of the published set how large."""
        return (self._asked or self.name).replace(self.name, f"{self.name}{self.extent()}", 1)

    @label.setter
    def label(self, asked: str) -> None:
        self._asked = asked

    def extent(self) -> str:
        """Return a suffix for the label such as "-600"; "" for the whole set, or for no set."""
        return ""

    @property
    def store(self) -> Store:
        """The folders of the data; the environment decides until the command line sets it."""
        if self._store is None:
            self._store = Store.from_environment()
        return self._store

    @store.setter
    def store(self, store: Store) -> None:
        self._store = store

    @property
    def shows_people(self) -> bool:
        """Whether its pictures show people: none is written where git would add it."""
        return self.kind == "face"

    @abstractmethod
    def raw(self, which: SplitName) -> Raw:
        """Return the official training or test images; an outlier-only source has "test" alone.

        Raises:
            DataError: the files are absent and cannot be downloaded, or are damaged.
        """

    def files(self) -> Sequence[Path]:
        """Return the files and folders that `raw` reads; none where the data is absent."""
        return ()

    def identity(self) -> str | None:
        """Return a fingerprint of the data as it lies on disk, or None where it is absent.

        It is made of the `Stamp` of each file, and of ``version``: nothing is read.
        """
        files = self.files()
        if not files and not self.embedded:
            return None
        try:
            return fingerprint(self.name, self.version, self.params(), *stamps(files))
        except OSError as error:
            raise damaged(self.name, Path(error.filename), error) from error

    def code_modules(self) -> tuple[str, ...]:
        """Return the modules whose code makes or changes the images."""
        return (type(self).__module__,)

    def is_near(self, data: Source) -> bool:
        """Return whether it is a near outlier set for ``data``: one of the same kind."""
        return self.kind == data.kind

    def where(self) -> str | None:
        """Return where the data lies ("embedded", or a path), or None where it is absent."""
        if self.embedded:
            return "embedded"
        return ", ".join(map(str, self.files())) or None

    def download(self) -> None:
        """Fetch what is missing into the data root; embedded sources need nothing."""


class Dataset(Source):
    """A classification problem: a source with a task and a transform.

    ``transform`` takes images of any source and of any size and returns bytes of the task's
    shape, so that inliers, outliers and corrupted images go through exactly the same steps.
    """

    task: Task
    val_share: float = 1 / 12

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
        whole = fingerprint(self.name, self.version, x, y)
        train, val = self.cut(y[:, 0], self.val_share, "val", seed)
        return Splits(
            Split(x[train], y[train], self.task, fingerprint(whole, "train", seed)),
            Split(x[val], y[val], self.task, fingerprint(whole, "val", seed)),
            self.test(),
        )

    def cut(self, y: Tensor, share: float, *names: object) -> tuple[Tensor, Tensor]:
        """Return `stratified` parts of y (N,), kept: scikit-learn takes a second to import."""
        state, made_by = derive_seed(self.name, *names), map(version, ("numpy", "scikit-learn"))
        key = fingerprint(y, share, state, *made_by)
        cut = self.store.kept(f"cut/{self.name}", key, lambda: stratified(y, share, state)[1])
        rest = torch.ones(len(y), dtype=torch.bool).index_fill(0, cut, False)
        return rest.nonzero()[:, 0], cut

    def test(self) -> Split:
        """Return the official test part."""
        raw = self.raw("test")
        x = self.transform(raw.x)
        return Split(x, raw.y, self.task, fingerprint(self.name, self.version, x, raw.y))

    def outlier_split(self, images: Tensor) -> Split:
        """Return images of another source (N, c, h, w) after the transform; labels are -1."""
        x = self.transform(images)
        y = torch.full((len(x), len(self.task.targets)), -1)
        return Split(x, y, self.task, fingerprint(self.name, self.version, x))
