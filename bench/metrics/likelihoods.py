"""Quantities of models of the inputs, which the scenario `likelihoods` works out."""

from __future__ import annotations

from bench.metrics.registry import declared

DECLARED = (
    declared("bits_per_dim", "bits per dimension", kind="other"),
    declared("bits_inliers", "bits per dimension, inliers", kind="other"),
    declared(
        "variance_gap", "variance against inliers", kind="other", unit="%", scale=100, digits=1
    ),
)
