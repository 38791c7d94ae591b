"""How unlike a prediction is to the usual ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.scores.base import Evidence, score


def usual(training: Evidence) -> list[Tensor]:
    """Return the log of the mean prediction for each class that is predicted, T times (C, K)."""
    found = []
    for logits in training.logits.unbind(1):
        log_p, predicted = logits.log_softmax(-1), logits.argmax(-1)
        groups = [log_p[predicted == k] for k in predicted.unique()]
        means = [group.logsumexp(0) - math.log(len(group)) for group in groups]
        found.append(torch.stack(means))
    return found


@score(
    label="KL matching", source="Hendrycks et al. 2022, arXiv:1911.11132", needs="logits", fit=usual
)
def kl_matching(logits: Tensor, log_usual: list[Tensor]) -> Tensor:
    """Divergence from the nearest usual prediction, in nats; (N, T, K) -> (N,).

    min_c KL(p | d_c), with d_c the mean prediction for training inputs that are classified as c;
    mean over targets. The paper takes the d_c from validation inputs.
    """
    log_p = logits.double().log_softmax(-1)
    p = log_p.exp()
    negentropy = -torch.special.entr(p).sum(-1)
    nearest = [
        (negentropy[:, t, None] - p[:, t] @ log_d.T).amin(1) for t, log_d in enumerate(log_usual)
    ]
    return torch.stack(nearest).mean(0)
