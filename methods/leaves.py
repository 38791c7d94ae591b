"""Dead leaves: images of opaque discs and boxes that hide each other, drawn by code.

Matheron 1968; Lee, Mumford & Huang 2001: their edges and sizes are like those of natural images.
They are the auxiliary outliers of `outlier_exposure`, and no source of `bench.datasets`, so that
no scenario can test on them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.datasets.base import generator

NAME = "dead leaves"
SHAPES = 24  # of one image, the last on top
SMALLEST, LARGEST = 1 / 16, 1 / 2  # radius, in sides of the image


def dead_leaves(n: int, shape: tuple[int, int, int]) -> Tensor:
    """Return n images (n, C, H, W), float32 in [0, 1], the same for the same n and shape.

    The background and each of `SHAPES` discs or boxes have a random even colour; radii have a
    density of radius^-3 between `SMALLEST` and `LARGEST`.
    """
    draw = generator("dead leaves", n, *shape)
    channels, height, width = shape
    rows = torch.linspace(0, 1, height)[:, None]
    columns = torch.linspace(0, 1, width)
    images = torch.rand(n, channels, 1, 1, generator=draw).expand(n, *shape).clone()
    for _ in range(SHAPES):
        place, is_disc = torch.rand(2, n, 1, 1, generator=draw), torch.rand(n, generator=draw) < 0.5
        share = torch.rand(n, 1, 1, generator=draw)
        radius = (SMALLEST**-2 + share * (LARGEST**-2 - SMALLEST**-2)) ** -0.5
        across, along = (rows - place[0]).abs(), (columns - place[1]).abs()
        distance = torch.where(
            is_disc[:, None, None], (across**2 + along**2).sqrt(), torch.maximum(across, along)
        )
        colour = torch.rand(n, channels, 1, 1, generator=draw)
        images = torch.where((distance <= radius).unsqueeze(1), colour, images)
    return images
