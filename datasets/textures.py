"""Patches of the photographs of brick, grass and gravel that come with scikit-image."""

from __future__ import annotations

from functools import cache

import torch

from .base import Raw
from .outliers import Outliers

SIDE = 32
NAMES = ("brick", "grass", "gravel")


class Textures(Outliers):
    """768 patches of three surfaces, 32x32, grey, that do not overlap.

    `cross_dataset` meets them where they are named alone: a new source would change every table.
    """

    name = "textures"
    source = "scikit-image's data: brick, grass and gravel, from CC0Textures and DeviantArt (CC0)"
    kind = "noise"
    content = frozenset({"texture"})
    embedded = True
    met_unasked = False

    def images(self) -> Raw:
        return _patches()


@cache
def _patches() -> Raw:
    """All patches; the label is the number of the photograph."""
    from skimage import data  # seconds that a listing does not need

    patches = []
    for name in NAMES:
        image = torch.from_numpy(getattr(data, name)().copy())
        tiles = image.unfold(0, SIDE, SIDE).unfold(1, SIDE, SIDE)
        patches.append(tiles.reshape(-1, 1, SIDE, SIDE))
    labels = [torch.full((len(part), 1), k) for k, part in enumerate(patches)]
    return Raw(torch.cat(patches), torch.cat(labels))
