"""Mixup: training on mixtures of two inputs, labelled in proportion; RegMixup adds plain inputs."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from .nets import Classifier
from .neural import DeepParams
from .standard import Standard
from .training import Batch, cross_entropy


class Mixup(Standard):
    """`standard` trained on l x + (1 - l) x' with l ~ Beta(alpha, alpha), one l for a batch.

    L = plain CE(f(x), y) + l CE(f(mix), y) + (1 - l) CE(f(mix), y'), where x' is the batch in
    another order. Mixup has plain = 0 and the authors' alpha = 1 for CIFAR-10. RegMixup
    (Pinto et al. 2022, arXiv:2206.14502) has plain = 1 and large alpha, 20 here as in its
    experiments on CIFAR-10. None is tuned here.

    Claims: mixup alone makes networks better calibrated (Thulasidasan et al. 2019,
    arXiv:1905.11001); RegMixup says that it makes them worse at telling outliers apart, and that
    the plain term mends that.

    Args:
        alpha: both parameters of the Beta distribution.
        plain: weight of the cross entropy on plain inputs.
    """

    name = "mixup"
    source = "Zhang et al. 2018, arXiv:1710.09412"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "published"
    claims = (
        {"text": "is better calibrated than plain training", "metric": "ece", "scenario": "clean"},
    )
    variants: ClassVar = {"regmixup": {"alpha": 20.0, "plain": 1.0}}
    minimum: ClassVar = {"alpha": 1e-3, "plain": 0}

    def __init__(
        self, *, alpha: float = 1.0, plain: float = 0.0, **inherited: Unpack[DeepParams]
    ) -> None:
        super().__init__(**inherited)
        self.alpha = alpha
        self.plain = plain

    def loss(self, net: Classifier, batch: Batch) -> Tensor:
        share = torch.distributions.Beta(self.alpha, self.alpha).sample().item()
        order = torch.randperm(len(batch.x)).to(batch.x.device)
        logits = net(share * batch.x + (1 - share) * batch.x[order])
        mixed = share * cross_entropy(logits, batch.y)
        mixed = mixed + (1 - share) * cross_entropy(logits, batch.y[order])
        if not self.plain:
            return mixed
        return mixed + self.plain * cross_entropy(net(batch.x), batch.y)
