"""Maximum softmax probability after calibration."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from bench.scores.base import Evidence, score
from bench.scores.posthoc import log_rest


def temperature(validation: Evidence) -> float:
    """Return the temperature at which validation inputs are likeliest, from 1/100 to 100."""
    from scipy.optimize import minimize_scalar

    labels = validation.known[..., None]

    def loss(log_temperature: float) -> float:
        log_p = (validation.logits / math.exp(log_temperature)).log_softmax(-1)
        return -log_p.gather(-1, labels).mean().item()

    most = math.log(100)
    found = minimize_scalar(loss, bounds=(-most, most), method="bounded", options={"xatol": 1e-6})
    return math.exp(found.x)


@score(
    label="MSP at the best temperature", source="Guo et al. 2017, arXiv:1706.04599", needs="logits",
    fit=temperature, fit_on="validation", tuned="validation inliers",
    each_target=True,
)  # fmt: skip
def tempered_msp(logits: Tensor, at: float) -> Tensor:
    """One minus the maximum softmax probability at a temperature, in [0, 1); (N, T, K) -> (N,).

    The temperature, one for all targets, is the one of the least negative log-likelihood of the
    validation part.
    """
    return torch.exp(log_rest(logits.double() / at)).amin(-1).mean(-1)
