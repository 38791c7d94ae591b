"""The figures: what is planned from rows and curves, what each shows, and what it leaves out."""

import itertools
import json
import shutil
import textwrap
from collections import Counter
from functools import partial
from io import BytesIO
from pathlib import Path

import matplotlib.colors
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from PIL import Image

from bench import plugins
from bench.report import figures, render, style
from bench.report.figures import belonging, plan, single_inputs, write_gallery
from bench.report.frames import load, result_groups
from bench.report.leaderboard import leaderboard
from bench.report.plots import (
    Drawing,
    Material,
    answers,
    bars,
    cost,
    groups,
    heatmap,
    kinds,
    ranks,
    shift,
    sweep,
    training,
)  # fmt: skip
from bench.store.curves import read_all
from bench.store.schema import MetricSpec
from tests.damage import KINDS, damaged, places

GOLDEN = Path(__file__).parents[1] / "data" / "rows"
MC = "mc_dropout:rate=0.1"
OF_CURVES = {"roc", "histograms", "risk_coverage", "reliability", "training"}


def curve_of(record, rise):
    """Curves of a hand-made record: ``rise`` of the outliers are flagged from the first."""
    if record["scenario"] == "clean":
        bins = [[0, 0, 0]] * 14 + [[100, 950, 900]]
        curves = {"risk": [1000 * i for i in range(1, 51)]}
        epochs = [[2.0 / e, 1.0 / e + 0.1 * record["seed"], 1 - 0.1 / e] for e in (1, 2, 4)]
    else:
        bins, epochs, views = [], [], {row["view"]: row.get("group", "") for row in record["rows"]}
        tpr = [round(1000 * max(rise, i / 50)) for i in range(51)]
        curves = {"inliers": [50] * 20, "views": [
            {"view": v, "severity": 0.0, "group": g, "tpr": tpr, "outliers": [50] * 20}
            for v, g in views.items()
        ]}  # fmt: skip
    names = ("method", "dataset", "scenario", "seed")
    about = {name: record[name] for name in names} | {
        "row": record["key"], "reliability": bins, "training": epochs,
    }  # fmt: skip
    return {"schema": 2, "key": "k", "scores": [{"score": "predictive_entropy"} | curves]} | about


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
    curves, problems = read_all(results / "curves")
    assert problems == []
    return Material(group, style.palette(group.methods), curves=belonging(group, curves))


def row_file(results, scenario, method, seed, kind="rows"):
    return results / kind / "toy_digits" / scenario / f"{method.replace(':', '_')}-s{seed}.json"


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def with_views(results, many):
    """Add views to the corruptions: copies of fog, so that there are ``many`` views."""
    for path in (results / "rows" / "toy_digits" / "corruption").glob("*.json"):
        rows = json.loads(path.read_text())["rows"]
        fog = [row for row in rows if row["view"] == "fog"]
        change(path, rows=rows + [row | {"view": f"fog_{i}"} for i in range(many - 3)
                                  for row in fog])  # fmt: skip


def drawn(draw, given):
    with style.look():
        return {drawing.name: drawing.draw() for drawing in draw(given)}


def lines(axis):
    return {line.get_label(): line for line in axis.lines if not line.get_label().startswith("_")}


def ticks(axis, which="y"):
    return [label.get_text() for label in getattr(axis, f"get_{which}ticklabels")()]


# What is planned, and its files


def planned(results, **options):
    return plan(result_groups(load(results)[0]), [results], **options)


def write(results):
    found, notes = planned(results)
    for _ in figures.draw(found, results / "figures"):
        pass
    return found, notes


