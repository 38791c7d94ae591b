"""The method contract, as small named checks on a few inputs: ``bench check NAME`` and the tests.

Toy images are 4 x 4; a method for images of one size is checked on a few of a data set.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, cached_property

import msgspec
import torch
from torch import Tensor

from bench import datasets, methods, scenarios
from bench.datasets.base import Dataset, Split, Splits, Task, fingerprint, generator
from bench.datasets.store import Store
from bench.discover import choose, subclasses
from bench.fitting.fits import construct
from bench.fitting.isolation import content, isolated, settings
from bench.fitting.prediction import Prediction, run_network
from bench.methods.base import Method, NotFittedError
from bench.metrics.registry import specs
from bench.scenarios.base import Scenario
from bench.scores.base import TUNED, all_scores
from bench.store.schema import Claim

Check = Callable[["Trial"], None]
CHECKS: dict[str, Check] = {}
PARTS = (240, 60, 90)  # inputs to train on, to validate on and to test on


class Broken(ValueError):
    """A rule of the contract does not hold."""


def check(function: Check) -> Check:
    """Register a check; its docstring is what a person reads."""
    CHECKS[(function.__doc__ or "").strip().rstrip(".")] = function
    return function


@cache
def toy(targets: int = 1) -> Splits:
    """Return three classes of 4x4 images, one bright corner each, with noise, as bytes."""
    task = Task((1, 4, 4), tuple(f"t{i}" for i in range(targets)), ("a", "b", "c"))

    def part(name: str, n: int) -> Split:
        draw = generator("toy", name, targets)
        y = torch.arange(n) % 3
        x = torch.rand(n, 1, 4, 4, generator=draw) * 0.6
        for label, (row, column) in enumerate([(0, 0), (0, 2), (2, 0)]):
            x[y == label, :, row : row + 2, column : column + 2] += 0.4
        labels = torch.stack([(y + i) % 3 for i in range(targets)], dim=1)
        image = x.mul(255).byte()
        return Split(image, labels, task, fingerprint(image, labels))

    return Splits(*map(part, Splits._fields, PARTS))


def few(name: str, store: Store) -> Splits:
    """Return the first inputs of a data set, as many as `toy` has.

    Raises:
        UnknownNameError: there is no such data set.
        DataError: it is not there.
    """
    choice = choose("dataset", name, subclasses(datasets, Dataset))[0]
    data: Dataset = choice.cls(**choice.params)  # type: ignore[assignment]
    data.label, data.store = choice.label, store
    return Splits(*map(_first, data.splits(0), PARTS))


def _first(split: Split, n: int) -> Split:
    attributes = None if split.attributes is None else split.attributes[:n]
    digest = f"{split.fingerprint}-{n}"
    return replace(split, x=split.x[:n], y=split.y[:n], fingerprint=digest, attributes=attributes)


class Trial:
    """One method under test: how to build it, and one fit of it that the checks share.

    Args:
        spec: the method, as on the command line.
        splits: what it is fitted and tested on; toy data with one and two targets by default.
    """

    def __init__(self, spec: str, splits: Splits | None = None) -> None:
        known = subclasses(methods, Method)
        self.choice = choose("method", spec, known, "smoke")[0]
        self.known = known
        self.name = self.choice.cls.name
        self.splits = splits or toy()
        self.tasks = [splits] if splits else [toy(1), toy(2)]

    def build(self) -> Method:
        """Return the method, not fitted, at the smoke preset."""
        return construct(self.choice.cls, self.choice.params)  # type: ignore[arg-type]

    def fit(self, splits: Splits | None = None, seed: int = 0) -> Method:
        """Return the method fitted, its prerequisites first."""
        return self._fit(self.build(), splits or self.splits, seed)

    def _fit(self, method: Method, splits: Splits, seed: int) -> Method:
        given = {}
        for key, wanted in method.prerequisites(seed).items():
            cls = self.known[wanted.method]
            params = cls.defaults("smoke") | dict(wanted.params)
            given[key] = [self._fit(construct(cls, params), splits, s) for s in wanted.seeds]
        return method.fit_many(splits.train, splits.val, seeds=[seed], prerequisites=given)[0]

    @cached_property
    def fitted(self) -> Method:
        """The shared fit from seed 0."""
        return self.fit()

    def predict(
        self, method: Method | None = None, x: Tensor | None = None, batch: int = 32
    ) -> Prediction:
        """Return the prediction of a fit for the test part, or for ``x``."""
        inputs = self.splits.test.x if x is None else x
        return run_network(method or self.fitted, inputs, seed=1, batch=batch)


def check_method(spec: str, splits: Splits | None = None) -> Iterator[tuple[str, str | None]]:
    """Yield each check's title with None, or with what is wrong."""
    trial = Trial(spec, splits)
    hint = "" if splits else (
        f" (on toy images of 1 x 4 x 4; if {trial.name} takes others alone: "
        f"python -m bench check {spec} --datasets digits)"
    )  # fmt: skip
    for title, function in CHECKS.items():
        try:
            function(trial)
            yield title, None
        except Broken as error:
            yield title, " ".join(str(error).split())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a method raises is the result of its check
            yield title, " ".join(f"{type(error).__name__}: {error}".split()) + hint
            hint = ""


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise Broken(problem)


