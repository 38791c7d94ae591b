"""What a score is, and how all of them are found.

Sizes: N inputs, S samples, T targets, K classes.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Needs = Literal["samples", "logits"]
Function = Callable[[Tensor], Tensor]
SHAPES: dict[Needs, str] = {"samples": "(N, S, T, K)", "logits": "(N, T, K)"}
ROWS = 1024  # scored at once: float64 copies of all samples of a large set do not fit in memory


@dataclass(frozen=True)
class Score:
    """A function from predictions to one number for each input; higher means less sure.

    ``needs`` says what it takes: "samples", probabilities (N, S, T, K), or "logits" (N, T, K) of
    one deterministic pass. ``label`` stands in tables.
    """

    name: str
    label: str
    source: str
    needs: Needs
    function: Function

    def __call__(self, predictions: Tensor) -> Tensor:
        """Return the score of every input, float64 (N,): the mean over its targets."""
        shape = SHAPES[self.needs]
        if predictions.ndim != shape.count(",") + 1:
            raise ValueError(
                f"{self.name}: {self.needs} of {tuple(predictions.shape)}, not {shape}"
            )
        with torch.no_grad():
            return torch.cat([self.function(rows) for rows in predictions.split(ROWS)])


def score(*, label: str, source: str, needs: Needs) -> Callable[[Function], Score]:
    """Return a decorator that makes a function into the `Score` of its name."""
    return lambda function: Score(function.__name__, label, source, needs, function)


def all_scores() -> dict[str, Score]:
    """Every score in the modules of this package, by name, in alphabetical order.

    Raises:
        ValueError: two scores have one name.
    """
    found: dict[str, Score] = {}
    package = importlib.import_module(__package__ or "bench.scores")
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, Score) and found.setdefault(value.name, value) is not value:
                raise ValueError(f"two scores are named {value.name!r}; the second in {info.name}")
    return dict(sorted(found.items()))
