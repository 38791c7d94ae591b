"""The paper's tables: our value beside its own, as Markdown, LaTeX and CSV.

A table is data: which cells of the paper it holds (`published`), and which rows of ours answer
each column (`observed`). A cell that lacks a seed or a view is marked and never in bold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from msgspec.structs import replace

from bench.errors import BenchError
from bench.report import formats, stats
from bench.report.frames import load, result_groups
from bench.report.wu2021 import missing
from bench.report.wu2021.observed import DATA, METRICS, Cells, Observed, Place, _rank
from bench.report.wu2021.published import Cell, Column, cells, with_ratios
from bench.store.schema import MetricSpec

Style = Callable[[str], str]
FAIR = "mc_dropout:rate=0.1"  # the paper's rate of 0.5 is no fair rival: 0.1 stands beside it
CAPTION = (
    "Ours ± standard deviation over seeds, the paper's in brackets. Bold: the best of what is "
    "complete, and what t-tests "
    "paired over seeds do not tell from it (5 % found false); (n = 1): one seed only."
)
HEAD = (
    "# The paper's tables\n\nWritten by `python -m bench report --paper`; not to be edited. Its "
    "statements, one by one: [claims](claims.md).\n"
)
VOTES = "AUROC by vote entropy (eq. 6), or 1 - max p for one network."


@dataclass(frozen=True)
class Table:
    """One table of the paper; its cells are those published under ``id``.

    ``down`` is what a row is; ``also`` are rows the paper has not, and ``of`` columns of its
    appendix, whose numbers are not at hand.
    """

    id: str
    caption: str
    down: Literal["methods", "columns"] = "methods"
    also: tuple[str, ...] = ()
    of: tuple[Column, ...] = ()
    digits: Mapping[str, int] = field(default_factory=dict)  # of a metric, unlike elsewhere

    @cached_property
    def cells(self) -> dict[tuple[str, Column], Cell]:
        """What the paper has: (row, column) -> cell."""
        return {(c.row, c.column): c for c in with_ratios() if c.table == self.id}

    @property
    def methods(self) -> list[str]:
        """Labels of ours, the paper's first."""
        return list(dict.fromkeys([*(row for row, _ in self.cells), *self.also]))

    @property
    def columns(self) -> list[Column]:
        """Quantities in the order of the paper."""
        return list(dict.fromkeys([*(column for _, column in self.cells), *self.of]))


