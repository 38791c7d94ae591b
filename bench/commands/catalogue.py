"""``bench list``, ``data list`` and ``info``: what there is."""

from __future__ import annotations

import inspect
import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version

import torch
from rich.console import Console
from rich.table import Table

import bench.scenarios
from bench import datasets, methods
from bench.datasets.base import Dataset, Source
from bench.datasets.store import Store
from bench.discover import subclasses, unknown
from bench.methods.base import Method
from bench.presets import PRESETS
from bench.scenarios.base import Scenario
from bench.scores import all_scores

Entry = tuple[str, str, str]


def show(kinds: Sequence[str]) -> None:
    """Print the lists asked for, or all of them: name, one line, source."""
    lists = {
        "methods": _methods,
        "datasets": lambda: _named(subclasses(datasets, Dataset)),
        "sources": lambda: _named(subclasses(datasets, Source)),
        "scenarios": _scenarios,
        "scores": lambda: ((s.name, _line(s.function), s.source) for s in all_scores().values()),
        "presets": lambda: ((name, text, "") for name, text in PRESETS.items()),
    }
    for kind in kinds:
        if kind not in lists:
            raise unknown("list", kind, list(lists))
    for kind in kinds or [k for k in lists if k != "sources"]:
        _print(kind, lists[kind](), ("name", "what it is", "source"))


def _methods() -> Iterator[Entry]:
    for name, cls in subclasses(methods, Method).items():
        yield name, _line(cls), cls.source
        for variant, params in cls.variants.items():
            words = ", ".join(f"{k}={v}" for k, v in params.items())
            yield f"{name}:{variant}", f"the same with {words}", cls.source


def _scenarios() -> Iterator[Entry]:
    for name, cls in subclasses(bench.scenarios, Scenario).items():
        yield name, f"{cls.question} [{', '.join(sorted(cls.tags))}]", cls.source


def _named(found: dict[str, type[Source]] | dict[str, type[Dataset]]) -> Iterator[Entry]:
    for name, cls in found.items():
        yield name, _line(cls), cls.source


def _line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n\n")[0].replace("\n", " ")


def _print(title: str, entries: Iterator[Entry], columns: Entry) -> None:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, overflow="fold")
    for entry in entries:
        table.add_row(*entry)
    console = Console(markup=False, highlight=False)
    console.print(table)
    console.print()


def sources(store: Store) -> dict[str, Source]:
    """Return every data set and outlier source, looking in ``store``."""
    found = {name: cls() for name, cls in subclasses(datasets, Source).items()}
    for source in found.values():
        source.store = store
    return found


def find_source(name: str, store: Store) -> Source:
    """Return one data set or outlier source by name."""
    known = sources(store)
    if name not in known:
        raise unknown("data set", name, list(known))
    return known[name]


def show_data(store: Store) -> None:
    """Print every source, whether it can be trained on, and where it was found."""
    entries = (
        (
            name,
            f"{'inlier and outlier' if isinstance(source, Dataset) else 'outlier'}, {source.kind}",
            source.where() or f"not found; python -m bench data download {name}",
        )
        for name, source in sources(store).items()
    )
    _print(f"looked in {', '.join(map(str, store.roots))}", entries, ("name", "use", "where"))


def show_info(store: Store) -> None:
    """Print what matters when two machines give different numbers."""
    packages = ("torch", "torchvision", "torchaudio", "torchattacks", "numpy", "scikit-learn")
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    entries = [
        ("python", platform.python_version(), platform.platform()),
        *((name, version(name), "") for name in packages),
        ("devices", f"cpu, {torch.get_num_threads()} threads of {os.cpu_count()} cores", gpu),
    ]
    _print("versions and devices", iter(entries), ("what", "version", ""))
    show_data(store)
