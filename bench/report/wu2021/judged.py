"""The paper's statements, judged by our numbers and by its own.

Each check is formed within a seed, so that seeds are pairs, and tested by t tests at 5 % against
both ends of its range (for a range around 0 this is the equivalence test TOST). A claim holds if
every check does, so that no correction is due; it fails if one is outside, at 5 % for all of them
together (Holm).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Literal

import pandas as pd

from bench.report import formats
from bench.report.stats import (
    LEVEL,
    MOST_SEEDS,
    fallen,
    seeds_needed,
    smallest_difference,
    t_above,
    t_quantile,
)
from bench.report.wu2021.claims import Check, Claim, claims
from bench.report.wu2021.observed import Cells, Observed
from bench.report.wu2021.published import columns, together

Verdict = Literal["holds", "does not hold", "undecided", "not run"]


@dataclass(frozen=True)
class Judged:
    """What came of one check: of the paper's numbers and of ours."""

    check: Check
    paper: float
    ours: pd.Series  # of the seeds that have all of it
    expected: int  # how many seeds there should be
    cells: tuple[Cells, ...]

    @cached_property
    def whole(self) -> bool:
        """Whether there is something to test: every seed, and more than one."""
        return len(self.ours) == self.expected > 1

    @property
    def paper_agrees(self) -> bool:
        """Whether the paper's own numbers pass; rounded, so that 0.1 + 0.2 - 0.3 is 0."""
        return self.check.low < round(self.paper, 9) < self.check.high

    @cached_property
    def inside(self) -> bool:
        """Whether our mean passes, certain or not."""
        return self.check.low < self._mean < self.check.high

    @cached_property
    def p(self) -> float:
        """The p-value of "it is not in the range"."""
        return max(self._p_below(self.check.low), self._p_above(self.check.high))

    @cached_property
    def p_outside(self) -> float:
        """The p-value of "it is in the range"."""
        return min(1 - self._p_below(self.check.low), 1 - self._p_above(self.check.high))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 90 % t interval of the mean over seeds."""
        half = t_quantile(1 - LEVEL, len(self.ours) - 1) * self._error
        return self._mean - half, self._mean + half

    @property
    def could_see(self) -> float:
        """The distance from an end of the range that these seeds show with a power of 80 %."""
        return smallest_difference(len(self.ours) - 1, sides=1) * self._error

    def seeds_needed(self, level: float) -> float:
        """How many seeds would show the side of the range's end, were all as it is now."""
        ends = [end for end in (self.check.low, self.check.high) if not math.isinf(end)]
        distance = min(abs(self._mean - end) for end in ends)
        return seeds_needed(distance / float(self.ours.to_numpy().std(ddof=1)), level)

    @cached_property
    def _mean(self) -> float:
        return float(self.ours.to_numpy().mean()) if len(self.ours) else math.nan

    @cached_property
    def _error(self) -> float:
        return float(self.ours.to_numpy().std(ddof=1)) / math.sqrt(len(self.ours))

    def _p_below(self, bound: float) -> float:
        """The p-value of "the mean is not above ``bound``"."""
        distance = self._mean - bound
        if self._error < 1e-12 or math.isinf(bound):  # seeds that agree to the last digit
            return float(distance <= 0)
        return t_above(distance / self._error, len(self.ours) - 1)

    @property
    def text(self) -> str:
        """Our mean, with its interval where there is something to test."""
        if not len(self.ours):
            return formats.NONE
        digits = self.check.digits
        mean = f"{self._mean:+.{digits}f}"
        if not self.whole:
            return mean
        low, high = self.interval
        return f"{mean} ({low:+.{digits}f} to {high:+.{digits}f})"

    def _p_above(self, bound: float) -> float:
        if self._error < 1e-12 or math.isinf(bound):
            return float(self._mean >= bound)
        return 1 - self._p_below(bound)


