"""Several likelihoods of an input, from models that differ by their seeds alone."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task, derive_seed

from .base import Prerequisite
from .generative import Modelled
from .neural import Prerequisites, copied, take
from .training_log import summed
from .vae import VAE


class VAEEnsemble(VAE):
    """``size`` independent `vae` models; an input is strange where these disagree on it.

    The likelihood is the mean of log p_m(x). For the score `waic` its variance over the models is
    taken off, E_m log p_m(x) - Var_m log p_m(x), in nats of the whole input. Member 0, the `vae` of
    the same seed, answers the classes.

    Claim (Choi, Jang and Alemi 2018): trained on Fashion-MNIST, this tells MNIST where the
    likelihood does not.

    Args:
        size: number of models.
    """

    name = "vae_ensemble"
    source = "Choi, Jang and Alemi 2018, arXiv:1810.01392"
    variants: ClassVar = {}
    minimum: ClassVar = {"size": 2}
    presets: ClassVar = {"smoke": {"size": 2}}

    def __init__(self, *, size: int = 5, **inherited: Any) -> None:
        super().__init__(**inherited)
        self.size = size

    def prerequisites(self, seed: int) -> dict[str, Prerequisite]:
        params = {name: getattr(self, name) for name in VAE.defaults()}
        others = (derive_seed(self.name, "member", i, seed) for i in range(1, self.size))
        return {"vae": Prerequisite("vae", (seed, *others), params)}

    def build(self, task: Task) -> Modelled:
        return _together([super(VAEEnsemble, self).build(task) for _ in range(self.size)])

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        members = take(self, prerequisites, "vae", self.size)
        self.net = _together([copied(member) for member in members])
        self.net.mean_bits = torch.stack([one.mean_bits for one in self._members()]).mean()
        self.log = summed([member.log for member in members])
        return self

    def _members(self) -> list[Modelled]:
        net = self.fitted(self.net)
        return [net, *net.get_submodule("others").children()]  # type: ignore[list-item]

    def bits(self, x: Tensor) -> Tensor:
        """Return the mean bits per dimension of the members, (n,)."""
        return self._each(x).mean(1)

    def _each(self, x: Tensor) -> Tensor:
        """Return the bits per dimension of each member, (n, M)."""
        each = [self._finite(self._bits(one.density, x), x) for one in self._members()]
        return torch.stack(each, 1)

    def extras(self, x: Tensor) -> dict[str, Tensor]:
        """Return what `vae` does of the mean, and "waic" (n,), in bits per dimension."""
        each = self._each(x)
        nats = self.fitted(self.net).dimensions * math.log(2)  # of an input with one bit a value
        waic = each.mean(1) + each.double().var(1).mul(nats).float()
        return {**self.compared(each.mean(1), x), "waic": waic}


def _together(members: list[Modelled]) -> Modelled:
    """Return the first member, which holds the others."""
    members[0].add_module("others", nn.ModuleList(members[1:]))
    return members[0]
