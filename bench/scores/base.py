"""What a score is, and how all of them are found.

Sizes: N inputs, S samples, T targets, K classes, F features.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from bench import plugins
from bench.errors import BenchError

Needs = Literal["samples", "logits", "features"]
Function = Callable[..., Tensor]
SHAPES: dict[Needs, str] = {"samples": "(N, S, T, K)", "logits": "(N, T, K)", "features": "(N, F)"}
ROWS = 1024  # scored at once: float64 copies of all samples of a large set do not fit in memory


class Evidence(NamedTuple):
    """One deterministic pass over N inputs, in float64.

    Args:
        features: the last hidden features (N, F).
        logits: of the single classifier (N, T, K).
        labels: (N, T), of the training part alone; None where a score is asked for.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor | None = None


Fit = Callable[[Evidence], Any]


@dataclass(frozen=True)
class Score:
    """A function from predictions to one number for each input; higher means less sure.

    ``needs`` says what ``function`` takes: "samples", probabilities (N, S, T, K); "logits"
    (N, T, K) of one deterministic pass; or "features", an `Evidence` and what ``fit`` returned.
    ``fit`` gets the `Evidence` of the training part, once for each fitted method: means, a
    covariance, neighbours. ``label`` stands in tables.
    """

    name: str
    label: str
    source: str
    needs: Needs
    function: Function
    fit: Fit | None = None

    def __call__(self, values: Tensor | Evidence, fitted: Any = None) -> Tensor:
        """Return the score of every input, float64 (N,): the mean over its targets.

        Raises:
            ValueError: ``values`` or the result is not of the shape it must have.
        """
        first = values.features if isinstance(values, Evidence) else values
        shape = SHAPES[self.needs]
        if first.ndim != shape.count(",") + 1:
            raise ValueError(f"{self.name}: {self.needs} of {tuple(first.shape)}, not {shape}")
        with torch.no_grad():
            return torch.cat([self._block(values, rows, fitted) for rows in _blocks(len(first))])

    def _block(self, values: Tensor | Evidence, rows: slice, fitted: Any) -> Tensor:
        if not isinstance(values, Evidence):
            return self.function(values[rows])
        part = Evidence(values.features[rows], values.logits[rows])
        result = self.function(part, fitted).double()
        if result.shape != (len(part.features),):
            raise ValueError(f"{self.name}: returned {tuple(result.shape)}, not (N,)")
        return result


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + ROWS) for start in range(0, max(n, 1), ROWS)]


def score(
    *, label: str, source: str, needs: Needs, fit: Fit | None = None
) -> Callable[[Function], Score]:
    """Return a decorator that makes a function into the `Score` of its name."""
    return lambda function: Score(function.__name__, label, source, needs, function, fit)


def all_scores() -> dict[str, Score]:
    """Every score in the modules of this package and in plug-ins, in alphabetical order.

    Raises:
        BenchError: two scores have one name; the message names both files.
    """
    scores: dict[str, Score] = {}
    files: dict[str, str | None] = {}
    for module in plugins.members(importlib.import_module(__package__ or "bench.scores")):
        for value in vars(module).values():
            if not isinstance(value, Score):
                continue
            if scores.setdefault(value.name, value) is not value:
                both = f"{files[value.name]} and {module.__file__}"
                raise BenchError(f"two scores are named '{value.name}': {both}; rename one")
            files.setdefault(value.name, module.__file__)
    return dict(sorted(scores.items()))
