"""What a method costs to train, to keep and to ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from bench.datasets.base import View
from bench.fitting.evaluator import Evaluator
from bench.methods.base import Method
from bench.scenarios.base import Scenario, Views
from bench.store.schema import Headline, Row

BATCH = 32  # inputs whose activations are counted


class Cost(Scenario):
    """Seconds per epoch, parameters, memory kept, and network passes per prediction.

    A pass is one run of the method's single classifier, counted in multiplications: a
    prediction that multiplies 20 times as often counts as 20 passes, decoders included. Activations
    are what that classifier keeps of an input for its backward pass, in KiB: weights not counted.
    """

    name = "cost"
    source = "Wu et al. 2021, table 10"
    question = "What does it cost, next to one standard network?"
    tags: ClassVar[frozenset[str]] = frozenset({"cost", "paper"})
    references = ("standard",)

    def headlines(self) -> Sequence[Headline]:
        return [
            Headline("fit", "fit_seconds", board=False, order=90),
            Headline("cost / standard", "ratio_to_standard", board=False, order=90),
        ]

    def views(self, evaluator: Evaluator) -> Views:
        return Views([], {})

    def measure(self, evaluator: Evaluator, views: Sequence[View]) -> Iterator[Row]:
        fitted = evaluator.fitted()
        few = evaluator.test.floats(slice(BATCH)).to(evaluator.fitter.device)
        metrics = {
            "fit_seconds": fitted.seconds,
            "parameters": float(parameters(fitted.method.state())),
            "memory": sum(t.nbytes for t in tensors(fitted.method.state())) / 2**20,
            "passes": passes(fitted.method, few[:1]),
            "activations": activations(fitted.method, few),
        }
        own, standard = fitted.method.log, evaluator.reference("standard").fitted().method.log
        if own is not None:
            metrics["epoch_seconds"] = own.epoch_seconds
            if standard is not None:
                metrics["ratio_to_standard"] = own.epoch_seconds / standard.epoch_seconds
        yield Row("cost", 1, metrics)


def parameters(state: object) -> int:
    """Return how many floating-point numbers a fitted method keeps."""
    return sum(tensor.numel() for tensor in tensors(state) if tensor.is_floating_point())


def tensors(state: object) -> Iterator[Tensor]:
    """Yield every tensor that a fitted method keeps."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, Mapping):
        yield from (tensor for part in state.values() for tensor in tensors(part))
    elif isinstance(state, list | tuple):
        yield from (tensor for part in state for tensor in tensors(part))


def passes(method: Method, x: Tensor) -> float:
    """Return how many runs of the single classifier one prediction of ``x`` amounts to."""
    single = multiplications(method.single_classifier(), x)
    return multiplications(method.predict_proba, x) / single if single else 0.0


def activations(method: Method, x: Tensor) -> float:
    """Return what the single classifier keeps of an input for the backward pass, KiB."""
    kept: dict[int, int] = {}
    net = method.single_classifier()
    weights = {one.untyped_storage().data_ptr() for one in net.parameters()}

    def pack(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.enable_grad(), saved_tensors_hooks(pack, lambda saved: saved):
        output = net(x)  # holds what was saved: no address is used twice
    del output
    return sum(n for place, n in kept.items() if place not in weights) / len(x) / 2**10


@torch.no_grad()
def multiplications(function: nn.Module | object, x: Tensor) -> int:
    """Return the floating-point operations of ``function(x)`` in matrix products."""
    with torch.random.fork_rng(devices=[]), FlopCounterMode(display=False) as counter:
        torch.manual_seed(0)
        function(x)  # type: ignore[operator]
    return counter.get_total_flops()
