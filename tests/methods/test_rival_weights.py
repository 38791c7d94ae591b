"""Known answers of the rivals that draw weights: SWAG, Laplace, VBLL and snapshots."""

import warnings
from math import log

import numpy as np
import pytest
import torch
from torch import nn
from vbll import DiscClassification

from bench.commands.check import Trial, toy
from bench.datasets.base import Task
from bench.methods.laplace import Laplace, Posterior, prior_precision, with_one
from bench.methods.phases import AT_PEAK, epochs_of, parts
from bench.methods.snapshot import Snapshot
from bench.methods.standard import Standard
from bench.methods.swag import Swag, Visited, moments
from bench.methods.training import one_cycle
from bench.methods.vbll import layer

TASK = Task((1, 4, 4), ("a",), ("x", "y", "z"))
SMALL = {"blocks": 1, "width": 4}


def test_a_constant_rate_is_the_peak_of_the_cycle():
    assert one_cycle(AT_PEAK, 0.25) == 0.25


@pytest.mark.parametrize("whole", [3, 5, 11])
def test_phases_share_all_epochs_evenly(whole):
    shares = parts(whole, 4)
    assert sum(shares) == whole
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("cls", [Swag, Snapshot])
@pytest.mark.parametrize("recipe", [(10, 20), (5, 171)])
def test_all_phases_make_the_updates_of_one_network(cls, recipe):
    given = dict(zip(("epochs", "min_updates"), recipe, strict=True)) | SMALL
    splits = toy()
    one = Standard(**given).fit(splits.train, splits.val, seed=0)
    other = cls(**given).fit(splits.train, splits.val, seed=0)
    assert other.log.updates == one.log.updates
    assert other.log.examples_seen == one.log.examples_seen
    assert len(other.log.epochs) == epochs_of(one.recipe(), len(splits.train))


def test_moments_are_those_of_the_paper():
    weights = np.random.default_rng(0).normal(size=(5, 3))
    mean, variance, deviations = moments(torch.from_numpy(weights))
    np.testing.assert_allclose(mean, weights.mean(0))
    np.testing.assert_allclose(variance, weights.var(0))
    running = [weights[i] - weights[: i + 1].mean(0) for i in range(5)]
    np.testing.assert_allclose(deviations, running, atol=1e-12)


