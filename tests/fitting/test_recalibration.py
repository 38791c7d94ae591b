"""Calibration after the fact: each map against what it must find."""

import numpy as np
import pytest
import torch

from bench.errors import BenchError
from bench.fitting.recalibration import (
    FITS,
    Isotonic,
    TemperatureScaling,
    VectorScaling,
    log_of,
    recalibrations,
)
from bench.metrics.calibration import ece, nll


def drawn(n=20_000, classes=4, targets=2, seed=0):
    """Calibrated probabilities (n, T, K), and labels drawn from them."""
    draw = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, targets, classes, generator=draw, dtype=torch.float64)
    probs = logits.softmax(-1)
    y = torch.multinomial(probs.flatten(0, 1), 1, generator=draw).reshape(n, targets)
    return probs, y


def sharpened(probs, by):
    return (probs.log() * by).softmax(-1)


@pytest.mark.parametrize("by", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_sharpened_all_logits(by):
    probs, y = drawn()
    found = TemperatureScaling.fit(sharpened(probs, by), y)
    assert found.at == pytest.approx(by, rel=0.03)
    torch.testing.assert_close(found(sharpened(probs, by)), probs, rtol=0, atol=0.02)


def test_a_temperature_changes_no_answer():
    probs, _ = drawn(500)
    assert torch.equal(TemperatureScaling(7.0)(probs).argmax(-1), probs.argmax(-1))


def test_vector_scaling_undoes_biases_of_the_classes_which_a_temperature_cannot():
    probs, y = drawn(targets=1)
    skewed = ((probs.log() - torch.tensor([1.0, 0.0, -1.0, 0.5])) / 2).softmax(-1)
    scaled, tempered = (kind.fit(skewed, y)(skewed) for kind in (VectorScaling, TemperatureScaling))
    assert nll(scaled, y) == pytest.approx(nll(probs, y), abs=0.002)
    assert nll(tempered, y) > nll(probs, y) + 0.05


def test_vector_scaling_is_where_the_slope_of_the_posterior_is_nought():
    probs, y = drawn(200, targets=1)
    found = VectorScaling.fit(probs, y)
    weight, bias = (x[0].clone().requires_grad_() for x in (found.weight, found.bias))
    log_p = (log_of(probs)[:, 0] * weight + bias).log_softmax(-1)
    prior = (weight - 1).square().sum() / 2 + bias.square().sum() / 2
    (prior - log_p.gather(-1, y).sum()).backward()
    assert weight.grad.abs().max() < 0.01
    assert bias.grad.abs().max() < 0.01


def test_vector_scaling_stays_finite_where_every_answer_is_right():
    probs = torch.eye(3, dtype=torch.float64)[torch.arange(30) % 3][:, None] * 0.9 + 0.1 / 3
    found = VectorScaling.fit(probs, probs.argmax(-1))
    assert (found.weight - 1).abs().max() < 3
    assert found.bias.abs().max() < 1


def test_isotonic_steps_are_shares_of_right_labels_and_sum_to_1():
    probs = torch.tensor([[[0.2, 0.8]], [[0.2, 0.8]], [[0.7, 0.3]], [[0.9, 0.1]]]).double()
    y = torch.tensor([[0], [1], [0], [0]])
    found = Isotonic.fit(probs, y)(probs)[:, 0, 0]
    np.testing.assert_allclose(found, [0.5, 0.5, 1, 1])


def test_isotonic_undoes_what_sharpened_all_logits():
    probs, y = drawn()
    sharp = sharpened(probs, 3.0)
    found = Isotonic.fit(sharp, y)(sharp)
    torch.testing.assert_close(found.sum(-1), torch.ones(found.shape[:2]).double())
    assert ece(found, y) < 0.02 < ece(sharp, y)


def test_an_input_that_every_step_gives_0_gets_even_probabilities():
    probs = torch.tensor([[[0.0, 0.2, 0.8]], [[0.6, 0.4, 0.0]]]).double()
    found = Isotonic.fit(probs, torch.tensor([[2], [0]]))
    lost = found(torch.tensor([[[0.0, 0.9, 0.0]]]).double())
    np.testing.assert_allclose(lost[0, 0], [1 / 3] * 3)


@pytest.mark.parametrize("name", FITS)
def test_a_probability_of_0_is_no_obstacle(name):
    probs = torch.zeros(20, 1, 2).double()
    probs[torch.arange(20), 0, torch.arange(20) % 2] = 1.0
    y = (torch.arange(20) % 2)[:, None]
    y[0] = 1
    assert FITS[name](probs, y)(probs).isfinite().all()


def test_labels_of_one_class_are_refused_in_one_line():
    probs, y = drawn(50)
    y[:, 1] = 2
    with pytest.raises(BenchError, match="labels of a target are all of one class; nothing to fit"):
        recalibrations(probs, y)
