"""What a run ends with: the report brought up to date, and the leaderboard in the terminal."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import bench
from bench.report import SPAN, render
from bench.store.files import write
from bench.store.packed import SUFFIX, json_files, read_regular
from bench.store.records import REFERENCE
from bench.store.schema import RANKED_BY

Board = dict[str, list[str]]  # column -> its cells

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
BOARDS, VERIFIED = ".boards.json", ".verified.json"  # what a run ends with, computed once


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
    key = f"{score} {contents(results)}"
    for dataset, of, title, whole in _kept(results / BOARDS, key, lambda: _boards(results, score)):
        if dataset in wanted and of == preset:
            board, left_out = trimmed(whole, console.width)
            console.print(title, style="italic")
            console.print(printed(board))
            if left_out:
                console.print(f"not shown for want of width: {', '.join(left_out)}", style="dim")


def verified(results: Path) -> str:
    """Return how far results are from the project's own, a line a data set."""
    archive = REFERENCE / f"rows{SUFFIX}"
    is_loose = (REFERENCE / "rows").is_dir() or not archive.is_file()
    about = contents(REFERENCE) if is_loose else archive.stat().st_mtime_ns
    key = f"{contents(results)} {about}"
    return str(_kept(results / VERIFIED, key, lambda: _compared(results)))


def _compared(results: Path) -> str:
    from bench.commands.verify import summary  # pandas: where nothing is new, not needed

    return summary(results)


def _boards(results: Path, score: str) -> list[tuple[str, str, str, Board]]:
    """Return data set, preset, title and cells of each leaderboard of a results folder."""
    from bench.report.frames import load, result_groups  # pandas, too
    from bench.report.leaderboard import by_words, leaderboard

    made = []
    for group in result_groups(load(results)[0]):
        title = f"{group.title}, AUROC by {by_words(score)}"
        cells = leaderboard(group, score).text().to_dict("list")
        made.append((group.dataset, group.preset, title, cells))
    return made


def _kept(path: Path, key: str, make: Callable[[], Any]) -> Any:
    """Return what was made under this key by the code as it is, or make and keep it."""
    key = f"{key} {_edited()}"
    with suppress(OSError, ValueError, LookupError, TypeError):
        kept = json.loads(path.read_text("utf-8"))
        if kept["of"] == key:
            return kept["made"]
    made = make()
    write(path, json.dumps({"of": key, "made": made}))
    return made


def _edited() -> int:
    """Return when a file of this package was last written, in nanoseconds."""
    files = Path(bench.__file__).parent.rglob("*.py")
    return max(file.stat().st_mtime_ns for file in files)


def trimmed(board: Board, width: int) -> tuple[Board, list[str]]:
    """As much of a leaderboard as ``width`` characters hold, and what was left out."""
    left_out = []
    others = [name for name in [*board][:1:-1] if name not in LESS]
    for name in [*LESS, *others]:
        if _width(board) <= width:
            break
        less = _without(board, name)
        left_out += [] if less == board else [name]
        board = less
    return board, left_out


def _without(board: Board, name: str) -> Board:
    if name == SPREAD:
        return {column: [re.sub(" ± .*", "", c) for c in cells] for column, cells in board.items()}
    return {column: cells for column, cells in board.items() if column != name}


def _width(board: Board) -> int:
    """Characters of the widest line, with two between columns."""
    widths = [max(map(len, [name, *cells])) for name, cells in board.items()]
    return sum(widths) + 2 * (len(widths) - 1)


def printed(board: Board) -> Table:
    """A leaderboard as it is printed in a terminal."""
    table = Table(box=None, pad_edge=False)
    for name in board:
        left = name in ("method", "score")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for line in zip(*board.values(), strict=True):
        table.add_row(*line)
    return table
