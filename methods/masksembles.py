"""Masksembles: members that share all weights, each with features of its own left out."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from bench.datasets.base import Task

from .base import Outputs
from .members import Members, MembersMethod, Tiled
from .nets import Classifier
from .neural import DeepParams
from .training import Batch, cross_entropy


class Masked(Tiled):
    """Members that multiply the output of block l by their mask m_l, of zeros and ones."""

    def __init__(self, net: Classifier, masks: Tensor) -> None:
        super().__init__(net, masks.shape[1])
        self.masks: Tensor  # (L, M, F)
        self.register_buffer("masks", masks)

    def of_all(self, x: Tensor) -> Tensor:
        each = self.masks.repeat_interleave(len(x), dim=1)
        return self.net.masked(self.repeated(x), each).unflatten(0, (self.size, -1)).transpose(0, 1)

    def of_one_each(self, x: Tensor) -> Tensor:
        """Return logits (n, T, K), each input's by one member: the i-th by member i mod M."""
        which = torch.arange(len(x), device=x.device) % self.size
        return self.net.masked(x, self.masks[:, which])

    def first(self, x: Tensor) -> Outputs:
        last = self.net.last(x, self.masks[:, 0])
        return Outputs(self.net.classify(last), self.net.features(last))


class Masksembles(MembersMethod):
    """M networks of shared weights and fixed masks: p(y|x) = 1/M sum_m softmax f(x; mask_m).

    A mask leaves out features after each block, or channels, the same in training and prediction;
    those that any two masks keep in common shrink as ``scale`` grows. In training each input of a
    batch is seen by one member, in turn, so it costs as much as `standard`. M = 4 and a scale of 2
    are the example of the authors' code; they mask fewer layers.

    Claim of the paper: as well calibrated and as good at telling outliers as deep ensembles, at a
    fraction of their cost (abstract).

    Args:
        size: number M of members.
        scale: positions that masks are drawn from, for each that a mask keeps.
    """

    name = "masksembles"
    source = "Durasov et al. 2021, arXiv:2012.08334"
    tuned = "published"
    claims = (
        {
            "text": "is as well calibrated as an ensemble",
            "metric": "ece",
            "scenario": "clean",
            "than": "ensemble",
            "least": -0.005,
        },
        {"text": "tells outliers as well as an ensemble", "than": "ensemble", "least": -0.01},
    )
    minimum: ClassVar = {"scale": 1}

    def __init__(
        self, *, size: int = 4, scale: float = 2.0, **inherited: Unpack[DeepParams]
    ) -> None:
        super().__init__(size=size, **inherited)
        self.scale = scale

    def build(self, task: Task) -> Members:
        net = self.classifier(task)
        drawn = [masks(self.size, net.shape[0], self.scale) for _ in range(self.blocks)]
        return Masked(net, torch.stack(drawn))

    def loss(self, net: Members, batch: Batch) -> Tensor:
        assert isinstance(net, Masked)
        return cross_entropy(net.of_one_each(batch.x), batch.y)


def masks(size: int, features: int, scale: float) -> Tensor:
    """Draw ``size`` masks of zeros and ones, (M, F), so that each feature is kept by a mask.

    Each mask keeps as many of a larger number of positions, ``scale`` times as many as it keeps;
    positions that none keeps are left out, and so are those beyond F.
    """
    found = features / (1 - (1 - 1 / scale) ** size)  # positions of which as many are kept by some
    positions = max(features, round(found))
    while True:
        ones = max(1, round(positions / scale))
        drawn = torch.zeros(size, positions)
        for row in drawn:
            row[torch.randperm(positions)[:ones]] = 1
        kept = drawn[:, drawn.any(0)]
        if kept.shape[1] >= features:
            return kept[:, :features]
        positions += 1
