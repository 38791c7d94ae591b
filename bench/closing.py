"""What a run ends with: the report brought up to date, and the leaderboard in the terminal."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .report import render
from .report.frames import boards, load
from .report.leaderboard import leaderboard_frame


def refresh(results: Path, *, changed: bool) -> list[str]:
    """Render the report if rows changed since it was; return a line for each file left out."""
    readme = results / "README.md"
    newest = max((p.stat().st_mtime for p in (results / "rows").rglob("*.json")), default=0.0)
    if not changed and readme.exists() and readme.stat().st_mtime >= newest:
        return []
    return render(results)


def show(results: Path, datasets: Collection[str], preset: str) -> None:
    """Print the leaderboard of each data set that was run."""
    console = Console(highlight=False)
    for board in boards(load(results)[0]):
        if board.dataset in datasets and board.preset == preset:
            frame = leaderboard_frame(board.frame)
            table = Table(title=board.title, title_justify="left", box=None, pad_edge=False)
            for column in frame.columns:
                table.add_column(column, justify="left" if column == "method" else "right")
            for line in frame.itertuples(index=False):
                table.add_row(*map(str, line))
            console.print(table)