@dataclass(frozen=True)
class Result:
    """A claim with what came of each of its checks."""

    claim: Claim
    judged: tuple[Judged, ...]

    @cached_property
    def run(self) -> list[Judged]:
        """The checks for which there are numbers."""
        return [one for one in self.judged if len(one.ours)]

    @cached_property
    def refuted(self) -> list[Judged]:
        """The checks that are outside their range, by more than chance over seeds explains."""
        whole = [one for one in self.judged if one.whole]
        out = fallen([one.p_outside for one in whole])
        return [one for one, is_out in zip(whole, out, strict=True) if is_out]

    @cached_property
    def verdict(self) -> Verdict:
        """What our numbers say of the claim."""
        if not self.run:
            return "not run"
        if self.refuted:
            return "does not hold"
        certain = all(one.whole and one.p <= LEVEL for one in self.judged)
        return "holds" if certain else "undecided"

    @property
    def contradicted(self) -> list[Judged]:
        """The checks that the paper's own tables do not pass."""
        return [one for one in self.judged if not one.paper_agrees]

    @cached_property
    def decisive(self) -> Judged | None:
        """The check that decides: one that is out, else one not run whole, else the weakest."""
        partial = [one for one in self.run if not one.whole]
        weakest = sorted(self.run, key=lambda one: -one.p if one.whole else 0.0)
        out = [one for one in self.run if not one.inside]
        return next(iter([*self.refuted, *out, *partial, *weakest]), None)

    @property
    def ours(self) -> str:
        """Our numbers in a few words."""
        if (one := self.decisive) is None:
            return formats.NONE
        passed, rest = sum(r.inside for r in self.run), len(self.judged) - len(self.run)
        counts = f"{passed} of {len(self.run)} in range" + (f", {rest} not run" if rest else "")
        if one in self.refuted:
            certainty = f"outside at p {p_text(one.p_outside)}"
        else:
            certainty = (
                f"p {p_text(one.p)}" if one.whole else f"{len(one.ours)} of {one.expected} seeds"
            )
            if self._unsure(one):
                certainty += f", could have seen {self.seen(one)}"
                certainty += f"; seeds to decide: {count(self.seeds_needed)}"
        return f"{counts}; {one.check.what} = {one.text}, {certainty}"

    def _unsure(self, one: Judged) -> bool:
        return one.whole and one.p > LEVEL and one not in self.refuted

    def seen(self, one: Judged) -> str:
        """What an undecided check could have seen, as printed; a dash for any other."""
        return f"{one.could_see:.{one.check.digits}f}" if self._unsure(one) else formats.NONE

    def needed(self, one: Judged) -> float:
        """How many seeds would decide an undecided check; NaN for any other."""
        if not self._unsure(one):
            return math.nan
        # To refute it takes one check, and the level is shared; to hold it takes each at its own.
        return one.seeds_needed(LEVEL if one.inside else LEVEL / len(self.judged))

    @property
    def seeds_needed(self) -> float:
        """How many seeds would decide the claim: the first check to refute it, else the last."""
        unsure = [one for one in self.judged if self._unsure(one)]
        out = [one for one in unsure if not one.inside]
        return min(map(self.needed, out)) if out else max(map(self.needed, unsure))

    @property
    def paper(self) -> str:
        """What the paper's own tables say of it."""
        if not self.contradicted:
            return "holds"
        first = self.contradicted[0]
        more = len(self.contradicted) - 1
        number = f"{first.paper:+.{first.check.digits}f}"
        return f"not in {first.check.what} = {number}" + (f", and {more} more" if more else "")


def judge(observed: Observed) -> list[Result]:
    """Test every claim."""
    return [
        Result(claim, tuple(_judged(check, observed) for check in claim.checks))
        for claim in claims()
    ]


def _judged(check: Check, observed: Observed) -> Judged:
    cells = {key: observed.cells(columns()[key]) for key in check.columns}
    ours = check.of(lambda row, key: cells[key].per_seed.loc[row])
    printed = together(product(check.rows, check.columns))
    paper = check.of(lambda row, key: printed[row, key])
    return Judged(check, paper, ours.dropna(), len(ours), tuple(cells.values()))


def count(seeds: float) -> str:
    """A number of seeds, as printed."""
    if math.isnan(seeds):
        return formats.NONE
    return f"more than {MOST_SEEDS}" if math.isinf(seeds) else f"{seeds:.0f}"


def p_text(value: float) -> str:
    """A p-value after its sign, as printed."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"
