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

from .training_log import TrainingLog

T = TypeVar("T")
State = Mapping[str, "Tensor | int | float | str | bool | State | Sequence[State] | None"]


class NotFittedError(RuntimeError):
    """A method was asked to predict before `Method.fit`."""


class Outputs(NamedTuple):
    """One deterministic pass: logits (N, T, K) and last hidden features (N, F)."""

    logits: Tensor
    features: Tensor


class Answer(NamedTuple):
    """All that is kept of a batch: probabilities (n, S, T, K), a deterministic pass, extras."""

    probs: Tensor
    outputs: Outputs | None
    extras: dict[str, Tensor]


@dataclass(frozen=True)
class Prerequisite:
    """Fitted methods that another method needs.

    Args:
        method: name of the method.
        seeds: one fit each.
        params: parameters that differ from those of the preset.
        target: the attribute of the data that it predicts alone; "" for the task as it is.
    """

    method: str
    seeds: tuple[int, ...]
    params: Mapping[str, Value] = field(default_factory=dict)
    target: str = ""


class Method(Named, ABC):
    """A classifier with an uncertainty for every input.

    A new baseline is one new file: a subclass with `name` (the file's stem), `source`, `fit`,
    `predict_proba`, `state` and `load_state`. Everything else has a default. Parameters
    named in ``predict_only`` do not change the fit, so changing them reuses the cached model.
    ``point_prediction`` names the probabilities that accuracy and calibration are computed from:
    the mean over its samples, or those of its single classifier (where samples serve the
    uncertainty alone). ``decodes`` is set where activations decode to images. ``claims`` are
    statements of its paper for a report to judge, each the fields of `bench.store.records.Claim`.
    """

    predict_only: ClassVar[frozenset[str]] = frozenset()
    point_prediction: ClassVar[Literal["samples", "single"]] = "samples"
    decodes: ClassVar[bool] = False
    claims: ClassVar[Sequence[Mapping[str, str | float]]] = ()
    log: TrainingLog | None = None  # set by `fit` where networks are trained

    @abstractmethod
    def fit(
        self,
        train: Split,
        val: Split,
        *,
        seed: int,
        prerequisites: Mapping[str, Sequence[Method]] | None = None,
    ) -> Self:
        """Learn from clean data alone and return self.

        Args:
            train: the training part.
            val: the part for choosing settings; never a test set.
            seed: the same seed gives the same model.
            prerequisites: the fitted methods that `prerequisites` names, by its keys.
        """

    @abstractmethod
    def predict_proba(self, x: Tensor) -> Tensor:
        """Return probabilities (n, S, T, K) for one batch (n, C, H, W); differentiable.

        Neither batch size nor order may change a number. The harness seeds the global generator
        alike before every batch: draw what an input's samples are made of by the input's bytes
        (`bench.methods.draws`), or, where that costs too much, one classifier for each sample
        and the whole batch.
        """

    @abstractmethod
    def state(self) -> State:
        """Return everything that prediction needs, as tensors, numbers and strings."""

    @abstractmethod
    def load_state(self, state: State, task: Task) -> Self:
        """Restore the fitted method from a `state` and return self."""

    def single_classifier(self) -> nn.Module:
        """Return the deterministic classifier, (n, C, H, W) to logits (n, T, K), in eval mode.

        Attacks are crafted on it. It is f itself, without dropout, with the posterior mean of
        the weights, or the first member of an ensemble.
        """
        raise NotImplementedError(f"{self.name} has no single classifier")

    def logits_and_features(self, x: Tensor) -> Outputs | None:
        """Return one deterministic pass for post-hoc scores, or None where there is none."""
        return None

    @property
    def tuned(self) -> str:
        """How the settings that `standard` lacks were chosen.

        "nothing" (there are none), "published" (as in the paper), "validation inliers",
        "validation outliers" or "by hand".
        """
        return "nothing"

    def linear_head(self) -> tuple[Tensor, Tensor] | None:
        """Return weights (T K, F) and biases (T K,) of the map from features to logits.

        By default None: the harness then solves for them, from features and logits of training
        data. Neither this nor `extras` nor `answer` is part of the key of a fit.
        """
        return None

    def extras(self, x: Tensor) -> dict[str, Tensor]:
        """Return further evidence about one batch by name, each (n, …); none by default.

        It is kept with the prediction, and a score names what it needs of it.
        """
        return {}

    def answer(self, x: Tensor) -> Answer:
        """Return all that is kept of one batch; override it where its parts share a pass."""
        return Answer(self.predict_proba(x), self.logits_and_features(x), self.extras(x))

    def prerequisites(self, seed: int) -> Mapping[str, Prerequisite]:
        """Return the fitted methods that `fit` needs, by their keys in its ``prerequisites``."""
        return {}

    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that the data must have beside the targets."""
        return ()

    def prepare(self, task: Task) -> str:
        """Raise a BenchError for what would fail in `fit`, such as a missing file; before any run.

        Return a remark for the user, or nothing.
        """
        return ""

    def code_modules(self) -> tuple[str, ...]:
        """Return the modules whose code, with all they import, a fit of this method depends on."""
        return (type(self).__module__,)

    def files(self) -> Sequence[Path]:
        """Return the files that `fit` reads, such as a checkpoint; their bytes count in its key."""
        return ()

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
