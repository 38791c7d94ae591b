"""Steps that transforms are built from; images are (N, C, H, W), as bytes or float in [0, 1]."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from .base import as_floats

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601; torchvision's weights sum to 0.9999, so white is not


def grey(x: Tensor) -> Tensor:
    """Return one channel: a single one as it is, three as their luma, in [0, 1]."""
    if x.shape[1] == 1:
        return x
    if x.shape[1] != 3:
        raise ValueError(f"images have 1 or 3 channels, not {x.shape[1]}")
    weights = torch.tensor(LUMA, device=x.device)
    return torch.einsum("nchw,c->nhw", as_floats(x), weights).unsqueeze(1)


def colour(x: Tensor) -> Tensor:
    """Return three channels: three as they are, a single one repeated."""
    if x.shape[1] not in (1, 3):
        raise ValueError(f"images have 1 or 3 channels, not {x.shape[1]}")
    return x.expand(-1, 3, -1, -1)


def resize(x: Tensor, height: int, width: int) -> Tensor:
    """Return the images at the given size, antialiased, in [0, 1]; unchanged if they have it."""
    if x.shape[-2:] == (height, width):
        return x
    size = (height, width)
    scaled = functional.interpolate(as_floats(x), size=size, mode="bilinear", antialias=True)
    return scaled.clamp(0, 1)


def pad(x: Tensor, margin: int) -> Tensor:
    """Return the images with ``margin`` black pixels on every side."""
    return functional.pad(x, (margin,) * 4)


def in_chunks(step: Callable[[Tensor], Tensor], x: Tensor, size: int = 4096) -> Tensor:
    """Return ``step(x)``, computed ``size`` images at a time to bound the memory for floats."""
    return torch.cat([step(part) for part in x.split(size)])
