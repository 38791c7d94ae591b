"""What we measured of the quantities in the paper's tables: rows -> methods x seeds.

`METRICS` and `DATA` are the one place that says which rows answer which column of the paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pandas as pd

from bench.report import stats
from bench.report.frames import HEADLINE
from bench.report.leaderboard import Better
from bench.report.wu2021.published import Column
from bench.store.rows import tidy

Record = Mapping[str, Any]

SEEDS = (0, 1, 2)  # the paper averages over three runs
PRESETS = ("paper", "laptop", "smoke")  # the first that is there is shown
BY_UNCERTAINTY = {"auroc", "misclassification_auroc"}  # all else is of a method's answer


@dataclass(frozen=True)
class Metric:
    """A quantity of the paper: its name in tables, and the rows that hold it.

    ``view`` and ``variant`` (the data set trained on, after "~") may hold "{view}", the paper's.
    """

    label: str
    scenario: str
    metric: str = "auroc"
    view: str = ""
    variant: str = ""
    stdev: bool = False  # over the views, rather than their mean
    digits: int = 3
    scale: float = 1.0
    better: Better = "higher"
    of_mistakes: bool = False  # where every answer is right there is none


BEARD = "target=Beard"
PROBED = "features"  # what stands in place of a score where a head reads the last hidden layer
METRICS = {
    "accuracy": Metric("accuracy %", "clean", "accuracy", digits=1, scale=100.0),
    "misclassification": Metric("misclassification", "clean", "misclassification_auroc",
                                of_mistakes=True),
    "ece": Metric("ECE %", "clean", "ece", digits=2, scale=100.0, better="lower"),
    "adversarial": Metric("adversarial (FGSM)", "adversarial", view="fgsm"),
    "ood": Metric("OOD ({view})", "cross_dataset", view="{view}"),
    "speech_ood": Metric("OOD", "cross_dataset", view="{view}"),
    "corruption_mean": Metric("corruption (mean)", "corruption"),
    "corruption_stdev": Metric("corruption (stdev)", "corruption", stdev=True, better=""),
    "heldout": Metric("{view}", "heldout", view="{view}", variant="without={view}"),
    "group_f1": Metric("F1, {view}", "protected", "f1", "{view}", BEARD),
    "group_ap": Metric("AP %, {view}", "protected", "average_precision", "{view}", BEARD,
                       digits=1, scale=100.0),
    "group_ece": Metric("ECE %, {view}", "protected", "ece", "{view}", BEARD,
                        digits=2, scale=100.0, better="lower"),
    "probe_f1": Metric("F1", "protected", "f1", "{view}", BEARD, better="lower"),
    "epoch_seconds": Metric("s / epoch", "cost", "epoch_seconds", digits=1, better=""),
    "cost_ratio": Metric("cost / standard", "cost", "ratio_to_standard", digits=1, better=""),
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
class Found:
    """What there is of one column of the paper, in its unit.

    ``per_seed`` is (methods, seeds that every method owes), NaN where a seed or a view is
    absent; ``views`` counts what each number is a mean of.
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
        told = self.undefined.get(method, ())
        return tuple(int(seed) for seed in values.index[values.isna()] if seed not in told)

    def whole(self, method: str) -> bool:
        """Tell whether a method has every seed and every view."""
        return bool(self.per_seed.loc[method].notna().all())


class Measured:
    """The rows of some methods, by column of the paper."""

    def __init__(self, records: Iterable[Record], methods: Iterable[str]) -> None:
        self.methods = list(dict.fromkeys(methods))
        self.records = [r for r in records if r["method"] in set(self.methods)]
        self._lines = _grouped(self.records)
        self._found: dict[Column, Found] = {}

    @property
    def preset(self) -> str:
        """The preset of most numbers; what is to be run is run with it too."""
        known = [str(r["preset"]) for r in self.records if r.get("preset")]
        return max(sorted(set(known)), key=known.count, default="laptop")

    def find(self, column: Column) -> Found:
        """The numbers of one column, from the best place that has any."""
        if column not in self._found:
            self._found[column] = self._find(column)
        return self._found[column]

    def _find(self, column: Column) -> Found:
        metric = METRICS[column.metric]
        variant = metric.variant.format(view=column.view)
        names = DATA[column.dataset].names
        parts = {
            Place(*key[:3]): part
            for key, part in self._lines.items()
            if key[3:] == (variant, metric.scenario, metric.metric) and _rank(key[0], names) >= 0
        }
        about = self._about(names, variant, metric.scenario)
        if not parts:
            nothing = pd.DataFrame(index=self.methods, columns=list(SEEDS), dtype=float)
            return Found(column, None, nothing, 0, _reasons(about, column), {})
        place = min(parts, key=lambda p: _order(p, names, parts[p]))
        about = [r for r in about if _place(r) == place]
        lines = _of_view(parts[place], column, metric)
        values = stats.grid(lines, self.methods, _owed(about)) * metric.scale
        per_seed = (
            values.std(axis=1, ddof=1, skipna=False).unstack("seed").reindex(self.methods)
            if metric.stdev
            else stats.over_cells(values)
        )
        reasons, undefined = _reasons(about, column), _undefined(about, metric)
        return Found(column, place, per_seed, values.shape[1], reasons, undefined)

    def _about(self, names: tuple[str, ...], variant: str, scenario: str) -> list[Record]:
        return [
            r
            for r in self.records
            if r["scenario"] == scenario
            and _rank(_place(r).dataset, names) >= 0
            and r["dataset"].partition("~")[2] == variant
        ]


