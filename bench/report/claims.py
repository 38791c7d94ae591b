"""What methods say that their papers claim, judged by the rows: a table for each data set.

A claim (`bench.store.schema.Claim`) is a gain over another method. It is formed within a seed, so
that seeds are pairs, and tested by a t test at 5 %: the claim holds if the gain is larger than the
least it must be, it does not hold if it is smaller, and is undecided otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from bench.report import formats
from bench.report.frames import Array, ResultGroup
from bench.report.stats import LEVEL, Gain
from bench.store.schema import RANKED_BY, Claim, MetricSpec, Record

Verdict = Literal["holds", "does not hold", "undecided"]
METHOD = (
    "What each method's paper claims, as the method's file says it. Gains are paired over seeds, "
    "on the same test inputs; shown are their mean and its 90 % interval. A claim holds if the "
    "gain is larger than the least it must be (one-sided t test at 5 %), does not hold if it is "
    "smaller by the same test, and is undecided otherwise; no correction is made for the number "
    "of claims."
)


@dataclass(frozen=True, eq=False)
class Judged:
    """A claim of a method and what our numbers say of it.

    Args:
        method: whose paper makes it.
        other: what it is compared with.
        claim: the statement.
        spec: of its metric.
        gains: over the other method, one a seed, positive where the method is better.
    """

    method: str
    other: str
    claim: Claim
    spec: MetricSpec
    gains: Array

    @property
    def gain(self) -> Gain:
        """The gains with their test."""
        return Gain(self.gains, self.claim.least)

    @property
    def verdict(self) -> Verdict:
        """What our numbers say of the claim."""
        if self.gain.p <= LEVEL:
            return "holds"
        return "does not hold" if 1 - self.gain.p <= LEVEL else "undecided"

    @property
    def text(self) -> str:
        """The gain with its interval, as printed."""
        return self.gain.text(max(3, self.spec.digits), self.spec.scale)

    @property
    def what(self) -> str:
        """What is compared, in words."""
        claim = self.claim
        by = f" by {formats.in_words(claim.score)}" if claim.score else ""
        than = f" by {formats.in_words(claim.than_score)}" if claim.than_score else ""
        where = f"{claim.scenario} {claim.group}".strip()
        return f"{self.spec.heading}, {where}{by}, against {self.other}{than}"


def judged(group: ResultGroup, score: str = RANKED_BY) -> list[Judged]:
    """Every claim of a group's methods that both methods have numbers for, by method."""
    found: dict[tuple[str, str], Judged | None] = {}
    for record in group.records:
        for claim in record.claims:
            if (record.method, claim.text) not in found:
                found[record.method, claim.text] = _judged(group, record, claim, score)
    return [one for _, one in sorted(found.items()) if one is not None]


def _judged(group: ResultGroup, record: Record, claim: Claim, score: str) -> Judged | None:
    spec, other = group.specs.get(claim.metric), other_method(group, record, claim.than)
    if spec is None or other is None:
        return None
    part = group.measurements[record.scenario]
    cells = [i for i, cell in enumerate(part.cells) if claim.group in ("", cell.group)]
    ours, theirs = (
        part.values(spec, by or score)[part.methods.index(name)][:, cells]
        for name, by in ((record.method, claim.score), (other, claim.than_score))
    )
    gaps = ours - theirs
    gaps = gaps[:, ~np.isnan(gaps).all(axis=0)]
    gains = gaps[~np.isnan(gaps).any(axis=1)].mean(axis=1) if gaps.size else np.empty(0)
    sign = {"higher": 1.0, "lower": -1.0, "": np.nan}[spec.better]
    return Judged(record.method, other, claim, spec, sign * gains) if len(gains) else None


def other_method(group: ResultGroup, record: Record, name: str) -> str | None:
    """The label of the method ``name`` under the choices of a record that it has as well.

    Of "swag:backbone=cnn,rank=10" against "standard" it is "standard:backbone=cnn".
    """
    for other in group.records:
        if other.method_name == name:
            common = {k: v for k, v in record.choices.items() if k in other.params}
            if other.choices == common:
                return other.method
    return None


def table(claims: list[Judged]) -> pd.DataFrame:
    """The verdicts, a line for each claim, as Markdown."""
    lines = [
        {
            "method": formats.markdown_escape(one.method),
            "claim": formats.markdown_escape(one.claim.text),
            "gain": formats.markdown_escape(one.what),
            "least": f"{one.spec.scale * one.claim.least:+g}",
            "ours": one.text,
            "p": formats.NONE if math.isnan(one.gain.p) else f"{one.gain.p:.3f}",
            "seeds": str(len(one.gains)),
            "verdict": one.verdict,
        }
        for one in claims
    ]
    return pd.DataFrame(lines)


def summary(group: ResultGroup, score: str = RANKED_BY) -> str:
    """The verdicts as Markdown; "" where no method of the group claims anything."""
    claims = judged(group, score)
    if not claims:
        return ""
    return formats.markdown(table(claims), f"{group.title}. {METHOD}")