def _same(a: Prediction, b: Prediction, problem: str, tolerance: float = 0.0) -> None:
    gap = float((a.probs - b.probs).abs().max())
    _require(gap <= tolerance, f"{problem} (largest difference {gap:.2g})")


@check
def has_source_and_docstring(trial: Trial) -> None:
    """It cites its source and says what it is."""
    _require(bool(trial.choice.cls.source), "set `source` to a paper or a table")
    _require(bool(trial.choice.cls.__doc__), "write a docstring: `bench list` shows its first line")


@check
def stores_parameters(trial: Trial) -> None:
    """The constructor stores its keyword-only parameters unchanged."""
    method = trial.build()
    _require(method.params() == dict(trial.choice.params), "a parameter is not stored as it came")
    strange = method.predict_only - set(method.params())
    _require(not strange, f"predict_only names unknown parameters: {', '.join(sorted(strange))}")


@check
def refuses_before_fit(trial: Trial) -> None:
    """Predicting before fit says so."""
    try:
        trial.predict(trial.build())
    except NotFittedError as error:
        _require(trial.name in str(error), "the message must name the method: use self.fitted(…)")
    else:
        _require(trial.name == "chance", "it predicted before fit: use self.fitted(…)")


@check
def probabilities(trial: Trial) -> None:
    """Probabilities are (N, S, T, K), finite, from 0 to 1, and sum to 1."""
    for splits in trial.tasks:
        probs = trial.predict(trial.fit(splits), splits.test.x).probs
        (n, s, t, k), task = probs.shape, splits.test.task
        expected = len(splits.test), len(task.targets), len(task.classes)
        _require((n, t, k) == expected and s >= 1, f"shape {tuple(probs.shape)}")
        _require(bool(probs.isfinite().all() and (probs >= 0).all()), "negative or not finite")
        gap = float((probs.sum(-1) - 1).abs().max())
        _require(gap < 1e-5, f"they sum to 1 only within {gap:.2g}")


@check
def repeats(trial: Trial) -> None:
    """The same seed fits and predicts the same, bit for bit."""
    _same(trial.predict(), trial.predict(), "two predictions of one fit differ")
    _same(trial.predict(), trial.predict(trial.fit()), "two fits from one seed differ")


@check
def leaves_generator_alone(trial: Trial) -> None:
    """Fitting leaves the global random state as it was."""
    before = torch.random.get_rng_state()
    trial.fit()
    _require(torch.equal(before, torch.random.get_rng_state()), "use a generator, or fork_rng")


@check
def batches_do_not_matter(trial: Trial) -> None:
    """Neither batch size nor order changes a prediction."""
    whole = trial.predict(batch=1000)
    _same(whole, trial.predict(batch=7), "batch size matters: draw once per sample", 1e-5)
    order = torch.randperm(len(trial.splits.test), generator=generator("order"))
    mixed = trial.predict(x=trial.splits.test.x[order])
    _same(Prediction(whole.probs[order], None), mixed, "order matters", 1e-5)


@check
def keeps_inputs(trial: Trial) -> None:
    """Neither fitting nor predicting changes its inputs or labels."""
    before = content(*trial.splits)
    method = trial.fit()
    _require(content(*trial.splits) == before, "fit changed its data in place: clone it first")
    x = trial.splits.test.floats().clone()
    inputs = x.clone()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        method.predict_proba(inputs)
        method.logits_and_features(inputs)
    _require(torch.equal(inputs, x), "predicting changed its inputs in place: clone them first")


