"""What should I use: choices, gains of what was chosen elsewhere, and the words for both."""

import numpy as np
import pytest
from msgspec.structs import replace

from bench.report.advice import CLOSE, advice, parted, summary
from bench.report.frames import result_groups
from bench.report.stats import Gain
from bench.store.schema import RANKED_BY
from tests.report.test_page import record

COSTS = {"standard": 1.0, "ensemble": 5.0, "rival": 2.0}
# AUROC of each (method, score) on the outliers, seeds 0 to 2
FAR = {
    ("standard", RANKED_BY): (0.80, 0.82, 0.81),
    ("standard", "knn"): (0.90, 0.915, 0.905),
    ("ensemble", RANKED_BY): (0.85, 0.86, 0.86),
    ("ensemble", "knn"): (0.91, 0.92, 0.912),
    ("rival", RANKED_BY): (0.99, 0.98, 0.97),
}
ACCURACY = {"standard": 0.98, "ensemble": 0.99, "rival": 0.5}


def group(far=FAR):
    records = []
    for seed in range(3):
        for method in ACCURACY:
            right = {"view": "clean", "group": "", "severity": 0.0, "n": 100}
            metrics = {"accuracy": ACCURACY[method]}
            records.append(
                record(method, "clean", seed, [right | {"score": "samples", "metrics": metrics}])
            )
            place = {"view": "letters", "group": "far", "severity": 0.0, "n": 100}
            rows = [
                place | {"score": score, "metrics": {"auroc": values[seed]}}
                for (name, score), values in far.items()
                if name == method
            ]
            records.append(record(method, "cross_dataset", seed, rows))
    records = [replace(r, fit_seconds=COSTS[r.method]) for r in records]
    (found,) = result_groups(records)
    return found


def test_the_best_pair_is_of_accurate_methods_and_the_cheapest_within_a_margin_is_named():
    (line,) = advice(group()).lines()
    assert line.best == ("ensemble", "knn")  # the rival is right half the time
    assert line.quality == pytest.approx(0.916)  # of seeds 1 and 2
    assert line.cheap == ("standard", "knn")
    assert line.quality - line.cheap_quality < CLOSE
    assert (line.cost, line.cheap_cost) == (5.0, 1.0)
    assert line.gain.values == pytest.approx([0.1, 0.102])


def test_what_is_chosen_on_a_seed_is_not_measured_on_it():
    lucky = FAR | {("ensemble", "knn"): (0.99, 0.83, 0.82)}
    (line,) = advice(group(lucky)).lines()
    assert line.best == ("ensemble", "knn")
    assert line.quality == pytest.approx(0.825)
    seeds = np.arange(10)
    chosen, measured = parted(seeds)
    assert (chosen.tolist(), measured.tolist()) == ([0, 1, 2], [3, 4, 5, 6, 7, 8, 9])
    assert [part.tolist() for part in parted(seeds[:1])] == [[0], [0]]


@pytest.mark.parametrize("seeds", [3, 10])
def test_where_nothing_differs_one_choice_in_twenty_is_called_better(seeds):
    draw = np.random.default_rng(0)
    called = 0
    for _ in range(1000):
        chosen, measured = parted(draw.normal(size=(100, seeds)))
        called += Gain(measured[chosen.mean(axis=1).argmax()]).p <= 0.05
    assert 25 <= called <= 75


def test_lessons_say_what_was_shown_and_what_was_not():
    score, method, pair = advice(group()).lessons()
    assert score.startswith("Which score: knn tells shifted inputs better than predictive entropy")
    assert "Which method: ensemble (at 5 times the fit s of standard) tells" in method
    assert "2 seeds" in pair
    level = FAR | {("standard", "knn"): (0.70, 0.9, 0.82), ("ensemble", "knn"): (0.7, 0.9, 0.85)}
    score, *_ = advice(group(level)).lessons()
    assert score.startswith("Which score: none is ")
    text = summary(group())
    assert "| far | ensemble by knn, 5 × | 0.916 |" in text
    assert "standard by knn: 0.910, 1 ×" in text
    assert "1 of 3 seeds chose, the others measured." in text


def test_without_the_usual_pair_there_is_no_advice():
    alone = {pair: values for pair, values in FAR.items() if pair != ("standard", RANKED_BY)}
    assert advice(group(alone)) is None
    assert summary(group(alone)) == ""
