"""Evidential deep learning: the network gives a Dirichlet distribution over class probabilities."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

from .nets import Classifier
from .neural import DeepParams
from .standard import Standard
from .training import Batch


class Evidence(nn.Module):
    """Log concentrations log(1 + softplus(z)): their softmax is the mean of the Dirichlet."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.linear = head

    def forward(self, features: Tensor) -> Tensor:
        return functional.softplus(self.linear(features).float()).log1p()


class Evidential(Standard):
    """Class probabilities p ~ Dirichlet(a) with a_k = 1 + softplus(z_k); the prediction is E p.

    L = E |y - p|^2 + w KL(Dirichlet(a~) | Dirichlet(1)), where a~ is a with 1 at the true class and
    w rises from 0 to 1 over the first ``ramp`` of the updates. The authors let it rise over 10
    epochs, which are 0.4 of ours; they write ReLU for softplus. Neither is tuned here.

    The free energy of the logits log a is -log sum a: it ranks as the paper's uncertainty
    K / sum a does.

    Claim of the paper: inputs of unknown classes get a prediction of high entropy (letters against
    MNIST, five classes of CIFAR-10 against the others), at nearly the accuracy of cross entropy.

    Args:
        ramp: share of the updates during which the weight of the divergence rises.
    """

    name = "evidential"
    source = "Sensoy, Kaplan and Kandemir 2018, arXiv:1806.01768"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "by hand"
    claims = (
        {"text": "tells outliers better than cross entropy"},
        {
            "text": "is as accurate as cross entropy",
            "metric": "accuracy",
            "scenario": "clean",
            "least": -0.005,
        },
    )
    minimum: ClassVar = {"ramp": 0}

    def __init__(self, *, ramp: float = 0.4, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(**inherited)
        self.ramp = ramp

    def build(self, task: Task) -> Classifier:
        net = self.classifier(task)
        net.head = Evidence(net.head)
        return net

    def linear_head(self) -> None:
        """Return nothing: the logits are no linear function of the features."""

    def loss(self, net: Classifier, batch: Batch) -> Tensor:
        weight = min(1.0, batch.progress / self.ramp) if self.ramp else 1.0
        return evidential_loss(net(batch.x).exp(), batch.y, weight)


def evidential_loss(alpha: Tensor, y: Tensor, weight: float) -> Tensor:
    """Return E |y - p|^2 + weight KL, mean over inputs and targets; (n, T, K), (n, T) -> ()."""
    label = functional.one_hot(y, alpha.shape[-1])
    total = alpha.sum(-1, keepdim=True)
    mean = alpha / total
    error = (label - mean).square() + mean * (1 - mean) / (total + 1)
    return (error.sum(-1) + weight * divergence(label + (1 - label) * alpha)).mean()


def divergence(alpha: Tensor) -> Tensor:
    """Return KL(Dirichlet(alpha) | Dirichlet(1)) in nats; (..., K) -> (...)."""
    total, classes = alpha.sum(-1), torch.tensor(float(alpha.shape[-1]), device=alpha.device)
    gap = torch.digamma(alpha) - torch.digamma(total).unsqueeze(-1)
    return (
        torch.lgamma(total) - torch.lgamma(classes) - torch.lgamma(alpha).sum(-1)
        + ((alpha - 1) * gap).sum(-1)
    )  # fmt: skip
