"""How a network was trained: kept with the fit, written into rows, drawn by the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple


class Epoch(NamedTuple):
    """One pass over the training part.

    Args:
        loss: mean of the loss that was minimised.
        val_loss: cross entropy of the single classifier on the validation part, in nats.
        val_accuracy: its accuracy there, mean over targets, in [0, 1].
    """

    loss: float
    val_loss: float
    val_accuracy: float


@dataclass(frozen=True)
class TrainingLog:
    """What a fit cost in steps, and what came of each epoch.

    Args:
        updates: gradient steps of one network.
        examples_seen: inputs in the gradient steps of all networks, prerequisites included.
        epoch_seconds: median seconds of an epoch, summed over networks.
        epochs: of the last network that was trained.
    """

    updates: int
    examples_seen: int
    epoch_seconds: float
    epochs: tuple[Epoch, ...] = ()


def summed(logs: Sequence[TrainingLog | None]) -> TrainingLog | None:
    """Return the log of several networks that make one method, or None where one has none."""
    known = [log for log in logs if log is not None]
    if not known or len(known) < len(logs):
        return None
    return replace(
        known[0],
        examples_seen=sum(log.examples_seen for log in known),
        epoch_seconds=sum(log.epoch_seconds for log in known),
    )
