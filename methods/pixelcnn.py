"""A gated PixelCNN: the likelihood of an input, pixel after pixel."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

from .generative import Density, Generative, discretised_logistic

PARTS = 3  # weight, mean and scale of each logistic


class Layer(nn.Module):
    """One layer of two stacks: rows above, and pixels to the left in the same row.

    Args:
        width: channels of each stack.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = nn.Conv2d(width, 2 * width, (2, 3), padding=(0, 1))
        self.left = nn.Conv2d(width, 2 * width, (1, 2))
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return both stacks (n, F, H, W); none looks below or to the right of its own place."""
        above = self.rows(functional.pad(v, (0, 0, 1, 0)))
        beside = self.left(functional.pad(h, (1, 0, 0, 0))) + self.link(above)
        return gated(above), h + self.out(gated(beside))


def gated(x: Tensor) -> Tensor:
    """Return tanh of half of the channels times the logistic function of the others."""
    a, b = x.chunk(2, dim=1)
    return a.tanh() * b.sigmoid()


class Pixels(Density):
    """Each pixel's logistic mixture, given the rows above and the pixels to the left.

    The channels of one pixel are independent given these. Features are means over places (n, F).

    Args:
        task: gives the number of channels.
        layers: number of gated layers.
        width: channels of each stack.
        mixture: number of logistic densities of each value.
    """

    def __init__(self, task: Task, *, layers: int, width: int, mixture: int) -> None:
        super().__init__()
        channels = task.shape[0]
        self.mixture = mixture
        self.width = width
        self.first = nn.Conv2d(channels, width, (1, 3), padding=(0, 1))
        self.beside = nn.Conv2d(channels, width, 1)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.read = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(),
            nn.Conv2d(width, PARTS * mixture * channels, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, u: Tensor | None) -> tuple[Tensor, Tensor]:
        centred = x - 0.5
        v = self.first(functional.pad(centred, (0, 0, 1, 0))[:, :, :-1])  # the row above
        h = self.beside(functional.pad(centred, (1, 0, 0, 0))[..., :-1])  # the pixel to the left
        for layer in self.layers:
            v, h = layer(v, h)
        parts = self.read(h).float().unflatten(1, (PARTS, self.mixture, x.shape[1]))
        weight, mean, log_scale = parts.unbind(1)  # (n, mixture, C, H, W) each
        each = discretised_logistic(x.unsqueeze(1), mean + 0.5, (log_scale - 3).clamp(-7, 3))
        log_p = (weight.log_softmax(1) + each).logsumexp(1)
        return log_p.flatten(1).sum(1), h.float().mean((2, 3))


class PixelCNN(Generative):
    """p(x) = prod_i p(x_i | x_1 … x_(i-1)), pixels in rows; exact, in a single pass.

    Gated layers as in the source, logistic mixtures as in PixelCNN++ (Salimans et al. 2017,
    arXiv:1701.05517), without its shortcuts and downsampling.

    Claim (Nalisnick et al. 2019, arXiv:1810.09136): trained on Fashion-MNIST it gives MNIST the
    higher likelihood.

    Args:
        layers: number of gated layers; each sees one pixel farther.
        width: channels of each of the two stacks.
        mixture: logistic densities of each value.
    """

    name = "pixelcnn"
    source = "van den Oord et al. 2016, arXiv:1606.05328"
    minimum: ClassVar = {"layers": 0, "width": 1, "mixture": 1}
    presets: ClassVar = {
        "smoke": {"layers": 1, "width": 8, "mixture": 2},
        "paper": {"layers": 12, "width": 64, "mixture": 10},
    }

    def __init__(
        self, *, layers: int = 5, width: int = 24, mixture: int = 5, **inherited: Any
    ) -> None:
        super().__init__(**inherited)
        self.layers = layers
        self.width = width
        self.mixture = mixture

    def density(self, task: Task) -> Pixels:
        return Pixels(task, layers=self.layers, width=self.width, mixture=self.mixture)
