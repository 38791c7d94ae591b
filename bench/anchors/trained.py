"""Networks that are trained as a paper or its code says."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.datasets.base import Split, Task
from bench.methods.base import Method, Outputs, State
from bench.methods.training import check_finite, cross_entropy, on_epoch, seeded, threads_for
from bench.methods.training_log import TrainingLog

MARGIN = 2  # pixels that the harness pads MNIST with on each side


class Network(nn.Module):
    """Images (n, 1, 32, 32), whose padding is cut off, to logits (n, T, K) of one target."""

    def __init__(self, body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x)).unsqueeze(1)

    def features(self, x: Tensor) -> Tensor:
        """Return the input of the last layer, (n, F)."""
        return self.body(x[..., MARGIN:-MARGIN, MARGIN:-MARGIN])


class Trained(Method):
    """A network on MNIST's 60 000 training images, as others trained it: a subclass says how.

    Nothing is chosen, so the validation part is trained on as well.
    """

    source = "-"
    batch: ClassVar[int]
    epochs: ClassVar[int]
    net: Network | None = None

    @abstractmethod
    def build(self) -> Network:
        """Return the untrained network; the global generator is seeded."""

    @abstractmethod
    def optimizer(self, net: Network) -> Optimizer:
        """Return what makes the steps."""

    @abstractmethod
    def rate(self, progress: float) -> float:
        """Return the learning rate after a share of all steps, in [0, 1)."""

    @property
    def tuned(self) -> str:
        return "published"

    def fit(
        self,
        train: Split,
        val: Split,
        *,
        seed: int,
        prerequisites: Mapping[str, Sequence[Method]] | None = None,
    ) -> Self:
        x, y = torch.cat([train.x, val.x]), torch.cat([train.y, val.y]).long()
        with seeded(torch.device("cpu"), self.name, seed), threads_for(self.batch):
            self.net = self.build().to(x.device)
            start = time.perf_counter()
            updates = self._minimise(self.net.train(), Split(x, y, train.task, ""))
            seconds = (time.perf_counter() - start) / self.epochs
        self.net.eval()
        self.log = TrainingLog(updates, updates * self.batch, seconds)
        return self

    def _minimise(self, net: Network, data: Split) -> int:
        """Minimise the cross entropy, and return the number of steps."""
        optimizer, steps = self.optimizer(net), len(data) // self.batch
        for epoch in range(self.epochs):
            total = torch.zeros((), device=data.x.device)
            rows = torch.randperm(len(data))[: steps * self.batch].to(data.x.device)
            for i, part in enumerate(rows.split(self.batch)):
                for group in optimizer.param_groups:
                    group["lr"] = self.rate((epoch * steps + i) / (self.epochs * steps))
                loss = cross_entropy(net(data.floats(part)), data.y[part])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.detach()
            check_finite(total.item(), epoch, self.epochs)
            if report := on_epoch.get():
                report(epoch + 1, self.epochs)
        return self.epochs * steps

    def single_classifier(self) -> nn.Module:
        return self.fitted(self.net)

    def predict_proba(self, x: Tensor) -> Tensor:
        return self.single_classifier()(x).softmax(-1).unsqueeze(1)

    def logits_and_features(self, x: Tensor) -> Outputs:
        net = self.fitted(self.net)
        features = net.features(x)
        return Outputs(net.head(features).unsqueeze(1), features)

    def linear_head(self) -> tuple[Tensor, Tensor]:
        head = self.fitted(self.net).head
        return head.weight, head.bias

    def state(self) -> State:
        tensors = self.fitted(self.net).state_dict()
        return {"net": {name: value.detach().cpu() for name, value in tensors.items()}}

    def load_state(self, state: State, task: Task) -> Self:
        with seeded(torch.device("cpu"), self.name):
            net = self.build()
        net.load_state_dict(state["net"])  # type: ignore[arg-type]
        self.net = net.eval()
        return self


def linear_layers(net: nn.Module) -> Iterator[nn.Linear]:
    """Yield the linear layers of a network, in order."""
    return (layer for layer in net.modules() if isinstance(layer, nn.Linear))
