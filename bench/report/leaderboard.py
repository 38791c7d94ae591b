"""The leaderboard: methods against the headlines of scenarios, with ranks and what is best.

Columns come from the records: each scenario declares its headlines, each metric its direction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd

from bench.report import SPAN, stats
from bench.report.formats import NONE, in_words, number
from bench.report.frames import Array, Measurements, ResultGroup, gaps, shared
from bench.report.stats import Mask, Ranking
from bench.store.schema import DETECTION, OWN, RANKED_BY, Headline, MetricSpec

Notes = dict[str, dict[str, list[str]]]  # method -> reason -> where
ACCURATE = 0.9  # of the best accuracy: what is right less often is the best of nothing else
FIT = MetricSpec("fit_seconds", "fit", "s", digits=1)  # no direction: chance would always win


@dataclass(frozen=True)
class Column:
    """One quantity of one scenario: the mean of a metric over the cells it selects."""

    scenario: str
    headline: Headline
    spec: MetricSpec
    ambiguous: bool = False  # whether another scenario has a headline of the same label

    @property
    def label(self) -> str:
        """Heading, with the unit, and with the scenario where another has the same heading."""
        unit = "" if self.spec.kind == "detection" else self.spec.unit
        of = self.scenario if self.ambiguous else ""
        return f"{self.headline.label} {unit}".strip() + (f" ({of})" if of else "")

    def cells(self, part: Measurements) -> list[int]:
        """Places of its cells that are compared, or of all its cells where none is."""
        wanted = [
            i for i, cell in enumerate(part.cells)
            if self.headline.view in ("", cell.view) and self.headline.group in ("", cell.group)
        ]  # fmt: skip
        return [i for i in wanted if part.common[i]] or wanted

    def values(self, group: ResultGroup, score: str = RANKED_BY) -> Array:
        """Its values in the unit of the rows, (M, S, cells); NaN where there is none."""
        part = group.measurements[self.scenario]
        found = part.values(self.spec, score, only=self.headline.score)
        return found[:, :, self.cells(part)]

    def grid(self, group: ResultGroup, score: str = RANKED_BY) -> pd.DataFrame:
        """The same as a frame: rows (method, seed), columns (view, severity)."""
        part = group.measurements[self.scenario]
        values = self.values(group, score)
        cells = [part.cells[i][:2] for i in self.cells(part)]
        rows = pd.MultiIndex.from_product([group.methods, part.seeds], names=["method", "seed"])
        columns = pd.MultiIndex.from_tuples(cells, names=["view", "severity"]) if cells else []
        return pd.DataFrame(values.reshape(len(rows), len(cells)), rows, columns)


def columns(group: ResultGroup, *, board: bool = True) -> list[Column]:
    """The headlines of a group with a number, in the order of their columns.

    With ``board``, without those that only a scenario's own table has.
    """
    found = []
    for scenario, headline in group.headlines:
        spec = group.specs.get(headline.metric)
        if spec is None or (board and not headline.board):
            continue
        column = Column(scenario, headline, spec)
        if column.cells(group.measurements[scenario]) and _has_numbers(column, group):
            found.append(column)
    counts = Counter(column.label for column in found)
    return [replace(c, ambiguous=counts[c.label] > 1) for c in found]


def _has_numbers(column: Column, group: ResultGroup) -> bool:
    part = group.measurements[column.scenario]
    if column.spec.name not in part.metrics:
        return False
    array = part.array[:, part.metrics.index(column.spec.name)]
    return not np.isnan(array[..., column.cells(part)]).all()


def shifts(group: ResultGroup) -> list[Column]:
    """The columns of what is detected."""
    return [c for c in columns(group) if c.spec.kind == "detection" and not c.headline.score]


@dataclass(frozen=True)
class Leaderboard:
    """Numbers of one group, best rank first; ``rank`` is NaN for a method that lacks a cell.

    ``mean``, ``std`` and ``could_see`` (the smallest difference from the best that would have been
    seen) have the printed unit; ``best`` is label -> methods in bold.
    """

    columns: list[Column]
    specs: dict[str, MetricSpec]  # by label, the seconds of the fits included
    by: str
    score: pd.Series
    tuned: pd.Series
    rank: pd.Series
    span: pd.DataFrame  # of the ranks, low and high
    ranking: Ranking
    mean: pd.DataFrame
    std: pd.DataFrame
    could_see: pd.DataFrame
    best: dict[str, set[str]]
    caption: str
    notes: list[str]

    def text(
        self, bold: Callable[[str], str] = str, plain: Callable[[str], str] = str
    ) -> pd.DataFrame:
        """Cells as they are printed, the best through ``bold`` and the others through ``plain``."""

        def styled(label: str, cells: list[str]) -> list[str]:
            chosen = self.best.get(label, set())
            pairs = zip(self.rank.index, cells, strict=True)
            return [(bold if name in chosen else plain)(cell) for name, cell in pairs]

        table = {"rank": styled("rank", [number(value, digits=2) for value in self.rank])}
        if self.span.notna().any(axis=None):
            table[SPAN] = [plain(_span(*ends)) for ends in self.span.to_numpy()]
        table["method"] = [plain(name) for name in self.rank.index]
        if self.by == OWN:  # else it is the same for all, and in the caption
            table["score"] = [plain(in_words(name)) for name in self.score]
        if self.tuned.any():
            table["tuned by"] = [plain(how) for how in self.tuned]
        for label, spec in self.specs.items():
            pairs = zip(self.mean[label], self.std[label], strict=True)
            cells = [number(mean, std, spec.digits) for mean, std in pairs]
            table[label] = styled(label, cells)
        return pd.DataFrame(table)

    def numbers(self) -> pd.DataFrame:
        """The same as numbers, with standard deviations, and the gaps that could be seen."""
        table = self.span.add_prefix("rank ").assign(score=self.score)
        table.insert(0, "rank", self.rank)
        for label in self.mean:
            table[f"{label} mean"], table[f"{label} std"] = self.mean[label], self.std[label]
            if label in self.could_see:
                table[f"{label} could have seen"] = self.could_see[label]
        return table.round(6).rename_axis("method").reset_index()


def ranked_cells(group: ResultGroup, score: str, metric: str = DETECTION) -> dict[str, Array]:
    """Values of the cells that ranks are over, by scenario, (M, S, cells).

    Those are the cells of fits on the whole data set that at least half of the methods have, of
    all methods for which anything is detected: a small experiment takes nobody's rank.
    """
    parts = {name: group.measurements[name] for name in group.detecting}
    if not parts or metric not in group.specs:
        return {}
    present = np.hstack([part.present for part in parts.values()])
    whole = [not cell.variant for part in parts.values() for cell in part.cells]
    chosen = shared(group.methods, present) & np.array(whole)
    found, start = {}, 0
    for name, part in parts.items():
        mine = chosen[start : start + len(part.cells)]
        start += len(part.cells)
        if mine.any():
            found[name] = part.values(group.specs[metric], score)[:, :, mine]
    return found


def ranked_families(group: ResultGroup, scenarios: Iterable[str]) -> list[str]:
    """The family of each cell that ranks are over, in the order of the scenarios."""
    return [
        group.measurements[name].cells[i].family
        for name in scenarios
        for i in _cells_of(group, name)
    ]


def overall_ranking(group: ResultGroup, score: str, metric: str = DETECTION) -> Ranking:
    """The ranking of a group's methods over all cells that are compared, by family."""
    parts = ranked_cells(group, score, metric)
    if not parts:
        return stats.ranking([np.empty((len(group.methods), 1, 0))])
    higher = metric not in group.specs or group.specs[metric].better != "lower"
    return stats.ranking(list(parts.values()), ranked_families(group, parts), higher=higher)


