"""Training inputs changed in ways that leave their labels as they are."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from bench.datasets.base import Harmless


def augmented(x: Tensor, harmless: Harmless) -> Tensor:
    """Return each input (n, C, H, W) flipped or not and moved at random, zeros at the border.

    The draws are from the global generator of the CPU, so that every device makes the same.
    """
    if harmless.flip:
        flips = torch.rand(len(x)).to(x.device) < 0.5
        x = torch.where(flips[:, None, None, None], x.flip(-1), x)
    return _shifted(x, harmless.shift) if harmless.shift else x


def _shifted(x: Tensor, most: int) -> Tensor:
    n, _, height, width = x.shape
    offsets = torch.randint(2 * most + 1, (2, n, 1)).to(x.device)
    padded = functional.pad(x, (most,) * 4).movedim(1, -1)  # (n, H, W, C)
    rows = offsets[0] + torch.arange(height, device=x.device)
    columns = offsets[1] + torch.arange(width, device=x.device)
    inputs = torch.arange(n, device=x.device)[:, None, None]
    return padded[inputs, rows[:, :, None], columns[:, None]].movedim(-1, 1).contiguous()
