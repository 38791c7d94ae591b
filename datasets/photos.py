"""Patches of the two photographs that come with scikit-learn."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from .base import Raw, as_bytes, as_floats
from .images import grey, resize
from .outliers import Outliers

SIDE = 32
SCALES = (1.0, 0.75, 0.5, 0.25)
FLAT = 0.05  # standard deviation of grey, in [0, 1], below which a patch is taken for blank sky


class Photos(Outliers):
    """32x32 patches of a temple and of a flower, in colour, at four scales; blank ones left out."""

    name = "photos"
    source = "scikit-learn's load_sample_images: china.jpg and flower.jpg (CC BY 2.0)"
    kind = "photo"
    content = frozenset({"photo"})
    embedded = True

    def images(self) -> Raw:
        return _patches()


@cache
def _patches() -> Raw:
    """All patches that show something; the label is the number of the photograph."""
    from sklearn.datasets import load_sample_images  # seconds that a listing does not need

    patches, labels = [], []
    for label, photo in enumerate(load_sample_images().images):
        image = torch.from_numpy(photo.copy()).permute(2, 0, 1).unsqueeze(0)
        for scale in SCALES:
            tiles = _grid(image, scale)
            patches.append(tiles)
            labels.append(torch.full((len(tiles), 1), label))
    x, y = torch.cat(patches), torch.cat(labels)
    shown = as_floats(grey(x)).flatten(1).std(1) >= FLAT
    return Raw(x[shown], y[shown])


def _grid(image: Tensor, scale: float) -> Tensor:
    """Cut the scaled image (1, 3, h, w) into squares that do not overlap; bytes (n, 3, 32, 32)."""
    height, width = (round(scale * side) for side in image.shape[-2:])
    scaled = as_bytes(resize(image, height, width))[0]
    tiles = scaled.unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE)
    return tiles.permute(1, 2, 0, 3, 4).reshape(-1, 3, SIDE, SIDE)
