"""The paper's statements, judged by made-up rows whose answers are known."""

import json

import numpy as np
import pytest
from scipy import stats as referee

from bench.report.frames import load, result_groups
from bench.report.readme import write_paper
from bench.report.wu2021 import claims, tables
from bench.report.wu2021.judged import judge
from bench.report.wu2021.observed import Observed
from bench.report.wu2021.published import columns, values
from tests import paper_rows

CONTRADICTED = {"ece-reduced", "linear-ood", "resnet-accuracy-point"}  # by the paper's own tables
PLACE = "mnist/clean"


def judged(results):
    found = judge(Observed(result_groups(load(results)[0]), tables.methods()))
    return {result.claim.id: result for result in found}


def only(*tables):
    return lambda cell: cell.table in tables and cell.column.dataset == "mnist"


def set_metric(results, method, metric, numbers):
    for seed, number in enumerate(numbers):
        path = results / "rows" / PLACE / f"{method}-s{seed}.json"
        record = json.loads(path.read_text())
        for row in record["rows"]:
            row["metrics"] |= {metric: number} if metric in row["metrics"] else {}
        path.write_text(json.dumps(record))


def check_of(result, key):
    return next(one for one in result.judged if key in one.check.columns)


# The statements as data


def test_every_claim_names_cells_that_the_paper_has():
    known = claims.claims()
    assert len({claim.id for claim in known}) == len(known) >= 20
    for claim in known:
        assert claim.checks, claim.id
        for check in claim.checks:
            assert check.low < check.high
            assert all((row, key) in values() for row in check.rows for key in check.columns)


def test_every_claim_says_who_set_its_margin():
    for claim in claims.claims():
        bounds = {bound for check in claim.checks for bound in (check.low, check.high)}
        if claim.margin == "none, the sign alone":
            assert bounds <= {-np.inf, 0.0, np.inf}, claim.id
        else:
            assert claim.margin == "the paper's" or claim.margin.startswith("ours"), claim.id
            weights = {abs(weight) for check in claim.checks for weight in check.rows.values()}
            assert bounds - {-np.inf, 0.0, np.inf} or weights != {1}, claim.id


def test_patterns_and_choices_are_spelt_out():
    (claim,) = [c for c in claims.claims() if c.id == "heldout-chance"]
    assert len(claim.checks) == 9  # three methods, three attributes
    (claim,) = [c for c in claims.claims() if c.id == "ood-ensemble"]
    keys = [key for check in claim.checks for key in check.columns]
    assert sorted(keys) == sorted(
        key for key, c in columns().items() if c.metric in ("adversarial", "ood", "corruption_mean")
    )


def test_the_paper_s_own_tables_bear_out_all_but_three_statements(tmp_path):
    (tmp_path / "rows").mkdir()
    paper_rows.write(tmp_path, keep=lambda cell: cell.table == "T8")
    found = judged(tmp_path).values()
    assert {r.claim.id for r in found if r.contradicted} == CONTRADICTED
    reduced = next(r for r in found if r.claim.id == "ece-reduced")
    (one,) = reduced.contradicted
    assert one.paper == pytest.approx(2.99 - 2.75)
    assert reduced.paper == "not in celeba ECE %: mc_dropout − standard = +0.24"


def test_rows_that_say_what_the_paper_says_are_judged_as_it_is(tmp_path):
    paper_rows.write(tmp_path)
    verdicts = {name: result.verdict for name, result in judged(tmp_path).items()}
    assert {
        name for name, verdict in verdicts.items() if verdict == "does not hold"
    } == CONTRADICTED
    assert set(verdicts.values()) == {"holds", "does not hold"}


# Known answers


def test_interval_and_p_are_those_of_a_paired_t_test(tmp_path):
    paper_rows.write(tmp_path, keep=only("T4a"))
    ours, usual = [0.010, 0.011, 0.013], [0.012, 0.012, 0.013]
    set_metric(tmp_path, "redecnn", "ece", ours)
    set_metric(tmp_path, "standard", "ece", usual)
    one = check_of(judged(tmp_path)["ece-redecnn"], "mnist ece")
    test = referee.ttest_rel(ours, usual, alternative="less")
    assert one.p == pytest.approx(test.pvalue)
    both = referee.ttest_rel(np.multiply(ours, 100), np.multiply(usual, 100))
    assert one.interval == pytest.approx(tuple(both.confidence_interval(0.90)))
    assert one.text == "-0.10 (-0.27 to +0.07)"


