"""DecNN: a classifier whose every activation decodes back to the input."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, Self, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Split, Task

from .base import Answer, Prerequisite
from .decoders import AUTO, DECODERS, make_decoder, resolve
from .nets import Decodable, pick, squared_error
from .neural import BACKBONES, DeepMethod, DeepParams, Prerequisites, copied, take
from .training import Batch, cross_entropy

COMPOSED = {"linear": "linear", "resnet": "resnet18"}  # choice of m -> method


@dataclass(frozen=True)
class CompositionLoss:
    """The terms of eq. 7 and 8: fitted classifiers look at the decodings while f and g are trained.

    The sum over decodings is estimated, without bias, at one decoding of each input, drawn
    in proportion to the weights: m looks once at each input, not once at each decoding.
    The output of m in eq. 7 is a target: no gradient flows through it.

    Args:
        composed: the classifier m of eq. 7, or None.
        protected: the classifiers of protected attributes, eq. 8.
        regularise: what m looks at, see `DecodableMethod`.
    """

    composed: nn.Module | None = None
    protected: tuple[nn.Module, ...] = ()
    regularise: Literal["decoded", "input"] = "decoded"

    def __bool__(self) -> bool:
        return self.composed is not None or bool(self.protected)

    def __call__(self, x: Tensor, decoded: Tensor, logits: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted terms, averaged over a batch, ().

        Args:
            x: inputs (n, C, H, W).
            decoded: images (D, n, C, H, W).
            logits: of f on them, (D, n, T, K).
            weights: (D,).
        """
        drawn = torch.multinomial(weights, len(x), replacement=True)
        images = pick(decoded, drawn)
        total = torch.zeros((), device=x.device)
        if self.composed is not None:
            with torch.no_grad():
                target = self.composed(x if self.regularise == "input" else images)
            total = total + soft_cross_entropy(pick(logits, drawn), target.float().softmax(-1))
        for m in self.protected:
            guess = m(images)
            total = total + soft_cross_entropy(guess, torch.full_like(guess, 1 / guess.shape[-1]))
        return weights.sum() * total


NO_COMPOSITION = CompositionLoss()


class DecodableParams(DeepParams, total=False):
    """Keyword arguments of `DecodableMethod`."""

    beta: float
    rgb_beta_scale: float
    decoder: str
    decoder_width: int
    compose: Literal["none", "linear", "resnet"]
    regularise: Literal["decoded", "input"]
    protect: tuple[str, ...]


