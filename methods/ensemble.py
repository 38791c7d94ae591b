"""A deep ensemble: the same network trained from several initialisations."""

from __future__ import annotations

from typing import ClassVar, Self, Unpack

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task, derive_seed

from .base import Prerequisite
from .neural import DeepMethod, DeepParams, Prerequisites, copied, take
from .standard import Standard
from .training_log import summed


class Ensemble(DeepMethod[nn.ModuleList]):
    """``size`` independent `standard` networks, p(y|x) = 1/S sum_s softmax f_s(x).

    The paper trains as many copies as its recursion is deep. Member 0 is the `standard`
    network of the same seed.

    Args:
        size: number of networks.
    """

    name = "ensemble"
    source = "arXiv:1612.01474"
    tuned = "published"
    presets: ClassVar = {"smoke": {"size": 2}}
    minimum: ClassVar = {"size": 1}

    def __init__(self, *, size: int = 8, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(**inherited)
        self.size = size

    def prerequisites(self, seed: int) -> dict[str, Prerequisite]:
        params = {name: getattr(self, name) for name in Standard.defaults()}
        others = (derive_seed(self.name, "member", i, seed) for i in range(1, self.size))
        return {"standard": Prerequisite("standard", (seed, *others), params)}

    def build(self, task: Task) -> nn.ModuleList:
        params = {name: getattr(self, name) for name in Standard.defaults()}
        return nn.ModuleList(Standard(**params).build(task) for _ in range(self.size))

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        members = take(self, prerequisites, "standard", self.size)
        self.net = nn.ModuleList(copied(member) for member in members)
        self.log = summed([member.log for member in members])
        return self

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net)[0]

    def predict_proba(self, x: Tensor) -> Tensor:
        return torch.stack([member(x).softmax(-1) for member in self.fitted(self.net)], dim=1)
