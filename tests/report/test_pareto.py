"""Quality for cost: who is on the front, and what is written and drawn of it."""

import itertools

import numpy as np
import pytest

from bench.report.frames import result_groups
from bench.report.pareto import front, offers, table
from bench.report.plots import Material, pareto
from bench.report.style import look, palette, saved
from bench.store.schema import Headline, Record, Row

SCORE = "predictive_entropy"
NUMBERS = {  # method -> passes, MiB, AUROC near, AUROC far
    "standard": (1, 2.0, 0.80, 0.90),
    "mc_dropout": (50, 2.0, 0.85, 0.88),
    "ensemble": (8, 16.0, 0.90, 0.95),
    "chance": (0, 0.0, 0.50, 0.50),
}


def test_a_front_by_hand():
    cost = np.array([1.0, 2.0, 2.0, 3.0, np.nan, 0.5])
    quality = np.array([0.8, 0.9, 0.9, 0.85, 0.99, np.nan])
    assert front(cost, quality).tolist() == [True, True, True, False, False, False]


def test_a_front_is_what_no_other_beats():
    rng = np.random.default_rng(0)
    cost, quality = rng.integers(0, 6, (2, 40)).astype(float)
    beaten = [
        any(
            c <= cost[i] and q >= quality[i] and (c < cost[i] or q > quality[i])
            for c, q in zip(cost, quality, strict=True)
        )
        for i in range(40)
    ]
    assert front(cost, quality).tolist() == [not b for b in beaten]


def records(*, cost: bool):
    headlines = (Headline("near", group="near"), Headline("far", group="far"))
    for method, (passes, memory, near, far) in NUMBERS.items():
        about = {"method": method, "dataset": "digits", "seed": 0, "status": "ok", "score": SCORE}
        rows = (
            Row("letters", 9, {"auroc": near}, SCORE, 0.0, "near"),
            Row("noise", 9, {"auroc": far}, SCORE, 0.0, "far"),
        )
        yield Record(
            scenario="cross_dataset", detects=True, headlines=headlines, rows=rows,
            fit_seconds=10.0, **about,
        )  # fmt: skip
        if cost:
            metrics = {"passes": float(passes), "memory": memory, "fit_seconds": 10.0}
            yield Record(scenario="cost", rows=(Row("cost", 1, metrics),), **about)


@pytest.fixture
def group():
    (found,) = result_groups(records(cost=True))
    return found


def test_every_shift_is_set_against_every_price(group):
    found = table(group).set_index(["shift", "method"])
    assert set(found.index.get_level_values("shift")) == {"near", "far"}
    on = found.loc["near"]["passes_front"]
    assert on[on].index.tolist() == ["chance", "ensemble", "standard"]
    assert not found.loc["far"]["passes_front"]["mc_dropout"]
    assert found.loc["near"]["memory_front"]["mc_dropout"]  # as small as standard, and better
    assert not found.loc["near"]["memory_front"]["standard"]


def test_seconds_of_the_fits_are_a_price_where_cost_did_not_run():
    (group,) = result_groups(records(cost=False))
    assert {offer.price.name for offer in offers(group)} == {"fit_seconds"}
    front = table(group).set_index(["shift", "method"])["fit_seconds_front"]
    assert front[front].index.tolist() == [("near", "ensemble"), ("far", "ensemble")]


def test_the_front_is_drawn_for_each_shift(group):
    (drawing,) = pareto.pareto(Material(group, palette(set(NUMBERS))))
    found = drawing.draw.args[0]
    assert [(o.shift, o.price.name) for o in found] == [
        (shift, price) for shift in ("near", "far") for price in ("passes", "fit_seconds", "memory")
    ]
    with look():
        assert saved(drawing.draw())["png"]


@pytest.mark.parametrize("least", [0.002, 1.0])
def test_marks_of_a_wide_axis_do_not_overlap(monkeypatch, least):
    monkeypatch.setitem(NUMBERS, "linear", (1, least, 0.70, 0.80))
    (group,) = result_groups(records(cost=True))
    (drawing,) = pareto.pareto(Material(group, palette(set(NUMBERS))))
    with look():
        figure = drawing.draw()
        figure.draw_without_rendering()
        low, high = figure.axes[-1].get_xlim()
        labels = figure.axes[-1].get_xticklabels()
        ends = [
            (label.get_window_extent().x0, label.get_window_extent().x1)
            for label in labels
            if low <= label.get_position()[0] <= high
        ]
    assert len(ends) > 1
    assert all(left[1] < right[0] for left, right in itertools.pairwise(ends))


def test_one_method_alone_is_no_figure():
    (group,) = result_groups([r for r in records(cost=True) if r.method == "standard"])
    assert not list(pareto.pareto(Material(group, palette({"standard"}))))
