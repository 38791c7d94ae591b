"""What a method says of a set of inputs, from one pass of its networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.datasets.base import as_floats
from bench.methods.base import Method

BATCH = 500


@dataclass(frozen=True)
class Prediction:
    """What a method says of N inputs, on the CPU.

    Args:
        probs: probabilities (N, S, T, K).
        logits: of the single classifier, (N, T, K), where the method has one.
        scores: uncertainties (N,) computed so far, by name.
    """

    probs: Tensor
    logits: Tensor | None
    scores: dict[str, Tensor] = field(default_factory=dict, compare=False)

    @property
    def by_samples(self) -> Tensor:
        """Probabilities averaged over samples, never logits; float64, (N, T, K)."""
        return self.probs.double().mean(dim=1)

    @property
    def by_single(self) -> Tensor | None:
        """Probabilities of the single classifier; float64, (N, T, K)."""
        return None if self.logits is None else self.logits.double().softmax(dim=-1)


@torch.no_grad()
def run_network(
    method: Method, x: Tensor, *, seed: int, device: torch.device | str = "cpu", batch: int = BATCH
) -> Prediction:
    """Run a fitted method over inputs (N, C, H, W), batch by batch, on ``device``.

    The global generator is set alike before every batch and restored afterwards, so that a
    method draws the same classifiers for each and neither batch size nor order matters.
    """
    probs: list[Tensor] = []
    logits: list[Tensor] = []
    cuda = [torch.device(device)] if torch.device(device).type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        for part in x.split(batch):
            inputs = as_floats(part.to(device))
            torch.manual_seed(seed)
            probs.append(method.predict_proba(inputs).float().cpu())
            single = method.logits_and_features(inputs)
            if single is not None:
                logits.append(single.logits.float().cpu())
    return Prediction(torch.cat(probs), _joined(logits))


@torch.no_grad()
def last_features(
    method: Method, x: Tensor, *, device: torch.device | str = "cpu", batch: int = BATCH
) -> Tensor | None:
    """Return the last hidden features (N, F) of inputs (N, C, H, W), or None: it has none."""
    found = []
    for part in x.split(batch):
        single = method.logits_and_features(as_floats(part.to(device)))
        if single is not None:
            found.append(single.features.float().cpu())
    return _joined(found)


def _joined(parts: Sequence[Tensor]) -> Tensor | None:
    return torch.cat(list(parts)) if parts else None
