"""The paper's figures: the curves beside the rows, what is drawn from them, and what is not."""

import json
import shutil
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from bench.report import style
from bench.report.figures import belonging, draw, plan, single_inputs, write_gallery
from bench.report.frames import load, result_groups
from bench.report.leaderboard import leaderboard
from bench.report.plots import Material, answers, cost, heatmap, ranks, shift, sweep
from bench.store import curves
from bench.store.records import OWN

GOLDEN = Path(__file__).parent / "data" / "rows"
MC = "mc_dropout:rate=0.1"
FAST = ["run", "--methods", "chance,standard,mc_dropout", "--preset", "smoke", "--seeds", "0",
        "--scenarios", "clean,cross_dataset,cost"]  # fmt: skip


# Figures


def curve_of(record, rise):
    """Curves of a hand-made record: ``rise`` of the outliers are flagged from the first."""
    if record["scenario"] == "clean":
        bins = [[0, 0, 0]] * 14 + [[100, 950, 900]]
        found = {"reliability": bins, "risk": [1000 * i for i in range(1, 51)]}
    else:
        views = {row["view"]: row.get("group", "") for row in record["rows"]}
        tpr = [round(1000 * max(rise, i / 50)) for i in range(51)]
        found = {"inliers": [50] * 20, "views": [
            {"view": v, "severity": 0.0, "group": g, "tpr": tpr, "outliers": [50] * 20}
            for v, g in views.items()
        ]}  # fmt: skip
    names = ("method", "dataset", "scenario", "seed")
    about = {name: record[name] for name in names} | {"row": record["key"]}
    return {"schema": 1, "key": "k", "score": record["score"], **about, **found}


@pytest.fixture
def results(tmp_path):
    """The golden rows, with curves that rise to 0.2 in seed 0 and 0.4 in seed 1."""
    shutil.copytree(GOLDEN, tmp_path / "rows")
    for path in (tmp_path / "rows").rglob("*.json"):
        record = json.loads(path.read_text())
        out = tmp_path / "curves" / path.relative_to(tmp_path / "rows")
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(curve_of(record, 0.2 + 0.2 * record["seed"])))
    return tmp_path


def material(results):
    (group,) = result_groups(load(results)[0])
    mine = belonging(group, curves.read_all(results / "curves")[0])
    return Material(group, style.palette(group.methods), OWN, mine)


def row_file(results, scenario, method, seed, kind="rows"):
    return results / kind / "toy_digits" / scenario / f"{method.replace(':', '_')}-s{seed}.json"


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def drawn(kind, material):
    name = kind.__name__.rpartition(".")[2]
    with style.look():
        return {drawing.name: drawing.draw() for drawing in getattr(kind, name)(material)}


def lines(axis):
    return {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}


def planned(results):
    return plan(result_groups(load(results)[0]), [results], score=OWN)


def test_every_figure_there_are_numbers_for_is_written_once(results):
    figures, notes = planned(results)
    assert notes == []
    of_the_paper = [figure.name for figure in figures if figure.place == "paper"]
    for kind in ("roc", "histograms", "risk_coverage", "reliability",
                 "ranks", "cost_quality"):  # fmt: skip
        assert f"{kind}-toy_digits" in of_the_paper
    assert len(of_the_paper) < len(figures)
    out = results / "out"
    list(draw(figures, out))
    for figure in figures:
        assert (out / f"{figure.name}.png").read_bytes().startswith(b"\x89PNG")
        assert (out / f"{figure.name}.pdf").read_bytes().startswith(b"%PDF")
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    list(draw(planned(results)[0], out))
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_a_figure_is_drawn_again_when_its_numbers_change(results):
    out = results / "out"
    list(draw(planned(results)[0], out))
    before = {path.name: path.read_bytes() for path in out.glob("*.png")}
    path = row_file(results, "clean", "ensemble", 0)
    rows = json.loads(path.read_text())["rows"]
    for row in rows:
        row["metrics"] = {name: value / 2 for name, value in row["metrics"].items()}
    change(path, rows=rows)
    list(draw(planned(results)[0], out))
    changed = {path.name for path in out.glob("*.png") if path.read_bytes() != before[path.name]}
    assert any("clean" in name for name in changed)
    assert not any("corruption" in name for name in changed)


