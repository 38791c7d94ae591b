"""Predictions: made in one pass, checked, kept with their features, and read by scores."""

from dataclasses import replace

import pytest
import torch

from bench.commands.check import toy
from bench.datasets.base import View
from bench.datasets.digits import Digits
from bench.errors import MethodError
from bench.fitting import training_evidence
from bench.fitting.console import Console
from bench.fitting.device import resolve
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.fitting.prediction import Prediction, check
from bench.methods.base import Outputs
from bench.methods.chance import Chance
from bench.methods.dropout import Dropout
from bench.methods.linear import Linear
from bench.methods.standard import Standard
from bench.scenarios.base import applicable, scored
from bench.scenarios.clean import by_target
from bench.scores import Evidence, Score, all_scores, base, score
from bench.store.cache import Cache

NET = {"blocks": 2, "width": 8, "epochs": 1, "min_updates": 3}
TASK = toy().test.task


def make_fitter(folder, data=None, lines=None):
    say = (lambda line: None) if lines is None else lines.append
    cache, console = Cache(folder / "cache", say), Console(quiet=True)
    return Fitter(data or Digits(), 0, "smoke", resolve("cpu"), cache, console)


@pytest.fixture
def fitter(tmp_path):
    return make_fitter(tmp_path)


# One pass, kept


def test_one_pass_leaves_probabilities_logits_and_features(fitter, monkeypatch):
    passes = []
    original = Standard.logits_and_features
    monkeypatch.setattr(
        Standard, "logits_and_features", lambda self, x: passes.append(len(x)) or original(self, x)
    )
    evaluator = Evaluator("standard", Standard(**NET), 0, fitter)
    first = evaluator.predict(evaluator.clean)
    n = len(evaluator.test)
    assert sum(passes) == n
    assert first.features.shape == (n, 8)
    torch.testing.assert_close(first.logits.softmax(-1), first.probs[:, 0])
    again = Evaluator("standard", Standard(**NET), 0, fitter).predict(evaluator.clean)
    assert sum(passes) == n
    assert torch.equal(again.features, first.features)


def test_a_method_without_a_network_has_no_features(fitter):
    evaluator = Evaluator("chance", Chance(), 0, fitter)
    said = evaluator.predict(evaluator.clean)
    assert said.features is None
    assert evaluator.training.of(fitter.splits.train) is None
    assert "features" not in {one.needs for one in applicable(said)}


def test_features_of_the_training_part_come_from_one_deterministic_pass(fitter, monkeypatch):
    method = Dropout(**NET)
    evaluator = Evaluator("dropout", method, 0, fitter)
    evaluator.fitted()
    monkeypatch.setattr(Dropout, "predict_proba", None)  # to call it would fail
    train = fitter.splits.train
    evidence = evaluator.training.of(train)
    assert evidence.features.shape == (len(train), 8)
    assert evidence.logits.shape == (len(train), 1, 10)
    assert evidence.features.dtype == evidence.logits.dtype == torch.float64
    assert torch.equal(evidence.labels, train.y)
    monkeypatch.setattr(training_evidence, "single_pass", None)
    again = Evaluator("dropout", method, 0, fitter).training.of(train)
    assert torch.equal(again.features, evidence.features)


# Checked


def test_a_right_prediction_passes_the_check():
    probs = torch.rand(5, 2, 1, 3).softmax(-1)
    check(Prediction(probs, torch.rand(5, 1, 3), torch.rand(5, 7)), 5, TASK)
    check(Prediction(probs, None), 5, TASK)


GOOD = torch.full((5, 2, 1, 3), 1 / 3)


