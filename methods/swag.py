"""SWAG: a Gaussian over all weights, fitted to those that training at a constant rate visits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import ClassVar, Self, Unpack

import torch
from torch import Tensor, nn
from torch.func import functional_call

from bench.datasets.base import Split, Task, derive_seed

from .nets import PLAIN, Classifier, Layers
from .neural import DeepMethod, DeepParams, Prerequisites
from .phases import epochs_of, joined, started, train_at_constant_rate, train_cycle

LEAST_VARIANCE = 1e-30


class Visited(nn.Module):
    """The Gaussian of P weights: a classifier at their mean, and how they spread around it.

    N(mean, 1/2 diag(variance) + 1/(2 (R - 1)) D^T D), D the ``deviations`` (R, P) of the last R
    weights from the mean of those before.
    """

    def __init__(self, classifier: Classifier, rank: int) -> None:
        super().__init__()
        self.classifier = classifier
        size = sum(p.numel() for p in classifier.parameters())
        self.variance: Tensor
        self.deviations: Tensor
        self.register_buffer("variance", torch.zeros(size))
        self.register_buffer("deviations", torch.zeros(rank, size))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x)

    def learn(self, weights: Tensor) -> None:
        """Take mean and spread from the weights (R, P) visited one after another."""
        mean, variance, deviations = moments(weights)
        nn.utils.vector_to_parameters(mean, self.classifier.parameters())
        self.variance, self.deviations = variance, deviations

    def drawn(self, count: int) -> Iterator[dict[str, Tensor]]:
        """Yield ``count`` draws of all weights, by their names."""
        named = dict(self.classifier.named_parameters())
        mean = nn.utils.parameters_to_vector(named.values())
        rank = len(self.deviations)
        for _ in range(count):
            noise = torch.randn_like(self.variance) * (self.variance / 2).sqrt()
            along = torch.randn(rank, device=mean.device) / (2 * max(1, rank - 1)) ** 0.5
            flat = mean + noise + along @ self.deviations
            pieces = flat.split([p.numel() for p in named.values()])
            shaped = (w.view_as(p) for w, p in zip(pieces, named.values(), strict=True))
            yield dict(zip(named, shaped, strict=True))


def moments(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean (P,), variance (P,) and deviations (R, P) of weights (R, P) in their order.

    A deviation is the distance of weights from the mean of all up to them.
    """
    mean = weights.mean(0)
    variance = (weights.square().mean(0) - mean.square()).clamp_min(LEAST_VARIANCE)
    counts = torch.arange(1, len(weights) + 1, device=weights.device).unsqueeze(1)
    return mean, variance, weights - weights.cumsum(0) / counts


class Swag(DeepMethod[Visited]):
    """S draws of all weights from a Gaussian around their mean, p(y|x) = 1/S sum_s softmax f_s(x).

    A network is trained as `standard` is for all but the last ``share`` of the updates, and then
    at ``rate`` times the peak of the learning rate. ``rank`` weights on this way, at equal
    distances, give the mean, a variance for each weight and a covariance of low rank. The updates
    are those of one `standard` network. The authors use SGD, keep weights once an epoch, and
    draw 30 times.

    On the validation part of digits (seed 0, 300 updates) rates of 0.3 and 1 gave a negative log
    likelihood of 0.010 and 0.028, 119 of 120 right with both; nothing else was tried.

    Claim of the paper: calibration and detection of outliers as good as or better than those of
    MC dropout, Laplace and the one network (abstract).

    Args:
        share: share of the updates that are made at the constant rate.
        rate: this rate, relative to the peak of the learning rate.
        rank: number of weights that are kept.
        samples: number S of draws.
    """

    name = "swag"
    source = "Maddox et al. 2019, arXiv:1902.02476"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "by hand"
    claims = (
        {"text": "tells outliers better than the one network"},
        {"text": "is better calibrated than the one network", "metric": "ece", "scenario": "clean"},
    )
    predict_only = frozenset({"samples"})
    presets: ClassVar = {"smoke": {"samples": 4, "rank": 4}}
    minimum: ClassVar = {"share": 0, "rate": 0, "rank": 1, "samples": 1}

    def __init__(
        self,
        *,
        share: float = 0.25,
        rate: float = 0.3,
        rank: int = 20,
        samples: int = 20,
        **inherited: Unpack[DeepParams],
    ) -> None:
        super().__init__(**inherited)
        self.share = share
        self.rate = rate
        self.rank = rank
        self.samples = samples

    def build(self, task: Task) -> Visited:
        return Visited(self._classifier(task), self.rank)

    def _classifier(self, task: Task) -> Classifier:
        # Layers that are not PLAIN itself: revnet then stores activations. It would recompute them
        # with other weights than those that were drawn.
        return self.classifier(task, layers=Layers(*PLAIN))

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        net = started(partial(self._classifier, train.task), train.x.device, seed)
        epochs = epochs_of(self.recipe(), len(train))
        late = min(max(1, round(self.share * epochs)), epochs)
        first = train_cycle(self, net, train, val, epochs=max(1, epochs - late), seed=seed)
        visited: list[Tensor] = []

        def keep(done: int, of: int) -> None:
            if done * self.rank // of > (done - 1) * self.rank // of:
                visited.append(nn.utils.parameters_to_vector(net.parameters()).detach().clone())

        second = train_at_constant_rate(
            self, net, train, val, epochs=late, lr=self.rate * self.recipe().lr,
            seed=derive_seed(self.name, seed), after=keep,
        )  # fmt: skip
        self.net = Visited(net, self.rank).to(train.x.device).eval()
        self.net.learn(torch.stack(visited))
        self.log = joined([first, second])
        return self

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net).classifier

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        passes = [
            functional_call(net.classifier, weights, (x,)).softmax(-1)
            for weights in net.drawn(self.samples)
        ]
        return torch.stack(passes, dim=1)
