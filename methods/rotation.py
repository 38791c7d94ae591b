"""Rotation prediction: a second head must say by how much an input was turned."""

from __future__ import annotations

from typing import ClassVar, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task
from bench.datasets.errors import BenchError

from .nets import Classifier
from .neural import DeepMethod, DeepParams
from .training import Batch, cross_entropy

TURNS = 4  # quarters of a circle


class Turned(nn.Module):
    """A classifier and a linear head on its features that recognises quarters of a circle."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.turn = nn.Linear(classifier.width, TURNS)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (n, T, K), and those of the turns of all four turned inputs, (4 n, 4)."""
        turned = torch.cat([x.rot90(quarters, (-2, -1)) for quarters in range(TURNS)])
        last = self.classifier.last(turned)
        return self.classifier.classify(last[: len(x)]), self.turn(self.classifier.features(last))

    def turn_loss(self, turns: Tensor) -> Tensor:
        """Return the cross entropy of the turns in nats, mean over the four; (4 n, 4) -> (n,)."""
        n = len(turns) // TURNS
        truth = torch.arange(TURNS, device=turns.device).repeat_interleave(n)
        losses = functional.cross_entropy(turns.float(), truth, reduction="none")
        return losses.unflatten(0, (TURNS, n)).mean(0)


class Rotation(DeepMethod[Turned]):
    """L = CE(f(x), y) + ``weight`` E_r CE(turn(x turned by r), r), r = 0, 90, 180 and 270 degrees.

    A network that must know how an input lies learns more of its shape; where it fails to say so,
    the input is strange. The score `rotation_loss` is this loss less the KL divergence of the
    uniform distribution from the softmax, as in the paper. Inputs must be square. An update sees
    each input four times, and takes as much longer. The weight 0.5 is the authors'.

    Claim of the paper: outliers, near ones as well, are told better than by a network without the
    second head (abstract, section 4), and accuracy stays.

    Args:
        weight: weight of the second term.
    """

    name = "rotation"
    source = "Hendrycks et al. 2019, arXiv:1906.12340"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "published"
    claims = (
        {"text": "tells outliers better than plain training", "score": "rotation_loss"},
        {
            "text": "tells near outliers better than plain training",
            "group": "near",
            "score": "rotation_loss",
        },
    )
    minimum: ClassVar = {"weight": 0}

    def __init__(self, *, weight: float = 0.5, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(**inherited)
        self.weight = weight

    def prepare(self, task: Task) -> str:
        _, height, width = task.shape
        if height != width:
            raise BenchError(
                f"rotation: inputs of {height} x {width} pixels change their shape when turned; "
                "it takes square ones"
            )
        return super().prepare(task)

    def build(self, task: Task) -> Turned:
        return Turned(self.classifier(task))

    def loss(self, net: Turned, batch: Batch) -> Tensor:
        logits, turns = net(batch.x)
        return cross_entropy(logits, batch.y) + self.weight * net.turn_loss(turns).mean()

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net).classifier

    def extras(self, x: Tensor) -> dict[str, Tensor]:
        net = self.fitted(self.net)
        return {"rotation_loss": net.turn_loss(net(x)[1])}
