"""``bench verify --cell``: measure one cell of the results anew, and say how far apart it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from bench.commands.experiment import RUNS, Experiment, read
from bench.commands.measure import plan, settings_of
from bench.commands.verify import compare
from bench.errors import BenchError, UnknownNameError, UsageError
from bench.fitting.console import Console
from bench.fitting.device import threads
from bench.running.plan import Job
from bench.running.run import prepare, run
from bench.store.records import parsed, read_all
from bench.store.schema import Record

# What numbers may depend on beside the key, in the words of a record.
CIRCUMSTANCES = ("device", "precision", "cpu_capability", "threads", "versions", "commit")


class Verdict(NamedTuple):
    """What a cell says when it is measured again, and whether that is the same or explained."""

    text: str
    holds: bool


def verify_cell(cell: str, results: Path, data: Path | None, console: Console) -> Verdict:
    """Return how far a cell of ``results`` is from the same, fitted and measured anew elsewhere.

    It is fitted on as many threads of the CPU as the cell was.

    Args:
        cell: DATASET/SCENARIO/METHOD-sSEED, the name of a file below ``rows/``.
        results: the results folder; nothing in it is changed.
        data: the folder with data sets, or None.
        console: shows progress.

    Raises:
        UnknownNameError: there is no such cell.
        UsageError: it cannot be measured from the command line.
        BenchError: its file is damaged, or what it was measured with is gone.
    """
    known = _record(cell, results)
    if "digest" in known.params:
        raise UsageError(f"{cell} was measured by bench.evaluate in Python; call that again")
    if "scored_from" in known.params:
        raise UsageError(f"{cell} was scored from a file; `bench score` scores that file again")
    experiment, job = _found(known, results, data)
    beside = TemporaryDirectory(prefix="bench-verify-")
    with experiment.environment(), threads(known.threads), beside as place:
        settings = replace(settings_of(experiment), results=Path(place), jobs=1, force=False)
        prepare([job], settings)
        run([job], settings, console)
        again = read_all(Path(place) / "rows")[0][0]
    if again.status == "failed":
        return Verdict(f"{cell}: failed ({again.reason})", False)
    others = [
        r for r in read_all(results / "rows")[0]
        if (r.dataset, r.scenario, r.method, r.preset, r.device)
        == (known.dataset, known.scenario, known.method, known.preset, known.device)
    ]  # fmt: skip
    return _verdict(cell, known, again, others)


def _record(cell: str, results: Path) -> Record:
    name = cell.removeprefix(f"{results}/").removeprefix("rows/").removesuffix(".json")
    path = results / "rows" / f"{name}.json"
    try:
        return parsed(path)
    except FileNotFoundError:
        records = read_all(results / "rows")[0]
        close = get_close_matches(name, [record.cell for record in records], n=1, cutoff=0)
        hint = f"Did you mean '{close[0]}'?" if close else "It has no rows."
        raise UnknownNameError(
            f"no cell '{cell}' under {results}; a cell is DATASET/SCENARIO/METHOD-sSEED. {hint}"
        ) from None
    except (OSError, ValueError) as error:
        raise BenchError(f"{path}: {error}") from None


def _found(known: Record, results: Path, data: Path | None) -> tuple[Experiment, Job]:
    """Return the job of a record, with its scenario alone, and the experiment that has it.

    The files of runs are asked first, the last one written before others: they know where data
    and networks of the user's own lie. A label of ours is its own words.
    """
    place = {"results": results, "seeds": known.seed} | ({"data": data} if data else {})
    problem: BenchError | None = None
    for words in _candidates(known, results):
        try:
            experiment = Experiment.of(words | place)
            with experiment.environment():
                jobs = plan(experiment)[0]
        except BenchError as error:
            problem = problem or error
            continue
        for job in jobs:
            for scenario in job.scenarios:
                if (job.label, job.data.label, scenario.label) == (
                    known.method, known.dataset, known.scenario,
                ):  # fmt: skip
                    return experiment, replace(job, scenarios=(scenario,))
    raise problem or UsageError(f"no run makes {known.cell} any more")


def _candidates(known: Record, results: Path) -> Iterator[dict[str, Any]]:
    files = sorted((results / RUNS).glob("*.toml"), key=lambda p: p.stat().st_mtime, reverse=True)
    for path in files:
        with suppress(UsageError):
            words = read(path)
            if (words.get("preset"), known.seed in words.get("seeds", ())) == (known.preset, True):
                yield words
    # The label of a data set that is not whole ends in its size, and a name has no dash.
    data = re.sub(r"^([^:-]+)-[^:]*", r"\1", known.base)
    about = {"datasets": data, "scenarios": known.scenario, "preset": known.preset}
    yield {"methods": known.method, **about}


def _verdict(cell: str, known: Record, again: Record, others: Sequence[Record]) -> Verdict:
    text = compare([again], others)
    changes = [*_changes(known, again)]
    same = text.endswith("the same")
    explained = "within what seeds explain" in text and (
        "contradiction" not in text or any(not change.startswith("commit") for change in changes)
    )
    about = "measured with" if changes else "measured in the same circumstances"
    parts = [f"{cell}: {text}"]
    if known.key != again.key:
        parts.append("code, data or settings are not those it was measured with")
    if changes or not same:
        parts.append(" ".join([about, ", ".join(changes)]).strip())
    return Verdict("; ".join(parts), same or bool(explained))


def _changes(known: Record, again: Record) -> Iterator[str]:
    for name in CIRCUMSTANCES:
        before, now = (getattr(record, name) for record in (known, again))
        if name == "versions":
            for part in before.keys() & now.keys():
                if before[part] != now[part]:
                    yield f"{part} {before[part]}, now {now[part]}"
        elif before and before != now:
            yield f"{name} {before}, now {now}"
