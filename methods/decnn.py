"""DecNN: a classifier whose every activation decodes back to the input."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Split, Task

from .backbones import DecoderName, make_decoder
from .base import Prerequisite
from .nets import Decodable, pick, squared_error
from .neural import DeepMethod, Prerequisites, copied, take
from .training import cross_entropy

COMPOSED = {"linear": "linear", "resnet": "resnet18"}  # choice of m -> method


class DecodableMethod(DeepMethod[Decodable]):
    """A method with a classifier f and one decoder g for the activations of all blocks.

    Fitted classifiers can watch the decodings while f and g are trained, eq. 7 and 8.

    Args:
        beta: weight of the squared error of a decoding, summed over the image.
        rgb_beta_scale: share of beta that counts for images in colour, whose errors are larger.
        decoder: what g is: a hidden layer of ``decoder_width`` features (mlp), two convolutions
            with an eighth as many channels (conv), or the paper's ResNet-18 with upsampling, of
            ``decoder_width`` channels at an eighth of the image's size (resnet). "auto" is mlp
            for the vectors of ``backbone=mlp``, and conv for the maps of the others.
        compose: a classifier m that f is to agree with on decoded activations.
        regularise: what m looks at: the same "decoded" activation, or the "input" itself.
        protect: attributes of which decoded activations are to tell a classifier nothing.
    """

    point_prediction = "single"
    composed: nn.Module | None = None  # both are there during `fit` alone
    protected: tuple[nn.Module, ...] = ()
    presets: ClassVar = {
        "smoke": {"decoder_width": 32},
        "laptop": {"epochs": 25, "min_updates": 1000},
        "paper": {"decoder": "resnet"},
    }

    def __init__(
        self,
        *,
        beta: float = 0.05,
        rgb_beta_scale: float = 0.1,
        decoder: DecoderName = "auto",
        decoder_width: int = 512,
        compose: Literal["none", "linear", "resnet"] = "none",
        regularise: Literal["decoded", "input"] = "decoded",
        protect: tuple[str, ...] = (),
        **inherited: object,
    ) -> None:
        super().__init__(**inherited)  # type: ignore[arg-type]
        self.beta = beta
        self.rgb_beta_scale = rgb_beta_scale
        self.decoder = decoder
        self.decoder_width = decoder_width
        self.compose = compose
        self.regularise = regularise
        self.protect = protect

    def build(self, task: Task) -> Decodable:
        f = self.classifier(task)
        g = make_decoder(task, decoder=self.decoder, inputs=f.shape, width=self.decoder_width)
        return Decodable(f, g)

    def beta_for(self, x: Tensor) -> float:
        """Return the weight of the squared error of images like x (n, C, H, W)."""
        return self.beta if x.shape[1] == 1 else self.beta * self.rgb_beta_scale

    def prerequisites(self, seed: int) -> dict[str, Prerequisite]:
        found = {name: Prerequisite("standard", (seed,), target=name) for name in self.protect}
        if self.compose != "none":
            found["m"] = Prerequisite(COMPOSED[self.compose], (seed,))
        return found

    def attributes(self) -> tuple[str, ...]:
        return self.protect

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        watching = {
            key: copied(take(self, prerequisites, key, 1)[0])
            .to(train.x.device)
            .requires_grad_(False)
            for key in self.prerequisites(seed)
        }
        self.composed = watching.pop("m", None)
        self.protected = tuple(watching.values())
        self.fit_net(train, seed)
        self.composed, self.protected = None, ()
        return self

    def watched(self, x: Tensor, decoded: Tensor, logits: Tensor, weights: Tensor) -> Tensor:
        """Return what eq. 7 and 8 add for the decodings of a batch, weighted.

        The sum over decodings is estimated, without bias, at one decoding of each input, drawn
        in proportion to the weights: m looks once at each input, not once at each decoding.
        What m says in eq. 7 is a target, not a part of the network: no gradient flows through it.

        Args:
            x: inputs (n, C, H, W).
            decoded: images (D, n, C, H, W).
            logits: what f says of them, (D, n, T, K).
            weights: (D,).
        """
        chosen = torch.multinomial(weights, len(x), replacement=True)
        images, said = pick(decoded, chosen), pick(logits, chosen)
        total = torch.zeros((), device=x.device)
        if self.composed is not None:
            with torch.no_grad():
                target = self.composed(x if self.regularise == "input" else images)
            total = total + soft_cross_entropy(said, target.float().softmax(-1))
        for m in self.protected:
            guess = m(images)
            total = total + soft_cross_entropy(guess, torch.full_like(guess, 1 / guess.shape[-1]))
        return weights.sum() * total

    @property
    def is_watched(self) -> bool:
        """Whether `watched` adds anything."""
        return self.composed is not None or bool(self.protected)

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net).classifier


class DecNN(DecodableMethod):
    """Cross entropy plus the reconstruction error of x from every activation, eq. 4.

    L = -log p(y|f(x)) + beta 1/L sum_l |x - g(h_l)|^2, the squares summed over pixels.

    The answer is f(x). Its samples are the classifications f(g(h_l)) of the L decodings.

    The 25 epochs of the `laptop` preset were chosen on MNIST's validation part: accuracy 0.982 and
    a squared error of 6.2 to 7.1 by layer, against 0.979 and 9.4 to 11.3 after 10.
    """

    name = "decnn"
    source = "arXiv:2106.00769"

    def loss(self, net: Decodable, x: Tensor, y: Tensor, progress: float) -> Tensor:
        h = net.classifier.activations(x)
        decoded = net.decoder(h)
        error = squared_error(decoded, x) / len(h)
        total = cross_entropy(net.classifier.classify(h[-1]), y) + self.beta_for(x) * error
        if self.is_watched:
            logits = net.classifier(decoded.flatten(0, 1)).unflatten(0, decoded.shape[:2])
            weights = torch.full((len(h),), 1 / len(h), device=x.device)
            total = total + self.watched(x, decoded, logits, weights)
        return total

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        decodings = net.decoder(net.classifier.activations(x))  # (L, n, C, H, W)
        logits = net.classifier(decodings.flatten(0, 1)).unflatten(0, decodings.shape[:2])
        return logits.softmax(-1).transpose(0, 1)


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy in nats against probabilities, mean over inputs and targets; (n, T, K)."""
    return -(target * functional.log_softmax(logits.float(), dim=-1)).sum(-1).mean()
