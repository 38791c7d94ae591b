"""Commands that read result files and saved outputs alone, running no network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from bench.cli.options import (
    DATA,
    DATASETS,
    DEVICE,
    FOLDER,
    MERGED,
    METHODS,
    PRESET,
    RESULTS,
    SCENARIOS,
    SCORE,
    SEED,
    common,
)
from bench.errors import UsageError


@click.command()
@click.option("--figures/--no-figures", default=True, help="Draw figures as well as tables.")
@click.option("--paper", is_flag=True, help="The paper's tables too, our numbers beside its own.")
@click.option("--missing", is_flag=True,
              help="Only list the runs that the paper's tables lack, as a script.")  # fmt: skip
@click.option("-o", "--out", type=FOLDER, default=None,
              help="Folder to write to [default: the first of --results].")  # fmt: skip
@SCORE
@MERGED
@common
def report(
    folders: list[Path], out: Path | None, figures: bool, paper: bool, missing: bool, score: str
) -> None:
    """Render tables and figures from the rows that are there."""
    results = out or folders[0]
    if missing:
        from bench.report.wu2021.tables import shortfall

        for line in shortfall(*folders):
            click.echo(line)
        return
    from bench.commands.summary import draw

    for problem in draw(results, figures=figures, paper=paper, sources=folders, score=score):
        click.echo(f"bench: {problem}", err=True)
    click.echo(f"-> {results / 'README.md'}")


@click.command()
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), required=True,
    help="File: .csv, .json or .parquet; with --predictions or --to a folder.",
)  # fmt: skip
@click.option("--predictions", is_flag=True,
              help="Write outputs of networks as .npz instead (docs/score.md).")  # fmt: skip
@click.option("--to", type=click.Choice(["tensorboard"]), default=None,
              help="Write the loss and accuracy of each epoch of the fits instead.")  # fmt: skip
@METHODS
@DATASETS
@SCENARIOS
@SEED
@PRESET
@DEVICE
@DATA
@MERGED
@common
def export(folders: list[Path], out: Path, predictions: bool, to: str | None, **asked: Any) -> None:
    """Write every row to one file that pandas reads in one call (docs/schema.md).

    With --predictions write what networks answered, of the methods, data sets, scenarios and
    seeds asked for; those options serve nothing else.
    """
    if predictions and to:
        raise UsageError("export writes either --predictions or --to tensorboard at once")
    if predictions:
        _export_predictions(folders[0], out, asked)
        return
    _only_with_predictions(asked)
    if to:
        _export_training(folders, out)
        return
    from bench.commands.export import export as write

    lines, problems = write(folders, out)
    for problem in problems:
        click.echo(f"bench: {problem}", err=True)
    click.echo(f"{lines} lines -> {out}")


def _export_training(folders: list[Path], out: Path) -> None:
    from bench.commands.tensorboard import export as write

    runs, problems = write(folders, out)
    for problem in problems:
        click.echo(f"bench: {problem}", err=True)
    click.echo(f"{runs} runs -> {out}; next: tensorboard --logdir {out}")


def _only_with_predictions(asked: dict[str, Any]) -> None:
    """Refuse options that would be ignored: a table holds every row."""
    context = click.get_current_context()
    default = click.core.ParameterSource.DEFAULT
    typed = [f"--{name}" for name in asked if context.get_parameter_source(name) is not default]
    if typed:
        raise UsageError(
            f"{', '.join(typed)} choose predictions: add --predictions; a table holds every row"
        )


def _export_predictions(results: Path, out: Path, asked: dict[str, Any]) -> None:
    from bench.commands.experiment import Experiment
    from bench.commands.measure import plan
    from bench.commands.predictions import export as write
    from bench.fitting.console import Console

    jobs, settings = plan(Experiment.of(asked | {"results": results}))
    with Console() as console:
        for path in write(jobs, settings, console, out):
            console.say(f"-> {path}")


@click.command()
@click.option(
    "--reference", type=click.Path(path_type=Path, exists=True, file_okay=False), default=None,
    help="Results to compare with [default: those the project measured].",
)  # fmt: skip
@click.option(
    "--cell", default=None, metavar="DATASET/SCENARIO/METHOD-sSEED",
    help="Fit and measure this cell of --results anew, in a temporary place, and compare.",
)  # fmt: skip
@RESULTS
@DATA
@common
def verify(results: Path, reference: Path | None, cell: str | None, data: Path | None) -> None:
    """Compare results with the reference, or one cell with itself measured anew.

    Seeds and devices are allowed for. A cell is named as its file below rows/, without .json; the
    page shows it. The exit code is 1 where neither seeds nor devices explain a difference.
    """
    from bench.commands.verify import summary
    from bench.store.packed import has_files

    if not has_files(results / "rows"):
        raise UsageError(f"no results under {results}; start with `python -m bench run`")
    if cell is not None:
        from bench.commands.cell import verify_cell
        from bench.fitting.console import Console

        if reference is not None:
            raise UsageError("--cell compares with --results itself; leave out --reference")
        with Console(quiet=True) as console:
            verdict = verify_cell(cell, results, data, console)
        click.echo(verdict.text)
        sys.exit(0 if verdict.holds else 1)
    click.echo(summary(results, reference))


@click.command()
@click.option("--methods", default="*", help="Labels or globs, as in rows [default: any].")
@click.option("--datasets", default="*", help="Labels or globs [default: any].")
@click.option("--scenarios", default="*", help="Labels or globs [default: any].")
@click.option("--yes", is_flag=True, help="Remove without asking.")
@RESULTS
@common
def forget(results: Path, methods: str, datasets: str, scenarios: str, yes: bool) -> None:
    """Remove an experiment's rows and curves, and fits and predictions that only it used.

    A name stands for itself and for its settings: redecnn is also redecnn:depth=2. At least one
    of --methods, --datasets and --scenarios is needed. Without --yes a terminal is asked, and
    elsewhere nothing is removed.
    """
    from bench.commands.forget import leftovers, remove

    if (methods, datasets, scenarios) == ("*", "*", "*"):
        raise UsageError("forget takes at least one of --methods, --datasets and --scenarios")
    paths = leftovers(results, methods=methods, datasets=datasets, scenarios=scenarios)
    if not paths:
        raise UsageError(f"nothing under {results} matches")
    for kind, files in paths.items():
        size = sum(file.stat().st_size for file in files)
        click.echo(
            f"{kind}: {len(files)} file{'' if len(files) == 1 else 's'}, {size / 1e6:.1f} MB"
        )
        for file in files if kind == "rows" else ():
            click.echo(f"  {file}")
    if not yes and not (sys.stdin.isatty() and click.confirm("remove them?")):
        click.echo("nothing was removed; --yes removes")
        return
    remove(paths)
    click.echo(f"removed; next: python -m bench report --results {results}")


@click.command()
@click.option("--undo", is_flag=True, help="Make loose files of the archives again.")
@RESULTS
@common
def pack(results: Path, undo: bool) -> None:
    """Pack rows and curves into rows.tar.xz and curves.tar.xz, a tenth of their size or less.

    Every command reads them as if they were loose, and a run adds loose files to them.
    """
    from bench.store import packed

    paths = packed.unpack(results) if undo else packed.pack(results)
    if not paths:
        raise UsageError(f"nothing under {results} to {'unpack' if undo else 'pack'}")
    for path in paths:
        size = "" if undo else f", {path.stat().st_size / 1e6:.1f} MB"
        click.echo(f"{path} {'unpacked' if undo else 'written'}{size}")


@click.command()
@click.argument("files", nargs=-1, required=True,
                type=click.Path(path_type=Path, exists=True, dir_okay=False))  # fmt: skip
@click.option("--name", default="mine", show_default=True, help="What rows call the network.")
@click.option("--dataset", default="own", show_default=True, help="What rows call the inliers.")
@PRESET
@RESULTS
@common
def score(files: tuple[Path, ...], name: str, dataset: str, preset: str, results: Path) -> None:
    """Measure outputs that another program saved; no network is run (docs/score.md)."""
    from bench.commands.score import score as measure

    written, left_out = measure(files, results, name=name, dataset=dataset, preset=preset)
    for reason in left_out:
        click.echo(f"left out: {reason}")
    for path in written:
        click.echo(f"-> {path}")
    click.echo(f"next: python -m bench report --results {results}")


COMMANDS = [report, export, score, verify, pack, forget]