PRECISE = {"accuracy": 2, "ece": 3}
CNN = "backbone=cnn,channels=16"
CONVOLUTIONAL = (
    f"standard:{CNN}", f"mc_dropout:{CNN},rate=0.1", f"bayes:{CNN}", f"ensemble:{CNN}",
    f"decnn:{CNN}", f"redecnn:{CNN}",
)  # fmt: skip
SHIFTS = tuple(
    Column(data, *rest)
    for data, other in (("mnist", "fashion"), ("fashion", "mnist"))
    for rest in (("accuracy",), ("ece",), ("misclassification",), ("adversarial",),
                 ("ood", other), ("ood", "celeba"), ("corruption_mean",))
)  # fmt: skip
TABLES = (
    Table("T1a", "Accuracy on the test part.", also=(FAIR, "dropout:rate=0.1")),
    Table("T1b", f"Telling wrong answers from right ones; {VOTES}", also=(FAIR, "standard")),
    Table("T2", "Telling outliers from inliers, the data set trained on at the left; mean over all "
          f"strengths of FGSM and over all corruptions; {VOTES}", "columns", (FAIR,)),
    Table("T3", f"Faces with an attribute held out of training; {VOTES}", also=(FAIR,)),
    Table("T4a", "Expected calibration error; the paper's, printed without a unit, read as %.",
          also=(FAIR, "dropout:rate=0.1")),
    Table("T4b", f"ReDecNN by depth of the recursion (8 where none is named); {VOTES}"),
    Table("T5", f"ReDecNN composed with a pretrained classifier (eq. 7); {VOTES}", "columns",
          digits=PRECISE),
    Table("T6", f"Eq. 7 against the same pull on the input itself; {VOTES}", "columns",
          digits=PRECISE),
    Table("T7", "Predicting beards while ignoring baldness (eq. 8).", also=("grad:protect=Bald",)),
    Table("T8", "A small head on the frozen last hidden layer, asked for baldness: less is better.",
          also=("grad:protect=Bald",)),
    Table("T9a", f"Spoken digits; {VOTES}", also=(FAIR,), digits={"ece": 3}),
    Table("T9b", f"Spoken commands; {VOTES}", also=(FAIR,), digits={"ece": 3}),
    Table("T10", "Cost of training. The paper's seconds are of a Titan X; its ratios follow from "
          "them.", also=("bayes",)),
    Table("A6", "Tables 1, 2 and 4 for convolutional nets of 16 channels (A.6 of the appendix, "
          f"whose numbers are not at hand); {VOTES}", "columns", CONVOLUTIONAL, SHIFTS),
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One cell of ours, next to the paper's."""

    method: str
    cells: Cells
    cell: Cell | None
    digits: int
    is_best: bool
    mark: str = ""  # of the footnote that says how to fill it

    @cached_property
    def values(self) -> np.ndarray:
        """One number for each expected seed, NaN where it or a view of it is absent."""
        return self.cells.per_seed.loc[self.method].to_numpy(dtype=float)

    @cached_property
    def seeds(self) -> int:
        """How many seeds there are."""
        return int((~np.isnan(self.values)).sum())

    @property
    def lacking(self) -> bool:
        """Whether the paper has the number and we lack it or a seed of it."""
        return self.cell is not None and bool(self.cells.absent(self.method))

    @cached_property
    def pair(self) -> tuple[float, float]:
        """Mean and standard deviation (ddof = 1) over the seeds that are there."""
        there = self.values[~np.isnan(self.values)]
        mean = float(there.mean()) if len(there) else math.nan
        return mean, float(there.std(ddof=1)) if len(there) > 1 else math.nan

    def text(self, bold: Style, plain: Style) -> str:
        """The cell as it is printed."""
        ours = (bold if self.is_best else plain)(formats.number(*self.pair, self.digits))
        few = 0 < self.seeds < len(self.values)
        rest = [
            f"(n = {self.seeds})" if few else "",
            f"({self.mark})" if self.mark else "",
            f"[{self.cell.value:.{self.digits}f}]" if self.cell else "",
        ]
        return " ".join([ours, *(plain(part) for part in rest if part)])


@dataclass(frozen=True)
class Filled:
    """A table with our numbers in it."""

    table: Table
    entries: dict[tuple[str, Column], Entry]
    notes: list[str]

    def text(self, bold: Style, plain: Style) -> pd.DataFrame:
        """Cells as they are printed."""
        table = self.table
        heads = dict(zip(table.columns, headings(table.columns), strict=True))
        if table.down == "methods":
            side = {"method": [plain(name) for name in table.methods]}
            return pd.DataFrame(side | {
                head: [self.entries[name, column].text(bold, plain) for name in table.methods]
                for column, head in heads.items()
            })  # fmt: skip
        side = {"metric": [plain(head) for head in heads.values()]}
        return pd.DataFrame(side | {
            name: [self.entries[name, column].text(bold, plain) for column in heads]
            for name in table.methods
        })  # fmt: skip

    def numbers(self) -> pd.DataFrame:
        """The same, one line for each cell."""
        return pd.DataFrame([_numbers(self.table.id, entry) for entry in self.entries.values()])


def _numbers(table: str, entry: Entry) -> dict[str, Any]:
    cells, cell = entry.cells, entry.cell
    mean, std = entry.pair
    place = cells.place or Place("", "", "")
    return {
        "table": table, "method": entry.method, "dataset": cells.column.dataset,
        "metric": cells.column.metric, "view": cells.column.view,
        "measured_on": place.dataset, "preset": place.preset, "device": place.device,
        "mean": round(mean, 6), "std": round(std, 6), "seeds": entry.seeds,
        "seeds_expected": len(entry.values), "views": cells.views,
        "paper": cell.value if cell else None, "paper_std": cell.spread if cell else None,
        "paper_std_is_bound": cell.bound if cell else None,
    }  # fmt: skip


def headings(columns: list[Column]) -> list[str]:
    """Names of columns, less what is the same in all of them."""
    pairs = [(DATA[c.dataset].label, metric_name(c)) for c in columns]
    differ = [len(set(words)) > 1 for words in zip(*pairs, strict=True)]
    if not any(differ):
        differ = [False, True]
    return [" ".join(w for w, shown in zip(p, differ, strict=True) if shown) for p in pairs]


def metric_name(column: Column) -> str:
    """A quantity in words, with the view it is of."""
    view = DATA[column.view].label if column.view in DATA else column.view
    return METRICS[column.metric].label.format(view=view)


def methods() -> list[str]:
    """Every method that a table has a row or a column for."""
    return list(dict.fromkeys(name for table in TABLES for name in table.methods))


def fill(table: Table, observed: Observed, results: Path) -> Filled:
    """Put our numbers into a table, and say what it lacks."""
    entries = {}
    for column in table.columns:
        cells = observed.cells(column)
        metric = METRICS[column.metric]
        digits = table.digits.get(column.metric, metric.digits)
        rivals = cells.per_seed.loc[table.methods].dropna()
        best = _best(rivals, replace(metric.spec, better=metric.better))
        for method in table.methods:
            cell = table.cells.get((method, column))
            entries[method, column] = Entry(method, cells, cell, digits, method in best)
    gaps = [
        missing.gap(entry.cells, entry.method, observed.preset)
        for entry in entries.values()
        if entry.lacking
    ]
    notes = [*_places(entries.values()), *_reasons(entries.values())]
    notes += _undefined(entries.values())
    orders = missing.commands(gaps, results)
    marks = {gap: _letter(i) for i, order in enumerate(orders) for gap in order.gaps}
    marked = {key: _marked(entry, marks, observed.preset) for key, entry in entries.items()}
    commands = [f"({_letter(i)}) to be run: `{order.text}`" for i, order in enumerate(orders)]
    return Filled(table, marked, [*notes, *commands])


def _best(rivals: pd.DataFrame, spec: MetricSpec) -> set[str]:
    """What is printed in bold; one method alone is not the best of anything."""
    if len(rivals) < 2:
        return set()
    chosen = stats.best(rivals.to_numpy()[:, :, None], [spec])[:, 0]
    return set(rivals.index[chosen])


def _letter(i: int) -> str:
    """A, b … z, aa, ab …: the marks of footnotes."""
    more, last = divmod(i, 26)
    return ("" if not more else _letter(more - 1)) + "abcdefghijklmnopqrstuvwxyz"[last]


def _marked(entry: Entry, marks: Mapping[missing.Gap, str], preset: str) -> Entry:
    if not entry.lacking:
        return entry
    mark = marks[missing.gap(entry.cells, entry.method, preset)]
    return with_changes(entry, mark=mark)


def _places(entries: Iterable[Entry]) -> list[str]:
    """Where the numbers come from, a line for each data set of the paper."""
    places: dict[str, dict[str, None]] = {}
    for entry in entries:
        words = places.setdefault(DATA[entry.cells.column.dataset].label, {})
        if entry.seeds:
            words.setdefault(where(entry.cells))
    return [f"{label}: {'; '.join(words) or 'not run'}." for label, words in places.items()]


def where(cells: Cells) -> str:
    """Data, preset, device and seeds of a column that has numbers, in words."""
    if cells.place is None:
        return ""
    name = cells.place.dataset
    remarks = DATA[cells.column.dataset].remarks.items()
    remark = [f" ({text})" for pattern, text in remarks if _rank(name, (pattern,)) == 0]
    there = cells.per_seed.notna().any()
    seeds = f"{there.sum()} seed{'' if there.sum() == 1 else 's'}"
    place = f"preset {cells.place.preset}, {cells.place.device}"
    return f"measured on {name}{''.join(remark)}, {place}, {seeds}"


def _reasons(entries: Iterable[Entry]) -> list[str]:
    """Why numbers that were to be had are not there."""
    methods_of: dict[tuple[str, str], dict[str, None]] = {}
    for entry in entries:
        why = entry.cells.reasons.get(entry.method)
        if why and entry.lacking:
            label = DATA[entry.cells.column.dataset].label
            methods_of.setdefault((label, why), {}).setdefault(entry.method)
    return [f"{label}, {', '.join(who)}: {why}" for (label, why), who in methods_of.items()]


def _undefined(entries: Iterable[Entry]) -> list[str]:
    """Which numbers there cannot be, a line for each column."""
    seeds_of: dict[str, list[str]] = {}
    for entry in entries:
        column = entry.cells.column
        if seeds := entry.cells.undefined.get(entry.method):
            words = f"{entry.method} seed {', '.join(map(str, sorted(seeds)))}"
            seeds_of.setdefault(f"{DATA[column.dataset].label} {metric_name(column)}", []).append(
                words
            )
    return [
        f"{what}: not defined where no prediction is wrong: {'; '.join(who)}."
        for what, who in seeds_of.items()
    ]


def write(observed: Observed, results: Path) -> None:
    """Write every table under ``<results>/paper``, and a README that holds them all."""
    parts = []
    for table in TABLES:
        filled = fill(table, observed, results)
        caption = f"{table.id}. {table.caption} {CAPTION}"
        text = formats.markdown(
            filled.text(formats.markdown_bold, formats.markdown_escape), caption, filled.notes
        )
        stem = results / "paper" / table.id
        formats.write(stem.with_suffix(".md"), text)
        formats.write(stem.with_suffix(".csv"), formats.csv(filled.numbers()))
        printed = filled.text(formats.tex_bold, formats.tex_escape)
        notes = [note.replace("`", "") for note in filled.notes]
        formats.write(
            stem.with_suffix(".tex"),
            formats.latex(printed, caption, f"paper-{table.id}", notes, fit=True),
        )
        parts += [f"## Table {table.id}\n", text]
    formats.write(results / "paper" / "README.md", "\n".join([HEAD, *parts]))


def shortfall(results: Path, *others: Path) -> Iterator[str]:
    """Yield the script that fills the tables: `bench report --missing`."""
    try:
        records = load(results, *others)[0]
    except BenchError as error:  # nothing was run yet, so all of it is missing
        yield f"# {error}"
        records = []
    observed = Observed(result_groups(records), methods())
    yield from missing.lines(*gaps(observed), observed, results)


def gaps(observed: Observed) -> tuple[list[missing.Gap], int]:
    """What the tables lack, each number once, and how many numbers they have in all."""
    wanted = dict.fromkeys((cell.row, cell.column) for cell in cells())
    pairs = [(method, observed.cells(column)) for method, column in wanted]
    lacking = [(method, cells) for method, cells in pairs if cells.absent(method)]
    return [missing.gap(cells, method, observed.preset) for method, cells in lacking], len(pairs)
