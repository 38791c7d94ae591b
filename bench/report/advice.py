"""What should I use? The best pair of method and score for each shift, and three lessons.

The best of hundreds of pairs flatters itself on the seeds that it was chosen on. So the first third
of the seeds chooses, and the others measure its AUROC and how much it gains on the usual pair,
`standard` by predictive entropy. (To choose on all seeds but one, in turn, and to test the gains on
these is no way out: where nothing differs such a test calls 7 to 19 % at a level of 5 %.) The views
are the same in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from bench.report import formats, pareto
from bench.report.frames import Array, ResultGroup
from bench.report.leaderboard import accurate, shifts
from bench.report.stats import LEVEL, Gain
from bench.store.schema import RANKED_BY, MetricSpec

USUAL = "standard"
CLOSE = 0.01  # of the best AUROC: as good, for less
METHOD = (
    "Best: the pair of method and score with the highest mean AUROC over views, of methods that "
    "are nearly as accurate as the best. {} Gain: on "
    f"{USUAL} by {formats.in_words(RANKED_BY)}, with its 90 % interval and the p-value of a "
    "one-sided t test; the views are those it was chosen on. "
    f"As good for less: the cheapest pair within {CLOSE} of the best."
)

Pair = tuple[str, str]  # method, score


@dataclass(frozen=True)
class Line:
    """One shift.

    Args:
        shift: its column of the leaderboard.
        best: the best pair.
        quality: its mean AUROC on the other seeds.
        gain: on the usual pair, likewise.
        cheap: the cheapest pair that is as good.
        cheap_quality: its mean AUROC.
        cost: of the best, in costs of `standard`; infinite where it is not known.
        cheap_cost: of the cheapest, likewise.
    """

    shift: str
    best: Pair
    quality: float
    gain: Gain
    cheap: Pair
    cheap_quality: float
    cost: float
    cheap_cost: float


class Advice:
    """What the rows of one group recommend: of methods that are accurate and complete."""

    def __init__(self, group: ResultGroup) -> None:
        columns = shifts(group)
        self.shifts, self.scores = [column.label for column in columns], list(group.scores)
        parts = [
            np.array([column.values(group, score).mean(axis=2) for score in self.scores])
            for column in columns
        ]
        seeds = min(part.shape[2] for part in parts)
        values = np.array([part[..., :seeds] for part in parts])  # (V, K, M, S)
        usual = values[:, self.scores.index(RANKED_BY)]
        at = np.flatnonzero(accurate(group) & ~np.isnan(usual).any(axis=(0, 2)))
        self.methods = [group.methods[i] for i in at]
        self.values = values[:, :, at]
        self.price, self.costs = self._costs(group)

    def _costs(self, group: ResultGroup) -> tuple[MetricSpec | None, pd.Series]:
        """Costs of the methods in those of `standard`: passes, or else seconds to fit."""
        for spec, costs in pareto.prices(group):
            known = costs.reindex(self.methods)
            if known.notna().mean() >= 0.5 and known.get(USUAL, 0) > 0:
                return spec, known / known[USUAL]
        return None, pd.Series(math.nan, self.methods)

    def _usual(self) -> Array:
        return self.values[:, self.scores.index(RANKED_BY), self.methods.index(USUAL)]  # (V, S)

    def lines(self) -> list[Line]:
        """Return the best pair for each shift."""
        return [
            self._line(shift, of, usual)
            for shift, of, usual in zip(self.shifts, self.values, self._usual(), strict=True)
        ]

    def _line(self, shift: str, values: Array, usual: Array) -> Line:
        """Return the line of one shift, from values (K, M, S) and the usual pair's (S,)."""
        pairs, found = self._pairs(values)
        chosen, known = parted(found)
        mean, quality = chosen.mean(axis=1), known.mean(axis=1)
        best = int(mean.argmax())
        costs = self.costs[[method for method, _ in pairs]].fillna(math.inf).to_numpy()
        close = np.flatnonzero(mean >= mean[best] - CLOSE)
        cheap = min(close, key=lambda i: (costs[i], -mean[i]))
        gain = Gain(known[best] - parted(usual)[1])
        return Line(
            shift, pairs[best], float(quality[best]), gain, pairs[cheap], float(quality[cheap]),
            float(costs[best]), float(costs[cheap]),
        )  # fmt: skip

    def _pairs(self, values: Array) -> tuple[list[Pair], Array]:
        """Return the pairs that every seed has, of values (K, M, S), and theirs, (pairs, S)."""
        places = np.argwhere(~np.isnan(values).any(axis=2))
        pairs = [(self.methods[method], self.scores[score]) for score, method in places]
        return pairs, values[places[:, 0], places[:, 1]]

    def lessons(self) -> Iterator[str]:
        """Yield what one learns of scores, of methods and of pairs, each with its test."""
        over = self.values.mean(axis=0)  # (K, M, S), mean over shifts
        ranked, usual = over[self.scores.index(RANKED_BY)], formats.in_words(RANKED_BY)
        has = ~np.isnan(over).any(axis=2)
        often = np.flatnonzero(2 * has.sum(axis=1) >= len(self.methods))
        gaps = [(over[k, has[k]] - ranked[has[k]]).mean(axis=0) for k in often]
        scores = [formats.in_words(self.scores[k]) for k in often]
        yield _lesson("Which score", scores, gaps, f"{usual} of the same methods")
        methods = [f"{name}{self._price(name)}" for name in self.methods]
        standard = ranked[self.methods.index(USUAL)]
        yield _lesson("Which method", methods, ranked - standard, f"{USUAL}, both by {usual}")
        pairs, found = self._pairs(over)
        names = [f"{_by(pair)}{self._price(pair[0])}" for pair in pairs]
        yield _lesson("Which pair", names, found - standard, f"{USUAL} by {usual}")

    def _price(self, method: str) -> str:
        if self.price is None or math.isnan(self.costs[method]):
            return ""
        return f" (at {self.costs[method]:.3g} times the {_unit(self.price)} of {USUAL})"

    @property
    def caption(self) -> str:
        """How the table was made, and what its "×" counts."""
        first, seeds = parted(self.values)[0].shape[-1], self.values.shape[-1]
        how = f"{first} of {seeds} seeds chose, the others measured."
        if seeds == 1:
            how = "Chosen and measured on the one seed there is: its numbers flatter it."
        priced = f" ×: {_unit(self.price)}, in those of {USUAL}." if self.price else ""
        return METHOD.format(how) + priced

    def table(self) -> pd.DataFrame:
        """Return the lines as they are printed."""
        return pd.DataFrame([_cells(line) for line in self.lines()])


