"""What methods that model the inputs themselves share: a density, and a linear head beside it.

The likelihood is of bytes: 2^(-D b) is the probability of the D values of an input, each one of
256, and b its bits per dimension.
"""

from __future__ import annotations

import io
import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task, as_bytes
from bench.datasets.errors import BenchError

from .base import Answer, Outputs
from .draws import integers
from .neural import NeuralMethod, Prerequisites
from .training import Batch, cross_entropy, seeded, threads_for

LEVELS = 256  # values of a byte
STEPS = 2**24  # different random numbers of an input
TYPICAL = 2000  # training inputs whose mean likelihood is kept
AT_ONCE = 100  # of these


class Density(nn.Module):
    """A model of inputs: log probabilities of bytes in nats (n,), and features (n, F).

    ``noise`` is the shape of the uniform numbers that it takes for each input, if any. It is
    called with images in [0, 1] and these numbers, or with None for what needs no chance: the
    middle of each byte, the mean code.
    """

    noise: tuple[int, ...] = ()
    width: int  # number F of features

    def forward(self, x: Tensor, u: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return log p(x) in nats (n,) and features (n, F)."""
        raise NotImplementedError


class Modelled(nn.Module):
    """A density, perhaps one of the background, and a linear head on the density's features."""

    mean_bits: Tensor

    def __init__(self, task: Task, density: Density, background: Density | None) -> None:
        super().__init__()
        self.outputs = (len(task.targets), len(task.classes))
        self.dimensions = math.prod(task.shape)
        self.density = density
        self.background = background
        self.norm = nn.LayerNorm(density.width)
        self.head = nn.Linear(density.width, math.prod(self.outputs))
        self.register_buffer("mean_bits", torch.zeros(()))

    def features(self, raw: Tensor) -> Tensor:
        """Return the head's input (n, F), of mean 0 and variance 1 over the features."""
        return self.norm(raw.float())

    def classify(self, features: Tensor) -> Tensor:
        """Return logits (n, T, K) of features (n, F)."""
        return self.head(features).unflatten(-1, self.outputs)

    def bits(self, log_p: Tensor) -> Tensor:
        """Return bits per dimension from log probabilities of bytes in nats."""
        return -log_p.double().div(self.dimensions * math.log(2)).float()

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(self.density(x, None)[1]))


