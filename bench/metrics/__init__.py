"""Metrics: what scores, probabilities and labels say about a model, as plain numbers.

A new metric is one function in one file: `bench.metrics.registry` says how.
"""

from bench.metrics.registry import declared, metric, specs

__all__ = ["declared", "metric", "specs"]
