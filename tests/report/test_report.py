"""The report, from small hand-made rows whose answers are worked out in the comments."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats as referee

from bench.cli import main
from bench.commands import summary
from bench.commands.summary import show, trimmed
from bench.errors import BenchError, UsageError
from bench.metrics.registry import specs
from bench.report import formats, render, stats
from bench.report.frames import load, result_groups
from bench.report.leaderboard import leaderboard
from bench.report.scenarios import overview, printed
from bench.store.schema import OWN, MetricSpec

GOLDEN = Path(__file__).parents[1] / "data" / "rows"
CHECKOUT = Path(__file__).parents[2]
MC = "mc_dropout:rate=0.1"
MEANS = {"standard": 0.81, MC: 0.86, "ensemble": 0.92, "chance": 0.5}  # near


@pytest.fixture
def results(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "rows")
    return tmp_path


def row_file(results, scenario, method, seed):
    return results / "rows" / "toy_digits" / scenario / f"{method}-s{seed}.json"


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def only_group(results):
    (group,) = result_groups(load(results)[0])
    return group


def table(results, score=OWN):
    return leaderboard(only_group(results), score)


# Known answers


def test_mean_and_std_are_over_seeds(results):
    # letters: 0.84 and 0.88, so 0.86 ± 0.04 / sqrt(2)
    found = table(results)
    assert found.mean.loc[MC, "near"] == pytest.approx(0.86)
    assert found.std.loc[MC, "near"] == pytest.approx(0.04 / 2**0.5)
    # fog, blur, spatter: (0.68 + 0.66 + 0.70) / 3 = 0.68, then (0.72 + 0.66 + 0.70) / 3
    assert found.mean.loc[MC, "corruption"] == pytest.approx((0.68 + 2.08 / 3) / 2)


def test_mean_rank_averages_within_families_first(results):
    # letters 1 2 3; noise 1 3 2; fog 1.5 1.5 3, blur 2 1 3, spatter 1 3 2; chance always 4
    expected = {
        "ensemble": (1 + 1 + 1.5) / 3, MC: (2 + 3 + 5.5 / 3) / 3, "standard": (3 + 2 + 8 / 3) / 3,
        "chance": 4.0,
    }  # fmt: skip
    assert table(results).rank.to_dict() == pytest.approx(expected)
    assert list(table(results).text()["method"]) == list(expected)


def test_accuracy_is_of_the_answer_of_the_method(results):
    # `single` says 0.90 for both sampling methods
    assert table(results).mean.loc["ensemble", "accuracy"] == pytest.approx(0.975)
    assert table(results).mean.loc["ensemble", "ECE %"] == pytest.approx(1.1)


def test_each_method_is_judged_by_its_own_score_and_all_by_one(results):
    assert table(results).score["standard"] == "one_minus_max_mean_prob"
    assert table(results).mean.loc["standard", "near"] == pytest.approx(0.81)
    same = table(results, "predictive_entropy")
    assert set(same.score) == {"predictive_entropy"}
    assert same.mean.loc["standard", "near"] == pytest.approx(0.82)
    assert "score" not in same.text().columns  # the caption has it


def test_a_method_without_a_score_of_its_own_has_a_dash_there_and_a_rank_by_the_same(results):
    for scenario in ("clean", "corruption", "cross_dataset"):
        for seed in (0, 1):
            change(row_file(results, scenario, "standard", seed), score=None)
    assert np.isnan(table(results).mean.loc["standard", "near"])
    assert table(results, "predictive_entropy").mean.loc["standard", "near"] == pytest.approx(0.82)


def test_corruption_overview_has_the_spread_over_corruptions(results):
    found = overview(only_group(results), "corruption", OWN)
    assert found.loc["ensemble", "mean"] == pytest.approx(0.70)
    assert found.loc["ensemble", "stdev"] == pytest.approx(0.05)  # of 0.65, 0.70, 0.75


def test_paired_p_agrees_with_scipy():
    gaps = np.array([[0.05, -0.02, 0.25], [0, 0, 0], [0.5, 0.5, 0.5], [0.1, np.nan, 0.1]])
    expected = [referee.ttest_1samp(gaps[0], 0).pvalue, 1, 0, 1]
    assert stats.paired_p(gaps[:, :, None])[:, 0] == pytest.approx(expected)
    assert stats.paired_p(gaps[:, :1, None])[:, 0].tolist() == [0, 1, 0, 0]  # one seed: any


def test_critical_difference_agrees_with_published_values():
    # Demšar (2006): q = 2.569 for four methods
    assert stats.critical_difference(4, 14) == pytest.approx(2.569 * (20 / 84) ** 0.5, abs=1e-3)
    assert np.isnan(stats.critical_difference(2, 14))


def ranked(cells, families=None, **options):
    """The ranking of (methods, cells) from one seed, by default each cell a family."""
    cells = np.array(cells, dtype=float)
    families = families or [f"{i}" for i in range(cells.shape[1])]
    return stats.ranking([cells[:, None]], families, **options)


def test_friedman_agrees_with_scipy():
    draw = np.random.default_rng(0)
    for cells in (draw.random((5, 9)), draw.integers(0, 3, (4, 12)).astype(float)):
        found = ranked(cells)
        assert found.p == pytest.approx(referee.friedmanchisquare(*cells).pvalue)
        assert found.mean == pytest.approx(referee.rankdata(-cells, axis=0).mean(axis=1))
    assert ranked(np.full((3, 4), 2.0)).p == 1.0


def test_t_agrees_with_scipy():
    assert stats.t_above(1.3, 4) == pytest.approx(referee.t.sf(1.3, 4))
    assert stats.t_quantile(0.975, 2) == pytest.approx(referee.t.ppf(0.975, 2))


def test_a_metric_of_which_less_is_better_ranks_the_other_way():
    cells = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, np.nan]])
    assert ranked(cells, higher=False).mean == pytest.approx([1, 2, np.nan], nan_ok=True)
    assert ranked(cells).mean == pytest.approx([2, 1, np.nan], nan_ok=True)
    assert ranked(cells).best.tolist() == [False, True, False]
    assert np.isnan(ranked(cells[2:]).mean).all()


def test_fifteen_cells_of_one_family_count_as_one():
    first = [[0.9], [0.8], [0.7]]
    other = [[0.1], [0.2], [0.3]]
    cells = np.hstack([first, *[other] * 15])
    found = ranked(cells, ["near", *["corruption"] * 15])
    assert found.mean == pytest.approx([2, 2, 2])
    assert (found.families, found.cells) == (2, 16)
    assert found.p == pytest.approx(1.0)
    assert ranked(cells).p < 0.001  # what sixteen votes would say
    assert found.difference == stats.critical_difference(3, 2)


def test_intervals_of_ranks_are_of_families_and_seeds_drawn_again():
    cells = np.array([[0.9, 0.1], [0.5, 0.5]])
    one = ranked(cells)  # of two families, one draw in four holds the first twice
    assert (one.low.tolist(), one.high.tolist()) == ([1, 1], [2, 2])
    lone = ranked(cells[:, :1])
    assert np.isnan(lone.low).all()  # nothing to draw from
    seeds = np.array([[0.9, 0.9, 0.1], [0.5, 0.5, 0.5]])[:, :, None]  # a third turns it round
    found = stats.ranking([seeds])
    assert (found.mean.tolist(), found.low.tolist(), found.high.tolist()) == (
        [1, 2], [1, 1], [2, 2],
    )  # fmt: skip
    steady = stats.ranking([np.repeat(cells[:, None, :1], 3, axis=1)])
    assert (steady.low.tolist(), steady.high.tolist()) == ([1, 2], [1, 2])


def test_ranks_leave_out_the_bits_that_are_the_processors():
    cells = np.random.default_rng(4).random((5, 12))
    found = ranked(cells, list("aaabbbcccddd"))  # of thirds, whose sums differ in the last bit
    for ranks in (found.mean, found.low, found.high):
        assert ranks.tolist() == ranks.round(9).tolist()


def test_the_bootstrap_of_seeds_takes_scenarios_of_fewer_seeds_too():
    draw = np.random.default_rng(3)
    found = stats.ranking([draw.random((4, 3, 5)), draw.random((4, 1, 2))])
    assert (found.low <= found.mean).all()
    assert (found.mean <= found.high).all()
    again = np.random.default_rng(3)
    same = stats.ranking([again.random((4, 3, 5)), again.random((4, 1, 2))])
    assert same.low.tolist() == found.low.tolist()


@pytest.mark.parametrize(("seeds", "level"), [(3, 0.05), (3, 0.01), (10, 0.05), (30, 0.05)])
@pytest.mark.parametrize("sides", [1, 2])
def test_what_could_be_seen_agrees_with_statsmodels(seeds, level, sides):
    from statsmodels.stats.power import TTestPower

    alternative = {1: "larger", 2: "two-sided"}[sides]
    effect = stats.smallest_difference(seeds - 1, level, sides=sides) / seeds**0.5
    power = TTestPower().power(effect, seeds, level, alternative=alternative)
    assert power == pytest.approx(0.8, abs=2e-3)


@pytest.mark.parametrize(("effect", "level"), [(0.5, 0.05), (1.0, 0.05 / 12), (4.0, 0.05)])
def test_how_many_seeds_decide_agrees_with_statsmodels(effect, level):
    from statsmodels.stats.power import TTestPower

    seeds = stats.seeds_needed(effect, level)
    power = [TTestPower().power(effect, n, level, alternative="larger") for n in (seeds - 1, seeds)]
    assert power[0] < 0.8 <= power[1]
    assert stats.seeds_needed(0.0) == stats.seeds_needed(0.01) == np.inf


def test_corrections_agree_with_scipy_and_statsmodels():
    draw = np.random.default_rng(2)
    p = draw.random((12, 40)) ** 3
    tested = draw.random((12, 40)) < 0.8
    found = stats.false_discoveries(p, tested)
    for column in range(40):
        rows = tested[:, column]
        expected = referee.false_discovery_control(p[rows, column]) <= 0.05
        assert found[rows, column].tolist() == expected.tolist()
        assert not found[~rows, column].any()
    from statsmodels.stats.multitest import multipletests

    for column in p.T:
        assert stats.fallen(column.tolist()) == multipletests(column, 0.05, "holm")[0].tolist()
    assert stats.fallen([0.016, 0.04, 0.024]) == [True, True, True]
    assert stats.fallen([]) == []


def test_what_is_not_told_from_the_best_has_the_gap_that_could_be_seen():
    values = np.array([[0.90, 0.92, 0.91], [0.91, 0.90, 0.90], [0.50, 0.52, 0.51]])[:, :, None]
    found = stats.compared(values, [specs()["accuracy"]])
    gaps = values[0, :, 0] - values[1, :, 0]
    # of two, one is told from the best: one more would have had to reach 5 %
    expected = stats.smallest_difference(2) * gaps.std(ddof=1) / 3**0.5
    assert found.could_see[:, 0] == pytest.approx([np.nan, expected, np.nan], nan_ok=True)
    assert np.isnan(stats.compared(values[:, :1], [specs()["accuracy"]]).could_see).all()


def best(values, metric="nll", eligible=None):
    chosen = stats.best(np.array(values)[:, :, None], [specs()[metric]], eligible)
    return np.flatnonzero(chosen[:, 0]).tolist()


def test_bold_is_the_best_and_what_is_not_distinguishable():
    values = [[0.90, 0.92, 0.91], [0.91, 0.90, 0.90], [0.50, 0.52, 0.51], [0.99, np.nan, 0.99]]
    assert best(values, "accuracy") == [0, 1]
    assert best(values, "nll") == [2]
    assert best([[0.9], [0.95], [0.5]], "accuracy") == [1]  # one seed: no test
    assert best(values, "parameters") == []  # neither way is better


def test_nothing_is_best_that_is_not_better_than_chance():
    uncertain, poor = [0.62, 0.34, 0.48], [0.49, 0.48, 0.49]
    assert best([uncertain, poor], "auroc") == []
    assert best([uncertain, poor, [0.60, 0.61, 0.60]], "auroc") == [2]
    assert best([[0.97, 0.96, 0.98], [0.90, 0.91, 0.92]], "fpr95_id") == [1]
    assert best([[0.45], [0.40]], "auroc") == []


def test_the_calibration_of_a_method_that_is_mostly_wrong_is_not_best(results):
    for seed in (0, 1):  # chance is right in 10 % and calibrated to the last digit
        assert json.loads(row_file(results, "clean", "chance", seed).read_text())
    found = table(results)
    assert found.mean["ECE %"].idxmin() == "chance"
    assert "chance" not in found.best["ECE %"]
    assert found.best["ECE %"]


# What is incomplete


def test_a_missing_cell_costs_the_rank_and_the_average(results):
    path = row_file(results, "corruption", "ensemble", 0)
    rows = json.loads(path.read_text())["rows"]
    change(path, rows=[row for row in rows if row["view"] != "fog"])
    found = table(results)
    assert found.rank[["ensemble"]].isna().all()
    assert np.isnan(found.mean.loc["ensemble", "corruption"])
    assert found.mean.loc["ensemble", "near"] == pytest.approx(0.92)  # this part is whole
    assert found.notes == ["ensemble: lacks fog (corruption seed 0)"]
    # the others: letters 1 2 3; noise 2 1 3; fog 1 2 3, blur 1 2 3, spatter 2 1 3
    assert found.rank[MC] == pytest.approx((1 + 2 + 4 / 3) / 3)


def test_a_missing_seed_costs_the_rank(results):
    row_file(results, "cross_dataset", "standard", 1).unlink()
    found = table(results)
    assert np.isnan(found.rank["standard"])
    assert found.notes == ["standard: not run (cross_dataset seed 1)"]


def test_a_failed_method_has_no_rank_and_a_reason(results):
    failed = {"status": "failed", "reason": "RuntimeError: out of memory", "rows": []}
    for scenario in ("corruption", "cross_dataset"):
        for seed in (0, 1):
            change(row_file(results, scenario, "ensemble", seed), **failed)
    render(results, figures=False)
    text = (results / "README.md").read_text()
    assert "| – | ensemble | – | – | – |" in text
    where = "(corruption seed 0, 1, cross_dataset seed 0, 1)"
    assert f"- ensemble: failed: RuntimeError: out of memory {where}" in text
    assert "- toy_digits, corruption: RuntimeError: out of memory (ensemble; seed 0, 1)" in text


def test_a_failed_record_does_not_change_the_headline_score(results):
    path = row_file(results, "clean", "standard", 0)
    change(path, status="failed", reason="no space", rows=[], score=None)
    assert table(results).score["standard"] == "one_minus_max_mean_prob"
    expected = (3 + 2 + 8 / 3) / 3  # no cell of the rank is lost
    assert table(results).rank["standard"] == pytest.approx(expected)


def test_a_score_that_no_row_has_gives_dashes(results):
    for path in results.rglob("*.json"):
        change(path, score="energy")
    render(results, figures=False)
    assert "| – | chance | energy |" in (results / "README.md").read_text()


def test_a_score_that_nothing_has_is_refused_by_its_name(results):
    with pytest.raises(UsageError, match="no row has the score 'energie'; known: own, "):
        render(results, figures=False, score="energie")


def test_the_report_ranks_by_the_score_that_is_asked_for(results):
    render(results, figures=False)
    same = pd.read_csv(results / "tables" / "leaderboard-toy_digits.csv")
    own = pd.read_csv(results / "tables" / "leaderboard-toy_digits-own.csv")
    assert set(same["score"]) == {"predictive_entropy"}
    assert set(own["score"]) == {"vote_entropy", "one_minus_max_mean_prob"}
    render(results, figures=False, score=OWN)
    assert pd.read_csv(results / "tables" / "leaderboard-toy_digits.csv").equals(own)


# A small experiment


def experiment(results, method, scenario="rotation", view="45", seed=0):
    """Add the rows of one more scenario, view or seed for one method."""
    known = json.loads(row_file(results, "cross_dataset", method, 0).read_text())
    path = row_file(results, scenario, f"{method}-{view}", seed)
    path.parent.mkdir(exist_ok=True)
    rows = [row | {"view": view} for row in known["rows"] if row["view"] == "letters"]
    path.write_text(json.dumps(known | {"scenario": scenario, "seed": seed, "rows": rows}))


def test_a_scenario_that_few_ran_takes_nobodys_rank(results):
    before = table(results)
    experiment(results, "ensemble")
    after = table(results)
    assert after.rank.to_dict() == before.rank.to_dict()
    assert "rotation" in after.mean
    assert "rotation: not ranked, only ensemble ran it" in after.notes


def test_a_view_that_few_have_takes_nobodys_rank_and_no_mean(results):
    before = table(results)
    path = row_file(results, "cross_dataset", "ensemble", 0)
    rows = json.loads(path.read_text())["rows"]
    more = [row | {"view": "kmnist"} for row in rows if row["view"] == "letters"]
    change(path, rows=rows + more)
    after = table(results)
    assert after.rank.to_dict() == before.rank.to_dict()
    assert after.mean["near"].to_dict() == before.mean["near"].to_dict()
    assert "cross_dataset: left out kmnist, which most methods lack" in after.notes


def test_a_seed_that_few_ran_takes_nobodys_rank(results):
    before = table(results)
    path = row_file(results, "cross_dataset", "ensemble", 1)
    path.with_name("ensemble-s7.json").write_text(
        json.dumps(json.loads(path.read_text()) | {"seed": 7})
    )
    after = table(results)
    assert after.rank.to_dict() == before.rank.to_dict()
    assert "cross_dataset: left out seed 7, which most methods lack" in after.notes


def test_a_sweep_is_one_method_when_most_are_counted(results):
    for depth in range(9):
        for scenario in ("clean", "cross_dataset"):
            for seed in (0, 1):
                path = row_file(results, scenario, "ensemble", seed)
                label = f"ensemble:depth={depth}"
                copy = path.with_name(f"ensemble_depth={depth}-s{seed}.json")
                copy.write_text(json.dumps(json.loads(path.read_text()) | {"method": label}))
    found = table(results)
    assert found.ranking.cells == 5  # the corruptions too, which none of the sweep has
    assert found.rank.notna().sum() == 4


def test_a_seed_that_failed_for_everyone_is_not_forgotten(results):
    for path in (results / "rows" / "toy_digits" / "cross_dataset").glob("*-s1.json"):
        change(path, status="failed", reason="no space", rows=[])
    assert table(results).rank.isna().all()


def test_a_report_of_nothing_but_failures_says_so(results):
    for path in results.rglob("*.json"):
        change(path, status="failed", reason="no space", rows=[], fit_seconds=None)
    render(results)
    assert "no space (every method; seed 0, 1)" in (results / "README.md").read_text()


def test_presets_and_devices_are_never_mixed(results):
    for scenario in ("clean", "corruption", "cross_dataset"):
        change(row_file(results, scenario, "ensemble", 0), preset="laptop")
        change(row_file(results, scenario, "ensemble", 1), preset="laptop", device="cuda")
    render(results, figures=False)
    names = {path.stem for path in (results / "tables").glob("leaderboard-*.md")}
    ends = ("smoke-cpu-2-threads", "laptop-cpu-2-threads", "laptop-cuda")
    assert {f"leaderboard-toy_digits-{end}" for end in ends} <= names
    smoke = pd.read_csv(results / "tables" / "leaderboard-toy_digits-smoke-cpu-2-threads.csv")
    assert "ensemble" not in set(smoke["method"])


def test_damaged_files_are_named_and_the_rest_is_reported(results):
    row_file(results, "clean", "chance", 0).write_text("{oops")
    row_file(results, "clean", "chance", 1).write_text('{"schema": 1, "method": "chance"}')
    damaged, lacking = render(results, figures=False)
    assert "chance-s0.json: damaged" in damaged
    assert "chance-s1.json: damaged (Object missing required field" in lacking
    text = (results / "README.md").read_text()
    assert "rows/toy_digits/clean/chance-s0.json: damaged" in text
    assert str(results) not in text
    assert "| ensemble |" in text


def test_missing_views_are_listed_with_their_reason(results):
    path = row_file(results, "cross_dataset", "ensemble", 0)
    change(path, missing={"omniglot": "not downloaded"})
    render(results, figures=False)
    line = "- toy_digits, cross_dataset, omniglot: not downloaded (ensemble; seed 0)"
    assert line in (results / "README.md").read_text()


def test_an_empty_folder_is_a_users_mistake(tmp_path):
    with pytest.raises(BenchError, match=r"no results under .*; start with `python -m bench run`"):
        render(tmp_path)


# What is written


def test_one_seed_prints_no_spread_and_says_so(results):
    for path in results.rglob("*-s1.json"):
        path.unlink()
    found = table(results)
    assert "one seed" in found.caption
    assert "±" not in " ".join(table(results).text()["near"])


def test_latex_is_escaped_and_balanced(results):
    change(
        row_file(results, "clean", "chance", 0), status="failed", reason="50% of a_b & ∞ {", rows=[]
    )
    render(results, figures=False)
    for path in (results / "tables").glob("*.tex"):
        text = path.read_text()
        body = text.split("\n", 1)[1].replace(r"\{", "").replace(r"\}", "")
        assert body.count("{") == body.count("}")
        for name in ("table", "tabular"):
            assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 1
    text = (results / "tables" / "leaderboard-toy_digits.tex").read_text()
    assert r"mc\_dropout:rate=0.1" in text
    assert r"ECE \%" in text
    assert r"50\% of a\_b \& ? \{" in text


def test_tables_and_figures_are_written_whole(results):
    assert render(results) == []
    for scenario in ("clean", "corruption", "cross_dataset"):
        for kind, start, end in (("png", b"\x89PNG", b"IEND"), ("pdf", b"%PDF", b"%%EOF")):
            content = (results / "figures" / f"{scenario}-toy_digits.{kind}").read_bytes()
            assert content.startswith(start)
            assert end in content[-12:]
            assert len(content) > 2_000
        assert len(pd.read_csv(results / "tables" / f"{scenario}-toy_digits.csv")) > 4
        assert f"(figures/{scenario}-toy_digits.png)" in (results / "README.md").read_text()
    assert not list(results.rglob("*.tmp"))


def test_the_same_rows_give_the_same_files(results):
    def contents():
        render(results)
        return {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}

    assert contents() == contents()


def test_a_scenario_nobody_named_has_a_column_of_its_own(results):
    for path in (results / "rows").rglob("cross_dataset/*.json"):
        change(path, scenario="bad_weather")
    labels = [column.label for column in table(results).columns]
    assert "bad weather" in labels
    assert labels.index("bad weather") < labels.index("accuracy")


def test_scores_have_short_names_but_not_in_csv(results):
    render(results, figures=False)
    console = table(results).text()
    assert set(console["score"]) == {"1 - max p", "vote entropy"}
    for kind in ("md", "tex"):
        text = (results / "tables" / f"leaderboard-toy_digits-own.{kind}").read_text()
        assert "1 - max p" in text
        assert "mean_prob" not in text
    numbers = pd.read_csv(results / "tables" / "leaderboard-toy_digits-own.csv")
    assert "one_minus_max_mean_prob" in set(numbers["score"])
    assert "### Each method by its own score" in (results / "README.md").read_text()


def test_a_narrow_terminal_drops_columns_and_cuts_no_cell():
    names = ["rank", "method", "score", "near", "FGSM transfer", "fit s"]
    cells = ["1.00", "mc_dropout", "vote entropy", "0.812 ± 0.011", "0.700 ± 0.001", "1.5 ± 0.2"]
    board = {name: [cell] for name, cell in zip(names, cells, strict=True)}
    # widths 4, 10, 12, 13, 13, 9 and 2 between: 71
    gone = ["score", "FGSM transfer", "fit s", "± std", "near"]
    widths = {71: 0, 70: 1, 57: 1, 56: 2, 42: 2, 41: 3, 31: 3, 30: 4, 23: 4, 22: 5, 5: 5}
    assert {width: trimmed(board, width)[1] for width in widths} == {
        width: gone[:count] for width, count in widths.items()
    }
    assert list(trimmed(board, 5)[0]) == ["rank", "method"]


def test_what_is_printed_to_a_file_is_wide(results, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    show(results, {"toy_digits"}, "smoke")
    out = capsys.readouterr().out
    assert "0.870 ± 0.028" in out
    assert "…" not in out
    assert "not shown" not in out
    show(results, {"toy_digits"}, "smoke", OWN)
    assert (
        "not shown for want of width: 95 %, score" in capsys.readouterr().out
    )  # one too many for 120


def test_markdown_cells_cannot_break_the_table():
    assert formats.markdown_escape("a|b\n<c>") == r"a\|b &lt;c>"
    assert formats.markdown_escape("[x](javascript:y)") == "[x]&#40;javascript:y)"
    assert formats.markdown_escape("a\\") == "a&#92;"  # it would take the bar after it


@pytest.mark.parametrize("cell", ["=cmd|'/C calc'!A0", "+1", "-1+1", "@SUM(A1)", "\t=1"])
def test_csv_holds_no_formula(cell):
    text = formats.csv(pd.DataFrame({"method": [cell, "plain"], "value": [-1.5, 2.0]}))
    found = pd.read_csv(io.StringIO(text))
    assert found["method"].tolist() == [f"'{cell}", "plain"]
    assert found["value"].tolist() == [-1.5, 2.0]


@pytest.mark.parametrize(
    "name", ["<img src=x onerror=alert(1)>", r"\input{/etc/passwd}", "=1+1", "[a](b)", "a|b", "-x"]
)
def test_names_are_escaped_for_each_format(results, name):
    for path in (results / "rows").rglob("ensemble-*.json"):
        change(path, method=name)
    render(results, figures=False)
    text = (results / "README.md").read_text()
    assert "<img" not in text
    assert "](b)" not in text
    latex = (results / "tables" / "leaderboard-toy_digits.tex").read_text()
    assert r"\input{" not in latex
    for table_file in (results / "tables").glob("*.csv"):
        methods = pd.read_csv(table_file)["method"]
        assert not methods.str.startswith(("=", "-")).any()
    page = (results / "leaderboard.html").read_text()
    assert "<img" not in page


# What is declared


def protected(results):
    """Write rows of `protected` for two methods; the probe has an AUROC, which is no detection."""

    def row(view, score="samples", n=100, **metrics):
        return {"view": view, "score": score, "n": n, "metrics": metrics}

    for i, method in enumerate(("standard", "grad")):
        for seed in (0, 1):
            group = {"f1": 0.5 + 0.1 * i, "average_precision": 0.6, "ece": 0.2}
            ends = {"f1_gap": 0.1, "f1_gap_low": -0.05, "f1_gap_high": 0.25}
            rows = [
                row("clean", accuracy=0.9, consistency=0.8, **group),
                row("Bald", n=10, **group), row("not Bald", n=90, **group), row("gap Bald", **ends),
                row("probe Bald", "features", f1=0.3, auroc=0.75, threshold=0.2),
            ]  # fmt: skip
            record = {
                "schema": 1, "method": method, "dataset": "faces~target=Beard", "seed": seed,
                "scenario": "protected", "status": "ok", "answer": "samples",
                "score": "vote_entropy", "preset": "smoke", "device": "cpu", "rows": rows,
                "scenario_params": {"protect": ["Bald"]},
            }  # fmt: skip
            path = results / "rows" / "faces" / "protected" / f"{method}-s{seed}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(record))
    return results


def test_protected_has_its_table_of_groups_gaps_and_probe(tmp_path):
    render(protected(tmp_path), figures=False)
    latex = (tmp_path / "tables" / "protected-faces.tex").read_text()
    for words in ("F1, Bald & ", "F1, not Bald", "ECE, Bald", "AP, not Bald", "probe F1, Bald"):
        assert words in latex
    assert "0.100 $\\pm$ 0.000 [-0.050, 0.250]" in latex
    group = only_group(tmp_path)
    cells = printed(group, "protected")
    assert cells.set_index("metric").loc["F1, Bald", "grad"] == "0.600 ± 0.000"


def test_a_probe_is_no_detection(tmp_path):
    group = only_group(protected(tmp_path))
    assert group.detecting == []
    assert group.scores == []
    assert table(tmp_path).columns == []
    assert table(tmp_path).ranking.methods == 0


def test_a_metric_that_this_installation_lacks_is_described_by_the_record(results):
    spec = {"name": "tnr", "label": "TNR at 1 %", "better": "higher", "kind": "detection"}
    headline = {"label": "TNR", "metric": "tnr"}
    for path in (results / "rows").rglob("cross_dataset/*.json"):
        rows = json.loads(path.read_text())["rows"]
        for row in rows:
            row["metrics"] |= {"tnr": 0.25, "unheard_of": 3.0}
        change(path, schema=2, detects=True, headlines=[headline], metric_specs=[spec], rows=rows)
    group = only_group(results)
    assert group.specs["tnr"] == MetricSpec(**spec)
    assert group.specs["unheard_of"].label == "unheard of"
    assert table(results).mean["TNR"].tolist() == [0.25] * 4


def test_what_a_run_ends_with_is_computed_again_only_if_rows_or_code_change(
    results, capsys, monkeypatch
):
    def printed():
        show(results, {"toy_digits"}, "smoke")
        return summary.verified(results) + capsys.readouterr().out

    counted = []
    for name in ("_boards", "_compared"):
        made = getattr(summary, name)
        monkeypatch.setattr(
            summary, name, lambda *args, made=made: counted.append(args) or made(*args)
        )
    first = printed()
    assert printed() == first
    assert len(counted) == 2
    change(row_file(results, "clean", "chance", 0), seed=5)
    assert printed() != first
    assert len(counted) == 4
    (results / summary.BOARDS).write_text("[")
    printed()
    assert len(counted) == 5
    monkeypatch.setattr(summary, "_edited", lambda: 0)
    printed()
    assert len(counted) == 7


def test_the_same_report_after_a_copy_is_not_drawn_again(results, monkeypatch):
    drawn = []
    monkeypatch.setattr(summary, "draw", lambda *args, **options: drawn.append(args) or [])
    (results / "README.md").write_text("# Results")
    for expected in (1, 1):
        summary.refresh(results)
        assert len(drawn) == expected
    for path in results.rglob("*.json"):
        os.utime(path)  # a copy has other times
    summary.refresh(results)
    assert len(drawn) == 1
    change(row_file(results, "clean", "chance", 0), seed=5)
    summary.refresh(results)
    assert len(drawn) == 2


def test_a_report_that_cannot_be_written_is_one_line(results, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    done = CliRunner().invoke(main, ["report", "--no-figures", "--results", str(results)])
    assert done.exit_code == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.output
    assert not list(results.rglob(".draft*"))


def test_the_report_loads_neither_torch_nor_methods_nor_matplotlib():
    code = (
        "import sys, bench.report.readme; "
        "bad = {'torch', 'methods', 'datasets.base', 'matplotlib', 'seaborn'} & set(sys.modules); "
        "sys.exit(f'loaded {bad}' if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CHECKOUT, timeout=60)


def test_a_report_without_figures_does_not_load_matplotlib(results):
    code = (
        "import sys; from pathlib import Path; from bench.report import render; "
        "render(Path(sys.argv[1]), figures=False); "
        "sys.exit(not {'matplotlib', 'seaborn', 'torch'}.isdisjoint(sys.modules))"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(results)]
    subprocess.run(command, check=True, cwd=CHECKOUT, timeout=60)


def test_the_leaderboard_says_how_methods_were_tuned_where_records_do(results):
    assert "tuned by" not in table(results).text()
    for seed in (0, 1):
        change(row_file(results, "clean", "ensemble", seed), tuned="published")
    (results / "again").mkdir()
    shutil.move(results / "rows", results / "again" / "rows")
    found = table(results / "again").text().set_index("method")["tuned by"]
    assert found.to_dict() == {"ensemble": "published", MC: "", "standard": "", "chance": ""}


def test_scores_that_were_left_out_are_named_once_for_each_reason(results):
    why = {"vim": "needs features, and the method gives none", "knn": "cannot be fitted: broken"}
    for scenario in ("clean", "corruption"):
        for seed in (0, 1):
            change(row_file(results, scenario, "chance", seed), left_out=why | {"ash": why["vim"]})
    render(results)
    page = (results / "README.md").read_text("utf-8")
    section = page.partition("## Scores left out")[2].partition("\n## ")[0]
    assert [line for line in section.splitlines() if line.startswith("- ")] == [
        "- toy_digits, knn: cannot be fitted: broken (chance)",
        "- toy_digits, ash, vim: needs features, and the method gives none (chance)",
    ]
