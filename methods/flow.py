"""A normalising flow: the exact likelihood of an input, by a chain of invertible maps."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task
from bench.datasets.errors import BenchError

from .generative import LEVELS, Density, Generative

MARGIN = 0.05  # how far from 0 and 1 the logit is taken
SQUEEZES = 2


class Coupling(nn.Module):
    """y = (a, b exp(s(a)) + t(a)) for halves a, b of the channels, after scaling and reordering.

    Args:
        channels: of the maps.
        width: channels of the two hidden layers.
        additive: s is 0, so that volumes do not change.
    """

    order: Tensor

    def __init__(self, channels: int, width: int, *, additive: bool) -> None:
        super().__init__()
        self.additive = additive
        self.first = channels // 2
        outputs = (channels - self.first) * (1 if additive else 2)
        self.register_buffer("order", torch.randperm(channels))
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        last = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.net = nn.Sequential(
            nn.Conv2d(self.first, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 1), nn.ReLU(), last,
        )  # fmt: skip

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return maps of the same shape, and the log of the volume's change (n,)."""
        places = x.shape[2] * x.shape[3]
        x = (x + self.shift) * self.scale.exp()
        log_volume = places * self.scale.sum().expand(len(x))
        a, b = x[:, self.order].tensor_split([self.first], dim=1)
        moved = self.net(a).float()
        if self.additive:
            return torch.cat([a, b + moved], 1), log_volume
        raw, shift = moved.chunk(2, dim=1)
        log_scale = 2 * torch.tanh(raw / 2)
        return torch.cat([a, b * log_scale.exp() + shift], 1), log_volume + log_scale.flatten(
            1
        ).sum(1)


class RealNVP(Density):
    """Bytes, made continuous by uniform noise, to normal numbers z; features are z (n, D).

    Args:
        task: gives the shape of images.
        couplings: number of couplings at each size of maps.
        width: channels of hidden layers.
        additive: volumes change by constants alone, and there is no logit.
    """

    def __init__(self, task: Task, *, couplings: int, width: int, additive: bool) -> None:
        super().__init__()
        self.additive = additive
        self.noise = task.shape
        self.width = math.prod(task.shape)
        channels, height, across = task.shape
        self.levels = nn.ModuleList()
        self.squeezes: list[bool] = []
        for _ in range(SQUEEZES):
            if squeeze := not (height % 2 or across % 2):
                channels, height, across = 4 * channels, height // 2, across // 2
            self.squeezes.append(squeeze)
            self.levels.append(
                nn.ModuleList(
                    Coupling(channels, width, additive=additive) for _ in range(couplings)
                )
            )

    def forward(self, x: Tensor, u: Tensor | None) -> tuple[Tensor, Tensor]:
        middle = torch.full_like(x, 0.5) if u is None else u
        z, log_p = self.transformed((255 * x + middle) / LEVELS)
        normal = -0.5 * (z.square() + math.log(2 * math.pi)).sum(1)
        return normal + log_p - self.width * math.log(LEVELS), z

    def transformed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (n, D) and log |det dz/dx| (n,) of numbers x in (0, 1)."""
        if self.additive:
            z, log_volume = x - 0.5, x.new_zeros(len(x))
        else:
            p = MARGIN + (1 - 2 * MARGIN) * x
            z = torch.logit(p)
            log_volume = (math.log(1 - 2 * MARGIN) - (p * (1 - p)).log()).flatten(1).sum(1)
        for squeeze, level in zip(self.squeezes, self.levels, strict=True):
            z = functional.pixel_unshuffle(z, 2) if squeeze else z
            for coupling in level.children():
                z, change = coupling(z)
                log_volume = log_volume + change
        return z.flatten(1), log_volume


class Flow(Generative):
    """RealNVP: affine couplings at a half and a quarter of the image's size.

    log p(x) = log N(z; 0, 1) + log |det dz/dx|, exact for bytes made continuous by uniform noise,
    whose probability it bounds from below. The noise of an input is drawn from its bytes.

    Claims (Nalisnick et al. 2019, arXiv:1810.09136): trained on Fashion-MNIST it gives MNIST the
    higher likelihood, with ``volume=constant`` too, and by their second-order formula because the
    variance of MNIST's pixels is lower.

    Args:
        couplings: number of couplings at each of the two sizes.
        width: channels of hidden layers.
        volume: "constant" couples by sums alone, so that all inputs share one determinant.
    """

    name = "flow"
    source = "Dinh et al. 2017, arXiv:1605.08803"
    minimum: ClassVar = {"couplings": 1, "width": 1}
    presets: ClassVar = {
        "smoke": {"couplings": 2, "width": 8},
        "paper": {"couplings": 8, "width": 128},
    }

    def __init__(
        self,
        *,
        couplings: int = 4,
        width: int = 32,
        volume: Literal["free", "constant"] = "free",
        **inherited: Any,
    ) -> None:
        super().__init__(**inherited)
        self.couplings = couplings
        self.width = width
        self.volume = volume

    def prepare(self, task: Task) -> str:
        channels, height, across = task.shape
        if channels < 2 and (height % 2 or across % 2):
            raise BenchError(
                f"flow couples the pixels of squares of 2 x 2, and images of {height} x {across} "
                "have none; it takes images of even height and width, or of several channels"
            )
        return ""

    def density(self, task: Task) -> RealNVP:
        return RealNVP(
            task, couplings=self.couplings, width=self.width, additive=self.volume == "constant"
        )
