"""Weight uncertainty: a distribution over every weight instead of a value."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor

from bench.datasets.base import Task

from .bayes_layers import BayesConvolution, BayesLinear, complexity, drawn_weights
from .nets import Classifier, Layers
from .neural import DeepMethod, DeepParams
from .training import Batch, cross_entropy


class Bayes(DeepMethod[Classifier]):
    """Bayes by backprop, the negative evidence bound over the N training inputs.

    L = -log p(y|f(x; w)) + complexity_cost_weight / N (log q(w) - log p(w)), with w ~ q drawn once
    a batch; a weight of 1 is the bound itself. The gains and shifts of norms stay plain numbers.

    S samples are S draws of all weights, each used on the whole batch.

    Args:
        prior_sigma_1: standard deviation of the prior's first Gaussian.
        prior_sigma_2: standard deviation of its second Gaussian.
        prior_pi: share of the first Gaussian, from 0 to 1.
        posterior_mu_init: initial mean of a weight, before noise.
        posterior_rho_init: initial rho; the standard deviation is log(1 + exp(rho)).
        complexity_cost_weight: weight of the complexity; 1 gives the evidence bound.
        samples: number S of draws.
    """

    name = "bayes"
    source = "arXiv:1505.05424"
    tuned = "published"
    predict_only = frozenset({"samples"})
    presets: ClassVar = {"smoke": {"samples": 4}}
    minimum: ClassVar = {"prior_pi": 0, "complexity_cost_weight": 0, "samples": 1}

    def __init__(
        self,
        *,
        prior_sigma_1: float = 0.1,
        prior_sigma_2: float = 0.4,
        prior_pi: float = 1.0,
        posterior_mu_init: float = 0.0,
        posterior_rho_init: float = -5.0,
        complexity_cost_weight: float = 1.0,
        samples: int = 20,
        **inherited: Unpack[DeepParams],
    ) -> None:
        super().__init__(**inherited)
        self.prior_sigma_1 = prior_sigma_1
        self.prior_sigma_2 = prior_sigma_2
        self.prior_pi = prior_pi
        self.posterior_mu_init = posterior_mu_init
        self.posterior_rho_init = posterior_rho_init
        self.complexity_cost_weight = complexity_cost_weight
        self.samples = samples

    def build(self, task: Task) -> Classifier:
        settings: dict[str, Any] = {
            "prior_sigma_1": self.prior_sigma_1,
            "prior_sigma_2": self.prior_sigma_2,
            "prior_pi": self.prior_pi,
            "posterior_mu_init": self.posterior_mu_init,
            "posterior_rho_init": self.posterior_rho_init,
        }
        layers = Layers(partial(BayesLinear, **settings), partial(BayesConvolution, **settings))
        return self.classifier(task, layers=layers)

    def loss(self, net: Classifier, batch: Batch) -> Tensor:
        with drawn_weights(net):
            error = cross_entropy(net(batch.x), batch.y)
        return error + self.complexity_cost_weight / batch.n_train * complexity(net)

    def linear_head(self) -> tuple[Tensor, Tensor]:
        head: Any = self.fitted(self.net).head
        return head.weight.mu, head.bias.mu

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        with drawn_weights(net):
            passes = [net(x).softmax(-1) for _ in range(self.samples)]
        return torch.stack(passes, dim=1)
