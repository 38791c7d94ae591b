"""What layers decode to, and what the network makes of it: images with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from bench.methods.base import Method
from bench.methods.nets import Decodable


class Shown(NamedTuple):
    """An image (C, H, W) and the probabilities (T, K) that the network gives it."""

    image: Tensor
    probs: Tensor


def decodable(method: Method) -> Decodable | None:
    """Return the network of a method that has a decoder."""
    net = getattr(method, "net", None)
    return net if isinstance(net, Decodable) else None


@torch.no_grad()
def decodings(net: Decodable, x: Tensor) -> Tensor:
    """Return g(h_1) … g(h_L) of inputs: (n, C, H, W) -> (L, n, C, H, W)."""
    return net.decoder(net.classifier.activations(x))


@torch.no_grad()
def read(net: Decodable, images: Tensor) -> list[Shown]:
    """Return images (n, C, H, W) with the probabilities that f gives each."""
    probs = net.classifier(images).softmax(-1)
    return [Shown(i.cpu(), p.cpu()) for i, p in zip(images, probs, strict=True)]


def layer_by_layer(net: Decodable, x: Tensor) -> list[Shown]:
    """Return one input (C, H, W) and its decodings g(h_1) … g(h_L)."""
    return read(net, torch.cat([x[None], decodings(net, x[None])[:, 0]]))


def along(net: Decodable, x: Tensor, layers: Sequence[int]) -> list[Shown]:
    """Return one input (C, H, W) and the pictures x_1 … x_D of a path of layers."""
    images = [x]
    for layer in layers:
        images.append(decodings(net, images[-1][None])[layer, 0])
    return read(net, torch.stack(images))
