"""DecNN: a classifier whose every activation decodes back to the input."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import Tensor, nn

from datasets.base import Task

from .nets import Classifier, Decodable, Decoder, squared_error
from .neural import DeepMethod
from .training import cross_entropy


class DecodableMethod(DeepMethod[Decodable]):
    """A method with a classifier f and one decoder g for the activations of all blocks."""

    answers_with = "single"
    presets: ClassVar = {"smoke": {"decoder_width": 32}, "laptop": {"epochs": 25}}

    def __init__(
        self,
        *,
        beta: float = 0.05,
        decoder: Literal["mlp"] = "mlp",
        decoder_width: int = 512,
        **inherited: object,
    ) -> None:
        super().__init__(**inherited)  # type: ignore[arg-type]
        self.beta = beta
        self.decoder = decoder
        self.decoder_width = decoder_width

    def build(self, task: Task) -> Decodable:
        f = Classifier(task, blocks=self.blocks, width=self.width, activation=self.activation)
        return Decodable(f, Decoder(task, width=self.width, hidden=self.decoder_width))

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
        error = squared_error(net.decoder(h), x) / len(h)
        return cross_entropy(net.classifier.classify(h[-1]), y) + self.beta * error

    def predict_proba(self, x: Tensor) -> Tensor:
        net = self.fitted(self.net)
        decodings = net.decoder(net.classifier.activations(x))  # (L, n, C, H, W)
        logits = net.classifier(decodings.flatten(0, 1)).unflatten(0, decodings.shape[:2])
        return logits.softmax(-1).transpose(0, 1)
