"""The convolutional network on MNIST that Outlier Exposure starts from, without exposure."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from bench.anchors.base import Anchor, Published
from bench.anchors.trained import Network, Trained
from bench.datasets.base import View, fingerprint, generator
from bench.fitting.evaluator import Evaluator
from bench.scenarios.base import Scenario, ShiftScenario, Views
from bench.scenarios.clean import Clean
from bench.scenarios.cross_dataset import CrossDataset

PEAK, LAST = 0.01, 1e-6  # learning rates
COUNT = 2000  # outliers, a fifth of the inliers
CIFAR = "4 000 training images stand for the 10 000 test images"


class QuickGelu(nn.Module):
    """x sigmoid(1.702 x), an approximation of GELU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class ConvNet(Trained):
    """Two convolutions of 5 x 5 with 10 and 20 channels, dropout of channels, 50 features."""

    name = "oe_convnet"
    batch = 50
    epochs = 10

    def build(self) -> Network:
        body = nn.Sequential(
            nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), QuickGelu(),
            nn.Conv2d(10, 20, 5), nn.Dropout2d(), nn.MaxPool2d(2), QuickGelu(),
            nn.Flatten(), nn.Linear(320, 50), QuickGelu(),
        )  # fmt: skip
        return Network(body, nn.Linear(50, 10))

    def optimizer(self, net: Network) -> Optimizer:
        return SGD(net.parameters(), lr=PEAK, momentum=0.9, nesterov=True)

    def rate(self, progress: float) -> float:
        return LAST + (PEAK - LAST) * (1 + math.cos(math.pi * progress)) / 2


class Made(ShiftScenario):
    """Outliers that are made and not recorded: negatives of the test images, and noise."""

    name = "made"
    source = "arXiv:1812.04606, MNIST/test.py of its repository"
    question = "Is it less sure of negatives and of noise?"

    def views(self, evaluator: Evaluator) -> Views:
        test, size = evaluator.test, min(self.cap, COUNT)
        rows = self.drawn(len(test), size, self.name)
        shape = (size, *test.x.shape[1:])

        def gaussian() -> Tensor:
            draw = generator(self.name, "gaussian")
            return (0.5 + 0.5 * torch.randn(shape, generator=draw)).clamp(0, 1)

        def bernoulli() -> Tensor:
            return torch.rand(shape, generator=generator(self.name, "bernoulli")).round()

        mark = fingerprint(test.fingerprint, rows, "negative")
        views = [View("negatives", mark, size, lambda: 255 - test.x[rows])]
        for name, load in (("Gaussian noise", gaussian), ("Bernoulli noise", bernoulli)):
            views.append(View(name, fingerprint(self.name, name, *shape), size, load))
        return Views(views, {})


class OeConvNet(Anchor):
    """Maximum softmax probability of a small convolutional network on MNIST."""

    name = "oe_convnet"
    source = (
        "Hendrycks, Mazeika and Dietterich 2019, arXiv:1812.04606; "
        "github.com/hendrycks/outlier-exposure, MNIST/snapshots/baseline_test.txt, one network"
    )
    set_up = (
        "10 and 20 channels of 5 x 5, dropout2d, 50 features, approximate GELU, Nesterov momentum "
        "0.9, 0.01 with a cosine, batch 50, 10 epochs"
    )
    published = (
        Published("error", 0.94, "accuracy", "clean", score="single"),
        Published("misclassified", 98.45, "misclassification_auroc", "clean"),
        Published("Fashion-MNIST", 99.31, view="fashion"),
        Published("Fashion-MNIST, FPR", 2.96, "fpr95_ood", view="fashion"),
        Published("notMNIST", 96.04, view="notmnist", differs="another sample of letters"),
        Published("notMNIST, FPR", 16.64, "fpr95_ood", view="notmnist",
                  differs="another sample of letters"),
        Published("CIFAR-10 in grey", 99.87, view="cifar10", differs=CIFAR),
        Published("negatives", 98.55, scenario="made", view="negatives"),
        Published("Gaussian noise", 99.96, scenario="made", view="Gaussian noise"),
        Published("Bernoulli noise", 99.81, scenario="made", view="Bernoulli noise"),
    )  # fmt: skip

    def method(self) -> ConvNet:
        return ConvNet()

    def scenarios(self) -> tuple[Scenario, ...]:
        sources = CrossDataset(sources=("fashion", "notmnist", "cifar10"), cap=COUNT)
        return Clean(), sources, Made(cap=COUNT)