@check
def leaves_settings_alone(trial: Trial) -> None:
    """Fitting and predicting leave torch's global settings as they were."""
    before = settings()
    with isolated(trial.name):
        trial.fit().predict_proba(trial.splits.test.floats(slice(8)))
        changed = [name for name, value in settings().items() if value != before[name]]
    _require(not changed, f"it changed torch's {', '.join(changed)}: restore what you set")


@check
def state_round_trip(trial: Trial) -> None:
    """Its state is saved and loaded without running code, and predicts the same."""
    file = io.BytesIO()
    torch.save(trial.fitted.state(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    again = trial.build().load_state(state, trial.splits.train.task)
    _same(trial.predict(), trial.predict(again), "a loaded state predicts otherwise")


@check
def single_classifier(trial: Trial) -> None:
    """Its single classifier is deterministic and gives a gradient for attacks."""
    classifier = trial.fitted.single_classifier()
    _require(not classifier.training, "return it in eval mode")
    x = trial.splits.test.floats(slice(8)).clone().requires_grad_()
    logits = classifier(x)
    task = trial.splits.test.task
    expected = (8, len(task.targets), len(task.classes))
    _require(tuple(logits.shape) == expected, f"logits of shape {tuple(logits.shape)}")
    _require(torch.equal(logits, classifier(x)), "two passes differ")
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    _require(bool(gradient.isfinite().all()), "its gradient is not finite")


@check
def says_how_it_was_tuned(trial: Trial) -> None:
    """It says how it was tuned, in words that are known."""
    word = trial.build().tuned
    _require(word in TUNED, f"tuned = {word!r}, not one of {', '.join(TUNED)}")


@check
def claims_can_be_judged(trial: Trial) -> None:
    """What it says of its paper's claims can be judged."""
    known, asked = set(Claim.__struct_fields__), subclasses(scenarios, Scenario)
    for said in trial.choice.cls.claims:  # type: ignore[attr-defined]
        strange = ", ".join(sorted(set(said) - known))
        _require(not strange, f"claims: {strange} is none of {', '.join(sorted(known))}")
        claim = msgspec.convert(said, Claim)
        _require(claim.than in trial.known, f"claims: there is no method {claim.than}")
        _require(claim.scenario in asked, f"claims: there is no scenario {claim.scenario}")
        _require(claim.metric in specs(), f"claims: there is no metric {claim.metric}")
        for score in {claim.score, claim.than_score} - {""}:
            _require(score in all_scores(), f"claims: there is no score {score}")


@check
def further_evidence(trial: Trial) -> None:
    """What `extras` and `linear_head` say fits its features, whatever the batch."""
    said, again = trial.predict(), trial.predict(batch=7)
    for name, values in said.extras.items():
        _require(len(values) == len(said.probs), f"extras: {name} is not one row for each input")
        gap = float((values - again.extras[name]).abs().max() / values.abs().max().clamp_min(1))
        _require(gap <= 1e-4, f"extras: {name} depends on the batch (difference {gap:.2g})")
    if said.logits is None or said.features is None:
        return
    head = trial.fitted.linear_head()
    if head is not None:
        logits = said.features @ head[0].T + head[1]
        gap = float((logits - said.logits.flatten(1)).detach().abs().max())
        _require(gap < 1e-3, f"linear_head gives other logits (difference {gap:.2g})")


@check
def answers_as_its_parts(trial: Trial) -> None:
    """What `answer` returns is what `predict_proba` returns."""
    method, x = trial.fitted, trial.splits.test.floats(slice(8))
    with torch.no_grad(), isolated(method.name, "cpu"):
        torch.manual_seed(1)
        together = method.answer(x).probs
        torch.manual_seed(1)
        gap = float((together - method.predict_proba(x)).abs().max())
    _require(gap <= 1e-6, f"answer gives other probabilities (difference {gap:.2g})")


@check
def prediction_only(trial: Trial) -> None:
    """Parameters that do not change the fit may change on a fitted method."""
    method = trial.fit()
    for name in method.predict_only:
        value = getattr(method, name)
        if isinstance(value, int) and not isinstance(value, bool):
            setattr(method, name, value + 1)
    trial.predict(method)
