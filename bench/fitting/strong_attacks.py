"""Stronger attacks than FGSM on one classifier: projected gradients, and the mean over samples.

They lie beside `attacks` so that FGSM's inputs keep their key. torchattacks makes the steps. Its
EOTPGD is not used: it follows the mean of the samples' losses, and what a method answers with, and
is ranked by, is the mean of their probabilities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.errors import MethodError
from bench.fitting.attacks import _ClassesFirst, _modes_kept
from bench.methods.base import Method

BATCH = 100  # inputs to differentiate at a time: the passes of all samples are kept for it
REACH = 2.5  # steps of PGD add up to this many eps, so that it can leave a corner of the ball
TINY = torch.finfo(torch.float32).tiny


class MeanOfSamples(nn.Module):
    """Log of the mean probabilities of a method, (n, C, H, W) to (n, T, K); differentiable.

    Cross entropy against it is -log p(y|x) of the mean prediction. The generator is set as for a
    prediction, so that the draws attacked are those that x is predicted with. Where an input's
    bytes choose its draws, every step meets others: the expectation over samples.

    Args:
        method: a fitted method.
        seed: of its draws.
    """

    def __init__(self, method: Method, seed: int) -> None:
        super().__init__()
        self.method, self.seed = method, seed

    def forward(self, x: Tensor) -> Tensor:
        torch.manual_seed(self.seed)
        probs = self.method.predict_proba(x)
        if not probs.requires_grad:
            raise MethodError(f"{self.method.name}: predict_proba gives no gradient to attack by")
        return probs.float().mean(dim=1).clamp_min(TINY).log()


def pgd(
    classifier: nn.Module, x: Tensor, y: Tensor, *, eps: float, steps: int, seed: int,
    batch: int = BATCH,
) -> Tensor:  # fmt: skip
    """Return inputs (N, C, H, W) within ``eps`` of ``x`` that raise the loss, in [0, 1].

    x_{i+1} = clip(x_i + 2.5 eps / steps sign(grad loss)) to the ball around x and to [0, 1], from
    a point drawn uniformly from the ball; the last one is returned. Madry et al. 2018.

    Args:
        classifier: a network, images (n, C, H, W) to logits (n, T, K).
        x: float32 inputs in [0, 1]; anything else would be clamped without a word.
        y: labels (N, T).
        eps: largest change of a pixel.
        steps: number of gradients.
        seed: of the points it starts from, set for every batch; the global generator is used.
        batch: inputs to differentiate at a time.

    Raises:
        ValueError: inputs are not float32 in [0, 1].
    """
    import torchattacks  # brings scipy.stats: a second that only attacks need

    if x.dtype != torch.float32 or not bool(((x >= 0) & (x <= 1)).all()):
        raise ValueError("attacks need float32 inputs in [0, 1]")
    wrapped = _ClassesFirst(classifier, x.device)
    attack = torchattacks.PGD(wrapped, eps=eps, alpha=REACH * eps / steps, steps=steps)
    parts = []
    with torch.enable_grad(), _modes_kept(classifier):
        for one, labels in zip(x.split(batch), y.split(batch), strict=True):
            torch.manual_seed(seed)
            parts.append(attack(one, labels))
    return torch.cat(parts)
