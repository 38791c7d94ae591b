"""Energy of clipped features."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from bench.scores.base import Evidence, Head, score
from bench.scores.features import energy

SHARE = 0.9  # of all training features that are not clipped, as in the paper


def threshold(training: Evidence) -> tuple[Head, float]:
    """Return the last layer, and the feature that 90 % of the training features do not exceed."""
    return training.head, float(np.quantile(training.features.numpy(), SHARE))


@score(
    label="ReAct", source="Sun et al. 2021, arXiv:2111.12797", needs="features", fit=threshold,
    tuned="published",
)  # fmt: skip
def react(evidence: Evidence, fitted: tuple[Head, float]) -> Tensor:
    """Energy of the logits of features that are clipped from above; (N, F) -> (N,).

    At the 90th percentile of the training features.
    """
    head, most = fitted
    return energy(head(evidence.features.clamp_max(most)))
