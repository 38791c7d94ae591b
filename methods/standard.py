"""One network and its softmax: the baseline of every comparison."""

from __future__ import annotations

from bench.datasets.base import Task

from .nets import Classifier
from .neural import DeepMethod


class Standard(DeepMethod[Classifier]):
    """The classifier f of L blocks, trained by cross entropy: eq. 1 without a regulariser."""

    name = "standard"
    source = "arXiv:2106.00769"

    def build(self, task: Task) -> Classifier:
        return self.classifier(task)
