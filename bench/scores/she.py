"""How alike the features are to those of well classified training inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.scores.base import Evidence, Unavailable, score


def patterns(training: Evidence) -> Tensor:
    """Return the mean features of right answers by target and class, (T, K, F).

    Of a class without right answers, the mean features of its training inputs.

    Raises:
        Unavailable: a class has no training input.
    """
    found = []
    for target, labels in enumerate(training.known.T):
        right = training.logits[:, target].argmax(-1) == labels
        for k in range(training.logits.shape[-1]):
            chosen = right & (labels == k)
            if not chosen.any():
                chosen = labels == k
            if not chosen.any():
                raise Unavailable(f"class {k} has no training input")
            found.append(training.features[chosen].mean(0))
    return torch.stack(found).unflatten(0, training.logits.shape[1:])


@score(label="SHE", source="Zhang et al. 2023, ICLR", needs="features", fit=patterns)
def she(evidence: Evidence, stored: Tensor) -> Tensor:
    """Minus the product with the stored pattern of the predicted class; (N, F) -> (N,).

    -<f, m_ŷ>, where m_c is the mean of the features of training inputs that are classified as c,
    and rightly; mean over targets.
    """
    products = torch.einsum("nf,tkf->ntk", evidence.features, stored)
    predicted = evidence.logits.argmax(-1, keepdim=True)
    return -products.gather(-1, predicted)[..., 0].mean(-1)
