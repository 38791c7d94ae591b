"""What we measured of the quantities in the paper's tables: records -> methods x seeds.

`METRICS` and `DATA` are the one place that says which rows answer which column of the paper. The
paper ranks by vote entropy, or by 1 - max p for one network: each method's own score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.metrics.registry import spec_of, specs
from bench.report.frames import Measurements, ResultGroup
from bench.report.wu2021.published import Column
from bench.store.schema import OWN, PROBED, Better, MetricSpec, Record

SEEDS = (0, 1, 2)  # the paper averages over three runs
PRESETS = ("paper", "laptop", "smoke")  # the first that is there is shown


@dataclass(frozen=True)
class Metric:
    """A quantity of the paper: its name in tables, and the rows that hold it.

    ``view`` and ``variant`` (the data set trained on, after "~") may hold "{view}", the paper's.
    Direction and unit are those of the registry, unless the paper prints another one.
    """

    label: str
    scenario: str
    metric: str = "auroc"
    view: str = ""
    variant: str = ""
    stdev: bool = False  # over the views, rather than their mean
    digits: int = 3
    scale: float = 1.0
    direction: Better | None = None  # where it is not the metric's own
    of_mistakes: bool = False  # where every prediction is right there is none
    probed: bool = False  # of a head on the last hidden layer

    @property
    def spec(self) -> MetricSpec:
        """The metric, as the registry has it."""
        return spec_of(self.metric, specs())

    @property
    def better(self) -> Better:
        """Which way is better."""
        return self.spec.better if self.direction is None else self.direction


BEARD = "target=Beard"
METRICS = {
    "accuracy": Metric("accuracy %", "clean", "accuracy", digits=1, scale=100.0),
    "misclassification": Metric("misclassification", "clean", "misclassification_auroc",
                                of_mistakes=True),
    "ece": Metric("ECE %", "clean", "ece", digits=2, scale=100.0),
    "adversarial": Metric("adversarial (FGSM)", "adversarial", view="fgsm"),
    "ood": Metric("OOD ({view})", "cross_dataset", view="{view}"),
    "speech_ood": Metric("OOD", "cross_dataset", view="{view}"),
    "corruption_mean": Metric("corruption (mean)", "corruption"),
    "corruption_stdev": Metric("corruption (stdev)", "corruption", stdev=True, direction=""),
    "heldout": Metric("{view}", "heldout", view="{view}", variant="without={view}"),
    "group_f1": Metric("F1, {view}", "protected", "f1", "{view}", BEARD),
    "group_ap": Metric("AP %, {view}", "protected", "average_precision", "{view}", BEARD,
                       digits=1, scale=100.0),
    "group_ece": Metric("ECE %, {view}", "protected", "ece", "{view}", BEARD,
                        digits=2, scale=100.0),
    "probe_f1": Metric("F1", "protected", "f1", "{view}", BEARD, direction="lower",
                       probed=True),
    "epoch_seconds": Metric("s / epoch", "cost", "epoch_seconds", digits=1),
    "cost_ratio": Metric("cost / standard", "cost", "ratio_to_standard", digits=1),
}  # fmt: skip


@dataclass(frozen=True)
class Data:
    """A data set of the paper: its name, the labels of ours that may stand for it, best first.

    ``remarks`` says what is not the paper's own data; ``ask`` is what can be run anywhere.
    """

    label: str
    names: tuple[str, ...]
    ask: str
    remarks: Mapping[str, str]


SUBSET = {"celeba-10k": "a subset of 10,000 faces at half size"}
DIGITS, COMMANDS = ("audiomnist", "fsdd*"), ("fluent", "speechcommands*")
DATA = {
    "mnist": Data("MNIST", ("mnist",), "mnist", {}),
    "fashion": Data("Fashion", ("fashion",), "fashion", {}),
    "celeba": Data("CelebA", ("celeba", "celeba-10k"), "celeba", SUBSET),
    "audiomnist": Data("AudioMNIST", DIGITS, "fsdd", {"fsdd*": "other data than the paper's"}),
    "fluent": Data(
        "Fluent", COMMANDS, "speechcommands", {"speechcommands*": "other data than the paper's"}
    ),
}
OTHER_SPEECH = {"audiomnist": COMMANDS, "fluent": DIGITS}  # the paper does not name the outliers
CLASSES = {"celeba-10k": "celeba"}  # label -> name on the command line, where they differ


class Place(NamedTuple):
    """Where numbers of one column come from; places are never mixed in a column."""

    dataset: str
    preset: str
    device: str


@dataclass(frozen=True)
class Cells:
    """What there is of one column of the paper, in its unit.

    ``per_seed`` is (methods, expected seeds), NaN where a seed or a view is absent; ``views``
    counts what each number is a mean of.
    """

    column: Column
    place: Place | None
    per_seed: pd.DataFrame
    views: int
    reasons: Mapping[str, str]  # method -> why a scenario failed or was skipped
    undefined: Mapping[str, tuple[int, ...]]  # method -> seeds measured, of which there is none

    def absent(self, method: str) -> tuple[int, ...]:
        """The seeds of a method that are to be run."""
        values = self.per_seed.loc[method]
        undefined = self.undefined.get(method, ())
        return tuple(int(seed) for seed in values.index[values.isna()] if seed not in undefined)


class Observed:
    """The records of some methods, by column of the paper."""

    def __init__(self, groups: Sequence[ResultGroup], methods: Iterable[str]) -> None:
        self.methods = list(dict.fromkeys(methods))
        wanted = set(self.methods)
        self.records = [r for group in groups for r in group.records if r.method in wanted]
        self._groups = [_only(group, wanted) for group in groups]
        self._cells: dict[Column, Cells] = {}

    @property
    def preset(self) -> str:
        """The preset of most numbers; what is to be run is run with it too."""
        known = [record.preset for record in self.records]
        return max(sorted(set(known)), key=known.count, default="laptop")

    def cells(self, column: Column) -> Cells:
        """The numbers of one column, from the best place that has any."""
        if column not in self._cells:
            self._cells[column] = self._find(column)
        return self._cells[column]

    def _find(self, column: Column) -> Cells:
        metric = METRICS[column.metric]
        variant = metric.variant.format(view=column.view)
        names = DATA[column.dataset].names
        near = [group for group in self._groups if _rank(group.dataset, names) >= 0]
        parts = [
            (group, part)
            for group in near
            if (part := group.measurements.get(metric.scenario)) is not None
            and _numbers(part, metric, variant)
        ]
        if not parts:
            nothing = pd.DataFrame(index=self.methods, columns=list(SEEDS), dtype=float)
            reasons = _reasons(_about(near, metric.scenario, variant), column)
            return Cells(column, None, nothing, 0, reasons, {})
        group, part = min(parts, key=lambda pair: _order(pair[0], pair[1], metric, variant, names))
        about = list(_about([group], metric.scenario, variant))
        places = _of_view(part, column, metric, variant)
        per_seed = self._per_seed(part, metric, places, expected_seeds(about))
        reasons, undefined = _reasons(about, column), _undefined(about, metric)
        place = Place(group.dataset, group.preset, group.device)
        return Cells(column, place, per_seed, len(places), reasons, undefined)

    def _per_seed(
        self, part: Measurements, metric: Metric, places: Sequence[int], seeds: Sequence[int]
    ) -> pd.DataFrame:
        """Mean (or deviation) over cells of every method and expected seed, in the paper's unit."""
        only = PROBED if metric.probed else ""
        values = part.values(metric.spec, OWN, only=only, every_seed=True)[:, :, places]
        values = values * metric.scale
        if not places:
            table = np.full(values.shape[:2], np.nan)
        else:
            table = values.std(axis=2, ddof=1) if metric.stdev else values.mean(axis=2)
        frame = pd.DataFrame(table, part.methods, part.all_seeds)
        return frame.reindex(index=self.methods, columns=list(seeds))