def test_every_figure_there_are_numbers_for_is_written(results):
    with_views(results, 8)
    found, notes = write(results)
    assert notes == []
    names = {figure.name for figure in found}
    assert names == {
        f"{kind}-toy_digits"
        for kind in ("clean", "corruption", "cross_dataset", "clean_variants",
                     "corruption_variants", "cross_dataset_variants", "heatmap_corruption",
                     "heatmap_corruption_variants", "roc", "histograms", "risk_coverage",
                     "reliability", "ranks", "cost_quality", "pareto", "training")
    }  # fmt: skip
    for name in names:
        assert (results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (results / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_the_report_shows_bars_and_the_paper_the_rest(results):
    assert {figure.place for figure in planned(results, paper=False)[0]} == {"report"}
    render(results)
    text = (results / "README.md").read_text()
    assert "(figures/cross_dataset-toy_digits.png)" in text
    assert "ranks-toy_digits" not in text


def test_a_figure_is_drawn_again_only_where_its_numbers_changed(results):
    write(results)
    before = {path.name: path.stat().st_mtime_ns for path in (results / "figures").iterdir()}
    path = row_file(results, "clean", "ensemble", 0)
    rows = json.loads(path.read_text())["rows"]
    rows[1]["metrics"]["accuracy"] = 0.91
    change(path, rows=rows)
    (results / "figures" / "ranks-toy_digits.pdf").unlink()
    write(results)
    after = {path.name: path.stat().st_mtime_ns for path in (results / "figures").iterdir()}
    again = {name.partition("-")[0] for name in after if after[name] != before[name]}
    assert again == {"clean", "ranks"}


def test_the_same_rows_give_the_same_files(results):
    write(results)
    folder = results / "figures"
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    shutil.rmtree(folder)
    write(results)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_without_curves_the_other_figures_come_and_a_line_says_so(results):
    shutil.rmtree(results / "curves")
    found, notes = planned(results)
    write_gallery(found, notes, results)
    text = (results / "paper" / "figures.md").read_text()
    assert notes[0].startswith("toy_digits (preset smoke; cpu, 2 threads): no curves, so neither")
    assert "ranks-toy_digits.png" in text
    assert "- toy_digits" in text
    assert "roc-" not in text


PLUGIN = """
    from functools import partial
    from bench.report import style
    from bench.report.plots import Drawing, figure

    @figure
    def seeds(material):
        counts = {name: len(part.seeds) for name, part in material.group.measurements.items()}
        yield Drawing("seeds", "Seeds of each scenario.", partial(draw, counts))

    def draw(counts):
        drawn = style.canvas(1.5)
        drawn.subplots().barh(list(counts), list(counts.values()))
        return drawn
"""


def test_a_kind_of_figures_is_one_file_and_a_plug_in_may_have_it(results, tmp_path, monkeypatch):
    file = tmp_path / "seeds_of_scenarios.py"
    file.write_text(textwrap.dedent(PLUGIN))
    monkeypatch.setenv(plugins.VARIABLE, str(file))
    found = [figure for figure in planned(results)[0] if figure.drawing.name == "seeds"]
    for _ in figures.draw(found * 7, results / "figures"):  # so many that workers draw them
        pass
    assert (results / "figures" / "seeds-toy_digits.png").exists()
    monkeypatch.delenv(plugins.VARIABLE)
    assert "seeds" not in {kind.draw.__name__ for kind in kinds()}


# What they show


def test_bars_are_sorted_by_rank_and_leave_out_methods_without_numbers(results):
    for seed in (0, 1):
        row_file(results, "cross_dataset", "standard", seed).unlink()
    given = material(results)
    near, far = drawn(bars.bars, given)["cross_dataset"].axes
    order = [name for name in leaderboard(given.group).rank.index if ":" not in name]
    assert ticks(near) == [name for name in order if name != "standard"]
    assert [near.get_title(), far.get_title()] == ["near", "far"]
    assert near.patches[0].get_x() == 0.5  # chance: a bar is the gain over it
    assert near.patches[0].get_width() + 0.5 == pytest.approx(0.93)  # 0.92 and 0.94


def test_variants_have_a_figure_of_their_own_beside_their_methods(results):
    for path in list((results / "rows").rglob("ensemble-*.json")):
        copy = json.loads(path.read_text()) | {"method": "ensemble:size=3"}
        path.with_name(path.name.replace("ensemble", "ensemble_size=3")).write_text(
            json.dumps(copy)
        )
    found = drawn(bars.bars, material(results))
    assert {name for name in ticks(found["clean"].axes[0]) if ":" in name} == set()
    shown = set(ticks(found["clean_variants"].axes[0]))
    assert shown == {"ensemble", "ensemble:size=3", MC}  # "mc_dropout" itself did not run


def test_a_method_that_lacks_a_seed_has_a_dash_and_no_bar(results):
    path = row_file(results, "cross_dataset", "ensemble", 1)
    rows = [row for row in json.loads(path.read_text())["rows"] if row["view"] != "noise"]
    change(path, rows=rows)
    near, far = drawn(bars.bars, material(results))["cross_dataset"].axes
    at = ticks(near).index("ensemble")
    assert [text.get_position()[1] for text in far.texts] == [at]
    assert np.isnan(far.patches[at].get_width())
    assert near.texts[:] == []


def test_an_axis_of_accuracy_begins_just_below_the_lowest_that_matters():
    accuracy = MetricSpec("accuracy", "accuracy", better="higher", kind="answer")
    values = pd.Series([0.99, 0.98, 0.97, 0.985, 0.94, 0.1])
    assert bars.window(values, accuracy) == (0.94, 0.99)
    assert bars.window(values[:3], accuracy) == (0.97, 0.99)
    seconds = MetricSpec("fit_seconds", "fit", better="lower", kind="cost")
    assert bars.window(pd.Series([20.0, 30.0, 400.0, 1e-4]), seconds) == (20.0, 400.0)


def test_a_value_beyond_the_axis_is_printed_at_its_edge():
    values = pd.Series({"a": 0.99, "b": 0.98, "c": 0.985, "d": 0.98, "chance": 0.1})
    accuracy = MetricSpec("accuracy", "accuracy", better="higher", kind="answer")
    panel = bars.Panel("accuracy", accuracy, values, values * 0, pd.DataFrame(values))
    colours = style.palette(values.index)
    with style.look():
        (axis,) = bars._draw([panel], colours).axes
    assert [text.get_text() for text in axis.texts] == ["◂ 0.100"]
    assert 0.9 < axis.get_xlim()[0] < 0.98


def no_text_is_hidden(figure):
    """Whether each text lies on the canvas that is saved, and no two tick labels overlap."""
    figure.draw_without_rendering()
    for axis in figure.axes:
        for labels in (axis.get_xticklabels(), axis.get_yticklabels(), axis.texts):
            boxes = [t.get_window_extent() for t in labels if t.get_text() and t.get_visible()]
            boxes = [box.shrunk(0.9, 0.9) for box in boxes]
            if any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i]):
                return False
    return True


