"""T2FNorm: features of constant length in training alone."""

from __future__ import annotations

from typing import ClassVar, Unpack, cast

from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

from .nets import Classifier
from .neural import DeepParams
from .standard import Standard


class LengthBlind(nn.Module):
    """A linear layer W h / (tau |h|) + b, which does not see the length of the features h."""

    def __init__(self, head: nn.Module, tau: float) -> None:
        super().__init__()
        self.linear = head
        self.tau = tau

    def forward(self, h: Tensor) -> Tensor:
        return self.linear(functional.normalize(h.float(), dim=-1) / self.tau)

    def with_length(self, h: Tensor) -> Tensor:
        """Return W h / tau + b."""
        return self.linear(h / self.tau)


class T2FNorm(Standard):
    """`standard` trained on h / (tau |h|), h its features; uncertainty is that of W h / tau + b.

    Accuracy, calibration and the scores from logits are those of the network as it was trained;
    its sample, which ranks inputs, takes the features with their length, as the authors' scores
    do. tau = 0.1 is theirs. Our last layer norm leaves features little freedom in their length.

    Claim of the paper: outliers are told far better than after cross entropy, and accuracy stays
    (abstract).

    Args:
        tau: factor of the length of the features in training.
    """

    name = "t2fnorm"
    source = "Regmi et al. 2023, arXiv:2305.17797"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "published"
    claims = (
        {"text": "lets fewer outliers pass than cross entropy", "metric": "fpr95_id"},
        {
            "text": "is as accurate as cross entropy",
            "metric": "accuracy",
            "scenario": "clean",
            "least": -0.005,
        },
    )
    point_prediction = "single"
    minimum: ClassVar = {"tau": 1e-3}

    def __init__(self, *, tau: float = 0.1, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(**inherited)
        self.tau = tau

    def build(self, task: Task) -> Classifier:
        net = self.classifier(task)
        net.head = LengthBlind(net.head, self.tau)
        return net

    def linear_head(self) -> None:
        """Return nothing: the logits are no linear function of the features."""

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        features = net.features(net.last(x))
        logits = cast(LengthBlind, net.head).with_length(features).unflatten(-1, net.outputs)
        return logits.softmax(-1).unsqueeze(1)
