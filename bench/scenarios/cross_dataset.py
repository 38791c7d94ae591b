"""Inputs from other data sets, as outliers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import torch

from bench import datasets
from bench.datasets.base import Dataset, Source, Split, View, fingerprint
from bench.datasets.errors import DataError
from bench.datasets.outlier_folder import own_outliers
from bench.discover import subclasses
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.store.code import code_digest
from bench.store.records import Headline


class CrossDataset(ShiftScenario):
    """Every source that shares no class with the inliers; near is of the same kind, far is not.

    An embedded data set meets the embedded sources alone, so that its table is the same on
    every machine; any other meets all that are found or can be downloaded. Recordings of speech
    meet recordings of speech alone.
    """

    name = "cross_dataset"
    source = "Wu et al. 2021, table 2; Hendrycks and Gimpel 2017, arXiv:1610.02136"
    question = "Is it less sure of inputs from another world?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "audio", "paper"})

    def headlines(self) -> Sequence[Headline]:
        return [
            Headline("near", group="near", order=10),
            Headline("far", group="far", order=10),
        ]

    def views(self, evaluator: Evaluator) -> Views:
        found, missing = [], {}
        for source in (*outlier_sources(evaluator.data), *own_outliers(evaluator.data)):
            split = foreign(evaluator.data, source)
            if isinstance(split, Split):
                found.append(self._view(source, split, evaluator))
            else:
                missing[source.name] = split
        return Views(found, missing)

    def _view(self, source: Source, split: Split, evaluator: Evaluator) -> View:
        rows = self.drawn(len(split), len(evaluator.test), evaluator.data.name, source.name)
        group = "near" if source.is_near(evaluator.data) else "far"
        mark = fingerprint(split.fingerprint, rows)
        return View(source.label, mark, len(rows), lambda: split.x[rows], group=group)


@lru_cache
def outlier_sources(data: Dataset) -> tuple[Source, ...]:
    """Return every source that holds no class of ``data``, sorted by name."""
    found = []
    for cls in subclasses(datasets, Source).values():
        if cls.needs_path or cls.content & data.content or (data.embedded and not cls.embedded):
            continue
        if (cls.kind == "speech") != (data.kind == "speech"):  # a sound is no picture
            continue
        source = cls()
        source.store = data.store
        found.append(source)
    return tuple(found)


@lru_cache(maxsize=16)
def foreign(data: Dataset, source: Source) -> Split | str:
    """Return a source's images as ``data`` would have recorded them, or why there are none."""
    try:
        if not source.embedded:
            return data.outlier_split(source.raw("test").x)
        # What code alone makes is made once: rendering letters takes longer than all the rest.
        code = code_digest(type(source).__module__, type(data).__module__)
        x = data.store.kept(
            f"foreign/{data.label}-{source.name}", fingerprint(code, source.version),
            lambda: data.transform(source.raw("test").x),
        )  # fmt: skip
        y = torch.full((len(x), len(data.task.targets)), -1)
        return Split(x, y, data.task, fingerprint(data.name, data.version, x))
    except DataError as error:
        return str(error)