def test_no_text_hides_another_and_none_is_too_small(results):
    with_views(results, 15)
    given = material(results)
    with style.look():
        for kind in kinds():
            for drawing in kind.draw(given):
                figure = drawing.draw()
                assert no_text_is_hidden(figure), drawing.name
                texts = figure.findobj(lambda artist: hasattr(artist, "get_fontsize"))
                sizes = {text.get_fontsize() for text in texts if text.get_text()}
                assert min(sizes) >= style.SMALL, drawing.name


def test_the_roc_curve_is_the_mean_over_views_and_seeds(results):
    axis = drawn(shift.shift, material(results))["roc"].axes[0]
    assert axis.get_title() == "near"
    curve = lines(axis)["ensemble"].get_ydata()
    expected = [(max(0.2, i / 50) + max(0.4, i / 50)) / 2 for i in range(51)]
    assert curve == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("scenario", ["cross_dataset", "clean"])
def test_a_method_that_lacks_a_curve_is_not_drawn(results, scenario):
    row_file(results, scenario, "ensemble", 1, "curves").unlink()
    detects = scenario == "cross_dataset"
    kind, name = (shift.shift, "roc") if detects else (answers.answers, "risk_coverage")
    found = lines(drawn(kind, material(results))[name].axes[0])
    assert set(found) == {"chance", MC, "standard"}


def test_curves_by_the_own_score_are_drawn_where_there_are_no_others(results):
    for path in (results / "curves").rglob("*.json"):
        curves = json.loads(path.read_text())
        own = "one_minus_max_mean_prob" if curves["method"] == "standard" else "vote_entropy"
        change(path, scores=[one | {"score": own} for one in curves["scores"]])
    (roc, _) = shift.shift(material(results))
    assert roc.caption.startswith("ROC by each method's own score")


def test_curves_that_cannot_be_read_are_named(results):
    path = row_file(results, "corruption", "ensemble", 1, "curves")
    path.write_text(path.read_text()[:-9])
    _, notes = planned(results)
    (line,) = notes
    assert line.startswith(f"{path.relative_to(results)}: damaged")


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenario", ["clean", "corruption"])
def test_figures_survive_every_kind_of_damage_in_every_field_of_curves(results, scenario):
    path = row_file(results, scenario, "ensemble", 1, "curves")
    sound, tried = json.loads(path.read_text()), Counter()
    read_once = result_groups(load(results)[0])
    for place, kind in itertools.product(places(sound), KINDS):
        path.write_text(damaged(sound, place, kind))
        found, notes = plan(read_once, [results])
        tried["named" if notes else "read"] += 1
        if notes:
            assert len(notes) == 1
            assert notes[0].startswith(str(path.relative_to(results)))
            continue
        with style.look():
            for figure in found:
                if figure.drawing.name in OF_CURVES:
                    plt.close(figure.drawing.draw())
    print(f"\ncurves of {scenario}, by field: {sum(tried.values())} damages: {dict(tried)}")


