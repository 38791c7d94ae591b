"""One attribute predicted and another protected: the data, the numbers, and the errors."""

import os

import numpy as np
import pytest
import torch
from sklearn import metrics as referee

from bench.datasets.base import Dataset, Raw, Task
from bench.datasets.errors import DataError
from bench.datasets.single_attribute import SingleAttribute, single_attribute
from bench.errors import BenchError
from bench.fitting.console import Console
from bench.methods.chance import Chance
from bench.methods.grad import Grad
from bench.methods.redecnn import ReDecNN
from bench.methods.standard import Standard
from bench.metrics import calibration, fairness
from bench.metrics.fairness import Binary
from bench.running.plan import Job
from bench.running.run import Settings, prepare, run_job
from bench.scenarios.protected import Protected
from bench.store.records import read

TINY = {"blocks": 2, "width": 16, "epochs": 1, "min_updates": 30}
ONES = np.ones((1, 400))


class Shapes(Dataset):
    """Bright top, no bright left side, bright right column: three attributes of 8x8 images."""

    source = "made here"
    kind = "face"
    content = frozenset({"shape"})
    embedded = True
    task = Task((1, 8, 8), ("Top", "No_Left", "Right"), ("no", "yes"))

    def __init__(self) -> None:
        vars(self)["name"] = "shapes"

    def raw(self, which):
        draw = torch.Generator().manual_seed(len(which))
        n = 400 if which == "train" else 200
        y = torch.randint(2, (n, 3), generator=draw)
        x = torch.randint(100, (n, 1, 8, 8), generator=draw)
        x[:, :, :3] += 100 * y[:, 0, None, None, None]
        x[..., :2] += 50 * (1 - y[:, 1, None, None, None])
        x[..., 7:] += 50 * y[:, 2, None, None, None]
        return Raw(x.byte(), y)

    def transform(self, x):
        return x


def said(n: int = 400, ties: bool = False) -> Binary:
    draw = np.random.default_rng(1)
    y = draw.integers(2, size=n).astype(float)
    p = np.clip(draw.normal(0.3 + 0.3 * y, 0.25), 0.0, 1.0)
    return Binary(p.round(1) + 0.01 if ties else p, y)


def test_a_narrowed_data_set_asks_one_attribute_and_tells_the_others():
    base = Shapes()
    data = SingleAttribute(base, "Left")
    whole, part = base.test(), data.test()
    assert data.label == "shapes~target=Left"
    assert data.task == Task((1, 8, 8), ("Left",), ("not Left", "Left"))
    assert torch.equal(part.y, 1 - whole.y[:, [1]])
    assert torch.equal(part.attribute("Top"), whole.y[:, 0])
    assert torch.equal(part.attribute("Left"), part.y[:, 0])
    assert torch.equal(part.x, whole.x)
    assert part.fingerprint not in (
        whole.fingerprint,
        SingleAttribute(base, "Top").test().fingerprint,
    )
    rows = [split.x for split in base.splits(3)]
    assert all(torch.equal(a.x, b) for a, b in zip(data.splits(3), rows, strict=True))
    assert single_attribute(data, "Top").base is base


@pytest.mark.parametrize("ties", [False, True])
def test_group_metrics_agree_with_scikit_learn(ties):
    one = said(ties=ties)
    found = fairness.by_group(one)
    assert found["f1"] == pytest.approx(referee.f1_score(one.y, one.p > 0.5))
    wanted = referee.average_precision_score(one.y, one.p)
    assert found["average_precision"] == pytest.approx(wanted)
    probs = torch.tensor(np.stack([1 - one.p, one.p], axis=-1))[:, None]
    wanted = calibration.ece(probs, torch.tensor(one.y).long()[:, None])
    assert found["ece"] == pytest.approx(wanted, abs=1e-9)


def test_resampling_counts_inputs_as_often_as_they_are_drawn():
    one = said(50)
    (weights, _) = fairness.resamples((50, 3), seed=0, repeats=4)
    assert (weights.sum(1) == 50).all()
    for row in weights:
        again = Binary(np.repeat(one.p, row.astype(int)), np.repeat(one.y, row.astype(int)))
        for name, metric in fairness.METRICS.items():
            wanted = fairness.by_group(again)[name]
            assert metric(one, row[None])[0] == pytest.approx(wanted), name


def test_a_group_without_a_positive_gives_zero_not_a_warning():
    silent = Binary(np.full(5, 0.1), np.zeros(5))
    found = fairness.by_group(silent)
    assert (found["f1"], found["average_precision"]) == (0.0, 0.0)


def test_the_best_threshold_is_that_of_the_highest_f1():
    one = said()
    found = fairness.f1(one, ONES, fairness.best_threshold(one))[0]
    assert found == max(referee.f1_score(one.y, one.p > t) for t in [-1, *one.p])
    assert found > fairness.f1(one, ONES)[0]
    assert fairness.best_threshold(Binary(one.p, np.zeros_like(one.y))) == 0.5


def test_gaps_are_positive_where_members_are_served_worse():
    good, bad = said(), Binary(1 - said().p, said().y)
    found = fairness.gaps(bad, good, (ONES, ONES))
    assert all(value[0] > 0 for value in found.values())
    mirrored = fairness.gaps(good, bad, (ONES, ONES))
    assert all(mirrored[name][0] == -value[0] for name, value in found.items())


