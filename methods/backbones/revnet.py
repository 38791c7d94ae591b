"""Reversible residual blocks: the backward pass recomputes their inputs from their outputs.

Gomez et al. 2017, arXiv:1707.04585. Training stores the output of the last block alone, so its
memory does not grow with the number of blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from bench.datasets.base import Task
from bench.datasets.errors import BenchError

from ..conv import Residual
from ..nets import PLAIN, Activation, Classifier, Layers
from . import backbone
from .resnet import resnet


class ReversibleBlock(nn.Module):
    """Two halves of the channels: y_1 = x_1 + F(x_2), y_2 = x_2 + G(y_1)."""

    def __init__(
        self, channels: int, *, activation: Activation, rate: float, layers: Layers
    ) -> None:
        super().__init__()
        if channels % 2:
            raise BenchError(
                f"backbone=revnet: channels={channels} has no halves; take an even number"
            )
        self.f = Residual(channels // 2, activation=activation, rate=rate, layers=layers)
        self.g = Residual(channels // 2, activation=activation, rate=rate, layers=layers)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        for_f, for_g = (None, None) if mask is None else mask.chunk(2, -1)
        y1 = x1 + self.f(x2, for_f)
        y2 = x2 + self.g(y1, for_g)
        return torch.cat([y1, y2], dim=1)

    def undo(self, y: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the input of output ``y``, its gradient, and those of the parameters."""
        (y1, y2), (gradient1, gradient2) = y.chunk(2, dim=1), gradient.chunk(2, dim=1)
        x2, gradient1, of_g = _undo(self.g, y1, y2, gradient1, gradient2)
        x1, gradient2, of_f = _undo(self.f, x2, y1, gradient2, gradient1)
        return torch.cat([x1, x2], dim=1), torch.cat([gradient1, gradient2], dim=1), [*of_f, *of_g]


def _undo(
    function: nn.Module,
    same: Tensor,
    changed: Tensor,
    gradient_same: Tensor,
    gradient_changed: Tensor,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Undo ``changed = before + function(same)``.

    Returns ``before``, the gradient of ``same`` and those of the parameters.
    """
    with torch.enable_grad():
        same = same.detach().requires_grad_()
        added = function(same)
    inputs = [same, *_learned([function])]
    through, *of_parameters = torch.autograd.grad(added, inputs, gradient_changed.to(added.dtype))
    return changed - added.detach(), gradient_same + through, of_parameters


def _learned(modules: Sequence[nn.Module]) -> list[nn.Parameter]:
    return [p for module in modules for p in module.parameters() if p.requires_grad]


class Recomputed(torch.autograd.Function):
    """The outputs of all blocks; the backward pass stores the last and recomputes the others."""

    @staticmethod
    def forward(
        ctx: Any, blocks: Sequence[ReversibleBlock], x: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, ...]:
        outputs = []
        for block in blocks:
            outputs.append(x := block(x))
        ctx.blocks = blocks
        ctx.device_type = x.device.type
        ctx.autocast = (
            torch.get_autocast_dtype(x.device.type)
            if torch.is_autocast_enabled(x.device.type)
            else None
        )
        ctx.save_for_backward(outputs[-1])
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        (h,) = ctx.saved_tensors
        gradient = torch.zeros_like(h)
        of_all: list[Tensor] = []
        with torch.autocast(ctx.device_type, ctx.autocast, enabled=ctx.autocast is not None):
            for block, own in zip(reversed(ctx.blocks), reversed(gradients), strict=True):
                if own is not None:
                    gradient = gradient + own
                h, gradient, of_parameters = block.undo(h, gradient)
                of_all = [*of_parameters, *of_all]
        return None, gradient, *of_all


class ReversibleClassifier(Classifier):
    """A classifier of reversible blocks.

    Blocks that draw random numbers, as with dropout or distributions over weights, would draw
    others when recomputed: their activations are stored. The stem, whose first maps are the
    largest of all, is recomputed as the blocks are.
    """

    def __init__(self, task: Task, *, rate: float, layers: Layers, **rest: Any) -> None:
        super().__init__(task, rate=rate, layers=layers, **rest)
        self.recomputes = rate == 0 and layers is PLAIN

    def features(self, h: Tensor) -> Tensor:
        return super().features(h.clone())  # a view would keep the stack of all activations alive

    def steps(self, x: Tensor, masks: Tensor | None = None) -> Iterator[Tensor]:
        if self.recomputes and masks is None and torch.is_grad_enabled():
            blocks = list(self.blocks)
            h = checkpoint(self.stem, x, use_reentrant=False, preserve_rng_state=False)
            yield from Recomputed.apply(blocks, h, *_learned(blocks))
        else:
            yield from super().steps(x, masks)


@backbone("revnet", on_maps=True)
def revnet(task: Task, **settings: Any) -> Classifier:
    """Return a residual classifier that trains in the memory of one block."""
    return resnet(task, block=ReversibleBlock, kind=ReversibleClassifier, **settings)
