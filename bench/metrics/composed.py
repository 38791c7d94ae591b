"""Quantities of compositions of corruptions, which the scenario `composed` works out."""

from __future__ import annotations

from bench.metrics.registry import declared

DECLARED = (
    declared("mean_uncertainty", "mean uncertainty", kind="alarm"),
    declared("growth", "growth with the number", better="higher", kind="alarm"),
    declared("invariance", "cosine with the plain image", kind="other"),
)
