"""The report: rows in; tables, figures and a README out.

It reads what a run left under ``<results>/rows`` and computes nothing but statistics: it
never imports torch, and matplotlib only to draw. `render` is all of it; the console prints
`bench.report.leaderboard.leaderboard`.

    frames       records -> arrays of each data set, preset and device
    stats        what may be averaged, ranked and called different
    leaderboard  group -> methods x headlines
    scenarios    group -> methods x views (or quantities) of one scenario
    web          group -> the values of the page, and `leaderboard.html`
    formats      table -> CSV, LaTeX, Markdown
    figures      groups and curves -> figures, a module each in `plots`
    style        how all figures look: one colour a method
    wu2021       one paper: its numbers, its tables with ours beside them, its statements judged
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.store.schema import RANKED_BY

SPAN = "95 %"  # heading of the intervals of ranks
GALLERY = "paper/figures.md"  # the page of the paper's figures, in a results folder


def render(
    results: Path, *, figures: bool = True, paper: bool = False, sources: Sequence[Path] = (),
    score: str = RANKED_BY,
) -> list[str]:  # fmt: skip
    """Write ``tables/``, ``figures/`` and ``README.md`` there; return what was left out.

    With ``paper``, and wherever they were written before, ``paper/`` with its tables as well;
    its figures are drawn with ``paper`` alone, for they take longer. The rows are those of
    ``sources``, results folders that are merged, or else those under ``results``. Methods are
    ranked by ``score``, or by each one's own ("own").

    Raises:
        BenchError: there is not a single readable record.
        UsageError: no record has ``score``.
        WriteError: the disk is full, or the folder cannot be written to.
    """
    from bench.report import readme  # pandas takes half a second: `bench list` need not wait

    return readme.render(results, figures=figures, paper=paper, sources=sources, score=score)
