"""Scenarios over the views of other scenarios: operating points."""

import numpy as np
import pytest
import torch

import bench.scenarios.base as base
from bench.datasets.digits import Digits
from bench.discover import UnknownNameError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.methods.standard import Standard
from bench.scenarios.adversarial import Adversarial
from bench.scenarios.corruption import Corruption
from bench.scenarios.cross_dataset import CrossDataset
from bench.scenarios.operating import Operating
from bench.store.cache import Cache

NET = {"blocks": 2, "width": 16, "epochs": 1, "min_updates": 60}


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory):
    """A small network on digits with all its predictions."""
    cache = Cache(tmp_path_factory.mktemp("shifted"))
    fitter = Fitter(Digits(), 0, "smoke", torch.device("cpu"), cache, Console(quiet=True))
    return Evaluator("standard", Standard(**NET), 0, fitter)


@pytest.fixture(scope="module")
def rows(evaluator):
    scenario = Operating(cap=64)
    return list(scenario.measure(evaluator, scenario.views(evaluator).found))


def test_views_are_the_very_ones_of_the_scenarios_they_come_from(evaluator):
    own = {v.fingerprint for v in Operating(cap=64).views(evaluator).found}
    smoke = Adversarial(**Adversarial.defaults("smoke"))
    others = [CrossDataset(cap=64), Corruption(cap=64), smoke]
    assert own == {v.fingerprint for s in others for v in s.views(evaluator).found}


def test_groups_are_the_families_of_the_views(evaluator):
    views = Operating(cap=64).views(evaluator).found
    groups = {view.name: view.group for view in views}
    assert groups["letters"] == "near"
    assert groups["noise"] == "far"
    assert groups["fog"] == "corruption"
    assert groups["fgsm"] == "attack"


def test_thresholds_come_from_the_validation_part_alone(evaluator, rows):
    said = evaluator.predict(evaluator.validation)
    score = base.all_scores()["predictive_entropy"]
    known = np.sort(base.scored(score, said).numpy())
    (clean,) = [r for r in rows if (r.view, r.score) == ("clean", score.name)]
    assert clean.metrics["threshold_5"] == known[114]  # ⌈121 · 0.95⌉ = 115
    tested = base.scored(score, evaluator.predict(evaluator.clean)).numpy()
    assert clean.metrics["flagged_5"] == (tested > known[114]).mean()
    assert clean.metrics["chance_5_low"] < 0.05 < clean.metrics["chance_5_high"]


def test_every_view_has_shares_and_those_with_labels_the_shares_of_right_answers(rows):
    for row in rows:
        metrics = row.metrics
        assert metrics["flagged_1"] <= metrics["flagged_5"] <= metrics["flagged_10"]
        assert metrics["flagged_5_low"] <= metrics["flagged_5"] <= metrics["flagged_5_high"]
        known = any(name.startswith(("right", "wrong")) for name in metrics)
        assert known == (row.group not in ("near", "far"))


def test_scores_are_the_ranking_one_the_own_one_and_those_asked_for(evaluator, rows):
    assert {row.score for row in rows} == {"predictive_entropy", "one_minus_max_mean_prob"}
    scenario = Operating(cap=8, scores=("knn", "decoding_error"))
    clean = evaluator.predict(evaluator.clean)
    assert "knn" in {score.name for score in scenario.chosen(clean)}
    assert "decoding_error" not in {score.name for score in scenario.chosen(clean)}  # it has none
    with pytest.raises(UnknownNameError, match=r"unknown score 'kn'. Did you mean 'knn'"):
        Operating(scores=("kn",)).views(evaluator)


def test_a_rate_that_validation_is_too_small_for_is_left_out_with_the_reason(
    evaluator, monkeypatch
):
    monkeypatch.setattr("bench.scenarios.operating.needed", lambda rate: round(400 * rate / 0.01))
    found = Operating(cap=8).views(evaluator).missing
    assert found["1 % false alarms"] == "needs 400 validation inliers; there are 120"


def test_a_score_that_is_not_finite_names_method_and_score(evaluator, monkeypatch):
    monkeypatch.setattr(
        "bench.scenarios.operating.scored",
        lambda score, said: torch.full((len(said.probs),), float("nan")),
    )
    scenario = Operating(cap=8)
    with pytest.raises(ValueError, match="standard, predictive_entropy: 120 of 120 validation un"):
        list(scenario.measure(evaluator, []))
