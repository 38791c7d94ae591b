"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.errors import BenchError, UsageError

if TYPE_CHECKING:
    from bench.datasets.store import Store
    from bench.running.plan import Job
    from bench.running.run import Settings

RESULTS = click.option(
    "--results", type=click.Path(path_type=Path), default=Path("results"), show_default=True,
    help="Folder that rows, tables and the cache go to.",
)  # fmt: skip
DATA = click.option(
    "--data", type=click.Path(path_type=Path), default=None,
    help="Folder with data sets [default: $BENCH_DATA, else the user's cache folder].",
)  # fmt: skip
PRESET = click.option(
    "--preset", default="laptop", show_default=True, help="smoke, laptop or paper."
)
DEVICE = click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda …")


def _folders(context: click.Context, option: click.Parameter, text: str) -> list[Path]:
    """Read results folders separated by commas; a comma may also be part of a folder's name."""
    parts = [text] if Path(text).exists() else [part for part in text.split(",") if part.strip()]
    if not parts:
        raise UsageError(f"--results takes folders separated by commas, not '{text}'")
    return [Path(part) for part in parts]


MERGED = click.option(
    "--results", "folders", default="results", show_default=True, callback=_folders,
    help="Folders with rows, separated by commas; the first goes first where they differ.",
)  # fmt: skip


class _Group(click.Group):
    """Turns a user's mistake into one line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BenchError as error:
            click.echo(f"bench: {error}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("bench: stopped; the same command again continues where it was", err=True)
            ctx.exit(130)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure how well neural networks know what they don't know."""


@main.command()
@click.option("--methods", default="all", show_default=True, help="Names, globs, name:key=value.")
@click.option("--datasets", default="digits", show_default=True, help="Data sets to train on.")
@click.option("--scenarios", default="ood", show_default=True, help="Names, globs or tags.")
@click.option("--seeds", default="0,1,2", show_default=True, help="Seeds, separated by commas.")
@PRESET
@DEVICE
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True,
              help="Fits to run side by side.")  # fmt: skip
@click.option("--force", is_flag=True, help="Fit and measure again even if nothing changed.")
@click.option("--dry-run", is_flag=True, help="Show the plan with an estimate, and stop.")
@RESULTS
@DATA
def run(**options: Any) -> None:
    """Fit methods, measure scenarios, and write tables.

    Lists are separated by commas. A name takes globs (mc_*), parameters
    (redecnn:depth=4,alpha=0.8), sweeps (redecnn:depth=2,4,8) and variants (mc_dropout:tuned).
    """
    dry_run = options.pop("dry_run")
    jobs, settings = _plan(**options)
    if dry_run:
        _show_plan(jobs, settings)
    else:
        sys.exit(_run(jobs, settings))


def _plan(
    methods: str, *, datasets: str, scenarios: str, seeds: str, preset: str, device: str,
    results: Path, data: Path | None, jobs: int = 1, force: bool = False,
) -> tuple[list[Job], Settings]:  # fmt: skip
    """Turn what was typed into jobs and settings; torch is imported only once that is needed."""
    numbers = _seeds(seeds)
    from bench import presets
    from bench.fitting.device import resolve
    from bench.running.plan import make_plan
    from bench.running.run import Settings

    settings = Settings(results, presets.check(preset), resolve(device), jobs, force)
    plan = make_plan(
        methods_=methods, datasets_=datasets, scenarios=scenarios, seeds=numbers,
        preset=preset, store=_store(data),
    )  # fmt: skip
    return plan, settings


def _seeds(text: str) -> list[int]:
    try:
        seeds = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise UsageError(
            f"--seeds takes whole numbers separated by commas, such as 0,1,2, not '{text}'"
        ) from None
    if not seeds or min(seeds) < 0:
        raise UsageError(f"--seeds takes one or more numbers from 0 up, not '{text}'")
    return list(dict.fromkeys(seeds))


def _store(data: Path | None) -> Store:
    from bench.datasets.store import Store

    return Store.from_environment(data)


