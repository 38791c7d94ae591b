"""Everything that can be named: methods, data sets, scenarios, scores, and where data lies.

`entries` imports all of it, which takes seconds; `bench.commands.catalogue` keeps what it returns.
"""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version

import docstring_parser
import torch

import bench.scenarios
from bench import datasets, methods
from bench.commands.listing import Entry, Parameter, table
from bench.datasets.base import Dataset, Source
from bench.datasets.named import Named, Value
from bench.datasets.store import Store
from bench.discover import subclasses, unknown, written
from bench.fitting.fits import construct
from bench.methods.base import Method
from bench.metrics import registry
from bench.presets import PRESETS
from bench.scenarios.base import Scenario
from bench.scores import Score, all_scores


def entries() -> list[Entry]:
    """Return everything that `bench list` shows, kind by kind."""
    rooms: dict[str, Mapping[str, type[Named]]] = {
        "methods": subclasses(methods, Method),
        "datasets": subclasses(datasets, Dataset),
        "sources": subclasses(datasets, Source),
        "scenarios": subclasses(bench.scenarios, Scenario),
    }
    listed = [_named(kind, cls) for kind, known in rooms.items() for cls in known.values()]
    listed += [_score(score) for score in all_scores().values()]
    listed += [_metric(metric) for metric in registry.metrics().values()]
    return listed + [Entry("presets", name, text) for name, text in PRESETS.items()]


def _named(kind: str, cls: type[Named]) -> Entry:
    about = docstring_parser.parse(vars(cls).get("__doc__") or "", docstring_parser.Style.GOOGLE)
    line = _one_line(about.short_description)
    if issubclass(cls, Scenario):
        line = f"{cls.question} [{', '.join(sorted(cls.tags))}]"
    if cls.asked_for:
        line += f" (not in 'all': {cls.asked_for})"
    return Entry(
        kind, cls.name, line, cls.source, about.description or "", _parameters(cls),
        {name: _values(params) for name, params in cls.variants.items()}, _tuned(cls),
    )  # fmt: skip


def _tuned(cls: type[Named]) -> dict[str, str]:
    """Return how a method, and each of its variants, was tuned; nothing for anything else."""
    if not issubclass(cls, Method):
        return {}
    settings = {"": {}, **cls.variants}
    return {
        name: construct(cls, {**cls.defaults(), **more}).tuned for name, more in settings.items()
    }


def _score(score: Score) -> Entry:
    text = inspect.getdoc(score.function) or ""
    line = _one_line(text.partition("\n\n")[0])
    return Entry(
        "scores", score.name, line, score.source, f"{text}\n\nComputed from {score.needs}.",
        tuned={"": score.tuned},
    )  # fmt: skip


def _metric(metric: registry.Metric) -> Entry:
    spec, text = metric.spec, inspect.getdoc(metric.function) if metric.function else ""
    better = f"{spec.better} is better" if spec.better else "neither way is better"
    line = f"{spec.heading}: {better} [{spec.kind}]"
    return Entry("metrics", spec.name, line, "", f"{line}\n\n{text}" if text else line)


def _parameters(cls: type[Named]) -> list[Parameter]:
    """Return the parameters of a class; a meaning stands in the docstring of it or its bases."""
    meanings: dict[str, str] = {}
    for owner in cls.__mro__:
        text = vars(owner).get("__doc__") or ""
        for p in docstring_parser.parse(text, docstring_parser.Style.GOOGLE).params:
            meanings.setdefault(p.arg_name, _one_line(p.description))
    least, defaults = cls.minima(), cls.defaults()
    sized = {preset: cls.defaults(preset) for preset in PRESETS}
    return [
        Parameter(
            name, written(value), meanings.get(name, ""), [*map(str, cls.choices(name))],
            least.get(name),
            {p: written(values[name]) for p, values in sized.items() if values[name] != value},
        )
        for name, value in defaults.items()
    ]  # fmt: skip


def _values(params: Mapping[str, Value]) -> str:
    return ", ".join(f"{name}={written(value)}" for name, value in params.items())


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def sources(store: Store) -> dict[str, Source]:
    """Return every data set and outlier source, looking in ``store``."""
    known = {name: cls() for name, cls in subclasses(datasets, Source).items()}
    for source in known.values():
        source.store = store
    return known


def find_source(name: str, store: Store) -> Source:
    """Return one data set or outlier source by name."""
    known = sources(store)
    if name not in known:
        raise unknown("data set", name, list(known))
    return known[name]


def remedy(source: Source) -> str:
    """Return what to do about a data set that is not there, as a sentence."""
    text = source.by_hand or f"get it with: python -m bench data download {source.name}"
    return text[0].upper() + text[1:]


def show_data(store: Store) -> None:
    """Print every source, whether it can be trained on, and where it was found."""
    lines = [
        (
            name,
            f"{'inlier and outlier' if isinstance(source, Dataset) else 'outlier'}, {source.kind}",
            source.where() or f"not found. {remedy(source)}",
        )
        for name, source in sources(store).items()
    ]
    table(f"looked in {', '.join(map(str, store.roots))}", ("name", "use", "where"), lines)


def show_info(store: Store) -> None:
    """Print what matters when two machines give different numbers."""
    packages = ("torch", "torchvision", "torchaudio", "torchattacks", "numpy", "scikit-learn")
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    lines = [
        ("python", platform.python_version(), platform.platform()),
        *((name, version(name), "") for name in packages),
        ("devices", f"cpu, {torch.get_num_threads()} threads of {os.cpu_count()} cores", gpu),
    ]
    table("versions and devices", ("what", "version", ""), lines)
    show_data(store)
