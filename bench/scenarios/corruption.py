"""The test inputs themselves, corrupted in fifteen ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import Dataset, View, fingerprint
from bench.datasets.corruptions import CORRUPTIONS, corrupt
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.store.code import code_digest
from bench.store.records import Headline

LIBRARIES = ("numpy", "scikit-image", "scipy", "torch")


class Corruption(ShiftScenario):
    """The fifteen corruptions of MNIST-C, each at its one published severity.

    They act on the images as recorded, before the data set's transform. Where the official
    MNIST-C files are found, they are read instead and the view's group says ``mnist_c``.
    """

    name = "corruption"
    source = "Mu and Gilmer 2019, arXiv:1906.02337"
    question = "Is it less sure of inputs that were damaged on the way?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "corruption", "paper"})

    def headlines(self) -> Sequence[Headline]:
        return [Headline("corruption", order=20)]

    def skip(self, data: Dataset) -> str | None:
        if data.kind == "speech":
            return "these are corruptions of images; of speech: speech_corruption"
        return super().skip(data)

    def views(self, evaluator: Evaluator) -> Views:
        # The same images under every corruption, so that views differ in nothing else.
        rows = self.drawn(len(evaluator.test), len(evaluator.test), evaluator.data.name, self.name)
        return Views([self._view(name, evaluator, rows) for name in CORRUPTIONS], {})

    def _view(self, name: str, evaluator: Evaluator, rows: Tensor) -> View:
        data, test = evaluator.data, evaluator.test
        official = data.store.find(f"mnist_c/{name}/test_images.npy")
        if official is None or data.name != "mnist":
            code = code_digest("bench.datasets.corruptions")
            mark, group = fingerprint(test.fingerprint, name, code, libraries()), ""
            make: Callable[[], Tensor] = lambda: corrupt(name, data.raw("test").x, data.name)  # noqa: E731
        else:
            images = torch.from_numpy(np.load(official, allow_pickle=False))
            images = images.reshape(-1, 1, *images.shape[1:3])
            mark, group = fingerprint(test.fingerprint, images), "mnist_c"
            make = lambda: images  # noqa: E731
        return View(
            name, fingerprint(mark, rows), len(rows),
            lambda: corrupted(data, name, mark, make)[rows], test.y[rows], group=group,
        )  # fmt: skip


@cache
def libraries() -> str:
    """Return the versions of the libraries whose filters and random numbers corruptions use."""
    return " ".join(f"{name} {version(name).split('+')[0]}" for name in LIBRARIES)


def corrupted(data: Dataset, name: str, mark: str, make: Callable[[], Tensor]) -> Tensor:
    """Return the whole corrupted test part, computed once and kept, as bytes (N, C, H, W)."""
    return data.store.kept(f"corrupted/{data.label}-{name}", mark, lambda: data.transform(make()))
