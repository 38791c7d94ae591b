"""The test inputs themselves, corrupted in fifteen ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import Dataset, Split, View, fingerprint
from bench.datasets.corruptions import CORRUPTIONS, corrupt
from bench.datasets.described import Described, described
from bench.datasets.reading import reading
from bench.datasets.store import Store, stamps
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.store.code import code_digest
from bench.store.records import Headline

LIBRARIES = ("numpy", "scikit-image", "scipy", "torch")


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
        if data.modality == "sound":
            return "these are corruptions of images; of speech: speech_corruption"
        return super().skip(data)

    def views(self, evaluator: Evaluator) -> Views:
        # The same images under every corruption, so that views differ in nothing else.
        rows = self.drawn(len(evaluator.test), len(evaluator.test), evaluator.data.name, self.name)
        return Views([self._view(name, evaluator, rows) for name in CORRUPTIONS], {})

    def _view(self, name: str, evaluator: Evaluator, rows: Tensor) -> View:
        data, test = evaluator.data, evaluator.test
        path = data.store.find(f"mnist_c/{name}/test_images.npy")
        if path is None or data.name != "mnist":
            code = code_digest("bench.datasets.corruptions")
            digest = fingerprint(test.fingerprint, name, code, libraries())
            make: Callable[[], Tensor] = lambda: corrupt(name, data.raw("test").x, data.name)  # noqa: E731
            group = ""
        else:
            official = mnist_c(data.store, path, test)
            digest, group = official.fingerprint, "mnist_c"
            make = lambda: official.load().x  # noqa: E731
        return View(
            name, fingerprint(digest, rows), len(rows),
            lambda: corrupted(data, name, digest, make)[rows], test.y[rows], group=group,
        )  # fmt: skip


def mnist_c(store: Store, path: Path, test: Split) -> Described:
    """Return one corruption of MNIST's test part from an official file, described and not read."""

    def read() -> Split:
        with reading("mnist_c", path, "put the official one back"):
            stored = np.load(path, mmap_mode="r", allow_pickle=False)  # no more than the file has
            if stored.dtype != np.uint8 or stored.shape[:3] != (len(test), 28, 28):
                raise ValueError(f"it holds {stored.dtype} {stored.shape}")
            images = torch.from_numpy(np.array(stored)).reshape(-1, 1, 28, 28)
        return Split(images, test.y, test.task, fingerprint(test.fingerprint, images))

    key = fingerprint(test.fingerprint, *stamps([path]))
    return described(store, f"mnist_c/{path.parent.name}", key, cache(read))


@cache
def libraries() -> str:
    """Return the versions of the libraries whose filters and random numbers corruptions use."""
    return " ".join(f"{name} {version(name).split('+')[0]}" for name in LIBRARIES)


def corrupted(data: Dataset, name: str, digest: str, make: Callable[[], Tensor]) -> Tensor:
    """Return the whole corrupted test part, computed once and kept, as bytes (N, C, H, W)."""
    key = fingerprint(digest, data.identity(), code_digest(*data.code_modules()))
    return data.store.kept(f"corrupted/{data.label}-{name}", key, lambda: data.transform(make()))
