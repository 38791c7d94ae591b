"""VBLL: a last layer with a distribution over its weights, learned without drawing any."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from bench.datasets.base import Task
from bench.datasets.errors import BenchError

from .nets import Classifier
from .neural import DeepParams
from .standard import Standard
from .training import Batch


@contextmanager
def unchecked() -> Iterator[None]:
    """Let torch's distributions take their arguments as they are: each check waits for a GPU."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


@cache
def layer() -> Any:
    """Return the package's layer, with the spread of all logits from one product a class.

    Its own makes one a class and input, which takes forty times as long.
    """
    from vbll import DiscClassification
    from vbll.utils.distributions import Normal

    class Layer(DiscClassification):
        def logit_predictive(self, x: Tensor) -> Any:
            weights = self.W()
            variance = (x @ weights.scale_tril).square().sum(-1).mT  # (n, F) to (n, K)
            drawn = Normal(x @ weights.mean.mT, variance.clip(min=1e-12).sqrt())
            return drawn + self.noise()

    return Layer


class Variational(nn.Module):
    """The package's layer for each target: features (n, F) to the means of the logits (n, T K)."""

    def __init__(self, features: int, outputs: tuple[int, int], *, prior_scale: float) -> None:
        super().__init__()
        targets, classes = outputs
        self.layers: Any = nn.ModuleList(
            layer()(features, classes, 0.0, prior_scale=prior_scale) for _ in range(targets)
        )

    def forward(self, h: Tensor) -> Tensor:
        return torch.cat([h.float() @ layer.W_mean.mT for layer in self.layers], dim=1)

    def bound(self, h: Tensor, y: Tensor, n_train: int) -> Tensor:
        """Return minus the evidence bound of an input in nats, mean over a batch and targets."""
        losses = []
        with unchecked(), torch.autocast(h.device.type, enabled=False):
            for layer, labels in zip(self.layers, y.unbind(1), strict=True):
                layer.regularization_weight = 1 / n_train
                losses.append(layer(h.float()).train_loss_fn(labels))
        return torch.stack(losses).mean()

    def drawn(self, h: Tensor, count: int) -> Tensor:
        """Return draws of the logits, (n, count, T, K); the noise is the same for all inputs."""
        draws = []
        for layer in self.layers:
            with unchecked():
                logits = layer.logit_predictive(h)
            noise = torch.randn(count, logits.mean.shape[-1], device=h.device)
            draws.append(logits.mean[:, None] + logits.scale[:, None] * noise)
        return torch.stack(draws, dim=2)


class Vbll(Standard):
    """S draws of the logits from a Gaussian last layer, p(y|x) = 1/S sum_s softmax z_s(x).

    The last layer has a posterior N(w, V) for the weights of each class, V of any form, and noise
    of the logits; a bound of the evidence without draws (Jensen) is maximised, together with all
    other weights, and its KL term has the weight 1 / N. The layer, its prior and its initial
    values are those of the authors' package, `pip install 'bench[vbll]'`. The tag `rivals` leaves
    it out.

    Claim of the paper: better accuracy, calibration and detection of outliers than baselines
    (abstract).

    Args:
        prior_scale: variance of the prior, in units of 2 / F.
        samples: number S of draws.
    """

    name = "vbll"
    source = "Harrison, Willes and Snoek 2024, arXiv:2404.11599"
    asked_for = "a rival with a package of its own: pip install 'bench[vbll]'"
    tuned = "published"
    claims = (
        {"text": "tells outliers better than the one network"},
        {
            "text": "is more accurate than the one network",
            "metric": "accuracy",
            "scenario": "clean",
        },
        {"text": "is better calibrated than the one network", "metric": "ece", "scenario": "clean"},
    )
    predict_only = frozenset({"samples"})
    presets: ClassVar = {"smoke": {"samples": 4}}
    minimum: ClassVar = {"prior_scale": 1e-9, "samples": 1}

    def __init__(
        self, *, prior_scale: float = 1.0, samples: int = 20, **inherited: Unpack[DeepParams]
    ) -> None:
        super().__init__(**inherited)
        self.prior_scale = prior_scale
        self.samples = samples

    def prepare(self, task: Task) -> str:
        if find_spec("vbll") is None:
            raise BenchError("vbll: its package is not installed; pip install 'bench[vbll]'")
        return super().prepare(task)

    def build(self, task: Task) -> Classifier:
        net = self.classifier(task)
        net.head = Variational(net.width, net.outputs, prior_scale=self.prior_scale)
        return net

    def loss(self, net: Classifier, batch: Batch) -> Tensor:
        head: Any = net.head
        last = net.last(batch.x)
        return head.bound(net.features(last), batch.y, batch.n_train)

    def linear_head(self) -> None:
        """Return nothing: the harness solves for the means of the weights."""

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        head: Any = net.head
        last = net.last(x)
        return head.drawn(net.features(last), self.samples).softmax(-1)
