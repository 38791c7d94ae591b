"""DDU: a network that keeps distances between inputs, and the density of its features."""

from __future__ import annotations

from typing import ClassVar, Unpack

from bench.datasets.base import Task

from .nets import Classifier
from .neural import DeepParams
from .spectral import bounded_classifier
from .standard import Standard


class Ddu(Standard):
    """`standard` with layers of bounded stretch, for the score `class_density`.

    The authors bound the largest singular value of every layer but the last by 3, in residual
    networks, so that distances between inputs leave a trace in the features; the density of these,
    one Gaussian a class, tells outliers (score `class_density`), and the entropy of the softmax
    tells ambiguous inputs. Here norms over features follow most layers, as batch norm does there.

    Claim of the paper: on such a network the density of the features tells outliers better than
    DUQ and SNGP do, and as well as a deep ensemble (abstract).

    Args:
        bound: largest singular value of a layer's weights.
    """

    name = "ddu"
    source = "Mukhoti et al. 2023, arXiv:2102.11582"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "published"
    claims = (
        {
            "text": "its density tells outliers better than its entropy",
            "score": "class_density",
            "than": "ddu",
        },
        {
            "text": "its density tells outliers as well as an ensemble",
            "score": "class_density",
            "than": "ensemble",
            "least": -0.01,
        },
    )
    minimum: ClassVar = {"bound": 0}

    def __init__(self, *, bound: float = 3.0, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(**inherited)
        self.bound = bound

    def build(self, task: Task) -> Classifier:
        return bounded_classifier(self, task, self.bound)
