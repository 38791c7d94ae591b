"""What tuning a score's constant on outliers would have gained: the most that it could.

`python benchmarks/tuning.py mnist standard 1 --results DIR` takes a fit and its predictions from a
results folder where `bench run` made them, with `cross_dataset` and `corruption`. Half of the
inliers and of every shifted view choose the value of the largest mean AUROC; the other half
measures it, beside the published value. So the outliers of the choice are of the very sets that
are measured, which nobody has before the fact.
"""

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

import bench.scores.dice as dice
import bench.scores.knn as knn
import bench.scores.nnguide as nnguide
import bench.scores.react as react
import bench.scores.vim as vim
from bench.commands.experiment import Experiment
from bench.commands.measure import plan
from bench.datasets.base import View
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.metrics.detection import Ranking, auroc
from bench.running.run import fitter_for
from bench.scenarios.base import scored
from bench.scores import all_scores

SHARES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)
GRID: dict[str, tuple[Any, str, Any]] = {  # score: module, constant, values
    "knn": (knn, "K", (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    "nnguide": (nnguide, "K", (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    "react": (react, "SHARE", SHARES),
    "dice": (dice, "SHARE", (0.0, 0.1, 0.3, *SHARES)),
    "vim": (vim, "principal", [lambda features, s=s: int(s * features) for s in SHARES[:-1]]),
}
Found = dict[str, list[float]]  # kind of shift -> AUROC of each view


def main() -> None:
    """Print one line for each score with a constant."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("dataset")
    words.add_argument("method")
    words.add_argument("seed", type=int)
    words.add_argument("--results", type=Path, required=True)
    asked = words.parse_args()
    jobs, settings = plan(
        Experiment.of({
            "datasets": asked.dataset, "methods": asked.method, "seeds": str(asked.seed),
            "scenarios": "cross_dataset,corruption", "results": asked.results,
        })
    )  # fmt: skip
    job = jobs[0]
    with Console(quiet=True) as console:
        evaluator = Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))
        views = [(s.name, view) for s in job.scenarios for view in s.views(evaluator).found]
        parts = evaluator.training.parts()
        for name, (module, constant, values) in GRID.items():
            published = getattr(module, constant)
            tried = {}
            for value in (published, *values):
                setattr(module, constant, value)
                tried[_words(value)] = measured(name, evaluator, views, parts["training"])
            setattr(module, constant, published)
            show(name, _words(published), tried)


def measured(
    name: str, evaluator: Evaluator, views: list[tuple[str, View]], training: Any
) -> tuple[Found, Found]:
    """Return the AUROC by kind of shift on the half that chooses, and on the one that measures."""
    score = all_scores()[name]
    learned = score.fit(training)

    def values(view: View) -> Tensor:
        made = evaluator.predict(view)
        fresh: Prediction = replace(made, scores={}, fit_score=lambda _: learned)
        return scored(score, fresh)

    inliers = values(evaluator.clean)
    halves: tuple[Found, Found] = defaultdict(list), defaultdict(list)
    for scenario, view in views:
        outliers, kind = values(view), view.group or scenario
        for half, found in enumerate(halves):
            found[kind].append(auroc(Ranking.of(inliers[half::2], outliers[half::2])))
    return halves


def show(name: str, published: str, tried: dict[str, tuple[Found, Found]]) -> None:
    """Print the value chosen for each kind of shift, and AUROC before and after."""
    for kind in tried[published][0]:
        best = max(tried, key=lambda value: _mean(tried[value][0][kind]))
        before, after = (_mean(tried[value][1][kind]) for value in (published, best))
        print(
            f"{name:<10} {kind:<12} {published:>6} {before:.3f}   {best:>6} {after:.3f}", flush=True
        )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _words(value: float | Callable[[int], int]) -> str:
    return f"{value(256)}" if callable(value) else f"{value:g}"


if __name__ == "__main__":
    main()
