"""Reversible residual blocks, whose inputs are recomputed from their outputs, not stored.

Gomez et al. 2017, arXiv:1707.04585. The memory that training takes for the blocks no longer
grows with their number: of L blocks the last output alone is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bench.datasets.base import Task
from bench.datasets.errors import BenchError

from .conv import Residual, resnet
from .nets import PLAIN, Activation, Classifier, Layers


class ReversibleBlock(nn.Module):
    """Halves of channels take turns: y_1 = x_1 + F(x_2), y_2 = x_2 + G(y_1)."""

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
        for_f, for_g = (None, None) if mask is None else mask.chunk(2)
        y1 = x1 + self.f(x2, for_f)
        y2 = x2 + self.g(y1, for_g)
        return torch.cat([y1, y2], dim=1)

    def undo(self, y: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the input that gave ``y``, and the gradients of it and of the parameters."""
        (y1, y2), (gradient1, gradient2) = y.chunk(2, dim=1), gradient.chunk(2, dim=1)
        x2, gradient1, of_g = _undo(self.g, y1, y2, gradient1, gradient2)
        x1, gradient2, of_f = _undo(self.f, x2, y1, gradient2, gradient1)
        return torch.cat([x1, x2], dim=1), torch.cat([gradient1, gradient2], dim=1), [*of_f, *of_g]


def _undo(
    function: nn.Module,
    kept: Tensor,
    changed: Tensor,
    gradient_kept: Tensor,
    gradient_changed: Tensor,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Undo ``changed = before + function(kept)``.

    Returns ``before``, the gradient of ``kept`` and those of the parameters.
    """
    with torch.enable_grad():
        kept = kept.detach().requires_grad_()
        added = function(kept)
    inputs = [kept, *_learned([function])]
    found, *of_parameters = torch.autograd.grad(added, inputs, gradient_changed.to(added.dtype))
    return changed - added.detach(), gradient_kept + found, of_parameters


def _learned(modules: Sequence[nn.Module]) -> list[nn.Parameter]:
    return [p for module in modules for p in module.parameters() if p.requires_grad]


class Recomputed(torch.autograd.Function):
    """The outputs of all blocks, of which backward is given the last and recomputes the rest."""

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
        found: list[Tensor] = []
        with torch.autocast(ctx.device_type, ctx.autocast, enabled=ctx.autocast is not None):
            for block, own in zip(reversed(ctx.blocks), reversed(gradients), strict=True):
                if own is not None:
                    gradient = gradient + own
                h, gradient, of_parameters = block.undo(h, gradient)
                found = [*of_parameters, *found]
        return None, gradient, *found


class ReversibleClassifier(Classifier):
    """A classifier of reversible blocks.

    It stores activations after all where blocks draw random numbers, as with dropout or
    distributions over weights: recomputed, they would draw others.
    """

    def __init__(self, task: Task, *, rate: float, layers: Layers, **rest: Any) -> None:
        super().__init__(task, rate=rate, layers=layers, **rest)
        self.recomputes = rate == 0 and layers is PLAIN

    def features(self, h: Tensor) -> Tensor:
        return super().features(h.clone())  # else the stack it is part of is stored with it

    def steps(self, x: Tensor, masks: Tensor | None = None) -> Iterator[Tensor]:
        if self.recomputes and masks is None and torch.is_grad_enabled():
            blocks = list(self.blocks)
            yield from Recomputed.apply(blocks, self.stem(x), *_learned(blocks))
        else:
            yield from super().steps(x, masks)


def revnet(task: Task, **settings: Any) -> Classifier:
    """Return a residual classifier that trains in the memory of one block."""
    return resnet(task, block=ReversibleBlock, kind=ReversibleClassifier, **settings)