def test_without_curves_the_other_figures_come_and_a_line_says_so(results):
    shutil.rmtree(results / "curves")
    figures, (note,) = planned(results)
    write_gallery(figures, [note], results)
    text = (results / "paper" / "figures.md").read_text()
    assert note.startswith("toy_digits (preset smoke; cpu, 2 threads): no curves, so neither ROC")
    assert "ranks-toy_digits.png" in text
    assert "- toy_digits" in text
    assert "roc-" not in text


def test_the_roc_curve_is_the_mean_over_views_and_seeds(results):
    axis = drawn(shift, material(results))["roc"].axes[0]
    assert axis.get_title() == "near"
    curve = lines(axis)["ensemble"].get_ydata()
    expected = [(max(0.2, i / 50) + max(0.4, i / 50)) / 2 for i in range(51)]
    assert curve == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scenario", ["cross_dataset", "clean"])
def test_a_method_that_lacks_a_curve_is_not_drawn(results, scenario):
    row_file(results, scenario, "ensemble", 1, "curves").unlink()
    kind, name = (shift, "roc") if scenario == "cross_dataset" else (answers, "risk_coverage")
    found = lines(drawn(kind, material(results))[name].axes[0])
    assert set(found) == {"chance", MC, "standard"}


def test_curves_of_older_rows_are_not_drawn(results):
    for seed in (0, 1):
        change(row_file(results, "clean", "ensemble", seed), key="measured again")
    found = drawn(answers, material(results))
    assert "ensemble" not in lines(found["risk_coverage"].axes[0])
    assert {axis.get_title() for axis in found["reliability"].axes} == {
        "chance", MC.replace(":", "\n"), "standard",
    }  # fmt: skip


def test_reliability_pools_the_answers_of_all_seeds():
    table = answers.pooled([[[10, 900, 1000], [0, 0, 0]], [[30, 700, 600], [0, 0, 0]]])
    assert table.to_dict("records") == [{"n": 40, "confidence": 0.75, "accuracy": 0.7}]


def test_the_heat_map_has_a_dash_for_what_is_not_complete(results, monkeypatch):
    monkeypatch.setattr(heatmap, "MANY", 2)
    path = row_file(results, "corruption", "ensemble", 0)
    rows = json.loads(path.read_text())["rows"]
    change(path, rows=[row for row in rows if row["view"] != "fog"])
    figures = drawn(heatmap, material(results))
    texts = texts_of(figures["heatmap_corruption"].axes[0])
    assert texts["fog", "ensemble"] == texts["mean", "ensemble"] == "–"
    variants = texts_of(figures["heatmap_corruption_variants"].axes[0])
    assert variants["mean", MC] == ".69"  # 0.68 and 0.6933, as in the table


def texts_of(axis):
    """The text of each cell of a heat map, by (view, method)."""
    views = [label.get_text() for label in axis.get_xticklabels()]
    methods = [label.get_text() for label in axis.get_yticklabels()]
    assert views[-1] == "mean"
    places = {text.get_position(): text.get_text() for text in axis.texts}
    return {(views[int(x)], methods[int(y)]): text for (x, y), text in places.items()}


def test_ranks_are_those_of_the_leaderboard(results):
    shown = material(results)
    axis = drawn(ranks, shown)["ranks"].axes[0]
    expected = leaderboard(shown.group, OWN).rank.dropna().sort_values()
    assert [label.get_text() for label in axis.get_yticklabels()] == list(expected.index)
    assert [x for x, _ in axis.collections[1].get_offsets()] == pytest.approx(list(expected))


def test_bars_join_what_nemenyi_does_not_tell_apart():
    means = pd.Series([1.0, 2.0, 2.5, 4.0, 7.0])
    assert ranks.cliques(means, 1.6) == [(0, 2), (2, 3)]
    assert ranks.cliques(means, 0.1) == []
    assert ranks.cliques(means, 9) == [(0, 4)]