def test_curves_of_older_rows_are_not_drawn(results):
    for seed in (0, 1):
        change(row_file(results, "clean", "ensemble", seed), key="measured again")
    found = drawn(answers.answers, material(results))
    assert "ensemble" not in lines(found["risk_coverage"].axes[0])
    titles = {axis.get_title() for axis in found["reliability"].axes}
    assert titles == {"chance", MC.replace(":", "\n"), "standard"}


def test_reliability_pools_the_predictions_of_all_seeds():
    table = answers.pooled([[[10, 900, 1000], [0, 0, 0]], [[30, 700, 600], [0, 0, 0]]])
    assert table.to_dict("records") == [{"n": 40, "confidence": 0.75, "accuracy": 0.7}]


def test_the_heat_map_has_a_dash_for_what_is_not_complete(results):
    with_views(results, 8)
    path = row_file(results, "corruption", "ensemble", 0)
    rows = json.loads(path.read_text())["rows"]
    change(path, rows=[row for row in rows if row["view"] != "fog"])
    axis = drawn(heatmap.heatmap, material(results))["heatmap_corruption"].axes[0]
    methods, views = ticks(axis), ticks(axis, "x")
    assert (views[-1], MC in methods) == ("mean", False)
    texts = {
        (views[int(text.get_position()[0])], methods[int(text.get_position()[1])]): text.get_text()
        for text in axis.texts
    }
    assert texts["fog", "ensemble"] == texts["mean", "ensemble"] == "–"
    assert texts["blur", "ensemble"] == ".66"
    assert len(axis.texts) == len(methods) * len(views)


def test_few_views_have_no_heat_map(results):
    assert drawn(heatmap.heatmap, material(results)) == {}


def test_ranks_are_those_of_the_leaderboard(results):
    given = material(results)
    axis = drawn(ranks.ranks, given)["ranks"].axes[0]
    expected = leaderboard(given.group).rank.dropna().sort_values()
    assert ticks(axis) == list(expected.index)
    dots = next(one for one in axis.collections if isinstance(one, PathCollection))
    assert [x for x, _ in dots.get_offsets()] == pytest.approx(list(expected))


def test_bars_join_what_nemenyi_does_not_tell_apart():
    means = pd.Series([1.0, 2.0, 2.5, 4.0, 7.0])
    assert ranks.cliques(means, 1.6) == [(0, 2), (2, 3)]
    assert ranks.cliques(means, 0.1) == []
    assert ranks.cliques(means, 9) == [(0, 4)]


def test_a_partial_method_is_neither_ranked_nor_priced(results):
    row_file(results, "corruption", "ensemble", 1).unlink()
    given = material(results)
    assert "ensemble" not in ticks(drawn(ranks.ranks, given)["ranks"].axes[0])
    assert "ensemble" not in lines(drawn(cost.cost, given)["cost_quality"].axes[0])


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
    assert set(shown.methods) == {"chance", "ensemble", MC, "standard"}
    left, right = drawn(sweep.sweep, shown)["sweep_ensemble_depth"].axes
    assert left.lines[0].get_xdata() == pytest.approx([2, 4, 8])
    assert left.lines[0].get_ydata() == pytest.approx([0.975] * 3)
    assert set(right.get_legend_handles_labels()[1]) == {"near", "far", "corruption"}


def test_a_value_that_is_not_complete_is_not_in_the_curve(results):
    with_sweep(results, lacking=(4, 1, "clean"))
    left, _ = drawn(sweep.sweep, material(results))["sweep_ensemble_depth"].axes
    assert left.lines[0].get_xdata() == pytest.approx([2, 8])


def test_labels_of_a_sweep_keep_clear_of_each_other():
    assert sweep._labels([8, 16, 20, 32], crowded=True) == ["8", "16", "", "32"]
    assert sweep._labels([8, 16, 20, 32], crowded=False) == ["8", "16", "20", "32"]


def protected(method, seed, f1, gap):
    """A record of `protected` in the first schema: F1 of both groups, and their gap."""
    answer = {"score": "single", "n": 40}
    ends = {"f1_gap": gap, "f1_gap_low": gap - 0.2, "f1_gap_high": gap + 0.1}
    return {
        "schema": 1, "method": method, "dataset": "toy_digits~target=Beard", "seed": seed,
        "scenario": "protected", "preset": "smoke", "device": "cpu, 2 threads", "status": "ok",
        "params": {}, "scenario_params": {"target": "Beard", "protect": ["Bald"]}, "key": "k",
        "answer": "single", "score": "one_minus_max_mean_prob", "rows": [
            {"view": "Bald", "metrics": {"f1": f1}} | answer,
            {"view": "not Bald", "metrics": {"f1": f1 + gap}} | answer,
            {"view": "gap Bald", "metrics": ends} | answer,
        ],
    }  # fmt: skip