class Generative(NeuralMethod[Modelled]):
    """A method that models the inputs; a subclass writes `density`.

    Class probabilities are those of a linear layer on normalised features of the density, which
    learns beside it and does not change it. The uncertainty of interest is the likelihood, under
    the scores `likelihood`, `complexity_corrected`, `likelihood_ratio` and `atypicality`.

    Args:
        background: share of values that are replaced by uniform bytes for a second density, of the
            background, which likelihood ratios need; 0: none is trained.
        epochs: see `standard`; a pass takes far longer than that of a classifier.
    """

    tags: ClassVar = frozenset({"neighbours", "likelihoods"})
    asked_for = "a neighbour of the paper: --methods neighbours runs them"
    tuned = "by hand"
    minimum: ClassVar = {"background": 0}
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ratio": {"background": 0.1}}

    def __init__(self, *, background: float = 0.0, epochs: int = 6, **inherited: Any) -> None:
        super().__init__(epochs=epochs, **inherited)
        self.background = background

    @abstractmethod
    def density(self, task: Task) -> Density:
        """Return an untrained density of the task's inputs."""

    def build(self, task: Task) -> Modelled:
        other = self.density(task) if self.background else None
        net = Modelled(task, self.density(task), other)
        # Convolutions take from a half to three quarters of the time on a CPU.
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(self, net: Modelled, batch: Batch) -> Tensor:
        """Return nats per dimension plus the cross entropy of the head, which only looks on, ()."""
        log_p, raw = net.density(batch.x, chance(batch.x, net.density.noise))
        nats = -log_p.mean() / net.dimensions
        if net.background is not None:
            x = mutated(batch.x, self.background)
            other, _ = net.background(x, chance(x, net.background.noise))
            nats = nats - other.mean() / net.dimensions
        return nats + cross_entropy(net.classify(net.features(raw.detach())), batch.y)

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        self.fit_net(train, val, seed)
        net, device = self.fitted(self.net), train.x.device
        rows = torch.linspace(0, len(train) - 1, min(TYPICAL, len(train))).long().to(device)
        with torch.no_grad(), threads_for(AT_ONCE), seeded(device, "typical", seed):
            bits = [self._bits(net.density, train.floats(part)) for part in rows.split(AT_ONCE)]
            net.mean_bits.copy_(torch.cat(bits).mean())
        return self

    def bits(self, x: Tensor) -> Tensor:
        """Return bits per dimension (n,); what is random belongs to an input.

        Raises:
            BenchError: one is not finite; names its input.
        """
        return self._finite(self._bits(self.fitted(self.net).density, x), x)

    def noise(self, density: Density) -> tuple[int, ...]:
        """Return the shape of the uniform numbers that an input has in prediction."""
        return density.noise

    def _bits(self, density: Density, x: Tensor) -> Tensor:
        log_p, _ = density(x, uniform(x, self.noise(density)))
        return self.fitted(self.net).bits(log_p)

    def _finite(self, bits: Tensor, x: Tensor) -> Tensor:
        bad = (~bits.detach().isfinite()).nonzero()[:, 0].tolist()
        if bad:
            first, values = bad[0], x[bad[0]].detach()
            raise BenchError(
                f"{self.name}: the likelihood of input {first} of a batch of {len(x)} is "
                f"{float(-bits.detach()[first])} ({len(bad)} in all; its pixels go from "
                f"{float(values.min()):g} to {float(values.max()):g}); train with a lower lr or "
                "precision=float32"
            )
        return bits

    def extras(self, x: Tensor) -> dict[str, Tensor]:
        """Return likelihoods and what they are compared with, in bits per dimension, each (n,).

        "bits_per_dim": -1/D log2 p(x). "png_bits": of x as a PNG file. "typicality": |bits - their
        mean over the training part|. "background_bits": of the density of the background.
        """
        return self.compared(self.bits(x), x)

    def compared(self, bits: Tensor, x: Tensor) -> dict[str, Tensor]:
        """Return the evidence of `extras` from the bits of inputs, (n,)."""
        net = self.fitted(self.net)
        found = {
            "bits_per_dim": bits,
            "png_bits": png_bits(x),
            "typicality": (bits - net.mean_bits).abs(),
        }
        if net.background is not None:
            found["background_bits"] = self._finite(self._bits(net.background, x), x)
        return found

    def logits_and_features(self, x: Tensor) -> Outputs:
        net = self.fitted(self.net)
        features = net.features(net.density(x, None)[1])
        return Outputs(net.classify(features), features)

    def answer(self, x: Tensor) -> Answer:
        """Return it from two passes, one of them without chance."""
        outputs = self.logits_and_features(x)
        return Answer(outputs.logits.softmax(-1).unsqueeze(1), outputs, self.extras(x))

    def linear_head(self) -> tuple[Tensor, Tensor]:
        head = self.fitted(self.net).head
        return head.weight, head.bias


def chance(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return uniform numbers in (0, 1) for each input of a training batch, (n, *shape)."""
    return _inside(torch.randint(STEPS, (len(x), *shape)).to(x.device))


def uniform(x: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Return uniform numbers in (0, 1) that belong to each input, (n, *shape); none for ()."""
    if not shape:
        return None
    return _inside(integers(x, shape, STEPS))


def _inside(steps: Tensor) -> Tensor:
    return (steps.double() + 0.5).div(STEPS).float()


def mutated(x: Tensor, share: float) -> Tensor:
    """Return inputs with a share of their values replaced by uniform bytes."""
    replaced = (torch.rand(x.shape) < share).to(x.device)
    return torch.where(replaced, torch.randint(LEVELS, x.shape).to(x.device) / 255, x)


def png_bits(x: Tensor) -> Tensor:
    """Return the size of each image as a PNG file, in bits per dimension, (n,)."""
    from PIL import Image

    sizes = []
    for image in as_bytes(x.detach().cpu()).permute(0, 2, 3, 1).numpy():
        file = io.BytesIO()
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
            file, "PNG", optimize=True
        )
        sizes.append(8 * file.tell() / image.size)
    return torch.tensor(sizes, dtype=torch.float32, device=x.device)


def discretised_logistic(x: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Return log probabilities of bytes x / 255 under logistic densities, elementwise, in nats.

    The probability of a byte is that of its bin of width 1/255; the first and the last reach to
    infinity (Salimans et al. 2017, arXiv:1701.05517).
    """
    half, inverse = 0.5 / 255, (-log_scale).exp()
    above, below = (x + half - mean) * inverse, (x - half - mean) * inverse
    # log(s(a) - s(b)) = -b + log(1 - e^(b - a)) - softplus(-a) - softplus(-b), with a > b
    soft = nn.functional.softplus
    inner = -below + torch.log(-torch.expm1(below - above)) - soft(-above) - soft(-below)
    log_p = torch.where(x < half, -soft(-above), inner)
    return torch.where(x > 1 - half, -soft(below), log_p)