def _run(jobs: list[Job], settings: Settings) -> int:
    from torch import get_num_threads

    from bench.commands import estimate, verify
    from bench.commands.summary import refresh, show
    from bench.fitting.console import Console
    from bench.fitting.device import describe
    from bench.running.run import prepare
    from bench.running.run import run as run_all

    start = time.perf_counter()
    prepare(jobs, settings)
    with Console() as console:
        console.say(
            f"{estimate.overview(jobs)} · preset {settings.preset} · "
            f"{describe(settings.device)}, {get_num_threads()} threads · {settings.results}/"
        )
        done = run_all(jobs, settings, console)
    measured = sum(d.measured for d in done)
    for problem in refresh(settings.results, changed=measured > 0):
        click.echo(f"bench: {problem}", err=True)
    show(settings.results, {job.data.label for job in jobs}, settings.preset)
    click.echo(verify.summary(settings.results))
    failed = sum(d.failed for d in done)
    click.echo(
        f"{measured} scenarios measured, {failed} failed, in {time.perf_counter() - start:.1f} s "
        f"-> {settings.results / 'README.md'}"
    )
    return 1 if failed else 0


def _show_plan(jobs: list[Job], settings: Settings) -> None:
    from bench.commands import estimate

    for line in estimate.plan_lines(jobs, settings):
        click.echo(line)


@main.command()
@click.option("--figures/--no-figures", default=True, help="Draw figures as well as tables.")
@click.option("--paper", is_flag=True, help="The paper's tables too, our numbers beside its own.")
@click.option("--missing", is_flag=True,
              help="Only list the runs that the paper's tables lack, as a script.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), default=None,
              help="Folder to write to [default: the first of --results].")  # fmt: skip
@MERGED
def report(
    folders: list[Path], out: Path | None, figures: bool, paper: bool, missing: bool
) -> None:
    """Render tables and figures from the rows that are there."""
    results = out or folders[0]
    if missing:
        from bench.report.wu2021.tables import shortfall

        for line in shortfall(*folders):
            click.echo(line)
        return
    from bench.commands.summary import draw

    for problem in draw(results, figures=figures, paper=paper, sources=folders):
        click.echo(f"bench: {problem}", err=True)
    click.echo(f"-> {results / 'README.md'}")


@main.command()
@click.option("-o", "--out", type=click.Path(path_type=Path), required=True,
              help="File to write: .csv, .json or .parquet.")  # fmt: skip
@MERGED
def export(folders: list[Path], out: Path) -> None:
    """Write every row to one file that pandas reads in one call (docs/schema.md)."""
    from bench.commands.export import export as write

    lines, problems = write(folders, out)
    for problem in problems:
        click.echo(f"bench: {problem}", err=True)
    click.echo(f"{lines} lines -> {out}")


@main.command()
@click.option(
    "--reference", type=click.Path(path_type=Path), default=None,
    help="Results to compare with [default: those the project measured].",
)  # fmt: skip
@RESULTS
def verify(results: Path, reference: Path | None) -> None:
    """Compare results with the reference: do seeds and devices explain the differences?"""
    from bench.commands.verify import summary

    if not (results / "rows").exists():
        raise UsageError(f"no results under {results}; start with `python -m bench run`")
    click.echo(summary(results, reference))


@main.command()
@click.argument("first")
@click.argument("second")
@click.option("--datasets", default="digits", show_default=True, help="Data sets.")
@click.option("--scenarios", default="ood", show_default=True, help="Names, globs or tags.")
@click.option("--seeds", default="0", show_default=True, help="Seeds, separated by commas.")
@PRESET
@DEVICE
@RESULTS
@DATA
def compare(first: str, second: str, **options: Any) -> None:
    """Test AUROC(FIRST) - AUROC(SECOND) view by view, by a paired bootstrap over test inputs."""
    jobs, settings = _plan(f"{first},{second}", **options)
    from bench.commands.compare import differences
    from bench.fitting.console import Console

    with Console() as console:
        for data, found in differences(jobs, settings, console):
            estimate, low, high = found.interval
            console.say(
                f"{data:<8} seed {found.seed}  {found.scenario:<14} {found.view:<18} "
                f"{estimate:+.4f}  [{low:+.4f}, {high:+.4f}]"
                f"{'' if found.interval.holds_zero() else '  *'}"
            )
    click.echo("* the 95 % interval excludes 0; it covers the choice of inputs, not of seeds")