def parted(values: Array) -> tuple[Array, Array]:
    """Return the seeds that choose, the first third, and those that measure, of (..., S).

    A single seed does both.
    """
    seeds = values.shape[-1]
    first = max(1, seeds // 3)
    return values[..., :first], values[..., first:] if seeds > 1 else values


def _lesson(title: str, names: Sequence[str], gaps: Sequence[Array] | Array, than: str) -> str:
    """Return a sentence, of candidates with gaps (P, S) to the usual one."""
    chosen, known = parted(np.array(gaps))
    best = int(chosen.mean(axis=1).argmax())
    gain = Gain(known[best])
    if not chosen[best].any():  # the usual one itself
        return f"{title}: none is better than {than}, on average over all shifts."
    shown = f"mean gain over all shifts {_tested(gain)}"
    if gain.p <= LEVEL:
        return f"{title}: {names[best]} tells shifted inputs better than {than}; {shown}."
    return f"{title}: none is shown to be better than {than}; the best is {names[best]}, {shown}."


def _tested(gain: Gain) -> str:
    seeds = len(gain.values)
    if seeds < 2:
        return f"{gain.text(3)}, one seed: no test"
    p = f"p = {gain.p:.3f}" if gain.p >= 0.0005 else "p < 0.001"
    return f"{gain.text(3)}, {p}, {seeds} seeds"


def _unit(price: MetricSpec) -> str:
    return price.heading if price.unit in price.heading else f"{price.heading} {price.unit}"


def _cells(line: Line) -> dict[str, str]:
    cells = {
        "shift": line.shift,
        "best": _by(line.best),
        "AUROC": f"{line.quality:.3f}",
        "gain": _tested(line.gain),
        "as good for less": formats.NONE,
    }
    if line.cost < math.inf:
        cells["best"] += f", {line.cost:.3g} ×"
    if line.cheap_cost < line.cost:
        cells["as good for less"] = (
            f"{_by(line.cheap)}: {line.cheap_quality:.3f}, {line.cheap_cost:.3g} ×"
        )
    return cells


def _by(pair: Pair) -> str:
    return f"{pair[0]} by {formats.in_words(pair[1])}"


def summary(group: ResultGroup) -> str:
    """Return lessons and table as Markdown; "" where there is nothing to choose from."""
    found = advice(group)
    if found is None:
        return ""
    escape = formats.markdown_escape
    lessons = "\n".join(f"- {escape(text)}" for text in found.lessons())
    table = formats.markdown(found.table().map(escape), f"{group.title}. {found.caption}")
    return f"{lessons}\n\n{table}"


@lru_cache(maxsize=64)  # README and page ask alike
def advice(group: ResultGroup) -> Advice | None:
    """Return what the rows of a group recommend, or None where there is nothing to choose from."""
    if not shifts(group) or RANKED_BY not in group.scores:
        return None
    found = Advice(group)
    return found if USUAL in found.methods and len(found.methods) > 1 else None
