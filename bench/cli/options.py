"""Options that several commands share, and how their words are read."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bench import plugins
from bench.commands import experiment
from bench.errors import UsageError
from bench.presets import DEFAULT, PRESETS
from bench.store.schema import RANKED_BY

Command = Callable[..., Any]
FOLDER = click.Path(path_type=Path, file_okay=False)
TAGS = (
    "ood, audio, corruption, adversarial, attacks, heldout, calibration, product, fairness, cost, "
    "neighbours, paper"
)


def seeds(context: click.Context, option: click.Parameter, text: str) -> list[int]:
    """Read numbers and ranges separated by commas: "0,1,5-7" is 0, 1, 5, 6, 7."""
    return [*experiment.seeds("--seeds", text)]


def device(context: click.Context, option: click.Parameter, text: str) -> str:
    """Return the name of a device that this program can use."""
    return experiment.device("--device", text)


def cluster(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Return the words for a cluster."""
    return None if text is None else experiment.cluster("--cluster", text)


def folders(context: click.Context, option: click.Parameter, text: str) -> list[Path]:
    """Read results folders separated by commas; a comma may also be part of a folder's name."""
    parts = [text] if Path(text).exists() else [part for part in text.split(",") if part.strip()]
    if not parts:
        raise UsageError(f"--results takes folders separated by commas, not '{text}'")
    for part in parts:
        if Path(part).is_file():
            raise UsageError(f"--results takes folders, and {part} is a file")
    return [Path(part) for part in parts]


def use_plugins(context: click.Context, option: click.Parameter, paths: tuple[str, ...]) -> None:
    """Add files and folders to the plug-ins of this process and of its workers."""
    known = plugins.named(os.pathsep.join(paths))
    context.with_resource(experiment.added(plugins.VARIABLE, [str(path) for path in known]))


def use_outliers(context: click.Context, option: click.Parameter, words: tuple[str, ...]) -> None:
    """Add folders of outliers to those of this process and of its workers."""
    context.with_resource(experiment.added(experiment.OUTLIERS, words))


def use_file(context: click.Context, option: click.Parameter, path: Path | None) -> None:
    """Let the file of a run set what the options do not."""
    if path is not None:
        values = experiment.read(path)
        if "seeds" in values:
            values["seeds"] = ",".join(map(str, values["seeds"]))
        context.default_map = values


def verbose(context: click.Context, option: click.Parameter, on: bool) -> None:
    """Show the traceback of every error that is caught."""
    log = logging.getLogger("bench")
    if on and not log.handlers:
        log.addHandler(handler := logging.StreamHandler(sys.stderr))
        log.setLevel(logging.DEBUG)
        context.call_on_close(lambda: log.removeHandler(handler))


FILE = click.argument(
    "file", type=click.Path(path_type=Path, dir_okay=False), required=False, default=None,
    is_eager=True, expose_value=False, callback=use_file,
)  # fmt: skip
RESULTS = click.option(
    "--results", type=FOLDER, default=Path("results"), show_default=True,
    help="Folder that rows, tables and the cache go to.",
)  # fmt: skip
MERGED = click.option(
    "--results", "folders", default="results", show_default=True, callback=folders,
    help="Folders with rows, separated by commas; the first goes first where they differ.",
)  # fmt: skip
DATA = click.option(
    "--data", type=FOLDER, default=None,
    help="Folder with data sets [default: $BENCH_DATA, else the user's cache folder].",
)  # fmt: skip
PRESET = click.option(
    "--preset", type=click.Choice(list(PRESETS)), default=DEFAULT, show_default=True,
    help="Size of networks and data.",
)  # fmt: skip
DEVICE = click.option(
    "--device", default="auto", show_default=True, callback=device,
    help="auto, cpu, cuda, cuda:1 … or mps.",
)  # fmt: skip
METHODS = click.option(
    "--methods", default="all", show_default=True, help="Names, globs, name:key=value."
)
DATASETS = click.option(
    "--datasets", default="digits", show_default=True, help="Data sets to train on."
)
SCENARIOS = click.option(
    "--scenarios", default="ood", show_default=True, help=f"Names, globs, or tags: {TAGS}."
)
SEEDS = click.option(
    "--seeds", "--seed", "seeds", default="0-2", show_default=True, callback=seeds,
    help="Seeds of the fits, such as 0,1,5-7.",
)  # fmt: skip
SEED = click.option(
    "--seeds", "--seed", "seeds", default="0", show_default=True, callback=seeds,
    help="Seed of the fits.",
)  # fmt: skip
SCORE = click.option(
    "--score", default=RANKED_BY, show_default=True, metavar="NAME",
    help="Score that methods are ranked by, or own: each method's own.",
)  # fmt: skip
OUTLIER_FOLDERS = click.option(
    "--outliers", multiple=True, metavar="[near=|far=]DIR", expose_value=False,
    callback=use_outliers,
    help="Folder of pictures of your own as outliers, far unless declared near; repeatable. "
    f"${experiment.OUTLIERS} lists more.",
)  # fmt: skip
QUIET = click.option("-q", "--quiet", is_flag=True, help="Print problems and the last line alone.")
_VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, is_eager=True, callback=verbose,
    help="Print the traceback of every error.",
)  # fmt: skip
_PLUGINS = click.option(
    "--plugins", multiple=True, metavar="PATH", expose_value=False, is_eager=True,
    callback=use_plugins,
    help="File or folder with methods, data sets, scenarios or scores of your own; repeatable. "
    f"${plugins.VARIABLE} lists more.",
)  # fmt: skip


def common(function: Command) -> Command:
    """Add the options that every command takes."""
    return _PLUGINS(_VERBOSE(function))