@main.command()
@click.option("--methods", default="redecnn", show_default=True, help="decnn or redecnn.")
@click.option("--datasets", default="digits", show_default=True, help="Data set.")
@click.option("--seed", default="0", show_default=True, help="Seed of the fit.")
@PRESET
@DEVICE
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("explore.html"),
              show_default=True, help="File to write.")  # fmt: skip
@RESULTS
@DATA
def explore(seed: str, output: Path, **options: Any) -> None:
    """Write a page in which a DecNN or ReDecNN runs: decodings, paths, votes."""
    from bench.fitting.console import Console
    from bench.gallery.explore import write

    jobs, settings = _plan(**options, scenarios="clean", seeds=seed)
    if len(jobs) != 1:
        raise UsageError(f"explore shows one method on one data set from one seed, not {len(jobs)}")
    with Console() as console:
        write(jobs[0], settings, console, output)
    click.echo(f"-> {output} ({output.stat().st_size / 1e6:.1f} MB)")


@main.command()
@click.option("--methods", default="redecnn", show_default=True, help="Names, globs, name:key=v.")
@click.option("--datasets", default="digits", show_default=True, help="Data sets.")
@click.option("--seed", default="0", show_default=True, help="Seed of the fits.")
@PRESET
@DEVICE
@RESULTS
@DATA
def draw(seed: str, **options: Any) -> None:
    """Draw decoded activations, paths, the least sure inputs and the corruptions."""
    from bench.fitting.console import Console
    from bench.gallery.pictures import draw as draw_all

    jobs, settings = _plan(**options, scenarios="clean", seeds=seed)
    with Console() as console:
        for path in draw_all(jobs, settings, console):
            console.say(f"-> {path}")


@main.command("list")
@click.argument("kinds", nargs=-1)
def list_(kinds: tuple[str, ...]) -> None:
    """List methods, datasets, scenarios, scores and presets."""
    from bench.commands.catalogue import show

    show(kinds)


@main.command()
@click.argument("name")
def check(name: str) -> None:
    """Check that a method keeps the contract, on toy data."""
    from bench.commands.check import check_method

    failed = 0
    for title, problem in check_method(name):
        click.echo(f"{'ok    ' if problem is None else 'FAILED'}  {title}")
        if problem is not None:
            failed += 1
            click.echo(f"        {problem}")
    sys.exit(1 if failed else 0)


@main.group()
def data() -> None:
    """List, download and find data sets."""


@data.command("list")
@DATA
def data_list(data: Path | None) -> None:
    """List every data set and outlier source, and where it was found."""
    from bench.commands.catalogue import show_data

    show_data(_store(data))


@data.command("download")
@click.argument("name")
@DATA
def data_download(name: str, data: Path | None) -> None:
    """Download a data set into the data folder."""
    from bench.commands.catalogue import find_source

    source = find_source(name, _store(data))
    source.download()
    click.echo(f"{name}: {source.where()}")


@data.command("where")
@click.argument("name")
@DATA
def data_where(name: str, data: Path | None) -> None:
    """Print where a data set was found."""
    from bench.commands.catalogue import find_source

    source = find_source(name, _store(data))
    place = source.where()
    if place is None:
        looked = ", ".join(map(str, source.store.roots))
        raise UsageError(
            f"{name} was not found in {looked}; get it with: python -m bench data download {name}"
        )
    click.echo(place)


@main.command()
@DATA
def info(data: Path | None) -> None:
    """Print versions, devices and the data that was found."""
    from bench.commands.catalogue import show_info

    show_info(_store(data))
