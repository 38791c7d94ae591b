"""Claims of methods' papers, judged by made-up rows whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as referee

from bench.report import claims
from bench.report.frames import result_groups
from bench.store.schema import Claim, Record, Row

BETTER = Claim(text="tells outliers better")
CHEAPER = Claim(text="errs less often", metric="accuracy", scenario="clean", least=-0.01)


def record(method, seed, views, *, scenario="cross_dataset", told=(), params=None, **metrics):
    rows = [
        Row(view=view, n=10, score=score, group=group, metrics=values)
        for view, group, score, values in views
    ]
    return Record(
        method=method, dataset="digits", scenario=scenario, seed=seed, status="ok", detects=True,
        score="vote_entropy", answer="samples", rows=tuple(rows), claims=tuple(told),
        params=params or {"backbone": "mlp"},
    )  # fmt: skip


def detecting(method, values, told=(), score="predictive_entropy", **more):
    """A record a seed, of a near and a far view whose mean AUROC is the value."""
    return [
        record(
            method, seed,
            [("letters", "near", score, {"auroc": v - 0.1}),
             ("noise", "far", score, {"auroc": v + 0.1})],
            told=told, **more,
        )
        for seed, v in enumerate(values)
    ]  # fmt: skip


def judged(*records):
    (group,) = result_groups([one for part in records for one in part])
    return claims.judged(group)


def test_gains_are_paired_over_seeds_and_tested_by_t():
    ours, theirs = np.array([0.71, 0.82, 0.63]), np.array([0.70, 0.80, 0.60])
    (one,) = judged(detecting("swag", ours, [BETTER]), detecting("standard", theirs))
    np.testing.assert_allclose(one.gains, ours - theirs)
    assert one.gain.p == pytest.approx(
        referee.ttest_rel(ours, theirs, alternative="greater").pvalue
    )
    interval = referee.ttest_rel(ours, theirs).confidence_interval(0.9)
    assert one.text == f"{0.02:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
    assert one.verdict == "holds"


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ([0.80, 0.81, 0.82], "holds"),
        ([0.60, 0.61, 0.62], "does not hold"),
        ([0.60, 0.80, 0.70], "undecided"),
        ([0.90], "undecided"),  # one seed tests nothing
    ],
)
def test_verdicts(ours, verdict):
    theirs = detecting("standard", [0.70, 0.71, 0.73][: len(ours)])
    (one,) = judged(detecting("swag", ours, [BETTER]), theirs)
    assert one.verdict == verdict


def test_a_tolerated_loss_counts_as_gained():
    def clean(method, accuracy, told=()):
        return [
            record(
                method, s, [("clean", "", "samples", {"accuracy": a})], scenario="clean", told=told
            )
            for s, a in enumerate(accuracy)
        ]

    standard = clean("standard", [0.97, 0.96, 0.98])
    (one,) = judged(clean("swag", [0.969, 0.9585, 0.979], [CHEAPER]), standard)
    assert one.verdict == "holds"
    (one,) = judged(clean("swag", [0.951, 0.941, 0.9605], [CHEAPER]), standard)
    assert one.verdict == "does not hold"


def test_less_is_a_gain_where_lower_is_better():
    (fewer,) = judged(
        [record("swag", 0, [("noise", "far", "predictive_entropy", {"fpr95_id": 0.2})],
                told=[Claim(text="fewer", metric="fpr95_id")])],
        [record("standard", 0, [("noise", "far", "predictive_entropy", {"fpr95_id": 0.5})])],
    )  # fmt: skip
    assert fewer.gain.mean == pytest.approx(0.3)


def test_groups_and_scores_are_those_of_the_claim():
    near = Claim(text="near", group="near", score="class_density")
    ours = detecting("ddu", [0.9], [near], score="class_density")
    (one,) = judged(ours, detecting("standard", [0.5]))
    assert one.gain.mean == pytest.approx(0.4)
    assert one.what == "AUROC, cross_dataset near by class density, against standard"


def test_a_method_is_compared_with_the_other_under_its_own_choices():
    more = {"params": {"backbone": "cnn", "rank": 3}}
    plain = detecting("standard", [0.5])
    cnn = detecting("standard:backbone=cnn", [0.6], params={"backbone": "cnn"})
    ours = detecting("swag:backbone=cnn,rank=3", [0.9], [BETTER], **more)
    (one,) = judged(ours, plain, cnn)
    assert one.gain.mean == pytest.approx(0.3)
    assert not judged(ours, plain)


def test_nothing_is_judged_without_the_other_method_or_its_numbers():
    assert not judged(detecting("swag", [0.9], [BETTER]))
    other = detecting("standard", [0.5], score="energy")
    assert not judged(detecting("swag", [0.9], [BETTER]), other)


def test_the_table_names_the_claim_and_the_verdict():
    records = [
        *detecting("swag", [0.8, 0.81, 0.82], [BETTER]),
        *detecting("standard", [0.7, 0.7, 0.7]),
    ]
    (group,) = result_groups(records)
    text = claims.summary(group)
    assert "| swag | tells outliers better | AUROC, cross_dataset, against standard |" in text
    assert "| holds |" in text
    assert not claims.summary(replace(group, records=group.records[3:]))
