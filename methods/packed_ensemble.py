"""Packed ensemble: narrow networks side by side, in layers whose groups are the members."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn

from bench.datasets.base import Task
from bench.datasets.errors import BenchError

from .backbones import make_classifier
from .base import Outputs
from .members import Members, MembersMethod, Side, side_by_side
from .nets import Layers
from .neural import DeepParams


class GroupedLinear(nn.Linear):
    """A linear layer without weights between its ``groups``: inputs and outputs in equal parts."""

    def __init__(self, inputs: int, outputs: int, *, groups: int) -> None:
        super().__init__(inputs // groups, outputs)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        parts = x.unflatten(1, (self.groups, -1)).transpose(0, 1)  # (groups, n, inputs of one)
        weight = self.weight.unflatten(0, (self.groups, -1))
        bias = self.bias.unflatten(0, (self.groups, 1, -1))
        return torch.baddbmm(bias, parts, weight.mT).transpose(0, 1).flatten(1)


def grouped_convolution(inputs: int, outputs: int, *, groups: int) -> nn.Conv2d:
    """Return a convolution 3 x 3 that keeps the size of maps, without weights between groups."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, groups=groups)


def with_own_norms(net: nn.Module, groups: int) -> None:
    """Let every norm, over all features of an input, be one for each group, in place."""
    for module in list(net.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.LayerNorm):
                setattr(module, name, nn.GroupNorm(groups, layer.normalized_shape[0]))
            elif isinstance(layer, nn.GroupNorm):
                setattr(module, name, nn.GroupNorm(groups, layer.num_channels))


class Packed(Side):
    """Members that share nothing."""

    def first(self, x: Tensor) -> Outputs:
        logits, features = super().first(x)
        return Outputs(logits, features[:, : features.shape[1] // self.size])


class PackedEnsemble(MembersMethod):
    """M networks of ``alpha`` / M times the width, trained at once: p(y|x) = 1/M sum_m softmax f_m.

    They share no weight and no norm; the layers have M groups. All see the same batches: what
    differs is the initial weights. M = 4, alpha = 2 and gamma = 1 (no groups within a member) are
    the authors' for CIFAR-10. At these, a hidden layer has as many weights as that of `standard`.

    Claim of the paper: as accurate, as well calibrated and as good at telling outliers as an
    ensemble of M whole networks, with the weights of one (abstract).

    Args:
        size: number M of members.
        alpha: width of all members together, in widths of `standard`.
    """

    name = "packed_ensemble"
    source = "Laurent et al. 2023, arXiv:2210.09184"
    tuned = "published"
    claims = (
        {
            "text": "is as accurate as an ensemble",
            "metric": "accuracy",
            "scenario": "clean",
            "than": "ensemble",
            "least": -0.005,
        },
        {"text": "tells outliers as well as an ensemble", "than": "ensemble", "least": -0.01},
    )
    minimum: ClassVar = {"alpha": 0.1}

    def __init__(
        self, *, size: int = 4, alpha: float = 2.0, **inherited: Unpack[DeepParams]
    ) -> None:
        super().__init__(size=size, **inherited)
        self.alpha = alpha

    def prepare(self, task: Task) -> str:
        if self.backbone == "revnet":
            raise BenchError(
                "packed_ensemble: backbone=revnet adds one half of its channels to the other, "
                "which mixes members; take resnet"
            )
        return super().prepare(task)

    def build(self, task: Task) -> Members:
        layers = Layers(
            partial(GroupedLinear, groups=self.size), partial(grouped_convolution, groups=self.size)
        )
        net = make_classifier(
            side_by_side(task, self.size), backbone=self.backbone, blocks=self.blocks,
            width=self._wide(self.width), channels=self._wide(self.channels),
            activation=self.activation, layers=layers,
        )  # fmt: skip
        with_own_norms(net, self.size)
        return Packed(net, self.size)

    def _wide(self, features: int) -> int:
        """Return ``alpha`` times the features, so that each member has an equal, even number."""
        each = round(self.alpha * features / (2 * self.size))
        return 2 * self.size * max(1, each)
