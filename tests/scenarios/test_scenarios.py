"""What the scenarios compare, and what the harness promises them."""

import numpy as np
import pytest
import torch

import bench.scenarios
from bench.commands.check import Trial, toy
from bench.datasets.digits import Digits
from bench.datasets.idx import Fashion, Mnist
from bench.datasets.store import Store
from bench.discover import subclasses
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.fitting.prediction import Prediction, run_network
from bench.methods.chance import Chance
from bench.metrics.detection import detection
from bench.running.plan import make_plan
from bench.scenarios import corruption
from bench.scenarios.base import Scenario, ShiftScenario, judged, scored
from bench.scenarios.corruption import Corruption
from bench.scenarios.cost import activations, passes
from bench.scenarios.cross_dataset import CrossDataset, outlier_sources
from bench.scores import all_scores
from bench.store.cache import Cache

KNOWN = subclasses(bench.scenarios, Scenario)


@pytest.mark.parametrize("name", KNOWN)
def test_every_scenario_asks_a_question_and_cites_a_source(name):
    cls = KNOWN[name]
    assert cls.question.endswith("?")
    assert cls.source
    assert cls.tags
    assert cls.__module__.endswith(f".{name}")


def test_outliers_hold_no_class_of_the_inliers():
    for data in (Digits(), Mnist(), Fashion()):
        for source in outlier_sources(data):
            assert not source.content & data.content, (data.name, source.name)


def test_mnist_and_fashion_are_each_others_outliers_and_digits_are_not_mnists():
    assert "fashion" in {s.name for s in outlier_sources(Mnist())}
    assert "mnist" in {s.name for s in outlier_sources(Fashion())}
    assert "digits" not in {s.name for s in outlier_sources(Mnist())}


def test_an_embedded_data_set_meets_the_same_outliers_on_every_machine():
    assert {s.name for s in outlier_sources(Digits())} == {"letters", "photos", "noise"}


def test_views_are_capped_to_a_common_size_by_a_seeded_draw():
    scenario = CrossDataset(cap=50)
    rows = scenario.drawn(1000, 360, "digits", "letters")
    assert len(rows) == 50
    assert torch.equal(rows, scenario.drawn(1000, 360, "digits", "letters"))
    assert not torch.equal(rows, scenario.drawn(1000, 360, "digits", "photos"))
    assert len(CrossDataset(cap=2000).drawn(1000, 360, "a")) == 360
    assert len(CrossDataset(cap=2000).drawn(30, 360, "a")) == 30
    assert len(rows.unique()) == 50


@pytest.mark.parametrize("name", [n for n, s in all_scores().items() if s.needs == "samples"])
def test_more_samples_of_a_deterministic_method_change_no_score(name):
    once = Trial("standard").predict()
    assert once.probs.shape[1] == 1
    often = Prediction(once.probs.repeat(1, 8, 1, 1), once.logits)
    score = all_scores()[name]
    torch.testing.assert_close(scored(score, often), scored(score, once), rtol=0, atol=1e-12)


def test_a_single_vote_is_never_split():
    votes = scored(all_scores()["vote_entropy"], Trial("standard").predict())
    assert torch.equal(votes, torch.zeros(90).double())


@pytest.mark.parametrize(
    ("name", "expected"), [("standard", 1.0), ("ensemble:size=2", 2.0), ("mc_dropout:samples=5", 5)]
)
def test_passes_are_counted_in_runs_of_the_single_classifier(name, expected):
    trial = Trial(name)
    assert passes(trial.fitted, toy().test.floats(slice(1))) == expected


def test_activations_are_what_each_block_keeps_of_an_input_and_no_weights():
    few, more, narrow = (
        activations(Trial(f"standard:blocks={blocks},width={width}").fitted, toy().test.floats())
        for blocks, width in ((2, 64), (4, 64), (2, 32))
    )
    a_block = (more - few) / 2 * 2**10
    assert 2 * 64 * 4 <= a_block < 5 * 64 * 4  # bytes: a few vectors of the width, no matrix
    assert few > narrow


def test_reversible_blocks_keep_nothing_that_grows_with_their_number():
    kept = {
        (backbone, blocks): activations(
            Trial(f"standard:backbone={backbone},blocks={blocks}").fitted, toy().test.floats()
        )
        for backbone in ("resnet", "revnet")
        for blocks in (2, 6)
    }
    assert kept["revnet", 6] == kept["revnet", 2]
    assert kept["resnet", 6] > 1.5 * kept["resnet", 2]
    assert kept["revnet", 6] < kept["resnet", 6] / 2


