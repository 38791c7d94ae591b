"""The paper's statements with what came of them, as Markdown: a line for each, and every check."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from bench.report import formats
from bench.report.wu2021.judged import Result, count, p_text
from bench.report.wu2021.tables import where

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
            "p": formats.markdown_escape(p_text(one.p)) if one.whole else formats.NONE,
            "could have seen": result.seen(one),
            "seeds to decide": count(result.needed(one)),
            "seeds": f"{len(one.ours)} of {one.expected}",
            "the paper's": f"{one.paper:+.{one.check.digits}f}",
            "paper passes": "yes" if one.paper_agrees else "**no**",
        }
        for one in result.judged
    ]
    return pd.DataFrame(lines)
