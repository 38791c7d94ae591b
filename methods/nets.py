"""The networks: classifiers of L blocks, and the decoder from activations back to inputs.

Sizes: N inputs, S samples, T targets, K classes, L hidden blocks, F features.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from datasets.base import Task

Activation = Literal["relu", "gelu"]
MakeLinear = Callable[[int, int], nn.Module]
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
}


class LinearClassifier(nn.Module):
    """Softmax regression on pixels: images (n, C, H, W) to logits (n, T, K)."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.outputs = (len(task.targets), len(task.classes))
        self.head = nn.Linear(math.prod(task.shape), math.prod(self.outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.flatten(1)).unflatten(1, self.outputs)


class Block(nn.Module):
    """Linear, LayerNorm, nonlinearity and, while training, dropout: (n, inputs) to (n, F)."""

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        activation: Activation = "relu",
        rate: float = 0.0,
        linear: MakeLinear = nn.Linear,
    ) -> None:
        super().__init__()
        self.linear = linear(inputs, width)
        self.norm = nn.LayerNorm(width)
        self.activation = ACTIVATIONS[activation]
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        h = self.activation(self.norm(self.linear(x)))
        return functional.dropout(h, self.rate, self.training) if self.rate else h


class Classifier(nn.Module):
    """The classifier f: L blocks and a linear head, images (n, C, H, W) to logits (n, T, K)."""

    def __init__(
        self,
        task: Task,
        *,
        blocks: int,
        width: int,
        activation: Activation = "relu",
        rate: float = 0.0,
        linear: MakeLinear = nn.Linear,
    ) -> None:
        super().__init__()
        self.outputs = (len(task.targets), len(task.classes))
        self.rate = rate
        self.width = width
        sizes = [math.prod(task.shape)] + [width] * (blocks - 1)
        self.blocks = nn.ModuleList(
            Block(size, width, activation=activation, rate=rate, linear=linear) for size in sizes
        )
        self.head = linear(width, math.prod(self.outputs))

    def forward(self, x: Tensor) -> Tensor:
        h = x.flatten(1)
        for block in self.blocks:
            h = block(h)
        return self.classify(h)

    def classify(self, h: Tensor) -> Tensor:
        """Return logits (n, T, K) from last activations (n, F)."""
        return self.head(h).unflatten(-1, self.outputs)

    def activations(self, x: Tensor) -> Tensor:
        """Return the outputs h_1 … h_L of all blocks, (L, n, F)."""
        found, h = [], x.flatten(1)
        for block in self.blocks:
            h = block(h)
            found.append(h)
        return torch.stack(found)

    def draw_masks(self) -> Tensor:
        """Draw one dropout mask a block, (L, F), with values 0 and 1 / (1 - rate).

        Drawn on the CPU, so that every device drops the same features.
        """
        kept = torch.rand(len(self.blocks), self.width) >= self.rate
        return kept / (1 - self.rate)

    def masked(self, x: Tensor, masks: Tensor) -> Tensor:
        """Return logits (n, T, K) when every input of the batch goes through the same masks."""
        h = x.flatten(1)
        for block, mask in zip(self.blocks, masks.to(x.device), strict=True):
            h = block(h) * mask
        return self.classify(h)


class Decoder(nn.Module):
    """The decoder g: activations (…, F) of any block to images (…, C, H, W) in [0, 1]."""

    def __init__(self, task: Task, *, width: int, hidden: int) -> None:
        super().__init__()
        self.shape = task.shape
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.LayerNorm(hidden),
            nn.ReLU(),
            nn.Linear(hidden, math.prod(task.shape)),
        )

    def forward(self, h: Tensor) -> Tensor:
        return self.layers(h).sigmoid().unflatten(-1, self.shape)


class Decodable(nn.Module):
    """A classifier f and the one decoder g that all its blocks share."""

    def __init__(self, classifier: Classifier, decoder: Decoder) -> None:
        super().__init__()
        self.classifier = classifier
        self.decoder = decoder


def pick(activations: Tensor, layers: Tensor) -> Tensor:
    """Return for each input the activation of its own layer: (L, n, F) and (n,) -> (n, F)."""
    n = activations.shape[1]
    rows = layers * n + torch.arange(n, device=activations.device)
    return activations.flatten(0, 1).index_select(0, rows)  # backward: twice as fast as indexing


def squared_error(decoded: Tensor, x: Tensor) -> Tensor:
    """Squared error summed over pixels and averaged over inputs, up to constants -log p(x|h)."""
    return (decoded.float() - x).square().sum() / len(x)
