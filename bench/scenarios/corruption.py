"""The test inputs themselves, corrupted in fifteen ways."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import Dataset, Split, View, fingerprint
from bench.datasets.corruptions import CORRUPTIONS, corrupt
from bench.datasets.errors import DataError
from bench.datasets.reading import reading
from bench.datasets.store import stamps
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.store.code import code_digest
from bench.store.schema import Headline

LIBRARIES = ("numpy", "scikit-image", "scipy", "torch")
REMEDY = "put the official one back"


class Corruption(ShiftScenario):
    """The fifteen corruptions of MNIST-C, each at its one published severity.

    They act on the images as recorded, before the data set's transform. The official MNIST-C
    files are read instead where they are present; the view's group is then ``mnist_c``.
    """

    name = "corruption"
    source = "Mu and Gilmer 2019, arXiv:1906.02337"
    question = "Is it less sure of inputs that were damaged on the way?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "corruption", "paper"})

    def headlines(self) -> Sequence[Headline]:
        return [Headline("corruption", order=20)]

    def skip(self, data: Dataset) -> str | None:
        if data.modality != "image":
            return "these are corruptions of images; of speech: speech_corruption"
        return super().skip(data)

    def views(self, evaluator: Evaluator) -> Views:
        # The same images under every corruption, so that views differ in nothing else.
        rows = self.drawn(len(evaluator.test), len(evaluator.test), evaluator.data.name, self.name)
        originals = recorded(evaluator.data, evaluator.test)
        return Views([self._view(name, originals, rows) for name in CORRUPTIONS], {})

    def _view(self, name: str, originals: Recorded, rows: Tensor) -> View:
        data, test = originals.data, originals.test
        path = data.store.find(f"mnist_c/{name}/test_images.npy")
        make: Callable[[], Tensor]
        if path is None or data.name != "mnist":
            about = fingerprint(code_digest("bench.datasets.corruptions"), libraries())
            make = lambda: corrupt(name, originals.load(), data.name)  # noqa: E731
            group = ""
        else:
            about, group = content(path), "mnist_c"
            make = lambda: official(path, about, len(test))  # noqa: E731
        digest = fingerprint(originals.fingerprint, name, about)
        return View(
            name, fingerprint(digest, rows), len(rows),
            lambda: corrupted(data, name, digest, make)[rows], test.y[rows], group=group,
        )  # fmt: skip


class Recorded(NamedTuple):
    """The test inputs of a data set before its transform, known by their content.

    Args:
        data: the data set.
        test: its test part, after the transform.
        content: a fingerprint of these inputs.
        fingerprint: of all that a corrupted view depends on beside the corruption: of these
            inputs, of the test part, and of the code of the transform.
    """

    data: Dataset
    test: Split
    content: str
    fingerprint: str

    def load(self) -> Tensor:
        """Return the inputs (N, c, h, w).

        Raises:
            DataError: they have changed since they were listed.
        """
        x = self.data.raw("test").x
        if fingerprint(x) != self.content:
            raise DataError(f"{self.data.label}: its test inputs changed meanwhile; run again")
        return x


def recorded(data: Dataset, test: Split) -> Recorded:
    """Return the inputs that corruptions act on, with what tells their views apart.

    The transform may hide a change of them that shows once they are corrupted.
    """
    known = _content(data, data.identity())
    code = code_digest(*data.code_modules())
    return Recorded(data, test, known, fingerprint(test.fingerprint, known, code))


@lru_cache(maxsize=4)
def _content(data: Dataset, identity: str | None) -> str:
    return fingerprint(data.raw("test").x)


def content(path: Path) -> str:
    """Return the SHA-256 of an official MNIST-C file.

    Raises:
        DataError: it cannot be read.
    """
    with reading("mnist_c", path, REMEDY):
        if not path.is_file():  # to open a named pipe would wait for ever
            raise ValueError("it is no file")
        return _sha256(path, *stamps([path]))


@lru_cache(maxsize=len(CORRUPTIONS))
def _sha256(path: Path, stamp: tuple[str, int, int, int]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def official(path: Path, digest: str, n: int) -> Tensor:
    """Return the ``n`` images of an official MNIST-C file, bytes (N, 1, 28, 28).

    Raises:
        DataError: it is damaged, or no longer the one of that ``digest``.
    """
    with reading("mnist_c", path, REMEDY):
        stored = np.load(path, mmap_mode="r", allow_pickle=False)  # no more than the file has
        if stored.dtype != np.uint8 or stored.shape[:3] != (n, 28, 28):
            raise ValueError(f"it holds {stored.dtype} {stored.shape}")
        images = torch.from_numpy(np.array(stored)).reshape(-1, 1, 28, 28)
    if content(path) != digest:
        raise DataError(f"mnist_c: {path} changed meanwhile; run again")
    return images


@cache
def libraries() -> str:
    """Return the versions of the libraries whose filters and random numbers corruptions use."""
    return " ".join(f"{name} {version(name).split('+')[0]}" for name in LIBRARIES)


def corrupted(data: Dataset, name: str, digest: str, make: Callable[[], Tensor]) -> Tensor:
    """Return the whole corrupted test part, computed once and kept, as bytes (N, C, H, W).

    ``digest`` must contain everything it depends on, as a view's fingerprint does.
    """
    return data.store.kept(f"corrupted/{data.label}-{name}", digest, lambda: data.transform(make()))
