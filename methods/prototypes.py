"""Prototypes that decode: a class is told by distances to learned codes, which can be drawn."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from bench.datasets.base import Task

from .base import Outputs
from .conv import norm
from .decoders import AUTO, DECODERS, make_decoder, resolve
from .nets import Decoder, squared_error
from .neural import DeepMethod
from .training import Batch, cross_entropy

MAPS = 10  # channels of the paper's code


class PrototypeNet(nn.Module):
    """Codes z (n, D) in [0, 1], squared distances to P prototypes, a linear layer on these.

    Args:
        encoder: images (n, C, H, W) to codes (n, D) before the sigmoid.
        decoder: codes to images.
        codes: number D of values of a code.
        prototypes: number P.
        task: gives the number of targets and classes.
    """

    def __init__(
        self, encoder: nn.Module, decoder: Decoder, *, codes: int, prototypes: int, task: Task
    ) -> None:
        super().__init__()
        self.outputs = (len(task.targets), len(task.classes))
        self.encoder = encoder
        self.decoder = decoder
        self.prototypes = nn.Parameter(torch.rand(prototypes, codes))
        self.head = nn.Linear(prototypes, math.prod(self.outputs), bias=False)

    def encode(self, x: Tensor) -> Tensor:
        """Return codes (n, D) of images (n, C, H, W)."""
        return self.encoder(x).float().sigmoid()

    def distances(self, z: Tensor) -> Tensor:
        """Return squared distances of codes (n, D) to the prototypes, (n, P)."""
        return (z.unsqueeze(1) - self.prototypes).square().sum(-1)

    def classify(self, distances: Tensor) -> Tensor:
        """Return logits (n, T, K) from distances (n, P)."""
        return self.head(distances).unflatten(-1, self.outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.distances(self.encode(x)))


class Prototypes(DeepMethod[PrototypeNet]):
    """Logits are linear in the distances of a code to prototypes, which a decoder draws.

    L = cross entropy + reconstruction |x - g(z)|^2 + near_inputs 1/P sum_j min_i |p_j - z_i|^2
    + near_prototypes 1/n sum_i min_j |p_j - z_i|^2, with i over a batch: every prototype lies near
    some input, and every input near some prototype. The paper weighs each of the three by 0.05 and
    trains for 1500 epochs on digits that were warped; here all methods have one budget.

    Claims of the paper: MNIST's accuracy with 15 prototypes is 99.22 %, that of the same network
    without prototypes 99.24 %, and the prototypes drawn look like digits of all classes.

    Args:
        prototypes: their number P.
        encoder: the paper's four convolutions with stride 2, the last with 10 channels, and norms
            between them (conv), or the ``backbone`` up to its last hidden layer.
        codes: values of a code where the encoder is the backbone; else the paper's 10 maps.
        reconstruction: weight of the squared error of the decoding, summed over pixels.
        near_inputs: weight of the distance of prototypes to the nearest input.
        near_prototypes: weight of the distance of inputs to the nearest prototype.
        decoder: kind of g, see `decnn`; "auto" is mlp.
        decoder_width: size of the decoder.
    """

    name = "prototypes"
    source = "Li, Liu, Chen and Rudin 2018, arXiv:1710.04806"
    tags: ClassVar = frozenset({"neighbours"})
    asked_for = "a neighbour of the paper: --methods neighbours runs them"
    tuned = "published"
    decodes = True
    minimum: ClassVar = {
        "prototypes": 1, "codes": 1, "reconstruction": 0, "near_inputs": 0, "near_prototypes": 0,
        "decoder_width": 1,
    }  # fmt: skip
    presets: ClassVar = {"smoke": {"decoder_width": 32, "prototypes": 6}}

    def __init__(
        self,
        *,
        prototypes: int = 15,
        encoder: Literal["conv", "backbone"] = "conv",
        codes: int = 40,
        reconstruction: float = 0.05,
        near_inputs: float = 0.05,
        near_prototypes: float = 0.05,
        backbone: str = "cnn",
        decoder: str = AUTO,
        decoder_width: int = 512,
        **inherited: Any,
    ) -> None:
        super().__init__(backbone=backbone, **inherited)
        self.prototypes = prototypes
        self.encoder = encoder
        self.codes = codes
        self.reconstruction = reconstruction
        self.near_inputs = near_inputs
        self.near_prototypes = near_prototypes
        self.decoder = decoder
        self.decoder_width = decoder_width

    @classmethod
    def choices(cls, parameter: str) -> tuple[str, ...]:
        known = (AUTO, *DECODERS.names())
        return known if parameter == "decoder" else super().choices(parameter)

    def code_modules(self) -> tuple[str, ...]:
        kind = DECODERS[resolve(self.decoder, on_maps=False)]
        return (*super().code_modules(), kind.module)

    def build(self, task: Task) -> PrototypeNet:
        if self.encoder == "conv":
            encoder, codes = strided(task, self.channels)
        else:
            encoder, codes = self._up_to_features(task), self.codes
        decoder = make_decoder(
            task, decoder=self.decoder, inputs=(codes,), width=self.decoder_width
        )
        return PrototypeNet(encoder, decoder, codes=codes, prototypes=self.prototypes, task=task)

    def _up_to_features(self, task: Task) -> nn.Module:
        f = self.classifier(task)
        f.head, f.outputs = nn.Linear(f.width, self.codes), (1, self.codes)
        return nn.Sequential(f, nn.Flatten())

    def loss(self, net: PrototypeNet, batch: Batch) -> Tensor:
        z = net.encode(batch.x)
        distances = net.distances(z)
        return (
            cross_entropy(net.classify(distances), batch.y)
            + self.reconstruction * squared_error(net.decoder(z), batch.x)
            + self.near_inputs * distances.amin(0).mean()
            + self.near_prototypes * distances.amin(1).mean()
        )

    def logits_and_features(self, x: Tensor) -> Outputs:
        """Return logits (n, T, K), and the distances to the prototypes as features (n, P)."""
        net = self.fitted(self.net)
        distances = net.distances(net.encode(x))
        return Outputs(net.classify(distances), distances)

    def linear_head(self) -> tuple[Tensor, Tensor]:
        weight = self.fitted(self.net).head.weight
        return weight, weight.new_zeros(len(weight))

    def extras(self, x: Tensor) -> dict[str, Tensor]:
        """Return how far x is from the prototypes, how well it is decoded, and as what.

        "prototype_distances" (n, P): squared. "decoding_error" (n, 1): |x - g(z)|^2.
        "decoding_logits" (n, 1, T, K): of the decoding g(z).
        """
        net = self.fitted(self.net)
        z = net.encode(x)
        decoded = net.decoder(z)
        return {
            "prototype_distances": net.distances(z),
            "decoding_error": (decoded - x).square().flatten(1).sum(1, keepdim=True),
            "decoding_logits": net(decoded).unsqueeze(1),
        }

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net)

    @torch.no_grad()
    def drawn(self) -> tuple[Tensor, Tensor]:
        """Return the prototypes as images (P, C, H, W), and each one's logits (P, T, K)."""
        net = self.fitted(self.net)
        return net.decoder(net.prototypes), net.classify(net.distances(net.prototypes))


def strided(task: Task, channels: int) -> tuple[nn.Module, int]:
    """Return the paper's encoder with norms, images to codes (n, D), and D."""
    layers: list[nn.Module] = []
    inputs, height, width = task.shape
    for outputs in (channels, channels, channels, MAPS):
        if min(height, width) > 1:
            layers.append(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1))
            height, width = math.ceil(height / 2), math.ceil(width / 2)
        else:  # oneDNN's bfloat16 gradients of 3 x 3 with stride 2 on one place are not finite
            layers.append(nn.Conv2d(inputs, outputs, 1))
        layers += [norm(outputs), nn.ReLU()]
        inputs = outputs
    encoder = nn.Sequential(*layers[:-2], nn.Flatten())
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return encoder, MAPS * height * width
