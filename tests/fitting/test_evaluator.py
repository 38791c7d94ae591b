"""Predictions: made in one pass, checked, kept with their features, and read by scores."""

from contextlib import suppress
from dataclasses import replace

import pytest
import torch

from bench.commands.check import toy
from bench.datasets.base import View
from bench.datasets.digits import Digits
from bench.datasets.store import Store
from bench.errors import MethodError
from bench.fitting import training_evidence
from bench.fitting.console import Console
from bench.fitting.device import resolve, threads
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.fitting.prediction import Prediction, check
from bench.methods.base import Outputs
from bench.methods.chance import Chance
from bench.methods.decnn import DecNN
from bench.methods.dropout import Dropout
from bench.methods.linear import Linear
from bench.methods.standard import Standard
from bench.report.readme import scores_left_out
from bench.running.plan import make_plan
from bench.running.run import Settings, run_job
from bench.scenarios.base import applicable, scored, unavailable
from bench.scenarios.clean import by_target
from bench.scores import Evidence, Score, all_scores, base, score
from bench.scores.base import Unavailable
from bench.store.cache import Cache
from bench.store.records import read

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


def test_a_kept_fit_says_how_many_threads_it_ran_on(tmp_path):
    before = torch.get_num_threads()
    with threads(before + 1):
        made = make_fitter(tmp_path).obtain(Linear(), 0)
    assert (made.threads, make_fitter(tmp_path).obtain(Linear(), 0).threads) == (before + 1,) * 2


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


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"),
     RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")],
)  # fmt: skip
def test_a_pass_that_runs_out_of_memory_is_made_in_smaller_batches(fitter, monkeypatch, error):
    evaluator = Evaluator("standard", Standard(**NET), 0, fitter)
    whole, sizes = evaluator.predict(evaluator.clean), []
    original = Standard.predict_proba

    def predict_proba(self, x):
        sizes.append(len(x))
        if len(x) > 100:
            raise error
        return original(self, x)

    monkeypatch.setattr(Standard, "predict_proba", predict_proba)
    monkeypatch.setattr(fitter, "force", True)
    again = Evaluator("standard", Standard(**NET), 0, fitter)
    made = again.predict(again.clean)
    assert torch.equal(made.probs, whole.probs)
    n = len(again.test)
    assert sizes[:4] == [min(n, 500), 250, 125, 62]
    assert "standard: out of memory on view clean; again in batches of 62" in fitter.console.notes
    sizes.clear()
    again.predict(replace(again.clean, fingerprint="other"))
    assert sizes[0] == 62  # the next view begins with what was found


def test_a_pass_that_has_no_memory_for_one_input_fails_with_the_reason(fitter, monkeypatch):
    def predict_proba(self, x):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Standard, "predict_proba", predict_proba)
    evaluator = Evaluator("standard", Standard(**NET), 0, fitter)
    with pytest.raises(torch.OutOfMemoryError):
        evaluator.predict(evaluator.clean)


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


def test_a_fit_that_gives_one_answer_for_every_input_is_said_to_have_failed(fitter):
    sound = Evaluator("standard", Standard(**NET), 0, fitter)
    sound.predict(sound.clean)
    assert fitter.console.notes == []
    failed = Evaluator("standard", Standard(**NET), 1, fitter)
    for weights in failed.fitted().method.net.parameters():
        weights.data.zero_()
    failed.predict(failed.validation)  # one notice a fit: of the clean inputs
    failed.predict(failed.clean)
    (line,) = fitter.console.notes
    assert line.startswith("standard on digits, seed 1: the same answer for every clean input")


def test_a_method_that_was_not_trained_may_give_one_answer(fitter):
    guess = Evaluator("chance", Chance(), 0, fitter)
    guess.predict(guess.clean)
    assert fitter.console.notes == []


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
    reasons = unavailable(said)
    assert reasons["toy_distance"] == "needs features, and the method gives none"
    assert reasons["msp"] == "needs logits, and the method gives none"
    assert "predictive_entropy" not in reasons
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
    with pytest.raises(ValueError, match="score toy_distance cannot be fitted: singular"):
        scored(replace(toy_distance, fit=broken), said)


def test_a_score_that_cannot_be_fitted_is_left_out_and_the_others_are_measured(
    tmp_path, plugin, monkeypatch
):
    def broken(train):
        raise torch.linalg.LinAlgError("a singular covariance")

    monkeypatch.setattr(plugin, "toy_distance", replace(toy_distance, fit=broken))
    settings = Settings(tmp_path, "smoke", resolve("cpu"))
    (job,) = make_plan(
        methods_="standard", datasets_="digits", scenarios="clean", seeds=[0], preset="smoke",
        store=Store.from_environment(),
    )  # fmt: skip
    assert run_job(job, settings, Console(quiet=True)).failed == 0
    record = read(job.path(tmp_path, job.scenarios[0]))
    assert record.left_out["toy_distance"] == "cannot be fitted: a singular covariance"
    assert record.left_out["decoding_error"] == "needs decoding error, and the method gives none"
    by_score = {row.score for row in record.rows}
    assert {"toy_norm", "mahalanobis", "predictive_entropy"} <= by_score
    assert not set(record.left_out) & by_score
    assert record.tuned == "nothing"
    lines = "\n".join(scores_left_out([record]))
    assert "digits, toy_distance: cannot be fitted: a singular covariance (standard)" in lines
    assert "digits, decoding_disagreement: needs decoding logits" in lines


