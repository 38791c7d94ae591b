"""Gradient reversal: features that an adversary cannot read a protected attribute from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from datasets.base import Split, Task

from .nets import Classifier
from .neural import DeepMethod, Given
from .training import cross_entropy


class Reversed(torch.autograd.Function):
    """The identity, whose gradient comes back times -strength."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return h.view_as(h)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradient, None


class Contested(nn.Module):
    """A classifier f, and an adversary that reads A binary attributes from its last features."""

    def __init__(self, classifier: Classifier, attributes: int) -> None:
        super().__init__()
        self.classifier = classifier
        width = classifier.shape[0]
        self.adversary = nn.ModuleList(nn.Linear(width, 2) for _ in range(attributes))

    def guess(self, h: Tensor) -> Tensor:
        """Return the adversary's logits (n, A, 2) from features (n, F)."""
        return torch.stack([head(h) for head in self.adversary], dim=1)


class Grad(DeepMethod[Contested]):
    """`standard` trained against a linear adversary for the attributes in ``protect``.

    L = -log p(y|f(x)) - log p(a|adversary(h_L)), where the gradient of the second term reaches
    f times -``strength``: the adversary learns to read a, and f learns to hide it.
    """

    name = "grad"
    source = "Raff and Sylvester 2018, arXiv:1807.00199"
    asked_for = True
    presets: ClassVar = {}

    def __init__(
        self, *, protect: tuple[str, ...] = (), strength: float = 1.0, **inherited: object
    ) -> None:
        super().__init__(**inherited)  # type: ignore[arg-type]
        self.protect = protect
        self.strength = strength

    def build(self, task: Task) -> Contested:
        return Contested(self.classifier(task), len(self.protect))

    def attributes(self) -> tuple[str, ...]:
        return self.protect

    def fit(self, train: Split, val: Split, *, seed: int, given: Given | None = None) -> Self:
        # The loop hands over labels and nothing else, so the attributes travel beside them.
        hidden = [train.attribute(name)[:, None].to(train.y) for name in self.protect]
        return self.fit_net(replace(train, y=torch.cat([train.y, *hidden], dim=1)), seed)

    def loss(self, net: Contested, x: Tensor, y: Tensor, progress: float) -> Tensor:
        targets = y.shape[1] - len(self.protect)
        h = net.classifier.activations(x)[-1]
        total = cross_entropy(net.classifier.classify(h), y[:, :targets])
        if self.protect:
            guess = net.guess(Reversed.apply(net.classifier.features(h), self.strength))
            total = total + cross_entropy(guess, y[:, targets:])
        return total

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net).classifier