def test_chance_costs_nothing_and_is_one_half_by_every_score():
    trial = Trial("chance")
    said = trial.predict()
    assert passes(trial.fitted, toy().test.floats(slice(1))) == 0
    assert activations(trial.fitted, toy().test.floats()) == 0
    for name, score in all_scores().items():
        if score.needs == "samples":
            values = scored(score, said)
            assert detection(values[:40], values[40:])["auroc"] == 0.5, name


def test_probabilities_are_averaged_never_logits():
    probs = torch.tensor([[[[0.9, 0.1]], [[0.2, 0.8]]]])  # N=1, S=2, T=1, K=2
    mean = Prediction(probs, None).by_samples
    assert torch.allclose(mean, torch.tensor([[[0.55, 0.45]]]).double())


def test_a_score_is_computed_once_from_what_the_network_left():
    calls = []
    score = all_scores()["vote_entropy"]
    counting = type(score)(
        score.name, score.label, score.source, score.needs,
        lambda p: calls.append(1) or score.function(p),
    )  # fmt: skip
    said = Prediction(torch.rand(5, 3, 1, 4).softmax(-1), None)
    assert torch.equal(scored(counting, said), scored(counting, said))
    assert len(calls) == 1


def test_predicting_leaves_the_global_generator_alone():
    trial = Trial("mc_dropout")
    before = torch.random.get_rng_state()
    run_network(trial.fitted, toy().test.x, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_accuracy_under_several_targets_is_their_mean():
    probs = torch.tensor([[[0.9, 0.1], [0.9, 0.1]]])
    assert judged(probs, torch.tensor([[0, 1]]))["accuracy"] == 0.5


def test_corrupted_views_show_the_same_images_and_keep_their_labels(tmp_path):
    data = Digits()
    data.store = Store(tmp_path)

    class Stub:
        pass

    stub = Stub()
    stub.data, stub.test = data, data.test()
    views = Corruption(cap=40).views(stub).found
    assert len(views) == 15
    assert len({v.fingerprint for v in views}) == 15
    assert all(torch.equal(v.y, views[0].y) for v in views)
    first = views[0].load()
    assert first.shape == (40, 1, 8, 8)
    assert first.dtype == torch.uint8
    assert torch.equal(first, views[0].load())


def test_a_scenario_that_does_not_apply_says_to_which_data_it_does(monkeypatch, tmp_path):
    monkeypatch.setattr(
        ShiftScenario, "skip", lambda self, data: None if data.name == "mnist" else "too small"
    )
    words = dict(methods_="chance", seeds=[0], preset="smoke", store=Store(tmp_path))
    with pytest.raises(UsageError, match=r"\(too small\); it applies to: mnist$"):
        make_plan(datasets_="digits", scenarios="corruption", **words)
    jobs = make_plan(datasets_="digits", scenarios="ood", **words)  # by tag: left out
    assert [s.name for s in jobs[0].scenarios] == ["clean"]


def test_a_kept_corruption_that_was_zeroed_is_made_again(tmp_path):
    data = Digits()
    data.store = Store(tmp_path)
    scenario = Corruption(cap=50)
    evaluator = Evaluator("chance", Chance(), 0, Fitter(
        data, 0, "smoke", torch.device("cpu"), Cache(tmp_path / "cache"), Console(quiet=True),
    ))  # fmt: skip
    view = next(v for v in scenario.views(evaluator).found if v.name == "fog")
    before = view.load()
    (path,) = (tmp_path / "derived/corrupted/digits-fog").glob("*.npy")
    np.save(path, np.zeros_like(np.load(path)))
    assert before.any()
    assert torch.equal(view.load(), before)


@pytest.mark.parametrize("name", corruption.LIBRARIES)
def test_views_of_corruptions_are_told_apart_by_the_libraries_that_make_them(
    tmp_path, monkeypatch, name
):
    evaluator = Evaluator("chance", Chance(), 0, Fitter(
        Digits(), 0, "smoke", torch.device("cpu"), Cache(tmp_path / "cache"), Console(quiet=True),
    ))  # fmt: skip

    def marks():
        corruption.libraries.cache_clear()
        return {view.name: view.fingerprint for view in Corruption().views(evaluator).found}

    before, known = marks(), corruption.version
    monkeypatch.setattr(corruption, "version", lambda n: "99" if n == name else known(n))
    after = marks()
    monkeypatch.undo()
    corruption.libraries.cache_clear()
    assert all(before[view] != after[view] for view in before)
