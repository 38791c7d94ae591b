"""What a score is, what it is made of, and how all of them are found.

Sizes: N inputs, S samples, T targets, K classes, F features.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from bench import plugins
from bench.errors import BenchError

Part = Literal["training", "validation"]
Tuned = Literal["nothing", "published", "validation inliers", "validation outliers", "by hand"]
TUNED: tuple[Tuned, ...] = get_args(Tuned)
Function = Callable[..., Tensor]
SHAPES = {"samples": "(N, S, T, K)", "logits": "(N, T, K)", "features": "(N, F)"}
# Scored at once: float64 copies of all samples of a large set do not fit in memory, and buffers of
# more than 32 MiB, such as products with 20 000 training inputs, are mapped anew for each block.
ROWS = 256


class Unavailable(ValueError):
    """A score cannot be computed on a method; says why. The score is left out with the reason."""


class Head(NamedTuple):
    """The last layer, logits = W features + b: weights (T, K, F) and biases (T, K), float64."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Return the logits (N, T, K) of features (N, F)."""
        logits = features @ self.weight.flatten(0, 1).T
        return logits.unflatten(-1, self.bias.shape) + self.bias


class Evidence(NamedTuple):
    """One deterministic pass over N inputs, in float64.

    Args:
        features: the last hidden features (N, F).
        logits: of the single classifier (N, T, K).
        labels: (N, T), where a score is fitted; None where it is asked for.
        linear: the last layer, where a score is fitted on a method that has a linear one.
        extras: further evidence by name, where a score is asked for that needs it.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor | None = None
    linear: Head | None = None
    extras: Mapping[str, Tensor] = MappingProxyType({})

    @property
    def known(self) -> Tensor:
        """The labels (N, T) of the part that a score is fitted on."""
        if self.labels is None:
            raise Unavailable("there are no labels to learn from")
        return self.labels

    @property
    def head(self) -> Head:
        """The last layer of the method that a score is fitted on.

        Raises:
            Unavailable: its logits are no linear map of its features.
        """
        if self.linear is None:
            raise Unavailable("its logits are no linear map of its features")
        return self.linear


Fit = Callable[[Evidence], Any]


@dataclass(frozen=True)
class Score:
    """A function from predictions to one number for each input; higher means less sure.

    ``needs`` says what ``function`` takes: "samples", probabilities (N, S, T, K); "logits"
    (N, T, K) of one deterministic pass, and what ``fit`` returned, if there is one; "features",
    an `Evidence` and what ``fit`` returned; or names of a method's `extras`, joined by "+", an
    `Evidence` that has them. ``fit`` gets the `Evidence` of the part ``fit_on``, once for each
    fitted method: means, a covariance, neighbours; it raises `Unavailable` where there is nothing
    to learn. ``tuned`` says how the constants in the function were chosen, ``each_target`` whether
    what was learned holds for one target alone. ``label`` stands in tables.
    """

    name: str
    label: str
    source: str
    needs: str
    function: Function
    fit: Fit | None = None
    fit_on: Part = "training"
    tuned: Tuned = "nothing"
    each_target: bool = False

    def __call__(self, values: Tensor | Evidence, fitted: Any = None) -> Tensor:
        """Return the score of every input, float64 (N,): the mean over its targets.

        Raises:
            ValueError: ``values`` or the result is not of the shape it must have.
        """
        first = values.features if isinstance(values, Evidence) else values
        shape = SHAPES.get(self.needs, SHAPES["features"])
        if first.ndim != shape.count(",") + 1:
            raise ValueError(f"{self.name}: {self.needs} of {tuple(first.shape)}, not {shape}")
        with torch.no_grad():
            return torch.cat([self._block(values, rows, fitted) for rows in _blocks(len(first))])

    def _block(self, values: Tensor | Evidence, rows: slice, fitted: Any) -> Tensor:
        learned = () if self.fit is None else (fitted,)
        if not isinstance(values, Evidence):
            return self.function(values[rows], *learned)
        part = _rows(values, rows)
        result = self.function(part, *(learned or (None,))).double()
        if result.shape != (len(part.features),):
            raise ValueError(f"{self.name}: returned {tuple(result.shape)}, not (N,)")
        return result


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + ROWS) for start in range(0, max(n, 1), ROWS)]


def _rows(evidence: Evidence, rows: slice) -> Evidence:
    """Return some inputs' evidence in float64."""
    extras = {name: values[rows].double() for name, values in evidence.extras.items()}
    features, logits = evidence.features[rows].double(), evidence.logits[rows].double()
    return Evidence(features, logits, extras=extras)


def score(
    *, label: str, source: str, needs: str, fit: Fit | None = None, fit_on: Part = "training",
    tuned: Tuned = "nothing", each_target: bool = False,
) -> Callable[[Function], Score]:  # fmt: skip
    """Return a decorator that makes a function into the `Score` of its name."""
    return lambda function: Score(
        function.__name__, label, source, needs, function, fit, fit_on, tuned, each_target
    )


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
