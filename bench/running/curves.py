"""Curves beside the rows: what ROC, risk-coverage, reliability and histograms are drawn from.

One JSON file for each (data set, scenario, method, seed), for the method's headline score alone,
in whole per mille so that a view takes a few hundred bytes. They are made from predictions that
are there: no network runs for a curve. This module is no part of a row's key, so that a change
here redraws and measures nothing again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import View
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.metrics import calibration, classification
from bench.metrics.detection import Ranking, Vector
from bench.scenarios.base import Scenario, ShiftScenario, answers, scored
from bench.scenarios.clean import Clean, by_target
from bench.scores import all_scores
from bench.store.cache import Key
from bench.store.code import code_digest
from bench.store.rows import read, write_json

POINTS = 50  # intervals of the axes: false alarms 0, 2 % … 100 %, and coverages 2 % … 100 %
LEVELS = 20  # bins of uncertainty, from 0 to the largest there can be


def curve_key(row: Key) -> Key:
    """Return what curves depend on: what the rows do, and the code here."""
    return Key({"row": row.digest, "code": code_digest("bench.running.curves")})


def is_current(path: Path, key: Key) -> bool:
    """Tell whether ``path`` holds the curves of ``key``."""
    record = read(path)
    return record is not None and record.get("key") == curve_key(key).digest


def save(
    path: Path, evaluator: Evaluator, scenario: Scenario, views: Sequence[View], key: Key
) -> None:
    """Write the curves of one scenario, where it has any; ``key`` is that of its rows."""
    if found := curves(evaluator, scenario, views):
        about = {"method": evaluator.label, "dataset": evaluator.data.label, "seed": evaluator.seed}
        about |= {"scenario": scenario.label, "row": key.digest, "key": curve_key(key).digest}
        write_json(path, {"schema": 1, **about, **found})


def curves(evaluator: Evaluator, scenario: Scenario, views: Sequence[View]) -> dict[str, Any]:
    """Return the curves of one scenario by name; empty where there is nothing to draw."""
    if isinstance(scenario, Clean):
        return clean_curves(evaluator)
    if isinstance(scenario, ShiftScenario):
        return shift_curves(evaluator, views)
    return {}


def clean_curves(evaluator: Evaluator) -> dict[str, Any]:
    """Return reliability (bins x count, confidence, accuracy) and the risk at each coverage.

    Risks are in units of 1e-5, for good ones are small. Targets are pooled, each answer for itself.
    """
    said, y = evaluator.predict(evaluator.clean), evaluator.test.y
    probs = answers(said)[evaluator.method.point_prediction]
    wrong = classification.errors(probs, y).T.flatten().double()
    confidence = classification.top_label(probs).confidence.T.flatten()
    unsure = by_target(all_scores()[headline(said)], said)
    return {
        "score": headline(said),
        "reliability": reliability(confidence, 1 - wrong),
        "risk": [round(1e5 * risk) for risk in risks(unsure, wrong).tolist()],
    }


def shift_curves(evaluator: Evaluator, views: Sequence[View]) -> dict[str, Any]:
    """Return, for each view, the true alarms at each share of false ones, and histograms."""
    inside = evaluator.predict(evaluator.clean)
    name, top = headline(inside), largest(inside)
    known = scored(all_scores()[name], inside)
    found = []
    for view in views:
        unknown = scored(all_scores()[name], evaluator.predict(view))
        found.append({
            "view": view.name, "severity": view.severity, "group": view.group,
            "tpr": per_mille(true_alarms(known, unknown)), "outliers": histogram(unknown, top),
        })  # fmt: skip
    return {"score": name, "inliers": histogram(known, top), "views": found}


def headline(said: Prediction) -> str:
    """Return the score a method is ranked by: vote entropy, or for one sample 1 - max p."""
    return "vote_entropy" if said.probs.shape[1] > 1 else "one_minus_max_mean_prob"


def largest(said: Prediction) -> float:
    """Return the most a headline score can be, for S samples and K classes."""
    _, samples, _, classes = said.probs.shape
    return math.log(min(samples, classes)) if samples > 1 else 1 - 1 / classes


def true_alarms(known: Tensor, unknown: Tensor) -> Vector:
    """Share of outliers flagged where 0, 1/50 … 1 of the inliers are; inliers and outliers (N,).

    Linear between the levels of the score, so that ties count half as in AUROC.
    """
    ranking = Ranking.of(known, unknown)
    false = np.append(0, ranking.inliers[::-1].cumsum())
    true = np.append(0, ranking.outliers[::-1].cumsum())
    # In integers: a point that a level meets exactly is at the upper end of its rise.
    return np.interp(np.arange(POINTS + 1) * false[-1], POINTS * false, true / true[-1])


def risks(unsure: Tensor, wrong: Tensor) -> Tensor:
    """Mean error of the most certain 1/50, 2/50 … 1 of answers, rounded up; both (N,)."""
    ranked, order = unsure.sort()
    even = calibration.mean_over_ties(wrong[order], ranked)
    kept = -(torch.arange(1, POINTS + 1) * -len(wrong) // POINTS)  # ceil, in integers
    return even.cumsum(0)[kept - 1] / kept


def reliability(confidence: Tensor, right: Tensor) -> list[list[int]]:
    """[number, mean confidence, accuracy] of each of 15 equal bins, shares per mille; (N,)."""
    bin_of = calibration.equal_width(confidence, calibration.BINS)
    counts = torch.bincount(bin_of, minlength=calibration.BINS)
    sums = [torch.bincount(bin_of, part, calibration.BINS) for part in (confidence, right)]
    means = [per_mille(part / counts.clamp_min(1)) for part in sums]
    return [list(entry) for entry in zip(counts.tolist(), *means, strict=True)]


def histogram(unsure: Tensor, top: float) -> list[int]:
    """Per mille of inputs in each of 20 equal bins of uncertainty from 0 to ``top``; (N,)."""
    bin_of = (unsure / top * LEVELS).long().clamp(0, LEVELS - 1)
    return per_mille(torch.bincount(bin_of, minlength=LEVELS) / len(unsure))


def per_mille(shares: Tensor | Vector) -> list[int]:
    """Shares in [0, 1] as whole thousandths."""
    return [round(1000 * share) for share in shares.tolist()]
