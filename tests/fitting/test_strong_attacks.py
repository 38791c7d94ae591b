"""PGD against steps by hand, and attacks on the mean of samples against those on one classifier."""

import pytest
import torch
from torch.nn import functional

from bench.commands.check import Trial
from bench.errors import MethodError
from bench.fitting.attacks import fgsm_direction, perturbed
from bench.fitting.strong_attacks import REACH, MeanOfSamples, pgd
from tests.fitting.test_attacks import classifier, images

LABELS = torch.arange(20)[:, None] % 3


def test_pgd_is_its_steps_by_hand():
    net, x, eps, steps = classifier(), images(), 0.1, 3
    made = pgd(net, x, LABELS, eps=eps, steps=steps, seed=5)
    torch.manual_seed(5)
    at = (x + torch.empty_like(x).uniform_(-eps, eps)).clamp(0, 1)
    for _ in range(steps):
        at.requires_grad_()
        loss = functional.cross_entropy(net(at).flatten(0, 1), LABELS.flatten())
        (gradient,) = torch.autograd.grad(loss, at)
        moved = at.detach() + REACH * eps / steps * gradient.sign()
        at = (x + (moved - x).clamp(-eps, eps)).clamp(0, 1)
    torch.testing.assert_close(made, at, rtol=0, atol=1e-6)


@pytest.mark.parametrize("steps", [1, 10])
def test_pgd_stays_in_its_ball_and_in_the_unit_range(steps):
    x = images()
    made = pgd(classifier(), x, LABELS, eps=0.2, steps=steps, seed=0)
    assert (made - x).abs().max() <= 0.2 + 1e-6
    assert made.min() >= 0
    assert made.max() <= 1


@pytest.mark.parametrize("x", [images() * 2, images().double()])
def test_pgd_refuses_inputs_outside_the_unit_range(x):
    with pytest.raises(ValueError, match=r"float32 inputs in \[0, 1\]"):
        pgd(classifier(), x, LABELS, eps=0.1, steps=1, seed=0)


def test_the_mean_of_one_sample_is_the_single_classifier():
    method = Trial("standard").fitted
    x, y = Trial("standard").splits.test.floats(), Trial("standard").splits.test.y
    single = fgsm_direction(method.single_classifier(), x, y)
    assert (fgsm_direction(MeanOfSamples(method, 0), x, y) == single).float().mean() > 0.999


@pytest.mark.parametrize(
    "spec",
    ["mc_dropout:rate=0.1,samples=20", "bayes:samples=20", "ensemble", "decnn",
     "redecnn:samples=20"],
)  # fmt: skip
def test_stronger_attacks_raise_the_loss_of_the_mean_prediction_more(spec):
    name, _, choices = spec.partition(":")
    trial = Trial(f"{name}:min_updates=200" + (f",{choices}" if choices else ""))
    method, x, y = trial.fitted, trial.splits.test.floats(), trial.splits.test.y
    mean, eps = MeanOfSamples(method, 7), 0.15

    def loss(at):
        return functional.nll_loss(mean(at).flatten(0, 1), y.flatten()).item()

    single = loss(perturbed(x, fgsm_direction(method.single_classifier(), x, y), eps))
    samples = loss(perturbed(x, fgsm_direction(mean, x, y), eps))
    steps = loss(pgd(mean, x, y, eps=eps, steps=10, seed=0))
    assert loss(x) < min(single, samples)
    assert max(single, samples) < steps
    if name in ("ensemble", "decnn"):  # elsewhere what is attacked is not quite what predicts next
        assert single < samples


def test_the_draws_attacked_are_the_draws_predicted_with():
    trial = Trial("mc_dropout")
    x = trial.splits.test.floats()
    mean = MeanOfSamples(trial.fitted, 3)
    attacked = mean(x)
    torch.manual_seed(3)
    assert torch.equal(attacked, trial.fitted.predict_proba(x).mean(1).log())
    assert torch.equal(attacked, mean(x))


def test_a_method_without_gradients_is_named():
    trial = Trial("standard")
    plain = trial.fitted.predict_proba
    trial.fitted.predict_proba = lambda x: plain(x).detach()
    x, y = trial.splits.test.floats(), trial.splits.test.y
    with pytest.raises(MethodError, match="standard: predict_proba gives no gradient"):
        fgsm_direction(MeanOfSamples(trial.fitted, 0), x, y)
