"""A user's network behind the interface of a data set: images in, logits and features out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from bench.datasets.errors import BenchError
from bench.datasets.images import grey, resize

from .base import Outputs
from .checkpoints import Program

MASKS = {
    nn.Dropout: functional.dropout,
    nn.Dropout1d: functional.dropout1d,
    nn.Dropout2d: functional.dropout2d,
    nn.Dropout3d: functional.dropout3d,
}


class Given(nn.Module):
    """Images (n, C, H, W) in [0, 1] to logits (n, T, K) in the order of the data set's classes.

    Args:
        net: the user's network, to logits (n, T * K') or (n, T, K').
        shape: T targets and the network's K' classes.
        order: the place of each of the data set's K classes among those K'.
        mean: subtracted from each channel.
        std: the divisor after that.
        crop: side of the central square that is kept of an image, 0: all of it.
        size: side of the network's input, 0: as the images are.
        channels: channels of the network's input, 0: as the images have.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: nn.Module,
        *,
        shape: tuple[int, int],
        order: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        crop: int,
        size: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.net = net
        self.shape = shape
        self.order = list(order)
        self.crop = crop
        self.size = size
        self.channels = channels
        self.head = ""
        self.takes_output = False
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, x: Tensor, dropout: bool = False) -> Tensor:
        x = self.prepared(x)
        if not dropout:
            return self._ordered(self.net(x), len(x))
        with ExitStack() as hooks:
            for layer in self.dropouts():
                hooks.enter_context(layer.register_forward_hook(_dropped))
            return self._ordered(self.net(x), len(x))

    def outputs(self, x: Tensor) -> Outputs:
        """Return logits and features (n, F) of one pass."""
        x = self.prepared(x)
        if isinstance(self.net, Program):
            logits, features = self.net.with_features(x)
            return Outputs(self._ordered(logits, len(x)), _flat(features))
        seen: list[Tensor] = []
        head = self.net.get_submodule(self.head)
        with _watch(head, seen, output=self.takes_output):
            logits = self._ordered(self.net(x), len(x))
        return Outputs(logits, _flat(seen[-1]))

    def take_features(self, name: str, x: Tensor) -> None:
        """Choose what `outputs` returns as features; ``x`` are images (n, C, H, W) to try.

        They are the output of the module ``name``, or without one the input of the linear layer
        that runs last.

        Raises:
            BenchError: the network has no such module, or no linear layer.
        """
        modules = dict(self.net.named_modules())
        if name and name not in modules:
            known = ", ".join(child for child, _ in self.net.named_children())
            raise BenchError(f"the network has no module '{name}'; it has {known or 'none'}")
        self.takes_output = bool(name)
        self.head = name or _last_linear(self, x)

    def prepared(self, x: Tensor) -> Tensor:
        """Return images as the network takes them."""
        if self.channels == 1:
            x = grey(x)
        elif self.channels == 3:
            x = x.expand(-1, 3, -1, -1)
        if self.crop:
            x = _centre(x, self.crop)
        if self.size:
            x = resize(x, self.size, self.size)
        return (x - self.mean) / self.std

    def dropouts(self) -> list[nn.Module]:
        """Return the layers that drop features in training."""
        return [layer for layer in self.net.modules() if type(layer) in MASKS]

    def _ordered(self, logits: Any, n: int) -> Tensor:
        logits = getattr(logits, "logits", logits)
        if not isinstance(logits, Tensor):
            raise BenchError(f"the network returns {type(logits).__name__}, not a tensor of logits")
        if logits.shape[:1] != (n,):
            shape = "x".join(map(str, logits.shape)) or "one number"
            raise BenchError(f"the network gives {shape} for {n} images, not logits of each")
        targets, classes = self.shape
        if logits.shape[1:].numel() != targets * classes:
            raise BenchError(
                f"the network gives {logits.shape[1:].numel()} logits an image, and the data set "
                f"has {targets * classes} classes; say which are which with classes="
            )
        return logits.reshape(len(logits), targets, classes)[..., self.order]


def _centre(x: Tensor, side: int) -> Tensor:
    """Return the central square (n, C, side, side) of images."""
    top, left = ((length - side) // 2 for length in x.shape[-2:])
    return x[..., top : top + side, left : left + side]


def _last_linear(given: Given, x: Tensor) -> str:
    if isinstance(given.net, Program):
        return "the last linear layer"
    ran: list[str] = []
    with ExitStack() as hooks:
        for name, layer in given.net.named_modules():
            if isinstance(layer, nn.Linear):
                hooks.enter_context(layer.register_forward_hook(_noting(name, ran)))
        given(x)
    if not ran:
        raise BenchError("the network has no linear layer; name a module with features=")
    return ran[-1]


def _noting(name: str, ran: list[str]) -> Callable[..., None]:
    return lambda layer, inputs, output: ran.append(name)


def _watch(layer: nn.Module, seen: list[Tensor], *, output: bool) -> RemovableHandle:
    """Collect the input or the output of a layer while the handle that is returned is open."""
    if output:
        return layer.register_forward_hook(lambda _, inputs, output: seen.append(output))
    return layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))


def _dropped(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Drop features by one mask for the whole batch: a sample is one classifier."""
    drop = MASKS[type(layer)]  # type: ignore[index]
    mask = drop(torch.ones_like(inputs[0][:1]), layer.p, True)  # type: ignore[arg-type]
    return inputs[0] * mask


def _flat(features: Tensor) -> Tensor:
    """Return features (n, F): maps (n, F, h, w) and tokens (n, t, F) are averaged over places."""
    if features.dim() == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.dim() == 3 else features
