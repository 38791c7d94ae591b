"""The paper's statements, judged by our numbers and by its own: ``claims.json`` says how.

Each check is a weighted sum of cells that must lie in a range. It is formed within a seed, so
that seeds are pairs, and tested by t tests at 5 % against both ends of the range (for a range
around 0 this is the equivalence test TOST). A claim holds if every check does, so that no
correction is due; it fails if one is outside, at 5 % for all of them together (Holm).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any, Literal

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
from bench.report.wu2021.observed import METRICS, Cells, Observed
from bench.report.wu2021.published import columns, together, values
from bench.report.wu2021.tables import metric_name, where

FILE = Path(__file__).with_name("claims.json")
Verdict = Literal["holds", "does not hold", "undecided", "not run"]
METHOD = (
    "Differences are paired over seeds, on the same test inputs: what other inputs would change is "
    "not in the interval (`bench compare` has it). Shown are the mean, its 90 % interval, and the "
    "larger p-value of the two one-sided t tests against the ends of the range. A claim holds if "
    "every check does at 5 %; it does not hold if one is outside at 5 % for all together (Holm); "
    "else, or where a seed is missing, it is undecided. Then could have seen is the distance from "
    "the end of its range that these seeds show with a power of 80 %, and seeds to decide is how "
    "many would show, with that power, on which side of that end it is, if mean and spread stayed "
    "what they are (of few seeds a rough guess). The margin column says who set the range. The "
    "same checks of the paper's printed numbers stand beside it."
)


@dataclass(frozen=True)
class Check:
    """A sum over rows and columns, by weight, that must lie between ``low`` and ``high``."""

    rows: Mapping[str, float]
    columns: Mapping[str, float]  # by key
    low: float
    high: float
    absolute: bool  # each row's sum over columns counts without its sign

    def of(self, find: Callable[[str, str], Any]) -> Any:
        """The sum, of whatever ``find`` gives for (row, key of a column)."""
        total = 0.0
        for row, weight in self.rows.items():
            inner = sum(by * find(row, key) for key, by in self.columns.items())
            total = total + weight * (abs(inner) if self.absolute else inner)
        return total

    @property
    def what(self) -> str:
        """What is summed up, in words."""
        keys = [_column_name(key) for key in self.columns]
        mean = len(set(self.columns.values())) == 1 and len(keys) > 1
        among = f"mean of {', '.join(keys)}" if mean else " − ".join(keys)
        return f"{'gap of ' if self.absolute else ''}{among}: {_sum(self.rows)}"

    @property
    def range(self) -> str:
        """What the sum must be, in words."""
        if math.isinf(self.low):
            return f"< {self.high:g}"
        if math.isinf(self.high):
            return f"> {self.low:g}"
        return f"{self.low:g} to {self.high:g}"

    @property
    def digits(self) -> int:
        """How many digits its numbers are printed with."""
        return max(2, *(METRICS[columns()[key].metric].digits for key in self.columns))


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, who set the margin of its range, and the checks it stands for."""

    id: str
    section: str
    margin: str
    text: str
    checks: tuple[Check, ...]


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
            certainty = f"outside at p {_p(one.p_outside)}"
        else:
            certainty = (
                f"p {_p(one.p)}" if one.whole else f"{len(one.ours)} of {one.expected} seeds"
            )
            if self._unsure(one):
                certainty += f", could have seen {self.seen(one)}"
                certainty += f"; seeds to decide: {_count(self.seeds_needed)}"
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


def claims() -> list[Claim]:
    """Every claim, its patterns spelt out into checks."""
    listed = json.loads(FILE.read_text("utf-8"))["claims"]
    return [
        Claim(
            c["id"],
            c["section"],
            c["margin"],
            c["text"],
            tuple(x for s in c["checks"] for x in _checks(s)),
        )
        for c in listed
    ]