def _only(group: ResultGroup, methods: set[str]) -> ResultGroup:
    """A group with the records of some methods alone."""
    records = tuple(record for record in group.records if record.method in methods)
    return group if len(records) == len(group.records) else replace(group, records=records)


def _numbers(part: Measurements, metric: Metric, variant: str) -> int:
    """How many numbers of a metric a scenario has, of one variant of the data set."""
    if metric.metric not in part.metrics:
        return 0
    array = part.array[:, part.metrics.index(metric.metric)]
    wanted = [i for i, cell in enumerate(part.cells) if cell.variant == variant]
    return int((~np.isnan(array[..., wanted])).sum())


def _about(groups: Iterable[ResultGroup], scenario: str, variant: str) -> Iterator[Record]:
    for group in groups:
        for record in group.records:
            if (record.scenario, record.variant) == (scenario, variant):
                yield record


def _reasons(records: Iterable[Record], column: Column) -> dict[str, str]:
    """Why methods have no number for a column, of those whose records give a reason."""
    return {record.method: why for record in records if (why := _reason(record, column))}


def _reason(record: Record, column: Column) -> str:
    """Why a record has no number for a column, if it gives a reason."""
    if record.status != "ok":
        return f"{record.status}: {record.reason}"
    names = DATA[column.view].names if column.view in DATA else (column.view,)
    missing = record.missing
    return next((f"{view}: {missing[view]}" for view in missing if _rank(view, names) >= 0), "")


def _undefined(records: Iterable[Record], metric: Metric) -> dict[str, tuple[int, ...]]:
    """Seeds that were measured and made no mistake, so that a metric of mistakes has no value."""
    seeds: dict[str, tuple[int, ...]] = {}
    for record in records if metric.of_mistakes else ():
        if record.rows and not any(metric.metric in row.metrics for row in record.rows):
            seeds[record.method] = (*seeds.get(record.method, ()), record.seed)
    return seeds


def expected_seeds(records: Iterable[Record]) -> list[int]:
    """The seeds that every method should have: those that any ran, and at least the paper's."""
    seen = {record.seed for record in records if record.status != "skipped"}
    return sorted(seen if len(seen) >= len(SEEDS) else seen | set(SEEDS))


def _rank(name: str, patterns: tuple[str, ...]) -> int:
    """The place of the pattern that a name fits, or -1."""
    return next((i for i, pattern in enumerate(patterns) if fnmatchcase(name, pattern)), -1)


def _order(
    group: ResultGroup, part: Measurements, metric: Metric, variant: str, names: tuple[str, ...]
) -> tuple[int, int, int, str]:
    known = PRESETS.index(group.preset) if group.preset in PRESETS else len(PRESETS)
    return known, _rank(group.dataset, names), -_numbers(part, metric, variant), group.device


def _of_view(part: Measurements, column: Column, metric: Metric, variant: str) -> list[int]:
    """Places of the cells of the view that a column asks for; of all where it asks for none."""
    every = [i for i, cell in enumerate(part.cells) if cell.variant == variant]
    if not metric.view:
        return every
    name = metric.view.format(view=column.view)
    known = DATA[name].names if name in DATA else (name,)
    patterns = OTHER_SPEECH[column.dataset] if column.metric == "speech_ood" else known
    ranks = {i: rank for i in every if (rank := _rank(part.cells[i].view, patterns)) >= 0}
    best = min(ranks.values(), default=0)
    return [i for i, rank in ranks.items() if rank == best]
