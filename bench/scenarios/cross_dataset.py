"""Inputs from other data sets, as outliers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, ClassVar

import torch

from bench import datasets
from bench.datasets.base import Dataset, Source, Split, View, fingerprint
from bench.datasets.described import Described, described, undescribed, versions
from bench.datasets.errors import DataError
from bench.datasets.outlier_folder import own_outliers
from bench.discover import subclasses, unknown
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import ShiftScenario, Views
from bench.store.code import code_digest
from bench.store.schema import Headline


class CrossDataset(ShiftScenario):
    """Every source that shares no class with the inliers; near is of the same kind, far is not.

    An embedded data set meets the embedded sources alone, so that its table is the same on
    every machine; any other meets all sources that are present or can be downloaded. Those
    added later, such as ``kmnist``, are met where they are named alone: a new source would change
    every table. Recordings meet recordings and images meet images.

    Args:
        sources: the outlier sources, such as letters+noise; all of the above by default.
    """

    name = "cross_dataset"
    source = "Wu et al. 2021, table 2; Hendrycks and Gimpel 2017, arXiv:1610.02136"
    question = "Is it less sure of inputs from another world?"
    tags: ClassVar[frozenset[str]] = frozenset({"ood", "audio", "paper"})

    def __init__(self, *, sources: tuple[str, ...] = (), **inherited: Any) -> None:
        super().__init__(**inherited)
        self.sources = sources

    def headlines(self) -> Sequence[Headline]:
        return [
            Headline("near", group="near", order=10),
            Headline("far", group="far", order=10),
        ]

    def family(self, view: View) -> str:
        return view.group

    def views(self, evaluator: Evaluator) -> Views:
        views, missing = [], {}
        for source in (*self._chosen(evaluator.data), *own_outliers(evaluator.data)):
            outliers = describe(evaluator.data, source)
            if isinstance(outliers, Described):
                views.append(self._view(source, outliers, evaluator))
            else:
                missing[source.name] = outliers
        return Views(views, missing)

    def _chosen(self, data: Dataset) -> Sequence[Source]:
        """Return the sources asked for by name, or all of ours that are outliers of ``data``.

        Raises:
            UnknownNameError: there is no such source.
            DataError: a source asked for by name is no outlier set of ``data``.
        """
        if not self.sources:
            return outlier_sources(data)
        known = subclasses(datasets, Source)
        chosen = []
        for name in self.sources:
            if name not in known:
                raise unknown("outlier source", name, list(known))
            if reason := _unfit(data, known[name]):
                raise DataError(f"{name} is no outlier set of {data.label}: {reason}")
            chosen.append(_at(data, known[name]))
        return chosen

    def _view(self, source: Source, outliers: Described, evaluator: Evaluator) -> View:
        rows = self.drawn(outliers.n, len(evaluator.test), evaluator.data.name, source.name)
        group = "near" if source.is_near(evaluator.data) else "far"
        return View(
            source.label,
            fingerprint(outliers.fingerprint, rows),
            len(rows),
            lambda: outliers.load().x[rows],
            group=group,
        )


@lru_cache
def outlier_sources(data: Dataset) -> tuple[Source, ...]:
    """Return every source that holds no class of ``data`` and needs no name, by name."""
    return tuple(
        _at(data, cls)
        for cls in subclasses(datasets, Source).values()
        if not _unfit(data, cls) and (cls.embedded or not data.embedded) and cls.met_unasked
    )


def _unfit(data: Dataset, source: type[Source]) -> str:
    """Return why a source cannot be an outlier set of ``data``, or ""."""
    if source.needs_path:
        return "it is the user's own, see --outliers"
    if source.modality != data.modality:
        return f"one holds {source.modality}s, the other {data.modality}s"
    common = ", ".join(sorted(source.content & data.content))
    return f"both hold the class {common}" if common else ""


def _at(data: Dataset, cls: type[Source]) -> Source:
    """Return the source that looks for its files where ``data`` does."""
    source = cls()
    source.store = data.store
    return source


@lru_cache
def describe(data: Dataset, source: Source) -> Described | str:
    """Return `foreign` images, described and not read, or why there are none.

    They are read now only if no description of these files, made by this code, is kept.
    """
    read = partial(_read, data, source)
    try:
        if source.identity() is None:  # absent: reading it tries to download it
            read()
        if (identity := source.identity()) is None:
            return undescribed(read)
        code = code_digest(*source.code_modules(), *data.code_modules())
        libraries = versions("torch", "numpy", "scikit-learn", "matplotlib", "pillow")
        key = fingerprint(data.version, code, libraries, identity)
        return described(data.store, f"foreign/{data.label}-{source.label}", key, read)
    except DataError as error:
        return str(error)


def foreign(data: Dataset, source: Source) -> Split | str:
    """Return a source's images as ``data`` would have recorded them, or why there are none."""
    try:
        return _read(data, source)
    except DataError as error:
        return str(error)


@lru_cache(maxsize=16)
def _read(data: Dataset, source: Source) -> Split:
    if not source.embedded:
        return data.outlier_split(source.raw("test").x)
    # Images made by code alone are kept: rendering letters takes longer than everything else.
    code = code_digest(*source.code_modules(), *data.code_modules())
    x = data.store.kept(
        f"foreign/{data.label}-{source.name}", fingerprint(code, source.version),
        lambda: data.transform(source.raw("test").x),
    )  # fmt: skip
    y = torch.full((len(x), len(data.task.targets)), -1)
    return Split(x, y, data.task, fingerprint(data.name, data.version, x))
