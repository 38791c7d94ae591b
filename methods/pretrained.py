"""A network that was trained elsewhere, from its weights on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self, cast

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task, generator
from bench.datasets.errors import BenchError
from bench.datasets.placed import own_label

from .base import Method, Outputs, State
from .checkpoints import called_factory, factory_file, load_program, load_weights, read_weights
from .training import seeded
from .wrapped import Given

PROBES = 2  # random images that a network is tried on before anything else


class Pretrained(Method):
    """The given network as it is: nothing is trained, and every seed gives the same.

    ``factory`` returns an `nn.Module` that maps images to logits; ``weights`` are a state dict
    (.safetensors, or what torch.save wrote of one) or an exported program (.pt2), which needs no
    factory. Several are an ensemble. Files are never unpickled into anything but tensors.

    Args:
        factory: a function, as file.py:function or package.module:function. The number of classes
            is passed to it as ``num_classes`` if it takes that.
        weights: one file, or several for an ensemble: a.pt+b.pt.
        model: passed to the factory as its first argument, if set, as timm:create_model asks.
        classes: the network's classes in its order, by the names the data set has for them; by
            default those of the data set. Classes the data set lacks are left out of the softmax.
        mean: subtracted from images in [0, 1], for all channels or each.
        std: the divisor after that.
        crop: side of the central square that is kept of an image: crop=28 takes off the margin that
            MNIST and its relatives are padded with. 0: the whole image.
        size: side of the network's input; images are resized, antialiased. 0: as they are.
        channels: 3 turns grey images into colour, 1 colour into grey. 0: as they are.
        features: the module whose output scores take as features; by default the input of the
            last linear layer.
        mc: keep dropout on for ``samples`` passes, with one mask for the whole batch.
        samples: passes with dropout.
        called: the name in results; by default that of the weights.
    """

    name = "pretrained"
    source = "the user's own"
    asked_for = "it needs weights or a factory"
    predict_only = frozenset({"samples"})
    nets: nn.ModuleList | None = None

    def __init__(
        self,
        *,
        factory: str = "",
        weights: tuple[str, ...] = (),
        model: str = "",
        classes: tuple[str, ...] = (),
        mean: tuple[float, ...] = (0.0,),
        std: tuple[float, ...] = (1.0,),
        crop: int = 0,
        size: int = 0,
        channels: int = 0,
        features: str = "",
        mc: bool = False,
        samples: int = 20,
        called: str = "",
    ) -> None:
        self.factory = factory
        self.weights = weights
        self.model = model
        self.classes = classes
        self.mean = mean
        self.std = std
        self.crop = crop
        self.size = size
        self.channels = channels
        self.features = features
        self.mc = mc
        self.samples = samples
        self.called = called

    @classmethod
    def label_of(cls, changed: Mapping[str, str]) -> str:
        words = dict(changed)
        stems = [Path(path).stem for path in words.pop("weights", "").split("+") if path]
        factory = words.pop("factory", "").rpartition(":")[2]
        words["called"] = words.pop("called", "") or "+".join(stems) or factory
        return own_label(cls.name, words, hidden=("classes", "mean", "std"))

    @cached_property
    def label(self) -> str:
        """The kind of method and the names of the weights, but not where they lie."""
        named = {"factory": self.factory, "weights": "+".join(self.weights), "called": self.called}
        return self.label_of(named)

    def files(self) -> Sequence[Path]:
        own = factory_file(self.factory)
        return [*(Path(p).expanduser() for p in self.weights), *([own] if own else [])]

    def prepare(self, task: Task) -> str:
        head = next(iter(self._built(task))).head
        what = f"the output of {self.features}" if self.features else f"the input of {head}"
        remarks = [f"features are {what}", self.shrinking(task)]
        return f"{self.label}: {'; '.join(filter(None, remarks))}"

    def shrinking(self, task: Task) -> str:
        """Return a remark if images are made smaller, as padded ones should not be; else ""."""
        side = self.crop or min(task.shape[1:])
        if not 0 < self.size < side:
            return ""
        return f"images are shrunk from {side} to {self.size}; crop={self.size} would cut them"

    def fit(
        self,
        train: Split,
        val: Split,
        *,
        seed: int,
        prerequisites: Mapping[str, Sequence[Method]] | None = None,
    ) -> Self:
        self.nets = nn.ModuleList(self._built(train.task)).eval().to(train.x.device)
        return self

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.nets)[0]

    def predict_proba(self, x: Tensor) -> Tensor:
        nets = self.fitted(self.nets)
        passes = self.samples if self.mc else 1
        logits = [net(x, dropout=self.mc) for net in nets for _ in range(passes)]
        return torch.stack(logits, dim=1).softmax(-1)

    def logits_and_features(self, x: Tensor) -> Outputs:
        return self._first().outputs(x)

    def _first(self) -> Given:
        return cast(Given, self.fitted(self.nets)[0])

    def state(self) -> State:
        """Return nothing where weights are read from files, whose bytes are part of the key."""
        tensors = self._first().net.state_dict()
        if self.weights:
            return {}
        return {"net": {name: t.detach().cpu().clone() for name, t in tensors.items()}}

    def load_state(self, state: State, task: Task) -> Self:
        nets = self._built(task)
        if state:
            nets[0].net.load_state_dict(state["net"])  # type: ignore[arg-type]
        self.nets = nn.ModuleList(nets).eval()
        return self

    def _built(self, task: Task) -> list[Given]:
        """Return each network behind the interface of the data, after trying it.

        Raises:
            BenchError: a file, a parameter or what the network returns does not fit.
        """
        self._check_parameters(task)
        with seeded(torch.device("cpu"), self.name):
            nets = [self._loaded(path, task) for path in self.weights or ("",)]
            probe = torch.rand(PROBES, *task.shape, generator=generator(self.name, "probe"))
            return [self._tried(net, task, probe) for net in nets]

    def _loaded(self, path: str, task: Task) -> nn.Module:
        if path.endswith(".pt2"):
            return load_program(Path(path).expanduser())
        count = len(task.targets) * (len(self.classes) or len(task.classes))
        net = called_factory(self.factory, self.model, count).eval()
        if path:
            load_weights(net, read_weights(Path(path).expanduser()), path)
        return net

    def _tried(self, net: nn.Module, task: Task, probe: Tensor) -> Given:
        known = self.classes or task.classes
        given = Given(
            net,
            shape=(len(task.targets), len(known)),
            order=[known.index(name) for name in task.classes],
            mean=self.mean,
            std=self.std,
            crop=self.crop,
            size=self.size,
            channels=self.channels,
        ).eval()
        try:
            with torch.no_grad():
                given.take_features(self.features, probe)
                outputs = given.outputs(probe)
        except BenchError as error:
            raise BenchError(f"{self.label}: {error}") from error
        except (Exception, SystemExit) as error:  # whatever a network of the user's raises
            shape = "x".join(map(str, task.shape))
            reason = " ".join(str(error).split())[:200]
            raise BenchError(
                f"{self.label}: the network fails on images of {shape} ({reason}); "
                "see size=, channels= and mean="
            ) from error
        for name, values in outputs._asdict().items():
            if not values.isfinite().all():
                raise BenchError(f"{self.label}: the network gives {name} that are not finite")
        if _is_softmax(outputs.logits):
            raise BenchError(
                f"{self.label}: the network gives probabilities, which are not logits; leave out "
                "its softmax, or return their logarithm"
            )
        if self.mc and not given.dropouts():
            raise BenchError(f"{self.label}: mc=True, and the network has no dropout layer")
        return given

    def _check_parameters(self, task: Task) -> None:
        programs = [path for path in self.weights if path.endswith(".pt2")]
        if not self.factory and len(programs) < max(1, len(self.weights)):
            raise BenchError(f"{self.name}: give factory=file.py:function, or weights=file.pt2")
        if "" in self.weights:
            raise BenchError(f"{self.label}: weights= names no file")
        if len({*self.classes}) < len(self.classes):
            raise BenchError(f"{self.label}: classes= names a class twice")
        if absent := [name for name in task.classes if self.classes and name not in self.classes]:
            raise BenchError(
                f"{self.label}: classes= lacks {', '.join(absent[:5])} of the data set; it has "
                f"{', '.join(self.classes[:10])}"
            )
        channels = self.channels or task.shape[0]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels) or not all(map(math.isfinite, values)):
                raise BenchError(f"{self.label}: {name}= takes 1 or {channels} numbers")
        if 0 in self.std:
            raise BenchError(f"{self.label}: std=0 divides by nothing")
        if self.channels not in (0, 1, 3):
            raise BenchError(f"{self.label}: channels is 0, 1 or 3, not {self.channels}")
        if self.samples < 1 or self.size < 0:
            raise BenchError(f"{self.label}: samples is at least 1, and size at least 0")
        if not 0 <= self.crop <= min(task.shape[1:]):
            raise BenchError(
                f"{self.label}: crop is from 0 to {min(task.shape[1:])}, the side of the images, "
                f"not {self.crop}"
            )


def _is_softmax(logits: Tensor) -> bool:
    return bool((logits >= 0).all() and ((logits.double().sum(-1) - 1).abs() < 1e-4).all())
