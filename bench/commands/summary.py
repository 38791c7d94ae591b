"""What a run ends with: the report brought up to date, and the leaderboard in the terminal."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.table import Table

from bench.report import render
from bench.report.frames import load, result_groups
from bench.report.leaderboard import SPAN, by_words, leaderboard
from bench.store.files import write
from bench.store.packed import json_files, read_regular
from bench.store.records import RANKED_BY

WIDTH = 120  # characters, where the output is no terminal
SPREAD = "± std"
LESS = [
    SPAN,
    "score",
    "FGSM transfer",
    "fit s",
    SPREAD,
]  # what a narrow terminal loses, in this order
STAMP = ".report"  # digest of the records that the report was made of


def refresh(results: Path, *, score: str = RANKED_BY) -> list[str]:
    """Render the report if the records are not those of the last; return what was left out.

    What counts is the contents of the files: a copy has other times.
    """
    stamp, now = results / STAMP, f"{score} {contents(results)}"
    try:
        current = stamp.read_text("utf-8") == now and (results / "README.md").exists()
    except (OSError, ValueError):
        current = False
    if current:
        return []
    problems = draw(results, score=score)
    write(stamp, now)
    return problems


def contents(results: Path) -> str:
    """Digest of the names and bytes of every record and curve under a results folder."""
    digest = hashlib.sha256()
    for path in [*json_files(results / "rows"), *json_files(results / "curves")]:
        with suppress(OSError, ValueError):  # what cannot be read is left out of the report, too
            content = hashlib.sha256(read_regular(path)).digest()
            about = path.relative_to(results).as_posix().encode()
            digest.update(hashlib.sha256(about).digest() + content)
    return digest.hexdigest()


def draw(
    results: Path, *, figures: bool = True, paper: bool = False, sources: Sequence[Path] = (),
    score: str = RANKED_BY,
) -> list[str]:  # fmt: skip
    """Render the report with a sign of life; return a line for each file left out."""
    with Console(stderr=True).status("drawing tables and figures" if figures else "tables"):
        return render(results, figures=figures, paper=paper, sources=sources, score=score)


def show(results: Path, datasets: Collection[str], preset: str, score: str = RANKED_BY) -> None:
    """Print the leaderboard of each data set that was run, as wide as the terminal."""
    console = Console(highlight=False, markup=False, emoji=False)  # cells are names, not markup
    if not console.is_terminal:
        console.width = WIDTH
    wanted = {name.partition("~")[0] for name in datasets}
    for group in result_groups(load(results)[0]):
        if group.dataset in wanted and group.preset == preset:
            frame, left_out = trimmed(leaderboard(group, score).text(), console.width)
            console.print(f"{group.title}, AUROC by {by_words(score)}", style="italic")
            console.print(printed(frame))
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


def printed(frame: pd.DataFrame) -> Table:
    """A leaderboard as it is printed in a terminal."""
    table = Table(box=None, pad_edge=False)
    for name in frame:
        left = name in ("method", "score")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for line in frame.itertuples(index=False):
        table.add_row(*line)
    return table