def _checks(spec: Mapping[str, Any]) -> Iterator[Check]:
    """Yield a check for each choice of rows and each column, or one for a map of columns."""
    low, high = spec.get("low", -math.inf), spec.get("high", math.inf)
    options = [[(name, weight) for name in row.split("|")] for row, weight in spec["rows"].items()]
    for rows in map(dict, product(*options)):
        for keys in _columns(spec["columns"], list(rows)):
            yield Check(rows, keys, low, high, spec.get("absolute", False))


def _columns(wanted: list[str] | dict[str, float], rows: list[str]) -> list[dict[str, float]]:
    """The columns to add up, or one for each that has every row and fits a pattern."""
    if isinstance(wanted, dict):
        return [wanted]
    return [
        {key: 1.0}
        for key in columns()
        if any(fnmatchcase(key, pattern) for pattern in wanted)
        and all((row, key) in values() for row in rows)
    ]


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


def table(results: list[Result], style: Callable[[str], str]) -> pd.DataFrame:
    """The verdicts, a line for each claim, as printed."""
    lines = [
        tuple(map(style, (r.claim.text, r.claim.margin, r.verdict, r.ours, r.paper)))
        for r in results
    ]
    heads = ["claim", "margin", "verdict", "our numbers", "the paper's tables"]
    return pd.DataFrame(lines, columns=heads)


def summary(results: list[Result]) -> str:
    """The verdicts as Markdown, with where our numbers come from; those not run are counted."""
    counts = pd.Series([r.verdict for r in results]).value_counts()
    words = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    caption = f"{len(results)} statements of the paper: {words}. {METHOD}"
    cells = table([r for r in results if r.run], formats.markdown_escape)
    return formats.markdown(cells, caption, sources(results))


def sources(results: list[Result]) -> list[str]:
    """Which data, preset and device our numbers come from, in a line each."""
    places = (where(f) for r in results for one in r.run for f in one.cells)
    return list(dict.fromkeys(f"{place}." for place in places if place))


def details(results: list[Result]) -> str:
    """Every check of every claim, as Markdown."""
    parts = ["# The paper's claims\n", summary(results)]
    for result in results:
        parts += [
            f"## {formats.markdown_escape(result.claim.text)}\n",
            f"Section {result.claim.section} of the paper, `{result.claim.id}`. "
            f"Margin: {result.claim.margin}. "
            f"Our numbers: {result.verdict}. The paper's own: "
            f"{formats.markdown_escape(result.paper)}.\n",
            formats.markdown(_details(result), "", []),
        ]
    return "\n".join(parts)


def _details(result: Result) -> pd.DataFrame:
    """One line for each check, as printed."""
    lines = [
        {
            "check": formats.markdown_escape(one.check.what),
            "range": formats.markdown_escape(one.check.range),
            "ours": one.text,
            "p": formats.markdown_escape(_p(one.p)) if one.whole else formats.NONE,
            "could have seen": result.seen(one),
            "seeds to decide": _count(result.needed(one)),
            "seeds": f"{len(one.ours)} of {one.expected}",
            "the paper's": f"{one.paper:+.{one.check.digits}f}",
            "paper passes": "yes" if one.paper_agrees else "**no**",
        }
        for one in result.judged
    ]
    return pd.DataFrame(lines)


def _count(seeds: float) -> str:
    """A number of seeds, as printed."""
    if math.isnan(seeds):
        return formats.NONE
    return f"more than {MOST_SEEDS}" if math.isinf(seeds) else f"{seeds:.0f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _column_name(key: str) -> str:
    column = columns()[key]
    return f"{column.dataset} {metric_name(column)}"


def _sum(rows: Mapping[str, float]) -> str:
    """A weighted sum of methods, in words: "redecnn − standard"."""
    parts = []
    for row, weight in rows.items():
        times = "" if abs(weight) == 1 else f"{abs(weight):g} × "
        sign = "−" if weight < 0 else "+"
        parts.append(f"{sign} {times}{row}")
    return " ".join(parts).removeprefix("+ ")
