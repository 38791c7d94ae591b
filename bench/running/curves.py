"""Curves beside the rows: what ROC, risk-coverage, reliability and histograms are drawn from.

One file for each (data set, scenario, method, seed), for predictive entropy and for the method's
own score, in whole per mille so that a view takes a few hundred bytes. They are made from
predictions that are there: no network runs for a curve. This module is no part of a row's key, so
that a change here redraws and measures nothing again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.datasets.base import View
from bench.fitting.evaluator import Evaluator
from bench.fitting.prediction import Prediction
from bench.methods.training_log import TrainingLog
from bench.metrics import calibration, classification
from bench.metrics.detection import Ranking, Vector
from bench.scenarios.base import Scenario, answers, scored
from bench.scenarios.clean import Clean, by_target
from bench.scenarios.recalibration import Recalibrated, calibrated, fitted_maps
from bench.scenarios.selective import Selective, asked
from bench.scenarios.shifted import point
from bench.scores import all_scores
from bench.scores.own import own_score
from bench.store import curves as files
from bench.store.cache import Key
from bench.store.code import code_digest
from bench.store.curves import LEVELS, POINTS, CurveFile, ScoreCurves, ViewCurves, ViewRisk
from bench.store.schema import RANKED_BY


def curve_key(row: Key) -> Key:
    """Return what curves depend on: what the rows do, and the code here."""
    return Key({"row": row.digest, "code": code_digest("bench.running.curves")})


def is_current(path: Path, key: Key) -> bool:
    """Tell whether ``path`` holds the curves of ``key``."""
    try:
        return files.read(path).key == curve_key(key).digest
    except (OSError, ValueError):
        return False


def save(
    path: Path, evaluator: Evaluator, scenario: Scenario, views: Sequence[View], key: Key
) -> None:
    """Write the curves of one scenario, where it has any; ``key`` is that of its rows."""
    bins: list[files.Bin] = []
    training: list[tuple[float, float, float]] = []
    recalibrated: dict[str, list[files.Bin]] = {}
    scores: list[ScoreCurves] = []
    if isinstance(scenario, Clean):
        bins, scores = clean_curves(evaluator)
        training = training_curve(evaluator.fitted().method.log)
    elif isinstance(scenario, Recalibrated):
        recalibrated = recalibrated_curves(evaluator)
    elif isinstance(scenario, Selective):
        scores = selective_curves(scenario, evaluator, views)
    elif scenario.detects:
        scores = shift_curves(evaluator, views)
    if scores or recalibrated:
        curves = CurveFile(
            method=evaluator.label, dataset=evaluator.data.label, seed=evaluator.seed,
            scenario=scenario.label, row=key.digest, key=curve_key(key).digest,
            reliability=bins, recalibrated=recalibrated, training=training, scores=scores,
        )  # fmt: skip
        files.save(path, curves)


def training_curve(log: TrainingLog | None) -> list[tuple[float, float, float]]:
    """Return the epochs of a log, to five digits; none where nothing was trained."""
    epochs = () if log is None else log.epochs
    return [(round(e.loss, 5), round(e.val_loss, 5), round(e.val_accuracy, 5)) for e in epochs]


def drawn_scores(prediction: Prediction) -> list[str]:
    """Return the scores that curves are made for: the one of the boards, and the method's own."""
    return list(dict.fromkeys([RANKED_BY, own_score(prediction.probs)]))


def clean_curves(evaluator: Evaluator) -> tuple[list[files.Bin], list[ScoreCurves]]:
    """Return the reliability of the point prediction, and the risk at each coverage by score.

    Risks are in units of 1e-5, for good ones are small. Targets are pooled, each for itself.
    """
    prediction, y = evaluator.predict(evaluator.clean), evaluator.test.y
    probs = answers(prediction)[evaluator.method.point_prediction]
    wrong = classification.errors(probs, y).T.flatten().double()
    confidence = classification.top_label(probs).confidence.T.flatten()
    of_scores = []
    for name in drawn_scores(prediction):
        unsure = by_target(all_scores()[name], prediction)
        risk = [round(1e5 * risk) for risk in risks(unsure, wrong).tolist()]
        of_scores.append(ScoreCurves(name, risk=risk))
    return reliability(confidence, 1 - wrong), of_scores


def recalibrated_curves(evaluator: Evaluator) -> dict[str, list[files.Bin]]:
    """Return the reliability on the test part, before and after each calibration."""
    answers, y = point(evaluator, evaluator.predict(evaluator.clean)), evaluator.test.y
    found = {}
    for name, probs in calibrated(fitted_maps(evaluator), answers).items():
        confidence = classification.top_label(probs).confidence.T.flatten()
        right = 1 - classification.errors(probs, y).T.flatten().double()
        found[name] = reliability(confidence, right)
    return found


def selective_curves(
    scenario: Selective, evaluator: Evaluator, views: Sequence[View]
) -> list[ScoreCurves]:
    """Return the risk at each coverage of every view by score, in units of 1e-5."""
    of_scores = []
    for score in scenario.chosen(evaluator.predict(evaluator.clean)):
        of_views = []
        for view, prediction in scenario.each(evaluator, views):
            unsure, refused = asked(evaluator, score, view, prediction)
            risk = [round(1e5 * risk) for risk in risks(unsure, refused.double()).tolist()]
            of_views.append(ViewRisk(view.name, view.severity, view.group, risk))
        of_scores.append(ScoreCurves(score.name, risks=of_views))
    return of_scores


def shift_curves(evaluator: Evaluator, views: Sequence[View]) -> list[ScoreCurves]:
    """Return, by score and view, the true alarms at each share of false ones, and histograms."""
    inside = evaluator.predict(evaluator.clean)
    of_scores = []
    for name in drawn_scores(inside):
        score, top = all_scores()[name], largest(name, inside)
        known = scored(score, inside)
        of_views = []
        for view in views:
            unknown = scored(score, evaluator.predict(view))
            tpr, bins = per_mille(true_alarms(known, unknown)), histogram(unknown, top)
            of_views.append(ViewCurves(view.name, view.severity, view.group, tpr, bins))
        of_scores.append(ScoreCurves(name, histogram(known, top), of_views))
    return of_scores


def largest(score: str, prediction: Prediction) -> float:
    """Return the most that a drawn score can be, for S samples and K classes."""
    _, samples, _, classes = prediction.probs.shape
    if score == "one_minus_max_mean_prob":
        return 1 - 1 / classes
    return math.log(min(samples, classes) if score == "vote_entropy" else classes)


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


def reliability(confidence: Tensor, right: Tensor) -> list[files.Bin]:
    """[number, mean confidence, accuracy] of each of 15 equal bins, shares per mille; (N,)."""
    bin_of = calibration.equal_width(confidence, calibration.BINS)
    counts = torch.bincount(bin_of, minlength=calibration.BINS)
    sums = [torch.bincount(bin_of, part, calibration.BINS) for part in (confidence, right)]
    means = [per_mille(part / counts.clamp_min(1)) for part in sums]
    return list(zip(counts.tolist(), *means, strict=True))


def histogram(unsure: Tensor, top: float) -> list[int]:
    """Per mille of inputs in each of 20 equal bins of uncertainty from 0 to ``top``; (N,)."""
    bin_of = (unsure / top * LEVELS).long().clamp(0, LEVELS - 1)
    return per_mille(torch.bincount(bin_of, minlength=LEVELS) / len(unsure))


def per_mille(shares: Tensor | Vector) -> list[int]:
    """Shares in [0, 1] as whole thousandths."""
    return [round(1000 * share) for share in shares.tolist()]
