"""Chance: the same probability for every class of every input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from torch import Tensor, nn

from bench.datasets.base import Split, Task

from .base import Method, State


class Constant(nn.Module):
    """Logits of zero, (n, T, K), for every input."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.outputs = (len(task.targets), len(task.classes))

    def forward(self, x: Tensor) -> Tensor:
        zero = 0 * x.flatten(1).sum(1)  # depends on x, so that attacks find a gradient
        return zero[:, None, None].expand(-1, *self.outputs)


class Chance(Method):
    """Uniform probabilities, for which every AUROC must be 0.5: a check of directions."""

    name = "chance"
    source = "-"
    net: Constant | None = None

    def fit(
        self,
        train: Split,
        val: Split,
        *,
        seed: int,
        prerequisites: Mapping[str, Sequence[Method]] | None = None,
    ) -> Self:
        return self.load_state({}, train.task)

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net)

    def predict_proba(self, x: Tensor) -> Tensor:
        return self.single_classifier()(x).softmax(-1).unsqueeze(1)

    def state(self) -> State:
        self.fitted(self.net)
        return {}

    def load_state(self, state: State, task: Task) -> Self:
        self.net = Constant(task).eval()
        return self
