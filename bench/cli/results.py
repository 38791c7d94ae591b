"""Commands that read result files and saved outputs alone, running no network."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.cli.options import FOLDER, MERGED, RESULTS, SCORE, common
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
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), required=True,
              help="File to write: .csv, .json or .parquet.")  # fmt: skip
@MERGED
@common
def export(folders: list[Path], out: Path) -> None:
    """Write every row to one file that pandas reads in one call (docs/schema.md)."""
    from bench.commands.export import export as write

    lines, problems = write(folders, out)
    for problem in problems:
        click.echo(f"bench: {problem}", err=True)
    click.echo(f"{lines} lines -> {out}")


@click.command()
@click.option(
    "--reference", type=click.Path(path_type=Path, exists=True, file_okay=False), default=None,
    help="Results to compare with [default: those the project measured].",
)  # fmt: skip
@RESULTS
@common
def verify(results: Path, reference: Path | None) -> None:
    """Compare results with the reference, allowing for seeds and devices."""
    from bench.commands.verify import summary

    if not (results / "rows").exists():
        raise UsageError(f"no results under {results}; start with `python -m bench run`")
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
@click.argument("files", nargs=-1, required=True,
                type=click.Path(path_type=Path, exists=True, dir_okay=False))  # fmt: skip
@click.option("--name", default="mine", show_default=True, help="What rows call the network.")
@click.option("--dataset", default="own", show_default=True, help="What rows call the inliers.")
@RESULTS
@common
def score(files: tuple[Path, ...], name: str, dataset: str, results: Path) -> None:
    """Measure outputs that another program saved as .npz; no network is run (docs/score.md)."""
    from bench.commands.score import score as measure

    for path in measure(files, results, name=name, dataset=dataset):
        click.echo(f"-> {path}")


COMMANDS = [report, export, score, verify, forget]