def test_discrimination_and_consistency_by_hand():
    p = np.array([0.9, 0.9, 0.1, 0.1])
    assert fairness.discrimination(p, np.array([True, True, False, False])) == 1.0
    assert fairness.discrimination(p, np.array([True, False, True, False])) == 0.0
    assert fairness.consistency(p, np.array([[1], [0], [3], [2]])) == 1.0
    assert fairness.consistency(p, np.array([[2], [0], [3], [2]])) == 0.75


def test_the_nearest_inputs_are_others():
    x = np.array([[0.0], [0.0], [0.0], [1.0], [1.1]], np.float32)
    near = fairness.nearest(x, 2)
    assert near.shape == (5, 2)
    assert all(i not in row for i, row in enumerate(near))
    assert near[4, 0] == 3


def run_one(method, folder, scenario=None, seed=0):
    scenario = scenario or Protected(target="Left", protect=("Top",))
    (data,) = scenario.training(SHAPES)
    job = Job(method.name, method, data, seed, (scenario,))
    settings = Settings(folder, "smoke", torch.device("cpu"))
    prepare([job], settings)
    run_job(job, settings, Console(quiet=True))
    record = read(job.path(folder, scenario))
    assert record.status == "ok", record.reason
    return {row.view: row.metrics for row in record.rows}


SHAPES = Shapes()


@pytest.mark.parametrize(
    "method",
    [
        Standard(**TINY),
        Grad(protect=("Top", "Right"), **TINY),
        ReDecNN(protect=("Top",), decoder_width=16, depth=2, **TINY),
    ],
    ids=lambda m: m.name,
)
def test_every_group_gap_and_probe_is_measured(method, tmp_path):
    found = run_one(method, tmp_path)
    assert list(found) == ["clean", "Top", "not Top", "gap Top", "probe Top"]
    gap = found["gap Top"]
    assert gap["f1_gap"] == pytest.approx(found["not Top"]["f1"] - found["Top"]["f1"], abs=2e-6)
    assert gap["f1_gap_low"] <= gap["f1_gap"] <= gap["f1_gap_high"]
    wanted = found["clean"]["accuracy"] - gap["discrimination"]
    assert gap["accuracy_minus_discrimination"] == pytest.approx(wanted, abs=2e-6)
    assert found["probe Top"]["auroc"] > 0.5
    assert found["probe Top"]["f1"] > 0.5


def test_the_standard_network_does_not_differ_from_itself(tmp_path):
    gap = run_one(Standard(**Standard.defaults("smoke")), tmp_path)["gap Top"]
    changes = {name: value for name, value in gap.items() if "_change" in name}
    assert set(changes.values()) == {0.0}
    assert len(changes) == 9


def test_chance_has_no_features_and_one_answer(tmp_path):
    found = run_one(Chance(), tmp_path)
    assert "probe Top" not in found
    assert found["Top"]["f1"] == 0.0


@pytest.mark.parametrize(
    ("target", "protect", "message"),
    [
        ("Left", ("Left",), "'Left' is what shapes~target=Left predicts"),
        ("Left", ("No_Left",), "'No_Left' is what shapes~target=Left predicts"),
        ("Lft", ("Top",), r"no attribute 'Lft'\. Did you mean 'No_Left'"),
        ("Left", ("Topp",), "Did you mean 'Top'"),
    ],
)
def test_a_wrong_attribute_stops_the_plan(target, protect, message):
    with pytest.raises(DataError, match=message):
        Protected(target=target, protect=protect).training(SHAPES)


@pytest.mark.parametrize("method", [Grad(protect=("Left",)), ReDecNN(protect=("Left",))])
def test_a_method_that_protects_the_target_stops_before_any_training(method, tmp_path):
    with pytest.raises(BenchError, match="protect another attribute"):
        run_one(method, tmp_path)
    assert not (tmp_path / "cache").exists()


def test_data_without_attributes_has_none_to_protect():
    class Plain(Shapes):
        task = Task((1, 8, 8), ("shape",), ("a", "b"))

    assert "no attributes" in Protected().skip(Plain())
    with pytest.raises(DataError, match="has no attributes, so none called 'Bald'"):
        SingleAttribute(Plain(), "Bald")


def test_a_group_that_is_all_alike_is_a_reason(tmp_path):
    class Lopsided(Shapes):
        def raw(self, which):
            x, y = super().raw(which)
            y[:, 1] = torch.where(y[:, 0] == 1, 1, y[:, 1])
            return Raw(x, y)

    scenario = Protected(target="Left", protect=("Top",))
    (data,) = scenario.training(Lopsided())
    job = Job("chance", Chance(), data, 0, (scenario,))
    run_job(job, Settings(tmp_path, "smoke", torch.device("cpu")), Console(quiet=True))
    record = read(job.path(tmp_path, scenario))
    assert record.status == "failed"
    assert "that are Top, 0 are Left" in record.reason


def test_a_recorded_reason_names_no_folder_of_this_machine(tmp_path):
    class Lost(Shapes):
        def raw(self, which):
            raise DataError(f"shapes: {self.store.root / 'x.npy'} is damaged")

    scenario = Protected(target="Left", protect=("Top",))
    (data,) = scenario.training(Lost())
    job = Job("chance", Chance(), data, 0, (scenario,))
    run_job(job, Settings(tmp_path, "smoke", torch.device("cpu")), Console(quiet=True))
    reason = read(job.path(tmp_path, scenario)).reason
    assert reason == f"DataError: shapes: <data folder>{os.sep}x.npy is damaged"
