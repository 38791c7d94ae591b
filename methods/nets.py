"""The frame of all networks: classifiers of L blocks, and decoders of their activations.

Sizes: N inputs, S samples, T targets, K classes, L hidden blocks, F features. An activation is
a vector (F,) in an MLP and a map (F, h, w) of F channels in a convolutional net.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Task

Activation = Literal["relu", "gelu"]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
}


MakeLayer = Callable[[int, int], nn.Module]  # from inputs and outputs, features or channels


class Layers(NamedTuple):
    """Constructors of the layers with weights that a network is made of."""

    linear: MakeLayer
    convolution: MakeLayer


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a convolution 3 x 3 that preserves the size of maps."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


PLAIN = Layers(nn.Linear, convolution)


class LinearClassifier(nn.Module):
    """Softmax regression on pixels: images (n, C, H, W) to logits (n, T, K)."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.outputs = (len(task.targets), len(task.classes))
        self.head = nn.Linear(math.prod(task.shape), math.prod(self.outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1)).unflatten(1, self.outputs)


class Drop(nn.Module):
    """Drop features, or whole channels of maps: at random while training, or by given masks."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is None and self.rate and self.training:
            mask = kept(h, self.rate)
        if mask is None:
            return h
        return (h * mask.reshape(*mask.shape, *[1] * (h.dim() - 2))).to(h.dtype)


def kept(h: Tensor, rate: float) -> Tensor:
    """Return a random mask of features or channels, (n, F, …) -> (n, F): 0, or 1 / (1 - rate).

    Sixteen bits decide on each, so that the rate is right to 2^-17. torch's own dropout draws one
    number after the other on a processor, which takes half of the time of training 8 x 256.
    """
    n, features = h.shape[:2]
    words = torch.empty(-(-n * features // 4), dtype=torch.int64, device=h.device)
    bits = words.random_(torch.iinfo(torch.int64).min, None).view(torch.int16)
    dropped = min(round(rate * 2**16), 2**16 - 1)
    mask = bits[: n * features].view(n, features) >= dropped - 2**15
    return mask * (2**16 / (2**16 - dropped))


class Classifier(nn.Module):
    """The classifier f: a stem, L blocks and a head, images (n, C, H, W) to logits (n, T, K).

    Args:
        task: gives the shape of images and the number of targets and classes.
        stem: maps images to the input of the first block.
        blocks: return activations of the same ``shape``, so that these stack and one decoder
            serves all; each takes dropout masks or None.
        shape: of an activation, (F,) or (F, h, w).
        summary: maps last activations to features (n, width), on which the head is linear.
        rate: of dropout.
        layers: constructor of the head.
        width: number of features; that of an activation by default.
    """

    def __init__(
        self,
        task: Task,
        *,
        stem: nn.Module,
        blocks: Iterable[nn.Module],
        shape: tuple[int, ...],
        summary: nn.Module,
        rate: float,
        layers: Layers,
        width: int | None = None,
    ) -> None:
        super().__init__()
        self.outputs = (len(task.targets), len(task.classes))
        self.rate = rate
        self.shape = shape
        self.stem = stem
        self.blocks = nn.ModuleList(blocks)
        self.summary = summary
        self.width = width or shape[0]
        self.head = layers.linear(self.width, math.prod(self.outputs))

    def steps(self, x: Tensor, masks: Tensor | None = None) -> Iterator[Tensor]:
        """Yield the outputs h_1 … h_L of all blocks, (n, F) or (n, F, h, w).

        Args:
            x: images (n, C, H, W).
            masks: of dropout, (L, F) for all inputs alike, or (L, n, F).
        """
        h = self.stem(x)
        for i, block in enumerate(self.blocks):
            h = block(h, None if masks is None else masks[i])
            yield h

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.last(x))

    def last(self, x: Tensor, masks: Tensor | None = None) -> Tensor:
        """Return h_L alone, (n, F) or (n, F, h, w); without gradients, h_1 … are freed on the way.

        Args:
            x: images (n, C, H, W).
            masks: of dropout, see `steps`.
        """
        return deque(self.steps(x, masks), maxlen=1).pop()

    def features(self, h: Tensor) -> Tensor:
        """Return the head's input, (n, width), from last activations (n, F) or (n, F, h, w)."""
        return self.summary(h)

    def classify(self, h: Tensor) -> Tensor:
        """Return logits (n, T, K) from last activations (n, F) or (n, F, h, w)."""
        return self.head(self.features(h)).unflatten(-1, self.outputs)

    def activations(self, x: Tensor) -> Tensor:
        """Return the outputs h_1 … h_L of all blocks, (L, n, F) or (L, n, F, h, w)."""
        return torch.stack(list(self.steps(x)))

    def activation_at(self, x: Tensor, layers: Tensor) -> Tensor:
        """Return the activation of one layer for each input, (n, F) or (n, F, h, w).

        Inputs leave at their layer, so that blocks beyond it do not run for them.
        """
        order = layers.argsort(descending=True, stable=True)
        counts = layers.bincount(minlength=len(self.blocks)).flip(0).cumsum(0).flip(0).tolist()
        h, left = self.blocks[0](self.stem(x), None)[order], []  # of images it would copy more
        for i, (going, staying) in enumerate(zip(counts, [*counts[1:], 0], strict=True)):
            if not going:
                break
            h = self.blocks[i](h[:going], None) if i else h
            left.append(h[staying:])
        return torch.cat(left[::-1])[order.argsort()]

    def draw_masks(self, count: int) -> Tensor:
        """Draw ``count`` dropout masks, (L, count, F), with values 0 and 1 / (1 - rate).

        Drawn on the CPU, so that every device drops the same features.
        """
        keep = torch.rand(len(self.blocks), count, self.shape[0]) >= self.rate
        return keep / (1 - self.rate)

    def masked(self, x: Tensor, masks: Tensor) -> Tensor:
        """Return logits (n, T, K) with dropout masks (L, n, F), or (L, F) for all inputs."""
        return self.classify(self.last(x, masks))


class Decoder(nn.Module):
    """The decoder g: activations (…, *inputs) of any block to images (…, C, H, W) in [0, 1]."""

    def __init__(self, task: Task, *, inputs: tuple[int, ...], layers: nn.Module) -> None:
        super().__init__()
        self.inputs = inputs
        self.shape = task.shape
        self.layers = layers

    def forward(self, h: Tensor) -> Tensor:
        leading = h.shape[: -len(self.inputs)]
        images = self.layers(h.reshape(-1, *self.inputs)).sigmoid()
        return images.reshape(*leading, *self.shape)


class Decodable(nn.Module):
    """A classifier f and the one decoder g that all its blocks share."""

    def __init__(self, classifier: Classifier, decoder: Decoder) -> None:
        super().__init__()
        self.classifier = classifier
        self.decoder = decoder


def pick(activations: Tensor, layers: Tensor) -> Tensor:
    """Return for each input the activation of its own layer: (L, n, …) and (n,) -> (n, …)."""
    n = activations.shape[1]
    rows = layers * n + torch.arange(n, device=activations.device)
    return activations.flatten(0, 1).index_select(0, rows)  # backward: twice as fast as indexing


def squared_error(decoded: Tensor, x: Tensor) -> Tensor:
    """Squared error, sum over pixels and mean over inputs: -log p(x|h) up to constants."""
    wanted = x.expand_as(decoded)
    return functional.mse_loss(decoded.float(), wanted, reduction="sum") / len(x)