def test_draws_have_the_covariance_of_the_paper():
    method = Swag(blocks=1, width=1, rank=3)
    net = method.build(Task((1, 1, 1), ("a",), ("x", "y"))).eval()
    size = len(net.variance)
    draw = torch.Generator().manual_seed(0)
    weights = torch.randn(3, size, generator=draw)
    net.learn(weights)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        drawn = [torch.cat([w.flatten() for w in one.values()]) for one in net.drawn(40_000)]
    flat = torch.stack(drawn)
    columns = net.deviations.T
    wanted = net.variance.diag() / 2 + columns @ columns.T / (2 * (3 - 1))
    torch.testing.assert_close(flat.mean(0), weights.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(flat.T.cov(), wanted, atol=0.05, rtol=0)


def test_the_single_classifier_of_swag_has_the_mean_weights():
    net = Visited(Swag(**SMALL).classifier(TASK), 2)
    size = len(net.variance)
    net.learn(torch.stack([torch.zeros(size), torch.full((size,), 3.0)]))
    assert all((p == 1.5).all() for p in net.classifier.parameters())


def test_snapshots_differ_and_the_last_is_the_single_classifier():
    splits = toy()
    method = Snapshot(size=3, epochs=3, min_updates=0, **SMALL).fit(
        splits.train, splits.val, seed=0
    )
    x = splits.test.floats(slice(5))
    with torch.no_grad():
        probs = method.predict_proba(x)
        torch.testing.assert_close(probs[:, -1], method.single_classifier()(x).softmax(-1))
    assert len({tuple(member.flatten().tolist()) for member in probs.unbind(1)}) == 3


def posterior(targets: int = 1) -> tuple[Posterior, torch.Tensor, torch.Tensor]:
    """Return a posterior learned from 40 inputs of 3 features, with features and logits."""
    task = Task((1, 4, 4), tuple("ab"[:targets]), ("x", "y", "z"))
    net = Posterior(Laplace(blocks=1, width=3).classifier(task))
    features = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        logits = net.classifier.head(features.float()).double().unflatten(1, (targets, 3))
        net.learn(features, logits)
    return net, features, logits


def covariance(net: Posterior, target: int) -> torch.Tensor:
    """Covariance of what is added to the weights (K, F + 1) of one target, by the unit vectors."""
    deviation = net.deviation[target].double()
    unit = torch.eye(deviation.numel(), dtype=torch.double).unflatten(1, deviation.shape)
    moved = net.inputs.double() @ (unit * deviation) @ net.outputs[target].double().mT
    columns = moved.mT.flatten(1)  # (noise, K (F + 1))
    return columns.T @ columns


def kronecker(features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The curvature as a matrix: mean over inputs of diag p - p p^T, times sum of h h^T."""
    p = logits.softmax(-1)
    output = torch.stack([one.diag() - one.outer(one) for one in p]).mean(0)
    return torch.kron(output, with_one(features).T @ with_one(features))


@pytest.mark.parametrize("targets", [1, 2])
def test_the_laplace_covariance_is_the_inverse_of_curvature_and_prior(targets):
    net, features, logits = posterior(targets)
    head = net.classifier.head
    for t in range(targets):
        rows = slice(3 * t, 3 * t + 3)
        squares = head.weight[rows].square().sum() + head.bias[rows].square().sum()
        curvature = kronecker(features, logits[:, t])
        precision = prior_precision(torch.linalg.eigvalsh(curvature).clamp_min(0), squares.item())
        wanted = torch.linalg.inv(curvature + precision * torch.eye(12))
        torch.testing.assert_close(covariance(net, t), wanted, rtol=1e-3, atol=1e-4)


def test_the_prior_has_the_largest_marginal_likelihood():
    curvature = torch.diag(torch.tensor([0.3, 2.0, 7.0])).double()
    found = prior_precision(curvature.diag(), 1.7)

    def evidence(precision: float) -> float:
        volume = torch.logdet(curvature + precision * torch.eye(3))
        return float(3 * log(precision) - precision * 1.7 - volume) / 2

    assert all(evidence(found) > evidence(found * factor) for factor in (0.9, 0.99, 1.01, 1.1))


def test_laplace_torch_finds_the_same_posterior():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its dependencies use what torch calls old
        package = pytest.importorskip("laplace")
        net, features, logits = posterior()
        head = net.classifier.head
        last = nn.Linear(4, 3, bias=False).double()
        last.weight.data = torch.cat([head.weight, head.bias[:, None]], 1).detach().double()
        data = torch.utils.data.TensorDataset(with_one(features), logits[:, 0].argmax(1))
        fitted = package.Laplace(
            nn.Sequential(nn.Identity(), last), "classification", subset_of_weights="last_layer",
            hessian_structure="kron",
        )  # fmt: skip
        fitted.fit(torch.utils.data.DataLoader(data, batch_size=40))
        square = float(last.weight.square().sum())
        curvature = kronecker(features, logits[:, 0])
        fitted.prior_precision = prior_precision(torch.linalg.eigvalsh(curvature), square)
        theirs = torch.linalg.inv(fitted.posterior_precision.to_matrix())
    torch.testing.assert_close(covariance(net, 0), theirs.double(), rtol=1e-3, atol=1e-4)


def test_laplace_moves_logits_by_the_drawn_weights_alone():
    method = Laplace(samples=3, **SMALL)
    method.net = net = method.build(TASK).eval()
    features, x = torch.rand(20, 4).double(), torch.rand(5, 1, 4, 4)
    with torch.no_grad(), torch.random.fork_rng():
        net.learn(features, torch.randn(20, 1, 3).double())
        torch.manual_seed(1)
        probs = method.predict_proba(x)
        torch.manual_seed(1)
        added = net.drawn(3)
        h = net.classifier.features(net.classifier.activations(x)[-1])
        wanted = [net(x) + (with_one(h) @ one[0]).unsqueeze(1) for one in added]
    torch.testing.assert_close(probs, torch.stack(wanted, 1).softmax(-1))


def test_laplace_takes_the_network_of_standard():
    nets = [Trial(name).fit().single_classifier() for name in ("laplace", "standard")]
    ours, theirs = (net(toy().test.floats(slice(4))) for net in nets)
    assert torch.equal(ours, theirs)


def test_the_layer_of_vbll_answers_as_the_package_does():
    ours = layer()(6, 3, 0.1)
    with torch.no_grad():
        ours.W_offdiag.normal_()
    theirs = DiscClassification(6, 3, 0.1)
    theirs.load_state_dict(ours.state_dict())
    x, y = torch.randn(5, 6), torch.tensor([0, 2, 1, 1, 0])
    mine, other = ours.logit_predictive(x), theirs.logit_predictive(x)
    assert torch.allclose(mine.mean, other.mean, atol=1e-6)
    assert torch.allclose(mine.scale, other.scale, atol=1e-6)
    assert mine.scale.std() > 0.1
    assert torch.allclose(ours(x).train_loss_fn(y), theirs(x).train_loss_fn(y), atol=1e-5)
