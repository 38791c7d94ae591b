"""The command that holds the harness against published numbers."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.cli import options
from bench.cli.options import DATA, DEVICE, FOLDER, QUIET, common


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seeds", "--seed", "seeds", default="0-4", show_default=True,
              callback=options.seeds, help="Seeds of the fits.")  # fmt: skip
@DEVICE
@click.option("--results", type=FOLDER, default=Path("results/validation"), show_default=True,
              help="Folder that rows and the cache go to.")  # fmt: skip
@QUIET
@DATA
@common
def validate(
    names: tuple[str, ...], seeds: list[int], device: str, results: Path, quiet: bool,
    data: Path | None,
) -> None:  # fmt: skip
    """Train published set-ups, and print published numbers beside those measured here.

    NAMES choose set-ups; all of them by default. What is up to date is not trained again. The
    exit code is 1 where neither the spread over seeds nor a known change of the set-up explains
    a difference.
    """
    from bench.commands.experiment import store
    from bench.commands.validate import table
    from bench.commands.validate import validate as measure
    from bench.fitting.console import Console
    from bench.fitting.device import resolve

    holds = True
    with Console(quiet=quiet, stderr=True) as console:
        found = measure(
            ",".join(names) or "all", seeds=seeds, results=results, store=store(data),
            device=resolve(device), console=console,
        )  # fmt: skip
        for anchor, lines in found:
            click.echo(f"\n{anchor.name}: {anchor.set_up}\n{anchor.source}\n")
            if anchor.unmeasured:
                click.echo(f"Not measured here: {anchor.unmeasured}\n")
            click.echo("\n".join(table(lines)))
            holds &= all(line.holds for line in lines)
    sys.exit(0 if holds else 1)


COMMANDS = [validate]
