"""A method that misbehaves fails by itself: it changes no other method's data, settings or fit."""

import json
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.commands.check import CHECKS, Trial
from bench.datasets.base import View
from bench.datasets.digits import Digits
from bench.errors import CodeChangedError, MethodError
from bench.fitting import fits
from bench.fitting.console import Console
from bench.fitting.device import environment, precision, resolve
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.fitting.isolation import isolated, settings
from bench.methods.chance import Chance
from bench.methods.ensemble import Ensemble
from bench.methods.linear import Linear
from bench.methods.standard import Standard
from bench.store.cache import Cache

TINY = {"epochs": 1, "min_updates": 3}
NET = {**TINY, "blocks": 2, "width": 8}


@pytest.fixture
def fitter(tmp_path):
    cache = Cache(tmp_path / "cache", lambda line: None)
    return Fitter(Digits(), 0, "smoke", resolve("cpu"), cache, Console(quiet=True))


def hooked(base, hook, when="fit"):
    """Return a subclass of a method that calls ``hook`` in its fit or its prediction."""

    class Hooked(base):
        def fit(self, train, val, **given):
            if when == "fit":
                hook(train, val)
            return super().fit(train, val, **given)

        def predict_proba(self, x):
            if when == "predict":
                hook(x)
            return super().predict_proba(x)

    return Hooked


def weights(fitter, method, seed=0):
    return fitter.obtain(method, seed).method.state()["net"]


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


