"""Training in several phases, which together make the gradient steps of one network."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.datasets.base import Split, Task, derive_seed

from .augmentation import augmented
from .nets import Classifier
from .neural import DeepMethod, Net
from .training import (
    Batch,
    Loss,
    Recipe,
    Step,
    batch_size,
    check_finite,
    seeded,
    threads_for,
    train,
    validation,
)
from .training_log import Epoch, TrainingLog

AT_PEAK = 0.3  # share of a cycle at which `training.one_cycle` is at its peak


def epochs_of(recipe: Recipe, n: int) -> int:
    """Return the passes over n inputs that `training.train` makes."""
    steps = n // batch_size(recipe.batch, n)
    return max(recipe.epochs, math.ceil(recipe.min_updates / steps))


def parts(whole: int, count: int) -> list[int]:
    """Return ``count`` whole numbers that add up to ``whole`` and differ by one at most."""
    return [whole // count + (i < whole % count) for i in range(count)]


def started(make: Callable[[], Net], device: torch.device, seed: int) -> Net:
    """Return an untrained network with the initial weights of a seed, those of `standard`."""
    with seeded(torch.device("cpu"), "weights", seed):
        net = make()
    return net.to(device)


def loss_of(method: DeepMethod[Any], net: nn.Module, task: Task) -> Loss:
    """Return the method's loss of a batch, whose inputs are augmented where the method does so."""

    def loss(batch: Batch) -> Tensor:
        x = augmented(batch.x, task.harmless) if method.augments() else batch.x
        return method.loss(net, batch._replace(x=x))

    return loss


def train_cycle(
    method: DeepMethod[Any], net: Classifier, split: Split, val: Split, *, epochs: int, seed: int
) -> TrainingLog:
    """Train a network, by the method's loss, for one cycle of the learning rate."""
    recipe = replace(method.recipe(), epochs=epochs, min_updates=0)
    validate = partial(validation, net, val, recipe.precision)
    loss = loss_of(method, net, split.task)
    return train(net, loss, split, recipe, seed=seed, validate=validate)


def train_at_constant_rate(
    method: DeepMethod[Any],
    net: Classifier,
    split: Split,
    val: Split,
    *,
    epochs: int,
    lr: float,
    seed: int,
    after: Callable[[int, int], None],
) -> TrainingLog:
    """Train a network, by the method's loss, at one rate; return the log.

    Args:
        method: gives loss and recipe.
        net: is trained on in place.
        split: the training part.
        val: the validation part, which is only looked at.
        epochs: passes over the training part.
        lr: the rate.
        seed: of the order of the data and of what the loss draws.
        after: called after every update with the updates done and those in all.

    Raises:
        RuntimeError: the loss is no longer a finite number.
    """
    recipe, device = replace(method.recipe(), lr=lr), split.x.device
    size = batch_size(recipe.batch, len(split))
    steps = len(split) // size
    updates, labels = epochs * steps, split.y.long()
    step = Step(net, loss_of(method, net, split.task), recipe, device)
    order = torch.Generator().manual_seed(derive_seed("order", "constant rate", seed))
    seconds, log = [], []
    with threads_for(size), seeded(device, "constant rate", seed):
        for epoch in range(epochs):
            start = time.perf_counter()
            net.train()
            rows = torch.randperm(len(split), generator=order).to(device)
            total = torch.zeros((), device=device)
            for i, part in enumerate(rows[: steps * size].split(size)):
                x, y = split.floats(part), labels[part]
                total += step(Batch(x, y, y[:, :0], AT_PEAK, len(split)))
                after(epoch * steps + i + 1, updates)
            check_finite(total.item(), epoch, epochs)
            seconds.append(time.perf_counter() - start)
            net.eval()
            log.append(Epoch(total.item() / steps, *validation(net, val, recipe.precision)))
    return TrainingLog(updates, updates * size, statistics.median(seconds), tuple(log))


def joined(logs: Sequence[TrainingLog]) -> TrainingLog:
    """Return the log of one network that was trained in several phases."""
    return TrainingLog(
        sum(log.updates for log in logs),
        sum(log.examples_seen for log in logs),
        statistics.median(log.epoch_seconds for log in logs),
        tuple(epoch for log in logs for epoch in log.epochs),
    )
