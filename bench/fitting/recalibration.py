"""Calibration after the fact: maps from probabilities to probabilities, fitted on validation data.

Probabilities are (N, T, K), labels (N, T). A map takes the answers of a method, so that the
samples of one that has several are averaged first (Rahaman & Thiery 2021, arXiv:2007.08792), and
their logarithms are its logits. None of the maps sees a test input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.errors import BenchError
from bench.scores import Evidence
from bench.scores.temperature import temperature

if TYPE_CHECKING:
    from sklearn.isotonic import IsotonicRegression

SMALLEST = 2.0**-126  # the smallest normal float32: a softmax gave 0 for less
Array = NDArray[np.float64]


@dataclass(frozen=True)
class TemperatureScaling:
    """Logits divided by one temperature, that of the least NLL (Guo et al. 2017)."""

    at: float

    @classmethod
    def fit(cls, probs: Tensor, y: Tensor) -> TemperatureScaling:
        """Return the map for validation answers and their labels."""
        logits = log_of(probs)
        return cls(temperature(Evidence(logits.flatten(1), logits, y)))

    def __call__(self, probs: Tensor) -> Tensor:
        """Return probabilities (N, T, K); the top label stays."""
        return (log_of(probs) / self.at).softmax(-1)


@dataclass(frozen=True)
class VectorScaling:
    """Logits with a weight and a bias for each target and class, (T, K) each (Guo et al. 2017).

    A normal prior of variance 1 around the identity keeps them finite where validation answers
    are all right, and near it where validation inputs are few.
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def fit(cls, probs: Tensor, y: Tensor) -> VectorScaling:
        """Return the map for validation answers and their labels."""
        logits = log_of(probs).numpy()
        fits = [_scaled(logits[:, t], y[:, t].numpy()) for t in range(y.shape[1])]
        weight, bias = zip(*fits, strict=True)
        return cls(torch.from_numpy(np.stack(weight)), torch.from_numpy(np.stack(bias)))

    def __call__(self, probs: Tensor) -> Tensor:
        """Return probabilities (N, T, K)."""
        return (log_of(probs) * self.weight + self.bias).softmax(-1)


@dataclass(frozen=True)
class Isotonic:
    """A rising step function for each target and class, then a sum of 1 (Zadrozny & Elkan 2002).

    A class that gets 0 from every function counts as all the others do, where all do.
    """

    steps: tuple[tuple[IsotonicRegression, ...], ...]

    @classmethod
    def fit(cls, probs: Tensor, y: Tensor) -> Isotonic:
        """Return the map for validation answers and their labels."""
        from sklearn.isotonic import IsotonicRegression

        def step(t: int, k: int) -> IsotonicRegression:
            rises = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
            return rises.fit(probs[:, t, k].numpy(), (y[:, t] == k).double().numpy())

        targets, classes = probs.shape[1:]
        return cls(tuple(tuple(step(t, k) for k in range(classes)) for t in range(targets)))

    def __call__(self, probs: Tensor) -> Tensor:
        """Return probabilities (N, T, K)."""
        values = probs.double().numpy()
        found = np.stack(
            [
                np.stack([step.predict(values[:, t, k]) for k, step in enumerate(of)], axis=-1)
                for t, of in enumerate(self.steps)
            ],
            axis=1,
        )
        total = found.sum(-1, keepdims=True)
        even = np.full_like(found, 1 / found.shape[-1])
        return torch.from_numpy(np.divide(found, total, out=even, where=total > 0))


Recalibration = Callable[[Tensor], Tensor]
FITS: Mapping[str, Callable[[Tensor, Tensor], Recalibration]] = {
    "temperature": TemperatureScaling.fit,
    "vector_scaling": VectorScaling.fit,
    "isotonic": Isotonic.fit,
}


def recalibrations(probs: Tensor, y: Tensor) -> dict[str, Recalibration]:
    """Return every map by name, fitted on validation answers (N, T, K) and their labels (N, T).

    Raises:
        BenchError: the labels of a target are all of one class.
    """
    if (y == y[:1]).all(0).any():
        raise BenchError("the validation labels of a target are all of one class; nothing to fit")
    return {name: fit(probs.double(), y) for name, fit in FITS.items()}


def log_of(probs: Tensor) -> Tensor:
    """Return log probabilities in float64; a 0 counts as the smallest normal float32."""
    return probs.double().clamp_min(SMALLEST).log()


def _scaled(logits: Array, labels: NDArray[np.int64]) -> tuple[Array, Array]:
    """Return the weight and bias (K,) of the largest posterior; logits (N, K), labels (N,)."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    n, classes = logits.shape
    truth = np.eye(classes)[labels]

    def loss(params: Array) -> tuple[float, Array]:
        weight, bias = params.reshape(2, classes)
        log_p = log_softmax(logits * weight + bias, axis=1)
        wrong = np.exp(log_p) - truth
        slope = np.stack([(wrong * logits).sum(0) + weight - 1, wrong.sum(0) + bias])
        prior = ((weight - 1) ** 2).sum() / 2 + (bias**2).sum() / 2
        return (prior - (truth * log_p).sum()) / n, slope.ravel() / n

    start = np.concatenate([np.ones(classes), np.zeros(classes)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000})
    weight, bias = found.x.reshape(2, classes)
    return weight, bias
