"""Known answers of the rivals that train, and what chooses them."""

import pytest
import torch
from torch.distributions import Dirichlet, kl_divergence
from torch.nn import functional

from bench import methods
from bench.datasets.base import Task
from bench.discover import choose, subclasses
from bench.methods.base import Method
from bench.methods.evidential import Evidential, divergence, evidential_loss
from bench.methods.logitnorm import LogitNorm
from bench.methods.mixup import Mixup
from bench.methods.training import Batch

TASK = Task((1, 4, 4), ("a", "b"), ("x", "y", "z"))
SMALL = {"blocks": 2, "width": 8}


def batch(n: int = 6) -> Batch:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.rand(n, 1, 4, 4, generator=draw), torch.randint(3, (n, 2), generator=draw)
    return Batch(x, y, y[:, :0], 0.5, n)


def names(wanted: str) -> set[str]:
    return {choice.cls.name for choice in choose("method", wanted, subclasses(methods, Method))}


def test_rivals_are_run_by_their_tag_and_not_by_all():
    rivals = names("rivals")
    assert {"logitnorm", "mixup", "evidential"} <= rivals
    assert not rivals & names("all")


def test_logitnorm_sees_the_direction_of_the_logits_alone():
    method, one = LogitNorm(tau=0.5, **SMALL), batch()
    net = method.build(TASK).eval()
    loss, z = method.loss(net, one), net(one.x)
    wanted = functional.cross_entropy((2 * z / z.norm(dim=-1, keepdim=True)).flatten(0, 1),
                                      one.y.flatten())  # fmt: skip
    torch.testing.assert_close(loss, wanted)
    with torch.no_grad():
        for p in net.head.parameters():
            p.mul_(100)
    torch.testing.assert_close(method.loss(net, one), loss)


@pytest.mark.parametrize("plain", [0.0, 0.5])
def test_mixup_is_cross_entropy_against_mixed_labels(plain):
    method, one = Mixup(plain=plain, **SMALL), batch()
    net = method.build(TASK).eval()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        loss = method.loss(net, one)
        torch.manual_seed(3)
        share = torch.distributions.Beta(1.0, 1.0).sample()
        order = torch.randperm(6)
    labels = functional.one_hot(one.y, 3).float()
    mixed = share * labels + (1 - share) * labels[order]
    log_p = net(share * one.x + (1 - share) * one.x[order]).log_softmax(-1)
    wanted = -(mixed * log_p).sum(-1).mean()
    wanted = wanted - plain * (labels * net(one.x).log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(loss, wanted)


def test_the_divergence_is_that_of_torch():
    alpha = 1 + 9 * torch.rand(5, 2, 4, generator=torch.Generator().manual_seed(0)).double()
    wanted = kl_divergence(Dirichlet(alpha), Dirichlet(torch.ones_like(alpha)))
    torch.testing.assert_close(divergence(alpha), wanted)


def test_the_squared_error_is_its_mean_over_the_dirichlet():
    alpha, y = torch.tensor([[[2.0, 1.0, 5.0]]]), torch.tensor([[2]])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = Dirichlet(alpha[0, 0]).sample((200_000,))
    wanted = (drawn - torch.tensor([0.0, 0.0, 1.0])).square().sum(-1).mean()
    torch.testing.assert_close(evidential_loss(alpha, y, 0.0), wanted, rtol=0.01, atol=0)


def test_wrong_evidence_alone_is_punished():
    right, wrong = torch.tensor([[[1.0, 9.0]]]), torch.tensor([[[9.0, 1.0]]])
    y = torch.tensor([[1]])
    gap = [evidential_loss(a, y, 1.0) - evidential_loss(a, y, 0.0) for a in (right, wrong)]
    assert gap[0].item() == pytest.approx(0)
    assert gap[1] > 1


def test_evidential_predictions_are_the_mean_of_the_dirichlet():
    method, one = Evidential(**SMALL), batch()
    method.net = net = method.build(TASK).eval()
    z = net.head.linear(net.features(net.activations(one.x)[-1])).unflatten(-1, (2, 3))
    alpha = 1 + functional.softplus(z)
    torch.testing.assert_close(
        method.predict_proba(one.x)[:, 0], alpha / alpha.sum(-1, keepdim=True)
    )
    torch.testing.assert_close(net(one.x).logsumexp(-1).exp(), alpha.sum(-1))
