"""ResNet-18: a larger classifier that other methods are composed with."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

from .base import Outputs
from .neural import NeuralMethod

REDUCTION = 32  # the network halves its input five times


class ResNetClassifier(nn.Module):
    """torchvision's ResNet-18 from images (n, C, H, W) to logits (n, T, K).

    Images too small to be halved five times are enlarged: on one pixel, a bfloat16 convolution
    with stride 2 reads uninitialised memory on a CPU (torch 2.11; observed gradients of 1e34).
    """

    def __init__(self, task: Task) -> None:
        from torchvision.models import resnet18  # seconds that only this method needs

        super().__init__()
        self.outputs = (len(task.targets), len(task.classes))
        self.body = resnet18(weights=None)
        self.body.conv1 = nn.Conv2d(task.shape[0], 64, 7, stride=2, padding=3, bias=False)
        self.head = nn.Linear(self.body.fc.in_features, math.prod(self.outputs))
        self.body.fc = nn.Identity()
        self.body.to(memory_format=torch.channels_last)  # 1.5 times as fast on a CPU

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Return the averaged last feature map (n, 512)."""
        if min(x.shape[-2:]) < REDUCTION:
            x = functional.interpolate(x, size=(REDUCTION, REDUCTION))
        return self.body(x)

    def classify(self, features: Tensor) -> Tensor:
        """Return logits (n, T, K)."""
        return self.head(features).unflatten(-1, self.outputs)


class ResNet18(NeuralMethod[ResNetClassifier]):
    """torchvision's ResNet-18 from random initial weights, for images of any number of channels.

    The classifier m of the paper's table 5; "all" leaves it out.
    """

    name = "resnet18"
    source = "arXiv:1512.03385"
    tuned = "published"
    asked_for = "it serves others as the classifier m of equation 7"
    presets: ClassVar = {
        "smoke": {"min_updates": 5},
        "laptop": {"epochs": 4},
        "paper": {"epochs": 30},
    }

    def build(self, task: Task) -> ResNetClassifier:
        return ResNetClassifier(task)

    def logits_and_features(self, x: Tensor) -> Outputs:
        net = self.fitted(self.net)
        features = net.features(x)
        return Outputs(net.classify(features), features)

    def linear_head(self) -> tuple[Tensor, Tensor]:
        head = self.fitted(self.net).head
        return head.weight, head.bias
