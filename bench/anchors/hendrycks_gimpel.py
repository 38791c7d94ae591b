"""Hendrycks and Gimpel's network on MNIST, as in their public notebook."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from bench.anchors.base import Anchor, Published
from bench.anchors.trained import Network, Trained, linear_layers
from bench.datasets.base import View, fingerprint, generator
from bench.datasets.idx import NotMnist
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import Scenario, ShiftScenario, Views
from bench.scenarios.clean import Clean
from bench.scenarios.cross_dataset import CrossDataset, foreign

SIZES = (784, 256, 256, 256, 10)
SPREAD = 0.425  # second moment of a GELU's output, by which the notebook scales its weights
WEIGHT_DECAY = 1e-5
COUNT = 10_000
NOISE = {"uniform noise": torch.rand, "Gaussian noise": torch.randn}


class Perceptron(Trained):
    """Three hidden layers of 256 GELUs; cross entropy plus half the squared weights times 1e-5."""

    name = "hendrycks_gimpel"
    batch = 128
    epochs = 30

    def build(self) -> Network:
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise(SIZES[:-1]):
            layers += [nn.Linear(inputs, outputs), nn.GELU(approximate="tanh")]
        net = Network(nn.Sequential(*layers), nn.Linear(*SIZES[-2:]))
        ends = [1.0, SPREAD, SPREAD, SPREAD, 1.0]
        for layer, before, after in zip(linear_layers(net), ends[:-1], ends[1:], strict=True):
            weight = nn.functional.normalize(torch.randn_like(layer.weight))
            layer.weight.data = weight / (before + after) ** 0.5
            layer.bias.data.zero_()
        return net

    def optimizer(self, net: Network) -> Optimizer:
        decayed = [layer.weight for layer in linear_layers(net.body)]
        others = [layer.bias for layer in linear_layers(net)] + [net.head.weight]
        groups: list[dict[str, Any]] = [
            {"params": decayed, "weight_decay": WEIGHT_DECAY},
            {"params": others},
        ]
        return Adam(groups, lr=1e-3, fused=True)

    def rate(self, progress: float) -> float:
        return 1e-3 if progress < 20 / 30 else 1e-4


class Abnormal(ShiftScenario):
    """What the notebook feeds the network with: letters with values from -0.5 to 0.5, and noise."""

    name = "abnormal"
    source = "arXiv:1610.02136, notebook MNIST_Softmax_Stats"
    question = "Is it less sure of letters and of noise?"

    def views(self, evaluator: Evaluator) -> Views:
        shape = evaluator.data.task.shape
        views = [self._noise(name, shape) for name in NOISE]
        letters = foreign(evaluator.data, self._letters(evaluator))
        if isinstance(letters, str):
            return Views(views, {"notmnist": letters})
        rows = self.drawn(len(letters), COUNT, self.name)
        mark = fingerprint(letters.fingerprint, rows, "less a half")
        load = partial(letters.floats, rows)
        views.append(View("notmnist", mark, len(rows), lambda: load() - 0.5))
        return Views(views, {})

    def _letters(self, evaluator: Evaluator) -> NotMnist:
        source = NotMnist()
        source.store = evaluator.data.store
        return source

    def _noise(self, name: str, shape: tuple[int, int, int]) -> View:
        size = min(self.cap, COUNT)

        def load() -> Tensor:
            return NOISE[name](size, *shape, generator=generator(self.name, name))

        return View(name, fingerprint(self.name, name, size, *shape), size, load)


class HendrycksGimpel(Anchor):
    """Maximum softmax probability of a fully connected network on MNIST."""

    name = "hendrycks_gimpel"
    source = (
        "Hendrycks and Gimpel 2017, arXiv:1610.02136; github.com/hendrycks/error-detection, "
        "Vision/MNIST_Softmax_Stats.ipynb, one run"
    )
    set_up = (
        "784-256-256-256-10, GELU, Adam 1e-3 and 1e-4 from epoch 20, batch 128, 30 epochs, L2 1e-5"
    )
    published = (
        Published("error", 1.48, "accuracy", "clean", score="single"),
        Published("misclassified", 97.83, "misclassification_auroc", "clean"),
        Published("notMNIST", 82.87, scenario="abnormal", view="notmnist",
                  differs="another sample of 10 000 letters"),
        Published("CIFAR-10 in grey", 93.70, view="cifar10",
                  differs="other images; a like network of the same authors has 97.26"),
        Published("uniform noise", 97.89, scenario="abnormal", view="uniform noise"),
        Published("Gaussian noise", 88.29, scenario="abnormal", view="Gaussian noise"),
    )  # fmt: skip

    def method(self) -> Perceptron:
        return Perceptron()

    def scenarios(self) -> tuple[Scenario, ...]:
        return Clean(), CrossDataset(sources=("cifar10",), cap=COUNT), Abnormal(cap=COUNT)
