"""Commands that show what there is: list, check, data and info."""

from __future__ import annotations

import sys
from pathlib import Path

import click

import bench
from bench.cli.options import DATA, OUTLIER_FOLDERS, common
from bench.commands.experiment import store
from bench.errors import UsageError


def version() -> str:
    """Return the version, and for a clone the commit it stands at."""
    if bench.CLONE is None:
        from importlib.metadata import version as installed

        return installed("bench")
    import tomllib

    from bench.store.code import commit

    about = tomllib.loads((bench.CLONE / "pyproject.toml").read_text("utf-8"))
    return f"{about['project']['version']} (clone at {commit() or 'an unknown commit'})"


@click.command("list")
@click.argument("words", nargs=-1, metavar="[KIND | NAME]...")
@common
def list_(words: tuple[str, ...]) -> None:
    """List methods, datasets, sources, scenarios, scores, metrics and presets, or explain a NAME.

    KIND is one of these words. NAME is one method, data set, scenario, score or metric: its
    parameters are shown with defaults and meaning.
    """
    from bench.commands.catalogue import show

    show(words)


@click.command()
@click.argument("name")
@click.option("--datasets", "dataset", default=None, metavar="NAME",
              help="Data set to check on [default: toy images of 4 x 4].")  # fmt: skip
@DATA
@common
def check(name: str, dataset: str | None, data: Path | None) -> None:
    """Check that a method keeps the contract, on toy data or on a few inputs of a data set."""
    from bench.commands.check import check_method, few

    failed = 0
    for title, problem in check_method(name, few(dataset, store(data)) if dataset else None):
        click.echo(f"{'ok    ' if problem is None else 'FAILED'}  {title}")
        if problem is not None:
            failed += 1
            click.echo(f"        {problem}")
    sys.exit(1 if failed else 0)


@click.group()
def data() -> None:
    """List, download, find and summarise data sets."""


@data.command("list")
@DATA
@common
def data_list(data: Path | None) -> None:
    """List every data set and outlier source, and where it was found."""
    from bench.commands.inventory import show_data

    show_data(store(data))


@data.command("download")
@click.argument("name")
@DATA
@common
def data_download(name: str, data: Path | None) -> None:
    """Download a data set into the data folder."""
    from bench.commands.inventory import find_source

    source = find_source(name, store(data))
    source.download()
    click.echo(f"{name}: {source.where()}")


@data.command("where")
@click.argument("name")
@DATA
@common
def data_where(name: str, data: Path | None) -> None:
    """Print where a data set was found."""
    from bench.commands.inventory import find_source, remedy

    source = find_source(name, store(data))
    place = source.where()
    if place is None:
        looked = ", ".join(map(str, source.store.roots))
        raise UsageError(f"{name} was not found in {looked}. {remedy(source)}")
    click.echo(place)


@data.command("summary")
@click.argument("name")
@OUTLIER_FOLDERS
@DATA
@common
def data_summary(name: str, data: Path | None) -> None:
    """Print the sizes, classes, duplicates and unreadable files of a data set.

    NAME is as in --datasets, such as folder:path=pictures. Outliers are compared with it. The exit
    code is 1 if a file cannot be read.
    """
    from bench.commands.data_summary import summary

    lines, whole = summary(name, store(data))
    for line in lines:
        click.echo(line)
    sys.exit(0 if whole else 1)


@data.command("distances")
@click.argument("name")
@OUTLIER_FOLDERS
@DATA
@common
def data_distances(name: str, data: Path | None) -> None:
    """Measure how far each outlier set lies from a data set, beside what is declared near or far.

    NAME is as in --datasets. Told apart wrongly: the error of a classifier of the two sets, 50 %
    for equal ones. 1-NN overlap: inputs whose nearest neighbour is of the other set. Reach: the
    distance to the nearest inlier in units of that of an inlier. Measured once and kept.
    """
    from bench.commands.distances import lines, of_words

    for line in lines(*of_words(name, store(data))):
        click.echo(line)


@click.command()
@DATA
@common
def info(data: Path | None) -> None:
    """Print versions, devices and the data that was found."""
    from bench.commands.inventory import show_info

    show_info(store(data))


COMMANDS = [list_, check, data, info]
