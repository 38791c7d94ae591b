"""What the trained networks share: the recipe, the state, and the single classifier."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import ClassVar, Generic, Self, TypeVar, cast

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task

from .backbones import Backbone, make_classifier
from .base import Method, Outputs, State
from .nets import PLAIN, Activation, Classifier, Layers
from .training import Precision, Recipe, cross_entropy, seeded, train

Net = TypeVar("Net", bound=nn.Module)
Prerequisites = Mapping[str, Sequence[Method]]


class NeuralMethod(Method, Generic[Net]):
    """A method that trains one `nn.Module`; a subclass writes `build` and, mostly, `loss`.

    ``epochs`` passes over the data are made, or as many as ``min_updates`` gradient steps take:
    so one setting serves a thousand inputs and fifty thousand.
    """

    presets: ClassVar = {
        "smoke": {"epochs": 1, "min_updates": 20},
        "laptop": {},
        "paper": {"epochs": 50},
    }
    net: Net | None = None

    def __init__(
        self,
        *,
        epochs: int = 10,
        min_updates: int = 400,
        batch: int = 512,
        lr: float = 1e-3,
        weight_decay: float = 1e-4,
        clip: float = 1.0,
        precision: Precision = "auto",
    ) -> None:
        self.epochs = epochs
        self.min_updates = min_updates
        self.batch = batch
        self.lr = lr
        self.weight_decay = weight_decay
        self.clip = clip
        self.precision = precision

    @abstractmethod
    def build(self, task: Task) -> Net:
        """Return the untrained network; the global generator is seeded."""

    def loss(self, net: Net, x: Tensor, y: Tensor, progress: float) -> Tensor:
        """Return what is minimised; by default eq. 1 with no regulariser, the cross entropy."""
        return cross_entropy(net(x), y)

    def recipe(self) -> Recipe:
        """Return the parameters of the training loop."""
        return Recipe(
            epochs=self.epochs,
            min_updates=self.min_updates,
            batch=self.batch,
            lr=self.lr,
            weight_decay=self.weight_decay,
            clip=self.clip,
            precision=self.precision,
        )

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        return self.fit_net(train, seed)

    def fit_net(self, split: Split, seed: int) -> Self:
        """Initialise and train a network where the data is."""
        with seeded(torch.device("cpu"), "weights", seed):
            net = self.build(split.task)
        net.to(split.x.device)
        self.epoch_seconds = train(
            net,
            lambda x, y, progress: self.loss(net, x, y, progress),
            split,
            self.recipe(),
            seed=seed,
        )
        self.net = net
        return self

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net)

    def predict_proba(self, x: Tensor) -> Tensor:
        return self.single_classifier()(x).softmax(-1).unsqueeze(1)

    def state(self) -> State:
        tensors = self.fitted(self.net).state_dict()
        return {"net": {name: t.detach().cpu().clone() for name, t in tensors.items()}}

    def load_state(self, state: State, task: Task) -> Self:
        with torch.random.fork_rng(devices=[]):  # building draws numbers nobody should miss
            net = self.build(task)
        net.load_state_dict(cast(dict[str, Tensor], state["net"]))
        self.net = net.eval()
        return self


class DeepMethod(NeuralMethod[Net]):
    """A method whose classifier f has L blocks of F features.

    ``backbone`` is what the blocks are: layers of an MLP on pixels with ``width`` features, or of
    a net on maps of ``channels``: convolutions (cnn), residual blocks (resnet), or reversible
    ones (revnet), which train in the memory of one block. Nets on maps share their weights among
    places and learn more slowly: they make ``conv_min_updates`` gradient steps at least. On speech
    commands (validation part, cnn) 400, 1200 and 2400 give a negative log likelihood of 1.02,
    0.63 and 0.76.
    """

    presets: ClassVar = {
        "smoke": {"blocks": 3, "width": 32, "channels": 8, "conv_min_updates": 20},
        "paper": {"channels": 64},
    }

    def __init__(
        self,
        *,
        backbone: Backbone = "mlp",
        blocks: int = 8,
        width: int = 256,
        channels: int = 32,
        conv_min_updates: int = 1200,
        activation: Activation = "relu",
        **inherited: object,
    ) -> None:
        super().__init__(**inherited)  # type: ignore[arg-type]
        self.backbone = backbone
        self.blocks = blocks
        self.width = width
        self.channels = channels
        self.conv_min_updates = conv_min_updates
        self.activation = activation

    def recipe(self) -> Recipe:
        recipe = super().recipe()
        if self.backbone == "mlp":
            return recipe
        return replace(recipe, min_updates=max(recipe.min_updates, self.conv_min_updates))

    def classifier(self, task: Task, *, rate: float = 0.0, layers: Layers = PLAIN) -> Classifier:
        """Return the untrained classifier f, with dropout of ``rate``, made of ``layers``."""
        return make_classifier(
            task,
            backbone=self.backbone,
            blocks=self.blocks,
            width=self.width,
            channels=self.channels,
            activation=self.activation,
            rate=rate,
            layers=layers,
        )

    def logits_and_features(self, x: Tensor) -> Outputs:
        classifier = cast(Classifier, self.single_classifier())
        last = classifier.activations(x)[-1]
        return Outputs(classifier.classify(last), classifier.features(last))


def take(
    method: Method, prerequisites: Prerequisites | None, key: str, count: int
) -> list[NeuralMethod]:
    """Return the prerequisites found under ``key``, or say that they were not handed over."""
    found = list((prerequisites or {}).get(key, ()))
    if len(found) != count:
        raise ValueError(
            f"{method.name}: fit() needs {count} fitted {key!r} as its prerequisites() say, "
            f"and was given {len(found)}"
        )
    return cast(list[NeuralMethod], found)


def copied(method: NeuralMethod[Net]) -> Net:
    """Return the method's network as a copy of its own."""
    return deepcopy(method.fitted(method.net))
