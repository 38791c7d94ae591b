"""One network and its softmax: what every other method is compared with."""

from __future__ import annotations

from bench.datasets.base import Task

from .nets import Classifier
from .neural import DeepMethod


class Standard(DeepMethod[Classifier]):
    """The classifier f of L blocks, trained by cross entropy: eq. 1 with no regulariser."""

    name = "standard"
    source = "arXiv:2106.00769"

    def build(self, task: Task) -> Classifier:
        return self.classifier(task)