HARM = {
    "labels": lambda train, val: train.y.copy_(train.y.roll(1, 0)),
    "inputs": lambda train, val: train.x.zero_(),
    "validation": lambda train, val: val.y.add_(1),
    "numpy": lambda train, val: np.copyto(train.y.numpy(), 0),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_method_that_changes_its_data_fails_and_harms_no_other(fitter, tmp_path, harm):
    clean = weights(
        replace(fitter, cache=Cache(tmp_path / "other", lambda line: None), _done={}),
        Linear(**TINY),
    )
    fitter._splits = None
    with pytest.raises(MethodError, match="linear changed its training or validation data"):
        fitter.obtain(hooked(Linear, HARM[harm])(**TINY), 0)
    assert not list((tmp_path / "cache").rglob("*.pt"))
    assert same(weights(fitter, Linear(**TINY)), clean)


def test_data_changed_after_the_fit_is_read_anew_for_the_next(fitter):
    kept = []
    clean = weights(fitter, Linear(**TINY))
    fitter.obtain(hooked(Linear, lambda train, val: kept.append(train))(lr=0.1, **TINY), 0)
    kept[0].y.zero_()
    fitter._done.clear()
    for path in fitter.cache.folder.rglob("*.pt"):
        path.with_suffix(".json").unlink()
    assert same(weights(fitter, Linear(**TINY)), clean)


def test_a_method_that_changes_a_prerequisite_changes_only_its_copy(fitter):
    class Zeroing(Ensemble):
        def fit(self, train, val, *, seed, prerequisites=None):
            with torch.no_grad():
                for member in prerequisites["standard"]:
                    for parameter in member.net.parameters():
                        parameter.zero_()
            return super().fit(train, val, seed=seed, prerequisites=prerequisites)

    fitter.obtain(Zeroing(size=2, **NET), 0)
    assert any(bool(value.any()) for value in weights(fitter, Standard(**NET)).values())


BAD_MANNERS = {
    "gradient mode": lambda *_: torch.set_grad_enabled(False),
    "default dtype": lambda *_: torch.set_default_dtype(torch.float64),
    "number of threads": lambda *_: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic mode": lambda *_: torch.use_deterministic_algorithms(True),
    "precision of matrix products": lambda *_: torch.set_float32_matmul_precision("medium"),
}


@pytest.mark.parametrize("setting", BAD_MANNERS)
def test_settings_and_random_state_are_restored(setting):
    before, state = settings(), torch.random.get_rng_state()
    with isolated("rude"):
        BAD_MANNERS[setting]()
        torch.manual_seed(99)
        assert settings()[setting] != before[setting]
    assert settings() == before
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("when", ["fit", "predict"])
def test_settings_changed_by_a_method_change_no_other(fitter, when):
    before = settings()
    method = hooked(Linear, BAD_MANNERS["default dtype"], when)(**TINY)
    evaluator = Evaluator("rude", method, 0, fitter)
    with suppress(RuntimeError):
        evaluator.predict(evaluator.clean)
    assert settings() == before


@pytest.mark.parametrize("when", ["fit", "predict"])
@pytest.mark.parametrize("exit", [lambda *_: sys.exit(0), lambda *_: exec("raise GeneratorExit")])
def test_ending_the_process_is_an_error_like_others(fitter, when, exit):
    method = hooked(Linear, exit, when)(**TINY)
    evaluator = Evaluator("leaving", method, 0, fitter)
    with pytest.raises(MethodError, match="linear tried to end the process"):
        evaluator.predict(evaluator.clean)


def test_ctrl_c_is_no_error_of_a_method(fitter):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitter.obtain(hooked(Linear, stop)(**TINY), 0)


def test_inputs_that_a_method_changes_are_its_own(fitter):
    method = hooked(Chance, lambda x: x.zero_(), "predict")()
    x = torch.rand(5, 1, 8, 8)
    view = View("floats", "f", 5, lambda: x)
    Evaluator("chance", method, 0, fitter).predict(view)
    assert bool((x > 0).any())


@pytest.mark.parametrize(
    ("title", "hook", "when"),
    [
        ("Neither fitting nor predicting changes its inputs or labels", HARM["labels"], "fit"),
        ("Neither fitting nor predicting changes its inputs or labels", torch.Tensor.zero_,
         "predict"),
        ("Fitting and predicting leave torch's global settings as they were",
         BAD_MANNERS["deterministic mode"], "fit"),
        ("Fitting and predicting leave torch's global settings as they were",
         BAD_MANNERS["gradient mode"], "predict"),
    ],
)  # fmt: skip
def test_the_contract_names_bad_manners(title, hook, when):
    trial = Trial("linear")
    trial.splits = type(trial.splits)(
        *(replace(part, x=part.x.clone(), y=part.y.clone()) for part in trial.splits)
    )
    cls = hooked(Linear, hook, when)
    trial.build = lambda: cls(**trial.choice.params)
    with pytest.raises(ValueError, match=r"in place|it changed torch's"):
        CHECKS[title](trial)


# Members one by one


def test_an_ensemble_stopped_at_its_third_member_has_kept_two(fitter, monkeypatch):
    fit, begun = Standard.fit, []

    def stopped(self, *args, **given):
        begun.append(given["seed"])
        if len(begun) == 3:
            raise KeyboardInterrupt
        return fit(self, *args, **given)

    monkeypatch.setattr(Standard, "fit", stopped)
    method = Ensemble(size=4, **NET)
    with pytest.raises(KeyboardInterrupt):
        fitter.obtain(method, 0)
    fitter._done.clear()
    fitter.obtain(method, 0)
    assert len(begun) == 3 + 2  # the two that were kept are not fitted again


def test_progress_names_the_member(fitter, monkeypatch):
    titles = []
    original = Console.fitting

    def fitting(self, title):
        titles.append(title)
        return original(self, title)

    monkeypatch.setattr(Console, "fitting", fitting)
    fitter.obtain(Ensemble(size=2, **NET), 0)
    assert titles == ["standard, member 1 of 2", "standard, member 2 of 2", "ensemble"]


def test_a_method_may_still_train_its_seeds_together(fitter):
    calls = []

    class Stacked(Linear):
        def fit_many(self, train, val, *, seeds, prerequisites=None):
            calls.append(list(seeds))
            return super().fit_many(train, val, seeds=seeds, prerequisites=prerequisites)

    fitter.obtain_many(Stacked(**TINY), [0, 1, 2])
    assert calls == [[0, 1, 2]]


# What a fit depends on


def test_the_resolved_precision_is_in_the_key_and_in_the_record(fitter, monkeypatch):
    keys = set()
    for has_units in (True, False):
        monkeypatch.setattr("bench.methods.training.has_bfloat16_units", lambda d, u=has_units: u)
        keys.add(fitter.key(Standard(**NET), 0).digest)
        assert environment(Standard(), fitter.device) == {
            "precision": "bfloat16" if has_units else "float32",
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        }
    assert len(keys) == 2
    assert fitter.key(Standard(**NET), 0).spec["params"]["precision"] == "auto"
    assert precision(Standard(precision="bfloat16"), fitter.device) == "bfloat16"
    assert precision(Chance(), fitter.device) == ""


def test_the_files_a_method_reads_are_part_of_its_key(fitter, tmp_path):
    checkpoint = tmp_path / "weights.bin"

    class Reading(Linear):
        def files(self):
            return [checkpoint]

    keys = set()
    for content in (b"one", b"two"):
        checkpoint.write_bytes(content)
        keys.add(fitter.key(Reading(**TINY), 0).digest)
    keys.add(fitter.key(Linear(**TINY), 0).digest)
    assert len(keys) == 3


def test_the_modules_a_method_names_are_part_of_its_key(fitter):
    class Naming(Linear):
        def code_modules(self):
            return (*super().code_modules(), "bench.methods.bayes_layers")

    keys = [fitter.key(cls(**TINY), 0).spec["code"] for cls in (Linear, Naming)]
    assert keys[0] != keys[1]


def test_a_fit_is_not_kept_if_its_source_was_edited_meanwhile(fitter, monkeypatch, tmp_path):
    monkeypatch.setattr(fits, "changed", lambda *modules: [Path("methods/training.py")])
    with pytest.raises(CodeChangedError, match=r"linear: its source changed .*training\.py.*again"):
        fitter.obtain(Linear(**TINY), 0)
    assert not list((tmp_path / "cache").rglob("*.pt"))


# What comes out of the cache


@pytest.mark.parametrize("state", [None, [], {"net": None}, {"net": {}}, {"net": {"w": "x"}}])
def test_a_kept_fit_of_another_form_is_made_again(fitter, state):
    before = weights(fitter, Linear(**TINY))
    key = fitter.key(Linear(**TINY), 0)
    fitter.cache.keep("fits/digits", "linear-s0", key, state, seconds=1.0, log=None)
    fitter._done.clear()
    assert same(weights(fitter, Linear(**TINY)), before)


def test_kept_weights_of_another_type_are_made_again(fitter):
    before = weights(fitter, Linear(**TINY))
    key = fitter.key(Linear(**TINY), 0)
    (about,) = (fitter.cache.folder / "fits/digits").glob("*.json")
    note = json.loads(about.read_text())["note"]
    doubled = {"net": {name: value.double() for name, value in before.items()}}
    fitter.cache.keep("fits/digits", "linear-s0", key, doubled, **note)
    fitter._done.clear()
    again = weights(fitter, Linear(**TINY))
    assert same(again, before)
    assert list((fitter.cache.folder / "fits/digits").glob("*.damaged"))


@pytest.mark.parametrize("note", [{}, {"seconds": None, "log": None}, {"seconds": 1.0, "log": 3}])
def test_a_kept_fit_without_its_seconds_is_made_again(fitter, note):
    fitted = fitter.obtain(Linear(**TINY), 0)
    key = fitter.key(Linear(**TINY), 0)
    fitter.cache.keep("fits/digits", "linear-s0", key, fitted.method.state(), **note)
    fitter._done.clear()
    assert fitter.obtain(Linear(**TINY), 0).seconds > 0
