"""``bench explore --units``: what every unit of the last hidden layer does, as one HTML page.

For each unit its activity on test inputs, corruptions, attacks and outliers, the inputs that
drive it most in each, its tuning to classes, and how often it is outside the range that training
has shown. The page needs no server.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.datasets.base import as_bytes
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.gallery import examples, privacy
from bench.gallery.examples import Examples
from bench.gallery.explore import render
from bench.metrics.detection import detection
from bench.running.plan import Job
from bench.running.run import Settings, fitter_for, prepare
from bench.scenarios.base import scored
from bench.scores import all_scores
from bench.scores.units import Ranges, outside
from bench.store import files
from bench.store.schema import RANKED_BY

SCORE = "units_outside"
INPUTS = 150  # of each group
BYTES = 3_500_000  # of all inputs together; base64 makes four thirds of it
MOST = 256  # units: those that are outside their range on outliers most often
DRIVING = 4  # inputs of each group that drive a unit most
STRENGTH = 0.1  # of FGSM, in units of the pixel range
CORRUPTIONS = 5
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def write(job: Job, settings: Settings, console: Console, path: Path) -> None:
    """Write the page of a job's method to ``path``, fitting it first if need be.

    Raises:
        UsageError: the method has no hidden features; or the page would show people where it could
            be committed.
        WriteError: the page cannot be written.
    """
    examples.must_have_pictures(job.data)
    privacy.must_stay_private(job.data, path)
    prepare([job], settings)
    evaluator = Evaluator(job.label, job.method, job.seed, fitter_for(job, settings, console))
    if evaluator.predict(evaluator.clean).features is None:
        raise UsageError(
            f"{job.label} has no hidden units to show; methods that have: standard, decnn, redecnn"
        )
    shown = chosen(evaluator)
    facts = about(evaluator, shown, settings.preset)
    files.write(path, render("units", about=facts, pixels=pixels(shown)))


def chosen(evaluator: Evaluator) -> list[Examples]:
    """Return the inputs of the page, group by group: as many test inputs as of any other."""
    test = evaluator.test
    changed = CORRUPTIONS + 1
    few = BYTES // (test.x[0].numel() * (1 + changed + len(examples.outliers(evaluator, 1))))
    most = max(DRIVING, min(INPUTS, few))
    rows = torch.linspace(0, len(test) - 1, min(most, len(test))).long()
    return [
        examples.clean(test, rows),
        *examples.corrupted(evaluator, rows, CORRUPTIONS),
        *examples.adversarial(evaluator, rows, (STRENGTH,)),
        *examples.outliers(evaluator, most),
    ]


def pixels(shown: Sequence[Examples]) -> str:
    """Return all inputs, one after the other, a byte a value, as base64."""
    return base64.b64encode(torch.cat([as_bytes(s.x) for s in shown]).numpy().tobytes()).decode()


def about(evaluator: Evaluator, shown: Sequence[Examples], preset: str) -> dict[str, Any]:
    """Return all facts of the page: of the method, the groups and each unit."""
    score = all_scores()[SCORE]
    known: Ranges = evaluator.training.fit_score(score)
    said = [evaluator.predict(group.view) for group in shown]
    foreign = [i for i, group in enumerate(shown) if group.group == "outliers"] or [len(shown) - 1]
    away = [outside(of(p).double(), known).double().mean(0) for p in said]
    order = torch.stack([away[i] for i in foreign]).mean(0).argsort(descending=True, stable=True)
    return {
        "method": evaluator.label,
        "data": evaluator.data.label,
        "seed": evaluator.seed,
        "preset": preset,
        "shape": evaluator.data.task.shape,
        "classes": evaluator.data.task.classes if evaluator.test.y.shape[1] == 1 else [],
        "people": privacy.shows_people(evaluator.data),
        "all": len(order),
        "groups": [
            {"name": g.name, "group": g.group, "n": len(g.x), **_told(said[0], p)}
            for g, p in zip(shown, said, strict=True)
        ],
        "units": [_unit(int(u), shown, said, away, known) for u in order[:MOST]],
    }


def of(prediction: Prediction) -> Tensor:
    """Return the features (N, F) of a prediction that has some."""
    assert prediction.features is not None
    return prediction.features


def _told(inliers: Prediction, outliers: Prediction) -> dict[str, float]:
    """Return how well a group is told from the test inputs of the page, by two scores."""
    scores = {"units": SCORE, "entropy": RANKED_BY}
    found = {}
    for key, name in scores.items():
        score = all_scores()[name]
        ranked = detection(scored(score, inliers), scored(score, outliers))
        found[key] = round(ranked["auroc"], 3)
    return found


def _unit(
    unit: int, shown: Sequence[Examples], said: Sequence[Prediction], away: Sequence[Tensor],
    known: Ranges,
) -> dict[str, Any]:  # fmt: skip
    """Return what one unit does: numbers for each group, rounded to what a page can show."""
    activity = [of(p)[:, unit].double() for p in said]
    at = torch.tensor(QUANTILES, dtype=torch.float64)
    y, clean = shown[0].y, activity[0]
    tuning = []
    if y is not None and y.shape[1] == 1:
        classes = range(int(y.max()) + 1)
        tuning = [_rounded(clean[y[:, 0] == k].mean()) if (y == k).any() else None for k in classes]
    starts = torch.tensor([0, *(len(g.x) for g in shown)]).cumsum(0).tolist()
    return {
        "unit": unit,
        "low": _rounded(known.low[unit]),
        "high": _rounded(known.high[unit]),
        "weight": _rounded(known.weight[unit]),
        "outside": [_rounded(part[unit]) for part in away],
        "quantiles": [[_rounded(q) for q in part.quantile(at)] for part in activity],
        "driven": [
            [start + int(i) for i in part.argsort(descending=True, stable=True)[:DRIVING]]
            for start, part in zip(starts, activity, strict=False)
        ],
        "tuning": tuning,
    }


def _rounded(value: Tensor) -> float:
    return float(f"{float(value):.3g}")
