"""``bench threshold``: what it prints, and what it refuses before anything is fitted."""

import re

import pytest
from click.testing import CliRunner

from bench.cli import main
from bench.fitting.fits import Fitter
from bench.metrics.operating import threshold


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("threshold")


def said(results, *words):
    words = ["threshold", *words, "--preset", "smoke", "--results", str(results)]
    return CliRunner().invoke(main, words)


def test_the_value_for_a_product_is_printed_in_full_with_what_it_flags(results):
    done = said(results, "standard", "--rate", "0.1")
    assert done.exit_code == 0, done.output
    value = re.search(r"alarm if predictive_entropy > (\S+)", done.output)[1]
    assert repr(float(value)) == value
    assert "at most 10 % false alarms expected: number 109 of 120" in done.output
    assert re.search(r"of 360 test inliers it flags \d+\.\d % \[\d+\.\d, \d+\.\d\]", done.output)
    assert said(results, "standard", "--rate", "0.1").output == done.output
    own = said(results, "standard", "--rate", "0.1", "--score", "own").output
    assert "alarm if one_minus_max_mean_prob >" in own


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "5"], "a false-alarm rate lies between 0 and 1, and 5 does not"),
        (["--rate", "0.001"], "needs 999 validation inliers, and there are 120: ask for 0.0083"),
        (["--score", "kn"], "unknown score 'kn'. Did you mean 'knn'"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_fitted(results, monkeypatch, words, message):
    monkeypatch.setattr(Fitter, "obtain", None)
    done = said(results, "standard", *words)
    assert done.exit_code == 2
    assert message in done.output
    assert "Traceback" not in done.output


def test_a_score_that_the_method_lacks_is_refused_with_the_reason(results):
    done = said(results, "chance", "--score", "knn")
    assert done.exit_code == 2
    assert "chance has no knn, which needs features, and the method gives none" in done.output


def test_scores_that_are_not_finite_are_named(results, monkeypatch):
    def broken(values, rate):
        return threshold(values * float("nan"), rate)

    monkeypatch.setattr("bench.scenarios.operating.threshold", broken)
    done = said(results, "standard")
    assert done.exit_code == 2
    assert (
        "standard, predictive_entropy: 120 of 120 validation uncertainties are NaN" in done.output
    )
