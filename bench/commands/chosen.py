"""The score that a command is asked to judge methods by."""

from __future__ import annotations

from bench.discover import unknown
from bench.errors import UsageError
from bench.fitting.evaluator import Evaluator
from bench.running.run import headline_score
from bench.scenarios.base import why_not
from bench.scores import Score, all_scores
from bench.store.schema import OWN, RANKED_BY


def check_score(name: str) -> None:
    """Refuse a name that is neither a score nor `OWN`.

    Raises:
        UnknownNameError: suggests one.
    """
    if name not in (known := all_scores()) and name != OWN:
        raise unknown("score", name, [*known, OWN])


def score_of(evaluator: Evaluator, name: str) -> Score:
    """Return a score of a fitted method, by name or its own.

    Raises:
        UsageError: the method lacks it; says why.
    """
    if name == OWN:
        name = headline_score(evaluator) or RANKED_BY
    score = all_scores()[name]
    if reason := why_not(score, evaluator.predict(evaluator.clean)):
        raise UsageError(
            f"{evaluator.label} has no {name}, which {reason}; choose another with --score"
        )
    return score
