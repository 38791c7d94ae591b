"""``bench validate``: numbers that others published, beside those that the harness measures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import torch

from bench import anchors
from bench.anchors.base import Anchor, Published
from bench.datasets.store import Store
from bench.discover import choose, subclasses
from bench.fitting.console import Console
from bench.presets import DEFAULT
from bench.report.stats import LEVEL, t_quantile
from bench.running import run as running
from bench.running.plan import Job, chosen_data
from bench.running.run import Settings
from bench.store.records import parsed
from bench.store.schema import Record

ROUNDING = 0.005  # of published numbers, in per cent
HEAD = ("per cent", "published", "here", "difference", "explained")


@dataclass(frozen=True)
class Line:
    """One published number and ours.

    Args:
        published: the number.
        values: ours, one for each seed, in per cent.
        absent: why nothing could be measured, such as data that is not there.
        failed: what went wrong in measuring.
    """

    published: Published
    values: tuple[float, ...]
    absent: str = ""
    failed: str = ""

    @property
    def difference(self) -> float:
        """Mean of ours minus the published number."""
        return fmean(self.values) - self.published.value

    @property
    def reach(self) -> float:
        """How far one further run of ours may be from the mean of these, in 95 % of cases."""
        n = len(self.values)
        wide = t_quantile(1 - LEVEL / 2, n - 1) * stdev(self.values) * (1 + 1 / n) ** 0.5
        return wide + ROUNDING

    @property
    def verdict(self) -> str:
        """Whether the spread over seeds explains the difference, or what else may."""
        if not self.values:
            return f"absent: {self.absent}" if self.absent else f"not measured: {self.failed}"
        if len(self.values) == 1:
            return "no spread from one seed"
        if abs(self.difference) <= self.reach:
            return f"by seeds (± {self.reach:.2f})"
        other = self.published.differs
        return f"beyond seeds (± {self.reach:.2f}); {other or 'nothing known differs'}"

    @property
    def holds(self) -> bool:
        """Whether nothing is left unexplained."""
        if len(self.values) < 2:
            return bool(self.values or self.absent)
        return abs(self.difference) <= self.reach or bool(self.published.differs)

    def cells(self) -> tuple[str, ...]:
        """Return its line of the table."""
        about = self.published
        if not self.values:
            return about.what, f"{about.value:.2f}", "–", "–", self.verdict
        spread = f" ± {stdev(self.values):.2f}" if len(self.values) > 1 else ""
        ours = f"{fmean(self.values):.2f}{spread}"
        return about.what, f"{about.value:.2f}", ours, f"{self.difference:+.2f}", self.verdict


def validate(
    words: str, *, seeds: Sequence[int], results: Path, store: Store, device: torch.device,
    console: Console,
) -> Iterator[tuple[Anchor, list[Line]]]:  # fmt: skip
    """Yield each anchor with its numbers, measured from each seed where they are not yet.

    Raises:
        UnknownNameError: there is no such anchor.
        BenchError: the data to train on is not there.
    """
    settings = Settings(results, DEFAULT, device)
    for choice in choose("anchor", words, subclasses(anchors, Anchor)):
        anchor = choice.cls()
        assert isinstance(anchor, Anchor)
        yield anchor, _lines(anchor, _records(anchor, seeds, settings, store, console))


def _records(
    anchor: Anchor, seeds: Sequence[int], settings: Settings, store: Store, console: Console
) -> list[Record]:
    method = anchor.method()
    if method is None:
        return []
    (data,) = chosen_data(anchor.data, store)
    jobs = [Job(anchor.name, method, data, seed, anchor.scenarios()) for seed in seeds]
    running.prepare(jobs, settings)
    running.run(jobs, settings, console)
    paths = [job.path(settings.results, one) for job in jobs for one in job.scenarios]
    return [parsed(path) for path in paths]


def _lines(anchor: Anchor, records: Sequence[Record]) -> list[Line]:
    if anchor.unmeasured:
        return [Line(one, (), absent="stated alone") for one in anchor.published]
    return [_line(one, records) for one in anchor.published]


def _line(published: Published, records: Sequence[Record]) -> Line:
    values = tuple(published.found(records))
    for record in (r for r in records if r.scenario == published.scenario):
        if published.view in record.missing:
            return Line(published, values, absent=record.missing[published.view])
        if record.status == "failed":
            return Line(published, values, failed=record.reason)
    return Line(published, values, failed="no such row")


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield a Markdown table."""
    rows = [HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    rule = ["-" * widths[0], *["-" * (w - 1) + ":" for w in widths[1:4]], "-" * widths[4]]
    for row in (rows[0], rule, *rows[1:]):
        middle = [cell.rjust(width) for cell, width in zip(row[1:4], widths[1:4], strict=True)]
        yield "| " + " | ".join([row[0].ljust(widths[0]), *middle, row[4].ljust(widths[4])]) + " |"
