"""The scenario of stronger attacks: its views, what it keeps, and that it is asked for."""

import pytest
import torch

import bench.scenarios
from bench.datasets.digits import Digits
from bench.datasets.store import Store
from bench.discover import choose, subclasses
from bench.errors import UsageError
from bench.fitting.console import Console
from bench.fitting.evaluator import Evaluator
from bench.fitting.fits import Fitter
from bench.methods.mc_dropout import McDropout
from bench.running.plan import make_plan
from bench.scenarios.base import Scenario
from bench.scenarios.strong_attacks import StrongAttacks
from bench.store.cache import Cache

SMALL = {"eps": (0.1, 0.2), "steps": 2, "cap": 20}


@pytest.fixture
def evaluator(tmp_path):
    data = Digits()
    data.store = Store(tmp_path)
    fitter = Fitter(
        data, 0, "smoke", torch.device("cpu"), Cache(tmp_path), Console(quiet=True), False
    )
    method = McDropout(**McDropout.defaults("smoke"))
    return Evaluator("mc_dropout", method, 0, fitter)


def test_each_attack_on_each_target_is_a_view_at_each_strength(evaluator):
    views = StrongAttacks(**SMALL).views(evaluator).found
    assert [(v.name, v.severity) for v in views] == [
        (f"{attack}_{target}", eps)
        for attack in ("fgsm", "pgd") for target in ("single", "samples") for eps in (0.1, 0.2)
    ]  # fmt: skip
    assert len({v.fingerprint for v in views}) == 8
    clean = evaluator.test.floats()
    for view in views:
        x = view.load()
        assert x.shape == (20, 1, 8, 8)
        nearest = torch.cdist(x.flatten(1), clean.flatten(1), p=torch.inf).min(1).values
        assert (nearest <= view.severity + 1e-6).all()


def test_attacked_inputs_are_kept_and_other_samples_are_another_attack(evaluator, monkeypatch):
    views = StrongAttacks(**SMALL).views(evaluator).found
    made = [view.load() for view in views]
    monkeypatch.setattr("bench.scenarios.strong_attacks.pgd", None)
    monkeypatch.setattr("bench.scenarios.strong_attacks.fgsm_direction", None)
    again = StrongAttacks(**SMALL).views(evaluator).found
    assert all(torch.equal(x, view.load()) for x, view in zip(made, again, strict=True))
    evaluator.method.samples += 1
    others = StrongAttacks(**SMALL).views(evaluator).found
    same = [a.fingerprint == b.fingerprint for a, b in zip(again, others, strict=True)]
    assert same == [True, True, False, False] * 2  # draws do not matter to the single classifier


def test_neither_ood_nor_all_nor_adversarial_contains_it():
    known = subclasses(bench.scenarios, Scenario)
    for words in ("ood", "all", "adversarial", "paper"):
        assert StrongAttacks not in {choice.cls for choice in choose("scenario", words, known)}
    assert [choice.cls for choice in choose("scenario", "attacks", known)] == [StrongAttacks]


@pytest.mark.parametrize("eps", ["0", "-0.1", "1.5"])
def test_a_strength_outside_the_pixel_range_is_refused_before_anything_runs(eps, tmp_path):
    with pytest.raises(UsageError, match="strong_attacks: eps is above 0 and at most 1"):
        make_plan(
            methods_="standard", datasets_="digits", scenarios=f"strong_attacks:eps={eps}",
            seeds=[0], preset="smoke", store=Store(tmp_path),
        )  # fmt: skip
