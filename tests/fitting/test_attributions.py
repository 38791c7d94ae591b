"""Attribution maps: what they must sum to, and causal effects against brute force."""

import pytest
import torch
from torch import nn

from bench.datasets.digits import Digits
from bench.fitting import attributions
from bench.fitting.attributions import (
    LogOdds,
    causal_effect,
    contrast_by_force,
    importance,
    integrated_gradients,
    interventional_expectation,
)
from bench.methods import draws
from bench.methods.chance import Chance
from bench.methods.redecnn import ReDecNN

GENERATOR = torch.Generator().manual_seed(3)
X = torch.rand(30, 1, 2, 3, dtype=torch.float64, generator=GENERATOR)


class Quadratic(nn.Module):
    """Two outputs x' A x + b' x + c: for these the second order is exact."""

    def __init__(self):
        super().__init__()
        self.a = torch.randn(2, 6, 6, dtype=torch.float64, generator=GENERATOR)
        self.b = torch.randn(6, 2, dtype=torch.float64, generator=GENERATOR)

    def forward(self, x):
        x = x.flatten(1)
        return torch.einsum("ni,kij,nj->nk", x, self.a, x) + x @ self.b + 1


class Smooth(nn.Module):
    """A tiny network with curvature everywhere."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
        self.double()

    def forward(self, x):
        return self.layers(x)


def held(x, feature, value):
    flat = x.flatten(1).clone()
    flat[:, feature] = value
    return flat.reshape(x.shape)


# Integrated gradients


def test_the_maps_of_a_linear_function_are_its_terms():
    pytest.importorskip("captum")
    weights = torch.randn(6, 2, generator=GENERATOR)
    x = X[:4].float()

    class Linear(nn.Module):
        def forward(self, x):
            return x.flatten(1) @ weights

    maps = integrated_gradients(Linear(), x, torch.tensor([0, 1, 1, 0]), steps=2)
    wanted = x.flatten(1) * weights.T[[0, 1, 1, 0]]
    torch.testing.assert_close(maps.flatten(1), wanted)


def test_maps_sum_to_what_the_input_adds_to_a_black_image():
    pytest.importorskip("captum")
    f, classes = Smooth(), torch.arange(30) % 2
    maps = integrated_gradients(f, X, classes, steps=16)
    change = (f(X) - f(torch.zeros_like(X))).gather(1, classes[:, None])[:, 0]
    torch.testing.assert_close(maps.flatten(1).sum(1), change.detach(), atol=1e-6, rtol=1e-5)


def test_maps_do_not_depend_on_the_batch(monkeypatch):
    pytest.importorskip("captum")
    classes = torch.arange(30) % 2
    whole = integrated_gradients(Smooth(), X, classes, steps=4)
    monkeypatch.setattr(attributions, "BATCH", 12)
    torch.testing.assert_close(integrated_gradients(Smooth(), X, classes, steps=4), whole)


# Causal effects


@pytest.mark.parametrize("reach", [0.0, 0.3])
def test_of_a_quadratic_function_expectations_are_those_of_brute_force(reach):
    f = Quadratic()
    found = interventional_expectation(f, X, values=3, directions=6, reach=reach)
    for i in range(6):
        for j, value in enumerate((0.0, 0.5, 1.0)):
            torch.testing.assert_close(found[i, j], f(held(X, i, value)).mean(0))


def test_small_differences_give_the_trace_of_the_hessian_times_the_covariance():
    f, mean = Smooth(), X.mean(0, keepdim=True)
    found = interventional_expectation(f, X, values=2, directions=6, reach=1e-3)
    for i in range(6):
        covariance = X.flatten(1).T.cov(correction=0)
        covariance[i], covariance[:, i] = 0, 0
        centre = held(mean, i, 1.0)
        for k in range(2):
            hessian = torch.autograd.functional.hessian(lambda x, k=k: f(x)[0, k], centre)
            trace = (hessian.reshape(6, 6) * covariance).sum()
            torch.testing.assert_close(
                found[i, 1, k], f(centre)[0, k].detach() + trace / 2, atol=1e-6, rtol=1e-6
            )


def test_of_a_smooth_network_the_second_order_is_nearer_to_brute_force_than_the_mean():
    f, errors = Smooth(), []
    with torch.no_grad():
        wanted = torch.stack([f(held(X, i, 1.0)).mean(0) for i in range(6)])
    for directions in (0, 6):
        found = interventional_expectation(f, X, values=2, directions=directions)
        errors.append(float((found[:, 1] - wanted).abs().max()))
    assert errors[1] < errors[0] / 2
    assert errors[1] < 0.02


def test_without_directions_it_is_the_output_at_the_mean():
    f = Quadratic()
    found = interventional_expectation(f, X, values=2, directions=0)
    torch.testing.assert_close(found[4, 1], f(held(X.mean(0, keepdim=True), 4, 1.0))[0])


def test_batches_change_no_expectation(monkeypatch):
    whole = interventional_expectation(Smooth(), X, values=3, directions=4)
    monkeypatch.setattr(attributions, "BATCH", 1)
    again = interventional_expectation(Smooth(), X, values=3, directions=4)
    torch.testing.assert_close(again, whole)


def test_an_effect_is_linear_between_values_and_sums_to_nothing_over_them():
    expected = torch.tensor([[[0.0], [1.0], [5.0]]] * 4, dtype=torch.float64)  # D = 4, A = 3, K = 1
    x = torch.tensor([0.0, 0.25, 0.75, 1.0]).reshape(1, 1, 2, 2)
    effect = causal_effect(expected, x, torch.tensor([0]))
    assert effect.flatten().tolist() == [-2.0, -1.5, 1.0, 3.0]  # less the mean, 2


def test_effects_are_of_the_class_asked_for():
    expected = torch.zeros(4, 2, 3, dtype=torch.float64)
    expected[:, 1, 2] = 2.0
    effect = causal_effect(expected, torch.ones(2, 1, 2, 2), torch.tensor([2, 0]))
    assert effect[0].unique().tolist() == [1.0]
    assert effect[1].unique().tolist() == [0.0]


def test_the_contrast_by_force_holds_each_feature_at_both_ends():
    f = Quadratic()
    found = contrast_by_force(f, X)
    wanted = f(held(X, 2, 1.0)).mean(0) - f(held(X, 2, 0.0)).mean(0)
    torch.testing.assert_close(found[2], wanted)
    ends = interventional_expectation(f, X, values=2, directions=6)
    torch.testing.assert_close(found, ends[:, 1] - ends[:, 0])


def test_importance_is_the_magnitude_over_channels():
    maps = torch.tensor([[[[1.0, -2.0]], [[-3.0, 0.0]]]])
    assert importance(maps).tolist() == [[4.0, 2.0]]


# What is attributed


@pytest.fixture(scope="module")
def redecnn():
    splits = Digits().splits(0)
    method = ReDecNN(**ReDecNN.defaults("smoke") | {"epochs": 1, "min_updates": 10, "samples": 3})
    return method.fit(splits.train, splits.val, seed=0), splits.test.floats(slice(0, 6))


def test_odds_are_those_of_the_mean_prediction(redecnn):
    method, x = redecnn
    with torch.no_grad(), torch.random.fork_rng():
        odds = LogOdds(method, 1)(x)
        torch.manual_seed(1)
        with draws.alike():
            p = method.predict_proba(x).mean(1)[:, 0].double()
        torch.testing.assert_close(odds.double(), (p / (1 - p)).log(), atol=1e-3, rtol=1e-3)
        single = method.single_classifier()(x)[:, 0].softmax(-1)
        told = LogOdds(method, 1, "single")(x)
        torch.testing.assert_close(told.sigmoid(), single)


def test_all_inputs_share_their_draws_and_only_inside(redecnn):
    method, x = redecnn
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = draws.integers(x, (8,), 100)
        with draws.alike():
            torch.manual_seed(0)
            shared = draws.integers(x, (8,), 100)
        torch.manual_seed(0)
        assert torch.equal(draws.integers(x, (8,), 100), own)
        assert len(shared.unique(dim=0)) == 1
        assert len(own.unique(dim=0)) == 6
        f = LogOdds(method, 1)
        torch.testing.assert_close(f(x)[2:3], f(x[2:3]))


def test_it_tells_whether_there_is_a_gradient(redecnn):
    method, x = redecnn
    splits = Digits().splits(0)
    with torch.random.fork_rng():
        assert LogOdds(method, 0).has_gradient(x)
        constant = Chance().fit(splits.train, splits.val, seed=0)
        assert not LogOdds(constant, 0).has_gradient(x)
