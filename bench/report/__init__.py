"""The report: rows in; tables, figures and a README out.

It reads what a run left under ``<results>/rows`` and computes nothing but statistics: it
never imports torch, and seaborn only to draw. `render` is all of it; the console prints
`bench.report.leaderboard.leaderboard_frame`.

    frames       rows -> one tidy frame for each data set, preset and device
    stats        what may be averaged, ranked and called different
    leaderboard  frame -> methods x columns
    scenarios    frame -> methods x views (or metrics) of one scenario
    formats      table -> CSV, LaTeX, Markdown
    figures      frame -> bars
"""

from __future__ import annotations

from pathlib import Path


def render(results: Path, *, figures: bool = True) -> list[str]:
    """Write ``tables/``, ``figures/`` and ``README.md`` there; return what was left out.

    Raises:
        BenchError: there is not a single readable row.
    """
    from bench.report import readme  # pandas takes half a second: `bench list` need not wait

    return readme.render(results, figures=figures)