def test_equal_means_within_the_margin_on_both_sides(tmp_path):
    paper_rows.write(tmp_path, keep=only("T1a"))
    set_metric(tmp_path, "standard", "accuracy", [0.970, 0.971, 0.972])
    set_metric(tmp_path, "redecnn", "accuracy", [0.974, 0.976, 0.975])  # + 0.4, 0.5, 0.3 points
    one = check_of(judged(tmp_path)["accuracy-redecnn"], "mnist accuracy")
    points = [0.4, 0.5, 0.3]
    upper = referee.ttest_1samp(points, 1, alternative="less").pvalue
    lower = referee.ttest_1samp(points, -1, alternative="greater").pvalue
    assert one.p == pytest.approx(max(upper, lower))
    assert one.inside
    assert one.p < 0.05


def test_a_slope_is_the_least_squares_fit(tmp_path):
    paper_rows.write(tmp_path, keep=lambda c: only("T4b")(c) or only("T2")(c))
    one = check_of(judged(tmp_path)["depth-ood"], "mnist ood fashion")
    slope = np.polyfit([2, 4, 6, 8], [0.665, 0.788, 0.805, 0.812], 1)[0]
    assert one.paper == pytest.approx(2 * slope)
    assert one.ours.mean() == pytest.approx(2 * slope, abs=1e-5)


def test_a_gap_has_no_sign(tmp_path):
    paper_rows.write(tmp_path, keep=lambda cell: cell.table == "T7")
    gap = check_of(judged(tmp_path)["protect-gap"], "celeba group_f1 Bald")
    assert gap.paper == pytest.approx((0.501 - 0.461) - (0.438 - 0.338))
    place = tmp_path / "rows/celeba-10k~target=Beard/protected"
    for seed in range(3):  # the other way round, and wider than the standard network's
        path = place / f"redecnn_protect=Bald-s{seed}.json"
        record = json.loads(path.read_text())
        for row in record["rows"]:
            row["metrics"]["f1"] = {"Bald": 0.7, "not Bald": 0.4}[row["view"]]
        path.write_text(json.dumps(record))
    gap = check_of(judged(tmp_path)["protect-gap"], "celeba group_f1 Bald")
    assert gap.ours.mean() == pytest.approx(0.3 - 0.1, abs=1e-4)
    assert judged(tmp_path)["protect-gap"].verdict == "does not hold"


# Verdicts


def test_one_seed_decides_nothing(tmp_path):
    paper_rows.write(tmp_path, seeds=(0,))
    assert {result.verdict for result in judged(tmp_path).values()} == {"undecided"}


def test_seeds_that_disagree_decide_nothing(tmp_path):
    paper_rows.write(tmp_path, keep=lambda c: c.column.key == "mnist accuracy")
    set_metric(tmp_path, "redecnn", "accuracy", [0.90, 0.97, 0.999])
    result = judged(tmp_path)["accuracy-redecnn"]
    assert result.verdict == "undecided"
    one = check_of(result, "mnist accuracy")
    error = one.ours.std(ddof=1) / 3**0.5  # its t test exceeds t(2, 95 %) in 80 % of cases
    power = referee.nct.sf(referee.t.ppf(0.95, 2), 2, one.could_see / error)
    assert power == pytest.approx(0.8)
    assert result.seen(one) == f"{one.could_see:.2f}"
    assert f"could have seen {one.could_see:.2f}" in result.ours
    others = [other for other in result.judged if other is not one]
    assert others
    assert all(np.isnan(result.needed(other)) for other in others)


def seeds_that_see(gaps, level):
    effect = abs(np.mean(gaps)) / np.std(gaps, ddof=1)
    power = (
        (n, referee.nct.sf(referee.t.ppf(1 - level, n - 1), n - 1, effect * n**0.5))
        for n in range(2, 101)
    )
    return next(n for n, seen in power if seen >= 0.8)


