"""A snapshot ensemble: one network whose rate rises and falls several times, kept at each low."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import ClassVar, Self, Unpack

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task, derive_seed

from .neural import DeepMethod, DeepParams, Prerequisites
from .phases import epochs_of, joined, parts, started, train_cycle


class Snapshot(DeepMethod[nn.ModuleList]):
    """``size`` snapshots of one training, p(y|x) = 1/S sum_s softmax f_s(x).

    The updates of one `standard` network are cut into ``size`` cycles of the learning rate, and
    the network is kept at the end of each. A cycle rises before it falls, as that of all networks
    here, and AdamW starts anew; the authors start each cycle at the peak, with SGD. Five cycles
    are theirs for 200 epochs. The single classifier is the last snapshot.

    Claim of the paper: at the cost of training one network, the ensemble errs less often than the
    one network does (abstract).

    Args:
        size: number of cycles and of snapshots.
    """

    name = "snapshot"
    source = "Huang et al. 2017, arXiv:1704.00109"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "published"
    claims = (
        {"text": "errs less often than the one network", "metric": "accuracy", "scenario": "clean"},
    )
    presets: ClassVar = {"smoke": {"size": 2}}
    minimum: ClassVar = {"size": 1}

    def __init__(self, *, size: int = 5, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(**inherited)
        self.size = size

    def build(self, task: Task) -> nn.ModuleList:
        return nn.ModuleList(self.classifier(task) for _ in range(self.size))

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        net = started(partial(self.classifier, train.task), train.x.device, seed)
        epochs = parts(epochs_of(self.recipe(), len(train)), self.size)
        snapshots, logs = [], []
        for i, count in enumerate(epochs):
            its_seed = derive_seed(self.name, "cycle", i, seed)
            logs.append(train_cycle(self, net, train, val, epochs=max(1, count), seed=its_seed))
            snapshots.append(deepcopy(net))
        self.net = nn.ModuleList(snapshots)
        self.log = joined(logs)
        return self

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net)[-1]

    def predict_proba(self, x: Tensor) -> Tensor:
        return torch.stack([one(x).softmax(-1) for one in self.fitted(self.net)], dim=1)
