"""Quantities of calibration after the fact, which the scenario `recalibration` works out."""

from __future__ import annotations

from bench.metrics.registry import declared

TEMPERATURE = declared("temperature", "temperature", kind="other")