def accurate(group: ResultGroup) -> Mask:
    """Which methods are right nearly as often as the best on clean inputs, (M,)."""
    spec = group.specs.get("accuracy")
    found = [c for c in columns(group) if c.spec is spec]
    if spec is None or not found:
        return np.ones(len(group.methods), dtype=bool)
    accuracy = found[0].values(group).mean(axis=(1, 2))
    return ~(accuracy < ACCURATE * np.nanmax(accuracy, initial=0))


@lru_cache(maxsize=64)
def leaderboard(group: ResultGroup, score: str = RANKED_BY) -> Leaderboard:
    """The leaderboard of a group by one score, or by each method's own (`OWN`)."""
    methods, notes = group.methods, Notes()
    ranking = overall_ranking(group, score)
    order = pd.Series(ranking.mean, methods).sort_values(kind="stable").index
    for name, values in ranked_cells(group, score).items():
        part = group.measurements[name]
        _note(notes, gaps(part, values, _cells_of(group, name)))
    best = {"rank": {name for name, at in zip(methods, ranking.best, strict=True) if at}}
    mean, std, could_see, specs = {}, {}, {}, {}
    shown = columns(group)
    for column in shown:
        part, values = group.measurements[column.scenario], column.values(group, score)
        _note(notes, gaps(part, values, column.cells(part)))
        per_seed = values.mean(axis=2, keepdims=True)
        calibrated = column.spec.kind == "answer" and column.spec.name != "accuracy"
        eligible = accurate(group)[:, None] if calibrated else None
        found = stats.compared(per_seed, [column.spec], eligible)
        best[column.label] = {
            name for name, at in zip(methods, found.best[:, 0], strict=True) if at
        }
        could_see[column.label] = found.could_see[:, 0] * column.spec.scale
        (mean[column.label], std[column.label]) = (
            x[:, 0] for x in stats.mean_and_std(per_seed * column.spec.scale)
        )
        specs[column.label] = column.spec
    seconds = group.fit_seconds.to_numpy()[:, :, None]
    mean[FIT.heading], std[FIT.heading] = (x[:, 0] for x in stats.mean_and_std(seconds))
    return Leaderboard(
        columns=shown, specs=specs | {FIT.heading: FIT}, by=score,
        score=pd.Series({name: group.own[name] if score == OWN else score for name in order}),
        tuned=pd.Series({name: group.tuned[name] for name in order}, dtype=object),
        rank=pd.Series(ranking.mean, methods).reindex(order), ranking=ranking,
        span=pd.DataFrame({"low": ranking.low, "high": ranking.high}, methods).reindex(order),
        mean=pd.DataFrame(mean, methods).reindex(order),
        std=pd.DataFrame(std, methods).reindex(order), best=best,
        could_see=pd.DataFrame(could_see, methods).reindex(order),
        caption=" ".join(
            filter(None, [
                _caption(group, score), _caption_of_power(could_see, specs),
                _caption_of_ranks(ranking, group),
            ])
        ),
        notes=[*(_footnote(*note) for note in sorted(notes.items())), *left_out(group)],
    )  # fmt: skip


