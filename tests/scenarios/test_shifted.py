"""Scenarios over the views of other scenarios: thresholds, calibration, sets, refusals."""

import numpy as np
import pytest
import torch

import bench.scenarios.base as base
from bench.datasets.digits import Digits
from bench.errors import BenchError, UnknownNameError, UsageError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.fitting.recalibration import TemperatureScaling
from bench.methods.standard import Standard
from bench.metrics import selective
from bench.metrics.classification import errors
from bench.running import curves
from bench.scenarios.adversarial import Adversarial
from bench.scenarios.conformal import Conformal
from bench.scenarios.corruption import Corruption
from bench.scenarios.cross_dataset import CrossDataset
from bench.scenarios.operating import Operating
from bench.scenarios.recalibration import Recalibrated
from bench.scenarios.selective import Selective, asked
from bench.scenarios.shifted import point
from bench.store.cache import Cache, Key
from bench.store.curves import read as read_curves

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


# Calibration after the fact


@pytest.fixture(scope="module")
def recalibrated(evaluator):
    scenario = Recalibrated(cap=64)
    return list(scenario.measure(evaluator, scenario.views(evaluator).found))


def test_calibration_is_measured_before_and_after_on_views_with_labels(recalibrated):
    names = {"before", "temperature", "vector_scaling", "isotonic"}
    assert {row.score for row in recalibrated} == names
    assert {row.group for row in recalibrated} == {"clean", "corruption", "attack"}
    assert len(recalibrated) == 4 * len({(row.view, row.severity) for row in recalibrated})


def test_before_is_what_the_clean_scenario_says(evaluator, recalibrated):
    (row,) = [r for r in recalibrated if (r.view, r.score) == ("clean", "before")]
    said = evaluator.predict(evaluator.clean)
    known = base.judged(base.answers(said)["samples"], evaluator.test.y)
    assert {name: row.metrics[name] for name in known} == known
    assert "ece_noise_floor" in row.metrics


def test_the_temperature_is_fitted_on_validation_and_changes_no_answer(evaluator, recalibrated):
    rows = {row.score: row.metrics for row in recalibrated if row.view == "clean"}
    assert rows["temperature"]["accuracy"] == rows["before"]["accuracy"]
    validation = point(evaluator, evaluator.predict(evaluator.validation))
    fitted = TemperatureScaling.fit(validation, evaluator.fitter.splits.val.y)
    assert rows["temperature"]["temperature"] == fitted.at


def test_reliability_is_kept_before_and_after(evaluator, tmp_path):
    curves.save(tmp_path / "c.json", evaluator, Recalibrated(), [], Key({"a": "b"}))
    found = read_curves(tmp_path / "c.json").recalibrated
    assert set(found) == {"before", "temperature", "vector_scaling", "isotonic"}
    assert all(sum(n for n, _, _ in bins) == len(evaluator.test) for bins in found.values())


# Conformal sets


@pytest.fixture(scope="module")
def conformal(evaluator):
    scenario = Conformal(cap=64)
    return list(scenario.measure(evaluator, scenario.views(evaluator).found))


def test_sets_on_clean_inputs_hold_the_label_as_often_as_asked(conformal):
    for row in conformal:
        if row.view == "clean":
            low, high = (row.metrics[f"chance_coverage_{end}"] for end in ("low", "high"))
            assert low <= row.metrics["coverage"] <= high
            assert low < 0.9 < high


def test_every_view_has_sizes_and_those_with_labels_a_coverage(conformal):
    assert {row.score for row in conformal} == {"lac", "aps", "raps"}
    for row in conformal:
        assert 0 <= row.metrics["set_size"] <= 10
        assert ("coverage" in row.metrics) == (row.group not in ("near", "far"))


def test_sets_repeat_whatever_else_was_drawn(evaluator, conformal):
    torch.rand(3)
    assert list(Conformal(cap=64).measure(evaluator, []))[:3] == conformal[:3]


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_a_level_lies_between_0_and_1(evaluator, level):
    with pytest.raises(UsageError, match=r"conformal: level lies between 0 and 1, and .* does not"):
        Conformal(level=level).views(evaluator)


def test_too_few_validation_inputs_for_a_level_are_named(evaluator):
    with pytest.raises(BenchError, match=r"0.995 need 199 validation inputs, and there are 120"):
        list(Conformal(level=0.995).measure(evaluator, []))


# Selective prediction


@pytest.fixture(scope="module")
def refused(evaluator):
    scenario = Selective(cap=64)
    return list(scenario.measure(evaluator, scenario.views(evaluator).found))


def test_a_view_with_labels_is_judged_by_itself(evaluator, refused):
    (row,) = [r for r in refused if (r.view, r.score) == ("fog", "predictive_entropy")]
    (view,) = [v for v in Selective(cap=64).views(evaluator).found if v.name == "fog"]
    said = evaluator.predict(view)
    wrong = errors(point(evaluator, said), view.y)[:, 0]
    unsure = base.scored(base.all_scores()["predictive_entropy"], said)
    assert row.metrics["aurc"] == selective.aurc(unsure, wrong)
    assert row.n == 64


def test_outliers_are_joined_by_as_many_test_inputs_and_all_should_be_refused(evaluator, refused):
    (row,) = [r for r in refused if (r.view, r.score) == ("letters", "predictive_entropy")]
    (view,) = [v for v in Selective(cap=64).views(evaluator).found if v.name == "letters"]
    score, said = base.all_scores()["predictive_entropy"], evaluator.predict(view)
    unsure, should = asked(evaluator, score, view, said)
    assert row.n == len(unsure) == len(should) == 128
    assert should[64:].all()
    torch.testing.assert_close(unsure[64:], base.scored(score, said))
    accuracy = judge(evaluator)
    assert should[:64].double().mean() == pytest.approx(1 - accuracy, abs=0.2)
    assert row.metrics["augrc"] == selective.augrc(unsure, should)


def judge(evaluator):
    said = evaluator.predict(evaluator.clean)
    return base.judged(base.answers(said)["samples"], evaluator.test.y)["accuracy"]


def test_the_risk_at_each_coverage_is_kept_for_every_view(evaluator, refused, tmp_path):
    scenario = Selective(cap=64)
    views = scenario.views(evaluator).found
    curves.save(tmp_path / "c.json", evaluator, scenario, views, Key({"a": "b"}))
    found = read_curves(tmp_path / "c.json").of("predictive_entropy").risks
    assert {(one.view, one.severity) for one in found} == {(r.view, r.severity) for r in refused}
    (letters,) = [one for one in found if one.view == "letters"]
    assert letters.risk[-1] >= 50_000  # half of them are outliers


def test_no_network_runs_for_what_the_shifts_have_predicted(evaluator, monkeypatch):
    views = Operating(cap=64).views(evaluator).found
    for view in (evaluator.clean, evaluator.validation, *views):
        evaluator.predict(view)
    monkeypatch.setattr("bench.fitting.evaluator.run_network", None)
    for scenario in (Operating(cap=64), Recalibrated(cap=64), Conformal(cap=64), Selective(cap=64)):
        assert list(scenario.measure(evaluator, views))
