"""Scores: how unsure, from predictions already made. A new score is one function in one file.

Higher always means less sure. Every score object in a module of this package is found.
"""

from bench.scores.base import Score, all_scores, score

__all__ = ["Score", "all_scores", "score"]
