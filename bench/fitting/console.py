"""What a person sees during a run: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from bench.methods import training

GLUE = "\N{NO-BREAK SPACE}"
SLOW = 10.0  # seconds between two plain progress lines
SPEED_WINDOW = 24 * 3600.0  # seconds: within rich's own 30, a job of minutes has no time left


def broken(text: str, width: int) -> list[str]:
    """Return a line of parts, two spaces apart, as lines of ``width``; no part is broken.

    A width of 0 stands for no limit.
    """
    if len(text) <= width or not width:
        return [text]
    whole = re.sub(r"(?<=\S) (?=\S)", GLUE, text)
    lines = textwrap.wrap(
        whole, width, subsequent_indent=" " * 8, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(GLUE, " ") for line in lines]


class Console:
    """Prints progress and messages.

    Args:
        quiet: print no progress, and collect messages in ``notes`` instead, as a worker does.
        stderr: print to standard error, so that standard output holds results alone.
        out: where to print instead.
    """

    def __init__(
        self, *, quiet: bool = False, stderr: bool = False, out: RichConsole | None = None
    ) -> None:
        # `soft_wrap` leaves long lines whole: rich would break them inside numbers and names.
        self.out = out or RichConsole(quiet=quiet, stderr=stderr, highlight=False, soft_wrap=True)
        self.notes: list[str] = []
        self._quiet = quiet
        self._progress = Progress(
            TextColumn("[progress.description]{task.description:<34}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.out,
            transient=True,
            disable=quiet or not self.out.is_terminal,
            speed_estimate_period=SPEED_WINDOW,
        )
        self._jobs: TaskID | None = None
        self._last_line = time.monotonic()

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print one message above the bars; a quiet console keeps it in ``notes``."""
        if self._quiet:
            self.notes.append(text)
        self._print(text)

    def expect(self, jobs: int) -> None:
        """Start the bar that counts jobs."""
        self._jobs = self._progress.add_task("jobs", total=jobs)

    def finished(self, text: str) -> None:
        """Count one job and print its line."""
        if self._jobs is not None:
            self._progress.advance(self._jobs)
        width = self.out.width if self.out.is_terminal else 0
        self._print("\n".join(broken(text, width)))

    @contextmanager
    def fitting(self, name: str) -> Iterator[None]:
        """Show the epochs of a training while it goes on."""
        with self._bar(f"  fit {name}") as task:
            token = training.on_epoch.set(
                lambda done, total: self._update(task, f"fit {name}: epoch", done, total)
            )
            try:
                yield
            finally:
                training.on_epoch.reset(token)

    @contextmanager
    def predicting(self, name: str, total: int) -> Iterator[Iterator[int]]:
        """Show the views of a job while they are predicted."""
        with self._bar(f"  {name}") as task:

            def count() -> Iterator[int]:
                for done in range(1, total + 1):
                    self._update(task, f"{name}: view", done, total)
                    yield done

            yield count()

    @contextmanager
    def _bar(self, text: str) -> Iterator[TaskID]:
        task = self._progress.add_task(escape(text), total=None)
        try:
            yield task
        finally:
            self._progress.remove_task(task)

    def _update(self, task: TaskID, text: str, done: int, total: int) -> None:
        self._progress.update(task, completed=done, total=total)
        if not self.out.is_terminal and time.monotonic() - self._last_line > SLOW:
            self._print(f"  {text} {done} of {total}")

    def _print(self, text: str) -> None:
        self.out.print(escape(text), soft_wrap=True)
        self._last_line = time.monotonic()
