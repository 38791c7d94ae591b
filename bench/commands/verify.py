"""``bench verify``: compare results with the reference, allowing for seeds and devices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from bench import CLONE
from bench.errors import UsageError
from bench.report.stats import LEVEL, t_quantile
from bench.store.files import slug
from bench.store.merging import merge, numbers
from bench.store.packed import has_files
from bench.store.records import REFERENCE, read_all
from bench.store.schema import Record

METRICS = ("auroc", "accuracy", "ece", "misclassification_auroc")
SAME = 1e-6  # rows keep six digits

Place = tuple[Any, ...]  # scenario, method, view, group, severity, score, metric
Values = dict[Place, dict[int, float]]  # -> seed -> value


class Sample(NamedTuple):
    """Mean, variance (ddof = 1) and number of the seeds of one cell."""

    mean: float
    variance: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Sample:
        """The sample of some values; one has no variance."""
        mean, n = fmean(values), len(values)
        squares = sum((value - mean) ** 2 for value in values)  # statistics.variance takes 40 us
        return cls(mean, squares / (n - 1) if n > 1 else 0.0, n)


def summary(results: Path, reference: Path | None = None) -> str:
    """Return a line a data set: the largest difference, where, and whether it is explained.

    Files that cannot be read are named in lines of their own.

    Raises:
        UsageError: the reference that was named is not there.
    """
    theirs = reference or REFERENCE
    if not has_files(theirs / "rows"):
        if reference is not None:
            raise UsageError(f"no results under {reference} to compare with")
        return _no_reference(theirs)
    ours, problems = read_all(results / "rows")
    lines = []
    for dataset in dict.fromkeys(record.dataset for record in ours):
        known, unread = read_all(theirs / "rows" / slug(dataset))
        problems += unread
        mine = [record for record in ours if record.dataset == dataset]
        for preset in dict.fromkeys(record.preset for record in mine):
            pair = [[r for r in side if r.preset == preset] for side in (mine, known)]
            lines.append(f"{dataset} ({preset}): {compare(*pair)}")
    lines = lines or [f"no results under {results} to compare"]
    return "\n".join([*lines, *(f"not compared: {problem}" for problem in problems)])


def _no_reference(place: Path) -> str:
    if CLONE is None:
        return "an installed package has no reference to compare with; name one with --reference"
    return f"no reference under {place} to compare with"


def compare(ours: Sequence[Record], theirs: Sequence[Record]) -> str:
    """Say how far two sets of records are apart, and whether chance over seeds explains it.

    Records of one key depend on the same code, data and parameters: where their numbers differ,
    that is a contradiction. Of all others, cell by cell, the difference of the means over the
    seeds both have (or, where there are none, over all) is held against the spread over seeds,
    pooled over the methods of that view, by a t test at 5 % shared among all cells (Bonferroni).
    Where there is no spread, as from one seed, nothing can be said.
    """
    mine, other = _values(ours), _values(theirs)
    shared = mine.keys() & other.keys()
    if not shared:
        return "nothing in common with the reference"
    gaps, errors = {}, {}
    for place in shared:
        both = mine[place].keys() & other[place].keys()
        pair = [
            [value for seed, value in side[place].items() if seed in both or not both]
            for side in (mine, other)
        ]
        gaps[place] = abs(fmean(pair[0]) - fmean(pair[1]))
        errors[place] = 1 / len(pair[0]) + 1 / len(pair[1])
    contradictions = _contradictions(ours, theirs)
    largest = max(shared, key=lambda place: (gaps[place], str(place)))
    if gaps[largest] <= SAME and not contradictions:
        return f"{len(shared)} numbers compared: the same"
    where = " ".join(str(part) for part in largest if part not in ("", 0.0))
    text = f"{len(shared)} numbers compared, largest difference {gaps[largest]:.4f} ({where})"
    parts = [_verdict(mine, other, gaps, errors)]
    if contradictions:
        more = f" and {len(contradictions) - 1} more" if len(contradictions) > 1 else ""
        parts.append(f"contradiction: equal keys, other numbers ({contradictions[0]}{more})")
    return f"{text}: {'; '.join(filter(None, parts))}"


def _verdict(
    mine: Values, other: Values, gaps: Mapping[Place, float], errors: Mapping[Place, float]
) -> str:
    """Count the differences that seeds explain, do not explain, and of which nothing is known."""
    views: dict[Place, list[Place]] = {}
    for place in gaps:
        views.setdefault((place[0], *place[2:]), []).append(place)  # the methods of one view
    beyond = unknown = 0
    for places in views.values():
        pairs = [[Sample.of([*side[p].values()]) for side in (mine, other)] for p in places]
        freedom = sum(s.n - 1 for pair in pairs for s in pair)
        squares = [sum(s.variance * (s.n - 1) for s in pair) for pair in pairs]
        for place, pair, own in zip(places, pairs, squares, strict=True):
            if gaps[place] <= SAME:
                continue
            if not freedom:
                unknown += 1
                continue
            quantile = t_quantile(1 - LEVEL / 2 / len(gaps), freedom)
            # One method may vary more than the others of its view: the larger of both holds.
            spread = max(sum(squares) / freedom, own / max(sum(s.n - 1 for s in pair), 1))
            beyond += gaps[place] > quantile * np.sqrt(spread * errors[place]) + SAME
    said = [f"{beyond} beyond what seeds explain"] if beyond else []
    said += [f"of {unknown} nothing can be said: no spread over seeds"] if unknown else []
    return "; ".join(said) or "within what seeds explain"


def _contradictions(ours: Iterable[Record], theirs: Iterable[Record]) -> list[str]:
    """Records of one key with different numbers: the code says that they depend on the same."""
    known = {(r.identity[:4], r.key): r for r in theirs if r.key}
    found = []
    for record in ours:
        other = known.get((record.identity[:4], record.key))
        if other is not None and record.rows and other.rows:
            mine, their = numbers(record), numbers(other)
            if any(abs(mine[p] - their[p]) > SAME for p in mine.keys() & their.keys()):
                found.append(f"{record.scenario} {record.method} seed {record.seed}")
    return found


def _values(records: Iterable[Record]) -> Values:
    """The compared metrics of some records, by place and seed."""
    values: Values = {}
    for record in merge({Path(): records})[0]:
        for row in record.rows:
            about = record.scenario, record.method, row.view, row.group, row.severity, row.score
            for name in METRICS:
                if name in row.metrics:
                    values.setdefault((*about, name), {})[record.seed] = row.metrics[name]
    return values
