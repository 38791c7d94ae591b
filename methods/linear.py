"""Softmax regression on pixels."""

from __future__ import annotations

from datasets.base import Task

from .nets import LinearClassifier
from .neural import NeuralMethod


class Linear(NeuralMethod[LinearClassifier]):
    """The simplest trained classifier: p(y|x) = softmax(W x + b)."""

    name = "linear"
    source = "-"

    def build(self, task: Task) -> LinearClassifier:
        return LinearClassifier(task)
