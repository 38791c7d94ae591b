"""What a run ends with: the report brought up to date, and the leaderboard in the terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench.report import render
from bench.report.frames import board_of, boards, load
from bench.report.leaderboard import leaderboard_frame

WIDTH = 120  # characters, where the output is no terminal
SPREAD = "± std"
LESS = ["score", "FGSM transfer", "fit s", SPREAD]  # what a narrow terminal loses, in this order


def refresh(results: Path, *, changed: bool) -> list[str]:
    """Render the report if rows changed since it was; return a line for each file left out."""
    readme = results / "README.md"
    newest = max((p.stat().st_mtime for p in (results / "rows").rglob("*.json")), default=0.0)
    if not changed and readme.exists() and readme.stat().st_mtime >= newest:
        return []
    return draw(results)


def draw(
    results: Path, *, figures: bool = True, paper: bool = False, sources: Sequence[Path] = ()
) -> list[str]:
    """Render the report with a sign of life; return a line for each file left out."""
    with Console(stderr=True).status("drawing tables and figures" if figures else "tables"):
        return render(results, figures=figures, paper=paper, sources=sources)


def show(results: Path, datasets: Collection[str], preset: str) -> None:
    """Print the leaderboard of each data set that was run, as wide as the terminal."""
    console = Console(highlight=False, markup=False, emoji=False)  # cells are names, not markup
    if not console.is_terminal:
        console.width = WIDTH
    wanted = {board_of(name) for name in datasets}
    for board in boards(load(results)[0]):
        if board.dataset in wanted and board.preset == preset:
            frame, left_out = trimmed(leaderboard_frame(board.frame), console.width)
            console.print(board.title, style="italic")
            console.print(_table(frame))
            if left_out:
                console.print(f"not shown for want of width: {', '.join(left_out)}", style="dim")


def trimmed(frame: pd.DataFrame, width: int) -> tuple[pd.DataFrame, list[str]]:
    """As much of a printed leaderboard as ``width`` characters hold, and what was left out."""
    left_out = []
    for name in [*LESS, *frame.columns[:1:-1].difference(LESS, sort=False)]:
        if _width(frame) <= width:
            break
        less = _without(frame, name)
        left_out += [] if less.equals(frame) else [name]
        frame = less
    return frame, left_out


def _without(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    if name == SPREAD:
        return frame.replace(" ± .*", "", regex=True)
    return frame.drop(columns=name, errors="ignore")


def _width(frame: pd.DataFrame) -> int:
    """Characters of the widest line, with two between columns."""
    widths = [max(len(cell) for cell in [name, *frame[name]]) for name in frame]
    return sum(widths) + 2 * (len(widths) - 1)


def _table(frame: pd.DataFrame) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in frame:
        left = name in ("method", "score")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for line in frame.itertuples(index=False):
        table.add_row(*line)
    return table
