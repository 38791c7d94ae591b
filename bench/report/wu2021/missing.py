"""What the paper's tables still lack: the commands that fill them, and what they will cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from shlex import quote
from statistics import median
from typing import Any, NamedTuple

from bench.report.wu2021.observed import CLASSES, DATA, METRICS, Cells, Observed
from bench.store.records import REFERENCE, read_all
from bench.store.schema import Record

PRESET, RESULTS = "laptop", Path("results")  # defaults of `bench run`


class Gap(NamedTuple):
    """A number of the paper that we lack, wholly or for some seeds."""

    data: str  # as `--datasets` takes it
    preset: str
    method: str
    scenario: str
    variant: str
    seeds: tuple[int, ...]


class Command(NamedTuple):
    """A command that fills some gaps."""

    text: str
    gaps: tuple[Gap, ...]


def gap(cells: Cells, method: str, preset: str) -> Gap:
    """What it takes to fill the cell of a method in a column."""
    metric = METRICS[cells.column.metric]
    label = cells.place.dataset if cells.place else DATA[cells.column.dataset].ask
    return Gap(
        CLASSES.get(label, label),
        cells.place.preset if cells.place else preset,
        method,
        metric.scenario,
        metric.variant.format(view=cells.column.view),
        cells.absent(method),
    )


def commands(gaps: Iterable[Gap], results: Path) -> list[Command]:
    """As few commands as fill the gaps, in order; each method of a data set is in one of them.

    A command may name what is there already: `bench run` skips that.
    """
    of: dict[tuple[str, str, str], list[Gap]] = {}
    for one in gaps:
        of.setdefault((one.data, one.preset, one.method), []).append(one)
    alike: dict[tuple[str, str, tuple[str, ...], tuple[int, ...]], list[Gap]] = {}
    for (data, preset, _), some in of.items():
        scenarios = tuple(dict.fromkeys(one.scenario for one in some))
        seeds = tuple(sorted({seed for one in some for seed in one.seeds}))
        alike.setdefault((data, preset, scenarios, seeds), []).extend(some)
    orders = []
    for (data, preset, scenarios, seeds), some in alike.items():
        methods = dict.fromkeys(one.method for one in some)
        words = {"methods": methods, "datasets": [data], "scenarios": scenarios, "seeds": seeds}
        orders.append(Command(_text(words, preset, results), tuple(some)))
    return orders


def _text(words: Mapping[str, Iterable[Any]], preset: str, results: Path) -> str:
    """A command line; what is the default anyway is not said."""
    options = [f"--{name} {','.join(map(str, values))}" for name, values in words.items()]
    options += [f"--preset {preset}"] if preset != PRESET else []
    options += [f"--results {quote(str(results))}"] if results != RESULTS else []
    return " ".join(["python -m bench run", *options])


class Times:
    """Seconds of a fit, from the rows at hand and the project's own."""

    def __init__(self, records: Iterable[Record]) -> None:
        reference = read_all(REFERENCE / "rows")[0]
        timed: dict[tuple[str, str, str], list[float]] = {}
        for record in [*records, *reference]:
            if record.fit_seconds is not None:
                data = CLASSES.get(record.base, record.base)
                place = record.preset, data, record.method
                timed.setdefault(place, []).append(record.fit_seconds)
        self._known = {place: median(values) for place, values in timed.items()}

    def of(self, gap: Gap) -> tuple[float, bool] | None:
        """Seconds of one fit, and whether they are guessed from other data or parameters."""
        if (known := self._known.get((gap.preset, gap.data, gap.method))) is not None:
            return known, False
        name = gap.method.partition(":")[0]
        alike = {
            data: seconds
            for (preset, data, method), seconds in sorted(self._known.items())
            if preset == gap.preset and method in (gap.method, name)
        }
        if gap.data in alike:  # the same method with other parameters
            return alike[gap.data], True
        here = self._known.get((gap.preset, gap.data, "standard"))
        for data, seconds in alike.items():
            there = self._known.get((gap.preset, data, "standard"))
            if here and there:
                return seconds * here / there, True
        return (max(alike.values()), True) if alike else None


def lines(gaps: list[Gap], total: int, observed: Observed, results: Path) -> Iterator[str]:
    """Yield a script that fills the gaps: commands, and comments that say what they cost."""
    if not gaps:
        yield f"# none of the {total} numbers of the paper's tables is missing under {results}"
        return
    times = Times(observed.records)
    known: list[tuple[float, bool] | None] = []
    yield f"# {len(gaps)} of the {total} numbers of the paper's tables are missing under {results}"
    for command in commands(gaps, results):
        fits = {(g.method, g.variant, seed): times.of(g) for g in command.gaps for seed in g.seeds}
        known += fits.values()
        yield f"# {len(command.gaps)} numbers: {_cost(list(fits.values()))}"
        yield command.text
    yield f"# in all {_cost(known)}; those in the cache cost nothing"


def _cost(fits: list[tuple[float, bool] | None]) -> str:
    timed = [fit for fit in fits if fit is not None]
    guessed, unknown = sum(guess for _, guess in timed), len(fits) - len(timed)
    remarks = [f"{guessed} guessed from other fits"] * (guessed > 0)
    remarks += [f"{unknown} never timed"] * (unknown > 0)
    minutes = f"{len(fits)} fits, about {sum(seconds for seconds, _ in timed) / 60:,.1f} minutes"
    return minutes + (f" ({', '.join(remarks)})" if remarks else "")
