"""Thresholds that are fixed on validation inliers, and the intervals of what they flag."""

import numpy as np
import pytest
import torch
from statsmodels.stats.proportion import proportion_confint

from bench.errors import BenchError
from bench.metrics.operating import alarms, needed, share, threshold


@pytest.mark.parametrize(
    ("n", "rate", "rank"),
    [(19, 0.05, 19), (20, 0.05, 20), (99, 0.01, 99), (99, 0.1, 90), (199, 0.05, 190),
     (1000, 0.05, 951), (120, 0.05, 115), (9, 0.7, 3)],
)  # fmt: skip
def test_the_threshold_is_the_conservative_quantile(n, rate, rank):
    found = threshold(np.arange(n)[::-1].astype(float), rate)
    assert (found.value, found.rank, found.n) == (rank - 1.0, rank, n)
    assert rank == -(-round((n + 1) * (1 - rate) * 1e6) // 10**6)  # ⌈(n + 1)(1 - rate)⌉


def test_no_more_than_the_rate_is_flagged_on_average_and_the_range_holds_95_percent():
    rng, flagged, inside = np.random.default_rng(0), [], 0
    for _ in range(2000):
        at = threshold(rng.normal(size=60), 0.05)
        found = float((rng.normal(size=200) > at.value).mean())
        low, high = at.chance(200)
        flagged.append(found)
        inside += low <= found <= high
    expected = 3 / 61  # the largest whole number of 61 that is at most 5 %
    assert np.mean(flagged) == pytest.approx(expected, abs=4 * np.std(flagged) / 2000**0.5)
    assert inside / 2000 > 0.94


def test_ties_at_the_threshold_are_not_flagged():
    at = threshold(np.repeat([0.0, 1.0], 50), 0.1)
    assert at.value == 1.0
    assert alarms(at, 10, np.array([0.0, 1.0, 1.0, 1.5]))["flagged_10"] == 0.25


def test_intervals_are_those_of_clopper_and_pearson():
    hits = np.arange(360) < 13
    low, high = proportion_confint(13, 360, method="beta")
    np.testing.assert_allclose(share(hits), (13 / 360, low, high))
    assert share(np.zeros(10, dtype=bool))[:2] == (0.0, 0.0)


def test_right_and_wrong_answers_are_counted_apart():
    at = threshold(np.arange(99.0), 0.1)
    unsure = torch.tensor([95.0, 10.0, 96.0, 97.0])
    found = alarms(at, 10, unsure, torch.tensor([False, False, True, True]))
    assert found["flagged_10"] == 0.75
    assert found["right_flagged_10"] == 0.5
    assert found["wrong_flagged_10"] == 1.0
    assert "wrong_flagged_10" not in alarms(at, 10, unsure, torch.zeros(4, dtype=torch.bool))


@pytest.mark.parametrize(("rate", "few"), [(0.01, 98), (0.05, 18), (0.1, 8)])
def test_too_few_inliers_are_an_error_that_says_what_can_be_asked(rate, few):
    assert needed(rate) == few + 1
    threshold(np.arange(few + 1.0), rate)
    with pytest.raises(BenchError, match=rf"needs {few + 1} validation inliers, .* are {few}: ask"):
        threshold(np.arange(float(few)), rate)


@pytest.mark.parametrize("n", [60, 120, 717])
def test_the_rate_that_is_suggested_is_possible(n):
    with pytest.raises(BenchError) as error:
        threshold(np.arange(float(n)), 1e-6)
    threshold(np.arange(float(n)), float(str(error.value).split()[-3]))


@pytest.mark.parametrize("rate", [0, 1, -0.1, 5, float("nan")])
def test_a_rate_lies_between_0_and_1(rate):
    with pytest.raises(BenchError, match=r"lies between 0 and 1, and .* does not"):
        threshold(np.arange(100.0), rate)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_an_uncertainty_that_is_not_finite_is_no_threshold(bad):
    with pytest.raises(ValueError, match="1 of 100 validation uncertainties are NaN or infinite"):
        threshold(np.append(np.arange(99.0), bad), 0.05)
