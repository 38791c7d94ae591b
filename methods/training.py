"""The training loop of every neural method.

Data stays on the device as bytes; only a batch, gathered by index, becomes floats.
Nothing in the loop waits for the device: losses are summed there and read once an epoch.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.datasets.base import Split, derive_seed

from .training_log import Epoch, TrainingLog

Precision = Literal["auto", "float32", "bfloat16"]
SMALL_BATCH = 128
VALIDATED = 1000  # inputs at once


class Batch(NamedTuple):
    """What one update learns from, and how far training is.

    Args:
        x: inputs (n, C, H, W), float32 in [0, 1].
        y: labels (n, T).
        attributes: further attributes of the inputs, (n, A); A is 0 where the data has none.
        progress: share of all updates done so far, in [0, 1).
        n_train: number of inputs in the training part.
    """

    x: Tensor
    y: Tensor
    attributes: Tensor
    progress: float
    n_train: int


Loss = Callable[[Batch], Tensor]
Validate = Callable[[], tuple[float, float]]
"""Returns cross entropy and accuracy of the network as it is; it draws no random number."""

on_epoch: ContextVar[Callable[[int, int], None] | None] = ContextVar("on_epoch", default=None)
"""Called with (epochs done, epochs in all) after every epoch, if set."""


@dataclass(frozen=True)
class Recipe:
    """How to minimise a loss: AdamW with a one-cycle rate and clipped gradients."""

    epochs: int
    min_updates: int
    batch: int
    lr: float
    weight_decay: float
    clip: float
    precision: Precision


def batch_size(largest: int, n: int) -> int:
    """Return the largest power of two up to ``largest`` that makes 16 batches of n inputs."""
    return min(largest, n, max(16, 2 ** int(math.log2(max(1, n // 16)))))


def has_bfloat16_units(device: torch.device) -> bool:
    """Return whether the device has units for matrix products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in checks)


def resolve_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """Return the type of the matrix products in training; "auto" asks the hardware."""
    if precision == "auto":
        return torch.bfloat16 if has_bfloat16_units(device) else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]


def one_cycle(progress: float, peak: float) -> float:
    """Return the learning rate after a share ``progress`` of the updates.

    Half a cosine up from peak / 25 during the first 30 %, then half a cosine down to about 0.
    """
    low, high, share = (
        (peak / 25, peak, progress / 0.3)
        if progress < 0.3
        else (peak / 1e4, peak, (1 - progress) / 0.7)
    )
    return low + (high - low) * (1 - math.cos(math.pi * share)) / 2


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Cross entropy in nats, mean over inputs and targets; (n, T, K) and (n, T) -> ()."""
    return functional.cross_entropy(logits.flatten(0, 1).float(), y.flatten())


@contextmanager
def seeded(device: torch.device, *parts: object) -> Iterator[None]:
    """Seed the global generators from names, and restore them afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derive_seed(*parts))
        yield


@contextmanager
def threads_for(size: int) -> Iterator[None]:
    """Use one CPU thread for small batches, which are too little work to share.

    On a busy machine, threads that wait for each other take forty times as long.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if size <= SMALL_BATCH else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train(
    net: nn.Module,
    loss: Loss,
    split: Split,
    recipe: Recipe,
    *,
    seed: int,
    validate: Validate,
) -> TrainingLog:
    """Minimise ``loss`` over the parameters of ``net`` in place; return the log of it.

    The same seed gives the same parameters, bit for bit on one CPU with one number of threads.
    Validation is only looked at: it changes nothing.

    Raises:
        RuntimeError: the loss is no longer a finite number.
    """
    size = batch_size(recipe.batch, len(split))
    steps = len(split) // size  # the few inputs left over are others in every epoch
    epochs = max(recipe.epochs, math.ceil(recipe.min_updates / steps))
    step = Step(net, loss, recipe, split.x.device)
    labels = split.y.long()
    attributes = split.y[:, :0] if split.attributes is None else split.attributes.to(split.x.device)
    order = torch.Generator().manual_seed(derive_seed("order", seed))  # the same on every device
    seconds, log = [], []
    net.train()
    with threads_for(size), seeded(split.x.device, "training", seed):
        for epoch in range(epochs):
            start = time.perf_counter()
            rows = torch.randperm(len(split), generator=order).to(split.x.device)
            total = torch.zeros((), device=split.x.device)
            for i, part in enumerate(rows[: steps * size].split(size)):
                progress = (epoch * steps + i) / (epochs * steps)
                x, y, others = split.floats(part), labels[part], attributes[part]
                total += step(Batch(x, y, others, progress, len(split)))
            check_finite(total.item(), epoch, epochs)
            seconds.append(time.perf_counter() - start)
            net.eval()
            log.append(Epoch(total.item() / steps, *validate()))
            net.train()
            if report := on_epoch.get():
                report(epoch + 1, epochs)
    net.eval()
    updates = epochs * steps
    return TrainingLog(updates, updates * size, statistics.median(seconds), tuple(log))


@torch.no_grad()
def validation(classifier: nn.Module, part: Split, precision: Precision) -> tuple[float, float]:
    """Return cross entropy, in nats, and accuracy of a classifier in eval mode on a part."""
    device = part.x.device
    dtype = resolve_precision(precision, device)
    loss = torch.zeros((), device=device)
    right = torch.zeros((), device=device)
    with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
        for rows in torch.arange(len(part), device=device).split(VALIDATED):
            logits, y = classifier(part.floats(rows)).float(), part.y[rows].long()
            loss += cross_entropy(logits, y) * len(rows)
            right += (logits.argmax(-1) == y).float().mean(1).sum()
    return float(loss) / len(part), float(right) / len(part)


class Step:
    """One update of a network's parameters from one batch."""

    def __init__(self, net: nn.Module, loss: Loss, recipe: Recipe, device: torch.device) -> None:
        self.parameters = list(net.parameters())
        self.loss = loss
        self.recipe = recipe
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True
        )
        dtype = resolve_precision(recipe.precision, device)
        # Every step enters it anew: leaving it drops the bfloat16 copies of the last weights.
        self.autocast = torch.autocast(device.type, dtype, enabled=dtype is not torch.float32)

    def __call__(self, batch: Batch) -> Tensor:
        """Update and return the loss before it, still on its device."""
        with self.autocast:
            loss = self.loss(batch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip, foreach=True)
        self.optimizer.param_groups[0]["lr"] = one_cycle(batch.progress, self.recipe.lr)
        self.optimizer.step()
        return loss.detach()


def check_finite(total: float, epoch: int, epochs: int) -> None:
    """Raise if the summed loss of an epoch is NaN or infinite."""
    if not math.isfinite(total):
        raise RuntimeError(
            f"the training loss became {total} in epoch {epoch + 1} of {epochs}; "
            "lower lr, alpha or beta, or train with precision=float32"
        )
