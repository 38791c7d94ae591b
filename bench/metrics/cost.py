"""What a method costs: quantities that the scenario `cost` works out."""

from __future__ import annotations

from bench.metrics.registry import declared

DECLARED = (
    declared("fit_seconds", "fit", kind="cost", unit="s", digits=1),
    declared("epoch_seconds", "epoch", kind="cost", unit="s", digits=2),
    declared("ratio_to_standard", "cost / standard", kind="cost", digits=1),
    declared("parameters", "parameters", kind="cost", digits=0),
    declared("memory", "memory kept", kind="cost", unit="MiB", digits=1),
    declared("passes", "network passes", kind="cost", digits=1),
    declared("activations", "activations kept", kind="cost", unit="KiB", digits=1),
)
