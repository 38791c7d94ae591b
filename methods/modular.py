"""Modules that undo corruptions, one for each, composed as the corruptions were."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Literal, Self, Unpack, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Split, Task
from bench.datasets.elemental import ELEMENTAL, PLAIN, versions

from .base import Outputs
from .conv import Residual
from .nets import Classifier
from .neural import DeepMethod, DeepParams, Prerequisites
from .training import Batch, cross_entropy


class Undo(nn.Module):
    """One module: h + F(h) on vectors (n, F) or maps (n, F, h, w)."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.residual: nn.Module
        if len(shape) == 1:
            self.residual = nn.Sequential(
                nn.LayerNorm(shape[0]), nn.Linear(shape[0], width), nn.ReLU(),
                nn.Linear(width, shape[0]),
            )  # fmt: skip
        else:
            self.residual = Residual(shape[0])

    def forward(self, h: Tensor) -> Tensor:
        return h + self.residual(h)


class ModularNet(nn.Module):
    """A classifier f, a module for each corruption before block ``level``, and what chooses them.

    Args:
        classifier: f.
        shape: of what the modules change.
        level: index of the block before which they act; 0 is the stem's output.
        width: hidden values of a module.
    """

    def __init__(
        self, classifier: Classifier, shape: tuple[int, ...], *, level: int, width: int
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.level = level
        self.undo = nn.ModuleList(Undo(shape, width) for _ in ELEMENTAL)
        self.chooser = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shape), width), nn.ReLU(),
            nn.Linear(width, len(ELEMENTAL) + 1),
        )  # fmt: skip

    def below(self, x: Tensor) -> Tensor:
        """Return what the modules change, of images (n, C, H, W)."""
        h = self.classifier.stem(x)
        for block in self.classifier.blocks[: self.level]:
            h = block(h, None)
        return h

    def above(self, h: Tensor) -> Tensor:
        """Return the last activations, from what the modules gave."""
        for block in self.classifier.blocks[self.level :]:
            h = block(h, None)
        return h

    def by_version(self, h: Tensor, version: Tensor) -> Tensor:
        """Return h after the module of each input's own corruption, (n,); plain inputs as is."""
        changed = h.clone()
        for i, module in enumerate(self.undo):
            rows = (version == i + 1).nonzero()[:, 0]
            if len(rows):
                changed[rows] = module(h[rows]).to(h.dtype)
        return changed

    def in_order(self, h: Tensor, order: Sequence[str]) -> Tensor:
        """Return h after the modules of the named corruptions, in turn."""
        for name in order:
            h = self.undo[ELEMENTAL.index(name)](h)
        return h

    def chosen(self, h: Tensor, most: int) -> Tensor:
        """Return h after at most ``most`` modules, each the likeliest, until h looks plain."""
        done = torch.zeros(len(h), dtype=torch.bool, device=h.device)
        for _ in range(most):
            version = self.chooser(h).argmax(1)
            done = done | (version == PLAIN)
            h = self.by_version(h, version.masked_fill(done, PLAIN))
        return h


class Composition(nn.Module):
    """The classifier with modules in a given order, or those that it chooses itself.

    Args:
        net: the network.
        order: names of corruptions; None: the network chooses.
        most: modules that it may choose.
    """

    def __init__(self, net: ModularNet, order: Sequence[str] | None, most: int) -> None:
        super().__init__()
        self.net = net
        self.order = order
        self.most = most

    def last(self, x: Tensor) -> Tensor:
        """Return the last activations of images (n, C, H, W)."""
        h = self.net.below(x)
        if self.order is None:
            return self.net.above(self.net.chosen(h, self.most))
        return self.net.above(self.net.in_order(h, self.order))

    def forward(self, x: Tensor) -> Tensor:
        return self.net.classifier.classify(self.last(x))


