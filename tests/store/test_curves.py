"""Curves beside the rows: what they hold, when they are made, and that damage is no traceback."""

import json
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import bench.fitting.evaluator
from bench.cli import main
from bench.metrics import calibration, detection
from bench.metrics.detection import Ranking
from bench.running import curves
from bench.store import records
from bench.store.curves import read, read_all

FAST = ["run", "--methods", "chance,standard,mc_dropout", "--preset", "smoke", "--seeds", "0",
        "--scenarios", "clean,cross_dataset,cost"]  # fmt: skip


def random(n, seed, shift=0.0, levels=7):
    draw = torch.Generator().manual_seed(seed)
    return ((torch.randn(n, generator=draw).double() + shift) * levels).round()  # with ties


@pytest.mark.parametrize("levels", [1, 3, 1000])
def test_the_area_under_the_curve_is_the_auroc(levels):
    known, unknown = random(1000, 0, levels=levels), random(700, 1, 0.8, levels=levels)
    found = curves.true_alarms(known, unknown)
    assert (found[0], found[-1]) == (pytest.approx(0, abs=0.1), 1)
    assert np.trapezoid(found, dx=1 / curves.POINTS) == pytest.approx(
        detection.auroc(Ranking.of(known, unknown)), abs=0.005
    )


def test_a_constant_score_draws_the_diagonal_and_a_perfect_one_the_corner():
    same = torch.zeros(30).double()
    assert curves.true_alarms(same, same) == pytest.approx(np.linspace(0, 1, 51))
    assert curves.true_alarms(same, same + 1) == pytest.approx(np.ones(51))


def test_risk_is_the_error_of_the_most_certain():
    unsure, wrong = torch.arange(100).double(), (torch.arange(100) >= 90).double()
    found = curves.risks(unsure[torch.randperm(100)].sort().values, wrong)
    assert found[44] == 0  # coverage 90 %
    assert found[-1] == pytest.approx(0.1)
    assert found[46] == pytest.approx(4 / 94)
    tied = curves.risks(torch.zeros(100).double(), wrong)
    assert torch.allclose(tied, torch.full((50,), 0.1).double())  # any order is as likely


def test_reliability_holds_the_calibration_error():
    probs = torch.rand(500, 1, 4, generator=torch.Generator().manual_seed(0)).softmax(-1) ** 2
    probs = probs / probs.sum(-1, keepdim=True)
    y = torch.randint(4, (500, 1), generator=torch.Generator().manual_seed(1))
    ((confidence, right),) = calibration.answers(probs, y)
    bins = curves.reliability(confidence, right)
    gap = sum(n * abs(sure - accurate) / 1000 for n, sure, accurate in bins) / 500
    assert gap == pytest.approx(calibration.ece(probs, y), abs=2e-3)


def test_a_histogram_holds_every_input_and_the_largest_value():
    found = curves.histogram(torch.tensor([0.0, 0.1, 0.5, 2.0]).double(), 2.0)
    assert (found[0], found[1], found[5], found[-1]) == (250, 250, 250, 250)
    assert sum(found) == 1000


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    run(folder)
    return folder