def _cells_of(group: ResultGroup, scenario: str) -> list[int]:
    """Places of the cells of one scenario that ranks are over."""
    parts = [group.measurements[name] for name in group.detecting]
    chosen = shared(group.methods, np.hstack([part.present for part in parts]))
    start = sum(len(p.cells) for p in parts[: group.detecting.index(scenario)])
    part = group.measurements[scenario]
    return [i for i, cell in enumerate(part.cells) if chosen[start + i] and not cell.variant]


def left_out(group: ResultGroup) -> list[str]:
    """What few methods have, so that means and ranks are without it, a line each."""
    lines = []
    for name in group.detecting:
        part = group.measurements[name]
        ranked = set(_cells_of(group, name))
        whole = {i for i, cell in enumerate(part.cells) if not cell.variant}
        if whole and not ranked:
            who = [m for m, row in zip(part.methods, part.present, strict=True) if row.any()]
            lines.append(f"{name}: not ranked, only {_listed(who)} ran it")
        rare = [i for i in range(len(part.cells)) if not part.common[i]]
        if rare:
            views = dict.fromkeys(part.cells[i].view for i in rare)
            lines.append(f"{name}: left out {_listed(views)}, which most methods lack")
    for name, part in group.measurements.items():
        if extra := [seed for seed in part.all_seeds if seed not in part.seeds]:
            seeds = ", ".join(map(str, extra))
            lines.append(f"{name}: left out seed {seeds}, which most methods lack")
    return lines