class DecodableMethod(DeepMethod[Decodable]):
    """A method with a classifier f and one decoder g for the activations of all blocks.

    Args:
        beta: weight of the squared error of a decoding, summed over the image.
        rgb_beta_scale: factor of beta for images in colour, whose errors are larger.
        decoder: kind of g: a hidden layer of ``decoder_width`` features (mlp), two convolutions
            with an eighth as many channels (conv), or the paper's ResNet-18 with upsampling, of
            ``decoder_width`` channels at an eighth of the image's size (resnet). "auto" is mlp
            for vectors and conv for maps.
        decoder_width: size of the decoder.
        compose: a classifier m that f should agree with on decoded activations, eq. 7.
        regularise: what m looks at: the same "decoded" activation, or the "input" itself.
        protect: attributes that a classifier should not recognise in decodings, eq. 8.
    """

    point_prediction = "single"
    decodes = True
    minimum: ClassVar = {"beta": 0, "rgb_beta_scale": 0, "decoder_width": 1}
    presets: ClassVar = {
        "smoke": {"decoder_width": 32},
        "paper": {"decoder": "resnet"},
    }

    def __init__(
        self,
        *,
        beta: float = 0.05,
        rgb_beta_scale: float = 0.1,
        decoder: str = AUTO,
        decoder_width: int = 512,
        compose: Literal["none", "linear", "resnet"] = "none",
        regularise: Literal["decoded", "input"] = "decoded",
        protect: tuple[str, ...] = (),
        **inherited: Unpack[DeepParams],
    ) -> None:
        super().__init__(**inherited)
        self.beta = beta
        self.rgb_beta_scale = rgb_beta_scale
        self.decoder = decoder
        self.decoder_width = decoder_width
        self.compose = compose
        self.regularise = regularise
        self.protect = protect

    @classmethod
    def choices(cls, parameter: str) -> tuple[str, ...]:
        known = (AUTO, *DECODERS.names())
        return known if parameter == "decoder" else super().choices(parameter)

    def code_modules(self) -> tuple[str, ...]:
        decoder = resolve(self.decoder, on_maps=BACKBONES[self.backbone].on_maps)
        return (*super().code_modules(), DECODERS[decoder].module)

    def build(self, task: Task) -> Decodable:
        f = self.classifier(task)
        g = make_decoder(task, decoder=self.decoder, inputs=f.shape, width=self.decoder_width)
        return Decodable(f, g)

    def loss(
        self, net: Decodable, batch: Batch, composition: CompositionLoss = NO_COMPOSITION
    ) -> Tensor:
        """Return the loss of a batch, with the terms of eq. 7 and 8 where there are any, ()."""
        raise NotImplementedError

    def beta_for(self, x: Tensor) -> float:
        """Return the weight of the squared error of images like x (n, C, H, W)."""
        return self.beta if x.shape[1] == 1 else self.beta * self.rgb_beta_scale

    def prerequisites(self, seed: int) -> dict[str, Prerequisite]:
        needed = {name: Prerequisite("standard", (seed,), target=name) for name in self.protect}
        if self.compose != "none":
            needed["m"] = Prerequisite(COMPOSED[self.compose], (seed,))
        return needed

    def attributes(self) -> tuple[str, ...]:
        return self.protect

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        frozen = {
            key: copied(take(self, prerequisites, key, 1)[0])
            .to(train.x.device)
            .requires_grad_(False)
            for key in self.prerequisites(seed)
        }
        m = frozen.pop("m", None)
        composition = CompositionLoss(m, tuple(frozen.values()), self.regularise)
        return self.fit_net(train, val, seed, partial(self.loss, composition=composition))

    def extras(self, x: Tensor) -> dict[str, Tensor]:
        """Return how well x is decoded, and how its decodings are classified.

        "decoding_error" (n, L): squared errors |x - g(h_l)|^2 of the first decodings, summed over
        pixels. "decoding_logits" (n, L, T, K): f(g(h_l)). "recursion_logits" (n, 4, T, K): f(x_d)
        for the depths d = 1 to 4 of x_d = g(h_L(x_{d-1})), the last activation decoded repeatedly.
        """
        net = self.fitted(self.net)
        f, g = net.classifier, net.decoder
        decoded = g(f.activations(x))
        error = (decoded - x).square().flatten(2).sum(-1).T
        h = f.last(decoded.flatten(0, 1)).unflatten(0, decoded.shape[:2])
        logits = f.classify(h.flatten(0, 1)).unflatten(0, h.shape[:2])
        last, deeper = h[-1], [logits[-1]]
        for _ in range(3):
            last = f.last(g(last))
            deeper.append(f.classify(last))
        return {
            "decoding_error": error,
            "decoding_logits": logits.transpose(0, 1),
            "recursion_logits": torch.stack(deeper, dim=1),
        }

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net).classifier


class DecNN(DecodableMethod):
    """Cross entropy plus the reconstruction error of x from every activation, eq. 4.

    L = -log p(y|f(x)) + beta 1/L sum_l |x - g(h_l)|^2, the squares summed over pixels.

    The point prediction is f(x). The samples are the classifications f(g(h_l)) of the L decodings.

    The 25 epochs were chosen on MNIST's validation part: accuracy 0.982 and
    a squared error of 6.2 to 7.1 by layer, against 0.979 and 9.4 to 11.3 after 10.
    """

    name = "decnn"
    source = "arXiv:2106.00769"
    tuned = "validation inliers"

    def loss(
        self, net: Decodable, batch: Batch, composition: CompositionLoss = NO_COMPOSITION
    ) -> Tensor:
        x, y = batch.x, batch.y
        h = list(net.classifier.steps(x))
        decoded = net.decoder(torch.stack(h))
        error = squared_error(decoded, x) / len(h)
        total = cross_entropy(net.classifier.classify(h[-1]), y) + self.beta_for(x) * error
        if composition:
            logits = net.classifier(decoded.flatten(0, 1)).unflatten(0, decoded.shape[:2])
            weights = torch.full((len(h),), 1 / len(h), device=x.device)
            total = total + composition(x, decoded, logits, weights)
        return total

    def answer(self, x: Tensor) -> Answer:
        """Return it from one pass: the decodings that are classified are those of `extras`."""
        if type(self).predict_proba is not DecNN.predict_proba:  # a subclass answers otherwise
            return super().answer(x)
        extras = self.extras(x)
        probs = extras["decoding_logits"].softmax(-1)
        return Answer(probs, self.logits_and_features(x), extras)

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        decodings = net.decoder(net.classifier.activations(x))  # (L, n, C, H, W)
        logits = net.classifier(decodings.flatten(0, 1)).unflatten(0, decodings.shape[:2])
        return logits.softmax(-1).transpose(0, 1)


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy in nats against probabilities, mean over inputs and targets; (n, T, K)."""
    return -(target * functional.log_softmax(logits.float(), dim=-1)).sum(-1).mean()
