"""The results: one JSON file for each (data set, scenario, method, seed), and its reader.

A file is one `Record`: what was run (``method``, ``params``, ``preset``, ``key`` …), what came of
it (``status``: ok, skipped or failed, with a ``reason``), what the scenario declares of itself
(``detects``, ``headlines``) and, in ``rows``, one entry for each view and score with a map of
metrics. `read` checks every type, size and name; `merge` makes the records of several folders one
list. This module imports neither torch nor pandas, so that a report starts at once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from bench import ROOT
from bench.store.files import slug, write
from bench.store.packed import AGAIN, json_files, read_regular
from bench.store.seal import check_seal, sealed

SCHEMA = 2
REFERENCE = ROOT / "results" / "reference"  # what the project itself measured

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


# Files


def row_path(folder: Path, dataset: str, scenario: str, method: str, seed: int) -> Path:
    """Return where the numbers of one (data set, scenario, method, seed) go."""
    return folder / slug(dataset) / slug(scenario) / f"{slug(method)}-s{seed}.json"


def save(path: Path, outcome: Outcome, about: Mapping[str, Any]) -> None:
    """Write the record of one scenario; values keep six digits.

    Raises:
        ValueError: a value is NaN or infinite.
        WriteError: the disk is full, or the folder cannot be written to.
    """
    record = Record(
        **about, status=outcome.status, reason=outcome.reason, missing=dict(outcome.missing),
        left_out=dict(outcome.left_out), rows=tuple(map(_rounded, outcome.rows)),
    )  # fmt: skip
    _check(record)
    write(path, sealed(msgspec.json.encode(record)))


def _rounded(row: Row) -> Row:
    metrics = {name: round(float(value), 6) for name, value in row.metrics.items()}
    for name, value in metrics.items():
        if not math.isfinite(value):  # JSON would hold null
            raise ValueError(f"{name} of view {row.view} is {value} by {row.score or 'no score'}")
    return msgspec.structs.replace(row, metrics=metrics)


def read(path: Path) -> Record | None:
    """Return one record, or None if the file is absent, damaged, or of another schema."""
    try:
        return parsed(path)
    except (OSError, ValueError):
        return None


def is_current(path: Path, key: str) -> bool:
    """Tell whether ``path`` already holds finished results for ``key``."""
    record = read(path)
    return record is not None and record.key == key and record.status != "failed"


def read_all(folder: Path) -> tuple[list[Record], list[str]]:
    """Return every readable record under ``folder`` and one line for each file left out."""
    records, problems = [], []
    for path in json_files(folder):
        try:
            records.append(parsed(path))
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {_in_words(error)}")
    return records, problems


def parsed(path: Path) -> Record:
    """Return one record, brought up to the present schema.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is damaged or of another schema; says which, and what to do.
    """
    content = read_regular(path)
    try:
        record = _DECODER.decode(content)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(_why_damaged(content, error)) from None
    if record.schema not in (1, SCHEMA):
        raise ValueError(_other_schema(record.schema))
    try:
        check_seal(content)
        record = upgraded(record) if record.schema == 1 else record
        _check(record)
    except ValueError as error:
        raise ValueError(f"damaged ({error}); left out ({AGAIN})") from None
    return record


class _Head(Struct):
    schema: Any


_DECODER = msgspec.json.Decoder(Record)
_HEAD = msgspec.json.Decoder(_Head)


def _why_damaged(content: bytes, error: Exception) -> str:
    try:
        schema = _HEAD.decode(content).schema
    except (msgspec.MsgspecError, RecursionError):
        schema = 1
    if schema not in (1, SCHEMA) or isinstance(schema, bool | float):
        return _other_schema(schema)
    return f"damaged ({str(error)[:200]}); left out ({AGAIN})"


def _other_schema(schema: object) -> str:
    if isinstance(schema, int) and not isinstance(schema, bool) and schema > SCHEMA:
        return f"schema {schema} is newer than the {SCHEMA} read here; left out (update)"
    return f"schema {str(schema)[:50]!r} is unknown; left out ({AGAIN})"


def _in_words(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}; left out"
    return str(error)


_SOUND: set[str] = {""}  # names that passed the check: a folder has a hundred in a million places


def _check(record: Record) -> None:
    """Refuse names that no program gives: those end up in paths, terminals and tables.

    Raises:
        ValueError: says which.
    """
    names = {
        record.method, record.dataset, record.scenario, record.preset, record.device,
        record.answer or "", record.score or "", record.key, record.commit, record.time,
        record.precision, record.cpu_capability,
        *record.params, *record.scenario_params, *record.missing,
        record.tuned, *record.left_out,
    }  # fmt: skip
    for row in record.rows:
        names |= {row.view, row.score, row.group, row.family, *row.metrics}
    for headline in record.headlines:
        names |= {headline.label, headline.metric, headline.view, headline.group, headline.score}
    for claim in record.claims:
        names |= {claim.text, claim.metric, claim.scenario, claim.group, claim.score, claim.than,
                  claim.than_score}  # fmt: skip
    for spec in record.metric_specs:
        names |= {spec.name, spec.label, spec.unit}
    for name in names - _SOUND:
        parts = name.replace("\\", "/").split("/")
        if not name.isprintable() or name != name.strip() or ".." in parts:
            raise ValueError(f"{name[:50]!r} is no name")
        _SOUND.add(name)


# Schema 1

_RENAMED = {"in_colour": "rgb_beta_scale", "map_updates": "conv_min_updates",
            "negligible": "min_weight"}  # fmt: skip
# What the scenarios declared when schema 1 was the last; later ones declare it in their records.
_DECLARED = {
    "cross_dataset": (
        Headline("near", group="near", order=10), Headline("far", group="far", order=10),
    ),
    "corruption": (Headline("corruption", order=20),),
    "speech_corruption": (Headline("speech corruption", order=20),),
    "adversarial": (
        Headline("FGSM", view="fgsm", order=30),
        Headline("FGSM transfer", view="fgsm_transfer", order=30),
    ),
    "heldout": (Headline("held out", order=40),),
    "speaker": (Headline("speaker"),),
    "clean": (
        Headline("accuracy", "accuracy", order=80), Headline("ECE", "ece", order=80),
    ),
    "cost": (
        Headline("fit", "fit_seconds", board=False, order=90),
        Headline("cost / standard", "ratio_to_standard", board=False, order=90),
    ),
}  # fmt: skip


def upgraded(record: Record) -> Record:
    """A record of schema 1 as schema 2: new names of parameters, what its scenario declares."""
    scenario = record.scenario.partition(":")[0]
    detects = any(DETECTION in row.metrics and row.score != PROBED for row in record.rows)
    if scenario == "protected":
        protect = record.scenario_params.get("protect")
        headlines = protected_headlines(protect if isinstance(protect, list) else [])
    else:
        own = (Headline(scenario.replace("_", " ")),) if detects else ()
        headlines = _DECLARED.get(scenario, own)
    return msgspec.structs.replace(
        record, schema=SCHEMA, detects=detects, headlines=headlines,
        params={_RENAMED.get(name, name): value for name, value in record.params.items()},
        method=_renamed(record.method),
    )  # fmt: skip


def _renamed(label: str) -> str:
    for old, new in _RENAMED.items():
        label = label.replace(f":{old}=", f":{new}=").replace(f",{old}=", f",{new}=")
    return label


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