def test_a_new_score_on_kept_predictions_runs_no_network(fitter, monkeypatch):
    method = DecNN(**NET, decoder_width=8)
    evaluator = Evaluator("decnn", method, 0, fitter)
    half = View("half", "half", 50, lambda: evaluator.test.x[:50])
    for view in (evaluator.clean, half):
        for one in applicable(evaluator.predict(view)):
            scored(one, evaluator.predict(view))
    for name in ("predict_proba", "logits_and_features", "extras", "fit"):
        monkeypatch.setattr(DecNN, name, None)  # to call it would fail
    again = Evaluator("decnn", method, 0, make_fitter(fitter.cache.folder.parent))
    for view in (again.clean, half):
        said = again.predict(view)
        names = {one.name for one in applicable(said)}
        assert {"knn", "vim", "laplace", "tempered_msp", "decoding_drift"} <= names
        for one in applicable(said):
            known = scored(one, evaluator.predict(view))
            assert torch.equal(scored(one, said), known), one.name


def test_further_evidence_is_checked():
    extras = {"decoding_error": torch.rand(4, 2)}
    with pytest.raises(ValueError, match=r"decoding_error of shape \(4, 2\).*\(5, any\)"):
        check(Prediction(GOOD, None, extras=extras), 5, TASK)
    extras = {"decoding_error": torch.full((5, 2), float("nan"))}
    with pytest.raises(ValueError, match="10 decoding_error that are not finite"):
        check(Prediction(GOOD, None, extras=extras), 5, TASK)


# The last layer


@pytest.mark.parametrize("known", [True, False])
def test_the_last_layer_is_the_methods_or_solved_for(fitter, monkeypatch, known):
    method = Standard(**NET)
    evaluator = Evaluator("standard", method, 0, fitter)
    net = evaluator.fitted().method.net
    if not known:
        monkeypatch.setattr(Standard, "linear_head", lambda self: None)
    evidence = evaluator.training.of(fitter.splits.train)
    torch.testing.assert_close(evidence.head(evidence.features), evidence.logits, rtol=0, atol=1e-4)
    alive = evidence.features.std(0) > 1e-3
    expected = net.head.weight.detach().double()[:, alive]
    tolerance = 0 if known else 1e-2
    found = evidence.head.weight[0][:, alive]
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_a_last_layer_that_gives_other_logits_is_solved_for():
    draw = torch.Generator().manual_seed(0)
    features, weight = (torch.randn(n, 4, generator=draw).double() for n in (50, 6))
    bias = torch.arange(6.0).double()
    logits = (features @ weight.T + bias).unflatten(1, (2, 3))
    for wrong in (None, (weight + 1, bias), (weight[:2], bias[:2])):
        head = training_evidence.linear_head(features, logits, wrong)
        torch.testing.assert_close(head.weight.flatten(0, 1), weight)
        torch.testing.assert_close(head.bias.flatten(), bias)
    assert training_evidence.linear_head(features, logits.square(), None) is None


def test_dead_units_have_no_weight_in_a_last_layer_that_is_solved_for():
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()
    features[:, 2] = 0
    logits = (features @ torch.ones(4, 3).double()).unsqueeze(1)
    head = training_evidence.linear_head(features, logits, None)
    torch.testing.assert_close(head.weight[0, :, 2], torch.zeros(3).double())
    torch.testing.assert_close(head(features), logits)


def test_a_score_may_learn_from_the_validation_part(fitter):
    evaluator = Evaluator("standard", Standard(**NET), 0, fitter)
    seen = []
    one = replace(toy_distance, fit=lambda part: seen.append(part) or nearest_mean(part))
    evaluator.training.fit_score(replace(one, fit_on="validation"))
    assert torch.equal(seen[0].labels, fitter.splits.val.y)


def test_a_score_of_the_wrong_shape_is_named():
    bad = Score("bad", "", "", "features", lambda evidence, fitted: evidence.features)
    with pytest.raises(ValueError, match=r"bad: returned \(5, 7\), not \(N,\)"):
        bad(Evidence(torch.rand(5, 7), torch.rand(5, 1, 3)))


def test_a_score_of_features_says_the_same_of_every_target():
    said = Prediction(torch.rand(5, 1, 2, 3).softmax(-1), torch.rand(5, 2, 3), torch.rand(5, 7))
    values = by_target(toy_norm, said)
    assert torch.equal(values, scored(toy_norm, said).repeat(2))


@pytest.mark.parametrize("targets", [1, 3])
def test_every_score_says_something_of_every_target(targets):
    def said(n):
        logits = torch.randn(n, targets, 2).double()
        return Evidence(torch.randn(n, 7).double(), logits, labels=torch.randint(2, (n, targets)))

    learned, test = said(40), said(9)
    for one in all_scores().values():
        if one.needs in ("samples", "logits", "features"):
            prediction = Prediction(
                test.logits[:, None].softmax(-1), test.logits, test.features,
                fit_score=lambda score: score.fit(learned),
            )  # fmt: skip
            with suppress(Unavailable):
                assert by_target(one, prediction).shape == (9 * targets,)


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
