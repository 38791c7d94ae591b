"""MIMO: one network that learns to classify several images at once, and votes on one."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from bench.datasets.base import Task

from .members import Members, MembersMethod, Side, side_by_side
from .neural import DeepParams
from .training import Batch, cross_entropy


class Mimo(MembersMethod):
    """M classifiers in one network, which sees M images as the channels of one.

    In training the images are others, one for each of M heads: the batch in M orders. In
    prediction all are the input, and p(y|x) = 1/M sum_m softmax f_m(x, …, x). M = 3 is the
    authors' for ResNet-28-10; they repeat each batch, which here would be further updates.

    Claim of the paper: at the cost of one network, more accurate, likelier and better calibrated
    predictions than its, on corrupted inputs as well (abstract).

    Args:
        size: number M of members.
    """

    name = "mimo"
    source = "Havasi et al. 2021, arXiv:2010.06610"
    tuned = "published"
    claims = (
        {
            "text": "is more accurate than the one network",
            "metric": "accuracy",
            "scenario": "clean",
        },
        {"text": "is likelier than the one network", "metric": "nll", "scenario": "clean"},
        {
            "text": "is more accurate on corrupted inputs",
            "metric": "accuracy",
            "scenario": "corruption",
        },
    )
    presets: ClassVar = {"smoke": {"size": 2}}

    def __init__(self, *, size: int = 3, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(size=size, **inherited)

    def build(self, task: Task) -> Members:
        return Side(self.classifier(side_by_side(task, self.size)), self.size)

    def loss(self, net: Members, batch: Batch) -> Tensor:
        assert isinstance(net, Side)
        n, device = len(batch.x), batch.x.device
        orders = [torch.randperm(n).to(device) for _ in range(self.size)]
        x = torch.cat([batch.x[order] for order in orders], dim=1)
        y = torch.cat([batch.y[order] for order in orders], dim=1)
        return cross_entropy(net.of_each(x).flatten(1, 2), y)
