"""Ensembles within one network: M members that are trained at once.

Sizes: n inputs, M members, T targets, K classes, F features.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Unpack

from torch import Tensor, nn

from bench.datasets.base import Task

from .base import Outputs
from .nets import Classifier
from .neural import DeepMethod, DeepParams
from .training import Batch, cross_entropy


class Members(nn.Module):
    """A network of ``size`` members; called, it is the first of them.

    A subclass writes `of_all` and `first`.
    """

    def __init__(self, net: Classifier, size: int) -> None:
        super().__init__()
        self.net = net
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return self.of_all(x)[:, 0]

    def of_all(self, x: Tensor) -> Tensor:
        """Return the logits of all members, (n, M, T, K), for inputs (n, C, H, W)."""
        raise NotImplementedError

    def first(self, x: Tensor) -> Outputs:
        """Return logits (n, T, K) and features (n, F) of the first member."""
        raise NotImplementedError


class Side(Members):
    """Members side by side: they see M images as the channels of one, and give M T targets."""

    def of_all(self, x: Tensor) -> Tensor:
        return self.of_each(x.repeat(1, self.size, 1, 1))

    def of_each(self, x: Tensor) -> Tensor:
        """Return logits (n, M, T, K) where each member has its own image, (n, M C, H, W)."""
        return self.net(x).unflatten(1, (self.size, -1))

    def first(self, x: Tensor) -> Outputs:
        last = self.net.last(x.repeat(1, self.size, 1, 1))
        logits = self.net.classify(last).unflatten(1, (self.size, -1))
        return Outputs(logits[:, 0], self.net.features(last))


def side_by_side(task: Task, size: int) -> Task:
    """Return the task of a `Side`: ``size`` images as channels, and their targets."""
    channels, height, width = task.shape
    shape, targets = (size * channels, height, width), task.targets * size
    return replace(task, shape=shape, targets=targets)


class Tiled(Members):
    """Members one after another: the batch is repeated M times, in the order of the members."""

    def of_all(self, x: Tensor) -> Tensor:
        return self.net(self.repeated(x)).unflatten(0, (self.size, -1)).transpose(0, 1)

    def repeated(self, x: Tensor) -> Tensor:
        """Return inputs (M n, C, H, W): all of the first member's, then of the second's."""
        return x.repeat(self.size, 1, 1, 1)

    def first(self, x: Tensor) -> Outputs:
        last = self.net.last(self.repeated(x))
        return Outputs(self.net.classify(last)[: len(x)], self.net.features(last)[: len(x)])


class MembersMethod(DeepMethod[Members]):
    """A method whose S samples are the members of one network.

    Args:
        size: number of members.
    """

    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    presets: ClassVar = {"smoke": {"size": 2}}
    minimum: ClassVar = {"size": 1}

    def __init__(self, *, size: int = 4, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(**inherited)
        self.size = size

    def loss(self, net: Members, batch: Batch) -> Tensor:
        logits = net.of_all(batch.x)
        return cross_entropy(logits.flatten(1, 2), batch.y.repeat(1, self.size))

    def predict_proba(self, x: Tensor) -> Tensor:
        return self.fitted(self.net).of_all(x).softmax(-1)

    def logits_and_features(self, x: Tensor) -> Outputs:
        return self.fitted(self.net).first(x)

    def linear_head(self) -> None:
        """Return nothing: the head has the rows of all members; the harness solves for one."""