def test_the_last_check_to_hold_and_the_first_to_be_out_say_how_many_seeds_decide(tmp_path):
    paper_rows.write(tmp_path, keep=only("T1a"))
    ours = {"standard": [0.97] * 3, "mc_dropout": [0.95, 0.96, 0.975], "bayes": [0.9, 0.95, 0.972]}
    for method, numbers in ours.items():
        set_metric(tmp_path, method, "accuracy", numbers)
    gap = {method: np.subtract(numbers, 0.97) for method, numbers in ours.items()}
    last = max(seeds_that_see(gap[method], 0.05) for method in ("mc_dropout", "bayes"))
    result = judged(tmp_path)["accuracy-bayesian"]
    assert (result.verdict, result.seeds_needed) == ("undecided", last)
    assert f"seeds to decide: {last}" in result.ours

    worse = [0.965, 0.98, 0.99]  # more accurate than the standard network: out, one check of six
    set_metric(tmp_path, "bayes", "accuracy", worse)
    result = judged(tmp_path)["accuracy-bayesian"]
    assert result.seeds_needed == seeds_that_see(np.subtract(worse, 0.97), 0.05 / 6)

    set_metric(tmp_path, "bayes", "accuracy", [0.96, 0.97, 0.98])
    assert "seeds to decide: more than 100" in judged(tmp_path)["accuracy-bayesian"].ours


def test_one_check_that_is_surely_out_refutes_the_whole(tmp_path):
    paper_rows.write(tmp_path)
    set_metric(tmp_path, "redecnn", "accuracy", [0.91, 0.911, 0.912])
    result = judged(tmp_path)["accuracy-redecnn"]
    assert result.verdict == "does not hold"
    assert "mnist accuracy %: redecnn − standard = -6.00" in result.ours


def test_a_lacking_seed_or_column_keeps_a_claim_undecided(tmp_path):
    paper_rows.write(tmp_path)
    path = tmp_path / "rows" / PLACE / "redecnn-s2.json"
    path.unlink()
    result = judged(tmp_path)["accuracy-redecnn"]
    assert result.verdict == "undecided"
    assert not check_of(result, "mnist accuracy").whole
    paper_rows.write(tmp_path / "b", keep=only("T1a"))
    result = judged(tmp_path / "b")["accuracy-redecnn"]
    assert result.verdict == "undecided"
    assert "2 not run" in result.ours


def test_seeds_that_agree_to_the_last_digit_are_judged(tmp_path):
    paper_rows.write(tmp_path)
    for method, number in (("standard", 0.97), ("redecnn", 0.98), ("decnn", 0.5)):
        set_metric(tmp_path, method, "accuracy", [number] * 3)
    one = check_of(judged(tmp_path)["accuracy-decnn"], "mnist accuracy")
    assert (one.p, one.p_outside) == (1, 0)
    assert judged(tmp_path)["accuracy-decnn"].verdict == "does not hold"


def test_nothing_is_judged_by_rows_of_other_methods(tmp_path):
    paper_rows.write(tmp_path, keep=lambda cell: cell.row == "bayes" and cell.table == "T1b")
    assert {result.verdict for result in judged(tmp_path).values()} == {"not run"}
    parts = write_paper(tmp_path, result_groups(load(tmp_path)[0]), tables=False)
    assert "None of them can be judged" in "\n".join(parts)


# What is written


def test_verdicts_stand_in_the_report_and_every_check_in_claims(tmp_path):
    paper_rows.write(tmp_path)
    short = "\n".join(write_paper(tmp_path, result_groups(load(tmp_path)[0]), tables=True))
    assert "30 holds, 3 does not hold" in short
    assert "measured on fsdd (other data than the paper's)" in short
    long = (tmp_path / "paper" / "claims.md").read_text()
    checks = sum(len(claim.checks) for claim in claims.claims())
    assert sum(line.startswith("| ") and " of 3 |" in line for line in long.splitlines()) == checks
    assert "| celeba accuracy %: redecnn:compose=resnet − redecnn | 0.5 to 1.5 |" in long
