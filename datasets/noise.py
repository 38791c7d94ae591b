"""Noise: images of nothing at all."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from .base import Raw, as_bytes, generator
from .outliers import Outliers

EACH = 500
SIDE = 32
BLUR = 2.0  # standard deviation in pixels: blobs about the width of a pen stroke


class Noise(Outliers):
    """500 patches of uniform noise and 500 of blurred Gaussian noise at full contrast, 32x32."""

    name = "noise"
    source = "drawn here; noise as an outlier set follows Hendrycks and Gimpel, arXiv:1610.02136"
    kind = "noise"
    content = frozenset({"noise"})
    embedded = True

    def images(self) -> Raw:
        return _patches()


@cache
def _patches() -> Raw:
    """Both kinds, uniform first; labels 0 and 1."""
    source = generator("noise", "patches")
    uniform = torch.rand(EACH, 1, SIDE, SIDE, generator=source)
    x = as_bytes(torch.cat([uniform, _blobs(source)]))
    return Raw(x, torch.arange(2).repeat_interleave(EACH).unsqueeze(1))


def _blobs(source: torch.Generator) -> Tensor:
    """Blurred Gaussian noise, each patch stretched to [0, 1]."""
    margin = int(3 * BLUR)  # blurred beyond the patch and cut, so that the border is like the rest
    side = SIDE + 2 * margin
    drawn = torch.randn(EACH, 1, side, side, generator=source)
    from torchvision.transforms.v2 import functional

    blurred = functional.gaussian_blur(drawn, [2 * margin + 1] * 2, [BLUR] * 2)
    cut = blurred[..., margin:-margin, margin:-margin]
    low, high = cut.amin((2, 3), keepdim=True), cut.amax((2, 3), keepdim=True)
    return (cut - low) / (high - low)
