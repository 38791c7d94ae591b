"""What a metric is, and how all of them are found: one file a metric, and nothing else touched.

A metric is a decorated function in a module of `bench.metrics` or in a plug-in; its kind says
what it is a function of, and so where it is worked out:

    "detection"          of a `Ranking` of inliers and outliers
    "answer"             of probabilities (N, T, K) and labels (N, T)
    "misclassification"  of uncertainties (N,) and errors (N,), right or wrong answers

Quantities that a scenario works out itself ("alarm", "fairness", "cost", "other") are only
`declared`.
Neither this module nor one with metrics imports torch, scikit-learn or scipy before a metric is
computed: a report reads names and directions without them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, Literal

from bench import plugins
from bench.errors import BenchError
from bench.store.schema import Better, MetricSpec

Kind = Literal["detection", "answer", "misclassification", "alarm", "fairness", "cost", "other"]
Function = Callable[..., float | None]
WORDS = {word.lower(): word for word in ("ECE", "AUROC", "AURC", "AUGRC", "AUPR", "F1", "AP")}


@dataclass(frozen=True)
class Metric:
    """A metric: its `MetricSpec`, and the function that computes it, if it is one of one kind."""

    spec: MetricSpec
    function: Function | None = None

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return the value; None where it is undefined."""
        if self.function is None:
            raise TypeError(f"{self.spec.name} is worked out by its scenario alone")
        return self.function(*args, **options)


def metric(
    *, label: str, better: Better, kind: Kind, unit: str = "", digits: int = 3,
    scale: float = 1.0, chance: float | None = None,
) -> Callable[[Function], Metric]:  # fmt: skip
    """Return a decorator that makes a function into the `Metric` of its name.

    The arguments are those of `bench.store.schema.MetricSpec`.
    """

    def decorate(function: Function) -> Metric:
        name = function.__name__
        spec = MetricSpec(name, label, unit, better, digits, kind, scale, chance)
        return Metric(spec, function)

    return decorate


def declared(
    name: str, label: str, *, kind: Kind, better: Better = "", unit: str = "", digits: int = 3,
    scale: float = 1.0,
) -> Metric:  # fmt: skip
    """Return the `Metric` of a quantity that a scenario works out itself."""
    return Metric(MetricSpec(name, label, unit, better, digits, kind, scale))


def metrics() -> dict[str, Metric]:
    """Every metric by name, in the order of modules and of definition.

    Raises:
        BenchError: two metrics have one name; the message names both files.
    """
    return _metrics(plugins.modules())


def specs() -> dict[str, MetricSpec]:
    """What every metric is called, which way is better and how it is printed, by name."""
    return {name: one.spec for name, one in metrics().items()}


def of_kind(kind: Kind) -> dict[str, Metric]:
    """Every metric that can be computed from what ``kind`` names, by name."""
    found = metrics().items()
    return {name: one for name, one in found if one.spec.kind == kind and one.function}


def added() -> tuple[MetricSpec, ...]:
    """The metrics of plug-ins: an installation that reads their rows does not know them."""
    builtin = _metrics(())
    return tuple(spec for name, spec in specs().items() if name not in builtin)


def spec_of(name: str, known: dict[str, MetricSpec]) -> MetricSpec:
    """Return how a metric is printed; one that is not among ``known`` is called by its name."""
    if name in known:
        return known[name]
    words = [WORDS.get(word, word) for word in name.split("_")]
    return MetricSpec(name, " ".join(words).strip() or name)


@lru_cache
def _metrics(extra: tuple[ModuleType, ...]) -> dict[str, Metric]:
    package = importlib.import_module(__package__ or "bench.metrics")
    found: dict[str, tuple[str | None, Metric]] = {}
    for module in [*plugins.inside(package), *extra]:
        for one in _of_module(module):
            first, known = found.setdefault(one.spec.name, (module.__file__, one))
            if known is not one:
                both = f"{first} and {module.__file__}"
                raise BenchError(f"two metrics are named '{one.spec.name}': {both}; rename one")
    return {name: one for name, (_, one) in found.items()}


def _of_module(module: ModuleType) -> Iterator[Metric]:
    """Yield the metrics among a module's names, alone or in tuples."""
    for value in vars(module).values():
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Metric):
                yield one