def test_a_partial_method_is_neither_ranked_nor_priced(results):
    row_file(results, "corruption", "ensemble", 1).unlink()
    shown = material(results)
    axis = drawn(ranks, shown)["ranks"].axes[0]
    assert "ensemble" not in [label.get_text() for label in axis.get_yticklabels()]
    assert "ensemble" not in lines(drawn(cost, shown)["cost_quality"].axes[0])


def with_sweep(results, lacking=None):
    """Make "ensemble" one of depth 8, and depths 2 and 4 of the other methods."""
    for path in list((results / "rows").rglob("ensemble-*.json")):
        record = json.loads(path.read_text())
        change(path, params={"depth": 8})
        for depth in (2, 4):
            if (depth, record["seed"], record["scenario"]) != lacking:
                copy = record | {"method": f"ensemble:depth={depth}", "params": {"depth": depth}}
                path.with_name(f"ensemble_depth={depth}-s{record['seed']}.json").write_text(
                    json.dumps(copy)
                )


def test_a_sweep_is_drawn_with_the_default_among_its_values(results):
    assert material(results).sweeps == {}
    with_sweep(results)
    shown = material(results)
    points = {2.0: "ensemble:depth=2", 4.0: "ensemble:depth=4", 8.0: "ensemble"}
    assert shown.sweeps == {("ensemble", "depth"): points}
    assert sorted(shown.methods) == ["chance", "ensemble", MC, "standard"]
    left, right = drawn(sweep, shown)["sweep_ensemble_depth"].axes
    assert left.lines[0].get_xdata() == pytest.approx([2, 4, 8])
    assert left.lines[0].get_ydata() == pytest.approx([0.975] * 3)
    assert set(right.get_legend_handles_labels()[1]) == {"near", "far", "corruption"}


def test_a_value_that_is_not_complete_is_not_in_the_curve(results):
    with_sweep(results, lacking=(4, 1, "clean"))
    left, _ = drawn(sweep, material(results))["sweep_ensemble_depth"].axes
    assert left.lines[0].get_xdata() == pytest.approx([2, 8])


def test_colours_do_not_depend_on_what_else_is_drawn():
    few = style.palette(["redecnn", "standard"])
    many = style.palette(["a", "b", "redecnn", "redecnn:depth=2", "standard"])
    assert {name: many[name] for name in few} == few
    assert len(set(many.values())) == 5


def test_lines_of_one_colour_family_differ_in_dashes():
    methods = ["dropout", "dropout:rate=0.1", "standard"]
    looks = [style.line(name, methods, style.palette(methods)) for name in methods]
    assert looks[0]["linestyle"] != looks[1]["linestyle"]
    assert looks[0]["marker"] != looks[2]["marker"]


def test_a_figure_of_too_many_methods_drops_variants():
    many = ["redecnn", *(f"redecnn:compose={i}" for i in range(20))]
    assert style.legible(many) == ["redecnn"]
    assert style.legible(many[:5]) == many[:5]


def test_figures_of_single_inputs_are_shown_where_they_were_drawn(tmp_path):
    for name in ("path-toy-redecnn", "corruption-toy", "corruptions-toy"):
        (tmp_path / f"{name}.png").touch()
    found = [name for name, _ in single_inputs(tmp_path)]
    assert found == ["path-toy-redecnn", "corruptions-toy"]


def test_labels_of_a_sweep_keep_clear_of_each_other():
    assert sweep._labels([8, 16, 20, 32], crowded=True) == ["8", "16", "", "32"]
    assert sweep._labels([8, 16, 20, 32], crowded=False) == ["8", "16", "20", "32"]


def test_drawings_have_a_palette_and_photographs_all_their_colours():
    figure = style.canvas(1.0)
    figure.subplots().plot([0, 1])
    modes = [
        Image.open(BytesIO(style.saved(figure, photographs=photographs)["png"])).mode
        for photographs in (False, True)
    ]
    assert modes == ["P", "RGBA"]