def test_groups_are_shown_with_the_gap_between_them_and_its_interval(results):
    folder = results / "rows" / "toy_digits~target=Beard" / "protected"
    folder.mkdir(parents=True)
    for seed in (0, 1):
        for method, f1 in (("standard", 0.5), ("grad:protect=Bald", 0.6)):
            record = protected(method, seed, f1 + 0.1 * seed, gap=0.2)
            path = folder / f"{method.replace(':', '_')}-s{seed}.json"
            path.write_text(json.dumps(record))
    given = material(results)
    above, below = drawn(groups.groups, given)["protected_Bald"].axes
    assert above.get_title() == "F1 ↑"
    at = ticks(above).index("standard")
    members, others = (dots.get_offsets()[at][0] for dots in above.collections[1:])
    assert (members, others) == (pytest.approx(0.55), pytest.approx(0.75))
    (left, _), (right, _) = below.collections[0].get_segments()[at]
    assert (left, right) == (pytest.approx(0.0), pytest.approx(0.3))
    assert below.collections[1].get_offsets()[at][0] == pytest.approx(0.2)
    assert "protected" not in drawn(bars.bars, given)


# Their look


def test_a_method_has_one_colour_in_every_figure_and_no_two_share_one(results):
    given = material(results)
    near = drawn(bars.bars, given)["cross_dataset"].axes[0]
    faces = dict(zip(ticks(near), (bar.get_facecolor()[:3] for bar in near.patches), strict=True))
    roc = lines(drawn(shift.shift, given)["roc"].axes[0])
    assert faces["ensemble"] == pytest.approx(roc["ensemble"].get_color())
    assert len(set(given.colours.values())) == len(given.colours)
    assert given.colours[style.BASELINE] == style.BLACK


def test_the_name_chooses_the_colour_as_long_as_it_is_free():
    few = style.palette(["ensemble", "standard"])
    many = style.palette(["ensemble", "ensemble:size=3", "standard", "zzz"])
    assert {name: many[name] for name in few} == few
    crowd = style.palette([f"method_{i}" for i in range(18)])
    assert len(set(crowd.values())) == 18


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


def test_drawings_have_a_palette_and_photographs_all_their_colours(tmp_path):
    figure = style.canvas(1.0)
    figure.subplots().plot([0, 1], color=matplotlib.colors.to_rgb(style.COLOURS[0]))
    modes = [
        Image.open(BytesIO(style.saved(figure, photographs=photographs)["png"])).mode
        for photographs in (False, True)
    ]
    assert modes == ["P", "RGB"]


def test_a_picture_keeps_the_fingerprint_of_what_it_was_drawn_from(tmp_path):
    path = tmp_path / "figure.png"
    assert style.digest_of(path) == ""
    path.write_bytes(style.saved(style.canvas(1.0), digest="0123")["png"])
    assert style.digest_of(path) == "0123"
    path.write_bytes(b"no picture")
    assert style.digest_of(path) == ""


def test_a_fingerprint_follows_the_numbers():
    one, same, other = (
        Drawing("a", "", partial(ranks._draw, pd.Series([1.0, x]), 1.0, {})) for x in (2, 2, 3)
    )
    assert figures.fingerprint(one) == figures.fingerprint(same)
    assert figures.fingerprint(one) != figures.fingerprint(other)


def test_training_shows_the_mean_over_seeds_of_each_epoch(results):
    (figure,) = drawn(training.training, material(results)).values()
    errors, losses = figure.axes
    name, line = next(iter(lines(losses).items()))
    assert line.get_xdata().tolist() == [1, 2, 3]
    assert line.get_ydata() == pytest.approx([1.05, 0.55, 0.3])
    assert lines(errors)[name].get_ydata() == pytest.approx([0.1, 0.05, 0.025])


def test_seeds_of_unequal_length_are_no_mean(results):
    before = set(lines(drawn(training.training, material(results))["training"].axes[1]))
    path = row_file(results, "clean", "standard", 0, kind="curves")
    change(path, training=json.loads(path.read_text())["training"][:2])
    after = set(lines(drawn(training.training, material(results))["training"].axes[1]))
    assert before - after == {"standard"}


def test_without_epochs_there_is_no_figure_of_training(results):
    for path in (results / "curves").rglob("*.json"):
        change(path, training=[])
    assert not drawn(training.training, material(results))