@pytest.mark.parametrize(
    ("probs", "logits", "features", "message"),
    [
        (GOOD[:4], None, None, r"probabilities of shape \(4, 2, 1, 3\)"),
        (GOOD[:, 0], None, None, "probabilities of shape"),
        (GOOD[:, :0], None, None, "probabilities of shape"),
        (torch.full((5, 2, 1, 4), 0.25), None, None, r"not float32 \(5, any, 1, 3\)"),
        (GOOD.long(), None, None, "type torch.int64"),
        (GOOD.double(), None, None, "type torch.float64"),
        (GOOD * 0.9, None, None, "sum to 1 only within 0.1"),
        (torch.tensor([1.5, -0.5, 0]).expand(5, 1, 1, 3), None, None, r"10 .* not in \[0, 1\]"),
        (GOOD * float("nan"), None, None, "30 probabilities that are not finite"),
        (GOOD, torch.rand(5, 1, 3), None, "logits without features"),
        (GOOD, None, torch.rand(5, 7), "features without logits"),
        (GOOD, torch.rand(5, 1, 4), torch.rand(5, 7), "logits of shape"),
        (GOOD, torch.full((5, 1, 3), float("inf")), torch.rand(5, 7), "15 logits .* not finite"),
        (GOOD, torch.rand(5, 1, 3), torch.rand(4, 7), "features of shape"),
        (GOOD, torch.rand(5, 1, 3), torch.full((5, 7), float("nan")), "35 features .* not finite"),
    ],
)
def test_a_wrong_prediction_is_named(probs, logits, features, message):
    with pytest.raises(ValueError, match=message):
        check(Prediction(probs, logits, features), 5, TASK)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: 0.9 * p, "probabilities that sum to 1 only within 0.1"),
        (lambda p: torch.cat([p, torch.zeros_like(p[..., :1])], -1), "probabilities of shape"),
        (lambda p: p[1:], "probabilities of shape"),
    ],
)
def test_a_method_that_predicts_wrongly_fails_with_its_name_and_the_view(
    fitter, monkeypatch, wrong, message
):
    original = Linear.predict_proba
    monkeypatch.setattr(Linear, "predict_proba", lambda self, x: wrong(original(self, x)))
    evaluator = Evaluator("linear:lr=1", Linear(epochs=1, min_updates=3), 0, fitter)
    with pytest.raises(MethodError, match=rf"linear:lr=1 gave {message}.* on view clean"):
        evaluator.predict(evaluator.clean)


@pytest.mark.parametrize(
    "payload",
    [
        None, [], {}, {"probs": 1}, {"probs": torch.ones(3), "logits": None, "features": None},
        {"probs": torch.full((360, 1, 1, 10), 0.05), "logits": None, "features": None},
        {"probs": torch.full((359, 1, 1, 10), 0.1), "logits": None, "features": None},
        {"probs": torch.full((360, 1, 1, 10), 0.1), "logits": "x", "features": torch.ones(360, 1)},
        {"probs": torch.full((360, 1, 1, 10), 0.1), "logits": None, "features": torch.ones(3)},
        {"probs": torch.full((360, 1, 1, 10), 0.1), "logits": None, "other": None},
    ],
)  # fmt: skip
def test_a_kept_prediction_of_another_form_is_made_again(tmp_path, payload):
    lines = []
    fitter = make_fitter(tmp_path, lines=lines)
    evaluator = Evaluator("linear", Linear(epochs=1, min_updates=3), 0, fitter)
    before = evaluator.predict(evaluator.clean)
    (path,) = (tmp_path / "cache/predictions").rglob("*.pt")
    key = evaluator._key(evaluator.clean)
    fitter.cache.keep("predictions/digits/linear-s0", evaluator.clean.fingerprint, key, payload)
    again = Evaluator("linear", evaluator.method, 0, fitter).predict(evaluator.clean)
    assert torch.equal(again.probs, before.probs)
    assert len(lines) == 1
    assert path.name in lines[0]


def test_a_view_that_holds_other_inputs_than_it_says_is_an_error(fitter):
    evaluator = Evaluator("chance", Chance(), 0, fitter)
    with pytest.raises(MethodError, match=r"shape \(3, 1, 1, 10\).* on view short"):
        evaluator.predict(View("short", "f", 4, lambda: torch.rand(3, 1, 8, 8)))


# References


def test_a_reference_is_the_evaluator_itself_only_with_the_same_parameters(fitter):
    evaluator = Evaluator("standard", Standard(**Standard.defaults("smoke")), 0, fitter)
    assert evaluator.reference("standard") is evaluator
    other = evaluator.reference("standard", width=8)
    assert other is not evaluator
    assert other.method.width == 8
    assert other.label == "standard:width=8"
    assert evaluator.reference("linear").label == "linear"


# Scores that learn from features


def nearest_mean(train: Evidence) -> dict:
    labels = train.labels[:, 0]
    return {"means": torch.stack([train.features[labels == c].mean(0) for c in labels.unique()])}


@score(label="distance", source="here", needs="features", fit=nearest_mean)
def toy_distance(evidence: Evidence, fitted: dict) -> torch.Tensor:
    """Distance to the nearest class mean of the training features; (N, F) -> (N,)."""
    return torch.cdist(evidence.features, fitted["means"]).amin(1)


@score(label="norm", source="here", needs="features")
def toy_norm(evidence: Evidence, fitted: None) -> torch.Tensor:
    """Minus the norm of the features times the largest logit; (N, F) -> (N,)."""
    return -evidence.features.norm(dim=1) * evidence.logits[:, 0].amax(-1)


