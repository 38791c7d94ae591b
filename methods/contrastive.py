"""Contrastive invariance: two corruptions of one image are to have the same features."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Self, Unpack

import torch
from torch import Tensor
from torch.nn import functional

from bench.datasets.base import Split
from bench.datasets.elemental import ELEMENTAL, versions

from .nets import Classifier
from .neural import DeepParams, Prerequisites
from .standard import Standard
from .training import Batch, cross_entropy


class Contrastive(Standard):
    """`standard` on two versions of each image, with features that tell the image, not the version.

    L = 1/2 (CE(f(x), y) + CE(f(x'), y)) + weight NCE, where x' is another version of the image of x
    and NCE the cross entropy of finding the features of x' among those of the other images of the
    batch by their cosine, and the reverse. It needs data with versions, as `composed` gives it;
    without, it is `standard`. The temperature is that of the authors' code; the weight is not
    tuned.

    Claim of the paper: on compositions of corruptions this is only marginally better than cross
    entropy on the same data.

    Args:
        weight: of the contrastive term.
        temperature: of the cosines.
    """

    name = "contrastive"
    source = "Mason et al. 2023, arXiv:2306.09005; after Chen et al. 2020, arXiv:2002.05709"
    tags: ClassVar = frozenset({"neighbours", "compositions"})
    asked_for = "a neighbour of the paper: --methods neighbours runs them"
    tuned = "by hand"
    minimum: ClassVar = {"weight": 0, "temperature": 1e-3}

    def __init__(
        self, *, weight: float = 1.0, temperature: float = 0.15, **inherited: Unpack[DeepParams]
    ) -> None:
        super().__init__(**inherited)
        self.weight = weight
        self.temperature = temperature

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        if versions(train) is None:
            return self.fit_net(train, val, seed)
        return self.fit_net(train, val, seed, partial(self.loss, others=train))

    def loss(self, net: Classifier, batch: Batch, others: Split | None = None) -> Tensor:
        """Return the loss of a batch, (); without ``others``, the versions, cross entropy."""
        if others is None:
            return super().loss(net, batch)
        image, kinds = batch.attributes[:, 1], len(ELEMENTAL) + 1
        drawn = torch.randint(kinds, (len(image),)).to(image.device)
        x = torch.cat([batch.x, others.floats(drawn * (len(others) // kinds) + image)])
        h = net.last(x)
        error = cross_entropy(net.classify(h), batch.y.repeat(2, 1))
        return error + self.weight * nce(net.features(h), image, self.temperature)


def nce(features: Tensor, image: Tensor, temperature: float) -> Tensor:
    """Return the cross entropy of telling the other version of each image, in nats, ().

    Args:
        features: (2 n, F), the second half other versions of the first half's images.
        image: number of each image (n,); the same image is never taken for another one.
        temperature: of the cosines.
    """
    direction = functional.normalize(features.float(), dim=1)
    cosines = direction @ direction.T / temperature
    n, both = len(image), image.repeat(2)
    other = torch.arange(2 * n, device=image.device).roll(n)
    same = both.unsqueeze(1) == both
    same[torch.arange(2 * n), other] = False  # the one to be found stays
    return functional.cross_entropy(cosines.masked_fill(same, -torch.inf), other)
