"""What every method in this folder provides.

Sizes: N inputs, S samples of the predictive distribution, T targets, K classes, F features.
Probabilities are always (N, S, T, K). A higher uncertainty always means "less sure".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self, TypeVar

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task
from bench.datasets.named import Named, Value

T = TypeVar("T")
State = Mapping[str, "Tensor | int | float | str | bool | State | Sequence[State] | None"]


class NotFittedError(RuntimeError):
    """A method was asked to predict before `Method.fit`."""


class Outputs(NamedTuple):
    """One deterministic pass: logits (N, T, K) and last hidden features (N, F)."""

    logits: Tensor
    features: Tensor


@dataclass(frozen=True)
class Prerequisite:
    """Another fitted method that one needs: which, with what parameters, from what seeds.

    Where ``target`` names an attribute of the data, it predicts that one and nothing else.
    """

    method: str
    seeds: tuple[int, ...]
    params: Mapping[str, Value] = field(default_factory=dict)
    target: str = ""


class Method(Named, ABC):
    """A classifier that also says how unsure it is.

    A new baseline is one new file: a subclass with `name` (the file's stem), `source`, `fit`,
    `predict_proba`, `state` and `load_state`. Everything else has a default. Parameters
    named in `predict_only` do not change the fit, so changing them reuses the cached model.
    ``point_prediction`` says which probabilities are the method's answer: the mean over its
    samples, or those of its single classifier (where samples serve the uncertainty alone).
    """

    predict_only: ClassVar[frozenset[str]] = frozenset()
    point_prediction: ClassVar[Literal["samples", "single"]] = "samples"
    epoch_seconds: float | None = None  # median over epochs, set by fit; prerequisites count

    @abstractmethod
    def fit(
        self,
        train: Split,
        val: Split,
        *,
        seed: int,
        prerequisites: Mapping[str, Sequence[Method]] | None = None,
    ) -> Self:
        """Learn from clean data only and return self.

        Args:
            train: what to learn from.
            val: what to choose settings on; never a test set.
            seed: the same seed gives the same model.
            prerequisites: the fitted methods that `prerequisites` asked for, by its keys.
        """

    @abstractmethod
    def predict_proba(self, x: Tensor) -> Tensor:
        """Return probabilities (n, S, T, K) for one batch (n, C, H, W); differentiable.

        The harness seeds the global generator alike before every batch. Draw one classifier
        for each sample and use it on the whole batch (one weight draw, one dropout mask, one
        path): then neither batch size nor order changes a number.
        """

    @abstractmethod
    def state(self) -> State:
        """Return all that predicting needs, as tensors, numbers and strings."""

    @abstractmethod
    def load_state(self, state: State, task: Task) -> Self:
        """Undo `state`."""

    def single_classifier(self) -> nn.Module:
        """Return the deterministic classifier, (n, C, H, W) to logits (n, T, K), in eval mode.

        Attacks are crafted on it: f itself, dropout off, posterior mean, or the first member.
        """
        raise NotImplementedError(f"{self.name} has no single classifier")

    def logits_and_features(self, x: Tensor) -> Outputs | None:
        """Return one deterministic pass for post-hoc scores, or None where there is none."""
        return None

    def prerequisites(self, seed: int) -> Mapping[str, Prerequisite]:
        """Return the fitted methods this one needs, by the key `fit` finds them under."""
        return {}

    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that the data must tell of, beside what is predicted."""
        return ()

    def files(self) -> Sequence[Path]:
        """Return the files that `fit` reads, such as a checkpoint; their bytes enter its key."""
        return ()

    def code_modules(self) -> tuple[str, ...]:
        """Return the modules whose code, with what it imports, decides how the fit comes out."""
        return (type(self).__module__,)

    def fit_many(
        self,
        train: Split,
        val: Split,
        *,
        seeds: Sequence[int],
        prerequisites: Mapping[str, Sequence[Method]] | None = None,
    ) -> list[Self]:
        """Fit one model a seed; override it where one stacked training of all seeds pays.

        The harness calls this loop with one seed at a time, and keeps each model when it is made.
        """
        return [
            type(self)(**self.params()).fit(train, val, seed=s, prerequisites=prerequisites)
            for s in seeds
        ]

    def to(self, device: torch.device) -> Self:
        """Move the fitted networks to ``device``."""
        for part in vars(self).values():
            if isinstance(part, nn.Module):
                part.to(device)
        return self

    def fitted(self, value: T | None) -> T:
        """Return ``value``, or raise if `fit` has not filled it in yet."""
        if value is None:
            raise NotFittedError(f"{self.name}: call fit() before predicting")
        return value
