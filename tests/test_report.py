"""The report, from small hand-made rows whose answers are worked out in the comments."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats as referee

from bench.commands.summary import show, trimmed
from bench.errors import BenchError
from bench.report import figures, formats, render, stats
from bench.report.frames import boards, load
from bench.report.leaderboard import COLUMNS, leaderboard, leaderboard_frame
from bench.report.scenarios import overview

GOLDEN = Path(__file__).parent / "data" / "rows"
CHECKOUT = Path(__file__).parents[1]
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


def only_board(results):
    (board,) = boards(load(results)[0])
    return board


def table(results, score=""):
    return leaderboard(only_board(results).frame, score)


# Known answers


def test_mean_and_std_are_over_seeds(results):
    # letters: 0.84 and 0.88, so 0.86 ± 0.04 / sqrt(2)
    found = table(results)
    assert found.mean.loc[MC, "near"] == pytest.approx(0.86)
    assert found.std.loc[MC, "near"] == pytest.approx(0.04 / 2**0.5)
    # fog, blur, spatter: (0.68 + 0.66 + 0.70) / 3 = 0.68, then (0.72 + 0.66 + 0.70) / 3
    assert found.mean.loc[MC, "corruption"] == pytest.approx((0.68 + 2.08 / 3) / 2)


def test_mean_rank_averages_all_cells_and_ties(results):
    # letters 1 2 3, noise 1 3 2, fog 1.5 1.5 3, blur 2 1 3, spatter 1 3 2; chance always 4
    expected = {"ensemble": 6.5 / 5, MC: 10.5 / 5, "standard": 13 / 5, "chance": 4.0}
    assert table(results).rank.to_dict() == pytest.approx(expected)
    assert list(leaderboard_frame(only_board(results).frame)["method"]) == list(expected)


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
    assert "accuracy" not in same.mean


def test_a_record_without_a_score_is_judged_by_vote_entropy(results):
    for scenario in ("clean", "corruption", "cross_dataset"):
        for seed in (0, 1):
            change(row_file(results, scenario, "standard", seed), score=None)
    assert table(results).mean.loc["standard", "near"] == 0.5


def test_corruption_overview_has_the_spread_over_corruptions(results):
    found = overview(only_board(results).frame, "corruption")
    assert found.loc["ensemble", "mean"] == pytest.approx(0.70)
    assert found.loc["ensemble", "stdev"] == pytest.approx(0.05)  # of 0.65, 0.70, 0.75


def test_paired_p_agrees_with_scipy():
    a, b = np.array([0.9, 0.8, 0.95]), np.array([0.85, 0.82, 0.7])
    assert stats.paired_p(a - b) == pytest.approx(referee.ttest_rel(a, b).pvalue)
    assert stats.paired_p(np.zeros(3)) == 1.0
    assert stats.paired_p(np.full(3, 0.5)) == 0.0


def test_critical_difference_agrees_with_published_values():
    # Demšar (2006): q = 2.569 for four methods
    assert stats.critical_difference(4, 14) == pytest.approx(2.569 * (20 / 84) ** 0.5, abs=1e-3)
    assert np.isnan(stats.critical_difference(2, 14))


def test_friedman_of_equal_methods_is_one():
    assert stats.friedman(pd.DataFrame(np.full((3, 4), 2.0))) == 1.0


def test_bold_is_the_best_and_what_is_not_distinguishable():
    values = pd.DataFrame(
        [[0.90, 0.92, 0.91], [0.91, 0.90, 0.90], [0.50, 0.52, 0.51], [0.99, np.nan, 0.99]],
        index=["best", "near", "clearly_worse", "partial"],
    )
    assert stats.best(values, higher=True) == {"best", "near"}
    assert stats.best(values, higher=False) == {"clearly_worse"}
    assert stats.best(values[[0]].dropna(), higher=True) == {"partial"}  # one seed: no test


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
    # the others: letters 1 2 3, noise 2 1 3, fog 1 2 3, blur 1 2 3, spatter 2 1 3
    assert found.rank[MC] == pytest.approx(7 / 5)


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
    assert "| – | ensemble | vote entropy | – | – | – |" in text
    where = "(corruption seed 0, 1, cross_dataset seed 0, 1)"
    assert f"- ensemble: failed: RuntimeError: out of memory {where}" in text
    assert "- toy_digits, corruption: RuntimeError: out of memory (ensemble; seed 0, 1)" in text


def test_a_failed_record_does_not_change_the_headline_score(results):
    path = row_file(results, "clean", "standard", 0)
    change(path, status="failed", reason="no space", rows=[], score=None)
    assert table(results).score["standard"] == "one_minus_max_mean_prob"
    assert table(results).rank["standard"] == pytest.approx(13 / 5)  # no cell of the rank is lost


def test_a_score_that_no_row_has_gives_dashes(results):
    for path in results.rglob("*.json"):
        change(path, score="energy")
    render(results, figures=False)
    assert "| – | chance | energy |" in (results / "README.md").read_text()


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
    assert "lacks dataset, rows, scenario, seed, status" in lacking
    text = (results / "README.md").read_text()
    assert "rows/toy_digits/clean/chance-s0.json: damaged" in text
    assert str(results) not in text
    assert "**1.30** | ensemble" in text


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
    assert "±" not in " ".join(leaderboard_frame(only_board(results).frame)["near"])


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
        for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF")):
            content = (results / "figures" / f"{scenario}-toy_digits.{kind}").read_bytes()
            assert content.startswith(start)
            assert len(content) > 5_000
        assert len(pd.read_csv(results / "tables" / f"{scenario}-toy_digits.csv")) > 4
        assert f"(figures/{scenario}-toy_digits.png)" in (results / "README.md").read_text()
    assert not list(results.rglob("*.tmp"))


def test_the_same_rows_give_the_same_files(results):
    def contents():
        render(results)
        return {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}

    assert contents() == contents()


def test_a_scenario_nobody_named_has_a_column_of_its_own(results):
    frame = only_board(results).frame.replace({"scenario": {"cross_dataset": "bad_weather"}})
    labels = [column.label for column in leaderboard(frame).columns]
    assert "bad weather" in labels
    assert labels.index("bad weather") < labels.index("accuracy")


def drawn(results):
    from matplotlib.figure import Figure

    axis, frame = Figure().subplots(), only_board(results).frame
    colours = figures.palette(frame["method"].unique())
    (column,) = [column for column in COLUMNS if column.label == "near"]
    figures._bars(axis, column, frame, colours)
    return axis


def test_a_bar_belongs_to_the_method_beside_it(results):
    axis = drawn(results)
    assert [label.get_text() for label in axis.get_yticklabels()] == sorted(MEANS)
    assert [round(bar.get_center()[1], 6) for bar in axis.patches] == [0, 1, 2, 3]
    gains = [MEANS[name] - 0.5 for name in sorted(MEANS)]
    assert [bar.get_width() for bar in axis.patches] == pytest.approx(gains)
    assert axis.xaxis.get_major_formatter()(0.25) == "0.75"  # the axis says AUROC, not the gain


def test_an_error_bar_is_the_deviation_over_seeds(results):
    ends = drawn(results).lines[sorted(MEANS).index(MC)].get_xdata()
    deviation = 0.04 / 2**0.5  # of 0.84 and 0.88, as in the table
    assert np.nanmin(ends) == pytest.approx(0.36 - deviation)
    assert np.nanmax(ends) == pytest.approx(0.36 + deviation)


@pytest.mark.parametrize("lost", [["ensemble"], sorted(MEANS)])
def test_an_incomplete_method_has_a_dash_for_a_bar(results, lost):
    for name in lost:
        path = row_file(results, "cross_dataset", name.replace(":", "_"), 1)
        change(path, rows=[])
    axis = drawn(results)
    found = [(text.get_text(), text.get_position()[1]) for text in axis.texts]
    assert found == [(" –", name) for name in lost]
    assert len(axis.patches) == len(MEANS) - len(lost)


def test_every_method_has_its_own_colour():
    colours = figures.palette(f"method{i}" for i in range(20))
    assert len(set(colours.values())) == 20


def test_scores_have_short_names_but_not_in_csv(results):
    render(results, figures=False)
    console = leaderboard_frame(only_board(results).frame)
    assert set(console["score"]) == {"1 - max p", "vote entropy"}
    for kind in ("md", "tex"):
        text = (results / "tables" / f"leaderboard-toy_digits.{kind}").read_text()
        assert "1 - max p" in text
        assert "mean_prob" not in text
    numbers = pd.read_csv(results / "tables" / "leaderboard-toy_digits.csv")
    assert "one_minus_max_mean_prob" in set(numbers["score"])
    assert "### All methods by predictive entropy" in (results / "README.md").read_text()


def test_a_narrow_terminal_drops_columns_and_cuts_no_cell():
    frame = pd.DataFrame(
        [["1.00", "mc_dropout", "vote entropy", "0.812 ± 0.011", "0.700 ± 0.001", "1.5 ± 0.2"]],
        columns=["rank", "method", "score", "near", "FGSM transfer", "fit s"],
    )  # widths 4, 10, 12, 13, 13, 9 and 2 between: 71
    gone = ["score", "FGSM transfer", "fit s", "± std", "near"]
    widths = {71: 0, 70: 1, 57: 1, 56: 2, 42: 2, 41: 3, 31: 3, 30: 4, 23: 4, 22: 5, 5: 5}
    assert {width: trimmed(frame, width)[1] for width in widths} == {
        width: gone[:count] for width, count in widths.items()
    }
    assert list(trimmed(frame, 5)[0]) == ["rank", "method"]


def test_what_is_printed_to_a_file_is_wide(results, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    show(results, {"toy_digits"}, "smoke")
    out = capsys.readouterr().out
    assert "0.860 ± 0.028" in out
    assert "…" not in out
    assert out.endswith("not shown for want of width: score\n")  # one too many for 120


def test_markdown_cells_cannot_break_the_table():
    assert formats.markdown_escape("a|b\n<c>") == r"a\|b &lt;c>"


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
