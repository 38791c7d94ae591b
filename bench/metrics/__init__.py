"""Metrics: what scores, probabilities and labels say about a model, as plain numbers."""
