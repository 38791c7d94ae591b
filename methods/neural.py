"""Base classes of methods that train a network: recipe, state and single classifier."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import ClassVar, Generic, Literal, Self, TypedDict, TypeVar, Unpack, cast

import torch
from torch import Tensor, nn

from bench.datasets.base import NO_CHANGE, Harmless, Split, Task

from .augmentation import augmented
from .backbones import BACKBONES, make_classifier
from .base import Method, Outputs, State
from .nets import PLAIN, Activation, Classifier, Layers
from .training import (
    Batch,
    Loss,
    Precision,
    Recipe,
    cross_entropy,
    seeded,
    train,
    validation,
)

Augment = Literal["auto", "on", "off"]
Net = TypeVar("Net", bound=nn.Module)
Prerequisites = Mapping[str, Sequence[Method]]


class NeuralParams(TypedDict, total=False):
    """Keyword arguments of `NeuralMethod`."""

    epochs: int
    min_updates: int
    batch: int
    lr: float
    weight_decay: float
    clip: float
    precision: Precision


class NeuralMethod(Method, Generic[Net]):
    """A method that trains one `nn.Module`; a subclass writes `build` and, mostly, `loss`.

    All methods have one budget: the same number of gradient steps for each of their networks.
    A method that trains longer than its rivals wins by that.

    Args:
        epochs: least number of passes over the training data.
        min_updates: least number of gradient steps, so that one setting serves a thousand inputs
            and fifty thousand.
        batch: largest number of inputs in a gradient step; small data has smaller batches.
        lr: peak of the one-cycle learning rate.
        weight_decay: of AdamW.
        clip: largest Euclidean norm of the gradient of all weights.
        precision: of the matrix products in training; "auto" is bfloat16 where the device has
            units for it.
    """

    presets: ClassVar = {
        "smoke": {"epochs": 1, "min_updates": 20},
        "laptop": {},
        "paper": {"epochs": 50},
    }
    minimum: ClassVar = {"epochs": 1, "min_updates": 0, "batch": 1, "lr": 0, "weight_decay": 0}
    net: Net | None = None

    def __init__(
        self,
        *,
        epochs: int = 25,
        min_updates: int = 1000,
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

    def loss(self, net: Net, batch: Batch) -> Tensor:
        """Return the loss of a batch, (); by default eq. 1 without a regulariser: cross entropy."""
        return cross_entropy(net(batch.x), batch.y)

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
        return self.fit_net(train, val, seed)

    def fit_net(
        self,
        split: Split,
        val: Split,
        seed: int,
        loss: Callable[[Net, Batch], Tensor] | None = None,
    ) -> Self:
        """Initialise and train a network on the device of the data.

        Args:
            split: the training part.
            val: the validation part; each epoch's loss and accuracy on it are logged.
            seed: of the initial weights and of the order of the data.
            loss: `loss` by default; a method whose loss needs more than the network and the
                batch hands over ``partial(self.loss, ...)``.
        """
        with seeded(torch.device("cpu"), "weights", seed):
            net = self.build(split.task)
        net.to(split.x.device)
        of_batch: Loss = partial(loss or self.loss, net)
        self.net = net
        validate = partial(validation, self.single_classifier(), val, self.precision)
        self.log = train(net, of_batch, split, self.recipe(), seed=seed, validate=validate)
        return self

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net)

    def predict_proba(self, x: Tensor) -> Tensor:
        return self.single_classifier()(x).softmax(-1).unsqueeze(1)

    def state(self) -> State:
        tensors = self.fitted(self.net).state_dict()
        return {"net": {name: t.detach().cpu().clone() for name, t in tensors.items()}}

    def load_state(self, state: State, task: Task) -> Self:
        with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and then replaced
            net = self.build(task)
        net.load_state_dict(cast(dict[str, Tensor], state["net"]))
        self.net = net.eval()
        return self


class DeepParams(NeuralParams, total=False):
    """Keyword arguments of `DeepMethod`."""

    backbone: str
    blocks: int
    width: int
    channels: int
    conv_min_updates: int
    conv_lr_scale: float
    augment: Augment
    activation: Activation


class DeepMethod(NeuralMethod[Net]):
    """A method whose classifier f has L blocks of F features.

    Nets on maps share weights among places and learn more slowly, so they make more gradient
    steps: on speech commands (validation part, cnn) 400, 1200 and 2400 give a negative log
    likelihood of 1.02, 0.63 and 0.76.

    Args:
        backbone: kind of block: layers on pixels (mlp), or on maps: convolutions (cnn), residual
            blocks (resnet), or reversible ones (revnet), which train in the memory of one block.
        blocks: number L of blocks.
        width: features of a block of an mlp.
        channels: channels of a block on maps.
        conv_min_updates: least number of gradient steps of a net on maps.
        conv_lr_scale: factor of ``lr`` for a net on maps.
        augment: whether training inputs are moved and flipped as far as the data set says that
            labels allow it; "auto" is on for nets on maps.
        activation: nonlinearity of the blocks.
    """

    presets: ClassVar = {
        "smoke": {"blocks": 3, "width": 32, "channels": 8, "conv_min_updates": 20},
        "paper": {"channels": 64},
    }
    minimum: ClassVar = {
        "blocks": 1, "width": 1, "channels": 1, "conv_min_updates": 0, "conv_lr_scale": 0,
    }  # fmt: skip

    def __init__(
        self,
        *,
        backbone: str = "mlp",
        blocks: int = 8,
        width: int = 256,
        channels: int = 32,
        conv_min_updates: int = 1200,
        conv_lr_scale: float = 3.0,
        augment: Augment = "auto",
        activation: Activation = "relu",
        **inherited: Unpack[NeuralParams],
    ) -> None:
        super().__init__(**inherited)
        self.backbone = backbone
        self.blocks = blocks
        self.width = width
        self.channels = channels
        self.conv_min_updates = conv_min_updates
        self.conv_lr_scale = conv_lr_scale
        self.augment = augment
        self.activation = activation

    @classmethod
    def choices(cls, parameter: str) -> tuple[str, ...]:
        return BACKBONES.names() if parameter == "backbone" else super().choices(parameter)

    def code_modules(self) -> tuple[str, ...]:
        return (*super().code_modules(), BACKBONES[self.backbone].module)

    def recipe(self) -> Recipe:
        recipe = super().recipe()
        if not BACKBONES[self.backbone].on_maps:
            return recipe
        steps = max(recipe.min_updates, self.conv_min_updates)
        return replace(recipe, min_updates=steps, lr=recipe.lr * self.conv_lr_scale)

    def fit_net(
        self,
        split: Split,
        val: Split,
        seed: int,
        loss: Callable[[Net, Batch], Tensor] | None = None,
    ) -> Self:
        of_batch, harmless = loss or self.loss, split.task.harmless
        if self.augments() and harmless != NO_CHANGE:
            changed = partial(_augmented_loss, of_batch, harmless)
            return super().fit_net(split, val, seed, changed)
        return super().fit_net(split, val, seed, of_batch)

    def augments(self) -> bool:
        """Return whether training inputs are changed as far as labels allow it."""
        return self.augment == "on" or (self.augment == "auto" and BACKBONES[self.backbone].on_maps)

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
        last = classifier.last(x)
        return Outputs(classifier.classify(last), classifier.features(last))

    def linear_head(self) -> tuple[Tensor, Tensor] | None:
        head = cast(Classifier, self.single_classifier()).head
        return cast(Tensor, head.weight), cast(Tensor, head.bias)


def _augmented_loss(
    loss: Callable[[Net, Batch], Tensor], harmless: Harmless, net: Net, batch: Batch
) -> Tensor:
    return loss(net, batch._replace(x=augmented(batch.x, harmless)))


def take(
    method: Method, prerequisites: Prerequisites | None, key: str, count: int
) -> list[NeuralMethod]:
    """Return the fitted methods under ``key``.

    Raises:
        ValueError: there are not ``count`` of them.
    """
    fitted = list((prerequisites or {}).get(key, ()))
    if len(fitted) != count:
        raise ValueError(
            f"{method.name}: fit() needs {count} fitted {key!r} as its prerequisites() say, "
            f"and was given {len(fitted)}"
        )
    return cast(list[NeuralMethod], fitted)


def copied(method: NeuralMethod[Net]) -> Net:
    """Return a copy of the method's network."""
    return deepcopy(method.fitted(method.net))
