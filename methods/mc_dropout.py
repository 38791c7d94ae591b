"""Monte Carlo dropout: every pass of a prediction drops other features."""

from __future__ import annotations

from typing import ClassVar, Self, Unpack

import torch
from torch import Tensor

from bench.datasets.base import Split

from .base import Prerequisite
from .draws import integers
from .dropout import Dropout, DropoutParams
from .neural import Prerequisites, copied, take

POOL = 512  # masks: drawing one for each input and sample would take longer than the network


class McDropout(Dropout):
    """S passes of a `dropout` network, p(y|x) = 1/S sum_s softmax f(x; mask_s).

    The network is that of `dropout` with the same seed. Every input has masks of its own, chosen
    from `POOL` masks by its bytes: masks that all inputs share decide a table by one draw.

    Args:
        samples: number S of passes.
    """

    name = "mc_dropout"
    source = "arXiv:1506.02142"
    predict_only = frozenset({"samples"})
    presets: ClassVar = {"smoke": {"samples": 4}}
    minimum: ClassVar = {"samples": 1}

    def __init__(self, *, samples: int = 20, **inherited: Unpack[DropoutParams]) -> None:
        super().__init__(**inherited)
        self.samples = samples

    def prerequisites(self, seed: int) -> dict[str, Prerequisite]:
        params = {name: getattr(self, name) for name in Dropout.defaults()}
        return {"dropout": Prerequisite("dropout", (seed,), params)}

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        (dropout,) = take(self, prerequisites, "dropout", 1)
        self.net = copied(dropout)
        self.log = dropout.log
        return self

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        masks = net.draw_masks(POOL).to(x.device)
        chosen = integers(x, (self.samples,), POOL)
        passes = [net.masked(x, masks[:, which]).softmax(-1) for which in chosen.unbind(1)]
        return torch.stack(passes, dim=1)
