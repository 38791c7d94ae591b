"""What a method predicts for a set of inputs, from one pass of its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bench.datasets.base import Task, as_floats
from bench.fitting.isolation import isolated
from bench.methods.base import Method, Outputs

if TYPE_CHECKING:  # a change to scores runs no network again
    from bench.scores import Score

BATCH = 500
SUM_TOLERANCE = 1e-4  # of float32 probabilities that are summed over up to a thousand classes


@dataclass(frozen=True)
class Prediction:
    """What a method predicts for N inputs, on the CPU.

    Args:
        probs: probabilities (N, S, T, K).
        logits: of the single classifier, (N, T, K), where the method has one.
        features: last hidden features of the single classifier, (N, F), where it has any.
        extras: further evidence by name, each (N, …): what `Method.extras` returns.
        fit_score: returns what a score has learned from the training part; see `Score.fit`.
        scores: uncertainties (N,) computed so far, by name.
    """

    probs: Tensor
    logits: Tensor | None
    features: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    fit_score: Callable[[Score], Any] | None = field(default=None, compare=False)
    scores: dict[str, Tensor] = field(default_factory=dict, compare=False)

    @property
    def by_samples(self) -> Tensor:
        """Probabilities averaged over samples, never logits; float64, (N, T, K)."""
        return self.probs.double().mean(dim=1)

    @property
    def by_single(self) -> Tensor | None:
        """Probabilities of the single classifier; float64, (N, T, K)."""
        return None if self.logits is None else self.logits.double().softmax(dim=-1)


def check(prediction: Prediction, n: int, task: Task) -> None:
    """Check that a prediction is one of ``n`` inputs for ``task``.

    Raises:
        ValueError: a shape is wrong, a number is not finite or not in [0, 1], or the
            probabilities of an input do not sum to 1; says how many or by how much.
    """
    probs = prediction.probs
    _must_be_finite("probabilities", probs, (n, None, len(task.targets), len(task.classes)))
    if bad := int(((probs < 0) | (probs > 1 + SUM_TOLERANCE)).sum()):
        raise ValueError(f"{bad} probabilities that are not in [0, 1]")
    if (gap := float((probs.sum(-1) - 1).abs().max())) > SUM_TOLERANCE:
        raise ValueError(f"probabilities that sum to 1 only within {gap:.2g}")
    check_pass(prediction.logits, prediction.features, n, task)
    for name, values in prediction.extras.items():
        _must_be_finite(name, values, (n, *[None] * (values.ndim - 1)))


def check_pass(logits: Tensor | None, features: Tensor | None, n: int, task: Task) -> None:
    """Check logits (N, T, K) and features (N, F) of one deterministic pass over ``n`` inputs.

    Raises:
        ValueError: one is there without the other, a shape is wrong, or a number is not finite.
    """
    if (logits is None) != (features is None):
        raise ValueError("logits without features, or features without logits")
    if logits is not None:
        _must_be_finite("logits", logits, (n, len(task.targets), len(task.classes)))
    if features is not None:
        _must_be_finite("features", features, (n, None))


def _must_be_finite(name: str, values: Tensor, wanted: tuple[int | None, ...]) -> None:
    shape = tuple(values.shape)
    fits = len(shape) == len(wanted) and all(
        size > 0 if other is None else size == other
        for size, other in zip(shape, wanted, strict=True)
    )
    if not fits or values.dtype != torch.float32:
        sizes = ", ".join("any" if size is None else str(size) for size in wanted)
        raise ValueError(f"{name} of shape {shape} and type {values.dtype}, not float32 ({sizes})")
    if bad := int((~values.isfinite()).sum()):
        raise ValueError(f"{bad} {name} that are not finite")


@torch.no_grad()
def run_network(
    method: Method, x: Tensor, *, seed: int, device: torch.device | str = "cpu", batch: int = BATCH
) -> Prediction:
    """Run a fitted method over inputs (N, C, H, W), batch by batch, on ``device``.

    The global generator is set alike before every batch and restored afterwards, so that a
    method draws the same classifiers for each and neither batch size nor order matters.

    Raises:
        MethodError: the method tried to end the process.
    """
    probs: list[Tensor] = []
    passes, extras = [], []
    with isolated(method.name, device):
        for part in x.split(batch):
            inputs = _inputs(part, device)
            torch.manual_seed(seed)
            made = method.answer(inputs)
            probs.append(made.probs.float().cpu())
            passes.append(_on_cpu(made.outputs))
            extras.append({k: v.float().cpu() for k, v in made.extras.items()})
    logits, features = _joined(passes)
    joined = {name: torch.cat([part[name] for part in extras]) for name in extras[0]}
    return Prediction(torch.cat(probs), logits, features, joined)


@torch.no_grad()
def single_pass(
    method: Method, x: Tensor, *, device: torch.device | str = "cpu", batch: int = BATCH
) -> tuple[Tensor | None, Tensor | None]:
    """Return logits (N, T, K) and features (N, F) of one deterministic pass, or None and None."""
    with isolated(method.name, device):
        passes = [
            _on_cpu(method.logits_and_features(_inputs(part, device))) for part in x.split(batch)
        ]
    return _joined(passes)


def _inputs(part: Tensor, device: torch.device | str) -> Tensor:
    """Return inputs as float32 on ``device``, in memory of their own: a method may change them."""
    inputs = as_floats(part.to(device))
    return inputs.clone() if inputs is part else inputs


def _on_cpu(outputs: Outputs | None) -> Outputs | None:
    return None if outputs is None else Outputs(*(values.float().cpu() for values in outputs))


def _joined(passes: Sequence[Outputs | None]) -> tuple[Tensor | None, Tensor | None]:
    outputs = [one for one in passes if one is not None]
    if not outputs:
        return None, None
    logits, features = zip(*outputs, strict=True)
    return torch.cat(logits), torch.cat(features)
