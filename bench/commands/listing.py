"""What `bench list` lists, and the table it prints."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table

PIPED = 10_000  # characters a line where no terminal cuts it


class Parameter(msgspec.Struct, frozen=True):
    """A parameter with its default as it is typed, and the defaults of presets that differ."""

    name: str
    default: str
    meaning: str
    choices: list[str]
    minimum: float | None
    presets: dict[str, str]


class Entry(msgspec.Struct, frozen=True):
    """One thing that can be named: ``line`` in lists, ``text`` and the rest where it is asked for.

    ``variants`` are its named settings, such as "rate=0.1"; ``tuned`` says how its settings were
    chosen, and those of each variant by its name.
    """

    kind: str
    name: str
    line: str
    source: str = ""
    text: str = ""
    parameters: list[Parameter] = []
    variants: dict[str, str] = {}
    tuned: dict[str, str] = {}


def table(title: str, columns: Sequence[str], lines: Iterable[Sequence[str]]) -> None:
    """Print a table; where the output is no terminal, no cell is cut or broken."""
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        drawn.add_column(column, overflow="fold")
    for line in lines:
        drawn.add_row(*line)
    output = console()
    with output.capture() as capture:
        output.print(title, style="bold")
        output.print(drawn)
    for text in capture.get().splitlines():
        print(text.rstrip())
    print()


def console() -> Console:
    """Return a console that prints text as it is, in lines of any length if it is piped."""
    made = Console(markup=False, highlight=False)
    if not made.is_terminal:
        made.width = PIPED
    return made
