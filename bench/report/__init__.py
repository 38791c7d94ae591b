"""The report: rows in; tables, figures and a README out.

It reads what a run left under ``<results>/rows`` and computes nothing but statistics: it
never imports torch, and seaborn only to draw. `render` is all of it; the console prints
`bench.report.leaderboard.leaderboard_frame`.

    frames       rows -> one tidy frame for each data set, preset and device
    stats        what may be averaged, ranked and called different
    leaderboard  frame -> methods x columns
    scenarios    frame -> methods x views (or metrics) of one scenario
    sheets       frame -> the values of the page, by metric and score
    html         sheets -> the leaderboard as a page, `leaderboard.html`
    formats      table -> CSV, LaTeX, Markdown
    figures      frame -> bars; rows and curves -> the paper's figures, a module each in `plots`
    style        how all figures look: one colour a method
    published    the paper's own numbers
    measured     rows -> what the paper's columns ask for
    paper        the paper's tables, ours beside its own
    missing      what they lack, and what it costs
    claims       the paper's statements, judged
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def render(
    results: Path, *, figures: bool = True, paper: bool = False, sources: Sequence[Path] = ()
) -> list[str]:
    """Write ``tables/``, ``figures/`` and ``README.md`` there; return what was left out.

    With ``paper``, and wherever they were written before, ``paper/`` with its tables as well;
    its figures are drawn with ``paper`` alone, for they take longer. The rows are those of
    ``sources``, results folders that are merged, or else those under ``results``.

    Raises:
        BenchError: there is not a single readable row.
    """
    from bench.report import readme  # pandas takes half a second: `bench list` need not wait

    return readme.render(results, figures=figures, paper=paper, sources=sources)
