"""Scores: how unsure, from predictions already made. A new score is one function in one file.

Higher always means less sure. Every `Score` in a module of this package or of a plug-in is found.
"""

from bench.scores.base import Evidence, Score, Unavailable, all_scores, score

__all__ = ["Evidence", "Score", "Unavailable", "all_scores", "score"]
