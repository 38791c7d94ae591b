"""Commands that fit or load networks: run, compare, threshold, explore and draw."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.cli import options
from bench.cli.options import (
    DATA,
    DATASETS,
    DEVICE,
    FILE,
    METHODS,
    OUTLIER_FOLDERS,
    PRESET,
    QUIET,
    RESULTS,
    SCENARIOS,
    SCORE,
    SEED,
    SEEDS,
    common,
)
from bench.commands.experiment import Experiment
from bench.errors import UsageError
from bench.presets import DEFAULT

if TYPE_CHECKING:
    from bench.running.plan import Job
    from bench.running.run import Settings


@click.command()
@FILE
@METHODS
@DATASETS
@OUTLIER_FOLDERS
@SCENARIOS
@SEEDS
@PRESET
@DEVICE
@click.option("--jobs", type=click.IntRange(min=1), default=None,
              help="Fits to run side by side [default: 1, or a fit a core where each uses one "
                   "alone]. From 2 on, a method that ends or crashes its process fails alone; "
                   "with 1 it ends the run.")  # fmt: skip
@click.option(
    "--cluster",
    default=None,
    metavar="ADDRESS|local:N",
    callback=options.cluster,
    help="Run the fits on the workers of a Dask cluster, or on N of this machine.",
)
@click.option("--limit", type=click.IntRange(min=1), default=None, metavar="N",
              help="Most inputs a view: the parameter `cap` of every scenario.")  # fmt: skip
@click.option("--force", is_flag=True, help="Fit and measure again even if nothing changed.")
@click.option("--dry-run", is_flag=True, help="Show the plan with an estimate, and stop.")
@SCORE
@QUIET
@RESULTS
@DATA
@common
def run(**options: Any) -> None:
    """Fit methods, measure scenarios, and write tables.

    Lists are separated by commas. A name takes globs (mc_*), parameters
    (redecnn:depth=4,alpha=0.8), sweeps (redecnn:depth=2,4,8) and variants (mc_dropout:tuned).

    FILE holds a run in TOML, under the names of the options, which override it. Every run writes
    the one it was below runs/ in --results.
    """
    dry_run, quiet = options.pop("dry_run"), options.pop("quiet")
    experiment = Experiment.of(options)
    jobs, settings = plan(experiment)
    if dry_run:
        _show_plan(jobs, settings, experiment)
    else:
        sys.exit(_run(jobs, settings, experiment, quiet=quiet))


def plan(experiment: Experiment) -> tuple[list[Job], Settings]:
    """Turn what was typed into jobs and settings; torch is imported only once that is needed."""
    from bench.commands.measure import plan

    return plan(experiment)


def _run(jobs: list[Job], settings: Settings, asked: Experiment, *, quiet: bool) -> int:
    from torch import get_num_threads

    from bench.commands import estimate
    from bench.commands.measure import carry_out
    from bench.commands.summary import refresh, show, verified
    from bench.fitting.console import Console
    from bench.fitting.device import describe

    start = time.perf_counter()
    with Console(quiet=quiet) as console:
        settings = estimate.side_by_side(asked, jobs, settings, console)
        beside = f", {settings.jobs} fits side by side" if settings.jobs > 1 else ""

        def begin(remarks: list[str]) -> None:
            console.say(
                f"{estimate.overview(jobs)} · preset {settings.preset} · "
                f"{describe(settings.device)}, {get_num_threads()} threads{beside} · "
                f"{settings.results}/"
            )
            for line in [*_remarks(jobs, asked), *remarks]:
                console.say(line)

        done = carry_out(asked, jobs, settings, console, begin)
    measured = sum(d.measured for d in done)
    for problem in refresh(settings.results, score=asked.score):
        click.echo(f"bench: {problem}", err=True)
    if not quiet:
        show(settings.results, {job.data.label for job in jobs}, settings.preset, asked.score)
        click.echo(verified(settings.results))
    failed = sum(d.failed for d in done)
    click.echo(
        f"{estimate.counted(measured, 'scenario')} measured, {failed} failed, in "
        f"{estimate.duration(time.perf_counter() - start)} -> {settings.results / 'README.md'}, "
        f"page {settings.results / 'leaderboard.html'}; next: {_next(jobs, settings, failed)}"
    )
    return 1 if failed else 0


def _next(jobs: list[Job], settings: Settings, failed: int) -> str:
    """Return a command that makes sense after this run."""
    labels = list(dict.fromkeys(job.label for job in jobs))
    results = "" if settings.results == Path("results") else f" --results {settings.results}"
    if failed:
        return "the same command with --jobs 1 -v shows tracebacks"
    if len(labels) == 1:
        return f"python -m bench verify{results}"
    preset = "" if settings.preset == DEFAULT else f" --preset {settings.preset}"
    data = f" --datasets {jobs[0].data.label.partition('~')[0]}"
    return f"python -m bench compare {labels[0]} {labels[-1]}{data}{preset}{results}"


def _remarks(jobs: list[Job], asked: Experiment) -> list[str]:
    from bench.running.plan import remarks

    return remarks(
        jobs, methods_=asked.methods, datasets_=asked.datasets, scenarios=asked.scenarios,
        limit=asked.limit,
    )  # fmt: skip


def _show_plan(jobs: list[Job], settings: Settings, asked: Experiment) -> None:
    from bench.commands import estimate
    from bench.fitting.console import Console

    settings = estimate.side_by_side(asked, jobs, settings, Console(quiet=True))
    for line in [*estimate.plan_lines(jobs, settings), *_remarks(jobs, asked)]:
        click.echo(line)


@click.command()
@click.argument("first")
@click.argument("second")
@DATASETS
@OUTLIER_FOLDERS
@SCENARIOS
@SEED
@PRESET
@DEVICE
@SCORE
@RESULTS
@DATA
@common
def compare(first: str, second: str, score: str, **options: Any) -> None:
    """Test AUROC(FIRST) - AUROC(SECOND) view by view.

    Of each seed two models are compared, by a paired bootstrap over test inputs; of several seeds,
    such as --seeds 0-2, also the two methods, over seeds and inputs together.
    """
    jobs, settings = plan(Experiment.of(options | {"methods": f"{first},{second}"}))
    from bench.commands.compare import differences
    from bench.fitting.console import Console

    with Console() as console:
        for one in differences(jobs, settings, console, score):
            estimate, low, high, *_ = one.interval
            of = f"seed {one.seeds[0]}" if len(one.seeds) == 1 else f"{len(one.seeds)} seeds"
            seen = f"{one.could_see:.4f}" if one.could_see < 1 else "no difference"
            told = "*" if one.told else f"could have seen {seen}"
            console.say(
                f"{one.data:<8} {of:<7}  {one.scenario:<14} {one.view:<18} "
                f"{estimate:+.4f}  [{low:+.4f}, {high:+.4f}]  {told}"
            )
    click.echo(
        "In brackets: 95 % interval, of one seed over test inputs (these two models), of several "
        "over seeds and inputs (the methods). * told apart; of a seed's, or of all seeds', stars "
        "at most 5 % are chance. Could have seen: the smallest difference shown with power 80 %."
    )


@click.command()
@click.argument("method")
@DATASETS
@click.option("--rate", type=float, default=0.05, show_default=True,
              help="Share of inliers that may be flagged, between 0 and 1.")  # fmt: skip
@SEED
@PRESET
@DEVICE
@SCORE
@RESULTS
@DATA
@common
def threshold(method: str, rate: float, score: str, **options: Any) -> None:
    """Print the score above which a product with METHOD raises the alarm.

    It is fixed on validation inliers; what it flags of the test inliers is printed with it. The
    scenario `operating` says what it flags of shifted inputs.
    """
    jobs, settings = plan(Experiment.of(options | {"methods": method, "scenarios": "clean"}))
    from bench.commands.threshold import alarms
    from bench.fitting.console import Console

    with Console() as console:
        for alarm in alarms(jobs, settings, console, rate=rate, score=score):
            for line in alarm.lines():
                console.say(line)


@click.command()
@click.option("--methods", default="redecnn", show_default=True, help="decnn or redecnn.")
@DATASETS
@SEED
@PRESET
@DEVICE
@click.option("-o", "--out", "--output", type=click.Path(path_type=Path, dir_okay=False),
              default=Path("explore.html"), show_default=True, help="File to write.")  # fmt: skip
@click.option("--units", is_flag=True,
              help="Show instead what each unit of the last hidden layer does under shift, of any "
                   "network.")  # fmt: skip
@RESULTS
@DATA
@common
def explore(out: Path, units: bool, **options: Any) -> None:
    """Write a page in which a DecNN or ReDecNN runs: decodings, paths, votes."""
    from bench.fitting.console import Console

    if units:
        from bench.gallery.units import write
    else:
        from bench.gallery.explore import write

    jobs, settings = plan(Experiment.of(options | {"scenarios": "clean"}))
    if len(jobs) != 1:
        raise UsageError(f"explore shows one method on one data set from one seed, not {len(jobs)}")
    with Console() as console:
        write(jobs[0], settings, console, out)
    click.echo(f"-> {out} ({out.stat().st_size / 1e6:.1f} MB)")


@click.command()
@click.option("--methods", default="redecnn", show_default=True, help="Names, globs, name:key=v.")
@DATASETS
@SEED
@PRESET
@DEVICE
@click.option("-o", "--out", type=options.FOLDER, default=None,
              help="Folder to write to [default: figures/ in --results].")  # fmt: skip
@RESULTS
@DATA
@common
def draw(out: Path | None, **options: Any) -> None:
    """Draw decoded activations, paths, the least certain inputs and the corruptions."""
    from bench.fitting.console import Console
    from bench.gallery.pictures import draw as draw_all

    jobs, settings = plan(Experiment.of(options | {"scenarios": "clean"}))
    with Console() as console:
        for path in draw_all(jobs, settings, console, out or settings.results / "figures"):
            console.say(f"-> {path}")


COMMANDS = [run, compare, threshold, explore, draw]