class Modular(DeepMethod[ModularNet]):
    """One module undoes each corruption; the modules of a composition act one after the other.

    L = CE(f with the module of the input's corruption, y) + restore |M_v(h_v) - h_0|^2, mean over
    features, where h_v and h_0 are the activations of the corrupted and of the plain image, the
    latter a target. All is trained at once; the authors train f first and one module after the
    other, with a contrastive loss, each at the level that validation picks. It needs data with
    versions, as `composed` gives it; without, no module is trained and this is `standard`.

    ``select=told`` is the authors': whoever measures says which corruptions were made, in
    ``order``, and nothing is undone where nobody says. With ``auto`` a small classifier of
    corruptions on h, trained beside, chooses a module as often as the result does not look plain.

    Claim of the paper: on compositions it is better than cross entropy and than `contrastive`.

    Args:
        select: who says which modules act.
        order: corruptions that are undone, in turn, with ``select=told``.
        most: modules that act at most with ``select=auto``.
        level: index of the block before which modules act.
        restore: weight of the distance to the plain image's activation.
    """

    name = "modular"
    source = "Mason et al. 2023, arXiv:2306.09005"
    tags: ClassVar = frozenset({"neighbours", "compositions"})
    asked_for = "a neighbour of the paper: --methods neighbours runs them"
    tuned = "by hand"
    variants: ClassVar = {"auto": {"select": "auto"}}
    predict_only = frozenset({"select", "order", "most"})
    minimum: ClassVar = {"most": 0, "level": 0, "restore": 0}

    def __init__(
        self,
        *,
        select: Literal["told", "auto"] = "told",
        order: tuple[str, ...] = (),
        most: int = 3,
        level: int = 1,
        restore: float = 1.0,
        **inherited: Unpack[DeepParams],
    ) -> None:
        super().__init__(**inherited)
        self.select = select
        self.order = order
        self.most = most
        self.level = level
        self.restore = restore

    @classmethod
    def choices(cls, parameter: str) -> tuple[str, ...]:
        return ELEMENTAL if parameter == "order" else super().choices(parameter)

    def augments(self) -> bool:
        """Return whether inputs are moved: only if asked, as the plain image would not move."""
        return self.augment == "on"

    def build(self, task: Task) -> ModularNet:
        f = self.classifier(task)
        level = min(self.level, len(f.blocks))
        shape = f.shape if level else tuple(f.stem(torch.zeros(1, *task.shape)).shape[1:])
        return ModularNet(f, shape, level=level, width=self.width)

    def fit(
        self, train: Split, val: Split, *, seed: int, prerequisites: Prerequisites | None = None
    ) -> Self:
        if versions(train) is None:
            return self.fit_net(train, val, seed)
        return self.fit_net(train, val, seed, partial(self.loss, plain=train))

    def loss(self, net: ModularNet, batch: Batch, plain: Split | None = None) -> Tensor:
        """Return the loss of a batch, (); ``plain`` begins with every image without corruption."""
        h, f = net.below(batch.x), net.classifier
        if plain is None:
            return cross_entropy(f.classify(net.above(h)), batch.y)
        version, image = batch.attributes.T
        undone = net.by_version(h, version)
        target = net.below(plain.floats(image)).detach()
        told = functional.cross_entropy(net.chooser(h.detach()).float(), version)
        error = cross_entropy(f.classify(net.above(undone)), batch.y)
        return error + told + self.restore * (undone.float() - target.float()).square().mean()

    def single_classifier(self) -> Composition:
        order = None if self.select == "auto" else self.order
        return Composition(self.fitted(self.net), order, self.most).eval()

    def logits_and_features(self, x: Tensor) -> Outputs:
        """Return logits (n, T, K) and last hidden features (n, F) after the modules."""
        f, last = self.fitted(self.net).classifier, self.single_classifier().last(x)
        return Outputs(f.classify(last), f.features(last))

    def linear_head(self) -> tuple[Tensor, Tensor]:
        head = self.fitted(self.net).classifier.head
        return cast(Tensor, head.weight), cast(Tensor, head.bias)