def run(folder):
    with pytest.MonkeyPatch.context() as patch:  # no report: it takes seconds
        patch.setattr("bench.commands.summary.draw", lambda *args, **options: [])
        done = CliRunner().invoke(main, [*FAST, "--results", str(folder)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def contents(folder):
    return {p.relative_to(folder): p.read_text() for p in folder.rglob("*.json")}


def test_a_run_leaves_curves_that_agree_with_its_rows(measured):
    for method in ("chance", "standard", "mc_dropout"):
        place = f"digits/cross_dataset/{method}-s0.json"
        record, found = records.read(measured / "rows" / place), read(measured / "curves" / place)
        assert found.row == record.key
        assert {one.score for one in found.scores} == {"predictive_entropy", record.score}
        for one in found.scores:
            aurocs = {r.view: r.metrics["auroc"] for r in record.rows if r.score == one.score}
            assert len(one.views) == len(aurocs)
            for view in one.views:
                area = np.trapezoid(view.tpr, dx=1 / 50) / 1000
                assert area == pytest.approx(aurocs[view.view], abs=0.01)
        clean = read(measured / "curves" / f"digits/clean/{method}-s0.json")
        judged = records.read(measured / "rows" / f"digits/clean/{method}-s0.json")
        accuracy = next(r.metrics["accuracy"] for r in judged.rows if r.score == judged.answer)
        for one in clean.scores:
            assert one.risk[-1] / 1e5 == pytest.approx(1 - accuracy, abs=1e-4)
    assert not (measured / "curves" / "digits" / "cost").exists()
    assert (measured / "curves" / "digits" / "clean" / "chance-s0.json").stat().st_size < 2000


def test_lost_curves_come_back_from_what_was_predicted(measured, tmp_path, monkeypatch):
    folder = shutil.copytree(measured, tmp_path / "r")
    before = contents(folder / "curves"), contents(folder / "rows")
    shutil.rmtree(folder / "curves")
    monkeypatch.setattr(bench.fitting.evaluator, "run_network", None)  # to call it would fail
    assert "0 scenarios measured, 0 failed" in run(folder)
    assert (contents(folder / "curves"), contents(folder / "rows")) == before


def test_nothing_is_fitted_for_a_curve(measured, tmp_path, monkeypatch):
    folder = shutil.copytree(measured, tmp_path / "r")
    for name in ("curves", "cache"):
        shutil.rmtree(folder / name)
    monkeypatch.setattr(bench.fitting.evaluator, "run_network", None)
    assert "0 scenarios measured, 0 failed" in run(folder)
    assert not (folder / "curves").exists()


def test_curves_of_schema_1_have_the_own_score(tmp_path):
    old = {
        "schema": 1, "method": "m", "dataset": "d", "seed": 0, "scenario": "clean", "row": "r",
        "key": "k", "score": "vote_entropy", "risk": [0] * 50, "reliability": [[1, 900, 800]] * 15,
    }  # fmt: skip
    (tmp_path / "x.json").write_text(json.dumps(old))
    found = read(tmp_path / "x.json")
    assert (found.schema, found.reliability) == (2, [(1, 900, 800)] * 15)
    assert found.of("vote_entropy").risk == [0] * 50
    assert found.of("predictive_entropy") is None


def test_damaged_curves_are_made_again(measured, tmp_path):
    folder = shutil.copytree(measured, tmp_path / "r")
    before = contents(folder / "curves")
    paths = sorted((folder / "curves").rglob("*.json"))
    for path, text in zip(paths[:3], ("{", "[]", '{"schema": 9}'), strict=True):
        path.write_text(text)
    run(folder)
    assert contents(folder / "curves") == before


PARTS = {
    "no bins": {"scores": [{"score": "a", "risk": [0] * 50}]},
    "other bins": {"reliability": [[1, 2, 3]] * 14},
    "other bins after": {"recalibrated": {"temperature": []}},
    "no inliers": {"scores": [{"score": "a", "views": [
        {"view": "fog", "severity": 0, "group": "", "tpr": [0] * 51, "outliers": [0] * 20}
    ]}]},
}  # fmt: skip


@pytest.mark.parametrize("case", PARTS)
def test_curves_whose_parts_do_not_fit_are_refused(tmp_path, case):
    about = {"schema": 2, "method": "m", "dataset": "d", "scenario": "s", "seed": 0, "row": "r",
             "key": "k"}  # fmt: skip
    (tmp_path / "sound.json").write_text(json.dumps(about))
    (tmp_path / "x.json").write_text(json.dumps(about | PARTS[case]))
    found, problems = read_all(tmp_path)
    assert len(found) == 1
    assert "x.json: damaged (" in problems[0]
