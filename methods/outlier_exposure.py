"""Outlier exposure: training that asks for the uniform distribution on auxiliary outliers."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Self, Unpack

import torch
from torch import Tensor

from bench.datasets.base import Split

from .leaves import NAME, dead_leaves
from .nets import Classifier
from .neural import DeepParams, Prerequisites
from .standard import Standard
from .training import Batch, cross_entropy


class OutlierExposure(Standard):
    """L = CE(f(x), y) + ``weight`` E_k CE(f(o), k), o from auxiliary outliers: `dead leaves`.

    The outliers are images of discs and boxes drawn by code at the size of the inputs, which are
    no source that a scenario tests on (`methods/leaves.py`). Each batch has as many of them as
    inputs. The weight 0.5 is the authors'; they take 80 million photographs for outliers, two for
    each input, and continue the training of a network.

    Claim of the paper: outliers of other kinds than those exposed to are told far better than by
    the one network, and accuracy stays (abstract, table 1).

    Args:
        weight: weight of the second term.
        outliers: number of auxiliary outliers.
    """

    name = "outlier_exposure"
    source = "Hendrycks, Mazeika and Dietterich 2019, arXiv:1812.04606"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "published"
    claims = (
        {"text": "tells outliers better than plain training"},
        {
            "text": "is as accurate as plain training",
            "metric": "accuracy",
            "scenario": "clean",
            "least": -0.005,
        },
    )
    auxiliary: ClassVar = NAME
    presets: ClassVar = {"smoke": {"outliers": 100}}
    minimum: ClassVar = {"weight": 0, "outliers": 1}

    def __init__(
        self, *, weight: float = 0.5, outliers: int = 5000, **inherited: Unpack[DeepParams]
    ) -> None:
        super().__init__(**inherited)
        self.weight = weight
        self.outliers = outliers

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        shown = dead_leaves(self.outliers, train.task.shape).to(train.x.device)
        return self.fit_net(train, val, seed, partial(self.loss, shown=shown))

    def loss(self, net: Classifier, batch: Batch, shown: Tensor | None = None) -> Tensor:
        """Return the loss of a batch, ().

        Args:
            net: the classifier.
            batch: inputs with labels.
            shown: auxiliary outliers (m, C, H, W), of which each batch takes some at random.
        """
        if shown is None:
            return super().loss(net, batch)
        n = len(batch.x)
        rows = torch.randint(len(shown), (n,)).to(batch.x.device)
        logits = net(torch.cat([batch.x, shown[rows]]))
        log_p = logits[n:].float().log_softmax(-1)
        return cross_entropy(logits[:n], batch.y) - self.weight * log_p.mean()