def _place(record: Record) -> Place:
    preset, device = record.get("preset") or "unknown", record.get("device") or "unknown device"
    return Place(record["dataset"].partition("~")[0], preset, device)


def _reasons(records: Iterable[Record], column: Column) -> dict[str, str]:
    """Why methods have no number for a column, of those that say so."""
    return {r["method"]: why for r in records if (why := _reason(r, column))}


def _reason(record: Record, column: Column) -> str:
    """Why a record has no number for a column, if it says so."""
    if record["status"] != "ok":
        return f"{record['status']}: {record['reason']}"
    names = DATA[column.view].names if column.view in DATA else (column.view,)
    missing = record.get("missing") or {}
    return next((f"{view}: {missing[view]}" for view in missing if _rank(view, names) >= 0), "")


def _undefined(records: Iterable[Record], metric: Metric) -> dict[str, tuple[int, ...]]:
    """Seeds that were measured and made no mistake, so that a metric of mistakes has no value."""
    found: dict[str, tuple[int, ...]] = {}
    for r in records if metric.of_mistakes else ():
        if r["rows"] and not any(metric.metric in row["metrics"] for row in r["rows"]):
            found[r["method"]] = (*found.get(r["method"], ()), int(r["seed"]))
    return found


def _owed(records: Iterable[Record]) -> list[int]:
    """The seeds that every method owes: those that any ran, and no fewer than the paper's."""
    seen = {int(r["seed"]) for r in records if r["status"] != "skipped"}
    return sorted(seen if len(seen) >= len(SEEDS) else seen | set(SEEDS))


def _grouped(records: list[Record]) -> dict[tuple[str, ...], pd.DataFrame]:
    """Lines that count, by (data set, preset, device, variant, scenario, metric)."""
    frame = tidy(records, {m.metric for m in METRICS.values()}).dropna(subset="value")
    if frame.empty:
        return {}
    frame = frame.fillna({"preset": "unknown", "device": "unknown device"})
    headline = {r["method"]: r.get("score") or HEADLINE for r in records if r["rows"]}
    wanted = (
        frame["method"].map(headline).where(frame["metric"].isin(BY_UNCERTAINTY), frame["answer"])
    )
    frame = frame[(frame["score"] == wanted) | frame["score"].isna() | (frame["score"] == PROBED)]
    names = frame["dataset"].str.partition("~")
    frame = frame.assign(dataset=names[0], variant=names[2])
    by = ["dataset", "preset", "device", "variant", "scenario", "metric"]
    return dict(list(frame.groupby(by)))


def _rank(name: str, patterns: tuple[str, ...]) -> int:
    """The place of the pattern that a name fits, or -1."""
    return next((i for i, pattern in enumerate(patterns) if fnmatchcase(name, pattern)), -1)


def _order(place: Place, names: tuple[str, ...], lines: pd.DataFrame) -> tuple[int, int, int, str]:
    known = PRESETS.index(place.preset) if place.preset in PRESETS else len(PRESETS)
    return known, _rank(place.dataset, names), -len(lines), place.device


def _of_view(lines: pd.DataFrame, column: Column, metric: Metric) -> pd.DataFrame:
    """The lines of the view a column asks for; all of them where it asks for none."""
    if not metric.view:
        return lines
    name = metric.view.format(view=column.view)
    known = DATA[name].names if name in DATA else (name,)
    patterns = OTHER_SPEECH[column.dataset] if column.metric == "speech_ood" else known
    ranks = lines["view"].map(lambda view: _rank(view, patterns))
    return lines[ranks == ranks[ranks >= 0].min()]
