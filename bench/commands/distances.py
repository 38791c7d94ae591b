"""``bench data distances``: how far each outlier set lies from a data set, measured once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bench.datasets.base import Dataset, Source, fingerprint, generator
from bench.datasets.described import Described, versions
from bench.datasets.outlier_folder import own_outliers
from bench.datasets.store import Store
from bench.errors import BenchError
from bench.metrics.distance import Distance, distance
from bench.running.plan import one_dataset
from bench.scenarios.cross_dataset import describe, outlier_sources
from bench.store.code import code_digest

MOST = 2000  # inputs of each set


class Measured(NamedTuple):
    """How far one outlier set lies, and how it is declared."""

    source: str
    near: bool
    distance: Distance


def of_words(words: str, store: Store) -> tuple[list[Measured], dict[str, str]]:
    """Return the distances of every outlier set of the data set that ``words`` name, nearest first.

    The second are the sets that could not be measured, with reasons.

    Raises:
        UsageError: the words name several data sets.
        DataError: the data is not there, or not of the expected form.
    """
    data = one_dataset(words, store, "distances are from")
    return distances(data, (*outlier_sources(data), *own_outliers(data)))


def distances(data: Dataset, sources: Sequence[Source]) -> tuple[list[Measured], dict[str, str]]:
    """Return the distances of some outlier sets, nearest first, and why others have none."""
    found, missing = [], {}
    for source in sources:
        outliers = describe(data, source)
        try:
            if not isinstance(outliers, Described):
                raise BenchError(outliers)
            found.append(
                Measured(source.label, source.is_near(data), _kept(data, source, outliers))
            )
        except BenchError as error:
            missing[source.label] = str(error)
    return sorted(found, key=lambda one: -one.distance.error), missing


def _kept(data: Dataset, source: Source, outliers: Described) -> Distance:
    """Return a distance as it was kept, or measure it."""
    test = data.test()
    code = code_digest("bench.metrics.distance")
    libraries = versions("numpy", "scipy", "scikit-learn", "scikit-image")
    key = fingerprint(test.fingerprint, outliers.fingerprint, code, libraries, MOST)

    def make() -> Tensor:
        n = min(MOST, len(test), outliers.n)
        inside = test.floats(_drawn(len(test), n, data, "inliers")).numpy()
        x = outliers.load().floats(_drawn(outliers.n, n, data, source.label)).numpy()
        return torch.tensor(distance(inside, x), dtype=torch.float64)

    kept = data.store.kept(f"distances/{data.label}-{source.label}", key, make).tolist()
    return Distance(*kept)._replace(n=int(kept[-1]))


def _drawn(n: int, size: int, data: Dataset, name: str) -> Tensor:
    draw = generator("distance", data.label, name)
    return torch.randperm(n, generator=draw)[:size].sort().values


def lines(found: Sequence[Measured], missing: dict[str, str]) -> Iterator[str]:
    """Yield a table of distances, where it contradicts what is declared, and what is missing."""
    if found:
        yield (
            f"{'outliers':<16} {'declared':<9} {'told apart wrongly':<26} {'1-NN overlap':<13} "
            f"{'reach':<6} inputs"
        )
    for source, near, at in found:
        error = f"{100 * at.error:.1f} % [{100 * at.low:.1f}, {100 * at.high:.1f}]"
        word, overlap = "near" if near else "far", f"{100 * at.overlap:.1f} %"
        yield f"{source:<16} {word:<9} {error:<26} {overlap:<13} {at.reach:<6.2f} {at.n}"
    contradictions = list(disagreements(found))
    yield from contradictions
    if found and not contradictions:
        yield "every near set is measured at least as near as every far one"
    yield from (f"{name}: not measured ({why})" for name, why in missing.items())


def disagreements(found: Sequence[Measured]) -> Iterator[str]:
    """Yield a line for each far set that is measured nearer than a near one, and by what.

    Errors count where their intervals do not meet.
    """
    for far in (one for one in found if not one.near):
        for near in (one for one in found if one.near):
            a, b = far.distance, near.distance
            by = {
                "told apart wrongly": a.low > b.high,
                "1-NN overlap": a.overlap > b.overlap,
                "reach": a.reach < b.reach,
            }
            if any(by.values()):
                how = ", ".join(name for name, yes in by.items() if yes)
                pair = f"{far.source}, far, is nearer than {near.source}, near"
                yield f"disagreement: {pair}, by {how}"