def _listed(names: Iterable[str], most: int = 5) -> str:
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _note(notes: Notes, reasons: list[tuple[str, str, str]]) -> None:
    """Add reasons, each with the places it holds for."""
    for method, why, where in reasons:
        places = notes.setdefault(method, {}).setdefault(why, [])
        places += [where] if where not in places else []


def _footnote(method: str, reasons: dict[str, list[str]]) -> str:
    return f"{method}: " + "; ".join(f"{why} ({', '.join(of)})" for why, of in reasons.items())


def by_words(score: str) -> str:
    """A score in words, behind "by"."""
    return "each method's own score" if score == OWN else in_words(score)


def _caption(group: ResultGroup, score: str) -> str:
    """What is averaged over what, and what bold means."""
    counts = [len(part.seeds) for part in group.measurements.values()]
    many, fewest = max(counts, default=0), min(counts, default=0)
    spread = f"mean ± standard deviation (ddof = 1) over {many} seeds" if many > 1 else "one seed"
    spread += "" if many == fewest else f" (of some scenarios {fewest}: no ± stands for one)"
    test = "what t-tests paired over the seeds do not tell from it (5 % of a column's found false)"
    bold = f"best, and {test}" if many > 1 else "best (one seed: nothing can be tested)"
    return (
        f"AUROC by {by_words(score)}, mean over the views; {spread}. Bold: {bold}; never what is "
        "not better than chance, nor the calibration of a method that is right less than "
        f"{ACCURATE:g} times as often as the best."
    )


def _caption_of_power(could_see: Mapping[str, Array], specs: Mapping[str, MetricSpec]) -> str:
    """How small a difference from the best could have been seen, of what is not told from it."""
    parts = []
    for label, values in could_see.items():
        if len(known := values[~np.isnan(values)]):
            digits = specs[label].digits
            low, high = (f"{x:.{digits}f}" for x in (known.min(), known.max()))
            parts.append(f"{label} {low}" + (f" to {high}" if high != low else ""))
    if not parts:
        return ""
    return f"Not told from the best; could have seen (power 80 %): {', '.join(parts)}."


def _caption_of_ranks(ranking: Ranking, group: ResultGroup) -> str:
    """How many methods and families are ranked, with Friedman's p and Nemenyi's difference."""
    methods, cells = ranking.methods, ranking.cells
    if not cells or not methods:
        return "Nothing could be ranked."
    names = ", ".join(dict.fromkeys(ranked_families(group, group.detecting)))
    text = (
        f"Rank: of {methods} complete methods in {cells} (view, severity) cells, mean within each "
        f"family ({names}), then over families"
    )
    if not np.isnan(ranking.low).all():
        text += f"; {SPAN}: interval over families and seeds drawn again"
    if np.isnan(ranking.difference):
        return text + "; too few to test."
    p_text = "p < 0.001" if ranking.p < 0.001 else f"p = {ranking.p:.3f}"
    return (
        f"{text}; Friedman over the {ranking.families} families {p_text}, bold within Nemenyi's "
        f"critical difference {ranking.difference:.2f}."
    )


def _span(low: float, high: float) -> str:
    return NONE if np.isnan(low) else f"{low:.1f}–{high:.1f}"
