"""Decide what to run before running anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import bench.scenarios
from bench import datasets, methods
from bench.datasets.base import Dataset, Source
from bench.datasets.named import Named
from bench.datasets.store import Store
from bench.discover import Choice, choose, names, subclasses
from bench.errors import UsageError
from bench.methods.base import Method
from bench.scenarios.base import Scenario
from bench.store.files import row_path


@dataclass(frozen=True)
class Job:
    """One fit, and every scenario to measure it on. Jobs are independent of each other."""

    label: str
    method: Method
    data: Dataset
    seed: int
    scenarios: tuple[Scenario, ...]

    def path(self, results: Path, scenario: Scenario) -> Path:
        """Return where this job's numbers for ``scenario`` go."""
        return row_path(results / "rows", self.data.label, scenario.label, self.label, self.seed)


def make_plan(
    *,
    methods_: str,
    datasets_: str,
    scenarios: str,
    seeds: Sequence[int],
    preset: str,
    store: Store,
    limit: int | None = None,
) -> list[Job]:
    """Turn names into jobs, data set first so that its data stays in memory.

    ``limit`` is the most inputs a view, in every scenario that has a `cap`.

    Raises:
        UnknownNameError: something asked for does not exist.
        UsageError: a scenario asked for by name applies to none of the data sets.
    """
    chosen = choose("method", methods_, subclasses(methods, Method), preset)
    makers = [(choice.label, partial(_method, choice)) for choice in chosen]
    data = chosen_data(datasets_, store)
    return jobs_of(makers, data, scenarios=scenarios, seeds=seeds, preset=preset, limit=limit)


def jobs_of(
    makers: Sequence[tuple[str, Callable[[], Method]]],
    data: Sequence[Dataset],
    *,
    scenarios: str,
    seeds: Sequence[int],
    preset: str,
    limit: int | None = None,
) -> list[Job]:
    """Cross methods, by label and by what makes one, with data sets and seeds.

    Raises:
        UnknownNameError: there is no such scenario.
        UsageError: a scenario asked for by name applies to none of the data sets.
    """
    known = subclasses(bench.scenarios, Scenario)
    asked = choose("scenario", scenarios, known, preset, {"cap": limit} if limit else None)
    return [
        Job(label, make(), one, seed, tuple(measured))
        for one, measured in _training_sets(asked, data)
        for seed in seeds
        for label, make in makers
    ]


def chosen_data(words: str, store: Store) -> list[Dataset]:
    """Return the data sets that are asked for.

    Raises:
        UnknownNameError: there is no such data set.
        UsageError: one is an outlier source.
    """
    _refuse_outlier_sources(words)
    return _present(choose("dataset", words, subclasses(datasets, Dataset)), store)


def one_dataset(words: str, store: Store, what: str) -> Dataset:
    """Return the data set that is asked for; ``what`` begins the message where there are several.

    Raises:
        UnknownNameError: there is no such data set.
        UsageError: there are several, or it is an outlier source.
    """
    found = chosen_data(words, store)
    if len(found) != 1:
        raise UsageError(f"{what} one data set, and '{words}' names {len(found)}; name one")
    return found[0]


def remarks(
    jobs: Sequence[Job], *, methods_: str, datasets_: str, scenarios: str, limit: int | None
) -> list[str]:
    """Return what the words of a plan do not say: what "all" and ``limit`` leave out, and why."""
    lines = []
    rooms: list[tuple[str, str, dict[str, type[Named]]]] = [
        ("methods", methods_, dict(subclasses(methods, Method))),
        ("datasets", datasets_, dict(subclasses(datasets, Dataset))),
        ("scenarios", scenarios, dict(subclasses(bench.scenarios, Scenario))),
    ]
    for kind, wanted, known in rooms:
        reasons: dict[str, list[str]] = {}
        for name, cls in known.items():
            if cls.asked_for:
                reasons.setdefault(cls.asked_for, []).append(name)
        spared = [f"{', '.join(names)} ({why})" for why, names in reasons.items()]
        if "all" in names(wanted) and spared:
            lines.append(f"{kind}: 'all' leaves out {', '.join(spared)}; name them to run them")
    whole = {s.label: None for job in jobs for s in job.scenarios if "cap" not in s.params()}
    if limit and whole:
        lines.append(f"--limit {limit}: {', '.join(whole)} measure the whole test part")
    return lines


def _refuse_outlier_sources(wanted: str) -> None:
    known = subclasses(datasets, Source)
    for name in names(wanted):
        if name in known and not issubclass(known[name], Dataset):
            raise UsageError(
                f"{name} is an outlier source, not a data set to train on; every data set meets "
                "it in --scenarios cross_dataset"
            )


def _method(choice: Choice) -> Method:
    return choice.cls(**choice.params)  # type: ignore[return-value]


def _present(choices: Sequence[Choice], store: Store) -> list[Dataset]:
    """Return the data sets; a tag or glob leaves out absent ones that a run does not fetch."""
    made = [(choice, _data(choice, store)) for choice in choices]
    there = [
        one
        for choice, one in made
        if choice.named or one.fetched_unasked or one.where() is not None
    ]
    return there or [one for _, one in made]  # which then say what is missing, and the remedy


def _data(choice: Choice, store: Store) -> Dataset:
    one: Dataset = choice.cls(**choice.params)  # type: ignore[assignment]
    one.label, one.store = choice.label, store
    return one


def _training_sets(
    asked: Sequence[Choice], data: Sequence[Dataset]
) -> list[tuple[Dataset, list[Scenario]]]:
    """Return each data set to fit on, with the scenarios that want it."""
    sets: dict[str, tuple[Dataset, list[Scenario]]] = {}
    for one in data:
        for choice in asked:
            scenario: Scenario = choice.cls(**choice.params)  # type: ignore[assignment]
            scenario.label = choice.label
            reason = scenario.skip(one)
            if reason and choice.named and all(scenario.skip(d) for d in data):
                raise UsageError(_does_not_apply(scenario, reason))
            if reason or (scenario.named_only(one) and not choice.named):
                continue
            for variant in scenario.training(one):
                sets.setdefault(variant.label, (variant, []))[1].append(scenario)
    return list(sets.values())


def _does_not_apply(scenario: Scenario, reason: str) -> str:
    known = subclasses(datasets, Dataset)
    fits = [name for name, cls in known.items() if scenario.skip(cls()) is None]
    return (
        f"scenario '{scenario.name}' does not apply to the chosen data ({reason}); "
        f"it applies to: {', '.join(fits) or 'none'}"
    )