@pytest.fixture
def plugin(monkeypatch):
    """The two scores above as the only module of plug-ins."""
    import types

    module = types.ModuleType("my_scores")
    module.__file__ = "my_scores.py"
    module.toy_distance, module.toy_norm = toy_distance, toy_norm
    monkeypatch.setattr(base.plugins, "modules", lambda: (module,))
    return module


def test_scores_of_features_are_found_in_plugins_fitted_once_and_computed(
    fitter, plugin, monkeypatch
):
    fits = []
    monkeypatch.setattr(
        base.plugins.modules()[0], "toy_distance",
        replace(toy_distance, fit=lambda train: fits.append(train) or nearest_mean(train)),
    )  # fmt: skip
    distance = all_scores()["toy_distance"]
    evaluator = Evaluator("standard", Standard(**NET), 0, fitter)
    said = evaluator.predict(evaluator.clean)
    assert {"toy_distance", "toy_norm"} <= {one.name for one in applicable(said)}
    values = scored(distance, said)
    means = nearest_mean(evaluator.training.of(fitter.splits.train))["means"]
    expected = torch.cdist(said.features.double(), means).amin(1)
    torch.testing.assert_close(values, expected)
    letters = View("half", "half", 50, lambda: evaluator.test.x[:50])
    torch.testing.assert_close(scored(distance, evaluator.predict(letters)), expected[:50])
    assert len(fits) == 1
    assert scored(toy_norm, said).shape == (len(evaluator.test),)


def test_a_method_without_features_is_left_out_of_their_scores(fitter, plugin):
    evaluator = Evaluator("chance", Chance(), 0, fitter)
    said = evaluator.predict(evaluator.clean)
    assert "toy_distance" not in {one.name for one in applicable(said)}
    with pytest.raises(ValueError, match="toy_distance needs features"):
        scored(toy_distance, said)


def test_a_prediction_without_a_training_part_has_no_scores_that_learn(plugin):
    said = Prediction(GOOD, torch.rand(5, 1, 3), torch.rand(5, 7))
    names = {one.name for one in applicable(said)}
    assert "toy_norm" in names
    assert "toy_distance" not in names


def test_a_large_training_part_is_capped_by_the_same_draw_for_every_method(fitter, monkeypatch):
    monkeypatch.setattr(training_evidence, "MOST", 100)
    parts = []
    for label, method in (("a", Standard(**NET)), ("b", Linear(epochs=1, min_updates=3))):
        training = Evaluator(label, method, 0, fitter).training
        parts.append(training._training_part())
    assert len(parts[0]) == 100
    assert torch.equal(parts[0].x, parts[1].x)
    assert parts[0].fingerprint not in (fitter.splits.train.fingerprint, "")


def test_a_score_that_cannot_be_fitted_is_named(fitter):
    def broken(train):
        raise RuntimeError("singular")

    evaluator = Evaluator("standard", Standard(**NET), 0, fitter)
    said = evaluator.predict(evaluator.clean)
    with pytest.raises(ValueError, match="standard: score toy_distance cannot be fitted: singular"):
        scored(replace(toy_distance, fit=broken), said)


def test_a_score_of_the_wrong_shape_is_named():
    bad = Score("bad", "", "", "features", lambda evidence, fitted: evidence.features)
    with pytest.raises(ValueError, match=r"bad: returned \(5, 7\), not \(N,\)"):
        bad(Evidence(torch.rand(5, 7), torch.rand(5, 1, 3)))


def test_a_score_of_features_says_the_same_of_every_target():
    said = Prediction(torch.rand(5, 1, 2, 3).softmax(-1), torch.rand(5, 2, 3), torch.rand(5, 7))
    values = by_target(toy_norm, said)
    assert torch.equal(values, scored(toy_norm, said).repeat(2))


def test_features_of_many_inputs_are_scored_in_blocks_as_in_one():
    evidence = Evidence(torch.rand(3000, 4).double(), torch.rand(3000, 1, 3).double())
    expected = toy_norm.function(evidence, None)
    torch.testing.assert_close(toy_norm(evidence), expected)


def test_wrong_outputs_on_the_training_part_are_named(fitter, monkeypatch):
    evaluator = Evaluator("standard", Standard(**NET), 0, fitter)
    evaluator.fitted()
    nan = lambda self, x: Outputs(torch.full((len(x), 1, 10), float("nan")), torch.rand(len(x), 8))  # noqa: E731
    monkeypatch.setattr(Standard, "logits_and_features", nan)
    with pytest.raises(MethodError, match=r"standard gave .* logits .* on its training data"):
        evaluator.training.of(fitter.splits.train)
