"""What a file of results holds: one `Record`, and the structures that it is made of.

A record says what was run (``method``, ``params``, ``preset``, ``key`` …), what came of it
(``status``: ok, skipped or failed, with a ``reason``), what the scenario declares of itself
(``detects``, ``headlines``) and, in ``rows``, one entry for each view and score with a map of
metrics. Neither torch nor pandas is imported here, so that a report starts at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from bench.store.files import row_path

SCHEMA = 2
RANKED_BY = "predictive_entropy"  # one score for every method: order by it compares like with like
OWN = "own"  # stands for each method's own score, which its records name
DETECTION = "auroc"  # the metric that methods are ranked by
PROBED = "features"  # in place of a score where a linear head reads the last hidden layer

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
Label = Annotated[str, Meta(max_length=1000)]  # a name that may be empty
Text = Annotated[str, Meta(max_length=100_000)]
Count = Annotated[int, Meta(ge=0, lt=2**53)]
Number = Annotated[float, Meta(ge=-1e12, le=1e12)]
Scalar = bool | int | float | str | None
Better = Literal["higher", "lower", ""]
Status = Literal["ok", "skipped", "failed"]


class MetricSpec(Struct, frozen=True, omit_defaults=True):
    """What a metric is called, which way is better, and how it is printed.

    Args:
        name: as in rows, such as "fpr95_id".
        label: as in tables, such as "FPR at 95 % TPR".
        unit: printed behind the label, such as "%" or "s".
        better: which way is better; empty where neither is.
        digits: printed after the decimal point.
        kind: what it is a function of: "detection" (of a ranking of inliers and outliers),
            "misclassification" (of uncertainties and errors), "alarm" (of uncertainties and a
            threshold), "answer" (of probabilities and labels), "fairness", "cost" or "other". The
            first three belong to a score.
        scale: factor between the stored and the printed number, 100 for per cent.
        chance: value of an answer at random, where there is one.
    """

    name: Name
    label: Name
    unit: Label = ""
    better: Better = ""
    digits: Annotated[int, Meta(ge=0, le=9)] = 3
    kind: Name = "other"
    scale: float = 1.0
    chance: float | None = None

    @property
    def heading(self) -> str:
        """Label and unit."""
        return f"{self.label} {self.unit}".strip()

    @property
    def of_score(self) -> bool:
        """Whether its value depends on the score that inputs are ranked by."""
        return self.kind in ("detection", "misclassification", "alarm")


class Headline(Struct, frozen=True, omit_defaults=True):
    """One quantity that sums a scenario up: the mean of a metric over the views it selects.

    Args:
        label: of its column, such as "near".
        metric: the metric that is averaged.
        view: the only view that counts, or empty for all.
        group: the only group that counts, or empty for all.
        score: the only score that counts; empty: the one chosen for the board, or the method's
            point prediction where the metric does not belong to a score.
        board: whether the leaderboard has a column of it; the scenario's own table always has.
        order: place of its column among those of other scenarios, low first.
    """

    label: Name
    metric: Name = "auroc"
    view: Label = ""
    group: Label = ""
    score: Label = ""
    board: bool = True
    order: int = 50


class Claim(Struct, frozen=True, omit_defaults=True):
    """A statement of a method's paper that rows can judge: what the method gains over another.

    Args:
        text: the statement in a few words.
        metric: what is compared, its mean over views.
        scenario: the views' scenario.
        group: the only group of views that counts, or empty for all.
        score: the method's score where the metric belongs to one; empty: the board's.
        than: the other method.
        than_score: the other method's score; empty: the board's.
        least: the least gain, in the unit of rows; below 0, the largest loss.
    """

    text: Name
    metric: Name = "auroc"
    scenario: Name = "cross_dataset"
    group: Label = ""
    score: Label = ""
    than: Name = "standard"
    than_score: Label = ""
    least: float = 0.0


class Row(Struct, frozen=True, omit_defaults=True):
    """The metrics of one view under one score.

    Args:
        view: what was predicted, such as "clean", "letters" or "fog".
        n: the number of inputs of the view.
        metrics: name to value; an undefined one is left out.
        score: the uncertainty score, or which probabilities ("samples", "single").
        severity: strength of the shift, 0 where it has none.
        group: a part of the scenario, such as "near" and "far".
        family: views of one family, whatever their scenario, count once in ranks; empty in files
            older than the field.
    """

    view: Name
    n: Count
    metrics: dict[Name, Number]
    score: Label = ""
    severity: Number = 0.0
    group: Label = ""
    family: Label = ""


class Record(Struct, frozen=True, kw_only=True, dict=True):
    """One result file: a method from one seed under one scenario. docs/schema.md has the fields."""

    schema: int = SCHEMA
    method: Name
    dataset: Name
    scenario: Name
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    status: Status
    reason: Text = ""
    preset: Name = "unknown"
    device: Name = "unknown device"
    params: dict[Name, Scalar | list[Scalar]] = {}
    scenario_params: dict[Name, Scalar | list[Scalar]] = {}
    answer: Name | None = None
    score: Name | None = None
    detects: bool = False
    headlines: tuple[Headline, ...] = ()
    metric_specs: tuple[MetricSpec, ...] = ()
    key: Label = ""
    fit_seconds: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    measure_seconds: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    updates: Count | None = None
    examples_seen: Count | None = None
    precision: Label = ""
    cpu_capability: Label = ""
    threads: Count | None = None
    peak_memory: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    versions: dict[Name, Label] = {}
    commit: Label = ""
    time: Label = ""
    missing: dict[Name, Text] = {}
    tuned: Label = ""
    claims: tuple[Claim, ...] = ()
    left_out: dict[Name, Text] = {}
    rows: tuple[Row, ...]

    @cached_property
    def base(self) -> str:
        """The data set without its variant: "digits" of "digits~without=3"."""
        return self.dataset.partition("~")[0]

    @cached_property
    def variant(self) -> str:
        """What was changed of the data set for training: "without=3" of "digits~without=3"."""
        return self.dataset.partition("~")[2]

    @cached_property
    def method_name(self) -> str:
        """The method without its choices: "redecnn" of "redecnn:depth=4"."""
        return self.method.partition(":")[0]

    @cached_property
    def choices(self) -> dict[str, str]:
        """The parameters that the method's label names: {"depth": "4"} of "redecnn:depth=4"."""
        return choices_of(self.method)

    @property
    def place(self) -> tuple[str, str, str]:
        """Data set, preset and device; records of different places are never mixed."""
        return self.base, self.preset, self.device

    @property
    def cell(self) -> str:
        """What `bench verify --cell` calls it: its file below ``rows/``, without .json."""
        path = row_path(Path(), self.dataset, self.scenario, self.method, self.seed)
        return path.as_posix().removesuffix(".json")

    @property
    def identity(self) -> tuple[str, str, str, int, str, str]:
        """What no two records of one list share."""
        return self.dataset, self.scenario, self.method, self.seed, self.preset, self.device


