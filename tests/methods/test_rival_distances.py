"""Known answers of the rivals that measure distances: DDU, SNGP, DUQ and T2FNorm."""

import math

import pytest
import torch
from torch.nn import functional

from bench.datasets.base import Task
from bench.datasets.errors import BenchError
from bench.methods.ddu import Ddu
from bench.methods.duq import Centres, Duq, gradient_penalty, kernel_loss
from bench.methods.sngp import GaussianProcess, Sngp
from bench.methods.spectral import BoundedConvolution, BoundedLinear
from bench.methods.t2fnorm import T2FNorm
from bench.methods.training import Batch

TASK = Task((1, 8, 8), ("a", "b"), ("x", "y", "z"))
SMALL = {"blocks": 2, "width": 8, "channels": 4}


def batch(n: int = 6) -> Batch:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 1, 8, 8, generator=draw), torch.randint(3, (n, 2), generator=draw)
    return Batch(x, y, y[:, :0], 0.5, n)


@pytest.mark.parametrize("make", [BoundedLinear, BoundedConvolution])
def test_no_weights_stretch_more_than_the_bound(make):
    layer = make(6, 9, bound=0.5)
    with torch.no_grad():
        layer.weight.mul_(20)
    for _ in range(200):
        used = layer.bounded(layer.weight)
    largest = torch.linalg.matrix_norm(used.flatten(1), 2).item()
    assert largest == pytest.approx(0.5, rel=1e-3)


def test_weights_that_stretch_less_stay_as_they_are():
    layer = BoundedLinear(6, 9, bound=50)
    assert torch.equal(layer.bounded(layer.weight), layer.weight)


def test_prediction_takes_no_step_of_the_power_iteration():
    layer = BoundedLinear(6, 9, bound=0.1).eval()
    before = layer.bounded.left.clone()
    layer(torch.rand(2, 6))
    assert torch.equal(before, layer.bounded.left)


@pytest.mark.parametrize("backbone", ["mlp", "cnn"])
def test_every_layer_but_the_head_is_bounded(backbone):
    net = Ddu(backbone=backbone, **SMALL).build(TASK)
    bounded = BoundedLinear | BoundedConvolution
    weights = {m for m in net.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)}
    assert {m for m in weights if not isinstance(m, bounded)} == {net.head}


def test_random_features_stand_for_the_gaussian_kernel():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer = GaussianProcess(5, 3, size=50_000, length=0.7)
    h = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    level = (h - h.mean(1, keepdim=True)) / h.std(1, correction=0, keepdim=True)
    wanted = (-torch.cdist(level, level).square() / (2 * 5 * 0.7**2)).exp()
    phi = layer.random_features(h)
    torch.testing.assert_close(phi @ phi.T, wanted, atol=0.02, rtol=0)


def test_the_variance_is_that_of_bayesian_regression_and_far_inputs_have_more():
    layer = GaussianProcess(5, 3, size=40, length=1.0)
    draw = torch.Generator().manual_seed(0)
    known, new = torch.randn(30, 5, generator=draw), torch.randn(4, 5, generator=draw)
    phi = layer.random_features(known).double()
    precision = torch.eye(40).double() + phi.T @ phi
    layer.learn(precision)
    of_new = layer.random_features(new).double()
    wanted = (of_new @ torch.linalg.inv(precision) * of_new).sum(1)
    torch.testing.assert_close(layer.variance(new), wanted.float(), rtol=1e-4, atol=1e-5)
    assert layer.variance(known).mean() < layer.variance(new).mean()


def test_sngp_divides_the_logits_by_their_spread():
    method = Sngp(size=16, factor=2.0, **SMALL)
    method.net = net = method.build(TASK).eval()
    x = batch().x
    with torch.no_grad():
        net.head.learn(torch.eye(16).double() * 4)
        logits, features = method.logits_and_features(x)
        variance = net.head.random_features(features).square().sum(1) / 4
        wanted = (logits / (1 + 2 * variance).sqrt()[:, None, None]).softmax(-1)
        torch.testing.assert_close(method.predict_proba(x)[:, 0], wanted)


