"""A network in memory as a method. It is made by ``bench.evaluate`` and has no name to type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bench.datasets.base import Task, fingerprint, generator
from bench.methods.base import State
from bench.methods.pretrained import PROBES, Pretrained


class Networks(dict[str, nn.Module]):
    """Networks by digest, while they are evaluated: parameters of a method are no networks."""

    @contextmanager
    def holding(self, net: nn.Module) -> Iterator[str]:
        """Keep a network under the digest that is yielded: of its layers and their tensors."""
        tensors = [
            part for name, value in net.state_dict().items() for part in (name, plain(value))
        ]
        mark = fingerprint(type(net).__qualname__, str(net), *tensors)
        self[mark] = net
        try:
            yield mark
        finally:
            self.pop(mark, None)


NETWORKS = Networks()


def plain(value: Any) -> Any:
    """Return a tensor of a type that numpy has; anything else as text."""
    if not isinstance(value, Tensor):
        return str(value)
    return value.float() if value.dtype == torch.bfloat16 else value


class GivenNetwork(Pretrained):
    """The network that was given to `bench.evaluate`.

    Args:
        digest: of its weights, and of what it makes of two random images.
    """

    name = "network"

    def __init__(self, *, digest: str = "", **inherited: Any) -> None:
        super().__init__(**inherited)
        self.digest = digest

    def code_modules(self) -> tuple[str, ...]:
        return (Pretrained.__module__,)

    def _loaded(self, path: str, task: Task) -> nn.Module:
        return NETWORKS[self.digest.partition("-")[0]]

    def state(self) -> State:
        return {}


def network_digest(mark: str, about: Mapping[str, Any], task: Task) -> str:
    """Return what a network in memory is known by in keys; ``mark`` is from `Networks.holding`.

    The answers to random images stand for what no weight shows: the code that it runs.

    Raises:
        BenchError: the network does not fit the data.
    """
    built = GivenNetwork(digest=mark, **about)._built(task)[0]
    probe = torch.rand(PROBES, *task.shape, generator=generator("network", "probe"))
    with torch.no_grad():
        return f"{mark}-{fingerprint(*built.outputs(probe))}"
