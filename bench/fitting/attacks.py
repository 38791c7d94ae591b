"""Adversarial inputs, crafted with torchattacks behind a wrapper that cures its faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def fgsm_direction(classifier: nn.Module, x: Tensor, y: Tensor, *, batch: int = 500) -> Tensor:
    """Return the direction in which each pixel raises the loss: -1, 0 or 1, as int8 (N, C, H, W).

    One gradient serves every strength: torchattacks takes a step of 1, clipped to [0, 1], and
    a clipped pixel cannot move that way at any strength, so ``perturbed`` is exact from it.

    Args:
        classifier: a network, images (n, C, H, W) to logits (n, T, K).
        x: float32 inputs in [0, 1]; anything else would be clamped without a word.
        y: labels (N, T).
        batch: inputs to differentiate at a time.

    Raises:
        ValueError: inputs are not float32 in [0, 1].
    """
    import torchattacks  # brings scipy.stats: a second that only attacks need

    if x.dtype != torch.float32 or not bool(((x >= 0) & (x <= 1)).all()):
        raise ValueError("attacks need float32 inputs in [0, 1]")
    parts = []
    with torch.enable_grad(), _modes_kept(classifier):
        attack = torchattacks.FGSM(_ClassesFirst(classifier, x.device), eps=1)
        for one, labels in zip(x.split(batch), y.split(batch), strict=True):
            parts.append((attack(one, labels) - one).sign().to(torch.int8))
    return torch.cat(parts)


def perturbed(x: Tensor, direction: Tensor, eps: float) -> Tensor:
    """Return ``x + eps * direction`` clipped to [0, 1]: FGSM, Goodfellow et al. 2014."""
    return (x + eps * direction).clamp_(0, 1)


class _ClassesFirst(nn.Module):
    """Logits as (n, K, T), the form in which cross entropy takes T targets at once."""

    def __init__(self, classifier: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.classifier = classifier
        # torchattacks reads the device off the first parameter, and `chance` has none.
        self.place = nn.Parameter(torch.zeros((), device=device), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x).transpose(1, 2)


@contextmanager
def _modes_kept(classifier: nn.Module) -> Iterator[None]:
    """Leave every module in the mode it was in, and parameters without gradients."""
    modes = [(module, module.training) for module in classifier.modules()]
    classifier.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        classifier.zero_grad(set_to_none=True)