def kernels(embedded: torch.Tensor, centres: torch.Tensor, length: float) -> torch.Tensor:
    return (-(embedded - centres).square().mean(-1) / (2 * length**2)).exp()


def test_kernels_of_duq_are_those_of_distances_to_the_centres():
    head = Centres(5, (2, 3), size=4, length=0.5)
    h = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    embedded = torch.stack([h @ weight.T for weight in head.weight], 1)
    wanted = kernels(embedded, head.sums / head.counts[:, None], 0.5)
    torch.testing.assert_close(head(h).exp(), wanted)


def test_centres_follow_the_embeddings_of_their_class():
    head = Centres(5, (1, 2), size=3, length=0.5)
    embedded = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([[0], [0], [1], [0]])
    counts, sums = head.counts.clone(), head.sums.clone()
    head.follow(embedded, y, 0.9)
    torch.testing.assert_close(head.counts, 0.9 * counts + 0.1 * torch.tensor([3.0, 1.0]))
    new = torch.stack([embedded[[0, 1, 3], 0].sum(0), embedded[2, 1]])
    torch.testing.assert_close(head.sums, 0.9 * sums + 0.1 * new)


def test_the_loss_of_kernels_is_binary_cross_entropy():
    draw = torch.Generator().manual_seed(0)
    k, y = torch.rand(5, 2, 3, generator=draw), torch.randint(3, (5, 2), generator=draw)
    label = functional.one_hot(y, 3).float()
    wanted = functional.binary_cross_entropy(k, label, reduction="none").sum(-1).mean()
    torch.testing.assert_close(kernel_loss(k.log(), y), wanted)
    assert kernel_loss(torch.full((1, 1, 2), -200.0), torch.tensor([[1]])) == 200
    assert kernel_loss(torch.zeros(1, 1, 2), torch.tensor([[1]])).isfinite()


def test_the_penalty_is_zero_where_the_gradient_has_length_one():
    x = torch.rand(3, 1, 2, 2, requires_grad=True)
    slope = torch.tensor([0.5, 0.5, 0.5, 0.5])
    flat = x.flatten(1)
    assert gradient_penalty(flat @ slope, x) == pytest.approx(0)
    assert gradient_penalty(flat @ (2 * slope), x) == pytest.approx(9)


def test_the_penalty_reaches_the_weights():
    method = Duq(penalty=1.0, size=4, **SMALL)
    net, one = method.build(TASK), batch()
    with_penalty = torch.autograd.grad(method.loss(net, one), net.head.weight)[0]
    method.penalty = 0.0
    net.head.counts.fill_(13)
    without = torch.autograd.grad(method.loss(net, one), net.head.weight)[0]
    assert not torch.allclose(with_penalty, without)


def test_predictions_of_duq_are_shares_of_the_kernels():
    method = Duq(size=4, **SMALL)
    method.net = net = method.build(TASK).eval()
    x = batch().x
    with torch.no_grad():
        k = net(x).exp()
        torch.testing.assert_close(method.predict_proba(x)[:, 0], k / k.sum(-1, keepdim=True))


def test_a_backbone_without_second_derivatives_is_refused_with_a_penalty():
    with pytest.raises(BenchError, match=r"revnet.*take resnet, or penalty=0"):
        Duq(backbone="revnet").prepare(TASK)
    assert not Duq(backbone="revnet", penalty=0.0).prepare(TASK)


def test_t2fnorm_trains_without_the_length_of_features_and_ranks_with_it():
    method = T2FNorm(tau=0.5, **SMALL)
    method.net = net = method.build(TASK).eval()
    h = torch.rand(4, 8)
    torch.testing.assert_close(net.head(3 * h), net.head(h))
    weight, bias = net.head.linear.weight, net.head.linear.bias
    unit = h / h.norm(dim=1, keepdim=True)
    torch.testing.assert_close(net.head(h), unit @ weight.T / 0.5 + bias)
    x = batch().x
    with torch.no_grad():
        features = method.logits_and_features(x).features
        longer = (features @ weight.T / 0.5 + bias).unflatten(1, (2, 3)).softmax(-1)
        torch.testing.assert_close(method.predict_proba(x)[:, 0], longer)
    assert math.isclose(method.tau, 0.5)