def family(record: Record, row: Row) -> str:
    """The family of a row; of one without, what its scenario declares since there are families."""
    name = record.scenario.partition(":")[0]
    before = {"cross_dataset": row.group, "adversarial": "attack"}
    return row.family or before.get(name) or name


def choices_of(label: str) -> dict[str, str]:
    """Return the parameters a label names: {"depth": "4"} of "redecnn:depth=4"."""
    parts = [part.partition("=") for part in label.partition(":")[2].split(",")]
    return {name: value for name, equals, value in parts if equals}


@dataclass(frozen=True)
class Outcome:
    """What came of one scenario: rows, a reason it does not apply, or an error."""

    status: Status
    reason: str = ""
    rows: tuple[Row, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)  # scores, with reasons

    @classmethod
    def failed(cls, error: BaseException) -> Outcome:
        """Record an exception in one line; `bench run -v` shows all of it."""
        logging.getLogger("bench").debug("failed", exc_info=error)
        return cls("failed", " ".join(f"{type(error).__name__}: {error}".split()))


def protected_headlines(attributes: Iterable[Any]) -> tuple[Headline, ...]:
    """What sums `protected` up: each group's F1, AP and ECE, their gaps, and the probe."""
    short = {"f1": "F1", "average_precision": "AP", "ece": "ECE"}
    found = []
    for name in map(str, attributes):
        for view in (name, f"not {name}"):
            found += [Headline(f"{label}, {view}", metric, view) for metric, label in short.items()]
        found += [
            Headline(f"{label} gap, {name}", f"{metric}_gap", f"gap {name}")
            for metric, label in short.items()
        ]
        found += [
            Headline(f"probe {label}, {name}", metric, f"probe {name}", score=PROBED)
            for metric, label in (("f1", "F1"), (DETECTION, "AUROC"))
        ]
    return tuple(msgspec.structs.replace(h, board=False, order=70) for h in found)


def declared(records: Iterable[Record]) -> Iterator[tuple[str, Headline]]:
    """Yield (scenario, headline) of records, each once, in the order of their columns."""
    pairs = {(one.scenario, headline): None for one in records for headline in one.headlines}
    yield from sorted(pairs, key=lambda pair: (pair[1].order, pair[0]))
