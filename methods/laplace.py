"""Last-layer Laplace: a Gaussian over the last layer's weights around those trained."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self, Unpack

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task

from .base import Prerequisite
from .nets import Classifier
from .neural import DeepMethod, DeepParams, Prerequisites, copied, take
from .standard import Standard

PRIOR = (1e-4, 1e4)  # range of the prior precision
ROWS = 1000  # inputs at once


class Posterior(nn.Module):
    """A classifier and the posterior of its last layer, in axes in which it has no correlations.

    Args:
        classifier: its head has the posterior's mean.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        (targets, classes), size = classifier.outputs, classifier.width + 1
        self.inputs: Tensor  # axes of the features and the constant 1, (F + 1, F + 1)
        self.outputs: Tensor  # axes of the logits of each target, (T, K, K)
        self.deviation: Tensor  # of each weight in these axes, (T, F + 1, K)
        self.register_buffer("inputs", torch.eye(size))
        self.register_buffer("outputs", torch.eye(classes).repeat(targets, 1, 1))
        self.register_buffer("deviation", torch.zeros(targets, size, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(x)

    def learn(self, features: Tensor, logits: Tensor) -> None:
        """Fit the posterior to features (N, F) and logits (N, T, K) of the training part."""
        lengths, inputs = torch.linalg.eigh(with_one(features).mT @ with_one(features))
        p = logits.softmax(-1)
        curvature = torch.diag_embed(p.mean(0)) - torch.einsum("ntk,ntl->tkl", p, p) / len(p)
        sizes, outputs = torch.linalg.eigh(curvature)
        hessian = lengths.clamp_min(0)[:, None] * sizes.clamp_min(0)[:, None]  # (T, F + 1, K)
        head: Any = self.classifier.head
        weights = with_one_last(head.weight, head.bias).double()
        squares = weights.unflatten(0, self.classifier.outputs).square().sum((1, 2))
        prior = [prior_precision(h, float(s)) for h, s in zip(hessian, squares, strict=True)]
        precision = torch.stack([h + one for h, one in zip(hessian, prior, strict=True)])
        self.inputs, self.outputs = inputs.float(), outputs.float()
        self.deviation = precision.rsqrt().float()

    def drawn(self, count: int) -> Tensor:
        """Return draws of what is added to the weights and the bias, (count, T, F + 1, K)."""
        noise = torch.randn(count, *self.deviation.shape, device=self.deviation.device)
        return self.inputs @ (noise * self.deviation) @ self.outputs.mT


def with_one(features: Tensor) -> Tensor:
    """Append the constant 1 to features, (N, F) -> (N, F + 1)."""
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)


def with_one_last(weight: Tensor, bias: Tensor) -> Tensor:
    """Append biases (K,) to weights (K, F) -> (K, F + 1)."""
    return torch.cat([weight, bias.unsqueeze(1)], dim=1)


def prior_precision(hessian: Tensor, square: float) -> float:
    """Return the prior precision d of the largest marginal likelihood, within `PRIOR`.

    log p(D|d) = const + 1/2 (P log d - d |w|^2 - sum log(h + d)) for P weights w of curvature h.
    """
    from scipy.optimize import minimize_scalar  # seconds that a listing does not need

    def loss(log_precision: float) -> float:
        precision = math.exp(log_precision)
        volume = hessian.numel() * log_precision - (hessian + precision).log().sum().item()
        return (precision * square - volume) / 2

    bounds = [math.log(end) for end in PRIOR]
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)


class Laplace(DeepMethod[Posterior]):
    """S draws of the last layer's weights, p(y|x) = 1/S sum_s softmax(W_s h(x)).

    The network is the `standard` one of the same seed. The posterior is Gaussian around its
    weights; its covariance is the inverse of the curvature of the loss at the training inputs,
    approximated by a Kronecker product (Ritter et al. 2018), plus the prior's precision, which is
    that of the largest marginal likelihood. This is the authors' recommendation, except that they
    approximate the mean of the softmax in closed form: the score `laplace` does so on any network.

    Claim of the paper: competitive with ensembles and others in calibration and in telling
    outliers, at the cost of the one network, whose accuracy stays (abstract, section 4).

    Args:
        samples: number S of draws.
    """

    name = "laplace"
    source = "Daxberger et al. 2021, arXiv:2106.14806"
    tags: ClassVar = frozenset({"rivals"})
    asked_for = "a rival: --methods rivals runs them"
    tuned = "published"
    claims = (
        {"text": "tells outliers better than the one network"},
        {
            "text": "is as accurate as the one network",
            "metric": "accuracy",
            "scenario": "clean",
            "least": -0.005,
        },
    )
    predict_only = frozenset({"samples"})
    presets: ClassVar = {"smoke": {"samples": 4}}
    minimum: ClassVar = {"samples": 1}

    def __init__(self, *, samples: int = 20, **inherited: Unpack[DeepParams]) -> None:
        super().__init__(**inherited)
        self.samples = samples

    def prerequisites(self, seed: int) -> dict[str, Prerequisite]:
        params = {name: getattr(self, name) for name in Standard.defaults()}
        return {"standard": Prerequisite("standard", (seed,), params)}

    def build(self, task: Task) -> Posterior:
        return Posterior(self.classifier(task))

    @torch.no_grad()
    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        (standard,) = take(self, prerequisites, "standard", 1)
        self.net = Posterior(copied(standard)).to(train.x.device).eval()
        self.log = standard.log
        rows = torch.arange(len(train), device=train.x.device).split(ROWS)
        passes = [self.logits_and_features(train.floats(part)) for part in rows]
        features = torch.cat([one.features for one in passes]).double()
        self.net.learn(features, torch.cat([one.logits for one in passes]).double())
        return self

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net).classifier

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        features = net.classifier.features(net.classifier.last(x))
        logits = net.classifier.head(features).unflatten(-1, net.classifier.outputs)
        added = torch.einsum("nf,stfk->nstk", with_one(features), net.drawn(self.samples))
        return (logits[:, None] + added).softmax(-1)
